"""Task 11: find four points of a face, with a network of your own and with ResNet-18 and given weights.

The images are grey, 96x96. The four points are left eye, right eye, nose tip and the bottom of the lower lip, in
this order; "left" is the face's own left, which lies at the *right* of an upright image.

Conventions
- Points are 8 numbers x0, y0, x1, y1, ... in pixels. The centre of the pixel in row r and column c is x = c, y = r.
- A coordinate that nobody marked is NaN. It counts neither in a loss nor in an error.
- A network takes (N, 1, 96, 96) float32 with grey levels scaled to 0..1, and returns (N, 8) *encoded* coordinates,
  which ``decode_keypoints`` turns into pixels.
- A loader gives batches (images (B, 1, 96, 96), points (B, 8) in pixels) on the CPU; the last one may be smaller.
- Losses and errors that you report are plain Python floats. Nothing is printed, nothing is fetched from a network.
"""

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


class KeypointDataset(Dataset):
    """Faces from one array with the samples on its *last* axis.

    images: array (96, 96, N), row, column, sample; grey levels 0..255 of any number type.
    keypoints: array (N, 8) in pixels, NaN where missing.
    transform: None, or a function (image, points) -> (image, points) applied to each item.

    Item i is (image float32 (1, 96, 96) in 0..1, points float32 (8,) in pixels), or what transform makes of it.
    The arrays are not changed.
    """

    def __init__(self, images, keypoints, transform=None):
        # TODO: bring the samples to the front, scale, and keep everything as float32 tensors.
        raise NotImplementedError

    def __len__(self):
        # TODO: return the number of faces.
        raise NotImplementedError

    def __getitem__(self, index):
        # TODO: return image and points of one face, transformed if asked for.
        raise NotImplementedError


def encode_keypoints(xy, size=96):
    """Pixels -> numbers that a network learns easily: every point of a size x size image between -2 and 2.

    xy: tensor (..., 8). Returns a tensor of the same shape. Which formula is up to you, as long as it can be
    undone exactly, also for points outside the image. NaN stays NaN, and xy is not changed.
    """
    # TODO: shift and scale.
    raise NotImplementedError


def decode_keypoints(pred, size=96):
    """Undo ``encode_keypoints``: encoded coordinates (..., 8) -> pixels (..., 8). pred is not changed."""
    # TODO: scale and shift back.
    raise NotImplementedError


def masked_mse(pred, target):
    """Mean squared difference over the coordinates whose target is not NaN.

    pred and target: tensors (N, 8). Returns a scalar tensor. Where no target is known at all the loss is 0, and
    its gradient with respect to pred is 0 (or none flows), not NaN. The arguments are not changed.
    """
    # TODO: leave the unknown coordinates out of the sum and out of the count.
    raise NotImplementedError


def hflip_keypoints(image, xy):
    """Mirror a face left to right.

    image: tensor (..., height, width). xy: tensor (..., 8) in pixels.
    Returns (image, xy) of the mirrored face; the arguments are not changed. Column c goes to width - 1 - c. What
    was the left eye becomes the right eye, so that the left eye stays at the right of the image.
    """
    # TODO: mirror the columns and x, then exchange the two eyes.
    raise NotImplementedError


class KeypointCNN(nn.Module):
    """Four convolutions, then two fully connected layers: (N, 1, 96, 96) -> (N, 8) encoded coordinates.

    It must train on a batch of any size, one image included. Everything else is free; what is drawn at random, such
    as dropout, rests in evaluation mode.
    """

    def __init__(self):
        super().__init__()
        # TODO: make the layers.
        raise NotImplementedError

    def forward(self, x):
        # TODO: convolutions first, then the fully connected layers.
        raise NotImplementedError


class BasicBlock(nn.Module):
    """Given: two 3x3 convolutions and the way past them."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + shortcut)


class ResNet18(nn.Module):
    """Given: ResNet-18 for colour images and 1000 classes; its parameters have the names of the usual weight files.

    The names start with conv1, bn1, layer1 ... layer4, fc. conv1.weight is (64, 3, 7, 7), fc.weight (1000, 512).
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(64, 64, 1), BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(BasicBlock(64, 128, 2), BasicBlock(128, 128, 1))
        self.layer3 = nn.Sequential(BasicBlock(128, 256, 2), BasicBlock(256, 256, 1))
        self.layer4 = nn.Sequential(BasicBlock(256, 512, 2), BasicBlock(512, 512, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def build_resnet18_regressor(state_dict=None, num_outputs=8, in_channels=1, freeze_backbone=False):
    """ResNet-18 with a new head, and with given weights in everything else.

    state_dict: None (fresh weights), or the weights of a ``ResNet18``: a dict of tensors that is not changed. Its
    fc.* entries are never used and may be absent. Any other missing or unexpected name raises an error
    (RuntimeError, KeyError or ValueError).
    num_outputs: size of the new head ``fc``, which starts with fresh weights.
    in_channels: 3, or 1 for grey images. With 1, the stem must answer to a grey image as the colour stem answers to
    the same image repeated in its three channels.
    freeze_backbone: only ``fc`` is trained. The others do not require gradients, and their batch normalisation stays
    in evaluation mode, also after ``model.train()``.

    Returns a module whose parameter names are those of ``ResNet18``.
    """
    # TODO: build the network, adapt stem and head, load what fits, freeze.
    raise NotImplementedError


def train_regressor(model, loader, epochs, lr, device):
    """Train on encoded points, ``epochs`` passes over the loader.

    Optimiser and schedule are free, ``lr`` is meant for Adam (1e-3 is usual). So is the loss, as long as NaN
    coordinates do not count; a batch may hold nothing else, even the only one of its epoch. Before each step the
    gradients of all parameters together are clipped to a norm of at most 1. Parameters that do not require gradients
    stay as they are.

    Returns a list with the mean loss of each epoch; neither a longer epoch nor larger batches make it larger. The
    model is trained in place, in training mode, and left on ``device`` in evaluation mode.
    """
    # TODO: for each batch: encode, loss, backward, clip, step.
    raise NotImplementedError


def mean_pixel_error(model, loader):
    """Mean of |predicted - true| in pixels over all coordinates of the loader that are not NaN.

    Runs in evaluation mode without gradients, on the device of the model's parameters, and leaves the model in the
    mode in which it came. Returns a float.
    """
    # TODO: predict, decode, and average over the known coordinates of all batches.
    raise NotImplementedError
