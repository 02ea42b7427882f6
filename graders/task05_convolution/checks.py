"""Checks for task 05: the arithmetic of a convolution, conv2d by hand, and a layer around it.

The oracle is PyTorch's own convolution: its layer for sizes and counts, its function in float64 for values.
Images, kernels and settings are non-square wherever a square would hide a swap.
"""

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import FLOATS, LAYOUTS, Rule, check, expect, grid, operator_growth, parameter_count


def random_case(x_shape, weight_shape, *, device="cpu", dtype=torch.float64):
    """x, weight and bias of a convolution."""
    shapes = (x_shape, weight_shape, weight_shape[:1])
    return tuple(torch.randn(shape, device=device, dtype=dtype) for shape in shapes)


def tolerance(dtype, device):
    """Convolutions are long sums: two right orders of summation differ by 2e-5 in float32, more on a GPU."""
    if dtype == torch.float64:
        return {"rtol": 1e-10, "atol": 1e-10}
    return {"rtol": 1e-3, "atol": 1e-4} if device == "cuda" else {"rtol": 1.3e-6, "atol": 1e-4}


def compare(submission, case, *, likely=None, **settings):
    """conv2d agrees with PyTorch on one case of x, weight and bias."""
    x, weight, bias = case
    expect.close(
        submission.conv2d(x, weight, bias, **settings),
        F.conv2d(x, weight, bias, **settings),
        **tolerance(x.dtype, x.device.type),
        likely=likely,
        given=describe(x, weight, **settings),
    )


def describe(x, weight, **settings):
    words = [f"x {tuple(x.shape)}", f"weight {tuple(weight.shape)}"]
    return ", ".join(words + [f"{name}={value!r}" for name, value in settings.items()])


def size_of_output(size, kernel_size, **settings):
    return tuple(nn.Conv2d(1, 1, kernel_size, **settings)(torch.zeros(1, 1, *size)).shape[2:])


# Sizes and counts


@check("conv2d_output_size counts the places where the kernel fits", points=2, category="shapes")
def test_output_size(submission):
    size = submission.conv2d_output_size
    expect.equal(
        size(6, 3, stride=2),
        (2, 2),
        because="the kernel starts at pixels 0 and 2, and does not fit at 4",
        likely={
            "the count is rounded up: the last place reaches beyond the image": (3, 3),
            "the division is not rounded: a count is a whole number": (2.5, 2.5),
            "the + 1 is missing: the first place counts too": (1, 1),
        },
        given="size 6, kernel_size 3, stride 2",
    )
    expect.equal(
        size(5, 3, padding=1),
        (5, 5),
        because="5 pixels and 1 zero on each side",
        likely={"the padding is counted on one side only": (4, 4), "the padding is not used": (3, 3)},
        given="size 5, kernel_size 3, padding 1",
    )
    for length, kernel, stride, padding, places in [(4, 3, 1, 0, 2), (5, 3, 2, 0, 2), (28, 5, 1, 2, 28)]:
        given = f"size {length}, kernel_size {kernel}, stride {stride}, padding {padding}"
        expect.equal(size(length, kernel, stride, padding), (places, places), given=given)
    for length, kernel, stride, places in [(39, 3, 1, 37), (37, 5, 2, 17), (17, 5, 2, 7)]:
        given = f"size {length}, kernel_size {kernel}, stride {stride}"
        expect.equal(size(length, kernel, stride=stride), (places, places), given=given)


@check("conv2d_output_size keeps rows and columns apart", points=1, category="shapes", after=test_output_size)
def test_output_size_pairs(submission):
    size = submission.conv2d_output_size
    expect.equal(
        size((50, 100), (3, 5), stride=(2, 1), padding=(4, 2)),
        (28, 100),
        likely={
            "rows and columns are swapped": (100, 28),
            "the columns are computed with the settings of the rows": (28, 28),
        },
        given="size (50, 100), kernel_size (3, 5), stride (2, 1), padding (4, 2)",
    )
    for _ in range(5):
        rows, columns, stride, padding = torch.randint(1, 5, (4,)).tolist()
        image, kernel = (rows + 12, columns + 20), (columns + 1, rows)
        settings = {"stride": (stride, 2), "padding": padding}  # an int among pairs
        expect.equal(
            size(image, kernel, **settings),
            size_of_output(image, kernel, **settings),
            given=f"size {image}, kernel_size {kernel}, stride {settings['stride']}, padding {padding}",
        )


@check(
    "conv2d_output_size spreads the kernel by its dilation",
    points=1,
    category="shapes",
    after=test_output_size_pairs,
)
def test_output_size_dilation(submission):
    size = submission.conv2d_output_size
    expect.equal(
        size(20, 3, dilation=6),
        (8, 8),
        because="3 entries with 5 pixels between them span 13",
        likely={
            "the dilation is not used": (18, 18),
            "the kernel spans dilation * kernel_size: that is one gap too much": (3, 3),
        },
        given="size 20, kernel_size 3, dilation 6",
    )
    expect.equal(size(49, 3, dilation=24), (1, 1), because="the kernel spans 49", given="kernel_size 3, dilation 24")
    given = "size (50, 100), kernel_size (3, 5), stride (2, 1), padding (4, 2), dilation (3, 1)"
    expect.equal(size((50, 100), (3, 5), (2, 1), (4, 2), (3, 1)), (26, 100), given=given)


@check(
    "conv2d_output_size refuses a kernel that does not fit",
    points=0.5,
    category="robustness",
    after=test_output_size_dilation,
)
def test_kernel_too_large(submission):
    size = submission.conv2d_output_size
    refusals = ("ValueError", "RuntimeError")
    expect.equal(size((3, 4), (5, 4), padding=(1, 0)), (1, 1), given="a kernel that just fits")
    expect.raises(refusals, size, 2, 3)
    expect.raises(refusals, size, (9, 3), (3, 4))
    expect.raises(refusals, size, (12, 20), 3, dilation=6)
    expect.raises(refusals, size, 2, 9, stride=4)


@check("conv2d_num_params counts weights and biases", points=2, category="parameters")
def test_num_params(submission):
    count = submission.conv2d_num_params
    expect.equal(
        count(1, 32, 5),
        832,
        because="32 filters x (1 x 5 x 5 weights + 1 bias)",
        likely={
            "the biases are not counted": 800,
            "one bias is counted for the layer, not one per filter": 801,
            "kernel_size 5 is taken for 5 weights, not for 5 x 5": 32 * 5 + 32,
        },
        given="conv2d_num_params(1, 32, 5)",
    )
    expect.equal(count(3, 2, 3), 56, because="2 filters x (3 x 3 x 3 weights + 1 bias)", given="3 -> 2 channels, 3 x 3")
    expect.equal(count(16, 33, (3, 5)), 7953, given="16 -> 33 channels, 3 x 5")
    expect.equal(count(16, 33, 3), 4785, given="16 -> 33 channels, 3 x 3")
    expect.equal(
        count(32, 64, 3, groups=4, bias=False),
        4608,
        because="64 filters x (8 x 3 x 3 weights)",
        likely={
            "every filter is taken to see all input channels": 18432,
            "the filters are divided by groups as well": 1152,
        },
        given="32 -> 64 channels, 3 x 3, groups=4, bias=False",
    )
    expect.equal(count(32, 32, 3, groups=32, bias=False), 288, given="32 -> 32 channels, 3 x 3, groups=32, bias=False")

    into, out, groups, k = torch.randint(2, 6, (4,)).tolist()
    layer = nn.Conv2d(into * groups, out * groups, (k, 2), groups=groups)
    expect.equal(
        count(into * groups, out * groups, (k, 2), groups=groups),
        sum(parameter.numel() for parameter in layer.parameters()),
        given=f"{into * groups} -> {out * groups} channels, {k} x 2, groups={groups}",
    )


@check(
    "conv2d_num_macs counts one multiply-add per weight and place",
    points=1,
    category="parameters",
    after=[test_num_params, test_output_size_dilation],
)
def test_num_macs(submission):
    count = submission.conv2d_num_macs
    expect.equal(
        count(1, 32, 5, 28, padding=2),
        627200,
        because="800 weights x 28 x 28 places",
        likely={
            "the biases are counted: they take no multiplication": 832 * 784,
            "a multiply-add is counted as two operations": 2 * 627200,
            "the number of places is left out": 800,
        },
        given="1 -> 32 channels, 5 x 5, input 28 x 28, padding 2",
    )
    expect.equal(
        count(3, 8, 3, (10, 12), stride=2),
        216 * 20,
        because="216 weights x 4 x 5 places",
        likely={"the places of the input are counted, not those of the output": 216 * 120},
        given="3 -> 8 channels, 3 x 3, input (10, 12), stride 2",
    )
    settings = {"stride": (1, 2), "padding": (0, 2), "dilation": (2, 1), "groups": 2}
    rows, columns = torch.randint(8, 16, (2,)).tolist()
    layer = nn.Conv2d(4, 6, (3, 2), **settings)
    places = layer(torch.zeros(1, 4, rows, columns)).numel()  # output channels included
    expect.equal(
        count(4, 6, (3, 2), (rows, columns), **settings),
        places * layer.weight[0].numel(),
        given=f"4 -> 6 channels, 3 x 2, input ({rows}, {columns}), {settings}",
    )


# conv2d


@check("conv2d lays the kernel over the image without flipping it", points=1.5, category="values")
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


@check(
    "conv2d agrees with PyTorch, channels and bias included",
    points=3,
    category="values",
    after=test_impulse,
    devices="all",
)
def test_values(submission, device):
    x, weight, bias = case = random_case((2, 3, 7, 5), (4, 3, 3, 2), device=device)  # 5 x 4 places, 4 channels
    plain = F.conv2d(x, weight)
    reordered = weight.permute(0, 2, 3, 1).reshape(weight.shape)
    compare(
        submission,
        case,
        likely={
            "the bias is not added": plain,
            "the bias runs along the columns, not along the channels": plain + bias,
            "the weight is flattened in another order than the patches: (C, KH, KW)": F.conv2d(x, reordered, bias),
        },
    )
    compare(submission, random_case((1, 2, 4, 9), (3, 2, 2, 4), device=device, dtype=torch.float32))


@check(
    "conv2d moves by its stride and pads both sides with zeros",
    points=2,
    category="values",
    after=test_values,
)
def test_stride_padding(submission):
    x, weight, bias = case = random_case((2, 2, 6, 7), (3, 2, 2, 3))
    compare(
        submission,
        case,
        stride=(2, 1),
        likely={"the strides of rows and columns are swapped": F.conv2d(x, weight, bias, stride=(1, 2))},
    )
    compare(
        submission,
        case,
        padding=(1, 2),
        likely={
            "the paddings of rows and columns are swapped": F.conv2d(x, weight, bias, padding=(2, 1)),
            "the zeros all stand at the far side": F.conv2d(F.pad(x, (0, 4, 0, 2)), weight, bias),
            "the border is repeated, not filled with zeros": F.conv2d(
                F.pad(x, (2, 2, 1, 1), mode="replicate"), weight, bias
            ),
        },
    )
    compare(submission, case, stride=3, padding=(0, 2))


@check("conv2d spreads the kernel by its dilation", points=1, category="values", after=test_values)
def test_dilation(submission):
    x, weight, bias = case = random_case((2, 2, 8, 9), (3, 2, 2, 3))
    compare(
        submission,
        case,
        dilation=(3, 2),
        likely={
            "the dilation is not used": F.conv2d(x, weight, bias),
            "the dilations of rows and columns are swapped": F.conv2d(x, weight, bias, dilation=(2, 3)),
            "the dilation is used as a stride": F.conv2d(x, weight, bias, stride=(3, 2)),
        },
    )
    compare(submission, case, dilation=2, stride=2)


@check("conv2d keeps the groups of channels apart", points=2, category="values", after=test_values)
def test_groups(submission):
    x, weight, bias = case = random_case((2, 4, 5, 6), (6, 2, 3, 2))
    even_first = x[:, [0, 2, 1, 3]]
    interleaved = F.conv2d(x, weight[[0, 2, 4, 1, 3, 5]], groups=2)[:, [0, 3, 1, 4, 2, 5]] + bias[:, None, None]
    compare(
        submission,
        case,
        groups=2,
        likely={
            "a group takes every second input channel, not neighbours": F.conv2d(even_first, weight, bias, groups=2),
            "a group fills every second output channel, not neighbours": interleaved,
        },
    )
    compare(submission, random_case((2, 3, 5, 4), (6, 1, 2, 3)), groups=3)


@check(
    "conv2d agrees with PyTorch under any mix of settings",
    points=1,
    category="values",
    after=[test_stride_padding, test_dilation, test_groups],
    devices="all",
)
def test_mixed(submission, device):
    for _ in range(3):
        stride, padding, dilation, groups = torch.randint(1, 4, (4, 2)).tolist()
        groups = groups[0] + 1
        shapes = (2, 2 * groups, 9, 8), (3 * groups, 2, *torch.randint(2, 4, (2,)).tolist())
        settings = {
            "stride": stride[0],
            "padding": tuple(padding),
            "dilation": (2, dilation[0]),
            "groups": groups,
        }
        for dtype in (torch.float64, torch.float32):
            compare(submission, random_case(*shapes, device=device, dtype=dtype), **settings)


@check(
    'conv2d keeps the size of the image with padding="same"',
    points=1,
    category="values",
    after=[test_stride_padding, test_dilation],
)
def test_same(submission):
    x, weight, bias = random_case((2, 2, 5, 6), (3, 2, 2, 4))  # an even kernel: 1 and 3 zeros are added
    truth = F.conv2d(F.pad(x, (1, 2, 0, 1)), weight, bias)
    expect.close(
        submission.conv2d(x, weight, bias, padding="same"),
        truth,
        likely={"the odd zero stands at the near side": F.conv2d(F.pad(x, (2, 1, 1, 0)), weight, bias)},
        given=describe(x, weight, padding="same"),
    )
    compare(submission, random_case((1, 1, 6, 7), (2, 1, 3, 3)), padding="same", dilation=(1, 2))
    expect.raises(("ValueError", "RuntimeError"), submission.conv2d, x, weight, bias, stride=2, padding="same")


@check(
    "conv2d handles one image, no image, and the smallest outputs",
    points=0.5,
    category="robustness",
    after=test_values,
)
def test_edges(submission):
    compare(submission, random_case((1, 3, 4, 5), (2, 3, 4, 5)))  # one place
    compare(submission, random_case((2, 3, 4, 5), (1, 3, 1, 1)))
    x, weight, _ = random_case((2, 1, 3, 4), (2, 1, 2, 2))
    expect.close(submission.conv2d(x, weight), F.conv2d(x, weight), given="bias left out")
    expect.close(submission.conv2d(x, weight, None, 1), F.conv2d(x, weight), given="bias=None")
    empty = submission.conv2d(torch.empty(0, 2, 5, 4), torch.randn(3, 2, 2, 3), torch.randn(3), padding=1)
    expect.shape(empty, (0, 3, 6, 4), given="an empty batch, x (0, 2, 5, 4)")


def operands(draw, image, kernel):
    return {"x": draw(2, 4, *image), "weight": draw(3, 4, *kernel), "bias": draw(3)}


@check(
    "conv2d reads any memory layout and leaves x unchanged",
    points=0.5,
    category="robustness",
    after=test_values,
)
def test_layouts(submission):
    cases = grid(operands, image=[(6, 7), (3, 5)], kernel=[(2, 3), (3, 1)], dtype=FLOATS[:2], layout=LAYOUTS)
    expect.agrees(submission.conv2d, F.conv2d, cases, unchanged=True)


@check("gradients reach x, weight and bias", points=2, category="gradients", after=test_stride_padding)
def test_gradients(submission):
    case = [tensor.requires_grad_() for tensor in random_case((2, 2, 6, 5), (4, 2, 2, 3))]
    settings = {"stride": (2, 1), "padding": (1, 0)}
    expected = F.conv2d(*case, **settings)
    cotangent = torch.randn_like(expected)
    got = submission.conv2d(*case, **settings)
    expect.gradient_flow(got, *case)
    for name, mine, truth in zip(
        ("x", "weight", "bias"),
        torch.autograd.grad((got * cotangent).sum(), case),
        torch.autograd.grad((expected * cotangent).sum(), case),
        strict=True,
    ):
        expect.close(mine, truth, rtol=1e-9, atol=1e-9, given=f"the gradient of {name}")
    small = [tensor.requires_grad_() for tensor in random_case((1, 2, 4, 3), (2, 2, 2, 2))]
    expect.gradients(submission.conv2d, small)


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
    x, weight, bias = random_case((2, 4, 6, 5), (4, 4, 3, 2), dtype=torch.float32)
    expect.avoids(submission.conv2d, x, weight, bias, rule=BY_HAND)
    expect.avoids(submission.conv2d, x, weight[:, :2], bias, 1, 1, 1, 2, rule=BY_HAND)
    expect.avoids(submission.ManualConv2d(4, 2, 3, padding=1), x, rule=BY_HAND)


@check(
    "conv2d makes no more PyTorch calls for a larger x",
    points=1.5,
    category="efficiency",
    after=test_values,
)
def test_growth(submission):
    weight, bias = torch.randn(3, 2, 3, 3), torch.randn(3)
    small = torch.randn(1, 2, 8, 8), weight, bias
    for given, shape in {"the batch": (4, 2, 8, 8), "height and width": (1, 2, 16, 16)}.items():
        growth = operator_growth(submission.conv2d, small, (torch.randn(shape), weight, bias))
        expect.between(growth, 0, 1.2, unit=f"times the PyTorch calls when {given} grows")


@check(
    "conv2d takes 16 images of 64 x 64 pixels within the time limit",
    points=0.5,
    category="efficiency",
    after=test_values,
    seconds=5,
)
def test_speed(submission):
    compare(submission, random_case((16, 3, 64, 64), (8, 3, 3, 3), dtype=torch.float32))


@check("conv2d creates its tensors on the device of x", points=0.5, category="devices", after=test_values)
def test_portable(submission):
    x, weight, bias = random_case((2, 4, 6, 5), (4, 2, 3, 2), dtype=torch.float32)
    expected = "tensors of one device in every call"
    expect.portable(submission.conv2d, x, weight, bias, (2, 1), (1, 0), 1, 2, expected=expected)


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
    expect.parameters(submission.ManualConv2d(1, 32, 5, bias=False), total=800, shapes=[(32, 1, 5, 5)])
    expect.parameters(submission.ManualConv2d(4, 6, (3, 2), groups=2), total=78, shapes=[(6, 2, 3, 2), (6,)])


@check(
    "ManualConv2d stands in for nn.Conv2d, state_dict included",
    points=1,
    category="values",
    after=[test_layer_parameters, test_mixed],
)
def test_layer_values(submission):
    settings = {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "groups": 2}
    for bias in (True, False):
        reference = nn.Conv2d(4, 6, (3, 2), **settings, bias=bias)
        layer = submission.ManualConv2d(4, 6, (3, 2), **settings, bias=bias)
        expect.state_dict_keys(layer, list(reference.state_dict()))
        layer.load_state_dict(reference.state_dict())
        x = torch.randn(2, 4, 8, 7)
        expect.close(
            layer(x),
            reference(x).detach(),
            rtol=1.3e-6,
            atol=1e-4,
            likely={"the layer ignores its settings": F.conv2d(x, reference.weight, reference.bias, groups=2)},
            given=f"ManualConv2d(4, 6, (3, 2), bias={bias}, {settings})",
        )


@check(
    "gradients reach the parameters of ManualConv2d",
    points=1,
    category="gradients",
    after=test_layer_values,
)
def test_layer_gradients(submission):
    layer = submission.ManualConv2d(2, 3, (2, 3), padding=1)
    x = torch.randn(2, 2, 4, 5)
    reference = nn.Conv2d(2, 3, (2, 3), padding=1)
    reference.load_state_dict(layer.state_dict())
    cotangent = torch.randn(2, 3, 5, 5)
    (layer(x) * cotangent).sum().backward()
    (reference(x) * cotangent).sum().backward()
    for name, truth in (("weight", reference.weight.grad), ("bias", reference.bias.grad)):
        expect.close(getattr(layer, name).grad, truth, rtol=1e-4, atol=1e-4, given=f"the gradient of {name}")


@check(
    "ManualConv2d starts small and anew for every instance",
    points=1,
    category="values",
    after=test_layer_parameters,
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
