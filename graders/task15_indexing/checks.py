"""Checks for task 15: indexing, joining, cutting and reshaping.

The oracles are PyTorch's own functions, and for patches slices that are stacked one by one. Numbers are distinct where
places are asked for, so that one in the wrong place shows.
"""

import torch
from torch.nn import functional as F

from torchgrade.authoring import LAYOUTS, LEFT_OUT, RECORDING, check, expect, grid, kit

SINGLE, DOUBLE = torch.float32, torch.float64
ANY_DTYPE = [SINGLE, DOUBLE, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
REFUSED = ["ValueError", "IndexError", "RuntimeError", "TypeError", "AssertionError"]
NAN = float("nan")


def anything(cases):
    """The cases in every dtype and layout, NaN or infinity among floating numbers, integers of any size."""
    values = [kit.integers, kit.not_a_number, kit.infinite, kit.whole_range]
    cases = cases.vary(dtype=ANY_DTYPE, layout=LAYOUTS, grad=RECORDING, values=values)
    return cases.only(fits)


def fits(dtype, values):
    if values is kit.whole_range:
        return not dtype.is_floating_point and dtype is not torch.bool
    return dtype.is_floating_point or values is kit.integers


def below(bound):
    """Values for indices: whole numbers from 0 to bound - 1."""

    def drawn(shape, dtype, generator):
        return torch.randint(0, bound, tuple(shape), generator=generator).double()

    drawn.__doc__ = f"whole numbers below {bound}"
    return drawn


def indices(draw, *shape, bound):
    return draw(*shape, dtype=torch.int64, values=below(bound))


# --- picking -------------------------------------------------------------------------------------------------------


def choices(draw, shapes, other=None):
    cond, a, b = shapes
    return {
        "cond": draw(*cond, dtype=torch.bool, values=kit.integers),
        "a": draw(*a),
        "b": draw(*b) if other is None else draw(*b, dtype=other, values=kit.integers),
    }


CHOICES = grid(
    choices,
    shapes=[
        ((2, 3), (2, 3), (2, 3)),
        ((2, 1), (3,), (2, 3)),
        ((3,), (2, 1), ()),
        ((), (2, 3), (2, 1)),
        ((2, 3), (1, 3), (2, 2, 1)),
        ((0, 3), (0, 3), (1, 3)),
        ((1,), (1,), (1,)),
    ],
    values=[kit.distinct],
    other=[None],
)


@check("select_where takes a where cond is True, b elsewhere", points=1.5, category="values", devices="all")
def test_select_where(submission, device):
    expect.agrees(
        submission.select_where,
        torch.where,
        CHOICES,
        device=device,
        likely={
            "a and b are swapped": lambda cond, a, b: torch.where(cond, b, a),
            "what is not taken becomes 0": lambda cond, a, b: torch.where(cond, a, 0 * b),
        },
    )


@check("select_where gives the dtype of a + b, in any layout", points=0.5, category="robustness",
       after=test_select_where, hidden=True)  # fmt: skip
def test_select_where_inputs(submission):
    cases = anything(CHOICES).vary(
        other=[None, torch.int64, DOUBLE, torch.bool], values=[kit.integers, kit.whole_range]
    )
    expect.agrees(
        submission.select_where,
        torch.where,
        cases,
        unchanged=True,
        likely={"the result has the dtype of a": lambda cond, a, b: torch.where(cond, a, b.to(a.dtype))},
    )
    mixed = CHOICES.vary(
        shapes=[((2, 3), (2, 3), (3,)), ((2, 3), (2, 1), ()), ((3,), (), (2, 1)), ((2,), (), ())],
        other=[torch.int64, SINGLE, DOUBLE, torch.bool],
        dtype=[SINGLE, torch.float16, torch.int64],
        values=[kit.integers],
    )
    expect.agrees(
        submission.select_where,
        torch.where,
        mixed.thorough(),
        likely={
            "a tensor without axes counts less: float32 (2,) and float64 () give float32": lambda cond, a, b: (
                torch.where(
                    cond, a.to(torch.promote_types(a.dtype, b.dtype)), b.to(torch.promote_types(a.dtype, b.dtype))
                )
            )
        },
    )


@check("select_where keeps NaN and infinity of the other side out", points=0.5, category="gradients",
       after=test_select_where, hidden=True)  # fmt: skip
def test_select_where_far(submission):
    values = [kit.normal, kit.not_a_number, kit.infinite, kit.minus_infinite]
    cases = CHOICES.vary(values=values, dtype=[SINGLE, DOUBLE]).only(lambda shapes: shapes[0] != (0, 3))
    expect.agrees(
        submission.select_where,
        torch.where,
        cases,
        gradients=True,
        likely={"0 times NaN is NaN: products with cond let it through": lambda cond, a, b: cond * a + ~cond * b},
    )


def rows(draw, size, wanted):
    """x, and rows for as many columns as ``wanted`` has, or all of them."""
    return {"x": draw(*size), "index": indices(draw, *wanted, bound=size[0])}


ROWS = grid(
    rows,
    size=[(4, 4), (3, 5), (5, 4), (1, 4)],
    wanted=[(4, 4), (3, 4), (6, 4), (2, 3), (1, 1)],
    values=[kit.distinct],
)


def picked_one_by_one(x, index):
    count, columns = index.shape
    places = [x[:0, 0], *(x[index[i, j], j][None] for i in range(count) for j in range(columns))]
    return torch.cat(places).reshape(count, columns)


@check("gather_rows gives the example of its docstring", points=0.5, category="values")
def test_gather_rows_example(submission):
    x = torch.arange(1, 17).reshape(4, 4)
    index = torch.tensor([[0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 3, 3]])
    expect.equal(
        submission.gather_rows(x, index).tolist(),
        [[1, 6, 7, 8], [1, 6, 11, 12], [1, 6, 15, 16]],
        given="the x (4, 4) and index (3, 4) of the docstring",
        likely={"index counts along the rows, as gather(1, index) does": x.gather(1, index).tolist()},
    )


@check("gather_rows picks in each column the row that index names", points=1.5, category="values", devices="all")
def test_gather_rows(submission, device):
    expect.agrees(
        submission.gather_rows,
        picked_one_by_one,
        ROWS,
        device=device,
        likely={
            "index counts along the rows, as gather(1, index) does": lambda x, index: x.gather(1, index),
            "x[index] takes whole rows": lambda x, index: x[index],
        },
    )


def picks(draw, size):
    return {"logits": draw(*size), "target": indices(draw, size[0], bound=size[1])}


PICKS = grid(picks, size=[(4, 3), (3, 3), (2, 5), (1, 4), (0, 3), (5, 1)], values=[kit.distinct])


def picked_labels(logits, target):
    return logits[torch.arange(len(target), device=target.device), target]


@check("pick_labels picks the number of its class from each row", points=1.5, category="values", devices="all")
def test_pick_labels(submission, device):
    expect.agrees(
        submission.pick_labels,
        picked_labels,
        PICKS,
        device=device,
        likely={
            "logits[:, target] pairs each row with each target": lambda logits, target: logits[:, target],
            "the axis of length 1 is still there": lambda logits, target: picked_labels(logits, target)[:, None],
            "squeeze() drops the batch when it holds one row": lambda logits, target: picked_labels(
                logits, target
            ).squeeze(),
        },
    )


def classes(draw, sizes, bound, *, n):
    return {"t": indices(draw, *sizes, bound=min(n, bound))}


CLASSES = grid(
    classes,
    sizes=[(6,), (2, 3), (1,), (), (0,), (2, 1, 2), (0, 3), (2, 0)],
    n=[4, 1, 7],
    bound=[9, 2],
)


def strict_one_hot(t, n):
    if t.numel() and int(t.max()) >= n:
        raise IndexError("no such class")
    return (t[..., None] == torch.arange(n, device=t.device)).long()


@check("one_hot puts a 1 at the place of each class", points=1, category="values", devices="all")
def test_one_hot(submission, device):
    expect.agrees(
        submission.one_hot,
        strict_one_hot,
        CLASSES,
        device=device,
        likely={
            "the result is float32, not int64": lambda t, n: strict_one_hot(t, n).float(),
            "the result is boolean, not int64": lambda t, n: strict_one_hot(t, n).bool(),
            "the number of classes is read from t": lambda t, n: F.one_hot(t) if t.numel() else strict_one_hot(t, n),
            "classes are counted from 1": lambda t, n: (t[..., None] - 1 == torch.arange(n, device=t.device)).long(),
        },
    )


@check("one_hot refuses a class that has no place", points=0.5, category="robustness", after=test_one_hot)
def test_one_hot_refuses(submission):
    for t, n in ((torch.tensor([0, 3, 1]), 3), (torch.tensor([[1], [7]]), 4), (torch.tensor(2), 2)):
        expect.raises(REFUSED, submission.one_hot, t, n, given=f"t = {t.tolist()}, n = {n}")


@check("gather_rows, pick_labels and one_hot take any dtype and layout", points=0.5, category="robustness",
       after=[test_gather_rows, test_pick_labels, test_one_hot], hidden=True)  # fmt: skip
def test_picking_inputs(submission):
    few = ROWS.vary(wanted=[(4, 4), (2, 3), (0, 4)])
    expect.agrees(submission.gather_rows, picked_one_by_one, anything(few), unchanged=True)
    expect.agrees(submission.pick_labels, picked_labels, anything(PICKS), unchanged=True)
    expect.agrees(submission.one_hot, strict_one_hot, CLASSES.vary(layout=LAYOUTS), unchanged=True)


@check("gradients reach what gather_rows and pick_labels picked", points=0.5, category="gradients",
       after=[test_gather_rows, test_pick_labels])  # fmt: skip
def test_picking_gradients(submission):
    floats = {"dtype": [DOUBLE, SINGLE], "values": [kit.normal]}
    expect.agrees(submission.gather_rows, picked_one_by_one, ROWS.vary(**floats), gradients=True)
    expect.agrees(submission.pick_labels, picked_labels, PICKS.vary(**floats), gradients=True)


# --- masked_fill_mean ----------------------------------------------------------------------------------------------


def alternating(shape, dtype, generator):
    """about a third is True, but never the first"""
    count = torch.Size(shape).numel()
    gone = torch.randperm(count, generator=generator) % 3 == 1
    gone[0] = False
    return gone.reshape(tuple(shape)).double()


def gappy(draw, shapes):
    return {"x": draw(*shapes[0]), "mask": draw(*shapes[1], dtype=torch.bool, values=alternating)}


GAPPY = grid(
    gappy,
    shapes=[
        ((3, 4), (3, 4)),
        ((7,), (7,)),
        ((3, 4), (4,)),
        ((4, 3), (4, 1)),
        ((2, 3, 4), (3, 1)),
        ((1, 5), (1, 5)),
        ((2, 5, 1), (2, 5, 1)),
        ((), ()),
    ],
    values=[kit.normal, kit.thousands],
)


def filled_one_by_one(x, mask):
    """Python numbers are added up; the masked ones never take part."""
    kept = [x.reshape(-1)[n] for n, gone in enumerate(mask.expand(x.shape).reshape(-1).tolist()) if not gone]
    return torch.where(mask, sum(kept) / len(kept), x)


COLUMN = torch.tensor([False, True, False, False])


def filled_with(mean):
    return lambda x, mask: torch.where(mask, mean(x, mask.expand(x.shape)), x)


@check("masked_fill_mean puts the mean of the others where mask is True", points=1.5, category="values", devices="all")
def test_masked_fill_mean(submission, device):
    expect.agrees(
        submission.masked_fill_mean,
        filled_one_by_one,
        GAPPY,
        device=device,
        likely={
            "the mean is taken of all numbers, masked ones too": filled_with(lambda x, mask: x.mean()),
            "the sum is divided by the count of all numbers": filled_with(
                lambda x, mask: torch.where(mask, 0, x).sum() / x.numel()
            ),
            "the mask is counted before it is broadcast to the shape of x": lambda x, mask: torch.where(
                mask, torch.where(mask, 0, x).sum() / (~mask).sum(), x
            ),
            "the mask is used the wrong way round": lambda x, mask: torch.where(
                mask, x, x[mask.expand(x.shape)].mean()
            ),
            "each row gets a mean of its own": filled_with(
                lambda x, mask: (
                    torch.where(mask, 0, x).sum(-1, keepdim=True) / (~mask).sum(-1, keepdim=True) if x.ndim else x.sum()
                )
            ),
        },
    )


@check("masked_fill_mean does not mind NaN in masked places", points=0.5, category="robustness",
       after=test_masked_fill_mean, hidden=True)  # fmt: skip
def test_masked_fill_mean_missing(submission):
    for what in (NAN, float("inf"), -float("inf")):
        x = torch.randn(4, 3, dtype=DOUBLE)
        mask = torch.tensor([[True, False, False], [False, False, True], [False, True, True], [False, False, False]])
        holed = x.masked_fill(mask, what)
        expect.close(
            submission.masked_fill_mean(holed, mask),
            filled_one_by_one(x, mask),
            equal_nan=True,
            given=f"{what} in each masked place of x (4, 3)",
            likely={"0 times NaN is NaN, also in a sum": holed.masked_fill(mask, NAN)},
        )


@check("masked_fill_mean keeps any floating dtype and leaves x alone", points=0.5, category="robustness",
       after=test_masked_fill_mean, hidden=True)  # fmt: skip
def test_masked_fill_mean_inputs(submission):
    cases = GAPPY.vary(dtype=[SINGLE, DOUBLE, torch.float16, torch.bfloat16], layout=LAYOUTS, grad=RECORDING,
                       values=[kit.normal])  # fmt: skip
    expect.agrees(submission.masked_fill_mean, filled_one_by_one, cases, unchanged=True)
    x = torch.randn(3, 4)
    for given, mask in (("nothing is masked", torch.zeros(3, 4, dtype=torch.bool)), ("one column is masked", COLUMN)):
        after = submission.probes.after_writing(submission.masked_fill_mean, x, mask)
        expect.close(after, x, trivial="x has to come back as it was", likely={"the result is x itself": x * 0 + 99},
                     given=f"x (3, 4), {given}; then 99 is written into the result")  # fmt: skip


@check("gradients flow through the mean of masked_fill_mean", points=0.5, category="gradients",
       after=test_masked_fill_mean)  # fmt: skip
def test_masked_fill_mean_gradients(submission):
    cases = GAPPY.vary(dtype=[DOUBLE, SINGLE], values=[kit.normal])
    expect.agrees(
        submission.masked_fill_mean,
        filled_one_by_one,
        cases,
        gradients=True,
        likely={"the mean is cut off from the graph": filled_with(lambda x, mask: x[~mask].mean().detach())},
    )


# --- joining -------------------------------------------------------------------------------------------------------


def in_a(kind, tensors):
    return tuple(tensors) if kind == "tuple" else tensors


def strips(draw, sizes, kind, *, dim):
    """A list or tuple of tensors of one shape, but along dim their lengths are ``sizes``."""
    axis = 0 if dim is LEFT_OUT else dim
    shapes = []
    for size in sizes:
        shape = [2, 3, 4]
        shape[axis] = size
        shapes.append(shape)
    return {"tensors": in_a(kind, [draw(*shape) for shape in shapes])}


STRIPS = grid(
    strips,
    sizes=[(2, 2), (1, 3, 2), (3,), (2, 0), (0, 1)],
    dim=[LEFT_OUT, 1, 2, -1, -3, 0],
    kind=["list", "tuple"],
    values=[kit.distinct],
)


@check("join lays tensors behind each other along dim", points=1, category="values", devices="all")
def test_join(submission, device):
    expect.agrees(
        submission.join,
        torch.cat,
        STRIPS,
        device=device,
        likely={
            "a new axis is made, as stack does": lambda tensors, dim=0: (
                torch.stack(tensors, dim) if len({t.shape for t in tensors}) == 1 else torch.cat(tensors, dim)
            ),
            "the tensors are joined in reverse order": lambda tensors, dim=0: torch.cat(tensors[::-1], dim),
        },
    )


def sheets(draw, size, count, kind):
    return {"tensors": in_a(kind, [draw(*size) for _ in range(count)])}


SHEETS = grid(
    sheets,
    size=[(2, 4), (3, 3), (1, 2), (0, 3)],
    count=[2, 3, 1],
    dim=[LEFT_OUT, 1, 2, -1, -3, 0],
    kind=["list", "tuple"],
    values=[kit.distinct],
)


@check("pile lays tensors on each other along a new axis", points=1, category="values", devices="all")
def test_pile(submission, device):
    expect.agrees(
        submission.pile,
        torch.stack,
        SHEETS,
        device=device,
        likely={
            "no new axis is made: this is join": lambda tensors, dim=0: (
                torch.cat(tensors, dim) if dim < 2 else torch.stack(tensors, dim)
            ),
            "a negative dim is counted before the new axis is there": lambda tensors, dim=0: torch.stack(
                tensors, dim + tensors[0].ndim if dim < 0 else dim
            ),
        },
    )


@check("pile of two (2, 4) has the shapes of its docstring", points=0.5, category="shapes")
def test_pile_shapes(submission):
    pair = [torch.randn(2, 4), torch.randn(2, 4)]
    for dim, shape, joined in ((0, (2, 2, 4), (4, 4)), (1, (2, 2, 4), (2, 8)), (2, (2, 4, 2), (2, 8))):
        given = f"two tensors (2, 4), dim={dim}"
        expect.shape(submission.pile(pair, dim=dim), shape, given=given, likely={"no new axis is made": joined})


@check("join and pile refuse shapes that do not fit", points=0.5, category="robustness", after=[test_join, test_pile])
def test_joining_refuses(submission):
    for shapes, dim in (
        (((2, 3), (2, 4)), 0),
        (((1, 3), (2, 3)), 1),
        (((0, 5), (2, 3)), 0),
        (((2, 3), (2, 4), (2, 3)), 0),
        (((2, 3), (3,)), 0),
        (((3,), (2, 3)), 0),
    ):
        tensors, given = [torch.randn(shape) for shape in shapes], f"join of {spelt(shapes)}, dim={dim}"
        expect.raises(REFUSED, submission.join, tensors, dim=dim, given=given)
    for shapes in (
        ((2, 3), (2, 4)),
        ((1, 3), (2, 3)),
        ((2, 3), (3, 2)),
        ((2, 3), (1, 3), (2, 3)),
        ((2, 3), (3,)),
    ):
        tensors, given = [torch.randn(shape) for shape in shapes], f"pile of {spelt(shapes)}, dim=0"
        expect.raises(REFUSED, submission.pile, tensors, dim=0, given=given)


def spelt(shapes):
    return ", ".join(map(str, shapes))


@check("join and pile take any dtype and layout, and pass gradients", points=0.5, category="gradients",
       after=[test_join, test_pile], hidden=True)  # fmt: skip
def test_joining_inputs(submission):
    for function, oracle, cases in ((submission.join, torch.cat, STRIPS), (submission.pile, torch.stack, SHEETS)):
        cases = cases.vary(values=[kit.integers], dim=[LEFT_OUT, 1, -1])
        expect.agrees(function, oracle, anything(cases), unchanged=True)
        expect.agrees(function, oracle, cases.vary(dtype=[DOUBLE, SINGLE]), gradients=True)


@check("join and pile return memory of their own", points=0.5, category="robustness", after=[test_join, test_pile],
       hidden=True)  # fmt: skip
def test_joining_owns(submission):
    for name, rows in (
        ("join", (2,)),
        ("join", (2, 2)),
        ("join", (2, 0)),
        ("join", (0, 2)),
        ("pile", (2,)),
        ("pile", (2, 2)),
    ):
        tensors = [torch.randn(count, 3) for count in rows]
        expect.close(
            submission.probes.after_writing(getattr(submission, name), tensors),
            tensors,
            trivial="the arguments have to come back as they were",
            given=f"{name} of {spelt([(count, 3) for count in rows])}; then 99 is written into the result",
        )


# --- cutting -------------------------------------------------------------------------------------------------------


def loaf(draw, length, *, dim):
    shape = [2, 2, 2]
    shape[0 if dim is LEFT_OUT else dim] = length
    return {"x": draw(*shape)}


LENGTHS = grid(
    loaf,
    length=[10, 7, 4, 1],
    sizes=[3, [1, 3, 6], 2, 1, 12, (4, 3), [0, 4, 0], [1]],
    dim=[LEFT_OUT, 1, 2, -1, -3],
    values=[kit.distinct],
    where=lambda length, sizes: isinstance(sizes, int) or sum(sizes) == length,
)
PARTS = grid(loaf, length=[10, 7, 2, 1, 12], n=[4, 6, 2, 3, 1], dim=[LEFT_OUT, 1, 2, -1, -3], values=[kit.distinct])


def cut(x, sizes, dim=0):
    return list(torch.split(x, sizes if isinstance(sizes, int) else list(sizes), dim))


def cut_evenly(x, n, dim=0):
    return list(torch.tensor_split(x, n, dim))


@check("split_sizes cuts pieces of the lengths asked for", points=1.5, category="values", devices="all")
def test_split_sizes(submission, device):
    expect.agrees(
        submission.split_sizes,
        cut,
        LENGTHS,
        device=device,
        likely={
            "a number is the length of a piece, not how many there are": lambda x, sizes, dim=0: (
                list(torch.chunk(x, sizes, dim)) if isinstance(sizes, int) else cut(x, sizes, dim)
            ),
            "the shorter last piece is missing": lambda x, sizes, dim=0: (
                cut(x, sizes, dim)[: x.shape[dim] // sizes] if isinstance(sizes, int) else cut(x, sizes, dim)
            ),
            "the sizes are taken for places to cut at": lambda x, sizes, dim=0: (
                cut(x, sizes, dim) if isinstance(sizes, int) else list(torch.tensor_split(x, list(sizes), dim))
            ),
        },
    )


@check("split_sizes refuses lengths with another sum", points=0.5, category="robustness", after=test_split_sizes)
def test_split_sizes_refuses(submission):
    x = torch.randn(10, 2)
    for sizes, dim in (([1, 3, 5], 0), ([4, 8], 0), ([1, 2], 1)):
        given = f"x (10, 2), sizes {sizes}, dim {dim}"
        expect.raises(REFUSED, submission.split_sizes, x, sizes, dim, given=given)


@check("split_evenly cuts exactly n pieces, the longer ones first", points=1.5, category="values", devices="all")
def test_split_evenly(submission, device):
    expect.agrees(
        submission.split_evenly,
        cut_evenly,
        PARTS,
        device=device,
        likely={
            "chunk(n) may make fewer than n pieces, and a short last one": lambda x, n, dim=0: list(x.chunk(n, dim)),
            "n is used as the length of a piece": lambda x, n, dim=0: list(x.split(n, dim)),
            "the shorter pieces come first": lambda x, n, dim=0: list(
                x.split(sorted(len(piece) for piece in torch.arange(x.shape[dim]).tensor_split(n)), dim)
            ),
            "the last piece takes all that is left over": lambda x, n, dim=0: list(
                x.split([x.shape[dim] // n] * (n - 1) + [x.shape[dim] - x.shape[dim] // n * (n - 1)], dim)
            ),
        },
    )


@check("the pieces of a cut are views: a write into one shows in x", points=1, category="values",
       after=[test_split_sizes, test_split_evenly])  # fmt: skip
def test_views(submission):
    plain, turned = torch.arange(40.0).reshape(10, 4), torch.arange(40.0).reshape(4, 10).T
    for name, x, argument, dim in (
        ("split_sizes", plain, 3, 0),
        ("split_sizes", plain, [1, 3], 1),
        ("split_sizes", plain, 3, 1),
        ("split_sizes", plain, 12, 0),
        ("split_sizes", plain, [10], 0),
        ("split_sizes", turned, 3, 0),
        ("split_evenly", plain, 4, 0),
        ("split_evenly", plain, 3, -1),
        ("split_evenly", plain, 1, 0),
        ("split_evenly", plain, 12, 0),
        ("split_evenly", turned, 4, 0),
    ):
        layout = "" if x is plain else "a transposed "
        after = submission.probes.after_writing(getattr(submission, name), x, argument, dim)
        expect.close(
            after,
            torch.full_like(x, 99.0),
            trivial="every piece is overwritten with this number",
            likely={"the pieces are copies": x},
            given=f"{name}(x, {argument}, {dim}) of {layout}x (10, 4); then 99 is written into every piece",
        )


@check("cuts take any dtype and layout, and pass gradients", points=0.5, category="gradients",
       after=[test_split_sizes, test_split_evenly], hidden=True)  # fmt: skip
def test_cutting_inputs(submission):
    for function, oracle, cases in (
        (submission.split_sizes, cut, LENGTHS),
        (submission.split_evenly, cut_evenly, PARTS),
    ):
        cases = cases.vary(values=[kit.integers], dim=[LEFT_OUT, 1, -1])
        expect.agrees(function, oracle, anything(cases), unchanged=True)
        expect.agrees(function, oracle, cases.vary(dtype=[DOUBLE, SINGLE]), gradients=True)


# --- windows and patches -------------------------------------------------------------------------------------------

SLIDING = grid(
    shape=[(7,), (2, 8), (1, 5), (3, 1, 6), (0, 5), (5, 2, 5), (2, 1, 3, 5), (1, 2, 1, 3, 5)],
    size=[3, 2, 1, 5],
    step=[2, 1, 3, 6],
    values=[kit.distinct],
)


def slid(x, size, step):
    starts = range(0, x.shape[-1] - size + 1, step)
    return torch.stack([x[..., start : start + size] for start in starts], -2)


@check("windows slides a window along the last axis", points=2, category="values", devices="all")
def test_windows(submission, device):
    expect.agrees(
        submission.windows,
        slid,
        SLIDING,
        device=device,
        likely={
            "size and step are swapped": lambda x, size, step: (
                slid(x, step, size) if step <= x.shape[-1] else x.unfold(-1, step, size)
            ),
            "step is not used": lambda x, size, step: slid(x, size, 1),
            "windows do not overlap: size is used as the step": lambda x, size, step: slid(x, size, size),
            "the axis of windows is the last one": lambda x, size, step: slid(x, size, step).mT,
            "the last window is missing": lambda x, size, step: slid(x, size, step)[..., :-1, :],
        },
    )


@check("windows refuses a size above the length", points=0.5, category="robustness", after=test_windows)
def test_windows_refuses(submission):
    for x, size, step in ((torch.randn(5), 6, 1), (torch.randn(2, 3), 5, 2), (torch.randn(8, 2), 4, 9)):
        expect.raises(REFUSED, submission.windows, x, size, step,
                      given=f"x {tuple(x.shape)}, size {size}, step {step}")  # fmt: skip


PICTURES = grid(
    shape=[(3, 4, 6), (1, 4, 4), (2, 6, 2), (4, 2, 12), (1, 1, 1), (2, 12, 6)],
    p=[2, 1, 3],
    values=[kit.distinct],
    where=lambda shape, p: shape[1] % p == 0 and shape[2] % p == 0,
)


def sliced(img, p):
    _, height, width = img.shape
    corners = [(top, left) for top in range(0, height, p) for left in range(0, width, p)]
    return torch.stack([img[:, top : top + p, left : left + p] for top, left in corners])


def by_columns(img, p):
    return sliced(img.mT, p).mT


@check("patchify cuts a picture into patches, row by row", points=2, category="values", devices="all")
def test_patchify(submission, device):
    expect.agrees(
        submission.patchify,
        sliced,
        PICTURES,
        device=device,
        likely={
            "reshape alone keeps the order of the numbers: pixels are scrambled": lambda img, p: img.reshape(
                -1, len(img), p, p
            ),
            "the patches stand column by column": by_columns,
            "each patch is transposed": lambda img, p: sliced(img, p).mT,
            "the channels stand behind the pixels": lambda img, p: sliced(img, p).permute(0, 2, 3, 1),
            "each patch is flat": lambda img, p: sliced(img, p).flatten(1),
        },
    )


@check("patchify refuses what p does not divide", points=0.5, category="robustness", after=test_patchify)
def test_patchify_refuses(submission):
    for shape, p in (((3, 5, 4), 2), ((3, 4, 5), 2), ((1, 2, 2), 3), ((2, 3, 3), 2), ((1, 2, 8), 4)):
        expect.raises(REFUSED, submission.patchify, torch.randn(shape), p, given=f"img {shape}, p {p}")


def patches_of(draw, picture, p):
    channels, height, width = picture
    return {"patches": draw(height // p * (width // p), channels, p, p), "height": height, "width": width}


PATCHES = grid(
    patches_of,
    picture=PICTURES.axes["shape"],
    p=PICTURES.axes["p"],
    values=[kit.distinct],
    where=lambda picture, p: picture[1] % p == 0 and picture[2] % p == 0,
)


def pasted(patches, height, width):
    across = width // patches.shape[-1]
    bands = [torch.cat(list(patches[n : n + across]), -1) for n in range(0, len(patches), across)]
    return torch.cat(bands, -2)


@check("unpatchify puts patches together, row by row", points=1.5, category="values", devices="all")
def test_unpatchify(submission, device):
    expect.agrees(
        submission.unpatchify,
        pasted,
        PATCHES,
        device=device,
        likely={
            "reshape alone keeps the order of the numbers: pixels are scrambled": lambda patches, height, width: (
                patches.reshape(patches.shape[1], height, width)
            ),
            "the patches are laid column by column": lambda patches, height, width: (
                pasted(patches.mT, width, height).mT
            ),
            "height and width are swapped": lambda patches, height, width: pasted(patches, width, height),
        },
    )


@check("unpatchify gives back what patchify cut", points=0.5, category="robustness", hidden=True)
def test_round_trip(submission):
    for shape, p in (((3, 4, 6), 2), ((2, 6, 3), 3), ((1, 2, 8), 1)):
        img = torch.randn(shape)
        got = submission.unpatchify(submission.patchify(img, p), shape[1], shape[2])
        expect.close(got, img, trivial="there and back again", given=f"img {shape}, p {p}")


@check("unpatchify refuses sizes that do not fit", points=0.5, category="robustness", after=test_unpatchify)
def test_unpatchify_refuses(submission):
    for shape, height, width in (
        ((4, 1, 2, 2), 5, 4),
        ((4, 1, 2, 2), 4, 5),
        ((6, 3, 2, 2), 4, 4),
        ((3, 1, 2, 2), 4, 4),
        ((4, 1, 2, 2), 1, 16),
        ((4, 1, 2, 2), 16, 1),
        ((4, 1, 2, 2), 4, 2),
        ((2, 6, 2, 2), 4, 6),
    ):
        given = f"patches {shape}, height {height}, width {width}"
        expect.raises(REFUSED, submission.unpatchify, torch.randn(shape), height, width, given=given)


# --- pictures and signals ------------------------------------------------------------------------------------------

TURNS = grid(
    shape=[(2, 3), (3, 3), (1, 4), (2, 3, 4), (2, 1, 3, 2), (4, 1), (1, 2, 1, 3, 2)],
    k=[1, 2, 3, 0, -1, 4, 5, -6],
    values=[kit.distinct],
)


def turned(x, k):
    return torch.rot90(x, k, (-2, -1))


@check("rotate90 turns the last two axes anticlockwise", points=1.5, category="values", devices="all")
def test_rotate90(submission, device):
    expect.agrees(
        submission.rotate90,
        turned,
        TURNS,
        device=device,
        likely={
            "this turns clockwise": lambda x, k: turned(x, -k),
            "the first two axes turn, not the last two": lambda x, k: torch.rot90(x, k),
            "k is not used: always one turn": lambda x, k: turned(x, 1),
            "a transposition alone is no turn": lambda x, k: x.mT if k % 2 else x,
        },
    )


MIRRORED = grid(shape=[(3, 4), (5,), (2, 3, 4), (1, 3), (3, 1), (2, 2, 2, 3), (1, 2, 1, 3, 2)], values=[kit.distinct])


@check("hflip reverses the last axis and no other", points=0.5, category="values", devices="all")
def test_hflip(submission, device):
    expect.agrees(
        submission.hflip,
        lambda x: torch.flip(x, (-1,)),
        MIRRORED,
        device=device,
        likely={
            "the rows are reversed: this is upside down": lambda x: x.flip(-2 if x.ndim > 1 else -1),
            "all axes are reversed": lambda x: x.flip(tuple(range(x.ndim))),
            "the second axis is reversed, not the last": lambda x: x.flip(1) if x.ndim > 1 else x.flip(0),
        },
    )


SIGNALS = grid(
    shape=[(8,), (7,), (3, 6), (2, 3, 5), (1, 4), (1,), (4, 1), (2,), (2, 3, 1, 4), (1, 2, 1, 3, 4)],
    values=[kit.normal, kit.thousands],
    dtype=[SINGLE, DOUBLE],
)


def strengths(x):
    """The sum of the definition, cosines and sines apart."""
    n = torch.arange(x.shape[-1], dtype=DOUBLE, device=x.device)
    angles = 2 * torch.pi * n.outer(n) / x.shape[-1]
    return torch.hypot(x.double() @ angles.cos(), x.double() @ angles.sin()).to(x.dtype)


@check("fft_magnitude gives the magnitude of every frequency", points=1.5, category="values", devices="all")
def test_fft_magnitude(submission, device):
    expect.agrees(
        submission.fft_magnitude,
        strengths,
        SIGNALS,
        device=device,
        likely={
            "half of the frequencies are missing, as after rfft": lambda x: strengths(x)[..., : x.shape[-1] // 2 + 1],
            "the square of the magnitude is returned": lambda x: strengths(x) ** 2,
            "the result is divided by the length": lambda x: strengths(x) / x.shape[-1],
            "only the real part is returned": lambda x: torch.fft.fft(x).real,
            "frequency 0 was shifted to the middle": lambda x: torch.fft.fftshift(strengths(x), -1),
            "all axes are transformed, not the last one alone": lambda x: torch.fft.fftn(x).abs(),
        },
    )


@check("fft_magnitude of [1, 2, 3, 4] is [10, 2.8284, 2, 2.8284]", points=0.5, category="values")
def test_fft_magnitude_example(submission):
    expected = torch.tensor([10, 8**0.5, 2, 8**0.5])
    expect.close(submission.fft_magnitude(torch.tensor([1.0, 2, 3, 4])), expected, given="x = [1, 2, 3, 4]")


@check("windows and patches take any dtype and layout, and pass gradients", points=0.5, category="gradients",
       after=[test_windows, test_patchify, test_unpatchify], hidden=True)  # fmt: skip
def test_sliding_inputs(submission):
    for function, oracle, cases in (
        (submission.windows, slid, SLIDING),
        (submission.patchify, sliced, PICTURES),
        (submission.unpatchify, pasted, PATCHES),
    ):
        cases = cases.vary(values=[kit.integers])
        expect.agrees(function, oracle, anything(cases), unchanged=True)
        expect.agrees(function, oracle, cases.vary(dtype=[DOUBLE, SINGLE]), gradients=True)


def takes_expanded():
    """Whether this torch transforms a row that was expanded; 2.6 with MKL does not."""
    try:
        torch.fft.fft(torch.ones(()).expand(8))
    except RuntimeError:
        return False
    return True


@check("turns, mirrors and spectra take any layout, and pass gradients", points=0.5, category="gradients",
       after=[test_rotate90, test_hflip, test_fft_magnitude], hidden=True)  # fmt: skip
def test_picture_inputs(submission):
    for function, oracle, cases in (
        (submission.rotate90, turned, TURNS.vary(k=[1, 2, -1])),
        (submission.hflip, lambda x: torch.flip(x, (-1,)), MIRRORED),
    ):
        cases = cases.vary(values=[kit.integers])
        expect.agrees(function, oracle, anything(cases), unchanged=True)
        expect.agrees(function, oracle, cases.vary(dtype=[DOUBLE, SINGLE]), gradients=True)
    signals = SIGNALS.vary(values=[kit.normal])
    layouts = LAYOUTS if takes_expanded() else tuple(layout for layout in LAYOUTS if layout != "expanded")
    expect.agrees(submission.fft_magnitude, strengths, signals.vary(layout=layouts, grad=RECORDING), unchanged=True)
    expect.agrees(submission.fft_magnitude, strengths, signals, gradients=True, slack=10)


# --- all together --------------------------------------------------------------------------------------------------


@check("picking needs no Python loop over the data", points=0.5, category="efficiency",
       after=[test_select_where, test_gather_rows, test_pick_labels, test_one_hot, test_masked_fill_mean],
       hidden=True)  # fmt: skip
def test_picking_growth(submission):
    def several(rows, columns):
        x, t = torch.randn(rows, columns), torch.arange(rows) % columns
        mask = torch.arange(rows * columns).reshape(rows, columns) % 3 == 0
        return {
            "select_where": (mask, x, x + 1),
            "gather_rows": (x, t.unsqueeze(1).repeat(1, columns) % rows),
            "pick_labels": (x, t),
            "masked_fill_mean": (x, mask),
            "one_hot": (t, columns),
        }

    small, large = several(4, 3), several(40, 30)
    for name, arguments in small.items():
        expect.vectorised(getattr(submission, name), arguments, large[name], given=f"{name} on 100 times the numbers")


@check("pictures and signals need no Python loop over the data", points=0.5, category="efficiency",
       after=[test_windows, test_patchify, test_unpatchify, test_rotate90, test_hflip, test_fft_magnitude],
       hidden=True)  # fmt: skip
def test_picture_growth(submission):
    def several(size):
        img = torch.randn(2, size, 2 * size)
        return {
            "windows": (img, 3, 1),
            "patchify": (img, 2),
            "unpatchify": (sliced(img, 2), size, 2 * size),
            "rotate90": (img, 1),
            "hflip": (img,),
            "fft_magnitude": (img,),
        }

    small, large = several(4), several(40)
    for name, arguments in small.items():
        expect.vectorised(getattr(submission, name), arguments, large[name], given=f"{name} on 100 times the numbers")


@check("every tensor is made where the arguments are", points=0.5, category="devices", hidden=True)
def test_devices(submission):
    x, target = torch.randn(4, 6), torch.tensor([1, 0, 3, 2])
    mask = torch.arange(24).reshape(4, 6) % 3 == 0
    calls = {
        "select_where": (mask, x, x + 1),
        "gather_rows": (x, target.unsqueeze(1).repeat(1, 6)),
        "pick_labels": (x, target),
        "one_hot": (target, 5),
        "masked_fill_mean": (x, mask),
        "join": ([x, x],),
        "pile": ([x, x],),
        "split_sizes": (x, 3),
        "split_evenly": (x, 3),
        "windows": (x, 3, 2),
        "patchify": (x[None], 2),
        "unpatchify": (sliced(x[None], 2), 4, 6),
        "rotate90": (x, 1),
        "hflip": (x,),
        "fft_magnitude": (x,),
    }
    for name, arguments in calls.items():
        expect.portable(getattr(submission, name), *arguments, given=f"{name} with its arguments on another device")
