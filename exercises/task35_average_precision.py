"""Task 35: average precision, the mark of a detector.

A detector answers with boxes and with a score for each: how sure it is. Whether it is any good is one question for a
whole stack of pictures, and there are many ways to get it wrong. What if it draws ten boxes round one dog? What if the
dog is so small that the people who made the annotations marked it as difficult? What if the boxes are right and the
scores are not? The answer on which everybody has agreed is the average precision of a class, and its mean over the
classes, mAP. It is built here in nine small steps, each of which is a function.

Boxes are (x1, y1, x2, y2), as in task 34; ``box_iou`` is there, ready to use. A detection is right, a true positive, if
it overlaps well enough with a true box that no better detection has found before. Every other one is a false positive.
Detections with the highest scores come first; then precision is the share of the detections so far that are right, and
recall the share of the true boxes that have been found.

An example to check by hand: five detections with falling scores, of which the first, third and fourth are right; there
are four true boxes.

    right       1     0     1     1     0
    precision   1     1/2   2/3   3/4   3/5
    recall      1/4   1/4   1/2   3/4   3/4
    envelope    1     3/4   3/4   3/4   3/5

    average precision "all"      1/4 · 1 + 1/4 · 3/4 + 1/4 · 3/4 = 0.625
    average precision "11point"  (1 + 1 + 1 + 3/4 + 3/4 + 3/4 + 3/4 + 3/4 + 0 + 0 + 0) / 11 = 0.6136

Conventions:

* Scores are finite floating-point numbers, and only their order counts. In which order equal scores come is left open.
  What is called floating point may be half precision, too, float16 or bfloat16.
* A flag says what became of a detection: 1 is right, 0 is wrong, and -1 does not count at all.
* A single number is returned as a plain Python float. Tensors are on the device of the input.
* What is given is not changed. Boxes, scores, precisions and recalls may require grad; nothing that is returned does.
  A call leaves PyTorch's settings as they were: whether gradients are recorded, and the default dtype.

Forbidden: libraries that have these metrics ready-made (torchmetrics, torchvision, pycocotools and others); and in
precision_recall, precision_envelope, area_below, interpolated_precision and average_precision Python loops over the
detections: neither the PyTorch calls nor the lines of Python that run may become more with their number. Elsewhere
loops are fine.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """The intersection over union of each box of a (N, 4) with each of b (M, 4): (N, M). Ready to use."""
    upper = torch.maximum(a[:, None, :2], b[None, :, :2])
    lower = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = (lower - upper).clamp(min=0).prod(2)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    return intersection / (area_a[:, None] + area_b[None] - intersection)


def match_detections(
    boxes: Tensor, scores: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5, difficult: Tensor | None = None
) -> Tensor:
    """Return the flag of each detection of one class in one picture.

    The detections come in turn, the highest score first. Each looks at the true box with which it has the highest IoU,
    whether that is taken or not. If the IoU is less than iou_threshold, or there is no true box at all, the detection
    is wrong: 0. Else, if that true box is difficult, the detection does not count: -1, however many there are on it.
    Else, if the box has been found before, it is wrong: 0. (It does not fall to the next best.) Else it is right: 1.

    For the true boxes (0, 0, 10, 10) and (20, 0, 30, 10), and the detections (0, 0, 10, 9), (0, 0, 10, 10),
    (20, 0, 30, 4) with scores 0.6, 0.9, 0.8, the IoUs are 0.9, 1 and 0.4. The second detection finds the first true
    box, so the first one comes too late; the third does not overlap well enough: 0, 1, 0. If the first true box is
    difficult: -1, -1, 0.

    boxes: (N, 4), gt_boxes: (G, 4), both float32 or both float64, with positive areas; scores: (N,), floating point. N
    or G may be 0. difficult: (G,), boolean or 0 and 1; None: no box is. Returns: int64 (N,), in the order in which the
    detections are given. It is not asked what happens with a detection that has the highest IoU with two true boxes.
    """
    # TODO: sort; for each detection the best true box; remember which ones are taken; put the flags where they belong.
    raise NotImplementedError


def precision_recall(tp: Tensor, scores: Tensor, num_gt: int) -> tuple[Tensor, Tensor]:
    """Return (precision, recall) after each detection that counts, the highest score first.

    In the example above: (1, 1/2, 2/3, 3/4, 3/5) and (1/4, 1/4, 1/2, 3/4, 3/4). A detection with flag -1 is passed
    over, as if it had never been.

    tp: (N,), the flags, of any dtype (boolean ones, too), in the same order as scores: (N,). num_gt: the number of true
    boxes that count, also those that nobody found; where it is 0 the whole recall is NaN. Returns: two tensors (K,),
    float32 or float64, for the K detections with flag 1 or 0; K may be 0.
    """
    # TODO: sort, drop what does not count, count what is right so far.
    raise NotImplementedError


def precision_envelope(precision: Tensor) -> Tensor:
    """Return at each place the highest precision there or further on.

    For (1, 1/2, 2/3, 3/4, 3/5): (1, 3/4, 3/4, 3/4, 3/5). Who asks for a recall is content with more of it; so the
    zigzag of the curve becomes stairs, which never rise.

    precision: (K,), floating point, K may be 0. Returns: (K,), of the same dtype.
    """
    # TODO: a running maximum, from the right.
    raise NotImplementedError


def area_below(precision: Tensor, recall: Tensor) -> float:
    """Return the area below the envelope of a curve: each step of the recall times the envelope at its end, added up.

    In the example above: 1/4 · 1 + 0 + 1/4 · 3/4 + 1/4 · 3/4 + 0 = 0.625. The first step begins at recall 0. Beyond the
    last recall there is nothing to add.

    precision, recall: (K,), both float32 or both float64, as precision_recall gives them: the recall never falls. 0.0
    if K is 0.
    """
    # TODO: precision_envelope, and the steps of the recall, the first one included.
    raise NotImplementedError


def interpolated_precision(precision: Tensor, recall: Tensor, points: Tensor) -> Tensor:
    """Return for each point the highest precision with a recall of this point or more; 0 where no recall is so high.

    In the example above, for the points (0, 0.25, 0.3, 0.75, 0.8): (1, 1, 3/4, 3/4, 0). For the point 0.25 all
    detections will do, for 0.3 only the last three.

    precision, recall: as for area_below. points: (P,), of the same dtype, in any order; they may lie below 0 and above
    1. Returns: (P,), of this dtype; zeros if K is 0.
    """
    # TODO: a table with a row for each point and a column for each detection says which of them will do.
    raise NotImplementedError


def average_precision(tp: Tensor, scores: Tensor, num_gt: int, method: str = "all") -> float:
    """Return the average precision of one class from the flags and scores of its detections in all pictures.

    method "all": the area below the envelope.
    method "11point": the mean of the interpolated precision at the eleven points 0, 0.1, 0.2, ..., 1. (Recalls that are
    one of 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9 are not asked for, since 3/10 and 3 · 0.1 are two numbers for a
    computer.)
    Any other method raises ValueError, also where there is nothing to compute.

    The example above gives 0.625 and 0.6136. tp, scores, num_gt: as for precision_recall. NaN if num_gt is 0; if it is
    not and no detection counts, 0.0.
    """
    # TODO: the functions above do nearly all of it.
    raise NotImplementedError


def gather_class(
    predictions: Sequence[dict], targets: Sequence[dict], label: int, iou_threshold: float = 0.5
) -> tuple[Tensor, Tensor, int]:
    """Return (flags, scores, num_gt) of all detections of one class in all pictures.

    A detection can only find a true box of its own class and picture. In a picture without true boxes of the class all
    its detections are wrong. num_gt is the number of true boxes of the class that are not difficult, in all pictures.

    predictions, targets: one dict for each picture, in the same order. A prediction has "boxes" (N, 4), "scores" (N,)
    and "labels" (N,); a target "boxes" (G, 4), "labels" (G,) and perhaps "difficult" (G,), boolean or 0 and 1; without
    it no box is. Labels are int64, any numbers; N or G may be 0, and there may be no pictures. Returns: flags int64 and
    scores (M,), picture after picture, in each in the order given; num_gt is an int.
    """
    # TODO: for each picture pick the boxes with this label, and match them.
    raise NotImplementedError


def class_average_precisions(
    predictions: Sequence[dict], targets: Sequence[dict], iou_threshold: float = 0.5, method: str = "all"
) -> dict[int, float]:
    """Return the average precision of each class that has a true box in any picture: {label: float}.

    The detections of all pictures make one list, in the order of their scores, whatever picture they are of: the mean
    of the pictures' own average precisions is another number, and worthless, since it forgets how the scores of one
    picture compare with those of another. A class all of whose true boxes are difficult has NaN. A class that is only
    predicted is not among them.

    predictions, targets: as for gather_class. method: as for average_precision. Labels are Python ints.
    """
    # TODO: which labels are there? gather_class and average_precision do the rest.
    raise NotImplementedError


def mean_average_precision(
    predictions: Sequence[dict],
    targets: Sequence[dict],
    iou_thresholds: Sequence[float] = (0.5,),
    method: str = "all",
) -> float:
    """Return the mean of the average precisions over the classes and the thresholds: mAP.

    Classes that have NaN are left out of the mean. NaN if none is left. With iou_thresholds 0.5, 0.55, ..., 0.95 this
    is nearly what COCO reports (which takes 101 points of recall), with 0.5 alone what Pascal VOC does.

    predictions, targets: as for gather_class. iou_thresholds: one or more, a tuple or list.
    """
    # TODO: a mean over what class_average_precisions gives for each threshold.
    raise NotImplementedError
