"""``pytest exercises/`` and what an editor asks of it: real pytest processes over the miniature course."""

import json
import os
import re
import subprocess
import sys

import pytest
from support import MINI, ROOT, copy_of_mini

from torchgrade.commands.panel import definition_lines
from torchgrade.course import Course
from torchgrade.suites import read_suite

pytestmark = pytest.mark.timeout(300)
FILE = "task01_scale.py"
SOLUTION = (MINI / "solutions" / FILE).read_text()


@pytest.fixture
def course(tmp_path):
    root = copy_of_mini(tmp_path)
    (root / "exercises" / "conftest.py").write_text((ROOT / "exercises" / "conftest.py").read_text())
    return root


def run_pytest(root, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=200, check=False)


def test_a_file_that_cannot_be_read_is_collected_and_told(course):
    """One test for each check, by its sentence, found without torch and without the learner's file."""
    (course / "exercises" / FILE).write_text("import torch\n\ndef scale(x, factor:\n    pass\n")
    (course / "exercises" / "helper.py").write_text("raise SystemExit('never imported')\n")
    listed = run_pytest(course, "exercises", "--collect-only", f"--ignore=exercises/{FILE.replace('01', '02')}")
    titles = [check.title for check in read_suite(Course.load(course).find("task01")).checks]
    assert [line for line in listed.stdout.splitlines() if FILE in line] == [f"exercises/{FILE}::{t}" for t in titles]
    done = run_pytest(course, f"exercises/{FILE}")
    assert done.returncode == 1
    assert re.search(rf"exercises/{FILE}:3: error: .*never closed", done.stdout)


def test_right_work_passes_a_gap_is_skipped_a_mistake_leads_to_its_line(course):
    file = course / "exercises" / FILE
    stub = run_pytest(course, f"exercises/{FILE}").stdout
    assert re.search(r"^(\d+ passed, )?\d+ skipped", stub.splitlines()[-1])
    file.write_text(SOLUTION)
    assert re.search(r"^\d+ passed", run_pytest(course, f"exercises/{FILE}").stdout.splitlines()[-1])
    file.write_text(SOLUTION.replace("return x * factor", "return x + factor"))
    done = run_pytest(course, f"exercises/{FILE}")
    line = SOLUTION[: SOLUTION.index("return x * factor")].count("\n") + 1
    (matcher,) = [task["problemMatcher"] for task in json.loads((ROOT / ".vscode/tasks.json").read_text())["tasks"]]
    problems = [found for text in done.stdout.splitlines() if (found := re.match(matcher["pattern"]["regexp"], text))]
    assert problems
    for problem in problems:
        assert (course / problem[1]).is_file()
        assert abs(int(problem[2]) - line) <= 5
    assert "expected" in done.stdout


def test_one_test_by_its_name(course):
    (course / "exercises" / FILE).write_text(SOLUTION)
    title = read_suite(Course.load(course).find("task01")).checks[0].title
    done = run_pytest(course, f"exercises/{FILE}::{title}")
    assert done.stdout.splitlines()[-1].startswith("1 passed"), done.stdout


def test_the_mark_in_the_margin_stands_at_the_function():
    text = b"import torch\n\nclass  Net(nn.Module):\n    def forward(self): ...\n\ndef scale(x, factor: \xff\n"
    assert definition_lines(text) == {"Net": 2, "scale": 5}
