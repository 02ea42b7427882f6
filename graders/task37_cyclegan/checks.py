"""Checks for task 37: unpaired pictures, a padding, two networks, losses, a memory, and the generators' step."""

import io
import itertools

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from torchgrade.authoring import (
    FLOATS,
    LAYOUTS,
    RECORDING,
    Rule,
    any_seed,
    check,
    expect,
    fill_by_shape,
    grid,
    kit,
    normal,
    on_meta,
    operator_trace,
    parameter_count,
    parameter_values,
    set_parameters,
)

# The decay


def decayed(epoch, start, total):
    return 1.0 if epoch <= start else 0.0 if epoch >= total else 1 - (epoch - start) / (total - start)


@check("lambda_lr is constant at first, and then falls to 0", points=1, category="values")
def test_decay(submission):
    expect.agrees(
        submission.lambda_lr,
        decayed,
        grid(epoch=[150, 101, 125, 199, 100, 0, 50], start=[100], total=[200]),
        likely={
            "it falls from the first epoch on": lambda epoch, start, total: 1 - epoch / total,
            "it grows beyond 1 before start": lambda epoch, start, total: 1 - (epoch - start) / (total - start),
            "epochs are counted from 1 here, so that it falls one epoch early": lambda epoch, start, total: decayed(
                epoch + 1, start, total
            ),
            "it rises: the share that is gone, not the one that is left": lambda epoch, start, total: (
                1 - decayed(epoch, start, total)
            ),
            "the divisor is one too large, so that it never reaches 0": lambda epoch, start, total: (
                1.0 if epoch <= start else 1 - (epoch - start) / (total - start + 1)
            ),
        },
    )


@check("lambda_lr stays at 0 after the last epoch, for any start", points=0.5, category="values", hidden=True)
def test_decay_end(submission):
    def oracle(epoch, start, total):
        return decayed(epoch, start, total)

    expect.agrees(
        submission.lambda_lr,
        oracle,
        grid(epoch=[3, 0, 1, 2, 7, 8, 9, 1000], start=[0, 3, 7], total=[8, 9]),
        likely={
            "it falls below 0": lambda epoch, start, total: (
                1.0 if epoch <= start else 1 - (epoch - start) / (total - start)
            ),
        },
    )
    for epoch in (0, 3, 9):
        kind = type(submission.lambda_lr(epoch, 2, 8)).__name__
        expect.equal(kind, "float", given=f"the type of lambda_lr({epoch}, 2, 8)")


# The losses


def least_squares(pred, is_real):
    return (pred - (1.0 if is_real else 0.0)).square().mean()


def judgements(draw, size):
    return {"pred": draw(*size)}


JUDGED = grid(judgements, size=[(2, 1, 3, 4), (5,), (1, 1, 1, 1), (2, 3), ()], is_real=[True, False])


@check("gan_loss is the mean squared distance from 1 or 0", points=1, category="values", devices="all")
def test_gan_loss(submission, device):
    expect.agrees(
        submission.gan_loss,
        least_squares,
        JUDGED,
        device=device,
        likely={
            "the loss is halved": lambda pred, is_real: least_squares(pred, is_real) / 2,
            "the targets are swapped: real is 1, drawn is 0": lambda pred, is_real: least_squares(pred, not is_real),
            "is_real is ignored": lambda pred, is_real: least_squares(pred, True),
            "it is a sum, not a mean": lambda pred, is_real: least_squares(pred, is_real) * pred.numel(),
            "the difference is not squared": lambda pred, is_real: (pred - float(is_real)).abs().mean(),
            "this is the cross entropy of task 12": lambda pred, is_real: F.binary_cross_entropy_with_logits(
                pred, torch.full_like(pred, float(is_real))
            ),
            "a sigmoid comes first": lambda pred, is_real: least_squares(pred.sigmoid(), is_real),
        },
    )


@check("gan_loss passes gradients back, for every dtype", points=0.5, category="gradients", hidden=True)
def test_gan_loss_inputs(submission):
    expect.agrees(submission.gan_loss, least_squares, JUDGED, gradients=True)
    expect.agrees(
        submission.gan_loss,
        least_squares,
        JUDGED.vary(dtype=FLOATS, layout=LAYOUTS, grad=RECORDING, values=[kit.normal, kit.spread]),
        unchanged=True,
    )


def line(x, coefficients):
    return coefficients[0] * x + coefficients[1]


def distance(x, y):
    return (x - y).abs().mean()


def cycled(real_a, real_b, ab, ba):
    return distance(line(line(real_a, ab), ba), real_a) + distance(line(line(real_b, ba), ab), real_b)


def kept(real_a, real_b, ab, ba):
    return distance(line(real_b, ab), real_b) + distance(line(real_a, ba), real_a)


def pairs(draw, size_a, size_b):
    """The toy generators: x -> 2 x and x -> x + 1, but for some tenths."""
    ab, ba = draw(2) / 9 + torch.tensor([2.0, 0.0]), draw(2) / 9 + torch.tensor([1.0, 1.0])
    return {"real_a": draw(*size_a), "real_b": draw(*size_b) + 0.5, "ab": ab, "ba": ba}


PAIRS = grid(pairs, size_a=[(2, 3, 4, 4)], size_b=[(2, 3, 4, 4)])
SIZES = grid(
    pairs, size_a=[(2, 3, 4, 5), (1, 1, 1, 1), (3, 2, 2, 7)], size_b=[(4, 3, 2, 3), (2, 3, 4, 5), (1, 2, 9, 9)]
)


def expect_loss(submission, loss, name, oracle, cases, **settings):
    """A loss of two generators, x -> ab[0] x + ab[1] and x -> ba[0] x + ba[1]."""
    expect.agrees(submission.probes.redrawn, oracle, cases, bound=(loss,), name=name, **settings)


@check("cycle_loss compares images with themselves, redrawn twice", points=1, category="values")
def test_cycle(submission):
    def squared(real_a, real_b, ab, ba):
        back_a, back_b = line(line(real_a, ab), ba), line(line(real_b, ba), ab)
        return F.mse_loss(back_a, real_a) + F.mse_loss(back_b, real_b)

    expect_loss(
        submission,
        submission.cycle_loss,
        "cycle_loss",
        cycled,
        PAIRS,
        likely={
            "the two are averaged, not added": lambda real_a, real_b, ab, ba: cycled(real_a, real_b, ab, ba) / 2,
            "only A is redrawn twice; B has a cycle, too": lambda real_a, real_b, ab, ba: distance(
                line(line(real_a, ab), ba), real_a
            ),
            "what comes back is compared with the images of the other side": lambda real_a, real_b, ab, ba: (
                distance(line(line(real_a, ab), ba), real_b) + distance(line(line(real_b, ba), ab), real_a)
            ),
            "the generators are used in the wrong order": lambda real_a, real_b, ab, ba: cycled(real_b, real_a, ab, ba),
            "one generator is used twice": lambda real_a, real_b, ab, ba: cycled(real_a, real_b, ab, ab),
            "it is redrawn once, not twice": lambda real_a, real_b, ab, ba: (
                distance(line(real_a, ab), real_a) + distance(line(real_b, ba), real_b)
            ),
            "the differences are squared": squared,
            "it has the weight 10 already": lambda real_a, real_b, ab, ba: 10 * cycled(real_a, real_b, ab, ba),
        },
    )


@check("cycle_loss passes gradients to images and generators, for any sizes", points=0.5, category="gradients",
       after=test_cycle, hidden=True)  # fmt: skip
def test_cycle_gradients(submission):
    expect_loss(submission, submission.cycle_loss, "cycle_loss", cycled, SIZES, gradients=True)
    cases = PAIRS.vary(dtype=FLOATS, layout=LAYOUTS)
    expect_loss(submission, submission.cycle_loss, "cycle_loss", cycled, cases, unchanged=True)


@check("identity_loss asks g_ab to leave images of B as they are", points=1, category="values")
def test_identity(submission):
    expect_loss(
        submission,
        submission.identity_loss,
        "identity_loss",
        kept,
        PAIRS,
        likely={
            "g_ab gets images of A: it makes images of B, so one of B should stay": lambda real_a, real_b, ab, ba: kept(
                real_b, real_a, ab, ba
            ),
            "the two are averaged, not added": lambda real_a, real_b, ab, ba: kept(real_a, real_b, ab, ba) / 2,
            "only g_ab is asked": lambda real_a, real_b, ab, ba: distance(line(real_b, ab), real_b),
            "the differences are squared": lambda real_a, real_b, ab, ba: (
                F.mse_loss(line(real_b, ab), real_b) + F.mse_loss(line(real_a, ba), real_a)
            ),
            "it has the weight 5 already": lambda real_a, real_b, ab, ba: 5 * kept(real_a, real_b, ab, ba),
            "the images of the other side are the target": lambda real_a, real_b, ab, ba: (
                distance(line(real_a, ab), real_b) + distance(line(real_b, ba), real_a)
            ),
        },
    )


@check("identity_loss passes gradients to images and generators, for any sizes", points=0.5, category="gradients",
       after=test_identity, hidden=True)  # fmt: skip
def test_identity_gradients(submission):
    expect_loss(submission, submission.identity_loss, "identity_loss", kept, SIZES, gradients=True)
    cases = PAIRS.vary(dtype=FLOATS, layout=LAYOUTS)
    expect_loss(submission, submission.identity_loss, "identity_loss", kept, cases, unchanged=True)


# The padding


def four(padding):
    return (padding,) * 4 if isinstance(padding, int) else tuple(padding)


def reflected(x, padding):
    """NumPy's padding as a map of indices, so that any dtype and size is right, and autograd follows."""
    left, right, top, bottom = four(padding)
    height, width = x.shape[-2:]
    if min(left, right, top, bottom) < 0 or max(left, right) >= width or max(top, bottom) >= height:
        raise ValueError
    places = np.pad(np.arange(height * width).reshape(height, width), ((top, bottom), (left, right)), mode="reflect")
    return x.flatten(-2)[..., torch.from_numpy(places).to(x.device)]


def mapped(mode):
    """The padding of another kind, of NumPy's name."""

    def pad(x, padding):
        left, right, top, bottom = four(padding)
        height, width = x.shape[-2:]
        sides = ((top, bottom), (left, right))
        places = np.pad(np.arange(height * width).reshape(height, width), sides, mode=mode)
        return x.flatten(-2)[..., torch.from_numpy(places)]

    return pad


def reordered(*order):
    """The sides of the padding are read in another order."""

    def pad(x, padding):
        sides = four(padding)
        return reflected(x, tuple(sides[place] for place in order))

    return pad


def picture(draw, size):
    return {"x": draw(*size)}


EXAMPLE = torch.arange(9.0).reshape(1, 1, 3, 3)
EXAMPLE_PADDED = [[7, 6, 7, 8, 7], [4, 3, 4, 5, 4], [1, 0, 1, 2, 1], [4, 3, 4, 5, 4], [7, 6, 7, 8, 7]]


@check("reflection_pad2d pads the example of its description", points=0.5, category="values")
def test_pad_example(submission):
    expect.close(
        submission.reflection_pad2d(EXAMPLE, (1, 1, 2, 0)),
        torch.tensor(EXAMPLE_PADDED).float()[None, None],
        rtol=0,
        atol=0,
        given="rows 0 1 2, 3 4 5, 6 7 8 with padding (1, 1, 2, 0)",
        likely={
            "the pixels at the edge are repeated: that is replication": mapped("edge")(EXAMPLE, (1, 1, 2, 0)),
            "the outermost pixels are doubled: they are the mirrors": mapped("symmetric")(EXAMPLE, (1, 1, 2, 0)),
            "it is padded with what stands at the other end": mapped("wrap")(EXAMPLE, (1, 1, 2, 0)),
            "the padding is zero": F.pad(EXAMPLE, (1, 1, 2, 0)),
        },
    )


@check("reflection_pad2d mirrors each side at its outermost pixels", points=1.5, category="values", devices="all")
def test_pad_values(submission, device):
    expect.agrees(
        submission.reflection_pad2d,
        reflected,
        grid(
            picture,
            size=[(2, 3, 5, 6), (1, 1, 4, 4), (1, 2, 3, 7)],
            padding=[(1, 2, 1, 2), 1, (0, 0, 0, 0), (2, 0, 1, 0), (0, 2, 0, 1), (2, 1, 0, 2), 2, 0],
        ),
        device=device,
        likely={
            "the sides are read as top, bottom, left, right: left and right come first": reordered(2, 3, 0, 1),
            "left and right are swapped, and top and bottom": reordered(1, 0, 3, 2),
            "the sides are read as left, top, right, bottom": reordered(0, 2, 1, 3),
            "the pixels at the edge are repeated: that is replication": mapped("edge"),
            "the outermost pixels are doubled: they are the mirrors": mapped("symmetric"),
            "it is padded with what stands at the other end": mapped("wrap"),
        },
    )
    lists = grid(picture, size=[(1, 2, 4, 5)], padding=[[1, 2, 3, 0]])
    expect.agrees(submission.reflection_pad2d, reflected, lists, device=device, unchanged=True)


@check("reflection_pad2d takes one image, no image, and any dtype and layout", points=0.5, category="robustness",
       after=test_pad_values, hidden=True)  # fmt: skip
def test_pad_inputs(submission):
    cases = grid(picture, size=[(2, 3, 5, 6), (3, 4, 5)], padding=[(1, 2, 3, 1), 2])
    dtypes = [*FLOATS, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.int8, torch.complex128]
    expect.agrees(submission.reflection_pad2d, reflected, cases.vary(dtype=dtypes, layout=LAYOUTS, grad=RECORDING),
                  unchanged=True)  # fmt: skip
    expect.agrees(submission.reflection_pad2d, reflected, cases.vary(values=[kit.infinite, kit.not_a_number, kit.huge]))
    whole = cases.vary(dtype=[torch.int64, torch.int32], values=[kit.whole_range])
    expect.agrees(submission.reflection_pad2d, reflected, whole)
    sizes = [(2, 4, 6), (1, 1, 1, 4), (1, 1, 4, 1), (0, 2, 3, 3), (2, 0, 3, 3), (1, 1, 1), (1, 2, 2, 2)]
    thin = grid(picture, size=sizes, padding=[0, (0, 0, 0, 0)])
    expect.agrees(
        submission.reflection_pad2d, reflected, thin, trivial="where there is one row nothing can be mirrored"
    )
    expect.portable(submission.reflection_pad2d, torch.randn(1, 2, 4, 5), (1, 2, 3, 0))
    most = grid(
        picture,
        size=[(1, 4, 6), (0, 2, 4, 6), (2, 1, 4, 6), (0, 4, 6), (2, 0, 4, 6)],
        padding=[(5, 5, 3, 3), (5, 0, 0, 3)],
    )
    expect.agrees(submission.reflection_pad2d, reflected, most)


@check("gradients reach every pixel as often as it was used", points=0.5, category="gradients", after=test_pad_values,
       hidden=True)  # fmt: skip
def test_pad_gradients(submission):
    cases = grid(picture, size=[(2, 3, 5, 6), (2, 4, 4)], padding=[(1, 2, 3, 1), 3, (0, 0, 0, 0)])
    expect.agrees(submission.reflection_pad2d, reflected, cases, gradients=True)


@check("reflection_pad2d refuses what cannot be mirrored once", points=0.5, category="robustness",
       after=test_pad_values, hidden=True)  # fmt: skip
def test_pad_refuses(submission):
    def strict(x, padding):
        return reflected(x, padding)

    paddings = [(1, 1, 1, 1), 4, (5, 0, 0, 0), (0, 5, 0, 0), (0, 0, 4, 0), (0, 0, 0, 4), (-1, 0, 0, 0), (0, -1, 0, 0),
                (0, 0, -1, 0), (0, 0, 0, -1), -1, (9, 9, 9, 9), (4, 4, 3, 3), [5, 0, 0, 0], [0, 0, 4, 0], [0, 0, 0, -1],
                [2, 1, 3, 2]]  # fmt: skip
    sizes = [(1, 2, 4, 5), (2, 4, 5), (0, 2, 4, 5), (2, 0, 4, 5), (0, 4, 5), (1, 1, 1, 5), (1, 1, 4, 1), (2, 1, 1)]
    cases = grid(picture, size=sizes, padding=paddings)
    expect.agrees(submission.reflection_pad2d, strict, cases, refuses=["ValueError"])


OWN_PADDING = Rule(
    of="reflection_pad2d",
    functions=("pad", "reflection_pad2d", "reflection_pad1d", "replication_pad2d", "_pad_circular"),
    names=("np.pad",),  # names are looked for in the whole file, where the networks may pad as they like
    instead="indices or slices",
)


@check("reflection_pad2d does without PyTorch's and NumPy's padding", points=1, category="rules", gates=OWN_PADDING)
def test_pad_rule(submission):
    for padding in ((1, 2, 3, 0), 1, (0, 0, 0, 0)):
        given = f"images of 4x5, padding {padding}"
        expect.avoids(submission.reflection_pad2d, torch.randn(1, 2, 4, 5), padding, rule=OWN_PADDING, given=given)


# The networks


def answer(net, x):
    """The output of an oracle whose weights depend on their shapes alone."""
    fill_by_shape(net.double())
    with torch.no_grad():
        return net(x)


class Sum(nn.Module):
    """x + inner(x), and what follows."""

    def __init__(self, *inner, last=None):
        super().__init__()
        self.inner, self.last = nn.Sequential(*inner), last or nn.Identity()

    def forward(self, x):
        return self.last(x + self.inner(x))


def half(channels, pad=nn.ReflectionPad2d, norm=nn.InstanceNorm2d):
    return [pad(1), nn.Conv2d(channels, channels, 3), norm(channels)]


def block(channels, last=None, middle=nn.ReLU, **parts):
    return Sum(*half(channels, **parts), middle(), *half(channels, **parts), last=last)


def normed(layer, norm=nn.InstanceNorm2d, act=nn.ReLU):
    return [layer, norm(layer.out_channels), act()]


def generator(inputs, outputs, width, blocks, last=nn.Tanh, pad=nn.ReflectionPad2d, parts=None, **kinds):
    chain = [pad(3), *normed(nn.Conv2d(inputs, width, 7), **kinds)]
    chain += normed(nn.Conv2d(width, 2 * width, 3, 2, 1), **kinds)
    chain += normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), **kinds)
    chain += [block(4 * width, **(parts or {})) for _ in range(blocks)]
    chain += normed(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, 1), **kinds)
    chain += normed(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), **kinds)
    return nn.Sequential(*chain, pad(3), nn.Conv2d(width, outputs, 7), last())


def patches(inputs, width, slope=0.2, last=nn.Identity, norm=nn.InstanceNorm2d):
    chain = [nn.Conv2d(inputs, width, 4, 2, 1), nn.LeakyReLU(slope)]
    for factor, stride in ((1, 2), (2, 2), (4, 1)):
        layer = nn.Conv2d(factor * width, 2 * factor * width, 4, stride, 1)
        chain += [layer, norm(layer.out_channels), nn.LeakyReLU(slope)]
    return nn.Sequential(*chain, nn.Conv2d(8 * width, 1, 4, 1, 1), last())


def filled_net(make, *args, training=False):
    """A network of the submission in float64, filled by shape."""
    net = make(*args).double()
    fill_by_shape(net)
    net.train(training)
    return net


def expect_own(make, *args, given):
    """Two networks of one kind have parameters of their own."""
    one, other = make(*args), make(*args)
    before = parameter_values(other)
    set_parameters(one, {name: value + 1 for name, value in parameter_values(one).items()})
    expect.close(
        parameter_values(other), before, given=f"the parameters of a second {given} after the first was changed"
    )


@check("ResidualBlock holds two convolutions with biases, and no more", points=0.5, category="parameters")
def test_block_parameters(submission):
    for channels in (8, 3):
        total = 2 * (channels * channels * 9 + channels)
        expect.parameters(
            on_meta(submission.ResidualBlock, channels),
            shapes=[(channels, channels, 3, 3), (channels,)] * 2,
            given=f"ResidualBlock({channels})",
            likely={
                "the convolutions have no biases": total - 2 * channels,
                "the normalisation has weights and biases of its own": total + 4 * channels,
                "one convolution is used twice": total // 2,
            },
        )


def expect_teachable(net, x, submission, given):
    """Gradients reach the images, which keep their values, and every kernel."""
    expect.not_mutated(submission, net, x, given=given)
    images = x.clone().requires_grad_()
    expect.gradient_flow(net(images), images, given=given)
    submission.probes.spoil(net, 0.0)
    net.train()
    net(images).square().sum().backward()
    expect.equal(submission.probes.kernels_without_slopes(net), [], given=f"{given}: kernels that no gradient reaches")


@check("ResidualBlock adds what its convolutions make to x", points=1, category="values")
def test_block_values(submission):
    x = normal(2, 6, 7, 5).transpose(2, 3)
    for training in (False, True):
        expect.close(
            filled_net(submission.ResidualBlock, 6, training=training)(x).detach(),
            answer(block(6), x),
            scale=1e-3,
            given=f"ResidualBlock(6), weights set by their shapes, {'training' if training else 'evaluation'} mode",
            likely={
                "a ReLU follows the sum": answer(block(6, last=nn.ReLU()), x),
                "x is not added": answer(block(6), x) - x,
                "the convolutions pad with zeros": answer(block(6, pad=nn.ZeroPad2d), x),
                "the border is repeated, not mirrored": answer(block(6, pad=nn.ReplicationPad2d), x),
                "there is no ReLU between the convolutions": answer(block(6, middle=nn.Identity), x),
                "there is no normalisation": answer(block(6, norm=nn.Identity), x),
            },
        )
    least = normal(1, 1, 2, 3)
    given = "ResidualBlock(1), one image of 2x3"
    expect.close(
        filled_net(submission.ResidualBlock, 1)(least).detach(), answer(block(1), least), scale=1e-3, given=given
    )
    expect_own(submission.ResidualBlock, 6, given="ResidualBlock(6)")
    expect_teachable(filled_net(submission.ResidualBlock, 6), x, submission, "ResidualBlock(6)")


@check("Generator has the right number of parameters", points=0.5, category="parameters")
def test_generator_counts(submission):
    submission.ResidualBlock(1)  # what is not begun there is not begun here
    for settings in ((), (1, 2, 8, 3), (3, 1, 4, 0), (2, 3, 4, 6)):
        inputs, outputs, width, blocks = settings or (3, 3, 64, 9)
        truth = parameter_count(generator(inputs, outputs, width, blocks))
        step = parameter_count(block(4 * width))
        expect.equal(
            parameter_count(on_meta(submission.Generator, *settings)),
            truth,
            likely={
                "there is one residual block too few": truth - step,
                "the convolutions outside of the blocks have no biases": truth - (10 * width + outputs),
                "the normalisation outside of the blocks has weights and biases of its own": truth + 20 * width,
            }
            | ({"num_blocks is ignored": truth + (9 - blocks) * step} if blocks < 6 else {}),
            given=f"Generator({', '.join(map(str, settings))})",
        )


def maps(net, x):
    """(channels, height, width) of what each convolution returns, in order."""
    return [row["shape"][1:] for row in operator_trace(net, x, among=("convolution",))]


@check("Generator halves twice, doubles twice, and keeps the size", points=0.5, category="shapes")
def test_generator_maps(submission):
    named = {"num_blocks": 1, "features": 4, "out_channels": 2, "in_channels": 3}
    settings = ", ".join(f"{name}={value}" for name, value in named.items())
    expect.equal(
        parameter_count(on_meta(submission.Generator, **named)),
        parameter_count(on_meta(submission.Generator, 3, 2, 4, 1)),
        given=f"the number of parameters of Generator({settings}), against Generator(3, 2, 4, 1)",
    )
    net = submission.Generator(3, 2, 4, 1)
    expect.shape(net(torch.randn(2, 3, 64, 64)), (2, 2, 64, 64))
    expect.shape(net(torch.randn(1, 3, 8, 20)), (1, 2, 8, 20), given="an image of 8x20")
    expect.equal(
        maps(net, torch.randn(1, 3, 24, 16)),
        [[4, 24, 16], [8, 12, 8], [16, 6, 4], [16, 6, 4], [16, 6, 4], [8, 12, 8], [4, 24, 16], [2, 24, 16]],
        because="channels, height and width after each convolution of Generator(3, 2, 4, 1), with an image of 24x16",
    )


@check("Generator computes what its description says", points=1.5, category="values",
       after=[test_block_values, test_generator_counts, test_generator_maps], hidden=True)  # fmt: skip
def test_generator_values(submission):
    x = normal(2, 2, 16, 12).transpose(2, 3)
    shape = (2, 3, 3, 2)
    for training in (False, True):
        expect.close(
            filled_net(submission.Generator, *shape, training=training)(x).detach(),
            answer(generator(*shape), x),
            rtol=1e-6,
            atol=1e-6,
            likely={
                "Tanh is missing: values leave [-1, 1]": answer(generator(*shape, last=nn.Identity), x),
                "a sigmoid ends it: values lie in [0, 1]": answer(generator(*shape, last=nn.Sigmoid), x),
                "the image is padded with zeros by 3": answer(generator(*shape, pad=nn.ZeroPad2d), x),
                "LeakyReLU stands in for ReLU": answer(generator(*shape, act=lambda: nn.LeakyReLU(0.2)), x),
                "there is no normalisation outside of the blocks": answer(generator(*shape, norm=nn.Identity), x),
            },
            given=f"Generator{shape}, weights set by their shapes, {'training' if training else 'evaluation'} mode",
        )
    for other, picture in (((3, 3, 2, 1), normal(2, 3, 12, 16)), ((3, 1, 2, 0), normal(1, 3, 8, 8))):
        found = filled_net(submission.Generator, *other, training=True)(picture).detach()
        expect.close(found, answer(generator(*other), picture), rtol=1e-6, atol=1e-6, given=f"Generator{other}")
    expect_own(submission.Generator, *shape, given=f"Generator{shape}")
    expect_teachable(filled_net(submission.Generator, *shape), x, submission, f"Generator{shape}")


@check("PatchDiscriminator has one number for each patch, and its parameters", points=0.5, category="parameters")
def test_patch_maps(submission):
    for settings in ((), (1, 8), (4, 2)):
        inputs, width = settings or (3, 64)
        truth = parameter_count(patches(inputs, width))
        expect.equal(
            parameter_count(on_meta(submission.PatchDiscriminator, *settings)),
            truth,
            likely={
                "the convolutions have no biases": truth - 15 * width - 1,
                "the normalisation has weights and biases of its own": truth + 28 * width,
            },
            given=f"PatchDiscriminator({', '.join(map(str, settings))})",
        )
    net = submission.PatchDiscriminator(features=3, in_channels=2)
    expect.shape(
        net(torch.randn(2, 2, 64, 64)),
        (2, 1, 6, 6),
        likely={
            "four convolutions halve": (2, 1, 3, 3),
            "the patches are averaged": (2, 1),
        },
        given="two images of 64x64",
    )
    expect.equal(
        maps(net, torch.randn(1, 2, 32, 48)),
        [[3, 16, 24], [6, 8, 12], [12, 4, 6], [24, 3, 5], [1, 2, 4]],
        because="channels, height and width after each convolution of PatchDiscriminator(2, 3), with an image of 32x48",
    )


@check("PatchDiscriminator computes what its description says", points=1.5, category="values", after=test_patch_maps)
def test_patch_values(submission):
    x = normal(2, 2, 40, 32).transpose(2, 3)
    for training in (False, True):
        expect.close(
            filled_net(submission.PatchDiscriminator, 2, 3, training=training)(x).detach(),
            answer(patches(2, 3), x),
            scale=1e-4,
            likely={
                "a sigmoid ends it": answer(patches(2, 3, last=nn.Sigmoid), x),
                "the negative slope is 0.01, not 0.2": answer(patches(2, 3, slope=0.01), x),
                "there is no normalisation": answer(patches(2, 3, norm=nn.Identity), x),
            },
            given=f"PatchDiscriminator(2, 3) filled by shape, {'training' if training else 'evaluation'} mode",
        )
    for least in (normal(1, 2, 24, 24), normal(1, 2, 37, 30)):
        found = filled_net(submission.PatchDiscriminator, 2, 3)(least).detach()
        given = f"PatchDiscriminator(2, 3), one image of {least.shape[2]}x{least.shape[3]}"
        expect.close(found, answer(patches(2, 3), least), scale=1e-4, given=given)
    expect_own(submission.PatchDiscriminator, 2, 3, given="PatchDiscriminator(2, 3)")
    expect_teachable(filled_net(submission.PatchDiscriminator, 2, 3), x, submission, "PatchDiscriminator(2, 3)")


# The weights


@check("init_weights draws the kernels of convolutions, normally distributed", points=1, category="values")
def test_init(submission):
    net = submission.probes.mixed_layers()
    submission.init_weights(net)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    for name, given in (
        ("1.weight", "the weights of a convolution"),
        ("0.0.0.weight", "the weights of a transposed convolution deep inside of a network"),
        ("6.parts.0.up.weight", "the weights of a transposed convolution in a dict in a list of a module of one's own"),
    ):
        kernels = state[name]
        deviation = float(kernels.std())
        expect.between(
            deviation,
            0.0194,
            0.0206,
            unit="(standard deviation)",
            given=given,
            likely={"they are left as they were": deviation if deviation == 0 else 1.0},
        )
        expect.between(float(kernels.mean()), -7e-4, 7e-4, unit="(mean)", given=given)
        share = float((kernels.abs() > 0.04).double().mean())
        expect.between(share, 0.036, 0.055, unit="(share beyond two deviations)", given=given)
    for name, kind in (("1.bias", "convolution"), ("6.parts.0.up.bias", "transposed convolution")):
        zero = torch.zeros_like(state[name])
        expect.close(state[name], zero, rtol=0, atol=0, trivial="the bias becomes 0", given=f"a bias of a {kind}",
                     likely={"the bias is left as it was": zero + 7})  # fmt: skip


@check("init_weights leaves other layers alone, and draws anew each time", points=0.5, category="robustness",
       after=test_init, hidden=True)  # fmt: skip
def test_init_others(submission):
    net = submission.probes.mixed_layers()
    submission.init_weights(net)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    others = {
        "0.1.weight": "a batch norm",
        "0.1.bias": "a batch norm",
        "3.weight": "an instance norm",
        "3.bias": "an instance norm",
        "4.weight": "a fully connected layer",
        "4.bias": "a fully connected layer",
        "5.weight": "an nn.Conv1d",
        "5.bias": "an nn.Conv1d",
        "7.weight": "an nn.Conv3d",
        "7.bias": "an nn.Conv3d",
        "6.places": "a parameter with four axes that belongs to no convolution",
    }
    for name, kind in others.items():
        expect.close(state[name], torch.full_like(state[name], 7.0), rtol=0, atol=0, trivial="they stay",
                     given=f"{name.rpartition('.')[2]} of {kind}")  # fmt: skip
    double = submission.probes.mixed_layers().double()
    submission.init_weights(double)
    found = sorted({str(value.dtype).removeprefix("torch.") for value in double.parameters()})
    expect.equal(found, ["float64"], given="the dtypes of the parameters of a network of float64")
    given = "whether two convolutions of one size got the same weights"
    expect.equal(bool((state["1.weight"] == state["2.weight"]).all()), False, given=given)
    for layer, given in (
        (submission.probes.one_convolution(transposed=True), "a transposed convolution that is the net, frozen"),
        (submission.probes.one_convolution(), "a convolution that is the net"),
    ):
        submission.init_weights(layer)
        first = layer.state_dict()["weight"].clone()
        expect.between(float(first.std()), 0.019, 0.021, unit="(standard deviation)", given=given)
    changed = submission.probes.replaced(submission.init_weights, submission.probes.mixed_layers())
    given = "parameters that are another object after init_weights, or need no gradients any more"
    expect.equal(changed, [], given=given)
    submission.init_weights(layer)
    given = "whether a second call draws the same weights"
    expect.equal(bool((layer.state_dict()["weight"] == first).all()), False, given=given)


# The memory


def batches(count, size):
    return [size] * (count // size)


def played(answers, sizes, capacity):
    """[the age rank of each answer that came out of the memory, oldest 0; whether each answer after filling was an old
    one], or None where the rules do not allow the answers."""
    number, memory, ranks, swapped = 1, [], [], []
    for batch in answers:
        for answered in batch:
            if len(memory) < capacity:
                memory.append(number)
                if answered != number:
                    return None
            elif answered == number:
                swapped.append(False)
            elif answered in memory:
                ranks.append(memory.index(answered))
                memory.remove(int(answered))
                memory.append(number)
                swapped.append(True)
            else:
                return None
            number += 1
    return ranks, swapped


@check("ReplayBuffer gives the images themselves while it fills", points=0.5, category="robustness")
def test_memory_fills(submission):
    for capacity, sizes in ((5, [2, 3]), (3, [1, 1, 1]), (50, [4, 4])):
        buffer = submission.ReplayBuffer(capacity)
        numbers = iter(range(1, 100))
        wanted = [[float(next(numbers)) for _ in range(size)] for size in sizes]
        expect.equal(
            submission.probes.answered(buffer.push_and_pop, sizes),
            wanted,
            given=f"ReplayBuffer({capacity}), images numbered from 1 on in batches of {sizes}: what comes back",
        )
    images = torch.randn(3, 2, 5, 4, dtype=torch.float64).transpose(2, 3)
    expect.close(submission.ReplayBuffer(7).push_and_pop(images), images, rtol=0, atol=0, given="three images of 4x5",
                 trivial="the images themselves")  # fmt: skip


@check("a full ReplayBuffer answers half with new, half with kept images", points=1, category="values",
       after=test_memory_fills)  # fmt: skip
def test_memory_full(submission):
    for capacity, size, count in ((4, 1, 400), (6, 8, 400), (1, 3, 300)):
        sizes = batches(count, size)
        answers = submission.probes.answered(submission.ReplayBuffer(capacity).push_and_pop, sizes)
        given = f"ReplayBuffer({capacity}), {count} images in batches of {size}"
        shapes = [len(batch) for batch in answers]
        expect.equal(shapes, sizes, because="as many images come back", given=given)
        flat = [number for batch in answers for number in batch]
        story = played(answers, sizes, capacity)
        expect.true(
            story is not None,
            expected="each answer is the new image, or one that is kept and leaves the memory for it",
            got="an answer that is neither",
            given=given,
            likely={
                "an image that was given out is still kept": len(set(flat)) < len(flat) - capacity,
            },
        )
        _, swapped = story
        share = sum(swapped) / len(swapped)
        expect.between(
            share,
            *(0.36, 0.64),
            unit="(share of answers out of the memory)",
            given=given,
            likely={
                "always an image out of the memory": 1.0 if share == 1 else -1.0,
                "always the new image": 0.0 if share == 0 else -1.0,
            },
        )


@check("chance decides for each image by itself, among all that are kept", points=0.5, category="values",
       after=test_memory_full, hidden=True)  # fmt: skip
def test_memory_chance(submission):
    capacity, count = 4, 1200
    sizes = batches(count, 8)
    answers = submission.probes.answered(submission.ReplayBuffer(capacity).push_and_pop, sizes)
    ranks, swapped = played(answers, sizes, capacity)
    given = f"ReplayBuffer({capacity}), {count} images in batches of 8"
    for rank, name in enumerate(("oldest", "second", "third", "youngest")):
        share = ranks.count(rank) / len(ranks)
        expect.between(share, 0.25 - 0.09, 0.25 + 0.09, unit=f"(share of the {name} among the kept)", given=given)
    groups = [swapped[start : start + 8] for start in range(4, len(swapped) - 8, 8)]
    mixed = sum(0 < sum(group) < 8 for group in groups) / len(groups)
    expect.between(mixed, 0.9, 1.0, unit="(share of batches with old and new images)", given=given)
    first, second = (submission.probes.seeded_answers(submission.ReplayBuffer, seed, 2, 60) for seed in (1, 2))
    given = "whether the same images are chosen with another seed of random and torch"
    expect.equal(first == second, False, given=given)
    once_more = submission.probes.seeded_answers(submission.ReplayBuffer, 1, 2, 60)
    expect.equal(first == once_more, True, given="whether the same images are chosen with the same seed")
    changed = submission.probes.images_changed(submission.ReplayBuffer(3).push_and_pop, 10)
    expect.equal(changed, 0, given="ReplayBuffer(3): how many of 10 batches hold other images after the call")
    start = any_seed()
    for capacity in (1, 3):
        seeds = range(start, start + 60)
        answers = [submission.probes.seeded_answers(submission.ReplayBuffer, seed, capacity, 1 + capacity)[-1]
                   for seed in seeds]  # fmt: skip
        new = sum(answer == [1.0 + capacity] for answer in answers)
        given = f"ReplayBuffer({capacity}), 60 seeds: how often the first image after it is full is the answer itself"
        expect.between(new, 10, 50, given=given)


@check("ReplayBuffer holds on to no graph, and takes any size", points=0.5, category="robustness",
       after=test_memory_fills, hidden=True)  # fmt: skip
def test_memory_graph(submission):
    for capacity in (3, 0):
        answers, cut, alive = submission.probes.graphs_kept(submission.ReplayBuffer(capacity).push_and_pop, 12)
        given = f"ReplayBuffer({capacity}), 12 images of graphs, one by one"
        likely = {"detach is missing": 12}
        expect.equal(answers, 0, because="answers that require gradients", given=given, likely=likely)
        expect.equal(cut, 0, because="images that were cut from their own graph", given=given)
        expect.equal(alive, 0, because="graphs that are kept alive", given=given)
    numbers = [[float(n) for n in (k, k + 1)] for k in (1, 3, 5)]
    given = "ReplayBuffer(0), which keeps nothing: the numbers that come back"
    expect.equal(submission.probes.answered(submission.ReplayBuffer(0).push_and_pop, [2, 2, 2]), numbers, given=given)
    one, other = submission.ReplayBuffer(2), submission.ReplayBuffer(2)
    submission.probes.answered(one.push_and_pop, [2])
    given = "a second ReplayBuffer(2) after the first one is full: the numbers that come back"
    expect.equal(submission.probes.answered(other.push_and_pop, [1, 1], 7), [[7.0], [8.0]], given=given)
    given = "ReplayBuffer(), 50 images one by one: the numbers that come back"
    found = submission.probes.answered(submission.ReplayBuffer().push_and_pop, [1] * 50)
    expect.equal(found, [[float(number)] for number in range(1, 51)], given=given)
    found = submission.probes.answered(submission.ReplayBuffer().push_and_pop, [1] * 150)
    flat = [number for batch in found for number in batch]
    given = "ReplayBuffer(), 150 images one by one: whether the last 100 are all new ones"
    expect.equal(flat[50:] == list(range(51, 151)), False, given=given)
    for dtype in (torch.float16, torch.float64):
        images = torch.randn(2, 1, 3, 3).to(dtype)
        given = f"the dtype of the answers to images of {str(dtype).removeprefix('torch.')}"
        expect.dtype(submission.ReplayBuffer(3).push_and_pop(images), dtype, given=given)
        changed = submission.probes.strangers(submission.ReplayBuffer(2).push_and_pop, dtype, 40)
        given = (
            f"ReplayBuffer(2), 40 images of {str(dtype).removeprefix('torch.')}, one by one: answers like none of them"
        )
        expect.equal(changed, 0, given=given)


# The data set


def solid(number, width=3, height=2):
    """A PNG file of one colour, which tells its number."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (number, 255 - number, 7)).save(out, "PNG")
    return out.getvalue()


def colour(number):
    return [number, 255 - number, 7]


A_NAMES = ("a10.png", "a2.png", "a9.png", "b.png", "c.png")
B_NAMES = ("k1.png", "k10.png", "k2.png")


def folders(mode="train", a=A_NAMES, b=B_NAMES, shift=0):
    """Files of two sides in an order that is not theirs; A is numbered from 1, B from 101 by sorted name."""
    files = {f"{mode}/A/{name}": solid(1 + place + shift) for place, name in enumerate(a)}
    files |= {f"{mode}/B/{name}": solid(101 + place + shift) for place, name in enumerate(b)}
    return {name: files[name] for name in sorted(files, key=lambda name: name[::-1])}


def unlike(truth, likely):
    """The mistakes that show here."""
    return {sentence: value for sentence, value in likely.items() if value != truth}


def colours(numbers):
    return [colour(number) for number in numbers]


@check("UnpairedImageDataset pairs by index if unaligned is False", points=1,
       category="values")  # fmt: skip
def test_data_index(submission):
    tone = submission.probes.tone
    for a, b in ((A_NAMES, B_NAMES), (B_NAMES[:2], A_NAMES), (A_NAMES[:1], B_NAMES[:1])):
        data = submission.UnpairedImageDataset(
            submission.probes.write_tree(folders(a=a, b=b)), transform=tone, unaligned=False
        )
        given = f"A holds {', '.join(a)}, B holds {', '.join(b)}; unaligned=False"
        count, least = max(len(a), len(b)), min(len(a), len(b))
        shorter = "this is the length of A" if len(a) < len(b) else "this is the length of the shorter side"
        slips = {shorter: least, "both sides are added": len(a) + len(b)} if least < count else {}
        expect.equal(
            len(data),
            count,
            because="the length of the longer side",
            given=given,
            likely=slips,
        )
        expect.equal(submission.probes.keys(data), ["A", "B"], given=f"{given}; the keys of an item")
        found = submission.probes.items(data, count, "A")
        wanted = colours(1 + index % len(a) for index in range(count))
        expect.equal(found, wanted, given=f"{given}; A of the items, transform gives a colour of each file")
        found = submission.probes.items(data, count, "B")
        wanted = colours(101 + index % len(b) for index in range(count))
        expect.equal(found, wanted, given=f"{given}; B of the items, transform gives a colour of each file")


@check("UnpairedImageDataset draws B by chance, and A by its index", points=1, category="values", hidden=True)
def test_data_random(submission):
    tone = submission.probes.tone
    root = submission.probes.write_tree(folders(b=(*B_NAMES, "z.png")))
    few = submission.probes.write_tree(folders(a=A_NAMES[:2], b=(*B_NAMES, "z.png")))
    for data, count, item, given in (
        (submission.UnpairedImageDataset(root, transform=tone), 5, 0, "5 pictures of A, 4 of B"),
        (submission.UnpairedImageDataset(root, tone, "train", True), 5, 4, "5 pictures of A, 4 of B, unaligned=True"),
        (submission.UnpairedImageDataset(few, transform=tone), 2, 1, "2 pictures of A, 4 of B"),
    ):
        wanted = colours(1 + index % count for index in range(max(count, 4)))
        expect.equal(submission.probes.items(data, len(wanted), "A"), wanted, given=f"{given}; A of the items")
        drawn = [value[0] for value in submission.probes.again(data, "B", 400, item)]
        for number in range(101, 105):
            expect.between(
                drawn.count(number),
                60,
                140,
                unit="times",
                given=f"{given}, item {item} asked for 400 times; how often B is picture {number - 101}",
                likely={"B is not drawn: it goes by the index": 400 if number == 101 + item % 4 else 0},
            )
    data = submission.UnpairedImageDataset(root, tone, "train", True)
    one, other, once_more = (submission.probes.seeded(data, seed, 30) for seed in (1, 2, 1))
    expect.equal(one == once_more, True, given="whether the same seed of random and torch draws the same B's")
    expect.equal(one == other, False, given="whether another seed of random and torch draws the same B's")


MODES = ("RGB", "L", "P", "RGBA", "LA", "1")


@check("UnpairedImageDataset gives RGB pictures, whatever the files hold", points=1, category="values")
def test_data_pictures(submission, dataset):
    encoded = dataset("snapshots").encoded
    images = dataset("snapshots").generate(2 * len(MODES), any_seed(), 16)[0][:, :, :12]
    sides = {"A": images[: len(MODES)], "B": images[len(MODES) :]}
    files = {
        f"train/{side}/{place}.png": encoded(image, "PNG", mode)
        for side, some in sides.items()
        for place, (image, mode) in enumerate(zip(some, MODES, strict=True))
    }
    root = submission.probes.write_tree(files)
    data = submission.UnpairedImageDataset(root, transform=submission.probes.looked_at, unaligned=False)
    for side in "AB":
        found = submission.probes.items(data, len(MODES), side)
        for place, (mode, (shown, pixels)) in enumerate(zip(MODES, found, strict=True)):
            given = f"{side} of item {place}, a file of mode {mode}; what transform gets"
            likely = {} if mode == "RGB" else {"the picture is not converted to RGB": f"picture of mode {mode}"}
            expect.equal(shown, "picture of mode RGB", likely=likely, given=given)
            truth = np.asarray(Image.open(io.BytesIO(files[f"train/{side}/{place}.png"])).convert("RGB"))
            expect.close(np.asarray(pixels), truth, given=given)


@check("a list of transforms is applied in its order, to both sides", points=0.5, category="values")
def test_data_transforms(submission):
    probes = submission.probes
    content = {"train/A/a.png": solid(1, 20, 12), "train/B/b.png": solid(2, 40, 8)}
    root = probes.write_tree(content)
    cases = (
        (probes.size, "size", [20, 12], [40, 8]),
        ([probes.size], "[size]", [20, 12], [40, 8]),
        ([probes.turned, probes.halved, probes.size], "[turn, halve, size]", [6, 10], [4, 20]),
        ([probes.turned, probes.turned, probes.turned, probes.size], "[turn, turn, turn, size]", [12, 20], [8, 40]),
    )
    for transform, text, a, b in cases:
        data = submission.UnpairedImageDataset(root, transform=transform)
        for side, wanted in (("A", a), ("B", b)):
            found = probes.items(data, 1, side)[0]
            expect.equal(found, wanted, given=f"transform={text}, which ends in width and height; side {side}")
    changed = probes.list_changed(submission.UnpairedImageDataset, root)
    expect.equal(changed, False, given="whether the list of transforms is another afterwards")


def quarters(width, height, colours, mode="RGB"):
    """A PNG file of four colours, (4, 3): upper left, upper right, lower left, lower right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for place, value in enumerate(colours):
        row, column = divmod(place, 2)
        pixels[row * height // 2 : (row + 1) * height // 2, column * width // 2 : (column + 1) * width // 2] = value
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "PNG")
    return out.getvalue()


@check("without a transform a picture becomes a tensor (3, 256, 256)", points=1, category="values")
def test_data_tensors(submission):
    sizes = ((40, 24), (20, 60), (256, 256), (400, 200), (300, 310), (30, 20), (20, 30))
    modes = (*["RGB"] * 5, "L", "RGBA")
    colours = torch.randint(0, 256, (len(sizes), 4, 3), dtype=torch.uint8)
    colours[:, 0] = torch.tensor([255, 0, 64], dtype=torch.uint8)
    colours[5] = colours[5, :, :1]  # grey
    files = {
        f"train/{side}/{place}.png": quarters(*size, some.numpy(), mode)
        for side in "AB"
        for place, (size, some, mode) in enumerate(zip(sizes, colours, modes, strict=True))
    }
    data = submission.UnpairedImageDataset(submission.probes.write_tree(files), unaligned=False)
    for side in "AB":
        found = submission.probes.items(data, len(sizes), side)
        for (width, height), some, mode, image in zip(sizes, colours, modes, found, strict=True):
            given = f"a picture {width} wide and {height} high, of mode {mode}, side {side}, transform=None"
            expect.shape(
                image,
                (3, 256, 256),
                given=given,
                likely=unlike(
                    (3, 256, 256),
                    {
                        "the channels come last": (256, 256, 3),
                        "the picture keeps its own size": (3, height, width),
                        "only the shorter side becomes 256": (
                            3,
                            height * 256 // min(width, height),
                            width * 256 // min(width, height),
                        ),
                    },
                ),
            )
            expect.dtype(image, torch.float32, given=given)
            truth = some.float().T.reshape(3, 2, 2) / 255
            expect.close(
                image[:, 64::128, 64::128],
                truth,
                rtol=0,
                atol=0.02,
                given=f"{given}; the middles of its four quarters",
                likely={
                    "the values lie between -1 and 1": 2 * truth - 1,
                    "the values lie between 0 and 255": 255 * truth,
                    "rows and columns are swapped": truth.transpose(1, 2),
                },
            )
            expect.between(float(image.min()), 0, 1, unit="(smallest value)", given=given)
            expect.between(float(image.max()), 0, 1, unit="(largest value)", given=given)


@check("UnpairedImageDataset lists the pictures of its mode, and nothing else", points=0.5, category="robustness",
       hidden=True)  # fmt: skip
def test_data_files(submission):
    tone = submission.probes.tone
    names = ("Z.png", "a-.PNG", "a.jpeg", "bb.JpG")
    files = folders("train", shift=0) | folders("test", a=names, b=("q.jpeg",), shift=50)
    junk = dict.fromkeys(("test/A/a.txt", "test/B/b.db", "test/A/png", "test/notes.png"), b"no picture")
    junk |= dict.fromkeys(("test/A/c.png.txt", "test/A/c.jpg.bak", "test/B/d.bmp", "test/A/e.tif", "test/A/f.webp",
                           "test/B/g.gif"), solid(97))  # fmt: skip
    deep = {name: solid(98) for name in ("test/A/deep/w.png", "test/B/deep/w.png", "A/u.png", "B/u.png")}
    deep |= {"deep/A/v.png": solid(99), "deep/B/v.png": solid(99)}
    root = submission.probes.write_tree(files | junk | deep)
    data = submission.UnpairedImageDataset(root, transform=tone, mode="test", unaligned=False)
    given = f"mode='test' and the files {', '.join(sorted(files | junk | deep))}"
    slips = {"capitals are missed": 2, "mode is ignored": 5}
    expect.equal(len(data), 4, because="the longer side", given=given, likely=slips)
    expect.equal(submission.probes.items(data, 4, "A"), colours([51, 52, 53, 54]), given=f"{given}; A of the items",
                 likely={"the files are sorted ending by ending": colours([51, 52, 54, 53]),
                         "the files are sorted without their endings": colours([51, 53, 52, 54]),
                         "capitals and small letters are sorted alike": colours([52, 53, 54, 51])})  # fmt: skip
    expect.equal(submission.probes.items(data, 4, "B"), colours([151] * 4), given=f"{given}; B of the items")
    data = submission.UnpairedImageDataset(root, tone, "deep")
    given = "mode='deep', with one file in A and one in B"
    expect.equal(submission.probes.items(data, 1, "A"), colours([99]), given=f"{given}; A of the item")
    data = submission.UnpairedImageDataset(root, tone)
    expect.equal(len(data), 5, because="the longer side", given="the default mode, which is 'train'")


@check("a folder without pictures is refused when the data set is made", points=0.5, category="robustness")
def test_data_empty(submission):
    errors = ("FileNotFoundError", "ValueError", "RuntimeError")
    picture, other = solid(1), b"no picture"
    cases = (
        ({"train/A/a.png": picture, "train/B/b.txt": other}, "no picture in B"),
        ({"train/A/deep/a.png": picture, "train/B/b.png": picture}, "no picture in A but in a folder within"),
        ({"train/A/a.txt": other, "train/B/b.png": picture}, "no picture in A"),
        ({"train/A/a.txt": other, "train/B/b.txt": other}, "no picture in A or B"),
        ({"train/A/a.png": picture}, "no folder B"),
        ({"test/A/a.png": picture, "test/B/b.png": picture}, "no folder train"),
    )
    for files, given in cases:
        root = submission.probes.write_tree(files)
        expect.raises(errors, submission.UnpairedImageDataset, root, given=given)


@check("pictures are opened when they are asked for, by other processes, too", points=0.5, category="efficiency",
       hidden=True)  # fmt: skip
def test_data_lazy(submission):
    tone = submission.probes.tone
    root = submission.probes.write_tree(folders())
    data = submission.UnpairedImageDataset(root, transform=tone, unaligned=False)
    submission.probes.overwrite(root, folders(shift=20))
    for side, first in (("A", 21), ("B", 121)):
        given = f"files that are replaced after the data set was made; {side} of the first item"
        expect.equal(submission.probes.items(data, 1, side), colours([first]), given=given,
                     likely={"the picture was opened by the constructor": colours([first - 20])})  # fmt: skip
    for transform, given in ((tone, "a transform"), (None, "no transform")):
        data = submission.UnpairedImageDataset(root, transform=transform)
        here = submission.probes.items(data, 5, "A")
        there = submission.probes.loaded_by_two(submission.probes.pickled(data))
        given = f"A of the items by a loader with two processes, of a data set with {given} that was pickled"
        expect.close(torch.stack([torch.as_tensor(item) for item in there]),
                     torch.stack([torch.as_tensor(item) for item in here]), given=given)  # fmt: skip


# The step


def painter_layers():
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Tanh(), nn.Conv2d(8, 3, 1)).double()


def judge_layers():
    return nn.Sequential(nn.Conv2d(3, 6, 4, stride=2), nn.LeakyReLU(0.2), nn.Conv2d(6, 1, 1)).double()


class Quartet:
    """Two generators that recolour pixels and two judges of patches, here and beside the submission, and images."""

    def __init__(self, submission, images=None):
        self.nets = [painter_layers(), painter_layers(), judge_layers(), judge_layers()]
        self.a, self.b = images or (normal(3, 3, 9, 8), normal(1, 3, 10, 6).transpose(2, 3) + 0.3)
        kinds = [submission.probes.painter] * 2 + [submission.probes.judge] * 2
        self.theirs = [kind(list(net.state_dict().values())) for kind, net in zip(kinds, self.nets, strict=True)]

    def parts(self, slip="", nets=None):
        """gan, cycle and identity."""
        g_ab, g_ba, d_a, d_b = nets or self.nets
        a, b = self.a, self.b
        judges = (d_a, d_b) if slip == "swapped" else (d_b, d_a)
        target = slip != "drawn"
        gan = sum(least_squares(judge(fake), target) for judge, fake in zip(judges, (g_ab(a), g_ba(b)), strict=True))
        cycle = distance(g_ba(g_ab(a)), a) + distance(g_ab(g_ba(b)), b)
        return gan, cycle, distance(g_ab(b), b) + distance(g_ba(a), a)

    def stepped(self, rate, weights, slip="", left=0.0):
        """The parameters of both generators after one step of plain SGD, and the report of it."""
        gan, cycle, identity = self.parts(slip)
        heavy, light = (1.0, 1.0) if slip == "unweighted" else weights
        loss = gan + heavy * cycle + light * identity
        parameters = [p for net in self.nets[:2] for p in net.parameters()]
        slopes = torch.autograd.grad(loss, parameters)
        moved = [(p - rate * (slope + left)).detach() for p, slope in zip(parameters, slopes, strict=True)]
        numbers = {"loss": loss, "gan": gan, "cycle": cycle, "identity": identity}
        return torch.cat([p.flatten() for p in moved]), {name: float(value) for name, value in numbers.items()}

    def run(self, submission, rate, weights=(), **named):
        """One step of the submission: the same."""
        optimiser = submission.probes.optimiser("SGD", *self.theirs[:2], rate)
        report = submission.generator_step(*self.theirs, optimiser, self.a, self.b, *weights, **named)
        found = [value for net in self.theirs[:2] for value in submission.probes.values_of(net)]
        return torch.cat([value.flatten() for value in found]), report


RATE = 0.2
TOY = "two small generators, two small discriminators, 3 images of A and 1 of B, SGD"
LOSSES = [test_gan_loss, test_cycle, test_identity]
REPORT = {"loss": float, "gan": float, "cycle": float, "identity": float}


@check("generator_step moves both generators down the sum of the losses", points=1.5, category="values", after=LOSSES)
def test_step(submission):
    for weights, text in (((3.0, 0.7), "weight_cycle=3, weight_identity=0.7"), ((), "the default weights")):
        toy = Quartet(submission)
        found, _ = toy.run(submission, RATE, weights)
        used = weights or (10.0, 5.0)
        truth, _ = toy.stepped(RATE, used)
        likely = {
            "the discriminators are swapped: d_b judges what g_ab draws": toy.stepped(RATE, used, "swapped")[0],
            "drawn images are to be taken for drawn ones": toy.stepped(RATE, used, "drawn")[0],
            "the weights are not used": toy.stepped(RATE, used, "unweighted")[0],
            "the generators do not move": toy.stepped(0.0, used)[0],
        }
        if weights:
            likely["the weights are 10 and 5, whatever was handed over"] = toy.stepped(RATE, (10.0, 5.0))[0]
            likely["the two weights are swapped"] = toy.stepped(RATE, weights[::-1])[0]
        expect.close(found, truth, rtol=1e-6, atol=1e-9, likely=likely,
                     given=f"the parameters of both generators after one step; {TOY}, {text}")  # fmt: skip


@check("generator_step reports the losses before the step", points=0.5, category="values", after=LOSSES)
def test_step_report(submission):
    for named in ({}, {"weight_identity": 0.7, "weight_cycle": 3.0}, {"weight_identity": 0.0}, {"weight_cycle": 0.0}):
        toy = Quartet(submission)
        _, report = toy.run(submission, RATE, **named)
        used = named.get("weight_cycle", 10.0), named.get("weight_identity", 5.0)
        _, truth = toy.stepped(RATE, used)
        heavy = truth | {"cycle": used[0] * truth["cycle"], "identity": used[1] * truth["identity"]}
        expect.close(
            expect.record(report, REPORT, given=TOY),
            truth,
            rtol=1e-6,
            atol=1e-9,
            likely={"cycle and identity are reported with their weights": heavy},
            given=f"{TOY}, weights {used}, handed over {named}",
        )


@check("generator_step leaves the discriminators as they are", points=1, category="gradients", after=test_step)
def test_judges(submission):
    for left in (None, 4.0):
        toy = Quartet(submission)
        judges = toy.theirs[2:]
        for net in judges:
            if left is not None:
                submission.probes.spoil(net, left)
        submission.probes.freeze_first(judges[1])
        before = [submission.probes.values_of(net) for net in judges]
        toy.run(submission, RATE)
        for name, net, values in zip(("d_a", "d_b"), judges, before, strict=True):
            given = f"the parameters of {name} after generator_step; {TOY}"
            expect.close(submission.probes.values_of(net), values, rtol=0, atol=0, given=given, trivial="they stay")
            given = f"the gradients of {name} after generator_step, which were {left} before"
            likely = {"backward() has reached the discriminator, too": ["another gradient"] * 4}
            likely |= {"the gradients of the discriminator are cleared": ["cleared"] * 4} if left else {}
            expect.equal(submission.probes.gradients(net, left), ["as before"] * 4, given=given, likely=likely,
                         trivial="they stay as they are")  # fmt: skip
            wanted = [name == "d_a", True, True, True]
            given = f"whether the parameters of {name} require gradients afterwards"
            likely = {"what was switched off is not given back": [False] * 4}
            if name == "d_b":
                given += "; the first one did not before"
                likely["all are switched on, also what was off"] = [True] * 4
            expect.equal(
                submission.probes.needs(net), wanted, given=given, likely=likely, trivial="they are given back"
            )


@check("what is left from before does not count, and modes and images stay", points=0.5, category="robustness",
       after=test_step, hidden=True)  # fmt: skip
def test_step_leftovers(submission):
    toy = Quartet(submission, (normal(1, 3, 8, 9).transpose(2, 3), normal(2, 3, 6, 10)))
    for net in toy.theirs[:2]:
        submission.probes.spoil(net, 3.0)
    for place, net in enumerate(toy.theirs):
        net.train(place % 2 == 0)
        submission.probes.other_mode_within(net)
    truth, _ = toy.stepped(RATE, (10.0, 5.0))
    images = toy.a.clone(), toy.b.clone()
    found, _ = toy.run(submission, RATE)
    given = "generators whose gradients are 3 everywhere before; their parameters after the step"
    likely = {"the gradients are not cleared": toy.stepped(RATE, (10.0, 5.0), left=3.0)[0]}
    expect.close(found, truth, rtol=1e-6, atol=1e-9, likely=likely, given=given)
    modes = [net.training for net in toy.theirs]
    expect.equal(modes, [True, False, True, False], given="whether g_ab, g_ba, d_a and d_b are in training mode after")
    modes = [submission.probes.first_mode(net) for net in toy.theirs]
    given = "whether the first layers of g_ab, g_ba, d_a and d_b, in the other mode before, are in training mode after"
    expect.equal(modes, [False, True, False, True], given=given)
    optimiser = submission.probes.optimiser("SGD", *toy.theirs[:2], RATE)
    expect.not_mutated(submission, submission.generator_step, *toy.theirs, optimiser, *images, given=TOY)


STEPS, RATES, WEIGHTS = 60, (0.02, 0.01), (4.0, 0.5)


@check("sixty steps against learning discriminators go the right way", points=0.5, category="values", after=test_step)
def test_step_story(submission, dataset, pictures):
    """Warm scenes and cold ones; what the generators make of them at the end is the picture."""
    images, labels = dataset("snapshots").generate(40, any_seed(), 24)
    scenes = torch.from_numpy(images).double() / 127.5 - 1
    warm, cold = scenes[labels < 5][:8], scenes[labels >= 5][:8]
    toy = Quartet(submission, (warm, cold))
    found = submission.probes.trained(submission.generator_step, toy.theirs, [warm, cold], STEPS, RATES, WEIGHTS)
    g_ab, g_ba = toy.theirs[:2]
    fake = g_ab(warm).detach()
    shown = {"real A": warm, "fake B": fake, "back to A": g_ba(fake).detach(), "identity of A": g_ba(warm).detach()}
    pictures.rows("warm_to_cold", {name: (some + 1) / 2 for name, some in shown.items()})
    pictures.curves("training", "step", found)
    expect.close(
        {name: values[-1] for name, values in found.items()},
        {name: values[-1] for name, values in story(toy).items()},
        rtol=1e-3,
        atol=1e-4,
        given=f"the last of {STEPS} reports; warm scenes are A, cold ones B; both sides learn with Adam",
    )


def story(toy):
    """What the losses are in the same training, step by step."""
    g_ab, g_ba, d_a, d_b = toy.nets
    ours = torch.optim.Adam(itertools.chain(g_ab.parameters(), g_ba.parameters()), lr=RATES[0])
    theirs = torch.optim.Adam(itertools.chain(d_a.parameters(), d_b.parameters()), lr=RATES[1])
    seen = {name: [] for name in REPORT}
    for _ in range(STEPS):
        gan, cycle, identity = toy.parts()
        loss = gan + WEIGHTS[0] * cycle + WEIGHTS[1] * identity
        for name, value in zip(REPORT, (loss, gan, cycle, identity), strict=True):
            seen[name].append(float(value))
        ours.zero_grad()
        loss.backward()
        ours.step()
        fakes = g_ba(toy.b).detach(), g_ab(toy.a).detach()
        pairs = ((d_a, toy.a, fakes[0]), (d_b, toy.b, fakes[1]))
        theirs.zero_grad()
        sum(least_squares(d(real), True) + least_squares(d(fake), False) for d, real, fake in pairs).backward()
        theirs.step()
    return seen
