"""Digits as a hand might write them: 28x28 grey images, bright strokes on a dark ground, drawn from a seed.

``generate(count, seed)`` returns uint8 images (count, 28, 28) and int64 labels (count,), every ten in a row holding
each digit once. A digit is a line through a few points, which are moved a little; place, angle, size, slant and the
width of the pen vary, and noise is laid over it.

Prefix-stable: the first n images of a seed do not depend on how many are drawn.
"""

import numpy as np

CLASSES = tuple("0123456789")

_ROUND = [(0, -0.8), (0.45, -0.5), (0.5, 0), (0.45, 0.5), (0, 0.8), (-0.45, 0.5), (-0.5, 0), (-0.45, -0.5), (0, -0.8)]
_STROKES = (
    _ROUND,
    [(-0.25, -0.5), (0.05, -0.8), (0.05, 0.8)],
    [(-0.45, -0.45), (-0.2, -0.78), (0.25, -0.75), (0.42, -0.4), (0.1, 0.15), (-0.5, 0.78), (0.5, 0.75)],
    [(-0.4, -0.7), (0.1, -0.8), (0.4, -0.45), (0.0, -0.05), (0.45, 0.35), (0.1, 0.8), (-0.45, 0.65)],
    [(0.2, 0.8), (0.2, -0.8), (-0.5, 0.25), (0.5, 0.25)],
    [(0.45, -0.78), (-0.35, -0.75), (-0.4, -0.1), (0.1, -0.2), (0.45, 0.2), (0.25, 0.75), (-0.45, 0.7)],
    [(0.35, -0.78), (-0.2, -0.35), (-0.45, 0.3), (-0.1, 0.8), (0.4, 0.5), (0.3, 0.05), (-0.4, 0.2)],
    [(-0.5, -0.75), (0.5, -0.75), (0.1, 0.0), (-0.15, 0.8)],
    [
        (0.0, -0.05),
        (0.4, -0.42),
        (0, -0.8),
        (-0.4, -0.42),
        (0.0, -0.05),
        (0.45, 0.4),
        (0, 0.8),
        (-0.45, 0.4),
        (0, -0.05),
    ],
    [(0.4, -0.2), (-0.3, -0.05), (-0.4, -0.5), (0.0, -0.8), (0.4, -0.5), (0.4, -0.1), (0.15, 0.8)],
)
_COLUMNS = 32  # uniform numbers kept for each image


def generate(count, seed=0, size=28):
    """Draw ``count`` images.

    Returns (images uint8 (count, size, size), labels int64 (count,)). Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    order, numbers, grain = (np.random.default_rng([seed, stream]) for stream in range(3))
    labels = np.concatenate([order.permutation(10) for _ in range(-(-count // 10))] or [[]])[:count].astype(np.int64)
    table = 2 * numbers.random((count, _COLUMNS), np.float32) - 1  # (n, columns), -1 to 1
    bright = np.empty((count, size, size), np.float32)
    for digit, points in enumerate(_STROKES):
        rows = np.flatnonzero(labels == digit)
        if len(rows):
            bright[rows] = _draw(np.array(points, np.float32), table[rows], size)
    noisy = bright + 0.12 * grain.standard_normal(bright.shape, np.float32)
    return (np.clip(noisy, 0, 1) * 255).astype(np.uint8), labels


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "digits",
        "title": "digits as a hand might write them, 28x28",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


def _draw(points, table, size):
    """One digit in its pose, values 0 to 1: (n, size, size)."""
    count = 2 * len(points)
    line = points + 0.09 * table[:, :count].reshape(-1, len(points), 2)  # (n, points, 2)
    shift_x, shift_y, turn, zoom, slant, pen, ink = (table[:, -k, None] for k in range(1, 8))
    x, y = line[..., 0] * (0.8 + 0.15 * zoom), line[..., 1] * (0.8 + 0.15 * zoom)
    x = x + (0.15 + 0.25 * slant) * -y
    angle = 0.25 * turn
    x, y = (
        np.cos(angle) * x - np.sin(angle) * y + 0.16 * shift_x,
        np.sin(angle) * x + np.cos(angle) * y + 0.16 * shift_y,
    )
    axis = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1) * 1.15
    away = np.full((len(table), size, size), np.inf, np.float32)
    for k in range(len(points) - 1):
        away = np.minimum(away, _distance(axis, x[:, k : k + 2], y[:, k : k + 2]))
    edge = (0.11 + 0.04 * pen[..., None] - away) * size / 2.3 + 0.5
    return np.clip(edge, 0, 1) * (0.85 + 0.15 * ink[..., None])


def _distance(axis, x, y):
    """From each pixel to the line between two points, whose coordinates are (n, 2): (n, size, size)."""
    x0, x1, y0, y1 = (part[:, None, None] for part in (x[:, 0], x[:, 1], y[:, 0], y[:, 1]))
    along_x, along_y = x1 - x0, y1 - y0
    u, v = axis[None, None, :] - x0, axis[None, :, None] - y0
    share = np.clip((u * along_x + v * along_y) / (along_x**2 + along_y**2 + 1e-9), 0, 1)
    return np.sqrt((u - share * along_x) ** 2 + (v - share * along_y) ** 2)
