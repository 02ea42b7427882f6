"""What a worker cannot do at levels 2 and 3, and what it still can; the parts of the confinement by themselves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine import mounts, plan, seccomp, syscalls
from torchgrade.isolation.launch import cgroup, levels
from torchgrade.isolation.launch.launcher import Launcher, Limits, open_launcher
from torchgrade.isolation.worker import snippet

SNIPPET = "torchgrade.isolation.worker.snippet:serve"
ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.bare


@pytest.fixture(scope="module", params=["strict", "standard"])
def launcher(request) -> Iterator[Launcher]:
    made = open_launcher(request.param)
    try:
        assert made.level
    except IsolationError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def run(launcher):
    """Run a text in a fresh worker; its answer."""
    started = []

    def run(text: str, **limits):
        worker = launcher.start(Limits(**limits), serve=SNIPPET)
        started.append(worker)
        return snippet.ask(worker.socket, text, 60)

    yield run
    for worker in started:
        worker.close()


def test_no_file_outside_is_read_or_written(run, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the answer")
    tmp_path.chmod(0o777)
    secret.chmod(0o666)
    text = f"""
answer = []
for attempt in (lambda: open({str(secret)!r}).read(), lambda: open({str(secret)!r}, "w"),
                lambda: open({str(tmp_path / "new")!r}, "w"), lambda: __import__("os").listdir({str(ROOT)!r}),
                lambda: open("/etc/passwd").read(), lambda: open({plan.interpreter()!r}, "r+b")):
    try:
        answer.append(repr(attempt()))
    except OSError as error:
        answer.append(None)
"""
    assert run(text) == [None] * 6
    assert secret.read_text() == "the answer"


def test_scratch_is_private_and_gone_afterwards(launcher):
    """Another job's folder is another one; at level 3 the host never sees it, at level 2 until the job is closed."""
    worker, other = (launcher.start(Limits(), serve=SNIPPET) for _ in range(2))
    text = "import os; os.makedirs('a/b'); open('a/b/c', 'w').write('x'); answer = os.getcwd()"
    written = Path(snippet.ask(worker.socket, text), "a/b/c")
    assert written.exists() == (launcher.level == 2)
    assert snippet.ask(other.socket, "import os; answer = os.listdir('.')") == []
    worker.close()
    other.close()
    assert not written.exists()


def test_worker_is_never_root_and_has_no_capability(launcher):
    worker = launcher.start(Limits(), serve=SNIPPET)
    status = Path(f"/proc/{worker.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert "0" not in fields["Uid"].split()
    assert all(int(fields[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapInh", "CapAmb"))
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    worker.close()


def test_no_network_and_no_namespace(run):
    text = """
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
answer = {}
for name, family in (("inet", 2), ("inet6", 10), ("netlink", 16), ("vsock", 40), ("vsock high bits", 40 | 1 << 32)):
    answer[name] = libc.syscall(41, ctypes.c_long(family), 1, 0)
answer["unshare"] = libc.unshare(0x10000000)
answer["mount"] = libc.mount(b"none", b"/", b"tmpfs", 0, None)
answer["ptrace"] = libc.ptrace(16, 1, 0, 0)
answer["setsid"] = libc.setsid()
answer["prlimit"] = libc.prlimit(1, 7, None, ctypes.create_string_buffer(16))
answer["memfd"] = libc.memfd_create(b"x", 0)
answer["io_uring"] = libc.syscall(425, 1, 0)
"""
    assert set(run(text).values()) == {-1}


def test_a_submission_hears_signals_as_any_program_does(run):
    """Its supervisor is deaf to them; what a submission starts must not be."""
    text = """
import signal
answer = [sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))]
answer += [int(signal.getsignal(getattr(signal, name))) for name in ("SIGTERM", "SIGCHLD", "SIGPIPE", "SIGXFSZ")]
"""
    assert run(text) == [[], 0, 0, 1, 1]  # Python itself ignores the last two


def test_unknown_system_calls_do_not_exist_and_known_ones_are_not_permitted(run):
    text = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
answer = []
for number in (600, 435, 0x40000000 + 39, 101):
    libc.syscall(number, 0, 0, 0, 0, 0)
    answer.append(ctypes.get_errno())
"""
    assert run(text) == [38, 38, 38, 1]


def test_limits_cannot_be_raised(run):
    text = """
import resource
answer = {}
for name in ("NOFILE", "NPROC", "FSIZE", "DATA", "CORE", "CPU"):
    number = getattr(resource, "RLIMIT_" + name)
    hard = resource.getrlimit(number)[1]
    try:
        resource.setrlimit(number, (hard, hard + 1))
        answer[name] = "raised"
    except (OSError, ValueError):
        answer[name] = "refused"
"""
    assert set(run(text, processes=20).values()) == {"refused"}


def test_processes_are_limited(run):
    text = """
import os, time
answer = 0
try:
    for i in range(400):
        if os.fork() == 0:
            time.sleep(100)
        answer += 1
except OSError:
    pass
"""
    assert 5 < run(text, processes=40) <= 40


def test_files_are_limited(launcher):
    worker = launcher.start(Limits(file_mb=16), serve=SNIPPET)
    text = """
import time
answer = 0
for i in range(30):
    try:
        open(str(i), "wb").write(bytes(2**20 * 4))
    except OSError:
        break
    answer += 4
    time.sleep(0.1)
"""
    try:
        assert snippet.ask(worker.socket, text) <= 16
    except EOFError:  # without a quota the supervisor measures, and ends the job
        assert launcher.level == 2
        assert worker.exit(5).out_of_space
    worker.close()


def test_memory_of_all_processes_together_is_bounded_by_a_cgroup(launcher):
    if launcher.memory_bound != "cgroup":
        pytest.skip("no control group may be made here")
    worker = launcher.start(Limits(memory_mb=256, file_mb=16), serve=SNIPPET)
    text = """
import mmap
kept = mmap.mmap(-1, 1 << 30)          # shared: RLIMIT_DATA does not count it
for start in range(0, 1 << 30, 4096):
    kept[start] = 1
"""
    with pytest.raises(EOFError):
        snippet.ask(worker.socket, text)
    assert worker.exit(5).out_of_memory
    worker.close()


def test_a_control_group_is_as_new_for_the_next_job(launcher):
    """An earlier job's kill is not held against a later one, and each has the bound of its own limits."""
    if launcher.memory_bound != "cgroup":
        pytest.skip("no control group may be made here")
    text = """
import mmap
kept = mmap.mmap(-1, {mb} << 20)       # shared: RLIMIT_DATA does not count it
for start in range(0, {mb} << 20, 4096):
    kept[start] = 1
"""
    killed, groups = [], set()
    for memory_mb, asked_mb in ((256, 700), (256, 100), (1024, 700), (256, 700), (256, 100)):
        worker = launcher.start(Limits(memory_mb=memory_mb, file_mb=16), serve=SNIPPET)
        groups.add(Path(f"/proc/{worker.pid}/cgroup").read_text().partition(cgroup.PREFIX)[2].split()[0])
        with contextlib.suppress(EOFError):
            assert snippet.ask(worker.socket, text.format(mb=asked_mb)) is None
        worker.kill()
        killed.append(worker.exit(5).out_of_memory)
        worker.close()
    assert killed == [True, False, False, True, False]
    assert len(groups) == 1


def test_a_control_group_with_something_left_in_it_is_not_used_again():
    groups = cgroup.Cgroups()
    if not groups.usable:
        pytest.skip("no control group may be made here")
    with subprocess.Popen(["sleep", "100"]) as left:
        first = groups.watch(Limits())
        first.attach(left.pid)
        folder = first._group.folder
        ending = threading.Timer(0.1, left.kill)
        ending.start()
        first.close()
    assert not folder.exists()
    second = groups.watch(Limits())
    kept = second._group.folder
    second.close()
    assert kept != folder
    assert kept.exists()
    groups.close()
    assert not kept.exists()


@pytest.mark.parametrize("version", [cgroup.V1, cgroup.V2])
def test_what_makes_a_control_group_clean(tmp_path, version):
    """By its files, which are told apart by name only."""
    group = cgroup.Group(tmp_path, version)
    (tmp_path / "cgroup.procs").write_text("")
    assert not group.is_clean(), "what it is charged with cannot be read"
    (tmp_path / version.charged).write_text(f"{cgroup.LEFT_MB * cgroup.MB}\n")
    assert group.is_clean()
    (tmp_path / version.charged).write_text(f"{cgroup.LEFT_MB * cgroup.MB + 1}\n")
    assert not group.is_clean()
    (tmp_path / version.charged).write_text("0\n")
    (tmp_path / "cgroup.procs").write_text("123\n")
    assert not group.is_clean()


def test_a_forked_grader_has_control_groups_of_its_own_and_leaves_none():
    text = f"""
import json, os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from torchgrade.isolation.launch.cgroup import PREFIX
from torchgrade.isolation.launch.launcher import Limits, open_launcher


def group_of_a_job():
    worker = launcher.start(Limits(), serve={SNIPPET!r})
    name = Path(f"/proc/{{worker.pid}}/cgroup").read_text().partition(PREFIX)[2].split()[0]
    worker.close()
    return name


launcher = open_launcher("standard")
assert launcher.memory_bound == "cgroup", "no control group"
read, write = os.pipe()
if os.fork() == 0:
    launcher.inherit()
    os.write(write, json.dumps([os.getpid(), group_of_a_job()]).encode())
    launcher.leave()
    os._exit(0)
os.wait()
child, of_child = json.loads(os.read(read, 1000))
of_parent = group_of_a_job()
found = [path.name for path in launcher._cgroups._base[0].glob(f"{{PREFIX}}{{child}}-*")]
launcher.close()
found += [path.name for path in launcher._cgroups._base[0].glob(f"{{PREFIX}}{{os.getpid()}}-*")]
print(json.dumps([child, of_child, os.getpid(), of_parent, found]))
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=200, check=False)
    if "no control group" in done.stderr or "does not hold here" in done.stderr:
        pytest.skip("no control group may be made here")
    assert done.returncode == 0, done.stderr
    child, of_child, parent, of_parent, found = json.loads(done.stdout)
    assert of_child.startswith(f"{child}-")
    assert of_parent.startswith(f"{parent}-")
    assert found == []


def test_memory_watch_counts_all_processes_once(launcher):
    worker = launcher.start(Limits(), serve=SNIPPET)
    before = worker.memory_mb()
    text = """
import os, time, torch
kept = torch.ones(2**18 * 60)
for i in range(3):
    if os.fork() == 0:
        more = torch.ones(2**18 * 20)
        time.sleep(100)
time.sleep(0.5)
import builtins; builtins.kept = kept
"""
    snippet.ask(worker.socket, text)
    assert 110 < worker.memory_mb() - before < 200
    worker.close()


@pytest.fixture
def open_folder():
    """For everybody to read; pytest closes those that lie below its own to others, whenever a session starts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_data_sets_are_readable_and_read_only(open_folder):
    (open_folder / "set.txt").write_text("numbers")
    with open_launcher("auto", readable=[open_folder]) as launcher:
        if launcher.level == 1:
            pytest.skip("nothing is confined here")
        worker = launcher.start(Limits(), serve=SNIPPET)
        path = str(open_folder / "set.txt")
        assert snippet.ask(worker.socket, f"answer = open({path!r}).read()") == "numbers"
        assert "raised" in snippet.ask(worker.socket, f"open({path!r}, 'w')")
        worker.close()


def test_loader_with_workers_and_exchange_of_tensors(run):
    text = """
import torch, torch.multiprocessing as mp
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(40.0).reshape(20, 2))
answer = [sum(batch[0].sum().item() for batch in DataLoader(data, batch_size=5, num_workers=2))]
queue = mp.Queue()
process = mp.get_context("fork").Process(target=lambda: queue.put(torch.ones(5, dtype=torch.bfloat16)))
process.start()
answer.append(str(queue.get().dtype))
process.join()
"""
    assert run(text) == [780.0, "torch.bfloat16"]


def test_ordinary_work_of_torch(run):
    text = """
import shutil, tempfile, threading, torch
layer = torch.nn.Linear(3, 2)
layer(torch.ones(4, 3)).sum().backward()
torch.save(layer.state_dict(), "layer.pt")
shutil.copy2("layer.pt", "copy.pt")
again = torch.load("copy.pt", mmap=True)
with tempfile.TemporaryFile() as file, torch.autocast("cpu", dtype=torch.bfloat16):
    kind = str((torch.ones(2, 2) @ torch.ones(2, 2)).dtype)
threads = [threading.Thread(target=print) for _ in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
answer = [sorted(again), kind, torch.ones(5).share_memory_().is_shared()]
"""
    assert run(text) == [["bias", "weight"], "torch.bfloat16", True]


def test_asking_for_cuda_without_a_gpu_costs_no_isolation():
    if os.path.exists("/dev/nvidiactl"):
        pytest.skip("there is a GPU")
    with open_launcher("auto") as plain, open_launcher("auto", device="cuda") as asked:
        assert asked.level == plain.level


def test_hidden_parts_under_a_readable_folder_are_refused(tmp_path):
    (tmp_path / "graders").mkdir()
    for readable, hidden in (([tmp_path], [tmp_path / "graders"]), ([tmp_path / "graders"], [tmp_path])):
        with pytest.raises(IsolationError, match="must stay hidden"):
            levels.plan(3, "cpu", readable, hidden, None)


def test_a_launcher_refuses_to_show_hidden_parts():
    if reason := levels.obstacle(3):
        pytest.skip(reason)
    with open_launcher("strict", readable=[ROOT]) as launcher, pytest.raises(IsolationError, match="must stay hidden"):
        launcher.start(Limits())


def test_missing_parts_are_named_with_the_repair(monkeypatch):
    monkeypatch.setattr(levels.shutil, "which", lambda name: None)
    with open_launcher("strict") as launcher, pytest.raises(IsolationError, match="apt install bubblewrap"):
        launcher.start(Limits())
    monkeypatch.setattr(levels.landlock, "version", lambda: 0)
    with open_launcher("standard") as launcher, pytest.raises(IsolationError, match=r"Linux 6\.2"):
        launcher.start(Limits())
    with open_launcher("auto") as launcher:
        assert launcher.level == 1
        assert sorted(launcher.missing) == [2, 3]


def test_temporary_files_may_not_lie_where_jobs_see_them(monkeypatch):
    if levels.obstacle(2):
        pytest.skip(str(levels.obstacle(2)))
    monkeypatch.setattr(levels.tempfile, "gettempdir", lambda: "/dev/shm/mine")
    with open_launcher("standard") as launcher, pytest.raises(IsolationError, match="set TMPDIR to another"):
        launcher.start(Limits())


def test_bubblewrap_shows_a_folder_once_and_parents_before(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    command = mounts.bubblewrap({str(inside): "r", str(tmp_path): "rx", "/dev/null": "dev"}, as_root=False)
    assert command.count(str(tmp_path)) == 2
    assert str(inside) not in command
    assert command.index(str(tmp_path.parent)) < command.index(str(tmp_path))
    assert "--unshare-user" in command


def test_table_of_system_calls_agrees_with_the_headers():
    """Only where the headers of this architecture are installed."""
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not header.exists():
        pytest.skip("no kernel headers")
    known = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header.read_text())}
    ours = syscalls.numbers("x86_64")
    assert {name: known[name] for name in ours if name in known} == {n: v for n, v in ours.items() if n in known}
    assert len(ours) > 200
    generic = Path("/usr/include/asm-generic/unistd.h").read_text()
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", generic)}
    ours = syscalls.numbers("aarch64")
    assert {name: known[name] for name in ours if name in known} == {n: v for n, v in ours.items() if n in known}


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_filter_decides_as_the_table_says(architecture):
    numbers, kernel = syscalls.numbers(architecture), syscalls.ARCHITECTURES[architecture][1]
    code = seccomp.program(3, architecture=architecture)
    for name in numbers.keys() - syscalls.CONDITIONAL - syscalls.FOR_CUDA:
        assert decide(code, kernel, numbers[name]) == seccomp.ALLOW, name
    refused = seccomp.ERROR | 1
    for name in syscalls.FOR_CUDA:
        assert decide(code, kernel, numbers[name]) == refused, name
        assert decide(seccomp.program(3, True, architecture), kernel, numbers[name]) == seccomp.ALLOW, name
    assert decide(code, kernel ^ 1, numbers["read"]) == seccomp.KILL
    assert decide(code, kernel, numbers["clone3"]) == seccomp.ERROR | 38
    assert decide(code, kernel, numbers["clone"], 0x10000011) == refused
    assert decide(code, kernel, numbers["clone"], 0x01200011) == seccomp.ALLOW
    assert decide(code, kernel, numbers["socket"], 1) == seccomp.ALLOW
    assert decide(seccomp.program(2, architecture=architecture), kernel, numbers["socket"], 1) == seccomp.ERROR | 97
    assert decide(code, kernel, numbers["prlimit64"], 1, 7) == refused
    assert decide(code, kernel, numbers["prlimit64"], 0, 7) == seccomp.ALLOW
    assert decide(code, kernel, numbers["prlimit64"], 0, 4, 1 << 40) == refused
    assert decide(code, kernel, numbers["prlimit64"], 0, 4, 0) == seccomp.ALLOW
    assert decide(code, kernel, 1000) == seccomp.ERROR | 38


def decide(code: bytes, kernel: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would."""
    import struct

    data = struct.pack("iIQ6Q", number, kernel, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("HBBI", code))
    at = value = 0
    while True:
        operation, yes, no, constant = steps[at]
        at += 1
        if operation == seccomp.LOAD:
            value = struct.unpack_from("I", data, constant)[0]
        elif operation == seccomp.RETURN:
            return constant
        else:
            hit = {
                seccomp.JUMP_EQUAL: value == constant,
                seccomp.JUMP_ABOVE: value > constant,
                seccomp.JUMP_FROM: value >= constant,
                seccomp.JUMP_BITS: bool(value & constant),
            }[operation]
            at += yes if hit else no


def test_cgroups_of_version_two_by_their_files(tmp_path):
    """Against an imitation: a machine has one version or the other."""
    root, own = tmp_path / "cgroup", tmp_path / "self"
    (root / "user" / "session").mkdir(parents=True)
    own.write_text("0::/user/session\n")
    assert not cgroup.Cgroups(root, own).usable
    assert not list(root.rglob("torchgrade-*"))


def test_everything_holds_for_an_ordinary_user_too(tmp_path):
    if os.getuid() != 0:
        pytest.skip("needs root, to become somebody else")
    holding = [name for number, name in levels.NAMES.items() if levels.obstacle(number) is None]
    text = f"""
import json, os, sys
sys.path.insert(0, {str(ROOT)!r})
from torchgrade.isolation.worker import snippet
from torchgrade.isolation.launch.launcher import Launcher, open_launcher, Limits
found = {{}}
for isolation in {holding}:
    with open_launcher(isolation) as launcher:
        worker = launcher.start(Limits(), serve={SNIPPET!r})
        answer = snippet.ask(worker.socket, "import os, torch; answer = [os.getuid() != 0, torch.ones(2).sum().item()]")
        found[isolation] = [launcher.level, *answer, worker.memory_mb() > 1]
        worker.close()
print(json.dumps([os.getuid(), found]))
"""
    command = [sys.executable, str(ROOT / "tests" / "ordinary.py"), sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    user, found = json.loads(done.stdout)
    assert user != 0
    assert found == {name: [number, True, 2.0, True] for number, name in levels.NAMES.items() if name in holding}
    if lacking := [
        f"{name}: {levels.obstacle(number)}" for number, name in levels.NAMES.items() if name not in holding
    ]:
        pytest.skip("; ".join(lacking))  # what holds here has held; the rest was not tried
