"""Floors that come from statistics: ``calibration.json`` of a task, and the values that a run reports."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchgrade.errors import CourseError

CALIBRATION_SCHEMA = "torchgrade.calibration/1"


@dataclass(frozen=True)
class Floor:
    """A threshold with the rates that were estimated when it was chosen."""

    name: str
    floor: float | None
    ceiling: float | None
    false_reject: float
    false_accept: float


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

    def record(self, name: str, value: float) -> None:
        """Report a statistic of this run, whether the check passes or not."""
        self.on_record(name, float(value))
