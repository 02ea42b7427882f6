"""The mark that makes a pytest function a check. It only marks: the runner reads ``function.check``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torchgrade.errors import AuthoringError
from torchgrade.i18n import translate as _
from torchgrade.model import CATEGORIES

LONGEST_TITLE = 72
DEVICES = ("cpu", "all")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Rule:
    """What some definitions of the submission have to do without. While one breaks it, what that one earned is held.

    ``of`` are names of the submission. ``functions`` are torch's functions, methods and properties by their last
    name ("conv2d", "data") and ``operators`` aten names ("convolution"); both are watched in every call of ``of``.
    ``names`` ("torchvision.models", "nn.Conv2d", "F.relu") may stand nowhere in the text of the submission's file.
    ``instead`` says what to write: it completes "use ... instead".
    """

    of: tuple[str, ...]
    functions: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    instead: str = ""

    def __post_init__(self) -> None:
        for name in ("of", "functions", "operators", "names"):
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))

    def wanted(self, ran: Sequence[str]) -> str:
        """What was expected where these ran or stand."""
        text = _("code without {names}").format(names=", ".join(ran))
        return text + (_("; use {instead} instead").format(instead=self.instead) if self.instead else "")


@dataclass(frozen=True)
class CheckSpec:
    """What a suite says about one check. ``after`` holds the names of the tests it waits for."""

    title: str
    points: float
    category: str
    after: tuple[str, ...] = ()
    devices: str = "cpu"
    hidden: bool = False
    seconds: float | None = None
    tries: int = 1
    hint: str | None = None
    gates: tuple[Rule, ...] = ()


def check(
    title: str,
    *,
    points: float,
    category: str,
    after: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
    devices: str = "cpu",
    hidden: bool = False,
    seconds: float | None = None,
    tries: int = 1,
    hint: str | None = None,
    gates: Rule | Sequence[Rule] = (),
) -> Callable[[F], F]:
    """Mark a pytest function as one behaviour, said in one sentence and worth some points.

    ``after`` names the checks that must pass first. ``devices="all"`` runs it on every device asked for; the
    function then takes the ``device`` fixture. ``seconds`` replaces the task's time limit. ``tries=2`` allows
    a second run with another seed, for statistical checks only. ``gates`` are the rules that a check of
    category "rules" is about: what a definition that breaks one earned elsewhere is held back.

    Raises AuthoringError, at decoration, when any of this is malformed.
    """
    waits_for = [after] if callable(after) else list(after or ())
    names = tuple(_name_of_check(title, other) for other in waits_for)
    rules = (gates,) if isinstance(gates, Rule) else tuple(gates)
    spec = CheckSpec(title, points, category, names, devices, hidden, seconds, tries, hint, rules)
    for problem in _problems(spec):
        raise AuthoringError(f"Check {title!r}: {problem}.")

    def mark(function: F) -> F:
        name = getattr(function, "__name__", "")
        if not name.startswith("test_"):
            raise AuthoringError(f"Check {title!r}: pytest does not collect {name!r}, call it test_...")
        if devices == "all" and "device" not in inspect.signature(function).parameters:
            raise AuthoringError(f'Check {title!r}: with devices="all", {name} takes the fixture "device".')
        earlier = getattr(getattr(function, "__globals__", {}).get(name), "check", None)
        if isinstance(earlier, CheckSpec):
            raise AuthoringError(f"Check {title!r}: {name} is the name of the check {earlier.title!r} already.")
        function.check = spec  # type: ignore[attr-defined]
        return function

    return mark


def _name_of_check(title: str, other: Callable[..., Any]) -> str:
    if not isinstance(getattr(other, "check", None), CheckSpec):
        raise AuthoringError(f"Check {title!r}: after={getattr(other, '__name__', other)!r} is not a check.")
    return str(other.__name__)


def _problems(spec: CheckSpec) -> list[str]:
    """What is wrong with the facts, as sentences without full stop."""
    problems = []
    if not spec.title.strip() or spec.title != spec.title.strip():
        problems.append("its title is blank, or begins or ends with a blank")
    if spec.title.endswith("."):
        problems.append("its title has no full stop at the end")
    if len(spec.title) > LONGEST_TITLE:
        problems.append(f"its title has {len(spec.title)} characters, of at most {LONGEST_TITLE}")
    if isinstance(spec.points, bool) or not spec.points > 0 or (spec.points * 2) % 1:
        problems.append(f"points are whole or half numbers above 0, not {spec.points}")
    if spec.category not in CATEGORIES:
        problems.append(f"the category {spec.category!r} is none of {', '.join(CATEGORIES)}")
    if spec.devices not in DEVICES:
        problems.append(f'devices is "cpu" or "all", not {spec.devices!r}')
    if spec.seconds is not None and not spec.seconds > 0:
        problems.append(f"seconds is above 0, not {spec.seconds}")
    if spec.tries not in (1, 2):
        problems.append(f"tries is 1 or 2, not {spec.tries}")
    if spec.hint is not None and not spec.hint.strip():
        problems.append("its hint is blank")
    if spec.gates and spec.category != "rules":
        problems.append(f'gates belong to the category "rules", not to {spec.category!r}')
    if any(not rule.of for rule in spec.gates):
        problems.append("a rule names no definition that it is about")
    return problems
