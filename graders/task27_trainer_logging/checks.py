"""Checks for task 27: a trainer that counts and logs rightly.

The models are toys whose scores the images themselves hold, so that each loss, hit and step is known to the number;
training is compared with plain gradient descent written down here. Nothing has to be learnt, and no floor is needed.
"""

import operator

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    FLOATS,
    INTEGERS,
    LEFT_OUT,
    RECORDING,
    check,
    expect,
    grid,
    kit,
    operator_trace,
    passes_seen,
)

SINGLE = torch.float32

# --- AverageMeter ------------------------------------------------------------------------------------------

METER = {"val": float, "sum": float, "count": int, "avg": float}


def reading(meter, given=None):
    return expect.record({name: getattr(meter, name) for name in METER}, METER, given=given)


@check("AverageMeter weighs each value with its number of samples", points=1, category="values")
def test_meter(submission):
    meter = submission.AverageMeter()
    meter.update(0.25, 4)
    meter.update(1.5, 1)
    expect.close(
        reading(meter)["avg"],
        0.5,
        likely={"a mean of the values: the first stands for four samples": 0.875, "the last value": 1.5},
        given="0.25 for 4 samples, then 1.5 for 1",
    )
    expect.close(reading(meter), {"val": 1.5, "sum": 2.5, "count": 5, "avg": 0.5}, given="the same meter")
    meter.update(-4.0)  # n is left out
    given = "0.25 for 4 samples, 1.5 for 1, then -4.0 with n left out"
    expect.close(reading(meter), {"val": -4.0, "sum": -1.5, "count": 6, "avg": -0.25}, given=given)
    other = submission.AverageMeter()
    other.update(3.0, 1)
    expect.close(reading(other)["avg"], 3.0, given="another meter, with 3.0 for 1 sample")
    expect.close(reading(meter)["avg"], -0.25, given="the first meter again")


@check("a meter starts empty, and reset empties it", points=0.5, category="values", after=[test_meter])
def test_meter_empty(submission):
    meter, zeros = submission.AverageMeter(), {"val": 0.0, "sum": 0.0, "count": 0, "avg": 0.0}
    expect.close(reading(meter, "a new meter"), zeros, trivial="an empty meter is all zeros", given="a new meter")
    meter.update(3.5, 2)
    meter.reset()
    given = "after update(3.5, 2) and reset()"
    expect.close(reading(meter, given), zeros, trivial="an empty meter is all zeros", given=given)
    meter.update(-1.5, 4)
    given = "after reset() and update(-1.5, 4)"
    expect.close(reading(meter), {"val": -1.5, "sum": -6.0, "count": 4, "avg": -1.5}, given=given)


@check(
    "no samples leave a meter as it is, even with a mean of NaN",
    points=0.5,
    category="robustness",
    after=[test_meter, test_meter_empty],
    hidden=True,
)
def test_meter_no_samples(submission):
    for value in (7.0, float("nan"), torch.tensor(float("nan"))):
        meter = submission.AverageMeter()
        meter.update(value, 0)
        given = f"update({value}, n=0) on an empty meter"
        expect.close(reading(meter, given)["avg"], 0.0, trivial="an empty meter has the average 0", given=given)
        meter.update(2.5, 2)
        meter.update(value, 0)
        given = f"update(2.5, 2), then update({value}, n=0)"
        expect.close(reading(meter), {"val": 2.5, "sum": 5.0, "count": 2, "avg": 2.5}, given=given)


@check("a meter keeps plain numbers in double precision", points=0.5, category="robustness", after=test_meter)
def test_meter_plain(submission):
    meter = submission.AverageMeter()
    weight = torch.tensor([0.5], requires_grad=True)
    meter.update(submission.hold((2 * weight).sum()), 3)
    meter.update(torch.tensor([0.2], dtype=torch.float64), 1)
    given = "a tensor without axes that requires grad, then one of one element"
    wanted = {"val": 0.2, "sum": 3.2, "count": 4, "avg": 0.8}
    expect.close(
        reading(meter, given)["val"],
        0.2,
        rtol=1e-12,
        atol=0.0,
        likely={"values are rounded to float32": float(torch.tensor(0.2))},
        given=given,
    )
    expect.close(reading(meter), wanted, given=given)
    meter = submission.AverageMeter()
    for value, n in ((torch.tensor(2.0**24), 1), (torch.tensor(1.0), 1), (torch.tensor(1.0), 1)):
        meter.update(value, n)
    given = "2^24 and two ones, as tensors of float32"
    expect.close(
        reading(meter)["sum"],
        2.0**24 + 2,
        rtol=1e-12,
        atol=0.0,
        likely={"the sum is kept in float32, where 2^24 + 1 is 2^24": 2.0**24},
        given=given,
    )
    meter = submission.AverageMeter()
    meter.update(torch.tensor(300.0, dtype=torch.float16), 1000)
    wanted = {"val": 300.0, "sum": 300_000.0, "count": 1000, "avg": 300.0}
    expect.close(reading(meter), wanted, given="300 as a tensor of float16, for 1000 samples")
    meter = submission.AverageMeter()
    meter.update(3, 2)
    wanted = {"val": 3.0, "sum": 6.0, "count": 2, "avg": 3.0}
    expect.equal(reading(meter), wanted, given="the integer 3 for 2 samples")


# --- counts ------------------------------------------------------------------------------------------------


def batches(n, batch, epochs=1, drop_last=False):
    if batch < 1 or n < 0 or epochs < 0:
        raise ValueError("no such batches")
    return epochs * (n // batch if drop_last else -(-n // batch))


COUNTS = grid(
    n=[10_000, 60_000, 10, 64, 63, 65, 1],
    batch=[64, 7, 128, 1, 100],
    epochs=[LEFT_OUT, 5, 2, 1],
    drop_last=[LEFT_OUT, True, False],
)


@check("count_iterations counts the batches of all epochs", points=1, category="values")
def test_iterations(submission):
    expect.agrees(
        submission.count_iterations,
        batches,
        COUNTS,
        likely={
            "the last, smaller batch is not counted": lambda n, batch, epochs=1, drop_last=False: epochs * (n // batch),
            "one more is counted where the samples fill all batches": lambda n, batch, epochs=1, drop_last=False: (
                epochs * (n // batch + (not drop_last))
            ),
            "the samples of all epochs are put together: each epoch has a last batch of its own": (
                lambda n, batch, epochs=1, drop_last=False: batches(n * epochs, batch, 1, drop_last)
            ),
        },
    )


@check(
    "count_iterations is exact, and refuses what makes no batches",
    points=0.5,
    category="robustness",
    after=test_iterations,
    hidden=True,
)
def test_iterations_edges(submission):
    large = grid(n=[10**18 + 1, 10**18, 0], batch=[1, 10**9, 3], epochs=[LEFT_OUT, 0, 7], drop_last=[LEFT_OUT, True])
    expect.agrees(submission.count_iterations, batches, large)
    strange = grid(n=[10, -1], batch=[4, 0, -4], epochs=[LEFT_OUT, -2, 0], drop_last=[LEFT_OUT, True])
    expect.agrees(submission.count_iterations, batches, strange, refuses=["ValueError"])


def classes_below(count):
    def values(shape, dtype, generator):
        return torch.randint(count, tuple(shape), generator=generator).double()

    values.__doc__ = f"class numbers below {count}"
    return values


def close_together(shape, dtype, generator):
    """numbers near 1 that differ by 0.0001"""
    return 1 + kit.distinct(shape, dtype, generator).double().argsort(-1).argsort(-1) * 1e-4


def scored(draw, count, classes, label_dtype):
    labels = draw(count, values=classes_below(classes), dtype=label_dtype).detach()
    return {"scores": draw(count, classes), "labels": labels}


def hits(scores, labels):
    rows = zip(scores.tolist(), labels.tolist(), strict=True)
    return sum(row.index(max(row)) == label for row, label in rows)


SCORED = grid(
    scored,
    count=[9, 40, 3, 1, 0],
    classes=[3, 4, 10],
    label_dtype=[torch.int64, torch.int32, torch.uint8, torch.int8],
    values=[kit.distinct, kit.negative],
)


@check("count_correct counts rows whose highest score is at the label", points=1, category="values", devices="all")
def test_correct(submission, device):
    expect.agrees(
        submission.count_correct,
        hits,
        SCORED.vary(label_dtype=[torch.int64], values=[kit.distinct, kit.negative, close_together]),
        device=device,
        unchanged=True,
        likely={
            "a share: the number of right answers is asked for": lambda scores, labels: (
                hits(scores, labels) / max(len(labels), 1)
            ),
            "the lowest score is taken": lambda scores, labels: hits(-scores, labels),
        },
    )


@check("count_correct takes every dtype and layout", points=0.5, category="robustness", after=test_correct, hidden=True)
def test_correct_inputs(submission):
    cases = SCORED.vary(
        dtype=FLOATS, label_dtype=list(INTEGERS), layout=["contiguous", "transposed", "gaps"], grad=RECORDING,
        values=[kit.distinct], count=[9, 40], classes=[3, 4],
    )  # fmt: skip
    expect.agrees(submission.count_correct, hits, cases)
    cases = grid(of_many_classes, count=[9], first=[2300], label_dtype=[torch.int64, torch.int32, torch.int16],
                 dtype=FLOATS)  # fmt: skip
    expect.agrees(submission.count_correct, hits, cases)
    cases = grid(of_many_classes, count=[9], first=[70], label_dtype=[torch.uint8, torch.int8], dtype=FLOATS)
    expect.agrees(submission.count_correct, hits, cases)
    cases = SCORED.vary(count=[9, 40, 5, 1, 0], classes=[1])
    expect.agrees(submission.count_correct, hits, cases)
    cases = SCORED.vary(count=[700], classes=[2], label_dtype=[torch.uint8, torch.int8], values=[kit.distinct])
    expect.agrees(submission.count_correct, hits, cases)


def of_many_classes(draw, count, first, label_dtype):
    """Labels first, first + 1, ... of 3000 classes; of three highest scores one is at the label, one at the class
    before it, and one at the class with the same last byte."""
    labels = first + torch.arange(count)
    highest = labels + torch.tensor([0, -1, 256])[torch.arange(count) % 3]
    given = {"scores": F.one_hot(highest, 3000), "labels": labels}
    return {
        "scores": draw(count, 3000, values=lambda *_: given["scores"].double()),
        "labels": draw(count, values=lambda *_: given["labels"].double(), dtype=label_dtype).detach(),
    }


@check("count_correct has no loop over the samples", points=0.5, category="efficiency", after=test_correct, hidden=True)
def test_correct_vectorised(submission):
    small, large = ((torch.randn(n, 5), torch.randint(0, 5, (n,))) for n in (10, 400))
    expect.vectorised(submission.count_correct, small, large, given="10 samples, and 400")


# --- ScalarLog ---------------------------------------------------------------------------------------------


def series(log, tag, given=None):
    steps, values = expect.record(list(log.series(tag)), [list], given=given)
    return expect.record(steps, [int], given=given), expect.record(values, [float], given=given)


@check("ScalarLog gives back steps and values of each tag", points=1, category="values")
def test_log(submission):
    log = submission.ScalarLog()
    for i in range(100):
        log.add_scalar("a", i, i)
        log.add_scalar("b", i * i, i)
    steps = list(range(100))
    given = 'add_scalar("a", i, i) and add_scalar("b", i * i, i) for i = 0 to 99'
    expect.close(series(log, "a", given), (steps, [float(i) for i in steps]), given=given)
    expect.equal(series(log, "b"), (steps, [float(i * i) for i in steps]), given=given)
    log = submission.ScalarLog()
    for value, step in ((0.5, 7), (-1.25, 3), (2.0, 3)):
        log.add_scalar("loss", value, global_step=step)
    given = "0.5 at step 7, -1.25 at step 3, 2.0 at step 3 again"
    expect.close(
        series(log, "loss"),
        ([7, 3, 3], [0.5, -1.25, 2.0]),
        likely={
            "sorted by step: the order in which they came is asked for": ([3, 3, 7], [-1.25, 2.0, 0.5]),
            "a later value took the place of an earlier one": ([7, 3], [0.5, 2.0]),
        },
        given=given,
    )
    expect.equal(log.series("never"), ([], []), given="the series of an unknown tag")


@check("ScalarLog counts the steps itself where none is given", points=0.5, category="values", after=test_log)
def test_log_steps(submission):
    log = submission.ScalarLog()
    for tag, value in (("a", 1.5), ("b", 2.5), ("a", 3.5), ("a", 4.5), ("b", 5.5)):
        log.add_scalar(tag, value)
    given = "1.5, 3.5, 4.5 for a, and 2.5, 5.5 for b, mixed, without steps"
    expect.close(
        series(log, "a", given),
        ([0, 1, 2], [1.5, 3.5, 4.5]),
        likely={"one count for all tags": ([0, 2, 3], [1.5, 3.5, 4.5])},
        given=given,
    )
    expect.close(series(log, "b", given), ([0, 1], [2.5, 5.5]), given=given)
    log.add_scalar("a", 6.5, 0)
    expect.close(series(log, "a"), ([0, 1, 2, 0], [1.5, 3.5, 4.5, 6.5]), given=f"{given}; then 6.5 for a at step 0")
    for value, step in ((0.5, 10), (1.5, -3), (2.5, None), (3.5, None)):
        log.add_scalar("c", value, step)
    expect.close(
        series(log, "c"),
        ([10, -3, 2, 3], [0.5, 1.5, 2.5, 3.5]),
        likely={"None stands for the last step and one more": ([10, -3, -2, -1], [0.5, 1.5, 2.5, 3.5])},
        given="0.5 at step 10, 1.5 at step -3, then 2.5 and 3.5 without steps",
    )


@check("a log keeps numbers, and shares nothing", points=0.5, category="robustness", after=test_log, hidden=True)
def test_log_objects(submission):
    log, other = submission.ScalarLog(), submission.ScalarLog()
    weight = torch.tensor(0.75, requires_grad=True)
    log.add_scalar("loss", submission.hold(2 * weight), 1)
    log.add_scalar("loss", torch.tensor([3], dtype=torch.int64), 2)
    expect.close(series(log, "loss"), ([1, 2], [1.5, 3.0]), given="a tensor that requires grad, and one of one element")
    expect.equal(other.series("loss"), ([], []), given="the series of another log, which got nothing")
    steps, values = submission.probes.changed_series(log, "loss")
    given = "the log after the lists of an earlier series were changed"
    expect.close([steps, values], [[1, 2], [1.5, 3.0]], given=given)
    given = "the series of an unknown tag after the lists of an earlier one were changed"
    expect.equal(submission.probes.changed_series(log, "never"), [[], []], given=given, trivial="nothing came")


@check("a closed log takes no more values", points=0.5, category="robustness", after=test_log)
def test_log_closed(submission):
    log, other = submission.ScalarLog(), submission.ScalarLog()
    log.add_scalar("a", 2.5, 4)
    log.close()
    expect.raises("RuntimeError", log.add_scalar, "a", 3.5, 5, given="add_scalar after close")
    expect.raises("RuntimeError", log.add_scalar, "new", 3.5, given="add_scalar with a new tag after close")
    log.close()
    expect.raises("RuntimeError", log.add_scalar, "a", 3.5, 5, given="add_scalar after close was called twice")
    expect.close(series(log, "a"), ([4], [2.5]), given="the series after close")
    other.add_scalar("a", 0.5, 1)
    expect.close(series(other, "a"), ([1], [0.5]), given="another log, which is not closed")


# --- CifarNet ----------------------------------------------------------------------------------------------

LAYERS = [
    *("convolution", "max_pool") * 3,
    *("linear",) * 2,
]
SHAPES = [[32, 32, 32], [32, 16, 16], [32, 16, 16], [32, 8, 8], [64, 8, 8], [64, 4, 4], [64], [10]]
SIZES = [(32, 3, 5, 5), (32, 32, 5, 5), (64, 32, 5, 5), (64, 1024), (10, 64)]
PARAMETERS = [shape for size in SIZES for shape in (size, (size[0],))]


@check("CifarNet has 145,578 parameters", points=1, category="parameters")
def test_net_parameters(submission):
    expect.parameters(
        submission.CifarNet(),
        145_578,
        PARAMETERS,
        likely={
            "the convolutions have no biases": 145_450,
            "the last convolution makes 32 channels, not 64": 145_578 - 32 * 801 - 512 * 64,
        },
    )


@check("CifarNet maps (N, 3, 32, 32) to (N, 10)", points=0.5, category="shapes")
def test_net_shape(submission):
    net = submission.CifarNet()
    for count in (4, 1, 3):
        expect.shape(net(torch.rand(count, 3, 32, 32)), (count, 10), given=f"{count} images")


@check(
    "CifarNet convolves and pools in turn, then has two linear layers",
    points=1,
    category="values",
    after=test_net_shape,
)
def test_net_layers(submission):
    net = submission.CifarNet().eval()
    rows = operator_trace(net, torch.rand(3, 3, 32, 32), among=("convolution", "max_pool", "linear"))
    expect.equal(
        [row["kind"] for row in rows],
        LAYERS,
        given="convolutions, max pooling and matrix products in the order in which they run",
        likely={"no max pooling": [kind for kind in LAYERS if kind != "max_pool"]},
    )
    given = "the sizes of what they put out, without the batch"
    expect.equal([row["shape"][1:] for row in rows], SHAPES, given=given)
    images = torch.rand(3, 3, 32, 32)
    each = torch.cat([net(image[None]) for image in images])
    expect.close(net(images), each, rtol=1e-3, atol=1e-5, given="the scores of 3 images at once, and one by one")


@check(
    "the linear layers do not collapse, and the scores are logits",
    points=1,
    category="values",
    after=test_net_layers,
    hidden=True,
)
def test_net_bends(submission):
    net = submission.CifarNet().eval()
    rows = operator_trace(net, torch.randn(200, 3, 32, 32) * 3, among=("linear",), values=True)
    first, last, result = rows[-3]["output"], rows[-2]["input"], rows[-1]["output"]
    design = torch.cat([first, torch.ones(200, 1)], 1).double()
    left = last.double() - design @ torch.linalg.lstsq(design, last.double()).solution
    bent = float(left.norm() / (last - last.mean(0)).norm().clamp(min=1e-12))
    expect.between(
        bent,
        1e-4,  # rounding leaves 1e-7, a sigmoid near its middle 1e-2
        torch.inf,
        unit="(what a linear function of the first layer's output leaves unexplained)",
        likely={"nothing bends between the two linear layers": bent if bent < 1e-4 else torch.inf},
        given="the input of the last linear layer, for 200 images",
    )
    scores = rows[-2]["output"]
    given = "the scores, and what the last linear layer puts out"
    expect.close(
        result,
        scores,
        rtol=1e-4,
        atol=1e-5,
        likely={"softmax: the loss applies it already": scores.softmax(1), "a ReLU on the scores": scores.relu()},
        given=given,
    )


@check("gradients reach every parameter of CifarNet", points=0.5, category="gradients", after=test_net_shape)
def test_net_gradients(submission):
    net = submission.CifarNet().train()
    expect.gradient_flow(net(torch.randn(8, 3, 32, 32)), module=net)


@check("nothing in CifarNet is tied to one device", points=0.5, category="devices", after=test_net_shape, hidden=True)
def test_net_portable(submission):
    expect.portable(submission.CifarNet, torch.rand(2, 3, 32, 32))


# --- one epoch ---------------------------------------------------------------------------------------------

LOSSES = {
    "cross entropy": (nn.CrossEntropyLoss, F.cross_entropy),
    "a margin": (nn.MultiMarginLoss, F.multi_margin_loss),
}
UNUSED = "the loss function that is given is not used"
REPORT = {"loss": float, "accuracy": float}
TRAINED = REPORT | {"step": int}


def labelled(count, classes, right):
    """Scores (count, classes), which serve as images of toys that give them back, and labels, ``right`` of them hit."""
    scores = 2 * torch.randn(count, classes)
    labels = (scores.argmax(1) + torch.randint(1, classes, (count,))) % classes
    chosen = torch.randperm(count)[:right]
    labels[chosen] = scores.argmax(1)[chosen]
    return scores, labels


class Descent:
    """Plain gradient descent on a linear classifier, one epoch: ``weight`` after it, and of each batch ``losses``,
    ``hits`` and ``sizes``. ``old`` is in each gradient at first, ``keep`` never clears them."""

    def __init__(self, start, images, labels, size, lr=0.5, loss=F.cross_entropy, keep=False, old=0.0, late=False):
        weight, bias = (value.clone().requires_grad_() for value in start)
        self.losses, self.hits, self.sizes, self.after = [], [], [], []
        for parameter in (weight, bias):
            parameter.grad = torch.full_like(parameter, old)
        for x, y in zip(images.split(size), labels.split(size), strict=True):
            scores = x @ weight.T + bias
            value = loss(scores, y)
            value.backward()
            with torch.no_grad():
                for parameter in (weight, bias):
                    parameter -= lr * parameter.grad
                    if not keep:
                        parameter.grad = None
                again = x @ weight.T + bias
            self.losses.append(float(value))
            self.after.append(float(loss(again, y)))
            self.hits.append(int((scores.argmax(1) == y).sum()))
            self.sizes.append(len(y))
        self.weight = weight.detach()

    def mean(self, values):
        return sum(value * size for value, size in zip(values, self.sizes, strict=True)) / sum(self.sizes)


def lesson():
    """A linear classifier, 22 images and labels: batches of 5 leave a last one of 2."""
    return (torch.randn(3, 4), torch.randn(3)), 2 * torch.randn(22, 4), torch.randint(0, 3, (22,))


def apart(truth, *, likely):
    """Those slips that differ from the truth, and from each other, so much that they can be told apart."""
    found = {}
    for sentence, value in likely.items():
        if all(abs(value - other) > 1e-3 * max(abs(other), 1e-2) for other in (truth, *found.values())):
            found[sentence] = value
    return found


def averages(values, sizes, truth, *, likely):
    """What other averages over batches would give, and the slips that are given; ``values`` are the batches' means."""
    count, total = len(sizes), sum(value * size for value, size in zip(values, sizes, strict=True))
    known = apart(
        truth,
        likely={
            "an average over batches: the last one is smaller than the others": sum(values) / count,
            "divided by the number of batches times the size of one: the last is smaller": total / (count * sizes[0]),
            "the means of the batches are added up and divided by the number of samples": sum(values) / sum(sizes),
            "the sum over the samples is not divided": total,
            "only the last batch is counted": values[-1],
        },
    )
    return apart(truth, likely=known | likely)


@check("train_one_epoch takes one right step for each batch", points=1.5, category="values", devices="all")
def test_epoch_steps(submission, device):
    for name, (kind, loss) in LOSSES.items():
        start, images, labels = lesson()
        model = submission.probes.toy("Linear", *start).to(device)
        optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
        loader = submission.probes.loader(images, labels, 5)
        submission.train_one_epoch(model, loader, submission.make(kind), optimizer, device)
        wrong = {UNUSED: Descent(start, images, labels, 5).weight}
        expect.close(
            model.state_dict()["weight"].cpu(),
            Descent(start, images, labels, 5, loss=loss).weight,
            rtol=1e-4,
            atol=1e-5,
            likely={
                "the gradients are never cleared": Descent(start, images, labels, 5, loss=loss, keep=True).weight,
                "the weights did not move: no step, or gradients that were cleared before it": start[0],
                "the last, smaller batch is left out": Descent(start, images[:20], labels[:20], 5, loss=loss).weight,
                "only the first batch is used": Descent(start, images[:5], labels[:5], 5, loss=loss).weight,
            }
            | (wrong if name != "cross entropy" else {}),
            given=f"a linear classifier, 22 images in batches of 5, plain SGD, {name} as the loss",
        )


@check(
    "train_one_epoch reports loss and accuracy per sample",
    points=1,
    category="values",
    after=[test_epoch_steps, test_meter, test_correct],
)
def test_epoch_report(submission):
    start, images, labels = lesson()
    model = submission.probes.toy("Linear", *start)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
    loader = submission.probes.loader(images, labels, 5)
    report = submission.train_one_epoch(model, loader, submission.make(nn.CrossEntropyLoss), optimizer, "cpu")
    report, truth = expect.record(report, REPORT, finite=True), Descent(start, images, labels, 5)
    shares = [hit / size for hit, size in zip(truth.hits, truth.sizes, strict=True)]
    given = "22 images in batches of 5, the last of 2"
    loss, share = truth.mean(truth.losses), sum(truth.hits) / 22
    after = truth.mean(truth.after)
    slips = averages(
        truth.losses,
        truth.sizes,
        loss,
        likely={"measured after the step, not with the scores that it is made from": after},
    )
    expect.close(report["loss"], loss, rtol=1e-5, atol=1e-6, likely=slips, given=given)
    slips = averages(shares, truth.sizes, share, likely={"percent: an accuracy lies between 0 and 1": 100 * share})
    trivial = "all or none may be right" if share in (0.0, 1.0) else None
    expect.close(report["accuracy"], share, trivial=trivial, likely=slips, given=given)


@check("train_one_epoch logs the loss of each batch at its step", points=1, category="values", after=[test_epoch_steps])
def test_epoch_log(submission):
    start, images, labels = lesson()
    truth = Descent(start, images, labels, 5)
    means = [sum(map(operator.mul, truth.losses[:n], truth.sizes)) / sum(truth.sizes[:n]) for n in range(1, 6)]
    for settings, first in (({"step": 40}, 40), ({}, 0)):
        model = submission.probes.toy("Linear", *start)
        optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
        loader, writer = submission.probes.loader(images, labels, 5), submission.probes.recorder()
        loss_fn, device = submission.make(nn.CrossEntropyLoss), submission.make(torch.device, "cpu")
        report = submission.train_one_epoch(model, loader, loss_fn, optimizer, device, **settings, writer=writer)
        given = f"five batches, the first of which has the number {first}"
        steps, values = logged(writer, "train_loss")
        wanted = list(range(first, first + 5))
        slips = different(
            wanted,
            likely={
                "counted from 1: the first batch has the number that is given": list(range(first + 1, first + 6)),
                "the step that came in is not used": list(range(5)),
                "the step does not move on": [first] * 5,
            },
        )
        expect.equal(steps, wanted, likely=slips, given=f"the steps of train_loss, {given}")
        expect.close(
            values,
            truth.losses,
            rtol=1e-5,
            atol=1e-6,
            likely={"the running mean is logged, not the loss of the batch": means},
            given=f"the values of train_loss, {given}",
        )
        slips = different(
            first + 5,
            likely={
                "the number of the last batch, not of the next": first + 4,
                "the number of batches, without the step that came in": 5,
            },
        )
        step = expect.record(report, TRAINED)["step"]
        expect.equal(step, first + 5, likely=slips, given=f"the step that comes back, {given}")
        expect.equal(writer.closed, 0, because="who opened the writer closes it", given="how often it is closed")
    loader = submission.probes.loader(images, labels, 5)
    step = expect.record(
        run(submission, "train_one_epoch", submission.probes.toy("Pixels", 4), loader, step=20), TRAINED
    )
    expect.equal(step["step"], 25, given="the step that comes back of five batches without a writer, step=20")


def different(truth, *, likely):
    """Those slips that show here."""
    return {sentence: value for sentence, value in likely.items() if value != truth}


def logged(writer, tag):
    """Steps and values of a tag, in order."""
    rows = [row for row in writer.rows if row["tag"] == tag]
    rows = expect.record(rows, [{"step": int, "value": float}], given=f"what the writer gets under {tag}")
    return [row["step"] for row in rows], [row["value"] for row in rows]


@check(
    "gradients from before train_one_epoch do not count",
    points=0.5,
    category="values",
    after=[test_epoch_steps],
    hidden=True,
)
def test_old_gradients(submission):
    start, images, labels = lesson()
    model = submission.probes.with_old_gradients(submission.probes.toy("Linear", *start))
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
    loader = submission.probes.loader(images, labels, 5)
    submission.train_one_epoch(model, loader, submission.make(nn.CrossEntropyLoss), optimizer, "cpu")
    once = Descent(start, images, labels, 5, old=3.0).weight
    expect.close(
        model.state_dict()["weight"],
        Descent(start, images, labels, 5).weight,
        rtol=1e-4,
        atol=1e-5,
        likely={
            "gradients are cleared after the step only: those from before are in the first step": once,
        },
        given="a model whose parameters hold gradients of 3.0 when it comes",
    )


ROUND = ["forward", "backward", "step"]


@check("train_one_epoch: each batch one call in training mode, backward, step", points=1, category="values")
def test_epoch_order(submission):
    start, images, labels = lesson()
    model = submission.probes.toy("Linear", *start).eval()  # as an evaluation may have left it
    loader = submission.probes.loader(images, labels, 8)
    loss_fn = submission.make(nn.CrossEntropyLoss)
    events = submission.probes.order(submission.train_one_epoch, model, loader, loss_fn, "cpu", 6)
    expect.equal(
        events,
        ROUND * 3,
        likely={
            "the model came in evaluation mode, and stayed in it": ["evaluation", "backward", "step"] * 3,
            "the model's forward is called directly, so that hooks do not run": ["backward", "step"] * 3,
            "each batch goes through the model twice": [*ROUND, "forward"] * 3,
            "a second pass measures what the first has trained": [*ROUND * 3, *["evaluation"] * 3],
            "the step comes before backward": ["forward", "step", "backward"] * 3,
            "one step for the whole epoch": [*["forward", "backward"] * 3, "step"],
        },
        given="what happens to a model that came in evaluation mode, in three batches",
    )
    images, labels = torch.randn(12, 3, 10, 12), torch.randint(0, 7, (12,))
    model, loader = submission.probes.toy("Chain").eval(), submission.probes.loader(images, labels, 8)
    expect.equal(
        submission.probes.order(submission.train_one_epoch, model, loader, loss_fn, "cpu"),
        ROUND * 2,
        likely={"a layer, or all of them, stayed in evaluation mode": ["evaluation", "backward", "step"] * 2},
        given="what happens to a model with batch norm and dropout that came in evaluation mode, in two batches",
    )


# --- evaluation --------------------------------------------------------------------------------------------


def expect_measured(report, scores, labels, size, loss, given, known=None):
    """Means over the samples that came, of scores (N, C) in batches of ``size``."""
    report = expect.record(report, REPORT, finite=True, given=given)
    each = loss(scores, labels, reduction="none").double()
    right = (scores.argmax(1) == labels).double()
    sizes = [len(part) for part in labels.split(size)]
    percent = {"percent: an accuracy lies between 0 and 1": 100 * float(right.mean())}
    for name, values, more in (("accuracy", right, percent), ("loss", each, known or {})):
        truth, means = float(values.mean()), [float(part.mean()) for part in values.split(size)]
        expect.close(
            report[name],
            truth,
            rtol=1e-5,
            atol=1e-6,
            trivial="a perfect model has accuracy 1 and no loss" if truth in (0.0, 1.0) else None,
            likely=averages(
                means,
                sizes,
                truth,
                likely={
                    "only the last batch is counted, and divided by the number of all samples": means[-1]
                    * (sizes[-1] / sum(sizes)),
                    **more,
                },
            ),
            given=f"{name} of {given}",
        )


@check(
    "evaluate returns mean loss and accuracy over the samples",
    points=1.5,
    category="values",
    after=[test_correct, test_meter],
    devices="all",
)
def test_evaluate(submission, device):
    known = torch.randint(0, 4, (10_000,))
    five = torch.tensor([[1.0, 0.0]] * 4 + [[0.0, 1.0]]), torch.zeros(5, dtype=torch.int64)
    for (scores, labels), size, given in (
        ((8.0 * F.one_hot(known, 4), known), 128, "10,000 images in batches of 128, all of them right"),
        (five, 4, "five samples in batches of four, with losses 0, 0, 0, 0 | 1"),
    ):
        loader = submission.probes.loader(scores, labels, size)
        model = submission.probes.toy("Pixels", scores.shape[1]).to(device)
        report = submission.evaluate(model, loader, submission.make(nn.MultiMarginLoss), device)
        more = {UNUSED: float(F.cross_entropy(scores, labels))}
        expect_measured(report, scores, labels, size, F.multi_margin_loss, given, more)
    scores, labels = labelled(410, 10, 263)
    for name, size in (("cross entropy", 64), ("a margin", 7), ("cross entropy", 1000)):
        kind, loss = LOSSES[name]
        model = submission.probes.toy("Pixels").to(device)
        loader = submission.probes.loader(scores, labels, size)
        report = submission.evaluate(model, loader, submission.make(kind), device)
        entropy = float(F.cross_entropy(scores, labels))
        more = {UNUSED: entropy} if name != "cross entropy" else {}
        given = f"410 images in batches of {size}, 263 of them right, {name} as the loss"
        expect_measured(report, scores, labels, size, loss, given, more)
    scores, labels = labelled(1, 10, 1)
    model = submission.probes.toy("Pixels").to(device)
    report = submission.evaluate(
        model, submission.probes.loader(scores, labels, 4), submission.make(nn.CrossEntropyLoss), device
    )
    expect_measured(report, scores, labels, 1, F.cross_entropy, "a single image, which is right", {})


@check("evaluate runs in evaluation mode without gradients", points=1, category="values")
def test_evaluate_mode(submission):
    scores, labels = labelled(50, 10, 41)
    model = submission.probes.toy("Pixels", moody=True)
    loader = submission.probes.loader(scores, labels, 16)
    call = submission.evaluate, model, loader, submission.make(nn.CrossEntropyLoss), "cpu"
    expect.restores_mode(
        model,
        *call,
        ran=False,
        likely={"the model was in training mode": [True] * 4},
        given="50 images in batches of 16",
    )
    expect.equal(
        [row["gradients"] for row in passes_seen(model, *call)],
        [False] * 4,
        likely={"gradients are recorded for nothing": [True] * 4},
        given="whether gradients are recorded, in each pass",
    )


@check("evaluate leaves everything as it was", points=1, category="values", after=test_evaluate_mode)
def test_evaluate_traces(submission):
    images, labels = torch.randn(12, 3, 10, 12), torch.randint(0, 7, (12,))
    pairs = [(images[:8], labels[:8]), (images[8:], labels[8:])]
    model, loss_fn = (
        submission.probes.partly_frozen(submission.probes.toy("Chain")),
        submission.make(nn.CrossEntropyLoss),
    )
    changed = submission.probes.left_behind(submission.evaluate, model, pairs, loss_fn)
    because = "a measurement changes nothing"
    expect.equal(changed, [], because=because, given="what evaluate changed in a model with batch norm and dropout")
    for training in (True, False):
        model.train(training)
        modes, recording = submission.probes.modes_after(submission.evaluate, model, pairs, loss_fn)
        given = f"a model that came in {'training' if training else 'evaluation'} mode"
        expect.equal(
            modes,
            [training] * len(modes),
            likely={"only the model itself gets its mode back, not its layers": [training] + [False] * (len(modes) - 1)}
            if training
            else None,
            given=f"model.training and that of each layer afterwards, {given}",
        )
        expect.equal(recording, False, given="whether gradients are recorded after evaluate was called under no_grad")


# --- both --------------------------------------------------------------------------------------------------


def run(submission, name, model, loader, device="cpu", **more):
    """Call train_one_epoch, with a rate of 0, or evaluate."""
    loss_fn = submission.make(nn.CrossEntropyLoss)
    if name == "evaluate":
        return submission.evaluate(model, loader, loss_fn, device)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.0)
    return submission.train_one_epoch(model, loader, loss_fn, optimizer, device, **more)


@check(
    "samples are counted as they come, not by the data set",
    points=0.5,
    category="values",
    after=[test_epoch_report, test_evaluate],
    hidden=True,
)
def test_counts_what_comes(submission):
    scores, labels = labelled(29, 10, 13)
    for name in ("train_one_epoch", "evaluate"):
        loader = submission.probes.dropping_loader(scores, labels, 8)
        device = submission.make(torch.device, "cpu")
        report = expect.record(run(submission, name, submission.probes.toy("Pixels"), loader, device), REPORT)
        kept = slice(0, 24)
        loss = float(F.cross_entropy(scores[kept], labels[kept]))
        share = float((scores.argmax(1) == labels)[kept].double().mean())
        given = f"{name}, and a loader that yields 24 of 29 samples"
        expect.close(
            report["loss"],
            loss,
            rtol=1e-5,
            atol=1e-6,
            likely={"divided by len(loader.dataset): five samples never came": loss * 24 / 29},
            given=given,
        )
        trivial = "none may be right" if share in (0.0, 1.0) else None
        expect.close(report["accuracy"], share, trivial=trivial, given=given)

        loader = submission.probes.stream(scores[:17], labels[:17], 8)
        report = run(submission, name, submission.probes.toy("Pixels"), loader)
        report, given = expect.record(report, REPORT), f"{name}, and a loader of 17 samples that has no len"
        share = float((scores.argmax(1) == labels)[:17].double().mean())
        trivial = "none may be right" if share in (0.0, 1.0) else None
        expect.close(report["loss"], float(F.cross_entropy(scores[:17], labels[:17])), rtol=1e-5, atol=1e-6,
                     given=f"{given}; the last batch has one sample")  # fmt: skip
        expect.close(report["accuracy"], share, trivial=trivial, given=given)
        expect.equal(loader.passes, 1, given=f"{given}; how often it is passed over")
    model, loader = submission.probes.toy("Pixels"), submission.probes.stream(scores[:17], labels[:17], 8)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.0)
    loss_fn = submission.make(nn.CrossEntropyLoss)
    submission.fit(model, loader, loader, loss_fn, optimizer, "cpu", 2)  # which needs no len either


@check(
    "an empty loader gives zeros",
    points=0.5,
    category="robustness",
    after=[test_epoch_report, test_epoch_log, test_evaluate, test_meter_empty],
    hidden=True,
)
def test_nothing_comes(submission):
    scores, labels = labelled(5, 10, 3)
    for name, more in (("train_one_epoch", {"step": 7}), ("evaluate", {})):
        loader = submission.probes.dropping_loader(scores, labels, 8)
        report = run(submission, name, submission.probes.toy("Pixels"), loader, **more)
        given = f"{name}, and a loader that yields no batch"
        zeros, trivial = {"loss": 0.0, "accuracy": 0.0}, "there is nothing to measure"
        expect.close(expect.record(report, REPORT, given=given), zeros, trivial=trivial, given=given)
        if more:
            expect.equal(expect.record(report, TRAINED)["step"], 7, given=f"the step that comes back, {given}, step=7")
    for training in (True, False):
        model = submission.probes.toy("Pixels").train(training)
        modes, _ = submission.probes.modes_after(submission.evaluate, model, [], submission.make(nn.CrossEntropyLoss))
        given = f"a model that came in {'training' if training else 'evaluation'} mode, and a loader without batches"
        given = f"model.training and that of each layer afterwards, {given}"
        expect.equal(modes, [training] * len(modes), given=given)


@check(
    "no graph is kept from batch to batch",
    points=0.5,
    category="efficiency",
    hidden=True,
)
def test_graphs(submission):
    scores, labels = labelled(32, 10, 11)
    for name, train in (("train_one_epoch", True), ("evaluate", False)):
        loader, loss_fn = submission.probes.loader(scores, labels, 4), submission.make(nn.CrossEntropyLoss)
        alive = submission.probes.graphs_alive(getattr(submission, name), loader, loss_fn, train)
        expect.between(
            max(alive),
            0,
            1,
            unit="graphs of earlier batches at once",
            likely={"the losses are added up as tensors, each with its graph: .item() gives the number": 7},
            given=f"{name} with 8 batches",
        )


@check("training and evaluation move every batch to the device", points=0.5, category="devices", hidden=True)
def test_moves(submission):
    start, images, labels = lesson()
    loader, loss_fn = submission.probes.loader(images, labels, 8), submission.make(nn.CrossEntropyLoss)
    model = submission.probes.toy("Linear", *start).to("meta")
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.1)
    runs = {
        "train_one_epoch": (submission.train_one_epoch, model, loader, loss_fn, optimizer, "meta"),
        "evaluate": (submission.evaluate, model, loader, loss_fn, "meta"),
        "fit": (submission.fit, model, loader, loader, loss_fn, optimizer, "meta", 1),
    }
    for name, call in runs.items():
        given = f"{name} with batches on the CPU and a model on another device"
        expect.follows_device(*call, expected="each batch on the device that is given", given=given)


# --- the whole training ------------------------------------------------------------------------------------

KEYS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "lr")
HISTORY = {key: [float] for key in KEYS}


class Pages:
    """Images for the toy Book, one page of scores for each epoch and one more, of ``train`` and ``test`` samples; of a
    page so many are right as ``shares`` tell. What an epoch reports of them is known."""

    def __init__(self, train, test, train_hits, test_hits):
        self.labels = [torch.randint(0, 10, (count,)) for count in (train, test)]
        self.pages = [
            torch.stack([self.page(labels, right) for right in counts])
            for labels, counts in zip(self.labels, (train_hits, test_hits), strict=True)
        ]
        self.images = [pages.permute(1, 0, 2).flatten(1) for pages in self.pages]

    @staticmethod
    def page(labels, right):
        wrong = torch.randperm(len(labels))[right:]
        answers = labels.clone()
        answers[wrong] = (labels[wrong] + torch.randint(1, 10, (len(wrong),))) % 10
        return 3.0 * F.one_hot(answers, 10) + 0.1 * torch.randn(len(labels), 10)

    def loss(self, which, page):
        return float(F.cross_entropy(self.pages[which][page], self.labels[which]))

    def share(self, which, page):
        return float((self.pages[which][page].argmax(1) == self.labels[which]).double().mean())

    def loaders(self, submission, size=16):
        return [
            submission.probes.loader(images, labels, size)
            for images, labels in zip(self.images, self.labels, strict=True)
        ]

    def history(self, epochs):
        """The truth: trained with page n of epoch n, measured on the next."""
        return {
            "train_loss": [self.loss(0, n) for n in range(epochs)],
            "train_accuracy": [self.share(0, n) for n in range(epochs)],
            "test_loss": [self.loss(1, n + 1) for n in range(epochs)],
            "test_accuracy": [self.share(1, n + 1) for n in range(epochs)],
        }


def story():
    """Three epochs of three batches: right on 20, 36, 28 of 40 as they train, and on 45, 15, 35 of 50 after each."""
    return Pages(40, 50, (20, 36, 28, 12), (25, 45, 15, 35))


@check(
    "fit records what each epoch was like, in order",
    points=1.5,
    category="values",
    after=[test_epoch_report, test_epoch_order, test_evaluate, test_evaluate_mode, test_evaluate_traces],
    devices="all",
)
def test_history(submission, device):
    pages, epochs = story(), 3
    model = submission.probes.book(3).to(device)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.25)
    loss_fn = submission.make(nn.CrossEntropyLoss)
    history = submission.fit(model, *pages.loaders(submission), loss_fn, optimizer, device, epochs)
    history, truth = expect.record(history, HISTORY, finite=True), pages.history(epochs)
    about = "a model that is right on 45, 15, 35 of 50 test images after one, two, three epochs"
    expect.close(
        history["train_accuracy"],
        truth["train_accuracy"],
        likely={
            "the training set is measured after the epoch, not as it trains": [pages.share(0, n + 1) for n in range(3)],
            "this is the accuracy on the test set": truth["test_accuracy"],
        },
        given=f"train_accuracy; {about}",
    )
    expect.close(
        history["test_accuracy"],
        truth["test_accuracy"],
        likely={
            "measured before the epoch, not after it": [0.5, 0.9, 0.3],
            "sorted: each entry belongs to its epoch": [0.3, 0.7, 0.9],
            "the best so far, not what was measured": [0.9, 0.9, 0.9],
            "every entry is measured after the last epoch": [0.7, 0.7, 0.7],
            "this is the accuracy on the training set": [pages.share(0, n + 1) for n in range(3)],
        },
        given=f"test_accuracy; {about}",
    )
    expect.close(history["train_loss"], truth["train_loss"], rtol=1e-5, atol=1e-6, given=f"train_loss; {about}")
    expect.close(
        history["test_loss"],
        truth["test_loss"],
        rtol=1e-5,
        atol=1e-6,
        likely={"the loss of training": truth["train_loss"]},
        given=f"test_loss; {about}",
    )
    given = "lr; SGD with lr=0.25 and no scheduler"
    expect.equal(history["lr"], [0.25] * 3, trivial="without a scheduler the rate stays", given=given)


@check("each fit starts a history of its own", points=0.5, category="robustness", after=test_history, hidden=True)
def test_history_anew(submission):
    pages, loss_fn = story(), submission.make(nn.CrossEntropyLoss)
    loaders = pages.loaders(submission)
    for epochs in (0, 1, 2):
        model = submission.probes.book(3)
        optimizer = submission.make(torch.optim.Adam, model.parameters(), lr=0.125)
        history = submission.fit(model, *loaders, loss_fn, optimizer, "cpu", epochs)
        lengths = {key: len(values) for key, values in expect.record(history, HISTORY).items()}
        given = f"the lengths of the lists, epochs={epochs}, after {epochs} earlier calls"
        expect.equal(lengths, dict.fromkeys(KEYS, epochs), given=given)


@check(
    "the scheduler makes one step after each epoch",
    points=1.5,
    category="values",
    after=[test_epoch_order, test_evaluate_mode, test_evaluate_traces],
)
def test_schedule(submission):
    pages = Pages(48, 48, (20, 36, 28, 12), (25, 45, 15, 35))
    loss_fn = submission.make(nn.CrossEntropyLoss)
    model, loaders = submission.probes.book(3), pages.loaders(submission)
    rates, events = submission.probes.schedules(submission.fit, model, *loaders, loss_fn, 3, "step")
    given = "SGD with lr=0.8, StepLR(step_size=1, gamma=0.5), three epochs of three batches"
    expect.equal(
        events,
        [*["step"] * 3, "schedule"] * 3,
        likely={
            "the scheduler's step comes before the optimiser's": ["schedule", *["step"] * 3] * 3,
            "the scheduler makes a step with each batch": ["step", "schedule"] * 9,
            "the scheduler makes no step": ["step"] * 9,
            "it is told a number, which only ReduceLROnPlateau takes for a loss: to others it is the epoch": (
                [*["step"] * 3, "schedule with an argument"] * 3
            ),
            "the scheduler makes no step after the last epoch": ([*["step"] * 3, "schedule"] * 3)[:-1],
        },
        given=f"steps of the optimiser and of the scheduler; {given}",
    )
    expect.close(
        expect.record(rates, [float], finite=True),
        [0.8, 0.4, 0.2],
        likely={
            "the rate after the scheduler's step: the epoch was trained with the one before": [0.4, 0.2, 0.1],
        },
        given=f"lr; {given}",
    )


@check(
    "ReduceLROnPlateau is told the test loss",
    points=1,
    category="values",
    after=[test_epoch_order, test_evaluate, test_evaluate_mode, test_evaluate_traces],
    hidden=True,
)
def test_plateau(submission):
    pages = Pages(48, 48, (20, 32, 8, 12, 16), (25, 30, 20, 40, 45))
    loss_fn, model = submission.make(nn.CrossEntropyLoss), submission.probes.book(3)
    loaders = pages.loaders(submission)
    rates, _ = submission.probes.schedules(submission.fit, model, *loaders, loss_fn, 4, "plateau")
    expect.close(
        expect.record(rates, [float], finite=True),
        [0.8, 0.8, 0.4, 0.4],
        likely={
            "it is told another number than the test loss": [0.8, 0.8, 0.8, 0.4],
            "the scheduler makes no step": [0.8, 0.8, 0.8, 0.8],
        },
        given="lr; ReduceLROnPlateau(factor=0.5, patience=0), a test loss that is worse only after the second epoch",
    )


@check(
    "fit logs batches by a running step, and epochs from 1",
    points=1.5,
    category="values",
    after=[test_history, test_epoch_log],
)
def test_fit_log(submission):
    pages, loss_fn = story(), submission.make(nn.CrossEntropyLoss)
    for scheduled in (False, True):
        model, writer = submission.probes.book(3), submission.probes.recorder()
        optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.25)
        scheduler = submission.make(torch.optim.lr_scheduler.ExponentialLR, optimizer, 0.5) if scheduled else None
        device = submission.make(torch.device, "cpu")
        submission.fit(model, *pages.loaders(submission), loss_fn, optimizer, device, 3, scheduler, writer)
        given = "three epochs of three batches" + (", with a scheduler" if scheduled else "")
        expect_rows(writer, pages, given)
    scores, labels = labelled(12, 10, 7)
    model, writer = submission.probes.toy("Pixels"), submission.probes.recorder()
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.0)
    train, test = submission.probes.uneven(scores, labels, (2, 3, 1)), submission.probes.loader(scores, labels, 8)
    submission.fit(model, train, test, loss_fn, optimizer, "cpu", 3, writer=writer)
    expect.equal(
        logged(writer, "train_loss")[0],
        list(range(6)),
        likely={"every epoch is taken to have as many batches as the first": [0, 1, 2, 3, 4, 4]},
        given="the steps of train_loss; epochs of two batches, three, and one",
    )


def expect_rows(writer, pages, given):
    """What a writer gets in three epochs of three batches."""
    steps, values = logged(writer, "train_loss")
    expect.equal(
        steps,
        list(range(9)),
        likely={
            "the steps start anew with each epoch: one curve is drawn over the other": [0, 1, 2] * 3,
            "a row for each epoch, where one for each batch is asked for": [1, 2, 3],
            "no row": [],
        },
        given=f"the steps of train_loss; {given}",
    )
    batches = [
        float(F.cross_entropy(scores, labels))
        for page in pages.pages[0][:3]
        for scores, labels in zip(page.split(16), pages.labels[0].split(16), strict=True)
    ]
    expect.close(values, batches, rtol=1e-5, atol=1e-6, given=f"the values of train_loss; {given}")
    truth = pages.history(3)
    for tag in ("test_loss", "test_accuracy"):
        steps, values = logged(writer, tag)
        expect.equal(
            steps,
            [1, 2, 3],
            likely={
                "epochs are counted from 0": [0, 1, 2],
                "the number of the epoch does not move on": [1, 1, 1],
                "the step of the last batch, where the number of the epoch is asked for": [3, 6, 9],
                "no row": [],
            },
            given=f"the steps of {tag}; {given}",
        )
        expect.close(values, truth[tag], rtol=1e-5, atol=1e-6, given=f"the values of {tag}; {given}")
    expect.equal(writer.closed, 0, because="who opened the writer closes it", given="how often fit closes it")


@check(
    "fit trains every epoch in training mode",
    points=0.5,
    category="values",
    after=[test_epoch_steps, test_epoch_order, test_evaluate_mode, test_evaluate_traces],
    hidden=True,
)
def test_fit_modes(submission):
    pages, loss_fn = story(), submission.make(nn.CrossEntropyLoss)
    model, loaders = submission.probes.book(3).eval(), pages.loaders(submission)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.25)
    rows = passes_seen(model, submission.fit, model, *loaders, loss_fn, optimizer, "cpu", 2)
    expect.equal(
        [row["training"] for row in rows if row["gradients"]],
        [True] * 6,
        likely={
            "only the first epoch is trained in training mode": [True] * 3 + [False] * 3,
            "the model came in evaluation mode, and stayed in it": [False] * 6,
            "gradients are recorded in the evaluations, too": ([True] * 3 + [False] * 4) * 2,
        },
        given="whether the model is in training mode, in each pass with gradients of two epochs of three batches",
    )
