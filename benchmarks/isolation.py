"""What confinement costs, as ratios measured in one run: `python benchmarks/isolation.py [--endurance 1000]`.

    start       request to first answer, against `import torch` in a fresh interpreter
    ahead       the same with a worker that was started before it was needed
    compute     the same work at level 3 and at level 1, in turn
    throughput  jobs (start, load, five calls, end) at level 3 and at level 1, in turn
    endurance   many jobs in a row, one in five hostile: what is left behind

Wall seconds on a busy machine say little: compare the ratios, and look at the load that is printed with them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402

from torchgrade.isolation.confine import watch  # noqa: E402
from torchgrade.isolation.launch.launcher import Launcher, Limits, WorkerProcess, open_launcher  # noqa: E402
from torchgrade.isolation.remote.line import WorkerLine  # noqa: E402
from torchgrade.isolation.remote.proxy import RemoteSubmission, connect  # noqa: E402
from torchgrade.isolation.worker import snippet  # noqa: E402
from torchgrade.submission import Source  # noqa: E402

SOURCE = Source("task.py", {"task.py": b"import torch\n\ndef scale(x, factor=2.0):\n    return x * factor\n"})
SNIPPET = "torchgrade.isolation.worker.snippet:serve"
LIMITS = Limits()
WORK = {
    "512 x 512 matmul": "a @ a",
    "training step": "train()",
    "40 MB allocation": "torch.ones(10 * 2**20)",
}
SETUP = """
import os, time, torch
a = torch.randn(512, 512)
net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))
x = torch.randn(32, 64)
def train():
    net.zero_grad()
    net(x).square().mean().backward()
"""
TIME = """
def measure():
    best = []
    for _ in range({repeats}):
        start = time.perf_counter()
        {work}
        best.append(time.perf_counter() - start)
    return sorted(best)[len(best) // 4]
measure()
answer = measure()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--endurance", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, torch {torch.__version__}")
    importing = import_torch()
    print(f"{'import torch':<28} {importing * 1e3:8.0f} ms")
    with open_launcher("auto") as strict, open_launcher("process") as process:
        print(f"best level here: {strict.level}, memory bounded by {strict.memory_bound}")
        start(strict, options.jobs, importing)
        compute(strict, process)
        throughput(strict, process, options.jobs)
    if options.endurance:
        endurance(options.endurance)
    sys.stdout.flush()
    os._exit(0)


def import_torch(times: int = 3) -> float:
    """Seconds of a fresh interpreter that imports torch; the least of some."""
    command = [sys.executable, "-c", "import torch, os; os._exit(0)"]
    return min(_seconds(lambda: subprocess.run(command, check=True)) for _ in range(times))


def start(launcher: Launcher, jobs: int, importing: float) -> None:
    """From the request to the first answer, cold and with a worker ahead."""
    first_call(launcher.start(LIMITS))  # the zygote is up
    cold = [_seconds(lambda: first_call(launcher.start(LIMITS))) for _ in range(jobs)]
    ahead = []
    for _ in range(jobs):
        worker = launcher.start(LIMITS)
        ahead.append(_seconds(lambda worker=worker: first_call(worker)))
    for name, seconds in (("request to first answer", cold), ("with a worker ahead", ahead)):
        low, middle = min(seconds), statistics.median(seconds)
        print(f"{name:<28} {low * 1e3:8.1f} ms least, {middle * 1e3:8.1f} ms median", end="")
        print(f"  = {low / importing:.3f} and {middle / importing:.3f} of import torch")


def first_call(worker: WorkerProcess, calls: int = 1) -> None:
    """Load a submission, call it, end it (the end is quick, and is part of a job)."""
    line = WorkerLine(worker, LIMITS)
    client = connect(line)
    client.load("task", SOURCE, None)
    submission = RemoteSubmission(client)
    x = torch.ones(4, 4)
    for _ in range(calls):
        assert torch.equal(submission.scale(x, 3.0), x * 3.0)
    line.close()


def compute(inside: Launcher, outside: Launcher, rounds: int = 24) -> None:
    """The same work in both, in turn; the ratio is the median of the rounds', for the machine changes its speed."""
    workers = [launcher.start(LIMITS, serve=SNIPPET) for launcher in (inside, outside)]
    for name, work in WORK.items():
        text = SETUP + TIME.format(repeats=20, work=work)
        times: list[list[float]] = [[], []]
        for turn in range(rounds):
            for side in (0, 1) if turn % 2 else (1, 0):
                times[side].append(snippet.ask(workers[side].socket, text, 120))
        within, without = (statistics.median(kept) for kept in times)
        ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
        print(f"{name:<28} {within * 1e3:8.3f} ms inside, {without * 1e3:8.3f} ms at level 1: {ratio:.3f}")
    for worker in workers:
        worker.close()


def throughput(strict: Launcher, process: Launcher, jobs: int) -> None:
    """Whole jobs for a minute of each, in turn."""

    def job(launcher: Launcher) -> None:
        first_call(launcher.start(LIMITS), calls=5)

    times: list[list[float]] = [[], []]
    for _ in range(jobs):
        for kept, launcher in zip(times, (strict, process), strict=True):
            kept.append(_seconds(lambda launcher=launcher: job(launcher)))
    within, without = (statistics.median(kept) for kept in times)
    print(f"{'a whole job':<28} {within * 1e3:8.1f} ms at level {strict.level}, {without * 1e3:8.1f} ms at level 1")


def endurance(jobs: int) -> None:
    """``jobs`` in a row, every fifth hostile; memory, descriptors and processes before and after."""
    from hostile.harness import Arena
    from hostile.payloads import FAMILIES

    slow = {"busy_children", "drip", "notes", "recursion", "endless", "flood", "many_files"}
    hostile = [p for family in FAMILIES.values() for p in family if p.name not in slow and p.seconds > 1.5]
    with Arena("auto") as arena:
        zygote = arena.targets["zygote"]
        seen = []
        failed: list[str] = []
        for number in range(jobs):
            if number % 5 == 4:
                payload = hostile[number // 5 % len(hostile)]
                verdict = arena.run(payload)
                failed += [] if verdict.stopped or payload.level > arena.level else [f"{payload.name}: {verdict.how}"]
            else:
                first_call(arena.launcher.start(LIMITS))
            if number in (jobs // 10, jobs - 1):
                tree = watch.tree(zygote)
                kept = [pid for pid in tree if watch.running(pid)]
                rows = [watch._anonymous_mb(os.getpid()), sum(watch._pss_mb(pid) or 0 for pid in kept)]
                seen.append((*rows, len(os.listdir("/proc/self/fd")), len(kept)))
        for name, before, after in zip(("grader MB", "zygote MB", "descriptors", "processes"), *seen, strict=True):
            print(f"after {jobs // 10} and {jobs} jobs: {name:<12} {before:8.1f} {after:8.1f}")
        print(f"hostile jobs that were not stopped: {failed or 'none'}")


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
