"""The self-test: a dozen attempts to get out of a worker, made in a real one. Each must fail where it is stopped.

The grader lays out what is to be reached (a readable file, listening sockets, a variable in its environment), a
worker tries, and the grader looks afterwards at what it can see itself. A class is not graded when one succeeds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine import watch
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.launch import command
from torchgrade.isolation.launch.launcher import Launcher, Limits, WorkerProcess
from torchgrade.isolation.worker import snippet

SERVE = "torchgrade.isolation.worker.snippet:serve"
LIMITS = Limits(memory_mb=512, wall_seconds=20, file_mb=8, processes=16, open_files=64)


@dataclass(frozen=True)
class Canary:
    """One attempt: ``level`` is the lowest at which it must be stopped; ``text`` is Python that says True or False."""

    name: str
    sentence: str
    level: int
    text: str = ""


CANARIES = (
    Canary("read", "read a file that everybody may read", 2, "open(place + '/secret').read()"),
    Canary("stat", "see whether a file exists", 3, "os.stat(place + '/secret')"),
    Canary("write", "write outside its own folder", 2, "open(place + '/written', 'w')"),
    Canary("chmod", "change the mode of a file", 2, "os.chmod(place + '/secret', 0)"),
    Canary("tcp", "connect to a port of this machine", 2, "socket.create_connection(('127.0.0.1', port), 1)"),
    Canary("abstract", "connect to an abstract socket", 2, "connect('\\0' + abstract)"),
    Canary("path", "connect to a socket in the file system", 2, "connect(place + '/socket')"),
    Canary("vsock", "open a socket to the machine below", 2, "syscall(41, 40 | 1 << 32, 1, 0)"),
    Canary("ptrace", "trace its parent", 2, "check(libc.ptrace(0x4206, os.getppid(), 0, 0))"),
    Canary("limits", "change the limits of its parent", 2, "check(libc.prlimit(os.getppid(), 7, limit, None))"),
    Canary("raise", "raise its own limits", 2, "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))"),
    Canary("unshare", "make a user namespace", 2, "check(libc.unshare(0x10000000))"),
    Canary("processes", "see other processes", 2, "os.listdir('/proc/' + str(os.getppid()))"),
    Canary("fork", "start more processes than it may", 2, "fork(64)"),
    Canary("environment", "read the grader's environment", 1, "os.environ[variable]"),
)
SEEN = (
    Canary("root", "run as the root of this machine", 1),
    Canary("quota", "fill the disk", 2),
    Canary("outlive", "leave a process behind", 1),
    Canary("leave", "leave a file behind", 2),
)

TRY = """
import ctypes, os, resource, socket, time
libc = ctypes.CDLL(None, use_errno=True)
limit = ctypes.create_string_buffer(bytes([64, 0, 0, 0, 0, 0, 0, 0] * 2), 16)
def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
def syscall(*arguments):
    check(libc.syscall(*(ctypes.c_long(a) for a in arguments)))
def connect(name):
    socket.socket(socket.AF_UNIX).connect(name)
def fork(count):
    for _ in range(count):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
if os.fork() == 0:
    os.setpgid(0, 0)
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
answer = {}
for name, text in attempts:
    try:
        exec(text)
        answer[name] = True
    except (OSError, KeyError, ValueError, AttributeError) as error:
        answer[name] = False
answer["folder"] = os.getcwd()
"""

FILL = """
import time
for number in range(64):
    with open(str(number), "wb") as file:
        file.write(bytes(1 << 20))
time.sleep(5)
"""


@dataclass(frozen=True)
class Finding:
    """What became of one attempt. ``required``: at this level it has to be stopped."""

    canary: Canary
    stopped: bool
    required: bool

    @property
    def breach(self) -> bool:
        return self.required and not self.stopped


def self_test(launcher: Launcher) -> list[Finding]:
    """Try all canaries in one worker of ``launcher``; IsolationError when it cannot be started or does not answer."""
    level = launcher.level
    with _targets() as targets:
        worker = launcher.start(LIMITS, serve=SERVE)
        try:
            succeeded = _attempt(worker, targets) | _look(worker)
            succeeded["quota"] = _fill(worker)
        finally:
            worker.close()
        succeeded["outlive"] = _remain(succeeded["pids"])
        succeeded["leave"] = level < 3 and Path(succeeded["folder"]).exists()
        succeeded["chmod"] = (targets["place"] / "secret").stat().st_mode & 0o777 != 0o644
    return [Finding(c, not succeeded.get(c.name, False), level >= c.level) for c in (*CANARIES, *SEEN)]


def demand(launcher: Launcher) -> None:
    """IsolationError that names every attempt which succeeded although it must not."""
    breaches = [finding.canary.sentence for finding in self_test(launcher) if finding.breach]
    if breaches:
        raise IsolationError(f"The self-test failed: at level {launcher.level} a submission can {'; '.join(breaches)}.")


def _attempt(worker: WorkerProcess, targets: dict[str, Any]) -> dict[str, Any]:
    """What the worker says it managed."""
    known = {name: str(value) if isinstance(value, Path) else value for name, value in targets.items()}
    attempts = [(canary.name, canary.text) for canary in CANARIES]
    head = "".join(f"{name} = {value!r}\n" for name, value in {**known, "attempts": attempts}.items())
    try:
        said = snippet.ask(worker.socket, head + TRY)
    except (OSError, EOFError) as error:
        raise IsolationError(f"The self-test's worker did not answer: {error!r}") from None
    if not isinstance(said, dict) or "raised" in said:
        raise IsolationError(f"The self-test itself failed: {said}")
    return said


def _fill(worker: WorkerProcess) -> bool:
    """Whether eight times the allowed files were written: a quota refuses, or the supervisor ends the job."""
    try:
        return snippet.ask(worker.socket, FILL) is None
    except (OSError, EOFError):
        return False


def _look(worker: WorkerProcess) -> dict[str, Any]:
    """What the grader sees of the worker itself."""
    found: dict[str, Any] = {"pids": [worker.pid], "root": False}
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{worker.pid}/status").read_text()
        users = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        found = {"pids": worker.processes(), "root": "0" in users}
    return found


@contextlib.contextmanager
def _targets() -> Iterator[dict[str, Any]]:
    """A folder with a secret and a socket in it, a port, an abstract socket, the name of a variable."""
    place = Path(tempfile.mkdtemp(prefix="torchgrade-canary-"))
    place.chmod(0o777)
    (place / "secret").write_text("canary")
    (place / "secret").chmod(0o644)
    abstract = f"torchgrade-canary-{os.getpid()}-{os.urandom(4).hex()}"
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        for name in ("\0" + abstract, str(place / "socket")):
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            with contextlib.suppress(OSError):  # abstract names are Linux's own
                listener.bind(name)
                listener.listen()
        (place / "socket").chmod(0o777)
        try:
            yield {"place": place, "port": port, "abstract": abstract, "variable": _variable()}
        finally:
            shutil.rmtree(place)


def _variable() -> str:
    """One of this process's environment that no worker is given."""
    given = command.environment(Plan(level=1))
    return next((name for name in sorted(os.environ) if name not in given), "")


def _remain(pids: list[int], seconds: float = 1.0) -> bool:
    """Whether one of them still runs after ``seconds``."""
    deadline = time.monotonic() + seconds
    while any(watch.running(pid) for pid in pids):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.005)
    return False
