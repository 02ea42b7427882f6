"""Windows by Tensor.unfold, counts by searchsorted, masks for the hue, and dilation as the erosion of the negative."""


def check(n):
    if n % 2 == 0:
        raise ValueError("even")


def to_dtype(x, dtype):
    return (x + 0.5).floor().clamp(0, 255).to(dtype) if dtype == torch.uint8 else x.to(dtype)


def pad(img, n):
    x = img.float()
    x = x[None, None] if img.dim() == 2 else x[None]
    x = F.pad(x, [n // 2] * 4, "replicate")
    return x[0, 0] if img.dim() == 2 else x[0]


def win(img, n):
    return pad(img, n).unfold(-2, n, 1).unfold(-2, n, 1)  # (..., H, W, n, n)


def rgb_to_gray(img: Tensor, method="float") -> Tensor:
    match method:
        case "float":
            return torch.tensordot(torch.tensor([0.3, 0.59, 0.11], device=img.device), img.float(), 1)
        case "integer":
            i = img.to(torch.int16)
            return torch.div(i[0] * 30 + i[1] * 59 + i[2] * 11, 100, rounding_mode="trunc")
        case "shift":
            i = img.to(torch.int32)
            return i[0] * 77 + i[1] * 151 + i[2] * 28 >> 8
        case "mean":
            return (img[0].float() + img[1].float() + img[2].float()) / 3
        case "green":
            return img.select(0, 1)
    raise ValueError(method)


def adjust_contrast(img: Tensor, factor) -> Tensor:
    x = img.clone().float()
    mean = (rgb_to_gray(x) if x.dim() == 3 else x).mean().item()
    x.sub_(mean).mul_(factor).add_(mean)
    return to_dtype(x, img.dtype)


def rgb_to_hsv(img: Tensor) -> Tensor:
    x = img.float()
    r, g, b = x.unbind(0)
    M, m = x.amax(0), x.amin(0)
    d = M - m
    hue = torch.zeros_like(M)
    red = (d > 0) & (r == M)
    green = (d > 0) & (g == M) & ~red
    blue = (d > 0) & ~red & ~green
    hue[red] = 60 * (g - b)[red] / d[red]
    hue[green] = 60 * (2 + (b - r)[green] / d[green])
    hue[blue] = 60 * (4 + (r - g)[blue] / d[blue])
    hue += 360 * (hue < 0)
    return torch.stack([hue, torch.nan_to_num(d / M, nan=0.0) * 100, M / 2.55])


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    h, s, v = hsv.double()
    V = v * 2.55
    C = V * s / 100
    out = []
    for n in [5, 3, 1]:
        k = torch.fmod(h / 60 + n, 6)
        out += [V - C * torch.clamp(torch.minimum(k, 4 - k), min=0, max=1)]
    return torch.stack(out).float()


def equalize_hist(gray: Tensor, levels=256) -> Tensor:
    ordered = gray.flatten().sort().values.contiguous()
    all_levels = torch.arange(levels, device=gray.device)
    upto = torch.searchsorted(ordered.long(), all_levels, right=True)
    table = torch.round(upto.double() * (levels - 1) / ordered.numel())
    return F.embedding(gray.long(), table[:, None])[..., 0].to(torch.uint8)


def equalize_luma(rgb: Tensor) -> Tensor:
    r, g, b = (p.float() for p in rgb)
    old = torch.round(r * 0.299 + g * 0.587 + b * 0.114)
    new = equalize_hist(old.to(torch.uint8), levels=256).float()
    return torch.stack([(p + new - old).clamp(0, 255) for p in (r, g, b)]).to(torch.uint8)


def box_filter(img: Tensor, size=3) -> Tensor:
    check(size)
    p = pad(img, size)
    return F.avg_pool2d(p[None], size, 1)[0] if img.dim() == 3 else F.avg_pool2d(p[None, None], size, 1)[0, 0]


def gaussian_kernel(size, sigma) -> Tensor:
    check(size)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    m = (size - 1) // 2
    e = -((x - m) ** 2 + (y - m) ** 2).double() / (2.0 * sigma * sigma)
    return torch.softmax(e.flatten(), 0).view(size, size).to(torch.float32)


def unsharp(img: Tensor, size=3, sigma=1.0, amount=1.0) -> Tensor:
    kernel = gaussian_kernel(size, sigma).to(img.device)
    p = pad(img, size).reshape(-1, 1, img.shape[-2] + size - 1, img.shape[-1] + size - 1)
    low = F.conv2d(p, kernel[None, None]).reshape(img.shape)
    return to_dtype(img.float() * (1 + amount) - amount * low, img.dtype)


def median_filter(img: Tensor, size=3) -> Tensor:
    check(size)
    return win(img, size).flatten(-2).median(-1)[0].to(img.dtype)


def bilateral_filter(img: Tensor, size, sigma_space, sigma_color) -> Tensor:
    check(size)
    q = win(img, size)
    c = img.float()[..., None, None]
    i = torch.arange(size, device=img.device).float() - size // 2
    g = torch.exp(-(i**2) / (2 * sigma_space**2))
    w = torch.exp(-((c - q) ** 2) / (2 * sigma_color**2)) * torch.outer(g, g)
    return torch.einsum("...ij,...ij->...", w, q) / w.sum((-1, -2))


def dilate(img: Tensor, element=3) -> Tensor:
    # the opposite of eroding the negative with the turned table
    t = element.flip([0, 1]) if isinstance(element, Tensor) else element
    if img.dtype == torch.uint8:
        return 255 - erode(255 - img, t)
    return -erode(-img, t)


def erode(img: Tensor, element=3) -> Tensor:
    if not isinstance(element, Tensor):
        check(element)
        element = torch.ones(element, element)
    h, w = element.shape
    check(h), check(w)
    high = 255 if img.dtype == torch.uint8 else torch.inf
    p = torch.full(
        (*img.shape[:-2], img.shape[-2] + h - 1, img.shape[-1] + w - 1), high, dtype=img.dtype, device=img.device
    )
    p[..., h // 2 : h // 2 + img.shape[-2], w // 2 : w // 2 + img.shape[-1]] = img
    seen = [p[..., i : i + img.shape[-2], j : j + img.shape[-1]] for i in range(h) for j in range(w) if element[i, j]]
    return torch.stack(seen).amin(0)


def open_(img, element=3):
    return dilate(erode(img, element), element)


def close_(img, element=3):
    return erode(dilate(img, element), element)
