"""Task 28: regularisation and learning-rate schedules.

A network with more weights than samples can learn its samples by heart: the training loss goes on falling, and the
validation loss, after a while, rises. Four habits hold against it: a price on large weights, noise inside of the
network, stopping in time, and a learning rate that shrinks when the work gets fine. All of them are a few lines, and
all of them have one place where they are commonly got wrong. You write these lines.

An example to check by hand. A layer nn.Linear(2, 1) has the weights 3 and -4 and the bias 10, lam is 0.5:

    l1_penalty          0.5 · (3 + 4) = 3.5            with the bias, 0.5 · 17 = 8.5
    l2_penalty          0.5 / 2 · (9 + 16) = 6.25      its gradient at the weights is lam · w: 1.5 and -2

The learning rate, by the number of the epoch, or of the step where it is set after each batch:

    epoch                                      0      1      2      3      4       5       6
    step_lr(epoch, 0.1, 2, 0.5)                0.1    0.1    0.05   0.05   0.025   0.025   0.0125
    exponential_lr(epoch, 0.1, 0.5)            0.1    0.05   0.025  ...
    cosine_with_warmup(epoch, 0.1, 2, 6)       0      0.05   0.1    0.0854 0.05    0.0146  0

Conventions

* Epochs and steps are counted from 0. The schedules are functions of that number and of what the rate is at first: who
  asks twice gets the same answer. They return a float, no tensor.
* What is watched (a validation loss) is a Python float, and smaller is better.
* Each object keeps its own state; what is given (models, tensors, lists) is changed only where the text says so.

Forbidden: PyTorch's own dropout (nn.Dropout, F.dropout and their kin) and torch.optim.lr_scheduler, for these are what
you write.
"""


import torch
from torch import Tensor, nn


def l1_penalty(model: nn.Module, lam: float, include_bias: bool = False) -> Tensor:
    """Return lam times the sum of the absolute values of the model's weights, to be added to a loss.

    Counted are all parameters, wherever they are in the model, frozen ones too; one that several layers share counts
    once. Without ``include_bias`` two kinds are left out: parameters whose own name is ``bias`` (the bias of a layer
    named ``0`` is called ``0.bias``; in a layer named ``bias`` the parameter ``bias.weight`` counts), and all
    parameters of batch, instance, layer and group normalisation (of classes derived from PyTorch's, too). Pulling these
    towards 0 does not make a network simpler. Buffers never count.

    Returns a tensor without dimensions, in the dtype of the parameters or a wider one and on their device, through
    which gradients reach them. If no parameter is counted it is a tensor 0, on any device. What the gradient is at a
    weight that is exactly 0 does not matter.
    """
    # TODO: which parameters count? Go through the modules, for a parameter does not know where it belongs.
    raise NotImplementedError


def l2_penalty(model: nn.Module, lam: float, include_bias: bool = False) -> Tensor:
    """Return lam / 2 times the sum of the squares of the model's weights; else as ``l1_penalty``.

    The half makes its gradient lam · w. So adding it to the loss is what ``torch.optim.SGD(..., weight_decay=lam)``
    does to the same parameters: from w = 2, lam = 0.5, lr = 0.1 and no other loss, one step leads to
    2 - 0.1 · 0.5 · 2 = 1.9.
    """
    # TODO: the same parameters, squared.
    raise NotImplementedError


class Dropout(nn.Module):
    """In training mode, set each element to 0 with probability ``p``, and divide the others by 1 - p.

    Which elements are dropped is drawn anew in each call, for each element by itself, from PyTorch's global generator.
    The division keeps the mean: an element x becomes 0 or x / (1 - p), and x on average. So nothing is left to do in
    evaluation mode, where the output is the input. With p = 0 it always is; with p = 1 the output of training is zeros.

    x: finite, of any shape (also empty, or without axes), of any floating dtype, which the output has, too. The
    gradient at an element is 0 or 1 / (1 - p), as its factor was. A p below 0 or above 1 raises ValueError when the
    module is made.

    For p = 0.25 the elements 3, 6, 9 may become 4, 0, 12.
    """

    def __init__(self, p: float = 0.5):
        # TODO: refuse what is no probability, keep the rest.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        # TODO: draw a mask, multiply, divide; what changes in evaluation, and for p = 1?
        raise NotImplementedError


class EarlyStopping:
    """Stop when the validation loss has not become better for ``patience`` epochs in a row; keep the best weights.

    ``step(value)`` is called after each epoch with its loss. The value is better if it is smaller than the best one so
    far by more than ``min_delta``: value < best - min_delta, where best is infinity before there is one. Equal is not
    better, and NaN never is.

    Attributes, to be read at any time:
        best        the last value that was better, infinity before there is one
        counter     how many steps ago that was; the number of all steps if there was none
        should_stop whether ``counter`` has reached ``patience``
        best_state  the model's state_dict() at the last better step that was given a model, as a copy; None before

    With patience 2, min_delta 0 and the losses 3, 2, 2, 4 the answers are False, False, False, True, and best is 2.
    patience is 1 or more. Nothing is asked of an object that said stop and is used on.
    """

    def __init__(self, patience: int = 5, min_delta: float = 0.0):
        # TODO: keep the settings, and start the attributes.
        raise NotImplementedError

    def step(self, value: float, model: nn.Module | None = None) -> bool:
        """Take note of one epoch and return ``should_stop``, a Python bool.

        If the value is better and a model is given its state is kept. The state_dict of a model holds its living
        tensors, which the next training step changes; what is kept has to stay as it was. The model is not changed.
        """
        # TODO: compare, count, and copy what the next epoch would overwrite.
        raise NotImplementedError

    def restore(self, model: nn.Module) -> None:
        """Give the model the kept state, parameters and buffers. It can be trained on, and restored to the same again.

        It is called only when a state was kept.
        """
        # TODO: one call is enough.
        raise NotImplementedError


def step_lr(epoch: int, base: float, step: int, gamma: float) -> float:
    """Return the learning rate of an epoch: ``base`` at first, times ``gamma`` after every ``step`` epochs.

    From base 0.1, step 5, gamma 0.9: 0.1 in the epochs 0 to 4, 0.09 in 5 to 9, then 0.081. step is 1 or more.
    """
    # TODO: how often has the rate been lowered before this epoch?
    raise NotImplementedError


def exponential_lr(epoch: int, base: float, gamma: float) -> float:
    """Return the learning rate of an epoch: ``base`` at first, times ``gamma`` after each epoch."""
    # TODO: one line.
    raise NotImplementedError


def cosine_with_warmup(step: int, base: float, warmup: int, total: int, min_lr: float = 0.0) -> float:
    """Return the learning rate of a step: up a straight line, then down half a cosine.

    It rises from 0 at step 0 to ``base`` at step ``warmup``: base · step / warmup. From there it falls to ``min_lr``
    at step ``total``, as min_lr + (base - min_lr) · (1 + cos(π t)) / 2, where t goes from 0 at ``warmup`` to 1 at
    ``total``. After ``total`` it stays at min_lr: a cosine that is merely continued would rise again.

    warmup: 0 or more, below total. With warmup = 0 there is no rise, and step 0 has the rate base. min_lr: 0 to base;
    it is the end of the fall and does not touch the rise.
    """
    # TODO: three pieces; mind the steps warmup and total themselves.
    raise NotImplementedError


class ReduceOnPlateau:
    """Lower the learning rate when the validation loss no longer falls. The object holds the rate itself, in ``lr``.

    ``step(value)`` is called after each epoch with its loss, 0 or more, and returns the rate of the next epoch. It does
    three things in this order:

    1. The value is better if value < best · (1 - threshold); then it is the new best, and the count of bad epochs
       goes to 0. Else the epoch is bad, one more. The first number is better than nothing; NaN is never better.
    2. In the ``cooldown`` epochs that follow a reduction no epoch counts as bad: the count stays 0. (A best value is
       noticed nevertheless.)
    3. When the count is larger than ``patience``, lr becomes lr · factor, but not less than ``min_lr``; the count goes
       to 0, and the cooldown begins with the next epoch.

    threshold is below 1, min_lr is lr at most. With lr 0.8, factor 0.5, patience 1 and no cooldown, the losses 3, 3, 3,
    2, 5, 5 give 0.8, 0.8, 0.4, 0.4, 0.4, 0.2.
    It is ``torch.optim.lr_scheduler.ReduceLROnPlateau`` with its mode "min" and eps=0.
    """

    def __init__(
        self,
        lr: float,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ):
        # TODO: keep the settings; what else has to be remembered from epoch to epoch?
        raise NotImplementedError

    def step(self, value: float) -> float:
        """Take note of one epoch and return the rate ``lr``."""
        # TODO: the three things, in their order.
        raise NotImplementedError


def overfit_report(train: list[float], val: list[float]) -> dict[str, object]:
    """Tell from the losses of all epochs when the model was best, and whether it was learning by heart in the end.

    train, val: finite losses after each epoch, lists of the same length. Returns a dict with

        best_epoch   int, the epoch with the smallest validation loss, the first of them if several are equal
        best_val     float, that loss
        gap          float, the last validation loss minus the last training loss
        overfitting  bool, whether since the best epoch the validation loss has risen and the training loss has fallen:
                     both compare the last epoch with the best one

    Empty lists and lists of different lengths raise ValueError.
    For train 3, 2, 1 and val 4, 3, 3.5: 1, 3.0, 2.5 and True.
    """
    # TODO: find the best epoch, then compare it with the last one.
    raise NotImplementedError
