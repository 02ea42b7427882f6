"""One grading session: a pytest run over one suite that serves any number of jobs.

Importing this module imports torch; it is done in the grader process only (grading/__main__.py),
or in the command's own process under ``--debug``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch

from torchgrade.course import Course, Task
from torchgrade.errors import CourseError
from torchgrade.grading.job import Job
from torchgrade.grading.plugin import GradingPlugin, JobResult
from torchgrade.grading.runner import Emit
from torchgrade.grading.sandbox import Sandbox
from torchgrade.isolation.launch.launcher import Launcher, Limits
from torchgrade.model import TaskGrade
from torchgrade.scoring import award, task_status, total

PYTEST_OPTIONS = (
    "-p", "no:terminal",
    "-p", "no:debugging",
    "-p", "no:cacheprovider",
    "-p", "no:logging",
    "-p", "no:doctest",
    "-p", "no:junitxml",
    "-p", "no:faulthandler",
    "-p", "no:unraisableexception",
    "-p", "no:threadexception",
    "-p", "no:warnings",
    "--capture=no",
    "--assert=plain",
    "--import-mode=importlib",
    "--noconftest",
    "-o", "python_files=checks.py",
    "-o", "addopts=",
)  # fmt: skip


class Session:
    """Grades jobs one after another; consecutive jobs of one task share the collected suite."""

    def __init__(self, course: Course, launchers: Callable[[str, str], Launcher | None], emit: Emit) -> None:
        self.course = course
        self.launchers = launchers
        self.emit = emit
        self.debugger: Callable[[BaseException | None], None] | None = None  # under --pdb
        torch.set_num_threads(1)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    def grade(self, jobs: Iterable[Job]) -> None:
        """Emits ``outcome``, ``steps`` and ``graded`` for each job; ``started`` and ``check`` where it is watched."""
        queue = _Peekable(jobs)
        while (head := queue.peek()) is not None:
            task = self.course.find(head.task)
            for device in head.devices:
                launcher = self.launchers(head.isolation, device)
                if launcher is not None:
                    launcher.require()
            self._run_suite(task, queue.while_task(head.task))

    def _run_suite(self, task: Task, jobs: Iterator[Job]) -> None:
        plugin = GradingPlugin(task, self._announced(jobs), self._sandbox_maker(task), self._forward(task))
        if self.debugger is not None:
            plugin.runner.debugger = self.debugger
        if not task.suite.is_file():
            raise CourseError(f"there is no suite graders/{task.stem}/checks.py")
        arguments = [*PYTEST_OPTIONS, "--rootdir", str(task.root), "-c", os.devnull]
        arguments += ["--confcutdir", str(task.suite.parent)]  # else every folder above it is listed, up to the root
        code = pytest.main([*arguments, str(task.suite)], plugins=[plugin])
        if code == pytest.ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if plugin.error or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            reason = plugin.error.strip().splitlines()[-1:] or [f"pytest ended with {code!r}"]
            raise CourseError(f"the suite of {task.stem} cannot be collected: {reason[0]}")

    def _announced(self, jobs: Iterator[Job]) -> Iterator[Job]:
        for job in jobs:
            if job.watched:
                self.emit("started", {"job": job.id, "task": job.task})
            yield job

    def _forward(self, task: Task) -> Emit:
        def emit(kind: str, data: dict[str, Any]) -> None:
            if kind == "finished":
                self.emit("graded", {"job": data["job"], "grade": self._grade_of(task, data["result"])})
            else:
                self.emit(kind, data)

        return emit

    def _grade_of(self, task: Task, result: JobResult) -> TaskGrade:
        outcomes = award(result.outcomes)
        points, possible = total(outcomes)
        launcher = self.launchers(result.job.isolation, result.job.devices[0])
        return TaskGrade(
            task=task.stem,
            title=task.manifest.title,
            status=task_status(outcomes),
            points=points,
            max_points=possible,
            seconds=round(result.seconds, 3),
            grader_hash=task.grader_hash,
            submission_hash=result.job.source.hash,
            checks=outcomes,
            isolation=f"level {launcher.level}" if launcher is not None else "none (debug)",
            memory_bound=launcher.memory_bound if launcher is not None else "none",
            peak_mb=round(result.peak_mb, 1),
        )

    def _sandbox_maker(self, task: Task) -> Callable[[Job, str, Callable[[int], None]], Sandbox]:
        manifest = task.manifest
        probes = task.probes.read_text(encoding="utf-8") if task.probes.is_file() else None

        def make(job: Job, device: str, on_steps: Callable[[int], None]) -> Sandbox:
            limits = Limits(
                memory_mb=int(manifest.memory_mb), wall_seconds=3600.0 * job.timeout_scale, devices=(device,)
            )
            return Sandbox(
                launcher=self.launchers(job.isolation, device),
                limits=limits,
                preload=manifest.preload,
                source=job.source,
                name=task.stem,
                probes=probes,
                load_seconds=manifest.check_seconds * job.timeout_scale,
                on_steps=on_steps,
            )

        return make


class _Peekable:
    """A queue of jobs whose head can be looked at."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = iter(jobs)
        self._head: Job | None = None

    def peek(self) -> Job | None:
        if self._head is None:
            self._head = next(self._jobs, None)
        return self._head

    def while_task(self, task: str) -> Iterator[Job]:
        while (head := self.peek()) is not None and head.task == task:
            self._head = None
            yield head
