"""Draw who imports whom in the engine: ``python docs/imports.py`` as text, with ``--svg`` as a picture.

A row for each room, highest level first; an arrow may only point down. Exits 1 where one points up or sideways.
"""

import sys
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from test_architecture import BESIDE_THE_SUBMISSION, level, modules, room  # noqa: E402

SIDE = {True: "beside the submission", False: "trusted"}


def drawing():
    """The rooms from the highest level down, and how many imports lead from one to another."""
    arrows = Counter()
    rooms = set()
    for name, names, _ in modules():
        if name.endswith("__init__"):
            continue  # of packages, and nearly empty
        rooms.add(room(name))
        for other in names:
            if other.startswith("torchgrade.") and room(other) != room(name):
                arrows[room(name), room(other)] += 1
    return sorted(rooms, key=level, reverse=True), arrows


def upward(arrows):
    return [(a, b) for a, b in arrows if level(b) >= level(a)]


def text(rooms, arrows):
    lines = []
    for one in rooms:
        below = [f"{other} {count}" for (a, other), count in sorted(arrows.items()) if a == one]
        side = "~" if one in BESIDE_THE_SUBMISSION else " "
        lines.append(f"{side} {one:<18} -> {', '.join(below) or '-'}")
    rows = [f"{len(rooms)} rooms, {len(arrows)} arrows, {len(upward(arrows))} of them up; ~ runs {SIDE[True]}"]
    return "\n".join([*lines, "", *rows])


def svg(rooms, arrows):
    """Rooms on their levels, arrows as lines between them."""
    levels = sorted({level(one) for one in rooms}, reverse=True)
    place = {}
    for row, here in enumerate(levels):
        on_it = [one for one in rooms if level(one) == here]
        for column, one in enumerate(on_it):
            place[one] = (120 + 170 * column + 40 * (row % 2), 30 + 46 * row)
    width = max(x for x, _ in place.values()) + 100
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{46 * len(levels) + 30}" '
             'font-family="monospace" font-size="12" text-anchor="middle">']  # fmt: skip
    for (a, b), count in sorted(arrows.items()):
        (x1, y1), (x2, y2) = place[a], place[b]
        colour = "crimson" if level(b) >= level(a) else "gray"
        parts.append(f'<line x1="{x1}" y1="{y1 + 12}" x2="{x2}" y2="{y2 - 12}" stroke="{colour}" '
                     f'stroke-width="{min(0.4 + count / 12, 3):.1f}" opacity="0.5"/>')  # fmt: skip
    for one, (x, y) in place.items():
        fill = "#fde7d6" if one in BESIDE_THE_SUBMISSION else "#dbe9f6"
        parts.append(f'<rect x="{x - 70}" y="{y - 12}" width="140" height="24" rx="4" fill="{fill}" stroke="#888"/>')
        parts.append(f'<text x="{x}" y="{y + 4}" fill="#222">{escape(one)}</text>')
    return "\n".join([*parts, "</svg>"])


if __name__ == "__main__":
    found = drawing()
    print((svg if "--svg" in sys.argv else text)(*found))
    sys.exit(bool(upward(found[1])))
