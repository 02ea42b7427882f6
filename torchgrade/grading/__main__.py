"""The grader process: ``python -m torchgrade.grading ROOT``.

Jobs come as msgpack on standard input, events go as msgpack to standard output; whatever the suites print goes
to standard error. The zygote starts first, so that it and this process import torch side by side.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgpack

from torchgrade.course import Course
from torchgrade.errors import TorchGradeError
from torchgrade.grading.job import Job
from torchgrade.isolation.launch import Launcher
from torchgrade.model import Outcome, TaskGrade, as_json


class Launchers:
    """One zygote for each kind of isolation and device, started when first asked for."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.started: dict[tuple[str, str], Launcher] = {}

    def __call__(self, isolation: str, device: str) -> Launcher:
        if (isolation, device) not in self.started:
            self.started[isolation, device] = Launcher(isolation, device)
        return self.started[isolation, device]

    def close(self) -> None:
        for launcher in self.started.values():
            launcher.close()


def leave_with_parent() -> None:
    """End when the command that started us has ended, however it ended; our zygote and workers end with us."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    leave_with_parent()
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def emit(kind: str, data: dict[str, Any]) -> None:
        out.write(msgpack.packb({"event": kind, **{key: _plain(value) for key, value in data.items()}}))

    def jobs() -> Iterator[Job]:
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
        while data := os.read(0, 1 << 16):
            unpacker.feed(data)
            for item in unpacker:
                yield Job.from_data(item)

    course = Course.load(Path(sys.argv[1]))
    launchers = Launchers(course)
    code = 0
    queue = jobs()
    try:
        first = next(queue, None)
        if first is not None:
            launchers(first.isolation, first.devices[0])  # its import of torch runs beside ours
            from torchgrade.grading.session import Session

            emit("ready", {"torch": _torch_version()})
            Session(course, launchers, emit).grade(_chain(first, queue))
    except TorchGradeError as error:
        emit("broken", {"message": str(error)})
        code = 3
    except BaseException as error:
        import traceback

        traceback.print_exc()
        emit("broken", {"message": f"{type(error).__name__}: {error}"})
        code = 3
    launchers.close()
    sys.stderr.flush()
    os._exit(code)  # leaving an interpreter that has torch loaded costs half a second


def _chain(first: Job, rest: Iterator[Job]) -> Iterator[Job]:
    yield first
    yield from rest


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _plain(value: Any) -> Any:
    return (
        as_json(value)
        if isinstance(value, (Outcome, TaskGrade))
        else asdict(value)
        if hasattr(value, "__dataclass_fields__")
        else value
    )


if __name__ == "__main__":
    main()
