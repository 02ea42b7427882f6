"""The storm: a real class, graders and workers that die, a coordinator that is killed, a disk that is full.

`test_batch_scheduler.py` does the same in seconds with an executor that grades nothing; this one grades.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from support import MINI, ROOT, copy_of_mini

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.isolation.confine import watch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
KINDS = (
    SOLUTION,
    SOLUTION.replace("x * factor", "x + factor"),
    SOLUTION.replace("    return x.sum()", "    raise ValueError('no')"),
    SOLUTION.replace("    return x.sum()", "    import os; os._exit(0)"),
    "def scale(x:\n",
    "",
)
STUDENTS, OUTCOMES = 100, 300
KILLS = 5  # of the coordinator
DEEP = 4  # command, nursery, zygote, supervisor: what lies below is a worker


def write_class(folder, size):
    rng = random.Random(3)
    for number in range(size):
        place = folder / f"s{number:03d}" / "task01_scale.py"
        place.parent.mkdir(parents=True)
        place.write_text(rng.choice(KINDS) + f"# {number}\n")


def start(course, folder, out):
    command = [sys.executable, str(ROOT / "grade.py"), "batch", str(folder), "--out", str(out), "--task", "task01"]
    return subprocess.Popen(
        [*command, "--jobs", "2", "--isolation", "standard", "--seed", "11"],
        cwd=course, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip


def workers_of(pid):
    """Processes at least DEEP below the command."""
    level = [pid]
    for _ in range(DEEP):
        level = [child for one in level for child in watch.children_of(one)]
    return level


def kill_workers(process, out, rng, killed, stop):
    """A failed check is run once more, alone; who is killed then, too, has failed: so between two kills others end."""
    goal = 0
    while not stop.is_set() and process.poll() is None:
        time.sleep(rng.uniform(0.05, 0.5))
        if known(out) < goal:
            continue
        for pid in workers_of(process.pid)[:1]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.append(pid)
            goal = known(out) + 5


def known(out):
    place = out / "gradebook.sqlite"
    if not place.exists():
        return 0
    try:
        with Gradebook(place) as book:
            return book.db.execute("SELECT count(*) FROM outcomes").fetchone()[0]
    except Exception:
        return 0


def verdicts(out):
    """All that does not depend on the clock."""
    with Gradebook(out / "gradebook.sqlite") as book:
        gradings = book.db.execute(
            "SELECT task, source, status, points, max_points, isolation FROM gradings WHERE done ORDER BY task, source"
        ).fetchall()
        outcomes = book.db.execute(
            "SELECT g.source, o.id, o.status, o.points, json_extract(o.document, '$.message') FROM outcomes o"
            " JOIN gradings g USING (grading) ORDER BY g.source, o.id"
        ).fetchall()
        assert book.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert book.db.execute("PRAGMA foreign_key_check").fetchall() == []
    return gradings, outcomes


@pytest.fixture
def small_disk(tmp_path_factory):
    """A folder on a file system of its own, which can be filled; new for each storm."""
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The course, a class of it, and the verdicts of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("quiet")
    course = copy_of_mini(folder)
    write_class(folder / "class", STUDENTS)
    process = start(course, folder / "class", folder / "results")
    text, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, text
    return course, folder / "class", verdicts(folder / "results")


@pytest.mark.parametrize("seed", range(20))
def test_a_storm_changes_no_verdict(small_disk, undisturbed, seed):
    """Workers killed at random, the coordinator five times, the disk full once; then to the end."""
    rng, killed, out = random.Random(seed), [], small_disk / f"stormy_{seed}"
    course, folder, expected = undisturbed
    full_after = rng.randrange(KILLS)
    for number in range(KILLS):
        process, stop = start(course, folder, out), threading.Event()
        goal, deadline = known(out) + rng.randrange(5, OUTCOMES // KILLS), time.monotonic() + 60
        killer = threading.Thread(target=kill_workers, args=(process, out, rng, killed, stop))
        killer.start()
        while known(out) < goal and process.poll() is None and time.monotonic() < deadline:
            time.sleep(rng.uniform(0.01, 0.2))
        process.send_signal(signal.SIGKILL)
        stop.set()
        killer.join()
        process.communicate()
        if number == full_after:
            fill_the_disk(course, folder, out, small_disk / "filler")
    final = start(course, folder, out)
    text, _ = final.communicate(timeout=1200)
    assert final.returncode == 0, text

    assert killed
    for before, after in zip(reversed(expected), reversed(verdicts(out)), strict=True):
        changed = [row for row in before if row not in after], [row for row in after if row not in before]
        assert changed == ([], []), "\n".join(str(row) for rows in changed for row in rows)
        assert len(before) == len(after)
    assert len(expected[0]) == STUDENTS


def fill_the_disk(course, folder, out, filler):
    before = known(out)
    with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 16))
    process = start(course, folder, out)
    said, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "Traceback" not in said, said
    filler.unlink()
    assert known(out) >= before
