"""A class of windows by F.unfold; softmax for the weights of neighbours; running maxima of slices."""

import math


class Windows:
    """All windows of a picture as (planes, size*size, H, W), float32."""

    def __init__(self, img, size):
        if not size % 2:
            raise ValueError(f"even size {size}")
        self.img, self.size, self.r = img, size, size // 2
        self.shape = img.shape
        planes = img.reshape(-1, 1, *img.shape[-2:]).to(torch.float32)
        padded = F.pad(planes, (self.r,) * 4, mode="replicate")
        self.all = F.unfold(padded, size).reshape(planes.shape[0], size * size, *img.shape[-2:])

    def reduce(self, fn):
        return fn(self.all).reshape(self.shape)


def finish(values, like):
    if like.dtype is torch.uint8:
        values = torch.clamp(torch.round(values), min=0, max=255)
    return values.to(like.dtype)


def rgb_to_gray(img: Tensor, method="float") -> Tensor:
    weights = {
        "float": [0.3, 0.59, 0.11],
        "integer": [30, 59, 11],
        "shift": [77, 151, 28],
        "mean": [1, 1, 1],
        "green": None,
    }
    if method not in weights:
        raise ValueError("method")
    if method == "green":
        return img[1].clone()
    if method in ("float", "mean"):
        w = torch.tensor(weights[method], dtype=torch.float32, device=img.device)
        out = torch.einsum("chw,c->hw", img.float(), w)
        return out / 3 if method == "mean" else out
    w = torch.tensor(weights[method], device=img.device)[:, None, None]
    out = (img.long() * w).sum(0)
    return torch.div(out, 100 if method == "integer" else 256, rounding_mode="floor")


def adjust_contrast(img: Tensor, factor) -> Tensor:
    x = img.to(torch.float64)
    if img.ndim == 3:
        mean = (x[0] * 0.3 + x[1] * 0.59 + x[2] * 0.11).mean()
    else:
        mean = x.mean()
    return finish(mean + factor * (x - mean), img)


def rgb_to_hsv(img: Tensor) -> Tensor:
    x = img.float()
    M, which = x.max(dim=0)
    m = x.min(dim=0).values
    span = M - m
    forms = []
    for i in range(3):
        forms.append(2 * i + (x[(i + 1) % 3] - x[(i + 2) % 3]) / span)
    hue = 60 * torch.stack(forms).gather(0, which[None])[0]
    hue[hue < 0] += 360
    hue[span == 0] = 0.0
    sat = 100 * span / M
    sat[M == 0] = 0.0
    return torch.stack((hue, sat, 100 * M / 255))


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    V = hsv[1 + 1].float() * 2.55
    C = V * hsv[1].float() / 100
    n = torch.tensor([5.0, 3.0, 1.0], device=hsv.device)[:, None, None]
    k = torch.remainder(n + hsv[0].float() / 60, 6)
    f = torch.minimum(torch.minimum(k, 4 - k), torch.ones_like(k))
    return V - C * torch.relu(f)


def equalize_hist(gray: Tensor, levels=256) -> Tensor:
    flat = gray.flatten().long()
    counts = torch.zeros(levels, dtype=torch.long, device=gray.device)
    counts.scatter_add_(0, flat, torch.ones_like(flat))
    n = flat.numel()
    table = (2 * (levels - 1) * counts.cumsum(0) + n) // (2 * n)
    return table.take(gray.long()).byte()


def equalize_luma(rgb: Tensor) -> Tensor:
    w = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64, device=rgb.device)
    luma = torch.tensordot(w, rgb.double(), dims=1).round()
    new = equalize_hist(luma.byte())
    return finish(rgb.double() + (new - luma), rgb)


def box_filter(img: Tensor, size=3) -> Tensor:
    return Windows(img, size).reduce(lambda w: w.mean(1))


def gaussian_kernel(size, sigma) -> Tensor:
    if size % 2 != 1:
        raise ValueError
    r = size // 2
    line = [math.exp(-(i * i) / (2 * sigma * sigma)) for i in range(-r, r + 1)]
    s = sum(line)
    line = torch.tensor([v / s for v in line], dtype=torch.float64)
    return torch.outer(line, line).to(torch.float32)


def unsharp(img: Tensor, size=3, sigma=1.0, amount=1.0) -> Tensor:
    k = gaussian_kernel(size, sigma).to(img.device).flatten()
    blurred = Windows(img, size).reduce(lambda w: torch.einsum("pkhw,k->phw", w, k))
    x = img.float()
    return finish(x + amount * (x - blurred), img)


def median_filter(img: Tensor, size=3) -> Tensor:
    return Windows(img, size).reduce(lambda w: w.median(dim=1).values).to(img.dtype)


def bilateral_filter(img: Tensor, size, sigma_space, sigma_color) -> Tensor:
    win = Windows(img, size)
    q = win.all
    d = torch.arange(size, device=img.device, dtype=torch.float32) - win.r
    space = ((d[:, None] / sigma_space).square() + (d[None] / sigma_space).square()).reshape(1, -1, 1, 1)
    p = q[:, size * size // 2][:, None]
    weight = torch.softmax(-0.5 * (space + ((p - q) / sigma_color).square()), dim=1)
    return (weight * q).sum(1).reshape(img.shape)


def _morphology(img, element, sign, turn):
    if torch.is_tensor(element):
        if not (element.size(0) % 2 and element.size(1) % 2):
            raise ValueError("even table")
        places = (element.bool()).tolist()
    else:
        if element % 2 == 0:
            raise ValueError("even element")
        places = [[True] * element for _ in range(element)]
    if turn:
        places = [row[::-1] for row in places[::-1]]
    h, w = len(places), len(places[0])
    H, W = img.shape[-2:]
    result = img.clone()
    for i in range(h):
        for j in range(w):
            if not places[i][j]:
                continue
            dy, dx = i - h // 2, j - w // 2
            y0, y1 = max(0, -dy), min(H, H - dy)
            x0, x1 = max(0, -dx), min(W, W - dx)
            if y0 >= y1 or x0 >= x1:
                continue
            here = result[..., y0:y1, x0:x1]
            there = img[..., y0 + dy : y1 + dy, x0 + dx : x1 + dx]
            here.copy_(torch.maximum(here, there) if sign > 0 else torch.minimum(here, there))
    return result


def dilate(img: Tensor, element=3) -> Tensor:
    return _morphology(img, element, 1, True)


def erode(img: Tensor, element=3) -> Tensor:
    return _morphology(img, element, -1, False)


def open_(img: Tensor, element=3) -> Tensor:
    small = erode(img, element)
    return dilate(small, element)


def close_(img: Tensor, element=3) -> Tensor:
    big = dilate(img, element)
    return erode(big, element)
