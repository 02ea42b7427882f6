"""Momentum and half the stable rate from a start of its own; a loop over a range that looks once more at its end."""

# It is appended to the solution, whose helpers it may use.

import numpy as np
import torch


def stop_reason(gradient, loss, first_loss, iteration, tol, max_iter):
    if np.isnan(gradient) or np.isinf(gradient) or np.isnan(loss) or np.isinf(loss):
        return "diverged"
    if first_loss * 1_000_000 < loss:
        return "diverged"
    if tol >= gradient:
        return "converged"
    if max_iter <= iteration:
        return "max_iter"


def fit_until_converged(x, y, lr=None, max_iter=20000, tol=1e-6):
    x, y = (
        x.detach().double().view(-1) if x.is_contiguous() else x.detach().double().reshape(-1),
        y.detach().double().reshape(-1),
    )
    if lr is not None:
        w, b, mom = torch.tensor(0.0, dtype=torch.float64), torch.tensor(0.0, dtype=torch.float64), 0.0
    else:
        w, b, mom = y.new_tensor(0.5), y.mean(), 0.9
        lr = 0.5 * stable_learning_rate(x)
    vw = vb = 0.0
    losses = []
    for k in range(max_iter):
        losses.append(half_mse(x, y, w, b).item())
        dw, db = half_mse_gradients(x, y, w, b)
        r = stop_reason((dw**2 + db**2).sqrt().item(), losses[-1], losses[0], k, tol, max_iter)
        if r:
            return dict(w=w.item(), b=b.item(), iterations=k, stop_reason=r, losses=losses)
        vw, vb = mom * vw - lr * dw, mom * vb - lr * db
        w, b = w + vw, b + vb
    losses.append(half_mse(x, y, w, b).item())
    dw, db = half_mse_gradients(x, y, w, b)
    return dict(
        w=float(w),
        b=float(b),
        iterations=max_iter,
        losses=losses,
        stop_reason=stop_reason((dw**2 + db**2).sqrt().item(), losses[-1], losses[0], max_iter, tol, max_iter),
    )
