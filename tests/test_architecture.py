"""The shape of the code: imports go down, a folder names the process that runs it, heavy libraries stay in their place."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support import ROOT

from torchgrade.engine_files import engine_files

LEVELS = {
    "__init__": 0, "model": 0, "errors": 0, "i18n": 0,
    "environment": 0, "yaml_text": 1, "checks": 1, "scoring": 1, "marks": 1, "engine_files": 1, "seeding": 1, "hardware": 1,
    "manifest": 2,
    "policy": 3, "marking": 3, "sums": 4, "course": 3, "history": 1, "progress": 3, "last_run": 3, "handin": 3,
    "sentences": 3, "submission": 4, "suites": 4, "platform_sheet": 4,
    "isolation": 5,
    "expect": 6, "materials": 6,
    "authoring": 7,
    "grading": 8,
    "api": 9,
    "batch": 9, "report": 9, "course_tools": 9, "samples": 5,
    "classes": 10,
    "commands": 11,
    "cli": 12,
}  # fmt: skip
# Inside isolation: what both sides speak, what the kernel forbids, what runs beside the submission, what the grader does.
SIDES = {"wire": 0, "confine": 1, "worker": 2, "launch": 3, "remote": 4}
BESIDE_THE_SUBMISSION = {
    "isolation.wire",
    "isolation.confine",
    "isolation.worker",
    "handin",
    "seeding",
    "errors",
    "i18n",
}
TORCH_IN = {"samples", "expect", "isolation", "grading", "authoring", "seeding", "materials"}
PACKAGE = ROOT / "torchgrade"


def room(name: str) -> str:
    """The part of the engine that a module such as ``torchgrade.isolation.wire.channel`` lies in."""
    parts = name.split(".")[1:]
    return ".".join(parts[:2]) if parts[0] == "isolation" else parts[0]


def level(place: str) -> tuple[int, int]:
    top, _, side = place.partition(".")
    return LEVELS[top], SIDES[side] if side else -1


def imports(tree: ast.AST) -> Iterator[str]:
    """Whole module names; ``from package import module`` names the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                place = ROOT.joinpath(*node.module.split("."), alias.name)
                module = place.is_dir() or place.with_suffix(".py").is_file()
                yield f"{node.module}.{alias.name}" if module else node.module


def modules() -> Iterator[tuple[str, list[str], Path]]:
    """Each module of the engine: its name, what it imports, its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name, list(imports(ast.parse(path.read_text(encoding="utf-8")))), path


def test_imports_go_down_and_run_in_no_circle() -> None:
    """A module imports its own room, or a room of a lower level; never sideways, never up, never in a circle."""
    arrows = {}
    for name, names, _ in modules():
        arrows[name] = {other for other in names if other.startswith("torchgrade.")}
        for other in arrows[name]:
            mine, theirs = room(name), room(other)
            assert mine == theirs or level(theirs) < level(mine), f"{name} imports {other}"
    while arrows:  # what imports nothing that is left cannot be in a circle
        free = [name for name, others in arrows.items() if not (others - {name}) & arrows.keys()]
        assert free, f"a circle of imports among {sorted(arrows)}"
        for name in free:
            del arrows[name]


def test_torch_stays_where_tensors_are() -> None:
    for name, names, path in modules():
        if room(name).split(".")[0] not in TORCH_IN and path.name != "doctor.py":  # doctor reports on torch itself
            assert not {other for other in names if other.split(".")[0] in ("torch", "torchvision")}, name


def test_a_worker_imports_nothing_of_the_grader() -> None:
    """The folder tells the side of the trust line: beside a submission no suite, no course, no verdict is at hand."""
    for name, names, _ in modules():
        if room(name) in BESIDE_THE_SUBMISSION:
            beyond = {room(other) for other in names if other.startswith("torchgrade.")} - BESIDE_THE_SUBMISSION
            assert not beyond, f"{name} imports {sorted(beyond)}"


def test_what_only_unix_has_is_imported_where_it_is_needed() -> None:
    """Windows and macOS grade, too: at the top of a module such an import stands in a ``try``, or below ``confine``."""
    unix = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "curses"}
    for name, _, path in modules():
        if not name.startswith("torchgrade.isolation.confine."):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            at_once = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
            assert not unix & {other for node in at_once for other in imports(node)}, name


def test_a_name_stands_for_one_class() -> None:
    places: dict[str, str] = {}
    for name, _, path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert node.name not in places, f"{node.name} is a class of {name} and of {places[node.name]}"
                places[node.name] = name


def test_no_place_of_one_machine_is_named() -> None:
    """The project speaks of itself alone."""
    for folder in ("torchgrade", "exercises", "solutions", "graders", "datasets", "docs", "benchmarks", "scripts"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".md", ".yaml", ".json", ".toml") and path.is_file():
                assert not re.search(r"/work/|/root/\.|/tmp/work", path.read_text(encoding="utf-8")), path


def test_what_a_verdict_depends_on_is_found_by_imports() -> None:
    """A changed rule of the kernel's regrades a class; a changed help text, table or page does not."""
    files = {path.relative_to(PACKAGE).as_posix() for path in engine_files()}
    assert {"expect/compare.py", "isolation/worker/serve.py", "isolation/confine/seccomp.py"} <= files
    assert {
        "grading/runner.py",
        "authoring.py",
        "checks.py",
        "handin/notebooks.py",
        "isolation/launch/spawn.py",
    } <= files
    assert "isolation/worker/probes/portability.py" in files
    for name in ("cli.py", "commands/grade.py", "report/scoreboard.py", "batch/gradebook/gradebook.py", "marks.py"):
        assert name not in files
