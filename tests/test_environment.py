"""Nothing of a shell, a terminal or a folder decides a mark, and what cannot be used is said before any work."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import MINI, ROOT, copy_of_mini, grade_py, result_of

from torchgrade.cli import main
from torchgrade.environment import FIXED, inherited
from torchgrade.hardware import cores, devices
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.launch import command

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
# Each decided a mark, stopped a grading, or could: by variable, by a search path, by the encoding of text.
HOSTILE = {
    "PYTEST_ADDOPTS": "-k dtypes -n 2 --timeout=1 --pdb",
    "PYTEST_PLUGINS": "no_such_plugin",
    "PYTEST_DEBUG": "1",
    "PY_COLORS": "1",
    "PYTHONHASHSEED": "7",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONSAFEPATH": "1",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONSTARTUP": "/no/such/file.py",
    "PYTHONBREAKPOINT": "no.such.hook",
    "ATEN_CPU_CAPABILITY": "default",
    "OMP_NUM_THREADS": "x",
    "OMP_PROC_BIND": "true",
    "KMP_AFFINITY": "disabled",
    "MKL_NUM_THREADS": "5",
    "OPENBLAS_NUM_THREADS": "5",
    "TORCH_LOGS": "+all",
    "TORCH_SHOW_CPP_STACKTRACES": "1",
    "PYTORCH_JIT": "0",
    "LC_ALL": "de_DE.ISO-8859-1",
    "LANG": "C",
}
STRANGERS = ("random", "torch", "types", "yaml", "select", "tokenize", "json", "numpy", "msgpack", "pytest", "enum")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature course as a checkout of its own, its exercises solved, for tests that only read it."""
    folder = copy_of_mini(tmp_path_factory.mktemp("checkout"))
    shutil.copy(ROOT / "grade.py", folder)
    (folder / "torchgrade").symlink_to(ROOT / "torchgrade")
    for path in (folder / "solutions").glob("*.py"):
        shutil.copy(path, folder / "exercises")
    return folder


def strangers(folder: Path, names: Sequence[str] = STRANGERS) -> None:
    """Scratch files with the names of modules; whoever imports one is told."""
    for name in names:
        (folder / f"{name}.py").write_text(f"raise SystemExit('imported the scratch file {name}.py')\n")


def verdicts(result: dict) -> list:
    """What must not depend on anything but the work and the seed."""
    return [
        (task["task"], task["points"], task["max_points"], [{**check, "seconds": 0} for check in task["checks"]])
        for task in result["tasks"]
    ]


def test_no_variable_reaches_grader_or_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**HOSTILE, "SECRET_TOKEN": "x", "PYTHONPATH": "/mine"}.items():
        monkeypatch.setenv(name, value)
    sides = [inherited(), *(command.environment(Plan(level=level)) for level in (1, 2, 3))]
    for side in sides:
        assert {name: side[name] for name in FIXED} == FIXED
        others = {name for name in side if name not in FIXED} & (HOSTILE.keys() | {"SECRET_TOKEN", "PYTHONPATH"})
        assert not others - {"LANG", "LC_ALL", "PYTHONBREAKPOINT"}, "these choose the language, and what debugs"


def test_no_variable_no_folder_and_no_scratch_file_decides_a_mark(course: Path, tmp_path: Path) -> None:
    """The same outcomes to the letter, from another folder and with all of it at once."""
    plain = verdicts(result_of(cwd=course, code=0))
    strangers(tmp_path, [name for name in STRANGERS if name not in ("types", "enum")])  # with these no Python starts
    hostile = {**HOSTILE, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(course / "grade.py"), "--json", "-"],
        cwd=tmp_path, env={**os.environ, **hostile}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(json.loads(done.stdout)) == plain


def test_scratch_files_in_the_folder_of_the_course_hide_nothing(course: Path) -> None:
    strangers(course)
    try:
        for options in (["task01", "-q"], ["task01", "-q", "--debug"], ["doctor"]):
            done = subprocess.run(
                [sys.executable, str(course / "grade.py"), *options],
                cwd=course, capture_output=True, text=True, timeout=240, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
    finally:
        for name in STRANGERS:
            (course / f"{name}.py").unlink()


def test_grade_py_uses_its_own_course_where_none_is_around(course: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(course / "grade.py"), "list"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Multiply and add" in done.stdout, done.stderr


def test_a_python_without_the_packages_goes_on_with_the_checkouts_own(course: Path) -> None:
    """``-S`` hides what is installed. Without .venv the command that is needed is named."""
    bare = [str(getattr(sys, "_base_executable", sys.executable)), "-S", str(course / "grade.py"), "list"]
    done = subprocess.run(bare, cwd=course, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has no torch, " in done.stderr
    assert "run scripts/setup once, then .venv/bin/python grade.py" in done.stderr
    if sys.prefix == sys.base_prefix:
        pytest.skip("the tests run in no virtual environment")
    (course / ".venv").symlink_to(sys.prefix)
    done = subprocess.run(bare, cwd=course, capture_output=True, text=True, check=False)
    (course / ".venv").unlink()
    assert "Multiply and add" in done.stdout, done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp936", "latin-1", "utf-8"])
@pytest.mark.parametrize("arguments", [["list"], ["hint", "task01", "1"], ["--help"], ["nothing_of_this_name"]])
def test_what_cannot_be_shown_is_replaced(
    mini: Path, encoding: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("course.yaml", "graders/task01_scale/task.yaml"):
        text = (mini / name).read_text()
        (mini / name).write_text(text.replace("title: ", "title: 中文 · Wᵀ ").replace("- Read", "- 中文 Wᵀ Read"))
    screen, errors = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", errors)
    monkeypatch.setenv("TORCHGRADE_COURSE", str(mini))
    try:
        code = main(arguments)
    except SystemExit as left:  # --help
        code = left.code
    screen.flush()
    errors.flush()
    said = (screen.buffer.getvalue() + errors.buffer.getvalue()).decode(encoding)
    assert code in (0, 2)
    assert said.strip()
    assert "Traceback" not in said
    if arguments == ["hint", "task01", "1"]:
        assert ("中文" in said) == (encoding in ("utf-8", "cp936"))
        assert "Read the docstrings once more." in said


def test_a_narrow_encoding_costs_no_grading(course: Path, tmp_path: Path) -> None:
    """The learner prints 中文 into a redirected file of ASCII; JSON keeps every character."""
    own = copy_of_mini(tmp_path)
    shouting = SOLUTION.replace("return x * factor", "print('中文 Wᵀ'); return x * factor")
    (own / "exercises" / "task01_scale.py").write_text(shouting)
    done = grade_py("task01", "-v", cwd=own, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "printed   ??" in done.stdout
    result = result_of("task01", cwd=own, code=0, PYTHONIOENCODING="cp1252")
    assert any("中文 Wᵀ" in check["output"] for check in result["tasks"][0]["checks"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["task01", "--json", "{no}/x.json"],
        ["task01", "--junit", "{no}/x.xml"],
        ["task01", "--json", "{file}/x.json"],
        ["task01", "--json", "{folder}"],
        ["batch", "{folder}", "--out", "{file}"],
        ["batch", "{folder}", "--out", "{file}/results"],
        ["release", "{file}"],
        ["release", "{file}/edition"],
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_the_grading(
    arguments: list[str], mini: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchgrade.commands import batch, grade

    for module, name in ((grade, "grade_tasks"), (batch, "grade_class")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("it was graded first"))
    monkeypatch.setenv("TORCHGRADE_COURSE", str(mini))
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "ann_task01.py").write_text("")
    places = {"no": "/no/such/folder", "file": str(tmp_path / "file"), "folder": str(tmp_path / "folder")}
    assert main([argument.format(**places) for argument in arguments]) == 2
    said = capfd.readouterr().err
    assert said.startswith("grade.py: ")
    assert said.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"


def test_trying_a_place_leaves_nothing_and_changes_nothing(tmp_path: Path) -> None:
    from torchgrade.commands.places import try_file, try_folder

    (tmp_path / "old").write_text("kept")
    for name in ("old", "new"):
        try_file(tmp_path / name, "--json")
    try_folder(tmp_path, "--save")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_text() == "kept"


def test_a_checkout_that_cannot_be_written_is_graded_all_the_same() -> None:
    """Root may write everywhere, so somebody else asks, who may enter every folder above."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        _ask_in_a_checkout_that_cannot_be_written(copy_of_mini(Path(name)))


def _ask_in_a_checkout_that_cannot_be_written(mini: Path) -> None:
    (mini / "exercises" / "task01_scale.py").write_text(SOLUTION)
    for path in (mini, *mini.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    become = [sys.executable, str(ROOT / "tests" / "ordinary.py")] if os.getuid() == 0 else []

    def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [*become, sys.executable, str(ROOT / "grade.py"), *arguments]
        return subprocess.run(line, cwd=mini, capture_output=True, text=True, timeout=240, check=False)

    graded = ask("task01", "-q")
    assert graded.returncode == 0, graded.stderr
    assert "your grades are not kept: " in graded.stderr
    hints = ask("hint", "task01")
    assert hints.returncode == 0
    assert "all at once, as nothing can be noted in" in hints.stdout
    assert "hint 2/2" in hints.stdout
    reset = ask("reset", "task01", "--yes")
    assert reset.returncode == 2
    assert "exercises" in reset.stderr
    assert "Traceback" not in reset.stderr


def test_too_few_open_files_are_the_reason_that_is_told(mini: Path) -> None:
    line = f"ulimit -n 64; exec '{sys.executable}' '{ROOT}/grade.py' task01"
    done = subprocess.run(["bash", "-c", line], cwd=mini, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "this shell allows 64 open files, and grading needs 128" in done.stderr


@pytest.mark.parametrize(("line", "code", "said"), [
    ("{} <&-", 0, "everything asked for passed"), ("{} >&-", 0, ""), ("{} <&- >&- 2>&-", 0, ""),
    ("{} >/dev/full", 2, "grade.py: what is told cannot be written: No space left on device\n"),
    ("{} | head -c 0; exit ${{PIPESTATUS[0]}}", 1, ""),
    ("d=$(mktemp -d); cd $d; rmdir $d; {}", 0, "everything asked for passed"),
    ("umask 0777; {}", 0, "everything asked for passed"),
])  # fmt: skip
def test_results_are_kept_whatever_becomes_of_the_screen(
    course: Path, tmp_path: Path, line: str, code: int, said: str
) -> None:
    command = f"'{sys.executable}' '{course}/grade.py' task01 -q --json '{tmp_path}/kept.json'"
    done = subprocess.run(
        ["bash", "-c", line.format(command)], cwd=course, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stdout + done.stderr
    assert json.loads((tmp_path / "kept.json").read_text())["tasks"][0]["points"] == 8


def test_processors_that_may_not_be_used_do_not_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert cores() == len(allowed)


def test_all_devices_are_those_that_are_here() -> None:
    assert devices("cuda") == ("cuda",)
    assert devices("all") == (("cpu", "cuda") if Path("/dev/nvidiactl").exists() else ("cpu",))
