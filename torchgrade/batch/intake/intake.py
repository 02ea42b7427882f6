"""From a class's files to hand-ins: every file ends with a student and a task, or on the list with a reason.

``layouts`` says whose file it is, ``handin.reading`` what answers a task; here attempts are numbered and kept.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.gradebook import Handin, Unmatched, source_hash
from torchgrade.batch.intake.layouts import Layout, Owner, metadata_path, recognise
from torchgrade.batch.intake.roster import Found, Identity, Roster
from torchgrade.errors import UsageError
from torchgrade.handin.files import Entry, Files
from torchgrade.handin.kinds import may_hold_anything
from torchgrade.handin.matching import by_name
from torchgrade.handin.names import shown
from torchgrade.handin.naming import is_junk
from torchgrade.handin.opener import Opener
from torchgrade.handin.reading import Given, TaskEntry, in_order, instead, read_handin
from torchgrade.marks import Student
from torchgrade.policy import moment

MOST_ATTEMPTS = 50  # of one student at one task that are graded, the last ones; one archive may hold thousands
_NAMED = 8  # so many names a sentence holds


@dataclass(frozen=True)
class Decided:
    """What people settled before: labels that mean a student (or, empty, nobody), files that belong to a student and
    a task, and everybody who was ever known."""

    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    past: Sequence[Student] = ()


@dataclass
class Intake:
    """What was read: ``handins``, the students, the leftovers, and what is in doubt.

    ``doubts`` are sentences with the option that mends them. ``keep`` takes (file name, bundle) as they come;
    ``found`` says whom each name was taken for.
    """

    keep: Callable[[str, bytes], None]

    layout: str = ""
    students: list[Student] = field(default_factory=list)
    handins: list[Handin] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    found: Mapping[Identity, Found] = field(default_factory=dict)


class PlanLine(NamedTuple):
    """One line of what was read: a file, whose it is, for which task, and what else is to be said."""

    file: str
    person: str
    task: str
    note: str


def table(intake: Intake) -> list[PlanLine]:
    """File, person (by key), task: the hand-ins by person, then the files that are nobody's or no task's."""
    tasks: dict[tuple[str, str, str], list[str]] = {}
    for handin in sorted(intake.handins):
        note = handin.reason if handin.source is None else ""
        tasks.setdefault((handin.student, handin.label, note), []).append(handin.task)
    lines = []
    for (key, label, note), answered in tasks.items():
        several = f"{answered[0]} and {len(answered) - 1} more"
        lines.append(PlanLine(label, key, several if len(answered) > 1 else answered[0], note))
    used = {line.file for line in lines}
    others = [entry for entry in sorted(intake.unmatched) if entry.origin not in used]
    return lines + [PlanLine(entry.origin, entry.student or "?", "-", entry.reason) for entry in others]


def read_class(
    files: Files,
    wanted: Mapping[str, frozenset[str]],
    opener: Callable[[], Opener],
    listed: Sequence[Student] = (),
    *,
    keep: Callable[[str, bytes], None],
    tasks: Collection[str] | None = None,
    pattern: str | None = None,
    attempt: str = "last",
    best: Collection[str] = (),
    decided: Decided | None = None,
    ignore: Sequence[str] = (),
) -> Intake:
    """Read everything.

    ``wanted`` maps each task of the course to the names that it defines; of these ``tasks`` are asked for (default:
    all), and files of the others are passed over. ``attempt`` is last, best or all; of the tasks in ``best``
    all are kept anyhow. Raises UsageError where nothing is a hand-in.
    """
    decided = decided or Decided()
    place = metadata_path(files.entries)
    metadata = files.entries[place].read().decode("utf-8", "replace") if place else None
    entries = files.all()
    roster = Roster(listed, decided.labels, decided.past)
    layout = recognise(entries, metadata, pattern, tasks=list(wanted), known=roster.knows if listed else None)
    intake = Intake(keep, layout.name)
    given = {path: (roster.present(key), task) for path, (key, task) in decided.files.items()}
    intake.unmatched += [Unmatched(path, "", why) for path, why in layout.unmatched.items() if path not in given]
    intake.unmatched += [Unmatched(p, "", "a program left it; it is no hand-in") for p in entries if is_junk(p)]
    intake.unmatched += [Unmatched(path, "", why) for path, why in files.ignored.items()]
    intake.found = roster.find(who for owner in layout.owners.values() for who in owner.owners)
    handed: dict[str, _Handed] = {}
    for owner, group in _groups(entries, layout, given):
        owners = {path: layout.owners.get(path, owner) for path, _ in group}
        files_given = [_given(path, entry, owners[path], wanted, given.get(path, ("", ""))[1]) for path, entry in group]
        with opener() as own:
            settled = {path: task for path, (_, task) in decided.files.items()}
            reading = read_handin(files_given, wanted, own, ignore, settled)
        named = dict.fromkeys(key for who in owner.owners for key in intake.found[who].keys)
        keys, doubt = _with_team([*named, *roster.members(owner.team)], roster, owner)
        intake.doubts += doubt
        for answer in reading.answers:
            whose = keys
            if answer.path in decided.files:
                whose, _ = _with_team([roster.present(decided.files[answer.path][0])], roster, owner)
            for key in whose:
                handed.setdefault(roster.present(key), _Handed()).answers.append((answer, owners[answer.given.path]))
        for key in keys:
            work = handed.setdefault(key, _Handed())
            work.aside += reading.aside
            work.strange += reading.strange
        if not keys:
            why = "nobody's: its student was removed" if owner.owners else "it was given to somebody"
            intake.unmatched += [Unmatched(path, "", why) for path, _ in group]
    for key in handed:
        if key not in roster.students:
            roster.find([Identity(key)])
    asked = [task for task in wanted if tasks is None or task in tasks]
    for key, work in handed.items():
        _record(intake, key, work, asked, {task for task in asked if attempt != "last" or task in best})
    intake.students = roster.class_of()
    if not any(work.answers for work in handed.values()) and not any(
        s.listed and s.key in handed for s in intake.students
    ):
        raise UsageError(f"nothing is handed in here: none of the {len(entries)} files fits a task of the course")
    rivals = _rivals(handed, roster, asked, attempt)
    intake.doubts = [*layout.doubts, *_doubts(intake, layout, listed, decided), *intake.doubts, *rivals]
    return intake


def _with_team(keys: Sequence[str], roster: Roster, owner: Owner) -> tuple[list[str], list[str]]:
    """These students and all who share their team; a doubt instead where they are of several."""
    teams = {team: key for key in reversed(keys) if (team := roster.team_of(key))}
    if len(teams) > 1:
        told = _some(f"{key} of {team}" for team, key in sorted(teams.items()))
        return [*dict.fromkeys(keys)], [
            f"{owner.file!r} is one hand-in of members of several teams, {told}; mend the teams, or go on with --yes: "
            "it counts for those who are named with it"
        ]
    return list(dict.fromkeys([*keys, *(member for team in teams for member in roster.members(team))])), []


def _rivals(handed: Mapping[str, _Handed], roster: Roster, asked: Sequence[str], attempt: str) -> Iterator[str]:
    """Where members of one team handed in different work for one task."""
    told: set[str] = set()
    for key, work in sorted(handed.items()):
        team = roster.team_of(key)
        if not team or team in told:
            continue
        told.add(team)
        for task in asked:
            order = in_order([answer for answer, _ in work.answers], task)
            places = {answer.path: owner.owners for answer, owner in work.answers if answer in order}
            if len({answer.code for answer in order}) > 1 and len(set(places.values())) > 1:
                counts = "the best of them counts" if attempt == "best" else f"{shown(order[-1].path)!r} counts"
                yield (f"members of the team {team!r} handed in different work for {task}, {_some(places)}; {counts}; "
                       "mend it with `assign`, or go on with --yes")  # fmt: skip


def _groups(
    entries: Mapping[str, Entry], layout: Layout, given: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[Owner, list[tuple[str, Entry]]]]:
    """The files of one hand-in after another, so that helpers are found beside the modules that use them."""
    groups: dict[tuple[Identity, ...], list[str]] = {}
    for path in sorted(layout.owners):
        if path not in given:
            groups.setdefault(tuple(layout.owners[path].owners), []).append(path)
    for paths in groups.values():
        yield layout.owners[paths[0]], [(path, entries[path]) for path in paths]
    for path in sorted(set(given) & set(entries)):
        yield Owner((), posixpath.basename(path)), [(path, entries[path])]


@dataclass
class _Handed:
    """All that one student handed in, from however many places; an answer comes with what its place says."""

    answers: list[tuple[TaskEntry, Owner]] = field(default_factory=list)
    aside: list[tuple[str, str]] = field(default_factory=list)
    strange: list[tuple[str, str]] = field(default_factory=list)


def _given(path: str, entry: Entry, owner: Owner, wanted: Mapping[str, frozenset[str]], task: str) -> Given:
    """The file for the reader. What a person gave to a task is a module of it, whatever its name says."""
    if task:
        note = "it is an archive; give one of its files" if may_hold_anything(path) else ""
        return Given(path, f"{task}.py", entry.read, entry.modified, task=task, note=note)
    order = (owner.submitted, owner.order)
    return Given(path, owner.file, entry.read, entry.modified, order, _named(owner, wanted), owner.note)


def _named(owner: Owner, wanted: Mapping[str, frozenset[str]]) -> str:
    """The task that ``--pattern`` says; raises UsageError when it says one that does not exist."""
    if not owner.task:
        return ""
    task = by_name(owner.task, wanted) or by_name(f"task{owner.task}", wanted)
    if task is None:
        raise UsageError(f"--pattern finds the task {owner.task!r} in {owner.file!r}, which the course lacks")
    return task


def _record(intake: Intake, key: str, work: _Handed, asked: Sequence[str], whole: Collection[str]) -> None:
    """Number the attempts at each task and keep the last, or of ``whole`` all."""
    intake.unmatched += [Unmatched(path, key, why) for path, why in work.aside]
    owners = {id(answer): owner for answer, owner in work.answers}
    for task in asked:
        every = [answer for answer, _ in work.answers if answer.task == task]
        attempts = in_order(every, task)
        chosen = list(enumerate(attempts, 1))[-MOST_ATTEMPTS if task in whole else -1 :]
        for number, answer in chosen:
            owner = owners[id(answer)]
            row = (key, task, number, answer.path, _keep(intake, answer), answer.reason, owner.submitted, owner.late)
            intake.handins.append(Handin(*row))
        graded = {id(answer) for _, answer in chosen}
        why = f"an earlier attempt at {task}; --attempt best or all grades it too"
        if task in whole:
            why = f"an earlier attempt at {task}; the last {MOST_ATTEMPTS} are graded"
        others = [answer for answer in every if id(answer) not in graded]
        intake.unmatched += [Unmatched(answer.path, key, answer.reason or why) for answer in others]
        if not attempts and (reason := instead(work.strange, bool(work.answers))):
            intake.handins.append(Handin(key, task, 1, work.strange[0][0], None, reason))


def _keep(intake: Intake, answer: TaskEntry) -> str | None:
    if answer.code is None:
        return None
    packed = Bundle(answer.code, answer.helpers).pack()
    intake.keep(posixpath.basename(answer.path), packed)
    return source_hash(packed)


# What does not fit


def _doubts(intake: Intake, layout: Layout, listed: Sequence[Student], decided: Decided) -> Iterator[str]:
    by_key = {student.key: student for student in intake.students}
    claims: dict[str, list[str]] = {}
    for who, found in intake.found.items():
        if found.doubt:
            yield f"{found.doubt}; give the list a column that tells them apart, or --pattern"
        told = who.own or who.team or found.team or who.label in decided.labels
        for key in found.keys if not told else ():
            claims.setdefault(key, []).append(who.label)
    settled = {*decided.labels.values(), *(key for key, _ in decided.files.values())}  # no strangers: somebody said so
    keys = {key for found in intake.found.values() for key in found.keys}
    if listed and not any(by_key[key].listed for key in keys):
        yield (f"nobody of the list handed in; the names that were read are {_some(sorted(keys))}: "
               "is it the right --roster? --pattern says where a path names the student")  # fmt: skip
    elif strangers := sorted(key for key in keys - settled if not by_key[key].listed) if listed else []:
        yield (f"not on the list: {_some(strangers)}; add them to --roster, say by --pattern where a path names the "
               "student, or go on with --yes")  # fmt: skip
    for key, labels in claims.items():
        if len(labels) > 1:
            yield (f"{_some(labels)} are all taken for {by_key[key].shown}; --pattern tells people apart, "
                   "with --yes they are attempts of one person")  # fmt: skip
    odd = sorted(
        {owner.submitted for owner in layout.owners.values() if owner.submitted and not moment(owner.submitted)}
    )
    if odd:
        yield f"not read as a date: {_some(odd)}; the group `date` of --pattern wants 2026-03-01 or 2026-03-01T23:59"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(repr(shown(name)) for name in every[:_NAMED]) + more
