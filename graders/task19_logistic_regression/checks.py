"""Checks for task 19: logistic regression, and experiments with it.

What a model says is turned into probabilities first, whether it returns logits or not. The clouds are compared with
their distribution, trained weights with the best ones, which Newton's method finds in float64, and the table with the
runs that it is made of.
"""

import math
import statistics

import torch
from torch.nn import functional as F

from torchgrade.authoring import Rule, any_seed, check, expect, grid, kit

SINGLE, DOUBLE = torch.float32, torch.float64
LOOSE = 1e3  # of single numbers, which are computed in float32


def unless(right, wrong):
    """What a mistake gives, or NaN, which nobody returns, where the mistake makes no difference."""
    return math.nan if abs(wrong - right) < 1e-4 else float(wrong)


# --- the clouds ------------------------------------------------------------------------------------------


def blobs(submission, mean_value, bias, n, seed=None):
    """x and y of make_blobs, with the shapes asked for."""
    made = submission.make_blobs(mean_value, bias, n, any_seed() if seed is None else seed)
    expect.true(
        isinstance(made, (tuple, list)) and len(made) == 2,
        expected="a tuple of two: x and y",
        got=f"{len(made)} items" if isinstance(made, (tuple, list)) else type(made).__name__,
    )
    x, y = made
    expect.shape(x, (2 * n, 2))
    expect.shape(y, (2 * n,))
    return x, y


@check("make_blobs has n points for each label, 0 first", points=1.5, category="shapes")
def test_blob_shapes(submission):
    for n in (50, 1, 7):
        x, y = submission.make_blobs(1.7, 1.0, n, any_seed())
        labels = torch.arange(2.0).repeat_interleave(n)
        expect.shape(x, (2 * n, 2), likely={"n is the number of all points: each class has n": (n, 2)})
        expect.shape(y, (2 * n,), likely={"y is asked for as (2n,), without a second axis": (2 * n, 1)})
        expect.dtype(x, SINGLE)
        expect.close(
            y, labels, given=f"y of make_blobs(1.7, 1.0, {n}, seed)",
            likely={
                "the label 1 comes first": 1 - labels,
                "the labels alternate": torch.arange(2.0).repeat(n) if n > 1 else labels * math.nan,
            },
        )  # fmt: skip


@check("make_blobs puts the label 0 at +mean, the label 1 at -mean", points=1.5, category="values",
       after=test_blob_shapes)  # fmt: skip
def test_centres(submission):
    # A mean of 4,000 normal draws is 0.0158 off by one standard error; 0.1 is more than six of them.
    for mean_value, bias in ((1.7, 1.0), (3.0, -4.0), (0.4, 2.5), (2.0, 0.0)):
        x, _ = blobs(submission, mean_value, bias, 4000)
        centres = [x[:4000].mean(0), x[4000:].mean(0)]

        right = (mean_value + bias, bias - mean_value)

        def at(first, second):
            return [torch.full((2,), float(centre)) for centre in (first, second)]

        def wrong(first, second, right=right):
            return at(math.nan, math.nan) if (first, second) == right else at(first, second)

        expect.close(
            centres,
            at(*right),
            rtol=0,
            atol=0.1,
            likely={
                "the two centres are swapped": wrong(bias - mean_value, mean_value + bias),
                "the bias is added to one class only": wrong(mean_value + bias, -mean_value),
                "the bias is left out": wrong(mean_value, -mean_value),
                "the bias has the other sign in the second class": wrong(mean_value + bias, -mean_value - bias),
            },
            given=f"the centres of 4000 points each, mean_value={mean_value}, bias={bias}",
            trivial="both coordinates of a centre are the same",
        )


def noise_of(x):
    """What is left of two clouds when their own centres are taken away."""
    clouds = x.double().reshape(2, -1, 2)
    return (clouds - clouds.mean(1, keepdim=True)).flatten(0, 1)


@check("make_blobs gives each coordinate its own normal noise", points=1.5, category="values", after=test_blob_shapes,
       hidden=True)  # fmt: skip
def test_noise(submission):
    # Each bound is five standard errors of 4,000 draws or more away.
    for mean_value, bias in ((1.7, 1.0), (5.0, -3.0)):
        noise = noise_of(blobs(submission, mean_value, bias, 2000)[0])
        given = f"the noise of 4000 points, mean_value={mean_value}, bias={bias}"
        for column in (0, 1):
            expect.close(
                float(noise[:, column].std()),
                1.0,
                rtol=0,
                atol=0.06,
                trivial="the standard deviation is one by definition",
                likely={
                    "the noise is uniform on [0, 1), not normal": 12**-0.5,
                    "one point is drawn for all points of a class": 0.0,
                },
                given=f"the standard deviation of {given}",
            )
            below = torch.special.ndtr(noise[:, column].sort().values)
            distance = float((below - (torch.arange(4000) + 0.5) / 4000).abs().max())
            expect.between(distance, 0, 0.035, unit=f"from the normal distribution function; {given}")
        both = float(torch.corrcoef(noise.T)[0, 1])
        expect.between(
            both, -0.08, 0.08, unit=f"correlation of the two coordinates; {given}",
            likely={"both coordinates of a point get the same noise": 1.0},
        )  # fmt: skip
        classes = float(torch.corrcoef(torch.stack([noise[:2000, 0], noise[2000:, 0]]))[0, 1])
        expect.between(
            classes, -0.12, 0.12, unit=f"correlation of the two classes; {given}",
            likely={"both classes get the same noise": 1.0, "both classes get the same noise, mirrored": -1.0},
        )  # fmt: skip
    # The means of clouds of 4 points, two coordinates of two clouds in 100 draws, have half the deviation of a point.
    first = any_seed() % 10**6
    small = torch.stack([blobs(submission, 2.0, 0.0, 4, first + n)[0].double() for n in range(100)])
    means = small.reshape(100, 2, 4, 2).mean(2)
    means = means - means.mean(0)
    expect.close(
        float(means.std()), 0.5, rtol=0, atol=0.09,
        given="the deviation of the centres of 4 points, mean_value=2, bias=0",
        likely={"the noise of a cloud is moved so that its own mean is 0": 0.0},
    )  # fmt: skip


@check("make_blobs repeats itself for the same seed and no other", points=0.5, category="values",
       after=test_blob_shapes, hidden=True)  # fmt: skip
def test_seed(submission):
    for one in (0, any_seed() % 10**6 + 1):
        first, again = (blobs(submission, 1.7, 1.0, 20, seed)[0] for seed in (one, one))
        expect.close(again, first, given=f"the same seed twice; seed={one}")
        # the second is 2^16 · 1000 away: the same for who keeps the last digits of a seed
        for another in (one + 1, one + 65_536_000):
            other = blobs(submission, 1.7, 1.0, 20, another)[0]
            expect.true(not torch.equal(first, other), expected="other points for another seed", got="the same points",
                        given=f"seed={one} and seed={another}")  # fmt: skip
    moved = blobs(submission, 3.0, -2.0, 20, one)[0]
    expect.close(noise_of(moved), noise_of(first), rtol=0, atol=1e-4,
                 given="the noise of one seed with mean_value=1.7, bias=1, and with 3, -2")  # fmt: skip


@check("bayes_accuracy is Phi(mean_value · sqrt(2))", points=1.5, category="values")
def test_bayes(submission):
    def phi(t):
        return float(torch.special.ndtr(torch.tensor(t, dtype=DOUBLE)))

    for mean_value in (0.0, 0.3, 1, 1.7, 2.4, 5, 40.0):
        value = float(mean_value)
        right = phi(value * math.sqrt(2))
        expect.close(
            submission.bayes_accuracy(mean_value),
            right,
            rtol=0,
            atol=1e-6,
            likely={
                "sqrt(2) is missing: the centres lie on the diagonal": unless(right, phi(value)),
                "this is Phi(2 · mean_value · sqrt(2)): half of the distance counts": unless(
                    right, phi(2 * value * math.sqrt(2))
                ),
                "this is Phi(mean_value / sqrt(2)): that is erf's own factor": unless(right, phi(value / math.sqrt(2))),
                "this is the error, 1 - Phi": unless(right, 1 - right),
                "erf runs from -1 to 1, Phi from 0 to 1": unless(right, math.erf(value)),
            },
            given=f"bayes_accuracy({mean_value})",
            trivial="0.5 and 1.0 are its limits",
        )


# --- the formula -----------------------------------------------------------------------------------------


def cases(draw, count, labels, scale, bias):
    """Points, labels and weights; ``scale`` is the size of the logits."""
    w = draw(2)
    return {
        "x": draw(count, 2) * scale,
        "y": draw(count, values=labels).detach(),
        "w": w,
        "b": draw(values=bias),
    }


def halves(shape, dtype, generator):
    """zeros and ones"""
    return torch.randint(2, tuple(shape), generator=generator).double()


def ones(shape, dtype, generator):
    """ones"""
    return torch.ones(tuple(shape), dtype=DOUBLE)


def below(shape, dtype, generator):
    """a number from -1.5 to -0.5"""
    return -kit.positive(shape, dtype, generator)


FORMULA = grid(
    cases, count=[9, 1, 2, 40], labels=[halves, ones], scale=[1.0, 5.0], bias=[kit.positive, below],
    dtype=[DOUBLE, SINGLE], layout=["contiguous", "transposed", "gaps", "offset"],
)  # fmt: skip


def exact(x, y, w, b):
    difference = torch.sigmoid(x @ w + b) - y
    return difference @ x / len(y), difference.mean()


@check("loss_gradients is the mean of (p - y) · x and of p - y", points=2, category="values", devices="all")
def test_gradients(submission, device):
    def by_autograd(x, y, w, b):
        """The derivatives themselves, by autograd from the loss."""
        with torch.enable_grad():
            leaves = [w.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()]
            loss = F.binary_cross_entropy_with_logits(x @ leaves[0] + leaves[1], y)
            return torch.autograd.grad(loss, leaves)

    def scaled(factor):
        return lambda x, y, w, b: tuple(factor(part, x) for part in exact(x, y, w, b))

    def squared(x, y, w, b):
        p = torch.sigmoid(x @ w + b)
        slope = (p - y) * p * (1 - p)
        return slope @ x / len(y), slope.mean()

    expect.agrees(
        submission.loss_gradients,
        by_autograd,
        FORMULA,
        device=device,
        unchanged=True,
        likely={
            "the sign is turned round: this is y - p": scaled(lambda part, x: -part),
            "the points are added up, not averaged": scaled(lambda part, x: part * len(x)),
            "these are derivatives of the squared error: the factor p (1 - p) is too much": squared,
            "the logit stands in place of p": lambda x, y, w, b: ((x @ w + b - y) @ x / len(y), (x @ w + b - y).mean()),
            "the mean runs over the coordinates, too: it divides by 2N": lambda x, y, w, b: (
                exact(x, y, w, b)[0] / 2,
                exact(x, y, w, b)[1],
            ),
        },
    )


@check("loss_gradients holds for logits beyond ±1000", points=0.5, category="robustness", after=test_gradients,
       hidden=True)  # fmt: skip
def test_far_gradients(submission):
    far = FORMULA.vary(scale=[3000.0, 1e5], labels=[halves], count=[9, 2])
    expect.agrees(submission.loss_gradients, exact, far)


FORMULA_RULE = Rule(of="loss_gradients", functions=("backward", "grad"), instead="the two formulas")


@check("loss_gradients needs no autograd", points=0.5, category="rules", after=test_gradients, gates=FORMULA_RULE)
def test_formula_rule(submission):
    arguments = torch.randn(5, 2), torch.arange(5.0) % 2, torch.randn(2), torch.randn(())
    expect.avoids(submission.loss_gradients, *arguments, rule=FORMULA_RULE)


# --- the model -------------------------------------------------------------------------------------------


@check("LogisticRegression has three trainable numbers", points=0.5, category="parameters")
def test_parameters(submission):
    expect.parameters(submission.LogisticRegression(), 3)
    expect.equal(submission.probes.trainable(submission.LogisticRegression), 3, because="all three are trainable")


def lines(draw, count, bias):
    return {"x": draw(count, 2), "w": draw(2), "b": draw(values=bias)}


LINES = grid(
    lines, count=[9, 1, 2, 0], bias=[kit.positive, below], dtype=[SINGLE, DOUBLE],
    layout=["contiguous", "transposed", "gaps", "offset"],
)  # fmt: skip


def likelihood(x, w, b):
    return torch.sigmoid(x @ w + b)


@check("the model says sigmoid(w · x + b)", points=1.5, category="values", devices="all")
def test_forward(submission, device):
    expect.agrees(
        submission.probes.probabilities,
        likelihood,
        LINES,
        bound=(submission.LogisticRegression,),
        name="LogisticRegression",
        device=device,
        unchanged=True,
        likely={
            "sigmoid is applied twice": lambda x, w, b: torch.sigmoid(likelihood(x, w, b)),
            "the bias is left out": lambda x, w, b: torch.sigmoid(x @ w),
            "this is the probability of the label 0": lambda x, w, b: 1 - likelihood(x, w, b),
        },
    )


@check("gradients reach both parameters and x", points=0.5, category="gradients", after=test_forward, hidden=True)
def test_model_gradients(submission):
    some = LINES.vary(count=[9, 1])
    build = (submission.LogisticRegression,)
    expect.agrees(submission.probes.probabilities, likelihood, some, bound=build, name="LogisticRegression",
                  gradients=True)  # fmt: skip


SIDES = grid(
    lines, count=[12, 1, 2, 31], bias=[kit.positive, below], values=[kit.normal, kit.spread],
    layout=["contiguous", "transposed", "gaps"],
)  # fmt: skip


def side(x, w, b):
    return (x @ w + b > 0).double()


@check("predict gives the more likely label", points=1.5, category="values", after=test_forward)
def test_predict(submission):
    expect.agrees(
        submission.probes.asked,
        side,
        SIDES,
        bound=(submission.predict, submission.LogisticRegression),
        name="predict",
        unchanged=True,
        likely={
            "the labels are swapped": lambda x, w, b: 1 - side(x, w, b),
            "everything is 1: probabilities are compared with 0": lambda x, w, b: torch.ones(len(x), dtype=DOUBLE),
            "logits are compared with 1/2": lambda x, w, b: (x @ w + b > 0.5).double(),
            "these are probabilities, not labels": lambda x, w, b: likelihood(x, w, b).double(),
        },
    )


def judged(draw, count, bias, column):
    found = lines(draw, count, bias)
    y = draw(count, 1, values=halves) if column else draw(count, values=halves)
    return {"x": found["x"], "y": y.detach(), "w": found["w"], "b": found["b"]}


JUDGED = grid(
    judged, count=[12, 1, 2, 31], bias=[kit.positive, below], values=[kit.normal, kit.spread], column=[False],
    layout=["contiguous", "transposed", "gaps"],
)  # fmt: skip


def hits(x, y, w, b):
    return float((side(x, w, b) == y.reshape(-1)).double().mean())


@check("accuracy is the share of right labels", points=1.5, category="values", after=test_predict)
def test_accuracy(submission):
    def all_pairs(x, y, w, b):
        return float((side(x, w, b)[:, None] == y.reshape(1, -1)).double().mean())

    bound = (submission.accuracy, submission.LogisticRegression)
    expect.agrees(
        submission.probes.measured, hits, JUDGED, bound=bound, name="accuracy", unchanged=True, slack=LOOSE,
        likely={
            "this is the share of wrong labels": lambda x, y, w, b: 1 - hits(x, y, w, b),
            "this is a count: it is not divided by N": lambda x, y, w, b: hits(x, y, w, b) * len(y),
            "this is a percentage": lambda x, y, w, b: hits(x, y, w, b) * 100,
            "every label is compared with every answer: (N, 1) against (N,)": all_pairs,
        },
    )  # fmt: skip


@check("accuracy takes labels as a column, too", points=0.5, category="robustness", after=test_accuracy, hidden=True)
def test_accuracy_column(submission):
    bound = (submission.accuracy, submission.LogisticRegression)
    expect.agrees(submission.probes.measured, hits, JUDGED.vary(column=[True]), bound=bound, name="accuracy",
                  unchanged=True, slack=LOOSE)  # fmt: skip


def bounds(draw, slope, bias):
    """Weights of either sign."""
    return {"w": draw(2, values=slope), "b": draw(values=bias)}


def mixed(shape, dtype, generator):
    """a positive and a negative number"""
    return kit.positive(shape, dtype, generator) * torch.tensor([1.0, -1.0], dtype=DOUBLE)


def first_zero(shape, dtype, generator):
    """0, and a number from 0.5 to 1.5"""
    return kit.positive(shape, dtype, generator) * torch.tensor([0.0, 1.0], dtype=DOUBLE)


def small(shape, dtype, generator):
    """two numbers as small as 0.0001, one of them negative"""
    return 1e-4 * mixed(shape, dtype, generator).flip(-1)


def boundary(w, b):
    w1, w2 = w.double().tolist()
    return -w1 / w2, -float(b) / w2


@check("decision_boundary is the line where p = 1/2", points=1.5, category="values")
def test_boundary(submission):
    cases = grid(bounds, slope=[kit.positive, mixed, below, small], bias=[kit.positive, below, kit.zeros])
    bound = (submission.decision_boundary, submission.LogisticRegression)
    expect.agrees(
        submission.probes.line, boundary, cases, bound=bound, name="decision_boundary", slack=LOOSE,
        likely={
            "the sign of the slope is lost: w1 moves to the other side": lambda w, b: (
                -boundary(w, b)[0],
                boundary(w, b)[1],
            ),
            "the sign of the intercept is lost: b moves to the other side": lambda w, b: (
                boundary(w, b)[0],
                -boundary(w, b)[1],
            ),
            "this is x1 as a function of x2": lambda w, b: (1 / boundary(w, b)[0], -float(b) / float(w[0])),
            "b is divided by the first weight": lambda w, b: (boundary(w, b)[0], -float(b) / float(w[0])),
            "intercept and slope are swapped": lambda w, b: boundary(w, b)[::-1],
        },
    )  # fmt: skip
    level = grid(bounds, slope=[first_zero], bias=[kit.positive, below, kit.zeros])
    expect.agrees(submission.probes.line, boundary, level, bound=bound, name="decision_boundary", slack=LOOSE)


# --- training --------------------------------------------------------------------------------------------

REPORT = {"steps": int, "accuracy": float, "loss": float, "reached": bool}


def clouds(mean_value, bias, n=100):
    """Two clouds of our own; x (2n, 2), y (2n,)."""
    y = torch.arange(2.0).repeat_interleave(n)
    return (mean_value * (1 - 2 * y) + bias)[:, None] + torch.randn(2 * n, 2), y


def run(submission, model, x, y, **options):
    """The report of a run and the weights (w1, w2, b) that it leaves."""
    report, weights, same = submission.probes.trained(submission.train, model, x, y, options)
    given = f"train(model, x, y{''.join(f', {name}={value}' for name, value in options.items())})"
    report = expect.record(report, REPORT, given=given)
    expect.true(same, expected="the parameters of the model that came in, changed in place", got="other parameters",
                given=given)  # fmt: skip
    expect.true(bool(weights.isfinite().all()), expected="finite weights", got=str(weights.tolist()), given=given)
    return report, weights


def standing(weights, x, y):
    """Loss and accuracy of weights, in float64, and how many points are so near to the line that rounding decides."""
    z = x.double() @ weights[:2] + weights[2]
    loss = float(F.binary_cross_entropy_with_logits(z, y.double().reshape(-1)))
    near = int((z.abs() < 1e-4 * weights.abs().max() * (1 + x.abs().max())).sum())
    return loss, float(((z > 0).double() == y.reshape(-1)).double().mean()), near


def best(x, y, rounds=40):
    """The weights of the smallest loss, by Newton's method in float64."""
    rows = torch.cat([x.double(), torch.ones(len(x), 1, dtype=DOUBLE)], 1)
    weights = torch.zeros(3, dtype=DOUBLE)
    for _ in range(rounds):
        p = torch.sigmoid(rows @ weights)
        curvature = (rows.T * (p * (1 - p))) @ rows
        weights = weights - torch.linalg.solve(curvature, rows.T @ (p - y.double()))
    return weights


def expect_verdict(report, target, given):
    """reached says whether the accuracy that is reported is above the target; as near as rounding, either."""
    if abs(report["accuracy"] - target) > 1e-6:
        expect.equal(report["reached"], report["accuracy"] > target, because=f"reached: accuracy > {target}",
                     given=given)  # fmt: skip


@check(
    "train reports the model that comes back", points=1.5, category="convergence", after=[test_forward, test_accuracy]
)
def test_report(submission):
    for mean_value, bias, options in (
        (1.0, 1.0, {"max_iter": 3}),
        (1.0, 1.0, {"max_iter": 25, "lr": 0.1}),
        (1.7, 6.0, {"max_iter": 50, "momentum": 0.0}),
        (0.3, 0.0, {"max_iter": 1}),
        (1.0, 0.0, {"max_iter": 12, "lr": 0.02, "momentum": 0.5, "target_accuracy": 0.999}),
    ):
        x, y = clouds(mean_value, bias)
        report, weights = run(submission, submission.LogisticRegression(), x, y, **options)
        loss, right, near = standing(weights, x, y)
        z = x.double() @ weights[:2] + weights[2]
        twice = float(F.binary_cross_entropy_with_logits(torch.sigmoid(z), y.double()))
        given = f"clouds with mean_value={mean_value}, bias={bias}; {options}"
        expect.close(
            report["loss"], loss, rtol=1e-3, atol=1e-4, given=f"the loss of the model that came back; {given}",
            likely={
                "sigmoid is applied twice: probabilities went into the loss for logits": twice,
                "the losses of the points are added up, not averaged": loss * len(y),
            },
        )  # fmt: skip
        expect.close(
            report["accuracy"], right, rtol=0, atol=1e-4 + near / len(y),
            given=f"the accuracy of the model that came back; {given}",
        )  # fmt: skip
        expect_verdict(report, options.get("target_accuracy", 0.99), given)


def landscape(weights, x, y, side=96, low=-3.0, high=5.0):
    """p over the plane, x2 upwards, and the points on it: the label 0 black, the label 1 white. (1, side, side)"""
    ticks = torch.linspace(low, high, side, dtype=DOUBLE)
    x2, x1 = torch.meshgrid(ticks.flip(0), ticks, indexing="ij")
    picture = torch.sigmoid(weights[0] * x1 + weights[1] * x2 + weights[2]) * 0.6 + 0.2
    places = ((x.double() - low) / (high - low) * (side - 1)).round().long().clamp(0, side - 1)
    picture[side - 1 - places[:, 1], places[:, 0]] = y.double()
    return picture[None]


@check("train finds the weights of the smallest loss", points=2.5, category="convergence", after=test_forward)
def test_fit(submission, calibration, pictures):
    # without momentum, or at a tenth of the rate, these clouds are left a hundred times as far from the smallest loss
    x, y = clouds(0.5, 1.0)
    _, weights = run(submission, submission.LogisticRegression(), x, y, lr=0.05, momentum=0.9, max_iter=1000)
    pictures.grid("decision", landscape(weights, x, y))
    least = standing(best(x, y), x, y)[0]
    excess = standing(weights, x, y)[0] - least
    power = math.log10(max(excess, 1e-7))  # what is nearer than this is as good as the best
    calibration.holds("excess_loss", power, show=lambda power: f"a loss {10**power:.3g} above the smallest")


@check("train stops when the target is reached", points=1.5, category="convergence")
def test_stop(submission):
    x, y = clouds(5.0, 1.0)
    given = "clouds with mean_value=5, bias=1"
    report, _ = run(submission, submission.LogisticRegression(), x, y)
    expect.true(report["reached"], expected="reached: True", got=f"False, at {report['accuracy']:.3f}", given=given)
    expect.between(report["steps"], 0, 200, unit=f"steps; {given}", likely={"all steps are made all the same": 1000})
    x, y = clouds(1.3, 1.0)
    for target in (0.8, 0.9, 0.0):
        report, _ = run(submission, submission.LogisticRegression(), x, y, lr=0.1, target_accuracy=target)
        given = f"clouds with mean_value=1.3, bias=1; target_accuracy={target}, lr=0.1"
        expect.true(report["reached"], expected="reached: True", got=f"False, at {report['accuracy']:.3f}", given=given)
        expect.between(report["steps"], 0, 400, unit=f"steps; {given}", likely={"target_accuracy is ignored": 1000})
    for most in (1, 20):
        report, _ = run(submission, submission.LogisticRegression(), x, y, max_iter=most, target_accuracy=0.5)
        given = f"clouds with mean_value=1.3, bias=1; target_accuracy=0.5, max_iter={most}"
        expect.between(report["steps"], 0, most, unit="steps", given=given)
        expect_verdict(report, 0.5, given)
    x, y = clouds(0.5, 1.0)
    good = best(x, y).float()
    model = submission.probes.with_weights(submission.LogisticRegression, good[:2], good[2])
    report, weights = run(submission, model, x, y, max_iter=0, target_accuracy=0.5)
    given = "a model that is trained already, max_iter=0, target_accuracy=0.5"
    expect.equal(
        (report["reached"], report["steps"]), (True, 0), because="its accuracy is above the target", given=given
    )
    expect.close(weights, good.double(), rtol=1e-4, atol=1e-4, given=f"the weights afterwards; {given}")

    def from_zeros(x, y, **options):
        model = submission.probes.with_weights(submission.LogisticRegression, torch.zeros(2), torch.zeros(()))
        return run(submission, model, x, y, **options)[0]

    # the first step from zeros turns the line to where it stays
    given = "clouds with mean_value=5, bias=0; from zeros each step after the first is above the target"
    expect.between(from_zeros(*clouds(5.0, 0.0))["steps"], 1, 20, unit=f"steps; {given}")
    for mean_value, bias, options in ((1.3, 4.0, {}), (2.0, 6.0, {"lr": 0.02})):
        x, y = clouds(mean_value, bias)
        options = {**options, "target_accuracy": 0.9}
        steps = from_zeros(x, y, **options)["steps"]
        if steps > 20:
            given = f"clouds with mean_value={mean_value}, bias={bias}; a run that ends 20 steps before it ended alone"
            because = f"alone it ended after {steps} steps, and had looked 20 steps before"
            expect.equal(from_zeros(x, y, **options, max_iter=steps - 20)["reached"], False, because=because,
                         given=given)  # fmt: skip


@check("train stops after max_iter, and says that the target was missed", points=1.5, category="convergence")
def test_give_up(submission):
    for mean_value, bias, options in (
        (0.5, 1.0, {"max_iter": 40}),
        (0.5, 0.0, {"max_iter": 7}),
        (0.5, 1.0, {"max_iter": 300, "lr": 0.5}),  # long enough for the loss to stand still
        (5.0, 0.0, {"max_iter": 60, "target_accuracy": 1.0}),
        (1.0, 1.0, {"max_iter": 0}),
    ):
        x, y = clouds(mean_value, bias)
        report, _ = run(submission, submission.LogisticRegression(), x, y, **options)
        given = f"clouds with mean_value={mean_value}, bias={bias}; {options}"
        expect.equal(
            (report["reached"], report["steps"]), (False, options["max_iter"]),
            because="accuracy > target_accuracy never comes true: all steps are made", given=given,
        )  # fmt: skip
    x, y = clouds(0.5, 0.0)
    model = submission.LogisticRegression()
    for number, most in enumerate((4, 7), 1):
        report, _ = run(submission, model, x, y, max_iter=most)
        given = f"clouds with mean_value=0.5, bias=0; run {number} of one model, max_iter={most}"
        expect.equal((report["reached"], report["steps"]), (False, most), because="steps are those of this run",
                     given=given)  # fmt: skip


@check("a bias of 50 is overcome by train, or reported as missed", points=1, category="convergence",
       after=[test_report], hidden=True)  # fmt: skip
def test_far_away(submission):
    x, y = clouds(3.0, 50.0)
    report, weights = run(submission, submission.LogisticRegression(), x, y, max_iter=200)
    _, right, near = standing(weights, x, y)
    given = "clouds with mean_value=3, bias=50"
    expect.close(report["accuracy"], right, rtol=0, atol=1e-4 + near / len(y), given=f"accuracy; {given}")
    expect_verdict(report, 0.99, given)


@check("train takes labels as a column, and leaves x and y alone", points=1, category="robustness", after=[test_report],
       hidden=True)  # fmt: skip
def test_train_inputs(submission):
    x, y = clouds(1.0, 1.0, 30)
    report, weights = run(submission, submission.LogisticRegression(), x, y[:, None], max_iter=20)
    loss, right, near = standing(weights, x, y)
    expect.close(report["loss"], loss, rtol=1e-3, atol=1e-4, given="the loss with y of shape (N, 1)")
    expect.close(report["accuracy"], right, rtol=0, atol=1e-4 + near / len(y), given="accuracy with y (N, 1)")
    points, table = torch.stack([x[:, 0], x[:, 1]]).T, torch.stack([x[:, 0], x[:, 1], y], 1)  # (60, 2), (60, 3)
    report, weights = run(submission, submission.LogisticRegression(), points, table[:, 2], max_iter=20)
    expect.close(
        report["loss"], standing(weights, x, y)[0], rtol=1e-3, atol=1e-4, given="the loss with columns of a table"
    )
    for labels, shape in ((y, "(N,)"), (y[:, None], "(N, 1)")):
        model = submission.LogisticRegression()
        given = f"train(model, x, y, max_iter=5) with y of shape {shape}"
        expect.not_mutated(submission, submission.train, model, x, labels, max_iter=5, given=given)


# --- the table -------------------------------------------------------------------------------------------

ROW = {"mean_value": float, "bias": float, "bayes": float, "accuracy": float, "fired": int, "steps": None}
RUN = {"mean_value": float, "bias": float, "n": int, "seed": int, "start": [float], "options": [float]}


def a_run(steps, right, reached):
    return {"steps": steps, "accuracy": right, "loss": 0.1, "reached": reached}


# Runs of five seeds: all reach the target, two of them, three, one, none, all.
CELLS = [
    [a_run(20, 0.9985, True), a_run(300, 0.995, True), a_run(40, 0.991, True), a_run(60, 0.994, True),
     a_run(35, 0.9925, True)],
    [a_run(1000, 0.985, False), a_run(80, 0.995, True), a_run(1000, 0.9, False), a_run(640, 0.991, True),
     a_run(1000, 0.97, False)],
    [a_run(70, 0.9985, True), a_run(1000, 0.98, False), a_run(500, 0.995, True), a_run(1000, 0.97, False),
     a_run(10, 0.9975, True)],
    [a_run(1000, 0.5, False), a_run(1000, 0.99, False), a_run(230, 0.9925, True), a_run(1000, 0.8, False),
     a_run(1000, 0.6, False)],
    [a_run(1000, 0.75, False), a_run(1000, 0.8, False), a_run(1000, 0.7, False), a_run(1000, 0.77, False),
     a_run(1000, 0.55, False)],
    [a_run(2, 0.999, True), a_run(3, 0.9925, True), a_run(1, 0.995, True), a_run(1000, 0.9975, True),
     a_run(6, 0.991, True)],
]  # fmt: skip
MEANS, BIASES = [1.7, 0.5, 4.0], [1.0, -6.5]


def scripted(submission, means, biases, seeds, script):
    """The rows of a table and its runs, where each run goes as the script says: {(mean, bias, seed): report}."""
    lines = [[*key, report] for key, report in script.items()]
    found, runs = submission.probes.scripted(submission.experiment, lines, means, biases, seeds)
    given = f"experiment({means}, {biases}, {seeds})"
    return expect.record(found, [ROW], given=given), expect.record(runs, [RUN], given=given), given


def story():
    """Five seeds, and what becomes of each mean value, bias and seed."""
    first = any_seed() % 10**6
    seeds = [first + 7 * n for n in range(5)]
    cells = zip([(mean, bias) for mean in MEANS for bias in BIASES], CELLS, strict=True)
    return seeds, {(*pair, seed): run for pair, cell in cells for seed, run in zip(seeds, cell, strict=True)}


@check("experiment has a row for each mean value and bias", points=1, category="values", after=test_bayes)
def test_rows(submission):
    seeds, script = story()
    rows, _, given = scripted(submission, MEANS, BIASES, seeds, script)
    expect.equal(
        [(row["mean_value"], row["bias"]) for row in rows],
        [(mean, bias) for mean in MEANS for bias in BIASES],
        likely={"the order is turned round: a mean value, and all its biases": [(m, b) for b in BIASES for m in MEANS]},
        given=given,
    )
    expect.close([row["bayes"] for row in rows], [(1 + math.erf(row["mean_value"])) / 2 for row in rows],
                 rtol=0, atol=1e-6, given=f"bayes; {given}")  # fmt: skip
    rows, _, given = scripted(submission, [1.7, 0.5, 1.7], [1.0], seeds[:2], script)
    expect.equal([row["mean_value"] for row in rows], [1.7, 0.5, 1.7], given=given)


@check("a row counts, averages and takes the median of its runs", points=2, category="values", after=test_rows)
def test_statistics(submission):
    seeds, script = story()

    def middle(steps):
        return float(statistics.median(steps))

    for many in (5, 1, 4):
        rows, _, _ = scripted(submission, MEANS, BIASES, seeds[:many], script)
        for row, cell in zip(rows, CELLS, strict=True):
            cell = cell[:many]
            fired = [run["steps"] for run in cell if run["reached"]]
            everything = [run["steps"] for run in cell]
            rights = [run["accuracy"] for run in cell]
            told = f"runs with the steps {everything}, of which {len(fired)} reached the target"
            mean_right = statistics.fmean(rights)
            expect.close(
                row["accuracy"], mean_right, rtol=0, atol=1e-5, given=f"accuracy; runs with the accuracies {rights}",
                likely={
                    "this is the accuracy of the last run": unless(mean_right, rights[-1]),
                    "this is the best accuracy of all runs": unless(mean_right, max(rights)),
                    "this is the median of the accuracies": unless(mean_right, statistics.median(rights)),
                },
            )  # fmt: skip
            expect.equal(row["fired"], len(fired), given=f"fired; {told}", trivial="all fire, or none")
            if not fired:
                expect.equal(
                    row["steps"], None, given=f"steps; {told}", trivial="none reached the target",
                    likely={
                        "this is the median of all runs: only those count that reached the target": statistics.median(
                            everything
                        )
                    },
                )  # fmt: skip
                continue
            steps = float(expect.record(row["steps"], float, given=f"steps; {told}"))
            right = middle(fired)
            expect.close(
                steps, right, rtol=1e-6, atol=0, given=f"steps; {told}",
                likely={
                    "this is the median of all runs: only those count that reached the target": unless(
                        right, middle(everything)
                    ),
                    "this is the mean of the steps: the median is asked for": unless(right, statistics.fmean(fired)),
                    "of two runs in the middle the later one is taken": unless(right, statistics.median_high(fired)),
                    "of two runs in the middle the earlier one is taken": unless(right, statistics.median_low(fired)),
                },
            )  # fmt: skip


@check("experiment trains a new model on 100 points a class for each seed", points=1.5, category="values", hidden=True)
def test_runs(submission):
    seeds, script = story()
    _, runs, given = scripted(submission, MEANS, BIASES, seeds[:3], script)
    expected = [(mean, bias, seed) for mean in MEANS for bias in BIASES for seed in seeds[:3]]
    expect.equal(sorted((run["mean_value"], run["bias"], run["seed"]) for run in runs), sorted(expected),
                 given=f"the points that are trained on; {given}")  # fmt: skip
    expect.equal(
        sorted({run["n"] for run in runs}), [100], given=f"points a class; {given}",
        likely={"100 points in all, not for each class": [50], "200 points for each class": [200]},
    )  # fmt: skip
    expect.equal(sorted({tuple(run["options"]) for run in runs}), [(0.01, 0.9, 1000.0, 0.99)],
                 given=f"lr, momentum, max_iter and target_accuracy; {given}")  # fmt: skip
    starts = {(run["mean_value"], run["bias"], run["seed"]): run["start"] for run in runs}
    for mean, bias, seed in (expected[0], expected[-1], expected[4]):
        _, alone, given = scripted(submission, [mean], [bias], [seed], script)
        told = f"the weights before training, of {given} and of the same run in a larger table"
        expect.close(
            alone[0]["start"], starts[mean, bias, seed], rtol=0, atol=0, given=told, trivial="zeros are a start"
        )


@check("mean_value decides whether 99 % can be reached", points=1, category="convergence",
       after=[test_report, test_statistics], hidden=True)  # fmt: skip
def test_sense(submission):
    found = submission.experiment([0.5, 5.0], [1.0], [any_seed() % 10**6])
    low, high = expect.record(found, [ROW], given="experiment([0.5, 5.0], [1.0], [a seed])")
    expect.equal((low["fired"], low["steps"]), (0, None), because="clouds that overlap: no run reaches 99 %")
    expect.equal(high["fired"], 1, because="clouds that lie apart: every run reaches 99 %")


LIBRARIES = Rule(
    of=("make_blobs", "bayes_accuracy", "loss_gradients", "LogisticRegression", "predict", "accuracy", "train",
        "decision_boundary", "experiment"),
    names=("sklearn", "scipy", "statsmodels"),
    instead="PyTorch and the standard library",
)  # fmt: skip


@check("everything is written here, not taken from a library", points=0.5, category="rules", gates=LIBRARIES)
def test_libraries(submission):
    expect.avoids(submission.bayes_accuracy, 1.0, rule=LIBRARIES)
