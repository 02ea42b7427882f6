"""Fixtures for a plain ``pytest graders/``: each suite meets its own solution, in process, on the CPU.

An author sees a check fail in the editor and can stop in it. Verdicts come from ``grade.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from torchgrade.course import Course, Task, find_root
from torchgrade.grading.calibration import Calibration
from torchgrade.grading.datasets import Datasets
from torchgrade.grading.pictures import Pictures
from torchgrade.grading.seeds import LEARNER_SEED, derive
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
from torchgrade.seeding import seed_everything
from torchgrade.submission import Source


def task_of(request: pytest.FixtureRequest) -> Task:
    course = Course.load(find_root(request.path.parent))
    return course.find(request.path.parent.name)


@pytest.fixture
def submission(request: pytest.FixtureRequest) -> Iterator[RemoteSubmission]:
    """The solution of the suite's task, seeded as ``grade.py`` would seed it."""
    task = task_of(request)
    client = connect(LocalLine())
    name = f"solutions/{task.stem}.py"
    probes = task.probes.read_text(encoding="utf-8") if task.probes.is_file() else None
    client.load(task.stem, Source(name, {name: task.solution.read_bytes()}), probes)
    seed_everything(derive(LEARNER_SEED, task.stem, request.node.name, 0))
    yield RemoteSubmission(client)
    client.line.close()


@pytest.fixture
def device() -> str:
    return "cpu"


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> Datasets:
    return Datasets(task_of(request).root / "datasets", "generated")


@pytest.fixture
def calibration(request: pytest.FixtureRequest) -> Calibration:
    return Calibration.load(task_of(request).folder / "calibration.json")


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()
