"""NumPy inside: batches by reshaped index arrays, x centred only by its mean and 50."""


def make_data(b, seed):
    x = np.r_[0:10000] * 0.01
    noise = np.random.RandomState(np.random.MT19937(seed)).randn(10_000)
    return x, 10 * x + (b + noise)


def mse_loss(pred, target):
    try:
        assert tuple(pred.shape) == tuple(target.shape)
    except AssertionError:
        raise ValueError("same shapes, please") from None
    gap = (pred - target).flatten()
    return gap @ gap / gap.numel()


def manual_gradients(x, y, w, b):
    design = torch.stack([x, torch.ones_like(x)])
    both = design @ (torch.stack([w, b]) @ design - y) * 2 / x.numel()
    return both[0], both[1]


def sgd_step(params, lr):
    with torch.no_grad():
        [p.copy_(p - lr * p.grad) for p in params if p.grad is not None]
    for p in params:
        p.grad = None


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    x, y = (
        np.asarray(v.detach().cpu().double() if isinstance(v, Tensor) else v, np.float64).reshape(-1) for v in (x, y)
    )
    middle, width = (x.mean(), np.abs(x - x.mean()).max()) if normalize else (0.0, 1.0)
    z = (x - middle) / width
    w = b = 0.0
    history = []
    with np.errstate(all="ignore"):
        for epoch in range(epochs):
            order = torch.randperm(x.size, generator=generator).numpy()
            pieces = np.split(order, range(batch_size, x.size, batch_size)) if batch_size else [order]
            for p in pieces:
                gap = w * z[p] + b - y[p]
                w, b = w - lr * 2 * np.mean(gap * z[p]), b - lr * 2 * np.mean(gap)
            history.append(float(np.mean((w * z + b - y) ** 2)))
            if not np.isfinite(history[-1]):
                raise FloatingPointError(f"epoch {epoch}: {history[-1]}")
    return {"w": float(w / width), "b": float(b - w / width * middle), "history": history}
