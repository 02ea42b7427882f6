"""Helpers of task 25 that run beside the submission."""

import contextlib
import inspect
import operator

import numpy as np
import torch
from torch import nn
from torch.func import functional_call


def table(parse_table, text):
    """What parse_table makes of a text; an array counts as a tensor."""
    found = parse_table(text)
    return torch.from_numpy(found) if isinstance(found, np.ndarray) else found


def scaled(standardize, train, test):
    """What standardize returns, as it is if the deviation divides by N, and turned into that if it divides by N - 1."""
    found = standardize(train, test)
    if not (isinstance(found, (tuple, list)) and len(found) == 2 and isinstance(found[0], torch.Tensor)):
        return found
    spread = found[0].detach().double().std(0, correction=1)
    varies = spread[spread > 1e-3]
    by_one_less = len(varies) > 0 and bool(((varies - 1).abs() < 1e-3).all())
    factor = (len(train) / (len(train) - 1)) ** 0.5 if by_one_less else 1.0
    return tuple(part * factor for part in found)


def answers(build, x, w1, b1, w2, b2):
    """What a new net returns with these weights: as it is, or (N,) where the shape is one of the two allowed."""
    net = build().to(x.device, x.dtype)
    weights = {tuple(weight.shape): weight for weight in (w1, b1, w2, b2)}
    named = {name: tuple(parameter.shape) for name, parameter in net.named_parameters()}
    if sorted(named.values()) != sorted(weights):
        raise ValueError(f"linear layers 13 -> 100 -> 1 have parameters of the shapes {sorted(weights)}, not {named}")
    found = functional_call(net, {name: weights[shape] for name, shape in named.items()}, (x,))
    fits = isinstance(found, torch.Tensor) and found.shape in ((len(x),), (len(x), 1))
    return found.reshape(-1) if fits else found


def predictions(train_regressor, x, y, unseen, options):
    """What the net that train_regressor returns says of other rows, (N,), float64."""
    net = train_regressor(x, y, **options)
    net.eval()
    with torch.no_grad():
        return net(unseen).double().reshape(-1)


def axes_of_answers(build, counts):
    """How many axes the answers of a net have for so many rows each."""
    net = build()
    return [net(torch.randn(count, 13)).ndim for count in counts]


def two_nets(train_regressor, x, y, unseen):
    """What a net says of other rows, before and after train_regressor made another one."""
    net = train_regressor(x, y, epochs=3, seed=1).eval()
    before = net(unseen).detach()
    train_regressor(x, y, epochs=3, seed=2)
    return before, net(unseen).detach()


def kind_of_folds(k_fold_indices, n, k, **options):
    """What k_fold_indices returns, in words."""
    found = k_fold_indices(n, k, **options)
    if not isinstance(found, list):
        return f"a {type(found).__name__}"
    try:
        rows = [operator.index(row) for train, test in found for row in (*train, *test)]
    except TypeError:
        return "a list with numbers that are not whole"
    return "a list of pairs of whole numbers" if rows else "an empty list"


def folds(k_fold_indices, n, k, **options):
    """The pairs of row numbers as lists in rising order."""
    return [[sorted(int(row) for row in rows) for rows in pair] for pair in k_fold_indices(n, k, **options)]


class Known(nn.Module):
    """A net whose answers are known: the mean of the prices that it was made from, and a little of x. It keeps what it
    was asked."""

    def __init__(self, mean, column):
        super().__init__()
        self.mean, self.column, self.asked, self.said = mean, column, [], []

    def forward(self, x):
        said = self.mean + x.mean(1) + x[:, 0]
        self.asked.append(x.detach().clone())
        self.said.append(said.detach().clone())
        return said[:, None] if self.column else said


def rounds(cross_validate, x, y, options):
    """What cross_validate returns and its rounds, while train_regressor of the submission stands aside.

    Each round: x and y that were trained on, epochs and lr, and what the net was asked and said, training rows left
    out.
    """
    world = inspect.unwrap(cross_validate).__globals__
    made, column = [], False
    with contextlib.suppress(NotImplementedError):
        column = world["HousingNet"]()(torch.zeros(2, 13)).ndim == 2

    def train_regressor(x, y, epochs=300, lr=0.01, seed=0):
        net = Known(y.detach().mean(), column)
        made.append((net, {"x": x.detach().clone(), "y": y.detach().reshape(-1).clone(), "epochs": int(epochs),
                           "lr": float(lr)}))  # fmt: skip
        return net

    own, world["train_regressor"] = world["train_regressor"], train_regressor
    try:
        found = cross_validate(x, y, **options)
    finally:
        world["train_regressor"] = own
    for net, about in made:
        kept = [n for n, rows in enumerate(net.asked) if not torch.equal(rows, about["x"])]
        about["asked"] = torch.cat([net.asked[n] for n in kept]) if kept else torch.zeros(0, x.shape[1])
        about["said"] = torch.cat([net.said[n] for n in kept]) if kept else torch.zeros(0)
    return found, [about for _, about in made]
