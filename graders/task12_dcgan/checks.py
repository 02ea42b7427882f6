"""Checks for task 12: the DCGAN, its two networks, one training step, and faces from noise."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import any_seed, check, expect, fill_by_shape, operator_trace, parameter_count

# (nz, width, nc): parameters of the generator and of the discriminator
COUNTS = {
    (100, 64, 3): (3_576_704, 2_765_568),
    (100, 64, 1): (3_574_656, 2_763_520),
    (100, 32, 1): (1_099_200, 693_632),
    (100, 16, 1): (377_568, 174_784),
}


# Oracles: the networks as plain lists of layers


def generator(nz, width, nc, unit=nn.ReLU, last=nn.Tanh, norm=nn.BatchNorm2d):
    chain = [nn.ConvTranspose2d(nz, 8 * width, 4, 1, 0, bias=False), norm(8 * width), unit()]
    for factor in (8, 4, 2):
        half = factor * width // 2
        chain += [nn.ConvTranspose2d(factor * width, half, 4, 2, 1, bias=False), norm(half), unit()]
    return nn.Sequential(*chain, nn.ConvTranspose2d(width, nc, 4, 2, 1, bias=False), last())


def discriminator(width, nc, slope=0.2, last=nn.Identity, norm=nn.BatchNorm2d):
    chain = [nn.Conv2d(nc, width, 4, 2, 1, bias=False), nn.LeakyReLU(slope)]
    for factor in (1, 2, 4):
        twice = 2 * factor * width
        chain += [nn.Conv2d(factor * width, twice, 4, 2, 1, bias=False), norm(twice), nn.LeakyReLU(slope)]
    return nn.Sequential(*chain, nn.Conv2d(8 * width, 1, 4, 1, 0, bias=False), last(), nn.Flatten(0))


def wide_eps(channels):
    """What becomes of ``BatchNorm2d(channels, 0.8)``, whose second argument is meant for the momentum."""
    return nn.BatchNorm2d(channels, eps=0.8)


def answer(net, x, training=False):
    """The output of an oracle whose weights depend on their shapes alone."""
    fill_by_shape(net)
    with torch.no_grad():
        return net.train(training)(x)


# The networks


def maps(net, x):
    """(channels, height, width) of what each convolution returns, in order."""
    return [row["shape"][1:] for row in operator_trace(net.eval(), x, among=("convolution",))]


@check("both networks have the right number of parameters", points=1, category="parameters")
def test_counts(submission):
    for (nz, width, nc), (of_g, of_d) in COUNTS.items():
        norms = 2 * 15 * width
        expect.equal(
            parameter_count(submission.Generator(nz=nz, ngf=width, nc=nc)),
            of_g,
            likely={
                "the convolutions have biases": of_g + 15 * width + nc,
                "the last convolution has a bias": of_g + nc,
                "the generator has no batch normalisation": of_g - norms,
                "the last layer is normalised too": of_g + 2 * nc,
            },
            given=f"Generator(nz={nz}, ngf={width}, nc={nc})",
        )
        expect.equal(
            parameter_count(submission.Discriminator(nc=nc, ndf=width)),
            of_d,
            likely={
                "the convolutions have biases": of_d + 15 * width + 1,
                "the last convolution has a bias": of_d + 1,
                "the first and the last convolution have biases": of_d + width + 1,
                "the first layer is normalised too": of_d + 2 * width,
                "the discriminator has no batch normalisation": of_d - 28 * width,
            },
            given=f"Discriminator(nc={nc}, ndf={width})",
        )


@check("the generator grows a map from 4x4 to 64x64", points=1, category="shapes")
def test_generator_maps(submission):
    net = submission.Generator(nz=9, ngf=4, nc=3)
    expect.shape(net(torch.randn(5, 9, 1, 1)), (5, 3, 64, 64))
    expect.equal(
        maps(net, torch.randn(2, 9, 1, 1)),
        [[32, 4, 4], [16, 8, 8], [8, 16, 16], [4, 32, 32], [3, 64, 64]],
        because="channels, height and width after each transposed convolution, with ngf=4 and nc=3",
    )


@check("the discriminator shrinks 64x64 to one logit", points=1, category="shapes")
def test_discriminator_maps(submission):
    net = submission.Discriminator(nc=3, ndf=4)
    for count in (5, 1):
        logits = net.eval()(torch.randn(count, 3, 64, 64))
        axes = list(logits.shape)
        expect.true(
            axes in ([count], [count, 1], [count, 1, 1, 1]),
            expected=f"shape ({count},), ({count}, 1) or ({count}, 1, 1, 1)",
            got=f"shape {tuple(axes)}",
            likely={"an image that is alone loses its axis: squeeze() drops every length of 1": axes == []},
            given=f"{count} image{'s' if count > 1 else ''}",
        )
    expect.equal(
        maps(net, torch.randn(2, 3, 64, 64)),
        [[4, 32, 32], [8, 16, 16], [16, 8, 8], [32, 4, 4], [1, 1, 1]],
        because="channels, height and width after each convolution, with ndf=4",
    )


@check("the discriminator refuses images that are smaller", points=0.5, category="robustness",
       after=test_discriminator_maps)  # fmt: skip
def test_discriminator_size(submission):
    net = submission.Discriminator(nc=1, ndf=4)
    for height, width in ((32, 32), (63, 63), (64, 32), (32, 64)):
        images = torch.randn(2, 1, height, width)
        expect.raises("Exception", net, images, given=f"images of {height}x{width}")


@check("the generator computes what its description says", points=1.5, category="values",
       after=[test_counts, test_generator_maps], hidden=True)  # fmt: skip
def test_generator_values(submission):
    net = submission.Generator(nz=10, ngf=3, nc=2)
    fill_by_shape(net)
    net.eval()
    z = 100 * torch.randn(4, 10, 1, 1)  # far out: Tanh bends
    expect.close(
        net(z).detach(),
        answer(generator(10, 3, 2), z),
        rtol=1e-3,
        atol=1e-4,
        likely={
            "Tanh is missing: values leave [-1, 1]": answer(generator(10, 3, 2, last=nn.Identity), z),
            "a sigmoid ends it: values lie in [0, 1]": answer(generator(10, 3, 2, last=nn.Sigmoid), z),
            "LeakyReLU stands in for ReLU": answer(generator(10, 3, 2, unit=lambda: nn.LeakyReLU(0.2)), z),
            "batch normalisation has an eps of 0.8: its second argument is eps": answer(
                generator(10, 3, 2, norm=wide_eps), z
            ),
            "it normalises by the batch in evaluation mode too": answer(generator(10, 3, 2), z, training=True),
        },
        given="weights that are set by their shapes, evaluation mode",
    )
    z = z.transpose(0, 1).contiguous().transpose(0, 1)
    truth = answer(generator(10, 3, 2), z)
    expect.close(net(z).detach(), truth, rtol=1e-3, atol=1e-4, given="noise (4, 10, 1, 1) that is a transposed view")


@check("the discriminator computes what its description says", points=1.5, category="values",
       after=[test_counts, test_discriminator_maps], hidden=True)  # fmt: skip
def test_discriminator_values(submission):
    net = submission.Discriminator(nc=2, ndf=3)
    fill_by_shape(net)
    net.eval()
    x = torch.randn(4, 2, 64, 64)
    truth = answer(discriminator(3, 2), x)
    expect.close(
        net(x).detach().flatten(),
        truth,
        rtol=1e-3,
        atol=1e-3 * float(truth.abs().max()),
        likely={
            "a sigmoid ends it: a logit is asked for": answer(discriminator(3, 2, last=nn.Sigmoid), x),
            "the negative slope is 0.01, not 0.2": answer(discriminator(3, 2, slope=0.01), x),
            "ReLU stands in for LeakyReLU": answer(discriminator(3, 2, slope=0.0), x),
            "batch normalisation has an eps of 0.8: its second argument is eps": answer(
                discriminator(3, 2, norm=wide_eps), x
            ),
            "it normalises by the batch in evaluation mode too": answer(discriminator(3, 2), x, training=True),
        },
        given="weights that are set by their shapes, evaluation mode",
    )
    given = "images that are transposed views"
    views = x.mT.contiguous().mT
    expect.close(net(views).detach().flatten(), truth, rtol=1e-3, atol=1e-3 * float(truth.abs().max()), given=given)


@check("in training mode the networks normalise by the batch", points=1, category="values",
       after=[test_generator_values, test_discriminator_values], hidden=True)  # fmt: skip
def test_training_values(submission):
    for name, net, oracle, x in (
        ("generator", submission.Generator(nz=10, ngf=3, nc=2), generator(10, 3, 2), torch.randn(6, 10, 1, 1)),
        ("discriminator", submission.Discriminator(nc=2, ndf=3), discriminator(3, 2), torch.randn(6, 2, 64, 64)),
    ):
        fill_by_shape(net)
        truth = answer(oracle, x, training=True)
        expect.close(
            net.train()(x).detach().reshape(truth.shape),
            truth,
            rtol=1e-3,
            atol=1e-3 * float(truth.abs().max()),
            likely={"batch normalisation uses its running statistics": answer(oracle, x)},
            given=f"the {name} in training mode, weights that are set by their shapes",
        )


@check("two networks share no parameters", points=0.5, category="parameters", after=test_counts)
def test_own_parameters(submission):
    for build in (submission.Generator, submission.Discriminator):
        first, second = build(nc=1), build(nc=1)
        before = {name: value.clone() for name, value in second.state_dict().items()}
        fill_by_shape(first)
        expect.close(dict(second.state_dict()), before, trivial="nothing was done to the second network")


@check("gradients reach every parameter of both networks", points=1, category="gradients",
       after=[test_generator_maps, test_discriminator_maps])  # fmt: skip
def test_gradients(submission):
    net = submission.Generator(nz=8, ngf=4, nc=1).train()
    expect.gradient_flow(net(torch.randn(3, 8, 1, 1)), module=net)
    judge = submission.Discriminator(nc=1, ndf=4).train()
    images = torch.randn(3, 1, 64, 64, requires_grad=True)
    expect.gradient_flow(judge(images), images, module=judge)


@check("nothing in the networks is tied to one device", points=1, category="devices",
       after=[test_generator_maps, test_discriminator_maps], hidden=True)  # fmt: skip
def test_portable(submission):
    for build, x in (
        (submission.Generator, torch.randn(2, 100, 1, 1)),
        (submission.Discriminator, torch.randn(2, 3, 64, 64)),
    ):
        expect.portable(build, x)


def drawn_weights(submission):
    net = submission.probes.initialised(submission.weights_init, submission.probes.mixed_layers())
    return {name: value.clone() for name, value in net.state_dict().items()}


@check("weights_init draws N(0, 0.02) for kernels and N(1, 0.02) for norms", points=1, category="values")
def test_init(submission):
    state = drawn_weights(submission)
    for name, kind in (("0.weight", "transposed convolution"), ("2.weight", "convolution")):
        mean, deviation = float(state[name].mean()), float(state[name].std())
        expect.between(deviation, 0.0194, 0.0206, unit=f"(deviation of the weights of a {kind})")
        expect.between(mean, -8e-4, 8e-4, unit=f"(mean of the weights of a {kind})")
    expect.between(float(state["1.weight"].mean()), 0.998, 1.002, unit="(mean of the weights of a batch norm)")
    expect.between(float(state["1.weight"].std()), 0.018, 0.022, unit="(deviation of the weights of a batch norm)")
    expect.between(
        float(((state["1.weight"] - 1).abs() > 0.04).double().mean()),
        *(0.028, 0.063),
        unit="(share of the weights of a batch norm beyond two deviations; of a normal distribution 0.0455)",
    )
    kernels = torch.cat([state[name].flatten() for name in ("0.weight", "2.weight")])
    expect.between(
        float((kernels.abs() > 0.04).double().mean()),
        *(0.036, 0.055),
        unit="(share of the weights beyond two deviations; of a normal distribution 0.0455)",
    )
    zero = torch.zeros(4000)
    expect.close(state["1.bias"], zero, trivial="the bias starts at 0", likely={"the bias is left as it was": zero + 7})
    for name, value in (("weight", torch.full((5, 6), 7.0)), ("bias", torch.full((5,), 7.0))):
        given = f"the {name} of a fully connected layer"
        expect.close(state[f"3.{name}"], value, trivial="other layers stay as they are", given=given)


@check("weights_init works in place, and draws anew each time", points=0.5, category="robustness", after=test_init,
       hidden=True)  # fmt: skip
def test_init_again(submission):
    first, second = drawn_weights(submission), drawn_weights(submission)
    for name, kind in (("0.weight", "transposed convolution"), ("2.weight", "convolution"), ("1.weight", "batch norm")):
        expect.true(
            not torch.equal(first[name], second[name]),
            expected="other weights each time",
            got="the same weights twice",
            likely={"a seed is set inside": True},
            given=f"a {kind}, initialised in two networks one after the other",
        )
    given = "a network of four layers, after net.apply(weights_init)"
    left = submission.probes.left_behind(submission.weights_init)
    expect.equal(left["replaced"], [], given=f"{given}: parameters that are other objects than before")
    expect.equal(left["frozen"], [], given=f"{given}: parameters that no longer require gradients")


# Losses


@check("discriminator_loss adds the entropies of real and drawn images", points=1, category="values")
def test_d_loss(submission):
    real, fake = 2 * torch.randn(7), 2 * torch.randn(7)
    up, down = F.softplus(-real).mean(), F.softplus(fake).mean()
    expect.close(
        submission.discriminator_loss(real, fake),
        up + down,
        likely={
            "the mean of both, not their sum": (up + down) / 2,
            "real and drawn images have changed labels": F.softplus(real).mean() + F.softplus(-fake).mean(),
            "the term of the drawn images is missing": up,
            "a sigmoid is applied twice": F.softplus(-real.sigmoid()).mean() + F.softplus(fake.sigmoid()).mean(),
        },
    )
    undecided = submission.discriminator_loss(torch.zeros(4), torch.zeros(4))
    expect.close(undecided, torch.tensor(1.3862944), given="probability 0.5 for every image")


@check("generator_loss is -log D(G(z)), which does not saturate", points=1, category="values")
def test_g_loss(submission):
    fake = 2 * torch.randn(9)
    expect.close(
        submission.generator_loss(fake),
        F.softplus(-fake).mean(),
        likely={
            "the drawn images have label 0: the generator learns to be found out": F.softplus(fake).mean(),
            "log(1 - D(G(z))) is minimised: it saturates where D is sure": -F.softplus(fake).mean(),
            "a sigmoid is applied twice": F.softplus(-fake.sigmoid()).mean(),
        },
    )
    expect.close(submission.generator_loss(torch.zeros(4)), torch.tensor(0.6931472), given="probability 0.5")


@check("the losses take what a discriminator returns, and give a scalar", points=0.5, category="shapes",
       after=[test_d_loss, test_g_loss])  # fmt: skip
def test_loss_shapes(submission):
    real, fake = 2 * torch.randn(6), 2 * torch.randn(3)
    for tail in ((), (1,), (1, 1, 1)):
        shaped = real.reshape(6, *tail), fake.reshape(3, *tail)
        for few in (shaped, (shaped[0][::3], shaped[1][:1]), (shaped[0][:1], shaped[1][::2])):  # views, and single ones
            sizes = [len(logits) for logits in few]
            up, down = F.softplus(-few[0]).mean(), F.softplus(few[1]).mean()
            weighted = 2 * (sizes[0] * up + sizes[1] * down) / sum(sizes)
            given = f"logits of shape {(sizes[0], *tail)} for real and {(sizes[1], *tail)} for drawn images"
            likely = {"the means are weighted by the number of images": weighted}
            expect.close(submission.discriminator_loss(*few), up + down, likely=likely, given=given)
            expect.close(submission.generator_loss(few[1]), F.softplus(-few[1]).mean(), given=given)


@check("the losses have the gradient of their formula, at 0 too", points=1, category="gradients",
       after=[test_d_loss, test_g_loss], hidden=True)  # fmt: skip
def test_loss_gradients(submission):
    flat = "the loss is flat where the discriminator is wrong and sure: the logarithm of a sigmoid is cut off there"
    cases = [("some logits", *2 * torch.randn(2, 5))]
    cases += [(f"four logits of {size:g}", *torch.full((2, 4), size)) for size in (0.0, 200.0, -200.0)]
    for given, *logits in cases:
        real, fake = (value.requires_grad_() for value in logits)
        up, down = real.sigmoid() - 1, fake.sigmoid()  # slopes of the terms with labels 1 and 0, times their number
        losses = (
            ("discriminator_loss", submission.discriminator_loss(real, fake), (real, fake), (up, down)),
            ("generator_loss", submission.generator_loss(fake), (fake,), (down - 1,)),
        )
        for name, loss, inputs, slopes in losses:
            said = f"{given}, the gradient of {name}"
            if given == "some logits":
                expect.gradient_flow(loss, *inputs, given=name)
            found = torch.autograd.grad(loss, inputs, materialize_grads=True)
            for got, slope in zip(found, slopes, strict=True):
                truth = slope.detach() / len(slope)
                likely = {flat: torch.zeros_like(truth)} if float(truth.abs().max()) > 0.1 else None
                expect.close(got, truth, likely=likely, given=said, trivial="it is flat where it is sure")


@check("the losses stay finite when the discriminator is sure", points=1, category="robustness",
       after=[test_d_loss, test_g_loss], hidden=True)  # fmt: skip
def test_loss_finite(submission):
    for size in (100.0, 1000.0):
        wrong, right = torch.full((3,), -size), torch.full((3,), size)
        given = f"logits of {size:g}, all wrong"
        for loss, inputs, terms in ((submission.discriminator_loss, (wrong, right), 2),
                                    (submission.generator_loss, (wrong,), 1)):  # fmt: skip
            likely = {
                f"{small:g} is added under the logarithm, so that the loss stops there": torch.tensor(
                    -terms * math.log(small)
                )
                for small in (1e-8, 1e-12)
            }
            if size > 100:
                sentence = "BCELoss of a sigmoid is cut off at 100: binary_cross_entropy_with_logits takes the logits"
                likely[sentence] = torch.tensor(100.0 * terms)
            expect.close(loss(*inputs), torch.tensor(terms * size), likely=likely, given=given)


@check("the losses stay on the device of the logits", points=0.5, category="devices",
       after=[test_d_loss, test_g_loss])  # fmt: skip
def test_loss_portable(submission):
    expected = "labels on the device of the logits"
    expect.portable(submission.discriminator_loss, torch.randn(4), torch.randn(3), expected=expected,
                    given="discriminator_loss")  # fmt: skip
    expect.portable(submission.generator_loss, torch.randn(4), expected=expected, given="generator_loss")


# One step, on linear networks


class Toy:
    """Weights and data of a linear pair, and what one right or wrong step makes of them.

    ``sure``: 1 for a discriminator that is right and sure of it, -1 for one that is wrong, 0 for any.
    """

    def __init__(self, submission, count=7, sure=0):
        self.g, self.d, self.b = torch.randn(2, 1, 4, 4), torch.randn(1, 1, 4, 4) / 4, torch.randn(1)
        self.real, self.noise = torch.randn(count, 1, 4, 4) + 0.5, torch.randn(count, 2, 1, 1)
        self.rate = 0.3
        if sure:  # logits of 2.5 to 3.5 for the real images and as far below 0 for the drawn ones, or the other way
            self.d, self.b, self.rate = sure * (0.18 + 0.04 * torch.rand(1, 1, 4, 4)), torch.zeros(1), 0.02
            self.real, self.noise = (1 + 0.1 * value.tanh() for value in (self.real, self.noise))
            self.g = -0.45 - 0.05 * self.g.tanh()
        self.build(submission)

    def build(self, submission):
        """The pair beside the submission, as it was at first."""
        self.painter = submission.probes.painter(self.g)
        self.judge = submission.probes.judge(self.d, self.b, submission.Discriminator)

    def run(self, submission, calls=1, momentum=0.0):
        """Steps of the submission: (generator's weight, discriminator's weight, the last report)."""
        opt_g = submission.probes.sgd(self.painter, self.rate, momentum)
        opt_d = submission.probes.sgd(self.judge, self.rate, momentum)
        report = None
        for _ in range(calls):
            report = submission.train_step(self.painter, self.judge, opt_g, opt_d, self.real, self.noise)
        return self.painter.state_dict()["deconv.weight"], self.judge.state_dict()["conv.weight"], report

    def improved_judge(self):
        """Weight and bias of the discriminator as the submission's step left them: it judges the generator's step."""
        state = self.judge.state_dict()
        return state["conv.weight"], state["conv.bias"]

    def expected(self, left=0.0, old_judge=False, leak=False, fake_term=True, g_detached=False, g_first=False,
                 improved=None):  # fmt: skip
        """The same by hand; ``left`` is a gradient that everything had before, ``improved`` the judge of the second
        step where it is not the one of the first."""
        g, d, b = (value.clone().requires_grad_() for value in (self.g, self.d, self.b))
        start = self.painted(self.g)
        if g_first:
            (slope,) = torch.autograd.grad(self.g_loss(self.painted(g), self.d, self.b), g)
            start = self.painted(self.g - self.rate * slope)
        loss_d = F.softplus(-self.judged(self.real, d, b)).mean()
        if fake_term:
            loss_d = loss_d + F.softplus(self.judged(start, d, b)).mean()
        slopes = torch.autograd.grad(loss_d, (d, b))
        new_d, new_b = (v - self.rate * (s + left) for v, s in zip((self.d, self.b), slopes, strict=True))
        judge = (self.d, self.b) if old_judge or g_first else improved or (new_d, new_b)
        (slope,) = torch.autograd.grad(self.g_loss(self.painted(g), *judge), g)
        if leak:
            through = F.softplus(self.judged(self.painted(g), self.d, self.b)).mean()
            slope = slope + torch.autograd.grad(through, g)[0]
        new_g = self.g if g_detached else self.g - self.rate * (slope + left)
        return new_g, new_d

    def painted(self, g):
        return F.conv_transpose2d(self.noise, g)

    def judged(self, x, d, b):
        return F.conv2d(x, d, b).flatten()

    def g_loss(self, fake, d, b):
        return F.softplus(-self.judged(fake, d, b)).mean()


TOY = "a linear generator and discriminator, 7 images, plain SGD"


@check("the first step improves the discriminator on both kinds of images", points=2, category="gradients",
       after=test_d_loss)  # fmt: skip
def test_step_d(submission):
    toy = Toy(submission)
    _, d, _ = toy.run(submission)
    expect.close(
        d,
        toy.expected()[1],
        rtol=1e-4,
        atol=1e-5,
        likely={
            "no step was taken": toy.d,
            "the drawn images are not judged": toy.expected(fake_term=False)[1],
            "the generator took its step first": toy.expected(g_first=True)[1],
            "the loss of the step is halved": (toy.d + toy.expected()[1]) / 2,
        },
        given=TOY,
    )


@check("the second step improves the generator against the new discriminator", points=2, category="gradients",
       after=[test_step_d, test_g_loss])  # fmt: skip
def test_step_g(submission):
    toy = Toy(submission)
    g, _, _ = toy.run(submission)
    improved = toy.improved_judge()
    expect.close(
        g,
        toy.expected(improved=improved)[0],
        rtol=1e-4,
        atol=1e-5,
        likely={
            "the generator did not move: its images were cut from the graph": toy.expected(g_detached=True)[0],
            "gradients of the discriminator's step leak into it": toy.expected(leak=True, improved=improved)[0],
            "the judge is the discriminator before its step": toy.expected(old_judge=True)[0],
        },
        given=TOY,
    )


@check("both steps are taken in full, however sure the discriminator is", points=0.5, category="gradients",
       after=[test_loss_shapes, test_d_loss, test_step_d, test_step_g], hidden=True)  # fmt: skip
def test_step_sure(submission):
    for sure, kind in ((1, "right and sure of it"), (-1, "wrong and sure of it")):
        toy = Toy(submission, sure=sure)
        g, d, _ = toy.run(submission)
        given = f"{TOY}; the discriminator is {kind}"
        likely = "no step was taken"
        truth = toy.expected(improved=toy.improved_judge())
        for name, found, start, moved in (("discriminator", d, toy.d, truth[1]), ("generator", g, toy.g, truth[0])):
            expect.close(found - start, moved - start, rtol=1e-3, atol=1e-5, likely={likely: torch.zeros_like(start)},
                         given=f"{given}: the change of the {name}")  # fmt: skip
    for count in (1, 3):
        toy = Toy(submission, count)
        toy.real, toy.noise = toy.real.mT.contiguous().mT, toy.noise.transpose(0, 1).contiguous().transpose(0, 1)
        g, d, _ = toy.run(submission)
        truth = toy.expected(improved=toy.improved_judge())
        given = f"a linear generator and discriminator, plain SGD; transposed views of images, {count} of each kind"
        for name, found, right in (("discriminator", d, truth[1]), ("generator", g, truth[0])):
            expect.close(found, right, rtol=1e-4, atol=1e-5, given=f"{given}: the {name}")


@check("gradients from before count in neither step", points=1, category="gradients", after=test_step_g, hidden=True)
def test_step_leftovers(submission):
    toy = Toy(submission)
    clean_g, clean_d, _ = toy.run(submission)
    toy.build(submission)
    submission.probes.spoil_gradients(toy.painter, 0.5)
    submission.probes.spoil_gradients(toy.judge, 0.5)
    g, d, _ = toy.run(submission)
    likely = "gradients that were there before are added"
    given = f"{TOY}; every gradient is 0.5 before"
    stale_g, stale_d = toy.expected(left=0.5)
    expect.close(d, clean_d, rtol=1e-4, atol=1e-5, likely={likely: stale_d}, given=given)
    expect.close(g, clean_g, rtol=1e-4, atol=1e-5, likely={likely: stale_g}, given=given)


@check("a further call goes on where the last one ended", points=1, category="gradients",
       after=[test_d_loss, test_step_g, test_step_leftovers], hidden=True)  # fmt: skip
def test_step_again(submission):
    """With momentum, a step taken with the wrong optimiser shows; so does a network that is left frozen."""
    toy = Toy(submission, count=5)
    g, d, b = (nn.Parameter(value.clone()) for value in (toy.g, toy.d, toy.b))
    opt_g, opt_d = (torch.optim.SGD(net, toy.rate, momentum=0.9) for net in ([g], [d, b]))
    for _ in range(3):
        opt_d.zero_grad()
        drawn = toy.painted(g.detach())
        (F.softplus(-toy.judged(toy.real, d, b)).mean() + F.softplus(toy.judged(drawn, d, b)).mean()).backward()
        opt_d.step()
        opt_g.zero_grad()
        toy.g_loss(toy.painted(g), d.detach(), b.detach()).backward()
        opt_g.step()
    found_g, found_d, _ = toy.run(submission, calls=3, momentum=0.9)
    given = "three calls on a linear generator and discriminator, 5 images, SGD with momentum 0.9"
    for name, net in (("discriminator", toy.judge), ("generator", toy.painter)):
        said = f"{given}: parameters of the {name} that require no gradients afterwards"
        expect.equal(submission.probes.frozen(net), [], given=said)
    expect.close(found_d, d.detach(), rtol=1e-3, atol=1e-4, given=f"{given}: the discriminator")
    expect.close(found_g, g.detach(), rtol=1e-3, atol=1e-4, given=f"{given}: the generator")


@check("train_step reports losses and mean probabilities as floats", points=1, category="values", after=test_step_g)
def test_step_report(submission):
    toy = Toy(submission)
    _, _, report = toy.run(submission)
    fake = toy.painted(toy.g)
    real_logits, fake_logits = toy.judged(toy.real, toy.d, toy.b), toy.judged(fake, toy.d, toy.b)
    after = toy.judged(fake, *toy.improved_judge())
    truth = {
        "loss_d": float(submission.discriminator_loss(real_logits, fake_logits)),
        "loss_g": float(submission.generator_loss(after)),
        "d_real": float(real_logits.sigmoid().mean()),
        "d_fake_before": float(fake_logits.sigmoid().mean()),
        "d_fake_after": float(after.sigmoid().mean()),
    }
    means = {"d_real": real_logits, "d_fake_before": fake_logits, "d_fake_after": after}
    logits = truth | {name: float(value.mean()) for name, value in means.items()}
    expect.close(
        expect.record(report, dict.fromkeys(truth, float), given=TOY),
        truth,
        rtol=1e-4,
        atol=1e-5,
        likely={
            "means of logits, not of probabilities": logits,
            "d_fake_after is that of the discriminator's step": truth | {"d_fake_after": truth["d_fake_before"]},
            "the probability of the mean logit": truth
            | {name: float(value.mean().sigmoid()) for name, value in means.items()},
        },
        given=TOY,
    )


@check("both networks train in training mode", points=1, category="values", after=test_step_g)
def test_step_mode(submission):
    toy = Toy(submission, count=3)
    toy.painter.eval()
    toy.judge.eval()
    toy.run(submission)
    for net, passes in (
        (toy.painter, submission.probes.modes(toy.painter)),
        (toy.judge, submission.probes.modes(toy.judge)),
    ):
        name = "generator" if net == toy.painter else "discriminator"
        expect.true(
            bool(passes) and all(passes),
            expected=f"every pass of the {name} in training mode, though it came in evaluation mode",
            got=f"training mode in {sum(passes)} of {len(passes)} passes",
        )


@check("real and drawn images are judged apart, on any device", points=0.5, category="values",
       after=[test_step_g, test_loss_portable])  # fmt: skip
def test_step_apart(submission):
    toy = Toy(submission, count=5)
    toy.run(submission)
    lengths = submission.probes.lengths(toy.judge)
    expect.true(
        max(lengths) <= 5,
        expected="calls of the discriminator with 5 images, real ones or drawn ones",
        got=f"a call with {max(lengths)} images",
        likely={"both kinds go through in one batch, and its normalisation mixes them": max(lengths) == 10},
        given="5 real images and noise for 5",
    )
    nets = submission.probes.painter(toy.g), submission.probes.judge(toy.d, toy.b, submission.Discriminator)
    optimisers = [submission.probes.sgd(net, 0.1, 0.0) for net in nets]
    expect.portable(submission.train_step, *nets, *optimisers, toy.real, toy.noise, given="networks on another device")


@check(
    "train_step leaves images and noise as they are, and prints nothing",
    points=0.5,
    category="robustness",
    after=test_step_g,
    hidden=True,
)
def test_step_arguments(submission):
    def call():
        toy = Toy(submission, count=3)
        opt_g, opt_d = submission.probes.sgd(toy.painter, 0.1, 0.0), submission.probes.sgd(toy.judge, 0.1, 0.0)
        return submission.train_step, toy.painter, toy.judge, opt_g, opt_d, toy.real, toy.noise

    expect.not_mutated(submission, *call(), given=TOY)
    expect.equal(submission.probes.printed(*call()), "", given="what is printed by train_step")


# Images


def resized(images, antialias=True):
    """Grey levels (N, 96, 96) -> (N, 1, 64, 64) in [-1, 1]."""
    level = torch.as_tensor(images).float().unsqueeze(1)
    return F.interpolate(level, (64, 64), mode="bilinear", antialias=antialias) / 127.5 - 1


@check("resize_faces gives 64x64 images in [-1, 1]", points=1, category="values")
def test_resize(submission):
    images = torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8)
    images[0, :40], images[1, :, :40] = 0, 255
    truth, plain = resized(images), resized(images, antialias=False)
    views = images.mT.contiguous().mT
    for kind, given in (
        (images, "a tensor"),
        (images.numpy(), "an array"),
        (views, "a transposed view"),
        (views.numpy(), "an array that is a transposed view"),
    ):
        expect.close(
            submission.resize_faces(kind),
            truth,
            rtol=0,
            atol=0.01,
            likely={
                "the values lie in [0, 1]": (truth + 1) / 2,
                "the values are grey levels 0..255": (truth + 1) * 127.5,
                "antialiasing is left out": plain,
            },
            given=f"{given} of 3 faces",
        )
        expect.not_mutated(submission, submission.resize_faces, kind, given=f"{given} of 3 faces")
    for level in (77, 1):
        expect.close(
            submission.resize_faces(torch.full((1, 96, 96), level, dtype=torch.uint8)),
            torch.full((1, 1, 64, 64), level / 127.5 - 1),
            rtol=0,
            atol=0.01,
            given=f"one face of nothing but level {level}",
            trivial="a grey face stays grey: only its level is asked for",
            likely={"the range is taken from the image itself, not from 0 to 255": torch.ones(1, 1, 64, 64)},
        )


@check("sample draws what the generator makes of standard normal noise", points=1, category="values",
       after=test_generator_maps)  # fmt: skip
def test_sample(submission):
    net = submission.Generator(nz=6, ngf=2, nc=1)
    fill_by_shape(net)
    seed = any_seed()
    images = submission.sample(net, 5, generator=submission.probes.generator_of_chance(seed))
    noise = torch.randn(5, 6, 1, 1, generator=torch.Generator().manual_seed(seed))
    expect.close(images, net.eval()(noise).detach(), rtol=1e-4, atol=1e-5)
    expect.no_grad_leak(images)
    again = submission.sample(net, 5, generator=submission.probes.generator_of_chance(seed + 1))
    expect.true(not torch.allclose(images, again), expected="other images from other noise", got="the same images")


@check("sample draws other noise each time", points=0.5, category="values", after=test_sample, hidden=True)
def test_sample_again(submission):
    net = submission.Generator(nz=6, ngf=2, nc=1)
    fill_by_shape(net)
    net.eval()
    seed = any_seed()
    ours = torch.Generator().manual_seed(seed)
    source = submission.probes.generator_of_chance(seed)
    calls = {3: "the first call", 2: "a second call with the same source of chance", 150: "150 images in one call"}
    for count, given in calls.items():
        truth = net(torch.randn(count, 6, 1, 1, generator=ours)).detach()
        images = submission.sample(net, count, generator=source)
        expect.close(images, truth, rtol=1e-4, atol=1e-5, given=given)
    noise = torch.randn(1, 6, 1, 1, generator=torch.Generator().manual_seed(seed + 1))
    expect.close(
        submission.probes.sampled_globally(submission.sample, net, 1, seed + 1),
        net(noise).detach(),
        rtol=1e-4,
        atol=1e-5,
        given="no source of chance, so the global one, and one image",
    )


@check("sample moves its noise to the generator", points=0.5, category="devices", after=test_sample)
def test_sample_device(submission):
    net = submission.probes.painter(torch.randn(2, 1, 4, 4)).to("meta")
    expect.follows_device(
        submission.sample,
        net,
        3,
        expected="noise on the device of the generator",
        given="a generator that is on another device than the CPU",
    )


@check("sample runs in evaluation mode and leaves the generator as it came", points=0.5, category="values",
       after=test_sample)  # fmt: skip
def test_sample_mode(submission):
    net = submission.probes.painter(torch.randn(2, 1, 4, 4))
    likely = {"the generator draws in training mode": [True]}
    expect.restores_mode(net, submission.sample, net, 3, ran=False, likely=likely)
    given = "parameters of the generator that no longer require gradients after sample"
    expect.equal(submission.probes.frozen(net), [], given=given)


# Results

STEPS, BATCH, NOISE, WIDTH = 200, 16, 16, 16
RATE_G, RATE_D = 1e-3, 5e-4  # at equal rates the generator is slow to find its first faces
DIRECTIONS = 48  # principal directions of the real faces in which images are compared


def pooled(images):
    """Means of 4x4 pixels: (N, 1, 64, 64) -> (N, 256)."""
    return F.avg_pool2d(images, 4).flatten(1).double()


def frechet(drawn, real):
    """Frechet distance of two sets of vectors (N, D), each taken for a normal distribution.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), as in Dowson and Landau (1982) and in the FID of Heusel et al.
    (2017), but on pixels: no trained network is needed.
    """
    directions = torch.linalg.svd(real - real.mean(0), full_matrices=False)[2][:DIRECTIONS].T  # (D, 48)
    a, b = drawn @ directions, real @ directions
    of_a, of_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(of_b)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    mixed = torch.linalg.eigvalsh(root @ of_a @ root).clamp(min=0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + of_a.trace() + of_b.trace() - 2 * mixed)


@check(
    "200 steps bring the drawn faces closer to real ones",
    points=3,
    category="convergence",
    after=[test_generator_maps, test_discriminator_maps, test_step_g, test_resize, test_sample],
    devices="all",
    seconds=110,
    tries=2,
)  # fmt: skip
def test_training(submission, device, dataset, calibration, pictures):
    faces, _ = dataset("faces").portraits(800, seed=any_seed(), size=96)
    images = submission.resize_faces(faces)
    probes = submission.probes
    net = probes.initialised(submission.weights_init, submission.Generator(NOISE, WIDTH, 1)).to(device)
    judge = probes.initialised(submission.weights_init, submission.Discriminator(1, WIDTH)).to(device)

    def draw():
        return submission.sample(net, 300, generator=probes.generator_of_chance(any_seed())).cpu()

    before = draw()
    reports = probes.train(submission.train_step, net, judge, images, STEPS, BATCH, NOISE, RATE_G, RATE_D, device)
    pictures.curves("training", "step", reports)
    values = torch.tensor(list(reports.values()))
    expect.true(bool(values.isfinite().all()), expected="finite losses and probabilities", got="NaN or infinity")
    drawn = draw()
    expect.shape(drawn, (300, 1, 64, 64))
    pictures.grid("drawn_faces", drawn)
    real = pooled(resized(faces))
    share = frechet(pooled(drawn), real) / frechet(pooled(before), real)
    calibration.holds("distance", share, unit="(Frechet distance to real faces; before training: 1)")
