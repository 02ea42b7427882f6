"""A failure that smells of a short machine is tried once more, alone, before it counts."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from support import ROOT, checks_of, result_of

from torchgrade.errors import LoadFailed, Mismatch, SubmissionRaised, TimedOut, WorkerDied
from torchgrade.grading.alone import Machine, lock_file, reruns
from torchgrade.isolation.confine import watch


def hold(folder, alone, seconds, log):
    machine = Machine(folder)
    with machine.alone() if alone else machine.beside_others():
        log.put(("in", alone, time.monotonic()))
        time.sleep(seconds)
        log.put(("out", alone, time.monotonic()))


def test_one_that_must_be_alone_waits_for_the_others_and_holds_back_the_next(tmp_path):
    """Two share the room; the third waits for both to leave, and the fourth, who came later, waits for the third."""
    context = multiprocessing.get_context("fork")
    log = context.Queue()
    running = []
    for alone in (False, False, True, False):
        running.append(context.Process(target=hold, args=(tmp_path, alone, 0.6, log)))
        running[-1].start()
        time.sleep(0.15)
    for process in running:
        process.join(20)
        assert process.exitcode == 0
    told = sorted((log.get(timeout=5) for _ in range(8)), key=lambda entry: entry[2])
    assert [entry[:2] for entry in told] == [
        ("in", False), ("in", False), ("out", False), ("out", False),
        ("in", True), ("out", True), ("in", False), ("out", False),
    ]  # fmt: skip


@pytest.mark.parametrize("alone", [False, True])
def test_a_suspended_one_is_not_waited_for_for_ever(tmp_path, alone):
    context = multiprocessing.get_context("fork")
    log = context.Queue()
    holder = context.Process(target=hold, args=(tmp_path, True, 30.0, log))
    holder.start()
    assert log.get(timeout=10)[0] == "in"
    os.kill(holder.pid, signal.SIGSTOP)
    try:
        impatient = Machine(tmp_path, patience=0.3)
        with impatient.alone() if alone else impatient.beside_others():
            entered = True
        assert entered
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.join(10)
    with Machine(tmp_path, patience=5.0).alone():  # the kernel gave it back
        pass


def test_nobody_else_decides_where_the_lock_lies(tmp_path, monkeypatch):
    """A folder that others may write, or a link, or a folder in the place of the file: the next place is taken."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    open_to_all = tmp_path / "XDG_RUNTIME_DIR" / "torchgrade"
    open_to_all.mkdir(parents=True)
    open_to_all.chmod(0o777)
    (tmp_path / "XDG_CACHE_HOME" / "torchgrade" / "alone.lock").mkdir(parents=True)
    os.close(lock_file())
    assert [path.parent.parent.name for path in tmp_path.rglob("alone.lock") if path.is_file()] == [".cache"]
    (tmp_path / "home" / ".cache" / "torchgrade").chmod(0o777)
    os.close(lock_file())  # a file of its own: nothing is broken where no place is safe


@pytest.mark.parametrize(("error", "times"), [
    (TimedOut(5.0, starved=True), 1), (TimedOut(5.0), 0), (WorkerDied("killed", starved=True), 2),
    (WorkerDied("exit"), 0), (LoadFailed("late", fault=TimedOut(5.0, starved=True)), 1),
    (SubmissionRaised(["RuntimeError"], "can't start new thread", []), 1),
    (SubmissionRaised(["RuntimeError"], "shapes do not match", []), 0), (Mismatch("wrong"), 0), (None, 0),
])  # fmt: skip
def test_what_is_tried_again(error, times):
    assert reruns(error) == times


def slow(mini, body):
    """The solution with a ``scale`` that does something first."""
    solution = (mini / "solutions" / "task01_scale.py").read_text()
    text = solution.replace("return x * factor", f"{body}\n    return x * factor")
    (mini / "exercises" / "task01_scale.py").write_text(text)


def kill_first_worker(grader, killed, is_it):
    """SIGKILL the first process that is three forks below a grader, its zygote's supervisor's worker, and is meant."""
    while not killed and grader.poll() is None:
        below = [grader.pid]
        for _ in range(4):
            below = [child for pid in below for child in watch.children_of(pid)]
        with contextlib.suppress(OSError):  # it has left meanwhile
            if below and is_it(below[0]):
                time.sleep(0.5)  # it is in the middle of its nap
                os.kill(below[0], signal.SIGKILL)
                killed.append(below[0])
        time.sleep(0.02)


def checks_with_a_kill(mini, is_it):
    command = [sys.executable, str(ROOT / "grade.py"), "task01", "--isolation", "process", "--json", "-"]
    grader = subprocess.Popen(command, cwd=mini, stdout=subprocess.PIPE, text=True)
    killed = []
    killer = threading.Thread(target=kill_first_worker, args=(grader, killed, is_it))
    killer.start()
    document, _ = grader.communicate(timeout=120)
    killer.join()
    return checks_of(json.loads(document)), killed


def test_a_worker_that_somebody_killed_gets_a_second_chance(mini):
    """As the kernel does when memory runs out: the check runs again on a fresh worker, and passes."""
    slow(mini, "import time; time.sleep(1.5)")
    checks, killed = checks_with_a_kill(mini, lambda pid: True)
    assert len(killed) == 1
    assert {check["status"] for check in checks.values()} == {"passed"}


def test_a_check_whose_worker_was_killed_waits_for_nothing_that_it_does_not_call(mini):
    """Of a worker that died nobody knows what it called; of the second attempt everybody does."""
    solution = (mini / "solutions" / "task01_scale.py").read_text().replace("x * factor", "x + factor")
    nap = "threading.Thread(target=time.sleep, args=(3,), daemon=True).start()"
    body = f"import threading, time\n        for _ in range(12):\n            {nap}\n        time.sleep(1.5)"
    text = solution.replace("return self.weight", f"{body}\n        return self.weight")
    (mini / "exercises" / "task01_scale.py").write_text(text)
    checks, killed = checks_with_a_kill(mini, lambda pid: len(os.listdir(f"/proc/{pid}/task")) > 12)
    assert len(killed) == 1
    assert checks["test_scale"]["status"] == "failed"
    assert checks["test_affine"]["status"] == "passed"


def test_a_process_that_dies_each_time_counts(mini):
    """A submission that kills itself does so again when it is alone."""
    slow(mini, "import os; os.kill(os.getpid(), 9)")
    check = checks_of(result_of("task01", cwd=mini, code=1))["test_scale"]
    assert (check["status"], check["message"]) == ("crashed", "its process was killed")
