"""Real faces with keypoints: a stack of grey images and a csv of coordinates, beside each other.

A folder holds train.npy or train.npz and train.csv, and the same pair named test (without it every fifth
training image is held out). Images are (height, width, N) with the samples on the **last** axis, as the
96x96 challenge files are; in an npz, the array ``images`` may be (N, height, width) as well. The csv has a
header with two columns <point>_x and <point>_y for each point, one row per image, and an empty cell (or
"nan") where a coordinate is missing. Units: pixels; the centre of pixel (row r, column c) is x = c, y = r.

Looked for in the folder that the environment variable TORCHGRADE_DATA names, then in ./data of the checkout,
each also with the sub-folders below. A folder that is damaged in any way is refused as a whole.
"""

import csv
import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from torchgrade.errors import Unavailable

#: The columns of the four points, in the order that the tasks use.
COLUMNS = tuple(
    f"{point}_{axis}"
    for point in ("left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip")
    for axis in "xy"
)

#: digest of a folder's content (see ``digest``) -> what it is; floors have been measured on these
KNOWN = {
    "13930cf06fb97169f93bbe2674070f73caf46c78e1637a01ae39f5a449060b10": (
        "P1 facial keypoints: 2,400 + 600 frames of 347 people, grey 96x96 crops"
    ),
}

_LAYOUTS = ("", "keypoints", "face-keypoints", "faces-keypoints-real")
_GET = (
    "put train.npy (96, 96, N) and train.csv of a keypoint set into ./data/keypoints; "
    "the 96x96 challenge files fit as they are"
)
_LARGEST = 2**30  # bytes of images that are read


@dataclass(frozen=True)
class Faces:
    """Images uint8 (height, width, N); points float32 (N, K) in pixels, NaN where missing; K column names."""

    images: np.ndarray
    points: np.ndarray
    columns: tuple


def folders():
    """Where a set is looked for, in this order."""
    named = os.environ.get("TORCHGRADE_DATA")
    roots = [Path(named)] if named else []
    roots.append(Path(__file__).resolve().parent.parent / "data")
    return [root / layout if layout else root for root in roots for layout in _LAYOUTS]


def find():
    """The first folder with a training csv and its images, or None."""
    for folder in folders():
        if (folder / "train.csv").is_file() and _images_path(folder, "train"):
            return folder
    return None


def load(folder=None):
    """Read a set: (training Faces, test Faces).

    Raises Unavailable where files are absent, damaged or do not fit each other.
    """
    folder = find() if folder is None else Path(folder)
    if folder is None:
        raise Unavailable(f"No real keypoint set is on this machine. To have one, {_GET}")
    train = read_pair(folder, "train")
    if (folder / "test.csv").is_file():
        test = read_pair(folder, "test")
        if test.columns != train.columns or test.images.shape[:2] != train.images.shape[:2]:
            raise Unavailable(f"Cannot use {folder}: train and test differ in columns or image size")
        return train, test
    held_out = np.arange(len(train.points)) % 5 == 4
    return _part(train, ~held_out), _part(train, held_out)


def digest(train, test):
    """sha256 over images and points of both parts, independent of how the files are packed."""
    total = hashlib.sha256()
    for part in (train, test):
        total.update(np.ascontiguousarray(np.moveaxis(part.images, -1, 0)).tobytes())
        thousandths = np.nan_to_num(np.round(part.points * 1000.0), nan=-1e6)  # missing: far outside
        total.update(thousandths.astype("<i4").tobytes())
    return total.hexdigest()


def verified():
    """Whether the set found is one whose checksum is known."""
    try:
        return digest(*load()) in KNOWN
    except Unavailable:
        return False


def read_pair(folder, stem):
    """Read the images and the csv of this stem as Faces. Raises Unavailable with the reason."""
    folder = Path(folder)
    path = _images_path(folder, stem)
    if path is None:
        raise Unavailable(f"Cannot use {folder}: {stem}.npy or {stem}.npz is missing there")
    table = folder / f"{stem}.csv"
    points, columns = read_csv(table)
    images = read_images(path, len(points))
    if images.shape[-1] != len(points):
        counts = f"{images.shape[-1]} images, but {len(points)} rows in {table.name}"
        raise Unavailable(f"Cannot use {folder}: {counts}")
    return Faces(images, points, columns)


def read_images(path, count=None):
    """The images of an npy or npz file as uint8 (height, width, N).

    ``count`` tells the two orders of an npz apart. Raises Unavailable with the reason.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise Unavailable(f"Cannot read {path}: it has more than {_LARGEST // 2**20} MiB")
        stored = np.load(path, allow_pickle=False)
        packed = isinstance(stored, np.lib.npyio.NpzFile)
        array = stored["images"] if packed else stored
    except KeyError:
        raise Unavailable(f"Cannot read {path}: it has no array named images") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise Unavailable(f"Cannot read {path}: {error}") from None
    if array.ndim != 3:
        raise Unavailable(f"Cannot read {path}: shape {array.shape}, not (height, width, N)")
    if packed and array.shape[0] == count and array.shape[-1] != count:
        array = np.moveaxis(array, 0, -1)
    if array.dtype != np.uint8:
        array = _as_bytes(array, path)
    return array


def read_csv(path):
    """The coordinates of a csv: (float32 (N, K) with NaN where missing, names of the K columns).

    The four points that the tasks know come first and in their order. Raises Unavailable with the reason.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unavailable(f"Cannot read {path}: {error}") from None
    if len(rows) < 2:
        raise Unavailable(f"Cannot read {path}: it has no rows under its header")
    header = [name.strip() for name in rows[0]]
    _check_header(header, path)
    points = np.empty((len(rows) - 1, len(header)), np.float32)
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise Unavailable(f"Cannot read {path}: line {number} has {len(row)} cells, not {len(header)}")
        cells = zip(row, header, strict=True)
        points[number - 2] = [_number(cell, path, number, name) for cell, name in cells]
    if set(COLUMNS) <= set(header):
        order = [header.index(name) for name in COLUMNS]
        return points[:, order], COLUMNS
    return points, tuple(header)


def catalogue():
    """What ``python grade.py data`` says about this set."""
    folder = find()
    status, detail = "absent", "not found"
    if folder is not None:
        try:
            train, test = load()
            what = KNOWN.get(digest(train, test))
            status = "verified" if what else "unknown"
            sizes = f"{len(train.points)} + {len(test.points)} images"
            detail = f"in {folder}: {what or sizes + ' of a set without a known checksum; use --data real'}"
        except Unavailable as error:
            status, detail = "damaged", str(error)
    return {
        "name": "keypoints",
        "title": "real faces with four keypoints, 96x96",
        "kind": "real",
        "status": status,
        "detail": detail,
        "where": [str(place) for place in folders()],
        "get": _GET,
    }


def _images_path(folder, stem):
    for path in (folder / f"{stem}.npy", folder / f"{stem}.npz"):
        if path.is_file():
            return path
    return None


def _part(faces, rows):
    return Faces(faces.images[:, :, rows], faces.points[rows], faces.columns)


def _as_bytes(array, path):
    """Grey levels 0..255 of another number type as uint8."""
    levels = array.astype(np.float64) if array.dtype.kind in "iuf" else None
    if levels is None or not np.isfinite(levels).all() or levels.min() < 0 or levels.max() > 255:
        raise Unavailable(f"Cannot read {path}: {array.dtype} values that are not grey levels 0..255")
    return np.round(levels).astype(np.uint8)


def _check_header(header, path):
    pairs = list(zip(header[::2], header[1::2], strict=False))
    paired = len(header) % 2 == 0 and all(a.endswith("_x") and b.endswith("_y") and a[:-2] == b[:-2] for a, b in pairs)
    if not paired or len(set(header)) != len(header):
        raise Unavailable(f"Cannot read {path}: the header is not pairs of columns <point>_x, <point>_y")


def _number(cell, path, line, name):
    text = cell.strip()
    if not text:
        return np.nan
    try:
        value = float(text)
    except ValueError:
        raise Unavailable(f"Cannot read {path}: line {line}, {name}: {text!r} is no number") from None
    if np.isinf(value):
        raise Unavailable(f"Cannot read {path}: line {line}, {name}: infinite")
    return value
