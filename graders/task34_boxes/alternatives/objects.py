"""A class for boxes, columns that are moved in place, and a queue of pairs for the matching."""

import heapq
import xml.etree.ElementTree as ET

import torch


class Boxes:
    def __init__(self, corners):
        self.low, self.high = corners[:, :2], corners[:, 2:]

    @property
    def size(self):
        return self.high - self.low

    @property
    def centre(self):
        return self.low + self.size / 2

    @classmethod
    def around(cls, centre, size):
        return torch.hstack([centre - size / 2, centre + size / 2])


def parse_voc_xml(text):
    def leaf(node, tag, kind, default):
        found = next((child for child in node if child.tag == tag), None)
        value = (found.text or "").strip() if found is not None else ""
        return kind(value) if value else default

    root = ET.XML(text)
    empty = ET.Element("size")
    size = next((child for child in root if child.tag == "size"), empty)
    return {
        "objects": [
            dict(
                bndbox=[leaf(node.find("bndbox"), edge, float, 0.0) for edge in "xmin ymin xmax ymax".split()],
                difficult=leaf(node, "difficult", int, 0),
                truncated=leaf(node, "truncated", int, 0),
                pose=leaf(node, "pose", str, "Unspecified"),
                name=leaf(node, "name", str, ""),
            )
            for node in root
            if node.tag == "object"
        ],
        "size": dict(depth=leaf(size, "depth", int, 0), width=leaf(size, "width", int, 0),
                     height=leaf(size, "height", int, 0)),
        "filename": leaf(root, "filename", str, ""),
        "folder": leaf(root, "folder", str, ""),
    }  # fmt: skip


def nms(boxes, scores, iou_threshold):
    gone, keep = torch.zeros(len(boxes), dtype=torch.bool), []
    overlaps = box_iou(boxes, boxes).detach().cpu()
    for n in torch.argsort(-scores.detach().cpu().double()).tolist():
        if not gone[n]:
            keep.append(n)
            gone |= overlaps[n] > iou_threshold
            gone[n] = True
    return boxes.new_tensor(keep, dtype=torch.int64).reshape(-1)


def batched_nms(boxes, scores, classes, iou_threshold):
    keep = torch.ones_like(scores, dtype=torch.bool)
    for one in torch.unique(classes).tolist():
        mine = classes == one
        chosen = nms(boxes[mine], scores[mine], iou_threshold)
        flags = torch.zeros(int(mine.sum()), dtype=torch.bool, device=boxes.device)
        flags[chosen] = True
        keep[mine] = flags
    index = torch.arange(len(scores), device=boxes.device)[keep]
    return index[scores[keep].sort(descending=True).indices]


def grid_anchors(h, w, stride, anchors):
    result = anchors.repeat(h * w, 1).view(h, w, anchors.shape[0], 4).clone()
    result[..., 0::2] += stride * torch.arange(w).to(anchors).view(1, w, 1, 1)
    result[..., 1::2] += stride * torch.arange(h).to(anchors).view(h, 1, 1, 1)
    return result.view(-1, 4)


def match_anchors(anchors, gt, hi, lo):
    match = torch.full((anchors.shape[0],), -1, dtype=torch.int64, device=anchors.device)
    if gt.shape[0] == 0 or anchors.shape[0] == 0:
        return match
    table = box_iou(anchors, gt)
    top = table.max(1)
    match = torch.where(top.values < lo, match, torch.where(top.values < hi, match - 1, top.indices))
    queue = [(-table[a, g].item(), a, g) for a, g in torch.nonzero(table).tolist()]
    heapq.heapify(queue)
    free = set(range(len(gt)))
    taken = set()
    while queue and free:
        _, a, g = heapq.heappop(queue)
        if g in free and a not in taken:
            match[a] = g
            free.remove(g)
            taken.add(a)
    return match


def encode_boxes(boxes, anchors):
    true, anchor = Boxes(boxes), Boxes(anchors)
    return torch.hstack([(true.centre - anchor.centre) / anchor.size, torch.log(true.size / anchor.size)])


def decode_boxes(deltas, anchors):
    anchor = Boxes(anchors)
    shift, growth = deltas.split(2, dim=1)
    return Boxes.around(anchor.centre + shift * anchor.size, anchor.size * torch.exp(growth))
