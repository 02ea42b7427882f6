"""Checks for task 10: the Fashion-MNIST classifier, from the file to the accuracy of every epoch."""

import gzip
import struct

import numpy as np
import torch
from torch.nn import functional as F

from torchgrade.authoring import any_seed, check, expect, parameter_count

CONVOLUTIONS, LINEARS = ["convolution"] * 4, ["linear"] * 2


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
    for shape, packed in (((5, 7, 3), False), ((2, 3, 4), True), ((300,), True)):
        array = random_bytes(*shape)
        content = gzip.compress(idx_file(array)) if packed else idx_file(array)
        path = submission.probes.write_file(as_array(content), "ubyte.gz" if packed else "ubyte")
        expect.close(
            submission.load_idx(path),
            array,
            likely={"the header is among the values": as_array(idx_file(array))},
            given=f"an idx file of shape {shape}, {'packed' if packed else 'not packed'}",
        )


@check("load_idx refuses a file that is not whole or not idx", points=1, category="robustness")
def test_idx_refuses(submission):
    array = random_bytes(3, 4)
    wrong = {
        "a file of 32-bit integers": idx_file(array, kind=12),
        "a text file": b"label,pixel\n" * 10,
        "a file that ends early": idx_file(array)[:-2],
        "a file with values too many": idx_file(array) + b"ab",
    }
    for given, content in wrong.items():
        path = submission.probes.write_file(as_array(content), "wrong")
        expect.raises("ValueError", submission.load_idx, path, given=given)


# Loaders


@check("make_loaders gives float images (B, 1, 28, 28) and integer labels", points=1, category="shapes")
def test_batches(submission):
    train, test = clothes(70), clothes(33)
    for loader, count in zip(submission.make_loaders(train, test, batch_size=32), (70, 33), strict=True):
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
        expect.equal(sorted(map(len, labels), reverse=True), [32] * (count // 32) + [count % 32])


@check("both sets are scaled by one formula to about unit size", points=1, category="values", after=test_batches)
def test_scaling(submission):
    train, test = clothes(40), clothes(30)
    test[0][:] //= 2  # darker: its own mean and deviation are others
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


@check("the training loader shuffles every pass anew", points=1, category="robustness", after=test_batches)
def test_shuffle(submission):
    loader, _ = submission.make_loaders(clothes(90), clothes(8), batch_size=32)
    passes = [joined(submission.probes.batches(loader)[1]).tolist() for _ in range(3)]
    for number, seen in enumerate(passes, start=1):
        expect.equal(sorted(seen), list(range(90)), given=f"pass {number} of 3", likely={"nothing is left for it": []})
    expect.true(
        list(range(90)) not in passes,
        expected="another order than that of the set, which may be sorted by class",
        got="the order of the set",
    )
    expect.true(
        passes[0] != passes[1] or passes[1] != passes[2],
        expected="a new order for every pass",
        got="the same order in three passes",
    )


@check("the test loader keeps the order of its set", points=1, category="values", after=test_batches)
def test_order(submission):
    _, loader = submission.make_loaders(clothes(8), clothes(75), batch_size=32)
    for _ in range(2):
        expect.equal(joined(submission.probes.batches(loader)[1]).tolist(), list(range(75)))


# The network


@check("FashionCNN maps (N, 1, 28, 28) to one score per class", points=1, category="shapes")
def test_output_shape(submission):
    net = submission.FashionCNN()
    for count in (5, 2):
        expect.shape(net(torch.rand(count, 1, 28, 28)), (count, 10))
    net = submission.FashionCNN(in_channels=3, num_classes=4).eval()
    expect.shape(
        net(torch.rand(1, 3, 28, 28)), (1, 4), given="in_channels=3, num_classes=4, one image in evaluation mode"
    )


@check("FashionCNN calls four convolutions, then two linear layers", points=1, category="rules")
def test_layers(submission):
    net = submission.FashionCNN()
    expect.equal(
        submission.probes.weight_layers(net, torch.rand(2, 1, 28, 28)),
        CONVOLUTIONS + LINEARS,
        likely={
            "three convolutions": ["convolution"] * 3 + LINEARS,
            "three linear layers": [*CONVOLUTIONS, *LINEARS, "linear"],
            "one linear layer": [*CONVOLUTIONS, "linear"],
        },
    )


@check("FashionCNN has at most 2,000,000 parameters, all trainable", points=1, category="parameters")
def test_parameters(submission):
    net = submission.FashionCNN()
    total = parameter_count(net)
    expect.between(total, 1000, 2_000_000, unit="parameters")
    expect.equal(parameter_count(net, trainable=True), total, because="every parameter is trained")


@check("a non-linearity follows each layer but the last", points=1, category="rules", after=test_layers)
def test_activations(submission):
    net = submission.FashionCNN()
    images = torch.randn(4, 1, 28, 28)
    count = submission.probes.activations(net, images)
    expect.true(
        count >= 5,
        expected="at least 5 element-wise non-linearities in a forward pass",
        got=f"{count}: pooling and normalisation are none",
    )
    plain = submission.probes.without_activations(net, images)
    expect.true(
        not torch.allclose(plain, net(images).detach()),
        expected="an output that depends on the non-linearities",
        got="the same output without them",
    )


@check("the scores are logits or log-probabilities", points=1, category="values", after=test_output_shape)
def test_scores(submission):
    net = submission.FashionCNN().eval()
    scores = net(3 * torch.randn(64, 1, 28, 28)).detach()
    for sentence, found in {
        "softmax: the cross entropy applies it already": (scores >= 0).all()
        and torch.allclose(scores.sum(1), torch.ones(64), atol=1e-4),
        "a ReLU on the scores: a wrong class cannot get a low one": (scores >= 0).all() and (scores == 0).any(),
        "a sigmoid on the scores": ((scores > 0) & (scores < 1)).all(),
    }.items():
        expect.equal(
            "probabilities or cut scores" if found else "scores of both signs",
            "scores of both signs",
            likely={sentence: "probabilities or cut scores"},
        )
    expect.true((scores < 0).any(), expected="scores of both signs", got=f"none below {scores.min():.4g}")


@check("FashionCNN trains on a batch of one image", points=1, category="robustness", after=test_output_shape)
def test_batch_of_one(submission):
    net = submission.FashionCNN().train()
    scores = net(torch.rand(1, 1, 28, 28))
    expect.shape(scores, (1, 10))
    F.cross_entropy(scores, torch.tensor([3])).backward()


@check("gradients reach every parameter", points=1, category="gradients", after=test_output_shape)
def test_gradients(submission):
    net = submission.FashionCNN().train()
    expect.gradient_flow(net(torch.rand(6, 1, 28, 28)), module=net)


@check("nothing in the network is tied to one device", points=0.5, category="devices", after=test_output_shape)
def test_portable(submission):
    expect.portable(submission.FashionCNN, torch.rand(2, 1, 28, 28))


@check(
    "FashionCNN learns one batch of 32 images by heart",
    points=2,
    category="convergence",
    after=[test_scores, test_gradients],
    seconds=30,
)
def test_overfit(submission, dataset, calibration):
    images, labels = dataset("wardrobe").generate(32, seed=any_seed())
    scaled = torch.from_numpy(images).unsqueeze(1).float() / 255
    labels = torch.from_numpy(labels)
    net = submission.FashionCNN()
    scores = submission.probes.learn_batch(net, scaled, labels, 150)
    loss = float(F.cross_entropy(scores, labels))
    calibration.holds("overfit_loss", loss, unit="(loss after 150 steps of Adam)")


# One epoch and one evaluation


def toy_images(count, scores):
    """Images whose first pixels are the given scores, the others random; (count, 1, 28, 28)."""
    images = torch.rand(count, 784)
    images[:, : scores.shape[1]] = scores
    return images.reshape(count, 1, 28, 28)


def toy_set(count, hits):
    """Images that score ``hits`` of ``count`` labels right when read by probes.Reader, and the labels."""
    scores = torch.randn(count, 10) * 2
    right = scores.argmax(1)
    others = (right + torch.randint(1, 10, (count,))) % 10
    chosen = torch.randperm(count)[:hits]
    labels = others.clone()
    labels[chosen] = right[chosen]
    return toy_images(count, scores), scores, labels


def per_batch(values, size):
    """The mean of the batches' means, each counted alike."""
    return float(torch.stack([part.mean() for part in values.double().split(size)]).mean())


@check("evaluate returns mean loss and accuracy over samples", points=2, category="values")
def test_evaluate_values(submission):
    for size in (64, 7, 1000):
        images, scores, labels = toy_set(1000, 637)
        loader = submission.probes.loader(images, labels, size)
        result = submission.evaluate(submission.probes.reader(), loader, submission.probes.cross_entropy(), "cpu")
        losses = F.cross_entropy(scores, labels, reduction="none")
        hits = (scores.argmax(1) == labels).double()
        expect.equal(sorted(result), ["accuracy", "loss"])
        given = f"1000 images in batches of {size}, 637 of them right"
        batches = -(-1000 // size)
        expect.close(
            result["accuracy"],
            0.637,
            likely={
                "percent: an accuracy lies between 0 and 1": 63.7,
                "the number of right answers is not divided": 637.0,
            }
            | ({} if 1000 % size == 0 else average_slips(hits, size))
            | ({} if size == 1000 else {"divided by the number of batches": 637 / batches}),
            given=given,
        )
        expect.close(
            result["loss"],
            float(losses.double().mean()),
            rtol=1e-5,
            atol=1e-6,
            likely={} if 1000 % size == 0 else average_slips(losses, size),
            given=given,
        )


def average_slips(values, size):
    """What other averages over batches would give, where the last batch is smaller."""
    padded = -(-len(values) // size) * size
    return {
        "an average over batches: the last one is smaller than the others": per_batch(values, size),
        "divided by batches times batch size: the last batch is smaller": float(values.double().sum()) / padded,
    }


@check("evaluate runs in evaluation mode and changes nothing", points=2, category="values", after=test_evaluate_values)
def test_evaluate_mode(submission):
    images, _, labels = toy_set(50, 41)
    for training in (True, False):
        model = submission.probes.reader(moody=True)
        model.train(training)
        loader = submission.probes.loader(images, labels, 16)
        submission.evaluate(model, loader, submission.probes.cross_entropy(), "cpu")
        expect.equal(submission.probes.modes(model), [False] * 4, likely={"the model was in training mode": [True] * 4})
        expect.equal(
            submission.probes.gradients_on(model),
            [False] * 4,
            likely={"gradients are recorded for nothing": [True] * 4},
        )
        expect.equal(
            model.training,
            training,
            because="the mode in which the model came",
            given=f"a model in {'training' if training else 'evaluation'} mode",
        )
        expect.equal(int(model.state_dict()["passes"]), 0, because="buffers move in training mode only")


def descend(weight, bias, images, labels, size, lr, keep=False):
    """Weights after one epoch of plain gradient descent; ``keep`` never clears the gradients."""
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    pixels = images.flatten(1)[:, : weight.shape[1]]
    for x, y in zip(pixels.split(size), labels.split(size), strict=True):
        F.cross_entropy(x @ weight.T + bias, y).backward()
        with torch.no_grad():
            for parameter in (weight, bias):
                parameter -= lr * parameter.grad
                if not keep:
                    parameter.grad = None
    return weight.detach()


@check("train_one_epoch takes one right step per batch", points=2, category="values")
def test_epoch_steps(submission):
    weight, bias = torch.randn(3, 4), torch.randn(3)
    images, labels = toy_images(22, 2 * torch.randn(22, 4)), torch.randint(0, 3, (22,))
    model = submission.probes.linear_model(weight, bias)
    loader = submission.probes.loader(images, labels, 5)
    optimizer = submission.probes.sgd(model, 0.5)
    submission.train_one_epoch(model, loader, submission.probes.cross_entropy(), optimizer, "cpu")
    expect.close(
        model.state_dict()["2.weight"],
        descend(weight, bias, images, labels, 5, 0.5),
        rtol=1e-4,
        atol=1e-5,
        likely={
            "the gradients are never cleared": descend(weight, bias, images, labels, 5, 0.5, keep=True),
            "no step was taken": weight,
            "the last, smaller batch was left out": descend(weight, bias, images[:20], labels[:20], 5, 0.5),
            "only one batch was used": descend(weight, bias, images[:5], labels[:5], 5, 0.5),
        },
        given="a linear classifier, 22 images in batches of 5, plain SGD",
    )


@check("train_one_epoch reports loss and accuracy per sample", points=1, category="values", after=test_epoch_steps)
def test_epoch_report(submission):
    images, scores, labels = toy_set(110, 71)
    model = submission.probes.reader()
    loader = submission.probes.loader(images, labels, 32)
    result = submission.train_one_epoch(
        model, loader, submission.probes.cross_entropy(), submission.probes.sgd(model, 0.0), "cpu"
    )
    losses = F.cross_entropy(scores, labels, reduction="none")
    expect.equal(sorted(result), ["accuracy", "loss"])
    hits = (scores.argmax(1) == labels).double()
    given = "110 images in batches of 32, 71 of them right, learning rate 0"
    likely = {"percent: an accuracy lies between 0 and 1": 7100 / 110}
    expect.close(result["accuracy"], 71 / 110, likely=likely | average_slips(hits, 32), given=given)
    expect.close(
        result["loss"],
        float(losses.double().mean()),
        rtol=1e-5,
        atol=1e-6,
        likely=average_slips(losses, 32),
        given=given,
    )


@check("train_one_epoch trains in training mode", points=1, category="values", after=test_epoch_steps)
def test_epoch_mode(submission):
    images, _, labels = toy_set(40, 20)
    model = submission.probes.reader().eval()  # as an evaluation may have left it
    loader = submission.probes.loader(images, labels, 16)
    submission.train_one_epoch(
        model, loader, submission.probes.cross_entropy(), submission.probes.sgd(model, 0.01), "cpu"
    )
    expect.equal(
        submission.probes.modes(model)[:3],
        [True] * 3,
        likely={"batch statistics and dropout were off: the model came in evaluation mode": [False] * 3},
    )


# The whole training


@check(
    "fit records one measured float per epoch",
    points=2,
    category="values",
    after=[test_evaluate_values, test_epoch_report],
    devices="all",
)
def test_history(submission, device):
    images, scores, labels = toy_set(60, 33)
    held_out, _, held_labels = toy_set(50, 29)
    for epochs in (3, 1):
        model = submission.probes.reader()
        loaders = submission.probes.loader(images, labels, 16), submission.probes.loader(held_out, held_labels, 16)
        history = submission.fit(model, *loaders, epochs, 0.0, device)
        expect.equal(sorted(history), ["test_accuracy", "train_accuracy", "train_loss"])
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


@check(
    "fit trains the model itself and leaves it ready for use",
    points=1,
    category="devices",
    after=test_epoch_steps,
    devices="all",
)
def test_fit_in_place(submission, device):
    images, _, labels = toy_set(60, 33)
    model = submission.probes.reader()
    loader = submission.probes.loader(images, labels, 16)
    submission.fit(model, loader, loader, 2, 0.1, device)
    expect.equal(model.training, False, because="fit leaves the model in evaluation mode")
    expect.equal(model.gain.device.type, device, because="fit moves the model there")
    gain = float(model.state_dict()["gain"])
    expect.true(gain != 1.0, expected="a parameter that was trained: it was 1", got="1, as before")


@check(
    "training and evaluation move every batch to the device",
    points=0.5,
    category="devices",
    after=[test_epoch_steps, test_evaluate_values],
)
def test_moves(submission):
    images, _, labels = toy_set(20, 9)
    loader, loss = submission.probes.loader(images, labels, 16), submission.probes.cross_entropy()
    model = submission.probes.linear_model(torch.randn(10, 12), torch.randn(10))  # on the CPU: fit moves it
    moved = submission.probes.linear_model(torch.randn(10, 12), torch.randn(10)).to("meta")
    optimizer = submission.probes.sgd(moved, 0.1)
    runs = {
        "train_one_epoch": (submission.train_one_epoch, moved, loader, loss, optimizer, "meta"),
        "evaluate": (submission.evaluate, moved, loader, loss, "meta"),
        "fit": (submission.fit, model, loader, loader, 1, 0.1, "meta"),
    }
    for name, call in runs.items():
        given = f"{name} with batches on the CPU and another device"
        expect.follows_device(*call, expected="the model and each batch on the device that is given", given=given)


@check("training and evaluation print nothing", points=0.5, category="robustness", after=test_history)
def test_silent(submission):
    images, _, labels = toy_set(20, 9)
    loader = submission.probes.loader(images, labels, 16)
    text = submission.probes.printed(submission.fit, submission.FashionCNN(), loader, loader, 1, 1e-3, "cpu")
    expect.equal(text, "")


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
    after=[test_scaling, test_shuffle, test_order, test_activations, test_overfit, test_evaluate_mode,
           test_epoch_report, test_epoch_mode, test_history, test_fit_in_place],
    devices="all",
    seconds=75,
    tries=2,
)  # fmt: skip
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
