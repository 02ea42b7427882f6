"""Arrays where no gradient is asked for, columns with names, and a regular expression for the annotations."""

import re

import numpy as np
import torch


def parse_voc_xml(text):
    def once(source, tag, default):
        found = re.search(rf"<{tag}>(.*?)</{tag}>", source, re.S)
        value = found.group(1).strip() if found else ""
        value = value.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        return value or default

    objects = []
    for source in re.findall(r"<object>(.*?)</object>", text, re.S):
        source = re.sub(r"<part>.*?</part>", "", source, flags=re.S)
        objects.append({
            "name": once(source, "name", ""), "pose": once(source, "pose", "Unspecified"),
            "truncated": int(once(source, "truncated", 0)), "difficult": int(once(source, "difficult", 0)),
            "bndbox": tuple(float(once(source, edge, 0)) for edge in ("xmin", "ymin", "xmax", "ymax")),
        })  # fmt: skip
    head = re.sub(r"<object>.*</object>", "", text, flags=re.S)
    size = {key: int(once(once(head, "size", ""), key, 0)) for key in ("width", "height", "depth")}
    return {"folder": once(head, "folder", ""), "filename": once(head, "filename", ""), "size": size,
            "objects": objects}  # fmt: skip


def _corners(boxes):
    return boxes.detach().to("cpu", torch.float64).numpy()


def box_iou(a, b):
    one, other = _corners(a), _corners(b)
    sides = [
        np.clip(np.minimum.outer(one[:, n + 2], other[:, n + 2]) - np.maximum.outer(one[:, n], other[:, n]), 0, None)
        for n in (0, 1)
    ]
    shared = sides[0] * sides[1]
    areas = [(x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (one, other)]
    union = np.add.outer(*areas) - shared
    found = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return torch.from_numpy(found).to(a.device, torch.float64 if a.dtype == torch.float64 else torch.float32)


def nms(boxes, scores, iou_threshold):
    x1, y1, x2, y2 = _corners(boxes).T
    areas = (x2 - x1) * (y2 - y1)
    order = np.argsort(-scores.detach().cpu().double().numpy(), kind="stable")
    keep = []
    while order.size:
        i, rest = order[0], order[1:]
        keep.append(int(i))
        w = np.maximum(0.0, np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]))
        h = np.maximum(0.0, np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]))
        order = rest[w * h <= iou_threshold * (areas[i] + areas[rest] - w * h)]
    return torch.as_tensor(keep, dtype=torch.int64, device=boxes.device)


def batched_nms(boxes, scores, classes, iou_threshold):
    if len(boxes) == 0:
        return torch.zeros(0, dtype=torch.int64, device=boxes.device)
    _, number = torch.unique(classes, return_inverse=True)
    wide = boxes.detach().double()
    apart = (wide.max() - wide.min() + 1) * number
    return nms(wide + apart[:, None], scores, iou_threshold)


def generate_anchors(base, ratios, scales):
    sides = base * np.asarray(scales, float)[:, None]
    roots = np.sqrt(np.asarray(ratios, float))[None]
    w, h = sides / roots, sides * roots
    return torch.from_numpy(0.5 * np.stack([-w, -h, w, h], -1).reshape(-1, 4)).float()


def grid_anchors(h, w, stride, anchors):
    x = np.tile(np.arange(w), h) * stride
    y = np.repeat(np.arange(h), w) * stride
    shifts = torch.from_numpy(np.stack([x, y, x, y], 1).astype(float)).to(anchors)
    return (shifts[:, None, :] + anchors[None, :, :]).flatten(0, 1)
