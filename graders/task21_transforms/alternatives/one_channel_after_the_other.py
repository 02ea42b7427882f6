"""Beginner's loops over channels, own interpolation, one draw for both directions, deviations joined by batches."""

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)


class ToTensor:
    def __call__(self, picture):
        if isinstance(picture, Image.Image):
            picture = np.asarray(picture)
        bytes_ = picture.dtype == np.uint8
        if len(picture.shape) == 2:
            channels = [picture]
        else:
            channels = []
            for c in range(picture.shape[2]):
                channels.append(picture[:, :, c])
        out = torch.empty(len(channels), picture.shape[0], picture.shape[1], dtype=torch.float32)
        for c in range(len(channels)):
            values = channels[c].astype(np.float32)
            out[c] = torch.tensor(np.ascontiguousarray(values))
        if bytes_:
            out = out / 255.0
        return out


class Normalize:
    def __init__(self, mean, std):
        self.mean = [float(m) for m in mean]
        self.std = [float(s) for s in std]

    def __call__(self, x):
        if isinstance(x, Image.Image):
            raise TypeError("a picture: use ToTensor before Normalize")
        result = torch.empty_like(x)
        for c in range(len(self.mean)):
            result[..., c, :, :] = (x[..., c, :, :] - self.mean[c]) / self.std[c]
        return result


def denormalize(x, mean, std):
    channels = []
    for c in range(len(mean)):
        channels.append(x[..., c, :, :] * float(std[c]) + float(mean[c]))
    return torch.stack(channels, dim=-3)


class Compose:
    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, x):
        result = x
        i = 0
        while i < len(self.transforms):
            result = self.transforms[i](result)
            i += 1
        return result


class CenterCrop:
    def __init__(self, size):
        if isinstance(size, (tuple, list)):
            self.h = size[0]
            self.w = size[1]
        else:
            self.h = size
            self.w = size

    def __call__(self, image):
        x, back = planes(image)
        H = x.shape[-2]
        W = x.shape[-1]
        if H < self.h:
            raise ValueError("not high enough")
        if W < self.w:
            raise ValueError("not wide enough")
        y = int((H - self.h) / 2)
        z = int((W - self.w) / 2)
        x = x.narrow(-2, y, self.h)
        x = x.narrow(-1, z, self.w)
        return back(x)


class RandomCrop:
    def __init__(self, size, padding=0, pad_if_needed=False):
        if isinstance(size, (tuple, list)):
            self.h = size[0]
            self.w = size[1]
        else:
            self.h = size
            self.w = size
        self.padding = padding
        self.pad_if_needed = pad_if_needed

    def __call__(self, image):
        x, back = planes(image)
        H = x.shape[-2] + 2 * self.padding
        W = x.shape[-1] + 2 * self.padding
        top = self.padding
        left = self.padding
        if self.pad_if_needed:
            # just as many zeros as are missing, half of them before
            if H < self.h:
                top = top + (self.h - H) // 2
                H = self.h
            if W < self.w:
                left = left + (self.w - W) // 2
                W = self.w
        if H < self.h or W < self.w:
            raise ValueError("too small")
        big = torch.zeros(tuple(x.shape[:-2]) + (H, W), dtype=x.dtype, device=x.device)
        big[..., top : top + x.shape[-2], left : left + x.shape[-1]] = x
        place = int(torch.randint(0, (H - self.h + 1) * (W - self.w + 1), ()))
        row = place // (W - self.w + 1)
        column = place % (W - self.w + 1)
        return back(big[..., row : row + self.h, column : column + self.w])


class RandomHorizontalFlip:
    def __init__(self, p=0.5, swap=None):
        self.p = p
        self.swap = swap

    def __call__(self, image, keypoints=None):
        draw = float(torch.rand(()))
        if draw >= self.p:
            if keypoints is None:
                return image
            return image, keypoints
        if isinstance(image, Image.Image):
            W = image.size[0]
            mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        else:
            W = image.shape[-1]
            mirrored = image[..., torch.arange(W - 1, -1, -1)]
        if keypoints is None:
            return mirrored
        points = keypoints.clone()
        for k in range(len(points)):
            points[k, 0] = W - 1 - keypoints[k, 0]
        if self.swap is not None:
            for first, second in self.swap:
                kept = points[first].clone()
                points[first] = points[second]
                points[second] = kept
        return mirrored, points


class Resize:
    def __init__(self, size):
        self.size = size

    def places(self, n, m):
        # for each of m new pixels: the left and the right neighbour among n, and how much of the right one
        centre = (torch.arange(m, dtype=torch.float64) + 0.5) * n / m - 0.5
        centre = centre.clamp(0, n - 1)
        low = centre.floor().long()
        high = (low + 1).clamp(max=n - 1)
        return low, high, centre - low

    def __call__(self, image):
        x, back = planes(image)
        H = x.shape[-2]
        W = x.shape[-1]
        if isinstance(self.size, (tuple, list)):
            h = self.size[0]
            w = self.size[1]
        elif H < W:
            h = self.size
            w = (W * self.size) // H
        else:
            h = (H * self.size) // W
            w = self.size
        y = x.double()
        low, high, part = self.places(H, h)
        part = part.reshape(-1, 1)
        y = y[..., low, :] * (1 - part) + y[..., high, :] * part
        low, high, part = self.places(W, w)
        y = y[..., low] * (1 - part) + y[..., high] * part
        if x.dtype == torch.uint8:
            y = (y + 0.5).floor()
        return back(y.to(x.dtype))


def channel_mean_std(loader):
    # mean and sum of squared deviations, joined batch by batch
    n = 0
    mean = None
    spread = None
    for batch in loader:
        if isinstance(batch, tuple) or isinstance(batch, list):
            batch = batch[0]
        if len(batch) == 0:
            continue
        values = batch.double().transpose(0, 1).reshape(batch.shape[1], -1)
        m = values.shape[1]
        batch_mean = values.mean(dim=1)
        batch_spread = ((values - batch_mean[:, None]) ** 2).sum(dim=1)
        if mean is None:
            n, mean, spread = m, batch_mean, batch_spread
        else:
            step = batch_mean - mean
            spread = spread + batch_spread + step**2 * n * m / (n + m)
            mean = mean + step * m / (n + m)
            n = n + m
    return mean, torch.sqrt(spread / n)


def build_transforms(train):
    steps = []
    steps.append(Resize(32))
    if train:
        steps.append(RandomCrop(32, padding=4))
        steps.append(RandomHorizontalFlip())
    else:
        steps.append(CenterCrop(32))
    steps.append(ToTensor())
    steps.append(Normalize(CIFAR_MEAN, CIFAR_STD))
    return Compose(steps)
