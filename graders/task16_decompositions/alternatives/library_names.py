"""The library's own names for each: norm, normalize, matrix_norm, pca_lowrank, kl of variances, torch.normal."""

import torch


def vector_norm(x, p=2):
    return torch.norm(x, p)


def nuclear_norm(m):
    return torch.linalg.matrix_norm(m, ord="nuc")


def cosine_similarity(a, b, eps=1e-8):
    def unit(v):
        return v / torch.linalg.vector_norm(v, dim=-1, keepdim=True).clamp(min=eps)

    return torch.einsum("...d,...d->...", unit(a), unit(b))


def pca(x, k):
    _, sizes, directions = torch.pca_lowrank(x, q=min(x.shape), center=True, niter=4)
    components = directions[:, :k].T
    scores = torch.matmul(x - x.mean(dim=0), components.T)
    return [components, scores, (sizes**2 / (sizes**2).sum())[:k]]


def low_rank(m, k):
    u, s, vh = torch.linalg.svd(m)
    s = torch.cat([s[:k], torch.zeros_like(s[k:])])
    return u[:, : len(s)] @ torch.diag(s) @ vh[: len(s)]


def lu_solve(a, b):
    return torch.linalg.inv(a) @ b


def kl_normal(m1, s1, m2, s2):
    v1, v2 = s1.pow(2), s2.pow(2)
    return 0.5 * (torch.log(v2) - torch.log(v1) + v1 / v2 + (m2 - m1).pow(2) / v2 - 1)


def reparameterized_normal(mean, std, eps):
    return torch.distributions.Normal(mean, std).loc + eps * std


def score_function_gradient(f, mean, std, n, generator=None):
    shape = (n, *mean.shape)
    with torch.no_grad():
        points = torch.normal(mean.expand(shape), std.expand(shape), generator=generator)
        prices = f(points)
    leaf = mean.detach().clone().requires_grad_()
    with torch.enable_grad():
        log_density = torch.distributions.Normal(leaf, std.detach()).log_prob(points)
        total = (log_density.reshape(n, -1).sum(1) * prices).mean()
        return torch.autograd.grad(total, leaf)[0]
