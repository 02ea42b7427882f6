"""Right functions that take the place of wrong ones where a fit is graded."""

import torch


def mse_loss(pred, target):
    if pred.shape != target.shape:
        raise ValueError("pred and target have different shapes")
    return torch.mean((pred - target) ** 2)


def sgd_step(params, lr):
    for param in params:
        if param.grad is not None:
            param.data.sub_(param.grad, alpha=lr)
            param.grad = None
