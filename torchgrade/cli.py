"""The command line: argv in, text and an exit code out. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from torchgrade import __version__
from torchgrade.commands.class_options import add_class
from torchgrade.course import Course, find_root
from torchgrade.errors import CourseError, TorchGradeError, UnknownTask, UsageError, not_at_hand
from torchgrade.hardware import DEVICES
from torchgrade.i18n import LANGUAGE, lend_to_gettext, read_course, translate_built
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode

Command = Callable[[argparse.Namespace, Course], int]


def main(argv: Sequence[str] | None = None, home: str | None = None) -> int:
    """Run one command; the exit code is ``model.ExitCode``. ``home``: the checkout to use where no course is around."""
    open_what_is_closed()
    own_what_is_written()
    replace_what_cannot_be_shown()
    arguments = choose_language(list(sys.argv[1:] if argv is None else argv))
    try:
        here = Course.load(find_root(Path.cwd(), Path(home) if home else None))
        read_course(here.root, here.language)
        course: Course | TorchGradeError = here
    except (UsageError, CourseError) as error:
        course = error  # --help and --version need none
    lend_to_gettext()
    parser = build_parser(for_learners=isinstance(course, Course) and course.for_learners)
    names = command_names(parser)
    implied = not set(arguments[:1]) & {*names, "-h", "--help", "--version"}
    if implied:
        arguments.insert(0, "grade")
    options, unknown = parser.parse_known_args(arguments)
    try:
        if not isinstance(course, Course) and not getattr(options, "anywhere", False):
            raise course
        if unknown:
            if isinstance(course, Course):  # a mistyped command was taken for a task: say that
                course.select(getattr(options, "tasks", None) or ())
            parser.error(_("unrecognized arguments: {words}").format(words=" ".join(unknown)))
        return int(options.run(options, course))
    except UnknownTask as error:
        return complain(translate_built(str(error)) + meant(error, names if implied else set()), ExitCode.USAGE)
    except UsageError as error:
        return complain(translate_built(str(error)), ExitCode.USAGE)
    except TorchGradeError as error:
        return complain(translate_built(str(error)), ExitCode.BROKEN)
    except KeyboardInterrupt:
        return complain(_("stopped; nothing is left running"), ExitCode.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader has left; say nothing at exit either
        return int(ExitCode.NOT_YET)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return complain(_("what is told cannot be written: {reason}").format(reason=error.strerror), ExitCode.USAGE)
        if error.filename is None:
            raise
        return complain(translate_built(str(not_at_hand(error))), ExitCode.USAGE)


def choose_language(arguments: list[str]) -> list[str]:
    """The arguments without ``--lang zh_CN``, which holds for all that is printed, ``--help`` too."""
    words = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    words.add_argument("--lang")
    try:
        chosen, rest = words.parse_known_args(arguments)
    except SystemExit:
        return arguments
    if chosen.lang:
        os.environ[LANGUAGE] = chosen.lang
    return rest


def open_what_is_closed() -> None:
    """A job of the system may begin without input and output; what is opened next must not take their place."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w", closefd=False))


def own_what_is_written() -> None:
    """A umask such as 777 keeps a command's files from the command itself; one that keeps others out is obeyed."""
    os.umask(os.umask(0o077) & 0o077)


def replace_what_cannot_be_shown() -> None:
    """A terminal or a file of a narrower encoding gets a question mark, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def meant(error: UnknownTask, commands: set[str]) -> str:
    """What the name was perhaps to be: a task, or one of ``commands`` where one may stand."""
    near = error.near or get_close_matches(error.name, commands)
    if near:
        return _("; did you mean {names}?").format(names=_(" or ").join(near))
    return _("; --help lists the commands") if commands else ""


def complain(sentence: str, code: ExitCode) -> int:
    print(f"grade.py: {sentence}", file=sys.stderr)
    return int(code)


class _Parser(argparse.ArgumentParser):
    """With the language's own colon behind a heading, which argparse writes itself."""

    def format_help(self) -> str:
        def heading(found: re.Match[str]) -> str:
            return _("{heading}:").format(heading=found[1])

        return re.sub(r"^(\S.*):$", heading, super().format_help(), flags=re.MULTILINE)


def build_parser(for_learners: bool = False) -> argparse.ArgumentParser:
    """All commands, or those that a learner's edition has."""
    parser: argparse.ArgumentParser = _Parser(
        prog="grade.py",
        description=_("Grade the course. Without a command: what has changed, or the tasks and tracks that are named."),
        epilog=_("Exit codes: 0 everything passed, 1 not yet, 2 usage or unreadable input, 3 our own fault."),
    )
    parser.add_argument("--lang", metavar="LANGUAGE", help=_("of all that is told, such as zh_CN or en"))
    parser.add_argument("--version", action="version", version=f"torchgrade {__version__}",
                        help=_("show program's version number and exit"))  # fmt: skip
    commands = parser.add_subparsers(title=_("commands"), metavar="COMMAND", dest="command")
    _add_grade(commands)
    _add_learner(commands)
    _add_machine(commands)
    _add_edition(commands)
    if not for_learners:
        _add_author(commands)
        add_class(commands, _lazy)
    return parser


def command_names(parser: argparse.ArgumentParser) -> set[str]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name for action in actions for name in action.choices}


def _add_grade(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    grade = commands.add_parser("grade", help=_("grade tasks (the default command)"))
    grade.add_argument(
        "tasks", nargs="*", metavar="TASK", help=_("task07, also with a function or words of a check, or a track")
    )
    grade.add_argument("--all", action="store_true", help=_("without TASK: also what has not changed since"))
    source = grade.add_mutually_exclusive_group()
    source.add_argument("--submission", type=Path, metavar="PATH", help=_("a file, a folder or an archive"))
    source.add_argument("--solutions", action="store_true", help=_("grade solutions/ instead of exercises/"))
    add_run_options(grade)
    grade.add_argument("--json", metavar="PATH", help=_("write the result as JSON; - is standard output"))
    grade.add_argument("--junit", type=Path, metavar="PATH", help=_("write the result as JUnit XML"))
    grade.add_argument("--save", type=Path, metavar="DIR", help=_("draw curves, key points, images that differ as PNG"))
    grade.add_argument(
        "--actions",
        action="store_true",
        help=_("annotations and a summary for GitHub Actions; what is begun must pass"),
    )
    grade.add_argument("--no-color", action="store_true")
    grade.add_argument("-q", "--quiet", action="store_true", help=_("points and next step only"))
    grade.add_argument("-v", "--verbose", action="store_true", help=_("every check in full"))
    grade.add_argument("--debug", action="store_true", help=_("run in this process, for breakpoint(); not recorded"))
    grade.add_argument("--pdb", action="store_true", help=_("as --debug, and stop where the code raised"))
    grade.set_defaults(run=_lazy("torchgrade.commands.grade", "grade"))


def add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=(*DEVICES, "all"), default="cpu")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help=_("seed of the hidden inputs"))
    parser.add_argument("--timeout-scale", type=positive, default=1.0, metavar="X", help=_("multiply all time limits"))
    parser.add_argument("--jobs", type=int, default=0, metavar="N", help=_("tasks side by side (default: the cores)"))
    parser.add_argument("--isolation", choices=("auto", "strict", "standard", "process"), default="auto")
    parser.add_argument("--data", choices=("auto", "generated", "real"), default="auto")


def _add_learner(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listing = commands.add_parser("list", help=_("titles, points and your best grade so far"))
    listing.set_defaults(run=_lazy("torchgrade.commands.learner", "list_tasks"))
    watch = commands.add_parser("watch", help=_("grade whenever you save"))
    watch.add_argument("task", nargs="?", metavar="TASK", help=_("where to begin (default: the file saved last)"))
    add_run_options(watch)
    watch.add_argument("--no-color", action="store_true")
    watch.add_argument("--plain", action="store_true", help=_("lines instead of a screen; keys are read as lines"))
    watch.set_defaults(run=_lazy("torchgrade.commands.watch.command", "watch"))
    hint = commands.add_parser("hint", help=_("one more hint each time, for what fails first; never the code"))
    hint.add_argument("task", metavar="TASK")
    hint.add_argument("number", nargs="?", type=int, metavar="N", help=_("the Nth once more"))
    hint.add_argument("--seen", action="store_true", help=_("all that were shown, once more"))
    hint.set_defaults(run=_lazy("torchgrade.commands.learner", "hint"))
    progress = commands.add_parser("progress", help=_("what was solved when, in how many tries; stays on this machine"))
    progress.add_argument("task", nargs="?", metavar="TASK", help=_("of one task: each check"))
    progress.add_argument("--html", type=Path, metavar="PATH", help=_("write one page"))
    progress.add_argument("--pictures", type=Path, metavar="DIR", help=_("with --html: what --save has drawn there"))
    progress.set_defaults(run=_lazy("torchgrade.commands.progress", "progress"))
    compare = commands.add_parser("compare", help=_("yours beside the reference, once a task is complete"))
    compare.add_argument("task", metavar="TASK")
    compare.add_argument("names", nargs="*", metavar="NAME", help=_("only these functions or classes"))
    compare.add_argument("--no-run", action="store_true", help=_("without measuring times and memory"))
    compare.add_argument("--no-color", action="store_true")
    add_run_options(compare)
    compare.set_defaults(run=_lazy("torchgrade.commands.compare", "compare"))
    reset = commands.add_parser("reset", help=_("back to the stub; the old file is kept beside it"))
    reset.add_argument("task", metavar="TASK")
    reset.add_argument("-y", "--yes", action="store_true", help=_("do not ask"))
    reset.set_defaults(run=_lazy("torchgrade.commands.learner", "reset"))


def _add_author(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    texts = commands.add_parser("translate", help=_("bring the catalogues of a language up to date"))
    texts.add_argument("language", metavar="LANGUAGE", help=_("such as zh_CN"))
    texts.add_argument("--check", action="store_true", help=_("only tell what is translated, and what is wrong"))
    texts.set_defaults(run=_lazy("torchgrade.commands.author", "translate"))
    stubs = commands.add_parser("stubs", help=_("write exercises/ from solutions/"))
    stubs.add_argument("tasks", nargs="*", metavar="TASK")
    stubs.add_argument("--check", action="store_true", help=_("verify instead of writing"))
    stubs.add_argument("-y", "--yes", action="store_true", help=_("do not ask; a file that is replaced is kept beside"))
    stubs.set_defaults(run=_lazy("torchgrade.commands.author", "stubs"))
    verify = commands.add_parser("verify", help=_("prove the course: stubs, solutions, mutants, alternatives"))
    verify.add_argument("tasks", nargs="*", metavar="TASK")
    add_run_options(verify)
    verify.add_argument("--all", action="store_true", help=_("prove again what is proved already"))
    verify.add_argument(
        "--due", nargs="?", const="", metavar="REF", help=_("prove what changed since a Git revision, and some others")
    )
    verify.add_argument(
        "--budget", type=positive, default=600.0, metavar="S", help=_("with --due: processor seconds (default 600)")
    )
    verify.add_argument("--repeat", type=int, default=0, metavar="N", help=_("solutions and alternatives with N seeds"))
    verify.add_argument("--inputs", action="store_true", help=_("only show what the checks send to each function"))
    verify.add_argument("--contract", action="store_true", help=_("grade broken contracts and list the unseen ones"))
    verify.add_argument("--mutate", action="store_true", help=_("grade machine-made mutants and list the survivors"))
    verify.add_argument("--samples", action="store_true", help=_("run the solutions on PyTorch's own sample inputs"))
    verify.add_argument("--max", type=int, default=None, metavar="N", help=_("at most N mutants of a task"))
    verify.add_argument("--only", default="", metavar="TEXT", help=_("only cases that have this in their name"))
    calibrate = commands.add_parser("calibrate", help=_("measure reference and sabotaged runs; propose floors"))
    calibrate.add_argument("tasks", nargs="+", metavar="TASK")
    calibrate.add_argument("--runs", type=int, default=20, metavar="N", help=_("seeds (default 20)"))
    calibrate.add_argument("--table", action="store_true", help=_("only print what is stored, as a table"))
    calibrate.add_argument("--dry-run", action="store_true", help=_("print, and leave calibration.json as it is"))
    add_run_options(calibrate)
    calibrate.set_defaults(run=_lazy("torchgrade.commands.author", "calibrate"))
    verify.set_defaults(run=_lazy("torchgrade.commands.author", "verify"))


def _add_machine(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser("doctor", help=_("is it this machine, or is it the code?"))
    doctor.add_argument("task", nargs="?", metavar="TASK", help=_("run this task's reference solution here"))
    doctor.add_argument("--device", choices=DEVICES, default="cpu")
    doctor.add_argument("--isolation", choices=("auto", "strict", "standard", "process"), default="auto")
    doctor.set_defaults(run=_lazy("torchgrade.commands.machine", "doctor"))
    data = commands.add_parser("data", help=_("which data sets are here, and how to get the real ones"))
    data.set_defaults(run=_lazy("torchgrade.commands.machine", "data"))


def _add_edition(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = commands.add_parser("init", help=_("make a learner's course in a new folder"))
    init.add_argument("folder", type=Path, metavar="DIR")
    init.add_argument("-q", "--quiet", action="store_true", help=_("do not look at the machine"))
    init.set_defaults(run=_lazy("torchgrade.commands.edition", "init"), anywhere=True)
    update = commands.add_parser("update", help=_("a newer edition; what you wrote is left alone"))
    update.set_defaults(run=_lazy("torchgrade.commands.edition", "update"))
    for parser in (init, update):
        parser.add_argument(
            "--from", dest="source", type=Path, metavar="PATH", help=_("an instructor's release, or a zip of it")
        )


def positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(_("must be positive"))
    return value


def _lazy(module: str, function: str) -> Command:
    def run(options: argparse.Namespace, course: Course) -> int:
        import importlib

        command: Command = getattr(importlib.import_module(module), function)
        return command(options, course)

    return run
