"""A Jupyter notebook as text, and text of notebooks as Python.

A notebook is kept as the text of its code cells, each below a line that names it (``slim``). So it is small, a
reader can read it, and equal code is equal text, whatever was printed below it. ``read`` takes that text, or a
script's, apart: cells, magics, modules that a cell writes. Every line stays where it is, so that a line of the
module is a line of one cell. Both run beside the submission: nothing of a notebook is trusted. Both take linear time.
"""

from __future__ import annotations

import json
import posixpath
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torchgrade.handin.names import Refused, reason

MARK = "# %% code cell "
_MARKED = re.compile(re.escape(MARK) + r"(\d{1,9})")
# A magic, a shell line or a question to IPython; where a logical line begins, Python has none of these.
_MAGIC = re.compile(r"\s*(?:[%!]{1,2}\s*[\w./~{$]|\?{1,2}\s*\w|\w[\w., ]*=\s*[%!]{1,2}\s*[\w./~]|[\w.]+\?{1,2}\s*$)")
_PROMPT = re.compile(r"(?:>>>|\.\.\.)(?: |$)")
_RUN = re.compile(r"%run\s+(?:-\w\s+)*[\"']?(?:\./)?([A-Za-z_][\w/]*)\.py\b.*")
_PIECE = re.compile(r"#.*|\"\"\"|'''|[\"']|[()\[\]{}]|\\.?")
_TIMED = ("time", "timeit", "capture", "prun", "python", "python3", "pypy")  # cell magics round ordinary code
_WRITES = ("writefile", "file")


class LeftLine(NamedTuple):
    """A line of the module that is not executed, and why."""

    line: int
    why: str


@dataclass(frozen=True)
class Part:
    """Lines that are read as one: a cell, or a whole script. ``first`` is the number of its first line, from 1."""

    first: int
    text: str
    cell: int = 0  # from 1; 0 for a script


@dataclass
class Module:
    """A module in its parts. ``written`` maps the names of files that cells write to texts, lines kept in place."""

    parts: list[Part] = field(default_factory=list)
    left_out: list[LeftLine] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        lines: list[str] = []
        for part in self.parts:
            lines += [""] * (part.first - 1 - len(lines)) + part.text.split("\n")
        return "\n".join(lines)

    def place(self, line: int) -> tuple[int, int]:
        """(code cell, line in it) of a line of the module; cell 0 is the module itself."""
        index = max(bisect_right(self.parts, line, key=lambda part: part.first) - 1, 0)
        return self.parts[index].cell, line - self.parts[index].first + 1


def is_document(data: bytes) -> bool:
    """Whether the bytes are a notebook as Jupyter writes it, whatever the file is called."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"{") and (b'"cells"' in data or b'"worksheets"' in data)


def slim(data: bytes) -> bytes:
    """The code cells as text, in UTF-8. Raises Refused with a sentence when it is no Python notebook."""
    parts = [f"{MARK}{number}\n{text}\n" for number, text in enumerate(_code_cells(_load(data)), 1)]
    if not any(part.partition("\n")[2].strip() for part in parts):
        raise Refused("the notebook has no code")
    return "".join(parts).encode("utf-8", "replace")


def _load(data: bytes) -> dict[str, Any]:
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise Refused(f"the notebook is damaged: {reason(error)}") from None
    if not isinstance(notebook, dict):
        raise Refused("the notebook is damaged: it is no notebook document")
    metadata = notebook.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    language = kernel.get("language", "python") if isinstance(kernel, dict) else "python"
    if isinstance(language, str) and language.lower() != "python":
        raise Refused(f"the notebook is written in {reason(ValueError(language))}, not in Python")
    return notebook


def _code_cells(notebook: dict[str, Any]) -> Iterator[str]:
    """The text of each code cell, for notebook formats 3 and 4."""
    cells = notebook.get("cells")
    if cells is None and isinstance(notebook.get("worksheets"), list):
        sheets = [sheet.get("cells") for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        raise Refused("the notebook is damaged: it has no cells")
    for cell in cells:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            text = cell.get("source", cell.get("input", ""))
            if isinstance(text, list):
                text = "".join(part for part in text if isinstance(part, str))
            yield text.replace("\r\n", "\n").replace("\r", "\n") if isinstance(text, str) else ""


def is_notebook(text: str) -> bool:
    """Whether the text is one that ``slim`` made."""
    return _MARKED.match(text) is not None


def read(text: str) -> Module:
    """Take a script, or a notebook's text, apart."""
    module = Module()
    lines = text.split("\n")
    if not is_notebook(text):
        module.parts.append(Part(1, "\n".join(_without_magics(1, lines, module))))
        return module
    marks = [(number, found) for number, line in enumerate(lines) if (found := _MARKED.fullmatch(line))]
    ends = [number for number, _ in marks[1:]] + [len(lines)]
    for (number, found), end in zip(marks, ends, strict=True):
        taken = _cell(number + 2, lines[number + 1 : end], module)
        module.parts.append(Part(number + 2, "\n".join(taken), int(found[1])))
    return module


def _cell(first: int, lines: list[str], module: Module) -> list[str]:
    """The cell's lines without what only IPython reads; none where the whole cell is not Python."""
    lines = _unwrapped(lines)
    place = next((index for index, line in enumerate(lines) if line.strip()), 0)
    words = lines[place].strip().split() if lines else []
    if not words or not words[0].startswith("%%"):
        return _without_magics(first, lines, module)
    magic = words[0][2:]
    target = words[-1].strip("\"'").replace("\\", "/")
    if magic in _WRITES and target.endswith(".py"):
        name = posixpath.normpath(target)
        name = posixpath.basename(name) if name.startswith(("/", "..", "~", "$")) else name
        before = module.written.get(name, "") if "-a" in words else ""
        body = "\n" * max(first + place - before.count("\n"), 0) + "\n".join(lines[place + 1 :])
        module.written[name] = before + body + "\n"
    elif magic in _TIMED:
        return _without_magics(first, [*[""] * (place + 1), *lines[place + 1 :]], module)
    else:
        module.left_out.append(LeftLine(first + place, f"the cell belongs to %%{reason(ValueError(magic))}"))
    return [""] * len(lines)


def _unwrapped(lines: list[str]) -> list[str]:
    """Without the indent of the first line and without Python's prompts, as IPython takes them off a cell."""
    first = next((line for line in lines if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip(" \t"))]
    prompted = first.lstrip().startswith(">>>")
    bare = (line.removeprefix(indent) for line in lines)
    return [_PROMPT.sub("", line, count=1) if prompted and _PROMPT.match(line) else line for line in bare]


def _without_magics(first: int, lines: Sequence[str], module: Module) -> list[str]:
    """Magics and shell lines become empty, or ``pass`` where a block may need a statement; ``%run x.py`` an import.

    One can only stand where a logical line begins: in a text, in brackets and behind a backslash it is Python.
    """
    kept = []
    state = _Logical()
    magic = False  # continued by a backslash
    for number, line in enumerate(lines, first):
        if not magic and state.begins() and (run := _RUN.fullmatch(line)):
            kept.append(" ".join(("from", run[1].replace("/", "."), "import *")))
        elif magic or (state.begins() and _MAGIC.match(line)):
            if not magic:
                module.left_out.append(LeftLine(number, "a magic or a shell line"))
            indent = line[: len(line) - len(line.lstrip())]
            kept.append(f"{indent}pass" if indent and not magic else "")
            magic = line.rstrip().endswith("\\")
        else:
            kept.append(line)
            state.read(line)
    return kept


class _Logical:
    """Where a reading of lines stands: in a text, in brackets, behind a backslash, or at the begin of a line."""

    def __init__(self) -> None:
        self._quote = ""  # the three characters that end the text
        self._depth = 0
        self._continued = False

    def begins(self) -> bool:
        return not (self._quote or self._depth or self._continued)

    def read(self, line: str) -> None:
        quote = self._quote
        self._continued = False
        for found in _PIECE.finditer(line):
            piece = found[0]
            if quote:
                # Three quotation marks may end a text of one, and one may stand in a text of three.
                if piece == quote or (len(quote) == 1 and piece == quote * 3):
                    quote = ""
                self._continued = piece == "\\"
            elif piece[0] == "#":
                break
            elif piece[0] in "\"'":
                quote = piece
            elif piece in "([{":
                self._depth += 1
            elif piece in ")]}":
                self._depth = max(self._depth - 1, 0)
            elif piece == "\\":
                self._continued = True
        self._quote = quote if len(quote) == 3 or self._continued else ""
