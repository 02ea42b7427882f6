"""The course is proved as it is, every solution earns everything and every stub nothing."""

from __future__ import annotations

import ast
import os

import pytest
from support import ROOT, grade_py, result_of

from torchgrade.course import Course
from torchgrade.course_tools.calibrate import table_of
from torchgrade.course_tools.edits import edits
from torchgrade.course_tools.messages import block, read_golden, without_numbers
from torchgrade.course_tools.mutate import equivalents
from torchgrade.course_tools.proof import stale
from torchgrade.course_tools.variants import read_alternatives, read_mutants, solution_text
from torchgrade.course_tools.verify import SPARED_CATEGORIES
from torchgrade.grading.events import Event, Graded
from torchgrade.grading.job import Job
from torchgrade.grading.session import Session
from torchgrade.isolation.worker.registry import PROBES
from torchgrade.model import TaskGrade
from torchgrade.submission import Source
from torchgrade.suites import read_suite

TASKS = [task.stem for task in Course.load(ROOT).tasks]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_proved_as_it_is(task: str) -> None:
    """``verify`` wrote down what it proved; what has changed since then is proved again, see .ci/run."""
    assert stale(Course.load(ROOT).find(task)) is None


@pytest.mark.parametrize("task", TASKS)
def test_mutants_read_what_is_kept_of_their_messages(task: str) -> None:
    """Three of each task, graded anew: what an engine changes in its messages is seen beside what they were."""
    course = Course.load(ROOT)
    found = course.find(task)
    if stale(found) is not None:
        pytest.skip("its proof is stale, which is a failure of its own")
    dear = {check.name for check in read_suite(found).checks if check.category in SPARED_CATEGORIES}
    cheap = [mutant for mutant in read_mutants(found) if len(mutant.fails) == 1 and not dear & set(mutant.fails)]
    chosen = cheap[:: max(1, len(cheap) // 3)][:3]
    grades: dict[int, TaskGrade] = {}

    def emit(event: Event) -> None:
        if isinstance(event, Graded):
            grades[event.job] = event.grade

    sources = [Source(f"{task}.py", {f"{task}.py": mutant.text.encode()}) for mutant in chosen]
    jobs = [Job(n, task, source, only=chosen[n].fails) for n, source in enumerate(sources)]
    Session(course, lambda isolation, device: None, emit).grade(jobs)
    kept = read_golden(found)
    for number, mutant in enumerate(chosen):
        assert without_numbers(block(mutant, grades[number])) == without_numbers(kept[mutant.name])
    assert set(kept) == {mutant.name for mutant in read_mutants(found)}


@pytest.mark.timeout(1800)
def test_every_solution_earns_everything() -> None:
    result = result_of("--solutions", "--timeout-scale", "2", cwd=ROOT, timeout=900)
    missed = [(task["task"], out["id"], out["status"]) for task in result["tasks"] for out in task["checks"]]
    assert [entry for entry in missed if entry[2] != "passed"] == []
    assert result["points"] == result["max_points"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("task", ["task10", "task11"])
def test_a_solution_earns_everything_on_the_real_set(task: str) -> None:
    """Held to thresholds of their own; TORCHGRADE_DATA names the folder that the real sets are in."""
    if not os.environ.get("TORCHGRADE_DATA"):
        pytest.skip("TORCHGRADE_DATA names no folder with real data")
    result = result_of(task, "--solutions", "--data", "real", "--timeout-scale", "2", cwd=ROOT)
    assert result["points"] == result["max_points"] > 0


@pytest.mark.timeout(1200)
def test_every_stub_is_calm() -> None:
    """Only gaps, nothing earned, nothing crashed, and no line that raises while the file is executed."""
    result = result_of("--submission", ROOT / "exercises", cwd=ROOT)
    outcomes = [out for task in result["tasks"] for out in task["checks"]]
    assert {out["status"] for out in outcomes if out["category"] != "rules"} == {"todo", "skipped"}
    # A stub keeps the rules, which counts once its values are right.
    assert {out["status"] for out in outcomes if out["category"] == "rules"} <= {"todo", "skipped", "held"}
    assert result["points"] == 0
    assert {task["task"]: task["notes"] for task in result["tasks"] if task.get("notes")} == {}


def test_stubs_are_current() -> None:
    done = grade_py("stubs", "--check", cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("task", TASKS)
def test_every_check_has_a_mutant_and_every_mutant_applies(task: str) -> None:
    found = Course.load(ROOT).find(task)
    suite = read_suite(found)
    checks, hidden = set(suite.names), {check.name for check in suite.checks if check.hidden}
    mutants = read_mutants(found)
    assert {name for mutant in mutants for name in mutant.fails} == checks
    assert {name for hint in found.manifest.hints for name in hint.checks} <= checks
    assert all(not hint.checks or set(hint.checks) - hidden for hint in found.manifest.hints)  # a learner may read it
    assert len(mutants) >= 8
    assert len(read_alternatives(found)) >= 3


@pytest.mark.parametrize("task", TASKS)
def test_every_explained_survivor_is_an_edit_of_the_solution(task: str) -> None:
    found = Course.load(ROOT).find(task)
    made = {edit.name for edit in edits(solution_text(found))}
    assert set(equivalents(found)) - made == set()


def test_the_table_of_thresholds_has_a_row_for_each() -> None:
    """``calibrate --table``: task, statistic, threshold, right and sabotaged runs, both rates, margin."""
    rows = [row.strip("| ").split(" | ") for task in Course.load(ROOT).tasks for row in table_of(task)]
    assert len(rows) >= 6
    assert all(len(row) == 8 and row[2][0] in "≤≥" for row in rows)
    assert max(float(row[5]) for row in rows) <= 1e-3


def test_no_task_gives_its_own_helper_the_name_of_an_engine_probe() -> None:
    for path in (ROOT / "graders").glob("*/probes.py"):
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert not names & PROBES.keys(), path
