"""One-liners, tensors where others use dicts, and closures."""

import html
import re
import unicodedata
from collections import Counter
from functools import reduce

import torch
from torch import nn
from torch.nn import functional as F


def strip_tags(text):
    tag = re.compile(r"</?[a-z!][^>]*>", re.I)
    while tag.search(text):
        text = tag.sub("", text, count=1)
    return html.unescape(text)


def strip_accents(text):
    return re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFD", text))


def expand_contractions(text):
    both = {**WHOLE, **{word + "'s": word + " is" for word in IS}}
    pattern = "|".join(sorted(both, key=len, reverse=True)).replace("'", "['’]")
    text = re.sub(
        rf"(?<!\w)({pattern})(?!\w)",
        lambda m: m[0][0] + both[m[0].lower().replace("’", "'")][1:],
        text,
        flags=re.I,
    )
    return reduce(
        lambda t, pair: re.sub(rf"(?<=[^\W\d_]){pair[0].replace(chr(39), '[’' + chr(39) + ']')}(?!\w)", pair[1], t),
        ENDINGS.items(),
        text,
    )


def remove_special(text, remove_digits=False):
    keep = (lambda c: c.isalnum()) if not remove_digits else (lambda c: c.isalnum() and not c.isdigit())
    return "".join(c for c in text if keep(c) or c.isspace())


def remove_stopwords(tokens, stopwords=STOPWORDS):
    return [t for t in tokens if not any(t.lower() == word for word in stopwords)]


def build_vocab(tokens, min_freq=1, max_size=None):
    counts = Counter(tokens)
    words = sorted({t for t in tokens if counts[t] >= min_freq} - {PAD, UNK}, key=lambda t: (-counts[t], t))
    return {w: i for i, w in enumerate([PAD, UNK] + (words if max_size is None else words[:max_size]))}


def write_vocab(vocab, path):
    with open(path, "wb") as file:
        file.writelines(f"{w},{i}\n".encode() for i, w in sorted((i, w) for w, i in vocab.items()))


def read_vocab(path):
    with open(path, "rb") as file:
        return {m[1].decode(): int(m[2]) for m in re.finditer(rb"(.*),(\d+)\r?\n", file.read())}


def encode(tokens, vocab, max_len):
    ids = [vocab[t] if t in vocab else vocab[UNK] for t in tokens]
    return (ids + max_len * [vocab[PAD]])[:max_len]


class TextDataset(torch.utils.data.TensorDataset):
    def __init__(self, lines, vocab, max_len=None):
        rows = [(int(a), b.split()) for a, _, b in (line.partition(",") for line in lines if line.split())]
        width = max_len if max_len is not None else max([len(b) for _, b in rows] or [0])
        ids = torch.full((len(rows), width), vocab[PAD])
        for row, (_, b) in zip(ids, rows):
            row[: len(b)] = torch.tensor([vocab.get(t, vocab[UNK]) for t in b[:width]], dtype=torch.long)
        super().__init__(torch.tensor([a for a, _ in rows], dtype=torch.long), ids)


def bag_of_words(tokens, vocab):
    ids = torch.tensor([vocab[t] for t in tokens if t in vocab], dtype=torch.long)
    return torch.zeros(len(vocab), dtype=torch.long).scatter_add_(0, ids, torch.ones_like(ids))


def set_of_words(tokens, vocab):
    return (bag_of_words(tokens, vocab) > 0).long()


def tf_idf(docs, smooth=False, norm=None):
    assert_norm = {None: lambda t: t, "l2": lambda t: F.normalize(t, dim=1)}
    if norm not in assert_norm:
        raise ValueError("norm")
    words = sorted(set(sum(docs, [])))
    counts = torch.tensor([[doc.count(w) for w in words] for doc in docs]).reshape(len(docs), len(words)).float()
    n, df = len(docs), counts.sign().sum(0)
    idf = ((n + smooth) / (df + smooth)).log() + smooth
    lengths = torch.tensor([max(len(doc), 1) for doc in docs]).reshape(-1, 1)
    return assert_norm[norm](counts / lengths * idf)


def ngrams(tokens, n):
    runs, k = [], 0
    while k + n <= len(tokens):
        runs += [tuple(tokens[k : k + n])]
        k += 1
    return runs


class NGramLM:
    def __init__(self, n, alpha=1.0):
        self.n, self.alpha, self.table = n, alpha, None

    def _ids(self, words):
        return [self.ids.get(w, 1) for w in words]

    def fit(self, sentences):
        self.ids = {START: 0, UNK: 1, END: 2}
        for word in sum(sentences, []):
            self.ids.setdefault(word, len(self.ids))
        size = len(self.ids)
        self.table = torch.zeros([size] * self.n, dtype=torch.float64)
        for sentence in sentences:
            for run in ngrams(self._ids([START] * (self.n - 1) + sentence + [END]), self.n):
                self.table[run] += 1
        return self

    def prob(self, word, context):
        row = self.table[tuple(self._ids(context[len(context) - self.n + 1 :]))]
        row = (row + self.alpha)[1:]
        place = max(self._ids([word])[0], 1) - 1
        return float(row[place] / row.sum()) if row.sum() > 0 else 0.0

    def log_probs(self, sentence):
        words = [START] * (self.n - 1) + sentence + [END]
        found = torch.tensor(
            [self.prob(words[k], words[:k]) for k in range(self.n - 1, len(words))], dtype=torch.float64
        )
        return found.log().tolist()

    def log_prob(self, sentence):
        return float(torch.tensor(self.log_probs(sentence), dtype=torch.float64).sum())


def perplexity(log_probs, mask=None):
    values = torch.as_tensor(log_probs, dtype=torch.float64)
    keep = torch.ones_like(values, dtype=torch.bool) if mask is None else torch.as_tensor(mask)
    return float((-values.where(keep, 0.0).sum() / keep.sum()).exp())


class NeuralLM(nn.Module):
    def __init__(self, vocab_size, embed_dim=16, context_size=2, hidden_size=32, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.weights = nn.ParameterDict(
            {
                "embed": torch.randn(vocab_size, embed_dim),
                "hidden": torch.randn(hidden_size, context_size * embed_dim) * 0.1,
                "hidden_bias": torch.zeros(hidden_size),
                "out": torch.randn(vocab_size, hidden_size) * 0.1,
                "out_bias": torch.zeros(vocab_size),
            }
        )
        with torch.no_grad():
            self.weights["embed"][pad_id] = 0

    def forward(self, context):
        w = self.weights
        x = F.embedding(context, w["embed"], padding_idx=self.pad_id).reshape(len(context), -1)
        x = torch.tanh(F.linear(x, w["hidden"], w["hidden_bias"]))
        return F.linear(x, w["out"], w["out_bias"])

    def loss(self, context, target):
        picked = self(context).log_softmax(1).gather(1, target[:, None])[:, 0]
        keep = (target != self.pad_id).float()
        return -(picked * keep).sum() / keep.sum().clamp(min=1)
