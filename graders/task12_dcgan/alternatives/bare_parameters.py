"""Kernels as bare parameters and functional layers; the kinds of layers in one table; a loss by hand over lists."""

# It is appended to the solution, whose helpers it may use.


class Discriminator(nn.Module):
    def __init__(self, nc=3, ndf=64):
        super().__init__()
        widths = [nc, ndf, 2 * ndf, 4 * ndf, 8 * ndf, 1]
        kernels = [torch.randn(b, a, 4, 4) * (16 * a) ** -0.5 for a, b in zip(widths, widths[1:], strict=False)]
        self.kernels = nn.ParameterList([nn.Parameter(kernel) for kernel in kernels])
        self.norms = nn.ModuleDict({str(i): nn.BatchNorm2d(widths[i + 1]) for i in (1, 2, 3)})

    def forward(self, x):
        if x.shape[-2:] != (64, 64):
            raise ValueError("images of 64x64 only")
        for i, kernel in enumerate(self.kernels):
            last = i == 4
            x = F.conv2d(x, kernel, stride=1 if last else 2, padding=0 if last else 1)
            if str(i) in self.norms:
                x = self.norms[str(i)](x)
            if not last:
                x = torch.maximum(x, 0.2 * x)
        return x.reshape(-1, 1)


INITIAL = {nn.Conv2d: (0.0, 0.02), nn.ConvTranspose2d: (0.0, 0.02), nn.BatchNorm2d: (1.0, 0.02)}


@torch.no_grad()
def weights_init(module):
    if type(module) in INITIAL:
        mean, deviation = INITIAL[type(module)]
        module.weight.copy_(mean + deviation * torch.randn_like(module.weight))
        if isinstance(module, nn.BatchNorm2d):
            module.bias *= 0
    elif isinstance(module, Discriminator):
        for kernel in module.kernels:
            kernel.copy_(0.02 * torch.randn_like(kernel))


def generator_loss(d_fake):
    return sum(F.softplus(-logit) for logit in d_fake.flatten().unbind()) / d_fake.numel()


def sample(g, n, generator=None):
    was = g.training
    for weight in g.parameters():
        nz = len(weight)
        break
    z = torch.empty(n, nz, 1, 1).normal_(generator=generator)
    g.eval()
    images = g(z.to(weight.device)).detach()
    return images if not was or g.train() is g else None
