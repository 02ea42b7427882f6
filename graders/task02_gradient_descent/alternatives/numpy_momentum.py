"""Min-max scaling, gradients by formula in NumPy, heavy-ball momentum by hand, the loss of the end of each epoch."""


def make_data(b, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.arange(10_000, dtype=torch.float64) * 0.01
    y = 10 * x + b + torch.randn(10_000, generator=generator, dtype=torch.float64)
    return x.numpy(), y.numpy()


def mse_loss(pred, target):
    if len(pred.shape) != len(target.shape) or any(a != b for a, b in zip(pred.shape, target.shape, strict=False)):
        raise ValueError(f"{pred.shape} against {target.shape}")
    return torch.mean(torch.pow(target - pred, 2))


def manual_gradients(x, y, w, b):
    design = torch.stack([x, torch.ones_like(x)])  # (2, N)
    by = design @ (design.T @ torch.stack([w, b]) - y) * (2 / x.numel())
    return by[0], by[1]


@torch.no_grad()
def sgd_step(params, lr):
    for param in params:
        if param.grad is not None:
            param.copy_(param - lr * param.grad)
            param.grad = torch.zeros_like(param)


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    x, y = (np.asarray(torch.as_tensor(v).detach().cpu(), dtype=np.float64).ravel() for v in (x, y))
    low, width = (x.min(), np.ptp(x)) if normalize else (0.0, 1.0)
    u = (x - low) / width
    mu = 0.5 if normalize else 0.0
    w = b = vw = vb = 0.0
    history = []
    for _ in range(epochs):
        order = torch.randperm(len(u), generator=generator).numpy()
        for start in range(0, len(u), batch_size or len(u)):
            rows = order[start : start + (batch_size or len(u))]
            residual = w * u[rows] + b - y[rows]
            vw = mu * vw + 2 * np.mean(residual * u[rows])
            vb = mu * vb + 2 * np.mean(residual)
            w -= lr * vw
            b -= lr * vb
        with np.errstate(over="ignore", invalid="ignore"):
            loss = float(np.mean((w * u + b - y) ** 2))
        if not math.isfinite(loss):
            raise FloatingPointError(f"loss {loss}")
        history.append(loss)
    return {"w": float(w / width), "b": float(b - w * low / width), "history": history}
