"""From a fork of the zygote to a confined worker; ``trial`` goes the same way and names what fails.

    zygote ─▶ keeper ─▶ supervisor (pid 1) ─▶ worker      level 3: the keeper enters the namespaces
    zygote ─▶ supervisor ─▶ worker                        levels 2 and 1

The order matters: namespaces (keeper, supervisor); descriptors, folders of the job's own, no capabilities, another
user, limits, Landlock, not traceable, system calls (worker). Only then does the worker read anything that a submission
wrote.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from torchgrade.isolation.confine import landlock, libc, mounts, namespaces, rlimits, scratch, seccomp
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.confine.supervisor import CALLS, ConfinedJob, supervise
from torchgrade.isolation.wire.limits import Limits
from torchgrade.isolation.wire.status_socket import StatusSocket

WORK = f"{namespaces.HOME}/work"  # at level 3
Serve = Callable[[socket.socket], None]


def enter_zygote(plan: Plan) -> None:
    """What the zygote gives up, or needs, before it imports anything."""
    if plan.user is not None and plan.level == 3:
        become(plan.user)
        libc.prctl(libc.PR_SET_DUMPABLE, 1)  # else its own /proc entries belong to root
    elif plan.user is not None:
        try:
            mounts.reveal([p for p in plan.rules if not p.startswith("/dev/")], plan.user)
        except OSError as error:
            raise OSError(f"user {plan.user} cannot reach Python or the engine: {error}") from None


def prepare(plan: Plan) -> None:
    """In the zygote, once for all workers: where their folders are, the filter of system calls, and how processes
    share tensors."""
    if plan.level < 3:
        tempfile.gettempdir()  # finds it by writing a file
    if plan.level == 1:
        return
    seccomp.program(plan.level, cuda=plan.gpu)
    if plan.torch:
        from torchgrade.isolation.confine import sharing  # imports torch: not before the trial

        sharing.install(sockets=plan.level == 3)


def become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def start_supervisor(plan: Plan, user: int | None, end: int) -> NoReturn:
    """In the zygote's fork: become the supervisor of a grader's workers, or its keeper.

    ``user``: what a worker becomes where the grader is root. ``end``: of the status socket.
    """
    plan = replace(plan, user=user)
    status = StatusSocket(socket.socket(fileno=end))
    try:
        first_to_die()
        if plan.level == 3:
            namespaces.unshare()
            keep(status)
            namespaces.hide_machine(hide_proc=not plan.gpu)
            libc.prctl(libc.PR_SET_DUMPABLE, 0)
        supervise(status, lambda request: job_of(plan, request))
    except Exception as error:
        with contextlib.suppress(OSError):
            status.send({"error": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(70)


def job_of(plan: Plan, request: dict[str, Any]) -> ConfinedJob:
    """What the supervisor runs for a grader's request."""
    limits, folder, files = Limits.from_json(request["limits"]), WORK, None
    if plan.level < 3:
        folder = scratch.make(plan.user)
        files = scratch.Cleaner(folder, plan.user, limits.file_mb)

    def worker(told: socket.socket) -> NoReturn:
        run_worker(plan, limits, request["serve"], folder, told)

    return ConfinedJob(limits, worker, files)


def first_to_die() -> None:
    """When the machine runs out of memory, the kernel ends jobs before anything else."""
    with contextlib.suppress(OSError):
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(score, b"1000")
        os.close(score)


def keep(status: StatusSocket) -> None:
    """Fork pid 1 of the new namespace and return in it; here wait for its end, holding nothing."""
    pid = os.fork()
    if pid == 0:
        libc.die_with_parent()
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status.close()
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    os.waitpid(pid, 0)
    os._exit(0)


def run_worker(plan: Plan, limits: Limits, name: str, folder: str, told: socket.socket) -> NoReturn:
    """Confine this process, say so, and serve; never returns."""
    os.setsid()
    if plan.level == 3:
        namespaces.private_folders(limits.file_mb, plan.private(namespaces.SHARED))
        namespaces.drop_capabilities()
    elif plan.user is not None:
        become(plan.user)
    libc.die_with_parent()
    scratch.enter(folder)
    if plan.torch:
        import torch

        torch.set_num_threads(limits.threads)
    serve = find(name)
    confine(plan, limits, folder)
    told.sendall(b'{"confined": {}}\n')
    told.close()
    serve(socket.socket(fileno=CALLS))
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(0)


def confine(plan: Plan, limits: Limits, folder: str) -> None:
    """Give up what a worker of this level must not have. Raises OSError when any of it fails."""
    rlimits.apply(limits, alone=plan.level == 3 or plan.user is not None)
    if plan.level == 1:
        return
    if plan.level == 2:
        namespaces.drop_capabilities()
    writable = dict.fromkeys((namespaces.HOME, *plan.private(namespaces.SHARED)), "rw")
    own = writable if plan.level == 3 else {folder: "rw", "/dev/shm": "shm"}
    offered = landlock.restrict({**plan.rules, **own})
    if plan.level == 2 and offered < landlock.WANTED and plan.user is None:
        raise OSError(f"Landlock {landlock.WANTED} (Linux 6.12) keeps signals inside a job, the kernel has {offered}")
    if plan.level == 3 or plan.user is not None:  # the watch of an ordinary user reads the memory of its own
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
    seccomp.install(seccomp.program(plan.level, cuda=plan.gpu))


def find(name: str) -> Serve:
    """The serving function ``module:function``."""
    module, _, function = name.partition(":")
    serve: Serve = getattr(importlib.import_module(module), function)
    return serve


def trial(plan: Plan) -> str | None:
    """Start a job that confines itself and ends, torch left out. What failed, or None: the level holds here."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _try(plan, writing)
    os.close(writing)
    with open(reading, "rb") as file:
        said = file.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return None if said == "holds" else said or "the trial ended without a word"


def _try(plan: Plan, said: int) -> NoReturn:
    """The trial's process: as a supervisor and its worker, in one."""
    try:
        limits = Limits()
        if plan.level == 3:
            namespaces.unshare()
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
                os._exit(0)
            namespaces.hide_machine(hide_proc=not plan.gpu)
            namespaces.private_folders(limits.file_mb, plan.private(namespaces.SHARED))
            namespaces.drop_capabilities()
        elif plan.user is not None:
            become(plan.user)
        for path in plan.search:
            os.listdir(path) if os.path.isdir(path) else os.stat(path)
        confine(plan, limits, WORK)
        if plan.gpu and plan.level > 1:
            try_cuda()
        os.write(said, b"holds")
    except Exception as error:
        os.write(said, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(0)


def try_cuda() -> None:
    """Start the CUDA driver in this confined process; OSError when it is missing or refuses."""
    code = ctypes.CDLL("libcuda.so.1").cuInit(0)
    if code != 0:
        raise OSError(f"the CUDA driver does not start in a confined process (error {code})")
