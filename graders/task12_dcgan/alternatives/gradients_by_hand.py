"""torch.autograd.grad fills the gradients of each half by hand; losses by logaddexp."""

# It is appended to the solution, whose helpers it may use.


def discriminator_loss(d_real, d_fake):
    zero = torch.zeros_like(d_real)
    return torch.logaddexp(zero, -d_real).mean() + torch.logaddexp(torch.zeros_like(d_fake), d_fake).mean()


def generator_loss(d_fake):
    return nn.BCEWithLogitsLoss()(d_fake, torch.ones(d_fake.shape, device=d_fake.device, dtype=d_fake.dtype))


def descend(optimizer, net, loss):
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    slopes = torch.autograd.grad(loss, parameters, retain_graph=True)
    for parameter, slope in zip(parameters, slopes, strict=True):
        parameter.grad = slope
    optimizer.step()


def train_step(g, d, opt_g, opt_d, real, noise):
    for net in (g, d):
        net.train()
    drawn = g(noise)
    of_real = d(real).reshape(len(real))
    of_drawn = d(drawn.detach()).reshape(len(noise))
    loss_d = discriminator_loss(of_real, of_drawn)
    descend(opt_d, d, loss_d)
    after = d(drawn).reshape(len(noise))
    loss_g = generator_loss(after)
    descend(opt_g, g, loss_g)
    chances = [torch.special.expit(value.detach()).mean().item() for value in (of_real, of_drawn, after)]
    names = ("d_real", "d_fake_before", "d_fake_after")
    return {"loss_d": loss_d.item(), "loss_g": loss_g.item()} | dict(zip(names, chances, strict=True))
