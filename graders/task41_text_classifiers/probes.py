"""Helpers for task 41 that run beside the submission: toys that score ids, loaders, what happens while a model runs."""

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader


class Bag(nn.Module):
    """Scores that are sums of a row of ``weight`` (vocabulary, classes) for each id; in the other mode than training
    their signs are turned round if it is ``moody``. It notes the ids and modes that it met."""

    def __init__(self, weight, moody=False):
        super().__init__()
        self.weight, self.moody = nn.Parameter(weight.clone()), moody
        self.part = nn.Sequential(nn.Dropout(0.5))
        self.seen = []

    def forward(self, ids):
        self.seen.append((ids.detach().clone(), self.training, torch.is_grad_enabled()))
        scores = self.weight[ids].sum(1)
        return -scores if self.moody and not self.training else scores


def bag(weight, moody=False):
    return Bag(weight, moody)


def with_old_gradients(model):
    """The model, whose parameters hold gradients of something else."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    return model


def seen(model):
    """The ids that a bag met, and whether it was in training mode, and whether gradients were recorded."""
    return [ids for ids, _, _ in model.seen], [mode for _, mode, _ in model.seen], [grad for _, _, grad in model.seen]


def modes_after(predict, model, text, vocab):
    """The modes of a bag after ``predict``, one part of which was in the other mode before, but not its own
    part; its gradient; and whether gradients are recorded then."""
    model.part.train(not model.training)[0].train(model.training)
    model.weight.grad = torch.ones_like(model.weight)
    predict(model, text, vocab)
    return [module.training for module in model.modules()], model.weight.grad, torch.is_grad_enabled()


def modes_after_training(train, model):
    """The modes of a bag after ``train`` of two batches; its part was in evaluation mode before."""
    model.train().part.eval()
    train(model, in_order(torch.tensor([0, 1]), torch.tensor([[1, 2], [2, 3]]), 1), 1)
    return [module.training for module in model.modules()]


def vocabulary_after(predict, model, text, vocab):
    predict(model, text, vocab)
    return vocab


def text_after(predict, model, text, vocab):
    predict(model, text, vocab)
    return text


def recorded_after(predict, model, text, vocab):
    """Whether gradients are recorded after ``predict`` was called where they were not."""
    with torch.no_grad():
        predict(model, text, vocab)
        return torch.is_grad_enabled()


def texts_after(call, argument, *more):
    """The argument after ``call(argument, *more)``."""
    call(argument, *more)
    return argument


class Once:
    """Batches that can be passed over again and again, with the number of passes."""

    def __init__(self, batches):
        self.batches, self.passes = batches, 0

    def __iter__(self):
        self.passes += 1
        return iter(self.batches)


def in_order(labels, ids, size):
    """Pairs (labels, ids), in order."""
    return Once(list(zip(labels.split(size), ids.split(size), strict=True)))


def passes(loader):
    return loader.passes


def sentences(labels, texts, size, pad_id):
    """A loader that shuffles, of (labels, ids), for lists of ids."""

    def together(samples):
        ids = pad_sequence([torch.tensor(ids) for _, ids in samples], batch_first=True, padding_value=pad_id)
        return torch.tensor([label for label, _ in samples]), ids

    return DataLoader(list(zip(labels, texts, strict=True)), size, shuffle=True, collate_fn=together)


def guesses(model, ids):
    """The class of the highest score of each sentence, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in ids.split(100)])


def embedding_gradient(model, ids, size):
    """The gradient of the embedding of ``size`` after a backward pass, and the embedding itself."""
    model(ids).square().sum().backward()
    found = [p for p in model.parameters() if tuple(p.shape) == tuple(size)]
    return found[0].grad, found[0].detach().clone()
