"""Checks for task 09: the residual block, ResNet-18 and 34, their sizes and function, and the summary."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    Rule,
    buffers,
    check,
    expect,
    feature_maps,
    fill_by_shape,
    filled,
    lean,
    moved,
    normal,
    on_meta,
    operator_trace,
    parameter_count,
    parameter_values,
    registered_parameters,
    traces_left,
)

WIDTHS = (64, 128, 256, 512)
BLOCK = 16  # channels of a wide network that depend on no others; small ones have fewer


# The oracle: plain functions, on weights that depend on their shape only. Channels beyond BLOCK are left out; widths
# are told, since the values depend on the whole shape. In training mode the bias of a convolution before a batch norm
# cancels, so that a superfluous one costs nothing here.


def conv(x, inner, outer, size, stride=1):
    weight = filled(nn.Conv2d, inner, outer, size, bias=False, block=BLOCK).weight[:BLOCK, :BLOCK]
    return F.conv2d(x, weight, stride=stride, padding=size // 2)


def norm(x, width, training=True):
    layer = filled(nn.BatchNorm2d, width)
    scale, shift = layer.weight[:BLOCK], layer.bias[:BLOCK]
    if training:
        return F.batch_norm(x, None, None, scale, shift, training=True)
    return F.batch_norm(x, layer.running_mean[:BLOCK], layer.running_var[:BLOCK], scale, shift)


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


def plain(x, inner, outer, stride=1, training=True):
    """The block of probes.py."""
    return F.relu(conv(x, inner, outer, 3, stride))


def stem(x, pool=True, padding=1, bend=F.relu, training=True):
    x = bend(norm(conv(x, x.shape[1], 64, 7, 2), 64, training))
    return F.max_pool2d(x, 3, 2, padding) if pool else x


def stages(x, layers, kind=plain, strides=(1, 2, 2, 2), training=True):
    inner = 64
    for outer, depth, stride in zip(WIDTHS, layers, strides, strict=True):
        for index in range(depth):
            x = kind(x, inner, outer, stride if index == 0 else 1, training)
            inner = outer
    return x


def head(x, num_classes=10):
    """The last layer; x is (N, channels)."""
    layer = filled(nn.Linear, 512, num_classes, block=BLOCK)
    return F.linear(x, layer.weight[:, :BLOCK], layer.bias)


def filled_net(make, *args, mode=True):
    """A network of the submission in float64, filled by shape, in training mode or not."""
    net = lean(make, *args).double()
    fill_by_shape(net, BLOCK)
    net.train(mode)
    return net


# BasicBlock


def block_shapes(inner, outer, projected):
    shapes = [(outer, inner, 3, 3), (outer, outer, 3, 3), *[(outer,)] * 4]
    return [*shapes, (outer, inner, 1, 1), (outer,), (outer,)] if projected else shapes


@check("BasicBlock has the parameters of two convolutions and a shortcut", points=1.5, category="parameters")
def test_block_parameters(submission):
    for args, projected in (((6, 6), False), ((6, 8, 2), True), ((6, 6, 2), True), ((6, 8), True), ((8, 6), True)):
        inner, outer, *_ = args
        shapes = block_shapes(inner, outer, projected)
        total = sum(math.prod(shape) for shape in shapes)
        if projected:
            likely = {
                "the projection is a 3×3 convolution": total + 8 * inner * outer,
                "the projection has a bias": total + outer,
                "the projection has no batch norm": total - 2 * outer,
                "the projection has a bias and no batch norm": total - outer,
                "there is no projection where the shapes differ": total - inner * outer - 2 * outer,
            }
        else:
            likely = {
                "the convolutions have biases, which the batch norms make useless": total + 2 * outer,
                "one batch norm serves both convolutions": total - 2 * outer,
                "a projection stands where the identity would do": total + inner * outer + 2 * outer,
            }
        given = f"BasicBlock{args}"
        expect.parameters(on_meta(submission.BasicBlock, *args), total, shapes=shapes, likely=likely, given=given)


@check("BasicBlock says that it does not expand its channels", points=0.5, category="parameters")
def test_expansion(submission):
    on_meta(submission.BasicBlock, 4, 4)  # a class that is not begun says nothing
    expect.equal(submission.BasicBlock.expansion, 1, given="BasicBlock.expansion, without an instance")


@check("BasicBlock keeps or halves the size by its stride", points=1, category="shapes")
def test_block_shapes(submission):
    for args, size in (
        ((4, 4), (7, 10)),
        ((4, 6), (7, 10)),
        ((6, 4), (7, 10)),
        ((4, 6, 2), (4, 5)),
        ((4, 4, 2), (4, 5)),
    ):
        given = f"BasicBlock{args} and x of shape (2, {args[0]}, 7, 10)"
        expect.shape(
            submission.BasicBlock(*args)(torch.randn(2, args[0], 7, 10)),
            (2, args[1], *size),
            given=given,
            likely={"the stride is ignored": (2, args[1], 7, 10)} if size != (7, 10) else None,
        )


@check(
    "BasicBlock adds its input before the last ReLU",
    points=3,
    category="values",
    devices="all",
)
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
            "the shortcut is added twice": F.relu(way + 2 * x),
            "the input passes a ReLU before it is added": F.relu(way + F.relu(x)),
            "the sum of branch and shortcut is halved": F.relu(0.5 * (way + x)),
            "the block uses running statistics in training": block(x, 4, 4, training=False),
        },
    )


@check("BasicBlock projects its shortcut where shapes differ", points=1.5, category="values")
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
            "the projection starts from the ReLU of the input": F.relu(way + shortcut(F.relu(x), 4, 6, 2)),
        },
    )
    for args, shape in (
        ((4, 6), (1, 4, 7, 6)),
        ((4, 4, 2), (3, 4, 6, 1)),
        ((6, 4, 3), (3, 6, 7, 6)),
        ((4, 4, 3), (3, 4, 7, 6)),
    ):
        x = normal(*shape).transpose(2, 3)
        given = f"BasicBlock{args} in training mode, x of shape {tuple(x.shape)}"
        expect.close(filled_net(submission.BasicBlock, *args)(x), block(x, *args), scale=1e-6, given=given)


@check(
    "BasicBlock has running statistics, for eval mode",
    points=1,
    category="values",
    after=[test_block_values, test_block_projection],
    hidden=True,
)
def test_block_modes(submission):
    for args in ((4, 4), (4, 6, 2)):
        x, given = normal(3, 4, 7, 6), f"BasicBlock{args} in eval mode, filled by shape"
        net = filled_net(submission.BasicBlock, *args, mode=False)
        expect.close(net(x), block(x, *args, training=False), scale=1e-6, given=given)
        expect.moves_only(net, net, x, given=f"a pass of BasicBlock{args} in eval mode")
        net.train()
        _, kept = moved(net, net, x)
        still = [item["name"] for item in buffers(net) if item["name"] in kept]
        expect.equal(
            still, [], given=f"statistics that a pass of BasicBlock{args} in training mode leaves as they were"
        )


@check(
    "BasicBlock leaves its input as it is",
    points=0.5,
    category="robustness",
    after=[test_block_values, test_block_projection],
    hidden=True,
)
def test_block_keeps_input(submission):
    x = normal(3, 4, 7, 6)
    for args in ((4, 4), (4, 6, 2)):
        net = filled_net(submission.BasicBlock, *args)
        expect.not_mutated(submission, net, x, given=f"BasicBlock{args}")


@check("gradients flow through branch and shortcut", points=1, category="gradients", after=test_block_values)
def test_block_gradients(submission):
    for args in ((3, 3), (3, 4, 2)):
        net = filled_net(submission.BasicBlock, *args, mode=False)
        given = f"BasicBlock{args} in eval mode"
        expect.gradients(net, [normal(2, 3, 5, 4, requires_grad=True)], module=net, given=given)


# ResNet, on blocks that are not the submission's


@check("ResNet asks for the blocks that layers and expansion say", points=1.5, category="parameters")
def test_depths(submission):
    for layers, expansion in (
        ([1, 1, 1, 1], 1),
        ([1, 2, 3, 1], 1),
        ([3, 1, 2, 2], 2),
        ([1, 1, 1, 2], 4),
        ([1, 1, 8, 1], 1),
    ):
        expect.equal(
            table(submission.probes.blocks_asked(submission.ResNet, layers, expansion)),
            table(asked(layers, expansion)),
            because="in_channels → out_channels / stride of each block",
            given=f"layers={layers} and blocks with expansion = {expansion}",
            likely={
                "the first stage has stride 2, too": table(asked(layers, expansion, (2, 2, 2, 2))),
                "the fourth stage has stride 1": table(asked(layers, expansion, (1, 2, 2, 1))),
                "the fourth stage is missing": table(asked([*layers[:3], 0], expansion)),
            }
            | (
                {"the depths are used from last to first": table(asked(layers[::-1], expansion))}
                if layers != layers[::-1]
                else {}
            )
            | ({"layers is ignored: every stage has two blocks": table(asked([2, 2, 2, 2], expansion))})
            | ({"every stage has one block only": table(asked([1] * 4, expansion))} if max(layers) > 1 else {})
            | ({"the expansion is not taken into account": table(asked(layers, 1))} if expansion > 1 else {})
            | (
                {"all blocks of a stage have its stride": table(asked(layers, expansion, all_alike=True))}
                if max(layers[1:]) > 1
                else {}
            ),
        )
    kept = submission.probes.list_kept(submission.ResNet, [1, 2, 3, 1])
    expect.equal(kept, [1, 2, 3, 1], given="the list that was handed to ResNet, after the call")


def asked(layers, expansion, strides=(1, 2, 2, 2), all_alike=False):
    """in_channels, out_channels and stride of each block."""
    rows, inner = [], 64
    for outer, depth, stride in zip(WIDTHS, layers, strides, strict=True):
        for index in range(depth):
            rows.append([inner, outer, stride if index == 0 or all_alike else 1])
            inner = outer * expansion
    return rows


def table(rows):
    """The blocks as one line."""
    return ", ".join(f"{inner}→{outer}/{stride}" for inner, outer, stride in rows)


@check("ResNet has a stem without bias and one last layer", points=1.5, category="parameters")
def test_resnet_parameters(submission):
    for expansion, in_channels in ((1, 2), (2, 1)):
        blocks = [(expansion * outer, inner, 3, 3) for inner, outer, _ in asked([1, 1, 1, 1], expansion)]
        shapes = [(64, in_channels, 7, 7), (64,), (64,), *blocks, (5, 512 * expansion), (5,)]
        total = sum(math.prod(shape) for shape in shapes)
        net = on_meta(submission.probes.plain_resnet, submission.ResNet, [1, 1, 1, 1], 5, in_channels, expansion)
        expect.parameters(
            net,
            total,
            shapes=shapes,
            given=f"plain blocks with expansion = {expansion}, num_classes=5, in_channels={in_channels}",
            likely={
                "the stem's convolution has a bias": total + 64,
                "num_classes is ignored": total + 995 * (512 * expansion + 1),
                "the last layer has no bias": total - 5,
            }
            | {"in_channels is ignored": total + (3 - in_channels) * 64 * 49},
        )


@check("ResNet takes images of any size from 28×28 on", points=1, category="shapes")
def test_any_size(submission):
    net = on_meta(submission.probes.plain_resnet, submission.ResNet, [1, 1, 1, 1], 5)
    for height, width in ((28, 28), (32, 32), (64, 64), (96, 64), (45, 70), (224, 224)):
        found = feature_maps(net, torch.zeros(2, 3, height, width))[0]["shape"]
        expect.equal(tuple(found or ()), (2, 5), given=f"the shape of the logits for 2 images of {height} × {width}")
    net.eval()
    found = feature_maps(net, torch.zeros(1, 3, 28, 28))[0]["shape"]
    expect.equal(tuple(found or ()), (1, 5), given="the shape of the logits for 1 image of 28 × 28 in eval mode")


@check("ResNet's feature maps shrink from 224 to 7", points=1, category="shapes", hidden=True)
def test_feature_maps(submission):
    net = on_meta(submission.probes.plain_resnet, submission.ResNet, [1, 2, 1, 1])
    widths = (64, 64, 128, 128, 256, 512)
    for size, sizes in ((224, (112, 56, 28, 28, 14, 7)), (28, (14, 7, 4, 4, 2, 1)), (90, (45, 23, 12, 12, 6, 3))):
        rows = operator_trace(net, torch.zeros(2, 3, size, size), among=("convolution",))
        expect.equal(
            [tuple(row["shape"][1:]) for row in rows],
            [(width, side, side) for width, side in zip(widths, sizes, strict=True)],
            given=f"the outputs of stem and blocks for {size} × {size}, layers=[1, 2, 1, 1]",
        )


@check("ResNet computes what the architecture says", points=3.5, category="values", after=test_depths)
def test_values(submission):
    layers, x = [1, 2, 1, 1], normal(4, 3, 64, 64)
    net = filled_net(submission.probes.plain_resnet, submission.ResNet, layers)
    maps = stages(stem(x), layers)
    truth = head(maps.mean((2, 3)))
    given = f"plain blocks, layers={layers}, num_classes=10, every parameter filled by its shape, in {{}} mode"
    expect.close(
        net(x),
        truth,
        scale=1e-6,
        given=given.format("training"),
        likely={
            "a softmax stands at the end": truth.softmax(1),
            "a log-softmax stands at the end": truth.log_softmax(1),
            "the largest value is taken over height and width, not the mean": head(maps.amax((2, 3))),
            "the stem's max-pool does not pad": logits_after(stem(x, padding=0), layers),
            "the stem has no max-pool": logits_after(stem(x, pool=False), layers),
            "no ReLU follows the stem's batch norm": logits_after(stem(x, bend=lambda y: y), layers),
            "the network uses running statistics in training": logits_after(stem(x, training=False), layers),
        },
    )
    kinds = [row["kind"] for row in operator_trace(net, x, among=("random",))]
    expect.equal(kinds, [], because="ResNet draws nothing, it has no dropout", given=given.format("training"))
    net = filled_net(submission.probes.plain_resnet, submission.ResNet, layers, mode=False)
    one = x[:1]
    truth = logits_after(stem(one, training=False), layers)
    expect.close(net(one), truth, scale=1e-6, given=f"one image; {given.format('eval')}")
    wide = normal(1, 3, 28, 260)
    truth = logits_after(stem(wide, training=False), layers)
    expect.close(net(wide), truth, scale=1e-6, given=f"one image of 28 × 260; {given.format('eval')}")


def logits_after(x, layers, **options):
    return head(stages(x, layers, **options).mean((2, 3)))


# resnet18 and resnet34


def resnet_shapes(layers, num_classes=1000, in_channels=3):
    shapes = [(64, in_channels, 7, 7), (64,), (64,), (num_classes, 512), (num_classes,)]
    for inner, outer, stride in asked(layers, 1):
        shapes += block_shapes(inner, outer, stride != 1 or inner != outer)
    return shapes


@check("ResNet-18 has 11,689,512 parameters", points=1, category="parameters")
def test_resnet18_parameters(submission):
    expect.parameters(
        on_meta(submission.resnet18),
        11_689_512,
        shapes=resnet_shapes([2, 2, 2, 2]),
        given="resnet18()",
        likely={
            "the fourth stage is missing": 11_689_512 - 8_393_728 - 256_000,
            "the stem's convolution has a bias": 11_689_512 + 64,
            "every convolution has a bias, which the batch norms make useless": 11_689_512 + 4_800,
            "this is the count of ResNet-34": 21_797_672,
            "every stage has one block only": 5_418_792,
        },
    )


@check("resnet18 and resnet34 take classes and channels", points=0.5, category="parameters")
def test_variants(submission):
    for name, layers in (("resnet18", [2, 2, 2, 2]), ("resnet34", [3, 4, 6, 3])):
        make, build = getattr(submission, name), submission.ResNet
        counts = [parameter_count(on_meta(build, submission.BasicBlock, depths)) for depths in (layers, OTHER[name])]
        count = parameter_count(on_meta(make))
        likely = {"this is the other of the two networks": counts[1]}
        expect.equal(count, counts[0], given=f"{name}() against ResNet(BasicBlock, {layers})", likely=likely)
        for args in ((10,), (10, 1), (7, 2)):
            classes, channels = (1000 - args[0]) * 513, sum(3 - size for size in args[1:]) * 64 * 49
            fewer = classes + channels
            likely = {"num_classes changes nothing": channels}
            likely |= {"in_channels changes nothing": classes} if channels else {}
            given = f"parameters that {name}({', '.join(map(str, args))}) has less than {name}()"
            expect.equal(count - parameter_count(on_meta(make, *args)), fewer, given=given, likely=likely)
        image, kinds = torch.zeros(2, 3, 64, 64), ("convolution", "linear", "max_pool", "random")
        nets = on_meta(make), on_meta(build, submission.BasicBlock, layers)
        found, truth = ([operation(each) for each in operator_trace(net, image, among=kinds)] for net in nets)
        given = f"what {name}() computes, against ResNet(BasicBlock, {layers})"
        expect.equal(found, truth, given=f"{given}, in training mode")
        one, other = on_meta(make), on_meta(make)
        expect.equal(one == other, False, given=f"whether two calls of {name}() return one object")
        facts = sorted({(row["dtype"], row["requires_grad"]) for row in registered_parameters(one)})
        expect.equal(facts, [("float32", True)], given=f"dtype and requires_grad of the parameters of {name}()")


def operation(each):
    return f"{each['kind']} {tuple(each['shape'])}"


OTHER = {"resnet18": [3, 4, 6, 3], "resnet34": [2, 2, 2, 2]}


@check("resnet18 and resnet34 compute what their names say", points=1, category="values", devices="all", hidden=True)
def test_resnet18_values(submission, device):
    x = normal(4, 3, 64, 48)
    for name, layers in (("resnet18", [2, 2, 2, 2]), ("resnet34", [3, 4, 6, 3])):
        net = filled_net(getattr(submission, name), 10).to(device)
        truth = logits_after(stem(x), layers, kind=block)
        given = f"{name}(10) in training mode, filled by shape"
        expect.close(net(x.to(device)).cpu(), truth, scale=1e-5, given=given)


@check(
    "ResNet passes gradients to every parameter, stem included",
    points=0.5,
    category="gradients",
    after=test_any_size,
    hidden=True,
)
def test_gradients(submission):
    net = lean(submission.probes.plain_resnet, submission.ResNet, [1, 2, 1, 1], 5)
    frozen = [item["name"] for item in registered_parameters(net) if not item["requires_grad"]]
    expect.equal(frozen, [], given="the parameters that want no gradient")
    fill_by_shape(net)
    x = torch.randn(2, 3, 64, 64, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)


@check("ResNet takes images of any memory layout", points=0.5, category="devices", after=test_any_size, hidden=True)
def test_channels_last(submission):
    net = filled_net(submission.probes.plain_resnet, submission.ResNet, [1, 1, 1, 1], 5, mode=False)
    x = normal(2, 3, 48, 64)
    truth = net(x).detach()
    expect.shape(truth, (2, 5))
    expect.close(
        submission.probes.channels_last(net, x), truth, scale=1e-6, given="network and images in channels_last"
    )
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    expect.close(net(turned), truth, scale=1e-6, given="images whose rows and columns are swapped in memory")


@check("ResNet-18 is built on meta, without memory", points=0.5, category="devices")
def test_meta(submission):
    devices = sorted({str(p.device) for p in on_meta(submission.resnet18).parameters()})
    expect.equal(devices, ["meta"], given="the devices of its parameters")


@check("ResNet moves to another device as a whole", points=0.5, category="devices")
def test_portable(submission):
    for build in ((4, 4), (4, 6, 2)):
        expect.portable(submission.BasicBlock, torch.randn(2, 4, 6, 6), build=build, given=f"BasicBlock{build}")
    net = submission.probes.plain_resnet(submission.ResNet, [1, 1, 1, 1], 5)
    expect.portable(net, torch.randn(2, 3, 32, 32), given="ResNet of plain blocks")


OWN_NETWORKS = Rule(
    of=("BasicBlock", "ResNet", "resnet18", "resnet34"),
    names=("torchvision", "torch.hub"),
    instead="layers of torch.nn",
)


@check("the networks are built without torchvision", points=1, category="rules", gates=OWN_NETWORKS)
def test_rule(submission):
    expect.avoids(submission.BasicBlock, rule=OWN_NETWORKS)


# zero_init_residual


@check(
    "zero_init_residual makes blocks start as their shortcuts",
    points=1,
    category="values",
    after=[test_block_values, test_block_projection],
)
def test_zero_init(submission):
    x = normal(3, 4, 7, 6)
    scale = "the scale is zeroed and the shift is not"
    for mode in (True, False):
        same = filled_net(submission.BasicBlock, 4, 4, mode=mode)
        submission.zero_init_residual(same)
        expect.close(
            same(x),
            F.relu(x),
            given=f"BasicBlock(4, 4) with train({mode}), filled by shape before",
            likely={
                "the block is the identity, without its last ReLU": x,
                "the shortcut is cut off, too": 0 * x,
                "nothing has changed": block(x, 4, 4, training=mode),
                scale: F.relu(x + filled(nn.BatchNorm2d, 4).bias[:, None, None]),
            },
        )
    other = filled_net(submission.BasicBlock, 4, 6, 2)
    submission.zero_init_residual(other)
    short = shortcut(x, 4, 6, 2)
    expect.close(
        other(x),
        F.relu(short),
        scale=1e-6,
        given="BasicBlock(4, 6, 2) in training mode, filled by shape before",
        likely={
            "the projection's batch norm is zeroed, not the branch's": F.relu(branch(x, 4, 6, 2)),
        },
    )


@check(
    "zero_init_residual changes one norm in each block",
    points=1,
    category="parameters",
    hidden=True,
)
def test_zero_init_only(submission):
    make, block_of = submission.make, submission.BasicBlock

    def three_blocks():
        last = submission.probes.derived(block_of, 6, 6)
        inner = make(nn.Sequential, block_of(4, 6, 2), make(nn.BatchNorm2d, 6), last)
        net = make(nn.Sequential, block_of(4, 4), inner)
        fill_by_shape(net)
        return net

    net = three_blocks()
    changed, _ = moved(net, submission.zero_init_residual, net)
    after = parameter_values(net)
    sizes = {name: after[name].numel() for name in changed if name in after}
    expect.equal(
        sorted(sizes.values()),
        [4, 4, 6, 6, 6, 6],
        because="scale and shift of the last batch norm in each block",
        given="sizes of the parameters that change in a network of three blocks, the last of a class derived from "
        "BasicBlock, and a batch norm of its own",
        likely={
            "nothing changed": [],
            "only the first level of the network was searched": [4, 4],
            "a block of a class derived from BasicBlock is no BasicBlock": [4, 4, 6, 6],
            "every batch norm of the blocks is zeroed": [4] * 4 + [6] * 10,
            "both batch norms of the branch are zeroed": [4] * 4 + [6] * 8,
        },
    )
    expect.equal([name for name in sizes if bool(after[name].any())], [], because="what changed is zero")
    left = traces_left(submission.zero_init_residual, three_blocks())
    expect.equal([name for name in left if name != "parameters"], [], given="what else zero_init_residual changed")


@check(
    "a zeroed block passes gradients where x is positive",
    points=0.5,
    category="gradients",
    after=[test_block_values, test_zero_init],
    hidden=True,
)
def test_zero_init_gradient(submission):
    net = submission.BasicBlock(4, 4).double()
    submission.zero_init_residual(net)
    x = normal(2, 4, 7, 6, requires_grad=True)
    cotangent = normal(2, 4, 7, 6)
    (gradient,) = torch.autograd.grad((net(x) * cotangent).sum(), x)
    expect.close(gradient, cotangent * (x > 0), given="a random gradient at the output of BasicBlock(4, 4)")


# layer_summary

ROWS = [{"name": str, "type": str, "output_shape": (int,), "num_params": int}]


def row(name, kind, shape, num_params):
    return {"name": name, "type": kind, "output_shape": shape, "num_params": num_params}


def summary(submission, model, *input_size):
    """What layer_summary reports, without what it reports besides."""
    return expect.record(submission.layer_summary(model, *input_size), ROWS)


@check("layer_summary has one row for each layer, in order", points=2, category="shapes")
def test_summary(submission):
    first, second = row("first", "Conv2d", (4, 8, 10), 108), row("second", "Conv2d", (4, 3, 4), 144)
    norm_row, bend = row("norm", "BatchNorm2d", (4, 8, 10), 8), row("bend", "ReLU", (4, 8, 10), 0)
    last = row("last", "Linear", (7,), 35)
    rows = [first, norm_row, bend, second, last]
    again = [{**item, "output_shape": (4, 3, 4)} for item in (norm_row, bend)]
    final = {**bend, "output_shape": (7,)}
    expect.equal(
        summary(submission, submission.probes.toy("Detour").double(), (3, 10, 12)),
        rows,
        given="a network in float64, registered in another order than called, with a norm called twice and a ReLU "
        "thrice",
        likely={
            "the batch axis is part of the shapes": [
                {**item, "output_shape": (1, *item["output_shape"])} for item in rows
            ],
            "the batch axis is part of the shapes, whatever its length": [
                {**item, "output_shape": (2, *item["output_shape"])} for item in rows
            ],
            "buffers, such as running means, are counted as parameters": [
                first,
                {**norm_row, "num_params": 17},
                bend,
                second,
                last,
            ],
            "a layer that is called twice has two rows": [first, norm_row, bend, second, *again, last, final],
            "a layer that is called twice shows its last output, not its first": [first, again[0], final, second, last],
            "the rows are in the order of registration": [last, bend, second, norm_row, first],
        },
    )


@check("layer_summary takes any model", points=0.5, category="robustness", after=test_summary, hidden=True)
def test_summary_models(submission):
    toy = submission.probes.toy
    expect.equal(
        summary(submission, submission.probes.layer(3, 4), (3,)),
        [row("", "Linear", (4,), 16)],
        given="nn.Linear(3, 4), whose name in model.named_modules() is empty",
        likely={"a model without children has no row": []},
    )
    expect.equal(
        summary(submission, toy("Shared"), (4,)),
        [row("up", "Linear", (4,), 20), row("down", "Linear", (4,), 20)],
        given="two layers that share a weight, one of them with a frozen bias; the first has a second name",
        likely={
            "only what is trained is counted": [row("up", "Linear", (4,), 20), row("down", "Linear", (4,), 16)],
        },
    )
    expect.equal(
        summary(submission, toy("Strict"), (5, 6)),
        [row("memory", "LSTM", (5, 4), 192), row("norm", "BatchNorm1d", (4,), 8), row("last", "Stretch", (4,), 4)],
        given="an nn.LSTM, an nn.BatchNorm1d without running statistics, and a layer of a class of its own",
    )
    expect.equal(
        summary(submission, toy("Gated"), (3,)),
        [row("0", "Linear", (8,), 32), row("1", "Halves", (4,), 0), row("2", "Gate", (4,), 0)],
        given="a layer with a named tuple for an output",
    )
    rows = [row("0", "Linear", (2,), 8), row("1", "Tanh", (2,), 0)]
    expect.equal(summary(submission, submission.probes.halves(), (3,)), rows, given="3 → 2 in bfloat16, frozen")
    expect.equal(
        summary(submission, submission.probes.without_parameters(), (3, 8, 6)),
        [row("0", "AvgPool2d", (3, 4, 3), 0), row("1", "Flatten", (36,), 0)],
        given="a model without parameters",
    )
    rows = [row("0", "Column", (1,), 0), row("1", "Linear", (1,), 2), row("2", "Flatten", (), 0)]
    given = "a network for single numbers: input_size=()"
    expect.equal(summary(submission, submission.probes.toy("Numbers"), ()), rows, given=given)


@check("layer_summary reports ResNet-18 without memory", points=0.5, category="shapes", after=test_summary)
def test_summary_resnet18(submission):
    net = on_meta(submission.resnet18)
    found = summary(submission, net)
    rows, held = feature_maps(net, torch.zeros(2, 3, 224, 224)), registered_parameters(net)
    leaves = [item for item in rows if not any(is_inside(other["name"], item["name"]) for other in rows)]
    truth = [row(item["name"], item["type"], tuple(item["shape"][1:]), size_of(held, item["name"])) for item in leaves]
    expect.equal(found, truth, given="resnet18() on meta, with the default input_size")


def is_inside(name, container):
    return name != container and (not container or name.startswith(f"{container}."))


def size_of(held, name):
    """How many numbers the parameters hold whose names lie below this one."""
    return sum(math.prod(p["shape"]) for p in held if is_inside(p["name"], name))


@check("layer_summary leaves no trace", points=0.5, category="robustness", after=test_summary, hidden=True)
def test_summary_traces(submission):
    for kind, given in (
        ("Chain", "what changed in a training model with a frozen part, gradients and a hook of its own"),
        ("Failing", "what changed in a model whose forward pass raises an error"),
    ):
        expect.equal(
            traces_left(submission.layer_summary, submission.probes.toy(kind), (3, 10, 12)),
            [],
            given=given,
            likely={
                "the modes are not put back one by one: they may differ between modules": ["modes"],
                "the pass ran in training mode: dropout drew, and batch norm moved its statistics": [
                    "buffers",
                    "random generator",
                ],
                "the pass ran in training mode: batch norm moved its statistics": ["buffers"],
                "the input is drawn at random, which advances the generator": ["random generator"],
                "hooks are left behind, or those of others are taken away": ["hooks"],
            }
            if kind == "Chain"
            else {"what was changed is put back only if nothing raises: use try and finally": ["modes", "hooks"]},
        )
    net = submission.probes.toy("Chain").double()
    fill_by_shape(net)
    left = traces_left(submission.layer_summary, net, (3, 10, 12))
    expect.equal(left, [], given="what changed in a model in float64")
