"""Products in the frequency domain: the full result first, then the part that the mode asks for."""


def full_product(x, k):
    size = [n + f - 1 for n, f in zip(x.shape, k.shape, strict=True)]
    product = torch.fft.rfft2(x, s=size) * torch.fft.rfft2(k, s=size)
    return torch.fft.irfft2(product, s=size)


def convolve2d(x, k, mode="valid"):
    x = x if x.is_floating_point() else x.float()
    k = k.to(x.dtype)
    (h, w), (kh, kw) = x.shape, k.shape
    if mode == "full":
        return full_product(x, k)
    if mode == "same":
        if kh % 2 == 0 or kw % 2 == 0:
            raise ValueError("same needs odd kernels")
        return full_product(x, k)[kh // 2 : kh // 2 + h, kw // 2 : kw // 2 + w]
    if mode != "valid":
        raise ValueError(mode)
    if kh > h or kw > w:
        raise ValueError("the kernel is larger than the picture")
    return full_product(x, k)[kh - 1 : h, kw - 1 : w]


def cross_correlate2d(x, k, mode="valid"):
    return convolve2d(x, k.flip((0, 1)), mode)


def gradient_magnitude(img, kernel):
    img = img if img.is_floating_point() else img.float()
    if isinstance(kernel, str):
        pair = torch.stack([edge_kernel(kernel, "vertical"), edge_kernel(kernel, "horizontal")])
    else:
        pair = torch.stack([kernel, kernel.transpose(0, 1)])
    both = F.conv2d(img[None, None], pair.to(img)[:, None])[0]
    return both.square().sum(0).sqrt()


def learn_kernel(img, target):
    img = img if img.is_floating_point() else img.float()
    x, y = (img - img.mean()) / img.std(), target / img.std()
    shape = (x.shape[0] - y.shape[0] + 1, x.shape[1] - y.shape[1] + 1)
    kernel = torch.randn(shape, dtype=img.dtype, requires_grad=True)
    shift = torch.zeros((), dtype=img.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([kernel, shift], max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12)

    def closure():
        optimizer.zero_grad()
        loss = F.mse_loss(cross_correlate2d(x, kernel) + shift, y)
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    return kernel.detach()
