"""Checks for task 06: losses and optimisers.

The losses are compared with torch.nn.functional, the optimisers with the functional forms in torch.optim (which
need no optimiser object), the regression with the closed form of what gradient descent does to a quadratic.
Everything is float64, so that a misplaced eps or a missing correction cannot hide in rounding.
"""

import itertools
import math
import random

import torch
from torch.nn import functional as F
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from torchgrade.authoring import LAYOUTS, LEFT_OUT, Rule, check, expect, grid, kit, torch_modes_left

LIBRARY = (
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
    "huber_loss",
    "nll_loss",
    "cross_entropy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
)
CLASSES = ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "NLLLoss", "CrossEntropyLoss", "BCELoss", "KLDivLoss")
OPTIMIZERS = ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW")
STEPS = 12
AS_BEFORE = "autograd and the default dtype are as before"
SWITCHED_OFF = {"autograd is switched off for good": ["gradient mode"]}
DOUBLE, SINGLE = torch.float64, torch.float32


def draw(*shape, device="cpu"):
    return torch.randn(shape, dtype=DOUBLE, device=device)


def classes(samples, count):
    """Class numbers: the first ones all different, the rest drawn."""
    numbers = torch.cat([torch.arange(count), torch.randint(count, (max(samples - count, 0),))])
    return numbers[:samples]


def reduce(values, reduction="mean"):
    return {"mean": values.mean, "sum": values.sum, "none": values.clone}[reduction]()


# Losses. Each is asked on a grid: shapes, reductions, options, dtypes, layouts.

REDUCTIONS = [LEFT_OUT, "none", "sum", "mean"]
INPUTS = {"dtype": [DOUBLE, SINGLE], "layout": LAYOUTS}


def two(draw, shape):
    """A prediction, and a target that needs no gradient."""
    return {"pred": draw(*shape), "target": draw(*shape).detach()}


DIFFERENCES = grid(
    two,
    shape=[(7,), (3, 4), (1, 3), (1,), (), (2, 1, 3)],
    reduction=REDUCTIONS,
    values=[kit.spread, kit.normal, kit.thousands],
    **INPUTS,
)
BENT = [LEFT_OUT, 0.4, 2.5]
BENDING = DIFFERENCES.vary(values=[kit.spread, kit.normal, kit.thousands, kit.ties])  # of which some lie at the bend


@check("l1_loss and mse_loss agree with PyTorch", points=1, category="values", devices="all")
def test_differences(submission, device):
    def signed(pred, target, reduction="mean"):
        return reduce(pred - target, reduction)

    def halved(pred, target, reduction="mean"):
        return reduce((pred - target).square() / 2, reduction)

    everywhere = {"unchanged": True, "device": device}
    expect.agrees(submission.l1_loss, F.l1_loss, DIFFERENCES, likely={"the sign of the difference is kept": signed},
                  **everywhere)  # fmt: skip
    text = "one half of the square: the loss has no factor 1/2"
    expect.agrees(submission.mse_loss, F.mse_loss, DIFFERENCES, likely={text: halved}, **everywhere)


def bent(near, far):
    """A loss of |d| with two branches, of which one is mistaken; ``beta`` or ``delta`` is the bend."""

    def loss(pred, target, reduction="mean", beta=1.0, delta=None):
        bend, d = beta if delta is None else delta, (pred - target).abs()
        return reduce(torch.where(d < bend, near(d, bend), far(d, bend)), reduction)

    return loss


def smooth_l1_at_delta(pred, target, reduction="mean", delta=1.0):
    return F.smooth_l1_loss(pred, target, reduction=reduction, beta=delta)


@check("smooth_l1_loss and huber_loss bend at beta and at delta", points=1, category="values")
def test_smooth(submission):
    expect.agrees(
        submission.smooth_l1_loss,
        F.smooth_l1_loss,
        BENDING.vary(beta=BENT),
        likely={
            "beta does not divide the square": bent(lambda d, beta: d**2 / 2, lambda d, beta: d - beta / 2),
            "the linear part lacks - beta / 2, so the curve jumps": bent(lambda d, b: d**2 / (2 * b), lambda d, b: d),
            "beta is ignored": lambda pred, target, reduction="mean", beta=1.0: F.smooth_l1_loss(
                pred, target, reduction=reduction
            ),
        },
        unchanged=True,
    )
    expect.agrees(
        submission.huber_loss,
        F.huber_loss,
        BENDING.vary(delta=BENT),
        likely={
            "delta does not multiply the linear part": bent(lambda d, delta: d**2 / 2, lambda d, delta: d - delta / 2),
            "delta is ignored": lambda pred, target, reduction="mean", delta=1.0: F.huber_loss(
                pred, target, reduction=reduction
            ),
            "that is smooth_l1_loss: huber_loss is delta times as large": smooth_l1_at_delta,
        },
        unchanged=True,
    )


def below(count, marker=None):
    """Class numbers below ``count``; with ``marker`` it stands for every third of them."""

    def values(shape, dtype, generator):
        numbers = torch.randint(count, tuple(shape), generator=generator)
        if marker is not None:
            numbers.reshape(-1)[1::3] = marker
        return numbers.double()

    values.__doc__ = f"class numbers below {count}" + ("" if marker is None else f", and {marker} for ignored ones")
    return values


def scores(name):
    """Operands of a loss of scores and class numbers; the first has this name."""

    def operands(draw, size, weighing, ignoring, *, ignore_index):
        count, places = size[1], (size[0], *size[2:])
        marker = (-100 if ignore_index is LEFT_OUT else ignore_index) if ignoring else None
        target = draw(*places, values=below(count, marker), dtype=torch.int64)
        weight = {"weight": draw(count, values=kit.positive).detach()} if weighing else {}
        return {name: draw(*size), "target": target, **weight}

    return operands


def scored(name, **axes):
    return grid(
        scores(name),
        size=[(6, 4), (5, 10), (1, 3), (4, 2)],
        weighing=[False],
        ignoring=[False],
        ignore_index=[LEFT_OUT],
        reduction=REDUCTIONS,
        by_name=True,
        **axes,
    )


PICKED, SCORED = scored("log_probs", **INPUTS), scored("logits", **INPUTS)


SURE = 10.0  # a sure answer costs little, and that little is the difference of two larger numbers


def torch_nll(log_probs, target, **options):
    return F.nll_loss(log_probs, target, **options)


def torch_cross_entropy(logits, target, **options):
    return F.cross_entropy(logits, target, **options)


def by_samples(loss):
    """The weighted mean divides by the number of samples."""

    def mistaken(scores, target, reduction="mean", **options):
        values = loss(scores, target, reduction="none", **options)
        return reduce(values, reduction)

    return mistaken


def named(name, function):
    """``function`` with its first argument by name, as the grid passes it."""
    return lambda **given: function(given.pop(name), **given)


@check("nll_loss picks the log-probability of the target class", points=1, category="values")
def test_nll(submission):
    expect.agrees(
        submission.nll_loss,
        torch_nll,
        PICKED.vary(weighing=[False, True]),
        likely={
            "the sign is missing": lambda **given: -torch_nll(**given),
            "the weights are ignored": lambda weight=None, **given: torch_nll(**given),
            "the weighted sum is divided by the number of samples": named("log_probs", by_samples(F.nll_loss)),
        },
        unchanged=True,
    )


@check("cross_entropy is the mean negative log-softmax of the targets", points=2, category="values", devices="all")
def test_cross_entropy(submission, device):
    def no_logarithm(logits, target, reduction="mean", **options):
        return reduce(-logits.softmax(1).gather(1, target[:, None])[:, 0], reduction)

    expect.agrees(
        submission.cross_entropy,
        torch_cross_entropy,
        SCORED,
        slack=SURE,
        likely={
            "softmax is applied twice: the argument is logits": lambda logits, target, **options: F.cross_entropy(
                logits.softmax(1), target, **options
            ),
            "the softmax runs over the samples, not over the classes": lambda logits, target, **options: F.nll_loss(
                logits.log_softmax(0), target, **options
            ),
            "the logarithm is missing": no_logarithm,
        },
        unchanged=True,
        device=device,
    )


def level(height):
    def values(shape, dtype, generator):
        return height + torch.randint(-8, 9, tuple(shape), generator=generator).double() / 4

    values.__doc__ = f"quarters near {height}"
    return values


def cliff(shape, dtype, generator):
    """quarters near 0, and every third of them 1000 lower"""
    lower = torch.arange(torch.Size(shape).numel()).reshape(tuple(shape)) % 3 == 1
    return level(0)(shape, dtype, generator) - 1000 * lower


@check(
    "ignored targets count neither in the sum nor in the mean",
    points=1,
    category="robustness",
    after=[test_cross_entropy, test_nll],
)
def test_ignored(submission):
    def by_all(loss):
        def mistaken(scores, target, reduction="mean", **options):
            if reduction != "mean" or "weight" in options:
                return loss(scores, target, reduction=reduction, **options)
            return loss(scores, target, reduction="sum", **options) / target.numel()

        return mistaken

    some = {
        "ignoring": [True],
        "ignore_index": [LEFT_OUT, 2, 255, 0, -1],
        "size": [(6, 4), (7, 3)],
        "weighing": [False, True],
    }
    text = "the mean divides by all samples, ignored ones included"
    expect.agrees(
        submission.cross_entropy, torch_cross_entropy, SCORED.vary(**some, label_smoothing=[LEFT_OUT, 0.3]),
        slack=SURE,
        likely={text: named("logits", by_all(F.cross_entropy))}, unchanged=True,
    )  # fmt: skip
    expect.agrees(
        submission.nll_loss, torch_nll, PICKED.vary(**{**some, "size": [*some["size"], (4, 1)]}),
        likely={text: named("log_probs", by_all(F.nll_loss))}, unchanged=True,
    )  # fmt: skip
    impossible = draw(4, 3).log_softmax(1)
    impossible[2] = -math.inf
    target = torch.tensor([1, 0, -100, 2])
    for reduction in ("none", "sum", "mean"):
        expect.close(
            submission.nll_loss(impossible, target, reduction=reduction),
            F.nll_loss(impossible, target, reduction=reduction),
            given=f'log-probabilities of -inf at an ignored sample, reduction="{reduction}"',
        )
    nothing = submission.cross_entropy(draw(7, 4), torch.full((7,), -100))
    expect.close(
        nothing,
        torch.tensor(math.nan, dtype=DOUBLE),
        equal_nan=True,
        trivial="nothing is left to average: PyTorch returns nan as well",
        likely={"the mean of nothing is called 0, which looks like a perfect answer": torch.tensor(0.0).double()},
        given="all targets are ignored",
    )
    none, given = torch.full((2, 3), -100), "all targets are ignored"
    for reduction in ("none", "sum", "mean"):
        scores, weight = draw(2, 4, 3).log_softmax(1), torch.rand(4).double()
        for more in ({}, {"weight": weight}):
            options = {"reduction": reduction, **more}
            truth = F.nll_loss(scores, none, **options)
            expect.close(
                submission.nll_loss(scores, none, **options),
                truth,
                equal_nan=True,
                trivial="no loss is left, or nan",
                given=given,
            )
            found = submission.cross_entropy(scores, none, label_smoothing=0.2, **options)
            expect.close(found, truth, equal_nan=True, trivial="no loss is left, or nan", given=given)


@check("cross_entropy weighs classes and smooths labels", points=1, category="values", after=test_cross_entropy)
def test_weights(submission):
    def others_only(logits, target, label_smoothing=0.0, weight=None, **options):
        """The smoothing is shared by the classes that are not the target."""
        count = logits.shape[1]
        share = label_smoothing / max(count - 1, 1)
        spread = torch.full_like(logits, share).scatter(1, target[:, None], 1 - label_smoothing)
        parts = -(logits.log_softmax(1) * spread)
        if weight is None:
            return reduce(parts.sum(1), options.get("reduction", "mean"))
        values = (parts * weight).sum(1)
        mean = options.get("reduction", "mean") == "mean"
        return values.sum() / weight[target].sum() if mean else reduce(values, options["reduction"])

    expect.agrees(
        submission.cross_entropy,
        torch_cross_entropy,
        SCORED.vary(label_smoothing=[LEFT_OUT, 0.3, 1.0], weighing=[False, True], size=[(6, 4), (5, 3)]),
        slack=SURE,
        likely={
            "the weighted sum is divided by the number of samples": named("logits", by_samples(F.cross_entropy)),
            "the weights are ignored": lambda weight=None, **given: torch_cross_entropy(**given),
            "label_smoothing is ignored": lambda label_smoothing=0.0, **given: torch_cross_entropy(**given),
            "the smoothing is shared by the other classes only, not by all": others_only,
        },
        unchanged=True,
    )


@check(
    "cross_entropy stays finite for logits of ±1000",
    points=1,
    category="robustness",
    after=[test_cross_entropy, test_weights],
    hidden=True,
)
def test_large_logits(submission):
    expect.agrees(
        submission.cross_entropy,
        torch_cross_entropy,
        scored("logits", values=[kit.thousands, level(1000), level(-1000)], dtype=[DOUBLE, SINGLE]),
        likely={
            "the logarithm of a softmax that has become 0": lambda logits, target, **options: F.nll_loss(
                logits.softmax(1).log(), target, **options
            ),
            "the exponentials overflow: subtract the largest logit first": lambda logits, target, **options: F.nll_loss(
                logits - logits.exp().sum(1, keepdim=True).log(), target, **options
            ),
        },
        trivial="a sure answer costs nothing",
    )
    options = {"label_smoothing": [LEFT_OUT, 0.3], "weighing": [False, True], "size": [(6, 4), (5, 3)]}
    far = scored("logits", values=[kit.thousands], dtype=[DOUBLE, SINGLE]).vary(**options)
    expect.agrees(submission.cross_entropy, torch_cross_entropy, far, slack=SURE, trivial="a sure answer costs nothing")
    steep = scored("logits", values=[cliff], dtype=[DOUBLE, SINGLE])
    expect.agrees(submission.cross_entropy, torch_cross_entropy, steep, gradients=True, slack=SURE)


@check(
    "cross_entropy and nll_loss take targets with further axes",
    points=0.5,
    category="shapes",
    after=[test_ignored, test_weights],
    hidden=True,
)
def test_dense(submission):
    axes = {"weighing": [False, True], "ignoring": [True]}
    sizes = [(2, 3, 5), (2, 3, 3, 4), (1, 3, 1), (2, 3, 1)]
    expect.agrees(submission.nll_loss, torch_nll, PICKED.vary(**axes, size=[*sizes, (2, 1, 3)]))
    expect.agrees(
        submission.cross_entropy, torch_cross_entropy, SCORED.vary(**axes, size=sizes, label_smoothing=[LEFT_OUT, 0.1]),
        slack=SURE,
    )  # fmt: skip


def binary(draw, shape, weighing):
    """Logits, targets from 0 to 1 with both ends among them, and a pos_weight for each column, each row or for all."""
    found = {"logits": draw(*shape), "target": draw(*shape, values=shares).detach()}
    kinds = {"columns": shape[-1:], "one": (), "rows": (*shape[-2:-1], 1)}
    more = {"pos_weight": draw(*kinds[weighing], values=kit.positive).detach()} if weighing in kinds else {}
    return {**found, **more}


def shares(shape, dtype, generator):
    """numbers from 0 to 1, both among them"""
    found = torch.rand(tuple(shape), generator=generator, dtype=DOUBLE)
    flat = found.reshape(-1)
    flat[::3], flat[1::3] = 0.0, 1.0
    return flat.reshape(tuple(shape))


BINARY = grid(
    binary,
    shape=[(4, 3), (7,), (1, 3), (2, 1, 3)],
    weighing=["none", "columns", "one", "rows"],
    reduction=REDUCTIONS,
    by_name=True,
    **INPUTS,
)


def torch_binary(logits, target, **options):
    return F.binary_cross_entropy_with_logits(logits, target, **options)


@check("binary_cross_entropy_with_logits agrees with PyTorch", points=1, category="values", devices="all")
def test_binary(submission, device):
    def positive_only(logits, target, pos_weight=None, reduction="mean"):
        return reduce(-target * F.logsigmoid(logits) * (1 if pos_weight is None else pos_weight), reduction)

    def weighs_all(logits, target, pos_weight=None, reduction="mean"):
        plain = torch_binary(logits, target, reduction="none")
        return reduce(plain if pos_weight is None else plain * pos_weight, reduction)

    expect.agrees(
        submission.binary_cross_entropy_with_logits,
        torch_binary,
        BINARY.vary(values=[kit.normal, kit.spread]),
        likely={
            "the part of the target 0 is missing": positive_only,
            "sigmoid is applied twice: the argument is logits": lambda logits, **given: torch_binary(
                logits.sigmoid(), **given
            ),
            "pos_weight multiplies the whole loss, not the part of the target 1": weighs_all,
            "pos_weight is ignored": lambda pos_weight=None, **given: torch_binary(**given),
        },
        unchanged=True,
        device=device,
    )


@check("binary cross entropy stays finite for logits of ±1000", points=0.5, category="robustness", after=test_binary,
       hidden=True)  # fmt: skip
def test_binary_large(submission):
    far = BINARY.vary(values=[kit.thousands, kit.negative_thousands]).plain()
    expect.agrees(submission.binary_cross_entropy_with_logits, torch_binary, far)


def distributions(draw, shape):
    """Log-probabilities, and probabilities of which some are 0."""
    target = draw(*shape, values=with_zeros).detach()
    return {"log_input": draw(*shape), "target": target / target.sum(-1, keepdim=True)}


def with_zeros(shape, dtype, generator):
    """positive numbers and zeros"""
    found = kit.positive(shape, dtype, generator)
    flat = found.reshape(-1)
    flat[2::3] = 0.0
    return flat.reshape(tuple(shape))


DIVERGENCE = grid(
    distributions,
    shape=[(5, 4), (2, 3, 4), (1, 2), (3, 2)],
    reduction=[LEFT_OUT, "none", "sum", "mean", "batchmean"],
    **INPUTS,
)


def torch_kl(log_input, target, reduction="batchmean"):
    return F.kl_div(log_input, target, reduction=reduction)


@check("kl_div is the divergence of the input from the target", points=1, category="values")
def test_kl(submission):
    def of(values):
        def loss(log_input, target, reduction="batchmean"):
            found = values(log_input, target)
            return found.sum() / len(found) if reduction == "batchmean" else reduce(found, reduction)

        return loss

    expect.agrees(
        submission.kl_div,
        torch_kl,
        DIVERGENCE.vary(values=[kit.normal, kit.negative_thousands]),
        likely={
            "the default divides by the number of elements, not of rows": lambda log_input, target, reduction="mean":
                torch_kl(log_input, target, reduction),
            "log target is left out: that is the cross entropy": of(lambda log_input, target: -target * log_input),
            "the two distributions are swapped": of(
                lambda log_input, target: log_input.exp() * (log_input - target.log())
            ),
            "0 · log 0 is nan: xlogy knows that it is 0": of(
                lambda log_input, target: target * (target.log() - log_input)
            ),
        },
        unchanged=True,
    )  # fmt: skip


def loss_contracts(submission):
    """Each loss, its oracle, and a grid whose gradients are defined."""
    apart = {"shape": [(7,), (3, 4), (1, 3)], "layout": ["contiguous", "transposed"], "values": [kit.normal]}
    picked = {"weighing": [False, True], "ignoring": [False, True], "layout": ["contiguous", "transposed"]}
    return {
        "l1_loss": (F.l1_loss, DIFFERENCES.vary(**apart)),
        "mse_loss": (F.mse_loss, DIFFERENCES.vary(**apart)),
        "smooth_l1_loss": (F.smooth_l1_loss, DIFFERENCES.vary(**apart, beta=BENT)),
        "huber_loss": (F.huber_loss, DIFFERENCES.vary(**apart, delta=BENT)),
        "nll_loss": (torch_nll, PICKED.vary(**picked)),
        "cross_entropy": (torch_cross_entropy, SCORED.vary(**picked, label_smoothing=[LEFT_OUT, 0.1])),
        "binary_cross_entropy_with_logits": (torch_binary, BINARY.vary(values=[kit.normal, kit.thousands, kit.zeros])),
        "kl_div": (torch_kl, DIVERGENCE),
    }


@check(
    "the gradients of all losses arrive and are right",
    points=1,
    category="gradients",
    after=[test_differences, test_smooth, test_weights, test_ignored, test_binary, test_kl],
)
def test_loss_gradients(submission):
    for name, (oracle, cases) in loss_contracts(submission).items():
        expect.agrees(getattr(submission, name), oracle, cases, gradients=True, slack=SURE)
    equal = DIFFERENCES.vary(shape=[(7,)], values=[kit.zeros], layout=["contiguous"])
    for name, oracle in (("mse_loss", F.mse_loss), ("smooth_l1_loss", F.smooth_l1_loss), ("huber_loss", F.huber_loss)):
        flat = "nothing is lost where prediction and target are equal"
        expect.agrees(getattr(submission, name), oracle, equal, gradients=True, trivial=flat)


@check(
    "every loss refuses an unknown reduction",
    points=0.5,
    category="robustness",
    after=[test_differences, test_cross_entropy, test_binary, test_kl],
)
def test_reductions(submission):
    for name, call in calls_of_losses().items():
        for wrong in ("average", "Mean", None, *(["batchmean"] if name != "kl_div" else [])):
            given = f"{name}, reduction={wrong!r}"
            expect.raises(("ValueError",), getattr(submission, name), *call, reduction=wrong, given=given)


def calls_of_losses(samples=6):
    """By name: the arguments of a call."""
    pred, target = draw(samples), draw(samples)
    return {
        **dict.fromkeys(("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss"), (pred, target)),
        "nll_loss": (draw(samples, 4).log_softmax(1), classes(samples, 4)),
        "cross_entropy": (draw(samples, 4), classes(samples, 4)),
        "binary_cross_entropy_with_logits": (draw(samples), torch.rand(samples).double()),
        "kl_div": (draw(samples, 4).log_softmax(1), draw(samples, 4).softmax(1)),
    }


OWN_LOSSES = Rule(
    of=[name for name in LIBRARY if name != "binary_cross_entropy"],
    functions=(*LIBRARY, "nll_loss_nd", "cross_entropy_loss"),
    names=(*(f"F.{name}" for name in LIBRARY), *(f"nn.{name}" for name in CLASSES)),
    instead="formulas",
)
OWN_OPTIMIZERS = Rule(of=OPTIMIZERS, names="torch.optim", instead="formulas")


@check(
    "no loss or optimiser of the library is used",
    points=0.5,
    category="rules",
    after=[test_differences, test_cross_entropy],
    gates=[OWN_LOSSES, OWN_OPTIMIZERS],
    hidden=True,
)
def test_rules(submission):
    expect.avoids(submission.SGD, rule=OWN_OPTIMIZERS)
    expect.avoids(submission.cross_entropy, draw(5, 3), classes(5, 3), rule=OWN_LOSSES)
    for name, call in calls_of_losses().items():
        expect.avoids(getattr(submission, name), *call, rule=OWN_LOSSES, given=name)


@check(
    "the losses do the same work for any number of samples",
    points=0.5,
    category="efficiency",
    after=[test_differences, test_smooth, test_ignored, test_weights, test_binary, test_kl],
    hidden=True,
)
def test_growth(submission):
    for calls in (calls_of_losses, calls_of_size):
        few, many = (calls(samples) for samples in (5, 60))
        for name, call in few.items():
            expect.vectorised(getattr(submission, name), call, many[name], given=f"{name} of 12 times the samples")


def calls_of_size(samples):
    """By name: the arguments of a call with so many samples, and with all that may have code of its own."""
    logits, labels, weight = draw(samples, 4), classes(samples, 4), torch.rand(4).double()
    other = draw(samples, 4)
    return {
        **dict.fromkeys(("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss"), (logits, other)),
        "nll_loss": (logits, labels, -100, weight),
        "cross_entropy": (logits, labels, -100, 0.1, weight),
        "binary_cross_entropy_with_logits": (logits, other.sigmoid(), weight),
        "kl_div": (logits.log_softmax(1), other.softmax(1)),
    }


@check(
    "the losses work on the device of their inputs",
    points=0.5,
    category="devices",
    after=[test_differences, test_smooth, test_ignored, test_weights, test_binary, test_kl],
    hidden=True,
)
def test_portable(submission):
    for name, call in calls_of_size(5).items():
        wanted = "tensors on the device of the input alone"
        expect.portable(getattr(submission, name), *call, expected=wanted, given=name)


# Optimisers. The parameters are two of the same shape and a matrix; their gradients are drawn beforehand.


def problem(steps=STEPS, shapes=((3,), (3,), (2, 2)), dtype=DOUBLE):
    """Starting points and gradients for each step."""
    starts = [draw(*shape).to(dtype) for shape in shapes]
    return starts, [[draw(*shape).to(dtype) for shape in shapes] for _ in range(steps)]


def joined(path):
    """(steps, elements) from a list of steps, each a list of tensors."""
    return torch.stack([torch.cat([tensor.reshape(-1) for tensor in step]) for step in path])


def expected_path(update, starts, gradients):
    """Where ``update(params, gradients, memory)``, which works in place, leads."""
    params, memory, path = [start.clone() for start in starts], {}, []
    for step in gradients:
        update(params, [gradient.clone() for gradient in step], memory)
        path.append([param.clone() for param in params])
    return joined(path)


def zeros(memory, name, params):
    return memory.setdefault(name, [torch.zeros_like(param) for param in params])


def counters(memory, params):
    return memory.setdefault("steps", [torch.zeros(()) for _ in params])


def torch_sgd(lr=0.001, momentum=0.0, weight_decay=0.0, nesterov=False):
    def update(params, gradients, memory):
        buffers = memory.setdefault("buffers", [None] * len(params))
        sgd(
            params,
            gradients,
            buffers,
            foreach=False,
            weight_decay=weight_decay,
            momentum=momentum,
            lr=lr,
            dampening=0.0,
            nesterov=nesterov,
            maximize=False,
        )

    return update


def torch_adagrad(lr=0.01, eps=1e-10, weight_decay=0.0):
    def update(params, gradients, memory):
        adagrad(
            params,
            gradients,
            zeros(memory, "sums", params),
            counters(memory, params),
            foreach=False,
            lr=lr,
            weight_decay=weight_decay,
            lr_decay=0.0,
            eps=eps,
            maximize=False,
        )

    return update


def torch_rmsprop(lr=0.01, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
    def update(params, gradients, memory):
        rmsprop(
            params,
            gradients,
            zeros(memory, "squares", params),
            zeros(memory, "means", params),
            zeros(memory, "buffers", params),
            counters(memory, params),
            foreach=False,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=False,
        )

    return update


def torch_adam(lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, function=adam):
    def update(params, gradients, memory):
        function(
            params,
            gradients,
            zeros(memory, "m", params),
            zeros(memory, "v", params),
            [],
            counters(memory, params),
            foreach=False,
            amsgrad=False,
            beta1=betas[0],
            beta2=betas[1],
            lr=lr,
            weight_decay=weight_decay,
            eps=eps,
            maximize=False,
        )

    return update


def torch_adamw(lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    return torch_adam(lr, betas, eps, weight_decay, function=adamw)


TORCH = {
    "SGD": torch_sgd,
    "Adagrad": torch_adagrad,
    "RMSprop": torch_rmsprop,
    "Adam": torch_adam,
    "AdamW": torch_adamw,
}


def each_element(rule):
    """A maker of updates from ``rule(param, gradient, memory, t, options)``, for wrong versions."""

    def make(**options):
        def update(params, gradients, memory):
            memory["t"] = memory.get("t", 0) + 1
            for number, (param, gradient) in enumerate(zip(params, gradients, strict=True)):
                param.copy_(rule(param, gradient, memory.setdefault(number, {}), memory["t"], options))

        return update

    return make


def without(make, *names):
    """The same optimiser, with these options ignored."""
    return lambda **options: make(**{name: value for name, value in options.items() if name not in names})


OPTIONS = {
    "SGD": grid(
        lr=[0.1, 0.03],
        momentum=[LEFT_OUT, 0.9, 0.5],
        weight_decay=[LEFT_OUT, 0.2, 0.05],
        nesterov=[LEFT_OUT, True],
        where=lambda nesterov, momentum: nesterov is LEFT_OUT or momentum is not LEFT_OUT,
    ),
    "Adagrad": grid(lr=[0.1, 0.03], eps=[0.01, 0.5, LEFT_OUT], weight_decay=[LEFT_OUT, 0.2, 0.05]),
    "RMSprop": grid(
        lr=[0.1, 0.03],
        alpha=[0.9, 0.5, LEFT_OUT],
        eps=[0.01, 0.5, LEFT_OUT],
        momentum=[LEFT_OUT, 0.8, 0.5],
        weight_decay=[LEFT_OUT, 0.2, 0.05],
    ),
    "Adam": grid(
        lr=[0.1, 0.03],
        betas=[(0.9, 0.99), (0.5, 0.8), LEFT_OUT],
        eps=[0.01, 0.5, LEFT_OUT],
        weight_decay=[LEFT_OUT, 0.3, 0.05],
    ),
    "AdamW": grid(
        lr=[0.1, 0.03],
        betas=[(0.9, 0.99), (0.5, 0.8), LEFT_OUT],
        eps=[0.01, 0.5, LEFT_OUT],
        weight_decay=[LEFT_OUT, 0.3, 0.0],
    ),
}


def settings_of(cases):
    """The options of each case of a grid, those left out left out."""
    return [{name: value for name, value in case.point.items() if value is not LEFT_OUT} for case in cases.cases()]


def expect_paths(submission, name, options, mistakes=None, shapes=((3,), (3,), (2, 2)), dtype=DOUBLE, transposed=False):
    """The optimiser ``name`` goes where torch's goes, with each set of options.

    ``transposed``: the parameters of two axes and more lie in memory in another order than they are read.
    ``mistakes``: sentence -> maker of a wrong update; told when it explains what came for all sets of options.
    """
    starts, gradients = problem(shapes=shapes, dtype=dtype)
    starts = [start.mT.contiguous().mT if transposed and start.ndim > 1 else start for start in starts]
    paths = submission.probes.replay_all(getattr(submission, name), starts, gradients, options)
    exact = {"rtol": 1e-9, "atol": 1e-10} if dtype is DOUBLE else {"rtol": 1e-4, "atol": 1e-5}
    wrong = {
        text: torch.stack([expected_path(make(**each), starts, gradients) for each in options])
        for text, make in (mistakes or {}).items()
    }
    told = [text for text, path in wrong.items() if path.shape == paths.shape and torch.allclose(path, paths, **exact)]
    for number, each in enumerate(options):
        words = ", ".join(f"{key}={value}" for key, value in each.items())
        expect.close(
            paths[number],
            expected_path(TORCH[name](**each), starts, gradients),
            **exact,
            likely={text: wrong[text][number] for text in told},
            given=f"{name}({words}), {STEPS} steps with given gradients",
        )


@check("SGD steps against the gradient, with and without weight decay", points=1, category="values")
def test_sgd(submission):
    cases = OPTIONS["SGD"].vary(momentum=[LEFT_OUT], nesterov=[LEFT_OUT], lr=[0.1, 0.03, LEFT_OUT])
    expect_paths(
        submission,
        "SGD",
        settings_of(cases),
        {
            "the step goes up the gradient": lambda lr=0.001, **more: torch_sgd(-lr, **more),
            "weight_decay is ignored": without(torch_sgd, "weight_decay"),
        },
    )


@check("SGD with momentum keeps a velocity, Nesterov looks ahead", points=1, category="values", after=test_sgd)
def test_momentum(submission):
    def velocity(share, first=False):
        def rule(param, gradient, memory, t, options):
            momentum = options.get("momentum", 0.0)
            gradient = gradient + options.get("weight_decay", 0.0) * param
            part = share(momentum) if t == 1 or not first else 1.0
            memory["v"] = momentum * memory.get("v", 0.0) + part * gradient
            step = gradient + momentum * memory["v"] if options.get("nesterov") else memory["v"]
            return param - options["lr"] * step

        return each_element(rule)

    expect_paths(
        submission,
        "SGD",
        settings_of(OPTIONS["SGD"].vary(momentum=[0.9, 0.5])),
        {
            "the velocity averages: it takes up (1 - momentum) of the gradient": velocity(
                lambda momentum: 1 - momentum
            ),
            "the first velocity is only (1 - momentum) of the gradient": velocity(lambda momentum: 1 - momentum, True),
            "momentum is ignored": without(torch_sgd, "momentum", "nesterov"),
            "nesterov is ignored: that is plain momentum": without(torch_sgd, "nesterov"),
        },
    )


def adagrad_like(squares, divide):
    def rule(param, gradient, memory, t, options):
        gradient = gradient + options.get("weight_decay", 0.0) * param
        memory["s"] = squares(memory.get("s", 0.0), gradient**2)
        return param - options["lr"] * gradient / divide(memory["s"], options.get("eps", 1e-10))

    return each_element(rule)


@check("Adagrad divides by the root of all squares so far", points=1, category="values")
def test_adagrad(submission):
    expect_paths(
        submission,
        "Adagrad",
        settings_of(OPTIONS["Adagrad"]),
        {
            "only the last square is used: the sum is not kept": adagrad_like(
                lambda s, new: new, lambda s, eps: s.sqrt() + eps
            ),
            "eps stands inside of the root": adagrad_like(lambda s, new: s + new, lambda s, eps: (s + eps).sqrt()),
            "the root is missing": adagrad_like(lambda s, new: s + new, lambda s, eps: s + eps),
            "weight_decay is ignored": without(torch_adagrad, "weight_decay"),
        },
    )


def rmsprop_like(squares, inside=False, rate_in_velocity=False):
    def rule(param, gradient, memory, t, options):
        eps, lr = options.get("eps", 1e-8), options["lr"]
        gradient = gradient + options.get("weight_decay", 0.0) * param
        memory["s"] = squares(options.get("alpha", 0.99), memory.get("s", 0.0), gradient**2)
        scaled = gradient / ((memory["s"] + eps).sqrt() if inside else memory["s"].sqrt() + eps)
        memory["v"] = options.get("momentum", 0.0) * memory.get("v", 0.0) + scaled
        return param - lr * memory["v"]

    return each_element(rule)


@check("RMSprop divides by the root of a fading mean of squares", points=1, category="values")
def test_rmsprop(submission):
    expect_paths(
        submission,
        "RMSprop",
        settings_of(OPTIONS["RMSprop"]),
        {
            "the factor (1 - alpha) of the new square is missing": rmsprop_like(lambda alpha, s, new: alpha * s + new),
            "alpha and 1 - alpha are swapped": rmsprop_like(lambda alpha, s, new: (1 - alpha) * s + alpha * new),
            "eps stands inside of the root": rmsprop_like(
                lambda alpha, s, new: alpha * s + (1 - alpha) * new, inside=True
            ),
            "momentum is ignored": without(torch_rmsprop, "momentum"),
            "weight_decay is ignored": without(torch_rmsprop, "weight_decay"),
        },
    )


def adam_variant(corrected=True, inside=False, decay=0.0, per_rate=False, shift=0):
    """A maker of Adam with one thing changed; ``decay`` None: none at all, else that of AdamW is the default."""

    def rule(param, gradient, memory, t, options):
        (b1, b2), eps, lr = options.get("betas", (0.9, 0.999)), options.get("eps", 1e-8), options["lr"]
        amount = options.get("weight_decay", 0.0 if decay is None else decay)
        if decay is None:
            gradient = gradient + amount * param
        else:
            param = param * (1 - (amount if per_rate else lr * amount))
        m = memory["m"] = b1 * memory.get("m", 0.0) + (1 - b1) * gradient
        v = memory["v"] = b2 * memory.get("v", 0.0) + (1 - b2) * gradient**2
        if corrected:
            exponent = 1 if corrected == "once" else t + shift
            m, v = m / (1 - b1**exponent), v / (1 - b2**exponent)
        return param - lr * m / ((v + eps).sqrt() if inside else v.sqrt() + eps)

    return each_element(rule)


@check("Adam corrects both averages for their start at zero", points=1, category="values")
def test_adam(submission):
    expect_paths(
        submission,
        "Adam",
        settings_of(OPTIONS["Adam"]),
        {
            "the bias correction is missing": adam_variant(corrected=False, decay=None),
            "the bias correction uses beta, not beta to the power of t": adam_variant(corrected="once", decay=None),
            "the bias correction is one step ahead: t starts at 1": adam_variant(shift=1, decay=None),
            "eps stands inside of the root": adam_variant(inside=True, decay=None),
            "the decay is decoupled: that is AdamW": adam_variant(),
            "weight_decay is ignored": without(torch_adam, "weight_decay"),
        },
    )


@check("AdamW decays the parameter, not the gradient", points=1, category="values", after=test_adam)
def test_adamw(submission):
    def coupled(weight_decay=0.01, **options):
        return torch_adam(**options, weight_decay=weight_decay)

    expect_paths(
        submission,
        "AdamW",
        settings_of(OPTIONS["AdamW"]),
        {
            "the decay is added to the gradient: that is Adam": coupled,
            "weight_decay is ignored": without(torch_adam, "weight_decay"),
            "the decay is not multiplied by lr": adam_variant(decay=0.01, per_rate=True),
        },
    )


DEFAULTS = [{"lr": 0.1}, {}]


@check("the optimisers take float32 parameters and know their defaults", points=0.5, category="robustness",
       after=[test_momentum, test_adagrad, test_rmsprop, test_adam, test_adamw], hidden=True)  # fmt: skip
def test_single_precision(submission):
    for name in OPTIMIZERS:
        expect_paths(submission, name, DEFAULTS, dtype=SINGLE, shapes=((3,), (1, 3), (3, 4, 2)), transposed=True)


@check("the optimisers move a parameter without dimensions", points=0.5, category="robustness",
       after=[test_momentum, test_adagrad, test_rmsprop, test_adam, test_adamw], hidden=True)  # fmt: skip
def test_no_dimensions(submission):
    for name in OPTIMIZERS:
        expect_paths(submission, name, DEFAULTS, shapes=((), (2,)))


@check(
    "each parameter group has its own options, which may change",
    points=1,
    category="robustness",
    after=[test_momentum, test_adagrad, test_rmsprop, test_adam, test_adamw],
    hidden=True,
)
def test_groups(submission):
    starts = [draw(3), draw(3)]
    gradients = [[draw(3), draw(3)] for _ in range(8)]
    for name in OPTIMIZERS:
        for own in OWN[name]:
            common = {"lr": 0.1, **({"momentum": 0.9} if name in ("SGD", "RMSprop") else {})}
            path = submission.probes.replay_groups(
                getattr(submission, name), starts, gradients, [{}, own], common, 0.01
            )
            first = late_path(TORCH[name], common, starts[0], gradients, 0, late_lr=0.01)
            second = late_path(TORCH[name], {**common, **own}, starts[1], gradients, 1)
            shared = late_path(TORCH[name], common, starts[1], gradients, 1)
            kept = late_path(TORCH[name], common, starts[0], gradients, 0)
            expect.close(
                path,
                torch.cat([first, second], 1),
                likely={
                    "the options of a group are ignored": torch.cat([first, shared], 1),
                    "a rate that is written into param_groups later is ignored": torch.cat([kept, second], 1),
                },
                given=f"{name}: two groups, the second with {own}, lr of the first 0.01 after 4 of 8 steps",
            )
            path = submission.probes.replay_groups(
                getattr(submission, name), starts, gradients, [own, {}], common, 0.01
            )
            first = late_path(TORCH[name], {**common, **own}, starts[0], gradients, 0, late_lr=0.01)
            expect.close(
                path,
                torch.cat([first, shared], 1),
                given=f"{name}: two groups, the first with {own}, its lr 0.01 after 4 of 8 steps",
            )
        wanted = sorted(("params", "lr", *(key for own in OWN[name] for key in own if key != "lr")))
        for number, group in enumerate(submission.probes.groups_of(getattr(submission, name))):
            given = f"{name}: the keys of param_groups[{number}]"
            missing = [key for key in wanted if key not in group]
            expect.equal(missing, [], given=f"{given} that are missing; it has {', '.join(sorted(group))}")


OWN = {
    "SGD": [{"lr": 0.02}, {"momentum": 0.5}, {"weight_decay": 0.3}, {"nesterov": True}],
    "Adagrad": [{"lr": 0.02}, {"eps": 0.1}, {"weight_decay": 0.3}],
    "RMSprop": [{"lr": 0.02}, {"alpha": 0.5}, {"eps": 0.1}, {"momentum": 0.3}, {"weight_decay": 0.3}],
    "Adam": [{"lr": 0.02}, {"betas": (0.5, 0.8)}, {"eps": 0.1}, {"weight_decay": 0.3}],
    "AdamW": [{"lr": 0.02}, {"betas": (0.5, 0.8)}, {"eps": 0.1}, {"weight_decay": 0.3}],
}


def late_path(update, options, start, gradients, number, late_lr=None):
    """The path of one parameter whose rate changes after half of the steps."""
    param, memory, path = [start.clone()], {}, []
    for step, gradient in enumerate(gradients):
        if late_lr is not None and step == len(gradients) // 2:
            options = {**options, "lr": late_lr}
        update(**options)(param, [gradient[number].clone()], memory)
        path.append([param[0].clone()])
    return joined(path)


@check("two optimisers do not share what they remember", points=0.5, category="robustness",
       after=[test_momentum, test_adagrad, test_rmsprop, test_adam, test_adamw], hidden=True)  # fmt: skip
def test_two_optimizers(submission):
    for name in OPTIMIZERS:
        options = {"lr": 0.1, **({"momentum": 0.9} if name in ("SGD", "RMSprop") else {})}
        (first, second), gradients = (problem(6) for _ in range(2)), problem(6)[1]
        paths = submission.probes.replay_beside(getattr(submission, name), first[0], second[0], gradients, options)
        for found, (starts, _) in zip(paths, (first, second), strict=True):
            truth = expected_path(TORCH[name](**options), starts, gradients)
            expect.close(found, truth, given=f"{name}({options}), two optimisers that step in turn")
        path = submission.probes.replay_anew(getattr(submission, name), first[0], gradients, options)
        truth, now = [], first[0]
        for part in (gradients[:3], gradients[3:]):
            truth.append(expected_path(TORCH[name](**options), now, part))
            now = list(truth[-1][-1].split([start.numel() for start in first[0]]))
            now = [tensor.reshape(start.shape) for tensor, start in zip(now, first[0], strict=True)]
        given = f"{name}({options}), an optimiser that takes the parameters of another over after 3 of 6 steps"
        expect.close(path, torch.cat(truth), given=given)


@check(
    "a step changes the leaves themselves and records no graph",
    points=1,
    category="gradients",
    after=[test_sgd, test_adagrad, test_rmsprop, test_adam, test_adamw],
)
def test_leaves(submission):
    for name in OPTIMIZERS:
        start = draw(4)
        param, gradient = submission.hold(start, requires_grad=True), draw(4)
        more = {"SGD": {"momentum": 0.9, "nesterov": True}, "RMSprop": {"momentum": 0.9}}.get(name, {})
        optimizer = getattr(submission, name)([param], lr=0.1, weight_decay=0.1, **more)
        submission.probes.give_gradients([param], [gradient])
        left = torch_modes_left(optimizer.step)
        expect.equal(left, [], because=AS_BEFORE, likely=SWITCHED_OFF, given=name)
        expect.true(
            not torch.equal(param.fetch(), start),
            expected="the tensor that the optimiser was given, moved",
            got="the tensor unchanged: a new one took its place inside of the optimiser",
            given=name,
        )
        expect.true(
            param.is_leaf and param.requires_grad,
            expected="a leaf that requires a gradient",
            got="a tensor that hangs in a graph" if param.requires_grad else "requires_grad is False after the step",
            given=name,
        )
        kept = param.grad
        expect.true(
            kept is not None,
            expected="the gradient that was there before the step",
            got="the gradient None",
            given=name,
        )
        expect.close(kept, gradient, trivial="the gradient stays until zero_grad", given=f"{name}: the gradient")


@check(
    "no optimiser of the library steps below one's own",
    points=0.5,
    category="rules",
    after=[test_sgd, test_adagrad, test_rmsprop, test_adam, test_adamw],
    gates=OWN_OPTIMIZERS,
    hidden=True,
)
def test_own_steps(submission):
    for name in OPTIMIZERS:
        expect.true(
            submission.probes.library_steps(getattr(submission, name)) == 0,
            expected="a step that is made of formulas",
            got="a step of torch.optim, whatever it is called",
            given=name,
        )


@check(
    "a parameter without a gradient is left alone",
    points=0.5,
    category="robustness",
    after=[test_sgd, test_adagrad, test_rmsprop, test_adam, test_adamw],
    hidden=True,
)
def test_no_gradient(submission):
    steady = {"lr": 0.1, "weight_decay": 0.1}
    for kind in OPTIMIZERS:
        starts, gradient = [draw(3), draw(3)], draw(3)
        steps = [[None, gradient], [gradient, None], [None, gradient]]
        alone, once = (expected_path(TORCH[kind](**steady), [start], [[gradient]])[0] for start in starts[::-1])
        call = getattr(submission, kind), starts, steps
        for name, path in (
            (kind, submission.probes.replay(*call, steady)),
            (f"{kind} with two groups", submission.probes.replay_groups(*call, [{}, {}], steady, steady["lr"])),
        ):
            expect.close(
                path[0, :3], starts[0], trivial="a parameter that may not move", given=f"{name}, the first step"
            )
            expect.close(path[0, 3:], alone, given=f"{name}, the first step")
            expect.close(path[1, 3:], alone, given=f"{name}: the second parameter has no gradient in the second step")
            given = f"{name}: the first parameter had its only gradient in the second step"
            expect.close(path[2, :3], once, given=given)


@check("zero_grad clears every gradient, whenever it is called", points=0.5, category="gradients", after=test_sgd)
def test_zero_grad(submission):
    params = [submission.hold(draw(3), requires_grad=True) for _ in range(2)]
    for name in OPTIMIZERS:
        optimizer = submission.probes.in_groups(getattr(submission, name), params, lr=0.1)
        submission.probes.give_gradients(params, [None, None])
        optimizer.zero_grad()
        submission.probes.give_gradients(params, [draw(3), draw(3)])
        optimizer.zero_grad()
        left = [param.grad for param in params]
        expect.true(
            all(gradient is None or not gradient.any() for gradient in left),
            expected="gradients that are None or zero",
            got="a gradient that is still there after zero_grad()",
            given=f"{name} with two groups, of which each gives its parameters by a generator",
        )
        submission.probes.give_gradients(params, [draw(3), draw(3)])
        before = [param.fetch() for param in params]
        optimizer.step()
        expect.true(
            not any(torch.equal(param.fetch(), old) for param, old in zip(params, before, strict=True)),
            expected="a step that moves the parameters after zero_grad()",
            got="parameters that stay: a generator of parameters can be read once only",
            given=name,
        )
        three = [submission.hold(draw(3), requires_grad=True) for _ in range(3)]
        optimizers = getattr(submission, name)(three, lr=0.1), submission.probes.in_groups(
            getattr(submission, name), three, lr=0.1)  # fmt: skip
        for optimizer, missing in itertools.product(optimizers, range(2)):
            gradients = [None if number == missing else draw(3) for number in range(3)]
            submission.probes.give_gradients(three, gradients)
            optimizer.zero_grad()
            left = [param.grad for param in three]
            expect.true(
                all(gradient is None or not gradient.any() for gradient in left),
                expected="gradients that are None or zero",
                got="a gradient that is still there after zero_grad()",
                given=f"{name}: three parameters, of which one has no gradient",
            )


@check(
    "what an optimiser remembers lives where the parameter lives",
    points=0.5,
    category="devices",
    after=[test_momentum, test_adagrad, test_rmsprop, test_adam, test_adamw],
    hidden=True,
)
def test_memory_device(submission):
    # "meta" is a device that every machine has: tensors on it have a shape and no values.
    for name in OPTIMIZERS:
        options = {"lr": 0.1, "momentum": 0.9} if name in ("SGD", "RMSprop") else {"lr": 0.1}
        found = submission.probes.strangers(getattr(submission, name), "meta", options)
        foreign = [place for place in found if place != "torch.float64 on meta"]
        expect.equal(foreign, [], given=f"{name} with float64 parameters on the device meta: what lies elsewhere")


# The noisy line again.


def line_data(dataset, points):
    """x, y, and the least-squares line of a hidden line."""
    lines = dataset("noisy_line")
    slope, intercept = (random.choice((-1, 1)) * random.uniform(*bounds) for bounds in ((4, 9), (20, 50)))
    x, y = lines.make(slope, intercept, seed=random.randrange(2**31), points=points)
    return x, y, lines.least_squares(x, y)


def as_run(run, steps):
    """The dict that run_regression returns, with "losses" as plain numbers and a known status."""
    keys = set(run) if isinstance(run, dict) else set()
    expect.true(
        {"w", "b", "losses", "status"} <= keys,
        expected='a dict with the keys "w", "b", "losses" and "status"',
        got=f"a dict with the keys {sorted(map(str, keys))}" if isinstance(run, dict) else type(run).__name__,
    )
    for name in ("w", "b"):
        kind = type(run[name]).__name__
        expect.true(isinstance(run[name], (int, float)), expected=f"{name} as a plain float", got=f"{name} is a {kind}")
    losses = run["losses"]
    expect.true(isinstance(losses, list), expected="a list of losses", got=f"a {type(losses).__name__}")
    kinds = {type(loss).__name__ for loss in losses if not isinstance(loss, (int, float))}
    expect.true(not kinds, expected="plain floats in losses", got=", ".join(sorted(kinds)) + " in losses")
    expect.true(
        run["status"] in ("converged", "diverged", "running"),
        expected='"converged", "diverged" or "running"',
        got=repr(run["status"]),
    )
    if run["status"] != "diverged":
        finite = all(math.isfinite(value) for value in (run["w"], run["b"], *losses))
        expect.true(
            finite,
            expected='finite numbers, or the status "diverged"',
            got=f'inf or nan, and the status "{run["status"]}"',
        )
        expect.equal(len(losses), steps, because="one loss for each update")
    return run


@check(
    "run_regression reaches least squares, in the units of x and y",
    points=1,
    category="convergence",
    after=[test_sgd, test_zero_grad],
)
def test_optimum(submission, dataset):
    x, y, line = line_data(dataset, 400)
    for normalize, lr, steps in (("zscore", 0.1, 150), ("minmax", 0.5, 350)):
        shift = 30.0 if normalize == "minmax" else 0.0  # whose smallest x is 0, has no shift to undo
        run = as_run(submission.run_regression(x + shift, y, "SGD", lr, normalize, steps), steps)
        scale = float(x.std(ddof=1)) if normalize == "zscore" else float(x.max() - x.min())
        given = f'normalize="{normalize}", lr={lr}, {steps} steps, x from {shift:.0f} to {x.max() + shift:.0f}'
        scaled = {"w belongs to the scaled x: divide by the scale": line.w * scale}
        expect.close(run["w"], line.w, rtol=0, atol=0.005, likely=scaled, given=f"w, {given}")
        b = line.b - line.w * shift
        scaled = {"b belongs to the scaled x: undo its shift": b + line.w * (shift or float(x.mean()))}
        expect.close(run["b"], b, rtol=0, atol=0.1, likely=scaled, given=f"b, {given}")
    near = x / 50 - 0.6
    run = as_run(submission.run_regression(near, y, "SGD", 0.2, "none", 150), 150)
    given = 'normalize="none", lr=0.2, 150 steps, x from -0.6 to 1.4'
    expect.close(run["w"], 50 * line.w, rtol=0, atol=0.25, given=f"w, {given}")
    expect.close(run["b"], line.b + 30 * line.w, rtol=0, atol=0.2, given=f"b, {given}")


@check("on z-scored x the optimum is 1, 21 and 228 steps away", points=1, category="convergence", after=test_optimum)
def test_step_counts(submission, dataset, pictures):
    # From (0, 0) the error of both parameters shrinks by 1 - 2 lr in each step, so within 1 % means that the loss has
    # come within 1e-4 of its way down to least squares.
    x, y, line = line_data(dataset, 10_000)
    steps = {0.5: 10, 0.1: 60, 0.01: 300}  # by rate
    start = float((y**2).mean())

    def counted(losses):
        near = [number for number, loss in enumerate(losses) if loss - line.mse <= 1e-4 * (start - line.mse)]
        return near[0] if near else len(losses)

    def ideal(lr, factor=1.0, first=0):
        shrink = 1 - 2 * lr * factor
        return [
            factor * (line.mse + (start - line.mse) * shrink ** (2 * step)) for step in range(first, first + steps[lr])
        ]

    losses = {
        lr: as_run(submission.run_regression(x, y, "SGD", lr, "zscore", steps[lr]), steps[lr])["losses"] for lr in steps
    }
    pictures.curves("sgd", "update", {f"loss, lr {lr}": losses[lr] for lr in steps})
    found = [counted(losses[lr]) for lr in steps]
    expect.equal(
        found,
        [counted(ideal(lr)) for lr in steps],
        because="the error of both parameters shrinks by 1 - 2 lr in each step",
        likely={
            "one half of the squares: every rate acts like half of it": [counted(ideal(lr, 0.5)) for lr in steps],
            "losses holds the loss after each update, not before": [counted(ideal(lr, first=1)) for lr in steps],
        },
        given="lr 0.5, 0.1 and 0.01: updates until both parameters are within 1 % of least squares",
    )
    run = as_run(submission.run_regression(x, y, "SGD", 0.1, "zscore", 1), 1)
    expect.true(
        run["status"] != "diverged",
        expected='"converged" or "running"',
        got='"diverged"',
        given="a single update: the last loss is the first",
    )
    expect.close(run["losses"], [start], rtol=1e-9, atol=0.0, given="the losses of a single update")
    expect.close(run["w"], 0.2 * line.w, rtol=2e-3, atol=0.0, given="w after a single update with lr 0.1")


@check(
    "run_regression scales x as it is asked to, and works in float64",
    points=0.5,
    category="values",
    after=test_step_counts,
)
def test_scaling(submission):
    x = 2.0 + 3.0 * torch.rand(40).double()
    y, steps = 4.0 * x - 7.0 + draw(40), 8
    zscored = (x - x.mean()) / x.std()
    cases = {
        ("minmax", 0.4): (
            (x - x.min()) / (x.max() - x.min()),
            {"x is divided by its largest value: the smallest has to become 0": x / x.max()},
        ),
        ("none", 0.02): (x, {"raw x is scaled all the same": zscored}),
    }
    for (normalize, lr), (scaled, wrong) in cases.items():
        run = as_run(submission.run_regression(x, y, "SGD", lr, normalize, steps), steps)
        expect.close(
            torch.tensor(run["losses"], dtype=torch.float64),
            line_losses(torch_sgd(lr=lr), scaled, y, steps),
            rtol=1e-9,
            atol=0.0,
            likely={text: line_losses(torch_sgd(lr=lr), other, y, steps) for text, other in wrong.items()},
            given=f'normalize="{normalize}", lr={lr}: the losses of {steps} steps, for tensors x from 2 to 5',
        )
    for normalize in ("minmax", "zscore", "none"):
        given = f"float64 arrays, normalize={normalize!r}"
        expect.not_mutated(
            submission, submission.run_regression, x.numpy(), y.numpy(), "SGD", 0.01, normalize, 2, given=given
        )
        left = torch_modes_left(submission.run_regression, x.numpy(), y.numpy(), "SGD", 0.01, normalize, 2)
        expect.equal(left, [], because=AS_BEFORE, likely=SWITCHED_OFF, given=given)
    table = torch.stack([x, y], 1).float()
    half = table.half()
    for given, columns in (("float32 tensors, columns of one table", (table[:, 0], table[:, 1])),
                           ("float32 arrays", (table[:, 0].numpy(), table[:, 1].numpy())),
                           ("float16 tensors", (half[:, 0], half[:, 1])),
                           ("float16 arrays", (half[:, 0].numpy(), half[:, 1].numpy()))):  # fmt: skip
        x, y = (torch.as_tensor(column).double() for column in columns)
        for normalize, lr, scaled in (("none", 0.02, x), ("minmax", 0.4, (x - x.min()) / (x.max() - x.min()))):
            run = as_run(submission.run_regression(*columns, "SGD", lr, normalize, steps), steps)
            truth = line_losses(torch_sgd(lr=lr), scaled, y, steps)
            words = f'the losses of {steps} steps for {given}, normalize="{normalize}": the fit runs in float64'
            expect.close(torch.tensor(run["losses"], dtype=DOUBLE), truth, rtol=1e-9, atol=0.0, given=words)


@check(
    "run_regression uses the optimiser that it is asked for",
    points=0.5,
    category="values",
    after=[test_optimum, test_adagrad, test_rmsprop, test_adam, test_adamw],
)
def test_optimizer_choice(submission, dataset):
    x, y, _ = line_data(dataset, 20_000)
    z, goal, steps = torch.from_numpy((x - x.mean()) / x.std()), torch.from_numpy(y), 20
    for name, lr in {"SGD": 0.05, "Adagrad": 20.0, "RMSprop": 5.0, "Adam": 5.0, "AdamW": 5.0}.items():
        run = as_run(submission.run_regression(x, y, name, lr, "zscore", steps), steps)
        expect.close(
            torch.tensor(run["losses"], dtype=torch.float64),
            line_losses(TORCH[name](lr=lr), z, goal, steps),
            rtol=2e-3,
            atol=0.0,
            likely={"every run uses SGD": line_losses(torch_sgd(lr=lr), z, goal, steps)} if name == "Adagrad" else None,
            given=f"the losses of {steps} steps of {name}, lr = {lr}, z-scored x",
        )
    narrow = torch.from_numpy((x - x.min()) / (x.max() - x.min()))
    run = as_run(submission.run_regression(x, y, "Adam", 5.0, "minmax", steps), steps)
    truth = line_losses(torch_adam(lr=5.0), narrow, goal, steps)
    expect.close(torch.tensor(run["losses"], dtype=DOUBLE), truth, rtol=2e-3, atol=0.0,
                 given=f"the losses of {steps} steps of Adam, lr = 5, x scaled to [0, 1]")  # fmt: skip


def line_losses(update, z, y, steps):
    """The losses before each step of a full-batch run on the scaled x ``z``, from (0, 0)."""
    line, memory, losses = [torch.zeros(2, dtype=torch.float64)], {}, []
    for _ in range(steps):
        residual = line[0][0] * z + line[0][1] - y
        losses.append(residual.square().mean())
        update(line, [2 * torch.stack([(residual * z).mean(), residual.mean()])], memory)
    return torch.stack(losses)


@check(
    "the status tells converged, running and diverged runs apart",
    points=2,
    category="convergence",
    after=test_optimum,
    seconds=30,
)
def test_statuses(submission, dataset):
    x, y, _ = line_data(dataset, 200)
    rates = (0.5, 0.1, 0.01)

    def statuses(normalize, steps):
        return [
            as_run(submission.run_regression(x, y, "SGD", lr, normalize, count), count)["status"]
            for lr, count in zip(rates, steps, strict=True)
        ]

    expect.equal(
        statuses("none", (200, 200, 200)),
        ["diverged"] * 3,
        likely={"raw x is scaled all the same": ["converged", "converged", "running"]},
        given="raw x, lr 0.5, 0.1 and 0.01",
    )
    expect.equal(
        statuses("zscore", (50, 150, 1500)),
        ["converged"] * 3,
        likely={"a run that has come to rest is called running": ["running"] * 3},
        given="z-scored x, lr 0.5, 0.1 and 0.01, 50, 150 and 1500 steps",
    )
    slow = as_run(submission.run_regression(x, y, "SGD", 0.01, "minmax", 400), 400)
    expect.equal(
        slow["status"],
        "running",
        likely={"a loss that is small, or still falling, is called converged": "converged"},
        given="x scaled to [0, 1], lr 0.01, 400 steps: w has more than half of its way to go",
    )
    # In each step the error of w grows 3.8 times while that of b shrinks: the loss falls from 405 to 75, then rises.
    x, y = four_points(2.0, 1.0, 20.0)
    grown = as_run(submission.run_regression(x, y, "SGD", 0.6, "none", 12), 12)
    expect.equal(
        grown["status"],
        "diverged",
        likely={"a finite loss is never called diverged, wherever it began": "running"},
        given="four points, raw x, lr 0.6, 12 steps: the loss falls once and ends far above its first value",
    )


def four_points(size, slope, intercept):
    """x = ±size and y = slope · x + intercept ± 1, so that plain descent moves w and b independently of each other.

    In a step the error of w shrinks by 1 - 2 lr size² and that of b by 1 - 2 lr.
    """
    x = size * torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64)
    return x, slope * x + intercept + torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64)


@check("a run has converged when both w and b are at rest", points=0.5, category="convergence", after=test_statuses)
def test_rest(submission):
    cases = {"b": (30.0, 1.0, 20.0, 0.00025), "w": (1 / 30, 600.0, 20.0, 0.225)}
    for moving, (size, slope, intercept, lr) in cases.items():
        x, y = four_points(size, slope, intercept)
        run = as_run(submission.run_regression(x, y, "SGD", lr, "none", 1000), 1000)
        expect.equal(
            run["status"],
            "running",
            likely={"one of w and b has come to rest, which is taken for both": "converged"},
            given=f"four points, lr {lr}, 1000 steps: {moving} alone still moves and has 60 % of its way to go",
        )
    x, y = four_points(1.0, 0.0, 5.0)
    run = as_run(submission.run_regression(x, y, "SGD", 0.1, "none", 200), 200)
    expect.equal(
        run["status"],
        "converged",
        likely={"a slope that stays 0 is not called at rest": "running"},
        given="four points around a level line, lr 0.1, 200 steps: w is 0 from the first step to the last",
    )


@check(
    "a run that diverges stops, and says so without an error",
    points=1,
    category="robustness",
    after=test_statuses,
    hidden=True,
)
def test_divergence(submission, dataset):
    x, y, _ = line_data(dataset, 200)
    spoilt = y.copy()
    spoilt[7] = math.nan
    cases = {
        "raw x at lr = 0.1, 400 steps": (x, y, "SGD", 0.1, "none", 400),
        "raw x at lr = 10, 400 steps": (x, y, "SGD", 10.0, "none", 400),
        "a nan in y, 50 steps": (x, spoilt, "SGD", 0.1, "zscore", 50),
    }
    for given, call in cases.items():
        run = as_run(submission.run_regression(*call), call[-1])
        expect.equal(run["status"], "diverged", given=given)
        lost = [number for number, loss in enumerate(run["losses"]) if not math.isfinite(loss)]
        after = len(run["losses"]) - lost[0] - 1 if lost else 0
        expect.between(after, 0, 5, unit="updates after the first loss that is not finite", given=given)


@check("compare_learning_rates returns one run for each rate", points=0.5, category="values", after=test_statuses)
def test_compare(submission, dataset):
    x, y, _ = line_data(dataset, 100)
    rates, steps = (0.3, 0.02, 0.2), 60
    runs = submission.compare_learning_rates(x, y, rates, "SGD", "zscore", steps)
    expect.true(isinstance(runs, dict), expected="a dict", got=f"a {type(runs).__name__}")
    expect.equal(
        sorted(runs, key=str),
        sorted(rates, key=str),
        likely={"the keys are texts, not the rates": sorted(map(str, rates))},
        given="the keys for the rates 0.3, 0.02 and 0.2",
    )
    for lr in rates:
        alone = submission.run_regression(x, y, "SGD", lr, "zscore", steps)
        expect.close(as_run(runs[lr], steps)["losses"], alone["losses"], rtol=1e-9, atol=0.0, given=f"lr = {lr}")
        line = [runs[lr]["w"], runs[lr]["b"]]
        expect.close(
            line, [alone["w"], alone["b"]], rtol=1e-9, atol=0.0, given=f"w and b, lr = {lr}, as of a run alone"
        )
    few = submission.probes.from_generator(submission.compare_learning_rates, x, y, rates, "SGD", "zscore", 5)
    expect.equal(sorted(few, key=str), sorted(rates, key=str), given="the keys for a generator of the same rates")
    for lr in rates:
        expect.close(as_run(few[lr], 5)["losses"], runs[lr]["losses"][:5], rtol=1e-9, atol=0.0, given=f"lr = {lr}")
    for name, normalize, steps in (("Adam", "minmax", 50), ("AdamW", "zscore", 12)):
        runs = submission.compare_learning_rates(x, y, [0.5], name, normalize, steps)
        alone = submission.run_regression(x, y, name, 0.5, normalize, steps)
        given = f'lr = 0.5, {name}, normalize="{normalize}", {steps} steps'
        expect.close(as_run(runs[0.5], steps)["losses"], alone["losses"], rtol=1e-9, atol=0.0, given=given)
    runs = submission.compare_learning_rates(x, y)
    expect.equal(list(runs), [0.1, 0.5, 0.01], because="the default of lrs", given="the keys, all options left out")
    count = len(runs[0.01]["losses"])
    expect.equal(count, 2000, because="the default of steps", given="the updates with lr 0.01, all options left out")
    alone, given = submission.run_regression(x, y), "run_regression, all options left out"
    truth = submission.run_regression(x, y, "SGD", 0.1, "zscore", 500)["losses"]
    expect.close(as_run(alone, 500)["losses"], truth, rtol=1e-9, atol=0.0, given=given)
