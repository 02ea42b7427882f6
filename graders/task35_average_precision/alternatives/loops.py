"""A beginner's loops, wherever they are allowed."""

import math

import torch


def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5, difficult=None):
    flags = torch.zeros(boxes.shape[0], dtype=torch.long, device=boxes.device)
    found_before = [False] * gt_boxes.shape[0]
    _, order = torch.sort(scores, descending=True)
    for n in order:
        best_overlap, best_truth = 0.0, -1
        for g in range(gt_boxes.shape[0]):
            overlap = box_iou(boxes[n : n + 1], gt_boxes[g : g + 1])[0, 0]
            if overlap > best_overlap:
                best_overlap, best_truth = overlap, g
        if best_truth == -1 or best_overlap < iou_threshold:
            continue
        if difficult is not None and bool(difficult[best_truth]):
            flags[n] = -1
            continue
        if not found_before[best_truth]:
            flags[n] = 1
            found_before[best_truth] = True
    return flags


def interpolated_precision(precision, recall, points):
    result = []
    for point in points:
        good = precision.detach()[recall >= point]
        result.append(good.max() if len(good) > 0 else torch.zeros((), dtype=points.dtype, device=points.device))
    return torch.stack(result) if result else points.detach().clone()


def gather_class(predictions, targets, label, iou_threshold=0.5):
    all_flags, all_scores, num_gt = [], [], 0
    for i in range(len(targets)):
        prediction, target = predictions[i], targets[i]
        where = (prediction["labels"] == label).nonzero().flatten()
        true = (target["labels"] == label).nonzero().flatten()
        if "difficult" in target:
            hard = target["difficult"][true]
        else:
            hard = torch.zeros(len(true))
        for value in hard.tolist():
            if not value:
                num_gt += 1
        scores = prediction["scores"][where].detach()
        all_flags.append(
            match_detections(prediction["boxes"][where], scores, target["boxes"][true], iou_threshold, hard)
        )
        all_scores.append(scores)
    if not all_flags:
        return torch.zeros(0, dtype=torch.long), torch.zeros(0), 0
    return torch.cat(all_flags), torch.cat(all_scores), num_gt


def class_average_precisions(predictions, targets, iou_threshold=0.5, method="all"):
    result = {}
    for target in targets:
        for label in target["labels"]:
            label = label.item()
            if label not in result:
                tp, scores, num_gt = gather_class(predictions, targets, label, iou_threshold)
                result[label] = average_precision(tp, scores, num_gt, method)
    return result


def mean_average_precision(predictions, targets, iou_thresholds=(0.5,), method="all"):
    total, count = 0.0, 0
    for threshold in iou_thresholds:
        for value in class_average_precisions(predictions, targets, threshold, method).values():
            if value == value:
                total += value
                count += 1
    if count == 0:
        return math.nan
    return total / count
