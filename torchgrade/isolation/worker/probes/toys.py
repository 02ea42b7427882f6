"""Small networks and loaders on which suites try functions that take any of them.

A suite writes ``submission.probes.toy("Pixels", classes=3)`` and ``submission.probes.loader(images, labels, 16)``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from torchgrade.isolation.worker.registry import probe


class Pixels(nn.Module):
    """Its outputs are the first pixels of an image, times ``gain``, a parameter that is 1: (N, ...) -> (N, count).

    Whoever writes the images knows each output, loss and gradient. The buffer ``passes`` counts passes in training
    mode. ``moody``: in training mode the outputs change sign, so that the mode shows in every number.
    """

    passes: Tensor

    def __init__(self, count: int = 10, moody: bool = False) -> None:
        super().__init__()
        self.count, self.moody = count, moody
        self.gain = nn.Parameter(torch.ones(1))
        self.register_buffer("passes", torch.zeros(1, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.passes += 1
        sign = -1 if self.moody and self.training else 1
        return sign * self.gain * x.flatten(1)[:, : self.count]


class Linear(nn.Module):
    """A linear model on the first pixels of an image; ``weight`` (outputs, pixels), ``bias`` (outputs,)."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x.flatten(1)[:, : self.weight.shape[1]], self.weight, self.bias)


class Chain(nn.Module):
    """Nested containers, batch norm (which has buffers) and dropout; images of 3 × 10 × 12."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(80, 7))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))  # type: ignore[no-any-return]


class Detour(nn.Module):
    """Registered in another order than called; the norm serves twice and the ReLU thrice, with other shapes; one
    layer never.

    Images of 3 × 10 × 12.
    """

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 7)
        self.spare = nn.Linear(9, 9)
        self.bend = nn.ReLU()
        self.second = nn.Conv2d(4, 4, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Conv2d(3, 4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bend(self.norm(self.first(x)))
        x = self.bend(self.norm(self.second(x)))
        return self.bend(self.last(x.mean((2, 3))))  # type: ignore[no-any-return]


class Shared(nn.Module):
    """Two layers with one weight, and one layer under two names; inputs of 4 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 4), nn.Linear(4, 4)
        self.down.weight = self.up.weight
        self.down.bias.requires_grad_(False)
        self.again = self.up

    def forward(self, x: Tensor) -> Tensor:
        return self.again(self.down(self.up(x)))  # type: ignore[no-any-return]


class Stretch(nn.Module):
    """A layer of one's own: a factor for each number; its buffer ``shift`` is no parameter."""

    shift: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.ones(width))
        self.register_buffer("shift", torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factors + self.shift


class Strict(nn.Module):
    """Layers of one's own kind, with a tuple for an output, and with no use for a batch of one; inputs of 5 × 6."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(6, 4, batch_first=True)
        self.norm = nn.BatchNorm1d(4, track_running_stats=False)
        self.last = Stretch(4)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.memory(x)
        return self.last(self.norm(states[:, -1]))  # type: ignore[no-any-return]


class Halves(nn.Module):
    """Cuts its input into a named tuple of two halves: (N, 2 n) -> (N, n) each."""

    def forward(self, x: Tensor) -> Parts:
        return Parts(*x.chunk(2, 1))


class Parts(NamedTuple):
    front: Tensor
    back: Tensor


class Gate(nn.Module):
    """The front, as far as the back lets it through."""

    def forward(self, parts: Parts) -> Tensor:
        return parts.front * parts.back.sigmoid()


class Gated(nn.Sequential):
    """A layer between others puts out a named tuple; inputs of 3 numbers."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(3, 8), Halves(), Gate())


class Numbers(nn.Sequential):
    """For single numbers, (N,) -> (N,); one layer is of a class within this one, the last keeps the batch axis."""

    class Column(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, None]

    def __init__(self) -> None:
        super().__init__(self.Column(), nn.Linear(1, 1), nn.Flatten(0))


class Failing(Chain):
    """Raises in the middle of its pass."""

    def forward(self, x: Tensor) -> Tensor:
        self.body(x)
        raise RuntimeError("this model cannot be run to its end")


KINDS = {kind.__name__: kind for kind in (Pixels, Linear, Chain, Detour, Shared, Strict, Gated, Numbers, Failing)}


@probe
def toy(kind: str, *args: Any, **kwargs: Any) -> nn.Module:
    """A toy network of this kind: a class of this module by its name, called with the rest."""
    return KINDS[kind](*args, **kwargs)


@probe
def loader(*tensors_and_size: Any) -> DataLoader[Any]:
    """``loader(images, labels, batch_size)``: batches of the tensors, in their order."""
    *tensors, batch_size = tensors_and_size
    return DataLoader(TensorDataset(*tensors), batch_size)


@probe
def batches(loader: Any) -> list[list[Any]]:
    """One pass over a loader of pairs: the first parts of all batches, and the second parts."""
    pairs = [(first, second) for first, second in loader]
    return [[first for first, _ in pairs], [second for _, second in pairs]]
