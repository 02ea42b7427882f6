"""A picture of what a check got beside what it expected, where both are images: for ``--save``."""

from __future__ import annotations

import math
from typing import Any

import torch

IMAGES = 8  # of one picture
SIDES = range(3, 1025)  # pixels: smaller ones are told as numbers, larger ones are no pictures


def compared(
    check: str, sentence: str, expected: torch.Tensor, got: torch.Tensor, wrong: torch.Tensor | None
) -> dict[str, Any] | None:
    """Plain data that ``report/pictures.py`` draws, of the first 8 images that are ``wrong``; None where these are no
    images. ``wrong`` is None where the shapes differ; then nothing is said of where they do.

    Images are (H, W), with 1 or 3 channels also (C, H, W) and (H, W, C); whatever stands before that is a batch.
    """
    right, found = _as_images(expected), _as_images(got)
    if right is None or found is None:
        return None
    apart = None
    if wrong is not None:
        mask = _as_images(wrong)
        assert mask is not None  # it has the shape of the others
        apart = torch.where(mask > 0, (found - right).abs().nan_to_num(math.inf), 0.0)
        apart = apart.amax(-1) if apart.ndim == 4 else apart
        chosen = [number for number, image in enumerate(apart) if image.any()]
        right, found, apart = right[chosen], found[chosen], apart[chosen][:IMAGES]
    right, found = right[:IMAGES], found[:IMAGES]
    low, high = _range(right)
    return {
        "kind": "compared",
        "name": f"{check.removeprefix('test_')}_differs",
        "sentence": sentence,
        "range": [low, high],
        "expected": _levels(right, low, high),
        "got": _levels(found, low, high),
        "apart": None if apart is None else _levels(apart, 0.0, _range(apart)[1]),
        "largest": 0.0 if apart is None else float(apart.max()),
    }


def _as_images(values: torch.Tensor) -> torch.Tensor | None:
    """(N, H, W) or (N, H, W, 3) in float64; None for what is no image of sensible size."""
    strange = values.is_complex() or values.is_quantized or values.layout is not torch.strided
    if strange or values.device.type == "meta" or not 2 <= values.ndim <= 4 or not values.numel():
        return None
    images, shape = values.detach().cpu().double(), values.shape
    channels = 1
    if values.ndim > 2 and shape[-3] == 3 and _sensible(shape[-2:]):
        channels, images = 3, images.movedim(-3, -1)
    elif values.ndim > 2 and shape[-1] in (1, 3) and _sensible(shape[-3:-1]) and shape[-1] < min(shape[-3:-1]):
        channels, images = shape[-1], images if shape[-1] == 3 else images[..., 0]
    elif not _sensible(shape[-2:]):
        return None
    return images.reshape(-1, *images.shape[-2 if channels == 1 else -3 :])


def _sensible(sides: torch.Size) -> bool:
    return all(side in SIDES for side in sides)


def _range(images: torch.Tensor) -> tuple[float, float]:
    """The smallest and the largest finite value, which are never the same."""
    finite = images[images.isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def _levels(images: torch.Tensor, low: float, high: float) -> dict[str, Any]:
    """Bytes, 0 for ``low`` and 255 for ``high``, and their shape."""
    levels = ((images - low) / (high - low)).nan_to_num(0.0).clamp(0, 1).mul(255).round().byte()
    return {"shape": list(levels.shape), "pixels": levels.contiguous().numpy().tobytes()}
