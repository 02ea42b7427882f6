"""Loops over annotations, corners, classes and runs; a network of strides and transposed convolutions that is cut."""

from itertools import groupby


class CocoIndex:
    def __init__(self, source):
        if isinstance(source, dict):
            self.data = source
        else:
            f = open(str(source), "rb")
            self.data = json.loads(f.read().decode("utf8"))
            f.close()

    def get_cat_ids(self, names=None):
        if isinstance(names, str):
            names = [names]
        result = []
        for cat in self.data["categories"]:
            if names is None or cat["name"] in names:
                result.append(cat["id"])
        return result

    def get_img_ids(self, cat_ids=None):
        if isinstance(cat_ids, int):
            cat_ids = [cat_ids]
        result = []
        for img in self.data["images"]:
            good = True
            for cat in cat_ids or []:
                found = False
                for ann in self.data["annotations"]:
                    if ann["image_id"] == img["id"] and ann["category_id"] == cat:
                        found = True
                if not found:
                    good = False
            if good:
                result.append(img["id"])
        return result

    def get_ann_ids(self, img_ids=None, cat_ids=None, iscrowd=None):
        if isinstance(img_ids, int):
            img_ids = [img_ids]
        if isinstance(cat_ids, int):
            cat_ids = [cat_ids]
        result = []
        for ann in self.data["annotations"]:
            if img_ids is not None and ann["image_id"] not in img_ids:
                continue
            if cat_ids is not None and ann["category_id"] not in cat_ids:
                continue
            crowd = ann["iscrowd"] if "iscrowd" in ann else 0
            if iscrowd is not None and crowd != iscrowd:
                continue
            result.append(ann["id"])
        return result

    def load_anns(self, ids):
        if isinstance(ids, int):
            ids = [ids]
        result = []
        for key in ids:
            hit = None
            for ann in self.data["annotations"]:
                if ann["id"] == key:
                    hit = ann
            if hit is None:
                raise KeyError(key)
            result.append(hit)
        return result


def polygon_to_mask(polygons, height, width):
    rows, cols = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    total = torch.zeros(height, width).bool()
    for part in polygons:
        n = len(part) // 2
        crossings = torch.zeros(height, width, dtype=torch.long)
        for i in range(n):
            xa, ya = part[2 * i], part[2 * i + 1]
            xb, yb = part[(2 * i + 2) % (2 * n)], part[(2 * i + 3) % (2 * n)]
            if ya == yb:
                continue
            if ya > yb:
                xa, ya, xb, yb = xb, yb, xa, ya
            between = (rows >= ya) & (rows < yb)
            at = xa + (rows - ya) / (yb - ya) * (xb - xa)
            crossings += (between & (at > cols)).long()
        total = total | (crossings % 2 == 1)
    return total


def rle_encode(mask):
    h, w = mask.shape
    flat = mask.bool().T.flatten().tolist()
    counts = []
    for value, group in groupby(flat):
        if not counts and value:
            counts.append(0)
        counts.append(len(list(group)))
    return {"size": [h, w], "counts": counts}


def rle_decode(rle):
    h, w = rle["size"]
    if sum(rle["counts"]) != h * w:
        raise ValueError("the runs do not fill the mask")
    flat = torch.zeros(h * w, dtype=torch.bool)
    pos, value = 0, False
    for c in rle["counts"]:
        flat[pos : pos + c] = value
        pos += c
        value = not value
    return flat.view(w, h).T.contiguous()


def segmentation_confusion(pred, target, num_classes, ignore_index=255):
    cm = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=target.device)
    keep = target != ignore_index
    for t in range(num_classes):
        for p in range(num_classes):
            cm[t, p] = ((target == t) & (pred == p) & keep).sum()
    return cm


def pixel_accuracy(cm):
    total = cm.sum().item()
    if total == 0:
        return float("nan")
    right = 0
    for i in range(len(cm)):
        right += cm[i, i].item()
    return right / total


def mean_iou(cm, ignore_absent=True):
    ious = []
    for c in range(len(cm)):
        inter = cm[c, c].item()
        union = cm[c, :].sum().item() + cm[:, c].sum().item() - inter
        if union > 0:
            ious.append(inter / union)
        elif not ignore_absent:
            ious.append(0.0)
    if not ious:
        return float("nan")
    return sum(ious) / len(ious)


def dice_loss(pred, target, eps=1e-6):
    loss = 0
    for p, t in zip(pred, target, strict=True):
        inter = p[t.bool()].sum()
        loss = loss + 1 - (2 * inter + eps) / (p.sum() + t.bool().sum() + eps)
    return loss / len(pred)


class TinySegNet(nn.Module):
    def __init__(self, in_channels=3, num_classes=2, width=16):
        super().__init__()
        self.enc1 = nn.Conv2d(in_channels, width, 3, padding=1)
        self.enc2 = nn.Conv2d(width, width * 2, 3, stride=2, padding=1)
        self.enc3 = nn.Conv2d(width * 2, width * 4, 3, stride=2, padding=1)
        self.dec2 = nn.ConvTranspose2d(width * 4, width * 2, 2, stride=2)
        self.dec1 = nn.ConvTranspose2d(width * 2, width, 2, stride=2)
        self.out = nn.Conv2d(width, num_classes, 3, padding=1)

    def forward(self, x):
        h, w = x.shape[-2:]
        e1 = torch.relu(self.enc1(x))
        e2 = torch.relu(self.enc2(e1))
        e3 = torch.relu(self.enc3(e2))
        d2 = torch.relu(self.dec2(e3)[:, :, : e2.shape[2], : e2.shape[3]] + e2)
        d1 = torch.relu(self.dec1(d2)[:, :, :h, :w] + e1)
        return self.out(d1)


@torch.no_grad()
def evaluate_segmentation(net, loader, num_classes, ignore_index=255):
    mode = net.training
    net.eval()
    where = next(iter(net.parameters())).device
    total = torch.zeros(num_classes, num_classes, dtype=torch.long)
    for x, y in loader:
        x, y = x.to(where), y.to(where)
        best = net(x).max(dim=1).indices
        total = total.to(where) + segmentation_confusion(best, y, num_classes, ignore_index)
    if mode:
        net.train()
    return mean_iou(total), pixel_accuracy(total)


def panoptic_merge(semantic, masks, labels, scores):
    categories = semantic.clone()
    ids = torch.zeros(semantic.shape, dtype=torch.long, device=semantic.device)
    order = sorted(range(len(scores)), key=lambda k: scores[k].item(), reverse=True)
    number = 0
    for k in order:
        free = masks[k].clone()
        free[ids > 0] = False
        if free.sum() == 0:
            continue
        number = number + 1
        categories = torch.where(free, labels[k], categories)
        ids = torch.where(free, number, ids)
    return categories, ids
