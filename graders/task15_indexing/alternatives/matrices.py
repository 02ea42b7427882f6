"""Everything by products and sums where numbers allow it: one-hot rows, rotations of indices, a Fourier matrix."""

import torch


def one_hot(t, n):
    if (t >= n).any():
        raise IndexError("a class without a place")
    places = torch.arange(n, device=t.device).expand(*t.shape, n)
    return torch.eq(t[..., None], places).to(torch.int64)


def pick_labels(logits, target):
    return torch.gather(logits, dim=1, index=target.reshape(-1, 1)).reshape(-1)


def masked_fill_mean(x, mask):
    weights = (~mask).expand(x.shape).to(x.dtype)
    clean = torch.where(mask, torch.zeros_like(x), x)
    mean = (clean * weights).sum() / weights.sum()
    return clean * weights + mean * (1 - weights)


def patchify(img, p):
    channels, height, width = img.shape
    if height % p or width % p:
        raise RuntimeError("p does not divide the picture")
    bands = torch.stack(img.split(width, dim=2)).reshape(channels, height // p, p, width)
    return torch.einsum("crpkq->rkcpq", bands.unflatten(-1, (-1, p))).flatten(0, 1)


def unpatchify(patches, height, width):
    p = patches.shape[-1]
    if height % p or width % p:
        raise RuntimeError("p does not divide the picture")
    lattice = patches.unflatten(0, (height // p, width // p))
    return lattice.movedim(2, 0).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def hflip(x):
    return x[..., list(range(x.shape[-1]))[::-1]]


def fft_magnitude(x):
    n = torch.arange(x.shape[-1], dtype=torch.float64, device=x.device)
    angle = -2 * torch.pi * torch.outer(n, n) / len(n)
    z = x.to(torch.complex128) @ torch.polar(torch.ones_like(angle), angle)
    return z.abs().to(x.dtype)
