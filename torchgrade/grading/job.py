"""What one grading session is asked to do, as data that travels to the grader process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torchgrade.submission import Source


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
    spared: tuple[str, ...] = ()  # ids of checks that are not run; only that they wait for another is told
    first_failure: bool = False  # stop there: whether something fails is all that is asked
    watched: bool = True  # tell which check begins, for somebody who follows

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Job:
        values = {**data, "source": Source(**data["source"])}
        return cls(**{**values, **{key: tuple(data[key]) for key in ("devices", "only", "spared")}})
