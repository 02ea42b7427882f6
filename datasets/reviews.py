"""Real Chinese reviews of takeaways, each praise (1) or complaint (0): waimai_10k.csv of ChineseNlpCorpus.

``load()`` looks in the folder that the environment variable TORCHGRADE_DATA names, then in ./data of the checkout, each
also in the sub-folder chinese-sentiment/. The csv has the columns label and review, in UTF-8. It comes without a
licence of its own, for research and teaching, so it is not part of this project.
"""

import csv
import hashlib
import io
import os
from pathlib import Path

from torchgrade.errors import Unavailable

NAME = "waimai_10k.csv"
KNOWN = "b8b5c11c00b51578d35937fca56e03a126b45381f1ea4b22893237cb377a26fe"

_LARGEST = 2**26  # bytes that are read
_GET = f"put {NAME} of github.com/SophonPlus/ChineseNlpCorpus into ./data/chinese-sentiment"


def folders():
    """Where the file is looked for, in this order."""
    named = os.environ.get("TORCHGRADE_DATA")
    roots = [Path(named)] if named else []
    roots.append(Path(__file__).resolve().parent.parent / "data")
    return [folder for root in roots for folder in (root, root / "chinese-sentiment")]


def find():
    """The file, or None."""
    return next((folder / NAME for folder in folders() if (folder / NAME).is_file()), None)


def load():
    """The pairs (label, review), in the order of the file: praise first. A review is one line of text.

    Raises Unavailable where the file is absent or not the published one.
    """
    path = find()
    if path is None:
        raise Unavailable(f"Reviews of takeaways are not on this machine. To have them, {_GET}")
    try:
        if path.stat().st_size > _LARGEST:
            raise Unavailable(f"Cannot read {path}: it has more than {_LARGEST // 2**20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"Cannot read {path}: {error}") from None
    if hashlib.sha256(content).hexdigest() != KNOWN:
        raise Unavailable(f"Cannot use {path}: its content is not the published {NAME}; fetch the file again")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))[1:]
    return [(int(label), " ".join(review.split())) for label, review in rows]


def verified():
    """Whether the file is present and intact."""
    try:
        load()
    except Unavailable:
        return False
    return True


def catalogue():
    """What ``python grade.py data`` says about this set."""
    status, detail = "absent", "not found"
    if find() is not None:
        try:
            status, detail = "verified", f"{len(load())} reviews in {find().parent}"
        except Unavailable as error:
            status, detail = "damaged", str(error)
    return {
        "name": "reviews",
        "title": "real Chinese reviews of takeaways, praise and complaint",
        "kind": "real",
        "status": status,
        "detail": detail,
        "where": [str(place) for place in folders()],
        "get": _GET,
    }
