"""Descent in NumPy on a standardised x; curvatures by trace and determinant."""

# It is appended to the solution, whose helpers it may use.

import numpy as np


def half_mse_gradients(x, y, w, b):
    r = (w * x + b - y).detach()
    n = r.nelement()
    return (r * x.detach()).sum() / n, r.sum() / n


def curvatures(x):
    x = x.detach().double().reshape(-1)
    var, mu = x.var(unbiased=False), x.mean()
    tr, det = var + mu**2 + 1, var
    hi = (tr + (tr**2 - 4 * det).clamp(min=0).sqrt()) / 2
    return (det / hi).item(), hi.item()


def stable_learning_rate(x):
    c = x.detach().double()
    return float(0.5 / max(1.0, (c**2).mean().item() + 1) * 2)


def fit_until_converged(x, y, lr=None, max_iter=20000, tol=1e-6):
    x = np.asarray(x.detach().tolist(), dtype=float).reshape(-1)
    y = np.asarray(y.detach().tolist(), dtype=float).reshape(-1)
    mu, sd = (0.0, 1.0) if lr is not None else (x.mean(), x.std() or 1.0)
    z = (x - mu) / sd
    w = b = 0.0
    losses = []
    k = 0
    step = 0.9 if lr is None else lr
    with np.errstate(all="ignore"):
        while True:
            e = w * z + b - y
            losses.append(float((e**2).mean() / 2))
            gw, gb = float((e * z).mean()), float(e.mean())
            reason = stop_reason(float(np.hypot(gw, gb)), losses[-1], losses[0], k, tol, max_iter)
            if reason:
                break
            w -= step * gw
            b -= step * gb
            k += 1
    return {
        "w": float(w / sd),
        "b": float(b - w * mu / sd),
        "iterations": k,
        "stop_reason": reason,
        "losses": losses[:k],
    }
