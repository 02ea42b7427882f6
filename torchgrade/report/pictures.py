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
        elif picture["kind"] == "heatmaps":
            figure = _heatmaps(pyplot, picture, words)
        else:
            figure = _table(pyplot, picture, words) if picture["kind"] == "table" else _images(pyplot, picture)
        figure.suptitle(f"{words(title)}: {picture['name'].replace('_', ' ')}")
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


def _table(pyplot: Any, picture: Mapping[str, Any], words: Words) -> Any:
    """A column for each label, as wide as its longest text."""
    columns = picture["columns"]
    rows = list(zip(*columns.values(), strict=True)) or [("",) * len(columns)]
    figure, panel = pyplot.subplots(figsize=(4 * len(columns), 0.25 * len(rows) + 0.5), layout="constrained")
    panel.axis("off")
    table = panel.table(rows, colLabels=[words(label) for label in columns], cellLoc="left", loc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.auto_set_column_width(list(range(len(columns))))
    return figure


def _images(pyplot: Any, picture: Mapping[str, Any]) -> Any:
    import numpy as np

    images = np.frombuffer(picture["images"]["pixels"], np.uint8).reshape(picture["images"]["shape"])
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
    return figure
