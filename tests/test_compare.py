"""``compare``: opens by working, shows the reference by function, and measures both in turn."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console
from support import MINI, ROOT, copy_of_mini, grade_py

from torchgrade.commands.compare import show_comparison
from torchgrade.course import Course
from torchgrade.course_tools.sealed import NAME, seal
from torchgrade.errors import UsageError
from torchgrade.isolation.worker.counting import count
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


def test_calls_into_torch_are_those_of_one_call():
    """What a helper makes is counted for who called it; a class by its methods, its constructor left out."""
    text = """
import torch
def one(x): return x + 1
def two(x, n): return sum(one(x) for _ in range(n)) if n else x.shape
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(3).uniform_())
    def forward(self, x): return self.helped(x) * self.weight
    def helped(self, x): return torch.relu(one(x))
def fails(x): raise ValueError
"""
    names: dict = {}
    exec(text, names)
    count(names, ["one", "two", "Net", "fails", "missing"])
    x = torch.ones(3)
    names["two"](x, 0), names["two"](x, 4), names["Net"]()(x)
    with pytest.raises(ValueError, match=r"^$"):
        names["fails"](x)
    assert json.loads(names["counted_calls"]()) == {"one": [1, 1], "two": [0, 8], "Net": [3, 3]}
    assert json.loads(names["counted_calls"]()) == {}


def test_both_are_measured_in_turn(mini: Path):
    complete(mini)
    done = grade_py("compare", "task01", cwd=mini)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"its checks took \d+\.\d\d s", done.stdout)) == 6
    calls = re.findall(r"(?:(\d+) to )?(\d+) calls? into torch", done.stdout)
    assert calls[:2] == [("", "1"), ("", "1")], "scale multiplies once, in both"
    assert calls[3] == ("", "1")
    assert int(calls[2][1]) > 10, "total in a loop, one call for each row and some around"
    assert re.search(r"memory of the process at most: \d+ MB with yours, \d+ MB with the reference", done.stdout)
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION.replace("x * factor", "x + factor"))
    done = grade_py("compare", "task01", cwd=mini)
    assert done.returncode == 2
    assert done.stderr == "grade.py: exercises/task01_scale.py does not pass as it stands: python grade.py task01\n"
    assert "it has: scale, total, Affine" in grade_py("compare", "task01", "scales", cwd=mini).stderr


def test_a_sealed_reference_opens_by_working(tmp_path: Path):
    """Not by what the record says, and not for who passed a part; the alternatives come with it."""
    pytest.importorskip("cryptography")
    course, edition = copy_of_mini(tmp_path), tmp_path / "edition"
    assert grade_py("release", edition, "--with-solutions", cwd=course).returncode == 0
    sealed = (edition / "graders" / "task01_scale" / NAME).read_text()
    assert "x * factor" not in sealed
    assert not (edition / "solutions").exists()
    own = edition / "exercises" / "task01_scale.py"

    complete(edition)  # the record alone, as somebody could write it
    own.write_text(LOOPING.replace("x * factor", "x + factor"))
    assert grade_py("task01", cwd=edition).returncode == 1
    done = grade_py("compare", "task01", cwd=edition)
    assert done.returncode == 2
    assert done.stderr == (
        "grade.py: the reference of task01 is sealed; it opens after python grade.py task01 has passed\n"
    )

    own.write_text(LOOPING)
    assert grade_py("task01", cwd=edition).returncode == 0
    done = grade_py("compare", "task01", "--no-run", cwd=edition)
    assert done.returncode == 0, done.stderr
    assert "return x.sum()" in done.stdout
    assert (edition / "solutions" / "task01_scale.py").read_text() == SOLUTION
    opened = {path.name for path in (edition / "graders" / "task01_scale" / "alternatives").glob("*.py")}
    assert opened == {path.name for path in (MINI / "graders" / "task01_scale" / "alternatives").glob("*.py")}
    assert not (edition / "solutions" / "task02_train.py").exists()


def test_who_lacks_the_package_is_told_which(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    task = Course.load(MINI).find("task01")
    with pytest.raises(UsageError, match="pip install 'torchgrade\\[sealed\\]'"):
        seal(task, ["test_scale"], tmp_path / NAME)
