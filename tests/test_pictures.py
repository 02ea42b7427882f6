"""``--save``: what a run showed as PNG files, and the band of the reference's own runs."""

import importlib.util
import math
import struct

import pytest
import torch
from support import ROOT, copy_of_mini, grade_py

from torchgrade import expect
from torchgrade.errors import Mismatch, UsageError
from torchgrade.grading.compared import compared
from torchgrade.grading.pictures import Pictures, band_of, read_bands, write_bands
from torchgrade.report import pictures


def size_of(path):
    """(width, height) of a PNG file; fails when it is none."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_the_scoreboard_names_the_files(tmp_path):
    """The real command on a real task: the curve is drawn, and where it lies is said."""
    pytest.importorskip("matplotlib", reason="the extra torchgrade[pictures] is not installed")
    done = grade_py("task02", "--solutions", "--save", tmp_path / "seen", cwd=ROOT)
    assert done.returncode == 0, done.stdout
    path = tmp_path / "seen" / "task02_mini_batch.png"
    assert f"picture  {path}" in done.stdout
    assert min(size_of(path)) > 200


def test_a_failing_image_is_drawn_beside_the_expected_one(tmp_path):
    """The real command on the miniature: two checks fail, one over images; no suite says that they are."""
    pytest.importorskip("matplotlib", reason="the extra torchgrade[pictures] is not installed")
    course = copy_of_mini(tmp_path)
    suite = course / "graders" / "task01_scale" / "checks.py"
    suite.write_text(suite.read_text().replace("torch.randn(3, 4, device=device)", "torch.randn(2, 3, 16, 12)"))
    solution = (course / "solutions" / "task01_scale.py").read_text()
    wrong = solution.replace("return x * factor", "return x + factor").replace("x.sum()", "x.mean()")
    (course / "exercises" / "task01_scale.py").write_text(wrong)
    done = grade_py("task01", "--save", "seen", cwd=course)
    assert done.returncode == 1, done.stdout
    assert "FAIL     total sums all elements" in done.stdout
    drawn = list((course / "seen").iterdir())
    assert [path.name for path in drawn] == ["task01_scale_differs.png"]
    assert f"picture  seen/{drawn[0].name}" in done.stdout
    assert min(size_of(drawn[0])) > 200


def mismatch(expectation, *arguments):
    with pytest.raises(Mismatch) as caught:
        expectation(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((8, 9), (1, 8, 9)),
        ((1, 8, 9), (1, 8, 9)),
        ((3, 8, 9), (1, 8, 9, 3)),
        ((8, 9, 3), (1, 8, 9, 3)),
        ((8, 9, 1), (1, 8, 9)),
        ((5, 8, 9), (5, 8, 9)),
        ((20, 1, 8, 9), (8, 8, 9)),
        ((2, 3, 8, 9), (2, 8, 9, 3)),
        ((2, 4, 3, 5), (8, 3, 5)),
        ((5, 4, 3, 3), (8, 3, 3)),
        ((2, 9), None),
        ((8, 2000), None),
        ((9,), None),
        ((2, 2, 2, 8, 9), None),
        ((0, 8, 9), None),
    ],
)
def test_what_is_like_an_image(shape, images):
    values = torch.rand(shape)
    found = compared("test_it", "it holds", values, values + 1, torch.ones(shape, dtype=torch.bool))
    assert (found and tuple(found["got"]["shape"])) == images


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"image": x}, lambda x: [1, x], lambda x: x.numpy()])
def test_whatever_found_the_difference_says_which_values_differ(wrap):
    right = torch.rand(6, 8, 8)
    got = right.clone()
    got[4, 2, 3] += 1
    values = mismatch(expect.close, wrap(got), wrap(right)).values
    found = compared("test_it", "it holds", *values)
    assert found["expected"]["shape"] == found["got"]["shape"] == [1, 8, 8]  # the one that is wrong
    assert torch.tensor(list(found["apart"]["pixels"])).nonzero().tolist() == [[2 * 8 + 3]]
    assert found["largest"] == pytest.approx(1.0, abs=1e-6)


def test_strange_values_and_other_shapes_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="the extra torchgrade[pictures] is not installed")
    right, strange = torch.rand(3, 8, 8), torch.full((3, 8, 8), math.nan)
    strange[0] = math.inf
    pairs = [(strange, right), (right[:, :5], right), (right > 0.5, right > 0.7), (torch.ones(8, 8), torch.zeros(8, 8))]
    for number, (got, expected) in enumerate(pairs):
        values = mismatch(expect.close, got, expected).values
        path = tmp_path / f"{number}.png"
        pictures.draw(compared("test_it", "it holds", *values), "a title", path, {})
        assert min(size_of(path)) > 50
    assert mismatch(expect.close, right.double(), right).values is None


def test_without_matplotlib_one_sentence_tells_what_to_install(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name))
    with pytest.raises(UsageError, match=r"--save needs matplotlib: pip install 'torchgrade\[pictures\]'"):
        pictures.demand()


def test_every_kind_is_drawn(tmp_path):
    """Curves with a hole and of the length zero, a grid, rows, a missing point, boxes and masks, matrices, tables."""
    pytest.importorskip("matplotlib", reason="the extra torchgrade[pictures] is not installed")
    shown = []
    fixture = Pictures(shown.append)
    fixture.curves("loss", "epoch", {"train": [1000.0, math.nan, 1.0], "test": []})
    fixture.grid("faces", torch.rand(70, 1, 8, 8))
    points = torch.rand(3, 4, 2) * 8
    points[0, 0, 0] = math.nan
    fixture.keypoints("points", torch.rand(3, 8, 8), torch.rand(3, 4, 2) * 8, points)
    fixture.heatmaps("attention", {"zeros": torch.zeros(1, 2), "NaN": torch.tensor([[math.nan, 2.0]])}, "query", "key")
    fixture.heatmaps("many", {str(number): torch.rand(200, 300) for number in range(9)}, "row", "column")
    assert (len(shown[4]["maps"]), len(shown[4]["maps"]["0"]), len(shown[4]["maps"]["0"][0])) == (8, 128, 128)
    fixture.boxes("boxes", torch.rand(8, 9), {"all": torch.tensor([[-2.0, 1, 5, 6]]), "none": torch.zeros(0, 4)})
    fixture.boxes("boxes", torch.rand(8, 9), {"all": torch.rand(60, 4)}, truth=torch.tensor([[1, 1, 3, 4]]))
    fixture.masks("masks", torch.rand(3, 8, 9), torch.rand(3, 8, 9) > 0.5, torch.zeros(3, 8, 9, dtype=torch.bool))
    fixture.rows("redrawn", {"real": torch.rand(9, 3, 4, 6) * 3 - 1, "drawn": torch.full((1, 3, 4, 6), math.nan)})
    assert shown[1]["images"]["shape"] == [64, 8, 8]
    assert [row["images"]["shape"] for row in shown[-1]["rows"]] == [[8, 4, 6, 3], [1, 4, 6, 3]]
    fixture.table("graph", ["op", "inputs"], [["aten.linear.default", "x, weight"]] * 50)
    fixture.table("empty", ["op", "inputs"], [])
    assert [len(table["rows"]) for table in shown[-2:]] == [40, 0]
    for number, picture in enumerate(shown):
        path = tmp_path / f"{number}.png"
        pictures.draw(picture, "a title", path, {"train": [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]})
        assert min(size_of(path)) > 50


@pytest.mark.filterwarnings("error:Glyph")
@pytest.mark.parametrize("installed", [True, False])
def test_chinese_words_have_a_font_or_stay_english(installed, tmp_path, monkeypatch):
    """Never boxes: where no installed family is known to have Chinese characters, the picture speaks English."""
    font_manager = pytest.importorskip(
        "matplotlib.font_manager", reason="the extra torchgrade[pictures] is not installed"
    )
    monkeypatch.setattr(pictures, "_", lambda text: {"yours": "你的", "reference": "参考"}.get(text, text))
    names = {font.name for font in font_manager.fontManager.ttflist}
    here = [name for name in pictures.HAN_FONTS if name in names]
    if installed and not here:
        pytest.skip("no font with Chinese characters is installed (Debian: fonts-wqy-zenhei)")
    monkeypatch.setattr(pictures, "HAN_FONTS", here if installed else ())
    shown = []
    Pictures(shown.append).curves("loss", "epoch", {"train": [-1.0, 2.0]})
    pictures.draw(shown[0], "yours", tmp_path / "a.png", {"train": [[1.0, 2.0], [2.0, 3.0]]})
    assert min(size_of(tmp_path / "a.png")) > 50


def test_where_nobody_looks_nothing_is_told():
    Pictures().curves("loss", "epoch", {"train": [1.0]})  # would raise if it were sent anywhere


def test_the_band_holds_every_run_and_is_read_back(tmp_path):
    band = band_of([{"loss": [3.0, 1.0]}, {"loss": [2.0, 2.0]}, {"loss": [4.0, 1.5]}])
    assert band == {"loss": [[2.0, 1.0], [4.0, 2.0]]}
    path = tmp_path / "curves.json"
    write_bands(path, {"fit": band})
    write_bands(path, {"other": {}})
    assert read_bands(path) == {"fit": band, "other": {}}
    assert read_bands(tmp_path / "nothing.json") == {}
