"""Checks for task 14: arithmetic, broadcasting, comparison, statistics.

Where an answer jumps (a half that is rounded, a bound of a histogram, the most frequent value), numbers are chosen that
every dtype holds exactly, and compared one by one; elsewhere contracts ask a grid of cases.
"""

import collections
import math

import torch
from torch.nn import functional as F

from torchgrade.authoring import FLOATS, INTEGERS, LAYOUTS, LEFT_OUT, RECORDING, check, expect, grid, kit

REFUSED = ("Exception",)  # any error will do
PLAIN = (torch.float32, torch.float64)
NAN, INF = math.nan, math.inf


# --- shapes ------------------------------------------------------------------------------------------------

FITTING = [
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (3,)),
    ((2, 1), (1, 4)),
    ((), (2, 5)),
    ((4,), ()),
    ((), ()),
    ((5, 1, 3), (4, 1)),
    ((2, 3, 4), (2, 3, 4)),
    ((1,), (1, 1, 6)),
    ((7, 1, 5, 1), (2, 1, 3)),
]
CLASHING = [
    ((2, 3), (2,)),
    ((4,), (3,)),
    ((2, 3), (3, 2)),
    ((2, 2, 3), (3, 3)),
    ((0, 3), (2, 3)),
    ((2, 3), (0, 3)),
    ((3,), (0,)),
]


def two_shapes(_draw, pair, kind):
    make = {"tuple": tuple, "list": list, "torch.Size": torch.Size}[kind]
    return {"a": make(pair[0]), "b": make(pair[1])}


def met(a, b):
    return tuple(torch.broadcast_shapes(tuple(a), tuple(b)))


def multiplied(a, b):
    return tuple((torch.zeros(tuple(a)) @ torch.zeros(tuple(b))).shape)


@check("broadcast_shape lays shapes against each other from the right", points=1, category="values")
def test_broadcast(submission):
    for a, b in FITTING:
        found = submission.broadcast_shape(a, b)
        expect.equal(found, tuple(torch.broadcast_shapes(a, b)), given=f"broadcast_shape({a}, {b})")


@check("broadcast_shape takes lengths of 0, lists and torch.Size", points=0.5, category="values", after=test_broadcast,
       hidden=True)  # fmt: skip
def test_broadcast_kinds(submission):
    empty = [((0, 3), (3,)), ((1, 3), (0, 1)), ((0,), (1,)), ((2, 0), (2, 1)), ((3,), (2, 1)), ((2, 1), (3,))]
    cases = grid(two_shapes, pair=empty, kind=["tuple", "list", "torch.Size"])
    expect.agrees(submission.broadcast_shape, met, cases, unchanged=True)


@check("broadcast_shape refuses lengths that do not fit", points=0.5, category="robustness", after=test_broadcast,
       hidden=True)  # fmt: skip
def test_broadcast_refusals(submission):
    for a, b in CLASHING:
        expect.raises(REFUSED, submission.broadcast_shape, a, b, given=f"broadcast_shape({a}, {b})")


PRODUCTS = [
    ((2, 3), (3, 4)),
    ((2, 1, 3, 4), (5, 4, 6)),
    ((5, 3, 4), (4, 2)),
    ((3, 4), (2, 5, 4, 1)),
    ((1, 2, 3), (6, 3, 3)),
    ((6, 2, 3), (6, 3, 2)),
    ((4, 1, 1, 2), (3, 2, 7)),
    ((2, 2, 3), (3, 0)),
    ((0, 2, 3), (1, 3, 4)),
    ((1, 3, 2), (0, 2, 2)),
    ((2, 0), (0, 3)),
]


@check("matmul_shape multiplies the last two axes and broadcasts the others", points=1, category="values")
def test_matmul(submission):
    cases = grid(two_shapes, pair=PRODUCTS, kind=["tuple", "list", "torch.Size"])
    expect.agrees(submission.matmul_shape, multiplied, cases, unchanged=True)


@check("matmul_shape refuses what cannot be multiplied", points=0.5, category="robustness", after=test_matmul,
       hidden=True)  # fmt: skip
def test_matmul_refusals(submission):
    for a, b in [((2, 3), (2, 3)), ((2, 1), (3, 4)), ((2, 3), (1, 4)), ((2, 3, 4), (3, 4, 5)), ((4, 2, 2), (3, 2, 2))]:
        expect.raises(REFUSED, submission.matmul_shape, a, b, given=f"matmul_shape({a}, {b})")


# --- sums --------------------------------------------------------------------------------------------------


@check("add_inplace changes a itself and returns it", points=1.5, category="values", devices="all")
def test_add(submission, device):
    cases = {
        "float32 (2, 3) and (2, 3)": (torch.randn(2, 3), torch.randn(2, 3)),
        "float32 (2, 3) and (3,)": (torch.randn(2, 3), torch.randn(3)),
        "float64 (3,) and float32 (1,)": (torch.randn(3, dtype=torch.float64), torch.randn(1)),
        "float32 (2,) and float64 (2,)": (torch.randn(2), torch.randn(2, dtype=torch.float64)),
        "int32 (3,) and int64 (3,)": (torch.arange(3, dtype=torch.int32), torch.tensor([5, -2, 7])),
        "int64 (4,) and (4,)": (torch.arange(4), torch.tensor([5, -2, 0, 7])),
        "float32 () and int64 ()": (torch.tensor(2.5), torch.tensor(4)),
        "a transposed float32 tensor and (2,)": (torch.randn(2, 3).T, torch.randn(2)),
        "float32 (1, 3) and a transposed (1, 3)": (torch.randn(1, 3), torch.randn(3, 1).T),
        "float32 (3, 2) and a transposed (3, 2)": (torch.randn(3, 2), torch.randn(2, 3).T),
        "a = 1 · w, computed from a leaf w (2, 3), and (3,)": (torch.randn(2, 3), torch.randn(3), True),
    }
    for given, (a, b, *is_result) in cases.items():
        found = submission.probes.added(submission.add_inplace, a.to(device), b.to(device), *is_result)
        total = (a + b).to(a.dtype).to(device)
        expect.close(
            found["a"],
            total,
            likely={"a is as it was: the sum is a new tensor": a.to(device)},
            given=f"{given}; a after the call",
        )
        expect.true(
            found["is a"],
            "a itself as the result",
            f"{found['kind']}",
            likely={"the result is a copy of a": found["kind"] == "another tensor"},
            given=given,
        )
        expect.close(found["b"], b.to(device), trivial="b stays what it was", given=f"{given}; b after the call")
        expect.true(found["kept"], "a on the memory that it had", "a on new memory", given=given)


@check("add_inplace refuses what cannot be done in place", points=1, category="robustness", after=test_add)
def test_add_refusals(submission):
    cases = {
        "a (3,), b (2, 3)": (torch.arange(3.0), torch.ones(2, 3), False),
        "a (1,), b (4,)": (torch.ones(1), torch.ones(4), False),
        "a (), b (1,)": (torch.tensor(2.0), torch.ones(1), False),
        "a int64, b float32 with fractions": (torch.arange(3), torch.tensor([0.5, 1.5, 2.0]), False),
        "a int64 (2,), b float32 ()": (torch.arange(2), torch.tensor(3.0), False),
        "a int32 (), b float64 ()": (torch.tensor(4, dtype=torch.int32), torch.tensor(0.5).double(), False),
        "a is a leaf that requires grad": (torch.arange(3.0), torch.ones(3), True),
    }
    for given, (a, b, is_leaf) in cases.items():
        found = submission.probes.refused(submission.add_inplace, a, b, is_leaf)
        expect.true(found["refused"], "an error", "no error", given=given)
        expect.close(found["a"], a, trivial="a stays what it was", given=f"{given}; a after the call")


def summands(draw, shapes):
    return {"a": draw(*shapes[0]), "b": draw(*shapes[1])}


def scaled(a, b, alpha=1):
    return a + alpha * b


SUMS = grid(
    summands,
    shapes=[
        ((2, 3), (2, 3)),
        ((2, 3), (3,)),
        ((3,), (2, 3)),
        ((2, 1), (3,)),
        ((), (2,)),
        ((0, 3), (1, 3)),
        ((1, 3), (3,)),
    ],
    alpha=[LEFT_OUT, 2.5, -1, 0],
)


@check("scaled_add adds alpha times b to a, in a new tensor", points=1, category="values", devices="all")
def test_scaled(submission, device):
    cases = SUMS.vary(dtype=PLAIN, layout=LAYOUTS, grad=RECORDING)
    expect.agrees(
        submission.scaled_add,
        scaled,
        cases,
        likely={
            "alpha belongs to b, not to a": lambda a, b, alpha=1: alpha * a + b,
            "alpha belongs to b alone, not to the sum": lambda a, b, alpha=1: alpha * (a + b),
            "an alpha of 0 is taken for one that is left out": lambda a, b, alpha=1: a + (alpha or 1) * b,
        },
        unchanged=True,
        device=device,
    )


@check("scaled_add has the dtype of a + b", points=0.5, category="robustness", after=test_scaled, hidden=True)
def test_scaled_dtypes(submission):
    whole = SUMS.vary(alpha=[LEFT_OUT, 3, -1], dtype=[*FLOATS, torch.int64, torch.int32])
    expect.agrees(submission.scaled_add, scaled, whole.plain())
    for alpha in (1, 2.5, 0):
        a, b = torch.randn(2, 1), torch.randn(2, 3)
        for x, y in ((a, b), (b, a), (a, a)):
            given = f"a {tuple(x.shape)}, b {tuple(y.shape)}, alpha={alpha}"
            shared = submission.probes.shares(submission.scaled_add, x, y, alpha)
            expect.true(not shared, "a new tensor", "a view of a or b, or one of them", given=given)
    mixed = grid(
        mixed_summands,
        dtypes=[
            (torch.int64, torch.float32),
            (torch.float32, torch.int64),
            (torch.float32, torch.float64),
            (torch.float16, torch.float32),
            (torch.float64, torch.float32),
        ],
        shapes=[((2, 3), (3,)), ((), (2,)), ((2,), ()), ((), ())],
        alpha=[LEFT_OUT, 2.5, -1],
    )
    expect.agrees(
        submission.scaled_add,
        scaled,
        mixed,
        likely={
            "the sum is cast to the dtype of a": lambda a, b, alpha=1: scaled(a, b, alpha).to(a.dtype),
            "a tensor without axes counts less: float32 (2,) and float64 () give float32": promoted,
        },
    )


def promoted(a, b, alpha=1):
    dtype = torch.promote_types(a.dtype, b.dtype)
    return a.to(dtype) + alpha * b.to(dtype)


def mixed_summands(draw, dtypes, shapes):
    return {"a": draw(*shapes[0], dtype=dtypes[0]), "b": draw(*shapes[1], dtype=dtypes[1])}


@check("gradients reach both summands of scaled_add", points=0.5, category="gradients", after=test_scaled)
def test_scaled_gradients(submission):
    expect.agrees(submission.scaled_add, scaled, SUMS.vary(dtype=PLAIN), gradients=True)


# --- rounding and remainders -------------------------------------------------------------------------------

ROUNDED = ("floor", "ceil", "round", "trunc", "frac")
HALVES = [-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, -2.0, 0.0, 3.0, -2.75, -0.25, 0.25, 2.75]


def rounded_by_hand(x):
    """The five roundings of a list of numbers, by Python's own."""
    return {
        "floor": [float(math.floor(v)) for v in x],
        "ceil": [float(math.ceil(v)) for v in x],
        "round": [float(round(v)) for v in x],
        "trunc": [float(math.trunc(v)) for v in x],
        "frac": [v - math.trunc(v) for v in x],
    }


def rounding_mistakes(x):
    up = [math.floor(v + 0.5) for v in x]
    away = [math.copysign(math.floor(abs(v) + 0.5), v) for v in x]
    return {
        "floor": {"floor goes down, also below 0; trunc goes towards 0": [math.trunc(v) for v in x]},
        "ceil": {"ceil leaves whole numbers as they are": [math.floor(v) + 1 for v in x]},
        "round": {
            "a half goes to the even neighbour, not up": up,
            "a half goes to the even neighbour, not away from 0": away,
        },
        "trunc": {"trunc goes towards 0; floor goes down": [math.floor(v) for v in x]},
        "frac": {
            "frac has the sign of x: it is what trunc cuts off, not what floor does": [v - math.floor(v) for v in x],
            "frac has the sign of x": [abs(v - math.trunc(v)) for v in x],
        },
    }


@check("round_all rounds halves, whole and negative numbers in five ways", points=1.5, category="values", devices="all")
def test_rounding(submission, device):
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor(HALVES, dtype=dtype, device=device)
        found = expect.record(submission.round_all(x), dict.fromkeys(ROUNDED))
        truths, mistakes = rounded_by_hand(HALVES), rounding_mistakes(HALVES)
        for name in ROUNDED:
            wrong = {text: torch.tensor(v, dtype=dtype, device=device) for text, v in mistakes[name].items()}
            expect.close(
                found[name],
                torch.tensor(truths[name], dtype=dtype, device=device),
                likely=wrong,
                given=f'"{name}" of {", ".join(map(str, HALVES))}',
            )


def between_halves(shape, dtype, generator):
    """numbers from -8 to 8, none of them whole or a half"""
    return (torch.randint(-32, 32, tuple(shape), generator=generator) / 4 + 0.125).double()


def rounded(x):
    return {name: getattr(torch, name)(x) for name in ROUNDED}


@check("round_all takes every floating dtype, layout and size", points=0.5, category="robustness", after=test_rounding,
       hidden=True)  # fmt: skip
def test_rounding_inputs(submission):
    cases = grid(
        shape=[(2, 3), (5,), (), (0,), (1, 4), (3, 1)],
        values=[between_halves],
        dtype=FLOATS,
        layout=LAYOUTS,
        grad=RECORDING,
        where=lambda shape, layout: layout != "expanded" or shape != (3, 1),
    )
    expect.agrees(submission.round_all, rounded, cases, unchanged=True)
    for dtype in PLAIN:
        eps = torch.finfo(dtype).eps
        values = [
            0.5 - eps / 4,
            eps / 4 - 0.5,
            1 - eps / 2,
            3 + 4 * eps,
            1 / eps + 1,
            -1 / eps - 1,
            3e9,
            2.0**70,
            -(2.0**70),
        ]
        x = torch.tensor(values, dtype=dtype)
        found = expect.record(submission.round_all(x), dict.fromkeys(ROUNDED))
        truths, half = rounded_by_hand(values), torch.floor(x + 0.5)
        for name in ROUNDED:
            truth = torch.tensor(truths[name], dtype=dtype)
            cut = x - x.long() if name == "frac" else x.long().to(dtype)
            likely = {"no integer dtype holds such large numbers": torch.where(x.abs() < 1e18, truth, cut)}
            if name == "round":
                likely["x + 0.5 is rounded, too, before floor sees it"] = torch.where(
                    x - torch.floor(x) == 0.5, truth, half
                )
            if dtype == torch.float64:
                likely["float32 holds fewer digits than float64"] = getattr(torch, name)(x.float()).to(dtype)
            likely = {text: wrong for text, wrong in likely.items() if not torch.equal(wrong, truth)}
            given = f'"{name}" of numbers beside a half, beside whole ones, and large ones, {dtype}: {values}'
            expect.close(found[name], truth, 0, 0, trivial="chosen numbers", likely=likely, given=given)


def whole_signed(shape, dtype, generator):
    """whole numbers from -9 to 9, or eighths that are no multiple of a quarter"""
    if dtype.is_floating_point:
        return between_halves(shape, dtype, generator)
    return torch.randint(-9, 10, tuple(shape), generator=generator).double()


def divisors(shape, dtype, generator):
    """2, 3, 4, -2, -3, -4"""
    return (
        torch.randint(2, 5, tuple(shape), generator=generator) * kit.normal(shape, torch.float64, generator).sign()
    ).double()


def dividend(draw, shape, *, m):
    return {"x": draw(*shape, values=whole_signed)}


def two_operands(draw, shapes):
    return {"x": draw(*shapes[0], values=whole_signed), "m": draw(*shapes[1], values=divisors)}


def remainder(x, m):
    return torch.remainder(x, m)


def fmod(x, m):
    return torch.fmod(x, m)


REMAINDERS = grid(
    dividend,
    shape=[(24,), (3, 5), (), (0, 2), (1, 6)],
    m=[3, -3, 2, -2],
    dtype=[torch.float32, torch.int64, torch.float64, torch.int32],
)
TENSOR_REMAINDERS = grid(
    two_operands,
    shapes=[((12,), (12,)), ((4, 3), (3,)), ((2, 1), (5,)), ((6,), ()), ((2, 3), (1, 3)), ((2, 3), (2, 1))],
    dtype=[torch.float32, torch.int64, torch.float64],
    layout=["contiguous", "gaps", "offset"],
)
FRACTIONAL = grid(dividend, shape=[(24,), (3, 5)], m=[0.75, -1.5, 2.5], dtype=PLAIN, grad=RECORDING)


def nearest(x, m):
    return x - m * torch.div(x, m).round().to(x.dtype)


@check("python_mod has the sign of m, as % has", points=1, category="values", devices="all")
def test_python_mod(submission, device):
    for cases in (REMAINDERS, FRACTIONAL):
        expect.agrees(
            submission.python_mod,
            remainder,
            cases,
            likely={
                "this is C's fmod, which has the sign of x": fmod,
                "the remainder has the sign of m, also a negative one": lambda x, m: torch.remainder(x, abs(m)),
                "the quotient is rounded to the nearest integer, not down": nearest,
            },
            unchanged=True,
            device=device,
        )
    expect.close(
        submission.python_mod(torch.tensor([-2.5, 7.0, -7.0, 4.0, -4.0, 0.0], device=device), 2),
        torch.tensor([1.5, 1.0, 1.0, 0.0, 0.0, 0.0], device=device),
        given="-2.5, 7, -7, 4, -4, 0 modulo 2",
    )


@check("c_mod has the sign of x, as fmod has", points=1, category="values", devices="all")
def test_c_mod(submission, device):
    for cases in (REMAINDERS, FRACTIONAL):
        expect.agrees(
            submission.c_mod,
            fmod,
            cases,
            likely={
                "this is Python's %, which has the sign of m": remainder,
                "the sign of x is lost": lambda x, m: torch.fmod(x, m).abs(),
            },
            unchanged=True,
            device=device,
        )
    expect.close(
        submission.c_mod(torch.tensor([-2.5, 7.0, -7.0, 4.0, -4.0, 0.0], device=device), 2),
        torch.tensor([-0.5, 1.0, -1.0, 0.0, 0.0, 0.0], device=device),
        given="-2.5, 7, -7, 4, -4, 0 modulo 2",
    )


@check("both remainders take a tensor m that broadcasts, and large integers", points=0.5, category="robustness",
       after=[test_python_mod, test_c_mod], hidden=True)  # fmt: skip
def test_mod_tensors(submission):
    expect.agrees(submission.python_mod, remainder, TENSOR_REMAINDERS, unchanged=True)
    expect.agrees(submission.c_mod, fmod, TENSOR_REMAINDERS, unchanged=True)
    large = torch.tensor([2**24 + 1, -(2**24) - 1, 2**53 + 1, -(2**53) - 1, 2**62 + 3])
    for m in (3, -10, torch.tensor([3, -10, 7, -2, 9])):
        for function, oracle, cut in (
            (submission.python_mod, remainder, torch.floor),
            (submission.c_mod, fmod, torch.trunc),
        ):
            likely = {
                "x / m is a floating number, and holds no large quotient exactly": (large - m * cut(large / m)).long()
            }
            expect.close(function(large, m), oracle(large, m), likely=likely, given=f"{large.tolist()} modulo {m}")
    fine = torch.tensor([1e6 + 1 / 3, -1e6 - 1 / 7, 2e7 + 0.1], dtype=torch.float64)
    for m in (3.5, -2, torch.tensor([3.5, -2.0, 7.0], dtype=torch.float64)):
        for function, oracle in ((submission.python_mod, remainder), (submission.c_mod, fmod)):
            likely = {"float32 holds fewer digits than float64": oracle(fine.float(), m).double()}
            expect.close(function(fine, m), oracle(fine, m), likely=likely, given=f"float64 {fine.tolist()} modulo {m}")


# --- order -------------------------------------------------------------------------------------------------


def largest(x, k, dim=-1):
    return x.sort(dim, descending=True).values.narrow(dim, 0, k)


def in_order(x, k, dim=-1):
    if not 1 <= k <= x.shape[dim]:
        raise ValueError(k)
    return x.sort(dim).values.select(dim, k - 1)


def axis_fits(shape, dim):
    return dim is LEFT_OUT or -len(shape) <= dim < len(shape)


RANKED = grid(
    shape=[(5,), (4, 3), (3, 4, 3)],
    k=[2, 1, 3],
    dim=[LEFT_OUT, 0, -1, 1, -2],
    values=[kit.distinct, kit.ties],
    where=axis_fits,
)


CLOSE = torch.tensor([2**60 + 1, 2**60 + 3, 2**60 + 2])  # integers that no floating dtype tells apart


@check("topk_values gives the k largest along an axis, largest first", points=1, category="values", devices="all")
def test_topk(submission, device):
    expect.agrees(
        submission.topk_values,
        largest,
        RANKED.vary(dtype=[torch.float32, torch.int64, torch.float64]),
        likely={
            "these are the places, not the values": lambda x, k, dim=-1: x.topk(k, dim).indices,
            "the largest comes first": lambda x, k, dim=-1: largest(x, k, dim).flip(dim),
            "these are the smallest": lambda x, k, dim=-1: x.topk(k, dim, largest=False).values,
        },
        unchanged=True,
        device=device,
    )


@check("topk_values takes k = 0 and every layout, and refuses a large k", points=0.5, category="robustness",
       after=test_topk, hidden=True)  # fmt: skip
def test_topk_inputs(submission):
    cases = RANKED.vary(
        shape=[(3, 4), (1, 3), (3, 1), (0, 4), (3, 4, 2, 3), (5, 2)],
        k=[3, 0, 1, 5],
        dim=[LEFT_OUT, 1, 0],
        dtype=FLOATS,
        layout=LAYOUTS,
        grad=RECORDING,
    )
    cases = cases.only(lambda shape, k, dim: k <= shape[-1 if dim is LEFT_OUT else dim])
    expect.agrees(submission.topk_values, largest, cases)
    for shape, k, dim in (((3,), 4, -1), ((2, 3), 5, -1), ((2, 3), 3, 0), ((4, 2), 3, 1)):
        expect.raises(REFUSED, submission.topk_values, torch.randn(shape), k, dim, given=f"x {shape}, k={k}, dim={dim}")
    expect.close(submission.topk_values(CLOSE, 2), CLOSE[[1, 2]], given=f"the 2 largest of {CLOSE.tolist()}")


@check("gradients flow through topk_values", points=0.5, category="gradients", after=test_topk)
def test_topk_gradients(submission):
    expect.agrees(submission.topk_values, largest, RANKED.vary(values=[kit.distinct], dtype=PLAIN), gradients=True)


@check("kth_smallest counts from the smallest, which is 1", points=1, category="values", devices="all")
def test_kth(submission, device):
    expect.agrees(
        submission.kth_smallest,
        in_order,
        RANKED.vary(dtype=[torch.float32, torch.int64, torch.float64]),
        likely={
            "this counts from the largest": lambda x, k, dim=-1: in_order(-x, k, dim).neg(),
            "the row is not sorted": lambda x, k, dim=-1: x.select(dim, k - 1),
            "the axis stays, with length 1": lambda x, k, dim=-1: in_order(x, k, dim).unsqueeze(dim),
        },
        unchanged=True,
        device=device,
    )


@check("kth_smallest takes every layout, and refuses a k out of range", points=0.5, category="robustness",
       after=test_kth, hidden=True)  # fmt: skip
def test_kth_inputs(submission):
    cases = RANKED.vary(
        shape=[(3, 4), (1, 3), (3, 1), (0, 4), (3, 4, 2, 3), (5, 2)],
        k=[3, 1, 5],
        dim=[LEFT_OUT, 1, 0],
        dtype=FLOATS,
        layout=LAYOUTS,
        grad=RECORDING,
    )
    cases = cases.only(lambda shape, k, dim: k <= shape[-1 if dim is LEFT_OUT else dim])
    expect.agrees(submission.kth_smallest, in_order, cases)
    for shape, k, dim in (((3,), 0, -1), ((3,), 4, -1), ((3,), -1, -1), ((2, 3), 3, 0), ((4, 2), 3, 1)):
        given = f"x {shape}, k={k}, dim={dim}"
        expect.raises(REFUSED, submission.kth_smallest, torch.randn(shape), k, dim, given=given)
    expect.close(submission.kth_smallest(CLOSE, 2), CLOSE[2], given=f"the second smallest of {CLOSE.tolist()}")


@check("gradients flow through kth_smallest", points=0.5, category="gradients", after=test_kth)
def test_kth_gradients(submission):
    expect.agrees(submission.kth_smallest, in_order, RANKED.vary(values=[kit.distinct], dtype=PLAIN), gradients=True)


# --- comparison --------------------------------------------------------------------------------------------


def pairs_of(device, dtype):
    """Two tensors, whether they are the same, and what a common mistake says where it is wrong."""

    def t(*values):
        return torch.tensor(values, dtype=dtype, device=device)

    return {
        "two equal tensors": (t(1.0, 2.5), t(1.0, 2.5), True, None),
        "NaN at the same place": (t(1.0, NAN), t(1.0, NAN), True, "NaN is equal to nothing, not even to NaN"),
        "one number differs": (t(1.0, 2.0, 3.0), t(1.0, 2.0, 4.0), False, None),
        "NaN on one side only": (t(NAN), t(2.0), False, "a NaN on one side is taken for equal"),
        "NaN beside 0": (t(0.0), t(NAN), False, "NaN is taken for 0"),
        "NaN at different places": (t(NAN, 1.0), t(1.0, NAN), False, None),
        "another order": (t(1.0, 2.0), t(2.0, 1.0), False, None),
        "equal infinities": (t(INF, -INF), t(INF, -INF), True, None),
        "infinities of both signs": (t(INF, 1.0), t(-INF, 1.0), False, "infinities of both signs differ"),
        "infinity and NaN": (t(INF), t(NAN), False, None),
        "infinity and the largest number": (t(INF), t(torch.finfo(dtype).max), False, "infinity is no number"),
        "minus infinity and the lowest number": (t(-INF), t(torch.finfo(dtype).min), False, "infinity is no number"),
        "(3,) and (1, 3)": (t(1.0, 2.0, 3.0), t(1.0, 2.0, 3.0)[None], False, "nothing broadcasts here"),
        "(3,) and ()": (t(2.0, 2.0, 2.0), t(2.0)[0], False, "nothing broadcasts here"),
        "(3,) and (2,)": (t(1.0, 2.0, 3.0), t(1.0, 2.0), False, None),
        "NaN left out would fit": (t(NAN, 1.0, 2.0), t(1.0, NAN, 2.0), False, None),
        "two empty tensors": (t(), t(), True, None),
        "(0, 3) and (0, 2)": (t().reshape(0, 3), t().reshape(0, 2), False, None),
        "-0.0 and 0.0": (t(-0.0, 1.0), t(0.0, 1.0), True, None),
    }


def compare_pairs(submission, pairs, told=False, unchanged=False):
    for name, (a, b, truth, mistake) in pairs.items():
        given = f"{name}: {a.tolist()} and {b.tolist()}"
        if unchanged:
            found = expect.not_mutated(submission, submission.safe_equal, a, b, given=given)
        else:
            found = submission.safe_equal(a, b)
        expect.equal(found, truth, likely={mistake: not truth} if mistake and told else None, given=given)


@check("safe_equal compares shapes and numbers, and NaN equals NaN", points=1, category="values", devices="all")
def test_equal(submission, device):
    compare_pairs(submission, pairs_of(device, torch.float32), told=True)


@check("safe_equal compares exactly, in every dtype and layout", points=1, category="robustness", after=test_equal,
       hidden=True)  # fmt: skip
def test_equal_exactly(submission):
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        compare_pairs(submission, pairs_of("cpu", dtype), unchanged=True)
    x = torch.randn(2, 2, dtype=torch.float64)
    near = x.clone()
    near[1, 0] *= 1 + 1e-12
    whole, flags = torch.arange(6).reshape(2, 3), torch.tensor([True, False, True])
    pairs = {
        "float64 that differs in the twelfth digit": (x, near, False, "near is not equal"),
        "a transposed tensor and its copy": (x.T, x.T.contiguous(), True, None),
        "float32, 1 and 1 + 2 ** -23": (torch.tensor([1.0]), torch.tensor([1 + 2**-23]), False, "near is not equal"),
        "equal integers": (whole, whole.clone(), True, None),
        "other integers": (whole, whole.flip(0), False, None),
        "large integers that differ by 1": (
            torch.tensor([2**60]),
            torch.tensor([2**60 + 1]),
            False,
            "near is not equal",
        ),
        "equal bools": (flags, flags.clone(), True, None),
        "other bools": (flags, ~flags, False, None),
        "one that requires grad": (x.clone().requires_grad_(), x.T.contiguous().requires_grad_().T, True, None),
    }
    compare_pairs(submission, pairs, told=True)


def wild(shape, dtype, generator):
    """infinities, NaN, the largest numbers and ordinary ones"""
    if not dtype.is_floating_point:
        return kit.integers(shape, dtype, generator)
    top = torch.finfo(dtype).max
    spots = torch.tensor([INF, -INF, NAN, top, -top, 0.0, -2.5, 1.0], dtype=torch.float64)
    count = torch.Size(shape).numel()
    return spots[torch.randperm(max(count, 8), generator=generator)[:count] % 8].reshape(tuple(shape))


@check("finite_mask is False at infinities and NaN alone", points=1, category="values", devices="all")
def test_finite(submission, device):
    cases = grid(
        shape=[(16,), (3, 8), (), (0,), (1, 9), (9, 1)],
        values=[wild],
        dtype=[*FLOATS, torch.int64, torch.uint8],
        layout=LAYOUTS,
        grad=RECORDING,
    )
    expect.agrees(
        submission.finite_mask,
        torch.isfinite,
        cases,
        likely={
            "infinity is no finite number": lambda x: ~x.isnan(),
            "NaN is no finite number": lambda x: ~x.isinf(),
            "minus infinity is no finite number": lambda x: ~x.isnan() & (x != INF),
            "the mask is turned round": lambda x: ~torch.isfinite(x),
        },
        unchanged=True,
        device=device,
    )


# --- statistics --------------------------------------------------------------------------------------------


def row_with_mode(length):
    """Numbers in random order of which one, neither the largest nor the smallest, occurs twice; for lengths from 4."""
    values = [0.25 * n - 1.125 for n in torch.randperm(3 * length)[:length].tolist()]
    if length >= 4:
        second, third = sorted(values)[1:3]
        values[values.index(third)] = second
    return torch.tensor(values)[torch.randperm(length)]


def described(row, unbiased):
    """The nine figures of a list of numbers, by hand."""
    values, n = row.tolist(), len(row)
    mean = math.fsum(values) / n
    squares = math.fsum((v - mean) ** 2 for v in values)
    var = squares / (n - 1) if unbiased and n > 1 else NAN if unbiased else squares / n
    return {
        "mean": mean,
        "sum": math.fsum(values),
        "prod": math.prod(values),
        "var": var,
        "std": math.sqrt(var),
        "median": sorted(values)[(n - 1) // 2],
        "mode": collections.Counter(values).most_common(1)[0][0],
        "argmax": values.index(max(values)),
        "argmin": values.index(min(values)),
    }


def sample(shape, dim, dtype):
    """x, its rows along dim, and the shape of the figures."""
    if dim is None:
        x = row_with_mode(math.prod(shape)).reshape(shape)
        return x.to(dtype), [x.reshape(-1)], ()
    axis = dim % len(shape)
    rest = shape[:axis] + shape[axis + 1 :]
    rows = [row_with_mode(shape[axis]) for _ in range(math.prod(rest))]
    x = torch.stack(rows).reshape(*rest, shape[axis]).movedim(-1, axis)
    return x.to(dtype), rows, rest


STATS_CASES = [  # shape, dim, unbiased
    ((5,), None, True),
    ((6,), 0, True),
    ((4, 5), None, False),
    ((4, 5), 0, True),
    ((4, 5), 1, False),
    ((5, 4), -1, True),
    ((2, 4, 3), -2, False),
    ((2, 4, 3), 1, True),
    ((1, 6), 1, True),
]


def compare_figures(submission, names, device, cases=STATS_CASES, dtypes=PLAIN, mistakes=None):
    for shape, dim, unbiased in cases:
        for dtype in dtypes:
            x, rows, rest = sample(shape, dim, dtype)
            settings = ({} if dim is None else {"dim": dim}) | ({} if unbiased else {"unbiased": False})
            found = expect.record(submission.stats(x.to(device), **settings), dict.fromkeys(names))
            figures = [described(row, unbiased) for row in rows]
            said = "".join(f", {key}={value}" for key, value in settings.items())
            numbers = f" = {x.tolist()}" if x.numel() < 7 else ""
            for name in names:
                kind = torch.int64 if name.startswith("arg") else dtype
                wrong = (mistakes or {}).get(name, lambda row, unbiased: {})
                by_row = [wrong(row, unbiased) for row in rows]
                expect.close(
                    found[name],
                    torch.tensor([figure[name] for figure in figures], dtype=kind, device=device).reshape(rest),
                    equal_nan=True,
                    trivial="figures of rows that are drawn at random",
                    likely={
                        text: torch.tensor([row[text] for row in by_row], dtype=kind, device=device).reshape(rest)
                        for text in by_row[0]
                        if any(row[text] != figure[name] for row, figure in zip(by_row, figures, strict=True))
                    },
                    given=f'"{name}" of stats(x{said}), x {shape}{numbers}',
                )


@check("stats has the right means, sums and products along any axis", points=1, category="values", devices="all")
def test_stats_sums(submission, device):
    compare_figures(submission, ("mean", "sum", "prod"), device)


@check("stats has the right places of the largest and the smallest", points=0.5, category="values", devices="all")
def test_stats_places(submission, device):
    compare_figures(
        submission,
        ("argmax", "argmin"),
        device,
        mistakes={
            "argmax": lambda row, unbiased: {"this is the place of the smallest": described(row, True)["argmin"]}
        },
    )


@check("stats divides by n - 1, or by n where unbiased=False", points=1, category="values", devices="all")
def test_stats_spread(submission, device):
    def other_divisor(name):
        sentence = {True: "n divides where n - 1 should", False: "n - 1 divides where n should"}
        return lambda row, unbiased: {sentence[unbiased]: described(row, not unbiased)[name]}

    def spread_mistakes(row, unbiased):
        return other_divisor("std")(row, unbiased) | {"std is the root of var": described(row, unbiased)["var"]}

    compare_figures(submission, ("var", "std"), device, mistakes={"var": other_divisor("var"), "std": spread_mistakes})


@check("stats takes the lower of two medians and the most frequent value", points=1, category="values", devices="all")
def test_stats_ranks(submission, device):
    def medians(row, unbiased):
        ranked, n = sorted(row.tolist()), len(row)
        lower, upper = ranked[(n - 1) // 2], ranked[n // 2]
        return {
            "of two values in the middle the lower one counts, not the upper one": upper,
            "of two values in the middle the lower one counts, not their mean": (lower + upper) / 2,
        }

    compare_figures(submission, ("median", "mode"), device, mistakes={"median": medians})


@check("stats takes single numbers, layouts and half precision", points=0.5, category="robustness",
       after=[test_stats_sums, test_stats_places, test_stats_spread, test_stats_ranks], hidden=True)  # fmt: skip
def test_stats_inputs(submission):
    names = ("mean", "sum", "prod", "var", "std", "median", "mode", "argmax", "argmin")
    single = [((1,), None, True), ((1,), None, False), ((3, 1), 1, True), ((3, 1), 1, False), ((), None, False)]
    compare_figures(submission, names, "cpu", cases=single)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        x = sample((4, 6), 0, torch.float32)[0].T.contiguous().T.to(dtype)
        found = expect.record(submission.stats(x, dim=0), dict.fromkeys(names))
        for name in ("mean", "sum", "var", "std", "median", "argmax", "argmin"):
            truth = torch.tensor([described(row, True)[name] for row in x.double().unbind(1)])
            expect.dtype(found[name], torch.int64 if name.startswith("arg") else dtype, given=f'"{name}", {dtype}')
            expect.close(found[name].double(), truth.double(), scale=0.03 if dtype != torch.float32 else 1e-5,
                         given=f'"{name}" of a transposed tensor of {dtype}')  # fmt: skip
    for dtype in PLAIN:
        x = (sample((4, 6), 0, torch.float64)[0] / 3 + 4096).to(dtype)
        given = f"x (4, 6) of {dtype}, numbers near 4096, dim=0"
        found = expect.record(
            expect.not_mutated(submission, submission.stats, x, dim=0, given=given), dict.fromkeys(names)
        )
        for name in ("mean", "var", "std", "median", "argmax"):
            truth = torch.tensor([described(row, True)[name] for row in x.double().unbind(1)], dtype=torch.float64)
            likely = {}
            if name == "var":
                squares = (x * x).mean(0) - x.mean(0) ** 2
                likely = {"the squares of large numbers cancel: subtract the mean first": squares * 4 / 3}
            rtol = 1e-8 if dtype != torch.float32 else 1e-6 if name in ("mean", "median") else 1e-4
            expect.close(
                found[name],
                truth.to(torch.int64 if name == "argmax" else dtype),
                rtol,
                rtol / 10,
                likely=likely,
                given=f'"{name}" of {given}',
            )
    turned = sample((4, 5), None, torch.float32)[0].requires_grad_().T
    found = expect.record(submission.stats(turned), dict.fromkeys(names))
    for name, figure in described(turned.detach().reshape(-1), True).items():
        kind = torch.int64 if name.startswith("arg") else torch.float32
        expect.close(found[name].detach(), torch.tensor(figure, dtype=kind), given=f'"{name}" of a transposed x',
                     trivial="figures of numbers that are drawn at random")  # fmt: skip


# --- counting ----------------------------------------------------------------------------------------------


def counted(x, bins, lo, hi):
    """A histogram by hand: the last part is closed."""
    values = x.double().flatten().tolist()
    if lo == hi == 0:
        lo, hi = min(values), max(values)
    width, counts = (hi - lo) / bins, [0] * bins
    for v in values:
        if lo <= v <= hi:
            counts[min(int((v - lo) / width), bins - 1)] += 1
    return torch.tensor(counts, dtype=torch.float64)


def closed_above(x, bins, lo, hi):
    values = (x.double().flatten()).tolist()
    width, counts = (hi - lo) / bins, [0] * bins
    for v in values:
        if lo <= v <= hi:
            counts[max(math.ceil((v - lo) / width) - 1, 0)] += 1
    return torch.tensor(counts, dtype=torch.float64)


def compare_counts(submission, x, bins, lo=None, hi=None, given="", likely=None):
    bounds = {name: bound for name, bound in (("lo", lo), ("hi", hi)) if bound is not None}
    texts = [str(bound) if len(bounds) == 2 else f"{name}={bound}" for name, bound in bounds.items()]
    said = f"histogram(x, {', '.join([str(bins), *texts])}), {given}"
    arguments = bounds.values() if len(bounds) == 2 else ()
    named = bounds if len(bounds) == 1 else {}
    found = expect.not_mutated(submission, submission.histogram, x, bins, *arguments, **named, given=said)
    expect.shape(found, (bins,), given=said)
    is_count = found.dtype == torch.int64 or found.dtype.is_floating_point
    expect.true(is_count, "counts of int64 or of a floating dtype", f"{found.dtype}", given=said)
    expect.close(
        found.cpu().double(),
        counted(x.cpu(), bins, lo or 0, hi or 0),
        trivial="counts of chosen numbers",
        likely=likely,
        given=said,
    )


QUARTERS = [0.0, 0.25, 0.5, 0.5, 1.0, 1.25, 1.75, 2.0, 2.0, 2.5, 3.0, 3.75, 4.0, 4.0, 5.5, -1.0, -0.25, 7.0]


@check("histogram counts between two bounds, the upper one included", points=1, category="values",
       devices="all")  # fmt: skip
def test_histogram(submission, device):
    for dtype in PLAIN:
        x = torch.tensor(QUARTERS, dtype=dtype, device=device)
        for bins, lo, hi in ((4, 0, 4), (2, 0.5, 2.5), (8, -1.0, 7.0), (1, 1, 4), (4, -8, 0), (3, 10, 13)):
            likely = {}
            if (bins, lo) == (4, 0):
                outside = counted(x.clamp(lo, hi).cpu(), bins, lo, hi).to(device)
                truth = counted(x.cpu(), bins, lo, hi).to(device)
                without_end = truth - torch.tensor([0.0, 0, 0, 2], dtype=torch.float64, device=device)
                likely = {
                    "what lies outside is not counted": outside,
                    "the last part contains its upper bound": without_end,
                    "a part contains its lower bound, not its upper one": closed_above(x.cpu(), bins, lo, hi).to(
                        device
                    ),
                }
            compare_counts(submission, x, bins, lo, hi, f"x = {QUARTERS}", likely)


@check("histogram takes the range of the numbers where lo = hi = 0", points=0.5, category="values", devices="all")
def test_histogram_range(submission, device):
    for values in ([1.0, 2.0, 3.0, 4.0, 5.0], [-3.0, -2.5, 1.0, 0.0, 0.75], [2.0, 6.0, 3.0, 5.5]):
        x = torch.tensor(values, device=device)
        for bounds in ((), (0, 0), (0.0, 0.0)):
            for bins in (4, 2):
                likely = {
                    "lo = hi = 0 stands for the range of the numbers": torch.zeros(
                        bins, dtype=torch.float64, device=device
                    )
                }
                compare_counts(submission, x, bins, *bounds, given=f"x = {values}", likely=likely)


@check("histogram takes other shapes and sizes, and refuses lo > hi", points=0.5, category="robustness",
       after=[test_histogram, test_histogram_range], hidden=True)  # fmt: skip
def test_histogram_inputs(submission):
    x = torch.tensor(QUARTERS)
    compare_counts(submission, x.reshape(3, 6), 4, 0, 4, "x (3, 6)")
    compare_counts(submission, x.reshape(3, 6).T, 4, 0, 4, "a transposed x (6, 3)")
    compare_counts(submission, torch.zeros(0), 3, 0, 1, "an empty x")
    compare_counts(submission, torch.tensor([0.5]), 3, 0, 3, "one number")
    compare_counts(submission, torch.tensor(0.5), 3, 0, 3, "one number, x ()")
    compare_counts(submission, x, 4, hi=4, given="lo is 0")
    compare_counts(submission, x, 4, lo=-8, given="hi is 0")
    far = torch.tensor([1.0, INF, 1e30, -INF, 3.5, -1e30])
    compare_counts(submission, far, 4, 0, 4, f"x = {far.tolist()}")
    fine = torch.tensor([1 - 1e-10, 2 + 1e-10, -1e-10, 4 + 1e-10, 3 - 1e-10], dtype=torch.float64)
    likely = {"float32 holds fewer digits than float64": counted(fine.float(), 4, 0, 4)}
    compare_counts(submission, fine, 4, 0, 4, f"x = {fine.tolist()} (float64)", likely)
    for lo, hi in ((2, 1), (0, -1), (3.5, 0.0)):
        expect.raises(REFUSED, submission.histogram, x, 4, lo, hi, given=f"lo={lo}, hi={hi}")


def occurrences(x):
    values = x.tolist()
    return torch.tensor([values.count(n) for n in range(max(values, default=-1) + 1)], dtype=torch.int64)


@check("count_values counts 0, 1, 2, ... up to the largest", points=1, category="values", devices="all")
def test_counts(submission, device):
    cases = grid(
        shape=[(12,), (3,), (1,), (40,)],
        values=[kit.integers],
        dtype=INTEGERS,
        layout=["contiguous", "gaps", "offset"],
    )
    expect.agrees(
        submission.count_values,
        occurrences,
        cases,
        likely={
            "values that do not occur have a place, too": lambda x: torch.unique(x, return_counts=True)[1],
        },
        unchanged=True,
        device=device,
    )


@check("count_values takes an empty x, and refuses what it cannot count", points=0.5, category="robustness",
       after=test_counts, hidden=True)  # fmt: skip
def test_counts_refusals(submission):
    empty = submission.count_values(torch.zeros(0, dtype=torch.int64))
    expect.close(empty, torch.zeros(0, dtype=torch.int64), trivial="no numbers, no counts", given="an empty x")
    for dtype in (torch.uint8, torch.int8, torch.int16):
        largest = torch.tensor([3, torch.iinfo(dtype).max, 0], dtype=dtype)
        expect.close(submission.count_values(largest), occurrences(largest), given=f"{largest.tolist()} of {dtype}")
    for given, x in {
        "floating numbers": torch.tensor([1.0, 2.0]),
        "a negative number": torch.tensor([1, -1, 2]),
        "floating numbers of float64": torch.tensor([1.0, 2.0], dtype=torch.float64),
        "floating numbers of float16": torch.tensor([1.0, 2.0], dtype=torch.float16),
        "a negative number of int8": torch.tensor([1, -1, 2], dtype=torch.int8),
        "a matrix (2, 2)": torch.tensor([[1, 0], [2, 2]]),
        "a number ()": torch.tensor(3),
    }.items():
        expect.raises(REFUSED, submission.count_values, x, given=f"{given}: {x.tolist()}")


# --- clip --------------------------------------------------------------------------------------------------


def clipped(x, lo=None, hi=None):
    x = x if lo is None else torch.where(x < lo, torch.full_like(x, lo), x)
    return x if hi is None else torch.where(x > hi, torch.full_like(x, hi), x)


def bounded(lo, hi):
    return not (lo in (LEFT_OUT, None) and hi in (LEFT_OUT, None))


def is_number(bound):
    return isinstance(bound, (int, float))


BOUNDS = grid(
    shape=[(24,), (3, 5), (), (0,), (1, 5), (4, 1)],
    values=[kit.spread],
    lo=[-2.5, LEFT_OUT, 0, None, 1],
    hi=[3.5, LEFT_OUT, None, 0, 2],
    where=lambda lo, hi: bounded(lo, hi) and not (is_number(lo) and is_number(hi) and lo > hi),
)


@check("clip keeps numbers between two bounds, or beside one", points=1, category="values", devices="all")
def test_clip(submission, device):
    def mistaken(rule):
        return lambda x, lo=None, hi=None: rule(x, -INF if lo is None else lo, INF if hi is None else hi)

    expect.agrees(
        submission.clip,
        clipped,
        BOUNDS.vary(dtype=PLAIN, layout=LAYOUTS),
        likely={
            "a bound of 0 is taken for none": mistaken(lambda x, lo, hi: clipped(x, lo or -INF, hi or INF)),
            "what lies outside becomes the bound, not 0": mistaken(
                lambda x, lo, hi: torch.where((x < lo) | (x > hi), torch.zeros_like(x), x)
            ),
        },
        unchanged=True,
        device=device,
    )


@check("clip keeps NaN and half precision, and lo > hi gives hi", points=0.5, category="robustness", after=test_clip,
       hidden=True)  # fmt: skip
def test_clip_far(submission):
    cases = BOUNDS.vary(
        shape=[(24,)],
        values=[kit.not_a_number, kit.infinite, kit.minus_infinite, kit.spread],
        lo=[-2.7, LEFT_OUT, 1],
        hi=[1.3, LEFT_OUT, 2],
        dtype=FLOATS,
    )
    expect.agrees(submission.clip, clipped, cases)
    crossed = grid(shape=[(24,), (2, 3)], values=[kit.spread, kit.not_a_number], lo=[4, 1.5], hi=[1, -3.0])
    expect.agrees(submission.clip, clipped, crossed, trivial="everything becomes hi")


@check(
    "the gradient of clip is 1 inside of the bounds and 0 outside", points=0.5, category="gradients", after=test_clip
)
def test_clip_gradients(submission):
    cases = BOUNDS.vary(shape=[(24,), (3, 5)], values=[between_halves], lo=[-2.5, LEFT_OUT, 0], hi=[3.5, LEFT_OUT, 5],
                        dtype=PLAIN)  # fmt: skip
    expect.agrees(
        submission.clip,
        clipped,
        cases,
        gradients=True,
        likely={
            "the gradient passes where a number is clipped": lambda x, lo=None, hi=None: (
                x + (clipped(x, lo, hi) - x).detach()
            )
        },
    )


# --- distances ---------------------------------------------------------------------------------------------


def beside(shape, dtype, generator):
    """numbers from -5 to -3"""
    return -3 - 2 * torch.rand(tuple(shape), generator=generator, dtype=torch.float64)


def points(draw, n, m, d):
    return {"a": draw(n, d), "b": draw(m, d, values=beside)}


def distances(a, b):
    return (a[:, None] - b[None]).square().sum(-1).sqrt()


POINTS = grid(points, n=[3, 2, 1, 5], m=[4, 3, 1], d=[3, 1, 6])
ROUGH = 10.0  # 1e-4 in float32: the expanded square loses digits


@check("pairwise_distance_matrix measures each point of a to each of b", points=1.5, category="values", devices="all")
def test_distances(submission, device):
    expect.agrees(
        submission.pairwise_distance_matrix,
        distances,
        POINTS.vary(dtype=PLAIN, layout=LAYOUTS),
        likely={
            "the root is missing": lambda a, b: distances(a, b).square(),
            "the differences are squared, not taken by their magnitude": lambda a, b: (
                (a[:, None] - b[None]).abs().sum(-1)
            ),
            "rows belong to a, columns to b": lambda a, b: distances(b, a),
            "the squares are added, not averaged": lambda a, b: distances(a, b) / math.sqrt(a.shape[1]),
            "F.pairwise_distance adds eps to each difference: give it eps=0": lambda a, b: F.pairwise_distance(
                a[:, None], b[None]
            ),
        },
        unchanged=True,
        slack=ROUGH,
        device=device,
    )
    plane = torch.tensor([[0.0, 0.0], [3.0, 4.0]], device=device)
    expect.close(
        submission.pairwise_distance_matrix(plane, plane + 1)[0],
        torch.tensor([math.sqrt(2), math.sqrt(41)], device=device),
        rtol=0,
        atol=1e-3,
        given="from (0, 0) to (1, 1) and (4, 5)",
    )


@check(
    "pairwise_distance_matrix takes no points, and equal ones",
    points=0.5,
    category="robustness",
    after=test_distances,
    hidden=True,
)
def test_distances_empty(submission):
    empty = POINTS.vary(n=[0, 3], m=[2, 0], d=[3, 1], dtype=PLAIN).only(lambda n, m: n * m == 0)
    expect.agrees(submission.pairwise_distance_matrix, distances, empty, trivial="there are no distances")
    for dtype in PLAIN:
        a = (torch.rand(400, 3) * 18 - 9).to(dtype)
        expect.close(submission.pairwise_distance_matrix(a, a).diagonal(), torch.zeros(400, dtype=dtype), 0, 0.1,
                     trivial="a point is 0 apart from itself",
                     given=f"400 points from themselves, {dtype}; a distance up to 0.1 is near enough")  # fmt: skip


@check("gradients reach both sets of points", points=0.5, category="gradients", after=test_distances)
def test_distances_gradients(submission):
    cases = POINTS.vary(dtype=PLAIN, layout=["contiguous", "transposed"])
    expect.agrees(submission.pairwise_distance_matrix, distances, cases, gradients=True, slack=ROUGH)


@check(
    "pairwise_distance_matrix needs no loop over the points", points=0.5, category="efficiency", after=test_distances
)
def test_distances_loops(submission):
    sizes = ((30, 40), (90, 80))  # torch.cdist itself goes another way up to 25 points
    small, large = ((torch.randn(n, 3), torch.randn(m, 3)) for n, m in sizes)
    expect.vectorised(submission.pairwise_distance_matrix, small, large)
