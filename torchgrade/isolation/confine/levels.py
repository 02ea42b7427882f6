"""Which level holds on this machine, and what would have to be installed for a better one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torchgrade.isolation.confine.plan import Plan, search_path


def plan(level: int, device: str, readable: Sequence[Path]) -> Plan:
    """The plan of ``level`` on this machine."""
    return Plan(level=level, device=device, search=search_path())
