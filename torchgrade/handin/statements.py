"""Which statements of a notebook define something, and which only run something (a training, a plot). Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
RUNS = "it only runs something"


class Judge:
    """Takes the top-level statements one after another: a notebook's code was run cell by cell, and much of it once.

    What calls the notebook's own functions at once is left out, and so is what needs a value that was.
    """

    def __init__(self) -> None:
        self._own: set[str] = set()  # functions and classes of the notebook
        self._values: set[str] = set()
        self._gone: set[str] = set()  # names that only exist where code was left out

    def objection(self, node: ast.stmt) -> str:
        """Why the statement is not executed; empty when it is."""
        sentence = self._sentence(node)
        names = bound(node)
        if sentence:
            self._gone |= names - self._own
            return sentence
        self._gone -= names
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self._own |= names
        elif not isinstance(node, (ast.Import, ast.ImportFrom)):
            self._values |= names
        return ""

    def _sentence(self, node: ast.stmt) -> str:
        if isinstance(node, _DEFINITIONS):
            return ""
        if isinstance(node, ast.Expr) and not self._changes_a_value(node.value):
            text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            return "" if text else RUNS
        if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            return RUNS
        if isinstance(node, (ast.While, ast.Assert, ast.Raise, ast.Delete)):
            return RUNS
        used = {child.id for child in _now(node) if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load)}
        if not self._called(node).isdisjoint(self._own):
            return "it runs the notebook's own code"
        return "" if (used - bound(node)).isdisjoint(self._gone) else "it needs a value that was left out"

    def _called(self, node: ast.AST) -> set[str]:
        """The names in what the statement calls at once."""
        calls = (child.func for child in _now(node) if isinstance(child, ast.Call))
        return {name.id for call in calls for name in ast.walk(call) if isinstance(name, ast.Name)}

    def _changes_a_value(self, node: ast.expr) -> bool:
        """A call such as ``table.update(…)`` of a value that the notebook made."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return False
        root: ast.expr = node.func
        while isinstance(root, (ast.Attribute, ast.Subscript)):
            root = root.value
        return isinstance(root, ast.Name) and root.id in self._values


def bound(node: ast.AST) -> set[str]:
    """The names that a top-level statement makes."""
    names: set[str] = set()
    waiting = [node]
    while waiting:
        child = waiting.pop()
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(child.name)
        elif isinstance(child, ast.alias):
            names.add((child.asname or child.name).split(".")[0])
        elif not isinstance(child, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                names.add(child.id)
            waiting += ast.iter_child_nodes(child)
    return names


def only_runs(node: ast.stmt) -> bool:
    """Whether it makes no name by itself: its end need not be awaited."""
    return not isinstance(node, (*_DEFINITIONS, ast.Assign, ast.AnnAssign, ast.AugAssign))


def _now(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that are evaluated when the statement is, the bodies of functions excluded."""
    waiting = [node]
    while waiting:
        child = waiting.pop()
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(child)
        elif not isinstance(child, ast.Lambda):
            waiting += [*child.decorator_list, *child.args.defaults, *(d for d in child.args.kw_defaults if d)]
