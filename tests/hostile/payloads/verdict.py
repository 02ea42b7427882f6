"""Forge the verdict: the submission's `scale` is wrong, and yet a check is to pass."""

from hostile.attempt import Payload, claim


def exam(name: str, attempt: str, text: str, **more: object) -> Payload:
    return Payload(name, attempt, text, 1, proof="exam", control="naive", **more)  # type: ignore[arg-type]


PAYLOADS = [
    exam(
        "patched_allclose",
        "replace torch's comparisons",
        """
torch.allclose = torch.equal = lambda *a, **k: True
torch.testing.assert_close = lambda *a, **k: None
""",
    ),
    exam(
        "patched_builtins",
        "replace isinstance, abs and all",
        """
import builtins
builtins.isinstance = builtins.all = lambda *a, **k: True
builtins.abs = lambda value: 0.0
torch.Tensor.abs = lambda self: self * 0.0
torch.Tensor.max = lambda self, *a: torch.zeros(())
torch.allclose = lambda *a, **k: True
""",
    ),
    exam(
        "exit_in_call",
        "leave with exit status 0 in the middle of a check",
        """
def scale(x, factor=2.0):
    os._exit(0)
""",
    ),
    exam("exit_at_import", "leave with SystemExit(0) while it is imported", "raise SystemExit(0)\n"),
    exam(
        "exit_by_signal_handler",
        "leave with exit status 0 from a timer",
        """
signal.signal(signal.SIGALRM, lambda *a: os._exit(0))
signal.setitimer(signal.ITIMER_REAL, 0.01)
def scale(x, factor=2.0):
    time.sleep(1.0)
    return x
""",
    ),
    Payload(
        "skip_exception",
        "raise pytest's own Skipped and Exit",
        """
def scale(x, factor=2.0):
    from _pytest import outcomes
    raise outcomes.Exit("all passed", 0) if x[0] > 0 else outcomes.Skipped("not today")
""",
        1,
        proof="exam",
        control="none",
    ),
    exam(
        "expected_by_gc",
        "find the expected value among the objects of the process",
        """
def scale(x, factor=2.0):
    for thing in gc.get_objects():
        if isinstance(thing, dict) and isinstance(thing.get("expected"), torch.Tensor):
            return thing["expected"]
    for frame in sys._current_frames().values():
        while frame:
            if isinstance(frame.f_locals.get("expected"), torch.Tensor):
                return frame.f_locals["expected"]
            frame = frame.f_back
    return x
""",
    ),
    exam(
        "expected_by_trace",
        "watch the grader's variables with a trace function",
        """
seen = []
def trace(frame, event, argument):
    for value in frame.f_locals.values():
        if isinstance(value, torch.Tensor):
            seen.append(value)
    return trace
sys.settrace(trace)
threading.settrace(trace)
def scale(x, factor=2.0):
    frame = sys._getframe(1)
    while frame:
        if isinstance(frame.f_locals.get("expected"), torch.Tensor):
            return frame.f_locals["expected"]
        frame = frame.f_back
    return x
""",
    ),
    Payload(
        "worker_says_ok",
        "make the worker's own server answer that all is well",
        """
from torchgrade.isolation.worker.server import Server
Server.op_call = lambda self, *a, **k: [True, None]
Server.op_probe = lambda self, *a, **k: [True, None]
""",
        1,
        proof="exam",
        control="none",
    ),
    Payload(
        "extra_fields",
        "answer with a status, points and a passed mark",
        """
def scale(x, factor=2.0):
    return {"status": "passed", "points": 100, "passed": True, "value": x}
""",
        1,
        proof="exam",
        control="none",
    ),
    Payload(
        "printed_report",
        "print what a grader that parses the output would believe",
        """
def scale(x, factor=2.0):
    print('{"score": 100, "tests": [{"status": "passed"}]}\\n1 passed in 0.01s', flush=True)
    os.write(1, b"##vso[task.complete result=Succeeded;]\\n")
    return x
""",
        1,
        proof="exam",
        control="none",
    ),
    Payload(
        "report_at_exit",
        "write a results file when the process ends",
        """
import atexit
def write(t=None):
    for place in (os.getcwd(), os.path.dirname(os.getcwd()), "/autograder/results"):
        try:
            open(place + "/results.json", "w").write('{"score": 100}')
        except OSError:
            pass
atexit.register(write)
write()
raise SystemExit(0)
""",
        1,
        proof="exam",
        control="none",
    ),
    Payload(
        "raise_success",
        "raise exceptions that look like success",
        """
def scale(x, factor=2.0):
    raise type("Passed", (AssertionError,), {})("1 passed")
""",
        1,
        proof="exam",
        control="none",
    ),
    Payload(
        "interrupt",
        "raise KeyboardInterrupt into the grader",
        """
def scale(x, factor=2.0):
    raise KeyboardInterrupt
""",
        1,
        proof="exam",
        control="none",
    ),
    Payload(
        "exception_that_lies",
        "raise an exception whose text, type and traceback are code",
        """
class Lie(Exception):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
    @property
    def __class__(self): return NotImplementedError
def scale(x, factor=2.0):
    raise Lie()
""",
        1,
        proof="exam",
        control="none",
    ),
    claim(
        "poisoned_engine",
        "change the engine's or torch's files for the next job",
        "managed(*[lambda f=f: open(f, 'r+b') for f in (torch.__file__, os.__file__, t['engine'] + '/errors.py')])",
        control="none",
    ),
    claim(
        "conftest",
        "leave a conftest.py, sitecustomize.py or .pth where the grader starts",
        "managed(*[lambda f=f: open(f, 'w') for f in (t['place'] + '/conftest.py', "
        "os.path.dirname(torch.__path__[0]) + '/evil.pth', t['engine'] + '/conftest.py')])",
    ),
]
