"""Starting, watching and ending workers, at the level that needs nothing from the system."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine import watch
from torchgrade.isolation.launch import interface
from torchgrade.isolation.launch.launcher import MANY, Launcher, Limits, WorkerProcess, open_launcher
from torchgrade.isolation.worker import snippet

SNIPPET = "torchgrade.isolation.worker.snippet:serve"
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with open_launcher("process") as made:
        yield made


@pytest.fixture
def worker(launcher: Launcher) -> Iterator[WorkerProcess]:
    made = launcher.start(Limits(), serve=SNIPPET)
    yield made
    made.close()


def test_worker_answers_from_another_process(worker):
    answer = snippet.ask(worker.socket, "import os, torch; answer = [os.getpid(), len(torch.ones(3))]")
    assert answer == [worker.pid, 3]
    assert worker.pid != os.getpid()


def test_engine_is_importable_but_not_what_lies_beside_it(worker):
    text = """
import importlib.util, torchgrade.isolation
names = ("torch", "numpy", "graders", "solutions", "grade")
answer = {name: importlib.util.find_spec(name) is not None for name in names}
"""
    found = snippet.ask(worker.socket, text)
    assert found == {"torch": True, "numpy": True, "graders": False, "solutions": False, "grade": False}


@pytest.mark.parametrize("isolation", ["process", "auto"])
def test_workers_that_need_no_torch_do_without_it(isolation):
    with open_launcher(isolation, torch=False) as launcher:
        worker = launcher.start(Limits(), serve=SNIPPET)
        assert snippet.ask(worker.socket, "import sys; answer = 'torch' in sys.modules") is False
        worker.close()


def test_environment_of_the_grader_stays_there(monkeypatch):
    monkeypatch.setenv("COURSE_PASSWORD", "secret")
    with open_launcher("process") as launcher:
        worker = launcher.start(Limits(), serve=SNIPPET)
        assert snippet.ask(worker.socket, "import os; answer = os.environ.get('COURSE_PASSWORD')") is None
        worker.close()


def test_exit_code_signal_and_usage_are_reported(launcher):
    worker = launcher.start(Limits(), serve=SNIPPET)
    assert worker.exit(0) is None
    with pytest.raises(EOFError):
        snippet.ask(worker.socket, "x = sum(range(10**7))\nimport os; os._exit(7)")
    ended = worker.exit(5)
    assert (ended.code, ended.signal) == (7, None)
    assert ended.cpu_seconds > 0.05
    assert ended.max_rss_mb > 50
    worker.close()
    worker = launcher.start(Limits(), serve=SNIPPET)
    with pytest.raises(EOFError):
        snippet.ask(worker.socket, "import os; os.abort()")
    assert worker.exit(5).signal == signal.SIGABRT
    worker.close()


def test_output_is_a_pipe_that_outlives_the_worker(launcher):
    worker = launcher.start(Limits(), serve=SNIPPET)
    snippet.ask(worker.socket, "import os, sys; print('out', flush=True); os.write(2, b'err\\n')")
    worker.kill()
    assert os.read(worker.output, 100) == b"out\nerr\n"
    assert os.read(worker.output, 100) == b""
    worker.close()


def test_kill_ends_daemons_and_is_idempotent(launcher, tmp_path):
    worker = launcher.start(Limits(), serve=SNIPPET)
    daemons = """
import os, time
answer = []
for i in range(5):
    r, w = os.pipe()
    if os.fork() == 0:
        os.setsid()
        pid = os.fork()
        if pid == 0:
            time.sleep(1000)
        os.write(w, str(pid).encode())
        os._exit(0)
    answer.append(int(os.read(r, 20)))
"""
    pids = snippet.ask(worker.socket, daemons)
    assert len(pids) == 5
    folder = snippet.ask(worker.socket, "import os; answer = os.getcwd(); os.mkdir('a'); os.chmod('a', 0)")
    assert all(alive(pid) for pid in pids)
    worker.kill()
    worker.kill()
    assert not any(alive(pid) for pid in (*pids, worker.pid))
    assert not Path(folder).exists()
    assert worker.memory_mb() == 0.0
    worker.close()


def test_memory_and_cpu_grow_with_use(worker):
    before = worker.memory_mb()
    snippet.ask(worker.socket, "import builtins, torch; builtins.kept = torch.ones(50 * 2**18)")
    assert 45 < worker.memory_mb() - before < 80
    used = worker.cpu_seconds()
    snippet.ask(worker.socket, "x = sum(range(10**7))")
    assert worker.cpu_seconds() - used > 0.05


def test_memory_limit_is_a_readable_error(launcher):
    worker = launcher.start(Limits(memory_mb=300), serve=SNIPPET)
    assert snippet.ask(worker.socket, "import torch; answer = len(torch.ones(250 * 2**18))") == 250 * 2**18
    raised = snippet.ask(worker.socket, "import torch; torch.ones(400 * 2**18)")["raised"]
    assert "DefaultCPUAllocator" in raised
    worker.close()


def test_wall_time_is_a_back_stop(launcher):
    worker = launcher.start(Limits(wall_seconds=0.5), serve=SNIPPET)
    with pytest.raises(EOFError):
        snippet.ask(worker.socket, "while True: pass")
    ended = worker.exit(5)
    assert ended.out_of_time
    assert ended.signal == signal.SIGKILL
    worker.close()


def test_threads_are_limited_to_what_was_asked(launcher):
    worker = launcher.start(Limits(threads=2), serve=SNIPPET)
    text = "import torch; x = torch.randn(600, 600); answer = [torch.get_num_threads(), (x @ x).shape[0]]"
    assert snippet.ask(worker.socket, text) == [2, 600]
    worker.close()


def test_preload_happens_once_in_the_zygote(launcher):
    text = "import sys; answer = 'wave' in sys.modules"
    plain = launcher.start(Limits(), serve=SNIPPET)
    assert snippet.ask(plain.socket, text) is False
    loaded = launcher.start(Limits(), preload=["wave"], serve=SNIPPET)
    assert snippet.ask(loaded.socket, text) is True
    plain.close()
    loaded.close()


def test_unknown_serve_function_is_an_isolation_error(launcher):
    with pytest.raises(IsolationError, match="no_such"):
        launcher.start(Limits(), serve="torchgrade.isolation.no_such:serve")
    launcher.start(Limits(), serve=SNIPPET).close()


def test_unknown_isolation_and_closed_launcher_are_refused():
    with pytest.raises(IsolationError, match="auto, strict"):
        open_launcher("best")
    launcher = open_launcher("process")
    launcher.close()
    with pytest.raises(IsolationError, match="closed"):
        launcher.start(Limits())


@pytest.mark.parametrize("isolation", ["process", "auto"])
def test_everything_ends_with_a_killed_grader(isolation):
    text = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from torchgrade.isolation.worker import snippet
from torchgrade.isolation.launch.launcher import Limits, open_launcher
launcher = open_launcher({isolation!r})
worker = launcher.start(Limits(), serve={SNIPPET!r})
snippet.ask(worker.socket, '''
import os, time
if os.fork() == 0:
    time.sleep(1000)
''')
print(launcher._zygote._process.pid, worker._job.supervisor.pid, *worker.processes(), flush=True)
time.sleep(1000)
"""
    grader = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    pids = [int(word) for word in grader.stdout.readline().split()]
    assert len(pids) == 4  # zygote (or bubblewrap), supervisor, worker, child
    assert all(alive(pid) for pid in pids)
    grader.kill()
    grader.wait()
    assert wait_for(lambda: not any(alive(pid) for pid in pids), 2.0)


def test_zygote_ends_with_a_grader_killed_while_torch_is_imported():
    text = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from torchgrade.isolation.launch.launcher import open_launcher
launcher = open_launcher("process")
launcher.level
print(launcher._zygote._process.pid, flush=True)
time.sleep(1000)
"""
    grader = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    zygote = int(grader.stdout.readline())
    assert alive(zygote)
    grader.kill()
    grader.wait()
    assert wait_for(lambda: not alive(zygote), 0.5)


def test_many_workers_leave_nothing_behind(launcher):
    launcher.start(Limits(), serve=SNIPPET).close()
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(20):
        worker = launcher.start(Limits(), serve=SNIPPET)
        snippet.ask(worker.socket, "answer = 1")
        worker.close()
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def supervisor_of(worker: WorkerProcess) -> int:
    return worker._job.supervisor.pid


@pytest.fixture
def confining(isolation: str) -> Iterator[Launcher]:
    with open_launcher(isolation) as made:
        try:
            level = made.level
        except IsolationError as error:
            pytest.skip(str(error))
        if level == 1:
            pytest.skip("at level 1 each worker has a supervisor of its own")
        yield made


@pytest.mark.parametrize("isolation", ["strict", "standard"])
def test_a_supervisor_starts_one_worker_after_another_and_none_finds_a_trace(confining):
    leave = """
import builtins, os, sys, tempfile
builtins.kept = os.environ["KEPT"] = sys.modules["kept"] = "here"
for folder in (os.getcwd(), tempfile.gettempdir()):
    open(os.path.join(folder, "torchgrade-kept"), "w").write("here")
if os.fork() == 0:
    os.setsid()
    import time
    time.sleep(1000)
answer = os.getpid()
"""
    look = """
import builtins, os, sys, tempfile
folders = (os.getcwd(), tempfile.gettempdir())
found = [hasattr(builtins, "kept"), "KEPT" in os.environ, "kept" in sys.modules]
answer = found + [os.path.exists(os.path.join(folder, "torchgrade-kept")) for folder in folders]
"""
    first = confining.start(Limits(), serve=SNIPPET)
    snippet.ask(first.socket, leave)
    supervisor, left = supervisor_of(first), first.processes()
    assert len(left) == 2
    first.close()
    assert not any(alive(pid) for pid in left)
    second = confining.start(Limits(), serve=SNIPPET)
    assert snippet.ask(second.socket, look) == [False] * 5
    assert supervisor_of(second) == supervisor
    assert len(second.processes()) == 1
    second.close()
    confining.close()
    assert not alive(supervisor)


def test_where_nothing_confines_each_worker_has_a_supervisor_of_its_own(launcher):
    first = launcher.start(Limits(), serve=SNIPPET)
    supervisor = supervisor_of(first)
    first.close()
    assert not alive(supervisor)
    second = launcher.start(Limits(), serve=SNIPPET)
    assert supervisor_of(second) != supervisor
    second.close()


@pytest.mark.parametrize("isolation", ["auto"])
def test_a_worker_started_ahead_serves_who_asks_for_its_kind(confining, monkeypatch):
    """Another kind, a dead one, one that has waited too long: a fresh worker, and the one that waited is ended."""

    def waiting():
        confining.start_ahead(Limits(), serve=SNIPPET)
        return confining.ahead.worker

    ahead = waiting()
    worker = confining.start(Limits(), serve=SNIPPET)
    assert worker is ahead
    assert snippet.ask(worker.socket, "import os; answer = os.getppid() > 0")
    worker.close()
    ahead = waiting()
    waiting()
    assert not alive(ahead.pid), "one waits at a time"
    for kind in ({"limits": Limits(memory_mb=900)}, {"limits": Limits(), "preload": ["wave"]}):
        ahead = waiting()
        worker = confining.start(**kind, serve=SNIPPET)
        assert worker is not ahead
        assert not alive(ahead.pid)
        worker.close()
    os.kill(waiting().pid, signal.SIGKILL)
    confining.ahead.worker.exit(5.0)
    worker = confining.start(Limits(), serve=SNIPPET)
    assert snippet.ask(worker.socket, "answer = 1") == 1
    worker.close()
    ahead = waiting()
    monkeypatch.setattr(interface, "AHEAD_SECONDS", 0.0)
    worker = confining.start(Limits(), serve=SNIPPET)
    assert worker is not ahead
    assert not alive(ahead.pid)
    worker.close()
    ahead = waiting()
    confining.close()
    assert not alive(ahead.pid)


@pytest.mark.parametrize("isolation", ["auto"])
def test_a_worker_is_not_charged_for_those_before_it(confining):
    first = confining.start(Limits(), serve=SNIPPET)
    snippet.ask(first.socket, "import torch; x = torch.ones(300 * 2**18); y = sum(range(3 * 10**7))")
    first.kill()
    second = confining.start(Limits(), serve=SNIPPET)
    assert supervisor_of(second) == supervisor_of(first)
    assert second.cpu_seconds() < first.cpu_seconds() / 2
    with pytest.raises(EOFError):
        snippet.ask(second.socket, "import os; os._exit(0)")
    assert second.exit(5).cpu_seconds < first.exit(0).cpu_seconds / 2
    assert second.exit(0).max_rss_mb < first.exit(0).max_rss_mb - 200
    first.close()
    second.close()


@pytest.mark.parametrize("isolation", ["standard"])
def test_what_earlier_workers_wrote_does_not_count(confining):
    write = """
import os, time
with open("data", "wb", buffering=0) as file:
    for _ in range(12):
        file.seek(0)
        file.write(bytes(2**20))
        os.fsync(file)
time.sleep(0.6)
answer = "lives"
"""
    for _ in range(2):
        worker = confining.start(Limits(file_mb=1), serve=SNIPPET)
        assert snippet.ask(worker.socket, write) == "lives"
        if watch.written_bytes(supervisor_of(worker)) == 0:
            pytest.skip("the system does not tell what a process writes to a disk")
        worker.close()


@pytest.mark.parametrize("isolation", ["auto"])
def test_a_worker_that_has_ended_by_itself_is_not_killed_in_the_next(confining):
    first = confining.start(Limits(), serve=SNIPPET)
    with pytest.raises(EOFError):
        snippet.ask(first.socket, "import os; os._exit(3)")
    first._job.supervisor.end_job()  # as when the grader has not heard of it yet
    first.close()
    second = confining.start(Limits(), serve=SNIPPET)
    assert supervisor_of(second) == supervisor_of(first)
    assert snippet.ask(second.socket, "import time; time.sleep(0.3); answer = 1") == 1
    second.close()


@pytest.mark.parametrize("isolation", ["auto"])
def test_a_supervisor_that_was_killed_is_replaced(confining):
    first = confining.start(Limits(), serve=SNIPPET)
    first.close()
    supervisor = supervisor_of_idle(confining)
    os.kill(supervisor, signal.SIGKILL)
    assert wait_for(lambda: not alive(supervisor), 5)
    second = confining.start(Limits(), serve=SNIPPET)
    assert snippet.ask(second.socket, "answer = 1") == 1
    assert supervisor_of(second) != supervisor
    second.close()


def supervisor_of_idle(launcher: Launcher) -> int:
    (idle,) = launcher._idle
    return idle.pid


@pytest.mark.parametrize("isolation", ["auto"])
def test_a_class_gets_a_supervisor_whose_memory_is_gathered(confining):
    supervisors = []
    for _ in range(MANY + 3):
        worker = confining.start(Limits(), serve=SNIPPET)
        supervisors.append(supervisor_of(worker))
        worker.close()
    assert [len(set(part)) for part in (supervisors[:MANY], supervisors[MANY:], supervisors)] == [1, 1, 2]
    assert not alive(supervisors[0])


def test_seeding_imports_nothing_in_a_worker(worker):
    text = """
import sys
before = set(sys.modules)
from torchgrade.seeding import seed_everything
seed_everything(1)
answer = sorted(set(sys.modules) - before)
"""
    assert snippet.ask(worker.socket, text) == []


def test_huge_pages_keep_what_is_in_memory_and_a_fork_still_copies():
    text = """
import mmap, os
from pathlib import Path
from torchgrade.isolation.confine import libc
def huge():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("AnonHugePages"))
data = bytearray(os.urandom(1 << 20) * 64)
copy = bytes(data)
able, area = True, mmap.mmap(-1, 8 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area[:] = b"x" * len(area)
try:
    area.madvise(libc.MADV_COLLAPSE)
except OSError:
    able = False
before = huge()
libc.use_huge_pages()
child = os.fork()
if child == 0:
    data[:] = bytes(len(data))
    os._exit(0)
os.waitpid(child, 0)
print(able, huge() - before, data == copy)
"""
    if not sys.platform.startswith("linux"):
        pytest.skip("gathering pages needs Linux 6.1")
    run = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    able, gathered, same = run.stdout.split()
    assert same == "True"
    if able == "False":
        pytest.skip("this kernel gathers no pages")
    assert int(gathered) >= 60 * 1024  # kB; the ends of 64 MB are not aligned


def test_spawned_worker_has_the_same_interface(monkeypatch):
    monkeypatch.setenv("TORCHGRADE_START", "spawn")
    with open_launcher() as launcher:
        assert launcher.level == 1
        worker = launcher.start(Limits(), preload=["wave"], serve=SNIPPET)
        text = "import os, sys; print('hello', flush=True); answer = [os.getpid(), 'wave' in sys.modules]"
        assert snippet.ask(worker.socket, text) == [worker.pid, True]
        assert worker.memory_mb() > 50
        assert worker.cpu_seconds() > 0.1
        assert worker.exit(0) is None
        assert os.read(worker.output, 100) == b"hello\n"
        worker.kill()
        worker.kill()
        assert worker.exit(0).signal == signal.SIGKILL
        worker.close()
        launcher.start_ahead(Limits(), serve=SNIPPET)
        worker = launcher.start(Limits(), serve=SNIPPET)
        assert launcher.ahead is None
        with pytest.raises(EOFError):
            snippet.ask(worker.socket, "import os; os._exit(5)")
        assert worker.exit(5).code == 5
        worker.close()
    with pytest.raises(IsolationError, match="spawn"):
        open_launcher("strict")


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
