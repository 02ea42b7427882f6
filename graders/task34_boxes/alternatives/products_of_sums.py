"""Corners as a matrix for each box, sums of products, suppression by flags of NumPy, and tags as attributes."""

from dataclasses import dataclass
from xml.etree import ElementTree as etree

import numpy as np


class Node:
    def __init__(self, element):
        self.element = element

    def __getattr__(self, tag):
        return Node(None if self.element is None else self.element.find(tag))

    def all(self, tag):
        return [Node(e) for e in self.element.findall(tag)]

    def get(self, kind, default):
        words = "" if self.element is None else (self.element.text or "").strip()
        return kind(words) if words else default


def parse_voc_xml(text: str) -> dict:
    top = Node(etree.fromstring(text))
    return dict(
        folder=top.folder.get(str, ""),
        filename=top.filename.get(str, ""),
        size={k: getattr(top.size, k).get(int, 0) for k in ("width", "height", "depth")},
        objects=[
            dict(
                name=o.name.get(str, ""),
                pose=o.pose.get(str, "Unspecified"),
                truncated=o.truncated.get(int, 0),
                difficult=o.difficult.get(int, 0),
                bndbox=[getattr(o.bndbox, k).get(float, 0.0) for k in "xmin ymin xmax ymax".split()],
            )
            for o in top.all("object")
        ],
    )


@dataclass
class Boxes:
    corners: Tensor  # (N, 2, 2): N boxes, first and second corner, x and y

    @classmethod
    def of(cls, t):
        return cls(t.unflatten(1, (2, 2)))

    @property
    def size(self):
        return self.corners[:, 1] - self.corners[:, 0]

    @property
    def centre(self):
        return self.corners.mean(1)

    @property
    def area(self):
        return torch.einsum("n,n->n", *self.size.unbind(1))


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    real = torch.float64 if a.dtype == torch.float64 else torch.float32
    p, q = Boxes.of(a.to(real)), Boxes.of(b.to(real))
    begin = torch.max(p.corners[:, None, 0], q.corners[None, :, 0])
    end = torch.min(p.corners[:, None, 1], q.corners[None, :, 1])
    both = torch.einsum("abi,abj->abij", end.sub(begin).clamp_min(0), (end - begin).clamp_min(0))[..., 0, 1]
    return (both / (p.area.unsqueeze(1) + q.area - both)).nan_to_num(nan=0.0)


def _suppress(overlap, scores, threshold):
    overlap = overlap.cpu().numpy()
    order = np.argsort(-scores.detach().double().cpu().numpy(), kind="stable")
    alive = np.ones(len(order), dtype=bool)
    for i in order:
        if alive[i]:
            alive &= ~overlap[i]
            alive[i] = True
    return torch.from_numpy(order[alive[order]].astype(np.int64)).to(scores.device)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    return _suppress(box_iou(boxes, boxes) > iou_threshold, scores, iou_threshold)


def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float) -> Tensor:
    rivals = torch.eq(classes.view(-1, 1) if classes.is_contiguous() else classes[:, None], classes)
    return _suppress((box_iou(boxes, boxes) > iou_threshold) & rivals, scores, iou_threshold)


def generate_anchors(base, ratios, scales) -> Tensor:
    r = np.sqrt(np.asarray(ratios, dtype=np.float64))
    s = np.asarray(scales, dtype=np.float64)[:, None] * base / 2
    w, h = s / r, s * r
    return torch.from_numpy(np.stack([-w, -h, w, h], axis=-1).reshape(-1, 4).astype(np.float32))


def grid_anchors(h: int, w: int, stride: float, anchors: Tensor) -> Tensor:
    i, j = torch.meshgrid(*(torch.arange(n, dtype=torch.float64, device=anchors.device) for n in (h, w)), indexing="ij")
    shift = torch.stack([j, i, j, i], -1).mul_(stride)
    return (shift[:, :, None, :] + anchors).flatten(0, 2).to(anchors.dtype)


def match_anchors(anchors: Tensor, gt: Tensor, hi: float, lo: float) -> Tensor:
    iou = box_iou(anchors, gt).detach()
    out = iou.new_full((len(anchors),), -1, dtype=torch.int64)
    if iou.numel():
        top, who = iou.max(1)
        out = torch.where(top >= hi, who, torch.where(top < lo, -1, -2))
        while (peak := iou.max()) > 0:
            r, c = (iou == peak).nonzero()[0].tolist()
            out[r] = c
            iou[r].zero_()
            iou[:, c].zero_()
    return out


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    b, a = Boxes.of(boxes), Boxes.of(anchors)
    return torch.hstack([(b.centre - a.centre) / a.size, b.size.log() - a.size.log()])


def decode_boxes(deltas: Tensor, anchors: Tensor) -> Tensor:
    a = Boxes.of(anchors)
    move, grow = deltas.tensor_split(2, dim=1)
    centre, size = a.centre + move * a.size, a.size * grow.exp()
    sign = torch.tensor([-0.5, 0.5], dtype=deltas.dtype, device=deltas.device)
    return (centre[:, None] + torch.einsum("k,nd->nkd", sign, size)).flatten(1)
