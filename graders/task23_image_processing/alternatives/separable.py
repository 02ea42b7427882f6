"""Rows first, columns second: a separable Gaussian, running sums, squares by two steps; the rest by broadcasting."""


def rgb_to_gray(img, method="float"):
    match method:
        case "float":
            return (img.float() * img.new_tensor([0.3, 0.59, 0.11], dtype=torch.float32)[:, None, None]).sum(0)
        case "mean":
            return img.float().mean(dim=0)
        case "green":
            return img.select(0, 1)
        case "integer":
            img = img.to(torch.int64)
            return img[0].mul(30).add(img[1], alpha=59).add(img[2], alpha=11).floor_divide(100)
        case "shift":
            img = img.to(torch.int64)
            return img[0].mul(77).add(img[1], alpha=151).add(img[2], alpha=28).floor_divide(256)
    raise ValueError(f"no method {method}")


def repeat(x, margin, dim):
    """The borders of one axis, repeated."""
    first = x.narrow(dim, 0, 1)
    last = x.narrow(dim, x.shape[dim] - 1, 1)
    return torch.cat([first] * margin + [x] + [last] * margin, dim)


def along(x, weights, dim):
    padded = repeat(x, len(weights) // 2, dim)
    return sum(float(w) * padded.narrow(dim, n, x.shape[dim]) for n, w in enumerate(weights))


def box_filter(img, size=3):
    if size % 2 != 1:
        raise ValueError("odd sizes only")
    return along(along(img.to(torch.float32), [1 / size] * size, -1), [1 / size] * size, -2)


def line(size, sigma):
    if size % 2 != 1:
        raise ValueError("odd sizes only")
    row = torch.exp(-((torch.arange(size) - (size - 1) / 2) ** 2) / (2 * sigma**2))
    return row / row.sum()


def gaussian_kernel(size, sigma):
    return line(size, sigma)[:, None] * line(size, sigma)


def unsharp(img, size=3, sigma=1.0, amount=1.0):
    x = img.float()
    detail = x - along(along(x, line(size, sigma), -2), line(size, sigma), -1)
    result = x + amount * detail
    return result.to(img.dtype) if img.is_floating_point() else result.round_().clamp_(0, 255).to(img.dtype)


def median_filter(img, size=3):
    if size % 2 != 1:
        raise ValueError("odd sizes only")
    big = repeat(repeat(img, size // 2, -1), size // 2, -2)
    windows = big.unfold(-2, size, 1).unfold(-2, size, 1).reshape(*img.shape, size * size)
    return windows.topk(size * size // 2 + 1, dim=-1).values[..., -1].contiguous()


def both_ways(img, size, choose, beyond):
    if size % 2 != 1:
        raise ValueError("odd sizes only")
    for dim in (-1, -2):
        shape = list(img.shape)
        shape[dim] = size // 2
        edge = torch.full(shape, beyond, dtype=img.dtype, device=img.device)
        img = choose(torch.cat([edge, img, edge], dim).unfold(dim, size, 1), -1)
    return img


def tapped(img, element, choose, beyond):
    rows, columns = element.shape
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError("odd sizes only")
    big = F.pad(img, (columns // 2, columns // 2, rows // 2, rows // 2), "constant", beyond)
    windows = big.unfold(-2, rows, 1).unfold(-2, columns, 1)
    return choose(windows[..., element.to(torch.bool)], -1)


def dilate(img, element=3):
    beyond = float("-inf") if img.is_floating_point() else 0
    if isinstance(element, int):
        return both_ways(img, element, torch.amax, beyond)
    return tapped(img, torch.rot90(element, 2), torch.amax, beyond)


def erode(img, element=3):
    beyond = float("inf") if img.is_floating_point() else 255
    if isinstance(element, int):
        return both_ways(img, element, torch.amin, beyond)
    return tapped(img, element, torch.amin, beyond)


def close_(img, element=3):
    """What opening does to the negative."""
    turned = element.flip(0, 1) if isinstance(element, Tensor) else element
    high = 255 - img if img.dtype == torch.uint8 else -img
    opened = open_(high, turned)
    return 255 - opened if img.dtype == torch.uint8 else -opened
