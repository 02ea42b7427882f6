"""What a file is, by its name: code, an archive that can be opened, or something that nobody can grade. Pure."""

from __future__ import annotations

import posixpath

from torchgrade.handin import libarchive_reader

CODE = (".py", ".ipynb", ".py.txt", ".ipynb.txt", ".ipynb.json")  # editors and browsers add the second suffix
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_OTHER_ARCHIVES = (".rar", ".7z", ".gz", ".bz2", ".xz", ".zst", ".lz", ".lzma", ".cab", ".iso", ".dmg", ".arj")
_DOCUMENTS = {
    ".pdf": "a PDF", ".doc": "a Word document", ".docx": "a Word document", ".odt": "a text document",
    ".rtf": "a text document", ".pages": "a text document", ".html": "a web page", ".htm": "a web page",
    ".mhtml": "a web page", ".png": "a picture", ".jpg": "a picture", ".jpeg": "a picture", ".heic": "a picture",
    ".md": "a text", ".txt": "a text", ".tex": "a text", ".pptx": "slides", ".xlsx": "a table", ".pyc": "compiled code",
    ".webloc": "a link to a page", ".url": "a link to a page", ".gdoc": "a link to a page",
}  # fmt: skip


def is_code(name: str) -> bool:
    """A Python file or a notebook, whatever was put behind its suffix."""
    return name.lower().endswith(CODE)


def is_notebook(name: str) -> bool:
    return is_code(name) and ".ipynb" in name.lower()[-12:]


def is_archive(name: str) -> bool:
    """An archive that can be opened."""
    return name.lower().endswith((*ARCHIVES, *(libarchive_reader.SUFFIXES if libarchive_reader.HERE else ())))


def may_hold_anything(name: str) -> bool:
    """An archive, readable or not: what is in it is unknown until it is open."""
    return name.lower().endswith((*ARCHIVES, *_OTHER_ARCHIVES))


def split_suffix(name: str) -> tuple[str, str]:
    """Name and suffix; ``.tar.gz`` and ``.py.txt`` are one suffix."""
    lower = name.lower()
    double = max((s for s in (*ARCHIVES, *libarchive_reader.SUFFIXES, *CODE) if lower.endswith(s)), key=len, default="")
    cut = len(name) - len(double) if double else len(posixpath.splitext(name)[0])
    return name[:cut], name[cut:]


def objection(name: str) -> str:
    """Why a file that is neither code nor an archive cannot be graded; one sentence that says what to hand in."""
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in _OTHER_ARCHIVES:
        return f"an archive of the kind {suffix} cannot be opened; hand in a .zip"
    what = _DOCUMENTS.get(suffix)
    return f"{what or 'a file of another kind'} cannot be graded; hand in a .py file, a notebook or a .zip of them"
