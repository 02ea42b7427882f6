"""Ifs and loops: places are counted one by one, a canvas of zeros for the padding; the kernel is learnt by L-BFGS."""


def output_size(n, f, padding=0, stride=1) -> int:
    if padding == "valid":
        zeros = 0
    elif padding == "full":
        zeros = f - 1
    elif padding == "same":
        if f % 2 != 1:
            raise ValueError("even kernel")
        zeros = (f - 1) // 2
    elif isinstance(padding, str):
        raise ValueError("padding " + padding)
    else:
        zeros = padding
    length = n + zeros + zeros
    if f > length:
        raise ValueError("kernel too long")
    places = 0
    start = 0
    while start + f <= length:
        places += 1
        start += stride
    return places


def sizes_through(n, layers) -> list:
    result = [n]
    size = n
    for layer in layers:
        size = output_size(size, layer[0], layer[1], layer[2])
        result.append(size)
    return result


def edge_kernel(name, direction) -> Tensor:
    if direction != "vertical" and direction != "horizontal":
        raise ValueError(direction)
    if name == "simple" or name == "prewitt":
        side = [1.0, 1.0, 1.0]
    elif name == "sobel":
        side = [1.0, 2.0, 1.0]
    elif name == "scharr":
        side = [3.0, 10.0, 3.0]
    elif name == "roberts":
        k = torch.zeros(2, 2, dtype=torch.float32)
        if direction == "vertical":
            k[0, 0] = 1
            k[1, 1] = -1
        else:
            k[0, 1] = 1
            k[1, 0] = -1
        return k
    else:
        raise ValueError(name)
    k = torch.zeros(3, 3, dtype=torch.float32)
    for i in range(3):
        if direction == "vertical":
            k[i, 0] = side[i]
            k[i, 2] = -side[i]
        else:
            k[0, i] = side[i]
            k[2, i] = -side[i]
    return k


def cross_correlate2d(x: Tensor, k: Tensor, mode="valid") -> Tensor:
    if mode not in ["valid", "same", "full"]:
        raise ValueError("mode")
    H, W = x.size()
    KH, KW = k.size()
    if not x.is_floating_point():
        x = x.to(torch.float32)
    k = k.to(x)
    if mode == "same":
        if KH % 2 == 0:
            raise ValueError("even number of rows")
        if KW % 2 == 0:
            raise ValueError("even number of columns")
        top = KH // 2
        left = KW // 2
    elif mode == "full":
        top = KH - 1
        left = KW - 1
    else:
        if KH > H or KW > W:
            raise ValueError("kernel is too large")
        top = 0
        left = 0
    OH = H + 2 * top - KH + 1
    OW = W + 2 * left - KW + 1
    canvas = torch.zeros(H + 2 * top, W + 2 * left, dtype=x.dtype, device=x.device)
    canvas[top : top + H, left : left + W] = x
    layers = []
    for a in range(KH):
        for b in range(KW):
            layers.append(canvas[a : a + OH, b : b + OW] * k[a, b])
    return torch.stack(layers).sum(dim=0)


def convolve2d(x: Tensor, k: Tensor, mode="valid") -> Tensor:
    rows = list(range(k.shape[0]))[::-1]
    columns = list(range(k.shape[1]))[::-1]
    turned = k[rows][:, columns]
    return cross_correlate2d(x, turned, mode)


def gradient_magnitude(img: Tensor, kernel) -> Tensor:
    if not img.is_floating_point():
        img = img.float()
    if isinstance(kernel, str):
        kx = edge_kernel(kernel, "vertical").to(img)
        ky = edge_kernel(kernel, "horizontal").to(img)
    else:
        kx = kernel.to(img)
        ky = kx.transpose(0, 1)
    both = torch.stack([kx, ky]).unsqueeze(1)
    g = F.conv2d(img.unsqueeze(0).unsqueeze(0), both)[0]
    return (g[0] ** 2 + g[1] ** 2) ** 0.5


def edge_mask(img: Tensor, kernel, threshold=0.5) -> Tensor:
    with torch.no_grad():
        m = gradient_magnitude(img, kernel)
        largest = m.max()
        if largest == 0 or img.min() == img.max():
            return torch.zeros(m.shape, dtype=torch.bool, device=m.device)
        return m > largest * threshold


def learn_kernel(img: Tensor, target: Tensor) -> Tensor:
    dtype = img.dtype if img.is_floating_point() else torch.float32
    KH = img.shape[0] - target.shape[0] + 1
    KW = img.shape[1] - target.shape[1] + 1
    x = img.detach().double()
    y = target.detach().to(x)
    biggest = x.abs().max()
    x = x / biggest
    y = y / biggest
    k = torch.zeros(KH, KW, dtype=torch.float64, device=img.device).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [k],
        lr=1,
        max_iter=1000,
        max_eval=2000,
        tolerance_grad=1e-10,
        tolerance_change=1e-16,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        error = cross_correlate2d(x, k) - y
        loss = (error**2).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return k.detach().to(dtype)
