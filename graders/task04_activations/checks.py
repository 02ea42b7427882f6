"""Checks for task 04: activation functions and their slopes, by hand.

The oracles are PyTorch's functions, except where those are rounded themselves: softplus (linear above 20) and the
gradient of celu. Each function is asked on a grid: shapes, layouts in memory, dtypes, every option with two values
that are not its default, and what the numbers are like.
"""

import torch
from torch.nn import functional as F

from torchgrade.authoring import LAYOUTS, LEFT_OUT, RECORDING, Rule, check, expect, grid, kit


def exact_softplus(x, beta=1.0):
    return torch.logaddexp(beta * x, torch.zeros_like(x)) / beta


def exact_celu(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0) / alpha))


def exact_prelu(x, weight):
    weight = weight.reshape(()) if weight.numel() == 1 else weight.reshape(-1, *[1] * (x.ndim - 2))
    return torch.where(x > 0, x, weight * x)


# Functions of one tensor, with their oracles and the values of their options.
SMOOTH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": exact_softplus,
    "logsigmoid": F.logsigmoid,
    "tanhshrink": F.tanhshrink,
    "gelu": F.gelu,
    "silu": F.silu,
}
CORNERED = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "relu6": F.relu6,
    "elu": F.elu,
    "celu": exact_celu,
    "selu": F.selu,
    "softshrink": F.softshrink,
    "hardswish": F.hardswish,
}
ORACLES = SMOOTH | CORNERED
OPTIONS = {
    "leaky_relu": {"negative_slope": [LEFT_OUT, 0.2, 2.0, 0.0, -0.3]},
    "elu": {"alpha": [LEFT_OUT, 0.6, 1.7, 0.0, -0.4]},
    "celu": {"alpha": [LEFT_OUT, 0.6, 2.0]},
    "softplus": {"beta": [LEFT_OUT, 2.5, 0.5]},
    "softshrink": {"lambd": [LEFT_OUT, 1.3, 0.0]},
    "gelu": {"approximate": [LEFT_OUT, "tanh", "none"]},
}
# Options whose formulas lead far out, where x does not or in another way.
STEEP = {
    "celu": {"alpha": [LEFT_OUT, 0.002]},
    "softplus": {"beta": [LEFT_OUT, 500.0, 0.05]},
    "gelu": {"approximate": [LEFT_OUT, "tanh"]},
}

DOUBLE, SINGLE, HALF = torch.float64, torch.float32, (torch.float16, torch.bfloat16)
SHAPES = [(97,), (3, 5, 7), (1, 4), (5, 1), (), (0,), (2, 0, 3), (2, 1, 3, 2, 2)]
SPOTS = torch.tensor([-7, -4, -2, -1.5, -0.8, -0.2, 0.2, 0.8, 1.1, 2, 4, 7], dtype=DOUBLE)


def smooth_spots(shape, dtype, generator):
    """numbers near which every function is smooth"""
    picked = torch.randint(len(SPOTS), tuple(shape), generator=generator)
    return SPOTS[picked] + torch.rand(tuple(shape), generator=generator, dtype=DOUBLE) / 10


def lone(shape, dtype, generator):
    """numbers between 0.2 and 2 of either sign, where no formula cancels"""
    picked = torch.randint(2, 9, tuple(shape), generator=generator)
    return SPOTS[picked] + torch.rand(tuple(shape), generator=generator, dtype=DOUBLE) / 10


def steps(shape, dtype, generator):
    """numbers from -12 to 12; few of them lie between 0.2 and 2"""
    return (kit.spread if torch.Size(shape).numel() > 3 else lone)(shape, dtype, generator)


def ordinary(shape, dtype, generator):
    """numbers of both signs near 0"""
    return (kit.normal if torch.Size(shape).numel() > 3 else lone)(shape, dtype, generator)


def few(shape, dtype, generator):
    """numbers near which every function is smooth"""
    return (smooth_spots if torch.Size(shape).numel() > 3 else lone)(shape, dtype, generator)


def several(shape, layout):
    """One row expanded holds several numbers; one number repeated would be measured by itself."""
    return layout != "expanded" or torch.Size(shape[1:]).numel() > 3


ROUGH = 10.0  # formulas that are equal differ by some roundings more than a sum does


def function_agrees(submission, name, likely=None):
    """One function on shapes, layouts and dtypes, with its options; its argument stays as it is."""
    cases = grid(
        shape=SHAPES,
        values=[steps, ordinary, kit.zeros],
        dtype=[DOUBLE, SINGLE],
        layout=LAYOUTS,
        grad=RECORDING,
        where=several,
        **OPTIONS.get(name, {}),
    )
    expect.agrees(getattr(submission, name), ORACLES[name], cases, likely=likely, unchanged=True, slack=ROUGH)


# --- values ----------------------------------------------------------------------------------------------


@check("sigmoid agrees with PyTorch", points=0.5, category="values")
def test_sigmoid(submission):
    function_agrees(
        submission,
        "sigmoid",
        likely={"the sign of the exponent is wrong: this falls": lambda x: torch.sigmoid(-x)},
    )


@check("tanh agrees with PyTorch and runs from -1 to 1", points=0.5, category="values")
def test_tanh(submission):
    function_agrees(
        submission,
        "tanh",
        likely={
            "this runs from 0 to 1, as sigmoid does": lambda x: torch.sigmoid(2 * x),
            "this is half as steep: e^x stands where e^2x should": lambda x: torch.tanh(x / 2),
        },
    )


@check("relu agrees with PyTorch", points=0.5, category="values")
def test_relu(submission):
    function_agrees(submission, "relu", likely={"this is the magnitude: what is negative becomes 0": torch.abs})


@check("leaky_relu agrees with PyTorch, its slope below 0", points=0.5, category="values")
def test_leaky_relu(submission):
    def with_slope(rule):
        return lambda x, negative_slope=0.01: rule(x, negative_slope)

    function_agrees(
        submission,
        "leaky_relu",
        likely={
            "the slope is on the positive side": with_slope(lambda x, slope: torch.where(x > 0, slope * x, x)),
            "the slope is applied twice": with_slope(lambda x, slope: torch.where(x > 0, x, slope**2 * x)),
            "the larger of two lines is the upper one only for slopes up to 1": with_slope(
                lambda x, slope: torch.maximum(x, slope * x)
            ),
        },
    )


@check("prelu has one slope for all or one for each channel", points=1, category="values")
def test_prelu(submission):
    expect.agrees(
        submission.prelu,
        exact_prelu,
        SLOPES.vary(dtype=[DOUBLE, SINGLE], layout=LAYOUTS, grad=RECORDING),
        likely={
            "the weight lies along the columns, not along axis 1": lambda x, weight: torch.where(x > 0, x, weight * x),
            "the sign of the weight is lost": lambda x, weight: exact_prelu(x, weight.abs()),
        },
        unchanged=True,
    )


def slopes(draw, size, weights):
    """x, and one slope for all or one for each channel; slopes of both signs."""
    shape = {"each": size[1:2], "one": (1,), "bare": ()}[weights]
    return {"x": draw(*size), "weight": draw(*shape, values=kit.normal)}


SLOPES = grid(
    slopes,
    # as many columns as channels: a weight along the wrong axis fits there, too
    size=[(2, 4, 3, 4), (5, 4), (3, 2, 2), (1, 4), (2, 1, 3), (0, 4), (7,), ()],
    weights=["each", "one", "bare"],
    where=lambda size, weights: len(size) > 1 or weights != "each",
)


@check("relu6 agrees with PyTorch", points=0.5, category="values")
def test_relu6(submission):
    function_agrees(submission, "relu6", likely={"nothing stops it at 6": F.relu})


@check("elu agrees with PyTorch for every alpha", points=0.5, category="values")
def test_elu(submission):
    function_agrees(
        submission,
        "elu",
        likely={
            "alpha is left out": lambda x, alpha=1.0: F.elu(x),
            "alpha scales the positive side, too": lambda x, alpha=1.0: alpha * F.elu(x),
            "this is celu: alpha divides x in the exponent": exact_celu,
            "the larger of 0 and x, the smaller of 0 and the rest: that holds for a positive alpha only": (
                lambda x, alpha=1.0: x.clamp(min=0) + (alpha * torch.expm1(x.clamp(max=0))).clamp(max=0)
            ),
        },
    )


@check("celu agrees with its formula for every alpha", points=0.5, category="values")
def test_celu(submission):
    function_agrees(submission, "celu", likely={"this is elu: alpha is missing in the exponent": F.elu})


@check("selu scales both sides", points=0.5, category="values", after=test_elu)
def test_selu(submission):
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    function_agrees(
        submission,
        "selu",
        likely={
            "only the positive side is scaled": lambda x: torch.where(x > 0, scale * x, F.elu(x, alpha)),
            "the scale is left out": lambda x: F.elu(x, alpha),
            "the constants are rounded: SELU_ALPHA and SELU_SCALE have all digits": lambda x: 1.0507 * F.elu(x, 1.6733),
        },
    )


@check("softplus agrees with its formula for every beta", points=0.5, category="values")
def test_softplus(submission):
    function_agrees(
        submission,
        "softplus",
        likely={
            "1 / beta is missing in front of the logarithm": lambda x, beta=1.0: exact_softplus(beta * x),
            "beta is left out": lambda x, beta=1.0: exact_softplus(x),
        },
    )


@check("logsigmoid agrees with PyTorch", points=0.5, category="values")
def test_logsigmoid(submission):
    function_agrees(
        submission,
        "logsigmoid",
        likely={"a sign is lost: log(sigmoid(x)) is never positive": lambda x: -F.logsigmoid(x)},
    )


@check("softshrink moves both sides towards 0", points=0.5, category="values")
def test_softshrink(submission):
    def moves_down(x, lambd=0.5):
        return torch.where(x.abs() > lambd, x - lambd, 0 * x)

    function_agrees(
        submission,
        "softshrink",
        likely={
            "the middle is cut out, but nothing moves: this is hardshrink": F.hardshrink,
            "the negative side moves away from 0": moves_down,
        },
    )


@check("tanhshrink agrees with PyTorch", points=0.5, category="values", after=test_tanh)
def test_tanhshrink(submission):
    function_agrees(
        submission,
        "tanhshrink",
        likely={"the difference is the other way round": lambda x: torch.tanh(x) - x},
    )


@check("gelu is exact unless the tanh form is asked for", points=1, category="values", after=test_tanh)
def test_gelu(submission):
    def erf_of_x(x, approximate="none"):
        return x / 2 * (1 + torch.erf(x)) if approximate == "none" else F.gelu(x, approximate=approximate)

    function_agrees(
        submission,
        "gelu",
        likely={
            "this is the tanh form; the default is the exact one": lambda x, approximate="none": F.gelu(
                x, approximate="tanh"
            ),
            'approximate="tanh" is left out': lambda x, approximate="none": F.gelu(x),
            "erf(x) stands where erf(x / sqrt(2)) should": erf_of_x,
        },
    )
    for wrong in ("sigmoid", "", None):
        given = f"approximate={wrong!r}"
        expect.raises(("ValueError",), submission.gelu, torch.ones(2), approximate=wrong, given=given)


@check("silu agrees with PyTorch", points=0.5, category="values", after=test_sigmoid)
def test_silu(submission):
    function_agrees(submission, "silu", likely={"this is sigmoid: the factor x is missing": torch.sigmoid})


@check("hardswish agrees with PyTorch", points=0.5, category="values")
def test_hardswish(submission):
    function_agrees(
        submission,
        "hardswish",
        likely={
            "this is hardsigmoid: the factor x is missing": F.hardsigmoid,
            "the divisor 6 is missing": lambda x: 6 * F.hardswish(x),
        },
    )


AXES = grid(
    shape=[(2, 3), (2, 3, 4, 3), (3, 1), (1, 5), (4,)],
    dim=[-1, 0, 1, 2, -3],
    where=lambda shape, dim: -len(shape) <= dim < len(shape),
)
EMPTY = grid(shape=[(0, 3), (2, 0, 5)], dim=[-1])  # along an axis of length 0 there is nothing to divide by
SLOPING = AXES.vary(shape=[(2, 3), (2, 3, 4, 3), (4,)])  # along an axis of length 1 the softmax is flat


def whole(x):
    return x.exp() / x.exp().sum()


@check("softmax sums to 1 along any one axis", points=1, category="values", devices="all")
def test_softmax(submission, device):
    expect.agrees(
        submission.softmax,
        F.softmax,
        AXES.vary(values=[ordinary, steps], dtype=[DOUBLE, SINGLE], layout=LAYOUTS, grad=RECORDING),
        likely={
            "the sum runs over the whole tensor": lambda x, dim: whole(x),
            "the sum runs along axis 0": lambda x, dim: x.softmax(0),
            "the sum runs along the last axis": lambda x, dim: x.softmax(-1),
        },
        unchanged=True,
        device=device,
    )
    expect.agrees(submission.softmax, F.softmax, EMPTY, trivial="an empty tensor holds no values")


@check("log_softmax is the logarithm of softmax along any one axis", points=1, category="values", devices="all")
def test_log_softmax(submission, device):
    expect.agrees(
        submission.log_softmax,
        F.log_softmax,
        AXES.vary(values=[ordinary, steps], dtype=[DOUBLE, SINGLE], layout=LAYOUTS, grad=RECORDING),
        likely={
            "the sum runs over the whole tensor": lambda x, dim: x - x.exp().sum().log(),
            "this is softmax: the logarithm is missing": F.softmax,
            "the sum runs along axis 0": lambda x, dim: x.log_softmax(0),
            "the sum runs along the last axis": lambda x, dim: x.log_softmax(-1),
        },
        unchanged=True,
        device=device,
    )
    expect.agrees(submission.log_softmax, F.log_softmax, EMPTY, trivial="an empty tensor holds no values")


SMOOTH_CHECKS = [test_sigmoid, test_tanh, test_softplus, test_logsigmoid, test_tanhshrink, test_gelu, test_silu]
CORNERED_CHECKS = [test_relu, test_leaky_relu, test_relu6, test_elu, test_celu, test_selu]
CORNERED_CHECKS += [test_softshrink, test_hardswish]
VALUE_CHECKS = [*SMOOTH_CHECKS, *CORNERED_CHECKS, test_prelu, test_softmax, test_log_softmax]


# --- slopes ----------------------------------------------------------------------------------------------


def sigmoid_with(rule):
    """Sigmoid with the wrong backward pass ``rule(incoming, x)``."""

    class Mistaken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.sigmoid(x)

        @staticmethod
        def backward(ctx, incoming):
            return rule(incoming, *ctx.saved_tensors)

    return Mistaken.apply


@check("SigmoidFunction computes sigmoid", points=0.5, category="values", after=test_sigmoid)
def test_sigmoid_function(submission):
    cases = grid(shape=SHAPES, values=[steps, ordinary], dtype=[DOUBLE, SINGLE], layout=LAYOUTS, where=several)
    halves = grid(shape=[(24,)], values=[kit.normal, half_steps], dtype=list(HALF))
    for these in (cases, halves):
        expect.agrees(
            submission.SigmoidFunction.apply, torch.sigmoid, these, unchanged=True, name="SigmoidFunction.apply"
        )


@check(
    "SigmoidFunction multiplies the incoming gradient by the slope",
    points=1,
    category="gradients",
    after=test_sigmoid_function,
)
def test_sigmoid_function_gradient(submission):
    expect.agrees(
        submission.SigmoidFunction.apply,
        torch.sigmoid,
        grid(shape=[(3, 4), (), (5, 1), (0,)], values=[ordinary, kit.zeros, steps, kit.thousands],
             dtype=[DOUBLE, SINGLE], layout=LAYOUTS, where=several),
        gradients=True,
        slack=ROUGH,
        unchanged=True,
        likely={
            "the incoming gradient is not used": sigmoid_with(lambda g, x: x.sigmoid() * (-x).sigmoid()),
            "the slope is taken at x, not at y = sigmoid(x)": sigmoid_with(lambda g, x: g * x * (1 - x)),
            "the factor 1 - y is missing": sigmoid_with(lambda g, x: g * x.sigmoid()),
        },
        name="SigmoidFunction.apply",
    )  # fmt: skip
    expect.agrees(
        submission.SigmoidFunction.apply,
        torch.sigmoid,
        grid(shape=[(24,)], values=[ordinary], dtype=list(HALF)),
        gradients=True,
        slack=ROUGH,
        name="SigmoidFunction.apply",
    )
    expect.agrees(
        submission.probes.at_three_places,
        lambda x: torch.sigmoid(x) * torch.sigmoid(-2 * x) + torch.sigmoid(3 * x) + x,
        grid(shape=[(3, 4)], values=[ordinary], dtype=[DOUBLE, SINGLE]),
        bound=(submission.SigmoidFunction,),
        gradients=True,
        slack=ROUGH,
        name="apply(x) * apply(-2 x) + apply(3 x) + x, with SigmoidFunction.apply",
    )


def slope_of(oracle):
    """The slope of a function at each x, by autograd."""

    def slope(x):
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            return torch.autograd.grad(oracle(leaf).sum(), leaf)[0]

    return slope


SLOPE_NAMES = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "softplus", "silu")


@check(
    "activation_grad knows the slope of each function",
    points=2,
    category="values",
    after=[test_sigmoid, test_tanh, test_elu],
)
def test_slopes(submission):
    mistakes = {
        "sigmoid": {"s (1 - s) is taken at x, not at s = sigmoid(x)": lambda x: x * (1 - x)},
        "tanh": {"1 - t^2 is taken at x, not at t = tanh(x)": lambda x: 1 - x**2},
        "relu": {"this is relu, not its slope": F.relu},
        "leaky_relu": {"the slope below 0 is 0: that is relu": lambda x: (x > 0).to(x.dtype)},
        "elu": {"below 0 this is elu itself": lambda x: torch.where(x > 0, torch.ones_like(x), torch.expm1(x))},
        "softplus": {"this is the slope of sigmoid": lambda x: x.sigmoid() * (-x).sigmoid()},
        "silu": {"the product rule has two terms, and one is missing": torch.sigmoid},
    }
    for name in SLOPE_NAMES:
        cases = grid(
            shape=SHAPES,
            values=[few, ordinary],
            dtype=[DOUBLE, SINGLE],
            layout=LAYOUTS,
            grad=["plain", "no_grad"],
            where=several,
        )
        expect.agrees(
            submission.activation_grad,
            slope_of(ORACLES[name]),
            cases,
            likely=mistakes[name],
            unchanged=True,
            slack=ROUGH,
            bound=(name,),
            name=f"activation_grad {name}",
        )


@check("the slopes of sigmoid and tanh peak at 0, with 1/4 and 1", points=0.5, category="values", after=test_slopes)
def test_peaks(submission):
    x = torch.tensor([-1.0, 0, 1])
    expect.close(submission.activation_grad("sigmoid", x), torch.tensor([0.196612, 0.25, 0.196612]), rtol=0, atol=1e-6)
    expect.close(submission.activation_grad("tanh", x), torch.tensor([0.419974, 1, 0.419974]), rtol=0, atol=1e-6)
    for name, below in (("leaky_relu", 0.01), ("relu", 0.0)):
        slopes = submission.activation_grad(name, torch.tensor([-1.5, -0.5, 2], dtype=DOUBLE))
        truth = torch.tensor([below, below, 1], dtype=DOUBLE)
        expect.close(slopes, truth, rtol=1e-14, atol=0, given=f"{name} at -1.5, -0.5 and 2 in float64")


@check("activation_grad holds far out and in half precision", points=0.5, category="robustness", after=test_slopes,
       hidden=True)  # fmt: skip
def test_far_slopes(submission):
    for name in SLOPE_NAMES:
        cases = grid(shape=[(9,)], values=[kit.thousands, far_below], dtype=[DOUBLE, SINGLE, *HALF])
        cases = [cases, grid(shape=[(24,)], values=[smooth_spots], dtype=list(HALF))]
        for these in cases:
            expect.agrees(submission.activation_grad, slope_of(ORACLES[name]), these, bound=(name,),
                          name=f"activation_grad {name}", trivial="far out a slope is 0 or 1")  # fmt: skip


@check(
    "activation_grad refuses a name that it does not know",
    points=0.5,
    category="robustness",
    after=test_slopes,
    hidden=True,
)
def test_unknown_name(submission):
    for name in ("sine", "gelu", "Sigmoid", "relu6", ""):
        expect.raises(("ValueError",), submission.activation_grad, name, torch.ones(2), given=f"name={name!r}")


# --- far out ---------------------------------------------------------------------------------------------


def everywhere(submission, oracles, trivial=None, steep=False, **axes):
    """Each of some functions on one more grid; ``steep``: also with options that lead far out where x does not."""
    for name, oracle in oracles.items():
        more = STEEP.get(name, {}) if steep else {}
        cases = grid(**{"shape": [(9,)], "dtype": [SINGLE, DOUBLE], **axes}, **more).thorough()
        expect.agrees(getattr(submission, name), oracle, cases, trivial=trivial)


@check("sigmoid, tanh and their kin stay finite far out", points=1, category="robustness", after=SMOOTH_CHECKS,
       hidden=True)  # fmt: skip
def test_far_smooth(submission):
    far, flat = [kit.thousands, far_below, hundreds, kit.huge], "far out a function is flat or a line"
    everywhere(submission, SMOOTH, flat, steep=True, values=far)
    everywhere(submission, SMOOTH, flat, values=[*far[:-1], teens], dtype=HALF)


def far_below(shape, dtype, generator):
    """0.3 and numbers below -1000"""
    spots = kit.negative_thousands(shape, dtype, generator)
    spots.reshape(-1)[0] = 0.3  # errors are measured by the largest result, which would be 0
    return spots


def teens(shape, dtype, generator):
    """±0.3, ±12, ±16, ±20: e^12 is infinite in float16"""
    spots = torch.tensor([-20.0, -16, -12, -0.3, 0.3, 12, 16, 20], dtype=DOUBLE)
    return spots[torch.arange(torch.Size(shape).numel()) % 8].reshape(tuple(shape))


def hundreds(shape, dtype, generator):
    """±0.3, ±89, ±100: e^89 is infinite in float32"""
    spots = torch.tensor([-100.0, -89, -0.3, 0.3, 89, 100], dtype=DOUBLE)
    return spots[torch.arange(torch.Size(shape).numel()) % 6].reshape(tuple(shape))


@check("the functions with corners hold far out", points=0.5, category="robustness", after=CORNERED_CHECKS,
       hidden=True)  # fmt: skip
def test_far_cornered(submission):
    far, flat = [kit.thousands, kit.negative_thousands, hundreds, kit.huge], "far out a function is flat or a line"
    everywhere(submission, CORNERED, flat, steep=True, values=far)
    everywhere(submission, CORNERED, flat, values=far[:-1], dtype=HALF)


@check(
    "softmax and log_softmax stay finite far out",
    points=1,
    category="robustness",
    after=[test_softmax, test_log_softmax],
    hidden=True,
)
def test_far_softmax(submission):
    near = grid(
        shape=[(2, 3), (4, 5)], dim=[1, 0], values=[level(1000), level(-1000), level(0)], dtype=[SINGLE, DOUBLE]
    )
    far = grid(shape=[(2, 3), (4, 5)], dim=[1, 0], values=[kit.thousands, kit.huge, kit.minus_infinite])
    half = far.vary(values=[kit.thousands, hundreds], dtype=HALF)
    for cases in (near, far, half):
        expect.agrees(submission.softmax, F.softmax, cases, trivial="far out one value takes all")
        expect.agrees(submission.log_softmax, F.log_softmax, cases, trivial="far out one value takes all")
    cliffs = far.vary(values=[cliff], dtype=[SINGLE, DOUBLE])
    for name, oracle in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
        expect.agrees(getattr(submission, name), oracle, cliffs, gradients=True, slack=ROUGH)


def level(height):
    def values(shape, dtype, generator):
        return height + torch.randint(-8, 9, tuple(shape), generator=generator).double() / 4

    values.__doc__ = f"quarters near {height}"
    return values


def cliff(shape, dtype, generator):
    """quarters near 0, and every third of them 1000 lower"""
    lower = torch.arange(torch.Size(shape).numel()).reshape(tuple(shape)) % 3 == 1
    return level(0)(shape, dtype, generator) - 1000 * lower


@check("infinite inputs give the limits", points=0.5, category="robustness", after=VALUE_CHECKS, hidden=True)
def test_infinity(submission):
    products = ("silu", "gelu", "hardswish")  # at minus infinity they are 0 times infinity: not graded
    everywhere(submission, ORACLES, values=[kit.infinite])
    others = {name: oracle for name, oracle in ORACLES.items() if name not in products}
    everywhere(submission, others, values=[kit.minus_infinite])


@check("NaN stays NaN", points=0.5, category="robustness", after=VALUE_CHECKS, hidden=True)
def test_nan(submission):
    everywhere(submission, ORACLES, values=[kit.not_a_number])
    expect.agrees(
        submission.prelu, exact_prelu, grid(slopes, size=[(3, 4)], weights=["one"], values=[kit.not_a_number])
    )
    rows = grid(shape=[(1, 3), (2, 5)], dim=[1], values=[kit.not_a_number])
    expect.agrees(submission.softmax, F.softmax, rows, trivial="NaN takes its whole row")
    expect.agrees(submission.log_softmax, F.log_softmax, rows, trivial="NaN takes its whole row")


@check("half precision goes in and comes out", points=0.5, category="robustness", after=VALUE_CHECKS, devices="all",
       hidden=True)  # fmt: skip
def test_half(submission, device):
    for name, oracle in ORACLES.items():
        cases = grid(shape=[(24,)], values=[kit.normal, half_steps], dtype=list(HALF), **OPTIONS.get(name, {}))
        expect.agrees(getattr(submission, name), oracle, cases, slack=3.0, device=device)
        sloping = grid(shape=[(24,)], values=[smooth_spots], dtype=list(HALF))
        expect.agrees(getattr(submission, name), oracle, sloping, gradients=True, slack=ROUGH, device=device)
    expect.agrees(submission.prelu, exact_prelu, SLOPES.vary(dtype=list(HALF)).plain(), slack=3.0, device=device)
    for name, oracle in (("softmax", F.softmax), ("log_softmax", F.log_softmax)):
        cases = AXES.vary(dtype=list(HALF)).plain()
        expect.agrees(getattr(submission, name), oracle, cases, slack=3.0, device=device)


def half_steps(shape, dtype, generator):
    """numbers from -6 to 6 in steps of 1/2"""
    return (torch.arange(torch.Size(shape).numel()) % 25 - 12).reshape(tuple(shape)).double() / 2


@check("integers are refused or computed as floating point", points=0.5, category="robustness", after=VALUE_CHECKS)
def test_integers(submission):
    x, weight = torch.tensor([-2, 1, 3]), torch.tensor([0.3])
    calls = {name: (getattr(submission, name), ORACLES[name], ()) for name in ORACLES if name not in ("relu", "relu6")}
    calls["prelu"] = (submission.prelu, exact_prelu, (weight,))
    calls["softmax"] = (submission.softmax, F.softmax, (0,))
    calls["log_softmax"] = (submission.log_softmax, F.log_softmax, (0,))
    for name, (function, oracle, more) in calls.items():
        got = submission.probes.answer_or_refusal(function, x, *more)
        if got is None:  # refused
            continue
        expect.shape(got, (3,), given=f"{name} of integers")
        expected = oracle(x.float(), *more)
        expect.close(
            got.float(),
            expected,
            rtol=1e-5,
            atol=1e-6,
            given=f"{name} of integers",
            likely={"the result is cut to integers": expected.long().float()},
        )


# --- gradients -------------------------------------------------------------------------------------------


@check("gradients flow through the smooth functions, at 0 too", points=1, category="gradients", after=SMOOTH_CHECKS)
def test_smooth_gradients(submission):
    for name, oracle in SMOOTH.items():
        cases = grid(shape=[(12,), (3, 4), ()], values=[ordinary, kit.zeros, steps], dtype=[DOUBLE, SINGLE],
                     layout=["contiguous", "transposed"], **OPTIONS.get(name, {}))  # fmt: skip
        expect.agrees(getattr(submission, name), oracle, cases, gradients=True, slack=ROUGH)


@check("gradients flow through the functions with corners", points=1, category="gradients", after=CORNERED_CHECKS)
def test_cornered_gradients(submission):
    for name, oracle in CORNERED.items():
        cases = grid(shape=[(12,), (3, 4), ()], values=[few], dtype=[DOUBLE, SINGLE],
                     layout=["contiguous", "transposed"], **OPTIONS.get(name, {}))  # fmt: skip
        expect.agrees(getattr(submission, name), oracle, cases, gradients=True, slack=ROUGH)


@check("gradients reach the input and the weight of prelu", points=0.5, category="gradients", after=test_prelu)
def test_prelu_gradients(submission):
    cases = SLOPES.vary(dtype=[DOUBLE, SINGLE], layout=["contiguous", "transposed"])
    expect.agrees(submission.prelu, exact_prelu, cases, gradients=True, slack=ROUGH)


@check(
    "gradients flow through softmax and log_softmax",
    points=1,
    category="gradients",
    after=[test_softmax, test_log_softmax],
)
def test_softmax_gradients(submission):
    cases = SLOPING.vary(dtype=[DOUBLE, SINGLE], layout=["contiguous", "transposed"])
    expect.agrees(submission.softmax, F.softmax, cases, gradients=True)
    expect.agrees(submission.log_softmax, F.log_softmax, cases, gradients=True)


@check(
    "gradients are finite and right far out",
    points=1,
    category="gradients",
    after=[test_smooth_gradients, test_cornered_gradients],
    hidden=True,
)
def test_far_gradients(submission):
    for name, oracle in ORACLES.items():
        cases = grid(shape=[(9,)], values=[hundreds, kit.thousands], dtype=[SINGLE, DOUBLE],
                     **STEEP.get(name, {})).thorough()  # fmt: skip
        flat = "far out a slope is 0 or 1"
        expect.agrees(getattr(submission, name), oracle, cases, gradients=True, slack=ROUGH, trivial=flat)


# --- rules -----------------------------------------------------------------------------------------------

LIBRARY = [*ORACLES, "prelu", "prelu_kernel", "softmax", "log_softmax", "softmin", "softsign"]
LIBRARY += ["log_sigmoid", "log_sigmoid_forward", "expit", "special_expit", "logit"]
LIBRARY += ["hardtanh", "hardsigmoid", "hardshrink", "mish", "rrelu", "glu", "threshold"]
INSTEAD = "exp, expm1, log1p, erf"


def by_hand(of, allowed=(), besides=()):
    """The rule that these functions do without the library's."""
    banned = [*(name for name in LIBRARY if name not in allowed), *besides]
    return Rule(of=of, functions=banned, operators=banned, instead=INSTEAD)


def expect_by_hand(submission, rule, *arguments):
    for name in rule.of:
        expect.avoids(getattr(submission, name), torch.randn(4, 3), *arguments, rule=rule, given=name)


WITH_TANH = by_hand(("sigmoid", "gelu", "silu"), allowed=("tanh",))  # silu by way of sigmoid
WITHOUT_TANH = by_hand(("tanh", "tanhshrink", "softplus", "logsigmoid"), allowed=())


@check("smooth functions are written without PyTorch's activations", points=1.5, category="rules",
       gates=[WITH_TANH, WITHOUT_TANH], hidden=True)  # fmt: skip
def test_smooth_rules(submission):
    expect_by_hand(submission, WITH_TANH)
    expect_by_hand(submission, WITHOUT_TANH)


STRAIGHT = by_hand(tuple(CORNERED))
SLOPED = by_hand(("prelu",))


@check(
    "functions with corners are written without PyTorch's",
    points=1,
    category="rules",
    gates=[STRAIGHT, SLOPED],
    hidden=True,
)
def test_cornered_rules(submission):
    expect_by_hand(submission, STRAIGHT)
    expect_by_hand(submission, SLOPED, torch.rand(3))


SUMMED = by_hand(("softmax", "log_softmax"))


@check("softmax and log_softmax are written without PyTorch's", points=1, category="rules", gates=SUMMED, hidden=True)
def test_softmax_rules(submission):
    expect_by_hand(submission, SUMMED, 1)


SLOPES_BY_HAND = by_hand(("activation_grad", "SigmoidFunction"), allowed=("tanh",), besides=("grad", "backward"))


@check(
    "slopes come from their formulas, without autograd", points=0.5, category="rules", gates=SLOPES_BY_HAND, hidden=True
)
def test_slope_rules(submission):
    for name in SLOPE_NAMES:
        expect.avoids(submission.activation_grad, name, torch.randn(4, 3), rule=SLOPES_BY_HAND,
                      given=f"activation_grad {name}")  # fmt: skip
    expect.avoids(submission.SigmoidFunction.apply, torch.randn(4, 3), rule=SLOPES_BY_HAND, given="SigmoidFunction")


# --- all together ----------------------------------------------------------------------------------------


@check("the number of PyTorch calls does not grow with the input", points=0.5, category="efficiency")
def test_efficiency(submission):
    small, large = torch.randn(2, 3), torch.randn(20, 30)
    calls = {name: (getattr(submission, name), ()) for name in ORACLES}
    calls |= {name: (getattr(submission, name), (1,)) for name in ("softmax", "log_softmax")}
    calls |= {"SigmoidFunction": (submission.SigmoidFunction.apply, ())}
    for name, (function, arguments) in calls.items():
        given = f"{name} on (20, 30), after (2, 3)"
        expect.vectorised(function, (small, *arguments), (large, *arguments), given=given)
    for name in SLOPE_NAMES:
        given = f"activation_grad {name} on (20, 30), after (2, 3)"
        expect.vectorised(submission.activation_grad, (name, small), (name, large), given=given)
    weights = torch.rand(3), torch.rand(30)
    expect.vectorised(submission.prelu, (small, weights[0]), (large, weights[1]), given="prelu on (20, 30)")
    small, large = torch.randn(2, 3, 3), torch.randn(20, 30, 30)
    expect.vectorised(submission.prelu, (small, weights[0]), (large, weights[1]), given="prelu on (20, 30, 30)")
    for name in ("softmax", "log_softmax"):
        given = f"{name} on (20, 30, 30) along axis 0, after (2, 3, 3)"
        expect.vectorised(getattr(submission, name), (small, 0), (large, 0), given=given)


@check("every tensor is made where the input is", points=0.5, category="devices", hidden=True)
def test_devices(submission):
    x, wanted = torch.randn(4, 3), "every tensor on the device of x"
    more = {"prelu": (torch.rand(3),), "softmax": (1,), "log_softmax": (1,)}
    for name in [*ORACLES, *more]:
        function, given = getattr(submission, name), f"{name} with x on another device"
        expect.portable(function, x, *more.get(name, ()), expected=wanted, given=given)
    for name in SLOPE_NAMES:
        given = f"activation_grad {name} with x on another device"
        expect.portable(submission.activation_grad, name, x, expected=wanted, given=given)
