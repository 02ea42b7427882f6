"""Write docs/images/{scoreboard,failure}-{light,dark}.svg, which the README shows: ``python docs/screens.py``.

A learner in the middle of the course is graded for real: the first tasks are solved, in task 07 batch norm divides the
variance by N - 1, the others are as they are handed out.
"""

import io
import re
import sys
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
from torchgrade.report.board import failures  # noqa: E402
from torchgrade.submission import Source, Submission  # noqa: E402

IMAGES = ROOT / "docs" / "images"
THEMES = {"light": DEFAULT_TERMINAL_THEME, "dark": SVG_EXPORT_THEME}
WRONG, MUTANT = "task07", "variance_by_n_minus_1"
WIDTH = 88


def half_done(course):
    """What such a learner has in ``exercises``, by task."""
    place = course.tasks.index(course.find(WRONG))
    texts = {task: task.solution.read_bytes() for task in course.tasks[:place]}
    wrong = course.tasks[place]
    texts[wrong] = next(mutant.text for mutant in read_mutants(wrong) if mutant.name == MUTANT).encode()
    texts |= {task: task.stub.read_bytes() for task in course.tasks[place + 1 :]}
    names = {task: f"exercises/{task.stem}.py" for task in texts}
    return {task.stem: Source(names[task], {names[task]: text}) for task, text in texts.items()}


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


def failure(console, result):
    """What a learner reads below the functions of the task."""
    for line in scoreboard.entry_lines(console, *failures(result.tasks[0])[:1]):
        console.print(line)
    scoreboard.show(console, result, quiet=True)


def main():
    course = Course.load(ROOT)
    submission = Submission("exercises", half_done(course))
    result = grade_tasks(course, submission, course.tasks, Options(jobs=cores()), lambda event: None)
    one = next(task for task in result.tasks if task.short == WRONG)
    alone = result.with_known({one.task: one}, [one.task])
    picture("", lambda console: scoreboard.show(console, result, course.tracks))
    picture(WRONG, lambda console: failure(console, alone))


if __name__ == "__main__":
    main()
