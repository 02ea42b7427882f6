"""What the text of a suite says of its checks, read without running it; it is our own file, so it may be parsed.

A check is a function of the module that is decorated with ``@check(…)``. Whoever asks what a suite holds asks here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torchgrade.course import Task
from torchgrade.errors import CourseError
from torchgrade.i18n import translate as _
from torchgrade.sentences import sentences, told_in

FACTS = ("points", "category", "seconds")  # of @check(…): written out as literals, for many readers ask for them
SAID = ("hint", "given", "instead", "because", "what", "why")  # keywords whose texts a learner reads
_HEAD = re.compile(r"^@check\(.*?^def \w+", re.DOTALL | re.MULTILINE)
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

    @cached_property
    def built(self) -> tuple[str, ...]:
        """The sentences that a learner may read, wherever they are written: as they are, or as f-strings build them,
        ``{given}; the files there``."""
        return tuple(sorted(set(sentences(told_in(self.tree)))))

    def subjects(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
        """By check, which of the ``names`` that a learner defines it is about: one, or several together.

        It is about what it takes of ``submission``, also by the helpers, fixtures and tables of the suite. Where that
        is a whole table of functions, the title says which of them is meant.
        """
        return {check.name: _subject(check.title, self._taken(check.node) & set(names)) for check in self.checks}

    def used_by(self, check: ast.FunctionDef) -> list[ast.AST]:
        """What a check does, with what it uses of the suite: helpers, fixtures and tables."""
        return used_in([check.args, *check.body], self._tops)

    def _taken(self, check: ast.FunctionDef) -> set[str]:
        """The attributes of ``submission`` and the texts in a check and in what it uses of the suite."""
        taken: set[str] = set()
        for node in (node for part in self.used_by(check) for node in ast.walk(part)):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "submission":
                taken.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                taken.add(node.value)
        return taken

    @cached_property
    def _tops(self) -> dict[str, ast.stmt]:
        return bound_in(self.tree)


def bound_in(tree: ast.Module) -> dict[str, ast.stmt]:
    """The statements of a module that bind a name, by name."""
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            names = (name for target in node.targets for name in ast.walk(target))
            found |= {name.id: node for name in names if isinstance(name, ast.Name)}
    return found


def used_in(parts: Sequence[ast.AST], bound: Mapping[str, ast.stmt]) -> list[ast.AST]:
    """``parts``, followed by the statements among ``bound`` that they use, and what those use in turn."""
    used = list(parts)
    followed: set[str] = set()
    for part in used:  # it grows meanwhile
        for node in ast.walk(part):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            if name in bound and name not in followed:
                followed.add(name)
                used.append(bound[name])
    return used


def _subject(title: str, taken: Collection[str]) -> tuple[str, ...]:
    words = re.findall(r"(?<![\w.-])\w+(?![\w-])", title)
    named = [word for word in dict.fromkeys(words) if word in taken]
    if len(named) == 1 or (named and re.match(rf"{named[0]}(?! and|,)", title)):
        return (named[0],)
    return tuple(sorted(taken))


def read_suite(task: Task) -> Suite:
    """The suite of ``task``; CourseError where there is none or its text cannot be read."""
    try:
        text = task.suite.read_text(encoding="utf-8")
    except OSError as error:
        raise CourseError(f"cannot read graders/{task.stem}/checks.py: {error.strerror}") from None
    return parse_suite(text, f"graders/{task.stem}/checks.py")


def points_of(task: Task) -> float:
    """What the checks of ``task`` are worth in all, read without what they do: a page of a whole course asks for it."""
    text = task.suite.read_text(encoding="utf-8")
    heads = "".join(f"{head[0]}(): 0\n" for head in _HEAD.finditer(text))
    return sum(check.points for check in _checks(ast.parse(heads), f"graders/{task.stem}/checks.py"))


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


def chosen_checks(suite: Suite, words: Sequence[str], names: Collection[str]) -> tuple[str, ...]:
    """The checks with these names; else those of the definitions that ``words`` name, else those whose titles hold all
    of these words; maybe none."""
    if set(words) <= {check.name for check in suite.checks}:
        return tuple(check.name for check in suite.checks if check.name in words)
    subjects = suite.subjects(names)
    if set(words) <= set(names):
        alone = [check for check, about in subjects.items() if len(about) == 1 and about[0] in words]
        return tuple(alone or (check for check, about in subjects.items() if set(about) & set(words)))
    wanted = " ".join(words).lower().split()
    return tuple(check.name for check in suite.checks if all(word in _(check.title).lower() for word in wanted))
