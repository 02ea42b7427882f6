"""The form of what is traced: sets and counts, by function and by parameter, merged from many calls. No torch."""

from __future__ import annotations

import json
from typing import Any

Summary = dict[str, Any]
ENOUGH = 60  # values of one set, such as the losses of a thousand steps


def new_call() -> Summary:
    """Of one function. ``modules``: calls on a module; ``objects``: on how many; ``together``: options that were both
    given another value than their default.
    """
    sets: Summary = {key: set() for key in ("raised", "grad_mode", "training", "together", "per_object")}
    return {"calls": 0, "objects": 0, "modules": 0, "parameters": {}, "result": new_value(), **sets}


def new_value() -> Summary:
    """Of one parameter: ``types`` of what it was given, ``dtypes`` and ``kinds`` of the tensors in it, ``values`` of
    what is plain, ``keys`` of dicts. ``other``: values that are not its default; ``omitted``: calls that left it out.
    """
    sets: Summary = {key: set() for key in ("types", "dtypes", "kinds", "values", "other", "keys")}
    return {"tensors": 0, "omitted": 0, **sets}


def merge(into: Summary, more: Summary) -> None:
    """Unite the sets, add the counts, also of summaries in summaries."""
    for key, value in more.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        elif isinstance(value, set):
            known = into.setdefault(key, set())
            if len(known) < ENOUGH:
                known |= value
        else:
            into[key] = into.get(key, 0) + value


def packed(summary: Summary) -> str:
    return json.dumps(summary, default=sorted)


def unpacked(text: str) -> Summary:
    summary: Summary = json.loads(text, object_hook=lambda found: {k: _set(v) for k, v in found.items()})
    return summary


def _set(value: Any) -> Any:
    return set(value) if isinstance(value, list) else value
