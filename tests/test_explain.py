"""``explain``, by the real command: what led to a mark, and a replay that reaches the same verdict."""

import json
import re
import shlex

import pytest
from support import MINI, copy_of_mini, grade_py

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
WRONG = SOLUTION.replace("x * factor", "x + factor")
LEVEL = ("--isolation", "standard", "--timeout-scale", "4")
pytestmark = pytest.mark.timeout(900)  # a busy machine


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A class of three: an attempt and a better one, a task with a module of one's own, a notebook; and nobody's."""
    made = copy_of_mini(tmp_path_factory.mktemp("class"))
    cells = [{"cell_type": "code", "source": WRONG, "metadata": {}, "outputs": [], "execution_count": None}]
    files = {
        "ann/attempt_1/task01.py": SOLUTION.replace("x.sum()", "x.mean()"),
        "ann/attempt_2/task01.py": WRONG,
        "bob/task01.py": "from mine import shift\n" + SOLUTION.replace("x * factor", "shift(x, factor)"),
        "bob/mine.py": "def shift(x, factor):\n    return x + factor\n",
        "cyd/task01.ipynb": json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
    }
    for name, text in files.items():
        place = made / "subs" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (made / "roster.csv").write_text("id,name\nann,Ann Lee\nbob,Bob\ncyd,Cyd\ndan,Dan\n")
    run(made, "batch", "subs", "--roster", "roster.csv", "--task", "task01", "--attempt", "all", "--yes", *LEVEL)
    return made


def run(course, *arguments, code=0):
    done = grade_py(*arguments, cwd=course, timeout=600)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def block(text, title):
    """What one check tells up to the path of the file, which differs."""
    found = re.search(rf"^FAIL  {title}.*?(?=\n +look at)", text, re.M | re.S)
    assert found, text
    return found[0]


def test_all_that_led_to_a_mark_is_told(course):
    run(course, "override", "ann", "task01", "5", "--why", "on paper")
    run(course, "override", "ann", "task01", "none", "--why", "paper was lost")
    text = run(course, "explain", "Ann Lee", "task01")
    assert text.splitlines()[0] == "Ann Lee (ann), task01_scale: 4 of 8 points (50 %), failed"
    assert re.search(r"handed in +1\. ann/attempt_1/task01\.py: failed, 7/8\n", text)
    assert re.search(r"handed in +2\. ann/attempt_2/task01\.py: failed, 4/8; counts, for it is the last\n", text)
    assert re.search(r"graded +\d{4}-.*, suite \w{12}, torch \S+, python 3\.\S+, ", text)
    assert re.search(r"seed +\d{30,}\n", text)
    assert re.search(r"decided +\S+ \S+: 5 instead of 4 \(on paper\)\n", text)
    assert re.search(r"decided +\S+ \S+: withdrawn \(paper was lost\)\n", text)
    assert "likely    the factor is added, not multiplied" in text
    assert "waits for scale multiplies every element" in text  # it cost points, too


@pytest.mark.parametrize("student", ["ann", "bob", "cyd"])
def test_the_replay_reaches_the_same_verdict(course, student):
    """A file, a file with a module beside it, a notebook: the same inputs, the same values, the same sentence."""
    told = run(course, "explain", student, "task01")
    command = shlex.split(re.search(r"^again: python grade\.py (.*)$", told, re.M)[1])
    title = "scale multiplies every element"
    assert block(run(course, *command, code=1), title) == block(told, title)


def test_the_reply_tells_a_student_no_more_than_feedback(course):
    run(course, "explain", "ann", "task01")
    reply = (course / "results" / "explained" / "ann" / "task01.md").read_text()
    feedback = (course / "results" / "students" / "ann" / "feedback.md").read_text()
    assert "the factor is added, not multiplied" in reply
    hidden = [line for line in reply.splitlines() if "(hidden)" in line]
    assert hidden
    assert set(hidden) <= set(feedback.splitlines())
    assert "seed" not in reply


def test_without_a_task_the_whole_history_is_a_page(course):
    """Each attempt, each decision, each check that cost points; what a student wrote is text."""
    text = run(course, "explain", "ann")
    assert "handed in" in text
    assert "FAIL" not in text
    page = (course / "results" / "explained" / "ann" / "history.html").read_text()
    assert "Ann Lee (ann): the whole history" in page
    assert "<dt>handed in</dt><dd>1. ann/attempt_1/task01.py: failed, 7/8</dd>" in page
    assert "checks that cost points: 2" in page
    assert "the factor is added, not multiplied" in page
    assert "<script" not in page


def test_a_mark_without_a_grading_and_wrong_calls(course):
    text = run(course, "explain", "dan", "task01")
    assert text.splitlines()[0] == "Dan (dan), task01_scale: 0 of 8 points (0 %), missing"
    assert "again:" not in text
    assert "task02_train is not in the gradebook" in run(course, "explain", "ann", "task02", code=2)
    assert "nobody" in run(course, "explain", "nobody", "task01", code=2)
    assert "there is no gradebook in empty" in run(course, "explain", "ann", "task01", "--out", "empty", code=2)


def test_a_suite_that_changed_since_is_told(course):
    suite = course / "graders" / "task01_scale" / "checks.py"
    suite.write_text(suite.read_text() + "\n# one more line\n")
    assert "the suite is another one by now: a replay may differ" in run(course, "explain", "bob", "task01")
