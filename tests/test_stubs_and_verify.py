"""Stubs come from solutions; ``verify`` finds every way in which a task can be unproven."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import MINI, grade_py

from torchgrade.course_tools.mutate import edits
from torchgrade.course_tools.stubs import make_stub
from torchgrade.errors import CourseError


def test_a_block_in_a_function_becomes_a_gap() -> None:
    text = 'def f():\n    """D."""\n    # TODO: x\n    # BEGIN SOLUTION\n    return 1\n    # END SOLUTION\n'
    assert make_stub(text, "s.py") == 'def f():\n    """D."""\n    # TODO: x\n    raise NotImplementedError\n'


def test_a_block_of_a_module_is_left_out_with_the_imports_that_only_it_used() -> None:
    text = "import math\nimport torch\n\n# BEGIN SOLUTION\nX = math.pi\n# END SOLUTION\nY = 2\n"
    assert make_stub(text, "s.py") == "import torch\n\nY = 2\n"


def test_a_stub_line_stands_in_the_stub() -> None:
    text = "# BEGIN SOLUTION\n# STUB: TABLE: dict = {}\nTABLE = {1: 2}\n# END SOLUTION\n"
    assert make_stub(text, "s.py") == "TABLE: dict = {}\n"


@pytest.mark.parametrize(
    "text", ["# END SOLUTION\n", "# BEGIN SOLUTION\n", "# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION\n"]
)
def test_a_stray_marker_is_an_error(text: str) -> None:
    with pytest.raises(CourseError, match=r"s\.py"):
        make_stub(text, "s.py")


def test_a_proved_course_is_clean() -> None:
    done = grade_py("verify", "--timeout-scale", "5", cwd=MINI)
    assert (done.returncode, done.stdout.strip()) == (0, "every fact holds")
    counted = re.findall(r"(task0\d)_\w+: (\d+) of (\d+) cases graded", done.stderr)
    assert [(task, done == cases) for task, done, cases in counted] == [("task01", True), ("task02", True)]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_verify_names_every_fact_that_does_not_hold(mini: Path) -> None:
    """One line for each, and exit 1."""
    task = mini / "graders" / "task01_scale"
    edit(mini / "exercises" / "task01_scale.py", "# TODO: multiply", "# TODO: add")  # stub out of sync
    edit(task / "mutants.yaml", "fails: [test_total]", "fails: [test_scale]")  # survives one, kills another
    edit(task / "mutants.yaml", "likely: the bias is missing", "likely: something else")  # not told
    edit(task / "alternatives" / "einsum.py", '"i->", x', '"i->", 2 * x')  # wrong alternative
    suite = task / "checks.py"
    edit(suite, "x.sum())", "torch.zeros(()))\n    expect.close(submission.total(x) * 0, torch.zeros(3)[0])")
    (mini / "solutions" / "task09_stray.py").write_text("")
    done = grade_py("verify", "task01", cwd=mini)
    said = done.stdout
    assert done.returncode == 1
    for words in (
        "solutions/task09_stray.py belongs to no task",
        "exercises/task01_scale.py is not the stub of its solution",
        "mutant first_row_only survives test_scale, which it names",
        "mutant no_bias is not told 'something else'",
        "alternative einsum is failed in test_total",
        "the solution, proved, is",
    ):
        assert words in said, (words, said)


def test_a_check_without_a_mutant_is_unproven(mini: Path) -> None:
    edit(mini / "graders" / "task02_train" / "mutants.yaml", "test_converges", "test_nothing")
    said = grade_py("verify", "task02", cwd=mini).stdout
    assert "no mutant names test_converges" in said
    assert "a mutant names test_nothing, which is no check" in said


def test_a_mutant_must_apply(mini: Path) -> None:
    edit(mini / "graders" / "task01_scale" / "mutants.yaml", '"x * factor", "x + factor"', '"return", "x"')
    said = grade_py("verify", "task01", cwd=mini).stdout
    assert "'return' occurs 3 times in the solution, not once" in said


def test_stubs_are_checked_and_written(mini: Path) -> None:
    path = mini / "exercises" / "task01_scale.py"
    before = path.read_text()
    path.write_text("old = 1\n")
    assert grade_py("stubs", "--check", cwd=mini).returncode == 1
    assert path.read_text() == "old = 1\n"
    refused = grade_py("stubs", cwd=mini)
    assert refused.returncode == 2
    assert "say --yes" in refused.stderr
    assert path.read_text() == "old = 1\n"
    assert grade_py("stubs", "--yes", cwd=mini).returncode == 0
    assert path.read_text() == before
    assert [kept.read_text() for kept in path.parent.glob("*.py.bak")] == ["old = 1\n"]


def test_edits_are_small_and_have_names() -> None:
    names = [edit.name for edit in edits((MINI / "solutions" / "task01_scale.py").read_text())]
    assert "scale: x * factor -> x / factor" in names
    assert len(names) == len(set(names))


def test_one_mutant_can_be_proved_alone(mini: Path) -> None:
    edit(mini / "graders" / "task01_scale" / "mutants.yaml", '"x[0].sum()"', '"x.sum(dim=None)"')  # no mutant at all
    said = grade_py("verify", "task01", "--only", "mutant no_bias", "--timeout-scale", "5", cwd=mini)
    assert (said.returncode, said.stdout.strip()) == (0, "every fact holds")
    said = grade_py("verify", "task01", "--only", "no_byas", cwd=mini)
    assert (said.returncode, said.stdout.strip()) == (1, "task01_scale: no case has 'no_byas' in its name")


def test_machine_made_mutants_are_graded() -> None:
    done = grade_py("verify", "task01", "--mutate", cwd=MINI)
    assert "killed" in done.stdout
    assert "x * factor" not in done.stdout.replace("survives", "")
