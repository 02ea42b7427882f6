"""``%grade`` and ``%hint`` in a real kernel of Jupyter, on the miniature course."""

import os
import re
import shutil

import pytest
from support import MINI, ROOT

from torchgrade.commands.notebook import definitions, gaps, history
from torchgrade.progress import load_progress

jupyter_client = pytest.importorskip("jupyter_client.manager", reason="jupyter-client is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")
pytestmark = pytest.mark.timeout(300)
SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel") / "course"
    shutil.copytree(MINI, folder, ignore=shutil.ignore_patterns("__pycache__", ".torchgrade"))
    return folder


@pytest.fixture(scope="module")
def run(course):
    """Runs a cell; returns its number, the text and the page of its result, and the name of what it raised."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    manager, client = jupyter_client.start_new_kernel(kernel_name="python3", cwd=str(course), env=environment)

    def cell(code):
        told = {"text": "", "html": "", "raised": "", "number": 0, "displays": 0}

        def hear(message):
            kind, content = message["msg_type"], message["content"]
            if kind in ("execute_result", "display_data"):
                told["displays"] += 1
                told["text"] += content["data"]["text/plain"]
                told["html"] += content["data"].get("text/html", "")
            elif kind == "error":
                told["raised"] = content["ename"]
            elif kind == "execute_input":
                told["number"] = content["execution_count"]

        client.execute_interactive(code, timeout=200, output_hook=hear)
        return told

    assert not cell("%load_ext torchgrade")["raised"]
    yield cell
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_the_cells_that_ran_are_graded_whatever_the_file_holds(course, run):
    assert "no cell that ran defines anything of task01_scale: Affine, scale, total" in run("%grade task01")["text"]
    run("import torch\n\ndef total(x):\n    return x.sum()")
    told = run("%grade task01")["text"]
    assert "scale  todo" in told
    assert "Affine  todo" in told
    assert "FAIL" not in told
    wrong = run(SOLUTION.replace("return x * factor", "return x + factor"))
    told = run("%grade task01")
    assert told["displays"] == 1
    assert "the factor is added, not multiplied" in told["text"]
    assert f"this notebook, code cell {wrong['number']}, line" in told["text"]
    assert re.search("<span[^>]*>FAIL</span>", told["html"])
    again = run("def scale(x, factor):\n    return x * factor\n\n1 / 0")
    assert again["raised"] == "ZeroDivisionError"
    told = run("%grade task01 -v")["text"]
    assert f"scale was defined in the cells {wrong['number']}, {again['number']}; the last one counts" in told
    assert "points  8/8" in told
    assert load_progress(course)["task01_scale"].points == 8
    told = run("%grade task01 -v total")["text"]
    assert "pass     total sums all elements" in told
    assert "scale" not in told.rpartition("the last one counts")[2]
    assert "has no check with 'scale's place' in its title" in run("%grade task01 scale's place")["text"]


def test_what_cannot_be_done_is_a_sentence_and_the_kernel_lives(run):
    for line, words in [
        ("%grade", "the following arguments are required: task"),
        ("%grade task77", "there is no task 'task77'"),
        ("%grade task01 --isolation none", "unrecognized arguments"),
        ("%hint task01", "hint 1/2  Read the docstrings"),
        ("%hint task01", "hint 2/2"),
        ("%hint", "fits 2 tasks"),
    ]:
        told = run(line)
        assert words in told["text"], line
        assert not told["raised"]
    assert run("6 * 7")["text"] == "42"


def test_what_only_asks_is_no_part_of_the_work():
    cells = [
        "",
        "%load_ext torchgrade",
        "x = 1\n%grade task01",
        "# a remark\n%hint task01\n",
        "def f(): pass",
        "def f(:",
    ]
    assert history(cells) == {2: cells[2], 4: cells[4], 5: cells[5]}
    assert definitions({2: "%matplotlib inline\ndef f(): pass\nclass A: pass", 7: "def f(): pass", 8: "def g(:"}) == {
        "f": [2, 7],
        "A": [2],
    }


def test_a_gap_stands_for_what_no_cell_has_written():
    stub = """
def ready(x):
    return x

def max_pool2d(x):
    raise NotImplementedError

class Norm:
    def forward(self, x):
        raise NotImplementedError
"""
    made = {}
    exec(gaps(stub, ["pool"]), made)
    with pytest.raises(NotImplementedError):
        made["max_pool2d"](1)
    with pytest.raises(NotImplementedError):
        made["Norm"](1, eps=2)
    assert "ready" not in made
    assert "max_pool2d" not in gaps(stub, ["max_pool_2d"])  # a slip of the pen is told as one
    assert not gaps(stub, ["Norm", "max_pool2d"])
