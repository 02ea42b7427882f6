"""What a learner may read of an outcome: of a hidden check its sentence, category and the size of the error."""

from __future__ import annotations

import builtins
from dataclasses import replace

from torchgrade.model import Outcome, Result, Status


def learner_view(outcome: Outcome) -> Outcome:
    """The outcome without what would tell a hidden check's inputs or answers."""
    if not outcome.hidden:
        return outcome
    return replace(
        outcome,
        message=_size(outcome), given=None, expected=None, got=None, table="",
        likely=None, where=None, hint=None, output="",
    )  # fmt: skip


def learner_result(result: Result) -> Result:
    """The result to hand out. The seed is left out: with it the hidden inputs could be drawn again."""
    tasks = tuple(replace(t, checks=tuple(learner_view(check) for check in t.checks)) for t in result.tasks)
    return replace(result, seed=0, tasks=tasks)


def _size(outcome: Outcome) -> str:
    """How wrong it was, in words that carry no value of the check's.

    A failed expectation's message is that already. A crash tells its exception only when it is one of
    Python's: the name of an own class, like its text, could carry the inputs out.
    """
    if outcome.status is Status.CRASHED:
        name = outcome.message.partition(":")[0].strip()
        known = getattr(builtins, name, None) if name.isidentifier() else None
        raised = isinstance(known, type) and issubclass(known, BaseException)
        return f"it raised {name}" if raised else "it raised an exception or ended its process"
    if outcome.status is Status.BROKEN:
        return ""
    return outcome.message
