"""Targets in 0..1 behind a sigmoid, a smooth L1 loss, lazy items, no normalisation, clipping by hand."""

# It is appended to the solution, whose helpers it may use.


class KeypointDataset(Dataset):
    def __init__(self, images, keypoints, transform=None):
        self.images, self.keypoints, self.transform = images, keypoints, transform

    def __len__(self):
        return self.images.shape[2]

    def __getitem__(self, index):
        image = torch.tensor(self.images[:, :, index].copy()).to(torch.float32)[None].div(255)
        points = torch.tensor(np.array(self.keypoints[index]), dtype=torch.float32)
        if self.transform:
            image, points = self.transform(image, points)
        return image, points


def encode_keypoints(xy, size=96):
    return xy / size


def decode_keypoints(pred, size=96):
    return pred * size


def masked_mse(pred, target):
    known = torch.isfinite(target)
    if not known.any():
        return (pred * 0).sum()
    return nn.functional.mse_loss(pred[known], target[known])


class KeypointCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(1, 16, 5, 2, 2)])
        for inputs, outputs in ((16, 32), (32, 48), (48, 64)):
            self.convs.append(nn.Conv2d(inputs, outputs, 3, padding=1))
        for conv in self.convs:
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        self.hidden = nn.Linear(64 * 9, 96)
        self.out = nn.Linear(96, 8)

    def forward(self, x):
        for conv in self.convs:
            x = nn.functional.max_pool2d(nn.functional.relu(conv(x)), 2)
        return torch.sigmoid(self.out(nn.functional.relu(self.hidden(x.flatten(1)))))


def clip(parameters):
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.sqrt(sum(grad.pow(2).sum() for grad in grads))
    if norm > 1:
        for grad in grads:
            grad.div_(norm)


def train_regressor(model, loader, epochs, lr, device):
    model = model.to(device)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=1e-3)
    history = []
    for _ in range(epochs):
        model.train()
        losses = []
        for images, points in loader:
            images, points = images.to(device), encode_keypoints(points).to(device)
            known = ~points.isnan()
            optimizer.zero_grad()
            output = model(images)
            terms = nn.functional.smooth_l1_loss(output, points.nan_to_num(), beta=0.02, reduction="none")
            loss = (terms * known).sum() / max(int(known.sum()), 1)
            loss.backward()
            clip(list(model.parameters()))
            optimizer.step()
            losses.append(float(loss.detach()))
        history.append(float(np.mean(losses)))
    return model.eval() and history


def mean_pixel_error(model, loader):
    mode, device = model.training, next(model.parameters()).device
    model.train(False)
    errors = []
    with torch.inference_mode():
        for images, points in loader:
            found = decode_keypoints(model(images.to(device))).to(points.device)
            errors.append((found - points).abs().flatten())
    model.train(mode)
    return torch.cat(errors).nanmean().item()
