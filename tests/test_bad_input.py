"""Bad input gets a clear sentence, the right status and no traceback of ours; other checks are still graded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import MINI, checks_of, grade_py, result_of

from torchgrade.grading.events import Graded
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.model import as_json
from torchgrade.submission import Source

GOOD = (Path(__file__).parent / "mini" / "solutions" / "task01_scale.py").read_text()


@dataclass(frozen=True)
class Bad:
    """A file, the status that ``test_scale`` must get, words it must say, and whether the rest still passes."""

    name: str
    source: str | bytes
    status: str
    says: tuple[str, ...] = ()
    others_pass: bool = True


def scale(body: str, head: str = "") -> str:
    """The right solution with another ``scale``."""
    return f"{head}{GOOD}\n\n{'def scale(x, factor=2.0):'}\n{body}\n"


PASTED = GOOD.replace("    return x * factor", "\u00a0\u00a0\u00a0 return x * factor")
FULL_WIDTH = GOOD.replace("def total(x: Tensor)", "def total（x: Tensor)")

CASES = [
    Bad("empty file", "", "crashed", ("empty",), False),
    Bad("syntax error", GOOD.replace("return x * factor", "return x * * factor"), "crashed", (":11", "^"), False),
    Bad("no-break space", PASTED, "crashed", (":11, column 1", "U+00A0"), False),
    Bad("full-width bracket", FULL_WIDTH, "crashed", ("column 10", "U+FF08", "write '('"), False),
    Bad("a merge", "<<<<<<< HEAD\n" + GOOD + "=======\n" + GOOD + ">>>>>>> main\n", "crashed", (":1, column 1", "a merge"), False),
    Bad("prompts", GOOD + ">>> scale(3)\n6\n", "crashed", ("session with Python",), False),
    Bad("GBK comment", GOOD.replace("# TODO: multiply", "# 乘法").encode("gbk"), "passed"),
    Bad("UTF-16", GOOD.encode("utf-16"), "passed"),
    Bad("UTF-8 with BOM", b"\xef\xbb\xbf" + GOOD.encode(), "passed"),
    Bad("CRLF", GOOD.replace("\n", "\r\n").encode(), "passed"),
    Bad("tabs", GOOD.replace("    ", "\t"), "passed"),
    Bad("mixed tabs", GOOD.replace("    return x * factor", "\tx = x\n        return x * factor"), "crashed", (":11", "tabs"), False),
    Bad("binary", bytes(range(128, 256)) * 4, "crashed", ("cannot be read",), False),
    Bad("missing package", "import no_such_package\n" + GOOD, "passed", ("line 1", "no_such_package")),
    Bad("missing package in use", scale("    return no_such.f(x)", "import no_such\n"), "crashed",
        ("NameError", "line 1 was left out", "torch and numpy")),
    Bad("needs CUDA", GOOD + "\nZ = torch.zeros(1, device='cuda')\n", "passed", ("left out", "CUDA")),
    Bad("trains on import", GOOD + "\nwhile True:\n    torch.ones(9).sum()\n", "passed", ("left out", "this takes longer")),
    Bad("waits on import", GOOD + "\nimport time\ntime.sleep(10**6)\n", "passed", ("left out", "this takes longer")),
    Bad("prints a lot", GOOD + "\nfor _ in range(3000):\n    print('x' * 10000)\n", "passed"),
    Bad("input() on import", GOOD + "\ninput('name? ')\n", "passed", ("EOFError",)),
    Bad("sys.exit on import", "import sys\n" + GOOD + "\nsys.exit(0)\n", "passed", ("SystemExit",)),
    Bad("os._exit on import", "import os\n" + GOOD + "\nos._exit(0)\n", "crashed", ("exit status 0",), False),
    Bad("BaseException", GOOD + "\nclass Bye(BaseException): pass\nraise Bye('now')\n", "passed", ("Bye: now",)),
    Bad("function missing", GOOD.replace("def scale", "def zzz"), "failed", ("definition of scale",)),
    Bad("function misspelt", GOOD.replace("def scale", "def scales"), "failed", ("only scales",)),
    Bad("too few parameters", scale("    return 1").replace("def scale(x, factor=2.0)", "def scale(x)"), "crashed",
        ("TypeError", "positional")),
    Bad("a class instead", GOOD + "\n\nclass scale:\n    def __init__(self, x, f): pass\n", "failed", ("scale",)),
    Bad("None", scale("    x * factor"), "failed", ("None",)),
    Bad("a list", scale("    return (x * factor).tolist()"), "failed", ("list",)),
    Bad("numpy array", scale("    return (x * factor).numpy()"), "failed", ("array",)),
    Bad("float64", scale("    return (x * factor).double()"), "failed", ("float64",)),
    Bad("NaN", scale("    return x * float('nan')"), "failed", ("nan",)),
    Bad("tensor subclass", scale("    return (x + 1).as_subclass(Yes)", "import torch\nclass Yes(torch.Tensor):\n"
        "    @classmethod\n    def __torch_function__(cls, f, types, args=(), kwargs=None):\n        return True\n"), "failed"),
    Bad("40 GB view", scale("    return torch.ones(1).expand(10**10)"), "failed", ("40.0 GB",)),
    Bad("negative strides", scale("    return (x * factor).numpy()[::-1]"), "failed", ("array",)),
    Bad("lazy object", scale("    return Lazy()", "class Lazy:\n    def __getattr__(self, name):\n"
        "        raise RuntimeError('not now')\n"), "failed", ("Lazy",)),
    Bad("endless loop", scale("    while True: pass"), "timed_out", ("more than",)),
    Bad("endless C call", scale("    return sum(iter(int, 1))"), "timed_out", ("more than",)),
    Bad("sleep", scale("    import time; time.sleep(10**6)"), "timed_out", ("more than",)),
    Bad("recursion", scale("    return scale(x, factor)"), "crashed", ("without an end",)),
    Bad("segmentation fault", scale("    import ctypes; ctypes.string_at(0)"), "crashed", ("segmentation fault",)),
    Bad("30 GB", scale("    return torch.empty(30 * 2**30, dtype=torch.uint8)"), "out_of_memory", ("1024 MB",)),
    Bad("30 GB of bytes", scale("    return bytearray(30 * 2**30)"), "out_of_memory", ("1024 MB",)),
    Bad("5,000 threads", scale("    import threading, time\n    for _ in range(5000):\n"
        "        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n    return x * factor"),
        "crashed", ("thread",)),
    Bad("thread left running", scale("    import threading, time\n    threading.Thread(target=time.sleep, args=(600,)).start()\n"
        "    return x * factor"), "passed"),
    Bad("child left running", scale("    import os, time\n    os.fork() or time.sleep(611)\n    return x * factor"),
        "passed"),
    Bad("stdout closed", scale("    import sys; sys.stdout.close()\n    return x * factor"), "passed"),
    Bad("descriptor 1 closed", scale("    import os; os.close(1); os.close(2)\n    return x * factor"), "passed"),
    Bad("everything patched", GOOD + "\nimport builtins, gc, random, time\ntorch.allclose = torch.equal = lambda *a, **k: True\n"
        "torch.Tensor.__eq__ = lambda *a: True\nbuiltins.print = builtins.open = None\ntime.time = time.monotonic = lambda: 0.0\n"
        "random.random = lambda: 0.5\ngc.collect = lambda *a: 0\n\ndef scale(x, factor=2.0):\n    return x * 0\n",
        "failed", ()),
    Bad("default dtype", scale("    torch.set_default_dtype(torch.float64)\n    return x * factor"), "passed"),
    Bad("default device", scale("    torch.set_default_device('meta')\n    return x * factor"), "passed"),
    Bad("manual_seed", scale("    torch.manual_seed(0)\n    return x * factor"), "passed"),
    Bad("gradients off", scale("    torch.set_grad_enabled(False)\n    return x * factor"), "passed", (), False),
    Bad("SystemExit in a call", scale("    raise SystemExit(0)"), "crashed", ("sys.exit()",)),
    Bad("os._exit in a call", scale("    import os; os._exit(0)"), "crashed", ("exit status 0",)),
    Bad("hostile text", scale("    raise ValueError('\\x1b[2J\\x00<b>' + 'y' * 10**6)"), "crashed", ("ValueError",)),
]  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """What a command grades with, for one file after another: a grader that a bad one harmed is harmed for the next."""
    with Pool.local(MINI, 2) as pool:
        yield pool


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Bad, pool: Pool) -> None:
    name = "exercises/task01_scale.py"
    data = case.source if isinstance(case.source, bytes) else case.source.encode()
    job = Options(timeout_scale=0.4).job(CASES.index(case), "task01_scale", Source(name, {name: data}))
    (grade,) = [event.grade for event in pool.events([job]) if isinstance(event, Graded)]
    checks = checks_of({"tasks": [as_json(grade)]})
    check = checks["test_scale"]
    said = " ".join(str(check[key]) for key in ("message", "expected", "got", "likely", "where"))
    said += " ".join(grade.notes)
    assert check["status"] == case.status, said
    for words in case.says:
        assert words in said
    assert "\x1b" not in said
    assert len(said) < 8000
    if case.others_pass:
        assert checks["test_total"]["status"] == "passed"
    elif case.status not in ("passed", "failed"):
        assert checks["test_total"]["message"] == "waits for the file to be loaded"


def test_missing_file(mini: Path) -> None:
    """A row says which file is missing; the other task is graded."""
    (mini / "exercises" / "task01_scale.py").unlink()
    result = result_of(cwd=mini, code=1)
    assert result["tasks"][0]["checks"][0]["message"] == "there is no file task01_scale.py"
    assert result["tasks"][1]["checks"][0]["status"] == "todo"


def test_nothing_to_grade(mini: Path, tmp_path: Path) -> None:
    """A folder without a file of the course cannot be graded at all: exit 2."""
    (tmp_path / "empty").mkdir()
    done = grade_py("--submission", tmp_path / "empty", cwd=mini)
    assert done.returncode == 2
    assert "holds nothing that can be graded" in done.stderr
    assert done.stdout == ""


def test_nothing_is_left_running(mini: Path) -> None:
    """No process of a submission outlives its task, not even one in a session of its own."""
    body = (
        "    import ctypes, os, time\n    if os.fork() == 0:\n        ctypes.CDLL(None).prctl(15, b'leftover611', 0, 0, 0)\n"
        "        try:\n            os.setsid()\n        except OSError:\n            pass\n        time.sleep(611)\n"
        "    time.sleep(0.3)\n    return x * factor"
    )
    (mini / "exercises" / "task01_scale.py").write_text(scale(body))
    result_of("task01", cwd=mini, code=0)
    names = [path.read_text() for path in Path("/proc").glob("[0-9]*/comm") if path.exists()]
    assert "leftover611\n" not in names
