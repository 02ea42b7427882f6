"""Both layers made by one class, heads cut by chunk, one number that decides a word's fate, products in float32."""


def padding_mask(lengths: Tensor, T: int) -> Tensor:
    return lengths.long().unsqueeze(1).gt(torch.arange(T, device=lengths.device))


def _wide(*tensors: Tensor) -> list[Tensor]:
    return [t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors]


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    a, b, c = _wide(q, k, v)
    s = torch.einsum("...td,...sd->...ts", a, b) * q.shape[-1] ** -0.5
    if mask is None:
        w = s.softmax(-1)
    else:
        w = torch.where(mask, s, torch.finfo(s.dtype).min).softmax(-1)
        w = torch.where(mask, w, torch.zeros_like(w))
    return torch.einsum("...ts,...se->...te", w, c).to(q.dtype)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        if d_model % num_heads:
            raise ValueError(f"{d_model} is no multiple of {num_heads}")
        self.heads = num_heads
        for name in "qkv":
            setattr(self, name + "_proj", nn.Linear(d_model, d_model))
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        pairs = ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        q, k, v = (torch.stack(proj(x).chunk(self.heads, dim=-1), dim=1) for proj, x in pairs)
        mask = mask if mask is None else mask[(..., None, slice(None), slice(None))]
        return self.out_proj(torch.cat(scaled_dot_product_attention(q, k, v, mask).unbind(1), dim=-1))


def self_attention_2d(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    q, k, v = (torch.einsum("dc,nchw->nhwd", w, x).flatten(1, 2) for w in (w_q, w_k, w_v))
    return scaled_dot_product_attention(q, k, v).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def _angles(start: int, stop: int, dim: int) -> Tensor:
    i = torch.arange((dim + 1) // 2, dtype=torch.float64)
    return torch.outer(torch.arange(start, stop, dtype=torch.float64), 10000.0 ** (-2 * i / dim))


def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    w = _angles(0, length, dim)
    return torch.stack([w.sin(), w.cos()], -1).flatten(1)[:, :dim].float().contiguous()


def rotary(x: Tensor, start: int = 0) -> Tensor:
    if x.shape[-1] % 2:
        raise ValueError("odd number of columns")
    (wide,) = _wide(x)
    w = _angles(start, start + x.shape[-2], x.shape[-1]).to(x.device)
    points = torch.view_as_complex(wide.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(points * torch.polar(torch.ones_like(w), w).to(points.dtype)).flatten(-2).to(x.dtype)


def grouped_query_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    each, rest = divmod(q.shape[1], k.shape[1])
    if rest or not each:
        raise ValueError("no multiple")
    index = torch.arange(q.shape[1], device=q.device).div(each, rounding_mode="floor")
    return scaled_dot_product_attention(q, k[:, index], v[:, index], mask)


def attend_with_cache(q: Tensor, k: Tensor, v: Tensor, cache=None):
    new = (k, v) if cache is None else tuple(torch.cat(both, -2) for both in zip(cache, (k, v)))
    T, S = q.shape[-2], new[0].shape[-2]
    return scaled_dot_product_attention(q, *new, causal_mask(T, S - T).to(q.device)), new


class _Layer(nn.Module):
    attentions = ("self_attn",)

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.1) -> None:
        super().__init__()
        for name in self.attentions:
            self.add_module(name, MultiHeadAttention(d_model, num_heads))
        self.linear1, self.linear2 = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        for i in range(len(self.attentions) + 1):
            self.add_module(f"norm{i + 1}", nn.LayerNorm(d_model))
        self.p = dropout

    def drop(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, self.p, self.training)

    def feed(self, x: Tensor) -> Tensor:
        return x + self.drop(self.linear2(self.drop(self.linear1(x).relu())))


class EncoderLayer(_Layer):
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.norm2(self.feed(self.norm1(x + self.drop(self.self_attn(x, x, x, mask)))))


class DecoderLayer(_Layer):
    attentions = ("self_attn", "cross_attn")

    def forward(self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, cross_mask: Tensor | None = None):
        x = self.norm1(x + self.drop(self.self_attn(x, x, x, self_mask)))
        x = self.norm2(x + self.drop(self.cross_attn(x, memory, memory, cross_mask)))
        return self.norm3(self.feed(x))


class Transformer(nn.Module):
    def __init__(self, d_model=512, num_heads=8, num_layers=6, d_ff=2048, dropout=0.1) -> None:
        super().__init__()
        args = d_model, num_heads, d_ff, dropout
        self.encoder = nn.ModuleList(EncoderLayer(*args) for _ in range(num_layers))
        self.decoder = nn.ModuleList(DecoderLayer(*args) for _ in range(num_layers))
        self.encoder_norm, self.decoder_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)

    def forward(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None) -> Tensor:
        for layer in self.encoder:
            src = layer(src, src_mask)
        memory = self.encoder_norm(src)
        for layer in self.decoder:
            tgt = layer(tgt, memory, tgt_mask, memory_mask)
        return self.decoder_norm(tgt)


def mask_tokens(ids: Tensor, special_ids: dict[str, int], vocab_size: int, generator: torch.Generator):
    special = torch.tensor(sorted(set(special_ids.values())))
    word = ~torch.isin(ids, special)
    free = torch.arange(vocab_size)
    free = free[~torch.isin(free, special)]
    # one number decides: 12 % mask, 1.5 % another word, 1.5 % as it is, 85 % not chosen
    u = torch.rand(ids.shape, generator=generator, dtype=torch.float64)
    hit = word & (u < 0.15)
    swap = hit & (u >= 0.12) & (u < 0.135)
    inputs = ids.masked_fill(hit & (u < 0.12), special_ids["mask"])
    if free.numel():
        inputs = torch.where(swap, free[torch.randint(free.numel(), ids.shape, generator=generator)], inputs)
    return inputs, ids.masked_fill(~hit, -100)


def make_nsp_pairs(docs: list[list[str]], generator: torch.Generator) -> list[tuple[str, str, bool]]:
    firsts = [(d, s) for d, doc in enumerate(docs) for s in range(len(doc) - 1)]
    pool = {d: [x for e, doc in enumerate(docs) if e != d for x in doc] for d in {d for d, _ in firsts}}
    if not all(pool.values()):
        raise ValueError("a document stands alone")
    # exactly half of them, rounded down, are no successors
    false = set(torch.randperm(len(firsts), generator=generator)[: len(firsts) // 2].tolist())

    def second(n, d, s):
        if n in false:
            return pool[d][int(torch.randint(len(pool[d]), (1,), generator=generator))]
        return docs[d][s + 1]

    return [(docs[d][s], second(n, d, s), n not in false) for n, (d, s) in enumerate(firsts)]
