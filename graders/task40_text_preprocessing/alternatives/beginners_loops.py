"""Loops, indices and dicts, nothing from the standard library that a beginner would not know."""

import html
import math
import unicodedata

import torch
from torch import nn


def strip_tags(text):
    out, i = "", 0
    while i < len(text):
        if text[i] == "<" and i + 1 < len(text) and (text[i + 1].isalpha() or text[i + 1] == "/" or text[i + 1] == "!"):
            end = text.find(">", i)
            if end != -1:
                i = end + 1
                continue
        out += text[i]
        i += 1
    return html.unescape(out)


def strip_accents(text):
    out = ""
    for letter in text:
        parts = unicodedata.normalize("NFD", letter)
        for part in parts:
            if not unicodedata.combining(part):
                out += part
    return out


def expand_contractions(text):
    words, word = [], ""
    for letter in text + " ":
        if letter.isalnum() or letter in "'’_":
            word += letter
        else:
            words.append(expanded(word) + letter)
            word = ""
    return "".join(words)[:-1]


def expanded(word):
    plain = word.replace("’", "'")
    low = plain.lower()
    if low in WHOLE:
        return word[0] + WHOLE[low][1:]
    if low.endswith("'s") and low[:-2] in IS:
        return word[:-2] + " is"
    for ending in ENDINGS:
        if plain.endswith(ending) and len(word) > len(ending) and word[-len(ending) - 1].isalpha():
            return word[: -len(ending)] + ENDINGS[ending]
    return word


def remove_special(text, remove_digits=False):
    out = ""
    for letter in text:
        if letter.isdigit():
            if not remove_digits:
                out += letter
        elif letter.isalnum() or letter.isspace():
            out += letter
    return out


def remove_stopwords(tokens, stopwords=STOPWORDS):
    result = []
    for token in tokens:
        if token.lower() in stopwords:
            continue
        result.append(token)
    return result


def build_vocab(tokens, min_freq=1, max_size=None):
    counts = {}
    for token in tokens:
        counts[token] = counts.get(token, 0) + 1
    counts.pop(PAD, None)
    counts.pop(UNK, None)
    pairs = sorted(counts.items())
    pairs.sort(key=lambda pair: pair[1], reverse=True)
    vocab = {PAD: 0, UNK: 1}
    for word, count in pairs:
        if count < min_freq:
            break
        if max_size is not None and len(vocab) - 2 == max_size:
            break
        vocab[word] = len(vocab)
    return vocab


def write_vocab(vocab, path):
    words = {number: word for word, number in vocab.items()}
    file = open(path, "w", encoding="utf8")
    for number in sorted(words):
        file.write(words[number] + "," + str(number) + "\n")
    file.close()


def read_vocab(path):
    vocab = {}
    with open(path, encoding="utf8") as file:
        for line in file.readlines():
            parts = line.strip().split(",")
            vocab[",".join(parts[:-1])] = int(parts[-1])
    return vocab


def encode(tokens, vocab, max_len):
    ids = []
    for i in range(max_len):
        if i >= len(tokens):
            ids.append(vocab[PAD])
        elif tokens[i] in vocab:
            ids.append(vocab[tokens[i]])
        else:
            ids.append(vocab[UNK])
    return ids


class TextDataset:
    def __init__(self, lines, vocab, max_len=None):
        self.vocab, self.labels, self.texts = vocab, [], []
        for line in lines:
            line = line.strip()
            if line == "":
                continue
            cut = line.index(",")
            self.labels.append(int(line[:cut]))
            self.texts.append(line[cut + 1 :].split())
        self.max_len = max_len
        if max_len is None:
            self.max_len = 0
            for text in self.texts:
                if len(text) > self.max_len:
                    self.max_len = len(text)

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        ids = torch.zeros(self.max_len, dtype=torch.long)
        for place, number in enumerate(encode(self.texts[index], self.vocab, self.max_len)):
            ids[place] = number
        return torch.tensor(self.labels[index]), ids


def bag_of_words(tokens, vocab):
    counts = [0] * len(vocab)
    for token in tokens:
        if token in vocab:
            counts[vocab[token]] += 1
    return torch.tensor(counts, dtype=torch.int64)


def set_of_words(tokens, vocab):
    marks = [0] * len(vocab)
    for word in vocab:
        if word in tokens:
            marks[vocab[word]] = 1
    return torch.LongTensor(marks)


def tf_idf(docs, smooth=False, norm=None):
    if norm is not None and norm != "l2":
        raise ValueError("norm")
    words = []
    for doc in docs:
        for token in doc:
            if token not in words:
                words.append(token)
    words.sort()
    table = torch.zeros(len(docs), len(words))
    for i in range(len(docs)):
        for j in range(len(words)):
            df = 0
            for doc in docs:
                if words[j] in doc:
                    df += 1
            idf = math.log((1 + len(docs)) / (1 + df)) + 1 if smooth else math.log(len(docs) / df)
            if len(docs[i]) > 0:
                table[i, j] = docs[i].count(words[j]) / len(docs[i]) * idf
        if norm == "l2":
            length = math.sqrt(float((table[i] ** 2).sum()))
            if length > 0:
                table[i] /= length
    return table


def ngrams(tokens, n):
    result = []
    for i in range(len(tokens)):
        if i + n <= len(tokens):
            result.append(tuple(tokens[i : i + n]))
    return result


class NGramLM:
    def __init__(self, n, alpha=1.0):
        self.n = n
        self.alpha = alpha

    def fit(self, sentences):
        self.counts = {}
        self.words = [UNK, END]
        for sentence in sentences:
            for word in sentence:
                if word not in self.words:
                    self.words.append(word)
            history = [START] * (self.n - 1)
            for word in sentence + [END]:
                key = " ".join(history)
                self.counts.setdefault(key, {})
                self.counts[key][word] = self.counts[key].get(word, 0) + 1
                if self.n > 1:
                    history = history[1:] + [word]
        return self

    def known(self, word):
        return word if word in self.words else UNK

    def prob(self, word, context):
        context = list(context)[-(self.n - 1) :] if self.n > 1 else []
        key = " ".join([w if w == START else self.known(w) for w in context])
        here = self.counts.get(key, {})
        below = sum(here.values()) + self.alpha * len(self.words)
        if below == 0:
            return 0.0
        return (here.get(self.known(word), 0) + self.alpha) / below

    def log_probs(self, sentence):
        result = []
        history = [START] * (self.n - 1)
        for word in list(sentence) + [END]:
            p = self.prob(word, history)
            result.append(math.log(p) if p != 0 else float("-inf"))
            history = history + [word]
        return result

    def log_prob(self, sentence):
        total = 0
        for value in self.log_probs(sentence):
            total = total + value
        return total


def perplexity(log_probs, mask=None):
    values = torch.tensor(log_probs) if not torch.is_tensor(log_probs) else log_probs
    marks = torch.ones(values.shape) if mask is None else torch.as_tensor(mask)
    total, count = 0.0, 0
    for value, mark in zip(values.flatten().tolist(), marks.flatten().tolist()):
        if mark:
            total += value
            count += 1
    return math.exp(-total / count)


class NeuralLM(nn.Module):
    def __init__(self, vocab_size, embed_dim=16, context_size=2, hidden_size=32, pad_id=0):
        super().__init__()
        self.pad = pad_id
        self.embed = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(embed_dim * context_size, hidden_size),
            nn.Tanh(),
            nn.Linear(hidden_size, vocab_size),
        )

    def forward(self, context):
        return self.layers(self.embed(context))

    def loss(self, context, target):
        keep = target != self.pad
        if keep.sum() == 0:
            return self.forward(context).sum() * 0
        return nn.CrossEntropyLoss()(self.forward(context)[keep], target[keep])
