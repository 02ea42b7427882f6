"""The learner's edition of the real course: what its README says works there, and nothing of it leads nowhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from torchgrade.cli import build_parser, command_names, main
from torchgrade.course import Course
from torchgrade.course_tools.release import release

TASK = "task03_linear_layer"


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Set up without a network: its .venv is the environment of the tests."""
    folder = tmp_path_factory.mktemp("edition") / "course"
    release(Course.load(ROOT), folder)
    if sys.prefix == sys.base_prefix:
        pytest.skip("the tests run in no virtual environment")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def test_every_link_leads_to_something(edition: Path) -> None:
    pages = [page for page in edition.rglob("*.md") if ".venv" not in page.parts]
    assert {page.name for page in pages} >= {"README.md", "learning.md", "datasets.md"}
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert ":" in target or (page.parent / target).exists(), f"{page.name} links {target}"


def test_the_commands_of_its_readme(edition: Path) -> None:
    """As they stand there; of the set-up only its parts, for it needs a network."""
    readme = (edition / "README.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```\n(.*?)```", readme, re.DOTALL) for line in block.splitlines()]
    assert lines[0] == "scripts/setup && .venv/bin/python grade.py"
    assert os.access(edition / "scripts" / "setup", os.X_OK)
    for name in re.findall(r"[\w.]+\.(?:toml|txt)", (edition / "scripts" / "setup").read_text()):
        assert (edition / name).is_file()
    assert [line.split()[:2] for line in lines[1:]] == [["python", "grade.py"]] * 4
    own = str(edition / ".venv" / "bin")
    for line in lines[1:]:
        if line == "python grade.py watch":  # which goes on until somebody ends it; it has tests of its own
            continue
        done = subprocess.run(
            line, shell=True, cwd=edition, capture_output=True, text=True, timeout=240, check=False,
            env={**os.environ, "PATH": f"{own}{os.pathsep}{os.environ['PATH']}"},
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout.strip()
        assert "Traceback" not in done.stderr


def test_good_work_passes_there_by_its_own_engine(edition: Path) -> None:
    shutil.copy(ROOT / "solutions" / f"{TASK}.py", edition / "exercises")
    command = [str(edition / ".venv" / "bin" / "python"), "grade.py", "task03"]
    done = subprocess.run(command, cwd=edition, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything asked for passed." in done.stdout
    told = Course.load(edition).settings.get("hidden_checks", {}).get(TASK, 0)
    assert ("hidden" in done.stdout) == (told > 0)


def test_a_learners_commands_are_there_and_an_authors_are_not(
    edition: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(edition)
    monkeypatch.delenv("TORCHGRADE_COURSE", raising=False)
    gone = command_names(build_parser()) - command_names(build_parser(for_learners=True))
    assert gone >= {"stubs", "verify", "calibrate", "batch", "regrade", "override", "similar", "release"}
    for name in sorted(gone):
        assert main([name]) == 2, name
        assert f"there is no task '{name}'" in capsys.readouterr().err
    for arguments in (["list"], ["hint", "task03"], ["reset", "task03", "-y"], ["data"]):
        assert main(arguments) == 0, arguments
        assert capsys.readouterr().out.strip()
    assert "NotImplementedError" in (edition / "exercises" / f"{TASK}.py").read_text()


def test_what_takes_the_place_of_a_wrong_function_is_not_there(edition: Path) -> None:
    """It is a solution of that function."""
    kept_back = {task.substitutes_file for task in Course.load(ROOT).tasks if task.substitutes}
    assert kept_back
    assert not [path for path in kept_back if (edition / path.relative_to(ROOT)).exists()]


def test_doctor_says_that_the_solution_is_not_here(edition: Path) -> None:
    from torchgrade.course_tools import doctor

    (row,) = doctor.solution_rows(Course.load(edition), "task03", "cpu", "auto")
    assert row.well is None
    assert "not part of a learner's edition" in row.found


def test_an_editors_pytest_meets_the_learners_file(edition: Path) -> None:
    """Gaps are skipped, a mistake fails, right work passes; a grader's error is never seen."""
    stub = (edition / "graders" / TASK / "stub.py").read_text()
    solution = (ROOT / "solutions" / f"{TASK}.py").read_text()
    file = edition / "exercises" / f"{TASK}.py"

    def outcomes(text: str) -> set[str]:
        file.write_text(text)
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            f"exercises/{TASK}.py",
        ]
        done = subprocess.run(command, cwd=edition, capture_output=True, text=True, timeout=240, check=False)
        return set(re.findall(r"\d+ (passed|failed|skipped|error)s?", done.stdout.splitlines()[-1]))

    assert outcomes(solution) == {"passed"}
    assert outcomes(stub) - {"passed"} == {"skipped"}
    assert "failed" in outcomes(solution.replace("else y + bias", "else y - bias"))
