"""What has to be seen beside the submission: whether a result is the very tensor that went in."""

import torch


def added(add_inplace, a, b, is_result=False):
    """Call it; what a and b hold afterwards, whether the result is a itself, and whether a lies where it did.

    With ``is_result`` a comes out of an operation that is recorded.
    """
    a = a.requires_grad_() * 1 if is_result else a
    address = a.data_ptr()
    result = add_inplace(a, b)
    kind = "another tensor" if isinstance(result, torch.Tensor) else f"a result of type {type(result).__name__}"
    return {"a": a.detach().clone(), "b": b.clone(), "is a": result is a, "kind": kind, "kept": a.data_ptr() == address}


def shares(function, a, b, *others):
    """Whether the result lies in the memory of a or b."""
    result = function(a, b, *others).untyped_storage().data_ptr()
    return result in (a.untyped_storage().data_ptr(), b.untyped_storage().data_ptr())


def refused(add_inplace, a, b, is_leaf):
    """Call it, a being a leaf that requires gradients if so told; whether an error came, and what a holds."""
    a = a.clone().requires_grad_(is_leaf)
    try:
        add_inplace(a, b)
    except NotImplementedError as error:
        if not str(error):  # still a gap
            raise
        came = True
    except Exception:
        came = True
    else:
        came = False
    return {"refused": came, "a": a.detach().clone()}
