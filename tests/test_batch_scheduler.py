"""What is graded, in which order, what survives: the scheduler with an executor that needs no torch."""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from batch_support import PLANS, TARGETS, FakeExecutor, Silent, fill, text_of

from torchgrade.batch.gradebook import ledger
from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.scheduler import Scheduler, plan
from torchgrade.grading.events import Fault
from torchgrade.grading.job import Options
from torchgrade.grading.pool import PATIENCE, TRIES, Pool

SUPPORT = Path(__file__).with_name("batch_support.py")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def book(tmp_path):
    with Gradebook(tmp_path / "gradebook.sqlite", writer=True) as book:
        fill(book, 6)
        yield book


def run(book, executor=None, **options):
    executor = executor or FakeExecutor()
    watcher = Silent()
    with Pool(executor) as pool:
        scheduler = Scheduler(book, pool, PLANS, Options(), watcher)
        complete = scheduler.run(plan(book, TARGETS, PLANS, **options))
    return complete, executor, watcher, scheduler


def times_aside(book):
    return [replace(row, seconds=0.0) for row in ledger.rows(book)]


def test_everything_is_graded_once_long_tasks_first(book):
    complete, executor, _, _ = run(book)

    assert complete
    tasks = [job.task for job in executor.submitted]
    assert tasks == ["task02_long"] * 6 + ["task01_short"] * 6
    assert all(row.points is not None and len(row.checks) == 4 for row in ledger.rows(book))
    _, again, _, _ = run(book)
    assert again.submitted == []
    _, fresh, _, _ = run(book, fresh=True)
    assert len(fresh.submitted) == 12


def test_equal_submissions_are_graded_once(tmp_path):
    """152 students, of whom the last two repeat the first two."""
    with Gradebook(tmp_path / "g.sqlite", writer=True) as book:
        fill(book, 152)
        _, executor, _, _ = run(book, FakeExecutor(50))
        assert len(executor.submitted) == 300
        rows = {(row.student, row.task): row for row in ledger.rows(book)}
    assert len(rows) == 304
    assert rows["s000", "task01_short"].checks == rows["s150", "task01_short"].checks


def test_measured_lengths_beat_guessed_ones(book):
    run(book)
    book.db.execute("UPDATE gradings SET seconds = 60 WHERE task = 'task01_short'")
    assert plan(book, TARGETS, PLANS, fresh=True)[0].key.task == "task01_short"


def test_memory_is_kept_and_small_tasks_fill_the_gaps(book):
    """Two long ones do not fit together; short ones run beside one; the order stays long first."""
    _, executor, _, _ = run(book, FakeExecutor(slots=3, memory_mb=1250))

    assert executor.most == 1200
    assert {job.task for job in executor.submitted[:3]} == {"task01_short", "task02_long"}
    _, alone, _, _ = run(book, FakeExecutor(slots=3, memory_mb=10), fresh=True)
    assert len(alone.submitted) == 12  # a task that never fits still runs, alone


def test_our_own_fault_is_tried_once_more_and_then_told(book):
    """Once is healed; twice is broken, and never zero points."""
    faults = {text_of(0, "task01_short"): 1, text_of(1, "task01_short"): 2}
    complete, _, watcher, scheduler = run(book, FakeExecutor(faults=faults))

    assert complete
    assert watcher.retries == ["the suite raised KeyError"] * 2
    rows = {(row.student, row.task): row for row in ledger.rows(book)}
    assert rows["s000", "task01_short"].points is not None
    broken = rows["s001", "task01_short"]
    assert (broken.status, broken.points) == ("broken", None)
    assert "KeyError" in broken.reason
    assert [work.key.task for work in scheduler.broken] == ["task01_short"]
    assert [(task, number) for task, _, number, _ in book.faults()] == [("task01_short", 1)] * 2 + [("task01_short", 2)]
    _, later, _, _ = run(book)
    assert len(later.submitted) == 1
    assert {row.status for row in ledger.rows(book)} <= {"passed", "failed"}


def test_a_lost_machine_is_no_try_but_not_for_ever(book):
    """Jobs of a machine that left run again; a cluster that loses every job ends as our own fault."""

    class Losing(FakeExecutor):
        def events(self, timeout):
            found = [Fault(number, "a machine was lost", lost=True) for number in self.running]
            self.running.clear()
            return found

    complete, executor, _, scheduler = run(book, Losing())
    assert complete
    assert len(executor.submitted) == 12 * (PATIENCE + TRIES)
    assert len(scheduler.broken) == 12


def test_answers_that_keep_the_grader_busy_twice_earn_nothing(book):
    class Busy(FakeExecutor):
        def events(self, timeout):
            found = [Fault(number, "too dear", overran=True) for number in self.running]
            self.running.clear()
            return found

    complete, executor, _, scheduler = run(book, Busy())
    assert complete
    assert len(executor.submitted) == 12 * TRIES
    assert not scheduler.broken
    assert {(row.status, row.points, row.checks[-1].message) for row in ledger.rows(book)} == {
        ("failed", 0.0, "too dear")
    }
    _, again, _, _ = run(book)
    assert not again.submitted


def test_an_interrupted_grading_begins_anew(book, tmp_path):
    """All of its checks, for what holds points back is known only of all; the grade is that of an undisturbed run."""
    with Gradebook(tmp_path / "other.sqlite", writer=True) as other:
        fill(other, 6)
        run(other)
        undisturbed = times_aside(other)

    class Interrupted(FakeExecutor):
        def events(self, timeout):
            if len(self.submitted) == 2 and any(len(seen) == 3 for _, _, seen in self.running.values()):
                raise KeyboardInterrupt
            return super().events(timeout)

    killed = Interrupted(2)
    with pytest.raises(KeyboardInterrupt):
        run(book, killed)
    assert killed.closed == "now"
    _, executor, _, _ = run(book)

    assert times_aside(book) == undisturbed
    assert [job.only for job in executor.submitted if job.only] == []


def test_stopping_finishes_what_runs(book):
    executor = FakeExecutor(2)
    scheduler = Scheduler(book, Pool(executor), PLANS, Options(), Silent())
    complete = scheduler.run(plan(book, TARGETS, PLANS), stopping=lambda: len(executor.submitted) >= 4)

    assert not complete
    assert executor.running == {}
    assert len(book.done()) == len(executor.submitted)
    assert run(book)[0]
    assert len(book.done()) == 12


def test_a_full_disk_stops_the_batch_and_loses_nothing(tmp_path):
    """The file stays whole; with room again the batch continues."""
    with Gradebook(tmp_path / "g.sqlite", writer=True) as book:
        fill(book, 40)
        pages = book.db.execute("PRAGMA page_count").fetchone()[0]
        book.db.execute(f"PRAGMA max_page_count = {pages + 4}")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            run(book)
        known = len(book.done())
        assert 0 < known < 80
        book.db.execute("PRAGMA max_page_count = 1000000")
        _, executor, _, _ = run(book)
        assert len(executor.submitted) == 80 - known
        assert len(book.done()) == 80


def start(place, size, pages=0):
    command = [sys.executable, str(SUPPORT), str(place), str(size), str(pages)]
    return subprocess.Popen(command, env={"PYTHONPATH": str(ROOT), "PATH": ""}, stderr=subprocess.PIPE)


def test_chaos(tmp_path):
    """200 students: SIGKILL at 20 random moments, the disk full once; the end equals the undisturbed run."""
    rng = random.Random(5)
    quiet, stormy = tmp_path / "quiet.sqlite", tmp_path / "stormy.sqlite"
    undisturbed = start(quiet, 200)
    lost = []
    for number in range(20):
        child = start(stormy, 200)
        deadline = time.monotonic() + 60
        before = known(stormy)
        goal = before + rng.randrange(1, 12)
        while known(stormy) < goal and child.poll() is None and time.monotonic() < deadline:
            time.sleep(rng.uniform(0.001, 0.03))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        lost.append(known(stormy) - before)
        if number == 10:
            full = start(stormy, 200, pages=1)
            _, errors = full.communicate(timeout=60)
            assert b"full" in errors
    final = start(stormy, 200)
    assert final.wait(240) == 0
    assert undisturbed.wait(240) == 0

    assert min(lost) >= 0  # nothing that was known is ever lost
    with Gradebook(quiet) as a, Gradebook(stormy) as b:
        assert times_aside(a) == times_aside(b)
        assert len(list(ledger.rows(a))) == 400
        assert b.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert b.db.execute("PRAGMA foreign_key_check").fetchall() == []


def known(place):
    """How many outcomes are in the file, seen by a reader beside the writer."""
    if not place.exists():
        return 0
    try:
        db = sqlite3.connect(f"file:{place}?mode=ro", uri=True)
        return db.execute("SELECT count(*) FROM outcomes").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()
