"""PyTorch's own sample inputs for task 07, within its docstrings."""

from torchgrade.samples.like import Like

FOUR_AXES = {"other than (N, C, H, W)": lambda x, *_, **__: x.ndim != 4}
INTEGERS = {"whole numbers": lambda x, *_, **__: not x.is_floating_point()}


def average(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    return (x, kernel_size, stride, padding, ceil_mode, count_include_pad), {}


def divided(*args, divisor_override=None, **_):
    return divisor_override is not None or (len(args) > 6 and args[6] is not None)


def tuples_of_one(x, *args, **_):
    return any(isinstance(value, tuple) and len(value) == 1 for value in args)


BY_HAND = {"a divisor by hand": divided, "a tuple of one": tuples_of_one}


def lengths_left(x, size, **_):
    return not isinstance(size, int) and None in size


def instance(num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False):
    return (num_features, eps, affine), {}


def tracked(x, *args, track_running_stats=False, bias=True, **_):
    return track_running_stats or (len(args) > 4 and args[4]) or not bias


SAMPLES = {
    "max_pool2d": Like("nn.functional.max_pool2d", FOUR_AXES | INTEGERS),
    "avg_pool2d": Like("nn.functional.avg_pool2d", FOUR_AXES | INTEGERS | BY_HAND, average),
    "adaptive_avg_pool2d": Like(
        "nn.functional.adaptive_avg_pool2d", FOUR_AXES | {"a length that is left as it is": lengths_left}
    ),
    "BatchNorm2d": Like(
        "nn.BatchNorm2d",
        FOUR_AXES
        | {
            "a momentum of None": lambda x, n, eps=1e-5, momentum=0.1, *_, **__: momentum is None,
            "a batch of none": lambda x, *_, **__: len(x) == 0,
        },
    ),
    "LayerNorm": Like("nn.LayerNorm"),
    "InstanceNorm2d": Like("nn.InstanceNorm2d", FOUR_AXES | {"running statistics, or no bias": tracked}, instance),
    "GroupNorm": Like("nn.GroupNorm", FOUR_AXES),
}
