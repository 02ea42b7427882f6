"""Checks for task 23: colours, and the classical processing of images.

The oracles are Python's colorsys for hues, and NumPy's windows over a padded array. Results in bytes are asked with
pictures whose numbers are not near the middle between two whole ones, where rounding may go either way.
"""

import colorsys

import numpy as np
import torch

from torchgrade.authoring import LAYOUTS, LEFT_OUT, check, expect, grid

PIXELS = [torch.uint8, torch.float32]
BOTH = [(5, 7), (3, 4, 5), (3, 9), (1, 6)]


def levels_of_bytes(shape, dtype, generator):
    """numbers from 0 to 255"""
    if dtype.is_floating_point:
        return 255 * torch.rand(tuple(shape), generator=generator, dtype=torch.float64)
    return torch.randint(0, 256, tuple(shape), generator=generator).double()


def picture(draw, room, pixels):
    return {"img": draw(*room, dtype=pixels, values=levels_of_bytes)}


def planes(img):
    return img.detach().cpu().double().numpy()


def like(array, img, dtype=None):
    """An array as a tensor: floats as the picture has them, float32 for a picture of bytes."""
    usual = img.dtype if img.is_floating_point() else torch.float32
    return torch.from_numpy(np.ascontiguousarray(array)).to(img.device, dtype or usual)


def in_bytes(array, img):
    """As ``like``; rounded and clamped for a picture of bytes."""
    return like(array, img) if img.is_floating_point() else like(np.round(array).clip(0, 255), img, torch.uint8)


def wrapped(array, img):
    """As ``in_bytes``, where numbers that are out of range wrap round."""
    return like(array, img) if img.is_floating_point() else like(np.round(array) % 256, img, torch.uint8)


def cut(array, img):
    """As ``in_bytes``, rounded towards 0."""
    return like(array, img) if img.is_floating_point() else like(np.trunc(array.clip(0, 255)), img, torch.uint8)


def clear_of_halves(draw, room, result):
    """A picture for which ``result(picture)`` has no number near the middle between two whole ones."""
    while True:
        img = draw(*room, dtype=torch.uint8, values=levels_of_bytes)
        found = result(planes(img))
        if (np.abs(found - np.floor(found) - 0.5) > 1e-3).all():
            return img


def windows(array, size, border="edge"):
    """(..., H, W) -> (..., H, W, size, size)"""
    if size % 2 == 0:
        raise ValueError(size)
    margins = [(0, 0)] * (array.ndim - 2) + [(size // 2, size // 2)] * 2
    return np.lib.stride_tricks.sliding_window_view(np.pad(array, margins, mode=border), (size, size), (-2, -1))


def noisy():
    """A bright disc on a dark slope, with bad pixels in it."""
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    img = torch.where((y - 20) ** 2 + (x - 20) ** 2 < 120, 210, 30 + 2 * x)
    chance = torch.rand(40, 40)
    return img.masked_fill(chance < 0.04, 0).masked_fill(chance > 0.96, 255).byte()


def show(pictures, name, before, after):
    pictures.grid(name, torch.stack([torch.as_tensor(one).float() for one in (before, after)]))


# Grey


def weighted(img, red, green, blue):
    a = planes(img)
    return like(red * a[0] + green * a[1] + blue * a[2], img)


def rgb_to_gray(img, method="float"):
    if method == "green":
        return img[1].clone()
    if method not in ("float", "mean"):
        raise ValueError(method)
    return weighted(img, 0.3, 0.59, 0.11) if method == "float" else weighted(img, 1 / 3, 1 / 3, 1 / 3)


def gray_by(floats, mean=None):
    """Other weights for "float", another "mean"."""

    def found(img, method="float"):
        if method == "float":
            return floats(img)
        return mean(img) if mean is not None and method == "mean" else rgb_to_gray(img, method)

    return found


@check("rgb_to_gray weighs the planes, takes their mean, or takes green", points=2, category="values", devices="all")
def test_gray(submission, device):
    def wraps(img):
        a = img if img.is_floating_point() else img.int()
        total = a[0] + a[1] + a[2]
        return (total if img.is_floating_point() else total % 256) / 3

    expect.agrees(
        submission.rgb_to_gray,
        rgb_to_gray,
        grid(picture, room=[(3, 4, 5), (3, 1, 1), (3, 2, 7)], pixels=PIXELS, method=[LEFT_OUT, "mean", "green"]),
        device=device,
        likely={
            "the weights of red and blue are swapped": gray_by(lambda img: weighted(img, 0.11, 0.59, 0.3)),
            "bytes wrap round: convert before you add": gray_by(rgb_to_gray, wraps),
        },
    )


SHIFT, HUNDREDTHS = (77, 151, 28, 256), (30, 59, 11, 100)


def in_whole_numbers(img, method, shift=SHIFT, rounded=False):
    *weights, divisor = shift if method == "shift" else HUNDREDTHS
    total = sum(weight * plane for weight, plane in zip(weights, planes(img).astype(np.int64), strict=True))
    return torch.from_numpy((total + (divisor // 2 if rounded else 0)) // divisor).to(img.device)


def page_colours(draw, room):
    """Red, green, blue and (200, 100, 50), then other colours."""
    img = draw(*room, dtype=torch.uint8, values=levels_of_bytes)
    first = torch.tensor([[255, 0, 0, 200], [0, 255, 0, 100], [0, 0, 255, 50]], dtype=torch.uint8)
    img[:, 0, :4] = first.to(img.device)
    return {"img": img}


@check("rgb_to_gray calculates in whole numbers, and rounds down", points=1.5, category="values")
def test_gray_whole(submission):
    def by_bytes(img, method):
        *weights, divisor = SHIFT if method == "shift" else HUNDREDTHS
        total = sum(weight * plane for weight, plane in zip(weights, planes(img).astype(np.int64), strict=True))
        return torch.from_numpy(total % 256 // divisor).to(img.device)

    expect.agrees(
        submission.probes.whole,
        in_whole_numbers,
        grid(page_colours, room=[(3, 1, 4), (3, 5, 6)], method=["integer", "shift"]),
        bound=[submission.rgb_to_gray],
        name="rgb_to_gray",
        likely={
            "28 and 77 are swapped, as in the formula that is often copied: 77 belongs to red": lambda img, method: (
                in_whole_numbers(img, method, (28, 151, 77, 256))
            ),
            "the numbers are rounded to the nearest, not down": lambda img, method: in_whole_numbers(
                img, method, rounded=True
            ),
            "bytes wrap round: convert before you multiply": by_bytes,
        },
    )
    greys = torch.arange(256).reshape(16, 16)
    img = greys.to(torch.uint8).expand(3, 16, 16).contiguous()
    cut_off = (0.3 * greys + 0.59 * greys + 0.11 * greys).long()
    for method in ("integer", "shift"):
        found = submission.probes.whole(submission.rgb_to_gray, img, method)
        expect.close(found, greys, given=f"greys from 0 to 255, which stay as they are; method={method!r}",
                     likely={"float32 falls just below whole numbers: calculate in whole ones": cut_off})  # fmt: skip
    views = grid(picture, room=[(3, 4, 5)], pixels=[torch.uint8], method=["integer", "shift"], layout=LAYOUTS)
    bound = [submission.rgb_to_gray]
    expect.agrees(submission.probes.whole, in_whole_numbers, views, bound=bound, name="rgb_to_gray", unchanged=True)


@check("rgb_to_gray takes any order in memory, and refuses other methods", points=0.5, category="robustness",
       after=test_gray, hidden=True)  # fmt: skip
def test_gray_inputs(submission):
    cases = grid(picture, room=[(3, 4, 5)], pixels=PIXELS, method=[LEFT_OUT, "mean", "green"], layout=LAYOUTS)
    expect.agrees(submission.rgb_to_gray, rgb_to_gray, cases, unchanged=True)
    words = grid(picture, room=[(3, 2, 3)], pixels=PIXELS, method=["luma", "Float", ""])
    expect.agrees(submission.rgb_to_gray, rgb_to_gray, words, refuses=["ValueError"])


# Contrast


def brightness(array):
    return (0.3 * array[0] + 0.59 * array[1] + 0.11 * array[2] if array.ndim == 3 else array).mean()


def contrast(array, factor, middle=brightness):
    mean = middle(array)
    return mean + factor * (array - mean)


def adjust_contrast(img, factor):
    return in_bytes(contrast(planes(img), factor), img)


def contrast_by(result):
    return lambda img, factor: result(planes(img), factor, img)


@check("adjust_contrast moves the numbers away from the mean", points=1.5, category="values", devices="all",
       after=test_gray)  # fmt: skip
def test_contrast(submission, device):
    def plane_means(a, factor, img):
        mean = a.mean((-2, -1), keepdims=True)
        return like(mean + factor * (a - mean), img)

    expect.agrees(
        submission.adjust_contrast,
        adjust_contrast,
        grid(picture, room=BOTH, pixels=[torch.float32], factor=[2.0, 0.5, 0.0, 1.0, -1.5, 3]),
        device=device,
        likely={
            "the middle is 128, not the mean of the picture": contrast_by(
                lambda a, factor, img: like(128 + factor * (a - 128), img)
            ),
            "all numbers are multiplied: that changes the brightness": contrast_by(
                lambda a, factor, img: like(factor * a, img)
            ),
            "each plane has a mean of its own": contrast_by(plane_means),
            "the mean is that of all three planes, not of the grey picture": contrast_by(
                lambda a, factor, img: like(contrast(a, factor, np.mean), img)
            ),
            "float32 is not clamped": contrast_by(lambda a, factor, img: like(contrast(a, factor).clip(0, 255), img)),
        },
    )


def contrasted(draw, room, *, factor):
    return {"img": clear_of_halves(draw, room, lambda a: contrast(a, factor))}


@check("adjust_contrast rounds and clamps bytes", points=1, category="values", after=test_gray)
def test_contrast_bytes(submission):
    expect.agrees(
        submission.adjust_contrast,
        adjust_contrast,
        grid(contrasted, room=[(5, 7), (3, 4, 5), (3, 5)], factor=[2.7, 0.3, -1.9, 0]),
        unchanged=True,
        likely={
            "numbers out of range wrap round: clamp them first": contrast_by(
                lambda a, factor, img: wrapped(contrast(a, factor), img)
            ),
            "the numbers are cut off, not rounded": contrast_by(lambda a, factor, img: cut(contrast(a, factor), img)),
        },
    )


@check("adjust_contrast takes any order in memory, and one level", points=0.5, category="robustness",
       after=[test_gray, test_contrast], hidden=True)  # fmt: skip
def test_contrast_inputs(submission):
    cases = grid(picture, room=[(5, 7), (3, 4, 5), (1, 1), (3, 1, 1)], pixels=[torch.float32], factor=[2.0, 0.5],
                 layout=LAYOUTS)  # fmt: skip
    expect.agrees(submission.adjust_contrast, adjust_contrast, cases, unchanged=True)
    for level in (0, 255):
        img = torch.full((4, 5), level, dtype=torch.uint8)
        found = submission.adjust_contrast(img, 5.0)
        expect.equal(found, img, given=f"4 x 5 pixels of {level}, factor 5.0", trivial="an even grey stays as it is")


# Hue


def pixel_by_pixel(array, function):
    """A function of three numbers, at every place of (3, H, W)."""
    found = np.empty_like(array)
    for i, j in np.ndindex(array.shape[1:]):
        found[:, i, j] = function(*array[:, i, j])
    return found


def rgb_to_hsv(img, scale=(360, 100, 100)):
    hsv = pixel_by_pixel(planes(img) / 255, colorsys.rgb_to_hsv)
    return like(hsv * np.array(scale)[:, None, None], img)


def signed_hue(img):
    a = planes(rgb_to_hsv(img))
    red_is_largest = planes(img).argmax(0) == 0
    a[0] = np.where(red_is_largest & (a[0] > 180), a[0] - 360, a[0])
    return like(a, img)


@check("rgb_to_hsv finds hue, saturation and value", points=1.5, category="values", devices="all")
def test_hsv(submission, device):
    expect.agrees(
        submission.rgb_to_hsv,
        rgb_to_hsv,
        grid(picture, room=[(3, 5, 6), (3, 1, 1), (3, 8, 3)], pixels=[torch.float32]),
        device=device,
        likely={
            "360 is not added to negative hues": signed_hue,
            "the hue runs up to 255, not to 360": lambda img: rgb_to_hsv(img, (255, 100, 100)),
            "the hue runs up to 1, not to 360": lambda img: rgb_to_hsv(img, (1, 100, 100)),
            "saturation and value run up to 1, not to 100": lambda img: rgb_to_hsv(img, (360, 1, 1)),
            "saturation and value run up to 255, not to 100": lambda img: rgb_to_hsv(img, (360, 255, 255)),
        },
    )


PAGE_HUES = {
    (255, 0, 0): (0, 100, 100),
    (0, 255, 0): (120, 100, 100),
    (0, 0, 255): (240, 100, 100),
    (255, 255, 0): (60, 100, 100),
    (0, 255, 255): (180, 100, 100),
    (255, 0, 255): (300, 100, 100),
    (200, 100, 50): (20, 75, 78.4314),
    (255, 0, 51): (348, 100, 100),
    (51, 51, 51): (0, 0, 20),
    (255, 255, 255): (0, 0, 100),
    (0, 0, 0): (0, 0, 0),
}


@check("rgb_to_hsv knows the pure colours, grey, black and white in bytes", points=1, category="values")
def test_hues(submission):
    given = "the colours " + ", ".join(map(str, PAGE_HUES))
    img = torch.tensor(list(PAGE_HUES), dtype=torch.uint8).T[:, None]
    truth = torch.tensor(list(PAGE_HUES.values())).T[:, None]
    expect.close(submission.rgb_to_hsv(img), truth, rtol=1e-5, atol=1e-3, given=given)


@check("rgb_to_hsv takes any order in memory", points=0.5, category="robustness", after=test_hsv, hidden=True)
def test_hsv_inputs(submission):
    cases = grid(picture, room=[(3, 4, 5), (3, 1, 7)], pixels=[torch.uint8, torch.float32], layout=LAYOUTS)
    cases = cases.only(lambda layout, pixels: layout != "expanded" or pixels is torch.uint8)  # grey floats have any hue
    expect.agrees(submission.rgb_to_hsv, rgb_to_hsv, cases, unchanged=True)
    img = torch.rand(3, 6, 7)
    given = "a float32 picture that is nearly black: all numbers lie below 1"
    likely = {"numbers up to 1 are taken for another scale": rgb_to_hsv(255 * img)}
    expect.close(submission.rgb_to_hsv(img), rgb_to_hsv(img), rtol=1e-3, atol=0.01, likely=likely, given=given)


def hues(shape, dtype, generator):
    """hues up to 360, saturations and values up to 100"""
    numbers = torch.rand(tuple(shape), generator=generator, dtype=torch.float64)
    numbers[0] *= 3.6
    return 100 * numbers


def angles(draw, room):
    return {"hsv": draw(*room, values=hues)}


def alike(draw, room):
    return {"hsv": draw(*room, values=percents)}


def percents(shape, dtype, generator):
    """numbers up to 100"""
    return 100 * torch.rand(tuple(shape), generator=generator, dtype=torch.float64)


def round_angles(draw, room):
    """Multiples of 60, up to 360, and of 50."""
    hsv = draw(*room, values=hues)
    steps = torch.tensor([60.0, 50, 50], device=hsv.device)[:, None, None]
    return {"hsv": (hsv / steps).round() * steps}


def hsv_to_rgb(hsv, scale=(360, 100, 100)):
    rgb = pixel_by_pixel(planes(hsv) / np.array(scale)[:, None, None], colorsys.hsv_to_rgb)
    return like(255 * rgb, hsv)


@check("hsv_to_rgb finds the way back", points=1.5, category="values", devices="all")
def test_rgb(submission, device):
    expect.agrees(
        submission.hsv_to_rgb,
        hsv_to_rgb,
        grid(angles, room=[(3, 5, 6), (3, 1, 1), (3, 8, 3)]),
        device=device,
        likely={
            "the numbers run up to 1, not to 255": lambda hsv: hsv_to_rgb(hsv) / 255,
            "the numbers are rounded": lambda hsv: hsv_to_rgb(hsv).round(),
            "red and blue are swapped": lambda hsv: hsv_to_rgb(hsv).flip(0),
        },
    )


@check("hsv_to_rgb knows hues of 0, 60, ... 360, and any order in memory", points=0.5,
       category="robustness", after=test_rgb, hidden=True)  # fmt: skip
def test_rgb_inputs(submission):
    cases = grid(round_angles, room=[(3, 7, 8)])
    expect.agrees(submission.hsv_to_rgb, hsv_to_rgb, cases)
    edges = torch.tensor([[360.0, 360, 0, 0, 240], [100, 50, 0, 100, 100], [100, 100, 100, 0, 100]])[:, None]
    truth = torch.tensor([[255.0, 255, 255, 0, 0], [0, 127.5, 255, 0, 0], [0, 127.5, 255, 0, 255]])[:, None]
    expect.close(submission.hsv_to_rgb(edges), truth, rtol=1e-5, atol=1e-3,
                 given="(360, 100, 100), (360, 50, 100), (0, 0, 100), (0, 100, 0), (240, 100, 100)")  # fmt: skip
    dark = torch.rand(3, 6, 7) * torch.tensor([360.0, 1, 1])[:, None, None]
    given = "saturations and values up to 1, of 100: nearly black"
    likely = {"numbers up to 1 are taken for another scale": hsv_to_rgb(dark, (360, 1, 1))}
    expect.close(submission.hsv_to_rgb(dark), hsv_to_rgb(dark), rtol=1e-3, atol=0.01, likely=likely, given=given)
    cases = grid(angles, room=[(3, 4, 5), (3, 1, 7)], layout=[name for name in LAYOUTS if name != "expanded"])
    expect.agrees(submission.hsv_to_rgb, hsv_to_rgb, cases, unchanged=True)
    cases = grid(alike, room=[(3, 4, 5)], layout=["expanded"])  # whose planes are all that of the hues
    expect.agrees(submission.hsv_to_rgb, hsv_to_rgb, cases, unchanged=True)


@check("there and back again is the same picture", points=0.5, category="values", after=[test_hsv, test_hues, test_rgb],
       hidden=True)  # fmt: skip
def test_round_trip(submission):
    img = torch.randint(0, 256, (3, 9, 11), dtype=torch.uint8)
    img[:, 0, :5] = img[0, 0, :5]  # some greys
    back = submission.hsv_to_rgb(submission.rgb_to_hsv(img))
    expect.close(back, img.float(), rtol=1e-4, atol=0.01, given="3 x 9 x 11 bytes, to HSV and back")


# Histograms


def equalize_hist(gray, levels=256):
    counts = np.bincount(planes(gray).astype(int).ravel(), minlength=levels)
    return looked_up(gray, (levels - 1) * counts.cumsum() / counts.sum())


def looked_up(gray, table):
    return like(np.round(table)[planes(gray).astype(int)], gray, torch.uint8)


def equalize_by(change):
    """Another table: ``change(counts from the left, number of pixels, levels)``."""

    def found(gray, levels=256):
        counts = np.bincount(planes(gray).astype(int).ravel(), minlength=levels)
        return looked_up(gray, change(counts.cumsum(), counts.sum(), levels))

    return found


def from_0(sums, pixels, levels):
    least = sums[sums > 0][0]
    return ((sums - least) / max(pixels - least, 1) * (levels - 1)).clip(0)


def grey_levels(draw, room, narrow, *, levels):
    """An odd number of pixels, so that no number lies in the middle between two whole ones; two levels at least."""
    top = 256 if levels is LEFT_OUT else levels
    low, high = (3 * top // 8, top // 2) if narrow else (0, top - 1)

    def found(shape, dtype, generator):
        numbers = torch.randint(low, high + 1, tuple(shape), generator=generator).double()
        numbers[..., 0], numbers[..., 1] = low, high
        return numbers

    return {"gray": draw(*room, dtype=torch.uint8, values=found)}


EQUALIZED = grid(grey_levels, room=[(5, 7), (9, 11), (1, 5)], narrow=[False, True],
                 levels=[LEFT_OUT, 8, 64, 256, 10])  # fmt: skip


@check("equalize_hist makes 1, 3, 5, 6, 6, 7, 7, 7 of the eight levels", points=1, category="values")
def test_eight_levels(submission):
    counts = torch.tensor([790, 1023, 850, 656, 329, 245, 122, 81])
    order = torch.randperm(4096)
    gray = torch.repeat_interleave(torch.arange(8), counts)[order].byte().reshape(64, 64)

    def table(*levels):
        return torch.tensor(levels, dtype=torch.uint8)[gray.long()]

    expect.close(
        submission.equalize_hist(gray, 8),
        table(1, 3, 5, 6, 6, 7, 7, 7),
        given="64 x 64 pixels with 790, 1023, 850, 656, 329, 245, 122, 81 of the levels 0 to 7, levels=8",
        likely={
            "the smallest count is subtracted first: that is another form": table(0, 2, 4, 5, 6, 7, 7, 7),
            "the numbers are cut off, not rounded": table(1, 3, 4, 5, 6, 6, 6, 7),
            "levels - 1 is the brightest level, not levels": table(2, 4, 5, 6, 7, 8, 8, 8),
            "the level itself is not counted, only those below": table(0, 1, 3, 5, 6, 6, 7, 7),
        },
    )


@check("equalize_hist spreads the levels of every picture", points=1, category="values", devices="all")
def test_equalize(submission, device, pictures):
    def stretched(sums, pixels, levels):
        used = np.flatnonzero(np.diff(sums, prepend=0))
        return ((np.arange(levels) - used[0]) / max(used[-1] - used[0], 1) * (levels - 1)).clip(0, levels - 1)

    expect.agrees(
        submission.equalize_hist,
        equalize_hist,
        EQUALIZED,
        device=device,
        likely={
            "the smallest count is subtracted first: that is another form": equalize_by(from_0),
            "the range is stretched, whatever the counts are": equalize_by(stretched),
            "levels is not used": lambda gray, levels=256: equalize_hist(gray),
        },
    )
    before = (noisy() // 3 + 40).byte().to(device)
    show(pictures, "equalized", before, submission.equalize_hist(before))


@check("one level stays one level, and any order in memory goes in", points=0.5, category="robustness",
       after=test_equalize, hidden=True)  # fmt: skip
def test_one_level(submission):
    for level, size in ((0, (4, 5)), (7, (1, 1)), (255, (3, 3))):
        found = submission.equalize_hist(torch.full(size, level, dtype=torch.uint8))
        given = f"{size[0]} x {size[1]} pixels of {level}"
        expect.dtype(found, torch.uint8, given=given)
        expect.shape(found, size, given=given)
        expect.true(
            bool((found == found[0, 0]).all()),
            expected="one level",
            got=f"several: {sorted(set(found.flatten().tolist()))}",
            given=given,
        )
    expect.agrees(submission.equalize_hist, equalize_hist, EQUALIZED.vary(layout=LAYOUTS), unchanged=True)


def luma(array):
    return 0.299 * array[0] + 0.587 * array[1] + 0.114 * array[2]


def equalize_luma(rgb, gray=luma):
    old = torch.from_numpy(np.round(gray(planes(rgb)))).byte()
    return rgb.cpu().double() + equalize_hist(old).double() - old.double()


def coloured():
    """Noise that is dark, or bright, or neither; an odd number of pixels, and no luma near a half."""
    for low, high, size in ((0, 256, (3, 9, 11)), (0, 90, (3, 5, 7)), (150, 256, (3, 7, 7)), (0, 256, (3, 1, 3))):
        while True:
            img = torch.randint(low, high, size, dtype=torch.uint8)
            grey = luma(planes(img))
            if (np.abs(grey - np.floor(grey) - 0.5) > 1e-3).all():
                yield img, f"{size[1]} x {size[2]} pixels of noise from {low} to {high - 1}"
                break


def close_to(found, truth, given, likely=None):
    """Bytes, off by 1 at most."""
    expect.dtype(found, torch.uint8, given=given)
    truth = truth.float()
    wrongs = {why: wrong.float() for why, wrong in (likely or {}).items()}
    wrongs = {why: wrong.to(found.device) for why, wrong in wrongs.items() if (wrong - truth).abs().max() > 2}
    expect.close(found.float(), truth.to(found.device), rtol=0, atol=1.01, given=given, likely=wrongs)


@check("equalize_luma gives all three planes the same step", points=1.5, category="values", devices="all",
       after=[test_eight_levels, test_equalize])  # fmt: skip
def test_luma(submission, device):
    for img, given in coloured():
        rgb = img.to(device)
        found = submission.equalize_luma(rgb)
        stepped = equalize_luma(img)
        close_to(
            found,
            stepped.clamp(0, 255),
            given=given,
            likely={
                "red, green and blue are equalised each by itself: that shifts the colours": torch.stack(
                    [equalize_hist(plane) for plane in img]
                ),
                "sums out of range wrap round: clamp them first": stepped % 256,
                "the colours are lost: this is the equalised luma in all planes": equalize_hist(
                    torch.from_numpy(np.round(luma(planes(img)))).byte()
                ).expand(img.shape),
                "the luma has other weights": equalize_luma(img, lambda a: a.mean(0)).clamp(0, 255),
            },
        )


@check("equalize_luma takes grey pictures and any order in memory", points=0.5, category="robustness",
       after=test_luma, hidden=True)  # fmt: skip
def test_luma_inputs(submission):
    img = next(coloured())[0]
    for rgb, given in ((img.permute(1, 2, 0).contiguous().permute(2, 0, 1), "planes that lie last in memory"),
                       (img[:, ::2, 1::3], "every second row, every third column")):  # fmt: skip
        found = expect.not_mutated(submission, submission.equalize_luma, rgb, given=given)
        close_to(found, equalize_luma(rgb).clamp(0, 255), given)
    grey = torch.randint(0, 256, (7, 9), dtype=torch.uint8)
    found = submission.equalize_luma(grey.expand(3, 7, 9))
    close_to(found, equalize_hist(grey).expand(3, 7, 9), given="7 x 9 grey pixels")


# Windows


def by_window(result, border="edge"):
    """A function of (img, size): ``result(windows, numbers)``."""
    return lambda img, size=3: like(result(windows(planes(img), size, border), planes(img)), img)


def mean_of(w, a):
    return w.mean((-1, -2))


box_filter = by_window(mean_of)


def only_inside(w, a):
    """Windows that reach beyond the border leave the pixel as it is."""
    found, margin = a.copy(), w.shape[-1] // 2
    inside = (..., slice(margin, a.shape[-2] - margin), slice(margin, a.shape[-1] - margin))
    found[inside] = mean_of(w, a)[inside]
    return found


WINDOWED = grid(picture, room=[(5, 7), (3, 4, 5), (6, 6)], pixels=PIXELS, size=[LEFT_OUT, 5, 1, 3])
ODD_PLACES = grid(
    picture,
    room=[(4, 6), (3, 4, 5), (1, 6), (5, 1), (1, 1), (1, 2, 3), (3, 5)],
    pixels=PIXELS,
    size=[3, 5],
    layout=LAYOUTS,
)


@check("box_filter takes the mean of each window, and repeats the border", points=1, category="values", devices="all")
def test_box(submission, device, pictures):
    expect.agrees(
        submission.box_filter,
        box_filter,
        WINDOWED,
        device=device,
        likely={
            "zeros lie beyond the border, and darken it": by_window(mean_of, "constant"),
            "the picture is mirrored at the border, not repeated": by_window(mean_of, "reflect"),
            "the pixels of the border are left as they are": by_window(only_inside),
            "the sum is not divided by the number of pixels": by_window(lambda w, a: w.sum((-1, -2))),
        },
    )
    before = noisy().to(device)
    show(pictures, "box_filter", before, submission.box_filter(before, 5))


@check("box_filter takes single rows and pixels, and any order in memory", points=0.5, category="robustness",
       after=test_box, hidden=True)  # fmt: skip
def test_box_inputs(submission):
    expect.agrees(submission.box_filter, box_filter, ODD_PLACES, unchanged=True)
    img = 150 + 100 * torch.rand(400, 400)
    expect.close(submission.box_filter(img), box_filter(img), rtol=0, atol=0.01,
                 given="400 x 400 bright pixels, whose sums need more than the digits of float32")  # fmt: skip


def gaussian(size, sigma):
    """Weights that are not divided by their sum, in float64."""
    if size % 2 == 0:
        raise ValueError(size)
    middle = size // 2
    squares = [[(i - middle) ** 2 + (j - middle) ** 2 for j in range(size)] for i in range(size)]
    return np.exp(-np.array(squares) / (2 * sigma**2))


def gaussian_kernel(size, sigma):
    weights = gaussian(size, sigma)
    return torch.from_numpy(weights / weights.sum()).float()


@check("gaussian_kernel falls off with the distance, and adds up to 1", points=1, category="values")
def test_gaussian(submission):
    def narrow(size, sigma):
        return gaussian_kernel(size, sigma / 2**0.5)

    expect.agrees(
        submission.gaussian_kernel,
        gaussian_kernel,
        grid(size=[3, 5, 1, 7], sigma=[1.0, 0.8493, 2.5, 3]),
        likely={
            "the weights are not divided by their sum": lambda size, sigma: torch.from_numpy(
                gaussian(size, sigma)
            ).float(),
            "the 2 below the fraction is missing": narrow,
            "sigma is not squared": lambda size, sigma: gaussian_kernel(size, sigma**0.5),
            "the density is taken as it is: cut off at the border, it does not add up to 1": lambda size, sigma: (
                torch.from_numpy(gaussian(size, sigma) / (2 * np.pi * sigma**2)).float()
            ),
        },
    )


def sharpened(a, size=3, sigma=1.0, amount=1.0, border="edge"):
    weights = gaussian(size, sigma)
    blurred = (windows(a, size, border) * weights).sum((-1, -2)) / weights.sum()
    return a + amount * (a - blurred)


def unsharp(img, size=3, sigma=1.0, amount=1.0):
    return in_bytes(sharpened(planes(img), size, sigma, amount), img)


def unsharp_by(result):
    return lambda img, size=3, sigma=1.0, amount=1.0: result(planes(img), size, sigma, amount, img)


@check("unsharp adds what a Gaussian filter takes away", points=1, category="values", devices="all",
       after=test_gaussian)  # fmt: skip
def test_unsharp(submission, device, pictures):
    cases = grid(picture, room=[(5, 7), (3, 4, 5), (6, 6)], pixels=[torch.float32], size=[LEFT_OUT, 5, 7],
                 sigma=[LEFT_OUT, 0.6, 2.0], amount=[LEFT_OUT, 0.5, 2.0, 0, -0.5])  # fmt: skip
    expect.agrees(
        submission.unsharp,
        unsharp,
        cases,
        device=device,
        likely={
            "zeros lie beyond the border": unsharp_by(
                lambda a, size, sigma, amount, img: like(sharpened(a, size, sigma, amount, "constant"), img)
            ),
            "the sign is turned: this blurs": unsharp_by(
                lambda a, size, sigma, amount, img: like(sharpened(a, size, sigma, -amount), img)
            ),
            "float32 is not clamped": unsharp_by(
                lambda a, size, sigma, amount, img: like(sharpened(a, size, sigma, amount).clip(0, 255), img)
            ),
            "amount is not used": unsharp_by(lambda a, size, sigma, amount, img: like(sharpened(a, size, sigma), img)),
        },
    )
    before = noisy().to(device)
    show(pictures, "unsharp", before, submission.unsharp(before, 5, 1.5, 1.0))


def to_sharpen(draw, room, *, amount, size, sigma):
    settings = {name: value for name, value in (("amount", amount), ("size", size), ("sigma", sigma))
                if value is not LEFT_OUT}  # fmt: skip
    return {"img": clear_of_halves(draw, room, lambda a: sharpened(a, **settings))}


@check("unsharp rounds and clamps bytes, and takes any order in memory", points=0.5, category="robustness",
       after=test_unsharp, hidden=True)  # fmt: skip
def test_unsharp_bytes(submission):
    expect.agrees(
        submission.unsharp,
        unsharp,
        grid(
            to_sharpen,
            room=[(5, 7), (3, 4, 5), (1, 6), (5, 1)],
            amount=[LEFT_OUT, 2.5],
            size=[LEFT_OUT, 5],
            sigma=[LEFT_OUT, 0.6],
            layout=LAYOUTS,
        ),
        unchanged=True,
        likely={
            "numbers out of range wrap round: clamp them first": unsharp_by(
                lambda a, size, sigma, amount, img: wrapped(sharpened(a, size, sigma, amount), img)
            ),
            "the numbers are cut off, not rounded": unsharp_by(
                lambda a, size, sigma, amount, img: cut(sharpened(a, size, sigma, amount), img)
            ),
        },
    )
    cases = grid(picture, room=[(4, 6), (3, 4, 5), (1, 1), (3, 5)], pixels=[torch.float32], size=[3, 5],
                 layout=LAYOUTS)  # fmt: skip
    expect.agrees(submission.unsharp, unsharp, cases, unchanged=True)


def median_by(border="edge", function=np.median):
    def found(img, size=3):
        return like(function(windows(planes(img), size, border), (-2, -1)), img, img.dtype)

    return found


median_filter = median_by()


@check("median_filter takes the middle of each window, and repeats the border", points=1.5, category="values",
       devices="all")  # fmt: skip
def test_median(submission, device, pictures):
    def below_the_middle(w, axes):
        flat = np.sort(w.reshape(*w.shape[:-2], -1), -1)
        return flat[..., (flat.shape[-1] - 1) // 2 - (flat.shape[-1] > 1)]

    expect.agrees(
        submission.median_filter,
        median_filter,
        WINDOWED,
        device=device,
        likely={
            "zeros lie beyond the border": median_by("constant"),
            "the picture is mirrored at the border, not repeated": median_by("reflect"),
            "this is the mean, not the median": median_by(function=np.mean),
            "this is one place below the middle": median_by(function=below_the_middle),
        },
    )
    before = noisy().to(device)
    show(pictures, "median_filter", before, submission.median_filter(before))


@check("median_filter takes single rows and pixels, and any order in memory", points=0.5, category="robustness",
       after=test_median, hidden=True)  # fmt: skip
def test_median_inputs(submission):
    expect.agrees(submission.median_filter, median_filter, ODD_PLACES, unchanged=True)


def bilateral_by(space=True, color=True, divided=True, border="edge", swapped=False, wraps=False):
    def found(img, size, sigma_space, sigma_color):
        if swapped:
            sigma_space, sigma_color = sigma_color, sigma_space
        a = planes(img)
        w = windows(a, size, border)
        other = w - a[..., None, None]
        if wraps and not img.is_floating_point():
            other = other % 256
        weights = np.ones(w.shape)
        if space:
            weights = weights * gaussian(size, sigma_space)
        if color:
            weights = weights * np.exp(-(other**2) / (2 * sigma_color**2))
        total = (weights * w).sum((-1, -2))
        return like(total / weights.sum((-1, -2)) if divided else total, img)

    return found


bilateral_filter = bilateral_by()


@check("bilateral_filter weighs by distance and by brightness", points=1.5, category="values", devices="all")
def test_bilateral(submission, device, pictures):
    expect.agrees(
        submission.bilateral_filter,
        bilateral_filter,
        grid(
            picture,
            room=[(5, 7), (3, 4, 5), (6, 6)],
            pixels=PIXELS,
            size=[3, 5, 1],
            sigma_space=[1.0, 0.7, 4],
            sigma_color=[50.0, 20.0, 200.0],
        ),
        device=device,
        likely={
            "the distance does not count": bilateral_by(space=False),
            "the brightness does not count: this is a Gaussian filter": bilateral_by(color=False),
            "the sum is not divided by the sum of the weights": bilateral_by(divided=False),
            "zeros lie beyond the border": bilateral_by(border="constant"),
            "sigma_space and sigma_color are swapped": bilateral_by(swapped=True),
            "differences of bytes wrap round: convert before you subtract": bilateral_by(wraps=True),
        },
    )
    before = noisy().to(device)
    show(pictures, "bilateral_filter", before, submission.bilateral_filter(before, 5, 2.0, 40.0))


@check("bilateral_filter takes single rows and pixels, and any order in memory", points=0.5, category="robustness",
       after=test_bilateral, hidden=True)  # fmt: skip
def test_bilateral_inputs(submission):
    cases = ODD_PLACES.vary(sigma_space=[1.5], sigma_color=[60.0])
    expect.agrees(submission.bilateral_filter, bilateral_filter, cases, unchanged=True)


# Growing and shrinking


def signed(shape, dtype, generator):
    """numbers of both signs, or bytes"""
    numbers = levels_of_bytes(shape, dtype, generator)
    return numbers - 300 if dtype.is_floating_point else numbers


def bright(shape, dtype, generator):
    """numbers from 300 on, or bytes"""
    numbers = levels_of_bytes(shape, dtype, generator)
    return numbers + 300 if dtype.is_floating_point else numbers.clamp(20, 250)


def far_below(shape, dtype, generator):
    """numbers below -1e30"""
    return -1e30 * (levels_of_bytes(shape, dtype, generator) + 1)


def far_above(shape, dtype, generator):
    """numbers above 1e30"""
    return -far_below(shape, dtype, generator)


def under(element, a, beyond, turned):
    """What lies under each place of the element, (..., places) with ``beyond`` beyond the border."""
    table = np.ones((element, element)) if isinstance(element, int) else element.cpu().numpy()
    if table.shape[0] % 2 == 0 or table.shape[1] % 2 == 0:
        raise ValueError(element)
    table = table[::-1, ::-1] if turned else table
    rows, columns = table.shape
    margins = [(0, 0)] * (a.ndim - 2) + [(rows // 2, rows // 2), (columns // 2, columns // 2)]
    padded = np.pad(a, margins, constant_values=beyond)
    wide = np.lib.stride_tricks.sliding_window_view(padded, (rows, columns), (-2, -1))
    return wide[..., table.astype(bool)]


def grown(a, element=3, turned=True, beyond=-np.inf):
    return under(element, a, beyond, turned).max(-1)


def shrunk(a, element=3, turned=False, beyond=np.inf):
    return under(element, a, beyond, turned).min(-1)


def on_pictures(function):
    return lambda img, element=3: like(function(planes(img), element), img, img.dtype)


def to_shape(draw, room, pixels, values):
    return {"img": draw(*room, dtype=pixels, values=values)}


CROSS, RIGHT, BENT, TALL = (
    ((0, 1, 0), (1, 1, 1), (0, 1, 0)),
    ((0, 1, 1),),
    ((1, 0, 0), (0, 1, 1), (0, 0, 0)),
    ((1,), (0,), (1,), (1,), (0,)),
)


def with_table(draw, room, pixels, table, kind, values):
    """A picture, and an element that may be of booleans or of 0 and 1."""
    element = draw(len(table), len(table[0]), dtype=kind, values=lambda *_: torch.tensor(table).double())
    return {"img": draw(*room, dtype=pixels, values=values), "element": element}


ROOMS = [(6, 7), (3, 4, 5), (5, 5)]
SQUARES = grid(to_shape, room=ROOMS, pixels=PIXELS, values=[levels_of_bytes, signed, bright],
               element=[LEFT_OUT, 5, 3])  # fmt: skip
TABLES = grid(with_table, room=ROOMS, pixels=PIXELS, table=[CROSS, RIGHT, BENT, TALL],
              values=[levels_of_bytes, signed, bright],
              kind=[torch.bool, torch.int64, torch.uint8])  # fmt: skip


SPREAD_TABLES = TABLES.vary(room=[*ROOMS, (2, 3), (1, 4)], layout=["contiguous", "transposed", "gaps", "offset"])


@check("dilate takes the largest number of each square", points=1, category="values", devices="all")
def test_dilate(submission, device, pictures):
    expect.agrees(
        submission.dilate,
        on_pictures(grown),
        SQUARES,
        device=device,
        likely={
            "zeros beyond the border are larger than negative numbers": on_pictures(
                lambda a, element: grown(a, element, beyond=0)
            ),
            "this is erosion": on_pictures(shrunk),
        },
    )
    before = noisy().to(device)
    show(pictures, "dilate", before, submission.dilate(before))


@check("dilate turns a table, so that one bright pixel becomes the table", points=1, category="values",
       after=test_dilate)  # fmt: skip
def test_dilate_table(submission):
    expect.agrees(
        submission.dilate,
        on_pictures(grown),
        TABLES,
        likely={
            "the table is not turned": on_pictures(lambda a, element: grown(a, element, turned=False)),
            "the table is not used: this is the whole rectangle": on_pictures(
                lambda a, element: grown(a, torch.ones_like(element))
            ),
        },
    )
    for table, kind in ((RIGHT, torch.int64), (BENT, torch.int64), (CROSS, torch.int64), (BENT, torch.float32)):
        element = torch.tensor(table, dtype=kind)
        img = torch.zeros(5, 7)
        img[2, 3] = 9
        truth, rows, columns = torch.zeros(5, 7), *(size // 2 for size in element.shape)
        truth[2 - rows : 3 + rows, 3 - columns : 4 + columns] = 9.0 * element
        expect.close(submission.dilate(img, element), truth, given=f"one 9 in 5 x 7 zeros, element {element.tolist()}")


@check("erode takes the smallest number of each square", points=1, category="values", devices="all")
def test_erode(submission, device, pictures):
    expect.agrees(
        submission.erode,
        on_pictures(shrunk),
        SQUARES,
        device=device,
        likely={
            "zeros beyond the border are the smallest numbers there": on_pictures(
                lambda a, element: shrunk(a, element, beyond=0)
            ),
            "255 beyond the border is smaller than the numbers of this picture": on_pictures(
                lambda a, element: shrunk(a, element, beyond=255)
            ),
            "this is dilation": on_pictures(grown),
        },
    )
    before = noisy().to(device)
    show(pictures, "erode", before, submission.erode(before))


@check("erode does not turn a table", points=0.5, category="values", after=test_erode)
def test_erode_table(submission):
    expect.agrees(
        submission.erode,
        on_pictures(shrunk),
        TABLES,
        likely={
            "the table is turned: dilate does that, erode does not": on_pictures(
                lambda a, element: shrunk(a, element, turned=True)
            ),
            "the table is not used: this is the whole rectangle": on_pictures(
                lambda a, element: shrunk(a, torch.ones_like(element))
            ),
        },
    )


@check("dilate and erode take single rows and pixels, and any order in memory", points=0.5, category="robustness",
       after=[test_dilate, test_dilate_table, test_erode, test_erode_table], hidden=True)  # fmt: skip
def test_shape_inputs(submission):
    cases = grid(to_shape, room=[(4, 6), (3, 4, 5), (1, 6), (5, 1), (1, 1), (1, 2, 3), (3, 5)], pixels=PIXELS,
                 values=[levels_of_bytes, signed], element=[3, 5, 1, 9], layout=LAYOUTS)  # fmt: skip
    far = grid(to_shape, room=[(4, 6), (3, 4, 5)], pixels=[torch.float32], values=[far_below, far_above],
               element=[3, 5])  # fmt: skip
    for name, oracle in (("dilate", grown), ("erode", shrunk)):
        expect.agrees(getattr(submission, name), on_pictures(oracle), cases, unchanged=True, name=name)
        expect.agrees(getattr(submission, name), on_pictures(oracle), far, name=name)
        expect.agrees(getattr(submission, name), on_pictures(oracle), SPREAD_TABLES, unchanged=True, name=name)


def opened(a, element=3):
    return grown(shrunk(a, element), element)


def closed(a, element=3):
    return shrunk(grown(a, element), element)


@check("open_ erodes, then dilates", points=0.5, category="values", after=[test_dilate, test_erode])
def test_open(submission, pictures):
    expect.agrees(
        submission.open_,
        on_pictures(opened),
        SQUARES,
        likely={
            "the two steps are swapped: this is closing": on_pictures(closed),
            "this is erosion alone": on_pictures(shrunk),
        },
    )
    before = noisy()
    show(pictures, "opened", before, submission.open_(before))


@check("close_ dilates, then erodes", points=0.5, category="values", after=[test_dilate, test_erode])
def test_close(submission, pictures):
    expect.agrees(
        submission.close_,
        on_pictures(closed),
        SQUARES,
        likely={
            "the two steps are swapped: this is opening": on_pictures(opened),
            "this is dilation alone": on_pictures(grown),
        },
    )
    before = noisy()
    show(pictures, "closed", before, submission.close_(before))


FEW_PIXELS = grid(to_shape, room=[(4, 6), (1, 6), (5, 1), (1, 2, 3)], pixels=PIXELS, values=[levels_of_bytes, signed],
                  layout=LAYOUTS)  # fmt: skip


@check("to open or close with a table once more changes nothing", points=0.5, category="values",
       after=[test_open, test_close, test_dilate_table, test_erode_table, test_shape_inputs], hidden=True)  # fmt: skip
def test_once_more(submission):
    for name, oracle in (("open_", opened), ("close_", closed)):
        function = getattr(submission, name)
        expect.agrees(function, on_pictures(oracle), SPREAD_TABLES, name=name, unchanged=True)
        expect.agrees(function, on_pictures(oracle), FEW_PIXELS, name=name)
        for table in (RIGHT, BENT, CROSS):
            img, element = torch.rand(3, 6, 8), torch.tensor(table)
            once = function(img, element)
            expect.equal(function(once, element), once, given=f"{name} twice, element {list(table)}",
                         trivial="what is open stays open")  # fmt: skip


# All of them

EVEN = {
    "box_filter": [(2,), (4,)],
    "gaussian_kernel": [(2, 1.0), (6, 1.0)],
    "unsharp": [(2,), (4, 1.0)],
    "median_filter": [(2,), (4,)],
    "bilateral_filter": [(2, 1.0, 9.0), (4, 1.0, 9.0)],
    "dilate": [(2,), (torch.ones(2, 3),), (torch.ones(3, 2),)],
    "erode": [(4,), (torch.ones(1, 4),), (torch.ones(2, 1),)],
}


@check("windows and elements of an even size are refused", points=0.5, category="robustness", hidden=True)
def test_even(submission):
    for name, settings in EVEN.items():
        for arguments in settings:
            img = () if name == "gaussian_kernel" else (torch.rand(5, 6),)
            sizes = [tuple(one.shape) if isinstance(one, torch.Tensor) else one for one in arguments]
            expect.raises(("ValueError",), getattr(submission, name), *img, *arguments,
                          given=f"{name} with {', '.join(map(str, sizes))}")  # fmt: skip


CALLS = [
    *(("rgb_to_gray", 3, torch.uint8, (method,)) for method in ("float", "integer", "shift", "mean")),
    *(("adjust_contrast", 3, pixels, (2.0,)) for pixels in PIXELS),
    *(("rgb_to_hsv", 3, pixels, ()) for pixels in PIXELS),
    ("hsv_to_rgb", 3, torch.float32, ()),
    ("equalize_hist", None, torch.uint8, ()),
    ("equalize_luma", 3, torch.uint8, ()),
    *((name, None, pixels, (3,)) for name in ("box_filter", "unsharp", "median_filter") for pixels in PIXELS),
    *(("bilateral_filter", None, pixels, (3, 1.0, 40.0)) for pixels in PIXELS),
    *((name, None, pixels, (3,)) for name in ("dilate", "erode", "open_", "close_") for pixels in PIXELS),
]


def sample(channels, pixels, rest, height, width):
    room = (height, width) if channels is None else (channels, height, width)
    return (100 * torch.rand(room)).to(pixels), *rest


@check("the number of PyTorch calls does not grow with the picture", points=0.5, category="efficiency",
       after=test_gaussian)  # fmt: skip
def test_growth(submission):
    for name, channels, pixels, rest in CALLS:
        kind = str(pixels).removeprefix("torch.")
        words = "".join(f", {value}" for value in rest)
        given = f"{name}(img{words}) on 24 x 28 pixels of {kind}, after 6 x 7"
        small, large = (sample(channels, pixels, rest, *size) for size in ((6, 7), (24, 28)))
        expect.vectorised(getattr(submission, name), small, large, given=given)


@check("every tensor is made where the picture is", points=0.5, category="devices", after=test_gaussian, hidden=True)
def test_devices(submission):
    for name, *about in CALLS:
        expect.portable(getattr(submission, name), *sample(*about, 6, 7), given=name)
