"""Marks and comments by hand, questions that only people grade, sheets, and extensions, by the commands themselves."""

import csv
import io
import json

import pytest
from handin_support import write
from support import copy_of_mini
from test_batch_gradebook import grade, outcome
from test_batch_intake import ONE, TWO
from test_batch_people import handed

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook import schema
from torchgrade.batch.gradebook.gradebook import Gradebook, Handin, Key, Seed, Target, source_hash
from torchgrade.cli import main
from torchgrade.course import Course
from torchgrade.course_tools.release import release
from torchgrade.errors import CourseError
from torchgrade.manifest import Question, parse_manifest
from torchgrade.marking import gone, marked
from torchgrade.marks import HandPart, Remark, Row, Student, TaskInfo
from torchgrade.model import Status
from torchgrade.report.escape import cell, uncelled

TASK = "task01_scale"
QUESTIONS = """
manual:
  explain:
    title: A comment says why the factor is a tensor
    rubric: {names the device: 2, gives an example: 1}
  style: {title: Names are clear, points: 2}
"""
RULES = """
homeworks:
  hw1: {tasks: [task01], deadline: 2026-03-01}
  hw2: [task02]
marks: {late: {cost: 0.1}}
"""
ADDED = b"def scale(x, factor):\n    return x + factor\n\n\ndef total(x):\n    return x.sum()\n"
OTHER = ADDED.replace(b"x + factor", b"factor + x")
COMMENTED = b"# mine\n" + ADDED.replace(b"return x + factor", b"# so\n    return x + factor  ")
TARGET = Target("suite-1", "env-1", Seed(7))


def outcomes(scale):
    passed, points = (Status.PASSED, 2.0) if scale else (Status.FAILED, 0.0)
    return (outcome("test_scale", passed, points, 2.0), outcome("test_total", Status.PASSED, 6.0, 6.0))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A class of five in ``results``: right, thrice wrong (two of them alike), nothing; Ann came two days late."""
    made = copy_of_mini(tmp_path)
    for place, text in (("graders/task01_scale/task.yaml", QUESTIONS), ("course.yaml", RULES)):
        (made / place).write_text((made / place).read_text() + text)
    (made / "results").mkdir()
    texts = {"ann": ADDED.replace(b"+", b"*"), "bob": ADDED, "cyd": OTHER, "dan": COMMENTED}
    with Gradebook(made / "results" / "gradebook.sqlite", writer=True) as book:
        book.set_class([Student(name, name, name.title()) for name in (*texts, "eve")], [TaskInfo(TASK, "Scale", 8.0)])
        packed = {name: Bundle(text).pack() for name, text in texts.items()}
        book.add_sources((f"{TASK}.py", text) for text in packed.values())
        book.set_environment("env-1", {"torch": "2"})
        days = {"ann": "2026-03-03T12:00:00"}
        book.set_handins(
            [Handin(who, TASK, 1, f"{who}.py", source_hash(text), "", days.get(who, "2026-03-01T12:00:00"))
             for who, text in packed.items()], [], [TASK],
        )  # fmt: skip
        regrade(book, packed)
    monkeypatch.chdir(made)
    return made


def regrade(book, packed, suite="suite-1", drop=()):
    """A verdict for everybody, by a suite that may have lost checks."""
    target = TARGET._replace(suite=suite)
    for who, text in packed.items():
        checks = [check for check in outcomes(who == "ann") if check.id not in drop]
        key = target.key(TASK, source_hash(text))
        status = Status.PASSED if who == "ann" else Status.FAILED
        book.finish(Key(*key), grade(*checks, task=TASK, status=status))
    book.set_targets({TASK: target})


def run(capsys, *arguments, code=0):
    assert main([str(argument) for argument in arguments]) == code
    found = capsys.readouterr()
    return found.out + found.err


def lines(course, name):
    text = (course / "results" / name).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def feedback(course, who):
    return (course / "results" / "students" / who / "feedback.md").read_text().replace("\\", "")


def sums(course):
    return {line["id"]: line for line in lines(course, "sums.csv") if line["task"]}


def test_a_question_is_open_until_it_is_marked_and_nothing_is_owed_for_nothing(course, capsys):
    text = run(capsys, "mark", "bob", "task01", "style", "--points", "1.5", "--comment", "say what it is")
    assert "bob task01_scale: open" in text
    assert "still to be marked: 4" in text  # eve handed in nothing, and waits for nobody
    found = {line["id"]: line for line in lines(course, "grades.csv")}
    assert (found["bob"][TASK], found["bob"]["percent"], found["eve"][TASK]) == ("", "", "0")
    assert found["bob"]["open"] == "task01_scale: unmarked"
    assert "- **people** Names are clear, 1.5/2" in feedback(course, "bob")
    assert "say what it is" in feedback(course, "bob")
    run(capsys, "mark", "bob", "task01", "explain/1", "--points", "2")
    text = run(capsys, "mark", "bob", "task01", "explain/gives an example", "--points", "0,5")
    assert "bob task01_scale: 6 checks + 4 by people = 10 of 13 points (76.92 %)" in text
    assert "bob: total: 10 of 13 = 76.92 %" in text
    told = json.loads((course / "results" / "students" / "bob" / "mark.json").read_text())
    assert (told["percent"], told["lines"][0]["by_hand"]) == (76.92, 4.0)
    assert "names the device: 2/2" in feedback(course, "bob")


def test_points_and_comments_for_a_check_survive_a_regrade_that_loses_it(course, capsys):
    run(capsys, "mark", "cyd", "task01", "scale", "--points", "1", "--comment", "nearly")
    assert sums(course)["cyd"]["checks"] == "7"
    assert "set by hand: 1; nearly" in feedback(course, "cyd")
    with Gradebook(course / "results" / "gradebook.sqlite", writer=True) as book:
        regrade(book, {handin.student: book.source(handin.source) for handin in book.handins()}, "suite-2")
    run(capsys, "mark", "eve", "all", "--comment", "come and talk to me")
    assert sums(course)["cyd"]["checks"] == "7"
    assert "come and talk to me" in feedback(course, "eve")
    with Gradebook(course / "results" / "gradebook.sqlite", writer=True) as book:
        kept = {handin.student: book.source(handin.source) for handin in book.handins()}
        regrade(book, kept, "suite-3", drop=["test_scale"])
    run(capsys, "mark", "eve", "all", "--comment", "")
    assert sums(course)["cyd"]["checks"] == "6"
    assert "on test_scale, which the task has no more" in feedback(course, "cyd")
    assert "set by hand: 1; nearly" in feedback(course, "cyd")
    assert "come and talk" not in feedback(course, "eve")


def test_one_comment_for_all_whose_answer_is_the_same(course, capsys):
    """Layout and comments make no difference to a check's answer; a summand in another place does."""
    text = run(capsys, "mark", "bob", "task01", "test_scale", "--comment", "a sum, not a product", "--alike")
    assert "alike: bob, dan" in text
    assert [who for who in ("ann", "bob", "cyd", "dan") if "a sum, not" in feedback(course, who)] == ["bob", "dan"]
    [line] = [line for line in lines(course, "checks.csv") if (line["id"], line["check"]) == ("dan", "test_scale")]
    assert line["comment"] == "a sum, not a product"


def test_marks_that_differ_in_a_group_are_not_replaced_unasked(course, capsys):
    """Dan has a point of his own; Bob, who is named, may have another than before."""
    run(capsys, "mark", "dan", "task01", "test_scale", "--points", "1", "--comment", "half")
    run(capsys, "mark", "bob", "task01", "test_scale", "--points", "0.5")
    call = ("mark", "bob", "task01", "test_scale", "--points", "2", "--alike")
    plan = run(capsys, *call, "--plan")
    assert "would be replaced: dan task01_scale test_scale 1 half" in plan
    assert "would be replaced: bob" not in plan
    text = run(capsys, *call, code=2)
    assert "different marks or comments already" in text
    (course / "sheet.csv").write_text("student,task,part,points,comment\nbob; dan,task01,test_scale,2,\n")
    assert "would be replaced: bob task01_scale test_scale 0.5" in run(capsys, "mark", "--read", "sheet.csv", code=2)
    assert (sums(course)["bob"]["checks"], sums(course)["dan"]["checks"]) == ("6.5", "7")
    assert "new marks and comments: 2" in run(capsys, *call, "--yes")
    assert (sums(course)["bob"]["checks"], sums(course)["dan"]["checks"]) == ("8", "8")
    assert "half" in feedback(course, "dan")
    run(capsys, *call[:4], "--comment", "a sum", "--alike", code=2)
    run(capsys, "mark", "bob", "task01", "test_scale", "--comment", "half")
    run(capsys, *call[:4], "--points", "1", "--comment", "a sum", "--alike")  # now they are the same
    assert "a sum" in feedback(course, "dan")


def test_a_sheet_is_written_filled_in_and_read(course, capsys):
    """As a spreadsheet saves it; a blank cell changes nothing, and reading it twice changes nothing."""
    run(capsys, "mark", "bob", "task01", "style", "--points", "2", "--comment", "= clear")
    text = run(capsys, "mark", "--write", "marking.csv", "--checks")
    assert "marking.csv: 19 lines" in text
    assert (course / "marking" / "task01" / "bob.py").read_bytes() == ADDED
    sheet = list(csv.DictReader(io.StringIO((course / "marking.csv").read_text(encoding="utf-8-sig"))))
    assert {line["part"] for line in sheet} == {
        "explain/names the device", "explain/gives an example", "style", "test_scale", "",
    }  # fmt: skip
    assert [line["points"] for line in sheet if line["part"] == "style"] == ["", "2", "", ""]
    assert not any(line["student"] == "eve" for line in sheet)
    for line in sheet:
        if line["part"].startswith("explain"):
            line["points"] = "0,5"
        elif line["part"] == "style" and line["student"] != "bob":
            line["points"] = "1"
    target = io.StringIO()
    writer = csv.DictWriter(target, sheet[0], delimiter=";")
    writer.writeheader()
    writer.writerows(sheet)
    (course / "filled.csv").write_bytes(target.getvalue().encode("utf-16"))
    assert "holds 11 marks that are not read yet" in run(capsys, "mark", "--write", "filled.csv", code=2)
    text = run(capsys, "mark", "--read", "filled.csv")
    assert "new marks and comments: 11, of students: 4; still to be marked: 0" in text
    assert "new marks and comments: 0" in run(capsys, "mark", "--read", "filled.csv")
    assert {who: line["by people"] for who, line in sums(course).items()} == {
        "ann": "2", "bob": "3", "cyd": "2", "dan": "2", "eve": "0",
    }  # fmt: skip
    run(capsys, "mark", "--write", "filled.csv", "--alike", "--checks")
    alike = list(csv.DictReader(io.StringIO((course / "filled.csv").read_text(encoding="utf-8-sig"))))
    assert [line["student"] for line in alike if line["part"] == "test_scale"] == ["bob; dan", "cyd"]


def test_lines_about_one_part_add_up_and_a_plan_keeps_nothing(course, capsys):
    (course / "sheet.csv").write_text(
        "student,task,part,points,comment\nbob; cyd,task01,style,,shorter\nbob,task01,style,1,\nbob,all,,,come\n"
        "cyd,task01,,9,\ncyd,task01,,,on paper\n"
    )
    text = run(capsys, "mark", "--read", "sheet.csv", "--plan")
    assert text.splitlines() == [
        "bob task01_scale style shorter", "cyd task01_scale style shorter", "bob task01_scale style 1 shorter",
        "bob all come", "cyd task01_scale 9", "cyd task01_scale 9 on paper", "these would be new: 6; nothing is kept",
    ]  # fmt: skip
    with Gradebook(course / "results" / "gradebook.sqlite") as book:
        assert book.remarks() == {}
    run(capsys, "mark", "--read", "sheet.csv")
    with Gradebook(course / "results" / "gradebook.sqlite") as book:
        kept = book.remarks()
        assert [decision.points for decision in book.decisions("cyd", TASK)] == [9.0]
    assert (kept["bob", TASK]["style"].points, kept["bob", TASK]["style"].comment) == (1.0, "shorter")
    assert kept["cyd", TASK][""].comment == "on paper"
    assert (kept["cyd", TASK]["style"].points, kept["bob", ""][""].comment) == (None, "come")


def test_a_sheet_may_be_a_workbook(course, capsys):
    openpyxl = pytest.importorskip("openpyxl")
    run(capsys, "mark", "--write", "marking.xlsx")
    book = openpyxl.load_workbook(course / "marking.xlsx")
    sheet = book["marking"]
    head = [cell.value for cell in sheet[1]]
    for line in sheet.iter_rows(min_row=2):
        if line[head.index("part")].value == "style":
            line[head.index("points")].value = 1.5
            line[head.index("comment")].value = "-ish"
    book.save(course / "filled.xlsx")
    assert "new marks and comments: 4" in run(capsys, "mark", "--read", "filled.xlsx")
    assert "- -ish" in feedback(course, "dan")
    run(capsys, "mark", "--write", "again.csv")
    assert "new marks and comments: 0" in run(capsys, "mark", "--read", "again.csv")


def test_a_sheet_with_mistakes_changes_nothing_and_names_each(course, capsys):
    head = "student,task,part,points,comment\n"
    (course / "sheet.csv").write_text(
        head + "bob,task01,style,1,\nzed,task01,style,1,\nbob,task01,style,9,\nbob,task01,stile,1,\n"
        "bob,task02,,1,\nbob,all,,1,\nbob,task01,explain,1,\nbob,task01,style,much,\nbob,task01,style,,\n"
    )
    text = run(capsys, "mark", "--read", "sheet.csv", code=2)
    assert [line.partition("sheet.csv, ")[2] for line in text.splitlines()] == [
        "line 3: nobody in the gradebook is called 'zed'",
        "line 4: points lie between 0 and 2",
        "line 5: nothing is called 'stile' in this task; is it style or test_scale or test_affine?",
        "line 6: task02_train is not in the gradebook",
        "line 7: the whole hand-in takes a comment; points belong to a task, or to the items of a rubric",
        "line 8: A comment says why the factor is a tensor takes a comment; points belong to a task, or to the items"
        " of a rubric",
        "line 9: points are a number or `none`, not 'much'",
    ]
    with Gradebook(course / "results" / "gradebook.sqlite") as book:
        assert book.remarks() == {}
    (course / "sheet.csv").write_text("student,task,part,points,comment,grade\nbob,task01,style,1,,\n")
    assert "has a column 'grade'" in run(capsys, "mark", "--read", "sheet.csv", code=2)
    (course / "sheet.csv").write_text("a,b\n1,2\n")
    assert "needs a heading line with student, task, part" in run(capsys, "mark", "--read", "sheet.csv", code=2)


@pytest.mark.parametrize(("arguments", "sentence"), [
    (["bob", "task01"], "give --points, --comment or both"), (["bob"], "say whom and what"),
    (["bob", "all", "style", "--comment", "x"], "a part belongs to one task"),
    (["bob", "all", "--comment", "x", "--alike"], "--alike compares the answers to one task"),
    (["bob", "task01", "style", "--points", "-1"], "points lie between 0 and 2"),
    (["zed", "task01", "style", "--points", "1"], "nobody in the gradebook is called 'zed'"),
    (["--write", "x.csv", "--task", "task02"], "no task here has questions"), (["--read", "none.csv"], "cannot read none.csv"),
])  # fmt: skip
def test_wrong_calls_of_mark(course, capsys, arguments, sentence):
    assert sentence in run(capsys, "mark", *arguments, code=2)


def test_points_for_a_whole_task_are_an_override(course, capsys):
    text = run(capsys, "mark", "ann", "task01", "--points", "9", "--comment", "on paper")
    assert "ann task01_scale: 9 of 13 points, set by hand" in text
    assert lines(course, "grades.csv")[0]["overridden"] == "task01_scale: on paper"
    text = run(capsys, "mark", "ann", "task01", "--points", "none")
    assert "ann task01_scale: open" in text


def test_an_extension_moves_what_being_late_costs(course, capsys):
    for part, points in (("explain/1", 2), ("explain/2", 1), ("style", 2)):
        run(capsys, "mark", "ann", "task01", part, "--points", points)
    assert sums(course)["ann"]["late"] == "-2.6"  # two started days, a tenth of 13 points each
    text = run(capsys, "extend", "Ann", "hw1", "1 day", "--why", "ill")
    assert "ann: total: 11.7 of 13 = 90 %" in text
    run(capsys, "extend", "ann", "task01", "2026-03-05")
    assert sums(course)["ann"]["late"] == ""
    assert "1 extension is withdrawn" in run(capsys, "extend", "ann", "task01", "none")
    told = run(capsys, "explain", "ann", "task01")
    assert [line.split(": ", 1)[1] for line in told.splitlines() if line.startswith("  extension")] == [
        "hw1: 1 day (ill)", "task01_scale: 2026-03-05", "task01_scale: withdrawn"]  # fmt: skip
    (course / "more.csv").write_text("student,what,until,why\nann,hw1,37 hours,ill\nbob,task01,2026-03-09,\n")
    assert "2 extensions are kept" in run(capsys, "extend", "--read", "more.csv")
    assert sums(course)["ann"]["late"] == ""  # to one o'clock of the third
    run(capsys, "extend", "ann", "hw1", "none")
    assert sums(course)["ann"]["late"] == "-2.6"


def test_an_extension_for_nobody_is_a_sentence_and_nothing_is_kept(course, capsys):
    (course / "more.csv").write_text(
        "student,what,until,why\nzed,hw1,1 day,\nann,hw9,1 day,\nann,hw2,1 day,\nann,hw1,soon,\nann,hw1,2026-02-01,\n"
        "ann,hw1,,\nbob,hw1,1 day,\n"
    )
    text = run(capsys, "extend", "--read", "more.csv", code=2)
    assert [line.partition("more.csv, ")[2] for line in text.splitlines()] == [
        "line 2: nobody in the gradebook is called 'zed'",
        "line 3: there is no task and no homework 'hw9'",
        "line 4: hw2 has no deadline in course.yaml",
        "line 5: UNTIL is a date, a time, `2 days`, `12 hours` or `none`, not 'soon'",
        "line 6: 2026-02-01 is no later than the deadline, 2026-03-01 23:59:59",
        "line 7: UNTIL is a date, a time, `2 days`, `12 hours` or `none`, not ''",
    ]
    with Gradebook(course / "results" / "gradebook.sqlite") as book:
        assert book.extensions() == {}
    assert "say who, what and until when" in run(capsys, "extend", "ann", code=2)


def test_marks_follow_a_person_and_come_into_older_books(course, capsys, tmp_path):
    run(capsys, "mark", "bob", "task01", "style", "--points", "1")
    run(capsys, "extend", "bob", "hw1", "2 days")
    run(capsys, "rename", "bob", "b1")
    assert [line["by people"] for line in lines(course, "sums.csv") if line["id"] == "b1"] == ["", ""]
    assert "- **people** Names are clear, 1/2" in feedback(course, "b1")
    with Gradebook(course / "results" / "gradebook.sqlite") as book:
        assert book.extensions() == {("b1", "hw1"): "2 days"}
    assert len(schema.MIGRATIONS) >= 5


# --- the pure part


def remark(part, points=None, comment=""):
    return {part: Remark(part, points, comment, "prof", "2026-01-01")}


def test_a_mark_for_a_check_is_shared_by_its_devices():
    checks = tuple(
        outcome(
            "test_a",
            Status.FAILED,
            0.0,
            1.0,
        )
        for _ in range(2)
    )
    row = marked(Row("ann", TASK, "failed", 0.0, 2.0, checks=checks), (), remark("test_a", 1.0))
    assert (row.earned, [check.points for check in row.checks]) == (1.0, [0.5, 0.5])


def test_what_is_broken_stays_open_and_what_is_missing_is_zero():
    question = Question("essay", "Essay", 4.0)
    assert marked(Row("ann", TASK, "broken", None, 2.0), [question], remark("essay", 3.0)).points is None
    assert marked(Row("ann", TASK, "missing", 0.0, 2.0), [question], {}).points == 0
    assert marked(Row("ann", TASK, "unreadable", 0.0, 2.0), [question], remark("essay", 3.0)).points == 3
    waiting = marked(Row("ann", TASK, "passed", 2.0, 2.0), [question], {})
    assert (waiting.status, waiting.points, waiting.max_points) == ("unmarked", None, 6.0)
    assert waiting.by_hand == (HandPart("essay", "Essay", 4.0),)
    assert gone(marked(Row("ann", TASK, "passed", 2.0, 2.0), [], remark("essay", 3.0))) == []  # nothing ran: who knows


@pytest.mark.parametrize(("manual", "sentence"), [
    ("[a]", "manual must map names"), ("{Essay: {title: x, points: 1}}", "a name of small letters"),
    ("{test_a: {title: x, points: 1}}", "does not begin like a check's"), ("{a: {points: 1}}", "must hold a title"),
    ("{a: {title: x}}", "needs points, or a rubric"), ("{a: {title: x, points: -1}}", "a positive number, not -1"),
    ("{a: {title: x, points: 3, rubric: {b: 1, c: 1}}}", "says 3 points, and its rubric adds up to 2"),
    ("{a: {title: x, rubric: {b/c: 1}}}", "texts without a slash"), ("{a: {title: x, rubric: {b: two}}}", "not 'two'"),
])  # fmt: skip
def test_a_wrong_question_names_itself(manual, sentence):
    with pytest.raises(CourseError, match=r"task\.yaml: manual") as caught:
        parse_manifest(f"title: T\nsummary: S\nhints: [h]\nmanual: {manual}\n", "task.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("text", ["= 1", "-x", "'quoted'", "plain", "@you", "'=1"])
def test_a_cell_comes_back(text):
    assert uncelled(cell(text)) == text or text == "'=1"


# --- which attempt counts


def test_the_best_attempt_is_the_one_that_earns_most_after_being_late(course, capsys):
    """Where a homework says so; a later one with more points may be worth less."""
    settings = course / "course.yaml"
    rules = settings.read_text().replace("deadline: 2026-03-01}", "deadline: 2026-03-01, attempt: best}")
    settings.write_text(rules.replace("late: {cost: 0.1}", "late: {cost: 0.5}"))
    with Gradebook(course / "results" / "gradebook.sqlite", writer=True) as book:
        content = {handin.student: handin.source for handin in book.handins()}
        handins = [
            Handin("ann", TASK, 1, "first.py", content["bob"], "", "2026-03-01T12:00:00"),
            Handin("ann", TASK, 2, "second.py", content["ann"], "", "2026-03-02T12:00:00"),
            Handin("bob", TASK, 1, "first.py", content["bob"], "", "2026-03-01T12:00:00"),
            Handin("bob", TASK, 2, "second.py", content["ann"], "", "2026-03-01T13:00:00"),
        ]
        book.set_handins(handins, [], [TASK])
    for student in ("ann", "bob"):
        for part, points in (("explain/1", 2), ("explain/2", 1), ("style", 2)):
            run(capsys, "mark", student, "task01", part, "--points", points)
    assert "Graded: first.py" in feedback(course, "ann")  # 6 and 5 of 13, for the other one 13 less 6.5
    assert "Graded: second.py" in feedback(course, "bob")
    found = sums(course)
    assert (found["ann"]["points"], found["bob"]["points"]) == ("11", "13")


def test_of_what_is_best_by_homework_all_attempts_are_read(tmp_path):
    write(tmp_path, {f"ann/attempt_{n}/task0{task}.py": text for n in (1, 2) for task, text in ((1, ONE), (2, TWO))})
    _, intake = handed(tmp_path, best={"task01_numbers"})
    found = sorted((handin.task, handin.attempt) for handin in intake.handins)
    assert found == [("task01_numbers", 1), ("task01_numbers", 2), ("task02_pooling", 2)]


def test_a_bonus_that_is_no_check_is_named_before_anything_is_graded(course, capsys):
    settings = course / "course.yaml"
    settings.write_text(
        settings.read_text().replace("late:", "bonus: [task01/style, task01/scale, task01/speed], late:")
    )
    text = run(capsys, "batch", course / "exercises", "--out", "elsewhere", "--yes", code=3)
    assert "marks.bonus names task01_scale/speed, which is no check of the task" in text
    assert not (course / "elsewhere").exists()


def test_learners_read_the_questions_and_not_the_rubric(course, tmp_path):
    release(Course.load(course), tmp_path / "learners")
    text = (tmp_path / "learners" / "graders" / TASK / "task.yaml").read_text()
    assert parse_manifest(text, "task.yaml").manual == (
        Question("explain", "A comment says why the factor is a tensor", 3.0), Question("style", "Names are clear", 2.0),
    )  # fmt: skip
    assert "device" not in text
