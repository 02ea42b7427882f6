"""A beginner's loops, wherever they are allowed, and minidom for the annotations."""

from xml.dom import minidom

import torch


def parse_voc_xml(text):
    def child(node, name):
        for one in node.childNodes:
            if one.nodeName == name:
                return one
        return None

    def word(node, name, default=""):
        found = child(node, name) if node is not None else None
        if found is None or found.firstChild is None:
            return default
        stripped = "".join(piece.data for piece in found.childNodes).strip()
        return stripped if stripped else default

    root = minidom.parseString(text).documentElement
    result = {"folder": word(root, "folder"), "filename": word(root, "filename"), "size": {}, "objects": []}
    for key in ("width", "height", "depth"):
        result["size"][key] = int(word(child(root, "size"), key, "0"))
    for node in root.childNodes:
        if node.nodeName != "object":
            continue
        entry = {"name": word(node, "name"), "pose": word(node, "pose", "Unspecified")}
        for flag in ("truncated", "difficult"):
            entry[flag] = int(word(node, flag, "0"))
        entry["bndbox"] = []
        for edge in ("xmin", "ymin", "xmax", "ymax"):
            entry["bndbox"].append(float(word(child(node, "bndbox"), edge)))
        result["objects"].append(entry)
    return result


def nms(boxes, scores, iou_threshold):
    left = scores.sort(descending=True)[1].tolist()
    keep = []
    while len(left) > 0:
        best = left.pop(0)
        keep.append(best)
        survivors = []
        for other in left:
            if box_iou(boxes[best : best + 1], boxes[other : other + 1]).item() <= iou_threshold:
                survivors.append(other)
        left = survivors
    return torch.tensor(keep, dtype=torch.long, device=boxes.device)


def batched_nms(boxes, scores, classes, iou_threshold):
    keep = []
    for one in set(classes.tolist()):
        where = torch.nonzero(classes == one).flatten()
        keep += where[nms(boxes[where], scores[where], iou_threshold)].tolist()
    keep.sort(key=lambda n: float(scores[n]), reverse=True)
    return torch.tensor(keep, dtype=torch.long, device=boxes.device)


def match_anchors(anchors, gt, hi, lo):
    result = torch.empty(len(anchors), dtype=torch.long, device=anchors.device)
    result[:] = -1
    table = box_iou(anchors, gt)
    for a in range(len(anchors)):
        for g in range(len(gt)):
            if table[a, g] == table[a].max():
                if table[a, g] >= hi:
                    result[a] = g
                elif table[a, g] >= lo:
                    result[a] = -2
    pairs = [(table[a, g].item(), a, g) for a in range(len(anchors)) for g in range(len(gt))]
    used_anchors, used_truths = [], []
    for _, a, g in sorted(pairs, reverse=True):
        if a not in used_anchors and g not in used_truths:
            result[a] = g
            used_anchors.append(a)
            used_truths.append(g)
    return result
