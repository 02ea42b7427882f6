"""``calibrate``: floors from statistics. The solution and its sabotaged mutants are graded with many seeds; what
their checks record becomes two distributions, a threshold between them, and the rates of both errors (thresholds.py).
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torchgrade.course import Course, Task, content_hash
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
from torchgrade.suites import read_suite


def entry_of(proposal: Proposal, seen: Distributions, data: str, made: Mapping[str, str], tries: int) -> Any:
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


def made_of(task: Task, environment: Mapping[str, str]) -> dict[str, str]:
    """What the runs of a statistic depend on: ``code`` stands for the submissions, their data and what records."""
    suite = read_suite(task)
    places = [task.solution, task.folder / "mutants.yaml", task.probes, *(task.folder / "alternatives").glob("*.py")]
    places += [task.root / "datasets" / f"{name}.py" for name in task.manifest.data]
    recording = [ast.get_source_segment(suite.text, check.node) or "" for check in suite.checks if check.records]
    digest = hashlib.sha256("\0".join([content_hash(sorted(places)), *recording]).encode())
    return {"code": digest.hexdigest()[:16], **environment}


def stale(task: Task, environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each stored threshold whose runs would not come back with their seeds."""
    now = made_of(task, environment)
    for name, entry in _stored(task).items():
        made = entry.get("made", {})
        changed = [key for key in now if made.get(key) != now[key]]
        if changed:
            what = ", ".join(f"{key} was {made.get(key, 'not stored')}, is {now[key]}" for key in changed)
            yield f"the runs behind {name!r} are stale ({what}); run: python grade.py calibrate {task.stem}"


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
    course: Course, task: Task, runs: int, options: Options, tell: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, Distributions], dict[str, dict[str, Any]]]:
    """Grade solution, alternatives and sabotaged mutants with ``runs`` seeds.

    Returns the values that their checks record, and the band that the solution's curves keep to, both by name.
    ``tell`` gets a line for each value, as it is known.
    """
    variants = list(_variants(task))
    only = tuple(check.name for check in read_suite(task).checks if check.records)
    jobs: list[Job] = []
    owners: list[tuple[str, str]] = []
    for name, kind, text in variants:
        for number in range(runs):
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
            owners.append((name, kind))
    found: dict[str, Distributions] = {}
    curves: dict[str, list[dict[str, list[float]]]] = {}
    with Pool.local(course.root, min(options.jobs, len(jobs))) as pool:
        for event in whole_runs(pool.events(jobs)):
            name, kind = owners[event.job]
            if isinstance(event, Fault):
                raise CourseError(f"{task.stem}: a run could not be graded: {event.message}")
            if isinstance(event, Recorded) and belongs(event.name, options.data):
                seen = found.setdefault(event.name, Distributions(tries=event.tries))
                values = seen.reference if kind == "reference" else getattr(seen, kind).setdefault(name, [])
                values.append(event.value)
                tell(f"{task.stem} {event.name} {event.value:.4g}  {name}")
            if isinstance(event, PictureShown) and kind == "reference" and belongs(event.picture["name"], options.data):
                picture = event.picture
                if picture["kind"] == "curves":
                    curves.setdefault(picture["name"], []).append(picture["series"])
    return found, {name: band_of(drawn) for name, drawn in curves.items()}


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
    """Whether a statistic is one of ``data``: of a real set its name ends in @real, the others are drawn anyway."""
    return data != "real" or name.endswith("@real")


def _variants(task: Task) -> Iterator[tuple[str, str, str]]:
    yield "solution", "reference", solution_text(task)
    for name, text in read_alternatives(task).items():
        yield name, "alternatives", text
    for mutant in read_mutants(task):
        if mutant.sabotage:
            yield mutant.name, "sabotaged", mutant.text
