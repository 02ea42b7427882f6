"""A beginner: loops, Adam and a schedule, smooth L1."""


class KeypointDataset(Dataset):
    def __init__(self, images, keypoints, transform=None):
        self.faces = []
        self.points = []
        for i in range(images.shape[2]):
            face = images[:, :, i].astype(np.float32) / 255.0
            self.faces.append(torch.tensor(face).unsqueeze(0))
            self.points.append(torch.tensor(keypoints[i].astype(np.float32)))
        self.transform = transform

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, index):
        image = self.faces[index].clone()
        points = self.points[index].clone()
        if self.transform:
            image, points = self.transform(image, points)
        return image, points


def encode_keypoints(xy, size=96):
    middle = size / 2
    return (xy - middle) / middle


def decode_keypoints(pred, size=96):
    middle = size / 2
    return pred * middle + middle


def masked_mse(pred, target):
    mask = torch.isnan(target)
    count = (~mask).sum()
    clean = torch.where(mask, torch.zeros_like(target), target)
    square = (torch.where(mask, torch.zeros_like(pred), pred) - clean) ** 2
    if count == 0:
        return square.sum()
    return square.sum() / count


def hflip_keypoints(image, xy):
    width = image.shape[-1]
    columns = list(range(width - 1, -1, -1))
    new_image = image[..., columns]
    new = torch.empty_like(xy)
    order = [1, 0, 2, 3]
    for i in range(4):
        new[..., 2 * i] = width - 1 - xy[..., 2 * order[i]]
        new[..., 2 * i + 1] = xy[..., 2 * order[i] + 1]
    return new_image, new


class KeypointCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5, padding=2)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.conv3 = nn.Conv2d(24, 48, 3, padding=1)
        self.conv4 = nn.Conv2d(48, 48, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(48 * 6 * 6, 100)
        self.fc2 = nn.Linear(100, 8)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.pool(self.relu(self.conv3(x)))
        x = self.pool(self.relu(self.conv4(x)))
        x = x.view(x.shape[0], -1)
        x = self.relu(self.fc1(x))
        return self.fc2(x)


class FrozenNet(ResNet18):
    def train(self, mode=True):
        self.training = mode
        for name, child in self.named_children():
            child.train(mode if name == "fc" else False)
        return self


def build_resnet18_regressor(state_dict=None, num_outputs=8, in_channels=1, freeze_backbone=False):
    if freeze_backbone:
        model = FrozenNet()
    else:
        model = ResNet18()
    if state_dict is not None:
        own = model.state_dict()
        for name in own:
            if not name.startswith("fc."):
                if name not in state_dict:
                    raise KeyError("missing " + name)
        for name in state_dict:
            if name.startswith("fc."):
                continue
            if name not in own:
                raise KeyError("unexpected " + name)
            if own[name].shape != state_dict[name].shape:
                raise ValueError("shape of " + name)
            with torch.no_grad():
                own[name].copy_(state_dict[name])
    if in_channels == 1:
        colour = model.conv1.weight.data
        model.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
        model.conv1.weight.data = colour[:, 0:1] + colour[:, 1:2] + colour[:, 2:3]
    model.fc = nn.Linear(512, num_outputs)
    if freeze_backbone:
        for name, p in model.named_parameters():
            if name != "fc.weight" and name != "fc.bias":
                p.requires_grad = False
    model.train()
    return model


def train_regressor(model, loader, epochs, lr, device):
    model.to(device)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, epochs), eta_min=lr / 20)
    history = []
    for epoch in range(epochs):
        model.train()
        running = 0.0
        batches = 0
        for images, points in loader:
            images = images.to(device)
            points = points.to(device)
            target = encode_keypoints(points)
            output = model(images)
            mask = ~torch.isnan(target)
            batches += 1
            if mask.sum() == 0:
                continue
            loss = nn.functional.smooth_l1_loss(output[mask], target[mask], beta=0.2)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
            optimizer.step()
            running += loss.item()
        schedule.step()
        history.append(running / max(1, batches))
    model.eval()
    return history


def mean_pixel_error(model, loader):
    modules = list(model.modules())
    was = [m.training for m in modules]
    model.eval()
    device = next(model.parameters()).device
    total = 0.0
    number = 0
    with torch.no_grad():
        for images, points in loader:
            output = decode_keypoints(model(images.to(device))).to("cpu")
            for i in range(len(points)):
                for j in range(8):
                    if not torch.isnan(points[i, j]):
                        total += abs(output[i, j].item() - points[i, j].item())
                        number += 1
    for m, t in zip(modules, was):
        m.training = t
    return total / number
