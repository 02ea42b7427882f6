"""Checks for the miniature course's first task."""

import torch

from torchgrade.authoring import check, expect, parameter_count


@check("scale multiplies every element", points=2, category="values", devices="all")
def test_scale(submission, device):
    x = torch.randn(3, 4, device=device)
    expect.close(submission.scale(x, 3.0), x * 3.0, likely={"the factor is added, not multiplied": x + 3.0})


@check("total sums all elements", points=1, category="values")
def test_total(submission):
    x = torch.randn(2, 5)
    expect.close(submission.total(x), x.sum())


@check("gradients flow through scale", points=2, category="gradients", after=test_scale)
def test_gradient(submission):
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(4, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((submission.scale(x, 3.0) * w).sum(), x)
    expect.close(gradient, 3.0 * w)


@check("Affine has two parameters and they learn", points=3, category="parameters", after=test_scale, hidden=True)
def test_affine(submission):
    net = submission.Affine()
    expect.equal(parameter_count(net), 2, likely={"the bias is missing": 1})
    loss = (net(torch.tensor([1.0, 2.0])) * torch.tensor([3.0, 5.0])).sum()
    loss.backward()
    expect.close(net.weight.grad, torch.tensor(13.0))
    expect.close(net.bias.grad, torch.tensor(8.0))
