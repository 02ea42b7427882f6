"""``verify --mutate``: small edits of the reference solution, made by the machine, to find checks that are missing.

Each operator changes one node of the syntax tree. A mutant that some check fails is killed; a survivor is either a
missing check or an equivalent program, and then ``graders/TASK/equivalent.yaml`` says why, by the mutant's name.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from torchgrade.course import Task
from torchgrade.course_tools.variants import solution_text
from torchgrade.errors import CourseError
from torchgrade.grading.events import Graded
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.model import Status, TaskGrade
from torchgrade.submission import Source

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
COMPARISON: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
# Calls whose absence is a classic mistake: ``x.detach()`` becomes ``x``.
UNDOABLE = ("detach", "clone", "contiguous", "eval", "train", "zero_grad", "step", "backward", "item", "float", "to")


@dataclass(frozen=True)
class Edit:
    """One mutant: ``name`` says where and what, and stays the same when lines move."""

    name: str
    line: int
    text: str


@dataclass(frozen=True)
class Score:
    """What became of a task's mutants; ``survivors`` pairs a name with the reason given for it, if any."""

    task: str
    killed: int
    survivors: tuple[tuple[str, str | None], ...]

    @property
    def total(self) -> int:
        return self.killed + len(self.survivors)

    @property
    def share(self) -> float:
        """Killed, of those that are not known to be equivalent."""
        unexplained = sum(reason is None for _, reason in self.survivors)
        return self.killed / max(1, self.killed + unexplained)


def edits(solution: str) -> list[Edit]:
    """Every single edit of ``solution`` that the operators can make, in the order of the text."""
    tree = ast.parse(solution)
    found: list[Edit] = []
    names: dict[str, int] = {}
    for function, node, change in _changes(tree):
        before = ast.unparse(node)
        mutated: ast.AST = copy.deepcopy(tree)
        twin = next(other for other in ast.walk(mutated) if _same_place(other, node))
        new = change(twin)
        if new is not None:
            mutated = _Replace(twin, new).visit(mutated)
        after = ast.unparse(new if new is not None else twin)
        text = ast.unparse(ast.fix_missing_locations(mutated))
        if after == before:
            continue
        name = f"{function}: {_short(before)} -> {_short(after)}"
        names[name] = names.get(name, 0) + 1
        name = name if names[name] == 1 else f"{name} ({names[name]})"
        found.append(Edit(name, getattr(node, "lineno", 0), text))
    return found


def _short(code: str) -> str:
    line = " ".join(code.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _same_place(other: ast.AST, node: ast.AST) -> bool:
    return type(other) is type(node) and all(
        getattr(other, key, None) == getattr(node, key, None)
        for key in ("lineno", "col_offset", "end_lineno", "end_col_offset")
    )


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().visit(node)


Change = Callable[[ast.AST], ast.AST | None]


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.AST, Change]]:
    """Function name, node, and how to change it (in place, or by the node that is returned)."""
    for scope, function in _functions(tree):
        skip = {id(node) for node in ast.walk(function.args)} | _annotations(function)
        docstring = function.body[0] if ast.get_docstring(function) else None
        for node in ast.walk(function):
            if id(node) in skip or node is function or (docstring is not None and node in ast.walk(docstring)):
                continue
            for change in _operators(node):
                yield scope, node, change


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{m.name}", m) for m in node.body if isinstance(m, ast.FunctionDef))


def _annotations(function: ast.FunctionDef) -> set[int]:
    roots = [function.returns] + [node.annotation for node in ast.walk(function) if isinstance(node, ast.AnnAssign)]
    return {id(node) for root in roots if root is not None for node in ast.walk(root)}


def _operators(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in ARITHMETIC:
        yield _set("op", ARITHMETIC[type(node.op)]())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISON:
        yield _set("ops", [COMPARISON[type(node.ops[0])](), *node.ops[1:]])
    if isinstance(node, ast.BoolOp):
        yield _set("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    if isinstance(node, ast.UnaryOp):
        yield lambda twin: twin.operand if isinstance(twin, ast.UnaryOp) else None
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        yield _set("value", _other_number(node.value))
    if isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield _set("test", ast.Constant(not isinstance(node, ast.While)))
        if not isinstance(node, ast.While):
            yield _set("test", ast.Constant(False))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield lambda twin: ast.Pass()
    if isinstance(node, ast.AugAssign):
        yield lambda twin: ast.Pass()
    if isinstance(node, ast.Call):
        yield from _call_operators(node)


def _call_operators(node: ast.Call) -> Iterator[Change]:
    if len(node.args) >= 2 and not any(isinstance(arg, ast.Starred) for arg in node.args[:2]):
        yield _set("args", [node.args[1], node.args[0], *node.args[2:]])
    for position in range(len(node.keywords)):
        yield _set("keywords", node.keywords[:position] + node.keywords[position + 1 :])
    if isinstance(node.func, ast.Attribute) and node.func.attr in UNDOABLE:
        receiver = node.func.value
        yield lambda twin: copy.deepcopy(receiver)


def _set(field: str, value: object) -> Change:
    def change(twin: ast.AST) -> None:
        setattr(twin, field, copy.deepcopy(value))

    return change


def _other_number(value: bool | int | float) -> bool | int | float:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return 2 * value if value else 1.0


def equivalents(task: Task) -> dict[str, str]:
    """By name of the mutant, why it is the same program."""
    path = task.folder / "equivalent.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def mutate(pool: Pool, task: Task, options: Options, limit: int | None, only: str = "", seed: int = 0) -> Score:
    """Grade up to ``limit`` mutants of the task's solution, drawn evenly with ``seed`` of those named like ``only``."""
    found = [edit for edit in edits(solution_text(task)) if only in edit.name]
    if only and not found:
        raise CourseError(f"{task.stem}: no mutant has {only!r} in its name")
    if limit is not None and len(found) > limit:
        found = sorted(random.Random(seed).sample(found, limit), key=lambda edit: edit.line)
    name = f"{task.stem}.py"
    jobs = [
        options.job(
            number,
            task.stem,
            Source(name, {name: edit.text.encode()}),
            memory_mb=task.manifest.memory_mb,
            first_failure=True,
        )
        for number, edit in enumerate(found)
    ]
    alive = set(range(len(found)))
    for event in pool.events(jobs):
        if isinstance(event, Graded) and not _survives(event.grade):
            alive.discard(event.job)
    reasons = equivalents(task)
    survivors = tuple((found[number].name, reasons.get(found[number].name)) for number in sorted(alive))
    return Score(task.stem, len(found) - len(alive), survivors)


def _survives(grade: TaskGrade) -> bool:
    return all(outcome.status is Status.PASSED for outcome in grade.checks)
