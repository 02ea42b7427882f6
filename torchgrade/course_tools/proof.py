"""Proofs that are kept: ``graders/TASK/proof.json`` says what was proved, by which engine, and what it came to.

A proof holds as long as its content does: a test compares the two. The engine's hash is information only; CI renews
proofs by proving again what changed and some others that are drawn.
"""

from __future__ import annotations

import json
import platform
import random
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

from torchgrade.course import Task, content_hash
from torchgrade.engine_files import engine_files
from torchgrade.errors import CourseError

UNKNOWN_SECONDS = 300.0  # the size of a task that was never proved
DRAWN = 3


@dataclass(frozen=True)
class Proof:
    """What ``verify`` found to hold. ``seconds``: of grading, summed over all cases. ``date``: ISO, UTC."""

    content: str
    engine: str
    versions: Mapping[str, str]
    date: str
    seconds: float
    counts: Mapping[str, int]
    findings: Mapping[str, int]

    @property
    def told(self) -> str:
        found = {f"findings of {kind}": count for kind, count in self.findings.items()}
        return ", ".join(f"{name} {count}" for name, count in {**self.counts, **found}.items())

    def fits(self, task: Task) -> bool:
        """Whether the task and the engine are still what was proved."""
        return (self.content, self.engine) == (content_of(task), engine_of())

    def write(self, task: Task) -> None:
        _place(task).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def content_of(task: Task) -> str:
    """Changes when anything changes that a proof of ``task`` is about. Title, summary and hints are no part of it."""
    names = ("checks.py", "probes.py", "substitutes.py", "mutants.yaml")
    alternatives = sorted((task.folder / "alternatives").glob("*.py"))
    data = [task.root / "datasets" / f"{name}.py" for name in task.manifest.data]
    files = [task.solution, task.stub, *(task.folder / name for name in names), *alternatives, *data]
    facts = replace(task.manifest, title="", summary="", hints=())
    return content_hash(files, f"{facts}{task.thresholds}")


def engine_of() -> str:
    return content_hash(engine_files())


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy")}}


def read_proof(task: Task) -> Proof | None:
    place = _place(task)
    return _parsed(place.read_text(encoding="utf-8"), place) if place.is_file() else None


def forget_proof(task: Task) -> None:
    _place(task).unlink(missing_ok=True)


def stale(task: Task) -> str | None:
    """Why there is no proof of the task as it is now, with the command that makes one; None when there is."""
    proof, command = read_proof(task), f"run: python grade.py verify {task.stem}"
    if proof is None:
        return f"{task.stem} was never proved; {command}"
    if proof.content != content_of(task):
        return f"{task.stem} has changed since it was proved on {proof.date}; {command}"
    return None


@dataclass(frozen=True)
class Due:
    """What CI proves, and what has changed as well but does not fit into its time."""

    tasks: tuple[Task, ...]
    left: tuple[Task, ...]


def due(tasks: Sequence[Task], base: str, budget: float) -> Due:
    """The tasks that have changed since ``base``, and then up to three others that the commit draws.

    ``base`` is a Git revision; "" stands for the main branch, or on that branch for the commit before this one. As many
    are taken as fit into ``budget`` by their seconds of last time; one that changed always, whatever its size, and of
    the others the quickest where none fits.
    """
    root = tasks[0].root
    head = _git(root, "rev-parse", "HEAD")
    base = base or _base(root, head)
    shuffled = random.Random(head).sample(tasks, len(tasks))
    changed = [task for task in shuffled if head and _content_at(task, base) != content_of(task)]
    drawn = [task for task in shuffled if task not in changed]
    chosen: list[Task] = []
    for task in (*changed, *drawn):
        room = task in changed or sum(other in drawn for other in chosen) < DRAWN
        if (changed and not chosen) or (room and sum(map(_seconds, chosen)) + _seconds(task) <= budget):
            chosen.append(task)
    chosen = chosen or [min(tasks, key=_seconds)]
    return Due(
        tuple(task for task in tasks if task in chosen),
        tuple(task for task in tasks if task in changed and task not in chosen),
    )


def _seconds(task: Task) -> float:
    proof = read_proof(task)
    return proof.seconds if proof else UNKNOWN_SECONDS


def _base(root: Path, head: str) -> str:
    main = next(filter(None, (_git(root, "rev-parse", "-q", "--verify", name) for name in ("main", "origin/main"))), "")
    return main if main and main != head else "HEAD~1"


def _content_at(task: Task, base: str) -> str:
    """The content that was proved at a revision, "" where nothing was."""
    text = _git(task.root, "show", f"{base}:./graders/{task.stem}/proof.json")
    return _parsed(text, _place(task)).content if text else ""


def _git(root: Path, *arguments: str) -> str:
    """What Git answers, "" where it has no answer."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _place(task: Task) -> Path:
    return task.folder / "proof.json"


def _parsed(text: str, place: Path) -> Proof:
    try:
        return Proof(**json.loads(text))
    except (ValueError, TypeError):
        raise CourseError(f"graders/{place.parent.name}/proof.json is no proof; remove it and verify again") from None


def counted(kinds: Iterable[str]) -> dict[str, int]:
    """By kind, how many."""
    found: dict[str, int] = {}
    for kind in kinds:
        found[kind] = found.get(kind, 0) + 1
    return dict(sorted(found.items()))
