"""The stub of a task, derived from its solution: gaps where the markers are.

# BEGIN SOLUTION … # END SOLUTION     inside a function: becomes ``raise NotImplementedError``
                                      in a module or in a class itself: is left out
# STUB: code                          inside a block: ``code`` stands in the stub instead
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from torchgrade.course import Task
from torchgrade.errors import CourseError
from torchgrade.i18n import translate as _

BEGIN, END, STUB = "# BEGIN SOLUTION", "# END SOLUTION", "# STUB: "
ALLOWED_IMPORTS = ("torch", "numpy", "PIL")


def stub_text(task: Task) -> str:
    """The stub that belongs to the task's solution; where there is none, the stub that was handed out. In English."""
    if not task.solution.is_file():
        kept = task.folder / "stub.py"
        if kept.is_file():
            return kept.read_text(encoding="utf-8")
        raise CourseError(f"there is neither solutions/{task.stem}.py nor graders/{task.stem}/stub.py")
    return make_stub(task.solution.read_text(encoding="utf-8"), f"solutions/{task.stem}.py")


def is_stub(task: Task, stub: str) -> bool:
    """Whether the learner's file is this text still."""
    return task.stub.exists() and task.stub.read_text(encoding="utf-8", errors="replace") == stub


def make_stub(solution: str, name: str) -> str:
    """``solution`` with its blocks replaced by gaps; CourseError names the line of a stray marker."""
    lines = list(_stub_lines(solution, name))
    text = "\n".join(lines).strip("\n") + "\n"
    return re.sub(r"\n{4,}", "\n\n\n", _without_unused_imports(text))


def lines_of_gaps(solution: str) -> frozenset[int]:
    """The numbers of the lines that a stub leaves to the learner, markers included."""
    markers = [n for n, line in enumerate(solution.splitlines(), start=1) if line.strip() in (BEGIN, END)]
    pairs = zip(markers[::2], markers[1::2], strict=False)
    return frozenset(line for begin, end in pairs for line in range(begin, end + 1))


def _stub_lines(solution: str, name: str) -> Iterator[str]:
    block: list[str] | None = None
    inside = _lines_of_functions(solution)
    begun = 0
    for number, line in enumerate(solution.splitlines(), start=1):
        marker = line.strip()
        if marker == BEGIN and block is None:
            block, begun = [], number
        elif marker == END and block is not None:
            indent = line[: len(line) - len(line.lstrip())]
            yield from _gap(block, indent, begun in inside)
            block = None
        elif marker in (BEGIN, END):
            raise CourseError(f"{name}:{number}: a stray marker {marker!r}")
        elif block is not None:
            block.append(line)
        else:
            yield line
    if block is not None:
        raise CourseError(f"{name}: {BEGIN!r} without {END!r}")


def _gap(block: list[str], indent: str, in_function: bool) -> list[str]:
    replaced = [indent + line.strip().removeprefix(STUB) for line in block if line.strip().startswith(STUB)]
    if replaced or not in_function:
        return replaced
    return [f"{indent}raise NotImplementedError"]


def _lines_of_functions(text: str) -> set[int]:
    """What raises there waits for a call; elsewhere it would take the whole class or module away."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds))
    return {line for node in functions for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def _without_unused_imports(text: str) -> str:
    """Imports that only the solution needed would puzzle a learner; torch and numpy always stay."""
    tree = ast.parse(text)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    drop = set()
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
            kept = [alias.name.split(".")[0] in ALLOWED_IMPORTS for alias in node.names]
            module = (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else ""
            if module == "__future__" or module in ALLOWED_IMPORTS or all(kept):
                continue
            if not any(name in used for name in names):
                drop |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return "\n".join(line for number, line in enumerate(text.split("\n"), start=1) if number not in drop)


TODO = re.compile(r"^( *# TODO: )(.+(?:\n *# (?!TODO: |BEGIN |END |STUB).+)*)$", re.MULTILINE)


def todo_sentences(text: str) -> Iterator[str]:
    """What the comments at the gaps ask for, each in one line."""
    yield from (_joined(found[2]) for found in TODO.finditer(text))


def _joined(comment: str) -> str:
    return " ".join(line.strip().removeprefix("# ") for line in comment.split("\n"))


def translated(text: str) -> str:
    """A stub with its docstrings, and what stands at its gaps, in the reader's language."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(ast.parse(text)):
        doc = ast.get_docstring(node, clean=False) if isinstance(node, nodes) else None
        if doc and _(doc) != doc:
            text = text.replace(doc, _(doc), 1)

    def comment(found: re.Match[str]) -> str:
        sentence = _joined(found[2])
        return found[0] if _(sentence) == sentence else found[1] + _(sentence)

    return TODO.sub(comment, text)
