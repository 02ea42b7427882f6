"""As short as it gets: one vector of all weights, norms, where and max."""

import math
from copy import deepcopy

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector


def vector(model, include_bias):
    homes = ("batchnorm", "instancenorm", "normalization")
    norms = [m for m in model.modules() if any(one.__module__.endswith(homes) for one in type(m).__mro__)]
    skip = {p for m in norms for p in m.parameters()}
    skip |= {p for name, p in model.named_parameters() if name.rpartition(".")[2] == "bias"}
    chosen = [p for p in model.parameters() if include_bias or p not in skip]
    return parameters_to_vector(chosen) if chosen else torch.zeros(0)


def l1_penalty(model, lam, include_bias=False):
    return torch.linalg.vector_norm(vector(model, include_bias), 1) * lam


def l2_penalty(model, lam, include_bias=False):
    weights = vector(model, include_bias)
    return weights @ weights * (lam / 2)


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(p)
        self.p = p

    def forward(self, x):
        scale = 1 / max(1 - self.p, 1e-30)
        return torch.where(torch.rand(x.shape, device=x.device) < self.p, 0, x * scale) if self.training else x.clone()


class EarlyStopping:
    best, counter, best_state = math.inf, 0, None

    def __init__(self, patience=5, min_delta=0.0):
        self.patience, self.min_delta = patience, min_delta

    @property
    def should_stop(self):
        return self.counter >= self.patience

    def step(self, value, model=None):
        better = value + self.min_delta < self.best
        self.best, self.counter = (value, 0) if better else (self.best, self.counter + 1)
        if better and model:
            self.best_state = deepcopy(model).state_dict()
        return self.should_stop

    def restore(self, model):
        model.load_state_dict(deepcopy(self.best_state), assign=True)


step_lr = lambda epoch, base, step, gamma: base * math.pow(gamma, math.floor(epoch / step))  # noqa: E731
exponential_lr = lambda epoch, base, gamma: step_lr(epoch, base, 1, gamma)  # noqa: E731


def cosine_with_warmup(step, base, warmup, total, min_lr=0.0):
    angle = math.pi * min(max(step - warmup, 0) / (total - warmup), 1)
    return step / warmup * base if step < warmup else base - (base - min_lr) * math.sin(angle / 2) ** 2


class ReduceOnPlateau:
    def __init__(self, lr, factor=0.1, patience=10, threshold=1e-4, cooldown=0, min_lr=0.0):
        self.__dict__.update(locals())
        self.best, self.bad, self.rest = math.inf, 0, 0

    def step(self, value):
        better = value < self.best * (1 - self.threshold)
        self.best = value if better else self.best
        self.bad = 0 if better or self.rest else self.bad + 1
        self.rest = max(self.rest - 1, 0)
        if self.bad > self.patience:
            self.lr, self.bad, self.rest = max(self.min_lr, self.factor * self.lr), 0, self.cooldown
        return self.lr


def overfit_report(train, val):
    if not len(train) == len(val) > 0:
        raise ValueError("give two lists of the same length")
    best = val.index(min(val))
    heart = train[-1] < train[best] and val[best] < val[-1]
    return dict(best_epoch=best, best_val=val[best], gap=-(train[-1] - val[-1]), overfitting=heart)
