"""Task 27: a trainer that counts and logs rightly.

A training loop is a page of code, and most of what goes wrong in it raises no error. The mean loss is a mean of the
batches' means although the last batch is smaller; the accuracy of a perfect model is reported as 98.89 %; the step
counter starts anew with each epoch, so that one curve is drawn over the other; the learning rate shrinks with each
batch instead of each epoch. Here you write the loop once, so that you can trust it and use it again: a meter, two
counters, a log, a network, one epoch of training, an evaluation, and the loop around them.

An example to check by hand, five samples in batches of four:

    loss of each sample       0  0  0  0 | 1
    mean of each batch        0          | 1
    mean over the samples     1 / 5 = 0.2           right
    mean over the batches     (0 + 1) / 2 = 0.5     wrong: one sample counts like four

Another one: 10,000 images in batches of 128 make 79 batches, the last of 16 images. 10,000 right answers divided by
79 · 128 are 0.988924, although the model is perfect. So count the samples that came, and divide by that once.

Conventions
- A loader is passed over with ``for images, labels in loader``, once for each epoch. Batches are on the CPU and may
  differ in size: images (B, ...), labels (B,) int64. How many samples it yields is known by counting what comes: it
  need not have a ``len``, and ``len(loader.dataset)`` may be another number, as the loader may leave out a last,
  smaller batch. It may be empty.
- ``model(images)`` returns scores (B, C). Call the model, not its ``forward``: hooks run only in a call.
- ``loss_fn(scores, labels)`` returns the mean over the batch, a tensor without axes.
- The model is on ``device`` already, its optimiser was made for it, with rates that are Python numbers; each batch is
  moved there by you. ``device`` is a string such as "cpu" or "cuda:0", or a torch.device.
- A writer is any object with ``add_scalar(tag, scalar_value, global_step)``, as TensorBoard's SummaryWriter has it, and
  true in an ``if``. It gets plain Python numbers. You never close it: who opened it does.
- Numbers that are reported are plain Python numbers: floats for losses, accuracies (between 0 and 1) and rates, ints
  for counts. A dict that you return may hold more than is asked, and more tags than those named may be logged.
"""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau


class AverageMeter:
    """The running mean of values that stand for different numbers of samples.

    After ``update(0.0, 4)`` and ``update(1.0, 1)``: val 1.0, sum 1.0, count 5, avg 0.2.

    Attributes (or properties): ``val``, the value of the last update, a float; ``sum``, the sum of value · n, a float;
    ``count``, the sum of n, an int; ``avg``, sum / count, a float. In a new meter, and after ``reset()``, all are 0:
    an empty meter has the average 0.0.
    """

    def __init__(self):
        # TODO: what does a meter remember?
        # BEGIN SOLUTION
        self.reset()
        # END SOLUTION

    def reset(self) -> None:
        """Forget everything."""
        # TODO: back to the start.
        # BEGIN SOLUTION
        self.val, self.sum, self.count = 0.0, 0.0, 0
        # END SOLUTION

    # BEGIN SOLUTION
    @property
    def avg(self) -> float:
        return self.sum / self.count if self.count else 0.0

    # END SOLUTION
    def update(self, value, n: int = 1) -> None:
        """Take in ``value``, the mean of ``n`` samples.

        value: a Python number, or a tensor with one element on any device, of which only the number is kept: in double
        precision, and no graph. With n = 0 the meter stays as it is, whatever the value: the mean of no samples is
        NaN, and NaN · 0 is NaN again.
        """
        # TODO: weigh the value with n.
        # BEGIN SOLUTION
        if n:
            self.val = float(value)
            self.sum += self.val * n
            self.count += n
        # END SOLUTION


def count_iterations(n: int, batch: int, epochs: int = 1, drop_last: bool = False) -> int:
    """Return how many batches, and so how many steps of an optimiser, ``epochs`` passes over ``n`` samples take.

    Each pass makes batches of ``batch`` samples; the samples that are left make a last, smaller batch, which
    ``drop_last`` leaves out. 10,000 samples in batches of 64: 157, or 156 with drop_last; 5 epochs: 785 or 780.

    Returns an int, exact also for 10^18 samples. Raises ValueError if ``batch`` is below 1, or ``n`` or ``epochs``
    below 0.
    """
    # TODO: whole batches, and perhaps one more; for each epoch.
    # BEGIN SOLUTION
    if batch < 1 or n < 0 or epochs < 0:
        raise ValueError("batch is 1 or more, n and epochs are 0 or more")
    full, left = divmod(n, batch)
    return epochs * (full + (left > 0 and not drop_last))
    # END SOLUTION


def count_correct(scores: Tensor, labels: Tensor) -> int:
    """Return for how many samples the highest score stands at the label.

    For scores [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]] and labels [1, 1, 1]: 2.

    scores: (N, C), floating point, N may be 0. labels: (N,), class numbers, of any integer dtype that holds them. The
    work is done by PyTorch on the device of the scores, without a loop over the samples. Where several scores are the
    highest, any of them may count. Returns an int.
    """
    # TODO: which class has the highest score? Mind along which axis you ask.
    # BEGIN SOLUTION
    return int((scores.argmax(1) == labels).sum())
    # END SOLUTION


class ScalarLog:
    """A writer that keeps in memory what it is told, where TensorBoard's would write files.

    After ``add_scalar("b", i * i, i)`` for i = 0, 1, 2: ``series("b")`` is ([0, 1, 2], [0.0, 1.0, 4.0]).
    """

    def __init__(self):
        # TODO: each log needs a store of its own.
        # BEGIN SOLUTION
        self.rows = {}  # tag: [(step, value)]
        self.closed = False
        # END SOLUTION

    def add_scalar(self, tag: str, scalar_value, global_step: int | None = None) -> None:
        """Note ``scalar_value`` under ``tag``, at the step ``global_step``.

        scalar_value: a Python number, or a tensor with one element, of which only the number is kept, as a float.
        global_step: any int; None stands for how many values the tag has so far.
        Raises RuntimeError if the log is closed.
        """
        # TODO: refuse if closed; else keep step and number.
        # BEGIN SOLUTION
        if self.closed:
            raise RuntimeError(f"the log is closed, {tag} comes too late")
        rows = self.rows.setdefault(tag, [])
        rows.append((len(rows) if global_step is None else global_step, float(scalar_value)))
        # END SOLUTION

    def series(self, tag: str) -> tuple[list[int], list[float]]:
        """Return the steps and the values of a tag, in the order in which they came; of an unknown tag ([], []).

        The lists are the caller's: who changes them does not change the log. Works after ``close``, too.
        """
        # TODO: two lists.
        # BEGIN SOLUTION
        rows = self.rows.get(tag, [])
        return [step for step, _ in rows], [value for _, value in rows]
        # END SOLUTION

    def close(self) -> None:
        """Take no more values. Closing once more does nothing."""
        # TODO: remember it.
        # BEGIN SOLUTION
        self.closed = True
        # END SOLUTION


class CifarNet(nn.Module):
    """The network of a well-known course for CIFAR-10: (N, 3, 32, 32) -> scores (N, 10), 145,578 parameters.

        layer                                    output
        convolution to 32 channels, 5x5          32 x 32 x 32
        max pooling 2x2                          32 x 16 x 16
        convolution to 32 channels, 5x5          32 x 16 x 16
        max pooling 2x2                          32 x 8 x 8
        convolution to 64 channels, 5x5          64 x 8 x 8
        max pooling 2x2                          64 x 4 x 4
        flatten, linear layer to 64, activation  64
        linear layer to 10                       10

    Padding keeps the size in each convolution; all layers have biases. The activation between the two linear layers is
    what the original forgot: without one, the two are no more than a single linear layer. Which one is free (ReLU is
    usual), and so is whether others follow the convolutions. Nothing follows the last layer: the scores are logits.
    """

    def __init__(self):
        super().__init__()
        # TODO: make the layers.
        # BEGIN SOLUTION
        self.layers = nn.Sequential(
            *self.stage(3, 32),  # (N, 32, 16, 16)
            *self.stage(32, 32),  # (N, 32, 8, 8)
            *self.stage(32, 64),  # (N, 64, 4, 4)
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    @staticmethod
    def stage(inputs, outputs):
        return nn.Conv2d(inputs, outputs, kernel_size=5, padding=2), nn.ReLU(), nn.MaxPool2d(2)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 32, 32) -> scores (N, 10)."""
        # TODO: pass x through the layers in order.
        # BEGIN SOLUTION
        return self.layers(x)
        # END SOLUTION


def train_one_epoch(model, loader, loss_fn, optimizer, device, step=0, writer=None) -> dict:
    """Pass once over the loader in training mode, with one step of the optimiser for each batch.

    The model may come in any mode, and its parameters may hold gradients of something else, which must not count.
    Each batch goes through the model once: loss and accuracy are those of the scores that the step is made from.

    step: the number of the first batch, counted over all epochs. writer: if there is one, it gets for each batch
    ``("train_loss", loss of this batch, number of this batch)``; the numbers are step, step + 1, ...

    Returns {"loss": mean over the samples, "accuracy": share of the samples that were right, "step": number of the
    batch that would come next}. An empty loader gives loss 0.0, accuracy 0.0 and the step that came in. No graph is
    kept longer than until the next batch.
    """
    # TODO: for each batch: move, score, loss, clear the gradients, backward, step; count and log.
    # BEGIN SOLUTION
    model.train()
    loss_meter, accuracy_meter = AverageMeter(), AverageMeter()
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        scores = model(images)  # (B, C)
        loss = loss_fn(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        size = len(labels)
        loss_meter.update(loss.item(), size)
        accuracy_meter.update(count_correct(scores, labels) / size, size)
        if writer is not None:
            writer.add_scalar("train_loss", loss.item(), step)
        step += 1
    return {"loss": loss_meter.avg, "accuracy": accuracy_meter.avg, "step": step}
    # END SOLUTION


def evaluate(model, loader, loss_fn, device) -> dict:
    """Measure without training: in evaluation mode, and without gradients being recorded.

    Everything is left as it was: the mode of the model and of its layers (they come in training mode or in evaluation
    mode, all of them), parameters, buffers and gradients, what wants gradients, and whether PyTorch records them. What
    happens to the mode where the model raises an error is free.

    Returns {"loss": mean over the samples, "accuracy": share of the samples that are right}; both are 0.0 if the
    loader is empty.
    """
    # TODO: remember the mode, add up over the batches, give the mode back.
    # BEGIN SOLUTION
    was_training = model.training
    model.eval()
    loss_sum, correct, total = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            scores = model(images)  # (B, C)
            loss_sum += loss_fn(scores, labels).item() * len(labels)
            correct += count_correct(scores, labels)
            total += len(labels)
    model.train(was_training)
    return {"loss": loss_sum / max(total, 1), "accuracy": correct / max(total, 1)}
    # END SOLUTION


def fit(
    model, train_loader, test_loader, loss_fn, optimizer, device, epochs, scheduler=None, writer=None
) -> dict[str, list[float]]:
    """Train for some epochs, and measure on the test set after each of them.

    An epoch is: one pass of training over ``train_loader`` as in ``train_one_epoch``, one evaluation on
    ``test_loader`` as in ``evaluate``, and then, if there is one, one step of the ``scheduler``, which changes the
    learning rate for the next epoch. A ReduceLROnPlateau is told the test loss, ``scheduler.step(test_loss)``; all
    others get no argument, and may make their step before the evaluation.

    writer: if there is one, it gets "train_loss" for each batch, with numbers that run on from 0 over all epochs; and
    after each epoch "test_loss" and "test_accuracy", with the number of the epoch, which starts at 1.

    Returns a dict with the keys "train_loss", "train_accuracy", "test_loss", "test_accuracy" and "lr", each a list with
    one float for each epoch; "lr" is the rate of the optimiser's first group that the epoch was trained with. With
    epochs = 0 the lists are empty. In which mode the model is left is free.
    """
    # TODO: keep the step from epoch to epoch; read the rate before the scheduler changes it.
    # BEGIN SOLUTION
    history = {"train_loss": [], "train_accuracy": [], "test_loss": [], "test_accuracy": [], "lr": []}
    step = 0
    for epoch in range(1, epochs + 1):
        history["lr"].append(float(optimizer.param_groups[0]["lr"]))
        trained = train_one_epoch(model, train_loader, loss_fn, optimizer, device, step, writer)
        tested = evaluate(model, test_loader, loss_fn, device)
        step = trained["step"]
        for name, report in (("train", trained), ("test", tested)):
            history[f"{name}_loss"].append(report["loss"])
            history[f"{name}_accuracy"].append(report["accuracy"])
        if writer is not None:
            writer.add_scalar("test_loss", tested["loss"], epoch)
            writer.add_scalar("test_accuracy", tested["accuracy"], epoch)
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(tested["loss"])
        elif scheduler is not None:
            scheduler.step()
    return history
    # END SOLUTION
