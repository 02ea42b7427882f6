"""Helpers for task 21 that run beside the submission: pictures, many calls of one transform, loaders."""

import numpy as np
import torch
from PIL import Image


def picture_of(array):
    """The picture of a uint8 array (H, W, 3), or of a grey one (H, W)."""
    return Image.fromarray(np.ascontiguousarray(array))


def looked_at(result):
    """[kind, values] of an image that a transform returned."""
    if isinstance(result, Image.Image):
        return [f"picture of mode {result.mode}", np.asarray(result)]
    if isinstance(result, torch.Tensor):
        return [f"tensor of {str(result.dtype).removeprefix('torch.')}", result]
    return [type(result).__name__, result if isinstance(result, np.ndarray) else np.zeros(0)]


def of_picture(transform, array):
    """What a transform makes of the picture of an array, and whether it changed the picture."""
    picture = picture_of(array)
    found = looked_at(transform(picture))
    return [*found, not np.array_equal(np.asarray(picture), array)]


def values_of_picture(transform, array):
    """The values of what a transform makes of the picture of an array."""
    return looked_at(transform(picture_of(array)))[1]


def of_picture_and_points(flip, array, keypoints):
    """What a flip makes of the picture of an array and its points: [kind, values, points]."""
    image, points = flip(picture_of(array), keypoints)
    return [*looked_at(image), points]


def as_function(kind, calls=1):
    """``kind``, a class of transforms, as a function of an image and the settings; the last of so many calls counts,
    and those before are for a wider image."""

    def function(x, **settings):
        transform = kind(**settings)
        for _ in range(calls - 1):
            transform(torch.cat([x.flip(-1) + 1, x], -1))
        return transform(x)

    return function


def in_turn(array, *transforms):
    """What transforms make of the picture of an array, one after the other."""
    image = picture_of(array)
    for transform in transforms:
        image = transform(image)
    return image


def chained(build, train, arrays):
    """What one chain makes of the pictures of several arrays, one after the other."""
    chain = build(train)
    return [looked_at(chain(picture_of(array)))[1] for array in arrays]


def chained_often(build, train, array, count):
    """What one chain makes of one picture, in so many calls: (count, ...)."""
    chain, picture = build(train), picture_of(array)
    return torch.stack([chain(picture) for _ in range(count)])


def half(x):
    return x / 2


def plus_one(x):
    return x + 1


def pair(x):
    return x, x + 1


def added(two):
    one, other = two
    return one + other


def nothing(x):
    return None


def was_nothing(x):
    return x is None


def passes_nothing(compose, x):
    """What a function says of which the one before returned None."""
    return compose([nothing, was_nothing])(x)


def list_after(compose, x):
    """What a list of functions is after a chain was made of it and called."""
    given = [half, plus_one, plus_one]
    transforms = list(given)
    compose(transforms)(x)
    return "as it was" if transforms == given else f"another one, of {len(transforms)} functions"


def swap_after(kind, image, keypoints):
    """What the list of pairs is after a flip was made of it and called."""
    swap = [(0, 1), (2, 3)]
    kind(p=1, swap=swap)(image, keypoints)
    return "as it was" if swap == [(0, 1), (2, 3)] else f"another one, of {len(swap)} pairs"


def normalized_by(kind, x, mean, std):
    """An image as a new ``Normalize`` with these settings makes it."""
    return kind(mean, std)(x)


def many(transform, image, count):
    """The results of so many calls with a tensor, in one tensor."""
    return torch.stack([transform(image) for _ in range(count)])


def many_pictures(transform, array, count):
    """The results of so many calls with the picture of an array, as tensors in one."""
    picture = picture_of(array)
    return torch.stack([torch.from_numpy(np.array(transform(picture))) for _ in range(count)])


def many_flips(flip, image, keypoints, count):
    """Images and keypoints of so many calls."""
    pairs = [flip(image, keypoints) for _ in range(count)]
    return torch.stack([image for image, _ in pairs]), torch.stack([points for _, points in pairs])


def seeded(transform, image, count, seed):
    """``many`` after torch.manual_seed(seed); the state of before comes back."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    np.random.seed(int(np.random.randint(2**31)))
    found = many(transform, image, count)
    torch.set_rng_state(state)
    return found


def once(batches, form):
    """A loader that can be gone through once; it gives images, or tuples or lists of images and labels."""
    if form == "images":
        return iter(batches)
    if form == "images that are transposed views":
        return iter([images.mT.contiguous().mT for images in batches])
    kind = tuple if form.startswith("tuples") else list
    return iter([kind((images, torch.arange(len(images)))) for images in batches])


def statistics_of(function, batches):
    """What ``channel_mean_std`` makes of batches of images."""
    return function(iter(batches))
