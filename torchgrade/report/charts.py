"""Small pictures as SVG, with the numbers in words for those who do not see them."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from torchgrade.i18n import also
from torchgrade.i18n import translate as _

_WIDTH, _HEIGHT, _FOOT, _HEAD = 640, 180, 22, 18


def histogram_svg(counts: Sequence[int], labels: Sequence[str]) -> Markup:
    """Bars with their counts; ``labels`` name the bins, in per cent."""
    step = _WIDTH / len(counts)
    most = max(counts, default=0) or 1
    bars = [
        _("{label} %: {count}").format(label=label, count=count) for label, count in zip(labels, counts, strict=True)
    ]
    told = [bar for bar, count in zip(bars, counts, strict=True) if count]
    parts = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{} {}" class="histogram">').format(
            _WIDTH, _HEIGHT + _FOOT, _("Students by total."), also(*told) if told else _("No totals yet")
        )
    ]
    for place, (count, label) in enumerate(zip(counts, labels, strict=True)):
        height = (_HEIGHT - _HEAD) * count / most
        x, y = place * step, _HEIGHT - height
        parts.append(
            Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>').format(
                x + 3, y, step - 6, height, bars[place]
            )
        )
        if count:
            parts.append(Markup('<text x="{:.1f}" y="{:.1f}">{}</text>').format(x + step / 2, y - 4, count))
        parts.append(
            Markup('<text x="{:.1f}" y="{}">{}</text>').format(x + step / 2, _HEIGHT + _FOOT - 5, escape(label))
        )
    return Markup("").join([*parts, Markup("</svg>")])
