"""The pytest plugin: collects the checks of a suite once, then runs them for one submission after another.

It replaces pytest's run loop by a loop over jobs. For each job it runs every check on every device asked for,
and turns what the check raised into an outcome. It writes no report of its own: outcomes are events.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from _pytest.runner import runtestprotocol

from torchgrade import expect
from torchgrade.authoring import CheckSpec
from torchgrade.course import Task
from torchgrade.errors import CourseError, Unavailable
from torchgrade.grading.alone import Machine, smells_of_resources
from torchgrade.grading.calibration import Calibration
from torchgrade.grading.datasets import Datasets
from torchgrade.grading.job import Job
from torchgrade.grading.outcomes import PASSED, Verdict, shorten, verdict_of
from torchgrade.grading.pictures import Pictures
from torchgrade.grading.sandbox import Sandbox
from torchgrade.grading.seeds import derive
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Status
from torchgrade.submission import Source

Emit = Callable[[str, dict[str, Any]], None]
AGAIN = 2  # a worker may be killed by chance, and the next one, too; after that the submission kills it
MakeSandbox = Callable[[Job, str, Callable[[int], None]], Sandbox]


@dataclass
class Run:
    """The check that is running: its submission, its seed, and what it raised."""

    job: Job
    spec: CheckSpec
    device: str
    sandbox: Sandbox
    error: BaseException | None = None
    submission: Any = None


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
        self.run: Run | None = None
        self.calibration_file = Calibration.load(task.folder / "calibration.json")
        self.results: list[JobResult] = []
        self.error: str = ""
        self.machine = Machine()
        self.starved = False  # whether the check that ran last may have failed by the machine's fault

    # --- what a suite may ask for --------------------------------------------------------------------------

    @pytest.fixture
    def submission(self) -> Any:
        assert self.run is not None
        return self.run.submission

    @pytest.fixture
    def device(self) -> str:
        assert self.run is not None
        return self.run.device

    @pytest.fixture
    def dataset(self) -> Datasets:
        assert self.run is not None
        return Datasets(self.task.root / "datasets", self.run.job.data)

    @pytest.fixture
    def calibration(self) -> Calibration:
        return self.calibration_file

    @pytest.fixture
    def pictures(self) -> Pictures:
        assert self.run is not None
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
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None and self.run is not None and self.run.error is None:
            self.run.error = call.excinfo.value

    def _grade(self, result: JobResult, items: list[pytest.Item]) -> Iterator[Outcome]:
        job = result.job
        passed: dict[tuple[str, str], bool] = {}
        blocked: str | None = None
        sandboxes = {device: self.make_sandbox(job, device, self._on_steps(job)) for device in job.devices}
        try:
            for item in items:
                spec: CheckSpec = item.obj.check  # type: ignore[attr-defined]
                if job.only and item.name not in job.only:
                    continue
                for device in job.devices if spec.devices == "all" else job.devices[:1]:
                    waits = blocked or self._waits_for(spec, items, passed, device, job)
                    self.emit("check", {"job": job.id, "id": item.name, "title": spec.title, "device": device})
                    if waits:
                        outcome = self._outcome(item, spec, device, Verdict(Status.SKIPPED, waits))
                    else:
                        outcome = self._run_check(item, spec, device, job, sandboxes[device])
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
        titles = {item.name: item.obj.check.title for item in items}  # type: ignore[attr-defined]
        for name in spec.after:
            first = job.devices[0]
            if not passed.get((name, device), passed.get((name, first), bool(job.only) and name not in job.only)):
                return _("waits for {title}").format(title=_(titles.get(name, name)))
        return None

    def _run_check(self, item: pytest.Item, spec: CheckSpec, device: str, job: Job, sandbox: Sandbox) -> Outcome:
        started = time.monotonic()
        verdict, output = PASSED, ""
        for attempt in range(spec.tries):
            with self.machine.beside_others():
                verdict, output = self._attempt(item, spec, device, job, sandbox, attempt)
            for _again in range(AGAIN):
                if verdict.status is not Status.BROKEN and (not self.starved or job.first_failure):
                    break
                sandbox.restart()  # on a fresh worker
                with self.machine.alone():
                    verdict, output = self._attempt(item, spec, device, job, sandbox, attempt)
            if verdict.status is not Status.FAILED:
                break
        return self._outcome(item, spec, device, verdict, time.monotonic() - started, output)

    def _attempt(
        self, item: pytest.Item, spec: CheckSpec, device: str, job: Job, sandbox: Sandbox, attempt: int
    ) -> tuple[Verdict, str]:
        self.run = run = Run(job, spec, device, sandbox)
        self.calibration_file.measuring = job.measuring
        self.calibration_file.on_record = lambda name, value: self.emit(
            "recorded", {"job": job.id, "name": name, "value": value, "tries": spec.tries}
        )
        where = None
        try:
            if device == "cuda" and not torch.cuda.is_available():
                raise Unavailable(_("this machine has no CUDA device"))
            run.submission = sandbox.submission()
            seconds = (spec.seconds or self.task.manifest.check_seconds) * job.timeout_scale
            self._begin(job, item.name, attempt, run.submission.torchgrade_client, seconds)
            client = run.submission.torchgrade_client
            if job.proving:
                with expect.proving(lambda: client.seen.sent or []):
                    runtestprotocol(item, log=False, nextitem=None)
            else:
                runtestprotocol(item, log=False, nextitem=None)
        except Exception as error:
            run.error = error
        if run.submission is not None:
            where = _where(run.submission.torchgrade_client.seen.where)
        verdict = self._verdict(run, where) or self._blame(item, run, where)
        output = shorten(sandbox.output(), 4000)
        self.starved = smells_of_resources(run.error)
        self.run = None
        return verdict, output

    def _begin(self, job: Job, name: str, attempt: int, client: Any, seconds: float) -> None:
        seed = derive(job.seed, self.task.stem, name, attempt)
        random.seed(seed)
        np.random.seed(seed % (1 << 32))
        torch.manual_seed(seed)
        client.begin(derive(job.seed, "worker", self.task.stem, name, attempt), seconds, proving=job.proving)

    def _verdict(self, run: Run, where: str | None) -> Verdict | None:
        if run.error is None:
            return PASSED
        if isinstance(run.error, (KeyboardInterrupt, SystemExit)):
            raise run.error
        if isinstance(run.error, pytest.skip.Exception):
            return Verdict(Status.UNAVAILABLE, str(run.error))
        return verdict_of(run.error, where)

    def _blame(self, item: pytest.Item, run: Run, where: str | None) -> Verdict:
        """The suite itself raised: over a value that it could not use, or through our own fault?

        The reference decides where it is at hand: when the check passes for it, the value was to blame. Without a
        reference (the learner's edition), it was when a value had come back and the engine did not raise itself.
        """
        assert run.error is not None
        text = shorten(f"{type(run.error).__name__}: {run.error}", 500)
        origin = _origin(run.error)
        answered = run.submission is not None and run.submission.torchgrade_client.seen.answered
        blameless = self.task.solution.is_file() and self._passes_for_reference(item, run)
        if blameless or (answered and not self.task.solution.is_file() and "torchgrade" not in origin):
            got = _("a value that cannot be used where it is needed ({error})").format(error=text)
            return Verdict(Status.FAILED, got=got, where=where)
        return Verdict(Status.BROKEN, text, where=origin)

    def _passes_for_reference(self, item: pytest.Item, run: Run) -> bool:
        name = f"{self.task.stem}.py"
        source = Source(name, {name: self.task.solution.read_bytes()})
        if run.job.source.hash == source.hash:
            return False
        sandbox = self.make_sandbox(replace(run.job, source=source), run.device, lambda steps: None)
        self.run = again = Run(run.job, run.spec, run.device, sandbox)
        try:
            again.submission = sandbox.submission()
            self._begin(run.job, item.name, 0, again.submission.torchgrade_client, 600.0)
            runtestprotocol(item, log=False, nextitem=None)
        except Exception as error:
            again.error = error
        finally:
            sandbox.close()
            self.run = run
        return again.error is None

    def _outcome(
        self, item: pytest.Item, spec: CheckSpec, device: str, verdict: Verdict, seconds: float = 0.0, output: str = ""
    ) -> Outcome:
        return Outcome(
            id=item.name,
            title=_(spec.title),
            category=spec.category,
            device=device,
            status=verdict.status,
            points=0.0,
            max_points=spec.points,
            hidden=spec.hidden,
            seconds=round(seconds, 3),
            message=shorten(verdict.message),
            given=_short(verdict.given),
            expected=_short(verdict.expected),
            got=_short(verdict.got),
            likely=_(verdict.likely) if verdict.likely else None,
            where=verdict.where,
            hint=_(spec.hint) if spec.hint and verdict.status is Status.FAILED else None,
            output=output,
        )

    def _on_steps(self, job: Job) -> Callable[[int], None]:
        return lambda steps: self.emit("steps", {"job": job.id, "steps": steps})


def _short(text: str | None) -> str | None:
    return shorten(text) if text else None


def _where(place: tuple[str, int, str] | None) -> str | None:
    return shorten(f"{place[0]}:{place[1]}  {place[2]}", 300) if place else None


def _origin(error: BaseException) -> str:
    """File and line of our own code that raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
