"""The gradebook's file: opening, locking, transactions, and what a class is and has handed in."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple, TypeVar

from torchgrade.batch.gradebook.lock import WriterLock
from torchgrade.batch.gradebook.schema import APPLICATION_ID, migrate
from torchgrade.errors import UsageError
from torchgrade.marks import Student, TaskInfo

Self = TypeVar("Self", bound="Storage")


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


def source_hash(content: bytes) -> str:
    """The identity of a submission's text: sha256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def now() -> str:
    """The present moment, ISO 8601, UTC, whole seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


class Storage:
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
        except BaseException:
            if self._lock:
                self._lock.release()
            raise

    def close(self) -> None:
        """Fold the write-ahead log into the file and give the lock back."""
        with contextlib.suppress(sqlite3.Error):
            if self._lock:
                self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.db.close()
        if self._lock:
            self._lock.release()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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

    def set_class(self, students: Iterable[Student], tasks: Sequence[TaskInfo]) -> None:
        """Add or update students and tasks; nobody who is known is removed (overrides refer to them)."""
        with self.transaction() as db:
            db.executemany(
                "INSERT INTO students VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (student) DO UPDATE SET"
                " id=excluded.id, name=excluded.name, email=excluded.email, section=excluded.section,"
                " listed=excluded.listed, ids=excluded.ids",
                [(s.key, s.id, s.name, s.email, s.section, s.listed, json.dumps(dict(s.ids))) for s in students],
            )
            db.executemany(
                "INSERT INTO tasks VALUES (?, ?, ?, ?) ON CONFLICT (task) DO UPDATE SET"
                " position=excluded.position, title=excluded.title, max_points=excluded.max_points",
                [(task.task, position, task.title, task.max_points) for position, task in enumerate(tasks)],
            )

    def students(self) -> list[Student]:
        rows = self.db.execute("SELECT * FROM students ORDER BY student")
        return [Student(k, i, n, e, s, bool(listed), json.loads(ids)) for k, i, n, e, s, listed, ids in rows]

    def tasks(self) -> list[TaskInfo]:
        rows = self.db.execute("SELECT task, title, max_points FROM tasks ORDER BY position, task")
        return [TaskInfo(*row) for row in rows]

    def set_handins(self, handins: Iterable[Handin], unmatched: Iterable[Unmatched], tasks: Sequence[str]) -> None:
        """Replace what was handed in for these tasks, in one step; verdicts are untouched."""
        with self.transaction() as db:
            db.executemany("DELETE FROM handins WHERE task = ?", [(task,) for task in tasks])
            db.execute("DELETE FROM unmatched")
            db.executemany("INSERT INTO handins VALUES (?, ?, ?, ?, ?, ?, ?, ?)", handins)
            db.executemany("INSERT OR REPLACE INTO unmatched VALUES (?, ?, ?)", unmatched)

    def handins(self) -> list[Handin]:
        rows = self.db.execute("SELECT * FROM handins ORDER BY task, student, attempt")
        return [Handin(*row)._replace(late=None if row[7] is None else bool(row[7])) for row in rows]

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
    except sqlite3.DatabaseError as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError):  # a full disk, a lock: the file itself is fine
            raise
        raise UsageError(f"{path} is no gradebook: {error}") from None
    except BaseException:
        db.close()
        raise
    return db
