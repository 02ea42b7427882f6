"""``override``, ``assign``, ``merge``, ``rename`` and ``remove``: what a person decides about a class."""

from __future__ import annotations

import argparse
import difflib
import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.intake.roster import one_student
from torchgrade.batch.run import Submissions, take_in
from torchgrade.classes.anonymous import masked_files, pseudonyms
from torchgrade.classes.publish import publish
from torchgrade.classes.standing import Standing, standing
from torchgrade.commands.batch import existing_gradebook, grade, isolation, say, tell_intake
from torchgrade.course import Course, Task
from torchgrade.errors import UsageError
from torchgrade.i18n import translate as _
from torchgrade.isolation.launch.openers import Openers
from torchgrade.marks import Row, Student
from torchgrade.model import ExitCode
from torchgrade.report.sum_text import line_words, total_words


def override(options: argparse.Namespace, course: Course) -> int:
    """Set a student's points by hand, or withdraw that; the reason is kept and shown in every output."""
    task = course.find(options.task)
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        chosen = rows_of(book, course, options.student, task)
        points = None if options.points == "none" else _points(options.points, chosen[0].max_points)
        for row in chosen:
            book.override(row.student, task.stem, points, why=options.why, who=user(), before=row.earned)
        tell(publish(book, course, options.out), [row.student for row in chosen], task)
    return int(ExitCode.PASSED)


def tell(found: Standing, students: Sequence[str], task: Task | None = None) -> None:
    """What the marks are now: the sum of a task, and of the total."""
    for student in [found.pseudonyms.get(student, student) for student in students]:
        mark = found.marks[student]
        if task is not None:
            say(_("{place}: {what}").format(place=f"{student} {task.stem}", what=line_words(mark.line(task.stem))))
        say(_("{place}: {what}").format(place=student, what=total_words(mark)))


@dataclass(frozen=True)
class People:
    """Who is in a class, to be named by an instructor. ``labels`` is what the files call them."""

    students: Sequence[Student]
    labels: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, book: Gradebook) -> People:
        hidden = {name: [key] for key, name in pseudonyms(book).items()}
        return cls(book.students(), {**book.read_as(), **hidden})

    def named(self, said: str) -> list[str]:
        """The key of a student, or of every member of a team; UsageError where nobody or several are meant."""
        team = [student.key for student in self.students if said and student.team == said]
        exact = [student.key for student in self.students if student.key == said]
        return team or exact or [self.one(said).key]

    def one(self, said: str) -> Student:
        """The student that is meant; UsageError where that is nobody or several."""
        return one_student(self.students, said, self.labels)


def rows_of(book: Gradebook, course: Course, said: str, task: Task) -> list[Row]:
    """The rows of a student, or of every member of a team."""
    keys, table = People.of(book).named(said), standing(book, course).table
    found = [table[key][task.stem] for key in keys if task.stem in table[key]]
    if not found:
        raise UsageError(_("{task} is not in the gradebook").format(task=task.stem))
    return found


def read_points(text: str) -> float:
    """Points as people write them, with a point or a comma."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise UsageError(_("points are a number or `none`, not {text!r}").format(text=text)) from None


def _points(text: str, most: float) -> float:
    points = read_points(text)
    if not 0 <= points <= most:
        raise UsageError(_("points lie between 0 and {most:g}").format(most=most))
    return points


def user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def assign(options: argparse.Namespace, course: Course) -> int:
    """Give a file to a student for a task, read the class again and grade what is new."""
    task = course.find(options.task)
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        asked = [one for one in course.tasks if one.stem in {info.task for info in book.tasks()}]
        if task not in asked:
            raise UsageError(_("{task} is not in the gradebook").format(task=task.stem))
        file = _file(book, options.file)
        student = _somebody(book, options.student)
        book.give(file, student, task.stem, who=user())
        place = Path(book.setting("submissions", "") or "")
        if not place.exists():
            say(_("kept; it counts from the next `batch`, for {place} is not there").format(place=place))
            return int(ExitCode.PASSED)
        pattern, attempt = book.setting("pattern") or None, book.setting("attempt") or ""
        with Openers(isolation(options), course.secret) as openers:
            submissions = Submissions(place, course, asked, openers, (), pattern, attempt)
            intake, followed = take_in(book, submissions)
        names = pseudonyms(book, [student.key])
        shown = names.get(student.key, student.key)
        say(_("{file} is {student}'s for {task}").format(file=options.file, student=shown, task=task.stem))
        tell_intake(book, intake, followed)
        return grade(book, course, asked, options)


def _file(book: Gradebook, said: str) -> str:
    """The path that is meant; UsageError names the near ones where the last reading has no such file."""
    left = {entry.origin: path for path, entry in masked_files(book).items()}
    files = {
        **{handin.label: handin.label for handin in book.handins()},
        **{path: path for path in left.values()},
        **left,
    }
    if said in files:
        return files[said]
    near = difflib.get_close_matches(said, left if pseudonyms(book) else files, n=3, cutoff=0.4)
    meant = _("; is it {names}?").format(names=_(" or ").join(near)) if near else ""
    raise UsageError(_("no file {file!r} was read; unmatched.csv spells them").format(file=said) + meant)


def _somebody(book: Gradebook, said: str) -> Student:
    """A student of the class; a new one where no list says who belongs to it."""
    students = book.students()
    if any(student.listed for student in students) or any(said in (s.key, s.name, s.email) for s in students):
        return People.of(book).one(said)
    return Student(said, said)


def merge(options: argparse.Namespace, course: Course) -> int:
    """Two entries of one person become one, now and in every reading to come."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        one, other = (People.of(book).one(said) for said in (options.student, options.into))
        if one.key == other.key:
            raise UsageError(_("{student} is one entry already").format(student=one.key))
        names = pseudonyms(book)
        book.merge(one.key, other.key, who=user())
        publish(book, course, options.out)
        _say_follows(names, one.key, other.key)
    return int(ExitCode.PASSED)


def _say_follows(names: Mapping[str, str], one: str, into: str) -> None:
    words = _("{student} is {into} now; hand-ins and decisions follow")
    say(words.format(student=names.get(one, one), into=names.get(into, into)))


def rename(options: argparse.Namespace, course: Course) -> int:
    """The same person under another id, or with another name."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        student = People.of(book).one(options.student)
        key = options.new or student.key
        name = student.name if options.name is None else options.name
        if key == student.key and name == student.name:
            raise UsageError(_("give a new id, or --name"))
        names = pseudonyms(book, [key])
        book.rename(student, replace(student, key=key, id=key, name=name), who=user())
        publish(book, course, options.out)
        _say_follows(names, student.key, key)
    return int(ExitCode.PASSED)


def remove(options: argparse.Namespace, course: Course) -> int:
    """Take somebody out of the class; the gradebook keeps the history."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        student = People.of(book).one(options.student)
        shown = pseudonyms(book).get(student.key, student.key)
        book.remove(student.key, who=user())
        publish(book, course, options.out)
        say(_("{student} is out of the class; the gradebook keeps what was graded").format(student=shown))
    return int(ExitCode.PASSED)
