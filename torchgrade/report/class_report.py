"""The page for a class: one self-contained HTML file, without network, from the gradebook's rows."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchgrade.i18n import noop, translate_built
from torchgrade.i18n import translate as _
from torchgrade.marks import MISSING, OPEN, TEST_STUDENT, UNREADABLE, Row, Student, TaskInfo
from torchgrade.model import Status
from torchgrade.report import statistics
from torchgrade.report.charts import histogram_svg
from torchgrade.report.feedback import TEMPLATES, environment
from torchgrade.report.sum_text import late_words, line_words, total_words
from torchgrade.report.tables import Marks, by_student
from torchgrade.sums import TaskSum, Total

_MOST = 12  # misconceptions: more are not taught in a week
_ZEROS = {
    MISSING: noop("Nothing came"),
    UNREADABLE: noop("Something came that cannot be read"),
    Status.TODO.value: noop("Handed in as it was handed out"),
    Status.TIMED_OUT.value: noop("It ran past the time limit"),
    Status.OUT_OF_MEMORY.value: noop("It ran past the memory limit"),
    Status.CRASHED.value: noop("It raised or died before any check passed"),
    Status.FAILED.value: noop("Graded, and nothing was right"),
}  # why something is worth nothing
_SAID = (MISSING, UNREADABLE, Status.TODO.value)  # in place of a zero


@dataclass(frozen=True)
class ClassFacts:
    """What the page says besides the rows. ``links`` maps a student's key to the feedback page's relative
    path; ``faults`` are (task, sentence) of our own."""

    course: str
    made: str
    environment: Mapping[str, str]
    links: Mapping[str, str]
    faults: Sequence[tuple[str, str]] = ()
    unmatched: int = 0
    changes: int = 0


@dataclass(frozen=True)
class TrackPart:
    """A track's part of the page."""

    title: str
    tasks: Sequence[TaskInfo]

    @property
    def max_points(self) -> float:
        return sum(task.max_points for task in self.tasks)


def class_report(
    students: Sequence[Student],
    rows: Sequence[Row],
    tasks: Sequence[TaskInfo],
    marks: Marks,
    facts: ClassFacts,
    tracks: Sequence[TrackPart] = (),
) -> str:
    """The document. ``rows`` hold one row for each student and task; of several ``tracks`` each has a part."""
    table = by_student(rows)
    real = {student.key for student in students if TEST_STUDENT not in student.ids}
    counted = [row for row in rows if row.student in real]
    teams = {student.key: student.team for student in students}
    works = statistics.once(counted, teams)
    items = statistics.items(works)
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    people = [marks[key] for key in marks if key in real]
    shown = [_student(s, table[s.key], marks[s.key], tasks, facts.links, tracks) for s in students]
    marked = [(name, word) for name, word in _MARKS.items() if any(name in one["choices"] for one in shown)]
    percents = [mark.percent for mark in people if mark.percent is not None]
    return environment().get_template("class_report.html.j2").render(
        facts=facts,
        tasks=tasks,
        tracks=tracks,
        sections=sorted({student.section for student in students} - {""}),
        students=shown,
        marked=marked,
        items=[_item(item) for item in items],
        everybody=[item for item in items if item.verdicts and item.passes == item.verdicts],
        nobody=[item for item in items if item.verdicts and item.passes == 0],
        histogram=histogram_svg(statistics.histogram(percents), [f"{10 * i}\u2013{10 * i + 10}" for i in range(10)]),
        summary=_summary(percents, people),
        statuses=_statuses(counted),
        slow=_outliers(works, "seconds"),
        big=_outliers(works, "peak_mb"),
        teach=[{"item": item, "said": said} for item, said in statistics.to_teach(items)[:_MOST]],
        zeros=_zeros(counted),
        broken=[row for row in rows if row.status == Status.BROKEN.value],
        names={student.key: student.shown for student in students},
        mates=_mates(teams),
        in_teams=any(teams.values()),
        graded=any(mark.passed is not None for mark in marks.values()),
        script=script,
        digest=digest,
    )  # fmt: skip


def _mates(teams: Mapping[str, str]) -> dict[str, list[str]]:
    """Everybody with all of their team."""
    members: dict[str, list[str]] = {}
    for key, team in teams.items():
        members.setdefault(team, []).append(key)
    return {key: members[team] if team else [key] for key, team in teams.items()}


def _student(
    student: Student,
    rows: Mapping[str, Row],
    mark: Total,
    tasks: Sequence[TaskInfo],
    links: Mapping[str, str],
    tracks: Sequence[TrackPart],
) -> dict[str, Any]:
    return {
        "who": student,
        "link": links.get(student.key, ""),
        "mark": mark,
        "words": total_words(mark),
        "cells": {task.task: _cell(rows[task.task], mark.line(task.task)) for task in tasks},
        "tracks": [_track_cell(track, [mark.line(task.task) for task in track.tasks]) for track in tracks],
        "choices": sorted({word for task in tasks for word in _choices(rows[task.task], mark)}),
    }


_MARKS = {"late": noop("late"), "by_hand": noop("set by hand"), "left_out": noop("not counted")}  # of a cell: ° * †


def _choices(row: Row, mark: Total) -> list[str]:
    """By what a student can be chosen: what became of a task, and the marks of its cell."""
    marks = {"late": row.late, "by_hand": row.override, "left_out": row.task in mark.dropped}
    return [row.status, *(name for name, there in marks.items() if there)]


def _track_cell(track: TrackPart, lines: Sequence[TaskSum]) -> dict[str, Any]:
    known = [line.points for line in lines if line.points is not None]
    if len(known) < len(lines):
        return {"points": None, "level": "open"}
    share = sum(known) / track.max_points if track.max_points else 0.0
    return {"points": round(sum(known), 6), "level": _level(share)}


def _level(share: float) -> str:
    return str(min(int(share * 10), 10))


def _cell(row: Row, line: TaskSum) -> dict[str, Any]:
    level = "open" if line.points is None else _level(line.share)
    notes = [_(row.status).replace("_", " ")]
    if row.override:
        notes.append(_("set by hand: {why}").format(why=row.override.why))
    if line.late:
        notes.append(late_words(line.late))
    if line.points is not None and (row.by_hand or line.bonus or (line.late and line.late.cost)):
        notes.append(line_words(line))
    if row.reason:
        notes.append(translate_built(row.reason))
    # Zeros of different kinds look different: nothing came, nothing that can be read came, or it was graded.
    word = row.status if line.points is None or (row.status in _SAID and line.points == 0 and not row.override) else ""
    level = row.status if word and line.points is not None else level
    return {"row": row, "line": line, "level": level, "word": _(word).replace("_", " "), "notes": "; ".join(notes)}


def _item(item: statistics.Item) -> dict[str, Any]:
    rate = item.rate
    return {"item": item, "rate": rate, "level": "open" if rate is None else _level(rate)}


def _summary(percents: Sequence[float], marks: Iterable[Total]) -> dict[str, Any]:
    ordered = sorted(percents)
    whole = list(marks)
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2 if ordered else None
    return {
        "students": len(whole),
        "complete": len(ordered),
        "mean": sum(ordered) / len(ordered) if ordered else None,
        "median": median,
        "passed": sum(mark.passed is True for mark in whole),
    }


def _zeros(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The groups of zeros that there are, in the order of ``_ZEROS``."""
    found = statistics.zeros(rows)
    return [{"words": words, "rows": found[status]} for status, words in _ZEROS.items() if status in found]


def _statuses(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """How many rows have each status, the open ones last."""
    counted = Counter(row.status for row in rows)
    return sorted(counted.items(), key=lambda pair: (pair[0] in OPEN, -pair[1]))


def _outliers(rows: Sequence[Row], field: str) -> list[dict[str, Any]]:
    found = statistics.outliers(rows, field)[:20]
    return [{"key": o.student, "o": o, "times": o.value / o.usual} for o in found]
