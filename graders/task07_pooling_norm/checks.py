"""Checks for task 07: pooling and normalisation layers, by hand.

The oracles are PyTorch's own functions; the values of likely mistakes come from the mistaken formula, written
out. Inputs are small and odd on purpose: N - 1 for N, a forgotten eps or a swapped axis shows on few values.
"""

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import Rule, check, expect, operator_growth, parameter_count

KINDS = ("max", "avg", "lp", "adaptive_max", "adaptive_avg", "fractional_max")
POOLING = [f"{kind}_pool{axes}d" for kind in KINDS for axes in (1, 2, 3)]
POOLING += ["max_pool2d_with_indices", "max_pool3d_with_indices"]
NORMALISATION = ["batch_norm", "layer_norm", "instance_norm", "group_norm", "rms_norm"]
NORMALISATION += ["native_batch_norm", "native_layer_norm", "native_group_norm"]


def distinct(*shape, dtype=torch.float32):
    """The numbers 1, 2, 3, ... in random order: no two cells are equal, none is zero."""
    count = torch.Size(shape).numel()
    return (torch.randperm(count) + 1).reshape(shape).to(dtype)


def standardised(x, axes, eps=1e-5, correction=0):
    """The textbook formula, in the dtype of x."""
    centred = x - x.mean(axes, keepdim=True)
    count = torch.Size([x.shape[axis] for axis in axes]).numel()
    variance = centred.square().sum(axes, keepdim=True) / (count - correction)
    return centred / torch.sqrt(variance + eps)


def load(layer, **state):
    """Overwrite some entries of a layer's state_dict."""
    layer.load_state_dict({**layer.state_dict(), **state})
    return layer


def four_layers(submission, **settings):
    """Name, layer and the axes of its statistics, for each layer in turn; x is (N, 4, 3, 5)."""
    yield "BatchNorm2d(4)", submission.BatchNorm2d(4, **settings), (0, 2, 3)
    yield "LayerNorm((4, 3, 5))", submission.LayerNorm((4, 3, 5), **settings), (1, 2, 3)
    yield "InstanceNorm2d(4)", submission.InstanceNorm2d(4, **settings), (2, 3)
    yield "GroupNorm(1, 4)", submission.GroupNorm(1, 4, **settings), (1, 2, 3)


# --- pooling -------------------------------------------------------------------------------------------


def expect_pooled_sizes(pool):
    x = torch.randn(4, 3, 50, 32)
    expect.shape(pool(x, 3, stride=2), (4, 3, 24, 15), given="a (4, 3, 50, 32) input, window 3, stride 2")
    expect.shape(
        pool(x, (3, 2), stride=(2, 1)),
        (4, 3, 24, 31),
        given="a (4, 3, 50, 32) input, window (3, 2), stride (2, 1)",
        likely={"rows and columns are swapped": (4, 3, 49, 15)},
    )
    x = torch.randn(2, 3, 9, 5)
    expect.shape(
        pool(x, 3),
        (2, 3, 3, 1),
        given="9 x 5 maps, window 3, no stride",
        likely={"the stride defaults to 1, not to the size of the window": (2, 3, 7, 3)},
    )
    expect.shape(
        pool(x, 2, ceil_mode=True),
        (2, 3, 5, 3),
        given="9 x 5 maps, window 2, ceil_mode",
        likely={"ceil_mode is left out": (2, 3, 4, 2)},
    )
    expect.shape(
        pool(x, 2, padding=1, ceil_mode=True),
        (2, 3, 5, 3),
        given="9 x 5 maps, window 2, padding 1, ceil_mode",
        likely={"a last window that sees nothing but padding is kept": (2, 3, 6, 4)},
    )


@check("max_pool2d returns maps of the right size", points=0.5, category="shapes")
def test_max_pool_shape(submission):
    expect_pooled_sizes(submission.max_pool2d)


@check(
    "max_pool2d takes the maximum of each window of each channel",
    points=1,
    category="values",
    after=test_max_pool_shape,
    devices="all",
)
def test_max_pool_values(submission, device):
    x = torch.tensor([[1.0, 3, 2, 1], [2, 9, 1, 1], [1, 3, 2, 3], [5, 6, 1, 2]], device=device).reshape(1, 1, 4, 4)
    expect.close(
        submission.max_pool2d(x, 2),
        torch.tensor([[9.0, 2], [6, 3]], device=device).reshape(1, 1, 2, 2),
        given="the map 1 3 2 1 / 2 9 1 1 / 1 3 2 3 / 5 6 1 2, window 2",
        likely={"this is the mean of each window": F.avg_pool2d(x, 2)},
    )
    x = distinct(2, 3, 7, 5).to(device)
    window = {"kernel_size": (2, 3), "stride": (2, 1)}
    expect.close(
        submission.max_pool2d(x, **window, dilation=(3, 2)),
        F.max_pool2d(x, **window, dilation=(3, 2)),
        given="2 x 3 maps of 7 x 5, window (2, 3), stride (2, 1), dilation (3, 2)",
        likely={
            "the dilation is left out": F.max_pool2d(x, **window),
            "the window reaches into the other channels": F.max_pool2d(x, **window, dilation=(3, 2))
            .amax(1, keepdim=True)
            .expand(-1, 3, -1, -1),
        },
    )


@check(
    "max_pool2d pads with minus infinity, so maps may be negative",
    points=1,
    category="values",
    after=test_max_pool_values,
    devices="all",
)
def test_max_pool_padding(submission, device):
    x = -distinct(2, 3, 5, 4).to(device)
    window = {"kernel_size": 3, "stride": 2}
    expect.close(
        submission.max_pool2d(x, **window, padding=1),
        F.max_pool2d(x, **window, padding=1),
        given="5 x 4 maps of negative values, window 3, stride 2, padding 1",
        likely={"the padding is 0, not minus infinity": F.max_pool2d(F.pad(x, (1, 1, 1, 1)), **window)},
    )
    window = {"kernel_size": (2, 3), "stride": (1, 2)}
    expect.close(
        submission.max_pool2d(x, **window, padding=(1, 0), ceil_mode=True),
        F.max_pool2d(x, **window, padding=(1, 0), ceil_mode=True),
        given="5 x 4 maps of negative values, window (2, 3), stride (1, 2), padding (1, 0), ceil_mode",
        likely={
            "the cells that ceil_mode adds are 0, not minus infinity": F.max_pool2d(
                F.pad(F.pad(x, (0, 0, 1, 1), value=float("-inf")), (0, 1, 0, 0)), **window
            )
        },
    )


@check(
    "max_pool2d returns each maximum's place in its unpadded map",
    points=1,
    category="values",
    after=test_max_pool_values,
    devices="all",
)
def test_max_pool_indices(submission, device):
    x = distinct(2, 3, 5, 7).to(device)
    window = {"kernel_size": (3, 2), "stride": (2, 1), "dilation": (1, 2)}
    values, indices = F.max_pool2d(x, **window, padding=1, return_indices=True)
    padded = F.pad(x, (1, 1, 1, 1), value=float("-inf"))
    first_row = torch.arange(values.shape[2], device=device)[:, None] * 2 - 1  # of each window
    first_column = torch.arange(values.shape[3], device=device) - 1
    in_window = (indices // 7 - first_row) * 2 + (indices % 7 - first_column) // 2
    in_padded_map = F.max_pool2d(padded, **window, return_indices=True)[1]
    in_batch = indices + torch.arange(6, device=device).reshape(2, 3, 1, 1) * 35
    expect.close(
        submission.max_pool2d(x, **window, padding=1, return_indices=True),
        (values, indices),
        given="5 x 7 maps, window (3, 2), stride (2, 1), dilation (1, 2), padding 1",
        likely={
            "the index counts the cells of the window": (values, in_window),
            "the index counts the cells of the padded map": (values, in_padded_map),
            "the index counts through the whole batch, not through its own map": (values, in_batch),
        },
    )


@check("avg_pool2d returns maps of the right size", points=0.5, category="shapes")
def test_avg_pool_shape(submission):
    expect_pooled_sizes(submission.avg_pool2d)


@check(
    "avg_pool2d takes the mean of each window of each channel",
    points=1,
    category="values",
    after=test_avg_pool_shape,
    devices="all",
)
def test_avg_pool_values(submission, device):
    x = torch.tensor([[1.0, 3, 2, 1], [2, 9, 1, 1], [1, 4, 2, 3], [5, 6, 1, 2]], device=device).reshape(1, 1, 4, 4)
    expect.close(
        submission.avg_pool2d(x, 2),
        torch.tensor([[3.75, 1.25], [4, 2]], device=device).reshape(1, 1, 2, 2),
        given="the map 1 3 2 1 / 2 9 1 1 / 1 4 2 3 / 5 6 1 2, window 2",
        likely={"this is the sum of each window": F.avg_pool2d(x, 2, divisor_override=1)},
    )
    x = torch.randn(2, 3, 7, 5, device=device)
    window = {"kernel_size": (3, 2), "stride": (1, 2)}
    expected = F.avg_pool2d(x, **window)
    expect.close(
        submission.avg_pool2d(x, **window),
        expected,
        given="2 x 3 maps of 7 x 5, window (3, 2), stride (1, 2)",
        likely={
            "the divisor is the square of one side of the window": F.avg_pool2d(x, **window, divisor_override=9),
            "the window reaches into the other channels": expected.mean(1, keepdim=True).expand(-1, 3, -1, -1),
        },
    )


@check(
    "avg_pool2d counts padded cells exactly when it is told to",
    points=1,
    category="values",
    after=test_avg_pool_values,
    devices="all",
)
def test_avg_pool_padding(submission, device):
    x = torch.tensor([[4.0, 8], [12, 16]], device=device).reshape(1, 1, 2, 2)
    expect.close(
        submission.avg_pool2d(x, 2, padding=1),
        torch.tensor([[1.0, 2], [3, 4]], device=device).reshape(1, 1, 2, 2),
        given="the map 4 8 / 12 16, window 2, padding 1",
        likely={"the divisor leaves the padded cells out": x},
    )
    x = distinct(2, 3, 4, 5).to(device)
    window = {"kernel_size": 3, "stride": 2, "padding": 1}
    expect.close(
        submission.avg_pool2d(x, **window, count_include_pad=False),
        F.avg_pool2d(x, **window, count_include_pad=False),
        given="4 x 5 maps, window 3, stride 2, padding 1, count_include_pad=False",
        likely={"the divisor counts the padded cells, too": F.avg_pool2d(x, **window)},
    )
    expect.close(
        submission.avg_pool2d(x, **window, ceil_mode=True),
        F.avg_pool2d(x, **window, ceil_mode=True),
        given="4 x 5 maps, window 3, stride 2, padding 1, ceil_mode",
        likely={
            "the divisor counts cells beyond the padded map": F.avg_pool2d(
                x, **window, ceil_mode=True, divisor_override=9
            )
        },
    )


@check("adaptive_avg_pool2d covers the whole map with windows", points=1, category="values", devices="all")
def test_adaptive(submission, device):
    x = torch.randn(2, 3, 7, 5, device=device)
    rows = torch.stack([x[:, :, a:b].mean(2) for a, b in ((0, 2), (2, 4), (4, 7))], 2)  # no overlap
    expect.close(
        submission.adaptive_avg_pool2d(x, (3, 2)),
        F.adaptive_avg_pool2d(x, (3, 2)),
        given="7 x 5 maps to 3 x 2",
        likely={
            "the windows have equal size and the rest of the map is left out": F.avg_pool2d(x, 2)[..., :3, :2],
            "a window ends where the next one starts: ends are rounded up, they overlap": torch.stack(
                [rows[..., :2].mean(3), rows[..., 2:].mean(3)], 3
            ),
        },
    )
    expect.close(submission.adaptive_avg_pool2d(x, 3), F.adaptive_avg_pool2d(x, 3), given="7 x 5 maps to 3 x 3")
    expect.close(
        submission.adaptive_avg_pool2d(x, (9, 1)),
        F.adaptive_avg_pool2d(x, (9, 1)),
        given="7 x 5 maps to 9 x 1, more rows than there are",
    )


@check("lp_pool2d runs from the sum (p = 1) towards the maximum", points=1, category="values", devices="all")
def test_lp_pool(submission, device):
    x = torch.randn(2, 3, 7, 5, device=device)
    expected = F.lp_pool2d(x, 2, (3, 2), stride=(1, 2))
    expect.close(
        submission.lp_pool2d(x, 2, (3, 2), stride=(1, 2)),
        expected,
        given="7 x 5 maps of both signs, p = 2, window (3, 2), stride (1, 2)",
        likely={
            "the p-th root is missing": expected.square(),
            "the powers are averaged, not added": expected / 6**0.5,
        },
    )
    x = torch.tensor([[1.0, 2], [3, 4]], device=device).reshape(1, 1, 2, 2)
    for p, norm in ((1, 10.0), (2, 30**0.5), (20, 4.000633)):
        expected = torch.full((1, 1, 1, 1), norm, device=device)
        expect.close(submission.lp_pool2d(x, p, 2), expected, given=f"the map 1 2 / 3 4, window 2, p = {p}")


@check(
    "gradients flow through every pooling function",
    points=1,
    category="gradients",
    after=[test_max_pool_values, test_avg_pool_values, test_adaptive, test_lp_pool],
)
def test_pool_gradients(submission):
    x = (distinct(1, 2, 5, 4, dtype=torch.float64) / 10).requires_grad_()
    expect.gradients(submission.max_pool2d, (x, 3, 2), given="max_pool2d")
    expect.gradients(submission.avg_pool2d, (x, 3, 2), given="avg_pool2d")
    expect.gradients(submission.adaptive_avg_pool2d, (x, 3), given="adaptive_avg_pool2d")
    expect.gradients(submission.lp_pool2d, (x, 3, 2), given="lp_pool2d")


POOLING_BY_HAND = Rule(
    of=("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "lp_pool2d"),
    functions=POOLING,
    instead="pad, unfold or slices, then amax and sum",
)


@check("pooling is written without PyTorch's pooling", points=1.5, category="rules", gates=POOLING_BY_HAND)
def test_pool_rules(submission):
    x = torch.randn(1, 2, 6, 5)
    for name, arguments in (
        ("max_pool2d", (2,)),
        ("avg_pool2d", (2,)),
        ("adaptive_avg_pool2d", (2,)),
        ("lp_pool2d", (2, 2)),
    ):
        expect.avoids(getattr(submission, name), x, *arguments, rule=POOLING_BY_HAND, given=name)


# --- batch norm ----------------------------------------------------------------------------------------


@check("BatchNorm2d(4) has 8 parameters", points=0.5, category="parameters")
def test_batch_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.BatchNorm2d(4)),
        8,
        given="BatchNorm2d(4)",
        because="4 weights + 4 biases",
        likely={
            "the running statistics are parameters: they should be buffers": 16,
            "weight and bias are plain tensors: they should be nn.Parameter": 0,
        },
    )


@check(
    "BatchNorm2d exchanges its state_dict with nn.BatchNorm2d",
    points=0.5,
    category="parameters",
    after=test_batch_norm_parameters,
)
def test_state_dict(submission):
    layer, reference = submission.BatchNorm2d(3), nn.BatchNorm2d(3)
    expect.state_dict_keys(layer, list(reference.state_dict()))
    expect.close(layer.state_dict(), dict(reference.state_dict()), trivial="how torch.nn starts: zeros and ones")
    state = {
        "weight": torch.randn(3),
        "bias": torch.randn(3),
        "running_mean": torch.randn(3),
        "running_var": torch.rand(3) + 0.5,
        "num_batches_tracked": torch.tensor(7),
    }
    layer.load_state_dict(state)
    expect.close(layer.state_dict(), state, trivial="what was loaded must come back")


@check(
    "BatchNorm2d normalises each channel over batch and map",
    points=1.5,
    category="values",
    devices="all",
)
def test_batch_norm_values(submission, device):
    x = torch.randn(2, 4, 3, 5, device=device) * 30 + 10
    channels = (0, 2, 3)
    expect.close(
        submission.BatchNorm2d(4).to(device)(x),
        F.batch_norm(x, None, None, training=True),
        given="a (2, 4, 3, 5) batch in training mode",
        likely={
            "the variance divides by N - 1, not by N": standardised(x, channels, correction=1),
            "the statistics run over the batch only, not over the map": standardised(x, (0,)),
            "the statistics run over the map only: this is instance norm": standardised(x, (2, 3)),
            "the values are divided by the variance, not by its root": (x - x.mean(channels, keepdim=True))
            / (x.var(channels, correction=0, keepdim=True) + 1e-5),
        },
    )


@check(
    "BatchNorm2d tracks the unbiased variance with its momentum",
    points=1,
    category="values",
    after=test_state_dict,
    devices="all",
)
def test_running_example(submission, device):
    x = torch.tensor([[1.0, 2, 3, 4], [1, 1, 1, 9]], device=device).reshape(1, 2, 2, 2)
    layer = submission.BatchNorm2d(2).to(device)
    layer(x)
    state = layer.state_dict()
    given = "one training step on the channels 1 2 3 4 and 1 1 1 9, momentum 0.1"
    expect.close(
        state["running_mean"],
        torch.tensor([0.25, 0.3], device=device),
        given=given,
        likely={"momentum is the share of the new value, not of the old one": torch.tensor([2.25, 2.7], device=device)},
    )
    expect.close(
        state["running_var"],
        torch.tensor([0.9 + 0.1 * 5 / 3, 2.5], device=device),
        given=given,
        likely={
            "running_var follows the biased variance": torch.tensor([1.025, 2.1], device=device),
            "the new variance is added, and the old one does not shrink": torch.tensor(
                [1 + 0.1 * 5 / 3, 2.6], device=device
            ),
        },
    )


@check(
    "BatchNorm2d tracks three batches of different sizes",
    points=0.5,
    category="values",
    after=test_running_example,
)
def test_running_batches(submission):
    layer, reference = submission.BatchNorm2d(3, momentum=0.3), nn.BatchNorm2d(3, momentum=0.3)
    for size in (3, 2, 1):
        x = torch.randn(size, 3, 2, 3) * 2 + 1
        layer(x)
        reference(x)
    state = layer.state_dict()
    given = "batches of 3, 2 and 1 samples, momentum 0.3"
    expect.close(state["running_mean"], reference.running_mean, given=given)
    expect.close(state["running_var"], reference.running_var, given=given)
    expect.equal(
        state["num_batches_tracked"].item(),
        3,
        given=given,
        likely={
            "num_batches_tracked is never raised": 0,
            "num_batches_tracked counts samples, not batches": 6,
        },
    )


@check(
    "BatchNorm2d in eval mode uses its running statistics",
    points=1,
    category="values",
    after=test_state_dict,
    devices="all",
)
def test_eval(submission, device):
    x = torch.randn(1, 3, 2, 3, device=device)
    mean, var = torch.randn(3, device=device), torch.rand(3, device=device) + 0.5
    layer = load(submission.BatchNorm2d(3, eps=0.1).to(device), running_mean=mean.cpu(), running_var=var.cpu())
    layer.eval()
    expect.close(
        layer(x),
        F.batch_norm(x, mean, var, eps=0.1),
        given="one sample in eval mode",
        likely={"eval mode uses the statistics of the batch": F.batch_norm(x, None, None, training=True, eps=0.1)},
    )


@check("BatchNorm2d in eval mode leaves its statistics alone", points=0.5, category="values", after=test_eval)
def test_eval_frozen(submission):
    layer = submission.BatchNorm2d(3)
    layer(torch.randn(2, 3, 2, 3) + 5)
    before = layer.state_dict()
    layer.eval()
    layer(torch.randn(2, 3, 2, 3) - 5)
    expect.close(
        layer.state_dict(),
        before,
        given="a training step, then a call in eval mode",
        trivial="the state must be the one that was there before",
    )


@check(
    "BatchNorm2d without running statistics always uses the batch",
    points=0.5,
    category="values",
    after=test_batch_norm_values,
)
def test_untracked(submission):
    layer = submission.BatchNorm2d(3, affine=False, track_running_stats=False)
    expect.state_dict_keys(layer, [])
    layer.eval()
    x = torch.randn(2, 3, 2, 5) * 30 + 10
    expect.close(layer(x), F.batch_norm(x, None, None, training=True), given="track_running_stats=False, eval mode")


@check("BatchNorm2d refuses to train on one value per channel", points=0.5, category="robustness")
def test_single_value(submission):
    layer = submission.BatchNorm2d(3)
    x = torch.randn(1, 3, 1, 1)
    expect.raises(("ValueError",), layer, x)
    expect.shape(layer(torch.randn(1, 3, 1, 2)), (1, 3, 1, 2), given="one sample with two cells in training mode")
    layer.eval()
    expect.shape(layer(x), (1, 3, 1, 1), given="one value per channel in eval mode")


@check(
    "BatchNorm2d tracks its statistics under no_grad, too",
    points=0.5,
    category="robustness",
    after=test_running_example,
)
def test_no_grad(submission):
    x = torch.randn(2, 3, 2, 5) + 3
    layer, reference = submission.BatchNorm2d(3), nn.BatchNorm2d(3)
    submission.probes.without_grad(layer, x)
    reference(x)
    expect.close(
        layer.state_dict()["running_mean"],
        reference.running_mean,
        given="a training step inside torch.no_grad()",
        likely={"nothing is remembered while gradients are switched off": torch.zeros(3)},
    )


@check("the running statistics carry no graph", points=0.5, category="gradients", after=test_running_example)
def test_no_graph(submission):
    layer = submission.BatchNorm2d(3)
    layer(torch.randn(2, 3, 2, 5, requires_grad=True))
    expect.equal(
        submission.probes.buffers_with_a_graph(layer),
        [],
        given="the buffers that require gradients after a training step",
        likely={
            "every step stays in memory with its graph: update under torch.no_grad()": [
                "running_mean",
                "running_var",
            ]
        },
    )


# --- layer, instance and group norm --------------------------------------------------------------------


@check("LayerNorm((6, 5, 5)) has 300 parameters", points=0.5, category="parameters")
def test_layer_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.LayerNorm((6, 5, 5))),
        300,
        given="LayerNorm((6, 5, 5))",
        because="6 x 5 x 5 weights and as many biases",
        likely={"LayerNorm has a weight for every position, not for every channel": 12},
    )


@check(
    "LayerNorm normalises each sample over all its last axes",
    points=1,
    category="values",
    after=test_layer_norm_parameters,
    devices="all",
)
def test_layer_norm(submission, device):
    x = torch.randn(2, 4, 3, 5, device=device) * 30 + 10
    expect.close(
        submission.LayerNorm((4, 3, 5)).to(device)(x),
        F.layer_norm(x, (4, 3, 5)),
        given="LayerNorm((4, 3, 5)) on a (2, 4, 3, 5) batch",
        likely={
            "the statistics run over the channels only": standardised(x, (1,)),
            "the statistics run over the last axis only": standardised(x, (3,)),
            "the variance divides by N - 1, not by N": standardised(x, (1, 2, 3), correction=1),
        },
    )
    words = torch.randn(2, 3, 7, device=device) * 30
    state = {"weight": torch.randn(7), "bias": torch.randn(7)}
    expect.close(
        load(submission.LayerNorm(7).to(device), **state)(words),
        F.layer_norm(words, (7,), state["weight"].to(device), state["bias"].to(device)),
        given="LayerNorm(7) with weights on a (2, 3, 7) batch",
    )


@check("InstanceNorm2d(4) has no parameters", points=0.5, category="parameters")
def test_instance_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.InstanceNorm2d(4)),
        0,
        given="InstanceNorm2d(4)",
        because="affine is False unless it is asked for",
        likely={"affine defaults to True": 8},
    )
    expect.equal(parameter_count(submission.InstanceNorm2d(4, affine=True)), 8, given="InstanceNorm2d(4, affine=True)")


@check(
    "InstanceNorm2d normalises each map by itself",
    points=1,
    category="values",
    after=test_instance_norm_parameters,
    devices="all",
)
def test_instance_norm(submission, device):
    x = torch.randn(2, 4, 3, 5, device=device) * 30 + 10
    layer = submission.InstanceNorm2d(4).to(device)
    given = "a (2, 4, 3, 5) batch"
    expect.close(
        layer(x),
        F.instance_norm(x),
        given=given,
        likely={
            "the statistics run over the batch, too: this is batch norm": standardised(x, (0, 2, 3)),
            "the statistics run over the channels, too: this is layer norm": standardised(x, (1, 2, 3)),
            "the variance divides by N - 1, not by N": standardised(x, (2, 3), correction=1),
        },
    )
    layer.eval()
    expect.close(layer(x), F.instance_norm(x), given=f"{given} in eval mode")


@check("GroupNorm(2, 4) has 8 parameters", points=0.5, category="parameters")
def test_group_norm_parameters(submission):
    expect.equal(
        parameter_count(submission.GroupNorm(2, 4)),
        8,
        given="GroupNorm(2, 4)",
        because="a weight and a bias for each of 4 channels",
        likely={"GroupNorm has a weight for every channel, not for every group": 4},
    )


@check(
    "GroupNorm normalises blocks of neighbouring channels",
    points=1,
    category="values",
    after=test_group_norm_parameters,
    devices="all",
)
def test_group_norm(submission, device):
    x = (torch.randn(2, 6, 3, 5) * torch.arange(20, 80, 10)[:, None, None]).to(device)
    blocks = x.reshape(2, 2, 3, 3, 5)  # channels 0 1 2 and 3 4 5
    mixed = x.reshape(2, 3, 2, 3, 5).transpose(1, 2)  # channels 0 2 4 and 1 3 5
    expect.close(
        submission.GroupNorm(2, 6).to(device)(x),
        F.group_norm(x, 2),
        given="GroupNorm(2, 6) on a (2, 6, 3, 5) batch",
        likely={
            "a group takes every second channel, not a block": standardised(mixed, (2, 3, 4))
            .transpose(1, 2)
            .reshape(x.shape),
            "num_groups is taken for the number of channels in a group": F.group_norm(x, 3),
            "the variance divides by N - 1, not by N": standardised(blocks, (2, 3, 4), correction=1).reshape(x.shape),
        },
    )


@check(
    "GroupNorm(1, C) is layer norm, GroupNorm(C, C) instance norm",
    points=0.5,
    category="values",
    after=test_group_norm,
)
def test_group_norm_limits(submission):
    x = torch.randn(2, 6, 3, 5) * 30 + 10
    expect.close(submission.GroupNorm(1, 6)(x), F.layer_norm(x, (6, 3, 5)), given="GroupNorm(1, 6)")
    expect.close(submission.GroupNorm(6, 6)(x), F.instance_norm(x), given="GroupNorm(6, 6)")


# --- all norm layers -----------------------------------------------------------------------------------


@check(
    "weight and bias scale and shift whole channels",
    points=0.5,
    category="values",
    after=[test_state_dict, test_batch_norm_values, test_layer_norm, test_instance_norm, test_group_norm_limits],
)
def test_affine(submission):
    x = 30 * torch.randn(2, 4, 3, 4)  # as many columns as channels: a vector laid along the wrong axis fits, too
    affine = {"weight": torch.tensor([0.5, -1.0, 2.0, 3.0]), "bias": torch.randn(4)}
    for name, layer, normalised in (
        ("BatchNorm2d(4)", submission.BatchNorm2d(4), F.batch_norm(x, None, None, training=True)),
        ("InstanceNorm2d(4, affine=True)", submission.InstanceNorm2d(4, affine=True), F.instance_norm(x)),
        ("GroupNorm(2, 4)", submission.GroupNorm(2, 4), F.group_norm(x, 2)),
    ):
        weight, bias = (affine[key][:, None, None] for key in ("weight", "bias"))
        expect.close(
            load(layer, **affine)(x),
            normalised * weight + bias,
            given=f"{name}, a (2, 4, 3, 4) batch",
            likely={
                "weight and bias lie along the columns, not along the channels": normalised * affine["weight"]
                + affine["bias"],
                "weight and bias are left out": normalised,
            },
        )
    plain = submission.LayerNorm((3, 4), elementwise_affine=False)
    expect.close(plain(x), F.layer_norm(x, (3, 4)), given="LayerNorm((3, 4), elementwise_affine=False)")
    plain = submission.GroupNorm(2, 4, affine=False)
    expect.close(plain(x), F.group_norm(x, 2), given="GroupNorm(2, 4, affine=False)")


@check(
    "eps is added to the variance, under the root",
    points=1,
    category="values",
    after=[test_batch_norm_values, test_layer_norm, test_instance_norm, test_group_norm],
)
def test_eps(submission):
    x = torch.randn(2, 4, 3, 5) * 0.01  # a variance of 1e-4: an eps of 1e-5 can be seen
    for name, layer, axes in four_layers(submission):
        exact = standardised(x, axes, eps=0)
        root = x.std(axes, correction=0, keepdim=True)
        expect.close(
            layer(x),
            standardised(x, axes),
            given=f"{name} on values near 0.01",
            likely={
                "eps is left out": exact,
                "eps is added to the root, not under it": exact * root / (root + 1e-5),
            },
        )
    for name, layer, axes in four_layers(submission, eps=0.5):
        expect.close(
            layer(100 * x),
            standardised(100 * x, axes, eps=0.5),
            given=f"{name} with eps=0.5",
            likely={"eps is always 1e-5": standardised(100 * x, axes)},
        )


@check(
    "the norm layers keep their precision far from zero",
    points=0.5,
    category="robustness",
    after=[test_batch_norm_values, test_layer_norm, test_instance_norm, test_group_norm],
    devices="all",
)
def test_offset(submission, device):
    x = torch.randn(2, 4, 3, 5, device=device) + 10_000
    for name, layer, axes in four_layers(submission):
        mean = x.mean(axes, keepdim=True)
        variance = (x * x).mean(axes, keepdim=True) - mean * mean
        expect.close(
            layer.to(device)(x),
            standardised(x.double(), axes).float(),
            rtol=0,
            atol=0.02,  # seven times the rounding of a right formula, 1/70 of what cancellation does
            equal_nan=True,  # for the mistaken formula: its variance may be negative
            given=f"{name} on values around 10000",
            likely={
                "E[x^2] - E[x]^2 cancels: both are 1e8, their difference is 1": (x - mean) / torch.sqrt(variance + 1e-5)
            },
        )


@check(
    "the norm layers normalise half precision in float32",
    points=0.5,
    category="robustness",
    after=[test_batch_norm_values, test_layer_norm, test_instance_norm, test_group_norm],
    devices="all",
)
def test_half(submission, device):
    x = (torch.randn(2, 4, 3, 5, device=device) * 1000).half()
    for name, layer, axes in four_layers(submission):
        expect.close(
            layer.to(device)(x),
            standardised(x.float(), axes).half(),
            rtol=2e-3,
            atol=2e-3,
            given=f"{name} on float16 values near 1000",
            likely={"the variance overflows: 1000^2 does not fit into float16": torch.zeros_like(x)},
        )


@check(
    "gradients flow through batch statistics, weight and bias",
    points=1,
    category="gradients",
    after=[test_eval_frozen, test_eps],
)
def test_norm_gradients(submission):
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64, requires_grad=True)
    cotangent = torch.randn_like(x)

    def gradient(y):
        return torch.autograd.grad((y * cotangent).sum(), x, retain_graph=True)[0]

    for name, layer, axes in four_layers(submission):
        layer.double()
        y = layer(x)
        expect.gradient_flow(y, x, given=name)
        mean, root = x.mean(axes, keepdim=True), torch.sqrt(x.var(axes, correction=0, keepdim=True) + 1e-5)
        expect.close(
            gradient(y),
            gradient(standardised(x, axes)),
            given=f"the gradient that reaches x through {name}",
            likely={
                "mean and variance are cut off from the graph: gradients flow through both": cotangent / root.detach(),
                "the mean is cut off from the graph": gradient((x - mean.detach()) / root),
                "the variance is cut off from the graph": gradient((x - mean) / root.detach()),
            },
        )
        expect.gradients(layer, (x,), module=layer, given=name)
    layer = submission.BatchNorm2d(4).double()
    layer.eval()
    expect.gradients(layer, (x,), module=layer, given="BatchNorm2d(4) in eval mode")


NORMALISATION_BY_HAND = Rule(
    of=("BatchNorm2d", "LayerNorm", "InstanceNorm2d", "GroupNorm"),
    functions=NORMALISATION,
    names=("nn.BatchNorm2d", "nn.LayerNorm", "nn.InstanceNorm2d", "nn.GroupNorm"),
    instead="mean and var, or var_mean",
)


@check(
    "normalisation is written without PyTorch's normalisation",
    points=1.5,
    category="rules",
    gates=NORMALISATION_BY_HAND,
)
def test_norm_rules(submission):
    x = torch.randn(2, 4, 3, 5)
    for name, layer, _ in four_layers(submission):
        expect.avoids(layer, x, rule=NORMALISATION_BY_HAND, given=name)


# --- all together --------------------------------------------------------------------------------------


def every_call(submission):
    """(name, function, arguments after x) of everything that takes maps (N, 4, 3, 5)."""
    yield "max_pool2d", submission.max_pool2d, (2, 1, 1)
    yield "avg_pool2d", submission.avg_pool2d, (2, 1, 1)
    yield "adaptive_avg_pool2d", submission.adaptive_avg_pool2d, (2,)
    yield "lp_pool2d", submission.lp_pool2d, (2, 2)
    for name, layer, _ in four_layers(submission):
        yield name, layer, ()


@check("no function and no layer changes its input", points=0.5, category="robustness")
def test_inputs_unchanged(submission):
    for name, function, arguments in every_call(submission):
        expect.not_mutated(submission, function, torch.randn(2, 4, 3, 5), *arguments, given=name)


@check("inputs may lie in memory in any order", points=0.5, category="robustness")
def test_layouts(submission):
    x = torch.randn(2, 4, 3, 5)
    for name, function, arguments in every_call(submission):
        expected = function(x, *arguments)
        for layout, strided in (
            ("channels last", x.contiguous(memory_format=torch.channels_last)),
            ("a transposed view", x.transpose(2, 3).contiguous().transpose(2, 3)),
        ):
            expect.close(function(strided, *arguments), expected, given=f"{name} on {layout}")


@check("the number of PyTorch calls does not grow with the input", points=0.5, category="efficiency")
def test_efficiency(submission):
    def expect_constant(name, function, arguments, *sizes):
        inputs = [(torch.randn(size), *arguments) for size in sizes]
        given = f"PyTorch calls of {name} on {sizes[1]} for each on {sizes[0]}"
        expect.between(operator_growth(function, *inputs), 0, 1.2, unit="times as many", given=given)

    for name, arguments in (("max_pool2d", (2, 1, 1)), ("avg_pool2d", (2, 1, 1)), ("lp_pool2d", (2, 2))):
        expect_constant(name, getattr(submission, name), arguments, (2, 4, 6, 5), (4, 12, 18, 15))
    expect_constant("adaptive_avg_pool2d", submission.adaptive_avg_pool2d, (2,), (2, 4, 6, 5), (4, 12, 18, 15))
    for name, layer, _ in four_layers(submission):
        expect_constant(name, layer, (), (2, 4, 3, 5), (12, 4, 3, 5))


@check("tensors are made where the input is, and layers move whole", points=0.5, category="devices")
def test_devices(submission):
    x = torch.randn(2, 4, 3, 5)
    for name, inputs, build in (
        ("max_pool2d", (2, 1, 1, 1, False, True), ()),
        ("avg_pool2d", (2, 1, 1), ()),
        ("adaptive_avg_pool2d", (2,), ()),
        ("lp_pool2d", (2, 2), ()),
        ("BatchNorm2d", (), (4,)),
        ("LayerNorm", (), ((4, 3, 5),)),
        ("InstanceNorm2d", (), (4,)),
        ("GroupNorm", (), (2, 4)),
    ):
        given = f"{name} with layer and input on another device"
        expect.portable(getattr(submission, name), x, *inputs, build=build, given=given)
