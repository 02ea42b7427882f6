"""What a learner may want to see of a run: a suite names it, ``report/pictures.py`` draws it with ``--save``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CURVES_SCHEMA = "torchgrade.curves/1"
POINTS = 5000  # of one curve
IMAGES = 64  # of one grid
ROW = 8  # images in a row
LINES = 40  # of a table
MAPS = 8  # of one row of heat maps
CELLS = 128  # of a heat map, along each side
BOXES = 1000  # of one panel


@dataclass
class Pictures:
    """The fixture ``pictures``. ``on_picture`` takes plain data; None where nobody looks."""

    on_picture: Callable[[dict[str, Any]], None] | None = None

    def curves(self, name: str, xlabel: str, series: Mapping[str, Iterable[float]]) -> None:
        """Lines over the number of the step or epoch, such as {"test accuracy": [...]}."""
        lines = {label: [float(value) for value in list(values)[:POINTS]] for label, values in series.items()}
        self._show("curves", name, xlabel=xlabel, series=lines)

    def grid(self, name: str, images: torch.Tensor) -> None:
        """The first 64 grey images of (N, H, W) or (N, 1, H, W), each stretched to its own range."""
        self._show("grid", name, images=_pixels(images))

    def rows(self, name: str, images: Mapping[str, torch.Tensor]) -> None:
        """A row of colour images (N, 3, H, W) for each label, the first 8, values from 0 to 1; others are clamped."""
        rows = [{"label": label, "images": _colours(some)} for label, some in images.items()]
        self._show("rows", name, rows=rows)

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """The first 40 rows of texts below the names of the columns."""
        self._show("table", name, columns=list(columns), rows=[[str(cell) for cell in row] for row in rows][:LINES])

    def keypoints(self, name: str, images: torch.Tensor, found: torch.Tensor, truth: torch.Tensor) -> None:
        """Points (N, K, 2), x before y, in pixels, on grey images (N, H, W): those found and the true ones."""
        shown = {"found": found[:IMAGES].tolist(), "truth": truth[:IMAGES].tolist()}
        self._show("keypoints", name, images=_pixels(images), **shown)

    def heatmaps(self, name: str, maps: Mapping[str, torch.Tensor], rows: str, columns: str) -> None:
        """The first 8 matrices side by side, such as {"causal": weights}, dark for 0 and light for the largest value;
        ``rows`` and ``columns`` say what they count."""
        cells = {label: matrix[:CELLS, :CELLS].detach().cpu().tolist() for label, matrix in list(maps.items())[:MAPS]}
        self._show("heatmaps", name, maps=cells, rows=rows, columns=columns)

    def boxes(
        self, name: str, image: torch.Tensor, panels: Mapping[str, torch.Tensor], truth: torch.Tensor | None = None
    ) -> None:
        """Boxes (N, 4), x1, y1, x2, y2 in pixels, on a grey image (H, W), a panel for each label."""
        found = {label: boxes[:BOXES].tolist() for label, boxes in panels.items()}
        true = [] if truth is None else truth[:BOXES].tolist()
        self._show("boxes", name, images=_pixels(image[None]), panels=found, truth=true)

    def masks(self, name: str, images: torch.Tensor, found: torch.Tensor, truth: torch.Tensor) -> None:
        """Outlines of masks (N, H, W), those found and the true ones, on grey images (N, H, W)."""
        outlines = {"truth": _pixels(truth), "found": _pixels(found)}
        self._show("masks", name, images=_pixels(images), outlines=outlines)

    def _show(self, kind: str, name: str, **data: Any) -> None:
        if self.on_picture is not None:
            self.on_picture({"kind": kind, "name": name, **data})


def _pixels(images: torch.Tensor) -> dict[str, Any]:
    """Bytes 0...255 and their shape (n, h, w)."""
    grey = images[:IMAGES].detach().float().cpu().flatten(0, -3)[:IMAGES]
    low, high = grey.amin((1, 2), keepdim=True), grey.amax((1, 2), keepdim=True)
    scaled = ((grey - low) / (high - low).clamp_min(1e-6) * 255).nan_to_num(0).byte()
    return {"shape": list(scaled.shape), "pixels": scaled.contiguous().numpy().tobytes()}


def _colours(images: torch.Tensor) -> dict[str, Any]:
    """Bytes 0...255 and their shape (n, h, w, 3)."""
    levels = images[:ROW].detach().float().cpu().nan_to_num(0).clamp(0, 1).mul(255).round().byte().movedim(1, -1)
    return {"shape": list(levels.shape), "pixels": levels.contiguous().numpy().tobytes()}


def band_of(runs: Iterable[Mapping[str, list[float]]]) -> dict[str, list[list[float]]]:
    """{label: [lowest, highest]} at each step, of curves that were drawn several times."""
    found: dict[str, list[list[float]]] = {}
    for run in runs:
        for label, values in run.items():
            low, high = found.setdefault(label, [list(values), list(values)])
            found[label] = [list(map(min, low, values)), list(map(max, high, values))]
    return {label: [[float(f"{v:.4g}") for v in side] for side in sides] for label, sides in found.items()}


def read_bands(path: Path) -> dict[str, Any]:
    """The bands of a task's ``curves.json`` by the name of the picture; empty without the file."""
    if not path.is_file():
        return {}
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return data if data.pop("schema", None) == CURVES_SCHEMA else {}


def write_bands(path: Path, bands: Mapping[str, Any]) -> None:
    """Put bands into ``curves.json``; the others stay."""
    merged = {"schema": CURVES_SCHEMA, **read_bands(path), **bands}
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in merged.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
