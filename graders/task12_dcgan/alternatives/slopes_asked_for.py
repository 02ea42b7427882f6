"""The generator's half through autograd.grad; losses as quotients of sums; faces resized one by one."""

# It is appended to the solution, whose helpers it may use.


def train_step(g, d, opt_g, opt_d, real, noise):
    g.train(), d.train()
    with torch.no_grad():
        painted = g(noise)
    of_real, of_fake = d(real).reshape(-1), d(painted).reshape(-1)
    loss_d = discriminator_loss(of_real, of_fake)
    opt_d.zero_grad(set_to_none=False)
    loss_d.backward()
    opt_d.step()
    weights = list(g.parameters())
    second = d(g(noise)).reshape(-1)
    loss_g = generator_loss(second)
    for weight, slope in zip(weights, torch.autograd.grad(loss_g, weights), strict=True):
        weight.grad = slope
    opt_g.step()
    p = torch.sigmoid
    return dict(
        loss_d=float(loss_d), loss_g=float(loss_g),
        d_real=float(p(of_real).mean()), d_fake_before=float(p(of_fake).mean()), d_fake_after=float(p(second).mean()),
    )  # fmt: skip


def discriminator_loss(d_real, d_fake):
    return -(F.logsigmoid(d_real).sum() / d_real.numel() + F.logsigmoid(-d_fake).sum() / d_fake.numel())


def resize_faces(images96):
    small = []
    for face in torch.as_tensor(images96):
        level = face[None, None].to(torch.float32)  # (1, 1, 96, 96)
        small.append(F.interpolate(level, 64, mode="bilinear", align_corners=False, antialias=True)[0])
    return 2 * (torch.stack(small) / 255) - 1


def sample(g, n, generator=None):
    state = {module: module.training for module in g.modules()}
    weight = next(iter(g.state_dict().values()))
    g.eval()
    with torch.no_grad():
        images = g(torch.randn(n, weight.size(0), 1, 1, generator=generator).to(weight.device))
    for module, training in state.items():
        module.training = training
    return images
