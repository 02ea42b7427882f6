"""Fixtures of the engine's own tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import MINI, copy_of_mini

# The files that last longest go first, so that no core waits for the other at the end.
LONGEST = ("test_course", "test_batch_command", "test_cli", "test_hostile", "test_environment", "test_readme")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """A copy of the miniature course."""
    return copy_of_mini(tmp_path)


@pytest.fixture(scope="session")
def mini_readonly() -> Path:
    return MINI
