"""``verify --samples``: the references on the inputs with which PyTorch tests itself."""

from __future__ import annotations

import re
import shutil

import pytest
from support import ROOT

from torchgrade.cli import main

pytest.importorskip("expecttest", reason="PyTorch's samples need the package expecttest")


@pytest.mark.timeout(600)
def test_references_answer_as_pytorch_does_and_one_that_does_not_is_told_with_the_sample(tmp_path, monkeypatch, capsys):
    """The bias is left out of task 03; all others are as they are, and hold."""
    for name in ("exercises", "solutions", "graders", "course.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    place = tmp_path / "solutions" / "task03_linear_layer.py"
    place.write_text(place.read_text() + "\n\ndef linear_forward(x, weight, bias=None):\n    return x @ weight.T\n")
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "--samples"]) == 1
    lines = capsys.readouterr().out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    wrong = [line for line in heads if not re.search(r": [1-9]\d* samples equal, \d+ outside, 0 differ$", line)]
    assert len(heads) > 50
    assert len(wrong) == 2
    assert re.search(
        r"linear_forward as nn.functional.linear: \d+ samples equal, 0 outside, [1-9]\d* differ$", wrong[0]
    )
    assert "ManualLinear as nn.Linear: " in wrong[1]
    sample = lines[lines.index(wrong[0]) + 1]
    assert "float64[" in sample
    assert "Tensor-likes are not close!" in sample


def test_a_task_without_samples_is_told(capsys):
    assert main(["verify", "--samples", "task43"]) == 2
    assert "no samples.py in task43_export_serving" in capsys.readouterr().err
