"""What a learner reads who made the mistake of a mutant: a golden text, and whether the place is the right one."""

from __future__ import annotations

import ast
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence

from torchgrade.course import Task
from torchgrade.course_tools.edited import edited
from torchgrade.course_tools.gaps import definitions
from torchgrade.course_tools.variants import Mutant
from torchgrade.model import Outcome, Status, TaskGrade

SILENT = (Status.PASSED, Status.SKIPPED, Status.HELD)
LABELS = ("given", "expected", "got", "likely", "where")
HEAD = "# What a learner reads for each mutant. Written by: python grade.py verify"
NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")
TEMPORARY = re.compile(re.escape(tempfile.gettempdir()) + r"[/\\]+tmp\w+[/\\]+")  # by mkdtemp


def told(grade: TaskGrade) -> list[Outcome]:
    """The outcomes of which a learner reads a message."""
    return [outcome for outcome in grade.checks if outcome.status not in SILENT]


def block(mutant: Mutant, grade: TaskGrade) -> str:
    """The messages of one mutant."""
    lines = [f"{mutant.name}: {mutant.mistake}"]
    for outcome in told(grade):
        device = "" if outcome.device == "cpu" else f" on {outcome.device}"
        lines.append(f"  {outcome.status.value}  {outcome.id}{device}")
        said = [("", outcome.message), *((label, getattr(outcome, label)) for label in LABELS)]
        for label, text in said:
            if text:
                first, *rest = [line for line in text.splitlines() if line.strip()]
                lines.append(f"    {'look at' if label == 'where' else label:<8}  {first}".rstrip())
                lines += [f"    {'':<8}  {line}".rstrip() for line in rest]
    return "\n".join(lines)


def golden(mutants: Iterable[tuple[Mutant, TaskGrade]]) -> str:
    return "\n\n".join([HEAD, *(block(mutant, grade) for mutant, grade in mutants)]) + "\n"


def read_golden(task: Task) -> dict[str, str]:
    """By mutant, the block that is kept of it."""
    place = task.folder / "messages.txt"
    text = place.read_text(encoding="utf-8") if place.is_file() else ""
    blocks = [part.strip("\n") for part in text.split("\n\n")[1:] if part.strip()]
    return {part.partition(":")[0]: part for part in blocks}


def without_numbers(text: str) -> str:
    """To be compared across machines, whose last digits and temporary folders differ."""
    return NUMBER.sub("#", TEMPORARY.sub("", text))


def places(solution: str, mutants: Iterable[tuple[Mutant, TaskGrade]]) -> tuple[Counter[str], list[str]]:
    """Where ``look at`` leads: ``edited`` definition, its ``class``, ``elsewhere``, ``nowhere``; and the last two told.

    The second is a sentence for each outcome that sends a learner to code that is right.
    """
    counts: Counter[str] = Counter()
    astray: list[str] = []
    for mutant, grade in mutants:
        tree = ast.parse(mutant.text)
        changed = edited(solution, mutant.text) or {"<module>"}
        owners = {name.partition(".")[0] for name in changed}
        for outcome in told(grade):
            line = re.match(r".*?:(\d+)", outcome.where or "")
            at = _scope_at(tree, int(line[1])) if line else ""
            kind = "nowhere" if not at else "edited" if at in changed else "elsewhere"
            if kind == "elsewhere" and at.partition(".")[0] in owners:
                kind = "class"
            counts[kind] += 1
            if kind in ("elsewhere", "nowhere"):
                sent = f"sent to {at}" if at else "sent nowhere"
                astray.append(f"mutant {mutant.name} is {sent} by {outcome.id}, not to {' or '.join(sorted(changed))}")
    return counts, astray


def _scope_at(tree: ast.Module, line: int) -> str:
    """The definition that holds a line; the last one of a name counts, as in Python."""
    found = [name for name, node in definitions(tree) if node.lineno <= line <= (node.end_lineno or 0)]
    classes = [n.name for n in tree.body if isinstance(n, ast.ClassDef) and n.lineno <= line <= (n.end_lineno or 0)]
    return [*found, *classes, "<module>"][0]


def difference(old: dict[str, str], mutants: Sequence[tuple[Mutant, TaskGrade]]) -> list[str]:
    """The names of mutants whose messages are others than those that are kept, numbers apart."""
    new = {mutant.name: block(mutant, grade) for mutant, grade in mutants}
    return [name for name, text in new.items() if without_numbers(text) != without_numbers(old.get(name, ""))]
