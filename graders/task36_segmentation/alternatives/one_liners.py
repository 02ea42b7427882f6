"""Everything at once: edges broadcast against pixels, one_hot and einsum, argmax over scores; a network of residual
steps down a ladder of three halvings."""


class CocoIndex:
    def __init__(self, source):
        self.d = source if isinstance(source, dict) else json.load(open(source, encoding="utf-8"))

    @staticmethod
    def has(value, asked):
        return asked is None or (value in asked if isinstance(asked, (list, tuple)) else value == asked)

    def get_cat_ids(self, names=None):
        return [c["id"] for c in self.d["categories"] if self.has(c["name"], names)]

    def get_img_ids(self, cat_ids=None):
        cats = [] if cat_ids is None else cat_ids if isinstance(cat_ids, (list, tuple)) else [cat_ids]
        pairs = {(a["image_id"], a["category_id"]) for a in self.d["annotations"]}
        return [i["id"] for i in self.d["images"] if all((i["id"], c) in pairs for c in cats)]

    def get_ann_ids(self, img_ids=None, cat_ids=None, iscrowd=None):
        tests = (("image_id", img_ids), ("category_id", cat_ids), ("iscrowd", iscrowd))
        rows = self.d["annotations"]
        return [a["id"] for a in rows if all(self.has(a.get(k, 0), asked) for k, asked in tests)]

    def load_anns(self, ids):
        table = {a["id"]: a for a in self.d["annotations"]}
        return list(map(table.__getitem__, ids if isinstance(ids, (list, tuple)) else [ids]))


def polygon_to_mask(polygons, height, width):
    y, x = torch.arange(height).add(0.5).view(-1, 1, 1).double(), torch.arange(width).add(0.5).view(1, -1, 1).double()

    def inside(part):
        p = torch.tensor(part, dtype=torch.float64).view(-1, 2)
        (x0, y0), (x1, y1) = p.T, p.roll(-1, 0).T
        cross = ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / torch.where(y1 == y0, 1.0, y1 - y0))
        return cross.sum(-1) % 2 == 1

    return torch.stack([torch.zeros(height, width, dtype=torch.bool), *map(inside, polygons)]).any(0)


def rle_encode(mask):
    values, counts = mask.bool().T.flatten().unique_consecutive(return_counts=True)
    return {"size": [*mask.shape], "counts": [0] * bool(values[0]) + counts.tolist()}


def rle_decode(rle):
    ends = torch.tensor(rle["counts"]).cumsum(0)
    h, w = rle["size"]
    if int(ends[-1]) != h * w:
        raise ValueError(f"{int(ends[-1])} pixels for {h * w}")
    steps = torch.bucketize(torch.arange(h * w), ends, right=True)
    return (steps % 2).bool().unflatten(0, (w, h)).T


def segmentation_confusion(pred, target, num_classes, ignore_index=255):
    keep = target != ignore_index
    one, two = (F.one_hot(v[keep].long(), num_classes).double() for v in (target, pred))
    return torch.einsum("nt,np->tp", one, two).round().long()


def pixel_accuracy(cm):
    return float(cm.trace() / cm.sum())


def mean_iou(cm, ignore_absent=True):
    iou = cm.diag() / (cm.sum(0) + cm.sum(1) - cm.diag()).double()
    return float(iou.nanmean() if ignore_absent else iou.nan_to_num(0).mean())


def dice_loss(pred, target, eps=1e-6):
    pair = torch.stack([pred, target.to(pred)]).flatten(2)
    return 1 - ((2 * pair.prod(0).sum(-1) + eps) / (pair.sum((0, 2)) + eps)).mean()


class TinySegNet(nn.Module):
    def __init__(self, in_channels=3, num_classes=2, width=16):
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 5, padding=2)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(4))
        self.up = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.head = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, num_classes, 1))

    def forward(self, x):
        ladder = [self.norms[0](self.stem(x)).relu()]
        for conv, norm in zip(self.down, self.norms[1:], strict=True):
            ladder.append(norm(conv(ladder[-1])).relu())
        x = ladder.pop()
        for conv in self.up:
            below = ladder.pop()
            x = below + conv(F.interpolate(x, below.shape[-2:], mode="nearest")).relu()
        return self.head(x)


def evaluate_segmentation(net, loader, num_classes, ignore_index=255):
    modes = {m: m.training for m in net.modules()}
    device = next(net.parameters()).device
    cm = torch.zeros(num_classes, num_classes, dtype=torch.long, device=device)
    for images, target in loader:
        with torch.no_grad():
            scores = net.eval()(images.to(device))
        cm = cm + segmentation_confusion(scores.argmax(-3), target.to(device), num_classes, ignore_index=ignore_index)
    for m, mode in modes.items():
        m.training = mode
    return mean_iou(cm), pixel_accuracy(cm)


def panoptic_merge(semantic, masks, labels, scores):
    if not len(masks):
        return semantic.clone(), torch.zeros_like(semantic)
    order = scores.argsort(descending=True)
    sorted_masks = masks[order]
    first = sorted_masks.int().argmax(0)
    covered = sorted_masks.any(0)
    known, places = first[covered].unique(return_inverse=True)
    ids = torch.zeros_like(semantic)
    ids[covered] = places + 1
    return torch.where(covered, labels[order][first], semantic), ids
