"""A base class, functools, index tensors; interpolation as a product of matrices, moments merged batch by batch."""

from functools import reduce

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)


class ToTensor:
    def __call__(self, picture):
        a = np.atleast_3d(np.asarray(picture))
        scale = np.float32(255 if a.dtype == np.uint8 else 1)
        return torch.tensor(np.moveaxis(a.astype(np.float32) / scale, -1, 0).copy())


def affine(x, a, b):
    """x * a + b for each channel, by einsum's letters."""
    a, b = (v.to(device=x.device, dtype=x.dtype) for v in (a, b))
    return torch.einsum("...chw,c->...chw", x, a) + b[..., None, None]


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = (torch.tensor([float(v) for v in m], dtype=torch.float64) for m in (mean, std))

    def __call__(self, x):
        if not torch.is_tensor(x):
            raise TypeError(f"a tensor is needed, not {type(x).__name__}")
        shape = (-1, 1, 1)
        return x.sub(self.mean.to(x).reshape(shape)).div_(self.std.to(x).reshape(shape))


def denormalize(x, mean, std):
    return affine(x, *(torch.as_tensor(v, dtype=torch.float64) for v in (std, mean)))


class Compose:
    def __init__(self, transforms):
        self.steps = tuple(transforms)

    def __call__(self, x):
        return reduce(lambda value, step: step(value), self.steps, x)


class OnPlanes:
    """A transform that is written for tensors only."""

    def __call__(self, image):
        x, back = planes(image)
        return back(self.work(x))


class Crop(OnPlanes):
    def __init__(self, size):
        self.size = tuple(size) if hasattr(size, "__len__") else (size,) * 2

    def prepare(self, x):
        return x

    def work(self, x):
        x = self.prepare(x)
        for axis, want in zip((-2, -1), self.size):
            spare = x.shape[axis] - want
            if spare < 0:
                raise ValueError("the image is smaller than the crop")
            x = x.narrow(axis, self.start(spare), want)
        return x


class CenterCrop(Crop):
    def start(self, spare):
        return spare >> 1


class RandomCrop(Crop):
    def __init__(self, size, padding=0, pad_if_needed=False):
        super().__init__(size)
        self.padding, self.pad_if_needed = padding, pad_if_needed

    def prepare(self, x):
        x = F.pad(x, [self.padding] * 4)
        if self.pad_if_needed:
            h, w = (max(0, want - have) for want, have in zip(self.size, x.shape[-2:]))
            x = F.pad(x, (w // 2, w - w // 2, h // 2, h - h // 2))
        return x

    def start(self, spare):
        return torch.randint(spare + 1, ()).item()


class RandomHorizontalFlip:
    def __init__(self, p=0.5, swap=None):
        self.p, self.swap = p, list(swap or [])

    def __call__(self, image, keypoints=None):
        if torch.rand(1) >= self.p:
            return image if keypoints is None else (image, keypoints)
        x, back = planes(image)
        W = x.shape[-1]
        mirrored = back(x[..., torch.arange(W - 1, -1, -1, device=x.device)])
        if keypoints is None:
            return mirrored
        order = torch.arange(keypoints.shape[0])
        for a, b in self.swap:
            order[[a, b]] = order[[b, a]]
        px, py = keypoints[order].unbind(1)
        return mirrored, torch.stack((W - 1 - px, py), dim=1)


def weights(n, m, dtype):
    """The matrix (m, n) of bilinear interpolation from n to m values."""
    at = ((torch.arange(m, dtype=torch.float64) + 0.5) * n / m - 0.5).clamp(0, n - 1)
    low = at.floor().long().clamp(max=n - 1)
    high = (low + 1).clamp(max=n - 1)
    part = at - low
    w = torch.zeros(m, n, dtype=torch.float64)
    rows = torch.arange(m)
    w[rows, low] += 1 - part
    w[rows, high] += part
    return w.to(dtype)


class Resize(OnPlanes):
    def __init__(self, size):
        self.size = size

    def work(self, x):
        H, W = x.shape[-2:]
        h, w = self.size if hasattr(self.size, "__len__") else (self.size * side // min(H, W) for side in (H, W))
        y = x if x.is_floating_point() else x.double()
        y = weights(H, h, y.dtype).to(y.device) @ y @ weights(W, w, y.dtype).to(y.device).T
        return y if x.is_floating_point() else y.round().clamp(0, 255).to(x.dtype)


def channel_mean_std(loader):
    n, mean, m2 = 0, 0.0, 0.0
    for batch in loader:
        x = (batch[0] if isinstance(batch, (tuple, list)) else batch).double().transpose(0, 1).flatten(1)
        k = x.shape[1]
        if k == 0:
            continue
        mu = x.mean(1)
        delta = mu - mean
        m2 = m2 + (x - mu[:, None]).square().sum(1) + delta**2 * n * k / (n + k)
        mean = mean + delta * (k / (n + k))
        n += k
    return mean, (m2 / n) ** 0.5


def build_transforms(train):
    random = [RandomCrop((32, 32), 4), RandomHorizontalFlip(p=0.5)]
    return Compose(
        [Resize(32), *(random if train else [CenterCrop((32, 32))]), ToTensor(), Normalize(CIFAR_MEAN, CIFAR_STD)]
    )
