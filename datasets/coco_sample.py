"""Two real pictures of COCO with their 50 masks, as the annotation file of the panoptic API's sample data has them.

The file is ``panoptic_coco_detection_format.json``. Its run lengths are packed into text there: six bits a character,
the lowest five first, each count from the fourth on as the difference to the one two places before. ``load`` unpacks
them.

Looked for in the folder that the environment variable TORCHGRADE_DATA names, then in ./data of the checkout, each also
with the sub-folders below.
"""

import hashlib
import json
import os
from pathlib import Path

from torchgrade.errors import Unavailable

#: sha256 of a file -> what it is
KNOWN = {
    "ec0cd238fb65e3eddccd7d6de9163cc43f6d21b8ef757426e8a0b6651f89b8ae": "COCO panoptic sample: 2 pictures, 50 masks",
}

_NAME = "panoptic_coco_detection_format.json"
_LAYOUTS = ("", "coco-sample", "coco-sample/sample_data", "sample_data")
_GET = f"put sample_data/{_NAME} of github.com/cocodataset/panopticapi into ./data/coco-sample"
_LARGEST = 2**26  # bytes that are read


def paths():
    """Where the file is looked for, in this order."""
    named = os.environ.get("TORCHGRADE_DATA")
    roots = [Path(named)] if named else []
    roots.append(Path(__file__).resolve().parent.parent / "data")
    return [root / layout / _NAME for root in roots for layout in _LAYOUTS]


def find():
    """The first file that is there, or None."""
    return next((path for path in paths() if path.is_file()), None)


def load(path=None):
    """The dict of the file, whose run lengths are lists of counts. Raises Unavailable where it is absent or damaged."""
    path = find() if path is None else Path(path)
    if path is None:
        raise Unavailable(f"No real COCO file is on this machine. To have one, {_GET}")
    try:
        file = json.loads(_content(path))
        for annotation in file["annotations"]:
            packed = annotation["segmentation"]
            counts = unpacked(packed["counts"])
            if sum(counts) != packed["size"][0] * packed["size"][1] or min(counts) < 0:
                raise ValueError(f"the run lengths of annotation {annotation['id']} do not fill the picture")
            annotation["segmentation"] = {"size": packed["size"], "counts": counts}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise Unavailable(f"Cannot read {path}: {error}") from None
    return file


def unpacked(text):
    """The counts of a packed text."""
    counts, value, shift = [], 0, 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:  # the last of a count; its highest bit is the sign
            value -= (bits & 16) << (shift - 4) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value, shift = 0, 0
    return counts


def verified():
    """Whether the file found is one whose checksum is known."""
    path = find()
    try:
        return path is not None and hashlib.sha256(_content(path)).hexdigest() in KNOWN
    except (OSError, Unavailable):
        return False


def catalogue():
    """What ``python grade.py data`` says about this set."""
    path = find()
    status, detail = "absent", "not found"
    if path is not None:
        try:
            count = len(load(path)["annotations"])
            what = KNOWN.get(hashlib.sha256(_content(path)).hexdigest())
            status = "verified" if what else "unknown"
            other = f"{count} masks of a file without a known checksum; use --data real"
            detail = f"{path}: {what or other}"
        except Unavailable as error:
            status, detail = "damaged", str(error)
    return {
        "name": "coco_sample",
        "title": "two real pictures of COCO, with masks",
        "kind": "real",
        "status": status,
        "detail": detail,
        "where": [str(place) for place in paths()],
        "get": _GET,
    }


def _content(path):
    if path.stat().st_size > _LARGEST:
        raise Unavailable(f"Cannot read {path}: it has more than {_LARGEST // 2**20} MiB")
    return path.read_bytes()
