"""Normalisation by hand, padding by an index list for each axis, networks that reuse the learner's own padding."""


def reflection_pad2d(x, padding):
    sides = (padding, padding, padding, padding) if type(padding) is int else tuple(padding)
    h, w = x.size(-2), x.size(-1)
    assert_fits = [0 <= p < size for p, size in zip(sides, (w, w, h, h))]
    if not all(assert_fits):
        raise ValueError(f"{sides} on {h} x {w}")

    def order(size, before, after):
        period = max(1, 2 * (size - 1))
        places = [place % period for place in range(-before, size + after)]
        return torch.tensor([min(place, period - place) if size > 1 else 0 for place in places], device=x.device)

    x = torch.index_select(x, x.dim() - 1, order(w, sides[0], sides[1]))
    return torch.index_select(x, x.dim() - 2, order(h, sides[2], sides[3]))


class Norm(nn.Module):
    def forward(self, x):
        mean = x.mean(dim=(2, 3), keepdim=True)
        var = x.var(dim=(2, 3), keepdim=True, unbiased=False)
        return (x - mean) / torch.sqrt(var + 1e-5)


class Mirror(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def forward(self, x):
        return reflection_pad2d(x, self.width)


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(channels, channels, 3) for _ in range(2)])
        self.mirror, self.norm = Mirror(1), Norm()

    def forward(self, x):
        y = self.norm(self.convs[0](self.mirror(x))).clamp(min=0)
        return self.norm(self.convs[1](self.mirror(y))) + x


class Generator(nn.Module):
    def __init__(self, in_channels=3, out_channels=3, features=64, num_blocks=9):
        super().__init__()
        f = features
        self.encoder = nn.Sequential(
            Mirror(3), nn.Conv2d(in_channels, f, 7), Norm(), nn.ReLU(),
            nn.Conv2d(f, f * 2, 3, 2, 1), Norm(), nn.ReLU(),
            nn.Conv2d(f * 2, f * 4, 3, 2, 1), Norm(), nn.ReLU(),
        )  # fmt: skip
        self.middle = nn.Sequential(*(ResidualBlock(f * 4) for _ in range(num_blocks)))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(f * 4, f * 2, 3, 2, 1, 1), Norm(), nn.ReLU(),
            nn.ConvTranspose2d(f * 2, f, 3, 2, 1, 1), Norm(), nn.ReLU(),
            Mirror(3), nn.Conv2d(f, out_channels, 7), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x):
        return self.decoder(self.middle(self.encoder(x)))


class ReplayBuffer:
    """Decides for the whole batch with one draw of torch, image by image."""

    def __init__(self, max_size=50):
        self.max_size = max_size
        self.store = None

    def push_and_pop(self, images):
        images = images.detach()
        coins = torch.rand(len(images))
        answers = []
        for image, coin in zip(images.unbind(), coins.tolist()):
            count = 0 if self.store is None else len(self.store)
            if count < self.max_size:
                self.store = image[None] if count == 0 else torch.cat([self.store, image[None]])
                answers.append(image)
            elif coin < 0.5 or self.max_size == 0:
                answers.append(image)
            else:
                place = int(2 * (coin - 0.5) * self.max_size)
                answers.append(self.store[place].clone())
                self.store = self.store.clone()
                self.store[place] = image
        return torch.stack(answers, 0)
