"""Helpers that take functions: reduce, einsum, a mask of float64; the plateau rests until an epoch that is kept."""

from functools import reduce
from math import cos, inf, isnan, pi

import numpy as np
from torch import nn

_NORM = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def _chosen(model, everything):
    pairs = (
        (id(p), p)
        for m in model.modules()
        if everything or not isinstance(m, _NORM)
        for name, p in m.named_parameters(recurse=False)
        if everything or name != "bias"
    )
    return dict(pairs).values()


def _penalty(model, everything, term):
    terms = [term(p.flatten().to(torch.promote_types(p.dtype, torch.float32))) for p in _chosen(model, everything)]
    return reduce(torch.add, terms) if terms else torch.zeros(())


def l1_penalty(model, lam, include_bias=False):
    return lam * _penalty(model, include_bias, lambda w: torch.linalg.vector_norm(w, 1) if w.numel() else w.sum())


def l2_penalty(model, lam, include_bias=False):
    return lam * _penalty(model, include_bias, lambda w: torch.einsum("i,i->", w, w)) / 2


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError(f"no probability: {p}")
        self.p = p

    def extra_repr(self):
        return f"p={self.p}"

    def forward(self, x):
        if not self.training or not self.p:
            return x
        mask = torch.bernoulli(torch.full(x.shape, 1.0 - self.p, dtype=torch.float64, device=x.device))
        return x * mask.to(x.dtype) / (1.0 - self.p or 1.0)


class EarlyStopping:
    def __init__(self, patience=5, min_delta=0.0):
        self.patience, self.min_delta = patience, min_delta
        self.best, self.counter, self.best_state = inf, 0, None

    @property
    def should_stop(self):
        return bool(self.counter >= self.patience)

    def step(self, value, model=None):
        better = value < self.best - self.min_delta
        self.counter = 0 if better else self.counter + 1
        if better:
            self.best = value
            self.best_state = self.best_state if model is None else copy.deepcopy(model.state_dict())
        return self.should_stop

    def restore(self, model):
        model.load_state_dict(copy.deepcopy(self.best_state))


def step_lr(epoch, base, step, gamma):
    return exponential_lr(epoch // step, base, gamma)


def exponential_lr(epoch, base, gamma):
    return float(np.float64(base) * np.power(float(gamma), epoch))


def cosine_with_warmup(step, base, warmup, total, min_lr=0.0):
    def fall(share):
        return min_lr + (base - min_lr) * (1 + cos(pi * share)) / 2

    return float(base * step / warmup if step < warmup else fall((min(step, total) - warmup) / (total - warmup)))


class ReduceOnPlateau:
    def __init__(self, lr, factor=0.1, patience=10, threshold=1e-4, cooldown=0, min_lr=0.0):
        self.lr, self._best, self._bad, self._epoch, self._cool_until = lr, inf, 0, 0, 0
        self._shrink = lambda rate: max(rate * factor, min_lr)
        self._better = lambda v: not isnan(v) and v < self._best * (1 - threshold)
        self._patience, self._cooldown = patience, cooldown

    def step(self, value):
        self._epoch += 1
        if self._better(value):
            self._best, self._bad = value, 0
        elif self._epoch > self._cool_until:
            self._bad += 1
        if self._bad > self._patience:
            self.lr, self._bad = self._shrink(self.lr), 0
            self._cool_until = self._epoch + self._cooldown
        return self.lr


def overfit_report(train, val):
    if not len(train) == len(val) > 0:
        raise ValueError("two lists of the same length are needed")
    t, v = np.asarray(train, dtype=np.float64), np.asarray(val, dtype=np.float64)
    k = int(np.argmin(v))
    return dict(
        best_epoch=k, best_val=float(v[k]), gap=float(v[-1] - t[-1]), overfitting=bool(v[-1] > v[k] and t[-1] < t[k])
    )
