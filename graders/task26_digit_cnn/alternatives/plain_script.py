"""A beginner's way: layers one by one, counters, lists, a loop over the pairs of classes."""


def to_float(images):
    if images.dtype == torch.uint8:
        return images.to(torch.float32) * (1 / 255)
    else:
        return images


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 32, 5, 1, 2)
        self.bn = nn.BatchNorm2d(32)
        self.fc = nn.Linear(14 * 14 * 32, 10)

    def forward(self, x):
        x = self.conv(x)
        x = self.bn(x)
        x = torch.relu(x)
        x = F.max_pool2d(x, kernel_size=2, stride=2)
        x = x.reshape(x.size(0), -1)
        return self.fc(x)


def train(model, loader, epochs, optimizer):
    criterion = nn.CrossEntropyLoss()
    history = []
    for epoch in range(epochs):
        model.train()
        running = 0.0
        seen = 0
        for images, labels in loader:
            for parameter in model.parameters():
                images = images.to(parameter.device)
                labels = labels.to(parameter.device)
                break
            images = to_float(images)
            outputs = model(images)
            loss = criterion(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.item() * images.size(0)
            seen += images.size(0)
        if seen == 0:
            history.append(0.0)
        else:
            history.append(running / seen)
    return history


def evaluate(model, loader):
    before = model.training
    model.eval()
    criterion = nn.CrossEntropyLoss()
    loss_sum = 0.0
    right = 0
    seen = 0
    for images, labels in loader:
        with torch.no_grad():
            device = list(model.parameters())[0].device
            outputs = model(to_float(images).to(device))
            loss_sum += criterion(outputs, labels.to(device)).item() * labels.size(0)
            _, guess = torch.max(outputs, 1)
            right += guess.cpu().eq(labels.cpu()).sum().item()
            seen += labels.size(0)
    if before:
        model.train()
    if seen == 0:
        return 0.0, 0.0
    return loss_sum / seen, right / seen


def predict(model, x):
    before = model.training
    model.eval()
    if len(x.shape) == 3:
        x = x[None]
    with torch.no_grad():
        outputs = model(to_float(x).to(list(model.parameters())[0].device))
    if before:
        model.train()
    return torch.max(outputs, 1)[1]


def confusion_matrix(pred, target, num_classes=10):
    cm = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=pred.device)
    for t in range(num_classes):
        for p in range(num_classes):
            cm[t, p] = torch.logical_and(target == t, pred == p).sum()
    return cm


def most_confused(cm):
    best = None
    for t in range(cm.size(0)):
        for p in range(cm.size(1)):
            if t != p and cm[t, p] > 0 and (best is None or cm[t, p] > best[2]):
                best = (t, p, cm[t, p].item())
    return best
