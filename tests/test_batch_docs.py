"""docs/grading-a-class.md: every command that it shows is run, in its order, on a small class."""

import importlib.util
import re
import shlex
import shutil
import zipfile

import pytest
from support import MINI, ROOT, copy_of_mini, grade_py

PAGE = (ROOT / "docs" / "grading-a-class.md").read_text(encoding="utf-8")
COMMANDS = [line for line in PAGE.splitlines() if line.startswith("python grade.py ")]


def test_the_page_walks_from_download_to_release():
    words = [shlex.split(command)[2] for command in COMMANDS]
    people = ["assign", "rename", "merge", "remove"]
    assert words == [
        "batch",
        "batch",
        "batch",
        "batch",
        *people,
        "batch",
        "explain",
        "override",
        *["mark"] * 4,
        "regrade",
        *["extend"] * 2,
        *["regrade"] * 2,
        "batch",
        "similar",
        "cohorts",
        "cohorts",
        *["release"] * 4,
    ]


@pytest.mark.timeout(900)
def test_every_command_of_the_page_works(tmp_path):
    """In one folder, one after another; the miniature course stands for the real one."""
    course = copy_of_mini(tmp_path)
    solution = (MINI / "solutions" / "task01_scale.py").read_text()
    with zipfile.ZipFile(course / "submissions.zip", "w") as archive:
        archive.writestr("hand-ins/ann/task01_scale.py", solution)
        archive.writestr("hand-ins/bob/task01_scale.py", solution.replace("x * factor", "factor * x"))
        archive.writestr("hand-ins/cyd/task01_scale.py", "")
        archive.writestr("hand-ins/annlee/task01_scale.py", solution)
    (course / "submissions" / "week1").mkdir(parents=True)
    for name in ("ann", "bob", "cyd", "annlee"):
        (course / "submissions" / "week1" / f"{name}.py").write_text(solution)
    (course / "submissions" / "notes.txt").write_text(solution)
    (course / "roster.csv").write_text(
        "id,name,email,section\nann,Ann,a@x,A\nbob,Bob,b@x,B\ncyd,Cyd,c@x,B\nannlee,Ann Lee,d@x,A\ndan,Dan,e@x,B\n"
    )
    people = zip(("Ann", "Bob", "Cyd"), "ABB", strict=True)
    rows = "".join(f"{name},{number},{name},{section},\n" for number, (name, section) in enumerate(people, 101))
    head = "Student,ID,SIS Login ID,Section,Homework 1 (34567)\n    Points Possible,,,,30\n"
    (course / "canvas.csv").write_text(head + rows)
    (course / "teams.csv").write_text("team,student\nA,bob\nA,dan\n")
    settings = course / "course.yaml"
    settings.write_text(settings.read_text() + "homeworks: {hw2: {tasks: [task01], deadline: 2026-03-01}}\n")
    facts = course / "graders" / "task01_scale" / "task.yaml"
    facts.write_text(facts.read_text() + "manual: {explain: {title: A comment says why, points: 2}}\n")
    (course / "extensions.csv").write_text("student,what,until,why\nann,hw2,3 days,ill\n")
    for command in COMMANDS:
        arguments = shlex.split(command.replace("task07", "task01").replace("max_pool_padding", "scale"))[2:]
        if arguments[0] == "similar" and importlib.util.find_spec("copydetect") is None:
            continue
        if arguments[:2] == ["cohorts", "results-2025"]:
            shutil.copytree(course / "results", course / "results-2025")
        if arguments[0] in ("batch", "regrade", "assign"):
            arguments += ["--isolation", "standard"]
        done = grade_py(*arguments, cwd=course)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    written = {place.name for place in (course / "results").iterdir()}
    listed = set(re.findall(r"`([\w.]+\.(?:html|csv|sqlite))`", PAGE.split("Exit codes")[0])) - {"feedback.html"}
    assert listed - {"changes.csv"} <= written
    assert (course / "learners" / "exercises" / "task01_scale.py").is_file()


def test_every_option_that_the_page_names_exists(mini):
    """And every table that the page promises is described by its right name."""
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    known = set()
    for name in (
        "batch",
        "regrade",
        "explain",
        "override",
        "mark",
        "extend",
        "assign",
        "merge",
        "rename",
        "remove",
        "similar",
        "cohorts",
        "release",
    ):
        known |= set(re.findall(r"--[a-z][a-z-]+", grade_py(name, "--help", cwd=mini).stdout))
    assert told <= known
