"""Everything by eigenvalues of products: norms, components, approximations; equations by an LU decomposition."""

import math

import torch


def vector_norm(x, p=2):
    sizes = x.flatten().abs()
    if p == math.inf:
        return sizes.amax()
    if p == -math.inf:
        return sizes.amin()
    if p == 0:
        return torch.count_nonzero(x).to(x.dtype)
    return sizes.pow(p).sum().pow(1 / p)


def nuclear_norm(m):
    gram = m @ m.T if m.shape[0] < m.shape[1] else m.T @ m
    return torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum()


def cosine_similarity(a, b, eps=1e-8):
    return torch.nn.functional.cosine_similarity(a, b, dim=-1, eps=eps)


def pca(x, k):
    mean = torch.mean(x, dim=0, keepdim=True)
    covariance = torch.cov(x.T).reshape(x.shape[1], x.shape[1])
    values, vectors = torch.linalg.eigh(covariance)
    order = torch.argsort(values, descending=True)
    components = vectors[:, order[:k]].T
    return components, (x - mean) @ components.T, values[order[:k]] / torch.trace(covariance)


def low_rank(m, k):
    values, vectors = torch.linalg.eigh(m @ m.T)
    span = vectors[:, torch.topk(values, k).indices]
    return span @ (span.T @ m)


def lu_solve(a, b):
    lu, pivots, info = torch.linalg.lu_factor_ex(a)
    if int(info) != 0:
        raise ValueError("the matrix is singular")
    columns = b if b.ndim == 2 else b[:, None]
    return torch.linalg.lu_solve(lu, pivots, columns).reshape(b.shape)


def kl_normal(m1, s1, m2, s2):
    first, second = torch.distributions.Normal(m1, s1), torch.distributions.Normal(m2, s2)
    return torch.distributions.kl_divergence(first, second)
