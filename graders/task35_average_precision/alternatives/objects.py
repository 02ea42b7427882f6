"""A ledger of each true box, a generator of pictures, and an area added up in fractions."""

import math
from fractions import Fraction

import torch


class Truth:
    def __init__(self, hard):
        self.hard, self.free = bool(hard), True

    def flag(self):
        if self.hard:
            return -1
        was_free, self.free = self.free, False
        return int(was_free)


def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5, difficult=None):
    hard = difficult.tolist() if difficult is not None else [0] * len(gt_boxes)
    truths = [Truth(one) for one in hard]
    flags = {}
    for n in sorted(range(len(scores)), key=scores.tolist().__getitem__, reverse=True):
        overlaps = box_iou(boxes[n][None], gt_boxes)[0]
        fits = len(truths) > 0 and bool(overlaps.max() >= iou_threshold)
        flags[n] = truths[int(overlaps.argmax())].flag() if fits else 0
    return torch.tensor([flags[n] for n in range(len(scores))], dtype=torch.int64, device=boxes.device)


def precision_recall(tp, scores, num_gt):
    pairs = torch.stack([scores.detach().double(), tp.detach().double()])
    pairs = pairs[:, pairs[1] > -0.5]
    pairs = pairs[:, (-pairs[0]).argsort(stable=True)]
    found = pairs[1].cumsum(0)
    ranks = torch.linspace(1, max(found.numel(), 1), found.numel(), dtype=torch.float64, device=found.device)
    return found.div(ranks.round()), found.div(num_gt if num_gt else math.nan)


def precision_envelope(precision):
    flipped = torch.flip(precision.detach(), [0])
    return torch.flip(torch.cummax(flipped, 0)[0], [0]) if flipped.numel() else flipped


def area_below(precision, recall):
    right = recall.detach().diff(prepend=torch.zeros_like(recall[:1].detach())) if len(recall) else recall.detach()
    return torch.dot(precision_envelope(precision), right).item()


def _pictures(predictions, targets, label):
    for prediction, target in zip(predictions, targets, strict=True):
        chosen, true = (one["labels"] == label for one in (prediction, target))
        hard = target["difficult"].bool() if target.get("difficult") is not None else torch.zeros_like(true)
        yield prediction["boxes"][chosen], prediction["scores"][chosen].detach(), target["boxes"][true], hard[true]


def gather_class(predictions, targets, label, iou_threshold=0.5):
    flags, scores, num_gt = [], [], 0
    for boxes, confidences, gt, hard in _pictures(predictions, targets, label):
        flags += [match_detections(boxes, confidences, gt, iou_threshold, difficult=hard)]
        scores += [confidences]
        num_gt += len(hard) - int(hard.sum())
    empty = torch.tensor([])
    return (torch.cat(flags) if flags else empty.long()), (torch.cat(scores) if scores else empty), num_gt


def class_average_precisions(predictions, targets, iou_threshold=0.5, method="all"):
    if not targets:
        return {}
    labels = torch.cat([target["labels"] for target in targets]).unique().tolist()
    return {
        int(label): average_precision(*gather_class(predictions, targets, label, iou_threshold), method)
        for label in labels
    }


def mean_average_precision(predictions, targets, iou_thresholds=(0.5,), method="all"):
    per_threshold = []
    for threshold in iou_thresholds:
        table = class_average_precisions(predictions, targets, threshold, method)
        known = [Fraction(value) for value in table.values() if not math.isnan(value)]
        if known:
            per_threshold.append(sum(known) / len(known))
    return float(sum(per_threshold) / len(per_threshold)) if per_threshold else math.nan
