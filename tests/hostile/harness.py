"""Runs one hostile submission beside an honest one, through the engine's own client, and looks at what it did.

    arena.run(payload) -> Verdict(stopped, how)

After each: the honest sibling still answers right, the zygote forks, no process of the job is left, the files of the
host are as they were, no shared memory is left, the grader has not grown.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hostile.attempt import Payload
from torchgrade.authoring import expect, parameter_count
from torchgrade.errors import Mismatch, SubmissionFault
from torchgrade.handin.opener import Opener
from torchgrade.handin.reading import Given, read_handin
from torchgrade.isolation.confine import watch
from torchgrade.isolation.confine.plan import ENGINE
from torchgrade.isolation.launch.launcher import Limits, open_launcher
from torchgrade.isolation.launch.openers import LIMITS
from torchgrade.isolation.remote.client import Client
from torchgrade.isolation.remote.line import WorkerLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
from torchgrade.submission import Source, source_of

MOST_GROWTH_MB = 40.0
WANTED = {"task00_payload": frozenset({"attack"})}
UNPACKER = "torchgrade.isolation.worker.unpacker:serve"
HONEST = b"""
import os, socket
import torch
from torch.utils.data import DataLoader, TensorDataset

kept = []
open("notes", "w").write("mine")
def listen():
    kept.append(socket.socket(socket.AF_UNIX))
    kept[0].bind("\\0sibling")
    kept[0].listen()

for prepare in (listen, lambda: open("/dev/shm/sibling-notes", "w").write("mine")):
    try:
        prepare()
    except OSError:
        pass

def scale(x, factor=2.0):
    return x * factor

def folder():
    return os.getcwd()

def loaded():
    data = TensorDataset(torch.arange(20.0).reshape(10, 2))
    return sum(batch[0].sum().item() for batch in DataLoader(data, batch_size=5, num_workers=1))
"""


@dataclass(frozen=True)
class Verdict:
    """``stopped``: the attempt failed and nothing was harmed. ``how``: what stopped it, or what it did."""

    stopped: bool
    how: str


class Arena:
    """A launcher at one level, an honest sibling, and everything that there is to reach."""

    def __init__(self, isolation: str) -> None:
        with contextlib.ExitStack() as stack:  # a level that is not to be had leaves no socket bound
            self.targets = stack.enter_context(targets())
            self.launcher = stack.enter_context(open_launcher(isolation, readable=[Path(self.targets["data"])]))
            self.level = self.launcher.level
            self.sibling = self._load(Limits(wall_seconds=7200), Source("task.py", {"task.py": HONEST}), 60.0)
            self.stack = stack.pop_all()
        self.targets |= {
            "zygote": self.launcher._zygote._process.pid,
            "sibling": self.sibling.line.process.pid,
            "sibling_folder": RemoteSubmission(self.sibling).folder() if self.level < 3 else "",
        }
        self._submission_of_sibling = RemoteSubmission(self.sibling)
        gc.collect()
        gc.freeze()  # what torch brought need not be looked at again for each payload

    def close(self) -> None:
        self.sibling.line.close()
        self.stack.close()

    def __enter__(self) -> Arena:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _load(self, limits: Limits, source: Source, seconds: float) -> Client:
        client = connect(WorkerLine(self.launcher.start(limits), limits))
        client.line.begin(seconds)
        client.load("task", source, None)
        return client

    def run(self, payload: Payload) -> Verdict:
        """One attempt and the inspection afterwards."""
        before = grown()
        limits = Limits(**{"memory_mb": 2048, "wall_seconds": 120, "file_mb": 64, **(payload.limits or {})})
        line = WorkerLine(self.launcher.start(limits), limits)
        client, started = connect(line), time.monotonic()
        try:
            verdict = self._attempt(payload, client)
        except Exception as error:
            verdict = Verdict(False, f"the grader itself failed: {type(error).__name__}: {error}")
        late = time.monotonic() - started > 6 * payload.seconds + 5
        damage = self._sibling_harmed(payload)
        pids = line.process.processes()
        line.close()
        damage += self._damage(pids)
        line.process.close()
        reused = self.level == 1 or any(idle.alive() for idle in self.launcher._idle)
        damage += [] if reused else ["its supervisor has ended"]
        damage += ["the grader waited too long"] if late else []
        growth = grown() - before
        damage += [f"the grader grew by {growth:.0f} MB"] if growth > MOST_GROWTH_MB else []
        return Verdict(False, "; ".join(damage)) if damage else verdict

    def _attempt(self, payload: Payload, client: Client) -> Verdict:
        client.line.begin(payload.seconds)
        try:
            client.load("task", self._source(payload), None)
            client.begin(7, payload.seconds)
            return PROOFS[payload.proof](payload, RemoteSubmission(client), self.targets)
        except SubmissionFault as fault:
            text = f"{type(fault).__name__}: {fault}"
            if payload.proof == "fault" and not re.search(payload.says, text):
                return Verdict(False, f"refused, but by another rule: {text[:200]}")
            return Verdict(True, text[:200])

    def _source(self, payload: Payload) -> Source:
        """The submission as it is; an archive is opened first, in a confined process of its own."""
        if payload.archive is None:
            return Source("task.py", {"task.py": payload.source})
        data = payload.archive()
        with Opener(lambda: self.launcher.start(LIMITS, serve=UNPACKER)) as opener:
            reading = read_handin([Given("x.zip", "x.zip", lambda: data)], WANTED, opener)
        answers = [answer for answer in reading.answers if answer.code is not None]
        return source_of(answers[-1]) if answers else Source("task.py", {"task.py": b""})

    def _sibling_harmed(self, payload: Payload) -> list[str]:
        x = torch.randn(3, 3)
        try:
            self.sibling.line.begin(30.0)
            if not torch.equal(self._submission_of_sibling.scale(x, 3.0), x * 3.0):
                return ["the sibling's answer changed"]
            if "descriptors" in payload.name and self._submission_of_sibling.loaded() != 190.0:
                return ["the sibling's loader fails"]
        except SubmissionFault as fault:
            return [f"the sibling was harmed: {fault}"]
        return []

    def _damage(self, pids: list[int]) -> list[str]:
        """What is left behind or changed on the host."""
        found = []
        deadline = time.monotonic() + 3
        while left := [pid for pid in pids if watch.running(pid)]:
            if time.monotonic() > deadline:
                found.append(f"{len(left)} processes are left")
                break
            time.sleep(0.01)
        found += changed_files(self.targets)
        if not watch.running(self.targets["zygote"]):
            found.append("the zygote has ended")
        names = {n for n in os.listdir("/dev/shm") if n != "sibling-notes"} - self.targets["shm"]
        mine = [n for n in names if os.stat(f"/dev/shm/{n}").st_uid in (os.getuid(), self._job_user())]
        return found + [f"shared memory {name} is left" for name in mine]

    def _job_user(self) -> int:
        slot = self.launcher._slot
        return slot.user if slot is not None and slot.user is not None else os.getuid()


def by_claim(payload: Payload, submission: RemoteSubmission, given: dict[str, Any]) -> Verdict:
    plain = {name: value for name, value in given.items() if name not in ("shm", "states")}
    done = submission.attack({**plain, "parent": 0})
    return Verdict(not done, f"managed {done}" if done else "refused")


def by_exam(payload: Payload, submission: RemoteSubmission, given: dict[str, Any]) -> Verdict:
    """A check as a suite writes it; the submission's values are wrong."""
    x = torch.randn(3)
    expected = x * 3.0
    try:
        expect.close(submission.scale(x.clone(), 3.0), expected)
    except Mismatch as found:
        return Verdict(True, f"failed the check: got {found.got}"[:200])
    return Verdict(False, "passed the check")


def by_gradient(payload: Payload, submission: RemoteSubmission, given: dict[str, Any]) -> Verdict:
    x = torch.randn(3, requires_grad=True)
    (gradient,) = torch.autograd.grad(submission.scale(x, 3.0).sum(), x)
    try:
        expect.close(gradient, torch.full((3,), 3.0))
    except Mismatch as found:
        return Verdict(True, f"failed the check: got {found.got}"[:200])
    return Verdict(False, "passed the check")


def by_structure(payload: Payload, submission: RemoteSubmission, given: dict[str, Any]) -> Verdict:
    try:
        expect.equal(parameter_count(submission.Net()), 3)
    except Mismatch as found:
        return Verdict(True, f"failed the check: got {found.got}"[:200])
    return Verdict(False, "passed the check")


def by_fault(payload: Payload, submission: RemoteSubmission, given: dict[str, Any]) -> Verdict:
    """The frame must be refused: whatever the grader takes for an answer was accepted."""
    answer = submission.attack({})
    if payload.name == "reply_twice":  # the first reply is a legitimate one, the second is not
        submission.attack({})
    if payload.name == "stop_reading":
        answer = submission.attack({"large": torch.zeros(1 << 18)})
    return Verdict(False, f"accepted {type(answer)!s}")


def by_survival(payload: Payload, submission: RemoteSubmission, given: dict[str, Any]) -> Verdict:
    if payload.archive is None:
        submission.attack({})
    return Verdict(True, "harmless")


PROOFS = {
    "claim": by_claim,
    "exam": by_exam,
    "fault": by_fault,
    "gradient": by_gradient,
    "structure": by_structure,
    "survive": by_survival,
}


@contextlib.contextmanager
def targets() -> Iterator[dict[str, Any]]:
    """What is there to reach: open files, sockets, ports, a data set. All of it is open to every user."""
    place = Path(tempfile.mkdtemp(prefix="torchgrade-arena-"))
    course = place / "course"
    data = place / "sets"
    for folder in (place, course, data):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
    texts = {"secret": "canary", "results.json": '{"score": 0}', "other": "x", "secret_suite.py": "found = 1"}
    for path in [*(place / name for name in texts), data / "set.txt", course / "checks.py", place / "own"]:
        path.write_text(texts.get(path.name, "numbers"))
        path.chmod(0o666)
    name = f"torchgrade-arena-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind(("127.0.0.1", 0))
        for address, kind in (("\0" + name, 1), (str(place / "socket"), 1), (str(place / "datagram"), 2)):
            end = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
            end.bind(address)
            if kind == 1:
                end.listen()
        for end in ("socket", "datagram"):
            (place / end).chmod(0o777)
        facts = {
            "place": str(place), "course": str(course), "data": str(data), "engine": str(ENGINE), "port": port,
            "udp": datagrams.getsockname()[1], "abstract": name, "grader": os.getpid(), "parent": 0,
            "environment": [n for n in os.environ if n.startswith(("SSH", "AWS", "COURSE", "PYTEST", "LOGNAME"))],
            "shm": set(os.listdir("/dev/shm")),
        }  # fmt: skip
        facts["states"] = states(facts)
        yield facts


def states(given: dict[str, Any]) -> dict[str, Any]:
    """Text, mode and (of one) time of every file that must not change."""
    found: dict[str, Any] = {}
    for folder in (given["place"], given["course"], given["data"]):
        for path in sorted(Path(folder).iterdir()):
            info = path.lstat()
            text = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (text, info.st_mode, info.st_uid, int(info.st_mtime) if path.name == "own" else 0)
    return found


def changed_files(given: dict[str, Any]) -> list[str]:
    """Files of the host that are other than they were; the arena is told, so that each is blamed once."""
    now, before = states(given), given["states"]
    given["states"] = now
    names = [p for p in {**before, **now} if before.get(p) != now.get(p)]
    escaped = [str(p) for p in Path("/tmp").glob("*escaped*")]
    for path in escaped:
        os.unlink(path)
    return [f"{Path(path).name} was changed on the host" for path in (*names, *escaped)]


def grown() -> float:
    """Anonymous memory of this process in MB, after giving back what is free."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    return watch.own_anonymous_mb()
