"""The grader process, or with a descriptor the nursery that forks graders; nursery.py starts both.

Jobs come as msgpack on standard input, events go as msgpack to standard output; whatever the suites print goes
to standard error. The zygote starts first, so that it and this process import torch side by side.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgpack

from torchgrade.course import Course, secret_of
from torchgrade.errors import TorchGradeError
from torchgrade.grading.events import Event, GraderEnded, GraderFailed, Ready, to_data
from torchgrade.grading.job import Job
from torchgrade.i18n import read_course
from torchgrade.isolation.confine.child_signal import ChildSignal
from torchgrade.isolation.launch.launcher import Launcher, open_launcher


class Launchers:
    """One zygote for each kind of isolation and device, started when first asked for."""

    def __init__(self, hidden: Sequence[Path]) -> None:
        self.hidden = hidden  # what no submission may read
        self.started: dict[tuple[str, str], Launcher] = {}
        self.shared: dict[tuple[str, str], Launcher] = {}  # with the process that forked this one

    def __call__(self, isolation: str, device: str) -> Launcher:
        kind = (isolation, device)
        if kind not in self.started and kind not in self.shared:
            self.started[kind] = open_launcher(isolation, device, hidden=self.hidden)
        return self.shared.get(kind) or self.started[kind]

    def inherit(self) -> None:
        """In a fork: what was started before it is shared."""
        self.shared, self.started = self.started, {}
        for launcher in self.shared.values():
            launcher.inherit()

    def drop_dead(self) -> None:
        """Forget launchers whose zygote has ended."""
        for kind, launcher in list(self.started.items()):
            if not launcher.alive():
                launcher.close()
                del self.started[kind]

    def close(self) -> None:
        for launcher in self.shared.values():
            launcher.leave()
        for launcher in self.started.values():
            launcher.close()


def leave_with_parent() -> None:
    """End when the process that started us has ended, however it ended; our zygote and workers end with us."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: str, control: str = "") -> NoReturn:
    """Grade what standard input asks for; with ``control``, the number of a socket, be the nursery instead."""
    root = Path(folder)
    launchers = Launchers(secret_of(root))
    if control:
        nursery(socket.socket(fileno=int(control)), root, launchers)
    out = os.dup(1)
    os.dup2(2, 1)
    grade(root, launchers, 0, out)


def grade(root: Path, launchers: Launchers, given: int, output: int) -> NoReturn:
    """Grade the jobs that come from the descriptor ``given``, tell ``output`` what happens, and end the process."""
    leave_with_parent()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what numpy says of a suite's arithmetic on a wrong value is no news
    out = os.fdopen(output, "wb", buffering=0)

    def emit(event: Event) -> None:
        rest = memoryview(msgpack.packb(to_data(event)))
        while rest:
            try:
                rest = rest[out.write(rest) :]
            except BrokenPipeError:
                os._exit(3)  # the command has ended: nobody listens

    code = 0
    queue = jobs_from(given)
    try:
        course = Course.load(root)
        read_course(root, course.language)
        first = next(queue, None)
        if first is not None:
            launchers(first.isolation, first.devices[0])  # its import of torch runs beside ours
            from torchgrade.grading.session import Session

            emit(Ready(_torch_version(), os.getpid()))
            Session(course, launchers, emit).grade(_chain(first, queue))
    except TorchGradeError as error:
        emit(GraderFailed(str(error)))
        code = 3
    except BaseException as error:
        traceback.print_exc()
        emit(GraderFailed(f"{type(error).__name__}: {error}"))
        code = 3
    launchers.close()
    sys.stderr.flush()
    os._exit(code)  # leaving an interpreter that has torch loaded costs half a second


def jobs_from(given: int) -> Iterator[Job]:
    """The jobs that arrive on a descriptor, until it is closed."""
    unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
    while data := os.read(given, 1 << 16):
        unpacker.feed(data)
        for item in unpacker:
            yield Job.from_data(item)


def nursery(control: socket.socket, root: Path, launchers: Launchers) -> NoReturn:
    """Fork graders when asked to, until ``control`` closes; see nursery.py."""
    child = ChildSignal()
    running: dict[int, tuple[int, int]] = {}  # number: process and its output
    while True:
        ready, _, _ = select.select([control, child.end], [], [])
        if child.end in ready:
            _report_ended(child, running)
        if control not in ready:
            continue
        lines, descriptors, _, _ = socket.recv_fds(control, 4096, 2)  # descriptors come with the last line
        if not lines:
            break
        for message in map(json.loads, lines.splitlines()):
            if "fork" in message:
                given, output = descriptors
                pid = _fork(launchers, message)
                if pid == 0:
                    control.close()
                    child.close()
                    for _pid, other in running.values():
                        os.close(other)
                    launchers.inherit()
                    grade(root, launchers, given, output)
                os.close(given)
                running[message["fork"]] = pid, output
            elif message["kill"] in running:
                os.kill(running[message["kill"]][0], signal.SIGKILL)
    for pid, _output in running.values():
        os.kill(pid, signal.SIGKILL)
    launchers.close()
    os._exit(0)


def _fork(launchers: Launchers, message: dict[str, Any]) -> int:
    """Fork with torch imported and the zygote started, so that the new grader shares both."""
    launchers.drop_dead()
    launcher = launchers(message["isolation"], message["device"])
    from torchgrade.grading import session  # noqa: F401  (imports torch and pytest)

    launcher.alive()  # the thread that starts the zygote would not survive the fork
    gc.collect()
    gc.freeze()
    return os.fork()


def _report_ended(child: ChildSignal, running: dict[int, tuple[int, int]]) -> None:
    """Write to the output of each ended grader how it ended."""
    child.drain()
    for number, (pid, output) in list(running.items()):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with contextlib.suppress(OSError):
                os.write(output, msgpack.packb(to_data(GraderEnded(os.waitstatus_to_exitcode(status)))))
            os.close(output)
            del running[number]


def _chain(first: Job, rest: Iterator[Job]) -> Iterator[Job]:
    yield first
    yield from rest


def _torch_version() -> str:
    import torch

    return str(torch.__version__)
