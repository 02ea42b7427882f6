"""From what was handed in to source texts: archives are opened and notebooks converted here, in the worker."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from torchgrade.handin import archives, notebooks
from torchgrade.handin.names import Refused
from torchgrade.handin.source import PLACES, Unreadable, decode

LIMITS = archives.Limits(total=64 << 20, member=20 << 20, count=2000)


def read(main: str, files: Mapping[str, bytes], archive: bytes | None) -> tuple[str, dict[str, str]]:
    """The name shown for the task's file, and the texts of all source files by name shown; raises Unreadable."""
    if archive is not None:
        main, files = _open(main, archive)
    return main, {name: _text(name, data) for name, data in files.items() if name == main or name.endswith(".py")}


def _text(name: str, data: bytes) -> str:
    if not name.endswith(".ipynb"):
        return decode(data)
    try:
        module = notebooks.convert(data)
    except Refused as error:
        raise Unreadable(f"the notebook cannot be read: {error}") from None

    def place(line: int) -> tuple[str, int]:
        cell, inside = module.place(line)
        return f"{name}, code cell {cell}", inside

    PLACES[name] = place
    return module.source


def _open(main: str, archive: bytes) -> tuple[str, dict[str, bytes]]:
    """The task's file in an archive, and the Python files beside it."""
    unpacked = archives.unpack(archive, LIMITS)
    stem = posixpath.splitext(main)[0]
    wanted = [name for name in unpacked.files if _answers(name, stem)]
    if not wanted:
        refused = "; ".join(f"{name}: {why}" for name, why in unpacked.refused[:3])
        raise Unreadable(f"the archive holds no {main}" + (f" ({refused})" if refused else ""))
    found = min(wanted, key=lambda name: (name.count("/"), not name.endswith(".py"), name))
    folder = posixpath.dirname(found)
    beside = {name: data for name, data in unpacked.files.items() if posixpath.dirname(name) == folder}
    return found, {name: data for name, data in beside.items() if name == found or name.endswith(".py")}


def _answers(name: str, stem: str) -> bool:
    base, suffix = posixpath.splitext(posixpath.basename(name))
    return base == stem and suffix in (".py", ".ipynb")
