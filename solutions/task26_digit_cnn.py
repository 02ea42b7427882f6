"""Task 26: a small network for digits, and numbers about it that can be believed.

A network that tells ten digits apart is some ten lines. Whether it is any good is harder to say, and published code
gets it wrong: the training images are scaled to 0..1 and the test images are not; the test runs in training mode, so
that its images move the statistics of the batch norm; the loss is a mean of batches although the last is smaller; the
number that comes out depends on the batch size, or on which other images are in the batch. Here you write a network,
its training, and an evaluation that always gives the same answer to the same question.

An example to check by hand. 1,000 images in batches of 64 make 16 batches, the last of 40 images. A model that is
right on the first 960 and wrong on the last 40 has the accuracy 0.96. The mean of the batches' accuracies would be
15 / 16 = 0.9375, and 960 right answers divided by 16 · 64 would be 0.9375, too.

Conventions
- Images are (N, 1, 28, 28): floating point in the dtype of the model, about 0..1, or uint8 with grey levels 0..255.
  ``train``, ``evaluate`` and ``predict`` take both, and bring uint8 to 0..1 by ``to_float``, all in the same way.
  Labels are (N,) int64, 0 to 9.
- A loader is passed over with ``for images, labels in loader``, once for each epoch and once to evaluate; it may have
  no length. Batches are on the CPU, the last one may be smaller, and how many images there are is known by counting
  what comes.
- A model is any nn.Module that returns one score per class: logits. It may be made for images of another size or number
  of channels, (N, C, H, W), which ``train``, ``evaluate`` and ``predict`` hand to it in their shape. The loss is the
  cross entropy of the scores, ``torch.nn.functional.cross_entropy``. Images and labels are moved to the device of the
  model's first parameter.
- A model that is measured, by ``evaluate`` or ``predict``, is in evaluation mode meanwhile, records no gradients, and
  comes back as it was: its mode and that of its layers (they come in training mode or in evaluation mode, all of them),
  parameters, buffers, gradients, and which parameters want gradients.
- Losses and accuracies are plain Python floats; an accuracy lies between 0 and 1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def to_float(images: Tensor) -> Tensor:
    """Bring grey levels to 0..1: uint8 is divided by 255 and becomes float32; floating point comes back as it is.

    The grey levels 0, 51, 255 become 0.0, 0.2, 1.0. The numbers do not depend on what else is in the tensor: a dark
    image stays dark.

    images: any shape, any floating dtype or uint8. Returns: the same shape. What is given is not changed.
    """
    # TODO: the dtype tells what to do.
    # BEGIN SOLUTION
    return images.float() / 255 if images.dtype == torch.uint8 else images
    # END SOLUTION


class CNN(nn.Module):
    """(N, 1, 28, 28) -> scores (N, 10), 63,626 parameters.

        layer                                        output
        convolution to 32 channels, 5x5, padding 2   32 x 28 x 28
        batch norm, ReLU                             32 x 28 x 28
        max pooling 2x2                              32 x 14 x 14
        flatten, linear layer to 10                  10

    Convolution and linear layer have biases; the batch norm is PyTorch's with its defaults, so that a single image has
    the same scores in evaluation mode as among others. Nothing follows the linear layer: the scores are logits.
    """

    def __init__(self):
        super().__init__()
        # TODO: make the layers.
        # BEGIN SOLUTION
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=5, padding=2),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 32, 14, 14)
            nn.Flatten(),
            nn.Linear(32 * 14 * 14, 10),
        )
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Floating-point images (N, 1, 28, 28) -> scores (N, 10)."""
        # TODO: pass x through the layers in order.
        # BEGIN SOLUTION
        return self.layers(x)
        # END SOLUTION


# BEGIN SOLUTION
def device_of(model: nn.Module) -> torch.device:
    """That of the first parameter."""
    return next(model.parameters()).device


# END SOLUTION
def train(model: nn.Module, loader, epochs: int, optimizer) -> list[float]:
    """Pass ``epochs`` times over the loader in training mode, with one step of the optimiser for each batch.

    The model may come in any mode, and its parameters may hold gradients of something else, which must not count.

    Returns one float for each epoch: the mean over its images of the loss that each had when its batch was trained on.
    It is 0.0 if the loader is empty. In which mode the model is left is free.
    """
    # TODO: for each batch: move, bring to float, score, loss, clear the gradients, backward, step; add up per image.
    # BEGIN SOLUTION
    device, losses = device_of(model), []
    for _ in range(epochs):
        model.train()
        total, loss_sum = 0, 0.0
        for images, labels in loader:
            images, labels = to_float(images.to(device)), labels.to(device)
            loss = F.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += len(labels)
            loss_sum += loss.item() * len(labels)
        losses.append(loss_sum / max(total, 1))
    return losses
    # END SOLUTION


def evaluate(model: nn.Module, loader) -> tuple[float, float]:
    """Return (loss, accuracy): means over all images of the loader, whatever the size of the batches.

    Both are 0.0 if the loader is empty. See above for what happens to the model: nothing.
    """
    # TODO: remember the mode, add up over the batches, divide once, give the mode back.
    # BEGIN SOLUTION
    device, was_training = device_of(model), model.training
    model.eval()
    total, loss_sum, correct = 0, 0.0, 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = to_float(images.to(device)), labels.to(device)
            scores = model(images)  # (B, 10)
            total += len(labels)
            loss_sum += F.cross_entropy(scores, labels, reduction="sum").item()
            correct += int((scores.argmax(1) == labels).sum())
    model.train(was_training)
    return loss_sum / max(total, 1), correct / max(total, 1)
    # END SOLUTION


def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Return the class with the highest score for each image.

    x: (N, C, H, W), or a single image (C, H, W), which is taken as a batch of one; uint8, or floating point in the
    dtype of the model.
    Returns: (N,) int64, (1,) for a single image; on the CPU or on the model's device. See above for what happens to the
    model: nothing.
    """
    # TODO: a single image needs a batch axis.
    # BEGIN SOLUTION
    if x.ndim == 3:
        x = x.unsqueeze(0)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        classes = model(to_float(x.to(device_of(model)))).argmax(1)
    model.train(was_training)
    return classes
    # END SOLUTION


def confusion_matrix(pred: Tensor, target: Tensor, num_classes: int = 10) -> Tensor:
    """Count the samples of each true class (row) that were given each class (column).

    For pred 0, 0, 1, 2 and target 0, 1, 1, 1 and three classes: [[1, 0, 0], [1, 1, 1], [0, 0, 0]].

    pred, target: (N,), class numbers 0 to num_classes - 1, int64; N may be 0.
    Returns: (num_classes, num_classes), int64; its sum is N.
    """
    # TODO: give each pair of classes a number, and count the numbers.
    # BEGIN SOLUTION
    counts = torch.bincount(num_classes * target + pred, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)
    # END SOLUTION


def most_confused(cm: Tensor) -> tuple[int, int, int] | None:
    """Return (true class, given class, count) of the commonest mistake; None if there is no mistake.

    For [[5, 1, 0], [2, 9, 0], [0, 0, 7]]: (1, 0, 2). Several mistakes that are the commonest: any of them.

    cm: a confusion matrix (C, C), int64, rows are the truth; it is not changed.
    """
    # TODO: right answers are no mistakes; where is the largest of the others?
    # BEGIN SOLUTION
    mistakes = cm.clone().fill_diagonal_(0)
    count = int(mistakes.max())
    if count == 0:
        return None
    true, given = divmod(int(mistakes.argmax()), cm.shape[1])
    return true, given, count
    # END SOLUTION
