"""What a mutant is about: the definitions that differ, or everything."""

import pytest

from torchgrade.course_tools.edited import edited

MODULE = """
import torch
SIZE = 3
def f(x):
    return x
class Net:
    width = 2
    def __init__(self):
        pass
    def forward(self, x):
        return f(x)
"""


@pytest.mark.parametrize(("after", "found"), [
    (MODULE, set()),
    (MODULE.replace("    return x\nclass", "    return -x\nclass"), {"f"}),
    (MODULE.replace("        return f(x)", "        return x"), {"Net.forward"}),
    (MODULE.replace("width = 2", "width = 3"), {"Net.__init__", "Net.forward"}),
    (MODULE + "\ndef f(x):\n    return 0\n", {"f"}),
    (MODULE + "\nold = f\ndef f(x):\n    return old(x)\n", {"f"}),
    (MODULE + "\ndef helper():\n    return 1\n", {"helper"}),
    (MODULE + "\nclass Net(Net):\n    def forward(self, x):\n        return 1\n", {"Net.__init__", "Net.forward"}),
    (MODULE.replace("SIZE = 3", "SIZE = 4"), None),
    (MODULE + "\nNet.forward = f\n", None),
    (MODULE + "\nimport numpy\n", None),
    (MODULE.replace("import torch\n", ""), None),
])  # fmt: skip
def test_edited_definitions(after, found):
    assert edited(MODULE, after) == found
