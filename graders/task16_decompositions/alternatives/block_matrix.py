"""Singular values as eigenvalues of a block matrix, sums and eliminations row by row."""

import math


def vector_norm(x, p=2):
    flat = x.reshape(-1)
    if p == 0:
        return torch.count_nonzero(flat).to(flat.dtype)
    if math.isinf(p):
        ordered = torch.sort(flat.abs()).values
        if p > 0:
            return ordered[-1]
        return ordered[0]
    total = torch.sum(torch.pow(torch.abs(flat), p))
    return torch.pow(total, 1.0 / p)


def nuclear_norm(m):
    # (0 m; m^T 0) has the singular values of m as eigenvalues, with both signs
    r, c = m.shape
    big = torch.zeros((r + c, r + c), dtype=m.dtype, device=m.device)
    big[:r, r:] = m
    big[r:, :r] = m.T
    return torch.linalg.eigvalsh(big).abs().sum() / 2


def cosine_similarity(a, b, eps=1e-8):
    def unit(v):
        n = torch.linalg.vector_norm(v.detach(), dim=-1, keepdim=True)
        short = n <= eps
        safe = torch.where(short, torch.ones_like(v), v)
        length = torch.where(short, torch.full_like(n, eps), safe.square().sum(-1, keepdim=True).sqrt())
        return v / length

    return (unit(a) * unit(b)).sum(-1)


def pca(x, k):
    n, d = x.shape
    mean = torch.zeros(d, dtype=x.dtype, device=x.device)
    for row in x:
        mean = mean + row / n
    centred = x - mean
    cov = centred.T @ centred / n
    values, vectors = torch.linalg.eigh(cov)
    order = torch.argsort(values, descending=True)[:k]
    components = vectors[:, order].T.contiguous()
    return components, centred @ components.T, values[order] / torch.trace(cov)


def low_rank(m, k):
    u, s, vh = torch.linalg.svd(m, full_matrices=False)
    out = torch.zeros_like(m)
    for i in range(k):
        out += s[i] * torch.outer(u[:, i], vh[i])
    return out


def lu_solve(a, b):
    n = a.shape[0]
    vector = b.ndim == 1
    rows = [a[i] for i in range(n)]
    right = [b[i] for i in range(n)]
    for i in range(n):
        best = max(range(i, n), key=lambda r: abs(rows[r][i].item()))
        if rows[best][i].item() == 0:
            raise ValueError("singular")
        rows[i], rows[best] = rows[best], rows[i]
        right[i], right[best] = right[best], right[i]
        for j in range(i + 1, n):
            factor = rows[j][i] / rows[i][i]
            rows[j] = rows[j] - factor * rows[i]
            right[j] = right[j] - factor * right[i]
    x = [None] * n
    for i in reversed(range(n)):
        rest = right[i]
        for j in range(i + 1, n):
            rest = rest - rows[i][j] * x[j]
        x[i] = rest / rows[i][i]
    return torch.stack(x) if vector else torch.stack(x, dim=0)


def kl_normal(m1, s1, m2, s2):
    log_ratio = torch.log(s2 / s1)
    return log_ratio + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 1 / 2


def reparameterized_normal(mean, std, eps):
    out = std * eps
    out = out + mean
    return out


def score_function_gradient(f, mean, std, n, generator=None):
    with torch.no_grad():
        size = (n,) + tuple(mean.shape)
        x = torch.empty(size, dtype=mean.dtype, device=mean.device)
        x.normal_(generator=generator)
        x.mul_(std).add_(mean)
        score = (x - mean) / (std * std)
        height = f(x)
        while height.dim() < score.dim():
            height = height.unsqueeze(-1)
        return ((height * score).sum(dim=0) / n).to(mean.dtype)
