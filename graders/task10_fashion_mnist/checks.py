"""Checks for task 10: the Fashion-MNIST classifier, from the file to the accuracy of every epoch."""

import gzip
import itertools
import struct

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    any_seed,
    check,
    expect,
    fill_by_shape,
    normal,
    operator_trace,
    parameter_count,
    passes_seen,
    registered_parameters,
    traces_left,
)


def idx_file(array, kind=8):
    """The bytes of an idx file that holds a uint8 array."""
    header = struct.pack(">BBBB", 0, 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def as_array(content):
    return np.frombuffer(content, np.uint8).copy()


def random_bytes(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8).numpy()


def joined(batches):
    """One tensor of the batches of a pass, empty if there are none."""
    return torch.cat([torch.as_tensor(batch) for batch in batches]) if batches else torch.tensor([])


def clothes(count):
    """Images with 784 random grey levels, and labels that tell them apart: 0, 1, 2, ..."""
    return random_bytes(count, 28, 28), np.arange(count, dtype=np.uint8)


# Files


@check("load_idx reads images and labels, packed or not", points=1, category="values")
def test_idx_values(submission):
    for shape, packed, name in (
        ((5, 7, 3), False, "images-idx3-ubyte"),
        ((300,), True, "labels-idx1-ubyte.gz"),
        ((2, 3, 4), True, "images-idx3-ubyte"),
        ((4, 3), False, "table.gz"),
        ((2, 1, 3, 2), False, "four"),
        ((0, 28, 28), False, "no-images"),
        ((3, 0), False, "no-columns"),
    ):
        array = random_bytes(*shape)
        content = gzip.compress(idx_file(array)) if packed else idx_file(array)
        path = submission.probes.write_file(as_array(content), name)
        expect.close(
            submission.load_idx(path),
            array,
            trivial="a file without images is a file, too" if not array.size else None,
            likely={"the header is among the values": as_array(idx_file(array))} if array.size else None,
            given=f"an idx file of shape {shape}, {'packed' if packed else 'not packed'}, whose name is {name}",
        )


@check("load_idx refuses a file that is not whole or not idx", points=1, category="robustness", hidden=True)
def test_idx_refuses(submission):
    array = random_bytes(3, 4)
    wrong = {
        "a file of 32-bit integers": idx_file(array, kind=12)[:12] + array.astype(">i4").tobytes(),
        "a file of signed bytes": idx_file(array, kind=9),
        "a text file": b"label,pixel\n" * 10,
        "a file that does not begin with two bytes of zero": b"\1\0" + idx_file(array)[2:],
        "a file that ends early": idx_file(array)[:-2],
        "a file with values too many": idx_file(array) + b"ab",
        "a packed file that ends early": gzip.compress(idx_file(array)[:-2]),
        "a file that ends within its header": idx_file(array)[:7],
        "a file of two bytes": idx_file(array)[:2],
        "a file of three bytes": idx_file(array)[:3],
        "values behind a shape (0, 28)": idx_file(random_bytes(0, 28)) + b"ab",
        "an empty file": b"",
    }
    for given, content in wrong.items():
        path = submission.probes.write_file(as_array(content), "wrong")
        expect.raises("ValueError", submission.load_idx, path, given=given)


# Loaders


@check("make_loaders gives float images (B, 1, 28, 28) and integer labels", points=1, category="shapes")
def test_batches(submission):
    train, test = clothes(70), clothes(33)
    for sets in ((train, test), (test, train)):  # the last batch of either may hold one image
        loaders = submission.make_loaders(*sets, batch_size=32)
        for loader, count in zip(loaders, (len(labels) for _, labels in sets), strict=True):
            images, labels = submission.probes.batches(loader)
            for batch, label in zip(images, labels, strict=True):
                expect.shape(
                    batch,
                    (len(label), 1, 28, 28),
                    likely={
                        "the channel axis is last: PyTorch wants it second": (len(label), 28, 28, 1),
                        "the channel axis is missing": (len(label), 28, 28),
                    },
                )
                expect.dtype(batch, torch.float32)
                expect.dtype(label, torch.int64)
            sizes = [32] * (count // 32) + [count % 32]
            likely = {
                "the last, smaller batch is left out": sizes[:-1],
                "batch_size is ignored": [64] * (count // 64) + [count % 64],
            }
            given = f"the sizes of the batches of {count} images, batch_size=32"
            expect.equal(sorted(map(len, labels), reverse=True), sizes, likely=likely, given=given)
    for loader, count in zip(submission.make_loaders(train, test), (70, 33), strict=True):
        _, labels = submission.probes.batches(loader)
        given = f"the sizes of the batches of {count} images, batch_size left out"
        sizes = [count] if count < 64 else [64, count - 64]
        expect.equal(sorted(map(len, labels), reverse=True), sizes, given=given)
    for loader in submission.make_loaders(clothes(1), clothes(1)):
        images, _ = submission.probes.batches(loader)
        expect.equal([tuple(batch.shape) for batch in images], [(1, 1, 28, 28)], given="the batches of one image")


@check("both sets are scaled by one formula to about unit size", points=1, category="values", after=test_batches)
def test_scaling(submission):
    train, test = clothes(40), clothes(30)
    test[0][:] //= 2  # darker: its own mean and deviation are others
    train, test = ((images.swapaxes(1, 2), np.repeat(labels, 2)[::2]) for images, labels in (train, test))  # views
    loaders = submission.make_loaders(train, test, batch_size=16)
    parts = [[joined(part) for part in submission.probes.batches(loader)] for loader in loaders]
    (got, raw), (got_dark, dark) = (
        (images.double(), torch.from_numpy(source[0])[labels.long()].double().unsqueeze(1))
        for (images, labels), source in zip(parts, (train, test), strict=True)
    )  # the labels say which image it is
    slope = (got.max() - got.min()) / (raw.max() - raw.min())
    expect.between(float(slope) * 255, 0.2, 20.0, unit="(white minus black, scaled)")
    offset = got.min() - slope * raw.min()
    expect.close(got, slope * raw + offset, rtol=1e-4, atol=1e-4)
    expect.close(
        got_dark,
        slope * dark + offset,
        rtol=1e-4,
        atol=1e-4,
        likely={
            "the test images keep their grey levels 0..255": dark,
            "the test images are standardised with their own mean": (dark - dark.mean()) / dark.std(),
        },
        given="test images that are darker than the training images",
    )


@check("the training loader shuffles every pass anew", points=0.5, category="robustness", after=test_batches)
def test_shuffle(submission):
    loader, _ = submission.make_loaders(clothes(90), clothes(8), batch_size=32)
    passes = [joined(submission.probes.batches(loader)[1]).tolist() for _ in range(3)]
    for number, seen in enumerate(passes, start=1):
        expect.equal(sorted(seen), list(range(90)), given=f"pass {number} of 3", likely={"nothing is left for it": []})
    given = "whether a pass has the order of the set, which may be sorted by class"
    expect.equal(list(range(90)) in passes, False, given=given)
    pairs = max(sum(after == before + 1 for before, after in itertools.pairwise(seen)) for seen in passes)
    expect.true(
        pairs < 25,
        expected="neighbours of the set that are apart",
        got=f"{pairs} of 89 neighbours that are still side by side",
        likely={"only the batches change their places": pairs > 80},
        given="three passes over 90 images in batches of 32",
    )
    given = "whether three passes have the same order"
    expect.equal(passes[0] == passes[1] == passes[2], False, because="a new order for every pass", given=given)


@check("the test loader keeps the order of its set", points=1, category="values", after=test_batches)
def test_order(submission):
    _, loader = submission.make_loaders(clothes(8), clothes(75), batch_size=32)
    for _ in range(2):
        expect.equal(joined(submission.probes.batches(loader)[1]).tolist(), list(range(75)))


# The network

LAYERS = ["convolution"] * 4 + ["linear"] * 2


@check("FashionCNN maps (N, 1, 28, 28) to one score per class", points=0.5, category="shapes")
def test_output_shape(submission):
    net = submission.FashionCNN()
    for count in (5, 2):
        expect.shape(net(torch.rand(count, 1, 28, 28)), (count, 10), given=f"{count} images")
    net = submission.FashionCNN(in_channels=3, num_classes=4).eval()
    given = "in_channels=3, num_classes=4, one image in evaluation mode"
    likely = {"num_classes is ignored": (1, 10), "the axis of length 1 is squeezed away": (4,)}
    expect.shape(net(torch.rand(1, 3, 28, 28)), (1, 4), given=given, likely=likely)
    net = submission.FashionCNN(in_channels=2, num_classes=1)
    expect.shape(net(torch.rand(3, 2, 28, 28)), (3, 1), given="in_channels=2, num_classes=1, 3 images")


@check("FashionCNN calls four convolutions, then two linear layers", points=1, category="values")
def test_layers(submission):
    net = submission.FashionCNN().eval()
    rows = operator_trace(net, torch.rand(2, 1, 28, 28))
    expect.equal(
        [row["kind"] for row in rows],
        LAYERS,
        given="convolutions and matrix products in the order in which they run",
        likely={
            "three convolutions": LAYERS[1:],
            "five convolutions": ["convolution", *LAYERS],
            "three linear layers": [*LAYERS, "linear"],
            "one linear layer": LAYERS[:-1],
        },
    )


@check("FashionCNN has at most 2,000,000 parameters, all trainable", points=0.5, category="parameters")
def test_parameters(submission):
    net = submission.FashionCNN()
    expect.between(parameter_count(net), 1000, 2_000_000, unit="parameters")
    frozen = [item["name"] for item in registered_parameters(net) if not item["requires_grad"]]
    expect.equal(frozen, [], because="every parameter is trained", given="the parameters that want no gradient")


PLACES = ["the first convolution", "the second", "the third", "the fourth", "the first linear layer"]


@check("a non-linearity follows each layer but the last", points=1, category="values", after=test_layers, hidden=True)
def test_activations(submission):
    net = submission.FashionCNN().double().eval()
    bent = submission.probes.bent_layers(net, normal(4, 1, 28, 28))
    names = [name for name, bends in zip(PLACES, bent, strict=False) if not bends]
    expect.equal(
        names,
        [],
        because="pooling and normalisation are no non-linearity",
        given="the layers from which the values reach the next layer without a non-linearity",
        likely={"there is no non-linearity at all": PLACES},
    )


@check("the scores are logits or log-probabilities", points=1, category="values", after=test_output_shape)
def test_scores(submission):
    net = submission.FashionCNN().eval()
    scores = net(3 * torch.randn(64, 1, 28, 28)).detach()
    expect.shape(scores, (64, 10))
    least = float(scores.min())
    sums_to_one = bool((scores >= 0).all()) and torch.allclose(scores.sum(1), torch.ones(64), atol=1e-4)
    likely = {
        "softmax: the cross entropy applies it already": sums_to_one,
        "a ReLU on the scores: a wrong class cannot get a low one": least == 0,
        "a sigmoid on the scores": bool(((scores > 0) & (scores < 1)).all()) and not sums_to_one,
    }
    expect.between(
        least,
        -torch.inf,
        -1e-30,
        unit="(the least of 64 × 10 scores)",
        likely={sentence: least if found else torch.inf for sentence, found in likely.items()},
    )


@check("FashionCNN trains on a batch of one image", points=0.5, category="values", after=test_output_shape, hidden=True)
def test_batch_of_one(submission):
    net = submission.FashionCNN().train()
    scores = net(torch.rand(1, 1, 28, 28))
    expect.shape(scores, (1, 10), given="one image in training mode")
    F.cross_entropy(scores, torch.tensor([3])).backward()


@check(
    "nothing is drawn at random in evaluation mode", points=0.5, category="values", after=test_output_shape, hidden=True
)
def test_rests(submission):
    net, images = submission.FashionCNN().eval(), torch.rand(6, 1, 28, 28)
    draws = operator_trace(net, images, among=("random",))
    likely = {"a dropout acts in evaluation mode, too": 1, "two dropouts act in evaluation mode, too": 2}
    expect.equal(len(draws), 0, because="dropout rests", given="draws of one pass in evaluation mode", likely=likely)
    alone = torch.cat([net(image[None]).detach() for image in images])
    given = "images one by one, and in one batch, in evaluation mode"
    expect.close(net(images).detach(), alone, rtol=1e-4, atol=1e-5, given=given)
    views = images.mT.contiguous().mT
    given = "the same images as transposed views"
    expect.close(net(views).detach(), alone, rtol=1e-4, atol=1e-5, given=given)


@check("gradients reach every parameter", points=0.5, category="gradients", after=test_output_shape)
def test_gradients(submission):
    net = submission.FashionCNN().train()
    expect.gradient_flow(net(torch.rand(6, 1, 28, 28)), module=net)


@check("two networks share nothing, and each has its own channels", points=0.5, category="parameters",
       after=test_output_shape, hidden=True)  # fmt: skip
def test_own_parameters(submission):
    first, second = submission.FashionCNN(in_channels=3, num_classes=4), submission.FashionCNN(3, 4)
    before = {name: value.clone() for name, value in second.state_dict().items()}
    fill_by_shape(first)
    given = "a second network, after the first was filled with other values"
    expect.close(dict(second.state_dict()), before, trivial="nothing was done to it", given=given)
    channels = [torch.rand(4, 28, 28, requires_grad=True) for _ in range(3)]
    scores = second.train()(torch.stack(channels, dim=1))  # (4, 4)
    expect.gradient_flow(scores, *channels, given="in_channels=3, in training mode; each channel is an input by itself")


@check("nothing in the network is tied to one device", points=0.5, category="devices", after=test_output_shape)
def test_portable(submission):
    expect.portable(submission.FashionCNN, torch.rand(2, 1, 28, 28))


@check(
    "FashionCNN learns one batch of 32 images by heart",
    points=1.5,
    category="convergence",
    after=[test_scores, test_gradients],
    seconds=120,
)
def test_overfit(submission, dataset, calibration):
    images, labels = dataset("wardrobe").generate(32, seed=any_seed())
    scaled = torch.from_numpy(images).unsqueeze(1).float() / 255
    labels = torch.from_numpy(labels)
    net = submission.FashionCNN()
    scores = submission.probes.learn_batch(net, scaled, labels, 300)
    loss = float(F.cross_entropy(scores, labels))
    calibration.holds("overfit_loss", loss, unit="(loss after 300 steps of Adam)")


# One epoch and one evaluation

REPORT = {"loss": float, "accuracy": float}


def toy_images(count, scores):
    """Images whose first pixels are the given scores, the others random; (count, 1, 28, 28)."""
    images = torch.rand(count, 784)
    images[:, : scores.shape[1]] = scores
    return images.reshape(count, 1, 28, 28)


def toy_set(count, hits):
    """Images that score ``hits`` of ``count`` labels right when read by the toy Pixels, and the labels."""
    scores = torch.randn(count, 10) * 2
    return toy_images(count, scores), scores, labels_for(scores, hits)


def labels_for(scores, hits):
    """Labels of which the scores are right on so many."""
    right = scores.argmax(1)
    labels = (right + torch.randint(1, 10, (len(right),))) % 10
    chosen = torch.randperm(len(right))[:hits]
    labels[chosen] = right[chosen]
    return labels


def per_batch(values, size):
    """The mean of the batches' means, each counted alike."""
    return float(torch.stack([part.mean() for part in values.double().split(size)]).mean())


def average_slips(values, size):
    """What other averages over batches would give, where the last batch is smaller and they can be told apart."""
    if len(values) % size == 0:
        return {}
    total, batches, mean = float(values.double().sum()), -(-len(values) // size), float(values.double().mean())
    slips = {
        "an average over batches: the last one is smaller than the others": per_batch(values, size),
        "divided by batches times batch size: the last batch is smaller": total / (batches * size),
        "the sum of the batches' means is divided by the number of samples": per_batch(values, size)
        * batches
        / len(values),
    }
    return {sentence: value for sentence, value in slips.items() if abs(value - mean) > 1e-4 * mean}


FULL_BATCHES = "410 images in batches of 100, a loader that leaves the last, smaller batch out"


def over_the_set(values, size):
    """What divides by the number of all 410 images."""
    all_of_them = float(values.double().sum()) / 410
    return {"divided by the size of the data set, of which the loader leaves some out": all_of_them}


LOSSES = {
    "cross entropy": (nn.CrossEntropyLoss, F.cross_entropy),
    "a margin": (nn.MultiMarginLoss, F.multi_margin_loss),
}


def expect_report(report, scores, labels, size, loss, given, known=None, slips=average_slips):
    """A report of loss and accuracy as means over samples; other keys may stand beside them."""
    report = expect.record(report, REPORT, finite=True, given=given)
    hits = (scores.argmax(1) == labels).double()
    share, batches = float(hits.mean()), -(-len(labels) // size)
    likely = {"percent: an accuracy lies between 0 and 1": 100 * share} | slips(hits, size)
    if known is not None:
        last = float(hits[-(len(labels) % size or size) :].mean())
        likely |= {"the number of right answers is not divided": share * len(labels)}
        likely |= {"divided by the number of batches": share * len(labels) / batches} if batches > 1 else {}
        likely |= {"only the last batch is counted": last} if abs(last - share) > 1e-3 else {}
    expect.close(report["accuracy"], share, likely=likely, given=given)
    each = loss(scores, labels, reduction="none")
    expect.close(
        report["loss"],
        float(each.double().mean()),
        rtol=1e-5,
        atol=1e-6,
        likely=slips(each, size) | {sentence: float(other) for sentence, other in (known or {}).items()},
        given=given,
    )


@check("evaluate returns mean loss and accuracy over samples", points=1.5, category="values")
def test_evaluate_values(submission):
    images, scores, labels = toy_set(410, 263)
    model = submission.probes.toy("Pixels")
    for name, size in (("cross entropy", 64), ("a margin", 7), ("cross entropy", 1000), ("cross entropy", 409)):
        kind, loss = LOSSES[name]
        loader = submission.probes.loader(images, labels, size)
        report = submission.evaluate(model, loader, submission.make(kind), "cpu")
        known = (
            {"the loss function that was given is not used": F.cross_entropy(scores, labels)}
            if name != "cross entropy"
            else {}
        )
        given = f"410 images in batches of {size}, 263 of them right, {name} as the loss"
        expect_report(report, scores, labels, size, loss, given, known)
    loader = submission.probes.full_batches(images, labels, 100)
    report = submission.evaluate(model, loader, submission.make(nn.CrossEntropyLoss), "cpu")
    expect_report(report, scores[:400], labels[:400], 100, F.cross_entropy, FULL_BATCHES, slips=over_the_set)


@check("evaluate runs in evaluation mode and changes nothing", points=1.5, category="values")
def test_evaluate_mode(submission):
    images, _, labels = toy_set(50, 41)
    model = submission.probes.toy("Pixels", moody=True)
    call = (
        submission.evaluate,
        model,
        submission.probes.loader(images, labels, 16),
        submission.make(nn.CrossEntropyLoss),
        "cpu",
    )
    likely = {"the model was in training mode": [True] * 4}
    expect.restores_mode(model, *call, ran=False, likely=likely, given="50 images in batches of 16")
    expect.moves_only(model, *call, given="evaluate")
    recorded = [row["gradients"] for row in passes_seen(model, *call)]
    expect.equal(
        recorded,
        [False] * 4,
        given="whether gradients are recorded, in each pass",
        likely={"gradients are recorded for nothing": [True] * 4},
    )
    linear = submission.make(nn.Sequential, submission.make(nn.Flatten), submission.make(nn.Linear, 784, 10))
    models = {
        "a model that has gradients": submission.probes.toy("Linear", torch.randn(10, 12), torch.randn(10)),
        "a model whose last layer is frozen": linear,
    }
    for said, model in models.items():
        left = traces_left(submission.evaluate, model, *call[2:])
        expect.equal(
            [
                name for name in left if name not in ("modes", "random generator")
            ],  # the loader draws, and modes are mixed
            [],
            likely={
                "the gradients of the model are cleared": ["gradients"],
                "what was frozen requires gradients again": ["requires_grad"],
            },
            given=f"what evaluate changed in {said}",
        )


def descend(weight, bias, images, labels, size, lr, keep=False, loss=F.cross_entropy, before=None):
    """Weights after one epoch of plain gradient descent; ``keep`` never clears the gradients, ``before``: these are
    there at the first step."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    if before is not None:
        weight.grad, bias.grad = torch.full_like(weight, before), torch.full_like(bias, before)
    pixels = images.flatten(1)[:, : weight.shape[1]]
    for x, y in zip(pixels.split(size), labels.split(size), strict=True):
        loss(x @ weight.T + bias, y).backward()
        with torch.no_grad():
            for parameter in (weight, bias):
                parameter -= lr * parameter.grad
                if not keep:
                    parameter.grad = None
    return weight.detach()


def after_an_epoch(submission, images, labels, weight, bias, loss=nn.CrossEntropyLoss, before=None):
    """The weight of a linear classifier after an epoch of plain SGD; ``before``: gradients that are there already."""
    model = submission.probes.toy("Linear", weight, bias)
    if before is not None:
        submission.probes.spoil_gradients(model, before)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.5)
    loader = submission.probes.loader(images, labels, 5)
    submission.train_one_epoch(model, loader, submission.make(loss), optimizer, "cpu")
    return model.state_dict()["weight"]


@check("train_one_epoch takes one right step per batch", points=2, category="values")
def test_epoch_steps(submission):
    weight, bias = torch.randn(3, 4), torch.randn(3)
    images, labels = toy_images(21, 8 * torch.randn(21, 4)), torch.randint(0, 3, (21,))  # the last batch: one image
    for name, (kind, loss) in LOSSES.items():
        wrong = {"the loss function that was given is not used": descend(weight, bias, images, labels, 5, 0.5)}
        expect.close(
            after_an_epoch(submission, images, labels, weight, bias, kind),
            descend(weight, bias, images, labels, 5, 0.5, loss=loss),
            rtol=1e-4,
            atol=1e-5,
            likely={
                "the gradients are never cleared": descend(weight, bias, images, labels, 5, 0.5, keep=True, loss=loss),
                "the weights did not move: no step was taken, or its gradients were cleared before": weight,
                "the last, smaller batch was left out": descend(
                    weight, bias, images[:20], labels[:20], 5, 0.5, loss=loss
                ),
                "only one batch was used": descend(weight, bias, images[:5], labels[:5], 5, 0.5, loss=loss),
            }
            | ({} if name == "cross entropy" else wrong),
            given=f"a linear classifier, 21 images in batches of 5, plain SGD, {name} as the loss",
        )
    weight, bias, labels = torch.zeros(3, 4), torch.tensor([6.0, 0.0, 0.0]), torch.zeros(21, dtype=torch.int64)
    expect.close(
        after_an_epoch(submission, images, labels, weight, bias),
        descend(weight, bias, images, labels, 5, 0.5),
        rtol=1e-3,
        atol=1e-5,
        likely={"a batch whose loss is small is not stepped on": weight},
        given="a linear classifier that is right and sure of it: a loss of 0.005",
    )
    weight, bias, labels = torch.randn(3, 4), torch.randn(3), torch.randint(0, 3, (21,))
    spoilt = descend(weight, bias, images, labels, 5, 0.5, before=2.0)
    expect.close(
        after_an_epoch(submission, images, labels, weight, bias, before=2.0),
        descend(weight, bias, images, labels, 5, 0.5),
        rtol=1e-4,
        atol=1e-5,
        likely={"gradients that were there before are added": spoilt},
        given="a linear classifier with gradients of 2 from before",
    )


@check("train_one_epoch reports loss and accuracy per sample", points=0.5, category="values", hidden=True)
def test_epoch_report(submission):
    images, scores, labels = toy_set(110, 71)
    model = submission.probes.toy("Pixels")
    loader = submission.probes.loader(images, labels, 32)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.0)
    report = submission.train_one_epoch(model, loader, submission.make(nn.CrossEntropyLoss), optimizer, "cpu")
    given = "110 images in batches of 32, 71 of them right, learning rate 0"
    expect_report(report, scores, labels, 32, F.cross_entropy, given, slips=mean_of_batches)
    images, scores, labels = toy_set(410, 263)
    loader = submission.probes.full_batches(images, labels, 100)
    report = submission.train_one_epoch(model, loader, submission.make(nn.CrossEntropyLoss), optimizer, "cpu")
    expect_report(report, scores[:400], labels[:400], 100, F.cross_entropy, FULL_BATCHES, slips=over_the_set)


@check(
    "train_one_epoch reports the scores that its steps use",
    points=0.5,
    category="values",
    after=[test_epoch_steps, test_epoch_report],
    hidden=True,
)
def test_epoch_scores(submission):
    weight, bias = torch.randn(10, 12), torch.randn(10)
    images, labels = toy_images(60, 2 * torch.randn(60, 12)), torch.randint(0, 10, (60,))
    model = submission.probes.toy("Linear", weight, bias)
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=2.0)
    loader = submission.probes.loader(images, labels, 20)
    report = submission.train_one_epoch(model, loader, submission.make(nn.CrossEntropyLoss), optimizer, "cpu")
    given = "a linear classifier, 60 images in batches of 20, plain SGD with lr=2"
    report = expect.record(report, REPORT, finite=True, given=given)
    used, stepped, final = scores_of_epoch(weight, bias, images, labels, 20, 2.0)
    for key, measure in {"loss": F.cross_entropy, "accuracy": share_of_hits}.items():
        during, late, end = (float(measure(some, labels)) for some in (used, stepped, final))
        wanted = end if abs(report[key] - end) < abs(report[key] - during) else during
        likely = {"each batch is scored a second time, after its step": late}
        expect.close(report[key], wanted, rtol=1e-4, atol=1e-5, likely=likely, given=f"{key} of {given}")


def share_of_hits(scores, labels):
    return (scores.argmax(1) == labels).double().mean()


def scores_of_epoch(weight, bias, images, labels, size, lr):
    """Scores that the steps of one epoch of plain gradient descent use, those after each step, those at its end."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    pixels = images.flatten(1)[:, : weight.shape[1]]
    used, stepped = [], []
    for x, y in zip(pixels.split(size), labels.split(size), strict=True):
        used.append(x @ weight.T + bias)
        slopes = torch.autograd.grad(F.cross_entropy(used[-1], y), (weight, bias))
        with torch.no_grad():
            weight -= lr * slopes[0]
            bias -= lr * slopes[1]
        stepped.append(x @ weight.T + bias)
    return torch.cat(used).detach(), torch.cat(stepped).detach(), (pixels @ weight.T + bias).detach()


def mean_of_batches(values, size):
    """The commonest of the slips."""
    return dict(list(average_slips(values, size).items())[:1])


def training_passes(submission, model, fn, *args):
    """The modes of the passes whose gradients are recorded."""
    return [row["training"] for row in passes_seen(model, fn, *args) if row["gradients"]]


@check("train_one_epoch trains in training mode", points=1, category="values", hidden=True)
def test_epoch_mode(submission):
    images, _, labels = toy_set(40, 20)
    model = submission.probes.toy("Pixels").eval()  # as an evaluation may have left it
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.01)
    loader = submission.probes.loader(images, labels, 16)
    call = submission.train_one_epoch, model, loader, submission.make(nn.CrossEntropyLoss), optimizer, "cpu"
    modes = training_passes(submission, model, *call)
    expect.equal(
        modes,
        [True] * max(1, len(modes)),
        given="whether the model is in training mode, in each pass with gradients",
        likely={"batch statistics and dropout were off: the model came in evaluation mode": [False] * 3},
    )


# The whole training

HISTORY = {"train_loss": [float], "train_accuracy": [float], "test_accuracy": [float]}


@check("fit records one measured float per epoch", points=1.5, category="values", devices="all")
def test_history(submission, device):
    images, scores, labels = toy_set(60, 33)
    held_out, _, held_labels = toy_set(50, 29)
    for epochs in (8, 1):  # 8: no early end where nothing gets better
        model = submission.probes.toy("Pixels")
        loaders = submission.probes.loader(images, labels, 16), submission.probes.loader(held_out, held_labels, 16)
        history = expect.record(submission.fit(model, *loaders, epochs, 0.0, device), HISTORY, finite=True)
        given = f"epochs={epochs}, lr=0, a model that is right on 33 of 60 and on 29 of 50 images"
        expect.close(
            history["test_accuracy"],
            [29 / 50] * epochs,
            likely={
                "the accuracy on the training set": [33 / 60] * epochs,
                "percent: an accuracy lies between 0 and 1": [58.0] * epochs,
            },
            given=given,
        )
        expect.close(history["train_accuracy"], [33 / 60] * epochs, given=given)
        loss = float(F.cross_entropy(scores, labels))
        expect.close(history["train_loss"], [loss] * epochs, rtol=1e-5, atol=1e-6, given=given)


@check("fit trains every epoch in training mode", points=1, category="values", after=test_evaluate_mode, hidden=True)
def test_fit_modes(submission):
    images, _, labels = toy_set(40, 20)
    loader = submission.probes.loader(images, labels, 16)
    model = submission.probes.toy("Pixels").eval()
    modes = training_passes(submission, model, submission.fit, model, loader, loader, 2, 1e-3, "cpu")
    expect.equal(
        modes,
        [True] * max(1, len(modes)),
        given="whether the model is in training mode, in each pass with gradients of two epochs of three batches",
        likely={
            "only the first epoch is trained in training mode": [True] * 3 + [False] * 3,
            "the model came in evaluation mode, and stayed in it": [False] * 6,
        },
    )


@check(
    "the history tells what each epoch was like, in order",
    points=1,
    category="values",
    after=[test_history, test_fit_modes],
    hidden=True,
)
def test_history_order(submission):
    pages = torch.randn(4, 50, 10) * 2
    hits = (25, 45, 35, 15)  # before any training, and after each of three epochs
    labels = torch.randint(0, 10, (50,))
    for page, count in zip(pages, hits, strict=True):
        wrong = torch.randperm(50)[count:]
        page[torch.arange(50), labels] = 9.0
        page[wrong, labels[wrong]] = -9.0
    images = toy_images(50, pages.permute(1, 0, 2).flatten(1))
    model = submission.probes.book(period=3)  # of a training set of three batches
    train = submission.probes.loader(images[:40], labels[:40], 16)
    test = submission.probes.loader(images, labels, 16)
    history = expect.record(submission.fit(model, train, test, 3, 0.0, "cpu"), HISTORY)
    expect.close(
        history["test_accuracy"],
        [0.9, 0.7, 0.3],
        given="a model that is right on 45 of 50 images after one epoch, on 35 after two, on 15 after three",
        likely={
            "measured before the epoch, not after it": [0.5, 0.9, 0.7],
            "sorted: each entry belongs to its epoch": [0.3, 0.7, 0.9],
            "the best so far, not what was measured": [0.9, 0.9, 0.9],
            "every entry is measured after the last epoch": [0.3, 0.3, 0.3],
        },
    )
    passes = int(model.state_dict()["passes"])
    expect.equal(
        passes,
        9,
        likely={"the weights of the best epoch were put back": 3},
        because="the model that the last entries describe",
        given="a counter of the model's passes in training mode, after three epochs of three batches",
    )


@check("fit trains the model itself and leaves it ready for use", points=1, category="values", devices="all")
def test_fit_in_place(submission, device):
    images, _, labels = toy_set(60, 33)
    model = submission.probes.toy("Pixels")
    loader = submission.probes.loader(images, labels, 16)
    submission.fit(model, loader, loader, 2, 0.1, device)
    expect.equal(
        model.training, False, because="fit leaves the model in evaluation mode", given="model.training after fit"
    )
    expect.equal(model.gain.device.type, device, because="fit moves the model there", given="the device of a parameter")
    gain = float(model.state_dict()["gain"])
    expect.equal(gain == 1.0, False, given="whether a parameter that was 1 is 1 after two epochs with lr=0.1")


@check("training and evaluation move every batch to the device", points=0.5, category="devices", hidden=True)
def test_moves(submission):
    images, _, labels = toy_set(20, 9)
    loader, loss = submission.probes.loader(images, labels, 16), submission.make(nn.CrossEntropyLoss)
    model, moved = (submission.probes.toy("Linear", torch.randn(10, 12), torch.randn(10)) for _ in range(2))
    moved.to("meta")  # the other stays on the CPU: fit moves it
    optimizer = submission.make(torch.optim.SGD, moved.parameters(), lr=0.1)
    runs = {
        "train_one_epoch": (submission.train_one_epoch, moved, loader, loss, optimizer, "meta"),
        "evaluate": (submission.evaluate, moved, loader, loss, "meta"),
        "fit": (submission.fit, model, loader, loader, 1, 0.1, "meta"),
    }
    for name, call in runs.items():
        given = f"{name} with batches on the CPU and another device"
        expect.follows_device(*call, expected="the model and each batch on the device that is given", given=given)
    model = submission.probes.toy("Linear", torch.randn(10, 12), torch.randn(10))
    optimizer = submission.make(torch.optim.SGD, model.parameters(), lr=0.1)
    place = torch.device("cpu")
    for name, report, kinds in (
        ("train_one_epoch", submission.train_one_epoch(model, loader, loss, optimizer, place), REPORT),
        ("evaluate", submission.evaluate(model, loader, loss, place), REPORT),
        ("fit", submission.fit(model, loader, loader, 1, 0.1, place), HISTORY),
    ):
        expect.record(report, kinds, finite=True, given=f"{name}, device is a torch.device")


@check("training and evaluation print nothing", points=0.5, category="robustness", after=test_history, hidden=True)
def test_silent(submission):
    images, _, labels = toy_set(20, 9)
    loader = submission.probes.loader(images, labels, 16)
    text = submission.probes.printed(submission.fit, submission.FashionCNN(), loader, loader, 1, 1e-3, "cpu")
    expect.equal(text, "", given="what is printed by one epoch of fit on FashionCNN")


def choose_data(dataset):
    """(training images, labels), (test images, labels), the name of the floor."""
    chosen = dataset.choose("wardrobe", real="fashion_mnist")
    if chosen.real:
        parts = chosen.module.load()
        pick = torch.randperm(60000)[:3300].numpy()
        train = parts["train_images"][pick], parts["train_labels"][pick].astype(np.int64)
        return train, (parts["test_images"][:2000], parts["test_labels"][:2000]), chosen.named("test_accuracy")
    images, labels = chosen.module.generate(3300, seed=any_seed(), nuisance=0.5)
    return (images[:2300], labels[:2300]), (images[2300:], labels[2300:]), chosen.named("test_accuracy")


@check(
    "fit reaches the accuracy floor on images it has never seen",
    points=4,
    category="accuracy",
    after=[test_batches, test_scaling, test_shuffle, test_order, test_history],
    devices="all",
    seconds=75,
    tries=2,
)
def test_accuracy(submission, device, dataset, calibration, pictures):
    (images, labels), (unseen, answers), name = choose_data(dataset)
    order = np.argsort(labels[300:], kind="stable")  # the training set is sorted by class
    train = images[300:][order], labels[300:][order]
    train_loader, test_loader = submission.make_loaders(train, (images[:300], labels[:300]), batch_size=32)
    net = submission.FashionCNN()
    history = submission.fit(net, train_loader, test_loader, 4, 1e-3, device)
    shown = {key.replace("_", " "): history[key] for key in ("train_loss", "train_accuracy", "test_accuracy")}
    pictures.curves(name, "epoch", shown)
    unlabelled = unseen, np.zeros(len(unseen), np.int64)
    _, hidden_loader = submission.make_loaders(train, unlabelled, batch_size=100)
    scores = submission.probes.scores(net, hidden_loader, device)
    expect.shape(scores, (len(unseen), 10))
    accuracy = float((scores.argmax(1).numpy() == answers).mean())
    calibration.holds(name, accuracy, unit="(accuracy on unseen images)")
    known = submission.probes.scores(net, test_loader, device).argmax(1).numpy()
    expect.close(
        history["test_accuracy"][-1],
        float((known == labels[:300]).mean()),
        rtol=0,
        atol=0.01,
        given="the last entry of test_accuracy, and the scores of the model that fit left",
    )
