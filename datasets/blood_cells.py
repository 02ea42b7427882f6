"""Real annotations: the blood cells of the BCCD set, 364 pictures of 640x480 in the Pascal VOC layout.

Only the folder Annotations is read. It is looked for in the folder that the environment variable TORCHGRADE_DATA names,
then in ./data of the checkout, each also with the sub-folders below. Files that are damaged are refused as a whole.
"""

import hashlib
import os
from pathlib import Path
from xml.dom import minidom
from xml.parsers.expat import ExpatError

from torchgrade.errors import Unavailable

CLASSES = ("RBC", "WBC", "Platelets")

#: sha256 over the texts, in the order of their names -> what they are
KNOWN = {
    "fcd157811051155178eaaee3f0057b428f053618d647960f86a12808c3d085c2": "BCCD: 364 files, 4,888 boxes",
}

_LAYOUTS = ("", "BCCD", "bccd-voc/BCCD")
_GET = "put the folder Annotations of the BCCD set into ./data/BCCD"
_LARGEST = 2**20  # bytes of one file that is read


def folders():
    """Where the set is looked for, in this order."""
    named = os.environ.get("TORCHGRADE_DATA")
    roots = [Path(named)] if named else []
    roots.append(Path(__file__).resolve().parent.parent / "data")
    return [root / layout / "Annotations" for root in roots for layout in _LAYOUTS]


def find():
    """The first folder with annotations, or None."""
    return next((folder for folder in folders() if any(folder.glob("*.xml"))), None)


def texts(count=None, seed=0):
    """Files and what they say: [(text, content), ...], ``count`` of them from a place that ``seed`` says.

    Raises Unavailable where files are absent or damaged.
    """
    found = _read()
    start = seed % len(found)
    chosen = (found[start:] + found[:start])[:count]
    try:
        return [(text, _content(text)) for text in chosen]
    except (ExpatError, ValueError, IndexError, AttributeError) as error:
        raise Unavailable(f"Cannot use {find()}: {error}") from None


def verified():
    """Whether the set found is the one whose checksum is known."""
    try:
        return _digest(_read()) in KNOWN
    except Unavailable:
        return False


def catalogue():
    """What ``python grade.py data`` says about this set."""
    folder = find()
    status, detail = "absent", "not found"
    if folder is not None:
        try:
            found = _read()
            what = KNOWN.get(_digest(found))
            status = "verified" if what else "unknown"
            other = f"{len(found)} files of a set without a known checksum; use --data real"
            detail = f"in {folder}: {what or other}"
        except Unavailable as error:
            status, detail = "damaged", str(error)
    return {
        "name": "blood_cells",
        "title": "real annotations of blood cells, Pascal VOC",
        "kind": "real",
        "status": status,
        "detail": detail,
        "where": [str(place) for place in folders()],
        "get": _GET,
    }


def _read():
    folder = find()
    if folder is None:
        raise Unavailable(f"No real annotations are on this machine. To have them, {_GET}")
    paths = sorted(folder.glob("*.xml"))
    try:
        for path in paths:
            if path.stat().st_size > _LARGEST:
                raise Unavailable(f"Cannot read {path}: it has more than {_LARGEST // 2**20} MiB")
        return [path.read_text(encoding="utf-8") for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"Cannot read {folder}: {error}") from None


def _digest(found):
    return hashlib.sha256("\0".join(found).encode()).hexdigest()


def _content(text):
    """What a file says, read with the DOM: each of the tags asked for occurs once in its node."""
    root = minidom.parseString(text).documentElement

    def value(node, name):
        return node.getElementsByTagName(name)[0].firstChild.data.strip()

    objects = [
        {
            "name": value(node, "name"),
            "pose": value(node, "pose"),
            "truncated": int(value(node, "truncated")),
            "difficult": int(value(node, "difficult")),
            "bndbox": [float(value(node, edge)) for edge in ("xmin", "ymin", "xmax", "ymax")],
        }
        for node in root.getElementsByTagName("object")
    ]
    size = {name: int(value(root, name)) for name in ("width", "height", "depth")}
    return {"folder": value(root, "folder"), "filename": value(root, "filename"), "size": size, "objects": objects}
