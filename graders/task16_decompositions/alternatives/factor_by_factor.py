"""Other factorisations: the outer Gram matrix, QR before the singular values, an LU decomposition used by hand."""

import torch


class Normal:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def divergence(self, other):
        ratio, shift = self.std / other.std, (self.mean - other.mean) / other.std
        return torch.log(other.std) - torch.log(self.std) + (ratio**2 + shift**2 - 1) / 2

    def moved(self, eps):
        return torch.add(self.mean, torch.mul(eps, self.std))


def vector_norm(x, p=2):
    return torch.dist(x, torch.zeros_like(x), p)


def nuclear_norm(m):
    _, triangle = torch.linalg.qr(m)
    return torch.linalg.svd(triangle)[1].sum()


def pca(x, k):
    centred = x - x.mean(0, keepdim=True)
    values, vectors = torch.linalg.eigh(centred @ centred.T)
    values, vectors = values.flip(0)[:k], vectors.flip(1)[:, :k]
    components = (centred.T @ vectors / values.sqrt()).T
    return components, vectors * values.sqrt(), values / (centred * centred).sum()


def low_rank(m, k):
    left, sizes, right = torch.svd(m)
    total = torch.zeros_like(m)
    for i in range(k):
        total = total + sizes[i] * torch.outer(left[:, i], right[:, i])
    return total


def lu_solve(a, b):
    order, lower, upper = torch.linalg.lu(a)
    if (upper.diagonal() == 0).any():
        raise ValueError("the matrix is singular")
    columns = b[:, None] if b.dim() == 1 else b
    y = torch.linalg.solve_triangular(lower, order.T @ columns, upper=False, unitriangular=True)
    return torch.linalg.solve_triangular(upper, y, upper=True).reshape(b.shape)


def kl_normal(m1, s1, m2, s2):
    return Normal(m1, s1).divergence(Normal(m2, s2))


def reparameterized_normal(mean, std, eps):
    return Normal(mean, std).moved(eps)


def score_function_gradient(f, mean, std, n, generator=None):
    mean, std = mean.detach(), std.detach()
    eps = torch.randn((n, *mean.shape), dtype=mean.dtype, device=mean.device, generator=generator)
    return torch.einsum("n,n...->...", f(mean + std * eps).detach(), eps / std) / n
