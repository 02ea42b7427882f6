"""By the real command: a batch that stops before it grades, its plan, and what people decide afterwards."""

import csv
import io

import pytest
from support import MINI, copy_of_mini, grade_py

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
WRONG = SOLUTION.replace("x * factor", "x + factor")
LEVEL = ("--isolation", "standard", "--timeout-scale", "4")
pytestmark = pytest.mark.timeout(900)  # a busy machine


@pytest.fixture
def course(tmp_path):
    made = copy_of_mini(tmp_path)
    settings = made / "course.yaml"
    settings.write_text(settings.read_text() + "homeworks: {hw1: [task01]}\n")
    return made


def write(folder, files):
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def marks(out, task="task01_scale"):
    text = (out / "grades.csv").read_text(encoding="utf-8-sig")
    return {line["id"]: line[task] for line in csv.DictReader(io.StringIO(text))}


def run(course, *arguments, code=0):
    done = grade_py(*arguments, cwd=course, timeout=600)
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_a_class_in_doubt_is_shown_and_not_graded(course, tmp_path):
    """The plan writes nothing; a batch stops with the table, the reason and the remedy; a folder without hand-ins is
    a sentence."""
    subs, out, roster = tmp_path / "subs", tmp_path / "out", tmp_path / "roster.csv"
    write(subs, {"ann/task01.py": SOLUTION, "noise/task01.py": WRONG, "README.txt": "x"})
    roster.write_text("id,name\nann,Ann Lee\nbob,Bob\n")
    arguments = ("batch", subs, "--out", out, "--roster", roster, "--task", "task01", *LEVEL)
    text = run(course, *arguments, "--plan")
    assert [line.split()[:4] for line in text.splitlines()[:2]] == [
        ["file", "person", "task"],
        ["ann/task01.py", "Ann", "Lee", "(ann)"],
    ]
    assert "in doubt: not on the list: 'noise'; add them to --roster" in text
    assert not out.exists()
    text = run(course, *arguments, code=2)
    assert "noise/task01.py" in text
    assert "nothing is graded yet: mend what is named above, or go on as it is with --yes" in text
    assert not out.exists()
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "a.md").write_text("# hello")
    text = run(course, "batch", tmp_path / "guide", "--out", out, code=2)
    assert "nothing is handed in here: none of the 1 files fits a task of the course" in text
    assert not out.exists()


def test_people_and_files_are_mended_and_stay_mended(course, tmp_path):
    """One small class through all of it; every decision holds in the next batch, and after a roster came."""
    subs, out = tmp_path / "subs", tmp_path / "out"
    write(subs, {
        "ann/task01.py": WRONG, "annlee/task01.py": SOLUTION, "bob/homework.rar": "Rar!", "cyd/notes.txt": SOLUTION,
        "dan/task02_train.py": "x = 1",
    })  # fmt: skip
    batch = ("batch", subs, "--out", out, *LEVEL)
    text = run(course, *batch, "--homework", "hw1")
    assert "unreadable: bob task01_scale: " in text
    assert marks(out)["annlee"] == "8"
    assert "dan" not in text
    for name in ("bob", "cyd"):
        feedback = (out / "students" / name / "feedback.md").read_text().replace("\\", "")
        assert f"Came: {name}/" in feedback
    assert "Graded: ann/task01.py." in (out / "students" / "ann" / "feedback.md").read_text().replace("\\", "")
    report = (out / "report.html").read_text()
    assert "<b>2</b> Something came that cannot be read" in report
    assert "<b>1</b> Nothing came" in report
    assert "bob/homework.rar" in report
    assert '<td class="heat hunreadable"' in report
    assert '<td class="heat hmissing"' in report

    assert "is it cyd/notes.txt" in run(course, "assign", "cyd/note.txt", "cyd", "task01", "--out", out, code=2)
    text = run(course, "assign", "cyd/notes.txt", "cyd", "task01", "--out", out, *LEVEL)
    assert "0 graded now" in text  # the same text was graded for another student
    assert marks(out)["cyd"] == "8"
    run(course, "merge", "annlee", "ann", "--out", out)
    run(course, "rename", "bob", "b1", "--name", "Bob Stone", "--out", out)
    run(course, "override", "b1", "task01", "5", "--why", "on paper", "--out", out)
    run(course, "override", "Bob Stone", "task01", "6", "--why", "on paper", "--out", out)
    run(course, "remove", "dan", "--out", out)
    assert sorted(folder.name for folder in (out / "students").iterdir()) == ["ann", "b1", "cyd"]
    run(course, *batch)  # the tasks of the last time
    assert set(marks(out)) == {"ann", "b1", "cyd"}
    assert marks(out)["b1"] == "6"

    roster = tmp_path / "roster.csv"
    roster.write_text("id,name,email\n4711,Ann Lee,ann@x\n4712,Bob Stone,b1@x\n4713,Cyd,cyd@x\n4714,Eve,eve@x\n")
    text = run(course, *batch, "--roster", roster)
    assert "b1 is 4712 now; decisions follow" in text
    assert marks(out) == {"4711": "8", "4712": "6", "4713": "8", "4714": "0"}
    (subs / "cyd").rename(subs / "late")
    text = run(course, *batch, "--task", "all", "--yes")
    assert "task02_train" in (out / "grades.csv").read_text(encoding="utf-8-sig")
    assert "course.yaml names no homework 'hw9'; there are: hw1" in run(course, *batch, "--homework", "hw9", code=2)
    said = run(course, *batch, "--yes", "--fresh", "--timeout-scale", "0", code=2)  # before anything is graded
    assert "--timeout-scale is a number above 0, not 0" in said
    with (course / "course.yaml").open("a") as file:
        file.write("homeworks: {hw1: [task77]}\n")
    assert "course.yaml, in the homework hw1: there is no task 'task77'" in run(
        course, *batch, "--homework", "hw1", code=2
    )
