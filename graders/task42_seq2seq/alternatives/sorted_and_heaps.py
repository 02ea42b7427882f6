"""Sentences sorted by length and packed, a softmax by hand, generators, a heap for the beam, n-grams by zip."""

import functools
import heapq
import itertools
import math
import unicodedata
from collections import Counter

import torch
from torch import nn
from torch.nn.utils import rnn


def normalize_pair(line):
    source, target = itertools.islice(line.split("\t"), 2)
    return "".join(_letters(source)).strip(), "".join(_letters(target)).strip()


def _letters(text):
    """Characters with single blanks between words."""
    marks = dict(zip("。！？，", ".!?,", strict=True))
    before = "blank"
    for letter in unicodedata.normalize("NFD", text.lower()):
        letter = marks.get(letter, letter)
        if unicodedata.category(letter) == "Mn":
            continue
        alone = letter in ".!?," or "\u4e00" <= letter <= "\u9fff"
        if alone:
            yield letter if before == "blank" else f" {letter}"
            before = "alone"
        elif letter.isalnum():
            yield f" {letter}" if before in ("alone", "gap") else letter
            before = "letter"
        elif before != "blank":
            before = "gap"


class Encoder(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_size, pad_id=0):
        super().__init__()
        self.pad = pad_id
        self.words = nn.Embedding(vocab_size, embed_dim, pad_id)
        self.reader = nn.GRU(embed_dim, hidden_size)

    def forward(self, src):
        lengths = torch.tensor([sum(token != self.pad for token in row) for row in src.tolist()])
        lengths, order = lengths.sort(descending=True)
        order = order.to(src.device)
        packed = rnn.pack_padded_sequence(self.words(src[order]).swapaxes(0, 1), lengths)
        states, last = self.reader(packed)
        states, _ = rnn.pad_packed_sequence(states, total_length=src.size(1))
        back = order.argsort()
        return states.swapaxes(0, 1)[back], last[:, back]


class Attention(nn.Module):
    def __init__(self, hidden_size, kind="additive"):
        super().__init__()
        scores = {"dot": _Product, "additive": _Sum}
        if kind not in scores:
            raise ValueError(f"there is no attention {kind}")
        self.score = scores[kind](hidden_size)

    def forward(self, query, keys, mask):
        scores = self.score(query.unsqueeze(1), keys)
        highest = torch.where(mask, scores, -torch.inf).amax(1, keepdim=True)
        powers = torch.where(mask, scores - highest, -torch.inf).exp()
        weights = powers / powers.sum(1, keepdim=True)
        return torch.einsum("bs,bsh->bh", weights, keys), weights


class _Product(nn.Module):
    def __init__(self, _):
        super().__init__()

    def forward(self, query, keys):
        return torch.matmul(keys, query.transpose(1, 2)).squeeze(2)


class _Sum(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.of_query, self.of_keys = nn.Linear(size, size, False), nn.Linear(size, size, False)
        self.all = nn.Linear(size, 1, False)

    def forward(self, query, keys):
        return self.all((self.of_query(query) + self.of_keys(keys)).tanh()).squeeze(2)


class Decoder(nn.Module):
    def __init__(self, vocab_size, embed_dim, hidden_size, attention, pad_id=0):
        super().__init__()
        self.words = nn.Embedding(vocab_size, embed_dim, pad_id)
        self.writer = nn.GRU(embed_dim + hidden_size, hidden_size)
        self.attention = attention
        self.scores = nn.Linear(hidden_size, vocab_size)

    def forward(self, token, hidden, keys, mask):
        context, weights = self.attention(hidden.squeeze(0), keys, mask)
        _, hidden = self.writer(torch.hstack((self.words(token), context)).unsqueeze(0), hidden)
        return self.scores(hidden.squeeze(0)), hidden, weights


class Seq2Seq(nn.Module):
    def __init__(self, encoder, decoder, sos_id=1, eos_id=2, pad_id=0):
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.sos_id = sos_id
        self.eos_id = eos_id
        self.pad_id = pad_id

    def forward(self, src, tgt, teacher_forcing=1.0):
        keys, hidden = self.encoder(src)
        return torch.stack(list(self._steps(src, tgt, keys, hidden, teacher_forcing)), dim=1)

    def _steps(self, src, tgt, keys, hidden, teacher_forcing):
        guess = None
        for right in tgt.unbind(1)[:-1]:
            own = guess is not None and not bool(torch.bernoulli(torch.tensor(float(teacher_forcing))))
            logits, hidden, _ = self.decoder(guess if own else right, hidden, keys, src.ne(self.pad_id))
            guess = logits.detach().topk(1).indices.squeeze(1)
            yield logits


def masked_cross_entropy(logits, target, pad_id=0):
    counted = target.ne(pad_id)
    each = logits.log_softmax(-1).gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return -torch.where(counted, each, 0.0).sum() / max(int(counted.sum()), 1)


def train_step(model, optimizer, src, tgt, teacher_forcing=1.0):
    for parameter in model.parameters():
        parameter.grad = None
    model.train(True)
    loss = masked_cross_entropy(model.forward(src, tgt, teacher_forcing), tgt[:, 1:], pad_id=model.pad_id)
    loss.backward()
    optimizer.step()
    return loss.detach().item()


def _measuring(function):
    """In evaluation mode and without gradients."""

    @functools.wraps(function)
    def wrapped(model, *args):
        mode = model.training
        try:
            with torch.inference_mode():
                return function(model.eval(), *args)
        finally:
            model.train(mode)

    return wrapped


@_measuring
def greedy_decode(model, src, max_len):
    return [list(itertools.islice(_written(model, row.unsqueeze(0)), max_len)) for row in src]


def _written(model, row):
    """The tokens of one sentence, up to its EOS, however many."""
    keys, hidden = model.encoder(row)
    token = torch.tensor([model.sos_id], device=row.device)
    while True:
        logits, hidden, _ = model.decoder(token, hidden, keys, row != model.pad_id)
        token = logits.argmax(-1)
        if int(token) == model.eos_id:
            return
        yield int(token)


def token_accuracy(model, src, tgt):
    steps = tgt.shape[1] - 1
    marks = []
    for ids, row in zip(greedy_decode(model, src, steps), tgt[:, 1:].tolist(), strict=True):
        ids = (*ids, model.eos_id)
        marks += [k < len(ids) and ids[k] == token for k, token in enumerate(row) if token != model.pad_id]
    return marks.count(True) / len(marks)


@_measuring
def beam_search(model, src, beam_size, max_len):
    found = []
    for row in src:
        keys, hidden = model.encoder(row.unsqueeze(0))
        ids, score = _searched(model, row.unsqueeze(0), keys, [((), 0.0, hidden)], beam_size, max_len)
        found.append(([token for token in ids if token != model.eos_id], score))
    return found


def _searched(model, row, keys, beam, beam_size, steps):
    """One step, and the rest of them."""
    if steps == 0 or all(model.eos_id in ids for ids, _, _ in beam):
        return beam[0][:2]
    grown = []
    for ids, score, hidden in beam:
        if model.eos_id in ids:
            grown.append((ids, score, hidden))
            continue
        last = torch.tensor((model.sos_id, *ids)[-1:], device=row.device)
        logits, state, _ = model.decoder(last, hidden, keys, row != model.pad_id)
        logs = logits.squeeze(0) - logits.logsumexp(1)
        grown.extend(((*ids, token), score + float(log), state) for token, log in enumerate(logs))
    best = heapq.nlargest(beam_size, grown, key=lambda one: one[1])
    return _searched(model, row, keys, best, beam_size, steps - 1)


def bleu(candidate, references, max_n=4, smooth=False):
    many = len(candidate) > 0 and not isinstance(candidate[0], str)
    pairs = list(zip(candidate, references, strict=True)) if many else [(candidate, references)]
    written = sum(len(words) for words, _ in pairs)
    right = sum(len(min(rights, key=lambda one: (abs(len(one) - len(words)), len(one)))) for words, rights in pairs)
    product = 1.0
    for n in range(1, max_n + 1):
        hits = sum(_clipped(words, rights, n) for words, rights in pairs)
        count = sum(max(len(words) - n + 1, 0) for words, _ in pairs)
        if n == 1 and hits == 0:
            return 0.0
        if smooth and n > 1:
            hits, count = hits + 1, count + 1
        if hits == 0:
            return 0.0
        product *= hits / count
    return math.exp(min(0.0, 1 - right / written)) * product ** (1 / max_n)


def _clipped(words, rights, n):
    counts = [Counter(zip(*(one[k:] for k in range(n)), strict=False)) for one in (words, *rights)]
    return (counts[0] & functools.reduce(Counter.__or__, counts[1:])).total()
