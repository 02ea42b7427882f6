"""Loops over the places of a window; running maxima; tables by sorting; whole-number tricks."""


def planes_of(img):
    return [img[0], img[1], img[2]]


def rgb_to_gray(img, method="float"):
    r, g, b = planes_of(img)
    if method == "float":
        return r * 0.3 + g * 0.59 + b * 0.11
    if method == "mean":
        return r / 3 + g / 3 + b / 3
    if method == "integer":
        return ((r.short() * 30 + g.short() * 59 + b.short() * 11) / 100).floor().short()
    if method == "shift":
        return (r.int() * 77 + g.int() * 151 + b.int() * 28).bitwise_right_shift(8)
    if method == "green":
        return g
    raise ValueError(method)


def adjust_contrast(img, factor):
    gray = rgb_to_gray(img) if img.ndim == 3 else img.to(torch.float32)
    out = factor * img + (1 - factor) * gray.mean()
    if img.dtype == torch.float32:
        return out
    out[out < 0] = 0
    out[out > 255] = 255
    return (out + 0.5).to(torch.uint8)


def rgb_to_hsv(img):
    r, g, b = (plane.float() for plane in planes_of(img))
    most = torch.maximum(torch.maximum(r, g), b)
    chroma = most - torch.minimum(torch.minimum(r, g), b)
    hue = torch.zeros_like(most)
    for n, (top, one, two) in enumerate(((r, g, b), (g, b, r), (b, r, g))):
        here = (most == top) & (chroma > 0)
        hue[here] = 120.0 * n + 60 * (one[here] - two[here]) / chroma[here]
    hue[hue < 0] += 360
    saturation = torch.zeros_like(most)
    saturation[most > 0] = 100 * chroma[most > 0] / most[most > 0]
    return torch.stack([hue, saturation, most / 2.55])


def hsv_to_rgb(hsv):
    h, s, v = hsv
    h, c = h.remainder(360), v * s / 100
    x = c * (1 - ((h / 60).remainder(2) - 1).abs())
    nothing = torch.zeros_like(c)
    rgb = torch.stack([c, x, nothing])
    for low, colours in ((60, (x, c, nothing)), (120, (nothing, c, x)), (180, (nothing, x, c)), (240, (x, nothing, c)),
                         (300, (c, nothing, x))):  # fmt: skip
        rgb = torch.where(h >= low, torch.stack(colours), rgb)
    return 2.55 * (rgb + v - c)


def equalize_hist(gray, levels=256):
    ordered, _ = gray.reshape(-1).sort()
    everything = torch.arange(levels, device=gray.device, dtype=torch.uint8)
    below = torch.searchsorted(ordered, everything, right=True)
    table = (2 * (levels - 1) * below + gray.numel()) // (2 * gray.numel())  # rounded in whole numbers
    return table.to(torch.uint8).take(gray.long())


def equalize_luma(rgb):
    r, g, b = rgb.double()
    y = 0.299 * r + 0.587 * g + 0.114 * b
    u, v = b - y, r - y  # YUV, but for constants
    new = equalize_hist(y.round().byte()).double()
    red, blue = new + v, new + u
    green = (new - 0.299 * red - 0.114 * blue) / 0.587
    return torch.stack([red, green, blue]).round().clamp(0, 255).byte()


def shifted(img, size):
    """For each place of the window its row and column offset and the shifted picture."""
    if size % 2 == 0:
        raise ValueError(f"{size} is even")
    m = size // 2
    height, width = img.shape[-2:]
    top, bottom = img[..., :1, :].expand(*img.shape[:-2], m, width), img[..., -1:, :].expand(*img.shape[:-2], m, width)
    img = torch.cat([top, img, bottom], -2)
    tall = img.shape[-2]
    left, right = img[..., :1].expand(*img.shape[:-2], tall, m), img[..., -1:].expand(*img.shape[:-2], tall, m)
    img = torch.cat([left, img, right], -1)
    for dy in range(-m, m + 1):
        for dx in range(-m, m + 1):
            yield dy, dx, img[..., m + dy : m + dy + height, m + dx : m + dx + width]


def box_filter(img, size=3):
    return sum(near.float() for _, _, near in shifted(img, size)) / size**2


def gaussian_kernel(size, sigma):
    if size % 2 == 0:
        raise ValueError("size")
    kernel = torch.zeros(size, size)
    for i in range(size):
        for j in range(size):
            kernel[i, j] = 2.718281828459045 ** (-((i - size // 2) ** 2 + (j - size // 2) ** 2) / (2 * sigma * sigma))
    kernel /= kernel.sum()
    return kernel


def unsharp(img, size=3, sigma=1.0, amount=1.0):
    kernel = gaussian_kernel(size, sigma)
    blurred = torch.zeros(img.shape, device=img.device)
    for dy, dx, near in shifted(img.float(), size):
        blurred += float(kernel[dy + size // 2, dx + size // 2]) * near
    sharp = img + amount * (img - blurred)
    return sharp if img.is_floating_point() else (sharp.clamp(0, 255) + 0.5).floor().to(img.dtype)


def median_filter(img, size=3):
    stacked = torch.stack([near for _, _, near in shifted(img, size)])
    return torch.kthvalue(stacked, stacked.shape[0] // 2 + 1, dim=0)[0]


def bilateral_filter(img, size, sigma_space, sigma_color):
    centre = img.float()
    above, below = torch.zeros_like(centre), torch.zeros_like(centre)
    for dy, dx, near in shifted(centre, size):
        weight = torch.exp(-((near - centre) / sigma_color).square() / 2 - (dx * dx + dy * dy) / sigma_space**2 / 2)
        above += weight * near
        below += weight
    return above / below


def places(element):
    if isinstance(element, int):
        element = torch.ones(element, element)
    rows, columns = element.shape
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError("even")
    return [(i - rows // 2, j - columns // 2) for i in range(rows) for j in range(columns) if element[i, j]]


def walk(img, element, sign, choose):
    """The picture over itself, moved by each place that is set; only where both are in the picture."""
    out = img.clone()
    height, width = img.shape[-2:]
    for dy, dx in places(element):
        dy, dx = sign * dy, sign * dx
        to = (
            ...,
            slice(max(0, -dy), max(0, min(height, height - dy))),
            slice(max(0, -dx), max(0, min(width, width - dx))),
        )
        of = (
            ...,
            slice(max(0, dy), max(0, min(height, height + dy))),
            slice(max(0, dx), max(0, min(width, width + dx))),
        )
        out[to] = choose(out[to], img[of])
    return out


def dilate(img, element=3):
    return walk(img, element, -1, torch.maximum)


def erode(img, element=3):
    return walk(img, element, 1, torch.minimum)
