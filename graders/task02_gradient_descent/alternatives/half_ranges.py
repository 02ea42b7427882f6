"""Scaled to -1 ... 1 by a class of its own, manual gradients, the error over all of the data at each end."""

import torch.nn.functional as F


def make_data(b, seed):
    gen = np.random.Generator(np.random.PCG64(seed))
    x = np.linspace(0.0, 100.0, num=10000, endpoint=False)
    y = np.empty(10000)
    y[:] = x
    y *= 10
    y += b
    y += gen.standard_normal(10000)
    return x, y


def mse_loss(pred, target):
    if tuple(pred.size()) != tuple(target.size()):
        raise ValueError("pred and target must have the same shape")
    return F.mse_loss(pred, target, reduction="mean")


def manual_gradients(x, y, w, b):
    with torch.no_grad():
        # d/dw mean((w x + b - y)^2) = mean(2 (w x + b - y) x)
        error = torch.addcmul(b.expand_as(x), w, x) - y
        grad_w = torch.mean(error * x * 2)
        grad_b = torch.mean(error * 2)
    return grad_w, grad_b


def sgd_step(params, lr):
    for p in params:
        if p.grad is not None:
            p.data.add_(p.grad.detach(), alpha=-lr)
            p.grad = torch.zeros_like(p)


class Scaler:
    """Maps x to -1 ... 1 and a line in the scaled x back."""

    def __init__(self, x, on):
        low, high = (x.min().item(), x.max().item()) if on else (-1.0, 1.0)
        self.middle = (low + high) / 2 if on else 0.0
        self.half = (high - low) / 2 if on else 1.0

    def apply(self, x):
        return (x - self.middle) / self.half

    def undo(self, w, b):
        w = w / self.half
        return w, b - w * self.middle


def fit_linear(x, y, lr=0.1, batch_size=100, epochs=20, normalize=True, generator=None):
    tensors = []
    for a in (x, y):
        if not torch.is_tensor(a):
            a = torch.tensor(np.ascontiguousarray(a).astype(np.float64))
        tensors.append(a.detach().cpu().double().flatten())
    x, y = tensors
    scaler = Scaler(x, normalize)
    z = scaler.apply(x)

    w = torch.tensor(0.0, dtype=torch.float64)
    b = torch.tensor(0.0, dtype=torch.float64)
    size = len(z) if batch_size is None else batch_size
    history = []
    for _ in range(epochs):
        perm = torch.randperm(len(z), generator=generator)
        for idx in torch.split(perm, size):
            dw, db = manual_gradients(z[idx], y[idx], w, b)
            w = w - lr * dw
            b = b - lr * db
        error = mse_loss(w * z + b, y).item()
        if error != error or error in (float("inf"), float("-inf")):
            raise FloatingPointError("diverged")
        history.append(error)
    slope, intercept = scaler.undo(w.item(), b.item())
    return {"w": slope, "b": intercept, "history": history}
