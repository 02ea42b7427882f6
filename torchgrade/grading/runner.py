"""Runs one check for one submission: its seeds, its time, its attempts, and whom to blame when it raised."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from _pytest.runner import runtestprotocol

from torchgrade import expect
from torchgrade.authoring import CheckSpec
from torchgrade.course import Task
from torchgrade.errors import Unavailable
from torchgrade.grading.alone import Machine, reruns
from torchgrade.grading.calibration import Calibration
from torchgrade.grading.events import Event, Met, Recorded
from torchgrade.grading.job import Job
from torchgrade.grading.outcomes import PASSED, Verdict, shorten, verdict_of
from torchgrade.grading.sandbox import Sandbox
from torchgrade.grading.seeds import derive
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Status
from torchgrade.seeding import seed_everything
from torchgrade.submission import Source

Emit = Callable[[Event], None]
MakeSandbox = Callable[[Job, str, Callable[[int], None]], Sandbox]


@dataclass(frozen=True)
class Run:
    """What the fixtures of a running check see. ``submission``: None until one is loaded."""

    item: pytest.Item
    job: Job
    device: str
    submission: Any = None


RUN = pytest.StashKey[Run]()  # on the item of the check that runs


@dataclass(frozen=True)
class Attempt:
    """How a check went once, what the submission printed, and how often to try again alone."""

    verdict: Verdict
    output: str = ""
    reruns: int = 0


class CheckRunner:
    """Turns a collected check into an outcome."""

    def __init__(self, task: Task, make_sandbox: MakeSandbox, emit: Emit) -> None:
        self.task = task
        self.make_sandbox = make_sandbox
        self.emit = emit
        self.calibration = Calibration.load(task.folder / "calibration.json")
        self.machine = Machine()

    def outcome(self, item: pytest.Item, device: str, job: Job, sandbox: Sandbox) -> Outcome:
        started = time.monotonic()
        attempt = Attempt(PASSED)
        for number in range(check_of(item).tries):
            attempt = self._until_certain(item, device, job, sandbox, number)
            if attempt.verdict.status is not Status.FAILED:
                break
        return outcome_of(item, device, attempt.verdict, time.monotonic() - started, attempt.output)

    def _until_certain(self, item: pytest.Item, device: str, job: Job, sandbox: Sandbox, number: int) -> Attempt:
        """Once beside others; where the machine may be to blame, again alone. The last attempt counts."""
        with self.machine.beside_others():
            attempt = self._attempt(item, device, job, sandbox, number)
        spent = 0
        while spent < attempt.reruns:
            spent += 1
            sandbox.restart()  # on a fresh worker
            with self.machine.alone():
                attempt = self._attempt(item, device, job, sandbox, number)
        return attempt

    def _attempt(self, item: pytest.Item, device: str, job: Job, sandbox: Sandbox, number: int) -> Attempt:
        spec = check_of(item)
        self.calibration.measuring = job.measuring
        self.calibration.on_record = lambda name, value: self.emit(Recorded(job.id, name, value, spec.tries))
        run, where = Run(item, job, device), None
        try:
            if device == "cuda" and not torch.cuda.is_available():
                raise Unavailable(_("this machine has no CUDA device"))
            run = replace(run, submission=sandbox.submission())
            error = self._run(run, number, (spec.seconds or self.task.manifest.check_seconds) * job.timeout_scale)
        except Exception as raised:
            error = raised
        if run.submission is not None:
            where = _where(run.submission.torchgrade_client.seen.where)
        verdict = PASSED if error is None else self._verdict(error, where) or self._blame(run, error, where)
        again = 1 if verdict.status is Status.BROKEN else 0 if job.first_failure else reruns(error)
        return Attempt(verdict, shorten(sandbox.output(), 4000), again)

    def _run(self, run: Run, number: int, seconds: float) -> BaseException | None:
        """Seed both sides, start the clock of the submission's worker, run the check; what it raised."""
        job, name, client = run.job, run.item.name, run.submission.torchgrade_client
        seed_everything(derive(job.seed, self.task.stem, name, number))
        client.begin(derive(job.seed, "worker", self.task.stem, name, number), seconds, proving=job.proving)
        run.item.stash[RUN] = run
        with expect.proving(lambda: client.seen.sent or []) if job.proving else nullcontext() as proof:
            reports = runtestprotocol(run.item, log=False, nextitem=None)
        if proof is not None:
            self.emit(Met(job.id, name, sorted(set(proof.sentences))))
        return next((report.error for report in reports if report.error is not None), None)

    def _verdict(self, error: BaseException, where: str | None) -> Verdict | None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        if isinstance(error, pytest.skip.Exception):
            return Verdict(Status.UNAVAILABLE, str(error))
        return verdict_of(error, where)

    def _blame(self, run: Run, error: BaseException, where: str | None) -> Verdict:
        """The suite itself raised: over a value that it could not use, or through our own fault?

        The reference decides where it is at hand: when the check passes for it, the value was to blame. Without a
        reference (the learner's edition), it was when a value had come back and the engine did not raise itself.
        """
        text = shorten(f"{type(error).__name__}: {error}", 500)
        origin = _origin(error)
        if run.submission is None:  # no worker could be had: nothing has come from the submission yet
            return Verdict(Status.BROKEN, text, where=origin)
        answered = run.submission.torchgrade_client.seen.answered
        blameless = self.task.solution.is_file() and self._passes_for_reference(run)
        if blameless or (answered and not self.task.solution.is_file() and "torchgrade" not in origin):
            got = _("a value that cannot be used where it is needed ({error})").format(error=text)
            return Verdict(Status.FAILED, got=got, where=where)
        return Verdict(Status.BROKEN, text, where=origin)

    def _passes_for_reference(self, run: Run) -> bool:
        name = f"{self.task.stem}.py"
        source = Source(name, {name: self.task.solution.read_bytes()})
        if run.job.source.hash == source.hash:
            return False
        job = replace(run.job, source=source, proving=False)
        sandbox = self.make_sandbox(job, run.device, lambda steps: None)
        try:
            return self._run(Run(run.item, job, run.device, sandbox.submission()), 0, 600.0) is None
        except Exception:
            return False
        finally:
            sandbox.close()


def check_of(item: pytest.Item) -> CheckSpec:
    return item.obj.check  # type: ignore[attr-defined, no-any-return]


def outcome_of(item: pytest.Item, device: str, verdict: Verdict, seconds: float = 0.0, output: str = "") -> Outcome:
    spec = check_of(item)
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
        where=shorten(verdict.where, 300).replace("\n", " ") if verdict.where else None,
        hint=_(spec.hint) if spec.hint and verdict.status is Status.FAILED else None,
        output=output,
    )


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
