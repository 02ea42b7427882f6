"""Jobs on a Ray cluster: one grader process for each actor, spread over the machines that have room.

Ray places, restarts and forgets; what a verdict is, the gradebook on the coordinator's machine alone decides.
The course's folder must be at the same path on every machine (a shared file system, or a copy).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torchgrade.errors import UsageError
from torchgrade.grading.events import Event, Fault, Graded, from_data, to_data
from torchgrade.grading.job import Job
from torchgrade.grading.local import LocalExecutor

_PACKAGE = str(Path(__file__).parents[2])
_PATIENCE = 1.0  # seconds between two looks at the size of the cluster
_SOON = 0.02  # seconds in which events of one job travel together


class _Remote:
    """One grader on some machine of the cluster; runs inside a Ray actor."""

    def __init__(self, root: str) -> None:
        self.local = LocalExecutor(Path(root), 1, memory_mb=float("inf"))

    def grade(self, data: dict[str, Any]) -> Any:
        """Yield lists of the job's events as plain data, nearly as soon as they are known."""
        self.local.submit(Job.from_data(data))
        over = False
        while not over:
            found = self._together()
            over = _has_end(found)
            if found:
                yield [to_data(event) for event in found]

    def _together(self) -> list[Event]:
        """What is known soon after the first event: a message costs Ray as much as a small check takes."""
        found = self.local.events(1.0)
        deadline = time.monotonic() + _SOON
        while not _has_end(found) and time.monotonic() < deadline:
            found += self.local.events(max(deadline - time.monotonic(), 0.001))
        return found

    def close(self) -> None:
        self.local.close(now=True)


def _has_end(events: Iterable[Event]) -> bool:
    return any(isinstance(event, (Graded, Fault)) for event in events)


class _Slot:
    """An actor, and what it runs."""

    def __init__(self, actor: Any, memory_mb: float) -> None:
        self.actor = actor
        self.memory_mb = memory_mb
        self.task = ""
        self.job: int | None = None
        self.stream: Any = None


class RayExecutor:
    """As many graders as the cluster has processors (or parts of GPUs), each with one CPU and the memory of its task.

    ``address`` is ``auto`` for the running cluster, or its address. A machine that leaves costs its jobs
    nothing but time: they come back as blameless faults and run elsewhere.
    """

    def __init__(self, root: Path, address: str, gpu_share: float = 0.0) -> None:
        try:
            import ray
        except ImportError:
            raise UsageError("--ray needs Ray: pip install 'torchgrade[ray]'") from None
        self._ray: Any = ray
        self._root = str(root)
        self._gpu_share = gpu_share
        if not ray.is_initialized():
            settings: dict[str, Any] = {"runtime_env": {"env_vars": {"PYTHONPATH": _PACKAGE}}, "log_to_driver": False}
            try:
                ray.init(address=address, logging_level=logging.ERROR, **settings)
            except ConnectionError as error:
                raise UsageError(f"there is no Ray cluster at {address!r}: {error}") from None
            self._ours = True
        else:
            self._ours = False
        self._slots: list[_Slot] = []
        self._looked = 0.0
        self._size = 0

    def room(self, memory_mb: float) -> bool:
        """One grader for each processor of the cluster as it is now; Ray itself minds the memory of each machine."""
        self._look()
        return sum(slot.job is not None for slot in self._slots) < self._size

    def _look(self) -> None:
        """How large the cluster is now. Where it has shrunk, an idle grader holds what a waiting one needs."""
        if time.monotonic() - self._looked > _PATIENCE:
            resources = self._ray.cluster_resources()
            whole = resources.get("GPU", 0) / self._gpu_share if self._gpu_share else resources.get("CPU", 0)
            self._size, self._looked = int(whole), time.monotonic()
            if len(self._slots) > self._size:
                self._make_way()

    def submit(self, job: Job) -> None:
        """To an idle grader that has enough memory, one that knows the task first; else to a new one."""
        idle = [slot for slot in self._slots if slot.job is None and slot.memory_mb >= job.memory_mb]
        slot = min(idle, key=lambda slot: slot.task != job.task, default=None)
        if slot is None:
            self._make_way()
            slot = _Slot(self._start(job.memory_mb), job.memory_mb)
            self._slots.append(slot)
        slot.job, slot.task = job.id, job.task
        slot.stream = slot.actor.grade.options(num_returns="streaming").remote(job.to_data())

    def _start(self, memory_mb: float) -> Any:
        remote = self._ray.remote(_Remote)
        needs: dict[str, Any] = {"num_cpus": 1, "memory": int(memory_mb) << 20}
        if self._gpu_share:
            needs["num_gpus"] = self._gpu_share
        return remote.options(**needs).remote(self._root)

    def _make_way(self) -> None:
        """End idle graders: they hold the processor of one that waits for it, or are too small for the next job."""
        for slot in [slot for slot in self._slots if slot.job is None]:
            self._end(slot)

    def events(self, timeout: float) -> list[Event]:
        """Take what the streams have; a stream that breaks is a machine or an actor that died."""
        self._look()
        deadline = time.monotonic() + timeout
        found: list[Event] = []
        while not found and time.monotonic() < deadline:
            busy = {slot.stream: slot for slot in self._slots if slot.job is not None}
            if not busy:
                time.sleep(min(timeout, 0.05))
                break
            ready, _ = self._ray.wait(list(busy), num_returns=1, timeout=max(deadline - time.monotonic(), 0.01))
            for stream in ready:
                found += self._next(busy[stream])
        return found

    def _next(self, slot: _Slot) -> list[Event]:
        number = slot.job
        assert number is not None
        try:
            found = [from_data(data) for data in self._ray.get(next(slot.stream))]
        except StopIteration:
            slot.job = None
            return [Fault(number, "the grader ended without a verdict")]
        except self._ray.exceptions.RayError as error:
            slot.job = None
            self._end(slot)
            reason = f"a machine of the cluster or its grader was lost: {type(error).__name__}"
            lost = isinstance(error, (self._ray.exceptions.RayActorError, self._ray.exceptions.ObjectLostError))
            return [Fault(number, reason, lost)]
        if _has_end(found):
            slot.job = None
        return found

    def _end(self, slot: _Slot) -> None:
        if slot in self._slots:
            self._slots.remove(slot)
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(slot.actor)

    def close(self, *, now: bool = False) -> None:
        """Close every grader; a cluster that we only joined goes on without us."""
        for slot in list(self._slots):
            with contextlib.suppress(self._ray.exceptions.RayError):
                if not now:
                    self._ray.get(slot.actor.close.remote(), timeout=10)
            self._end(slot)
        if self._ours:
            self._ray.shutdown()
