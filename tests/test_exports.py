"""Marks leave the gradebook: each format is read back by a reader that is not ours."""

import csv
import io
import json
import math
import random
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from class_support import EVIL, SECRET, TASKS, graded, make_class, marks_of, outcome
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import torchgrade.report
from torchgrade.errors import CourseError
from torchgrade.marks import Override, Row, Student, TaskInfo, counting
from torchgrade.model import Outcome, Result, Status
from torchgrade.platform_sheet import columns_for
from torchgrade.policy import Policy
from torchgrade.report import escape, feedback, junit, learner_view, platforms, statistics, tables
from torchgrade.report.student_result import About, student_result
from torchgrade.report.sum_text import mark_json, total_words
from torchgrade.report.workbook import workbook
from torchgrade.sums import dated, total

STUDENTS, ROWS = make_class()
TABLE = tables.by_student(ROWS)
POLICY = Policy(passing=0.5)
ABOUT = About("A <course>", "0.1", "2.13", ("cpu",), 4711)
MARKS = marks_of(ROWS, POLICY)


SUMS = tables.sums_csv(STUDENTS, MARKS)


def result_of(student):
    return student_result(student, TABLE[student.key], TASKS, MARKS[student.key], ABOUT)


def whole_marks(people):
    return {who.key: total([Row(who.key, t.task, "passed", 6, 6) for t in TASKS], TASKS, POLICY) for who in people}


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


# --- escaping


@given(st.text())
def test_no_cell_is_a_formula(text):
    """Whatever a student chose, a spreadsheet sees text or a plain number."""
    shown = escape.cell(text)

    assert not shown.startswith(tuple("=+-@\t\r＝＋－＠")) or float(shown) is not None
    assert "\n" not in shown
    assert all(c.isprintable() or c in "\u200c\u200d" for c in shown)


@given(st.text())
def test_text_is_carried_by_xml_html_and_markdown(text):
    """Parsers of others give back the printable text, and no markup arises."""
    wanted = escape.plain(text)
    element = ElementTree.Element("a", {"b": escape.plain(text, lines=False)})
    element.text = escape.xml_text(text)
    assert (ElementTree.fromstring(ElementTree.tostring(element)).text or "") == wanted

    class Reader(HTMLParser):
        tags: tuple[str, ...] = ()
        data = ""

        def handle_starttag(self, tag, attrs):
            self.tags += (tag,)

        def handle_data(self, data):
            self.data += data

    reader = Reader()
    reader.feed(f"<p>{escape.markup(text)}</p>")
    reader.close()
    assert (reader.tags, reader.data) == (("p",), wanted)

    [block] = [t for t in MarkdownIt().parse(escape.code_block(text)) if t.type == "fence"]
    assert block.content == wanted + "\n"
    inline = MarkdownIt().parse("x " + escape.markdown(text))
    kinds = {child.type for token in inline for child in token.children or ()}
    assert kinds <= {"text", "text_special"}
    assert len([token for token in inline if token.type == "inline"]) == 1


def test_control_characters_are_replaced():
    assert escape.plain("a\x1b[31mb\x00c\u202ed\ud800e\x9bf\n\tg") == "a\ufffd[31mb\ufffdc\ufffdd\ufffde\ufffdf\n    g"
    assert escape.plain("👩‍👩‍👧 हिन्दी 张三") == "👩‍👩‍👧 हिन्दी 张三"
    assert escape.cell(-3.5) == "-3.5"
    assert escape.cell("-3.5") == "-3.5"
    assert escape.cell("-3+cmd|' /C calc'!A0") == "'-3+cmd|' /C calc'!A0"
    assert escape.cell(" =1") == "'=1"
    assert escape.cell("two\nlines\r\n") == "two lines"
    assert [escape.cell(v) for v in (None, True, False, 0.1 + 0.2)] == ["", "yes", "no", "0.3"]


def test_a_folder_for_each_key_is_readable_stable_and_its_own():
    """Also where capitals do not count, and for keys made to look like another's folder."""
    assert [escape.folder_name(key) for key in ("ann", "s-12_b", "张三", "müller")] == [
        "ann",
        "s-12_b",
        "张三",
        "müller",
    ]
    hostile = [
        "(x-3",
        "w",
        "x",
        "x!",
        "X",
        "x.",
        "../x",
        "/x",
        "x\0",
        "con",
        "COM1",
        "ｘ",
        "",
        "a/b",
        "a_b",
        "\ud800",
        "é",
        "e\u0301",
    ]
    hostile += [escape.folder_name(key) for key in hostile]
    names = [escape.folder_name(key).casefold() for key in dict.fromkeys(hostile)]
    assert len(names) == len(set(names))
    for name in names:
        assert "/" not in name
        assert name.strip(".") == name != "con"
    assert escape.folder_name("../../Jörg & Co/\x00").startswith("Jörg_Co-")


# --- tables


def test_grades_csv():
    """A line for each student; open tasks and totals are empty and named, never zero."""
    lines = {line["id"]: line for line in read_csv(tables.grades_csv(STUDENTS, TABLE, TASKS, MARKS))}

    assert list(lines) == [student.id for student in STUDENTS]
    broken = lines["s0001"]
    assert (broken["task01_numbers"], broken["task02_pooling"], broken["percent"], broken["points"]) == ("", "", "", "")
    assert broken["open"] == "task01_numbers: broken; task02_pooling: pending"
    assert lines["s0002"]["task02_pooling"] == "5.5"
    assert lines["s0002"]["overridden"] == "task02_pooling: a fair <try>"
    assert lines["s0002"]["task01_numbers"] == "0"
    assert lines["evil"]["late"] == "task01_numbers"
    assert lines["evil"]["section"] == "'=A1"
    for line in lines.values():
        if line["percent"]:
            points = sum(float(line[task.task]) for task in TASKS)
            assert float(line["percent"]) == pytest.approx(100 * points / 18, abs=5e-3)
            assert line["passed"] == ("yes" if points >= 9 else "no")


def test_every_table_and_page_prints_the_same_sum():
    """CSV, workbook, JSON and both kinds of feedback, each read back by a reader that is not ours."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(
        io.BytesIO(workbook({"grades": tables.grades_csv(STUDENTS, TABLE, TASKS, MARKS), "sums": SUMS}))
    )
    head, *rows = book["grades"].iter_rows(values_only=True)
    sheet = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    totals = {line["id"]: line for line in read_csv(SUMS) if not line["task"]}
    for student in STUDENTS:
        mark = MARKS[student.key]
        told = json.loads(json.dumps(mark_json(mark)))
        assert told["percent"] == sheet[student.id]["percent"] == mark.percent
        assert totals[student.id]["percent"] == ("" if mark.percent is None else f"{mark.percent:g}")
        pages = [make(student, result_of(student), TABLE[student.key], mark)
                 for make in (feedback.feedback_markdown, feedback.feedback_html)]  # fmt: skip
        assert all(total_words(mark) in page for page in pages)
        assert [line["points"] for line in told["lines"]] == [sheet[student.id][task.task] for task in TASKS]
    assert sheet["evil"]["section"] == "=A1"
    assert all(cell.data_type in "sn" for line in book["grades"].iter_rows() for cell in line)  # no formula


def test_checks_csv_has_a_line_for_each_check_and_for_each_row_without():
    lines = read_csv(tables.checks_csv(STUDENTS, ROWS))

    assert len(lines) == sum(max(len(row.checks), 1) for row in ROWS)
    by_key = {(line["id"], line["task"], line["check"]): line for line in lines}
    assert by_key["s0002", "task01_numbers", ""]["reason"] == "nothing was handed in"
    assert by_key["s0001", "task01_numbers", "test_easy"]["status"] == "broken"
    assert by_key["evil", "task01_numbers", "test_easy"]["message"].startswith("'=HYPERLINK")
    assert sum(float(line["points"] or 0) for line in lines) == pytest.approx(
        sum(check.points for row in ROWS for check in row.checks)
    )
    assert all(cell is None or not cell.startswith(("=", "@")) for line in lines for cell in line.values())
    assert {line["seed"] for line in lines} == {"4711", ""}


def test_moodle_and_canvas():
    """The columns that their imports look for; points as numbers, no verdict as an empty cell."""
    moodle = read_csv(platforms.moodle_csv(STUDENTS, TASKS, MARKS))
    assert list(moodle[0]) == [
        "Identifier", "ID number", "Full name", "Email address", "Task 01 Numbers & <shapes>", "Task 02 Pooling",
        "Task 03 Training", "Total (%)",
    ]  # fmt: skip
    assert moodle[0]["Identifier"] == "Participant 7"
    assert moodle[1]["Task 01 Numbers & <shapes>"] == ""
    assert moodle[1]["Total (%)"] == ""
    canvas = read_csv(platforms.canvas_csv(STUDENTS, MARKS, columns_for(None, [], TASKS), None))
    assert list(canvas[0])[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert [canvas[0][name] for name in list(canvas[0])[5:]] == ["6", "6", "6"]
    assert len(canvas) == len(STUDENTS) + 1
    assert canvas[3]["Task 02 Pooling"] == "5.5"
    people = [Student("a", "", "A", ids={"id": "17", "sis login id": "a@x"}), Student("44")]
    ids = read_csv(platforms.canvas_csv(people, whole_marks(people), columns_for(None, [], TASKS), None))
    assert [(line["ID"], line["SIS Login ID"]) for line in ids[1:]] == [("17", "a@x"), ("", "")]


def test_moodle_gets_its_own_identifier_back():
    """In the words of the site's language, as the worksheet spells it; else the number that the folder has."""
    people = [Student("a", "a", "A", ids={"identifier": "Teilnehmer/in71", "platform": "Participant 71"}),
              Student("b", "b", "B", ids={"platform": "Participant 72"})]  # fmt: skip
    lines = read_csv(platforms.moodle_csv(people, TASKS, whole_marks(people)))
    assert [line["Identifier"] for line in lines] == ["Teilnehmer/in71", "Participant 72"]


# --- documents of one student


def test_feedback_names_the_file_and_the_moment_and_what_came_instead():
    """A student sees which file was graded; one whose file is no submission sees which one came, and why."""
    base = Row("evil", TASKS[0].task, "passed", 6.0, 6.0, attempt=2, attempts=3, label="x/task01.py",
               submitted="2026-03-01T23:59:10", late=True)  # fmt: skip
    came = Row("evil", TASKS[1].task, "unreadable", 0.0, 6.0, label="x/hw.rar", reason="an archive that stays closed")
    rows = {TASKS[0].task: base, TASKS[1].task: came, TASKS[2].task: TABLE["evil"][TASKS[2].task]}
    mark = total(rows.values(), TASKS, POLICY)
    result = student_result(STUDENTS[0], rows, TASKS, mark, ABOUT)
    for make in (feedback.feedback_markdown, feedback.feedback_html):
        text = make(STUDENTS[0], result, rows, mark).replace("\\", "")
        assert (
            "Graded: x/task01.py, handed in 2026-03-01 23:59:10. Attempt 2 of 3. Handed in late; by how much is not known"
            in text
        )
        assert "Came: x/hw.rar." in text
        assert "an archive that stays closed" in text


def test_points_set_by_hand_stand_alone_where_nothing_was_graded():
    """No failed check beside them says that nothing was handed in."""
    decision = Override("evil", TASKS[0].task, 4.0, "on paper", "prof", "2026-03-01")
    row = Row("evil", TASKS[0].task, "missing", 0.0, 6.0, reason="nothing was handed in", override=decision)
    rows = {**TABLE["evil"], TASKS[0].task: row}
    mark = total(rows.values(), TASKS, POLICY)
    [check] = student_result(STUDENTS[0], rows, TASKS, mark, ABOUT).tasks[0].checks
    assert check.title == "the points were set by hand"
    assert "4 of 6 points instead of 0 (nothing was handed in): on paper" in check.message


@pytest.mark.parametrize(("points", "status"), [(4.0, Status.FAILED), (6.0, Status.PASSED)])
def test_where_a_person_decides_nothing_is_open(points, status):
    """The grader broke, or has not come to it: the points that were set stand in every export."""
    decision = Override("evil", TASKS[0].task, points, "by eye", "prof", "2026-03-01")
    for state in ("broken", "pending"):
        row = Row("evil", TASKS[0].task, state, None, 6.0, reason="KeyError", override=decision)
        graded_rows = [graded("evil", task, 1.0, random.Random(1)) for task in TASKS[1:]]
        rows = {one.task: one for one in [row, *graded_rows]}
        mark = total(rows.values(), TASKS, POLICY)
        result = student_result(STUDENTS[0], rows, TASKS, mark, ABOUT)
        assert (result.tasks[0].status, result.tasks[0].points) == (status, points)
        assert json.loads(platforms.gradescope_json(result))["score"] == result.points


@pytest.mark.parametrize("student", STUDENTS[:4], ids=lambda student: student.key)
def test_results_follow_the_schema_and_come_back(student):
    schema = json.loads((Path(torchgrade.report.__file__).parent / "result.schema.json").read_text())
    result = learner_view.learner_result(result_of(student))
    document = json.loads(json.dumps(result.to_json()))

    jsonschema.validate(document, schema)
    assert Result.from_json(document) == result
    assert document["seed"] == 0
    assert len(document["tasks"]) == len(TASKS)


def test_an_override_is_told_in_every_output():
    student = STUDENTS[2]
    result = result_of(student)
    told = "5.5 of 6 points instead of"

    assert result.tasks[1].points == 5.5
    texts = [json.dumps(result.to_json()), junit.junit_xml(result), platforms.gradescope_json(result)]
    texts += [make(student, result, TABLE[student.key], MARKS[student.key]).replace("\\", "")
              for make in (feedback.feedback_markdown, feedback.feedback_html)]  # fmt: skip
    assert all(told in " ".join(text.split()) for text in texts)
    assert json.loads(platforms.gradescope_json(result))["score"] == result.points


def test_gradescope():
    """Scores and statuses as Gradescope reads them; without a verdict there is no score, not a zero."""
    document = json.loads(platforms.gradescope_json(result_of(STUDENTS[4])))
    assert document["score"] == sum(row.points for row in TABLE["s0004"].values())
    assert document["score"] == sum(test["score"] for test in document["tests"])
    assert {test["status"] for test in document["tests"]} <= {"passed", "failed"}
    assert all(set(test["name"]) and test["max_score"] == 2 for test in document["tests"])
    broken = json.loads(platforms.gradescope_json(result_of(STUDENTS[1])))
    assert "score" not in broken
    assert "could not be graded" in broken["output"]
    assert [test for test in broken["tests"] if "broken" in test["tags"] and "score" in test] == []


def test_junit():
    """Counts agree with the cases, hostile text arrives, our own faults are errors and not failures."""
    for student in STUDENTS[:4]:
        root = ElementTree.fromstring(junit.junit_xml(result_of(student)).encode())
        for suite in root.iter("testsuite"):
            cases = suite.findall("testcase")
            assert int(suite.get("tests")) == len(cases)
            for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
                assert int(suite.get(attribute)) == sum(case.find(kind) is not None for case in cases)
    root = ElementTree.fromstring(junit.junit_xml(result_of(STUDENTS[1])))
    assert root.get("errors") == "1"
    evil = ElementTree.fromstring(junit.junit_xml(result_of(STUDENTS[0])))
    assert "</script>" in evil.find(".//failure").get("message")


def everything_a_student_gets(student):
    result, rows, mark = result_of(student), TABLE[student.key], MARKS[student.key]
    seen = learner_view.learner_result(result)
    return [
        json.dumps(seen.to_json()), junit.junit_xml(seen), platforms.gradescope_json(result),
        feedback.feedback_markdown(student, result, rows, mark), feedback.feedback_html(student, result, rows, mark),
    ]  # fmt: skip


def test_nothing_of_a_hidden_check_but_sentence_category_and_size():
    """The answer, the input, the misconception and the output stay secret; the size of the error is told."""
    student = next(
        s for s in STUDENTS[3:] if any(c.hidden and c.points == 0 for r in TABLE[s.key].values() for c in r.checks)
    )
    assert SECRET in json.dumps(result_of(student).to_json())
    for text in everything_a_student_gets(student):
        assert "41.7" not in text
        assert "test_secret works" in text.replace("\\", "")
        assert "3 of 4 values differ, by 0.5 at most" in text.replace("\\", "")
        assert "4711" not in text


@pytest.mark.parametrize(("message", "told"), [
    ("ValueError: the input was 41.7", "it raised ValueError"), ("X41_7: secret", "it raised an exception or ended"),
    ("print: 41.7", "it raised an exception or ended"), ("the process ended 41.7", "it raised an exception or ended"),
])  # fmt: skip
def test_a_crash_in_a_hidden_check_cannot_carry_its_input_out(message, told):
    """Neither the text nor the name of an exception of the learner's own is repeated."""
    crash = outcome("test_x", False, hidden=True, message=message)
    shown = learner_view.learner_view(Outcome(**{**vars(crash), "status": Status.CRASHED}))

    assert shown.message.startswith(told)
    assert "41" not in json.dumps(vars(shown), default=str)
    visible = outcome("test_x", False, message=message)
    assert learner_view.learner_view(visible) == visible


def test_feedback_pages_hold_no_script_and_no_link_outside():
    """The hostile student's own page shows the text, and every element is one of ours."""

    class Reader(HTMLParser):
        def __init__(self):
            super().__init__()
            self.tags, self.links, self.text = [], [], ""

        def handle_starttag(self, tag, attrs):
            self.tags.append(tag)
            self.links += [value for name, value in attrs if name in ("href", "src") or name.startswith("on")]

        def handle_data(self, data):
            self.text += data

    page = feedback.feedback_html(STUDENTS[0], result_of(STUDENTS[0]), TABLE["evil"], MARKS["evil"], home="")
    reader = Reader()
    reader.feed(page)
    assert set(reader.tags) <= {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "strong",
                                "section", "span", "ul", "li", "pre", "div", "table", "thead", "tbody", "tr", "th", "td"}  # fmt: skip
    assert reader.links == []
    assert "<script>alert" in reader.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page)
    page.encode("utf-8")
    text = feedback.feedback_markdown(STUDENTS[0], result_of(STUDENTS[0]), TABLE["evil"], MARKS["evil"])
    rendered = MarkdownIt("commonmark", {"html": True}).render(text)
    assert "<script" not in rendered
    assert "<a " not in rendered


def test_feedback_says_whose_fault_it_is():
    text = feedback.feedback_markdown(STUDENTS[1], result_of(STUDENTS[1]), TABLE["s0001"], MARKS["s0001"])
    assert "This is not your fault and costs you nothing" in text
    assert "not complete yet; open: task01_numbers, task02_pooling" in text


# --- marks


def rows_of(*shares):
    return [Row("a", task.task, "passed", share * 6, 6) for task, share in zip(TASKS, shares, strict=True)]


def test_policies():
    """Weights, best-of, drop-lowest and both thresholds, each on its own."""
    assert total(rows_of(1, 0.5, 0), TASKS, Policy()).percent == 50
    assert total(rows_of(1, 0.5, 0), TASKS, Policy(weights={"task01_numbers": 18})).percent == pytest.approx(70)
    assert total(rows_of(1, 0.5, 0), TASKS, Policy(weights={"task03_training": 0})).percent == 75
    dropped = total(rows_of(1, 0.5, 0), TASKS, Policy(drop_lowest=1))
    assert (dropped.percent, dropped.dropped) == (75, ("task03_training",))
    assert total(rows_of(0.2, 0.5, 0), TASKS, Policy(best_of=1)).counted == ("task02_pooling",)
    assert total(rows_of(0, 0, 0), TASKS, Policy(drop_lowest=9)).percent == 0
    assert total(rows_of(0.1, 0.2, 0.3), TASKS, Policy(passing=0.2)).passed is True
    assert total(rows_of(1, 1, 0.3), TASKS, Policy(passing=0.5, passing_each=0.4)).passed is False
    assert total(rows_of(1, 1, 0.3), TASKS, Policy()).passed is None
    open_row = [*rows_of(1, 1, 1)[:2], Row("a", "task03_training", "broken", None, 6)]
    assert (total(open_row, TASKS, Policy(passing=0.5)).percent, total(open_row, TASKS, Policy()).passed) == (
        None,
        None,
    )
    assert total(rows_of(0, 0, 0), [TaskInfo(t.task, "", 0.0) for t in TASKS], Policy()).percent == 0


@pytest.mark.parametrize(("data", "sentence"), [
    ({"bestof": 1}, "no entry `bestof`"), ({"weights": {"taskXX": 1}}, "which is no task"),
    ({"weights": 3}, "must map"),
    ({"best_of": 0}, "at least 1"), ({"best_of": 1.5}, "whole number"), ({"passing": 60}, "from 0 to 1"),
    ({"weights": {"task01_numbers": -1}}, "at least 0"), ({"drop_lowest": True}, "whole number"),
    ({"deadlines": {"task01_numbers": "next week"}}, "needs a date or a time"),
])  # fmt: skip
def test_a_wrong_policy_names_its_entry(data, sentence):
    with pytest.raises(CourseError, match=sentence):
        Policy.from_mapping(data, [task.task for task in TASKS])


@pytest.mark.parametrize(("deadline", "submitted", "late"), [
    (date(2025, 3, 1), "2025-03-01T23:59:00", False), (date(2025, 3, 1), "2025-03-02 00:00:01", True),
    ("2025-03-01 12:00", "2025-03-01 12:00:01.250000 UTC", True), ("2025-03-01 12:00", "", None),
    ("2025-03-01T12:00+01:00", "2025-03-01T11:30:00Z", True), ("2025-03-01T12:00+01:00", "2025-03-01T10:30:00Z", False),
    ("2025-03-01", "yesterday", None),
])  # fmt: skip
def test_deadlines_tell_who_is_late(deadline, submitted, late):
    """A date is its whole day; zones are compared where both are known; an unknown time is not late."""
    policy = Policy.from_mapping({"deadlines": {"task01_numbers": deadline}}, [task.task for task in TASKS])
    row = Row("a", "task01_numbers", "passed", 1.0, 1.0, submitted=submitted)
    assert dated([row], policy)[0].late is late
    assert dated([replace(row, late=True)], policy)[0].late is True


def worth_of(row):
    return row.points


def test_the_attempt_that_counts():
    """The last one, or the best; one of equal worth later; one without a verdict may still become the best."""
    worth = {1: 5.0, 2: 6.0, 3: 6.0, 4: 1.0}
    tries = [Row("a", "t", "failed", points, 6, attempt=number) for number, points in worth.items()]
    assert [row.attempt for row in counting(tries, lambda task: "last", worth_of)] == [4]
    assert [row.attempt for row in counting(tries, lambda task: "best", worth_of)] == [3]
    broken = Row("a", "t", "broken", None, 6, attempt=5)
    assert [row.attempt for row in counting([*tries, broken], lambda task: "best", worth_of)] == [5]


# --- statistics


def test_point_biserial_is_the_correlation():
    rng = random.Random(3)
    passed = [rng.random() < 0.4 for _ in range(200)]
    rest = [rng.gauss(5 + 2 * good, 1) for good in passed]
    numbers = [float(good) for good in passed]
    mean_x, mean_y = sum(numbers) / 200, sum(rest) / 200
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(numbers, rest, strict=True))
    norm = math.sqrt(sum((x - mean_x) ** 2 for x in numbers) * sum((y - mean_y) ** 2 for y in rest))

    assert statistics.point_biserial(passed, rest) == pytest.approx(covariance / norm)
    assert statistics.point_biserial([True, True], [1.0, 2.0]) is None
    assert statistics.point_biserial([True, False], [1.0, 1.0]) is None
    assert statistics.point_biserial([], []) is None


def test_items_count_verdicts_only():
    """Our own faults are neither passes nor failures; the most frequent misconception is counted."""
    found = {(item.task, item.check): item for item in statistics.items(ROWS)}
    easy = found["task01_numbers", "test_easy"]
    assert easy.faults == 1
    verdicts = [c for r in ROWS for c in r.checks if r.task == "task01_numbers" and c.id == "test_easy"]
    assert easy.verdicts == len(verdicts) - 1
    assert easy.passes == sum(check.status is Status.PASSED for check in verdicts)
    middle = found["task02_pooling", "test_middle"]
    [one] = middle.misconceptions
    assert one.sentence == "the mean divides by N - 1, not by N"
    assert len(one.students) == middle.verdicts - middle.passes


def test_what_a_team_handed_in_counts_once():
    """Three members of one team, who share two hand-ins of three tasks, and a student alone."""
    rng = random.Random(3)
    shared = {task.task: graded("ann", task, 0.5, rng, submission_hash=task.task) for task in TASKS}
    rows = [replace(row, student=who) for who in ("ann", "bob", "cyd") for row in shared.values()]
    rows[-1] = replace(rows[-1], submission_hash="her own")
    rows += [graded("dan", task, 0.5, rng, submission_hash=TASKS[0].task) for task in TASKS]
    teams = {"ann": "A", "bob": "A", "cyd": "A", "dan": ""}
    once = statistics.once(rows, teams)
    assert [(row.student, row.task) for row in once] == [
        *(("ann", task.task) for task in TASKS), ("cyd", TASKS[2].task), *(("dan", task.task) for task in TASKS),
    ]  # fmt: skip
    assert [item.verdicts for item in statistics.items(once) if item.check == "test_easy"] == [2, 2, 3]
    missing = [Row(who, TASKS[0].task, "missing", 0.0, 6.0) for who in teams]
    assert statistics.once(missing, teams) == missing  # who handed in nothing is no hand-in


def test_outliers_lie_beyond_the_outer_fence():
    rng = random.Random(1)
    rows = [graded(f"s{i}", TASKS[0], 0.5, rng) for i in range(30)]
    assert statistics.outliers(rows, "seconds") == []
    slow = graded("slow", TASKS[0], 0.5, rng, seconds=3.0, peak_mb=900.0)
    [found] = statistics.outliers([*rows, slow], "seconds")
    assert (found.student, found.value) == ("slow", 3.0)
    assert found.usual == pytest.approx(0.25, abs=0.03)
    assert statistics.outliers([*rows, slow], "peak_mb") == []


def test_histogram_keeps_everybody():
    assert statistics.histogram([0, 9.99, 10, 55, 100, 100]) == [2, 1, 0, 0, 0, 1, 0, 0, 0, 2]
    assert EVIL not in tables.unmatched_csv([(EVIL, "a", "b")])
