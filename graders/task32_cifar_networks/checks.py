"""Checks for task 32: the VGG-like network and the ResNet for CIFAR, and what goes wrong around them."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    FLOATS,
    LAYOUTS,
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
    traces_left,
)

BLOCK = 64  # channels of a wide network that depend on no others
GROUPS = (((64,), 0), ((128, 128), 0), ((256, 256), 1), ((512, 512), 0))  # widths, and the padding of the pooling
STAGES = (64, 128, 256, 512)


# The oracle: plain functions, on weights that depend on their shape only. Channels beyond BLOCK are left out; widths
# are told, since the values depend on the whole shape. In training mode the bias of a convolution before a batch norm
# cancels, in evaluation mode it shows.


def conv(x, inner, outer, size, stride=1, bias=False):
    layer = filled(nn.Conv2d, inner, outer, size, bias=bias, block=BLOCK)
    shift = layer.bias[:BLOCK] if bias else None
    return F.conv2d(x, layer.weight[:BLOCK, :BLOCK], shift, stride=stride, padding=size // 2)


def norm(x, width, training=True, memory=None):
    layer = memory.layer(width) if memory else filled(nn.BatchNorm2d, width)
    held = (part[:BLOCK] for part in (layer.running_mean, layer.running_var, layer.weight, layer.bias))
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


def linear(x, inner, num_classes):
    layer = filled(nn.Linear, inner, num_classes, block=BLOCK)
    return F.linear(x[:, :BLOCK], layer.weight[:, :BLOCK], layer.bias)


def straight(x):
    """No activation at all."""
    return x


def filled_net(make, *args, mode=True, **kwargs):
    """A network of the submission in float64, filled by shape, in training mode or not; None: as it was made."""
    net = lean(make, *args, **kwargs).double()
    fill_by_shape(net, BLOCK)
    return net if mode is None else net.train(mode)


def expect_new(make, name):
    """What is made of other modules is in training mode; how those are made is the business of other checks."""
    expect.equal(mode_name(on_meta(make).training), "training", given=f"the mode of a new {name}")


def total(shapes):
    return sum(math.prod(shape) for shape in shapes)


def mode_name(mode):
    return "training" if mode else "evaluation"


def expect_named(make, shapes, name, **settings):
    """What is made with its settings by name has parameters of these shapes."""
    written = ", ".join(f"{key}={value}" for key, value in settings.items())
    expect.parameters(on_meta(make, **settings), shapes=shapes, given=f"{name}({written})")


def logits_shape(net, size):
    """The shape of what comes of ``size``, without memory."""
    return tuple(feature_maps(net, torch.zeros(size))[0]["shape"] or ())


# pooled_sizes


def sides(paddings=(0, 0, 1, 0), rounding=math.floor, stride=2):
    """The sizes behind poolings that pad by ``paddings``."""

    def follow(size):
        found = []
        for padding in paddings:
            size = rounding((size + 2 * padding - 2) / stride) + 1
            if size < 1:
                raise ValueError
            found.append(size)
        return found

    return follow


@check("pooled_sizes follows the size through four poolings", points=1.5, category="values")
def test_pooled_sizes(submission):
    expect.agrees(
        submission.pooled_sizes,
        sides(),
        grid(size=[28, 32, 64, 8, 9, 15, 16, 17, 23, 31, 33, 45, 224]),
        likely={
            "the third pooling does not pad": sides((0, 0, 0, 0)),
            "the second pooling pads, not the third": sides((0, 1, 0, 0)),
            "the fourth pooling pads, not the third": sides((0, 0, 0, 1)),
            "every pooling pads": sides((1, 1, 1, 1)),
            "the poolings round up": sides(rounding=math.ceil),
            "the third pooling pads on one side only": lambda size: [*sides()(size)[:2], *one_sided(size)],
            "the fourth pooling is missing": lambda size: sides()(size)[:3],
            "the size of the image comes first": lambda size: [size, *sides()(size)],
            "only the last size is returned": lambda size: sides()(size)[3],
        },
    )


def one_sided(size):
    third = (sides()(size)[1] + 1) // 2
    if third < 2:
        raise ValueError
    return [third, third // 2]


@check("images that are too small for four poolings are refused", points=0.5, category="robustness", hidden=True)
def test_too_small(submission):
    for size in (7, 6, 5, 4, 2, 1, 0):
        expect.raises("ValueError", submission.pooled_sizes, size, given=f"pooled_sizes({size})")


# conv_block


def conv_shapes(inner, outer):
    return [(outer, inner, 3, 3), (outer,), (outer,), (outer,)]


@check("conv_block has a convolution with a bias, and a batch norm", points=1, category="parameters")
def test_conv_parameters(submission):
    for args in ((3, 64), (5, 4), (4, 4)):
        shapes, (inner, outer) = conv_shapes(*args), args
        count = total(shapes)
        expect.parameters(
            on_meta(submission.conv_block, *args),
            count,
            shapes=shapes,
            given=f"conv_block{args}",
            likely={
                "the convolution has no bias": count - outer,
                "there is no batch norm": count - 2 * outer,
                "the kernels are 1×1": count - 8 * inner * outer,
            },
        )
    expect_named(submission.conv_block, conv_shapes(4, 6), "conv_block", out_channels=6, in_channels=4)


@check("conv_block computes convolution, batch norm and ReLU", points=1.5, category="values", devices="all")
def test_conv_values(submission, device):
    for args, shape in (((3, 5), (4, 3, 6, 7)), ((4, 4), (3, 4, 5, 1)), ((2, 3), (2, 2, 1, 4))):
        for mode in (True, False):
            x = normal(*shape)
            answer = filled_net(submission.conv_block, *args, mode=mode).to(device)(x.to(device)).detach().cpu()
            maps = conv(x, *args, 3, bias=True)
            truth = F.relu(norm(maps, args[1], mode))
            expect.shape(answer, truth.shape, given=f"conv_block{args} and x of shape {shape}")
            expect.close(
                answer,
                truth,
                scale=1e-6,
                given=f"conv_block{args} in {mode_name(mode)} mode, every parameter filled by its shape",
                likely={
                    "there is no ReLU": norm(maps, args[1], mode),
                    "the ReLU stands before the batch norm": norm(F.relu(maps), args[1], mode),
                    "the batch norm uses other statistics than those of its mode": F.relu(
                        norm(maps, args[1], not mode)
                    ),
                }
                if args == (3, 5)
                else None,
            )


@check("conv_block remembers the batches that it has seen", points=0.5, category="values", hidden=True,
       after=test_conv_values)  # fmt: skip
def test_conv_modes(submission):
    x, y = normal(4, 3, 6, 5), normal(2, 3, 6, 5)
    net, memory = filled_net(submission.conv_block, 3, 5, mode=None), Memory()
    for batch in (x, y):
        net(batch), norm(conv(batch, 3, 5, 3, bias=True), 5, True, memory.again())
    truth = F.relu(norm(conv(x, 3, 5, 3, bias=True), 5, False, memory.again()))
    given = "conv_block(3, 5) in evaluation mode, after two passes as it was made: in training mode"
    expect.close(net.eval()(x), truth, scale=1e-6, given=given)
    expect.moves_only(net, net, y, given="a pass of conv_block(3, 5) in evaluation mode")


# normalized_log_probs


def log_probs(logits):
    return F.log_softmax(logits, dim=-1)


def operand(draw, size):
    return {"logits": draw(*size)}


def along(axis):
    """Log softmax along another axis; where there is none, along the last."""
    return lambda logits: F.log_softmax(logits, dim=min(axis, logits.ndim - 1))


LOGITS = grid(operand, size=[(4, 3), (2, 10), (5,), (2, 3, 4), (2, 3, 2, 5), (3, 1), (1, 6)])


@check("normalized_log_probs is log softmax over the last axis", points=1.5, category="values", devices="all")
def test_log_values(submission, device):
    expect.agrees(
        submission.normalized_log_probs,
        log_probs,
        LOGITS,
        device=device,
        likely={
            "the logarithm is missing: these are probabilities": lambda logits: logits.softmax(-1),
            "softmax is taken twice": lambda logits: logits.softmax(-1).log_softmax(-1),
            "the sum runs over axis 0": along(0),
            "the sum runs over axis 1": along(1),
            "the sum runs over all numbers": lambda logits: logits - logits.exp().sum().log(),
            "the sign is turned: these are losses": lambda logits: -logits.log_softmax(-1),
            "the logits are divided by their sum, not by that of their exponentials": lambda logits: (
                logits / logits.sum(-1, keepdim=True)
            ),
            "the logarithms have base 2": lambda logits: logits.log_softmax(-1) / math.log(2),
            "the largest is subtracted, and nothing else": lambda logits: logits - logits.amax(-1, keepdim=True),
        },
    )
    x = torch.tensor([0.0, math.log(3)]).to(device)
    wanted = torch.tensor([-math.log(4), math.log(0.75)]).to(device)
    expect.close(submission.normalized_log_probs(x), wanted, given="[0, log 3]")


@check(
    "normalized_log_probs takes every dtype and layout, far logits and none",
    points=0.5,
    category="robustness",
    hidden=True,
    after=test_log_values,
)
def test_log_inputs(submission):
    inputs = LOGITS.vary(layout=LAYOUTS, dtype=FLOATS[:2], grad=RECORDING)
    expect.agrees(submission.normalized_log_probs, log_probs, inputs, unchanged=True)
    half = LOGITS.vary(dtype=FLOATS[2:]).plain()
    expect.agrees(submission.normalized_log_probs, log_probs, half, slack=3.0)
    empty = grid(operand, size=[(0, 3), (2, 0, 5)])
    expect.agrees(submission.normalized_log_probs, log_probs, empty, trivial="an empty tensor holds no values")
    far = grid(operand, size=[(4, 3), (5,)], values=[kit.thousands, kit.negative_thousands, kit.huge])
    expect.agrees(submission.normalized_log_probs, log_probs, far, trivial="far out one value takes all")
    expect.agrees(submission.normalized_log_probs, log_probs, far.vary(values=[kit.minus_infinite]))
    for dtype in FLOATS[2:]:
        x = torch.tensor([[1000.0, 0.0]], dtype=dtype)
        given = f"[[1000, 0]] in {str(dtype).removeprefix('torch.')}"
        wanted = torch.tensor([[0.0, -1000.0]], dtype=dtype)
        expect.close(submission.normalized_log_probs(x), wanted, rtol=0.02, atol=0.01, given=given)
    x = torch.tensor([[1000.0, 0.0], [-1000.0, -1000.0]])
    wanted = torch.tensor([[0.0, -1000.0], [-math.log(2), -math.log(2)]])
    given = "[[1000, 0], [-1000, -1000]]"
    expect.close(submission.normalized_log_probs(x), wanted, rtol=1e-4, atol=1e-3, given=given)


@check("gradients pass through normalized_log_probs", points=1, category="gradients", after=test_log_values)
def test_log_gradients(submission):
    cases = LOGITS.vary(size=[(4, 3), (5,), (2, 3, 4)])  # along an axis of length 1 they are 0
    expect.agrees(submission.normalized_log_probs, log_probs, cases, gradients=True)


# softmax_loss_floor


@check("softmax_loss_floor is the loss of sure probabilities", points=1.5, category="values")
def test_floor(submission):
    for classes in (10, 2, 3, 100, 1000):
        sure = [1.0] + [0.0] * (classes - 1)
        loss = F.cross_entropy(torch.tensor([sure], dtype=torch.float64), torch.tensor([0])).item()
        expect.close(
            submission.softmax_loss_floor(classes),
            loss,
            rtol=1e-6,
            atol=0.0,
            given=f"softmax_loss_floor({classes})",
            likely={
                "this is the loss of a network that guesses": math.log(classes),
                "the sign is turned": -loss,
                "this is the probability, not its loss": math.exp(-loss),
                "the logarithm has base 2": loss / math.log(2),
                "this is the loss of the worst probabilities": loss + 1,
                "the right class is counted among the others": math.log(1 + classes / math.e),
            },
        )
    expect.close(submission.softmax_loss_floor(), 1.4611501717344746, rtol=1e-6, atol=0.0, given="softmax_loss_floor()")
    given = "softmax_loss_floor(1)"
    expect.close(submission.softmax_loss_floor(1), 0.0, rtol=0, atol=1e-6, trivial="one class, no doubt", given=given)


@check("softmax_loss_floor refuses less than one class", points=0.5, category="robustness", hidden=True)
def test_floor_refuses(submission):
    for classes in (0, -1, -3):
        expect.raises("ValueError", submission.softmax_loss_floor, classes, given=f"softmax_loss_floor({classes})")


# VGGBase


def vgg_shapes(num_classes=10):
    shapes, inner = [(num_classes, 2048), (num_classes,)], 3
    for widths, _ in GROUPS:
        for outer in widths:
            shapes += conv_shapes(inner, outer)
            inner = outer
    return shapes


@check("VGGBase has 4,672,650 parameters", points=1.5, category="parameters", after=test_conv_parameters)
def test_vgg_parameters(submission):
    count = 4_672_650
    biases = 64 + 2 * (128 + 256 + 512)
    for args in ((), (10, True), (10, False)):
        expect.parameters(
            on_meta(submission.VGGBase, *args),
            count,
            shapes=vgg_shapes(),
            given=f"VGGBase{args}",
            likely={
                "the convolutions have no biases": count - biases,
                "there is no batch norm": count - 2 * biases,
                "there are 11 classes": count + 2049,
                "the last layer expects one pixel of each map": count - 3 * 512 * 10,
                "a second convolution of 512 is missing": count - total(conv_shapes(512, 512)),
                "there are two convolutions of 64": count + total(conv_shapes(64, 64)),
                "the last layer has no bias": count - 10,
            },
        )
    for args in ((7,), (100, True)):
        classes = args[0]
        expect.parameters(
            on_meta(submission.VGGBase, *args),
            count + (classes - 10) * 2049,
            shapes=vgg_shapes(classes),
            given=f"VGGBase{args}",
            likely={"num_classes is ignored": count},
        )
    expect_named(submission.VGGBase, vgg_shapes(7), "VGGBase", log_probs=True, num_classes=7)
    facts = sorted({(row["dtype"], row["requires_grad"]) for row in registered_parameters(on_meta(submission.VGGBase))})
    expect.equal(facts, [("float32", True)], given="dtype and requires_grad of the parameters of VGGBase()")


def vgg_maps(height, width):
    """What the convolutions put out."""
    before = [(height, width), *zip(sides()(height), sides()(width), strict=True)]
    return [(outer, *size) for (widths, _), size in zip(GROUPS, before, strict=False) for outer in widths]


@check("VGGBase's maps shrink as pooled_sizes says", points=1, category="shapes", after=test_conv_values)
def test_vgg_maps(submission):
    net = on_meta(submission.VGGBase, 7)
    for height, width in ((28, 28), (32, 32), (64, 64), (28, 45)):
        rows = operator_trace(net, torch.zeros(2, 3, height, width), among=("convolution",))
        expect.equal(
            [tuple(row["shape"][1:]) for row in rows],
            vgg_maps(height, width),
            given=f"the outputs of the convolutions for images of {height} × {width}",
        )
        given = f"the shape of the logits for 2 images of {height} × {width}"
        expect.equal(logits_shape(net, (2, 3, height, width)), (2, 7), given=given)
    found = logits_shape(on_meta(submission.VGGBase, 1), (2, 3, 28, 28))
    expect.equal(found, (2, 1), given="the shape of the logits for 2 images and one class")


def vgg(x, num_classes=10, *, training=True, paddings=(0, 0, 1, 0), pool=F.max_pool2d, bend=F.relu, turned=False,
        end=F.adaptive_avg_pool2d, late=False, last=F.relu, memory=None):  # fmt: skip
    """VGGBase in its first channels; ``late``: the batch norm stands behind the ReLU."""
    inner = 3
    for (widths, _), padding in zip(GROUPS, paddings, strict=True):
        for outer in widths:
            x = conv(x, inner, outer, 3, bias=True)
            curve = last if widths[0] == 512 and inner == 512 else bend
            x = norm(curve(x), outer, training, memory) if late else curve(norm(x, outer, training, memory))
            inner = outer
        x = pool(x, 2, 2, padding)
    x = end(x, 2)
    return linear((x.permute(0, 2, 3, 1) if turned else x).flatten(1), 2048, num_classes)


@check(
    "VGGBase computes what the architecture says", points=2, category="values", devices="all", after=test_conv_values
)
def test_vgg_values(submission, device):
    x = normal(3, 3, 32, 32)
    net = filled_net(submission.VGGBase).to(device)
    truth = vgg(x)
    expect.close(
        net(x.to(device)).cpu(),
        truth,
        scale=1e-6,
        given="VGGBase() in training mode on images of 32 × 32, every parameter filled by its shape",
        likely={
            "a softmax stands at the end": truth.softmax(1),
            "a log-softmax stands at the end, without log_probs": truth.log_softmax(1),
            "the third pooling does not pad": vgg(x, paddings=(0, 0, 0, 0)),
            "every pooling pads": vgg(x, paddings=(1, 1, 1, 1)),
            "the poolings average": vgg(x, pool=F.avg_pool2d),
            "the maps are flattened pixel by pixel, not channel by channel": vgg(x, turned=True),
            "there is no ReLU": vgg(x, bend=straight, last=straight),
            "no ReLU follows the last convolution": vgg(x, last=straight),
            "the ReLU stands before the batch norm": vgg(x, late=True),
            "a ReLU follows the last layer": truth.relu(),
        },
    )


@check("VGGBase in evaluation mode, for one image too", points=0.5, category="values", hidden=True,
       after=[test_vgg_values, test_conv_values])  # fmt: skip
def test_vgg_modes(submission):
    net = filled_net(submission.VGGBase, 7, mode=False)
    for shape in ((1, 3, 28, 28), (2, 3, 28, 45), (2, 3, 32, 28)):
        x = normal(*shape).transpose(2, 3)
        given = f"VGGBase(7) in evaluation mode, x of shape {tuple(x.shape)}"
        answer = net(x).detach()
        expect.shape(answer, (shape[0], 7), given=given)
        readings = [vgg(x, 7, training=False, end=end) for end in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)]
        expect.close(answer, nearest(answer, readings), scale=1e-6, given=given)
    x, memory = normal(3, 3, 28, 28), Memory()
    expect.moves_only(net, net, x, given="a pass of VGGBase in evaluation mode")
    net.train()(x), vgg(x, 7, memory=memory)
    truth = vgg(x, 7, training=False, memory=memory.again())
    given = "VGGBase(7) in evaluation mode, after one pass in training mode"
    expect.close(net.eval()(x), truth, scale=1e-6, given=given)
    expect_new(submission.VGGBase, "VGGBase")
    draws = operator_trace(net.train(), x, among=("random",))
    expect.equal(len(draws), 0, because="there is no dropout", given="draws of one pass in training mode")


def nearest(answer, readings):
    """Of the readings that are right, the one of which the answer is."""
    return min(readings, key=lambda reading: float((answer - reading).abs().max()))


@check("VGGBase takes larger images", points=1, category="values", hidden=True,
       after=[test_vgg_values, test_conv_values])  # fmt: skip
def test_vgg_large(submission):
    net = filled_net(submission.VGGBase, 5, mode=False)
    for height, width in ((64, 64), (96, 64), (45, 61)):
        x = normal(2, 3, height, width)
        answer = net(x).detach()
        given = f"VGGBase(5) in evaluation mode, images of {height} × {width}"
        expect.shape(answer, (2, 5), given=given)
        readings = [vgg(x, 5, training=False, end=end) for end in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d)]
        expect.close(answer, nearest(answer, readings), scale=1e-6, given=given)


@check("VGGBase's log-probabilities train as its logits do", points=1, category="values",
       after=[test_log_values, test_conv_values])  # fmt: skip
def test_vgg_log_probs(submission):
    x, labels = normal(3, 3, 28, 28, requires_grad=True), torch.tensor([3, 0, 9])
    plain, normalised = (filled_net(submission.VGGBase, 10, choice) for choice in (False, True))
    logits, answer = plain(x), normalised(x)
    expect.close(
        answer,
        logits.detach().log_softmax(1),
        scale=1e-6,
        given="VGGBase(10, log_probs=True), against the log softmax of what VGGBase(10) gives",
        likely={
            "log_probs is ignored": logits.detach(),
            "a softmax stands at the end": logits.detach().softmax(1),
            "the sum runs over the images, not over the classes": logits.detach().log_softmax(0),
        },
    )
    given = "VGGBase(num_classes=7, log_probs=True), against the log softmax of VGGBase(num_classes=7)"
    for first in (False, True):  # whichever was made last
        nets = {one: filled_net(submission.VGGBase, num_classes=7, log_probs=one) for one in (first, not first)}
        expect.close(nets[True](x).detach(), nets[False](x).detach().log_softmax(1), scale=1e-6, given=given)
    for choice, output in ((False, logits), (True, answer)):
        expect.gradient_flow(output, x, given=f"VGGBase(10, log_probs={choice})")
    slopes = [torch.autograd.grad(F.cross_entropy(output, labels), x)[0] for output in (logits, answer)]
    given = "the gradient of the cross-entropy at the images, with log_probs=True and without"
    expect.close(slopes[1], slopes[0], scale=1e-6, given=given)
    logits, answer = (net.eval()(x).detach() for net in (plain, normalised))
    given = "VGGBase(10, log_probs=True) in evaluation mode, against the log softmax of what VGGBase(10) gives"
    expect.close(answer, logits.log_softmax(1), scale=1e-6, given=given)


@check("gradients reach every parameter of VGGBase", points=0.5, category="gradients", hidden=True,
       after=test_vgg_maps)  # fmt: skip
def test_vgg_gradients(submission):
    net = submission.VGGBase()
    x = torch.randn(4, 3, 28, 28, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)


# find_mismatch


@check("find_mismatch finds the layer that does not fit", points=2, category="values")
def test_mismatch(submission):
    model = submission.probes.model
    expect.equal(
        submission.find_mismatch(model("slim"), (8, 6, 6)),
        ("bn1", 8, 2),
        given="a block whose first convolution puts out 2 of 8 channels",
        likely={
            "the two numbers are swapped": ("bn1", 2, 8),
            "this is the layer before the one that does not fit": ("conv1", 8, 2),
            "every layer is said to fit": None,
        },
    )
    expect.equal(
        submission.find_mismatch(model("nested"), (3, 8, 8)),
        ("2", 100, 144),
        given="convolution, batch norm, ReLU, Flatten and nn.Linear(100, 5) on images that leave 144 numbers",
        likely={"this is the number of maps, not of what the layer gets": ("2", 100, 4)},
    )


@check("find_mismatch finds it anywhere", points=1, category="values", hidden=True, after=test_mismatch)
def test_mismatch_anywhere(submission):
    model, find = submission.probes.model, submission.find_mismatch
    cases = (
        ("slim, the second convolution", (3, 6, 6), ("1.conv2", 8, 2), "the second convolution of a block"),
        ("backwards", (3, 6, 6), ("second", 5, 4), "layers registered in another order than called"),
        ("twice", (2, 5, 5), ("norm", 4, 2), "a batch norm that serves twice, called with keywords"),
        ("deep", (3, 5, 5), ("1", 3, 4), "a batch norm behind nested containers"),
        ("deep", (2, 5, 5), ("0.0.0", 3, 2), "a class made from nn.Conv2d, inside of containers"),
        ("own", (3, 5, 5), ("0.1", 4, 3), "a class made from nn.Conv2d, inside of containers"),
        ("normed", (3, 5, 5), ("1", 3, 4), "a class made from nn.BatchNorm2d"),
        ("again", (3, 5, 5), ("first", 3, 4), "a layer under two names, called twice"),
        ("grouped", (4, 5, 5), ("0", 8, 4), "a grouped convolution"),
        ("rows", (4, 3), ("0", 4, 3), "nn.Linear on (2, 4, 3)"),
        ("conv", (4, 5, 5), ("", 3, 4), "an nn.Conv2d alone"),
        ("norm", (2, 3, 3), ("", 3, 2), "an nn.BatchNorm2d alone"),
        ("linear", (5,), ("", 3, 5), "an nn.Linear alone"),
        ("patient", (5,), ("first", 3, 5), "two layers that do not fit and raise nothing, registered the other way"),
    )
    for kind, size, truth, given in cases:
        expect.equal(find(model(kind), size), truth, given=f"{given}, input_size={size}")
    for dtype, device in ((torch.float64, "cpu"), (torch.float32, "meta"), (torch.float16, "meta")):
        given = f"a model in {str(dtype).removeprefix('torch.')} on the device {device}"
        expect.equal(find(model("slim", dtype, device), (8, 6, 6)), ("bn1", 8, 2), given=given)
    wanted, given = "the input on the device of the model", "a model on another device"
    there = model("nested", torch.float32, "meta")
    expect.follows_device(find, there, (3, 7, 7), expected=wanted, given=given)
    slim = model("slim")
    slim.eval()
    expect.equal(find(slim, (8, 4, 7)), ("bn1", 8, 2), given="a model in evaluation mode")
    broken = submission.make(submission.BrokenBlock, 16, 16)
    expect.equal(find(broken, (16, 5, 5)), ("bn1", 16, 4), given="BrokenBlock(16, 16)")


@check("find_mismatch is content where every layer fits", points=1, category="values", after=test_mismatch)
def test_mismatch_none(submission):
    model, find, why = submission.probes.model, submission.find_mismatch, "every layer fits"
    given = "convolution, batch norm, ReLU, Flatten and nn.Linear"
    expect.equal(find(model("nested"), (3, 7, 7)), None, trivial=why, given=given)
    given = "nn.Linear layers on (2, 3, 4): the channels of an nn.Linear are the last axis"
    expect.equal(find(model("rows"), (3, 4)), None, trivial=why, given=given)
    given = "a grouped convolution and a batch norm"
    expect.equal(find(model("grouped"), (8, 5, 6)), None, trivial=why, given=given)
    given = "a model that puts two inputs of five numbers into one row of ten"
    expect.equal(find(model("row"), (5,)), None, trivial=why, given=given)
    given = "an nn.Conv1d, which is not looked at, on (2, 3, 5)"
    expect.equal(find(model("sound"), (3, 5)), None, trivial=why, given=given)
    for kind, size in (("Detour", (3, 10, 12)), ("Strict", (5, 6))):
        toy = submission.probes.toy(kind)
        expect.equal(find(toy, size), None, trivial=why, given=f"a model of other layers, too, input_size={size}")


@check("find_mismatch does not hide another error", points=0.5, category="robustness", hidden=True,
       after=test_mismatch)  # fmt: skip
def test_mismatch_errors(submission):
    model, find = submission.probes.model, submission.find_mismatch
    given = "a model whose layers fit, and which raises a KeyError"
    expect.raises("KeyError", find, model("picky"), (3, 5, 5), given=given)
    given = "a transposed convolution that does not fit, which is not looked at"
    expect.raises("RuntimeError", find, model("transposed"), (3, 5, 5), given=given)
    given = "an nn.Conv1d that does not fit, which is not looked at"
    expect.raises("RuntimeError", find, model("sound"), (2, 5), given=given)
    given = "an nn.BatchNorm1d that does not fit, which is not looked at"
    expect.raises("RuntimeError", find, model("flat"), (3,), given=given)


@check("find_mismatch leaves no trace", points=1, category="robustness", hidden=True, after=test_mismatch)
def test_mismatch_traces(submission):
    toy, model = submission.probes.toy, submission.probes.model
    for net, size, given in (
        (toy("Chain"), (3, 10, 12), "what changed in a training model with a frozen part, gradients and a hook"),
        (toy("Failing"), (3, 10, 12), "what changed in a model whose pass raises an error"),
        (model("slim"), (8, 6, 6), "what changed in a model with a layer that does not fit"),
    ):
        expect.equal(
            traces_left(submission.find_mismatch, net, size),
            [],
            given=given,
            likely={
                "the modes are not put back one by one: they may differ between modules": ["modes"],
                "the pass ran in training mode: batch norm moved its statistics": ["buffers"],
                "the input is drawn at random, which advances the generator": ["random generator"],
                "hooks are left behind": ["hooks"],
                "neither the modes nor the hooks are put back": ["modes", "hooks"],
            },
        )
    for kind, size, given in (
        ("nested", (3, 7, 7), "whether hooks of one's own are there afterwards, in a model whose layers fit"),
        (
            "slim",
            (8, 6, 6),
            "whether hooks of one's own are there afterwards, in a model with a layer that does not fit",
        ),
    ):
        kept = submission.probes.hooks_kept(submission.find_mismatch, kind, size)
        expect.equal(kept, True, given=given)
        changed = submission.probes.forwards_left(submission.find_mismatch, kind, size)
        expect.equal(changed, [], given="the layers that have another forward afterwards")


# ResidualBlock


def block_shapes(inner, outer, stride=1, reduction=1):
    middle = outer // reduction
    shapes = [(middle, inner, 3, 3), (middle,), (middle,), (outer, middle, 3, 3), (outer,), (outer,)]
    return [*shapes, (outer, inner, 1, 1), (outer,), (outer,)] if stride != 1 or inner != outer else shapes


def branch(x, inner, outer, stride=1, reduction=1, training=True, late=False, bend=F.relu, memory=None):
    """What a block adds to its shortcut; ``late``: the stride is in the second convolution."""
    first, second = (1, stride) if late else (stride, 1)
    middle = outer // reduction
    x = bend(norm(conv(x, inner, middle, 3, first), middle, training, memory))
    return norm(conv(x, middle, outer, 3, second), outer, training, memory)


def shortcut(x, inner, outer, stride=1, training=True, memory=None):
    same = stride == 1 and inner == outer
    return x if same else norm(conv(x, inner, outer, 1, stride), outer, training, memory)


def block(x, inner, outer, stride=1, reduction=1, training=True, memory=None):
    way = branch(x, inner, outer, stride, reduction, training, memory=memory)
    return F.relu(way + shortcut(x, inner, outer, stride, training, memory))


BLOCKS = ((64, 64), (64, 64, 1, 4), (6, 8, 2, 2), (8, 8, 2), (6, 9, 1, 4), (4, 6, 3, 6), (5, 5, 1, 3))


@check("ResidualBlock is as narrow in its middle as reduction says", points=1.5, category="parameters")
def test_block_parameters(submission):
    for args in BLOCKS:
        shapes = block_shapes(*args)
        inner, outer, stride, reduction = (*args, 1, 1)[:4] if len(args) < 4 else args
        count, middle = total(shapes), outer // reduction
        likely = {
            "the convolutions have biases, which the batch norms make useless": count + middle + outer,
            "a projection stands where the identity would do": count + inner * outer + 2 * outer,
        }
        if stride != 1 or inner != outer:
            likely = {
                "the projection is a 3×3 convolution": count + 8 * inner * outer,
                "the projection has a bias": count + outer,
                "the projection has no batch norm": count - 2 * outer,
                "there is no projection where the shapes differ": count - inner * outer - 2 * outer,
            }
        if reduction > 1:
            likely["reduction is ignored"] = total(block_shapes(inner, outer, stride))
        if args == (64, 64, 1, 4):
            broken = count + 2 * (outer - middle) + 9 * outer * (outer - middle)
            likely["only the first convolution is narrow, as in the broken block"] = broken
        given = f"ResidualBlock{args}"
        expect.parameters(on_meta(submission.ResidualBlock, *args), count, shapes=shapes, likely=likely, given=given)
    settings = {"reduction": 3, "stride": 2, "out_channels": 6, "in_channels": 4}
    expect_named(submission.ResidualBlock, block_shapes(4, 6, 2, 3), "ResidualBlock", **settings)


@check("ResidualBlock adds branch and shortcut before the last ReLU", points=2, category="values", devices="all")
def test_block_values(submission, device):
    for args in ((8, 8), (8, 8, 1, 4)):
        x = normal(3, 8, 7, 6)
        way = branch(x, *args)
        answer = filled_net(submission.ResidualBlock, *args).to(device)(x.to(device))
        expect.close(
            answer.cpu(),
            F.relu(way + x),
            scale=1e-6,
            given=f"ResidualBlock{args} in training mode, every parameter filled by its shape",
            likely={
                "there is no shortcut": F.relu(way),
                "the ReLU stands before the addition": F.relu(way) + x,
                "a ReLU stands before the addition, and one behind it": F.relu(F.relu(way) + x),
                "no ReLU follows the addition": way + x,
                "the input passes a ReLU before it is added": F.relu(way + F.relu(x)),
                "no ReLU stands between the two convolutions": F.relu(branch(x, *args, bend=straight) + x),
                "the shortcut is added twice": F.relu(way + 2 * x),
                "the block uses running statistics in training": block(x, *args, training=False),
            },
        )
    for args in ((4, 4), (6, 6, 1, 2), (6, 6, 1, 6)):
        x = normal(2, args[0], 6, 1).transpose(2, 3)
        given = f"ResidualBlock{args} in training mode, x of shape {tuple(x.shape)}"
        expect.close(filled_net(submission.ResidualBlock, *args)(x), block(x, *args), scale=1e-6, given=given)


@check("ResidualBlock projects its shortcut where shapes differ", points=1.5, category="values")
def test_block_projection(submission):
    x = normal(3, 4, 7, 6)
    for args in ((4, 8, 2), (4, 8, 2, 4)):
        way, short = branch(x, *args), shortcut(x, 4, 8, 2)
        expect.close(
            filled_net(submission.ResidualBlock, *args)(x),
            F.relu(way + short),
            scale=1e-6,
            given=f"ResidualBlock{args} in training mode, every parameter filled by its shape",
            likely={
                "the stride is in the second convolution": F.relu(branch(x, *args, late=True) + short),
                "the shortcut passes a ReLU before it is added": F.relu(way + F.relu(short)),
                "the projection has no batch norm": F.relu(way + conv(x, 4, 8, 1, 2)),
                "the ReLU stands before the addition": F.relu(way) + short,
                "the projection starts from the ReLU of the input": F.relu(way + shortcut(F.relu(x), 4, 8, 2)),
            },
        )
    for args, shape in (((4, 6), (1, 4, 7, 6)), ((4, 4, 2, 2), (3, 4, 6, 1)), ((6, 4, 3, 3), (3, 6, 7, 6))):
        x = normal(*shape).transpose(2, 3)
        given = f"ResidualBlock{args} in training mode, x of shape {tuple(x.shape)}"
        expect.close(filled_net(submission.ResidualBlock, *args)(x), block(x, *args), scale=1e-6, given=given)


@check("ResidualBlock has running statistics, for evaluation mode", points=0.5, category="values", hidden=True,
       after=[test_block_values, test_block_projection])  # fmt: skip
def test_block_modes(submission):
    for args in ((4, 4), (4, 8, 2), (8, 8, 1, 4), (4, 8, 2, 2)):
        x, given = normal(3, args[0], 7, 6), f"ResidualBlock{args} in evaluation mode, filled by shape"
        net = filled_net(submission.ResidualBlock, *args, mode=False)
        expect.close(net(x), block(x, *args, training=False), scale=1e-6, given=given)
        expect.moves_only(net, net, x, given=f"a pass of ResidualBlock{args} in evaluation mode")
        net, memory = filled_net(submission.ResidualBlock, *args, mode=None), Memory()
        net(x), block(x, *args, memory=memory)
        truth = block(x, *args, training=False, memory=memory.again())
        given = f"ResidualBlock{args} in evaluation mode, after one pass as it was made: in training mode"
        expect.close(net.eval()(x), truth, scale=1e-6, given=given)


@check("gradients flow through branch and shortcut", points=0.5, category="gradients", after=test_block_values)
def test_block_gradients(submission):
    for args in ((4, 4, 1, 2), (3, 4, 2)):
        net = filled_net(submission.ResidualBlock, *args, mode=False)
        x = normal(2, args[0], 5, 4, requires_grad=True)
        expect.gradients(net, [x], module=net, given=f"ResidualBlock{args} in evaluation mode")


@check("ResidualBlock refuses reductions that leave nothing", points=0.5, category="robustness", hidden=True)
def test_block_refuses(submission):
    for args in ((4, 4, 1, 5), (4, 6, 2, 12), (8, 4, 1, 0), (4, 4, 1, -1), (4, 4, 1, -4)):
        expect.raises("ValueError", submission.ResidualBlock, *args, given=f"ResidualBlock{args}")


@check("the blocks leave their input as it is", points=0.5, category="robustness", hidden=True,
       after=[test_conv_values, test_block_values])  # fmt: skip
def test_input_kept(submission):
    x = normal(3, 4, 6, 6)
    for name, args in (("conv_block", (4, 4)), ("ResidualBlock", (4, 4)), ("ResidualBlock", (4, 6, 2, 2))):
        net = filled_net(getattr(submission, name), *args)
        expect.not_mutated(submission, net, x, given=f"{name}{args}")


# CifarResNet


def blocks_asked(reduction=1, strides=(2, 2, 2, 2), depth=2):
    """The arguments of each block."""
    rows, inner = [], 32
    for outer, stride in zip(STAGES, strides, strict=True):
        for index in range(depth):
            rows.append((inner, outer, stride if index == 0 else 1, reduction))
            inner = outer
    return rows


def own_shapes(submission, reduction):
    """Of all blocks, as the submission's own class makes them: its slips are the business of other checks."""
    for args in blocks_asked(reduction):
        for row in registered_parameters(on_meta(submission.ResidualBlock, *args)):
            yield tuple(row["shape"])


def resnet_shapes(blocks, num_classes=10):
    return [(32, 3, 3, 3), (32,), (32,), *blocks, (num_classes, 512), (num_classes,)]


@check("CifarResNet has a stem, eight blocks and one last layer", points=1, category="parameters")
def test_resnet_parameters(submission):
    for args in ((), (7, 4), (12, 2)):
        classes, reduction = args or (10, 1)
        shapes = resnet_shapes(own_shapes(submission, reduction), classes)
        count = total(shapes)
        expect.parameters(
            on_meta(submission.CifarResNet, *args),
            count,
            shapes=shapes,
            given=f"CifarResNet{args}, on blocks as ResidualBlock makes them",
            likely={
                "the stem's convolution has a bias": count + 32,
                "no batch norm follows the stem's convolution": count - 64,
                "the last layer has no bias": count - classes,
                "the last layer expects maps of 2×2": count + 3 * 512 * classes,
            }
            | ({"num_classes is ignored": count + (10 - classes) * 513} if classes != 10 else {}),
        )
    shapes = resnet_shapes(own_shapes(submission, 4), 7)
    expect_named(submission.CifarResNet, shapes, "CifarResNet", reduction=4, num_classes=7)


@check("CifarResNet has 11,156,778 parameters, and 2,928,618 with reduction=4", points=1, category="parameters",
       after=test_block_parameters)  # fmt: skip
def test_resnet_counts(submission):
    for reduction, wanted in ((1, 11_156_778), (4, 2_928_618)):
        shapes = resnet_shapes([shape for args in blocks_asked(reduction) for shape in block_shapes(*args)])
        sums = [total(block_shapes(*args)) for args in blocks_asked(reduction)]
        likely = {
            "the stem has 64 channels": wanted + 928 + 64 * 32 + (9 * 32 * 64 // reduction),
            "the fourth stage is missing": wanted - sum(sums[6:]) - 256 * 10,
            "every stage has one block": wanted - sum(sums[1::2]),
        }
        if reduction == 4:
            likely["reduction is ignored"] = 11_156_778
        net = on_meta(submission.CifarResNet, reduction=reduction)
        expect.parameters(net, wanted, shapes=shapes, given=f"CifarResNet(reduction={reduction})", likely=likely)
    facts = sorted({(row["dtype"], row["requires_grad"]) for row in registered_parameters(net)})
    expect.equal(facts, [("float32", True)], given="dtype and requires_grad of the parameters")


@check("CifarResNet's maps shrink from 32 to 2", points=1, category="shapes", after=test_block_projection)
def test_resnet_maps(submission):
    net = on_meta(submission.CifarResNet, 7, 4)
    for height, width in ((32, 32), (28, 28), (64, 64), (45, 30), (16, 16)):
        rows = operator_trace(net, torch.zeros(2, 3, height, width), among=("convolution",))
        found = sorted({tuple(row["shape"][2:]) for row in rows}, reverse=True)
        sizes = [(-(-height // 2**n), -(-width // 2**n)) for n in range(5)]
        given = f"the sizes of the maps for images of {height} × {width}"
        expect.equal(found, sizes, given=given)
        given = f"the shape of the logits for 2 images of {height} × {width}"
        expect.equal(logits_shape(net, (2, 3, height, width)), (2, 7), given=given)
    net.eval()
    given = "the shape of the logits for one image in evaluation mode"
    found = logits_shape(net, (1, 3, 28, 28))
    expect.equal(found, (1, 7), given=given, likely={"the axis of the samples is lost": (7,)})
    found = logits_shape(on_meta(submission.CifarResNet, 1, 8), (2, 3, 28, 28))
    expect.equal(found, (2, 1), given="the shape of the logits for 2 images and one class")


def stem(x, training=True, bend=F.relu, pool=False, memory=None):
    x = bend(norm(conv(x, 3, 32, 3), 32, training, memory))
    return F.max_pool2d(x, 3, 2, 1) if pool else x


def own_stages(submission, x, rows, mode=True):
    """What the submission's own blocks make of x; their slips are the business of other checks."""
    for args in rows:
        x = filled_net(submission.ResidualBlock, *args, mode=mode)(x).detach()
    return x


@check("CifarResNet computes what the architecture says", points=2, category="values", devices="all")
def test_resnet_values(submission, device):
    x = normal(3, 3, 32, 24)
    rows = blocks_asked(4)
    maps = own_stages(submission, stem(x), rows)
    truth = linear(maps.mean((2, 3)), 512, 10)
    slips = {
        "a max-pool follows the stem": (stem(x, pool=True), rows),
        "no ReLU follows the stem's batch norm": (stem(x, bend=straight), rows),
        "the first stage has stride 1": (stem(x), blocks_asked(4, (1, 2, 2, 2))),
    }
    likely = {
        "a softmax stands at the end": truth.softmax(1),
        "a log-softmax stands at the end": truth.log_softmax(1),
        "the largest value is taken over height and width, not the mean": linear(maps.amax((2, 3)), 512, 10),
        "the values are summed over height and width, not averaged": linear(maps.sum((2, 3)), 512, 10),
        **{text: linear(own_stages(submission, *slip).mean((2, 3)), 512, 10) for text, slip in slips.items()},
    }
    answer = filled_net(submission.CifarResNet, 10, 4).to(device)(x.to(device)).cpu()
    given = "CifarResNet(10, 4) in training mode, every parameter filled by its shape"
    expect.close(answer, truth, scale=1e-6, given=given, likely=likely)
    x = normal(2, 3, 16, 20)
    truth = linear(own_stages(submission, stem(x), blocks_asked(1)).mean((2, 3)), 512, 7)
    given = "CifarResNet(7) in training mode, every parameter filled by its shape"
    expect.close(filled_net(submission.CifarResNet, 7)(x), truth, scale=1e-6, given=given)


@check("CifarResNet in evaluation mode, for one image and any size", points=0.5, category="values", hidden=True,
       after=test_resnet_values)  # fmt: skip
def test_resnet_modes(submission):
    net = filled_net(submission.CifarResNet, 5, 4, mode=False)
    for shape in ((1, 3, 32, 32), (2, 3, 45, 28), (1, 3, 64, 64)):
        x = normal(*shape).transpose(2, 3)
        maps = own_stages(submission, stem(x, training=False), blocks_asked(4), mode=False)
        given = f"CifarResNet(5, 4) in evaluation mode, x of shape {tuple(x.shape)}"
        expect.close(net(x), linear(maps.mean((2, 3)), 512, 5), scale=1e-6, given=given)
    x, memory = normal(3, 3, 32, 32), Memory()
    expect.moves_only(net, net, x, given="a pass of CifarResNet in evaluation mode")
    blocks, maps = [filled_net(submission.ResidualBlock, *args) for args in blocks_asked(4)], stem(x, memory=memory)
    for one in blocks:
        maps = one(maps).detach()
    maps = stem(x, False, memory=memory.again())
    for one in blocks:
        maps = one.eval()(maps).detach()
    net.train()(x)
    given = "CifarResNet(5, 4) in evaluation mode, after one pass in training mode"
    expect.close(net.eval()(x), linear(maps.mean((2, 3)), 512, 5), scale=1e-6, given=given)
    expect_new(submission.CifarResNet, "CifarResNet")
    draws = operator_trace(net.train(), x, among=("random",))
    expect.equal(len(draws), 0, because="there is no dropout", given="draws of one pass in training mode")


@check("gradients reach every parameter of CifarResNet", points=0.5, category="gradients", hidden=True,
       after=test_resnet_maps)  # fmt: skip
def test_resnet_gradients(submission):
    net = submission.CifarResNet(10, 4)
    x = torch.randn(4, 3, 32, 32, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)


# All together


@check("networks share nothing, and a call changes nothing", points=0.5, category="robustness", hidden=True,
       after=[test_vgg_maps, test_resnet_maps])  # fmt: skip
def test_apart(submission):
    for name, args in (("conv_block", (3, 4)), ("ResidualBlock", (3, 3)), ("VGGBase", (9,)), ("CifarResNet", (10, 8))):
        make = getattr(submission, name)
        one, other = make(*args), make(*args)
        x = torch.rand(2, 3, 28, 28)
        before = expect.not_mutated(submission, other.eval(), x, given=name).detach()
        set_parameters(one, {row["name"]: torch.zeros(row["shape"]) for row in registered_parameters(one)})
        after = other(x).detach()
        given = f"whether {name} answers as before when the parameters of another one were set to 0"
        expect.equal(torch.equal(before, after), True, given=given)


@check("the networks take images of any memory layout, on any device", points=0.5, category="devices", hidden=True,
       after=[test_vgg_maps, test_resnet_maps])  # fmt: skip
def test_portable(submission):
    for name, args in (("VGGBase", ()), ("CifarResNet", (10, 8))):
        net, x = filled_net(getattr(submission, name), *args, mode=False), normal(2, 3, 28, 28)
        truth = net(x).detach()
        given = f"{name} and its images in channels_last"
        expect.close(submission.probes.channels_last(net, x), truth, scale=1e-6, given=given)
        net = getattr(submission, name)(*args)
        expect.portable(net, torch.randn(2, 3, 28, 28), given=name)
    expect.portable(submission.ResidualBlock, torch.randn(2, 4, 6, 6), build=(4, 4), given="ResidualBlock(4, 4)")


OWN_NETWORKS = Rule(
    of=("conv_block", "VGGBase", "ResidualBlock", "CifarResNet"),
    names=("torchvision", "torch.hub", "timm", "monai", "kornia"),
    instead="layers of torch.nn",
)


@check("the networks are built without ready-made ones", points=0.5, category="rules", gates=OWN_NETWORKS)
def test_rule(submission):
    expect.avoids(submission.ResidualBlock, rule=OWN_NETWORKS)
