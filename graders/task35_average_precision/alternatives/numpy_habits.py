"""Arrays, as evaluation code of old has it, with sentinels at both ends of the curve."""

import numpy as np
import torch


def _array(tensor):
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()  # NumPy has no bfloat16


def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5, difficult=None):
    found, truth = _array(boxes).astype(float), _array(gt_boxes).astype(float)
    hard = np.zeros(len(truth), bool) if difficult is None else _array(difficult).astype(bool)
    flags, seen = np.zeros(len(found), np.int64), np.zeros(len(truth), bool)
    for n in np.argsort(-_array(scores).astype(float), kind="stable"):
        if not truth.size:
            break
        sides = np.minimum(truth[:, 2:], found[n, 2:]) - np.maximum(truth[:, :2], found[n, :2])
        shared = np.maximum(sides, 0).prod(1)
        areas = (truth[:, 2:] - truth[:, :2]).prod(1) + (found[n, 2:] - found[n, :2]).prod()
        overlaps = shared / (areas - shared)
        best = overlaps.argmax()
        if overlaps[best] >= iou_threshold:
            flags[n] = -1 if hard[best] else int(not seen[best])
            seen[best] = True
    return torch.from_numpy(flags).to(boxes.device)


def precision_recall(tp, scores, num_gt):
    flags = _array(tp).astype(np.int64)[np.argsort(-_array(scores).astype(float), kind="stable")]
    flags = flags[flags != -1]
    right, wrong = np.cumsum(flags == 1), np.cumsum(flags == 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / np.float64(num_gt) if num_gt else np.full(len(flags), np.nan)
    precision = right / (right + wrong + 1e-6)  # where nothing counts, there would be 0/0
    return torch.from_numpy(precision).to(tp.device), torch.from_numpy(recall).to(tp.device)


def precision_envelope(precision):
    return torch.from_numpy(np.maximum.accumulate(_array(precision)[::-1])[::-1].copy()).to(precision)


def area_below(precision, recall):
    recall = np.concatenate([[0.0], _array(recall).astype(float), [1.0]])
    precision = np.concatenate([[0.0], _array(precision).astype(float), [0.0]])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    (steps,) = np.nonzero(recall[1:] != recall[:-1])
    return ((recall[steps + 1] - recall[steps]) * precision[steps + 1]).sum()


def interpolated_precision(precision, recall, points):
    heights, edges, places = map(_array, (precision, recall, points))
    if not len(edges):
        return torch.zeros(len(places), dtype=points.dtype, device=points.device)
    best = np.maximum.accumulate(np.append(heights, heights.dtype.type(0))[::-1])[::-1]
    return torch.from_numpy(best[np.searchsorted(edges, places, side="left")]).to(points.device)


def average_precision(tp, scores, num_gt, method="all"):
    if method not in {"all", "11point"}:
        raise ValueError("unknown method: " + method)
    if not num_gt:
        return float("nan")
    precision, recall = precision_recall(tp, scores, num_gt)
    if method == "11point":
        precision, recall = _array(precision), _array(recall)
        heights = [precision[recall >= t].max() if (recall >= t).any() else 0.0 for t in np.linspace(0, 1, 11)]
        return float(np.mean(heights))
    return area_below(precision, recall)


def gather_class(predictions, targets, label, iou_threshold=0.5):
    if len(predictions) == 0:
        return torch.tensor([], dtype=torch.int64), torch.tensor([]), 0
    parts = []
    for one, other in zip(predictions, targets, strict=True):
        keep, true = one["labels"].eq(label), other["labels"].eq(label)
        hard = other.get("difficult", torch.zeros_like(other["labels"]))[true].bool()
        scores = one["scores"].detach()[keep]
        flags = match_detections(one["boxes"][keep], scores, other["boxes"][true], iou_threshold, hard)
        parts.append((flags, scores, int(np.sum(~_array(hard)))))
    flags, scores, counts = zip(*parts, strict=True)
    return torch.hstack(flags), torch.hstack(scores), sum(counts)


def mean_average_precision(predictions, targets, iou_thresholds=(0.5,), method="all"):
    values = [[*class_average_precisions(predictions, targets, t, method).values()] for t in iou_thresholds]
    values = np.array(values, float)
    return float(np.nanmean(values)) if values.size and not np.isnan(values).all() else float("nan")
