"""einsum for every product, minus infinity for what is hidden, complex numbers for turning, broadcasting for groups."""

# It is appended to the solution, whose helpers it may use.

import torch
from torch import nn


def padding_mask(lengths, T):
    return torch.ones(len(lengths), T, dtype=torch.bool, device=lengths.device).cumsum(1) <= lengths.unsqueeze(1)


def causal_mask(T, past=0):
    return torch.arange(past + T)[None] <= torch.arange(past, past + T)[:, None]


def scaled_dot_product_attention(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q * q.shape[-1] ** -0.5, k)
    if mask is not None:
        nothing = ~mask.any(-1, keepdim=True)
        scores = torch.where(mask | nothing, scores, float("-inf"))  # a row of minus infinities would be NaN
        weights = torch.where(nothing, 0.0, torch.softmax(scores, -1))
    else:
        weights = torch.softmax(scores, -1)
    return torch.einsum("...ts,...se->...te", weights, v)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        if d_model % num_heads != 0:
            raise ValueError("d_model must be a multiple of num_heads")
        self.h = num_heads
        self.q_proj, self.k_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.v_proj, self.out_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

    def forward(self, query, key, value, mask=None):
        B, T, d = query.shape
        q = self.q_proj(query).view(B, T, self.h, d // self.h).permute(0, 2, 1, 3)
        k = self.k_proj(key).view(B, key.shape[1], self.h, d // self.h).permute(0, 2, 1, 3)
        v = self.v_proj(value).view(B, key.shape[1], self.h, d // self.h).permute(0, 2, 1, 3)
        if mask is not None:
            mask = mask.reshape(-1, 1, *mask.shape[-2:])
        out = scaled_dot_product_attention(q, k, v, mask)
        return self.out_proj(out.permute(0, 2, 1, 3).contiguous().view(B, T, d))


def self_attention_2d(x, w_q, w_k, w_v):
    N, C, H, W = x.shape
    flat = x.reshape(N, C, H * W)
    q, k, v = w_q @ flat, w_k @ flat, w_v @ flat
    weights = torch.einsum("ndt,nds->nts", q, k).div(len(w_q) ** 0.5).softmax(2)
    return torch.einsum("nts,nes->net", weights, v).reshape(N, len(w_v), H, W)


def sinusoidal_encoding(length, dim):
    table = torch.zeros(length, dim)
    step = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))
    angle = torch.outer(torch.arange(length, dtype=torch.float32), step)
    table[:, 0::2] = torch.sin(angle)
    table[:, 1::2] = torch.cos(angle[:, : dim // 2])
    return table


def rotary(x, start=0):
    if x.shape[-1] % 2 == 1:
        raise ValueError("the last axis has to be even")
    wide = x.double() if x.dtype == torch.float64 else x.float()
    points = torch.view_as_complex(wide.unflatten(-1, (-1, 2)).contiguous())
    D = x.shape[-1]
    step = 1 / 10000 ** (torch.arange(D // 2, dtype=torch.float64, device=x.device) * 2 / D)
    angle = torch.outer(torch.arange(x.shape[-2], dtype=torch.float64, device=x.device) + start, step)
    turn = torch.polar(torch.ones_like(angle), angle).to(points.dtype)
    return torch.view_as_real(points * turn).flatten(-2).to(x.dtype)


def grouped_query_attention(q, k, v, mask=None):
    B, H, T, D = q.shape
    G = k.shape[1]
    if H % G:
        raise ValueError("H must be a multiple of G")
    q = q.reshape(B, G, H // G, T, D)
    if mask is not None and mask.dim() == 4:
        mask = mask.expand(B, H, T, k.shape[2]).reshape(B, G, H // G, T, k.shape[2])
    return scaled_dot_product_attention(q, k[:, :, None], v[:, :, None], mask).reshape(B, H, T, D)


def attend_with_cache(q, k, v, cache=None):
    keys, values = (k, v) if cache is None else (torch.cat(pair, dim=-2) for pair in zip(cache, (k, v), strict=True))
    T, S = q.shape[-2], keys.shape[-2]
    mask = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(diagonal=S - T)
    return scaled_dot_product_attention(q, keys, values, mask), (keys, values)
