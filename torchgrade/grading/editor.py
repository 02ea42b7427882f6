"""Fixtures for a plain ``pytest graders/``: each suite meets the learner's file, in process, on the CPU.

A check fails in the editor, and can be stopped in. With ``--solutions`` the suites meet the reference solutions.
Verdicts come from ``grade.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from torchgrade.course import Course, Task, find_root
from torchgrade.errors import SubmissionRaised
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--solutions", action="store_true", help="the suites meet solutions/ instead of exercises/")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """A gap that is still a gap is calm here, too."""
    result = yield
    error = result.excinfo[1] if result.excinfo else None  # type: ignore[attr-defined]
    if isinstance(error, SubmissionRaised) and error.is_todo:
        pytest.skip("todo")


@pytest.fixture
def submission(request: pytest.FixtureRequest) -> Iterator[RemoteSubmission]:
    """The file of the suite's task, seeded as ``grade.py`` would seed it."""
    task = task_of(request)
    client = connect(LocalLine())
    path = task.solution if request.config.getoption("--solutions", False) else task.stub
    name = f"{path.parent.name}/{path.name}"
    probes = task.probes.read_text(encoding="utf-8") if task.probes.is_file() else None
    client.load(task.stem, Source(name, {name: path.read_bytes()}), probes)
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
