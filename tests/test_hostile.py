"""Every hostile submission at every level at which it must be stopped. `PYTHONPATH=tests python -m hostile` writes the table."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import harness
from hostile.attempt import Payload
from hostile.harness import Arena
from hostile.payloads import ALL, FAMILIES

from torchgrade.errors import IsolationError
from torchgrade.isolation.launch import levels


@pytest.mark.bare
def test_an_arena_that_is_not_to_be_had_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sockets have one name in all arenas of a process: this runs before there is one."""
    before = set(Path(tempfile.gettempdir()).glob("torchgrade-arena-*"))
    monkeypatch.setattr(levels.shutil, "which", lambda name: None)
    with pytest.raises(IsolationError, match="apt install bubblewrap"):
        Arena("strict")
    assert set(Path(tempfile.gettempdir()).glob("torchgrade-arena-*")) <= before
    with harness.targets():
        pass


@pytest.fixture(scope="module", params=["strict", "standard"])
def arena(request) -> Iterator[Arena]:
    try:
        made = Arena(request.param)
    except IsolationError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.mark.parametrize("payload", ALL, ids=lambda payload: payload.name)
def test_hostile_submission_is_stopped(arena: Arena, payload: Payload):
    if payload.x86 and platform.machine() != "x86_64":
        pytest.skip("uses numbers of x86-64 system calls")
    verdict = arena.run(payload)
    if payload.level <= arena.level:
        assert verdict.stopped, verdict.how


def test_there_are_enough_of_each_family():
    assert len(ALL) >= 80
    assert len({payload.name for payload in ALL}) == len(ALL)
    assert all(len(family) >= 10 for family in FAMILIES.values())


def test_the_page_tells_of_each():
    page = (Path(__file__).parents[1] / "docs" / "security.md").read_text(encoding="utf-8")
    assert [payload.attempt for payload in ALL if f"| {payload.attempt} |" not in page] == []
    assert "not tried" not in page
    assert "**succeeds**" not in page
