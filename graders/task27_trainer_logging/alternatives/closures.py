"""The optimiser gets a closure that computes the loss; the model is measured on a copy, so its mode never changes."""

import copy


def train_one_epoch(model, loader, loss_fn, optimizer, device, step=0, writer=None):
    model.train()
    loss_meter, accuracy_meter = AverageMeter(), AverageMeter()
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)

        def closure(images=images, labels=labels):
            optimizer.zero_grad()
            scores = model(images)
            loss = loss_fn(scores, labels)
            loss.backward()
            accuracy_meter.update((scores.argmax(1) == labels).double().mean(), len(labels))
            return loss

        loss = float(optimizer.step(closure))
        loss_meter.update(loss, len(labels))
        if writer is not None:
            writer.add_scalar("train_loss", loss, step)
        step += 1
    return {"loss": loss_meter.avg, "accuracy": accuracy_meter.avg, "step": step}


def evaluate(model, loader, loss_fn, device):
    twin = copy.deepcopy(model).eval()
    loss_meter, accuracy_meter = AverageMeter(), AverageMeter()
    before = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    for images, labels in loader:
        labels = labels.to(device)
        scores = twin(images.to(device))
        loss_meter.update(loss_fn(scores, labels), labels.size(0))
        accuracy_meter.update(count_correct(scores, labels) / labels.size(0), labels.size(0))
    torch.set_grad_enabled(before)
    return dict(loss=loss_meter.avg, accuracy=accuracy_meter.avg)
