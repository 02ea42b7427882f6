"""``pytest exercises/`` and an editor's panel of tests: the learner's files, one test for each check, by the grader.

``exercises/conftest.py`` hands these hooks to pytest. A learner's file is never imported here, so that one with a
syntax error is collected like any other; a test that runs asks for all tests of its task that were chosen, and
waits for a grader process. What fails is told once more at the end, a line for each, for an editor's list of problems.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torchgrade.course import Course, Task, find_root
from torchgrade.grading.events import Fault, Graded
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.grading.run import missing_grade
from torchgrade.grading.seeds import LEARNER_SEED
from torchgrade.i18n import read_course
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Status
from torchgrade.report.feedback_text import outcome_lines
from torchgrade.submission import read_exercises
from torchgrade.suites import WrittenCheck, read_suite

CALM = (Status.TODO, Status.SKIPPED, Status.HELD, Status.UNAVAILABLE)


class NotYet(Exception):
    """A check did not pass."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.title)
        self.outcome = outcome


class Exercise(pytest.File):
    """A learner's file. Its tests are the checks of its task."""

    def collect(self) -> Iterator[CheckItem]:
        course = Course.load(find_root(self.path.parent))
        read_course(course.root, course.language)
        task = course.find(self.path.stem)
        lines = definition_lines(self.path.read_bytes())
        for check in read_suite(task).checks:
            about = next((name for name in taken_of_submission(check) if name in lines), "")
            yield CheckItem.from_parent(self, name=_(check.title), check=check, task=task, line=lines.get(about, 0))


class NotImported(pytest.File):
    """Stands where pytest, told the path of a learner's file, would import it to look for tests."""

    def collect(self) -> Iterator[pytest.Item]:
        return iter(())


class CheckItem(pytest.Item):
    """One check. Its name is its sentence."""

    def __init__(self, *, check: WrittenCheck, task: Task, line: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.check, self.task, self.line = check, task, line
        self.add_marker(pytest.mark.timeout(0))  # each check has its own limit

    def runtest(self) -> None:
        outcome = self.session.stash[GRADINGS].outcome(self)
        self.user_properties.append(("points", f"{outcome.points:g}/{outcome.max_points:g}"))
        if outcome.status in CALM:
            pytest.skip(outcome.message or str(outcome.status))
        if outcome.status is not Status.PASSED:
            raise NotYet(outcome)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        error = excinfo.value
        if isinstance(error, NotYet):
            return "\n".join(outcome_lines(error.outcome))
        return super().repr_failure(excinfo, style)


class Gradings:
    """What was graded for this session of pytest. The grader stays for the next task."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[str, str], Outcome] = {}
        self._pool: Pool | None = None

    def problems(self) -> Iterator[str]:
        """A line for each check that did not pass: ``exercises/task07_pooling_norm.py:12: error: sentence``."""
        for (stem, _name), outcome in self._outcomes.items():
            if outcome.status in (*CALM, Status.PASSED):
                continue
            told = outcome.message or outcome.got or ""
            sentence = f"{outcome.title}: {told}".splitlines()[0]
            file, _colon, line = (outcome.where or "").split("  ")[0].rpartition(":")
            if not line.isdigit():  # the sentence on a file that cannot be read names the line
                spoken = re.search(r"(?:\bline |\.py:)(\d+)", told)
                file, line = f"{stem}.py", spoken[1] if spoken else "1"
            yield f"exercises/{Path(file).name}:{line}: error: {sentence}"

    def outcome(self, item: CheckItem) -> Outcome:
        """Of the check that ``item`` stands for; grades all of its task that stand in the session."""
        key = item.task.stem, item.check.name
        if key not in self._outcomes:
            chosen = [other for other in item.session.items if isinstance(other, CheckItem)]
            names = [other.check.name for other in chosen if other.task.stem == item.task.stem]
            for outcome in self._grade(item.task, tuple(dict.fromkeys(names))):
                self._outcomes[item.task.stem, outcome.id] = outcome
        # Where there is no verdict on each check, there is one on the file.
        return self._outcomes.get(key) or self._outcomes[item.task.stem, "file"]

    def _grade(self, task: Task, names: tuple[str, ...]) -> Iterator[Outcome]:
        if self._pool is None:
            self._pool = Pool.local(task.root, 1)
        source = read_exercises(task.stub.parent, [task]).sources[task.stem]
        job = Options(seed=LEARNER_SEED).job(0, task.stem, source, memory_mb=task.manifest.memory_mb, only=names)
        for event in self._pool.events([job]):
            if isinstance(event, Graded):
                yield from event.grade.checks
            elif isinstance(event, Fault):
                yield from missing_grade(task, event.message).checks

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()


GRADINGS = pytest.StashKey[Gradings]()


def taken_of_submission(check: WrittenCheck) -> Iterator[str]:
    """The names that the text of a check takes of its submission, in order."""
    for node in ast.walk(check.node):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "submission":
            yield node.attr


def definition_lines(text: bytes) -> dict[str, int]:
    """The line, from 0, at which each function or class of a file begins; the file may be no valid Python."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.decode("utf-8", "replace").splitlines()):
        for word in ("def ", "class "):
            if line.startswith(word):
                name = line.removeprefix(word).split("(")[0].split(":")[0].strip()
                found.setdefault(name, number)
    return found


def pytest_sessionstart(session: pytest.Session) -> None:
    session.stash[GRADINGS] = Gradings()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Exercise | None:
    return Exercise.from_parent(parent, path=file_path) if _is_exercise(file_path) else None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> NotImported | None:
    return NotImported.from_parent(parent, path=module_path) if _is_exercise(module_path) else None


def _is_exercise(path: Path) -> bool:
    return path.suffix == ".py" and path.parent.name == "exercises" and path.name.startswith("task")


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.stash[GRADINGS].close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """For whoever looks for problems in what is printed. An editor reads it in the encoding of its console."""
    session = terminalreporter._session
    for line in session.stash[GRADINGS].problems() if session is not None else ():
        terminalreporter.write_line(line.encode("ascii", "replace").decode())
