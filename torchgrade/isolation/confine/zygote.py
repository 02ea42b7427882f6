"""The process that has imported torch once and forks workers. It holds no submission and no secret.

    grader ══control══▶ zygote ─fork─▶ supervisor ─fork─▶ worker, worker, ...

Started by launch.py as a fresh interpreter (inside bubblewrap at level 3), its control socket as a
descriptor. On the control socket, first a socket on which nothing is ever sent: the grader's life. Then JSON lines:

    {"level": 3, "missing": null}      first, before torch is imported: what a trial confinement lacked
    {"ready": true, "baseline": MB}    it can fork; torch is imported where the plan says so
    {"preload": [...], "user": N, "many": false} + [status]      from a grader: a supervisor for its workers

Graders that were forked from one process share the control socket: a request with its descriptors arrives whole.
It runs one thread and never touches CUDA: neither survives a fork. It ends when the last grader's ends close and its
supervisors have left.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import signal
import site
import socket
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from torchgrade.isolation.confine import libc, watch
from torchgrade.isolation.confine.child_signal import ChildSignal
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.confine.start import enter_zygote, prepare, start_supervisor, trial

LEAVE_SECONDS = 10.0  # as long as a supervisor may take to sweep
REMOTE = "torch.distributed.nn.jit.instantiator"

LINUX = sys.platform.startswith("linux")


def main(descriptor: int, settings: dict[str, Any]) -> NoReturn:
    """Serve fork requests until the control socket closes; never returns."""
    control, plan = socket.socket(fileno=descriptor), Plan.from_json(settings)
    try:
        life = socket.socket(fileno=socket.recv_fds(control, len(b"life"), 1)[1][0])
        enter_zygote(plan)
        with dying_with(life):
            missing = trial(plan)
            tell(control, {"level": plan.level, "missing": missing})
            if missing:
                os._exit(1)
            if plan.torch:
                warm_up()
            prepare(plan)
            settle()
        tell(control, {"ready": True, "baseline": watch.own_anonymous_mb()})
        serve(control, life, plan)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the grader has gone
    except BaseException as error:
        with contextlib.suppress(OSError):
            tell(control, {"error": f"{type(error).__name__}: {error}"[:4000]})
    finally:
        os._exit(1)


def warm_up() -> None:
    """Import what every worker needs, on one thread, and run each machinery once."""
    import msgpack  # noqa: F401
    import numpy.random  # noqa: F401  (numpy imports it when it is asked for: 12 ms of every worker)
    import torch

    torch.set_num_threads(1)
    site.setquit()  # the interpreter was started without site: exit() is missed
    leaf = torch.ones(2, 2, requires_grad=True)
    (leaf @ leaf).sum().backward()
    with contextlib.suppress(ModuleNotFoundError):  # its absence is told when it is asked for
        importlib.import_module("torchgrade.isolation.worker.serve")


def settle() -> None:
    """Before forking: one thread, no CUDA, and no object that the collector would touch in a fork."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        raise RuntimeError("the zygote has initialised CUDA, which does not survive a fork")
    threads = len(os.listdir("/proc/self/task")) if LINUX else threading.active_count()
    if threads != 1:
        raise RuntimeError(f"the zygote has {threads} threads; it may have one")
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def dying_with(life: socket.socket) -> Iterator[None]:
    """While busy, let the kernel end this process (SIGIO) when ``life`` closes."""
    flags = fcntl.fcntl(life, fcntl.F_GETFL)
    if not LINUX:
        yield
        return
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([life], [], [], 0)[0]:
        os._exit(0)  # it closed before we asked
    yield
    fcntl.fcntl(life, fcntl.F_SETFL, flags)


def serve(control: socket.socket, life: socket.socket, plan: Plan) -> None:
    """Fork one supervisor for each request; reap the ended ones, and kill what none of them owns any more."""
    child = ChildSignal()
    libc.adopt_orphans()
    supervisors: set[int] = set()
    gathered = False
    while True:
        ready, _, _ = select.select([control, child.end], [], [])
        if child.end in ready:
            reap(child, supervisors)
        if control not in ready:
            continue
        message, descriptors = b"", list[int]()
        with contextlib.suppress(ConnectionResetError):  # closed with our last message unread: it stays for all graders
            message, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        if not message:
            leave(child, supervisors)
        request = json.loads(message)
        import_all(life, request["preload"])
        if request["many"] and not gathered:
            libc.use_huge_pages()  # costs some ten forks once, and saves two thirds of every later one
            gathered = True
        pid = os.fork()
        if pid == 0:
            for end in (control, life, child):
                end.close()
            start_supervisor(plan, request["user"], *descriptors)
        supervisors.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)


def import_all(life: socket.socket, modules: list[str]) -> None:
    """Import ``modules`` here, once, so that every later worker has them."""
    missing = [name for name in modules if name not in sys.modules]
    if not missing:
        return
    found, tempfile.tempdir = tempfile.tempdir, "/tmp"  # a module may ask for its name; only workers write there
    spare_remote_modules()
    with dying_with(life):
        for name in missing:
            importlib.import_module(name)
        tempfile.tempdir = found
        settle()


def spare_remote_modules() -> None:
    """An older torch writes a Python file when its compiler is imported, for a part that no task uses, and the zygote
    may not write: there an empty module takes the place of what would."""
    if "torch" not in sys.modules:  # what opens archives needs none
        return
    place = Path(sys.modules["torch"].__file__ or "").parent / "distributed" / "nn" / "jit" / "instantiator.py"
    if REMOTE not in sys.modules and place.is_file() and "TemporaryDirectory" in place.read_text(encoding="utf-8"):
        sys.modules[REMOTE] = module = types.ModuleType(REMOTE)
        module.instantiate_non_scriptable_remote_module_template = lambda: None  # type: ignore[attr-defined]


def reap(child: ChildSignal, supervisors: set[int]) -> None:
    """Collect ended supervisors. A child that is none was orphaned by a killed supervisor: it is killed."""
    child.drain()
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            supervisors.discard(ended[0])
    if LINUX:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        with contextlib.suppress(OSError):
            for pid in {int(word) for word in children.read_text().split()} - supervisors:
                os.kill(pid, signal.SIGKILL)


def leave(child: ChildSignal, supervisors: set[int]) -> NoReturn:
    """The graders have gone, and their supervisors go: collect them, so that what they used is known, and go too."""
    deadline = time.monotonic() + LEAVE_SECONDS
    while supervisors and time.monotonic() < deadline:
        select.select([child.end], [], [], LEAVE_SECONDS)
        reap(child, supervisors)
    for pid in supervisors:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def tell(control: socket.socket, message: dict[str, Any]) -> None:
    control.sendall(json.dumps(message).encode() + b"\n")
