"""Checks for task 06: losses and optimisers.

The losses are compared with torch.nn.functional, the optimisers with the functional forms in torch.optim (which
need no optimiser object), the regression with the closed form of what gradient descent does to a quadratic.
Everything is float64, so that a misplaced eps or a missing correction cannot hide in rounding.
"""

import math
import random

import torch
from torch.nn import functional as F
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from torchgrade.authoring import Rule, check, expect

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
STEPS = 25


def draw(*shape, device="cpu"):
    return torch.randn(shape, dtype=torch.float64, device=device)


def pair(shape, device="cpu"):
    """A prediction and a target; their differences reach from 0.2 to 4, on both sides of every threshold."""
    target = draw(*shape, device=device)
    signs = torch.where(torch.rand(shape, device=device) < 0.5, -1.0, 1.0).double()
    sizes = torch.linspace(0.2, 4.0, target.numel(), dtype=torch.float64, device=device)
    return target + signs * sizes[torch.randperm(len(sizes), device="cpu").to(device)].reshape(shape), target


def classes(samples, count, device="cpu"):
    """Class numbers: the first ones all different, the rest drawn."""
    numbers = torch.cat([torch.arange(count), torch.randint(count, (max(samples - count, 0),))])
    return numbers[:samples].to(device)


def each_reduction(submission, name, args, given, likely=None, of_mean=None, **options):
    """Compare a loss with PyTorch's for every reduction.

    ``likely``: sentence -> unreduced values of a mistake; ``of_mean``: sentence -> the mean that a mistake comes to.
    """
    values = getattr(F, name)(*args, reduction="none", **options)
    for reduction in ("mean", "sum", "none"):
        divided = name in ("nll_loss", "cross_entropy")  # their mean is not the mean of what "none" returns
        expect.close(
            getattr(submission, name)(*args, reduction=reduction, **options),
            getattr(F, name)(*args, reduction=reduction, **options) if divided else reduce(values, reduction),
            likely={text: reduce(wrong, reduction) for text, wrong in (likely or {}).items()}
            | (of_mean or {} if reduction == "mean" else {}),
            given=f'{name}, {given}, reduction="{reduction}"',
        )


def reduce(values, reduction):
    return {"mean": values.mean, "sum": values.sum, "none": values.clone}[reduction]()


@check("l1_loss and mse_loss agree with PyTorch", points=1, category="values", devices="all")
def test_differences(submission, device):
    for shape in ((7,), (3, 4)):
        pred, target = pair(shape, device)
        d = pred - target
        each_reduction(
            submission,
            "l1_loss",
            (pred, target),
            f"shape {shape}",
            {"the sign of the difference is kept": d},
        )
        each_reduction(
            submission,
            "mse_loss",
            (pred, target),
            f"shape {shape}",
            {"one half of the square: the loss has no factor 1/2": d**2 / 2},
        )


@check("smooth_l1_loss and huber_loss bend at beta and at delta", points=1, category="values")
def test_smooth(submission):
    for bend in (0.4, 1.0, 2.5):
        pred, target = pair((11,))
        d = (pred - target).abs()
        near, far = d < bend, d - bend / 2
        if bend == 0.4:
            wrong_smooth = {
                "beta does not divide the square": torch.where(near, d**2 / 2, far),
                "the linear part lacks - beta / 2, so the curve jumps": torch.where(near, d**2 / (2 * bend), d),
                "beta is ignored": F.smooth_l1_loss(pred, target, reduction="none"),
            }
            wrong_huber = {
                "delta does not multiply the linear part": torch.where(near, d**2 / 2, far),
                "delta is ignored": F.huber_loss(pred, target, reduction="none"),
                "that is smooth_l1_loss: huber_loss is delta times as large": F.smooth_l1_loss(
                    pred, target, reduction="none", beta=bend
                ),
            }
        else:
            wrong_smooth = wrong_huber = None
        each_reduction(
            submission,
            "smooth_l1_loss",
            (pred, target),
            f"bend at {bend}",
            wrong_smooth,
            beta=bend,
        )
        each_reduction(
            submission,
            "huber_loss",
            (pred, target),
            f"bend at {bend}",
            wrong_huber,
            delta=bend,
        )


@check("nll_loss picks the log-probability of the target class", points=1, category="values")
def test_nll(submission):
    log_probs, target, weight = draw(6, 4).log_softmax(1), classes(6, 4), torch.rand(4).double() + 0.2
    picked = F.nll_loss(log_probs, target, reduction="none")
    each_reduction(
        submission,
        "nll_loss",
        (log_probs, target),
        "6 samples, 4 classes",
        {"the sign is missing": -picked},
    )
    each_reduction(
        submission,
        "nll_loss",
        (log_probs, target),
        "6 samples, 4 classes with a weight each",
        {"the weights are ignored": picked},
        of_mean={"the weighted sum is divided by the number of samples": (picked * weight[target]).mean()},
        weight=weight,
    )


@check("cross_entropy is the mean negative log-softmax of the targets", points=2, category="values", devices="all")
def test_cross_entropy(submission, device):
    for samples, count in ((6, 4), (1, 3), (5, 10)):
        logits, target = draw(samples, count, device=device) * 2, classes(samples, count, device)
        probabilities = logits.softmax(1)
        wrong = {
            "softmax is applied twice: the argument is logits": F.cross_entropy(
                probabilities, target, reduction="none"
            ),
            "the softmax runs over the samples, not over the classes": F.nll_loss(
                logits.log_softmax(0), target, reduction="none"
            ),
            "the logarithm is missing": -probabilities.gather(1, target[:, None])[:, 0],
        }
        each_reduction(
            submission,
            "cross_entropy",
            (logits, target),
            f"{samples} samples, {count} classes",
            wrong if samples == 6 else None,
        )


@check("cross_entropy stays finite for logits of ±1000", points=1, category="robustness", after=test_cross_entropy)
def test_large_logits(submission):
    logits = torch.tensor([[1000.0, 0.0, -1000.0], [-1000.0, -999.0, -998.5]], dtype=torch.float64)
    target = torch.tensor([2, 0])
    second = math.log(1 + math.e + math.exp(1.5))
    expect.close(
        submission.cross_entropy(logits, target, reduction="none"),
        F.cross_entropy(logits, target, reduction="none"),
        likely={
            "the logarithm of a softmax that has become 0": torch.tensor([math.inf, second], dtype=torch.float64),
            "the exponentials overflow: subtract the largest logit first": torch.tensor(
                [math.inf, -math.inf], dtype=torch.float64
            ),
        },
        given="logits (1000, 0, -1000) and (-1000, -999, -998.5)",
    )


@check(
    "ignored targets count neither in the sum nor in the mean",
    points=1,
    category="robustness",
    after=[test_cross_entropy, test_nll],
)
def test_ignored(submission):
    logits = draw(7, 4)
    for ignored in (-100, 2, 255):
        target = classes(7, 4)
        target[torch.randperm(7)[:3]] = ignored
        kept = target != ignored
        values = F.cross_entropy(logits, target, ignore_index=ignored, reduction="none")
        expect.close(
            submission.cross_entropy(logits, target, ignore_index=ignored),
            F.cross_entropy(logits, target, ignore_index=ignored),
            likely={"the mean divides by all samples, ignored ones included": values.sum() / 7},
            given=f"{7 - int(kept.sum())} of 7 targets are ignore_index = {ignored}",
        )
        each_reduction(
            submission,
            "nll_loss",
            (logits.log_softmax(1), target),
            "ignored targets",
            ignore_index=ignored,
        )
    each_reduction(
        submission, "nll_loss", (draw(3, 1), torch.tensor([0, -100, 0])), "a single class, one ignored target"
    )
    nothing = submission.cross_entropy(logits, torch.full((7,), -100))
    expect.close(
        nothing,
        torch.tensor(math.nan, dtype=torch.float64),
        equal_nan=True,
        trivial="nothing is left to average: PyTorch returns nan as well",
        likely={"the mean of nothing is called 0, which looks like a perfect answer": torch.tensor(0.0).double()},
        given="all targets are ignored",
    )


@check("cross_entropy weighs classes and smooths labels", points=1, category="values", after=test_cross_entropy)
def test_weights(submission):
    logits, target = draw(6, 4), classes(6, 4)
    weight = torch.rand(4).double() + 0.2
    weighed = F.cross_entropy(logits, target, weight=weight, reduction="none")
    expect.close(
        submission.cross_entropy(logits, target, weight=weight),
        F.cross_entropy(logits, target, weight=weight),
        likely={
            "the weighted sum is divided by the number of samples": weighed.mean(),
            "the weights are ignored": F.cross_entropy(logits, target),
        },
        given="a weight for each class",
    )
    others = torch.full((6, 4), 0.3 / 3, dtype=torch.float64).scatter(1, target[:, None], 0.7)
    each_reduction(
        submission,
        "cross_entropy",
        (logits, target),
        "label_smoothing = 0.3",
        {
            "the smoothing is shared by the other classes only, not by all": F.cross_entropy(
                logits, others, reduction="none"
            ),
            "label_smoothing is ignored": F.cross_entropy(logits, target, reduction="none"),
        },
        label_smoothing=0.3,
    )
    each_reduction(submission, "cross_entropy", (logits, target), "label_smoothing = 1", label_smoothing=1.0)
    target[:2] = -100
    each_reduction(
        submission,
        "cross_entropy",
        (logits, target),
        "label_smoothing = 0.2, a weight for each class, two ignored targets",
        label_smoothing=0.2,
        weight=weight,
    )


@check(
    "cross_entropy and nll_loss take targets with further axes",
    points=0.5,
    category="shapes",
    after=[test_ignored, test_weights],
)
def test_dense(submission):
    weight = torch.rand(3).double() + 0.2
    for shape in ((5,), (3, 4)):
        logits, target = draw(2, 3, *shape), torch.randint(3, (2, *shape))
        target.view(-1)[:2] = -100
        for options in ({}, {"weight": weight, "label_smoothing": 0.1}):
            each_reduction(
                submission,
                "cross_entropy",
                (logits, target),
                f"logits {tuple(logits.shape)}, targets {tuple(target.shape)}",
                **options,
            )
        expect.close(submission.nll_loss(logits, target), F.nll_loss(logits, target), given=f"nll_loss, axes {shape}")
    expect.close(
        submission.cross_entropy(draw(2, 1, 3), torch.tensor([[0, -100, 0]] * 2), label_smoothing=0.1),
        torch.tensor(0.0, dtype=torch.float64),
        trivial="the softmax over a single class is 1, and its logarithm 0",
        given="cross_entropy, a single class, 2 of 6 targets ignored",
    )


@check("binary_cross_entropy_with_logits agrees with PyTorch", points=1, category="values", devices="all")
def test_binary(submission, device):
    logits, target = draw(4, 3, device=device) * 2, torch.rand(4, 3, device=device).double()
    pos_weight = torch.tensor([0.5, 2.0, 5.0], dtype=torch.float64, device=device)
    plain = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    each_reduction(
        submission,
        "binary_cross_entropy_with_logits",
        (logits, target),
        "logits and targets (4, 3)",
        {
            "the part of the target 0 is missing": -target * F.logsigmoid(logits),
            "sigmoid is applied twice: the argument is logits": F.binary_cross_entropy_with_logits(
                logits.sigmoid(), target, reduction="none"
            ),
        },
    )
    each_reduction(
        submission,
        "binary_cross_entropy_with_logits",
        (logits, target),
        "a pos_weight for each of 3 columns",
        {
            "pos_weight multiplies the whole loss, not the part of the target 1": plain * pos_weight,
            "pos_weight is ignored": plain,
        },
        pos_weight=pos_weight,
    )


@check("binary cross entropy stays finite for logits of ±1000", points=0.5, category="robustness", after=test_binary)
def test_binary_large(submission):
    logits = torch.tensor([1000.0, -1000.0, 1000.0, -1000.0, 40.0], dtype=torch.float64)
    target = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    for pos_weight in (None, torch.tensor(3.0, dtype=torch.float64)):
        expect.close(
            submission.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction="none"),
            F.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction="none"),
            given="logits 1000, -1000, 1000, -1000 and 40",
        )


@check("kl_div is the divergence of the input from the target", points=1, category="values")
def test_kl(submission):
    log_input, target = draw(5, 4).log_softmax(1), draw(5, 4).softmax(1)
    target[0] = torch.tensor([0.0, 0.25, 0.75, 0.0])
    values = F.kl_div(log_input, target, reduction="none")
    expect.close(
        submission.kl_div(log_input, target),
        values.sum() / 5,
        likely={
            "the default divides by the number of elements, not of rows": values.mean(),
            "log target is left out: that is the cross entropy": -(target * log_input).sum() / 5,
            "the two distributions are swapped": (log_input.exp() * (log_input - target.log())).sum() / 5,
            "0 · log 0 is nan: xlogy knows that it is 0": torch.tensor(math.nan, dtype=torch.float64),
        },
        equal_nan=True,
        given="5 rows of 4 probabilities, two of them 0",
    )
    each_reduction(
        submission,
        "kl_div",
        (log_input, target),
        "5 rows of 4 probabilities",
    )


@check(
    "the gradients of all losses arrive and are right",
    points=1,
    category="gradients",
    after=[test_differences, test_smooth, test_weights, test_ignored, test_binary, test_kl],
)
def test_loss_gradients(submission):
    for name, call in calls_of_losses().items():
        ours, theirs = (call[0].clone().requires_grad_() for _ in range(2))
        loss = getattr(submission, name)(ours, *call[1:-1], **call[-1])
        expect.gradient_flow(loss, ours)
        oracle = getattr(F, name)(theirs, *call[1:-1], **call[-1])
        cotangent = torch.randn_like(loss)
        expect.close(
            torch.autograd.grad((cotangent * loss).sum(), ours)[0],
            torch.autograd.grad((cotangent * oracle).sum(), theirs)[0],
            given=f"{name}: the gradient by its first argument",
        )


def calls_of_losses():
    """By name: the first argument, the others, and the options."""
    pred, target = pair((9,))
    labels, kept = classes(6, 4), torch.tensor([0, -100, 2, 3, -100, 1])
    weight = torch.rand(4).double() + 0.2
    return {
        "l1_loss": (pred, target, {"reduction": "none"}),
        "mse_loss": (pred, target, {"reduction": "none"}),
        "smooth_l1_loss": (pred, target, {"beta": 0.7, "reduction": "none"}),
        "huber_loss": (pred, target, {"delta": 0.7, "reduction": "none"}),
        "nll_loss": (draw(6, 4).log_softmax(1), labels, {"weight": weight}),
        "cross_entropy": (draw(6, 4), kept, {"label_smoothing": 0.1}),
        "binary_cross_entropy_with_logits": (draw(6), torch.rand(6).double(), {"pos_weight": weight[0]}),
        "kl_div": (draw(3, 4).log_softmax(1), draw(3, 4).softmax(1), {"reduction": "batchmean"}),
    }


@check(
    "every loss refuses an unknown reduction",
    points=0.5,
    category="robustness",
    after=[test_differences, test_cross_entropy, test_binary, test_kl],
)
def test_reductions(submission):
    for name, call in calls_of_losses().items():
        for wrong in ("average", "Mean"):
            options = {**call[-1], "reduction": wrong}
            given = f"{name}, reduction={wrong!r}"
            expect.raises(("ValueError",), getattr(submission, name), *call[:-1], **options, given=given)


OWN_LOSSES = Rule(
    of=[name for name in LIBRARY if name != "binary_cross_entropy"],
    functions=(*LIBRARY, "nll_loss_nd", "cross_entropy_loss"),
    names=(*(f"F.{name}" for name in LIBRARY), *(f"nn.{name}" for name in CLASSES)),
    instead="formulas",
)
OWN_OPTIMIZERS = Rule(of=OPTIMIZERS, names="torch.optim", instead="formulas")


@check(
    "no loss or optimiser of the library is used",
    points=1,
    category="rules",
    after=[test_differences, test_cross_entropy],
    gates=[OWN_LOSSES, OWN_OPTIMIZERS],
)
def test_rules(submission):
    expect.avoids(submission.SGD, rule=OWN_OPTIMIZERS)
    expect.avoids(submission.cross_entropy, draw(5, 3), classes(5, 3), rule=OWN_LOSSES)
    for name, call in calls_of_losses().items():
        expect.avoids(getattr(submission, name), *call[:-1], rule=OWN_LOSSES, given=name)


@check(
    "the losses do the same work for any number of samples",
    points=0.5,
    category="efficiency",
    after=[test_ignored, test_weights, test_binary],
)
def test_growth(submission):
    few, many = ((draw(n, 4), classes(n, 4), -100, 0.1, torch.rand(4).double()) for n in (5, 60))
    expect.vectorised(submission.cross_entropy, few, many, given="cross_entropy of 12 times the samples")
    few, many = (pair((n,)) for n in (5, 60))
    expect.vectorised(submission.smooth_l1_loss, few, many, given="smooth_l1_loss of 12 times the values")


@check(
    "the losses work on the device of their inputs",
    points=0.5,
    category="devices",
    after=[test_ignored, test_weights, test_binary],
)
def test_portable(submission):
    logits, labels, weight = draw(5, 4), classes(5, 4), torch.rand(4).double()
    for name, args in {
        "cross_entropy": (logits, labels, -100, 0.1, weight, "none"),
        "nll_loss": (logits, labels, -100, weight, "none"),
        "binary_cross_entropy_with_logits": (logits, logits.sigmoid(), weight, "none"),
        "smooth_l1_loss": (logits, logits.sigmoid(), 0.5, "none"),
    }.items():
        wanted = "tensors on the device of the input alone"
        expect.portable(getattr(submission, name), *args, expected=wanted, given=name)


# Optimisers. The parameters are two of the same shape, a matrix and a scalar; their gradients are drawn beforehand.


def problem(steps=STEPS, scale=1.0):
    """Starting points and gradients for each step."""
    shapes = ((3,), (3,), (2, 2), ())
    return [draw(*shape) for shape in shapes], [[scale * draw(*shape) for shape in shapes] for _ in range(steps)]


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


def torch_sgd(lr, momentum=0.0, weight_decay=0.0, nesterov=False):
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


def torch_adagrad(lr, eps=1e-10, weight_decay=0.0):
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


def torch_rmsprop(lr, alpha=0.99, eps=1e-8, momentum=0.0, weight_decay=0.0):
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


def torch_adam(lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, function=adam):
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


def torch_adamw(lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
    return torch_adam(lr, betas, eps, weight_decay, function=adamw)


TORCH = {
    "SGD": torch_sgd,
    "Adagrad": torch_adagrad,
    "RMSprop": torch_rmsprop,
    "Adam": torch_adam,
    "AdamW": torch_adamw,
}


def each_element(rule):
    """An update from ``rule(param, gradient, memory, t)``, which returns the new parameter; for wrong versions."""

    def update(params, gradients, memory):
        memory["t"] = memory.get("t", 0) + 1
        for number, (param, gradient) in enumerate(zip(params, gradients, strict=True)):
            param.copy_(rule(param, gradient, memory.setdefault(number, {}), memory["t"]))

    return update


def expect_path(submission, name, options, given, wrong=None, scale=1.0):
    """The optimiser ``name`` of the submission goes where torch's goes; ``wrong``: sentence -> update."""
    starts, gradients = problem(scale=scale)
    path = submission.probes.replay(getattr(submission, name), starts, gradients, options)
    expect.close(
        path,
        expected_path(TORCH[name](**options), starts, gradients),
        likely={text: expected_path(update, starts, gradients) for text, update in (wrong or {}).items()},
        given=f"{given}, {STEPS} steps with given gradients",
    )


@check("SGD steps against the gradient, with and without weight decay", points=1, category="values")
def test_sgd(submission):
    expect_path(submission, "SGD", {"lr": 0.1}, "lr=0.1", {"the step goes up the gradient": torch_sgd(-0.1)})
    decay = {"lr": 0.1, "weight_decay": 0.2}
    expect_path(submission, "SGD", decay, "weight_decay=0.2", {"weight_decay is ignored": torch_sgd(0.1)})


@check("SGD with momentum keeps a velocity, Nesterov looks ahead", points=1, category="values", after=test_sgd)
def test_momentum(submission):
    def averaging(param, gradient, memory, t):
        memory["v"] = 0.9 * memory.get("v", 0.0) + (0.1 * gradient)
        return param - 0.1 * memory["v"]

    def first_dampened(param, gradient, memory, t):
        memory["v"] = 0.9 * memory["v"] + gradient if "v" in memory else 0.1 * gradient
        return param - 0.1 * memory["v"]

    expect_path(
        submission,
        "SGD",
        {"lr": 0.1, "momentum": 0.9},
        "momentum=0.9",
        {
            "the velocity averages: it takes up (1 - momentum) of the gradient": each_element(averaging),
            "the first velocity is only (1 - momentum) of the gradient": each_element(first_dampened),
            "momentum is ignored": torch_sgd(0.1),
        },
    )

    expect_path(
        submission,
        "SGD",
        {"lr": 0.1, "momentum": 0.8, "nesterov": True},
        "momentum=0.8, nesterov=True",
        {"nesterov is ignored: that is plain momentum": torch_sgd(0.1, momentum=0.8)},
    )
    everything = {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.1, "nesterov": True}
    expect_path(submission, "SGD", everything, "momentum=0.8, weight_decay=0.1, nesterov=True")


@check("Adagrad divides by the root of all squares so far", points=1, category="values")
def test_adagrad(submission):
    def forgetful(param, gradient, memory, t):
        return param - 0.1 * gradient / (gradient.abs() + 0.01)

    def inside(param, gradient, memory, t):
        memory["s"] = memory.get("s", 0.0) + gradient**2
        return param - 0.1 * gradient / (memory["s"] + 0.01).sqrt()

    def rootless(param, gradient, memory, t):
        memory["s"] = memory.get("s", 0.0) + gradient**2
        return param - 0.1 * gradient / (memory["s"] + 0.01)

    expect_path(
        submission,
        "Adagrad",
        {"lr": 0.1, "eps": 0.01},
        "eps=0.01",
        {
            "only the last square is used: the sum is not kept": each_element(forgetful),
            "eps stands inside of the root": each_element(inside),
            "the root is missing": each_element(rootless),
        },
    )
    expect_path(submission, "Adagrad", {"lr": 0.1, "weight_decay": 0.2}, "weight_decay=0.2")


@check("RMSprop divides by the root of a fading mean of squares", points=1, category="values")
def test_rmsprop(submission):
    def summed(param, gradient, memory, t):
        memory["s"] = 0.9 * memory.get("s", 0.0) + gradient**2
        return param - 0.1 * gradient / (memory["s"].sqrt() + 0.01)

    def swapped(param, gradient, memory, t):
        memory["s"] = 0.1 * memory.get("s", 0.0) + 0.9 * gradient**2
        return param - 0.1 * gradient / (memory["s"].sqrt() + 0.01)

    def inside(param, gradient, memory, t):
        memory["s"] = 0.9 * memory.get("s", 0.0) + 0.1 * gradient**2
        return param - 0.1 * gradient / (memory["s"] + 0.01).sqrt()

    expect_path(
        submission,
        "RMSprop",
        {"lr": 0.1, "alpha": 0.9, "eps": 0.01},
        "alpha=0.9, eps=0.01",
        {
            "the factor (1 - alpha) of the new square is missing": each_element(summed),
            "alpha and 1 - alpha are swapped": each_element(swapped),
            "eps stands inside of the root": each_element(inside),
        },
    )
    expect_path(submission, "RMSprop", {"lr": 0.1}, "the defaults")
    options = {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.2}
    expect_path(submission, "RMSprop", options, "momentum=0.8, weight_decay=0.2")


def adam_variant(corrected=True, inside=False, lr=0.1, betas=(0.9, 0.99), eps=0.01, decay=0.0, coupled=False):
    """Adam with one thing changed."""

    def rule(param, gradient, memory, t):
        if coupled:
            gradient = gradient + decay * param
        else:
            param = param * (1 - lr * decay)
        m = memory["m"] = betas[0] * memory.get("m", 0.0) + (1 - betas[0]) * gradient
        v = memory["v"] = betas[1] * memory.get("v", 0.0) + (1 - betas[1]) * gradient**2
        if corrected:
            exponent = 1 if corrected == "once" else t
            m, v = m / (1 - betas[0] ** exponent), v / (1 - betas[1] ** exponent)
        return param - lr * m / ((v + eps).sqrt() if inside else v.sqrt() + eps)

    return each_element(rule)


@check("Adam corrects both averages for their start at zero", points=1, category="values")
def test_adam(submission):
    expect_path(
        submission,
        "Adam",
        {"lr": 0.1, "betas": (0.9, 0.99), "eps": 0.01},
        "betas=(0.9, 0.99), eps=0.01",
        {
            "the bias correction is missing": adam_variant(corrected=False),
            "the bias correction uses beta, not beta to the power of t": adam_variant(corrected="once"),
            "eps stands inside of the root": adam_variant(inside=True),
        },
    )
    expect_path(submission, "Adam", {"lr": 0.1}, "the defaults")
    expect_path(
        submission,
        "Adam",
        {"lr": 0.1, "weight_decay": 0.3},
        "weight_decay=0.3",
        {"the decay is decoupled: that is AdamW": torch_adamw(0.1, weight_decay=0.3)},
    )


@check("AdamW decays the parameter, not the gradient", points=1, category="values", after=test_adam)
def test_adamw(submission):
    expect_path(
        submission,
        "AdamW",
        {"lr": 0.1, "weight_decay": 0.3},
        "weight_decay=0.3",
        {
            "the decay is added to the gradient: that is Adam": torch_adam(0.1, weight_decay=0.3),
            "weight_decay is ignored": torch_adam(0.1),
            "the decay is not multiplied by lr": torch_adamw_unscaled(0.1, 0.3),
        },
    )
    expect_path(submission, "AdamW", {"lr": 0.1}, "the defaults, weight_decay=0.01")


def torch_adamw_unscaled(lr, decay):
    return adam_variant(lr=lr, betas=(0.9, 0.999), eps=1e-8, decay=decay / lr)


@check(
    "each parameter group has its own options, which may change",
    points=1,
    category="robustness",
    after=[test_momentum, test_adam],
)
def test_groups(submission):
    shapes = ((3,), (3,))
    starts = [draw(*shape) for shape in shapes]
    gradients = [[draw(*shape) for shape in shapes] for _ in range(8)]
    cases = {
        "SGD": {"options": {"lr": 0.1, "momentum": 0.9}, "own": {"lr": 0.02, "momentum": 0.5}},
        "Adam": {"options": {"lr": 0.1}, "own": {"lr": 0.02, "weight_decay": 0.5}},
    }
    for name, case in cases.items():
        path = submission.probes.replay_groups(
            getattr(submission, name), starts, gradients, [{}, case["own"]], case["options"], 0.01
        )
        first = late_path(TORCH[name], case["options"], starts[0], gradients, 0, late_lr=0.01)
        second = late_path(TORCH[name], {**case["options"], **case["own"]}, starts[1], gradients, 1)
        shared = late_path(TORCH[name], case["options"], starts[1], gradients, 1)
        kept = late_path(TORCH[name], case["options"], starts[0], gradients, 0)
        expect.close(
            path,
            torch.cat([first, second], 1),
            likely={
                "the options of a group are ignored": torch.cat([first, shared], 1),
                "a rate that is written into param_groups later is ignored": torch.cat([kept, second], 1),
            },
            given=f"{name}: two groups, the second with {case['own']}, lr of the first 0.01 after 4 of 8 steps",
        )


def late_path(update, options, start, gradients, number, late_lr=None):
    """The path of one parameter whose rate changes after half of the steps."""
    param, memory, path = [start.clone()], {}, []
    for step, gradient in enumerate(gradients):
        if late_lr is not None and step == len(gradients) // 2:
            options = {**options, "lr": late_lr}
        update(**options)(param, [gradient[number].clone()], memory)
        path.append([param[0].clone()])
    return joined(path)


@check(
    "a step changes the leaves themselves and records no graph",
    points=1,
    category="gradients",
    after=[test_sgd, test_adagrad, test_rmsprop, test_adamw],
)
def test_leaves(submission):
    for name in OPTIMIZERS:
        start = draw(4)
        param, gradient = submission.hold(start, requires_grad=True), draw(4)
        optimizer = getattr(submission, name)([param], lr=0.1, weight_decay=0.1)
        submission.probes.give_gradients([param], [gradient])
        optimizer.step()
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
        expect.close(param.grad, gradient, trivial="the gradient stays until zero_grad", given=f"{name}: the gradient")


@check(
    "a parameter without a gradient is left alone",
    points=0.5,
    category="robustness",
    after=[test_sgd, test_adagrad, test_rmsprop, test_adamw],
)
def test_no_gradient(submission):
    for name in OPTIMIZERS:
        starts, gradient = [draw(3), draw(3)], draw(3)
        options = {"lr": 0.1, "weight_decay": 0.1}
        steps = [[None, gradient], [gradient, None], [None, gradient]]
        path = submission.probes.replay(getattr(submission, name), starts, steps, options)
        alone = expected_path(TORCH[name](**options), starts[1:], [[gradient]])[0]
        expect.close(path[0, :3], starts[0], trivial="a parameter that may not move", given=f"{name}, the first step")
        expect.close(path[1, 3:], alone, given=f"{name}: the second parameter has no gradient in the second step")
        once = expected_path(TORCH[name](**options), starts[:1], [[gradient]])[0]
        expect.close(
            path[2, :3],
            once,
            given=f"{name}: the first parameter had its only gradient in the second step",
        )


@check("zero_grad clears every gradient, whenever it is called", points=0.5, category="gradients", after=test_sgd)
def test_zero_grad(submission):
    params = [submission.hold(draw(3), requires_grad=True) for _ in range(2)]
    for name in OPTIMIZERS:
        optimizer = getattr(submission, name)([{"params": params[:1]}, {"params": params[1:]}], lr=0.1)
        submission.probes.give_gradients(params, [None, None])
        optimizer.zero_grad()
        submission.probes.give_gradients(params, [draw(3), draw(3)])
        optimizer.zero_grad()
        left = [param.grad for param in params]
        expect.true(
            all(gradient is None or not gradient.any() for gradient in left),
            expected="gradients that are None or zero",
            got="a gradient that is still there after zero_grad()",
            given=f"{name} with two groups",
        )


@check(
    "what an optimiser remembers lives where the parameter lives",
    points=0.5,
    category="devices",
    after=[test_momentum, test_adagrad, test_rmsprop, test_adamw],
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
        run = as_run(submission.run_regression(x, y, "SGD", lr, normalize, steps), steps)
        scale = float(x.std(ddof=1)) if normalize == "zscore" else float(x.max() - x.min())
        given = f'normalize="{normalize}", lr={lr}, {steps} steps'
        scaled = {"w belongs to the scaled x: divide by the scale": line.w * scale}
        expect.close(run["w"], line.w, rtol=0, atol=0.005, likely=scaled, given=f"w, {given}")
        expect.close(run["b"], line.b, rtol=0, atol=0.1, given=f"b, {given}")


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


@check(
    "run_regression uses the optimiser that it is asked for",
    points=0.5,
    category="values",
    after=[test_optimum, test_adagrad, test_rmsprop, test_adamw],
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


@check("a run that diverges stops, and says so without an error", points=1, category="robustness", after=test_statuses)
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
