"""``--debug``: the submission runs in the grader's own process, behind the same frames and the same server.

Values are encoded and decoded as they are for a worker, so that both ways reach the same outcomes; only the
clock and the memory limit are off, and an exception keeps the learner's frames for ``--pdb``.
"""

from __future__ import annotations

import random
from bdb import BdbQuit
from typing import Any

import numpy as np
import torch

from torchgrade.errors import SubmissionFault
from torchgrade.isolation.wire.protocol import CAPS, Caps, Frame, unpack_header
from torchgrade.isolation.worker.server import Server


class LocalLine:
    def __init__(self) -> None:
        self.server = Server()
        self.peak_mb = 0.0  # not measured: it shares the grader's process
        self.limit_mb = 0
        self.dead: SubmissionFault | None = None
        self.raised: BaseException | None = None
        self._streams = random_streams()  # the submission's own, as a worker has them

    def follow_cases(self) -> None:
        """No process to follow."""

    def last_case(self) -> int | None:
        """Not asked for: what hangs or dies here takes the grader along."""
        return None

    def exchange(self, frame: Frame, sequence: int, caps: Caps = CAPS) -> tuple[Any, list[Any]]:
        ours = random_streams()
        restore(self._streams)
        try:
            answer = _passed_on(self.server.answer(*_passed_on(frame)))
            if isinstance(self.raised, BdbQuit):
                raise KeyboardInterrupt  # `q` at a breakpoint: enough of all of it
            return answer
        finally:
            self.raised = self.server.raised
            self._streams = random_streams()
            restore(ours)

    def begin(self, seconds: float) -> None:
        """No clock: a learner may stand at a breakpoint."""

    def output(self) -> str:
        """What the submission prints goes straight to the terminal."""
        return ""

    def close(self) -> None:
        """Nothing to end: the submission leaves with this process."""


def random_streams() -> tuple[Any, Any, Any]:
    """The state of every generator that a check or a submission draws from."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def restore(streams: tuple[Any, Any, Any]) -> None:
    random.setstate(streams[0])
    np.random.set_state(streams[1])
    torch.set_rng_state(streams[2])


def _passed_on(frame: Frame) -> tuple[Any, list[Any]]:
    body, _ = unpack_header(frame.header()[4:])
    return body, [bytearray(view) for view in frame.raw]
