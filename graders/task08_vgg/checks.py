"""Checks for task 08: the VGG family, its sizes and counts, its function, and the summary of any model."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    Rule,
    check,
    expect,
    feature_maps,
    fill_by_shape,
    filled,
    lean,
    normal,
    on_meta,
    operator_trace,
    parameter_count,
    parameter_values,
    registered_parameters,
    traces_left,
)

VGG11 = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
VGG13 = [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
VGG16 = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"]
VGG19 = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]

SHORT = [4, "M", 5, 6, "M"]
SMALL = [6, "M", 5, 7, "M"]  # two pools make 7×7 of 28×28, as five make of 224×224
BLOCK = 400  # rows and columns of a small network's matrices that are not zero: more than 7·49
NARROW = 32  # the same for VGG-11


# The oracle: plain functions, on weights that depend on their shape only


def convolve(x, config, in_channels=None, pool=F.max_pool2d, bend=F.relu, norm=None, block=BLOCK):
    """The convolutional part of a VGG in its first ``block`` channels; ``norm(x, layer)`` is a batch norm."""
    channels = in_channels or x.shape[1]
    for item in config:
        if item == "M":
            x = pool(x, 2)
            continue
        conv = filled(nn.Conv2d, channels, item, 3, dtype=x.dtype, block=block)
        x = F.conv2d(x, conv.weight[:block, :block], conv.bias[:block], padding=1)
        x = bend(norm(x, filled(nn.BatchNorm2d, item, dtype=x.dtype)) if norm else x)
        channels = item
    return x


def settled(x, layer):
    """Batch norm in eval mode."""
    return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)


def learning(x, layer):
    """Batch norm in training mode."""
    return F.batch_norm(x, None, None, layer.weight, layer.bias, training=True)


def classify(x, num_classes, bend=F.relu):
    """The fully connected part, without dropout; x is (N, c, 7, 7) or flat."""
    x = x.flatten(1)
    for out in (4096, 4096, num_classes):
        layer = filled(nn.Linear, x.shape[1], out, dtype=x.dtype, block=BLOCK)
        x = F.linear(x, layer.weight, layer.bias)
        x = bend(x) if out == 4096 else x
    return x


def straight(x):
    """No activation at all."""
    return x


def made_layers(submission, *args, **kwargs):
    """What make_layers returns; a plain list of layers, which one check refuses, is chained for the others."""
    layers = submission.make_layers(*args, **kwargs)
    return submission.make(nn.Sequential, *layers) if isinstance(layers, list) else layers


def layers_of(submission, config, *args, **kwargs):
    """The submission's convolutional part in float64, filled by shape, in eval mode."""
    layers = made_layers(submission, config, *args, **kwargs).double()
    fill_by_shape(layers, BLOCK)
    layers.eval()
    return layers


def small_vgg(submission, num_classes=10, **kwargs):
    """The submission's VGG in float64, filled by shape, in eval mode."""
    net = lean(submission.VGG, SMALL, num_classes=num_classes, **kwargs).double()
    fill_by_shape(net, BLOCK)
    net.eval()
    return net


def own_features(submission, x, **kwargs):
    """What the submission's own convolutional part makes of x; its slips are the business of other checks."""
    return F.adaptive_avg_pool2d(layers_of(submission, SMALL, x.shape[1], **kwargs)(x).detach(), 7)


# make_layers


@check("make_layers keeps the size, and each pool halves it", points=2, category="shapes")
def test_layers_sizes(submission):
    layers = submission.make_layers(SHORT)
    expect.instance(layers, "Sequential", given=f"what make_layers({SHORT}) returns")
    expect.shape(
        layers(torch.randn(3, 3, 20, 16)),
        (3, 6, 5, 4),
        given=f"{SHORT} and images of 20 × 16",
        likely={
            "the convolutions do not pad, so that each one cuts the border off": (3, 6, 2, 1),
            "the pools move in steps of 1, not of 2": (3, 6, 18, 14),
        },
    )
    pools = ["M", 2, "M", "M", 5]
    given = '["M", 2, "M", "M", 5] and images of 17 × 26'
    expect.shape(submission.make_layers(pools)(torch.randn(1, 3, 17, 26)), (1, 5, 2, 3), given=given)


@check("make_layers holds convolutions of 3×3 with biases", points=1.5, category="parameters")
def test_layers_parameters(submission):
    plain = [(4, 2, 3, 3), (4,), (5, 4, 3, 3), (5,), (6, 5, 3, 3), (6,)]
    biases, norms = 4 + 5 + 6, 2 * (4 + 5 + 6)
    total = 4 * 19 + 5 * 37 + 6 * 46
    expect.parameters(
        made_layers(submission, SHORT, in_channels=2),
        shapes=plain,
        given=f"make_layers({SHORT}, in_channels=2)",
        likely={
            "the convolutions have no bias": total - biases,
            "the plain network has batch norm": total + norms,
            "in_channels is ignored: the first convolution takes three channels": total + 4 * 9,
        },
    )
    expect.parameters(
        made_layers(submission, SHORT, in_channels=2, batch_norm=True),
        shapes=[*plain, *[(width,) for width in (4, 4, 5, 5, 6, 6)]],
        given=f"make_layers({SHORT}, in_channels=2, batch_norm=True)",
        likely={
            "batch_norm=True is ignored": total,
            "convolutions that a batch norm follows keep their bias here": total + norms - biases,
        },
    )


@check("make_layers chains convolution, ReLU and max-pool", points=2, category="values", after=test_layers_sizes)
def test_layers_values(submission):
    x = 5 * normal(2, 3, 20, 16)
    expect.close(
        layers_of(submission, SHORT)(x),
        convolve(x, SHORT),
        given=f"make_layers({SHORT}), every parameter filled by its shape",
        likely={
            "the pools average; VGG takes the maximum": convolve(x, SHORT, pool=F.avg_pool2d),
            "no ReLU follows the convolutions": convolve(x, SHORT, bend=straight),
            "only the last convolution before a pool has a ReLU": half_bent(x),
        },
    )
    open_end = [4, "M", 5]
    expect.close(
        layers_of(submission, open_end)(x),
        convolve(x, open_end),
        given=f"make_layers({open_end}), every parameter filled by its shape",
        likely={"no ReLU follows the last convolution": convolve(convolve(x, [4, "M"]), [5], bend=straight)},
    )


def half_bent(x):
    """SHORT where the convolution between two others lacks its ReLU."""
    x = convolve(convolve(x, [4, "M"]), [5], bend=straight)
    return convolve(x, [6, "M"])


@check(
    "make_layers puts batch norm before the ReLU",
    points=1.5,
    category="values",
    after=test_layers_sizes,
    hidden=True,
)
def test_layers_batch_norm(submission):
    layers = layers_of(submission, SHORT, batch_norm=True)
    x = normal(2, 3, 22, 17)
    given = f"make_layers({SHORT}, batch_norm=True) in {{}} mode, every parameter filled by its shape"
    expect.close(
        layers(x),
        convolve(x, SHORT, norm=settled),
        given=given.format("eval"),
        likely={
            "the ReLU stands before the batch norm": norm_last(x),
            "the batch norms use the statistics of the batch in eval mode, too": convolve(x, SHORT, norm=learning),
        },
    )
    layers.train()
    expect.close(
        layers(x),
        convolve(x, SHORT, norm=learning),
        given=given.format("training"),
        likely={"the batch norms use their running statistics in training, too": convolve(x, SHORT, norm=settled)},
    )


def norm_last(x):
    """SHORT with each batch norm after its ReLU."""
    return convolve(x, SHORT, bend=straight, norm=lambda x, layer: settled(F.relu(x), layer))


@check("VGG_CONFIGS lists the layers of the four networks", points=1.5, category="parameters")
def test_configs(submission):
    submission.make_layers(["M"])  # what is not begun there is not begun here
    kind = [None]
    configs = expect.record(submission.VGG_CONFIGS, {"vgg11": kind, "vgg13": kind, "vgg16": kind, "vgg19": kind})
    last = "the last pool is missing"
    swapped = {"this is the list of VGG-13": VGG13, "this is the list of VGG-16": VGG16, last: VGG11[:-1]}
    expect.equal(configs["vgg11"], VGG11, given='VGG_CONFIGS["vgg11"]', likely=swapped)
    expect.equal(configs["vgg13"], VGG13, given='VGG_CONFIGS["vgg13"]', likely={last: VGG13[:-1]})
    swapped = {"this is the list of VGG-19": VGG19, last: VGG16[:-1]}
    expect.equal(configs["vgg16"], VGG16, given='VGG_CONFIGS["vgg16"]', likely=swapped)
    expect.equal(configs["vgg19"], VGG19, given='VGG_CONFIGS["vgg19"]', likely={last: VGG19[:-1]})


@check("make_layers and VGG leave alone what is not theirs", points=0.5, category="robustness", hidden=True)
def test_config_kept(submission):
    for name in ("make_layers", "VGG"):
        for config in ([3, "M", 2, "M"], [2, "M", "M"]):
            kept = submission.probes.list_kept(getattr(submission, name), config)
            expect.equal(kept, config, given=f"the list that was handed to {name}, after the call")
    one, other = (made_layers(submission, SHORT) for _ in range(2))
    before = parameter_values(other)
    fill_by_shape(one)
    given = "the parameters of one part after those of another, made from the same list, were changed"
    expect.close(parameter_values(other), before, given=given)
    for name, arguments in (("VGG", ([3, "M", 2, "M"],)), ("vgg11", (10,))):
        common = submission.probes.in_common(getattr(submission, name), *arguments)
        given = f"parameters that two networks {name}({', '.join(map(str, arguments))}) have in common"
        expect.equal(common, 0, given=given)


# VGG: its parameters and its function


@check("VGG takes its widths from the configuration", points=1.5, category="parameters")
def test_small_parameters(submission):
    convolutions = 6 * 28 + 5 * 55 + 7 * 46
    total = convolutions + (7 * 49 + 1) * 4096 + 4097 * 4096 + 4097 * 10
    expect.parameters(
        on_meta(submission.VGG, SMALL, num_classes=10),
        shapes=vgg_shapes(SMALL, 10),
        given=f"VGG({SMALL}, num_classes=10)",
        likely={
            "the first fully connected layer has 512·7·7 inputs, whatever the list says": total + (512 - 7) * 49 * 4096,
            "the first fully connected layer has c inputs, not c·7·7": total - 7 * 48 * 4096,
            "num_classes is ignored": total + 990 * 4097,
            "one of the two layers of 4096 units is missing": total - 4096 * 4097,
            "batch norms follow the fully connected layers": total + 4 * 4096,
            "the convolutions have no bias": total - 18,
        },
    )
    given = 'VGG(["M", 9, "M", 5], num_classes=10): the last number is 5'
    shapes = vgg_shapes(["M", 9, "M", 5], 10)
    expect.parameters(on_meta(submission.VGG, ["M", 9, "M", 5], num_classes=10), shapes=shapes, given=given)


def vgg_shapes(config, num_classes):
    widths = [3, *(item for item in config if item != "M")]
    layers = [((b, a, 3, 3), b) for a, b in pairwise(widths)]
    layers += [((b, a), b) for a, b in ((49 * widths[-1], 4096), (4096, 4096), (4096, num_classes))]
    return [shape for weight, bias in layers for shape in (weight, (bias,))]


@check("VGG computes what the architecture says", points=2.5, category="values", devices="all")
def test_values(submission, device):
    net, x = small_vgg(submission).to(device), normal(2, 3, 28, 28)
    features = own_features(submission, x)
    logits = classify(features, 10)
    expect.close(
        net(x.to(device)).cpu(),
        logits,
        given=f"VGG({SMALL}, num_classes=10) in eval mode on 28 × 28, every parameter filled by its shape",
        likely={
            "a softmax stands at the end": logits.softmax(1),
            "a log-softmax stands at the end": logits.log_softmax(1),
            "the fully connected layers have no ReLU between them": classify(features, 10, bend=straight),
            "the feature map is flattened pixel by pixel, not channel by channel": classify(features.movedim(1, 3), 10),
            "a ReLU follows the last layer": logits.relu(),
            "the feature map is averaged before it is flattened": classify(
                features.mean((2, 3), keepdim=True).expand_as(features), 10
            ),
        },
    )
    one = net(x[:1].to(device))
    expect.shape(one, (1, 10), given="one image", likely={"the axis of length 1 is squeezed away": (10,)})
    single = small_vgg(submission, num_classes=1).to(device)(x.to(device))
    expect.shape(single, (2, 1), given="num_classes=1", likely={"the axis of length 1 is squeezed away": (2,)})


LAYERS, DRAWS = "linear", "random"


def passed_on(rows):
    """What leaves the two layers of 4096 units after their ReLUs, and what of it arrives at the next layer."""
    products = [row for row in rows if row["kind"] == LAYERS]
    return [(before["output"].relu(), after["input"]) for before, after in pairwise(products)]


def expect_dropout(rows, p, given, slips=True):
    """A pass in training mode has a dropout of probability p behind both hidden layers, and no other.

    ``slips``: whether sentences tell known mistakes.
    """
    *rows, result = rows
    expect.equal(
        [row["kind"] for row in rows],
        [LAYERS, DRAWS, LAYERS, DRAWS, LAYERS],
        because="matrix products, and the draws of two dropouts",
        given=given,
        likely={
            "there is no dropout": [LAYERS] * 3,
            "a dropout follows the second hidden layer only": [LAYERS, LAYERS, DRAWS, LAYERS],
            "a dropout follows the first hidden layer only": [LAYERS, DRAWS, LAYERS, LAYERS],
            "a third dropout follows the last layer": [LAYERS, DRAWS] * 3,
            "a dropout stands before each of the three layers": [DRAWS, LAYERS] * 3,
            "dropouts act in the convolutional part, too": [DRAWS] * 3 + [LAYERS, DRAWS, LAYERS, DRAWS, LAYERS],
            "a dropout stands before the first two layers, not behind them": [DRAWS, LAYERS, DRAWS, LAYERS, LAYERS],
        }
        if slips
        else None,
    )
    for name, (whole, arrived) in zip(("first", "second"), passed_on(rows), strict=True):
        place = f"behind the {name} hidden layer; {given}"
        rate = float((arrived[whole > 0] == 0).double().mean())
        known = {"the argument dropout is ignored: it is always 0.5": 0.5}
        known |= {"dropout is the share that is kept": 1 - p} if slips else {}
        likely = {sentence: rate if abs(rate - value) < 0.05 else math.inf for sentence, value in known.items()}
        expect.between(rate, p - 0.05, p + 0.05, "of the numbers are zeroed", likely=likely, given=place)
        alive = (whole > 0).all(0)
        lost = arrived[:, alive] == 0
        if len(lost) > 1:
            alike, question = bool((lost == lost[:1]).all()), f"whether all images lose the same numbers {place}"
            expect.equal(alike, False, because="each is dropped by itself", given=question)
        kept = (arrived != 0) & (whole > 0)
        expect.close(
            arrived[kept],
            whole[kept] / (1 - p),
            scale=1e-3,
            likely={"what is kept is not divided by 1 - dropout": whole[kept]} if slips else None,
            given=f"what is kept {place}",
        )
    place = f"what VGG returns, against what its last layer puts out; {given}"
    expect.close(result["output"], rows[-1]["output"], scale=1e-3, given=place)


@check("dropout acts behind both hidden layers, in training only", points=2, category="values")
def test_dropout(submission):
    net, x = small_vgg(submission, num_classes=64, dropout=0.3), normal(4, 3, 28, 28)
    given = f"VGG({SMALL}, num_classes=64, dropout=0.3) in {{}} mode"
    kinds = [row["kind"] for row in operator_trace(net, x, among=(LAYERS, DRAWS))]
    likely = {"dropout acts in eval mode, too": [LAYERS, DRAWS, LAYERS, DRAWS, LAYERS]}
    expect.equal(kinds, [LAYERS] * 3, because="matrix products alone", given=given.format("eval"), likely=likely)
    net.train()
    rows = operator_trace(net, x, among=(LAYERS, DRAWS), values=True)
    expect_dropout(rows, 0.3, given.format("training"))
    net = small_vgg(submission, num_classes=64)
    net.train()
    rows = operator_trace(net, x, among=(LAYERS, DRAWS), values=True)
    expect_dropout(rows, 0.5, f"VGG({SMALL}, num_classes=64) in training mode: dropout is 0.5", slips=False)


@check(
    "VGG hands in_channels and batch_norm to its convolutional part",
    points=1,
    category="values",
    after=[test_values, test_dropout],
    hidden=True,
)
def test_values_options(submission):
    x = normal(3, 2, 28, 28).transpose(2, 3)
    net = small_vgg(submission, in_channels=2, batch_norm=True, dropout=0.0)
    given = f"VGG({SMALL}, num_classes=10, in_channels=2, batch_norm=True, dropout=0.0) in {{}} mode"
    expect.close(
        net(x),
        classify(own_features(submission, x, batch_norm=True), 10),
        given=given.format("eval"),
        likely={"VGG does not pass batch_norm on": classify(own_features(submission, x), 10)},
    )
    rows = x.contiguous(memory_format=torch.channels_last)
    expect.close(
        net(rows), net(x), trivial="the same images", given="images with their channels last in memory, in eval mode"
    )
    net.train()
    layers = layers_of(submission, SMALL, 2, batch_norm=True)
    layers.train()
    features = F.adaptive_avg_pool2d(layers(x).detach(), 7)
    expect.close(net(x), classify(features, 10), given=given.format("training"))


@check(
    "every parameter is trained, and gradients reach it",
    points=0.5,
    category="gradients",
    after=test_small_parameters,
    hidden=True,
)
def test_gradients(submission):
    for settings in ({"batch_norm": True}, {}):
        net = lean(submission.VGG, [8, "M", 8, 8, "M"], num_classes=10, **settings)
        frozen = [item["name"] for item in registered_parameters(net) if not item["requires_grad"]]
        expect.equal(frozen, [], given="the parameters that want no gradient")
    fill_by_shape(net, BLOCK)
    net.eval()
    x = torch.randn(2, 3, 28, 28, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)


# VGG-11: counts and sizes, on meta


@check("VGG-11 has 132,863,336 parameters", points=1, category="parameters")
def test_vgg11_parameters(submission):
    total = 132_863_336
    expect.parameters(
        on_meta(submission.vgg11),
        total,
        shapes=vgg_shapes(VGG11, 1000),
        given="vgg11()",
        likely={
            "the plain network has batch norm": 132_868_840,
            "this is the count of VGG-13": 133_047_848,
            "this is the count of VGG-16": 138_357_544,
            "this is the count of VGG-19": 143_667_240,
            "the convolutions have no bias": total - 2752,
            "one of the two layers of 4096 units is missing": total - 4096 * 4097,
            "batch norms follow the fully connected layers": total + 4 * 4096,
            "the fully connected part starts from 512 numbers, not from 512·7·7": total - 512 * 48 * 4096,
        },
    )


@check("vgg11 hands its arguments on", points=1, category="parameters", hidden=True)
def test_vgg11_arguments(submission):
    def more(*args, **kwargs):
        """How many parameters these arguments add."""
        return parameter_count(on_meta(submission.vgg11, *args, **kwargs)) - plain

    plain = parameter_count(on_meta(submission.vgg11))
    likely = {"num_classes changes nothing": 0}
    expect.equal(more(10), -990 * 4097, given="parameters that vgg11(10) has more than vgg11()", likely=likely)
    given = "parameters that vgg11(num_classes=10, in_channels=1, batch_norm=True) has more than vgg11()"
    expect.equal(
        more(num_classes=10, in_channels=1, batch_norm=True),
        -990 * 4097 - 2 * 64 * 9 + 5504,
        given=given,
        likely={
            "the keyword arguments are forgotten": -990 * 4097,
            "in_channels changes nothing": -990 * 4097 + 5504,
            "batch_norm changes nothing": -990 * 4097 - 2 * 64 * 9,
        },
    )


MAPS = [(64, 224), (128, 112), (256, 56), (256, 56), (512, 28), (512, 28), (512, 14), (512, 14)]
MAPS = [(channels, side, side) for channels, side in MAPS]


@check("VGG-11's feature maps shrink from 224 to 7", points=1, category="shapes")
def test_feature_maps(submission):
    rows = operator_trace(on_meta(submission.vgg11), torch.zeros(2, 3, 224, 224), among=("convolution",))
    given = "the outputs of vgg11's convolutions, in order, for 224 × 224"
    expect.equal([tuple(row["shape"][1:]) for row in rows], MAPS, because="five pools halve 224", given=given)


@check(
    "vgg11 computes what VGG-11 computes",
    points=1,
    category="values",
    after=[test_feature_maps, test_dropout],
    hidden=True,
)
def test_vgg11_values(submission):
    net = lean(submission.vgg11, num_classes=7, dropout=0.1)
    fill_by_shape(net, NARROW)
    net.train()
    x = torch.randn(1, 3, 224, 224)
    given = "vgg11(num_classes=7, dropout=0.1) in training mode on 224 × 224, filled by shape"
    rows = operator_trace(net, x, among=(LAYERS, DRAWS), values=True)
    first = next(row["input"] for row in rows if row["kind"] == LAYERS)
    expect.close(
        first[:, : NARROW * 49],
        convolve(x, VGG11, block=NARROW).flatten(1),
        scale=1e-3,
        given=f"the first numbers that arrive at the fully connected part; {given}",
    )
    expect_dropout(rows, 0.1, given, slips=False)


@check("VGG-11 is built on meta, without memory", points=0.5, category="devices")
def test_meta(submission):
    devices = sorted({str(p.device) for p in on_meta(submission.vgg11).parameters()})
    expect.equal(devices, ["meta"], given="the devices of its parameters")


@check("VGG moves to another device as a whole", points=0.5, category="devices")
def test_portable(submission):
    expect.portable(submission.VGG([3, "M", 2, "M"], num_classes=10), torch.randn(2, 3, 28, 28))


OWN_NETWORKS = Rule(
    of=("make_layers", "VGG", "vgg11"), names=("torchvision", "torch.hub"), instead="layers of torch.nn"
)


@check("the networks are built without torchvision", points=0.5, category="rules", gates=OWN_NETWORKS)
def test_rule(submission):
    expect.avoids(submission.make_layers, rule=OWN_NETWORKS)


# layer_summary

ROWS = [{"name": str, "type": str, "output_shape": (int,), "num_params": int}]


def row(name, kind, shape, num_params):
    return {"name": name, "type": kind, "output_shape": shape, "num_params": num_params}


def summary(submission, model, *input_size):
    """What layer_summary reports, without what it reports besides."""
    return expect.record(submission.layer_summary(model, *input_size), ROWS)


CHAIN = [
    row("body.0", "Conv2d", (4, 8, 10), 108),
    row("body.1", "BatchNorm2d", (4, 8, 10), 8),
    row("body.2", "ReLU", (4, 8, 10), 0),
    row("body.3", "MaxPool2d", (4, 4, 5), 0),
    row("head.0", "Flatten", (80,), 0),
    row("head.1", "Dropout", (80,), 0),
    row("head.2", "Linear", (7,), 567),
]


@check("layer_summary has one row for each layer", points=2, category="shapes")
def test_summary(submission):
    batches = {count: [{**item, "output_shape": (count, *item["output_shape"])} for item in CHAIN] for count in (1, 2)}
    with_buffers = [{**item, "num_params": 17} if item["num_params"] == 8 else item for item in CHAIN]
    containers = [*CHAIN[:4], row("body", "Sequential", (4, 4, 5), 116), *CHAIN[4:]]
    containers += [row("head", "Sequential", (7,), 567), row("", "Chain", (7,), 683)]
    expect.equal(
        summary(submission, submission.probes.toy("Chain"), (3, 10, 12)),
        CHAIN,
        given="a small network of two nn.Sequential and images of 10 × 12",
        likely={
            "the batch axis is part of the shapes": batches[1],
            "the batch axis is part of the shapes, whatever its length": batches[2],
            "buffers, such as running means, are counted as parameters": with_buffers,
            "containers have rows of their own": containers,
        },
    )


@check("layer_summary follows the calls, each layer once", points=1, category="robustness", after=test_summary)
def test_summary_order(submission):
    first, second = row("first", "Conv2d", (4, 8, 10), 108), row("second", "Conv2d", (4, 3, 4), 144)
    norm, bend, last = (
        row("norm", "BatchNorm2d", (4, 8, 10), 8),
        row("bend", "ReLU", (4, 8, 10), 0),
        row("last", "Linear", (7,), 35),
    )
    again = [{**item, "output_shape": (4, 3, 4)} for item in (norm, bend)]
    final = {**bend, "output_shape": (7,)}
    expect.equal(
        summary(submission, submission.probes.toy("Detour"), (3, 10, 12)),
        [first, norm, bend, second, last],
        given="layers registered in another order than called; the norm is called twice, the ReLU thrice, one layer "
        "never",
        likely={
            "a layer that is called twice has two rows": [first, norm, bend, second, *again, last, final],
            "a layer that is called twice shows its last output, not its first": [first, again[0], final, second, last],
            "the rows are in the order of registration": [last, bend, second, norm, first],
        },
    )


@check(
    "layer_summary counts what each layer holds itself",
    points=0.5,
    category="parameters",
    after=test_summary,
    hidden=True,
)
def test_summary_shared(submission):
    expect.equal(
        summary(submission, submission.probes.toy("Shared"), (4,)),
        [row("up", "Linear", (4,), 20), row("down", "Linear", (4,), 20)],
        given="two layers that share a weight, one of them with a frozen bias; the first has a second name",
        likely={
            "a shared parameter is counted in one row only": [
                row("up", "Linear", (4,), 20),
                row("down", "Linear", (4,), 4),
            ],
            "only what is trained is counted": [row("up", "Linear", (4,), 20), row("down", "Linear", (4,), 16)],
            "a layer has the last of its names": [row("again", "Linear", (4,), 20), row("down", "Linear", (4,), 20)],
        },
    )


@check(
    "layer_summary takes a model that is a single layer",
    points=0.5,
    category="robustness",
    after=test_summary,
    hidden=True,
)
def test_summary_root(submission):
    expect.equal(
        summary(submission, submission.probes.layer(3, 4), (3,)),
        [row("", "Linear", (4,), 16)],
        given="nn.Linear(3, 4), whose name in model.named_modules() is empty",
        likely={"a model without children has no row": []},
    )


@check(
    "layer_summary takes layers that ask for more", points=0.5, category="robustness", after=test_summary, hidden=True
)
def test_summary_strict(submission):
    expect.equal(
        summary(submission, submission.probes.toy("Strict"), (5, 6)),
        [row("memory", "LSTM", (5, 4), 192), row("norm", "BatchNorm1d", (4,), 8), row("last", "Stretch", (4,), 4)],
        given="an nn.LSTM, an nn.BatchNorm1d without running statistics, and a layer of a class of its own",
    )
    expect.equal(
        summary(submission, submission.probes.toy("Gated"), (3,)),
        [row("0", "Linear", (8,), 32), row("1", "Halves", (4,), 0), row("2", "Gate", (4,), 0)],
        given="a layer with a named tuple for an output",
    )


@check("layer_summary reports VGG-11 without memory", points=1, category="shapes", after=test_summary)
def test_summary_vgg11(submission):
    net = on_meta(submission.vgg11)
    found = [(item["name"], item["output_shape"], item["num_params"]) for item in summary(submission, net)]
    held = registered_parameters(net)
    rows = feature_maps(net, torch.zeros(2, 3, 224, 224))
    truth = [
        (item["name"], tuple(item["shape"][1:]), sum(size(p) for p in held if p["name"].startswith(f"{item['name']}.")))
        for item in rows
        if not any(
            other["name"].startswith(f"{item['name']}." if item["name"] else "") for other in rows if other is not item
        )
    ]
    expect.equal(found, truth, given="vgg11() on meta, with the default input_size")


def size(parameter):
    return math.prod(parameter["shape"])


@check("layer_summary takes any dtype and input size", points=0.5, category="robustness", after=test_summary)
def test_summary_inputs(submission):
    expect.equal(
        summary(submission, submission.probes.perceptron(), (13,)),
        [row("0", "Linear", (100,), 1400), row("1", "ReLU", (100,), 0), row("2", "Linear", (1,), 101)],
        given="13 → 100 → 1 in float64",
    )
    found = [(item["type"], item["output_shape"]) for item in summary(submission, submission.probes.halves(), (3,))]
    expect.equal(found, [("Linear", (2,)), ("Tanh", (2,))], given="3 → 2 in bfloat16, frozen")
    expect.equal(
        summary(submission, submission.probes.without_parameters(), (3, 8, 6)),
        [row("0", "AvgPool2d", (3, 4, 3), 0), row("1", "Flatten", (36,), 0)],
        given="a model without parameters",
    )
    rows = [row("0", "Column", (1,), 0), row("1", "Linear", (1,), 2), row("2", "Flatten", (), 0)]
    given = "a network for single numbers: input_size=()"
    expect.equal(summary(submission, submission.probes.toy("Numbers"), ()), rows, given=given)
    left = traces_left(submission.layer_summary, submission.probes.perceptron(), (13,))
    rounded = [name for name in left if name == "parameters"]  # other traces are asked for below
    expect.equal(rounded, [], given="what changed in a model in float64")


TRACES = {
    "the modes are not put back one by one: they may differ between modules": ["modes"],
    "the pass ran in training mode: batch norm moved its statistics": ["buffers"],
    "the pass ran in training mode: dropout drew, and batch norm moved its statistics": ["buffers", "random generator"],
    "hooks are left behind, or those of others are taken away": ["hooks"],
    "the input is drawn at random, which advances the generator": ["random generator"],
    "the gradients were cleared": ["gradients"],
}


@check("layer_summary leaves no trace", points=1.5, category="robustness", after=test_summary)
def test_summary_traces(submission):
    expect.equal(
        traces_left(submission.layer_summary, submission.probes.toy("Chain"), (3, 10, 12)),
        [],
        given="what changed in a training model with a frozen part, gradients and a hook of its own",
        likely=TRACES,
    )
    expect.equal(
        traces_left(submission.layer_summary, submission.probes.with_dropout(), (3, 4)),
        [],
        given="what changed in a training model with a dropout",
        likely={"the pass ran in training mode: dropout drew": ["random generator"]},
    )


@check(
    "layer_summary leaves no trace when the pass raises",
    points=0.5,
    category="robustness",
    after=[test_summary, test_summary_traces],
    hidden=True,
)
def test_summary_fails(submission):
    expect.equal(
        traces_left(submission.layer_summary, submission.probes.toy("Failing"), (3, 10, 12)),
        [],
        given="what changed in a model whose forward pass raises an error",
        likely={
            "what was changed is put back only if nothing raises: use try and finally": ["modes", "hooks"],
            "the hooks are put back only if nothing raises: use try and finally": ["hooks"],
            "the modes are put back only if nothing raises: use try and finally": ["modes"],
        },
    )
