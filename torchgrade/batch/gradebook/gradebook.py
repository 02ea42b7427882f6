"""The durable store of a class: an SQLite file that every outcome reaches the moment it is known.

What was handed in, what the grader found and what a person decided are kept apart. A verdict belongs to
content, not to a student: its key is (task, source, suite, environment, seed), so that equal submissions are
graded once and nothing known is graded again. ``targets`` names the suite, environment and seed that are in
force. Students and tasks of earlier readings stay in the file as history; what is read here are the present ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from torchgrade.batch.gradebook.lock import WriterLock
from torchgrade.batch.gradebook.schema import APPLICATION_ID, MIGRATIONS, migrate, version_of
from torchgrade.errors import TorchGradeError, UsageError
from torchgrade.i18n import translate as _
from torchgrade.marks import Override, Remark, Student, TaskInfo
from torchgrade.model import Outcome, Status, TaskGrade, as_json


class Handin(NamedTuple):
    """One attempt of one student at one task. ``source`` is None when nothing readable was handed in."""

    student: str
    task: str
    attempt: int
    label: str
    source: str | None
    reason: str = ""
    submitted: str = ""
    late: bool | None = None


class Unmatched(NamedTuple):
    """A file that belongs to no student or to no task, and why."""

    origin: str
    student: str
    reason: str


class Seed(int):
    """A seed as SQLite keeps it: its integers have 64 bits, and a larger one is a text in hexadecimal."""

    @classmethod
    def of(cls, kept: int | str) -> Seed:
        return cls(kept, 16) if isinstance(kept, str) else cls(kept)

    def kept(self) -> int | str:
        return int(self) if self < 1 << 63 else hex(self)


sqlite3.register_adapter(Seed, Seed.kept)


class Key(NamedTuple):
    """What a verdict depends on; all but the seed are content hashes or names."""

    task: str
    source: str
    suite: str
    environment: str
    seed: Seed


class Target(NamedTuple):
    """The suite, environment and seed in force for one task."""

    suite: str
    environment: str
    seed: Seed

    def key(self, task: str, source: str) -> Key:
        return Key(task, source, self.suite, self.environment, self.seed)


class Grading(NamedTuple):
    """A finished grading as it is kept; ``number`` leads to its outcomes."""

    number: int
    status: str
    points: float
    max_points: float
    seconds: float
    peak_mb: float | None
    isolation: str
    memory_bound: str
    reason: str
    notes: tuple[str, ...]


class PastGrading(NamedTuple):
    """A finished grading of one content, whichever suite, environment and seed it was made with."""

    suite: str
    environment: str
    seed: Seed
    status: str
    points: float
    max_points: float
    finished: str


class Decision(NamedTuple):
    """Points set by hand at some time; None where that was withdrawn."""

    points: float | None
    before: float | None
    why: str
    who: str
    made: str


class Extension(NamedTuple):
    """More time for a task or homework, given at some time; ``until`` is blank where that was withdrawn."""

    what: str
    until: str
    why: str
    who: str
    made: str


def source_hash(content: bytes) -> str:
    """The identity of a submission's text: sha256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def now() -> str:
    """The present moment, ISO 8601, UTC, whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


# What each of these selects by is one Key.
_OF_KEY = "task = ? AND source = ? AND suite = ? AND environment = ? AND seed = ?"
_KEY_COLUMNS = "task, source, suite, environment, seed"
_PRESENT = "student IN (SELECT student FROM students WHERE present) AND task IN (SELECT task FROM tasks WHERE present)"


def cannot_be_written(error: sqlite3.OperationalError) -> TorchGradeError:
    """What a full disk, or another program that holds the file, keeps from being written, as a sentence."""
    told = _("the gradebook cannot be written: {error}; make room, then give the same command again")
    return TorchGradeError(told.format(error=error))


class Gradebook:
    """An open gradebook. ``writer=True`` takes the lock; without it the file is opened for reading only."""

    def __init__(self, path: Path, *, writer: bool = False) -> None:
        self.path = Path(path)
        if not writer and not self.path.is_file():
            raise UsageError(f"there is no gradebook at {self.path}")
        self._lock = WriterLock(self.path) if writer else None
        if self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        try:
            self.db = _connect(self.path, writer)
        except BaseException as error:
            if self._lock:
                self._lock.release()
            if isinstance(error, sqlite3.OperationalError):
                raise cannot_be_written(error) from None
            raise

    def close(self) -> None:
        """Fold the write-ahead log into the file and give the lock back."""
        with contextlib.suppress(sqlite3.Error):
            if self._lock:
                self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()
        if self._lock:
            self._lock.release()

    def discard(self) -> None:
        """Close a gradebook of which nothing came, and remove its files while nobody else can have the lock."""
        self.db.close()
        for path in self.path.parent.glob(f"{self.path.name}*"):
            with contextlib.suppress(OSError):
                path.unlink()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Gradebook:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close()
        if isinstance(error, sqlite3.OperationalError):
            raise cannot_be_written(error) from None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; a full disk leaves the file as it was."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # a full disk has rolled back already
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    # The class --------------------

    def set_class(self, students: Iterable[Student], tasks: Sequence[TaskInfo]) -> None:
        """Make these the present students and tasks; whoever and whatever was there before stays as history."""
        with self.transaction() as db:
            db.execute("UPDATE students SET present = 0")
            db.execute("UPDATE tasks SET present = 0")
            for student in students:
                _enter(db, student)
            db.executemany(
                "INSERT INTO tasks (task, position, title, max_points) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (task) DO UPDATE SET position=excluded.position, title=excluded.title,"
                " max_points=excluded.max_points, present=1",
                [(task.task, position, task.title, task.max_points) for position, task in enumerate(tasks)],
            )

    def students(self) -> list[Student]:
        """The class at present, by key."""
        return self._students("WHERE present")

    def everybody(self) -> list[Student]:
        """The class at present and everybody who was in it before."""
        return self._students("")

    def _students(self, which: str) -> list[Student]:
        columns = "student, id, name, email, section, listed, ids, team, language"
        return [
            Student(key, number, name, email, section, bool(listed), json.loads(ids), *rest)
            for key, number, name, email, section, listed, ids, *rest in self.db.execute(
                f"SELECT {columns} FROM students {which} ORDER BY student"
            )
        ]

    def tasks(self) -> list[TaskInfo]:
        """The tasks that are asked for at present."""
        rows = self.db.execute("SELECT task, title, max_points FROM tasks WHERE present ORDER BY position, task")
        return [TaskInfo(*row) for row in rows]

    def learn_points(self, targets: Mapping[str, Target]) -> None:
        """Take the possible points of each task from its verdicts: a suite may make checks that its text hides."""
        query = (
            "UPDATE tasks SET max_points = coalesce((SELECT max(max_points) FROM gradings WHERE done AND task = ?1"
            " AND status != 'broken' AND (suite, environment, seed) = (?2, ?3, ?4)), max_points) WHERE task = ?1"
        )
        values = [(task, target.suite, target.environment, target.seed) for task, target in targets.items()]
        with self.transaction() as db:
            db.executemany(query, values)

    # What was handed in --------------------

    def set_handins(self, handins: Iterable[Handin], unmatched: Iterable[Unmatched], tasks: Sequence[str]) -> None:
        """Replace what was handed in for these tasks, in one step; verdicts are untouched."""
        with self.transaction() as db:
            db.executemany("DELETE FROM handins WHERE task = ?", [(task,) for task in tasks])
            db.execute("DELETE FROM unmatched")
            db.executemany("INSERT INTO handins VALUES (?, ?, ?, ?, ?, ?, ?, ?)", handins)
            db.executemany("INSERT OR REPLACE INTO unmatched VALUES (?, ?, ?)", unmatched)

    def handins(self) -> list[Handin]:
        """Those of the present students for the present tasks, by task, student and attempt."""
        rows = self.db.execute(f"SELECT * FROM handins WHERE {_PRESENT} ORDER BY task, student, attempt")
        return [Handin(*row)._replace(late=None if row[7] is None else bool(row[7])) for row in rows]

    def works(self) -> dict[tuple[str, str], set[str]]:
        """(task, hash of a work) -> the keys of all who ever handed it in and whose hand-ins are kept."""
        found: dict[tuple[str, str], set[str]] = {}
        for task, source, student in self.db.execute("SELECT task, source, student FROM handins WHERE source NOT NULL"):
            found.setdefault((task, source), set()).add(student)
        return found

    def unmatched(self) -> list[Unmatched]:
        return [Unmatched(*row) for row in self.db.execute("SELECT * FROM unmatched ORDER BY origin")]

    def add_sources(self, sources: Iterable[tuple[str, bytes]]) -> None:
        """Keep submissions' texts, as (file name, content); equal contents are kept once."""
        with self.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO sources VALUES (?, ?, ?, ?)",
                ((source_hash(text), name, len(text), zlib.compress(text, 6)) for name, text in sources),
            )

    def source(self, source: str) -> bytes:
        """The text with this hash; raises UsageError when it is not in the gradebook."""
        row = self.db.execute("SELECT content FROM sources WHERE source = ?", (source,)).fetchone()
        if row is None:
            raise UsageError(f"{self.path} holds no submission {source[:12]}")
        return zlib.decompress(row[0])

    # Verdicts --------------------

    def set_environment(self, environment: str, document: dict[str, Any]) -> None:
        values = environment, json.dumps(document, sort_keys=True)
        with self.transaction() as db:
            db.execute("INSERT OR IGNORE INTO environments VALUES (?, ?)", values)

    def environment(self, environment: str) -> dict[str, Any]:
        row = self.db.execute("SELECT document FROM environments WHERE environment = ?", (environment,)).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def set_targets(self, targets: Mapping[str, Target]) -> None:
        """Name what is in force from now on; rows of other suites stay in the file as history."""
        values = [(task, target.suite, target.environment, target.seed) for task, target in targets.items()]
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO targets VALUES (?, ?, ?, ?)", values)

    def targets(self) -> dict[str, Target]:
        rows = self.db.execute("SELECT task, suite, environment, seed FROM targets")
        return {task: Target(suite, environment, Seed.of(seed)) for task, suite, environment, seed in rows}

    def done(self) -> set[Key]:
        """What needs no grading. Our own faults are not among it: they are tried again."""
        query = f"SELECT {_KEY_COLUMNS} FROM gradings WHERE done AND status != 'broken'"
        return {Key(*row)._replace(seed=Seed.of(row[-1])) for row in self.db.execute(query)}

    def forget(self, key: Key) -> None:
        """Drop a verdict, so that it is reached again."""
        with self.transaction() as db:
            db.execute(f"DELETE FROM gradings WHERE {_OF_KEY}", key)

    def graded(self, key: Key) -> Grading | None:
        """The finished grading of this key, if there is one."""
        columns = "grading, status, points, max_points, seconds, peak_mb, isolation, memory_bound, reason, notes"
        row = self.db.execute(f"SELECT {columns} FROM gradings WHERE done AND {_OF_KEY}", key).fetchone()
        return Grading(*row)._replace(notes=tuple(json.loads(row[-1]))) if row else None

    def gradings_of(self, task: str, source: str) -> list[PastGrading]:
        """All finished gradings of this content for this task, the oldest first."""
        query = (
            "SELECT suite, environment, seed, status, points, max_points, finished FROM gradings"
            " WHERE done AND task = ? AND source = ? ORDER BY finished, grading"
        )
        return [PastGrading(*row)._replace(seed=Seed.of(row[2])) for row in self.db.execute(query, (task, source))]

    def outcomes(self, grading: Grading) -> tuple[Outcome, ...]:
        """Its outcomes in the order of the suite."""
        query = "SELECT document FROM outcomes WHERE grading = ? ORDER BY position"
        return tuple(Outcome.from_json(json.loads(row[0])) for row in self.db.execute(query, (grading.number,)))

    def partial(self, key: Key) -> list[Outcome]:
        """The outcomes of a grading that was interrupted; our own faults are left out."""
        query = (
            f"SELECT o.document FROM outcomes o JOIN gradings USING (grading) WHERE {_OF_KEY} AND NOT done"
            " AND o.status != 'broken' ORDER BY o.position"
        )
        return [Outcome.from_json(json.loads(row[0])) for row in self.db.execute(query, key)]

    def add_outcome(self, key: Key, position: int, outcome: Outcome) -> None:
        """Keep one check's outcome at once; the same check again replaces it."""
        with self.transaction() as db:
            db.execute(_INSERT_OUTCOME, _outcome_row(self._grading(key), position, outcome))

    def _grading(self, key: Key) -> int:
        """The number of the row of ``key``, which is made where there is none."""
        row = self.db.execute(f"SELECT grading FROM gradings WHERE {_OF_KEY}", key).fetchone()
        if row is None:
            made = self.db.execute(f"INSERT INTO gradings ({_KEY_COLUMNS}) VALUES (?, ?, ?, ?, ?)", key)
            row = (made.lastrowid,)
        return int(row[0])

    def finish(self, key: Key, grade: TaskGrade, *, reason: str = "") -> None:
        """Keep the grade, and exactly its outcomes."""
        with self.transaction() as db:
            number = self._grading(key)
            db.execute("DELETE FROM outcomes WHERE grading = ?", (number,))
            rows = [_outcome_row(number, position, outcome) for position, outcome in enumerate(grade.checks)]
            db.executemany(_INSERT_OUTCOME, rows)
            db.execute(
                "UPDATE gradings SET done=1, status=:status, points=:points, max_points=:max_points,"
                " seconds=:seconds, peak_mb=:peak_mb, isolation=:isolation, memory_bound=:memory_bound,"
                " reason=:reason, notes=:notes, tries=tries+1, finished=:finished WHERE grading=:number",
                {
                    "status": str(grade.status),
                    "points": grade.points,
                    "max_points": grade.max_points,
                    "seconds": grade.seconds,
                    "peak_mb": grade.peak_mb or None,
                    "isolation": grade.isolation,
                    "memory_bound": grade.memory_bound,
                    "reason": reason,
                    "notes": json.dumps(grade.notes),
                    "finished": now(),
                    "number": number,
                },
            )

    def add_fault(self, task: str, source: str, attempt: int, reason: str) -> None:
        """Remember a fault of our own, also when the second try went well."""
        with self.transaction() as db:
            db.execute(
                "INSERT INTO faults (task, source, try, reason, made) VALUES (?, ?, ?, ?, ?)",
                (task, source, attempt, reason, now()),
            )

    def faults(self) -> list[tuple[str, str, int, str]]:
        """(task, source, try, reason) of each, oldest first."""
        return list(self.db.execute("SELECT task, source, try, reason FROM faults ORDER BY fault"))

    def seconds(self) -> dict[str, float]:
        """Mean wall seconds of the gradings of each task so far."""
        query = "SELECT task, avg(seconds) FROM gradings WHERE done AND status != 'broken' GROUP BY task"
        return dict(self.db.execute(query).fetchall())

    # What a person decided --------------------

    def override(
        self, student: str, task: str, points: float | None, *, why: str, who: str, before: float | None
    ) -> None:
        """Set a student's points by hand, or withdraw that with None. Every decision is kept."""
        with self.transaction() as db:
            db.execute(
                "INSERT INTO overrides (student, task, points, before, why, who, made) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (student, task, points, before, why, who, now()),
            )

    def overrides(self) -> dict[tuple[str, str], Override]:
        """The decisions in force: the newest of each student and task, unless it withdraws."""
        query = "SELECT student, task, points, why, who, made, before FROM overrides ORDER BY override"
        newest = {(row[0], row[1]): row for row in self.db.execute(query)}
        return {key: Override(*row) for key, row in newest.items() if row[2] is not None}

    def extend(self, student: str, what: str, until: str, *, why: str, who: str) -> None:
        """Give a student more time for a task or homework: ``until`` is a moment or a duration, blank withdraws."""
        with self.transaction() as db:
            db.execute(
                "INSERT INTO extensions (student, what, until, why, who, made) VALUES (?, ?, ?, ?, ?, ?)",
                (student, what, until, why, who, now()),
            )

    def extensions(self) -> dict[tuple[str, str], str]:
        """Those in force: (student, task or homework) -> until."""
        query = "SELECT student, what, until FROM extensions ORDER BY extension"
        newest = {(student, what): until for student, what, until in self.db.execute(query)}
        return {key: until for key, until in newest.items() if until}

    def extensions_of(self, student: str) -> list[Extension]:
        """All that this student was given, the oldest first, with what was withdrawn."""
        query = "SELECT what, until, why, who, made FROM extensions WHERE student = ? ORDER BY extension"
        return [Extension(*row) for row in self.db.execute(query, (student,))]

    def decisions(self, student: str, task: str) -> list[Decision]:
        """All that was set by hand for this student's task, the oldest first, with what was withdrawn."""
        query = "SELECT points, before, why, who, made FROM overrides WHERE student = ? AND task = ? ORDER BY override"
        return [Decision(*row) for row in self.db.execute(query, (student, task))]

    def remark(self, said: Iterable[tuple[str, str, str, float | None, str]], *, who: str) -> None:
        """Keep what a person gives and says about parts of hand-ins, in the place of what was there.

        Each is (student, task, part, points, comment); task and part are blank for the whole.
        """
        with self.transaction() as db:
            db.executemany(
                "INSERT INTO remarks (student, task, part, points, comment, who, made) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(*one, who, now()) for one in said],
            )

    def remarks(self) -> dict[tuple[str, str], dict[str, Remark]]:
        """The newest of each part: (student, task) -> part -> remark; task and part are blank for the whole."""
        query = "SELECT student, task, part, points, comment, who, made FROM remarks ORDER BY remark"
        found: dict[tuple[str, str], dict[str, Remark]] = {}
        for row in self.db.execute(query):
            found.setdefault((row[0], row[1]), {})[row[2]] = Remark(*row[2:])
        return found

    def give(self, file: str, student: Student, task: str, *, who: str) -> None:
        """This file is a hand-in of this student for this task, from the next reading on."""
        with self.transaction() as db:
            if student.key not in {row[0] for row in db.execute("SELECT student FROM students")}:
                _enter(db, student)
            values = file, student.key, task, who, now()
            db.execute("INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?, ?)", values)

    def given(self) -> dict[str, tuple[str, str]]:
        """file -> (student, task)."""
        return {row[0]: (row[1], row[2]) for row in self.db.execute("SELECT file, student, task FROM given")}

    def set_read_as(self, labels: Mapping[str, Sequence[str]]) -> None:
        """Keep what the files of the present reading call the students: label -> keys."""
        with self.transaction() as db:
            db.execute("DELETE FROM read_as")
            pairs = [(label, key) for label, keys in labels.items() for key in keys]
            db.executemany("INSERT OR IGNORE INTO read_as VALUES (?, ?)", pairs)

    def read_as(self) -> dict[str, list[str]]:
        """label -> the keys of the students whom the files of the present reading call so."""
        found: dict[str, list[str]] = {}
        for label, student in self.db.execute("SELECT label, student FROM read_as ORDER BY student"):
            found.setdefault(label, []).append(student)
        return found

    def labels(self) -> dict[str, str]:
        """What people decided about names: label -> student, empty where nobody is meant."""
        return dict(self.db.execute("SELECT label, student FROM people ORDER BY made").fetchall())

    def remove(self, student: str, *, who: str) -> None:
        """Take a student out of the class; hand-ins under this name are nobody's from now on."""
        with self.transaction() as db:
            self._means(student, "", who)
            db.execute("UPDATE students SET present = 0 WHERE student = ?", (student,))

    def merge(self, student: str, into: str, *, who: str) -> None:
        """One person after all: hand-ins, decisions and names of ``student`` become those of ``into``.

        The attempts of ``into`` come after the others.
        """
        with self.transaction() as db:
            for (task,) in db.execute("SELECT DISTINCT task FROM handins WHERE student = ?", (student,)).fetchall():
                _append(db, student, into, task)
            self._follow(student, into)
            self._means(student, into, who)
            db.execute("UPDATE students SET present = 0 WHERE student = ?", (student,))

    def rename(self, student: Student, new: Student, *, who: str) -> None:
        """The same person under another key and name. The old entry stays as history."""
        if new.key == student.key:
            with self.transaction() as db:
                _enter(db, new)
            return
        if new.key in {other.key for other in self.students()}:
            raise UsageError(f"{new.key} is in the gradebook already; `merge` makes two entries one")
        with self.transaction() as db:
            _enter(db, new)
        self.merge(student.key, new.key, who=who)

    def follow(self, student: str, into: str) -> bool:
        """Let the decisions about a former entry count for the present one; whether there were any."""
        with self.transaction():
            return self._follow(student, into)

    def _follow(self, student: str, into: str) -> bool:
        moved = 0
        for table in ("overrides", "extensions", "remarks", "given", "people"):
            moved += self.db.execute(f"UPDATE {table} SET student = ? WHERE student = ?", (into, student)).rowcount
        return moved > 0

    def _means(self, student: str, key: str, who: str) -> None:
        """Every label under which the student was read means ``key`` from now on."""
        labels = [row[0] for row in self.db.execute("SELECT label FROM read_as WHERE student = ?", (student,))]
        self.db.execute("UPDATE people SET student = ? WHERE student = ?", (key, student))
        values = [(label, key, who, now()) for label in {student, *labels} if label != key]
        self.db.executemany("INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)", values)
        self.db.execute("UPDATE OR REPLACE unmatched SET student = ? WHERE student = ?", (key, student))

    # The run --------------------

    def begin_run(self, document: dict[str, Any]) -> int:
        with self.transaction() as db:
            values = (now(), json.dumps(document, sort_keys=True))
            return int(db.execute("INSERT INTO runs (started, document) VALUES (?, ?)", values).lastrowid or 0)

    def end_run(self, run: int, how: str) -> None:
        with self.transaction() as db:
            db.execute("UPDATE runs SET ended = ?, how = ? WHERE run = ?", (now(), how, run))

    def setting(self, name: str, default: str | None = None) -> str | None:
        row = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else default

    def set_setting(self, name: str, value: str) -> None:
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))


def _connect(path: Path, writer: bool) -> sqlite3.Connection:
    """Open and, for a writer, migrate; every statement commits by itself unless inside ``transaction``."""
    target = f"{path.absolute().as_uri()}?mode={'rwc' if writer else 'ro'}"
    db = sqlite3.connect(target, uri=True, isolation_level=None, timeout=30)
    try:
        db.execute("PRAGMA foreign_keys = ON")
        if writer:
            db.execute("PRAGMA journal_mode = WAL")
            # Safe against SIGKILL; a power cut may cost the last moments.
            db.execute("PRAGMA synchronous = NORMAL")
            migrate(db, path)
        elif db.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise sqlite3.DatabaseError("another program wrote it")
        elif version_of(db) != len(MIGRATIONS):
            db = _newest(db, path)
    except sqlite3.DatabaseError as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError):  # a full disk, a lock: the file itself is fine
            raise
        raise UsageError(f"{path} is no gradebook: {error}") from None
    except BaseException:
        db.close()
        raise
    return db


def _newest(old: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """An older file is read through a copy in memory that has the newest tables; the file stays as it is.

    Raises UsageError for one that a newer engine wrote.
    """
    db = sqlite3.connect(":memory:", isolation_level=None)
    old.backup(db)
    old.close()
    migrate(db, path, keep=False)
    db.execute("PRAGMA query_only = ON")
    return db


def _enter(db: sqlite3.Connection, student: Student) -> None:
    """Add a student to the present class, or renew what is known."""
    key, number, name, email, section, listed, ids, team, language = astuple(student)
    db.execute(
        "INSERT INTO students (student, id, name, email, section, listed, ids, team, language)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (student) DO UPDATE SET id=excluded.id, name=excluded.name,"
        " email=excluded.email, section=excluded.section, listed=excluded.listed, ids=excluded.ids,"
        " team=excluded.team, language=excluded.language, present=1",
        (key, number, name, email, section, listed, json.dumps(dict(ids)), team, language),
    )


def _append(db: sqlite3.Connection, student: str, into: str, task: str) -> None:
    """Put the attempts of ``into`` behind those of ``student``, and make all of them those of ``into``."""
    of = "WHERE student = ? AND task = ?"
    moved = int(db.execute(f"SELECT max(attempt) FROM handins {of}", (student, task)).fetchone()[0])
    for (attempt,) in db.execute(f"SELECT attempt FROM handins {of} ORDER BY attempt DESC", (into, task)).fetchall():
        db.execute(f"UPDATE handins SET attempt = ? {of} AND attempt = ?", (attempt + moved, into, task, attempt))
    db.execute(f"UPDATE handins SET student = ? {of}", (into, student, task))


_INSERT_OUTCOME = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)"


def _outcome_row(grading: int, position: int, outcome: Outcome) -> tuple[Any, ...]:
    document = json.dumps(as_json(outcome), ensure_ascii=True)  # lone surrogates survive as escapes
    status = str(Status(outcome.status))
    return (grading, position, outcome.id, outcome.device, status, outcome.points, document)
