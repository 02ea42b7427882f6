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
    on_meta,
    parameter_count,
    traces_left,
)

VGG11 = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
VGG13 = [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]
VGG16 = [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"]
VGG19 = [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"]

SMALL = [6, "M", 5, 7, "M"]  # two pools make 7×7 of 28×28, as five make of 224×224
IMAGE = (1, 3, 224, 224)


def numbers(*shape):
    """Normally distributed float64 values."""
    return torch.randn(*shape, dtype=torch.float64)


# The oracle: plain functions, on weights that depend on their shape only


def filled(kind, *args, dtype=torch.float64, **kwargs):
    """A layer of PyTorch that holds weights and statistics; it is not called."""
    layer = torch.nn.utils.skip_init(kind, *args, dtype=dtype, **kwargs).requires_grad_(False)
    fill_by_shape(layer)
    return layer


def convolve(x, config, batch_norm=False, pool=F.max_pool2d, bend=F.relu, norm_last=False):
    """The convolutional part of a VGG."""
    for item in config:
        if item == "M":
            x = pool(x, 2)
            continue
        conv = filled(nn.Conv2d, x.shape[1], item, 3, dtype=x.dtype)
        x = F.conv2d(x, conv.weight, conv.bias, padding=1)
        x = bend(x) if norm_last else x
        if batch_norm:
            norm = filled(nn.BatchNorm2d, item, dtype=x.dtype)
            x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        x = x if norm_last else bend(x)
    return x


def classify(x, num_classes, bend=F.relu):
    """The fully connected part, without dropout; x is (N, c, 7, 7) or flat."""
    x = x.flatten(1)
    for out in (4096, 4096, num_classes):
        layer = filled(nn.Linear, x.shape[1], out, dtype=x.dtype)
        x = F.linear(x, layer.weight, layer.bias)
        x = bend(x) if out == 4096 else x
    return x


def straight(x):
    """No activation at all."""
    return x


def small_vgg(submission, config=SMALL, **kwargs):
    """The submission's VGG for ten classes in float64, filled by shape, in eval mode."""
    net = submission.VGG(config, num_classes=10, **kwargs).double()
    fill_by_shape(net)
    net.eval()
    return net


# make_layers


@check("make_layers keeps the size, and each pool halves it", points=2, category="shapes")
def test_layers_sizes(submission):
    layers = submission.make_layers([4, "M", 5, 5, "M"], in_channels=2)
    count = parameter_count(layers)
    expect.equal(layers.type_name, "Sequential")
    expect.shape(
        layers(torch.randn(3, 2, 20, 16)),
        (3, 5, 5, 4),
        given='[4, "M", 5, 5, "M"] and images of 20 × 16',
        likely={
            "the convolutions do not pad, so that each one cuts the border off": (3, 5, 2, 1),
            "the pools move in steps of 1, not of 2": (3, 5, 18, 14),
        },
    )
    expect.equal(
        count,
        4 * 19 + 5 * 37 + 5 * 46,
        because="4 × (2·9 + 1) + 5 × (4·9 + 1) + 5 × (5·9 + 1)",
        likely={"the convolutions have no bias": 4 * 18 + 5 * 36 + 5 * 45},
    )


@check("make_layers chains convolution, ReLU and max-pool", points=2, category="values", after=test_layers_sizes)
def test_layers_values(submission):
    config = [4, "M", 5, 5, "M"]
    layers = submission.make_layers(config, in_channels=2).double()
    fill_by_shape(layers)
    x = numbers(3, 2, 20, 16)
    expect.close(
        layers(x),
        convolve(x, config),
        given=f"make_layers({config}, in_channels=2), every parameter filled by its shape",
        likely={
            "the pools average; VGG takes the maximum": convolve(x, config, pool=F.avg_pool2d),
            "no ReLU follows the convolutions": convolve(x, config, bend=straight),
            "only the last convolution before a pool has a ReLU": half_bent(x),
        },
    )


def half_bent(x):
    """[4, "M", 5, 5, "M"] where the convolution between two others lacks its ReLU."""
    x = convolve(convolve(x, [4, "M"]), [5], bend=straight)
    return convolve(x, [5, "M"])


@check("make_layers puts batch norm before the ReLU", points=1, category="values", after=test_layers_values)
def test_layers_batch_norm(submission):
    config = [4, "M", 5, 5, "M"]
    layers = submission.make_layers(config, in_channels=2, batch_norm=True).double()
    fill_by_shape(layers)
    layers.eval()
    x = numbers(3, 2, 20, 16)
    expect.close(
        layers(x),
        convolve(x, config, batch_norm=True),
        given=f"make_layers({config}, in_channels=2, batch_norm=True) in eval mode",
        likely={
            "batch_norm=True is ignored": convolve(x, config),
            "the ReLU stands before the batch norm": convolve(x, config, batch_norm=True, norm_last=True),
        },
    )


@check("VGG_CONFIGS lists the layers of the four networks", points=1, category="parameters", after=test_layers_sizes)
def test_configs(submission):
    configs = submission.VGG_CONFIGS
    expect.equal(sorted(configs) if isinstance(configs, dict) else configs, ["vgg11", "vgg13", "vgg16", "vgg19"])
    expect.equal(
        configs["vgg11"],
        VGG11,
        given='VGG_CONFIGS["vgg11"]',
        likely={
            "this is the list of VGG-13": VGG13,
            "the last pool is missing": VGG11[:-1],
        },
    )
    expect.equal(configs["vgg13"], VGG13, given='VGG_CONFIGS["vgg13"]')
    expect.equal(configs["vgg16"], VGG16, given='VGG_CONFIGS["vgg16"]', likely={"this is the list of VGG-19": VGG19})
    expect.equal(configs["vgg19"], VGG19, given='VGG_CONFIGS["vgg19"]')


# VGG: counts and sizes, on meta


@check("VGG-11 has 132,863,336 parameters", points=2, category="parameters", after=test_layers_sizes)
def test_vgg11_count(submission):
    net = on_meta(submission.vgg11)
    expect.equal(
        parameter_count(net),
        132_863_336,
        because="9,220,480 in the convolutions and 123,642,856 in the fully connected layers",
        likely={
            "the plain network has batch norm": 132_868_840,
            "this is the count of VGG-13": 133_047_848,
            "this is the count of VGG-16": 138_357_544,
            "one of the two layers of 4096 units is missing": 132_863_336 - 4096 * 4097,
            "the fully connected part starts from 512 numbers, not from 512·7·7": 132_863_336 - 512 * 48 * 4096,
        },
    )
    shapes = [shape for a, b in channel_pairs(VGG11) for shape in ((b, a, 3, 3), (b,))]
    shapes += [shape for a, b in ((25088, 4096), (4096, 4096), (4096, 1000)) for shape in ((b, a), (b,))]
    expect.parameters(net, shapes=shapes)


def channel_pairs(config):
    """Input and output channels of each convolution."""
    widths = [3, *(item for item in config if item != "M")]
    return list(pairwise(widths))


@check(
    "VGG's arguments choose depth, classes, channels and norm", points=1, category="parameters", after=test_vgg11_count
)
def test_variant_counts(submission):
    def count(make, *args, **kwargs):
        return parameter_count(on_meta(make, *args, **kwargs))

    vgg11 = submission.vgg11
    likely = {"num_classes is ignored": 132_863_336}
    expect.equal(count(vgg11, num_classes=10), 128_807_306, given="vgg11(num_classes=10)", likely=likely)
    expect.equal(count(vgg11, batch_norm=True), 132_868_840, given="vgg11(batch_norm=True)")
    given = "vgg11(num_classes=10, in_channels=1)"
    expect.equal(count(vgg11, num_classes=10, in_channels=1), 128_806_154, given=given)
    for name, config, total in (
        ("VGG-13", VGG13, 133_047_848),
        ("VGG-16", VGG16, 138_357_544),
        ("VGG-19", VGG19, 143_667_240),
    ):
        expect.equal(count(submission.VGG, config), total, given=f"VGG with the list of {name}")


@check("VGG takes its widths from the configuration", points=1, category="parameters", after=test_layers_sizes)
def test_small_count(submission):
    expect.equal(
        parameter_count(on_meta(submission.VGG, SMALL, num_classes=10)),
        6 * 28 + 5 * 55 + 7 * 46 + (7 * 49 + 1) * 4096 + 4097 * 4096 + 4097 * 10,
        because="the first fully connected layer has 7·7·7 inputs: the last of the list times 7×7",
        given=f"VGG({SMALL}, num_classes=10)",
        likely={
            "the first fully connected layer has 512·7·7 inputs, whatever the list says": 6 * 28
            + 5 * 55
            + 7 * 46
            + 25089 * 4096
            + 4097 * 4096
            + 4097 * 10,
        },
    )


@check("VGG-11's feature maps shrink from 224 to 7", points=2, category="shapes", after=test_vgg11_count)
def test_feature_maps(submission):
    rows = feature_maps(on_meta(submission.vgg11), torch.zeros(IMAGE))
    sizes = [tuple(row["shape"][1:]) for row in rows if row["type"] == "Conv2d"]
    expect.equal(
        sizes,
        [
            (64, 224, 224),
            (128, 112, 112),
            (256, 56, 56),
            (256, 56, 56),
            (512, 28, 28),
            (512, 28, 28),
            (512, 14, 14),
            (512, 14, 14),
        ],
        because="five pools halve 224",
        given="the outputs of the convolutions, in order",
    )
    sizes = [tuple(row["shape"]) for row in rows if row["type"] == "Linear"]
    expect.equal(sizes, [(1, 4096), (1, 4096), (1, 1000)], given="the outputs of the fully connected layers")
    expect.equal(tuple(rows[0]["shape"]), (1, 1000), given="the output of VGG-11")


# VGG: the function


@check("VGG computes what the architecture says", points=3, category="values", after=test_small_count, devices="all")
def test_values(submission, device):
    net = small_vgg(submission).to(device)
    x = numbers(2, 3, 28, 28)
    body = convolve(x, SMALL)
    logits = classify(body, 10)
    answer = net(x.to(device))
    expect.shape(answer, (2, 10))
    expect.close(
        answer.cpu(),
        logits,
        given=f"VGG({SMALL}, num_classes=10) in eval mode on 28 × 28, every parameter filled by its shape",
        likely={
            "a softmax stands at the end": logits.softmax(1),
            "the fully connected layers have no ReLU between them": classify(body, 10, bend=straight),
            "the feature map is flattened pixel by pixel, not channel by channel": classify(body.movedim(1, 3), 10),
            "a ReLU follows the last layer": logits.relu(),
        },
    )


@check("VGG with batch norm computes what the architecture says", points=1, category="values", after=test_values)
def test_values_batch_norm(submission):
    x = numbers(2, 3, 28, 28)
    truth = classify(convolve(x, SMALL, batch_norm=True), 10)
    expect.close(
        small_vgg(submission, batch_norm=True)(x),
        truth,
        given=f"VGG({SMALL}, num_classes=10, batch_norm=True) in eval mode on 28 × 28",
        likely={"VGG does not pass batch_norm on": classify(convolve(x, SMALL), 10)},
    )


@check(
    "vgg11 computes what VGG-11 computes",
    points=1.5,
    category="values",
    after=[test_values, test_feature_maps],
)
def test_vgg11_values(submission):
    net = on_meta(submission.vgg11)
    submission.probes.allocate_thin(net)
    net.eval()
    x = torch.randn(IMAGE)
    with torch.no_grad():
        answer, truth = net(x), thin_vgg11(x)
    # float32: right networks differ by 1e-6 of the largest logit, slips by 4e-1
    atol = 1e-3 * float(truth.abs().max())
    expect.close(answer, truth, rtol=1e-3, atol=atol, given="VGG-11 in eval mode on 224 × 224")


def thin_vgg11(x):
    """VGG-11 on values that depend on their shape only; of the largest matrix 64 rows are filled."""
    for item in VGG11:
        if item == "M":
            x = F.max_pool2d(x, 2)
        else:
            x = F.conv2d(x, thin_values((item, x.shape[1], 3, 3)), thin_values((item,)), padding=1).relu()
    x = x.flatten(1)
    for out in (4096, 4096, 1000):
        x = F.linear(x, thin_values((out, x.shape[1])), thin_values((out,)))
        x = x.relu() if out == 4096 else x
    return x


def thin_values(shape):
    reach = math.sqrt(6 / math.prod(shape[1:])) if len(shape) > 1 else 0.8
    values = torch.zeros(shape)
    filled_rows = values[:64] if values.numel() > 20_000_000 else values
    filled_rows.uniform_(-reach, reach, generator=torch.Generator().manual_seed(math.prod(shape)))
    return values


@check("VGG returns logits, not probabilities", points=0.5, category="values", after=test_small_count)
def test_logits(submission):
    net = submission.VGG(SMALL, num_classes=64)
    fill_by_shape(net)  # whatever the initial values are
    net.eval()
    logits = net(torch.randn(4, 3, 28, 28))
    expect.shape(logits, (4, 64))
    sums = bool(((logits.sum(1) - 1).abs() < 1e-3).all())
    expect.true(not sums, expected="rows that do not add up to 1", got="a softmax: every row adds up to 1")
    signs = bool((logits < 0).any() and (logits > 0).any())
    expect.true(signs, expected="values of both signs among 4 × 64 logits", got="values of one sign only")


@check("dropout acts in training mode, and only there", points=2, category="values", after=test_small_count)
def test_dropout(submission):
    x = numbers(2, 3, 28, 28)
    net = small_vgg(submission)
    first = net(x)
    expect.shape(first, (2, 10))
    expect.close(net(x), first, given="two passes in eval mode")
    net.train()
    same = bool(torch.equal(net(x), net(x)))
    expect.equal(same, False, because="dropout draws anew", given="whether two passes in training mode are the same")
    net = small_vgg(submission, dropout=1.0)
    net.train()
    bias = filled(nn.Linear, 4096, 10).bias.expand(2, 10)
    expect.close(net(x), bias, given="dropout=1.0 in training mode: only the last bias is left")


@check("gradients reach every parameter", points=1, category="gradients", after=test_small_count)
def test_gradients(submission):
    net = submission.VGG([8, "M", 8, 8, "M"], num_classes=10)
    fill_by_shape(net)
    net.eval()
    x = torch.randn(2, 3, 28, 28, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)


@check("VGG-11 is built on meta, without memory", points=0.5, category="devices", after=test_layers_sizes)
def test_meta(submission):
    devices = sorted({str(p.device) for p in on_meta(submission.vgg11).parameters()})
    expect.equal(devices, ["meta"], given="the devices of its parameters")


@check("VGG moves to another device as a whole", points=0.5, category="devices", after=test_small_count)
def test_portable(submission):
    net = submission.VGG([3, "M", 2, "M"], num_classes=10)
    expect.portable(net, torch.randn(1, 3, 28, 28))


OWN_NETWORKS = Rule(
    of=("make_layers", "VGG", "vgg11"), names=("torchvision", "torch.hub"), instead="layers of torch.nn"
)


@check(
    "the networks are built without torchvision",
    points=0.5,
    category="rules",
    after=test_layers_sizes,
    gates=OWN_NETWORKS,
)
def test_rule(submission):
    expect.avoids(submission.make_layers, rule=OWN_NETWORKS)


# layer_summary


def row(name, kind, shape, num_params):
    return {"name": name, "type": kind, "output_shape": shape, "num_params": num_params}


def tidy(rows):
    """The rows, with lists in place of tuples accepted as shapes."""
    keys = ["name", "type", "output_shape", "num_params"]
    good = isinstance(rows, list) and all(isinstance(item, dict) and sorted(item) == sorted(keys) for item in rows)
    expect.true(good, expected=f"a list of dicts with {', '.join(keys)}", got="something else")
    return [{**item, "output_shape": as_tuple(item["output_shape"])} for item in rows]


def as_tuple(value):
    return tuple(value) if isinstance(value, list) else value


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
    with_batch = [{**item, "output_shape": (1, *item["output_shape"])} for item in CHAIN]
    with_buffers = [{**item, "num_params": 17} if item["num_params"] == 8 else item for item in CHAIN]
    containers = [*CHAIN[:4], row("body", "Sequential", (4, 4, 5), 116), *CHAIN[4:]]
    containers += [row("head", "Sequential", (7,), 567), row("", "Chain", (7,), 683)]
    expect.equal(
        tidy(submission.layer_summary(submission.probes.chain(), (3, 10, 12))),
        CHAIN,
        given="a small network of two nn.Sequential and images of 10 × 12",
        likely={
            "the batch axis is part of the shapes": with_batch,
            "buffers, such as running means, are counted as parameters": with_buffers,
            "containers have rows of their own": containers,
        },
    )


@check("layer_summary follows the calls, each layer once", points=1.5, category="robustness", after=test_summary)
def test_summary_order(submission):
    first, bend = row("first", "Linear", (4,), 24), row("bend", "Tanh", (4,), 0)
    again, last = row("again", "Linear", (4,), 20), row("last", "Linear", (2,), 10)
    expect.equal(
        tidy(submission.layer_summary(submission.probes.detour(), (5,))),
        [first, bend, again, last],
        given="layers registered in another order than called; two are called twice, one never",
        likely={
            "a layer that is called twice has two rows": [first, bend, again, again, bend, last],
            "the rows are in the order of registration": [last, bend, again, first],
        },
    )


@check(
    "layer_summary reports VGG-11 without memory",
    points=1.5,
    category="shapes",
    after=[test_summary, test_feature_maps],
)
def test_summary_vgg11(submission):
    rows = tidy(submission.layer_summary(on_meta(submission.vgg11)))
    layers = [(item["output_shape"], item["num_params"]) for item in rows if item["type"] in ("Conv2d", "Linear")]
    expect.equal(
        layers,
        [
            ((64, 224, 224), 1_792),
            ((128, 112, 112), 73_856),
            ((256, 56, 56), 295_168),
            ((256, 56, 56), 590_080),
            ((512, 28, 28), 1_180_160),
            ((512, 28, 28), 2_359_808),
            ((512, 14, 14), 2_359_808),
            ((512, 14, 14), 2_359_808),
            ((4096,), 102_764_544),
            ((4096,), 16_781_312),
            ((1000,), 4_097_000),
        ],
        given="convolutions and fully connected layers of vgg11() on meta, with the default input_size",
    )
    pools = [item["output_shape"] for item in rows if item["type"] == "MaxPool2d"]
    if pools:  # they may also be functions
        expect.equal(pools, [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)])


@check("layer_summary takes any model, dtype and input size", points=0.5, category="robustness", after=test_summary)
def test_summary_inputs(submission):
    expect.equal(
        tidy(submission.layer_summary(submission.probes.perceptron(), (13,))),
        [row("0", "Linear", (100,), 1400), row("1", "ReLU", (100,), 0), row("2", "Linear", (1,), 101)],
        given="13 → 100 → 1 in float64",
    )
    expect.equal(
        tidy(submission.layer_summary(submission.probes.without_parameters(), (3, 8, 6))),
        [row("0", "AvgPool2d", (3, 4, 3), 0), row("1", "Flatten", (36,), 0)],
        given="a model without parameters",
    )


@check("layer_summary leaves no trace", points=2, category="robustness", after=test_summary)
def test_summary_traces(submission):
    expect.equal(
        traces_left(submission.layer_summary, submission.probes.toy("Chain"), (3, 10, 12)),
        [],
        given="what changed in a training model with a frozen part, gradients and a hook of its own",
        likely={
            "the modes are not put back one by one: they may differ between modules": ["modes"],
            "the pass ran in training mode: batch norm moved its statistics": ["buffers"],
            "hooks are left behind, or those of others are taken away": ["hooks"],
            "the input is drawn at random, which advances the generator": ["random generator"],
            "the gradients were cleared": ["gradients"],
        },
    )
