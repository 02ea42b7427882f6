"""Checks for task 02: gradients and stochastic gradient descent.

Fits are compared with the least-squares line of the same data, and slope and intercept are drawn anew for every
check, far from zero. Where chance is not the question the noise is small, so that a right fit lands on the line
whatever its batches and its scaling were.
"""

import math
import random
from itertools import pairwise

import numpy as np
import torch

from torchgrade.authoring import FLOATS, LAYOUTS, RECORDING, Rule, any_seed, check, expect, grid, kit

SOLVERS = ("lstsq", "pinv", "polyfit", "linalg.solve", "linalg.inv", "linregress", "curve_fit")


def any_line():
    """A slope and an intercept, both far from zero and of either sign."""
    return (random.choice((-1, 1)) * random.uniform(*bounds) for bounds in ((4, 9), (20, 50)))


def line_data(dataset, points, noise=0.01):
    """x, y and the least-squares line of a hidden line."""
    lines = dataset("noisy_line")
    slope, intercept = any_line()
    x, y = lines.make(slope, intercept, seed=any_seed(), points=points, noise=noise)
    return x, y, lines.least_squares(x, y)


def error_of(dataset, x, y, fit):
    return dataset("noisy_line").mean_squared_error(x, y, fit["w"], fit["b"])


def as_pair(value, names):
    """The two items of a tuple or list."""
    expect.true(
        isinstance(value, (tuple, list)) and len(value) == 2,
        expected=f"a tuple of two: {names}",
        got=f"{len(value)} items" if isinstance(value, (tuple, list)) else type(value).__name__,
    )
    return value


def as_fit(result):
    """The dict that fit_linear returns, with finite plain numbers in "w" and "b"."""
    keys = sorted(map(str, result)) if isinstance(result, dict) else []
    expect.true(
        {"w", "b", "history"} <= set(keys),
        expected='a dict with the keys "w", "b" and "history"',
        got=f"a dict with the keys {keys}" if isinstance(result, dict) else type(result).__name__,
    )
    for name in ("w", "b"):
        value = result[name]
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        expect.true(plain, expected=f"{name} as a plain float", got=f"{name} is a {type(value).__name__}")
        expect.true(
            math.isfinite(value),
            expected=f"a finite {name}",
            got=f"{name} = {value}: a run that diverged is returned as if it were a fit",
        )
    return result


def numbers_of(history):
    """What can be drawn of a history."""
    return [float(value) for value in history if isinstance(value, (int, float))]


def as_history(result, epochs, likely=None):
    """The history of a fit: plain finite numbers that come down, one for each epoch."""
    history = as_fit(result)["history"]
    expect.converges(history)
    expect.equal(len(history), epochs, because="one entry for each epoch", likely=likely)
    return history


def expect_line(fit, line, likely_w=None):
    """w and b are those of least squares; 0.005 and 0.1 are far below what any slip in the training leaves."""
    expect.close(fit["w"], line.w, rtol=0, atol=0.005, likely=likely_w, given="w against least squares")
    expect.close(fit["b"], line.b, rtol=0, atol=0.1, given="b against least squares")


@check("make_data lays 10,000 points from 0 to 99.99", points=1, category="shapes")
def test_grid(submission):
    x, y = as_pair(submission.make_data(3.0, any_seed()), "x and y")
    expect.shape(
        x,
        (10_000,),
        likely={
            "linspace(0, 100, 10001) has one point too many: 100 is not part of the grid": (10_001,),
            "x and y are asked for as (10000,), without a second axis": (10_000, 1),
        },
    )
    expect.shape(y, (10_000,))
    expect.dtype(y, np.float64)
    expect.close(
        x,
        np.arange(10_000) / 100,
        rtol=0,
        atol=1e-9,
        likely={"linspace(0, 100, 10000) ends at 100, so its step is a little too large": np.linspace(0, 100, 10_000)},
    )


@check("make_data gives each sample its own normal noise", points=2, category="values", after=test_grid)
def test_noise(submission):
    # The bounds are five and more standard errors of 10,000 normal draws away: one right run in a million is outside.
    for b in (random.uniform(-20, -5), random.uniform(5, 20)):
        _, y = submission.make_data(b, any_seed())
        noise = y - 10 * np.arange(10_000) / 100 - b
        expect.close(
            float(noise.std()),
            1.0,
            rtol=0,
            atol=0.05,
            trivial="the standard deviation is one by definition",
            likely={
                "one noise value is shared by all samples: draw one for each": 0.0,
                "the noise is uniform on [0, 1), not normal": 12**-0.5,
            },
            given=f"the standard deviation of y - 10 x - b, b = {b:.2f}",
        )
        expect.close(
            float(noise.mean()),
            0.0,
            rtol=0,
            atol=0.06,
            trivial="the mean is zero by definition",
            likely={"b is left out": -b, "b is added twice": b},
            given=f"the mean of y - 10 x - b, b = {b:.2f}",
        )
        expect.between(normal_distance(noise), 0, 0.03, unit="from the normal distribution function")
        lag = float(np.corrcoef(noise[:-1], noise[1:])[0, 1])
        expect.between(lag, -0.06, 0.06, unit="correlation of neighbouring noise values")
        several = len(np.unique(np.abs(noise).round(9)))  # two draws meet by chance once in some fifty runs
        expect.between(several, 9_990, 10_000, unit="different magnitudes among 10,000 noise values")


def normal_distance(sample):
    """The Kolmogorov distance between a sample and the standard normal distribution."""
    below = torch.special.ndtr(torch.from_numpy(np.sort(sample))).numpy()
    steps = np.arange(len(sample) + 1) / len(sample)
    return float(max((steps[1:] - below).max(), (below - steps[:-1]).max()))


@check(
    "make_data repeats itself for the same seed and no other", points=1, category="values", after=test_grid, hidden=True
)
def test_seed(submission):
    one, other = random.sample(range(1, 2**31), 2)
    for seed in (one, 0, 2**32 - 1):
        first, again, higher = (submission.make_data(b, seed)[1] for b in (3.0, 3.0, 8.5))
        expect.close(again, first, given=f"the seed {seed} twice")
        given = f"y - b for the seed {seed}, b = 8.5 against b = 3"
        expect.close(higher - 8.5, first - 3.0, rtol=0, atol=1e-9, given=given)
    first, different = (submission.make_data(3.0, seed)[1] for seed in (one, other))
    expect.true(
        not np.array_equal(first, different),
        expected="another noise for another seed",
        got="the same y for two seeds",
    )


def twins(draw, shape):
    return {"pred": draw(*shape), "target": draw(*shape)}


PAIRS = grid(twins, shape=[(7,), (3, 5), (1,), (), (2, 1, 3)], dtype=[torch.float64, torch.float32])


def mean_square(pred, target):
    return (pred - target).square().mean()


@check("mse_loss is the mean of the squared differences", points=2, category="values", devices="all")
def test_mse(submission, device):
    expect.agrees(
        submission.mse_loss,
        mean_square,
        PAIRS.vary(layout=LAYOUTS, values=[kit.normal, kit.thousands]),
        likely={
            "one half of the mean: the loss has no factor 1/2": lambda pred, target: mean_square(pred, target) / 2,
            "the squares are summed, not averaged": lambda pred, target: (pred - target).square().sum(),
            "the root of the mean is taken": lambda pred, target: mean_square(pred, target).sqrt(),
            "the absolute differences are averaged": lambda pred, target: (pred - target).abs().mean(),
        },
        unchanged=True,
        device=device,
    )
    expect.agrees(submission.mse_loss, mean_square, PAIRS.vary(dtype=FLOATS), device=device)


@check("mse_loss passes gradients to both arguments", points=1, category="gradients", after=test_mse, hidden=True)
def test_mse_gradients(submission):
    expect.agrees(submission.mse_loss, mean_square, PAIRS, gradients=True)


@check("mse_loss refuses (N, 1) against (N,), and any two shapes", points=1, category="robustness", after=test_mse)
def test_mse_shapes(submission):
    rows = ((2, 3), (2, 1)), ((2, 1, 3), (2, 4, 3))  # as many axes and as many rows
    ranks = ((6, 1), (6,)), ((2, 3), (3,)), ((), (1,))
    for one, other in (*ranks, ((3,), (1,)), ((3, 1), (1, 3)), ((2, 3), (3, 2)), *rows):
        for shapes in ((one, other), (other, one)):
            pred, target = (torch.randn(shape) for shape in shapes)
            given = f"pred {shapes[0]}, target {shapes[1]}"
            expect.raises(("ValueError",), submission.mse_loss, pred, target, given=given)


def point(draw, count, slope, intercept):
    """x, y, w and b; w and b of the signs that are asked for."""
    x, y = draw(count), draw(count)
    number = {"above": kit.positive, "below": below}
    return {"x": x, "y": y, "w": draw(values=number[slope]), "b": draw(values=number[intercept])}


def below(shape, dtype, generator):
    """numbers between -3/2 and -1/2"""
    return -kit.positive(shape, dtype, generator)


POINTS = grid(
    point,
    count=[5, 1, 12],
    slope=["above", "below"],
    intercept=["above", "below"],
    dtype=[torch.float64, torch.float32],
    layout=["contiguous", "gaps", "offset"],
    values=[kit.normal, kit.thousands],
)


def loss_gradients(x, y, w, b):
    with torch.enable_grad():
        w, b = w.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()
        return torch.autograd.grad(((w * x + b - y) ** 2).mean(), (w, b))


def instead(change):
    """Both derivatives after ``change(by_w, by_b, x)``."""
    return lambda x, y, w, b: change(*loss_gradients(x, y, w, b), x)


@check("manual_gradients are the derivatives of the loss", points=3, category="gradients", devices="all")
def test_gradients(submission, device):
    expect.agrees(
        submission.manual_gradients,
        loss_gradients,
        POINTS.vary(grad=RECORDING),
        likely={
            "the factor 2 of the derivative of a square is missing": instead(
                lambda by_w, by_b, x: (by_w / 2, by_b / 2)
            ),
            "the samples are summed, not averaged": instead(lambda by_w, by_b, x: (by_w * len(x), by_b * len(x))),
            "the sign is turned: the residual is prediction minus target": instead(
                lambda by_w, by_b, x: (-by_w, -by_b)
            ),
            "the derivatives are returned in the order b, w": instead(lambda by_w, by_b, x: (by_b, by_w)),
            "the residual is not multiplied by x": instead(lambda by_w, by_b, x: (by_b, by_b)),
        },
        unchanged=True,
        device=device,
    )
    halves = POINTS.vary(dtype=FLOATS, values=[kit.normal])
    expect.agrees(submission.manual_gradients, loss_gradients, halves, device=device)


NO_AUTOGRAD = Rule(
    of="manual_gradients",
    functions=("backward", "grad", "grad_and_value", "jvp", "vjp", "jacfwd", "jacrev", "jacobian", "make_dual"),
    instead="the two formulas",
)


@check("manual_gradients needs no autograd", points=1, category="rules", after=test_gradients, gates=NO_AUTOGRAD)
def test_no_autograd(submission):
    x, y = torch.randn(2, 9)
    w, b = torch.randn(2)
    expect.avoids(submission.manual_gradients, x, y, w, b, rule=NO_AUTOGRAD)


@check("manual_gradients works on the device of its inputs", points=1, category="devices", after=test_gradients)
def test_portable(submission):
    x, y = torch.randn(2, 9)
    w, b = torch.randn(2)
    expect.portable(submission.manual_gradients, x, y, w, b, expected="tensors on the device of x alone")


@check("sgd_step moves every parameter against its gradient, in place", points=2, category="values")
def test_step(submission):
    starts, gradients = torch.randn(2, 2, 3, dtype=torch.float64)
    params = [submission.hold(start, requires_grad=True) for start in starts]
    submission.probes.give_gradients(params, list(gradients))
    submission.sgd_step(params, 0.25)
    expect.close(
        torch.stack([param.fetch() for param in params]),
        starts - 0.25 * gradients,
        likely={
            "the step goes up the gradient": starts + 0.25 * gradients,
            "the parameter stays: `param = param - ...` binds a new tensor to the name": starts,
            "the learning rate is left out": starts - gradients,
        },
        given="two parameters of shape (3,), lr = 0.25",
    )


@check("sgd_step moves parameters of any shape and layout", points=1, category="robustness", after=test_step)
def test_step_shapes(submission):
    for shape in ((), (1, 3), (3, 1), (2, 3, 4), (0,)):
        start, gradient = torch.randn(shape), torch.randn(shape)
        param = submission.hold(start, requires_grad=True)
        submission.probes.give_gradients([param], [gradient])
        submission.sgd_step([param], 0.1)
        given = f"one parameter of shape {shape}, lr = 0.1"
        expect.close(param.fetch(), start - 0.1 * gradient, given=given, trivial="an empty parameter has no values")
    start, gradient = torch.randn(4, 3), torch.randn(3, 4)
    param = submission.hold(start.T, requires_grad=True)
    submission.probes.give_gradients([param], [gradient])
    submission.sgd_step([param], 0.1)
    expect.close(param.fetch(), start.T - 0.1 * gradient, given="a transposed parameter (3, 4)")


@check("sgd_step keeps the parameters leaves that require gradients", points=1, category="gradients", after=test_step)
def test_leaves(submission):
    params = [submission.hold(torch.randn(4), requires_grad=True) for _ in range(2)]
    submission.probes.give_gradients(params, list(torch.randn(2, 4)))
    submission.sgd_step(params, 0.1)
    for param in params:
        expect.true(
            param.requires_grad,
            expected="a parameter that still requires a gradient",
            got="requires_grad is False: the next backward() would fill nothing",
        )
        expect.true(
            param.is_leaf,
            expected="a leaf tensor, without a graph",
            got="a tensor that hangs in a graph: the step was recorded by autograd",
        )


@check("sgd_step clears the gradients for the next round", points=2, category="gradients", after=test_leaves)
def test_rounds(submission):
    lr, rounds = 0.1, 30
    starts, targets = torch.randn(2, 2, 3, dtype=torch.float64) * 5
    params = [submission.hold(start, requires_grad=True) for start in starts]
    path = submission.probes.pull(submission.sgd_step, params, list(targets), lr, rounds)
    shrink = (1 - 2 * lr) ** torch.arange(1, rounds + 1, dtype=torch.float64)  # of the distance, after each round
    expect.close(
        torch.stack([torch.stack(point) for point in path]),
        targets + (starts - targets) * shrink[:, None, None],
        likely={"the gradients of earlier rounds add up": uncleared(starts, targets, lr, rounds)},
        given="30 rounds of backward() and sgd_step on the squared distance to a point",
    )
    kept, endless = torch.randn(2, 2, 3, dtype=torch.float64)
    endless[0, 0] = math.inf
    for rate, gradients in ((lr, None), (0.0, kept), (lr, endless)):
        if gradients is not None:
            submission.probes.give_gradients(params, list(gradients))
            submission.sgd_step(params, rate)
        left = [param.grad for param in params]
        expect.true(
            all(gradient is None or not gradient.any() for gradient in left),
            expected="gradients that are None or zero after the step",
            got="a gradient that is still there",
            given=f"lr = {rate}, with an infinite number in the gradient" if gradients is endless else f"lr = {rate}",
        )


def uncleared(starts, targets, lr, rounds):
    point, gradient, path = starts, torch.zeros_like(starts), []
    for _ in range(rounds):
        gradient = gradient + 2 * (point - targets)
        point = point - lr * gradient
        path.append(point)
    return torch.stack(path)


@check("sgd_step leaves a parameter without a gradient alone", points=1, category="robustness", after=test_step,
       hidden=True)  # fmt: skip
def test_no_gradient(submission):
    starts, gradient = torch.randn(3, 4), torch.randn(4)
    params = [submission.hold(start, requires_grad=True) for start in starts]
    submission.probes.give_gradients(params, [None, gradient, None])
    submission.sgd_step(params, 0.5)
    expected = starts.clone()
    expected[1] -= 0.5 * gradient
    expect.close(
        torch.stack([param.fetch() for param in params]),
        expected,
        likely={"the step ends at the first parameter without a gradient": starts},
        given="the second of three parameters has a gradient",
    )


@check(
    "fit_linear with whole batches reaches least squares",
    points=1.5,
    category="convergence",
    devices="all",
    after=[test_mse, test_step_shapes, test_rounds],
)
def test_whole_batch(submission, dataset, device):
    x, y, line = line_data(dataset, 300, noise=1.0)
    data = [torch.from_numpy(values).to(device) for values in (x, y)]
    fit = as_fit(submission.fit_linear(*data, lr=0.5, batch_size=None, epochs=400))
    expect_line(fit, line, likely_w={"w belongs to the scaled x: divide by the scale": line.w * float(x.std(ddof=1))})


@check(
    "fit_linear with mini-batches comes near least squares", points=1.5, category="convergence", after=test_whole_batch
)
def test_mini_batch(submission, dataset, calibration, pictures):
    x, y, line = line_data(dataset, 2000, noise=1.0)
    fit = as_fit(submission.fit_linear(x, y, lr=0.1, batch_size=25, epochs=10))
    pictures.curves("mini_batch", "epoch", {"mean squared error": numbers_of(fit["history"])})
    # Measured in powers of ten, since what slips leave behind is a hundred and a thousand times as large.
    excess = math.log10(error_of(dataset, x, y, fit) / line.mse)
    calibration.holds("mini_batch", excess, show=lambda power: f"{10**power:.3g} times the error of least squares")


@check(
    "fit_linear takes odd batch sizes, columns and float32",
    points=1,
    category="robustness",
    after=test_whole_batch,
    hidden=True,
)
def test_awkward_data(submission, dataset):
    x, y, line = line_data(dataset, 103)
    columns = x[:, None].astype(np.float32), y[:, None].astype(np.float32)
    expect_line(as_fit(submission.fit_linear(*columns, lr=0.2, batch_size=20, epochs=120)), line)
    expect_line(as_fit(submission.fit_linear(x, y[:, None], lr=0.5, batch_size=500, epochs=300)), line)

    pair = torch.from_numpy(np.stack([x, y], 1))  # two columns of one table
    expect_line(as_fit(submission.fit_linear(pair[:, 0], pair[:, 1], lr=0.2, batch_size=20, epochs=120)), line)
    half = [torch.from_numpy(np.round(values)).half() for values in (x, y)]
    rounded = dataset("noisy_line").least_squares(*(values.double().numpy() for values in half))
    fit = as_fit(submission.fit_linear(*half, lr=0.5, batch_size=None, epochs=400))
    expect.close(fit["w"], rounded.w, rtol=0, atol=0.02, given="w for float16 tensors of whole numbers")
    steep = 2000 * half[0].double().numpy() + 1000  # beyond float16
    fit = as_fit(submission.fit_linear(half[0].numpy(), steep, lr=0.5, batch_size=None, epochs=200))
    expect.close(fit["w"], 2000.0, rtol=0, atol=0.2, given="w for float16 x and float64 y = 2000 x + 1000")
    level = as_fit(submission.fit_linear(x, np.full(len(x), 30.0), lr=0.5, batch_size=None, epochs=200))
    expect.close([level["w"], level["b"]], [0.0, 30.0], rtol=0, atol=0.1, given="w and b for y = 30 everywhere",
                 trivial="a level line")  # fmt: skip
    as_fit(submission.fit_linear(90 + x / 10, y, lr=0.5, batch_size=None, epochs=400))  # x / 100 gets no further
    turned = np.roll(np.arange(len(x)), len(x) // 2)  # the first x and the last one are neighbours
    fit = as_fit(submission.fit_linear(x[turned], y[turned], lr=0.5, batch_size=None, epochs=400))
    expect.close(fit["w"], line.w, rtol=0, atol=0.005, given="w for samples whose x begin in the middle")

    x, y, line = line_data(dataset, 40)
    single = as_fit(submission.fit_linear(x, y, lr=0.02, batch_size=1, epochs=20))
    share = error_of(dataset, x, y, single) / float(y.var())
    expect.between(share, 0, 0.2, unit="of the variance of y are left, with batches of one sample")


@check("fit_linear leaves x and y as they were", points=1, category="robustness", after=test_whole_batch)
def test_intact(submission, dataset):
    x, y, _ = line_data(dataset, 20)
    expect.not_mutated(submission, submission.fit_linear, x, y, epochs=1)
    expect.not_mutated(submission, submission.fit_linear, torch.from_numpy(x), torch.from_numpy(y), epochs=1)


@check("history is the mean squared error of each epoch", points=1, category="convergence", after=test_whole_batch)
def test_history(submission, dataset):
    x, y, line = line_data(dataset, 200, noise=1.0)
    batched = submission.fit_linear(x, y, batch_size=50, epochs=7)
    as_history(batched, 7, likely={"one entry for each update, not for each epoch": 28})

    # At such a rate the line stays where it starts, and its error over all of the data is that of every epoch.
    still = as_fit(submission.fit_linear(x, y, lr=1e-13, batch_size=25, epochs=6))["history"]
    expect.true(
        max(still) - min(still) < 1e-3 * max(still),
        expected="the same error in each epoch, since nothing moves at lr = 1e-13",
        got=f"from {min(still):.6g} to {max(still):.6g}",
        likely={"an epoch's entry is the loss of one of its batches, not of all": True},
        given="200 points in batches of 25, 6 epochs",
    )
    # The single point of the last batch has an error of its own each time; among seven others it counts little.
    still = as_fit(submission.fit_linear(x[:176], y[:176], lr=1e-13, batch_size=25, epochs=20))["history"]
    expect.true(
        max(still) < 2 * min(still),
        expected="about the same error in each epoch, since nothing moves at lr = 1e-13",
        got=f"from {min(still):.6g} to {max(still):.6g}",
        likely={"an epoch's entry is the loss of its last batch, not of all": True},
        given="176 points in batches of 25, 20 epochs",
    )

    epochs = 600
    fit = submission.fit_linear(x, y, lr=0.2, batch_size=None, epochs=epochs)
    history = as_history(fit, epochs)
    expect.close(
        float(history[-1]),
        line.mse,
        rtol=0.02,
        atol=0.0,
        likely={
            "one half of the squares": line.mse / 2,
            "the squares are summed, not averaged": line.mse * len(x),
            "the loss is in the units of a scaled y": line.mse / float(y.var(ddof=1)),
        },
        given="the last entry of a run that reached least squares",
    )
    some, their = x[:150], y[:150]
    least = dataset("noisy_line").least_squares(some, their).mse
    uneven = as_history(submission.fit_linear(some, their, lr=0.4, batch_size=100, epochs=300), 300)
    expect.between(
        float(uneven[-1]) / least,
        *(0.7, 1.4),
        unit="times the error of least squares",
        given="150 points in batches of 100 and 50; the last entry of 300 epochs",
    )


@check(
    "fit_linear runs as many epochs as it is told, at the rate given",
    points=1,
    category="convergence",
    after=test_whole_batch,
)
def test_epochs(submission, dataset):
    x, y, line = line_data(dataset, 100)
    history = as_fit(submission.fit_linear(x, y))["history"]
    expect.equal(len(history), 20, because="the default of epochs", given="the entries of history, no option given")
    few, many = (
        error_of(dataset, x, y, as_fit(submission.fit_linear(x, y, lr=0.01, batch_size=None, epochs=epochs)))
        for epochs in (2, 40)
    )
    # Two steps at rate 0.01 undo 8 % of the error when x is z-scored; the noise is 1e-4 of the squared line.
    expect.true(
        few > 100 * line.mse,
        expected="an error that two whole-batch epochs at lr = 0.01 cannot remove",
        got="a fit that is as good as least squares: epochs or lr is ignored",
    )
    expect.true(
        many < 0.8 * few,
        expected="a smaller error after 40 epochs than after 2",
        got=f"{many:.4g} after 40 epochs, {few:.4g} after 2",
    )


@check(
    "fit_linear trains on the raw x when told to",
    points=0.5,
    category="convergence",
    after=test_whole_batch,
    hidden=True,
)
def test_raw(submission, dataset):
    x, y, line = line_data(dataset, 200)
    fit = as_fit(submission.fit_linear(x, y, lr=1e-4, batch_size=None, epochs=300, normalize=False))
    # The steep direction has settled, so w is the best slope for the b that came with it; b itself has hardly moved.
    settled = float((x @ (y - fit["b"])) / (x @ x))
    expect.close(
        fit["w"],
        settled,
        rtol=0,
        atol=0.01,
        likely={"x is scaled although normalize is False": line.w * (1 - (1 - 2e-4) ** 300)},
        given="300 whole-batch epochs at lr = 1e-4 and normalize=False; w for the b that was returned",
    )
    # w trails the drift of b by less than 0.0001. On x - 1 it settles elsewhere, by 0.0008 and more.
    expect.close(fit["w"], settled, rtol=0, atol=3e-4, given="the same fit, on x as it is: neither scaled nor shifted")
    # In one pass of tiny steps b moves by 2 · 1000 · lr in each update, and w by next to nothing.
    x, y = np.array([0.0, 0.001, 0.002]), np.full(3, 1000.0)
    options = {"batch_size": 2, "epochs": 1, "normalize": False}
    ends = [submission.probes.fit_from(submission.fit_linear, 1, x, y, lr=lr, **options)["b"] for lr in (1e-6, 2e-6)]
    updates = (ends[1] - ends[0]) / (2 * 1000 * 1e-6)
    expect.between(
        updates,
        *(1.2, 2.1),
        unit="updates, measured by the way of b",
        likely={"the last batch is left out because it is smaller": updates if abs(updates - 1) < 0.01 else math.inf},
        given="3 samples in batches of 2, one epoch with tiny steps",
    )
    expect.true(
        abs(fit["b"] - line.b) > 5,
        expected="an intercept that has hardly moved: raw x leaves it to the flat direction of the loss",
        got=f"b = {fit['b']:.3g}, next to least squares: x was scaled although normalize is False",
    )


@check(
    "fit_linear raises FloatingPointError when the run diverges",
    points=1,
    category="robustness",
    after=test_whole_batch,
    hidden=True,
)
def test_divergence(submission, dataset):
    x, y, _ = line_data(dataset, 200)
    # A rate of 0.001 is more than three times what raw x bears, and x / 2 would bear it. With single samples at a rate
    # of 0.5 the first epoch alone is enough.
    for lr, batch_size, epochs in ((0.5, 10, 120), (0.01, 10, 120), (0.001, None, 400), (0.5, 1, 1)):
        expect.raises(
            ("FloatingPointError",),
            submission.fit_linear,
            x,
            y,
            lr=lr,
            batch_size=batch_size,
            epochs=epochs,
            normalize=False,
            given=f"raw x at lr = {lr}, batch_size={batch_size}: the loss is beyond every float within {epochs} epochs",
        )
    spoilt = y.copy()
    spoilt[7] = math.nan
    given = "a NaN in y: the loss of the first epoch is NaN"
    expect.raises(("FloatingPointError",), submission.fit_linear, x, spoilt, epochs=2, given=given)
    spoilt[7] = math.inf
    options = {"batch_size": None, "epochs": 1, "normalize": False, "lr": 1e-6}
    given = "infinity in y, one whole batch: the loss of the only epoch is infinite"
    expect.raises(("FloatingPointError",), submission.fit_linear, x, spoilt, **options, given=given)


@check(
    "the generator alone decides the order of the batches", points=0.5, category="convergence", after=test_whole_batch
)
def test_generator(submission, dataset):
    x, y, _ = line_data(dataset, 30, noise=1.0)
    one, other = random.sample(range(2**31), 2)
    first, again, different = (
        as_fit(submission.probes.fit_from(submission.fit_linear, state, x, y, batch_size=5, epochs=3))
        for state in (one, one, other)
    )
    expect.close(again, first, rtol=1e-12, atol=0.0, given="two generators in the same state")
    expect.true(
        first["history"] != different["history"],
        expected="another order of the batches for another state of the generator",
        got="the same history: the samples are not shuffled, or not by the generator",
    )
    expect.equal(len(first["history"]), 3, because="epochs=3 counts with a generator, too")


@check("without a generator the order comes from PyTorch's global one", points=0.5, category="convergence",
       after=test_whole_batch, hidden=True)  # fmt: skip
def test_global_generator(submission, dataset):
    x, y, _ = line_data(dataset, 30, noise=1.0)
    one, other = random.sample(range(2**31), 2)
    first, again, different = (
        as_fit(submission.probes.fit_globally(submission.fit_linear, state, x, y, batch_size=5, epochs=3))
        for state in (one, one, other)
    )
    expect.close(again, first, rtol=1e-12, atol=0.0, given="torch.manual_seed with one seed twice")
    expect.true(
        first["history"] != different["history"],
        expected="another order after torch.manual_seed with another seed",
        got="the same history: the order is always the same",
    )
    following = as_fit(submission.fit_linear(x, y, batch_size=5, epochs=3))
    expect.true(
        following["history"] != different["history"],
        expected="another order in the next call: the global generator has gone on",
        got="the same history: the order is always the same",
    )


@check("a generator changes nothing but the order", points=0.5, category="convergence", after=test_whole_batch,
       hidden=True)  # fmt: skip
def test_generator_with_options(submission, dataset):
    x, y, line = line_data(dataset, 60)
    fit_from, seed = submission.probes.fit_from, any_seed()
    expect_line(as_fit(fit_from(submission.fit_linear, seed, x, y, lr=0.5, batch_size=None, epochs=400)), line)
    slow = as_fit(fit_from(submission.fit_linear, seed, x, y, lr=1e-4, batch_size=None, epochs=20))
    expect.true(
        error_of(dataset, x, y, slow) > 100 * line.mse,
        expected="an error that 20 whole-batch epochs at lr = 1e-4 cannot remove",
        got="a fit that is as good as least squares: lr is ignored when a generator is given",
    )
    expect.raises(
        ("FloatingPointError",), submission.probes.fit_from, submission.fit_linear, seed, x, y,
        lr=0.5, epochs=120, normalize=False, given="a generator and normalize=False at lr = 0.5",
    )  # fmt: skip


@check(
    "fit_linear draws each batch from the whole data",
    points=0.5,
    category="convergence",
    after=test_whole_batch,
    hidden=True,
)
def test_mixing(submission, dataset):
    # Neighbours in the data share their x, and their noise adds to nothing. A batch of such neighbours has no noise
    # left, and the fit comes to rest exactly; batches that are drawn from everywhere keep it trembling.
    slope, intercept = any_line()
    x = np.repeat(np.arange(10) * 10.0, 2)
    y = slope * x + intercept + 30 * np.tile([1.0, -1.0], 10)
    line = dataset("noisy_line").least_squares(x, y)
    fit = as_fit(submission.fit_linear(x, y, lr=0.05, batch_size=2, epochs=150))
    off = math.sqrt(abs(error_of(dataset, x, y, fit) - line.mse))
    # Right fits end 0.004 to 0.085 away, those whose rate shrinks nearest; batches of neighbours within 5e-7.
    expect.true(
        off > 5e-5,
        expected="batches drawn from the whole data: with noise of ±30 the fit keeps trembling",
        got="a fit at rest, as if each batch held only neighbours",
        given="pairs of neighbours whose noise adds to nothing, batches of 2",
    )


@check("each pass over the data has an order of its own", points=0.5, category="convergence", after=test_whole_batch,
       hidden=True)  # fmt: skip
def test_new_order(submission, dataset):
    # With one order for all passes the run comes to rest in a cycle, and each epoch's error repeats the last one's.
    x, y, _ = line_data(dataset, 12, noise=20.0)
    history = as_fit(submission.fit_linear(x, y, lr=0.05, batch_size=3, epochs=160))["history"]
    steps = [abs(b - a) / a for a, b in pairwise(history[60:101])]
    expect.true(
        max(steps) > 1e-7,
        expected="errors that differ from epoch to epoch, since the order of the samples does",
        got="the same error in every epoch: one order serves all passes",
        given="12 noisy points in batches of 3, epochs 60 to 100",
    )


OWN_STEPS = Rule(
    of="fit_linear",
    functions=("linear", "lstsq", "linalg_lstsq", "linalg_solve", "linalg_pinv", "linalg_inv", "inverse"),
    names=("torch.optim", "nn.Linear", *SOLVERS),
    instead="gradient steps of sgd_step",
)


@check(
    "fit_linear uses no optimiser, layer or solver",
    points=1,
    category="rules",
    after=test_whole_batch,
    gates=OWN_STEPS,
)
def test_rules(submission, dataset):
    x, y, _ = line_data(dataset, 20)
    expect.avoids(submission.fit_linear, x, y, rule=OWN_STEPS)


@check(
    "an update costs the same for a batch of any size",
    points=1,
    category="efficiency",
    after=[test_whole_batch, test_gradients],
)
def test_growth(submission, dataset):
    (x, y, _), (long_x, long_y, _) = line_data(dataset, 16), line_data(dataset, 128)
    small, large = (x, y, 0.1, 8, 2), (long_x, long_y, 0.1, 64, 2)
    expect.vectorised(submission.fit_linear, small, large, given="fit_linear with batches 8 times as large")
    w, b = torch.randn(2)
    small, large = (*torch.randn(2, 8), w, b), (*torch.randn(2, 64), w, b)
    expect.vectorised(submission.manual_gradients, small, large, given="manual_gradients of 8 times the samples")
