"""The gradebook's tables, and the steps from an older version to this one.

Each migration is a list of statements that runs inside one transaction; its place in the list is the schema
version that it reaches (SQLite's ``user_version``). Never edit a published one: append.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from torchgrade.errors import UsageError

APPLICATION_ID = 0x54477262  # "TGrb", so that a foreign SQLite file is recognised

_FIRST = """
CREATE TABLE students ( student TEXT PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, email TEXT NOT
    NULL, section TEXT NOT NULL, listed INTEGER NOT NULL, ids TEXT NOT NULL );
CREATE TABLE tasks (task TEXT PRIMARY KEY, position INTEGER NOT NULL, title TEXT NOT NULL, max_points
    REAL NOT NULL);
CREATE TABLE sources (source TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, content BLOB
    NOT NULL);
CREATE TABLE handins ( student TEXT NOT NULL REFERENCES students, task TEXT NOT NULL REFERENCES tasks,
    attempt INTEGER NOT NULL, label TEXT NOT NULL, source TEXT REFERENCES sources, reason TEXT NOT NULL,
    submitted TEXT NOT NULL, late INTEGER, PRIMARY KEY (student, task, attempt) );
CREATE INDEX handins_by_source ON handins (task, source);
CREATE TABLE unmatched (origin TEXT PRIMARY KEY, student TEXT NOT NULL, reason TEXT NOT NULL);
CREATE TABLE environments (environment TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE targets ( task TEXT PRIMARY KEY REFERENCES tasks, suite TEXT NOT NULL, environment TEXT NOT
    NULL REFERENCES environments, seed INTEGER NOT NULL );
CREATE TABLE gradings ( grading INTEGER PRIMARY KEY, task TEXT NOT NULL, source TEXT NOT NULL REFERENCES
    sources, suite TEXT NOT NULL, environment TEXT NOT NULL REFERENCES environments, seed INTEGER NOT
    NULL, done INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL DEFAULT '', points REAL NOT NULL DEFAULT
    0, max_points REAL NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0, peak_mb REAL, isolation TEXT
    NOT NULL DEFAULT '', memory_bound TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', tries
    INTEGER NOT NULL DEFAULT 0, finished TEXT NOT NULL DEFAULT '', UNIQUE (task, source, suite,
    environment, seed) );
CREATE TABLE outcomes ( grading INTEGER NOT NULL REFERENCES gradings ON DELETE CASCADE, position INTEGER
    NOT NULL, id TEXT NOT NULL, device TEXT NOT NULL, status TEXT NOT NULL, points REAL NOT NULL,
    document TEXT NOT NULL, PRIMARY KEY (grading, id, device) ) WITHOUT ROWID;
CREATE TABLE overrides ( override INTEGER PRIMARY KEY, student TEXT NOT NULL REFERENCES students, task
    TEXT NOT NULL REFERENCES tasks, points REAL, before REAL, why TEXT NOT NULL, who TEXT NOT NULL, made
    TEXT NOT NULL );
CREATE TABLE faults ( fault INTEGER PRIMARY KEY, task TEXT NOT NULL, source TEXT NOT NULL, try INTEGER
    NOT NULL, reason TEXT NOT NULL, made TEXT NOT NULL );
CREATE TABLE runs ( run INTEGER PRIMARY KEY, started TEXT NOT NULL, ended TEXT NOT NULL DEFAULT '', how
    TEXT NOT NULL DEFAULT '', document TEXT NOT NULL );
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

# Who and what is present, what people decided about names and files, and what the present reading calls whom.
_SECOND = """
ALTER TABLE students ADD COLUMN present INTEGER NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD COLUMN present INTEGER NOT NULL DEFAULT 1;
CREATE TABLE people (label TEXT PRIMARY KEY, student TEXT NOT NULL, who TEXT NOT NULL, made TEXT NOT NULL);
CREATE TABLE given (file TEXT PRIMARY KEY, student TEXT NOT NULL, task TEXT NOT NULL, who TEXT NOT NULL,
    made TEXT NOT NULL);
CREATE TABLE read_as (label TEXT NOT NULL, student TEXT NOT NULL, PRIMARY KEY (label, student));
"""

# What was left out of a file that was graded, as a JSON list of lines.
_THIRD = """
ALTER TABLE gradings ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';
"""

# Who works together.
_FOURTH = """
ALTER TABLE students ADD COLUMN team TEXT NOT NULL DEFAULT '';
"""

# What people decided about marks: more time (blank: withdrawn), points and comments for parts of a hand-in.
_FIFTH = """
CREATE TABLE extensions (extension INTEGER PRIMARY KEY, student TEXT NOT NULL REFERENCES students, what TEXT NOT
    NULL, until TEXT NOT NULL, why TEXT NOT NULL, who TEXT NOT NULL, made TEXT NOT NULL);
CREATE TABLE remarks (remark INTEGER PRIMARY KEY, student TEXT NOT NULL REFERENCES students, task TEXT NOT NULL,
    part TEXT NOT NULL, points REAL, comment TEXT NOT NULL, who TEXT NOT NULL, made TEXT NOT NULL);
"""

# In which language each reads.
_SIXTH = """
ALTER TABLE students ADD COLUMN language TEXT NOT NULL DEFAULT '';
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)


def version_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection, path: Path, migrations: tuple[str, ...] = MIGRATIONS, *, keep: bool = True) -> None:
    """Bring the file to the newest schema; with ``keep`` an older file is copied to ``<name>.v<N>`` first.

    Raises UsageError for a file that is no gradebook, or that a newer engine wrote.
    """
    version = version_of(db)
    owner = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if owner != APPLICATION_ID and (version or tables):
        raise UsageError(f"{path} is an SQLite file, but no gradebook")
    if version > len(migrations):
        raise UsageError(
            f"{path} was written by a newer TorchGrade (schema {version}; this one knows {len(migrations)})"
        )
    if keep and 0 < version < len(migrations):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy2(path, path.with_name(f"{path.name}.v{version}"))
    for number, script in enumerate(migrations[version:], version + 1):
        _apply(db, script, number)


def _apply(db: sqlite3.Connection, script: str, number: int) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in script.split(";"):
            if statement.strip():
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
