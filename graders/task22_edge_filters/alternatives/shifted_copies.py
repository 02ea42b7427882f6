"""One shifted copy of the picture for each tap; sizes by counting; plain gradient descent on normalised pictures."""


def output_size(n, f, padding=0, stride=1):
    if padding == "valid":
        padding = 0
    elif padding == "same":
        if f % 2 != 1:
            raise ValueError("same needs an odd f")
        padding = f // 2
    elif padding == "full":
        padding = f - 1
    elif isinstance(padding, str):
        raise ValueError(padding)
    count, start = 0, 0
    while start + f <= n + 2 * padding:
        count += 1
        start += stride
    if count == 0:
        raise ValueError("the kernel does not fit")
    return count


def sizes_through(n, layers):
    if not layers:
        return [n]
    (f, padding, stride), *rest = layers
    return [n, *sizes_through(output_size(n, f, padding=padding, stride=stride), rest)]


def edge_kernel(name, direction):
    if direction not in {"vertical", "horizontal"}:
        raise ValueError("direction")
    column = {"simple": [1.0, 1, 1], "prewitt": [1.0, 1, 1], "sobel": [1.0, 2, 1], "scharr": [3.0, 10, 3]}
    if name == "roberts":
        diagonal = torch.diag(torch.tensor([1.0, -1.0]))
        return diagonal if direction == "vertical" else diagonal.flip(1)
    try:
        smooth = torch.tensor(column[name])
    except KeyError:
        raise ValueError(name) from None
    slope = torch.tensor([1.0, 0.0, -1.0])
    return torch.outer(smooth, slope) if direction == "vertical" else torch.outer(slope, smooth)


def cross_correlate2d(x, k, mode="valid"):
    if not x.is_floating_point():
        x = x.to(torch.float32)
    k = k.to(x)
    height, width = k.shape
    if mode == "valid":
        top = left = 0
    elif mode == "same":
        if height % 2 == 0 or width % 2 == 0:
            raise ValueError("same needs an odd kernel")
        top, left = (height - 1) // 2, (width - 1) // 2
    elif mode == "full":
        top, left = height - 1, width - 1
    else:
        raise ValueError(mode)
    padded = F.pad(x, (left, left, top, top))
    rows, columns = padded.shape[0] - height + 1, padded.shape[1] - width + 1
    if rows < 1 or columns < 1:
        raise ValueError("the kernel does not fit")
    total = x.new_zeros(rows, columns)
    for a in range(height):
        for b in range(width):
            total = total + k[a, b] * padded[a : a + rows, b : b + columns]
    return total


def convolve2d(x, k, mode="valid"):
    return cross_correlate2d(x, torch.rot90(k, 2), mode=mode)


def gradient_magnitude(img, kernel):
    if isinstance(kernel, str):
        gx = cross_correlate2d(img, edge_kernel(kernel, "vertical").to(img.device))
        gy = cross_correlate2d(img, edge_kernel(kernel, "horizontal").to(img.device))
    else:
        gx = cross_correlate2d(img, kernel)
        gy = cross_correlate2d(img, kernel.t())
    return (gx * gx + gy * gy) ** 0.5


def edge_mask(img, kernel, threshold=0.5):
    magnitude = gradient_magnitude(img, kernel)
    return torch.gt(magnitude, magnitude.amax() * threshold)


def learn_kernel(img, target):
    img = img if img.is_floating_point() else img.float()
    scale = img.abs().max()
    x, y = img / scale, target / scale
    kernel = torch.zeros(x.shape[0] - y.shape[0] + 1, x.shape[1] - y.shape[1] + 1).to(img)
    kernel.requires_grad_()
    rate = 1.0 / kernel.numel()
    for _ in range(3000):
        loss = ((cross_correlate2d(x, kernel) - y) ** 2).mean()
        loss.backward()
        kernel.data -= rate * kernel.grad
        kernel.grad = None
    return kernel.data
