"""Stubs come from solutions; ``verify`` finds every way in which a task can be unproven."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from support import MINI, grade_py

from torchgrade.course import Course
from torchgrade.course_tools.edits import edits
from torchgrade.course_tools.messages import block, difference, golden, places, read_golden, without_numbers
from torchgrade.course_tools.mutate import equivalents
from torchgrade.course_tools.proof import Due, Proof, content_of, due, engine_of, forget_proof, read_proof, stale
from torchgrade.course_tools.stubs import make_stub
from torchgrade.course_tools.variants import Mutant
from torchgrade.course_tools.verify import verify_tasks
from torchgrade.errors import CourseError
from torchgrade.grading.events import CheckEnded, Event
from torchgrade.grading.job import Job, Options
from torchgrade.grading.session import Session
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.submission import Source


def test_a_block_in_a_function_becomes_a_gap() -> None:
    text = 'def f():\n    """D."""\n    # TODO: x\n    # BEGIN SOLUTION\n    return 1\n    # END SOLUTION\n'
    assert make_stub(text, "s.py") == 'def f():\n    """D."""\n    # TODO: x\n    raise NotImplementedError\n'


def test_a_block_of_a_module_is_left_out_with_the_imports_that_only_it_used() -> None:
    text = "import math\nimport torch\n\n# BEGIN SOLUTION\nX = math.pi\n# END SOLUTION\nY = 2\n"
    assert make_stub(text, "s.py") == "import torch\n\nY = 2\n"


def test_a_block_of_a_class_itself_is_left_out() -> None:
    """A gap there would raise while the class is made, and take its other methods away."""
    method = "    def g(self):\n        # BEGIN SOLUTION\n        return 1\n        # END SOLUTION\n"
    text = f"class C:\n{method}\n    # BEGIN SOLUTION\n    @property\n    def p(self):\n        return 2\n    # END SOLUTION\n"
    assert make_stub(text, "s.py") == "class C:\n    def g(self):\n        raise NotImplementedError\n"


def test_a_stub_line_stands_in_the_stub() -> None:
    text = "# BEGIN SOLUTION\n# STUB: TABLE: dict = {}\nTABLE = {1: 2}\n# END SOLUTION\n"
    assert make_stub(text, "s.py") == "TABLE: dict = {}\n"


@pytest.mark.parametrize(
    "text", ["# END SOLUTION\n", "# BEGIN SOLUTION\n", "# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION\n"]
)
def test_a_stray_marker_is_an_error(text: str) -> None:
    with pytest.raises(CourseError, match=r"s\.py"):
        make_stub(text, "s.py")


def test_a_course_is_proved_once(mini: Path) -> None:
    """Nothing is graded again until the content changes; what was proved is kept beside the suite."""
    done = grade_py("verify", "--timeout-scale", "5", "--jobs", "2", cwd=mini)
    assert done.returncode == 0
    said = done.stdout.splitlines()
    assert said[-1] == "every fact holds"
    assert "task01_scale: finding, price: mutant adds_the_factor costs 50% of the task" in said
    assert "task01_scale: finding, inputs: Affine.forward(): never a second call on an object" in said
    counted = re.findall(r"(task0\d)_\w+: (\d+) of (\d+) cases graded", done.stderr)
    assert [(task, done == cases) for task, done, cases in counted] == [("task01", True), ("task02", True)]

    course, told = Course.load(mini), list[str]()
    first, second = course.tasks
    kept = read_proof(first)
    assert kept is not None
    counts = {
        "checks": 4,
        "mutants": 4,
        "sentences": 2,
        "messages": 4,
        "messages astray": 0,
        "alternatives": 1,
        "junk": 7,
    }
    assert kept.counts == counts
    messages = read_golden(first)
    assert list(messages) == ["adds_the_factor", "cut_graph", "first_row_only", "no_bias"]
    assert (
        "    likely    the bias is missing\n    look at   task01_scale.py:25  Affine.__init__()" in messages["no_bias"]
    )
    assert kept.findings == {"inputs": 6, "price": 2}
    assert kept.seconds > 0
    assert [stale(task) for task in course.tasks] == [None, None]
    lines = list(verify_tasks(course, course.tasks, Options(), lambda line, stands: told.append(line)))
    assert lines == []
    assert [line.split(": ")[1].split(",")[0] for line in told] == [f"proved on {kept.date}"] * 2

    edit(first.folder / "task.yaml", "Read the docstrings once more.", "Read the docstrings twice.")
    assert stale(Course.load(mini).tasks[0]) is None  # a hint is no part of what is proved
    edit(first.suite, "x * 3.0, likely", "3.0 * x, likely")
    assert stale(first) == (
        f"task01_scale has changed since it was proved on {kept.date}; run: python grade.py verify task01_scale"
    )
    assert stale(second) is None
    forget_proof(second)
    assert stale(second) == "task02_train was never proved; run: python grade.py verify task02_train"


def test_a_proof_goes_on_with_what_an_earlier_try_has_graded(mini: Path) -> None:
    """A mutant that names the wrong check is mended, and the others are not graded again, as long as the suite is the
    same; what is graded afresh in any case is the reference."""
    course = Course.load(mini)
    (first, *_) = course.tasks
    place = mini / ".torchgrade" / "gradings" / f"{first.stem}.jsonl"

    def verified(**how: bool) -> tuple[list[str], list[str]]:
        told: list[str] = []
        lines = verify_tasks(Course.load(mini), [first], Options(), lambda line, _: told.append(line), **how)
        return [line.text for line in lines if line.kind == "fact"], [line for line in told if "cases graded" in line]

    edit(first.folder / "mutants.yaml", "fails: [test_affine]", "fails: [test_affine, test_total]")
    facts, counts = verified()
    assert facts == ["mutant no_bias survives test_total, which it names"]
    graded = len(counts)
    place.write_text(place.read_text() + '{"basis": "cut sho')
    edit(first.folder / "mutants.yaml", "fails: [test_affine, test_total]", "fails: [test_affine]")
    facts, counts = verified()
    assert (facts, len(counts)) == ([], 5)  # the reference three times, the stub, and the mutant that was mended
    assert counts[-1].startswith(f"task01_scale: {graded} of {graded}")
    assert len(place.read_text().splitlines()) == graded - 4
    facts, counts = verified(again=True)
    assert (facts, len(counts)) == ([], graded)


def test_a_proof_that_does_not_hold_any_more_is_taken_away(mini: Path) -> None:
    """The content is what was proved, and yet a fact is false: the engine, or the machine, has changed."""
    course = Course.load(mini)
    task = course.tasks[1]
    edit(task.folder / "mutants.yaml", "optimizer.step()", "optimizer.leap()")  # does not apply: no grading
    made = Proof(content_of(task), engine_of(), {}, "2026-01-01", 1.0, {}, {})
    made.write(task)
    (line,) = verify_tasks(course, [task], Options(), lambda *_: None, again=True)
    assert line.kind == "fact"
    assert read_proof(task) is None


def test_checks_of_training_run_for_the_mutants_that_name_them(mini: Path) -> None:
    """And for those that call what another check found wrong; a check that does without it is graded."""
    source = Source("task01_scale.py", {"task01_scale.py": (mini / "solutions" / "task01_scale.py").read_bytes()})
    wrong = source.files["task01_scale.py"].replace(b"x * factor", b"x + factor")
    spared = ("test_total", "test_gradient")
    right_job = Job(0, "task01_scale", source, spared=spared)
    wrong_job = Job(1, "task01_scale", Source(source.main, {source.main: wrong}), spared=spared)
    outcomes: dict[int, dict[str, str]] = {0: {}, 1: {}}

    def emit(event: Event) -> None:
        if isinstance(event, CheckEnded):
            outcomes[event.job][event.outcome.id] = event.outcome.status.value

    Session(Course.load(mini), lambda isolation, device: None, emit).grade([right_job, wrong_job])
    assert outcomes[0] == {"test_scale": "passed", "test_affine": "passed"}
    assert outcomes[1] == {"test_scale": "failed", "test_gradient": "skipped", "test_affine": "passed"}


def test_what_a_helper_says_is_met_when_it_runs(mini: Path) -> None:
    """Sentences are gathered where they can reach the learner, not where they are written."""
    suite = mini / "graders" / "task01_scale" / "checks.py"
    edit(suite, "x * 3.0, likely={", "x * 3.0, likely={f'it is {x.ndim} times too large': x * 6.0,")
    course = Course.load(mini)
    found = [str(line) for line in verify_tasks(course, course.tasks[:1], Options(), lambda *_: None)]
    assert "task01_scale: no mutant reaches the likely sentence 'it is 2 times too large' of test_scale" in found


SOURCE = """
LIMIT = 3


def helper(x):
    return x + 1


class Box:
    size = 2

    def open(self):
        return helper(self.size)

    def close(self):
        return 0
"""


def grade_of(*outcomes: Outcome) -> TaskGrade:
    return TaskGrade("t", "T", Status.FAILED, 0.0, 1.0, 0.0, "", "", outcomes)


def failed(check: str, where: str | None, **said: str) -> Outcome:
    return Outcome(check, check, "values", "cpu", Status.FAILED, 0.0, 1.0, where=where, **said)


@pytest.mark.parametrize(
    ("old", "new", "where", "kind"),
    [
        ("x + 1", "x + 2", "t.py:6  helper()", "edited"),
        ("return 0", "return 1", "t.py:13  Box.open()", "class"),
        ("x + 1", "x + 2", "t.py:13  Box.open()", "elsewhere"),
        ("x + 1", "x + 2", None, "nowhere"),
        ("LIMIT = 3", "LIMIT = 4", "t.py:2", "edited"),
        ("size = 2", "size = 3", "t.py:10", "class"),
        ("return 0\n", "return 0\n\n\ndef helper(x):\n    return 9\n", "t.py:20  helper()", "edited"),
    ],
)
def test_a_message_leads_to_the_edit_or_astray(old: str, new: str, where: str | None, kind: str) -> None:
    mutant = Mutant("m", "A mistake.", SOURCE.replace(old, new), ("test_a",))
    counts, astray = places(SOURCE, [(mutant, grade_of(failed("test_a", where)))])
    assert dict(counts) == {kind: 1}
    assert len(astray) == (kind in ("elsewhere", "nowhere"))
    if kind == "elsewhere":
        assert astray == ["mutant m is sent to Box.open by test_a, not to helper"]


def test_messages_are_kept_and_compared_without_their_numbers(mini: Path) -> None:
    task = Course.load(mini).tasks[0]
    mutant = Mutant("m", "A mistake.", SOURCE, ("test_a",))
    passed = replace(failed("test_b", None), status=Status.PASSED)
    said = failed("test_a", "t.py:6  helper()", message="3 differ,\n\nby 0.5", expected="1.5e-3", likely="it is halved")
    pairs = [(mutant, grade_of(said, passed))]
    (task.folder / "messages.txt").write_text(golden(pairs), encoding="utf-8")
    kept = read_golden(task)
    assert kept == {"m": block(*pairs[0])}
    assert block(*pairs[0]).splitlines() == [
        "m: A mistake.",
        "  failed  test_a",
        "              3 differ,",
        "              by 0.5",
        "    expected  1.5e-3",
        "    likely    it is halved",
        "    look at   t.py:6  helper()",
    ]
    assert difference(kept, [(mutant, grade_of(replace(said, expected="1.4e-3")))]) == []
    assert difference(kept, [(mutant, grade_of(replace(said, likely="it is doubled")))]) == ["m"]
    assert without_numbers("-1.5e-07 at [1, 3]") == "# at [#, #]"
    with tempfile.TemporaryDirectory() as folder:
        assert without_numbers(f"open({os.path.join(folder, 'set', 'a.png')!r})") == "open('set/a.png')"


def git(folder: Path, *arguments: str | Path) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_ci_proves_what_changed_and_what_the_commit_draws(mini: Path) -> None:
    """Another commit draws other tasks; the drawing keeps to the seconds that there are."""
    first, second = tasks = Course.load(mini).tasks
    for task, seconds in ((first, 50.0), (second, 90.0)):
        Proof(content_of(task), "", {}, "2026-01-01", seconds, {}, {}).write(task)
    for words in (["init"], ["add", "."], ["commit", "-m", "a"], ["commit", "--allow-empty", "-m", "b"]):
        git(mini, *words)
    assert due(tasks, "", 200.0) == Due(tasks, ())  # both fit
    drawn, quick = set(), set()
    for number in range(9):
        drawn.add(due(tasks, "", 100.0).tasks)
        quick.add(due(tasks, "", 60.0).tasks)
        git(mini, "commit", "--allow-empty", "-m", str(number))
    assert drawn == {(first,), (second,)}  # either fits, both do not
    assert quick == {(first,)}  # the other takes longer than that
    assert due(tasks, "", 0.0) == Due((first,), ())  # one always: the quickest
    edit(second.suite, "1e-3", "2e-3")
    assert due(tasks, "HEAD", 0.0) == Due((second,), ())
    edit(first.suite, "torch.randn(2, 5)", "torch.randn(5, 2)")
    both = due(tasks, "HEAD", 60.0)
    assert {*both.tasks, *both.left} == set(tasks)  # what has changed and does not fit is told
    assert len(both.left) == 1
    Proof(content_of(second), "", {}, "2026-01-02", 90.0, {}, {}).write(second)
    git(mini, "checkout", first.suite)
    git(mini, "commit", "-am", "proved")
    assert due(tasks, "", 0.0) == Due((second,), ())  # proved by its author, and now by CI
    git(mini, "checkout", "-b", "branch")
    git(mini, "commit", "--allow-empty", "-m", "c")
    assert len(due(tasks, "", 0.0).tasks) == 1


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_verify_names_every_fact_that_does_not_hold(mini: Path) -> None:
    """One line for each, and exit 1."""
    task = mini / "graders" / "task01_scale"
    edit(mini / "exercises" / "task01_scale.py", "# TODO: multiply", "# TODO: add")  # stub out of sync
    edit(task / "mutants.yaml", "fails: [test_total]", "fails: [test_scale]")  # survives one, kills another
    edit(task / "mutants.yaml", "likely: the bias is missing", "likely: something else")  # not told
    edit(task / "alternatives" / "einsum.py", '"i->", x', '"i->", 2 * x')  # wrong alternative
    suite = task / "checks.py"
    edit(suite, "x.sum())", "torch.zeros(()))\n    expect.close(submission.total(x) * 0, torch.zeros(3)[0])")
    (mini / "solutions" / "task09_stray.py").write_text("")
    done = grade_py("verify", "task01", cwd=mini)
    said = done.stdout
    assert done.returncode == 1
    for words in (
        "solutions/task09_stray.py belongs to no task",
        "exercises/task01_scale.py is not the stub of its solution",
        "mutant first_row_only survives test_scale, which it names",
        "mutant no_bias is not told 'something else'",
        "alternative einsum is failed in test_total",
        "the solution, proved, is",
    ):
        assert words in said, (words, said)


def test_a_check_without_a_mutant_is_unproven(mini: Path) -> None:
    edit(mini / "graders" / "task02_train" / "mutants.yaml", "test_converges", "test_nothing")
    said = grade_py("verify", "task02", cwd=mini).stdout
    assert "no mutant names test_converges" in said
    assert "a mutant names test_nothing, which is no check" in said


def test_a_mutant_must_apply(mini: Path) -> None:
    edit(mini / "graders" / "task01_scale" / "mutants.yaml", '"x * factor", "x + factor"', '"return", "x"')
    said = grade_py("verify", "task01", cwd=mini).stdout
    assert "'return' occurs 3 times in the solution, not once" in said
    edit(mini / "graders" / "task01_scale" / "mutants.yaml", '"return", "x"', '"x * factor", "x +* factor"')
    done = grade_py("verify", "task01", cwd=mini)
    assert "is no Python any more, at line 11: invalid syntax: return x +* factor" in done.stdout + done.stderr


def test_stubs_are_checked_and_written(mini: Path) -> None:
    path = mini / "exercises" / "task01_scale.py"
    before = path.read_text()
    path.write_text("old = 1\n")
    assert grade_py("stubs", "--check", cwd=mini).returncode == 1
    assert path.read_text() == "old = 1\n"
    refused = grade_py("stubs", cwd=mini)
    assert refused.returncode == 2
    assert "say --yes" in refused.stderr
    assert path.read_text() == "old = 1\n"
    assert grade_py("stubs", "--yes", cwd=mini).returncode == 0
    assert path.read_text() == before
    assert [kept.read_text() for kept in path.parent.glob("*.py.bak")] == ["old = 1\n"]


def test_edits_are_small_and_have_names() -> None:
    names = [edit.name for edit in edits((MINI / "solutions" / "task01_scale.py").read_text())]
    assert "scale: x * factor -> x / factor" in names
    assert len(names) == len(set(names))


EDITED = '''
def f(x, items, k=1):
    """D."""
    if k < 0:
        raise ValueError("k")
    y = F.relu(x.abs(), inplace=False).sum(dim=(1, 2)) + x.mean()
    if k == 1 and x.requires_grad:
        y = y.detach()
    for item in items:
        y = y * item[k]
        y = y + items[k:][0]
    return y


class C:
    def step(self, x):
        self.count += 1
        self.run(x)
        x.mul_(self.rate)
'''


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("f: k < 0 -> k <= 0", "if k <= 0:"),
        ("f: k == 1 and x.requires_grad -> k == 1 or x.requires_grad", "if k == 1 or x.requires_grad:"),
        ("f: F.relu(x.abs(), inplace=False) -> F.relu(x.abs())", "F.relu(x.abs()).sum"),
        ("f: F.relu(x.abs(), inplace=False) -> x.abs()", "y = x.abs().sum(dim=(1, 2))"),
        ("f: x.abs() -> x", "F.relu(x, inplace=False)"),
        ("f: y.detach() -> y", "        y = y\n"),
        ("f: y = y * item[k] with .detach()", "y = (y * item[k]).detach()"),
        ("f: item[k] -> item[k + 1]", "item[k + 1]"),
        ("f: items[k:] -> items[k + 1:]", "items[k + 1:][0]"),
        ("f: dim=(1, 2) -> dim=(1,)", "sum(dim=(1,))"),
        ("f: y * item[k] -> y", "        y = y\n"),
        ("f: for item in items: ends after one turn", "        break\n"),
        ("f: y = y * item[k] moved behind the next statement", "y = y + items[k:][0]\n        y = y * item[k]"),
        ("C.step: self.rate -> 1", "x.mul_(1)"),
        ("C.step: self.run(x) -> x", "        x\n"),
        ("C.step: returns before x.mul_(self.rate)", "        self.run(x)"),
        ("C.step: self.count += 1 moved behind the next statement", "self.run(x)\n        self.count += 1"),
    ],
)
def test_each_operator_makes_its_edit(name: str, changed: str) -> None:
    made = {edit.name: edit for edit in edits(EDITED)}
    text = made[name].text
    assert changed in text
    compile(text, "mutant", "exec")
    assert text != ast.unparse(ast.parse(EDITED))


def test_no_edit_is_the_same_program_by_its_text() -> None:
    made = edits(EDITED)
    assert len({edit.text for edit in made}) == len(made)
    assert ast.unparse(ast.parse(EDITED)) not in {edit.text for edit in made}


def test_what_the_stub_gives_is_not_edited() -> None:
    text = (
        "def given(x):\n    return x + 1\n\n\n"
        "# BEGIN SOLUTION\ndef helper(x):\n    return x * 2\n\n\n# END SOLUTION\n"
        "def gap(x):\n    # BEGIN SOLUTION\n    return x - 3\n    # END SOLUTION\n"
    )
    assert {edit.name.partition(":")[0] for edit in edits(text)} == {"helper", "gap"}


@pytest.mark.parametrize(
    ("statements", "swapped"),
    [
        ("a = p\nb = f(q)", False),
        ("a, c = p, q\nb = len(p)", False),  # handed on, not computed with
        ("self.a = p\nself.b = f(q)", False),
        ("names = []\ndef note(x): names.append(x)", False),
        ("a = p + 1\nb = f(p)", True),  # f may change p
        ("a = f(p)\nb = g(q)", True),  # both may draw from one generator
        ("a = p\nb = a", True),
        ("a = p\na = f(q)", True),
        ("self.a = p\nb = f(self)", True),
        ("self.a = p\nb = f(self.a)", True),
        ("a[0] = p\nb = q", True),
        ("a = p\nif q: raise ValueError", True),
        ("a += p\nb = q", True),
    ],
)
def test_neighbours_are_swapped_where_their_order_says_something(statements: str, swapped: bool) -> None:
    text = "def f(self, p, q):\n" + "".join(f"    {line}\n" for line in (*statements.split("\n"), "return p"))
    assert any("moved behind" in edit.name for edit in edits(text)) is swapped


def test_one_mutant_can_be_proved_alone(mini: Path) -> None:
    edit(mini / "graders" / "task01_scale" / "mutants.yaml", '"x[0].sum()"', '"x.sum(dim=None)"')  # no mutant at all
    said = grade_py("verify", "task01", "--only", "mutant no_bias", "--timeout-scale", "5", cwd=mini)
    assert (said.returncode, said.stdout.strip()) == (0, "every fact holds")
    said = grade_py("verify", "task01", "--only", "no_byas", cwd=mini)
    assert (said.returncode, said.stdout.strip()) == (1, "task01_scale: no case has 'no_byas' in its name")


def test_an_explanation_names_its_inputs(mini: Path) -> None:
    task = Course.load(mini).tasks[0]
    place = task.folder / "equivalent.yaml"
    place.write_text("'scale: a -> b':\n  inputs: finite numbers\n  why: They are the same.\n")
    assert equivalents(task) == {"scale: a -> b": "finite numbers: They are the same."}
    place.write_text("'scale: a -> b': They are the same.\n")
    with pytest.raises(CourseError, match="says for which inputs, in words, and why"):
        equivalents(task)


def test_machine_made_mutants_are_graded() -> None:
    done = grade_py("verify", "task01", "--mutate", cwd=MINI)
    assert "killed" in done.stdout
    assert "x * factor" not in done.stdout.replace("survives", "")
