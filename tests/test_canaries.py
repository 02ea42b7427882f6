"""The self-test: what it says at each level, and that it notices when a layer is missing."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from torchgrade.errors import IsolationError
from torchgrade.isolation.launch import canaries
from torchgrade.isolation.launch.launcher import open_launcher

pytestmark = pytest.mark.bare


@pytest.mark.parametrize("isolation", ["strict", "standard"])
def test_nothing_gets_out_that_must_not(isolation):
    with open_launcher(isolation) as launcher:
        try:
            findings = canaries.self_test(launcher)
        except IsolationError as error:
            pytest.skip(str(error))
        assert len(findings) >= 16
        assert [finding.canary.name for finding in findings if finding.breach] == []
        assert sum(finding.required for finding in findings) >= len(findings) - 1
        started = time.process_time()
        canaries.demand(launcher)
        assert time.process_time() - started < 1.0


def test_at_level_one_most_attempts_succeed_so_they_can(monkeypatch):
    """The control: an attempt that fails without confinement would prove nothing."""
    with open_launcher("process") as launcher:
        findings = {finding.canary.name: finding for finding in canaries.self_test(launcher)}
        assert not any(finding.breach for finding in findings.values())
        able = {"read", "stat", "write", "tcp", "abstract", "path", "vsock", "unshare", "processes"}
        assert all(not findings[name].stopped for name in able - {"vsock"})
        pretended = SimpleNamespace(level=3, start=launcher.start)
        with pytest.raises(IsolationError, match="at level 3 a submission can read a file"):
            canaries.demand(pretended)
