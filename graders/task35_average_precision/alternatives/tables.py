"""Tables in place of loops: who was first on each true box, and a comparison of all with all."""

import torch


def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5, difficult=None):
    if gt_boxes.shape[0] == 0 or boxes.shape[0] == 0:
        return boxes.new_zeros(boxes.shape[0], dtype=torch.int64)
    overlap, truth = box_iou(boxes, gt_boxes).detach().max(1)
    hits = overlap >= iou_threshold
    hard = torch.zeros_like(hits) if difficult is None else difficult.bool()[truth]
    rank = torch.empty_like(truth)
    rank[scores.argsort(descending=True)] = torch.arange(len(rank), device=rank.device)
    rivals = (truth[:, None] == truth[None]) & hits[None] & (rank[None] < rank[:, None])
    first = hits & ~rivals.any(1)
    return torch.where(hits & hard, -1, first.long())


def precision_recall(tp, scores, num_gt):
    counts = tp.to(torch.int64) >= 0
    right, scores = (tp.to(torch.int64)[counts] == 1).float(), scores[counts]
    right = right[torch.sort(scores.detach(), stable=True, descending=True)[1]]
    found = torch.cumsum(right, dim=0)
    recall = found / num_gt if num_gt > 0 else found * float("nan")
    return found / torch.ones_like(found).cumsum(0), recall


def precision_envelope(precision):
    with torch.no_grad():
        if precision.numel() == 0:
            return torch.empty_like(precision)
        later = torch.ones(len(precision), len(precision), device=precision.device).triu().bool()
        lowest = torch.full_like(precision, -float("inf"))
        return torch.where(later, precision[None, :], lowest[None, :]).amax(dim=1)


def area_below(precision, recall):
    falls = torch.cat([recall.detach(), recall.detach().new_zeros(1)])
    return float((precision_envelope(precision).double() * (falls[:-1] - falls.roll(1)[:-1]).double()).sum())


def interpolated_precision(precision, recall, points):
    with torch.no_grad():
        if recall.numel() == 0:
            return points * 0
        best = torch.cat([precision_envelope(precision), precision.new_zeros(1)])
        return best[torch.searchsorted(recall.contiguous(), points.contiguous())].clone()


def average_precision(tp, scores, num_gt, method="all"):
    if method == "all":
        if num_gt == 0:
            return float("nan")
        precision, _ = precision_recall(tp, scores, num_gt)
        order = scores.argsort(descending=True)
        ranked = tp.long()[order]
        right = ranked[ranked >= 0] == 1
        return float(precision_envelope(precision)[right].double().sum() / num_gt)
    if method == "11point":
        if num_gt == 0:
            return float("nan")
        precision, recall = precision_recall(tp, scores, num_gt)
        total = 0.0
        for k in range(11):
            good = precision[recall >= k / 10]
            total += good.max().item() if good.numel() else 0.0
        return total / 11
    raise ValueError(method)


def mean_average_precision(predictions, targets, iou_thresholds=(0.5,), method="all"):
    values = torch.tensor(
        [
            value
            for threshold in iou_thresholds
            for value in class_average_precisions(predictions, targets, threshold, method).values()
        ],
        dtype=torch.float64,
    )
    return values.nanmean().item()
