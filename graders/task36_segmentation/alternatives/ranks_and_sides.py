"""Pixels ranked by their best object, flips added up, runs from their ends; each of three maps gives scores."""

import contextlib
from collections import defaultdict
from os import PathLike

from torch import nn
from torch.nn.functional import interpolate, relu

NAN = float("nan")


def _test(wanted):
    """A filter as a function."""
    if wanted is None:
        return lambda v: True
    allowed = frozenset(wanted if isinstance(wanted, (list, tuple)) else (wanted,))
    return allowed.__contains__


class CocoIndex:
    def __init__(self, source):
        if isinstance(source, (str, PathLike)):
            with open(source, "rb") as f:
                source = json.loads(f.read().decode())
        self._cats = [(c["id"], c["name"]) for c in source["categories"]]
        self._imgs = [i["id"] for i in source["images"]]
        self._anns = {a["id"]: a for a in source["annotations"]}
        self._where = defaultdict(set)
        for a in self._anns.values():
            self._where[a["category_id"]].add(a["image_id"])

    def get_cat_ids(self, names=None):
        ok = _test(names)
        return sorted({i for i, name in self._cats if ok(name)})

    def get_img_ids(self, cat_ids=None):
        left = set(self._imgs)
        if cat_ids is not None:
            left = left.intersection(
                *(self._where[c] for c in (cat_ids if isinstance(cat_ids, (list, tuple)) else [cat_ids]))
            )
        return list(left)

    def get_ann_ids(self, img_ids=None, cat_ids=None, iscrowd=None):
        i, c, w = map(_test, (img_ids, cat_ids, iscrowd))
        return [k for k, a in self._anns.items() if i(a["image_id"]) and c(a["category_id"]) and w(a.get("iscrowd", 0))]

    def load_anns(self, ids):
        return list(map(self._anns.__getitem__, ids if isinstance(ids, (list, tuple)) else [ids]))


def polygon_to_mask(polygons, height, width):
    out = torch.zeros(height, width).bool()
    y = torch.arange(0.5, height, dtype=torch.float64)
    x = torch.arange(0.5, width, dtype=torch.float64)
    for part in polygons:
        a = torch.tensor(part, dtype=torch.float64).view(-1, 2)
        b = a.roll(-1, 0)
        low = (a[:, 1] > b[:, 1])[:, None]
        a, b = torch.where(low, b, a), torch.where(low, a, b)  # a is never the lower one
        spans = (a[:, 1] <= y[:, None]) & (y[:, None] < b[:, 1])  # (H, E)
        rise = (b - a)[:, 1]
        cut = a[:, 0] + (y[:, None] - a[:, 1]) * (b - a)[:, 0] / torch.where(rise == 0, 1.0, rise)
        hits = (spans[:, None, :] & (x[None, :, None] < cut[:, None, :])).sum(-1)
        out |= hits % 2 == 1
    return out


def rle_encode(mask):
    flat = mask.bool().t().flatten()
    sentinel = torch.cat([flat.new_zeros(1), flat])
    ends = torch.cat([(sentinel[1:] ^ sentinel[:-1]).nonzero()[:, 0], torch.tensor([flat.numel()], device=flat.device)])
    return {"size": [*mask.shape], "counts": ends.diff(prepend=ends.new_zeros(1)).tolist()}


def rle_decode(rle):
    (h, w), counts = rle["size"], rle["counts"]
    if h * w != sum(counts):
        raise ValueError("counts")
    flips = torch.zeros(h * w + 1, dtype=torch.int64)
    flips.index_add_(0, torch.tensor([0, *counts]).cumsum(0)[1:], torch.ones(len(counts), dtype=torch.int64))
    return (flips[:-1].cumsum(0) & 1).bool().view(w, h).mT


def segmentation_confusion(pred, target, num_classes, ignore_index=255):
    p, t = pred.to(target.device).reshape(-1).long(), target.reshape(-1).long()
    pairs = torch.stack([t, p])[:, t != ignore_index]
    cm = torch.zeros(num_classes, num_classes, dtype=torch.long, device=target.device)
    return cm.index_put_(tuple(pairs), torch.ones_like(pairs[0]), accumulate=True)


def pixel_accuracy(cm):
    return (torch.einsum("ii->", cm).item() / n) if (n := cm.sum().item()) else NAN


def mean_iou(cm, ignore_absent=True):
    d, union = cm.diag(), cm.sum(0) + cm.sum(1) - cm.diag()
    iou = [i / u if u else 0.0 for i, u in zip(d.tolist(), union.tolist()) if u or not ignore_absent]
    return sum(iou) / len(iou) if iou else NAN


def dice_loss(pred, target, eps=1e-6):
    p, t = (v.to(pred.dtype).unsqueeze(-1).flatten(1) for v in (pred, target))
    num, den = 2 * torch.einsum("nk,nk->n", p, t) + eps, p.sum(1) + t.sum(1) + eps
    empty = den == 0
    return (1 - num.masked_fill(empty, 1) / den.masked_fill(empty, 1)).mean()


class TinySegNet(nn.Module):
    def __init__(self, in_channels=3, num_classes=2, width=16):
        super().__init__()
        w = [in_channels, width, 2 * width, 3 * width]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, s, 1) for a, b, s in zip(w, w[1:], (1, 2, 2)))
        self.norm = nn.ModuleList(nn.GroupNorm(1, b) for b in w[1:])
        self.side = nn.ModuleList(nn.Conv2d(b, num_classes, 3, padding=1) for b in w[1:])

    def forward(self, x):
        size, scores = x.shape[-2:], 0
        for conv, norm, side in zip(self.down, self.norm, self.side):
            x = relu(norm(conv(x)))
            scores = scores + interpolate(side(x), size=size, mode="bilinear")
        return scores


@contextlib.contextmanager
def _evaluating(net):
    was = [(m, m.training) for m in net.modules()]
    try:
        with torch.no_grad():
            yield net.eval()
    finally:
        for m, flag in was:
            m.training = flag


def evaluate_segmentation(net, loader, num_classes, ignore_index=255):
    device = next((p.device for p in net.parameters()), torch.device("cpu"))
    with _evaluating(net):
        cms = [
            segmentation_confusion(net(x.to(device)).argmax(1), t.to(device), num_classes, ignore_index)
            for x, t in loader
        ]
    total = sum(cms, torch.zeros(num_classes, num_classes, dtype=torch.long, device=device))
    return mean_iou(total), pixel_accuracy(total)


def panoptic_merge(semantic, masks, labels, scores):
    order = scores.argsort(descending=True)
    m = torch.cat([~semantic.new_zeros((1, *semantic.shape)).bool(), masks[order].flip(0)])  # ground first, best last
    rank = torch.arange(len(m), device=m.device)[:, None, None]
    top = torch.where(m, rank, 0).amax(0)  # 0 is the ground, K the best
    seen, place = torch.unique(top, return_inverse=True)
    seen_objects = seen[seen > 0]
    new = torch.zeros(len(m), dtype=torch.long, device=m.device)
    new[seen_objects] = torch.arange(len(seen_objects), 0, -1, device=m.device)
    table = torch.cat([labels.new_zeros(1), labels[order].flip(0)])
    return torch.where(top > 0, table[top], semantic), new[top]
