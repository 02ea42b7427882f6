"""PyTorch's own sample inputs for task 16, within its docstrings."""

from torchgrade.samples.like import Like


def of_all(x, ord=2, dim=None, keepdim=False, dtype=None):
    return (x, ord), {}


SAMPLES = {
    "vector_norm": Like(
        "linalg.vector_norm",
        {
            "one axis or several": lambda x, ord=2, dim=None, **_: dim is not None,
            "axes that are kept, or another dtype": lambda *_, keepdim=False, dtype=None, **__: keepdim or dtype,
            "a negative p": lambda x, ord=2, **_: ord < 0 and ord != -float("inf"),
            "no numbers": lambda x, *_, **__: x.numel() == 0,
        },
        of_all,
    ),
    "cosine_similarity": Like(
        "nn.functional.cosine_similarity",
        {"another axis than the last": lambda a, b, dim=1, **_: dim not in (-1, max(a.ndim, b.ndim) - 1)},
        lambda a, b, dim=1, eps=1e-8: ((a, b, eps), {}),
    ),
    "lu_solve": Like("linalg.solve"),
}
