"""``stubs`` and ``verify``: what an author and CI ask for."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from torchgrade.commands.learner import may_replace, put_stub, tell_kept
from torchgrade.course import Course
from torchgrade.course_tools.stubs import is_stub, stub_text
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode

SHOWN = 5  # samples that come out otherwise, of one function


def stubs(options: argparse.Namespace, course: Course) -> int:
    """Write exercises/ from solutions/, with the question and the copy that ``reset`` makes."""
    stale = []
    for task in course.select(options.tasks):
        text = stub_text(task)
        if is_stub(task, text):
            continue
        stale.append(task)
        if options.check:
            print(_("{name} is not the stub of its solution").format(name=f"exercises/{task.stub.name}"))
        elif may_replace(task, ask=not options.yes):
            tell_kept(put_stub(task, text))
            print(_("{name} written").format(name=f"exercises/{task.stub.name}"))
    return int(ExitCode.NOT_YET if stale and options.check else ExitCode.PASSED)


def translate(options: argparse.Namespace, course: Course) -> int:
    """Write the catalogues of a language with today's texts, compile them, and tell what is translated."""
    from torchgrade.course_tools import translations as catalogues

    language, problems = options.language, 0
    for part in catalogues.parts(course, language):
        if not options.check:
            catalogues.update(part, language)
        found = catalogues.coverage(part, language)
        print(f"{found.name:<8} {found.translated:>4}/{found.texts}")
        for problem in found.problems:
            print(f"         {problem}")
        problems += len(found.problems)
    if not options.check:
        catalogues.compile_engine()
        catalogues.compile_course(course)
    return int(ExitCode.NOT_YET if problems else ExitCode.PASSED)


def verify(options: argparse.Namespace, course: Course) -> int:
    from torchgrade.commands.grade import run_options
    from torchgrade.course_tools.proof import due
    from torchgrade.course_tools.verify import verify_tasks

    if options.mutate:
        return _mutate(options, course)
    if options.inputs:
        return _inputs(options, course)
    if options.contract:
        return _contract(options, course)
    if options.samples:
        return _samples(options, course)
    tasks = course.select(options.tasks)
    if options.due is not None:
        found = due(tasks, options.due, options.budget)
        tasks = found.tasks
        for task in found.left:
            _count(_("{task}: changed, and left to another time: no room in the budget").format(task=task.stem), True)
    settings, again = run_options(options), options.all or options.due is not None
    false = 0
    for line in verify_tasks(course, tasks, settings, _count, options.repeat, options.only, again):
        print(line, flush=True)
        false += line.kind == "fact"
    if not false:
        print(_("every fact holds"))
    return int(ExitCode.NOT_YET if false else ExitCode.PASSED)


def _inputs(options: argparse.Namespace, course: Course) -> int:
    """What reached each function of the reference, and what never did."""
    from torchgrade.commands.grade import run_options
    from torchgrade.course_tools import inputs
    from torchgrade.grading.pool import Pool

    settings = run_options(options)
    with Pool.local(course.root, settings.jobs) as pool:
        for task in course.select(options.tasks):
            print("\n".join(inputs.table(task, inputs.rows(task, inputs.trace(pool, task, settings)))), flush=True)
    return int(ExitCode.PASSED)


def _contract(options: argparse.Namespace, course: Course) -> int:
    """Grade broken contracts with two seeds; what both, or one of them, do not see is a line."""
    from torchgrade.commands.grade import run_options
    from torchgrade.course_tools.contract import survey
    from torchgrade.grading.pool import Pool

    settings, unexplained = run_options(options), 0
    with Pool.local(course.root, settings.jobs) as pool:
        for task in course.select(options.tasks):
            found = survey(pool, task, settings, options.max, options.only)
            words = _("{task}: {total} broken contracts, {explained} explained, {share:.1%} of the rest seen")
            facts = {"total": found.total, "explained": found.explained, "share": found.share}
            print(words.format(task=task.stem, **facts), flush=True)
            for kind, names in ((_("unseen"), found.unseen), (_("seen by luck"), found.by_luck)):
                for name in names:
                    print(f"  {kind}  {name}", flush=True)
            unexplained += len(found.unseen) + len(found.by_luck)
    return int(ExitCode.NOT_YET if unexplained else ExitCode.PASSED)


def _samples(options: argparse.Namespace, course: Course) -> int:
    """What the references make of PyTorch's own samples; each that comes out otherwise is a line."""
    from torchgrade.course_tools.samples import sampled

    false = 0
    for found in sampled(course.select(options.tasks)):
        words = _("{task}: {function} as {like}: {equal} samples equal, {outside} outside, {differs} differ")
        names = {"task": found.task, "function": found.function, "like": found.like, "equal": found.equal}
        facts = {"outside": sum(found.outside.values()), "differs": len(found.differs)}
        print(words.format(**names, **facts), flush=True)
        for reason, count in found.outside.items():
            print(f"  {count:>5}  {reason}")
        for text in found.differs[:SHOWN]:
            print(f"         {text}", flush=True)
        false += not found.holds
    return int(ExitCode.NOT_YET if false else ExitCode.PASSED)


def _mutate(options: argparse.Namespace, course: Course) -> int:
    """Grade machine-made mutants; every survivor without a reason is a line."""
    from torchgrade.commands.grade import run_options
    from torchgrade.course_tools.mutate import mutate
    from torchgrade.grading.pool import Pool

    unexplained = 0
    settings = run_options(options)
    with Pool.local(course.root, settings.jobs) as pool:
        for task in course.select(options.tasks):
            score = mutate(pool, task, settings, options.max, options.only)
            explained = sum(reason is not None for _name, reason in score.survivors)
            words = _("{task}: {killed} of {total} killed, {explained} equivalent, {share:.1%} of the rest")
            facts = {"killed": score.killed, "total": score.total, "explained": explained, "share": score.share}
            print(words.format(task=task.stem, **facts), flush=True)
            for name, reason in score.survivors:
                if reason is None:
                    unexplained += 1
                    print(f"  survives  {name}", flush=True)
    return int(ExitCode.NOT_YET if unexplained else ExitCode.PASSED)


def _count(line: str, stands: bool) -> None:
    """Lines that stand; where somebody looks on, also those that the next one replaces."""
    if stands or sys.stderr.isatty():
        print(line, end="\n" if stands else "\r", file=sys.stderr, flush=True)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def calibrate(options: argparse.Namespace, course: Course) -> int:
    """Measure, propose, store: one line for each statistic, and one for each sabotage that it does not see."""

    from torchgrade.commands.grade import run_options
    from torchgrade.course_tools import calibrate as tool
    from torchgrade.course_tools.thresholds import propose
    from torchgrade.grading.calibration import environment
    from torchgrade.grading.pictures import write_bands

    if options.table:
        print("\n".join(row for task in course.select(options.tasks) for row in tool.table_of(task)))
        return int(ExitCode.PASSED)
    given = run_options(options)
    given = replace(given, data="generated" if given.data == "auto" else given.data)
    for task in course.select(options.tasks):
        entries = {}
        made = tool.made_of(task, environment())
        found, bands = tool.calibrate(course, task, options.runs, given, made, _tell)
        for name, seen in sorted(found.items()):
            proposal = propose(seen, seen.tries)
            entries[name] = tool.entry_of(proposal, seen, given.data, made, seen.tries)
            words = _(
                "{task} {name}: {side} {threshold:g}, margin {margin:.1f} sd, "
                "false reject {reject:.1e}, false accept {accept:.1e}"
            )
            side = _("floor") if proposal.is_floor else _("ceiling")
            facts = {"reject": proposal.false_reject, "accept": proposal.false_accept, "margin": proposal.margin_sd}
            print(words.format(task=task.stem, name=name, side=side, threshold=proposal.threshold, **facts))
            for sabotage in proposal.unseen:
                print("  " + _("does not see {sabotage}; give it a direct check").format(sabotage=sabotage))
        for name in bands:
            print(_("{task} {name}: the band of {runs} runs").format(task=task.stem, name=name, runs=options.runs))
        if not entries and not bands:
            print(_("{task}: no check records a statistic").format(task=task.stem))
        if entries and not options.dry_run:
            tool.write_entries(task.folder / "calibration.json", entries)
        if bands and not options.dry_run:
            write_bands(task.folder / "curves.json", bands)
    return int(ExitCode.PASSED)
