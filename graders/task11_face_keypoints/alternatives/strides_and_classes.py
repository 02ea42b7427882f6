"""Sequential, batch normalisation and dropout, hooks for the frozen part, points as (…, 4, 2)."""


class KeypointDataset(Dataset):
    def __init__(self, images, keypoints, transform=None):
        faces = np.moveaxis(np.asarray(images), -1, 0)[:, None].astype("float32") / np.float32(255)
        self.items = list(zip(torch.from_numpy(faces), torch.from_numpy(np.asarray(keypoints).astype("float32"))))
        self.transform = transform or (lambda image, points: (image, points))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.transform(*(t.clone() for t in self.items[index]))


def encode_keypoints(xy, size=96):
    return xy.div(size).sub(0.5).mul(2)


def decode_keypoints(pred, size=96):
    return pred.div(2).add(0.5).mul(size)


def masked_mse(pred, target):
    missing = target != target
    gap = pred - target.masked_fill(missing, 0)
    gap = gap.masked_fill(missing, 0)
    return gap.pow(2).sum() / max(1, int((~missing).sum()))


def hflip_keypoints(image, xy):
    x, y = xy[..., ::2], xy[..., 1::2]
    both = torch.stack([image.size(-1) - 1 - x, y], -1)
    left, right, *rest = both.unbind(-2)
    return torch.flip(image, (-1,)), torch.cat([right, left, *rest], -1)


class KeypointCNN(nn.Sequential):
    def __init__(self):
        def step(i, o):
            return [nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]

        super().__init__(
            *step(1, 16),
            *step(16, 32),
            *step(32, 64),
            *step(64, 64),
            nn.Flatten(),
            nn.Linear(64 * 36, 96),
            nn.ReLU(),
            nn.Dropout(0.05),
            nn.Linear(96, 8),
        )


class _Still(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(False)


def build_resnet18_regressor(state_dict=None, num_outputs=8, in_channels=1, freeze_backbone=False):
    net = ResNet18()
    net.fc = nn.Identity()
    if state_dict is not None:
        given = {k: v.detach().clone() for k, v in state_dict.items() if k.partition(".")[0] != "fc"}
        if set(given) != set(net.state_dict()):
            raise KeyError(f"names differ: {sorted(set(given) ^ set(net.state_dict()))}")
        net.load_state_dict(given)
    if in_channels == 1:
        net.conv1.weight = nn.Parameter(net.conv1.weight.detach().sum(1, keepdim=True))
        net.conv1.in_channels = 1
    if freeze_backbone:
        net.requires_grad_(False)
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.__class__ = _Still
                m.eval()
    net.fc = nn.Linear(512, num_outputs)
    return net


def train_regressor(model, loader, epochs, lr, device):
    model = model.to(device)
    free = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(free, lr=lr, weight_decay=1e-4)
    curve = []
    for _ in range(epochs):
        model.train()
        squares, known = 0.0, 0
        for images, points in loader:
            goal = encode_keypoints(points).to(device)
            n = int((~goal.isnan()).sum())
            if n == 0:
                continue
            loss = masked_mse(model(images.to(device)), goal)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = sum(float(p.grad.norm()) ** 2 for p in free if p.grad is not None) ** 0.5
            if norm > 1:
                for p in free:
                    if p.grad is not None:
                        p.grad.mul_(0.999 / norm)
            optimizer.step()
            squares, known = squares + float(loss) * n, known + n
        curve.append(squares / max(known, 1))
    model.eval()
    return curve


@torch.inference_mode()
def mean_pixel_error(model, loader):
    before = {m: m.training for m in model.modules()}
    try:
        model.eval()
        where = next(iter(model.parameters())).device
        gaps = []
        for images, points in loader:
            gap = (decode_keypoints(model(images.to(where)).cpu()).double() - points).abs()
            gaps.append(gap[~points.isnan()])
        return torch.cat(gaps).mean().item()
    finally:
        for m, mode in before.items():
            m.training = mode
