"""Task 30: save, load, resume, infer.

A training that runs for three days will be interrupted on the second. Whoever saved only the weights starts again
with an optimiser that has forgotten its momentum, a learning rate of the first day and an order of samples that is
not the one that was interrupted: the run goes on, but it is another run. Here you write a checkpoint from which
training goes on bit by bit as if nothing had happened, read weights that fit only in part, and turn a trained network
into something that is given a picture and answers with a word.

An example. Somebody trained with nn.DataParallel, which puts ``module.`` before all names:

    state = {"module.0.weight": ..., "module.0.bias": ..., "module.9.weight": ...}
    strip_prefix(state)                          {"0.weight": ..., "0.bias": ..., "9.weight": ...}
    load_matching(nn.Sequential(nn.Linear(2, 3)), strip_prefix(state))     ([], ["9.weight"])

And one colour, as a camera library wants it: the pixel (red 1.0, green 0.5, blue 0.2) is (51, 128, 255): blue first.

Conventions

* ``path`` is a str or a pathlib.Path in a folder that exists.
* ``epoch`` is the number of epochs that are finished, so training goes on with ``range(epoch, epochs)``.
* A state is what ``state_dict()`` gives: a dict of names and tensors, parameters and buffers.
* What is given is changed only where the text says so. Nothing is printed.
"""

import os
import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


def strip_prefix(state: dict[str, Tensor], prefix: str = "module.") -> dict[str, Tensor]:
    """Return a new dict in which the names no longer begin with ``prefix``.

    The prefix is taken away once, and only where a name begins with it; other names stay as they are. The tensors are
    the same objects, in the same order; the given dict is not changed.

    With "module.": "module.a.weight" becomes "a.weight", "module.module.b" becomes "module.b", and "submodule.c" stays.
    """
    # TODO: a dict comprehension is enough.
    # BEGIN SOLUTION
    return {name.removeprefix(prefix): value for name, value in state.items()}
    # END SOLUTION


def load_matching(model: nn.Module, state: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    """Copy into the model every entry of the state whose name and shape it has; tell about the others.

    Parameters and buffers count alike, and each under every name that it has in ``model.state_dict()``: two layers may
    share a weight, and a buffer that is not persistent has no name there. Values are copied into the model's own
    tensors, which keep their dtype and device and remain the same objects, so an optimiser that was made before still
    moves them; later changes of the given tensors do not reach the model. What does not fit is left out, whatever could
    be done about it: a shape (1,) for (3,) does not fit.

    Returns (missing, unexpected), two lists of names in any order: what of the model got no value, and what of the
    state was not used. A name whose shapes differ is in both.
    """
    # TODO: compare names and shapes, copy without recording gradients, and make the two lists.
    # BEGIN SOLUTION
    own = model.state_dict()
    fits = [name for name in own if name in state and own[name].shape == state[name].shape]
    with torch.no_grad():
        for name in fits:
            own[name].copy_(state[name])
    return [name for name in own if name not in fits], [name for name in state if name not in fits]
    # END SOLUTION


def save_checkpoint(path, model, optimizer, scheduler=None, epoch=0, rng=None) -> None:
    """Write all that a training needs to go on into one file.

    That is: the states of the model, of the optimiser and of the scheduler (or None), the number of finished epochs,
    and the states of the random generators: PyTorch's global one, that of Python's module ``random``, and ``rng``,
    the torch.Generator that shuffles the samples (or None). How the file is laid out is up to you.

    The file has to open with ``torch.load(path, weights_only=True)``. That takes tensors, numbers, texts, lists, tuples
    and dicts of them, which are what these states are made of. It refuses NumPy's states and numbers, so they do not
    belong here.

    A computer may stop while it writes. So write the file in the same folder under another name, and then put it in
    place by ``os.replace``: until then the earlier file is whole, and who has it open goes on reading it. If writing
    raises an error the earlier file is still there, nothing else is left in the folder, and the error is passed on.

    Saving changes neither the model nor its mode nor any random state.
    """
    # TODO: gather the states in a dict; write, then replace.
    # BEGIN SOLUTION
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": None if scheduler is None else scheduler.state_dict(),
        "epoch": epoch,
        "torch": torch.get_rng_state(),
        "random": random.getstate(),
        "rng": None if rng is None else rng.get_state(),
    }
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save(checkpoint, draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    # END SOLUTION


def load_checkpoint(path, model, optimizer=None, scheduler=None, rng=None, map_location="cpu") -> int:
    """Bring everything to the state in which ``save_checkpoint`` found it; return the number of finished epochs.

    The model always; the optimiser, the scheduler and ``rng`` where they are given (who only wants to predict gives the
    model alone); the global states of PyTorch and of ``random`` always. Then training goes on exactly as it would have
    without the interruption: on a CPU the same numbers, bit by bit. Modes are left alone.

    A pickled file can run any code when it is opened. So it is opened with ``weights_only=True``, and a file that holds
    anything else raises an error before it can do harm.

    map_location: as in torch.load. With "cpu" a file that was written with a GPU opens on a computer that has none.
    The states of random generators belong on the CPU wherever the weights go.

    A model that is built differently raises RuntimeError, as its load_state_dict does.
    """
    # TODO: open, and hand each part its state.
    # BEGIN SOLUTION
    checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    model.load_state_dict(checkpoint["model"])
    if optimizer is not None:
        optimizer.load_state_dict(checkpoint["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(checkpoint["scheduler"])
    if rng is not None:
        rng.set_state(checkpoint["rng"].cpu())
    torch.set_rng_state(checkpoint["torch"].cpu())
    random.setstate(checkpoint["random"])
    return checkpoint["epoch"]
    # END SOLUTION


def epoch_batches(n: int, batch_size: int, epoch: int, seed: int, start: int = 0) -> list[list[int]]:
    """Return the batches of one epoch as lists of indices, from batch ``start`` on.

    A training that stopped in the middle of an epoch has to see the rest of this epoch: neither samples that it has
    seen already nor another order. So the order must not be drawn, but follow from ``seed`` and ``epoch`` alone. Each
    epoch has another one, and so has each seed; seed 1 in epoch 2 is not seed 2 in epoch 1. Every index, 0 to n - 1,
    is in one batch; the last batch may be smaller. n may be 0: then there is no batch.

    ``start`` leaves out the first batches and changes nothing about the others: the result is that of start=0 without
    its first ``start`` lists. If there are not more, it is empty. No global random state is used or changed.
    """
    # TODO: a generator of your own, made from both numbers; shuffle, cut, leave out.
    # BEGIN SOLUTION
    order = list(range(n))
    random.Random(f"{seed}, {epoch}").shuffle(order)
    return [order[place : place + batch_size] for place in range(start * batch_size, n, batch_size)]
    # END SOLUTION


class Predictor:
    """Name what is in a picture: ``Predictor(model, transform, classes)(image)``.

    image: a PIL.Image of any mode (grey, with transparency, with a palette) and size; its ``convert`` makes it RGB, as
    the pictures of the training were. ``transform`` makes of it a tensor (3, H, W), with the sizes and the
    normalisation of the training: nothing is scaled or normalised besides. The model takes batches (N, 3, H, W) and
    gives logits (N, K).
    Returns the name, of ``classes``, of the class with the largest logit.

    The model predicts in evaluation mode, without recording gradients, on the device of its parameters, wherever the
    transform's tensor is. After each call every module of it has the mode again that it had before the call, and
    PyTorch records gradients again if it did before, also if the transform or the model raised an error; a norm that
    was frozen in a training model stays frozen. The predictor looks at the model in each call: it may be trained on in
    between.
    """

    def __init__(self, model: nn.Module, transform, classes: list[str]):
        # TODO: keep them.
        # BEGIN SOLUTION
        self.model, self.transform, self.classes = model, transform, classes
        # END SOLUTION

    def __call__(self, image) -> str:
        """The name of the class of one picture."""
        # TODO: convert, transform, make a batch of one, predict in the right mode, look up the name.
        # BEGIN SOLUTION
        x = self.transform(image.convert("RGB")).unsqueeze(0)  # (1, 3, H, W)
        modes = [(module, module.training) for module in self.model.modules()]
        device = next((p.device for p in self.model.parameters()), x.device)
        try:
            self.model.eval()
            with torch.no_grad():
                logits = self.model(x.to(device))  # (1, K)
        finally:
            for module, training in modes:
                module.training = training
        return self.classes[logits.argmax(1).item()]
        # END SOLUTION


def to_uint8_hwc_bgr(tensor: Tensor) -> np.ndarray:
    """Return a picture as OpenCV's functions take it: an array uint8 (H, W, 3), blue first, green, red.

    tensor: (3, H, W), red first. Floating-point values mean 0 for black to 1 for full; they are multiplied by 255 and
    rounded to the nearest integer, and what lies outside of 0 to 1 is cut off at 0 and 255. uint8 values, 0 to 255, are
    not scaled. A grey picture (1, H, W) is repeated for the three colours.

    The tensor may require gradients, be on any device and lie in memory in any way. The array is contiguous
    (C order), as OpenCV's functions demand, has its own memory, and the tensor is not changed.

    Colours are exchanged by [2, 1, 0]; [1, 2, 0], which moves axes, is another thing.
    """
    # TODO: bring the values to 0 ... 255, the channels to the end, and blue to the front.
    # BEGIN SOLUTION
    x = tensor.detach().cpu()
    if x.is_floating_point():
        x = (x.float() * 255).round().clamp(0, 255).to(torch.uint8)
    x = x.expand(3, -1, -1)[[2, 1, 0]]
    return np.ascontiguousarray(x.permute(1, 2, 0).numpy())
    # END SOLUTION
