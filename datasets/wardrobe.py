"""Clothing-like silhouettes: 28x28 grey images of ten classes, drawn from seeded random numbers.

``generate(count, seed)`` returns uint8 images (count, 28, 28) and int64 labels (count,), every ten in a row
holding each class once. A garment is a signed distance field (negative inside), so position, angle, scale,
shear, mirror and proportions vary freely; texture, inverted contrast, stray strokes, blur and noise are laid
over it. These nuisances are what a convolution is needed for: with ``nuisance=0`` a linear model suffices.

Prefix-stable: the first n images of a seed do not depend on how many are drawn.
"""

import numpy as np

CLASSES = (
    "t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip

_COLUMNS = 96  # uniform numbers kept for each image; 24 shape it, the others disturb it
_BLOCK = 500  # images drawn at a time: the temporaries stay in the cache


def generate(count, seed=0, size=28, nuisance=1.0):
    """Draw ``count`` images.

    nuisance scales pose, mirrored contrast and clutter: 0 leaves centred, upright garments.
    Returns (images uint8 (count, size, size), labels int64 (count,)). Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    order, numbers, grain = (np.random.default_rng([seed, stream]) for stream in range(3))
    decades = -(-count // len(CLASSES))
    labels = np.concatenate([order.permutation(len(CLASSES)) for _ in range(decades)] or [[]])[:count]
    labels = labels.astype(np.int64)
    images = np.empty((count, size, size), np.uint8)
    for start in range(0, count, _BLOCK):
        part = labels[start : start + _BLOCK]
        table = numbers.random((len(part), _COLUMNS), np.float32)
        noise = grain.standard_normal((len(part), size, size), np.float32)
        images[start : start + _BLOCK] = _draw(part, table, noise, size, nuisance)
    return images, labels


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "wardrobe",
        "title": "clothing-like silhouettes, 28x28, ten classes",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


class _Draws:
    """Hands out the columns of a table of uniform numbers, one per question, shaped to meet images."""

    def __init__(self, table, first=0):
        self.table, self.column = table, first

    def __call__(self, low, high):
        values = low + (high - low) * self.table[:, self.column]
        self.column += 1
        return values[:, None, None].astype(np.float32)  # (n, 1, 1)


def _draw(labels, table, noise, size, nuisance):
    clean = np.empty(noise.shape, np.float32)
    for kind in range(len(CLASSES)):
        rows = np.flatnonzero(labels == kind)
        if len(rows):
            clean[rows] = _scene(kind, table[rows], size, nuisance)
    draw = _Draws(table, _COLUMNS - 4)
    inverted = draw(0, 1) < 0.5 * min(nuisance, 1)
    clean = np.where(inverted, 1 - clean, clean)
    blurred = _blur(clean)
    image = clean + draw(0, 0.5) * (blurred - clean) + draw(0.02, 0.11) * noise
    return (np.clip(image, 0, 1) * 255).astype(np.uint8)


def _scene(kind, table, size, nuisance):
    """One class: the garment in its pose over a background with strokes; values about 0..1."""
    draw = _Draws(table, 24)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x = axis[None, None, :] - draw(-0.2, 0.2) * nuisance
    y = axis[None, :, None] - draw(-0.2, 0.2) * nuisance
    angle, zoom, shear = draw(-0.42, 0.42) * nuisance, draw(0.8, 1.22), draw(-0.14, 0.14) * nuisance
    mirror = np.where(draw(0, 1) < 0.5, np.float32(-1), np.float32(1))
    v = (np.cos(angle) * y - np.sin(angle) * x) * zoom
    u = (np.cos(angle) * x + np.sin(angle) * y) * zoom * mirror + shear * v
    inside = np.clip(0.5 - _GARMENTS[kind](u, v, _Draws(table)) * (size / 2.6), 0, 1)
    ground = draw(0, 0.24) * (1 + 0.5 * np.sin(draw(-2, 2) * x + draw(-2, 2) * y + draw(0, 6.3)))
    for _ in range(2):
        stroke = _capsule(x, y, (draw(-1, 1), draw(-1, 1)), (draw(-1, 1), draw(-1, 1)), draw(0.02, 0.06))
        ground = ground + draw(0, 0.35) * nuisance * (stroke < 0)
    return ground * (1 - inside) + inside * draw(0.55, 1.0) * _texture(u, v, draw)


def _texture(u, v, draw):
    """Plain, striped or chequered cloth: factors about 1."""
    pitch, phase, turn = draw(4, 14), draw(0, 6.3), draw(0, 6.3)
    stripes = np.sin(pitch * (np.cos(turn) * u + np.sin(turn) * v) + phase)
    checks = stripes * np.sin(pitch * (np.cos(turn) * v - np.sin(turn) * u))
    choice = draw(0, 1)
    pattern = np.where(choice < 0.4, np.float32(0), np.where(choice < 0.75, stripes, checks))
    return 1 + draw(0.1, 0.42) * pattern


def _blur(images):
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    return (padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]) / 4


# Signed distances, negative inside; u grows to the right, v downwards, a garment spans about -0.8..0.8.


def _join(*parts):
    result = parts[0]
    for part in parts[1:]:
        result = np.minimum(result, part)
    return result


def _cut(body, *holes):
    for hole in holes:
        body = np.maximum(body, -hole)
    return body


def _box(u, v, centre, half):
    return np.maximum(np.abs(u - centre[0]) - half[0], np.abs(v - centre[1]) - half[1])


def _disc(u, v, centre, radius):
    return np.hypot(u - centre[0], v - centre[1]) - radius


def _capsule(u, v, start, end, radius):
    du, dv = end[0] - start[0], end[1] - start[1]
    along = ((u - start[0]) * du + (v - start[1]) * dv) / (du * du + dv * dv + 1e-6)
    along = np.clip(along, 0, 1)
    return np.hypot(u - start[0] - along * du, v - start[1] - along * dv) - radius


def _panel(u, v, width_top, width_bottom, top, bottom):
    """A trapezium, mirrored about u = 0."""
    width = width_top + (width_bottom - width_top) * (v - top) / (bottom - top)
    return np.maximum(np.abs(u) - width, np.maximum(top - v, v - bottom))


def _torso(u, v, draw, bottom):
    shoulder = draw(0.30, 0.40)
    return _panel(u, v, shoulder, draw(0.29, 0.42), -0.60, bottom), shoulder, draw(0.10, 0.14)


def _long_sleeves(u, v, draw, shoulder, thick):
    side = np.abs(u)
    elbow = (shoulder + draw(0.12, 0.20), draw(-0.15, 0.0))
    wrist = (elbow[0] + draw(0.0, 0.12), draw(0.30, 0.55))
    upper = _capsule(side, v, (shoulder - 0.06, -0.48), elbow, thick)
    return _join(upper, _capsule(side, v, elbow, wrist, thick * 0.9))


def _round_neck(u, v, draw):
    return _capsule(u, v, (0, -0.68), (0, -0.60), draw(0.10, 0.17))


def _open_collar(u, v, draw):
    return _panel(u, v, draw(0.14, 0.20), 0.015, -0.70, draw(-0.36, -0.22))


def _t_shirt(u, v, draw):
    body, shoulder, thick = _torso(u, v, draw, draw(0.48, 0.62))
    cuff = (shoulder + draw(0.14, 0.24), draw(-0.30, -0.12))
    sleeves = _capsule(np.abs(u), v, (shoulder - 0.05, -0.48), cuff, thick)
    return _cut(_join(body, sleeves), _round_neck(u, v, draw))


def _pullover(u, v, draw):
    body, shoulder, thick = _torso(u, v, draw, draw(0.48, 0.62))
    return _cut(_join(body, _long_sleeves(u, v, draw, shoulder, thick)), _round_neck(u, v, draw))


def _coat(u, v, draw):
    body, shoulder, thick = _torso(u, v, draw, draw(0.68, 0.84))
    front = _box(u, v, (0, 0.3), (draw(0.028, 0.055), 0.75))
    return _cut(_join(body, _long_sleeves(u, v, draw, shoulder, thick)), _open_collar(u, v, draw), front)


def _shirt(u, v, draw):
    body, shoulder, thick = _torso(u, v, draw, draw(0.50, 0.66))
    buttons = [_disc(u, v, (0, -0.15 + 0.19 * k), 0.052) for k in range(4)]
    return _cut(_join(body, _long_sleeves(u, v, draw, shoulder, thick)), _open_collar(u, v, draw), *buttons)


def _trousers(u, v, draw):
    leg = _capsule(np.abs(u), v, (0.17, -0.45), (0.18 + draw(0, 0.10), draw(0.70, 0.88)), draw(0.105, 0.15))
    return _join(_box(u, v, (0, -0.58), (draw(0.26, 0.33), 0.12)), leg)


def _dress(u, v, draw):
    waist = draw(0.10, 0.17)
    top = _panel(u, v, draw(0.22, 0.28), waist, -0.62, -0.10)
    skirt = _panel(u, v, waist, draw(0.30, 0.52), -0.12, draw(0.60, 0.85))
    return _cut(_join(top, skirt), _disc(u, v, (0, -0.66), draw(0.10, 0.15)))


def _sole(u, v, draw):
    length = draw(0.55, 0.70)  # toe to the right
    return _box(u, v, (0, 0.40), (length, draw(0.05, 0.09))), length


def _sandal(u, v, draw):
    sole, length = _sole(u, v, draw)
    heel, toe = draw(0.25, 0.50), draw(0.22, 0.36)
    straps = [(0.08 - length, 0.25 - length, heel), (0.0, 0.28 - length, heel), (0.15, 0.36, toe)]
    straps.append((length - 0.05, 0.34, toe))
    lines = [_capsule(u, v, (a, 0.36), (b, 0.36 - rise), 0.04) for a, b, rise in straps]
    return _join(sole, *lines)


def _upper(u, v, draw, length, top):
    heel = _box(u, v, (0.27 - length, (top + 0.4) / 2), (0.25, (0.4 - top) / 2))
    return _join(heel, _capsule(u, v, (-0.1, 0.26), (length - 0.14, 0.30), draw(0.13, 0.17)))


def _sneaker(u, v, draw):
    sole, length = _sole(u, v, draw)
    top = draw(-0.05, 0.10)
    return _join(sole, _upper(u, v, draw, length, top), _panel(u + 0.1, v, 0.20, 0.45, top, 0.35))


def _ankle_boot(u, v, draw):
    sole, length = _sole(u, v, draw)
    shaft = _upper(u, v, draw, length, draw(-0.75, -0.50))
    return _join(sole, shaft, _box(u, v, (0.12 - length, 0.50), (0.11, draw(0.04, 0.12))))


def _bag(u, v, draw):
    width, top = draw(0.40, 0.58), draw(-0.18, 0.02)
    body = _panel(u, v, width * draw(0.75, 1.0), width, top, draw(0.48, 0.66))
    ring = np.abs(np.hypot(u / draw(0.20, 0.34), (v - top) / draw(0.25, 0.50)) - 1) * 0.22 - 0.055
    return _join(body, np.maximum(ring, v - top))


_GARMENTS = (
    _t_shirt, _trousers, _pullover, _dress, _coat, _sandal, _shirt, _sneaker, _bag, _ankle_boot,
)  # fmt: skip
