"""Helpers that run beside the submission."""


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
