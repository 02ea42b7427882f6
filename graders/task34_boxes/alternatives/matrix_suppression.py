"""Suppression by repeated products of a matrix until nothing changes, and one-liners."""

import torch


def box_iou(a, b):
    a, b = (x if x.dtype == torch.float64 else x.to(torch.float32) for x in (a, b))
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.T.unsqueeze(-1), b.T.unsqueeze(-2)
    w = torch.relu(torch.min(ax2, bx2) - torch.max(ax1, bx1))
    h = torch.relu(torch.min(ay2, by2) - torch.max(ay1, by1))
    union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - w * h
    return torch.nan_to_num(w * h / union, nan=0.0)


def _stable(boxes, scores, iou_threshold, rivals):
    order = torch.sort(scores, descending=True, stable=True).indices
    conflicts = (box_iou(boxes[order], boxes[order]) > iou_threshold) & rivals[order][:, order]
    conflicts = conflicts.triu(diagonal=1).float()  # row i suppresses column j
    alive = torch.ones(len(order), device=boxes.device)
    while True:
        after = (conflicts.T @ alive == 0).float()
        if torch.equal(after, alive):
            return order[alive.bool()]
        alive = after


def nms(boxes, scores, iou_threshold):
    return _stable(boxes, scores, iou_threshold, torch.ones(len(boxes), len(boxes), device=boxes.device).bool())


def batched_nms(boxes, scores, classes, iou_threshold):
    return _stable(boxes, scores, iou_threshold, classes[:, None] == classes[None, :])


def generate_anchors(base, ratios, scales):
    scales, ratios = torch.tensor(scales, dtype=torch.float64), torch.tensor(ratios, dtype=torch.float64)
    w = torch.outer(scales * base, ratios**-0.5)
    h = w * ratios
    return (torch.stack((-w, -h, w, h), dim=-1) / 2).view(-1, 4).float()


def grid_anchors(h, w, stride, anchors):
    x = (torch.arange(w, device=anchors.device) * stride).view(1, w, 1, 1)
    y = (torch.arange(h, device=anchors.device) * stride).view(h, 1, 1, 1)
    along_x = anchors.new_tensor([1, 0, 1, 0])
    return (anchors + (x * along_x).to(anchors.dtype) + (y * (1 - along_x)).to(anchors.dtype)).reshape(-1, 4)


def encode_boxes(boxes, anchors):
    x1, y1, x2, y2 = boxes.unbind(-1)
    u1, v1, u2, v2 = anchors.unbind(-1)
    return torch.stack([
        (x1 + x2 - u1 - u2) / (u2 - u1) / 2, (y1 + y2 - v1 - v2) / (v2 - v1) / 2,
        torch.log(x2 - x1) - torch.log(u2 - u1), torch.log(y2 - y1) - torch.log(v2 - v1),
    ], dim=-1)  # fmt: skip


def decode_boxes(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    half = size * deltas[:, 2:].exp() * 0.5
    middle = anchors[:, :2] + size * (deltas[:, :2] + 0.5)
    return torch.stack([middle - half, middle + half], dim=1).flatten(1)
