"""``python grade.py`` grades what has changed, and tells the rest from the record."""

import json

import pytest
from support import MINI, grade_py

from torchgrade.last_run import basis, keep_grades, last_grades
from torchgrade.model import Outcome, Status, TaskGrade

pytestmark = pytest.mark.timeout(600)


def graded(course, *arguments):
    """How many tasks the command told from the record, and its points."""
    done = grade_py(*arguments, cwd=course)
    assert done.returncode in (0, 1), done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("told from the record")]
    points = next(line for line in done.stdout.splitlines() if line.startswith("points"))
    return int(told[0].split(": ")[1].split()[0]) if told else 0, points.split()[1]


def test_only_what_has_changed_is_graded_again(mini):
    solution = (MINI / "solutions" / "task01_scale.py").read_text()
    assert graded(mini) == (0, "0/12")
    assert graded(mini) == (2, "0/12")
    (mini / "exercises" / "task01_scale.py").write_text(solution)
    assert graded(mini) == (1, "8/12")
    suite = mini / "graders" / "task01_scale" / "checks.py"
    suite.write_text(suite.read_text() + "\n# mended\n")
    assert graded(mini, "-q") == (1, "8/12")
    (mini / ".torchgrade" / "last" / "task02_train.json").write_text("{")
    assert graded(mini, "-q") == (1, "8/12")
    assert graded(mini, "--all", "-q") == (0, "8/12")


def grade(status):
    check = Outcome("test_a", "it holds", "values", "cpu", status, 0.0, 1.0)
    return TaskGrade("task01_scale", "Scale", status, 0.0, 1.0, 0.1, "suite", "source", (check,))


def test_what_the_machine_may_have_caused_is_not_kept(tmp_path):
    bases = {"task01_scale": basis({"seed": 7}, "source", "suite")}
    for status in Status:
        keep_grades(tmp_path, bases, [grade(Status.FAILED)])
        keep_grades(tmp_path, bases, [grade(status)])
        kept = last_grades(tmp_path, bases)
        machine = status in (Status.BROKEN, Status.UNAVAILABLE, Status.TIMED_OUT, Status.OUT_OF_MEMORY)
        assert kept == ({} if machine else {"task01_scale": grade(status)})


@pytest.mark.parametrize(
    "facts", [({"seed": 8}, "source", "suite"), ({"seed": 7}, "other", "suite"), ({"seed": 7}, "source", "other")]
)
def test_another_basis_is_another_grade(tmp_path, facts):
    bases = {"task01_scale": basis({"seed": 7}, "source", "suite")}
    keep_grades(tmp_path, bases, [grade(Status.PASSED)])
    assert last_grades(tmp_path, {"task01_scale": basis(*facts)}) == {}
    document = json.loads((tmp_path / ".torchgrade" / "last" / "task01_scale.json").read_text())
    assert document["grade"]["status"] == "passed"
