"""A Jupyter notebook as a module: what its code cells define, in order, and a way back to cell and line.

Imports, functions, classes and plain assignments are taken; magics, shell lines and statements that only run
something (a training loop, a plot) are left out and reported. Every cell keeps its number of lines in the
module, so that a line of the module is a line of one cell. Called beside the submission: the notebook is not
trusted.
"""

from __future__ import annotations

import ast
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchgrade.handin.names import Refused, reason

_LINE_MAGIC = re.compile(r"^\s*(?:[%!?]|\w[\w., ]*=\s*[%!])|^\s*[\w.]+\?{1,2}\s*$")
_HARMLESS_CELL_MAGICS = ("time", "timeit", "capture", "prun", "python", "python3", "pypy")
_SIZE = 32 << 20


@dataclass(frozen=True)
class Module:
    """``starts[i]`` is the first line (from 1) of ``cells[i]``, a number among the code cells, from 1.

    ``left_out`` holds (cell, line, sentence) of everything that was not taken.
    """

    source: str
    starts: tuple[int, ...]
    cells: tuple[int, ...]
    left_out: tuple[tuple[int, int, str], ...] = ()

    def place(self, line: int) -> tuple[int, int]:
        """(code cell, line in it) of a line of the module."""
        index = max(bisect_right(self.starts, line) - 1, 0)
        return self.cells[index], line - self.starts[index] + 1


@dataclass
class _Reading:
    """What the cells so far define, and which names exist only where code was left out."""

    own: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    left_out: list[tuple[int, int, str]] = field(default_factory=list)


def is_notebook(name: str) -> bool:
    """Whether the name says that this is a notebook."""
    return name.lower().endswith(".ipynb")


def convert(data: bytes) -> Module:
    """The module that a notebook defines. Raises Refused with a sentence when it is no Python notebook."""
    reading = _Reading()
    lines: list[str] = []
    starts, numbers = [], []
    for number, text in enumerate(_code_cells(_load(data)), 1):
        taken = _take_cell(number, text, reading)
        if taken is not None:
            starts.append(len(lines) + 1)
            numbers.append(number)
            lines += taken
    if not any(line.strip() for line in lines):
        raise Refused("the notebook defines nothing: it has no code cell with a function, class or value")
    left_out = tuple(sorted(reading.left_out))
    return Module("\n".join(lines) + "\n", tuple(starts), tuple(numbers), left_out)


def _load(data: bytes) -> dict[str, Any]:
    if len(data) > _SIZE:
        raise Refused(f"the notebook is larger than {_SIZE >> 20} MB; clear its outputs")
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
        sheets = [sheet for sheet in notebook["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets for cell in sheet.get("cells") or ()]
    if not isinstance(cells, list):
        raise Refused("the notebook is damaged: it has no cells")
    for cell in cells:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            text = cell.get("source", cell.get("input", ""))
            if isinstance(text, list):
                text = "".join(part for part in text if isinstance(part, str))
            yield text.replace("\r\n", "\n").replace("\r", "\n") if isinstance(text, str) else ""


def _take_cell(number: int, text: str, reading: _Reading) -> list[str] | None:
    """The cell's lines with all that is not taken blanked; None when nothing of it is."""
    lines = text.split("\n")
    if text.lstrip().startswith("%%"):
        first = next(index for index, line in enumerate(lines) if line.strip())
        magic = lines[first].strip()[2:].split(" ")[0]
        if magic not in _HARMLESS_CELL_MAGICS:
            reading.left_out.append((number, first + 1, f"the cell belongs to %%{reason(ValueError(magic))}"))
            return None
        reading.left_out.append((number, first + 1, "a magic"))
        lines[first] = ""
    tree = _parse(lines)
    if tree is None:
        lines = _without_magics(number, lines, reading)
        tree = _parse(lines)
    if tree is None:
        if re.search(r"^\s*(async\s+)?(def|class)\s", text, re.MULTILINE):
            return lines  # the learner must read about this error, at its place
        reading.left_out.append((number, 1, "the cell is not valid Python"))
        return None
    kept = [node for node in tree.body if _wanted(node, number, reading)]
    return _blanked(lines, tree.body, kept) if kept else None


def _parse(lines: Sequence[str]) -> ast.Module | None:
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _without_magics(number: int, lines: Sequence[str], reading: _Reading) -> list[str]:
    """Magics and shell lines become empty, or ``pass`` where a block may need a statement."""
    kept = []
    continued = False
    for index, line in enumerate(lines, 1):
        if continued or _LINE_MAGIC.match(line):
            if not continued:
                reading.left_out.append((number, index, "a magic or a shell line"))
            indent = line[: len(line) - len(line.lstrip())]
            kept.append(f"{indent}pass" if indent and not continued else "")
            continued = line.rstrip().endswith("\\")
        else:
            kept.append(line)
    return kept


def _wanted(node: ast.stmt, number: int, reading: _Reading) -> bool:
    """Whether a top-level statement defines something; what it binds is remembered either way."""
    sentence = _objection(node, reading)
    bound = _bound(node)
    if sentence:
        reading.gone |= bound - reading.own
        reading.left_out.append((number, node.lineno, sentence))
        return False
    reading.gone -= bound
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        reading.own |= bound
    return True


def _objection(node: ast.stmt, reading: _Reading) -> str:
    """Why a statement is not taken; empty when it is."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return ""
    if isinstance(node, (ast.If, ast.Try)):
        inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
        plain = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.Pass, ast.Return,
                 ast.AnnAssign)  # fmt: skip
        defines = any(isinstance(child, plain[:5]) for child in inner)
        main = isinstance(node, ast.If) and "__name__" in ast.dump(node.test)
        return "" if defines and not main and not _runs(node, reading) else "it runs something"
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        if _runs(node, reading):
            return "it runs the notebook's own code"
        return "it needs a value that was left out" if _loaded(node) & reading.gone else ""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return "" if isinstance(node.value.value, str) else "it only shows a value"
    return "it runs something"


def _runs(node: ast.AST, reading: _Reading) -> bool:
    """Whether the statement calls, at once, what the notebook itself defines."""
    calls = (child.func for child in _now(node) if isinstance(child, ast.Call))
    names = {name.id for call in calls for name in ast.walk(call) if isinstance(name, ast.Name)}
    return bool(names & (reading.own | reading.gone))


def _now(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated when the statement is, the bodies of functions excluded."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _now(child)


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {node.name}
    stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    aliases = {(alias.asname or alias.name).split(".")[0] for alias in ast.walk(node) if isinstance(alias, ast.alias)}
    return stored | aliases


def _loaded(node: ast.AST) -> set[str]:
    return {n.id for n in _now(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _blanked(lines: Sequence[str], body: Sequence[ast.stmt], kept: Sequence[ast.stmt]) -> list[str]:
    """The lines with the other statements removed; one that shares its line leaves a ``0`` behind."""
    raw = [line.encode() for line in lines]  # the parser counts columns in bytes
    for node in body:
        if node in kept:
            continue
        last = node.end_lineno or node.lineno
        for index in range(node.lineno - 1, last):
            begin = node.col_offset if index == node.lineno - 1 else 0
            end = (node.end_col_offset or 0) if index == last - 1 else len(raw[index])
            mark = b"0" if index == node.lineno - 1 else b""
            raw[index] = raw[index][:begin] + mark.ljust(end - begin) + raw[index][end:]
    return ["" if line.strip() == "0" else line for line in (line.decode().rstrip() for line in raw)]
