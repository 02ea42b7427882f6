"""Tracks: how a course is read, asked for and shown by them."""

import re

import pytest
import yaml
from support import ROOT, grade_py

from torchgrade.cli import build_parser, command_names
from torchgrade.course import Course
from torchgrade.course_tools.outline import order_problems, task_tables
from torchgrade.errors import CourseError, UnknownTask

TWO = {
    "first": {"title": "First things", "about": "Where one begins.", "tasks": ["task01_scale"]},
    "second": {"title": "Second things", "about": "Where one goes on.", "tasks": ["task02_train"]},
}


def write(root, **settings):
    (root / "course.yaml").write_text(yaml.safe_dump({"title": "Two", **settings}, sort_keys=False))


@pytest.fixture
def tracked(mini):
    """The miniature course with a track for each task."""
    write(mini, tracks=TWO)
    manifest = mini / "graders" / "task02_train" / "task.yaml"
    manifest.write_text(manifest.read_text() + "builds_on: [task01_scale]\n")
    return mini


def test_tracks_are_read_in_order_of_study(tracked):
    course = Course.load(tracked)
    assert [track.name for track in course.tracks] == ["first", "second"]
    assert [task.short for task in course.tasks] == ["task01", "task02"]
    assert course.tracks[1].about == "Where one goes on."


def test_a_plain_list_of_tasks_is_one_track_without_a_name(mini):
    (track,) = Course.load(mini).tracks
    assert (track.name, len(track.tasks)) == ("", 2)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "either tracks or a list of tasks"),
        ({"tracks": TWO, "tasks": []}, "either tracks or a list of tasks"),
        ({"tracks": []}, "tracks must map names"),
        ({"tracks": {"Upper": TWO["first"]}}, "'Upper' needs a name of small letters"),
        ({"tracks": {"tasks_of_old": TWO["first"]}}, "does not begin like a task's"),
        ({"tracks": {"one": {"title": "One", "tasks": []}}}, "must hold title, about"),
        ({"tracks": {"one": {**TWO["first"], "about": " "}}}, "must hold title and about as texts"),
        ({"tracks": {"one": {**TWO["first"], "tasks": "task01_scale"}}}, "a list of tasks"),
        ({"tracks": {"one": {**TWO["first"], "tasks": ["scale"]}}}, "'scale' is not a task's stem"),
        ({"tracks": {"one": TWO["first"], "two": TWO["first"]}}, "lists task01_scale 2 times"),
    ],
)
def test_what_is_malformed_is_named(mini, settings, sentence):
    write(mini, **settings)
    with pytest.raises(CourseError, match=sentence):
        Course.load(mini)


def test_a_track_stands_for_its_tasks(tracked):
    course = Course.load(tracked)
    assert [task.short for task in course.select(["second"])] == ["task02"]
    assert [task.short for task in course.select(["task02", "First"])] == ["task01", "task02"]
    with pytest.raises(UnknownTask) as caught:
        course.select(["frst"])
    assert caught.value.near == ("first",)


def test_what_a_task_builds_on_comes_before_it(tracked):
    assert list(order_problems(Course.load(tracked))) == []
    manifest = tracked / "graders" / "task01_scale" / "task.yaml"
    manifest.write_text(manifest.read_text() + "builds_on: [task02_train, task09_none]\n")
    assert list(order_problems(Course.load(tracked))) == [
        "task01_scale: builds on task02_train, which does not come before it in course.yaml",
        "task01_scale: builds_on names task09_none, which is no task of course.yaml",
    ]


def test_the_course_is_in_order_and_no_track_is_called_like_a_command():
    course = Course.load(ROOT)
    assert list(order_problems(course)) == []
    assert not {track.name for track in course.tracks} & command_names(build_parser())


def test_the_list_shows_each_track(tracked):
    lines = grade_py("list", cwd=tracked).stdout.splitlines()
    assert lines[0] == "Two"
    assert lines[2:4] == ["first  First things", "Where one begins."]
    assert lines[4].startswith("task01  Multiply and add")


def test_the_tables_name_what_a_task_builds_on(tracked):
    text = task_tables(Course.load(tracked))
    assert "### Second things\n\nWhere one goes on. `python grade.py second`\n" in text
    assert "| 02 | Train a line | One linear layer and plain SGD. | 01 |" in text


def test_the_learners_page_shows_the_course_of_today():
    """``python docs/outline.py`` writes it."""
    page = (ROOT / "docs" / "learning.md").read_text(encoding="utf-8")
    assert page.endswith(f"docs/outline.py -->\n\n{task_tables(Course.load(ROOT))}")
    rows = re.findall(r"^\| \d\d \|", page, re.MULTILINE)
    chinese = (ROOT / "docs" / "zh-CN" / "learning.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \d\d \|", chinese, re.MULTILINE) == rows
