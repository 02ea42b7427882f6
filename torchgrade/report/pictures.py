"""Draws what a run showed as PNG files, with matplotlib (an optional extra)."""

from __future__ import annotations

import importlib.util
import logging
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torchgrade.errors import UsageError
from torchgrade.i18n import noop
from torchgrade.i18n import translate as _

COLUMNS = 8
# Families that have Chinese characters, where Linux, Windows and macOS come with one.
HAN_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei",
    "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB", "Heiti SC",
    "Arial Unicode MS",
)  # fmt: skip
_HAN = re.compile(r"[\u3400-\u9fff]")

Words = Callable[[str], str]


def demand() -> None:
    """UsageError where nothing can be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError(_("--save needs matplotlib: pip install 'torchgrade[pictures]'"))


def draw(picture: Mapping[str, Any], title: str, path: Path, band: Mapping[str, Any]) -> None:
    """Write one picture of the task with this title. ``band``: {label: [lowest, highest]} of the reference's runs."""
    import matplotlib

    matplotlib.use("Agg")
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # a font without a weight is good enough
    from matplotlib import pyplot

    with matplotlib.rc_context():
        words = _words()
        if picture["kind"] == "curves":
            figure = _curves(pyplot, picture, band, words)
        elif picture["kind"] == "boxes":
            figure = _boxes(pyplot, picture, words)
        elif picture["kind"] == "heatmaps":
            figure = _heatmaps(pyplot, picture, words)
        elif picture["kind"] == "table":
            figure = _table(pyplot, picture, words)
        elif picture["kind"] == "compared":
            figure = _compared(pyplot, picture, words)
        else:
            figure = _rows(pyplot, picture) if picture["kind"] == "rows" else _images(pyplot, picture)
        about = words(picture["sentence"]) if "sentence" in picture else picture["name"].replace("_", " ")
        figure.suptitle(f"{words(title)}: {about}")
        figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)


def _words() -> Words:
    """Translates what stands in a picture, with a font that has its characters; where there is none it stays English:
    a reader can do more with that than with boxes."""
    from matplotlib import font_manager, rcParams

    if not _HAN.search(_("yours")):
        return _
    installed = {font.name for font in font_manager.fontManager.ttflist}
    found = [name for name in HAN_FONTS if name in installed]
    rcParams["font.sans-serif"] = [*found[:1], *rcParams["font.sans-serif"]]
    rcParams["axes.unicode_minus"] = not found  # such a font may lack the sign, and a box would stand for it
    return _ if found else lambda text: text


def _curves(pyplot: Any, picture: Mapping[str, Any], band: Mapping[str, Any], words: Words) -> Any:
    """One panel for each line, so that lines of different units stay readable."""
    series = picture["series"]
    figure, panels = pyplot.subplots(
        1, len(series), figsize=(4.5 * len(series), 3.4), squeeze=False, layout="constrained"
    )
    for panel, (label, values) in zip(panels[0], series.items(), strict=True):
        steps = range(1, len(values) + 1)
        if label in band:
            low, high = band[label]
            panel.fill_between(range(1, len(low) + 1), low, high, alpha=0.25, label=words(noop("reference")))
        panel.plot(
            steps, values, marker="o" if len(values) <= 20 else None, color="tab:red", label=words(noop("yours"))
        )
        finite = [value for value in values if math.isfinite(value)]
        if finite and min(finite) > 0 and max(finite) > 100 * min(finite):
            panel.set_yscale("log")
        panel.set(xlabel=picture["xlabel"], title=label)
        panel.legend()
    return figure


def _heatmaps(pyplot: Any, picture: Mapping[str, Any], words: Words) -> Any:
    """One panel for each matrix, all with the colours of the scale beside the last."""
    maps = picture["maps"]
    figure, panels = pyplot.subplots(
        1, len(maps), figsize=(3 * len(maps) + 0.6, 3), squeeze=False, layout="constrained"
    )
    values = [value for matrix in maps.values() for row in matrix for value in row if math.isfinite(value)]
    largest = max(values, default=0) or 1
    for panel, (label, matrix) in zip(panels[0], maps.items(), strict=True):
        drawn = panel.imshow(matrix, vmin=0, vmax=largest)
        panel.set(title=words(label), xlabel=words(picture["columns"]), ylabel=words(picture["rows"]))
    figure.colorbar(drawn, ax=list(panels[0]))
    return figure


def _boxes(pyplot: Any, picture: Mapping[str, Any], words: Words) -> Any:
    """The image once for each panel; whatever boxes reach over its border is seen, too."""
    from matplotlib.collections import PolyCollection

    (image,), panels = _pixels(picture), picture["panels"]
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(4.5 * len(panels), 3.8), squeeze=False, layout="constrained"
    )
    for panel, (label, boxes) in zip(axes[0], panels.items(), strict=True):
        panel.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, image.shape[1], image.shape[0], 0))
        for shown, colour, name in ((picture["truth"], "tab:green", noop("truth")), (boxes, "tab:red", noop("yours"))):
            if shown:
                corners = [[(x1, y1), (x2, y1), (x2, y2), (x1, y2)] for x1, y1, x2, y2 in shown]
                width = 1.0 if len(shown) < 50 else 0.4
                panel.add_collection(PolyCollection(corners, fc="none", ec=colour, lw=width, label=words(name)))
        panel.autoscale_view()
        panel.set(title=f"{label}: {len(boxes)}", xticks=[], yticks=[])
        if panel.collections:
            panel.legend(loc="lower right", fontsize="small")
    return figure


def _pixels(picture: Mapping[str, Any]) -> Any:
    return _array(picture["images"])


def _array(kept: Mapping[str, Any]) -> Any:
    import numpy as np

    return np.frombuffer(kept["pixels"], np.uint8).reshape(kept["shape"])


def _images(pyplot: Any, picture: Mapping[str, Any]) -> Any:
    images = _pixels(picture)
    outlines = {key: _array(kept) for key, kept in picture.get("outlines", {}).items()}
    rows = max(1, math.ceil(len(images) / COLUMNS))
    figure, panels = pyplot.subplots(rows, COLUMNS, figsize=(COLUMNS * 1.1, rows * 1.15), squeeze=False)
    for panel in panels.flat:
        panel.axis("off")
    for number, (panel, image) in enumerate(zip(panels.flat, images, strict=False)):
        panel.imshow(image, cmap="gray", vmin=0, vmax=255)
        for key, colour, mark in (("truth", "tab:green", "+"), ("found", "tab:red", "x")):
            if key in picture:
                x, y = zip(*picture[key][number], strict=True)
                panel.scatter(x, y, c=colour, marker=mark, s=14, linewidths=0.9)
            if key in outlines and outlines[key][number].any():
                panel.contour(outlines[key][number], levels=[127], colors=colour, linewidths=0.9)
    return figure


def _rows(pyplot: Any, picture: Mapping[str, Any]) -> Any:
    """A row of colour images for each label, which stands on its left."""
    rows = [(row["label"], _array(row["images"])) for row in picture["rows"]]
    columns = max(1, *(len(images) for _, images in rows))
    figure, panels = pyplot.subplots(len(rows), columns, figsize=(columns * 1.1 + 1, len(rows) * 1.15), squeeze=False)
    for line, (label, images) in zip(panels, rows, strict=True):
        for panel in line:
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        line[0].set_ylabel(label, rotation=0, horizontalalignment="right", verticalalignment="center")
        for panel, image in zip(line, images, strict=False):
            panel.imshow(image)
    return figure


def _compared(pyplot: Any, picture: Mapping[str, Any], words: Words) -> Any:
    """A row for each image: what was expected, what came, and how far apart they are where that is wrong."""
    shown = {noop("expected"): picture["expected"], noop("got"): picture["got"]}
    if picture["apart"] is not None:
        shown[noop("difference")] = picture["apart"]
    columns = {label: _array(kept) for label, kept in shown.items()}
    rows = max(len(images) for images in columns.values())
    height = max(0.6, min(2.0, 9 / rows))
    figure, panels = pyplot.subplots(
        rows, len(columns), figsize=(2.4 * len(columns), height * rows + 0.9), squeeze=False, layout="constrained"
    )
    for panel in panels.flat:
        panel.axis("off")
    for column, (label, images) in zip(panels.T, columns.items(), strict=True):
        colours = "inferno" if label == "difference" else "gray"
        column[0].set_title(words(label))
        for panel, image in zip(column, images, strict=False):
            panel.imshow(image, cmap=colours, vmin=0, vmax=255)
    low, high = picture["range"]
    text = words(noop("black {low:.4g}, white {high:.4g}")).format(low=low, high=high)
    if 0 < picture["largest"] < math.inf:
        text += words(noop("; they differ by {largest:.4g} at most")).format(largest=picture["largest"])
    figure.supxlabel(text, fontsize="small")
    return figure


def _table(pyplot: Any, picture: Mapping[str, Any], words: Words) -> Any:
    """Texts in columns that are as wide as the longest of them."""
    names = [words(name) for name in picture["columns"]]
    rows = picture["rows"] or [[""] * len(names)]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    figure, panel = pyplot.subplots(figsize=(sum(widths) * 0.09 + 1, len(rows) * 0.3 + 1))
    panel.axis("off")
    shares = [width / sum(widths) for width in widths]
    table = panel.table(rows, colLabels=names, colWidths=shares, cellLoc="left", loc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.3)
    return figure
