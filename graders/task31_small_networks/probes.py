"""Helpers of task 31 that run beside the submission: plain blocks, and images in other forms."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Plain(nn.Module):
    """A block without shortcut, whose arguments have names of its own: they can only be passed by their place."""

    def __init__(self, inner, outer, step=1):
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 3, step, padding=1, bias=False)

    def forward(self, x):
        return F.relu(self.conv(x))


def plain_net(make, num_blocks, *args):
    """``make`` called with a class of plain blocks."""
    return make(Plain, num_blocks, *args)


def blocks_asked(make, num_blocks):
    """What ``make`` builds its blocks with: in_channels, out_channels and stride of each, in order."""
    asked = []

    def block(inner, outer, stride):
        asked.append([int(inner), int(outer), int(stride)])
        return Plain(inner, outer, stride)

    make(block, num_blocks)
    return asked


def list_kept(make, num_blocks):
    """``num_blocks`` after ``make`` was called with it."""
    make(Plain, num_blocks)
    return num_blocks


def as_array(prepare, images, form):
    """``prepare`` called with a NumPy array of another form; the result, and whether the array is as it was."""
    array = images.numpy().copy()
    if form == "every second column of another":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), 99, np.uint8)
        wide[..., ::2] = array
        array = wide[..., ::2]
    if form == "rows and columns swapped in memory":
        array = np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
    result = prepare(array)
    return result, bool((array == images.numpy()).all())


def whole_maps(weight, bias):
    """A convolution as large as the images, which have to be (N, 1, H, W); its outputs are the logits."""
    conv = nn.Conv2d(1, len(weight), weight.shape[2:])
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return nn.Sequential(conv, nn.Flatten())


def asked_while(classify, net, images, batch_size, recording):
    """The number of images in each pass of a network in training mode that ``classify`` asks while recording is on or
    off, and what recording and the mode are then."""
    passes = []
    net.train()
    hook = net.register_forward_pre_hook(lambda module, args: passes.append(len(args[0])))
    with torch.set_grad_enabled(recording):
        try:
            classify(net, images, batch_size)
        finally:
            hook.remove()
        return passes, torch.is_grad_enabled(), net.training


def trained(net, images, labels, epochs):
    """The mean loss of each epoch of Adam on batches of 40; images (N, 1, H, W) floating point, labels (N,) int64."""
    net.train()
    device = next(net.parameters()).device
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for x, y in DataLoader(TensorDataset(images, labels), 40, shuffle=True):
            loss = F.cross_entropy(net(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        losses.append(total / len(labels))
    return losses


def guesses(net, images):
    """The class of the largest output for each image, in evaluation mode."""
    net.eval()
    with torch.no_grad():
        return net(images.to(next(net.parameters()).device)).argmax(1).cpu()
