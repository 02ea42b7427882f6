"""Helpers for task 36 that run beside the submission: files, a toy network, training, and what calls leave behind."""

import copy
import json
import os
import pathlib
import tempfile

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


def written(text, as_path=False):
    """The path of a file with this text, as a string or a pathlib.Path."""
    handle, path = tempfile.mkstemp(suffix=".json", dir=tempfile.gettempdir())
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return pathlib.Path(path) if as_path else path


def sizes_in(kind, text, to_mask, decode):
    """[id, area, [x, y, width, height]] of each annotation of a file, by way of the index and of the masks."""
    index = kind(written(text))
    pictures = {image["id"]: image for image in json.loads(text)["images"]}
    found = []
    for image, picture in pictures.items():
        for annotation in index.load_anns(index.get_ann_ids(img_ids=image)):
            shape = annotation["segmentation"]
            mask = decode(shape) if isinstance(shape, dict) else to_mask(shape, picture["height"], picture["width"])
            rows, columns = mask.any(1).nonzero().flatten().tolist(), mask.any(0).nonzero().flatten().tolist()
            box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1] if rows else []
            found.append([annotation["id"], int(mask.sum()), box])
    return sorted(found)


def changed(fn, *args):
    """Whether one of the arguments, plain data, is another after ``fn(*args)``."""
    kept = copy.deepcopy(args)
    fn(*args)
    return list(kept) != list(args)


def kinds_in(encode, mask):
    """The types of the numbers in the run lengths of a mask."""
    rle = encode(mask)
    return sorted({type(number).__name__ for number in (*rle["size"], *rle["counts"])})


def index_changes(kind, source):
    """Whether the dict, or an annotation in it, or a list that is asked for, is another after all questions."""
    names = [row["name"] for row in source["categories"]]
    pictures, categories, rows = ([row["id"] for row in source[key]] for key in ("images", "categories", "annotations"))
    kept = copy.deepcopy((source, names, pictures, categories, rows))
    index = kind(source)
    index.get_cat_ids(), index.get_img_ids(), index.load_anns(index.get_ann_ids(iscrowd=0))
    index.get_cat_ids(names), index.get_img_ids(categories), index.get_ann_ids(pictures, categories)
    index.load_anns(rows)
    return kept != (source, names, pictures, categories, rows)


def recorded_after(fn, *args):
    """Whether gradients are recorded after ``fn(*args)``, where they were before, and where they were not."""
    before, found = torch.is_grad_enabled(), []
    for recorded in (True, False):
        torch.set_grad_enabled(recorded)
        fn(*args)
        found.append(torch.is_grad_enabled())
    torch.set_grad_enabled(before)
    return found


class Echo(nn.Module):
    """Its scores are the images, times ``gain``, a parameter that is 1; moody: in training mode times -1."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.gain * (-1 if self.training else 1)


def echo():
    return Echo()


def pairs(*batches):
    """A loader of these batches."""
    return [tuple(batch) for batch in batches]


def trained(net, images, target, epochs):
    """The losses of the epochs; images (N, 3, H, W) floating point, target (N, H, W) int64."""
    net.train()
    device = next(net.parameters()).device
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for x, y in DataLoader(TensorDataset(images, target), 16, shuffle=True):
            loss = F.cross_entropy(net(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        losses.append(total / len(target))
    return losses


def classes(net, images):
    """The class of the highest score of each pixel, in evaluation mode."""
    net.eval()
    with torch.no_grad():
        return net(images.to(next(net.parameters()).device)).argmax(1).cpu()
