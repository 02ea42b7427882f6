"""Task 29: metrics of classifiers.

A disease strikes 5 of 100 people. A test that always says "healthy" is right for 95 of them, and it is worthless. How
often a classifier is right is one number, and a number hides things: which class is confused with which, how many of
the sick are found, how many of the alarms are false, and what happens when the bar for an alarm is moved. Here are the
numbers that show them, and where each of them is easily got wrong.

Classes. `pred` and `target` hold class numbers 0 ... num_classes - 1, shape (N,), of any integer dtype, signed or not.

Scores. For a question of yes or no, `scores` (N,) holds a finite floating-point number for each sample, float16 and
bfloat16 included. It need not be a probability: only the order counts. `labels` (N,) says what is true, 1 (or True) for
a positive sample and 0 for a negative one; it is boolean, integer or floating point. A threshold turns scores into
answers: "positive" where score >= threshold. So samples with equal scores are always answered alike. They can only be
taken together, and a curve has one point for all of them.

An example to check by hand, four samples and their curves (roc_curve falls, pr_curve rises):

    labels  0    0    1     1            threshold   inf   0.8  0.4  0.35  0.1
    scores  0.1  0.4  0.35  0.8          fpr         0     0    1/2  1/2   1
                                         tpr         0     1/2  1/2  1     1
    auc                0.75
    average_precision  0.8333            threshold   0.1   0.35  0.4  0.8
                                         precision   1/2   2/3   1/2  1    1
                                         recall      1     1     1/2  1/2  0

Conventions:

* A single number is returned as a plain Python float. Curves and numbers for each class are floating-point tensors of
  float32 or more, on the device of the input; thresholds may keep the dtype of the scores. Nothing that is returned
  requires grad, even if the scores do.
* What is given is not changed.
* 0/0 is no number. What to do then is said at each function.

Forbidden: libraries that have these metrics ready-made (sklearn.metrics, torchmetrics, torcheval, ...); and
Python loops over the samples: neither the PyTorch calls nor the lines of Python that run may become more with N. Loops
over the classes, or over the different scores, are fine.
"""

import math

import torch
from torch import Tensor


def confusion_matrix(pred: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Count the samples of each true class (row) that were given each class (column).

    For pred 0, 0, 1, 2 and target 0, 1, 1, 1 and three classes: [[1, 0, 0], [1, 1, 1], [0, 0, 0]].

    pred, target: (N,), class numbers; N may be 0. Returns: (num_classes, num_classes), int64; its sum is N.
    Raises ValueError, IndexError or RuntimeError for a class number, in pred or in target, below 0 or from num_classes
    on: it must not be counted elsewhere.
    """
    # TODO: refuse strange classes, give each pair of classes a number, and count the numbers.
    # BEGIN SOLUTION
    pred, target = pred.long(), target.long()
    for classes in (pred, target):
        if ((classes < 0) | (classes >= num_classes)).any():
            raise ValueError(f"class numbers are 0 to {num_classes - 1}, but there is one outside")
    cells = num_classes * target + pred  # (N,)
    return torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    # END SOLUTION


def accuracy(cm: Tensor) -> float:
    """Return the share of the samples that were given their true class; 0.0 if there are no samples.

    cm: a confusion matrix (C, C), int64, rows are the truth.
    """
    # TODO: where do right answers stand in the matrix?
    # BEGIN SOLUTION
    return cm.diagonal().sum().item() / max(cm.sum().item(), 1)
    # END SOLUTION


class Scores(tuple):
    """Three values, (precision, recall, f1), and besides them the flag ``undefined``. Ready to use."""

    undefined: bool

    def __new__(cls, precision, recall, f1, undefined: bool):
        scores = super().__new__(cls, (precision, recall, f1))
        scores.undefined = bool(undefined)
        return scores


def precision_recall_f1(cm: Tensor, average: str | None) -> Scores:
    """Return Scores(precision, recall, f1, undefined) from a confusion matrix.

    Of one class: precision is the share of the samples given this class that are of it, recall the share of the samples
    of it that were given it, and f1 = 2 · precision · recall / (precision + recall).

    cm: a confusion matrix (C, C), int64, rows are the truth.
    average: None: for each class, three tensors (C,).
        "macro": the mean of each of them over all C classes, three floats. f1, too, is the mean of the classes' f1.
        "micro": the counts of all classes are added up first, and then divided: three floats, all the accuracy.
        Anything else raises ValueError.
    Where precision, recall or f1 is 0/0 it counts as 0. ``undefined`` is True if a precision or a recall is: some class
    was never given, or never occurs ("micro": there are no samples). It is False if all of them are defined; that they
    are 0 does not make them undefined, although the formula of f1 is 0/0 then.

    For the matrix [[3, 1], [2, 0]]: precision 3/5, 0; recall 3/4, 0; f1 2/3, 0; macro 0.3, 0.375, 1/3; micro 1/2.
    """
    # TODO: get from the matrix what was right, what was given and what was true of each class; divide with care.
    # BEGIN SOLUTION
    right, given, true = cm.diagonal().double(), cm.sum(0).double(), cm.sum(1).double()  # (C,)
    if average == "micro":
        right, given, true = right.sum(), given.sum(), true.sum()
    elif average not in (None, "macro"):
        raise ValueError(f'average is None, "macro" or "micro", not {average!r}')
    undefined = bool(((given == 0) | (true == 0)).any())
    precision = right / given.clamp(min=1)
    recall = right / true.clamp(min=1)
    f1 = 2 * right / (given + true).clamp(min=1)
    if average is None:
        return Scores(precision, recall, f1, undefined)
    return Scores(precision.mean().item(), recall.mean().item(), f1.mean().item(), undefined)
    # END SOLUTION


def topk_accuracy(scores: Tensor, target: Tensor, k: int) -> float:
    """Return the share of the samples whose true class is among the k classes with the highest scores.

    For scores [[0.5, 0.2, 0.3], [0.1, 0.3, 0.6]] and target 2, 0: 0.0 for k = 1, 0.5 for k = 2, 1.0 for k = 3.

    scores: (N, C), floating point. target: (N,), class numbers below C, of any integer dtype. k: 1 or more; from
    k = C on the result is 1.0. Without samples it is 0.0. When the true class ties for the k-th place, either answer is
    right.
    """
    # TODO: how many classes are ahead of the true one?
    # BEGIN SOLUTION
    if len(scores) == 0:
        return 0.0
    own = scores.gather(1, target.long()[:, None])  # (N, 1)
    ahead = (scores > own).sum(1)  # (N,)
    return (ahead < k).double().mean().item()
    # END SOLUTION


# BEGIN SOLUTION
def counts_by_score(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The different scores, falling, and how many positive and negative samples have such a score or a higher one."""
    scores, order = scores.detach().sort(descending=True)
    positive = labels[order] == 1
    last = torch.ones_like(positive)  # of the samples with this score
    last[:-1] = scores[:-1] != scores[1:]
    return scores[last], positive.cumsum(0)[last].double(), (~positive).cumsum(0)[last].double()


# END SOLUTION
def roc_curve(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (fpr, tpr, thresholds): what share of the negative and of the positive samples each threshold lets pass.

    scores, labels: (N,), see above; N may be 0. Returns: three tensors (T + 1,), where T is the number of different
    scores. The thresholds fall: first infinity, which lets nothing pass, then every different score, none left out. The
    last point is (1, 1).
    If there are no negative samples, the whole fpr is NaN; if there are no positive ones, the whole tpr.
    """
    # TODO: sort; count the positive and the negative samples so far; keep one point for each different score.
    # BEGIN SOLUTION
    scores, positives, negatives = counts_by_score(scores, labels)
    thresholds = torch.cat([scores.new_full((1,), math.inf), scores])
    zero = positives.new_zeros(1)
    tpr = torch.cat([zero, positives]) / (labels == 1).sum()
    fpr = torch.cat([zero, negatives]) / (labels != 1).sum()
    return fpr, tpr, thresholds
    # END SOLUTION


def auc(scores: Tensor, labels: Tensor) -> float:
    """Return the area under the ROC curve.

    It is the probability that a positive sample, drawn at random, has a higher score than a negative one drawn at
    random, where equal scores count one half. So it is 1/2 if all scores are equal.

    scores, labels: (N,), see above. NaN if there are no positive or no negative samples.
    """
    # TODO: add up the area below the straight lines that join the points, or compare pairs.
    # BEGIN SOLUTION
    if not 0 < int((labels == 1).sum()) < len(labels):
        return math.nan
    fpr, tpr, _ = roc_curve(scores, labels)
    return torch.trapezoid(tpr, fpr).item()
    # END SOLUTION


def pr_curve(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (precision, recall, thresholds) of the positive class, for each threshold.

    scores, labels: (N,), see above; N may be 0. Returns: thresholds (T,), the different scores, rising, none left out;
    precision and recall (T + 1,): a last point, with precision 1 and recall 0, belongs to no threshold.
    If there are no positive samples, recall is 0.
    """
    # TODO: as for roc_curve; mind the order and the last point.
    # BEGIN SOLUTION
    scores, positives, negatives = counts_by_score(scores, labels)
    precision = positives / (positives + negatives)
    recall = positives / (labels == 1).sum().clamp(min=1)
    one, zero = positives.new_ones(1), positives.new_zeros(1)
    return torch.cat([precision.flip(0), one]), torch.cat([recall.flip(0), zero]), scores.flip(0)
    # END SOLUTION


def average_precision(scores: Tensor, labels: Tensor) -> float:
    """Return the mean of the precision, weighted by how much recall each threshold adds.

    It is the sum of (recall with this threshold - recall with the next higher one) · precision with this threshold: an
    area made of rectangles. Straight lines between the points of a PR curve would promise what no threshold reaches.

    scores, labels: (N,), see above. 0.0 if there are no positive samples.
    """
    # TODO: the curve holds all that you need.
    # BEGIN SOLUTION
    precision, recall, _ = pr_curve(scores, labels)
    return ((recall[:-1] - recall[1:]) * precision[:-1]).sum().item()
    # END SOLUTION
