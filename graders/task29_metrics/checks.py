"""Checks for task 29: metrics of classifiers.

The oracles are the definitions, computed the slow way: samples are counted one by one, every threshold looks at all
samples, and the area under the ROC curve is a comparison of all pairs.
"""

import itertools
import math
import statistics

import torch

from torchgrade.authoring import INTEGERS, RECORDING, Rule, check, expect, grid, kit

SINGLE, DOUBLE, HALVES = torch.float32, torch.float64, [torch.float16, torch.bfloat16]
LABELS = [torch.int64, torch.bool, torch.uint8, torch.int8, torch.float32, *HALVES]
LOOSE = 1e3  # of single numbers, which may have been computed in float32
ROWS = ["contiguous", "gaps", "offset"]  # layouts of one axis


# --- what is right ---------------------------------------------------------------------------------------


def matrix(pred, target, num_classes):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for given, true in zip(pred.tolist(), target.tolist(), strict=True):
        if not (0 <= given < num_classes and 0 <= true < num_classes):
            raise ValueError("a class outside")
        counts[true, given] += 1
    return counts.to(pred.device)


def share_right(cm):
    counts = cm.tolist()
    total = sum(map(sum, counts))
    return sum(counts[n][n] for n in range(len(counts))) / total if total else 0.0


def ratio(part, whole):
    return part / whole if whole else 0.0


def class_scores(cm):
    """precision, recall and f1 of each class, and whether one of the first two is 0/0"""
    counts, classes = cm.tolist(), range(len(cm))
    right = [counts[n][n] for n in classes]
    given = [sum(counts[true][n] for true in classes) for n in classes]
    true = [sum(counts[n]) for n in classes]
    return (
        [ratio(a, b) for a, b in zip(right, given, strict=True)],
        [ratio(a, b) for a, b in zip(right, true, strict=True)],
        [ratio(2 * a, b + c) for a, b, c in zip(right, given, true, strict=True)],
        0 in given or 0 in true,
    )


def averaged(cm, average):
    *three, undefined = class_scores(cm)
    if average is None:
        return (*(torch.tensor(values, dtype=SINGLE, device=cm.device) for values in three), undefined)
    if average == "macro":
        return (*map(statistics.fmean, three), undefined)
    if average == "micro":
        return (*[share_right(cm)] * 3, not cm.sum())
    raise ValueError(average)


def in_top(scores, target, k):
    hits = [target[n] in scores[n].argsort(descending=True)[:k] for n in range(len(scores))]
    return sum(hits) / len(hits) if hits else 0.0


def positive(labels):
    """Numbers that are moved a little, as the engine does to see how firm a truth is, are still labels."""
    return labels.double() > 0.5


def passing(scores, labels, threshold):
    """How many negative and positive samples have this score or a higher one."""
    pairs = zip(scores.tolist(), positive(labels).tolist(), strict=True)
    found = [true for score, true in pairs if score >= threshold]
    return found.count(False), found.count(True)


def different(scores):
    return sorted(set(scores.tolist()))


def curves(scores, *columns):
    return tuple(torch.tensor(column, dtype=SINGLE, device=scores.device) for column in columns)


def share(part, whole):
    return part / whole if whole else math.nan


def roc(scores, labels):
    thresholds = [math.inf, *reversed(different(scores))]
    negatives, positives = passing(scores, labels, -math.inf)
    counts = [passing(scores, labels, threshold) for threshold in thresholds]
    return curves(
        scores, [share(n, negatives) for n, _ in counts], [share(p, positives) for _, p in counts], thresholds
    )


def area(scores, labels, tie=0.5):
    high, low = scores[positive(labels)].tolist(), scores[~positive(labels)].tolist()
    wins = [(a > b) + tie * (a == b) for a in high for b in low]
    return share(sum(wins), len(wins))


def pr(scores, labels):
    thresholds, (_, positives) = different(scores), passing(scores, labels, -math.inf)
    counts = [passing(scores, labels, threshold) for threshold in thresholds]
    precision = [p / (n + p) for n, p in counts]
    return curves(scores, [*precision, 1.0], [*(ratio(p, positives) for _, p in counts), 0.0], thresholds)


def mean_precision(scores, labels):
    precision, recall, _ = (column.double() for column in pr(scores.cpu(), labels.cpu()))
    return float((precision[:-1] * (recall[:-1] - recall[1:])).sum())


# --- what is asked ---------------------------------------------------------------------------------------


def below(count):
    """Class numbers below ``count``; the first are all different."""

    def values(shape, dtype, generator):
        numbers = torch.randint(count, tuple(shape), generator=generator).double()
        few = min(count, len(numbers))
        numbers[:few] = torch.arange(count - few, count)
        return numbers

    values.__doc__ = f"class numbers below {count}"
    return values


def answers(draw, count, *, num_classes):
    numbers = below(num_classes)
    return {"pred": draw(count, values=numbers), "target": draw(count, values=numbers)}


ANSWERS = grid(answers, count=[7, 40, 1, 0], num_classes=[3, 4, 20, 1], dtype=[torch.int64])


def table(draw, classes, filled):
    """A confusion matrix without symmetry; of some classes nothing occurs, or nothing is given."""
    counts = {
        "full": torch.arange(1, classes**2 + 1).mul(7).remainder(11).reshape(classes, classes).add(1),
        "empty": torch.zeros(classes, classes),
        "right": torch.arange(1, classes + 1).diag(),
        "wrong": torch.arange(1, classes**2 + 1).reshape(classes, classes).fill_diagonal_(0),
        "large": torch.arange(1, classes**2 + 1).mul(10**8).reshape(classes, classes),
    }
    if filled in counts:
        return {"cm": draw(classes, classes, values=fixed(counts[filled]), dtype=torch.int64)}
    cm = counts["full"]
    if filled in ("never given", "never at all"):
        cm[:, classes // 2] = 0
    if filled in ("never true", "never at all"):
        cm[classes // 2] = 0
    return {"cm": draw(classes, classes, values=fixed(cm), dtype=torch.int64)}


def fixed(values):
    return lambda shape, dtype, generator: values.double()


TABLES = grid(table, classes=[2, 3, 5, 1], filled=["full", "right"], layout=["contiguous", "transposed", "gaps"])
DEFINED = TABLES.vary(filled=["full", "right", "large"])
UNDEFINED = TABLES.vary(filled=["full", "never given", "never true", "never at all", "empty", "wrong", "right"])


def mixed(shape, dtype, generator):
    """zeros and ones, both"""
    labels = torch.randint(2, tuple(shape), generator=generator).double()
    labels[:1], labels[1:2] = 1, 0
    return labels


def ones(shape, dtype, generator):
    """ones"""
    return torch.ones(tuple(shape), dtype=DOUBLE)


def nothing(shape, dtype, generator):
    """zeros"""
    return torch.zeros(tuple(shape), dtype=DOUBLE)


def constant(shape, dtype, generator):
    """one number"""
    return torch.full(tuple(shape), 0.25, dtype=DOUBLE)


def near(shape, dtype, generator):
    """numbers between 0.5 and 0.502"""
    return 0.5 + kit.distinct(shape, dtype, generator) / 1024 / (torch.Size(shape).numel() + 1) * 2


def shares(shape, dtype, generator):
    """numbers between 0 and 1"""
    return kit.distinct(shape, dtype, generator) / (torch.Size(shape).numel() + 1)


def judged(draw, count, truth, label_dtype):
    return {"scores": draw(count), "labels": draw(count, values=truth, dtype=label_dtype).detach()}


RANKED = grid(
    judged,
    count=[5, 12, 2, 31],
    truth=[mixed],
    label_dtype=[torch.int64],
    values=[shares, kit.normal, kit.thousands, kit.negative, near],
)
TIED = RANKED.vary(values=[kit.ties, constant], count=[5, 31, 2, 4])
ONE_CLASS = RANKED.vary(truth=[mixed, ones, nothing], count=[5, 3, 1], values=[shares, kit.normal]).only(
    lambda count, truth: count > 1 or truth is not mixed
)
INPUTS = RANKED.vary(
    count=[12, 31], values=[shares, kit.distinct], dtype=[SINGLE, DOUBLE, *HALVES], label_dtype=LABELS, layout=ROWS,
    grad=RECORDING,
)  # fmt: skip
EMPTY = grid(judged, count=[0], truth=[nothing], label_dtype=[torch.int64, torch.bool], values=[shares])


def curve_agrees(submission, name, oracle, cases, **options):
    """A contract of three tensors, in float32."""
    ask, function = submission.probes.drawn, getattr(submission, name)
    expect.agrees(ask, oracle, cases, bound=(function,), name=name, **options)


def is_float(submission, name, *args, given):
    """A single number is a float also where nothing is divided; so are the three of a Scores."""
    for kind in submission.probes.kinds(getattr(submission, name), *args):
        expect.equal(kind, "float", given=f"{given}; the type")


def scores_agree(submission, cases, **options):
    """A contract of a Scores: three tensors, in float32, or three floats; and the flag."""
    ask, function = submission.probes.called, submission.precision_recall_f1
    slack = 1.0 if cases.axes["average"] == (None,) else LOOSE
    expect.agrees(ask, averaged, cases, bound=(function,), name="precision_recall_f1", slack=slack, **options)


# --- classes ---------------------------------------------------------------------------------------------


@check("confusion_matrix counts true classes in rows", points=2, category="values", devices="all")
def test_matrix(submission, device):
    def only_known(pred, target, num_classes):
        known = sorted({*pred.tolist(), *target.tolist()})
        return matrix(pred, target, num_classes)[known][:, known]

    expect.agrees(
        submission.confusion_matrix,
        matrix,
        ANSWERS.vary(layout=ROWS),
        device=device,
        unchanged=True,
        likely={
            "rows and columns are swapped: a row is a true class": lambda pred, target, num_classes: matrix(
                target, pred, num_classes
            ),
            "each cell is counted once: cm[target, pred] += 1 does not add up": lambda pred, target, num_classes: (
                matrix(pred, target, num_classes).clamp(max=1)
            ),
            "the counts are divided: they are asked for as they are": lambda pred, target, num_classes: (
                matrix(pred, target, num_classes) / len(pred)
            ),
            "classes that do not occur have no row": only_known,
        },
    )


@check("confusion_matrix takes every integer dtype", points=1, category="robustness", after=test_matrix, hidden=True)
def test_matrix_dtypes(submission):
    cases = ANSWERS.vary(dtype=list(INTEGERS), num_classes=[20, 3, 183], count=[7, 40])
    cases = cases.only(lambda dtype, num_classes: num_classes < 183 or dtype is torch.int16)  # 183² is above 2¹⁵
    expect.agrees(submission.confusion_matrix, matrix, cases, unchanged=True)


@check("confusion_matrix refuses a class outside", points=1, category="robustness", after=test_matrix, hidden=True)
def test_strange_classes(submission):
    right = torch.tensor([0, 1, 2, 1])
    for strange in (3, -1, 7, 100):
        for place in (0, 3):
            other = right.clone()
            other[place] = strange
            for pred, target in ((right, other), (other, right)):
                expect.raises(
                    ("ValueError", "IndexError", "RuntimeError"),
                    submission.confusion_matrix, pred, target, 3,
                    given=f"pred={pred.tolist()}, target={target.tolist()}, num_classes=3",
                )  # fmt: skip


@check("accuracy is the share of right answers", points=1, category="values", devices="all")
def test_accuracy(submission, device):
    expect.agrees(
        submission.accuracy,
        share_right,
        TABLES.vary(filled=["full", "right", "wrong", "never given", "large"]).only(
            lambda classes, filled: classes > 1 or filled not in ("wrong", "never given")
        ),
        device=device,
        unchanged=True,
        slack=LOOSE,
        likely={
            "this is the mean of the classes' recalls: large classes count more": lambda cm: averaged(cm, "macro")[1],
            "this is the share of wrong answers": lambda cm: 1 - share_right(cm),
            "this is a percentage": lambda cm: 100 * share_right(cm),
        },
    )


@check("accuracy of no samples is 0", points=0.5, category="robustness", after=test_accuracy, hidden=True)
def test_no_accuracy(submission):
    for classes in (1, 3):
        empty = torch.zeros(classes, classes, dtype=torch.int64)
        expect.close(
            submission.accuracy(empty),
            0.0,
            trivial="0/0 counts as 0",
            given=f"{classes} × {classes} zeros",
        )
        is_float(submission, "accuracy", empty, given=f"{classes} × {classes} zeros")


def swapped(cm, average):
    precision, recall, f1, undefined = averaged(cm, average)
    return recall, precision, f1, undefined


def plain_mean(cm, average):
    """The arithmetic mean in place of f1."""
    precision, recall, _, undefined = averaged(cm, average)
    return precision, recall, (precision + recall) / 2, undefined


def of_means(cm, average):
    precision, recall, _, undefined = averaged(cm, average)
    return precision, recall, 2 * precision * recall / (precision + recall), undefined


def of_kind(kind):
    return lambda cm, average: averaged(cm, kind)


@check("precision_recall_f1 of each class", points=2, category="values", devices="all")
def test_each_class(submission, device):
    scores_agree(
        submission, DEFINED.vary(average=[None]), device=device, unchanged=True,
        likely={
            "precision and recall are swapped: rows are the truth": swapped,
            "f1 is the arithmetic mean: it is 2 · precision · recall / (precision + recall)": plain_mean,
        },
    )  # fmt: skip


@check('"macro" is the mean over the classes', points=1, category="values", devices="all")
def test_macro(submission, device):
    def weighted(cm, average):
        weights = cm.sum(1).double() / cm.sum()
        three = [float((values.double() * weights).sum()) for values in averaged(cm, None)[:3]]
        return (*three, False)

    scores_agree(
        submission, DEFINED.vary(average=["macro"]), device=device,
        likely={
            "f1 is that of the mean precision and recall: it is the mean of the classes' f1": of_means,
            'this is "micro": the counts are added up first': of_kind("micro"),
            "the mean is weighted by the size of the classes: all of them count alike": weighted,
            "precision and recall are swapped: rows are the truth": swapped,
        },
    )  # fmt: skip


@check('"micro" adds up the counts first', points=1, category="values", devices="all")
def test_micro(submission, device):
    scores_agree(
        submission, DEFINED.vary(average=["micro"]), device=device,
        likely={'this is "macro": the counts of all classes are added up before dividing': of_kind("macro")},
    )  # fmt: skip


@check("0/0 counts as 0, and undefined says so", points=1.5, category="values",
       after=[test_each_class, test_macro, test_micro], hidden=True)  # fmt: skip
def test_undefined(submission):
    def skipped(cm, average):
        """Only the classes for which both are defined count in the mean."""
        if average != "macro":
            return averaged(cm, average)
        known = [n for n in range(len(cm)) if cm[n].sum() and cm[:, n].sum()]
        three = [float(values[known].mean()) if known else 0.0 for values in averaged(cm, None)[:3]]
        return (*three, averaged(cm, average)[3])

    def zero_as_undefined(cm, average):
        precision, recall, f1, undefined = averaged(cm, average)
        return precision, recall, f1, undefined or bool((torch.as_tensor(f1) == 0).any())

    missed = {
        "undefined is always False": lambda cm, average: (*averaged(cm, average)[:3], False),
        "undefined speaks of a value that is 0; 0 out of some is defined": zero_as_undefined,
    }
    left_out = {"classes without samples are left out of the mean: all of them count": skipped}
    scores_agree(submission, UNDEFINED.vary(average=[None]), likely=missed)
    scores_agree(submission, UNDEFINED.vary(average=["macro", "micro"]), likely={**missed, **left_out})
    for average in ("macro", "micro"):
        empty = torch.zeros(3, 3, dtype=torch.int64)
        is_float(submission, "precision_recall_f1", empty, average, given=f"3 × 3 zeros, average={average!r}")


@check("precision_recall_f1 refuses an unknown average", points=0.5, category="robustness", after=[test_each_class],
       hidden=True)  # fmt: skip
def test_average(submission):
    cm = torch.tensor([[3, 1], [2, 4]])
    for average in ("weighted", "mean", "Macro", "", "none", "None"):
        expect.raises(("ValueError",), submission.precision_recall_f1, cm, average, given=f"average={average!r}")


def guesses(draw, count, classes):
    return {"scores": draw(count, classes), "target": draw(count, values=below(classes), dtype=torch.int64)}


GUESSES = grid(guesses, count=[5, 12, 1], classes=[4, 6, 9], k=[2, 1, 3, 5], values=[kit.distinct, kit.normal],
               where=lambda classes, k: k < classes)  # fmt: skip


@check("topk_accuracy looks for the true class among k", points=1.5, category="values", devices="all")
def test_topk(submission, device):
    def lowest(scores, target, k):
        return in_top(-scores, target, k)

    expect.agrees(
        submission.topk_accuracy, in_top, GUESSES, device=device, unchanged=True, slack=LOOSE,
        likely={
            "the k lowest scores are taken": lowest,
            "only the highest score is looked at": lambda scores, target, k: in_top(scores, target, 1),
            "the k-th place alone is looked at": lambda scores, target, k: (
                in_top(scores, target, k) - in_top(scores, target, k - 1)
            ),
            "hits are divided by k · N": lambda scores, target, k: in_top(scores, target, k) / k,
        },
    )  # fmt: skip


@check("topk_accuracy takes any k and no samples", points=0.5, category="robustness", after=test_topk, hidden=True)
def test_topk_edges(submission):
    cases = GUESSES.vary(count=[5, 1, 0], classes=[4, 2, 1], k=[2, 1, 5, 6, 7, 100])
    cases = grid(guesses, **{name: cases.axes[name] for name in ("count", "classes", "k", "values")})
    expect.agrees(submission.topk_accuracy, in_top, cases, slack=LOOSE)
    nobody = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
    is_float(submission, "topk_accuracy", *nobody, 2, given="topk_accuracy, no samples")
    is_float(submission, "topk_accuracy", torch.rand(2, 3), torch.tensor([0, 2]), 3, given="topk_accuracy, k=3, C=3")


@check("topk_accuracy takes every dtype and layout", points=0.5, category="robustness", after=test_topk, hidden=True)
def test_topk_inputs(submission):
    def operands(draw, count, classes, target_dtype):
        found = guesses(draw, count, classes)
        return {**found, "target": found["target"].to(target_dtype)}

    cases = grid(
        operands, count=[5, 12], classes=[4, 3], target_dtype=list(INTEGERS), k=[2, 1], values=[kit.distinct],
        dtype=[SINGLE, DOUBLE, *HALVES], layout=["contiguous", "transposed", "gaps", "offset"], grad=RECORDING,
    )  # fmt: skip
    expect.agrees(submission.topk_accuracy, in_top, cases, unchanged=True, slack=LOOSE)


# --- curves ----------------------------------------------------------------------------------------------


def one_by_one(scores, labels):
    """A point after every sample, whether the next one has the same score or not."""
    order = scores.argsort(descending=True, stable=True)
    true = positive(labels)[order].double()
    positives = torch.cat([true.new_zeros(1), true.cumsum(0)])
    negatives = torch.cat([true.new_zeros(1), (1 - true).cumsum(0)])
    thresholds = torch.cat([scores.new_full((1,), math.inf), scores[order]])
    return curves(scores, (negatives / negatives[-1]).tolist(), (positives / positives[-1]).tolist(),
                  thresholds.tolist())  # fmt: skip


def strictly(curve):
    """The curve of score > threshold: its counts are those of the next higher threshold."""

    def mistaken(scores, labels):
        fpr, tpr, thresholds = curve(scores, labels)
        return torch.cat([fpr[:1], fpr[:-1]]), torch.cat([tpr[:1], tpr[:-1]]), thresholds

    return mistaken


def without_inner_points(scores, labels):
    """A point between two equal steps is left out, as a drawing does not need it."""
    counts = [passing(scores, labels, threshold) for threshold in reversed(different(scores))]
    steps = [(n - m, p - q) for (m, q), (n, p) in itertools.pairwise(counts)]
    kept = [True, True, *(one != other for one, other in itertools.pairwise(steps)), True][: len(counts) + 1]
    return tuple(column[torch.tensor(kept, device=column.device)] for column in roc(scores, labels))


ROC_MISTAKES = {
    "points between equal steps are left out: every different score has one": without_inner_points,
    "the first threshold is infinity, not the largest score plus 1": lambda s, y: (
        *roc(s, y)[:2],
        torch.cat([roc(s, y)[2][1:2] + 1, roc(s, y)[2][1:]]),
    ),
    "the first point, of the threshold infinity, is missing": lambda s, y: tuple(part[1:] for part in roc(s, y)),
    "the thresholds rise: they are asked for falling": lambda s, y: tuple(part.flip(0) for part in roc(s, y)),
    "fpr and tpr are swapped": lambda s, y: (roc(s, y)[1], roc(s, y)[0], roc(s, y)[2]),
    "samples with score = threshold are left out: they are positive answers, too": strictly(roc),
    "both rates are divided by all samples": lambda s, y: (
        roc(s, y)[0] * float((y != 1).double().mean()),
        roc(s, y)[1] * float((y == 1).double().mean()),
        roc(s, y)[2],
    ),
    "low scores are taken for positive": lambda s, y: roc(-s, y),
}


@check("roc_curve has a point for each different score", points=2.5, category="values", devices="all")
def test_roc(submission, device, pictures):
    curve_agrees(submission, "roc_curve", roc, RANKED, device=device, unchanged=True, likely=ROC_MISTAKES)
    labels = torch.arange(200) % 2
    scores = labels + 1.2 * torch.randn(200)
    fpr, tpr, _ = submission.roc_curve(scores, labels)
    shown = {"false positive rate": fpr, "true positive rate": tpr}
    pictures.curves("roc", "thresholds passed", {name: rates.tolist() for name, rates in shown.items()})


@check("roc_curve takes equal scores together", points=1, category="values", after=test_roc)
def test_roc_ties(submission):
    curve_agrees(
        submission, "roc_curve", roc, TIED,
        likely={"equal scores get a point each: no threshold can tell them apart": one_by_one},
    )  # fmt: skip


@check("roc_curve of one class, or of none, has NaN rates", points=0.5, category="robustness", after=test_roc,
       hidden=True)  # fmt: skip
def test_roc_one_class(submission):
    curve_agrees(submission, "roc_curve", roc, ONE_CLASS)
    curve_agrees(submission, "roc_curve", roc, EMPTY, trivial="without samples only infinity is left")


def trapezoid(curve):
    def mistaken(scores, labels):
        x, y, _ = curve(scores.cpu(), labels.cpu())
        return float(torch.trapezoid(y.double(), x.double()).abs())

    return mistaken


@check("auc is the share of pairs in the right order", points=2, category="values", after=test_roc, devices="all")
def test_auc(submission, device):
    def left(scores, labels):
        fpr, tpr, _ = (part.double() for part in roc(scores.cpu(), labels.cpu()))
        return float(((fpr[1:] - fpr[:-1]) * tpr[:-1]).sum())

    expect.agrees(
        submission.auc, area, RANKED, device=device, unchanged=True, slack=LOOSE,
        likely={
            "this is 1 - auc: the order of the scores is turned round": lambda s, y: 1 - area(s, y),
            "the area has the wrong sign": lambda s, y: -area(s, y),
            "this is the area under the PR curve": trapezoid(lambda s, y: (pr(s, y)[1], pr(s, y)[0], None)),
            "the scores are rounded to answers first: the order counts": lambda s, y: area((s >= 0.5).double(), y),
        },
    )  # fmt: skip


@check("auc counts equal scores one half", points=1, category="values", after=[test_auc, test_roc_ties])
def test_auc_ties(submission):
    expect.agrees(
        submission.auc, area, TIED, slack=LOOSE,
        likely={
            "equal scores count nothing: each such pair counts 1/2": lambda s, y: area(s, y, tie=0),
            "equal scores count 1: each such pair counts 1/2": lambda s, y: area(s, y, tie=1),
            "equal scores are walked one by one: the area depends on their order": trapezoid(one_by_one),
        },
    )  # fmt: skip


@check("auc of one class is NaN", points=0.5, category="robustness", after=test_auc, hidden=True)
def test_auc_one_class(submission):
    expect.agrees(submission.auc, area, ONE_CLASS, slack=LOOSE)
    expect.agrees(submission.auc, area, EMPTY, trivial="there are no pairs")


def until_all_are_found(scores, labels):
    """The thresholds below which no positive sample is left count no more."""
    precision, recall, thresholds = pr(scores, labels)
    first = int((recall == 1).nonzero().max()) if bool((recall == 1).any()) else 0
    return precision[first:], recall[first:], thresholds[first:]


PR_MISTAKES = {
    "it ends where all positive samples are found: no threshold is left out": until_all_are_found,
    "the last point (1, 0) is missing": lambda s, y: tuple(part[: len(set(s.tolist()))] for part in pr(s, y)),
    "the thresholds fall: they are asked for rising": lambda s, y: tuple(part.flip(0) for part in pr(s, y)),
    "precision and recall are swapped": lambda s, y: (pr(s, y)[1], pr(s, y)[0], pr(s, y)[2]),
    "low scores are taken for positive": lambda s, y: pr(-s, y),
}


@check("pr_curve has a point for each different score", points=2, category="values", devices="all")
def test_pr(submission, device, pictures):
    curve_agrees(submission, "pr_curve", pr, RANKED, device=device, unchanged=True, likely=PR_MISTAKES)
    labels = torch.arange(200) % 4 // 3
    scores = labels + 0.8 * torch.randn(200)
    precision, recall, _ = submission.pr_curve(scores, labels)
    shown = {"precision": precision, "recall": recall}
    pictures.curves("precision_recall", "thresholds passed", {name: part.tolist() for name, part in shown.items()})


def pr_one_by_one(scores, labels):
    """A point for every sample, whether another one has the same score or not."""
    order = scores.argsort(descending=True, stable=True)
    found = positive(labels)[order].double().cumsum(0)
    precision = found / torch.arange(1, len(found) + 1, device=found.device)
    columns = (column.flip(0).tolist() for column in (precision, found / found[-1], scores[order]))
    precision, recall, thresholds = columns
    return curves(scores, [*precision, 1.0], [*recall, 0.0], thresholds)


@check("pr_curve takes equal scores together", points=1, category="values", after=test_pr)
def test_pr_ties(submission):
    curve_agrees(
        submission, "pr_curve", pr, TIED,
        likely={"equal scores get a point each: no threshold can tell them apart": pr_one_by_one},
    )  # fmt: skip


@check("pr_curve without positive samples has recall 0", points=0.5, category="robustness", after=test_pr, hidden=True)
def test_pr_one_class(submission):
    curve_agrees(submission, "pr_curve", pr, ONE_CLASS)
    curve_agrees(submission, "pr_curve", pr, EMPTY, trivial="without samples only the last point is left")


@check("average_precision adds up rectangles", points=1.5, category="values", after=test_pr, devices="all")
def test_ap(submission, device):
    def unweighted(scores, labels):
        return float(pr(scores.cpu(), labels.cpu())[0][:-1].double().mean())

    def higher(scores, labels):
        """The precision of the other end of each step."""
        precision, recall, _ = (part.double() for part in pr(scores.cpu(), labels.cpu()))
        return float((precision[1:] * (recall[:-1] - recall[1:])).sum())

    expect.agrees(
        submission.average_precision, mean_precision, RANKED, device=device, unchanged=True, slack=LOOSE,
        likely={
            "these are trapezoids: between two thresholds there is no straight line": trapezoid(
                lambda s, y: (pr(s, y)[1], pr(s, y)[0], None)
            ),
            "this is the plain mean of the precisions: each counts by the recall that it adds": unweighted,
            "a step of recall is multiplied by the precision of the next higher threshold": higher,
            "this is the area under the ROC curve": area,
            "the sign is wrong: recall falls along the curve": lambda s, y: -mean_precision(s, y),
        },
    )  # fmt: skip


@check(
    "average_precision takes equal scores together",
    points=1,
    category="values",
    after=[test_ap, test_pr_ties],
    hidden=True,
)
def test_ap_ties(submission):
    def walked(scores, labels):
        precision, recall, _ = (part.double() for part in pr_one_by_one(scores.cpu(), labels.cpu()))
        return float((precision[:-1] * (recall[:-1] - recall[1:])).sum())

    expect.agrees(
        submission.average_precision, mean_precision, TIED, slack=LOOSE,
        likely={"equal scores are walked one by one: the sum depends on their order": walked},
    )  # fmt: skip


@check(
    "average_precision without positive samples is 0",
    points=0.5,
    category="robustness",
    after=[test_ap, test_pr_one_class],
    hidden=True,
)
def test_ap_one_class(submission):
    expect.agrees(submission.average_precision, mean_precision, ONE_CLASS, slack=LOOSE)
    expect.agrees(submission.average_precision, mean_precision, EMPTY, trivial="there is nothing to find")
    is_float(submission, "average_precision", torch.rand(3), torch.zeros(3), given="average_precision, labels 0, 0, 0")


# --- all together ----------------------------------------------------------------------------------------


@check("the example of the task comes out as it says", points=0.5, category="values", after=[test_auc, test_ap])
def test_example(submission):
    scores, labels = torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0, 0, 1, 1])
    expect.close(submission.auc(scores, labels), 0.75, rtol=1e-5, atol=0)
    expect.close(submission.average_precision(scores, labels), 5 / 6, rtol=1e-5, atol=0)


CURVES = [test_roc, test_pr, test_auc, test_ap]


def many():
    """Falling scores, labels of which three in four are positive, and how many are so far: more than half precision
    can count."""
    labels = (torch.arange(4100) % 4 != 0).long()
    return torch.arange(4100, 0, -1.0), labels, labels.cumsum(0).double()


@check("roc_curve and auc take every dtype and layout", points=0.5, category="robustness", after=[test_roc, test_auc],
       hidden=True)  # fmt: skip
def test_roc_inputs(submission):
    curve_agrees(submission, "roc_curve", roc, INPUTS, unchanged=True)
    scores, labels, found = many()
    for dtype in HALVES:
        fpr, tpr, _ = submission.roc_curve(scores, labels.to(dtype))
        given = f"4100 different scores, labels of {str(dtype).removeprefix('torch.')}"
        start = torch.zeros(1, dtype=DOUBLE)
        truth = torch.cat([start, found / found[-1]])
        expect.close(tpr.double(), truth, rtol=1e-5, atol=1e-5, given=f"{given}; tpr")
        false = torch.arange(1, 4101) - found
        truth = torch.cat([start, false / false[-1]])
        expect.close(fpr.double(), truth, rtol=1e-5, atol=1e-5, given=f"{given}; fpr")
    expect.agrees(submission.auc, area, INPUTS, unchanged=True, slack=LOOSE)


@check("pr_curve and average_precision take every dtype and layout", points=0.5, category="robustness",
       after=[test_pr, test_ap], hidden=True)  # fmt: skip
def test_pr_inputs(submission):
    curve_agrees(submission, "pr_curve", pr, INPUTS, unchanged=True)
    scores, labels, found = many()
    for dtype in HALVES:
        precision, recall, _ = submission.pr_curve(scores, labels.to(dtype))
        given = f"4100 different scores, labels of {str(dtype).removeprefix('torch.')}"
        truth = torch.cat([(found / torch.arange(1, 4101)).flip(0), torch.ones(1, dtype=DOUBLE)])
        expect.close(precision.double(), truth, rtol=1e-5, atol=1e-5, given=f"{given}; the precision")
        truth = torch.cat([(found / found[-1]).flip(0), torch.zeros(1, dtype=DOUBLE)])
        expect.close(recall.double(), truth, rtol=1e-5, atol=1e-5, given=f"{given}; the recall")
    expect.agrees(submission.average_precision, mean_precision, INPUTS, unchanged=True, slack=LOOSE)


@check("scores that differ in float64 alone stay different", points=0.5, category="robustness",
       after=[test_topk, *CURVES], hidden=True)  # fmt: skip
def test_fine_scores(submission):
    scores, labels = 1 + torch.arange(12, dtype=DOUBLE) * 1e-12, torch.arange(12) % 3 // 2
    expect.close(submission.auc(scores, labels), area(scores, labels), rtol=1e-5, atol=0, given="auc")
    precision = mean_precision(scores, labels)
    expect.close(submission.average_precision(scores, labels), precision, rtol=1e-5, atol=0, given="average_precision")
    for name in ("roc_curve", "pr_curve"):
        expect.shape(getattr(submission, name)(scores, labels)[0], (13,), given=f"{name} of 12 different scores")
    table = scores.reshape(3, 4)
    for k in (1, 3):
        value = submission.topk_accuracy(table, torch.tensor([3, 0, 2]), k)
        expect.close(value, in_top(table, torch.tensor([3, 0, 2]), k), rtol=1e-5, atol=0, given=f"topk_accuracy, k={k}")


@check("nothing that is returned hangs on a graph", points=0.5, category="robustness", after=CURVES, hidden=True)
def test_graph(submission):
    labels = torch.arange(12) % 2
    for name in ("roc_curve", "pr_curve"):
        scores = torch.randn(12, requires_grad=True)
        expect.no_grad_leak(getattr(submission, name)(scores, labels), given=f"{name} of scores that require grad")


RULE = Rule(
    of=("confusion_matrix", "accuracy", "precision_recall_f1", "topk_accuracy", "roc_curve", "auc", "pr_curve",
        "average_precision"),
    names=("sklearn", "torchmetrics", "torcheval", "ignite"),
    instead="sums and sorting",
)  # fmt: skip


@check("the metrics are computed here, not by a library", points=0.5, category="rules", gates=RULE)
def test_rules(submission):
    expect.avoids(submission.auc, torch.rand(6), torch.arange(6) % 2, rule=RULE)


def classified(count):
    return torch.arange(count) % 4, torch.arange(count) // 2 % 4


def scored(count):
    """Four different scores, whatever the number of samples."""
    return torch.arange(count) % 4 / 8.0, torch.arange(count) // 4 % 2


FEW, MANY = 16, 256


@check("the work of counting does not grow with the samples", points=0.5, category="efficiency",
       after=[test_matrix, test_topk])  # fmt: skip
def test_count_efficiency(submission):
    given = "confusion_matrix of 16 times the samples"
    expect.vectorised(
        submission.confusion_matrix, (*classified(FEW), 4), (*classified(MANY), 4), lines=True, given=given
    )
    few, many = ((torch.randn(count, 4), torch.arange(count) % 4, 2) for count in (FEW, MANY))
    expect.vectorised(submission.topk_accuracy, few, many, lines=True, given="topk_accuracy of 16 times the samples")


@check("the work for a curve does not grow with the samples", points=0.5, category="efficiency", after=CURVES)
def test_curve_efficiency(submission):
    for name in ("roc_curve", "pr_curve", "auc", "average_precision"):
        given = f"{name} of 16 times the samples, with the same four different scores"
        expect.vectorised(getattr(submission, name), scored(FEW), scored(MANY), lines=True, given=given)
