"""``verify --samples``: the references on the inputs with which PyTorch tests itself."""

from __future__ import annotations

import re
import shutil

import pytest
from support import ROOT

from torchgrade.cli import main
from torchgrade.course import Course
from torchgrade.course_tools.samples import sampled

pytest.importorskip("expecttest", reason="PyTorch's samples need the package expecttest")


def test_a_reference_that_differs_is_told_with_the_sample(tmp_path, monkeypatch, capsys):
    for name in ("exercises", "solutions", "graders", "course.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    place = tmp_path / "solutions" / "task03_linear_layer.py"
    place.write_text(place.read_text() + "\n\ndef linear_forward(x, weight, bias=None):\n    return x @ weight.T\n")
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "--samples", "task03"]) == 1
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert re.search(
        r"linear_forward as nn.functional.linear: \d+ samples equal, 0 outside, [1-9]\d* differ$", heads[0]
    )
    assert heads[1].startswith("task03_linear_layer: ManualLinear as nn.Linear: ")
    assert "float64[" in lines[1]
    assert "Tensor-likes are not close!" in lines[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_references_answer_as_pytorch_does_within_their_docstrings():
    found = list(sampled(Course.load(ROOT).tasks))
    assert len({one.task for one in found}) > 5
    assert [one for one in found if not one.holds] == []
