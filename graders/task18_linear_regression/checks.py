"""Checks for task 18: a line that is fitted until there is no slope left.

Fits are compared with the line of least squares. A right run ends at a gradient of 1e-6, which leaves it within 1e-5 of
that line, a thousand times nearer than the stub asks for; rules that ask for the size of the loss miss it by 0.1 and
more, and descent does not draw anything at random. So the tolerances are the stub's own and no statistics.
"""

import math

import torch

from torchgrade.authoring import LAYOUTS, RECORDING, Rule, any_seed, check, expect, grid, kit

SINGLE, DOUBLE = torch.float32, torch.float64
AS_GIVEN = {"dtype": [DOUBLE, SINGLE], "layout": [layout for layout in LAYOUTS if layout != "expanded"]}
SHAPES = [(5,), (1,), (4, 1), (1, 1), (12,)]
REASONS = {"converged", "diverged", "max_iter"}


# make_line


def drawn(submission, *args):
    """x and y of make_line, as two tensors (n, 1)."""
    pair = submission.make_line(*args)
    given = f"make_line({', '.join(map(str, args))})"
    expect.true(
        isinstance(pair, (tuple, list)) and len(pair) == 2,
        expected="a tuple of two: x and y",
        got=f"{len(pair)} items" if isinstance(pair, (tuple, list)) else type(pair).__name__,
        given=given,
    )
    for values in pair:
        expect.shape(values, (args[2], 1), given=given, likely={"x and y are asked for as columns": (args[2],)})
        expect.dtype(values, SINGLE, given=given)
    return pair


@check("make_line draws x from 0 to 10, in two columns", points=1.5, category="shapes")
def test_points(submission):
    drawn(submission, 2.0, 5.0, 20, any_seed())
    drawn(submission, 2.0, 5.0, 1, any_seed())
    x, _ = drawn(submission, -3.0, 5.0, 4000, any_seed())
    # of 4000 uniform draws the share below any bound is off by 0.05 once in 10^8 times
    given = "4000 points"
    expect.between(float(x.min()), 0, 0.2, unit="as the smallest x", given=given)
    expect.between(float(x.max()), 9.8, 10, unit="as the largest x", given=given)
    # one may be 10 where float64 draws are rounded to float32: two are, once in 10^7 times
    expect.between(int((x == 10).sum()), 0, 1, unit="points at x = 10", given=given)
    levels = torch.linspace(0.5, 9.5, 19)
    gap = float(((x < levels).double().mean(0) - levels / 10).abs().max())
    expect.between(gap, 0, 0.05, unit="away from a uniform distribution", given=given)


@check("make_line adds normal noise of its own to each point", points=1.5, category="values", after=test_points)
def test_noise(submission):
    for slope, intercept in ((2.0, 5.0), (-3.0, -5.0), (0.0, 3.0)):
        x, y = drawn(submission, slope, intercept, 4000, any_seed())
        noise = (y - slope * x - intercept).double()
        given = f"y - slope · x - intercept of 4000 points, slope {slope:g}, intercept {intercept:g}"
        expect.close(
            float(noise.std()),
            1.0,
            rtol=0,
            atol=0.07,
            trivial="the standard deviation is one by definition",
            likely={
                "one noise value is shared by all points: draw one for each": 0.0,
                "the noise is uniform on [0, 1), not normal": 12**-0.5,
            },
            given=f"the standard deviation of {given}",
        )
        expect.close(
            float(noise.mean()),
            0.0,
            rtol=0,
            atol=0.1,
            trivial="the mean is zero by definition",
            likely={"the intercept is left out": -intercept, "the intercept is added twice": intercept},
            given=f"the mean of {given}",
        )
        below = torch.special.ndtr(noise.flatten().sort().values)
        steps = torch.linspace(0, 1, len(noise) + 1, dtype=DOUBLE)
        gap = float(torch.maximum((steps[1:] - below).max(), (below - steps[:-1]).max()))
        expect.between(gap, 0, 0.05, unit="away from a normal distribution", given=given)
        alike = float(torch.corrcoef(torch.stack([noise.flatten(), x.double().flatten()]))[0, 1])
        expect.between(alike, -0.1, 0.1, unit="correlation of noise and x", given=given)


@check("make_line repeats itself for a seed, and touches no global state", points=1, category="values",
       after=test_points, hidden=True)  # fmt: skip
def test_seed(submission):
    one, other = any_seed(), any_seed()
    # 2^16 · 1000 apart: alike for who keeps the last digits of a seed
    seeds = [one, one, other, 0, 1, 1 + 65_536_000]
    (first, again, *others), same = submission.probes.drawn_with(submission.make_line, seeds)
    expect.close(again, first, given="the same seed twice")
    pairs = {(one, other): (first, others[0]), (0, 1): others[1:3], (1, 65_536_001): others[2:]}
    for (seed, another), lines in pairs.items():
        (first_x, first_noise), (second_x, second_noise) = [(x, y - 2 * x - 5) for x, y in lines]
        for name, one, two in (("x", first_x, second_x), ("noise", first_noise, second_noise)):
            expect.true(
                bool(((one - two).abs() > 1e-3).any()),
                expected=f"another {name} for another seed",
                got=f"the same {name} for two seeds",
                given=f"seeds {seed} and {another}",
            )
    expect.true(
        same,
        expected="PyTorch's global generator as it was",
        got="another state: torch.manual_seed was called, or draws came from the global generator",
    )


# half_mse and half_mse_gradients


def points(draw, shape):
    """x and y of a shape, w and b of shape ()."""
    return {"x": draw(*shape), "y": draw(*shape), "w": draw(), "b": draw()}


POINTS = grid(points, shape=SHAPES, values=[kit.normal, kit.thousands])


def loss(x, y, w, b):
    return ((w * x + b - y) ** 2).mean() / 2


def slopes(x, y, w, b):
    with torch.enable_grad():
        w, b = w.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()
        return torch.autograd.grad(loss(x.detach(), y.detach(), w, b), (w, b))


def instead(change):
    """Both derivatives after ``change(dw, db, x)``."""
    return lambda x, y, w, b: change(*slopes(x, y, w, b), x)


@check("half_mse is half the mean of the squared errors", points=2, category="values", devices="all")
def test_loss(submission, device):
    expect.agrees(
        submission.half_mse,
        loss,
        POINTS.vary(dtype=[SINGLE, DOUBLE]),
        device=device,
        likely={
            "the half is missing": lambda *args: 2 * loss(*args),
            "the squares are summed, not averaged": lambda x, y, w, b: loss(x, y, w, b) * x.numel(),
            "b is left out": lambda x, y, w, b: loss(x, y, w, 0 * b),
            "w and b are exchanged": lambda x, y, w, b: loss(x, y, b, w),
        },
    )
    x, y, zero = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 5.0]), torch.tensor(0.0)
    expect.close(submission.half_mse(x, y, zero, zero), torch.tensor(6.5), given="x = (0, 2), y = (1, 5), w = b = 0")


@check("half_mse can be differentiated by w and b", points=0.5, category="gradients", after=test_loss, hidden=True)
def test_loss_gradients(submission):
    cases = POINTS.vary(**AS_GIVEN)
    expect.agrees(submission.half_mse, loss, cases, gradients=True, unchanged=True)


@check("half_mse_gradients are the derivatives of half_mse", points=2, category="gradients", devices="all")
def test_slopes(submission, device):
    expect.agrees(
        submission.half_mse_gradients,
        slopes,
        POINTS.vary(dtype=[SINGLE, DOUBLE]),
        device=device,
        likely={
            "these are the derivatives of the whole mean squared error: twice as large": instead(
                lambda dw, db, x: (2 * dw, 2 * db)
            ),
            "they are summed over the points, not averaged": instead(
                lambda dw, db, x: (dw * x.numel(), db * x.numel())
            ),
            "the sign is turned: the error is w x + b - y": instead(lambda dw, db, x: (-dw, -db)),
            "they are returned in the order b, w": instead(lambda dw, db, x: (db, dw)),
            "the error is not multiplied by x": instead(lambda dw, db, x: (db, db)),
        },
    )
    x, y, zero = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 5.0]), torch.tensor(0.0)
    expect.close(
        submission.half_mse_gradients(x, y, zero, zero),
        (torch.tensor(-5.0), torch.tensor(-3.0)),
        given="x = (0, 2), y = (1, 5), w = b = 0",
    )


@check("half_mse_gradients takes any layout, and leaves nothing behind", points=0.5, category="robustness",
       after=test_slopes, hidden=True)  # fmt: skip
def test_slopes_inputs(submission):
    expect.agrees(submission.half_mse_gradients, slopes, POINTS.vary(**AS_GIVEN, grad=RECORDING), unchanged=True)
    tensors = [torch.randn(6, requires_grad=True) for _ in "xy"] + [torch.randn((), requires_grad=True) for _ in "wb"]
    result, gathered = submission.probes.gathered(submission.half_mse_gradients, tensors)
    given = "arguments that require gradients"
    expect.no_grad_leak(result, given=given)
    expect.equal(gathered, [], because="no .grad is filled", trivial="nothing is gathered", given=given)


# curvatures and stable_learning_rate


def matrix(x, scale=1.0):
    x = x.detach().double().flatten()
    return scale * torch.stack(
        [torch.stack([x @ x / len(x), x.mean()]), torch.stack([x.mean(), torch.ones_like(x[0])])]
    )


def both(x, scale=1.0):
    low, high = torch.linalg.eigvalsh(matrix(x, scale)).tolist()
    return low, high


def in_range(shape, dtype, generator):
    """numbers from 0 to 10"""
    return 10 * torch.rand(tuple(shape), generator=generator, dtype=torch.float64)


MANY = grid(shape=[(5,), (20,), (4, 1), (12, 1), (2,)], values=[in_range, kit.normal], dtype=[SINGLE, DOUBLE])


@check("curvatures are the eigenvalues of the second derivatives", points=3, category="values", devices="all")
def test_curvatures(submission, device):
    expect.agrees(
        submission.curvatures,
        both,
        MANY,
        device=device,
        likely={
            "these are the curvatures of the whole mean squared error: twice as large": lambda x: both(x, 2.0),
            "the means are sums": lambda x: both(x, x.numel()),
            "the largest comes first": lambda x: both(x)[::-1],
            "the mean of x is left out of the matrix": lambda x: tuple(sorted(matrix(x).diagonal().tolist())),
        },
    )
    result = submission.curvatures(torch.tensor([0.0, 2.0]))
    expect.close(result, ((3 - 5**0.5) / 2, (3 + 5**0.5) / 2), rtol=1e-9, atol=1e-9, given="x = (0, 2)")


@check("curvatures of one point and of equal points are 0 and 1 + x²", points=1, category="robustness",
       after=test_curvatures, hidden=True)  # fmt: skip
def test_flat_curvatures(submission):
    for values in ([3.0], [7.0] * 6, [0.0, 0.0], [[2.5]] * 4):
        x = torch.tensor(values)
        top = 1 + float(x.flatten()[0]) ** 2
        low, high = expect.record(submission.curvatures(x), (float,), finite=True, given=f"x = {values}")
        expect.close(low, 0.0, rtol=0, atol=1e-9, trivial="one direction is flat", given=f"x = {values}, the smallest")
        expect.close(high, top, rtol=1e-9, atol=1e-9, trivial="x = 0 has 1", given=f"x = {values}, the largest")
    expect.agrees(submission.curvatures, both, MANY.vary(**AS_GIVEN, grad=RECORDING), unchanged=True)


@check("stable_learning_rate keeps below the limit, and not far below", points=2.5, category="values")
def test_rate(submission):
    spots = [
        torch.tensor([0.0, 2.0]),
        torch.zeros(3),
        torch.tensor([4.0]),
        10 * torch.rand(20),
        5 + 5 * torch.rand(20, 1),
    ]
    spots += [
        torch.randn(7) - 20,
        0.01 * torch.randn(9).double(),
        torch.randn(6, 2)[:, :1],
        torch.randn(5, requires_grad=True),
    ]
    for x in spots:
        lr = expect.record(submission.stable_learning_rate(x), float, finite=True)
        share = lr * both(x)[1] / 2
        expect.true(
            0.1 <= share < 1,
            expected="between a tenth of the limit 2 / largest curvature and the limit itself",
            got=f"{lr:.4g}, {share:.4g} times the limit",
            given=f"x {tuple(x.shape)} from {float(x.min()):.3g} to {float(x.max()):.3g}",
            likely={
                "the limit itself is too much: there the error never shrinks": abs(share - 1) < 1e-4,
                "this is 2 / smallest curvature": both(x)[0] > 1e-6 and abs(lr * both(x)[0] / 2 - 1) < 1e-4,
                "the curvature is that of w alone: b is missing": abs(lr * float(x.square().mean()) - 2) < 1e-4,
            },
        )


# stop_reason


def reason(gradient, loss, first_loss, iteration, tol, max_iter):
    if not (math.isfinite(gradient) and math.isfinite(loss)) or loss > 1e6 * first_loss:
        return "diverged"
    if gradient <= tol:
        return "converged"
    return "max_iter" if iteration >= max_iter else None


RUNS = grid(
    gradient=[0.5, 1e-7, 1e-6, 2e-6, 0.0],
    loss=[0.8, 30.0, 1e-9],
    first_loss=[6.0, 0.4],
    iteration=[7, 0, 100, 99, 101],
    tol=[1e-6, 1e-3],
    max_iter=[100, 7],
)


def no_word_of(name):
    def mistaken(**run):
        found = reason(**run)
        return None if found == name else found

    return mistaken


@check("stop_reason tells a run that converged from one that ran out of steps", points=2.5, category="values")
def test_reason(submission):
    expect.agrees(
        submission.stop_reason,
        reason,
        RUNS,
        likely={
            "the loss is asked, where the gradient should be": lambda **run: (
                "converged" if run["loss"] < 1 else "max_iter" if run["iteration"] >= run["max_iter"] else None
            ),
            "running out of steps is called converged": lambda **run: (
                (reason(**run) or "").replace("max_iter", "converged") or None
            ),
            "the steps are asked first: a run may converge in its last one": lambda **run: (
                "max_iter" if run["iteration"] >= run["max_iter"] else reason(**run)
            ),
            "a gradient equal to tol has converged, too": lambda **run: reason(
                **{**run, "tol": run["tol"] * (1 - 1e-9)}
            ),
            "there is one step too many": lambda **run: reason(**{**run, "iteration": run["iteration"] - 1}),
        },
    )


@check("stop_reason sees a run that diverges", points=2, category="robustness", after=test_reason)
def test_diverged(submission):
    cases = RUNS.vary(
        gradient=[5.0, math.inf, math.nan, 1e-9],
        loss=[2.0, math.inf, math.nan, 3e6, 1.9e6, 2e6, 0.0],
        first_loss=[2.0, 1.0, 0.0],
    )
    expect.agrees(
        submission.stop_reason,
        reason,
        cases,
        likely={
            "a loss that has grown a millionfold is not noticed": lambda **run: reason(
                **{**run, "first_loss": math.inf}
            ),
            "a gradient that is NaN or infinite is not noticed": lambda **run: (
                reason(**{**run, "gradient": 1.0 if not math.isfinite(run["gradient"]) else run["gradient"]})
            ),
        },
    )  # fmt: skip


# fit_until_converged


FIT = {"w": float, "b": float, "iterations": int, "stop_reason": REASONS}


def fitted(submission, x, y, given, **options):
    """The report of a fit, with plain values of the kinds that the stub names; its losses are asked elsewhere."""
    return expect.record(submission.fit_until_converged(x, y, **options), FIT, given=given)


def a_line(slope, intercept, n=20, noise=1.0):
    """x and y, float32 (n, 1), with one x in each of n equal parts of [0, 10), so that the curvatures hardly vary."""
    x = 10 * (torch.randperm(n)[:, None] + torch.rand(n, 1)) / n
    return x, slope * x + intercept + noise * torch.randn(n, 1)


def least_squares(x, y):
    x, y = x.double().flatten(), y.double().flatten()
    away = x - x.mean()
    w = float(away @ (y - y.mean()) / (away @ away))
    return w, float(y.mean()) - w * float(x.mean())


def expect_line(fit, x, y, given):
    """The run says that it converged, and it did: within 0.01 and 0.05 of least squares."""
    expect.equal(
        fit["stop_reason"],
        "converged",
        given=given,
        likely={"the steps ran out: take a larger rate, or scale x": "max_iter", "the rate is too large": "diverged"},
    )
    w, b = least_squares(x, y)
    expect.close(fit["w"], w, rtol=0, atol=0.01, given=f"{given}: w against least squares")
    expect.close(fit["b"], b, rtol=0, atol=0.05, given=f"{given}: b against least squares")


@check("fit_until_converged finds the line of least squares", points=2.5, category="convergence", after=test_slopes)
def test_fit(submission):
    for slope, intercept in ((20, -5), (-3, 5)):
        # most x are large, where a rate of 0.05 diverges; some are small, so that the curvatures are not too far apart
        x = torch.cat([torch.rand(6, 1), 8 + 2 * torch.rand(14, 1)])
        y = slope * x + intercept + torch.randn(20, 1)
        given = f"20 points, slope {slope}, intercept {intercept}, noise 1"
        fit = fitted(submission, x, y, given)
        expect_line(fit, x, y, given)


@check("fit_until_converged needs no certain size of noise", points=1, category="convergence", after=test_fit,
       hidden=True)  # fmt: skip
def test_noises(submission):
    # the curvatures of the second pair are 1 : 402
    for first, second in (((1, 3), (8, -4)), ((0, 3), (0.1, 3.2))):
        x, y = torch.tensor([first, second], dtype=SINGLE).split(1, 1)
        given = f"two points, {first} and {second}"
        expect_line(fitted(submission, x, y, given), x, y, given)
    for noise, n in ((0.0, 20), (3.0, 20), (0.4, 300), (3000.0, 20)):
        x, y = a_line(5, -5, n, noise)
        given = f"{n} points, slope 5, intercept -5, noise {noise:g}"
        expect_line(fitted(submission, x, y, given), x, y, given)


@check("max_iter bounds the steps, with or without a given lr", points=0.5, category="robustness", after=test_fit,
       hidden=True)  # fmt: skip
def test_most_steps(submission):
    x, y = a_line(5, -5)
    for most in (0, 1, 3):
        given = f"max_iter = {most}, lr left out"
        fit = expect.record(submission.fit_until_converged(x, y, max_iter=most, tol=1e-9), {**FIT, "losses": [float]},
                            given=given)  # fmt: skip
        expect.between(fit["iterations"], 0, most, unit="steps", given=given)
        expect.between(len(fit["losses"]), fit["iterations"], fit["iterations"] + 1,
                       unit=f"losses, for {fit['iterations']} steps", given=given)  # fmt: skip
    y[4] = math.nan
    given = "y with one NaN, max_iter = 30, lr left out"
    why = fitted(submission, x, y, given, max_iter=30)["stop_reason"]
    expect.true(why != "converged", expected="another stop_reason than converged", got="converged", given=given)


@check("fit_until_converged finds a best line where all x are the same", points=0.5, category="robustness",
       after=test_fit)  # fmt: skip
def test_flat(submission):
    for values, targets in (([3.0] * 4, [1.0, 2.0, 4.0, 9.0]), ([0.0, 0.0], [5.0, 7.0]), ([6.0], [-2.0])):
        x, y = torch.tensor(values), torch.tensor(targets)
        given = f"x = {values}, y = {targets}"
        fit = fitted(submission, x, y, given)
        expect.equal(fit["stop_reason"], "converged", given=given)
        height = fit["w"] * values[0] + fit["b"]
        truth = sum(targets) / len(targets)
        expect.close(height, truth, rtol=0, atol=0.01, given=f"{given}: w x + b at this x, against the mean of y")


def descent(x, y, lr, steps):
    """w, b, and the losses before each step and after the last, of plain descent from 0 and 0."""
    x, y = x.double().flatten(), y.double().flatten()
    w = b = torch.zeros((), dtype=DOUBLE)
    losses = [float(loss(x, y, w, b))]
    for _ in range(steps):
        dw, db = slopes(x, y, w, b)
        w, b = w - lr * dw, b - lr * db
        losses.append(float(loss(x, y, w, b)))
    return float(w), float(b), losses


@check(
    "a given lr means plain descent from 0, of max_iter steps at most", points=1.5, category="values", after=test_slopes
)
def test_descent(submission):
    for rate, steps in ((0.7, 25), (0.05, 12), (1.6, 1)):
        x, y = a_line(2, 5)
        lr = rate / both(x)[1]
        given = f"lr = {lr:.4g}, max_iter = {steps}"
        fit = fitted(submission, x, y, given, lr=lr, max_iter=steps)
        expect.equal(
            (fit["stop_reason"], fit["iterations"]),
            ("max_iter", steps),
            given=given,
            likely={
                "running out of steps is called converged": ("converged", steps),
                "there is one step too many": ("max_iter", steps + 1),
                "there is one step too few": ("max_iter", steps - 1),
            },
        )
        w, b, _ = descent(x, y, lr, steps)
        expect.close(
            (fit["w"], fit["b"]),
            (w, b),
            rtol=1e-6,
            atol=1e-9,
            given=f"w and b of {given}",
            likely={
                "the last step is not taken": descent(x, y, lr, steps - 1)[:2],
                "the steps are twice as long: the half is missing in the gradients": descent(x, y, 2 * lr, steps)[:2],
            },
        )


@check("losses holds the loss before each step", points=0.5, category="values", after=[test_descent, test_loss])
def test_losses(submission, pictures):
    for rate, steps in ((0.7, 25), (0.05, 12)):
        x, y = a_line(2, 5)
        lr = rate / both(x)[1]
        given = f"lr = {lr:.4g}, max_iter = {steps}"
        report = submission.fit_until_converged(x, y, lr=lr, max_iter=steps)
        found = expect.record(report, {"losses": [float]}, given=given)["losses"]
        truth = descent(x, y, lr, steps)[2]
        if rate == 0.7:
            pictures.curves("descent", "step", {"half mean squared error": found})
        expect.true(
            len(found) in (steps, steps + 1),
            expected=f"{steps} or {steps + 1} losses, for so many steps",
            got=f"{len(found)} losses",
            given=given,
        )
        expect.close(
            found,
            truth[: len(found)],
            rtol=1e-6,
            atol=1e-9,
            given=given,
            likely={
                "the losses are the whole mean squared error": [2 * value for value in truth[: len(found)]],
                "the losses are taken after the steps, not before": truth[1 : len(found) + 1],
            },
        )


@check("a rate that is too large is reported as diverged, and soon", points=0.5, category="robustness",
       after=[test_descent, test_loss])  # fmt: skip
def test_too_large(submission):
    for rate, n, slope in ((20.0, 20, 20), (3.0, 20, 20), (40.0, 2, 20), (3.0, 20, 0.002)):
        x, y = a_line(slope, -slope, n, slope / 20)
        lr = rate / both(x)[1]
        given = f"lr = {rate:g} / largest curvature, {n} points, slope {slope:g}"
        fit = fitted(submission, x, y, given, lr=lr)
        expect.equal(fit["stop_reason"], "diverged", given=given,
                     likely={"a run that diverged is said to have run out of steps": "max_iter"})  # fmt: skip
        # the loss grows nearly fourfold with each step, and a million is 4^10
        losses = descent(x, y, lr, 30)[2]
        soon = next(step for step, value in enumerate(losses) if value > 1e6 * losses[0])
        because = "then the loss is more than a million times the first"
        expect.equal(fit["iterations"], soon, because=because, given=given)
    for value in (math.nan, math.inf):
        x, y = a_line(2, 5)
        y[4] = value
        given = f"y with one {value}, lr = 0.01, max_iter = 30"
        fit = fitted(submission, x, y, given, lr=0.01, max_iter=30)
        expect.equal(fit["stop_reason"], "diverged", because="the loss is not finite", given=given,
                     likely={"a run that diverged is said to have run out of steps": "max_iter"})  # fmt: skip


@check("tol says how flat it has to be", points=0.5, category="convergence", after=test_descent, hidden=True)
def test_tol(submission):
    x, y = a_line(2, 5)
    lr = 1 / both(x)[1]
    steps = []
    for tol in (1.0, 1e-2, 1e-5):
        given = f"a given lr and tol = {tol:g}"
        fit = fitted(submission, x, y, given, lr=lr, tol=tol)
        expect.equal(fit["stop_reason"], "converged", given=given)
        if tol == 1:
            most = fit["iterations"]
            again = fitted(submission, x, y, f"{given}, max_iter = {most}", lr=lr, tol=tol, max_iter=most)
            expect.equal(
                again["stop_reason"],
                "converged",
                given=f"{given}, max_iter = {most}",
                likely={"the steps are asked first: a run may converge in its last one": "max_iter"},
            )
        left = math.hypot(
            *map(float, slopes(x.double(), y.double(), *torch.tensor([fit["w"], fit["b"]], dtype=DOUBLE)))
        )
        expect.between(left, 0, tol * (1 + 1e-6), unit="as the length of the gradient at the end", given=given)
        steps.append(fit["iterations"])
        before = descent(x, y, lr, max(fit["iterations"] - 1, 0))[:2] if fit["iterations"] < 200 else None
        if before is not None and fit["iterations"]:
            left = math.hypot(*map(float, slopes(x.double(), y.double(), *torch.tensor(before, dtype=DOUBLE))))
            expect.true(left > tol, expected="a stop at the first step that is flat enough",
                        got="a later one", given=given)  # fmt: skip
    expect.true(steps[0] < steps[1] < steps[2], expected="more steps for a smaller tol",
                got=f"{steps[0]}, {steps[1]} and {steps[2]} steps for 1, 0.01 and 0.00001")  # fmt: skip


@check("fit_until_converged takes rows, columns and both dtypes, unchanged", points=0.5, category="robustness",
       after=test_descent, hidden=True)  # fmt: skip
def test_fit_inputs(submission):
    x, y = a_line(5, -5, 30)
    wide = torch.stack([x, x, y], 1).squeeze(-1)  # (30, 3)
    pairs = {
        "x (n,), y (n,)": (x.flatten(), y.flatten()),
        "x (n, 1), y (n,)": (x, y.flatten()),
        "x (n,), y (n, 1)": (x.flatten(), y),
        "float64 columns": (x.double(), y.double()),
        "two columns of a table": (wide[:, 1], wide[:, 2:]),
        "tensors that require gradients": (x.clone().requires_grad_(), y.clone().requires_grad_()),
    }
    lr = 1 / both(x)[1]
    w, b, _ = descent(x, y, lr, 20)
    table = descent(x, torch.full_like(y, float(y.mean())), lr, 20)[:2]
    for given, pair in pairs.items():
        result = expect.not_mutated(submission, submission.fit_until_converged, *pair, lr=lr, max_iter=20, given=given)
        fit = expect.record(result, FIT, given=given)
        mixed = pair[0].ndim != pair[1].ndim
        likely = {"(n, 1) meets (n,), which makes a table of n by n: every x with every y": table} if mixed else {}
        free = f"{given}, lr left out"
        expect.not_mutated(submission, submission.fit_until_converged, *pair, max_iter=2, given=free)
        where = f"{given}: w and b after 20 steps"
        expect.close((fit["w"], fit["b"]), (w, b), rtol=1e-5, atol=1e-6, likely=likely, given=where)


STEP_BY_STEP = Rule(
    of=("fit_until_converged", "stable_learning_rate"),
    functions=("lstsq", "linalg_lstsq", "linalg_solve", "linalg_pinv", "linalg_inv", "inverse"),
    names=("torch.optim", "lstsq", "pinv", "polyfit", "linalg.solve", "linalg.inv", "linregress", "curve_fit"),
    instead="gradient steps",
)


@check("fit_until_converged uses no solver and no optimiser", points=0.5, category="rules", gates=STEP_BY_STEP,
       after=test_descent)  # fmt: skip
def test_rules(submission):
    x, y = a_line(2, 5)
    expect.avoids(submission.fit_until_converged, x, y, None, 5, rule=STEP_BY_STEP)


@check("tensors are made on the device of x", points=0.5, category="devices", after=test_slopes, hidden=True)
def test_portable(submission):
    x, y, w, b = torch.randn(6), torch.randn(6), torch.randn(()), torch.randn(())
    expect.portable(submission.half_mse, x, y, w, b, given="half_mse")
    expect.portable(submission.half_mse_gradients, x, y, w, b, given="half_mse_gradients")
