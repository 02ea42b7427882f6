"""PyTorch's own sample inputs for task 14, within its docstrings."""

import torch

from torchgrade.samples.like import Like


def largest(x, k, dim=-1, largest=True, sorted=True):
    return torch.topk(x, k, dim).values


def smallest(x, k, dim=-1, keepdim=False):
    return torch.kthvalue(x, k, dim).values


SAMPLES = {
    "python_mod": Like("remainder"),
    "c_mod": Like("fmod"),
    "topk_values": Like(
        "topk",
        {"the smallest": lambda *args, **_: len(args) > 3 and not args[3]},
        lambda x, k, dim=-1, *_, **__: ((x, k, dim), {}),
        largest,
    ),
    "kth_smallest": Like(
        "kthvalue",
        {"an axis that is kept": lambda *args, **_: len(args) > 3 and args[3]},
        lambda x, k, dim=-1, *_: ((x, k, dim), {}),
        smallest,
    ),
    "finite_mask": Like("isfinite"),
    "count_values": Like(
        "bincount",
        {"weights, or a least length": lambda x, weights=None, minlength=0: weights is not None or minlength > 0},
        lambda x, **_: ((x,), {}),
    ),
    "clip": Like("clamp"),
    "histogram": Like(
        "histc",
        {"numbers that are all equal": lambda x, min=0, max=0, **_: min == max and x.numel() and x.min() == x.max()},
        lambda x, bins=100, min=0, max=0: ((x, bins, min, max), {}),
    ),
    "pairwise_distance_matrix": Like(
        "cdist",
        {
            "another norm": lambda a, b, p=2.0, *_, **__: p != 2,
            "batches of points": lambda a, b, *_, **__: a.ndim != 2 or b.ndim != 2,
            "points without coordinates": lambda a, *_, **__: a.shape[-1] == 0,
        },
        lambda a, b, *_, **__: ((a, b), {}),
    ),
}
