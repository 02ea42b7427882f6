"""The standard library to the full: an HTML parser, itertools, defaultdict, pathlib, NumPy, pad_sequence."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from html.parser import HTMLParser
from itertools import islice, takewhile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset


class _Text(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)


def strip_tags(text):
    parser = _Text()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts)


def strip_accents(text):
    def bare(letter):
        marks = unicodedata.normalize("NFD", letter)
        return "".join(filter(lambda c: unicodedata.category(c) != "Mn", marks))

    return "".join(map(bare, text))


def expand_contractions(text):
    def replaced(match):
        word = match[0].replace("’", "'")
        low = word.lower()
        if low in WHOLE:
            full = WHOLE[low]
            return full.capitalize() if word[0].isupper() else full
        for ending, full in {**ENDINGS, **({"'s": " is"} if low[:-2] in IS else {})}.items():
            if re.search(r"[^\W\d_]" + ending + "$", word):
                return match[0][: -len(ending)] + full
        return match[0]

    return re.sub(r"\w[\w'’]*['’]\w+", replaced, text)


def remove_special(text, remove_digits=False):
    return re.sub(r"[^\w\s]|_" + (r"|\d" if remove_digits else ""), "", text)


def remove_stopwords(tokens, stopwords=STOPWORDS):
    stopwords = set(stopwords)
    return list(filter(lambda token: token.casefold() not in stopwords, tokens))


def build_vocab(tokens, min_freq=1, max_size=None):
    counts = Counter(sorted(set(tokens) - {PAD, UNK}))
    counts.update(token for token in tokens if token in counts)
    common = takewhile(lambda pair: pair[1] - 1 >= min_freq, counts.most_common())
    words = [PAD, UNK, *(word for word, _ in islice(common, max_size))]
    return dict(zip(words, range(len(words)), strict=True))


def write_vocab(vocab, path):
    rows = sorted(vocab, key=vocab.__getitem__)
    Path(path).write_text("".join(f"{word},{vocab[word]}\n" for word in rows), encoding="utf-8")


def read_vocab(path):
    rows = Path(path).read_text("utf-8").splitlines()
    return {word: int(number) for word, number in (row.rsplit(",", 1) for row in rows)}


def encode(tokens, vocab, max_len):
    lookup = defaultdict(lambda: vocab[UNK], vocab)
    padded = list(tokens) + [PAD] * max(0, max_len - len(tokens))
    return [lookup[token] for token in padded[:max_len]]


class TextDataset(Dataset):
    def __init__(self, lines, vocab, max_len=None):
        matches = [re.fullmatch(r"\s*(\d+),(.*)", line.rstrip("\n")) for line in lines if not line.isspace() and line]
        self.labels = torch.tensor([int(match[1]) for match in matches], dtype=torch.int64)
        rows = [
            torch.tensor(encode(match[2].split(), vocab, len(match[2].split())), dtype=torch.int64) for match in matches
        ]
        if max_len is not None:
            rows = [row[:max_len] for row in rows] + [torch.zeros(max_len, dtype=torch.int64)]
        else:
            rows.append(torch.zeros(0, dtype=torch.int64))
        self.ids = pad_sequence(rows, batch_first=True, padding_value=vocab[PAD])

    def __len__(self):
        return self.labels.numel()

    def __getitem__(self, index):
        return self.labels[index], self.ids[index]


def bag_of_words(tokens, vocab):
    ids = np.array([vocab[token] for token in tokens if token in vocab], dtype=np.int64)
    return torch.from_numpy(np.bincount(ids, minlength=len(vocab)))


def set_of_words(tokens, vocab):
    marks = torch.zeros(len(vocab), dtype=torch.int64)
    marks[[vocab[token] for token in set(tokens) & set(vocab)]] = 1
    return marks


def tf_idf(docs, smooth=False, norm=None):
    if norm not in {None, "l2"}:
        raise ValueError(norm)
    columns = {word: place for place, word in enumerate(sorted(set().union(*docs)))}
    tf = np.zeros((len(docs), len(columns)))
    for row, doc in enumerate(docs):
        for word, count in Counter(doc).items():
            tf[row, columns[word]] = count / len(doc)
    df = np.count_nonzero(tf, axis=0)
    idf = np.log((1 + len(docs)) / (1 + df)) + 1 if smooth else np.log(len(docs) / df)
    table = tf * idf
    if norm:
        length = np.linalg.norm(table, axis=1, keepdims=True)
        table = np.divide(table, length, out=np.zeros_like(table), where=length > 0)
    return torch.tensor(table, dtype=torch.float32)


def ngrams(tokens, n):
    return list(zip(*(tokens[k:] for k in range(n))))


class NGramLM:
    def __init__(self, n, alpha=1.0):
        self.n, self.alpha = n, alpha

    def fit(self, sentences):
        self.counts = defaultdict(Counter)
        self.words = {UNK, END} | {word for sentence in sentences for word in sentence}
        for sentence in sentences:
            for *context, word in ngrams((START,) * (self.n - 1) + tuple(sentence) + (END,), self.n):
                self.counts[tuple(context)][word] += 1
        return self

    def prob(self, word, context):
        words = self.words | {START}
        context = tuple(w if w in words else UNK for w in tuple(context)[len(context) - (self.n - 1) :])
        counter = self.counts.get(context, Counter())
        try:
            word = word if word in self.words else UNK
            return (counter[word] + self.alpha) / (counter.total() + self.alpha * len(self.words))
        except ZeroDivisionError:
            return 0.0

    def log_probs(self, sentence):
        marked = [START] * (self.n - 1) + sentence + [END]
        probs = [self.prob(marked[k], marked[:k]) for k in range(self.n - 1, len(marked))]
        with np.errstate(divide="ignore"):
            return np.log(np.array(probs)).tolist()

    def log_prob(self, sentence):
        return math.fsum(self.log_probs(sentence))


def perplexity(log_probs, mask=None):
    values = np.asarray(log_probs, dtype=np.float64)
    values = values if mask is None else values[np.asarray(mask, dtype=bool)]
    return float(np.exp(-values.mean()))


class NeuralLM(nn.Module):
    def __init__(self, vocab_size, embed_dim=16, context_size=2, hidden_size=32, pad_id=0):
        super().__init__()
        self.criterion = nn.CrossEntropyLoss(ignore_index=pad_id)
        self.pad_id, self.context_size, self.embed_dim = pad_id, context_size, embed_dim
        self.output = nn.Linear(hidden_size, vocab_size)
        self.hidden = nn.Linear(context_size * embed_dim, hidden_size)
        self.table = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)

    def forward(self, context):
        words = [self.table(context[:, k]) for k in range(self.context_size)]
        return self.output(self.hidden(torch.cat(words, dim=-1)).tanh())

    def loss(self, context, target):
        if bool((target == self.pad_id).all()):
            return torch.zeros((), requires_grad=True)
        losses = F.cross_entropy(self(context), target, reduction="none")
        mask = target.ne(self.pad_id)
        return (losses * mask).sum() / mask.sum()
