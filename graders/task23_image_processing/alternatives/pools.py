"""PyTorch's own parts: pools for growing and shrinking, convolutions for sums, argmax for the hue."""


def rgb_to_gray(img, method="float"):
    weights = {"float": [0.3, 0.59, 0.11], "mean": [1 / 3] * 3, "green": None, "integer": [30, 59, 11],
               "shift": [77, 151, 28]}  # fmt: skip
    if method not in weights:
        raise ValueError(f"{method} is unknown")
    if method == "green":
        return img[1].clone()
    if method in ("float", "mean"):
        return torch.einsum("chw,c->hw", img.to(torch.float32), torch.tensor(weights[method], device=img.device))
    total = (img.to(torch.int32) * torch.tensor(weights[method], device=img.device).view(3, 1, 1)).sum(0)
    return torch.div(total, 100 if method == "integer" else 256, rounding_mode="floor").to(torch.uint8)


def adjust_contrast(img, factor):
    x = img.float()
    weights = torch.tensor([0.3, 0.59, 0.11], device=img.device)
    mean = torch.tensordot(weights, x, 1).mean() if x.dim() == 3 else x.mean()
    y = torch.lerp(mean.expand_as(x), x, float(factor))
    if img.dtype == torch.uint8:
        return y.round().clamp(min=0, max=255).byte()
    return y


def rgb_to_hsv(img):
    x = img.float() / 255
    most, which = x.max(dim=0)
    least, _ = x.min(dim=0)
    span = most - least
    safe = span + (span == 0)
    r, g, b = x
    three = torch.stack([(g - b) / safe, (b - r) / safe + 2, (r - g) / safe + 4])
    hue = three.gather(0, which[None])[0] * 60
    hue = torch.where(hue < 0, hue + 360, hue) * (span > 0)
    saturation = torch.nan_to_num(span / most)
    return torch.stack((hue, saturation * 100, most * 100))


def hsv_to_rgb(hsv):
    h, s, v = hsv[0] / 60, hsv[1] / 100, hsv[2] / 100
    i = h.floor()
    f = h - i
    p, q, t = (v * (1 - s * part).clamp(0, 1) for part in (1, f, 1 - f))
    i = i.long() % 6
    red = torch.stack([v, q, p, p, t, v]).gather(0, i[None])
    green = torch.stack([t, v, v, q, p, p]).gather(0, i[None])
    blue = torch.stack([p, p, t, v, v, q]).gather(0, i[None])
    return torch.cat([red, green, blue]) * 255


def equalize_hist(gray, levels=256):
    one_hot = F.one_hot(gray.long(), levels).sum((0, 1))
    share = torch.cumsum(one_hot, 0).double() / gray.shape[0] / gray.shape[1]
    return (share * (levels - 1)).round().to(gray.dtype)[gray.to(torch.int64)]


def padded(img, margin):
    """(H, W) or (C, H, W) -> (C, 1, H + 2 margin, W + 2 margin), float32"""
    planes = img.float().reshape(-1, 1, img.shape[-2], img.shape[-1])
    return F.pad(planes, (margin, margin, margin, margin), mode="replicate")


def must_be_odd(size):
    if not size % 2:
        raise ValueError("even")


def box_filter(img, size=3):
    must_be_odd(size)
    return F.avg_pool2d(padded(img, size // 2), size, stride=1).view(img.shape)


def gaussian_kernel(size, sigma):
    must_be_odd(size)
    line = torch.linspace(-(size // 2), size // 2, size)
    row = torch.softmax(-line.square() / (2 * sigma**2), 0)
    return torch.outer(row, row)


def unsharp(img, size=3, sigma=1.0, amount=1.0):
    weights = gaussian_kernel(size, sigma)[None, None].to(img.device)
    blurred = F.conv2d(padded(img, size // 2), weights).reshape(img.shape)
    sharp = torch.add(img.float() * (1 + amount), blurred, alpha=-amount)
    if img.dtype is torch.uint8:
        sharp = torch.round(sharp).clip(0, 255).to(torch.uint8)
    return sharp


def median_filter(img, size=3):
    must_be_odd(size)
    columns = F.unfold(padded(img, size // 2), size)  # (C, size * size, H * W)
    middle = columns.sort(dim=1).values[:, size * size // 2]
    return middle.reshape(img.shape).to(img.dtype)


def bilateral_filter(img, size, sigma_space, sigma_color):
    must_be_odd(size)
    columns = F.unfold(padded(img, size // 2), size)
    centre = columns[:, size * size // 2 : size * size // 2 + 1]
    at = torch.arange(size * size, device=img.device)
    dy, dx = at // size - size // 2, at % size - size // 2
    space = torch.exp(-(dx**2 + dy**2) / (2 * sigma_space**2)).reshape(1, -1, 1)
    weights = space * torch.exp(-((columns - centre) ** 2) / (2 * sigma_color**2))
    return (F.normalize(weights, p=1.0, dim=1) * columns).sum(1).reshape(img.shape)


def dilate(img, element=3):
    if isinstance(element, int):
        must_be_odd(element)
        planes = img.float().reshape(-1, 1, *img.shape[-2:])
        return F.max_pool2d(planes, element, 1, element // 2).reshape(img.shape).to(img.dtype)
    rows, columns = element.shape
    must_be_odd(rows)
    must_be_odd(columns)
    planes = img.float().reshape(-1, 1, *img.shape[-2:])
    around = (columns // 2, columns // 2, rows // 2, rows // 2)
    windows = F.unfold(F.pad(planes, around, value=-1e30), (rows, columns))
    here = element.flip((0, 1)).reshape(-1).bool().to(img.device)
    return windows.masked_fill(~here[None, :, None], -1e30).amax(1).reshape(img.shape).to(img.dtype)


def erode(img, element=3):
    turned = torch.flip(element, [0, 1]) if isinstance(element, Tensor) else element
    return (-dilate(-img.float(), turned)).to(img.dtype)
