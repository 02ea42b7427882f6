"""``%grade`` and ``%hint`` in a notebook: what its cells have defined is graded, beside the kernel and not in it.

The kernel does not know its file, and the file on the disk lags behind. So the cells are taken from the kernel's own
history, in the order in which they ran, and read by the rules for a notebook that is handed in.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from torchgrade.commands.learner import failing_last, more_hints
from torchgrade.commands.study import select, subjects_of
from torchgrade.course import Course, Task, find_root
from torchgrade.course_tools.stubs import stub_text
from torchgrade.errors import TorchGradeError, UsageError
from torchgrade.grading.job import Options
from torchgrade.grading.run import grade_tasks
from torchgrade.grading.seeds import LEARNER_SEED
from torchgrade.handin.notebooks import MARK
from torchgrade.i18n import read_course, translate_built
from torchgrade.i18n import translate as _
from torchgrade.last_run import keep_grades
from torchgrade.model import Result
from torchgrade.progress import record_grades
from torchgrade.report import scoreboard
from torchgrade.submission import Source, Submission

OURS = re.compile(r"\s*(?:%(?:grade|hint|load_ext|reload_ext)\b.*|#.*)?")  # a line that a cell of ours may hold
WIDTH = 100
PAGE = '<pre style="white-space:pre-wrap;line-height:1.35;font-family:Menlo,Consolas,monospace">{code}</pre>'


@dataclass(frozen=True)
class Shown:
    """A page in a notebook, text in a terminal."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text.rstrip()


class Magics:
    """The two magics of one shell of IPython."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell

    def grade(self, line: str) -> Shown:
        """``%grade task07``: a verdict on what this notebook's cells define; ``%grade task07 max_pool2d``: on one
        function. ``-v``: every check in full.
        """
        parser = _Parser(prog="%grade", add_help=False)
        parser.add_argument("task")
        parser.add_argument("words", nargs="*")
        parser.add_argument("-v", "--verbose", action="store_true")
        parser.add_argument("--seed", type=int, default=LEARNER_SEED)
        return self._shown(lambda console: self._grade(parser.parse_intermixed_args(line.split()), console))

    def hint(self, line: str) -> Shown:
        """``%hint task07``: one more hint each time."""
        return self._shown(lambda console: self._hint(line.strip(), console))

    def _grade(self, options: argparse.Namespace, console: Console) -> None:
        course = _course()
        (task, *more), only = select(course, [options.task, *options.words])
        if more:
            raise UsageError(_("name one task, and, if you like, one of its functions"))
        cells = history(self.shell.history_manager.input_hist_raw)
        wanted = set(_defined(stub_text(task)))
        defined = definitions(cells)
        if not wanted & defined.keys():
            names = ", ".join(sorted(wanted))
            raise UsageError(
                _("no cell that ran defines anything of {task}: {names}").format(task=task.stem, names=names)
            )
        result = _graded(course, task, cells, options.seed, only)
        if not only:
            record_grades(course.root, result.tasks)
            keep_grades(course.root, {task.stem: "a notebook"}, result.tasks)  # for hints alone
        for name, places in defined.items():
            if name in wanted and len(places) > 1:
                words = _("{name} was defined in the cells {cells}; the last one counts")
                console.print(words.format(name=name, cells=", ".join(map(str, places))), style="yellow")
        about = subjects_of(task)
        scoreboard.show(console, result, verbose=options.verbose, subjects=about, asking="%hint")

    def _hint(self, name: str, console: Console) -> None:
        course = _course()
        task = course.find(name)
        for line in more_hints(course, task, failing_last(course, task)):
            console.print(line)

    def _shown(self, write: Any) -> Shown:
        """What ``write`` prints; a sentence where that cannot be done."""
        console = Console(
            file=io.StringIO(),
            record=True,
            width=WIDTH,
            force_terminal=True,
            force_jupyter=False,  # else each line is a display of its own
            color_system="truecolor",
            highlight=False,
        )
        try:
            write(console)
        except TorchGradeError as error:
            console.print(translate_built(str(error)), style="bold red")
        except OSError as error:
            console.print(_("{place} cannot be written: {why}").format(place=error.filename, why=error.strerror))
        html = console.export_html(inline_styles=True, code_format=PAGE, clear=False)
        return Shown(html, console.export_text())


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with its arguments; a kernel must not be left."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")


def load(shell: Any) -> None:
    """``%load_ext torchgrade``."""
    magics = Magics(shell)
    shell.register_magic_function(magics.grade, "line", "grade")
    shell.register_magic_function(magics.hint, "line", "hint")


def history(inputs: Iterable[str]) -> dict[int, str]:
    """The cells that ran in this kernel, by their number in ``In[…]``, without those that only ask for a verdict."""
    numbered = enumerate(inputs)
    return {number: text for number, text in numbered if not all(map(OURS.fullmatch, text.splitlines()))}


def definitions(cells: Mapping[int, str]) -> dict[str, list[int]]:
    """The functions and classes that cells define, each with the numbers of its cells in their order."""
    found: dict[str, list[int]] = {}
    for number, text in cells.items():
        for name in dict.fromkeys(_defined(text)):
            found.setdefault(name, []).append(number)
    return found


def _defined(text: str) -> Iterator[str]:
    python = "\n".join("" if re.match(r"\s*[%!]", line) else line for line in text.splitlines())
    try:
        tree = ast.parse(python)
    except (SyntaxError, ValueError):
        return
    yield from (node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)))


def gaps(stub: str, defined: Collection[str]) -> str:
    """Code with a gap for each function and class of the stub that nobody has written yet.

    None for a name that looks like a defined one: that is more likely a slip of the pen.
    """
    asked = {node.name: node for node in ast.parse(stub).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    others = [name for name in defined if name not in asked]
    lines = []
    for name, node in asked.items():
        if name in defined or "raise NotImplementedError" not in ast.unparse(node) or get_close_matches(name, others):
            continue
        gap = "(*_, **__): raise NotImplementedError"
        lines.append(f"class {name}:\n    def __init__{gap}" if isinstance(node, ast.ClassDef) else f"def {name}{gap}")
    return "\n".join(lines)


def _course() -> Course:
    course = Course.load(find_root(Path.cwd()))
    read_course(course.root, course.language)
    return course


def _graded(course: Course, task: Task, cells: Mapping[int, str], seed: int, only: tuple[str, ...]) -> Result:
    with_gaps = {0: gaps(stub_text(task), definitions(cells)), **cells}
    text = "".join(f"{MARK}{number}\n{text}\n" for number, text in with_gaps.items())
    name = "this notebook"
    submission = Submission(name, {task.stem: Source(name, {name: text.encode("utf-8", "replace")})})
    return grade_tasks(course, submission, [task], replace(Options(), seed=seed), lambda event: None, only)
