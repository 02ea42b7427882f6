"""The last grade of each of a learner's tasks, kept in ``.torchgrade/last`` with all that it depended on.

A grade is told from here only where nothing has changed that could change it: the file, the suite, the engine, the
versions, the options. What the machine may have had a part in is graded again in any case.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torchgrade.model import Status, TaskGrade, as_json

SCHEMA = "torchgrade.last/1"
OF_THE_MACHINE = (Status.BROKEN, Status.UNAVAILABLE, Status.TIMED_OUT, Status.OUT_OF_MEMORY)


def basis(options: Mapping[str, Any], submission_hash: str, grader_hash: str) -> str:
    """A hash of what a grade depends on; ``options`` are those that a verdict may depend on."""
    versions = {name: version(name) for name in ("torch", "numpy")}
    facts = [
        options,
        submission_hash,
        grader_hash,
        versions,
        platform.python_version(),
        os.environ.get("TORCHGRADE_DATA"),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def last_grades(root: Path, bases: Mapping[str, str]) -> dict[str, TaskGrade]:
    """By stem, the grades that still hold of those tasks whose basis is given."""
    read = {stem: _read(root, stem) for stem in bases}
    return {stem: kept[1] for stem, kept in read.items() if kept is not None and kept[0] == bases[stem]}


def last_grade(root: Path, stem: str) -> TaskGrade | None:
    """The last grade that was kept, even where something has changed since."""
    kept = _read(root, stem)
    return kept[1] if kept is not None else None


def _read(root: Path, stem: str) -> tuple[str, TaskGrade] | None:
    try:
        data = json.loads(_place(root, stem).read_text(encoding="utf-8"))
        return (data["basis"], TaskGrade.from_json(data["grade"])) if data["schema"] == SCHEMA else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # never graded, or by another version


def keep_grades(root: Path, bases: Mapping[str, str], grades: Iterable[TaskGrade]) -> None:
    """Keep the grades of those tasks whose basis is given; OSError where that cannot be written."""
    for grade in grades:
        place = _place(root, grade.task)
        place.parent.mkdir(parents=True, exist_ok=True)
        if grade.task not in bases or any(check.status in OF_THE_MACHINE for check in grade.checks):
            place.unlink(missing_ok=True)
            continue
        draft = place.with_suffix(f".{os.getpid()}")
        document = {"schema": SCHEMA, "basis": bases[grade.task], "grade": as_json(grade)}
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(place)


def _place(root: Path, stem: str) -> Path:
    return root / ".torchgrade" / "last" / f"{stem}.json"
