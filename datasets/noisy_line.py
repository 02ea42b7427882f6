"""The noisy line: y = slope · x + intercept + noise, on an even grid over [0, 100).

Tasks 2 and 6 fit it. Nothing is read from disk: a line is a function of its arguments, made in a millisecond by
NumPy's own generator, so that it neither uses nor changes the global random state.

With the default 10,000 points x is 0, 0.01, ..., 99.99. The mean squared error of a line over this grid has the
curvatures 0.5 and 6667 (eigenvalues of its Hessian), whatever the slope: that is why plain gradient descent on raw x
needs a rate below 2/6667 = 3.0e-4 and then hardly moves the intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SPAN = 100.0  # x lies in [0, SPAN)
POINTS = 10_000


@dataclass(frozen=True)
class Line:
    """A straight line and its mean squared error ``mse`` on the data that it was fitted to."""

    w: float
    b: float
    mse: float


def grid(points: int = POINTS) -> np.ndarray:
    """``points`` even steps over [0, 100): float64 of shape (points,), the end excluded."""
    return np.arange(points) * (SPAN / points)


def make(
    slope: float = 10.0, intercept: float = 3.0, *, seed: int, points: int = POINTS, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """x and y, float64 of shape (points,); one normal draw of standard deviation ``noise`` for each point."""
    x = grid(points)
    return x, slope * x + intercept + noise * np.random.default_rng(seed).standard_normal(points)


def make_bent(
    slope: float = 10.0, intercept: float = 3.0, *, seed: int, points: int = POINTS, sag: float = 100.0
) -> tuple[np.ndarray, np.ndarray]:
    """A line that sags by ``sag`` in the middle: no straight line fits it, and each part of it asks for another one."""
    x, y = make(slope, intercept, seed=seed, points=points)
    return x, y - sag * (1.0 - (2.0 * x / SPAN - 1.0) ** 2)


def least_squares(x: np.ndarray, y: np.ndarray) -> Line:
    """The best line through the points, in closed form; x and y of shape (n,)."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    away = x - x.mean()
    w = float(away @ (y - y.mean()) / (away @ away))
    b = float(y.mean() - w * x.mean())
    return Line(w, b, mean_squared_error(x, y, w, b))


def mean_squared_error(x: np.ndarray, y: np.ndarray, w: float, b: float) -> float:
    """The mean of (w · x + b - y)²; nan when w or b is."""
    with np.errstate(all="ignore"):
        return float(np.mean((w * np.asarray(x, np.float64) + b - y) ** 2))
