"""As tutorials write it: one Sequential called main, labels in tensors, two backward calls, layers told by name."""

# It is appended to the solution, whose helpers it may use.


class Generator(nn.Module):
    def __init__(self, nz=100, ngf=64, nc=3):
        super(Generator, self).__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False), nn.BatchNorm2d(ngf * 8), nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(ngf * 4), nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(ngf * 2), nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False), nn.BatchNorm2d(ngf), nn.ReLU(True),
            nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self, nc=3, ndf=64):
        super(Discriminator, self).__init__()
        self.main = nn.Sequential(
            nn.Conv2d(nc, ndf, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(ndf * 2), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False), nn.BatchNorm2d(ndf * 4), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False), nn.BatchNorm2d(ndf * 8), nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False),
        )  # fmt: skip

    def forward(self, x):
        return self.main(x).view(-1, 1).squeeze(1)


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


criterion = nn.BCEWithLogitsLoss()


def discriminator_loss(d_real, d_fake):
    label = torch.full(d_real.shape, 1.0, device=d_real.device, dtype=d_real.dtype)
    errD_real = criterion(d_real, label)
    label = torch.full(d_fake.shape, 0.0, device=d_fake.device, dtype=d_fake.dtype)
    return errD_real + criterion(d_fake, label)


def train_step(g, d, opt_g, opt_d, real, noise):
    g.train()
    d.train()
    d.zero_grad()
    output = d(real).view(-1)
    errD_real = criterion(output, torch.ones_like(output))
    errD_real.backward()
    D_x = torch.sigmoid(output).mean().item()
    fake = g(noise)
    output = d(fake.detach()).view(-1)
    errD_fake = criterion(output, torch.zeros_like(output))
    errD_fake.backward()
    D_G_z1 = torch.sigmoid(output).mean().item()
    opt_d.step()

    g.zero_grad()
    output = d(fake).view(-1)
    errG = criterion(output, torch.ones_like(output))
    errG.backward()
    opt_g.step()
    return {
        "loss_d": (errD_real + errD_fake).item(),
        "loss_g": errG.item(),
        "d_real": D_x,
        "d_fake_before": D_G_z1,
        "d_fake_after": torch.sigmoid(output).mean().item(),
        "steps": 1,
    }
