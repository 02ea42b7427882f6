"""The real Fashion-MNIST: four idx files, gzipped or not, verified by the checksum of their content.

``load()`` looks in the folder that the environment variable TORCHGRADE_DATA names, then in ./data of the
checkout, each with the layouts <folder>/, <folder>/fashion-mnist/, <folder>/fashion_mnist/ and torchvision's
<folder>/FashionMNIST/raw/. All four files must be there and intact, or nothing is used.

An idx file is big-endian: two zero bytes, the type (8: uint8), the number of dimensions, one uint32 per
dimension, then the values in C order.
"""

import gzip
import hashlib
import os
import zlib
from pathlib import Path

import numpy as np

from torchgrade.errors import Unavailable

CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip

#: part -> (file name, sha256 of the uncompressed file)
FILES = {
    "train_images": (
        "train-images-idx3-ubyte",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train_labels": (
        "train-labels-idx1-ubyte",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "test_images": (
        "t10k-images-idx3-ubyte",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    "test_labels": (
        "t10k-labels-idx1-ubyte",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}

_LAYOUTS = ("", "fashion-mnist", "fashion_mnist", "FashionMNIST/raw")
_LARGEST = 256 * 2**20  # bytes an idx file may unpack to; the largest real one has 47 million
_GET = (
    "where a network exists: python -c \"import torchvision; torchvision.datasets.FashionMNIST('data', download=True)\""
)


def folders():
    """Where the files are looked for, in this order."""
    named = os.environ.get("TORCHGRADE_DATA")
    roots = [Path(named)] if named else []
    roots.append(Path(__file__).resolve().parent.parent / "data")
    return [root / layout if layout else root for root in roots for layout in _LAYOUTS]


def find():
    """The first folder that holds one of the four files, or None."""
    for folder in folders():
        if any(_path(folder, name) for name, _ in FILES.values()):
            return folder
    return None


def load():
    """Read all four files.

    Returns {"train_images": uint8 (60000, 28, 28), "train_labels": uint8 (60000,), "test_images": uint8
    (10000, 28, 28), "test_labels": uint8 (10000,)}. Raises Unavailable where a file is absent, damaged or
    not the published one; nothing is returned then.
    """
    folder = find()
    if folder is None:
        raise Unavailable(f"Fashion-MNIST is not on this machine. Get it {_GET}")
    parts = {}
    for part, (name, digest) in FILES.items():
        path = _path(folder, name)
        if path is None:
            raise Unavailable(f"Cannot use {folder}: {name}[.gz] is missing there")
        content = _unpack(path)
        array = parse_idx(content, path)
        if hashlib.sha256(content).hexdigest() != digest:
            raise Unavailable(f"Cannot use {path}: its content is not the published {name}; fetch the file again")
        parts[part] = array
    return parts


def verified():
    """Whether all four files are present and intact."""
    try:
        load()
    except Unavailable:
        return False
    return True


def read_idx(path):
    """Read one idx file, gzipped or not: a uint8 array. Raises Unavailable with the reason."""
    return parse_idx(_unpack(Path(path)), path)


def parse_idx(content, name="the file"):
    """The uint8 array in the bytes of an idx file. Raises Unavailable with the reason."""
    if len(content) < 4 or content[:2] != b"\0\0":
        raise Unavailable(f"Cannot read {name}: it does not start with the two zero bytes of an idx file")
    kind, dimensions = content[2], content[3]
    if kind != 8:
        raise Unavailable(f"Cannot read {name}: its values have idx type {kind}, not 8 (uint8)")
    start = 4 + 4 * dimensions
    if dimensions == 0 or len(content) < start:
        raise Unavailable(f"Cannot read {name}: its header ends before the {dimensions} dimensions")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dimensions, offset=4))
    needed, there = int(np.prod(shape, dtype=object)), len(content) - start
    if needed != there:
        kind_of = "truncated" if there < needed else "too long"
        raise Unavailable(f"Cannot read {name}: {kind_of}; {shape} takes {needed} bytes, it has {there}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def catalogue():
    """What ``python grade.py data`` says about this set."""
    folder = find()
    status, detail = "absent", "not found"
    if folder is not None:
        try:
            load()
            status, detail = "verified", f"in {folder}, all four checksums right"
        except Unavailable as error:
            status, detail = "damaged", str(error)
    return {
        "name": "fashion_mnist",
        "title": "Fashion-MNIST, 60,000 + 10,000 real images, 28x28, ten classes",
        "kind": "real",
        "status": status,
        "detail": detail,
        "where": [str(place) for place in folders()],
        "get": _GET,
    }


def _path(folder, name):
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None


def _unpack(path):
    """The bytes of a file; gzip is recognised by its first two bytes, whatever the name says."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Unavailable(f"Cannot read {path}: {error}") from None
    if len(content) > _LARGEST:
        raise Unavailable(f"Cannot read {path}: it unpacks to more than {_LARGEST // 2**20} MiB")
    return content
