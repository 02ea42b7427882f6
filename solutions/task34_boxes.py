"""Task 34: boxes, from annotations to anchors.

A detector answers two questions at once: what is in the picture, and where. "Where" is a box. Before a network can
learn to draw boxes somebody has to read the true ones from a file, to say how well two boxes agree, to spread candidate
boxes (anchors) over the picture, to decide which of them stand for which object, and to write down what the network
shall answer for them. And when it has answered, ten boxes lie on every object, of which one must stay. All of that
is arithmetic on four numbers, and here it is.

A box is (x1, y1, x2, y2): its left, upper, right and lower edge, in pixels; x runs to the right and y down. Many boxes
are a tensor (N, 4). Edges are real numbers: the box (0, 0, 10, 10) is 10 wide and 10 high, and its area is 100. (In old
code a box from pixel 0 to pixel 9 is called (0, 0, 9, 9), and 1 is added to each side. Not here.) Boxes may reach over
the border of the picture, so edges may be negative. They are finite, x1 <= x2 and y1 <= y2, and there may be none.

An example to check by hand: the boxes (0, 0, 10, 10) and (5, 5, 15, 15) share a square of 5 by 5 pixels. Both together
cover 100 + 100 - 25 = 175 pixels, so their intersection over union (IoU) is 25 / 175 = 1/7 = 0.142857.

Conventions:

* Results are on the device of the boxes. What is given is not changed.
* Boxes and scores may require grad. Indices never do; what encode_boxes and decode_boxes return carries gradients to
  both arguments.

Forbidden: libraries that have these functions ready-made (torchvision and others); and in box_iou, grid_anchors,
encode_boxes and decode_boxes Python loops over the boxes or the cells: neither the PyTorch calls nor the lines of
Python that run may become more with their number. In the other functions loops are fine.
"""

import math
from collections.abc import Sequence
from xml.etree import ElementTree

import torch
from torch import Tensor


# BEGIN SOLUTION
def tag_text(node, path: str, default: str = "0") -> str:
    """The text of the tag at a path below a node, or the default where there is none."""
    return (node.findtext(path) or "").strip() or default


# END SOLUTION
def parse_voc_xml(text: str) -> dict:
    """Read an annotation file of the Pascal VOC form, which looks like this:

        <annotation>
          <folder>VOC2007</folder>
          <filename>000001.jpg</filename>
          <size> <width>353</width> <height>500</height> <depth>3</depth> </size>
          <object>
            <name>dog</name> <pose>Left</pose> <truncated>1</truncated> <difficult>0</difficult>
            <bndbox> <xmin>48</xmin> <ymin>240</ymin> <xmax>195</xmax> <ymax>371</ymax> </bndbox>
          </object>
        </annotation>

    Returns {"folder": "VOC2007", "filename": "000001.jpg", "size": {"width": 353, "height": 500, "depth": 3},
    "objects": [{"name": "dog", "pose": "Left", "truncated": 1, "difficult": 0,
    "bndbox": [48.0, 240.0, 195.0, 371.0]}]}, with these keys and no others. bndbox is a list (or tuple) of floats:
    xmin, ymin, xmax, ymax, in this order. The numbers of size, truncated and difficult are ints, and all other values
    are strings without white space around them. The objects are a list in the order of the file, which may be empty.

    Files differ. Tags may stand in any order, on lines of their own or not; others may stand between them, to be passed
    over. Coordinates may have decimals. An object may have <part> tags with a name and a bndbox of their own inside:
    they are not the object's. A tag that is missing or empty counts as 0 for a number, as "Unspecified" for pose and as
    "" for folder and filename. Each object has a name and a whole bndbox.
    """
    # TODO: let xml.etree.ElementTree read the text, then look for tags by name, each right below its owner.
    # BEGIN SOLUTION
    root = ElementTree.fromstring(text)
    return {
        "folder": tag_text(root, "folder", ""),
        "filename": tag_text(root, "filename", ""),
        "size": {key: int(tag_text(root, f"size/{key}")) for key in ("width", "height", "depth")},
        "objects": [
            {
                "name": tag_text(node, "name"),
                "pose": tag_text(node, "pose", "Unspecified"),
                "truncated": int(tag_text(node, "truncated")),
                "difficult": int(tag_text(node, "difficult")),
                "bndbox": [float(tag_text(node, f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")],
            }
            for node in root.findall("object")
        ],
    }
    # END SOLUTION


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Return the intersection over union of each box of a with each box of b.

    Boxes that only touch, or lie apart, have 0. So have two boxes whose union has no area (0/0 counts as 0).

    a: (N, 4), b: (M, 4), both of the same dtype, which may be floating point or integer. Returns: (N, M), float64 for
    boxes in float64, else float32. In half precision or small integers areas would overflow, and differences of
    unsigned integers wrap round: compute in float32 then.
    """
    # TODO: where does an intersection begin, where does it end, and what if it ends before it begins? Corners of the
    # shapes (N, 1, 2) and (1, M, 2) give all pairs.
    # BEGIN SOLUTION
    if a.dtype != torch.float64:
        a, b = a.float(), b.float()
    upper = torch.maximum(a[:, None, :2], b[None, :, :2])  # (N, M, 2)
    lower = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = (lower - upper).clamp(min=0).prod(2)  # (N, M)
    area_a, area_b = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    union = area_a[:, None] + area_b[None] - intersection
    return torch.where(union > 0, intersection / union, 0)
    # END SOLUTION


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Non-maximum suppression: return the indices of the boxes that stay, the highest score first.

    Again and again the box with the highest score of those left is kept, and every box that overlaps with it too much,
    IoU > iou_threshold, goes. (A box whose IoU is the threshold stays.) A box that is gone suppresses nothing.

    For the boxes (0, 0, 10, 10), (1, 0, 11, 10), (3, 0, 13, 10) and (40, 40, 50, 50), with scores 0.8, 0.9, 0.7, 0.6:
    the first two have the IoU 9/11, the next two 2/3, the first and the third 7/13. With 0.6 the result is [1, 3], with
    0.7 it is [1, 2, 3], and with 0.9 it is [1, 0, 2, 3].

    boxes: (N, 4), of any dtype that box_iou takes. scores: (N,), floating point, finite, of any sign. Boxes of equal
    score come in any order. Returns: int64 (K,); K is 0 if N is.
    """
    # TODO: sort by score; keep a box, drop what overlaps with it, and so on.
    # BEGIN SOLUTION
    order = scores.argsort(descending=True)
    too_near = box_iou(boxes[order], boxes[order]) > iou_threshold  # (N, N)
    stays = torch.ones_like(order, dtype=torch.bool)
    for i in range(len(order)):
        if stays[i]:
            stays[i + 1 :] &= ~too_near[i, i + 1 :]
    return order[stays]
    # END SOLUTION


def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float) -> Tensor:
    """The same for boxes of several classes: only boxes of one class suppress each other.

    A cat on a sofa is no second sofa. Returns: int64 (K,), the indices of all boxes that stay, the highest score first,
    whatever their class.

    classes: (N,), int64, any numbers, also negative ones and ones far apart. All else is as for nms.
    """
    # TODO: which pairs of boxes can suppress each other?
    # BEGIN SOLUTION
    stays = torch.zeros_like(classes, dtype=torch.bool)
    for one in classes.unique():
        (members,) = (classes == one).nonzero(as_tuple=True)
        stays[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    order = scores.argsort(descending=True)
    return order[stays[order]]
    # END SOLUTION


def generate_anchors(base: float, ratios: Sequence[float], scales: Sequence[float]) -> Tensor:
    """Return the anchors of one cell, around the point (0, 0): one for each scale and ratio.

    The anchor of a scale and a ratio has the area (base · scale)², and its height / width is the ratio. So all anchors
    of one scale have the same area.

    generate_anchors(16, (0.25, 1, 4), (1,)) is (-16, -4, 16, 4), (-8, -8, 8, 8), (-4, -16, 4, 16).

    ratios, scales: tuples or lists of positive numbers. Returns: (len(scales) · len(ratios), 4), float32, on the CPU:
    all ratios of the first scale, in the order given, then those of the second, and so on. Nothing is rounded.
    """
    # TODO: from w · h = (base · scale)² and h / w = ratio follow w and h.
    # BEGIN SOLUTION
    boxes = []
    for scale in scales:
        for ratio in ratios:
            w, h = base * scale / math.sqrt(ratio), base * scale * math.sqrt(ratio)
            boxes.append([-w / 2, -h / 2, w / 2, h / 2])
    return torch.tensor(boxes, dtype=torch.float32)
    # END SOLUTION


def grid_anchors(h: int, w: int, stride: float, anchors: Tensor) -> Tensor:
    """Put the anchors of one cell on every cell of a feature map with h rows and w columns.

    The cell in row i and column j stands for the point x = j · stride, y = i · stride of the picture (without half a
    cell added).

    grid_anchors(2, 2, 16, torch.tensor([[-8.0, -8, 8, 8]])) is (-8, -8, 8, 8), (8, -8, 24, 8), (-8, 8, 8, 24),
    (8, 8, 24, 24).

    anchors: (A, 4), floating point. Returns: (h · w · A, 4), of the dtype of the anchors: row after row, in a row cell
    after cell from the left, and the A anchors of a cell together, in their order. h, w or A may be 0.
    """
    # TODO: make the shifts (x, y, x, y) of all cells, then let them meet the anchors.
    # BEGIN SOLUTION
    options = {"device": anchors.device, "dtype": anchors.dtype}
    y, x = torch.meshgrid(torch.arange(h, **options), torch.arange(w, **options), indexing="ij")
    shifts = stride * torch.stack([x, y, x, y], dim=2)  # (h, w, 4)
    return (shifts[:, :, None] + anchors).reshape(-1, 4)
    # END SOLUTION


def match_anchors(anchors: Tensor, gt: Tensor, hi: float, lo: float) -> Tensor:
    """Say for each anchor which true box it has to find, if any.

    First by thresholds. Each anchor looks at the true box with which it has the highest IoU. If that is hi or more, the
    anchor gets the index of this box; if it is less than lo, it gets -1 (background); in between -2 (take no notice).

    Then every true box gets an anchor, be the overlap ever so small, or nobody would look for it: take the pair of an
    anchor and a true box with the highest IoU of all; this anchor gets this box, whatever it had before; lay both
    aside. Go on with the rest until every true box has had its turn.

    For the true boxes (0, 0, 10, 10), (40, 40, 50, 50) and the anchors (0, 0, 10, 10), (0, 0, 10, 5), (20, 20, 30, 30),
    (40, 40, 45, 45), with hi 0.7 and lo 0.3: the IoUs with the nearer box are 1, 0.5, 0 and 0.25, so the thresholds say
    0, -2, -1, -1; the second true box has found no anchor, and takes the last one: [0, -2, -1, 1].

    anchors: (A, 4), gt: (G, 4), both float32 or both float64. hi >= lo > 0. Returns: int64 (A,). Without true boxes all
    anchors are -1; without anchors the result is empty. It is not asked what happens with pairs of equal IoU, nor,
    where there are anchors, with a true box that overlaps with no anchor that is still free.
    """
    # TODO: box_iou, a maximum over the true boxes, and a loop in which rows and columns of the IoUs are crossed out.
    # BEGIN SOLUTION
    overlaps = box_iou(anchors, gt)  # (A, G)
    match = torch.full((len(anchors),), -1, device=anchors.device)
    if overlaps.numel() == 0:
        return match
    best, index = overlaps.max(dim=1)  # (A,)
    match[best >= lo] = -2
    match = torch.where(best >= hi, index, match)
    for _ in range(min(overlaps.shape)):
        anchor, truth = divmod(int(overlaps.argmax()), len(gt))
        match[anchor] = truth
        overlaps[anchor], overlaps[:, truth] = -1, -1
    return match
    # END SOLUTION


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Return what a network has to answer for each anchor so that it becomes the box beside it.

    With centre (x, y), width w and height h of the box and (xa, ya), wa, ha of its anchor these are the four numbers
    ((x - xa) / wa, (y - ya) / ha, log(w / wa), log(h / ha)), which do not depend on the size of the objects.

    The box (5, 10, 25, 30) beside the anchor (0, 0, 10, 20): (15 - 5) / 10, (20 - 10) / 20, log(20 / 10), log(20 / 20),
    which is (1, 0.5, 0.693, 0).

    boxes, anchors: (N, 4), both float32 or both float64; all widths and heights are positive. Returns: (N, 4), of the
    same dtype.
    """
    # TODO: centres and sizes of both, then the four numbers.
    # BEGIN SOLUTION
    size, anchor_size = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]  # (N, 2)
    centre, anchor_centre = (boxes[:, 2:] + boxes[:, :2]) / 2, (anchors[:, 2:] + anchors[:, :2]) / 2
    return torch.cat([(centre - anchor_centre) / anchor_size, (size / anchor_size).log()], dim=1)
    # END SOLUTION


def decode_boxes(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Return the boxes that a network means with its four numbers for each anchor: the inverse of encode_boxes.

    The numbers (1, 0.5, 0.693, 0) beside the anchor (0, 0, 10, 20) are the box (5, 10, 25, 30), as above.

    deltas, anchors: (N, 4), both float32 or both float64. Returns: (N, 4), of the same dtype, boxes (x1, y1, x2, y2).
    Nothing is clipped.
    """
    # TODO: solve the four equations of encode_boxes for the box; then from centre and size to edges.
    # BEGIN SOLUTION
    anchor_size, anchor_centre = anchors[:, 2:] - anchors[:, :2], (anchors[:, 2:] + anchors[:, :2]) / 2  # (N, 2)
    centre, size = anchor_centre + deltas[:, :2] * anchor_size, anchor_size * deltas[:, 2:].exp()
    return torch.cat([centre - size / 2, centre + size / 2], dim=1)
    # END SOLUTION
