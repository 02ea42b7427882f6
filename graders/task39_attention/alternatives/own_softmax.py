"""A softmax of exponentials, functional dropout, layers that inherit, exactly half of the pairs, NumPy's chance."""

# It is appended to the solution, whose helpers it may use.

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def scaled_dot_product_attention(q, k, v, mask=None):
    scores = torch.matmul(q, k.mT) * (1 / q.size(-1) ** 0.5)
    if mask is None:
        mask = torch.ones((), dtype=torch.bool, device=q.device)
    lowest = torch.tensor(torch.finfo(q.dtype).min, dtype=q.dtype, device=q.device)
    scores = torch.where(mask, scores, lowest)
    weights = torch.exp(scores - scores.amax(-1, keepdim=True)) * mask
    total = weights.sum(-1, keepdim=True)
    return torch.matmul(weights / (total + (total == 0)), v)


class EncoderLayer(nn.Module):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.1):
        super().__init__()
        self.norm2, self.norm1 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.linear2, self.linear1 = nn.Linear(d_ff, d_model), nn.Linear(d_model, d_ff)
        self.self_attn = MultiHeadAttention(d_model, num_heads)
        self.p = dropout

    def drop(self, x):
        return F.dropout(x, self.p, training=self.training)

    def feed_forward(self, x):
        return self.drop(self.linear2(self.drop(F.relu(self.linear1(x)))))

    def forward(self, x, mask=None):
        attended = self.self_attn(query=x, key=x, value=x, mask=mask)
        x = self.norm1(torch.add(self.drop(attended), x))
        return self.norm2(self.feed_forward(x) + x)


class DecoderLayer(EncoderLayer):
    def __init__(self, d_model, num_heads, d_ff, dropout=0.1):
        super().__init__(d_model, num_heads, d_ff, dropout)
        self.cross_attn = MultiHeadAttention(d_model, num_heads)
        self.norm3 = nn.LayerNorm(d_model)

    def forward(self, x, memory, self_mask=None, cross_mask=None):
        x = self.norm1(x + self.drop(self.self_attn(x, x, x, mask=self_mask)))
        x = self.norm2(x + self.drop(self.cross_attn(x, memory, memory, mask=cross_mask)))
        return self.norm3(x + self.feed_forward(x))


class Transformer(nn.Module):
    def __init__(self, d_model=512, num_heads=8, num_layers=6, d_ff=2048, dropout=0.1):
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList([]), nn.ModuleList([])
        for _ in range(num_layers):
            self.encoder.append(EncoderLayer(d_model, num_heads, d_ff, dropout))
            self.decoder.append(DecoderLayer(d_model, num_heads, d_ff, dropout))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def encode(self, src, mask):
        for layer in self.encoder:
            src = layer(src, mask=mask)
        return self.encoder_norm(src)

    def forward(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None):
        memory = self.encode(src, src_mask)
        for layer in self.decoder:
            tgt = layer(tgt, memory, self_mask=tgt_mask, cross_mask=memory_mask)
        return self.decoder_norm(tgt)


def mask_tokens(ids, special_ids, vocab_size, generator):
    rng = np.random.default_rng(int(torch.randint(0, 2**31, (1,), generator=generator)))
    array = ids.numpy()
    special = list(special_ids.values())
    chosen = (rng.random(array.shape) < 0.15) & ~np.isin(array, special)
    inputs, labels = array.copy(), np.full_like(array, -100)
    labels[chosen] = array[chosen]
    kind = rng.choice(3, size=array.shape, p=[0.8, 0.1, 0.1])
    inputs[chosen & (kind == 0)] = special_ids["mask"]
    words = np.setdiff1d(np.arange(vocab_size), special)
    place = chosen & (kind == 1)
    inputs[place] = rng.choice(words, size=place.sum())
    return torch.from_numpy(inputs), torch.from_numpy(labels)


def make_nsp_pairs(docs, generator):
    rng = random.Random(int(torch.randint(0, 2**31, (1,), generator=generator)))
    firsts = [(d, s) for d, doc in enumerate(docs) for s in range(len(doc) - 1)]
    true = set(rng.sample(range(len(firsts)), (len(firsts) + rng.randrange(2)) // 2))
    pairs = []
    for n, (d, s) in enumerate(firsts):
        others = [sentence for doc in docs[:d] + docs[d + 1 :] for sentence in doc]
        if not others:
            raise ValueError("no other document")
        pairs.append((docs[d][s], docs[d][s + 1], True) if n in true else (docs[d][s], rng.choice(others), False))
    return pairs
