"""Helpers that run beside the submission."""

import torch


def at_three_places(function, x):
    """Three calls in one graph, whose backward passes come after all; others need their incoming gradients, too."""
    return function.apply(x) * function.apply(-2 * x) + function.apply(3 * x) + x


def answer_or_refusal(function, *arguments):
    """The result, or None where they are refused. PyTorch refuses some dtypes by NotImplementedError with a text."""
    try:
        return function(*arguments)
    except NotImplementedError as error:
        if not str(error):
            raise
        return None
    except (TypeError, ValueError, RuntimeError):
        return None


def right_sigmoid(x):
    """The substitute of a wrong one where functions that call it are graded."""
    small = torch.exp(-x.abs())
    return torch.where(x < 0, small, torch.ones_like(x)) / (1 + small)


def right_tanh(x):
    """The substitute of a wrong one where functions that call it are graded."""
    small = torch.expm1(-2 * x.abs())
    return torch.where(x < 0, small, -small) / (small + 2)


def right_elu(x, alpha=1.0):
    """The substitute of a wrong one where functions that call it are graded."""
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))
