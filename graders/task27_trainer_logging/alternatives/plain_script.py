"""A beginner's way: counters and lists, everything written out, the two loops of fit inside of fit."""


class AverageMeter:
    def __init__(self):
        self.values = []
        self.reset()

    def reset(self):
        self.val = 0.0
        self.sum = 0.0
        self.count = 0
        self.avg = 0.0

    def update(self, value, n=1):
        if n == 0:
            return
        if isinstance(value, torch.Tensor):
            value = value.item()
        self.val = float(value)
        self.sum = self.sum + value * n
        self.count = self.count + n
        self.avg = self.sum / self.count


def count_iterations(n, batch, epochs=1, drop_last=False):
    if n < 0:
        raise ValueError("n")
    if epochs < 0:
        raise ValueError("epochs")
    if batch <= 0:
        raise ValueError("batch")
    iterations = n // batch
    if not drop_last:
        if n % batch != 0:
            iterations = iterations + 1
    return iterations * epochs


def count_correct(scores, labels):
    _, predicted = torch.max(scores, dim=1)
    return predicted.eq(labels).sum().item()


class ScalarLog:
    def __init__(self):
        self.steps = {}
        self.values = {}
        self.is_open = True

    def add_scalar(self, tag, scalar_value, global_step=None):
        if not self.is_open:
            raise RuntimeError("closed")
        if tag not in self.steps:
            self.steps[tag] = []
            self.values[tag] = []
        if global_step is None:
            global_step = len(self.steps[tag])
        self.steps[tag].append(global_step)
        self.values[tag].append(float(scalar_value))

    def series(self, tag):
        if tag in self.steps:
            return list(self.steps[tag]), list(self.values[tag])
        return [], []

    def close(self):
        self.is_open = False


class CifarNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 5, padding=2)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(32, 32, 5, padding=2)
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(32, 64, 5, padding=2)
        self.pool3 = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(1024, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = self.pool1(self.conv1(x))
        x = self.pool2(self.conv2(x))
        x = self.pool3(self.conv3(x))
        x = x.view(-1, 1024)
        x = torch.tanh(self.fc1(x))
        return self.fc2(x)


def train_one_epoch(model, loader, loss_fn, optimizer, device, step=0, writer=None):
    model.train()
    loss_sum = 0.0
    right = 0
    seen = 0
    for data in loader:
        imgs, targets = data
        imgs = imgs.to(device)
        targets = targets.to(device)
        outputs = model(imgs)
        loss = loss_fn(outputs, targets)
        for parameter in model.parameters():
            parameter.grad = None
        loss.backward()
        optimizer.step()
        number = loss.item()
        if writer:
            writer.add_scalar("train_loss", number, step)
        step = step + 1
        loss_sum += number * imgs.shape[0]
        right += (outputs.argmax(1) == targets).sum().item()
        seen += imgs.shape[0]
    if seen == 0:
        return {"loss": 0.0, "accuracy": 0.0, "step": step}
    return {"loss": loss_sum / seen, "accuracy": right / seen, "step": step}


def evaluate(model, loader, loss_fn, device):
    was = model.training
    model.eval()
    loss_sum = 0.0
    right = 0
    seen = 0
    for imgs, targets in loader:
        with torch.no_grad():
            imgs = imgs.to(device)
            targets = targets.to(device)
            outputs = model(imgs)
            loss_sum += loss_fn(outputs, targets).item() * len(imgs)
            right += (outputs.argmax(1) == targets).sum().item()
            seen += len(imgs)
    if was:
        model.train()
    if seen == 0:
        return {"loss": 0.0, "accuracy": 0.0}
    return {"loss": loss_sum / seen, "accuracy": right / seen}


def fit(model, train_loader, test_loader, loss_fn, optimizer, device, epochs, scheduler=None, writer=None):
    train_losses, train_accuracies, test_losses, test_accuracies, rates = [], [], [], [], []
    total_train_step = 0
    for epoch in range(epochs):
        rates.append(optimizer.state_dict()["param_groups"][0]["lr"])
        model.train()
        loss_sum, right, seen = 0.0, 0, 0
        for imgs, targets in train_loader:
            imgs, targets = imgs.to(device), targets.to(device)
            optimizer.zero_grad()
            outputs = model(imgs)
            loss = loss_fn(outputs, targets)
            loss.backward()
            optimizer.step()
            if writer is not None:
                writer.add_scalar("train_loss", loss.item(), total_train_step)
                writer.add_scalar("lr", rates[-1], global_step=total_train_step)
            total_train_step += 1
            loss_sum += loss.item() * len(targets)
            right += (outputs.argmax(1) == targets).sum().item()
            seen += len(targets)
        train_losses.append(loss_sum / seen)
        train_accuracies.append(right / seen)
        model.eval()
        loss_sum, right, seen = 0.0, 0, 0
        with torch.no_grad():
            for imgs, targets in test_loader:
                imgs, targets = imgs.to(device), targets.to(device)
                outputs = model(imgs)
                loss_sum += loss_fn(outputs, targets).item() * len(targets)
                right += (outputs.argmax(1) == targets).sum().item()
                seen += len(targets)
        test_losses.append(loss_sum / seen)
        test_accuracies.append(right / seen)
        if writer is not None:
            writer.add_scalar("test_loss", test_losses[-1], epoch + 1)
            writer.add_scalar("test_accuracy", test_accuracies[-1], epoch + 1)
        if scheduler is not None:
            if type(scheduler).__name__ == "ReduceLROnPlateau" or hasattr(scheduler, "patience"):
                scheduler.step(test_losses[-1])
            else:
                scheduler.step()
    return {
        "train_loss": train_losses,
        "train_accuracy": train_accuracies,
        "test_loss": test_losses,
        "test_accuracy": test_accuracies,
        "lr": rates,
    }
