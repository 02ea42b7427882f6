"""What a learner's edition keeps back, for each task of the course, and how the rule finds what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from torchgrade.course import Course
from torchgrade.course_tools.hidden import functions, gaps, unproven_secrets
from torchgrade.course_tools.public_suite import public_probes, public_text

TASKS = Course.load(ROOT).tasks
CHECKS = """from torchgrade.authoring import check, expect


@check("scale works", points=1, category="values")
def test_scale(submission):
    expect.equal(submission.scale(1), 2)


@check("total works", points=1, category="values"{hidden})
def test_total(submission):
    expect.equal(submission.total(1), 2)


@check("waits", points=1, category="values", after=test_total{waits})
def test_waits(submission):
    expect.equal(submission.total(2), 2)
"""


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.stem)
def test_a_third_is_kept_back_and_every_gap_is_covered_by_what_is_shown(task) -> None:
    assert list(unproven_secrets(task)) == []


def test_what_is_shown_lacks_nothing_that_it_names(tmp_path: Path) -> None:
    """A name that went with the hidden checks would be our fault on a learner's machine."""
    for task in TASKS:
        suite, _hidden = public_text(task.suite.read_text(encoding="utf-8"), task.stem)
        (tmp_path / f"{task.stem}.py").write_text(suite, encoding="utf-8")
        if task.probes.is_file():
            probes = task.probes.read_text(encoding="utf-8")
            (tmp_path / f"{task.stem}_probes.py").write_text(public_probes(probes, suite), encoding="utf-8")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_helpers_go_with_the_hidden_checks_and_only_then() -> None:
    suite = """from torchgrade.authoring import check

SECRET = ["a"]
SECRET += ["b"]


def wave(x):
    return x


@check("shown", points=1, category="values")
def test_shown(submission):
    submission.probes.size(wave.__name__)


@check("kept back", points=1, category="values", hidden=True)
def test_kept_back(submission):
    submission.probes.secret(SECRET, submission.probes.size)
"""
    probes = """import gc


def size(size):
    return size


def wave(x):
    return wave(x)


def secret(x, y):
    return gc, size, again(x)


def again(x):
    return again(x)
"""
    public, count = public_text(suite, "checks.py")
    assert (count, "SECRET" in public, "def wave" in public) == (1, False, True)
    shown = public_probes(probes, public)
    assert [name for name in ("gc", "size", "wave", "secret", "again") if name in shown] == ["size", "wave"]


@pytest.mark.parametrize(
    ("hidden", "waits", "said"),
    [
        ("", "", ["0 of 3 checks are hidden; at least 1 have to be"]),
        ("", ", hidden=True", []),
        (", hidden=True", ", hidden=True", ["no mutant of total() fails a check that a learner has"]),
        (", hidden=True", "", ["checks.py:15 is public, and uses the hidden check", "no mutant of total() fails"]),
    ],
)
def test_what_is_missing_is_named(mini: Path, hidden: str, waits: str, said: list[str]) -> None:
    task = Course.load(mini).find("task01")
    task.suite.write_text(CHECKS.format(hidden=hidden, waits=waits))
    for path, text in (
        (task.solution, "def scale(x):\n    {0}return 2 * x\n\n\ndef total(x):\n    {0}return x + 1\n"),
        (task.folder / "mutants.yaml", "a: {{mistake: m, replace: [[2 * x, 3 * x]], fails: [test_scale]}}\n"
         "b: {{mistake: m, replace: [[x + 1, x + 2]], fails: [test_total]}}\n"),
    ):  # fmt: skip
        path.write_text(text.format("# BEGIN SOLUTION\n    ").replace("\n\n\ndef", "\n    # END SOLUTION\n\n\ndef"))
    task.solution.write_text(task.solution.read_text() + "    # END SOLUTION\n")
    found = list(unproven_secrets(task))
    assert len(found) == len(said), found
    assert all(words in line for words, line in zip(said, found, strict=True)), found


def test_methods_count_and_the_last_definition_does() -> None:
    text = "class A:\n    def f(self):\n        raise NotImplementedError\n\n\ndef g():\n    return 1\n\n\ndef g():\n    return 2\n"
    assert functions(text)["g"].endswith("return 2")
    assert gaps(text) == ["A.f"]
