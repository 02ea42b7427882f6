"""``verify``: prove the course. Every fact that does not hold becomes one line, and a task whose facts hold a proof.

Stubs earn nothing, solutions earn everything and twice the same, every mutant fails exactly the checks that it
names, every alternative earns full points, every ``likely`` sentence is reached, junk earns nothing, stubs are in
sync with their solutions, and the folders hold nothing else. What is no false fact but worth an author's time is a
finding: a mistake that costs too much, a sentence that a check never tells, an input that no check ever sends.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from torchgrade.course import Course, Task
from torchgrade.course_tools import inputs, messages, proof
from torchgrade.course_tools.calibrate import stale
from torchgrade.course_tools.edited import edited
from torchgrade.course_tools.gradings import KeptGradings
from torchgrade.course_tools.outline import order_problems
from torchgrade.course_tools.stubs import ALLOWED_IMPORTS, stub_text
from torchgrade.course_tools.variants import (
    Mutant,
    junk_texts,
    read_alternatives,
    read_mutants,
    read_substitutes,
    solution_text,
)
from torchgrade.errors import CourseError
from torchgrade.grading.calibration import environment
from torchgrade.grading.events import Fault, Graded, Met
from torchgrade.grading.gates import SIZES
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.grading.seeds import derive
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.submission import Source
from torchgrade.suites import Suite, read_suite

UNBLAMED = (Status.PASSED, Status.HELD, Status.SKIPPED)  # another check says what is wrong
WITHOUT_SHAPE = ("nothing", "a zero")  # kinds of junk that are not even shaped like an answer
SPARED_CATEGORIES = ("convergence", "accuracy")  # dear: run for a mutant that names them only
DEAR, DEAREST = 0.25, 0.4  # of a task's points, that one mistake may cost with a reason, and at all
ASTRAY = 0.05  # of the messages, that may send a learner to code that is right
Judge = Callable[[TaskGrade], Iterator[str]]
Tell = Callable[[str, bool], None]  # a line, and whether it stands or the next one replaces it


@dataclass(frozen=True)
class Flaw:
    """Something about a task that does not hold: a ``fact``, or a finding of another ``kind``."""

    kind: str
    task: str
    text: str

    def __str__(self) -> str:
        where = f"{self.task}: " if self.task else ""
        return f"{where}{self.text}" if self.kind == "fact" else f"{where}finding, {self.kind}: {self.text}"


@dataclass(frozen=True)
class Trial:
    """One submission to grade, and what its grade must look like."""

    name: str
    text: str
    judge: Judge
    proving: bool = False
    seed: int = 0
    spared: tuple[str, ...] = ()
    mutant: Mutant | None = None
    kept: bool = False  # its grade may be one of before


@dataclass
class Evidence:
    """What the cases of a task came to. ``met``: check and sentence, of all that the reference passed by."""

    task: Task
    suite: Suite
    cases: Sequence[Trial]
    grades: dict[int, TaskGrade] = field(default_factory=dict)
    met: set[tuple[str, str]] = field(default_factory=set)
    coverage: inputs.Coverage = field(default_factory=inputs.Coverage)
    places: Counter[str] = field(default_factory=Counter)

    @property
    def mutants(self) -> Iterator[tuple[Mutant, TaskGrade]]:
        """The mutants that were graded, in their order."""
        for number, grade in sorted(self.grades.items()):
            mutant = self.cases[number].mutant
            if mutant is not None:
                yield mutant, grade


def verify_tasks(
    course: Course,
    tasks: Sequence[Task],
    options: Options,
    tell: Tell,
    repeat: int = 0,
    only: str = "",
    again: bool = False,
) -> Iterator[Flaw]:
    """Yields what does not hold, and writes the proof of each task whose facts hold.

    A task that is proved already, with this content and by this engine, is passed over, and what an earlier try graded
    is not graded again (``KeptGradings``), unless ``again``. ``only``: of the graded cases, those with it in their
    name; nothing else is looked at then, and no proof is written.
    """
    yield from (Flaw("fact", "", text) for text in (*_folders(course), *order_problems(course)))
    with Pool.local(course.root, options.jobs) as pool:
        for task in tasks:
            kept = proof.read_proof(task)
            if kept is not None and not kept.fits(task):
                kept = None
            if kept is not None and not (again or only or repeat):
                facts = {"task": task.stem, "date": kept.date, "counts": kept.told}
                tell(_("{task}: proved on {date}, {counts}").format(**facts), True)
                continue
            try:
                lines, evidence = _proved(pool, task, options, tell, repeat, only, again)
            except CourseError as error:
                lines, evidence = [Flaw("fact", task.stem, str(error))], None
            yield from lines
            holds = not any(line.kind == "fact" for line in lines)
            if evidence is not None and holds and not only:
                made = _proof_of(evidence, lines)
                made.write(task)
                text = messages.golden(evidence.mutants)
                (task.folder / "messages.txt").write_text(text, encoding="utf-8")
                tell(_("{task}: proved, {counts}").format(task=task.stem, counts=made.told), True)
            elif not holds and kept is not None:
                proof.forget_proof(task)  # it says what is not so


def _proved(
    pool: Pool, task: Task, options: Options, tell: Tell, repeat: int, only: str, again: bool
) -> tuple[list[Flaw], Evidence]:
    facts = [] if only else list(_static_facts(task))
    suite = read_suite(task)
    coverage = inputs.trace(pool, task, options)
    cases = [case for case in _cases(task, suite, options, repeat, coverage) if only in case.name]
    if not cases:
        raise CourseError(f"no case has {only!r} in its name")
    evidence = Evidence(task, suite, cases, coverage=coverage)
    gradings = KeptGradings(task, fresh=again)
    facts += _grade(pool, evidence, options, tell, gradings)
    if not only:
        gradings.forget_others()
    lines = [Flaw("fact", task.stem, text) for text in facts]
    lines += [] if only else [Flaw("calibration", task.stem, text) for text in stale(task, environment())]
    if not only:
        lines += _sentences(evidence)
        lines += _prices(evidence)
        lines += _inputs(evidence)
        lines += _messages(evidence)
    return lines, evidence


def _proof_of(evidence: Evidence, lines: Iterable[Flaw]) -> proof.Proof:
    task = evidence.task
    return proof.Proof(
        content=proof.content_of(task),
        engine=proof.engine_of(),
        versions=proof.versions(),
        date=datetime.now(timezone.utc).date().isoformat(),
        seconds=round(sum(grade.seconds for grade in evidence.grades.values()), 1),
        counts={
            "checks": len(evidence.suite.checks),
            "mutants": len(list(evidence.mutants)),
            "sentences": len(evidence.met),
            "messages": evidence.places.total(),
            "messages astray": sum(evidence.places[kind] for kind in ("elsewhere", "nowhere")),
            "alternatives": len(read_alternatives(task)),
            "junk": len(junk_texts(solution_text(task))),
        },
        findings=proof.counted(line.kind for line in lines),
    )


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
    """Whether a file or folder of this name is a task's; catalogues and the editor's part are the course's."""
    ours = name == "conftest.py" or name.endswith((".bak", ".new", ".po", ".mo"))
    return not name.startswith((".", "__")) and not ours and name.endswith(suffix)


def _static_facts(task: Task) -> Iterator[str]:
    stub = stub_text(task)
    if not task.stub.is_file() or task.stub.read_text(encoding="utf-8") != stub:
        yield f"exercises/{task.stem}.py is not the stub of its solution; run: python grade.py stubs"
    for node in ast.walk(ast.parse(stub)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in {name.split(".")[0] for name in names}:
            if name not in ALLOWED_IMPORTS and name not in sys.stdlib_module_names:
                yield f"the stub imports {name}; only torch, numpy, PIL and the standard library are allowed"
    checks = read_suite(task).names
    named = {name for mutant in read_mutants(task) for name in mutant.fails}
    for name in checks:
        if name not in named:
            yield f"no mutant names {name}; a check that nothing wrong has failed is unproven"
    for name in sorted(named - set(checks)):
        yield f"a mutant names {name}, which is no check"


def _grade(pool: Pool, evidence: Evidence, options: Options, tell: Tell, gradings: KeptGradings) -> list[str]:
    """Grade the cases into ``evidence``; what their judges say, in the order of the cases."""
    task, cases = evidence.task, evidence.cases
    jobs = [
        options.job(
            number,
            task.stem,
            Source(f"{task.stem}.py", {f"{task.stem}.py": case.text.encode()}),
            memory_mb=task.manifest.memory_mb,
            seed=case.seed,
            proving=case.proving,
            spared=case.spared,
        )
        for number, case in enumerate(cases)
    ]
    known = {job.id: gradings.of(job) for job in jobs if cases[job.id].kept}
    evidence.grades |= {number: grade for number, grade in known.items() if grade is not None}
    broken: dict[int, str] = {}
    for event in pool.events([job for job in jobs if job.id not in evidence.grades]):
        if isinstance(event, Met):
            evidence.met |= {(event.check, sentence) for sentence in event.sentences}
        elif isinstance(event, Graded):
            evidence.grades[event.job] = event.grade
            if cases[event.job].kept:
                gradings.keep(jobs[event.job], event.grade)
        elif isinstance(event, Fault):
            broken[event.job] = f"{cases[event.job].name} could not be graded: {event.message}"
        if isinstance(event, (Graded, Fault)):
            done = len(evidence.grades) + len(broken)
            count = _("{task}: {done} of {cases} cases graded")
            tell(count.format(task=task.stem, done=done, cases=len(cases)), done == len(cases))
    said = {number: [text] for number, text in broken.items()}
    for number, grade in evidence.grades.items():
        said[number] = [f"{cases[number].name} {problem}" for problem in cases[number].judge(grade)]
    return [text for number in sorted(said) for text in said[number]]


def _cases(task: Task, suite: Suite, options: Options, repeat: int, coverage: inputs.Coverage) -> Iterator[Trial]:
    seed, solution = options.seed, solution_text(task)
    own, scale = task.manifest.check_seconds, options.timeout_scale
    limits = {check.name: scale * (check.seconds or own) for check in suite.checks}
    dear = [check.name for check in suite.checks if check.category in SPARED_CATEGORIES]
    first: list[TaskGrade] = []
    yield Trial("the stub", stub_text(task), earns_nothing, seed=seed)
    yield Trial("the solution, proved,", solution, earns_everything, proving=True, seed=seed)
    yield Trial("the solution", solution, _remember(first), seed=seed)
    yield Trial("the solution, graded again,", solution, _same_as(first, limits), seed=seed)
    for mutant in read_mutants(task):
        beside = _beside(mutant, suite, coverage, solution)
        spared = tuple(name for name in dict.fromkeys((*dear, *beside)) if name not in mutant.fails)
        yield Trial(
            f"mutant {mutant.name}", mutant.text, _dies(mutant), kept=True, seed=seed, spared=spared, mutant=mutant
        )
    alternatives = read_alternatives(task)
    for name, text in alternatives.items():
        yield Trial(f"alternative {name}", text, earns_everything, seed=seed, kept=True)
    for name, text in read_substitutes(task).items():
        yield Trial(f"the substitute of {name}", text, earns_everything, seed=seed, kept=True)
    for kind, text in junk_texts(solution).items():
        judge = earns_no_points if kind in WITHOUT_SHAPE else earns_sizes_only
        yield Trial(f"junk ({kind})", text, judge, kept=True, seed=seed)
    for number in range(repeat):
        other = derive(seed, "repeat", number) % (1 << 31)
        yield Trial(f"the solution with seed {other}", solution, earns_everything, seed=other)
        for name, text in alternatives.items():
            yield Trial(f"alternative {name} with seed {other}", text, earns_everything, seed=other)


def _beside(mutant: Mutant, suite: Suite, coverage: inputs.Coverage, solution: str) -> Iterator[str]:
    """The checks that call nothing of what a mutant edits, as the traced reference showed: they cannot tell."""
    found = edited(solution, mutant.text)
    if found is None or not found <= coverage.checks.keys():  # not only traced definitions
        return
    callers = {check for name in found for check in coverage.checks[name]}
    yield from (check.name for check in suite.checks if check.name not in callers and check.category != "rules")


def _sentences(evidence: Evidence) -> Iterator[Flaw]:
    """A sentence that nothing reaches is unproven; one that only another check tells is worth a mutant."""
    told = {
        (out.id, out.likely)
        for _mutant, grade in evidence.mutants
        for out in grade.checks
        if out.likely and out.status not in (Status.PASSED, Status.SKIPPED)
    }
    heard = {sentence for _check, sentence in told}
    written = {("", sentence) for sentence in evidence.suite.sentences - {text for _check, text in evidence.met}}
    for check, sentence in sorted(evidence.met | written):
        place = f" of {check}" if check else ""
        if sentence not in heard:
            yield Flaw("fact", evidence.task.stem, f"no mutant reaches the likely sentence {sentence!r}{place}")
        elif check and (check, sentence) not in told:
            yield Flaw("sentence", evidence.task.stem, f"no mutant is told {sentence!r} by {check}")


def _prices(evidence: Evidence) -> Iterator[Flaw]:
    """What one mistake costs, of the whole task. What a task forbids is no mistake, and earns nothing at any price."""
    rules = {check.name for check in evidence.suite.checks if check.category == "rules"}
    for mutant, grade in evidence.mutants:
        share = (grade.max_points - grade.points) / evidence.suite.points
        too_dear = share > DEAREST and rules.isdisjoint(mutant.fails)
        if too_dear or (share > DEAR and not mutant.price):
            why = "" if too_dear else "; give the reason under price, or let fewer checks wait"
            yield Flaw("price", evidence.task.stem, f"mutant {mutant.name} costs {share:.0%} of the task{why}")


def _inputs(evidence: Evidence) -> Iterator[Flaw]:
    """What no check ever sends, although a docstring speaks of it."""
    stem = evidence.task.stem
    traced = evidence.coverage.grade
    problems = earns_everything(traced) if traced is not None else ["could not be graded"]
    yield from (Flaw("inputs", stem, f"the solution, traced, {problem}") for problem in problems)
    yield from (Flaw("inputs", stem, str(row)) for row in inputs.rows(evidence.task, evidence.coverage) if row.holes)


def _messages(evidence: Evidence) -> Iterator[Flaw]:
    """Which of them are others than before, and the places that they send a learner to."""
    task, mutants = evidence.task, list(evidence.mutants)
    kept = messages.read_golden(task)
    if kept and proof.stale(task) is None:  # the suite is the same: it is our doing
        for name in messages.difference(kept, mutants):
            yield Flaw("message", task.stem, f"mutant {name} reads something else than messages.txt of before")
    evidence.places, astray = messages.places(solution_text(task), mutants)
    if len(astray) > ASTRAY * evidence.places.total():
        yield from (Flaw("place", task.stem, text) for text in astray)


def earns_nothing(grade: TaskGrade) -> Iterator[str]:
    """A stub is calm: todo or skipped, and no points."""
    for outcome in grade.checks:
        if outcome.status not in (Status.TODO, Status.HELD, Status.SKIPPED):
            yield f"is {outcome.status} in {outcome.id} instead of todo: {_why(outcome)}"


def earns_everything(grade: TaskGrade) -> Iterator[str]:
    for outcome in grade.checks:
        if outcome.status is not Status.PASSED:
            yield f"is {outcome.status} in {outcome.id}: {_why(outcome)}"


def earns_sizes_only(grade: TaskGrade) -> Iterator[str]:
    """Answers of the right shape earn what constructors and sizes are worth."""
    yield from _earns_only(SIZES, grade)


def earns_no_points(grade: TaskGrade) -> Iterator[str]:
    yield from _earns_only((), grade)


def _earns_only(categories: Sequence[str], grade: TaskGrade) -> Iterator[str]:
    for outcome in grade.checks:
        if outcome.category not in categories and outcome.status is Status.PASSED:
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


def _dies(mutant: Mutant) -> Judge:
    def judge(grade: TaskGrade) -> Iterator[str]:
        failed = {out.id: out for out in grade.checks if out.status not in UNBLAMED}
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
