"""A beginner's loops over Python numbers; 1 / trace as the rate; losses for the steps alone."""

# It is appended to the solution, whose helpers it may use.

import torch


def make_line(slope, intercept, n, seed):
    g = torch.Generator()
    g.manual_seed(seed)
    xs, ys = [], []
    for _ in range(n):
        x = torch.rand(1, generator=g) * 10
        xs.append(x)
        ys.append(x * slope + intercept + torch.normal(0.0, 1.0, (1,), generator=g))
    return torch.stack(xs), torch.stack(ys)


def half_mse(x, y, w, b):
    total = 0
    for xi, yi in zip(x.flatten(), y.flatten(), strict=True):
        total = total + (w * xi + b - yi) ** 2 / 2
    return total / x.numel()


def half_mse_gradients(x, y, w, b):
    with torch.no_grad():
        dw, db = torch.zeros_like(w), torch.zeros_like(b)
        for xi, yi in zip(x.reshape(-1), y.reshape(-1), strict=True):
            error = w * xi + b - yi
            dw = dw + error * xi / x.numel()
            db = db + error / x.numel()
    return dw, db


def curvatures(x):
    values = x.double().flatten().tolist()
    n = len(values)
    xx = sum(v * v for v in values) / n
    mean = sum(values) / n
    matrix = torch.tensor([[xx, mean], [mean, 1.0]], dtype=torch.float64)
    low, high = torch.linalg.eigh(matrix)[0]
    return float(abs(low)), float(high)


def stable_learning_rate(x):
    return 1 / (x.double().square().mean().item() + 1)


def fit_until_converged(x, y, lr=None, max_iter=20000, tol=1e-6):
    xs, ys = x.double().flatten().tolist(), y.double().flatten().tolist()
    n = len(xs)
    if lr is None:
        lr = stable_learning_rate(x.detach())
    w = b = 0.0
    losses = []
    first = None
    for step in range(max_iter + 1):
        loss = dw = db = 0.0
        for xi, yi in zip(xs, ys, strict=True):
            error = w * xi + b - yi
            loss += error * error / (2 * n)
            dw += error * xi / n
            db += error / n
        first = loss if first is None else first
        reason = stop_reason((dw**2 + db**2) ** 0.5, loss, first, step, tol, max_iter)
        if reason is not None:
            return {"w": w, "b": b, "iterations": step, "stop_reason": reason, "losses": losses}
        losses.append(loss)
        w -= lr * dw
        b -= lr * db
