"""Checks for task 17: leaves, nodes and gradients, and the chain rule by hand.

The functions that are differentiated stand in probes.py, where the submission can call them, and once more here, for
the oracles; a check that knows them by one name passes the one to the submission and the other to PyTorch.
"""

from collections import Counter

import torch
from torch import nn
from torch.autograd import functional

from torchgrade.authoring import (
    LAYOUTS,
    LEFT_OUT,
    RECORDING,
    Rule,
    check,
    expect,
    grid,
    kit,
    parameter_count,
)

SINGLE, DOUBLE = torch.float32, torch.float64
SHAPES = [(4,), (1,), (), (2, 3), (3, 1, 2), (0,)]
AS_GIVEN = {"dtype": [DOUBLE, SINGLE], "layout": LAYOUTS}
# torch.func goes forwards through tensors of their own memory only, so what is differentiated is not expanded.
OWN_MEMORY = {"dtype": [DOUBLE, SINGLE], "layout": [layout for layout in LAYOUTS if layout != "expanded"]}
KINDS = ("plain", "leaf", "computed")
WEIGHT = 2.0


def square(x):
    return x**2


def wave(x):
    return x**3 + (2 * x).sin()


def line(x):
    return 3 * x + 1


def seven(x):
    return torch.full_like(x, 7).detach()


def weighted(x):
    return WEIGHT * x**3


def weighted_line(x):
    return WEIGHT * x


def weight_everywhere(x):
    return WEIGHT * torch.ones_like(x)


def running(x):
    return x.reshape(-1).cumsum(0).sin()


def pairs(x):
    return torch.stack([x * x.flip(0), x**2])


def weight_alone(x):
    return torch.full((3,), WEIGHT, dtype=x.dtype, device=x.device)


def stored(x):
    return torch.full((2, 3), 7.0, dtype=x.dtype, device=x.device)


def mixed(x):
    return (x.reshape(-1).cumsum(0) ** 3).sum()


def bowl(x):
    return (x**2).sum()


def example(x):
    return 3 * x[0] ** 2 + x[1]


def corner(x):
    return x[0] ** 2 * x[1]


def tilt(x):
    return 3 * x.sum()


def weighted_tilt(x):
    return (WEIGHT * x).sum()


def constant(x):
    return torch.full((), 7.0, dtype=x.dtype, device=x.device)


def weight_number(x):
    return torch.full((), WEIGHT, dtype=x.dtype, device=x.device)


def stored_number(x):
    return torch.full((), 7.0, dtype=x.dtype, device=x.device)


def weighted_number(x):
    return (WEIGHT * x**3).sum()


TEXTS = {
    square: "x²",
    wave: "x³ + sin(2 x)",
    line: "3 x + 1",
    seven: "7, whatever x is",
    weighted: "weight · x³",
    weighted_line: "weight · x",
    weight_everywhere: "the weight, whatever x is",
    running: "sin of the running sums of x",
    pairs: "x · (x turned round), stacked on x²",
    weight_alone: "three times the weight, without x",
    stored: "a constant tensor of shape (2, 3)",
    mixed: "sum of the cubes of the running sums of x",
    bowl: "sum of x²",
    example: "3 x₀² + x₁",
    corner: "x₀² · x₁",
    tilt: "3 · sum of x",
    weighted_tilt: "sum of weight · x",
    constant: "7, whatever x is",
    weight_number: "the weight, without x",
    stored_number: "a constant tensor of shape ()",
    weighted_number: "sum of weight · x³",
}


def gappy(shape, dtype, generator):
    """numbers of both signs near 0, every second of them 0"""
    drawn = kit.normal(shape, dtype, generator).reshape(-1)
    drawn[1::2] = 0
    return drawn.reshape(tuple(shape))


def beside(submission, *functions):
    """The functions of the same names that the submission can call."""
    return [getattr(submission.probes, f.__name__) for f in functions]


def named(name, *functions):
    """What a report calls a function together with what it differentiates."""
    return f"{name} of {' and '.join(TEXTS[f] for f in functions)}: {name}"


def clean(submission, function, functions, tensors, truth, name):
    """The function answers ``truth`` for arguments of every kind, and leaves neither gradients nor flags behind."""
    for kind in KINDS:
        result, changed = submission.probes.call_on(function, beside(submission, *functions), tensors, kind)
        words = {"plain": "require no gradient", "leaf": "are leaves with a .grad", "computed": "were computed"}[kind]
        given = f"{name} of {' and '.join(TEXTS[f] for f in functions)}; arguments that {words}"
        slope = "a constant has no slope" if {stored, stored_number} & set(functions) else None
        expect.close(result, truth, given=given, trivial=slope)
        expect.no_grad_leak(result, given=given)
        expect.true(
            not changed,
            expected="arguments and weights as they were before the call",
            got="; ".join(changed),
            given=given,
        )


# leaf_report


@check("leaf_report tells leaves from results", points=0.5, category="values")
def test_leaves(submission):
    expect.equal(
        submission.probes.five_tensors(submission.leaf_report),
        [True, True, False, False, False],
        because="w and x were made, the others computed",
        given="w, x, w + x, w + 1 and (w + x) · (w + 1); w and x require gradients",
        likely={
            "it is asked whether a tensor requires a gradient": [True] * 5,
            "the answers are turned round": [False, False, True, True, True],
        },
    )


@check("leaf_report knows plain, detached and kept tensors", points=0.5, category="values", after=test_leaves,
       hidden=True)  # fmt: skip
def test_odd_leaves(submission):
    expect.equal(
        submission.probes.odd_tensors(submission.leaf_report),
        [True, True, True, True, False, True, True, False, True],
        because="only the kept result and the part of the leaf were computed with a graph",
        given="a parameter, a plain tensor, a plain sum, a detached result, a kept result, a leaf with .grad, "
        "a part of the plain tensor, a part of the leaf, a result under no_grad",
        likely={
            "a tensor counts as a leaf only when it requires a gradient": [True, *[False] * 4, True, *[False] * 3],
        },
    )
    expect.equal(submission.leaf_report(), [], trivial="no tensors, no answers", given="leaf_report()")


# graph_nodes


def named_nodes(submission, name, size=0, given=None):
    """The names, sorted."""
    return sorted(expect.record(submission.probes.nodes_of(submission.graph_nodes, name, size), [str], given=given))


ADD, MUL, END = "AddBackward0", "MulBackward0", "AccumulateGrad"


@check("graph_nodes names each node of a graph", points=1.5, category="values")
def test_nodes(submission):
    given = "(w + x) · (w + 1); w and x require gradients"
    expect.equal(
        named_nodes(submission, "product", given=given),
        [END, END, ADD, ADD, MUL],
        because="in any order",
        given=given,
        likely={
            "w is reached in two ways, and its node is listed twice": [END, END, END, ADD, ADD, MUL],
            "the nodes of the leaves, AccumulateGrad, are missing": [ADD, ADD, MUL],
            "two nodes of one name are two nodes": [END, ADD, MUL],
            "node.name() has a prefix for leaves": [ADD, ADD, MUL, *["torch::autograd::AccumulateGrad"] * 2],
            "the node of t itself is missing": [END, END, ADD, ADD],
        },
    )
    expect.equal(named_nodes(submission, "tripled"), [END, MUL], given="3 x, x (4,) requires a gradient")


@check("graph_nodes skips what needs no gradient, and lists shared nodes once", points=0.5, category="values",
       after=test_nodes)  # fmt: skip
def test_shared_nodes(submission):
    for name, wanted, given in (
        ("constant", [END, ADD, MUL], "w · c + c, only w requires a gradient"),
        ("shared", [END, "ExpBackward0", MUL, "SinBackward0"], "h · exp(h) with h = sin(w)"),
        ("unbound", [END, MUL, "UnbindBackward0"], "the product of the two entries of w.unbind()"),
        ("twins", [END, ADD, ADD, MUL], "(w + 1) · (w + 1), where w + 1 is computed twice"),
        ("own", [END, "OwnNodeBackward"], "w went through a torch.autograd.Function that is called OwnNode"),
        ("leaf", [], "a leaf that requires a gradient"),
        ("plain", [], "a tensor without a graph"),
        ("detached", [], "a detached result"),
    ):
        expect.equal(named_nodes(submission, name, given=given), wanted, given=given, trivial="a leaf has no nodes")


@check("graph_nodes walks deep and branching graphs", points=0.5, category="robustness", after=test_nodes, hidden=True)
def test_deep_nodes(submission):
    for name, size, given in (("doublings", 50, "50 times y = y + y"), ("chain", 5000, "5000 times y = y + 1")):
        found = Counter(named_nodes(submission, name, size, given=given))
        expect.equal(dict(found), {END: 1, ADD: size}, given=given)


# accumulated_gradient


def repeated(f):
    def oracle(x, times):
        return times * functional.vjp(f, x)[1] if times else torch.zeros_like(x)

    return oracle


def passes(draw, shape):
    return {"x": draw(*shape)}


PASSES = grid(passes, shape=SHAPES, times=[5, 1, 2, 0])


@check("accumulated_gradient adds one gradient for each pass", points=1, category="values", devices="all")
def test_accumulated(submission, device):
    for f in (bowl, mixed):
        expect.agrees(
            submission.accumulated_gradient,
            repeated(f),
            PASSES.vary(shape=SHAPES[:4], values=[kit.normal]),
            bound=beside(submission, f),
            name=named("accumulated_gradient", f),
            device=device,
            likely={
                "one gradient is returned, however many passes there are": lambda x, times, f=f: repeated(f)(
                    x, min(times, 1)
                ),
                "there is one pass too many": lambda x, times, f=f: functional.vjp(f, x)[1] * (times + 1),
            },
        )  # fmt: skip


@check("accumulated_gradient calls f once, and keeps its graph", points=0.5, category="values", after=test_accumulated)
def test_one_graph(submission):
    x = torch.randn(4)
    result, count = submission.probes.calls_of(submission.accumulated_gradient, submission.probes.bowl, x, 5)
    given = "five passes for the sum of x², x (4,)"
    expect.close(result, 10 * x, given=given)
    expect.equal(
        count,
        1,
        because="one graph serves all passes",
        given=given,
        likely={"f is called for each pass, which makes a new graph each time": 5},
    )


@check("accumulated_gradient takes any x, knows zeros and leaves no traces", points=0.5, category="robustness",
       after=test_accumulated, hidden=True)  # fmt: skip
def test_accumulated_inputs(submission):
    for f in (mixed, weighted_number, tilt, constant, weight_number):
        expect.agrees(
            submission.accumulated_gradient,
            repeated(f),
            PASSES.vary(**OWN_MEMORY, times=[3, 0]),
            bound=beside(submission, f),
            unchanged=True,
            name=named("accumulated_gradient", f),
            trivial="f does not depend on x",
        )
    x = torch.randn(2, 3)
    truth = 2 * 6 * x**2
    clean(submission, submission.accumulated_gradient, [weighted_number], [x, 2], truth, "accumulated_gradient")
    clean(submission, submission.accumulated_gradient, [stored_number], [x, 2], 0 * x, "accumulated_gradient")


# middle_gradient


def through_the_middle(inner, outer):
    def oracle(x):
        h = inner(x).detach()
        by_h = functional.vjp(outer, h)[1]
        return by_h, functional.vjp(inner, x, by_h)[1]

    return oracle


def chained(inner, outer, change):
    """Both gradients after ``change(by_h, by_x)``."""
    return lambda x: change(*through_the_middle(inner, outer)(x))


@check("middle_gradient returns the gradients by h and by x", points=1.5, category="gradients", devices="all")
def test_middle(submission, device):
    for inner, outer in ((line, bowl), (wave, mixed), (running, bowl)):
        expect.agrees(
            submission.middle_gradient,
            through_the_middle(inner, outer),
            grid(shape=SHAPES[:5]),
            bound=beside(submission, inner, outer),
            name=named("middle_gradient", inner, outer),
            device=device,
            likely={
                "the two are returned in the order x, h": chained(inner, outer, lambda h, x: (x, h)),
                "both are the gradient by x": chained(inner, outer, lambda h, x: (x, x)),
                "both are the gradient by h": chained(inner, outer, lambda h, x: (h, h)),
            },
        )
    x = torch.tensor([1.0, 2.0])
    result = submission.middle_gradient(submission.probes.line, submission.probes.bowl, x)
    expect.close(result, (torch.tensor([8.0, 14.0]), torch.tensor([24.0, 42.0])),
                 given="inner = 3 x + 1, outer = sum of h², x = (1, 2)")  # fmt: skip


@check("middle_gradient takes any x, knows zeros and leaves no traces", points=0.5, category="robustness",
       after=test_middle, hidden=True)  # fmt: skip
def test_middle_inputs(submission):
    for inner, outer in (
        (square, mixed),
        (weighted, weighted_number),
        (seven, bowl),
        (line, constant),
        (weight_alone, bowl),
        (stored, bowl),
        (line, weight_number),
    ):
        expect.agrees(
            submission.middle_gradient,
            through_the_middle(inner, outer),
            grid(shape=SHAPES, **OWN_MEMORY),
            bound=beside(submission, inner, outer),
            unchanged=True,
            name=named("middle_gradient", inner, outer),
            trivial="one of the functions is constant",
        )  # fmt: skip
    x = torch.randn(2, 3)
    truth = (6 * (2 * x**3) ** 2, 6 * (2 * x**3) ** 2 * 6 * x**2)
    clean(submission, submission.middle_gradient, [weighted, weighted_number], [x], truth, "middle_gradient")
    for inner, outer, by_middle in ((stored, bowl, 14.0), (line, stored_number, 0.0)):
        truth = torch.full((2, 3), by_middle), 0 * x
        clean(submission, submission.middle_gradient, [inner, outer], [x], truth, "middle_gradient")


# vector_jacobian


def product_of(f):
    return lambda x, v: functional.vjp(f, x, v)[1]


def with_cotangent(f):
    """The operands x and v, where v has the shape of f(x)."""

    def operands(draw, shape):
        return {"x": draw(*shape), "v": draw(*f(torch.zeros(shape)).shape)}

    return operands


@check("vector_jacobian weighs the gradients of y by v", points=1.5, category="gradients", devices="all")
def test_product(submission, device):
    for f in (line, wave, running, pairs):
        expect.agrees(
            submission.vector_jacobian,
            product_of(f),
            grid(with_cotangent(f), shape=[(4,), (1,), (2, 3), (3, 1, 2), (5,)]),
            bound=beside(submission, f),
            name=named("vector_jacobian", f),
            device=device,
            likely={
                "v is not used: every entry of y counts the same": lambda x, v, f=f: functional.vjp(f, x, v * 0 + 1)[1],
                "the gradients are averaged, not summed": lambda x, v, f=f: functional.vjp(f, x, v)[1] / v.numel(),
            },
        )  # fmt: skip
    v = torch.tensor([1.0, 2.0, 3.0, 4.0])
    given = "y = 3 x + 1, v = (1, 2, 3, 4)"
    expect.close(submission.vector_jacobian(submission.probes.line, torch.randn(4), v), 3 * v, given=given)


@check("vector_jacobian takes any x, knows zeros and leaves no traces", points=1, category="robustness",
       after=test_product, hidden=True)  # fmt: skip
def test_product_inputs(submission):
    for f in (wave, running, weighted, seven, weight_alone, stored):
        expect.agrees(
            submission.vector_jacobian,
            product_of(f),
            grid(with_cotangent(f), shape=SHAPES, **OWN_MEMORY),
            bound=beside(submission, f),
            unchanged=True,
            name=named("vector_jacobian", f),
            trivial="y does not depend on x",
        )
    x, v = torch.randn(2, 2, 3)
    clean(submission, submission.vector_jacobian, [weighted], [x, v], 6 * x**2 * v, "vector_jacobian")
    clean(submission, submission.vector_jacobian, [stored], [x, v], 0 * x, "vector_jacobian")


# first_and_second_derivative


def both_derivatives(f):
    def oracle(x):
        def slope(x):
            return functional.vjp(f, x, torch.ones_like(x), create_graph=True)[1]

        return slope(x).detach(), functional.vjp(slope, x, torch.ones_like(x))[1]

    return oracle


@check("first_and_second_derivative differentiates twice", points=1.5, category="gradients", devices="all")
def test_derivatives(submission, device):
    for f in (square, wave):
        expect.agrees(
            submission.first_and_second_derivative,
            both_derivatives(f),
            grid(shape=SHAPES[:5], values=[kit.normal, gappy]),
            bound=beside(submission, f),
            name=named("first_and_second_derivative", f),
            device=device,
            likely={
                "the second is the first once more": lambda x, f=f: (both_derivatives(f)(x)[0],) * 2,
                "the second is the square of the first": lambda x, f=f: (
                    both_derivatives(f)(x)[0], both_derivatives(f)(x)[0] ** 2,
                ),
                "the derivatives are summed over the entries of x": lambda x, f=f: tuple(
                    d.sum() for d in both_derivatives(f)(x)
                ),
                "f is averaged over the entries of x": lambda x, f=f: tuple(
                    d / x.numel() for d in both_derivatives(f)(x)
                ),
                "the value itself stands in the first place": lambda x, f=f: (f(x), both_derivatives(f)(x)[0]),
            },
        )  # fmt: skip
    x = torch.tensor(3.0)
    result = submission.first_and_second_derivative(submission.probes.square, x)
    expect.close(result, (torch.tensor(6.0), torch.tensor(2.0)), given="x² at x = 3")


@check("first_and_second_derivative knows straight lines and constants", points=0.5, category="values",
       after=test_derivatives)  # fmt: skip
def test_straight(submission):
    for f in (line, seven, weighted_line, weight_everywhere):
        expect.agrees(
            submission.first_and_second_derivative,
            both_derivatives(f),
            grid(shape=SHAPES[:4]),
            bound=beside(submission, f),
            name=named("first_and_second_derivative", f),
            trivial="the second derivative of a line is 0",
        )


@check("first_and_second_derivative takes any x and leaves no traces", points=0.5, category="robustness",
       after=test_derivatives, hidden=True)  # fmt: skip
def test_derivatives_inputs(submission):
    for f in (wave, weighted):
        expect.agrees(
            submission.first_and_second_derivative,
            both_derivatives(f),
            grid(shape=SHAPES, **OWN_MEMORY),
            bound=beside(submission, f),
            unchanged=True,
            name=named("first_and_second_derivative", f),
        )
    x = torch.randn(2, 3)
    function = submission.first_and_second_derivative
    clean(submission, function, [weighted], [x], (6 * x**2, 12 * x), "first_and_second_derivative")
    clean(submission, function, [stored], [x], (0 * x, 0 * x), "first_and_second_derivative")


# directional_derivative


def steepness(f):
    def oracle(x, u):
        length = u.square().sum().sqrt()
        if not length:
            raise ValueError
        return (functional.vjp(f, x)[1] * u).sum() / length

    return oracle


def short(shape, dtype, generator):
    """numbers of both signs near 0.00001"""
    return 1e-5 * kit.normal(shape, dtype, generator)


def balanced(shape, dtype, generator):
    """whole numbers whose sum is 0, unless it is a single one"""
    count = torch.Size(shape).numel()
    half = torch.arange(1.0, count // 2 + 1, dtype=DOUBLE)
    odd = torch.full((count % 2,), float(count == 1), dtype=DOUBLE)
    return torch.cat([half, -half, odd]).reshape(tuple(shape))


def with_direction(draw, shape, length):
    """x, and u of a length."""
    lengths = {"usual": kit.normal, "short": short, "long": kit.thousands, "with zeros": gappy, "sum 0": balanced}
    return {"x": draw(*shape), "u": draw(*shape, values=lengths[length])}


@check("directional_derivative projects the gradient on a unit vector", points=1.5, category="gradients",
       devices="all")  # fmt: skip
def test_direction(submission, device):
    for f in (bowl, mixed):
        expect.agrees(
            submission.directional_derivative,
            steepness(f),
            grid(
                with_direction,
                shape=[(4,), (1,), (), (2, 3), (3, 1, 2)],
                length=["usual", "short", "long", "with zeros", "sum 0"],
            ),
            bound=beside(submission, f),
            name=named("directional_derivative", f),
            device=device,
            likely={
                "u is not brought to length 1": lambda x, u, f=f: (functional.vjp(f, x)[1] * u).sum(),
                "u is divided by its sum, not by its length": lambda x, u, f=f: (
                    (functional.vjp(f, x)[1] * u).sum() / u.sum()
                ),
                "the gradient is brought to length 1, and u is not": lambda x, u, f=f: (
                    (functional.vjp(f, x)[1] * u).sum() / functional.vjp(f, x)[1].square().sum().sqrt()
                ),
                "u is divided by the square of its length": lambda x, u, f=f: (
                    (functional.vjp(f, x)[1] * u).sum() / u.square().sum()
                ),
                "the products are not summed": lambda x, u, f=f: functional.vjp(f, x)[1] * u / u.square().sum().sqrt(),
            },
        )
    x, u = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    result = submission.directional_derivative(submission.probes.example, x, u)
    expect.close(result, torch.tensor(4.4), given="3 x₀² + x₁ at (1, 2) along (3, 4)")


@check("directional_derivative refuses a u of zeros", points=0.5, category="robustness", after=test_direction)
def test_no_direction(submission):
    for f in (bowl, constant):
        for shape in ((3,), (2, 2), (), (0,)):
            x, u = torch.randn(shape), torch.zeros(shape)
            given = f"{TEXTS[f]}, u = zeros of shape {shape}"
            expect.raises(("ValueError",), submission.directional_derivative, *beside(submission, f), x, u, given=given)


@check("directional_derivative takes any x, knows zeros and leaves no traces", points=0.5,
       category="robustness", after=test_direction, hidden=True)  # fmt: skip
def test_direction_inputs(submission):
    for f in (mixed, weighted_number, tilt, constant, weight_number):
        expect.agrees(
            submission.directional_derivative,
            steepness(f),
            grid(with_direction, shape=SHAPES[:5], length=["usual"], **OWN_MEMORY),
            bound=beside(submission, f),
            unchanged=True,
            name=named("directional_derivative", f),
            trivial="f does not depend on x",
        )
    x, u = torch.randn(2, 2, 3)
    truth = (6 * x**2 * u).sum() / u.square().sum().sqrt()
    function = submission.directional_derivative
    clean(submission, function, [weighted_number], [x, u], truth, "directional_derivative")
    clean(submission, function, [stored_number], [x, u], torch.tensor(0.0), "directional_derivative")


# hessian


def all_second(f):
    return lambda x: functional.hessian(f, x)


def diagonal_alone(f):
    def mistaken(x):
        full = functional.hessian(f, x).reshape(x.numel(), x.numel())
        return torch.diag(full.diagonal()).reshape(x.shape + x.shape)

    return mistaken


def summed_rows(f):
    return lambda x: functional.hessian(f, x).reshape((*x.shape, -1)).sum(-1)


@check("hessian holds all second derivatives", points=2, category="gradients", devices="all")
def test_hessian(submission, device):
    for f in (mixed, bowl):
        expect.agrees(
            submission.hessian,
            all_second(f),
            grid(shape=[(4,), (1,), (3,)], values=[kit.normal, gappy]),
            bound=beside(submission, f),
            name=named("hessian", f),
            device=device,
            likely={
                "the gradient is summed before the second pass: these are sums of the rows": summed_rows(f),
                "this is the gradient": lambda x, f=f: functional.vjp(f, x)[1],
                            } | ({"the mixed derivatives are missing": diagonal_alone(f)} if f is mixed else {}),
        )  # fmt: skip
    result = submission.hessian(submission.probes.corner, torch.tensor([1.0, 2.0]))
    expect.close(result, torch.tensor([[4.0, 2.0], [2.0, 0.0]]), given="x₀² · x₁ at (1, 2)")


@check("hessian has the shape of x twice", points=0.5, category="shapes", after=test_hessian)
def test_hessian_shapes(submission):
    expect.agrees(
        submission.hessian,
        all_second(mixed),
        grid(shape=[(2, 3), (), (3, 1, 2), (1, 1), (5,)]),
        bound=beside(submission, mixed),
        name=named("hessian", mixed),
        likely={
            "x is flattened, and the result is not folded back": lambda x: functional.hessian(mixed, x).reshape(
                x.numel(), x.numel()
            )
        },
    )


@check("hessian takes any x, knows zeros and leaves no traces", points=0.5, category="robustness",
       after=test_hessian, hidden=True)  # fmt: skip
def test_hessian_inputs(submission):
    for f in (mixed, weighted_number, tilt, weighted_tilt, constant, weight_number):
        expect.agrees(
            submission.hessian,
            all_second(f),
            grid(shape=[(4,), (3,), (1,), (2, 2)], **OWN_MEMORY),
            bound=beside(submission, f),
            unchanged=True,
            name=named("hessian", f),
            trivial="f has no second derivatives",
        )
    x = torch.randn(3)
    clean(submission, submission.hessian, [weighted_number], [x], torch.diag(12 * x), "hessian")
    clean(submission, submission.hessian, [stored_number], [x], torch.zeros(3, 3), "hessian")


# LineFunction


def straight_line(w, x, b):
    return w * x + b


def line_with(rule):
    """w · x + b with the wrong backward pass ``rule(incoming, w, x, b)``, whose gradients are summed as needed."""

    class Mistaken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, w, x, b):
            ctx.save_for_backward(w, x, b)
            return w * x + b

        @staticmethod
        def backward(ctx, incoming):
            grads = rule(incoming, *ctx.saved_tensors)
            return tuple(g.sum_to_size(t.shape) for g, t in zip(grads, ctx.saved_tensors, strict=True))

    return Mistaken.apply


def terms(draw, sizes):
    return dict(zip("wxb", (draw(*size) for size in sizes), strict=True))


SAME = [((4,), (4,), (4,)), ((2, 3), (2, 3), (2, 3)), ((), (), ()), ((1,), (1,), (1,))]
BROADCAST = [
    ((3, 1), (4,), ()),
    ((), (5,), ()),
    ((4,), (3, 1), (2, 1, 1)),
    ((2, 3), (3,), (1, 3)),
    ((3,), (2, 3), (2, 1)),
]
EMPTY = [((0,), (0,), (0,)), ((1,), (0,), ()), ((2, 1), (2, 0), (1, 1))]


@check("LineFunction computes w · x + b", points=0.5, category="values", devices="all")
def test_line(submission, device):
    expect.agrees(
        submission.LineFunction.apply,
        straight_line,
        grid(terms, sizes=SAME + BROADCAST + EMPTY, **AS_GIVEN),
        name="LineFunction.apply",
        device=device,
        unchanged=True,
        likely={"b is not added": lambda w, x, b: w * x + 0 * b, "b is subtracted": lambda w, x, b: w * x - b},
    )


@check("LineFunction passes gradients to w, x and b", points=1.5, category="gradients", after=test_line)
def test_line_gradients(submission):
    expect.agrees(
        submission.LineFunction.apply,
        straight_line,
        grid(terms, sizes=SAME),
        name="LineFunction.apply",
        gradients=True,
        likely={
            "the gradients of w and x are exchanged, or returned in the order x, w, b": line_with(
                lambda g, w, x, b: (g * w, g * x, g)
            ),
            "the incoming gradient is not used": line_with(lambda g, w, x, b: (g * 0 + x, g * 0 + w, g * 0 + 1)),
            "the incoming gradient is not used for b": line_with(lambda g, w, x, b: (g * x, g * w, g * 0 + 1)),
            "the gradient of b is multiplied by b": line_with(lambda g, w, x, b: (g * x, g * w, g * b)),
        },
    )


@check("LineFunction sums the gradients of what was broadcast", points=1, category="gradients",
       after=test_line_gradients)  # fmt: skip
def test_line_broadcast(submission):
    expect.agrees(
        submission.LineFunction.apply,
        straight_line,
        grid(terms, sizes=BROADCAST, **AS_GIVEN),
        name="LineFunction.apply",
        gradients=True,
        unchanged=True,
    )
    several = [[torch.randn(size) for size in sizes] for sizes in (BROADCAST[0], BROADCAST[3], SAME[1])]
    cotangents = [torch.randn(torch.broadcast_shapes(*(t.shape for t in tensors))) for tensors in several]
    expect.close(
        submission.probes.interleaved(submission.LineFunction.apply, several, cotangents),
        [
            [(cotangent * slope).sum_to_size(t.shape) for slope, t in zip((x, w, 1), (w, x, b), strict=True)]
            for (w, x, b), cotangent in zip(several, cotangents, strict=True)
        ],
        given="three times y = w · x + b, of other shapes each, and only then the three backward passes",
    )


@check("the gradients of LineFunction can be differentiated again", points=1, category="gradients",
       after=test_line_gradients, hidden=True)  # fmt: skip
def test_line_twice(submission):
    expect.agrees(
        submission.LineFunction.apply,
        straight_line,
        grid(terms, sizes=SAME[:2] + BROADCAST, dtype=[DOUBLE, SINGLE]),
        name="LineFunction.apply",
        second_order=True,
    )
    w, x, b = torch.randn(3, 1), torch.randn(2), torch.randn(())
    expect.close(
        submission.probes.hessian_of_square(submission.LineFunction.apply, w, x, b),
        functional.hessian(lambda w, x, b: (straight_line(w, x, b) ** 2).sum(), (w, x, b)),
        given="all second derivatives of the sum of y², w (3, 1), x (2,), b ()",
    )


@check("LineFunction returns None where no gradient is needed", points=0.5, category="gradients",
       after=test_line_gradients)  # fmt: skip
def test_line_needs(submission):
    w, x, b, cotangent = torch.randn(4, 3)
    one, two = (
        ((True, False, False), (False, True, False), (False, False, True)),
        ((True, True, False), (False, True, True)),
    )
    for wanted in (*one, *two, (True, False, True)):
        names = " and ".join(name for name, flag in zip("wxb", wanted, strict=True) if flag)
        expect.equal(
            submission.probes.is_none(submission.LineFunction.apply, w, x, b, wanted, cotangent),
            [not flag for flag in wanted],
            because="whether the gradients by w, x and b are None",
            given=f"only {names} requires a gradient" if wanted.count(True) == 1 else f"{names} require gradients",
            likely={"a gradient is returned for each input, needed or not": [False] * 3},
        )


@check("LineFunction keeps tensors by save_for_backward", points=0.5, category="robustness", after=test_line_gradients)
def test_line_saves(submission):
    w, x, b = torch.randn(3, 4)
    kept = submission.probes.kept_in_attributes(submission.LineFunction.apply, w, x, b)
    expect.true(
        not kept,
        expected="tensors in ctx.save_for_backward alone",
        got=f"tensors in {' and '.join(f'ctx.{name}' for name in kept)}",
        given="LineFunction.apply(w, x, b)",
        likely={"tensors are kept as attributes of ctx, and are never freed": True},
    )
    expect.equal(
        submission.probes.second_pass(submission.LineFunction.apply, w, x, b),
        "RuntimeError",
        because="a second backward pass without retain_graph is refused",
        given="LineFunction.apply(w, x, b), two backward passes",
    )


@check("LineFunction leaves grad_output alone", points=0.5, category="robustness", after=test_line_gradients,
       hidden=True)  # fmt: skip
def test_line_grad_output(submission):
    w, x, b, cotangent = torch.randn(4, 4, 3).mT
    first, second, after = submission.probes.two_passes(submission.LineFunction.apply, cotangent, w, x, b)
    passed_on = "the gradient of b is grad_output itself"
    expect.close(after, cotangent, given="grad_output after two backward passes", trivial=passed_on)
    truth = [cotangent * x, cotangent * w, cotangent]
    expect.close(list(first), truth, given="the first backward pass", trivial=passed_on)
    given = "the second backward pass, with retain_graph in the first"
    expect.close(list(second), truth, given=given, trivial=passed_on)


# StraightThroughSign


@check("StraightThroughSign computes the sign", points=0.5, category="values", devices="all")
def test_sign(submission, device):
    expect.agrees(
        submission.StraightThroughSign.apply,
        torch.sign,
        grid(shape=SHAPES, **AS_GIVEN, values=[kit.normal, kit.thousands, kit.tiny, kit.infinite]),
        name="StraightThroughSign.apply",
        device=device,
        unchanged=True,
    )
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0])
    expect.close(
        submission.StraightThroughSign.apply(x),
        torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]),
        given="x = (-2, -0.5, 0, 0.5, 2)",
        likely={
            "the sign of 0 is 0, not 1": torch.tensor([-1.0, -1.0, 1.0, 1.0, 1.0]),
            "the sign of 0 is 0, not -1": torch.tensor([-1.0, -1.0, -1.0, 1.0, 1.0]),
        },
    )


def passed_on(x):
    """The sign of x, with the gradient of x."""
    return x - x.detach() + x.detach().sign()


def sign_with(slope):
    """The sign of x, with another slope."""
    return lambda x: (x - x.detach()) * slope(x.detach()) + x.detach().sign()


class SignWithSlopeOne(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, grad_output):
        return torch.ones_like(grad_output)


@check("StraightThroughSign passes the gradient on as it came", points=1, category="gradients", after=test_sign)
def test_sign_gradient(submission):
    expect.agrees(
        submission.StraightThroughSign.apply,
        passed_on,
        grid(shape=SHAPES, **AS_GIVEN, values=[kit.normal, kit.thousands, kit.tiny, kit.huge]),
        name="StraightThroughSign.apply",
        gradients=True,
        unchanged=True,
        likely={
            "the slope of sign itself is used, which is 0": sign_with(lambda x: x * 0),
            "the gradient is cut off where |x| > 1": sign_with(lambda x: (x.abs() <= 1).to(x.dtype)),
            "the gradient is multiplied by the sign": sign_with(torch.sign),
            "the gradient is multiplied by x": sign_with(lambda x: x),
            "the incoming gradient is not used": SignWithSlopeOne.apply,
        },
    )
    x = torch.tensor([0.0, 3.0, -0.0], requires_grad=True)
    cotangent = torch.tensor([5.0, -2.0, 1.0])
    (grad,) = torch.autograd.grad(submission.StraightThroughSign.apply(x), x, cotangent)
    expect.close(grad, cotangent, given="the gradient of x = (0, 3, -0) for a grad_output of (5, -2, 1)")


@check("the gradient of StraightThroughSign can be differentiated again", points=0.5, category="gradients",
       after=test_sign_gradient, hidden=True)  # fmt: skip
def test_sign_twice(submission):
    x = torch.randn(3)
    expect.close(
        submission.probes.hessian_of_square(submission.StraightThroughSign.apply, x),
        ((2 * torch.eye(3),),),
        given="all second derivatives of the sum of y², which passes on two gradients: 2 on the diagonal",
    )
    x, cotangent = torch.randn(3, 2, requires_grad=True), torch.randn(2, 3).T
    (grad,) = torch.autograd.grad(submission.StraightThroughSign.apply(x), x, cotangent)
    expect.close(grad, cotangent, given="a transposed grad_output (3, 2)")
    cotangent = torch.randn(3)
    first, second, after = submission.probes.two_passes(submission.StraightThroughSign.apply, cotangent, torch.randn(3))
    for found, given in ((after, "grad_output after two passes"), (first[0], "pass 1"), (second[0], "pass 2")):
        expect.close(found, cotangent, given=given, trivial="grad_output is passed on")


# backprop_two_layer


def layers(draw, rows, inputs, hidden, outputs):
    sizes = {
        "x": (rows, inputs),
        "y": (rows, outputs),
        "w1": (inputs, hidden),
        "b1": (hidden,),
        "w2": (hidden, outputs),
    }
    return {name: draw(*size) for name, size in (sizes | {"b2": (outputs,)}).items()}


NETWORKS = grid(layers, rows=[5, 1, 3], inputs=[3, 1, 4], hidden=[4, 1, 6], outputs=[2, 1, 3])


def forwards(x, y, w1, b1, w2, b2):
    return (((x @ w1 + b1).relu() @ w2 + b2 - y) ** 2).mean()


def by_autograd(x, y, w1, b1, w2, b2, network=forwards):
    with torch.enable_grad():
        weights = [t.detach().clone().requires_grad_() for t in (w1, b1, w2, b2)]
        loss = network(x.detach(), y.detach(), *weights)
        return (loss.detach(), *torch.autograd.grad(loss, weights))


def instead(change):
    """The five results after ``change(found, x, y, w1, b1, w2, b2)`` replaced some of them, by number."""

    def mistaken(*args):
        found = dict(enumerate(by_autograd(*args)))
        return tuple({**found, **change(found, *args)}.values())

    return mistaken


def through_no_relu(found, x, y, w1, b1, w2, b2):
    """The gradients of the first layer without the mask of relu."""
    da = 2 * ((x @ w1 + b1).relu() @ w2 + b2 - y) @ w2.T / y.numel()
    return {1: x.T @ da, 2: da.sum(0)}


@check("backprop_two_layer computes the loss and four gradients", points=2.5, category="gradients", devices="all")
def test_backprop(submission, device):
    expect.agrees(
        submission.backprop_two_layer,
        by_autograd,
        NETWORKS,
        device=device,
        likely={
            "the factor 2 of the derivative of a square is missing": instead(
                lambda found, *_: {n: found[n] / 2 for n in (1, 2, 3, 4)}
            ),
            "the loss is averaged over the rows only: divide by N · O": lambda *args: tuple(
                value * args[1].shape[1] for value in by_autograd(*args)
            ),
            "the gradients are averaged over the rows only: divide by N · O": instead(
                lambda found, x, y, *_: {n: found[n] * y.shape[1] for n in (1, 2, 3, 4)}
            ),
            "the squares are summed, not averaged": lambda *args: tuple(
                value * args[1].numel() for value in by_autograd(*args)
            ),
            "the slope of relu is left out on the way back": instead(through_no_relu),
            "there is no relu": lambda *args: by_autograd(
                *args, network=lambda x, y, w1, b1, w2, b2: ((x @ w1 + b1) @ w2 + b2 - y).square().mean()
            ),
            "db1 and db2 are means over the rows, not sums": instead(
                lambda found, x, *_: {2: found[2] / len(x), 4: found[4] / len(x)}
            ),
            "the sign is turned: the error is p - y": instead(lambda found, *_: {n: -found[n] for n in (1, 2, 3, 4)}),
            "the weight gradients come before the bias gradients: the order is dw1, db1, dw2, db2": lambda *args: [
                by_autograd(*args)[n] for n in (0, 1, 3, 2, 4)
            ],
        },
    )
    numbers = ([[2.0]], [[1.0]], [[3.0]], [-1.0], [[0.5]], [0.0])
    result = submission.backprop_two_layer(*(torch.tensor(number, device=device) for number in numbers))
    truth = tuple(torch.tensor(number, device=device) for number in (2.25, [[3.0]], [1.5], [[15.0]], [3.0]))
    expect.close(result, truth, given="x = 2, y = 1, w1 = 3, b1 = -1, w2 = 0.5, b2 = 0")


@check("backprop_two_layer takes any layout and dtype, and changes nothing", points=0.5, category="robustness",
       after=test_backprop, hidden=True)  # fmt: skip
def test_backprop_inputs(submission):
    cases = NETWORKS.vary(**AS_GIVEN, grad=RECORDING)
    expect.agrees(submission.backprop_two_layer, by_autograd, cases, unchanged=True)
    x, y, w1, b1, w2, b2 = (torch.randn(size, dtype=DOUBLE) for size in ((5, 3), (5, 2), (3, 4), (4,), (4, 2), (2,)))
    y = (x @ w1 + b1).relu() @ w2 + b2 + 1e-5 * y
    close = x, y, w1, b1, w2, b2
    found, truth = submission.backprop_two_layer(*close), by_autograd(*close)
    expect.close(found, truth, rtol=1e-6, atol=1e-15, given="float64, a p that is 0.00001 away from y")
    tensors = [torch.randn(size, requires_grad=True) for size in ((5, 3), (5, 2), (3, 4), (4,), (4, 2), (2,))]
    given = "arguments that require gradients"
    expect.no_grad_leak(submission.backprop_two_layer(*tensors), given=given)


BY_HAND = Rule(
    of="backprop_two_layer",
    functions=("backward", "grad", "vjp", "jvp", "jacrev", "jacfwd", "value_and_grad", "grad_and_value"),
    instead="the formulas",
)


@check("backprop_two_layer needs no autograd", points=0.5, category="rules", gates=BY_HAND, hidden=True)
def test_by_hand(submission):
    tensors = [torch.randn(size) for size in ((5, 3), (5, 2), (3, 4), (4,), (4, 2), (2,))]
    expect.avoids(submission.backprop_two_layer, *tensors, rule=BY_HAND)


@check("results are made on the device of x", points=0.5, category="devices",
       after=[test_backprop, test_hessian, test_product], hidden=True)  # fmt: skip
def test_portable(submission):
    tensors = [torch.randn(size) for size in ((5, 3), (5, 2), (3, 4), (4,), (4, 2), (2,))]
    expect.portable(submission.backprop_two_layer, *tensors, given="backprop_two_layer")
    expect.portable(submission.hessian, submission.probes.mixed, torch.randn(3), given="hessian")
    expect.portable(submission.vector_jacobian, submission.probes.wave, *torch.randn(2, 3), given="vector_jacobian")


# ContainerNet


class Net(nn.Module):
    """What ContainerNet computes, for any state_dict of its keys."""

    def __init__(self, in_features=4, hidden=8, out_features=2, depth=2):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(hidden if n else in_features, hidden) for n in range(depth)))
        self.scales = nn.ParameterList([torch.ones(hidden) for _ in range(depth)])
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, out_features) for name in ("mean", "spread")})

    def hidden(self, x):
        for layer, scale in zip(self.layers, self.scales, strict=True):
            x = self.one(layer, scale, x)
        return x

    def one(self, layer, scale, x):
        return torch.relu(scale * layer(x))

    def forward(self, x, head="mean"):
        return self.heads[head](self.hidden(x))


class ScaledLate(Net):
    def one(self, layer, scale, x):
        return scale * torch.relu(layer(x))


class Unscaled(Net):
    def one(self, layer, scale, x):
        return torch.relu(layer(x))


class Linear(Net):
    def one(self, layer, scale, x):
        return scale * layer(x)


class OneScale(Net):
    def hidden(self, x):
        for layer in self.layers:
            x = self.one(layer, self.scales[0], x)
        return x


class OneHead(Net):
    def forward(self, x, head="mean"):
        return self.heads["mean"](self.hidden(x))


def rows(draw, batch, *, in_features):
    return {"x": draw(batch, 4 if in_features is LEFT_OUT else in_features)}


NETS = grid(
    rows,
    calls=("head",),
    batch=[5, 1, 0],
    in_features=[LEFT_OUT, 3, 1],
    hidden=[LEFT_OUT, 5, 1],
    out_features=[LEFT_OUT, 3, 1],
    depth=[LEFT_OUT, 1, 3],
    head=[LEFT_OUT, "mean", "spread"],
    state=["loaded"],
)


@check("ContainerNet registers the parameters of all of its parts", points=1, category="parameters")
def test_container_parameters(submission):
    expect.equal(
        parameter_count(submission.ContainerNet()),
        164,
        because="40 + 72 for the layers, 2 · 8 for the scales, 2 · 18 for the heads",
        given="ContainerNet()",
        likely={
            "layers in a Python list are not registered: they need nn.ModuleList": 52,
            "scales in a Python list are not registered: they need nn.ParameterList": 148,
            "heads in a Python dict are not registered: they need nn.ModuleDict": 128,
            "everything is in Python lists and dicts, which registers nothing": 0,
            "there is one head instead of two": 146,
            "there is one scale for all layers": 156,
        },
    )
    net = submission.ContainerNet(3, 5, 1, depth=3)
    keys = [f"layers.{n}.{kind}" for n in range(3) for kind in ("weight", "bias")] + [f"scales.{n}" for n in range(3)]
    keys += [f"heads.{name}.{kind}" for name in ("mean", "spread") for kind in ("weight", "bias")]
    given = "ContainerNet(3, 5, 1, depth=3)"
    expect.state_dict_keys(net, keys, given=given)
    shapes = [(5, 3), (5, 5), (5, 5), *[(5,)] * 6, (1, 5), (1,), (1, 5), (1,)]
    expect.parameters(net, shapes=shapes, given=given)


@check("ContainerNet starts its scales at ones", points=0.5, category="parameters", after=test_container_parameters,
       hidden=True)  # fmt: skip
def test_container_start(submission):
    for build in ((), (3, 5, 1, 3)):
        first, second = (submission.ContainerNet(*build).state_dict() for _ in range(2))
        given = f"ContainerNet{build}"
        scales = [value for name, value in first.items() if name.startswith("scales.")]
        expect.close(scales, [torch.ones_like(scale) for scale in scales], given=given, trivial="ones are asked for")
        same = [name for name in first if name.startswith("layers.") and torch.equal(first[name], second[name])]
        expect.equal(same, [], because="two networks start differently", given=given, trivial="none is the same")
    state = submission.ContainerNet(3, 5, 1, 3).state_dict()
    for one, other in (("layers.1.weight", "layers.2.weight"), ("heads.mean.weight", "heads.spread.weight")):
        expect.true(
            not torch.equal(state[one], state[other]),
            "layers that start differently",
            f"{one} and {other} hold the same numbers",
            given="ContainerNet(3, 5, 1, 3)",
            likely={"one layer is copied: each needs an nn.Linear of its own": torch.equal(state[one], state[other])},
        )


@check("ContainerNet computes its layers, scales and heads", points=1.5, category="values", devices="all",
       after=test_container_parameters)  # fmt: skip
def test_container_values(submission, device):
    expect.agrees(
        submission.ContainerNet,
        Net,
        NETS.vary(objects=[1, 2], steps=[1, 3]),
        device=device,
        likely={
            "the scale is applied after relu, not before": ScaledLate,
            "the scales are not used": Unscaled,
            "there is no relu between the layers": Linear,
            "the first scale is used for every layer": OneScale,
            "the head is always the same": OneHead,
        },
    )


@check("ContainerNet passes gradients to x and to every part in use", points=0.5, category="gradients",
       after=test_container_values, hidden=True)  # fmt: skip
def test_container_gradients(submission):
    cases = NETS.vary(dtype=[DOUBLE, SINGLE], layout=LAYOUTS, batch=[5, 1])
    expect.agrees(submission.ContainerNet, Net, cases, gradients=True, unchanged=True)


@check("ContainerNet refuses a head that it does not have", points=0.5, category="robustness",
       after=test_container_values)  # fmt: skip
def test_container_head(submission):
    net = submission.ContainerNet()
    for head in ("median", "", "Mean"):
        expect.raises(("KeyError", "ValueError"), net, torch.randn(3, 4), head=head, given=f"head={head!r}")
    x = torch.randn(3, 4)
    expect.close(net(x, "spread"), net(x, head="spread"), given='net(x, "spread") beside net(x, head="spread")')
