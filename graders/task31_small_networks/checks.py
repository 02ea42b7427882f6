"""Checks for task 31: LeNet-5, the small residual net, and what stands before and behind them."""

import itertools
import math
from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    LAYOUTS,
    RECORDING,
    Rule,
    any_seed,
    buffers,
    check,
    expect,
    feature_maps,
    fill_by_shape,
    filled,
    grid,
    moved,
    normal,
    operator_trace,
    parameter_count,
    passes_seen,
    registered_parameters,
    set_parameters,
)

NAMES = ("prepare_images", "flat_features", "LeNet5", "shortcut_option_a", "BasicBlock", "MnistResNet", "classify")
OWN_WORK = Rule(
    of=NAMES,
    names=("torchvision", "torch.hub", "timm", "monai", "kornia", "skimage"),
    instead="torch, torch.nn and NumPy",
)


def filled_net(make, *args, mode=True):
    """A network of the submission in float64, filled by shape, in training mode or not; None: as it was made."""
    net = make(*args).double()
    fill_by_shape(net)
    return net if mode is None else net.train(mode)


def grey(*shape):
    """Random grey levels, 0 and 255 among them."""
    levels = torch.randint(1, 255, shape, dtype=torch.uint8)
    levels.view(-1)[0], levels.view(-1)[-1] = 0, 255
    return levels


# prepare_images


def scaled(images):
    return images.to(torch.float32) / 255


@check("prepare_images makes (N, 1, H, W) of every form of grey images", points=0.5, category="shapes")
def test_prepare_shapes(submission):
    images = torch.zeros(3, 5, 7, dtype=torch.uint8)
    expect.shape(
        submission.prepare_images(images),
        (3, 1, 5, 7),
        given="a tensor of shape (3, 5, 7)",
        likely={"the channel axis is missing": (3, 5, 7), "the channel axis stands last": (3, 5, 7, 1)},
    )
    expect.shape(
        submission.prepare_images(images[0]),
        (1, 1, 5, 7),
        given="a tensor of shape (5, 7)",
        likely={"a single image has no axis of samples": (1, 5, 7)},
    )
    for shape, wanted in (((3, 5, 7), (3, 1, 5, 7)), ((3, 1, 5, 7), (3, 1, 5, 7)), ((5, 7), (1, 1, 5, 7)),
                          ((1, 4, 4), (1, 1, 4, 4)), ((1, 1, 6, 1), (1, 1, 6, 1)), ((0, 5, 7), (0, 1, 5, 7)),
                          ((0, 1, 4, 4), (0, 1, 4, 4)), ((3, 1, 7), (3, 1, 1, 7)), ((1, 7), (1, 1, 1, 7))):  # fmt: skip
        images = torch.zeros(shape, dtype=torch.uint8)
        given = f"a tensor of shape {shape}"
        expect.shape(submission.prepare_images(images), wanted, given=given)
        given = f"an array of shape {shape}"
        expect.shape(submission.prepare_images(images.numpy()), wanted, given=given)


@check("prepare_images divides every grey level by 255", points=1, category="values", devices="all")
def test_prepare_values(submission, device):
    example = torch.tensor([[0, 51], [102, 255]], dtype=torch.uint8)
    for images, given in (
        (example[None], "one image of [[0, 51], [102, 255]]"),
        (grey(2, 4, 5), "two images with grey levels from 0 to 255"),
    ):
        truth = scaled(images).unsqueeze(1)
        expect.close(
            submission.prepare_images(images.to(device)),
            truth.to(device),
            rtol=0,
            atol=1e-6,
            given=given,
            likely={
                "the images are not scaled": truth * 255,
                "it is divided by 256": truth * 255 / 256,
                "it is divided by 255 twice": truth / 255,
                "the values lie between -1 and 1, not between 0 and 1": 2 * truth - 1,
                "the images are standardised with the mean and the deviation of MNIST": (truth - 0.1307) / 0.3081,
            },
        )
    dark = grey(3, 4, 5) // 4 + 20  # nor is any of them black
    truth = scaled(dark).unsqueeze(1)
    expect.close(
        submission.prepare_images(dark.to(device)),
        truth.to(device),
        rtol=0,
        atol=1e-6,
        given="three dark images",
        likely={"it is divided by the largest level that is there": truth * 255 / int(dark.max())},
    )
    faint = torch.tensor([[[0, 1], [1, 0]]], dtype=torch.uint8)
    given = "one image of [[0, 1], [1, 0]]"
    expect.close(submission.prepare_images(faint), scaled(faint).unsqueeze(1), rtol=0, atol=1e-6, given=given)
    images = grey(2, 4, 5)
    given = "two images as an array"
    expect.close(submission.prepare_images(images.numpy()), scaled(images).unsqueeze(1), rtol=0, atol=1e-6, given=given)
    for shape in ((4, 5), (3, 1, 4, 5)):
        images = grey(*shape)
        truth = scaled(images).reshape(-1, 1, 4, 5)
        for kind, same in (("a tensor", images), ("an array", images.numpy())):
            given = f"{kind} of shape {shape}"
            expect.close(submission.prepare_images(same), truth, rtol=0, atol=1e-6, given=given)


FORMS = ("contiguous", "every second column of another", "rows and columns swapped in memory")


@check(
    "prepare_images takes any memory layout, and changes nothing",
    points=0.5,
    category="robustness",
    hidden=True,
    after=test_prepare_values,
)
def test_prepare_inputs(submission):
    images = grey(2, 4, 5)
    truth = scaled(images).unsqueeze(1)
    for form in FORMS:
        found, kept = submission.probes.as_array(submission.prepare_images, images, form)
        given = f"an array, {form}"
        expect.close(found, truth, rtol=0, atol=1e-6, given=given)
        expect.equal(kept, True, because="the images that were passed stay as they are", given=given)
    expect.portable(submission.prepare_images, images, given="a tensor on another device")
    turned = images.transpose(1, 2).contiguous().transpose(1, 2)
    found = expect.not_mutated(submission, submission.prepare_images, turned, given="a transposed tensor")
    expect.close(found, truth, rtol=0, atol=1e-6, given="a transposed tensor")
    for shape in ((4, 5), (3, 1, 4, 5)):
        expect.not_mutated(submission, submission.prepare_images, grey(*shape), given=f"a tensor of shape {shape}")


@check("prepare_images refuses what is not uint8, and other shapes", points=0.5, category="robustness", hidden=True)
def test_prepare_refuses(submission):
    for dtype in (torch.float32, torch.float64, torch.float16, torch.int64, torch.int8, torch.bool):
        images = torch.ones(2, 4, 4, dtype=dtype)
        given = f"{str(dtype).removeprefix('torch.')} images as "
        expect.raises("TypeError", submission.prepare_images, images, given=given + "a tensor")
        expect.raises("TypeError", submission.prepare_images, images.numpy(), given=given + "an array")
    images = torch.ones(2, 4, 4).numpy().astype("uint16")
    expect.raises("TypeError", submission.prepare_images, images, given="uint16 images as an array")
    for shape in ((2, 3, 4, 4), (2, 4, 4, 1), (4,), (1, 2, 1, 4, 4), (2, 0, 4, 4), (0, 3, 4, 4), ()):
        images = torch.ones(shape, dtype=torch.uint8)
        expect.raises("ValueError", submission.prepare_images, images, given=f"a tensor of shape {shape}")


# LeNet-5


def flat(input_size):
    """The size, layer by layer, by PyTorch's own convolution and pooling."""
    x, kernel = torch.zeros(1, 1, input_size, input_size, device="meta"), torch.zeros(1, 1, 5, 5, device="meta")
    for _ in range(2):
        x = F.max_pool2d(F.conv2d(x, kernel), 2)
    return 16 * x.shape[2] ** 2


def sizes(first, second, rounding=math.floor):
    """The count with another change of size by the convolutions, or another rounding of the poolings."""

    def count(input_size):
        size = rounding((rounding((input_size + first) / 2) + second) / 2)
        if size < 1:
            raise ValueError
        return 16 * size**2

    return count


@check("flat_features follows the size through both stages", points=1, category="values")
def test_flat_values(submission):
    expect.agrees(
        submission.flat_features,
        flat,
        grid(input_size=[32, 28, 16, 17, 18, 19, 20, 21, 33, 35, 64, 101]),
        likely={
            "the convolutions pad, so that only the poolings count": sizes(0, 0),
            "the poolings round up": sizes(-4, -4, math.ceil),
            "the first convolution pads by 2": sizes(0, -4),
            "each convolution takes 5 off": sizes(-5, -5),
            "these are the pixels of one map: there are 16 maps": lambda input_size: flat(input_size) // 16,
            "the second pooling is missing": lambda input_size: 16 * ((input_size - 4) // 2 - 4) ** 2,
            "the maps of the first convolution are counted, 6 of them": lambda input_size: flat(input_size) // 16 * 6,
        },
    )


@check("images that are too small for LeNet-5 are refused", points=0.5, category="robustness", hidden=True)
def test_too_small(submission):
    for size in (15, 14, 12, 8, 4, 1, 0):
        expect.raises("ValueError", submission.flat_features, size, given=f"flat_features({size})")
        expect.raises("ValueError", submission.LeNet5, 1, size, given=f"LeNet5(1, {size})")


def lenet_shapes(in_channels=1, flattened=400, num_classes=10):
    weights = [(6, in_channels, 5, 5), (16, 6, 5, 5), (120, flattened), (84, 120), (num_classes, 84)]
    return [*weights, *((outer,) for outer, *_ in weights)]


def total(shapes):
    return sum(math.prod(shape) for shape in shapes)


@check("LeNet5 has 61,706 parameters", points=1.5, category="parameters")
def test_lenet_parameters(submission):
    count = total(lenet_shapes())
    expect.parameters(
        submission.LeNet5(),
        count,
        shapes=lenet_shapes(),
        given="LeNet5()",
        likely={
            "no layer has a bias": count - 236,
            "the convolutions have no bias": count - 22,
            "the second convolution does not pad: 16 maps of 5×5 are left, not of 7×7": total(lenet_shapes(1, 784)),
            "the layer of 84 is missing": count - 84 * 121 - 850 + 1210,
            "each convolution pads by 2": total(lenet_shapes(1, 1024)),
            "the first fully connected layer expects one pixel of each map": total(lenet_shapes(1, 16)),
        },
    )
    expect.parameters(
        submission.LeNet5(3),
        count + 300,
        shapes=lenet_shapes(3),
        given="LeNet5(3)",
        likely={"in_channels is ignored": count},
    )
    expect.parameters(
        submission.LeNet5(2, 33, 7),
        count + 150 - 255,
        shapes=lenet_shapes(2, 400, 7),
        given="LeNet5(2, 33, 7)",
        likely={"num_classes is ignored": count + 150},
    )
    for args, shapes in (((1, 28), lenet_shapes(1, 256)), ((1, 16, 3), lenet_shapes(1, 16, 3))):
        net = submission.LeNet5(*args)
        if args == (1, 28) and parameter_count(net) == count:
            shapes = lenet_shapes()  # the first convolution pads
        expect.parameters(net, total(shapes), shapes=shapes, given=f"LeNet5{args}")
    net, shapes = submission.LeNet5(num_classes=3, input_size=20, in_channels=2), lenet_shapes(2, 64, 3)
    expect.parameters(net, total(shapes), shapes=shapes, given="LeNet5(num_classes=3, input_size=20, in_channels=2)")
    facts = sorted({(row["dtype"], row["requires_grad"]) for row in registered_parameters(submission.LeNet5())})
    expect.equal(facts, [("float32", True)], given="dtype and requires_grad of the parameters of LeNet5()")


def pads(net, size=28):
    """Whether the first convolution keeps the size."""
    rows = operator_trace(net, torch.zeros(1, 1, size, size), among=("convolution",))
    return bool(rows) and tuple(rows[0]["shape"][2:]) == (size, size)


@check("LeNet5's maps are those of 1998", points=1, category="shapes")
def test_lenet_maps(submission):
    for args, maps in (
        ((), [(6, 28, 28), (16, 10, 10), (120,), (84,), (10,)]),
        ((1, 28), [(6, 24, 24), (16, 8, 8), (120,), (84,), (10,)]),
        ((2, 21, 3), [(6, 17, 17), (16, 4, 4), (120,), (84,), (3,)]),
    ):
        net = submission.LeNet5(*args)
        channels, size = (*args, 1, 32)[:2] if len(args) > 1 else (1, 32)
        images = torch.zeros(3, channels, size, size)
        rows = operator_trace(net, images)
        found = [tuple(row["shape"][1:]) for row in rows]
        if args == (1, 28) and pads(net):
            maps = [(6, 28, 28), (16, 10, 10), (120,), (84,), (10,)]
        given = f"the outputs of the convolutions and fully connected layers of LeNet5{args}, for 3 images"
        expect.equal(found, maps, given=given)
        out = feature_maps(net, images)[0]["shape"]
        expect.equal(tuple(out or ()), (3, maps[-1][0]), given=f"the shape of the logits of LeNet5{args} for 3 images")
    out = submission.LeNet5().eval()(torch.rand(1, 1, 32, 32))
    expect.shape(out, (1, 10), given="one image", likely={"the axis of the samples is lost": (10,)})


VARIANTS = list(itertools.product((F.relu, torch.tanh), (F.max_pool2d, F.avg_pool2d), (True, False)))


@cache
def weights(kind, *sizes):
    """Weight and bias of a layer that is filled by shape; nobody changes them."""
    layer = filled(kind, *sizes)
    return layer.weight, layer.bias


def lenet(x, bend, pool, early, padding, *, without=(), turned=False, end=None, num_classes=10):
    """LeNet-5 with the values of ``fill_by_shape``; ``early``: the non-linearity comes before the pooling."""
    for place, (inner, outer) in enumerate(((x.shape[1], 6), (6, 16))):
        x = F.conv2d(x, *weights(nn.Conv2d, inner, outer, 5), padding=padding if place == 0 else 0)
        bends = bend if place not in without else lambda values: values
        x = pool(bends(x), 2) if early else bends(pool(x, 2))
    x = (x.permute(0, 2, 3, 1) if turned else x).flatten(1)
    for place, (inner, outer) in enumerate(((x.shape[1], 120), (120, 84), (84, num_classes)), start=2):
        x = F.linear(x, *weights(nn.Linear, inner, outer))
        if place < 4 and place not in without:
            x = bend(x)
    return end(x) if end else x


def nearest(answer, x, padding, num_classes, likely=None):
    """Of the networks that are right, the one of which the answer is, by its truth or by one of its slips."""
    variants = []
    for bend, pool, early in VARIANTS:
        what = x, bend, pool, early, padding
        slips = {name: lenet(*what, num_classes=num_classes, **slip) for name, slip in (likely or {}).items()}
        variants.append((lenet(*what, num_classes=num_classes), slips))

    def distance(variant):
        truth, slips = variant
        return min(float((answer - other).abs().max()) for other in (truth, *slips.values()))

    return min(variants, key=distance)


@check("LeNet5 computes what the architecture says", points=2, category="values", devices="all")
def test_lenet_values(submission, device):
    x = normal(5, 1, 32, 32)
    given = "LeNet5() in training mode, every parameter filled by its shape"
    answer = filled_net(submission.LeNet5).to(device)(x.to(device)).detach().cpu()
    expect.shape(answer, (5, 10), given=given)
    truth, likely = nearest(
        answer,
        x,
        0,
        10,
        likely={
            "no non-linearity follows the first convolution": {"without": (0,)},
            "no non-linearity follows the second convolution": {"without": (1,)},
            "no non-linearity follows the convolutions": {"without": (0, 1)},
            "no non-linearity follows the layer of 120": {"without": (2,)},
            "no non-linearity follows the layer of 84": {"without": (3,)},
            "no non-linearity follows the fully connected layers": {"without": (2, 3)},
            "there is no non-linearity at all": {"without": (0, 1, 2, 3)},
            "the maps are flattened pixel by pixel, not channel by channel": {"turned": True},
            "a softmax stands at the end": {"end": lambda x: x.softmax(1)},
            "a log-softmax stands at the end": {"end": lambda x: x.log_softmax(1)},
            "a ReLU stands at the end": {"end": F.relu},
            "a tanh stands at the end": {"end": torch.tanh},
        },
    )
    expect.close(answer, truth, scale=1e-6, given=given, likely=likely)
    for args, mode in (((), False), ((2, 21, 3), True), ((1, 28), True)):
        channels, size, classes = args if len(args) == 3 else (1, args[-1] if args else 32, 10)
        x = normal(5, channels, size, size).transpose(2, 3)
        net = filled_net(submission.LeNet5, *args, mode=mode)
        padding = 2 * (args == (1, 28) and pads(submission.LeNet5(1, 28)))
        answer = net.to(device)(x.to(device)).detach().cpu()
        given = f"LeNet5{args} in {'training' if mode else 'evaluation'} mode, every parameter filled by its shape"
        expect.shape(answer, (5, classes), given=given)
        truth, _ = nearest(answer, x, padding, classes)
        expect.close(answer, truth, scale=1e-6, given=given)


@check("LeNet5 refuses images of another size", points=0.5, category="robustness", hidden=True, after=test_lenet_maps)
def test_lenet_size(submission):
    for input_size, size in ((32, 28), (32, 52), (32, 64), (28, 32), (28, 44)):
        net = submission.LeNet5(1, input_size).eval()
        if size == 44 and pads(net):
            size = 48  # where the maps hold four times as many numbers
        given = f"LeNet5(1, {input_size}) and 2 images of {size} × {size}"
        expect.raises("Exception", net, torch.rand(2, 1, size, size), given=given)


@check(
    "gradients reach every parameter of LeNet5", points=0.5, category="gradients", hidden=True, after=test_lenet_maps
)
def test_lenet_gradients(submission):
    net = submission.LeNet5()
    x = torch.randn(6, 1, 32, 32, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)
    net = submission.LeNet5(2, 20, 4).double()
    expect.gradients(net, [normal(2, 2, 20, 20, requires_grad=True)], module=net, given="LeNet5(2, 20, 4)")


@check("two networks share nothing, and a call changes nothing", points=0.5, category="robustness", hidden=True)
def test_apart(submission):
    plain = submission.probes.plain_net
    for name, make, args in (
        ("LeNet5", submission.LeNet5, (1, 32, 9)),
        ("BasicBlock", submission.BasicBlock, (1, 3, 2)),
        ("MnistResNet", plain, (submission.MnistResNet, [1, 1, 1])),
    ):
        one, other = make(*args), make(*args)
        before = {key: value.clone() for key, value in other.state_dict().items()}
        set_parameters(one, {row["name"]: torch.zeros(row["shape"]) for row in registered_parameters(one)})
        after = other.state_dict()
        changed = [key for key, value in before.items() if not torch.equal(value, after[key])]
        expect.equal(changed, [], given=f"what another {name} loses when the parameters of the first are set to 0")
        x = torch.rand(2, 1, 32, 32)
        other.eval()
        first = expect.not_mutated(submission, other, x, given=name).detach()
        expect.equal(torch.equal(other(x).detach(), first), True, given=f"whether {name} answers twice alike")


# The shortcut without parameters


def option_a(x, out_channels, stride, at=(0, 1), start=0):
    """Pixels and zeros; ``at``: how much of the zeros stands before and behind x, of ``sum(at)`` parts."""
    if out_channels < x.shape[1]:
        raise ValueError
    x = x[:, :, start::stride, start::stride]
    missing = out_channels - x.shape[1]
    before = missing * at[0] // sum(at)
    return F.pad(x, (0, 0, 0, 0, before, missing - before))


def operand(draw, size):
    return draw(*size)


OPTION_A = grid(
    operand,
    size=[(2, 3, 6, 4), (1, 3, 4, 4), (2, 3, 7, 5), (3, 1, 5, 8), (0, 2, 4, 4), (2, 3, 1, 3), (2, 3, 1, 1)],
    out_channels=[6, 7, 3, 5],
    stride=[2, 1, 3],
)


@check(
    "shortcut_option_a takes every stride-th pixel and adds zeros behind", points=1.5, category="values", devices="all"
)
def test_option_values(submission, device):
    expect.agrees(
        submission.shortcut_option_a,
        option_a,
        OPTION_A,
        device=device,
        likely={
            "the zeros stand before the channels of x": lambda x, out_channels, stride: option_a(
                x, out_channels, stride, at=(1, 0)
            ),
            "half of the zeros stand before the channels of x": lambda x, out_channels, stride: option_a(
                x, out_channels, stride, at=(1, 1)
            ),
            "the pixels are averaged, not left out": lambda x, out_channels, stride: option_a(
                F.avg_pool2d(x, stride, ceil_mode=True), out_channels, 1
            ),
            "the largest pixel of each window is taken": lambda x, out_channels, stride: option_a(
                F.max_pool2d(x, stride, ceil_mode=True), out_channels, 1
            ),
            "only the rows are thinned out": lambda x, out_channels, stride: option_a(
                x[:, :, ::stride], out_channels, 1
            ),
            "the stride is always 2": lambda x, out_channels, stride: option_a(x, out_channels, 2),
            "the channels are always doubled": lambda x, out_channels, stride: option_a(x, 2 * x.shape[1], stride),
            "the size is rounded down": lambda x, out_channels, stride: option_a(
                x[:, :, : x.shape[2] // stride * stride, : x.shape[3] // stride * stride], out_channels, stride
            ),
        },
    )
    x = torch.arange(16.0).reshape(1, 1, 4, 4).to(device)
    wanted = torch.zeros(1, 3, 2, 2)
    wanted[0, 0] = torch.tensor([[0.0, 2.0], [8.0, 10.0]])
    given = "the map of 4 × 4 that counts from 0 to 15, out_channels=3, stride=2"
    expect.close(submission.shortcut_option_a(x, 3, 2), wanted.to(device), given=given)
    x = torch.tensor([math.inf, -math.inf, math.nan, 1.0]).reshape(1, 1, 2, 2).to(device)
    found = submission.shortcut_option_a(x, 3, 1)[:, 1:]
    given = "x that holds infinity and NaN, out_channels=3, stride=1; the channels that are added"
    expect.shape(found, (1, 2, 2, 2), given=given)
    nans = bool(found.isnan().any())
    likely = {"the zeros are products of x with 0, and 0 times infinity is NaN": nans}
    got = "NaN among them" if nans else "other values"
    expect.true(bool((found == 0).all()), expected="zeros", got=got, given=given, likely=likely)


@check(
    "shortcut_option_a keeps dtypes, lets gradients pass, changes nothing",
    points=0.5,
    category="gradients",
    hidden=True,
    after=test_option_values,
)
def test_option_kinds(submission):
    cases = OPTION_A.vary(
        dtype=(torch.float32, torch.float64, torch.float16, torch.bfloat16), layout=LAYOUTS, grad=RECORDING
    )
    expect.agrees(submission.shortcut_option_a, option_a, cases, unchanged=True)
    expect.agrees(submission.shortcut_option_a, option_a, OPTION_A, gradients=True)
    expect.portable(submission.shortcut_option_a, torch.randn(2, 3, 4, 4), 6, 2, given="out_channels=6, stride=2")


@check("shortcut_option_a refuses to lose channels", points=0.5, category="robustness", hidden=True)
def test_option_refuses(submission):
    for channels, out_channels, stride in ((4, 3, 1), (4, 3, 2), (2, 1, 2), (8, 4, 1)):
        x, given = torch.rand(2, channels, 4, 4), f"x with {channels} channels, out_channels={out_channels}"
        expect.raises("ValueError", submission.shortcut_option_a, x, out_channels, stride, given=given)


# BasicBlock


def conv(x, inner, outer, size, stride=1):
    return F.conv2d(x, filled(nn.Conv2d, inner, outer, size, bias=False).weight, stride=stride, padding=size // 2)


def norm(x, width, training=True):
    layer = filled(nn.BatchNorm2d, width)
    return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias, training=training)


def branch(x, inner, outer, stride=1, training=True, late=False):
    """What a block adds to its shortcut; ``late``: the stride is in the second convolution."""
    first, second = (1, stride) if late else (stride, 1)
    x = F.relu(norm(conv(x, inner, outer, 3, first), outer, training))
    return norm(conv(x, outer, outer, 3, second), outer, training)


def shortcut(x, inner, outer, stride=1, training=True):
    same = stride == 1 and inner == outer
    return x if same else norm(conv(x, inner, outer, 1, stride), outer, training)


def block(x, inner, outer, stride=1, training=True):
    return F.relu(branch(x, inner, outer, stride, training) + shortcut(x, inner, outer, stride, training))


def layers(inner, outer, stride=1):
    """Branch and shortcut of layers of PyTorch, which move their statistics."""
    first = filled(nn.Conv2d, inner, outer, 3, stride, padding=1, bias=False)
    second = filled(nn.Conv2d, outer, outer, 3, padding=1, bias=False)
    norms = [filled(nn.BatchNorm2d, outer) for _ in range(3)]
    way = nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1])
    if stride == 1 and inner == outer:
        return way, nn.Identity()
    return way, nn.Sequential(filled(nn.Conv2d, inner, outer, 1, stride, bias=False), norms[2])


def block_shapes(inner, outer, projected):
    shapes = [(outer, inner, 3, 3), (outer, outer, 3, 3), *[(outer,)] * 4]
    return [*shapes, (outer, inner, 1, 1), (outer,), (outer,)] if projected else shapes


@check("BasicBlock has the parameters of two convolutions and a shortcut", points=1, category="parameters")
def test_block_parameters(submission):
    count = total(block_shapes(6, 6, False))
    expect.parameters(
        submission.BasicBlock(6, 6),
        count,
        shapes=block_shapes(6, 6, False),
        given="BasicBlock(6, 6)",
        likely={
            "the convolutions have biases, which the batch norms make useless": count + 12,
            "one batch norm serves both convolutions": count - 12,
            "a projection stands where x itself would do": count + 48,
        },
    )
    for args in ((6, 8, 2), (6, 6, 2), (6, 8)):
        inner, outer, *_ = args
        shapes = block_shapes(inner, outer, True)
        count = total(shapes)
        expect.parameters(
            submission.BasicBlock(*args),
            count,
            shapes=shapes,
            given=f"BasicBlock{args}",
            likely={
                "the projection is a 3×3 convolution": count + 8 * inner * outer,
                "the projection is a 3×3 convolution with a bias": count + 8 * inner * outer + outer,
                "the projection has a bias": count + outer,
                "the projection has no batch norm": count - 2 * outer,
                "the projection has a bias and no batch norm": count - outer,
                "there is no projection where the shapes differ": count - inner * outer - 2 * outer,
            },
        )


@check("BasicBlock with parameters of 0 computes relu(x)", points=0.5, category="values")
def test_block_zero(submission):
    x = normal(3, 4, 5, 6)
    for mode in (True, False):
        net = submission.BasicBlock(4, 4).double().train(mode)
        rows = registered_parameters(net)
        set_parameters(net, {row["name"]: torch.zeros(row["shape"], dtype=torch.float64) for row in rows})
        expect.close(
            net(x),
            F.relu(x),
            given=f"BasicBlock(4, 4) in {'training' if mode else 'evaluation'} mode",
            likely={
                "the block gives x itself: the last ReLU is missing": x,
                "there is no shortcut": torch.zeros_like(x),
                "the shortcut is added twice": 2 * F.relu(x),
                "the sum of branch and shortcut is halved": F.relu(x) / 2,
            },
        )


@check("BasicBlock adds branch and shortcut before the last ReLU", points=1.5, category="values", devices="all")
def test_block_values(submission, device):
    x = normal(3, 4, 7, 6)
    way = branch(x, 4, 4)
    answer = filled_net(submission.BasicBlock, 4, 4).to(device)(x.to(device))
    expect.close(
        answer.cpu(),
        F.relu(way + x),
        scale=1e-6,
        given="BasicBlock(4, 4) in training mode, every parameter filled by its shape",
        likely={
            "there is no shortcut": F.relu(way),
            "the ReLU stands before the addition": F.relu(way) + x,
            "a ReLU stands before the addition, and one behind it": F.relu(F.relu(way) + x),
            "no ReLU follows the addition": way + x,
            "the input passes a ReLU before it is added": F.relu(way + F.relu(x)),
            "the block uses running statistics in training": block(x, 4, 4, training=False),
        },
    )
    for args in ((4, 4), (2, 2)):
        x = normal(2, args[0], 6, 1).transpose(2, 3)
        given = f"BasicBlock{args} in training mode, x of shape {tuple(x.shape)}"
        expect.close(filled_net(submission.BasicBlock, *args)(x), block(x, *args), scale=1e-6, given=given)


@check("BasicBlock projects its shortcut where shapes differ", points=1, category="values")
def test_block_projection(submission):
    x = normal(3, 4, 7, 6)
    way, short = branch(x, 4, 6, 2), shortcut(x, 4, 6, 2)
    expect.close(
        filled_net(submission.BasicBlock, 4, 6, 2)(x),
        F.relu(way + short),
        scale=1e-6,
        given="BasicBlock(4, 6, 2) in training mode, every parameter filled by its shape",
        likely={
            "the stride is in the second convolution": F.relu(branch(x, 4, 6, 2, late=True) + short),
            "the shortcut passes a ReLU before it is added": F.relu(way + F.relu(short)),
            "the projection has no batch norm": F.relu(way + conv(x, 4, 6, 1, 2)),
            "the ReLU stands before the addition": F.relu(way) + short,
            "the shortcut is that without parameters": F.relu(way + option_a(x, 6, 2)),
        },
    )
    for args, shape in (((4, 6), (1, 4, 7, 6)), ((4, 4, 2), (3, 4, 6, 1)), ((6, 4, 3), (3, 6, 7, 6)),
                        ((4, 4, 3), (3, 4, 7, 6))):  # fmt: skip
        x = normal(*shape).transpose(2, 3)
        given = f"BasicBlock{args} in training mode, x of shape {tuple(x.shape)}"
        expect.close(filled_net(submission.BasicBlock, *args)(x), block(x, *args), scale=1e-6, given=given)


@check(
    "BasicBlock has running statistics, for evaluation mode",
    points=0.5,
    category="values",
    hidden=True,
    after=[test_block_values, test_block_projection],
)
def test_block_modes(submission):
    for args in ((4, 4), (4, 6, 2)):
        x, given = normal(3, 4, 7, 6), f"BasicBlock{args} in evaluation mode, filled by shape"
        net = filled_net(submission.BasicBlock, *args, mode=False)
        expect.close(net(x), block(x, *args, training=False), scale=1e-6, given=given)
        single = submission.BasicBlock(*args)
        expect.dtype(single(x.float()), torch.float32)
        expect.moves_only(net, net, x, given=f"a pass of BasicBlock{args} in evaluation mode")
        net = filled_net(submission.BasicBlock, *args, mode=None)
        _, kept = moved(net, net, x)
        still = [item["name"] for item in buffers(net) if item["name"] in kept]
        given = f"statistics that a pass of a new BasicBlock{args}, which is in training mode, leaves as they were"
        expect.equal(still, [], given=given)
        way, short = layers(*args)
        way(x), short(x)  # in training mode, once
        truth = F.relu(way.eval()(x) + short.eval()(x))
        given = f"BasicBlock{args} in evaluation mode, filled by shape, after one pass in training mode"
        expect.close(net.eval()(x), truth, scale=1e-6, given=given)


@check("gradients flow through branch and shortcut", points=0.5, category="gradients", after=test_block_values)
def test_block_gradients(submission):
    for args in ((3, 3), (3, 4, 2)):
        net = filled_net(submission.BasicBlock, *args, mode=False)
        given = f"BasicBlock{args} in evaluation mode"
        expect.gradients(net, [normal(2, 3, 5, 4, requires_grad=True)], module=net, given=given)
        expect.not_mutated(submission, net, normal(2, 3, 5, 4), given=given)
        net, x = submission.BasicBlock(*args), torch.randn(3, 3, 5, 4, requires_grad=True)
        expect.gradient_flow(net(x), x, module=net, given=f"BasicBlock{args} as it is built")
        frozen = [row["name"] for row in registered_parameters(net) if not row["requires_grad"]]
        expect.equal(frozen, [], given="the parameters that want no gradient")


# MnistResNet, on blocks that are not the submission's


def asked(num_blocks, strides=(1, 2, 2), all_alike=False):
    """in_channels, out_channels and stride of each block."""
    rows, inner = [], 16
    for outer, depth, stride in zip((16, 32, 64), num_blocks, strides, strict=True):
        for index in range(depth):
            rows.append([inner, outer, stride if index == 0 or all_alike else 1])
            inner = outer
    return rows


def table(rows):
    """The blocks as one line."""
    return ", ".join(f"{inner}→{outer}/{stride}" for inner, outer, stride in rows)


@check("MnistResNet asks for the blocks that num_blocks says", points=1, category="values")
def test_blocks(submission):
    for num_blocks in ([1, 2, 3], [1, 1, 1], [3, 1, 2], (2, 2, 1)):
        found = table(submission.probes.blocks_asked(submission.MnistResNet, num_blocks))
        given = f"num_blocks={num_blocks}"
        if num_blocks != [1, 2, 3]:
            expect.equal(found, table(asked(num_blocks)), given=given)
            continue
        expect.equal(
            found,
            table(asked(num_blocks)),
            because="in_channels → out_channels / stride of each block",
            given=given,
            likely={
                "the second stage has stride 1": table(asked(num_blocks, (1, 1, 2))),
                "the first stage has stride 2, too": table(asked(num_blocks, (2, 2, 2))),
                "the third stage is missing": table(asked([1, 2, 0])),
                "num_blocks is ignored: every stage has one block": table(asked([1, 1, 1])),
                "num_blocks is used from last to first": table(asked([3, 2, 1])),
                "all blocks of a stage have its stride": table(asked(num_blocks, all_alike=True)),
            },
        )
    kept = submission.probes.list_kept(submission.MnistResNet, [1, 2, 3])
    expect.equal(kept, [1, 2, 3], given="the list that was handed to MnistResNet, after the call")


@check("MnistResNet refuses another number of stages", points=0.5, category="robustness", hidden=True)
def test_lengths(submission):
    for num_blocks in ([1, 1, 1, 1], [1, 1], [1, 1, 1, 9], [], (2, 2, 2, 2)):
        given = f"num_blocks={num_blocks}"
        expect.raises("ValueError", submission.probes.plain_net, submission.MnistResNet, num_blocks, given=given)


def plain_shapes(num_blocks, num_classes=10):
    blocks = [(outer, inner, 3, 3) for inner, outer, _ in asked(num_blocks)]
    return [(16, 1, 3, 3), (16,), (16,), *blocks, (num_classes, 64), (num_classes,)]


def with_stem(net, shapes):
    """The shapes, with a bias in the stem where the network has one more vector of 16."""
    found = [tuple(row["shape"]) for row in registered_parameters(net)]
    return [*shapes, (16,)] if found.count((16,)) == shapes.count((16,)) + 1 else shapes


@check("MnistResNet has a stem and one last layer", points=1, category="parameters")
def test_resnet_parameters(submission):
    for num_blocks, args in (([1, 2, 1], (7,)), ([1, 1, 1], (3,)), ([3, 1, 1], (12,))):
        net = submission.probes.plain_net(submission.MnistResNet, num_blocks, *args)
        shapes = with_stem(net, plain_shapes(num_blocks, *args))
        count, classes = total(shapes), (*args, 10)[0]
        expect.parameters(
            net,
            count,
            shapes=shapes,
            given=f"plain blocks, {num_blocks}, {classes} classes",
            likely={
                "the last layer has no bias": count - classes,
                "no batch norm follows the stem's convolution": count - 32,
                "the stem takes images of three channels": count + 2 * 144,
                "the last layer expects maps of 7×7": count + 48 * 64 * classes,
                "num_classes is ignored": count + (10 - classes) * 65,
            },
        )


@check("MnistResNet of BasicBlocks has 77,754 parameters", points=1, category="parameters", after=test_block_parameters)
def test_resnet_counts(submission):
    for num_blocks, wanted in (([1, 1, 1], 77_754), ([2, 2, 2], 174_970), ([1, 1, 2], 151_738)):
        shapes = [(16, 1, 3, 3), (16,), (16,), (10, 64), (10,)]
        for inner, outer, stride in asked(num_blocks):
            shapes += block_shapes(inner, outer, stride != 1 or inner != outer)
        net = submission.MnistResNet(submission.BasicBlock, num_blocks)
        shapes = with_stem(net, shapes)
        given = f"MnistResNet(BasicBlock, {num_blocks})"
        expect.parameters(net, wanted + 16 * (total(shapes) > wanted), shapes=shapes, given=given)


@check("MnistResNet's maps shrink from 28 to 7", points=1, category="shapes")
def test_resnet_maps(submission):
    net = submission.probes.plain_net(submission.MnistResNet, [1, 2, 1])
    for height, width in ((28, 28), (32, 32), (64, 64), (29, 22), (4, 4)):
        heights, widths = ([side, side, -(-side // 2), -(-side // 2), -(-side // 4)] for side in (height, width))
        maps = [(c, h, w) for c, h, w in zip((16, 16, 32, 32, 64), heights, widths, strict=True)]
        rows = operator_trace(net, torch.zeros(2, 1, height, width), among=("convolution",))
        given = f"the outputs of stem and blocks for {height} × {width}, num_blocks=[1, 2, 1]"
        expect.equal([tuple(row["shape"][1:]) for row in rows], maps, given=given)
        found = feature_maps(net, torch.zeros(2, 1, height, width))[0]["shape"]
        given = f"the shape of the logits for 2 images of {height} × {width}"
        expect.equal(tuple(found or ()), (2, 10), given=given)
    net.eval()
    found = feature_maps(net, torch.zeros(1, 1, 28, 28))[0]["shape"]
    given = "the shape of the logits for one image in evaluation mode"
    expect.equal(tuple(found or ()), (1, 10), given=given, likely={"the axis of the samples is lost": (10,)})


def stem_maps(x, net):
    """What the stem's convolution gives; in evaluation mode its bias shows."""
    count = [tuple(row["shape"]) for row in registered_parameters(net)].count((16,))
    x = conv(x, 1, 16, 3)
    return x + filled(nn.BatchNorm2d, 16).bias[:, None, None] if count == 3 else x


def stem(x, net, bend=F.relu, training=True, pool=False):
    """The stem's output."""
    x = bend(norm(stem_maps(x, net), 16, training))
    return F.max_pool2d(x, 3, 1, 1) if pool else x


def stages(x, num_blocks):
    for inner, outer, stride in asked(num_blocks):
        x = F.relu(conv(x, inner, outer, 3, stride))
    return x


def head(x, num_classes=10):
    layer = filled(nn.Linear, 64, num_classes)
    return F.linear(x, layer.weight, layer.bias)


@check("MnistResNet computes what the architecture says", points=2, category="values", after=test_blocks)
def test_resnet_values(submission):
    num_blocks, x = [1, 2, 1], normal(4, 1, 13, 10)
    net = filled_net(submission.probes.plain_net, submission.MnistResNet, num_blocks)
    maps = stages(stem(x, net), num_blocks)
    truth = head(maps.mean((2, 3)))
    given = "plain blocks, num_blocks=[1, 2, 1], every parameter filled by its shape, in training mode"
    expect.close(
        net(x),
        truth,
        scale=1e-6,
        given=given,
        likely={
            "a softmax stands at the end": truth.softmax(1),
            "a log-softmax stands at the end": truth.log_softmax(1),
            "the largest value is taken over height and width, not the mean": head(maps.amax((2, 3))),
            "a max-pool follows the stem": head(stages(stem(x, net, pool=True), num_blocks).mean((2, 3))),
            "no ReLU follows the stem's batch norm": head(
                stages(stem(x, net, bend=lambda y: y), num_blocks).mean((2, 3))
            ),
            "the values are summed over height and width, not averaged": head(maps.sum((2, 3))),
        },
    )
    layer, maps = filled(nn.BatchNorm2d, 16), stem_maps(x, net)
    layer(maps)  # in training mode, once
    truth = head(stages(F.relu(layer.eval()(maps)), num_blocks).mean((2, 3)))
    again = f"{given}, and then in evaluation mode"
    net = filled_net(submission.probes.plain_net, submission.MnistResNet, num_blocks, mode=None)
    net(x)
    expect.close(net.eval()(x), truth, scale=1e-6, given=again)
    net = filled_net(submission.probes.plain_net, submission.MnistResNet, num_blocks, mode=False)
    x = x[:1].transpose(2, 3)
    truth = head(stages(stem(x, net, training=False), num_blocks).mean((2, 3)))
    given = given.replace("training", "evaluation") + ", one image whose rows and columns are swapped in memory"
    expect.close(net(x), truth, scale=1e-6, given=given)
    draws = operator_trace(net, x, among=("random",))
    expect.equal(len(draws), 0, because="there is no dropout", given="draws of one pass in evaluation mode")


@check(
    "MnistResNet passes gradients to every parameter, and runs on any device",
    points=0.5,
    category="gradients",
    hidden=True,
    after=test_resnet_maps,
)
def test_resnet_gradients(submission):
    net = submission.probes.plain_net(submission.MnistResNet, [1, 2, 1], 5)
    frozen = [row["name"] for row in registered_parameters(net) if not row["requires_grad"]]
    expect.equal(frozen, [], given="the parameters that want no gradient")
    x = torch.randn(3, 1, 12, 12, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)
    expect.portable(net, torch.randn(2, 1, 12, 12), given="MnistResNet of plain blocks")


@check(
    "MnistResNet learns to read digits that it has not seen",
    points=1,
    category="accuracy",
    after=test_resnet_maps,
    devices="all",
    seconds=60,
    tries=2,
)
def test_digits(submission, device, dataset, calibration, pictures):
    images, labels = dataset("digits").generate(1400, seed=any_seed())
    images = F.avg_pool2d(scaled(torch.from_numpy(images).unsqueeze(1)), 2)  # (1400, 1, 14, 14): a quarter of the time
    labels = torch.from_numpy(labels)
    net = submission.MnistResNet(submission.BasicBlock, [1, 1, 1]).to(device)
    losses = submission.probes.trained(net, images[:1000], labels[:1000], 6)
    pictures.curves("training", "epoch", {"loss": expect.record(losses, [float])})
    unseen, answers = images[1000:], labels[1000:]
    classes = submission.probes.guesses(net, unseen).cpu()
    pictures.grid("mistaken", unseen[classes != answers])
    accuracy = float((classes == answers).double().mean())
    calibration.holds(
        "digit_accuracy", accuracy, unit="(accuracy on 400 unseen digits of 14×14, after 6 epochs on 1,000)"
    )


# classify


def linear_scores(images, weight, bias):
    return images.flatten(1)[:, : weight.shape[1]].double() @ weight.double().T + bias.double()


@check("classify gives the class of the largest logit, on prepared images", points=1.5, category="values",
       devices="all")  # fmt: skip
def test_classify_values(submission, device):
    images = grey(230, 4, 3)
    weight, bias = 8 * torch.randn(6, 5), torch.randn(6)
    # Half of the images are decided by the bias once they are scaled, and by the pixels where they are not.
    images[::2] //= 8
    model = submission.probes.toy("Linear", weight, bias).to(device)
    scores = linear_scores(scaled(images), weight, bias)
    truth = scores.argmax(1)
    for kind, batch in (("a tensor", images), ("an array", images.numpy())):
        expect.close(
            submission.classify(model, batch),
            truth,
            given=f"a linear model of 6 classes, 230 images as {kind}",
            likely={
                "the images are not scaled": linear_scores(images, weight, bias).argmax(1),
                "the images are scaled twice": linear_scores(scaled(images) / 255, weight, bias).argmax(1),
                "the smallest logit is taken": scores.argmin(1),
                "the largest logits are returned, not their places": scores.amax(1).float(),
                "the last, smaller batch is left out": truth[:200],
                "only the first batch is asked": truth[:100],
            },
        )
    found = submission.classify(model, images[:, None], batch_size=7)
    expect.close(found, truth, given="the images as (N, 1, H, W), batch_size=7")
    turned = images.transpose(1, 2).contiguous().transpose(1, 2)
    given = "images whose rows and columns are swapped in memory"
    expect.close(submission.classify(model, turned), truth, given=given)
    weight, images = 8 * torch.randn(6, 1, 4, 3), images[:10]
    truth = F.conv2d(scaled(images)[:, None], weight, bias).flatten(1).argmax(1)
    found = submission.classify(submission.probes.whole_maps(weight, bias).to(device), images)
    expect.close(found, truth, given="10 images, a network that begins with a convolution")


@check("classify runs in evaluation mode and changes nothing", points=1, category="values", after=test_classify_values)
def test_classify_mode(submission):
    images = grey(40, 4, 4)
    model = submission.probes.toy("Pixels", moody=True)
    call = submission.classify, model, images, 16
    given = "40 images in batches of 16"
    expect.restores_mode(model, *call, ran=False, given=given, likely={"the network was in training mode": [True] * 3})
    expect.moves_only(model, *call, given="classify")
    expect.not_mutated(submission, *call, given="classify")
    recorded = [row["gradients"] for row in passes_seen(model, *call)]
    expect.equal(
        recorded,
        [False] * 3,
        given="whether gradients are recorded, in each pass of 40 images in batches of 16",
        likely={
            "gradients are recorded for nothing": [True] * 3,
            "batch_size is ignored: all images are in one batch": [False],
        },
    )
    for recording, size in ((True, 16), (False, 15)):
        passes, after, _ = submission.probes.asked_while(submission.classify, model, images, size, recording)
        expect.equal(passes, [size, size, 40 - 2 * size], because="only the last batch may be smaller",
                     given=f"the number of images in each pass, of 40 in batches of {size}")  # fmt: skip
        expect.equal(after, recording, trivial="it is on or off",
                     given=f"whether gradients are recorded after classify, and before it: {recording}",
                     likely={"recording is left switched off": False} if recording else {"it is switched on": True},
                     )  # fmt: skip


@check(
    "classify takes few images, and none", points=0.5, category="robustness", hidden=True, after=test_classify_values
)
def test_classify_few(submission):
    model = submission.probes.toy("Linear", torch.eye(5), torch.zeros(5))  # the class is the brightest of five pixels
    images = grey(6, 3, 3) // 2
    classes = (torch.arange(6) + 2) % 5
    images.view(6, 9)[torch.arange(6), classes] = 255
    for count, batch_size in ((1, 100), (3, 1), (4, 2), (5, 5), (0, 100)):
        given = f"{count} images, batch_size={batch_size}"
        found = submission.classify(model, images[:count], batch_size)
        expect.close(found, classes[:count], trivial="no image, no class" if not count else None, given=given)
    _, _, mode = submission.probes.asked_while(submission.classify, model, images[:0], 100, True)
    expect.equal(mode, True, trivial="it is on or off",
                 given="the mode of a network in training after 0 images; True is training")  # fmt: skip
    expect.close(submission.classify(model, images[0]), classes[:1], given="one image (H, W)")
    expect.close(submission.classify(model, images[0], 2), classes[:1], given="one image (H, W), batch_size=2")


@check("classify moves the images to the network's device", points=0.5, category="devices", hidden=True)
def test_classify_device(submission):
    model = submission.probes.toy("Linear", torch.randn(4, 5), torch.randn(4)).to("meta")
    wanted = "the network and each batch on the device of its parameters"
    given = "images on the CPU, a network on another device"
    expect.follows_device(submission.classify, model, grey(6, 3, 3), 4, expected=wanted, given=given)


# All together


@check("the networks are built without ready-made ones", points=0.5, category="rules", gates=OWN_WORK)
def test_rule(submission):
    expect.avoids(submission.prepare_images, grey(2, 4, 4), rule=OWN_WORK)
