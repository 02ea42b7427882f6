"""Calls whose arguments are looked at again afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchgrade.isolation.worker.registry import probe


@probe
def call_by_reference(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """What ``function`` returns, and its arguments as they are after the call, in one exchange."""
    return [function(*args, **kwargs), args, kwargs]
