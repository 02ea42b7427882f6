"""The pytest plugin: collects the checks of a suite once, then runs them for one submission after another.

It replaces pytest's run loop by a loop over jobs. For each job it has every check run on every device asked for,
unless the check waits for another. It writes no report of its own: outcomes are events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest

from torchgrade.authoring import CheckSpec
from torchgrade.checks import Rule
from torchgrade.course import Task
from torchgrade.expect.rules import forbidden, wanted
from torchgrade.grading.calibration import Calibration
from torchgrade.grading.datasets import Datasets
from torchgrade.grading.events import CheckBegan, CheckEnded, Graded, PictureShown, StepsTaken
from torchgrade.grading.gates import Record, held
from torchgrade.grading.job import Job
from torchgrade.grading.outcomes import Verdict
from torchgrade.grading.pictures import Pictures
from torchgrade.grading.runner import RUN, CheckRunner, Emit, MakeSandbox, Run, check_of, outcome_of
from torchgrade.grading.sandbox import Sandbox
from torchgrade.i18n import speak
from torchgrade.i18n import translate as _
from torchgrade.isolation.remote.client import Ran
from torchgrade.model import Outcome, Status, TaskGrade

# Of a job, its outcomes, the seconds it took, and its submission's peak memory in MB.
GradeOf = Callable[[Job, Sequence[Outcome], float], TaskGrade]


class GradingPlugin:
    """Runs ``jobs`` against the collected suite of ``task``."""

    def __init__(
        self, task: Task, jobs: Iterable[Job], make_sandbox: MakeSandbox, emit: Emit, grade_of: GradeOf
    ) -> None:
        self.task = task
        self.jobs = jobs
        self.make_sandbox = make_sandbox
        self.emit = emit
        self.grade_of = grade_of
        self.runner = CheckRunner(task, make_sandbox, emit)
        self.error: str = ""

    # --- what a suite may ask for --------------------------------------------------------------------------

    @pytest.fixture
    def submission(self, request: pytest.FixtureRequest) -> Any:
        return run_of(request).submission

    @pytest.fixture
    def device(self, request: pytest.FixtureRequest) -> str:
        return run_of(request).device

    @pytest.fixture
    def dataset(self, request: pytest.FixtureRequest) -> Datasets:
        return Datasets(self.task.root / "datasets", run_of(request).job.data)

    @pytest.fixture
    def calibration(self) -> Calibration:
        return self.runner.calibration

    @pytest.fixture
    def pictures(self, request: pytest.FixtureRequest) -> Pictures:
        run = run_of(request)
        if not run.job.pictures:
            return Pictures()
        return Pictures(lambda picture: self.emit(PictureShown(run.job.id, run.device, picture)))

    # --- the run -------------------------------------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            if not isinstance(getattr(getattr(item, "obj", None), "check", None), CheckSpec):
                self.error = f"{item.name} is not marked with @check"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.error = str(report.longrepr)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for job in () if self.error else self.jobs:
            started = time.monotonic()
            speak(job.language)
            sandboxes = {device: self.make_sandbox(job, device, self._on_steps(job)) for device in job.devices}
            records = []
            try:
                for record in self._grade(job, session.items, sandboxes):
                    records.append(record)
                    self.emit(CheckEnded(job.id, record.outcome))
            finally:
                for sandbox in sandboxes.values():
                    sandbox.close()
            places = [item.name for item in session.items]
            records.sort(key=lambda record: places.index(record.outcome.id))
            # Of chosen checks alone it is not known what holds their points back.
            outcomes = [record.outcome for record in records] if job.only else held(records, breaks)
            grade = self.grade_of(job, outcomes, time.monotonic() - started)
            notes = dict.fromkeys(note for sandbox in sandboxes.values() for note in sandbox.notes)
            peak_mb = round(max(sandbox.peak_mb for sandbox in sandboxes.values()), 1)
            self.emit(Graded(job.id, replace(grade, peak_mb=peak_mb, notes=tuple(notes))))
            for sandbox in sandboxes.values() if job.again else ():
                sandbox.start_ahead()
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        error = call.excinfo.value if call.excinfo is not None else None
        assert call.when != "collect"
        # pytest would parse the source of every frame of an error, for a text that nobody reads
        outcome: Literal["passed", "failed"] = "failed" if error else "passed"
        report = pytest.TestReport(item.nodeid, item.location, {}, outcome, None, call.when)
        report.error = error  # type: ignore[attr-defined]  # for the runner
        return report

    def _grade(self, job: Job, items: list[pytest.Item], sandboxes: Mapping[str, Sandbox]) -> Iterator[Record]:
        records: list[Record] = []
        wrong: dict[str, str] = {}
        watched = wanted([rule for item in items for rule in check_of(item).gates])
        blocked: str | None = None
        for item in in_order(items, job.order):
            spec = check_of(item)
            if job.only and item.name not in job.only:
                continue
            for device in job.devices if spec.devices == "all" else job.devices[:1]:
                waits, names = (blocked, {}) if blocked else self._waits_for(spec, items, records, device, job)
                if item.name in job.spared and not waits and names.keys() <= self.task.substitutes.keys():
                    continue
                if job.watched:
                    self.emit(CheckBegan(job.id, spec.title))
                if waits:
                    records.append(Record(spec, outcome_of(item, device, Verdict(Status.SKIPPED, waits))))
                else:
                    run = Run(item, job, device, names, dict(wrong), watched)
                    records.append(self.runner.record(run, sandboxes[device]))
                    if records[-1].led is not None:
                        wrong.setdefault(records[-1].led, records[-1].outcome.where or "")
                if sandboxes[device].failed is not None:
                    blocked = _("waits for the file to be loaded")
                yield records[-1]
                if job.first_failure and not records[-1].passed:
                    return

    def _waits_for(
        self, spec: CheckSpec, items: list[pytest.Item], records: list[Record], device: str, job: Job
    ) -> tuple[str | None, dict[str, str]]:
        """Why the check has to wait; or, where checks that it waits for failed, the names that it may not take."""
        names: dict[str, str] = {}
        awaited = list(spec.after)
        for name in awaited:
            if name in job.spared or (job.only and name not in job.only):
                # It is not graded: the check waits for what that one would have waited for.
                awaited += [further for item in items if item.name == name for further in check_of(item).after]
                continue
            known = [record for record in records if record.outcome.id == name]
            first = next((r for r in known if r.outcome.device == device), known[0] if known else None)
            if first is not None and first.passed:
                names |= first.substituted
                continue
            title = next((check_of(item).title for item in items if item.name == name), name)
            sentence = _("waits for {title}").format(title=_(title))
            if first is None or not first.blamed:
                return sentence, {}
            names |= dict.fromkeys(first.blamed, sentence)
        return None, names

    def _on_steps(self, job: Job) -> Callable[[int], None]:
        return lambda steps: self.emit(StepsTaken(job.id, steps))


def in_order(items: list[pytest.Item], first: Sequence[str]) -> list[pytest.Item]:
    """The checks with the ids ``first``, each behind those that it waits for; then the others as they are written."""
    by_name = {item.name: item for item in items}
    placed: dict[str, pytest.Item] = {}

    def place(item: pytest.Item) -> None:
        if item.name not in placed:
            for name in check_of(item).after:
                if name in by_name:
                    place(by_name[name])
            placed[item.name] = item

    for item in (*(by_name[name] for name in first if name in by_name), *items):
        place(item)
    return list(placed.values())


def run_of(request: pytest.FixtureRequest) -> Run:
    """The run of the check that asks for a fixture."""
    return request.node.stash[RUN]  # type: ignore[no-any-return]


def breaks(rule: Rule, ran: Ran, name: str) -> list[str]:
    """What the rule forbids of what the calls of ``name`` became."""
    what = ran.of.get(name, {})
    unseen = what.get("unseen", ()) if rule.functions or rule.operators else ()
    return [*forbidden(rule, what.get("functions", ()), what.get("operators", ())), *unseen]
