"""The shape of the code: imports go down, modules stay small, heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

from torchgrade.engine_files import engine_files

LEVELS = {
    "__init__": 0, "model": 0, "errors": 0, "i18n": 0,
    "manifest": 1, "checks": 1, "scoring": 1, "marks": 1, "engine_files": 1,
    "policy": 2, "course": 2, "progress": 2,
    "submission": 3,
    "isolation": 4,
    "expect": 5,
    "authoring": 6,
    "grading": 7,
    "batch": 8, "report": 8, "course_tools": 8,
    "commands": 9,
    "cli": 10,
}  # fmt: skip
TORCH_IN = {"expect", "isolation", "grading", "authoring"}
PACKAGE = ROOT / "torchgrade"
MODULES = sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, top_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "torchgrade":
                yield from (f"torchgrade.{alias.name}" for alias in node.names)


def test_every_part_has_a_level() -> None:
    assert {part(path) for path in MODULES} <= set(LEVELS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    """A module imports its own package, or a part of a lower level; never sideways, never up."""
    own = part(path)
    for name in imports(path):
        if name.startswith("torchgrade."):
            other = name.split(".")[1]
            if other in LEVELS and other != own:
                assert LEVELS[other] < LEVELS[own], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_stays_below(path: Path) -> None:
    if part(path) not in TORCH_IN and path.name != "doctor.py":  # doctor reports on torch itself
        assert not {name for name in imports(path) if name.split(".")[0] in ("torch", "torchvision")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250, "split the module at its seam"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno <= 42, f"{node.name} is too long"


def test_no_place_of_one_machine_is_named() -> None:
    """The project speaks of itself alone."""
    for folder in ("torchgrade", "exercises", "solutions", "graders", "datasets", "docs", "benchmarks", "scripts"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".yaml", ".json", ".toml") and path.is_file():
                assert not re.search(r"/work/|/root/\.|/tmp/work", path.read_text(encoding="utf-8")), path


def test_worker_code_imports_nothing_above() -> None:
    """What a worker may read: isolation, errors and i18n only (the grader's side of it excepted)."""
    grader_side = {"client.py", "line.py", "proxy.py", "local.py", "launch.py"}
    for path in sorted((PACKAGE / "isolation").rglob("*.py")):
        if path.name not in grader_side:
            for name in imports(path, top_only=True):
                if name.startswith("torchgrade."):
                    assert name.split(".")[1] in ("isolation", "errors", "i18n"), f"{path.name} imports {name}"


def test_what_a_verdict_depends_on_is_found_by_imports() -> None:
    """A changed rule of the kernel's regrades a class; a changed help text, table or page does not."""
    files = {str(path.relative_to(PACKAGE)) for path in engine_files()}
    assert {"expect/compare.py", "isolation/worker.py", "isolation/confine/seccomp.py", "grading/runner.py"} <= files
    assert {"isolation/probes/portability.py", "authoring.py", "checks.py", "isolation/spawn.py"} <= files
    for name in ("cli.py", "commands/grade.py", "report/scoreboard.py", "batch/gradebook.py", "marks.py"):
        assert name not in files
