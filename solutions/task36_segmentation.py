"""Task 36: masks, from annotations in a file to a network that draws them.

Semantic segmentation gives each pixel a category: sky, road, person. Instance segmentation finds each person apart, as
a mask. Panoptic segmentation is both in one picture. The masks to learn from come in files such as those of COCO: one
JSON file for thousands of pictures, where each object's mask is written down as polygons or as run lengths. Here you
find your way through such a file, turn what it holds into masks and back, measure how well two maps of categories
agree, write a small network, and merge what two networks say.

Such a file is a dict of lists. Every other key may be ignored:

    {"images": [{"id": 139, "height": 6, "width": 8, "file_name": "a.png"}, ...],
     "categories": [{"id": 18, "name": "dog"}, ...],
     "annotations": [{"id": 7001, "image_id": 139, "category_id": 18, "iscrowd": 0, "area": 6, "bbox": [1, 1, 3, 2],
                      "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}, ...]}

Numbers to check by hand, pictures of 2 x 3 pixels and three classes. A pixel whose truth is 255 counts nowhere:

    truth      predicted    matrix (rows: truth)     IoU of each class     mean IoU  pixel accuracy
    0 0 1      0 1 1        1 1 0 / 0 2 0 / 1 0 1    1/3, 2/3, 1/2         1/2       4/6
    1 2 2      1 2 0
    0 0 1      0 1 1        1 1 0 / 0 2 0 / 0 0 1    1/2, 2/3, 1           13/18     4/5
    1 2 255    1 2 0

Conventions
- A mask is a torch.bool tensor (H, W): row before column, True on the object. Pixel (r, c) is a square whose upper left
  corner is the point x = c, y = r; its centre is x = c + 1/2, y = r + 1/2.
- What is given is never changed. Ids are integers in no order, with gaps; they are no places in a list.
- A single number is returned as a plain Python float. Integer dtypes are uint8, int8, int16, int32 and int64.
- Forbidden: libraries that have these functions ready-made (pycocotools, cv2, skimage, scipy, shapely, matplotlib,
  torchmetrics, sklearn, segmentation_models_pytorch), and drawing by PIL's ImageDraw, whose polygons are a pixel too
  large.
- In polygon_to_mask, rle_encode, rle_decode and segmentation_confusion neither the PyTorch calls nor the lines of
  Python that run may become more with the number of pixels. Loops over corners, runs and classes are fine.
"""

import json
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


# BEGIN SOLUTION
def listed(values):
    """A single value as a list of one."""
    return list(values) if isinstance(values, (list, tuple)) else [values]


# END SOLUTION


class CocoIndex:
    """Answers which categories, pictures and annotations there are in a file.

    source: the dict of the file, or the path of the file (a string or a pathlib.Path), which is JSON in UTF-8.

    A filter is None (everything passes), a single value, or a list or tuple of values, which is not empty and holds
    only what occurs in the file. Ids are returned as a list of ints without repetition, in any order; the list is empty
    where nothing fits.
    """

    def __init__(self, source):
        # TODO: read the file if it is a path; keep what the methods need.
        # BEGIN SOLUTION
        if not isinstance(source, dict):
            with open(source, encoding="utf-8") as file:
                source = json.load(file)
        self.images, self.categories = source["images"], source["categories"]
        self.annotations = {annotation["id"]: annotation for annotation in source["annotations"]}
        # END SOLUTION

    def get_cat_ids(self, names=None) -> list[int]:
        """The ids of the categories with one of these names."""
        # TODO: a single name is a string, not a list of letters.
        # BEGIN SOLUTION
        wanted = None if names is None else listed(names)
        return [category["id"] for category in self.categories if wanted is None or category["name"] in wanted]
        # END SOLUTION

    def get_img_ids(self, cat_ids=None) -> list[int]:
        """The ids of the pictures that hold an annotation of each of these categories, of all of them.

        With None also pictures without any annotation.
        """
        # TODO: which categories does each picture hold?
        # BEGIN SOLUTION
        held = {image["id"]: set() for image in self.images}
        for annotation in self.annotations.values():
            held[annotation["image_id"]].add(annotation["category_id"])
        wanted = set() if cat_ids is None else set(listed(cat_ids))
        return [image for image, categories in held.items() if wanted <= categories]
        # END SOLUTION

    def get_ann_ids(self, img_ids=None, cat_ids=None, iscrowd=None) -> list[int]:
        """The ids of the annotations that pass all three filters.

        img_ids, cat_ids: the annotation belongs to one of these pictures, and to one of these categories.
        iscrowd: 0 for single objects, 1 for crowds, None for both. An annotation without the key "iscrowd" is a single
        object.
        """
        # TODO: go through the annotations.
        # BEGIN SOLUTION
        images = None if img_ids is None else listed(img_ids)
        categories = None if cat_ids is None else listed(cat_ids)
        return [
            key
            for key, annotation in self.annotations.items()
            if (images is None or annotation["image_id"] in images)
            and (categories is None or annotation["category_id"] in categories)
            and (iscrowd is None or annotation.get("iscrowd", 0) == iscrowd)
        ]
        # END SOLUTION

    def load_anns(self, ids) -> list[dict]:
        """The annotations with these ids (one id, or a list or tuple), as a list of dicts in the order of the ids.

        Raises KeyError for an id that no annotation has.
        """
        # TODO: look them up.
        # BEGIN SOLUTION
        return [self.annotations[key] for key in listed(ids)]
        # END SOLUTION


def polygon_to_mask(polygons, height: int, width: int) -> Tensor:
    """Return the mask (height, width) of the pixels whose centre lies in at least one of the polygons.

    polygons: a list of parts, each a flat list of numbers x0, y0, x1, y1, ... as COCO writes them: three or more
    corners, in either direction round. The last corner is joined to the first, which may be repeated at the end. A part
    does not cross itself, it may have dents, and it may reach beyond the picture. Parts may overlap: what lies in two
    of them belongs to the object, too. Without any part the mask is False everywhere. No centre lies on an edge, but a
    corner may lie at the height of a centre.

    The part [1, 1, 4, 1, 4, 3, 1, 3] covers rows 1 and 2 of columns 1, 2 and 3: 6 pixels, as large as its area.
    """
    # TODO: a ray from the centre to the right crosses the edges of a part an odd number of times if it starts inside.
    # BEGIN SOLUTION
    x = torch.arange(width, dtype=torch.float64) + 0.5  # (W,)
    y = torch.arange(height, dtype=torch.float64).unsqueeze(1) + 0.5  # (H, 1)
    mask = torch.zeros(height, width, dtype=torch.bool)
    for part in polygons:
        corners = list(zip(part[0::2], part[1::2], strict=True))
        inside = torch.zeros_like(mask)
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            if y0 != y1:
                spans = (y0 > y) != (y1 > y)  # (H, 1)
                inside ^= spans & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        mask |= inside
    return mask
    # END SOLUTION


def rle_encode(mask: Tensor) -> dict:
    """Write a mask as run lengths: {"size": [H, W], "counts": [...]}, all plain ints.

    The pixels are taken column by column, each from top to bottom. The first count is that of pixels that are False,
    and is 0 if the first pixel is True; then runs of True and False take turns. No other count is 0, and all add up to
    H·W.

    [[0, 1, 1], [0, 1, 0]] is, column by column, 0 0 1 1 1 0: {"size": [2, 3], "counts": [2, 3, 1]}.

    mask: (H, W), at least one pixel; bool, or integers 0 and 1 of any dtype.
    """
    # TODO: where do two neighbours in this order differ?
    # BEGIN SOLUTION
    pixels = mask.t().reshape(-1).bool()  # (W * H,)
    before = torch.cat([pixels.new_zeros(1), pixels[:-1]])
    starts = (pixels != before).nonzero().flatten().tolist()
    edges = [0, *starts, len(pixels)]
    return {
        "size": [int(size) for size in mask.shape],
        "counts": [stop - start for start, stop in pairwise(edges)],
    }
    # END SOLUTION


def rle_decode(rle: dict) -> Tensor:
    """Return the mask of run lengths as rle_encode writes them.

    Other programs write counts of 0 in other places, too. Raises ValueError if the counts do not add up to H·W.
    """
    # TODO: repeat False, True, False, ... as often as the counts say; mind the order.
    # BEGIN SOLUTION
    (height, width), counts = rle["size"], torch.tensor(rle["counts"], dtype=torch.int64)
    if counts.sum() != height * width:
        raise ValueError(f"the counts add up to {int(counts.sum())}, not to {height} * {width}")
    values = torch.arange(len(counts)) % 2 == 1
    return values.repeat_interleave(counts).reshape(width, height).t()
    # END SOLUTION


def segmentation_confusion(pred: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255) -> Tensor:
    """Count the pixels of each true class (row) that were given each class (column).

    pred, target: class numbers of one shape, such as (H, W) or (N, H, W), each of any integer dtype; files of masks are
    mostly uint8. Pixels whose target is ignore_index are left out, whatever is predicted there; elsewhere both are
    0 ... num_classes - 1. ignore_index may be one of the classes, or negative if target has a signed dtype.
    Returns: (num_classes, num_classes) int64, on the device of target.
    """
    # TODO: choose the pixels that count; give each pair of classes a number.
    # BEGIN SOLUTION
    counts = target != ignore_index
    cells = num_classes * target[counts].long() + pred[counts].long()
    return torch.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    # END SOLUTION


def pixel_accuracy(cm: Tensor) -> float:
    """Return the share of the pixels that were given their true class; nan if no pixel was counted.

    cm: a confusion matrix (C, C), int64, rows are the truth.
    """
    # TODO: where do right answers stand in the matrix?
    # BEGIN SOLUTION
    return (cm.diagonal().sum().double() / cm.sum()).item()
    # END SOLUTION


def mean_iou(cm: Tensor, ignore_absent: bool = True) -> float:
    """Return the mean over the classes of the intersection over the union.

    Of a class: pixels that are of it and were given it, divided by pixels that are of it or were given it.

    cm: a confusion matrix (C, C), int64, rows are the truth.
    ignore_absent: a class is absent if no pixel is of it and none was given it, so that its IoU would be 0/0. Absent
    classes are left out of the mean; with False they count as 0. If all classes are absent and left out the result is
    nan.
    """
    # TODO: intersection and union of each class are sums over the matrix.
    # BEGIN SOLUTION
    both = cm.diagonal().double()  # (C,)
    either = cm.sum(0) + cm.sum(1) - cm.diagonal()
    iou = both / either.clamp(min=1)
    return (iou[either > 0] if ignore_absent else iou).mean().item()
    # END SOLUTION


def dice_loss(pred: Tensor, target: Tensor, eps: float = 1e-6) -> Tensor:
    """Return 1 - (2·I + eps) / (P + T + eps), a loss for masks that does not mind how small the object is.

    For each sample I is the sum of pred · target, P that of pred and T that of target, over all axes but the first. The
    losses of the samples are averaged. Two empty masks cost 0, if eps is not 0. For pred [[1, 1/2]], target [[1, 0]]
    and eps 0 it is 1 - 2/2.5 = 0.2.

    pred: probabilities (N, ...), float32 or float64; N is at least 1. target: the same shape, 0 and 1 of any dtype,
    bool included. Returns: a tensor without axes, in the dtype of pred; gradients reach pred.
    """
    # TODO: sums over each sample, the fraction, then the mean.
    # BEGIN SOLUTION
    pred, target = pred.flatten(1), target.flatten(1).to(pred.dtype)  # (N, D)
    both, each = (pred * target).sum(1), pred.sum(1) + target.sum(1)
    return (1 - (2 * both + eps) / (each + eps)).mean()
    # END SOLUTION


class TinySegNet(nn.Module):
    """(N, in_channels, H, W) -> scores (N, num_classes, H, W), for every H and W from 8 on, odd ones too.

    An encoder makes the map smaller, so that at least one convolution has a map of H/4 x W/4 (rounded up) or less for
    its result: there each place knows more of the picture. A decoder makes it exactly as large as the picture again.
    The rest is yours: pooling or strides, transposed convolutions or F.interpolate, any norm, shortcuts from encoder to
    decoder or none. It has to learn to tell objects from the ground: cross entropy, Adam with a learning rate of 0.003,
    batches of 16, four times over 240 pictures of 32 x 40 with numbers from -2 to 2.

    width: the number of channels of the first convolution.

    The scores are logits: no softmax, sigmoid or ReLU follows the last convolution. In evaluation mode the scores of a
    picture do not depend on the others of the batch. Gradients reach every parameter.
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 2, width: int = 16):
        super().__init__()

        # TODO: make the layers.
        # BEGIN SOLUTION
        def stage(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
            )

        self.down_1, self.down_2 = stage(in_channels, width), stage(width, 2 * width)
        self.bottom = stage(2 * width, 2 * width)
        self.up_2, self.up_1 = stage(4 * width, width), stage(2 * width, width)
        self.scores = nn.Conv2d(width, num_classes, 1)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Floating-point pictures (N, in_channels, H, W) -> scores (N, num_classes, H, W)."""
        # TODO: down, up, and to the size of x.
        # BEGIN SOLUTION
        full = self.down_1(x)  # (N, width, H, W)
        half = self.down_2(F.max_pool2d(full, 2, ceil_mode=True))  # (N, 2 * width, H/2, W/2)
        quarter = self.bottom(F.max_pool2d(half, 2, ceil_mode=True))  # (N, 2 * width, H/4, W/4)
        half = self.up_2(torch.cat([F.interpolate(quarter, half.shape[2:]), half], 1))
        return self.scores(self.up_1(torch.cat([F.interpolate(half, full.shape[2:]), full], 1)))
        # END SOLUTION


def evaluate_segmentation(net: nn.Module, loader, num_classes: int, ignore_index: int = 255) -> tuple[float, float]:
    """Return (mean IoU, pixel accuracy) over all pixels of a loader.

    The counts of all batches are added up first, and the two numbers are computed once, from the sum: a mean of the
    pictures' or the batches' values is something else. Absent classes are left out. Both are nan if the loader is
    empty.

    net: any module that returns scores (N, num_classes, H, W); each pixel is given the class with the highest score. It
    is in evaluation mode meanwhile, and no gradients are recorded; afterwards both are as they were.
    loader: gives batches (images (N, C, H, W), target (N, H, W)), which may have different sizes; they are moved to the
    device of the net's first parameter.
    """
    # TODO: add up confusion matrices, then call mean_iou and pixel_accuracy.
    # BEGIN SOLUTION
    device, was_training = next(net.parameters()).device, net.training
    net.eval()
    cm = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device)
    with torch.no_grad():
        for images, target in loader:
            pred = net(images.to(device)).argmax(1)  # (N, H, W)
            cm += segmentation_confusion(pred, target.to(device), num_classes, ignore_index)
    net.train(was_training)
    return mean_iou(cm), pixel_accuracy(cm)
    # END SOLUTION


def panoptic_merge(semantic: Tensor, masks: Tensor, labels: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Lay the masks of single objects over a map of categories; return (categories, ids), both (H, W) int64.

    A pixel that masks cover belongs to the one with the highest score: it gets the category of its label, and its id.
    Ids are 1, 2, 3, ... in the order of the scores, the highest first; an object of which no pixel is left to be seen
    gets none. Every other pixel keeps its category of ``semantic``, and has the id 0.

    semantic: (H, W) int64. masks: (K, H, W) bool. labels: (K,) int64. scores: (K,) floating point, all different. K may
    be 0.

    For semantic [[7, 7, 7, 7]], masks [[1, 1, 0, 0]] and [[0, 1, 1, 0]], labels 3, 4 and scores 0.2, 0.9: categories
    [[3, 4, 4, 7]], ids [[2, 1, 1, 0]].
    """
    # TODO: take the masks in the order of their scores, and lay each only where nothing lies yet.
    # BEGIN SOLUTION
    categories, ids, seen = semantic.clone(), torch.zeros_like(semantic), 0
    for place in scores.argsort(descending=True).tolist():
        visible = masks[place] & (ids == 0)
        if visible.any():
            seen += 1
            ids[visible] = seen
            categories[visible] = labels[place]
    return categories, ids
    # END SOLUTION
