"""The durable store of a class: an SQLite file that every outcome reaches the moment it is known.

What was handed in, what the grader found and what a person decided are kept apart. A verdict belongs to
content, not to a student: its key is (task, source, suite, environment, seed), so that equal submissions are
graded once and nothing known is graded again. ``targets`` names the suite, environment and seed that are in
force.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from torchgrade.batch.gradebook.storage import Storage, now
from torchgrade.marks import Override
from torchgrade.model import Outcome, Status, TaskGrade, as_json


class Key(NamedTuple):
    """What a verdict depends on; all but the seed are content hashes or names."""

    task: str
    source: str
    suite: str
    environment: str
    seed: int


class Target(NamedTuple):
    """The suite, environment and seed in force for one task."""

    suite: str
    environment: str
    seed: int

    def key(self, task: str, source: str) -> Key:
        return Key(task, source, *self)


class Gradebook(Storage):
    """An open gradebook: the class (see ``Storage``), verdicts, decisions and runs."""

    def set_environment(self, environment: str, document: dict[str, Any]) -> None:
        with self.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO environments VALUES (?, ?)",
                (environment, json.dumps(document, sort_keys=True)),
            )

    def environment(self, environment: str) -> dict[str, Any]:
        row = self.db.execute("SELECT document FROM environments WHERE environment = ?", (environment,)).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def set_targets(self, targets: dict[str, Target]) -> None:
        """Name what is in force from now on; rows of other suites stay in the file as history."""
        with self.transaction() as db:
            db.executemany("INSERT OR REPLACE INTO targets VALUES (?, ?, ?, ?)", [(t, *v) for t, v in targets.items()])

    def targets(self) -> dict[str, Target]:
        return {row[0]: Target(*row[1:]) for row in self.db.execute("SELECT * FROM targets")}

    def done(self) -> set[Key]:
        """What needs no grading. Our own faults are not among it: they are tried again."""
        query = "SELECT task, source, suite, environment, seed FROM gradings WHERE done AND status != 'broken'"
        return {Key(*row) for row in self.db.execute(query)}

    def forget(self, key: Key) -> None:
        """Drop a verdict, so that it is reached again."""
        with self.transaction() as db:
            db.execute(f"DELETE FROM gradings WHERE {_KEY}", key)

    def partial(self, key: Key) -> list[Outcome]:
        """The outcomes of a grading that was interrupted; our own faults are left out."""
        query = (
            f"SELECT o.document FROM outcomes o JOIN gradings USING (grading) WHERE {_KEY} AND NOT done"
            " AND o.status != 'broken' ORDER BY o.position"
        )
        return [Outcome.from_json(json.loads(row[0])) for row in self.db.execute(query, key)]

    def add_outcome(self, key: Key, position: int, outcome: Outcome) -> None:
        """Keep one check's outcome at once; the same check again replaces it."""
        with self.transaction() as db:
            grading = self._grading(key)
            db.execute(_INSERT_OUTCOME, _outcome_row(grading, position, outcome))

    def _grading(self, key: Key) -> int:
        """The number of the row of ``key``, which is made where there is none."""
        row = self.db.execute(f"SELECT grading FROM gradings WHERE {_KEY}", key).fetchone()
        if row is None:
            made = self.db.execute(f"INSERT INTO gradings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)", key)
            row = (made.lastrowid,)
        return int(row[0])

    def finish(self, key: Key, grade: TaskGrade, *, reason: str = "") -> None:
        """Keep the grade, and exactly its outcomes."""
        with self.transaction() as db:
            grading = self._grading(key)
            db.execute("DELETE FROM outcomes WHERE grading = ?", (grading,))
            rows = [_outcome_row(grading, position, outcome) for position, outcome in enumerate(grade.checks)]
            db.executemany(_INSERT_OUTCOME, rows)
            values = (
                str(grade.status),
                grade.points,
                grade.max_points,
                grade.seconds,
                grade.peak_mb or None,
                grade.isolation,
            )
            db.execute(
                "UPDATE gradings SET done=1, status=?, points=?, max_points=?, seconds=?, peak_mb=?,"
                " isolation=?, memory_bound=?, reason=?, tries=tries+1, finished=? WHERE grading=?",
                (*values, grade.memory_bound, reason, now(), grading),
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

    def learn_points(self, targets: dict[str, Target]) -> None:
        """Take the possible points of each task from its verdicts: a suite may make checks that its text hides."""
        query = (
            "UPDATE tasks SET max_points = coalesce((SELECT max(max_points) FROM gradings WHERE done AND task = ?1"
            " AND status != 'broken' AND (suite, environment, seed) = (?2, ?3, ?4)), max_points) WHERE task = ?1"
        )
        with self.transaction() as db:
            db.executemany(query, [(task, *target) for task, target in targets.items()])

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


_COLUMNS = "task, source, suite, environment, seed"
_KEY = "task = ? AND source = ? AND suite = ? AND environment = ? AND seed = ?"
_INSERT_OUTCOME = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)"


def _outcome_row(grading: int, position: int, outcome: Outcome) -> tuple[Any, ...]:
    document = json.dumps(as_json(outcome), ensure_ascii=True)  # lone surrogates survive as escapes
    status = str(Status(outcome.status))
    return (grading, position, outcome.id, outcome.device, status, outcome.points, document)
