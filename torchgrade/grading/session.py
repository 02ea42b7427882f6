"""One grading session: a pytest run over one suite that serves any number of jobs.

Importing this module imports torch; it is done in the grader process only (grading/__main__.py),
or in the command's own process under ``--debug``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
import torch

from torchgrade.course import Course, Task
from torchgrade.errors import CourseError
from torchgrade.grading.job import Job, JobQueue
from torchgrade.grading.plugin import GradingPlugin
from torchgrade.grading.runner import Emit
from torchgrade.grading.sandbox import Sandbox
from torchgrade.isolation.launch.launcher import Launcher, Limits
from torchgrade.model import Outcome, TaskGrade
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
        """Tell what happens with each job, ``Graded`` last; CourseError and IsolationError where none can be graded."""
        queue = JobQueue(jobs)
        while (head := queue.peek()) is not None:
            task = self.course.find(head.task)
            for device in head.devices:
                launcher = self.launchers(head.isolation, device)
                if launcher is not None:
                    launcher.require()
            self._run_suite(task, queue.while_task(head.task))

    def _run_suite(self, task: Task, jobs: Iterator[Job]) -> None:
        plugin = GradingPlugin(task, jobs, self._sandbox_maker(task), self.emit, self._grade_of)
        if self.debugger is not None:
            plugin.runner.debugger = self.debugger
        if not task.suite.is_file():
            raise CourseError(f"there is no suite graders/{task.stem}/checks.py")
        _forget_namesake(task)
        arguments = [*PYTEST_OPTIONS, "--rootdir", str(task.root), "-c", os.devnull]
        arguments += ["--confcutdir", str(task.suite.parent)]  # else every folder above it is listed, up to the root
        code = pytest.main([*arguments, str(task.suite)], plugins=[plugin])
        if code == pytest.ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        if plugin.error or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            reason = plugin.error.strip().splitlines()[-1:] or [f"pytest ended with {code!r}"]
            raise CourseError(f"the suite of {task.stem} cannot be collected: {reason[0]}")

    def _grade_of(self, job: Job, found: Sequence[Outcome], seconds: float) -> TaskGrade:
        task, outcomes = self.course.find(job.task), award(found)
        points, possible = total(outcomes)
        launcher = self.launchers(job.isolation, job.devices[0])
        return TaskGrade(
            task=task.stem,
            title=task.manifest.title,
            status=task_status(outcomes),
            points=points,
            max_points=possible,
            seconds=round(seconds, 3),
            grader_hash=task.grader_hash,
            submission_hash=job.source.hash,
            checks=outcomes,
            isolation=f"level {launcher.level}" if launcher is not None else "none (debug)",
            memory_bound=launcher.memory_bound if launcher is not None else "none",
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


def _forget_namesake(task: Task) -> None:
    """pytest takes a module of this name that is loaded already: here, the suite of another course."""
    name = ".".join(task.suite.relative_to(task.root).with_suffix("").parts)
    if getattr(sys.modules.get(name), "__file__", None) != str(task.suite):
        sys.modules.pop(name, None)
