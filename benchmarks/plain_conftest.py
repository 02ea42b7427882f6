"""The ``conftest.py`` of a plain pytest: a suite meets the file in ``solutions/``, in pytest's own process, on the CPU.

What a class graded so takes is what ``benchmarks/batch.py`` compares the batch with.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from torchgrade.course import Course, find_root
from torchgrade.grading.seeds import LEARNER_SEED, derive
from torchgrade.isolation.remote.local_line import LocalLine
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
from torchgrade.seeding import seed_everything
from torchgrade.submission import Source


@pytest.fixture
def submission(request: pytest.FixtureRequest) -> Iterator[RemoteSubmission]:
    task = Course.load(find_root(request.path.parent)).find(request.path.parent.name)
    client = connect(LocalLine())
    probes = task.probes.read_text(encoding="utf-8") if task.probes.is_file() else None
    name = f"{task.stem}.py"
    client.load(task.stem, Source(name, {name: task.solution.read_bytes()}), probes)
    seed_everything(derive(LEARNER_SEED, task.stem, request.node.name, 0))
    yield RemoteSubmission(client)
    client.line.close()


@pytest.fixture
def device() -> str:
    return "cpu"
