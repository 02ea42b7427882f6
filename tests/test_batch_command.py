"""The commands for instructors, for real: a class of every kind is graded, continued, overridden and regraded."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import jsonschema
import pytest
from support import MINI, ROOT, SCHEMA, copy_of_mini, grade_py

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.gradebook.ledger import rows

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
STUB = (MINI / "exercises" / "task01_scale.py").read_text()
pytestmark = pytest.mark.timeout(900)  # a busy machine
LEVEL = ("--isolation", "standard", "--yes")


def broken_by(line):
    """The solution with a line of mischief at the beginning of ``total``."""
    return SOLUTION.replace("    return x.sum()", f"    {line}\n    return x.sum()")


def notebook(text):
    cells = [{"cell_type": "code", "source": part, "metadata": {}, "outputs": []} for part in ("%pip list", text)]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


CLASS = {
    "right/task01_scale.py": SOLUTION,
    "twin/Task 1.py": SOLUTION,
    "untouched/task01_scale.py": STUB,
    "wrong/task01_scale.py": SOLUTION.replace("x * factor", "x + factor"),
    "crash/task01_scale.py": broken_by("raise ValueError('=cmd <script> \\x1b[31m')"),
    "hang/task01_scale.py": broken_by("while True: pass"),
    "exit/task01_scale.py": broken_by("import os; os._exit(0)"),
    "greedy/task01_scale.py": broken_by("y = [torch.empty(1 << 26) for _ in range(400)]"),
    "syntax/task01_scale.py": "def scale(x:\n",
    "empty/task01_scale.py": "",
    "nul/task01_scale.py": "\x00\x01",
    "book/work.ipynb": notebook(SOLUTION + "\nprint(scale(torch.ones(1)))"),
    "bookish/task01.ipynb": notebook(SOLUTION.replace("x * factor", "x + factor")),
    "damaged.zip": "PK\x03\x04",
    "lost/readme.md": "hello",
}


def write_class(folder):
    for name, text in CLASS.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        archive.writestr("exercises/task01_scale.py", SOLUTION)
    (folder.parent / "roster.csv").write_text("id,name,email\nright,Right One,r@x\nabsent,Not There,n@x\n")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The class after one batch: (course, results, what the command printed)."""
    folder = tmp_path_factory.mktemp("batch")
    course = copy_of_mini(folder)
    write_class(folder / "class")
    done = grade_py(
        "batch", folder / "class", "--out", folder / "results", "--roster", folder / "roster.csv", "--task", "task01",
        "--timeout-scale", "0.5", "--jobs", "2", *LEVEL, cwd=course, timeout=600,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    return course, folder / "results", done.stdout


def table(results, name="grades.csv"):
    text = (results / name).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def statuses(results):
    with Gradebook(results / "gradebook.sqlite") as book:
        return {row.student: (row.status, row.points) for row in rows(book)}


def test_every_submission_has_one_row_with_a_status(graded):
    _, results, _ = graded
    found = statuses(results)

    assert found["right"] == found["twin"] == found["packed"] == found["book"] == ("passed", 8.0)
    assert found["untouched"] == ("todo", 0.0)
    assert found["wrong"][0] == found["bookish"][0] == "failed"
    assert found["crash"] == ("crashed", 7.0)
    assert found["hang"] == ("timed_out", 7.0)
    assert found["exit"] == ("crashed", 7.0)
    assert found["greedy"] == ("out_of_memory", 7.0)
    assert found["syntax"] == found["empty"] == found["nul"] == ("crashed", 0.0)
    assert found["damaged"] == ("unreadable", 0.0)
    assert found["absent"] == ("missing", 0.0)
    assert found["lost"] == ("unreadable", 0.0)  # readme.md came
    assert len(found) == 17


def test_what_it_said(graded):
    """A plain line for each submission, equal work once, and where everything is."""
    _, results, text = graded
    assert "17 students, 16 hand-ins" in text
    assert sum(line.startswith(tuple("123456789")) and "/" in line.split()[0] for line in text.splitlines()) == 12
    [told] = [line for line in text.splitlines() if line.startswith(f"written to {results}: ")]
    every = {
        place.name + "/" * place.is_dir()
        for place in results.iterdir()
        if not place.name.startswith("gradebook.sqlite")
    }
    assert set(told.rpartition(": ")[2].split(", ")) == every


def test_every_document_is_there_and_valid(graded):
    _, results, _ = graded
    assert [line["id"] for line in table(results)] == sorted(statuses(results))
    for name in ("checks.csv", "canvas.csv", "moodle.csv", "unmatched.csv"):
        assert table(results, name)
    folders = sorted((results / "students").iterdir())
    assert len(folders) == 17
    for folder in folders:
        jsonschema.validate(json.loads((folder / "results.json").read_text()), SCHEMA)
        assert {file.name for file in folder.iterdir()} == {
            "results.json", "mark.json", "gradescope.json", "junit.xml", "feedback.md", "feedback.html",
        }  # fmt: skip
    assert 'href="students/right/feedback.html"' in (results / "report.html").read_text()
    hidden = (results / "students" / "wrong" / "feedback.md").read_text()
    assert "Affine has two parameters" in hidden
    bookish = (results / "students" / "bookish" / "feedback.md").read_text().replace("\\", "")
    assert "task01_scale.py, code cell 2, line 7  scale()" in bookish
    assert "- left out: code cell 1, line 1: a magic or a shell line" in bookish
    written = [file for file in results.rglob("*") if file.is_file() and not file.name.startswith("gradebook")]
    texts = {file: [file.read_bytes()] for file in written if not zipfile.is_zipfile(file)}
    for file in set(written) - texts.keys():  # compressed bytes may be any
        with zipfile.ZipFile(file) as archive:
            texts[file] = [archive.read(name) for name in archive.namelist()]
    assert not [file for file, parts in texts.items() if any(b"\x1b" in part for part in parts)]


def test_the_same_command_grades_nothing_twice_and_sees_what_is_new(graded, tmp_path):
    course, results, _ = graded
    folder = results.parent / "class"
    (folder / "late").mkdir()
    (folder / "late" / "task01_scale.py").write_text(SOLUTION)
    done = grade_py("batch", folder, "--out", results, "--task", "1", *LEVEL, cwd=course)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 graded now" in done.stdout
    assert statuses(results)["late"] == ("passed", 8.0)


def test_an_override_shows_everywhere_and_survives(graded):
    course, results, _ = graded
    done = grade_py("override", "r@x", "task01", "6.5", "--why", "agreed by mail", "--out", results, cwd=course)
    assert done.returncode == 0
    assert "right task01_scale: 6.5 of 8 points, set by hand\n" in done.stdout
    line = next(line for line in table(results) if line["id"] == "right")
    assert (line["task01_scale"], line["overridden"]) == ("6.5", "task01_scale: agreed by mail")
    assert "agreed by mail" in (results / "students" / "right" / "feedback.md").read_text()
    for arguments, sentence in [
        (("nobody", "1", "1"), "nobody in the gradebook is called"), (("right", "1", "9"), "between 0 and 8"),
        (("right", "1", "x"), "a number or"), (("right", "task77", "1"), "there is no task"),
        (("right", "2", "1"), "not in the gradebook"),
    ]:  # fmt: skip
        wrong = grade_py("override", *arguments, "--why", "x", "--out", results, cwd=course)
        assert wrong.returncode == 2
        assert sentence in wrong.stderr
    again = grade_py("override", "right", "1", "none", "--why", "x", "--out", results, cwd=course)
    assert "right task01_scale: 8 of 8 points (100 %)\n" in again.stdout


def test_a_regrade_lists_who_changed_by_which_check(graded, tmp_path):
    """A mended suite changes two checks' points; the file and the words name them; the old verdicts stay as history."""
    course, results, _ = graded
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    mended = tmp_path / "course"
    shutil.copytree(course, mended)
    suite = mended / "graders" / "task01_scale" / "checks.py"
    suite.write_text(suite.read_text().replace("x * 3.0", "x + 3.0", 1).replace("x + 3.0}", "x * 3.0}"))
    done = grade_py("regrade", "--out", copy, "--timeout-scale", "0.5", *LEVEL[:2], cwd=mended, timeout=600)

    assert done.returncode == 0, done.stdout + done.stderr
    changed = table(copy, "changes.csv")
    by_key = {(line["student"], line["check"]): (line["before"], line["after"]) for line in changed}
    assert by_key["right", "test_scale"] == ("passed", "failed")
    assert by_key["wrong", "test_scale"] == ("failed", "passed")
    assert by_key["right", "test_gradient"] == ("passed", "skipped")
    assert "Right One (right) task01_scale test_scale: passed 2 -> failed 0" in done.stdout
    assert not any(line["student"] == "untouched" for line in changed)
    assert grade_py("override", "right", "task01", "none", "--why", "x", "--out", copy, cwd=mended).returncode == 0
    assert (copy / "changes.csv").is_file()  # nothing was graded since
    done = grade_py("regrade", "--out", copy, "--timeout-scale", "0.5", *LEVEL[:2], cwd=mended, timeout=600)
    assert "0 graded now" in done.stdout
    assert not (copy / "changes.csv").exists()
    assert "changes.csv" not in done.stdout
    assert grade_py("regrade", "--out", tmp_path / "nothing", cwd=mended).returncode == 2


def test_our_own_fault_costs_nothing_and_is_named(tmp_path):
    """A suite that cannot be collected: broken rows without points, exit 3, and healed by the next batch."""
    course = copy_of_mini(tmp_path)
    suite = course / "graders" / "task01_scale" / "checks.py"
    good = suite.read_text()
    suite.write_text(good.replace("import torch\n", "import torch\nimport nothing_like_this\n", 1))
    (tmp_path / "class" / "ann").mkdir(parents=True)
    (tmp_path / "class" / "ann" / "task01_scale.py").write_text(SOLUTION)
    command = ("batch", tmp_path / "class", "--out", tmp_path / "out", "--task", "1", *LEVEL)
    done = grade_py(*command, cwd=course)

    assert done.returncode == 3, done.stdout + done.stderr
    assert "our own fault, tried again: ann task01" in done.stdout
    assert "our own fault: ann task01_scale:" in done.stdout
    [line] = table(tmp_path / "out")
    assert (line["task01_scale"], line["percent"], line["open"]) == ("", "", "task01_scale: broken")
    suite.write_text(good)
    assert grade_py(*command, cwd=course).returncode == 0
    assert statuses(tmp_path / "out") == {"ann": ("passed", 8.0)}


@pytest.mark.parametrize(("arguments", "sentence"), [
    (("batch", "nowhere"), "does not exist"), (("batch", ".", "--pattern", "x"), "needs a group"),
    (("batch", ".", "--roster", "no.csv"), "cannot read"), (("batch", ".", "--task", "task99"), "there is no task"),
    (("override", "a", "1", "1", "--why", "x"), "there is no gradebook"),
])  # fmt: skip
def test_wrong_calls_are_told_in_a_sentence(mini, arguments, sentence):
    done = grade_py(*arguments, cwd=mini)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert sentence in done.stderr


def spawn(course, folder, results):
    command = [sys.executable, str(ROOT / "grade.py"), "batch", str(folder), "--out", str(results)]
    command += ["--task", "1", "--timeout-scale", "4", *LEVEL]
    return subprocess.Popen(
        command, cwd=course, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip


def processes_of(course):
    """Command lines of live processes that belong to this course."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(course) in line:
            found.append(line)
    return found


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(("signals", "code"), [
    ((signal.SIGINT,), 130), ((signal.SIGINT, signal.SIGINT), 130), ((signal.SIGKILL,), -9),
])  # fmt: skip
def test_no_process_survives_any_ending_and_the_batch_continues(tmp_path, signals, code):
    """One Ctrl-C finishes what runs, a second stops at once, SIGKILL ends everything below too."""
    course = copy_of_mini(tmp_path)
    for number in range(6):
        place = tmp_path / "class" / f"s{number}" / "task01_scale.py"
        place.parent.mkdir(parents=True)
        place.write_text(broken_by(f"import time; time.sleep(1.5)  # {number}"))
    running = spawn(course, tmp_path / "class", tmp_path / "out")
    assert wait_for(lambda: outcomes(tmp_path / "out") > 1, 240)
    for number in signals:
        running.send_signal(number)
        time.sleep(0.3)
    text, _ = running.communicate(timeout=200)
    assert running.returncode == code, text
    assert "Traceback" not in text
    assert wait_for(lambda: not processes_of(course), 10), processes_of(course)
    with Gradebook(tmp_path / "out" / "gradebook.sqlite") as book:
        done = book.done()
    if signals == (signal.SIGINT,):
        assert "finishing what is running" in text
        assert f"{6 - len(done)} pending" in text
        assert done
    final = spawn(course, tmp_path / "class", tmp_path / "out")
    text, _ = final.communicate(timeout=200)
    assert final.returncode == 0, text
    assert f"{6 - len(done)} graded now" in text
    assert set(statuses(tmp_path / "out").values()) == {("passed", 8.0)}


def outcomes(results):
    place = results / "gradebook.sqlite"
    if not place.exists():
        return 0
    try:
        with Gradebook(place) as book:
            return book.db.execute("SELECT count(*) FROM outcomes").fetchone()[0]
    except Exception:
        return 0
