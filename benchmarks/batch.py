"""How fast a class is graded: ratios measured side by side in one run. ``python benchmarks/batch.py [--size N]``.

A class is made up (right, typical mistakes, stubs, crashes, exits, syntax errors, huge, empty; seeded) for the
miniature course, or for a task of the real one with ``--task``. Measured: submissions a minute against a fresh
``pytest`` process for each (some of the class, two at a time, between the batches), processor time against the time
inside checks and the two imports of torch (grader and zygote), two jobs against one (four batches of each, in turn; the
median of the four ratios), memory of one more grader, the rate from the first tenth to the last, and the coordinator's
memory. ``--long`` measures the last two only, which is quicker for thousands; ``--levels`` and ``--ray`` compare ways
of running a class instead. Prints a table; exits 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
ENVIRONMENT.pop("TORCHGRADE_COURSE", None)
TURNS = (1, 2, 2, 1, 1, 2, 2, 1)  # jobs: the machine's speed drifts from one batch to the next


@dataclass
class Run:
    """One batch: wall and processor seconds, for each submission its seconds inside checks and when it was finished,
    and memory in MB."""

    wall: float
    cpu: float
    checks: list[float]
    finished: list[float]
    coordinator_mb: float
    graders_mb: float


def make_class(folder: Path, solution: str, stub: str, stem: str, size: int, seed: int) -> None:
    """``size`` different submissions of every kind, none of which hangs: waiting is no work."""
    rng = random.Random(seed)
    kinds = {
        "right": 6, "stub": 2, "raises": 2, "exits": 1, "syntax": 1, "huge": 1, "empty": 1, "wrong": 4,
    }  # fmt: skip
    for number in range(size):
        kind = rng.choices(list(kinds), list(kinds.values()))[0]
        place = folder / f"s{number:05d}" / f"{stem}.py"
        place.parent.mkdir(parents=True)
        place.write_text(text_of(kind, solution, stub) + f"# {number}\n")


def text_of(kind: str, solution: str, stub: str) -> str:
    returns = [line for line in solution.splitlines() if line.strip().startswith("return ")]
    first = returns[0] if returns else ""
    indent = first[: len(first) - len(first.lstrip())]
    return {
        "right": solution, "stub": stub, "empty": "\n",
        "raises": solution.replace(first, f"{indent}raise ValueError('no')", 1),
        "exits": solution.replace(first, f"{indent}import os; os._exit(0)", 1),
        "syntax": solution + "\ndef broken(:\n",
        "huge": solution + "\nDATA = '" + "x" * 400_000 + "'\n",
        "wrong": solution.replace(" * ", " + ", 1),
    }[kind]  # fmt: skip


def batch(course: Path, submissions: Path, out: Path, jobs: int, *more: str, level: str = "standard") -> Run:
    """Run the command, watching the memory of its processes."""
    command = [sys.executable, str(ROOT / "grade.py"), "batch", str(submissions), "--out", str(out)]
    command += ["--jobs", str(jobs), "--seed", "7", *more]
    command += ["--i-trust-these-submissions"] if level == "process" else ["--isolation", level]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=course, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    finished: list[float] = []
    with watching(process.pid) as memory:
        for line in process.stdout or ():
            if line[:1].isdigit() and "/" in line.split()[0]:
                finished.append(time.perf_counter() - started)
        code = process.wait()
    wall = time.perf_counter() - started
    if code not in (0, 3):
        raise SystemExit(f"the batch ended with {code}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    db = sqlite3.connect(out / "gradebook.sqlite")
    each = "SELECT sum(json_extract(document, '$.seconds')) FROM outcomes GROUP BY grading ORDER BY grading"
    checks = [seconds for (seconds,) in db.execute(each)]
    db.close()
    return Run(wall, cpu, checks, finished, memory["coordinator"], memory["all"] - memory["coordinator"])


@contextmanager
def watching(pid: int) -> Iterator[dict[str, float]]:
    """Peaks of proportional memory in MB: of the coordinator, and of it with all below it."""
    peak = {"coordinator": 0.0, "all": 0.0}
    done = threading.Event()

    def look() -> None:
        pause = 0.5
        while not done.wait(pause):
            started = time.perf_counter()
            peak["coordinator"] = max(peak["coordinator"], pss(pid))
            peak["all"] = max(peak["all"], sum(pss(one) for one in family(pid)))
            pause = max(0.5, 50 * (time.perf_counter() - started))  # looking takes time from who is looked at

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found, pending = [], [pid]
    while pending:
        one = pending.pop()
        found.append(one)
        pending += children.get(one, [])
    return found


def pss(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def pair_of_fresh(courses: list[Path], submission: Path, stem: str) -> float:
    """Seconds until two fresh pytest processes, side by side, have run the same checks on one submission, each in
    process and in a course of its own. Plugins that happen to be installed stay out: one of them takes two seconds."""
    environment = {**ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    processes = []
    started = time.perf_counter()
    for course in courses:
        shutil.copyfile(submission, course / "solutions" / f"{stem}.py")
        command = [sys.executable, "-m", "pytest", "-q", str(course / "graders" / stem / "checks.py")]
        processes.append(subprocess.Popen(command, cwd=course, env=environment, stdout=subprocess.DEVNULL))
    for process in processes:
        process.wait()
    return time.perf_counter() - started


def pair_of_imports() -> float:
    """Processor time of ``import torch`` in two fresh interpreters side by side, as a grader and its zygote start."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "import torch, os; os._exit(0)"]
    for process in [subprocess.Popen(command, env=ENVIRONMENT) for _ in range(2)]:
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def report(rows: list[tuple[str, float, str, bool]]) -> int:
    """Print the table; 1 when something missed its limit."""
    print("| measured | value | limit | |\n|---|---|---|---|")
    for name, value, limit, good in rows:
        print(f"| {name} | {value:.3g} | {limit} | {'ok' if good else 'MISSED'} |")
    return int(not all(good for *_, good in rows))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--sample", type=int, default=8, help="submissions for fresh pytest processes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--task", default=None, help="a task of the real course instead of the miniature one")
    parser.add_argument("--long", action="store_true", help="only what may grow with the class, in one batch")
    parser.add_argument("--levels", action="store_true", help="compare isolation strict with process instead")
    parser.add_argument("--ray", action="store_true", help="compare Ray on two nodes with two local jobs instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        course, stem = prepare(folder, options.task)
        solution = (course / "solutions" / f"{stem}.py").read_text()
        stub = (course / "exercises" / f"{stem}.py").read_text()
        make_class(folder / "class", solution, stub, stem, options.size, options.seed)
        if options.levels:
            return report(levels(course, folder, stem))
        if options.ray:
            return report(on_ray(course, folder, stem))
        if options.long:
            return report(growth([batch(course, folder / "class", folder / "out", 2, "--task", stem)]))
        runs: dict[int, list[Run]] = {1: [], 2: []}
        fresh: list[float] = []
        imports: list[float] = []
        courses = [shutil.copytree(course, folder / f"fresh{n}" / "course") for n in range(2)]
        sample = random.Random(options.seed).sample(sorted((folder / "class").glob("*/*.py")), options.sample)
        for turn, jobs in enumerate(TURNS):
            fresh += [pair_of_fresh(courses, submission, stem) for submission in sample[turn :: len(TURNS)]]
            imports.append(pair_of_imports())
            runs[jobs].append(batch(course, folder / "class", folder / f"out{turn}", jobs, "--task", stem))
    return report(figures(runs[1], runs[2], statistics.fmean(fresh), statistics.fmean(imports)))


def levels(course: Path, folder: Path, stem: str) -> list[tuple[str, float, str, bool]]:
    """What confinement costs a class: submissions a minute at level 3 against level 1, in turn."""
    rates: dict[str, list[float]] = {"strict": [], "process": []}
    for turn in range(4):
        level = ("strict", "process", "process", "strict")[turn]
        out = folder / f"{level}{turn}"
        rates[level].append(steady(batch(course, folder / "class", out, 2, "--task", stem, level=level)))
    ratio = in_turn(rates["strict"], rates["process"])
    return [
        ("submissions a minute at level 3", 60 * statistics.fmean(rates["strict"]), "-", True),
        ("level 3 / level 1", ratio, ">= 0.9", ratio >= 0.9),
    ]


def on_ray(course: Path, folder: Path, stem: str) -> list[tuple[str, float, str, bool]]:
    """The same class on a Ray cluster of two nodes with one core each, and with two local jobs, in turn."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    rates: dict[str, list[float]] = {"ray": [], "local": []}
    for turn, kind in enumerate(("ray", "local", "local", "ray")):
        more = ("--ray", cluster.address) if kind == "ray" else ()
        run = batch(course, folder / "class", folder / f"{kind}{turn}", 2, "--task", stem, *more)
        rates[kind].append(steady(run))
    cluster.shutdown()
    ratio = in_turn(rates["ray"], rates["local"])
    return [
        ("submissions a minute on Ray", 60 * statistics.fmean(rates["ray"]), "-", True),
        ("Ray, two nodes / two local jobs", ratio, ">= 0.8", ratio >= 0.8),
    ]


def prepare(folder: Path, task: str | None) -> tuple[Path, str]:
    """A copy of the course to measure, with the fixtures that a plain pytest run needs."""
    course = folder / "course"
    course.mkdir()
    source = ROOT / "tests" / "mini" if task is None else ROOT
    for part in ("course.yaml", "solutions", "exercises", "graders", "datasets"):
        copy = shutil.copytree if (source / part).is_dir() else shutil.copy2
        if (source / part).exists():
            copy(source / part, course / part)
    shutil.copy2(ROOT / "benchmarks" / "plain_conftest.py", course / "graders" / "conftest.py")
    stems = sorted(path.stem for path in (course / "solutions").glob("*.py"))
    return course, next(stem for stem in stems if stem.startswith(task or "task01"))


def figures(one: list[Run], two: list[Run], fresh: float, imports: float) -> list[tuple[str, float, str, bool]]:
    """Every number with its limit, from runs with one job and with two. Rates are taken from the second tenth on:
    starting up is paid once."""
    rate = statistics.fmean(map(steady, two))
    faster = in_turn([steady(run) for run in two], [steady(run) for run in one])
    cpu, inside = sum(run.cpu for run in one), sum(sum(run.checks) for run in one)
    overhead = cpu / (inside + len(one) * imports)
    speed = fresh / 2 * rate  # a pair took so long
    more_mb = statistics.fmean(run.graders_mb for run in two) - statistics.fmean(run.graders_mb for run in one)
    return [
        ("submissions a minute, two jobs", 60 * rate, "-", True),
        ("times as many as fresh pytest processes", speed, ">= 25", speed >= 25),
        ("processor time / time inside checks and imports", overhead, "<= 1.25", overhead <= 1.25),
        ("processor time / time inside checks alone", cpu / inside, "-", True),
        ("two jobs / one job", faster, ">= 1.8", faster >= 1.8),
        ("MB more for the second job", more_mb, "<= 120", more_mb <= 120),
        *growth(one),
    ]


def growth(runs: list[Run]) -> list[tuple[str, float, str, bool]]:
    """What must not grow with a class; the time inside checks tells how much faster or slower the machine became."""
    tenth = max(len(runs[0].finished) // 10, 1)
    early = sum(run.finished[2 * tenth - 1] - run.finished[tenth - 1] for run in runs)
    late = sum(run.finished[-1] - run.finished[-tenth - 1] for run in runs)
    machine = sum(sum(run.checks[-tenth:]) for run in runs) / sum(sum(run.checks[tenth : 2 * tenth]) for run in runs)
    coordinator = max(run.coordinator_mb for run in runs)
    return [
        ("coordinator, MB", coordinator, "<= 300", coordinator <= 300),
        ("last tenth / second tenth, seconds each", late / early, "<= 1.10", late <= 1.1 * early),
        ("the same of the time inside checks", machine, "-", True),
        ("submissions", float(len(runs[0].finished)), "-", True),
    ]


def in_turn(rates: list[float], others: list[float]) -> float:
    """How many times ``others``: of batches that ran one beside the other, as the machine's speed drifts meanwhile."""
    return statistics.median(rate / other for rate, other in zip(rates, others, strict=True))


def steady(run: Run) -> float:
    """Submissions a second after the first tenth."""
    tenth = max(len(run.finished) // 10, 1)
    return (len(run.finished) - tenth) / (run.finished[-1] - run.finished[tenth - 1])


if __name__ == "__main__":
    sys.exit(main())
