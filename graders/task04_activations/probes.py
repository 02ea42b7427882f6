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
    """The substitute of a wrong one where a function that calls it is graded."""
    return (1 / (1 + torch.exp(-x.double().clamp(-700, 700)))).to(_floating(x))


def right_tanh(x):
    """The substitute of a wrong one where a function that calls it is graded."""
    rise = torch.expm1(2 * x.double().clamp(-350, 350))
    return (rise / (rise + 2)).to(_floating(x))


def _floating(x):
    return x.dtype if x.is_floating_point() else torch.get_default_dtype()
