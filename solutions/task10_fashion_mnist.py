"""Task 10: a classifier for Fashion-MNIST, from the file to the accuracy of every epoch.

Ten kinds of clothing, 28x28 grey images. You write the reader of the files, the loaders, the network (four
convolutions, two fully connected layers), one epoch of training, an honest evaluation, and the loop around them
that records loss and accuracy of every epoch on both sets.

Conventions
- Images are (N, 1, 28, 28) float32 for the network, labels (N,) int64.
- The network returns one score per class (N, 10): logits, or log-probabilities. No softmax, no ReLU on them.
- A loss function is called as ``loss_fn(scores, labels)`` and returns the mean over the batch.
- Losses and accuracies that you report are plain Python floats, averaged over the *samples* that come: the last
  batch may be smaller than the others, or be left out by a loader. An accuracy lies between 0 and 1. A dict that
  you return may hold more than is asked.
- Batches come from the loaders on the CPU; move each one to ``device``. The model is on ``device`` already, except
  in ``fit``, which moves it there.
- Nothing is printed, nothing is fetched from a network.
"""

import gzip

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def load_idx(path):
    """Read one idx file of unsigned bytes, such as ``train-images-idx3-ubyte`` or the same with ``.gz``.

    The file starts with the bytes 0, 0, 8 (unsigned byte) and the number of dimensions; then each dimension as
    a big-endian 32-bit unsigned integer; then the values, last axis fastest. Gzip is recognised by the first two
    bytes 0x1f 0x8b, not by the name.

    Returns a uint8 array of the shape that the file states, whatever the number of dimensions; one of them may be 0.
    Raises ValueError when the file is not of this kind, ends within its header, or has more or fewer values than its
    shape needs.
    """
    # TODO: unpack the file if needed, check the header, and give the values their shape.
    # BEGIN SOLUTION
    with open(path, "rb") as file:
        content = file.read()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise ValueError(f"{path} is not an idx file of unsigned bytes")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{path} ends within its header")
    shape = np.frombuffer(content, ">u4", count=content[3], offset=4).astype(int)
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != shape.prod():
        raise ValueError(f"{path} holds {values.size} values, its shape needs {shape.prod()}")
    return values.reshape(shape)
    # END SOLUTION


def make_loaders(train_set, test_set, batch_size=64):
    """Make the two loaders.

    Each set is a pair (images, labels): uint8 array (N, 28, 28) with grey levels 0..255, and N integer labels.
    The order of the sets is not random: all images of one class may follow each other.

    Returns (train_loader, test_loader), two DataLoaders whose batches are (images, labels):
    float32 (B, 1, 28, 28) with values of about unit size (divide by 255, or standardise with the mean and the
    standard deviation of the *training* images; the same formula for both sets), and int64 (B,).
    Every image comes once in each pass, the last batch may be smaller. The training loader shuffles anew for each
    pass; the test loader keeps the order of its set. Both can be passed over any number of times.
    """
    # TODO: turn each set into tensors and wrap them; only one of the loaders shuffles.
    # BEGIN SOLUTION
    datasets = []
    for images, labels in (train_set, test_set):
        scaled = torch.tensor(np.asarray(images), dtype=torch.float32).unsqueeze(1) / 255  # (N, 1, 28, 28)
        datasets.append(TensorDataset(scaled, torch.tensor(np.asarray(labels), dtype=torch.int64)))
    train, test = datasets
    return DataLoader(train, batch_size, shuffle=True), DataLoader(test, batch_size, shuffle=False)
    # END SOLUTION


class FashionCNN(nn.Module):
    """Four convolutions, then two fully connected layers; at most 2,000,000 parameters.

    A non-linearity follows every convolution and the first fully connected layer; pooling and normalisation are none.
    Widths, kernel sizes, strides, pooling, normalisation and dropout are free. It must train on a batch of any size,
    one image included. In evaluation mode nothing is random, and the scores of an image do not depend on the others
    in its batch. Every parameter is trained.
    """

    def __init__(self, in_channels=1, num_classes=10):
        super().__init__()
        # TODO: make the layers.
        # BEGIN SOLUTION
        self.features = nn.Sequential(
            self.stage(in_channels, 16),
            nn.MaxPool2d(2),  # (N, 16, 14, 14)
            self.stage(16, 32),
            nn.MaxPool2d(2),  # (N, 32, 7, 7)
            self.stage(32, 32),
            self.stage(32, 64),
            nn.MaxPool2d(2),  # (N, 64, 3, 3)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * 3 * 3, 128),
            nn.ReLU(),
            nn.Linear(128, num_classes),
        )

    @staticmethod
    def stage(inputs, outputs):
        conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())
        # END SOLUTION

    def forward(self, x):
        """(N, in_channels, 28, 28) -> scores (N, num_classes)."""
        # TODO: convolutions first, then the fully connected layers.
        # BEGIN SOLUTION
        return self.classifier(self.features(x))
        # END SOLUTION


def train_one_epoch(model, loader, loss_fn, optimizer, device):
    """Pass once over the loader in training mode; one optimiser step per batch.

    Every pass that is trained on runs in training mode, whatever the mode in which the model came. Gradients that
    something else left behind count in no step.
    Returns {"loss": ..., "accuracy": ...}: means over the samples of this pass, each taken from the scores that
    the step used (or from a separate pass in evaluation mode afterwards: both count as right).
    """
    # TODO: for each batch: move, clear the gradients, score, loss, backward, step; add up per sample.
    # BEGIN SOLUTION
    model.train()
    total, loss_sum, correct = 0, 0.0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        scores = model(images)  # (B, classes)
        loss = loss_fn(scores, labels)
        loss.backward()
        optimizer.step()
        total += len(labels)
        loss_sum += loss.item() * len(labels)
        correct += (scores.argmax(1) == labels).sum().item()
    return {"loss": loss_sum / total, "accuracy": correct / total}
    # END SOLUTION


def evaluate(model, loader, loss_fn, device):
    """Measure without training: evaluation mode, no gradients, nothing of the model changed.

    The model is left in the mode in which it came.
    Returns {"loss": ..., "accuracy": ...}: means over all samples of the loader.
    """
    # TODO: remember the mode, score every batch, add up per sample, give the mode back.
    # BEGIN SOLUTION
    was_training = model.training
    model.eval()
    total, loss_sum, correct = 0, 0.0, 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            scores = model(images)  # (B, classes)
            total += len(labels)
            loss_sum += loss_fn(scores, labels).item() * len(labels)
            correct += (scores.argmax(1) == labels).sum().item()
    model.train(was_training)
    return {"loss": loss_sum / total, "accuracy": correct / total}
    # END SOLUTION


def fit(model, train_loader, test_loader, epochs, lr, device):
    """Train ``model`` for ``epochs`` passes and record every one of them.

    Optimiser and schedule are free; ``lr`` is meant for Adam (1e-3 is usual), one that needs another scale
    derives its own from it. With lr=0 nothing is learnt. The loss is the cross entropy of the model's scores.

    Returns {"train_loss": [...], "train_accuracy": [...], "test_accuracy": [...]}, one float per epoch in each
    list, test_accuracy measured by ``evaluate`` after the epoch. The model is trained in place, and left on
    ``device`` in evaluation mode, with the weights that the last entries describe.
    """
    # TODO: move the model, make optimiser and loss, train and evaluate once per epoch, keep what they return.
    # BEGIN SOLUTION
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    loss_fn = nn.CrossEntropyLoss()
    history = {"train_loss": [], "train_accuracy": [], "test_accuracy": []}
    for _ in range(epochs):
        trained = train_one_epoch(model, train_loader, loss_fn, optimizer, device)
        tested = evaluate(model, test_loader, loss_fn, device)
        history["train_loss"].append(trained["loss"])
        history["train_accuracy"].append(trained["accuracy"])
        history["test_accuracy"].append(tested["accuracy"])
    model.eval()
    return history
    # END SOLUTION
