"""The options of the commands for instructors. Imports nothing heavy: ``--help`` must feel like ``ls``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from torchgrade.hardware import DEVICES
from torchgrade.i18n import translate as _

Lazy = Callable[[str, str], object]
_RESULTS = Path("results")


def add_class(commands: argparse._SubParsersAction[argparse.ArgumentParser], lazy: Lazy) -> None:
    """Add the commands for a class and for its course. ``lazy(module, name)`` is the command."""
    _add_batch(commands, lazy)
    _add_people(commands, lazy)
    similar = commands.add_parser("similar", help=_("compare what learners wrote in the gaps; no verdict"))
    similar.add_argument("--task", action="append", dest="tasks", metavar="TASK", help=_("only this task; repeatable"))
    similar.add_argument("--pairs", type=int, default=30, metavar="N", help=_("how many pairs a task (default 30)"))
    _add_out(similar)
    similar.set_defaults(run=lazy("torchgrade.commands.instructor", "similar"))
    cohorts = commands.add_parser("cohorts", help=_("sections, or the classes of several years, side by side"))
    cohorts.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help=_("folder with a gradebook"))
    _add_out(cohorts)
    cohorts.set_defaults(run=lazy("torchgrade.commands.cohorts", "cohorts"))
    serve = commands.add_parser("serve-jsonl", help=_("grade what other programs send, a line of JSON each"))
    serve.add_argument("--jobs", type=int, default=0, metavar="N", help=_("side by side (default: the cores)"))
    serve.add_argument("--device", choices=(*DEVICES, "all"), default="cpu")
    serve.add_argument("--isolation", choices=("auto", "strict", "standard", "process"), default="auto")
    serve.add_argument("--timeout-scale", type=float, default=1.0, metavar="X", help=_("multiply all time limits"))
    serve.set_defaults(run=lazy("torchgrade.commands.serve", "serve"))
    release = commands.add_parser("release", help=_("write the learner's edition: no solutions, no hidden checks"))
    release.add_argument("folder", type=Path, metavar="DIR")
    kind = release.add_mutually_exclusive_group()
    kind.add_argument("--actions", action="store_true", help=_("with a workflow that grades every push on GitHub"))
    kind.add_argument("--gradescope", action="store_true", help=_("an autograder.zip for Gradescope instead"))
    asked = release.add_mutually_exclusive_group()
    asked.add_argument("--task", action="append", dest="tasks", metavar="TASK", help=_("with --gradescope: only this"))
    asked.add_argument("--homework", metavar="NAME", help=_("with --gradescope: the tasks of this homework"))
    release.add_argument("--with-solutions", action="store_true", help=_("sealed: each opens when its task has passed"))
    release.add_argument("--language", metavar="LANGUAGE", help=_("of the edition, stubs and all, such as zh_CN"))
    release.set_defaults(run=lazy("torchgrade.commands.instructor", "release"))
    autograde = commands.add_parser("autograde", help=_("grade one hand-in in Gradescope's folders"))
    autograde.add_argument("root", type=Path, metavar="DIR", help=_("with source/, submission/ and results/"))
    autograde.add_argument("--isolation", choices=("auto", "strict", "standard", "process"), default="auto")
    autograde.set_defaults(run=lazy("torchgrade.commands.autograde", "autograde"))


def _add_batch(commands: argparse._SubParsersAction[argparse.ArgumentParser], lazy: Lazy) -> None:
    batch = commands.add_parser("batch", help=_("grade a class and write marks, feedback and a page"))
    batch.add_argument("submissions", type=Path, metavar="SUBMISSIONS", help=_("a folder, or one archive of all"))
    batch.add_argument(
        "--task", action="append", dest="tasks", metavar="TASK", help=_("only this task; repeatable; `all`: the course")
    )
    batch.add_argument("--homework", metavar="NAME", help=_("the tasks that course.yaml lists under this name"))
    batch.add_argument("--roster", type=Path, metavar="FILE", help=_("CSV or .xlsx with id, name, e-mail, section"))
    batch.add_argument("--teams", type=Path, metavar="FILE", help=_("CSV with team and member: one hand-in for all"))
    batch.add_argument(
        "--canvas-column", "--blackboard-column", action="append", dest="columns", metavar="HEADING",
        help=_("where the total goes in the platform's gradebook; `task07=HEADING` for one task; repeatable"),
    )  # fmt: skip
    batch.add_argument("--plan", action="store_true", help=_("show file, person and task, and end"))
    batch.add_argument("--yes", action="store_true", help=_("grade although people or files are in doubt"))
    batch.add_argument("--pattern", metavar="REGEX", help=_("path to (?P<student>…), also task, attempt, date, file"))
    batch.add_argument(
        "--attempt", choices=("last", "best", "all"), default="", help=_("which attempts are graded, of every task")
    )
    _add_grading(batch)
    batch.set_defaults(run=lazy("torchgrade.commands.batch", "batch"))
    regrade = commands.add_parser("regrade", help=_("after a grader was mended: grade again, list what changed"))
    regrade.add_argument("--task", action="append", dest="tasks", metavar="TASK", help=_("only this task; repeatable"))
    _add_grading(regrade)
    regrade.set_defaults(run=lazy("torchgrade.commands.batch", "regrade"))


def _add_people(commands: argparse._SubParsersAction[argparse.ArgumentParser], lazy: Lazy) -> None:
    override = commands.add_parser("override", help=_("set a student's points by hand"))
    override.add_argument("student", metavar="STUDENT", help=_("key, id, e-mail or name; or a team"))
    override.add_argument("task", metavar="TASK")
    override.add_argument("points", metavar="POINTS", help=_("a number, or `none` to withdraw"))
    override.add_argument("--why", required=True, metavar="TEXT")
    _add_out(override)
    override.set_defaults(run=lazy("torchgrade.commands.people", "override"))
    mark = commands.add_parser("mark", help=_("points and comments by hand, for one part or by a sheet for many"))
    mark.add_argument("student", metavar="STUDENT", nargs="?", help=_("key, id, e-mail or name; or a team"))
    mark.add_argument("task", metavar="TASK", nargs="?", help=_("or `all`: a comment on the whole hand-in"))
    mark.add_argument("part", metavar="PART", nargs="?", help=_("a question, question/2 of its rubric, or a check"))
    mark.add_argument("--points", metavar="POINTS", help=_("a number, or `none` to withdraw"))
    mark.add_argument("--comment", metavar="TEXT", help=_("the student reads it"))
    mark.add_argument("--alike", action="store_true", help=_("all whose answers are equal, together"))
    sheets = mark.add_mutually_exclusive_group()
    sheets.add_argument("--write", type=Path, metavar="FILE", help=_("a sheet to fill in: marking.csv"))
    sheets.add_argument("--read", type=Path, metavar="FILE", help=_("take what a sheet says; a blank changes nothing"))
    mark.add_argument("--task", action="append", dest="tasks", metavar="TASK", help=_("in the sheet; repeatable"))
    mark.add_argument("--plan", action="store_true", help=_("show what would be new, and end"))
    mark.add_argument("--yes", action="store_true", help=_("replace different marks within a group"))
    mark.add_argument("--checks", action="store_true", help=_("in the sheet: also checks that cost points"))
    _add_out(mark)
    mark.set_defaults(run=lazy("torchgrade.commands.marking", "mark"))
    extend = commands.add_parser("extend", help=_("more time for a student"))
    extend.add_argument("student", metavar="STUDENT", nargs="?", help=_("key, id, e-mail or name; or a team"))
    extend.add_argument("what", metavar="TASK", nargs="?", help=_("a task or a homework that has a deadline"))
    extend.add_argument("until", metavar="UNTIL", nargs="?", help=_("a date, a time, `2 days`, or `none` to withdraw"))
    extend.add_argument("--why", default="", metavar="TEXT")
    extend.add_argument("--read", type=Path, metavar="FILE", help=_("CSV with student, what, until and why"))
    _add_out(extend)
    extend.set_defaults(run=lazy("torchgrade.commands.marking", "extend"))
    explain = commands.add_parser("explain", help=_("everything that led to a mark, and a reply to the student"))
    explain.add_argument("student", metavar="STUDENT", help=_("key, id, e-mail or name"))
    explain.add_argument("task", metavar="TASK", nargs="?", help=_("without it: a page of the whole history"))
    _add_out(explain)
    explain.set_defaults(run=lazy("torchgrade.commands.explain", "explain"))
    assign = commands.add_parser("assign", help=_("give a file to a student for a task, and grade it"))
    assign.add_argument("file", metavar="FILE", help=_("as in unmatched.csv"))
    assign.add_argument("student", metavar="STUDENT", help=_("key, id, e-mail or name"))
    assign.add_argument("task", metavar="TASK")
    _add_grading(assign)
    assign.set_defaults(run=lazy("torchgrade.commands.people", "assign"))
    merge = commands.add_parser("merge", help=_("two entries are one person: hand-ins and decisions follow"))
    merge.add_argument("student", metavar="STUDENT", help=_("the entry that goes"))
    merge.add_argument("into", metavar="INTO", help=_("the entry that stays; its hand-ins are the later ones"))
    _add_out(merge)
    merge.set_defaults(run=lazy("torchgrade.commands.people", "merge"))
    rename = commands.add_parser("rename", help=_("another id or name for a student"))
    rename.add_argument("student", metavar="STUDENT")
    rename.add_argument("new", metavar="ID", nargs="?", help=_("the new id"))
    rename.add_argument("--name", metavar="NAME", help=_("the new name"))
    _add_out(rename)
    rename.set_defaults(run=lazy("torchgrade.commands.people", "rename"))
    remove = commands.add_parser("remove", help=_("take a student out of the class"))
    remove.add_argument("student", metavar="STUDENT")
    _add_out(remove)
    remove.set_defaults(run=lazy("torchgrade.commands.people", "remove"))


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, default=_RESULTS, metavar="RESULTS", help=_("folder of the gradebook and all outputs")
    )


def _add_grading(parser: argparse.ArgumentParser) -> None:
    _add_out(parser)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--anonymous", action="store_true", default=None, help=_("pseudonyms in all but the platforms' exports")
    )
    shown.add_argument("--named", action="store_false", dest="anonymous", help=_("names again"))
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help=_("side by side (default: the cores)"))
    parser.add_argument("--gpu-jobs", type=int, default=1, metavar="N", help=_("side by side on one GPU (default 1)"))
    parser.add_argument("--device", choices=(*DEVICES, "all"), default="cpu")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help=_("of the inputs (default: secret, kept)"))
    parser.add_argument("--fresh", action="store_true", help=_("grade again what is known"))
    parser.add_argument("--timeout-scale", type=float, default=1.0, metavar="X", help=_("multiply all time limits"))
    parser.add_argument("--data", choices=("auto", "generated", "real"), default="auto")
    parser.add_argument("--isolation", choices=("strict", "standard"), default="strict")
    parser.add_argument("--i-trust-these-submissions", action="store_true", help=_("a process each, and nothing more"))
    parser.add_argument(
        "--ray", nargs="?", const="auto", default=None, metavar="ADDRESS", help=_("run on a Ray cluster")
    )
