"""How long a learner waits: ratios measured side by side in one run. ``python benchmarks/latency.py [--runs N]``.

Every figure is a median over alternating runs, so that the machine's moods fall on both sides of each ratio. Limits
in seconds are meant for a machine that imports torch in one second: what was measured is divided by that import, taken
in the same run. Prints a table, and exits 1 when a figure is above its limit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

PYTHON = sys.executable
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def seconds(command: list[str], cwd: Path = ROOT) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def import_torch() -> float:
    return seconds([PYTHON, "-c", "import torch"])


def graded(*tasks: str) -> tuple[float, float]:
    """Wall seconds of the command, and the seconds that its checks took."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        wall = seconds([PYTHON, "grade.py", *tasks, "--solutions", "--jobs", "1", "--json", file.name])
        result = json.loads(Path(file.name).read_text())
    return wall, sum(check["seconds"] for task in result["tasks"] for check in task["checks"])


def command_line(*arguments: str) -> float:
    return seconds([PYTHON, "grade.py", *arguments])


def alternate(runs: int, *measures: Callable[[], float]) -> list[float]:
    """The medians of the measures, taken in turn."""
    taken = [[measure() for measure in measures] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def cold_start(runs: int) -> float:
    """Cold ``grade.py task07`` less what its checks compute, to ``import torch``."""

    def overhead() -> float:
        wall, checks = graded("task07")
        return wall - checks

    ours, theirs = alternate(runs, overhead, import_torch)
    return ours / theirs


def further_task(runs: int) -> float:
    """Seconds that a second task adds beyond what its checks compute."""

    def one() -> float:
        wall, checks = graded("task05")
        return wall - checks

    def two() -> float:
        wall, checks = graded("task05", "task07")
        return wall - checks

    single, double = alternate(runs, one, two)
    return double - single


def light(runs: int, *arguments: str) -> float:
    ours, theirs = alternate(runs, lambda: command_line(*arguments), import_torch)
    return ours / theirs


def in_chinese(runs: int, *arguments: str) -> float:
    """With the catalogues of engine and course, to English."""
    languages = (partial(command_line, "--lang", language, *arguments) for language in ("zh_CN", "en"))
    ours, theirs = alternate(runs, *languages)
    return ours / theirs


def calls(runs: int) -> tuple[float, float, float]:
    """Milliseconds of a 1 KB call, a 100 MB call as a ratio to a copy of it, MB of one more idle worker."""
    import torch

    from torchgrade.isolation.confine import watch
    from torchgrade.isolation.launch.launcher import Limits, open_launcher
    from torchgrade.isolation.remote.line import WorkerLine
    from torchgrade.isolation.remote.proxy import RemoteSubmission, connect
    from torchgrade.submission import Source

    torch.set_num_threads(1)
    source = Source("echo.py", {"echo.py": b"def echo(x):\n    return x\n"})
    with open_launcher() as launcher:
        process = launcher.start(Limits())
        client = connect(WorkerLine(process, Limits()))
        client.load("echo", source, None)
        client.begin(1, 600.0)
        echo = RemoteSubmission(client).echo
        small, large = torch.ones(256), torch.ones(25_000_000)

        def held() -> float:
            return watch.MemoryWatch().own_mb(os.getpid())

        def timed(function: Callable[[], object], times: int) -> float:
            started = time.perf_counter()
            for _ in range(times):
                function()
            return (time.perf_counter() - started) / times

        timed(lambda: echo(small), 200)
        little = min(timed(lambda: echo(small), 500) for _ in range(runs))
        pairs = [(timed(lambda: echo(large), 3), timed(large.clone, 3)) for _ in range(runs)]
        ratio = statistics.median(there for there, _ in pairs) / statistics.median(copy for _, copy in pairs)
        before = held()
        more = [launcher.start(Limits()) for _ in range(3)]  # with the fifth, all would move to huge pages
        memory = (held() - before) / len(more)
        for worker in [*more, process]:
            worker.kill()
    return 1000 * little, ratio, memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    small, large, memory = calls(runs)
    slow = statistics.median(import_torch() for _ in range(runs))  # 1.0 on the machine that the limits are meant for
    rows = [
        ("`grade.py task07`, cold, less its checks, to `import torch`", cold_start(runs), 1.6, "×"),
        ("each further task beyond its checks", further_task(runs) / slow, 0.3, "s"),
        ("`grade.py list` to `import torch`", light(runs, "list"), 0.25, "×"),
        ("`grade.py hint task07` to `import torch`", light(runs, "hint", "task07"), 0.25, "×"),
        ("`grade.py --help` to `import torch`", light(runs, "--help"), 0.25, "×"),
        (
            "`grade.py task07`, cold, in Chinese to English",
            in_chinese(runs, "task07", "--solutions", "--jobs", "1"),
            1.05,
            "×",
        ),
        ("`grade.py list`, in Chinese to English", in_chinese(runs, "list"), 1.05, "×"),
        ("a remote call with 1 KB", small / slow, 0.3, "ms"),
        ("a remote call with 100 MB, there and back, to a copy of it", large, 3.0, "×"),
        ("one more worker, before it does anything (PSS)", memory, 80.0, "MB"),
    ]
    print(f"`import torch`: {slow:.2f} s. Figures in s and ms are divided by it.\n")
    print("| what | measured | at most |")
    print("|---|---|---|")
    for what, value, limit, unit in rows:
        print(f"| {what} | {value:.2f} {unit} | {limit:g} {unit} |")
    return int(any(value > limit for _, value, limit, _ in rows))


if __name__ == "__main__":
    sys.exit(main())
