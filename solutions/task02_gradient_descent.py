"""Task 2: gradients and stochastic gradient descent.

Make a noisy line, derive the gradient of the mean squared error, write the update by hand, and recover the slope w
and the intercept b of y = w · x + b.

Try the rates 0.5, 0.1 and 0.01 on x as it is, from 0 to 100: each of them diverges. For such an x the error is a
steep and narrow valley: across it only rates below 0.0003 do not overshoot, and with those the intercept, which lies
along the valley, hardly moves. Scale x first, and all three rates work.

Conventions:

* Losses are means over the samples, without a factor of one half.
* w and b that leave `fit_linear` belong to x and y as they came in, not to the scaled x.

Forbidden: ``torch.optim``, ``nn.Linear`` and ``F.linear``, and everything that solves for the line in one go
(``lstsq``, ``pinv``, ``solve``, ``polyfit``, ...). Autograd is forbidden in `manual_gradients` alone. Python loops
over the samples of a batch are too slow, and so is a ``DataLoader``, which collects a batch sample by sample; a loop
over epochs and batches is what is wanted.
"""

import math

import numpy as np
import torch
from torch import Tensor


def make_data(b: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the line y = 10 x + b + noise.

    x is 0, 0.01, 0.02, ..., 99.99: the end, 100, is not part of it. Every sample has its own noise, drawn from the
    normal distribution with mean 0 and standard deviation 1. The same seed gives the same noise, another seed another
    one.

    b: any float. seed: an int from 0 to 2**32 - 1. Returns: two float64 arrays of shape (10000,).
    """
    # TODO: build the grid, draw one noise value for each sample from a generator made from the seed, and add.
    # BEGIN SOLUTION
    x = np.arange(10_000) / 100  # (10000,)
    noise = np.random.default_rng(seed).standard_normal(x.shape)  # (10000,)
    return x, 10 * x + b + noise
    # END SOLUTION


def mse_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Return the mean of the squared differences, as a tensor without dimensions, differentiable in both.

    pred, target: the same shape, any, not empty, and the same dtype, which is that of the result. Raises ValueError
    when the shapes differ: (N, 1) against (N,) would silently broadcast to (N, N).
    """
    # TODO: refuse different shapes, then average the squared differences.
    # BEGIN SOLUTION
    if pred.shape != target.shape:
        raise ValueError(f"pred is {tuple(pred.shape)}, but target is {tuple(target.shape)}")
    return (pred - target).square().mean()
    # END SOLUTION


def manual_gradients(x: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives of the mean squared error of w · x + b against y, with respect to w and to b.

    Written as formulas: no autograd here.

    x, y: (N,). w, b: tensors without dimensions, of the same dtype and on the same device as x.
    Returns: (d loss / d w, d loss / d b), tensors without dimensions, of that dtype and on that device.
    """
    # TODO: write the two derivatives with the residual.
    # BEGIN SOLUTION
    residual = w * x + b - y  # (N,)
    return 2 * (x * residual).mean(), 2 * residual.mean()
    # END SOLUTION


def sgd_step(params: list[Tensor], lr: float) -> None:
    """Move every parameter against its gradient by ``lr`` times the gradient, in place, and clear the gradient.

    Afterwards each parameter is still the same leaf tensor: requires_grad is True, no graph hangs on it, and its
    gradient is None or zero. A parameter whose gradient is None is left alone. Parameters have any shape and layout.
    """
    # TODO: update without recording a graph, and reset the gradients for the next step.
    # BEGIN SOLUTION
    with torch.no_grad():
        for param in params:
            if param.grad is not None:
                param -= lr * param.grad
                param.grad = None
    # END SOLUTION


def fit_linear(
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor,
    lr: float = 0.1,
    batch_size: int | None = 100,
    epochs: int = 20,
    normalize: bool = True,
    generator: torch.Generator | None = None,
) -> dict:
    """Fit y = w · x + b with mini-batch gradient descent.

    x, y: arrays or tensors of shape (N,) or (N, 1), any float dtype, any device; they are not changed.
        x lies within 0 ... 100 and is not constant.
    lr: the step size, which may shrink during the run. With ``normalize`` every lr up to 0.5 has to work on whole
        batches, so scale x accordingly.
    batch_size: samples for each update; the last batch may be smaller. None: all N of them at once.
    epochs: passes over the data. Before each pass the samples are put into a new random order.
    normalize: True: train on x scaled in whatever way you like (z-score, x / 100, ...).
        False: train on x as it is, with the plain update of `sgd_step`.
    generator: a CPU generator, the source of every random choice, so that the same generator state gives the same fit.
        None: the global generator of PyTorch.

    Returns a dict: "w" and "b", plain floats, the line in the units of the x and y that came in; and "history", a
    list of ``epochs`` plain floats, the mean squared error of each epoch in the units of y squared: either the mean
    over the epoch's batches while it trains, or the error over all of the data at its end.

    Raises FloatingPointError as soon as the loss of an epoch is inf or nan: a run that diverged has no line to return.
    """
    # TODO: flatten and scale x, loop over epochs and batches, record the loss, and undo the scaling at the end.
    # BEGIN SOLUTION
    x = torch.as_tensor(x).flatten().double()  # (N,)
    y = torch.as_tensor(y).flatten().double()  # (N,)
    shift, scale = (x.mean(), x.std()) if normalize else (0.0, 1.0)
    z = (x - shift) / scale  # (N,)
    w = torch.zeros((), dtype=z.dtype, device=z.device, requires_grad=True)
    b = torch.zeros((), dtype=z.dtype, device=z.device, requires_grad=True)
    history = []
    for epoch in range(epochs):
        order = torch.randperm(len(z), generator=generator).to(z.device)
        total = torch.zeros_like(w)
        for batch in order.split(batch_size or len(z)):
            loss = mse_loss(w * z[batch] + b, y[batch])
            loss.backward()
            sgd_step([w, b], lr)
            total += loss.detach() * len(batch)
        history.append(total.item() / len(z))
        if not math.isfinite(history[-1]):
            raise FloatingPointError(f"the loss is {history[-1]} after epoch {epoch}: lr = {lr:g} is too large")
    slope = w.item() / float(scale)
    return {"w": slope, "b": b.item() - slope * float(shift), "history": history}
    # END SOLUTION
