"""Notebooks and scripts as people write them: what is executed, what is left out and told, the way back to cell and line."""

import ast
import json
import os
import sys
import time

import nbformat
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from torchgrade.handin import notebooks
from torchgrade.handin.kinds import is_notebook
from torchgrade.handin.names import Refused
from torchgrade.handin.source import Unreadable
from torchgrade.handin.statements import needed
from torchgrade.isolation.worker.submitted import Submitted
from torchgrade.isolation.worker.traces import describe_exception


def notebook(*cells):
    """Bytes as Jupyter writes them."""
    made = [new_markdown_cell(cell[3:]) if cell.startswith("md:") else new_code_cell(cell) for cell in cells]
    return nbformat.writes(new_notebook(cells=made)).encode()


@pytest.fixture
def load():
    """Executes a submission in this process: (module, what loaded it)."""
    finders, modules = list(sys.meta_path), set(sys.modules)

    def loading(data, home=None, main="task08_x.ipynb", seconds=2.0, **files):
        texts = {main: data if isinstance(data, bytes) else data.encode(), **{k: v.encode() for k, v in files.items()}}
        submitted = Submitted("task08_x", main, texts, home, seconds)
        return submitted.load(), submitted

    yield loading
    sys.meta_path[:] = finders
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) is None or name.startswith(
            ("exercises", "helpers", "task", "src_x", "homework_x", "my_x")
        ):
            del sys.modules[name]


def test_definitions_count_and_what_only_runs_is_told(load):
    module, submitted = load(notebook(
        "md:# Task 5", "import math\nSIZE = 3", "def area(r=SIZE):\n    return math.pi * r",
        "print(area())\nfor i in range(3):\n    area(i)", "class Net:\n    size = SIZE * 2",
        "net = Net()\nhistory = area(2)\nlast = history[-1]",
    ))  # fmt: skip

    assert module.area(1) == pytest.approx(3.14159, abs=1e-5)
    assert module.Net.size == 6
    assert not {"net", "history", "last"} & set(vars(module))
    assert submitted.notes == [
        "left out: code cell 3, line 1: it only runs something",
        "left out: code cell 3, line 2; code cell 5, line 1; code cell 5, line 2: it runs the notebook's own code",
        "left out: code cell 5, line 3: it needs a value that was left out",
    ]


def test_a_table_filled_by_a_loop_is_filled(load):
    module, submitted = load(notebook("T = {}", "for k in (True, False):\n    T[k] = not k\nT.update(x=1)"))

    assert module.T == {True: False, False: True, "x": 1}
    assert submitted.notes == []


@pytest.mark.parametrize("cells", [
    ["class Config:\n    size = 3", "CFG = Config()", "def f():\n    return CFG.size"],
    ["def make(n):\n    return n", "K = make(3)\nM = [K]\nN: int = M[0]", "def f(x=N):\n    return x"],
    ["def one(k):\n    return k", "T = {}\nfor k in (3,):\n    T[k] = one(k)", "def f():\n    return T[3]"],
    ["class Book:\n    def add(self, g):\n        return g", "B = Book()", "@B.add\ndef f():\n    return 3"],
    ["class f:\n    pass", "def new(cls):\n    return 3", "setattr(f, '__new__', new)"],
])  # fmt: skip
def test_values_that_definitions_read_are_made_by_the_notebooks_own_code(load, cells):
    module, submitted = load(notebook(*cells, "def plot(n):\n    return n", "n = plot(3)"))

    assert module.f() == 3
    assert submitted.notes == [f"left out: code cell {len(cells) + 2}, line 1: it runs the notebook's own code"]


def test_what_definitions_read_is_found_in_linear_time():
    chain = "\n".join(f"v{i} = v{i + 1}" for i in range(20_000))
    started = time.process_time()

    assert len(needed(ast.parse(f"def f():\n    return v0\n{chain}").body)) == 20_001
    assert time.process_time() - started < 3


@pytest.mark.parametrize("cell", [
    "  def f():\n      return 3\n  y = 2", ">>> def f():\n...     return 3\n...\n>>> y = 2",
    "import asyncio\nawait asyncio.sleep(0)\ndef f():\n    return 3",
    "async def g():\n    return 3\nx = await g()\ndef f():\n    return x",
])  # fmt: skip
def test_a_cell_is_read_as_ipython_reads_it(load, cell):
    module, submitted = load(notebook(cell))

    assert module.f() == 3
    assert len(submitted.notes) == ("sleep" in cell)


def test_a_line_of_the_module_is_a_line_of_a_cell(load):
    """Left-out cells and lines do not shift what comes behind them; tracebacks cite cell and line."""
    body = "%matplotlib inline\nimport os\n\n\ndef f():\n    return os"
    module, submitted = load(
        notebook("!pip install x", "md:text", body, "print(1)", "\ndef g():\n    raise ValueError")
    )
    with pytest.raises(ValueError) as caught:
        module.g()

    _, _, frames = describe_exception(caught.value, submitted.names)
    assert frames == [["task08_x.ipynb, code cell 4", 3, "g", "raise ValueError"]]
    assert submitted.notes[0] == "left out: code cell 1, line 1; code cell 2, line 1: a magic or a shell line"


@pytest.mark.parametrize("line", [
    "%matplotlib inline", "!ls -l \\\n  /tmp", "files = !ls", "t = %timeit 1", "  # comment\n%load_ext x", "f?", "?f",
    "!pip install 'torch>=2'", "% cd x", "!{sys.executable} -m pip install x", "def g():\n    !ls",
])  # fmt: skip
@pytest.mark.parametrize("pack", [notebook, str], ids=["notebook", "script"])
def test_magics_and_shell_lines_are_dropped(load, pack, line):
    """Of a notebook, and of a script that was saved from one."""
    module, submitted = load(pack(f"{line}\ndef f():\n    return 1"))

    assert module.f() == 1
    assert any("magic" in note for note in submitted.notes)


@pytest.mark.parametrize("pack", [notebook, str], ids=["notebook", "script"])
def test_a_percent_sign_inside_a_logical_line_stays(load, pack):
    """A continued line, a text or a bracket may begin with % or !, also beside a real magic."""
    text = (
        '%matplotlib inline\nx = (7\n % 4)\nTEXT = """\n%time\n!ls\n"""\ny = 5 \\\n  % 3\nz = (1\n!= 2)\n'
        "def f(a, b):\n    return ('%d of %d'  # (\n            % (a, b))\nLONG = 'a\\\n%b'\nQ = '\"\"\"'\n!ls\n"
    )
    module, submitted = load(pack(text))

    assert (module.x, module.y, module.z, module.LONG, module.Q) == (3, 2, True, "a%b", '"""')
    assert module.TEXT == "\n%time\n!ls\n"
    assert module.f(1, 2) == "1 of 2"
    assert len(submitted.notes) == 1


def test_cell_magics(load):
    """A timed cell is code, a written file is a module, another language is left out."""
    module, submitted = load(notebook(
        "%%time\ndef f():\n    return 2", "%%bash\nrm -rf /", "%%writefile helpers_x.py\ndef g():\n    return h()",
        "from helpers_x import g",
    ))  # fmt: skip

    assert module.f() == 2
    assert submitted.notes == ["left out: code cell 2, line 1: the cell belongs to %%bash"]
    with pytest.raises(NameError) as caught:
        module.g()
    assert describe_exception(caught.value, submitted.names)[2][-1][:2] == ["task08_x.ipynb, code cell 3", 3]


@pytest.mark.parametrize(("target", "line"), [
    ("'helpers_x.py'", "from helpers_x import g"), ("src_x/helpers_x.py", "from src_x.helpers_x import g"),
    ("./helpers_x.py", "import helpers_x; g = helpers_x.g"), ("/content/helpers_x.py", "from helpers_x import g"),
    ("helpers_x.py", "%run helpers_x.py"), ("src_x/helpers_x.py", "%run -i 'src_x/helpers_x.py' 3"),
    ("task08_x.py", "def other(): pass"),
])  # fmt: skip
def test_a_file_that_a_cell_writes_is_that_module(load, target, line):
    module, submitted = load(notebook(f"%%writefile {target}\ndef g():\n    return 3", line))

    assert module.g() == 3
    assert submitted.notes == []


@pytest.mark.parametrize(("line", "why"), [
    ("import numpy as np\ndata = np.loadtxt('data.csv')", "FileNotFoundError: data.csv not found"),
    ("from google.colab import drive", "ModuleNotFoundError"), ("hidden = width * 2\nwidth = 32", "NameError"),
    ("import torch\nnet = torch.load('model.pt')", "FileNotFoundError"), ("name = open('x').read()", "FileNotFound"),
    ("get_ipython().run_line_magic('matplotlib', 'inline')\nx = get_ipython()", "NameError"),
    ("x = [0] * 10**15", "MemoryError"), ("import sys\nx = sys.exit(1)", "SystemExit: 1"), ("from .nothing import x", "No module named"),
])  # fmt: skip
@pytest.mark.parametrize("pack", [notebook, str], ids=["notebook", "script"])
def test_a_statement_that_raises_costs_itself(load, pack, line, why):
    module, submitted = load(pack(f"{line}\ndef f():\n    return 3"))

    assert module.f() == 3
    assert any("line" in note and why in note for note in submitted.notes), submitted.notes


def test_what_is_missing_is_explained_by_the_statement_that_raised(load):
    """A name that was to be made; a name that another one needs; a name that nothing makes."""
    module, submitted = load(
        "import nothing_like_it as no\nW = no.width\ndef f():\n    return W\ndef g():\n    return X\n"
    )
    with pytest.raises(NameError) as caught:
        module.f()

    told = submitted.explanation(caught.value)
    assert "line 2 was left out: it raised NameError: name 'no' is not defined (line 1 was left out" in told
    assert "No module named 'nothing_like_it'" in told
    with pytest.raises(NameError) as caught:
        module.g()
    assert submitted.explanation(caught.value) == ""
    with pytest.raises(NameError, match="'no' is not defined"):
        submitted.complain("W")
    submitted.complain("other")


def test_a_class_that_cannot_be_made_is_complained_of_by_its_error(load):
    _, submitted = load("class Net(Base):\n    pass\n\ndef f():\n    return 1")
    with pytest.raises(NameError, match="Base"):
        submitted.complain("Net")


def test_a_training_at_the_end_of_a_script_is_ended(load):
    started = time.process_time()
    module, submitted = load(
        "def f():\n    return 1\nlosses = [i for i in iter(int, 1)]\nB = 2\nwhile True:\n    pass\n", seconds=0.5
    )

    assert time.process_time() - started < 5
    assert (module.f(), module.B) == (1, 2)
    assert submitted.notes == [
        "left out: line 3; line 5: what is run beside the definitions may take 0.5 s in all, and this takes longer"
    ]


@pytest.mark.parametrize("more", ["pass", "print('a number, please')", "continue"])
@pytest.mark.parametrize("asked", ["n = int(input()); break", "sum(range(999))"])
def test_a_loop_that_catches_everything_is_ended_too(load, asked, more):
    """``input()`` has nobody who answers, and a bare ``except`` asks again."""
    lines = f"while True:\n    try:\n        {asked}\n    except:\n        {more}\n"
    module, submitted = load(lines + "def f():\n    return 1\nA = 2\n", seconds=0.3)

    assert module.f() == 1
    assert sys.gettrace() is None
    assert submitted.notes[0].startswith("left out: line 1")
    assert "this takes longer" in submitted.notes[0]


@pytest.mark.parametrize("lines", ["time.sleep(1000)", "[time.sleep(0.1) for _ in iter(int, 1)]",
    "t = Thread(target=time.sleep, args=(1000,), daemon=True)\nt.start()\nt.join()"])  # fmt: skip
def test_what_waits_without_end_is_left_out(load, lines):
    text = f"import time\nfrom threading import Thread\ndef f():\n    return 1\n{lines}\nB = 2\n"
    module, submitted = load(text, seconds=0.5)

    assert (module.f(), module.B) == (1, 2)
    assert "this takes longer" in submitted.notes[0]


def test_what_waits_a_moment_is_run(load):
    module, submitted = load(
        "import time\nfor i in range(3):\n    time.sleep(0.05)\ndef f():\n    return i\n", seconds=0.5
    )

    assert module.f() == 2
    assert submitted.notes == []


def test_definitions_that_an_import_does_not_make_are_told(load):
    block = 'if __name__ == "__main__":\n    def f():\n        return 1\n    class Net:\n        def forward(self):\n            return 2\n'
    _, submitted = load(f"import math\n{block}")
    assert submitted.notes == [
        'left out: line 2: what is defined below `if __name__ == "__main__":` is not there when the file is imported'
    ]
    with pytest.raises(NameError) as missing:
        submitted.complain("f")
    assert "line 2 was left out" in submitted.explanation(missing.value)
    assert load("def f():\n    return 1\nif __name__ == '__main__':\n    print(f())\n    n = 3\n")[1].notes == []
    assert load(f"{block}else:\n    def f():\n        return 2\n    class Net:\n        pass\n")[1].notes == []

    cells = "app = marimo.App()\n\n@app.cell\ndef _():\n    def f():\n        return 1\n    return (f,)\n"
    assert "`marimo export ipynb` makes one that does" in load(f"import marimo\n\n{cells}")[1].notes[0]


def test_a_script_has_a_file_a_folder_and_arguments_of_its_own(load, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["other"])
    text = (
        "import argparse, os, sys\nargs = argparse.ArgumentParser().parse_args()\n"
        "HERE = os.path.dirname(os.path.abspath(__file__))\nos.chdir(HERE)\nTEXT = open(__file__).read()\n"
    )
    monkeypatch.chdir(tmp_path)
    module, submitted = load(text, str(tmp_path), "exercises/task08_x.py")

    assert submitted.notes == []
    assert str(tmp_path) == module.HERE
    assert text == module.TEXT
    assert sys.argv == [str(tmp_path / "task08_x.py")]


@pytest.mark.parametrize("line", [
    "from helpers_a import f", "from .helpers_a import f", "from exercises.helpers_a import f",
    "from task05_b import f", "from exercises.task05_b import f", "from helpers_p.deep import f",
    "from homework_x.helpers_a import f", "import my_x.src.helpers_a as h; f = h.f",
])  # fmt: skip
def test_modules_beside_the_task_are_imported_by_every_name(load, line):
    files = {"e/helpers_a.py": "def f():\n    return 7\n", "e/task05_b.py": "from .helpers_a import f\n",
             "e/helpers_p/deep.py": "from helpers_a import f\n"}  # fmt: skip
    module, submitted = load(f"{line}\nimport helpers_a\n", main="e/task08_x.py", **files)

    assert submitted.notes == []
    assert module.f() == 7
    assert module.helpers_a.f is module.f


def test_torch_compile_gives_back_what_it_is_given(load):
    module, submitted = load(
        "import torch\n@torch.compile\ndef f(x):\n    return x\n@torch.compile(fullgraph=True)\ndef g(x):\n    return x"
    )

    assert (module.f(1), module.g(2)) == (1, 2)
    assert submitted.notes == ["line 2: torch.compile does nothing here; the code runs uncompiled"]


def test_torch_itself_still_compiles(load):
    load("import torch")
    scope = {"torch": torch}
    exec(compile("traced = torch.compile(abs)", os.path.join(os.path.dirname(torch.__file__), "any.py"), "exec"), scope)

    assert scope["traced"] is not abs


def test_guarded_imports_and_definitions_are_taken(load):
    guarded = "try:\n    import nothing_like_this\nexcept ImportError:\n    nothing = None"
    main = "if __name__ == '__main__':\n    x = 1"
    module, _ = load(notebook(guarded, main, "if True:\n    def f():\n        return 3"))

    assert module.nothing is None
    assert module.f() == 3
    assert not hasattr(module, "x")


def test_a_syntax_error_costs_its_cell_and_cites_it(load):
    """The functions of the other cells count; those of the broken one are complained of by the error."""
    module, submitted = load(notebook("scratch: to do it", "\nx = 1\ndef f()\n    return 1", "def g():\n    return 2"))

    assert module.g() == 2
    assert "code cell 1, line 1: the cell is not valid Python" in submitted.notes[0]
    with pytest.raises(Unreadable, match="code cell 2, line 3, column 8: expected ':'"):
        submitted.complain("f")


def test_a_syntax_error_of_a_script_is_the_whole_file(load):
    with pytest.raises(Unreadable, match=":2, column"):
        load("x = 1\ndef f()\n    return 1")


def test_names_that_are_made_later_are_usable_again(load):
    module, _ = load(notebook("def f():\n    return 1", "x = f()", "x = 5", "y = x + 1"))

    assert (module.x, module.y) == (5, 6)


def test_future_imports_hold_for_all_that_follows(load):
    module, submitted = load("from __future__ import annotations\ndef f(x: Nothing) -> Nowhere:\n    return x\n")

    assert module.f(1) == 1
    assert submitted.notes == []


def test_old_notebooks_are_read(load):
    cells = [{"cell_type": "code", "input": ["def f():\n", "    return 4"], "language": "python"}]
    data = json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]})

    assert load(data.encode())[0].f() == 4


def test_a_notebook_saved_as_a_script_is_read(load):
    assert load(notebook("def f():\n    return 5"), main="task08_x.py")[0].f() == 5


def test_equal_code_is_equal_text_whatever_was_printed():
    bare = new_notebook(cells=[new_code_cell("x = 1")])
    printed = new_notebook(cells=[new_markdown_cell("hi"), new_code_cell("x = 1", execution_count=3)])
    texts = {notebooks.slim(nbformat.writes(one).encode()) for one in (bare, printed)}

    assert texts == {b"# %% code cell 1\nx = 1\n"}


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "damaged"), (b"[]", "no notebook document"), (b"{}", "no cells"), (b"\xff\xfe", "damaged"),
    (b"[" * 200_000, "damaged"), (b'{"cells": []}', "no code"), (b'{"cells": {"a": 1}}', "no cells"),
    (b'{"cells": [{"cell_type": "code", "source": 5}, 7, null]}', "no code"),
    (b'{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "written in R"),
    (b'{"cells": [], "metadata": {"kernelspec": {"language": "\\u001b[31m"}}}', "written in"),
])  # fmt: skip
def test_what_is_no_notebook_is_a_sentence(data, sentence):
    with pytest.raises(Refused, match=sentence) as caught:
        notebooks.slim(data)
    assert str(caught.value).isprintable()


def test_reading_takes_linear_time(load):
    """Ten times the cells and statements take about ten times as long, and not a hundred times."""

    def seconds(size):
        cells = [f"def f{i}():\n    return {i}\nx{i} = f{i}()\n%time\n" for i in range(size)]
        data = notebook(*cells)
        started = time.process_time()
        load(notebooks.slim(data))
        return time.process_time() - started

    seconds(50)
    assert seconds(3000) < 30 * max(seconds(300), 0.05)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["cells", "cell_type", "source", "metadata", "kernelspec", "language", "worksheets"]),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@example({"worksheets": [{"cells": 1}]}, "")
@settings(max_examples=100, deadline=None)
@given(document=_json, source=st.text(alphabet="%!?\n\\ def f():x=1;'\"\t#ü", max_size=60))
def test_any_document_is_a_module_or_a_sentence(document, source):
    """Odd documents and odd cell texts raise nothing but Refused; every line keeps its place."""
    cells = [{"cell_type": "code", "source": source}, {"cell_type": "code", "source": "def ok(): return 1"}]
    for data in (document, {"cells": cells}):
        try:
            text = notebooks.slim(json.dumps(data).encode()).decode()
        except Refused:
            continue
        module = notebooks.read(text)
        assert len(module.text.split("\n")) == len(text.split("\n"))
    assert module.parts[-1].text.strip() == "def ok(): return 1"


def test_names():
    assert all(is_notebook(name) for name in ("A.IPYNB", "a.ipynb.txt", "a.ipynb.json"))
    assert not any(is_notebook(name) for name in ("a.py", "a.py.txt", "ipynb"))
