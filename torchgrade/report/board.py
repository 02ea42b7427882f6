"""One task as a learner reads it: what each function earned, what is open, and why, told once. Pure values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torchgrade.model import Outcome, Status, TaskGrade

Subjects = Mapping[str, tuple[str, ...]]  # by check, the definitions that it is about

WAITING = (Status.HELD, Status.SKIPPED)  # another check says what to do
CALM = (Status.PASSED, *WAITING, Status.TODO)
BAR = 10


@dataclass(frozen=True)
class Told:
    """An outcome, and ``others`` that have the same root: they are not told again."""

    outcome: Outcome
    others: tuple[Outcome, ...] = ()

    @property
    def checks(self) -> int:
        return len({outcome.id for outcome in (self.outcome, *self.others)})

    @property
    def summed(self) -> Outcome:
        """The outcome with the points of them all."""
        every = (self.outcome, *self.others)
        points, possible = (sum(getattr(out, name) for out in every) for name in ("points", "max_points"))
        return replace(self.outcome, points=round(points, 6), max_points=round(possible, 6))


@dataclass(frozen=True)
class Section:
    """The checks of one definition. ``name`` is blank for those that are about several of them."""

    name: str
    outcomes: tuple[Outcome, ...]

    @property
    def points(self) -> float:
        return sum(outcome.points for outcome in self.outcomes)

    @property
    def max_points(self) -> float:
        return sum(outcome.max_points for outcome in self.outcomes)

    @property
    def complete(self) -> bool:
        return all(outcome.status is Status.PASSED for outcome in self.outcomes)

    @property
    def untouched(self) -> bool:
        """Whether nothing stands there yet."""
        statuses = {outcome.status for outcome in self.outcomes}
        return Status.TODO in statuses and statuses <= {Status.TODO, Status.SKIPPED}

    @property
    def open(self) -> list[Told]:
        return entries(outcome for outcome in self.outcomes if outcome.status is not Status.PASSED)


def groups(outcomes: Iterable[Outcome], subjects: Subjects) -> list[Section]:
    """The outcomes by definition, in order of study; those about several come last."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        about = subjects.get(outcome.id, ())
        found.setdefault(about[0] if len(about) == 1 else "", []).append(outcome)
    together = found.pop("", [])
    named = [Section(name, tuple(some)) for name, some in found.items()]
    return [*named, *([Section("", tuple(together))] if together else [])]


def entries(outcomes: Iterable[Outcome]) -> list[Told]:
    """The outcomes in their order, those with the same root as one."""
    found: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(root(outcome), []).append(outcome)
    return [Told(some[0], tuple(some[1:])) for some in found.values()]


def root(outcome: Outcome) -> tuple[object, ...]:
    """Equal where outcomes have one cause: the same gap, missing name, exception at a line, or awaited check."""
    status = outcome.status
    if status is Status.CRASHED and outcome.where:
        return status, outcome.where, outcome.message.partition(":")[0]
    if status is Status.TODO and outcome.where:
        return status, outcome.where
    if status is Status.PASSED:
        return status, outcome.id
    if status is Status.FAILED and (outcome.given or outcome.where):
        return status, outcome.id, outcome.device
    return status, outcome.message, outcome.expected, outcome.got, outcome.where


def first_open(grade: TaskGrade) -> Outcome | None:
    """What is to be done now: in order of study the first that is wrong, else the first gap; None at the end."""
    open = [out for out in grade.checks if out.status not in (Status.PASSED, *WAITING)]
    return next((out for out in open if out.status is not Status.TODO), open[0] if open else None)


def failures(grade: TaskGrade) -> list[Told]:
    """What is wrong in the task, each root once, in order of study."""
    return entries(outcome for outcome in grade.checks if outcome.status not in CALM)


def aligned(scores: Sequence[tuple[float, float]]) -> list[str]:
    """``earned / possible`` of each, all with the decimals that one of them needs and of one width."""
    numbers = [number for score in scores for number in score]
    decimals = max((len(f"{number:g}".partition(".")[2]) for number in numbers), default=0)
    texts = [(f"{earned:.{decimals}f}", f"{possible:.{decimals}f}") for earned, possible in scores]
    widths = [max((len(text[part]) for text in texts), default=0) for part in (0, 1)]
    return [f"{earned:>{widths[0]}} / {possible:>{widths[1]}}" for earned, possible in texts]


def bar(points: float, possible: float, ascii_only: bool = False, width: int = BAR) -> str:
    """A bar that is full only when all is earned, and empty only when nothing is."""
    share = points / possible if possible else 0.0
    filled = min(max(round(share * width), 1 if share > 0 else 0), width if share >= 1 else width - 1)
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    return full * filled + empty * (width - filled)
