"""Checks for task 35: average precision.

The oracles walk through lists of detections one by one, count in whole numbers and divide at the end. What is built on
the matching is asked with detections that are clearly right or clearly wrong, so that a slip costs what it is about.
"""

import math

import numpy as np
import torch

from torchgrade.authoring import LEFT_OUT, RECORDING, Rule, any_seed, check, expect, grid, kit

SINGLE, DOUBLE, HALF, ROUGH = torch.float32, torch.float64, torch.float16, torch.bfloat16
ROWS = ["contiguous", "gaps", "offset"]  # layouts of one axis
LAYOUTS = ["contiguous", "transposed", "gaps", "offset"]
LOOSE = 1e3  # of single numbers, which may have been computed in float32
EXAMPLE = [1, 0, 1, 1, 0]  # of the task; four true boxes


# --- what is right ---------------------------------------------------------------------------------------


def overlap(one, other, pixel=0.0):
    width = min(one[2], other[2]) - max(one[0], other[0]) + pixel
    height = min(one[3], other[3]) - max(one[1], other[1]) + pixel
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (sum((box[2] - box[0] + pixel) * (box[3] - box[1] + pixel) for box in (one, other)) - shared)


def by_score(scores):
    return sorted(range(len(scores)), key=lambda n: -scores[n])


def judged(boxes, scores, gt, threshold, hard, order=by_score, again=False, next_best=False, first_fit=False,
           once=False, counts_hard=False, measure=overlap):  # fmt: skip
    """Flags of lists of boxes; each of the switches is a mistake."""
    flags, taken = [0] * len(boxes), set()
    for n in order(scores):
        overlaps = [measure(boxes[n], box) for box in gt]
        free = [g for g in range(len(gt)) if g not in taken] if next_best else range(len(gt))
        fits = [g for g in free if overlaps[g] >= threshold]
        if not fits:
            continue
        best = fits[0] if first_fit else max(fits, key=lambda g: overlaps[g])
        if hard[best] and not counts_hard:
            flags[n] = 0 if once and best in taken else -1
        elif best not in taken or again:
            flags[n] = 1
        else:
            continue
        taken.add(best)
    return flags


def hardness(difficult, count):
    return [False] * count if difficult is None else [bool(round(value)) for value in difficult.tolist()]


def matched(boxes, scores, gt_boxes, iou_threshold=0.5, difficult=None, **switches):
    hard = hardness(difficult, len(gt_boxes))
    flags = judged(boxes.tolist(), scores.tolist(), gt_boxes.tolist(), iou_threshold, hard, **switches)
    return torch.tensor(flags, dtype=torch.int64, device=boxes.device)


def ranked(tp, scores):
    """The flags that count, the highest score first."""
    flags = [round(flag) for flag in tp.double().tolist()]
    return [flags[n] for n in by_score(scores.tolist()) if flags[n] >= 0]


def points(flags, num_gt):
    """Precision and recall after each flag."""
    found = [sum(flags[: n + 1]) for n in range(len(flags))]
    precision = [found[n] / (n + 1) for n in range(len(flags))]
    return precision, [hits / num_gt if num_gt else math.nan for hits in found]


def curve(tp, scores, num_gt):
    return tuple(torch.tensor(column, dtype=SINGLE, device=tp.device) for column in points(ranked(tp, scores), num_gt))


def stairs(values):
    return [max(values[n:]) for n in range(len(values))]


def envelope(precision):
    return torch.tensor(stairs(precision.tolist()), dtype=precision.dtype, device=precision.device)


def area(flags, num_gt, hull=stairs):
    """The area below the curve: each detection that is right adds a step of 1/num_gt."""
    heights = hull(points(flags, num_gt)[0])
    return sum(height for height, flag in zip(heights, flags, strict=True) if flag) / num_gt


def eleven(flags, num_gt, places=11, first=0):
    precision, _ = points(flags, num_gt)
    found = [sum(flags[: n + 1]) for n in range(len(flags))]
    heights = [
        max((p for p, hits in zip(precision, found, strict=True) if 10 * hits >= k * num_gt), default=0.0)
        for k in range(first, 11)
    ]
    return sum(heights) / places


def mean_precision(tp, scores, num_gt, method="all"):
    if method not in ("all", "11point"):
        raise ValueError(method)
    if num_gt == 0:
        return math.nan
    return (area if method == "all" else eleven)(ranked(tp, scores), num_gt)


def of_class(predictions, targets, label, iou_threshold=0.5, **switches):
    """Flags, scores and the number of true boxes of one class, as lists."""
    flags, scores, total = [], [], 0
    for prediction, target in zip(predictions, targets, strict=True):
        mine = [n for n, one in enumerate(prediction["labels"].tolist()) if round(one) == label]
        true = [n for n, one in enumerate(target["labels"].tolist()) if round(one) == label]
        hard = hardness(target.get("difficult"), len(target["labels"]))
        found = [prediction["scores"].tolist()[n] for n in mine]
        flags += judged(
            [prediction["boxes"].tolist()[n] for n in mine], found, [target["boxes"].tolist()[n] for n in true],
            iou_threshold, [hard[n] for n in true], **switches,
        )  # fmt: skip
        scores += found
        total += sum(not hard[n] for n in true)
    return flags, scores, total


def labels_of(targets):
    return sorted({round(one) for target in targets for one in target["labels"].tolist()})


def of_all_classes(predictions, targets, iou_threshold=0.5, method="all", **switches):
    found = {}
    for label in labels_of(targets):
        flags, scores, total = of_class(predictions, targets, label, iou_threshold, **switches)
        found[label] = mean_precision(torch.tensor(flags), torch.tensor(scores), total, method)
    return found


def mean_of(values):
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def mean_of_all(predictions, targets, iou_thresholds=(0.5,), method="all", **switches):
    tables = [of_all_classes(predictions, targets, one, method, **switches) for one in iou_thresholds]
    return mean_of([value for table in tables for value in table.values()])


# --- what is asked ---------------------------------------------------------------------------------------


def shares(shape, dtype, generator):
    """numbers between 0 and 1"""
    return torch.rand(tuple(shape), generator=generator, dtype=DOUBLE)


def confidences(shape, dtype, generator):
    """different numbers of both signs"""
    return 4 * (torch.randperm(shape[0], generator=generator).double() + 1) / (shape[0] + 1) - 1


def fine(shape, dtype, generator):
    """numbers that differ in float64 alone"""
    return 1 + 1e-12 * torch.randperm(shape[0], generator=generator).double()


def exactly(numbers, *width):
    def values(shape, dtype, generator):
        return torch.tensor(numbers, dtype=DOUBLE).reshape(-1, *width)

    values.__doc__ = "numbers that are clearly right or wrong"
    return values


def mixed(shape, dtype, generator):
    """zeros and ones, both"""
    found = torch.randint(2, tuple(shape), generator=generator).double()
    found[:1], found[1:2] = 1, 0
    return found


def true_boxes(shape, dtype, generator):
    """boxes in a row, each of which overlaps with its neighbours"""
    left = 7.0 * torch.arange(shape[0], dtype=DOUBLE)[:, None] - 20
    corner = torch.cat([left, torch.full_like(left, 5)], 1) + torch.rand(shape[0], 2, generator=generator, dtype=DOUBLE)
    size = 18 + 8 * torch.rand(shape[0], 2, generator=generator, dtype=DOUBLE)
    return torch.cat([corner, corner + size], 1)


def round_them(truth):
    """Boxes round true boxes, several for each; without true boxes anywhere."""

    def values(shape, dtype, generator):
        place = torch.randint(max(len(truth), 1), (shape[0],), generator=generator)
        boxes = truth[place] if len(truth) else true_boxes(shape, dtype, generator)
        return boxes + 9 * torch.rand(tuple(shape), generator=generator, dtype=DOUBLE) - 4.5

    values.__doc__ = "boxes round the true ones"
    return values


def scaled(values, scale):
    """The same boxes in another unit."""

    def turned(shape, dtype, generator):
        return scale * values(shape, dtype, generator)

    turned.__doc__ = values.__doc__ if scale == 1 else f"{values.__doc__}, all of them times {scale:g}"
    return turned


def scene(draw, count, true, score, score_dtype, hard, scale):
    """Detections of one picture, several for each true box."""
    truth = draw(true, 4, values=scaled(true_boxes, scale))
    known = truth.detach().cpu().double() / scale
    operands = {
        "boxes": draw(count, 4, values=scaled(round_them(known), scale)),
        "scores": draw(count, values=score, dtype=score_dtype),
        "gt_boxes": truth,
    }
    if hard is not None:
        operands["difficult"] = draw(true, values=mixed, dtype=hard).detach()
    return operands


SCENES = grid(
    scene, by_name=True, count=[10, 24, 3], true=[3, 1, 6], score=[confidences], score_dtype=[SINGLE], hard=[None],
    scale=[1], iou_threshold=[LEFT_OUT, 0.65, 0.35],
)  # fmt: skip
HARD_SCENES = SCENES.vary(hard=[torch.bool, torch.int64, torch.uint8], layout=["contiguous", "gaps"])
ALL_SCENES = SCENES.vary(
    count=[10, 1, 0], true=[3, 1, 0], score=[confidences, kit.lowest], score_dtype=[SINGLE, DOUBLE, HALF, ROUGH],
    hard=[None, torch.bool], scale=[1, 1e-5], iou_threshold=[LEFT_OUT, 0.65], dtype=[SINGLE, DOUBLE], layout=LAYOUTS,
    grad=RECORDING,
)  # fmt: skip
FINE_SCENES = SCENES.vary(score=[fine], score_dtype=[DOUBLE])


def flags_of(kind):
    def values(shape, dtype, generator):
        found = torch.randint(2, tuple(shape), generator=generator).double()
        if kind == "ignored":
            found[torch.rand(tuple(shape), generator=generator) < 0.4] = -1
        elif kind != "mixed":
            found[:] = {"right": 1, "wrong": 0, "nothing counts": -1}[kind]
        return found

    values.__doc__ = {"mixed": "flags 1 and 0", "ignored": "flags 1, 0 and -1"}.get(kind, f"flags: {kind}")
    return values


def verdicts(draw, count, kind, flag_dtype, spare):
    flags = draw(count, values=flags_of(kind), dtype=flag_dtype).detach()
    return {"tp": flags, "scores": draw(count, values=confidences), "num_gt": true_count(flags, spare)}


def true_count(flags, spare):
    """As many true boxes as were found and some more; a recall of 1/10, 2/10, ... is never met but for 1/2 and 1."""
    most = round(float((flags.double() > 0.5).sum())) + spare
    return next(n for n in range(most, most + 99) if n % 5 or n == 0)


VERDICTS = grid(verdicts, count=[6, 13, 1], kind=["mixed", "right"], flag_dtype=[torch.int64], spare=[2, 0, 5])
IGNORED = VERDICTS.vary(kind=["ignored", "nothing counts"], count=[9, 17], flag_dtype=[torch.int64, torch.int8, SINGLE])
ALL_VERDICTS = VERDICTS.vary(
    count=[6, 1], kind=["mixed", "wrong"],
    flag_dtype=[torch.int64, torch.bool, torch.uint8, torch.int8, SINGLE, HALF, ROUGH],
    spare=[2, 1], dtype=[SINGLE, DOUBLE, HALF, ROUGH], layout=ROWS, grad=RECORDING,
)  # fmt: skip


def album(draw, pictures, kinds, hard, turned):
    """Pictures whose detections are clearly right or clearly wrong; all that are right have the higher scores.

    True boxes are 20 wide and lie 60 apart; a detection is moved by less than 1, or lies below all of them. ``turned``:
    the keys of all dicts come in another order.
    """
    chance = iter(draw(600, values=shares, dtype=DOUBLE).detach().tolist())
    predictions, targets = [], []
    for _ in range(pictures):
        true, true_labels, found, labels, scores, easy = [], [], [], [], [], []
        for place in range(int(5 * next(chance))):
            true.append([60 * place, 10, 60 * place + 20, 30])
            true_labels.append(kinds[int(len(kinds) * next(chance))])
            easy.append(next(chance) < 0.7)
            if next(chance) < 0.7:
                found.append([edge + 0.9 * next(chance) for edge in true[-1]])
                labels.append(true_labels[-1])
                scores.append(0.5 + 0.5 * next(chance))
            elif len(kinds) > 1 and next(chance) < 0.6:  # a true box of another class
                found.append([edge + 0.9 * next(chance) for edge in true[-1]])
                labels.append(kinds[kinds.index(true_labels[-1]) - 1])
                scores.append(0.5 * next(chance))
        for place in range(int(3 * next(chance))):
            found.append([60 * place, 200 + next(chance), 60 * place + 20, 230])
            labels.append(kinds[int(len(kinds) * next(chance))])
            scores.append(0.5 * next(chance))
        order = by_score(scores)
        found, labels, scores = ([column[n] for n in order] for column in (found, labels, scores))
        predictions.append({
            "boxes": draw(len(found), 4, values=exactly(found, 4)),
            "scores": draw(len(found), values=exactly(scores)),
            "labels": draw(len(found), values=exactly(labels), dtype=torch.int64),
        })  # fmt: skip
        target = {
            "boxes": draw(len(true), 4, values=exactly(true, 4)),
            "labels": draw(len(true), values=exactly(true_labels), dtype=torch.int64),
        }
        if hard:
            target["difficult"] = draw(len(true), values=exactly([not one for one in easy]), dtype=torch.bool)
        targets.append(target)
    if turned:
        predictions, targets = ([dict(reversed(one.items())) for one in column] for column in (predictions, targets))
    return {"predictions": predictions, "targets": targets}


ALBUMS = grid(
    album, pictures=[5, 1, 9], kinds=[(0, 1, 2), (7,), (-3, 1000), (2**40, 2**40 + 1)], hard=[False],
    turned=[False, True], dtype=[SINGLE, DOUBLE],
)  # fmt: skip
GATHERED = ALBUMS.vary(kinds=[(0, 1, 2), (1, 0), (1, 1000, -3, 0)], label=[1, 0])


# --- matching --------------------------------------------------------------------------------------------


def given_order(scores):
    return range(len(scores))


def rising(scores):
    return by_score(scores)[::-1]


def pixels(one, other):
    return overlap(one, other, 1.0)


def mistaken(**switches):
    return lambda **operands: matched(**operands, **switches)


def sorted_flags(boxes, scores, **options):
    return matched(boxes, scores, **options)[scores.argsort(descending=True)]


MATCH_MISTAKES = {
    "a true box is found twice: every detection after the first one is wrong": mistaken(again=True),
    "a detection whose true box is taken falls to the next best: it is wrong": mistaken(next_best=True),
    "the first true box that overlaps well enough is taken: the best one is asked for": mistaken(first_fit=True),
    "the detections come in the order given: the highest score comes first": mistaken(order=given_order),
    "the lowest score comes first": mistaken(order=rising),
    "the flags are in the order of the scores: that in which the detections are given is asked for": sorted_flags,
    "the threshold is always 0.5": lambda iou_threshold=0.5, **operands: matched(**operands),
}


@check("match_detections: each true box is found once, the best score first", points=3, category="values",
       devices="all")  # fmt: skip
def test_match(submission, device):
    expect.agrees(submission.match_detections, matched, SCENES, device=device, unchanged=True, likely=MATCH_MISTAKES)


@check("match_detections: an IoU of the threshold itself is enough", points=1, category="values", after=test_match)
def test_match_threshold(submission):
    gt = torch.tensor([[0.0, 0, 16, 16], [40, 0, 56, 16], [80, 0, 96, 16]])
    boxes = torch.tensor([[80.0, 0, 96, 4], [0, 0, 16, 8], [40, 0, 56, 12], [112, 32, 128, 48]])  # IoU 1/4, 1/2, 3/4, 0
    scores = torch.tensor([0.3, 0.2, 0.7, 0.9])
    for threshold, flags in (
        (0.5, [0, 1, 1, 0]),
        (0.5 + 1e-5, [0, 0, 1, 0]),
        (0.25, [1, 1, 1, 0]),
        (0.25 + 1e-5, [0, 1, 1, 0]),
        (0.75 + 1e-5, [0, 0, 0, 0]),
    ):
        expect.equal(
            submission.match_detections(boxes, scores, gt, threshold), torch.tensor(flags),
            given=f"detections with an IoU of 1/4, 1/2, 3/4 and 0, iou_threshold={threshold}",
            trivial="all of them are alike" if len(set(flags)) == 1 else None,
            likely={"an IoU of the threshold itself does not count: it is enough": strictly(threshold)}
            if strictly(threshold).tolist() != flags else None,
        )  # fmt: skip


def strictly(threshold):
    return torch.tensor([int(value > threshold) for value in (0.25, 0.5, 0.75, 0)])


@check("match_detections: detections on difficult true boxes do not count", points=2, category="values",
       after=test_match)  # fmt: skip
def test_match_difficult(submission):
    def reported(mark):
        def wrong(**operands):
            found = matched(**operands)
            return torch.where(found < 0, mark, found)

        return wrong

    expect.agrees(
        submission.match_detections, matched, HARD_SCENES, unchanged=True,
        likely={
            "difficult true boxes count like all others": lambda **operands: matched(**operands, counts_hard=True),
            "only the first detection on a difficult true box is left out: none of them counts": mistaken(once=True),
            "detections on difficult true boxes are wrong: they do not count, -1": reported(0),
            "detections on difficult true boxes are right: they do not count, -1": reported(1),
        },
    )  # fmt: skip


def keeps_settings(submission, name, *args):
    """A call leaves PyTorch as it was."""
    after, others = submission.probes.settings(getattr(submission, name), *args)
    given = f"whether gradients are recorded, and the default dtype, after {name}"
    expect.equal(after, [True, "torch.float32"], given=given)
    expect.equal(others, [False, "torch.float64"], given=f"{given}; before: False, torch.float64")


@check("match_detections takes no boxes, one box, float64 and layouts", points=1.5, category="robustness",
       after=test_match, hidden=True)  # fmt: skip
def test_match_inputs(submission):
    expect.agrees(submission.match_detections, matched, ALL_SCENES, unchanged=True)
    expect.agrees(submission.match_detections, matched, FINE_SCENES)
    gt = 1e8 + torch.tensor([[0, 0, 4, 4], [20, 0, 24, 4]], dtype=DOUBLE)
    boxes = 1e8 + torch.tensor([[0, 1, 4, 5], [1, 1, 4, 3], [20, 3, 24, 7], [21, 0, 25, 4]], dtype=DOUBLE)
    expect.equal(
        submission.match_detections(boxes, torch.tensor([0.4, 0.3, 0.9, 0.8]), gt), torch.tensor([1, 0, 0, 1]),
        given="boxes 4 wide in float64, with edges near 100000000; IoUs of 3/5, 3/8, 1/7 and 3/5",
    )  # fmt: skip
    keeps_settings(submission, "match_detections", boxes, torch.rand(4), gt)


@check("match_detections: of equal scores one detection is right", points=0.5, category="robustness", after=test_match,
       hidden=True)  # fmt: skip
def test_match_ties(submission):
    gt = torch.tensor([[0.0, 0, 10, 10], [30, 0, 40, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 9], [30, 0, 40, 8], [0, 0, 10, 8], [30, 0, 40, 9], [0, 0, 9, 10]])
    flags = submission.match_detections(boxes, torch.full((5,), 0.5), gt)
    counts = [int(flags[[0, 2, 4]].sum()), int(flags[[1, 3]].sum())]
    expect.equal(counts, [1, 1], given="five detections of one score on two true boxes; right ones on each",
                 trivial="one on each")  # fmt: skip


# --- curves ----------------------------------------------------------------------------------------------


def two_columns(change):
    """The curve of flags that are changed, or of another rule."""

    def wrong(tp, scores, num_gt):
        precision, recall = change(ranked(tp, scores), num_gt)
        return torch.tensor(precision, dtype=SINGLE), torch.tensor(recall, dtype=SINGLE)

    return wrong


def in_given_order(tp, scores, num_gt):
    return curve(tp, -torch.arange(len(tp)), num_gt)


def over_detections(flags, num_gt):
    precision, recall = points(flags, num_gt)
    return precision, [value * num_gt / len(flags) for value in recall]


def over_found(flags, num_gt):
    return points(flags, max(sum(flags), 1) if num_gt else 0)


CURVE_MISTAKES = {
    "the detections come in the order given: the highest score comes first": in_given_order,
    "the lowest score comes first": lambda tp, scores, num_gt: curve(tp, -scores, num_gt),
    "recall is divided by the detections: by the true boxes is asked for": two_columns(over_detections),
    "recall is divided by the true boxes that are found: those that nobody found count, too": two_columns(over_found),
    "precision and recall are swapped": lambda tp, scores, num_gt: curve(tp, scores, num_gt)[::-1],
    "the curve already has its envelope: here it is asked for as it is": two_columns(
        lambda flags, num_gt: (stairs(points(flags, num_gt)[0]), points(flags, num_gt)[1])
    ),
}


def drawn_agrees(submission, cases, **options):
    ask, function = submission.probes.drawn, submission.precision_recall
    expect.agrees(ask, curve, cases, bound=(function,), name="precision_recall", unchanged=True, **options)


@check("precision_recall counts what is right so far", points=1, category="values", devices="all")
def test_curve(submission, device):
    drawn_agrees(submission, VERDICTS, device=device, likely=CURVE_MISTAKES)


def counted_as(value):
    """The curve when -1 counts as another number."""
    return lambda tp, scores, num_gt: curve(torch.where(tp == -1, value, tp), scores, num_gt)


def zeros_in_place(tp, scores, num_gt):
    """The sum goes down with each detection that does not count."""
    flags = [round(float(tp[n])) for n in by_score(scores.tolist())]
    found = [sum(flags[: n + 1]) for n in range(len(flags))]
    precision = [hits / (n + 1) for n, hits in enumerate(found)]
    return torch.tensor(precision, dtype=SINGLE), torch.tensor(
        [hits / num_gt if num_gt else math.nan for hits in found], dtype=SINGLE
    )


@check("precision_recall passes over detections that do not count", points=1, category="values", after=test_curve)
def test_curve_ignored(submission):
    drawn_agrees(
        submission, IGNORED,
        likely={
            "-1 counts as wrong: such detections do not count": counted_as(0),
            "-1 counts as right: such detections do not count": counted_as(1),
            "-1 is added up like all other flags": zeros_in_place,
        },
    )  # fmt: skip


@check("precision_recall takes every dtype, none at all, and no true boxes", points=0.5, category="robustness",
       after=test_curve, hidden=True)  # fmt: skip
def test_curve_inputs(submission):
    drawn_agrees(submission, ALL_VERDICTS)
    drawn_agrees(submission, VERDICTS.vary(count=[3, 0], kind=["wrong"], spare=[0, 1]))
    flags, fine = torch.arange(12) % 3 // 2, 1 + torch.arange(12, dtype=DOUBLE) * 1e-12
    for scores in (fine, -fine):
        got = submission.probes.drawn(submission.precision_recall, flags, scores, 4)
        expect.close(got, curve(flags, scores, 4), given="scores that differ in float64 alone")
    many, scores = torch.arange(2600) % 9 > 0, torch.arange(2600) / 2600
    truth = curve(many, scores, 2500)
    for dtype in (HALF, torch.uint8, torch.bool):
        got = submission.probes.drawn(submission.precision_recall, many.to(dtype), scores, 2500)
        expect.close(got, truth, given=f"2600 detections, flags of {dtype}")


def stepped(draw, count, kind):
    return {"precision": draw(count, values=kind)}


def sawtooth(shape, dtype, generator):
    """shares, as a precision has them"""
    flags = torch.randint(2, tuple(shape), generator=generator).double()
    return flags.cumsum(0) / torch.arange(1, shape[0] + 1)


STEPS = grid(stepped, count=[7, 12, 3], kind=[sawtooth, shares])


@check("precision_envelope is the highest precision from here on", points=1.5, category="values", devices="all")
def test_envelope(submission, device):
    def from_left(precision):
        return precision.cummax(0).values

    def neighbours(precision):
        return torch.maximum(precision, torch.cat([precision[1:], precision[-1:]]))

    expect.agrees(
        submission.precision_envelope, envelope, STEPS, device=device, unchanged=True,
        likely={
            "the maximum runs from the left: what comes later is asked for": from_left,
            "only the next value is looked at: all later ones count": neighbours,
            "the maximum of all stands everywhere": lambda precision: precision.max().expand(len(precision)).clone(),
            "the result is turned round": lambda precision: envelope(precision).flip(0),
        },
    )  # fmt: skip


@check("precision_envelope takes no values, one value, dtypes and layouts", points=0.5, category="robustness",
       after=test_envelope, hidden=True)  # fmt: skip
def test_envelope_inputs(submission):
    dtypes = [SINGLE, DOUBLE, HALF, ROUGH]
    cases = STEPS.vary(count=[7, 1, 0], kind=[shares], dtype=dtypes, layout=ROWS, grad=RECORDING)
    expect.agrees(submission.precision_envelope, envelope, cases, unchanged=True)
    kept = submission.precision_envelope(torch.rand(4, requires_grad=True))
    expect.no_grad_leak(kept, given="precision_envelope of a precision that requires grad")
    keeps_settings(submission, "precision_envelope", torch.rand(4))


# --- average precision -----------------------------------------------------------------------------------


def below(precision, recall, hull=stairs):
    """The area of a curve, step by step."""
    heights, edges = hull(precision.tolist()), [0.0, *recall.tolist()]
    return sum((height * (edges[n + 1] - edges[n]) for n, height in enumerate(heights)), 0.0)


def at_points(precision, recall, points, fits=lambda value, point: value >= point, pick=max):
    pairs = list(zip(precision.tolist(), recall.tolist(), strict=True))
    found = []
    for point in points.tolist():
        good = [height for height, value in pairs if fits(value, point)]
        found.append(pick(good) if good else 0.0)
    return torch.tensor(found, dtype=precision.dtype, device=precision.device)


def curve_of(draw, count, missed):
    """The curve of random flags; so many true boxes are never found."""
    flags = draw(count, values=flags_of("mixed"), dtype=torch.int64).tolist()
    precision, recall = (exactly(numbers) for numbers in points(flags, sum(flags) + missed))
    return {"precision": draw(count, values=precision), "recall": draw(count, values=recall)}


def curve_and_points(draw, count, missed, places):
    return {**curve_of(draw, count, missed), "points": draw(places, values=shares)}


DRAWN = grid(curve_of, count=[9, 14, 22, 5], missed=[3, 1, 8])
ASKED = grid(curve_and_points, count=[9, 14, 22, 5], missed=[3, 1, 8], places=[6, 11, 1])
INPUTS = {"count": [9, 1, 0], "missed": [3, 2], "dtype": [SINGLE, DOUBLE], "layout": ROWS, "grad": RECORDING}
EXAMPLE_CURVE = [1, 1 / 2, 2 / 3, 3 / 4, 3 / 5], [1 / 4, 1 / 4, 1 / 2, 3 / 4, 3 / 4]


def without_first_step(precision, recall):
    return below(precision, recall) - stairs(precision.tolist())[0] * float(recall[0])


@check("area_below adds up steps of recall times the envelope", points=2.5, category="values", devices="all",
       after=test_envelope)  # fmt: skip
def test_area(submission, device):
    expect.agrees(
        submission.area_below, below, DRAWN, device=device, unchanged=True, slack=LOOSE,
        likely={
            "there is no envelope: the highest precision from here on counts": lambda precision, recall: below(
                precision, recall, list
            ),
            "the step from recall 0 to the first detection is missing": without_first_step,
            "this is the mean of the precisions": lambda precision, recall: float(precision.mean()),
            "the area goes on to recall 1: beyond the last recall there is nothing": lambda precision, recall: (
                below(precision, recall) + float(precision[-1] * (1 - recall[-1]))
            ),
        },
    )  # fmt: skip
    precision, recall = map(torch.tensor, EXAMPLE_CURVE)
    expect.close(submission.area_below(precision, recall), 0.625, rtol=1e-5, atol=0, given="the example of the task")


@check("interpolated_precision: the highest precision from each recall on", points=3, category="values",
       devices="all")  # fmt: skip
def test_interpolated(submission, device):
    def lines(precision, recall, points):
        found = np.interp(*(part.detach().cpu().double().numpy() for part in (points, recall, precision)))
        return torch.from_numpy(found).to(precision.device, precision.dtype)

    def unreached(precision, recall, points):
        """Beyond the last recall the last precision."""
        found = at_points(precision, recall, points)
        return torch.where(points <= recall[-1], found, precision[-1])

    expect.agrees(
        submission.interpolated_precision, at_points, ASKED, device=device, unchanged=True,
        likely={
            "the precision of the first detection that reaches the point is taken: the highest counts": (
                lambda precision, recall, points: at_points(precision, recall, points, pick=lambda good: good[0])
            ),
            "recalls below the point are looked at: this one or a higher one is asked for": (
                lambda precision, recall, points: at_points(
                    precision, recall, points, fits=lambda value, point: value <= point
                )
            ),
            "a point that no recall reaches has the last precision: it has 0": unreached,
            "straight lines join the points of the curve": lines,
        },
    )  # fmt: skip
    precision, recall = map(torch.tensor, EXAMPLE_CURVE)
    expect.close(
        submission.interpolated_precision(precision, recall, torch.tensor([0.8, 0, 0.25, 0.3, 0.75, 0.5])),
        torch.tensor([0, 1, 1, 0.75, 0.75, 0.75]), given="the example of the task, points 0.8, 0, 0.25, 0.3, 0.75, 0.5",
        likely={"a recall of the point itself is not enough": torch.tensor([0, 1, 0.75, 0.75, 0, 0.75])},
    )  # fmt: skip


@check("area_below and interpolated_precision take empty curves and layouts", points=0.5, category="robustness",
       after=[test_area, test_interpolated], hidden=True)  # fmt: skip
def test_area_inputs(submission):
    expect.agrees(submission.area_below, below, DRAWN.vary(**INPUTS), unchanged=True, slack=LOOSE)
    cases = ASKED.vary(**INPUTS, places=[6, 1, 0])
    expect.agrees(submission.interpolated_precision, at_points, cases, unchanged=True)
    precision, recall = map(torch.tensor, EXAMPLE_CURVE)
    places = torch.tensor([1.5, -1, 0.25 + 1e-5, 0.75 + 1e-5, 0.25 - 1e-5])
    expect.close(
        submission.interpolated_precision(precision, recall, places), torch.tensor([0, 1, 0.75, 0, 1]),
        given="the example of the task, points above 1, below 0 and close to a recall",
    )  # fmt: skip
    places = torch.tensor([0.8, 0.3, 0.3, 0, 0.3])
    expect.close(
        submission.interpolated_precision(precision, recall, places), torch.tensor([0, 0.75, 0.75, 1, 0.75]),
        given="the example of the task, points 0.8, 0.3, 0.3, 0 and 0.3",
    )  # fmt: skip
    whole = torch.tensor([1.0, 1.0]), torch.tensor([0.5, 1.0])
    heights = submission.interpolated_precision(*whole, torch.tensor([1.0, 1.25]))
    expect.close(heights, torch.tensor([1.0, 0.0]), given="a recall that reaches 1, points 1 and 1.25")
    for given, curves in (("an empty curve", (torch.zeros(0), torch.zeros(0))), ("a curve of two detections", whole)):
        expect.equal(submission.probes.kind(submission.area_below, *curves), "float", given=f"{given}; the type")
    keeps_settings(submission, "area_below", precision, recall)


def of_flags(change):
    return lambda tp, scores, num_gt, method="all": change(ranked(tp, scores), num_gt)


def reached_only(flags, num_gt):
    count = sum(10 * sum(flags) >= k * num_gt for k in range(11))
    return eleven(flags, num_gt) * 11 / count


FALLING = VERDICTS.only(lambda kind: kind != "right").vary(count=[9, 16, 22], kind=["mixed"], spare=[2, 1, 6])


@check('average_precision "all" is the area below the curve', points=1, category="values", devices="all",
       after=[test_curve, test_area])  # fmt: skip
def test_average(submission, device, pictures):
    expect.agrees(
        submission.average_precision, mean_precision, FALLING, device=device, unchanged=True, slack=LOOSE,
        likely={
            'this is "11point"': of_flags(eleven),
            "recall is divided by the true boxes that are found: those that nobody found count, too": of_flags(
                lambda flags, num_gt: area(flags, sum(flags))
            ),
            "the detections come in the order given: the highest score comes first": lambda tp, scores, num_gt: area(
                ranked(tp, -torch.arange(len(tp))), num_gt
            ),
        },
    )  # fmt: skip
    example = torch.tensor(EXAMPLE), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), 4
    expect.close(submission.average_precision(*example), 0.625, rtol=1e-5, atol=0, given="the example of the task")
    scores = torch.randn(120)
    flags = (scores + 0.8 * torch.randn(120) > 0).long()
    precision, recall = submission.precision_recall(flags, scores, 70)
    shown = {"precision": precision, "envelope": submission.precision_envelope(precision), "recall": recall}
    pictures.curves("precision_recall", "detections", {name: part.tolist() for name, part in shown.items()})


@check('average_precision "11point" is the mean of eleven precisions', points=1, category="values", devices="all",
       after=[test_curve, test_interpolated])  # fmt: skip
def test_eleven(submission, device):
    def ten(flags, num_gt):
        return eleven(flags, num_gt, 10, 1)

    expect.agrees(
        submission.average_precision, mean_precision, FALLING.vary(method=["11point"]), device=device, slack=LOOSE,
        likely={
            'this is "all"': of_flags(area),
            "recall 0 is missing: 0, 0.1, ..., 1 are eleven": of_flags(ten),
            "the sum is divided by 10: 0, 0.1, ..., 1 are eleven": of_flags(
                lambda flags, num_gt: eleven(flags, num_gt, 10)
            ),
            "recalls that are never reached are left out of the mean: they count 0": of_flags(reached_only),
        },
    )  # fmt: skip
    example = torch.tensor(EXAMPLE), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), 4
    value = submission.average_precision(*example, "11point")
    expect.close(value, 6.75 / 11, rtol=1e-5, atol=0, given="the example of the task")


@check("average_precision without detections is 0, without true boxes NaN", points=0.5, category="robustness",
       after=[test_average, test_eleven, test_curve_ignored])  # fmt: skip
def test_average_nothing(submission):
    for method in ("all", "11point"):
        for flags, num_gt, value in (
            ([], 3, 0.0),
            ([-1, -1], 3, 0.0),
            ([0, 0, 0], 3, 0.0),
            ([], 0, math.nan),
            ([0, 0], 0, math.nan),
            ([-1], 0, math.nan),
        ):
            tp, scores = torch.tensor(flags, dtype=torch.int64), torch.rand(len(flags))
            got = submission.average_precision(tp, scores, num_gt, method)
            given = f'flags {flags}, num_gt={num_gt}, method="{method}"'
            expect.close(got, value, equal_nan=True, given=given, trivial="nothing is right")
            kind = submission.probes.kind(submission.average_precision, tp, scores, num_gt, method)
            expect.equal(kind, "float", given=f"{given}; the type")


@check("average_precision takes flags that do not count, and every dtype", points=0.5, category="robustness",
       after=[test_average, test_eleven, test_curve_ignored], hidden=True)  # fmt: skip
def test_average_inputs(submission):
    options = {"unchanged": True, "slack": LOOSE}
    cases = ALL_VERDICTS.vary(method=["all", "11point"], count=[6, 11])
    expect.agrees(submission.average_precision, mean_precision, cases, **options)
    cases = IGNORED.vary(method=["all", "11point"], kind=["ignored"])
    expect.agrees(submission.average_precision, mean_precision, cases, **options)
    for method in ("all", "11point"):
        keeps_settings(submission, "average_precision", torch.tensor([1, 0]), torch.rand(2), 2, method)


@check("average_precision refuses an unknown method", points=0.5, category="robustness",
       after=[test_average, test_eleven], hidden=True)  # fmt: skip
def test_average_method(submission):
    flags, scores = torch.tensor([1, 0]), torch.tensor([0.5, 0.3])
    for method in ("voc", "11-point", "", "ALL", "11Point", "11points", "al"):
        expect.raises("ValueError", submission.average_precision, flags, scores, 2, method, given=f"method={method!r}")
    for count, num_gt in ((2, 0), (0, 2), (0, 0)):
        args = flags[:count], scores[:count], num_gt, "voc"
        given = f'method="voc", {count} detections, num_gt={num_gt}'
        expect.raises("ValueError", submission.average_precision, *args, given=given)


# --- all pictures ----------------------------------------------------------------------------------------


def gathered(predictions, targets, label, iou_threshold=0.5, **switches):
    flags, scores, total = of_class(predictions, targets, label, iou_threshold, **switches)
    dtype = predictions[0]["scores"].dtype if predictions else SINGLE
    device = predictions[0]["scores"].device if predictions else "cpu"
    found = torch.tensor(flags, dtype=torch.int64, device=device)
    return found, torch.tensor(scores, dtype=dtype, device=device), total


def any_class(predictions, targets, label):
    """The labels are not looked at."""
    one = [{**entry, "labels": torch.full_like(entry["labels"], label)} for entry in targets]
    two = [{**entry, "labels": torch.full_like(entry["labels"], label)} for entry in predictions]
    return gathered(two, one, label)


def any_truth(predictions, targets, label):
    """A detection may find a true box of another class."""
    found = gathered(predictions, targets, label)
    one = [{**entry, "labels": torch.full_like(entry["labels"], label)} for entry in targets]
    return (*gathered(predictions, one, label)[:2], found[2])


def last_picture(predictions, targets, label):
    return gathered(predictions[-1:], targets[-1:], label)


def with_truth_only(predictions, targets, label):
    """Pictures without a true box of the class are left out."""
    pairs = [
        pair
        for pair in zip(predictions, targets, strict=True)
        if any(round(one) == label for one in pair[1]["labels"].tolist())
    ]
    flags, scores, _ = gathered(predictions, targets, label)
    kept = gathered([one for one, _ in pairs], [other for _, other in pairs], label)
    return kept if pairs else (flags[:0], scores[:0], 0)


def found_only(predictions, targets, label):
    flags, scores, _ = gathered(predictions, targets, label)
    return flags, scores, int(flags.sum())


def best_first(predictions, targets, label):
    """All detections, the highest score first."""
    flags, scores, total = gathered(predictions, targets, label)
    order = scores.argsort(descending=True)
    return flags[order], scores[order], total


def one_picture(predictions, targets, label):
    """As if all boxes were in one picture."""
    columns = predictions, targets
    joined = [[{key: torch.cat([one[key] for one in column]) for key in column[0]}] for column in columns]
    return gathered(*joined, label)


@check("gather_class: flags, scores and true boxes of one class", points=2.5, category="values", after=test_match,
       devices="all")  # fmt: skip
def test_gather(submission, device):
    expect.agrees(
        submission.gather_class, gathered, GATHERED, device=device, unchanged=True,
        likely={
            "the labels are not looked at": any_class,
            "a detection finds true boxes of another class": any_truth,
            "a detection finds true boxes of another picture": one_picture,
            "the detections come in the order of their scores: picture after picture is asked for": best_first,
            "only the last picture is left": last_picture,
            "pictures without true boxes of the class are left out: their detections are wrong": with_truth_only,
            "the true boxes that nobody found are not counted": found_only,
        },
    )  # fmt: skip


def hard_counted(predictions, targets, label):
    total = sum(round(one) == label for target in targets for one in target["labels"].tolist())
    return (*gathered(predictions, targets, label)[:2], total)


def hard_used(predictions, targets, label):
    return gathered(predictions, targets, label, counts_hard=True)


@check(
    "gather_class: difficult true boxes are not counted",
    points=1.5,
    category="values",
    after=[test_gather, test_match_difficult],
    hidden=True,
)
def test_gather_difficult(submission):
    expect.agrees(
        submission.gather_class, gathered, GATHERED.vary(hard=[True]), unchanged=True,
        likely={
            "difficult true boxes are counted": hard_counted,
            "difficult true boxes are used like all others": hard_used,
        },
    )  # fmt: skip


def picture(boxes, scores, labels):
    return {"boxes": torch.tensor(boxes, dtype=SINGLE).reshape(-1, 4), "scores": torch.tensor(scores),
            "labels": torch.tensor(labels, dtype=torch.int64)}  # fmt: skip


def annotation(boxes, labels, difficult=None):
    found = {"boxes": torch.tensor(boxes, dtype=SINGLE).reshape(-1, 4), "labels": torch.tensor(labels).long()}
    return found if difficult is None else {**found, "difficult": torch.tensor(difficult)}


DOG, CAT = [0.0, 0, 10, 10], [40.0, 0, 50, 10]


@check("gather_class: the threshold, empty pictures, and no pictures", points=1, category="robustness",
       after=[test_gather, test_match_difficult], hidden=True)  # fmt: skip
def test_gather_empty(submission):
    half = [0.0, 0, 10, 6]  # IoU 0.6
    predictions = [picture([], [], []), picture([half, CAT], [0.3, 0.6], [1, 1]), picture([DOG], [0.5], [2])]
    targets = [annotation([DOG], [1]), annotation([DOG, CAT], [1, 1], [0, 1]), annotation([], [])]
    for threshold, flags in ((0.5, [1, -1]), (0.65, [0, -1])):
        got = submission.gather_class(predictions, targets, 1, threshold)
        wanted = torch.tensor(flags), torch.tensor([0.3, 0.6]), 2
        expect.equal(tuple(got), wanted, given=f"three pictures, label 1, iou_threshold={threshold}")
    odd, even = 2**40 + 1, 2**40
    got = submission.gather_class(
        [picture([DOG, CAT, DOG], [0.3, 0.6, 0.9], [odd, even, even])], [annotation([CAT, DOG], [odd, odd])], odd
    )
    expect.equal(tuple(got), (torch.tensor([1]), torch.tensor([0.3]), 2), given=f"labels {odd} and {even}, label {odd}")
    keeps_settings(submission, "gather_class", predictions, targets, 1)
    got = submission.gather_class(predictions, targets, 5)
    expect.equal([len(got[0]), len(got[1]), got[2]], [0, 0, 0], given="a label that nothing has", trivial="none")
    got = submission.gather_class([], [], 1)
    nothing = torch.zeros(0, dtype=torch.int64)
    expect.equal([got[0], len(got[1]), got[2]], [nothing, 0, 0], given="no pictures", trivial="there is none")


def per_picture(predictions, targets, **options):
    """The mean of the pictures' own average precisions."""
    found = {}
    for label in labels_of(targets):
        values = [
            of_all_classes([one], [other], **options).get(label, math.nan)
            for one, other in zip(predictions, targets, strict=True)
        ]
        found[label] = mean_of(values)
    return found


def table_of(change):
    def wrong(predictions, targets, **options):
        found = change(predictions, targets, **options)
        return sorted(found), [found[label] for label in sorted(found)]

    return wrong


@check("class_average_precisions: all pictures together, class by class", points=1.5, category="values",
       after=[test_gather, test_average], devices="all")  # fmt: skip
def test_classes(submission, device):
    expect.agrees(
        submission.probes.table, table_of(of_all_classes), ALBUMS, device=device,
        bound=(submission.class_average_precisions,), name="class_average_precisions", slack=LOOSE, unchanged=True,
        likely={"this is the mean over the pictures: all detections of a class make one list": table_of(per_picture)},
    )  # fmt: skip
    predictions = [picture([DOG], [0.5], [1]), picture([], [], [])]
    targets = [annotation([DOG, CAT], [1, 2]), annotation([CAT], [3])]
    expect.close(
        submission.probes.table(submission.class_average_precisions, predictions, targets),
        ([1, 2, 3], [1.0, 0.0, 0.0]), rtol=1e-5, atol=0,
        given="three classes, of which one is found; labels and average precisions",
        likely={"classes that no detection has are left out: theirs is 0": ([1], [1.0])},
    )  # fmt: skip


@check(
    "class_average_precisions: difficult classes, false alarms, thresholds",
    points=0.5,
    category="values",
    after=[test_classes, test_eleven, test_match, test_average_nothing, test_gather_difficult, test_gather_empty],
    hidden=True,
)
def test_classes_odd(submission):
    half, other = [0.0, 0, 10, 6], [80.0, 0, 90, 10]
    predictions = [picture([half, CAT], [0.3, 0.6], [1, 3]), picture([DOG, CAT], [0.5, 0.9], [1, 2])]
    targets = [annotation([DOG, CAT, other], [1, 3, 1], [False, True, False]), annotation([CAT], [2])]
    for threshold in (0.5, 0.65):
        for method in ("all", "11point"):
            options = predictions, targets, threshold, method
            labels, values = submission.probes.table(submission.class_average_precisions, *options)
            expect.equal(labels, [1, 2, 3], given="three classes with true boxes, those of one all difficult; labels")
            right = list(of_all_classes(*options).values())
            given = (
                f"a false alarm in a picture without true boxes of class 1; class 3 is difficult; {threshold}, {method}"
            )
            values, right = (torch.tensor(numbers, dtype=SINGLE) for numbers in (values, right))
            expect.close(values, right, equal_nan=True, given=given)
    keeps_settings(submission, "class_average_precisions", predictions, targets)


def summed(predictions, targets, **options):
    return mean_of_all(predictions, targets, **options) * len(labels_of(targets))


def predicted_too(predictions, targets, **options):
    """Classes that are only predicted count 0."""
    known, others = labels_of(targets), set(labels_of(predictions))
    return mean_of_all(predictions, targets, **options) * len(known) / len(others | set(known))


def one_pool(predictions, targets, iou_thresholds=(0.5,), method="all"):
    """One average precision of all classes together."""
    flags, scores, total = [], [], 0
    for label in sorted({*labels_of(targets), *labels_of(predictions)}):
        found = of_class(predictions, targets, label)
        flags, scores, total = flags + found[0], scores + found[1], total + found[2]
    return mean_precision(torch.tensor(flags), torch.tensor(scores), total, method)


@check("mean_average_precision: the mean over the classes", points=1.5, category="values", after=test_classes,
       devices="all")  # fmt: skip
def test_mean(submission, device):
    expect.agrees(
        submission.mean_average_precision, mean_of_all, ALBUMS,
        device=device, slack=LOOSE, unchanged=True,
        likely={
            "this is the mean over the pictures: all detections of a class make one list": lambda p, t, **options: (
                mean_of(per_picture(p, t, **options).values())
            ),
            "the average precisions are added up, not averaged": summed,
            "all classes make one list: each has an average precision of its own": one_pool,
            "classes that are only predicted count 0: they do not count": predicted_too,
        },
    )  # fmt: skip


@check(
    "mean_average_precision: the mean over the thresholds",
    points=0.5,
    category="values",
    after=[test_mean, test_eleven, test_match],
)
def test_mean_thresholds(submission):
    tops = [10.0, 9, 8, 7, 5.5]
    boxes = [[40.0 * n, 0, 40 * n + 10, top] for n, top in enumerate(tops)]
    true = [[40.0 * n, 0, 40 * n + 10, 10] for n in range(7)]
    predictions = [picture([*boxes, [0.0, 50, 10, 60]], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], [1] * 6)]
    targets = [annotation(true, [1] * 7)]
    fine = [0.501 + 0.05 * k for k in range(10)]
    for thresholds in ((0.5,), (0.75,), (0.5, 0.75), (0.5, 0.6, 0.85, 0.95), fine):
        for method in ("all", "11point"):
            several = len(thresholds) > 1
            found = {one: mean_of_all(predictions, targets, (one,), method) for one in thresholds}
            expect.close(
                submission.mean_average_precision(predictions, targets, thresholds, method),
                mean_of(found.values()), rtol=1e-5, atol=0,
                given=f"IoUs of 1, 0.9, 0.8, 0.7 and 0.55, iou_thresholds={thresholds}, method={method!r}",
                likely={
                    "only the last threshold is left": found[thresholds[-1]],
                    "only the first threshold is used": found[thresholds[0]],
                } if several else None,
            )  # fmt: skip
    after = submission.probes.kept(submission.mean_average_precision, predictions, targets, [0.75, 0.5])
    expect.equal(after, [0.75, 0.5], given="the list of thresholds, after the call")


@check("mean_average_precision leaves out classes without easy true boxes", points=0.5, category="robustness",
       after=[test_mean, test_gather_difficult, test_average_nothing], hidden=True)  # fmt: skip
def test_mean_nan(submission):
    predictions = [picture([DOG, CAT], [0.5, 0.9], [1, 2])]
    hard = [annotation([DOG, CAT], [1, 2], [False, True])]
    both = [annotation([DOG, CAT], [1, 2], [True, True])]
    value = submission.mean_average_precision(predictions, hard)
    given = "two classes, one of which has difficult true boxes only"
    expect.close(value, 1.0, rtol=1e-5, atol=0, given=given, trivial="all is found")
    for given, args in (
        ("difficult true boxes only", (predictions, both)),
        ("no true boxes at all", (predictions, [annotation([], [])])),
        ("no pictures", ([], [])),
    ):
        value = submission.mean_average_precision(*args)
        expect.close(value, math.nan, equal_nan=True, given=given, trivial="no class is left")
    keeps_settings(submission, "mean_average_precision", predictions, hard)


def judged_set(choice, count=12):
    """True boxes of a set of annotations, and detections: some near, some double, some far, some of another class."""
    names = {name: number for number, name in enumerate(choice.module.CLASSES)}
    predictions, targets = [], []
    for _, content in choice.module.texts(count, any_seed() % 2**32):
        objects = content["objects"]
        true = torch.tensor([one["bndbox"] for one in objects]).reshape(-1, 4)
        labels = torch.tensor([names[one["name"]] for one in objects]).long()
        size = (true[:, 2:] - true[:, :2]).repeat(1, 2)
        boxes = torch.cat([true + amount * size * torch.randn(true.shape) for amount in (0.04, 0.12)])
        boxes = torch.cat([torch.minimum(boxes[:, :2], boxes[:, 2:] - 1), boxes[:, 2:]], 1)
        scores = 4 * torch.rand(len(boxes)) - torch.tensor([1.0, 2.0]).repeat_interleave(len(true))
        guesses = torch.where(torch.rand(len(boxes)) < 0.9, labels.repeat(2), torch.randint(len(names), (len(boxes),)))
        predictions.append({"boxes": boxes, "scores": scores, "labels": guesses})
        hard = torch.tensor([one["difficult"] for one in objects])
        targets.append({"boxes": true, "labels": labels, "difficult": hard})
    return predictions, targets


@check(
    "mean_average_precision of a set of annotations, in any order",
    points=0.5,
    category="values",
    after=[
        test_mean,
        test_mean_thresholds,
        test_envelope,
        test_area,
        test_curve_ignored,
        test_match_difficult,
        test_gather,
        test_gather_difficult,
        test_gather_empty,
    ],
    hidden=True,
)
def test_mean_set(submission, dataset):
    choice = dataset.choose("boxed_shapes", "blood_cells")
    predictions, targets = judged_set(choice)
    order = torch.randperm(len(targets)).tolist()
    mixed_up = [[one[n] for n in order] for one in (predictions, targets)]
    for thresholds in ((0.5,), (0.513, 0.747)):
        value = mean_of_all(predictions, targets, thresholds)
        for given, args in (
            (f"twelve annotated pictures, {thresholds}", (predictions, targets)),
            (f"the same pictures in another order, {thresholds}", mixed_up),
        ):
            expect.close(submission.mean_average_precision(*args, thresholds), value, rtol=1e-4, atol=1e-6, given=given)


@check("nothing that is returned hangs on a graph, and settings stay", points=0.5, category="robustness",
       after=[test_curve, test_interpolated, test_gather], hidden=True)  # fmt: skip
def test_graph(submission):
    scores = torch.tensor([0.3, 0.6], requires_grad=True)
    for column in submission.precision_recall(torch.tensor([1, 0]), scores, 2):
        expect.no_grad_leak(column, given="scores that require grad")
    precision, recall = (torch.tensor(part, requires_grad=True) for part in EXAMPLE_CURVE)
    heights = submission.interpolated_precision(precision, recall, torch.tensor([0.0, 0.5]))
    expect.no_grad_leak(heights, given="a curve that requires grad")
    boxes = torch.tensor([DOG, CAT], requires_grad=True)
    predictions = [{"boxes": boxes, "scores": scores, "labels": torch.tensor([1, 1])}]
    for part in submission.gather_class(predictions, [annotation([DOG], [1])], 1)[:2]:
        expect.no_grad_leak(part, given="boxes and scores that require grad")
    keeps_settings(submission, "precision_recall", torch.tensor([1, 0]), scores, 2)
    keeps_settings(submission, "interpolated_precision", precision, recall, torch.tensor([0.5]))


# --- rules and work --------------------------------------------------------------------------------------


RULE = Rule(
    of=("match_detections", "precision_recall", "precision_envelope", "area_below", "interpolated_precision",
        "average_precision", "gather_class",
        "class_average_precisions", "mean_average_precision"),
    names=("torchmetrics", "torchvision", "pycocotools", "sklearn", "torcheval", "ignite", "detectron2", "mmdet"),
    instead="sorting and sums",
)  # fmt: skip


@check("the metrics are computed here, not by a library", points=0.5, category="rules", gates=RULE)
def test_rules(submission):
    expect.avoids(submission.precision_envelope, torch.tensor([1.0, 0.5, 0.75]), rule=RULE)


FEW, MANY = 8, 128


@check("the work for a curve does not grow with the detections", points=0.5, category="efficiency",
       after=[test_curve, test_envelope])  # fmt: skip
def test_curve_work(submission):
    few, many = ((torch.arange(n) % 2 / 1, torch.arange(n) / n, n) for n in (FEW, MANY))
    expect.vectorised(
        submission.precision_recall, few, many, lines=True, given=f"precision_recall of {MANY} detections"
    )
    few, many = ((torch.arange(n) % 3 / 4,) for n in (FEW, MANY))
    expect.vectorised(
        submission.precision_envelope, few, many, lines=True, given=f"precision_envelope of {MANY} values"
    )


def stairs_down(count):
    return 1 - torch.arange(count) / count, (torch.arange(count) + 1) / count


@check("the work for an average precision does not grow with the detections", points=0.5, category="efficiency",
       after=[test_average, test_eleven, test_curve_work])  # fmt: skip
def test_average_work(submission):
    few, many = (stairs_down(n) for n in (FEW, MANY))
    expect.vectorised(submission.area_below, few, many, lines=True, given=f"area_below of {MANY} detections")
    few, many = ((*stairs_down(n), torch.linspace(0, 1, 5)) for n in (FEW, MANY))
    expect.vectorised(
        submission.interpolated_precision, few, many, lines=True, given=f"interpolated_precision of {MANY} detections"
    )
    for method in ("all", "11point"):
        few, many = ((torch.arange(n) % 2 / 1, torch.arange(n) / n, n, method) for n in (FEW, MANY))
        given = f'average_precision of {MANY} detections, method="{method}"'
        expect.vectorised(submission.average_precision, few, many, lines=True, given=given)
