"""Functions that keep their settings, comprehensions, one call for each thing."""

# It is appended to the solution, whose helpers it may use.


def ToTensor():
    def transform(picture):
        array = np.atleast_3d(np.array(picture))
        values = torch.as_tensor(array.transpose(2, 0, 1).copy())
        return (values.to(torch.float32) / 255) if array.dtype == np.uint8 else values.to(torch.float32)

    return transform


def Normalize(mean, std):
    def transform(x):
        if isinstance(x, (Image.Image, np.ndarray)):
            raise TypeError("Normalize works on tensors")
        m, s = (torch.tensor(list(v)).to(x).reshape(-1, 1, 1) for v in (mean, std))
        return (x - m) / s

    return transform


def denormalize(x, mean, std):
    inverse = Normalize([-m / s for m, s in zip(mean, std, strict=True)], [1 / s for s in std])
    return inverse(x)


def Compose(transforms):
    def transform(x):
        for step in transforms:
            x = step(x)
        return x

    return transform


def on_planes(function):
    """A function of tensors, for pictures as well."""

    def transform(image):
        x, back = planes(image)
        return back(function(x))

    return transform


def CenterCrop(size):
    height, width = np.broadcast_to(size, 2).tolist()

    def cut(x):
        top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
        if top < 0 or left < 0:
            raise ValueError("too small for this crop")
        return x.narrow(-2, top, height).narrow(-1, left, width)

    return on_planes(cut)


def RandomCrop(size, padding=0, pad_if_needed=False):
    height, width = np.broadcast_to(size, 2).tolist()

    def cut(x):
        x = F.pad(x, [padding] * 4, value=0)
        if pad_if_needed:
            down, across = max(height - x.shape[-2], 0), max(width - x.shape[-1], 0)
            x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        if x.shape[-2] < height or x.shape[-1] < width:
            raise ValueError("too small for this crop")
        windows = (x.shape[-2] - height + 1) * (x.shape[-1] - width + 1)
        top, left = divmod(int(torch.randint(windows, (1,))), x.shape[-1] - width + 1)
        return x[..., top : top + height, left : left + width]

    return on_planes(cut)


def RandomHorizontalFlip(p=0.5, swap=None):
    mirror = on_planes(lambda x: x.flip(x.ndim - 1))

    def transform(image, keypoints=None):
        flips = torch.rand(1) < p
        out = mirror(image) if flips else image
        if keypoints is None:
            return out
        if flips:
            width = image.width if isinstance(image, Image.Image) else image.shape[-1]
            keypoints = keypoints * keypoints.new_tensor([-1, 1]) + keypoints.new_tensor([width - 1, 0])
            for pair_of_points in swap or []:
                keypoints[list(pair_of_points)] = keypoints[list(reversed(pair_of_points))]
        return out, keypoints

    return transform


def Resize(size):
    def change(x):
        h, w = x.shape[-2:]
        new = [int(n * size / min(h, w) + 1e-9) for n in (h, w)] if np.isscalar(size) else list(size)
        y = torch.nn.Upsample(new, mode="bilinear")(x.reshape(1, -1, h, w).to(torch.float64))
        y = y.reshape(list(x.shape[:-2]) + new)
        return y.to(x.dtype) if x.is_floating_point() else y.add(0.5).to(x.dtype)

    return on_planes(change)


def channel_mean_std(loader):
    pixels = [(b[0] if isinstance(b, (list, tuple)) else b).double().transpose(0, 1).flatten(1) for b in loader]
    std, mean = torch.std_mean(torch.cat(pixels, 1), dim=1, unbiased=False)
    return mean, std


def build_transforms(train):
    random = [RandomCrop(32, padding=4), RandomHorizontalFlip()]
    return Compose(
        [Resize(32)] + (random if train else [CenterCrop(32)]) + [ToTensor(), Normalize(CIFAR_MEAN, CIFAR_STD)]
    )
