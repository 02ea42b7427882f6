"""The learner's edition: it works, it says what stays hidden, and none of the secrets' text is in it."""

import ast
import json
import re

import pytest
from support import MINI, copy_of_mini, grade_py, result_of

from torchgrade.course import Course
from torchgrade.course_tools.public_suite import public_probes, public_text
from torchgrade.course_tools.release import release
from torchgrade.errors import CourseError, UsageError

SUITE = '''"""Checks."""

import math
import random

from torchgrade.authoring import check, expect

SIZES = [1, 2]
# The answer that nobody may know.
ANSWER = 41.7


def helper(x):
    return math.floor(x)


# secret recipe
def recipe(x):
    return random.random() + ANSWER + shared(x)


def shared(x):
    return x


def twin(x):
    return twin(x - 1)


@check("public works", points=1, category="values")
def test_public(submission):
    expect.equal(submission.f(shared(SIZES)), 1, helper(2))


# explains the secret
@check("secret works", points=2, category="values", after=test_public, hidden=True)
def test_secret(submission):
    """Compares with the recipe."""
    expect.equal(submission.f(submission.probes.spy(1)), recipe(1), twin(3))


@check("open works", points=1, category="values", hidden=False)
def test_open(submission):
    expect.equal(submission.probes.look(submission), 1)
'''


def test_hidden_checks_go_with_all_that_only_they_need():
    text, count = public_text(SUITE, "s")

    assert count == 1
    ast.parse(text)
    for secret in ("41.7", "ANSWER", "nobody may know", "recipe", "random", "secret", "Compares", "twin", "spy"):
        assert secret not in text
    for public in ("SIZES = [1, 2]", "def helper", "import math", "def shared", "def test_public", "def test_open"):
        assert public in text
    assert public_text(text, "s") == (text, 0)


def test_a_public_check_that_waits_for_a_hidden_one_is_refused():
    with pytest.raises(CourseError, match="uses the hidden check test_secret"):
        public_text(SUITE.replace("hidden=False", "after=test_secret"), "s")


def test_probes_of_hidden_checks_go_too():
    probes = "import os\nimport re\n\n\ndef spy(x):\n    return os.name\n\n\ndef look(s):\n    return inner(re)\n\n\ndef inner(x):\n    return x\n"
    text = public_probes(probes, public_text(SUITE, "s")[0])
    assert "spy" not in text
    assert "import os" not in text
    assert "def look" in text
    assert "def inner" in text


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    course = copy_of_mini(folder)
    floors = {"schema": "torchgrade.calibration/1"}
    runs = {"floor": 0.5, "false_reject": 1e-6, "false_accept": 1e-6, "runs": [0.123456]}
    for name in ("test_affine", "test_learns"):
        floors[name] = runs
    (course / "graders" / "task01_scale" / "calibration.json").write_text(json.dumps(floors))
    done = grade_py("release", folder / "edition", cwd=course)
    assert done.returncode == 0, done.stderr
    assert "2 tasks; 1 hidden checks stay here" in done.stdout
    return folder / "edition"


def secret_lines():
    """Lines that stand in a solution, a hidden check, a mutant or an alternative, and in nothing public."""
    hidden = []
    for suite in MINI.glob("graders/*/checks.py"):
        text = suite.read_text()
        hidden += [ast.get_source_segment(text, node) or "" for node in ast.parse(text).body
                   if isinstance(node, ast.FunctionDef) and "hidden=True" in ast.unparse(node.decorator_list)]  # fmt: skip
    files = [*MINI.glob("solutions/*.py"), *MINI.glob("graders/*/mutants.yaml"), *MINI.glob("graders/*/alternatives/*")]
    lines = {line.strip() for text in [*hidden, *(file.read_text() for file in files)] for line in text.splitlines()}
    public = "\n".join(file.read_text() for file in MINI.glob("exercises/*.py"))
    return {line for line in lines if len(line) > 15 and line not in public}


def test_none_of_the_secret_text_is_in_it(edition):
    """Line by line: solutions, hidden checks, mutants, alternatives, calibration runs; the names of their files too."""
    secrets = secret_lines()
    assert len(secrets) > 15
    course_files = [file for file in edition.rglob("*") if file.is_file() and "torchgrade" not in file.parts[-3:]]
    texts = {file: file.read_text() for file in course_files if file.suffix in (".py", ".yaml", ".json", ".md")}
    public = "\n".join(public_text(suite.read_text(), "s")[0] for suite in MINI.glob("graders/*/checks.py"))
    for file, text in texts.items():
        if file.is_relative_to(edition / "torchgrade"):
            continue  # the engine is the same for all
        for line in secrets:
            assert line not in text or line in public, (file, line)
        assert "0.123456" not in text
        assert "test_affine" not in text
    names = {file.name for file in edition.rglob("*") if not file.is_relative_to(edition / "torchgrade")}
    assert not names & {"solutions", "alternatives", "mutants.yaml", "tests"}
    assert not any(re.search(r"\.torchgrade|__pycache__", str(file)) for file in edition.rglob("*"))


def test_it_grades_and_says_what_stays_hidden(edition):
    """A stub is to do; good work gets the public points, and the number of hidden checks is told."""
    text = (MINI / "solutions" / "task01_scale.py").read_text()
    (edition / "exercises" / "task01_scale.py").write_text(text)
    done = grade_py("task01", cwd=edition, PYTHONPATH="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5/5" in done.stdout
    assert "1 more check is hidden" in done.stdout
    result = result_of("task02", cwd=edition)
    assert {check["status"] for task in result["tasks"] for check in task["checks"]} <= {"todo", "skipped"}
    reset = grade_py("reset", "task01", "-y", cwd=edition)
    assert reset.returncode == 0
    assert "NotImplementedError" in (edition / "exercises" / "task01_scale.py").read_text()


def test_it_is_written_into_an_empty_folder_only(tmp_path):
    course = Course.load(copy_of_mini(tmp_path))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(UsageError, match="is not empty"):
        release(course, tmp_path / "full")
