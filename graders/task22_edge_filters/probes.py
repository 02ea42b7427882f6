"""Helpers that run beside the submission."""


def after_spoiling(function, *arguments):
    """function(*arguments) once more, while its first answer is overwritten."""
    first = function(*arguments)
    kept = first.clone()
    first.fill_(99)
    second = function(*arguments).clone()
    first.copy_(kept)
    return second
