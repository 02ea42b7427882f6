"""Pictures with objects on them, and their annotations as COCO writes them, drawn from a seed.

``generate(count, seed)`` returns Scenes: images uint8 (count, 3, height, width), a bool mask of all objects of each,
and the dict of an annotation file, whose objects are polygons, some of two parts, and whose crowds are run lengths. An
object is darker or brighter than the ground. Corners lie on sixteenths of a pixel, and no centre of a pixel lies on an
edge.

Prefix-stable: the first n images of a seed do not depend on how many are drawn.
"""

from dataclasses import dataclass

import numpy as np

NAMES = ("buoy", "kite", "crate", "lamp", "shoal")  # the last comes in crowds
CATEGORY_IDS = (18, 3, 44, 90, 7)


@dataclass(frozen=True)
class Scenes:
    """images uint8 (N, 3, H, W), objects bool (N, H, W), and the annotations as the dict of a file."""

    images: np.ndarray
    objects: np.ndarray
    annotations: dict


def generate(count, seed=0, height=32, width=40):
    """Draw ``count`` pictures as Scenes. Raises ValueError for a negative count."""
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    file = {
        "images": [],
        "categories": [{"id": key, "name": name} for key, name in zip(CATEGORY_IDS, NAMES, strict=True)],
        "annotations": [],
    }
    images = np.empty((count, 3, height, width), np.uint8)
    objects = np.zeros((count, height, width), bool)
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        image_id = 1000 + 37 * number + int(generator.integers(30))
        name = f"scene_{image_id:06d}.png"
        file["images"].append({"id": image_id, "height": height, "width": width, "file_name": name})
        picture = _ground(generator, height, width)
        for _ in range(int(generator.integers(1, 4))):
            kind = int(generator.integers(len(NAMES)))
            parts = _parts(generator, kind, height, width)
            mask = rasterised(parts, height, width)
            if not mask.any():
                continue
            crowd = int(kind == len(NAMES) - 1)
            file["annotations"].append(
                {
                    "id": 50_000 + 11 * len(file["annotations"]) + int(generator.integers(10)),
                    "image_id": image_id,
                    "category_id": CATEGORY_IDS[kind],
                    "iscrowd": crowd,
                    "area": int(mask.sum()),
                    "bbox": box(mask),
                    "segmentation": run_lengths(mask) if crowd else parts,
                }
            )
            objects[number] |= mask
            tint = (
                generator.uniform(0.82, 1.0, (3, 1)) if generator.random() < 0.5 else generator.uniform(0, 0.2, (3, 1))
            )
            picture[:, mask] = tint
        noisy = picture + generator.normal(0, 0.06, picture.shape)
        images[number] = np.clip(noisy * 255, 0, 255)
    return Scenes(images, objects, file)


def rasterised(parts, height, width):
    """The pixels (height, width) whose centre lies in one of the parts, by the winding number of exact integers."""
    x, y = 32 * np.arange(width)[None] + 16, 32 * np.arange(height)[:, None] + 16
    mask = np.zeros((height, width), bool)
    for part in parts:
        corners = [(round(32 * a), round(32 * b)) for a, b in zip(part[0::2], part[1::2], strict=True)]
        turns = np.zeros((height, width), np.int64)
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            left = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
            turns += ((y0 <= y) & (y1 > y) & (left > 0)).astype(int) - ((y0 > y) & (y1 <= y) & (left < 0))
        mask |= turns != 0
    return mask


def run_lengths(mask):
    """{"size": [H, W], "counts": [...]} of a mask, column by column."""
    pixels = [0, *mask.T.reshape(-1).astype(int).tolist(), -1]
    starts = [place for place in range(len(pixels) - 1) if pixels[place + 1] != pixels[place]]
    counts = np.diff([0, *starts]).tolist()
    return {"size": list(mask.shape), "counts": counts}


def box(mask):
    """[x, y, width, height] of the pixels of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1)]


def on_an_edge(part, height, width):
    """Whether a centre of a pixel lies on an edge of the part."""
    x, y = 32 * np.arange(width)[None] + 16, 32 * np.arange(height)[:, None] + 16
    corners = [(round(32 * a), round(32 * b)) for a, b in zip(part[0::2], part[1::2], strict=True)]
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        straight = (x1 - x0) * (y - y0) == (x - x0) * (y1 - y0)
        within = (np.minimum(x0, x1) <= x) & (x <= np.maximum(x0, x1)) & (np.minimum(y0, y1) <= y)
        if (straight & within & (y <= np.maximum(y0, y1))).any():
            return True
    return False


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "coco_scenes",
        "title": "pictures with objects, 32x40, and a COCO file of their masks",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


def _ground(generator, height, width):
    """(3, height, width), about 0.35 to 0.65."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    slopes = generator.uniform(-0.06, 0.06, (2, 3, 1, 1))
    return generator.uniform(0.44, 0.56, (3, 1, 1)) + slopes[0] * x + slopes[1] * y


def _parts(generator, kind, height, width):
    """Polygons round one or two places; a star of many corners has dents."""
    while True:
        parts = []
        for _ in range(1 + int(kind == 3)):
            corners = (9, 4, 5, 7, 12)[kind]
            angles = np.sort(
                generator.uniform(0, 2 * np.pi / corners, corners) + np.arange(corners) * 2 * np.pi / corners
            )
            reach = generator.uniform(0.55, 1.0, corners) * generator.uniform(4, 9)
            x = generator.uniform(3, width - 3) + reach * np.cos(angles)
            y = generator.uniform(3, height - 3) + reach * np.sin(angles)
            parts.append((np.round(16 * np.stack([x, y], 1)) / 16).reshape(-1).tolist())
        if not any(on_an_edge(part, height, width) for part in parts):
            return parts
