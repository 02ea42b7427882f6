"""A class of sixty from each platform's own export and back into it: what is uploaded is read by readers of our own
making that hold to what the platforms' importers say and do."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from handin_support import Direct, write
from support import MINI, copy_of_mini, grade_py

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.intake.roster_file import parse_roster, read_exported, read_roster
from torchgrade.batch.run import Submissions, take_in, task_plans
from torchgrade.classes.publish import publish
from torchgrade.course import Course
from torchgrade.errors import UsageError
from torchgrade.marks import Student, TaskInfo
from torchgrade.platform_sheet import Sheet, columns_for, grade_places
from torchgrade.report.platforms import moodle_folder

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_bytes()
SIZE = 60
PEOPLE = [(f"First{i}", f"Last{i}", f"u{i:03d}", 1000 + i) for i in range(SIZE)]  # first, last, login, number
PEOPLE[3] = ("Ann_Lou", "O'Neil, Jr.", "u003", 1003)
PEOPLE[4] = ("=cmd|x", "@Evil", "u004", 1004)
OPEN, MISSING = 5, 6  # who has no verdict, and who handed in nothing


def given(i):
    """Points of 8."""
    return float(i % 9)


def graded(tmp_path, files, roster, columns=()):
    """The folder of results of a class whose points were set by hand; ``roster`` is a file's name and text."""
    course = Course.load(MINI)
    tmp_path.mkdir(exist_ok=True)
    place = tmp_path / roster[0]
    place.write_bytes(roster[1] if isinstance(roster[1], bytes) else roster[1].encode())
    out = tmp_path / "results"
    asked = [course.find("task01")]
    with Gradebook(out / "gradebook.sqlite", writer=True) as book:
        subs = Submissions(write(tmp_path / "subs", files), course, asked, Direct, read_roster(place))
        intake, _ = take_in(book, subs)
        assert intake.doubts == []
        sheet = read_exported(place)
        columns_for(sheet, columns, [plan.info for plan in task_plans(asked).values()])
        book.set_setting("sheet", sheet.kept() if sheet else "")
        book.set_setting("columns", json.dumps(list(columns)))
        numbers = {student.key: place for place, student in enumerate(read_roster(place))}
        for key, i in numbers.items():
            if i < SIZE and i not in (OPEN, MISSING):
                book.override(key, "task01_scale", given(i), why="w", who="prof", before=None)
        publish(book, course, out)
    return out


# --- Canvas


class Canvas:
    """Canvas' importer, by its documented rules: the columns for people, ids of assignments, blanks that erase."""

    def __init__(self, text, assignments, scores):
        lines = list(csv.reader(io.StringIO(text, newline="")))
        head = lines[0]
        assert len(head) > 3
        assert "Student" in head[0]
        assert "ID" in head[1]
        first = 2
        for name in ("SIS User ID", "SIS Login ID", "Integration ID", "Root Account"):
            first += head[first] == name
        assert "Section" in head[first]
        self.made, self.scores, self.unknown = [], {key: dict(value) for key, value in scores.items()}, []
        columns = {}
        for place in range(first + 1, len(head)):
            assert not re.search(r"(Current|Final) (Score|Points|Grade)|Override", head[place])
            found = re.fullmatch(r"(.*)\s\((\d+)\)", head[place])
            if found and int(found[2]) in assignments:
                columns[place] = int(found[2])
            else:
                columns[place] = head[place]
                self.made.append(head[place])
        self.points = {}
        for line in lines[1:]:
            if "Points Possible" in line[0]:
                self.points = {columns[place]: float(line[place]) for place in columns}
                continue
            if line[1] not in scores:
                self.unknown.append(line[0])
                continue
            for place, column in columns.items():
                if line[place].strip() in ("", "-"):
                    self.scores[line[1]].pop(column, None)
                else:
                    self.scores[line[1]][column] = float(line[place])


def canvas_class():
    files = {f"{last.lower()}{first.lower()}_{number}_9{number}_task01.py": SOLUTION + b"#%d" % number
             for i, (first, last, _, number) in enumerate(PEOPLE) if i != MISSING}  # fmt: skip
    lines = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Homework 1 (34567)", "Essay (34568)", "Assignments Current Score"],
             ["", "", "", "", "", "Manual Posting", "", "(read only)"],
             ["    Points Possible", "", "", "", "", "30.00", "10.00", "(read only)"]]  # fmt: skip
    lines += [[f"{last}, {first}", str(number), f"s{number}", login, "Lab A", "12.50" if i in (OPEN, MISSING) else "", "7.00", "55"]
              for i, (first, last, login, number) in enumerate(PEOPLE)]  # fmt: skip
    lines.append(["Student, Test", "9999", "", "a1b2c3", "Lab A", "", "", ""])
    target = io.StringIO()
    csv.writer(target).writerows(lines)
    return files, target.getvalue()


@pytest.mark.parametrize("asked", ["Homework 1 (34567)", "Homework 1", "34567", "task01=Homework 1 (34567)"])
def test_canvas_gets_its_own_column_back_with_the_total_in_it(tmp_path, asked):
    """Ids and points of the export are kept; nobody's other mark is touched, and who has no verdict keeps the old one."""
    files, text = canvas_class()
    out = graded(tmp_path, files, ("canvas export.csv", text), [asked])
    before = {str(number): {34567: 12.5} if i in (OPEN, MISSING) else {} for i, (*_, number) in enumerate(PEOPLE)}
    done = Canvas(
        (out / "canvas.csv").read_text(), {34567, 34568}, {key: {**marks, 34568: 7.0} for key, marks in before.items()}
    )
    assert (done.made, done.unknown, done.points) == ([], [], {34567: 30.0})
    for i, (*_, number) in enumerate(PEOPLE):
        wanted = 12.5 if i == OPEN else 0.0 if i == MISSING else round(given(i) / 8 * 30, 2)
        assert done.scores[str(number)] == {34567: wanted, 34568: 7.0}, i


def test_canvas_columns_of_tasks_keep_their_ids_without_being_asked(tmp_path):
    files, text = canvas_class()
    out = graded(tmp_path, files, ("r.csv", text.replace("Homework 1 (34567)", "Task 01 scaling (34567)")))
    done = Canvas((out / "canvas.csv").read_text(), {34567}, {str(number): {} for *_, number in PEOPLE})
    assert (done.made, done.points) == ([], {34567: 30.0})
    assert done.scores["1008"] == {34567: 30.0}
    out = graded(tmp_path / "new", files, ("r.csv", text))
    done = Canvas((out / "canvas.csv").read_text(), {34567}, {str(number): {} for *_, number in PEOPLE})
    assert len(done.made) == 1  # an assignment of our own, for no column names the task
    assert done.made[0].startswith("Task 01 ")


@pytest.mark.parametrize(("asked", "sentence"), [
    ("Homwork 1", "has no column 'Homwork 1'; is it 'Homework 1 (34567)'?"), ("99", "has no column '99'"),
    ("Assignments Current Score", "fills 'Assignments Current Score' itself"),
])  # fmt: skip
def test_a_column_that_canvas_lacks_or_fills_itself_is_a_sentence(asked, sentence):
    sheet = Sheet.of(list(csv.reader(io.StringIO(canvas_class()[1]))))
    with pytest.raises(UsageError) as raised:
        columns_for(sheet, [asked], [TaskInfo("task01_scale", "S", 8.0)])
    assert sentence in str(raised.value)


# --- Moodle


class Moodle:
    """The offline grading worksheet's importer and that of a zip of feedback files, by Moodle's source."""

    def __init__(self, grades, most, words):
        self.grades, self.most, self.words = dict(grades), most, words

    def worksheet(self, text):
        lines = list(csv.reader(io.StringIO(text, newline="")))
        head = lines[0]
        identifier, grade, modified = (head.index(word) for word in self.words)
        for line in lines[1:]:
            assert len(line) == len(head)
            number = int(re.sub(r"^\D+", "", line[identifier]))
            assert line[modified] == "-"
            if line[grade].strip() and 0 <= float(line[grade]) <= self.most:
                self.grades[number] = float(line[grade])

    def feedback(self, data):
        """Participant number -> pages."""
        found = {}
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                *folders, file = name.split("/")
                parts = [folder.split("_", 4) for folder in folders]
                [place] = [part for part in parts if len(part) == 5]
                assert place[1].isdigit()
                assert (place[2], place[3]) == ("assignsubmission", "file")
                assert not file.startswith((".", "~"))
                assert not any(folder.startswith((".", "~")) for folder in folders)
                found[int(place[1])] = archive.read(name).decode()
        return found


HEADS = {
    "English": ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Grade can be changed",
                "Last modified (submission)", "Last modified (grade)", "Feedback comments"],
    "German": ["ID", "Vollständiger Name", "E-Mail-Adresse", "Status", "Bewertung", "Bestwertung",
               "Bewertung kann geändert werden", "Zuletzt geändert (Abgabe)", "Zuletzt geändert (Bewertung)", "Feedback als Kommentar"],
}  # fmt: skip
WORDS = {
    "English": ("Identifier", "Grade", "Last modified (grade)"),
    "German": ("ID", "Bewertung", "Zuletzt geändert (Bewertung)"),
}
COMMENT = "<p>kept,\nas it is</p>"


def moodle_class(language):
    word = {"English": "Participant ", "German": "Teilnehmer/in"}[language]
    files = {f"{first} {last}_{number}_assignsubmission_file_/task01.py": SOLUTION + b"#%d" % number
             for i, (first, last, _, number) in enumerate(PEOPLE) if i not in (3, MISSING)}  # fmt: skip
    files["Ann-Lou O'Neil, Jr._1003_assignsubmission_file_/task01.py"] = SOLUTION
    lines = [[f"{word}{number}", f"{first} {last}", f"{login}@x", "Submitted", "12.50" if i == OPEN else "", "20.00", "Yes", "Monday", "-", COMMENT]
             for i, (first, last, login, number) in enumerate(PEOPLE)]  # fmt: skip
    target = io.StringIO()
    csv.writer(target, lineterminator="\n").writerows([HEADS[language], *lines])
    return files, "\ufeff" + target.getvalue()


@pytest.mark.parametrize("language", HEADS)
def test_moodle_gets_its_worksheet_and_a_zip_of_feedback_files(tmp_path, language):
    """Whatever the language of the site: the grade is set, all else is as it was downloaded."""
    files, text = moodle_class(language)
    out = graded(tmp_path, files, ("Grades.csv", text))
    moodle = Moodle({1000 + OPEN: 12.5}, 20.0, WORDS[language])
    sheet = (out / "moodle_worksheet.csv").read_text()
    moodle.worksheet(sheet)
    assert moodle.grades == {number: 12.5 if i == OPEN else 0.0 if i == MISSING else round(given(i) / 8 * 20, 2)
                             for i, (*_, number) in enumerate(PEOPLE)}  # fmt: skip
    old, new = (list(csv.reader(io.StringIO(one))) for one in (text.removeprefix("\ufeff"), sheet))
    untouched = [0, *range(2, 4), *range(5, 10)]  # all but the grade; a name that is a formula is shown as text
    assert [[line[i] for i in untouched] for line in new] == [[line[i] for i in untouched] for line in old]
    assert {line[-1] for line in new[1:]} == {COMMENT}
    pages = moodle.feedback((out / "moodle_feedback.zip").read_bytes())
    assert set(pages) == {number for *_, number in PEOPLE}
    assert "First9 Last9" in pages[1009]
    assert "First8 Last8" not in pages[1009]


def test_a_worksheet_is_told_by_its_shape():
    table = list(csv.reader(io.StringIO(moodle_class("German")[1])))
    assert grade_places(table) == (4, 5)
    assert (
        grade_places(
            [
                table[0],
                *(
                    [*line[:5], "20", *line[6:]] if i else [*line[:5], "30", *line[6:]]
                    for i, line in enumerate(table[1:])
                ),
            ]
        )
        is None
    )
    assert Sheet.of([["id", "name"], ["s001", "Ann"]]) is None
    assert Sheet.of([]) is None


def test_namesakes_without_an_address_are_told_apart_by_moodles_number():
    head = ",".join(HEADS["English"][:2] + HEADS["English"][3:])
    text = f"{head}\n" + "".join(f"Participant {n},Wei Wang,Submitted,,20,Yes,-,-,\n" for n in (71, 72))
    assert [student.ids["identifier"] for student in parse_roster(text, "r")] == ["Participant 71", "Participant 72"]


# --- Blackboard and ILIAS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_blackboard_gets_its_column_by_number_every_cell_in_quotes(tmp_path, encoding):
    """The key is the user name; a heading without its number would become a column of text."""
    files = {
        f"HW1_{login}_attempt_2026-03-01-10-00-00_task01.py": SOLUTION
        for i, (*_, login, _) in enumerate(PEOPLE)
        if i != MISSING
    }
    column = "HW 1 [Total Pts: 40 Score] |12345"
    target = io.StringIO()
    writer = csv.writer(target, delimiter="\t" if encoding == "utf-16" else ",", quoting=csv.QUOTE_ALL)
    writer.writerow(
        [
            "Last Name",
            "First Name",
            "Username",
            "Student ID",
            "Last Access",
            "Availability",
            column,
            "Total [Total Pts: 90 Score] |777",
        ]
    )
    writer.writerows(
        [last, first, login, str(number), "", "Yes", "9.00" if i == OPEN else "", "3"]
        for i, (first, last, login, number) in enumerate(PEOPLE)
    )
    out = graded(
        tmp_path, files, ("gc.xls" if encoding == "utf-16" else "gc.csv", target.getvalue().encode(encoding)), ["HW 1"]
    )
    text = (out / "blackboard.csv").read_text()
    assert all(re.fullmatch(r'"[^"]*"(,"[^"]*")*', line) for line in text.splitlines())
    lines = list(csv.DictReader(io.StringIO(text)))
    assert list(lines[0]) == [
        "Last Name",
        "First Name",
        "Username",
        "Student ID",
        "Last Access",
        "Availability",
        column,
    ]
    found = {line["Username"]: float(line[column]) for line in lines}
    assert found == {login: 9.0 if i == OPEN else 0.0 if i == MISSING else round(given(i) / 8 * 40, 2)
                     for i, (*_, login, _) in enumerate(PEOPLE)}  # fmt: skip


def test_ilias_gets_feedback_in_the_folders_that_it_made(tmp_path):
    """Its upload wants one folder multi_feedback…, in it a folder for each person that ends with the person's number."""
    files = {f"Blatt 1/Abgaben/Last{i}_First{i}_u{i:03d}_{1000 + i}/20260301100000_task01.py": SOLUTION
             for i in range(SIZE) if i != MISSING}  # fmt: skip
    roster = "login,name\n" + "".join(f"u{i:03d},First{i} Last{i}\n" for i in range(SIZE))
    out = graded(tmp_path, files, ("r.csv", roster))
    with zipfile.ZipFile(out / "ilias_feedback.zip") as archive:
        found = {}
        for name in archive.namelist():
            top, folder, file = name.split("/")
            assert top.startswith("multi_feedback")
            assert not file.startswith(".")
            found[int(folder.split("_")[-1])] = archive.read(name).decode()
    assert set(found) == {1000 + i for i in range(SIZE) if i != MISSING}
    assert "First9 Last9" in found[1009]


def test_gradescope_gets_every_result_by_an_autograder_that_only_answers(tmp_path):
    """One upload, one regrading there, and all marks are in; who is not known gets none, and no zero."""
    first, last, login, number = PEOPLE[OPEN]  # the others' points were set by hand
    people = f"  - :name: {first} {last}\n    :sid: {login}\n    :email: {login}@X.edu\n"
    files = {"submission_metadata.yml": f"submission_{number}:\n  :submitters:\n{people}".encode(),
             f"submission_{number}/task01.py": SOLUTION}  # fmt: skip
    roster = "sid,name,email\n" + "".join(f"{login},{first},{login}@x.edu\n" for first, _, login, _ in PEOPLE)
    out = graded(tmp_path, files, ("r.csv", roster))
    root = tmp_path / "autograder"
    with zipfile.ZipFile(out / "gradescope.zip") as archive:
        assert all(archive.getinfo(name).external_attr >> 16 & 0o111 for name in ("setup.sh", "run_autograder"))
        archive.extractall(root / "source")

    def score(email):
        shutil.rmtree(root / "results", ignore_errors=True)
        (root / "submission_metadata.json").write_text(json.dumps({"users": [{"email": email, "name": "x", "id": 1}]}))
        done = subprocess.run([sys.executable, root / "source" / "run_autograder"], check=False, text=True,
                              capture_output=True, env={**os.environ, "AUTOGRADER": str(root)})  # fmt: skip
        place = root / "results" / "results.json"
        return json.loads(place.read_text()).get("score", "open") if place.is_file() else (done.returncode, done.stderr)

    assert [score(f"{PEOPLE[i][2]}@x.EDU") for i in (8, 9, OPEN, MISSING)] == [8.0, 0.0, "open", 0.0]
    assert score("eve@x.edu") == (1, "there is no result for eve@x.edu\n")


@pytest.mark.timeout(900)
def test_a_column_asked_for_once_is_filled_by_every_later_command(tmp_path):
    """By the real command; a column that does not exist stops before anything is graded."""
    course, out = copy_of_mini(tmp_path), tmp_path / "out"
    write(tmp_path / "subs", {"leeann_101_5001_task01.py": SOLUTION})
    (tmp_path / "canvas.csv").write_text(
        'Student,ID,SIS Login ID,Section,Homework 1 (34567)\n    Points Possible,,,,30\n"Lee, Ann",101,ann,A,\n'
    )
    options = ["--task", "task01", "--isolation", "standard", "--timeout-scale", "4", "--out", out]
    call = ["batch", tmp_path / "subs", "--roster", tmp_path / "canvas.csv", *options]
    done = grade_py(*call, "--canvas-column", "Homework 2", cwd=course)
    assert (done.returncode, out.exists()) == (2, False)
    assert "the export of Canvas has no column 'Homework 2'; is it 'Homework 1 (34567)'?" in done.stderr
    done = grade_py(*call, "--canvas-column", "Homework 1", cwd=course, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = 'Student,ID,SIS Login ID,Section,Homework 1 (34567)\nPoints Possible,,,,30\n"Lee, Ann",101,ann,A,{}\n'
    assert (out / "canvas.csv").read_text() == wanted.format(30)
    done = grade_py("override", "ann", "task01", "4", "--why", "w", "--out", out, cwd=course)
    assert done.returncode == 0, done.stderr
    assert (out / "canvas.csv").read_text() == wanted.format(15)


def test_a_number_in_somebodys_id_is_no_participant_of_moodle():
    """Or the feedback of one would be handed to another, who has this number there."""
    people = [
        (Student("abc123", "abc123", "Ann Lee"), ""),
        (Student("5", "5", "Ann Lee", ids={"platform": "abc123"}), ""),
        (Student("5", "5", "Ann Lee", ids={"platform": "Participant 77"}), "Ann Lee_77_assignsubmission_file_"),
        (Student("Participant 77", "", "Ann Lee"), "Ann Lee_77_assignsubmission_file_"),
        (Student("abc123", "abc123", "Ann", ids={"identifier": "Teilnehmer/in71"}), "Ann_71_assignsubmission_file_"),
    ]
    assert [moodle_folder(student) for student, _ in people] == [folder for _, folder in people]
