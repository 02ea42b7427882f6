"""A beginner's file: layers added one by one, loops over parameters, losses as weighted sums of both kinds of term."""

# It is appended to the solution, whose helpers it may use.


class Generator(nn.Module):
    def __init__(self, nz=100, ngf=64, nc=3):
        super().__init__()
        self.net = nn.Sequential()
        channels = nz
        for i in range(4):
            out = ngf * 2 ** (3 - i)
            if i == 0:
                self.net.add_module("up0", nn.ConvTranspose2d(channels, out, kernel_size=4, bias=False))
            else:
                self.net.add_module(f"up{i}", nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=False))
            self.net.add_module(f"norm{i}", nn.BatchNorm2d(out))
            self.net.add_module(f"relu{i}", nn.ReLU())
            channels = out
        self.net.add_module("up4", nn.ConvTranspose2d(channels, nc, 4, stride=2, padding=1, bias=False))

    def forward(self, z):
        return self.net(z).tanh()


def cross_entropy(logits, label):
    return (-label * F.logsigmoid(logits) - (1 - label) * F.logsigmoid(-logits)).mean()


def discriminator_loss(d_real, d_fake):
    return cross_entropy(d_real, 1) + cross_entropy(d_fake, 0)


def generator_loss(d_fake):
    return cross_entropy(d_fake, 1)


def train_step(g, d, opt_g, opt_d, real, noise):
    for m in (g, d):
        m.train()
    for p in list(g.parameters()) + list(d.parameters()):
        p.grad = None
    fake = g(noise)
    a, b = d(real), d(fake.clone().detach())
    loss_d = discriminator_loss(a, b)
    loss_d.backward()
    opt_d.step()
    for p in d.parameters():
        p.grad = None
    c = d(fake)
    loss_g = generator_loss(c)
    loss_g.backward()
    opt_g.step()
    result = {"loss_d": loss_d.item(), "loss_g": loss_g.item()}
    for name, logits in zip(["d_real", "d_fake_before", "d_fake_after"], [a, b, c], strict=True):
        total = 0.0
        for logit in logits.flatten():
            total += 1 / (1 + torch.exp(-logit)).item()
        result[name] = total / len(logits)
    return result
