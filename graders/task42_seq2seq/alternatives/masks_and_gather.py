"""No packing: states are gathered and masked. Matrix products, a beam of tensors, greedy by the model's forward."""

import re
import unicodedata
from fractions import Fraction

import torch
from torch import nn
from torch.nn import functional as F


def normalize_pair(line):
    first, second, *_ = line.split("\t")
    sides = []
    for side in (first, second):
        side = unicodedata.normalize("NFD", side.lower())
        side = side.translate({ord(c): None for c in set(side) if unicodedata.category(c) == "Mn"})
        for chinese, plain in zip("。！？，", ".!?,"):
            side = side.replace(chinese, plain)
        sides.append(" ".join(re.findall(r"[.!?,\u4e00-\u9fff]|[^\W_\u4e00-\u9fff]+", side)))
    return tuple(sides)


class Encoder(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_size, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.gru = nn.GRU(embed_dim, hidden_size)
        self.table = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)

    def forward(self, src):
        states, _ = self.gru(self.table(src.t()))
        states = states.transpose(0, 1)
        used = src.ne(self.pad_id)
        last = used.long().sum(1) - 1
        hidden = states[torch.arange(len(src), device=src.device), last]
        return states * used.unsqueeze(-1), hidden[None]


class Attention(nn.Module):
    def __init__(self, hidden_size, kind="additive"):
        super().__init__()
        if kind not in {"dot", "additive"}:
            raise ValueError(kind)
        self.matrices = nn.ParameterList()
        if kind == "additive":
            bound = hidden_size**-0.5
            for shape in ((hidden_size, hidden_size), (hidden_size, hidden_size), (1, hidden_size)):
                self.matrices.append(nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def forward(self, query, keys, mask):
        if len(self.matrices):
            w, u, v = self.matrices
            energy = torch.tanh((query @ w.T).unsqueeze(1) + torch.einsum("bsh,gh->bsg", keys, u))
            scores = torch.einsum("bsg,og->bs", energy, v)
        else:
            scores = torch.bmm(keys, query.unsqueeze(-1)).squeeze(-1)
        scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights.unsqueeze(1), keys).squeeze(1), weights


class Decoder(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_size, attention, pad_id=0):
        super().__init__()
        self.table = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.look = attention
        self.gru = nn.GRU(embed_dim + hidden_size, hidden_size)
        self.head = nn.Linear(hidden_size, vocab_size)

    def forward(self, token, hidden, keys, mask):
        context, weights = self.look(hidden[0], keys, mask)
        out, hidden = self.gru(torch.cat([self.table(token), context], -1).unsqueeze(0), hidden)
        return self.head(out.squeeze(0)), hidden, weights


class Seq2Seq(nn.Module):
    def __init__(self, encoder, decoder, sos_id=1, eos_id=2, pad_id=0):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.sos_id, self.eos_id, self.pad_id = sos_id, eos_id, pad_id

    def forward(self, src, tgt, teacher_forcing=1.0):
        keys, hidden = self.encoder(src)
        mask, steps = src != self.pad_id, tgt.size(1) - 1
        forced = torch.rand(steps) < teacher_forcing
        logits = []
        for t in range(steps):
            token = tgt[:, t] if t == 0 or forced[t] else logits[-1].max(dim=1).indices
            now, hidden, _ = self.decoder(token, hidden, keys, mask)
            logits.append(now)
        return torch.cat([now.unsqueeze(1) for now in logits], 1)


def masked_cross_entropy(logits, target, pad_id=0):
    keep = target != pad_id
    if not keep.any():
        return logits.sum() * 0.0
    return F.cross_entropy(logits[keep], target[keep])


def train_step(model, optimizer, src, tgt, teacher_forcing=1.0):
    model.train()
    logits = model(src, tgt, teacher_forcing=teacher_forcing)
    loss = masked_cross_entropy(logits, tgt[:, 1:], model.pad_id)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach().cpu().item()


class _Measured:
    def __init__(self, model):
        self.model, self.training = model, model.training

    def __enter__(self):
        self.model.eval()
        self.grad = torch.is_grad_enabled()
        torch.set_grad_enabled(False)

    def __exit__(self, *_):
        torch.set_grad_enabled(self.grad)
        self.model.train(self.training)


def greedy_decode(model, src, max_len):
    with _Measured(model):
        written = torch.full((len(src), 1), model.sos_id, dtype=torch.long, device=src.device)
        for _ in range(max_len):
            padded = F.pad(written, (0, 1), value=model.pad_id)
            token = model(src, padded, 1.0)[:, -1].argmax(-1)
            written = torch.cat([written, token[:, None]], 1)
    found = []
    for row in written[:, 1:].tolist():
        while model.eos_id in row:
            row = row[: row.index(model.eos_id)]
        found.append(row)
    return found


def token_accuracy(model, src, tgt):
    wanted = tgt[:, 1:]
    written = torch.full_like(wanted, -1)
    for row, ids in zip(written, greedy_decode(model, src, wanted.size(1))):
        ids = (ids + [model.eos_id])[: wanted.size(1)]
        row[: len(ids)] = torch.tensor(ids)
    keep = wanted != model.pad_id
    return ((written == wanted) & keep).sum().item() / keep.sum().item()


def beam_search(model, src, beam_size, max_len):
    with _Measured(model):
        return [_searched(model, sentence.unsqueeze(0), beam_size, max_len) for sentence in src]


def _searched(model, sentence, beam_size, max_len):
    keys, hidden = model.encoder(sentence)
    ids = torch.full((1, 1), model.sos_id)
    scores, ended = torch.zeros(1), torch.zeros(1, dtype=torch.bool)
    for _ in range(max_len):
        width = len(ids)
        logits, hidden, _ = model.decoder(
            ids[:, -1], hidden, keys.expand(width, -1, -1), (sentence != model.pad_id).expand(width, -1)
        )
        logs = logits.log_softmax(-1)
        stay = torch.full_like(logs, float("-inf"))
        stay[:, model.eos_id] = 0
        logs = torch.where(ended[:, None], stay, logs)
        total = (scores[:, None] + logs).flatten()
        total, places = total.topk(min(beam_size, int(total.isfinite().sum())))
        rows, tokens = places // logs.size(1), places % logs.size(1)
        ids = torch.cat([ids[rows], tokens[:, None]], 1)
        scores, hidden = total, hidden[:, rows]
        ended = ended[rows] | (tokens == model.eos_id)
        if ended.all():
            break
    best = ids[0, 1:].tolist()
    return (best[: best.index(model.eos_id)] if model.eos_id in best else best), scores[0].item()


def bleu(candidate, references, max_n=4, smooth=False):
    if not candidate or isinstance(candidate[0], str):
        candidate, references = [candidate], [references]
    precisions = []
    for n in range(1, max_n + 1):
        top = bottom = 0
        for words, rights in zip(candidate, references):
            own = _grams(words, n)
            bottom += len(own)
            top += sum(min(own.count(g), max(_grams(right, n).count(g) for right in rights)) for g in set(own))
        if n > 1 and smooth:
            top, bottom = top + 1, bottom + 1
        precisions.append(Fraction(top, bottom) if bottom else Fraction(0))
    if precisions[0] == 0 or 0 in precisions:
        return 0.0
    c = sum(len(words) for words in candidate)
    r = sum(
        sorted((len(right) for right in rights), key=lambda n: (abs(n - len(words)), n))[0]
        for words, rights in zip(candidate, references)
    )
    logs = torch.tensor([float(p) for p in precisions], dtype=torch.float64).log().mean()
    return float(torch.exp(min(0.0, 1 - r / c) + logs))


def _grams(words, n):
    return [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
