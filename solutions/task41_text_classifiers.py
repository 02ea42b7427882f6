"""Task 41: networks that read a sentence and say what kind it is.

A sentence is a row of ids, one for each word, and sentences of a batch are made equally long by PAD. Everything in this
task is about two questions. What does the order of the words matter: a mean of embeddings cannot tell "not good, bad"
from "not bad, good", a convolution over neighbouring words can, and so can an LSTM. And what does PAD matter: nothing
at all. Code in which it does runs as well, learns a little worse, and answers otherwise when a longer sentence happens
to be in the batch. Here you write a FastText baseline, a TextCNN and a TextRNN for which that cannot happen.

An example to check by hand. Three windows of two words fit into a sentence of four words. In a batch that is six places
wide there are five windows, two of which touch PAD: the maximum is over the first three. The mean of the embeddings
1, 2, 3, 6 is 3, not 12 / 6 = 2.

Conventions

* ``ids`` is (B, T), int64: at least one sentence, one place. Words stand first, PAD behind them only; whatever is not
  ``pad_id`` is a word. Ids outside of the vocabulary raise an error of any kind.
* The embedding is PyTorch's, (vocab_size, embed_dim). That of PAD starts as zeros and never gets a gradient, so that it
  stays zeros. A row without any word is read as one PAD.
* The scores of a sentence, (B, num_classes), are logits, without softmax. They depend on its words and on nothing else:
  not on how many PADs follow, not on the other sentences. Layers have biases and start as PyTorch's do, each model has
  parameters of its own, and it works in the dtype and on the device of its parameters.
* A mask is (B, T), bool: True is a word, False is padding; in a mask words may stand anywhere.
* A vocabulary is a dict from word to id, which holds the two marks PAD and UNK below.

Forbidden: nothing. Layers of PyTorch and your own from other tasks may be used.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

PAD, UNK = "<PAD>", "<UNK>"


def pad_batch(samples: Sequence[tuple[int, Sequence[int]]], pad_id: int = 0) -> tuple[Tensor, Tensor]:
    """Put samples of different lengths into one batch: labels first, then ids, filled up behind the words.

    [(1, [5, 6, 7]), (0, [8])] with pad_id = 9 gives the labels 1, 0 and the ids [[5, 6, 7], [8, 9, 9]].

    samples: at least one pair of a label and the ids of its words, a list of ints, which may be empty. Nothing in it is
    changed.
    Returns: labels (B,) and ids (B, T), both int64, T being the length of the longest sentence, but at least 1.
    """
    # TODO: how long is the longest; fill each list up.
    # BEGIN SOLUTION
    longest = max(1, *(len(ids) for _, ids in samples))
    rows = [[*ids, *[pad_id] * (longest - len(ids))] for _, ids in samples]
    return torch.tensor([label for label, _ in samples]), torch.tensor(rows)
    # END SOLUTION


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of the states where the mask is True, for each sentence; zeros where it is True nowhere.

    states: (B, T, E), float32 or float64. mask: (B, T), bool. Any finite numbers may stand at padded places.
    Returns: (B, E), in the dtype of states, differentiable in them. Nothing is changed.
    """
    # TODO: a sum over the words, divided by how many there are.
    # BEGIN SOLUTION
    total = torch.where(mask[..., None], states, 0).sum(1)  # (B, E)
    return total / mask.sum(1, keepdim=True).clamp(min=1)
    # END SOLUTION


class FastText(nn.Module):
    """The baseline: embedding, mean over the words, linear layer (embed_dim → num_classes).

    The order of the words cannot matter to it.
    """

    def __init__(self, vocab_size: int, embed_dim: int, num_classes: int, pad_id: int = 0) -> None:
        super().__init__()
        # TODO: two layers; nn.Embedding has an option for PAD.
        # BEGIN SOLUTION
        self.pad_id = pad_id
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.last = nn.Linear(embed_dim, num_classes)
        # END SOLUTION

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) → (B, num_classes)."""
        # TODO: masked_mean does the rest.
        # BEGIN SOLUTION
        return self.last(masked_mean(self.embedding(ids), ids != self.pad_id))
        # END SOLUTION


class TextCNN(nn.Module):
    """Filters over neighbouring words, and the largest answer of each.

    For each k in ``kernel_sizes`` an ``nn.Conv1d(embed_dim, num_filters, k)`` slides along the words, followed by ReLU
    and the maximum over those windows that lie within the sentence. Where the sentence is shorter than k, it is filled
    up with zeros behind its words, and there is one window. The answers of all filters, in the order of
    ``kernel_sizes``, pass dropout and a linear layer (len(kernel_sizes) · num_filters → num_classes).

    TextCNN(1000, 128, (3, 4, 5), 100, 2) has 282,502 parameters, 128,000 of them in the embedding.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        kernel_sizes: Sequence[int],
        num_filters: int,
        num_classes: int,
        pad_id: int = 0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        # TODO: the convolutions belong into an nn.ModuleList.
        # BEGIN SOLUTION
        self.pad_id = pad_id
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.convolutions = nn.ModuleList(nn.Conv1d(embed_dim, num_filters, k) for k in kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(len(self.convolutions) * num_filters, num_classes)
        # END SOLUTION

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) → (B, num_classes)."""
        # TODO: Conv1d wants the embedding axis before that of the words; windows that reach into PAD may not win.
        # BEGIN SOLUTION
        x = self.embedding(ids).transpose(1, 2)  # (B, E, T)
        lengths = (ids != self.pad_id).sum(1)
        answers = []
        for convolution in self.convolutions:
            k = convolution.kernel_size[0]
            y = F.relu(convolution(F.pad(x, (0, max(0, k - ids.shape[1])))))  # (B, filters, windows)
            windows = torch.arange(y.shape[2], device=ids.device)
            within = windows < (lengths - k + 1).clamp(min=1)[:, None]  # (B, windows)
            answers.append(y.masked_fill(~within[:, None], 0).amax(2))  # nothing is below 0 behind ReLU
        return self.last(self.dropout(torch.cat(answers, 1)))
        # END SOLUTION


class AttentionPooling(nn.Module):
    """A mean over the words whose weights are learned: sum of a_t · s_t, a = softmax over t of v · tanh(W s_t + b).

    W and b are a linear layer (dim → dim), v is one without a bias (dim → 1).
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        # TODO: two linear layers.
        # BEGIN SOLUTION
        self.project = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1, bias=False)
        # END SOLUTION

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """states: (B, T, dim). mask: (B, T), bool; any finite numbers may stand where it is False.

        Returns: the pooled states (B, dim), and the weights (B, T). The weights of a sentence add up to 1 over its
        words, and are exactly 0 at padding. Where the mask is True nowhere all weights and pooled states are 0, and
        gradients stay finite.
        """
        # TODO: padding has to be out before the softmax, or the weights of the words do not add up to 1.
        # BEGIN SOLUTION
        scores = self.score(torch.tanh(self.project(states))).squeeze(-1)  # (B, T)
        lowest = torch.finfo(scores.dtype).min  # not minus infinity, of which softmax makes NaN where all are
        weights = scores.masked_fill(~mask, lowest).softmax(1).masked_fill(~mask, 0)
        return (weights[..., None] * torch.where(mask[..., None], states, 0)).sum(1), weights
        # END SOLUTION


class TextRNN(nn.Module):
    """An LSTM that reads the sentence in both directions, ``hidden_size`` units in each.

    Embedding, ``nn.LSTM(embed_dim, hidden_size, bidirectional=True)`` over the words alone, and a linear layer
    (2 · hidden_size → num_classes), without dropout. What the linear layer gets depends on ``pooling``:

    * "last": the state h that the forward direction has after the last word, then the state that the backward direction
      has after the first word;
    * "attention": an `AttentionPooling(2 * hidden_size)` over the outputs at the words.

    Another ``pooling`` is a ValueError.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int,
        hidden_size: int,
        num_classes: int,
        pad_id: int = 0,
        pooling: str = "last",
    ) -> None:
        super().__init__()
        # TODO: the layers; the pooling layer has parameters only where it is used.
        # BEGIN SOLUTION
        if pooling not in ("last", "attention"):
            raise ValueError(f"pooling is {pooling!r}; it is 'last' or 'attention'")
        self.pad_id = pad_id
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=pad_id)
        self.lstm = nn.LSTM(embed_dim, hidden_size, bidirectional=True, batch_first=True)
        self.pooling = AttentionPooling(2 * hidden_size) if pooling == "attention" else None
        self.last = nn.Linear(2 * hidden_size, num_classes)
        # END SOLUTION

    def forward(self, ids: Tensor) -> Tensor:
        """(B, T) → (B, num_classes)."""
        # TODO: pack_padded_sequence keeps the LSTM from reading PAD; a length is at least 1.
        # BEGIN SOLUTION
        lengths = (ids != self.pad_id).sum(1).clamp(min=1)
        packed = pack_padded_sequence(self.embedding(ids), lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, (h, _) = self.lstm(packed)
        if self.pooling is None:
            return self.last(torch.cat([h[0], h[1]], 1))
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)  # (B, longest, 2H)
        words = torch.arange(outputs.shape[1], device=ids.device) < lengths[:, None]
        return self.last(self.pooling(outputs, words)[0])
        # END SOLUTION


def train_classifier(
    model: nn.Module, loader: Iterable[tuple[Tensor, Tensor]], epochs: int = 5, lr: float = 1e-3
) -> list[float]:
    """Train a model with ``torch.optim.Adam`` and its defaults but for ``lr``: one step for each batch of each epoch.

    A loader gives pairs (labels, ids), labels first, as `pad_batch` does, once for each epoch. The loss is the cross
    entropy of the scores. Batches are moved to the device of the model's first parameter. The model is in training mode
    during the training and after it, whatever mode it came in; gradients from before do not count.

    Returns one float for each epoch: the mean over its sentences of the loss that each had when its batch was trained
    on. It is 0.0 where the loader is empty.
    """
    # TODO: for each batch: scores, loss, clear the gradients, backward, step; add up per sentence.
    # BEGIN SOLUTION
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    model.train()
    losses = []
    for _ in range(epochs):
        total, count = 0.0, 0
        for labels, ids in loader:
            labels, ids = labels.to(device), ids.to(device)
            loss = F.cross_entropy(model(ids), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            count += len(labels)
        losses.append(total / max(count, 1))
    return losses
    # END SOLUTION


def predict_sentiment(model: nn.Module, text: str | Sequence[str], vocab: Mapping[str, int]) -> int:
    """Return the class with the highest score for one text, as an int.

    text: a string, which is split at white space and taken as it stands, or a list of words. Words that the vocabulary
    does not hold are UNK; neither it nor the list is changed. A text without words is one PAD.
    model: any that takes ids (1, T) on the device of its first parameter. It is in evaluation mode meanwhile, gradients
    are not recorded, and it comes back as it was: the mode of the model and of each of its parts, and its gradients.
    """
    # TODO: words, ids, a batch of one, evaluation mode, argmax.
    # BEGIN SOLUTION
    words = text.split() if isinstance(text, str) else text
    ids = [vocab.get(word, vocab[UNK]) for word in words] or [vocab[PAD]]
    modes = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        scores = model(torch.tensor([ids], device=next(model.parameters()).device))
    for module, training in modes.items():
        module.training = training
    return int(scores.argmax(1))
    # END SOLUTION
