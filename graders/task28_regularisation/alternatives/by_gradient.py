"""The penalties are functions with a gradient of their own; histories are kept whole and looked through."""

import io
import math

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase


class Absolute(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        ctx.save_for_backward(w)
        return w.abs().sum()

    @staticmethod
    def backward(ctx, slope):
        (w,) = ctx.saved_tensors
        return slope * torch.sign(w)


class HalfSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w):
        ctx.save_for_backward(w)
        return w.pow(2).sum() / 2

    @staticmethod
    def backward(ctx, slope):
        return slope * ctx.saved_tensors[0]


def walk(module, include_bias):
    """The parameters, module by module."""
    for name, p in module.named_parameters(recurse=False):
        if include_bias or (name != "bias" and not isinstance(module, (_NormBase, nn.LayerNorm, nn.GroupNorm))):
            yield p
    for child in module.children():
        yield from walk(child, include_bias)


def added(function, model, lam, include_bias):
    different = {id(p): p for p in walk(model, include_bias)}
    if not different:
        return torch.tensor(0)
    return torch.stack([lam * function.apply(p) for p in different.values()]).sum()


def l1_penalty(model, lam, include_bias=False):
    return added(Absolute, model, lam, include_bias)


def l2_penalty(model, lam, include_bias=False):
    return added(HalfSquare, model, lam, include_bias)


class Mask(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, p):
        factor = torch.empty_like(x).uniform_().ge(p).to(x.dtype).div(1 - p) if p < 1 else torch.zeros_like(x)
        ctx.save_for_backward(factor)
        return factor * x

    @staticmethod
    def backward(ctx, slope):
        return slope * ctx.saved_tensors[0], None


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        if p > 1 or p < 0:
            raise ValueError("p is a probability")
        super().__init__()
        self.register_buffer("rate", torch.tensor(float(p)), persistent=False)
        self.p = float(p)

    def forward(self, x):
        return Mask.apply(x, self.p) if self.training else x


class EarlyStopping:
    def __init__(self, patience=5, min_delta=0.0):
        self.patience, self.min_delta, self.values, self.kept = patience, min_delta, [], None

    def _best(self):
        best, place = math.inf, -1
        for epoch, value in enumerate(self.values):
            if value < best - self.min_delta:
                best, place = value, epoch
        return best, place

    best = property(lambda self: self._best()[0])
    counter = property(lambda self: len(self.values) - 1 - self._best()[1])
    should_stop = property(lambda self: self.counter >= self.patience)

    @property
    def best_state(self):
        if self.kept is None:
            return None
        self.kept.seek(0)
        return torch.load(self.kept)

    def step(self, value, model=None):
        self.values.append(value)
        if self.counter == 0 and model is not None:
            self.kept = io.BytesIO()
            torch.save(model.state_dict(), self.kept)
        return self.should_stop

    def restore(self, model):
        model.load_state_dict(self.best_state)


def step_lr(epoch, base, step, gamma):
    return float(base * np.prod(np.full(epoch // step, gamma)))


def exponential_lr(epoch, base, gamma):
    return base if epoch == 0 else gamma * exponential_lr(epoch - 1, base, gamma)


def cosine_with_warmup(step, base, warmup, total, min_lr=0.0):
    if warmup and step <= warmup:
        return float(np.interp(step, [0, warmup], [0, base]))
    t = np.clip((step - warmup) / (total - warmup), 0, 1)
    return float(min_lr + (base - min_lr) * (0.5 + 0.5 * np.cos(np.pi * t)))


class ReduceOnPlateau:
    def __init__(self, lr, factor=0.1, patience=10, threshold=1e-4, cooldown=0, min_lr=0.0):
        self.first, self.settings, self.values = lr, (factor, patience, threshold, cooldown, min_lr), []
        self.lr = lr

    def step(self, value):
        self.values.append(value)
        self.lr = self._replayed()
        return self.lr

    def _replayed(self):
        factor, patience, threshold, cooldown, min_lr = self.settings
        lr, best, last, free = self.first, math.inf, -1, 0
        for epoch, value in enumerate(self.values):
            if value < best * (1 - threshold):
                best, last = value, epoch
            bad = epoch - max(last, free - 1)
            if bad > patience:
                lr, free = max(lr * factor, min_lr), epoch + 1 + cooldown
        return lr


def overfit_report(train, val):
    losses = np.array([train, val]) if len(train) == len(val) and train else None
    if losses is None:
        raise ValueError("nothing to compare")
    best = int(np.argmin(losses[1]))
    since = losses[:, -1] - losses[:, best]
    return {
        "best_epoch": best,
        "best_val": float(losses[1, best]),
        "gap": float(losses[1, -1] - losses[0, -1]),
        "overfitting": bool(since[1] > 0 > since[0]),
    }
