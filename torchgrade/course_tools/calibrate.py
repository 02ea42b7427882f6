"""``calibrate``: floors from statistics. The solution and its sabotaged mutants are graded with many seeds; what
their checks record becomes two distributions, a threshold between them, and the rates of both errors (thresholds.py).
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torchgrade.course import Course, Task
from torchgrade.course_tools.thresholds import Distributions, Proposal
from torchgrade.course_tools.variants import read_alternatives, read_mutants, solution_text
from torchgrade.errors import CourseError
from torchgrade.grading.calibration import CALIBRATION_SCHEMA
from torchgrade.grading.events import Event, Fault, Graded, PictureShown, Recorded, Retried
from torchgrade.grading.job import Job, Options
from torchgrade.grading.pictures import band_of
from torchgrade.grading.pool import Pool
from torchgrade.grading.seeds import derive
from torchgrade.submission import Source
from torchgrade.suites import bound_in, read_suite, used_in

SOLUTION = "solution"
SABOTAGED_RUNS = 8  # at most: they lie far off, and only right submissions are promised anything
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def entry_of(proposal: Proposal, seen: Distributions, data: str, made: Mapping[str, Any], tries: int) -> Any:
    """One entry of calibration.json; ``made``: what the runs depend on."""
    return {
        "floor" if proposal.is_floor else "ceiling": proposal.threshold,
        "runs": _plain(seen.reference),
        "alternatives": {name: _plain(values) for name, values in sorted(seen.alternatives.items())},
        "sabotaged": {name: _plain(values) for name, values in sorted(seen.sabotaged.items())},
        "unseen": list(proposal.unseen),
        "false_reject": float(f"{proposal.false_reject:.1e}"),
        "false_accept": float(f"{proposal.false_accept:.1e}"),
        "margin_sd": round(proposal.margin_sd, 1),
        "tries": tries,
        "data": data,
        "made": dict(made),
        "runs_count": len(seen.reference),
    }


def made_of(task: Task, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the runs of a task's statistics depend on. ``check`` stands for what records them, with its probes and data
    sets, ``code`` has each submission by its name; no comment, docstring or other check counts."""
    suite = read_suite(task)
    recording = [part for check in suite.checks if check.records for part in suite.used_by(check.node)]
    probes = ast.parse(task.probes.read_text(encoding="utf-8") if task.probes.is_file() else "")
    bound = bound_in(probes)
    asked = [bound[name] for name in dict.fromkeys(_probes_of(recording)) if name in bound]
    data = [ast.parse((task.root / "datasets" / f"{name}.py").read_text("utf-8")) for name in task.manifest.data]
    code = {name: _digest([ast.parse(text)]) for name, text in _variants(task).items()}
    return {**environment, "check": _digest([*recording, *used_in(asked, bound), *data]), "code": code}


def _probes_of(parts: Iterable[ast.AST]) -> Iterator[str]:
    """The names after ``submission.probes``."""
    for node in (node for part in parts for node in ast.walk(part)):
        if isinstance(node, ast.Attribute) and getattr(node.value, "attr", "") == "probes":
            yield node.attr


def _digest(parts: Iterable[ast.AST]) -> str:
    """Of what the parts do: docstrings and comments left out."""
    texts = []
    for part in parts:
        for node in ast.walk(part):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        texts.append(ast.unparse(part))
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def stale(task: Task, environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each stored threshold whose runs would not come back with their seeds, or lack a submission."""
    now = made_of(task, environment)
    for name, entry in _stored(task).items():
        told = [
            f"{key} was {entry['made'].get(key, 'not stored')}, is {now[key]}"
            for key in (*environment, "check")
            if entry["made"].get(key) != now[key]
        ]
        code = entry["made"].get("code", {})
        told += [f"{which} was changed or added" for which in now["code"] if code.get(which) != now["code"][which]]
        told += [f"{which} is gone" for which in code if which not in now["code"]]
        if told:
            yield f"the runs behind {name!r} are stale ({', '.join(told)}); run: python grade.py calibrate {task.stem}"


def _stored(task: Task) -> dict[str, Any]:
    path = task.folder / "calibration.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: entry for name, entry in entries.items() if name != "schema"}


def table_of(task: Task) -> list[str]:
    """The stored thresholds of a task as rows of Markdown: what right and sabotaged runs reached, and the rates."""
    return [_row(task, name, entry) for name, entry in _stored(task).items()]


def _row(task: Task, name: str, entry: Mapping[str, Any]) -> str:
    is_floor = "floor" in entry
    threshold = f"≥ {entry['floor']:g}" if is_floor else f"≤ {entry['ceiling']:g}"
    right = [value for values in (entry["runs"], *entry["alternatives"].values()) for value in values]
    wrong = [v for key, values in entry["sabotaged"].items() if key not in entry["unseen"] for v in values]
    cells = (
        task.short,
        name,
        threshold,
        f"{min(right):.3g} … {max(right):.3g}",
        f"{min(wrong):.3g} … {max(wrong):.3g}" if wrong else "",
        f"{entry['false_reject']:.0e}",
        f"{entry['false_accept']:.0e}",
        f"{entry['margin_sd']:g}",
    )
    return f"| {' | '.join(cells)} |"


def _plain(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def write_entries(path: Path, entries: Mapping[str, Any]) -> None:
    """Put entries into calibration.json; the others stay."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    merged = {"schema": CALIBRATION_SCHEMA, **{k: v for k, v in stored.items() if k != "schema"}, **entries}
    lines = [f"  {json.dumps(name)}: {_indented(value)}" for name, value in merged.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _indented(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{\n" + ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n  }"


def calibrate(
    course: Course,
    task: Task,
    runs: int,
    options: Options,
    made: Mapping[str, Any],
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[dict[str, Distributions], dict[str, dict[str, Any]]]:
    """Grade solution and alternatives with ``runs`` seeds, sabotaged mutants with ``SABOTAGED_RUNS`` at most.

    Returns the values that their checks record, and the band that the solution's curves keep to, both by name. What
    is stored of a submission stays where it depends on what is ``made`` now, and has as many runs; what was run before
    the end of an earlier calibration is not run again.
    ``tell`` gets a line for each value, as it is known.
    """
    kept = _kept(task, runs, options.data, made)
    variants = [(name, text) for name, text in _variants(task).items() if name not in kept]
    found = {name: _stored_runs(entry, kept) for name, entry in _stored(task).items() if belongs(name, options.data)}
    only = tuple(check.name for check in read_suite(task).checks if check.records)
    jobs: list[Job] = []
    owners: list[str] = []
    for name, text in variants:
        for number in range(_runs_of(name, runs)):
            seed = derive(options.seed, "calibrate", number) % (1 << 31)
            source = Source(f"{task.stem}.py", {f"{task.stem}.py": text.encode()})
            jobs.append(
                options.job(
                    len(jobs),
                    task.stem,
                    source,
                    memory_mb=task.manifest.memory_mb,
                    seed=seed,
                    measuring=True,
                    pictures=True,
                    only=only,
                )
            )
            owners.append(name)
    curves: dict[str, list[dict[str, list[float]]]] = {}

    def take(name: str, run: Run) -> None:
        for statistic, value, tries in run["recorded"]:
            seen = found.setdefault(statistic, Distributions())
            seen.tries = tries
            seen.of(name).append(value)
            tell(f"{task.stem} {statistic} {value:.4g}  {name}")
        for picture, series in run["curves"] if name == SOLUTION else ():
            curves.setdefault(picture, []).append(series)

    known = KeptRuns(task, made)
    of_before = {job.id: run for job in jobs if (run := known.of(owners[job.id], job)) is not None}
    for number, run in of_before.items():
        take(owners[number], run)
    missing = [job for job in jobs if job.id not in of_before]
    with Pool.local(course.root, max(1, min(options.jobs, len(missing)))) as pool:
        for number, told in itertools.groupby(whole_runs(pool.events(missing)), key=lambda event: event.job):
            run = _run_of(task, list(told), options.data)
            known.keep(owners[number], jobs[number], run)
            take(owners[number], run)
    return found, {name: band_of(drawn) for name, drawn in curves.items()}


Run = dict[str, Any]  # "recorded": name, value and tries of each statistic; "curves": name and series of each


def _run_of(task: Task, told: Iterable[Recorded | PictureShown | Fault], data: str) -> Run:
    """What one run told of the statistics of ``data``."""
    run: Run = {"recorded": [], "curves": []}
    for event in told:
        if isinstance(event, Fault):
            raise CourseError(f"{task.stem}: a run could not be graded: {event.message}")
        if isinstance(event, Recorded):
            if belongs(event.name, data):
                run["recorded"].append([event.name, event.value, event.tries])
        elif event.picture["kind"] == "curves" and belongs(event.picture["name"], data):
            run["curves"].append([event.picture["name"], event.picture["series"]])
    return run


class KeptRuns:
    """The runs of a calibration that did not come to its end, in ``.torchgrade/runs``: a line of JSON for each, written
    at once. A run is known as long as what it depends on is the same."""

    def __init__(self, task: Task, made: Mapping[str, Any]) -> None:
        self._made = made
        self._place = task.root / ".torchgrade" / "runs" / f"{task.stem}.jsonl"
        lines = self._place.read_text(encoding="utf-8").splitlines() if self._place.is_file() else []
        self._known: dict[str, Run] = {}
        for line in lines:
            with contextlib.suppress(ValueError):  # of a process that was killed
                self._known.update([json.loads(line)])

    def of(self, name: str, job: Job) -> Run | None:
        return self._known.get(self._basis(name, job))

    def keep(self, name: str, job: Job, run: Run) -> None:
        with contextlib.suppress(OSError):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with self._place.open("a", encoding="utf-8") as file:
                file.write(json.dumps([self._basis(name, job), run]) + "\n")

    def _basis(self, name: str, job: Job) -> str:
        """Of the run of the submission ``name`` with the seed of the job."""
        others = {key: value for key, value in self._made.items() if key != "code"}
        what = json.dumps([others, self._made["code"][name], job.seed, job.data, job.devices], sort_keys=True)
        return hashlib.sha256(what.encode()).hexdigest()[:16]


def _runs_of(name: str, runs: int) -> int:
    return min(runs, SABOTAGED_RUNS) if name.startswith("sabotaged/") else runs


def _kept(task: Task, runs: int, data: str, made: Mapping[str, Any]) -> set[str]:
    """The submissions with as many runs in every stored entry, made of what is there today."""
    kept = set(made["code"])
    entries = [entry for name, entry in _stored(task).items() if belongs(name, data)]
    for entry in entries:
        same = {key: value for key, value in entry["made"].items() if key != "code"}
        code = entry["made"].get("code", {}) if same == {k: v for k, v in made.items() if k != "code"} else {}
        seen = _stored_runs(entry, code)
        kept = {
            name for name in kept if code.get(name) == made["code"][name] and len(seen.of(name)) >= _runs_of(name, runs)
        }
    return kept if entries else set()


def _stored_runs(entry: Mapping[str, Any], names: Collection[str]) -> Distributions:
    """What is stored of the submissions ``names``."""
    seen = Distributions(tries=entry["tries"])
    stored = {SOLUTION: entry["runs"]}
    for kind in ("alternatives", "sabotaged"):
        stored |= {f"{kind}/{name}": values for name, values in entry[kind].items()}
    for name in stored.keys() & set(names):
        seen.of(name).extend(stored[name])
    return seen


def whole_runs(events: Iterable[Event]) -> Iterator[Recorded | PictureShown | Fault]:
    """What each run told, once it has ended: of a run that was tried again only what the last try told."""
    told: dict[int, list[Recorded | PictureShown]] = {}
    for event in events:
        if isinstance(event, (Recorded, PictureShown)):
            told.setdefault(event.job, []).append(event)
        elif isinstance(event, Retried):
            told.pop(event.job, None)
        elif isinstance(event, Graded):
            yield from told.pop(event.job, [])
        elif isinstance(event, Fault):
            yield event


def belongs(name: str, data: str) -> bool:
    """Whether a statistic is one of ``data``: that of a real set ends in @real, the others are drawn beside it."""
    return name.endswith("@real") == (data == "real")


def _variants(task: Task) -> dict[str, str]:
    """The submissions to calibrate with: the solution, ``alternatives/NAME`` and ``sabotaged/NAME``."""
    alternatives = {f"alternatives/{name}": text for name, text in read_alternatives(task).items()}
    sabotaged = {f"sabotaged/{mutant.name}": mutant.text for mutant in read_mutants(task) if mutant.sabotage}
    return {SOLUTION: solution_text(task), **alternatives, **sabotaged}
