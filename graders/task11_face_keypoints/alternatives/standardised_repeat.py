"""Standardised targets and an L1 loss; the grey image is repeated before a colour stem's sum; hooks keep BN frozen."""

# It is appended to the solution, whose helpers it may use.


class KeypointDataset(Dataset):
    def __init__(self, images, keypoints, transform=None):
        assert images.shape[-1] == len(keypoints)
        self.table = torch.as_tensor(np.asarray(images)).permute(2, 0, 1)
        self.points = torch.as_tensor(np.asarray(keypoints)).float().clone()
        self.transform = transform or (lambda image, points: (image, points))

    def __len__(self):
        return self.table.shape[0]

    def __getitem__(self, index):
        return self.transform(self.table[index][None].float() / 255.0, self.points[index].clone())


def encode_keypoints(xy, size=96):
    return (xy - 0.5 * size) / (0.3 * size)


def decode_keypoints(pred, size=96):
    return 0.5 * size + pred * (0.3 * size)


def masked_mse(pred, target):
    weight = (~target.isnan()).to(pred.dtype)
    square = (pred - torch.nan_to_num(target)) ** 2
    return (square * weight).sum() / torch.maximum(weight.sum(), torch.ones_like(weight.sum()))


def hflip_keypoints(image, xy):
    mirrored = torch.flip(image, dims=(-1,))
    out = xy.clone()
    out[..., 0::2] = image.shape[-1] - 1 - out[..., 0::2]
    return mirrored, torch.cat([out[..., 2:4], out[..., 0:2], out[..., 4:]], dim=-1)


class KeypointCNN(nn.Module):
    def __init__(self):
        super().__init__()
        widths = (1, 12, 24, 48, 64)
        stages = []
        for number in range(4):
            stages.append(nn.Conv2d(widths[number], widths[number + 1], 3, stride=2, padding=1))
            stages.append(nn.GroupNorm(4, widths[number + 1]))
            stages.append(nn.LeakyReLU(0.1))
        self.body = nn.Sequential(*stages, nn.AvgPool2d(2))
        self.fc1, self.fc2 = nn.Linear(64 * 9, 128), nn.Linear(128, 8)

    def forward(self, x):
        return self.fc2(nn.functional.gelu(self.fc1(torch.flatten(self.body(x - 0.45), 1))))


def build_resnet18_regressor(state_dict=None, num_outputs=8, in_channels=1, freeze_backbone=False):
    net = ResNet18()
    if state_dict is not None:
        own = net.state_dict()
        missing = [name for name in own if name not in state_dict and not name.startswith("fc.")]
        extra = [name for name in state_dict if name not in own]
        if missing or extra:
            raise ValueError(f"missing {missing}, unexpected {extra}")
        net.load_state_dict({**own, **{k: v for k, v in state_dict.items() if k.split(".")[0] != "fc"}})
    if in_channels == 1:
        colour = net.conv1
        net.conv1 = nn.Conv2d(1, colour.out_channels, 7, 2, 3, bias=False)
        net.conv1.weight = nn.Parameter(torch.einsum("ochw->ohw", colour.weight.detach()).unsqueeze(1))
    net.fc = nn.Linear(net.fc.in_features, num_outputs)
    if freeze_backbone:
        for name, parameter in net.named_parameters():
            parameter.requires_grad = name in ("fc.weight", "fc.bias")
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(False)
                module.train = lambda mode=True, module=module: module
    return net


def train_regressor(model, loader, epochs, lr, device):
    model.to(device)
    trained = list(filter(lambda parameter: parameter.requires_grad, model.parameters()))
    optimizer = torch.optim.Adam(trained, lr=2 * lr)
    steps = max(epochs * len(loader), 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - 0.9 * step / steps)
    history = []
    for _ in range(epochs):
        model.train()
        sums = torch.zeros(2)
        for images, points in loader:
            model.zero_grad()
            target = encode_keypoints(points.to(device))
            keep = ~target.isnan()
            output = model(images.to(device))
            loss = (output - target)[keep].abs().sum() / (keep.sum() + 1e-9)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            sums += torch.tensor([loss.item() * len(points), len(points)])
        history.append((sums[0] / sums[1]).item())
    model.eval()
    return history
