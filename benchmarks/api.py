"""How fast a program grades through ``torchgrade.Grader``, beside the batch. ``python benchmarks/api.py [--size N]``.

The class of ``benchmarks/batch.py`` goes through ``Grader.grade_many``, through ``serve-jsonl`` and through the batch,
in turn, with the same jobs and at the same level. Measured: submissions a minute for each job after the first tenth, so
that no start-up counts, and each way as a ratio to the batch beside it. Prints a table; exits 1 where a way is slower
than the limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from batch import ENVIRONMENT, ROOT, batch, in_turn, make_class, prepare, report, steady

sys.path.insert(0, str(ROOT))
LIMIT = 0.9  # of the batch, which also keeps a gradebook
TURNS = 4


def rate(moments: Iterable[float]) -> float:
    """Submissions a second after the first tenth, as ``steady`` counts those of a batch."""
    seen = list(moments)
    tenth = max(len(seen) // 10, 1)
    return (len(seen) - tenth) / (seen[-1] - seen[tenth - 1])


def by_api(course: Path, texts: list[str], stem: str, jobs: int) -> float:
    from torchgrade import Grader

    with Grader(course, jobs=jobs, isolation="standard") as grader:
        return rate(time.perf_counter() for _ in grader.grade_many((text, stem) for text in texts))


def by_lines(course: Path, texts: list[str], stem: str, jobs: int) -> float:
    command = [sys.executable, str(ROOT / "grade.py"), "serve-jsonl", "--jobs", str(jobs), "--isolation", "standard"]
    asked = "".join(
        json.dumps({"id": number, "task": stem, "source": text}) + "\n" for number, text in enumerate(texts)
    )
    with tempfile.TemporaryFile("w+") as requests:
        requests.write(asked)
        requests.seek(0)
        process = subprocess.Popen(
            command, cwd=course, env=ENVIRONMENT, stdin=requests, stdout=subprocess.PIPE, text=True
        )
        found = rate(time.perf_counter() for _ in process.stdout or ())
        if process.wait() != 0:
            raise SystemExit("serve-jsonl did not end well")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--task", default=None, help="a task of the real course instead of the miniature one")
    options = parser.parse_args()
    rates: dict[str, list[float]] = {"batch": [], "Grader": [], "serve-jsonl": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        course, stem = prepare(folder, options.task)
        solution, stub = ((course / part / f"{stem}.py").read_text() for part in ("solutions", "exercises"))
        make_class(folder / "class", solution, stub, stem, options.size, seed=1)
        texts = [path.read_text() for path in sorted((folder / "class").glob("*/*.py"))]
        for turn in range(TURNS):
            for way in list(rates)[:: 1 if turn % 2 == 0 else -1]:
                if way == "batch":
                    run = batch(course, folder / "class", folder / f"out{turn}", options.jobs, "--task", stem)
                    rates[way].append(steady(run))
                else:
                    measure = by_api if way == "Grader" else by_lines
                    rates[way].append(measure(course, texts, stem, options.jobs))
    rows = [
        (f"submissions a minute and job, {way}", 60 * statistics.fmean(found) / options.jobs, "-", True)
        for way, found in rates.items()
    ]
    for way in ("Grader", "serve-jsonl"):
        ratio = in_turn(rates[way], rates["batch"])
        rows.append((f"{way} / batch", ratio, f">= {LIMIT}", ratio >= LIMIT))
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())
