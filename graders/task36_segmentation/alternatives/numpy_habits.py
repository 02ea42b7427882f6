"""NumPy wherever it goes, tables of sets for the index, and a network with group norm and bilinear enlarging."""

from collections import defaultdict
from pathlib import Path

import numpy as np


def as_set(x):
    return set(x) if isinstance(x, (list, tuple)) else {x}


class CocoIndex:
    def __init__(self, source):
        d = source if isinstance(source, dict) else json.loads(Path(source).read_text(encoding="utf-8"))
        self.names = defaultdict(set)
        for c in d["categories"]:
            self.names[c["name"]].add(c["id"])
        self.all_images = {i["id"] for i in d["images"]}
        self.by_image, self.by_cat, self.crowd, self.anns = defaultdict(set), defaultdict(set), defaultdict(set), {}
        self.images_of = defaultdict(set)
        for a in d["annotations"]:
            self.anns[a["id"]] = dict(a)
            self.by_image[a["image_id"]].add(a["id"])
            self.by_cat[a["category_id"]].add(a["id"])
            self.crowd[int(a.get("iscrowd", 0))].add(a["id"])
            self.images_of[a["category_id"]].add(a["image_id"])

    def get_cat_ids(self, names=None):
        wanted = self.names if names is None else as_set(names)
        return sorted(set().union(*(self.names[n] for n in wanted)))

    def get_img_ids(self, cat_ids=None):
        found = set(self.all_images)
        for c in () if cat_ids is None else as_set(cat_ids):
            found &= self.images_of[c]
        return sorted(found)

    def get_ann_ids(self, img_ids=None, cat_ids=None, iscrowd=None):
        found = set(self.anns)
        if img_ids is not None:
            found &= set().union(*(self.by_image.get(i, set()) for i in as_set(img_ids)))
        if cat_ids is not None:
            found &= set().union(*(self.by_cat.get(c, set()) for c in as_set(cat_ids)))
        if iscrowd is not None:
            found &= self.crowd.get(int(iscrowd), set())
        return sorted(found)

    def load_anns(self, ids):
        return [self.anns[i] for i in (ids if isinstance(ids, (list, tuple)) else [ids])]


def polygon_to_mask(polygons, height, width):
    yy, xx = np.mgrid[:height, :width] + 0.5
    out = np.zeros((height, width), bool)
    for part in polygons:
        p = np.asarray(part, float).reshape(-1, 2)
        q = np.roll(p, -1, axis=0)
        winding = np.zeros((height, width), int)
        for (x0, y0), (x1, y1) in zip(p, q, strict=True):
            side = (x1 - x0) * (yy - y0) - (xx - x0) * (y1 - y0)
            winding += ((y0 <= yy) & (yy < y1) & (side > 0)).astype(int)
            winding -= ((y1 <= yy) & (yy < y0) & (side < 0)).astype(int)
        out |= winding != 0
    return torch.from_numpy(out)


def rle_encode(mask):
    m = mask.cpu().numpy().astype(bool)
    flat = np.concatenate([[False], m.flatten(order="F"), [False]])
    change = np.flatnonzero(flat[1:] != flat[:-1])
    edges = np.concatenate([[0], change, [m.size]])
    counts = np.diff(edges).tolist()
    if counts[-1] == 0:
        counts.pop()
    return {"size": list(m.shape), "counts": counts}


def rle_decode(rle):
    h, w = rle["size"]
    c = np.asarray(rle["counts"])
    if c.sum() != h * w:
        raise ValueError
    values = np.zeros(len(c), bool)
    values[1::2] = True
    return torch.from_numpy(np.repeat(values, c).reshape((h, w), order="F").copy())


def segmentation_confusion(pred, target, num_classes, ignore_index=255):
    p = pred.cpu().numpy().astype(np.int64).ravel()
    t = target.cpu().numpy().astype(np.int64).ravel()
    keep = t != ignore_index
    hist = np.bincount(num_classes * t[keep] + p[keep], minlength=num_classes**2)
    return torch.from_numpy(hist.reshape(num_classes, num_classes)).to(target.device)


def pixel_accuracy(cm):
    m = cm.cpu().numpy()
    with np.errstate(all="ignore"):
        return float(np.trace(m) / m.sum())


def mean_iou(cm, ignore_absent=True):
    m = cm.cpu().numpy().astype(float)
    inter = np.diag(m)
    union = m.sum(0) + m.sum(1) - inter
    with np.errstate(all="ignore"):
        iou = inter / union
    if not ignore_absent:
        iou = np.nan_to_num(iou)
    iou = iou[~np.isnan(iou)]
    return float(iou.mean()) if iou.size else float("nan")


def dice_loss(pred, target, eps=1e-6):
    axes = tuple(range(1, pred.ndim))
    target = target.type_as(pred)
    num = 2 * torch.sum(pred * target, dim=axes) + eps
    den = torch.sum(pred + target, dim=axes) + eps
    return torch.mean(1 - num / den)


def block(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.GroupNorm(1, b), nn.LeakyReLU(0.1))


class TinySegNet(nn.Module):
    def __init__(self, in_channels=3, num_classes=2, width=16):
        super().__init__()
        self.blocks = nn.ModuleList([block(in_channels, width), block(width, width), block(width, 2 * width)])
        self.mix = block(4 * width, width)
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x):
        maps = []
        for k, layer in enumerate(self.blocks):
            x = layer(x if k == 0 else nn.functional.avg_pool2d(x, 2, ceil_mode=True))
            maps.append(x)
        size = maps[0].shape[-2:]
        same = [nn.functional.interpolate(m, size=size, mode="bilinear", align_corners=False) for m in maps]
        return self.head(self.mix(torch.cat(same, dim=1)))


def evaluate_segmentation(net, loader, num_classes, ignore_index=255):
    training = net.training
    net.eval()
    dev = next(net.parameters()).device
    preds, targets = [], []
    try:
        with torch.inference_mode():
            for images, target in loader:
                preds.append(net(images.to(dev)).argmax(dim=1).flatten())
                targets.append(target.to(dev).flatten())
    finally:
        net.train(training)
    if not preds:
        return float("nan"), float("nan")
    p, t = torch.cat(preds), torch.cat(targets)
    kept = t != ignore_index
    cm = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=dev)
    cells = num_classes * t[kept] + p[kept]
    cm.index_add_(0, cells, torch.ones_like(cells))
    cm = cm.reshape(num_classes, num_classes)
    return mean_iou(cm), pixel_accuracy(cm)


def panoptic_merge(semantic, masks, labels, scores):
    sem, m = semantic.cpu().numpy(), masks.cpu().numpy()
    order = np.argsort(-scores.cpu().numpy())
    cat, ids, n = sem.copy(), np.zeros_like(sem), 0
    for k in order:
        here = m[k] & (ids == 0)
        if here.any():
            n += 1
            cat[here], ids[here] = int(labels[k]), n
    return torch.from_numpy(cat).to(semantic.device), torch.from_numpy(ids).to(semantic.device)
