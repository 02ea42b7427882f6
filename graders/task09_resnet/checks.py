"""Checks for task 09: the residual block, ResNet-18 and 34, their sizes and function, and the summary."""

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
    on_meta,
    parameter_count,
    parameter_values,
    traces_left,
)

WIDTHS = (64, 128, 256, 512)


def numbers(*shape, requires_grad=False):
    """Normally distributed float64 values."""
    return torch.randn(*shape, dtype=torch.float64, requires_grad=requires_grad)


# The oracle: plain functions, on weights that depend on their shape only


def filled(kind, *args, dtype, **kwargs):
    """A layer of PyTorch that holds weights and statistics; it is not called."""
    layer = torch.nn.utils.skip_init(kind, *args, dtype=dtype, **kwargs).requires_grad_(False)
    fill_by_shape(layer)
    return layer


def conv(x, out, size, stride=1, padding=0):
    layer = filled(nn.Conv2d, x.shape[1], out, size, dtype=x.dtype, bias=False)
    return F.conv2d(x, layer.weight, stride=stride, padding=padding)


def norm(x):
    """Batch norm in eval mode."""
    layer = filled(nn.BatchNorm2d, x.shape[1], dtype=x.dtype)
    return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)


def branch(x, out, stride=1, late=False):
    """What a block adds to its shortcut; ``late``: the stride is in the second convolution."""
    first, second = (1, stride) if late else (stride, 1)
    return norm(conv(F.relu(norm(conv(x, out, 3, first, 1))), out, 3, second, 1))


def shortcut(x, out, stride=1, normed=True):
    if stride == 1 and x.shape[1] == out:
        return x
    x = conv(x, out, 1, stride)
    return norm(x) if normed else x


def block(x, out, stride=1):
    return F.relu(branch(x, out, stride) + shortcut(x, out, stride))


def stem(x, pool=True, padding=1, bend=F.relu):
    x = bend(norm(conv(x, 64, 7, 2, 3)))
    return F.max_pool2d(x, 3, 2, padding) if pool else x


def stages(x, layers, strides=(1, 2, 2, 2)):
    for out, depth, stride in zip(WIDTHS, layers, strides, strict=True):
        for index in range(depth):
            x = block(x, out, stride if index == 0 else 1)
    return x


def head(x, num_classes):
    """The last layer; x is (N, channels)."""
    layer = filled(nn.Linear, x.shape[1], num_classes, dtype=x.dtype)
    return F.linear(x, layer.weight, layer.bias)


def filled_block(submission, *args):
    """The submission's block in float64, filled by shape, in eval mode."""
    net = submission.BasicBlock(*args).double()
    fill_by_shape(net)
    net.eval()
    return net


# BasicBlock


@check("BasicBlock has the parameters of two convolutions and a shortcut", points=2, category="parameters")
def test_block_count(submission):
    expect.equal(
        parameter_count(submission.BasicBlock(64, 64)),
        73_984,
        because="2 × (64·64·9 + 2·64): the shortcut is the identity",
        given="BasicBlock(64, 64)",
        likely={
            "a projection stands where the identity would do": 73_984 + 64 * 64 + 128,
            "the convolutions have biases, which the batch norms make useless": 73_984 + 128,
            "one batch norm serves both convolutions": 73_984 - 128,
        },
    )
    expect.equal(
        parameter_count(submission.BasicBlock(64, 128, 2)),
        230_144,
        because="73,728 + 147,456 in the branch, 8,192 in the projection, 3 × 256 in the norms",
        given="BasicBlock(64, 128, 2)",
        likely={
            "the projection is a 3×3 convolution": 230_144 + 64 * 128 * 8,
            "the projection has no batch norm": 230_144 - 256,
            "the projection has a bias": 230_144 + 128,
            "there is no projection": 230_144 - 8_192 - 256,
        },
    )
    count = parameter_count(submission.BasicBlock(64, 64, 2))
    expect.equal(count, 78_208, because="a stride needs a projection, too", given="BasicBlock(64, 64, 2)")
    expect.equal(submission.BasicBlock.expansion, 1)


@check("BasicBlock keeps or halves the size by its stride", points=1, category="shapes", after=test_block_count)
def test_block_shapes(submission):
    for args, size in (((4, 4), (7, 10)), ((4, 6), (7, 10)), ((4, 6, 2), (4, 5)), ((4, 4, 2), (4, 5))):
        given = f"BasicBlock{args} and x of shape (2, 4, 7, 10)"
        expect.shape(submission.BasicBlock(*args)(torch.randn(2, 4, 7, 10)), (2, args[1], *size), given=given)


@check(
    "BasicBlock adds its input before the last ReLU",
    points=3,
    category="values",
    after=test_block_shapes,
    devices="all",
)
def test_block_values(submission, device):
    x = numbers(2, 4, 7, 6)
    way, short = branch(x, 4), x
    answer = filled_block(submission, 4, 4).to(device)(x.to(device))
    expect.close(
        answer.cpu(),
        F.relu(way + short),
        given="BasicBlock(4, 4) in eval mode, every parameter filled by its shape",
        likely={
            "there is no shortcut": F.relu(way),
            "the ReLU stands before the addition": F.relu(way) + short,
            "no ReLU follows the addition": way + short,
            "the shortcut is added twice": F.relu(way + 2 * short),
            "the input passes a ReLU before it is added": F.relu(way + F.relu(short)),
        },
    )


@check("BasicBlock projects its shortcut where shapes differ", points=2, category="values", after=test_block_values)
def test_block_projection(submission):
    x = numbers(2, 4, 7, 6)
    short = shortcut(x, 6, 2)
    expect.close(
        filled_block(submission, 4, 6, 2)(x),
        block(x, 6, 2),
        given="BasicBlock(4, 6, 2) in eval mode, every parameter filled by its shape",
        likely={
            "the stride is in the second convolution": F.relu(branch(x, 6, 2, late=True) + short),
            "the shortcut passes a ReLU before it is added": F.relu(branch(x, 6, 2) + F.relu(short)),
        },
    )
    for args in ((4, 6), (4, 4, 2)):
        given = f"BasicBlock{args} in eval mode"
        expect.close(filled_block(submission, *args)(x), block(x, *args[1:]), given=given)


@check("BasicBlock leaves its input as it is", points=1, category="robustness", after=test_block_projection)
def test_block_keeps_input(submission):
    x = numbers(2, 4, 7, 6)
    for args in ((4, 4), (4, 6, 2)):
        net = filled_block(submission, *args)
        given = f"BasicBlock{args}"
        expect.close(expect.not_mutated(submission, net, x, given=given), block(x, *args[1:]), given=given)


@check("gradients flow through branch and shortcut", points=1, category="gradients", after=test_block_projection)
def test_block_gradients(submission):
    for args in ((3, 3), (3, 4, 2)):
        net = filled_block(submission, *args)
        given = f"BasicBlock{args} in eval mode"
        expect.gradients(net, [numbers(2, 3, 5, 4, requires_grad=True)], module=net, given=given)


# ResNet: counts and sizes, on meta


@check("ResNet-18 has 11,689,512 parameters", points=2, category="parameters", after=test_block_count)
def test_resnet18_count(submission):
    net = on_meta(submission.resnet18)
    expect.equal(
        parameter_count(net),
        11_689_512,
        because="9,536 in the stem, 11,166,976 in eight blocks, 513,000 in the last layer",
        likely={
            "the fourth stage is missing": 11_689_512 - 8_393_728 - 256_000,
            "the stem's convolution has a bias": 11_689_512 + 64,
            "this is the count of ResNet-34": 21_797_672,
            "every stage has one block only": 5_418_792,
        },
    )
    shapes = [(64, 3, 7, 7), (64,), (64,), (1000, 512), (1000,)]
    for before, out in zip((64, *WIDTHS[:-1]), WIDTHS, strict=True):
        shapes += [(out, before, 3, 3), *[(out, out, 3, 3)] * 3, *[(out,)] * 8]
        shapes += [(out, before, 1, 1), (out,), (out,)] if out != before else []
    expect.parameters(net, shapes=shapes)
    statistics = sum(torch.Size(item["shape"]).numel() for item in buffers(net))
    expect.equal(statistics, 9_620, because="twenty batch norms: 2 × 4,800 statistics and 20 counters")


@check("resnet18 and resnet34 take classes and channels", points=0.5, category="parameters", after=test_resnet18_count)
def test_variant_counts(submission):
    def count(make, **kwargs):
        return parameter_count(on_meta(make, **kwargs))

    expect.equal(
        count(submission.resnet18, num_classes=10),
        11_181_642,
        given="resnet18(num_classes=10)",
        likely={"num_classes is ignored": 11_689_512},
    )
    given = "resnet18(num_classes=10, in_channels=1)"
    expect.equal(count(submission.resnet18, num_classes=10, in_channels=1), 11_181_642 - 128 * 49, given=given)
    expect.equal(
        count(submission.resnet34),
        21_797_672,
        given="resnet34()",
        likely={"this is the count of ResNet-18": 11_689_512},
    )


@check("ResNet builds each stage as deep as layers says", points=1.5, category="parameters", after=test_block_count)
def test_depths(submission):
    def count(layers):
        return parameter_count(on_meta(submission.ResNet, submission.BasicBlock, layers, num_classes=10))

    base = count([1, 1, 1, 1])
    expect.equal(
        base,
        4_910_922,
        because="stages of 73,984, 230,144, 919,040 and 3,673,088",
        given="ResNet(BasicBlock, [1, 1, 1, 1], num_classes=10)",
        likely={"layers is ignored, every stage has two blocks": 11_181_642},
    )
    for stage, size in enumerate((73_984, 295_424, 1_180_672, 4_720_640)):
        layers = [3 if index == stage else 1 for index in range(4)]
        given = f"two more blocks in stage {stage + 1}: layers={layers}"
        expect.equal(count(layers) - base, 2 * size, because=f"{size:,} for each block", given=given)


@check("ResNet builds on any block, its expansion included", points=0.5, category="parameters", after=test_depths)
def test_other_block(submission):
    net = submission.probes.wide_resnet(submission.ResNet, [1, 2, 1, 1], 10)
    net.eval()
    rows = feature_maps(net, torch.randn(2, 3, 32, 32))
    made = [tuple(item["shape"]) for item in rows if item["type"] == "WideBlock"]
    given = "blocks of 1×1 convolutions with expansion = 2, layers=[1, 2, 1, 1] and images of 32 × 32"
    expected = [(2, 128, 8, 8), (2, 256, 4, 4), (2, 256, 4, 4), (2, 512, 2, 2), (2, 1024, 1, 1)]
    expect.equal(made, expected, given=given)
    expect.equal(tuple(rows[0]["shape"]), (2, 10), given=given)


@check("ResNet-18's feature maps shrink from 224 to 7", points=1.5, category="shapes", after=test_resnet18_count)
def test_feature_maps(submission):
    net = on_meta(submission.resnet18)
    net.eval()
    for size, sizes in ((224, (112, 56, 28, 14, 7)), (28, (14, 7, 4, 2, 1)), (96, (48, 24, 12, 6, 3))):
        rows = feature_maps(net, torch.zeros(1, 3, size, size))
        given = f"the outputs of the convolutions for {size} × {size}"
        found = sorted(tuple(item["shape"][1:]) for item in rows if item["type"] == "Conv2d")
        stem_size, *stage_sizes = sizes
        expected = [(64, stem_size, stem_size)]
        for out, side in zip(WIDTHS, stage_sizes, strict=True):
            expected += [(out, side, side)] * (4 if out == 64 else 5)
        expect.equal(found, sorted(expected), given=given)


@check("ResNet takes images of any size from 28×28 on", points=1, category="shapes", after=test_resnet18_count)
def test_any_size(submission):
    net = submission.ResNet(submission.BasicBlock, [1, 1, 1, 1], num_classes=5)
    net.eval()
    for height, width in ((28, 28), (32, 32), (64, 64), (96, 64), (45, 70), (224, 224)):
        given = f"images of {height} × {width}"
        expect.shape(net(torch.randn(1, 3, height, width)), (1, 5), given=given)


# ResNet: the function


@check(
    "ResNet computes what the architecture says",
    points=3,
    category="values",
    after=[test_depths, test_block_projection, test_any_size],
)
def test_values(submission):
    layers = [1, 2, 1, 1]
    net = submission.ResNet(submission.BasicBlock, layers, num_classes=10)
    fill_by_shape(net)
    net.eval()
    x = torch.randn(2, 3, 64, 64)
    maps = stages(stem(x), layers)
    truth = head(maps.mean((2, 3)), 10)
    # float32: right networks differ by 1e-6 of the largest logit, slips by 4e-2
    expect.close(
        net(x),
        truth,
        rtol=1e-3,
        atol=1e-3 * float(truth.abs().max()),
        given=f"ResNet(BasicBlock, {layers}, num_classes=10) in eval mode, every parameter filled by its shape",
        likely={
            "a softmax stands at the end": truth.softmax(1),
            "the largest value is taken over height and width, not the mean": head(maps.amax((2, 3)), 10),
            "the stem's max-pool does not pad": logits_after(stem(x, padding=0), layers),
            "the stem has no max-pool": logits_after(stem(x, pool=False), layers),
            "no ReLU follows the stem's batch norm": logits_after(stem(x, bend=lambda y: y), layers),
            "the fourth stage does not halve the size": logits_after(stem(x), layers, (1, 2, 2, 1)),
        },
    )


def logits_after(x, layers, strides=(1, 2, 2, 2)):
    return head(stages(x, layers, strides).mean((2, 3)), 10)


@check(
    "resnet18 computes what ResNet-18 computes",
    points=1.5,
    category="values",
    after=[test_values, test_resnet18_count],
    devices="all",
)
def test_resnet18_values(submission, device):
    net = submission.resnet18(num_classes=10)
    fill_by_shape(net)
    net.eval()
    x = torch.randn(2, 3, 96, 64)
    truth = logits_after(stem(x), [2, 2, 2, 2])
    answer = net.to(device)(x.to(device))
    atol = 1e-3 * float(truth.abs().max())
    expect.close(answer.cpu(), truth, rtol=1e-3, atol=atol, given="resnet18(num_classes=10) in eval mode")


@check("gradients reach every parameter, the stem included", points=0.5, category="gradients", after=test_any_size)
def test_gradients(submission):
    net = submission.resnet18(num_classes=5)
    fill_by_shape(net)  # blocks that start as their shortcuts would pass nothing to their branches
    x = torch.randn(2, 3, 64, 64, requires_grad=True)
    expect.gradient_flow(net(x), x, module=net)


@check("ResNet takes channels_last images", points=0.5, category="devices", after=test_any_size)
def test_channels_last(submission):
    net = submission.ResNet(submission.BasicBlock, [1, 1, 1, 1], num_classes=5)
    net.eval()
    x = torch.randn(2, 3, 64, 64)
    answer = submission.probes.channels_last(net, x)
    truth = net(x)
    expect.shape(truth, (2, 5))
    expect.close(answer, truth.detach(), rtol=1e-4, atol=1e-4, given="network and images in channels_last")


@check("ResNet-18 is built on meta, without memory", points=0.5, category="devices", after=test_block_count)
def test_meta(submission):
    devices = sorted({str(p.device) for p in on_meta(submission.resnet18).parameters()})
    expect.equal(devices, ["meta"], given="the devices of its parameters")


@check("ResNet moves to another device as a whole", points=0.5, category="devices", after=test_any_size)
def test_portable(submission):
    net = submission.ResNet(submission.BasicBlock, [1, 1, 1, 1], num_classes=5)
    expect.portable(net, torch.randn(2, 3, 32, 32))


OWN_NETWORKS = Rule(
    of=("BasicBlock", "ResNet", "resnet18", "resnet34"),
    names=("torchvision", "torch.hub"),
    instead="layers of torch.nn",
)


@check(
    "the networks are built without torchvision",
    points=0.5,
    category="rules",
    after=test_block_count,
    gates=OWN_NETWORKS,
)
def test_rule(submission):
    expect.avoids(submission.BasicBlock, rule=OWN_NETWORKS)


# zero_init_residual


@check(
    "zero_init_residual makes blocks start as their shortcuts", points=1.5, category="values", after=test_block_values
)
def test_zero_init(submission):
    x = numbers(2, 4, 7, 6)
    same = submission.BasicBlock(4, 4).double()
    submission.zero_init_residual(same)
    for mode in (True, False):
        same.train(mode)
        expect.close(
            same(x),
            F.relu(x),
            given=f"BasicBlock(4, 4) with train({mode})",
            likely={"the block is the identity, without its last ReLU": x, "the shortcut is cut off, too": 0 * x},
        )
    other = filled_block(submission, 4, 6, 2)
    submission.zero_init_residual(other)
    other.eval()
    expect.close(
        other(x),
        F.relu(shortcut(x, 6, 2)),
        given="BasicBlock(4, 6, 2) in eval mode, filled by shape before",
        likely={
            "the projection's batch norm is zeroed, not the branch's": F.relu(branch(x, 6, 2)),
            "the scale is zeroed and the shift is not": F.relu(shortcut(x, 6, 2) + shift(6)),
        },
    )


def shift(out):
    """The shift of a batch norm that was filled by shape, for (N, out, H, W)."""
    return filled(nn.BatchNorm2d, out, dtype=torch.float64).bias[:, None, None]


@check(
    "zero_init_residual changes one norm in each block",
    points=0.5,
    category="parameters",
    after=[test_zero_init, test_depths],
)
def test_zero_init_only(submission):
    net = submission.ResNet(submission.BasicBlock, [1, 2, 1, 1], num_classes=10)
    fill_by_shape(net)
    before = parameter_values(net)
    submission.zero_init_residual(net)
    after = parameter_values(net)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    widths = sorted(len(after[name]) for name in changed if after[name].dim() == 1)
    expect.equal(
        widths,
        [64, 64, 128, 128, 128, 128, 256, 256, 512, 512],
        because="scale and shift of the last batch norm in each of five blocks",
        given="the sizes of what changed in ResNet(BasicBlock, [1, 2, 1, 1])",
        likely={
            "nothing changed": [],
            "every batch norm of the blocks is zeroed": sorted([64, 128, 128, 256, 512] * 4 + [128, 256, 512] * 2),
        },
    )
    expect.equal([name for name in changed if after[name].dim() != 1], [], because="convolutions stay as they are")
    expect.equal([name for name in changed if bool(after[name].any())], [], because="what changed is zero")


@check("a zeroed block passes gradients where x is positive", points=0.5, category="gradients", after=test_zero_init)
def test_zero_init_gradient(submission):
    net = submission.BasicBlock(4, 4).double()
    submission.zero_init_residual(net)
    x = numbers(2, 4, 7, 6, requires_grad=True)
    cotangent = numbers(2, 4, 7, 6)
    (gradient,) = torch.autograd.grad((net(x) * cotangent).sum(), x)
    expect.close(gradient, cotangent * (x > 0), given="a random gradient at the output of BasicBlock(4, 4)")


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


@check("layer_summary has one row for each layer, in order", points=1.5, category="shapes")
def test_summary(submission):
    rows = [
        row("first", "Conv2d", (4, 8, 10), 108),
        row("norm", "BatchNorm2d", (4, 8, 10), 8),
        row("bend", "ReLU", (4, 8, 10), 0),
        row("second", "Conv2d", (4, 8, 10), 144),
        row("last", "Linear", (7,), 35),
    ]
    with_batch = [{**item, "output_shape": (1, *item["output_shape"])} for item in rows]
    with_buffers = [{**item, "num_params": 17} if item["num_params"] == 8 else item for item in rows]
    twice = [*rows[:4], row("norm", "BatchNorm2d", (4, 8, 10), 8), row("bend", "ReLU", (4, 8, 10), 0), rows[4]]
    expect.equal(
        tidy(submission.layer_summary(submission.probes.small_residual(), (3, 10, 12))),
        rows,
        given="a network that is registered in another order than called, with norm and ReLU called twice",
        likely={
            "the batch axis is part of the shapes": with_batch,
            "buffers, such as running means, are counted as parameters": with_buffers,
            "a layer that is called twice has two rows": twice,
            "the rows are in the order of registration": [rows[4], rows[2], rows[3], rows[1], rows[0]],
        },
    )
    double = tidy(submission.layer_summary(submission.probes.small_residual().double(), (3, 10, 12)))
    expect.equal(double, rows, given="the same network in float64")


@check(
    "layer_summary reports ResNet-18 without memory",
    points=1,
    category="shapes",
    after=[test_summary, test_feature_maps],
)
def test_summary_resnet18(submission):
    rows = tidy(submission.layer_summary(on_meta(submission.resnet18)))
    found = sorted((item["output_shape"], item["num_params"]) for item in rows if item["type"] in ("Conv2d", "Linear"))
    expect.equal(
        found,
        sorted(
            [
                ((64, 112, 112), 9_408),
                *[((64, 56, 56), 36_864)] * 4,
                *[((128, 28, 28), size) for size in (73_728, 147_456, 147_456, 147_456, 8_192)],
                *[((256, 14, 14), size) for size in (294_912, 589_824, 589_824, 589_824, 32_768)],
                *[((512, 7, 7), size) for size in (1_179_648, 2_359_296, 2_359_296, 2_359_296, 131_072)],
                ((1000,), 513_000),
            ]
        ),
        given="convolutions and the last layer of resnet18() on meta, with the default input_size",
    )
    total = sum(item["num_params"] for item in rows)
    expect.equal(total, 11_689_512, because="the rows add up to the whole network")


@check("layer_summary leaves no trace", points=1, category="robustness", after=test_summary)
def test_summary_traces(submission):
    expect.equal(
        traces_left(submission.layer_summary, submission.probes.toy("Detour"), (3, 10, 12)),
        [],
        given="what changed in a training model with a frozen part, gradients and a hook of its own",
        likely={
            "the modes are not put back one by one: they may differ between modules": ["modes"],
            "the pass ran in training mode: batch norm moved its statistics": ["buffers"],
            "hooks are left behind, or those of others are taken away": ["hooks"],
            "the input is drawn at random, which advances the generator": ["random generator"],
        },
    )
