"""A column ``language`` of the roster: each student is told everything in their own, and no mark depends on it."""

import csv
import io

import pytest
from support import MINI, copy_of_mini, grade_py

from torchgrade import i18n
from torchgrade.batch.intake.roster_file import parse_roster

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
WRONG = SOLUTION.replace("x * factor", "x - factor")  # no named mistake
ROSTER = "id,name,language\nann,Ann,en\nli,李雷,zh-CN\nmax,Max,\nzoe,Zoe,tlh\n"


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("languages")
    course = copy_of_mini(folder)
    for student in ("ann", "li", "max", "zoe"):
        place = folder / "class" / student / "task01_scale.py"
        place.parent.mkdir(parents=True)
        place.write_text(WRONG + f"# {student}\n", encoding="utf-8")  # four works, not one
    (folder / "roster.csv").write_text(ROSTER, encoding="utf-8")
    out = folder / "out"
    done = grade_py(
        "batch", folder / "class", "--roster", folder / "roster.csv", "--task", "task01", "--out", out,
        "--isolation", "standard", "--yes", cwd=course, TORCHGRADE_LANG="en",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def feedback(out, student):
    return (out / "students" / student / "feedback.md").read_text(encoding="utf-8")


def test_each_reads_messages_and_headings_in_their_language(graded):
    english, chinese = feedback(graded, "ann"), feedback(graded, "li")
    assert "values differ, this one most" in english
    assert "look at   task01_scale.py" in english
    assert "此处相差最大" in chinese
    assert "需先通过：" in chinese
    assert "4 / 8 分" in chinese
    assert "differ, this one" not in chinese
    assert "of these you read" not in chinese
    assert '<html lang="zh-CN"' in (graded / "students" / "li" / "feedback.html").read_text(encoding="utf-8")


def test_blank_and_unknown_languages_are_the_courses(graded):
    assert feedback(graded, "max").replace("Max", "Ann").replace("max", "ann") == feedback(graded, "ann")
    assert feedback(graded, "zoe").replace("Zoe", "Ann").replace("zoe", "ann") == feedback(graded, "ann")


def test_marks_and_tables_know_no_language(graded):
    lines = list(csv.DictReader(io.StringIO((graded / "grades.csv").read_text(encoding="utf-8-sig"))))
    assert len(lines) == 4
    assert len({tuple(line.values())[2:] for line in lines}) == 1
    assert "预期" not in (graded / "grades.csv").read_text(encoding="utf-8-sig")
    assert '<html lang="en"' in (graded / "report.html").read_text(encoding="utf-8")


def test_the_column_is_found_by_its_usual_names():
    for heading in ("language", "Lang", "语言"):
        (student,) = parse_roster(f"id,{heading}\nli,zh_CN\n", "r")
        assert student.language == "zh_CN"


def test_what_is_told_for_one_person_ends_with_it(monkeypatch):
    monkeypatch.setenv("TORCHGRADE_LANG", "en")
    with i18n.speaking("zh-CN"):
        assert i18n.language_tag() == "zh-CN"
        with i18n.speaking(""):
            assert i18n.language_tag() == "zh-CN"
    assert i18n.language_tag() == "en"
