"""Checks for task 33: MobileNet v1, two later parts of its family, and Inception."""

import math
from itertools import pairwise

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
    feature_maps,
    fill_by_shape,
    filled,
    grid,
    kit,
    lean,
    normal,
    on_meta,
    operator_trace,
    registered_parameters,
    set_parameters,
)

WIDTHS = (32, 64, 64, 128, 128, 256, 256, 512)


# The oracle: plain functions, on weights that depend on their shape only. In training mode the bias of a convolution
# before a batch norm cancels, in evaluation mode it shows.


def conv(x, inner, outer, size, stride=1, bias=False, padding=None, groups=1):
    layer = filled(nn.Conv2d, inner, outer, size, bias=bias, groups=groups)
    padding = size // 2 if padding is None else padding
    return F.conv2d(x, layer.weight, layer.bias, stride=stride, padding=padding, groups=groups)


def norm(x, width, training=True, memory=None):
    layer = memory.layer(width) if memory else filled(nn.BatchNorm2d, width)
    held = layer.running_mean, layer.running_var, layer.weight, layer.bias
    return F.batch_norm(x, *held, training=training)


class Memory:
    """The batch norms of a network in the order in which a pass calls them; they keep what they learn."""

    def __init__(self):
        self.layers, self.place = [], 0

    def layer(self, width):
        if self.place == len(self.layers):
            self.layers.append(filled(nn.BatchNorm2d, width))
        self.place += 1
        return self.layers[self.place - 1]

    def again(self):
        """The same batch norms, from the first one on."""
        self.place = 0
        return self


def conv_norm(x, inner, outer, size, stride=1, *, training=True, memory=None, bend=F.relu, padding=None):
    return bend(norm(conv(x, inner, outer, size, stride, True, padding), outer, training, memory))


def linear(x, inner, num_classes):
    layer = filled(nn.Linear, inner, num_classes)
    return F.linear(x, layer.weight, layer.bias)


def straight(x):
    """No activation at all."""
    return x


def filled_net(make, *args, mode=True, **kwargs):
    """A network of the submission in float64, filled by shape, in training mode or not; None: as it was made."""
    net = lean(make, *args, **kwargs).double()
    fill_by_shape(net)
    return net if mode is None else net.train(mode)


def expect_new(make, name, *args):
    """What is made of other modules is in training mode; how those are made is the business of other checks."""
    mode = mode_name(on_meta(make, *args).training)
    expect.equal(mode, "training", given=f"the mode of a new {name}")


def total(shapes):
    return sum(math.prod(shape) for shape in shapes)


def mode_name(mode):
    return "training" if mode else "evaluation"


def expect_named(make, shapes, name, **settings):
    """What is made with its settings by name has parameters of these shapes."""
    written = ", ".join(f"{key}={value}" for key, value in settings.items())
    expect.parameters(on_meta(make, **settings), shapes=shapes, given=f"{name}({written})")


def logits_shape(net, size):
    """The shape of what comes of an input of this size."""
    return tuple(feature_maps(net, torch.zeros(size))[0]["shape"] or ())


def expect_settings(submission, function, *args, given):
    """A call leaves whether gradients are recorded, and the default dtype, as they were."""
    for before, after in submission.probes.settings(function, *args):
        said = f"gradients recorded, and default dtype, after {given}, where they were {before}"
        expect.equal(after, before, given=said)


# h_swish

NO_HARDSWISH = Rule(of=("h_swish",), functions=("hardswish",), instead="relu6 or clamp")


def bent(low=-3.0, high=3.0):
    """h-swish with other bends."""
    return lambda x: x * (x - low).clamp(0, high - low) / (high - low)


SWISH = grid(shape=[(24,), (2, 3, 4), (), (1,), (0, 3)], values=[kit.normal])


def wide(shape, dtype, generator):
    """numbers from -6 to 6 in steps of 1/4, and a little beside the bends"""
    return ((torch.arange(torch.Size(shape).numel()) % 49 - 24) / 4 + 0.05).reshape(tuple(shape)).double()


@check("h_swish is x · relu6(x + 3) / 6", points=1, category="values", devices="all")
def test_swish_values(submission, device):
    expect.agrees(
        submission.h_swish,
        bent(),
        grid(shape=[(49,), (7, 7), (2, 3, 4), (1,)], values=[wide, kit.normal]),
        device=device,
        likely={
            "it is not divided by 6": lambda x: x * F.relu6(x + 3),
            "this is the gate alone: it is not multiplied by x": lambda x: F.relu6(x + 3) / 6,
            "the gate has no upper end: this is x · relu(x + 3) / 6": lambda x: x * F.relu(x + 3) / 6,
            "this is x · sigmoid(x), which h-swish stands for": F.silu,
            "the 3 is not added": lambda x: x * F.relu6(x) / 6,
            "this is relu6(x)": F.relu6,
            "x + 3 is multiplied, not x": lambda x: (x + 3) * F.relu6(x + 3) / 6,
        },
    )
    x = torch.tensor([-4.0, -1.0, 0.0, 1.0, 4.0]).to(device)
    wanted = torch.tensor([0.0, -1 / 3, 0.0, 2 / 3, 4.0]).to(device)
    expect.close(submission.h_swish(x), wanted, given="[-4, -1, 0, 1, 4]")
    x = torch.tensor([-3.001, -2.99, -2.9, 2.9, 2.99, 2.995, 3.001]).to(device)
    expect.close(submission.h_swish(x), bent()(x), given="numbers near -3 and 3")


@check("h_swish takes every dtype, layout and shape", points=0.5, category="robustness", hidden=True,
       after=test_swish_values)  # fmt: skip
def test_swish_inputs(submission):
    cases = grid(shape=[(4, 5), (2, 3, 4, 5), ()], values=[wide], layout=LAYOUTS, dtype=FLOATS[:2], grad=RECORDING)
    expect.agrees(submission.h_swish, bent(), cases, unchanged=True)
    expect.agrees(submission.h_swish, bent(), grid(shape=[(24,)], dtype=FLOATS[2:]), slack=4.0)
    expect.agrees(submission.h_swish, bent(), grid(shape=[(0, 3)]), trivial="an empty tensor holds no values")
    far = grid(shape=[(9,)], values=[kit.not_a_number, kit.thousands, kit.negative_thousands], dtype=FLOATS)
    expect.agrees(submission.h_swish, bent(), far, slack=4.0)
    expect_settings(submission, submission.h_swish, torch.rand(3), given="h_swish")


@check("gradients pass through h_swish", points=0.5, category="gradients", after=test_swish_values)
def test_swish_gradients(submission):
    expect.agrees(submission.h_swish, bent(), grid(shape=[(49,), (3, 4)], values=[wide, kit.normal]), gradients=True)


@check("h_swish is written without hardswish", points=0.5, category="rules", gates=NO_HARDSWISH)
def test_swish_rule(submission):
    expect.avoids(submission.h_swish, torch.randn(4, 5), rule=NO_HARDSWISH)


# deconv_output_size


def deconv(n, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    """Counted by PyTorch's own transposed convolution, which refuses what cannot be."""
    x, weight = torch.zeros(1, 1, n), torch.zeros(1, 1, kernel_size)
    settings = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    try:
        return F.conv_transpose1d(x, weight, **settings).shape[2]
    except RuntimeError as error:
        raise ValueError from error


def formula(change):
    """The formula with one part changed: ``change`` takes what it takes and gives the difference."""

    def count(n, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
        return deconv(n, kernel_size, stride, padding, output_padding, dilation) + change(
            n, kernel_size, stride, padding, output_padding, dilation
        )

    return count


def forwards(n, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    size = (n + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1
    if size < 1:
        raise ValueError
    return size


SIZES = grid(
    n=[7, 4, 1, 2, 14],
    kernel_size=[3, 4, 5],
    stride=[LEFT_OUT, 2, 3],
    padding=[LEFT_OUT, 1, 2],
    output_padding=[LEFT_OUT, 1],
    dilation=[LEFT_OUT, 2, 3],
    where=lambda n, kernel_size, stride, padding, output_padding, dilation: possible(
        n, kernel_size, stride, padding, output_padding, dilation
    ),
)


def possible(n, kernel_size, stride, padding, output_padding, dilation):
    stride, dilation = (1 if value is LEFT_OUT else value for value in (stride, dilation))
    padding, output_padding = (0 if value is LEFT_OUT else value for value in (padding, output_padding))
    size = (n - 1) * stride + dilation * (kernel_size - 1) + 1 - 2 * padding + output_padding
    return output_padding < max(stride, dilation) and size > 0


@check("deconv_output_size counts as nn.ConvTranspose2d does", points=2, category="values")
def test_deconv_values(submission):
    expect.agrees(
        submission.deconv_output_size,
        deconv,
        SIZES,
        likely={
            "n is multiplied by the stride, not n - 1": formula(lambda n, k, s, p, o, d: s),
            "the padding is cut off once, not on both sides": formula(lambda n, k, s, p, o, d: p),
            "the padding is added, not cut off": formula(lambda n, k, s, p, o, d: 4 * p),
            "the output_padding is added on both sides": formula(lambda n, k, s, p, o, d: o),
            "the reach of the kernel is taken as dilation · kernel_size": formula(lambda n, k, s, p, o, d: d - 1),
            "the last + 1 is missing": formula(lambda n, k, s, p, o, d: -1),
            "this is the size of a convolution, not of a transposed one": forwards,
        },
    )
    for args, size in (((4, 3), 6), ((4, 3, 2), 9), ((7, 3, 2, 1, 1), 14), ((1, 4, 2, 1), 2), ((5, 3, 3, 1, 2, 2), 17),
                       ((5, 3, 1, 0, 1, 2), 10), ((4, 1, 1, 1), 2), ((1, 1), 1), ((3, 1, 2), 5)):  # fmt: skip
        expect.equal(submission.deconv_output_size(*args), size, given=f"deconv_output_size{args}")


@check("deconv_output_size refuses what cannot be", points=0.5, category="robustness", hidden=True)
def test_deconv_refuses(submission):
    for args in ((4, 3, 1, 0, 1), (4, 3, 2, 0, 2), (5, 3, 2, 1, 3), (5, 3, 1, 0, 2, 2), (4, 3, 3, 0, 3, 2),
                 (1, 1, 1, 1), (1, 2, 1, 1), (2, 3, 1, 2), (3, 3, 2, 4)):  # fmt: skip
        given = f"deconv_output_size{args}"
        expect.raises("ValueError", submission.deconv_output_size, *args, given=given)
    expect_settings(submission, submission.deconv_output_size, 4, 3, given="deconv_output_size(4, 3)")


# conv_bn_relu


def conv_shapes(inner, outer, size):
    return [(outer, inner, size, size), (outer,), (outer,), (outer,)]


@check("conv_bn_relu has a convolution with a bias, and a batch norm", points=1, category="parameters")
def test_conv_parameters(submission):
    for args in ((128, 64, 3), (128, 64, 1), (5, 4, 5), (4, 4, 7, 2)):
        inner, outer, size, *_ = args
        shapes = conv_shapes(inner, outer, size)
        count = total(shapes)
        expect.parameters(
            on_meta(submission.conv_bn_relu, *args),
            count,
            shapes=shapes,
            given=f"conv_bn_relu{args}",
            likely={
                "the convolution has no bias": count - outer,
                "there is no batch norm": count - 2 * outer,
            }
            | ({"kernel_size is ignored: it is always 3": total(conv_shapes(inner, outer, 3))} if size != 3 else {}),
        )
    settings = {"stride": 2, "kernel_size": 5, "out_channels": 6, "in_channels": 4}
    expect_named(submission.conv_bn_relu, conv_shapes(4, 6, 5), "conv_bn_relu", **settings)


@check("conv_bn_relu keeps the size for every kernel, and takes strides", points=1, category="shapes")
def test_conv_shapes(submission):
    for size in (1, 3, 5, 7, 9):
        for stride in (1, 2, 3):
            wanted = (2, 4, -(-9 // stride), -(-12 // stride))
            net = submission.conv_bn_relu(3, 4, size, stride)
            expect.equal(
                logits_shape(net, (2, 3, 9, 12)),
                wanted,
                given=f"conv_bn_relu(3, 4, {size}, {stride}) and x of shape (2, 3, 9, 12)",
                likely={"the padding is always 1": (2, 4, (11 - size) // stride + 1, (14 - size) // stride + 1)}
                if size != 3 and stride == 1
                else {"the stride is ignored": (2, 4, 9, 12)}
                if stride > 1
                else None,
            )


@check("conv_bn_relu computes convolution, batch norm and ReLU", points=1.5, category="values", devices="all")
def test_conv_values(submission, device):
    for args, shape in (((3, 5, 3), (4, 3, 6, 7)), ((4, 4, 1), (3, 4, 5, 1)), ((2, 3, 5, 2), (3, 2, 4, 7)),
                        ((2, 3, 7, 3), (2, 2, 9, 4))):  # fmt: skip
        for mode in (True, False):
            x = kit.lay_out(normal(*shape), "contiguous" if mode else "channels last")
            answer = filled_net(submission.conv_bn_relu, *args, mode=mode).to(device)(x.to(device)).detach().cpu()
            maps = conv(x, *args, bias=True)
            truth = F.relu(norm(maps, args[1], mode))
            given = f"conv_bn_relu{args} in {mode_name(mode)} mode, every parameter filled by its shape"
            expect.shape(answer, truth.shape, given=given)
            expect.close(
                answer,
                truth,
                scale=1e-6,
                given=given,
                likely={
                    "there is no ReLU": norm(maps, args[1], mode),
                    "the ReLU stands before the batch norm": norm(F.relu(maps), args[1], mode),
                    "the batch norm uses other statistics than those of its mode": F.relu(
                        norm(maps, args[1], not mode)
                    ),
                }
                if args == (3, 5, 3)
                else None,
            )


# depthwise_separable


def block_shapes(inner, outer):
    return [(inner, 1, 3, 3), (inner,), (inner,), (outer, inner, 1, 1), (outer,), (outer,)]


@check("depthwise_separable has nine weights for each channel", points=1.5, category="parameters")
def test_block_parameters(submission):
    for args in ((32, 64), (4, 6, 2), (5, 5)):
        inner, outer, *_ = args
        shapes = block_shapes(inner, outer)
        count = total(shapes)
        expect.parameters(
            on_meta(submission.depthwise_separable, *args),
            count,
            shapes=shapes,
            given=f"depthwise_separable{args}",
            likely={
                "the first convolution has no groups: every channel meets every other": count + 9 * inner * (inner - 1),
                "this is one usual 3×3 convolution": 9 * inner * outer + 2 * outer,
                "the convolutions have biases": count + inner + outer,
                "the pointwise convolution is 3×3": count + 8 * inner * outer,
            }
            | (
                {
                    "no batch norm follows the depthwise convolution": count - 2 * inner,
                    "no batch norm follows the pointwise convolution": count - 2 * outer,
                }
                if inner != outer
                else {}
            ),
        )
    settings = {"stride": 2, "out_channels": 6, "in_channels": 4}
    expect_named(submission.depthwise_separable, block_shapes(4, 6), "depthwise_separable", **settings)


def separable(x, inner, outer, stride=1, *, training=True, memory=None, bends=(F.relu, F.relu), late=False):
    """``late``: the stride is in the pointwise convolution."""
    x = conv(x, inner, inner, 3, 1 if late else stride, groups=inner)
    x = bends[0](norm(x, inner, training, memory))
    return bends[1](norm(conv(x, inner, outer, 1, stride if late else 1), outer, training, memory))


@check("depthwise_separable computes two convolutions, each with norm and ReLU", points=2, category="values",
       devices="all")  # fmt: skip
def test_block_values(submission, device):
    x = 4 * normal(3, 4, 7, 6)
    for args in ((4, 6), (4, 6, 2)):
        answer = filled_net(submission.depthwise_separable, *args).to(device)(x.to(device)).cpu()
        expect.close(
            answer,
            separable(x, *args),
            scale=1e-6,
            given=f"depthwise_separable{args} in training mode, every parameter filled by its shape",
            likely={
                "no ReLU follows the depthwise convolution": separable(x, *args, bends=(straight, F.relu)),
                "no ReLU follows the pointwise convolution": separable(x, *args, bends=(F.relu, straight)),
                "there is no ReLU": separable(x, *args, bends=(straight, straight)),
                "the block uses running statistics in training": separable(x, *args, training=False),
            }
            | ({"the stride is in the pointwise convolution": separable(x, *args, late=True)} if len(args) > 2 else {}),
        )
    for args, shape, layout in (
        ((4, 4), (2, 4, 1, 7), "transposed"),
        ((6, 3, 3), (3, 6, 4, 7), "channels last"),
        ((3, 3, 2), (2, 3, 5, 1), "gaps"),
        ((8, 8), (2, 8, 4, 4), "contiguous"),
    ):
        x = kit.lay_out(normal(*shape), layout)
        given = f"depthwise_separable{args} in training mode, x of shape {shape}, layout {layout}"
        expect.close(filled_net(submission.depthwise_separable, *args)(x), separable(x, *args), scale=1e-6, given=given)
    large = 40 * normal(3, 4, 5, 5).abs()
    net = filled_net(submission.depthwise_separable, 4, 6, mode=False)
    expect.close(
        net(large),
        separable(large, 4, 6, training=False),
        scale=1e-6,
        given="depthwise_separable(4, 6) in evaluation mode, and large values",
        likely={"ReLU6 stands for ReLU": separable(large, 4, 6, training=False, bends=(F.relu6, F.relu6))},
    )


@check("the depthwise convolution keeps channels apart", points=0.5, category="values")
def test_block_channels(submission):
    net, x = filled_net(submission.depthwise_separable, 5, 3, mode=False), normal(2, 5, 6, 6)
    for channel in (1, 4):
        other = x.clone()
        other[:, channel] += 1
        outputs = []
        for images in (x, other):
            rows = operator_trace(net, images, among=("convolution",), values=True)
            outputs += [row["output"] for row in rows if row["kind"] == "convolution"][:1]
        given = f"the channels of the first convolution's output that change with channel {channel} of the input"
        expect.equal([tuple(output.shape) for output in outputs], [(2, 5, 6, 6)] * 2, given="the first convolution")
        changed = (outputs[0] != outputs[1]).any(dim=3).any(dim=2).any(dim=0).nonzero().flatten().tolist()
        likely = {"the convolution mixes all channels": [0, 1, 2, 3, 4]}
        expect.equal(changed, [channel], given=given, likely=likely)


@check("the modules remember the batches that they have seen", points=0.5, category="values", hidden=True,
       after=[test_conv_values, test_block_values])  # fmt: skip
def test_modes(submission):
    x, y = normal(4, 3, 6, 5), normal(2, 3, 6, 5)
    for name, args, oracle in (("conv_bn_relu", (3, 5, 3), conv_norm), ("depthwise_separable", (3, 5, 2), separable)):
        net, memory = filled_net(getattr(submission, name), *args, mode=None), Memory()
        for batch in (x, y):
            net(batch), oracle(batch, *args, memory=memory.again())
        truth = oracle(x, *args, training=False, memory=memory.again())
        given = f"{name}{args} in evaluation mode, after two passes as it was made: in training mode"
        expect.close(net.eval()(x), truth, scale=1e-6, given=given)
        truth = oracle(x.flip(0), *args, training=False, memory=memory.again())
        given = f"{name}{args} in evaluation mode, the same images in another order"
        expect.close(net(x.flip(0)), truth, scale=1e-6, given=given)
        expect.moves_only(net, net, y, given=f"a pass of {name}{args} in evaluation mode")


def expect_trained(net, given):
    frozen = [row["name"] for row in registered_parameters(net) if not row["requires_grad"]]
    expect.equal(
        frozen, [], because="all of them are trained", given=f"the parameters of {given} that want no gradient"
    )


@check("gradients reach every parameter of the modules", points=0.5, category="gradients", hidden=True,
       after=test_block_values)  # fmt: skip
def test_module_gradients(submission):
    for name, args in (("conv_bn_relu", (2, 3, 3, 2)), ("depthwise_separable", (2, 3, 2))):
        net = filled_net(getattr(submission, name), *args, mode=False)
        given = f"{name}{args} in evaluation mode"
        expect.gradients(net, [normal(2, 2, 5, 4, requires_grad=True)], module=net, given=given)
        expect_trained(net, f"{name}{args}")


# MobileNetV1Small


def mobile_blocks():
    """in_channels, out_channels and stride of each block."""
    return [(inner, outer, 1 + n % 2) for n, (inner, outer) in enumerate(pairwise((32, *WIDTHS)))]


@check("MobileNetV1Small has 280,650 parameters", points=1.5, category="parameters", after=test_block_parameters)
def test_mobile_parameters(submission):
    shapes = conv_shapes(3, 32, 3) + [
        shape for inner, outer, _ in mobile_blocks() for shape in block_shapes(inner, outer)
    ]
    count = 280_650
    sums = [total(block_shapes(inner, outer)) for inner, outer, _ in mobile_blocks()]
    for args in ((), (7,), (100,)):
        classes = args[0] if args else 10
        expect.parameters(
            on_meta(submission.MobileNetV1Small, *args),
            count + (classes - 10) * 513,
            shapes=[*shapes, (classes, 512), (classes,)],
            given=f"MobileNetV1Small{args}",
            likely={
                "the last block is missing": count - sums[-1] - 2560,
                "the first block is missing": count - sums[0],
                "the first convolution has no bias": count - 32,
                "the last layer has no bias": count - 10,
                "the last layer expects maps of 2×2": count + 3 * 5120,
            }
            if not args
            else {"num_classes is ignored": count},
        )
    expect_named(submission.MobileNetV1Small, [*shapes, (7, 512), (7,)], "MobileNetV1Small", num_classes=7)
    facts = sorted(
        {(row["dtype"], row["requires_grad"]) for row in registered_parameters(on_meta(submission.MobileNetV1Small))}
    )
    expect.equal(facts, [("float32", True)], given="dtype and requires_grad of the parameters")


@check("MobileNetV1Small's maps shrink from 32 to 2", points=1, category="shapes", after=test_block_values)
def test_mobile_maps(submission):
    net = submission.MobileNetV1Small(7)
    for height, width in ((32, 32), (28, 28), (64, 64), (45, 30), (16, 16)):
        rows = operator_trace(net, torch.zeros(2, 3, height, width), among=("convolution",))
        sizes = [(32, height, width)]
        for inner, outer, stride in mobile_blocks():
            height, width = -(-sizes[-1][1] // stride), -(-sizes[-1][2] // stride)
            sizes += [(inner, height, width), (outer, height, width)]
        given = f"the outputs of the convolutions for images of {sizes[0][1]} × {sizes[0][2]}"
        expect.equal([tuple(row["shape"][1:]) for row in rows], sizes, given=given)
        size = (2, 3, *sizes[0][1:])
        expect.equal(
            logits_shape(net, size),
            (2, 7),
            given=f"the shape of the logits for 2 images of {size[2]} × {size[3]}",
            likely={"what is left of a larger image is taken for more images": (8, 7)} if size[2] == 64 else None,
        )
    net.eval()
    found = logits_shape(net, (1, 3, 28, 28))
    given = "the shape of the logits for one image in evaluation mode"
    expect.equal(found, (1, 7), given=given, likely={"the axis of the samples is lost": (7,)})
    found = logits_shape(submission.MobileNetV1Small(1), (2, 3, 28, 28))
    expect.equal(found, (2, 1), given="the shape of the logits for 2 images and one class")


def own_blocks(submission, mode=True):
    """The submission's own blocks; their slips are the business of other checks."""
    return [filled_net(submission.depthwise_separable, *args, mode=mode) for args in mobile_blocks()]


def mobile(x, blocks, num_classes=10, *, training=True, memory=None, bend=F.relu, means=None):
    """MobileNetV1Small, of the submission's own blocks."""
    x = conv_norm(x, 3, 32, 3, training=training, memory=memory, bend=bend)
    for block in blocks:
        x = block.train(training)(x).detach()
    return linear(x.mean((2, 3)) if means is None else means(x), 512, num_classes)


@check("MobileNetV1Small computes what the architecture says", points=2, category="values", devices="all")
def test_mobile_values(submission, device):
    x = normal(3, 3, 32, 24)
    blocks = own_blocks(submission)
    truth = mobile(x, blocks)
    answer = filled_net(submission.MobileNetV1Small).to(device)(x.to(device)).cpu()
    expect.close(
        answer,
        truth,
        scale=1e-6,
        given="MobileNetV1Small() in training mode, every parameter filled by its shape",
        likely={
            "a softmax stands at the end": truth.softmax(1),
            "a log-softmax stands at the end": truth.log_softmax(1),
            "the largest value is taken over height and width, not the mean": mobile(
                x, blocks, means=lambda x: x.amax((2, 3))
            ),
            "the values are summed over height and width, not averaged": mobile(
                x, blocks, means=lambda x: x.sum((2, 3))
            ),
            "no ReLU follows the first batch norm": mobile(x, blocks, bend=straight),
            "a ReLU follows the last layer": truth.relu(),
        },
    )


@check("MobileNetV1Small in evaluation mode, for one image and any size", points=0.5, category="values", hidden=True,
       after=test_mobile_values)  # fmt: skip
def test_mobile_modes(submission):
    net = filled_net(submission.MobileNetV1Small, 5, mode=False)
    blocks, memory = own_blocks(submission, mode=False), Memory()
    for shape, layout in (((1, 3, 32, 32), "gaps"), ((2, 3, 28, 45), "transposed"), ((2, 3, 64, 64), "channels last")):
        x = kit.lay_out(normal(*shape), layout)
        truth = mobile(x, blocks, 5, training=False)
        given = f"MobileNetV1Small(5) in evaluation mode, x of shape {shape}, layout {layout}"
        expect.close(net(x), truth, scale=1e-6, given=given)
    x = normal(2, 3, 32, 32)
    net.train()(x), mobile(x, blocks, 5, memory=memory)
    truth = mobile(x, blocks, 5, training=False, memory=memory.again())
    given = "MobileNetV1Small(5) in evaluation mode, after one pass in training mode"
    expect.close(net.eval()(x), truth, scale=1e-6, given=given)
    expect.moves_only(net, net, x, given="a pass of MobileNetV1Small in evaluation mode")
    expect_new(submission.MobileNetV1Small, "MobileNetV1Small")


# SqueezeExcite


def excite_shapes(net, channels, reduction=4):
    """The shapes of linear layers, or of convolutions of 1×1 where the network has those."""
    middle = channels // reduction
    flat = all(len(row["shape"]) < 4 for row in registered_parameters(net))
    end = () if flat else (1, 1)
    return [(middle, channels, *end), (middle,), (channels, middle, *end), (channels,)]


@check("SqueezeExcite has a layer down and a layer up", points=1, category="parameters")
def test_excite_parameters(submission):
    for args in ((8,), (24, 4), (12, 6), (9, 2), (5, 5), (6, 1), (7,), (11, 3)):
        net = on_meta(submission.SqueezeExcite, *args)
        shapes = excite_shapes(net, *args)
        count, middle = total(shapes), shapes[1][0]
        expect.parameters(
            net,
            count,
            shapes=shapes,
            given=f"SqueezeExcite{args}",
            likely={"the layers have no biases": count - args[0] - middle}
            | (
                {"reduction is ignored: it is always 4": total(excite_shapes(net, args[0]))}
                if args[0] in (12, 9)
                else {}
            )
            | ({"the numbers in the middle are rounded up": count + 2 * args[0] + 1} if args == (9, 2) else {}),
        )
    shapes = excite_shapes(on_meta(submission.SqueezeExcite, 6, 2), 6, 2)
    expect_named(submission.SqueezeExcite, shapes, "SqueezeExcite", reduction=2, channels=6)


def excite(x, net, channels, reduction=4, *, bend=F.relu, gate=torch.sigmoid, squeeze=None):
    """The oracle, on the weights that the network's layers hold."""
    shapes = excite_shapes(net, channels, reduction)
    if len(shapes[0]) == 2:
        down, up = filled(nn.Linear, *shapes[0][::-1]), filled(nn.Linear, *shapes[2][::-1])
    else:
        down, up = filled(nn.Conv2d, *shapes[0][1::-1], 1), filled(nn.Conv2d, *shapes[2][1::-1], 1)
    means = x.mean((2, 3)) if squeeze is None else squeeze(x)
    hidden = bend(F.linear(means, down.weight.flatten(1), down.bias))
    return x * gate(F.linear(hidden, up.weight.flatten(1), up.bias))[:, :, None, None]


@check("SqueezeExcite weighs every channel by what the image says", points=2, category="values", devices="all")
def test_excite_values(submission, device):
    for args, shape, layout in (
        ((8,), (3, 8, 5, 6), "contiguous"),
        ((6, 2), (1, 6, 4, 4), "transposed"),
        ((4, 1), (2, 4, 1, 3), "gaps"),
        ((5, 2), (2, 5, 3, 4), "channels last"),
        ((1, 1), (3, 1, 4, 5), "contiguous"),
    ):
        x = kit.lay_out(normal(*shape), layout)
        net = filled_net(submission.SqueezeExcite, *args, mode=len(x) > 1).to(device)
        answer = net(x.to(device)).detach().cpu()
        expect.shape(answer, shape, given=f"SqueezeExcite{args} and x of shape {shape}")
        gates = excite(torch.ones_like(x), net, *args, squeeze=lambda _, x=x: x.mean((2, 3)))
        expect.close(
            answer,
            excite(x, net, *args),
            scale=1e-6,
            given=f"SqueezeExcite{args}, every parameter filled by its shape, x of layout {layout}",
            likely={
                "the numbers are returned, not the weighed input": gates,
                "the numbers are added to the input, not multiplied": x + gates,
                "there is no sigmoid": excite(x, net, *args, gate=straight),
                "there is no ReLU between the layers": excite(x, net, *args, bend=straight),
                "a hard sigmoid stands for the sigmoid": excite(x, net, *args, gate=F.hardsigmoid),
                "the largest value of each channel is taken, not the mean": excite(
                    x, net, *args, squeeze=lambda x: x.amax((2, 3))
                ),
                "the values of each channel are summed, not averaged": excite(
                    x, net, *args, squeeze=lambda x: x.sum((2, 3))
                ),
                "the input is added once more": x + excite(x, net, *args),
                "the mean runs over the images, too": excite(
                    x, net, *args, squeeze=lambda x: x.mean((0, 2, 3)).expand(x.shape[:2])
                ),
                "the numbers are a softmax: they add up to 1": excite(x, net, *args, gate=lambda x: x.softmax(1)),
            }
            if args == (8,)
            else None,
        )
    x = normal(2, 8, 3, 4)
    net = submission.SqueezeExcite(8).double()
    rows = registered_parameters(net)
    set_parameters(net, {row["name"]: torch.zeros(row["shape"], dtype=torch.float64) for row in rows})
    expect.close(net(x), x / 2, given="SqueezeExcite(8) with all parameters zero")
    given = "SqueezeExcite(8) with all parameters zero, the same images in another order"
    expect.close(net(x.flip(0)), x.flip(0) / 2, given=given)


@check("SqueezeExcite is no matter of mode, and passes gradients", points=0.5, category="gradients", hidden=True,
       after=test_excite_values)  # fmt: skip
def test_excite_gradients(submission):
    net, x = filled_net(submission.SqueezeExcite, 4, 2), normal(2, 4, 3, 4, requires_grad=True)
    expect.gradients(net, [x], module=net, given="SqueezeExcite(4, 2)")
    expect_trained(net, "SqueezeExcite(4, 2)")
    one, other = net(x).detach(), net.eval()(x).detach()
    expect.close(other, one, given="SqueezeExcite(4, 2) in evaluation mode, against training mode")
    expect.not_mutated(submission, net, x.detach(), given="SqueezeExcite(4, 2)")


@check("SqueezeExcite refuses reductions that leave nothing", points=0.5, category="robustness", hidden=True)
def test_excite_refuses(submission):
    for args in ((4, 5), (3,), (8, 0), (8, -1), (8, -8)):
        expect.raises("ValueError", submission.SqueezeExcite, *args, given=f"SqueezeExcite{args}")


# InvertedResidual


def inverted_shapes(inner, outer, stride=1, ratio=6):
    middle = inner * ratio
    shapes = [(middle, inner, 1, 1), (middle, 1, 3, 3), (outer, middle, 1, 1)]
    return [*shapes, *[(middle,)] * 4, *[(outer,)] * 2]


@check("InvertedResidual is wide in its middle", points=1.5, category="parameters")
def test_inverted_parameters(submission):
    for args in ((4, 4), (4, 6, 2), (6, 4, 1, 3), (5, 5, 1, 1), (3, 8, 2, 2)):
        shapes = inverted_shapes(*args)
        inner, outer, _, ratio = (*args, *(1, 6)[len(args) - 2 :])
        count, middle = total(shapes), inner * ratio
        likely = {
            "the depthwise convolution has no groups": count + 9 * middle * (middle - 1),
            "the convolutions have biases": count + 2 * middle + outer,
            "no batch norm follows the last convolution": count - 2 * outer,
        }
        if args == (5, 5, 1, 1):
            likely["the first convolution is left out where expand_ratio is 1"] = count - 25 - 10
        if ratio != 6:
            likely["expand_ratio is ignored"] = total(inverted_shapes(inner, outer))
        given = f"InvertedResidual{args}"
        expect.parameters(on_meta(submission.InvertedResidual, *args), count, shapes=shapes, likely=likely, given=given)
    shapes = inverted_shapes(4, 6, 2, 3)
    settings = {"use_se": False, "expand_ratio": 3, "stride": 2, "out_channels": 6, "in_channels": 4}
    expect_named(submission.InvertedResidual, shapes, "InvertedResidual", **settings)


def inverted(x, inner, outer, stride=1, ratio=6, *, training=True, memory=None, bend=F.relu6, middle_gate=straight,
             early=False, end=straight, adds=None):  # fmt: skip
    """The oracle; ``middle_gate`` is the squeeze and excitation of the wide maps, ``early`` before their ReLU6."""
    middle = inner * ratio
    y = bend(norm(conv(x, inner, middle, 1), middle, training, memory))
    y = norm(conv(y, middle, middle, 3, stride, groups=middle), middle, training, memory)
    y = bend(middle_gate(y)) if early else middle_gate(bend(y))
    y = end(norm(conv(y, middle, outer, 1), outer, training, memory))
    adds = stride == 1 and inner == outer if adds is None else adds
    return x + y if adds else y


@check("InvertedResidual adds its input where it fits, and ends without a ReLU", points=2, category="values",
       devices="all")  # fmt: skip
def test_inverted_values(submission, device):
    x = 3 * normal(3, 4, 7, 6)
    for args in ((4, 4), (4, 6), (4, 4, 2)):
        adds = args == (4, 4)
        likely = {
            "a ReLU or a ReLU6 follows the last batch norm": inverted(x, *args, end=F.relu),
            "there is no ReLU6 at all": inverted(x, *args, bend=straight),
            "the block uses running statistics in training": inverted(x, *args, training=False),
        }
        if adds:
            likely["the input is not added"] = inverted(x, *args, adds=False)
            likely["a ReLU6 follows the addition"] = F.relu6(inverted(x, *args))
        expect.close(
            filled_net(submission.InvertedResidual, *args).to(device)(x.to(device)).cpu(),
            inverted(x, *args),
            scale=1e-6,
            given=f"InvertedResidual{args} in training mode, every parameter filled by its shape",
            likely=likely,
        )
    for args, shape, layout in (
        ((4, 4, 1, 3), (2, 4, 1, 6), "transposed"),
        ((3, 5, 3, 2), (3, 3, 4, 7), "channels last"),
        ((4, 4, 1, 1), (1, 4, 5, 3), "gaps"),
        ((5, 3), (2, 5, 4, 4), "contiguous"),
        ((4, 4, 2), (3, 4, 1, 1), "contiguous"),
    ):
        x = kit.lay_out(normal(*shape), layout)
        given = f"InvertedResidual{args} in training mode, x of shape {shape}, layout {layout}"
        expect.close(filled_net(submission.InvertedResidual, *args)(x), inverted(x, *args), scale=1e-6, given=given)


@check("InvertedResidual bends at 0 and at 6", points=0.5, category="values", hidden=True, after=test_inverted_values)
def test_inverted_large(submission):
    for args in ((4, 4), (4, 6, 2, 2)):
        x, memory = 60 * normal(3, 4, 5, 6), Memory()
        net = filled_net(submission.InvertedResidual, *args, mode=False)
        expect.close(
            net(x),
            inverted(x, *args, training=False),
            scale=1e-6,
            given=f"InvertedResidual{args} in evaluation mode, and large values",
            likely={"ReLU stands for ReLU6": inverted(x, *args, training=False, bend=F.relu)},
        )
        expect.moves_only(net, net, x, given=f"a pass of InvertedResidual{args} in evaluation mode")
        net = filled_net(submission.InvertedResidual, *args, mode=None)
        net(x), inverted(x, *args, memory=memory)
        truth = inverted(x, *args, training=False, memory=memory.again())
        given = f"InvertedResidual{args} in evaluation mode, after one pass as it was made: in training mode"
        expect.close(net.eval()(x), truth, scale=1e-6, given=given)


@check("InvertedResidual squeezes and excites its wide maps", points=1.5, category="values")
def test_inverted_excite(submission):
    for args in ((4, 4, 1, 2), (4, 6, 2, 3), (2, 2, 1, 6), (8, 5, 1, 4), (7, 7, 1, 1)):
        inner, _, _, ratio = args
        x, middle = normal(3, inner, 7, 6), inner * ratio
        own = filled_net(submission.SqueezeExcite, middle)
        plain = registered_parameters(on_meta(submission.InvertedResidual, *args))
        shapes = [tuple(row["shape"]) for row in (*plain, *registered_parameters(own))]
        net = filled_net(submission.InvertedResidual, *args, use_se=True)
        expect.parameters(
            net,
            total(shapes),
            shapes=shapes,
            given=f"InvertedResidual{(*args, True)}, with what SqueezeExcite({middle}) has",
            likely={
                "use_se is ignored": total(shapes) - total(tuple(row["shape"]) for row in registered_parameters(own)),
            },
        )
        given = f"InvertedResidual{(*args, True)} in training mode, every parameter filled by its shape"
        late, early = (
            inverted(x, *args, middle_gate=lambda y, own=own: own(y).detach(), early=early) for early in (False, True)
        )
        likely = {"SqueezeExcite stands before the ReLU6: it comes after": early}  # with ratio 1 nothing reaches 6
        expect.close(net(x), late, scale=1e-6, given=given, likely=likely if ratio > 1 else None)
    net = filled_net(submission.InvertedResidual, 4, 4, 1, 2, False)
    x = normal(3, 4, 5, 6)
    given = "InvertedResidual(4, 4, 1, 2, False) in training mode, every parameter filled by its shape"
    expect.close(net(x), inverted(x, 4, 4, 1, 2), scale=1e-6, given=given)


@check("gradients flow through the branch and beside it", points=0.5, category="gradients", hidden=True,
       after=test_inverted_values)  # fmt: skip
def test_inverted_gradients(submission):
    for args in ((3, 3, 1, 2), (2, 3, 2, 2), (2, 2, 1, 2, True)):
        net = filled_net(submission.InvertedResidual, *args, mode=False)
        x = normal(2, args[0], 4, 5, requires_grad=True)
        expect.gradients(net, [x], module=net, given=f"InvertedResidual{args} in evaluation mode")
        expect_trained(net, f"InvertedResidual{args}")
        expect.not_mutated(submission, net, x.detach(), given=f"InvertedResidual{args}")


# Inception

MODULES = ((128, [64] * 4, [16] * 2), (256, [96] * 4, [32] * 2))
SMALL = (5, [2, 3, 4, 6], [7, 8])  # every number is another


def inception_shapes(inner, outer, narrow, pooled=3):
    shapes = [*conv_shapes(inner, outer[0], 1), *conv_shapes(inner, narrow[0], 1), *conv_shapes(narrow[0], outer[1], 3)]
    shapes += [*conv_shapes(inner, narrow[1], 1), *conv_shapes(narrow[1], outer[2], 5)]
    return [*shapes, *conv_shapes(inner, outer[3], pooled)]


@check("Inception has the parameters of four branches", points=1.5, category="parameters", after=test_conv_parameters)
def test_inception_parameters(submission):
    for args in (*MODULES, SMALL):
        shapes = inception_shapes(*args)
        count, (inner, outer, narrow) = total(shapes), args
        reduced = outer[1] * (inner - narrow[0]) * 9 - total(conv_shapes(inner, narrow[0], 1))
        reduced += outer[2] * (inner - narrow[1]) * 25 - total(conv_shapes(inner, narrow[1], 1))
        expect.parameters(
            on_meta(submission.Inception, *args),
            count,
            shapes=shapes,
            given=f"Inception{args}",
            likely={
                "the last branch has a 1×1 convolution": total(inception_shapes(*args, pooled=1)),
                "there are no narrow layers of 1×1": count + reduced,
                "the branch of 5×5 is one of 3×3": count - 16 * narrow[1] * outer[2],
                "two convolutions of 3×3 stand for that of 5×5": count
                - 16 * narrow[1] * outer[2]
                + total(conv_shapes(outer[2], outer[2], 3)),
                "the last branch has no convolution": count - total(conv_shapes(inner, outer[3], 3)),
            },
        )
    settings = dict(zip(("reduce_channels", "out_channels", "in_channels"), SMALL[::-1], strict=True))
    expect_named(submission.Inception, inception_shapes(*SMALL), "Inception", **settings)


def branches(x, inner, outer, narrow, *, pool=F.max_pool2d, training=True, step=None):
    step = step or (lambda x, *args: conv_norm(x, *args, training=training))

    return [
        step(x, inner, outer[0], 1),
        step(step(x, inner, narrow[0], 1), narrow[0], outer[1], 3),
        step(step(x, inner, narrow[1], 1), narrow[1], outer[2], 5),
        step(pool(x, 3, 1, 1), inner, outer[3], 3),
    ]


@check("Inception puts four branches one behind the other", points=2, category="values", devices="all",
       after=[test_conv_values, test_conv_shapes])  # fmt: skip
def test_inception_values(submission, device):
    for args, mode, layout in (
        ((4, (4, 4, 4, 4), (4, 4)), True, "contiguous"),
        (SMALL, True, "transposed"),
        (SMALL, False, "channels last"),
    ):
        x = kit.lay_out(normal(3, args[0], 7, 6), layout)
        parts = branches(x, *args, training=mode)
        truth = torch.cat(parts, 1)
        given = f"Inception{args} in {mode_name(mode)} mode, every parameter filled by its shape"
        answer = filled_net(submission.Inception, *args, mode=mode).to(device)(x.to(device)).cpu()
        shape = tuple(truth.shape)
        likely = {"the branches are put together along the images": (12, 4, 7, 6)} if args[0] == 4 else None
        expect.shape(answer, shape, given=given, likely=likely)
        averaged = branches(x, *args, training=mode, pool=F.avg_pool2d)
        expect.close(
            answer,
            truth,
            scale=1e-6,
            given=given,
            likely={
                "the order of the branches is turned round": torch.cat(parts[::-1], 1),
                "the branch of the pooling stands first": torch.cat([parts[3], *parts[:3]], 1),
                "the last branch takes the mean, not the largest": torch.cat([*parts[:3], averaged[3]], 1),
                "the pooling is missing in the last branch": torch.cat(
                    [*parts[:3], branches(x, *args, training=mode, pool=lambda x, *_: x)[3]], 1
                ),
            },
        )
    own = {}

    def step(x, *args):
        """By conv_bn_relu of the submission; what it remembers wrongly is the business of another check."""
        if args not in own:
            own[args] = filled_net(submission.conv_bn_relu, *args)
        return own[args](x).detach()

    args, x = (5, [6, 4, 3, 2], [7, 8]), normal(3, 5, 6, 4)
    net = filled_net(submission.Inception, *args)
    net(x), branches(x, *args, step=step)
    for module in (net, *own.values()):
        module.eval()
    given = f"Inception{args} in evaluation mode, after one pass in training mode"
    expect.close(net(x), torch.cat(branches(x, *args, step=step), 1), scale=1e-6, given=given)
    expect_new(submission.Inception, "Inception", *args)


@check("Inception takes lists or tuples, and leaves them alone", points=0.5, category="robustness", hidden=True,
       after=test_inception_parameters)  # fmt: skip
def test_inception_lists(submission):
    for kind in (list, tuple):
        outer, narrow = kind([3, 2, 6, 4]), kind([8, 7])
        kept = submission.probes.lists_kept(submission.Inception, 5, outer, narrow)
        given = f"the two {kind.__name__}s that were handed to Inception, after the call"
        expect.equal([list(one) for one in kept], [[3, 2, 6, 4], [8, 7]], given=given)
        net = on_meta(submission.Inception, 5, outer, narrow)
        expect.parameters(net, shapes=inception_shapes(5, outer, narrow), given=f"Inception(5, {outer}, {narrow})")


@check("Inception refuses other numbers of branches", points=0.5, category="robustness", hidden=True)
def test_inception_refuses(submission):
    for args in ((5, [2, 3, 4], [7, 8]), (5, [2, 3, 4, 5, 6], [7, 8]), (5, [2, 3, 4, 5], [7]), (5, [], []),
                 (5, [2, 3, 4, 5], [7, 8, 9]), (5, (2, 3, 4, 5), ())):  # fmt: skip
        expect.raises("ValueError", submission.Inception, *args, given=f"Inception{args}")


# InceptionSmall


def small_shapes(modules, num_classes=10):
    stem = [*conv_shapes(3, 64, 7), *conv_shapes(64, 128, 3)]
    return [*stem, *modules, (num_classes, 384), (num_classes,)]


@check("InceptionSmall has 577,194 parameters", points=1.5, category="parameters",
       after=test_inception_parameters)  # fmt: skip
def test_small_parameters(submission):
    count = 577_194
    modules = [shape for args in MODULES for shape in inception_shapes(*args)]
    first, narrower = (total(inception_shapes(inner, *MODULES[0][1:])) for inner in (128, 64))
    without_second = count - total(conv_shapes(64, 128, 3)) - first + narrower
    for args in ((), (7,), (10, 3), (100, 2)):
        classes = args[0] if args else 10
        expect.parameters(
            on_meta(submission.InceptionSmall, *args),
            count + (classes - 10) * 385,
            shapes=small_shapes(modules, classes),
            given=f"InceptionSmall{args}",
            likely={
                "the stem is 3×3": count - 40 * 3 * 64,
                "the second convolution is missing": without_second,
                "the last layer expects maps of 2×2": count + 3 * 3840,
                "the last layer has no bias": count - 10,
                "the stem's convolution has no bias": count - 64,
            }
            if not args
            else ({"num_classes is ignored": count} if classes != 10 else None),
        )
    shapes = small_shapes(modules, 7)
    expect_named(submission.InceptionSmall, shapes, "InceptionSmall", stem_padding=3, num_classes=7)
    facts = sorted(
        {(row["dtype"], row["requires_grad"]) for row in registered_parameters(on_meta(submission.InceptionSmall))}
    )
    expect.equal(facts, [("float32", True)], given="dtype and requires_grad of the parameters")


def small_sizes(size, padding):
    """Behind the stem, the second convolution, and the two poolings."""
    size = (size + 2 * padding - 7) // 2 + 1
    sizes = [size]
    for _ in range(3):
        size = (size - 1) // 2 + 1
        sizes.append(size)
    return sizes


@check("InceptionSmall's maps shrink as stem_padding says", points=1, category="shapes", after=test_conv_shapes)
def test_small_maps(submission):
    for args, sides in (
        ((), (28, 28)),
        ((7, 3), (28, 28)),
        ((10, 1), (32, 32)),
        ((7, 3), (64, 45)),
        ((9, 5), (29, 30)),
        ((4, 0), (32, 28)),
    ):
        classes, padding = args or (10, 1)
        net = submission.InceptionSmall(*args)
        rows = operator_trace(net, torch.zeros(2, 3, *sides), among=("convolution",))
        found = sorted({tuple(row["shape"][2:]) for row in rows}, reverse=True)
        wanted = list(zip(*(small_sizes(side, padding)[:3] for side in sides), strict=True))
        given = f"the sizes of the maps that InceptionSmall{args}'s convolutions put out, for {sides[0]} × {sides[1]}"
        other = list(zip(*(small_sizes(side, 3)[:3] for side in sides), strict=True))
        likely = {"the stem pads by 3": other} if padding != 3 else None
        expect.equal(found, wanted, given=given, likely=likely)
        given = f"the shape of InceptionSmall{args}'s logits for 2 images of {sides[0]} × {sides[1]}"
        expect.equal(logits_shape(net, (2, 3, *sides)), (2, classes), given=given)
    net.eval()
    found = logits_shape(net, (1, 3, 28, 28))
    given = "the shape of the logits for one image in evaluation mode"
    expect.equal(found, (1, 4), given=given, likely={"the axis of the samples is lost": (4,)})
    found = logits_shape(submission.InceptionSmall(1), (2, 3, 28, 28))
    expect.equal(found, (2, 1), given="the shape of the logits for 2 images and one class")


def own_modules(submission, mode=True):
    """The submission's own modules; their slips are the business of other checks."""
    return [filled_net(submission.Inception, *args, mode=mode) for args in MODULES]


def small(x, modules, num_classes=10, padding=1, *, training=True, memory=None, pool=None, last=True, means=None,
          bend=F.relu):  # fmt: skip
    """InceptionSmall, of the submission's own modules."""
    pool = pool or (lambda x: F.max_pool2d(x, 3, 2, 1))
    x = conv_norm(x, 3, 64, 7, 2, padding=padding, training=training, memory=memory, bend=bend)
    x = conv_norm(x, 64, 128, 3, 2, training=training, memory=memory)
    for n, module in enumerate(modules):
        x = module.train(training)(x).detach()
        x = pool(x) if n == 0 or last else x
    x = x.mean((2, 3)) if means is None else means(x)
    return linear(x, 384, num_classes)


@check("InceptionSmall computes what the architecture says", points=2, category="values", devices="all",
       after=test_conv_values)  # fmt: skip
def test_small_values(submission, device):
    x = normal(3, 3, 32, 40)
    modules = own_modules(submission)
    truth = small(x, modules)
    likely = {
        "a softmax stands at the end": truth.softmax(1),
        "a log-softmax stands at the end": truth.log_softmax(1),
        "the stem pads by 3": small(x, modules, padding=3),
        "no pooling follows the second module": small(x, modules, last=False),
        "the poolings take the mean": small(x, modules, pool=lambda x: F.avg_pool2d(x, 3, 2, 1)),
        "the largest value is taken over height and width, not the mean": small(
            x, modules, means=lambda x: x.amax((2, 3))
        ),
        "no ReLU follows the stem's batch norm": small(x, modules, bend=straight),
    }
    answer = filled_net(submission.InceptionSmall).to(device)(x.to(device)).cpu()
    given = "InceptionSmall() in training mode, every parameter filled by its shape"
    expect.close(answer, truth, scale=1e-6, given=given, likely=likely)
    x = normal(3, 3, 28, 28)
    truth = small(x, modules, 7, 3)
    answer = filled_net(submission.InceptionSmall, 7, 3).to(device)(x.to(device)).cpu()
    given = "InceptionSmall(7, 3) in training mode, every parameter filled by its shape"
    expect.close(answer, truth, scale=1e-6, given=given)


@check("InceptionSmall in evaluation mode, for one image and any size", points=0.5, category="values", hidden=True,
       after=test_small_values)  # fmt: skip
def test_small_modes(submission):
    net = filled_net(submission.InceptionSmall, 5, 2, mode=False)
    modules, memory = own_modules(submission, mode=False), Memory()
    for shape, layout in (((1, 3, 28, 28), "gaps"), ((2, 3, 30, 45), "transposed"), ((2, 3, 64, 64), "channels last")):
        x = kit.lay_out(normal(*shape), layout)
        truth = small(x, modules, 5, 2, training=False)
        given = f"InceptionSmall(5, 2) in evaluation mode, x of shape {shape}, layout {layout}"
        expect.close(net(x), truth, scale=1e-6, given=given)
    x = normal(2, 3, 32, 32)
    net.train()(x), small(x, modules, 5, 2, memory=memory)
    truth = small(x, modules, 5, 2, training=False, memory=memory.again())
    given = "InceptionSmall(5, 2) in evaluation mode, after one pass in training mode"
    expect.close(net.eval()(x), truth, scale=1e-6, given=given)
    expect.moves_only(net, net, x, given="a pass of InceptionSmall in evaluation mode")
    expect_new(submission.InceptionSmall, "InceptionSmall")


# All together


@check("gradients reach every parameter of both networks", points=0.5, category="gradients", hidden=True,
       after=[test_mobile_maps, test_small_maps])  # fmt: skip
def test_network_gradients(submission):
    for make in (submission.MobileNetV1Small, submission.InceptionSmall):
        net = make()
        x = torch.randn(4, 3, 32, 32, requires_grad=True)
        expect.gradient_flow(net(x), x, module=net)


@check("networks share nothing, and a pass changes and draws nothing", points=0.5, category="robustness", hidden=True,
       after=[test_mobile_maps, test_small_maps])  # fmt: skip
def test_apart(submission):
    for name, args in (("conv_bn_relu", (3, 4, 3)), ("depthwise_separable", (3, 4)), ("InvertedResidual", (3, 3)),
                       ("SqueezeExcite", (3, 1)), ("Inception", (3, [1, 2, 3, 4], [2, 2])), ("MobileNetV1Small", (9,)),
                       ("InceptionSmall", (9,))):  # fmt: skip
        make = getattr(submission, name)
        one, other = make(*args), make(*args)
        x = torch.rand(2, 3, 28, 28)
        before = expect.not_mutated(submission, other.eval(), x, given=f"{name} in evaluation mode").detach()
        expect.dtype(before, torch.float32, given=f"what {name} makes of float32")
        expect.not_mutated(submission, one.train(), x, given=f"{name} in training mode")
        expect_settings(submission, make, *args, given=f"{name}{args}")
        for mode in (True, False):
            draws = operator_trace(one.train(mode), x, among=("random",))
            given = f"random draws in one pass of {name} in {mode_name(mode)} mode"
            expect.equal(len(draws), 0, because="there is no dropout", given=given)
            expect_settings(submission, one, x, given=f"a pass of {name} in {mode_name(mode)} mode")
        set_parameters(one, {row["name"]: torch.zeros(row["shape"]) for row in registered_parameters(one)})
        after = other(x).detach()
        given = f"whether {name} answers as before when another one was trained and its parameters set to 0"
        expect.equal(torch.equal(before, after), True, given=given)


@check("the networks run on any device", points=0.5, category="devices", hidden=True,
       after=[test_mobile_maps, test_small_maps])  # fmt: skip
def test_portable(submission):
    for name, args, shape in (("MobileNetV1Small", (), (2, 3, 28, 28)), ("InceptionSmall", (), (2, 3, 28, 28)),
                              ("InvertedResidual", (4, 4, 1, 2, True), (2, 4, 5, 5))):  # fmt: skip
        expect.portable(getattr(submission, name)(*args), torch.randn(shape), given=f"{name}{args}")


OWN_NETWORKS = Rule(
    of=("conv_bn_relu", "depthwise_separable", "MobileNetV1Small", "SqueezeExcite", "InvertedResidual", "Inception",
        "InceptionSmall"),
    names=("torchvision", "torch.hub", "timm", "monai", "kornia"),
    instead="layers of torch.nn",
)  # fmt: skip


@check("the networks are built without ready-made ones", points=0.5, category="rules", gates=OWN_NETWORKS)
def test_rule(submission):
    expect.avoids(submission.InvertedResidual, rule=OWN_NETWORKS)
