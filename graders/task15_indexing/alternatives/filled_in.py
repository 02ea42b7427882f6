"""Make room first, then fill it in: empty tensors, scatter, masked_scatter, slices."""

import torch


def select_where(cond, a, b):
    shape = torch.broadcast_shapes(cond.shape, a.shape, b.shape)
    dtype = torch.result_type(a, b)
    chosen, other = a.to(dtype).expand(shape), b.to(dtype).expand(shape)
    mask = cond.expand(shape)
    return other.masked_scatter(mask, chosen.masked_select(mask))


def gather_rows(x, index):
    return torch.take_along_dim(x[:, : index.size(1)], index, dim=0)


def pick_labels(logits, target):
    return torch.take(logits, torch.arange(target.numel(), device=target.device) * logits.size(1) + target)


def one_hot(t, n):
    zeros = torch.zeros(t.size() + (n,), dtype=torch.long, device=t.device)
    return zeros.scatter(-1, t.unsqueeze(-1), 1)


def masked_fill_mean(x, mask):
    kept = x.masked_fill(mask, 0)
    count = x.numel() - mask.expand(x.size()).sum()
    mean = (kept.double().sum() / count).to(x.dtype)
    return kept + mask.to(x.dtype) * mean


def join(tensors, dim=0):
    first = tensors[0]
    axis = dim if dim >= 0 else dim + first.dim()
    shape = list(first.shape)
    shape[axis] = sum(t.shape[axis] for t in tensors)
    out = torch.zeros(shape, dtype=first.dtype, device=first.device)
    at = 0
    for t in tensors:
        if t.shape[:axis] != first.shape[:axis] or t.shape[axis + 1 :] != first.shape[axis + 1 :]:
            raise ValueError("the shapes do not fit")
        out.narrow(axis, at, t.shape[axis]).copy_(t)
        at += t.shape[axis]
    return out


def pile(tensors, dim=0):
    shape = tensors[0].shape
    for t in tensors:
        if t.shape != shape:
            raise ValueError("the shapes differ")
    out = tensors[0].new_empty((len(tensors), *shape))
    for n, t in enumerate(tensors):
        out[n] = t
    return out.movedim(0, dim)


def split_sizes(x, sizes, dim=0):
    if isinstance(sizes, int):
        whole, rest = divmod(x.size(dim), sizes)
        sizes = whole * [sizes] + ([rest] if rest else [])
    if sum(sizes) != x.size(dim):
        raise ValueError("the lengths do not fill the axis")
    pieces, start = [], 0
    for size in sizes:
        pieces.append(x.narrow(dim, start, size))
        start = start + size
    return pieces


def split_evenly(x, n, dim=0):
    turned = x.movedim(dim, 0)
    edges = [0]
    for piece in range(n):
        edges.append(edges[-1] + (x.size(dim) - edges[-1] + n - piece - 1) // (n - piece))
    return [turned[a:b].movedim(0, dim) for a, b in zip(edges[:-1], edges[1:])]


def unpatchify(patches, height, width):
    count, channels, p, _ = patches.shape
    if height // p * p != height or width // p * p != width or count != height // p * (width // p):
        raise ValueError("the patches do not make such a picture")
    return torch.einsum("hwcij->chiwj", patches.reshape(height // p, -1, channels, p, p)).reshape(-1, height, width)


def rotate90(x, k):
    for _ in range(k % 4):
        x = x.transpose(-1, -2).flip(-2)
    return x


def hflip(x):
    return torch.fliplr(x) if x.ndim == 2 else x.flip(dims=[x.ndim - 1])


def fft_magnitude(x):
    half = torch.fft.rfft(x).abs()
    mirrored = half[..., 1 : (x.shape[-1] + 1) // 2].flip(-1)
    return torch.cat([half, mirrored], dim=-1)
