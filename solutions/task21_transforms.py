"""Task 21: transforms, which turn a picture into the tensor that a network sees, and a few pictures into many.

A picture comes with values 0..255, in any size. A network wants floats of about unit size, channels first, all of one
shape. Between the two stands a chain of small objects, each of which is made once with its settings and then called
with one picture after the other. You write the usual ones, the statistics that one of them needs, and two chains: one
for training, which crops and mirrors at random, and one for testing, in which nothing is random.

Worked example: a pixel (255, 0, 51) becomes 1, 0 and 0.2 by ``ToTensor``, and with the mean (0.4914, 0.4822, 0.4465)
and the deviation (0.2023, 0.1994, 0.2010) of CIFAR-10, ``Normalize`` makes 2.5141, -2.4183 and -1.2264 of these.

Conventions
- A picture is a ``PIL.Image.Image`` of mode RGB or L (grey). A tensor is (..., H, W), mostly (C, H, W): the height is
  the second to last axis, the width the last one. Pillow says the width first: ``picture.size`` is (W, H).
- Resize, the crops and the flip take a picture or a tensor and give back the same kind: a picture of the same mode, or
  a tensor of the same dtype, whichever it is (for Resize float32, float64 or uint8). ``planes``, which is given, spares
  you from writing everything twice.
- A size is (height, width), or one number for both; Resize says what one number means there.
- What is random is drawn from torch's global generator, so that ``torch.manual_seed`` repeats it: ``torch.rand``,
  ``torch.randint``. A new draw is made at each call.
- Nothing that is passed in is changed: not the picture, the tensor, the points or a list.
- Everything is written without torchvision, whose transforms you are rebuilding. There ``ToTensor`` is called
  ``ToImage`` and ``ToDtype(torch.float32, scale=True)`` today.
"""

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)


class ToTensor:
    """A picture as a tensor with its channels first.

    Takes a picture, or an array (H, W, C) or (H, W). Returns float32 (C, H, W), for a grey picture and for an array
    (H, W) with C = 1. A picture and an array of uint8 are divided by 255; an array of floats keeps its values, for they
    have been scaled already, and only its dtype changes.
    """

    def __call__(self, picture):
        # TODO: to an array, to a tensor, channels first; divide where the values are bytes.
        # BEGIN SOLUTION
        array = np.array(picture)
        x = torch.from_numpy(array if array.ndim == 3 else array[:, :, None]).permute(2, 0, 1)  # (C, H, W)
        return (x / 255 if array.dtype == np.uint8 else x).to(torch.float32).contiguous()
        # END SOLUTION


class Normalize:
    """Each channel shifted by its mean and divided by its standard deviation.

    mean, std: one number for each channel (a tuple, list or tensor). Takes a floating-point tensor (C, H, W) or
    (N, C, H, W) and returns (x - mean) / std in the dtype of x. A picture raises TypeError: ``ToTensor`` comes first.
    """

    def __init__(self, mean, std):
        # TODO: keep both.
        # BEGIN SOLUTION
        self.mean, self.std = mean, std
        # END SOLUTION

    def __call__(self, x):
        # TODO: give mean and std a shape that fits (..., C, H, W).
        # BEGIN SOLUTION
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"Normalize takes a tensor, not a {type(x).__name__}; ToTensor comes first")
        return (x - per_channel(self.mean, x)) / per_channel(self.std, x)
        # END SOLUTION


# BEGIN SOLUTION
def per_channel(values, x):
    """Numbers, one for each channel, as a tensor (C, 1, 1) like x."""
    return torch.as_tensor(values, dtype=x.dtype, device=x.device)[:, None, None]


# END SOLUTION


def denormalize(x, mean, std):
    """Undo ``Normalize``: x * std + mean for each channel.

    x: floating-point tensor (C, H, W) or (N, C, H, W). Returns a tensor of its shape and dtype; gradients flow.
    """
    # TODO: the inverse, in the right order.
    # BEGIN SOLUTION
    return x * per_channel(std, x) + per_channel(mean, x)
    # END SOLUTION


class Compose:
    """Several transforms as one: the first is called first, each with what the one before it returned.

    transforms: a list of functions of one argument; without any, the argument comes back.
    """

    def __init__(self, transforms):
        # TODO: keep them.
        # BEGIN SOLUTION
        self.transforms = list(transforms)
        # END SOLUTION

    def __call__(self, x):
        # TODO: pass x through.
        # BEGIN SOLUTION
        for transform in self.transforms:
            x = transform(x)
        return x
        # END SOLUTION


def planes(image):
    """Given: the values of an image as a tensor (..., H, W), and the way back.

    image: a picture or a tensor (..., H, W). Returns (x, back). ``x`` is the tensor itself, or of a picture a new
    tensor uint8 (C, H, W). ``back`` is a function that makes a picture of such a uint8 tensor again, of any H and W;
    where the image is a tensor it returns what it gets.
    """
    if isinstance(image, torch.Tensor):
        return image, lambda x: x
    array = np.array(image)
    x = torch.from_numpy(array if array.ndim == 3 else array[:, :, None]).permute(2, 0, 1)

    def back(x):
        array = x.permute(1, 2, 0).numpy()
        return Image.fromarray(np.ascontiguousarray(array if array.shape[2] > 1 else array[:, :, 0]))

    return x, back


class CenterCrop:
    """The middle of an image: ``size`` is (height, width), or one number for both.

    The upper left corner is at row (H - height) / 2 and column (W - width) / 2, rounded down. From a row of 7 values
    a width of 4 takes the places 1 to 4. An image that is smaller raises ValueError.
    """

    def __init__(self, size):
        # TODO: keep height and width.
        # BEGIN SOLUTION
        self.height, self.width = pair(size)
        # END SOLUTION

    def __call__(self, image):
        # TODO: compute the corner, cut.
        # BEGIN SOLUTION
        x, back = planes(image)
        spare = spare_places(x, self.height, self.width)
        top, left = spare[0] // 2, spare[1] // 2
        return back(x[..., top : top + self.height, left : left + self.width])
        # END SOLUTION


# BEGIN SOLUTION
def pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def spare_places(x, height, width):
    """How many rows and columns more the image has; ValueError where it has less."""
    rows, columns = x.shape[-2] - height, x.shape[-1] - width
    if rows < 0 or columns < 0:
        raise ValueError(f"an image of {x.shape[-2]} x {x.shape[-1]} has no part of {height} x {width}")
    return rows, columns


# END SOLUTION


class RandomCrop:
    """A part of an image at a random place, every place alike often.

    size: (height, width), or one number for both. padding: so many rows and columns of zeros are put around the image
    first, on all four sides. Then an image that is still smaller than ``size`` raises ValueError; with
    ``pad_if_needed`` zeros are put around it until it fits, and the whole image is in the result.

    An image of H x W with padding p has (H + 2p - height + 1) * (W + 2p - width + 1) places.
    """

    def __init__(self, size, padding=0, pad_if_needed=False):
        # TODO: keep the settings.
        # BEGIN SOLUTION
        self.height, self.width = pair(size)
        self.padding, self.pad_if_needed = padding, pad_if_needed
        # END SOLUTION

    def __call__(self, image):
        # TODO: pad, draw the upper left corner, cut.
        # BEGIN SOLUTION
        x, back = planes(image)
        x = F.pad(x, (self.padding,) * 4)
        if self.pad_if_needed:
            rows, columns = max(0, self.height - x.shape[-2]), max(0, self.width - x.shape[-1])
            x = F.pad(x, (columns, columns, rows, rows))
        rows, columns = spare_places(x, self.height, self.width)
        top, left = int(torch.randint(rows + 1, ())), int(torch.randint(columns + 1, ()))
        return back(x[..., top : top + self.height, left : left + self.width])
        # END SOLUTION


class RandomHorizontalFlip:
    """With probability ``p`` the image is mirrored, left to right; else it comes back as it is.

    Called with an image alone it returns an image. Called with ``keypoints`` too, a tensor (K, 2) of x and y in pixels,
    it returns (image, keypoints), both mirrored or neither. A point in column x comes to column W - 1 - x: in an image
    that is 10 wide, (2, 5) comes to (7, 5). ``swap`` lists pairs of points that change places when the image is
    mirrored, for the left eye becomes a right one: with ``swap=[(0, 1)]`` the points 0 and 1 are exchanged.
    """

    def __init__(self, p=0.5, swap=None):
        # TODO: keep the settings.
        # BEGIN SOLUTION
        self.p, self.swap = p, swap or []
        # END SOLUTION

    def __call__(self, image, keypoints=None):
        # TODO: one draw decides about both.
        # BEGIN SOLUTION
        if float(torch.rand(())) < self.p:
            x, back = planes(image)
            image = back(x.flip(-1))
            keypoints = None if keypoints is None else self.mirrored(keypoints, x.shape[-1])
        return image if keypoints is None else (image, keypoints)

    def mirrored(self, keypoints, width):
        """Keypoints (K, 2) of an image that is so wide, when it is mirrored."""
        points = torch.stack([width - 1 - keypoints[:, 0], keypoints[:, 1]], 1)
        order = list(range(len(points)))
        for one, other in self.swap:
            order[one], order[other] = order[other], order[one]
        return points[order]
        # END SOLUTION


class Resize:
    """An image in another size, by bilinear interpolation.

    size: (height, width), which is what comes out; or one number for the *shorter* side, while the longer one keeps
    the proportion, rounded down: Resize(256) makes 256 x 512 of an image 200 high and 400 wide, and Resize(10) makes
    10 x 14 of 12 x 17. An image of bytes is rounded to the nearest byte.

    The centre of a pixel lies in its middle, and corners are not aligned: ``align_corners=False`` in PyTorch, as Pillow
    does. When an image is made smaller, averaging over more than four neighbours (``antialias``) is up to you.
    """

    def __init__(self, size):
        # TODO: keep it.
        # BEGIN SOLUTION
        self.size = size
        # END SOLUTION

    def __call__(self, image):
        # TODO: find height and width, interpolate.
        # BEGIN SOLUTION
        x, back = planes(image)
        height, width = x.shape[-2:]
        if isinstance(self.size, int):
            short = min(height, width)
            size = (self.size * height // short, self.size * width // short)
        else:
            size = tuple(self.size)
        floats = x if x.is_floating_point() else x.to(torch.float32)
        flat = floats.reshape(1, -1, height, width)
        resized = F.interpolate(flat, size, mode="bilinear", align_corners=False, antialias=True)
        resized = resized.reshape(*x.shape[:-2], *size)
        return back(resized if x.is_floating_point() else resized.round().to(x.dtype))
        # END SOLUTION


def channel_mean_std(loader):
    """Mean and standard deviation of each channel over all pixels of all images that a loader gives.

    loader: gives batches (N, C, H, W), or (images, labels), a tuple or a list, of which the first counts. The sizes N
    may differ, and it can be gone through once only. Images of integers are taken as they are.

    Returns (mean, std), float64 tensors (C,). The variance is divided by the number n of pixels, not by n - 1. Sums are
    added up in float64: in float32 a million values near 1000 are known no better than to a few hundredths. A mean of
    the batches' means is another number where the last batch is smaller, and a mean of their deviations always is.
    """
    # TODO: add up values, squares and counts; divide at the end.
    # BEGIN SOLUTION
    count, total, squares = 0, 0.0, 0.0
    for batch in loader:
        images = batch[0] if isinstance(batch, (tuple, list)) else batch
        values = images.to(torch.float64).transpose(0, 1).flatten(1)  # (C, pixels)
        count += values.shape[1]
        total = total + values.sum(1)
        squares = squares + values.square().sum(1)
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0).sqrt()
    # END SOLUTION


def build_transforms(train):
    """The chain for CIFAR-10: from an RGB picture of any size to a normalised tensor float32 (3, 32, 32).

    Both chains: Resize(32), at the end ToTensor and Normalize with CIFAR_MEAN and CIFAR_STD. Between them, for training
    (``train`` is True), a RandomCrop of 32 with a padding of 4 (the zeros are black: they are put there before
    normalising) and a RandomHorizontalFlip with p = 0.5; for testing a CenterCrop of 32, and nothing random. Both
    normalise alike: a network that learnt from normalised pictures understands no others.

    Returns a function of one picture.
    """
    # TODO: compose what you have written.
    # BEGIN SOLUTION
    middle = [RandomCrop(32, padding=4), RandomHorizontalFlip()] if train else [CenterCrop(32)]
    return Compose([Resize(32), *middle, ToTensor(), Normalize(CIFAR_MEAN, CIFAR_STD)])
    # END SOLUTION
