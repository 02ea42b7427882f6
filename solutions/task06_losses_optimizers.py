"""Task 6: loss functions and optimisers.

Write the usual losses and optimisers by formula, then return to the noisy line of task 2 and find out what the rates
0.1, 0.5 and 0.01 do to it, and when.

Conventions, the same as PyTorch's unless said otherwise:

* A loss takes the prediction first and the target second. The result has the device and the dtype of the prediction,
  float32 or float64, and no argument is changed. Gradients reach the prediction and are those of the formula, also
  where a smooth loss is made of pieces.
* ``reduction`` is "mean", "sum" or "none" (one value for each element or sample, not reduced). `kl_div` knows
  "batchmean" besides. Anything else raises ValueError.
* An optimiser changes parameters in place: the tensors that it was given stay the leaves they were, their
  gradients stay until ``zero_grad``, and autograd records nothing of a step. It keeps what it remembers of a
  parameter in tensors of its own, of the parameter's dtype and device. A parameter whose gradient is None is left
  alone. A parameter has any shape, float32 or float64.
* Weight decay is L2: ``weight_decay * param`` is added to the gradient before anything else. AdamW differs.

Forbidden: ``torch.optim``, and the losses of ``torch.nn`` and ``torch.nn.functional`` (``cross_entropy``, ``nll_loss``,
``CrossEntropyLoss``, ...). Allowed are the functions below them: ``logsumexp``, ``log_softmax``, ``logsigmoid``,
``softplus``, ``where``, ``gather``, ... Loops over samples or elements are too slow.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor


def reduce_loss(values: Tensor, reduction: str = "mean") -> Tensor:
    """Return the mean or the sum of all values, or the values themselves for "none".

    Raises ValueError for any other reduction.
    """
    # TODO: tell the three reductions apart.
    # BEGIN SOLUTION
    if reduction == "mean":
        return values.mean()
    if reduction == "sum":
        return values.sum()
    if reduction == "none":
        return values
    raise ValueError(f"unknown reduction {reduction!r}")
    # END SOLUTION


def l1_loss(pred: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return the absolute differences of pred and target, two tensors of the same shape, reduced."""
    # TODO: write the formula.
    # BEGIN SOLUTION
    return reduce_loss((pred - target).abs(), reduction)
    # END SOLUTION


def mse_loss(pred: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Return the squared differences of pred and target, two tensors of the same shape, reduced; no factor 1/2."""
    # TODO: write the formula.
    # BEGIN SOLUTION
    return reduce_loss((pred - target).square(), reduction)
    # END SOLUTION


def smooth_l1_loss(pred: Tensor, target: Tensor, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Return d² / (2 beta) where the difference d is smaller than beta, |d| - beta / 2 elsewhere, reduced.

    pred, target: the same shape. beta > 0.
    """
    # TODO: write both branches and choose between them.
    # BEGIN SOLUTION
    size = (pred - target).abs()
    return reduce_loss(torch.where(size < beta, size.square() / (2 * beta), size - beta / 2), reduction)
    # END SOLUTION


def huber_loss(pred: Tensor, target: Tensor, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Return d² / 2 where the difference d is smaller than delta, delta (|d| - delta / 2) elsewhere, reduced.

    pred, target: the same shape. delta > 0.
    """
    # TODO: find the relation to smooth_l1_loss, or write both branches.
    # BEGIN SOLUTION
    return delta * smooth_l1_loss(pred, target, delta, reduction)
    # END SOLUTION


def nll_loss(
    log_probs: Tensor,
    target: Tensor,
    ignore_index: int = -100,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the negative log-probability of the target class of each sample, times the weight of that class.

    log_probs: (N, C) or (N, C, d1, ...), the classes on axis 1. target: int64, (N,) or (N, d1, ...), class numbers
    from 0 to C - 1, or ignore_index, which may lie outside of them. weight: (C,), or None for a weight of 1 everywhere.

    "none" has the shape of target, with 0 for ignored samples, even where log_probs is -inf. "mean" is the sum divided
    by the sum of the weights of the target classes that were not ignored: nan when all are ignored.
    """
    # TODO: pick the log-probability of each target, weigh it, and leave the ignored ones out of sum and count.
    # BEGIN SOLUTION
    kept = target != ignore_index
    index = target.where(kept, 0)  # a class number that can be looked up, also for the ignored
    picked = -log_probs.gather(1, index.unsqueeze(1)).squeeze(1)  # the shape of target
    share = kept if weight is None else weight[index] * kept
    losses = (picked * share).where(kept, 0.0)
    return losses.sum() / share.sum() if reduction == "mean" else reduce_loss(losses, reduction)
    # END SOLUTION


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the cross entropy of softmax(logits) against class numbers; finite also for logits of ±1000.

    logits: (N, C) or (N, C, d1, ...), unbounded scores, not probabilities. The other arguments and the reductions are
    those of `nll_loss`.

    With label_smoothing e the target of a sample is no longer its class alone: its class gets 1 - e, and in addition
    every class, its own included, gets e / C. Each class's part of the loss is multiplied by the weight of that
    class. "mean" still divides by the sum of the weights of the target classes.
    """
    # TODO: turn the logits into log-probabilities without overflow; smooth, if asked to.
    # BEGIN SOLUTION
    log_probs = logits.log_softmax(1)
    plain = nll_loss(log_probs, target, ignore_index, weight, reduction)
    if label_smoothing == 0.0:
        return plain
    kept = target != ignore_index
    index = target.where(kept, 0)
    weights = log_probs.new_ones(log_probs.shape[1]) if weight is None else weight  # (C,)
    column = weights.reshape(-1, *[1] * (logits.ndim - 2))  # (C, 1, ...)
    spread = -(log_probs * column).mean(1).where(kept, 0.0)  # every class gets 1 / C
    total = (weights[index] * kept).sum()
    smooth = spread.sum() / total if reduction == "mean" else reduce_loss(spread, reduction)
    return (1 - label_smoothing) * plain + label_smoothing * smooth
    # END SOLUTION


def binary_cross_entropy_with_logits(
    logits: Tensor, target: Tensor, pos_weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Return the binary cross entropy of sigmoid(logits) against target, reduced; finite also for logits of ±1000.

    logits, target: the same shape; targets lie between 0 and 1, both included. pos_weight: multiplies the part of the
    loss that belongs to the target 1; it broadcasts against logits. None: 1.
    """
    # TODO: write the loss with the logarithms of sigmoid(x) and sigmoid(-x), each without overflow.
    # BEGIN SOLUTION
    positive = target * torch.nn.functional.logsigmoid(logits)
    if pos_weight is not None:
        positive = positive * pos_weight
    return reduce_loss(-positive - (1 - target) * torch.nn.functional.logsigmoid(-logits), reduction)
    # END SOLUTION


def kl_div(log_input: Tensor, target: Tensor, reduction: str = "batchmean") -> Tensor:
    """Return target · (log target - log_input), the Kullback-Leibler divergence of input from target, reduced.

    log_input: log-probabilities, all finite. target: probabilities, the same shape; a target of 0 adds exactly 0.
    reduction: "batchmean" is the sum divided by the length of the first axis, and the default. "mean" divides by the
    number of elements.
    """
    # TODO: write the formula so that 0 · log 0 is 0, and add the fourth reduction.
    # BEGIN SOLUTION
    values = torch.xlogy(target, target) - target * log_input
    return values.sum() / len(values) if reduction == "batchmean" else reduce_loss(values, reduction)
    # END SOLUTION


class Optimizer:
    """What all optimisers share.

    params: an iterable of tensors, which may be a generator; or of dicts, the parameter groups. A dict has the key
    "params", an iterable of tensors, and may have options of its own, such as {"params": [...], "lr": 0.01}. Options
    that it lacks are taken from the constructor's arguments.

    param_groups: the list of groups. Each is a dict with the list "params" and every option of the optimiser, such as
    "lr". Writing ``optimizer.param_groups[0]["lr"] = 0.01`` changes the rate of the steps that follow.
    """

    def __init__(self, params: Iterable[Tensor] | Iterable[dict], **options: object) -> None:
        # TODO: make self.param_groups, and a place for what is remembered of each parameter.
        # BEGIN SOLUTION
        params = list(params)
        groups = params if params and isinstance(params[0], dict) else [{"params": params}]
        self.param_groups = [{**options, **group, "params": list(group["params"])} for group in groups]
        self.state: dict[Tensor, dict] = {}  # keyed by the tensor object, not by its values
        # END SOLUTION

    def zero_grad(self) -> None:
        """Make the gradient of every parameter None or zero. Allowed at any time, also before the first backward."""
        # TODO: clear the gradients.
        # BEGIN SOLUTION
        for group in self.param_groups:
            for param in group["params"]:
                param.grad = None
        # END SOLUTION

    def with_gradients(self) -> Iterator[tuple[dict, Tensor, Tensor, dict]]:
        """Yield (group, param, gradient, memory) for each parameter that has a gradient.

        memory: the dict of what is remembered of this one parameter from step to step, empty at first. A convenience
        for the steps below.
        """
        # TODO: loop over groups and parameters.
        # BEGIN SOLUTION
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    yield group, param, param.grad, self.state.setdefault(param, {})
        # END SOLUTION


class SGD(Optimizer):
    """Gradient descent with momentum.

    The velocity v of a parameter starts as its first gradient. From then on v = momentum · v + gradient. A step goes
    -lr · v; with nesterov -lr · (gradient + momentum · v), v being the new one. With momentum 0 it goes -lr · gradient.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 0.001,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)

    def step(self) -> None:
        # TODO: update each parameter that has a gradient.
        # BEGIN SOLUTION
        with torch.no_grad():
            for group, param, gradient, memory in self.with_gradients():
                gradient = gradient + group["weight_decay"] * param
                velocity = group["momentum"] * memory.get("velocity", 0.0) + gradient
                memory["velocity"] = velocity
                direction = gradient + group["momentum"] * velocity if group["nesterov"] else velocity
                param -= group["lr"] * direction
        # END SOLUTION


class Adagrad(Optimizer):
    """Gradient descent with a rate for each element.

    A step goes -lr · gradient / (sqrt(s) + eps), where s is the sum of all squared gradients, the new one included.
    """

    def __init__(self, params: Iterable, lr: float = 0.01, eps: float = 1e-10, weight_decay: float = 0.0) -> None:
        super().__init__(params, lr=lr, eps=eps, weight_decay=weight_decay)

    def step(self) -> None:
        # TODO: update each parameter that has a gradient.
        # BEGIN SOLUTION
        with torch.no_grad():
            for group, param, gradient, memory in self.with_gradients():
                gradient = gradient + group["weight_decay"] * param
                memory["squares"] = memory.get("squares", 0.0) + gradient.square()
                param -= group["lr"] * gradient / (memory["squares"].sqrt() + group["eps"])
        # END SOLUTION


class RMSprop(Optimizer):
    """Adagrad that forgets: s = alpha · s + (1 - alpha) · gradient², from s = 0.

    The scaled gradient is gradient / (sqrt(s) + eps), and the step goes -lr · scaled gradient. With momentum it goes
    -lr · v where v = momentum · v + scaled gradient, from v = 0.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 0.01,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, alpha=alpha, eps=eps, momentum=momentum, weight_decay=weight_decay)

    def step(self) -> None:
        # TODO: update each parameter that has a gradient.
        # BEGIN SOLUTION
        with torch.no_grad():
            for group, param, gradient, memory in self.with_gradients():
                gradient = gradient + group["weight_decay"] * param
                alpha = group["alpha"]
                memory["square"] = alpha * memory.get("square", 0.0) + (1 - alpha) * gradient.square()
                scaled = gradient / (memory["square"].sqrt() + group["eps"])
                memory["velocity"] = group["momentum"] * memory.get("velocity", 0.0) + scaled
                param -= group["lr"] * memory["velocity"]
        # END SOLUTION


class Adam(Optimizer):
    """Averages of the gradient and of its square, both corrected for their start at 0.

    m = beta1 · m + (1 - beta1) · gradient and v = beta2 · v + (1 - beta2) · gradient², from m = v = 0. In step t (1,
    2, ...) of a parameter the corrected averages are m / (1 - beta1^t) and v / (1 - beta2^t), and the step goes
    -lr · corrected m / (sqrt(corrected v) + eps).
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self) -> None:
        # TODO: update each parameter that has a gradient.
        # BEGIN SOLUTION
        with torch.no_grad():
            for group, param, gradient, memory in self.with_gradients():
                gradient = gradient + group["weight_decay"] * param
                param -= group["lr"] * adam_direction(group, gradient, memory)
        # END SOLUTION


class AdamW(Optimizer):
    """Adam with decoupled weight decay.

    First the parameter is multiplied by 1 - lr · weight_decay, then it makes Adam's step without decay.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    def step(self) -> None:
        # TODO: update each parameter that has a gradient.
        # BEGIN SOLUTION
        with torch.no_grad():
            for group, param, gradient, memory in self.with_gradients():
                param *= 1 - group["lr"] * group["weight_decay"]
                param -= group["lr"] * adam_direction(group, gradient, memory)
        # END SOLUTION


def adam_direction(group: dict, gradient: Tensor, memory: dict) -> Tensor:
    """Return corrected m / (sqrt(corrected v) + eps), what Adam and AdamW have in common; brings memory up to date.

    group: has "betas" and "eps". memory: what is remembered of the parameter, an empty dict before the first step.
    """
    # TODO: update the two averages and the number of steps, correct the averages, and divide.
    # BEGIN SOLUTION
    beta1, beta2 = group["betas"]
    memory["t"] = memory.get("t", 0) + 1
    memory["m"] = beta1 * memory.get("m", 0.0) + (1 - beta1) * gradient
    memory["v"] = beta2 * memory.get("v", 0.0) + (1 - beta2) * gradient.square()
    m = memory["m"] / (1 - beta1 ** memory["t"])
    v = memory["v"] / (1 - beta2 ** memory["t"])
    return m / (v.sqrt() + group["eps"])
    # END SOLUTION


def run_regression(
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor,
    optimizer_name: str = "SGD",
    lr: float = 0.1,
    normalize: str = "zscore",
    steps: int = 500,
) -> dict:
    """Fit y = w · x + b by the mean squared error over all samples at once, in float64, and say honestly how it went.

    x, y: arrays or tensors of shape (N,), float16, float32 or float64. They are not changed.
    optimizer_name: "SGD", "Adagrad", "RMSprop", "Adam" or "AdamW"; all of its options but lr have their defaults.
    normalize: how x is scaled for the training. "none": not at all. "zscore": mean 0 and standard deviation 1.
        "minmax": to [0, 1]. y is never scaled.
    steps: the number of updates. Training starts at slope 0 and intercept 0 of the scaled x.

    Returns a dict of plain numbers:
    "w", "b": the line in the units of the x and y that came in (whatever is left of it when the run diverged).
    "losses": one float for each update made, the loss before that update. A run makes all of its steps, unless it
        diverges.
    "status": "diverged" when the loss became inf or nan, or ended above where it began. Such a run stops at once, at
        the latest 5 updates after the first loss that is not finite, and raises nothing. "converged" when w and b have
        come to rest: more steps would hardly change them. "running" otherwise. Which test of rest you use is up to you.
    """
    # TODO: scale, train, watch the loss, undo the scaling, and judge the run.
    # BEGIN SOLUTION
    x, y = (torch.as_tensor(values).double() for values in (x, y))  # (N,) each
    shift, scale = {
        "none": lambda: (0.0, 1.0),
        "zscore": lambda: (x.mean().item(), x.std().item()),
        "minmax": lambda: (x.min().item(), (x.max() - x.min()).item()),
    }[normalize]()
    z = (x - shift) / scale
    w, b = (torch.zeros((), dtype=z.dtype, device=z.device, requires_grad=True) for _ in range(2))
    kinds = {kind.__name__: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW)}
    optimizer = kinds[optimizer_name]([w, b], lr=lr)
    losses, path = [], []
    for _ in range(steps):
        path.append((w.item(), b.item()))
        loss = mse_loss(w * z + b, y)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    line, earlier = (w.item(), b.item()), path[len(path) * 9 // 10]
    slope = line[0] / scale
    at_rest = all(abs(now - then) <= 1e-3 * abs(now) for now, then in zip(line, earlier, strict=True))
    if not math.isfinite(losses[-1]) or losses[-1] > losses[0]:
        status = "diverged"
    else:
        status = "converged" if at_rest else "running"
    return {"w": slope, "b": line[1] - slope * shift, "losses": losses, "status": status}
    # END SOLUTION


def compare_learning_rates(
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor,
    lrs: Iterable[float] = (0.1, 0.5, 0.01),
    optimizer_name: str = "SGD",
    normalize: str = "zscore",
    steps: int = 2000,
) -> dict[float, dict]:
    """Return what `run_regression` returns for each rate of lrs, in a dict whose keys are the rates.

    lrs may be a generator. Each run starts anew. The other arguments are those of `run_regression`.
    """
    # TODO: one run for each rate.
    # BEGIN SOLUTION
    return {lr: run_regression(x, y, optimizer_name, lr, normalize, steps) for lr in lrs}
    # END SOLUTION
