"""The loss of nothing is a constant 0, and the training leaves such a batch out; it descends on the root."""


def masked_mse(pred, target):
    known = torch.isfinite(target)
    if known.sum() == 0:
        return torch.zeros((), dtype=pred.dtype, device=pred.device)
    return nn.functional.mse_loss(pred[known], target[known])


def train_regressor(model, loader, epochs, lr, device):
    model.to(device).train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    means = []
    for _ in range(epochs):
        losses, sizes = [], []
        for images, points in loader:
            loss = masked_mse(model(images.to(device)), encode_keypoints(points.to(device)))
            if loss.requires_grad:
                loss = (loss + 1e-12).sqrt()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            losses.append(loss.item())
            sizes.append(len(images))
        means.append(float(np.average(losses, weights=sizes)))
    model.eval()
    return means
