"""``data`` and ``doctor``: what is on this machine."""

from __future__ import annotations

import argparse

from torchgrade.course import Course
from torchgrade.grading.datasets import load_dataset
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode
from torchgrade.report.feedback_text import padded


def doctor(options: argparse.Namespace, course: Course) -> int:
    """Python, torch, cores, data sets, isolation; with a task, its reference solution run here."""
    from torchgrade.course_tools import doctor as examination

    rows = examination.doctor(options.task, options.device, options.isolation, course)
    print("\n".join(examination.lines(rows)))
    return examination.exit_code(rows)


def data(options: argparse.Namespace, course: Course) -> int:
    """The data sets, where they are looked for, and how to get the real ones."""
    for path in sorted((course.root / "datasets").glob("*.py")):
        module = load_dataset(path)
        if not hasattr(module, "catalogue"):
            continue
        facts = module.catalogue()
        print(f"{facts['name']:<14} {padded(_(facts['kind']), 10)} {padded(_(facts['status']), 9)} {_(facts['title'])}")
        print(f"{'':14} {facts['detail']}")
        if facts["status"] in ("absent", "damaged"):
            print(f"{'':14} {_('looked for in')}: {', '.join(facts['where'])}")
            print(f"{'':14} {_('to get it')}: {facts['get']}")
    return int(ExitCode.PASSED)
