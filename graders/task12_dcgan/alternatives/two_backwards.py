"""Two backward calls for the discriminator, the images drawn again for the generator, losses with softplus."""

# It is appended to the solution, whose helpers it may use.


def discriminator_loss(d_real, d_fake):
    return F.softplus(-d_real).mean() + F.softplus(d_fake).mean()


def generator_loss(d_fake):
    return -F.logsigmoid(d_fake).mean()


def train_step(g, d, opt_g, opt_d, real, noise):
    g.train(True)
    d.train(True)
    d.zero_grad()
    logits_real = d(real).view(-1)
    part = nn.functional.binary_cross_entropy_with_logits(logits_real, torch.full_like(logits_real, 1.0))
    part.backward()
    with torch.no_grad():
        drawn = g(noise)
    logits_fake = d(drawn).view(-1)
    other = nn.functional.binary_cross_entropy_with_logits(logits_fake, torch.full_like(logits_fake, 0.0))
    other.backward()
    opt_d.step()

    for parameter in d.parameters():
        parameter.requires_grad_(False)
    g.zero_grad()
    logits_after = d(g(noise)).view(-1)
    loss_g = generator_loss(logits_after)
    loss_g.backward()
    opt_g.step()
    for parameter in d.parameters():
        parameter.requires_grad_(True)
    return {
        "d_real": float(torch.sigmoid(logits_real).mean()),
        "d_fake_before": float(torch.sigmoid(logits_fake).mean()),
        "d_fake_after": float(torch.sigmoid(logits_after.detach()).mean()),
        "loss_g": float(loss_g.detach()),
        "loss_d": float(part.detach() + other.detach()),
    }
