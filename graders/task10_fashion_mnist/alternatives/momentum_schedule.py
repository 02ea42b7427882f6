"""SGD with momentum on a one-cycle schedule; inference mode; counters kept as tensors until the end."""

# It is appended to the solution, whose helpers it may use.


class Meter:
    def __init__(self, device):
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)

    def add(self, loss, scores, labels):
        hits = scores.max(dim=1).indices.eq(labels).sum()
        count = labels.numel()
        self.sums += torch.stack([loss.detach().double() * count, hits.double(), hits.new_tensor(count).double()])

    def report(self):
        loss, hits, count = self.sums.tolist()
        return {"loss": loss / count, "accuracy": hits / count}


def train_one_epoch(model, loader, loss_fn, optimizer, device, schedule=None):
    meter = Meter(device)
    model.train(True)
    for batch in loader:
        images, labels = (part.to(device) for part in batch)
        for parameter in model.parameters():
            parameter.grad = None
        scores = model(images)
        loss = loss_fn(scores, labels)
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        meter.add(loss, scores, labels)
    return meter.report()


def evaluate(model, loader, loss_fn, device):
    meter, mode = Meter(device), model.training
    model.train(False)
    try:
        with torch.inference_mode():
            for images, labels in loader:
                images, labels = images.to(device), labels.to(device)
                scores = model(images)
                meter.add(loss_fn(scores, labels), scores, labels)
    finally:
        model.train(mode)
    return meter.report()


def fit(model, train_loader, test_loader, epochs, lr, device):
    model.to(device)
    peak = 100 * lr
    optimizer = torch.optim.SGD(model.parameters(), lr=peak or 1e-30, momentum=0.9, nesterov=True)
    steps = epochs * len(train_loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak or 1e-30, total_steps=steps + 1)
    history = {"train_loss": [], "train_accuracy": [], "test_accuracy": []}
    for _ in range(epochs):
        fitted = train_one_epoch(model, train_loader, nn.CrossEntropyLoss(), optimizer, device, schedule)
        history["train_loss"].append(fitted["loss"])
        history["train_accuracy"].append(fitted["accuracy"])
        history["test_accuracy"].append(evaluate(model, test_loader, nn.CrossEntropyLoss(), device)["accuracy"])
    model.train(False)
    return history
