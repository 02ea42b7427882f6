"""Exhaust a resource: memory, processes, files, time, output."""

from hostile.attempt import Payload, claim

SMALL = {"memory_mb": 300, "file_mb": 16, "processes": 24}


def harm(name: str, attempt: str, text: str, **more: object) -> Payload:
    return Payload(name, attempt, text, 1, proof="survive", control="none", **more)  # type: ignore[arg-type]


PAYLOADS = [
    Payload(
        "fork_bomb",
        "start 120 processes",
        """
def attack(t):
    count = 0
    try:
        for _ in range(120):
            if os.fork() == 0:
                time.sleep(100)
                os._exit(0)
            count += 1
    except OSError:
        pass
    return count > 30
""",
        limits=SMALL,
        control="roomy",
    ),
    Payload(
        "fork_tree",
        "fork without end in every child",
        """
def attack(t):
    for _ in range(20):
        try:
            os.fork()
        except OSError:
            time.sleep(0.01)
    time.sleep(100)
""",
        2,
        proof="survive",
        control="none",
        seconds=1.5,
        limits=SMALL,
    ),
    claim(
        "threads",
        "start 500 threads",
        "managed(lambda: [threading.Thread(target=time.sleep, args=(9,), daemon=True).start() for _ in range(500)])",
        limits=SMALL,
        control="roomy",
    ),
    claim(
        "tensor",
        "allocate 6 GB in one tensor",
        "managed(lambda: torch.ones(6 * 2**28).sum())",
        1,
        limits=SMALL,
        control="none",
    ),
    claim(
        "bytes", "allocate 2 GB of bytes", "managed(lambda: len(bytearray(2 << 30)))", 1, limits=SMALL, control="roomy"
    ),
    Payload(
        "shared_memory",
        "take 2 GB of shared anonymous memory, which no limit of a process counts",
        """
def attack(t):
    block = mmap.mmap(-1, 2 << 30)
    for start in range(0, 2 << 30, 4096):
        block[start] = 1
    time.sleep(2)
    return True
""",
        1,
        limits=SMALL,
        control="roomy",
    ),
    Payload(
        "sum_of_children",
        "let 6 children take 250 MB each",
        """
def attack(t):
    pids = []
    for _ in range(6):
        pid = os.fork()
        if pid == 0:
            block = bytearray(b"x") * (250 << 20)
            time.sleep(3)
            os._exit(0 if len(block) else 1)
        pids.append(pid)
    time.sleep(2)
    return [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 6
""",
        1,
        seconds=30.0,
        limits=SMALL,
        control="roomy",
    ),
    claim(
        "disk",
        "write 200 MB",
        "managed(lambda: [open(str(n), 'wb').write(bytes(4 << 20)) for n in range(50)] and time.sleep(2) or True)",
        limits=SMALL,
        control="roomy",
    ),
    claim(
        "sparse_file",
        "make a file of 4 GB",
        "managed(lambda: open('big', 'wb').close() or os.truncate('big', 1 << 32))",
        limits=SMALL,
        control="roomy",
    ),
    claim(
        "many_files",
        "make 50,000 files",
        "managed(lambda: [open(str(n), 'w').close() for n in range(50000)] and time.sleep(2) or True)",
        limits=SMALL,
        control="none",
        seconds=30.0,
    ),
    Payload(
        "deleted_files",
        "fill the disk with files that have no name",
        """
def attack(t):
    kept = []
    for number in range(200):
        file = open(str(number), "w+b")
        os.unlink(str(number))
        file.write(bytes(8 << 20))
        file.flush()
        os.fsync(file.fileno())
        kept.append(file)
    time.sleep(2)
    return len(kept) == 200
""",
        limits={**SMALL, "file_mb": 16},
        seconds=30.0,
        control="none",
    ),
    claim(
        "descriptors",
        "open 10,000 files",
        "managed(lambda: [os.open('/dev/null', 0) for _ in range(10000)])",
        limits=SMALL,
        control="none",
    ),
    claim("pipes", "make pipes of 1 MB", "managed(lambda: __import__('fcntl').fcntl(os.pipe()[1], 1031, 1 << 20))"),
    claim(
        "signals",
        "queue signals without end",
        "managed(lambda: signal.pthread_sigmask(0, [40]) is not None and "
        "[os.kill(os.getpid(), 40) or call(129, os.getpid(), 40, ctypes.create_string_buffer(struct.pack('iii', 40, 0, "
        "-1), 128)) for _ in range(100000)])",
        control="none",
        x86=True,
    ),
    harm("endless_loop", "never end", "def attack(t):\n    while True:\n        pass\n", seconds=1.0),
    harm(
        "endless_c_loop",
        "never end, in compiled code that ignores signals",
        """
import re
def attack(t):
    for number in range(1, 32):
        managed(lambda: signal.signal(number, signal.SIG_IGN))
    return re.match(r"(a+)+$", "a" * 60 + "b")
""",
        seconds=1.0,
    ),
    harm(
        "endless_sleep",
        "sleep for ever with all signals blocked",
        """
def attack(t):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
    time.sleep(1e6)
""",
        seconds=1.0,
    ),
    harm("endless_import", "never end while it is imported", "while True:\n    pass\n", seconds=1.0),
    harm(
        "endless_destructor",
        "never end in a destructor",
        """
class Slow:
    def __del__(self):
        while True:
            pass
def attack(t):
    return Slow() and None
""",
        seconds=1.0,
    ),
    harm(
        "flood",
        "print 100 MB",
        """
def attack(t):
    for _ in range(100):
        os.write(1, b"x" * (1 << 20))
""",
        seconds=3.0,
    ),
    harm("segfault", "crash", "def attack(t):\n    ctypes.string_at(0)\n"),
    harm("abort", "abort", "def attack(t):\n    os.abort()\n"),
    harm(
        "recursion",
        "overflow the stack",
        """
def attack(t):
    sys.setrecursionlimit(10**9)
    def down(n):
        return down(n + 1) + 1
    return down(0)
""",
        seconds=5.0,
        limits=SMALL,
    ),
    harm(
        "thread_bomb_and_exit",
        "leave threads that never end and exit",
        """
def attack(t):
    for _ in range(10):
        threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()
    sys.exit(0)
""",
        seconds=2.0,
    ),
    Payload(
        "daemon",
        "leave a daemon that outlives it",
        """
def attack(t):
    for _ in range(5):
        if os.fork() == 0:
            managed(os.setsid)
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(0)
    return False
""",
        1,
        control="none",
    ),
    Payload(
        "stubborn_daemons",
        "leave daemons that fork whenever one is killed",
        """
def attack(t):
    def live():
        signal.signal(signal.SIGCHLD, lambda *a: None)
        while True:
            try:
                if os.fork() == 0:
                    continue
                os.wait()
            except OSError:
                time.sleep(0.001)
    for _ in range(4):
        if os.fork() == 0:
            live()
    return False
""",
        1,
        control="none",
        limits=SMALL,
    ),
    Payload(
        "vfork_stopped",
        "leave stopped children",
        """
def attack(t):
    for _ in range(5):
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(1000)
    return False
""",
        1,
        control="none",
    ),
]
