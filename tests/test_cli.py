"""The commands as a learner types them, on the miniature course."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from support import MINI, ROOT, checks_of, copy_of_mini, grade_py, result_of

from torchgrade.cli import main
from torchgrade.course import Course, Task, Track

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()


def test_stubs_are_todo(mini: Path) -> None:
    """An untouched course is calm: todo everywhere, no points, exit 1, and the next gap is named."""
    done = grade_py(cwd=mini)
    assert done.returncode == 1
    assert "0/12" in done.stdout
    assert "FAIL" not in done.stdout
    assert "next: fill the gap at exercises/task01_scale.py:10" in done.stdout
    assert "python grade.py hint task01" in done.stdout


def test_solutions_pass(mini: Path) -> None:
    """Everything passes: exit 0, and the last line says so."""
    done = grade_py("--solutions", cwd=mini)
    assert done.returncode == 0, done.stdout
    assert "12/12" in done.stdout
    assert done.stdout.strip().endswith("everything asked for passed.")


def test_a_failure_reads_as_documented(mini: Path) -> None:
    """Sentence, expected, got, likely, look at; within 80 columns; no traceback."""
    wrong = SOLUTION.replace("return x * factor", "return x + factor")
    (mini / "exercises" / "task01_scale.py").write_text(wrong)
    done = grade_py("task01", cwd=mini)
    lines = done.stdout.splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith("FAIL  scale multiplies every element  ")]
    labels = [line[8:18].strip() for line in lines[starts[-1] + 1 :] if line.startswith("        ")]
    order = [label for label in labels if label in ("given", "expected", "got", "likely", "look at")]
    assert order[:4] == ["expected", "got", "likely", "look at"]
    assert any(line.strip() == "likely    the factor is added, not multiplied" for line in lines)
    assert any(line.strip().startswith("look at   exercises/task01_scale.py:7  scale()") for line in lines)
    assert max(map(len, lines)) <= 80
    assert "Traceback" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout


def test_verbose_shows_what_a_passed_check_printed(mini: Path) -> None:
    """A passed check has a second line only for what the table does not say."""
    talking = SOLUTION.replace("return x * factor", "print('hello'); return x * factor")
    (mini / "exercises" / "task01_scale.py").write_text(talking)
    done = grade_py("task01", "--verbose", cwd=mini)
    assert done.stdout.count("scale multiplies every element") == 2
    assert re.search(r"printed +hello", done.stdout)
    quiet = grade_py("task01", "--verbose", "--solutions", cwd=mini)
    assert quiet.stdout.count("scale multiplies every element") == 1


def test_what_numpy_warns_of_in_a_suite_is_no_news(mini: Path) -> None:
    suite = mini / "graders" / "task01_scale" / "checks.py"
    text = suite.read_text().replace("import torch\n", "import numpy as np\nimport torch\n", 1)
    suite.write_text(text.replace("x = torch.randn(2, 5)", "x = torch.randn(2, 5) + float(np.float64(1) / 0)"))
    done = grade_py("task01", "--solutions", "-v", cwd=mini)
    assert "total sums all elements" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "near"),
    [("task03", "task01_scale"), ("tsak01", "task01_scale"), ("scale", "task01_scale"), ("task0", "task02_train")],
)
def test_an_unknown_task_names_the_near_ones(name: str, near: str) -> None:
    done = grade_py(name, cwd=MINI)
    assert done.returncode == 2
    assert near in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("name", "meant"), [("bacth", "batch"), ("statistics", "--help lists the commands")])
def test_a_mistyped_command_is_named_before_its_options(name: str, meant: str) -> None:
    done = grade_py(name, "class", "--out", "results", cwd=MINI)
    assert done.returncode == 2
    assert done.stderr.startswith(f"grade.py: there is no task '{name}'; ")
    assert meant in done.stderr


def test_a_command_is_proposed_only_where_one_may_stand() -> None:
    assert grade_py("hint", "list", cwd=MINI).stderr == "grade.py: there is no task 'list'\n"


def test_an_unknown_option_is_an_error() -> None:
    done = grade_py("task01", "--no-such-option", cwd=MINI)
    assert done.returncode == 2
    assert "unrecognized arguments: --no-such-option" in done.stderr


@pytest.mark.parametrize(("words", "ran"), [(["scale"], 2), (["sums", "ALL"], 1), (["Affine", "scale"], 3)])
def test_the_checks_of_one_function_or_of_some_words(words: list[str], ran: int, mini: Path) -> None:
    """Only they run, nothing is recorded, and the last line leads back to the whole task."""
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION)
    done = grade_py("task01", *words, "-v", cwd=mini)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("   pass   ") == ran, done.stdout
    assert done.stdout.splitlines()[-1] == "next: python grade.py task01, which runs all of its checks"
    assert not (mini / ".torchgrade").exists()


def test_a_word_that_fits_no_check_names_the_functions() -> None:
    done = grade_py("task01", "pooling", cwd=MINI)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "grade.py: task01 has no check with 'pooling' in its title; its functions and classes: "
    )
    assert "scale, total" in done.stderr


def test_a_task_that_passed_names_the_next_one(mini: Path) -> None:
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION)
    done = grade_py("task01", cwd=mini)
    assert done.stdout.splitlines()[-1] == "next: exercises/task02_train.py  Train a line"


def test_one_root_is_told_once(mini: Path) -> None:
    """Two checks that meet the same exception at the same line are one entry; what next: names comes last."""
    body = "def fail(x):\n    return x.nothing\n\n\n" + SOLUTION[SOLUTION.index("def scale") :]
    body = body.replace("return x * factor", "return fail(x)").replace("return x.sum()", "return fail(x)")
    (mini / "exercises" / "task01_scale.py").write_text("import torch\nfrom torch import Tensor, nn\n\n\n" + body)
    done = grade_py("task01", cwd=mini)
    assert done.stdout.count("'Tensor' object has no attribute 'nothing'") == 1, done.stdout
    assert "also      1 more check, for the same reason" in done.stdout
    assert done.stdout.splitlines()[-1] == 'next: "scale multiplies every element"'


def test_what_the_code_printed_is_never_cut_within_a_line(mini: Path) -> None:
    line = "0.12345 " * 40
    talking = SOLUTION.replace("return x * factor", f"print(('{line}|\\n') * 30); return x + factor")
    (mini / "exercises" / "task01_scale.py").write_text(talking)
    short = grade_py("task01", cwd=mini).stdout
    assert f"printed   {line}|" in short
    assert "… and 25 more lines" in short
    assert grade_py("task01", "-v", cwd=mini).stdout.count(f"{line}|") == 30


@pytest.mark.parametrize("name", ["task01", "task1", "Task 1", "task01_scale", "1", "01", "exercises/task01_scale.py"])
def test_a_task_has_many_names(name: str) -> None:
    """Also where task10 begins with the same letters."""
    tasks = tuple(Task(stem, MINI) for stem in ("task01_scale", "task10_other", "task12_more"))
    course = Course(MINI, "C", (Track("", "", "", tasks),))
    assert course.find(name).stem == "task01_scale"


def test_json_goes_to_a_file_as_well(mini: Path, tmp_path: Path) -> None:
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION)
    done = grade_py("task01", "--json", tmp_path / "r.json", "--junit", tmp_path / "r.xml", "-q", cwd=mini)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("points  8/8  (100%)")
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["points"] == 8.0
    assert (tmp_path / "r.xml").read_text().count("<testcase ") == 4


def test_a_submission_may_be_a_file_a_folder_or_an_archive(mini: Path, tmp_path: Path) -> None:
    import zipfile

    folder = tmp_path / "ann"
    folder.mkdir()
    (folder / "task01_scale.py").write_text(
        "from helper import times\n" + SOLUTION.replace("x * factor", "times(x, factor)")
    )
    (folder / "helper.py").write_text("def times(a, b):\n    return a * b\n")
    with zipfile.ZipFile(tmp_path / "ann.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"ann/{path.name}")
    single = tmp_path / "ann_task01_final.py"
    single.write_text(SOLUTION)
    for path in (folder, tmp_path / "ann.zip", single):
        names = ["task01"] if path.suffix == ".zip" else []
        result = result_of(*names, "--submission", path, cwd=mini, code=0)
        assert result["points"] == 8.0, path


def test_a_notebook_points_at_cell_and_line(mini: Path, tmp_path: Path) -> None:
    body = SOLUTION.replace("return x * factor", "return x + factor")
    cells = [
        {"cell_type": "markdown", "source": ["# Homework"]},
        {"cell_type": "code", "source": "%matplotlib inline\nimport torch\nfrom torch import Tensor, nn"},
        {"cell_type": "code", "source": body[body.index("def scale") : body.index("def total")]},
        {"cell_type": "code", "source": body[body.index("def total") :]},
    ]
    notebook = tmp_path / "task01_scale.ipynb"
    notebook.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    check = checks_of(result_of("task01", "--submission", notebook, cwd=mini, code=1))["test_scale"]
    assert "code cell 2, line 1  scale()" in check["where"]
    assert check["likely"] == "the factor is added, not multiplied"


def test_the_latest_text_is_graded(mini: Path) -> None:
    """Two saves of the same size within one second: never the old version."""
    path = mini / "exercises" / "task01_scale.py"
    stamp = time.time()
    points = []
    for operator in ("*", "+", "*"):
        path.write_text(SOLUTION.replace("x * factor", f"x {operator} factor"))
        os.utime(path, (stamp, stamp))
        points.append(result_of("task01", cwd=mini)["points"])
    assert points[0] == points[2] == 8.0
    assert points[1] < 8.0
    assert not list(mini.rglob("exercises/__pycache__"))


def test_list_shows_the_best_grade(mini: Path) -> None:
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION)
    grade_py("task01", cwd=mini)
    (mini / "exercises" / "task01_scale.py").write_text("")
    grade_py("task01", cwd=mini)
    done = grade_py("list", cwd=mini)
    assert done.returncode == 0
    assert re.search(r"task01\s+Multiply and add\s+low\s+8/8", done.stdout)
    assert re.search(r"task02\s+Train a line\s+middle\s+-", done.stdout)


def test_hints_escalate_and_all_that_were_seen_can_be_seen_again(mini: Path) -> None:
    first, second = (
        "hint 1/2  Read the docstrings once more.",
        "hint 2/2  A tensor knows how to multiply itself by a number.",
    )

    def shown(*more: str) -> list[str]:
        return grade_py("hint", "task01", *more, cwd=mini).stdout.strip().splitlines()

    assert shown("--seen") == ["no hint of this task was shown yet"]
    assert shown() == [first]
    assert shown("--seen") == [first]
    assert shown() == [second]
    assert shown() == ["these are all; a check that fails later may have others", first, second]
    assert shown("2") == [second]


def test_a_hint_belongs_to_the_check_that_fails_first(mini: Path) -> None:
    """Its own come first, then the task's; those of other checks wait until it is their turn."""
    manifest = mini / "graders" / "task01_scale" / "task.yaml"
    own = "hints:\n  - for: [test_scale]\n    hint: Of scale.\n  - for: [test_total]\n    hint: Of total.\n"
    manifest.write_text(manifest.read_text().replace("hints:\n", own))
    total_wrong = SOLUTION.replace("return x.sum()", "return x.mean()")
    (mini / "exercises" / "task01_scale.py").write_text(total_wrong)
    ungraded = grade_py("hint", "task01", cwd=mini).stdout
    assert ungraded == "hint 3/4  Read the docstrings once more.\n"
    grade_py("task01", cwd=mini)
    texts = [grade_py("hint", "task01", cwd=mini).stdout for _ in range(2)]
    assert texts[0] == 'for "total sums all elements"\nhint 2/4  Of total.\n'
    assert texts[1] == "hint 4/4  A tensor knows how to multiply itself by a number.\n"


def test_what_earlier_versions_noted_of_hints_still_counts(mini: Path) -> None:
    (mini / ".torchgrade").mkdir()
    noted = {"task01_scale": {"points": 1.0, "max_points": 8.0, "hints": 1}}
    (mini / ".torchgrade" / "progress.json").write_text(json.dumps(noted))
    assert grade_py("hint", "task01", cwd=mini).stdout.startswith("hint 2/2")


def test_reset_keeps_the_old_file(mini: Path) -> None:
    path = mini / "exercises" / "task01_scale.py"
    stub = path.read_text()
    path.write_text("mine = 1\n")
    refused = grade_py("reset", "task01", cwd=mini)
    assert refused.returncode == 2
    assert path.read_text() == "mine = 1\n"
    done = grade_py("reset", "task01", "--yes", cwd=mini)
    assert done.returncode == 0
    assert path.read_text() == stub
    kept = list((mini / "exercises").glob("task01_scale.*.py.bak"))
    assert [item.read_text() for item in kept] == ["mine = 1\n"]
    assert "is the stub already" in grade_py("reset", "task01", cwd=mini).stdout


@pytest.mark.parametrize("arguments", [["list"], ["hint", "task01"], ["--help"], ["stubs", "--check"]])
def test_light_commands_do_not_import_torch(arguments: list[str], mini: Path) -> None:
    program = f"import sys; sys.argv[1:] = {arguments!r}; from torchgrade.cli import main\ntry:\n    main()\nfinally:\n    assert 'torch' not in sys.modules; print('light')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=mini,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith("light"), done.stderr


def test_colour_is_obeyed(mini: Path) -> None:
    """A pipe has none, FORCE_COLOR brings it, NO_COLOR and TERM=dumb take it away."""
    (mini / "exercises" / "task01_scale.py").write_text("")
    plain = {"NO_COLOR": ""}
    assert "\x1b[" not in grade_py("task01", cwd=mini, **plain).stdout
    assert "\x1b[31m" in grade_py("task01", cwd=mini, FORCE_COLOR="1", TERM="xterm", **plain).stdout
    assert "\x1b[31m" not in grade_py("task01", "--no-color", cwd=mini, FORCE_COLOR="1", **plain).stdout


def test_progress_shows_task_and_check_on_a_terminal(mini: Path) -> None:
    """On a real pseudo-terminal, the live line names the task and a check."""
    (mini / "exercises" / "task01_scale.py").write_text(
        SOLUTION.replace("return x * factor", "import time; time.sleep(1); return x * factor")
    )
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "grade.py"), "task01"],
        cwd=mini, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(slave)
    seen = b""
    try:
        while chunk := os.read(master, 4096):
            seen += chunk
    except OSError:
        pass
    assert process.wait() == 0
    assert b"task01: scale multiplies every element" in seen
    assert b"everything asked for passed" in seen


def test_ctrl_c_stops_cleanly(mini: Path) -> None:
    """Exit 130, one sentence, and nothing is left running."""
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION + "\nimport time; time.sleep(86399)\n")
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "grade.py"), "task01", "--timeout-scale", "1000"],
        cwd=mini, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )  # fmt: skip
    below: set[int] = set()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(below) < 4:
        below = descendants(process.pid)
        time.sleep(0.2)
    assert below, "no grader was started"
    os.killpg(process.pid, signal.SIGINT)
    _out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip() == "grade.py: stopped; nothing is left running"
    deadline = time.monotonic() + 5
    while alive(below) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(below)


def descendants(pid: int) -> set[int]:
    found, queue = set(), [pid]
    while queue:
        for path in Path(f"/proc/{queue.pop()}/task").glob("*/children"):
            for child in map(int, path.read_text().split()):
                found.add(child)
                queue.append(child)
    return found


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_debug_reaches_the_same_outcomes(mini: Path) -> None:
    """In process or across the line: the same statuses, messages and points, for right, wrong and raising code."""
    sources = [
        SOLUTION,
        SOLUTION.replace("return x * factor", "return x + factor").replace("x.sum()", "int('no')"),
        SOLUTION.replace("def total", "def totals").replace("return x * factor", "raise NotImplementedError"),
    ]
    for source in sources:
        (mini / "exercises" / "task01_scale.py").write_text(source)
        here = result_of("task01", "--debug", cwd=mini)
        assert not (mini / ".torchgrade").exists(), "a run under --debug is not recorded"
        there = result_of("task01", cwd=mini)
        shutil.rmtree(mini / ".torchgrade")
        for one, other in zip(there["tasks"][0]["checks"], here["tasks"][0]["checks"], strict=True):
            assert {**one, "seconds": 0} == {**other, "seconds": 0}


def debugged(mini: Path, put_in: str, typed: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Grade task01 with ``put_in`` before its return, with somebody typing."""
    source = SOLUTION.replace("    return x * factor", f"    {put_in}\n    return x * factor")
    (mini / "exercises" / "task01_scale.py").write_text(source)
    return subprocess.run(
        [sys.executable, str(ROOT / "grade.py"), "task01", *options],
        cwd=mini, input=typed, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_debug_stops_at_a_breakpoint(mini: Path) -> None:
    """``breakpoint()`` in the learner's file opens the debugger there."""
    done = debugged(mini, "breakpoint()", "p factor * 111\nc\n" * 3, "--debug")
    assert "333.0" in done.stdout
    assert "exercises/task01_scale.py" in done.stdout


def test_pdb_stops_where_the_code_raised(mini: Path) -> None:
    """Without --debug beside it, once for each check that raised, and without the grader's own source."""
    done = debugged(mini, "secret = 4; raise ValueError('here')", "p secret * 1111\nc\n" * 4, "--pdb")
    assert "4444" in done.stdout
    assert done.stdout.count("(Pdb)") == 2
    assert "torchgrade/" not in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(("put_in", "option"), [("breakpoint()", "--debug"), ("raise ValueError('here')", "--pdb")])
def test_q_leaves_the_debugger_and_the_run(put_in: str, option: str, mini: Path) -> None:
    done = debugged(mini, put_in, "q\n", option)
    assert done.returncode == 130
    assert done.stdout.count("(Pdb)") == 1
    assert done.stderr == "grade.py: stopped; nothing is left running\n"


def test_a_breakpoint_that_nobody_stands_at_says_what_opens_it(mini: Path) -> None:
    done = debugged(mini, "breakpoint()", "")
    assert "add --debug to the command" in " ".join(done.stdout.split())
    assert "BdbQuit" not in done.stdout


def test_a_syntax_error_hides_behind_no_table(mini: Path) -> None:
    """File or line, the text and a caret come first; what waits for the file is no news."""
    done = debugged(mini, "x = = 2", "")
    lines = done.stdout.splitlines()
    assert "x = = 2" in done.stdout
    assert re.search(r"exercises/task01_scale.py:1\d, column 9", done.stdout), done.stdout
    assert re.search(r"exercises/task01_scale.py:1\d, column 9", done.stdout.splitlines()[-1])
    assert [line.strip() for line in lines if "^" in line] == ["^"]
    assert "skip" not in done.stdout


def test_the_course_is_found_from_below(mini: Path) -> None:
    assert "Multiply and add" in grade_py("list", cwd=mini / "graders" / "task01_scale").stdout


def test_a_course_below_a_folder_that_cannot_be_listed() -> None:
    """Homes often lie in a folder that may be entered only; root may list everything, so somebody else grades."""
    command = [sys.executable, str(ROOT / "grade.py"), "--solutions", "task01"]
    if os.getuid() == 0:
        command = [sys.executable, str(ROOT / "tests" / "ordinary.py"), *command]
    with tempfile.TemporaryDirectory() as name:
        course = copy_of_mini(Path(name))
        for path in (course, *course.rglob("*")):
            path.chmod(0o777)
        Path(name).chmod(0o311)
        done = subprocess.run(command, cwd=course, capture_output=True, text=True, timeout=240, check=False)
        Path(name).chmod(0o700)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_course_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As the installed ``torchgrade``, which lies in no course."""
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 2
    assert "no course.yaml" in capsys.readouterr().err


def test_a_broken_suite_is_our_fault(mini: Path) -> None:
    """Exit 3, a sentence, and the other task is graded."""
    suite = mini / "graders" / "task01_scale" / "checks.py"
    suite.write_text(suite.read_text().replace("x * 3.0,", "x * undefined_name,"))
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION)
    result = result_of(cwd=mini, code=3)
    checks = checks_of(result)
    assert checks["test_scale"]["status"] == "broken"
    assert "undefined_name" in checks["test_scale"]["message"]
    assert checks["test_total"]["status"] == "passed"
    assert checks["test_converges"]["status"] == "todo"
    assert checks["test_scale"]["max_points"] == 0.0


def test_a_suite_that_cannot_be_read_is_our_fault(tmp_path: Path) -> None:
    mini = copy_of_mini(tmp_path)
    (mini / "graders" / "task01_scale" / "checks.py").write_text("import nothing_of_this_name\n")
    result = result_of("task01", cwd=mini, code=3)
    assert "cannot be collected" in result["tasks"][0]["checks"][0]["message"]


@pytest.mark.bare
def test_isolation_that_cannot_be_had_is_our_fault(mini: Path, tmp_path: Path) -> None:
    """No bubblewrap on the path: the sentence says so, and no traceback does (``result_of`` looks for one)."""
    arguments = ("task01", "--solutions", "--isolation", "strict")
    task = result_of(*arguments, cwd=mini, code=3, PATH=str(tmp_path))["tasks"][0]
    check = task["checks"][0]
    assert task["isolation"] == "none"
    assert check["status"] == "broken"
    assert check["message"].startswith("Level 3 (strict) does not hold here: ")


def test_a_value_that_the_suite_cannot_use_is_the_learners(mini: Path) -> None:
    """``None`` where a tensor is multiplied: failed with a sentence, not broken."""
    source = SOLUTION.replace("return x * factor", "return x * factor if x.dtype == torch.float32 else None")
    (mini / "exercises" / "task01_scale.py").write_text(source)
    check = checks_of(result_of("task01", cwd=mini, code=1))["test_gradient"]
    assert check["status"] == "failed"
    assert "cannot be used" in check["got"]


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_here_is_unavailable(mini: Path, device: str) -> None:
    if Path("/dev/nvidiactl").exists() if device == "cuda" else sys.platform == "darwin":
        pytest.skip(f"this machine has a device {device}")
    result = result_of("task01", "--solutions", "--device", device, cwd=mini, code=1)
    assert {check["status"] for check in result["tasks"][0]["checks"]} <= {"unavailable", "skipped"}
    assert result["points"] == 0
