"""Loops over pixels and channels; Pillow's own methods for pictures."""

import math

import torch.nn.functional as F

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)


class ToTensor:
    def __call__(self, picture):
        a = np.asarray(picture)
        is_bytes = a.dtype == np.uint8
        if len(a.shape) == 2:
            a = a.reshape(a.shape[0], a.shape[1], 1)
        result = torch.empty(a.shape[2], a.shape[0], a.shape[1], dtype=torch.float32)
        for c in range(a.shape[2]):
            plane = torch.tensor(a[:, :, c].astype(np.float32))
            if is_bytes:
                plane = plane / 255.0
            result[c] = plane
        return result


class Normalize:
    def __init__(self, mean, std):
        self.mean = [float(m) for m in mean]
        self.std = [float(s) for s in std]

    def __call__(self, x):
        if isinstance(x, Image.Image) or not torch.is_tensor(x):
            raise TypeError("first make a tensor of the picture")
        channels = []
        for c in range(len(self.mean)):
            channels.append((x[..., c, :, :] - self.mean[c]) / self.std[c])
        return torch.stack(channels, dim=-3)


def denormalize(x, mean, std):
    channels = []
    for c in range(x.shape[-3]):
        channels.append(x[..., c, :, :] * float(std[c]) + float(mean[c]))
    return torch.stack(channels, dim=-3)


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, x):
        result = x
        for i in range(len(self.transforms)):
            result = self.transforms[i](result)
        return result


def height_and_width(image):
    if isinstance(image, Image.Image):
        return image.height, image.width
    return image.shape[-2], image.shape[-1]


def cut(image, top, left, height, width):
    if isinstance(image, Image.Image):
        return image.crop((left, top, left + width, top + height))
    return image[..., top : top + height, left : left + width].clone()


def put_zeros(image, left, right, top, bottom):
    H, W = height_and_width(image)
    if isinstance(image, Image.Image):
        bigger = Image.new(image.mode, (W + left + right, H + top + bottom))
        bigger.paste(image, (left, top))
    else:
        bigger = torch.zeros(
            *image.shape[:-2], H + top + bottom, W + left + right, dtype=image.dtype, device=image.device
        )
        bigger[..., top : top + H, left : left + W] = image
    return bigger


class CenterCrop:
    def __init__(self, size):
        if isinstance(size, (tuple, list)):
            self.size = (size[0], size[1])
        else:
            self.size = (size, size)

    def __call__(self, image):
        H, W = height_and_width(image)
        h, w = self.size
        if h > H:
            raise ValueError("not high enough")
        if w > W:
            raise ValueError("not wide enough")
        return cut(image, math.floor((H - h) / 2), math.floor((W - w) / 2), h, w)


class RandomCrop:
    def __init__(self, size, padding=0, pad_if_needed=False):
        if isinstance(size, (tuple, list)):
            self.size = (size[0], size[1])
        else:
            self.size = (size, size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed

    def __call__(self, image):
        h, w = self.size
        if self.padding != 0:
            image = put_zeros(image, self.padding, self.padding, self.padding, self.padding)
        H, W = height_and_width(image)
        if self.pad_if_needed:
            if W < w:
                left = (w - W) // 2
                image = put_zeros(image, left, w - W - left, 0, 0)
            if H < h:
                top = (h - H) // 2
                image = put_zeros(image, 0, 0, top, h - H - top)
            H, W = height_and_width(image)
        if H < h or W < w:
            raise ValueError("the image is too small")
        place = torch.randint((H - h + 1) * (W - w + 1), size=()).item()
        top = place // (W - w + 1)
        left = place % (W - w + 1)
        return cut(image, top, left, h, w)


class RandomHorizontalFlip:
    def __init__(self, p=0.5, swap=None):
        self.p = p
        if swap is None:
            swap = []
        self.swap = swap

    def __call__(self, image, keypoints=None):
        mirrored = bool(torch.rand(()) < self.p)
        H, W = height_and_width(image)
        if mirrored:
            if isinstance(image, Image.Image):
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            else:
                image = torch.flip(image, dims=[image.dim() - 1])
        if keypoints is None:
            return image
        if not mirrored:
            return image, keypoints
        order = list(range(len(keypoints)))
        for pair in self.swap:
            first, second = order[pair[0]], order[pair[1]]
            order[pair[0]] = second
            order[pair[1]] = first
        new = torch.zeros_like(keypoints)
        for i in range(len(order)):
            new[i, 0] = W - 1 - keypoints[order[i], 0]
            new[i, 1] = keypoints[order[i], 1]
        return image, new


class Resize:
    def __init__(self, size):
        self.size = size

    def __call__(self, image):
        H, W = height_and_width(image)
        if isinstance(self.size, (tuple, list)):
            h, w = self.size
        else:
            short = min(H, W)
            h = (H * self.size) // short
            w = (W * self.size) // short
        if isinstance(image, Image.Image):
            # Pillow's own resize rounds twice, once for each axis: go by way of a tensor
            x, back = planes(image)
            return back(self(x))
        as_bytes = image.dtype == torch.uint8
        flat = image.reshape(1, -1, H, W)
        if as_bytes:
            flat = flat.double()
        out = F.interpolate(flat, (h, w), mode="bilinear")
        if as_bytes:
            out = torch.floor(out + 0.5).to(torch.uint8)
        return out.reshape(list(image.shape[:-2]) + [h, w])


def channel_mean_std(loader):
    sums = None
    squares = None
    n = 0
    for batch in loader:
        if isinstance(batch, tuple) or isinstance(batch, list):
            batch = batch[0]
        N, C, H, W = batch.shape
        if sums is None:
            sums = torch.zeros(C, dtype=torch.float64)
            squares = torch.zeros(C, dtype=torch.float64)
        for c in range(C):
            values = batch[:, c].double()
            sums[c] += values.sum()
            squares[c] += (values * values).sum()
        n += N * H * W
    mean = sums / n
    var = squares / n - mean * mean
    var[var < 0] = 0
    return mean, torch.sqrt(var)


def build_transforms(train):
    steps = [Resize(32)]
    if train:
        steps.append(RandomCrop(32, padding=4))
        steps.append(RandomHorizontalFlip())
    else:
        steps.append(CenterCrop(32))
    steps.append(ToTensor())
    steps.append(Normalize(CIFAR_MEAN, CIFAR_STD))
    return Compose(steps)
