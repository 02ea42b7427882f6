"""What the runs of a learner tell: when something was solved, in how many tries, in how much time."""

import json
import re
import shutil
from datetime import datetime, timedelta, timezone

import pytest
from support import MINI

from torchgrade.cli import main
from torchgrade.history import append_runs, history_file, load_history, stories
from torchgrade.model import Outcome, Status, TaskGrade

START = datetime(2026, 3, 1, 10, 0, tzinfo=timezone.utc)
PASS, FAIL, TODO = Status.PASSED, Status.FAILED, Status.TODO


def grade(task, *statuses):
    checks = tuple(
        Outcome(f"test_{number}", f"check {number}", "values", "cpu", status, float(status is PASS), 1.0)
        for number, status in enumerate(statuses)
    )
    points = sum(check.points for check in checks)
    done = Status.PASSED if points == len(checks) else Status.FAILED
    return TaskGrade(task, "T", done, points, float(len(checks)), 1.0, "g", "s", checks)


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course"
    shutil.copytree(MINI, folder, ignore=shutil.ignore_patterns("__pycache__", ".torchgrade"))
    one, two = "task01_scale", "task02_train"
    for minutes, runs in [
        (0, [grade(one, FAIL, TODO)]),
        (5, [grade(one, PASS, TODO)]),
        (9, [grade(one, PASS, FAIL)]),
        (200, [grade(one, PASS, PASS)]),
        (203, [grade(two, FAIL, TODO)]),
        (210, [grade(one, PASS, FAIL)]),
    ]:
        append_runs(folder, runs, START + timedelta(minutes=minutes))
    return folder


def test_what_the_runs_tell(course):
    told = stories(load_history(course))
    one = told["task01_scale"]
    assert (one.runs, one.best, one.max_points) == (5, 2.0, 2.0)
    assert one.begun == START
    assert one.solved == START + timedelta(minutes=200)
    assert one.spent == timedelta(minutes=2 + 5 + 4 + 2 + 7)  # a first look, 5, 4, back after hours, 7
    assert [(tries.count, tries.passed) for tries in one.tries.values()] == [
        (2, START + timedelta(minutes=5)),
        (2, START + timedelta(minutes=200)),
    ]
    two = told["task02_train"]
    assert (two.solved, two.spent) == (None, timedelta(minutes=3))
    assert [tries.count for tries in two.tries.values()] == [1, 0]


def test_a_broken_line_costs_itself_alone(course):
    with history_file(course).open("a") as file:
        file.write('{"when": "yesterday"}\n[1]\nhalf a li')
    assert len(load_history(course)) == 6
    assert load_history(course / "nowhere") == []


def test_it_is_shown_by_track_by_check_and_as_a_page(course, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(course)
    monkeypatch.delenv("TORCHGRADE_COURSE", raising=False)
    assert main(["progress"]) == 0
    text = capsys.readouterr().out
    assert "(1 of 2)" in text
    assert re.search(r"task01  2/2  solved 2026-03-01 .*, 5 runs, 0 h 20 min", text)
    assert "tasks solved: 1; runs: 6; " in text
    assert main(["progress", "task01"]) == 0
    assert re.search(r"^    2  2026-03-01 .*test_0", capsys.readouterr().out, re.MULTILINE)
    assert main(["progress", "--html", "page.html", "--pictures", str(tmp_path / "none")]) == 2
    assert "holds no PNG file" in capsys.readouterr().err
    assert main(["progress", "--html", "page.html"]) == 0
    assert "task02 loss" not in (course / "page.html").read_text()
    drawn = course / ".torchgrade" / "pictures"  # by watch
    drawn.mkdir(parents=True)
    (drawn / "task02_loss.png").write_bytes(b"\x89PNG")
    assert main(["progress", "--html", "page.html"]) == 0
    page = (course / "page.html").read_text()
    assert "1 run," in page
    assert 'alt="task02 loss" src="data:image/png;base64,iVBORw=="' in page
    assert "solved 2026-03-01" in page


def test_every_grading_of_ones_own_work_is_kept(course, monkeypatch, capsys):
    monkeypatch.chdir(course)
    monkeypatch.delenv("TORCHGRADE_COURSE", raising=False)
    main(["task01", "-q"])
    main(["task01", "--solutions", "-q"])
    entries = [json.loads(line) for line in history_file(course).read_text().splitlines()]
    assert len(entries) == 7
    assert entries[-1]["task"] == "task01_scale"
