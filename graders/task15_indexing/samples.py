"""PyTorch's own sample inputs for task 15, within its docstrings."""

from torchgrade.samples.like import Like

SAMPLES = {
    "select_where": Like("where", arguments=lambda a, cond, b: ((cond, a, b), {})),
    "one_hot": Like(
        "nn.functional.one_hot",
        {"as many classes as are there": lambda t, num_classes=-1: num_classes == -1},
        lambda t, num_classes: ((t, num_classes), {}),
    ),
    "join": Like("cat"),
    "pile": Like("stack"),
    "split_sizes": Like("split"),
    "split_evenly": Like("chunk"),
    "rotate90": Like(
        "rot90",
        {
            "other axes than the last two": lambda x, k=1, dims=(0, 1): (
                {n % x.ndim for n in dims} != {x.ndim - 2, x.ndim - 1}
            )
        },
        lambda x, k=1, dims=(0, 1): ((x, k if dims[0] % x.ndim < dims[1] % x.ndim else -k), {}),
    ),
    "hflip": Like(
        "flip",
        {"other axes than the last": lambda x, dims: dims not in ((-1,), (x.ndim - 1,))},
        lambda x, dims: ((x,), {}),
    ),
}
