"""``compare``: opens by working, shows the reference by function, and measures both in turn."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from support import MINI, ROOT, grade_py

from torchgrade.commands.compare import show_comparison
from torchgrade.course import Course
from torchgrade.errors import UsageError
from torchgrade.model import Status, TaskGrade
from torchgrade.progress import record_grades
from torchgrade.report.parts import facts_of, parts_of

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
LOOPING = SOLUTION.replace(
    "return x.sum()", "s = 0 * x.sum()\n    for row in x.reshape(-1):\n        s = s + row\n    return s"
)

TEXT = '''"""A module."""

import torch


@torch.no_grad()
def first(
    x,
):
    """Says
    much."""
    # BEGIN SOLUTION
    return [v for v in x]  # a comment

    # END SOLUTION


# --- a heading ---


class Second(Base):
    def forward(self, x):
        while True:
            for _ in x:
                pass


LATER = 3
'''


def test_parts_are_found_without_parsing():
    parts = parts_of(TEXT)
    assert parts["first"] == "@torch.no_grad()\ndef first(\n    x,\n):\n    return [v for v in x]  # a comment\n"
    assert parts["Second"].endswith("                pass\n")
    assert list(parts) == ["first", "Second"]
    assert (facts_of(parts["first"]).lines, facts_of(parts["first"]).loops) == (5, 1)
    assert facts_of(parts["Second"]).loops == 2
    assert facts_of("def broken(:\n  '").loops == 0


@pytest.mark.parametrize("task", Course.load(ROOT).tasks, ids=lambda task: task.short)
def test_no_definition_of_a_solution_is_lost(task):
    import ast

    text = task.solution.read_text(encoding="utf-8")
    kinds = (ast.FunctionDef, ast.ClassDef)
    assert list(parts_of(text)) == [node.name for node in ast.parse(text).body if isinstance(node, kinds)]


def complete(course):
    (course / "exercises" / "task01_scale.py").write_text(LOOPING)
    grade = TaskGrade("task01_scale", "", Status.PASSED, 8.0, 8.0, 0.1, "", "", ())
    record_grades(course, [grade])


def shown(course, width=80, **options):
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    found = Course.load(course)
    show_comparison(console, found, found.find("task01"), **options)
    return console.file.getvalue()


def test_it_opens_when_the_task_is_complete(mini: Path):
    with pytest.raises(UsageError, match="compare opens when task01 is complete"):
        shown(mini)
    complete(mini)
    text = shown(mini)
    assert re.search(r"total\n +yours +5 lines, 1 loop\n +reference +2 lines, no loop\n.*\n +return x.sum\(\)", text)
    assert "BEGIN SOLUTION" not in text
    assert "for row in x" not in text, "on a narrow terminal the reference alone is shown"
    assert "for row in x" in shown(mini, width=140)
    assert "scale" not in shown(mini, names=["total"]).split("\n", 1)[1]
    (mini / "solutions" / "task01_scale.py").unlink()
    with pytest.raises(UsageError, match="not part of this edition"):
        shown(mini)


def test_both_are_measured_in_turn(mini: Path):
    complete(mini)
    done = grade_py("compare", "task01", cwd=mini)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"its checks took \d+\.\d\d s", done.stdout)) == 6
    assert re.search(r"memory of the process at most: \d+ MB with yours, \d+ MB with the reference", done.stdout)
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION.replace("x * factor", "x + factor"))
    done = grade_py("compare", "task01", cwd=mini)
    assert done.returncode == 2
    assert done.stderr == "grade.py: exercises/task01_scale.py does not pass as it stands: python grade.py task01\n"
    assert "it has: scale, total, Affine" in grade_py("compare", "task01", "scales", cwd=mini).stderr
