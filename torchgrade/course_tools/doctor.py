"""``doctor``: what this machine has, what is missing, and how well a submission is confined here.

Each finding is a row: a name, what was found, whether that is well, and what to do if it is not. With a task named,
its reference solution is graded here too, so that "my machine" and "my code" can be told apart.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from torchgrade.course import Course, find_root
from torchgrade.errors import IsolationError, TorchGradeError
from torchgrade.hardware import cores
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode

OLDEST_PYTHON, OLDEST_TORCH = (3, 10), (2, 6)
LEAST_MEMORY_GB = 4.0


@dataclass(frozen=True)
class Diagnosis:
    """One finding. ``well``: None where there is nothing to judge."""

    name: str
    found: str
    well: bool | None = None
    advice: str = ""


def doctor(
    task: str | None = None, device: str = "cpu", isolation: str = "auto", course: Course | None = None
) -> list[Diagnosis]:
    """Look at this machine; with ``task`` grade its solution on ``device``. Never raises for what it finds."""
    course = course or Course.load(find_root(Path.cwd()))
    chosen = course.find(task) if task is not None else None
    sections: list[Callable[[], Iterator[Diagnosis]]] = [
        python_rows,
        machine_rows,
        lambda: device_rows(device),
        lambda: data_rows(course),
        lambda: isolation_rows(isolation, device, course),
    ]
    if chosen is not None:
        sections.append(lambda: solution_rows(course, chosen.stem, device, isolation))
    rows: list[Diagnosis] = []
    for section in sections:
        try:
            rows += section()
        except Exception as error:
            rows.append(Diagnosis(section.__name__, f"{type(error).__name__}: {error}", False, _("please report this")))
    return rows


def exit_code(rows: list[Diagnosis]) -> int:
    return int(ExitCode.BROKEN if any(row.well is False for row in rows) else ExitCode.PASSED)


def python_rows() -> Iterator[Diagnosis]:
    new = sys.version_info[:2] >= OLDEST_PYTHON
    yield Diagnosis(
        "Python", f"{platform.python_version()} ({sys.executable})", new, "" if new else _("3.10 or newer is needed")
    )
    for name in ("torch", "torchvision", "numpy"):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Diagnosis(name, _("not installed"), False, f"python -m pip install {name}")
            continue
        old = name == "torch" and tuple(int(part) for part in version.split(".")[:2]) < OLDEST_TORCH
        yield Diagnosis(name, version, not old, _("2.6 or newer is needed") if old else "")


def machine_rows() -> Iterator[Diagnosis]:
    yield Diagnosis(_("system"), f"{platform.system()} {platform.release()} ({platform.machine()})")
    load = f", {_('load')} {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    yield Diagnosis(_("cores"), f"{cores()}{load}")
    free = _memory_gb()
    if free is not None:
        enough = free >= LEAST_MEMORY_GB
        advice = "" if enough else _("a check may need 2 GB; close other programs")
        yield Diagnosis(_("memory"), _("{free:.1f} GB free").format(free=free), enough, advice)


def device_rows(device: str) -> Iterator[Diagnosis]:
    import torch

    if torch.backends.mps.is_available():
        yield Diagnosis("MPS", _("Apple's graphics processor answers"), True)
    elif device == "mps":
        yield Diagnosis("MPS", _("there is none"), False, _("leave out --device mps"))
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        yield Diagnosis("CUDA", f"{torch.version.cuda}: {', '.join(names)}", True)
    else:
        built = torch.version.cuda is not None
        why = _("torch has it, but no driver or GPU answers") if built else _("this torch is built without it")
        wanted = device.startswith("cuda")
        advice = _("install a torch with CUDA and the driver, or leave out --device cuda") if wanted else ""
        yield Diagnosis("CUDA", why, False if wanted else None, advice)


def data_rows(course: Course) -> Iterator[Diagnosis]:
    from torchgrade.grading.datasets import load_dataset

    for path in sorted((course.root / "datasets").glob("*.py")):
        module = load_dataset(path)
        if not hasattr(module, "catalogue"):
            continue
        facts: dict[str, Any] = module.catalogue()
        absent = facts["status"] in ("absent", "damaged")
        well = False if facts["status"] == "damaged" else None if absent else True
        yield Diagnosis(
            f"{_('data')}: {facts['name']}",
            f"{_(facts['status'])}, {facts['detail']}",
            well,
            facts["get"] if absent else "",
        )


def isolation_rows(isolation: str, device: str, course: Course) -> Iterator[Diagnosis]:
    """The level, what bounds memory, what a better level lacks, and the self-test in a real worker."""
    from torchgrade.isolation.launch import canaries
    from torchgrade.isolation.launch.launcher import open_launcher
    from torchgrade.isolation.launch.levels import NAMES

    with open_launcher(isolation, device, hidden=course.secret) as launcher:
        try:
            level, bound = launcher.level, launcher.memory_bound
        except IsolationError as error:
            yield Diagnosis(_("isolation"), _("does not hold"), False, str(error))
            return
        yield Diagnosis(
            _("isolation"), _("level {level} ({name})").format(level=level, name=NAMES[level]), level > 1 or None
        )
        for number, why in sorted(launcher.missing.items(), reverse=True):
            yield Diagnosis(_("level {level} lacks").format(level=number), why)
        yield Diagnosis(_("memory is bounded by"), {"cgroup": _("a control group")}.get(bound, _("a watch and limits")))
        if launcher.spawns:
            return
        findings = canaries.self_test(launcher)
        required = [finding for finding in findings if finding.required]
        breaches = [finding.canary.sentence for finding in findings if finding.breach]
        found = _("{stopped} of {all} attempts stopped").format(
            stopped=len(required) - len(breaches), all=len(required)
        )
        advice = (
            _("a submission can {what}: do not grade a class here").format(what="; ".join(breaches)) if breaches else ""
        )
        yield Diagnosis(_("self-test"), found, not breaches, advice)


def solution_rows(course: Course, stem: str, device: str, isolation: str) -> Iterator[Diagnosis]:
    """The reference solution's grade on this machine."""
    from torchgrade.grading.job import Options
    from torchgrade.grading.run import grade_tasks
    from torchgrade.submission import read_exercises

    task = course.find(stem)
    if not task.solution.is_file():
        yield Diagnosis(stem, _("its reference solution is not part of a learner's edition; the rest is judged above"))
        return
    submission = read_exercises(course.root / "solutions", (task,))
    try:
        options = Options(devices=(device,), isolation=isolation)
        grade = grade_tasks(course, submission, (task,), options, lambda event: None).tasks[0]
    except TorchGradeError as error:
        yield Diagnosis(stem, str(error), False)
        return
    well = grade.points == grade.max_points
    failed = [f"{check.title}: {check.status}" for check in grade.checks if check.status != "passed"]
    found = _("the reference solution earns {points:g} of {possible:g} in {seconds:.1f} s").format(
        points=grade.points, possible=grade.max_points, seconds=grade.seconds
    )
    yield Diagnosis(
        stem, found, well, "" if well else _("it is the machine, not your code: {what}").format(what="; ".join(failed))
    )


def _memory_gb() -> float | None:
    """Memory that programs could still have, in GB; None where the system does not say."""
    with contextlib.suppress(OSError, StopIteration):
        available = next(n for n in Path("/proc/meminfo").read_text().splitlines() if n.startswith("MemAvailable"))
        return int(available.split()[1]) / 2**20
    return None
