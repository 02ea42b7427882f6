"""Helpers of task 40 that run beside the submission: files, and what a DataLoader makes of a data set."""

import copy
import os
import tempfile

import torch
from torch.utils.data import DataLoader


def kept(function, *args, **options):
    """[what a call returns, which of its arguments it has changed]."""
    before = copy.deepcopy(args)
    result = function(*args, **options)
    changed = [
        f"argument {n}" for n, (one, other) in enumerate(zip(before, args, strict=True), 1) if not same(one, other)
    ]
    return [result, " and ".join(changed) or "nothing"]


def same(one, other):
    """Equal, and a dict in the same order."""
    return one == other and (not isinstance(one, dict) or list(one) == list(other))


def written(write, vocab, before=None):
    """The bytes of the file that ``write`` makes of a vocabulary; ``before``: what the file held before."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.txt")
        if before is not None:
            with open(path, "wb") as file:
                file.write(before)
        write(vocab, path)
        with open(path, "rb") as file:
            return file.read()


def read(reader, content):
    """What ``reader`` makes of a file with this content."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "vocab.txt")
        with open(path, "wb") as file:
            file.write(content)
        return reader(path)


def from_file(kind, text, vocab, max_len):
    """A data set of the lines of an open file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "lines.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with open(path, encoding="utf-8") as file:
            return kind(file, vocab, max_len)


def batch(data, size):
    """[labels, ids] of the first batch of a DataLoader over a data set."""
    return list(next(iter(DataLoader(data, batch_size=size))))


def drawn_twice(data, index):
    """Label and ids of one item, asked for twice."""
    return [[int(label), ids.tolist()] for label, ids in (data[index], data[index])]


def fitted(model, sentences):
    """Whether fit returns the model itself."""
    return model.fit(sentences) is model


def scored(model, sentences):
    """The log-probability of each sentence."""
    return [model.log_prob(sentence) for sentence in sentences]


def pad_row(net, pad_id, size):
    """The row of ``pad_id`` in the parameter of this size, the embedding."""
    (table,) = [parameter for parameter in net.parameters() if tuple(parameter.shape) == tuple(size)]
    return table[pad_id].detach().clone()


def row_gradients(net, context, target, size):
    """How large the gradient of the loss is for each row of the embedding."""
    net.zero_grad()
    net.loss(context, target).backward()
    (table,) = [parameter for parameter in net.parameters() if tuple(parameter.shape) == tuple(size)]
    return torch.zeros(len(table)) if table.grad is None else table.grad.abs().sum(1)
