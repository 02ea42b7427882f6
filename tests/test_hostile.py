"""Every hostile submission at every level at which it must be stopped. `python -m hostile` writes the table."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import pytest
from hostile.attempt import Payload
from hostile.harness import Arena
from hostile.payloads import ALL, FAMILIES

from torchgrade.errors import IsolationError

# Attempts that are not stopped yet, and why. An entry that is stopped after all makes its test fail.
OPEN = {
    "drip": "the line looks at the clock only while it waits",
    "notes": "the line looks at the clock only while it waits",
    "reply_twice": "sequence numbers count upwards",
    "numpy_outside": "strides of arrays raise ValueError, not Violation",
    "numpy_before": "strides of arrays raise ValueError, not Violation",
    "wire_expanded": "a stride of 0 makes a tensor of any size",
    "meta_overflow": "tensors without storage are not measured",
    "bad_slice": "parts of slices are not looked at",
}


@pytest.fixture(scope="module", params=["strict", "standard"])
def arena(request) -> Iterator[Arena]:
    try:
        made = Arena(request.param)
    except IsolationError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.mark.parametrize("payload", ALL, ids=lambda payload: payload.name)
def test_hostile_submission_is_stopped(request, arena: Arena, payload: Payload):
    if payload.x86 and platform.machine() != "x86_64":
        pytest.skip("uses numbers of x86-64 system calls")
    if payload.name in OPEN:
        request.applymarker(pytest.mark.xfail(reason=OPEN[payload.name], strict=True))
    verdict = arena.run(payload)
    if payload.level <= arena.level:
        assert verdict.stopped, verdict.how


def test_there_are_enough_of_each_family():
    assert len(ALL) >= 80
    assert len({payload.name for payload in ALL}) == len(ALL)
    assert all(len(family) >= 10 for family in FAMILIES.values())
    assert OPEN.keys() <= {payload.name for payload in ALL}
