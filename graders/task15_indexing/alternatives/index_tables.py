"""Tables of places: what stands where is computed first, and one index picks everything."""

import torch


def select_where(cond, a, b):
    dtype = torch.result_type(a, b)
    cond, a, b = torch.broadcast_tensors(cond, a.to(dtype), b.to(dtype))
    out = b.clone()
    out[cond] = a[cond]
    return out


def gather_rows(x, index):
    return x[index, torch.arange(index.shape[1])]


def pick_labels(logits, target):
    return logits[range(len(target)), target]


def one_hot(t, n):
    return torch.eye(n, dtype=torch.int64, device=t.device)[t]


def masked_fill_mean(x, mask):
    out = x.clone()
    mask = mask.expand_as(x)
    out[mask] = x[mask.logical_not()].mean()
    return out


def pile(tensors, dim=0):
    return torch.cat([t.unsqueeze(dim) for t in tensors], dim)


def join(tensors, dim=0):
    return torch.concatenate(tuple(tensors), dim=dim)


def windows(x, size, step):
    if size > x.shape[-1]:
        raise IndexError("the window is longer than the axis")
    places = torch.arange(0, x.shape[-1] - size + 1, step, device=x.device)[:, None]
    return x[..., places + torch.arange(size, device=x.device)]


def patchify(img, p):
    C, H, W = img.shape
    assert H % p == 0
    assert W % p == 0
    patch = torch.arange(H // p * (W // p)).view(-1, 1, 1)
    rows = patch // (W // p) * p + torch.arange(p).view(1, -1, 1)
    columns = patch % (W // p) * p + torch.arange(p).view(1, 1, -1)
    return img[:, rows, columns].transpose(0, 1)


def unpatchify(patches, height, width):
    p = patches.shape[2]
    if height % p != 0 or width % p != 0 or patches.shape[0] * p * p != height * width:
        raise AssertionError("the patches do not make such a picture")
    i = torch.arange(height)[:, None]
    j = torch.arange(width)
    return patches[i // p * (width // p) + j // p, :, i % p, j % p].permute(2, 0, 1)


def rotate90(x, k):
    height, width = x.shape[-2:]
    row, column = torch.arange(height), torch.arange(width)
    if k % 4 == 1:
        return x[..., row, column.flip(0)[:, None]]
    if k % 4 == 2:
        return x[..., row.flip(0)[:, None], column.flip(0)]
    if k % 4 == 3:
        return x[..., row.flip(0), column[:, None]]
    return x


def hflip(x):
    return x.index_select(x.ndim - 1, torch.arange(x.shape[-1] - 1, -1, -1, device=x.device))
