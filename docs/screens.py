"""Write docs/images/{scoreboard,failure}-{light,dark}.svg, which the README shows: ``python docs/screens.py``.

A learner in the middle of the course is graded for real: the first tasks are solved, in task 07 batch norm divides the
variance by N - 1, the others are as they are handed out.
"""

import io
import re
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from torchgrade.course import Course  # noqa: E402
from torchgrade.course_tools.variants import read_mutants  # noqa: E402
from torchgrade.grading.job import Options  # noqa: E402
from torchgrade.grading.run import grade_tasks  # noqa: E402
from torchgrade.hardware import cores  # noqa: E402
from torchgrade.report import scoreboard  # noqa: E402
from torchgrade.submission import read_submission  # noqa: E402

IMAGES = ROOT / "docs" / "images"
THEMES = {"light": DEFAULT_TERMINAL_THEME, "dark": SVG_EXPORT_THEME}
WRONG, MUTANT = "task07", "variance_by_n_minus_1"
WIDTH = 88


def half_done(course, folder):
    """What such a learner has in ``exercises``."""
    wrong = course.find(WRONG)
    for task in course.tasks[: course.tasks.index(wrong)]:
        (folder / f"{task.stem}.py").write_bytes(task.solution.read_bytes())
    mutant = next(mutant for mutant in read_mutants(wrong) if mutant.name == MUTANT)
    (folder / f"{wrong.stem}.py").write_text(mutant.text, encoding="utf-8")
    for task in course.tasks[course.tasks.index(wrong) + 1 :]:
        (folder / f"{task.stem}.py").write_bytes(task.stub.read_bytes())


def at_home(task):
    """The grade with places told as they are where a learner works."""
    told = (replace(out, where=out.where and re.sub(r"^.*/", "exercises/", out.where)) for out in task.checks)
    return replace(task, checks=tuple(told))


def picture(name, show):
    """What ``show`` prints to a console, as a picture for light pages and one for dark ones."""
    for theme, colours in THEMES.items():
        console = Console(
            record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor",
            highlight=False, markup=False,
        )  # fmt: skip
        show(console)
        title, kind = f"python grade.py {name}".strip(), "failure" if name else "scoreboard"
        svg = console.export_svg(title=title, theme=colours, unique_id=f"{kind}-{theme}")
        svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # nothing is fetched from elsewhere
        (IMAGES / f"{kind}-{theme}.svg").write_text(svg, encoding="utf-8")


def main():
    course = Course.load(ROOT)
    with tempfile.TemporaryDirectory() as name:
        half_done(course, Path(name))
        submission = read_submission(Path(name), course, course.tasks)
        result = grade_tasks(course, submission, course.tasks, Options(jobs=cores()), lambda event: None)
    result = replace(result, tasks=tuple(at_home(task) for task in result.tasks))
    one = next(task for task in result.tasks if task.short == WRONG)
    alone = result.with_known({one.task: one}, [one.task])
    picture("", lambda console: scoreboard.show(console, result, course.tracks))
    picture(WRONG, lambda console: scoreboard.show(console, alone))


if __name__ == "__main__":
    main()
