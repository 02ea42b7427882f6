"""NumPy on every occasion; rows of the loss weigh by what is known; SGD, exponential units, strided convolutions."""

import copy

import torch.nn.functional as F

SWAP = np.array([2, 3, 0, 1, 4, 5, 6, 7])


class KeypointDataset(Dataset):
    def __init__(self, images, keypoints, transform=None):
        self.x = [np.asarray(images[:, :, i]).astype("float32") / np.float32(255) for i in range(images.shape[2])]
        self.y = [np.asarray(row).astype("float32") for row in keypoints]
        self.transform = transform

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        item = torch.tensor(self.x[i][np.newaxis]), torch.tensor(self.y[i])
        return item if self.transform is None else self.transform(*item)


def encode_keypoints(xy, size=96):
    half = 0.5 * (size - 1)
    return (xy - half) / (half + 0.5)


def decode_keypoints(pred, size=96):
    half = 0.5 * (size - 1)
    return pred * (half + 0.5) + half


def masked_mse(pred, target):
    mask = torch.isnan(target)
    n = int((~mask).sum())
    diff = pred.masked_fill(mask, 0) - target.masked_fill(mask, 0)
    return diff.pow(2).div(max(n, 1)).sum()


def hflip_keypoints(image, xy):
    w = image.size(-1)
    cols = torch.arange(w - 1, -1, -1, device=image.device)
    out = torch.empty_like(xy)
    for new, old in enumerate(SWAP.tolist()):
        out[..., new] = (w - 1) - xy[..., old] if new % 2 == 0 else xy[..., old]
    return image.index_select(-1, cols), out


class Conv(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.c = nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False)
        self.n = nn.BatchNorm2d(b)

    def forward(self, x):
        return F.elu(self.n(self.c(x)))


class KeypointCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Conv(1, 12), Conv(12, 24), Conv(24, 36), Conv(36, 48))
        self.hidden = nn.Linear(48 * 36, 96)
        self.out = nn.Linear(96, 8)

    def forward(self, x):
        x = self.body(x)
        x = F.elu(self.hidden(x.reshape(len(x), -1)))
        return self.out(F.dropout(x, 0.1, self.training))


class StillNorm(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(False)


def build_resnet18_regressor(state_dict=None, num_outputs=8, in_channels=1, freeze_backbone=False):
    net = ResNet18()
    if state_dict is not None:
        todo = {k for k in net.state_dict() if k.split(".")[0] != "fc"}
        given = {k for k in state_dict if not k.startswith("fc.")}
        if todo != given:
            raise ValueError(f"missing {sorted(todo - given)}, unexpected {sorted(given - todo)}")
        net.load_state_dict({k: copy.deepcopy(state_dict[k]) for k in given}, strict=False)
    if in_channels == 1:
        stem = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        with torch.no_grad():
            w = net.conv1.weight
            stem.weight.copy_(w[:, 0:1] + w[:, 1:2] + w[:, 2:3])
        net.conv1 = stem
    elif in_channels != 3:
        raise ValueError("in_channels")
    if freeze_backbone:
        net.requires_grad_(False)
        for m in net.modules():
            if type(m) is nn.BatchNorm2d:
                m.__class__ = StillNorm
                m.train()
    net.fc = nn.Linear(net.fc.in_features, num_outputs)
    return net


def train_regressor(model, loader, epochs, lr, device):
    model = model.to(device)
    params = list(filter(lambda p: p.requires_grad, model.parameters()))
    opt = torch.optim.SGD(params, lr=30 * lr, momentum=0.9)
    result = []
    for _ in range(epochs):
        model.train()
        losses, weights = [], []
        for x, y in loader:
            y = encode_keypoints(y.to(device))
            p = model(x.to(device))
            mask = ~y.isnan()
            n = mask.sum().item()
            loss = F.smooth_l1_loss(p[mask], y[mask], reduction="sum") / max(n, 1)
            for q in params:
                q.grad = None
            loss.backward()
            norm = np.sqrt(sum(float(q.grad.double().pow(2).sum()) for q in params if q.grad is not None))
            if norm > 1:
                for q in params:
                    if q.grad is not None:
                        q.grad.div_(norm * (1 + 1e-6))
            opt.step()
            losses.append(loss.item())
            weights.append(n)
        result.append(float(np.average(losses, weights=weights)) if sum(weights) else 0.0)
    model.eval()
    return result


def mean_pixel_error(model, loader):
    modes = {m: m.training for m in model.modules()}
    all_errors = []
    with torch.no_grad():
        model.eval()
        dev = next(iter(model.parameters())).device
        for x, y in loader:
            p = decode_keypoints(model(x.to(dev))).cpu().numpy().astype(np.float64)
            y = y.cpu().numpy().astype(np.float64)
            all_errors.append(np.abs(p - y)[~np.isnan(y)])
    for m, t in modes.items():
        m.training = t
    e = np.concatenate(all_errors) if all_errors else np.zeros(0)
    return float(e.mean()) if e.size else 0.0
