"""An enumeration of modes, hypot for the root; the gradient by hand, descended in conjugate directions."""

from enum import Enum

import numpy as np


class Mode(Enum):  # Mode("anything else") raises ValueError
    VALID = "valid"
    SAME = "same"
    FULL = "full"

    def zeros(self, f):
        if self is Mode.SAME and not f & 1:
            raise ValueError("even kernel in mode same")
        return {Mode.VALID: 0, Mode.SAME: f // 2, Mode.FULL: f - 1}[self]


def output_size(n, f, padding=0, stride=1) -> int:
    p = Mode(padding).zeros(f) if isinstance(padding, str) else padding
    places = len(range(0, n + 2 * p - f + 1, stride))
    if not places:
        raise ValueError("no place")
    return places


def sizes_through(n, layers) -> list:
    return [n] if not layers else [n] + sizes_through(output_size(n, *layers[0]), layers[1:])


def edge_kernel(name, direction) -> Tensor:
    try:
        turn = {"vertical": False, "horizontal": True}[direction]
        if name == "roberts":
            table = np.array([[0, 1], [-1, 0]] if turn else [[1, 0], [0, -1]])
        else:
            side = {"simple": [1, 1, 1], "prewitt": [1, 1, 1], "sobel": [1, 2, 1], "scharr": [3, 10, 3]}[name]
            table = np.outer(side, [1, 0, -1])
            table = table.T if turn else table
    except (KeyError, TypeError):
        raise ValueError(f"no filter {name!r}, {direction!r}") from None
    return torch.from_numpy(table.astype(np.float32))


def floating(x):
    return x if x.is_floating_point() else x.float()


def cross_correlate2d(x: Tensor, k: Tensor, mode="valid") -> Tensor:
    x = floating(x)
    k = k.to(x)
    (h, w), (kh, kw) = x.shape, k.shape
    p, q = Mode(mode).zeros(kh), Mode(mode).zeros(kw)
    if h + 2 * p < kh or w + 2 * q < kw:
        if mode == "valid":
            raise ValueError("the kernel does not fit")
        return x.new_zeros(max(h + 2 * p - kh + 1, 0), max(w + 2 * q - kw + 1, 0))
    windows = F.pad(x, (q, q, p, p)).unfold(0, kh, 1).unfold(1, kw, 1)
    return torch.einsum("ijab,ab->ij", windows, k)


def convolve2d(x: Tensor, k: Tensor, mode="valid") -> Tensor:
    return cross_correlate2d(x, torch.rot90(k, 2), mode)


def gradient_magnitude(img: Tensor, kernel) -> Tensor:
    k = [edge_kernel(kernel, d) for d in ("vertical", "horizontal")] if isinstance(kernel, str) else [kernel, kernel.mT]
    return torch.hypot(*(cross_correlate2d(img, one) for one in k))


def edge_mask(img: Tensor, kernel, threshold=0.5) -> Tensor:
    return (m := gradient_magnitude(img, kernel)).gt(m.amax() * threshold) & (img != img[0, 0]).any()


@torch.no_grad()
def learn_kernel(img: Tensor, target: Tensor) -> Tensor:
    shape = [a - b + 1 for a, b in zip(img.shape, target.shape)]
    x, y = img.double(), target.to(img.device).double()
    s = x.std()
    windows = (x / s).unfold(0, shape[0], 1).unfold(1, shape[1], 1)
    y = y / s
    k = torch.zeros(shape, dtype=torch.float64, device=img.device)
    step = old = None
    for _ in range(2000):
        error = torch.einsum("ijab,ab->ij", windows, k) - y
        gradient = torch.einsum("ijab,ij->ab", windows, error)
        size = gradient.square().sum()
        if size < 1e-16:
            break
        step = -gradient if step is None else -gradient + step * (size / old)
        old = size
        move = torch.einsum("ijab,ab->ij", windows, step)
        k -= step * (gradient * step).sum() / move.square().sum()
    return k.to(floating(img[:0]).dtype)
