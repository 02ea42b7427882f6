"""``verify``: prove the course. Every fact that does not hold becomes one line.

Stubs earn nothing, solutions earn everything and twice the same, every mutant fails exactly the checks that it
names, every alternative earns full points, every ``likely`` sentence is reached, junk earns nothing, stubs are in
sync with their solutions, and the folders hold nothing else.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torchgrade.course import Course, Task
from torchgrade.course_tools.stubs import ALLOWED_IMPORTS, stub_text
from torchgrade.course_tools.variants import (
    Mutant,
    junk_texts,
    read_alternatives,
    read_mutants,
    solution_text,
)
from torchgrade.errors import CourseError
from torchgrade.grading.job import Job
from torchgrade.grading.pool import Event, Pool
from torchgrade.grading.run import Options
from torchgrade.grading.seeds import derive
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.submission import Source
from torchgrade.suites import read_suite

JUNK_CATEGORIES = ("values", "gradients", "accuracy")
Judge = Callable[[TaskGrade], Iterator[str]]
Tell = Callable[[str, int, int], None]  # a task, how many of its cases are graded, of how many


@dataclass(frozen=True)
class Case:
    """One submission to grade, and what its grade must look like."""

    task: Task
    name: str
    text: str
    judge: Judge
    proving: bool = False
    seed: int = 0


def verify_tasks(
    course: Course, tasks: Sequence[Task], options: Options, tell: Tell, repeat: int = 0, only: str = ""
) -> Iterator[str]:
    """Yields a line for each fact that does not hold. ``only``: of the graded cases, those with it in their name."""
    yield from _folders(course)
    with Pool(course.root, options.jobs) as pool:
        for task in tasks:
            try:
                yield from _static_facts(task)
                yield from _graded_facts(pool, task, options, tell, repeat, only)
            except CourseError as error:
                yield f"{task.stem}: {error}"


def _folders(course: Course) -> Iterator[str]:
    """The same stems everywhere, and no stray files."""
    stems = {task.stem for task in course.tasks}
    for name, suffix in (("solutions", ".py"), ("exercises", ".py"), ("graders", "")):
        folder = course.root / name
        found = {path.name.removesuffix(".py") for path in folder.iterdir() if _counts(path.name, suffix)}
        for stray in sorted(found - stems):
            yield f"{name}/{stray}{suffix} belongs to no task of course.yaml"
        for missing in sorted(stems - found):
            yield f"{name}/{missing}{suffix} is missing"


def _counts(name: str, suffix: str) -> bool:
    return (
        not name.startswith((".", "__"))
        and not name.endswith(".bak")
        and (not suffix or name.endswith(suffix))
        and (bool(suffix) or name != "conftest.py")
    )


def _static_facts(task: Task) -> Iterator[str]:
    stub = stub_text(task)
    if not task.stub.is_file() or task.stub.read_text(encoding="utf-8") != stub:
        yield f"{task.stem}: exercises/{task.stem}.py is not the stub of its solution; run: python grade.py stubs"
    for node in ast.walk(ast.parse(stub)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in {name.split(".")[0] for name in names}:
            if name not in ALLOWED_IMPORTS and name not in sys.stdlib_module_names:
                yield f"{task.stem}: the stub imports {name}; only torch, numpy and the standard library are allowed"
    checks = read_suite(task).names
    named = {name for mutant in read_mutants(task) for name in mutant.fails}
    for name in checks:
        if name not in named:
            yield f"{task.stem}: no mutant names {name}; a check that nothing wrong has failed is unproven"
    for name in sorted(named - set(checks)):
        yield f"{task.stem}: a mutant names {name}, which is no check"


def _graded_facts(pool: Pool, task: Task, options: Options, tell: Tell, repeat: int, only: str) -> Iterator[str]:
    printed: set[str] = set()
    cases = [case for case in _cases(task, options, repeat, printed) if only in case.name]
    if not cases:
        raise CourseError(f"no case has {only!r} in its name")
    jobs = [
        Job(
            id=number,
            task=task.stem,
            source=Source(f"{task.stem}.py", {f"{task.stem}.py": case.text.encode()}),
            devices=options.devices,
            seed=case.seed,
            timeout_scale=options.timeout_scale,
            isolation=options.isolation,
            data=options.data,
            proving=case.proving,
        )
        for number, case in enumerate(cases)
    ]
    lines: dict[int, list[str]] = {}
    for event in pool.events(jobs):
        judged = _judge(event, cases)
        lines.update(judged)
        if judged:
            tell(task.stem, len(lines), len(cases))
    for number in sorted(lines):
        yield from lines[number]
    if only:
        return
    for sentence in sorted(read_suite(task).sentences - printed):
        yield f"{task.stem}: no mutant reaches the likely sentence {sentence!r}"


def _judge(event: Event, cases: Sequence[Case]) -> dict[int, list[str]]:
    if event.job is None or event.kind not in ("graded", "broken"):
        return {}
    case = cases[event.job]
    if event.kind == "broken":
        return {event.job: [f"{case.task.stem}: {case.name} could not be graded: {event.data.get('message')}"]}
    return {event.job: [f"{case.task.stem}: {case.name} {problem}" for problem in case.judge(event.grade)]}


def _cases(task: Task, options: Options, repeat: int, printed: set[str]) -> Iterator[Case]:
    seed, solution = options.seed, solution_text(task)
    own, scale = task.manifest.check_seconds, options.timeout_scale
    limits = {check.name: scale * (check.seconds or own) for check in read_suite(task).checks}
    first: list[TaskGrade] = []
    yield Case(task, "the stub", stub_text(task), earns_nothing, seed=seed)
    yield Case(task, "the solution, proved,", solution, earns_everything, proving=True, seed=seed)
    yield Case(task, "the solution", solution, _remember(first), seed=seed)
    yield Case(task, "the solution, graded again,", solution, _same_as(first, limits), seed=seed)
    for mutant in read_mutants(task):
        yield Case(task, f"mutant {mutant.name}", mutant.text, _dies(mutant, printed), seed=seed)
    alternatives = read_alternatives(task)
    for name, text in alternatives.items():
        yield Case(task, f"alternative {name}", text, earns_everything, seed=seed)
    for kind, text in junk_texts(solution).items():
        yield Case(task, f"junk ({kind})", text, earns_no_values, seed=seed)
    for number in range(repeat):
        other = derive(seed, "repeat", number) % (1 << 31)
        yield Case(task, f"the solution with seed {other}", solution, earns_everything, seed=other)
        for name, text in alternatives.items():
            yield Case(task, f"alternative {name} with seed {other}", text, earns_everything, seed=other)


def earns_nothing(grade: TaskGrade) -> Iterator[str]:
    """A stub is calm: todo or skipped, and no points."""
    for outcome in grade.checks:
        if outcome.status not in (Status.TODO, Status.SKIPPED):
            yield f"is {outcome.status} in {outcome.id} instead of todo: {_why(outcome)}"


def earns_everything(grade: TaskGrade) -> Iterator[str]:
    for outcome in grade.checks:
        if outcome.status is not Status.PASSED:
            yield f"is {outcome.status} in {outcome.id}: {_why(outcome)}"


def earns_no_values(grade: TaskGrade) -> Iterator[str]:
    for outcome in grade.checks:
        if outcome.category in JUNK_CATEGORIES and outcome.status is Status.PASSED:
            yield f"passes {outcome.id}, a check of {outcome.category}"
        if outcome.status is Status.BROKEN:
            yield f"breaks {outcome.id}: {_why(outcome)}"


def _remember(first: list[TaskGrade]) -> Judge:
    def judge(grade: TaskGrade) -> Iterator[str]:
        first.append(grade)
        yield from earns_everything(grade)

    return judge


def _same_as(first: list[TaskGrade], limits: Mapping[str, float]) -> Judge:
    """The same outcomes as in the first run, and each within a fifth of its time limit."""

    def judge(grade: TaskGrade) -> Iterator[str]:
        for one, two in zip(first[0].checks if first else (), grade.checks, strict=False):
            fastest, limit = min(one.seconds, two.seconds), limits.get(one.id, 0.0)
            if 5 * fastest > limit:
                yield f"needs {fastest:.1f} s for {one.id}, more than a fifth of its limit of {limit:g} s"
        if first and [_timeless(out) for out in first[0].checks] != [_timeless(out) for out in grade.checks]:
            yield "has another result than before"

    return judge


def _dies(mutant: Mutant, printed: set[str]) -> Judge:
    def judge(grade: TaskGrade) -> Iterator[str]:
        failed = {out.id: out for out in grade.checks if out.status not in (Status.PASSED, Status.SKIPPED)}
        printed.update(out.likely for out in failed.values() if out.likely)
        for name in mutant.fails:
            if name not in failed:
                yield f"survives {name}, which it names"
        for name, outcome in failed.items():
            if name not in mutant.fails:
                yield f"is {outcome.status} in {name}, which it does not name: {_why(outcome)}"
            elif mutant.status is not None and outcome.status.value != mutant.status:
                yield f"is {outcome.status} in {name} instead of {mutant.status}: {_why(outcome)}"
            elif outcome.status in (Status.BROKEN, Status.TODO, Status.UNAVAILABLE):
                yield f"is {outcome.status} in {name}: {_why(outcome)}"
        told = [out.likely for name, out in failed.items() if name in mutant.fails]
        if mutant.likely is not None and mutant.likely not in told:
            yield f"is not told {mutant.likely!r}, but {told}"

    return judge


def _timeless(outcome: Outcome) -> Outcome:
    return replace(outcome, seconds=0.0)


def _why(outcome: Outcome) -> str:
    parts = (outcome.message, outcome.expected and f"expected {outcome.expected}", outcome.got and f"got {outcome.got}")
    return "; ".join(part.replace("\n", " ") for part in parts if part)[:300]
