"""What a grader is asked to do: how (``Options``), and what (``Job``), as data that travels to its process."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from torchgrade.errors import UsageError
from torchgrade.submission import Source


@dataclass(frozen=True)
class Options:
    """How to grade. ``jobs`` is how many run side by side; ``debug`` and ``pdb`` grade in the command's own process."""

    devices: tuple[str, ...] = ("cpu",)
    seed: int = 7
    timeout_scale: float = 1.0
    isolation: str = "auto"
    data: str = "auto"
    jobs: int = 1
    debug: bool = False
    pdb: bool = False
    proving: bool = False
    pictures: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError: limits of no time would fail right work, without a word that it is our fault."""
        if not 0 < self.timeout_scale < float("inf"):
            raise UsageError(f"--timeout-scale is a number above 0, not {self.timeout_scale:g}")

    def job(self, id: int, task: str, source: Source, **changes: Any) -> Job:
        """A job that is graded so; ``changes`` are further fields of it."""
        shared = {field.name: getattr(self, field.name) for field in fields(self) if field.name in _OF_A_JOB}
        return Job(**{"id": id, "task": task, "source": source, **shared, **changes})


@dataclass(frozen=True)
class Job:
    """Grade one source for one task. ``seed`` is the base from which every check's seed is derived."""

    id: int
    task: str
    source: Source
    devices: tuple[str, ...] = ("cpu",)
    seed: int = 7
    timeout_scale: float = 1.0
    isolation: str = "auto"
    data: str = "auto"
    proving: bool = False  # refuse expectations that junk would satisfy
    measuring: bool = False  # calibrate: what is recorded counts, no threshold refuses
    pictures: bool = False  # tell what checks show, for --save
    only: tuple[str, ...] = ()  # ids of the checks to run; all when empty
    order: tuple[str, ...] = ()  # ids of checks to run first, in this order; what they wait for goes before them
    spared: tuple[str, ...] = ()  # ids of checks that are not run; only that they wait for another is told
    tracing: str = ""  # a function of the source: what it says is told after each check
    first_failure: bool = False  # stop there: whether something fails is all that is asked
    watched: bool = True  # tell which check begins, for somebody who follows
    again: bool = False  # it will be graded once more when it has changed: a worker is started ahead for that
    language: str = ""  # of what is told; blank for that of the process
    memory_mb: float = 0.0  # that its submission may take, for who decides what runs side by side

    def to_data(self) -> dict[str, Any]:
        """Plain data, for msgpack, whose integers end at 64 bits; the seed of a class has 128."""
        return {**asdict(self), "seed": str(int(self.seed))}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Job:
        values = {**data, "source": Source(**data["source"]), "seed": int(data["seed"])}
        return cls(**{**values, **{key: tuple(data[key]) for key in ("devices", "only", "order", "spared")}})


_OF_A_JOB = {field.name for field in fields(Job)}


class JobQueue:
    """Jobs one after another. The head can be looked at, and a job can be put back before it."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = iter(jobs)
        self._ahead: deque[Job] = deque()

    def peek(self) -> Job | None:
        """The next job, which stays; None at the end. It is made only now where the jobs are made one by one."""
        if not self._ahead:
            self._ahead.extend(job for job in (next(self._jobs, None),) if job is not None)
        return self._ahead[0] if self._ahead else None

    def take(self) -> Job:
        """The next job, which ``peek`` has shown."""
        return self._ahead.popleft()

    def put_back(self, job: Job) -> None:
        self._ahead.appendleft(job)

    def while_task(self, task: str) -> Iterator[Job]:
        """Those at the head that are of one task."""
        while (head := self.peek()) is not None and head.task == task:
            yield self.take()
