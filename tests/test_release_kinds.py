"""Editions for other people's machines: GitHub Actions in a student's repository, an autograder on Gradescope."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from handin_support import write
from support import MINI, copy_of_mini, grade_py

from torchgrade.commands import autograde as command
from torchgrade.course import Course
from torchgrade.grading.job import Options
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report import actions

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
WRONG = SOLUTION.replace("x * factor", "x + factor")
pytestmark = pytest.mark.timeout(900)  # a busy machine


# --- GitHub Actions


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actions")
    done = grade_py("release", "--actions", folder / "edition", cwd=copy_of_mini(folder))
    assert done.returncode == 0, done.stderr
    return folder / "edition"


def workflow_of(edition):
    return yaml.load((edition / ".github" / "workflows" / "grade.yml").read_text(), yaml.BaseLoader)  # `on` is a word


def unescaped(text, more=()):
    for code, character in (*more, ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def commands_of(output):
    """Workflow commands as the runner reads them: (name, properties, message)."""
    found = []
    for line in output.splitlines():
        if match := re.fullmatch(r"::(error|warning|notice)(?: ([^:]*))?::(.*)", line):
            pairs = (pair.split("=", 1) for pair in (match[2] or "").split(",") if pair)
            values = {key: unescaped(value, (("%3A", ":"), ("%2C", ","))) for key, value in pairs}
            found.append((match[1], values, unescaped(match[3])))
    return found


def test_the_workflow_is_one_and_says_what_it_is_not(edition):
    workflow = workflow_of(edition)
    assert set(workflow) == {"name", "on", "permissions", "concurrency", "jobs"}
    assert workflow["on"]["push"]["paths"][0] == "exercises/**"
    assert workflow["permissions"] == {"contents": "read"}
    [job] = workflow["jobs"].values()
    assert int(job["timeout-minutes"]) > 0
    assert [step.get("uses", step.get("name")) for step in job["steps"]] == [
        "actions/checkout@v4", "actions/setup-python@v5", "Install", "Grade",
    ]  # fmt: skip
    for name in job["steps"][1]["with"]["cache-dependency-path"].split():
        assert (edition / name).is_file()
    text = " ".join((edition / ".github" / "workflows" / "grade.yml").read_text().replace("#", "").split())
    assert "the final marks come from the instructor's own grading" in text
    assert "the final marks come from your instructor's own grading" in " ".join(
        (edition / "README.md").read_text().split()
    )
    for line in job["steps"][2]["run"].splitlines():  # what it installs is in the edition, or a package
        assert line.startswith("python -m pip install -c constraints.txt ")
    assert (edition / "pyproject.toml").is_file()


@pytest.mark.parametrize(("text", "code"), [(WRONG, 1), (SOLUTION, 0)])
def test_the_step_that_grades_annotates_the_code_and_fails_for_what_is_begun(edition, tmp_path, text, code):
    """Run as the runner runs it; a task that nobody began fails nobody."""
    repository = tmp_path / "repository"
    shutil.copytree(edition, repository)
    (repository / "exercises" / "task01_scale.py").write_text(text)
    [job] = workflow_of(edition)["jobs"].values()
    step = next(step["run"] for step in job["steps"] if step.get("name") == "Grade")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": "",
           "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}  # fmt: skip
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step], cwd=repository, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stdout + done.stderr
    told = commands_of(done.stdout)
    errors = [values for kind, values, _ in told if kind == "error"]
    assert bool(errors) == bool(code)
    for values in errors:
        lines = (repository / values["file"]).read_text().splitlines()
        assert "def " in lines[int(values["line"]) - 1]
    [(_, _, notice)] = [entry for entry in told if entry[0] == "notice"]
    assert (
        "points of the public checks. This is feedback: the final marks come from the instructor's own grading"
        in notice
    )
    summary = (tmp_path / "summary.md").read_text()
    assert "| task02 " in summary
    assert ("FAIL" in summary) == bool(code)


def made(checks=40, output="", message="off by 1%, 2:3\nsee"):
    outcomes = tuple(
        Outcome(f"test_{i}", f"check {i}, a: b", "values", "cpu", Status.FAILED, 0.0, float(i), message=message,
                where="exercises/task01_x.py:3  f()", output=output) for i in range(checks)
    )  # fmt: skip
    grade = TaskGrade("task01_x", "X", Status.FAILED, 0.0, 780.0, 1.0, "", "", outcomes)
    return Result("A <course>", "1", "2", 0, "exercises", ("cpu",), (grade,))


def test_no_more_annotations_than_github_keeps_the_most_expensive_first():
    told = commands_of("\n".join(actions.annotated(made())))
    assert [kind for kind, _, _ in told] == ["error"] * 10 + ["notice"]
    assert [values["title"] for _, values, _ in told[:2]] == ["task01: check 39, a: b", "task01: check 38, a: b"]
    assert told[0][1]["file"] == "exercises/task01_x.py"
    assert "off by 1%, 2:3\nsee" in told[0][2]
    assert "30 more things are wrong" in told[-1][2]


def test_a_summary_stays_below_what_github_refuses():
    """Also where every check prints a lot; what is cut is said."""
    text = actions.summary(made(400, "中文 " * 2000))
    assert len(text.encode()) < 1 << 20
    assert text.endswith("The rest is cut: GitHub shows no more.\n")
    assert "cut" not in actions.summary(made(3))


def test_a_folder_of_such_clones_is_read_by_the_exercises_in_them(edition, tmp_path):
    """As downloaded, without .git; stubs, suites and the engine in them are nobody's hand-in."""
    for who in ("ann", "bob"):
        shutil.copytree(edition, tmp_path / "clones" / f"hw1-{who}")
        (tmp_path / "clones" / f"hw1-{who}" / "exercises" / "task01_scale.py").write_text(SOLUTION + f"# {who}\n")
    done = grade_py("batch", tmp_path / "clones", "--task", "task01", "--plan", cwd=copy_of_mini(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.endswith("task01_scale")]
    assert lines == [[f"hw1-{who}/exercises/task01_scale.py", who, "task01_scale"] for who in ("ann", "bob")]
    assert "clones: 2 students, 2 hand-ins" in done.stdout
    assert "in doubt" not in done.stdout


# --- Gradescope


KEYS = {
    "score", "execution_time", "output", "output_format", "test_output_format", "test_name_format", "visibility",
    "stdout_visibility", "extra_data", "tests", "leaderboard",
}  # fmt: skip
TEST_KEYS = {
    "score", "max_score", "status", "name", "name_format", "number", "output", "output_format", "tags", "visibility",
    "extra_data",
}  # fmt: skip


def results(root):
    """``results.json`` as Gradescope's documentation describes it; the score, the sentence above and the tests."""
    document = json.loads((root / "results" / "results.json").read_text())
    assert set(document) <= KEYS
    for test in document.get("tests", []):
        assert set(test) <= TEST_KEYS
        assert test.get("status") in ("passed", "failed", None)
        assert 0 <= test.get("score", 0) <= test["max_score"]
    assert document.get("stdout_visibility") == "hidden"
    return document.get("score"), document["output"], document.get("tests", [])


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """The tree in which Gradescope unpacks the zip."""
    folder = tmp_path_factory.mktemp("gradescope")
    done = grade_py("release", "--gradescope", folder / "made", "--task", "task01", cwd=copy_of_mini(folder))
    assert done.returncode == 0, done.stderr
    assert "1 tasks with their hidden checks and solutions; for Gradescope alone" in done.stdout
    root = folder / "autograder"
    with zipfile.ZipFile(folder / "made" / "autograder.zip") as archive:
        for name in ("setup.sh", "run_autograder"):
            info = archive.getinfo(name)
            assert info.external_attr >> 16 & 0o111
            text = archive.read(name)
            assert text.startswith(b"#!/usr/bin/env bash\n")
            assert b"\r" not in text
        archive.extractall(root / "source")
    for name in ("setup.sh", "run_autograder"):
        assert subprocess.run(["bash", "-n", root / "source" / name], check=False).returncode == 0
    assert (root / "source" / "course" / "pyproject.toml").is_file()  # which setup.sh installs
    assert not list(root.rglob("mutants.yaml"))
    return root


def run_autograder(root, files, python=sys.executable):
    for name in ("submission", "results"):
        shutil.rmtree(root / name, ignore_errors=True)
    write(root / "submission", files)
    env = {**os.environ, "AUTOGRADER": str(root), "PYTHON": python, "PYTHONPATH": ""}
    return subprocess.run(
        ["bash", root / "source" / "run_autograder"], cwd=root, env=env, capture_output=True, text=True, timeout=600
    )


def test_it_grades_there_with_the_same_suites(autograder):
    """Hidden checks included, and told with care; the isolation is printed for instructors."""
    done = run_autograder(autograder, {"task01.py": SOLUTION.encode()})
    assert done.returncode == 0, done.stdout + done.stderr
    score, output, tests = results(autograder)
    assert (score, output) == (8.0, "")
    assert sum(test["score"] for test in tests) == 8.0
    assert re.search(r"task01_scale: passed, 8/8, isolation \S+", done.stdout)
    run_autograder(autograder, {"hw/My task 1.py": WRONG.encode(), "README.md": b"x"})
    score, _, tests = results(autograder)
    assert 0 < score < 8
    assert {test["status"] for test in tests} == {"passed", "failed"}
    public = (MINI / "graders" / "task01_scale" / "checks.py").read_text()
    assert len(tests) == public.count("@check(")


def test_what_is_no_submission_gets_a_verdict_with_its_reason(autograder):
    done = run_autograder(autograder, {"homework.docx": b"PK"})
    assert done.returncode == 0, done.stderr
    score, _, [test] = results(autograder)
    assert score == 0
    told = " ".join(test["output"].split())
    assert told.startswith(
        "the submission holds nothing that can be graded: a Word document cannot be graded; hand in a .py"
    )


def test_a_grader_that_cannot_begin_leaves_a_sentence(autograder):
    """No results.json at all would be `the autograder failed to execute`, without a reason."""
    assert run_autograder(autograder, {"task01.py": b""}, python="false").returncode == 1
    score, output, tests = results(autograder)
    assert (score, tests) == (0, [])
    assert "stopped before it began: this is not your fault" in output


def test_a_grading_that_is_stopped_keeps_what_is_known(tmp_path):
    """What is written after each task: its checks, and how many tasks are missing."""
    text = command._so_far(Course.load(MINI), Options(), made(3).tasks, 4)
    command._write(tmp_path, text)
    _, output, tests = results(tmp_path)
    assert (
        "stopped after 1 of 4 tasks, by the platform's limit of time or memory: the points are not complete" in output
    )
    assert len(tests) == 3


def test_what_does_not_fit_an_edition_is_a_sentence(tmp_path):
    course = copy_of_mini(tmp_path)
    done = grade_py("release", tmp_path / "x", "--task", "task01", cwd=course)
    assert (done.returncode, (tmp_path / "x").exists()) == (2, False)
    assert "an edition holds all tasks; --task and --homework are for --gradescope" in done.stderr
