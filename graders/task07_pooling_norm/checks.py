"""Checks for task 07: pooling and normalisation layers, by hand.

The oracles are PyTorch's own functions and classes, asked on grids: the first value of an axis is the plain one, each
other value is tried by itself and together with each value of each other axis. The mistakes are the mistaken formula,
written out. Maps are small and odd on purpose: N - 1 for N, a forgotten eps or a swapped axis shows on few values.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    FLOATS,
    LAYOUTS,
    LEFT_OUT,
    RECORDING,
    Rule,
    check,
    expect,
    grid,
    kit,
    operator_growth,
    operators,
    parameter_count,
)

KINDS = ("max", "avg", "lp", "adaptive_max", "adaptive_avg", "fractional_max")
POOLING = [f"{kind}_pool{axes}d" for kind in KINDS for axes in (1, 2, 3)]
POOLING += ["max_pool2d_with_indices", "max_pool3d_with_indices"]
NORMALISATION = ["batch_norm", "layer_norm", "instance_norm", "group_norm", "rms_norm"]
NORMALISATION += ["native_batch_norm", "native_layer_norm", "native_group_norm"]


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def half_the_kernel(kernel_size, padding):
    padding = 0 if padding is LEFT_OUT else padding
    return all(2 * p <= k for p, k in zip(pair(padding), pair(kernel_size), strict=True))


# --- pooling -------------------------------------------------------------------------------------------

MAPS = grid(
    shape=[(2, 3, 7, 5), (1, 1, 5, 8)],
    kernel_size=[2, 3, (2, 3), (3, 1)],
    stride=[LEFT_OUT, 1, (2, 1), (1, 3), None],
)
STRIDES = [2, 1, (2, 1), (1, 3)]  # without a stride is a question of its own
PADDED = MAPS.vary(stride=STRIDES, padding=[LEFT_OUT, 1, (0, 1), (1, 0), 0]).only(half_the_kernel)
CEILED = PADDED.vary(shape=[(2, 3, 6, 5), (1, 1, 5, 8), (1, 2, 9, 6)], ceil_mode=[True, LEFT_OUT, False])
DILATIONS = [LEFT_OUT, 2, (1, 2), (2, 1), 1]


def windows(x, kernel_size, stride=None, dilation=1):
    """The cells of each window, (N, C, H, W) -> (N, C, OH, OW, KH, KW)."""
    stride = pair(kernel_size if stride is None else stride)
    for axis, (k, s, d) in enumerate(zip(pair(kernel_size), stride, pair(dilation), strict=True), start=2):
        x = x.unfold(axis, d * (k - 1) + 1, s)
    return x[..., :: pair(dilation)[0], :: pair(dilation)[1]]


def across_channels(pool, reduce):
    """Pooling whose windows reach into the other channels."""
    return lambda x, **settings: reduce(pool(x, **settings), 1, keepdim=True).expand(-1, x.shape[1], -1, -1)


def striding_by_one(pool):
    """Pooling whose stride is 1 where none is given."""

    def pooled(x, stride=None, **settings):
        return pool(x, stride=1 if stride is None else stride, **settings)

    return pooled


@check("max_pool2d takes the maximum of each window of each channel", points=1, category="values", devices="all")
def test_max_pool_values(submission, device):
    expect.agrees(
        submission.max_pool2d,
        F.max_pool2d,
        MAPS.vary(values=[kit.normal, kit.ties, kit.thousands, kit.negative_thousands]),
        device=device,
        likely={
            "this is the mean of each window": F.avg_pool2d,
            "the stride defaults to 1, not to the size of the window": striding_by_one(F.max_pool2d),
            "the window reaches into the other channels": across_channels(F.max_pool2d, torch.amax),
        },
    )


@check("max_pool2d spreads its windows by the dilation", points=0.5, category="values")
def test_max_pool_dilation(submission):
    expect.agrees(submission.max_pool2d, F.max_pool2d, MAPS.vary(stride=STRIDES, dilation=DILATIONS))


def filled(x, around, beyond, kernel_size, stride=None, padding=0, ceil_mode=False, **settings):
    """max_pool2d with other values in the padding and beyond it."""
    size = F.max_pool2d(x, kernel_size, stride, padding, ceil_mode=ceil_mode, **settings).shape
    (p, q), far = pair(padding), 20 if ceil_mode else 0
    x = F.pad(F.pad(x, (q, q, p, p), value=around), (0, far, 0, far), value=beyond)
    return F.max_pool2d(x, kernel_size, stride, **settings)[..., : size[2], : size[3]]


@check("max_pool2d pads with minus infinity, so maps may be negative", points=1, category="values", devices="all")
def test_max_pool_padding(submission, device):
    expect.agrees(
        submission.max_pool2d,
        F.max_pool2d,
        PADDED.vary(
            values=[kit.negative, kit.negative_thousands, kit.lowest, kit.ties],
            dtype=FLOATS[:2],
        ),
        device=device,
        likely={"the padding is 0, not minus infinity": lambda x, **settings: filled(x, 0, 0, **settings)},
    )


def corners(shape, dtype, generator):
    """a first or a last cell that stands out in each window of 2 x 2"""
    cells = torch.tensor([[0.0, 1], [2, 3]], dtype=torch.float64).repeat(shape[-2] // 2, shape[-1] // 2)
    sides = torch.randint(2, (*shape[:-2], shape[-2] // 2, shape[-1] // 2), generator=generator) * 2 - 1
    return cells * sides.repeat_interleave(2, -2).repeat_interleave(2, -1)


def bottom(shape, dtype, generator):
    """the lowest number of the dtype, everywhere"""
    return torch.full(tuple(shape), torch.finfo(dtype).min, dtype=torch.float64)


@check("max_pool2d returns each maximum's place in its unpadded map", points=1, category="values", devices="all")
def test_max_pool_indices(submission, device):
    def in_batch(x, **settings):
        values, indices = F.max_pool2d(x, **settings)
        planes = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], 1, 1)
        return values, indices + planes * x.shape[2] * x.shape[3]

    def in_window(x, kernel_size, stride=None, padding=0, dilation=1, **settings):
        (h, w), (p, q), (d, e) = pair(kernel_size if stride is None else stride), pair(padding), pair(dilation)
        values, place = F.max_pool2d(x, kernel_size, stride, padding, dilation, **settings)
        row = place // x.shape[3] - (torch.arange(values.shape[2], device=x.device)[:, None] * h - p)
        column = place % x.shape[3] - (torch.arange(values.shape[3], device=x.device) * w - q)
        return values, row // d * pair(kernel_size)[1] + column // e

    def in_padded_map(x, padding=0, **settings):
        values, place = F.max_pool2d(x, padding=padding, **settings)
        rows, columns = place // x.shape[3] + pair(padding)[0], place % x.shape[3] + pair(padding)[1]
        return values, rows * (x.shape[3] + 2 * pair(padding)[1]) + columns

    expect.agrees(
        submission.max_pool2d,
        F.max_pool2d,
        PADDED.vary(return_indices=[True], values=[kit.distinct], dilation=DILATIONS, dtype=FLOATS[:2]),
        device=device,
        likely={
            "the index counts the cells of the window": in_window,
            "the index counts the cells of the padded map": in_padded_map,
            "the index counts through the whole batch, not through its own map": in_batch,
        },
    )

    def in_the_dtype(x, **settings):
        values, place = F.max_pool2d(x, **settings)
        return values, place.to(x.dtype).long()

    large = grid(shape=[(1, 1, 40, 60)], kernel_size=[2], stride=[2], return_indices=[True], values=[corners])
    expect.agrees(
        submission.max_pool2d,
        F.max_pool2d,
        large.vary(dtype=[torch.float32, *FLOATS[2:]]),
        device=device,
        likely={"the index has travelled in half precision, which cannot hold every whole number": in_the_dtype},
    )
    alone = grid(shape=[(2, 3, 1, 1)], kernel_size=[2, 3], stride=[1, 2], padding=[1], values=[bottom])
    alone = alone.vary(return_indices=[True], dtype=FLOATS[:2])
    expect.agrees(submission.max_pool2d, F.max_pool2d, alone, trivial="a map of one cell: its place is 0")


@check("avg_pool2d takes the mean of each window of each channel", points=1, category="values", devices="all")
def test_avg_pool_values(submission, device):
    def square(x, kernel_size, **settings):
        return F.avg_pool2d(x, kernel_size, divisor_override=pair(kernel_size)[0] ** 2, **settings)

    expect.agrees(
        submission.avg_pool2d,
        F.avg_pool2d,
        MAPS.vary(values=[kit.normal, kit.thousands]),
        device=device,
        likely={
            "this is the sum of each window": lambda x, **settings: F.avg_pool2d(x, divisor_override=1, **settings),
            "the divisor is the square of one side of the window": square,
            "the stride defaults to 1, not to the size of the window": striding_by_one(F.avg_pool2d),
            "the window reaches into the other channels": across_channels(F.avg_pool2d, torch.mean),
        },
    )


@check("avg_pool2d counts padded cells exactly when it is told to", points=1, category="values", devices="all")
def test_avg_pool_padding(submission, device):
    def never(x, count_include_pad=True, **settings):
        return F.avg_pool2d(x, count_include_pad=False, **settings)

    def always(x, count_include_pad=True, **settings):
        return F.avg_pool2d(x, **settings)

    expect.agrees(
        submission.avg_pool2d,
        F.avg_pool2d,
        PADDED.vary(count_include_pad=[LEFT_OUT, False, True], dtype=FLOATS[:2]),
        device=device,
        likely={
            "the divisor leaves the padded cells out": never,
            "the divisor counts the padded cells, too": always,
        },
    )


@check("ceil_mode keeps a last window that sees a part of the map", points=1, category="values")
def test_ceil_mode(submission):
    def without(pool):
        return lambda x, ceil_mode=False, **settings: pool(x, **settings)

    def kept(pool, fill):
        """A window that starts in the padding behind the map counts, too."""

        def pooled(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, **settings):
            (p, q), steps = pair(padding), pair(kernel_size if stride is None else stride)
            spans = [d * (k - 1) + 1 for d, k in zip(pair(dilation), pair(kernel_size), strict=True)]
            behind = [
                -(size + 2 * p - span) % step if ceil_mode else 0
                for size, p, span, step in zip(x.shape[2:], (p, q), spans, steps, strict=True)
            ]
            return pool(F.pad(x, (q, q + behind[1], p, p + behind[0]), value=fill), kernel_size, stride, dilation)

        return pooled

    def counted(x, kernel_size, ceil_mode=False, count_include_pad=True, **settings):
        if not count_include_pad:
            return F.avg_pool2d(x, kernel_size, ceil_mode=ceil_mode, count_include_pad=False, **settings)
        cells = pair(kernel_size)[0] * pair(kernel_size)[1]
        return F.avg_pool2d(x, kernel_size, ceil_mode=ceil_mode, divisor_override=cells, **settings)

    ceiled = CEILED.vary(values=[kit.negative], dilation=DILATIONS)
    expect.agrees(
        submission.max_pool2d,
        F.max_pool2d,
        ceiled,
        likely={
            "a last window that sees nothing but padding is kept": kept(
                lambda x, k, s, d: F.max_pool2d(x, k, s, 0, d), float("-inf")
            ),
            "the cells that ceil_mode adds are 0, not minus infinity": lambda x, **settings: filled(
                x, -torch.inf, 0, **settings
            ),
            "ceil_mode is left out": without(F.max_pool2d),
        },
    )
    expect.agrees(submission.max_pool2d, F.max_pool2d, ceiled.vary(return_indices=[True, False]))
    edges = grid(  # where one axis drops its last window, and would not by the padding of the other
        shape=[(1, 2, 4, 4)],
        kernel_size=[3, 2],
        stride=[(1, 2), (2, 1), 4],
        padding=[(0, 1), (1, 0)],
        ceil_mode=[True],
    ).thorough()
    expect.agrees(submission.max_pool2d, F.max_pool2d, edges.vary(return_indices=[True]))
    expect.agrees(
        submission.avg_pool2d,
        F.avg_pool2d,
        CEILED.thorough().vary(count_include_pad=[LEFT_OUT, False, True]),
        likely={
            "the divisor counts cells beyond the padded map": counted,
            "ceil_mode is left out": without(F.avg_pool2d),
        },
    )
    expect.agrees(submission.avg_pool2d, F.avg_pool2d, edges)


ADAPTED = grid(shape=[(2, 3, 7, 5), (1, 1, 6, 4)], output_size=[3, 1, (3, 2), (9, 1), (2, 7), (7, 5)])


@check("adaptive_avg_pool2d covers the whole map with windows", points=1, category="values", devices="all")
def test_adaptive(submission, device):
    def ending_early(x, output_size):
        for axis, size in zip((2, 3), pair(output_size), strict=True):
            length = x.shape[axis]
            edges = [(i * length // size, (i + 1) * length // size) for i in range(size)]
            x = torch.stack([x.narrow(axis, a, b - a).mean(axis) for a, b in edges], axis)
        return x

    def equal(x, output_size):
        rows, columns = pair(output_size)
        return F.avg_pool2d(x, (max(1, x.shape[2] // rows), max(1, x.shape[3] // columns)))[:, :, :rows, :columns]

    expect.agrees(
        submission.adaptive_avg_pool2d,
        F.adaptive_avg_pool2d,
        ADAPTED.vary(values=[kit.normal, kit.thousands]),
        device=device,
        likely={
            "the windows have equal size and the rest of the map is left out": equal,
            "a window ends where the next one starts: ends are rounded up, they overlap": ending_early,
        },
    )

    def by_a_step(x, output_size):
        for axis, size in zip((2, 3), pair(output_size), strict=True):
            length = x.shape[axis]
            step = length / size
            edges = [(math.floor(i * step), min(length, math.ceil((i + 1) * step))) for i in range(size)]
            x = torch.stack([x.narrow(axis, a, b - a).mean(axis) for a, b in edges], axis)
        return x

    expect.agrees(
        submission.adaptive_avg_pool2d,
        F.adaptive_avg_pool2d,
        grid(shape=[(1, 2, 36, 30)], output_size=[(28, 22)]),
        device=device,
        likely={"i (H / OH) is rounded and its ceiling one too large: multiply first, i H / OH": by_a_step},
    )


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    return windows(x, kernel_size, stride).abs().pow(norm_type).sum((-2, -1)).pow(1 / norm_type)


def sparse(shape, dtype, generator):
    """zeros, and a few numbers of both signs"""
    numbers = kit.normal(shape, dtype, generator)
    return numbers * (torch.rand(tuple(shape), generator=generator) < 0.2)


POWERS = [2, 1, 3, 2.5, 0.5, 20]
NORMED = MAPS.vary(stride=STRIDES, norm_type=POWERS)


@check("lp_pool2d runs from the sum (p = 1) towards the maximum", points=1, category="values", devices="all")
def test_lp_pool(submission, device):
    def rootless(x, norm_type, **settings):
        return lp_pool2d(x, norm_type, **settings).pow(norm_type)

    def averaged(x, norm_type, kernel_size, **settings):
        cells = pair(kernel_size)[0] * pair(kernel_size)[1]
        return lp_pool2d(x, norm_type, kernel_size, **settings) / cells ** (1 / norm_type)

    def signed(x, norm_type, kernel_size, stride=None):
        return windows(x, kernel_size, stride).pow(norm_type).sum((-2, -1)).pow(1 / norm_type)

    expect.agrees(
        submission.lp_pool2d,
        lp_pool2d,
        MAPS.vary(norm_type=POWERS, values=[kit.normal, sparse]),
        slack=10,
        device=device,
        likely={
            "the stride defaults to 1, not to the size of the window": striding_by_one(lp_pool2d),
            "the p-th root is missing": rootless,
            "the powers are averaged, not added": averaged,
            "the magnitudes are not taken: powers of negative values": signed,
        },
    )


SQUARES = grid(shape=[(2, 3, 7, 5), (1, 1, 6, 4)], kernel_size=[2, 3], stride=[2, 1])
POOLS = (
    ("max_pool2d", F.max_pool2d, SQUARES),
    ("avg_pool2d", F.avg_pool2d, SQUARES),
    ("adaptive_avg_pool2d", F.adaptive_avg_pool2d, grid(shape=SQUARES.axes["shape"], output_size=[3, 1])),
    ("lp_pool2d", lp_pool2d, SQUARES.vary(norm_type=[2, 3])),
)


@check("gradients flow through every pooling function", points=0.5, category="gradients")
def test_pool_gradients(submission):
    for name, oracle, cases in POOLS:
        cases = cases.vary(dtype=[torch.float64, torch.float32])
        expect.agrees(getattr(submission, name), oracle, cases, gradients=True, slack=10)


WHOLE = CEILED.vary(stride=[*STRIDES, LEFT_OUT])
SETTINGS = (
    (
        "max_pool2d",
        F.max_pool2d,
        WHOLE.vary(dilation=DILATIONS, return_indices=[LEFT_OUT, True], values=[kit.distinct]),
    ),
    ("avg_pool2d", F.avg_pool2d, WHOLE.vary(count_include_pad=[LEFT_OUT, False])),
    ("adaptive_avg_pool2d", F.adaptive_avg_pool2d, ADAPTED),
    ("lp_pool2d", lp_pool2d, NORMED.vary(norm_type=POWERS[:-1], stride=[*STRIDES, LEFT_OUT])),
)


@check(
    "gradients, dtype and layout follow every setting of pooling",
    points=0.5,
    category="gradients",
    after=[
        test_pool_gradients,
        test_max_pool_values,
        test_avg_pool_values,
        test_max_pool_padding,
        test_max_pool_indices,
        test_max_pool_dilation,
        test_avg_pool_padding,
        test_ceil_mode,
        test_adaptive,
        test_lp_pool,
    ],
)
def test_pool_gradient_settings(submission):
    for name, oracle, cases in SETTINGS:
        expect.agrees(getattr(submission, name), oracle, cases, gradients=True, slack=10)
        cases = cases.vary(dtype=FLOATS, layout=LAYOUTS)
        expect.agrees(getattr(submission, name), oracle, cases, unchanged=True, slack=3)


@check("pooling takes every floating dtype", points=0.5, category="robustness", hidden=True)
def test_pool_dtypes(submission):
    for name, oracle, cases in POOLS:
        expect.agrees(getattr(submission, name), oracle, cases.plain().vary(dtype=FLOATS, grad=RECORDING), slack=3)

    def summed_in_half(x, kernel_size, stride):
        return windows(x, kernel_size, stride).sum((-2, -1)) / pair(kernel_size)[0] ** 2

    for (name, oracle, cases), values, likely in zip(
        POOLS[1:],
        (bright, bright, large),
        (
            {"the sum overflows: four times 30000 does not fit into float16": summed_in_half},
            None,
            {"the powers overflow: 2000^2 does not fit into float16": lp_pool2d},
        ),
        strict=True,
    ):
        half = cases.plain().vary(dtype=FLOATS[2:], values=[values])
        expect.agrees(getattr(submission, name), oracle, half, slack=3, likely=likely)


def bright(shape, dtype, generator):
    """numbers around 30000, apart by 3000"""
    return 3000 * kit.normal(shape, dtype, generator) + 30_000


def large(shape, dtype, generator):
    """numbers around 2000, apart by 1000"""
    return 1000 * kit.normal(shape, dtype, generator) + 2000


@check("pooling reads any memory layout and leaves x unchanged", points=0.5, category="robustness", hidden=True)
def test_pool_layouts(submission):
    for name, oracle, cases in POOLS:
        cases = cases.plain().vary(layout=LAYOUTS, grad=RECORDING)
        expect.agrees(getattr(submission, name), oracle, cases, unchanged=True, slack=3)


POOLING_BY_HAND = Rule(
    of=("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "lp_pool2d"),
    functions=POOLING,
    instead="pad, unfold or slices, then amax and sum",
)


@check("pooling is written without PyTorch's pooling", points=1, category="rules", gates=POOLING_BY_HAND)
def test_pool_rules(submission):
    x = torch.randn(1, 2, 6, 5)
    for name, arguments in (
        ("max_pool2d", (2,)),
        ("avg_pool2d", (2,)),
        ("adaptive_avg_pool2d", (2,)),
        ("lp_pool2d", (2, 2)),
    ):
        expect.avoids(getattr(submission, name), x, *arguments, rule=POOLING_BY_HAND, given=name)


# --- batch norm ----------------------------------------------------------------------------------------


def standardised(x, axes, eps=1e-5, correction=0):
    """The textbook formula, in the dtype of x."""
    centred = x - x.mean(axes, keepdim=True)
    count = torch.Size([x.shape[axis] for axis in axes]).numel()
    variance = centred.square().sum(axes, keepdim=True) / (count - correction)
    return centred / torch.sqrt(variance + eps)


def over(*axes, **how):
    """A layer that takes its statistics over these axes, whatever its settings."""
    return lambda x, **settings: standardised(x, axes, **how)


def wide(shape, dtype, generator):
    """numbers around 10, apart by 30"""
    return 30 * kit.normal(shape, dtype, generator) + 10


def maps(draw, size, *, num_features):
    """(N, C, H, W) for layers that are told C."""
    return draw(size[0], num_features, *size[1:])


BATCHES = grid(maps, size=[(2, 3, 5), (3, 2, 2), (1, 4, 3), (5, 1, 1)], num_features=[4, 1, 3], values=[wide])


@check("BatchNorm2d(4) has 8 parameters", points=0.5, category="parameters")
def test_batch_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.BatchNorm2d(4)),
        8,
        given="BatchNorm2d(4)",
        because="4 weights + 4 biases",
        likely={
            "the running statistics are parameters: they should be buffers": 16,
            "weight and bias are plain tensors: they should be nn.Parameter": 0,
        },
    )


@check("BatchNorm2d exchanges its state_dict with nn.BatchNorm2d", points=0.5, category="parameters")
def test_state_dict(submission):
    for settings in ({}, {"affine": False}, {"track_running_stats": False}):
        layer, reference = submission.BatchNorm2d(3, **settings), nn.BatchNorm2d(3, **settings)
        given = f"BatchNorm2d(3, {settings})"
        expect.state_dict_keys(layer, list(reference.state_dict()), given=given)
        trivial = "how torch.nn starts: zeros and ones"
        expect.close(layer.state_dict(), dict(reference.state_dict()), trivial=trivial, given=given)
    state = {
        "weight": torch.randn(3),
        "bias": torch.randn(3),
        "running_mean": torch.randn(3),
        "running_var": torch.rand(3) + 0.5,
        "num_batches_tracked": torch.tensor(7),
    }
    layer = submission.BatchNorm2d(3)
    layer.load_state_dict(state)
    expect.close(layer.state_dict(), state, trivial="what was loaded must come back")


@check("BatchNorm2d normalises each channel over batch and map", points=1.5, category="values", devices="all")
def test_batch_norm_values(submission, device):
    channels = (0, 2, 3)

    def by_the_variance(x, **settings):
        variance = x.var(channels, correction=0, keepdim=True)
        return (x - x.mean(channels, keepdim=True)) / (variance + 1e-5)

    expect.agrees(
        submission.BatchNorm2d,
        nn.BatchNorm2d,
        BATCHES.vary(affine=[False], steps=[1, 2]),
        device=device,
        likely={
            "the variance divides by N - 1, not by N": over(*channels, correction=1),
            "the statistics run over the batch only, not over the map": over(0),
            "the statistics run over the map only: this is instance norm": over(2, 3),
            "the values are divided by the variance, not by its root": by_the_variance,
        },
    )


def remembering(change):
    """Builds nn.BatchNorm2d with another way to remember: ``change(layer, x)`` after each step in training mode."""

    def build(**settings):
        layer = nn.BatchNorm2d(**settings)

        def hook(layer, given, y):
            if layer.training:
                change(layer, given[0].detach())

        layer.register_forward_hook(hook)
        return layer

    return build


def biased(layer, x):
    layer.running_var -= layer.momentum * x.var((0, 2, 3)) / (x.numel() // x.shape[1])


def swelling(layer, x):
    share = layer.momentum
    layer.running_var += share * (layer.running_var - share * x.var((0, 2, 3))) / (1 - share)


@check("BatchNorm2d tracks the unbiased variance with its momentum", points=1, category="values", devices="all")
def test_running(submission, device):
    def reversed_share(momentum=0.1, **settings):
        return nn.BatchNorm2d(momentum=1 - momentum, **settings)

    expect.agrees(
        submission.BatchNorm2d,
        nn.BatchNorm2d,
        BATCHES.vary(momentum=[LEFT_OUT, 0.3, 0.01], affine=[False]),
        of="state",
        device=device,
        likely={
            "momentum is the share of the new value, not of the old one": reversed_share,
            "running_var follows the biased variance": remembering(biased),
            "the new variance is added, and the old one does not shrink": remembering(swelling),
            "num_batches_tracked is never raised": remembering(lambda layer, x: layer.num_batches_tracked.sub_(1)),
            "num_batches_tracked counts samples, not batches": remembering(
                lambda layer, x: layer.num_batches_tracked.add_(len(x) - 1)
            ),
        },
    )


@check("BatchNorm2d tracks one batch after the other", points=0.5, category="values", after=test_running, hidden=True)
def test_running_batches(submission):
    expect.agrees(
        submission.BatchNorm2d,
        nn.BatchNorm2d,
        BATCHES.vary(
            size=[(3, 2, 3), (2, 3, 5)],
            affine=[False],
            momentum=[0.3, LEFT_OUT, 0.0, 1.0],
            steps=[3, 2],
            state=["fresh", "loaded"],
            objects=[1, 2],
        ),
        of="state",
    )
    far = BATCHES.vary(size=[(2, 3, 4)], affine=[False])
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, far.vary(values=[offset]), of="state")
    half = far.vary(values=[large, kit.normal], dtype=FLOATS[2:], layer_dtype=[torch.float32])
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, half, of="state")


EVALUATED = grid(
    maps,
    size=[(2, 3, 5), (1, 2, 2), (1, 1, 1)],
    num_features=[3, 1],
    training=[False],
    affine=[False],
    state=["loaded"],
)


@check("BatchNorm2d in eval mode uses its running statistics", points=1, category="values", devices="all")
def test_eval(submission, device):
    def of_the_batch(x, eps=1e-5, **settings):
        return standardised(x, (0, 2, 3), eps)

    cases = EVALUATED.vary(eps=[LEFT_OUT, 0.1, 1e-3], grad=RECORDING, steps=[1, 2])
    likely = {"eval mode uses the statistics of the batch": of_the_batch}
    full = cases.vary(size=[(2, 3, 5), (1, 2, 2)])
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, full, device=device, likely=likely)
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, cases.vary(size=[(1, 1, 1)]), device=device)


@check("BatchNorm2d in eval mode leaves its statistics alone", points=0.5, category="values", hidden=True)
def test_eval_frozen(submission):
    cases = EVALUATED.vary(size=[(2, 3, 5), (1, 1, 1)], steps=[1, 2], grad=RECORDING)
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, cases, of="state", trivial="the loaded state stays")


@check("BatchNorm2d without running statistics always uses the batch", points=0.5, category="values", hidden=True)
def test_untracked(submission):
    cases = BATCHES.vary(track_running_stats=[False], training=[False, True], affine=[False], momentum=[LEFT_OUT, 0.5])
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, cases)


@check("BatchNorm2d refuses the statistics of one value per channel", points=0.5, category="robustness", hidden=True)
def test_single_value(submission):
    cases = grid(
        maps,
        size=[(1, 1, 2), (1, 1, 1), (2, 1, 1)],
        num_features=[3, 1],
        affine=[False],
        track_running_stats=[LEFT_OUT, False],
        training=[True, False],
    )
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, cases.thorough(), refuses=["ValueError"])


@check(
    "BatchNorm2d tracks its statistics under no_grad, too",
    points=0.5,
    category="robustness",
    after=test_running,
    hidden=True,
)
def test_no_grad(submission):
    def forgetful(**settings):
        layer = nn.BatchNorm2d(**settings)
        start = {name: value.clone() for name, value in layer.state_dict().items()}
        layer.register_forward_hook(lambda layer, given, y: layer.load_state_dict(start) and None)
        return layer

    expect.agrees(
        submission.BatchNorm2d,
        nn.BatchNorm2d,
        BATCHES.vary(grad=["no_grad"], affine=[False], steps=[1, 2]),
        of="state",
        likely={"nothing is remembered while gradients are switched off": forgetful},
    )


@check("the running statistics carry no graph", points=0.5, category="gradients", after=test_running, hidden=True)
def test_no_graph(submission):
    layer = submission.BatchNorm2d(3)
    layer(torch.randn(2, 3, 2, 5, requires_grad=True))
    expect.equal(
        submission.probes.buffers_with_a_graph(layer),
        [],
        given="the buffers that require gradients after a training step",
        likely={
            "every step stays in memory with its graph: update under torch.no_grad()": [
                "running_mean",
                "running_var",
            ]
        },
    )


# --- layer, instance and group norm --------------------------------------------------------------------


def samples(draw, lead, *, normalized_shape):
    return draw(*lead, *(normalized_shape if isinstance(normalized_shape, tuple) else (normalized_shape,)))


def group_maps(draw, size, *, num_groups, num_channels):
    return draw(size[0], num_channels, *size[1:])


def divides(num_groups, num_channels):
    return num_channels % num_groups == 0


LAYERS = grid(
    samples,
    lead=[(2,), (), (2, 3), (1, 2, 3)],
    normalized_shape=[(4, 3, 5), (3, 5), 7, (6,), (2, 2, 3, 2)],
    values=[wide],
)
INSTANCES = grid(maps, size=[(2, 3, 5), (1, 2, 2), (3, 1, 4)], num_features=[4, 1, 3], values=[wide])
GROUPS = grid(
    group_maps,
    where=divides,
    size=[(2, 3, 5), (1, 2, 2), (3, 1, 4)],
    num_groups=[2, 1, 3, 6],
    num_channels=[6, 4, 12],
    values=[wide],
)


@check("LayerNorm((6, 5, 5)) has 300 parameters", points=0.5, category="parameters")
def test_layer_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.LayerNorm((6, 5, 5))),
        300,
        given="LayerNorm((6, 5, 5))",
        because="6 x 5 x 5 weights and as many biases",
        likely={"LayerNorm has a weight for every position, not for every channel": 12},
    )


@check("LayerNorm normalises each sample over all its last axes", points=1, category="values", devices="all")
def test_layer_norm(submission, device):
    def last_axes(shape):
        return tuple(range(-len(shape), 0)) if isinstance(shape, tuple) else (-1,)

    def first_of_them(x, normalized_shape, **settings):
        return standardised(x, last_axes(normalized_shape)[:1])

    def unbiased(x, normalized_shape, **settings):
        return standardised(x, last_axes(normalized_shape), correction=1)

    expect.agrees(
        submission.LayerNorm,
        nn.LayerNorm,
        LAYERS.vary(training=[True, False], steps=[1, 2]),
        device=device,
        likely={
            "the statistics run over the channels only": first_of_them,
            "the statistics run over the last axis only": over(-1),
            "the variance divides by N - 1, not by N": unbiased,
        },
    )


@check("InstanceNorm2d(4) has no parameters", points=0.5, category="parameters")
def test_instance_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.InstanceNorm2d(4)),
        0,
        given="InstanceNorm2d(4)",
        because="affine is False unless it is asked for",
        likely={"affine defaults to True": 8},
    )
    expect.equal(parameter_count(submission.InstanceNorm2d(4, affine=True)), 8, given="InstanceNorm2d(4, affine=True)")


@check("InstanceNorm2d normalises each map by itself", points=1, category="values", devices="all")
def test_instance_norm(submission, device):
    expect.agrees(
        submission.InstanceNorm2d,
        nn.InstanceNorm2d,
        INSTANCES.vary(training=[True, False], steps=[1, 2]),
        device=device,
        likely={
            "the statistics run over the batch, too: this is batch norm": over(0, 2, 3),
            "the statistics run over the channels, too: this is layer norm": over(1, 2, 3),
            "the variance divides by N - 1, not by N": over(2, 3, correction=1),
        },
    )


@check("GroupNorm(2, 4) has 8 parameters", points=0.5, category="parameters")
def test_group_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.GroupNorm(2, 4)),
        8,
        given="GroupNorm(2, 4)",
        because="a weight and a bias for each of 4 channels",
        likely={"GroupNorm has a weight for every channel, not for every group": 4},
    )


@check("GroupNorm normalises blocks of neighbouring channels", points=1, category="values", devices="all")
def test_group_norm(submission, device):
    def every_second(x, num_groups, num_channels, **settings):
        mixed = x.unflatten(1, (-1, num_groups)).transpose(1, 2)
        return standardised(mixed, (2, 3, 4)).transpose(1, 2).reshape(x.shape)

    def so_many_in_a_group(x, num_groups, num_channels, **settings):
        return F.group_norm(x, num_channels // num_groups)

    def unbiased(x, num_groups, **settings):
        blocks = x.unflatten(1, (num_groups, -1))
        return standardised(blocks, (2, 3, 4), correction=1).reshape(x.shape)

    expect.agrees(
        submission.GroupNorm,
        nn.GroupNorm,
        GROUPS.vary(training=[True, False], steps=[1, 2]),
        device=device,
        likely={
            "a group takes every second channel, not a block": every_second,
            "num_groups is taken for the number of channels in a group": so_many_in_a_group,
            "the variance divides by N - 1, not by N": unbiased,
        },
    )


# --- all norm layers -----------------------------------------------------------------------------------

NORMS = (  # as many columns as channels: a vector laid along the wrong axis fits, too
    ("BatchNorm2d", nn.BatchNorm2d, "affine", (0, 2, 3), grid(maps, size=[(2, 3, 4)], num_features=[4, 3])),
    (
        "LayerNorm",
        nn.LayerNorm,
        "elementwise_affine",
        (1, 2, 3),
        grid(samples, lead=[(2,)], normalized_shape=[(4, 3, 4), (3, 5, 2)]),
    ),
    ("InstanceNorm2d", nn.InstanceNorm2d, "affine", (2, 3), grid(maps, size=[(2, 3, 4)], num_features=[4, 3])),
    (
        "GroupNorm",
        nn.GroupNorm,
        "affine",
        (1, 2, 3),
        grid(group_maps, size=[(2, 3, 4)], num_groups=[1], num_channels=[4, 3]),
    ),
)


ARGUMENTS = {"BatchNorm2d": (4,), "LayerNorm": ((4, 3, 5),), "InstanceNorm2d": (4,), "GroupNorm": (2, 4)}


class GroupsOfOne(nn.GroupNorm):
    """Instance norm where PyTorch's own refuses: a map may be of one cell."""

    def __init__(self, num_features, **settings):
        super().__init__(num_features, num_features, **settings)


ALONE = (  # one value is all that is normalised: it becomes 0, and the bias is left
    ("LayerNorm", nn.LayerNorm, grid(samples, lead=[(2,), (3, 2)], normalized_shape=[1, (1, 1)])),
    ("InstanceNorm2d", GroupsOfOne, grid(maps, size=[(2, 1, 1), (3, 1, 1)], num_features=[4, 3], affine=[True])),
    ("GroupNorm", nn.GroupNorm, grid(group_maps, size=[(2, 1, 1), (3, 1, 1)], num_groups=[3], num_channels=[3])),
)


def four_layers(submission, **settings):
    """Name and layer, for each layer in turn; x is (N, 4, 3, 5)."""
    yield "BatchNorm2d(4)", submission.BatchNorm2d(4, **settings)
    yield "LayerNorm((4, 3, 5))", submission.LayerNorm((4, 3, 5), **settings)
    yield "InstanceNorm2d(4)", submission.InstanceNorm2d(4, **settings)
    yield "GroupNorm(1, 4)", submission.GroupNorm(1, 4, **settings)


@check("weight and bias scale and shift whole channels", points=0.5, category="values")
def test_affine(submission):
    for name, oracle, switch, axes, cases in NORMS:

        def along_the_columns(build=oracle, switch=switch, **settings):
            layer, plain = build(**settings), build(**settings | {switch: False})
            layer.register_forward_hook(lambda layer, x, y: plain(x[0]) * layer.weight + layer.bias)
            return layer

        likely = {"weight and bias are left out": over(*axes)}
        if name != "LayerNorm":
            likely["weight and bias lie along the columns, not along the channels"] = along_the_columns
        expect.agrees(
            getattr(submission, name),
            oracle,
            cases.vary(state=["loaded"], objects=[1, 2], **{switch: [True]}),
            likely=likely,
        )
        starts = cases.vary(**{switch: [LEFT_OUT, False, True]})
        expect.agrees(getattr(submission, name), oracle, starts, of="state", trivial="ones and zeros, as in torch.nn")
        without = getattr(submission, name)(*ARGUMENTS[name], **{switch: False})
        given = f"{name} without weight and bias"
        expect.equal([without.weight, without.bias], [None, None], given=given)
        expect.agrees(getattr(submission, name), oracle, cases.vary(**{switch: [False, LEFT_OUT]}))


def tiny(shape, dtype, generator):
    """numbers near 0.01"""
    return 0.01 * kit.normal(shape, dtype, generator)


@check("eps is added to the variance, under the root", points=1, category="values")
def test_eps(submission):
    for name, oracle, switch, axes, cases in NORMS:
        amounts = [LEFT_OUT, 0.5, 1e-3, *([] if name == "BatchNorm2d" else [0.0])]  # PyTorch's own batch norm refuses 0

        def beside_the_root(x, eps=1e-5, axes=axes, **settings):
            return (x - x.mean(axes, keepdim=True)) / (x.std(axes, correction=0, keepdim=True) + eps)

        expect.agrees(
            getattr(submission, name),
            oracle,
            cases.vary(values=[tiny, wide], eps=amounts, **{switch: [False]}),
            likely={
                "eps is left out": over(*axes, eps=0),
                "eps is always 1e-5": over(*axes),
                "eps is added to the root, not under it": beside_the_root,
            },
        )


@check(
    "the norm layers take any two settings together",
    points=0.5,
    category="values",
    after=[test_affine, test_eps, test_group_norm],
    hidden=True,
)
def test_settings(submission):
    for name, oracle, switch, _axes, cases in NORMS:
        cases = cases.vary(
            values=[tiny, wide],
            eps=[LEFT_OUT, 0.5, 1e-3],
            training=[True, False],
            state=["loaded", "fresh"],
            steps=[1, 2],
            dtype=FLOATS[:2],
            **{switch: [LEFT_OUT, True, False]},
        )
        if name == "GroupNorm":
            cases = cases.vary(num_groups=[1, 2, 3], num_channels=[4, 3, 6]).only(divides)
        if name == "BatchNorm2d":
            cases = cases.vary(momentum=[LEFT_OUT, 0.3, 0.9], track_running_stats=[LEFT_OUT, False, True])
            expect.agrees(submission.BatchNorm2d, oracle, cases, of="state")
            half = grid(maps, size=[(2, 3, 4)], num_features=[4], training=[False], state=["loaded"])
            half = half.vary(values=[large, kit.normal], dtype=FLOATS[2:], layer_dtype=[torch.float32])
            half = half.vary(track_running_stats=[LEFT_OUT, False])
            expect.agrees(submission.BatchNorm2d, oracle, half)
        expect.agrees(getattr(submission, name), oracle, cases)
    for name, oracle, cases in ALONE:
        alone = cases.vary(state=["loaded"], training=[True, False])
        expect.agrees(getattr(submission, name), oracle, alone, trivial="the bias is left")
    layer, reference = submission.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, affine=False)
    for number, training in enumerate((True, False, True, False)):
        layer.train(training)
        reference.train(training)
        x = (number + 1) * torch.randn(2, 3, 4, 5) + number
        mode = "in training mode" if training else "in eval mode"
        expect.close(layer(x), reference(x), given=f"call {number + 1} of one layer, {mode}: the modes take turns")
    layer = submission.BatchNorm2d(2, affine=False)
    mean, var = torch.tensor([1000.25, 501.125]), torch.tensor([0.01, 0.5])
    layer.load_state_dict({"running_mean": mean, "running_var": var, "num_batches_tracked": torch.tensor(3)})
    layer.eval()
    for dtype in FLOATS[2:]:
        x = torch.tensor([[[[1000.0, 1004.0]], [[500.0, 502.0]]]], dtype=dtype)
        expect.close(
            layer(x),
            F.batch_norm(x.float(), mean, var).to(dtype),
            given=f"BatchNorm2d in eval mode, {dtype}: running means of 1000.25 and 501.125",
        )


def offset(shape, dtype, generator):
    """numbers around 10000, apart by 1"""
    return kit.normal(shape, dtype, generator) + 10_000


def neighbours(shape, dtype):
    """Two neighbours of the dtype in turn: every mean lies between them."""
    cells = torch.arange(torch.Size(shape).numel(), dtype=torch.float64) % 2
    return (2.0 / torch.finfo(dtype).eps + 2 * cells).reshape(shape)


@check(
    "the norm layers keep their precision far from zero", points=0.5, category="robustness", devices="all", hidden=True
)
def test_offset(submission, device):
    for name, oracle, switch, axes, cases in NORMS:

        def cancelling(x, eps=1e-5, axes=axes, **settings):
            mean = x.mean(axes, keepdim=True)
            return (x - mean) / torch.sqrt((x * x).mean(axes, keepdim=True) - mean * mean + eps)

        expect.agrees(
            getattr(submission, name),
            oracle,
            cases.vary(values=[offset], **{switch: [False]}),
            device=device,
            likely={"E[x^2] - E[x]^2 cancels: both are 1e8, their difference is 1": cancelling},
        )


@check(
    "the norm layers normalise half precision in float32", points=0.5, category="robustness", devices="all", hidden=True
)
def test_half(submission, device):
    for name, oracle, switch, axes, cases in NORMS:
        expect.agrees(
            getattr(submission, name),
            oracle,
            cases.vary(
                values=[large, kit.normal], dtype=FLOATS[2:], layer_dtype=[torch.float32], **{switch: [False, True]}
            ),
            device=device,
            likely={"the variance overflows: 1000^2 does not fit into float16": over(*axes)},
        )
    for (name, layer), (_, _, _, axes, _) in zip(four_layers(submission), NORMS, strict=True):
        layer = layer.to(device)
        for dtype in FLOATS[2:]:
            x = neighbours((2, 4, 3, 5), dtype).to(device, dtype)
            expect.close(
                layer(x),
                standardised(x.double(), axes).to(dtype),
                rtol=0.02,
                atol=0.02,
                given=f"{name} on {dtype} numbers whose mean lies between two neighbours of the dtype",
            )
    x = torch.tensor([1.0, -1.0]).repeat(60).reshape(2, 4, 3, 5) + 0.1 * torch.randn(2, 4, 3, 5)
    for name, _, switch, _, _ in NORMS:
        arguments = (1, 4) if name == "GroupNorm" else ARGUMENTS[name]
        for dtype, training in ((dtype, training) for dtype in FLOATS[2:] for training in (False, True)):
            rounded = x.to(device, dtype)

            def result(x, name=name, switch=switch, arguments=arguments, training=training, dtype=dtype):
                layer = getattr(submission, name)(*arguments, **{switch: True}).to(device)
                submission.probes.fill_affine(layer, 1000.0, -1000.0)
                layer.train(training)
                return layer(x).to(dtype)

            mode = "in training mode" if training else "in eval mode"
            expect.close(
                result(rounded),
                result(rounded.float()),
                rtol=0.005,
                atol=0.005,
                given=f"{name} on {dtype} {mode}: a weight of 1000 and a bias of -1000, which cancel near 1",
            )


@check("gradients flow through batch statistics, weight and bias", points=1, category="gradients")
def test_norm_gradients(submission):
    for name, oracle, switch, axes, cases in NORMS:

        def cut(x, axes=axes, mean=True, variance=True, **settings):
            m, v = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
            return (x - (m.detach() if mean else m)) / torch.sqrt((v.detach() if variance else v) + 1e-5)

        expect.agrees(
            getattr(submission, name),
            oracle,
            cases.vary(dtype=[torch.float64, torch.float32], **{switch: [True, False]}),
            gradients=True,
            slack=10,
            likely={
                "mean and variance are cut off from the graph: gradients flow through both": cut,
                "the mean is cut off from the graph": lambda x, cut=cut, **settings: cut(x, variance=False),
                "the variance is cut off from the graph": lambda x, cut=cut, **settings: cut(x, mean=False),
            },
        )
    loaded = NORMS[0][-1].vary(state=["loaded"], training=[False, True], dtype=[torch.float64])
    loaded = loaded.vary(track_running_stats=[LEFT_OUT, False])
    expect.agrees(submission.BatchNorm2d, nn.BatchNorm2d, loaded, gradients=True, slack=10)


NORMALISATION_BY_HAND = Rule(
    of=("BatchNorm2d", "LayerNorm", "InstanceNorm2d", "GroupNorm"),
    functions=NORMALISATION,
    names=("nn.BatchNorm2d", "nn.LayerNorm", "nn.InstanceNorm2d", "nn.GroupNorm"),
    instead="mean and var, or var_mean",
)


@check(
    "normalisation is written without PyTorch's normalisation",
    points=1,
    category="rules",
    gates=NORMALISATION_BY_HAND,
)
def test_norm_rules(submission):
    x = torch.randn(2, 4, 3, 5)
    for name, layer in four_layers(submission):
        expect.avoids(layer, x, rule=NORMALISATION_BY_HAND, given=name)


# --- all together --------------------------------------------------------------------------------------


@check("norm layers read any memory layout and leave x unchanged", points=0.5, category="robustness", hidden=True)
def test_norm_layouts(submission):
    for name, oracle, switch, _axes, cases in NORMS:
        cases = cases.vary(layout=LAYOUTS, grad=RECORDING, training=[True, False], **{switch: [False]})
        expect.agrees(getattr(submission, name), oracle, cases, unchanged=True, slack=3)


POOLED = (  # with every argument that may have code of its own
    ("max_pool2d", (2, 1, 1)),
    ("max_pool2d", (2, 1, 1, 1, False, True)),
    ("avg_pool2d", (2, 1, 1)),
    ("avg_pool2d", (2, 1, 1, True, False)),
    ("lp_pool2d", (2, 2)),
    ("adaptive_avg_pool2d", (2,)),
)


@check("the number of PyTorch calls does not grow with the input", points=0.5, category="efficiency", hidden=True)
def test_efficiency(submission):
    def expect_constant(name, function, arguments, *sizes):
        inputs = [(torch.randn(size), *arguments) for size in sizes]
        given = f"PyTorch calls of {name} on {sizes[1]} for each on {sizes[0]}"
        expect.between(operator_growth(function, *inputs), 0, 1.2, unit="times as many", given=given)

    for name, arguments in POOLED:
        expect_constant(name, getattr(submission, name), arguments, (2, 4, 6, 5), (4, 12, 18, 15))
    for name, layer in four_layers(submission):
        expect_constant(name, layer, (), (2, 4, 3, 5), (12, 4, 3, 5))
    for name, small, large in (
        ("BatchNorm2d", (4,), (16,)),
        ("LayerNorm", ((4, 3, 5),), ((16, 9, 15),)),
        ("InstanceNorm2d", (4,), (16,)),
        ("GroupNorm", (2, 4), (2, 16)),
    ):
        small_calls, large_calls = (
            sum(operators(getattr(submission, name)(*build), torch.randn(size))["operators"].values())
            for build, size in ((small, (2, 4, 3, 5)), (large, (2, 16, 9, 15)))
        )
        given = f"PyTorch calls of {name} for 16 channels of 9 x 15 for each for 4 channels of 3 x 5"
        expect.between(large_calls / max(small_calls, 1), 0, 1.2, unit="times as many", given=given)


@check("tensors are made where the input is, and layers move whole", points=0.5, category="devices", hidden=True)
def test_devices(submission):
    x = torch.randn(2, 4, 3, 5)
    for name, arguments in POOLED:
        expect.portable(getattr(submission, name), x, *arguments, given=f"{name} with x on another device")
    for name, build in ARGUMENTS.items():
        given = f"{name} with layer and input on another device"
        expect.portable(getattr(submission, name), x, build=build, given=given)
