"""Which files of the engine a verdict depends on: found by following imports from what runs in grader and worker."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
# What a grader process runs, and what is imported by name: in a worker and its zygote.
ROOTS = (
    "torchgrade.grading.__main__",
    "torchgrade.authoring",
    "torchgrade.isolation.worker.serve",
    "torchgrade.isolation.confine.zygote",
    "torchgrade.isolation.launch.spawn",
)


@cache
def engine_files(roots: tuple[str, ...] = ROOTS) -> tuple[Path, ...]:
    """The files that ``roots`` import, directly or through others, in order of path."""
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is not None and name not in found:
            found[name] = path
            waiting += imported(path)
    return tuple(sorted(found.values()))


def imported(path: Path) -> Iterator[str]:
    """The modules of the engine that a file imports, at its top or inside a function; packages above them, too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from _with_parents(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from _with_parents([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])


def _with_parents(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        parts = name.split(".")
        if parts[0] == PACKAGE.name:
            yield from (".".join(parts[:end]) for end in range(2, len(parts) + 1))


def _file_of(name: str) -> Path | None:
    place = PACKAGE.joinpath(*name.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
