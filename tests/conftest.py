"""Fixtures of the engine's own tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from support import MINI, copy_of_mini


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """A copy of the miniature course."""
    return copy_of_mini(tmp_path)


@pytest.fixture(scope="session")
def mini_readonly() -> Path:
    return MINI
