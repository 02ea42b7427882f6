"""The parent of a grader's workers: starts one after another, reports how each ends, ends everything it left behind.

    zygote ─fork─▶ supervisor ─fork─▶ worker ─▶ whatever the submission starts

On the status socket, JSON lines (isolation/wire/status_socket.py), each job from the second line on:

    {"supervisor": pid} + pidfd                                                  to the grader, first of all
    {"limits": ..., "serve": "module:function"} + [calls, output]                from the grader: the next job
    {"worker": pid} + pidfd         of the parent: the grader moves it into a control group while it confines itself
    {"confined": {}}                of the worker, or {"error": text}
    {"kill": true}                  from the grader: end the job; of no meaning when it has ended by itself
    {"exit": code, "cpu": s, "rss": MB, "why": "" | "kill" | "time" | "files"}   nothing of it is left

Every worker is a fork of a process that never reads a submission, so none finds what an earlier one did. As pid 1 of a
namespace the supervisor adopts every orphan by birth, else because it asked to; before it reports, it ends them all.
When the grader goes away the socket closes: the job ends, and the supervisor with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from torchgrade.isolation.confine import libc, watch
from torchgrade.isolation.confine.child_signal import ChildSignal
from torchgrade.isolation.confine.scratch import Cleaner
from torchgrade.isolation.wire.limits import Limits
from torchgrade.isolation.wire.status_socket import StatusSocket

RATE = 1024 if sys.platform.startswith("linux") else 2**20  # unit of ru_maxrss per MB
LOOK_SECONDS = (0.25, 1.0)  # between two looks at the job's files, by how long a look takes
CALLS, STATUS = 3, 4  # the worker's descriptors
UNHEARD = signal.valid_signals() - {getattr(signal, "SIGCHLD", None)}  # nobody but the grader ends a supervisor
DYING_SECONDS = 1.0  # a killed worker has ended well before
SWEEP_SECONDS = 8.0

Worker = Callable[[socket.socket], NoReturn]


@dataclass(frozen=True)
class ConfinedJob:
    """``worker`` is called in the fork with its own end of the status socket, which it closes before it reads a
    submission. ``files`` is None where a mount namespace holds them: they have a size there, and vanish with it."""

    limits: Limits
    worker: Worker
    files: Cleaner | None


@dataclass
class Used:
    """What the job's processes had used when they were reaped, and the worker's exit code (negative: signal)."""

    worker: int
    code: int | None = None
    cpu: float = 0.0
    rss: float = 0.0


def supervise(status: StatusSocket, job_of: Callable[[dict[str, Any]], ConfinedJob]) -> NoReturn:
    """Run the jobs that are asked for, one after another, until the grader goes away; never returns."""
    signal.pthread_sigmask(signal.SIG_BLOCK, UNHEARD)
    child = ChildSignal()
    libc.adopt_orphans()
    announce(status, {"supervisor": os.getpid()}, os.getpid())
    clean = True
    while clean and (message := status.read()) is not None:
        if "serve" in message:
            clean = run(job_of(message), status, child)
    os._exit(0)


def run(job: ConfinedJob, status: StatusSocket, child: ChildSignal) -> bool:
    """One job to its end; whether nothing of it is left."""
    ends, status.descriptors = status.descriptors, []
    deadline = time.monotonic() + job.limits.wall_seconds
    pid = os.fork()
    if pid == 0:
        child.close()
        run_worker(status, ends, job.worker)
    for end in ends:
        os.close(end)
    announce(status, {"worker": pid}, pid)
    used = Used(pid)
    why = _watch(status, child, used, deadline, job.files)
    clean = sweep(used)
    if job.files is not None:
        job.files.remove()
    code = -int(signal.SIGKILL) if why or used.code is None else used.code
    with contextlib.suppress(OSError):
        status.send({"exit": code, "cpu": used.cpu, "rss": used.rss, "why": why})
    return clean


def announce(status: StatusSocket, message: dict[str, Any], pid: int) -> None:
    """Send a message with a pidfd of ``pid``, where the system has pidfds."""
    descriptors = []
    with contextlib.suppress(AttributeError, OSError):
        descriptors = [os.pidfd_open(pid)]
    status.send(message, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)


def run_worker(status: StatusSocket, ends: list[int], worker: Worker) -> NoReturn:
    """The worker's side of the fork; a failure before it serves is told, and fatal."""
    told = take_descriptors(status.end, *ends)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, UNHEARD)
        worker(told)
    except BaseException as error:
        with contextlib.suppress(OSError):
            StatusSocket(told).send({"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(70)


def take_descriptors(status: socket.socket, calls: int, output: int) -> socket.socket:
    """Lay out 0 null, 1 and 2 the output, 3 the calls, 4 the status; close all others."""
    sources = (os.open(os.devnull, os.O_RDONLY), output, output, calls, status.detach())
    high = [fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, 64) for source in sources]
    for target, source in enumerate(high):
        os.dup2(source, target, inheritable=target <= 2)
    os.closerange(len(high), 4096)
    return socket.socket(fileno=STATUS)


def _watch(status: StatusSocket, child: ChildSignal, used: Used, deadline: float, files: Cleaner | None) -> str:
    """Until the worker ends by itself (""), the grader says kill or goes away, or a limit is passed: why it ended."""
    pause, why = LOOK_SECONDS[0], ""
    while not why:
        child.drain()
        _reap(used)
        if used.code is not None:
            return ""
        left = max(0.0, deadline - time.monotonic())
        wait = left if files is None else min(left, pause)
        ready, _, _ = select.select([status.end, child.end], [], [], wait)
        if status.end in ready:
            status.read(0.0)
            why = "kill"
        elif not left:
            why = "time"
        elif not ready and files is not None:
            start = time.monotonic()
            why = "files" if files.overfull() else ""
            pause = min(max(LOOK_SECONDS[0], 20 * (time.monotonic() - start)), LOOK_SECONDS[1])
    with contextlib.suppress(ProcessLookupError):
        os.kill(used.worker, signal.SIGKILL)
    select.select([child.end], [], [], DYING_SECONDS)  # a sweep that finds it gone need not read /proc
    child.drain()
    return why


def _reap(used: Used) -> bool:
    """Collect every ended child; whether one is left. All that the job started ends up as a child."""
    try:
        while (ended := os.wait4(-1, os.WNOHANG))[0]:
            pid, code, usage = ended
            used.cpu += usage.ru_utime + usage.ru_stime
            used.rss = max(used.rss, usage.ru_maxrss / RATE)
            if pid == used.worker:
                used.code = os.waitstatus_to_exitcode(code)
    except ChildProcessError:
        return False
    return True


def sweep(used: Used) -> bool:
    """Kill and reap every descendant of this process; whether all are gone. Their number is limited, so each pass
    leaves fewer."""
    deadline = time.monotonic() + SWEEP_SECONDS
    while _reap(used):
        if time.monotonic() > deadline:
            return False
        with contextlib.suppress(OSError):
            if os.getpid() == 1:
                os.kill(-1, signal.SIGKILL)  # everybody in the namespace
            else:
                kill_descendants()
        time.sleep(0.001)
    return True


def kill_descendants() -> None:
    for pid in watch.tree(os.getpid())[1:]:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
