"""``--debug``: the submission runs in the grader's own process, behind the same frames and the same server.

Values are encoded and decoded as they are for a worker, so that both ways reach the same outcomes; only the
clock and the memory limit are off, and an exception keeps the learner's frames for ``--pdb``.
"""

from __future__ import annotations

from typing import Any

from torchgrade.isolation.protocol import Frame, unpack_header
from torchgrade.isolation.worker import Server


class LocalLine:
    def __init__(self) -> None:
        self.server = Server()

    @property
    def raised(self) -> BaseException | None:
        """What the submission raised in the last exchange."""
        return self.server.raised

    def exchange(self, frame: Frame, sequence: int) -> tuple[Any, list[Any]]:
        return _passed_on(self.server.answer(*_passed_on(frame)))

    def begin(self, seconds: float) -> None:
        """No clock: a learner may stand at a breakpoint."""

    def output(self) -> str:
        """What the submission prints goes straight to the terminal."""
        return ""

    def close(self) -> None:
        """Nothing to end: the submission leaves with this process."""


def _passed_on(frame: Frame) -> tuple[Any, list[Any]]:
    body, _ = unpack_header(frame.header()[4:])
    return body, [bytearray(view) for view in frame.raw]
