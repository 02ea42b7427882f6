"""``watch`` on a real pseudo-terminal: keys, the ways in which editors save, many saves, every ending."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import MINI, ROOT, copy_of_mini
from terminal import Terminal

from torchgrade.commands.watch.editor import editor_command, place
from torchgrade.commands.watch.saves import file_system
from torchgrade.errors import UsageError

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
PLUS = SOLUTION.replace("return x * factor", "return x + factor")
MEAN = SOLUTION.replace("return x.sum()", "return x.mean()")
SCALE_FAILS, TOTAL_FAILS = "FAIL  scale multiplies every element", "FAIL  total sums all elements"
PASSED = "everything asked for passed."

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal"),
    pytest.mark.timeout(600),
]


def below(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have."""
    found, waiting = set(), [pid]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            children = set(map(int, path.read_text().split()))
            found |= children
            waiting += children
    return found


def left(pids: set[int]) -> set[int]:
    """Those that still run."""
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return {pid for pid, state in states.items() if state != "Z"}


def all_gone(pids: set[int], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while left(pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not left(pids)


def exercise(course: Path) -> Path:
    return course / "exercises" / "task01_scale.py"


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def by_renaming(path: Path, text: str) -> None:
    """vim with a backup, and others: a new file takes the old one's name."""
    draft = path.with_name(f".{path.name}.swp~")
    draft.write_text(text)
    draft.replace(path)


def by_moving_away(path: Path, text: str) -> None:
    """The old file becomes the backup first, so that for a moment there is none."""
    path.replace(path.with_name(path.name + "~"))
    time.sleep(0.01)
    path.write_text(text)


def in_pieces(path: Path, text: str) -> None:
    """A slow disk: what is there between two pieces is no Python."""
    with path.open("w") as file:
        for start in range(0, len(text), 200):
            file.write(text[start : start + 200])
            file.flush()
            time.sleep(0.015)


WAYS = (in_place, by_renaming, by_moving_away, in_pieces)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory):
    """One session for the tests of keys and saves, at the start with a wrong ``scale``."""
    course = copy_of_mini(tmp_path_factory.mktemp("watched"))
    in_place(exercise(course), PLUS)
    terminal = Terminal("watch", "task01", cwd=course, VISUAL=f"{sys.executable} {course / 'editor.py'}")
    terminal.wait_for(SCALE_FAILS, "graded at")
    yield terminal, course
    pids = below(terminal.process.pid)
    terminal.press("q")
    assert terminal.ended() == 0
    assert all_gone(pids)


def start_wrong(session: tuple[Terminal, Path]) -> tuple[Terminal, Path]:
    terminal, course = session
    terminal.press("\x1b")
    in_place(exercise(course), PLUS)
    terminal.wait_for(SCALE_FAILS, "graded at")
    return terminal, course


def test_one_failing_check_in_full_and_one_line_for_each_other(session) -> None:
    terminal, course = start_wrong(session)
    in_place(exercise(course), PLUS.replace("x.sum()", "x.mean()"))
    text = terminal.wait_for(SCALE_FAILS, TOTAL_FAILS, "graded at")
    assert text.count("likely ") == 1
    assert "the factor is added, not multiplied" in text
    assert text.splitlines()[-1].startswith("h hint  l list  v all  r run  o open")
    assert "points  0/8" in text or "points  3/8" in text


@pytest.mark.parametrize("save", WAYS, ids=lambda way: way.__name__)
def test_every_way_of_saving_is_seen(session, save) -> None:
    terminal, course = start_wrong(session)
    save(exercise(course), SOLUTION)
    text = terminal.wait_for(PASSED, "points  8/8")
    assert save is in_pieces or "fixed  scale multiplies every element" in text
    save(exercise(course), MEAN)
    text = terminal.wait_for(TOTAL_FAILS, "graded at")
    assert save is in_pieces or "no longer right  total sums all elements" in text


def test_a_syntax_error_while_typing_is_calm(session) -> None:
    terminal, course = start_wrong(session)
    in_place(exercise(course), PLUS.replace("return x + factor", "return x +"))
    text = terminal.wait_for("CRASH the file can be executed", "exercises/task01_scale.py:11", "graded at")
    assert "skip" not in text
    in_place(exercise(course), SOLUTION)
    terminal.wait_for(PASSED)


def test_the_same_text_saved_again_is_not_graded_again(session) -> None:
    terminal, course = start_wrong(session)
    clock = re.search(r"graded at [\d:]+", terminal.text)[0]
    time.sleep(1.1)
    in_place(exercise(course), PLUS)
    terminal.read(0.5)
    assert clock in terminal.text
    terminal.press("r")
    terminal.wait_for("graded at", without=clock)


def test_hints_the_list_and_all_checks(session) -> None:
    terminal, _course = start_wrong(session)
    terminal.press("h")
    terminal.wait_for("hint 1/2  Read the docstrings once more.", SCALE_FAILS)
    terminal.press("l")
    terminal.wait_for("Multiply and add", "Train a line", "Esc: back")
    terminal.press("l")
    terminal.wait_for("hint 1/2", "h hint")
    terminal.press("v")
    terminal.wait_for("pass     total sums all elements", "Esc: back")
    terminal.press("\x1b")
    terminal.wait_for("h hint", without="pass     total")


def test_the_next_task_is_offered_only_when_one_is_complete(session) -> None:
    terminal, course = start_wrong(session)
    assert "n next task" not in terminal.text
    terminal.press("n")
    terminal.wait_for("task01 is not complete yet")
    in_place(exercise(course), SOLUTION)
    terminal.wait_for(PASSED, "next: exercises/task02_train.py  Train a line", "n next task", "c compare")
    terminal.press("c")
    terminal.wait_for("yours", "reference", "return x * factor", "Esc: back")
    terminal.press("n")
    terminal.wait_for("task02  Train a line", "todo", "graded at")
    in_place(exercise(course), PLUS)  # whichever task is saved is graded
    terminal.wait_for("task01  Multiply and add", SCALE_FAILS, "graded at")


def test_resetting_asks_and_keeps_the_file(session) -> None:
    terminal, course = start_wrong(session)
    terminal.press("x")
    terminal.wait_for("replace exercises/task01_scale.py by the stub?", "y yes")
    terminal.press("n")
    terminal.wait_for("h hint", without="y yes")
    assert exercise(course).read_text() == PLUS
    terminal.press("x")
    terminal.wait_for("y yes")
    terminal.press("y")
    terminal.wait_for("your file is kept as exercises/task01_scale.", "todo", "graded at")
    assert exercise(course).read_text() == (MINI / "exercises" / "task01_scale.py").read_text()
    assert any(kept.read_text() == PLUS for kept in exercise(course).parent.glob("*.bak"))


def test_the_editor_is_opened_at_the_line(session) -> None:
    terminal, course = start_wrong(session)
    (course / "editor.py").write_text(
        f"import sys; open({str(course / 'opened')!r}, 'w').write(' '.join(sys.argv[1:]))"
    )
    terminal.press("o")
    terminal.wait_until((course / "opened").exists)
    assert (course / "opened").read_text() == "exercises/task01_scale.py"


def test_an_editor_of_the_terminal_gets_the_keys_and_gives_the_screen_back(mini: Path) -> None:
    in_place(exercise(mini), PLUS)
    nano = mini / "nano"
    nano.write_text(f'#!/bin/sh\necho "editing $1"\nread line\necho "$line" > {mini}/typed\n')
    nano.chmod(0o755)
    terminal = Terminal("watch", "task01", cwd=mini, VISUAL=str(nano))
    terminal.wait_for(SCALE_FAILS, "graded at")
    terminal.press("o")
    terminal.wait_for("editing +7")
    terminal.press("qh\r")
    terminal.wait_until((mini / "typed").exists)
    terminal.wait_until(lambda: is_drawn(terminal))
    assert (mini / "typed").read_text() == "qh\n"
    terminal.press("\x1a")  # Ctrl-Z: the shell has the terminal
    terminal.wait_until(lambda: stopped(terminal.process.pid) and not is_drawn(terminal))
    os.kill(terminal.process.pid, signal.SIGCONT)
    in_place(exercise(mini), SOLUTION)
    terminal.wait_for(PASSED)
    terminal.press("p")
    terminal.wait_for("there was nothing to draw", "graded at")
    terminal.press("q")
    assert terminal.ended() == 0


def is_drawn(terminal: Terminal) -> bool:
    """Whether the alternate screen is shown."""
    return terminal.raw.rfind(b"\x1b[?1049h") > terminal.raw.rfind(b"\x1b[?1049l")


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_any_size_fits(session) -> None:
    terminal, course = start_wrong(session)
    for rows, columns in ((10, 60), (5, 40), (24, 80)):
        terminal.resize(rows, columns)
        terminal.wait_for("scale multiplies", "q quit") if rows > 5 else terminal.wait_for("quit")
        assert "h hint" in terminal.text
    in_place(exercise(course), SOLUTION)
    terminal.wait_for(PASSED)


def test_a_new_save_drops_the_run_under_way(session) -> None:
    """A long check runs; what is saved meanwhile is graded at once, and nothing of the old run stays."""
    terminal, course = start_wrong(session)
    slow = SOLUTION.replace("return x.sum()", "import time; time.sleep(4); return x.sum()")
    in_place(exercise(course), slow)
    terminal.wait_for("grading", "total sums all elements")
    before = below(terminal.process.pid)
    started = time.monotonic()
    in_place(exercise(course), MEAN)
    terminal.wait_for(TOTAL_FAILS, "graded at")
    assert time.monotonic() - started < 4
    time.sleep(1.0)
    assert len(left(below(terminal.process.pid))) <= len(before) + 4


@pytest.mark.parametrize("saves", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_many_saves_in_a_row(session, saves: int) -> None:
    """In all the ways, faster than they can be graded: the last one is what is shown, and no process is left."""
    terminal, course = start_wrong(session)
    rng = random.Random(saves)
    for _ in range(saves):
        rng.choice(WAYS[:3])(exercise(course), rng.choice((SOLUTION, PLUS, MEAN)) + f"# {rng.random()}\n")
        terminal.read(rng.choice((0.001, 0.02, 0.2)))
    in_place(exercise(course), MEAN)
    terminal.wait_for(TOTAL_FAILS, "graded at", "points  7/8")
    end = time.monotonic() + 10
    while len(left(below(terminal.process.pid))) > 12 and time.monotonic() < end:
        terminal.read(0.1)
    assert len(left(below(terminal.process.pid))) <= 12


def test_a_file_that_is_away_when_its_run_ends(session) -> None:
    """As between the two steps of a save by renaming: the run is told, and the next save is graded."""
    terminal, course = start_wrong(session)
    path = exercise(course)
    in_place(path, SOLUTION.replace("return x.sum()", "import time; time.sleep(2); return x.mean()"))
    terminal.wait_for("grading", "total sums all elements")
    path.rename(path.with_suffix(".away"))
    terminal.wait_for(TOTAL_FAILS, "graded at", "points  7/8")
    path.with_suffix(".away").unlink()
    in_place(path, PLUS)
    terminal.wait_for(SCALE_FAILS, "graded at")


# --- endings: each has a session of its own ---------------------------------------------------------------


def watching(course: Path, **options: str) -> tuple[Terminal, set[int]]:
    in_place(exercise(course), SOLUTION.replace("return x.sum()", "import time; time.sleep(60); return x.sum()"))
    terminal = Terminal("watch", "task01", cwd=course, **options)
    terminal.wait_for("grading", "total sums all elements")
    return terminal, below(terminal.process.pid)


@pytest.mark.parametrize("ending", ["ctrl-c", "SIGTERM", "SIGKILL", "closed"])
def test_nothing_is_left_running(mini: Path, ending: str) -> None:
    """Also in the middle of a check, and whoever ends it; the terminal echoes and shows its cursor again."""
    terminal, pids = watching(mini)
    assert len(pids) >= 4
    if ending == "ctrl-c":
        terminal.press("\x03")
        assert terminal.ended() == 130, terminal.raw[-2000:]
    elif ending == "closed":
        os.close(terminal.process.child_fd)  # as a window that is closed
    else:
        os.kill(terminal.process.pid, getattr(signal, ending))
        assert terminal.ended() == (0 if ending == "SIGTERM" else None)
    assert all_gone(pids | {terminal.process.pid})
    if ending in ("ctrl-c", "SIGTERM"):
        assert not is_drawn(terminal)
        assert terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(b"\x1b[?25l")


def test_a_terminal_without_a_cursor_and_a_pipe_get_lines(mini: Path) -> None:
    """Keys are then the first letters of lines; the end of standard input ends nothing."""
    in_place(exercise(mini), PLUS)
    command = [sys.executable, str(ROOT / "grade.py"), "watch", "task01"]
    process = subprocess.Popen(command, cwd=mini, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = []

    def until(words: str) -> None:
        while words not in (lines[-1] if lines else ""):
            lines.append(process.stdout.readline())
            assert lines[-1], lines

    until('next: "scale multiplies')
    in_place(exercise(mini), SOLUTION)
    until("points  8/8")
    process.stdin.write("h\n")
    process.stdin.flush()
    until("hint 1/2")
    process.stdin.close()
    in_place(exercise(mini), PLUS)
    until('next: "scale multiplies')
    process.terminate()
    assert process.wait(30) == 0
    assert "\x1b" not in "".join(lines)
    dumb = Terminal("watch", "task01", cwd=mini, TERM="dumb")
    dumb.wait_for('next: "scale multiplies')
    dumb.press("q\n")
    assert dumb.ended() == 0
    assert b"\x1b" not in dumb.raw


def test_the_overview_offers_to_watch_on_a_terminal(mini: Path) -> None:
    terminal = Terminal(cwd=mini)
    terminal.wait_for("python grade.py watch grades whenever you save", "next: fill the gap")
    assert terminal.ended() == 1


def test_workers_that_are_spawned_are_watched_as_well(mini: Path) -> None:
    in_place(exercise(mini), PLUS)
    terminal = Terminal("watch", "task01", cwd=mini, TORCHGRADE_START="spawn")
    terminal.wait_for(SCALE_FAILS, "graded at")
    in_place(exercise(mini), SOLUTION)
    terminal.wait_for(PASSED)
    pids = below(terminal.process.pid)
    terminal.press("q")
    assert terminal.ended() == 0
    assert all_gone(pids)


def test_graders_end_with_the_first_key(mini: Path) -> None:
    """q while torch is still being imported."""
    terminal = Terminal("watch", "task01", cwd=mini)
    terminal.wait_for("q quit")
    pids = below(terminal.process.pid)
    terminal.press("q")
    assert terminal.ended() == 0
    assert all_gone(pids)


# --- its parts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visual", "command"),
    [
        ("code --wait", ["code", "--wait", "-g", "a.py:7"]),
        ("vim", ["vim", "+7", "a.py"]),
        ("/usr/bin/nano -w", ["/usr/bin/nano", "-w", "+7", "a.py"]),
        ("subl", ["subl", "a.py:7"]),
        ("gedit", ["gedit", "a.py"]),
    ],
)
def test_editors_are_told_the_line(visual: str, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUAL", visual)
    assert editor_command(Path("a.py"), 7) == command


def test_no_editor_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="set VISUAL"):
        editor_command(Path("a.py"), 7)


def test_the_place_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.py"
    file.write_text("")
    assert place("a.py:12  f()", tmp_path / "b.py") == (Path("a.py"), 12)
    assert place("gone.py:12", file) == (file, 1)
    assert place(None, file) == (file, 1)


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = ["/dev/sda / ext4 rw 0 0\n", f"host {tmp_path.parent} 9p rw 0 0\n", "none /proc proc rw 0 0\n"]
    assert file_system(tmp_path, mounts) == "9p"
    assert file_system(Path("/usr"), mounts) == "ext4"
