"""Checks for task 24: receptive fields, parameters, multiply-adds.

The oracle for fields walks from one unit back to the pixels, which is another arithmetic than the stub's. Counts are
products that stand beside them. Networks are made of torch's own layers beside the submission.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import check, expect, grid, traces_left

# Receptive fields


def complete(layer):
    """(kernel, stride, padding, dilation) of a tuple with one to four entries."""
    return (*layer, *(None, 1, 0, 1)[len(layer) :])


def field(layers):
    """The pixels under the first unit, from the last layer back to the picture."""
    low = high = 0
    for layer in reversed(layers):
        kernel, stride, padding, dilation = complete(layer)
        low, high = low * stride - padding, high * stride - padding + (kernel - 1) * dilation
    return high - low + 1, math.prod(complete(layer)[1] for layer in layers), (low + high) / 2


def field_by(step):
    """Another arithmetic: ``step(size, jump, start, kernel, stride, padding, dilation)`` for each layer."""

    def found(layers):
        state = (1, 1, 0.0)
        for layer in layers:
            state = step(*state, *complete(layer))
        return state

    return found


def told(change):
    """The true walk with a slip: ``change(kernel, stride, padding, dilation)`` says what the layer is taken for."""
    return lambda layers: field([change(*complete(layer)) for layer in layers])


TWO, THREE = [(3,), (3,)], [(3,), (3,), (3,)]
MIXED = [(3,), (2, 2), (3,)]
LENET = [(5, 1, 2), (2, 2), (5,), (2, 2)]
VGG_11 = [(3, 1, 1), (2, 2)] * 2 + [(3, 1, 1), (3, 1, 1), (2, 2)] * 3
VGG_16 = [(3, 1, 1), (3, 1, 1), (2, 2)] * 2 + [(3, 1, 1), (3, 1, 1), (3, 1, 1), (2, 2)] * 3
RESNET_18 = [(7, 2, 3), (3, 2, 1)] + [(3, 1, 1)] * 4 + ([(3, 2, 1)] + [(3, 1, 1)] * 3) * 3
STACKS = [
    TWO,
    [(5, 2), (3, 2), (3,)],
    MIXED,
    THREE,
    [(3, 2, 1), (1,), (2, 2), (4, 1, 2)],
    [(2, 2), (2, 2), (2, 2)],
    [(1, 3), (3,)],
]


def part(submission, layers, place):
    """One of size, jump and start: what is wrong with one costs the check that is about it."""
    answer = submission.receptive_field(layers)
    expect.true(
        isinstance(answer, (tuple, list)) and len(answer) == 3,
        expected="three numbers: size, jump, start",
        got=f"{answer!r}"[:80],
        given=f"layers={layers}",
    )
    return answer[place]


def compare(submission, stacks, place, likely):
    for layers in stacks:
        truth = field(layers)[place]
        slips = {why: wrong(layers)[place] for why, wrong in likely.items()}
        values = list(slips.values())
        slips = {why: value for why, value in slips.items() if value != truth and values.count(value) == 1}
        given, got = f"layers={layers}", part(submission, layers, place)
        if place == 2:
            expect.close(float(got) if isinstance(got, int) else got, truth, likely=slips, given=given,
                         trivial="padding may put the first unit on the first pixel")  # fmt: skip
        else:
            expect.equal(got, truth, likely=slips, given=given, trivial="layers of 1 x 1 change nothing")


@check("the size grows by (kernel - 1) times the jump", points=2, category="values")
def test_size(submission):
    compare(
        submission,
        STACKS,
        0,
        likely={
            "k is added, not (k - 1) times the jump": field_by(
                lambda size, jump, start, k, s, p, d: (size + k, jump * s, start + ((k - 1) * d / 2 - p) * jump)
            ),
            "the jump is left out: neighbouring units lie further apart behind a stride": field_by(
                lambda size, jump, start, k, s, p, d: (
                    size + (k - 1) * d,
                    jump * s,
                    start + ((k - 1) * d / 2 - p) * jump,
                )
            ),
            "the jump of a layer counts from the next layer on, not in the layer itself": field_by(
                lambda size, jump, start, k, s, p, d: (
                    size + (k - 1) * d * jump * s,
                    jump * s,
                    start + ((k - 1) * d / 2 - p) * jump * s,
                )
            ),
            "strides are added, not multiplied": field_by(
                lambda size, jump, start, k, s, p, d: (
                    size + (k - 1) * d * jump,
                    jump + s - 1,
                    start + ((k - 1) * d / 2 - p) * jump,
                )
            ),
        },
    )


@check("the jump is the product of the strides", points=1, category="values")
def test_jump(submission):
    compare(
        submission,
        STACKS,
        1,
        likely={
            "strides are added, not multiplied": field_by(
                lambda size, jump, start, k, s, p, d: (
                    size + (k - 1) * d * jump,
                    jump + s - 1,
                    start + ((k - 1) * d / 2 - p) * jump,
                )
            ),
        },
    )


@check("the start is the middle of the first unit's field", points=1, category="values")
def test_start(submission):
    compare(
        submission,
        STACKS,
        2,
        likely={
            "the padding is not used": told(lambda k, s, p, d: (k, s, 0, d)),
            "the padding is not multiplied by the jump": field_by(
                lambda size, jump, start, k, s, p, d: (size, jump * s, start + (k - 1) * d / 2 * jump - p)
            ),
            "the middle is rounded down: an even kernel has its middle between two pixels": field_by(
                lambda size, jump, start, k, s, p, d: (size, jump * s, start + ((k - 1) * d // 2 - p) * jump)
            ),
            "the first pixel lies at 0, not at 0.5": lambda layers: (0, 0, field(layers)[2] + 0.5),
            "this is the first pixel of the field, not its middle": lambda layers: (
                0,
                0,
                field(layers)[2] - (field(layers)[0] - 1) / 2,
            ),
        },
    )


@check("a dilation spreads the kernel", points=1, category="values")
def test_dilation(submission):
    stacks = [
        [(3, 1, 0, 6)],
        [(3, 1, 0, 24)],
        [(3, 1, 0, 1)],
        [(2, 2), (3, 1, 2, 2), (3,)],
        [(5, 2, 4, 3), (2, 1, 0, 5)],
    ]
    compare(
        submission,
        stacks,
        0,
        likely={
            "the dilation is not used": told(lambda k, s, p, d: (k, s, p, 1)),
            "the kernel spans dilation * kernel: that is one gap too much": field_by(
                lambda size, jump, start, k, s, p, d: (size + (k * d - 1) * jump, jump * s, start)
            ),
        },
    )
    compare(submission, stacks, 2, likely={"the dilation is not used": told(lambda k, s, p, d: (k, s, p, 1))})


@check("LeNet sees 16 pixels, VGG-11 150, VGG-16 212 and ResNet-18 435", points=0.5, category="values",
       after=test_size)  # fmt: skip
def test_known_networks(submission, pictures):
    grown = {}
    for name, size, layers in (
        ("LeNet", 16, LENET),
        ("VGG-11", 150, VGG_11),
        ("VGG-16", 212, VGG_16),
        ("ResNet-18, its main path", 435, RESNET_18),
    ):
        expect.equal(part(submission, layers, 0), size, given=name)
        grown[name] = [part(submission, layers[:depth], 0) for depth in range(1, len(layers) + 1)]
        truth = [field(layers[:depth])[0] for depth in range(1, len(layers) + 1)]
        expect.equal(grown[name], truth, given=f"the first layer of {name}, the first two, and so on")
    pictures.curves("pixels_seen", "layer", grown)


@check("receptive_field takes no layers, and leaves its list alone", points=0.5, category="robustness", hidden=True)
def test_no_layers(submission):
    expect.agrees(submission.receptive_field, field, grid(layers=[TWO, [], MIXED, LENET]), unchanged=True)


def modules(*layers):
    """Layers for probes.stack: a name, its arguments and its settings."""
    return [[name, list(arguments), settings] for name, arguments, settings in layers]


def conv(*arguments, **settings):
    return "Conv2d", arguments, settings


def layer(name, *arguments, **settings):
    return name, arguments, settings


def triple(submission, net, truth, given, likely=None, trivial=None):
    answer = submission.receptive_field(net)
    answer = list(answer) if isinstance(answer, tuple) else answer
    expect.close(answer, list(truth), likely=likely, given=given, trivial=trivial)


@check("receptive_field reads modules, nested as deep as they like", points=1.5, category="values",
       after=[test_size, test_jump, test_start])  # fmt: skip
def test_modules(submission):
    block = modules(conv(1, 4, 3, padding=1), layer("BatchNorm2d", 4), layer("ReLU"), layer("MaxPool2d", 2))
    tail = modules(conv(4, 4, 3, stride=2, dilation=2), layer("Dropout"), layer("AvgPool2d", 3, stride=1, padding=1),
                   layer("Flatten"), layer("Linear", 8, 3))  # fmt: skip
    alone = [(3, 1, 1), (2, 2)]
    both = [*alone, (3, 2, 0, 2), (3, 1, 1)]
    triple(submission, submission.probes.stack(block), field(alone),
           given="nn.Sequential(Conv2d 3 x 3, padding 1; BatchNorm2d; ReLU; MaxPool2d 2)",
           likely={"the pools are passed over": list(map(float, field([alone[0]])))})  # fmt: skip
    nested = submission.probes.stack([block, [tail]])
    triple(submission, nested, field(both),
           given="an nn.Sequential in an nn.Sequential: convolutions, pools, Linear and others")  # fmt: skip
    conv_, pool = submission.make(nn.Conv2d, 1, 1, 5, 2, 2), submission.make(nn.AvgPool2d, (3, 3), (2, 2))
    triple(
        submission,
        [conv_, (3,), pool],
        field([(5, 2, 2), (3,), (3, 2)]),
        given="a list: Conv2d 5 x 5 with stride 2 and padding 2, the tuple (3,), AvgPool2d 3 x 3 with stride 2",
    )
    mixed = [(2, 2), submission.probes.stack(block), (3, 1, 0, 2)]
    triple(
        submission,
        mixed,
        field([(2, 2), *alone, (3, 1, 0, 2)]),
        given="a list: the tuple (2, 2), an nn.Sequential with Conv2d 3 x 3 and MaxPool2d 2, the tuple (3, 1, 0, 2)",
    )
    for kind, given in ((nn.ReLU, "one ReLU"), (nn.Sequential, "an nn.Sequential without layers")):
        triple(submission, submission.make(kind), (1, 1, 0.0), given=given, trivial="a pixel sees itself")
    pool = submission.make(nn.MaxPool2d, 5, 2, 1, 2)
    triple(submission, pool, field([(5, 2, 1, 2)]), given="one MaxPool2d(5, 2, 1, 2)")
    pairs = modules(layer("MaxPool2d", (5, 5), (2, 2), (1, 1), (2, 2)), layer("AvgPool2d", (3, 3), (2, 2), (1, 1)))
    triple(submission, submission.probes.stack(pairs), field([(5, 2, 1, 2), (3, 2, 1)]),
           given="MaxPool2d((5, 5), (2, 2), (1, 1), (2, 2)), AvgPool2d((3, 3), (2, 2), (1, 1))")  # fmt: skip
    others = modules(
        conv(1, 1, 3), layer("LPPool2d", 2, 3, 2), layer("ConvTranspose2d", 1, 1, 4, stride=2), conv(1, 1, 5)
    )
    triple(submission, submission.probes.stack(others), field([(3,), (5,)]),
           given="Conv2d 3 x 3, LPPool2d(2, 3, 2), ConvTranspose2d(1, 1, 4, stride=2), Conv2d 5 x 5",
           likely={
               "whatever has a kernel counts: other modules are passed over": list(field([(3,), (3, 2), (4, 2), (5,)])),
           })  # fmt: skip
    triple(submission, [(3,), submission.probes.loop(), (2, 2)], field([(3,), (2, 2)]),
           given="a list: the tuple (3,), a module of its own class that holds a Conv2d, the tuple (2, 2)",
           likely={
               "only an nn.Sequential stands for what it holds": list(field([(3,), (3, 1, 1), (2, 2)])),
           })  # fmt: skip
    own = submission.probes.stack([block, [tail]], ["Conv2d", "MaxPool2d", "AvgPool2d", "Sequential"])
    triple(submission, own, field(both),
           given="the same layers, of classes that are derived from Conv2d, MaxPool2d, AvgPool2d and Sequential",
           likely={"derived classes are passed over": [1.0, 1.0, 0.0]})  # fmt: skip


@check("a layer that stands in two places counts in both", points=0.5, category="values", after=test_modules,
       hidden=True)  # fmt: skip
def test_twice(submission):
    net = submission.probes.same_layer_twice(modules(conv(1, 1, 3))[0], modules(layer("MaxPool2d", 2))[0])
    once = list(field([(3,), (2, 2)]))
    triple(submission, net, field(MIXED), given="conv, pool, and the same conv once more",
           likely={"the layer counts once": once})  # fmt: skip
    block = submission.probes.stack(modules(conv(1, 1, 3), layer("MaxPool2d", 2)))
    triple(submission, [block, (3,), block], field([(3,), (2, 2), (3,), (3,), (2, 2)]),
           given="a list: an nn.Sequential of Conv2d 3 x 3 and MaxPool2d 2, the tuple (3,), the same nn.Sequential",
           likely={"the layer counts once": list(field([(3,), (2, 2), (3,)]))})  # fmt: skip


# Parameters


@check("count_params counts weights and biases", points=1, category="parameters")
def test_params(submission):
    small = submission.make(nn.Conv2d, 3, 2, 3)
    expect.equal(
        submission.count_params(small),
        56,
        likely={"the biases are not counted": 54, "the tensors are counted, not what they hold": 2},
        given="nn.Conv2d(3, 2, 3)",
    )
    lenet = modules(conv(1, 6, 5, padding=2), layer("ReLU"), layer("MaxPool2d", 2), conv(6, 16, 5), layer("Flatten"),
                    layer("Linear", 400, 120), layer("Linear", 120, 84), layer("Linear", 84, 10))  # fmt: skip
    expect.equal(
        submission.count_params(submission.probes.stack(lenet)),
        61_706,
        because="156 + 2,416 + 48,120 + 10,164 + 850",
        given="LeNet-5",
        likely={"the biases are not counted": 61_706 - 236},
    )


@check("count_params counts frozen parameters, shared ones once, no buffers", points=1, category="parameters",
       after=test_params)  # fmt: skip
def test_params_of_all_kinds(submission):
    frozen = submission.probes.frozen(submission.make(nn.Linear, 5, 3))
    expect.equal(submission.count_params(frozen), 18, given="nn.Linear(5, 3), frozen",
                 likely={"frozen parameters are left out": 0})  # fmt: skip
    norm = submission.make(nn.BatchNorm2d, 8)
    expect.equal(submission.count_params(norm), 16, given="nn.BatchNorm2d(8)",
                 likely={"the buffers are counted": 33})  # fmt: skip
    expect.equal(submission.count_params(submission.probes.tied()), 28, given="two Linear(6, 4) that share one weight",
                 likely={"the shared weight is counted twice": 52})  # fmt: skip
    twice = submission.probes.same_layer_twice(modules(conv(1, 1, 3))[0], modules(layer("ReLU"))[0])
    expect.equal(submission.count_params(twice), 10, given="one Conv2d(1, 1, 3) in two places of an nn.Sequential",
                 likely={"the layer is counted twice": 20})  # fmt: skip
    expect.equal(
        submission.count_params(submission.probes.gained()), 30, because="1 + 8 + 8 + 3 + 10",
        given="a parameter without axes, two GroupNorm(2, 4), PReLU(3), Embedding(5, 2)",
        likely={"parameters without axes are left out": 29, "parameters with equal values count once": 22},
    )  # fmt: skip
    expect.equal(submission.count_params(submission.make(nn.ReLU)), 0, given="a network without parameters",
                 trivial="it has none")  # fmt: skip
    away = submission.probes.stack_on_meta(modules(conv(1, 2, 3), layer("Flatten"), layer("Linear", 8, 5)))
    expect.equal(submission.count_params(away), 65, because="18 + 2 + 40 + 5",
                 given="Conv2d(1, 2, 3) and Linear(8, 5) on the device meta")  # fmt: skip


# Multiply-adds


def macs_of(submission, net, size, truth, given, likely=None):
    expect.equal(submission.count_macs(net, size), truth, likely=likely, given=given)


@check("count_macs counts the products of a convolution", points=1.5, category="values")
def test_conv_macs(submission):
    macs_of(
        submission,
        submission.make(nn.Conv2d, 1, 32, 5, padding=2),
        (1, 28, 28),
        627_200,
        given="nn.Conv2d(1, 32, 5, padding=2), on (1, 28, 28)",
        likely={
            "the biases are counted: they take no multiplication": 652_288,
            "a multiply-add is counted as two operations": 1_254_400,
            "the number of places is left out": 800,
        },
    )
    macs_of(
        submission,
        submission.make(nn.Conv2d, 3, 8, 3, stride=2),
        (3, 9, 12),
        216 * 20,
        given="nn.Conv2d(3, 8, 3, stride=2), on (3, 9, 12)",
        likely={
            "the places of the input are counted, not those of the output": 216 * 108,
            "the biases are counted: they take no multiplication": 216 * 20 + 160,
            "a multiply-add is counted as two operations": 2 * 216 * 20,
        },
    )


@check("count_macs sees groups and dilation", points=0.5, category="values", after=test_conv_macs)
def test_grouped_macs(submission):
    net = submission.make(nn.Conv2d, 8, 12, 3, groups=4, bias=False)
    macs_of(submission, net, (8, 5, 6), 12 * 2 * 9 * 12, given="nn.Conv2d(8, 12, 3, groups=4), on (8, 5, 6)",
            likely={"every filter is taken to see all channels": 12 * 8 * 9 * 12})  # fmt: skip
    net = submission.make(nn.Conv2d, 2, 3, 3, dilation=2, padding=1)
    macs_of(submission, net, (2, 7, 6), 3 * 2 * 9 * 5 * 4,
            given="nn.Conv2d(2, 3, 3, dilation=2, padding=1), on (2, 7, 6)")  # fmt: skip


@check("count_macs counts linear layers, once for each vector", points=1, category="values")
def test_linear_macs(submission):
    net = submission.make(nn.Linear, 20, 7)
    macs_of(
        submission,
        net,
        (20,),
        140,
        given="nn.Linear(20, 7), on (20,)",
        likely={
            "the biases are counted: they take no multiplication": 147,
            "a multiply-add is counted as two operations": 280,
        },
    )
    macs_of(submission, net, (5, 20), 700, given="nn.Linear(20, 7), on (5, 20)",
            likely={"only one of the 5 vectors is counted": 140})  # fmt: skip
    macs_of(submission, net, (3, 5, 20), 2100, given="nn.Linear(20, 7), on (3, 5, 20)",
            likely={"only one of two axes is counted": 420})  # fmt: skip
    folded = submission.probes.stack(modules(layer("Flatten", 0, 1), layer("Linear", 20, 7)))
    macs_of(submission, folded, (5, 20), 700, given="Flatten(0, 1), which makes 5 vectors, Linear(20, 7), on (5, 20)",
            likely={"the first axis of what a Linear is given is no batch here": 140})  # fmt: skip


@check("count_macs adds up a network, and only its convolutions and Linear", points=1, category="values",
       after=[test_conv_macs, test_linear_macs])  # fmt: skip
def test_network_macs(submission):
    lenet = modules(conv(1, 6, 5, padding=2), layer("BatchNorm2d", 6), layer("ReLU"), layer("MaxPool2d", 2),
                    conv(6, 16, 5), layer("ReLU"), layer("AvgPool2d", 2), layer("Flatten"))  # fmt: skip
    head = modules(layer("Linear", 400, 120), layer("Linear", 120, 84), layer("Linear", 84, 10))
    convs, linears = 117_600 + 240_000, 48_000 + 10_080 + 840
    macs_of(
        submission,
        submission.probes.stack([lenet, head]),
        (1, 28, 28),
        convs + linears,
        given="LeNet-5 with a batch norm, in two nn.Sequential, on (1, 28, 28)",
        likely={
            "the normalisation is counted": convs + linears + 6 * 28 * 28,
            "only the layers of the outermost level are counted": 0,
        },
    )
    small = modules(conv(1, 2, 3), layer("ReLU"), layer("Flatten"), layer("Linear", 24, 4))
    macs_of(
        submission, submission.probes.stack(small, ["Conv2d", "Linear"]), (1, 6, 5), 216 + 96,
        given="a Conv2d, ReLU, Flatten and a Linear, of classes that are derived from Conv2d and Linear, on (1, 6, 5)",
        likely={"derived classes are passed over": 0},
    )  # fmt: skip
    others = modules(conv(1, 2, 3), layer("ConvTranspose2d", 2, 1, 2, 2), layer("Flatten", 2), layer("Conv1d", 1, 2, 3),
                     layer("Flatten"), layer("Linear", 28, 3))  # fmt: skip
    macs_of(
        submission, submission.probes.stack(others), (1, 4, 4), 72 + 84,
        given="Conv2d(1, 2, 3), ConvTranspose2d(2, 1, 2, 2), Flatten, Conv1d(1, 2, 3), Flatten, Linear(28, 3), "
              "on (1, 4, 4)",
        likely={"convolutions of other classes are counted": 72 + 128 + 84 + 84},
    )  # fmt: skip


@check("a layer counts as often as it works", points=1, category="values", after=test_network_macs)
def test_macs_of_calls(submission):
    macs_of(
        submission,
        submission.probes.loop(),
        (4, 5, 6),
        3 * 4 * 36 * 30 + 20,
        given="a Conv2d that works three times, a Linear(4, 5), and a layer that never works, on (4, 5, 6)",
        likely={
            "a layer that works three times is counted once": 4 * 36 * 30 + 20,
            "a layer that is never called is counted": 3 * 4 * 36 * 30 + 20 + 10_000,
        },
    )


def changed(submission, function, net, *arguments, given, likely):
    left = [name for name in traces_left(function, net, *arguments) if name != "random generator"]
    expect.true(
        not left,
        expected="a network that is as it was",
        got=f"changed: {', '.join(left)}",
        likely={why: bool(left) and set(left) <= set(names) for why, names in likely.items()},
        given=given,
    )


def whole():
    return modules(
        conv(1, 2, 3, padding=1),
        layer("BatchNorm2d", 2),
        layer("ReLU"),
        layer("Dropout"),
        conv(2, 2, 1),
        layer("MaxPool2d", 2),
    )


@check("count_params and receptive_field leave the network as it was", points=0.5, category="robustness",
       after=[test_modules, test_params_of_all_kinds], hidden=True)  # fmt: skip
def test_looking_leaves_no_traces(submission):
    for function in (submission.count_params, submission.receptive_field):
        changed(
            submission,
            function,
            submission.probes.stack(whole()),
            given="a network in the middle of a training",
            likely={"the mode of the parts is not given back": ["modes"]},
        )


@check("count_macs leaves the network as it was", points=0.5, category="robustness", after=test_network_macs,
       hidden=True)  # fmt: skip
def test_macs_leave_no_traces(submission):
    net = submission.probes.partly_frozen(submission.probes.stack(whole()))
    changed(
        submission,
        submission.count_macs,
        net,
        (1, 6, 8),
        given="a network in the middle of a training",
        likely={
            "the mode of the parts is not given back": ["modes"],
            "hooks are left behind, or those of others are taken away": ["hooks"],
            "it runs in training mode, and the running statistics move": ["buffers"],
        },
    )
    changed(submission, submission.count_macs, submission.make(nn.Conv2d, 1, 2, 3), (1, 6, 8),
            given="one Conv2d that has a hook already",
            likely={"hooks are left behind, or those of others are taken away": ["hooks"]})  # fmt: skip
    changed(submission, submission.count_macs, net, (5, 6, 8), given="a sample that has 5 channels in place of 1",
            likely={"after an error the hooks are not removed": ["hooks", "modes"]})  # fmt: skip


@check("count_macs follows the network's dtype and device", points=0.5, category="robustness",
       after=test_network_macs, hidden=True)  # fmt: skip
def test_macs_anywhere(submission):
    net = submission.make(nn.Conv2d, 1, 2, 3, dtype=torch.float64)
    macs_of(submission, net, (1, 5, 6), 216, given="nn.Conv2d(1, 2, 3) in float64, on (1, 5, 6)")
    large = modules(conv(64, 64, 3, padding=1), layer("AvgPool2d", 500), layer("Flatten"), layer("Linear", 64, 10))
    macs_of(submission, submission.probes.stack_on_meta(large), (64, 500, 500), 64 * 64 * 9 * 250_000 + 640,
            given="Conv2d(64, 64, 3), AvgPool2d, Linear(64, 10) on the device meta, on (64, 500, 500)")  # fmt: skip
    frozen = submission.make(nn.Linear, 4, 5, dtype=torch.float64).requires_grad_(False)
    macs_of(submission, frozen, (4,), 20, given="nn.Linear(4, 5) in float64, which is frozen, on (4,)")
    empty = submission.probes.stack(modules(layer("AvgPool2d", 2), layer("Flatten")))
    macs_of(submission, empty, (3, 6, 6), 0, given="a network without parameters, on (3, 6, 6)")


def conv_cost(kind, cin, cout, k, h, w, groups=1):
    if kind == "grouped" and (cin % groups or cout % groups):
        raise ValueError(groups)
    if kind == "depthwise_separable":
        parts = [(cin, cin, k, cin), (cin, cout, 1, 1)]
    elif kind in ("standard", "grouped"):
        parts = [(cin, cout, k, groups if kind == "grouped" else 1)]
    else:
        raise ValueError(kind)
    layers = [nn.Conv2d(a, b, size, groups=g, bias=False, device="meta") for a, b, size, g in parts]
    weights = sum(made.weight.numel() for made in layers)
    return weights, weights * h * w


@check("conv_cost counts three kinds of convolution", points=2, category="values")
def test_conv_cost(submission):
    def one_block(kind, cin, cout, k, h, w, groups=1):
        weights, macs = conv_cost(kind, cin, cout, k, h, w, groups)
        return (weights // groups, macs // groups) if kind == "grouped" else (weights, macs)

    def only_depthwise(kind, cin, cout, k, h, w, groups=1):
        weights = cin * k * k if kind == "depthwise_separable" else conv_cost(kind, cin, cout, k, h, w, groups)[0]
        return weights, weights * h * w

    def large_points(kind, cin, cout, k, h, w, groups=1):
        weights = conv_cost(kind, cin, cout, k, h, w, groups)[0]
        weights = cin * k * k + cin * cout * k * k if kind == "depthwise_separable" else weights
        return weights, weights * h * w

    def flops(kind, cin, cout, k, h, w, groups=1):
        weights, macs = conv_cost(kind, cin, cout, k, h, w, groups)
        return weights, 2 * macs

    def groups_everywhere(kind, cin, cout, k, h, w, groups=1):
        kind = "grouped" if kind == "standard" else kind
        return conv_cost(kind, cin, cout, k, h, w, groups)

    cases = grid(
        kind=["standard", "grouped", "depthwise_separable"],
        cin=[32, 4, 12],
        cout=[64, 8, 128],
        k=[3, 1, 5],
        h=[28, 7],
        w=[28, 10],
        groups=[1, 4, 2],
    )
    expect.agrees(
        submission.conv_cost,
        conv_cost,
        cases,
        likely={
            "the filters are divided by groups as well": one_block,
            "the 1 x 1 convolution is left out": only_depthwise,
            "the second convolution is 1 x 1, not k x k": large_points,
            "a multiply-add is counted as two operations": flops,
            "groups belongs to the grouped kind only": groups_everywhere,
        },
    )
    whole_groups = grid(kind=["grouped", "standard", "depthwise_separable"], cin=[32], cout=[64], k=[3], h=[1], w=[1])
    expect.agrees(submission.conv_cost, conv_cost, whole_groups)

    def weights(kind, cin, cout, k):
        return submission.conv_cost(kind, cin, cout, k, 14, 14)[0]

    for count, k, ratio in ((2, 5, 0.72), (3, 7, 0.551)):
        found = count * weights("standard", 64, 64, 3) / weights("standard", 64, 64, k)
        expect.close(found, ratio, rtol=1e-3, atol=0, given=f"{count} of 3 x 3 against one {k} x {k}, 64 channels")
    for cin, cout, ratio in ((32, 64, 7.89), (64, 128, 8.41), (128, 256, 8.69), (256, 512, 8.84)):
        found = weights("standard", cin, cout, 3) / weights("depthwise_separable", cin, cout, 3)
        expect.close(found, ratio, rtol=0, atol=0.005, given=f"{cin} to {cout} channels, 3 x 3")


@check("conv_cost refuses other kinds, and groups that do not divide", points=0.5, category="robustness",
       after=test_conv_cost, hidden=True)  # fmt: skip
def test_conv_cost_refusals(submission):
    uneven = grid(kind=["grouped"], cin=[6, 8, 9], cout=[9, 8, 6], k=[3], h=[4], w=[4], groups=[4, 5],
                  where=lambda cin, cout, groups: cin % groups or cout % groups)  # fmt: skip
    expect.agrees(submission.conv_cost, conv_cost, uneven, refuses=["ValueError"])
    kinds = grid(kind=["depthwise", "Standard", ""], cin=[4], cout=[8], k=[3], h=[4], w=[4])
    expect.agrees(submission.conv_cost, conv_cost, kinds, refuses=["ValueError"])
    others = grid(kind=["standard", "depthwise_separable"], cin=[6, 8], cout=[9], k=[3], h=[4], w=[4], groups=[4, 5])
    expect.agrees(submission.conv_cost, conv_cost, others)


def fc_vs_conv(h, w, units, k):
    weights = [nn.Linear(h * w, units, bias=False, device="meta").weight.numel(), units * k**2, k**2]
    return tuple(weights)


@check("fc_vs_conv counts full, local and shared weights", points=1, category="values")
def test_fc_vs_conv(submission):
    expect.agrees(
        submission.fc_vs_conv,
        fc_vs_conv,
        grid(h=[200, 64, 28], w=[200, 192, 28], units=[10_000, 1, 100], k=[4, 3, 1]),
        likely={
            "the local kind has weights of its own for every unit": lambda h, w, units, k: (
                h * w * units,
                k * k,
                k * k,
            ),
            "the biases are counted": lambda h, w, units, k: (
                h * w * units + units,
                units * k * k + units,
                k * k + 1,
            ),
            "the shared weights do not depend on the number of units": lambda h, w, units, k: (
                h * w * units,
                units * k * k,
                units * k * k,
            ),
            "k stands for k x k weights": lambda h, w, units, k: (h * w * units, units * k, k),
        },
    )


# From a linear layer to a convolution


def layer_and_conv(submission, c, h, w, out, **settings):
    """A linear layer, its (weight, bias or None) as they were, and the convolution that is made of it."""
    linear = submission.make(nn.Linear, c * h * w, out, **settings)
    state = linear.state_dict()
    values = state["weight"].detach(), state["bias"].detach() if "bias" in state else None
    made = submission.linear_to_conv(linear, c, h, w)
    expect.instance(made, "Conv2d", given=f"linear_to_conv(nn.Linear({c * h * w}, {out}), {c}, {h}, {w})")
    return linear, values, made


def flat(values, x):
    return F.linear(x.flatten(1), *values)


def same_numbers(found, truth, given, likely):
    """A slip that changes nothing for these sizes is not spoken of."""
    likely = {why: value for why, value in likely.items() if not torch.allclose(value, truth, 1e-3, 1e-3)}
    expect.close(found, truth, rtol=1e-4, atol=1e-5, likely=likely, given=given)


@check("linear_to_conv gives the same numbers, at one place", points=2, category="values", devices="all")
def test_linear_to_conv(submission, device):
    for c, h, w, out in ((3, 2, 4, 5), (1, 3, 3, 2), (4, 7, 7, 10), (2, 1, 3, 1)):
        _, (weight, bias), made = layer_and_conv(submission, c, h, w, out, device=device)
        x = torch.randn(2, c, h, w, device=device)
        truth = F.linear(x.flatten(1), weight, bias)[:, :, None, None]
        swapped = weight.reshape(out, c, w, h).transpose(2, 3)
        last = weight.reshape(out, h, w, c).permute(0, 3, 1, 2)
        same_numbers(
            made(x),
            truth,
            given=f"linear_to_conv(nn.Linear({c * h * w}, {out}), {c}, {h}, {w}) on ({x.shape[0]}, {c}, {h}, {w})",
            likely={
                "the bias is not copied": truth - bias[:, None, None],
                "rows and columns are swapped": F.conv2d(x, swapped, bias),
                "the channels are taken as the last axis, not as the first": F.conv2d(x, last, bias),
            },
        )


@check("on a larger map the convolution gives the numbers of every place", points=0.5, category="values",
       after=test_linear_to_conv, hidden=True)  # fmt: skip
def test_larger_map(submission):
    _, values, made = layer_and_conv(submission, 2, 3, 2, 4)
    x = torch.randn(2, 2, 5, 4)
    rows = [torch.stack([flat(values, x[:, :, i : i + 3, j : j + 2]) for j in range(3)], 2) for i in range(3)]
    expect.close(
        made(x), torch.stack(rows, 2), rtol=1e-4, atol=1e-5, given="Linear(12, 4) for (2, 3, 2), on (2, 2, 5, 4)"
    )


@check("the convolution has parameters of its own, and trains on", points=0.5, category="robustness",
       after=test_linear_to_conv, hidden=True)  # fmt: skip
def test_own_parameters(submission):
    linear, values, made = layer_and_conv(submission, 2, 3, 2, 4)
    state = linear.state_dict()
    for name, value in zip(("weight", "bias"), values, strict=True):
        expect.equal(state[name], value, given=f"the {name} of Linear(12, 4), after linear_to_conv")
    x = torch.randn(2, 2, 3, 2)
    truth = flat(values, x)[:, :, None, None]
    submission.probes.overwritten(linear)
    weight, bias = values
    seven, sevens = torch.full_like(bias, 7), torch.full_like(weight, 7)
    given = "Linear(12, 4) for (2, 3, 2), after the linear layer was changed"
    expect.close(made(x), truth, rtol=1e-4, atol=1e-5, given=given,
                 likely={
                     "the two layers share weight and bias": flat([sevens, seven], x)[:, :, None, None],
                     "the two layers share the weight": flat([sevens, bias], x)[:, :, None, None],
                     "the two layers share the bias": flat([weight, seven], x)[:, :, None, None],
                 })  # fmt: skip
    rests = submission.probes.frozen(submission.make(nn.Linear, 12, 4))
    woken = submission.probes.trains(submission.linear_to_conv(rests, 2, 3, 2))
    expect.true(woken, expected="parameters that require a gradient", got="some that do not",
                given="the convolution of a frozen linear layer")  # fmt: skip
    expect.equal(submission.probes.trains(rests), False, because="it is left as it was", trivial="it was frozen",
                 given="whether the parameters of the frozen layer require gradients afterwards")  # fmt: skip
    for given, one in (("the convolution", made), ("the linear layer", linear)):
        trains = submission.probes.trains(one)
        expect.true(trains, expected="parameters that require a gradient", got="some that do not", given=given)
    expect.parameters(made, shapes=[(4, 2, 3, 2), (4,)])


@check("linear_to_conv keeps dtype, device, and the lack of a bias", points=0.5, category="robustness",
       after=test_linear_to_conv, hidden=True)  # fmt: skip
def test_kept_settings(submission):
    _, values, made = layer_and_conv(submission, 2, 3, 2, 4, bias=False, dtype=torch.float64)
    x = torch.randn(2, 2, 3, 2, dtype=torch.float64)
    expect.close(made(x), flat(values, x)[:, :, None, None], given="Linear(12, 4, bias=False) in float64")
    expect.parameters(made, shapes=[(4, 2, 3, 2)])
    _, _, made = layer_and_conv(submission, 2, 3, 2, 4, device="meta")
    expect.equal(submission.probes.places(made), ["meta torch.float32"], given="a linear layer on the device meta")


@check("linear_to_conv refuses sizes that do not fit", points=0.5, category="robustness", after=test_linear_to_conv,
       hidden=True)  # fmt: skip
def test_linear_to_conv_refusals(submission):
    linear = submission.make(nn.Linear, 12, 4)
    for sizes in ((2, 3, 3), (12, 1, 2), (1, 1, 1), (2, 2, 2)):
        expect.raises(("ValueError",), submission.linear_to_conv, linear, *sizes, given=f"Linear(12, 4), {sizes}")


# Measured


def measured(submission, net, size, given, likely=None):
    expect.equal(submission.empirical_receptive_field(net), size, likely=likely, given=given)


@check("empirical_receptive_field measures 8 for conv, pool, conv", points=2, category="values", seconds=20)
def test_measured(submission):
    net = modules(conv(1, 2, 3), layer("AvgPool2d", 2), conv(2, 2, 3))
    measured(submission, submission.probes.stack(net), 8, given="Conv2d 3 x 3, AvgPool2d 2, Conv2d 3 x 3",
             likely={"one pixel too few: from 0 to 7 there are 8": 7})  # fmt: skip
    net = modules(conv(3, 2, 5, dilation=3, bias=False), conv(2, 1, 2, stride=2), conv(1, 3, 3))
    measured(submission, submission.probes.stack([net]), field([(5, 1, 0, 3), (2, 2), (3,)])[0],
             given="Conv2d 5 x 5 with dilation 3 and without a bias, 2 x 2 with stride 2, 3 x 3, nested",
             likely={"the dilation is not seen": 10})  # fmt: skip
    spread = submission.probes.stack(modules(conv(1, 2, 3, dilation=6)))
    measured(submission, spread, 13, given="Conv2d 3 x 3 with dilation 6",
             likely={"the pixels with a gradient are counted, without the gaps between them": 3})  # fmt: skip
    wide = submission.probes.stack(modules(layer("AvgPool2d", 4), layer("AvgPool2d", 2, stride=1)))
    measured(submission, wide, 8, given="AvgPool2d 4, AvgPool2d 2 with stride 1")


@check("a maximum hides no pixel", points=1, category="values", seconds=20, after=test_measured)
def test_maximum(submission):
    net = modules(conv(1, 2, 3, padding=1), layer("ReLU"), layer("MaxPool2d", 3, stride=2, padding=1), conv(2, 2, 3))
    measured(submission, submission.probes.stack(net), field([(3, 1, 1), (3, 2, 1), (3,)])[0],
             given="Conv2d 3 x 3, ReLU, MaxPool2d 3 with stride 2, Conv2d 3 x 3")  # fmt: skip
    net = submission.probes.same_layer_twice(modules(layer("MaxPool2d", 2))[0], modules(conv(1, 1, 3))[0])
    measured(
        submission,
        net,
        field([(2, 2), (3,), (2, 2)])[0],
        given="MaxPool2d 2, Conv2d 3 x 3, and the same pool once more",
        likely={"in its second place the pool is still a maximum: named_children() names each module once": 6},
    )


@check("weights of 0 and dead ReLUs hide no pixel", points=1, category="values", seconds=20, after=test_measured)
def test_dead(submission):
    block = modules(conv(1, 2, 3, padding=1), layer("BatchNorm2d", 2), layer("ReLU"), conv(2, 2, 5), layer("ReLU"))
    tail = modules(layer("Dropout", 1.0), conv(2, 1, 3, stride=2), layer("ReLU"), conv(1, 1, 3))
    net = submission.probes.dead(submission.probes.stack([block, tail]))
    size = field([(3, 1, 1), (5,), (3, 2), (3,)])[0]
    measured(submission, net, size,
             given="convolutions with weights of 0 and -1, biases of -50, ReLU, BatchNorm2d, Dropout(1.0)")  # fmt: skip


@check("it is measured: windows that receptive_field passes over count, too", points=1, category="values", seconds=20,
       after=test_measured)  # fmt: skip
def test_other_windows(submission):
    net = modules(conv(1, 2, 3), layer("LPPool2d", 2, 3, 2), layer("ReLU"), conv(2, 2, 3))
    measured(submission, submission.probes.stack(net), 9, given="Conv2d 3 x 3, LPPool2d(2, 3, 2), ReLU, Conv2d 3 x 3",
             likely={"LPPool2d is passed over: this is calculated, not measured": 5})  # fmt: skip
    net = modules(conv(1, 1, 2), layer("LPPool2d", 1, 4, 4))
    measured(submission, submission.probes.stack(net), 5, given="Conv2d 2 x 2, LPPool2d(1, 4, 4)")


@check("VGG-16 sees 212 pixels, and layers of every kind are measured", points=0.5, category="values", seconds=40,
       after=[test_maximum, test_dead], hidden=True)  # fmt: skip
def test_measured_vgg(submission):
    net = []
    for kernel, *_ in VGG_16:
        channels = 3 if not net else 2
        net += (
            modules(layer("MaxPool2d", 2))
            if kernel == 2
            else modules(conv(channels, 2, 3, padding=1), layer("BatchNorm2d", 2), layer("ReLU"))
        )
    measured(
        submission, submission.probes.stack(net), 212, given="the convolutions and pools of VGG-16, with two channels"
    )
    wide = modules(conv(1, 1, 3, dilation=124, padding=124), conv(1, 1, 2))
    given = "Conv2d 3 x 3 with dilation 124 and padding 124, Conv2d 2 x 2"
    measured(submission, submission.probes.stack(wide), 250, given=given)
    grouped = modules(layer("MaxPool2d", 2), conv(4, 8, 3, groups=4))
    measured(submission, submission.probes.stack(grouped), 6, given="MaxPool2d 2, Conv2d(4, 8, 3, groups=4)")
    own = modules(conv(1, 2, 3), layer("BatchNorm2d", 2), layer("ReLU"), layer("MaxPool2d", (3, 3), (2, 2), (1, 1)),
                  conv(2, 1, 3))  # fmt: skip
    own = submission.probes.stack(own, ["Conv2d", "BatchNorm2d", "MaxPool2d"])
    measured(submission, submission.probes.dead(own), 9,
             given="Conv2d 3 x 3, BatchNorm2d, ReLU, MaxPool2d((3, 3), (2, 2), (1, 1)), Conv2d 3 x 3, of derived "
                   "classes")  # fmt: skip
    plain = submission.probes.doubled(
        modules(conv(1, 2, 3), layer("BatchNorm2d", 2, affine=False), layer("ReLU", True), conv(2, 1, 3))
    )
    measured(submission, plain, 5, given="Conv2d 3 x 3, BatchNorm2d(2, affine=False), ReLU, Conv2d 3 x 3 in float64")
    deep = submission.probes.stack(modules(*[conv(1, 1, 5, padding=2)] * 20))
    measured(submission, deep, 81, given="20 times Conv2d 5 x 5: at the border the gradient is about 1e-14")


@check("empirical_receptive_field leaves the network as it was", points=0.5, category="robustness", seconds=20,
       after=test_measured, hidden=True)  # fmt: skip
def test_measure_leaves_no_traces(submission):
    net = submission.probes.partly_frozen(submission.probes.stack(whole()))
    changed(
        submission,
        submission.empirical_receptive_field,
        net,
        given="a network in the middle of a training",
        likely={"the network itself is made positive, not a copy": ["modes", "hooks", "buffers", "parameters"]},
    )
    frozen = submission.probes.frozen(submission.probes.stack(modules(conv(1, 2, 3), conv(2, 1, 3))))
    measured(submission, frozen, 5, given="two frozen Conv2d 3 x 3")
