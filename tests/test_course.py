"""The course itself is proved: ``grade.py verify`` on every task, once, one test for each."""

from __future__ import annotations

import pytest
import yaml
from support import ROOT, grade_py

TASKS: list[str] = yaml.safe_load((ROOT / "course.yaml").read_text())["tasks"]


@pytest.fixture(scope="module")
def problems() -> list[str]:
    """The lines of one verification of all tasks."""
    done = grade_py("verify", "--timeout-scale", "2", cwd=ROOT, timeout=3000)
    assert done.returncode in (0, 1), done.stderr
    return [line for line in done.stdout.splitlines() if line != "every fact holds"]


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("task", TASKS)
def test_every_fact_about_a_task_holds(task: str, problems: list[str]) -> None:
    assert not [line for line in problems if line.startswith(f"{task}:")]


@pytest.mark.timeout(3000)
def test_the_folders_hold_the_course_and_nothing_else(problems: list[str]) -> None:
    assert not [line for line in problems if line.split(":")[0] not in TASKS]
