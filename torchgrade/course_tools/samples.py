"""``verify --samples``: references on the inputs with which PyTorch tests itself, within the docstrings' domain.

``samples.py`` of a task says which of its functions and classes do what in PyTorch, and which samples lie outside
(``torchgrade.samples.like.Like``). Reference and PyTorch are run in a process of their own, ``torchgrade/samples``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torchgrade.course import Task
from torchgrade.environment import inherited, search_path
from torchgrade.errors import CourseError, UsageError

ENGINE = Path(__file__).parents[2]
BOOT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from torchgrade.samples.__main__ import main
main(*sys.argv[2:])
"""


@dataclass(frozen=True)
class Sampled:
    """What became of one function: samples that come out equal, how many lie outside and why, and what differs."""

    task: str
    function: str
    like: str
    equal: int
    outside: dict[str, int]
    differs: list[str]

    @property
    def holds(self) -> bool:
        return self.equal > 0 and not self.differs


def sampled(tasks: Sequence[Task]) -> Iterator[Sampled]:
    """Function by function of the tasks that have a ``samples.py``.

    Raises UsageError where none of them has, and CourseError where the process fails.
    """
    having = [task for task in tasks if (task.folder / "samples.py").is_file()]
    if not having:
        raise UsageError(f"no samples.py in {', '.join(task.stem for task in tasks)}")
    places = [str(ENGINE), *search_path()]
    command = [sys.executable, "-c", BOOT, json.dumps(places), str(having[0].root), *(task.stem for task in having)]
    done = subprocess.run(command, capture_output=True, text=True, env=inherited())
    if done.returncode:
        why = done.stderr.strip().splitlines() or [f"the process ended with status {done.returncode}"]
        raise CourseError(f"PyTorch's samples could not be run: {why[-1]}")
    for line in done.stdout.splitlines():
        yield Sampled(**json.loads(line))
