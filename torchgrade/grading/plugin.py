"""The pytest plugin: collects the checks of a suite once, then runs them for one submission after another.

It replaces pytest's run loop by a loop over jobs. For each job it has every check run on every device asked for,
unless the check waits for another. It writes no report of its own: outcomes are events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from torchgrade.authoring import CheckSpec
from torchgrade.course import Task
from torchgrade.errors import CourseError
from torchgrade.grading.calibration import Calibration
from torchgrade.grading.datasets import Datasets
from torchgrade.grading.job import Job
from torchgrade.grading.outcomes import Verdict
from torchgrade.grading.pictures import Pictures
from torchgrade.grading.runner import CheckRunner, Emit, MakeSandbox, Run, check_of, outcome_of
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Status


@dataclass
class JobResult:
    job: Job
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    peak_mb: float = 0.0


class GradingPlugin:
    """Runs ``jobs`` against the collected suite of ``task``."""

    def __init__(self, task: Task, jobs: Iterable[Job], make_sandbox: MakeSandbox, emit: Emit) -> None:
        self.task = task
        self.jobs = jobs
        self.make_sandbox = make_sandbox
        self.emit = emit
        self.runner = CheckRunner(task, make_sandbox, emit)
        self.results: list[JobResult] = []
        self.error: str = ""

    @property
    def run(self) -> Run:
        assert self.runner.run is not None
        return self.runner.run

    # --- what a suite may ask for --------------------------------------------------------------------------

    @pytest.fixture
    def submission(self) -> Any:
        return self.run.submission

    @pytest.fixture
    def device(self) -> str:
        return self.run.device

    @pytest.fixture
    def dataset(self) -> Datasets:
        return Datasets(self.task.root / "datasets", self.run.job.data)

    @pytest.fixture
    def calibration(self) -> Calibration:
        return self.runner.calibration

    @pytest.fixture
    def pictures(self) -> Pictures:
        run = self.run
        if not run.job.pictures:
            return Pictures()
        where = {"job": run.job.id, "task": self.task.stem, "device": run.device}
        return Pictures(lambda picture: self.emit("picture", {**where, "picture": picture}))

    # --- the run -------------------------------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if not isinstance(getattr(getattr(item, "obj", None), "check", None), CheckSpec):
                raise CourseError(f"{item.name} of {self.task.stem} is not marked with @check")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.error = str(report.longrepr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for job in () if self.error else self.jobs:
            started = time.monotonic()
            result = JobResult(job)
            for outcome in self._grade(result, session.items):
                result.outcomes.append(outcome)
                self.emit("outcome", {"job": job.id, "outcome": outcome})
            result.seconds = time.monotonic() - started
            self.results.append(result)
            self.emit("finished", {"job": job.id, "result": result})
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
        error = call.excinfo.value if call.excinfo is not None else None
        self.run.error = self.run.error or error
        if call.when == "collect":
            return None
        # pytest would parse the source of every frame of an error, for a text that nobody reads
        return pytest.TestReport(item.nodeid, item.location, {}, "failed" if error else "passed", None, call.when)

    def _grade(self, result: JobResult, items: list[pytest.Item]) -> Iterator[Outcome]:
        job = result.job
        passed: dict[tuple[str, str], bool] = {}
        blocked: str | None = None
        sandboxes = {device: self.make_sandbox(job, device, self._on_steps(job)) for device in job.devices}
        try:
            for item in items:
                spec = check_of(item)
                if job.only and item.name not in job.only:
                    continue
                for device in job.devices if spec.devices == "all" else job.devices[:1]:
                    waits = blocked or self._waits_for(spec, items, passed, device, job)
                    if job.watched:
                        self.emit("check", {"job": job.id, "id": item.name, "title": spec.title, "device": device})
                    if waits:
                        outcome = outcome_of(item, device, Verdict(Status.SKIPPED, waits))
                    else:
                        outcome = self.runner.outcome(item, device, job, sandboxes[device])
                    passed[item.name, device] = outcome.status is Status.PASSED
                    if sandboxes[device].failed is not None:
                        blocked = _("waits for the file to be loaded")
                    yield outcome
                    if job.first_failure and outcome.status is not Status.PASSED:
                        return
        finally:
            for sandbox in sandboxes.values():
                sandbox.close()
                result.peak_mb = max(result.peak_mb, sandbox.peak_mb)

    def _waits_for(
        self, spec: CheckSpec, items: list[pytest.Item], passed: dict[tuple[str, str], bool], device: str, job: Job
    ) -> str | None:
        for name in spec.after:
            first = job.devices[0]
            if not passed.get((name, device), passed.get((name, first), bool(job.only) and name not in job.only)):
                title = next((check_of(item).title for item in items if item.name == name), name)
                return _("waits for {title}").format(title=_(title))
        return None

    def _on_steps(self, job: Job) -> Callable[[int], None]:
        return lambda steps: self.emit("steps", {"job": job.id, "steps": steps})
