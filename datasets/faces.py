"""Parametric grey faces with four keypoints, drawn from seeded random numbers.

``generate(count, seed)`` returns uint8 images (count, size, size) and float32 points (count, 8) in pixels:
x then y of left eye, right eye, nose tip and the bottom of the lower lip. "Left" is the face's own left,
which lies at the right of an upright image; the centre of pixel (row r, column c) is the point x = c, y = r.

Head angle, turn, scale, place, hair, glasses, light, contrast, something in front and noise vary. ``pose``
and ``clutter`` scale the disturbances: ``portraits`` uses small ones for faces that a small GAN can learn.

Prefix-stable: the first n faces of a seed do not depend on how many are drawn.
"""

import numpy as np

POINTS = ("left_eye_center", "right_eye_center", "nose_tip", "mouth_center_bottom_lip")

_COLUMNS = 80  # uniform numbers kept for each face
_BLOCK = 8  # faces drawn at a time: the temporaries stay in the cache


def generate(count, seed=0, size=96, pose=1.0, clutter=1.0):
    """Draw ``count`` faces.

    pose scales angle, place and turn; clutter scales background, occlusion and noise.
    Returns (images uint8 (count, size, size), points float32 (count, 8) in pixels).
    Raises ValueError for a negative count.
    """
    if count < 0:
        raise ValueError(f"count is {count}: it must be 0 or more")
    numbers, grain = (np.random.default_rng([seed, stream]) for stream in range(2))
    images = np.empty((count, size, size), np.uint8)
    points = np.empty((count, 8), np.float32)
    for start in range(0, count, _BLOCK):
        rows = min(_BLOCK, count - start)
        draw = _Draws(numbers.random((rows, _COLUMNS), np.float32))
        noise = grain.standard_normal((rows, size, size), np.float32)
        place = slice(start, start + rows)
        images[place], points[place] = _portrait(draw, noise, size, pose, clutter)
    return images, points


def portraits(count, seed=0, size=64):
    """Centred faces with little disturbance; returns what ``generate`` returns."""
    return generate(count, seed, size, pose=0.35, clutter=0.2)


def catalogue():
    """What ``python grade.py data`` says about this set."""
    return {
        "name": "faces",
        "title": "parametric faces with four keypoints, 96x96 or 64x64",
        "kind": "generated",
        "status": "ready",
        "detail": "drawn from a seed, nothing to fetch",
        "where": [],
        "get": "",
    }


class _Draws:
    """Hands out the columns of a table of uniform numbers, one per question, shaped to meet images."""

    def __init__(self, table):
        self.table, self.column = table, 0

    def __call__(self, low, high):
        values = low + (high - low) * self.table[:, self.column]
        self.column += 1
        return values[:, None, None].astype(np.float32)  # (n, 1, 1)


class _Canvas:
    """A stack of images that is painted over; distances are negative inside a shape."""

    def __init__(self, image):
        self.image = image

    def paint(self, value, distance, soft, within=1.0):
        self.image = self.image + (value - self.image) * (_mask(distance, soft) * within)

    def shade(self, amount, distance, soft, within=1.0):
        self.image = self.image * (1 - amount * _mask(distance, soft) * within)


def _mask(distance, soft):
    return np.clip(0.5 - distance * (0.25 / soft), 0, 1)


def _box(x, y, half_width, half_height):
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _portrait(draw, noise, size, pose, clutter):
    """Paint one block. Units: half an image, y downwards; features live in a frame that turns with it."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    px, py = axis[None, None, :], axis[None, :, None]
    roll, zoom = draw(-0.35, 0.35) * pose, 0.90 + draw(-0.28, 0.08) * pose
    right, down = draw(-0.22, 0.22) * pose, draw(-0.20, 0.20) * pose
    yaw, pitch = draw(-0.22, 0.22) * pose, draw(-0.12, 0.12) * pose
    cos, sin = np.cos(roll), np.sin(roll)
    u = (cos * (px - right) + sin * (py - down)) / zoom  # head frame
    v = (cos * (py - down) - sin * (px - right)) / zoom
    canvas = _Canvas(draw(0.05, 0.9) * (1 + clutter * (draw(-0.4, 0.4) * px + draw(-0.4, 0.4) * py)))
    for _ in range(3):
        blob = np.hypot(px - draw(-1, 1), py - draw(-1, 1)) - draw(0.1, 0.5)
        canvas.image = canvas.image + draw(-0.35, 0.35) * clutter * _mask(blob, 0.04)
    skin, hair = draw(0.50, 0.92), draw(0.03, 0.45)
    inside = _head(canvas, draw, u, v, skin, hair)
    fu, fv = u - 0.9 * yaw, v - pitch  # feature frame
    eye_gap, eye_height, eye_size = draw(0.24, 0.31), draw(-0.22, -0.10), draw(0.055, 0.085)
    eyes = _eyes(canvas, draw, fu, fv, (eye_gap, eye_height, eye_size), skin, hair, yaw)
    tip = _nose(canvas, draw, fu, fv, eye_height, yaw, inside)
    lip = _mouth(canvas, draw, fu, fv, skin, yaw)
    image = _camera(canvas, draw, px, py, noise, clutter)
    features = np.concatenate([*eyes, tip, lip], 1)[:, :, 0].reshape(-1, 4, 2)  # (n, point, xy)
    fx, fy = features[..., 0] + 0.9 * yaw[:, 0], features[..., 1] + pitch[:, 0]
    x = right[:, 0] + zoom[:, 0] * (cos[:, 0] * fx - sin[:, 0] * fy)
    y = down[:, 0] + zoom[:, 0] * (sin[:, 0] * fx + cos[:, 0] * fy)
    pixels = (np.stack([x, y], -1) + 1) / 2 * size - 0.5
    return image, pixels.reshape(-1, 8).astype(np.float32)


def _head(canvas, draw, u, v, skin, hair):
    """Shoulders, neck, hair, skin with light from one side, fringe; returns the mask of the face."""
    half_width, half_height = draw(0.56, 0.70), draw(0.74, 0.90)
    canvas.paint(draw(0.1, 0.9), np.maximum(np.abs(u) - draw(0.6, 1.1), half_height + 0.10 - v), 0.03)
    canvas.paint(skin * 0.8, _box(u, v - half_height + 0.02, 0.26, 0.25), 0.03)
    crown = (np.hypot(u / (half_width + 0.10), (v + 0.10) / (half_height + 0.04)) - 1) * half_width
    canvas.paint(hair, np.maximum(crown, v - draw(-0.2, 0.9)), 0.03)
    a, b = u / half_width, v / half_height
    outline = (np.hypot(a, b) - 1) * half_width
    light = 1 + 0.28 * (draw(-1, 1) * a + draw(-1, 0.4) * b) - 0.18 * a * a
    canvas.paint(skin * light, outline, 0.02)
    inside = _mask(outline, 0.02)
    fringe = v - draw(-0.62, -0.36) - 0.10 * np.cos(3 * u + draw(0, 6.3))
    canvas.paint(hair, fringe, 0.025, within=inside)
    return inside


def _eyes(canvas, draw, u, v, eye, skin, hair, yaw):
    gap, height, radius = eye
    lid, iris = draw(0.55, 1.15), draw(0.02, 0.25)
    centres = []
    for side in (1, -1):  # the face's left eye is at the right
        middle = side * gap * (1 - 0.35 * side * yaw)
        eu, ev = u - middle, v - height
        canvas.paint(np.minimum(skin + 0.25, 1), np.hypot(eu / 1.55, ev / (0.72 * lid)) - radius, 0.012)
        canvas.paint(iris, np.hypot(eu, ev / np.minimum(lid, 1)) - radius * 0.72, 0.012)
        brow = v - height + radius * draw(1.9, 2.6) + 0.25 * side * draw(-0.3, 0.5) * eu
        canvas.paint(hair * 0.7, _box(eu, brow, radius * 2, draw(0.014, 0.030)), 0.010)
        centres.append(np.concatenate([middle, height], 1))
    glasses = (draw(0, 1) < 0.25).astype(np.float32)
    for side in (1, -1):
        rim = np.abs(np.hypot(u - side * gap, v - height) - radius * 2.1) - 0.012
        canvas.paint(0.08, rim, 0.010, within=glasses)
    return centres


def _nose(canvas, draw, u, v, eye_height, yaw, inside):
    length = draw(0.20, 0.32)
    nu, nv = u - 0.35 * yaw, v - eye_height - length  # the tip turns further than the eyes
    bridge = np.maximum(np.abs(nu + 0.03) - 0.035 - 0.03 * (nv + 0.3), np.maximum(-nv - 0.9 * length, nv))
    canvas.shade(0.22, bridge, 0.02, within=inside)
    for side in (1, -1):
        canvas.shade(0.55, np.hypot((nu - side * 0.055) / 1.3, nv - 0.045) - 0.022, 0.010)
    canvas.image = canvas.image + 0.16 * np.exp(-(nu * nu + nv * nv) / 0.0022)
    return np.concatenate([0.35 * yaw, eye_height + length], 1)


def _mouth(canvas, draw, u, v, skin, yaw):
    height, half, tone = draw(0.36, 0.48), draw(0.15, 0.27), draw(0.15, 0.45)
    gape, smile = draw(0.015, 0.09), draw(-0.06, 0.10)
    mu = u - 0.15 * yaw
    mv = v - height + smile * (mu / half) ** 2
    arch = np.sqrt(np.clip(1 - (mu / half) ** 2, 0, 1))
    canvas.paint(skin * tone * 1.2, np.maximum(np.abs(mu) - half, np.abs(mv) - (gape + 0.035) * arch), 0.012)
    canvas.paint(0.04, np.maximum(np.abs(mu) - half * 0.8, np.abs(mv) - gape * 0.8 * arch), 0.010)
    return np.concatenate([0.15 * yaw, height + gape + 0.035], 1)


def _camera(canvas, draw, px, py, noise, clutter):
    """Something in front of one face in ten, then contrast, brightness and noise; uint8."""
    blocked = (draw(0, 1) < 0.10 * clutter).astype(np.float32)
    bar = _box(px - draw(-0.8, 0.8), py - draw(-0.8, 0.8), draw(0.05, 0.14), draw(0.1, 0.3))
    canvas.paint(draw(0, 1), bar, 0.01, within=blocked)
    light = np.clip(canvas.image, 0, 1.2) ** draw(0.6, 1.6) * draw(0.55, 1.1) + draw(-0.05, 0.15)
    light = light + noise * (0.01 + draw(0, 0.06) * clutter)
    return (np.clip(light, 0, 1) * 255).astype(np.uint8)
