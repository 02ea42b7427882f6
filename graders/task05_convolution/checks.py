"""Checks for task 05: the arithmetic of a convolution, conv2d by hand, and a layer around it.

The oracle is PyTorch's own convolution: its layer for sizes and counts, its function in float64 for values.
Images, kernels and settings are non-square wherever a square would hide a swap. Where a check is about one option,
kernels are the same when they are turned round, there is one channel and one filter, and the bias is zero: a flipped
kernel, a forgotten bias, weights in another order cost the checks that are about them.
"""

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
    parameter_count,
)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def swapped(settings):
    """Every pair read as (columns, rows)."""
    return {name: value[::-1] if isinstance(value, tuple) else value for name, value in settings.items()}


# Sizes and counts


def output_size(size, kernel_size, **settings):
    image = torch.empty(1, 1, *pair(size), device="meta")
    try:
        found = tuple(nn.Conv2d(1, 1, kernel_size, **settings, device="meta")(image).shape[2:])
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    if 0 in found:  # torch 2.6 refuses only what is less
        raise ValueError(f"an output of size {found}")
    return found


def size_by(count):
    """Another arithmetic: ``count(length, k, stride, padding, dilation)`` for each axis."""

    def size_of(size, kernel_size, stride=1, padding=0, dilation=1):
        axes = zip(*map(pair, (size, kernel_size, stride, padding, dilation)), strict=True)
        return tuple(count(*axis) for axis in axes)

    return size_of


def fits(size, kernel_size, padding=0, dilation=1):
    padding, dilation = (0 if padding is LEFT_OUT else padding), (1 if dilation is LEFT_OUT else dilation)
    axes = zip(*map(pair, (size, kernel_size, padding, dilation)), strict=True)
    return all(d * (k - 1) < length + 2 * p for length, k, p, d in axes)


@check("conv2d_output_size counts the places where the kernel fits", points=2, category="shapes")
def test_output_size(submission):
    expect.agrees(
        submission.conv2d_output_size,
        output_size,
        grid(size=[6, 5, 28, 39], kernel_size=[3, 1, 5], stride=[2, LEFT_OUT, 3], padding=[LEFT_OUT, 0, 1, 2]),
        likely={
            "the count is rounded up: the last place reaches beyond the image": size_by(
                lambda n, k, s, p, d: -(-(n + 2 * p - k) // s) + 1
            ),
            "the division is not rounded: a count is a whole number": size_by(
                lambda n, k, s, p, d: (n + 2 * p - k) / s + 1
            ),
            "the + 1 is missing: the first place counts too": size_by(lambda n, k, s, p, d: (n + 2 * p - k) // s),
            "the padding is counted on one side only": size_by(lambda n, k, s, p, d: (n + p - k) // s + 1),
            "the padding is not used": size_by(lambda n, k, s, p, d: (n - k) // s + 1),
        },
    )


@check("conv2d_output_size keeps rows and columns apart", points=1.5, category="shapes", after=test_output_size)
def test_output_size_pairs(submission):
    def of_rows(size, kernel_size, **settings):
        first = {name: pair(value)[0] for name, value in settings.items()}
        return output_size(pair(size)[0], pair(kernel_size)[0], **first)

    expect.agrees(
        submission.conv2d_output_size,
        output_size,
        grid(
            size=[(50, 100), (9, 7), 12],
            kernel_size=[(3, 5), (2, 1), 3],
            stride=[LEFT_OUT, (2, 1), 2, (1, 3)],
            padding=[LEFT_OUT, (4, 2), 1, (0, 3)],
        ),
        likely={
            "rows and columns are swapped": lambda **settings: output_size(**settings)[::-1],
            "the columns are computed with the settings of the rows": of_rows,
        },
    )


@check(
    "conv2d_output_size spreads the kernel by its dilation",
    points=1,
    category="shapes",
    after=test_output_size_pairs,
)
def test_output_size_dilation(submission):
    expect.agrees(
        submission.conv2d_output_size,
        output_size,
        grid(
            size=[20, (50, 100)],
            kernel_size=[3, (3, 5), (1, 2)],
            dilation=[6, 1, (3, 1), (1, 4)],
            stride=[LEFT_OUT, (2, 1)],
            padding=[LEFT_OUT, (4, 2)],
            where=fits,
        ),
        likely={
            "the dilation is not used": lambda dilation, **settings: output_size(**settings),
            "the kernel spans dilation * kernel_size: that is one gap too much": size_by(
                lambda n, k, s, p, d: (n + 2 * p - d * k) // s + 1
            ),
        },
    )


@check(
    "conv2d_output_size refuses a kernel that does not fit",
    points=1,
    category="robustness",
    after=test_output_size_dilation,
)
def test_kernel_too_large(submission):
    cases = grid(
        size=[4, 2, (9, 3), (3, 9)],
        kernel_size=[4, (3, 4), 5],
        dilation=[LEFT_OUT, 2, (1, 3)],
        stride=[LEFT_OUT, 4],
        padding=[LEFT_OUT, (1, 0)],
    )
    expect.agrees(submission.conv2d_output_size, output_size, cases, refuses=["ValueError"])
    one_too_large = grid(size=[4, (4, 9), (9, 4)], kernel_size=[4, 5], stride=[LEFT_OUT, 2, 3, (1, 2), (2, 1)])
    expect.agrees(submission.conv2d_output_size, output_size, one_too_large, refuses=["ValueError"])
    kinds = submission.probes.kinds(submission.conv2d_output_size, (6, 9), 3, (2, 1), 1)
    given = "what kind of numbers conv2d_output_size((6, 9), 3, (2, 1), 1) returns"
    expect.equal(kinds, ["int", "int"], because="they are Python ints", given=given)


def divides(in_channels, out_channels, groups):
    groups = 1 if groups is LEFT_OUT else groups
    return in_channels % groups == 0 and out_channels % groups == 0


def num_params(in_channels, out_channels, kernel_size, groups=1, bias=True):
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, groups=groups, bias=bias, device="meta")
    return sum(parameter.numel() for parameter in layer.parameters())


@check("conv2d_num_params counts weights and biases", points=2, category="parameters")
def test_num_params(submission):
    def without_groups(groups=1, **settings):
        return num_params(**settings)

    def fewer_filters(in_channels, out_channels, kernel_size, groups=1, bias=True):
        filters = num_params(in_channels, out_channels // groups, kernel_size, 1, False) // groups
        return filters + (out_channels if bias else 0)

    def of_a_line(in_channels, out_channels, kernel_size, groups=1, bias=True):
        return num_params(in_channels, out_channels, (pair(kernel_size)[0], 1), groups, bias)

    expect.agrees(
        submission.conv2d_num_params,
        num_params,
        grid(
            in_channels=[1, 3, 32],
            out_channels=[32, 64, 33],
            kernel_size=[5, 3, (3, 5), (2, 1)],
            groups=[LEFT_OUT, 1, 4, 32],
            bias=[LEFT_OUT, False, True],
            where=divides,
        ),
        likely={
            "the biases are not counted": lambda bias=True, **settings: num_params(**settings, bias=False),
            "one bias is counted for the layer, not one per filter": lambda bias=True, **settings: (
                num_params(**settings, bias=False) + int(bias)
            ),
            "kernel_size 5 is taken for 5 weights, not for 5 x 5": of_a_line,
            "every filter is taken to see all input channels": without_groups,
            "the filters are divided by groups as well": fewer_filters,
        },
    )


def num_macs(in_channels, out_channels, kernel_size, input_size, groups=1, **settings):
    weights = num_params(in_channels, out_channels, kernel_size, groups, False)
    rows, columns = output_size(input_size, kernel_size, **settings)
    return weights * rows * columns


@check(
    "conv2d_num_macs counts one multiply-add per weight and place",
    points=1.5,
    category="parameters",
    after=[test_num_params, test_output_size_dilation],
)
def test_num_macs(submission):
    def with_biases(out_channels, kernel_size, input_size, in_channels, groups=1, **settings):
        rows, columns = output_size(input_size, kernel_size, **settings)
        return num_params(in_channels, out_channels, kernel_size, groups) * rows * columns

    def of_the_input(in_channels, out_channels, kernel_size, input_size, groups=1, **settings):
        rows, columns = pair(input_size)
        return num_params(in_channels, out_channels, kernel_size, groups, False) * rows * columns

    def without_places(in_channels, out_channels, kernel_size, input_size, groups=1, **settings):
        return num_params(in_channels, out_channels, kernel_size, groups, False)

    expect.agrees(
        submission.conv2d_num_macs,
        num_macs,
        grid(
            in_channels=[1, 4, 6],
            out_channels=[32, 6, 8],
            kernel_size=[5, (3, 2), (2, 4)],
            input_size=[28, (10, 12), (13, 11)],
            stride=[LEFT_OUT, 2, (1, 2), (3, 1)],
            padding=[LEFT_OUT, 2, (0, 2), (1, 0)],
            dilation=[LEFT_OUT, 2, (2, 1), (1, 2)],
            groups=[LEFT_OUT, 2, 4, 1],
            where=divides,
        ),
        likely={
            "the biases are counted: they take no multiplication": with_biases,
            "a multiply-add is counted as two operations": lambda **settings: 2 * num_macs(**settings),
            "the number of places is left out": without_places,
            "the places of the input are counted, not those of the output": of_the_input,
        },
    )


# conv2d


def turned(shape, dtype, generator):
    """numbers of both signs near 0, kernels that are the same when they are turned round"""
    kernel = kit.normal(shape, dtype, generator)
    return (kernel + kernel.flip(-1, -2)) / 2


def operands(draw, size, filters, kernel, bias):
    """x, weight and bias; ``bias`` is True, None, or left out."""
    found = {"x": draw(*size), "weight": draw(filters, size[1], *kernel)}
    return found if bias is LEFT_OUT else found | {"bias": draw(filters) if bias else None}


def optioned(draw, size, filters, kernel, *, groups):
    """x, weight and a bias of zeros for checks of the options."""
    channels = size[1] // (1 if groups is LEFT_OUT else groups)
    weight = draw(filters, channels, *kernel, values=turned)
    return {"x": draw(*size), "weight": weight, "bias": draw(filters, values=kit.zeros)}


PLAIN = grid(
    operands,
    size=[(2, 3, 7, 5), (1, 2, 4, 9), (3, 1, 5, 6)],
    filters=[4, 1, 6],
    kernel=[(3, 2), (2, 4), (1, 1), (4, 5)],  # 5 x 4 places at first, and 4 filters
    bias=[True, LEFT_OUT],
)
OPTIONS = grid(
    optioned,
    size=[(2, 1, 8, 9), (1, 1, 9, 10)],
    filters=[1],
    kernel=[(2, 3), (3, 3), (3, 1), (1, 1)],
    groups=[LEFT_OUT],
)
CHANNELS = OPTIONS.vary(size=[(2, 4, 8, 9), (1, 4, 9, 10)], filters=[4, 8])
GROUPS = [LEFT_OUT, 2, 4, 1]
STRIDES = [LEFT_OUT, (2, 1), 3, (1, 2), 1]
PADDINGS = [LEFT_OUT, (1, 2), 1, (2, 0), 0]
DILATIONS = [LEFT_OUT, (3, 2), 2, (1, 3), 1]
MIXED = CHANNELS.vary(
    groups=GROUPS,
    stride=STRIDES,
    padding=PADDINGS,
    dilation=DILATIONS,
    layout=["contiguous", "transposed", "offset", "gaps"],
)


@check("conv2d lays the kernel over the image without flipping it", points=2, category="values", hidden=True)
def test_impulse(submission):
    kernel = torch.randperm(9)[:6].reshape(3, 2).double() + 1  # six different numbers
    image = torch.zeros(5, 6, dtype=torch.float64)
    image[2, 3] = 1
    truth, flipped = torch.zeros(2, 3, 5, dtype=torch.float64)
    for i in range(3):  # the kernel at (i, j) has its entry (2 - i, 3 - j) on the impulse
        for j in (2, 3):
            truth[i, j] = kernel[2 - i, 3 - j]
            flipped[i, j] = kernel[i, j - 2]
    expect.close(
        submission.conv2d(image[None, None], kernel[None, None], torch.zeros(1, dtype=torch.float64)),
        truth[None, None],
        rtol=1e-10,
        atol=1e-10,
        likely={"the kernel is flipped: PyTorch computes a cross-correlation": flipped[None, None]},
        given="one bright pixel at (2, 3), a 3 x 2 kernel of different numbers",
    )


@check("conv2d agrees with PyTorch, channels and bias included", points=1.5, category="values", devices="all")
def test_values(submission, device):
    def reordered(x, weight, bias=None):
        return F.conv2d(x, weight.permute(0, 2, 3, 1).reshape(weight.shape), bias)

    expect.agrees(
        submission.conv2d,
        F.conv2d,
        PLAIN.vary(values=[kit.normal, kit.thousands], dtype=FLOATS[:2]),
        device=device,
        likely={
            "the bias is not added": lambda x, weight, bias=None: F.conv2d(x, weight),
            "the bias runs along the columns, not along the channels": lambda x, weight, bias=0: (
                F.conv2d(x, weight) + bias
            ),
            "the weight is flattened in another order than the patches: (C, KH, KW)": reordered,
            "the kernel is flipped: PyTorch computes a cross-correlation": lambda x, weight, bias=None: F.conv2d(
                x, weight.flip(2, 3), bias
            ),
        },
    )


@check("conv2d moves by its stride", points=1, category="values")
def test_stride(submission):
    expect.agrees(submission.conv2d, F.conv2d, OPTIONS.vary(stride=STRIDES))


@check("conv2d pads both sides with zeros", points=1, category="values")
def test_padding(submission):
    def repeated(x, weight, bias, padding=0):
        rows, columns = pair(padding)
        return F.conv2d(F.pad(x, (columns, columns, rows, rows), mode="replicate"), weight)

    def at_the_far_side(x, weight, bias, padding=0):
        rows, columns = pair(padding)
        return F.conv2d(F.pad(x, (0, 2 * columns, 0, 2 * rows)), weight)

    expect.agrees(
        submission.conv2d,
        F.conv2d,
        OPTIONS.vary(padding=[*PADDINGS, 3], kernel=[(2, 3), (3, 3), (3, 1), (1, 2)]),
        likely={
            "the zeros all stand at the far side": at_the_far_side,
            "the border is repeated, not filled with zeros": repeated,
        },
    )


@check("conv2d spreads the kernel by its dilation", points=1, category="values")
def test_dilation(submission):
    expect.agrees(
        submission.conv2d,
        F.conv2d,
        OPTIONS.vary(dilation=DILATIONS),
        likely={
            "the dilation is used as a stride": lambda x, weight, bias, dilation=1: F.conv2d(x, weight, stride=dilation)
        },
    )


@check("conv2d keeps the groups of channels apart", points=1.5, category="values")
def test_groups(submission):
    def every_second_input(x, weight, bias, groups=1):
        return F.conv2d(x.unflatten(1, (-1, groups)).transpose(1, 2).flatten(1, 2), weight, groups=groups)

    def every_second_output(x, weight, bias, groups=1):
        blocks = weight.unflatten(0, (-1, groups)).transpose(0, 1).flatten(0, 1)
        return F.conv2d(x, blocks, groups=groups).unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)

    expect.agrees(
        submission.conv2d,
        F.conv2d,
        CHANNELS.vary(groups=GROUPS),
        likely={
            "a group takes every second input channel, not neighbours": every_second_input,
            "a group fills every second output channel, not neighbours": every_second_output,
        },
    )


@check(
    "conv2d agrees with PyTorch under any mix of settings",
    points=1,
    category="values",
    after=[test_stride, test_padding, test_dilation, test_groups],
    devices="all",
)
def test_mixed(submission, device):
    expect.agrees(submission.conv2d, F.conv2d, MIXED.vary(dtype=FLOATS[:2]).thorough(), device=device)


def with_same(x, weight, bias, stride=1, **settings):
    if pair(stride) != (1, 1):
        raise ValueError("padding='same' needs stride 1")
    return F.conv2d(x, weight, bias, **settings)


@check(
    'conv2d keeps the size of the image with padding="same"',
    points=1,
    category="values",
    after=[test_padding, test_dilation],
)
def test_same(submission):
    def at_the_near_side(x, weight, bias, stride=1, padding="same", dilation=1, groups=1):
        if pair(stride) != (1, 1):
            raise ValueError
        sums = [d * (k - 1) for d, k in zip(pair(dilation), weight.shape[2:], strict=True)]
        rows, columns = ((total - total // 2, total // 2) for total in sums)
        return F.conv2d(F.pad(x, (*columns, *rows)), weight, dilation=dilation, groups=groups)

    cases = OPTIONS.vary(
        kernel=[(2, 4), (3, 3), (1, 2), (5, 4), (1, 1)],  # of an even kernel the zeros of the two sides differ by one
        padding=["same"],
        dilation=DILATIONS,
        stride=[LEFT_OUT, 1, (1, 1), 2, (1, 2), (2, 1)],
    )
    expect.agrees(
        submission.conv2d,
        with_same,
        cases,
        refuses=["ValueError"],
        likely={"the odd zero stands at the near side": at_the_near_side},
    )


@check(
    "conv2d handles one image, no image, and the smallest outputs",
    points=0.5,
    category="robustness",
    after=test_groups,
    hidden=True,
)
def test_edges(submission):
    cases = grid(
        operands,
        size=[(1, 1, 4, 5), (0, 2, 5, 5), (2, 1, 4, 5), (1, 1, 4, 11)],
        filters=[2, 1],
        kernel=[(4, 5), (1, 1), (1, 5), (4, 1)],
        bias=[LEFT_OUT, None],
        values=[turned],
        stride=[LEFT_OUT, 2],
        padding=[LEFT_OUT, 1],
    )
    expect.agrees(submission.conv2d, F.conv2d, cases)
    cases = CHANNELS.vary(size=[(1, 4, 3, 3), (0, 4, 8, 9)], groups=GROUPS)
    expect.agrees(submission.conv2d, F.conv2d, cases, unchanged=True)


@check(
    "conv2d reads any memory layout and leaves its arguments unchanged", points=0.5, category="robustness", hidden=True
)
def test_layouts(submission):
    expect.agrees(submission.conv2d, F.conv2d, OPTIONS.vary(layout=LAYOUTS, grad=RECORDING), unchanged=True)


@check(
    "conv2d computes in the dtype of x",
    points=0.5,
    category="robustness",
    after=[test_mixed, test_same],
    hidden=True,
)
def test_dtypes(submission):
    expect.agrees(submission.conv2d, F.conv2d, OPTIONS.vary(dtype=FLOATS, grad=RECORDING))
    expect.agrees(submission.conv2d, F.conv2d, OPTIONS.plain().vary(dtype=FLOATS), gradients=True, slack=3)
    expect.agrees(submission.conv2d, F.conv2d, MIXED.plain().vary(dtype=FLOATS))
    same = CHANNELS.vary(padding=["same"], dilation=DILATIONS, groups=GROUPS, dtype=FLOATS)
    expect.agrees(submission.conv2d, F.conv2d, same)


def an_image(draw, size, filters, kernel, bias):
    """As the first layer of a network has it: the image needs no gradient."""
    found = operands(draw, size, filters, kernel, bias)
    return {**found, "x": found["x"].detach()}


@check("gradients reach x, weight and bias", points=1.5, category="gradients")
def test_gradients(submission):
    expect.agrees(submission.conv2d, F.conv2d, PLAIN.vary(dtype=FLOATS[:2]), gradients=True)
    fixed = grid(an_image, size=[(2, 3, 7, 5)], filters=[4], kernel=[(3, 2)], bias=[True, LEFT_OUT])
    expect.agrees(submission.conv2d, F.conv2d, fixed, gradients=True)


@check(
    "gradients pass through any mix of settings",
    points=0.5,
    category="gradients",
    after=[test_gradients, test_mixed],
    hidden=True,
)
def test_mixed_gradients(submission):
    expect.agrees(submission.conv2d, F.conv2d, MIXED, gradients=True)


BY_HAND = Rule(
    of=("conv2d", "ManualConv2d"),
    functions=(*(f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)), "convolution"),
    instead="pad, unfold, slices, matmul, einsum or fft",
)


@check(
    "conv2d and ManualConv2d do without PyTorch's convolutions",
    points=1,
    category="rules",
    after=test_values,
    gates=BY_HAND,
)
def test_rule(submission):
    x, weight, bias = torch.randn(2, 4, 6, 5), torch.randn(4, 4, 3, 2), torch.randn(4)
    expect.avoids(submission.conv2d, x, weight, bias, rule=BY_HAND)
    expect.avoids(submission.ManualConv2d(4, 2, 3, padding=1), x, rule=BY_HAND)


@check(
    "conv2d makes no more PyTorch calls for a larger x",
    points=0.5,
    category="efficiency",
    after=[test_values, test_mixed],
    hidden=True,
)
def test_growth(submission):
    def expect_constant(given, channels, small, large, *settings):
        arguments = []
        for shape, count in ((small, channels[0]), (large, channels[-1])):
            arguments.append((torch.randn(shape), torch.randn(4, count, 3, 3), torch.randn(4), *settings))
        growth = operator_growth(submission.conv2d, *arguments)
        expect.between(growth, 0, 1.2, unit=f"times the PyTorch calls when {given}")

    small, many = (1, 2, 8, 8), (40, 2, 8, 8)
    expect_constant("the batch grows", [2], small, many)
    expect_constant("height and width grow", [2], small, (1, 2, 48, 48))
    expect_constant("the channels of x grow", [2, 40], small, (1, 40, 8, 8))
    expect_constant("the batch grows, with groups, stride, padding and dilation", [1], small, many, 2, 1, 2, 2)


@check(
    "conv2d takes 16 images of 64 x 64 pixels within the time limit",
    points=0.5,
    category="efficiency",
    after=test_values,
    seconds=5,
    hidden=True,
)
def test_speed(submission):
    cases = PLAIN.vary(size=[(16, 3, 64, 64)], filters=[8], kernel=[(3, 3)])
    expect.agrees(submission.conv2d, F.conv2d, cases)


@check(
    "conv2d creates its tensors on the device of x",
    points=0.5,
    category="devices",
    after=[test_values, test_mixed, test_same],
    hidden=True,
)
def test_portable(submission):
    x, bias = torch.randn(2, 4, 6, 5), torch.randn(4)
    expected = "tensors of one device in every call"
    for settings in (((2, 1), (1, 0)), (1, 1, 2), (1, 0, 1, 2), (1, "same", (2, 1), 2)):
        weight = torch.randn(4, 2 if len(settings) == 4 else 4, 3, 2)
        words = dict(zip(("stride", "padding", "dilation", "groups"), settings, strict=False))
        given = f"conv2d on another device, with {words}"
        expect.portable(submission.conv2d, x, weight, bias, *settings, expected=expected, given=given)


# The layer


@check("ManualConv2d(1, 32, 5) registers 832 parameters", points=1.5, category="parameters")
def test_layer_parameters(submission):
    layer = submission.ManualConv2d(1, 32, 5, padding=2)
    expect.equal(
        parameter_count(layer),
        832,
        because="32 filters x (1 x 5 x 5 weights + 1 bias)",
        likely={
            "plain tensors are no parameters: wrap them in nn.Parameter": 0,
            "the bias is not registered": 800,
        },
        given="ManualConv2d(1, 32, 5, padding=2)",
    )
    without = submission.ManualConv2d(1, 32, 5, bias=False)
    expect.parameters(without, total=800, shapes=[(32, 1, 5, 5)])
    expect.equal(without.bias, None, given="the attribute bias of ManualConv2d(1, 32, 5, bias=False)")
    expect.parameters(submission.ManualConv2d(4, 6, (3, 2), groups=2), total=78, shapes=[(6, 2, 3, 2), (6,)])


def layer_maps(draw, size, *, in_channels):
    return draw(size[0], in_channels, *size[1:])


LAYERS = grid(
    layer_maps,
    size=[(2, 8, 7), (1, 9, 8)],
    in_channels=[4, 2],
    out_channels=[6, 4],
    kernel_size=[(3, 2), 3, (1, 2)],
    bias=[LEFT_OUT, False, True],
    state=["loaded"],
)


@check(
    "ManualConv2d stands in for nn.Conv2d, state_dict included",
    points=1,
    category="values",
    after=test_layer_parameters,
)
def test_layer_values(submission):
    cases = LAYERS.vary(training=[True, False], steps=[1, 2], objects=[1, 2], dtype=FLOATS[:2], grad=RECORDING)
    expect.agrees(submission.ManualConv2d, nn.Conv2d, cases)


@check(
    "ManualConv2d hands all its settings on",
    points=0.5,
    category="values",
    after=[test_layer_values, test_mixed],
)
def test_layer_settings(submission):
    def without_settings(in_channels, out_channels, kernel_size, groups=1, bias=True, **settings):
        return nn.Conv2d(in_channels, out_channels, kernel_size, groups=groups, bias=bias)

    cases = LAYERS.vary(
        stride=[LEFT_OUT, (2, 1), 2],
        padding=[LEFT_OUT, (0, 2), 1, "same"],
        dilation=[LEFT_OUT, (1, 2), 2],
        groups=[LEFT_OUT, 2, 4],
        out_channels=[8, 4],
        layout=["contiguous", "transposed"],
        objects=[1, 2],
    )
    meaningful = cases.only(divides).only(lambda padding, stride: padding != "same" or stride is LEFT_OUT)
    expect.agrees(
        submission.ManualConv2d, nn.Conv2d, meaningful, likely={"the layer ignores its settings": without_settings}
    )


@check(
    "gradients reach the parameters of ManualConv2d",
    points=1,
    category="gradients",
    after=test_layer_parameters,
    hidden=True,
)
def test_layer_gradients(submission):
    expect.agrees(submission.ManualConv2d, nn.Conv2d, LAYERS, gradients=True)


@check(
    "ManualConv2d starts small and anew for every instance",
    points=1,
    category="values",
    after=test_layer_parameters,
    hidden=True,
)
def test_layer_start(submission):
    bound = (8 * 5 * 3) ** -0.5
    first, second = (submission.ManualConv2d(16, 64, (5, 3), groups=2).state_dict() for _ in range(2))
    weight = next(value for value in first.values() if value.ndim == 4)  # 7680 values
    spread = weight.std().item()
    expect.true(
        not any(torch.equal(weight, value) for value in second.values()),
        expected="other first values in every instance",
        got="two instances with the same weights",
    )
    # The standard deviation of 7680 uniform values varies by 0.5 %: 5 % are ten times that.
    uniform = bound / 3**0.5
    expect.between(spread, 0.95 * uniform, 1.05 * uniform, unit="as standard deviation of the weights")
    largest = max(value.abs().max().item() for value in first.values())
    expect.between(largest, 0, bound * (1 + 1e-6), unit="as largest magnitude, for b = 1 / sqrt(8 * 5 * 3)")
    settings = {"groups": 2, "bias": False}
    expect.starts_like(
        lambda: submission.ManualConv2d(16, 64, 3, **settings),
        lambda: nn.Conv2d(16, 64, 3, **settings),
        given="ManualConv2d(16, 64, 3, groups=2, bias=False)",
    )
