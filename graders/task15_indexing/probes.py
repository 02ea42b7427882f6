"""What has to be seen beside the submission: whether a result lies in the memory of an argument."""


def after_writing(function, argument, *others):
    """Write 99 into the result, or into each tensor of it; return the argument as it is then."""
    result = function(argument, *others)
    for piece in result if isinstance(result, (list, tuple)) else [result]:
        piece[...] = 99
    return argument
