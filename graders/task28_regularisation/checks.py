"""Checks for task 28: regularisation and learning-rate schedules.

The oracles are closed forms, PyTorch's own optimiser and scheduler, and histories that are looked at from the end: what
is best is searched anew in each epoch, among all losses so far.
"""

import math

import torch

from torchgrade.authoring import FLOATS, LEFT_OUT, Rule, check, expect, grid, kit

SINGLE, DOUBLE = torch.float32, torch.float64
INF, NAN = math.inf, math.nan


# --- penalties -------------------------------------------------------------------------------------------

# Of each model the parameters in order: how many numbers, and what they are.
PARTS = {
    "linear": [(6, "weight"), (3, "bias")],
    "Bare": [(4, "weight"), (2, "bias"), (3, "weight"), (2, "weight")],
    "layers": [(8, "weight"), (2, "bias"), (4, "weight"), (2, "bias"), (2, "weight")],
    "batch_norm": [(4, "weight"), (2, "bias"), (2, "norm"), (2, "bias"), (2, "weight"), (1, "bias"), (1, "norm"),
                   (1, "bias")],
    "norms": [(4, "weight"), (2, "bias"), (3, "norm"), (3, "bias"), (2, "norm"), (2, "bias"), (1, "norm"), (1, "bias"),
              (1, "norm"), (1, "bias")],
    "names": [(4, "named bias"), (2, "bias"), (2, "weight"), (1, "bias"), (2, "norm"), (2, "bias")],
    "attention": [(2, "named bias"), (3, "named bias"), (2, "weight"), (2, "bias")],
    "shared": [(4, "weight"), (2, "bias"), (2, "bias")],
    "frozen": [(4, "frozen"), (2, "frozen bias"), (2, "weight"), (1, "bias")],
    "only_norm": [(3, "norm"), (3, "bias")],
    "nothing": [],
}  # fmt: skip
WEIGHTS = ("weight", "named bias", "frozen")
KINDS = (*WEIGHTS, "bias", "norm", "frozen bias")


def penalty(power, counted=None, factor=None, slope=None):
    """|w| or w² / 2 of what counts, and three times the gradient; ``counted`` maps include_bias to the kinds."""

    def oracle(values, model, lam, include_bias=False):
        kinds = KINDS if include_bias else WEIGHTS
        kinds = kinds if counted is None else counted(include_bias, kinds)
        marks = [float(kind in kinds) for size, kind in PARTS[model] for _ in range(size)]
        free = [float("frozen" not in kind) for size, kind in PARTS[model] for _ in range(size)]
        marks, free = (torch.tensor(row, dtype=values.dtype, device=values.device) for row in (marks, free))
        terms = values.abs() if power == 1 else values.square() / 2
        slopes = values.sign() if power == 1 else values
        value, gradient = lam * (marks * terms).sum(), 3 * lam * marks * free * slopes
        if factor is not None:
            scale = factor(values * marks, lam)
            value, gradient = scale * value, scale * gradient
        return told_of(value, gradient if slope is None else slope * gradient)

    return oracle


def told_of(value, gradient):
    return {"penalty": value, "three times its gradient": gradient, "modes are kept": True}


def mistakes(power):
    found = {
        "the penalty is cut off from the graph: no gradient reaches the weights": penalty(power, slope=0),
        "biases count although they are left out": penalty(power, lambda include, kinds: KINDS),
        "the mean is taken, not the sum": penalty(power, factor=lambda kept, lam: 1 / max(int((kept != 0).sum()), 1)),
        "it is divided by the number of all parameters": penalty(power, factor=lambda kept, lam: 1 / len(kept)),
        "lam multiplies it twice": penalty(power, factor=lambda kept, lam: lam),
    }
    if power == 1:
        return found | {"these are squares, as in l2_penalty": penalty(2, factor=lambda kept, lam: 2)}
    return found | {"the half is missing": penalty(2, factor=lambda kept, lam: 2)}


def all_alike(shape, dtype, generator):
    """the number 3 everywhere"""
    return torch.full(tuple(shape), 3.0)


def filled_with(draw, *, model):
    return {"values": draw(sum(size for size, _ in PARTS[model]))}


PENALTIES = {
    "lam": [0.5, 0.01, 2.0, 1e-5],
    "include_bias": [LEFT_OUT, False, True],
    "values": [kit.normal, kit.thousands, all_alike],
    "dtype": [SINGLE, DOUBLE],
}
MAIN = grid(filled_with, model=["linear", "layers", "Bare"], **PENALTIES)
EXEMPT = grid(filled_with, model=["batch_norm", "norms", "names", "attention"], **PENALTIES)
ODD = grid(filled_with, model=["shared", "frozen", "only_norm", "nothing"], **PENALTIES)


def priced(submission, name, power, cases, **options):
    expect.agrees(submission.probes.penalised, penalty(power), cases, bound=(getattr(submission, name),), name=name,
                  **options)  # fmt: skip


def left_out(power):
    return {
        "the weights of normalisation layers count": penalty(
            power, lambda include, kinds: kinds if include else (*kinds, "norm")
        ),
        "what has bias somewhere in its full name is left out: its own name has to be bias": penalty(
            power, lambda include, kinds: kinds if include else ("weight", "frozen")
        ),
        "names alone decide: the weights of normalisation layers count, a layer named bias does not": penalty(
            power, lambda include, kinds: kinds if include else ("weight", "frozen", "norm")
        ),
    }


@check("l1_penalty is lam times the sum of absolute values", points=2, category="values", devices="all")
def test_l1(submission, device):
    priced(submission, "l1_penalty", 1, MAIN, likely=mistakes(1), device=device)


@check("l1_penalty leaves out biases and normalisation by what they are", points=0.5, category="values", after=test_l1,
       hidden=True)  # fmt: skip
def test_l1_exempt(submission):
    priced(submission, "l1_penalty", 1, EXEMPT, likely=left_out(1))


SHARED = "a parameter that layers share counts once for each"


def counted_again(power):
    """The weight that is shared counts for both layers that have it."""

    def oracle(values, model, lam, include_bias=False):
        value, gradient, _ = penalty(power)(values, model, lam, include_bias).values()
        if model == "shared":
            twice = torch.cat([values[:4], torch.zeros_like(values[4:])])
            more, slope, _ = penalty(power)(twice, model, lam, include_bias).values()
            value, gradient = value + more, gradient + slope
        return told_of(value, gradient)

    return oracle


def untouched(power):
    """What requires no gradient does not count."""
    return penalty(power, lambda include, kinds: tuple(kind for kind in kinds if "frozen" not in kind))


@check("l1_penalty counts shared weights once, frozen ones, and none at all", points=0.5, category="robustness",
       after=test_l1, hidden=True)  # fmt: skip
def test_l1_odd(submission):
    priced(submission, "l1_penalty", 1, ODD,
           likely={SHARED: counted_again(1), "frozen parameters do not count": untouched(1)})  # fmt: skip


@check("l2_penalty is lam / 2 times the sum of squares", points=2, category="values", devices="all")
def test_l2(submission, device):
    priced(submission, "l2_penalty", 2, MAIN, likely=mistakes(2), device=device)


@check("l2_penalty leaves out biases and normalisation by what they are", points=0.5, category="values", after=test_l2,
       hidden=True)  # fmt: skip
def test_l2_exempt(submission):
    priced(submission, "l2_penalty", 2, EXEMPT, likely=left_out(2))


@check("l2_penalty counts shared weights once, frozen ones, and none at all", points=0.5, category="robustness",
       after=test_l2, hidden=True)  # fmt: skip
def test_l2_odd(submission):
    priced(submission, "l2_penalty", 2, ODD,
           likely={SHARED: counted_again(2), "frozen parameters do not count": untouched(2)})  # fmt: skip


def decayed(target, lam, lr, count, include_bias=True):
    """What PyTorch's optimiser makes of it, with weight decay in place of the penalty."""
    weights = torch.nn.Parameter(torch.ones_like(target))
    optimizer = torch.optim.SGD([weights], lr=lr, weight_decay=lam)
    for _ in range(count):
        weights.grad = (weights - target).detach()
        optimizer.step()
    return weights.detach()


@check("training with l2_penalty is training with weight decay", points=1, category="values", after=test_l2)
def test_decay(submission):
    cases = grid(
        lambda draw: {"target": draw(5)},
        lam=[0.5, 0.01, 2.0], lr=[0.1, 0.3], count=[1, 3, 20], include_bias=[LEFT_OUT, True], dtype=[DOUBLE, SINGLE],
    )  # fmt: skip
    expect.agrees(submission.probes.descended, decayed, cases, bound=(submission.l2_penalty,), name="l2_penalty",
                  slack=20)  # fmt: skip


@check("l1_penalty makes weights zero, l2_penalty makes them small", points=1, category="convergence",
       after=[test_l1, test_l2])  # fmt: skip
def test_sparse(submission, pictures):
    lam, lr, steps = 0.4, 0.02, 600
    large = torch.tensor([2.0, -1.5, 3.0], dtype=DOUBLE)
    target = torch.cat([large, torch.linspace(-0.3, 0.3, 12, dtype=DOUBLE)])
    found = {
        name: submission.probes.descended(getattr(submission, name), target, lam, lr, steps)
        for name in ("l1_penalty", "l2_penalty")
    }
    pictures.curves("sparse", "weight", {"no penalty": target.tolist(), **{n: w.tolist() for n, w in found.items()}})
    given = f"15 weights, 12 of them up to 0.3 without a penalty; lam = {lam}, {steps} steps of {lr}"
    # a step of |w| has the length lr · lam, so a weight comes that near to where it would rest
    shrunk = target.sign() * (target.abs() - lam).clamp(min=0)
    expect.close(found["l1_penalty"], shrunk, rtol=0, atol=1.01 * lr * lam, given=f"l1_penalty, {given}")
    expect.close(found["l2_penalty"], target / (1 + lam), rtol=0, atol=1e-4, given=f"l2_penalty, {given}")


# --- dropout ---------------------------------------------------------------------------------------------


def away_from_zero(*shape, dtype=SINGLE):
    """Numbers of both signs, none nearer to 0 than 1/2."""
    x = torch.randn(*shape)
    return (x + x.sign() / 2 + (x == 0)).to(dtype)


def expect_dropped(submission, p, x, given, likely=True):
    """The output is 0 or x / (1 - p) everywhere; returns where it is not 0."""
    layer = submission.Dropout(p)
    layer.train()
    y = expect.not_mutated(submission, layer, x, given=given)
    expect.shape(y, x.shape, given=given)
    expect.dtype(y, x.dtype, given=given)
    kept = y != 0
    told = {}
    if likely:
        told = {
            "what is kept is not divided by 1 - p: the mean shrinks": x * kept,
            "what is kept is divided by p": x * kept / p,
            "what is kept is multiplied by 1 - p": x * kept * (1 - p),
        }
    expect.close(y, x * kept / (1 - p), likely=told, given=f"{given}; where the output is not 0",
                 trivial=None if likely else "all may be dropped")  # fmt: skip
    return kept


@check("Dropout sets a share of p to 0 and divides the others by 1 - p", points=2, category="values", devices="all")
def test_dropout(submission, device):
    for p in (0.3, 0.75, None):
        share, count = 0.5 if p is None else p, 5000
        x = away_from_zero(50, 100).to(device)
        given = f"{'p left out' if p is None else f'p = {p}'}, {count} elements in training mode"
        if p is None:
            layer = submission.Dropout()
            y = layer(x)
            kept = y != 0
            expect.close(y, 2 * x * kept, given=f"{given}; where the output is not 0")
        else:
            kept = expect_dropped(submission, p, x, given)
        dropped, far = count - int(kept.sum()), 6.5 * math.sqrt(share * (1 - share) * count)
        expect.true(
            abs(dropped - share * count) <= far,
            expected=f"{share * count - far:.0f} to {share * count + far:.0f} zeros",
            got=f"{dropped} zeros",
            likely={"p is the probability to be dropped, not to be kept": abs(dropped - (1 - share) * count) <= far},
            given=given,
        )


@check("Dropout draws for each element, and anew in each call", points=1, category="values", after=test_dropout)
def test_dropout_masks(submission):
    layer = submission.Dropout(0.5)
    counts = {int((layer(torch.ones(300)) == 0).sum()) for _ in range(12)}
    expect.equal(len(counts) == 1, False, because="chance has no quota",
                 given="p = 0.5, 300 ones; whether all of 12 calls drop as many")  # fmt: skip
    for shape in ((12, 40), (6, 5, 7, 8), (300,)):
        x = torch.ones(shape)
        given = f"p = 0.5, ones of the shape {list(shape)}"
        first, second = layer(x) != 0, layer(x) != 0
        expect.equal(torch.equal(first, second), False, because="each call draws anew",
                     given=f"{given}; whether two calls drop the same")  # fmt: skip
        for axis in range(len(shape) if len(shape) > 1 else 0):
            one, other = first.select(axis, 0), first.select(axis, 1)
            same = torch.equal(one, other)
            expect.equal(same, False, because="each element is drawn by itself",
                         given=f"{given}; whether the places 0 and 1 of axis {axis} drop the same")  # fmt: skip
            rest = [other for other in range(len(shape)) if other != axis]
            counts = first.sum(rest)
            expect.equal(bool((counts == counts[0]).all()) and shape[axis] > 5, False, because="chance has no quota",
                         given=f"{given}; whether at each place of axis {axis} as many are dropped")  # fmt: skip
            together = bool(((first.sum(rest) == 0) | (first.sum(rest) == first[0].numel())).all())
            if first.sum().item() and axis == 0:
                expect.equal(together, False, because="each element is drawn by itself",
                             given=f"{given}; whether every sample is dropped or kept whole")  # fmt: skip


@check("Dropout lets everything pass in evaluation mode", points=1, category="values")
def test_dropout_eval(submission):
    for p in (0.5, 0.2, 0.9, 1.0):
        layer = submission.Dropout(p)
        net = submission.make(torch.nn.Sequential, layer)
        x = away_from_zero(8, 30)
        net.eval()
        given = f"p = {p} in evaluation mode"
        expect.close(net(x), x, given=given, trivial="nothing changes in evaluation", likely={
            "the output is multiplied by 1 - p: the division in training has done that already": x * (1 - p),
            **({"the output is divided by 1 - p also in evaluation": x / (1 - p)} if p < 1 else {}),
        })  # fmt: skip
        net.train()
        given = f"p = {p}, in training mode again; whether the output is the input"
        expect.equal(torch.equal(net(x), x), False, because="training drops", given=given)


@check("Dropout with p = 0 and p = 1 keeps and drops everything", points=0.5, category="robustness", after=test_dropout,
       hidden=True)  # fmt: skip
def test_dropout_ends(submission):
    x = away_from_zero(6, 20)
    expect.close(submission.Dropout(0.0)(x), x, given="p = 0.0 in training mode", trivial="p = 0 drops nothing")
    y = submission.Dropout(1.0)(x)
    expect.true(bool((y == 0).all()), expected="zeros everywhere", got=f"{int((y != 0).sum())} of 120 other values",
                given="p = 1.0 in training mode",
                likely={"0 divided by 1 - p is NaN": bool(y.isnan().any())})  # fmt: skip
    for p in (-0.1, 1.5, -3, 2):
        expect.raises("ValueError", submission.Dropout, p, given=f"p = {p}")


@check("the gradient of Dropout passes where the element passed", points=1, category="gradients", after=test_dropout)
def test_dropout_gradient(submission):
    for p in (0.5, 0.2):
        x = away_from_zero(20, 10, dtype=DOUBLE).requires_grad_()
        y = submission.Dropout(p)(x)
        cotangent = torch.randn(20, 10, dtype=DOUBLE)
        (found,) = torch.autograd.grad(y, x, cotangent, materialize_grads=True)
        kept = (y != 0).double()
        expect.close(found, cotangent * kept / (1 - p), given=f"p = {p}",
                     likely={"the factor 1 / (1 - p) is not in the gradient": cotangent * kept,
                             "the mask is not in the gradient": cotangent / (1 - p)})  # fmt: skip
        x = torch.zeros(400, dtype=DOUBLE, requires_grad=True)
        (found,) = torch.autograd.grad(submission.Dropout(p)(x), x, torch.ones(400, dtype=DOUBLE))
        given, passed = f"p = {p}, the gradients at 400 elements that are 0", found != 0
        expect.close(found, passed.double() / (1 - p), given=given, trivial="a gradient may be 0")
        count, low, high = int(passed.sum()), 400 * (1 - p) - 65, 400 * (1 - p) + 65
        expect.between(count, low, high, unit="elements whose gradient is not 0", given=given)


@check("Dropout takes every floating dtype, layout and shape", points=0.5, category="robustness", after=test_dropout,
       hidden=True)  # fmt: skip
def test_dropout_inputs(submission):
    for dtype in FLOATS:
        expect_dropped(submission, 0.25, away_from_zero(6, 9, dtype=dtype), f"{dtype}", likely=False)
    base = away_from_zero(12, 10)
    shapes = {"a transposed x": base.T, "every second row": base[::2], "one element": base[:1, :1],
              "no axis": base[0, 0], "no element": base[:0],
              "an x that requires gradients": base.clone().requires_grad_()}  # fmt: skip
    for given, x in shapes.items():
        expect_dropped(submission, 0.25, x, given, likely=False)


@check("Dropout draws from PyTorch's global generator", points=0.5, category="robustness", after=test_dropout,
       hidden=True)  # fmt: skip
def test_dropout_generator(submission):
    same = submission.probes.drawn_alike(submission.Dropout(0.5), torch.ones(200))
    expect.equal(
        same, True, because="the seed decides", given="whether two calls after torch.manual_seed(20) are equal"
    )


BY_HAND = Rule(
    of=("Dropout",),
    functions=("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout",
               "feature_alpha_dropout", "native_dropout", "dropout_"),
    names=("nn.Dropout", "F.dropout", "functional.dropout", "nn.AlphaDropout"),
    instead="a random mask",
)  # fmt: skip


@check("Dropout is made by hand", points=0.5, category="rules", gates=BY_HAND)
def test_dropout_rule(submission):
    expect.avoids(submission.Dropout(0.5), torch.ones(4, 4), rule=BY_HAND)


@check("Dropout has no loop over elements, and stays on the device", points=0.5, category="efficiency",
       after=test_dropout)  # fmt: skip
def test_dropout_efficiency(submission):
    layer = submission.Dropout(0.5)
    expect.vectorised(layer, (torch.ones(4, 8),), (torch.ones(64, 32),), given="Dropout of 64 times the elements")
    expect.portable(layer, torch.ones(4, 8), given="Dropout")


# --- early stopping --------------------------------------------------------------------------------------


def row(stop, best, counter):
    return {"step": stop, "best": best, "counter": counter, "should_stop": stop}


def history(losses, patience=5, min_delta=0.0, better=None, late=0):
    """The rows of a fresh object and of each epoch, each searched anew."""
    better = better or (lambda value, best, delta: value < best - delta)
    rows = [row(False, INF, 0)]
    for epoch in range(len(losses)):
        best, since = INF, epoch + 1
        for place, value in enumerate(losses[: epoch + 1]):
            if better(value, best, min_delta):
                best, since = value, epoch - place
        stop = since >= patience + late
        rows.append(row(stop, best, since))
    return rows


def up_to_the_stop(losses, patience, min_delta):
    settings = {} if patience is LEFT_OUT else {"patience": patience}
    delta = {} if min_delta is LEFT_OUT else {"min_delta": min_delta}
    rows = history(losses, **settings, **delta)
    return not any(row["step"] for row in rows[:-1])


LOSSES = [
    [3.0, 2.0, 2.5],
    [3.0, 2.0, 2.0, 4.0],
    [5.0, 4.0, 4.5, 4.5, 3.0, 3.5],
    [1.0, 2.0],
    [4.0, 3.75, 3.5, 3.25, 3.0],
    [1.0, 1.0, 1.0, 1.0],
    [0.5, 0.25, 0.75, 0.75, 0.75, 0.75, 0.75],
    [2.0, 1.0, 3.0, 3.0, 0.5, 3.0, 3.0, 3.0],
    [-1.0, -3.0, -2.0],
]
STOPPING = grid(losses=LOSSES, patience=[LEFT_OUT, 1, 2, 3, 5], where=lambda losses, patience: up_to_the_stop(
    losses, patience, LEFT_OUT))  # fmt: skip


def in_all(losses, patience=5, min_delta=0.0):
    """The counter is not set back."""
    rows, count = [], 0
    for right in history(losses, patience, min_delta):
        count += right["counter"] > 0
        rows.append(row(count >= patience, right["best"], count))
    return rows


@check("EarlyStopping stops after patience epochs in a row without a better one", points=2, category="values")
def test_stopping(submission):
    expect.agrees(
        submission.probes.stopping, history, STOPPING, bound=(submission.EarlyStopping,), name="EarlyStopping",
        trivial="these are whole stories of numbers",
        likely={
            "an equal value counts as better": lambda **run: history(**run, better=lambda v, best, d: v <= best - d),
            "it stops one epoch too late": lambda **run: history(**run, late=1),
            "it stops one epoch too early": lambda **run: history(**run, late=-1),
            "the counter does not go back to 0 when there is a better value": in_all,
            "larger is taken for better": lambda **run: history(
                **run, better=lambda v, best, d: v > best + d if best < INF else True
            ),
        },
    )  # fmt: skip


@check("EarlyStopping asks for a gain of more than min_delta", points=0.5, category="values", after=test_stopping)
def test_min_delta(submission):
    cases = grid(
        losses=[[4.0, 3.75, 3.5, 3.25, 3.0], [1.0, 0.5, 0.25], [3.0, 2.0, 1.75, 1.0], [2.0, 2.25, 1.75, 1.25]],
        min_delta=[0.25, 0.5, 0.0, LEFT_OUT], patience=[LEFT_OUT, 3, 2],
        where=up_to_the_stop,
    )  # fmt: skip
    expect.agrees(
        submission.probes.stopping, history, cases, bound=(submission.EarlyStopping,), name="EarlyStopping",
        trivial="these are whole stories of numbers",
        likely={
            "a gain of just min_delta is enough": lambda **run: history(**run, better=lambda v, b, d: v <= b - d),
            "min_delta is added, not subtracted": lambda **run: history(**run, better=lambda v, b, d: v < b + d),
        },
    )  # fmt: skip


@check("EarlyStopping takes NaN and infinity for no better value", points=0.5, category="robustness",
       after=test_stopping, hidden=True)  # fmt: skip
def test_stopping_far(submission):
    cases = grid(
        losses=[[2.0, NAN, 1.0, NAN], [NAN, 1.0], [NAN, NAN], [INF, INF, 3.0], [1.0, INF, NAN], [INF, -2.0, NAN]],
        patience=[LEFT_OUT, 2, 3], where=lambda losses, patience: up_to_the_stop(losses, patience, LEFT_OUT),
    )  # fmt: skip
    expect.agrees(
        submission.probes.stopping, history, cases, bound=(submission.EarlyStopping,), name="EarlyStopping",
        trivial="these are whole stories of numbers",
        likely={
            "NaN is taken for better": lambda **run: history(**run, better=lambda v, b, d: not v >= b - d),
            "the first value counts as better, even NaN": lambda losses, **run: history(
                losses, **run, better=lambda v, b, d: b == INF or v < b - d
            ),
        },
    )  # fmt: skip


NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"]
STORIES = {(3.0, 1.0, 2.0): 12, (5.0, 4.0, 4.5, 3.0, 3.5, 4.5): 14, (1.0, 2.0): 11, (3.0, 2.0, 1.0): 13}
HOLDS = "every parameter and buffer holds 11 in the first epoch, 12 in the next, ..., and 90 later"


@check("EarlyStopping keeps a copy of the best state", points=1.5, category="values")
def test_stopping_state(submission):
    for losses, best in STORIES.items():
        found = submission.probes.watched(submission.EarlyStopping, list(losses))
        given = f"the losses {list(losses)}; {HOLDS}"
        expect.equal(found["names"], NAMES, given=f"{given}; the names in best_state")
        expect.equal(
            found["kept"], [float(best)], given=f"{given}; the numbers in best_state",
            likely={
                "the living tensors are kept, not copies: they are changed by every step": [90.0],
                **({"the last state is kept, not the best": [10.0 + len(losses)]} if best != 10 + len(losses) else {}),
                **({"the first state is kept, not the best": [11.0]} if best != 11 else {}),
            },
        )  # fmt: skip
        held = [11.0 + number for number in range(len(losses))]
        expect.equal(found["held"], held, because="step leaves the model alone", given=f"{given}; after each step")
        expect.equal(found["modes"][0], True, given=f"{given}; whether step leaves the modes of all modules alone")
    kept = submission.probes.state_without_model(submission.EarlyStopping, [2.0, 1.0])
    expect.equal(kept, None, given="best_state after two steps without a model", trivial="None is asked for")
    kept = submission.probes.state_without_model(submission.EarlyStopping, [4.0, 3.0, 2.0, 3.0], [0, 1, 3])
    expect.equal(kept, [12.0], given=f"the losses [4.0, 3.0, 2.0, 3.0], the third without a model; {HOLDS}")


@check("restore gives the model the best state, time and again", points=1, category="values", after=test_stopping_state)
def test_restore(submission):
    for losses, best in STORIES.items():
        found = submission.probes.watched(submission.EarlyStopping, list(losses))
        given = f"the losses {list(losses)}; {HOLDS}"
        first, second = found["restored"]
        expect.equal(first, [float(best)], given=f"{given}; what the model holds after restore",
                     likely={"the model is left as it was": [90.0]})  # fmt: skip
        expect.equal(second, [float(best)], given=f"{given}; what it holds when changed to 91 and restored again",
                     likely={"the model has got the kept tensors themselves, and changes them": [91.0]})  # fmt: skip
        expect.equal(found["modes"][1], True, given=f"{given}; whether restore leaves the modes of all modules alone")


@check("two objects of EarlyStopping know nothing of each other", points=0.5, category="robustness",
       after=[test_stopping, test_stopping_state], hidden=True)  # fmt: skip
def test_stopping_objects(submission):
    first, second, settings = [3.0, 2.0, 2.5, 1.0], [1.0, 0.75, 0.5, 3.0], [{"patience": 3}, {"patience": 1}]
    found = submission.probes.in_turn(submission.EarlyStopping, submission.probes.stop_step, first, second, settings)
    wanted = [list(pair) for pair in zip(history(first, 3)[1:], history(second, 1)[1:], strict=True)]
    expect.equal(found, wanted, given=f"two objects in turn, patience 3 and 1, and the losses {first} and {second}; "
                 "what step gives and best, counter and should_stop of both after each step")  # fmt: skip
    found = submission.probes.states_in_turn(submission.EarlyStopping, [3.0, 2.0, 2.5], [1.0, 2.0, 0.5])
    given = "two objects in turn, with the losses 3, 2, 2.5 and 1, 2, 0.5 of models that hold 11, 12, 13 and 21, 22, 23"
    expect.equal(found, [[12.0], [23.0]], given=f"{given}; what both keep in the end")


# --- schedules -------------------------------------------------------------------------------------------


def steps(epoch, base, step, gamma):
    rate = base
    for past in range(1, epoch + 1):
        if past % step == 0:
            rate *= gamma
    return rate


@check("step_lr lowers the rate after every step epochs", points=1.5, category="values")
def test_step_lr(submission, pictures):
    cases = grid(
        epoch=[0, 1, 4, 5, 9, 10, 14, 199, 200], base=[0.1, 0.5, 1.0], step=[5, 1, 3, 7], gamma=[0.9, 0.5, 1.0]
    )
    expect.agrees(
        submission.step_lr, steps, cases, slack=0.01,
        likely={
            "the rate is lowered in every epoch, not in every step-th": lambda epoch, base, step, gamma: (
                base * gamma**epoch
            ),
            "it falls within the steps, too: the number of reductions is whole": lambda epoch, base, step, gamma: (
                base * gamma ** (epoch / step)
            ),
            "the rate is lowered once, and never again": lambda epoch, base, step, gamma: (
                base * gamma if epoch >= step else base
            ),
            "the reductions are added up, not multiplied": lambda epoch, base, step, gamma: (
                base * gamma * (epoch // step) if epoch >= step else base
            ),
            "it is lowered one epoch too early": lambda epoch, base, step, gamma: base * gamma ** ((epoch + 1) // step),
            "it is lowered one epoch too late": lambda epoch, base, step, gamma: (
                base * gamma ** (max(epoch - 1, 0) // step)
            ),
        },
    )  # fmt: skip
    expect.close(submission.step_lr(200, 0.1, 5, 0.9), 0.1 * 0.9**40, given="step_lr(200, 0.1, 5, 0.9)")
    rates = [submission.step_lr(epoch, 0.1, 5, 0.7) for epoch in range(30)]
    pictures.curves("step_lr", "epoch", {"learning rate": rates})


@check("exponential_lr lowers the rate after each epoch", points=1, category="values")
def test_exponential_lr(submission, pictures):
    def oracle(epoch, base, gamma):
        return steps(epoch, base, 1, gamma)

    expect.agrees(
        submission.exponential_lr, oracle, grid(epoch=[0, 1, 2, 10, 100], base=[0.1, 1.0, 3.0], gamma=[0.9, 0.5, 1.0]),
        slack=0.01,
        likely={
            "epochs are counted from 1 here: the first one has the rate base": lambda epoch, base, gamma: (
                base * gamma ** (epoch + 1)
            ),
            "this is e to the power of -gamma · epoch": lambda epoch, base, gamma: base * math.exp(-gamma * epoch),
            "gamma is multiplied by the epoch, not raised to it": lambda epoch, base, gamma: (
                base * gamma * epoch if epoch else base
            ),
        },
    )  # fmt: skip
    rates = [submission.exponential_lr(epoch, 0.1, 0.9) for epoch in range(30)]
    pictures.curves("exponential_lr", "epoch", {"learning rate": rates})


def cosine(step, base, warmup, total, min_lr=0.0):
    if step <= warmup and warmup:
        return base * step / warmup
    if step >= total:
        return min_lr
    return min_lr + (base - min_lr) * math.cos(math.pi / 2 * (step - warmup) / (total - warmup)) ** 2


def rising_again(step, base, warmup, total, min_lr=0.0):
    if step < total:
        return cosine(step, base, warmup, total, min_lr)
    return min_lr + (base - min_lr) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2


def from_there(step, base, warmup, total, min_lr=0.0):
    """The cosine runs over all steps, from 0 on."""
    if step < warmup:
        return cosine(step, base, warmup, total, min_lr)
    return min_lr + (base - min_lr) * (1 + math.cos(math.pi * min(step / total, 1))) / 2


def ahead(step, base, warmup, total, min_lr=0.0):
    """The warm-up is one step ahead."""
    return base * (step + 1) / warmup if step < warmup else cosine(step, base, warmup, total, min_lr)


def a_step_late(step, base, warmup, total, min_lr=0.0):
    """The cosine ends total steps after the rise."""
    return cosine(step, base, warmup, total + warmup, min_lr)


CURVES = {
    "step": [4, 0, 1, 2, 3, 5, 7, 9, 10, 11, 15, 20, 100],
    "base": [0.1, 1.0],
    "warmup": [2, 4, 1],
    "total": [10, 7, 20],
    "min_lr": [LEFT_OUT, 0.01, 0.05],
}


@check("cosine_with_warmup rises to base, falls to min_lr and stays there", points=2, category="values")
def test_cosine(submission, pictures):
    expect.agrees(
        submission.cosine_with_warmup, cosine, grid(**CURVES), slack=0.01,
        likely={
            "after total the rate rises again: a cosine does not stop by itself": rising_again,
            "the warm-up starts at base / warmup: step 0 has the rate 0": ahead,
            "the warm-up starts at min_lr, not at 0": lambda step, base, warmup, total, min_lr=0.0: (
                min_lr + (base - min_lr) * step / warmup
                if step < warmup
                else cosine(step, base, warmup, total, min_lr)
            ),
            "the cosine starts at step 0, not at step warmup": from_there,
            "the fall lasts total steps: it ends at total, the rise included": a_step_late,
            "min_lr cuts the curve off: it is where the fall ends": lambda step, base, warmup, total, min_lr=0.0: (
                base * step / warmup if step < warmup else max(cosine(step, base, warmup, total), min_lr)
            ),
            "min_lr is added to the curve": lambda step, base, warmup, total, min_lr=0.0: (
                base * step / warmup if step < warmup else min_lr + cosine(step, base, warmup, total)
            ),
            "the fall is a straight line": lambda step, base, warmup, total, min_lr=0.0: (
                base * step / warmup
                if step < warmup
                else base + (min_lr - base) * min((step - warmup) / (total - warmup), 1.0)
            ),
        },
    )  # fmt: skip
    rates = [submission.cosine_with_warmup(step, 0.1, 10, 80, 0.01) for step in range(100)]
    pictures.curves("cosine_with_warmup", "step", {"learning rate": rates})


@check("cosine_with_warmup works without a warm-up", points=0.5, category="robustness", after=test_cosine, hidden=True)
def test_cosine_ends(submission):
    cases = grid(step=[0, 1, 4, 5, 6, 50], base=[0.1, 2.0], warmup=[0], total=[5, 1, 8], min_lr=[LEFT_OUT, 0.05, 0.1])
    expect.agrees(submission.cosine_with_warmup, cosine, cases, slack=0.01)


# --- plateau ---------------------------------------------------------------------------------------------


def both(rate):
    return {"step": rate, "lr": rate}


def library(losses, lr, min_lr=0.0, **settings):
    """What step gives, and lr, after each epoch, as PyTorch has it."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0, min_lr=min_lr, **settings)
    rates = []
    for value in losses:
        plateau.step(value)
        rates.append(optimizer.param_groups[0]["lr"])
    return [both(rate) for rate in rates]


def plateau(losses, lr, factor=0.1, patience=10, threshold=1e-4, cooldown=0, min_lr=0.0, *, early=0, better=None,
            forgets=True):  # fmt: skip
    """The same, with one mistake."""
    better = better or (lambda value, best, threshold: value < best * (1 - threshold))
    best, bad, resting, rates = INF, 0, 0, []
    for value in losses:
        if better(value, best, threshold):
            best, bad = value, 0
        else:
            bad += 1
        if resting:
            resting, bad = resting - 1, 0
        if bad > patience - early:
            lr, resting = max(lr * factor, min_lr), cooldown
            bad = 0 if forgets else bad
        rates.append(both(lr))
    return rates


FLAT = [
    [3.0, 2.0, 2.0, 2.0, 2.0, 2.0],
    [3.0, 3.0, 3.0, 2.0, 5.0, 5.0],
    [4.0, 3.0, 2.0, 1.0],
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
    [2.0] * 14,
    [2.0, 1.5, 1.5, 1.25, 1.25, 1.25, 1.0, 1.0],
]
PLATEAU = grid(losses=FLAT, lr=[0.8, 0.1], factor=[0.5, 0.1, LEFT_OUT], patience=[1, 0, 2, 3, LEFT_OUT])


@check("ReduceOnPlateau lowers the rate after more than patience bad epochs", points=2, category="values")
def test_plateau(submission, pictures):
    expect.agrees(
        submission.probes.rates, library, PLATEAU, bound=(submission.ReduceOnPlateau,), name="ReduceOnPlateau",
        slack=0.01,
        likely={
            "it acts when the count reaches patience: it has to be larger": lambda **run: plateau(**run, early=1),
            "an equal loss counts as better": lambda **run: plateau(**run, better=lambda v, b, t: v <= b),
            "the count does not go back to 0 after a reduction": lambda **run: plateau(**run, forgets=False),
            "factor is subtracted or divides: lr becomes lr · factor": lambda **run: plateau(
                **{**run, "factor": 1 / run.get("factor", 0.1)}
            ),
        },
    )  # fmt: skip
    losses = [1 / (1 + epoch) if epoch < 12 else 1 / 12 for epoch in range(40)]
    rows = submission.probes.rates(submission.ReduceOnPlateau, losses, lr=0.1, factor=0.5, patience=5)
    pictures.curves("plateau", "epoch", {"loss": losses, "learning rate": [row["step"] for row in rows]})


@check("ReduceOnPlateau asks for a relative gain of more than threshold", points=0.5, category="values",
       after=test_plateau)  # fmt: skip
def test_threshold(submission):
    cases = grid(
        losses=[[4.0, 3.5, 3.25, 3.0, 2.5], [8.0, 7.0, 6.5, 6.25, 6.0, 3.0], [1.0, 0.99995, 0.9999, 0.99985, 0.9998],
                [0.5, 0.45, 0.4, 0.3, 0.25]],
        lr=[0.8], factor=[0.5], patience=[0, 1], threshold=[0.2, 0.0625, 0.0, LEFT_OUT, 0.6],
    )  # fmt: skip
    expect.agrees(
        submission.probes.rates, library, cases, bound=(submission.ReduceOnPlateau,), name="ReduceOnPlateau",
        slack=0.01,
        likely={
            "threshold is taken as a difference, not as a share of the best": lambda **run: plateau(
                **run, better=lambda v, b, t: v < b - t
            ),
        },
    )  # fmt: skip


def restless(**run):
    return plateau(**{**run, "cooldown": 0})


def blind(losses, lr, factor=0.1, patience=10, threshold=1e-4, cooldown=0, min_lr=0.0):
    """In the cooldown no best value is noticed."""
    best, bad, resting, rates = INF, 0, 0, []
    for value in losses:
        if resting:
            resting -= 1
        elif value < best * (1 - threshold):
            best, bad = value, 0
        else:
            bad += 1
        if bad > patience:
            lr, resting, bad = max(lr * factor, min_lr), cooldown, 0
        rates.append(both(lr))
    return rates


@check("ReduceOnPlateau rests for cooldown epochs", points=1, category="values", after=test_plateau)
def test_cooldown(submission):
    cases = grid(
        losses=[[2.0] * 12, [2.0, 2.0, 2.0, 1.0, 1.5, 1.5, 1.5, 1.5], [3.0, 3.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]],
        lr=[0.8], factor=[0.5], patience=[0, 1, 2], cooldown=[2, 1, 3, 0],
    )  # fmt: skip
    expect.agrees(
        submission.probes.rates, library, cases, bound=(submission.ReduceOnPlateau,), name="ReduceOnPlateau",
        slack=0.01,
        likely={
            "there is no rest after a reduction": restless,
            "a best value in the cooldown is not noticed": blind,
            "the rest is one epoch too short": lambda **run: plateau(
                **{**run, "cooldown": max(run["cooldown"] - 1, 0)}
            ),
        },
    )  # fmt: skip


@check("ReduceOnPlateau never goes below min_lr, and NaN is not better", points=0.5, category="robustness",
       after=[test_plateau, test_threshold, test_cooldown], hidden=True)  # fmt: skip
def test_plateau_far(submission):
    cases = grid(
        losses=[[2.0] * 8, [2.0, NAN, NAN, 1.0, NAN], [NAN, 3.0, 3.0, 3.0],
                [2.0, INF, INF, 1.0, INF, 0.0, 0.0]],
        lr=[0.8], factor=[0.5, 0.3], patience=[0, 1], min_lr=[LEFT_OUT, 0.15, 0.8], cooldown=[LEFT_OUT, 1],
        threshold=[LEFT_OUT, 0.3],
    )  # fmt: skip
    expect.agrees(
        submission.probes.rates, library, cases, bound=(submission.ReduceOnPlateau,), name="ReduceOnPlateau",
        slack=0.01,
        likely={
            "NaN is taken for better": lambda **run: plateau(**run, better=lambda v, b, t: not v >= b * (1 - t)),
            "the rate falls below min_lr": lambda min_lr=0.0, **run: plateau(**run),
        },
    )  # fmt: skip

    # a little better, but not by threshold, in the rest: what is best stays
    cases = grid(losses=[[2.0] * 8, [2.0, 2.0, 1.9, 1.35, 1.35, 1.35], [3.0, 3.0, 2.5, 2.0, 1.9]], lr=[0.8, 0.4],
                 factor=[0.5], patience=[0], cooldown=[1, 2], threshold=[0.3], min_lr=[0.3, LEFT_OUT])  # fmt: skip
    expect.agrees(submission.probes.rates, library, cases, bound=(submission.ReduceOnPlateau,), name="ReduceOnPlateau")


@check("two objects of ReduceOnPlateau know nothing of each other", points=0.5, category="robustness",
       after=test_plateau, hidden=True)  # fmt: skip
def test_plateau_objects(submission):
    first, second = [3.0, 3.0, 3.0, 1.0], [2.0, 1.0, 0.5, 0.5]
    settings = [{"lr": 0.8, "factor": 0.5, "patience": 1}, {"lr": 0.3, "factor": 0.1, "patience": 0}]
    found = submission.probes.in_turn(submission.ReduceOnPlateau, submission.probes.rate_step, first, second, settings)
    wanted = [list(pair) for pair in zip(library(first, **settings[0]), library(second, **settings[1]), strict=True)]
    expect.close(found, wanted, given=f"two objects in turn, with the losses {first} and {second}; "
                 "the answer of step and lr of both after each step")  # fmt: skip


SCHEDULES = Rule(
    of=("step_lr", "exponential_lr", "cosine_with_warmup", "ReduceOnPlateau"),
    names=("lr_scheduler",),
    instead="a formula",
)


@check("the schedules are made by hand", points=0.5, category="rules", gates=SCHEDULES)
def test_schedule_rule(submission):
    expect.avoids(submission.step_lr, 4, 0.1, 2, 0.5, rule=SCHEDULES)


# --- report ----------------------------------------------------------------------------------------------

STORY = [
    ([3.0, 2.0, 1.0], [4.0, 3.0, 3.5]),  # learning by heart
    ([3.0, 2.0, 1.5], [4.0, 3.0, 2.5]),  # still falling
    ([3.0, 1.0, 2.0], [4.0, 2.0, 3.0]),  # both rise
    ([3.0, 2.0, 3.5], [1.0, 0.5, 0.75]),  # both rise, validation below training
    ([3.0, 1.0, 1.0], [4.0, 2.0, 3.0]),  # training stands still
    ([3.0, 2.0, 1.0, 0.5], [4.0, 2.0, 3.0, 2.0]),  # as good again in the end
    ([1.0, 0.5], [2.0, 2.5]),  # best at first
    ([1.5], [2.25]),
    ([3.0, 2.0, 0.5, 1.0], [4.0, 2.0, 3.0, 3.5]),  # training rises in the end, but is lower than at the best epoch
    ([3.0, 1.0, 2.5, 2.0], [4.0, 2.0, 3.0, 3.5]),  # training falls in the end, but is higher than at the best epoch
    ([3.0, 2.0, 1.5, 1.0], [4.0, 2.0, 5.0, 3.0]),  # validation falls in the end
    ([3.0, 2.5, 2.0], [1.0, 0.5, 0.75]),
    ([3.1, 2.3, 1.7, 1.7 - 1e-12], [0.3, 0.1 + 1e-12, 0.1, 0.1 + 1e-12]),  # 12 digits tell them apart
]


def first_best(val):
    return min(epoch for epoch, value in enumerate(val) if value <= min(val))


def told(story, best=first_best, by_heart=None, gap=lambda train, val, place: val[-1] - train[-1], first=0):
    """The report, and both lists as they were."""
    train, val = story
    place = best(val)
    heart = by_heart(train, val) if by_heart else val[-1] > val[place] and train[-1] < train[place]
    report = {"best_epoch": first + place, "best_val": val[place], "gap": gap(train, val, place), "overfitting": heart}
    return [report, train, val]


@check("overfit_report finds the best epoch and tells what happened since", points=2, category="values")
def test_report(submission):
    expect.agrees(
        submission.probes.report, told, grid(story=STORY), bound=(submission.overfit_report,), name="overfit_report",
        likely={
            "the last of several equal losses is taken for the best": lambda story: told(
                story, best=lambda val: max(epoch for epoch, value in enumerate(val) if value == min(val))
            ),
            "the gap is that of the best epoch, not of the last": lambda story: told(
                story, gap=lambda train, val, place: val[place] - train[place]
            ),
            "the gap has the wrong sign: it is validation minus training": lambda story: told(
                story, gap=lambda train, val, place: train[-1] - val[-1]
            ),
            "epochs are counted from 1": lambda story: told(story, first=1),
            "a validation loss above the training loss is called overfitting": lambda story: told(
                story, by_heart=lambda train, val: val[-1] > train[-1]
            ),
            "the training loss is not asked": lambda story: told(
                story, by_heart=lambda train, val: val[-1] > min(val)
            ),
            "float32 takes losses for equal that are close: compare the floats": lambda story: [
                told([torch.tensor(losses).tolist() for losses in story])[0], *story
            ],
        },
    )  # fmt: skip


@check("overfit_report refuses lists that do not fit", points=0.5, category="robustness", after=test_report)
def test_report_refuses(submission):
    for train, val in (([], []), ([1.0, 2.0], [1.0]), ([1.0], [1.0, 2.0]), ([], [1.0])):
        expect.raises("ValueError", submission.overfit_report, train, val, given=f"train = {train}, val = {val}")


@check("the examples of the task come out as it says", points=0.5, category="values",
       after=[test_cosine, test_step_lr, test_exponential_lr])  # fmt: skip
def test_examples(submission):
    falls = [submission.step_lr(epoch, 0.1, 2, 0.5) for epoch in range(7)]
    expect.close(falls, [0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125], given="step_lr(epoch, 0.1, 2, 0.5)")
    rates = [submission.cosine_with_warmup(step, 0.1, 2, 6) for step in range(7)]
    wanted = [0.0, 0.05, 0.1, 0.0854, 0.05, 0.0146, 0.0]
    expect.close(rates, wanted, rtol=0, atol=5e-5, given="cosine_with_warmup(step, 0.1, 2, 6)")
    expect.close(submission.exponential_lr(10, 1.0, 0.9), 0.3487, rtol=0, atol=5e-5, given="exponential_lr(10, 1, 0.9)")
