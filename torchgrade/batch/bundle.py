"""One task's submission as bytes to keep: the task's file and the modules that it imports.

A bundle is deterministic, so that its hash is the submission's identity: equal work has an equal hash,
whatever the students called their files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgpack

from torchgrade.handin.notebooks import MARK
from torchgrade.submission import Source


@dataclass(frozen=True)
class Bundle:
    """``main`` is the task's file, a notebook as the text of its code cells; ``helpers`` lie beside or below it."""

    main: bytes
    helpers: Mapping[str, bytes] = field(default_factory=dict)

    def pack(self) -> bytes:
        """The bytes to keep and to hash."""
        packed: bytes = msgpack.packb([self.main, {name: self.helpers[name] for name in sorted(self.helpers)}])
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> Bundle:
        main, helpers, *cells = msgpack.unpackb(data)
        return cls(_marked(main, *cells) if cells and cells[0] else main, helpers)

    def source(self, task: str) -> Source:
        """What the grader gets. The module has the task's own name, which its learner knows."""
        name = f"{task}.py"
        return Source(name, {name: self.main, **self.helpers})


def _marked(module: bytes, starts: Sequence[int], cells: Sequence[int]) -> bytes:
    """A notebook of a gradebook of version 0.1, which kept its module and the first line of each cell."""
    lines = module.decode("utf-8", "replace").split("\n")
    text = []
    for start, end, cell in zip(starts, [*starts[1:], len(lines) + 1], cells, strict=True):
        text += [f"{MARK}{cell}", *lines[start - 1 : end - 1]]
    return "\n".join(text).encode()
