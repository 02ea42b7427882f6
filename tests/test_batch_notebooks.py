"""Notebooks as modules: what is taken, what is reported, and the way back to cell and line."""

import json

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from torchgrade.handin.names import Refused
from torchgrade.handin.notebooks import convert, is_notebook


def notebook(*cells):
    """Bytes as Jupyter writes them."""
    made = [new_markdown_cell(cell[3:]) if cell.startswith("md:") else new_code_cell(cell) for cell in cells]
    return nbformat.writes(new_notebook(cells=made)).encode()


def run(data):
    module = convert(data)
    space = {}
    exec(compile(module.source, "nb", "exec"), space)
    return module, space


def test_definitions_are_taken_in_order_and_the_rest_is_reported():
    module, space = run(notebook(
        "md:# Task 5", "import math\nSIZE = 3", "def area(r=SIZE):\n    return math.pi * r",
        "print(area())\nfor i in range(3):\n    area(i)", "class Net:\n    size = SIZE * 2",
        "net = Net()\nhistory = area(2)\nlast = history[-1]",
    ))  # fmt: skip

    assert space["area"](1) == pytest.approx(3.14159, abs=1e-5)
    assert space["Net"].size == 6
    assert not {"net", "history", "last"} & set(space)
    assert [(cell, line) for cell, line, _ in module.left_out] == [(3, 1), (3, 2), (5, 1), (5, 2), (5, 3)]
    assert module.left_out[-1][2] == "it needs a value that was left out"


def test_a_line_of_the_module_is_a_line_of_a_cell():
    """Left-out cells and lines do not shift what comes behind them."""
    body = "%matplotlib inline\nimport os\n\n\ndef f():\n    return os"
    module = convert(notebook("!pip install x", "md:text", body, "print(1)", "\ndef g():\n    raise ValueError"))
    lines = module.source.split("\n")

    assert module.place(lines.index("def f():") + 1) == (2, 5)
    assert module.place(lines.index("    raise ValueError") + 1) == (4, 3)


@pytest.mark.parametrize("line", [
    "%matplotlib inline", "!ls -l \\\n  /tmp", "files = !ls", "t = %timeit 1", "  # comment\n%load_ext x", "f?", "?f",
    "!pip install 'torch>=2'",
])  # fmt: skip
def test_magics_and_shell_lines_are_dropped(line):
    module, space = run(notebook(f"{line}\ndef f():\n    return 1"))

    assert space["f"]() == 1
    assert any("magic" in sentence for _, _, sentence in module.left_out)


def test_a_percent_sign_that_is_no_magic_stays():
    """A continuation line or a string may begin with % or !."""
    _, space = run(notebook('x = (7\n % 4)\nTEXT = """\n%time\n!ls\n"""'))

    assert space["x"] == 3
    assert space["TEXT"] == "\n%time\n!ls\n"


def test_cell_magics():
    module, space = run(notebook("%%time\ndef f():\n    return 2", "%%bash\nrm -rf /", "%%writefile x.py\ndef g(): 0"))

    assert space["f"]() == 2
    assert "g" not in space
    assert [sentence for _, _, sentence in module.left_out if "belongs" in sentence] == [
        "the cell belongs to %%bash", "the cell belongs to %%writefile",
    ]  # fmt: skip


def test_statements_that_share_a_line():
    _, space = run(notebook("import math; print('ü'); é = math.pi; math.sin(\n 1)\ndef f(): return é"))

    assert space["f"]() == pytest.approx(3.14159, abs=1e-5)


def test_guarded_imports_and_definitions_are_taken():
    guarded = "try:\n    import nothing_like_this\nexcept ImportError:\n    nothing = None"
    main = "if __name__ == '__main__':\n    x = 1"
    _, space = run(notebook(guarded, main, "if True:\n    def f():\n        return 3"))

    assert space["nothing"] is None
    assert space["f"]() == 3
    assert "x" not in space


def test_a_syntax_error_in_a_definition_stays_for_the_learner_to_read():
    """Scratch that is not Python costs nothing; a broken definition is not silently lost."""
    module = convert(notebook("scratch: to do", "def f(:\n    return 1", "def g():\n    return 2"))

    assert "def f(:" in module.source
    assert (1, 1, "the cell is not valid Python") in module.left_out
    assert module.place(module.source.split("\n").index("def f(:") + 1) == (2, 1)


def test_a_name_that_is_defined_later_in_full_is_usable_again():
    _, space = run(notebook("def f():\n    return 1", "x = f()", "x = 5", "y = x + 1"))

    assert (space["x"], space["y"]) == (5, 6)


def test_old_notebooks_are_read():
    cells = [{"cell_type": "code", "input": ["def f():\n", "    return 4"], "language": "python"}]
    data = json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]})
    assert run(data.encode())[1]["f"]() == 4


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "damaged"), (b"[]", "no notebook document"), (b"{}", "no cells"), (b"\xff\xfe", "damaged"),
    (b"[" * 200_000, "damaged"), (b'{"cells": []}', "defines nothing"), (b'{"cells": {"a": 1}}', "no cells"),
    (b'{"cells": [{"cell_type": "code", "source": 5}, 7, null]}', "defines nothing"),
    (b'{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "written in R"),
    (b'{"cells": [], "metadata": {"kernelspec": {"language": "\\u001b[31m"}}}', "written in"),
    (b'{"cells": [{"cell_type": "code", "source": "print(1)"}]}', "defines nothing"),
])  # fmt: skip
def test_what_is_no_notebook_is_a_sentence(data, sentence):
    with pytest.raises(Refused, match=sentence) as caught:
        convert(data)
    assert str(caught.value).isprintable()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["cells", "cell_type", "source", "metadata", "kernelspec", "language", "worksheets"]),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(document=_json, source=st.text(alphabet="%!?\n\\ def f():x=1;'\"\t#ü", max_size=60))
def test_any_document_is_a_module_or_a_sentence(document, source):
    """Odd documents and odd cell texts raise nothing but Refused."""
    cells = [{"cell_type": "code", "source": source}, {"cell_type": "code", "source": "def ok(): return 1"}]
    for data in (document, {"cells": cells}):
        try:
            module = convert(json.dumps(data).encode())
        except Refused:
            continue
        assert len(module.starts) == len(module.cells)
    assert "def ok()" in convert(json.dumps({"cells": cells}).encode()).source


def test_names():
    assert is_notebook("A.IPYNB")
    assert not is_notebook("a.py")
