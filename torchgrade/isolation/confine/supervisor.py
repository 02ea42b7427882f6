"""The parent of one worker: starts it, reports its end, ends everything it left behind.

    zygote ─fork─▶ supervisor ─fork─▶ worker ─▶ whatever the submission starts

On the status socket, JSON lines out and plain words in:

    {"supervisor": pid} + pidfd     first message
    {"worker": pid} + pidfd         of the parent: the grader moves it into a control group while it confines itself
    {"confined": {}}                of the worker, or {"error": text}
    kill                            end the job
    {"exit": code, "cpu": s, "rss": MB, "why": "" | "kill" | "time" | "files"}

Without a pid namespace the supervisor adopts orphans and sweeps until none is left. With one it is pid 1, and
the kernel ends the rest. When the grader goes away the socket closes: that too is a kill.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from torchgrade.isolation import watch
from torchgrade.isolation.confine import libc
from torchgrade.isolation.confine.scratch import Cleaner
from torchgrade.isolation.job import Limits

RATE = 1024 if sys.platform.startswith("linux") else 2**20  # unit of ru_maxrss per MB
LOOK_SECONDS = (0.25, 1.0)  # between two looks at the job's files, by how long a look takes
CALLS, STATUS = 3, 4  # the worker's descriptors
UNHEARD = signal.valid_signals() - {getattr(signal, "SIGCHLD", None)}  # nobody but the grader ends a supervisor
DYING_SECONDS = 1.0  # a killed worker has ended well before

Worker = Callable[[socket.socket], NoReturn]


def supervise(
    status: socket.socket,
    ends: tuple[int, int],
    limits: Limits,
    worker: Worker,
    cleaner: Cleaner | None,
) -> NoReturn:
    """Run one job to its end; never returns.

    ``ends`` are the worker's descriptors for calls and for output. ``worker`` is called in the fork with
    its own end of the status socket, which it closes before it reads a submission. ``cleaner``
    measures and removes its files; None: this is pid 1 of a namespace, and the kernel does that.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, UNHEARD)
    wake, woken = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    if cleaner is not None:
        libc.adopt_orphans()
    announce(status, {"supervisor": os.getpid()}, os.getpid())
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        wake.close()
        woken.close()
        run_worker(status, ends, worker)
    for end in ends:
        os.close(end)
    announce(status, {"worker": pid}, pid)
    last = _watch(status, wake, pid, time.monotonic() + limits.wall_seconds, cleaner)
    if cleaner is not None:
        sweep()
        cleaner.remove()
    with contextlib.suppress(OSError):
        status.sendall(json.dumps(last).encode() + b"\n")
    os._exit(0)


def announce(status: socket.socket, message: dict[str, Any], pid: int) -> None:
    """Send a message with a pidfd of ``pid``, where the system has pidfds."""
    descriptors = []
    with contextlib.suppress(AttributeError, OSError):
        descriptors = [os.pidfd_open(pid)]
    socket.send_fds(status, [json.dumps(message).encode() + b"\n"], descriptors)
    for descriptor in descriptors:
        os.close(descriptor)


def run_worker(status: socket.socket, ends: tuple[int, int], worker: Worker) -> NoReturn:
    """The worker's side of the fork; a failure before it serves is told, and fatal."""
    status = take_descriptors(status, *ends)
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, UNHEARD)
        worker(status)
    except BaseException as error:
        with contextlib.suppress(OSError):
            status.sendall(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
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


def _watch(
    status: socket.socket, wake: socket.socket, worker: int, deadline: float, cleaner: Cleaner | None
) -> dict[str, Any]:
    """Until the worker ends, the grader says kill or goes away, or a limit is passed: the last message."""
    pause, why = LOOK_SECONDS[0], ""
    while not why:
        code = _reap(wake, worker)
        if code is not None:
            return _end(code, "")
        left = max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([status, wake], [], [], left if cleaner is None else min(left, pause))
        if status in ready:
            why = "kill"
        elif not left:
            why = "time"
        elif not ready and cleaner is not None:
            start = time.monotonic()
            why = "files" if cleaner.overfull() else ""
            pause = min(max(LOOK_SECONDS[0], 20 * (time.monotonic() - start)), LOOK_SECONDS[1])
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    select.select([wake], [], [], DYING_SECONDS)  # a sweep that finds it gone need not read /proc
    _reap(wake, worker)
    return _end(-int(signal.SIGKILL), why)


def _reap(wake: socket.socket, worker: int) -> int | None:
    """Collect every ended child; the worker's exit code (negative: signal) if it was among them."""
    with contextlib.suppress(BlockingIOError):
        while wake.recv(4096):
            pass
    code = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == worker:
                code = os.waitstatus_to_exitcode(ended[1])
    return code


def _end(code: int, why: str) -> dict[str, Any]:
    used = watch.usage(-1)  # RUSAGE_CHILDREN
    return {"exit": code, "cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss / RATE, "why": why}


def sweep(patience: float = 8.0) -> None:
    """Kill and reap every descendant of this process. Their number is limited, so each pass leaves fewer."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return  # orphans are adopted: without a child there is no descendant
        for pid in watch.tree(os.getpid())[1:]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
