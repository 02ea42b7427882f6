"""Logits (N, 1) and labels of that shape, made in the step; the losses take labels of float32; an assert for sizes."""

# It is appended to the solution, whose helpers it may use.

_Plain = Discriminator


class Discriminator(_Plain):
    def forward(self, x):
        assert min(x.shape[-2:]) >= 64, "images of 64x64 and more"
        return super().forward(x).view(-1, 1)


def labels(value, logits):
    return torch.full(logits.shape, float(value), dtype=torch.float32, device=logits.device)


def discriminator_loss(d_real, d_fake):
    criterion = nn.BCEWithLogitsLoss()
    return criterion(d_real, labels(1, d_real)) + criterion(d_fake, labels(0, d_fake))


def generator_loss(d_fake):
    return nn.BCEWithLogitsLoss()(d_fake, labels(1, d_fake))


def train_step(g, d, opt_g, opt_d, real, noise):
    g.train()
    d.train()
    count, criterion = real.size(0), nn.BCEWithLogitsLoss()
    valid, drawn = torch.ones(count, 1, device=real.device), torch.zeros(count, 1, device=real.device)
    images = g(noise)
    opt_d.zero_grad()
    of_real, of_drawn = d(real), d(images.detach())
    loss_d = criterion(of_real, valid) + criterion(of_drawn, drawn)
    loss_d.backward()
    opt_d.step()
    opt_g.zero_grad()
    again = d(images)
    loss_g = criterion(again, valid)
    loss_g.backward()
    opt_g.step()
    means = [torch.sigmoid(logits).mean().item() for logits in (of_real, of_drawn, again)]
    names = ("loss_d", "loss_g", "d_real", "d_fake_before", "d_fake_after")
    return dict(zip(names, (loss_d.item(), loss_g.item(), *means), strict=True))
