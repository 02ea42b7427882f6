"""What the text of a suite says of its checks, read without running it; it is our own file, so it may be parsed.

A check is a function of the module that is decorated with ``@check(…)``. Whoever asks what a suite holds asks here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torchgrade.course import Task
from torchgrade.errors import CourseError

FACTS = ("points", "category", "seconds")  # of @check(…): written out as literals, for many readers ask for them
TELLING = ("calibration", "pictures")  # the fixtures by which a check reports something of a run


@dataclass(frozen=True)
class WrittenCheck:
    """What ``@check(…)`` and the signature below it say. ``seconds`` is None where the task's limit holds."""

    name: str
    title: str
    points: float
    category: str
    seconds: float | None
    hidden: bool
    fixtures: tuple[str, ...]
    node: ast.FunctionDef

    @property
    def records(self) -> bool:
        """Whether it reports a statistic or a picture."""
        return any(name in TELLING for name in self.fixtures)


@dataclass(frozen=True)
class Suite:
    """The checks of a suite in the order of its text."""

    text: str
    tree: ast.Module
    checks: tuple[WrittenCheck, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(check.name for check in self.checks)

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)

    @cached_property
    def sentences(self) -> frozenset[str]:
        """The ``likely`` sentences that are written out; a helper may make others, which only a run can tell."""
        mappings = (n.value for n in ast.walk(self.tree) if isinstance(n, ast.keyword) and n.arg == "likely")
        keys = (key for mapping in mappings if isinstance(mapping, ast.Dict) for key in mapping.keys)
        return frozenset(key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def read_suite(task: Task) -> Suite:
    """The suite of ``task``; CourseError where there is none or its text cannot be read."""
    try:
        text = task.suite.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot read graders/{task.stem}/checks.py: {error.strerror}") from None
    return parse_suite(text, f"graders/{task.stem}/checks.py")


def parse_suite(text: str, name: str) -> Suite:
    """The suite in ``text``; CourseError names ``name``, the line and the cause."""
    try:
        tree = ast.parse(text, name)
    except SyntaxError as error:
        raise CourseError(f"{name}:{error.lineno}: {error.msg}") from None
    checks = tuple(_checks(tree, name))
    lines: dict[str, int] = {}
    for check in checks:
        if check.name in lines:
            where = f"{name}:{check.node.lineno}"
            first = lines[check.name]
            raise CourseError(f"{where}: a second check called {check.name} hides the one of line {first}; rename it")
        lines[check.name] = check.node.lineno
    return Suite(text, tree, checks)


def _checks(tree: ast.Module, name: str) -> Iterator[WrittenCheck]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "check":
                    yield _written(node, mark, name)


def _written(node: ast.FunctionDef, mark: ast.Call, name: str) -> WrittenCheck:
    words = {word.arg: word.value for word in mark.keywords}
    facts = {fact: _literal(words.get(fact), f"{name}:{node.lineno}: {fact}=") for fact in FACTS}
    hidden = words.get("hidden", ast.Constant(False))
    return WrittenCheck(
        name=node.name,
        title=str(_literal(mark.args[0] if mark.args else None, f"{name}:{node.lineno}: the title")),
        points=float(facts["points"] or 0.0),
        category=str(facts["category"]),
        seconds=facts["seconds"],
        hidden=not (isinstance(hidden, ast.Constant) and hidden.value is False),  # when in doubt it stays secret
        fixtures=tuple(argument.arg for argument in node.args.args),
        node=node,
    )


def _literal(value: ast.expr | None, what: str) -> Any:
    try:
        return ast.literal_eval(value) if value is not None else None
    except ValueError:
        raise CourseError(f"{what} of a check is written out, not computed") from None
