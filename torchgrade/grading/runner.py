"""Runs one check for one submission: its seeds, its time, its attempts, and whom to blame when it raised."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.runner import runtestprotocol

import torchgrade
from torchgrade import expect
from torchgrade.authoring import CheckSpec
from torchgrade.course import Task
from torchgrade.errors import EngineFault, Mismatch, OutOfMemory, TimedOut, Unavailable, WorkerDied
from torchgrade.expect.describe import call_text
from torchgrade.grading.alone import Machine, reruns
from torchgrade.grading.calibration import Calibration
from torchgrade.grading.compared import compared
from torchgrade.grading.events import Event, Met, PictureShown, Recorded, Traced
from torchgrade.grading.gates import Record
from torchgrade.grading.job import Job
from torchgrade.grading.outcomes import PASSED, Verdict, shorten, verdict_of
from torchgrade.grading.sandbox import Sandbox
from torchgrade.grading.seeds import derive
from torchgrade.handin.source import spot
from torchgrade.i18n import translate as _
from torchgrade.i18n import translate_built
from torchgrade.isolation.remote.client import Ran, Seen
from torchgrade.model import Outcome, Status
from torchgrade.seeding import seed_everything
from torchgrade.submission import Source

ENGINE = Path(torchgrade.__file__).parent
ENDED = (Status.CRASHED, Status.TIMED_OUT, Status.OUT_OF_MEMORY)
Watched = tuple[tuple[str, ...], ...]  # names, functions, operators
NOTHING: Watched = ((), (), ())
WRONG = (Status.FAILED, Status.TODO, Status.CRASHED, Status.TIMED_OUT, Status.OUT_OF_MEMORY)
Emit = Callable[[Event], None]
MakeSandbox = Callable[[Job, str, Callable[[int], None]], Sandbox]


@dataclass(frozen=True)
class Run:
    """What the fixtures of a running check see. ``submission``: None until one is loaded."""

    item: pytest.Item
    job: Job
    device: str
    blocked: Mapping[str, str] = field(default_factory=dict)  # names that the check may not take, and why
    wrong: Mapping[str, str] = field(default_factory=dict)  # definitions that failed before, and their places
    watched: Watched = NOTHING  # what the rules of the suite are about
    submission: Any = None
    substitutes: tuple[str, ...] = ()  # names of the submission that the course's own functions take the place of

    @property
    def spec(self) -> CheckSpec:
        return check_of(self.item)


RUN = pytest.StashKey[Run]()  # on the item of the check that runs


@dataclass(frozen=True)
class Attempt:
    """How a check went once, what the submission printed, and how often to try again alone."""

    verdict: Verdict
    output: str = ""
    reruns: int = 0
    touched: frozenset[str] = frozenset()
    blamed: frozenset[str] = frozenset()
    ran: Ran = field(default_factory=Ran)
    picture: dict[str, Any] | None = None  # of what was expected and what came
    waits: Mapping[str, str] = field(default_factory=dict)  # what it builds on though that is wrong, and why it waits
    substituted: Mapping[str, str] = field(default_factory=dict)  # of these, what the course's own took the place of
    led: str | None = None  # the definition that the check's own finding leads to


class CheckRunner:
    """Turns a collected check into a record of what came of it."""

    def __init__(self, task: Task, make_sandbox: MakeSandbox, emit: Emit) -> None:
        self.task = task
        self.make_sandbox = make_sandbox
        self.emit = emit
        self.calibration = Calibration.load(task.folder / "calibration.json")
        self.machine = Machine()
        self.debugger: Callable[[BaseException | None], None] = lambda error: None  # sees what a check raised

    def record(self, run: Run, sandbox: Sandbox) -> Record:
        """Run a check; ``run`` says for whom."""
        started = time.monotonic()
        attempt = Attempt(PASSED)
        for number in range(run.spec.tries):
            attempt = self._until_certain(run, sandbox, number)
            if attempt.verdict.status is not Status.FAILED:
                break
        if attempt.picture is not None:
            self.emit(PictureShown(run.job.id, run.device, attempt.picture))
        outcome = outcome_of(run.item, run.device, attempt.verdict, time.monotonic() - started, attempt.output)
        return Record(run.spec, outcome, attempt.touched, attempt.ran, attempt.blamed, attempt.substituted, attempt.led)

    def _until_certain(self, run: Run, sandbox: Sandbox, number: int) -> Attempt:
        """Once beside others; where the machine may be to blame, again alone. The last attempt counts."""
        with self.machine.beside_others():
            attempt = self._attempt(run, sandbox, number)
        spent = 0
        while spent < attempt.reruns:
            spent += 1
            sandbox.restart()  # on a fresh worker
            with self.machine.alone():
                attempt = self._attempt(run, sandbox, number)
        if not attempt.waits:  # only now: what the machine killed waits for nothing
            return attempt
        if attempt.waits.keys() <= self.task.substitutes.keys():
            helped = self._with_substitutes(run, sandbox, number)
            if helped.verdict.status is Status.PASSED:
                return helped
        sentence = next(iter(attempt.waits.values()))
        verdict = Verdict(Status.SKIPPED, sentence)
        return replace(attempt, verdict=verdict, blamed=frozenset(run.blocked), picture=None, led=None)

    def _with_substitutes(self, run: Run, sandbox: Sandbox, number: int) -> Attempt:
        """Once more, with the course's own functions in the place of those that are known to be wrong."""
        names = {name: why for name, why in run.blocked.items() if name in self.task.substitutes}
        sandbox.restart()
        with self.machine.beside_others():
            attempt = self._attempt(replace(run, substitutes=tuple(names)), sandbox, number)
        sandbox.restart()
        words = _("right, with {names} of the course in the place of yours").format(names=", ".join(sorted(names)))
        return replace(attempt, verdict=replace(attempt.verdict, message=words), substituted=names)

    def _attempt(self, run: Run, sandbox: Sandbox, number: int) -> Attempt:
        spec, job = run.spec, run.job
        self.calibration.measuring = job.measuring
        self.calibration.on_record = lambda name, value: self.emit(Recorded(job.id, name, value, spec.tries))
        seen, ran = Seen(), Ran()
        try:
            if run.device == "cuda" and not torch.cuda.is_available():
                raise Unavailable(_("this machine has no CUDA device"))
            if run.device == "mps" and not torch.backends.mps.is_available():
                raise Unavailable(_("this machine has no MPS device"))
            run = replace(run, submission=sandbox.submission())
            if run.substitutes:
                texts = {name: self.task.substitutes[name] for name in run.substitutes}
                run.submission.torchgrade_client.request("substitute", texts=texts)
            error = self._run(run, number, (spec.seconds or self.task.manifest.check_seconds) * job.timeout_scale)
        except Exception as raised:
            error = raised
        self.debugger(error)
        if run.submission is not None:
            client = run.submission.torchgrade_client
            seen, ran = client.seen, client.ran() if run.watched[0] or run.blocked or run.wrong else ran
        where = _where(getattr(error, "place", None) or seen.where)
        verdict = PASSED if error is None else self._verdict(error, where) or self._blame(run, error, where)
        if verdict.status in ENDED and verdict.given is None and seen.call is not None:
            verdict = replace(verdict, given=call_text(*seen.call))
        led = None
        if isinstance(error, Mismatch) and spec.category != "rules":  # a rule knows itself where it is broken
            led = seen.where[2].partition(".")[0].rstrip("()") if seen.where else None
            if (cause := _cause(run, ran, led)) is not None:
                led, verdict = None, replace(verdict, where=cause)
        again = 1 if verdict.status is Status.BROKEN else 0 if job.first_failure else reruns(error)
        waits = _builds_on(run, error, ran) if error is not None and verdict.status in WRONG else {}
        within = getattr(error, "within", ())
        blamed = frozenset(run.blocked if verdict.status is Status.SKIPPED else within or filter(None, [seen.last]))
        picture = None
        if job.pictures and verdict.status is Status.FAILED and isinstance(error, Mismatch) and error.values:
            picture = compared(run.item.name, spec.title, *error.values)
        return Attempt(verdict, sandbox.output(), again, frozenset(seen.touched), blamed, ran, picture, waits, led=led)

    def _run(self, run: Run, number: int, seconds: float) -> BaseException | None:
        """Seed both sides, start the clock of the submission's worker, run the check; what it raised."""
        job, name, client = run.job, run.item.name, run.submission.torchgrade_client
        seed_everything(derive(job.seed, self.task.stem, name, number))
        client.begin(
            derive(job.seed, "worker", self.task.stem, name, number),
            seconds,
            proving=job.proving,
            calls=bool(run.blocked or run.wrong),
            watched=run.watched,
            blocked=run.blocked,
        )
        run.item.stash[RUN] = run
        with expect.proving(lambda: client.seen.sent or []) if job.proving else nullcontext() as proof:
            reports = runtestprotocol(run.item, log=False, nextitem=None)
        if proof is not None:
            self.emit(Met(job.id, name, sorted(set(proof.sentences))))
        if job.tracing:
            self.emit(Traced(job.id, name, getattr(run.submission, job.tracing)()))
        return next((report.error for report in reports if report.error is not None), None)

    def _verdict(self, error: BaseException, where: str | None) -> Verdict | None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise error
        if isinstance(error, pytest.skip.Exception):
            return Verdict(Status.UNAVAILABLE, str(error))
        return verdict_of(error, where)

    def _blame(self, run: Run, error: BaseException, where: str | None) -> Verdict:
        """The suite itself raised, or the worker says that the engine did: over such a value, or through our own fault?

        The reference decides where it is at hand: when the check passes for it, the value was to blame. Without a
        reference (the learner's edition), it was when a value had come back and the engine did not raise itself.
        """
        name = "" if isinstance(error, EngineFault) else f"{type(error).__name__}: "
        text = shorten(f"{name}{error}", 500)
        origin, ours = _origin(error)
        if run.submission is None:  # no worker could be had: nothing has come from the submission yet
            return Verdict(Status.BROKEN, text, where=origin)
        answered = run.submission.torchgrade_client.seen.answered
        at_hand = self.task.solution.is_file()
        if self._passes_for_reference(run) if at_hand else answered and not ours:
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
            return self._run(Run(run.item, job, run.device, submission=sandbox.submission()), 0, 600.0) is None
        except Exception:
            return False
        finally:
            sandbox.close()


def _builds_on(run: Run, error: BaseException, ran: Ran) -> dict[str, str]:
    """What the check waits for, where what it called calls in turn what another check found wrong.

    A worker that died in the check cannot say what it called: then it is taken to have been the same mistake.
    """
    died = isinstance(error, (WorkerDied, TimedOut, OutOfMemory))
    return {name: why for name, why in run.blocked.items() if died or name in ran.called}


def _cause(run: Run, ran: Ran, led: str | None) -> str | None:
    """The place to look at instead of ``led``, where what the check called calls what is known to be wrong.

    Of several the last one found: what calls it failed before it or was led to it.
    """
    place = next((place for name, place in reversed([*run.wrong.items()]) if name in ran.called and name != led), None)
    return _("{place}, which fails a check of its own").format(place=place) if place is not None else None


def check_of(item: pytest.Item) -> CheckSpec:
    return item.obj.check  # type: ignore[attr-defined, no-any-return]


def outcome_of(item: pytest.Item, device: str, verdict: Verdict, seconds: float = 0.0, output: str = "") -> Outcome:
    spec = check_of(item)
    task = item.path.parent.name

    def told(text: str | None) -> str | None:
        """Cut; a sentence of the suite's is told in the reader's language."""
        return shorten(translate_built(text, task)) if text else None

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
        message=shorten(translate_built(verdict.message, task)),
        given=told(verdict.given),
        expected=told(verdict.expected),
        got=told(verdict.got),
        table=shorten(verdict.table),
        likely=told(verdict.likely),
        where=shorten(verdict.where, 300).replace("\n", " ") if verdict.where else None,
        hint=_(spec.hint) if spec.hint and verdict.status is Status.FAILED else None,
        output=output,
    )


def _where(place: tuple[str, int, str] | None) -> str | None:
    return shorten(f"{spot(place[0], place[1])}  {place[2]}".rstrip(), 300) if place else None


def _origin(error: BaseException) -> tuple[str, bool]:
    """File and line that raised, and whether the engine did: of engine and suite, the one that acted last."""
    frames = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if not frames:
        return "?", True
    acting = [path for path, _line in frames if path.is_relative_to(ENGINE) or path.name == "checks.py"]
    return f"{frames[-1][0]}:{frames[-1][1]}", bool(acting) and acting[-1].is_relative_to(ENGINE)
