"""Floors that come from statistics: ``calibration.json`` of a task, and the values that a run reports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchgrade.errors import CourseError, Mismatch
from torchgrade.i18n import translate as _

CALIBRATION_SCHEMA = "torchgrade.calibration/1"


@dataclass(frozen=True)
class Floor:
    """A threshold with the rates that were estimated when it was chosen."""

    name: str
    floor: float | None
    ceiling: float | None
    false_reject: float
    false_accept: float

    def allows(self, value: float) -> bool:
        """Whether the value lies on the good side; NaN does not."""
        above = self.floor is None or value >= self.floor
        return above and (self.ceiling is None or value <= self.ceiling) and not math.isnan(value)


@dataclass
class Calibration:
    """The floors of one task by name; ``on_record`` learns what checks measure, for ``calibrate``.

    ``measuring``: no threshold refuses anything, so that every run reports one value and needs no second try.
    """

    floors: dict[str, Any] = field(default_factory=dict)
    measuring: bool = False
    on_record: Callable[[str, float], None] = lambda name, value: None

    @classmethod
    def load(cls, path: Path) -> Calibration:
        if not path.is_file():
            return cls()
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema", None) != CALIBRATION_SCHEMA:
            raise CourseError(f"{path.parent.name}/calibration.json is not of schema {CALIBRATION_SCHEMA}")
        return cls(data)

    def __getitem__(self, name: str) -> Floor:
        if self.measuring:
            return Floor(name, -math.inf, math.inf, 0.0, 1.0)
        if name not in self.floors:
            raise CourseError(f"calibration.json has no {name!r}; run: python grade.py calibrate")
        entry = self.floors[name]
        return Floor(name, entry.get("floor"), entry.get("ceiling"), entry["false_reject"], entry["false_accept"])

    def __contains__(self, name: str) -> bool:
        return name in self.floors

    def holds(
        self, name: str, value: float, *, unit: str = "", scale: float = 1.0, show: Callable[[float], str] | None = None
    ) -> None:
        """Record the statistic and compare it with its threshold, on the side on which the record has it.

        What is told is ``value * scale`` in ``unit``, or what ``show`` makes of the value. NaN never holds. Raises
        Mismatch.
        """
        self.record(name, value)
        threshold = self[name]
        if threshold.allows(value):
            return
        shown = show or (lambda number: f"{number * scale:.4g} {unit}".rstrip())
        at_least = threshold.floor is not None
        limit = shown(threshold.floor if threshold.floor is not None else threshold.ceiling or 0.0)
        wanted = _("at least {limit}") if at_least else _("at most {limit}")
        raise Mismatch(wanted.format(limit=limit), shown(float(value)))

    def record(self, name: str, value: float) -> None:
        """Report a statistic of this run, whether the check passes or not."""
        self.on_record(name, float(value))


def environment() -> dict[str, str]:
    """What numbers from training depend on besides the code, as far as it is known to change them."""
    import numpy
    import torch  # late: a command that reads thresholds does without

    return {
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "threads": "1",  # of a worker
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
