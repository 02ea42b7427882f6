"""What a learner's edition keeps back: enough to tell who fitted the checks, and no gap that nothing shown is about."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchgrade.course import Task
from torchgrade.course_tools.public_suite import public_text
from torchgrade.course_tools.stubs import stub_text
from torchgrade.course_tools.variants import read_mutants, solution_text
from torchgrade.errors import CourseError
from torchgrade.suites import read_suite

HIDDEN_OF = 3  # at least one check of so many is hidden


def unproven_secrets(task: Task) -> Iterator[str]:
    """A line for each way in which the hidden checks of ``task`` are too few, or those that are shown cover too little.

    A function is covered when a mutant that changes it fails a check that is shown; ``verify`` proves the mutants.
    """
    suite = read_suite(task)
    checks = suite.checks
    try:
        public_text(suite.text, f"graders/{task.stem}/checks.py")
    except CourseError as error:
        yield str(error)
    shown = {check.name for check in checks if not check.hidden}
    hidden = len(checks) - len(shown)
    if hidden * HIDDEN_OF < len(checks):
        yield f"{hidden} of {len(checks)} checks are hidden; at least {-(-len(checks) // HIDDEN_OF)} have to be"
    covered: set[str] = set()
    before = functions(solution_text(task))
    for mutant in read_mutants(task):
        if shown & set(mutant.fails):
            covered |= {name for name, text in functions(mutant.text).items() if before.get(name) != text}
    for name in gaps(stub_text(task)):
        if name not in covered:
            yield f"no mutant of {name}() fails a check that a learner has"


def functions(text: str) -> dict[str, str]:
    """The code of each function and method by its name, such as ``Conv2d.forward``; the last definition counts."""
    return {name: ast.unparse(node) for name, node in _functions(ast.parse(text).body, "")}


def gaps(stub: str) -> list[str]:
    """The functions and methods of a stub that are to be written."""
    return [name for name, text in functions(stub).items() if "raise NotImplementedError" in text]


def _functions(body: list[ast.stmt], owner: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield f"{owner}{node.name}", node
