"""Checks for task 36: annotations of a COCO file, masks, measures, a small network, and merging.

The oracles are slow: pixels are looked at one by one, polygons by the winding number of exact integers.
"""

import copy
import json
import math
import statistics

import torch
from torch.nn import functional as F

from torchgrade.authoring import (
    INTEGERS,
    LEFT_OUT,
    RECORDING,
    Rule,
    any_seed,
    check,
    expect,
    grid,
    kit,
    operator_trace,
    passes_seen,
    registered_parameters,
    set_parameters,
)

DOUBLE = torch.float64
LOOSE = 1e3  # of single numbers, which may have been computed in float32

# --- the file ----------------------------------------------------------------------------------------------

SHORE = {
    "images": [{"id": key, "height": 6, "width": 8, "file_name": f"{key}.png"} for key in (139, 40, 7, 300)],
    "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "kite"}, {"id": 44, "name": "do"}],
    "annotations": [
        {"id": key, "image_id": image, "category_id": category, "iscrowd": crowd, "segmentation": [[1, 1, 4, 1, 4, 3]]}
        for key, image, category, crowd in (
            (7001, 139, 18, 0),
            (12, 139, 3, 0),
            (905, 40, 18, 0),
            (31, 40, 18, 1),
            (6, 7, 3, 1),
            (77, 7, 44, 0),
            (500, 139, 18, 0),
        )
    ],
}


def ids(value, given):
    """The ids of an answer, sorted."""
    return sorted(expect.record(value, [int], given=given))


def expect_ids(value, truth, given, likely=None):
    known = {}
    for sentence, wrong in (likely or {}).items():
        if sorted(wrong) not in (sorted(truth), *known.values()):
            known[sentence] = sorted(wrong)
    expect.equal(ids(value, given), sorted(truth), likely=known, given=given)


@check("CocoIndex finds categories by their names", points=0.5, category="values")
def test_categories(submission):
    index = submission.CocoIndex(SHORE)
    expect_ids(
        index.get_cat_ids(), [18, 3, 44], "get_cat_ids()", likely={"these are places in the list, not ids": [0, 1, 2]}
    )
    for names, truth in (
        ("dog", [18]),
        (["dog"], [18]),
        (["kite", "do"], [3, 44]),
        (("kite",), [3]),
        (("do", "dog"), [44, 18]),
        (["dog", "kite", "dog"], [18, 3]),
    ):
        within = [row["id"] for row in SHORE["categories"] if row["name"] in names]
        letters = {"a single name is taken for a list of letters, or of parts": within if names == "dog" else truth}
        expect_ids(index.get_cat_ids(names), truth, f"get_cat_ids({names!r})", likely=letters)
        expect_ids(index.get_cat_ids(names=names), truth, f"get_cat_ids(names={names!r})", likely=letters)
    twins = submission.CocoIndex({**SHORE, "categories": [*SHORE["categories"], {"id": 9, "name": "dog"}]})
    for names in ("dog", ["dog"]):
        given = f"get_cat_ids({names!r}), where two categories have this name"
        expect_ids(twins.get_cat_ids(names), [18, 9], given, likely={"only the last of the two is found": [9]})


@check("CocoIndex finds pictures that hold all the categories", points=1, category="values")
def test_pictures(submission):
    index = submission.CocoIndex(SHORE)
    held = {image: {a["category_id"] for a in SHORE["annotations"] if a["image_id"] == image} for image in (139, 40, 7)}
    expect_ids(
        index.get_img_ids(),
        [139, 40, 7, 300],
        "get_img_ids()",
        likely={"pictures without an annotation are left out": [139, 40, 7]},
    )
    for asked in (18, [18], [18, 3], (3, 44), [18, 44], [3], [18, 18], (3, 44, 3)):
        several = {asked} if isinstance(asked, int) else set(asked)
        expect_ids(
            index.get_img_ids(asked),
            [image for image, categories in held.items() if several <= categories],
            f"get_img_ids({asked})",
            likely={
                "pictures with one of the categories are found: all of them are asked for": [
                    image for image, categories in held.items() if several & categories
                ],
                "a picture is found once for each annotation": [
                    a["image_id"] for a in SHORE["annotations"] if a["category_id"] in several
                ],
            },
        )


def annotations(img_ids=None, cat_ids=None, iscrowd=None):
    def within(value, asked):
        return asked is None or value in (asked if isinstance(asked, (list, tuple)) else [asked])

    return [
        a["id"]
        for a in SHORE["annotations"]
        if within(a["image_id"], img_ids) and within(a["category_id"], cat_ids) and within(a.get("iscrowd", 0), iscrowd)
    ]


@check("CocoIndex finds annotations by picture, category and crowd", points=1.5, category="values")
def test_annotations(submission):
    index = submission.CocoIndex(SHORE)
    for asked in (
        {},
        {"img_ids": 139},
        {"img_ids": [40, 7]},
        {"cat_ids": 18},
        {"cat_ids": [3, 44]},
        {"img_ids": [139, 40], "cat_ids": [18]},
        {"iscrowd": 1},
        {"iscrowd": 0},
        {"img_ids": (40,), "cat_ids": (18,), "iscrowd": 1},
        {"img_ids": 7, "cat_ids": 3, "iscrowd": 0},
        {"img_ids": 300},
        {"img_ids": (40, 7), "cat_ids": (3, 18)},
        {"img_ids": [139, 139]},
        {"img_ids": (40, 139, 40), "cat_ids": [18, 18]},
    ):
        written = ", ".join(f"{name}={value}" for name, value in asked.items())
        crowd = asked.get("iscrowd")
        rest = {name: value for name, value in asked.items() if name != "iscrowd"}
        expect_ids(
            index.get_ann_ids(**asked),
            annotations(**asked),
            f"get_ann_ids({written})",
            likely={
                "iscrowd=0 is taken for None: 0 asks for single objects": annotations(**rest, iscrowd=crowd or None),
                "iscrowd is not used": annotations(**rest),
                "the category is not used": annotations(asked.get("img_ids"), None, crowd),
                "the picture is not used": annotations(None, asked.get("cat_ids"), crowd),
            },
        )
    expect_ids(index.get_ann_ids(40, 18, 0), [905], "get_ann_ids(40, 18, 0)")


@check("load_anns gives the annotations in the order of the ids", points=0.5, category="values")
def test_load(submission):
    index = submission.CocoIndex(SHORE)
    by_id = {row["id"]: row for row in SHORE["annotations"]}
    for asked in ([500, 12, 7001], (6, 905), [77], 31, [12, 6, 12]):
        several = [asked] if isinstance(asked, int) else list(asked)
        found = expect.record(index.load_anns(asked), [{"id": int, "image_id": int}], given=f"load_anns({asked})")
        expect.equal(
            [[row["id"], row["image_id"]] for row in found],
            [[key, by_id[key]["image_id"]] for key in several],
            likely={
                "the order is that of the file, not that of the ids": [
                    [row["id"], row["image_id"]] for row in SHORE["annotations"] if row["id"] in several
                ]
            }
            if [row["id"] for row in SHORE["annotations"] if row["id"] in several] != several
            else None,
            given=f"id and image_id of load_anns({asked})",
        )
    nothing = expect.record(index.load_anns([]), [{"id": int}], given="load_anns([])")
    expect.equal(nothing, [], trivial="no id, no annotation", given="load_anns([])")
    kinds = {"id": int, "image_id": int, "category_id": int, "iscrowd": int, "segmentation": [[int]]}
    expect.equal(expect.record(index.load_anns(6), [kinds], given="load_anns(6)"), [by_id[6]], given="load_anns(6)")


@check("load_anns refuses an id that does not occur", points=0.5, category="robustness", after=test_load, hidden=True)
def test_unknown(submission):
    index = submission.CocoIndex(SHORE)
    for asked in (0, [12, 13], [-1]):
        expect.raises("KeyError", index.load_anns, asked, given=f"load_anns({asked})")


@check("CocoIndex reads a file as it reads a dict", points=0.5, category="values")
def test_sources(submission):
    text = json.dumps({**SHORE, "categories": [*SHORE["categories"], {"id": 5, "name": "石头"}]}, ensure_ascii=False)
    for as_path in (False, True):
        path = submission.probes.written(text, as_path)
        index = submission.CocoIndex(path)
        given = "a file, whose path is a pathlib.Path" if as_path else "a file, whose path is a string"
        expect_ids(index.get_cat_ids(), [18, 3, 44, 5], f"get_cat_ids(); {given}")
        expect_ids(index.get_cat_ids("石头"), [5], f'get_cat_ids("石头"); {given}')


def without_crowds():
    """The file, in which single objects lack the key iscrowd."""
    bare = copy.deepcopy(SHORE)
    for row in bare["annotations"]:
        if not row["iscrowd"]:
            del row["iscrowd"]
    return bare


@check("two indices and their dicts stay apart", points=0.5, category="robustness", hidden=True,
       after=[test_categories, test_pictures, test_annotations, test_load])  # fmt: skip
def test_apart(submission):
    other = {
        "images": SHORE["images"][:1],
        "categories": SHORE["categories"][:2],
        "annotations": [{**row, "id": -row["id"]} for row in SHORE["annotations"] if row["image_id"] == 139],
    }
    first, second = submission.CocoIndex(SHORE), submission.CocoIndex(other)
    for which, index, pictures, found, key in (
        ("first", first, [139, 40], [7001, 905, 31, 500], 12),
        ("second", second, [139], [-7001, -500], -12),
        ("first", first, [139, 40], [7001, 905, 31, 500], 12),
    ):
        given = f"the {which} of two indices"
        expect_ids(index.get_cat_ids(), [18, 3, 44] if which == "first" else [18, 3], f"get_cat_ids(); {given}")
        expect_ids(index.get_img_ids(18), pictures, f"get_img_ids(18); {given}")
        expect_ids(index.get_ann_ids(cat_ids=18), found, f"get_ann_ids(cat_ids=18); {given}")
        loaded = f"load_anns({key}); {given}"
        rows = expect.record(index.load_anns(key), [{"id": int, "category_id": int}], given=loaded)
        expect.equal(rows, [{"id": key, "category_id": 3}], given=loaded)
    changed = submission.probes.index_changes(submission.CocoIndex, without_crowds())
    expect.equal(changed, False, given="whether the dict of the file, or a list that was asked for, has changed")


@check("an id may be 0", points=0.5, category="robustness", hidden=True,
       after=[test_categories, test_pictures, test_annotations, test_load])  # fmt: skip
def test_zero(submission):
    zero = {139: 0, 18: 0, 12: 0}
    rows = [{key: zero.get(value, value) if "id" in key else value for key, value in row.items()}
            for row in SHORE["annotations"]]  # fmt: skip
    index = submission.CocoIndex(
        {
            "images": [{"id": key, "height": 6, "width": 8} for key in (0, 40, 7, 300)],
            "categories": [{"id": 0, "name": "dog"}, {"id": 3, "name": "kite"}, {"id": 44, "name": "do"}],
            "annotations": rows,
        }
    )
    every = [row["id"] for row in rows]
    likely = {"0 is taken for no filter: only None is": [0, 40, 7, 300]}
    expect_ids(index.get_cat_ids("dog"), [0], 'get_cat_ids("dog"), which has the id 0')
    expect_ids(index.get_img_ids(0), [0, 40], "get_img_ids(0)", likely=likely)
    likely = {"0 is taken for no filter: only None is": every}
    expect_ids(index.get_ann_ids(0), [7001, 0, 500], "get_ann_ids(0)", likely=likely)
    expect_ids(index.get_ann_ids(cat_ids=0), [7001, 905, 31, 500], "get_ann_ids(cat_ids=0)", likely=likely)
    found = expect.record(index.load_anns(0), [{"id": int, "category_id": int}], given="load_anns(0)")
    expect.equal(found, [{"id": 0, "category_id": 3}], given="load_anns(0)")


@check("an annotation without iscrowd is a single object", points=0.5, category="robustness", after=test_annotations,
       hidden=True)  # fmt: skip
def test_no_crowd(submission):
    index = submission.CocoIndex(without_crowds())
    for crowd in (0, 1, None):
        expect_ids(index.get_ann_ids(iscrowd=crowd), annotations(iscrowd=crowd), f"get_ann_ids(iscrowd={crowd})")


# --- polygons ----------------------------------------------------------------------------------------------


def drawn(parts, height, width, evenly=False, shift=0.5):
    """The pixels inside of the parts, by the winding number in exact numbers; ``evenly`` is the mistake that what two
    parts share is no part of the object, ``shift`` is where the centre of a pixel is."""
    counts = torch.zeros(height, width, dtype=torch.int64)
    for part in parts:
        corners = list(zip(part[0::2], part[1::2], strict=True))
        for r in range(height):
            for c in range(width):
                counts[r, c] += turns(corners, c + shift, r + shift) != 0
    return counts % 2 == 1 if evenly else counts > 0


def turns(corners, x, y):
    found = 0
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        left = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
        found += (y0 <= y < y1 and left > 0) - (y1 <= y < y0 and left < 0)
    return found


def star(height, width, corners):
    """A part of so many corners round the middle, on sixteenths, with no centre on an edge."""
    while True:
        angles = (torch.arange(corners) + 0.8 * torch.rand(corners)) * 2 * math.pi / corners
        reach = (0.35 + 0.65 * torch.rand(corners)) * min(height, width) / 2
        x = width / 2 + reach * angles.cos()
        y = height / 2 + reach * angles.sin()
        part = ((torch.stack([x, y], 1) * 16).round() / 16).flatten().tolist()
        if not on_an_edge(part, height, width):
            return part


def on_an_edge(part, height, width):
    points = list(zip(part[0::2], part[1::2], strict=True))
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        for r in range(height):
            for c in range(width):
                x, y = c + 0.5, r + 0.5
                straight = (x1 - x0) * (y - y0) == (x - x0) * (y1 - y0)
                if straight and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1):
                    return True
    return False


def expect_mask(submission, parts, height, width, given, likely=None):
    truth = drawn(parts, height, width)
    expect.equal(
        submission.polygon_to_mask(parts, height, width),
        truth,
        likely=told_apart(truth, likely or {}),
        trivial=None if truth.any() and not truth.all() else "everything is covered, or nothing",
        given=f"polygon_to_mask, {given}, height={height}, width={width}",
    )


def told_apart(truth, known):
    """Those slips that show here, each different from those before."""
    found = {}
    for sentence, value in known.items():
        if all(not torch.equal(value, other) for other in (truth, *found.values())):
            found[sentence] = value
    return found


@check("polygon_to_mask covers the pixels whose centre is inside", points=1.5, category="values")
def test_polygon(submission):
    square = [1, 1, 4, 1, 4, 3, 1, 3]
    larger = torch.zeros(6, 8, dtype=torch.bool)
    larger[1:4, 1:5] = True
    likely = {"the polygon is a pixel too large: it holds 6 pixels": larger}
    for height, width, part in (
        (6, 8, square), (9, 13, star(9, 13, 3)), (14, 11, star(14, 11, 5)), (12, 20, star(12, 20, 9))
    ):  # fmt: skip
        turned = [value for x, y in zip(part[0::2], part[1::2], strict=True) for value in (y, x)]
        likely |= {
            "rows and columns are swapped": drawn([turned], height, width),
            "corners of pixels are tried, not centres": drawn([part], height, width, shift=0.0),
        }
        expect_mask(submission, [part], height, width, f"the part {part}", likely=likely)
        likely = {}


@check("polygon_to_mask unites the parts", points=0.5, category="values", after=test_polygon)
def test_parts(submission):
    parts = [[0.25, 0.25, 5.25, 0.25, 5.25, 4.25, 0.25, 4.25], [3.125, 2.125, 9.125, 2.125, 9.125, 6.125, 3.125, 6.125]]
    for given, shown in {
        "two parts that overlap": parts,
        "two parts apart": [[0.1, 0.1, 3.1, 0.1, 3.1, 2.1, 0.1, 2.1], [6.1, 4.1, 9.1, 4.1, 9.1, 6.9, 6.1, 6.9]],
        "two parts, one round the other way, that overlap": [
            parts[0],
            [v for k in (6, 4, 2, 0) for v in parts[1][k : k + 2]],
        ],
    }.items():
        likely = {
            "what two parts share is left out": drawn(shown, 8, 11, evenly=True),
            "only the first part is drawn": drawn(shown[:1], 8, 11),
            "only the last part is drawn": drawn(shown[-1:], 8, 11),
        }
        expect_mask(submission, shown, 8, 11, f"{given}: {shown}", likely=likely)


@check("polygon_to_mask bears dents, borders and corners at a centre's height", points=1, category="robustness",
       after=test_polygon, hidden=True)  # fmt: skip
def test_corners(submission):
    rhombus = [5.25, 0.5, 9.75, 4.5, 5.25, 8.5, 0.75, 4.5]
    for given, parts in {
        "corners at the height of centres": [rhombus],
        "the same, the other way round": [[v for k in (6, 4, 2, 0) for v in rhombus[k : k + 2]]],
        "the first corner repeated": [[*rhombus, *rhombus[:2]]],
        "a dent": [[1, 1, 9, 1, 9, 8, 6, 8, 6, 3, 4, 3, 4, 8, 1, 8]],
        "a zigzag with corners at the height of centres": [
            [0.25, 8.25, 2.25, 2.5, 4.25, 6.5, 6.25, 2.5, 8.25, 6.5, 10.25, 8.25]
        ],
        "a part beyond the picture": [[-3, -2, 30, 4.25, 5.75, 40]],
        "a part that covers everything": [[-5, -5, 40, -5, 40, 40, -5, 40]],
        "a part outside": [[20, 1, 30, 1, 30, 9, 20, 9]],
        "no part": [],
        "a part that meets no centre": [[1.6, 1.6, 2.4, 1.6, 2.4, 2.4]],
        "numbers as floats and ints": [[1, 1.0, 4.5, 1, 4, 3.75, 1.0, 3]],
    }.items():
        expect_mask(submission, parts, 9, 11, f"{given}: {parts}")
    expect_mask(submission, [[0.25, 0.25, 0.75, 0.25, 0.5, 0.75]], 1, 1, "a single pixel")
    parts = [list(rhombus), [1, 1, 4, 1, 4, 3, 1, 3]]
    changed = submission.probes.changed(submission.polygon_to_mask, parts, 9, 11)
    expect.equal(changed, False, given="whether the polygons have changed")


# --- run lengths -------------------------------------------------------------------------------------------


def runs(mask, by_rows=False, first=False):
    """Run lengths, pixel by pixel; ``by_rows`` and ``first``, which leaves a first count of 0 out, are mistakes."""
    height, width = mask.shape
    order = mask.bool().tolist()
    pixels = (
        [one for row in order for one in row] if by_rows else [order[r][c] for c in range(width) for r in range(height)]
    )
    counts, now = [0], False
    for pixel in pixels:
        if bool(pixel) != now:
            counts.append(0)
            now = not now
        counts[-1] += 1
    return {"size": [height, width], "counts": counts[1:] if first and not counts[0] else counts}


def spots(shape, dtype, generator):
    """zeros and ones in runs"""
    noise = torch.rand(tuple(shape), generator=generator)
    return (noise > 0.5).double() if noise.numel() < 30 else (noise.cumsum(-2) % 2 > 1.2).double()


def ones(shape, dtype, generator):
    """ones"""
    return torch.ones(tuple(shape), dtype=DOUBLE)


def zeros(shape, dtype, generator):
    """zeros"""
    return torch.zeros(tuple(shape), dtype=DOUBLE)


def from_one(shape, dtype, generator):
    """zeros and ones, the first pixel 1"""
    found = spots(shape, dtype, generator)
    found[0, 0] = 1
    return found


def masked(draw, size):
    return {"mask": draw(*size)}


MASKS = grid(masked, size=[(5, 7), (2, 3), (8, 3), (1, 6), (6, 1)], dtype=[torch.bool], values=[spots, from_one])


@check("rle_encode writes runs column by column", points=1, category="values")
def test_encode(submission):
    expect.agrees(
        submission.rle_encode,
        runs,
        MASKS,
        unchanged=True,
        likely={
            "the pixels are taken row by row": lambda mask: runs(mask, by_rows=True),
            "the size is [W, H]": lambda mask: {**runs(mask), "size": list(mask.shape)[::-1]},
            "the first count is that of pixels that are False, 0 if there are none": lambda mask: runs(
                mask, first=True
            ),
        },
    )
    example = torch.tensor([[0, 1, 1], [0, 1, 0]]).bool()
    found = expect.record(submission.rle_encode(example), {"size": [int], "counts": [int]})
    expect.equal(
        found["counts"],
        [2, 3, 1],
        likely={"the pixels are taken row by row": [1, 2, 1, 1, 1]},
        given="[[0, 1, 1], [0, 1, 0]]",
    )


@check("rle_encode takes every mask", points=0.5, category="robustness", after=test_encode, hidden=True)
def test_encode_any(submission):
    cases = MASKS.vary(
        size=[(5, 7), (1, 1), (40, 30), (1, 6)],
        dtype=[torch.bool, *INTEGERS],
        values=[spots, ones, zeros],
        layout=["contiguous", "transposed", "gaps", "offset"],
    )
    expect.agrees(submission.rle_encode, runs, cases, unchanged=True)
    expect.equal(
        submission.probes.kinds_in(submission.rle_encode, torch.tensor([[0, 1, 1], [1, 1, 0]]).bool()),
        ["int"],
        given="the types of the numbers in size and counts",
        likely={"the counts are numbers of NumPy, which cannot be written as JSON": ["int", "int64"]},
    )


def expect_decoded(submission, mask, rle, given):
    by_rows = mask.t().reshape(mask.shape)
    expect.equal(
        submission.rle_decode(rle),
        mask,
        likely=told_apart(
            mask, {"the counts are taken row by row": by_rows, "the first count is that of True pixels": ~mask}
        ),
        trivial=None if mask.any() and not mask.all() else "everything is covered, or nothing",
        given=f"rle_decode, {given}: {rle}" if len(rle["counts"]) < 12 else f"rle_decode, {given}",
    )


@check("rle_decode reads runs column by column", points=1, category="values")
def test_decode(submission):
    example = torch.tensor([[0, 1, 1], [0, 1, 0]]).bool()
    expect_decoded(submission, example, {"size": [2, 3], "counts": [2, 3, 1]}, "the example of rle_encode")
    for height, width in ((5, 7), (9, 4), (1, 5), (12, 12)):
        mask = torch.rand(height, width) > 0.6
        expect_decoded(submission, mask, runs(mask), f"a mask of {height} x {width}")


@check("rle_decode reads counts of 0 anywhere, and whole masks", points=0.5, category="robustness", after=test_decode,
       hidden=True)  # fmt: skip
def test_decode_any(submission):
    whole = torch.ones(3, 4, dtype=torch.bool)
    expect_decoded(submission, whole, {"size": [3, 4], "counts": [0, 12]}, "all True")
    expect_decoded(submission, ~whole, {"size": [3, 4], "counts": [12]}, "all False")
    expect_decoded(submission, whole[:1, :1], {"size": [1, 1], "counts": [0, 1]}, "one pixel")
    mask = torch.tensor([[0, 1, 1], [0, 1, 0]]).bool()
    for counts in ([2, 3, 1, 0], [1, 0, 1, 3, 1], [0, 0, 2, 1, 0, 2, 1], [2, 3, 1, 0, 0]):
        expect_decoded(submission, mask, {"size": [2, 3], "counts": counts}, "counts of 0")
    for counts in ([2, 3, 1], [0, 2, 4]):
        changed = submission.probes.changed(submission.rle_decode, {"size": [2, 3], "counts": counts})
        expect.equal(changed, False, given=f"whether the run lengths {counts} have changed")


@check("rle_decode refuses counts that do not fill the mask", points=0.5, category="robustness", after=test_decode,
       hidden=True)  # fmt: skip
def test_decode_refuses(submission):
    for counts in ([2, 3], [2, 3, 2], [7], [0, 5], [1]):
        rle = {"size": [2, 3], "counts": counts}
        expect.raises("ValueError", submission.rle_decode, rle, given=f"rle_decode({rle})")


# --- measures ----------------------------------------------------------------------------------------------


def confusion(pred, target, num_classes, ignore_index=255):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for given, true in zip(pred.flatten().tolist(), target.flatten().tolist(), strict=True):
        if round(true) != ignore_index:
            counts[round(true), round(given)] += 1
    return counts.to(target.device)


def numbers(count, *, ignored=None, share=0.3):
    def values(shape, dtype, generator):
        found = torch.randint(count, tuple(shape), generator=generator).double()
        if ignored is not None:
            found[torch.rand(tuple(shape), generator=generator) < share] = ignored
            found.view(-1)[:1] = ignored
        return found

    values.__doc__ = f"class numbers below {count}" + (f", and {ignored}" if ignored is not None else "")
    return values


def maps(draw, size, other_dtype, *, num_classes, ignore_index=255):
    ignored = ignore_index if ignore_index is not LEFT_OUT else 255
    target = draw(*size, values=numbers(num_classes, ignored=ignored))
    pred = draw(*size, values=numbers(num_classes), dtype=other_dtype)
    if ignored == 255:
        pred = torch.where(target == 255, pred * 0 + 255, pred) if other_dtype != torch.int8 else pred
    return {"pred": pred, "target": target}


def plain_maps(draw, size, *, num_classes):
    values = numbers(num_classes)
    return {"pred": draw(*size, values=values), "target": draw(*size, values=values)}


PLAIN = grid(plain_maps, size=[(2, 5, 6), (4, 7), (1, 3, 3), (12,)], num_classes=[3, 5, 2, 12], dtype=[torch.int64])
IGNORED = grid(
    maps,
    size=[(2, 5, 6), (4, 7), (1, 1)],
    num_classes=[3, 5, 2],
    ignore_index=[LEFT_OUT, 0, 1, -1, 255],
    other_dtype=[torch.int64],
    dtype=[torch.int64],
)


@check("segmentation_confusion counts true classes in rows", points=1, category="values", devices="all")
def test_confusion(submission, device):
    expect.agrees(
        submission.segmentation_confusion,
        confusion,
        PLAIN,
        device=device,
        unchanged=True,
        likely={
            "rows and columns are swapped: a row is a true class": lambda pred, target, num_classes: confusion(
                target, pred, num_classes
            ),
            "each cell is counted once: cm[target, pred] += 1 does not add up": lambda pred, target, num_classes: (
                confusion(pred, target, num_classes).clamp(max=1)
            ),
            "the counts are divided: they are asked for as they are": lambda pred, target, num_classes: (
                confusion(pred, target, num_classes) / target.numel()
            ),
        },
    )


@check("segmentation_confusion leaves out what is to be ignored", points=1, category="values", after=test_confusion)
def test_ignored(submission):
    def always_255(pred, target, num_classes, ignore_index=255):
        kept = (target != 255) & (target >= 0)
        return confusion(pred[kept], target[kept], num_classes)

    expect.agrees(
        submission.segmentation_confusion,
        confusion,
        IGNORED,
        unchanged=True,
        likely={"always 255 is left out, whatever ignore_index says": always_255},
    )
    for ignored, strange in ((0, 255), (2, -1), (-1, 99)):
        target, pred = torch.randint(3, (4, 7)), torch.randint(3, (4, 7))
        target[0, :3] = ignored
        pred[target == ignored] = strange
        given = f"3 classes, ignore_index={ignored}; where it stands the prediction is {strange}"
        expect.equal(
            submission.segmentation_confusion(pred, target, 3, ignored),
            confusion(pred, target, 3, ignored),
            given=given,
        )


@check("segmentation_confusion takes every dtype and layout", points=0.5, category="robustness", after=test_confusion,
       hidden=True)  # fmt: skip
def test_counts_of_any_dtype(submission):
    unsigned = PLAIN.vary(dtype=list(INTEGERS), num_classes=[12, 20, 3, 1], layout=["contiguous", "transposed", "gaps"])
    expect.agrees(submission.segmentation_confusion, confusion, unsigned, unchanged=True)
    mixed = IGNORED.vary(dtype=[torch.uint8, torch.int32], other_dtype=[torch.int64, torch.uint8, torch.int32],
                         num_classes=[19, 3], ignore_index=[LEFT_OUT, 0])  # fmt: skip
    expect.agrees(submission.segmentation_confusion, confusion, mixed, unchanged=True)
    nothing = torch.full((3, 4), 255)
    expect.equal(
        submission.segmentation_confusion(nothing * 0, nothing, 3),
        torch.zeros(3, 3, dtype=torch.int64),
        trivial="nothing is counted",
        given="a target that is 255 everywhere",
    )


def right_share(cm):
    counts = cm.tolist()
    total = sum(map(sum, counts))
    return sum(counts[n][n] for n in range(len(counts))) / total if total else math.nan


def overlaps(cm):
    """Intersection and union of each class."""
    counts, classes = cm.tolist(), range(len(cm))
    return [(counts[n][n], sum(counts[n]) + sum(row[n] for row in counts) - counts[n][n]) for n in classes]


def iou(cm, ignore_absent=True):
    each = [both / either if either else 0.0 for both, either in overlaps(cm) if either or not ignore_absent]
    return statistics.fmean(each) if each else math.nan


def recall(cm, ignore_absent=True):
    counts = cm.tolist()
    each = [row[n] / sum(row) for n, row in enumerate(counts) if sum(row)]
    return statistics.fmean(each) if each else math.nan


def dice(cm, ignore_absent=True):
    each = [2 * both / (either + both) if either else 0.0 for both, either in overlaps(cm)]
    return statistics.fmean(each)


def double_counted(cm, ignore_absent=True):
    each = [both / (either + both) for both, either in overlaps(cm) if either]
    return statistics.fmean(each) if each else math.nan


def only_true(cm, ignore_absent=True):
    """Absent is taken for: not in the truth."""
    each = [b / e for (b, e), row in zip(overlaps(cm), cm.tolist(), strict=True) if sum(row)]
    return statistics.fmean(each) if each else math.nan


def table(draw, classes, filled):
    """A confusion matrix without symmetry; of some classes nothing occurs, or nothing is given."""
    cm = torch.arange(1, classes**2 + 1).mul(7).remainder(11).reshape(classes, classes).add(1)
    cm = cm + 9 * torch.eye(classes, dtype=torch.int64)
    if filled in ("never given", "absent"):
        cm[:, classes // 2] = 0
    if filled in ("never true", "absent"):
        cm[classes // 2] = 0
    if filled == "right":
        cm = cm.diagonal().diag()
    if filled == "one each":
        cm = torch.eye(classes, dtype=torch.int64)
    if filled == "large":
        cm = cm * 10**9  # beyond int32
    return {"cm": draw(classes, classes, values=lambda shape, dtype, generator: cm.double(), dtype=torch.int64)}


TABLES = grid(
    table, classes=[3, 4, 5, 2], filled=["full", "right", "large", "one each"], layout=["contiguous", "transposed"]
)
PARTIAL = TABLES.vary(filled=["full", "never given", "never true", "absent"], classes=[3, 5])


@check("pixel_accuracy is the share of right pixels", points=0.5, category="values", devices="all")
def test_accuracy(submission, device):
    expect.agrees(
        submission.pixel_accuracy, right_share, TABLES.vary(filled=["full", "right", "large", "absent"]),
        device=device, unchanged=True, slack=LOOSE,
        likely={
            "this is the mean of the classes' shares: large classes count more": recall,
            "this is the share of wrong pixels": lambda cm: 1 - right_share(cm),
        },
    )  # fmt: skip
    example = torch.tensor([[1, 1, 0], [0, 2, 0], [0, 0, 1]])
    expect.close(submission.pixel_accuracy(example), 4 / 5, rtol=1e-5, atol=0, given="the second example of the task")


@check("mean_iou divides the intersection by the union of each class", points=1, category="values", devices="all")
def test_iou(submission, device):
    expect.agrees(
        submission.mean_iou, iou, TABLES.vary(ignore_absent=[LEFT_OUT, True, False]),
        device=device, unchanged=True, slack=LOOSE,
        likely={
            "what is right counts twice in the union": double_counted,
            "this is the mean of the recalls: the union counts wrongly given pixels, too": recall,
            "this is the Dice coefficient": dice,
            "this is the pixel accuracy": lambda cm, ignore_absent=True: right_share(cm),
        },
    )  # fmt: skip
    example = torch.tensor([[1, 1, 0], [0, 2, 0], [0, 0, 1]])
    expect.close(submission.mean_iou(example), 13 / 18, rtol=1e-5, atol=0, given="the second example of the task")


@check("mean_iou leaves absent classes out, or counts them as 0", points=1, category="values", after=test_iou)
def test_absent(submission):
    expect.agrees(
        submission.mean_iou, iou, PARTIAL.vary(ignore_absent=[LEFT_OUT, True, False]), unchanged=True, slack=LOOSE,
        likely={
            "absent classes always count as 0": lambda cm, ignore_absent=True: iou(cm, False),
            "absent classes are always left out": lambda cm, ignore_absent=True: iou(cm, True),
            "a class that is given but is not in the truth is left out, too: its IoU is 0, not 0/0": lambda cm,
            ignore_absent=True: only_true(cm) if ignore_absent else iou(cm, False),
        },
    )  # fmt: skip


@check("without any pixel both measures are nan", points=0.5, category="robustness", after=[test_iou, test_accuracy],
       hidden=True)  # fmt: skip
def test_no_pixel(submission):
    for classes in (1, 3):
        empty = torch.zeros(classes, classes, dtype=torch.int64)
        for name in ("pixel_accuracy", "mean_iou"):
            found = getattr(submission, name)(empty)
            expect.close(found, math.nan, equal_nan=True, trivial="0/0", given=f"{name} of {classes} x {classes} zeros")
        found = submission.mean_iou(empty, ignore_absent=False)
        given = f"mean_iou of {classes} x {classes} zeros, ignore_absent=False"
        expect.close(found, 0.0, rtol=0, atol=0, trivial="absent classes count as 0", given=given)


# --- dice --------------------------------------------------------------------------------------------------


def dice_of(pred, target, eps=1e-6):
    losses = [
        1 - (2 * (p * t).sum() + eps) / (p.sum() + t.sum() + eps)
        for p, t in zip(pred, target.to(pred.dtype), strict=True)
    ]
    return torch.stack(losses).mean()


def of_the_batch(pred, target, eps=1e-6):
    return dice_of(pred.unsqueeze(0), target.unsqueeze(0), eps)


def shares(shape, dtype, generator):
    """numbers between 0 and 1"""
    return 0.05 + 0.9 * torch.rand(tuple(shape), generator=generator, dtype=DOUBLE)


def judged(draw, size, target_dtype):
    target = draw(*size, values=kit.ties, dtype=DOUBLE) > 0
    target = target.flatten(1).index_fill(1, torch.tensor([0]), True).reshape(size)
    return {"pred": draw(*size, values=shares), "target": target.detach().to(target_dtype)}


DICE = grid(
    judged,
    size=[(3, 4, 5), (2, 3), (4, 2, 3, 3), (1, 6)],
    target_dtype=[torch.float32],
    eps=[LEFT_OUT, 0.0, 1.0, 0.1],
)


@check("dice_loss compares sums of each sample", points=1, category="values", devices="all")
def test_dice(submission, device):
    def without_two(pred, target, eps=1e-6):
        return torch.stack(
            [1 - ((p * t).sum() + eps) / (p.sum() + t.sum() + eps) for p, t in zip(pred, target, strict=True)]
        ).mean()

    def squared(pred, target, eps=1e-6):
        each = [
            1 - (2 * (p * t).sum() + eps) / ((p * p).sum() + t.sum() + eps) for p, t in zip(pred, target, strict=True)
        ]
        return torch.stack(each).mean()

    def below_only(pred, target, eps=1e-6):
        return torch.stack(
            [1 - 2 * (p * t).sum() / (p.sum() + t.sum() + eps) for p, t in zip(pred, target, strict=True)]
        ).mean()

    expect.agrees(
        submission.dice_loss,
        dice_of,
        DICE,
        device=device,
        unchanged=True,
        likely={
            "all samples are added up as one: each has a loss of its own": of_the_batch,
            "the intersection is not doubled": without_two,
            "this is the coefficient, not 1 minus it": lambda pred, target, eps=1e-6: 1 - dice_of(pred, target, eps),
            "the probabilities are squared below": squared,
            "eps stands below only": below_only,
            "the losses are summed, not averaged": lambda pred, target, eps=1e-6: (
                dice_of(pred, target, eps) * len(pred)
            ),
            "softmax or sigmoid is applied: these are probabilities already": lambda pred, target, eps=1e-6: dice_of(
                pred.sigmoid(), target, eps
            ),
        },
    )


@check("gradients of dice_loss reach pred", points=0.5, category="gradients", after=test_dice)
def test_dice_gradients(submission):
    expect.agrees(submission.dice_loss, dice_of, DICE, gradients=True)


@check("dice_loss takes every target, and two empty masks cost nothing", points=0.5, category="robustness",
       after=test_dice, hidden=True)  # fmt: skip
def test_dice_inputs(submission):
    cases = DICE.vary(
        dtype=[torch.float32, DOUBLE],
        target_dtype=[torch.float32, torch.bool, torch.int64, torch.uint8, DOUBLE],
        layout=["contiguous", "transposed", "gaps", "offset"],
        grad=RECORDING,
    )
    expect.agrees(submission.dice_loss, dice_of, cases, unchanged=True)
    empty = torch.zeros(2, 4, 5)
    expect.close(submission.dice_loss(empty, empty), torch.zeros(()), trivial="two empty masks", given="empty masks")
    one = torch.zeros(2, 4, 5)
    one[0, 1, 1] = 1
    expect.close(submission.dice_loss(one, empty), torch.tensor(0.5), given="one of two masks that should be empty is")
    faint = torch.full((1, 4), 2.5e-7, dtype=DOUBLE)
    expect.close(
        submission.dice_loss(faint, torch.zeros(1, 4)),
        torch.tensor(0.5, dtype=DOUBLE),
        rtol=1e-4,
        atol=0,
        given="an empty mask, and probabilities that add up to 1e-6, as much as eps is by default",
    )
    many = torch.zeros(1, 400, 400, dtype=torch.uint8)
    many[:, :200] = 1
    for dtype in (torch.uint8, torch.int8, torch.float16, torch.bfloat16):
        given = f"80,000 of 160,000 pixels, target {str(dtype).removeprefix('torch.')}"
        expect.close(submission.dice_loss(many.float(), many.to(dtype)), torch.zeros(()), atol=1e-5, rtol=0,
                     trivial="the masks are equal", given=given)  # fmt: skip


# --- the network -------------------------------------------------------------------------------------------


@check("TinySegNet gives scores of the picture's own size", points=1, category="shapes")
def test_net_shape(submission):
    for settings, size in (
        ({}, (2, 3, 32, 40)),
        ({}, (1, 3, 9, 11)),
        ({"in_channels": 1, "num_classes": 5}, (2, 1, 18, 29)),
        ({"num_classes": 4, "width": 6}, (2, 3, 45, 8)),
        ({"in_channels": 4, "num_classes": 1, "width": 8}, (3, 4, 15, 14)),  # each side: every rest of a division by 4
    ):
        net = submission.TinySegNet(**settings).eval()
        wanted = (size[0], settings.get("num_classes", 2), *size[2:])
        even = tuple(4 * (side // 4) for side in size[2:])
        likely = {"classes come last: scores are (N, num_classes, H, W)": (wanted[0], *wanted[2:], wanted[1])}
        if even != size[2:]:
            likely["what halving rounds away does not come back: tell the decoder the size"] = (*wanted[:2], *even)
        given = f"TinySegNet({', '.join(f'{name}={value}' for name, value in settings.items())}), pictures {size}"
        expect.shape(net(torch.rand(size)), wanted, likely=likely, given=given)
    net = submission.TinySegNet(1, 3, 4).eval()
    turned = torch.rand(2, 1, 20, 16).transpose(2, 3)
    expect.shape(net(turned), (2, 3, 16, 20), given="TinySegNet(1, 3, 4), pictures (2, 1, 16, 20), a transposed view")


@check("TinySegNet looks at a map of a quarter of the size", points=0.5, category="shapes", after=test_net_shape)
def test_encoder(submission):
    for settings, (height, length) in (
        ({}, (32, 40)),
        ({"width": 5}, (18, 23)),
        ({"width": 12}, (9, 30)),
        ({"in_channels": 2, "num_classes": 3, "width": 7}, (16, 21)),
    ):
        width, channels = settings.get("width", 16), settings.get("in_channels", 3)
        given = f"TinySegNet(), width {width}, pictures of {height} x {length}"
        net = submission.TinySegNet(**settings).eval()
        x = torch.rand(1, channels, height, length)
        shapes = [row["shape"] for row in operator_trace(net, x, among=["convolution"])]
        most = -(-height // 4), -(-length // 4)
        expect.true(
            any(shape[2] <= most[0] and shape[3] <= most[1] for shape in shapes),
            expected=f"a convolution whose result is {most[0]} x {most[1]} or smaller",
            got="results of " + ", ".join(f"{shape[2]} x {shape[3]}" for shape in shapes),
            given=given,
        )
        expect.equal(shapes[0][1], width, given=f"channels of the first convolution of {given}")


@check("TinySegNet gives logits", points=0.5, category="values", after=test_net_shape)
def test_logits(submission):
    for training in (False, True):
        net = submission.TinySegNet(num_classes=24).train(training)
        scores = net(torch.rand(2, 3, 16, 20)).detach()
        given = f"scores of 24 classes of a new network in {'training' if training else 'evaluation'} mode"
        for likely, sums in (
            ("softmax comes last", scores.sum(1)),
            ("log_softmax comes last", scores.exp().sum(1)),
        ):
            expect.true(
                bool(((sums - 1).abs() > 1e-3).any()),
                expected="scores that are no probabilities",
                got="scores that are probabilities or their logarithms: they add up to 1 in each pixel",
                likely={likely: bool(((sums - 1).abs() <= 1e-3).all())},
                given=given,
            )
        expect.true(
            bool((scores < 0).any()),
            expected="scores of both signs",
            got="no score below 0",
            likely={"a ReLU or a sigmoid comes last": bool((scores >= 0).all())},
            given=given,
        )
    x = torch.rand(2, 3, 16, 20)
    single = [submission.TinySegNet(num_classes=1, width=4).eval()(x).detach() for _ in range(24)]
    expect.true(
        any(bool((scores < 0).any()) for scores in single),
        expected="scores of both signs",
        got="no score below 0",
        likely={"a sigmoid or a softmax comes last where there is one class": True},
        given=f"scores of {len(single)} new networks of one class",
    )


@check("TinySegNet sees each picture by itself, and two share nothing", points=0.5, category="robustness",
       after=test_net_shape, hidden=True)  # fmt: skip
def test_alone(submission):
    net = submission.TinySegNet().eval()
    images = torch.rand(4, 3, 13, 18) * torch.tensor([1.0, 4.0, 0.3, 2.0]).reshape(4, 1, 1, 1)
    together = expect.not_mutated(submission, net, images, given="TinySegNet").detach()
    double = submission.TinySegNet(num_classes=3, width=4).double()
    expect.dtype(double(images.double()), DOUBLE, given="the scores of a network and pictures of float64")
    alone = torch.cat([net(image[None]).detach() for image in images])
    expect.close(together, alone, scale=1e-3, given="four pictures in evaluation mode, together and one by one")
    another = submission.TinySegNet()
    set_parameters(another, {row["name"]: torch.zeros(row["shape"]) for row in registered_parameters(another)})
    given = "whether TinySegNet answers as before when the parameters of another one were set to 0"
    expect.equal(torch.equal(net(images).detach(), together), True, given=given)


@check("gradients reach every parameter of TinySegNet", points=0.5, category="gradients", after=test_net_shape,
       hidden=True)  # fmt: skip
def test_net_gradients(submission):
    net = submission.TinySegNet(num_classes=3).eval()  # in training mode a batch norm takes a bias away
    expect.gradient_flow(net(torch.randn(4, 3, 21, 24)), module=net)


@check("nothing in TinySegNet is tied to one device", points=0.5, category="devices", after=test_net_shape, hidden=True)
def test_net_portable(submission):
    expect.portable(submission.TinySegNet, torch.rand(2, 3, 16, 17))


@check(
    "TinySegNet learns to tell objects from the ground",
    points=2.5,
    category="accuracy",
    after=test_net_shape,
    devices="all",
    seconds=60,
    tries=2,
)
def test_learns(submission, device, dataset, calibration, pictures):
    scenes = dataset("coco_scenes").generate(300, seed=any_seed())
    images, target = (
        (torch.from_numpy(scenes.images).float() / 255 - 0.5) / 0.25,
        torch.from_numpy(scenes.objects).long(),
    )
    net = submission.TinySegNet().to(device)
    losses = submission.probes.trained(net, images[:240], target[:240], 4)
    pictures.curves("training", "epoch", {"loss": expect.record(losses, [float])})
    found = submission.probes.classes(net, images[240:])
    expect.shape(found, (60, 32, 40), given="classes of 60 unseen pictures")
    pictures.masks("unseen", images[240:264].mean(1), found[:24] == 1, target[240:264] == 1)
    calibration.holds("mean_iou", iou(confusion(found, target[240:], 2)), unit="(mean IoU on unseen pictures)")


# --- evaluation --------------------------------------------------------------------------------------------


def seen(target, num_classes, right):
    """Scores (N, C, H, W), all negative; the highest is the target in about that share of the pixels, else another."""
    other = torch.randint(num_classes, target.shape)
    best = torch.where(torch.rand(target.shape) < right, target.clamp(max=num_classes - 1), other)
    scores = torch.rand(target.shape[0], num_classes, *target.shape[1:]) - 3
    return scores.scatter(1, best.unsqueeze(1), -1.0), best


def uneven():
    """Three batches of pictures of different sizes and difficulty; each class is missing somewhere."""
    batches, counts = [], []
    for count, size, classes, right in ((4, (6, 9), 2, 0.9), (3, (5, 5), 4, 0.4), (1, (11, 8), 3, 0.7)):
        target = torch.randint(classes, (count, *size))
        target[:, :1, :2] = 255
        scores, best = seen(target, 4, right)
        batches.append((scores, target))
        counts.append([confusion(b, t, 4) for b, t in zip(best, target, strict=True)])
    return batches, counts


@check("evaluate_segmentation counts all pixels before it divides", points=1.5, category="values",
       after=[test_confusion, test_ignored, test_iou, test_absent, test_accuracy], devices="all")  # fmt: skip
def test_evaluate(submission, device):
    batches, counts = uneven()
    every = [cm for batch in counts for cm in batch]
    merged = [sum(batch) for batch in counts]
    total = sum(every)
    net = submission.probes.echo().to(device)
    given = "eight pictures in three batches, four classes"
    found = expect.record(submission.evaluate_segmentation(net, submission.probes.pairs(*batches), 4), [float],
                          given=given)  # fmt: skip
    expect.close(
        list(found),
        [iou(total), right_share(total)],
        rtol=1e-5,
        atol=1e-6,
        likely={
            "the values of the pictures are averaged": [
                statistics.fmean(map(iou, every)), statistics.fmean(map(right_share, every))
            ],
            "the values of the batches are averaged": [
                statistics.fmean(map(iou, merged)), statistics.fmean(map(right_share, merged))
            ],
            "only the last batch is counted": [iou(merged[-1]), right_share(merged[-1])],
            "the two numbers are swapped": [right_share(total), iou(total)],
        },
        given=f"(mean IoU, pixel accuracy) of {given}",
    )  # fmt: skip
    for classes, ignored in ((4, 0), (6, 2), (4, -1)):
        changed = [
            (F.pad(scores, (0, 0, 0, 0, 0, classes - 4), value=-4.0), torch.where(target == 255, ignored, target))
            for scores, target in batches
        ]
        kept = sum(confusion(scores.argmax(1), target, classes, ignored) for scores, target in changed)
        found = submission.evaluate_segmentation(net, submission.probes.pairs(*changed), classes, ignored)
        given = f"(mean IoU, pixel accuracy) of eight pictures, num_classes={classes}, ignore_index={ignored}"
        expect.close(
            list(expect.record(found, [float], given=given)), [iou(kept), right_share(kept)], rtol=1e-5, atol=1e-6,
            given=given,
        )  # fmt: skip


@check("evaluate_segmentation runs in evaluation mode without gradients", points=0.5, category="values")
def test_evaluate_mode(submission):
    batches, _ = uneven()
    net = submission.probes.echo()
    call = submission.evaluate_segmentation, net, submission.probes.pairs(*batches), 4
    expect.restores_mode(net, *call, ran=False, likely={"the network was in training mode": [True] * 3},
                         given="evaluate_segmentation")  # fmt: skip
    expect.equal(
        [row["gradients"] for row in passes_seen(net, *call)],
        [False] * 3,
        likely={"gradients are recorded for nothing": [True] * 3},
        given="whether gradients are recorded, in each pass",
    )
    found = submission.probes.recorded_after(*call)
    given = "whether gradients are recorded after evaluate_segmentation, where they were before, and where not"
    expect.equal(found, [True, False], given=given)
    ignored = submission.probes.pairs((torch.rand(1, 4, 3, 5), torch.full((1, 3, 5), 255)))
    submission.evaluate_segmentation(net.train(), ignored, 4)
    expect.equal(net.training, True, given="whether the network is in training mode after a batch that counts nowhere")


@check("evaluate_segmentation bears an empty loader and other devices", points=0.5, category="robustness",
       after=test_evaluate, hidden=True)  # fmt: skip
def test_evaluate_edges(submission):
    net = submission.probes.echo()
    found = submission.evaluate_segmentation(net, [], 4)
    expect.close(list(expect.record(found, [float])), [math.nan, math.nan], equal_nan=True,
                 trivial="there is nothing to count", given="a loader without batches")  # fmt: skip
    ignored = submission.probes.pairs((torch.rand(1, 4, 3, 5), torch.full((1, 3, 5), 255)))
    found = submission.evaluate_segmentation(net, ignored, 4)
    expect.close(list(expect.record(found, [float])), [math.nan, math.nan], equal_nan=True,
                 trivial="there is nothing to count", given="a batch that counts nowhere")  # fmt: skip
    batches, _ = uneven()
    expect.follows_device(
        submission.evaluate_segmentation, net.to("meta"), submission.probes.pairs(*batches), 4,
        expected="images and targets on the device of the network", given="a network on another device",
    )  # fmt: skip


# --- panoptic ----------------------------------------------------------------------------------------------


def merged(semantic, masks, labels, scores, worst_first=False, in_order=False, hidden_too=False, by_label=False):
    """Pixel by pixel; the options are mistakes."""
    order = sorted(range(len(masks)), key=lambda k: float(scores[k]), reverse=not worst_first)
    order = list(range(len(masks))) if in_order else order
    categories, numbers = semantic.clone(), torch.zeros_like(semantic)
    places = {}
    for r in range(semantic.shape[0]):
        for c in range(semantic.shape[1]):
            over = [k for k in order if masks[k, r, c]]
            if over:
                places.setdefault(over[0], []).append((r, c))
    known = order if hidden_too else [k for k in order if k in places]
    for number, k in enumerate(known, start=1):
        for r, c in places.get(k, []):
            categories[r, c] = labels[k]
            numbers[r, c] = int(labels[k]) if by_label else number
    return categories, numbers


def mostly_seen(semantic, masks, labels, scores):
    """Objects of which more than half is hidden are left out."""
    categories, numbers = semantic.clone(), torch.zeros_like(semantic)
    for k in sorted(range(len(masks)), key=lambda k: -float(scores[k])):
        seen = masks[k] & (numbers == 0)
        if seen.sum() > masks[k].sum() / 2:
            numbers[seen] = int(numbers.max()) + 1
            categories[seen] = labels[k]
    return categories, numbers


def objects(draw, size, count):
    """Rectangles that overlap; every third lies under one with a higher score, the next one but for a pixel."""
    height, width = size
    seeds = draw(4, 16, values=shares, dtype=DOUBLE).detach()
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    for k in range(count):
        top, left = int(seeds[0, k] * height * 0.6), int(seeds[1, k] * width * 0.6)
        masks[k, top : top + 2 + int(seeds[2, k] * 3), left : left + 2 + int(seeds[3, k] * 3)] = True
    scores = draw(count, values=shares, dtype=torch.float32).detach()
    scores = scores + 1e-3 * torch.arange(count) if count else scores
    for k in range(2, count, 3):
        masks[k] = masks[k - 1]
        scores[k] = scores[k - 1] * 0.5
    for k in range(3, count, 3):
        masks[k] = masks[k - 2]
        free = (~masks.any(0)).nonzero()[:1]
        masks[k, free[:, 0], free[:, 1]] = True
        scores[k] = scores[k - 2] * 0.4
    labels = draw(count, values=numbers(6), dtype=torch.int64) + 20
    return {"semantic": draw(*size, values=numbers(9), dtype=torch.int64), "masks": masks, "labels": labels,
            "scores": scores}  # fmt: skip


OBJECTS = grid(objects, size=[(6, 8), (9, 5)], count=[4, 2, 3, 7], layout=["contiguous", "transposed"])


@check("panoptic_merge lays the best masks on top", points=1.5, category="values", devices="all")
def test_panoptic(submission, device):
    expect.agrees(
        submission.panoptic_merge,
        merged,
        OBJECTS,
        device=device,
        unchanged=True,
        likely={
            "the worst score lies on top": lambda *given: merged(*given, worst_first=True),
            "the masks are laid in their order, not by their scores": lambda *given: merged(*given, in_order=True),
            "objects that cannot be seen get an id, too": lambda *given: merged(*given, hidden_too=True),
            "ids are labels: two objects of one category are one": lambda *given: merged(*given, by_label=True),
            "objects of which more than half is hidden are left out: one pixel is enough": mostly_seen,
        },
    )
    masks = torch.tensor([[[1, 1, 0, 0]], [[0, 1, 1, 0]]]).bool()
    found = submission.panoptic_merge(
        torch.tensor([[7, 7, 7, 7]]), masks, torch.tensor([3, 4]), torch.tensor([0.2, 0.9])
    )
    expect.equal(found, (torch.tensor([[3, 4, 4, 7]]), torch.tensor([[2, 1, 1, 0]])), given="the example")


@check("panoptic_merge bears no masks, empty ones, and labels of the ground", points=0.5, category="robustness",
       after=test_panoptic, hidden=True)  # fmt: skip
def test_panoptic_edges(submission):
    semantic = torch.randint(9, (4, 5))
    semantic[1] = 0
    none = torch.zeros(0, 4, 5, dtype=torch.bool), torch.zeros(0, dtype=torch.int64), torch.zeros(0)
    expect.equal(submission.panoptic_merge(semantic, *none), (semantic, torch.zeros_like(semantic)),
                 trivial="the map as it was", given="no masks")  # fmt: skip
    case = semantic, torch.rand(5, 4).t()[None] > 0.5, torch.tensor([3]), torch.tensor([0.5])
    expect.equal(submission.panoptic_merge(*case), merged(*case), given="a single mask, a transposed view")
    masks = torch.zeros(3, 4, 5, dtype=torch.bool)
    masks[1, :2], masks[2, 1:] = True, True
    labels, scores = torch.tensor([5, 0, 0]), torch.tensor([0.9, -1.5, -0.5], dtype=DOUBLE)
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        case = semantic, masks[order], labels[order], scores[order]
        expect.equal(submission.panoptic_merge(*case), merged(*case),
                     given="an empty mask, the label 0 twice, scores below 0")  # fmt: skip
    masks = torch.ones(2, 4, 5, dtype=torch.bool)
    near = 0.5 + torch.tensor([1e-12, 2e-12], dtype=DOUBLE)
    case = semantic, masks, torch.tensor([5, 7]), near
    expect.equal(submission.panoptic_merge(*case), merged(*case), given="two scores of float64 that differ late")
    order = torch.randperm(260)
    masks = torch.eye(260, dtype=torch.bool).reshape(260, 13, 20)
    truth = (order + 1000).reshape(13, 20), order.reshape(13, 20) + 1
    case = torch.zeros(13, 20, dtype=torch.int64), masks, order + 1000, -order.float()
    expect.equal(submission.panoptic_merge(*case), truth, given="260 objects of one pixel")


# --- together ----------------------------------------------------------------------------------------------


def choose_file(dataset):
    """The text of a file."""
    chosen = dataset.choose("coco_scenes", real="coco_sample")
    return json.dumps(chosen.module.load() if chosen.real else chosen.module.generate(25, any_seed()).annotations)


@check("the masks of a whole file are as large as it says", points=1, category="accuracy",
       after=[test_annotations, test_load, test_sources, test_polygon, test_parts, test_decode])  # fmt: skip
def test_file(submission, dataset):
    text = choose_file(dataset)
    told = sorted([row["id"], row["area"], row["bbox"]] for row in json.loads(text)["annotations"])
    found = submission.probes.sizes_in(submission.CocoIndex, text, submission.polygon_to_mask, submission.rle_decode)
    found = expect.record(found, [[None]])
    expect.equal(
        [row[0] for row in found], [row[0] for row in told], given="ids of the annotations, picture by picture"
    )
    for mine, row in zip(found, told, strict=True):
        expect.equal(mine, row, given=f"id, area and box of the mask of annotation {row[0]}")


RULE = Rule(
    of=("CocoIndex", "polygon_to_mask", "rle_encode", "rle_decode", "segmentation_confusion", "pixel_accuracy",
        "mean_iou", "dice_loss", "TinySegNet", "evaluate_segmentation", "panoptic_merge"),
    names=("pycocotools", "cv2", "skimage", "scipy", "shapely", "matplotlib", "torchmetrics", "sklearn",
           "segmentation_models_pytorch", "ImageDraw"),
    instead="tensors",
)  # fmt: skip


@check("masks and measures are computed here, not by a library", points=0.5, category="rules", gates=RULE)
def test_rules(submission):
    expect.avoids(submission.mean_iou, torch.tensor([[3, 1], [2, 4]]), rule=RULE)


def stripes(side):
    """A square mask of eight runs."""
    mask = torch.zeros(side, side, dtype=torch.bool)
    for k in range(4):
        mask[:, (2 * k + 1) * side // 8 : (2 * k + 2) * side // 8] = True
    return mask


@check("the work for a mask does not grow with its pixels", points=0.5, category="efficiency",
       after=[test_polygon, test_encode, test_decode])  # fmt: skip
def test_mask_efficiency(submission):
    given = "{} for 64 times the pixels, as many {}"
    part = [1, 1, 7, 1, 5, 6, 1, 7]
    small, large = ([part], 8, 8), ([[8 * value for value in part]], 64, 64)
    expect.vectorised(
        submission.polygon_to_mask, small, large, lines=True, given=given.format("polygon_to_mask", "corners")
    )
    few, many = stripes(8), stripes(64)
    expect.vectorised(submission.rle_encode, (few,), (many,), lines=True, given=given.format("rle_encode", "runs"))
    expect.vectorised(
        submission.rle_decode, (runs(few),), (runs(many),), lines=True, given=given.format("rle_decode", "runs")
    )


@check("the work of counting does not grow with the pixels", points=0.5, category="efficiency", after=test_confusion)
def test_count_efficiency(submission):
    few, many = (
        (torch.arange(rows**2).reshape(rows, -1) % 3, torch.arange(rows**2).reshape(rows, -1) // 2 % 3, 3)
        for rows in (6, 48)
    )
    expect.vectorised(
        submission.segmentation_confusion, few, many, lines=True, given="segmentation_confusion of 64 times the pixels"
    )
