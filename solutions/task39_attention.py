"""Task 39: attention, the Transformer, and the masks of BERT.

A sentence is a row of vectors. Attention gives each of them a look at the others: a query asks, every key answers with
a score, a softmax makes weights of the scores, and the result is the weighted mean of the values. It has no order, no
window and no memory; masks say who may look at whom, and encodings of the position say who stands where. You write it
down once, build the Transformer of 2017 from it, and prepare texts as they are prepared for BERT.

Worked example: one query [2, 0], the keys [1, 0] and [0, 1], the values [10] and [20].

    scores     2·1 + 0·0 = 2 and 2·0 + 0·1 = 0, both divided by √2, since a key has 2 numbers: 1.4142 and 0
    weights    e^1.4142 : e^0 = 4.1133 : 1, which is 0.8044 and 0.1956
    result     0.8044·10 + 0.1956·20 = 11.956
    with the mask [False, True] the first key may not be looked at: weights 0 and 1, result 20
    with the mask [False, False] nothing may be looked at: weights 0 and 0, result 0

Conventions:

* B sentences of T tokens, each a vector of d_model numbers, are (B, T, d_model): the batch comes first. H heads of D
  numbers each are (B, H, T, D). Where queries and keys differ in number there are T queries and S keys. No axis is
  empty where nothing else is said.
* A mask is boolean, and True means: this query may look at this key. Row is query, column is key: (T, S). (PyTorch is
  of two minds: True means the same in F.scaled_dot_product_attention, and the opposite in nn.MultiheadAttention.)
* A masked key has exactly no influence, whatever finite numbers stand there. A query that may look at nothing gets
  zeros as its result, and all gradients stay finite there.
* Results have dtype and device of the tensors that are given, in half precision, too; gradients flow through them to
  all that is floating; what is given is not changed, whatever its layout in memory.
* Where names of parameters are told, they are fixed, so that weights can be copied; there are no other parameters, and
  nothing else in the state_dict. Linear layers have a bias and start as nn.Linear does.

Forbidden: PyTorch's own attention (``scaled_dot_product_attention`` of torch.nn.functional, ``nn.MultiheadAttention``
and its function, ``nn.Transformer`` and its layers). What is left is a matrix product and a softmax. ``softmax``,
``nn.Linear``, ``nn.LayerNorm``, ``nn.Dropout`` and ``nn.ModuleList`` are yours.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


def padding_mask(lengths: Tensor, T: int) -> Tensor:
    """Tell the tokens of each sentence from the padding behind them.

    Sentences of a batch are filled up to T tokens. The lengths [2, 3, 0] and T = 3 give the rows True True False,
    True True True and False False False. A length above T gives a full row.

    lengths: (B,), integers. Returns: (B, T), bool, True = token; on the device of ``lengths``.
    """
    # TODO: compare the places 0, 1, ..., T - 1 with each length.
    # BEGIN SOLUTION
    return torch.arange(T, device=lengths.device) < lengths[:, None]
    # END SOLUTION


def causal_mask(T: int, past: int = 0) -> Tensor:
    """Let each token look at itself and at all before it, so that none sees the future.

    ``past`` tokens were there already: query i, of T new ones, stands at place past + i and may look at the places
    0, ..., past + i of all past + T. T = 2 gives [[True, False], [True, True]]; T = 2 and past = 1 give
    [[True, True, False], [True, True, True]]. (With ``is_causal`` PyTorch would start at the top left corner, and the
    first new token would see the first old one alone.)

    Returns: (T, past + T), bool, True = may look; on the CPU, and a tensor of its own each time.
    """
    # TODO: compare the places of the keys with those of the queries.
    # BEGIN SOLUTION
    return torch.ones(T, past + T, dtype=torch.bool).tril(past)
    # END SOLUTION


def scaled_dot_product_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return softmax(q kᵀ / √D) v: for each query the mean of the values, weighted by how well their keys fit.

    The softmax runs over the keys: the weights of a query add up to 1. D is the number of entries of a query and of a
    key. The softmax does not overflow at scores beyond a thousand. With a mask the weights run over the keys that may
    be looked at; see above for queries that may look at none. A gradient is finite there, too: a NaN that is
    overwritten later can still come back in the gradient.

    q: (..., T, D), k: (..., S, D), v: (..., S, E), with the same leading axes, or none; E may differ from D.
    mask: bool, (T, S), or with leading axes that broadcast to (..., T, S); None: every query looks at every key.
    Returns: (..., T, E).
    """
    # TODO: scores, mask, softmax, and the weighted mean. Which number fits into float16 and still means "never"?
    # BEGIN SOLUTION
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (..., T, S)
    if mask is None:
        return scores.softmax(-1) @ v
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1).masked_fill(~mask, 0) @ v  # where all is masked the softmax is uniform
    # END SOLUTION


class MultiHeadAttention(nn.Module):
    """Attention in num_heads subspaces at once.

    Queries, keys and values go through a linear layer each. Of the d_model numbers that come out, head h takes those
    from h·D to (h + 1)·D, where D = d_model / num_heads, and attends by itself, with scores divided by √D. The results
    of the heads are put one behind the other again, in the same order, and go through one more linear layer.

    Parameters: the linear layers ``q_proj``, ``k_proj``, ``v_proj`` and ``out_proj``, all from d_model to d_model.
    MultiHeadAttention(512, 8) has 1,050,624 parameters. There is no dropout.
    Raises ValueError when d_model is no multiple of num_heads.
    """

    def __init__(self, d_model: int, num_heads: int) -> None:
        super().__init__()
        # TODO: refuse what does not divide, and make four linear layers.
        # BEGIN SOLUTION
        if d_model % num_heads:
            raise ValueError(f"{d_model} numbers cannot be shared among {num_heads} heads")
        self.num_heads = num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        # END SOLUTION

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """query: (B, T, d_model), key and value: (B, S, d_model). Returns (B, T, d_model).

        mask: bool, (T, S) for all sentences, (B, 1, S) for all queries of a sentence, or (B, T, S); always the same
        for all heads, also where there happen to be as many heads as sentences. Of a query that may look at nothing
        only the bias of ``out_proj`` is left.
        """
        # TODO: project, split into heads (B, H, T, D), attend, put the heads together, project.
        # BEGIN SOLUTION
        q = self.q_proj(query).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, T, D)
        k = self.k_proj(key).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, S, D)
        v = self.v_proj(value).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        if mask is not None and mask.dim() == 3:
            mask = mask.unsqueeze(1)  # (B, 1, T, S)
        heads = scaled_dot_product_attention(q, k, v, mask)  # (B, H, T, D)
        return self.out_proj(heads.transpose(1, 2).flatten(2))
        # END SOLUTION


def self_attention_2d(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    """Let every pixel of a map look at all pixels of it.

    The pixels are the tokens, their channels the vectors: a pixel with the channels p has the query w_q p, the key
    w_k p and the value w_v p. The scores are divided by √D. Nothing is added to the result: there is no bias and no
    shortcut.

    x: (N, C, H, W). w_q, w_k: (D, C), w_v: (E, C). Returns: (N, E, H, W), each pixel at its place.
    """
    # TODO: make a row of tokens of the map, attend, and make a map of the row again.
    # BEGIN SOLUTION
    tokens = x.flatten(2).transpose(1, 2)  # (N, H·W, C)
    found = scaled_dot_product_attention(tokens @ w_q.T, tokens @ w_k.T, tokens @ w_v.T)  # (N, H·W, E)
    return found.transpose(1, 2).unflatten(2, x.shape[2:])
    # END SOLUTION


def sinusoidal_encoding(length: int, dim: int) -> Tensor:
    """Give each place a vector of its own, made of waves of falling frequency.

    At place p, column 2i holds sin(p / 10000^(2i / dim)) and column 2i + 1 the cosine of the same angle; an odd dim
    ends in a sine. For dim = 4 place 1 has 0.8415 0.5403 0.0100 0.9999 (sine and cosine of 1, then of 0.01).

    Returns: (length, dim), float32, on the CPU, and a tensor of its own each time.
    """
    # TODO: one angle for each place and each pair of columns.
    # BEGIN SOLUTION
    column = torch.arange(dim)
    frequency = 10000.0 ** (-(column - column % 2) / dim)  # (dim,)
    angle = torch.arange(length)[:, None] * frequency
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())
    # END SOLUTION


def rotary(x: Tensor, start: int = 0) -> Tensor:
    """Turn queries or keys by their place, so that their scores depend on how far apart they stand.

    Each two neighbouring columns 2i and 2i + 1 are a point of the plane. In row t, which stands at the place
    p = start + t, the point (a, b) is turned by the angle p / 10000^(2i / D), to (a cos - b sin, a sin + b cos). So
    the row [1, 0] stays [1, 0] at place 0, and is [0.5403, 0.8415] at place 1. The product of a query at place p and a
    key at place p' then depends on p - p' alone. ``start`` is the number of tokens that were there before.

    x: (..., T, D), such as (B, H, T, D). Returns: the same shape. The angles are computed in float32 at least: at
    place 3001 they mean nothing in half precision; x itself loses no digits. Raises ValueError when D is odd.
    """
    # TODO: angles (T, D / 2), then turn the even and the odd columns together.
    # BEGIN SOLUTION
    T, D = x.shape[-2:]
    if D % 2:
        raise ValueError(f"{D} columns do not make pairs")
    wide = torch.promote_types(x.dtype, torch.float32)
    place = torch.arange(start, start + T, device=x.device, dtype=wide)
    angle = place[:, None] * 10000.0 ** (-torch.arange(0, D, 2, device=x.device, dtype=wide) / D)  # (T, D / 2)
    a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    turned = (a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos())
    return torch.stack(turned, -1).flatten(-2).to(x.dtype)
    # END SOLUTION


def grouped_query_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention with fewer heads for keys and values than for queries, which keeps a cache small.

    H query heads share G heads of keys and values in blocks of neighbours: with H = 6 and G = 2 the query heads
    0 1 2 look at head 0, and 3 4 5 at head 1. G = H is ordinary attention, G = 1 shares one head among all.

    q: (B, H, T, D), k and v: (B, G, S, D). mask: bool, (T, S), (B, 1, T, S) or (B, H, T, S), or None.
    Returns: (B, H, T, D). Raises ValueError when H is no multiple of G.
    """
    # TODO: give every query head its keys and values.
    # BEGIN SOLUTION
    shared, rest = divmod(q.shape[1], k.shape[1])
    if rest:
        raise ValueError(f"{q.shape[1]} query heads cannot share {k.shape[1]} heads of keys")
    k, v = (x.repeat_interleave(shared, dim=1) for x in (k, v))  # (B, H, S, D)
    return scaled_dot_product_attention(q, k, v, mask)
    # END SOLUTION


def attend_with_cache(
    q: Tensor, k: Tensor, v: Tensor, cache: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Causal attention for T new tokens, with the keys and values of the P tokens before them kept in a cache.

    A language model writes token by token. Keys and values of old tokens never change, since nobody sees the future;
    so they are kept, and only those of the new tokens are computed. A new token looks at all old tokens, at itself and
    at the new ones before it. Token by token, in pieces or at once: the results are the same.

    q, k, v: (B, H, T, D), of the new tokens; T may be 1. cache: a pair (keys, values), each (B, H, P, D), or None at
    the beginning. Returns: (result, (keys, values)): (B, H, T, D), and the new cache, each (B, H, P + T, D), with the
    new tokens behind the old ones. The cache that was given stays as it was.
    """
    # TODO: append, then attend with the right causal mask.
    # BEGIN SOLUTION
    past = 0
    if cache is not None:
        past = cache[0].shape[2]
        k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)  # (B, H, P + T, D)
    mask = causal_mask(q.shape[2], past).to(q.device)
    return scaled_dot_product_attention(q, k, v, mask), (k, v)
    # END SOLUTION


class EncoderLayer(nn.Module):
    """Self-attention, then two linear layers for each token; what goes in is added to what comes out, and normalised.

    The norm stands behind the sum, as in the paper of 2017 (post-norm):

        x = norm1(x + dropout(self_attn(x, x, x, mask)))
        x = norm2(x + dropout(linear2(dropout(relu(linear1(x))))))

    Parameters: ``self_attn``, a MultiHeadAttention that is called as above; ``linear1`` from d_model to d_ff and
    ``linear2`` back; ``norm1`` and ``norm2``, nn.LayerNorm. EncoderLayer(512, 8, 2048) has 3,152,384 parameters.
    Dropout acts in training mode only.
    """

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.1) -> None:
        super().__init__()
        # TODO: make the parts; one nn.Dropout can serve all three places.
        # BEGIN SOLUTION
        self.self_attn = MultiHeadAttention(d_model, num_heads)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        # END SOLUTION

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (B, T, d_model); mask as for MultiHeadAttention, with S = T. Returns (B, T, d_model)."""
        # TODO: two sums, two norms.
        # BEGIN SOLUTION
        x = self.norm1(x + self.dropout(self.self_attn(x, x, x, mask)))
        return self.norm2(x + self.dropout(self.linear2(self.dropout(self.linear1(x).relu()))))
        # END SOLUTION


class DecoderLayer(nn.Module):
    """Self-attention, attention to what the encoder made, then two linear layers for each token.

        x = norm1(x + dropout(self_attn(x, x, x, self_mask)))
        x = norm2(x + dropout(cross_attn(x, memory, memory, cross_mask)))
        x = norm3(x + dropout(linear2(dropout(relu(linear1(x))))))

    Parameters: as in EncoderLayer, and ``cross_attn``, another MultiHeadAttention that is called as above, and
    ``norm3``. DecoderLayer(512, 8, 2048) has 4,204,032 parameters. The layer makes no mask: who wants a causal one
    passes it.
    """

    def __init__(self, d_model: int, num_heads: int, d_ff: int, dropout: float = 0.1) -> None:
        super().__init__()
        # TODO: make the parts.
        # BEGIN SOLUTION
        self.self_attn = MultiHeadAttention(d_model, num_heads)
        self.cross_attn = MultiHeadAttention(d_model, num_heads)
        self.linear1 = nn.Linear(d_model, d_ff)
        self.linear2 = nn.Linear(d_ff, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        # END SOLUTION

    def forward(
        self, x: Tensor, memory: Tensor, self_mask: Tensor | None = None, cross_mask: Tensor | None = None
    ) -> Tensor:
        """x: (B, T, d_model), memory: (B, S, d_model). Returns (B, T, d_model).

        self_mask: (T, T), (B, 1, T) or (B, T, T); cross_mask: (T, S), (B, 1, S) or (B, T, S); None hides nothing.
        """
        # TODO: three sums, three norms.
        # BEGIN SOLUTION
        x = self.norm1(x + self.dropout(self.self_attn(x, x, x, self_mask)))
        x = self.norm2(x + self.dropout(self.cross_attn(x, memory, memory, cross_mask)))
        return self.norm3(x + self.dropout(self.linear2(self.dropout(self.linear1(x).relu()))))
        # END SOLUTION


class Transformer(nn.Module):
    """num_layers encoder layers, a norm; num_layers decoder layers, which all look at the encoder's result, a norm.

    It takes vectors, not ids: embeddings and positions were added before. It makes no mask: those that are given go
    unchanged to every layer, and None stays None.

    Parameters: ``encoder``, an nn.ModuleList of EncoderLayers, called as ``layer(x, mask)``; ``encoder_norm``;
    ``decoder``, an nn.ModuleList of DecoderLayers, called as ``layer(x, memory, self_mask, cross_mask)``;
    ``decoder_norm``. No two layers share parameters. Transformer() has 44,140,544 parameters.
    """

    def __init__(
        self, d_model: int = 512, num_heads: int = 8, num_layers: int = 6, d_ff: int = 2048, dropout: float = 0.1
    ) -> None:
        super().__init__()
        # TODO: make two lists of layers, and two norms.
        # BEGIN SOLUTION
        self.encoder = nn.ModuleList(EncoderLayer(d_model, num_heads, d_ff, dropout) for _ in range(num_layers))
        self.encoder_norm = nn.LayerNorm(d_model)
        self.decoder = nn.ModuleList(DecoderLayer(d_model, num_heads, d_ff, dropout) for _ in range(num_layers))
        self.decoder_norm = nn.LayerNorm(d_model)
        # END SOLUTION

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        """src: (B, S, d_model), tgt: (B, T, d_model). Returns (B, T, d_model).

        src_mask: who looks at whom in src; tgt_mask: in tgt; memory_mask: at which tokens of src those of tgt look.
        """
        # TODO: the encoder's layers in turn, its norm, the decoder's layers in turn, its norm.
        # BEGIN SOLUTION
        memory = src
        for layer in self.encoder:
            memory = layer(memory, src_mask)
        memory = self.encoder_norm(memory)
        for layer in self.decoder:
            tgt = layer(tgt, memory, tgt_mask, memory_mask)
        return self.decoder_norm(tgt)
        # END SOLUTION


def mask_tokens(
    ids: Tensor, special_ids: dict[str, int], vocab_size: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide some words of a text, as BERT has to guess them.

    15 % of the words are chosen at random, each by itself, wherever it stands; special tokens are never chosen. Of the
    chosen ones 80 % become ``special_ids["mask"]``, 10 % become a random word, and 10 % stay as they are: so BERT
    cannot rely on seeing the mask. A random word is any id of 0, ..., vocab_size - 1 that is not special, each as
    likely as the others; it may happen to be the old one. Labels are the old ids at the chosen places, and -100, which
    losses ignore, at all others.

    ids: int64, (B, T) or (T,), on the CPU. special_ids: such as {"pad": 0, "cls": 1, "sep": 2, "mask": 3}; there is
    always a "mask", and any other names, in any order.
    All chance comes from ``generator``: the same state gives the same result, and the next call another one.
    Returns: (inputs, labels), both int64 of the shape of ids.
    """
    # TODO: choose among the words; decide for each chosen one; labels first, before anything is overwritten.
    # BEGIN SOLUTION
    special = torch.tensor(list(special_ids.values()))
    everything = torch.arange(vocab_size)
    words = everything[~torch.isin(everything, special)]
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & ~torch.isin(ids, special)
    labels = ids.masked_fill(~chosen, -100)
    fate = torch.rand(ids.shape, generator=generator)
    drawn = words[torch.randint(len(words), ids.shape, generator=generator)]
    inputs = ids.masked_fill(chosen & (fate < 0.8), special_ids["mask"])
    return torch.where(chosen & (fate >= 0.9), drawn, inputs), labels
    # END SOLUTION


def make_nsp_pairs(docs: list[list[str]], generator: torch.Generator) -> list[tuple[str, str, bool]]:
    """Make pairs of sentences for the question whether the second follows the first.

    Every sentence that has a successor in its document is the first of one pair, in the order of the documents. In half
    of the pairs, chosen by chance (exactly half or a coin for each, as you like), the second is its successor, and the
    third entry is True. In the others it is a random sentence of another document, and the third entry is False; any
    sentence of any other document may be drawn, and none of the same document ever is.

    docs: a list of documents, each a list of sentences; a document with one sentence makes no pair, yet its sentence
    may be drawn, and an empty one does nothing. All chance comes from ``generator``: the same state gives the same
    pairs, and the next call others.
    Returns: a list of tuples (first, second, is_next), is_next a bool. Raises ValueError when a sentence has a
    successor, but no other document has any sentence.
    """
    # TODO: gather, for each document, the sentences of all others; then toss a coin for each sentence.
    # BEGIN SOLUTION
    pairs = []
    for number, doc in enumerate(docs):
        others = [sentence for place, other in enumerate(docs) if place != number for sentence in other]
        for first, following in pairwise(doc):
            if not others:
                raise ValueError("there is no other document to take a wrong sentence from")
            if torch.rand((), generator=generator) < 0.5:
                pairs.append((first, following, True))
            else:
                drawn = int(torch.randint(len(others), (), generator=generator))
                pairs.append((first, others[drawn], False))
    return pairs
    # END SOLUTION


if __name__ == "__main__":  # python exercises/task39_attention.py shows who looks at whom in a sentence of 6 tokens
    tokens = sinusoidal_encoding(6, 8)
    weights = scaled_dot_product_attention(tokens, tokens, torch.eye(6), causal_mask(6))
    for row in weights.tolist():
        print(" ".join(f"{weight:5.2f}" for weight in row))
