"""A class picks the known pairs for loss and error; Sequential with normalised groups; an L1 loss."""


class KeypointDataset(Dataset):
    def __init__(self, images, keypoints, transform=None):
        self.images, self.keypoints = np.array(images), np.array(keypoints)
        self.transform = transform or (lambda a, b: (a, b))

    def __len__(self):
        return self.images.shape[-1]

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        grey = self.images[..., index].astype(np.float64) / 255.0
        return self.transform(
            torch.tensor(grey, dtype=torch.float32)[None],
            torch.tensor(self.keypoints[index].astype(np.float64), dtype=torch.float32),
        )


def encode_keypoints(xy, size=96):
    return 2 * xy / size - 1


def decode_keypoints(pred, size=96):
    return pred * (size / 2) + size / 2


class Known:
    def __init__(self, target):
        self.mask = target == target  # NaN differs from itself

    def diff(self, a, b):
        return torch.masked_select(a, self.mask) - torch.masked_select(b, self.mask)


def masked_mse(pred, target):
    d = Known(target).diff(pred, target)
    return torch.einsum("i,i->", d, d / max(d.numel(), 1))


def hflip_keypoints(image, xy):
    w = image.shape[-1]
    pts = xy.reshape(*xy.shape[:-1], 4, 2)
    x, y = pts.unbind(-1)
    pts = torch.stack([w - 1 - x, y], -1)
    pts = torch.cat([pts[..., 1:2, :], pts[..., 0:1, :], pts[..., 2:, :]], dim=-2)
    return torch.fliplr(image.reshape(-1, w)).reshape(image.shape), pts.flatten(-2)


class KeypointCNN(nn.Sequential):
    def __init__(self):
        def conv(a, b):
            return [nn.Conv2d(a, b, 5, stride=2, padding=2), nn.LeakyReLU(0.1), nn.GroupNorm(2, b)]

        super().__init__(
            *conv(1, 8),
            *conv(8, 16),
            *conv(16, 32),
            *conv(32, 32),
            nn.Flatten(),
            nn.Linear(32 * 36, 100),
            nn.LeakyReLU(0.1),
            nn.Linear(100, 8),
        )


def build_resnet18_regressor(state_dict=None, num_outputs=8, in_channels=1, freeze_backbone=False):
    def head(k):
        return k.startswith("fc.")

    model = ResNet18()
    if state_dict is not None:
        own = model.state_dict()
        if {k for k in own if not head(k)} ^ {k for k in state_dict if not head(k)}:
            raise RuntimeError("names do not fit")
        with torch.no_grad():
            for k, v in own.items():
                if not head(k):
                    if v.shape != state_dict[k].shape:
                        raise RuntimeError("shape of " + k)
                    v.copy_(state_dict[k])
    if in_channels == 1:
        model.conv1 = _grey(model.conv1)
    model.fc = nn.Linear(512, num_outputs)
    if freeze_backbone:
        for p in (p for k, p in model.named_parameters() if not head(k)):
            p.requires_grad_(False)
        for m in [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]:
            m.eval().train = lambda mode=True, m=m: m
    return model


def _grey(conv):
    new = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    new.weight = nn.Parameter(torch.einsum("ochw->ohw", conv.weight.detach())[:, None].clone())
    return new


def train_regressor(model, loader, epochs, lr, device):
    model.to(device)
    ps = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(ps, lr=lr, weight_decay=1e-3)
    out = []
    for _ in range(epochs):
        model.train(True)
        rows = []
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            opt.zero_grad()
            d = Known(y).diff(model(x), encode_keypoints(y))
            loss = d.abs().sum() / max(len(d), 1)
            loss.backward()
            nn.utils.clip_grad_norm_(ps, max_norm=1)
            opt.step()
            rows.append((loss.item() * len(d), len(d)))
        a, b = map(sum, zip(*rows)) if rows else (0.0, 0)
        out.append(a / b if b else 0.0)
    model.eval()
    return out


@torch.no_grad()
def mean_pixel_error(model, loader):
    modules = list(model.modules())
    modes = [m.training for m in modules]
    model.eval()
    dev = next(model.parameters()).device
    try:
        e = [Known(y.to(dev)).diff(decode_keypoints(model(x.to(dev))), y.to(dev)).abs().double() for x, y in loader]
    finally:
        for m, t in zip(modules, modes):
            m.training = t
    e = torch.cat(e) if e else torch.zeros(0)
    return e.mean().item() if len(e) else 0.0
