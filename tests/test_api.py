"""For programs: the Python API and ``serve-jsonl``, on the miniature course with real graders."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading

import pytest
from support import MINI, ROOT

from torchgrade import Grader
from torchgrade.api import code_of, points
from torchgrade.errors import UnknownTask, UsageError
from torchgrade.isolation.confine import watch
from torchgrade.model import Status

pytestmark = pytest.mark.timeout(300)
SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
WRONG = SOLUTION.replace("return x * factor", "return x + factor")


@pytest.fixture(scope="module")
def grader():
    with Grader(MINI, jobs=2, isolation="process") as made:
        yield made


def test_one_many_from_threads_and_in_a_loop(grader):
    right = grader.grade(SOLUTION, "task01")
    assert (right.status, points(right), right.points) == (Status.PASSED, 8.0, 8.0)
    wrong = grader.grade(WRONG.encode(), "task01", seed=11)
    assert 0 < points(wrong) < 8 or points(wrong) == 0.0
    assert any("added, not multiplied" in (check.likely or "") for check in wrong.checks)
    many = dict(
        grader.grade_many([(SOLUTION, "task01"), (WRONG, "task01"), (MINI / "solutions" / "task01_scale.py", "task01")])
    )
    assert [many[place].points == 8 for place in range(3)] == [True, False, True]
    found = []
    threads = [threading.Thread(target=lambda: found.append(grader.grade(SOLUTION, "task01").points)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [8.0] * 4

    async def both():
        return await asyncio.gather(grader.grade_async(SOLUTION, "task01"), grader.grade_async(WRONG, "task01"))

    assert [grade.points == 8 for grade in asyncio.run(both())] == [True, False]


def test_rewards_are_shares_and_none_without_a_verdict(grader):
    texts = [f"Here it is:\n```python\n{SOLUTION}```\n", [{"role": "assistant", "content": WRONG}], "no code at all ("]
    dense = grader.reward("task01")(texts, prompts=["?"] * 3)
    assert dense[0] == 1.0
    assert 0.0 <= dense[1] < 1.0
    assert dense[2] == 0.0
    assert grader.reward("task01", dense=False)(texts)[:2] == [1.0, 0.0]
    with Grader(MINI, jobs=1, isolation="process", device="mps") as elsewhere:
        if sys.platform != "darwin":
            assert elsewhere.reward("task01")([SOLUTION]) == [None]
    assert code_of("```py\na = 1\n```\ntext\n```\nb = 2\n```") == "b = 2\n"
    assert code_of("```Python\r\na = 1\n```") == "a = 1\n"
    parts = [{"type": "text", "text": "a = "}, {"type": "image"}, {"type": "text", "text": "1"}]
    assert [code_of(one) for one in (None, [], {"content": None}, [{"content": parts}], [{"role": "a", "content": "b"}])] == [
        "", "", "", "a = 1", "b",
    ]  # fmt: skip
    assert grader.reward("task01")(["x = '\ud800'"]) == [0.0]  # half a pair of surrogates is no error of ours


def test_what_cannot_be_graded_is_said_at_once():
    before = watch.children_of(os.getpid())
    for scale in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--timeout-scale is a number above 0"):
            Grader(MINI, jobs=1, isolation="process", timeout_scale=scale)
    with Grader(MINI, jobs=1, isolation="process") as made:
        with pytest.raises(UnknownTask):
            made.submit("", "task99")
        with pytest.raises(OSError):
            made.submit(MINI / "nothing.py", "task01")
    with pytest.raises(UsageError, match="closed"):
        made.submit(SOLUTION, "task01")
    assert watch.children_of(os.getpid()) == before


def test_lines_of_json_are_answered_one_by_one():
    requests = [
        json.dumps({"id": 1, "task": "task01", "source": SOLUTION}),
        json.dumps({"id": "two", "task": "task01", "source": WRONG, "seed": 9}),
        "not JSON",
        json.dumps([1]),
        json.dumps({"id": 3, "task": "task77", "source": ""}),
        json.dumps({"id": 4, "task": "task01"}),
        json.dumps({"id": 7, "task": "task01", "source": "", "seed": True}),
        '{"id": NaN, "task": "task01"}',
        "[" * 100_000,
        json.dumps({"id": 5, "task": "task01", "source": "x" * (9 << 20)}),
        "",
        json.dumps({"id": 6, "task": "task01", "source": SOLUTION}),
    ]
    command = [sys.executable, str(ROOT / "grade.py"), "serve-jsonl", "--isolation", "process", "--jobs", "2"]
    environment = {**os.environ, "TORCHGRADE_COURSE": str(MINI)}
    done = subprocess.run(
        command, input="\n".join(requests), capture_output=True, text=True, env=environment, timeout=250
    )
    assert done.returncode == 0, done.stderr
    assert "NaN" not in done.stdout.replace("JSON: NaN", "")  # which is no JSON
    assert "Traceback" not in done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == 11
    graded = {answer["id"]: answer for answer in answers if "points" in answer}
    assert {number: answer["points"] == 8 for number, answer in graded.items()} == {1: True, "two": False, 6: True}
    assert graded[1]["checks"][0].keys() >= {"id", "title", "status", "points"}
    errors = {str(answer["id"]): answer["error"] for answer in answers if "error" in answer}
    assert "no task 'task77'" in errors["3"]
    assert '"source"' in errors["4"]
    assert errors.keys() == {"None", "3", "4", "7"}
    assert sum("error" in answer for answer in answers) == 8
    assert sum("the line is not JSON" in answer.get("error", "") for answer in answers) == 3


def test_a_client_that_leaves_is_not_graded_to_the_end():
    """After its first answer it closes both ends; what waits for room is given up."""
    command = [sys.executable, str(ROOT / "grade.py"), "serve-jsonl", "--isolation", "process", "--jobs", "1"]
    environment = {**os.environ, "TORCHGRADE_COURSE": str(MINI)}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(300):  # ten minutes and more
        source = f"{SOLUTION}\nimport time\ntime.sleep(2)  # {number}\n"
        process.stdin.write(json.dumps({"id": number, "task": "task01", "source": source}) + "\n")
    process.stdin.flush()
    assert "points" in json.loads(process.stdout.readline())
    process.stdout.close()
    process.stdin.close()
    assert process.wait(timeout=250) == 0


def test_many_may_be_without_end_and_a_grader_may_stop(grader):
    """Pairs are taken a few ahead; what was not begun by then raises, and nothing waits for ever."""
    taken = []

    def endless():
        while True:
            taken.append(None)
            yield f"{SOLUTION}# {len(taken)}", "task01"

    found = grader.grade_many(endless())
    assert [next(found)[1].points for _ in range(2)] == [8.0, 8.0]
    assert len(taken) <= 8 + 2
    with Grader(MINI, jobs=1, isolation="process") as made:
        futures = [made.submit(f"{SOLUTION}# {number}", "task01") for number in range(20)]
        made.stop()
        ends = [future.exception(timeout=120) for future in futures]
        assert sum(isinstance(end, UsageError) for end in ends) >= 18
        with pytest.raises(UsageError, match="closed"):
            made.submit(SOLUTION, "task01")


def test_the_example_of_the_readmes_runs_as_it_stands():
    """In both languages the same lines, in the checkout; the reference has all of its points."""
    examples = [
        re.search(r"^```python\n(.*?)^```$", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[1]
        for name in ("README.md", "README.zh-CN.md")
    ]
    assert examples[0] == examples[1]
    done = subprocess.run([sys.executable, "-c", examples[0]], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    status, points, _, most = done.stdout.split()
    assert (status, points) == ("passed", most)
