"""The gradebook: every outcome is kept at once, one writer, content keys, overrides that last."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from torchgrade.batch.gradebook import ledger, schema
from torchgrade.batch.gradebook.gradebook import Gradebook, Handin, Key, Seed, Target, Unmatched, source_hash
from torchgrade.errors import TorchGradeError, UsageError
from torchgrade.marks import MISSING, PENDING, UNREADABLE, Student, TaskInfo
from torchgrade.model import Outcome, Status, TaskGrade

TASKS = [TaskInfo("task01_a", "First", 3.0), TaskInfo("task02_b", "Second", 2.0)]
TEXT = b"def f(x):\n    return x\n"
TARGET = Target("suite-1", "env-1", Seed(1 << 127))


def outcome(name="test_a", status=Status.PASSED, points=3.0, max_points=3.0, **more):
    return Outcome(name, f"{name} works", "values", "cpu", status, points, max_points, **more)


def grade(*checks, task="task01_a", status=Status.PASSED):
    earned = sum(check.points for check in checks)
    possible = sum(check.max_points for check in checks)
    return TaskGrade(task, "First", status, earned, possible, 0.5, "suite-1", source_hash(TEXT), tuple(checks))


@pytest.fixture
def book(tmp_path):
    with Gradebook(tmp_path / "gradebook.sqlite", writer=True) as book:
        book.set_class([Student("ann", name="Ann"), Student("bob"), Student("cyd")], TASKS)
        book.add_sources([("task01_a.py", TEXT)])
        book.set_environment("env-1", {"torch": "2"})
        book.set_handins(
            [
                Handin("ann", "task01_a", 1, "ann/task01_a.py", source_hash(TEXT)),
                Handin("bob", "task01_a", 1, "bob/task01_a.py", source_hash(TEXT)),
                Handin("cyd", "task01_a", 1, "cyd.zip", None, "the archive is cut off"),
            ],
            [Unmatched("ann/notes.txt", "ann", "it belongs to no task")],
            [task.task for task in TASKS],
        )
        book.set_targets({"task01_a": TARGET})
        yield book


KEY = TARGET.key("task01_a", source_hash(TEXT))


def test_every_student_has_exactly_one_row_for_each_task(book):
    """Graded, waiting, unreadable and missing work all have a row with a status and a reason."""
    found = {(row.student, row.task): row for row in ledger.rows(book)}

    assert len(found) == 6
    assert found["ann", "task01_a"].status == PENDING
    assert found["cyd", "task01_a"].status == UNREADABLE
    assert found["cyd", "task01_a"].reason == "the archive is cut off"
    assert found["bob", "task02_b"].status == MISSING
    assert all(row.reason for row in found.values())


def test_equal_submissions_share_one_verdict(book):
    """A verdict belongs to the content: two students with the same text get it at once."""
    book.finish(KEY, grade(outcome()))
    found = {(row.student, row.task): row for row in ledger.rows(book)}

    assert found["ann", "task01_a"].points == found["bob", "task01_a"].points == 3.0
    assert found["ann", "task01_a"].checks == found["bob", "task01_a"].checks == (outcome(),)
    assert book.done() == {KEY}


def test_another_suite_seed_or_environment_is_another_verdict(book):
    book.finish(KEY, grade(outcome()))
    for key in (KEY._replace(suite="suite-2"), KEY._replace(seed=8)):
        assert key not in book.done()


def test_an_interrupted_grading_keeps_its_outcomes_and_is_not_done(book):
    """What was known when the process died is offered again; only the rest runs."""
    book.add_outcome(KEY, 0, outcome("test_a"))
    book.add_outcome(KEY, 1, outcome("test_b", Status.BROKEN, 0.0))

    assert book.done() == set()
    assert [known.id for known in book.partial(KEY)] == ["test_a"]
    book.finish(KEY, grade(outcome("test_a"), outcome("test_b")))
    assert book.partial(KEY) == []
    assert [check.id for row in ledger.rows(book) if row.student == "ann" for check in row.checks] == [
        "test_a",
        "test_b",
    ]


def test_our_own_fault_is_no_zero_and_is_tried_again(book):
    """Broken work has no points, is not `done`, and a later good verdict replaces it."""
    book.add_fault("task01_a", KEY.source, 1, "the suite raised KeyError")
    book.finish(KEY, grade(outcome(status=Status.BROKEN, points=0.0), status=Status.BROKEN), reason="KeyError")
    row = next(row for row in ledger.rows(book) if row.student == "ann")

    assert (row.status, row.points, row.open, row.reason) == ("broken", None, True, "KeyError")
    assert book.done() == set()
    book.finish(KEY, grade(outcome()))
    assert next(row for row in ledger.rows(book) if row.student == "ann").points == 3.0
    assert book.faults() == [("task01_a", KEY.source, 1, "the suite raised KeyError")]


def test_an_override_survives_a_regrade_and_can_be_withdrawn(book):
    book.override("ann", "task01_a", 2.5, why="fair try", who="prof", before=1.0)
    book.finish(KEY, grade(outcome()))
    row = next(row for row in ledger.rows(book) if row.student == "ann")

    assert (row.points, row.earned, row.override.why) == (2.5, 3.0, "fair try")
    book.override("ann", "task01_a", None, why="a mistake", who="prof", before=None)
    row = next(row for row in ledger.rows(book) if row.student == "ann")
    assert (row.points, row.override) == (3.0, None)


def test_a_regrade_lists_who_changed_by_which_check(book):
    """The difference names the student, the check, and both states."""
    weak = outcome("test_b", Status.FAILED, 0.0, 2.0)
    book.finish(KEY, grade(outcome(), weak, status=Status.FAILED))
    before = list(ledger.rows(book))
    newer = Target("suite-2", "env-1", Seed(7))
    strong = outcome("test_b", Status.PASSED, 2.0, 2.0)
    book.finish(newer.key("task01_a", KEY.source), grade(outcome(), strong, outcome("test_c")))
    book.set_targets({"task01_a": newer})

    found = ledger.changes(before, ledger.rows(book))
    by_ann = [(c.check, c.before, c.after, c.points_before, c.points_after) for c in found if c.student == "ann"]
    assert by_ann == [
        ("", "failed", "passed", 3.0, 8.0),
        ("test_b", "failed", "passed", 0.0, 2.0),
        ("test_c", "absent", "passed", None, 3.0),
    ]
    assert {change.student for change in found} == {"ann", "bob"}
    assert ledger.changes(before, before) == []


def test_points_of_a_longer_task_are_a_change_and_a_first_verdict_is_none(book):
    """What was 3 of 3 is 3 of 5 now, another mark; who had no verdict has none that changed."""
    waiting = list(ledger.rows(book))
    book.finish(KEY, grade(outcome()))
    before = list(ledger.rows(book))
    newer = Target("suite-2", "env-1", Seed(7))
    more = outcome("test_b", Status.FAILED, 0.0, 2.0)
    book.finish(newer.key("task01_a", KEY.source), grade(outcome(), more))
    book.set_targets({"task01_a": newer})
    after = list(ledger.rows(book))

    whole = [change for change in ledger.changes(before, after) if not change.check]
    assert {(one.student, one.points_before, one.of_before, one.points_after, one.of_after) for one in whole} == {
        ("ann", 3.0, 3.0, 3.0, 5.0), ("bob", 3.0, 3.0, 3.0, 5.0)}  # fmt: skip
    assert ledger.changes(waiting, after) == []


def test_reading_again_replaces_the_handins_and_keeps_the_verdicts(book):
    book.finish(KEY, grade(outcome()))
    book.set_handins([Handin("bob", "task01_a", 1, "b.py", KEY.source)], [], [task.task for task in TASKS])
    found = {(row.student, row.task): row.status for row in ledger.rows(book)}

    assert found["bob", "task01_a"] == "passed"
    assert found["ann", "task01_a"] == MISSING
    assert book.unmatched() == []


def test_sources_are_kept_once_and_come_back(book):
    book.add_sources([("other.py", TEXT), ("x.py", b"")])

    assert book.source(source_hash(TEXT)) == TEXT
    assert book.source(source_hash(b"")) == b""
    with pytest.raises(UsageError, match="holds no submission"):
        book.source("f" * 64)


def test_hostile_text_survives_the_store(book):
    """Lone surrogates, control characters and quotes in an outcome come back as they were."""
    nasty = outcome(message="'; DROP TABLE outcomes; --\x00\x1b[31m", got="\ud800 <script>")
    book.finish(KEY, grade(nasty))

    assert next(row for row in ledger.rows(book) if row.student == "ann").checks == (nasty,)


def test_the_second_writer_learns_who_holds_the_file(book):
    with pytest.raises(UsageError, match=rf"written by process {os.getpid()} on .* since"):
        Gradebook(book.path, writer=True)
    with Gradebook(book.path) as reader:
        assert len(reader.students()) == 3
        with pytest.raises(sqlite3.OperationalError):
            reader.add_sources([("a", b"a")])


def test_the_lock_ends_with_its_process(tmp_path):
    """SIGKILL frees the file, and everything committed before it is there."""
    path = tmp_path / "gradebook.sqlite"
    script = f"""
        import sys, time
        sys.path.insert(0, {os.getcwd()!r})
        from pathlib import Path
        from torchgrade.batch.gradebook.gradebook import Gradebook, Key, Seed
        from torchgrade.model import Outcome, Status
        book = Gradebook(Path({str(path)!r}), writer=True)
        book.set_environment("env-1", {{}})
        book.add_sources([("a", b"a")])
        from torchgrade.batch.gradebook.gradebook import source_hash
        key = Key("task01_a", source_hash(b"a"), "s", "env-1", Seed(1))
        for i in range(100000):
            book.add_outcome(key, i, Outcome(f"test_{{i}}", "t", "values", "cpu", Status.PASSED, 1, 1))
            print(i, flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    try:
        last = -1
        while last < 50:
            last = int(child.stdout.readline())
        with pytest.raises(UsageError, match=f"process {child.pid}"):
            Gradebook(path, writer=True)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    with Gradebook(path, writer=True) as book:
        known = book.partial(Key("task01_a", source_hash(b"a"), "s", "env-1", Seed(1)))
    assert len(known) > 50
    assert [entry.id for entry in known] == [f"test_{i}" for i in range(len(known))]


def test_a_failed_transaction_leaves_nothing_behind(book):
    with pytest.raises(sqlite3.IntegrityError):
        book.set_handins([Handin("nobody", "task01_a", 1, "x", None)], [], ["task01_a"])

    assert len(book.handins()) == 3
    assert len(book.unmatched()) == 1


def test_a_foreign_or_newer_file_is_refused(tmp_path):
    """Neither somebody's SQLite file nor a text file nor a newer schema is touched."""
    foreign = tmp_path / "notes.sqlite"
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(UsageError, match="but no gradebook"):
        Gradebook(foreign, writer=True)
    text = tmp_path / "text.sqlite"
    text.write_text("this is not a database, it is long enough to be looked at as one" * 20)
    with pytest.raises(UsageError, match="is no gradebook"):
        Gradebook(text, writer=True)
    with pytest.raises(UsageError, match="there is no gradebook"):
        Gradebook(tmp_path / "absent.sqlite")
    newer = tmp_path / "newer.sqlite"
    Gradebook(newer, writer=True).close()
    db = sqlite3.connect(newer)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for writer in (True, False):
        with pytest.raises(UsageError, match="written by a newer TorchGrade"):
            Gradebook(newer, writer=writer)


def test_an_older_file_is_copied_and_migrated_in_one_step(tmp_path):
    """One that fails half-way leaves the old version; one that works leaves a copy of the old file."""
    path = tmp_path / "gradebook.sqlite"
    Gradebook(path, writer=True).close()
    db = sqlite3.connect(path, isolation_level=None)
    broken = (*schema.MIGRATIONS, "CREATE TABLE extra (x);\nINSERT INTO nowhere VALUES (1)")
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(db, path, broken)
    newest = len(schema.MIGRATIONS)
    assert db.execute("PRAGMA user_version").fetchone() == (newest,)
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)

    schema.migrate(db, path, (*schema.MIGRATIONS, "ALTER TABLE students ADD COLUMN note TEXT"))
    assert db.execute("PRAGMA user_version").fetchone() == (newest + 1,)
    assert "note" in [column[1] for column in db.execute("PRAGMA table_info(students)")]
    copy = sqlite3.connect(path.with_name(f"gradebook.sqlite.v{newest}"))
    assert copy.execute("PRAGMA user_version").fetchone() == (newest,)
    db.close()
    copy.close()


def test_a_gradebook_of_the_first_version_is_read_and_taken_over(tmp_path):
    """A reader leaves the file as it is; a writer migrates it; everybody and every task in it is present."""
    path = tmp_path / "gradebook.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    schema.migrate(db, path, schema.MIGRATIONS[:1])
    db.execute("INSERT INTO students VALUES ('ann', 'ann', 'Ann', '', '', 0, '{}')")
    db.execute("INSERT INTO tasks VALUES ('task01_a', 0, 'First', 3.0)")
    db.execute("INSERT INTO handins VALUES ('ann', 'task01_a', 1, 'ann.zip', NULL, 'cut off', '', NULL)")
    db.close()
    with Gradebook(path) as old:
        assert [row.status for row in ledger.rows(old)] == [UNREADABLE]
        with pytest.raises(sqlite3.OperationalError):
            old.set_setting("a", "b")
    with Gradebook(path, writer=True) as new:
        assert [student.key for student in new.students()] == ["ann"]
        assert [info.task for info in new.tasks()] == ["task01_a"]
    with sqlite3.connect(path.with_name("gradebook.sqlite.v1")) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
    copy.close()


def present(book):
    return {(row.student, row.task): (row.attempts, row.points) for row in ledger.rows(book) if row.attempts}


def test_marks_show_the_present_class_and_the_book_keeps_the_rest(book):
    """Another reading: those who are gone have no row, their hand-ins are no work, and they come back as they were."""
    book.finish(KEY, grade(outcome()))
    book.set_class([Student("ann", name="Ann")], TASKS[:1])
    assert [(row.student, row.task) for row in ledger.rows(book)] == [("ann", "task01_a")]
    assert {handin.student for handin in book.handins()} == {"ann"}
    assert {student.key for student in book.everybody()} == {"ann", "bob", "cyd"}
    book.set_class([Student("ann"), Student("bob")], TASKS)
    assert present(book) == {("ann", "task01_a"): (1, 3.0), ("bob", "task01_a"): (1, 3.0)}


def test_merge_rename_and_remove(book):
    """Attempts are put behind each other, decisions follow, names are understood from then on."""
    book.finish(KEY, grade(outcome()))
    book.override("ann", "task01_a", 1.0, why="w", who="prof", before=3.0)
    book.give("x.txt", Student("ann"), "task02_b", who="prof")
    book.set_read_as({"Ann Lee": ["ann"], "bob": ["bob"]})
    book.merge("ann", "bob", who="prof")
    assert {row.student for row in ledger.rows(book)} == {"bob", "cyd"}
    assert present(book)["bob", "task01_a"] == (2, 1.0)
    assert book.given() == {"x.txt": ("bob", "task02_b")}
    assert book.labels() == {"ann": "bob", "Ann Lee": "bob"}
    book.rename(next(s for s in book.students() if s.key == "bob"), Student("b1", "b1", "Bob Stone"), who="prof")
    assert present(book)["b1", "task01_a"] == (2, 1.0)
    assert set(book.labels().values()) == {"b1"}
    with pytest.raises(UsageError, match="cyd is in the gradebook already; `merge`"):
        book.rename(Student("b1"), Student("cyd"), who="prof")
    book.remove("b1", who="prof")
    assert {row.student for row in ledger.rows(book)} == {"cyd"}
    assert set(book.labels().values()) == {""}


@pytest.mark.parametrize("seed", [(1 << 127) + 3, (1 << 63) - 1, 1 << 63, 7, 0])
def test_a_seed_of_128_bits_is_kept_to_the_last_bit(book, seed):
    """SQLite's integers have 64 bits; the seeds of older books, which fit, are read as they are."""
    book.set_targets({"task01_a": Target("s", "env-1", Seed(seed))})
    target = book.targets()["task01_a"]
    assert target.seed == seed
    key = target.key("task01_a", source_hash(TEXT))
    book.finish(key, grade(outcome()))
    assert key in book.done()
    assert book.graded(key) is not None


def test_whatever_a_full_disk_keeps_from_being_written_is_a_sentence(book):
    with pytest.raises(TorchGradeError, match="cannot be written: database or disk is full; make room"), book:
        pages = book.db.execute("PRAGMA page_count").fetchone()[0]
        book.db.execute(f"PRAGMA max_page_count = {pages}")
        for number in range(1000):
            book.set_setting(f"sheet {number}", "x" * 1000)
