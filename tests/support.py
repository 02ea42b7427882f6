"""What the tests share: the real command on a copy of the miniature course, and JSON held to its schema."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema

from torchgrade.course import Course
from torchgrade.grading.job import Options
from torchgrade.grading.run import grade_tasks
from torchgrade.model import Outcome
from torchgrade.submission import Source, Submission

ROOT = Path(__file__).parents[1]
MINI = ROOT / "tests" / "mini"
SCHEMA = json.loads((ROOT / "torchgrade" / "report" / "result.schema.json").read_text())


def grade_py(
    *arguments: str | Path, cwd: Path, timeout: float = 240, **environment: str
) -> subprocess.CompletedProcess[str]:
    """``python grade.py …`` as a learner types it; returns what it printed and its exit code."""
    env = {**os.environ, "NO_COLOR": "1", **environment}
    env.pop("TORCHGRADE_COURSE", None)
    command = [sys.executable, str(ROOT / "grade.py"), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )


def result_of(
    *arguments: str | Path, cwd: Path, code: int | None = None, timeout: float = 240, **environment: str
) -> dict[str, Any]:
    """The JSON document of one run, validated; nothing else may be on standard output."""
    done = grade_py(*arguments, "--json", "-", cwd=cwd, timeout=timeout, **environment)
    assert done.stdout.startswith("{"), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(result, SCHEMA)
    assert "Traceback" not in done.stderr, done.stderr
    if code is not None:
        assert done.returncode == code, (done.returncode, done.stderr, result)
    return result


def checks_of(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {check["id"]: check for task in result["tasks"] for check in task["checks"]}


def copy_of_mini(folder: Path) -> Path:
    """A course that a test may change."""
    target = folder / "course"
    shutil.copytree(MINI, target, ignore=shutil.ignore_patterns("__pycache__", ".torchgrade"))
    return target


def grade_here(root: Path, text: str) -> dict[str, Outcome]:
    """The outcomes of the course's first task for ``text``, graded in this process, by check.

    pytest keeps a suite by its place below the course: that of another course would be taken for this one's.
    """
    for name in [name for name in sys.modules if name.endswith("task01_scale.checks")]:
        del sys.modules[name]
    course = Course.load(root)
    source = Source("task01_scale.py", {"task01_scale.py": text.encode()})
    submission = Submission("task01_scale.py", {"task01_scale": source})
    tasks = [course.find("task01")]
    with mock.patch.dict(os.environ):  # which a session cleans
        result = grade_tasks(course, submission, tasks, Options(debug=True), lambda event: None)
    return {outcome.id: outcome for outcome in result.tasks[0].checks}
