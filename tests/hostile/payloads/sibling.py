"""Harm a sibling: another submission that is graded at the same time by the same zygote."""

from hostile.attempt import Payload, claim

PAYLOADS = [
    claim(
        "signal_sibling",
        "signal it",
        "managed(lambda: os.kill(t['sibling'], signal.SIGCONT), lambda: os.kill(t['sibling'], 0))",
    ),
    claim(
        "memory_of_sibling",
        "read its memory",
        "managed(lambda: open('/proc/%d/mem' % t['sibling'], 'rb'), lambda: open('/proc/%d/maps' % t['sibling']))",
    ),
    claim("trace_sibling", "trace it", "call(101, 0x4206, t['sibling'], 0, 0) == 0", x86=True),
    claim(
        "limits_of_sibling",
        "change its limits",
        "managed(lambda: resource.prlimit(t['sibling'], resource.RLIMIT_NOFILE, (4, 4)))",
        control="none",
    ),
    claim(
        "folder_of_sibling",
        "read its folder",
        "managed(lambda: os.listdir(t['sibling_folder'] or '/nowhere') and "
        "open(t['sibling_folder'] + '/notes').read() == 'mine')",
    ),
    claim(
        "shared_memory_of_sibling",
        "open its shared memory by name",
        "managed(lambda: open('/dev/shm/sibling-notes').read())",
        3,
    ),
    claim("list_shared_memory", "list all shared memory", "os.listdir('/dev/shm')", control="none"),
    claim(
        "socket_of_sibling",
        "connect to its abstract socket",
        "socket.socket(1).connect('\\0sibling') or True",
        control="none",
    ),
    claim(
        "system_v",
        "leave a message, a segment and a semaphore for it",
        "managed(lambda: call(68, 4711, 0o1666), "
        "lambda: call(29, 4711, 4096, 0o1666), lambda: call(64, 4711, 1, 0o1666))",
        x86=True,
        control="none",
    ),
    claim(
        "message_queue",
        "open a named message queue",
        "call(240, b'torchgrade', 0o102, 0o666, 0) and True",
        x86=True,
        control="none",
    ),
    claim(
        "file_lock",
        "talk to it through locks on a shared file",
        "managed(lambda: __import__('fcntl').flock(open("
        "t['data'] + '/set.txt'), 2 | 4), lambda: __import__('fcntl').lockf(open(t['data'] + '/set.txt'), 1 | 4))",
    ),
    Payload(
        "descriptors_in_flight",
        "park descriptors in sockets until nobody may send one",
        """
import array
def attack(t):
    kept = []
    for _ in range(40):
        try:
            left, right = socket.socketpair()
            for _ in range(40):
                left.setblocking(False)
                left.sendmsg([b"x"], [(1, 1, array.array("i", [0] * 10))])
            kept.append((left, right))
        except OSError:
            break
    t["kept"] = kept
    globals()["kept"] = kept
    return False
""",
        control="none",
    ),
    Payload(
        "busy_children",
        "take all processors with 30 busy processes",
        """
def attack(t):
    try:
        for _ in range(30):
            if os.fork() == 0:
                while True:
                    pass
    except OSError:
        pass
    time.sleep(0.5)
    return False
""",
        control="none",
    ),
]
