"""Small coloured scenes of ten classes, and the files in which such sets come.

``generate(count, seed)`` returns uint8 images (count, 3, size, size) and int64 labels (count,): a shape in warm or cold
light before a ground whose colours run from corner to corner, so that no two sides and no two channels of an image are
alike. ``cifar_batch`` packs images as CIFAR-10 does, ``encoded`` writes one of them as a PNG, JPEG or BMP file.

Prefix-stable: the first n images of a seed do not depend on how many are drawn.
"""

import io
import pickle
import struct

import numpy as np
from PIL import Image

SHAPES = ("disc", "box", "ring", "cross", "stripe")
CLASSES = tuple(f"{light} {shape}" for light in ("warm", "cold") for shape in SHAPES)

_COLUMNS = 16  # uniform numbers kept for each image


def generate(count, seed=0, size=32):
    """Draw ``count`` images.

    Returns (images uint8 (count, 3, size, size), labels int64 (count,)). Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    classes, numbers, grain = (np.random.default_rng([seed, stream]) for stream in range(3))
    labels = classes.integers(0, len(CLASSES), count)
    table = numbers.random((count, _COLUMNS))
    images = np.empty((count, 3, size, size), np.uint8)
    for image, label, row in zip(images, labels, table, strict=True):
        noise = grain.normal(0, 0.03, (3, size, size))
        image[:] = np.clip((_scene(int(label), row, size) + noise) * 255, 0, 255)
    return images, labels


def cifar_batch(images, labels):
    """The bytes of a file of CIFAR-10: images uint8 (N, 3, 32, 32), labels (N,) from 0 to 9.

    A pickled dict as Python 2 wrote it. Its keys are byte strings: b"data" is uint8 (N, 3072), each row the red plane,
    then the green, then the blue one; b"labels" a list of integers; b"filenames" and b"batch_label" say what they say.
    """
    batch = {
        b"batch_label": b"training batch 1 of 5",
        b"labels": [int(label) for label in labels],
        b"data": np.ascontiguousarray(images).reshape(len(images), -1),
        b"filenames": [f"scene_{number:06d}.png".encode() for number in range(len(images))],
    }
    out = io.BytesIO()
    _Python2Pickler(out, protocol=2).dump(batch)
    return out.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.")


def encoded(image, kind="PNG", mode="RGB"):
    """The bytes of a picture file: image uint8 (3, H, W), ``kind`` PNG, JPEG or BMP, ``mode`` one of Pillow's."""
    picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
    if mode in ("RGBA", "LA"):
        picture.putalpha(picture.convert("L"))  # some of it is transparent
    out = io.BytesIO()
    picture.convert(mode).save(out, kind)
    return out.getvalue()


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "snapshots",
        "title": "coloured scenes, 32x32, ten classes, as arrays and as files",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


class _Python2Pickler(pickle._Pickler):
    """Writes byte strings as Python 2 did: a reader has to say how they are encoded."""

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_bytes}  # noqa: RUF012


def _scene(label, row, size):
    """One image, floats about 0..1 (3, size, size)."""
    draws = iter(row)

    def draw(low, high, *shape):
        found = [low + (high - low) * next(draws) for _ in range(int(np.prod(shape)))]
        return np.reshape(found, shape) if shape else found[0]

    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = axis[None, :], axis[:, None]
    corner, across, down = draw(0.1, 0.45, 3, 1, 1), draw(0.05, 0.25, 3, 1, 1), draw(0.05, 0.25, 3, 1, 1)
    ground = corner + across * (x + 1) / 2 + down * (y + 1) / 2
    u, v, reach = x - draw(-0.3, 0.3), y - draw(-0.3, 0.3), draw(0.35, 0.6)
    far = np.hypot(u, v)
    inside = (
        far < reach,
        np.maximum(np.abs(u), np.abs(v)) < 0.8 * reach,
        np.abs(far - reach) < 0.3 * reach,
        (np.minimum(np.abs(u), np.abs(v)) < 0.25 * reach) & (np.maximum(np.abs(u), np.abs(v)) < reach),
        np.abs(u + v) < 0.5 * reach,
    )[label % len(SHAPES)]
    warm = label < len(SHAPES)
    red, blue = draw(0.75, 1.0), draw(0.05, 0.3)
    colour = np.array([red, draw(0.35, 0.6), blue] if warm else [blue, draw(0.35, 0.6), red]).reshape(3, 1, 1)
    return np.where(inside, colour, ground)
