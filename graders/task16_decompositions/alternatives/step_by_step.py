"""Loops where matrices allow them: power iteration with deflation, elimination with exchange of rows."""

import torch


def leading(gram, k):
    """The k leading eigenvectors of a symmetric matrix, one in each row, and their eigenvalues."""
    rows, values = [], []
    for _ in range(k):
        v = gram[:, gram.norm(dim=0).argmax()]
        for _ in range(200):
            v = gram @ v
            for row in rows:
                v = v - (v @ row) * row
            value = v.norm()
            v = v / value.clamp_min(1e-300)
        rows.append(v)
        values.append(value)
        gram = gram - value * torch.outer(v, v)
    return torch.stack(rows), torch.stack(values)


def pca(x, k):
    centred = x - x.sum(0) / len(x)
    rows, values = leading((centred.T @ centred).double(), k)
    rows, values = rows.to(x.dtype), values.to(x.dtype)
    return rows, centred @ rows.T, values / centred.pow(2).sum()


def low_rank(m, k):
    rows, _ = leading((m.T @ m).double(), k)
    rows = rows.to(m.dtype)
    return m @ rows.T @ rows


def lu_solve(a, b):
    n = a.shape[0]
    columns = b.unsqueeze(1) if b.dim() == 1 else b
    work = torch.cat([a, columns], dim=1)
    for i in range(n):
        pivot = i + int(work[i:, i].detach().abs().argmax())
        if work[pivot, i] == 0:
            raise ZeroDivisionError("no pivot")
        order = list(range(n))
        order[i], order[pivot] = order[pivot], order[i]
        work = work[order]
        row = work[i] / work[i, i]
        others = torch.arange(n, device=a.device) != i
        work = torch.where(others[:, None], work - work[:, i : i + 1] * row, row)
    return work[:, n:].reshape(b.shape)


def nuclear_norm(m):
    rows, values = leading((m.T @ m).double(), min(m.shape))
    return values.clamp(min=0).sqrt().sum().to(m.dtype)


def score_function_gradient(f, mean, std, n, generator=None):
    normal = torch.zeros((n,) + tuple(mean.shape), dtype=mean.dtype, device=mean.device)
    points = normal.normal_(generator=generator) * std.detach() + mean.detach()
    worth = f(points).detach()
    score = (points - mean.detach()) / std.detach().pow(2)
    return torch.tensordot(worth, score, dims=1) / n
