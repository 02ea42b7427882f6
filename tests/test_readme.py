"""Every command that the README and the learner's page show is run, as it stands, in the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from torchgrade.course import Course

PAGES = ("README.md", "docs/learning.md")
RUN_BY_CI = {"scripts/test"}  # this very run
RUN_ELSEWHERE = {
    "python grade.py verify task07",  # two minutes; test_course.py asks for more than an exit code
    "python grade.py watch",  # does not end by itself: test_watch.py types and saves
    "python grade.py watch task07",
    "python grade.py compare task07",  # opens when a task is complete: test_compare.py completes one
    "python grade.py compare task07 max_pool2d",
}


def commands(pages: tuple[str, ...] = PAGES) -> list[str]:
    """The lines of code blocks that start with a program, and the commands of the table."""
    found: list[str] = []
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        for language, block in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL):
            lines = [] if language else block.splitlines()
            found += [line for line in lines if re.match(r"(python|scripts|\.venv)\S* ?", line)]
        found += re.findall(r"^\| `(python [^`]*)`", text, re.MULTILINE)
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_the_table_of_notes_names_every_task(page: str) -> None:
    cells = re.findall(r"^\|.*\| ((?:\d\d[–、, ]*)+) \|$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert len(cells) == 8
    ends = [span.split("–") for cell in cells for span in re.split(r"[、, ]+", cell)]
    named = {number for span in ends for number in range(int(span[0]), int(span[-1]) + 1)}
    assert {f"task{number:02}" for number in named} == {task.short for task in Course.load(ROOT).tasks}


def test_ci_runs_what_the_readme_says() -> None:
    """Both commands where nothing is but Python, and the tests once more where everything is; pytest has the last word."""
    script = (ROOT / ".ci" / "run").read_text()
    first, second = commands()[:2]
    assert (first, second) == ("scripts/setup && .venv/bin/python grade.py", "scripts/test")
    assert f"PATH=$bare bash -c '{first}'" in script
    assert f"PATH=$bare ./{second} " in script
    assert re.search(rf"^\./{second}$", script, re.MULTILINE)
    assert set(commands()) > RUN_ELSEWHERE


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("README.md", "README.zh-CN.md"),
        ("docs/learning.md", "docs/zh-CN/learning.md"),
        ("docs/grading-a-class.md", "docs/zh-CN/grading-a-class.md"),
    ],
)
def test_both_editions_of_a_page_say_the_same(english: str, chinese: str) -> None:
    """The same commands and blocks of settings, in the same order; each leads to the other."""
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in (english, chinese)]
    assert commands((english,)) == commands((chinese,))
    assert len(re.findall(r"^#+ ", pages[0], re.MULTILINE)) == len(re.findall(r"^#+ ", pages[1], re.MULTILINE))
    for page, other in zip(pages, (chinese, english), strict=True):
        assert f"{Path(other).name})" in page
    settings = [
        [re.sub(r" *#.*", "", block) for block in re.findall(r"```yaml\n(.*?)```", p, re.DOTALL)] for p in pages
    ]
    assert settings[0] == settings[1]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", [command for command in commands() if command not in RUN_BY_CI | RUN_ELSEWHERE])
def test_a_command_works(command: str, tmp_path: Path) -> None:
    """Stubs earn nothing, so grading them ends with 1; nothing may end with 2 or 3, or with a traceback."""
    if "scripts/setup" in command and not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("this is not a checkout that scripts/setup has set up")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
    }
    if "--pdb" in command or "reset" in command:
        environment["TORCHGRADE_COURSE"] = str(copy_of_course(tmp_path))
    done = subprocess.run(
        command, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True, input="c\n" * 200
    )
    assert done.returncode in (0, 1, 2) if "reset" in command else done.returncode in (0, 1), done.stderr
    assert done.stdout.strip() or "reset" in command
    assert "Traceback" not in done.stderr
    for page in re.findall(r"--html (\S+)", command):
        (ROOT / page).unlink()


def copy_of_course(folder: Path) -> Path:
    import shutil

    target = folder / "course"
    for name in ("exercises", "solutions", "graders", "datasets", "course.yaml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)
    return target
