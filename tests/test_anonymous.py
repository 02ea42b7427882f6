"""Anonymous marking: a class is read, graded, marked by hand and compared under pseudonyms; the exports know the names."""

import csv
import io
import re
import zipfile

import pytest
from handin_support import write
from support import MINI, copy_of_mini, grade_py

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.classes.anonymous import hidden, masked, pseudonyms, set_anonymous
from torchgrade.classes.standing import standing
from torchgrade.course import Course
from torchgrade.marks import Student, TaskInfo

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_bytes()
SECRET = ("Lee", "Ann", "Stone", "Bob", "Cyd", "Poe", "ann1", "bob2", "cyd3", "@x.edu", "Participant", "The Owls")
NAMED = re.compile(r"(moodle.*|gradescope\.zip|canvas\.csv|gradebook\.sqlite.*)")
PSEUDONYM = r"S-[2-9A-Z]{6}"
ROSTER = """Identifier,Full name,ID number,Email address,team
Participant 71,Ann Lee,ann1,ann1@x.edu,The Owls
Participant 72,Bob Stone,bob2,bob2@x.edu,
Participant 73,Cyd Poe,cyd3,cyd3@x.edu,The Owls
"""


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A class after an anonymous batch: (course, results, what was printed)."""
    folder = tmp_path_factory.mktemp("anonymous")
    course = copy_of_mini(folder)
    write(folder / "subs", {
        "Ann Lee_71_assignsubmission_file_/task01_ann1.py": SOLUTION,
        "Bob Stone_72_assignsubmission_file_/Bob Stone.docx": b"PK", "Bob Stone_72_assignsubmission_file_/notes.pdf": b"%PDF",
    })  # fmt: skip
    (folder / "roster.csv").write_text(ROSTER)
    done = grade_py("batch", folder / "subs", "--roster", folder / "roster.csv", "--task", "task01", "--anonymous", "--out",
                    folder / "out", "--isolation", "standard", "--timeout-scale", "4", cwd=course, timeout=600)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return course, folder / "out", done.stdout


def run(course, *arguments):
    done = grade_py(*arguments, cwd=course, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def grades(out):
    text = (out / "grades.csv").read_text(encoding="utf-8-sig")
    return {line["id"]: line for line in csv.DictReader(io.StringIO(text))}


def text_of(path):
    if path.suffix != ".xlsx":
        return path.read_text()
    with zipfile.ZipFile(path) as book:
        return "".join(book.read(name).decode() for name in book.namelist())


def assert_nobody_is_named(out, *texts):
    files = [path for path in out.rglob("*") if path.is_file() and not NAMED.fullmatch(path.relative_to(out).parts[0])]
    assert {path.name for path in files} >= {"report.html", "checks.csv", "feedback.html", "results.json"}
    told = {str(path): text_of(path) + str(path.relative_to(out)) for path in files}
    for place, text in {**told, **{text[:60]: text for text in texts}}.items():
        for word in SECRET:
            assert not re.search(rf"(?<![A-Za-z]){re.escape(word)}(?![a-z])", text), (place, word)


@pytest.mark.timeout(900)
def test_nobody_is_named_but_in_the_exports(marked):
    """Nor by a file's name, a reason, a team, or what is printed; names are put back where the platform takes them."""
    _, out, printed = marked
    assert_nobody_is_named(out, printed)
    found = grades(out)
    assert len(found) == 3
    assert all(re.fullmatch(PSEUDONYM, key) for key in found)
    assert sorted(line["task01_scale"] for line in found.values()) == ["0", "8", "8"]
    owls = {line["team"] for line in found.values() if line["task01_scale"] == "8"}
    assert len(owls) == 1
    assert re.search(rf"unreadable: {PSEUDONYM} task01_scale: .*{PSEUDONYM}\.docx: a Word document", printed)
    moodle = list(csv.DictReader((out / "moodle.csv").open()))
    assert [(line["ID number"], line["Task 01 " + next(k for k in line if k.startswith("Task 01 "))[8:]]) for line in moodle] == [
        ("ann1", "8"), ("bob2", "0"), ("cyd3", "8"),
    ]  # fmt: skip
    with zipfile.ZipFile(out / "moodle_feedback.zip") as archive:
        page = archive.read("Ann Lee_71_assignsubmission_file_/feedback.html").decode()
    assert "<h1>Ann Lee, team The Owls</h1>" in page
    assert not re.search(PSEUDONYM, page)


@pytest.mark.timeout(900)
def test_a_pseudonym_is_a_name_for_every_command_and_stays(marked):
    """Points by hand, a sheet to mark and the comparison know it; names come back when they are asked for."""
    course, out, _ = marked
    before = grades(out)
    bob = next(key for key, line in before.items() if line["task01_scale"] == "0")
    text = run(course, "override", bob, "task01", "3", "--why", "on paper", "--out", out)
    assert text.startswith(f"{bob} task01_scale: ")
    sheet = run(course, "mark", "--write", out / "marking.csv", "--task", "task01", "--out", out)
    text = run(course, "regrade", "--out", out)
    assert_nobody_is_named(out, text, sheet)
    assert {key: line["task01_scale"] for key, line in grades(out).items()} == {
        **{key: line["task01_scale"] for key, line in before.items()}, bob: "3",
    }  # fmt: skip
    plan = run(course, "mark", "--read", out / "marking.csv", "--plan", "--out", out)
    taken = run(course, "batch", out.parent / "subs", "--roster", out.parent / "roster.csv", "--plan", "--out", out)
    assert_nobody_is_named(out, plan, taken)
    assert re.search(rf"…\.(pdf|docx) +{PSEUDONYM} +task01_scale", taken)
    named = run(
        course, "batch", out.parent / "subs", "--roster", out.parent / "roster.csv", "--plan", "--named", "--out", out
    )
    assert "task01_ann1.py" in named
    left = {
        line["student"]: line["file"] for line in csv.DictReader((out / "unmatched.csv").open(encoding="utf-8-sig"))
    }
    assert re.fullmatch(r"F-[2-9A-Z]{6}\.(docx|pdf)", left[bob])
    text = run(course, "assign", left[bob], bob, "task01", "--isolation", "standard", "--out", out)
    assert f"{left[bob]} is {bob}'s for task01_scale" in text
    assert_nobody_is_named(out, text)
    for path in [out / "marking.csv", *(out / "marking").rglob("*.py")]:
        path.unlink()
    run(course, "regrade", "--named", "--out", out)
    assert set(grades(out)) == {"ann1", "bob2", "cyd3"}
    assert {path.name for path in (out / "students").iterdir()} == {"ann1", "bob2", "cyd3"}
    (out / "similar.csv").write_text("Ann Lee")
    run(course, "regrade", "--anonymous", "--out", out)
    assert set(grades(out)) == set(before)
    assert not (out / "similar.csv").exists()  # of a time with names


def test_a_name_of_two_han_and_the_name_of_the_file_are_hidden_too():
    """Of whoever shares the hand-in, the file may bear another's name."""
    student = Student("s1", "s1", "李雷", "l@x.edu")
    assert hidden("李雷.docx: a Word document", student, "S-1") == "S-1.docx: a Word document"
    text = hidden("Wu & Li (2).docx: a Word document", student, "S-1", "Wu_7_x/Wu & Li (2).docx")
    assert text == "S-1.docx: a Word document"


def test_pseudonyms_are_secret_and_distinct(tmp_path):
    """They come from a secret of the gradebook, not from the key alone; without the switch there are none."""
    seen = []
    for name in ("one", "other"):
        with Gradebook(tmp_path / name / "gradebook.sqlite", writer=True) as book:
            book.set_class([Student(f"s{i}") for i in range(2000)], [TaskInfo("task01_scale", "S", 8.0)])
            assert pseudonyms(book) == {}
            found = standing(book, Course.load(MINI))
            assert masked(found, {}) is found
            set_anonymous(book, True)
            names = pseudonyms(book)
            assert len(set(names.values())) == 2000
            assert pseudonyms(book) == names
            assert {student.key for student in masked(found, names).students} == set(names.values())
            seen.append(names)
    assert not set(seen[0].items()) & set(seen[1].items())
