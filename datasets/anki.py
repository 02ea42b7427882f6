"""Real sentence pairs: files of lines "English, tab, other language", as the Anki decks of tatoeba.org's pairs are.

A file is fra-eng.zip or cmn-eng.zip, or fra.txt or cmn.txt taken out of it, in UTF-8; columns behind the second are
left out. Looked for in the folder that the environment variable TORCHGRADE_DATA names, then in ./data of the checkout,
each also in the sub-folder anki/. New editions of the files appear: any that can be read may be used, and those whose
checksum is known are told as verified. The texts are CC-BY 2.0 FR; each zip says in _about.txt whom to name.
"""

import hashlib
import os
import zipfile
from pathlib import Path

from torchgrade.errors import Unavailable

LANGUAGES = ("fra", "cmn")

#: sha256 of the unpacked texts that are known
KNOWN = {
    "2546838ae46e0eac4c02ab7032ea0a02a006074a5340077a36a9444f41e02888": "fra, 142,787 pairs of 2017-09-29",
    "390362328240596c895e5266bd8c26f5960f228dc0eec9b0cd11eef026209904": "cmn, 24,818 pairs of 2021-01-24",
}

_LARGEST = 2**28  # bytes of a text that are read
_GET = "put fra-eng.zip and cmn-eng.zip of www.manythings.org/anki into ./data/anki"


def folders():
    """Where the files are looked for, in this order."""
    named = os.environ.get("TORCHGRADE_DATA")
    roots = [Path(named)] if named else []
    roots.append(Path(__file__).resolve().parent.parent / "data")
    return [folder for root in roots for folder in (root, root / "anki")]


def find(language):
    """The first file of this language, or None."""
    names = (f"{language}.txt", f"{language}-eng.zip")
    return next((folder / name for folder in folders() for name in names if (folder / name).is_file()), None)


def load(language):
    """The pairs (English, other) of a language, "fra" or "cmn", in the order of the file.

    Raises Unavailable where the file is absent or damaged.
    """
    path = find(language)
    if path is None:
        raise Unavailable(f"Pairs of English and {language} are not on this machine. To have them, {_GET}")
    return parse(_content(path, language), path)


def parse(content, name="the file"):
    """The pairs in the bytes of a text. Raises Unavailable with the reason."""
    try:
        rows = [line.split("\t") for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise Unavailable(f"Cannot read {name}: it is not UTF-8 ({error.reason})") from None
    short = next((number for number, row in enumerate(rows, 1) if len(row) < 2), None)
    if short is not None or not rows:
        raise Unavailable(f"Cannot read {name}: {f'line {short} has no tab' if rows else 'it is empty'}")
    return [(row[0], row[1]) for row in rows]


def verified():
    """Whether the files of both languages are here and known."""
    try:
        return all(_known(language) for language in LANGUAGES)
    except Unavailable:
        return False


def catalogue():
    """What ``python grade.py data`` says about this set."""
    found = {language: find(language) for language in LANGUAGES}
    status, detail = "absent", "not found"
    if any(found.values()):
        try:
            status = "verified" if all(_known(language) for language in LANGUAGES) else "unknown"
            counts = ", ".join(f"{len(load(language))} {language}" for language in LANGUAGES)
            detail = f"in {next(filter(None, found.values())).parent}: {counts}"
        except Unavailable as error:
            status, detail = "damaged", str(error)
    return {
        "name": "anki",
        "title": "real sentence pairs, English with French and Chinese, as text",
        "kind": "real",
        "status": status,
        "detail": detail,
        "where": [str(place) for place in folders()],
        "get": _GET,
    }


def _known(language):
    path = find(language)
    if path is None:
        raise Unavailable(f"Pairs of English and {language} are missing; {_GET}")
    return hashlib.sha256(_content(path, language)).hexdigest() in KNOWN


def _content(path, language):
    """The bytes of the text, taken out of a zip where it is in one."""
    try:
        if path.suffix != ".zip":
            size, content = path.stat().st_size, path.read_bytes
        else:
            archive = zipfile.ZipFile(path)
            member = next(info for info in archive.infolist() if Path(info.filename).name == f"{language}.txt")
            size, content = member.file_size, lambda: archive.read(member)
        if size > _LARGEST:
            raise Unavailable(f"Cannot read {path}: it has more than {_LARGEST // 2**20} MiB")
        return content()
    except StopIteration:
        raise Unavailable(f"Cannot read {path}: {language}.txt is not in it") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise Unavailable(f"Cannot read {path}: {error}") from None
