"""Checks for task 11: face keypoints, with a network of one's own and with ResNet-18 and given weights."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from torchgrade.authoring import any_seed, check, expect, operator_trace, parameter_count, registered_parameters

NAN = float("nan")


def stack(count):
    """Images (96, 96, count) as the files hold them, and points (count, 8) with one coordinate in ten missing."""
    rng = np.random.default_rng(any_seed())
    points = rng.uniform(5, 90, (count, 8)).astype(np.float32)
    points[rng.random((count, 8)) < 0.1] = np.nan
    points[0, :2], points[0, 2] = 30.0, np.nan
    return rng.integers(0, 256, (96, 96, count), np.uint8), points


# The data set


@check("an item is a float image (1, 96, 96) and eight coordinates", points=1, category="shapes")
def test_item_shapes(submission):
    images, points = stack(5)
    columns = np.asfortranarray(points.astype(np.float64))
    for array, given in ((images, points), (images.astype(np.float64), columns), (images[..., :1], points[:1])):
        count = len(given)
        dataset = submission.KeypointDataset(array, given)
        expect.equal(len(dataset), count, likely={"the first axis was counted: the samples are on the last one": 96})
        image, xy = submission.probes.item(dataset, count - 1)
        expect.shape(image, (1, 96, 96), likely={"the channel axis is missing": (96, 96)})
        expect.shape(xy, (8,))
        expect.dtype(image, torch.float32)
        expect.dtype(xy, torch.float32)


@check(
    "item i holds the i-th image, scaled to 0..1, and its points", points=1, category="values", after=test_item_shapes
)
def test_item_values(submission):
    images, points = stack(7)
    kinds = [images.astype(kind) for kind in (np.float64, np.float32, np.int64)]
    for array in (images, *kinds, images // 3, images // 128):  # the last are dark: no level above 85, and above 1
        dataset = expect.not_mutated(submission, submission.KeypointDataset, array, points)
        for index in (0, 5):
            image, xy = submission.probes.item(dataset, index)
            truth = torch.from_numpy(array[:, :, index].copy()).float() / 255
            reshaped = torch.from_numpy(array.reshape(7, 96, 96)[index].copy()).float() / 255
            top = int(array.max())
            brightest = truth[None] * (255 / top)
            expect.close(
                image,
                truth[None],
                likely={
                    "reshape cuts the array into other images: the sample axis has to be moved": reshaped[None],
                    "rows and columns are swapped": truth.T[None],
                    "the grey levels are not scaled": 255 * truth[None],
                    **(
                        {} if top in (1, 255) else {"the levels are scaled by the brightest one, not by 255": brightest}
                    ),
                },
                given=f"item {index} of 7, {array.dtype} levels up to {top}",
            )
            expect.close(xy, torch.from_numpy(points[index]), equal_nan=True, given=f"item {index} of 7")


@check(
    "transform is applied to image and points of an item",
    points=1,
    category="values",
    after=test_item_values,
)
def test_transform(submission):
    images, points = stack(3)
    before = images.copy()
    dataset = submission.KeypointDataset(images, points, transform=submission.probes.brighten)
    for _ in range(2):
        image, xy = submission.probes.item(dataset, 1)
        expect.close(image, torch.from_numpy(before[:, :, 1])[None].float() / 510)
        expect.close(xy, torch.from_numpy(points[1]) + 1, equal_nan=True)
    for kind in (np.float32, np.float64):
        images, points = (array.astype(kind) for array in stack(3))
        left = submission.probes.arrays_after(submission.KeypointDataset, images, points)
        given = f"{np.dtype(kind)} arrays, after an item that a transform changed in place"
        expect.close(left["images"], images, given=f"{given}: images")
        expect.close(left["points"], points, equal_nan=True, given=f"{given}: keypoints")


# Points


@check("encoded points lie between -2 and 2", points=1, category="values")
def test_code_range(submission):
    for size in (96, 48, 224):
        corners = torch.tensor([0.0, 0.0, size - 1, 0.0, 0.0, size - 1, size - 1, size - 1])
        code = submission.encode_keypoints(corners, size=size)
        low, high = float(code.min()), float(code.max())
        given = f"the corners of a {size}x{size} image"
        expect.true(low >= -2.0 and high <= 2.0, "numbers from -2 to 2", f"{low:.4g} to {high:.4g}", given=given)
        expect.true(high - low > 0.2, "the corners far from each other", f"{low:.4g} to {high:.4g}", given=given)


@check("decode_keypoints undoes encode_keypoints", points=1, category="values", after=test_code_range)
def test_codec(submission):
    for size in (96, 64, 224):
        xy = torch.rand(6, 8, dtype=torch.float64) * (size - 1)
        xy[2, 3] = NAN
        stacked = xy.reshape(2, 3, 8)  # and one that is not contiguous
        for points in (xy, xy[0], xy[5:], xy.float(), stacked, stacked.transpose(0, 1)):
            code = submission.encode_keypoints(points, size=size)
            expect.shape(code, points.shape)
            back = submission.decode_keypoints(code, size=size)
            expect.close(
                back,
                points,
                rtol=1e-5,
                atol=1e-4,
                equal_nan=True,
                trivial="the points come back",
                likely={"decode_keypoints does nothing": code},
                given=f"points of shape {tuple(points.shape)} of a {size}x{size} image",
            )
        code = submission.encode_keypoints(xy[:5], size=size).detach().T.contiguous().T
        given = f"codes (5, 8), the transposed view of a tensor (8, 5), of a {size}x{size} image"
        back = submission.decode_keypoints(code, size=size)
        expect.close(back, xy[:5], rtol=1e-5, atol=1e-4, equal_nan=True, trivial="the points come back", given=given)


@check("hflip_keypoints mirrors image and points, and exchanges the eyes", points=1, category="values")
def test_flip(submission):
    image = torch.rand(1, 40, 96)
    xy = torch.tensor([61.0, 30.5, 33.0, 28.0, 46.0, NAN, 50.0, 37.0])
    flipped, points = expect.not_mutated(submission, submission.hflip_keypoints, image, xy)
    expect.close(flipped, image.flip(2), likely={"the image is turned upside down": image.flip(1)})
    truth = torch.tensor([62.0, 28.0, 34.0, 30.5, 49.0, NAN, 45.0, 37.0])
    expect.close(
        points,
        truth,
        equal_nan=True,
        likely={
            "the eyes are not exchanged: the left one is at the left now": truth[[2, 3, 0, 1, 4, 5, 6, 7]],
            "x becomes width - x: column 0 would leave the image": truth + torch.tensor([1.0, 0] * 4),
            "the points stay where they were": xy,
            "the height is taken for the width": truth - torch.tensor([56.0, 0] * 4),
        },
        given="an image 40 high and 96 wide, left eye (61, 30.5), right eye (33, 28)",
    )
    for shape, turned in (
        ((4, 1, 30, 50), False),
        ((2, 3, 40, 33), False),
        ((1, 1, 30, 50), False),
        ((3, 1, 28, 40), True),
    ):
        width = shape[-1]
        image, xy = torch.rand(shape), torch.rand(*shape[:-3], 8) * (width - 1)
        xy[..., 0], xy[..., 3], xy[..., 6] = -3, 2 * width, width + 4.5  # not every mark lies on its image
        given = f"images of shape {shape}; some points lie outside"
        if turned:
            image, xy, given = image.mT.contiguous().mT, xy.mT.contiguous().mT, f"{given}; transposed views"
        flipped, points = submission.hflip_keypoints(image, xy)
        expect.close(flipped, image.flip(-1), likely={"the rows are mirrored": image.flip(-2)}, given=given)
        mirrored = torch.where(torch.arange(8) % 2 == 0, width - 1 - xy, xy)
        truth = mirrored[..., [2, 3, 0, 1, 4, 5, 6, 7]]
        likely = {
            "the eyes are not exchanged: the left one is at the left now": mirrored,
            "the width is taken for 96": torch.where(torch.arange(8) % 2 == 0, truth + 96 - width, truth),
        }
        expect.close(points, truth, rtol=1e-5, atol=1e-4, likely=likely, given=given)


@check("points outside the image come back as well, and no argument is changed", points=0.5, category="robustness",
       after=test_codec, hidden=True)  # fmt: skip
def test_arguments(submission):
    points = torch.rand(3, 8) * 90
    points[1, 2] = NAN
    for size in (96, 64):
        outside = torch.tensor([-5.0, 1.3 * size, -0.5 * size, 30, 3 * size, -1, size + 0.5, size])
        back = submission.decode_keypoints(submission.encode_keypoints(outside, size=size), size=size)
        given = f"points outside a {size}x{size} image"
        expect.close(back, outside, rtol=1e-5, atol=1e-4, trivial="the points come back", given=given)
    expect.not_mutated(submission, submission.encode_keypoints, points)
    expect.not_mutated(submission, submission.decode_keypoints, torch.randn(3, 8))
    expect.not_mutated(submission, submission.masked_mse, torch.randn(3, 8), points)


# The loss


@check("masked_mse averages over the known coordinates", points=1, category="values")
def test_loss_values(submission):
    target = torch.tensor([[10.0, NAN, 30, 40, 50, 60, 70, 80], [NAN] * 8, [1.0, 2, 3, 4, NAN, NAN, 7, 8]])
    pred = torch.nan_to_num(target, nan=3.0) + torch.randn(3, 8)
    pred[1] += 5
    known = ~target.isnan()
    square = (pred - target)[known].square()
    filled = [(pred - torch.nan_to_num(target, nan=value)).square().mean() for value in (0.0, 48.0)]
    expect.close(
        submission.masked_mse(pred, target),
        square.mean(),
        likely={
            "NaN is taken for 0 and scored": filled[0],
            "NaN is taken for the centre, 48, and scored": filled[1],
            "the sum is divided by all coordinates, not by the known ones": square.sum() / 24,
            "NaN reaches the loss": torch.tensor(NAN),
            "the root is taken": square.mean().sqrt(),
        },
        equal_nan=True,
        given="13 of 24 coordinates are known",
    )
    pred, target = torch.randn(4, 8), torch.randn(4, 8)
    expect.close(submission.masked_mse(pred, target), F.mse_loss(pred, target), given="every coordinate is known")
    turned = torch.randn(2, 8, 4).mT
    expect.close(submission.masked_mse(*turned), F.mse_loss(*turned), given="transposed views of tensors (8, 4)")
    single = torch.tensor([[1.0, NAN, 3, NAN, NAN, 6, 7, 8]])
    truth = (pred[:1] - single)[~single.isnan()].square().mean()
    expect.close(submission.masked_mse(pred[:1], single), truth, given="one face, 5 of 8 coordinates are known")
    lonely = torch.full((2, 8), NAN)
    lonely[1, 3] = 4.0
    expect.close(submission.masked_mse(pred[:2], lonely), (pred[1, 3] - 4).square(), given="1 of 16 is known")
    lost = pred[:1].clone()
    lost[0, 2] = NAN
    expect.close(
        submission.masked_mse(lost, single),
        torch.tensor(NAN),
        equal_nan=True,
        likely={"what is predicted decides which coordinates count: only the target does": known_of_both(lost, single)},
        given="the prediction of a known coordinate is NaN",
        trivial="a prediction of NaN is no good one",
    )


def known_of_both(pred, target):
    """The mean over what is known and not NaN in the prediction."""
    square = (pred - target).square()
    return square[~square.isnan()].mean()


@check("masked_mse of unknown targets is 0, with a gradient of 0", points=1, category="gradients")
def test_loss_gradient(submission):
    pred = torch.randn(2, 8, requires_grad=True)
    target = torch.randn(2, 8)
    target[0, 1:4] = NAN
    loss = submission.masked_mse(pred, target)
    (slope,) = torch.autograd.grad(loss, pred)
    truth = torch.where(target.isnan(), torch.zeros(()), 2 * (pred - target) / 13).detach()
    expect.close(slope, truth, given="13 of 16 coordinates are known")
    pred = torch.randn(2, 8, requires_grad=True)
    loss = submission.masked_mse(pred, torch.full((2, 8), NAN))
    expect.close(loss.detach(), torch.tensor(0.0), trivial="nothing is known", given="no coordinate is known")
    if loss.requires_grad:  # a constant 0, from which no gradient flows, is as good
        (slope,) = torch.autograd.grad(loss, pred, materialize_grads=True)
        expect.close(slope, torch.zeros(2, 8), trivial="nothing is known", given="no coordinate is known")


# The network


@check("KeypointCNN maps (N, 1, 96, 96) to eight numbers", points=1, category="shapes")
def test_cnn_shape(submission):
    net = submission.KeypointCNN()
    for count in (3, 2):
        expect.shape(net(torch.rand(count, 1, 96, 96)), (count, 8))
    expect.shape(net.eval()(torch.rand(1, 1, 96, 96)), (1, 8), given="one image in evaluation mode")


@check("KeypointCNN calls four convolutions, then two linear layers", points=1, category="rules", after=test_cnn_shape)
def test_cnn_layers(submission):
    net = submission.KeypointCNN().eval()
    rows = operator_trace(net, torch.rand(2, 1, 96, 96), among=("convolution", "linear"))
    expect.equal(
        [row["kind"] for row in rows],
        ["convolution"] * 4 + ["linear"] * 2,
        likely={
            "three convolutions": ["convolution"] * 3 + ["linear"] * 2,
            "one linear layer": ["convolution"] * 4 + ["linear"],
        },
    )


@check(
    "KeypointCNN trains on a batch of one, gradients everywhere", points=1, category="gradients", after=test_cnn_shape
)
def test_cnn_gradients(submission):
    net = submission.KeypointCNN().train()
    expect.shape(net(torch.rand(1, 1, 96, 96)), (1, 8))
    expect.gradient_flow(net(torch.rand(5, 1, 96, 96)), module=net)


@check("KeypointCNN answers to each image by itself", points=0.5, category="values",
       after=test_cnn_shape, hidden=True)  # fmt: skip
def test_cnn_repeats(submission):
    net, images = submission.KeypointCNN(), torch.rand(3, 1, 96, 96)
    net(images)  # training statistics move, and must not in evaluation mode
    net.eval()
    first = net(images).detach()
    expect.close(net(images).detach(), first, trivial="the same images give the same points", given="3 images, twice")
    views = images.mT.contiguous().mT
    given = "3 images, which are transposed views"
    expect.close(net(views).detach(), first, rtol=1e-3, atol=1e-4, trivial="an image is read by itself", given=given)
    expect.close(
        net(images[1:2]).detach(), first[1:2], rtol=1e-3, atol=1e-4,
        trivial="an image is read by itself", given="the second of 3 images by itself",
    )  # fmt: skip
    dark = images.clone()
    dark[0] = 0
    dark[2] *= 0.1
    expect.close(
        net(dark)[1:2].detach(), first[1:2], rtol=1e-3, atol=1e-4,
        trivial="an image is read by itself", given="the second of 3 images, the others made darker",
    )  # fmt: skip
    other = submission.KeypointCNN()
    before = {name: value.clone() for name, value in other.state_dict().items()}
    submission.probes.double_parameters(net)
    expect.close(dict(other.state_dict()), before, trivial="nothing was done to it", given="a second KeypointCNN")


@check(
    "nothing in the network is tied to one device", points=0.5, category="devices", after=test_cnn_shape, hidden=True
)
def test_portable(submission):
    expect.portable(submission.KeypointCNN, torch.rand(2, 1, 96, 96))


# Measuring and training


def readable(submission, truth, shift):
    """Images that probes.Reader turns into ``truth + shift`` in the encoding of the submission."""
    code = submission.encode_keypoints(torch.nan_to_num(truth, nan=20.0) + shift)
    images = torch.zeros(len(truth), 96 * 96)
    images[:, :8] = code.detach().float()
    return images.reshape(-1, 1, 96, 96)


@check("mean_pixel_error averages |error| over known coordinates", points=2, category="values", after=test_codec)
def test_error_values(submission):
    truth = torch.rand(20, 8) * 60 + 15
    shift = torch.randn(20, 8) * 6
    truth[torch.rand(20, 8) < 0.2] = NAN
    truth[19] = NAN
    truth[19, 0], shift[19, 0] = 40.0, 25.0  # far off, in the last batch
    images = readable(submission, truth, shift)
    error, known = shift.abs().double(), ~truth.isnan()
    parts = [error[rows][known[rows]].mean() for rows in torch.arange(20).split(7)]
    code = submission.encode_keypoints(truth).detach()
    likely = {
        "the root of the mean square": float(error[known].square().mean().sqrt()),
        "an average over batches: they have different numbers of coordinates": float(torch.stack(parts).mean()),
        "in encoded units, not in pixels": float((images.flatten(1)[:, :8] - code).abs()[known].mean()),
        "the outputs are not decoded": float((images.flatten(1)[:, :8] - truth).abs()[known].mean()),
    }
    got = submission.mean_pixel_error(submission.probes.reader(), submission.probes.loader(images, truth, 7))
    expect.close(
        got,
        float(error[known].mean()),
        rtol=1e-4,
        atol=1e-4,
        likely=likely,
        given="20 faces in batches of 7, some coordinates unknown",
    )
    truth[7:14] = NAN  # the second batch
    known = ~truth.isnan()
    got = submission.mean_pixel_error(submission.probes.reader(), submission.probes.loader(images, truth, 7))
    expect.close(
        got,
        float(error[known].mean()),
        rtol=1e-4,
        atol=1e-4,
        likely={"a batch without a known coordinate makes it NaN": NAN},
        equal_nan=True,
        given="20 faces in batches of 7; some coordinates are unknown, in the second batch all",
    )


@check(
    "mean_pixel_error runs in evaluation mode and changes nothing",
    points=1,
    category="values",
    after=test_error_values,
    hidden=True,
)
def test_error_mode(submission):
    truth = torch.rand(10, 8) * 60 + 15
    images = readable(submission, truth, torch.randn(10, 8))
    for training in (True, False):
        model = submission.probes.reader(moody=True)
        model.train(training)
        submission.mean_pixel_error(model, submission.probes.loader(images, truth, 4))
        expect.equal(submission.probes.modes(model), [False] * 3, likely={"the model was in training mode": [True] * 3})
        expect.equal(
            submission.probes.gradients_on(model),
            [False] * 3,
            likely={"gradients are recorded for nothing": [True] * 3},
        )
        given = f"a model in {'training' if training else 'evaluation'} mode"
        expect.equal(model.training, training, because="the mode in which the model came", given=given)


@check("train_regressor returns one finite loss per epoch", points=0.5, category="values",
       after=[test_loss_values, test_loss_gradient], devices="all")  # fmt: skip
def test_history(submission, device):
    _, points = stack(18)
    images, points = torch.rand(18, 1, 96, 96), torch.from_numpy(points)
    for epochs in (3, 1):
        loader = submission.probes.loader(images, points, 4)
        losses = submission.train_regressor(submission.probes.reader(), loader, epochs, 1e-3, device)
        losses = expect.record(losses, [float], finite=True, given=f"epochs={epochs}")
        expect.equal(len(losses), epochs, because="one loss for each epoch", given=f"epochs={epochs}")


@check(
    "a batch without a known point does not stop the training",
    points=0.5,
    category="robustness",
    after=[test_history, test_loss_gradient],
    hidden=True,
)
def test_blank_batch(submission):
    images, points = torch.rand(12, 1, 96, 96), torch.rand(12, 8) * 90
    points[4:8] = NAN  # the second batch
    cases = {
        "three batches, the second without a known point; device is a torch.device": (images, points),
        "a loader of one batch, in which no point is known": (images[4:8], points[4:8]),
    }
    for given, faces in cases.items():
        model, loader = submission.probes.reader(), submission.probes.loader(*faces, 4)
        losses = submission.train_regressor(model, loader, 2, 1e-3, torch.device("cpu"))
        expect.equal(len(expect.record(losses, [float], finite=True, given=given)), 2, given=f"losses; {given}")
        expect.true(
            math.isfinite(float(model.state_dict()["gain"])),
            expected="finite weights after the training",
            got="a weight that is inf or nan",
            given=given,
        )


@check(
    "the loss of an epoch is the mean over its batches, however many",
    points=0.5,
    category="values",
    after=test_history,
    hidden=True,
)
def test_reported_loss(submission):
    image, point = torch.rand(1, 1, 96, 96), torch.rand(1, 8) * 90  # one face, so that every batch has the same loss

    def reported(count, size, faces=(point,), epochs=1):
        model = submission.probes.reader()
        points = torch.cat([face.repeat(count, 1) for face in faces])
        loader = submission.probes.loader(image.repeat(len(points), 1, 1, 1), points, size)
        losses = submission.train_regressor(model, loader, epochs, 1e-9, "cpu")
        loss = losses[0]
        expect.close(losses, [loss] * epochs, rtol=1e-3, atol=0, trivial="nothing is learnt", given="lr=1e-9, 3 epochs")
        gain = float(model.state_dict()["gain"])
        given = "a weight that was 1, after training with lr=1e-9"
        expect.close(gain, 1.0, rtol=0, atol=1e-5, trivial="a weight that has to stay where it was", given=given)
        return loss

    once = reported(8, 4)
    expect.true(once > 0, expected="a loss above 0 for predictions that are wrong", got=f"{once:.4g}")
    for count, size in ((16, 4), (16, 8), (8, 8), (8, 2)):
        given = f"one face, {count} times in batches of {size}, against 8 times in batches of 4"
        expect.close(reported(count, size), once, rtol=1e-3, atol=0, given=given)
    other = torch.rand(1, 8) * 90
    alone = reported(8, 4, (other,), epochs=3)
    expect.close(
        reported(4, 4, (point, other)),
        (once + alone) / 2,
        rtol=1e-3,
        atol=0,
        likely={"the loss of the last batch, not the mean of all": alone},
        given=f"two batches, whose losses are {once:.4g} and {alone:.4g}",
    )


@check("train_regressor trains the model it got, in training mode", points=0.5, category="values", after=test_history)
def test_train_mode(submission):
    images, points = torch.rand(10, 1, 96, 96), torch.rand(10, 8) * 90
    model = submission.probes.reader().eval()  # as a measurement may have left it
    submission.train_regressor(model, submission.probes.loader(images, points, 4), 2, 1e-2, "cpu")
    expect.equal(
        submission.probes.modes(model)[:6],
        [True] * 6,
        likely={"batch statistics and dropout were off: the model came in evaluation mode": [False] * 6},
    )
    expect.equal(model.training, False, because="train_regressor leaves the model in evaluation mode")
    gain = float(model.state_dict()["gain"])
    expect.true(gain != 1.0, expected="a parameter that was trained: it was 1", got="1, as before")


@check("coordinates that nobody marked teach nothing", points=1, category="values",
       after=[test_history, test_loss_values], hidden=True)  # fmt: skip
def test_unknown(submission):
    images, points = torch.rand(12, 1, 96, 96) + 0.5, torch.rand(12, 8) * 90
    points[:, 3] = NAN  # never known
    model = submission.probes.scaler()
    submission.train_regressor(model, submission.probes.loader(images, points, 4), 3, 1e-2, "cpu")
    moved = (model.state_dict()["gain"] - 1).abs()
    known = torch.arange(8) != 3
    given = "an output with a weight of its own for each coordinate; y of the second point is never known"
    expect.true(
        float(moved[known].min()) > 1e-3,
        expected="weights of known coordinates that are trained",
        got=f"a change of {float(moved[known].min()):.2g}",
        given=given,
    )
    expect.true(
        float(moved[3]) < 0.1 * float(moved[known].mean()),
        expected="the weight of the unknown coordinate stays: it was 1",
        got=f"{float(model.state_dict()['gain'][3]):.4g}",
        given=given,
    )


@check("gradients are clipped between backward and step", points=1.5, category="gradients", after=test_history)
def test_clip(submission):
    images, points = torch.rand(12, 1, 96, 96), torch.rand(12, 8) * 90
    loader = submission.probes.loader(images, points, 4)
    norms, largest = submission.probes.gradients_at_steps(submission.train_regressor, loader, 2, 1e-3)
    expect.true(len(norms) >= 6, expected="an optimiser step for each of 6 batches", got=f"{len(norms)} steps")
    worst, least = max(norms), min(norms)
    expect.true(
        worst <= 1.001,
        expected="a gradient norm of at most 1 when a step is taken",
        got=f"a norm of {worst:.4g}",
        likely={"each value is clipped to 1, not the norm of all": max(largest) <= 1.0001},
        given="a linear model with large gradients",
    )
    expect.true(least > 1e-6, expected="gradients at every step", got=f"a norm of {least:.2g} at one step")
    truth = torch.rand(12, 8) * 60 + 15
    loader = submission.probes.loader(readable(submission, truth, torch.full((12, 8), 0.05)), truth, 4)
    norms, _ = submission.probes.gradients_at_steps(submission.train_regressor, loader, 1, 1e-6, steep=False)
    expect.true(
        not all(abs(norm - 1) < 1e-3 for norm in norms),
        expected="gradients below 1 that stay as they are",
        got="a norm of 1 at every step",
        likely={"small gradients are scaled up to a norm of 1": True},
        given="a model that is nearly right",
    )


@check(
    "training and measurement move every batch to the device",
    points=0.5,
    category="devices",
    after=[test_portable, test_history],
    hidden=True,
)
def test_moves(submission):
    loader = submission.probes.loader(torch.rand(4, 1, 96, 96), torch.rand(4, 8) * 90, 2)
    runs = {
        "train_regressor": (submission.train_regressor, submission.KeypointCNN(), loader, 1, 1e-3, "meta"),
        "mean_pixel_error": (submission.mean_pixel_error, submission.KeypointCNN().to("meta"), loader),
    }
    for name, call in runs.items():
        given = f"{name} with batches on the CPU and another device"
        expect.follows_device(*call, expected="the model and each batch on one device", given=given)


@check("training and measurement print nothing", points=0.5, category="robustness", after=test_history, hidden=True)
def test_silent(submission):
    loader = submission.probes.loader(torch.rand(6, 1, 96, 96), torch.rand(6, 8) * 90, 4)
    model = submission.probes.reader()
    for name, call in {
        "train_regressor": (submission.train_regressor, model, loader, 2, 1e-3, "cpu"),
        "mean_pixel_error": (submission.mean_pixel_error, model, loader),
    }.items():
        expect.equal(submission.probes.printed(*call), "", given=f"what is printed by {name}")


# ResNet-18


def resnet18_shapes():
    """Names and shapes of the usual weight file."""
    shapes = {"conv1.weight": (64, 3, 7, 7)} | norm_shapes("bn1", 64)
    width = 64
    for number in range(4):
        wider = 64 * 2**number
        for block in range(2):
            name, inputs = f"layer{number + 1}.{block}", wider if block else width
            shapes[f"{name}.conv1.weight"] = (wider, inputs, 3, 3)
            shapes |= norm_shapes(f"{name}.bn1", wider)
            shapes[f"{name}.conv2.weight"] = (wider, wider, 3, 3)
            shapes |= norm_shapes(f"{name}.bn2", wider)
            if inputs != wider:
                shapes[f"{name}.downsample.0.weight"] = (wider, inputs, 1, 1)
                shapes |= norm_shapes(f"{name}.downsample.1", wider)
        width = wider
    return shapes | {"fc.weight": (1000, 512), "fc.bias": (1000,)}


def norm_shapes(name, width):
    parts = {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return parts | {f"{name}.num_batches_tracked": ()}


def resnet18_answer(weights, x):
    """What ResNet-18 makes of images (N, channels, H, W) in evaluation mode; He et al. 2015, table 1."""

    def norm(name, x):
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(weights[f"{name}.{part}"] for part in parts))

    x = norm("bn1", F.conv2d(x, weights["conv1.weight"], stride=2, padding=3)).relu()
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for layer in range(1, 5):
        for block in range(2):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            out = norm(f"{name}.bn1", F.conv2d(x, weights[f"{name}.conv1.weight"], stride=stride, padding=1)).relu()
            out = norm(f"{name}.bn2", F.conv2d(out, weights[f"{name}.conv2.weight"], padding=1))
            if stride == 2:
                shortcut = F.conv2d(x, weights[f"{name}.downsample.0.weight"], stride=stride)
                x = norm(f"{name}.downsample.1", shortcut)
            x = (x + out).relu()
    return F.linear(x.mean((2, 3)), weights["fc.weight"], weights["fc.bias"])


def resnet18_weights():
    """Weights of a ResNet18 as a file would hold them; variances positive."""
    weights = {}
    for name, shape in resnet18_shapes().items():
        if name.endswith("num_batches_tracked"):
            weights[name] = torch.tensor(7)
        elif len(shape) == 1:
            weights[name] = 0.5 + torch.rand(shape)
        else:
            weights[name] = torch.randn(shape) * 0.05
    return weights


@check("ResNet-18 with eight outputs has the right number of parameters", points=1, category="parameters")
def test_resnet_parameters(submission):
    head, stem = 513_000 - 4_104, 9_408 - 3_136
    for channels, total in ((3, 11_180_616), (1, 11_174_344)):
        likely = {"the head still has 1000 outputs": total + head}
        if channels == 1:
            likely["the stem still takes three channels"] = total + stem
        expect.equal(
            parameter_count(submission.build_resnet18_regressor(in_channels=channels)),
            total,
            because="11,689,512 - 513,000 + 4,104, and a stem of 3,136 instead of 9,408 for grey images",
            likely=likely,
            given=f"in_channels={channels}",
        )


@check("ResNet-18 gives num_outputs numbers for an image", points=1, category="shapes")
def test_resnet_shape(submission):
    expect.shape(submission.build_resnet18_regressor()(torch.rand(2, 1, 96, 96)), (2, 8))
    net = submission.build_resnet18_regressor(num_outputs=6, in_channels=3).eval()
    expect.shape(net(torch.rand(1, 3, 96, 96)), (1, 6), given="num_outputs=6, in_channels=3, one image")


@check("given weights are loaded everywhere but in the head", points=1, category="values", after=test_resnet_parameters)
def test_resnet_weights(submission):
    weights = resnet18_weights()
    loaded = submission.build_resnet18_regressor(dict(weights), in_channels=3).state_dict()
    for name in ("conv1.weight", "layer1.0.bn1.running_mean", "layer4.1.conv2.weight", "bn1.num_batches_tracked"):
        expect.equal(loaded[name], weights[name], trivial="the given weights are to be found again", given=name)
    for name, value in weights.items():
        if not name.startswith("fc."):
            expect.true(torch.equal(loaded[name], value), expected=f"the given {name}", got="other values")
    outputs = 1000  # as many as the given head has
    given = f"fc.weight with num_outputs={outputs}"
    wide = submission.build_resnet18_regressor(dict(weights), num_outputs=outputs, in_channels=3).state_dict()
    expect.true(
        not torch.equal(wide["fc.weight"], weights["fc.weight"]),
        expected="fresh weights in the head",
        got="the given ones",
        likely={"a head that fits is loaded": True},
        given=given,
    )
    for channels in (1, 3):
        given = f"in_channels={channels}: the dict of weights"
        expect.not_mutated(submission, submission.build_resnet18_regressor, dict(weights), 8, channels, given=given)
    expect.equal(
        submission.probes.weights_touched(submission.build_resnet18_regressor, dict(weights)),
        [],
        given="names of the given weights that move with the parameters of the network: it needs its own",
    )
    bare = {name: value for name, value in weights.items() if not name.startswith("fc.")}
    net = submission.build_resnet18_regressor(bare, in_channels=3).eval()
    image = torch.rand(2, 3, 41, 64)
    answer = resnet18_answer(net.state_dict(), image)
    expect.close(net(image).detach(), answer, rtol=1e-3, atol=1e-3 * float(answer.abs().max()))


@check("the grey stem answers as the colour stem to repeated channels", points=1, category="values",
       after=test_resnet_weights, hidden=True)  # fmt: skip
def test_resnet_stem(submission):
    weights = resnet18_weights()
    colour = weights["conv1.weight"]
    grey = submission.build_resnet18_regressor(dict(weights), in_channels=1).state_dict()["conv1.weight"]
    expect.close(
        grey,
        colour.sum(1, keepdim=True),
        rtol=1e-5,
        atol=1e-5,
        likely={
            "the mean over the colours: every answer of the stem is a third": colour.mean(1, keepdim=True),
            "only the first colour is kept": colour[:, :1],
        },
    )
    net = submission.build_resnet18_regressor(dict(weights), in_channels=1, num_outputs=2).eval()
    image = torch.rand(2, 1, 33, 40)
    full = submission.build_resnet18_regressor(dict(weights), in_channels=3, num_outputs=2).eval()
    head = {name: value for name, value in net.state_dict().items() if name.startswith("fc.")}
    full.load_state_dict(full.state_dict() | head)
    answer = full(image.expand(-1, 3, -1, -1).contiguous()).detach()
    scale = float(answer.abs().max())
    expect.close(net(image).detach(), answer, rtol=1e-3, atol=1e-3 * scale)


@check(
    "missing or unexpected weights raise an error",
    points=1,
    category="robustness",
    after=test_resnet_weights,
    hidden=True,
)
def test_resnet_refuses(submission):
    weights = resnet18_weights()
    wrong = {
        "layer3.0.conv2.weight is missing": {k: v for k, v in weights.items() if k != "layer3.0.conv2.weight"},
        "layer5.0.conv1.weight is unexpected": weights | {"layer5.0.conv1.weight": torch.zeros(3)},
        "fc2.weight is unexpected": weights | {"fc2.weight": torch.zeros(3)},
    }
    kinds = ("RuntimeError", "KeyError", "ValueError")
    for said, part in wrong.items():
        for channels, freeze in ((1, False), (3, False), (1, True)):
            given = f"{said}; in_channels={channels}, freeze_backbone={freeze}"
            expect.raises(kinds, submission.build_resnet18_regressor, part, 8, channels, freeze, given=given)


@check("a frozen backbone leaves only the head to train", points=1, category="parameters", after=test_resnet_parameters)
def test_resnet_frozen(submission):
    net = submission.build_resnet18_regressor(freeze_backbone=True)
    trained = sorted(row["name"] for row in registered_parameters(net) if row["requires_grad"])
    expect.equal(trained, ["fc.bias", "fc.weight"], because="512 x 8 weights + 8 biases = 4,104")
    free = submission.build_resnet18_regressor(freeze_backbone=False)
    count = parameter_count(free, trainable=True)
    expect.equal(count, 11_174_344, likely={"frozen without being asked": 4_104}, given="freeze_backbone=False")
    expect.equal(
        submission.probes.norms_in_training(free.train()),
        20,
        because="each batch normalisation follows train()",
        given="freeze_backbone=False",
    )


@check("given weights, head, stem and freezing go together", points=1, category="values",
       after=[test_resnet_stem, test_resnet_frozen], hidden=True)  # fmt: skip
def test_resnet_together(submission):
    weights = resnet18_weights()
    for channels, outputs in ((1, 6), (3, 2)):
        net = submission.build_resnet18_regressor(dict(weights), outputs, channels, True)
        given = f"given weights, num_outputs={outputs}, in_channels={channels}, freeze_backbone=True"
        state, stem = net.state_dict(), weights["conv1.weight"]
        expect.shape(state["fc.weight"], (outputs, 512), given=given)
        wanted = stem if channels == 3 else stem.sum(1, keepdim=True)
        expect.close(
            state["conv1.weight"],
            wanted,
            rtol=1e-5,
            atol=1e-5,
            given=f"{given}: conv1.weight",
            trivial="the weights are those that were handed over",
        )
        for name in ("layer2.0.downsample.0.weight", "layer4.1.bn2.running_var"):
            expect.close(
                state[name],
                weights[name],
                given=f"{given}: {name}",
                trivial="the weights are those that were handed over",
            )
    net = submission.build_resnet18_regressor(None, 6, 1, True)
    expect.shape(net(torch.rand(2, 1, 40, 40)), (2, 6), given="num_outputs=6, freeze_backbone=True, fresh weights")
    given = "another network, built from the same weights"
    other = submission.build_resnet18_regressor(dict(weights), in_channels=3)
    submission.probes.double_parameters(other)
    again = submission.build_resnet18_regressor(dict(weights), in_channels=3).state_dict()
    expect.close(
        again["layer1.0.conv1.weight"],
        weights["layer1.0.conv1.weight"],
        given=given,
        trivial="the weights are those that were handed over",
    )


@check("training a frozen network changes its head only", points=1, category="values",
       after=[test_resnet_frozen, test_train_mode, test_clip], hidden=True)  # fmt: skip
def test_resnet_step(submission):
    net = submission.build_resnet18_regressor(freeze_backbone=True)
    expect.equal(
        submission.probes.norms_in_training(net),
        0,
        because="so many batch normalisations may be in training mode",
        likely={"batch normalisation is in training mode: its statistics would move": 20},
        given="the frozen network as it is built",
    )
    left = submission.probes.switched(net)
    expect.equal(left["rests"], True, because="in evaluation mode after eval()", given="the frozen network")
    expect.equal(left["itself"], True, because="eval() and train() return the module", given="the frozen network")
    expect.equal(left["norms"], 0, because="norms in training mode", given="the frozen network after model.train()")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    images, points = torch.rand(6, 1, 64, 64), torch.rand(6, 8) * 60
    submission.train_regressor(net, submission.probes.loader(images, points, 3), 1, 1e-2, "cpu")
    after = net.state_dict()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    moving = ["bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"]
    backbone = [name for name in moved if not name.startswith("fc.")]
    expect.true(
        not backbone,
        expected="a backbone that stays as it was",
        got=f"{len(backbone)} entries that moved, such as {backbone[0] if backbone else ''}"
        + (": batch statistics move in training mode" if set(moving) & set(backbone) else ""),
    )
    expect.equal([name for name in moved if name.startswith("fc.")], ["fc.weight", "fc.bias"])


# Results


def points_found(submission, net, images, truth):
    """What the net finds, in pixels, in the shape of the truth, which stays here."""
    scaled = torch.from_numpy(np.moveaxis(images, -1, 0).copy()).unsqueeze(1).float() / 255
    output = submission.probes.predictions(net, scaled)
    expect.shape(output, truth.shape)
    return submission.decode_keypoints(output).detach()


def pixel_error(found, truth):
    """Mean |error| in pixels over the coordinates that are known."""
    error = (found.double() - torch.from_numpy(truth).double()).abs()
    return float(error[~torch.from_numpy(truth).isnan()].mean())


def choose_data(dataset):
    """(training images, points), (test images, points), name of the ceiling; the samples are on the last axis."""
    chosen = dataset.choose("faces", real="keypoints")
    name = chosen.named("pixel_error_ratio")
    if chosen.real:
        train, test = chosen.module.load()
        pick = torch.randperm(len(train.points))[:700].numpy()
        return (train.images[:, :, pick], train.points[pick]), (test.images, test.points), name
    images, points = chosen.module.generate(750, seed=any_seed())
    images = np.moveaxis(images, 0, -1)
    return (images[:, :, :500], points[:500]), (images[:, :, 500:], points[500:]), name


@check(
    "KeypointCNN learns sixteen faces by heart",
    points=1,
    category="convergence",
    after=[test_item_values, test_codec, test_cnn_shape, test_history],
    seconds=60,
)
def test_overfit(submission, dataset, calibration):
    images, points = dataset("faces").generate(16, seed=any_seed())
    images = np.moveaxis(images, 0, -1)
    net = submission.KeypointCNN()
    loader = submission.probes.shuffled(submission.KeypointDataset(images, points), 8)
    submission.train_regressor(net, loader, 150, 1e-3, "cpu")  # 300 steps: a net without normalisation is slower
    error = pixel_error(points_found(submission, net, images, points), points)
    calibration.holds("overfit_pixel_error", error, unit="pixels (mean error on these faces)")


@check(
    "the trained network finds the points of faces it has never seen",
    points=3,
    category="accuracy",
    after=[test_item_values, test_codec, test_cnn_shape, test_history],
    devices="all",
    seconds=90,
    tries=2,
)
def test_accuracy(submission, device, dataset, calibration, pictures):
    (images, points), (unseen, truth), name = choose_data(dataset)
    known = points.copy()
    known[torch.rand(points.shape).numpy() < 0.03] = np.nan  # as in real files, some are missing
    net = submission.KeypointCNN()
    loader = submission.probes.shuffled(submission.KeypointDataset(images, known), 32)
    losses = submission.train_regressor(net, loader, 12, 1e-3, device)
    pictures.curves(f"{name}_training", "epoch", {"training loss": losses})
    found = points_found(submission, net, unseen, truth)
    pictures.keypoints(name, torch.from_numpy(np.moveaxis(unseen, -1, 0).copy()), found, torch.from_numpy(truth))
    error = pixel_error(found, truth)
    mean = float(np.nanmean(np.abs(truth - np.nanmean(points, 0))))
    unit = f"pixels (predicting the mean face: {mean:.2f})"
    calibration.holds(name, error / mean, scale=mean, unit=unit)
