"""Shortcuts that a task forbids, found in what ran and in what is written."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Any

from torchgrade.checks import Rule
from torchgrade.errors import AuthoringError, Mismatch
from torchgrade.expect.aliases import aliases
from torchgrade.expect.describe import is_handle
from torchgrade.expect.likely import fail
from torchgrade.expect.tensors import Difference
from torchgrade.i18n import translate as _
from torchgrade.isolation.worker.probes import operators as recorded
from torchgrade.isolation.worker.probes import source_names
from torchgrade.isolation.worker.probes.sources import canonical, is_use

# How derivatives are had without a function that is called so: by the engine itself, its nodes, or forward.
DERIVING = {"run_backward", "grad_fn", "_make_dual"}
SHORT_FOR = {"F": "torch.nn.functional", "nn": "torch.nn", "np": "numpy"}


def avoids(
    fn: Any,
    *args: Any,
    rule: Rule | None = None,
    functions: Iterable[str] = (),
    operators: Iterable[str] = (),
    names: Iterable[str] = (),
    instead: str = "",
    given: str | None = None,
) -> None:
    """The submission's ``fn`` does without the shortcuts that the task forbids.

    ``rule`` says what they are, or ``functions``, ``operators``, ``names`` and ``instead`` do: see ``Rule``. Functions
    and operators are watched while ``fn(*args)`` runs beside the submission; in-place twins and the private forms of
    a function are included. ``fn`` has to be the submission's own: a lambda of the suite runs in the grader.

    Raises Mismatch; AuthoringError when nothing is forbidden, or for a lambda.
    """
    rule = rule or Rule((), _several(functions), _several(operators), _several(names), instead)
    if not (rule.functions or rule.operators or rule.names):
        raise AuthoringError("expect.avoids forbids nothing: give functions, operators or names.")
    if isinstance(fn, types.FunctionType) and not is_handle(fn) and "<locals>" in fn.__qualname__:
        raise AuthoringError(
            "expect.avoids needs the submission's own function, such as submission.f: what a suite defines"
            " runs in the grader, where nothing of the submission is seen."
        )
    if rule.names:
        _avoids_names(fn, rule, given)
    if rule.functions or rule.operators:
        seen = recorded(fn, *args)
        ran = forbidden(rule, seen["functions"], seen["operators"])
        if ran:
            fail(_broken(rule, ran, _("{names} ran").format(names=", ".join(ran))), given=given)


def forbidden(rule: Rule, functions: Iterable[str], operators: Iterable[str]) -> list[str]:
    """What the rule forbids of the functions and operators that ran, as the rule names it."""
    called, became = set(functions), {name.strip("_") for name in operators}
    ran = [name for name in rule.functions if _twins(name) & called or _became(name, became)]
    ran += [name for name in rule.operators if _became(name, became)]
    return list(dict.fromkeys(ran))


def wanted(rules: Iterable[Rule]) -> tuple[tuple[str, ...], ...]:
    """Names, functions and operators that have to be watched, for ``forbidden`` to tell whether the rules are kept."""
    watched = [rule for rule in rules if rule.functions or rule.operators]
    names = {name for rule in watched for name in rule.of}
    functions = {twin for rule in watched for name in rule.functions for twin in _twins(name)}
    words = {name.rpartition(".")[2] for rule in watched for name in (*rule.functions, *rule.operators)}
    operators = {alias for word in words for alias in aliases(word)}
    return tuple(tuple(sorted(some)) for some in (names, functions, operators))


def _became(name: str, operators: set[str]) -> bool:
    return any(alias.strip("_") in operators for alias in aliases(name.rpartition(".")[2]))


def _avoids_names(fn: Callable[..., Any], rule: Rule, given: str | None) -> None:
    rows = source_names(fn, [_full(name) for name in rule.names])
    uses = [(name, row) for name in rule.names for row in rows if is_use(row, _full(name), canonical(_full(name)))]
    if not uses:
        return
    name, row = uses[0]
    difference = _broken(rule, [name], _("{name} in line {line} of {file}").format(**{**row, "name": name}))
    unknown = any(row["within"] == "" for _name, row in uses)
    within = {user for _name, row in uses for user in row["users"]}
    raise Mismatch(
        difference.expected,
        difference.got,
        given=given,
        message=difference.size,
        within=sorted(within) if within and not unknown else rule.of,
        place=(row["path"], row["line"], row["within"]),
    )


def _broken(rule: Rule, names: list[str], got: str) -> Difference:
    return Difference(rule.wanted(names), got, _("a rule of the task is broken"))


def _full(name: str) -> str:
    head, dot, tail = name.partition(".")
    return SHORT_FOR.get(head, head) + dot + tail if dot else name


def _twins(name: str) -> set[str]:
    last = name.rpartition(".")[2]
    return {last, f"{last}_", f"_{last}"} | (DERIVING if last in ("grad", "backward") else set())


def _several(value: Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
