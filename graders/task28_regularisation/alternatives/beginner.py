"""Loops, lists and flags, one thing after the other."""

import math

import torch
from torch import nn


def weights_of(model, include_bias):
    found = []
    for module in model.modules():
        is_norm = "Norm" in type(module).__name__
        for name, parameter in module._parameters.items():
            if parameter is None:
                continue
            if not include_bias and (is_norm or name == "bias"):
                continue
            if not any(parameter is other for other in found):
                found.append(parameter)
    return found


def l1_penalty(model, lam, include_bias=False):
    total = torch.tensor(0.0)
    for parameter in weights_of(model, include_bias):
        total = total + torch.sum(torch.abs(parameter))
    return lam * total


def l2_penalty(model, lam, include_bias=False):
    total = torch.tensor(0.0)
    for parameter in weights_of(model, include_bias):
        total = total + torch.sum(parameter**2)
    return 0.5 * lam * total


class Dropout(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        if p < 0 or p > 1:
            raise ValueError("p must be between 0 and 1")
        self.p = p

    def forward(self, x):
        if self.training:
            if self.p == 1.0:
                return torch.zeros_like(x)
            mask = torch.bernoulli(torch.full_like(x, 1 - self.p))
            return x * mask / (1 - self.p)
        else:
            return x


class EarlyStopping:
    def __init__(self, patience=5, min_delta=0.0):
        self.patience = patience
        self.min_delta = min_delta
        self.best = float("inf")
        self.best_state = None
        self.counter = 0
        self.should_stop = False

    def step(self, value, model=None):
        improved = self.best - value > self.min_delta
        if improved:
            self.best = value
            self.counter = 0
            if model is not None:
                self.best_state = {}
                for name, tensor in model.state_dict().items():
                    self.best_state[name] = tensor.clone()
        else:
            self.counter = self.counter + 1
            if self.counter == self.patience:
                self.should_stop = True
        return self.should_stop

    def restore(self, model):
        state = model.state_dict()
        for name in state:
            state[name].copy_(self.best_state[name])


def step_lr(epoch, base, step, gamma):
    rate = base
    for past in range(epoch):
        if (past + 1) % step == 0:
            rate = rate * gamma
    return rate


def exponential_lr(epoch, base, gamma):
    rate = base
    for _ in range(epoch):
        rate *= gamma
    return rate


def cosine_with_warmup(step, base, warmup, total, min_lr=0.0):
    if step < warmup:
        return step / warmup * base
    elif step < total:
        progress = (step - warmup) / (total - warmup)
        return min_lr + 0.5 * (base - min_lr) * (1 + math.cos(math.pi * progress))
    else:
        return min_lr


class ReduceOnPlateau:
    def __init__(self, lr, factor=0.1, patience=10, threshold=1e-4, cooldown=0, min_lr=0.0):
        self.lr = lr
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.best = None
        self.num_bad = 0
        self.cooldown_left = 0

    def step(self, value):
        if math.isnan(value):
            better = False
        elif self.best is None:
            better = not math.isinf(value)
        else:
            better = value < self.best - self.best * self.threshold
        if better:
            self.best = value
            self.num_bad = 0
        else:
            self.num_bad += 1
        if self.cooldown_left > 0:
            self.cooldown_left -= 1
            self.num_bad = 0
        if self.num_bad > self.patience:
            self.lr = self.lr * self.factor
            if self.lr < self.min_lr:
                self.lr = self.min_lr
            self.num_bad = 0
            self.cooldown_left = self.cooldown
        return self.lr


def overfit_report(train, val):
    if len(train) == 0 or len(val) == 0:
        raise ValueError("no losses")
    if len(train) != len(val):
        raise ValueError("lengths differ")
    best_epoch = 0
    for epoch in range(1, len(val)):
        if val[epoch] < val[best_epoch]:
            best_epoch = epoch
    overfitting = False
    if val[-1] > val[best_epoch]:
        if train[-1] < train[best_epoch]:
            overfitting = True
    report = {}
    report["best_epoch"] = best_epoch
    report["best_val"] = val[best_epoch]
    report["gap"] = val[-1] - train[-1]
    report["overfitting"] = overfitting
    report["epochs"] = len(val)
    return report
