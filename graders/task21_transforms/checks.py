"""Checks for task 21: transforms of pictures and tensors, statistics of channels, chains for training and testing."""

import numpy as np
import torch
from torch.nn import functional as F

from torchgrade.authoring import FLOATS, LAYOUTS, LEFT_OUT, Rule, any_seed, check, expect, grid, normal

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
NAMES = (
    *("ToTensor", "Normalize", "denormalize", "Compose", "CenterCrop", "RandomCrop", "RandomHorizontalFlip", "Resize"),
    *("channel_mean_std", "build_transforms"),
)
OWN_WORK = Rule(of=NAMES, names=("torchvision",), instead="torch, NumPy and Pillow")


def random_picture(*shape):
    """Bytes (H, W, 3) or (H, W), 0 and 255 among them."""
    array = torch.randint(0, 256, shape, dtype=torch.uint8).numpy()
    array[0, 0], array[-1, -1] = 0, 255
    return array


def expect_picture(found, mode, truth, given, likely=None):
    """A transform gave a picture of this mode with these values, and left its own as it was."""
    kind, values, changed = found
    expect.equal(kind, f"picture of mode {mode}", because="the same kind comes back", given=given)
    expect.close(np.asarray(values), truth, given=given, likely=likely)
    expect.equal(changed, False, because="the picture that was passed stays as it is", given=given)


# To a tensor


@check("ToTensor gives floats 0..1, channels first", points=1.5, category="values")
def test_tensor_values(submission):
    given = "a picture of the one pixel (255, 0, 51)"
    pixel = np.array([[[255, 0, 51]]], np.uint8)
    kind, values, _ = submission.probes.of_picture(submission.ToTensor(), pixel)
    expect.equal(kind, "tensor of float32", given=given)
    wanted = torch.tensor([1.0, 0.0, 0.2]).reshape(3, 1, 1)
    likely = {
        "the values are divided by 255 twice": wanted / 255,
        "the values are not divided": wanted * 255,
        "it is divided by 256": wanted * 255 / 256,
        "the channels stay last": wanted.permute(1, 2, 0),
    }
    expect.close(values, wanted, rtol=0, atol=1e-6, likely=likely, given=given)
    picture = random_picture(5, 7, 3)
    truth = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    likely = {
        "reshape mixes up the pixels: the axes have to be moved": truth.permute(1, 2, 0).reshape(3, 5, 7),
        "rows and columns are swapped": truth.transpose(1, 2),
    }
    for found, given in (
        (submission.probes.of_picture(submission.ToTensor(), picture)[1], "a picture 5 high and 7 wide"),
        (submission.ToTensor()(picture), "an array uint8 (5, 7, 3)"),
    ):
        expect.close(found, truth, likely=likely, given=given)
    dark = picture // 128
    likely = {"bytes are divided only where some are above 1": torch.from_numpy(dark).permute(2, 0, 1).float()}
    for found, given in (
        (submission.probes.of_picture(submission.ToTensor(), dark)[1], "a dark picture, whose bytes are 0 and 1"),
        (submission.ToTensor()(dark), "an array uint8 (5, 7, 3) of 0 and 1"),
    ):
        expect.close(found, torch.from_numpy(dark).permute(2, 0, 1).float() / 255, likely=likely, given=given)
    array = random_picture(6, 8, 3)[:, ::2]
    truth = torch.from_numpy(array.copy()).permute(2, 0, 1).float() / 255
    expect.close(submission.ToTensor()(array), truth, given="an array uint8 (6, 4, 3), every second column of another")


@check("ToTensor gives a grey picture one channel", points=0.5, category="shapes")
def test_tensor_grey(submission):
    grey = random_picture(4, 6)
    truth = torch.from_numpy(grey)[None].float() / 255
    _, values, _ = submission.probes.of_picture(submission.ToTensor(), grey)
    likely = {"the axis of the channel is missing": truth[0]}
    expect.close(values, truth, likely=likely, given="a picture of mode L, 4 high and 6 wide")
    expect.close(submission.ToTensor()(grey), truth, likely=likely, given="an array uint8 (4, 6)")


@check("ToTensor leaves the values of floats as they are", points=1, category="values", hidden=True)
def test_tensor_floats(submission):
    for shape, most in (((3, 4, 3), 1), ((4, 5), 1), ((3, 2, 1), 1), ((3, 4, 3), 255)):
        for dtype in (np.float64, np.float32):
            array = (most * (normal(*shape) if most == 1 else torch.rand(shape))).numpy().astype(dtype)
            truth = torch.from_numpy(np.atleast_3d(array)).permute(2, 0, 1).float()
            given = f"an array {np.dtype(dtype).name} {shape}{'' if most == 1 else ' of numbers up to 255'}"
            found = expect.not_mutated(submission, submission.ToTensor(), array, given=given)
            expect.close(found, truth, likely={"floats are divided by 255, too": truth / 255}, given=given)


# Normalising

IMAGES = [(3, 4, 5), (2, 3, 4, 4), (1, 3, 1, 1), (0, 3, 2, 2), (3, 1, 6), (3, 3, 3), (3, 3, 2, 4)]
MEANS = [MEAN, (0.5, -2.0, 1.0)]
DEVIATIONS = [STD, (3.0, 0.5, 1.5)]


def column(values, x):
    return torch.tensor(values, dtype=x.dtype, device=x.device)[:, None, None]


def normalized(x, mean, std):
    return (x - column(mean, x)) / column(std, x)


def denormalized(x, mean, std):
    return x * column(std, x) + column(mean, x)


CHANNELS = grid(shape=IMAGES, mean=MEANS, std=DEVIATIONS)
GREY = grid(shape=[(1, 4, 5), (2, 1, 3, 3)], mean=[(0.3,), (-2.0,)], std=[(0.25,), (4.0,)])
NORMALIZE_SLIPS = {
    "the deviation is taken for a variance": lambda x, mean, std: normalized(x, mean, [s**0.5 for s in std]),
    "it is divided by the variance": lambda x, mean, std: normalized(x, mean, [s * s for s in std]),
    "it is divided first, the mean comes off behind": lambda x, mean, std: x / column(std, x) - column(mean, x),
    "the mean is added": lambda x, mean, std: normalized(x, [-m for m in mean], std),
    "it is multiplied by the deviation": lambda x, mean, std: normalized(x, mean, [1 / s for s in std]),
}


@check("Normalize gives (x - mean) / std for each channel", points=1.5, category="values", devices="all")
def test_normalize_values(submission, device):
    expect.agrees(
        submission.probes.as_function(submission.Normalize), normalized, CHANNELS, name="Normalize",
        device=device, likely=NORMALIZE_SLIPS,
    )  # fmt: skip
    white = torch.ones(3, 2, 2)
    for level, wanted in ((0.0, (-2.4291, -2.4183, -2.2214)), (1.0, (2.5141, 2.5968, 2.7537))):
        truth = torch.tensor(wanted)[:, None, None].expand(3, 2, 2)
        given = f"an image of {level:.0f}, with mean and deviation of CIFAR-10"
        found = submission.Normalize(MEAN, STD)((white * level).to(device))
        expect.close(found, truth.to(device), rtol=0, atol=1e-4, given=given)


def statistics_in_forms():
    """Mean and deviation of CIFAR-10 in the forms that are allowed besides tuples, with the name of the form."""
    for dtype, form in ((torch.float32, "tensors of float32"), (torch.float64, "tensors of float64")):
        yield torch.tensor(MEAN, dtype=dtype), torch.tensor(STD, dtype=dtype), form
    yield list(MEAN), list(STD), "lists"


def expect_kept(submission, function, *args, mean, std):
    """What an image of float64 and the tensors or lists ``mean`` and ``std`` are after a call is what they were."""
    if isinstance(mean, torch.Tensor):
        x = torch.rand(3, 4, 4, dtype=torch.float64)
        given = f"mean and std as tensors of {str(mean.dtype).removeprefix('torch.')}"
        expect.not_mutated(submission, function, *args, x, mean.clone(), std.clone(), given=given)


def as_numbers(values):
    return values.tolist() if isinstance(values, torch.Tensor) else values


@check("Normalize takes every dtype and layout, and refuses pictures", points=1, category="robustness", hidden=True)
def test_normalize_kinds(submission):
    cases = CHANNELS.vary(dtype=FLOATS, layout=LAYOUTS)
    expect.agrees(
        submission.probes.as_function(submission.Normalize), normalized, cases, name="Normalize",
        unchanged=True, slack=4,
    )  # fmt: skip
    expect.agrees(submission.probes.as_function(submission.Normalize), normalized, GREY, name="Normalize")
    for mean, std, form in statistics_in_forms():
        normalize = submission.Normalize(mean, std)
        for dtype in (torch.float64, torch.float32, torch.float64):  # one object, called three times
            x = torch.rand(3, 4, 4, dtype=dtype)
            given = f"mean and std as {form}, images of float64, float32 and float64, one after the other"
            expect.close(normalize(x), normalized(x, *map(as_numbers, (mean, std))), given=given)
        expect_kept(submission, submission.probes.normalized_by, submission.Normalize, mean=mean, std=std)
    given = "a picture"
    expect.raises(
        "TypeError",
        submission.probes.values_of_picture,
        submission.Normalize(MEAN, STD),
        random_picture(3, 3, 3),
        given=given,
    )


@check("denormalize undoes Normalize", points=1.5, category="values", devices="all")
def test_denormalize_values(submission, device):
    expect.agrees(
        submission.denormalize,
        denormalized,
        CHANNELS,
        device=device,
        likely={
            "the mean is added first, then it is multiplied": lambda x, mean, std: (
                (x + column(mean, x)) * column(std, x)
            ),
            "the mean comes off": lambda x, mean, std: x * column(std, x) - column(mean, x),
            "it is divided by the deviation": lambda x, mean, std: x / column(std, x) + column(mean, x),
            "it is multiplied by the variance": lambda x, mean, std: denormalized(x, mean, [s * s for s in std]),
        },
    )


@check("denormalize keeps dtypes, lets gradients pass, changes nothing", points=0.5, category="gradients", hidden=True)
def test_denormalize_kinds(submission):
    cases = CHANNELS.vary(dtype=FLOATS, layout=LAYOUTS)
    expect.agrees(submission.denormalize, denormalized, cases, gradients=True, unchanged=True, slack=4)
    expect.agrees(submission.denormalize, denormalized, GREY)
    for mean, std, form in statistics_in_forms():
        for dtype in (torch.float32, torch.float64):
            x = torch.rand(2, 3, 4, 4, dtype=dtype)
            given = f"mean and std as {form}, an image of {str(dtype).removeprefix('torch.')}"
            truth = denormalized(x, *map(as_numbers, (mean, std)))
            expect.close(submission.denormalize(x, mean, std), truth, given=given)
        expect_kept(submission, submission.denormalize, mean=mean, std=std)


@check("Compose calls one transform after the other, the first one first", points=1.5, category="values")
def test_compose(submission):
    half, plus_one, x = submission.probes.half, submission.probes.plus_one, normal(2, 3)
    for steps, truth, given in (
        ([half, plus_one], x / 2 + 1, "[half, plus_one]"),
        ([plus_one, half, half], (x + 1) / 4, "[plus_one, half, half]"),
        ([plus_one], x + 1, "[plus_one]"),
    ):
        likely = {}
        if len(steps) == 2:
            likely = {"the last transform is called first": (x + 1) / 2, "only the last one counts": x + 1}
            likely["only the first one is called"] = x / 2
        chain = submission.Compose(steps)
        for number in (1, 2):
            expect.close(chain(x), truth, likely=likely, given=f"Compose({given}), call {number}")
    nested = submission.Compose([submission.Compose([half, plus_one]), half])
    expect.close(nested(x), (x / 2 + 1) / 2, given="Compose([Compose([half, plus_one]), half])")
    expect.close(submission.Compose([])(x), x, trivial="nothing is done", given="Compose([])")
    pair, added = submission.probes.pair, submission.probes.added
    given = "Compose([pair, added]): the first returns two tensors, the second takes them as one argument"
    expect.close(submission.Compose([pair, added])(x), 2 * x + 1, given=given)
    given = "Compose([nothing, was_nothing]): the first returns None, the second tells whether it got None"
    found = submission.probes.passes_nothing(submission.Compose, x)
    expect.equal(found, True, likely={"what comes as None is left out": False}, given=given)
    given = "the list that Compose was made with, after a call"
    expect.equal(submission.probes.list_after(submission.Compose, x), "as it was", given=given)


# Crops


def expect_refusal(submission, crop, shape, name):
    """A tensor and a picture of a shape (H, W) are too small for a crop."""
    given = f"{name}, an image of {shape[0]} x {shape[1]}"
    expect.raises("ValueError", crop, torch.rand(3, *shape), given=given)
    expect.raises("ValueError", crop, torch.rand(shape), given=f"{given}, without an axis of channels")
    given = f"{name}, a picture {shape[0]} high and {shape[1]} wide"
    expect.raises("ValueError", submission.probes.values_of_picture, crop, random_picture(*shape, 3), given=given)


def middle(x, size):
    height, width = (size, size) if isinstance(size, int) else size
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    if top < 0 or left < 0:
        raise ValueError("too small")
    return x[..., top : top + height, left : left + width].clone()


CENTRES = grid(
    shape=[(3, 9, 12), (1, 7, 8), (2, 3, 8, 9), (3, 8, 8), (7, 9), (2, 1, 3, 7, 8)], size=[4, (5, 3), (2, 8), 7, (3, 6)]
)


@check("CenterCrop cuts the middle, rounded down", points=1.5, category="values")
def test_center_values(submission):
    def rounded_up(x, size):
        height, width = (size, size) if isinstance(size, int) else size
        top, left = -((height - x.shape[-2]) // 2), -((width - x.shape[-1]) // 2)
        return x[..., top : top + height, left : left + width].clone()

    def to_even(x, size):
        height, width = (size, size) if isinstance(size, int) else size
        top, left = round((x.shape[-2] - height) / 2), round((x.shape[-1] - width) / 2)
        return x[..., top : top + height, left : left + width].clone()

    def corner(x, size):
        height, width = (size, size) if isinstance(size, int) else size
        return x[..., :height, :width].clone()

    def swapped(x, size):
        return middle(x, size if isinstance(size, int) else size[::-1])

    expect.agrees(
        submission.probes.as_function(submission.CenterCrop),
        middle,
        CENTRES.only(lambda shape, size: max((size, size) if isinstance(size, int) else size) <= min(shape[-2:])),
        name="CenterCrop",
        unchanged=True,
        likely={
            "an odd rest is rounded up": rounded_up,
            "Python's round takes a half to the even neighbour: use //": to_even,
            "height and width of the size are swapped": swapped,
            "the upper left corner is cut, not the middle": corner,
        },
    )  # fmt: skip


@check("CenterCrop takes pictures and any dtype, refuses small images", points=1, category="robustness", hidden=True)
def test_center_kinds(submission):
    for shape, mode in (((9, 12, 3), "RGB"), ((6, 9), "L")):
        picture = random_picture(*shape)
        truth = np.moveaxis(middle(torch.from_numpy(np.atleast_3d(picture)).permute(2, 0, 1), (4, 5)).numpy(), 0, 2)
        found = submission.probes.of_picture(submission.CenterCrop((4, 5)), picture)
        given = f"CenterCrop((4, 5)), a picture of mode {mode}, {shape[0]} high and {shape[1]} wide"
        expect_picture(found, mode, truth.reshape(4, 5, *shape[2:]), given)
    cases = CENTRES.only(lambda shape, size: size in (4, (5, 3))).vary(
        dtype=[torch.float32, torch.float64, torch.uint8, torch.int64, torch.float16], layout=LAYOUTS
    )
    expect.agrees(submission.probes.as_function(submission.CenterCrop, calls=2), middle, cases, name="CenterCrop")
    for size in ((5, 4), (4, 5), 5):
        expect_refusal(submission, submission.CenterCrop(size), (4, 4), f"CenterCrop({size})")


def all_places(x, height, width):
    """Every crop of x (H, W), row by row: (places, height, width)."""
    return x.unfold(0, height, 1).unfold(1, width, 1).flatten(0, 1)


def counts_of(crops, places):
    """How often each of the places is there, and how many crops are none of them."""
    same = (crops[:, None] == places[None]).flatten(2).all(2)  # (crops, places)
    return same.sum(0), int((~same.any(1)).sum())


def even(counts, given):
    """Each place came alike often: chi-square far below what chance gives once in a million."""
    if len(counts) == 1:
        return
    mean = counts.double().mean()
    surprise = float(((counts - mean) ** 2 / mean).sum())
    freedom = len(counts) - 1
    limit = freedom * (1 + 4.76 * (2 / (9 * freedom)) ** 0.5 - 2 / (9 * freedom)) ** 3  # Wilson and Hilferty
    missing = int((counts == 0).sum())
    found = f"{int(counts.min())} to {int(counts.max())} times, {missing} of {len(counts)} places never"
    expect.true(surprise < limit, f"each place about {float(mean):.0f} times", found, given=given)


@check("RandomCrop cuts a part, every place alike often", points=1.5, category="values")
def test_crop_places(submission):
    for height, width, size in ((4, 4, 3), (6, 6, (3, 4)), (3, 7, (2, 7)), (4, 5, (4, 5))):
        x = torch.arange(1.0, height * width + 1).reshape(height, width)
        high, wide = (size, size) if isinstance(size, int) else size
        places = all_places(x, high, wide)
        crop = submission.RandomCrop(size)
        crop(torch.rand(1, height + 2, width + 3))  # what comes first is larger, and says nothing about the others
        found = submission.probes.many(crop, x[None], 60 * len(places))
        given = f"RandomCrop({size}), an image of {height} x {width}, {60 * len(places)} calls"
        likely = {} if high == wide else {"height and width of the size are swapped": (None, 1, wide, high)}
        expect.shape(found, (60 * len(places), 1, high, wide), likely=likely, given=given)
        counts, strange = counts_of(found[:, 0], places)
        expect.equal(strange, 0, because="crops that are no part of the image", given=given)
        even(counts, given)


@check("RandomCrop puts zeros around the image first", points=1, category="values")
def test_crop_padding(submission):
    for padding, size, options in ((1, (3, 4), {}), (2, 6, {}), (1, 5, {}), (1, (4, 5), {"pad_if_needed": True})):
        x = torch.arange(1.0, 21).reshape(4, 5)
        high, wide = (size, size) if isinstance(size, int) else size
        places = all_places(F.pad(x, (padding,) * 4), high, wide)
        crop = submission.RandomCrop(size, padding=padding, **options)
        found = submission.probes.many(crop, x[None], 60 * len(places))
        also = ", pad_if_needed=True" if options else ""
        given = f"RandomCrop({size}, padding={padding}{also}), an image of 4 x 5, {60 * len(places)} calls"
        expect.shape(found, (60 * len(places), 1, high, wide), given=given)
        counts, strange = counts_of(found[:, 0], places)
        expect.equal(strange, 0, because="crops that are no part of the image with its zeros", given=given)
        even(counts, given)


def holds(part, picture):
    """Whether an array holds the picture (3, 4) or (3, 4, 3) somewhere, and zeros besides."""
    corners = [(row, column) for row in range(len(part) - 2) for column in range(part.shape[1] - 3)]
    inside = any(np.array_equal(part[row : row + 3, column : column + 4], picture) for row, column in corners)
    return inside and int(part.sum(dtype=np.int64)) == int(picture.sum(dtype=np.int64))


@check("RandomCrop refuses an image that is too small, or pads it", points=1, category="robustness", hidden=True)
def test_crop_small(submission):
    for size, padding, shape in ((5, 0, (4, 6)), ((3, 9), 1, (4, 6)), ((9, 3), 2, (4, 6))):
        crop = submission.RandomCrop(size, padding=padding)
        expect_refusal(submission, crop, shape, f"RandomCrop({size}, padding={padding})")
    x = torch.arange(1.0, 13).reshape(3, 4)
    for size, padding in (((6, 7), 0), ((5, 4), 0), ((3, 6), 0), (8, 1)):
        crop = submission.RandomCrop(size, padding, pad_if_needed=True)
        high, wide = (size, size) if isinstance(size, int) else size
        found = submission.probes.many(crop, x[None], 30)
        given = f"RandomCrop({size}, padding={padding}, pad_if_needed=True), an image of 3 x 4"
        expect.shape(found, (30, 1, high, wide), given=given)
        sums = [float(part.sum()) for part in found]
        expect.equal(sums, [78.0] * 30, because="the whole image, and zeros", given=f"{given}; the sums of 30 crops")
        inside = all((all_places(part[0], 3, 4) == x).flatten(1).all(1).any() for part in found)
        expect.equal(bool(inside), True, because="the image is in there as it was", given=given)
        for picture, mode in ((random_picture(3, 4), "L"), (random_picture(3, 4, 3), "RGB")):
            found = submission.probes.many_pictures(crop, picture, 8)
            given = f"RandomCrop({size}, padding={padding}, pad_if_needed=True), a picture of mode {mode}, 3 x 4"
            expect.shape(found, (8, high, wide, *picture.shape[2:]), given=given)
            whole = [holds(part.numpy(), picture) for part in found]
            expect.equal(whole, [True] * 8, because="the picture is in there as it was, and zeros", given=given)
    for size in ((5, 2), (2, 6)):
        high, wide = min(size[0], 3), min(size[1], 4)
        found = submission.probes.many(submission.RandomCrop(size, pad_if_needed=True), x[None], 60)
        given = f"RandomCrop({size}, pad_if_needed=True), an image of 3 x 4, which is too small in one axis alone"
        expect.shape(found, (60, 1, *size), given=given)
        parts = [(all_places(part[0], high, wide)[:, None] == all_places(x, high, wide)) for part in found]
        seen = torch.stack([same.flatten(2).all(2).any(0) for same in parts]).sum(0)  # (places,)
        expect.equal(int(seen.sum()), 60, because="crops with a part of the image", given=given)
        expect.equal(int((seen == 0).sum()), 0, because="parts that never came", given=given)
    for shape in ((1, 3, 9), (3, 9), (2, 1, 3, 9)):
        found = submission.RandomCrop((5, 4), pad_if_needed=True)(torch.rand(shape))
        given = f"RandomCrop((5, 4), pad_if_needed=True), a tensor {shape}"
        expect.shape(found, (*shape[:-2], 5, 4), given=given)
    places = all_places(x, 2, 3)
    counts, strange = counts_of(
        submission.probes.many(submission.RandomCrop((2, 3), pad_if_needed=True), x[None], 300)[:, 0], places
    )
    given = "RandomCrop((2, 3), pad_if_needed=True), an image of 3 x 4 that is large enough"
    expect.equal(strange, 0, because="crops that are no part of the image", given=given)
    even(counts, given)


@check("random transforms repeat with torch.manual_seed, keep kind and input", points=1, category="robustness",
       hidden=True)  # fmt: skip
def test_random_kinds(submission):
    x = torch.rand(3, 8, 8)
    for transform, given in (
        (submission.RandomCrop(4), "RandomCrop(4)"),
        (submission.RandomHorizontalFlip(), "RandomHorizontalFlip()"),
    ):
        runs = [submission.probes.seeded(transform, x, 24, seed) for seed in (1, 1, 2)]
        other = not torch.equal(runs[0], runs[1])
        likely = {"what is random does not come from torch's global generator": runs[1]} if other else {}
        expect.close(runs[1], runs[0], likely=likely, given=f"{given}, 24 calls after torch.manual_seed(1), twice")
        same = bool((runs[2] == runs[0]).all())
        expect.equal(same, False, because="another seed", given=f"{given}; whether seeds 1 and 2 give the same")
        expect.not_mutated(submission, transform, x, given=given)
    grey, colour = random_picture(6, 9), random_picture(6, 9, 3)
    for picture, mode in ((grey, "L"), (colour, "RGB")):
        found = submission.probes.of_picture(submission.RandomHorizontalFlip(p=1), picture)
        given = f"RandomHorizontalFlip(p=1), a picture of mode {mode}"
        likely = {"the picture is turned upside down": picture[::-1], "nothing is mirrored": picture}
        expect_picture(found, mode, picture[:, ::-1], given, likely)
        found = submission.probes.of_picture(submission.RandomCrop((6, 9)), picture)
        expect_picture(found, mode, picture, f"RandomCrop((6, 9)), a picture of mode {mode} of this size")
        found = submission.probes.of_picture(submission.RandomCrop((10, 13), padding=2), picture)
        padded = np.pad(picture, ((2, 2), (2, 2), (0, 0))[: picture.ndim])
        given = f"RandomCrop((10, 13), padding=2), a picture of mode {mode}, 6 high and 9 wide"
        expect_picture(found, mode, padded, given)
        crops = submission.probes.many_pictures(submission.RandomCrop((5, 8)), picture, 8)
        expect.shape(crops, (8, 5, 8, *picture.shape[2:]), given=f"RandomCrop((5, 8)), a picture of mode {mode}")
        plane = torch.from_numpy(picture.reshape(6, 9, -1)[..., 0].copy())
        _, strange = counts_of(crops.reshape(8, 5, 8, -1)[..., 0], all_places(plane, 5, 8))
        expect.equal(strange, 0, because="crops that are no part of the picture", given=f"a picture of mode {mode}")
    for dtype, shape in (
        *((dtype, (2, 3, 5, 6)) for dtype in (torch.uint8, torch.float64, torch.int64, torch.float16, torch.bool)),
        *((torch.float32, shape) for shape in ((5, 6), (3, 5, 6), (2, 1, 3, 5, 6))),
    ):
        most = {torch.int64: 2**40, torch.bool: 2}.get(dtype, 50)  # float32 cannot hold all of these integers
        x = (torch.rand(*shape[:-1], 2 * shape[-1], dtype=torch.float64) * most).floor_()
        x = ((x - 20) / 3 if dtype.is_floating_point else x).to(dtype)[..., ::2]
        given = f"a tensor of {str(dtype).removeprefix('torch.')} {shape}"
        expect.close(submission.RandomHorizontalFlip(p=1)(x), x.flip(-1), given=f"RandomHorizontalFlip(p=1), {given}")
        found = submission.RandomCrop((7, 8), padding=1)(x)
        expect.close(found, F.pad(x, (1, 1, 1, 1)), given=f"RandomCrop((7, 8), padding=1), {given}")


@check("RandomHorizontalFlip mirrors with probability p", points=1, category="values")
def test_flip_share(submission):
    x = torch.arange(6.0).reshape(1, 2, 3)
    for p in (0.5, LEFT_OUT, 0.2, 0.9, 0.0, 1.0):
        left_out, count = p is LEFT_OUT, 1000
        share = 0.5 if left_out else p
        flip = submission.RandomHorizontalFlip() if left_out else submission.RandomHorizontalFlip(p)
        found = submission.probes.many(flip, x, count)
        given = f"RandomHorizontalFlip({'' if left_out else p}), {count} calls"
        turned = (found == x.flip(-1)).flatten(1).all(1)
        kept = (found == x).flatten(1).all(1)
        upside = (found == x.flip(-2)).flatten(1).all(1)
        other = int((~(turned | kept)).sum())
        likely = {"the image is turned upside down": other > 0 and int((upside & ~kept).sum()) == other}
        expect.true(other == 0, "the image or its mirror image", f"{other} times neither", likely=likely, given=given)
        room = 6 * (count * share * (1 - share)) ** 0.5
        times = int(turned.sum())
        likely = {"p is the probability that nothing happens": count - times} if share not in (0.5,) else {}
        likely = {text: value if abs(value - count * share) <= room else -1 for text, value in likely.items()}
        likely = {text: times for text, value in likely.items() if value >= 0}
        expect.between(times, count * share - room, count * share + room, "mirror images", likely=likely, given=given)


@check("RandomHorizontalFlip mirrors points, and swaps left and right", points=1.5, category="values")
def test_flip_points(submission):
    x = torch.rand(3, 6, 10)
    points = torch.tensor([[2.0, 5.0], [7.5, 1.0], [0.0, 3.0], [-4.0, -2.0]])
    mirrored = torch.tensor([[7.0, 5.0], [1.5, 1.0], [9.0, 3.0], [13.0, -2.0]])
    for swap, order in (
        (None, [0, 1, 2, 3]),
        ([(0, 1)], [1, 0, 2, 3]),
        ([(0, 2)], [2, 1, 0, 3]),
        ([(0, 2), (1, 3)], [2, 3, 0, 1]),
    ):
        for dtype in (torch.float32, torch.float64):
            flip = submission.RandomHorizontalFlip(p=1, swap=swap)
            given = f"an image 6 high and 10 wide, points {points.tolist()}, swap={swap}"
            wide = torch.stack([points, points + 50], 2).flatten(1).to(dtype)  # (K, 4): others stand between them
            image, found = expect.not_mutated(submission, flip, x, wide[:, ::2], given=given)
            truth = mirrored[order].to(dtype)
            likely = {
                "x becomes W - x: column 0 would leave the image": truth + torch.tensor([1.0, 0.0], dtype=dtype),
                "the points stay where they were": points.to(dtype),
                "the height is taken for the width": truth - torch.tensor([4.0, 0.0], dtype=dtype),
                "y is mirrored, not x": torch.stack([points[:, 0], 5 - points[:, 1]], 1)[order].to(dtype),
            }
            if swap:
                likely["the points are not exchanged"] = mirrored.to(dtype)
            if swap and len(swap) > 1:
                likely["only the first pair is exchanged"] = mirrored[[2, 1, 0, 3]].to(dtype)
            expect.close(found, truth, likely=likely, given=given)
            expect.close(image, x.flip(-1), given=f"{given}; the image")
    flip, picture = submission.RandomHorizontalFlip(p=1, swap=[(0, 1)]), random_picture(6, 10, 3)
    kind, values, found = submission.probes.of_picture_and_points(flip, picture, points)
    given = f"a picture 6 high and 10 wide, points {points.tolist()}, swap=[(0, 1)]"
    expect.equal(kind, "picture of mode RGB", because="the same kind comes back", given=given)
    expect.close(np.asarray(values), picture[:, ::-1], given=f"{given}; the picture")
    likely = {"the height is taken for the width": mirrored[[1, 0, 2, 3]] - torch.tensor([4.0, 0.0])}
    expect.close(found, mirrored[[1, 0, 2, 3]], likely=likely, given=given)
    for shape in ((6, 10), (2, 3, 6, 8), (3, 6, 12)):  # one object
        image, found = flip(torch.zeros(shape), points)
        truth = torch.stack([shape[-1] - 1 - points[:, 0], points[:, 1]], 1)[[1, 0, 2, 3]]
        expect.close(found, truth, given=f"an image as a tensor {shape}, points {points.tolist()}, swap=[(0, 1)]")
    given = "the list swap=[(0, 1), (2, 3)], after a call"
    expect.equal(submission.probes.swap_after(submission.RandomHorizontalFlip, x, points), "as it was", given=given)
    image, found = submission.RandomHorizontalFlip(p=0, swap=[(0, 1)])(x, keypoints=points)
    expect.close(found, points, trivial="with p=0 nothing is mirrored", given="p=0, swap=[(0, 1)]")
    expect.close(image, x, trivial="with p=0 nothing is mirrored", given="p=0")
    images, found = submission.probes.many_flips(submission.RandomHorizontalFlip(0.5, [(0, 1)]), x, points, 60)
    turned = (images == x.flip(-1)).flatten(1).all(1)
    moved = (found == mirrored[[1, 0, 2, 3]]).flatten(1).all(1)
    given = "60 calls with p=0.5; whether image and points were mirrored together in each"
    expect.equal(bool((turned == moved).all()), True, because="one draw decides about both", given=given)
    pair = submission.RandomHorizontalFlip(p=0)(x, torch.zeros(0, 2))
    expect.equal(len(expect.record(pair, (None,))), 2, given="p=0, keypoints of shape (0, 2)")


# Sizes


def sizes_of(submission, resize, height, width):
    """Height and width of what a transform makes of a picture and of a tensor."""
    _, values, _ = submission.probes.of_picture(resize, random_picture(height, width, 3))
    x = resize(torch.rand(3, height, width))
    return [list(np.shape(values)[:2]), list(x.shape[-2:])]


@check("Resize keeps the proportion for one number, takes a pair as it is", points=1.5, category="shapes")
def test_resize_shapes(submission):
    for height, width, size, wanted in (
        (200, 400, 256, [256, 512]),
        (12, 17, 10, [10, 14]),
        (19, 12, 10, [15, 10]),
        (55, 22, 6, [15, 6]),
        (22, 30, 11, [11, 15]),
        (16, 16, 24, [24, 24]),
        (20, 30, (12, 40), [12, 40]),
        (12, 19, 12, [12, 19]),
        (10, 17, 7, [7, 11]),
        (23, 10, 9, [20, 9]),
    ):
        given = f"Resize({size}), an image {height} high and {width} wide, as a picture and as a tensor"
        likely = {}
        if (height, width) == (200, 400):
            likely["the longer side gets the size"] = [[128, 256]] * 2
            likely["one number makes a square"] = [[256, 256]] * 2
        elif height == 23:
            likely["the longer side is rounded to the nearest"] = [[21, 9]] * 2
        elif (height, width) == (10, 17):
            likely["the longer side is rounded to the nearest"] = [[7, 12]] * 2
        elif height == 19:
            likely["the longer side is rounded to the nearest"] = [[16, 10]] * 2
        elif size == (12, 40):
            likely["height and width of the pair are swapped"] = [[40, 12]] * 2
        expect.equal(
            sizes_of(submission, submission.Resize(size), height, width), [wanted] * 2, likely=likely, given=given
        )
    resize = submission.Resize(10)
    found = [sizes_of(submission, resize, *size)[1] for size in ((12, 17), (19, 12), (30, 30))]
    given = "one Resize(10), called with images of 12 x 17, 19 x 12 and 30 x 30"
    expect.equal(found, [[10, 14], [15, 10], [10, 10]], given=given)


def bilinear(x, size):
    size = tuple(size)
    flat = x.reshape(1, -1, *x.shape[-2:])
    return F.interpolate(flat, size, mode="bilinear", align_corners=False).reshape(*x.shape[:-2], *size)


def aligned(x, size):
    flat = x.reshape(1, -1, *x.shape[-2:])
    return F.interpolate(flat, tuple(size), mode="bilinear", align_corners=True).reshape(*x.shape[:-2], *size)


def nearest(x, size):
    flat = x.reshape(1, -1, *x.shape[-2:])
    return F.interpolate(flat, tuple(size), mode="nearest").reshape(*x.shape[:-2], *size)


def cubic(x, size):
    flat = x.reshape(1, -1, *x.shape[-2:])
    return F.interpolate(flat, tuple(size), mode="bicubic", align_corners=False).reshape(*x.shape[:-2], *size)


LARGER = grid(
    shape=[(3, 4, 5), (1, 3, 3), (2, 3, 4, 4), (3, 5, 2), (4, 5), (2, 1, 3, 4, 3)],
    size=[(8, 10), (5, 7), (9, 5), (5, 11)],
)


@check("Resize interpolates between pixel centres", points=1.5, category="values")
def test_resize_values(submission):
    expect.agrees(
        submission.probes.as_function(submission.Resize),
        bilinear,
        LARGER,
        name="Resize",
        unchanged=True,
        slack=10,
        likely={
            "the corners are aligned": aligned,
            "the nearest pixel is taken": nearest,
            "the interpolation is cubic": cubic,
        },
    )
    rows, columns = torch.arange(40.0)[:, None], torch.arange(48.0)[None, :]
    for size in ((10, 12), (20, 16), (8, 24)):
        ramp = (3 * rows + 2 * columns + 7).expand(1, 40, 48)
        high, wide = 40 / size[0], 48 / size[1]
        down, across = (torch.arange(size[0]) + 0.5) * high - 0.5, (torch.arange(size[1]) + 0.5) * wide - 0.5
        truth = (3 * down[:, None] + 2 * across[None, :] + 7)[None]
        found = submission.Resize(size)(ramp)
        given = f"Resize({size}), the ramp 3·row + 2·column + 7 on 40 x 48, without its border"
        expect.shape(found, (1, *size), given=given)
        inner = (slice(None), slice(2, -2), slice(2, -2))
        likely = {
            "the nearest pixel is taken": nearest(ramp, size)[inner],
            "the corners are aligned": aligned(ramp, size)[inner],
        }
        expect.close(found[inner], truth[inner], rtol=0, atol=0.02, likely=likely, given=given)


@check("Resize gives back the kind that came, and rounds bytes", points=1, category="robustness", hidden=True)
def test_resize_kinds(submission):
    for shape, mode in (((12, 15, 3), "RGB"), ((9, 14), "L")):
        picture = random_picture(*shape)
        planes = torch.from_numpy(np.atleast_3d(picture)).permute(2, 0, 1)
        truth = bilinear(planes.double(), (20, 33)).permute(1, 2, 0).reshape(20, 33, *shape[2:])
        kind, values, changed = submission.probes.of_picture(submission.Resize((20, 33)), picture)
        given = f"Resize((20, 33)), a picture of mode {mode}"
        expect.equal(kind, f"picture of mode {mode}", because="the same kind comes back", given=given)
        expect_bytes(torch.from_numpy(np.array(values)), truth, given)
        expect.equal(changed, False, because="the picture that was passed stays as it is", given=given)
        for x in (planes, planes[0], torch.stack([planes, planes.flip(-1)])):
            found = submission.Resize((20, 33))(x)
            given = f"Resize((20, 33)), a tensor uint8 {tuple(x.shape)}"
            expect.dtype(found, torch.uint8, given=given)
            expect_bytes(found, bilinear(x.double(), (20, 33)), given)
    cases = LARGER.vary(size=[(8, 10), (5, 7)], dtype=[torch.float32, torch.float64], layout=LAYOUTS)
    expect.agrees(submission.probes.as_function(submission.Resize), bilinear, cases, name="Resize", slack=10)
    again = LARGER.vary(size=[(9, 5), (5, 11)])
    expect.agrees(submission.probes.as_function(submission.Resize, calls=2), bilinear, again, name="Resize", slack=10)


def expect_bytes(found, truth, given):
    """Bytes near the exact values, and not all below them."""
    expect.shape(found, tuple(truth.shape), given=given)
    error = found.double() - truth
    expect.between(float(error.abs().max()), 0, 1.6, unit="(the largest error, of 255)", given=given)
    low = float(error.mean())
    likely = {"the values are cut off, not rounded": low if -0.6 < low < -0.4 else torch.inf}
    expect.between(low, -0.2, 0.2, unit="(the mean error, of 255)", likely=likely, given=given)


# Statistics


def statistics(batches):
    """Mean and deviation (C,) over all pixels, in two passes."""
    values = torch.cat([batch.double() for batch in batches]).transpose(0, 1).flatten(1)
    return values.mean(1), values.std(1, correction=0)


def expect_statistics(submission, batches, form, given, likely, tolerance):
    found = submission.channel_mean_std(submission.probes.once(batches, form))
    mean, std = expect.record(found, (None,), given=given)
    truth = statistics(batches)
    for got, wanted, name, slips in zip((mean, std), truth, ("the mean", "the deviation"), likely, strict=True):
        expect.close(got, wanted, rtol=tolerance, atol=tolerance, likely=slips, given=f"{given}; {name}")


@check("channel_mean_std counts every pixel alike, whatever the batches", points=1.5, category="values")
def test_statistics(submission):
    for sizes, channels, form in (
        ((5, 3, 1), 3, "images"),
        ((4,), 1, "tuples (images, labels)"),
        ((2, 2, 5), 2, "lists [images, labels]"),
        ((2, 4), 2, "images"),
    ):
        batches = [torch.randn(count, channels, 3, 4) * (number + 1) + 3 * number for number, count in enumerate(sizes)]
        given = f"a loader that gives {form}, batches of {', '.join(map(str, sizes))}"
        parts = [statistics([batch]) for batch in batches]
        std = statistics(batches)[1]
        pixels = 12 * sum(sizes)
        if len(sizes) > 1:
            slips = (
                {"the means of the batches are averaged": torch.stack([part[0] for part in parts]).mean(0)},
                {
                    "the deviations of the batches are averaged": torch.stack([part[1] for part in parts]).mean(0),
                    "the variance is given, not its root": std.square(),
                    "it is divided by n - 1": std * (pixels / (pixels - 1)) ** 0.5,
                },
            )
        else:
            slips = ({}, {})
        expect_statistics(submission, batches, form, given, slips, 1e-5 if len(sizes) == 1 else 1e-6)


@check("channel_mean_std adds up in float64, and takes integers as they are", points=1, category="robustness",
       hidden=True)  # fmt: skip
def test_statistics_exact(submission):
    none = ({}, {})
    middle, width = torch.tensor([1000.0, -700])[:, None, None], torch.tensor([1.0, 0.5])[:, None, None]
    far = [middle + width * torch.randn(count, 2, 60, 60) for count in (8, 3)]
    expect_statistics(submission, far, "images", "float32 values near 1000 and -700, which hardly deviate", none, 1e-7)
    for dtype in (torch.uint8, torch.int64):
        levels = [torch.randint(0, 256, (count, 3, 5, 5)).to(dtype) for count in (4, 2)]
        given = f"images of {str(dtype).removeprefix('torch.')}, 0..255"
        mean, std = statistics(levels)
        slips = ({"integers are divided by 255": mean / 255}, {"integers are divided by 255": std / 255})
        expect_statistics(submission, levels, "tuples (images, labels)", given, slips, 1e-7)
    form, images = "images that are transposed views", [torch.randn(count, 3, 4, 5) for count in (3, 2)]
    expect_statistics(submission, images, form, f"a loader that gives {form}", none, 1e-6)
    given = "a loader of float64 images, which are looked at again afterwards"
    exact = [torch.randn(count, 3, 4, 5, dtype=torch.float64) for count in (3, 2)]
    expect.not_mutated(submission, submission.probes.statistics_of, submission.channel_mean_std, exact, given=given)
    levels = torch.rand(1, 40, 1, 1, dtype=torch.float64) + 0.1
    constant = [levels.expand(count, 40, 9, 7).clone() for count in (2, 1)]
    found = submission.channel_mean_std(submission.probes.once(constant, "images"))
    mean, std = expect.record(found, (None,))
    given = "images of 40 channels, each of one level everywhere; the deviation"
    expect.close(std, torch.zeros(40, dtype=torch.float64), atol=1e-6, rtol=0, trivial="nothing deviates", given=given)


# Chains


def own_form(submission, picture):
    """A picture of bytes (H, W, 3) as the submission's own ToTensor and Normalize show it: (3, H, W).

    So a slip in these is not told again by each chain.
    """
    return submission.probes.in_turn(picture, submission.ToTensor(), submission.Normalize(MEAN, STD))


@check("the chain for testing gives one normalised tensor (3, 32, 32)", points=1.5, category="values")
def test_test_chain(submission):
    build = submission.build_transforms
    picture = random_picture(32, 32, 3)
    truth = own_form(submission, picture)
    found = submission.probes.chained(build, False, [picture] * 3)
    for number, values in enumerate(found, start=1):
        likely = {
            "Normalize is missing": truth * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None],
            "the picture is mirrored": truth.flip(-1),
        }
        given = f"build_transforms(False), a picture of 32 x 32, call {number}"
        expect.close(values, truth, rtol=1e-4, atol=1e-4, likely=likely, given=given)
    sizes = ((40, 64), (20, 17), (32, 100))
    several = [random_picture(height, width, 3) for height, width in sizes]
    found = submission.probes.chained(build, False, several)
    for (height, width), values in zip(sizes, found, strict=True):
        expect.shape(values, (3, 32, 32), given=f"build_transforms(False), a picture {height} high and {width} wide")
        expect.dtype(values, torch.float32)


def resized_form(submission, picture, size):
    """``own_form`` behind the submission's own Resize."""
    steps = (submission.Resize(size), submission.ToTensor(), submission.Normalize(MEAN, STD))
    return submission.probes.in_turn(picture, *steps)


def slopes(values):
    """By how much values (3, H, W) grow from row to row and from column to column in the middle: (2, 3)."""
    middle = values[:, 8:24, 8:24]
    return torch.stack([middle.diff(dim=1).mean((1, 2)).abs(), middle.diff(dim=2).mean((1, 2)).abs()])


def ramp(rows, columns):
    """Bytes (len(rows), len(columns), 3): row and column added up, each channel 20 brighter than the one before."""
    return (np.add.outer(rows, columns)[:, :, None] + np.array([0, 20, 40])).astype(np.uint8)


@check("the chain for testing keeps the proportions and takes the middle", points=1, category="values", hidden=True)
def test_test_middle(submission):
    build = submission.build_transforms
    half = np.arange(32) * 2 + 0.5
    truth = own_form(submission, ramp(half, half + 32))
    inner = (slice(None), slice(1, -1), slice(1, -1))
    given = "a picture 64 high and 128 wide, whose levels grow by 1 from row to row and from column to column"
    likely = {
        "the picture is squeezed into a square": own_form(submission, ramp(half, np.arange(32) * 4 + 1.5))[inner],
        "the left part is taken, not the middle": own_form(submission, ramp(half, half))[inner],
    }
    wide = ramp(np.arange(64), np.arange(128))
    (values,) = submission.probes.chained(build, False, [wide])
    expect.shape(values, (3, 32, 32), given=given)
    expect.close(values[inner], truth[inner], scale=0.025, likely=likely, given=given)


def variants(padded):
    """All parts of 32 x 32 of (3, 40, 40), mirrored ones behind the others: (9 * 9 * 2, 3, 32, 32)."""
    parts = padded.unfold(1, 32, 1).unfold(2, 32, 1).permute(1, 2, 0, 3, 4).flatten(0, 1)
    return torch.cat([parts, parts.flip(-1)])


def apart(found, known):
    """The largest difference between each of found and each of known (N, 3, 32, 32), at every third row and column."""
    return torch.cdist(found[..., ::3, ::3].flatten(1), known[..., ::3, ::3].flatten(1), p=torch.inf)


@check("the chain for training crops with padding and mirrors at random", points=2, category="values")
def test_train_chain(submission, dataset, pictures):
    build = submission.build_transforms
    picture = random_picture(32, 32, 3)
    padded = own_form(submission, np.pad(picture, ((4, 4), (4, 4), (0, 0))))
    plain = own_form(submission, picture)
    calls = 240
    found = submission.probes.chained_often(build, True, picture, calls)
    given = f"build_transforms(True), a picture of 32 x 32, {calls} calls"
    expect.shape(found, (calls, 3, 32, 32), given=given)
    expect.dtype(found, torch.float32, given=given)
    nearest_one = apart(found, variants(padded)).min(1)
    near = 0.002 * float(padded.abs().max())
    far = int((nearest_one.values > near).sum())
    behind = apart(found, variants(F.pad(plain, (4, 4, 4, 4)))).min(1).values
    raw = apart(found, variants(F.pad(torch.from_numpy(picture).permute(2, 0, 1) / 255, (4, 4, 4, 4)))).min(1).values
    likely = {
        "the zeros are put around the normalised picture, where they are grey": bool((behind < near).all()),
        "Normalize is missing": bool((raw < near).all()),
    }
    wanted = "one of the 162 parts of the picture with 4 zeros around it, mirrored or not, normalised"
    expect.true(far == 0, wanted, f"something else {far} times", likely=likely, given=given)
    places = len(set((nearest_one.indices % 81).tolist()))
    likely = {"nothing is cropped: the picture stays in its place": places == 1}
    expect.true(places > 50, "more than 50 of 81 places", f"{places} places", likely=likely, given=given)
    mirrored = int((nearest_one.indices >= 81).sum())
    expect.between(mirrored, 0.5 * calls - 50, 0.5 * calls + 50, "mirror images", given=given)
    wide = ramp(2 * np.arange(48), np.arange(96))
    given = "build_transforms(True), a picture of 48 x 96 that grows brighter evenly; its slopes in the result's middle"
    likely = {
        "the picture is not resized": slopes(own_form(submission, wide)),
        "the picture is squeezed into a square": slopes(resized_form(submission, wide, (32, 32))),
    }
    for values in submission.probes.chained_often(build, True, wide, 4):
        expect.shape(values, (3, 32, 32), given=given)
        expect.close(slopes(values), slopes(resized_form(submission, wide, 32)), scale=0.1, likely=likely, given=given)
    sample = np.ascontiguousarray(dataset("snapshots").generate(1, any_seed())[0][0].transpose(1, 2, 0))
    shown = submission.probes.chained_often(build, True, sample, 16)
    pictures.grid("one picture, augmented", shown.mean(1))


@check("both chains normalise alike", points=1, category="values")
def test_chains_alike(submission):
    build = submission.build_transforms
    black, grey = (own_form(submission, np.full((32, 32, 3), level, np.uint8)) for level in (0, 120))
    inner = (slice(None), slice(8, 24), slice(8, 24))
    sizes = ((32, 32), (48, 40))
    for train in (False, True):
        for level in (0, 120):
            several = [np.full((*size, 3), level, np.uint8) for size in sizes]
            found = submission.probes.chained(build, train, several)
            for (height, width), values in zip(sizes, found, strict=True):
                given = f"build_transforms({train}), a picture of {height} x {width}, everywhere {level}"
                expect.shape(values, (3, 32, 32), given=given)
                if level == 0:
                    likely = {"black stays 0: Normalize is missing, or zeros come behind it": torch.zeros(3, 32, 32)}
                    expect.close(values, black, rtol=1e-4, atol=1e-3, likely=likely, given=given)
                else:
                    expect.close(values[inner], grey[inner], scale=0.02, given=f"{given}; its middle")


@check("nothing comes from torchvision", points=1, category="rules", gates=OWN_WORK)
def test_rule(submission):
    expect.avoids(submission.build_transforms, rule=OWN_WORK)
