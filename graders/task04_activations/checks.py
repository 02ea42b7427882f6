"""Checks for task 04: activation functions and their slopes, by hand.

The oracles are PyTorch's functions, except where those are rounded themselves: softplus (linear above 20) and
the gradient of celu. Values are compared in float64 on a grid that holds 0 and the corners, and in float32.
"""

import torch
from torch.nn import functional as F

from torchgrade.authoring import Rule, check, expect


def exact_softplus(x, beta=1.0):
    return torch.logaddexp(beta * x, torch.zeros_like(x)) / beta


def exact_celu(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0) / alpha))


# Functions of one tensor, with their oracles.
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

ACTIVATIONS = [*ORACLES, "prelu", "prelu_kernel", "softmax", "log_softmax", "softmin", "softsign"]
ACTIVATIONS += ["log_sigmoid", "log_sigmoid_forward", "expit", "special_expit", "logit"]
ACTIVATIONS += ["hardtanh", "hardsigmoid", "hardshrink", "mish", "rrelu", "glu", "threshold"]


def expect_agreement(function, oracle, shift=0.0, likely=None):
    """Compare on a grid from -12 to 12 in steps of 1/4, moved by ``shift``, in float64; then in float32."""
    grid = torch.linspace(-12, 12, 97, dtype=torch.float64)[torch.randperm(97)] + shift
    for x, rtol, atol in ((grid, 1e-12, 1e-12), (torch.randn(3, 5, 7) * 4, 1e-5, 1e-6)):
        wrong = {sentence: mistake(x) for sentence, mistake in (likely or {}).items()}
        expect.close(function(x), oracle(x), rtol=rtol, atol=atol, likely=wrong)


def gradient_of(output, x, incoming, given=None):
    """What arrives at x when ``incoming`` arrives at ``output``; a Mismatch where nothing or NaN does."""
    expect.shape(output, x.shape, given=given)
    expect.gradient_flow(output, x, given=given)
    return torch.autograd.grad((output * incoming).sum(), x)[0]


# --- values ----------------------------------------------------------------------------------------------


@check("sigmoid agrees with PyTorch", points=0.5, category="values")
def test_sigmoid(submission):
    expect_agreement(
        submission.sigmoid,
        torch.sigmoid,
        likely={"the sign of the exponent is wrong: this falls": lambda x: torch.sigmoid(-x)},
    )


@check("tanh agrees with PyTorch and runs from -1 to 1", points=0.5, category="values")
def test_tanh(submission):
    expect_agreement(
        submission.tanh,
        torch.tanh,
        likely={
            "this runs from 0 to 1, as sigmoid does": lambda x: torch.sigmoid(2 * x),
            "this is half as steep: e^x stands where e^2x should": lambda x: torch.tanh(x / 2),
        },
    )


@check("relu agrees with PyTorch", points=0.5, category="values")
def test_relu(submission):
    expect_agreement(submission.relu, F.relu, likely={"this is the magnitude: what is negative becomes 0": torch.abs})


@check("leaky_relu agrees with PyTorch, its slope below 0", points=0.5, category="values")
def test_leaky_relu(submission):
    for slope in (0.01, 0.2):
        expect_agreement(
            lambda x, slope=slope: submission.leaky_relu(x, slope),
            lambda x, slope=slope: F.leaky_relu(x, slope),
            likely={
                "the slope is on the positive side": lambda x, slope=slope: torch.where(x > 0, slope * x, x),
                "the slope is applied twice": lambda x, slope=slope: F.leaky_relu(x, slope**2),
            },
        )
    expect_agreement(submission.leaky_relu, F.leaky_relu)


@check("prelu has one slope for all or one for each channel", points=1, category="values")
def test_prelu(submission):
    expect_agreement(
        lambda x: submission.prelu(x, torch.full((1,), 0.25, dtype=x.dtype)), lambda x: F.leaky_relu(x, 0.25)
    )
    weight = torch.tensor([0.1, 0.2, 0.3, 0.4])
    x = torch.randn(2, 4, 3, 4)  # as many columns as channels: a weight along the wrong axis fits, too
    expect.close(
        submission.prelu(x, weight),
        F.prelu(x, weight),
        given="x (2, 4, 3, 4), weight (4,)",
        likely={"the weight lies along the columns, not along axis 1": torch.where(x > 0, x, weight * x)},
    )
    for shape in ((5, 4), (3, 2, 2)):
        x, given = torch.randn(shape), f"x {shape}, weight ({shape[1]},)"
        expect.close(submission.prelu(x, weight[: shape[1]]), F.prelu(x, weight[: shape[1]]), given=given)


@check("relu6 agrees with PyTorch", points=0.5, category="values")
def test_relu6(submission):
    expect_agreement(submission.relu6, F.relu6, likely={"nothing stops it at 6": F.relu})


@check("elu agrees with PyTorch for every alpha", points=0.5, category="values")
def test_elu(submission):
    expect_agreement(
        lambda x: submission.elu(x, 0.6),
        lambda x: F.elu(x, 0.6),
        likely={
            "alpha is left out": F.elu,
            "alpha scales the positive side, too": lambda x: 0.6 * F.elu(x),
            "this is celu: alpha divides x in the exponent": lambda x: exact_celu(x, 0.6),
        },
    )
    expect_agreement(submission.elu, F.elu)


@check("celu agrees with its formula for every alpha", points=0.5, category="values")
def test_celu(submission):
    expect_agreement(
        lambda x: submission.celu(x, 0.6),
        lambda x: exact_celu(x, 0.6),
        likely={"this is elu: alpha is missing in the exponent": lambda x: F.elu(x, 0.6)},
    )
    expect_agreement(submission.celu, exact_celu)


@check("selu scales both sides", points=0.5, category="values")
def test_selu(submission):
    expect_agreement(
        submission.selu,
        F.selu,
        likely={
            "only the positive side is scaled": lambda x: torch.where(x > 0, F.selu(x), F.elu(x, 1.6732632423543772)),
            "the scale is left out": lambda x: F.elu(x, 1.6732632423543772),
        },
    )


@check("softplus agrees with its formula for every beta", points=0.5, category="values")
def test_softplus(submission):
    expect_agreement(
        lambda x: submission.softplus(x / 2.5, 2.5),
        lambda x: exact_softplus(x / 2.5, 2.5),
        likely={
            "1 / beta is missing in front of the logarithm": exact_softplus,
            "beta is left out": lambda x: exact_softplus(x / 2.5),
        },
    )
    expect_agreement(submission.softplus, exact_softplus)


@check("logsigmoid agrees with PyTorch", points=0.5, category="values")
def test_logsigmoid(submission):
    expect_agreement(
        submission.logsigmoid,
        F.logsigmoid,
        likely={"a sign is lost: log(sigmoid(x)) is never positive": lambda x: -F.logsigmoid(x)},
    )


@check("softshrink moves both sides towards 0", points=0.5, category="values")
def test_softshrink(submission):
    expect_agreement(
        lambda x: submission.softshrink(x, 1.3),
        lambda x: F.softshrink(x, 1.3),
        likely={
            "the middle is cut out, but nothing moves: this is hardshrink": lambda x: F.hardshrink(x, 1.3),
            "the negative side moves away from 0": lambda x: torch.where(x.abs() > 1.3, x - 1.3, 0 * x),
        },
    )
    expect_agreement(submission.softshrink, F.softshrink)


@check("tanhshrink agrees with PyTorch", points=0.5, category="values")
def test_tanhshrink(submission):
    expect_agreement(
        submission.tanhshrink,
        F.tanhshrink,
        likely={"the difference is the other way round": lambda x: torch.tanh(x) - x},
    )


@check("gelu is exact unless the tanh form is asked for", points=1, category="values")
def test_gelu(submission):
    expect_agreement(
        submission.gelu,
        F.gelu,
        likely={
            "this is the tanh form; the default is the exact one": lambda x: F.gelu(x, approximate="tanh"),
            "erf(x) stands where erf(x / sqrt(2)) should": lambda x: x / 2 * (1 + torch.erf(x)),
        },
    )
    expect_agreement(
        lambda x: submission.gelu(x, approximate="tanh"),
        lambda x: F.gelu(x, approximate="tanh"),
        likely={'approximate="tanh" is left out': F.gelu},
    )
    expect.raises(("ValueError",), submission.gelu, torch.ones(2), approximate="sigmoid")


@check("silu agrees with PyTorch", points=0.5, category="values")
def test_silu(submission):
    expect_agreement(submission.silu, F.silu, likely={"this is sigmoid: the factor x is missing": torch.sigmoid})


@check("hardswish agrees with PyTorch", points=0.5, category="values")
def test_hardswish(submission):
    expect_agreement(
        submission.hardswish,
        F.hardswish,
        likely={
            "this is hardsigmoid: the factor x is missing": F.hardsigmoid,
            "the divisor 6 is missing": lambda x: 6 * F.hardswish(x),
        },
    )


@check("softmax sums to 1 along any one axis", points=1, category="values", devices="all")
def test_softmax(submission, device):
    x = torch.tensor([[3.0, 1, -3], [0, 2, 2]], device=device)
    expect.close(
        submission.softmax(x, dim=1)[0],
        torch.tensor([0.878879, 0.118943, 0.002179], device=device),
        rtol=0,
        atol=1e-6,
        given="the row 3, 1, -3 of two, dim=1",
        likely={
            "the sum runs over the whole tensor": (x.exp() / x.exp().sum())[0],
            "the sum runs along axis 0": x.softmax(0)[0],
        },
    )
    x = torch.randn(2, 3, 4, 3, device=device, dtype=torch.float64)
    for dim in (0, 1, 2, 3, -1, -3):
        expect.close(submission.softmax(x, dim), x.softmax(dim), given=f"x (2, 3, 4, 3), dim={dim}")


@check("log_softmax is the logarithm of softmax along any one axis", points=1, category="values", devices="all")
def test_log_softmax(submission, device):
    x = torch.randn(2, 3, 4, 3, device=device, dtype=torch.float64)
    for dim in (1, 0, 2, 3, -1, -3):
        expect.close(
            submission.log_softmax(x, dim),
            x.log_softmax(dim),
            given=f"x (2, 3, 4, 3), dim={dim}",
            likely={
                "the sum runs over the whole tensor": x - x.exp().sum().log(),
                "this is softmax: the logarithm is missing": x.softmax(dim),
            },
        )


SMOOTH_CHECKS = [test_sigmoid, test_tanh, test_softplus, test_logsigmoid, test_tanhshrink, test_gelu, test_silu]
CORNERED_CHECKS = [test_relu, test_leaky_relu, test_relu6, test_elu, test_celu, test_selu]
CORNERED_CHECKS += [test_softshrink, test_hardswish]
VALUE_CHECKS = [*SMOOTH_CHECKS, *CORNERED_CHECKS, test_prelu, test_softmax, test_log_softmax]


# --- slopes ----------------------------------------------------------------------------------------------


@check("SigmoidFunction computes sigmoid", points=0.5, category="values")
def test_sigmoid_function(submission):
    expect_agreement(submission.SigmoidFunction.apply, torch.sigmoid)


@check(
    "SigmoidFunction multiplies the incoming gradient by the slope",
    points=1,
    category="gradients",
    after=test_sigmoid_function,
)
def test_sigmoid_function_gradient(submission):
    x = (torch.randn(3, 4, dtype=torch.float64) * 2).requires_grad_()
    incoming = torch.randn(3, 4, dtype=torch.float64)
    y = torch.sigmoid(x).detach()
    expect.close(
        gradient_of(submission.SigmoidFunction.apply(x), x, incoming),
        incoming * y * (1 - y),
        likely={
            "the incoming gradient is not used": y * (1 - y),
            "the slope is taken at x, not at y = sigmoid(x)": incoming * (x * (1 - x)).detach(),
            "the factor 1 - y is missing": incoming * y,
        },
    )


@check("activation_grad knows the slope of each function", points=2, category="values")
def test_slopes(submission):
    def expect_slope(name, likely=None):
        def by_autograd(x):
            leaf = x.clone().requires_grad_()
            return torch.autograd.grad(ORACLES[name](leaf).sum(), leaf)[0]

        shift = 1 / 16  # the grid meets no corner
        expect_agreement(lambda x: submission.activation_grad(name, x), by_autograd, shift, likely)

    expect_slope("sigmoid", likely={"s (1 - s) is taken at x, not at s = sigmoid(x)": lambda x: x * (1 - x)})
    expect_slope("tanh", likely={"1 - t^2 is taken at x, not at t = tanh(x)": lambda x: 1 - x**2})
    expect_slope("relu", likely={"this is relu, not its slope": F.relu})
    expect_slope("leaky_relu", likely={"the slope below 0 is 0: that is relu": lambda x: (x > 0).to(x.dtype)})
    expect_slope(
        "elu",
        likely={"below 0 this is elu itself": lambda x: torch.where(x > 0, 1, torch.expm1(x))},
    )
    expect_slope("softplus", likely={"this is the slope of sigmoid": lambda x: x.sigmoid() * (1 - x.sigmoid())})
    expect_slope("silu", likely={"the product rule has two terms, and one is missing": torch.sigmoid})


@check("the slopes of sigmoid and tanh peak at 0, with 1/4 and 1", points=0.5, category="values", after=test_slopes)
def test_peaks(submission):
    x = torch.tensor([-1.0, 0, 1])
    expect.close(submission.activation_grad("sigmoid", x), torch.tensor([0.196612, 0.25, 0.196612]), rtol=0, atol=1e-6)
    expect.close(submission.activation_grad("tanh", x), torch.tensor([0.419974, 1, 0.419974]), rtol=0, atol=1e-6)


@check("activation_grad refuses a name that it does not know", points=0.5, category="robustness", after=test_slopes)
def test_unknown_name(submission):
    expect.raises(("ValueError",), submission.activation_grad, "sine", torch.ones(2))


# --- far out ---------------------------------------------------------------------------------------------

FAR = (-1000.0, -100, -89, -0.3, 0.3, 89, 100, 1000)
FAR_TEXT = "±0.3, ±89, ±100, ±1000"
# A small alpha and a large beta take the exponent far out even where x is near 0.
STEEP_CELU = ("celu", lambda x: exact_celu(x, 0.002), (0.002,), "celu with alpha=0.002")
STEEP_SOFTPLUS = ("softplus", lambda x: exact_softplus(x, 500.0), (500.0,), "softplus with beta=500")


def far_cases(oracles, *steep):
    """Name, oracle, further arguments and description of what is called far out."""
    return [*((name, oracle, (), name) for name, oracle in oracles.items()), *steep]


@check("sigmoid, tanh and their kin stay finite up to ±1000", points=1, category="robustness", after=SMOOTH_CHECKS)
def test_far_smooth(submission):
    x = torch.tensor(FAR)
    for name, oracle, arguments, words in far_cases(SMOOTH, STEEP_SOFTPLUS):
        got = getattr(submission, name)(x, *arguments)
        expect.close(got, oracle(x), rtol=1e-5, atol=1e-6, given=f"{words} at {FAR_TEXT}")


@check(
    "softmax and log_softmax stay finite up to ±1000",
    points=1,
    category="robustness",
    after=[test_softmax, test_log_softmax],
)
def test_far_softmax(submission):
    x = torch.tensor([[1000.0, 1000.5, -1000], [-1000, -1000.5, -1002]])
    expect.close(submission.softmax(x, 1), x.softmax(1), rtol=1e-4, atol=1e-6, given="softmax of rows near ±1000")
    log = submission.log_softmax(x, 1)  # float32 numbers near 1000 lie 6e-5 apart
    expect.close(log, x.log_softmax(1), rtol=1e-4, atol=2e-4, given="log_softmax of rows near ±1000")


@check("infinite inputs give the limits", points=0.5, category="robustness", after=VALUE_CHECKS)
def test_infinity(submission):
    x = torch.tensor([-torch.inf, -1, torch.inf])
    for name, oracle in ORACLES.items():
        expected = oracle(x)
        known = ~expected.isnan()  # infinity times 0 is not graded
        got = getattr(submission, name)(x)
        expect.shape(got, (3,), given=name)
        expect.close(got[known], expected[known], rtol=1e-5, atol=1e-6, given=f"{name} at {x[known].tolist()}")


@check("NaN stays NaN", points=0.5, category="robustness", after=VALUE_CHECKS)
def test_nan(submission):
    x = torch.tensor([torch.nan, -1, 2])
    for name, oracle in ORACLES.items():
        got = getattr(submission, name)(x)
        expect.close(got, oracle(x), rtol=1e-5, atol=1e-6, equal_nan=True, given=f"{name} at NaN, -1, 2")
    rows = torch.stack([x, x.nan_to_num(nan=0.5)])
    expect.close(
        submission.softmax(rows, 1), rows.softmax(1), equal_nan=True, given="softmax, one of two rows with NaN"
    )


@check("half precision goes in and comes out", points=0.5, category="robustness", after=VALUE_CHECKS, devices="all")
def test_half(submission, device):
    for dtype in (torch.float16, torch.bfloat16):
        x = torch.tensor([-6.0, -2.5, -1, -0.25, 0.25, 1, 2.5, 6], dtype=dtype, device=device)
        for name, oracle in ORACLES.items():
            got, expected = getattr(submission, name)(x), oracle(x.double()).to(dtype)
            expect.close(got, expected, rtol=0.02, atol=0.02, given=f"{name} on {dtype}")
        weight = torch.full((1,), 0.25, dtype=dtype, device=device)
        expect.close(submission.prelu(x, weight), F.prelu(x, weight), given=f"prelu on {dtype}")
        expect.close(submission.softmax(x, 0), x.double().softmax(0).to(dtype), rtol=0.02, atol=0.02, given="softmax")


@check("integers are refused or computed as floating point", points=0.5, category="robustness", after=VALUE_CHECKS)
def test_integers(submission):
    x = torch.tensor([-2, 1, 3])
    for name in ("sigmoid", "tanh", "softplus", "logsigmoid", "elu", "gelu", "silu"):
        got = submission.probes.answer_or_refusal(getattr(submission, name), x)
        if got is None:  # refused
            continue
        expect.shape(got, (3,), given=f"{name} of integers")
        expected = ORACLES[name](x.float())
        expect.close(
            got.float(),
            expected,
            rtol=1e-5,
            atol=1e-6,
            given=f"{name} of integers",
            likely={"the result is cut to integers": expected.long().float()},
        )


@check("empty tensors and tensors without axes keep their shape", points=0.5, category="shapes", after=VALUE_CHECKS)
def test_shapes(submission):
    for name in ORACLES:
        for shape in ((), (0,), (2, 0, 3), (2, 1, 3, 2, 2)):
            expect.shape(getattr(submission, name)(torch.ones(shape)), shape, given=f"{name}, x {shape}")
    for weight in (torch.tensor(0.25), torch.tensor([0.25])):
        for shape in ((), (0,), (2, 0, 3)):
            given = f"prelu, x {shape}, weight {tuple(weight.shape)}"
            expect.shape(submission.prelu(torch.ones(shape), weight), shape, given=given)
    expect.shape(submission.softmax(torch.ones(0, 3), 1), (0, 3), given="softmax along axis 1, x (0, 3)")


@check("no function changes its input", points=0.5, category="robustness")
def test_inputs_unchanged(submission):
    x = torch.randn(3, 5) * 4
    for name in ORACLES:
        expect.not_mutated(submission, getattr(submission, name), x, given=name)
    expect.not_mutated(submission, submission.prelu, x, torch.full((5,), 0.25), given="prelu")
    expect.not_mutated(submission, submission.softmax, x, 1, given="softmax")
    expect.not_mutated(submission, submission.log_softmax, x, 1, given="log_softmax")


# --- gradients -------------------------------------------------------------------------------------------


def away_from_corners():
    """Values near which every function is smooth: the corners are 0, ±0.5, ±3, 6."""
    x = torch.tensor([-7, -4, -2, -1.3, -0.8, -0.2, 0.2, 0.8, 1.3, 2, 4, 7], dtype=torch.float64)
    return (x + torch.rand(12, dtype=torch.float64) / 10).requires_grad_()


@check("gradients flow through the smooth functions", points=1, category="gradients", after=SMOOTH_CHECKS)
def test_smooth_gradients(submission):
    for name in SMOOTH:
        expect.gradients(getattr(submission, name), (away_from_corners(),), given=name)


@check("gradients flow through the functions with corners", points=1, category="gradients", after=CORNERED_CHECKS)
def test_cornered_gradients(submission):
    for name in CORNERED:
        expect.gradients(getattr(submission, name), (away_from_corners(),), given=name)


@check("gradients reach the input and the weight of prelu", points=0.5, category="gradients", after=test_prelu)
def test_prelu_gradients(submission):
    weight = torch.rand(4, dtype=torch.float64, requires_grad=True)
    expect.gradients(submission.prelu, (away_from_corners().detach().reshape(3, 4).requires_grad_(), weight))


@check(
    "gradients flow through softmax and log_softmax",
    points=1,
    category="gradients",
    after=[test_softmax, test_log_softmax],
)
def test_softmax_gradients(submission):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    for dim in (0, -1):
        expect.gradients(submission.softmax, (x, dim), given=f"softmax, dim={dim}")
        expect.gradients(submission.log_softmax, (x, dim), given=f"log_softmax, dim={dim}")


@check(
    "gradients are finite and right up to ±1000",
    points=1,
    category="gradients",
    after=[test_smooth_gradients, test_cornered_gradients],
)
def test_far_gradients(submission):
    incoming = torch.rand(len(FAR)) + 0.5
    for name, oracle, arguments, words in far_cases(ORACLES, STEEP_CELU, STEEP_SOFTPLUS):
        x = torch.tensor(FAR, requires_grad=True)
        expected = gradient_of(oracle(x), x, incoming)
        got = gradient_of(getattr(submission, name)(x, *arguments), x, incoming, given=f"{words} at {FAR_TEXT}")
        expect.close(got, expected, rtol=1e-5, atol=1e-6, given=f"the slope of {words} at {FAR_TEXT}")


# --- rules -----------------------------------------------------------------------------------------------


def by_hand(*names, allowed=()):
    banned = [name for name in ACTIVATIONS if name not in allowed]
    return Rule(of=names, functions=banned, instead="exp, expm1, log1p, erf")


def expect_by_hand(submission, rule, *arguments):
    x = torch.randn(4, 3)
    for name in rule.of:
        expect.avoids(getattr(submission, name), x, *arguments, rule=rule, given=name)


SMOOTH_RULES = (
    by_hand("sigmoid", "gelu", "silu", allowed=("tanh",)),  # silu by way of sigmoid
    by_hand("tanh", "tanhshrink", "softplus", "logsigmoid"),
)
CORNERED_RULES = by_hand(*CORNERED), by_hand("prelu")
SOFTMAX_RULE = by_hand("softmax", "log_softmax")


@check(
    "smooth functions are written without PyTorch's activations",
    points=1.5,
    category="rules",
    gates=SMOOTH_RULES,
)
def test_smooth_rules(submission):
    for rule in SMOOTH_RULES:
        expect_by_hand(submission, rule)


@check(
    "functions with corners are written without PyTorch's",
    points=1.5,
    category="rules",
    gates=CORNERED_RULES,
)
def test_cornered_rules(submission):
    cornered, prelu = CORNERED_RULES
    expect_by_hand(submission, cornered)
    expect_by_hand(submission, prelu, torch.rand(3))


@check(
    "softmax and log_softmax are written without PyTorch's",
    points=1,
    category="rules",
    gates=SOFTMAX_RULE,
)
def test_softmax_rules(submission):
    expect_by_hand(submission, SOFTMAX_RULE, 1)


# --- all together ----------------------------------------------------------------------------------------


@check("the number of PyTorch calls does not grow with the input", points=0.5, category="efficiency")
def test_efficiency(submission):
    small, large = torch.randn(2, 3), torch.randn(20, 30)
    calls = {name: (getattr(submission, name), ()) for name in ORACLES}
    calls |= {name: (getattr(submission, name), (1,)) for name in ("softmax", "log_softmax")}
    for name, (function, arguments) in calls.items():
        given = f"{name} on (20, 30), after (2, 3)"
        expect.vectorised(function, (small, *arguments), (large, *arguments), given=given)


@check("every tensor is made where the input is", points=0.5, category="devices")
def test_devices(submission):
    x = torch.randn(4, 3)
    more = {"prelu": (torch.rand(3),), "softmax": (1,), "log_softmax": (1,)}
    for name in [*ORACLES, *more]:
        function, given = getattr(submission, name), f"{name} with x on another device"
        expect.portable(function, x, *more.get(name, ()), expected="every tensor on the device of x", given=given)
