"""Draw docs/images/*.png, the contact sheets of docs/datasets.md: ``python docs/contact_sheets.py``."""

import importlib.util
import struct
import zlib
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parent
COLOURS = ((255, 60, 60), (60, 220, 60), (60, 200, 255), (255, 220, 40))  # left eye, right eye, nose, mouth


def load_dataset(name):
    """The module datasets/<name>.py."""
    spec = importlib.util.spec_from_file_location(f"dataset_{name}", DOCS.parent / "datasets" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sheet(images, columns, zoom=1):
    """Tile uint8 images (N, H, W) or (N, H, W, 3) into one, N a multiple of columns."""
    images = images.reshape(-1, columns, *images.shape[1:])  # (rows, columns, H, W[, 3])
    image = np.concatenate([np.concatenate(list(row), 1) for row in images])
    return image.repeat(zoom, 0).repeat(zoom, 1)


def mark(images, points):
    """Grey images as RGB with a dot of two pixels at every point."""
    colour = np.repeat(images[..., None], 3, -1)
    for image, row in zip(colour, points, strict=True):
        for (x, y), value in zip(np.round(row.reshape(4, 2)).astype(int), COLOURS, strict=True):
            image[y - 1 : y + 1, x - 1 : x + 1] = value
    return colour


def save(image, name):
    """Write a uint8 image (H, W) or (H, W, 3) as PNG."""
    height, width = image.shape[:2]
    rows = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if image.ndim == 3 else 0, 0, 0, 0)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], 1)  # a filter byte before each line
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    with open(DOCS / "images" / name, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in chunks:
            file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def main():
    wardrobe, faces = load_dataset("wardrobe"), load_dataset("faces")
    (DOCS / "images").mkdir(exist_ok=True)
    for name, nuisance in (("wardrobe.png", 1.0), ("wardrobe-plain.png", 0.0)):
        images, labels = wardrobe.generate(160, seed=1, nuisance=nuisance)
        save(sheet(images[np.argsort(labels, kind="stable")], 16), name)
    images, points = faces.generate(18, seed=1)
    save(sheet(mark(images, points), 9), "faces.png")
    save(sheet(faces.portraits(24, seed=1)[0], 12), "portraits.png")


if __name__ == "__main__":
    main()
