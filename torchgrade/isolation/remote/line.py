"""How requests and replies travel to a worker, and how long and how much the worker may take over them."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable
from typing import Any, Protocol

from torchgrade.errors import BadAnswer, OutOfMemory, SubmissionFault, TimedOut, WorkerDied
from torchgrade.i18n import noop
from torchgrade.isolation.confine.watch import peak_mb
from torchgrade.isolation.launch.launcher import Limits, WorkerProcess
from torchgrade.isolation.wire.channel import Channel
from torchgrade.isolation.wire.protocol import CAPS, Caps, Frame, Violation

TICK = 0.05  # seconds between two looks at the worker's clock
MEMORY_TICK = 0.25  # and at its memory and its children, which costs the kernel a walk over its pages
LONGEST = 5.0  # times its seconds after which a check ends by the clock, however little it could compute
MAX_OUTPUT = 64 << 10  # bytes of one check's output that are kept


class Line(Protocol):
    """Carries one request to a server and its reply back."""

    peak_mb: float
    limit_mb: int  # that the submission may take; 0 where nothing limits it
    dead: SubmissionFault | None  # why nothing can be exchanged any more
    raised: BaseException | None  # what the submission raised in the last exchange, where it ran in this process

    def exchange(self, frame: Frame, sequence: int, caps: Caps = CAPS) -> tuple[Any, list[Any]]: ...
    def follow_cases(self) -> None: ...
    def last_case(self) -> int | None: ...
    def begin(self, seconds: float) -> None: ...
    def output(self) -> str: ...
    def close(self) -> None: ...


class WorkerLine:
    """The line to a worker process. Any violation, silence or death closes it for good."""

    def __init__(self, process: WorkerProcess, limits: Limits, on_steps: Callable[[int], None] | None = None) -> None:
        self.process = process
        self.limits = limits
        self.on_steps = on_steps or (lambda steps: None)
        self.channel = Channel(process.socket, self._wait, Caps(), makes_files=True)
        self.limit_mb = int(limits.memory_mb)
        self.dead: SubmissionFault | None = None
        self.raised: BaseException | None = None  # it cannot travel
        self._last_case: int | None = None
        self.peak_mb = 0.0  # of the worker's resident memory, known when the line is closed
        self._printed = bytearray()
        self._next_look = self._next_tick = 0.0
        self.begin(60.0)

    def begin(self, seconds: float) -> None:
        """Start the clocks of one check.

        It ends when the worker and its children have computed for ``seconds``, when the worker could have done so, or
        after ``LONGEST`` times as much in any case.
        """
        self.seconds = seconds
        self._started = time.monotonic()
        self._waited = _run_delay(self.process.pid)
        self._computed = self.process.cpu_seconds()
        self._printed.clear()

    def follow_cases(self) -> None:
        """Many cases are asked at once: the worker is to say which one it takes up."""
        if self.dead is None:
            with contextlib.suppress(OSError):  # a process that is gone is noticed by the exchange
                self.channel.share_board()

    def last_case(self) -> int | None:
        """The case that the worker took up last, as it says itself; also after its end."""
        return self.channel.pinned() if self.dead is None else self._last_case

    def exchange(self, frame: Frame, sequence: int, caps: Caps = CAPS) -> tuple[Any, list[Any]]:
        if self.dead is not None:
            raise self.dead
        self.channel.caps = caps
        body: Any = None
        try:
            self.channel.send(frame)
            while True:
                body, buffers = self.channel.receive()
                if type(body) is not list or len(body) != 4 or body[0] != "l" or type(body[2]) is not str:
                    raise Violation("reply")
                if body[2] == "note" and type(body[3]) is int:
                    self.on_steps(body[3])
                    self._tick()
                    continue
                if body[1] != sequence:
                    raise Violation("sequence number")
                return body, buffers
        except SubmissionFault as fault:
            self._bury(fault)
        except Violation as error:
            self._bury(BadAnswer(f"its process broke the protocol ({error})"))
        except (EOFError, OSError):
            self._bury(self._obituary())
        body, buffers = None, []  # the fault's traceback must not keep the reply
        raise self.dead or WorkerDied("the process ended")

    def _wait(self, *, write: bool) -> None:
        """Until the socket is ready; meanwhile drain the output and hold the worker to its limits."""
        sock = self.process.socket
        while True:
            readers: list[Any] = [self.process.output] if write else [sock, self.process.output]
            ready, writable, _ = select.select(readers, [sock] if write else [], [], TICK)
            if self.process.output in ready and not self._drain():
                readers.remove(self.process.output)
            self._tick()
            if sock in ready or writable:
                return

    def _tick(self) -> None:
        """Look at the limits now and then, also while the worker keeps sending, a byte or a note at a time."""
        if time.monotonic() >= self._next_tick:
            self._next_tick = time.monotonic() + TICK
            self._check_limits()

    def _check_limits(self) -> None:
        wall = time.monotonic() - self._started
        used = wall - (_run_delay(self.process.pid) - self._waited)
        if used > self.seconds or wall > LONGEST * self.seconds:
            raise TimedOut(self.seconds, starved=used <= self.seconds)
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + MEMORY_TICK
        if self.process.cpu_seconds() - self._computed > self.seconds:
            raise TimedOut(self.seconds)
        if self.process.memory_mb() > self.limits.memory_mb:
            raise OutOfMemory(self.limits.memory_mb)

    def _drain(self) -> bool:
        """Read what is there to read; False when the pipe is closed or empty."""
        try:
            data = os.read(self.process.output, 1 << 16)
        except (BlockingIOError, OSError):
            return False
        self._printed += data[: max(0, MAX_OUTPUT - len(self._printed))]
        return bool(data)

    def output(self) -> str:
        while self._drain():
            pass
        return self._printed.decode("utf-8", "replace")

    def _bury(self, fault: SubmissionFault) -> None:
        self.dead = fault
        self.output()
        self.close()

    def _obituary(self) -> SubmissionFault:
        exit = self.process.exit(2.0)
        if exit is None:
            return WorkerDied("its process closed the connection")
        self.peak_mb = exit.max_rss_mb
        if exit.out_of_memory:
            return OutOfMemory(self.limits.memory_mb)
        if exit.out_of_space:
            return WorkerDied(f"its process wrote more than {self.limits.file_mb} MB of files")
        if exit.signal is not None:
            text = _SIGNALS.get(exit.signal, f"its process was ended by signal {exit.signal}")
            return WorkerDied(text, starved=exit.signal == 9 and not exit.out_of_time)
        return WorkerDied(f"its process ended with exit status {exit.code} in the middle of the check")

    def close(self) -> None:
        self.peak_mb = max(self.peak_mb, peak_mb(self.process.pid))
        self._last_case = self.channel.pinned()
        self.channel.close_board()
        self.process.kill()


_SIGNALS = {
    4: noop("its process executed an illegal instruction"),
    6: noop("its process aborted"),
    7: noop("its process made a bad memory access (bus error)"),
    8: noop("its process divided by zero in compiled code"),
    9: noop("its process was killed"),
    11: noop("its process made a bad memory access (segmentation fault)"),
    24: noop("its process used up its CPU time"),
    31: noop("its process made a system call that is not allowed"),
}


def _run_delay(pid: int) -> float:
    """Seconds that the process was ready to run but had to wait for a processor."""
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
