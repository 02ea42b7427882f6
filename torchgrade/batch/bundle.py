"""One task's submission as bytes to keep: the module, its helpers, and the way back into a notebook.

A bundle is deterministic, so that its hash is the submission's identity: equal work has an equal hash,
whatever the students called their files.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgpack

from torchgrade.model import Outcome, TaskGrade
from torchgrade.submission import Source

_FIELDS = ("where", "got", "message", "output")


@dataclass(frozen=True)
class Bundle:
    """``main`` is the module's text; ``helpers`` lie beside it; ``starts`` and ``cells`` as in a notebook's module."""

    main: bytes
    helpers: Mapping[str, bytes] = field(default_factory=dict)
    starts: tuple[int, ...] = ()
    cells: tuple[int, ...] = ()

    def pack(self) -> bytes:
        """The bytes to keep and to hash."""
        helpers = {name: self.helpers[name] for name in sorted(self.helpers)}
        packed: bytes = msgpack.packb([self.main, helpers, self.starts, self.cells])
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> Bundle:
        main, helpers, starts, cells = msgpack.unpackb(data)
        return cls(main, helpers, tuple(starts), tuple(cells))

    def source(self, task: str) -> Source:
        """What the grader gets. The module has the task's own name, which its learner knows."""
        name = f"{task}.py"
        return Source(name, {name: self.main, **self.helpers})

    def place_all(self, grade: TaskGrade) -> TaskGrade:
        """The grade with lines of a notebook's module told as cells and lines."""
        return replace(grade, checks=tuple(self.place(grade.task, outcome) for outcome in grade.checks))

    def place(self, task: str, outcome: Outcome) -> Outcome:
        """The outcome with every ``<task>.py:<line>`` in its texts told as cell and line, for a notebook."""
        if not self.starts:
            return outcome
        pattern = re.compile(rf"\b{re.escape(task)}\.py:(\d{{1,7}})")
        texts = {name: getattr(outcome, name) for name in _FIELDS}
        placed: dict[str, Any] = {name: pattern.sub(self._place, text) for name, text in texts.items() if text}
        return replace(outcome, **placed)

    def _place(self, found: re.Match[str]) -> str:
        index = max(bisect_right(self.starts, int(found[1])) - 1, 0)
        return f"code cell {self.cells[index]}, line {int(found[1]) - self.starts[index] + 1}"
