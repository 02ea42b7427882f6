"""Convolution first: every pixel spreads the kernel. Correlation is derived from it; einsum, as_strided, momentum."""


def output_size(n, f, padding=0, stride=1):
    if padding == "same" and not f % 2:
        raise ValueError("even")
    if isinstance(padding, str):
        if padding == "valid":
            total = n
        elif padding == "same":
            total = n + f - 1
        elif padding == "full":
            total = n + 2 * f - 2
        else:
            raise ValueError("unknown")
    else:
        total = n + padding + padding
    if total < f:
        raise ValueError("too short")
    return 1 + int((total - f) / stride)


def sizes_through(n, layers):
    from itertools import accumulate

    return list(accumulate(layers, lambda size, layer: output_size(size, *layer), initial=n))


def edge_kernel(name, direction):
    match name, direction:
        case (("simple" | "prewitt"), "vertical"):
            rows = [[1, 0, -1], [1, 0, -1], [1, 0, -1]]
        case (("simple" | "prewitt"), "horizontal"):
            rows = [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
        case "sobel", "vertical":
            rows = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
        case "sobel", "horizontal":
            rows = [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]
        case "scharr", "vertical":
            rows = [[3, 0, -3], [10, 0, -10], [3, 0, -3]]
        case "scharr", "horizontal":
            rows = [[3, 10, 3], [0, 0, 0], [-3, -10, -3]]
        case "roberts", "vertical":
            rows = [[1, 0], [0, -1]]
        case "roberts", "horizontal":
            rows = [[0, 1], [-1, 0]]
        case _:
            raise ValueError(f"no filter {name!r} for {direction!r}")
    return torch.FloatTensor(rows)


def convolve2d(x, k, mode="valid"):
    if mode not in ("valid", "same", "full"):
        raise ValueError(mode)
    (h, w), (kh, kw) = x.shape, k.shape
    if (mode == "same" and (kh * kw) % 2 == 0) or (mode == "valid" and (kh > h or kw > w)):
        raise ValueError("this kernel does not fit this mode")
    x = x.clone() if x.dtype == torch.float64 else x.to(torch.float32)
    k = k.type_as(x)
    spread = x.new_zeros(h + kh - 1, w + kw - 1)
    for a in range(kh):
        for b in range(kw):
            spread[a : a + h, b : b + w] += x * k[a][b]
    if mode == "full":
        return spread
    if mode == "same":
        return spread[kh // 2 : kh // 2 + h, kw // 2 : kw // 2 + w]
    return spread[kh - 1 : h, kw - 1 : w]


def cross_correlate2d(x, k, mode="valid"):
    return convolve2d(x, torch.flip(k, dims=[0, 1]), mode)


def gradient_magnitude(img, kernel):
    kernels = [edge_kernel(kernel, way) for way in ("vertical", "horizontal")] if type(kernel) is str else None
    kernels = kernels or [kernel, torch.swapaxes(kernel, 0, 1)]
    responses = torch.stack([cross_correlate2d(img, k.to(img.device)) for k in kernels])
    return torch.linalg.vector_norm(responses, dim=0)


def edge_mask(img, kernel, threshold=0.5):
    magnitude = gradient_magnitude(img, kernel)
    return ~(magnitude <= threshold * torch.max(magnitude))


def learn_kernel(img, target):
    dtype = torch.float64 if img.dtype == torch.float64 else torch.float32
    x, y = img.to(dtype), target.to(dtype)
    rows, columns = x.size(0) - y.size(0) + 1, x.size(1) - y.size(1) + 1
    h, w = y.shape
    x = x.contiguous()
    windows = torch.as_strided(x, (h, w, rows, columns), (x.stride(0), 1, x.stride(0), 1))
    unit = x.square().mean().sqrt()
    kernel = torch.nn.Parameter(torch.zeros(rows, columns, dtype=dtype))
    optimizer = torch.optim.SGD([kernel], lr=0.5 / (rows * columns), momentum=0.9)
    for _ in range(1500):
        loss = (torch.einsum("hwij,ij->hw", windows / unit, kernel) - y / unit).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return kernel.detach().clone()
