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
        # BEGIN SOLUTION
        images = np.moveaxis(np.asarray(images, dtype=np.float32), -1, 0) / 255  # (N, 96, 96)
        self.images = torch.from_numpy(np.ascontiguousarray(images)).unsqueeze(1)  # (N, 1, 96, 96)
        self.points = torch.tensor(np.asarray(keypoints), dtype=torch.float32)  # (N, 8)
        self.transform = transform
        # END SOLUTION

    def __len__(self):
        # TODO: return the number of faces.
        # BEGIN SOLUTION
        return len(self.images)
        # END SOLUTION

    def __getitem__(self, index):
        # TODO: return image and points of one face, transformed if asked for.
        # BEGIN SOLUTION
        item = self.images[index], self.points[index]
        return item if self.transform is None else self.transform(*item)
        # END SOLUTION


def encode_keypoints(xy, size=96):
    """Pixels -> numbers that a network learns easily: every point of a size x size image between -2 and 2.

    xy: tensor (..., 8). Returns a tensor of the same shape. Which formula is up to you, as long as it can be
    undone exactly, also for points outside the image. NaN stays NaN, and xy is not changed.
    """
    # TODO: shift and scale.
    # BEGIN SOLUTION
    return xy / (size / 2) - 1
    # END SOLUTION


def decode_keypoints(pred, size=96):
    """Undo ``encode_keypoints``: encoded coordinates (..., 8) -> pixels (..., 8). pred is not changed."""
    # TODO: scale and shift back.
    # BEGIN SOLUTION
    return (pred + 1) * (size / 2)
    # END SOLUTION


def masked_mse(pred, target):
    """Mean squared difference over the coordinates whose target is not NaN.

    pred and target: tensors (N, 8). Returns a scalar tensor. Where no target is known at all the loss is 0, and
    its gradient with respect to pred is 0 (or none flows), not NaN. The arguments are not changed.
    """
    # TODO: leave the unknown coordinates out of the sum and out of the count.
    # BEGIN SOLUTION
    known = ~torch.isnan(target)  # (N, 8)
    difference = pred - torch.where(known, target, pred.detach())
    return difference.square().sum() / known.sum().clamp(min=1)
    # END SOLUTION


def hflip_keypoints(image, xy):
    """Mirror a face left to right.

    image: tensor (..., height, width). xy: tensor (..., 8) in pixels.
    Returns (image, xy) of the mirrored face; the arguments are not changed. Column c goes to width - 1 - c. What
    was the left eye becomes the right eye, so that the left eye stays at the right of the image.
    """
    # TODO: mirror the columns and x, then exchange the two eyes.
    # BEGIN SOLUTION
    points = xy.unflatten(-1, (4, 2))  # (..., point, xy)
    mirrored = torch.stack([image.shape[-1] - 1 - points[..., 0], points[..., 1]], -1)
    return image.flip(-1), mirrored[..., [1, 0, 2, 3], :].flatten(-2)
    # END SOLUTION


class KeypointCNN(nn.Module):
    """Four convolutions, then two fully connected layers: (N, 1, 96, 96) -> (N, 8) encoded coordinates.

    It must train on a batch of any size, one image included. Everything else is free; what is drawn at random, such
    as dropout, rests in evaluation mode.
    """

    def __init__(self):
        super().__init__()
        # TODO: make the layers.
        # BEGIN SOLUTION
        layers, width = [], 1
        for wider, kernel, stride in ((16, 5, 2), (32, 3, 1), (48, 3, 1), (64, 3, 1)):
            layers += [
                nn.Conv2d(width, wider, kernel, stride, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(wider),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            width = wider
        self.features = nn.Sequential(*layers)  # (N, 64, 3, 3)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(64 * 3 * 3, 64), nn.ReLU(), nn.Linear(64, 8))
        # END SOLUTION

    def forward(self, x):
        # TODO: convolutions first, then the fully connected layers.
        # BEGIN SOLUTION
        return self.head(self.features(x))
        # END SOLUTION


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
    # BEGIN SOLUTION
    model = FrozenResNet18() if freeze_backbone else ResNet18()
    model.fc = nn.Linear(512, num_outputs)
    if in_channels != 3:
        model.conv1 = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
    if state_dict is not None:
        weights = {name: value for name, value in state_dict.items() if not name.startswith("fc.")}
        if in_channels == 1:
            weights["conv1.weight"] = weights["conv1.weight"].sum(1, keepdim=True)  # (64, 1, 7, 7)
        head = {f"fc.{name}": value for name, value in model.fc.state_dict().items()}
        model.load_state_dict(weights | head)  # strict: says which names are missing or unexpected
    if freeze_backbone:
        model.requires_grad_(False)
        model.fc.requires_grad_(True)
        model.train()
    return model


class FrozenResNet18(ResNet18):
    """Only its head ever goes into training mode."""

    def train(self, mode=True):
        super().train(False)
        self.fc.train(mode)
        self.training = mode
        return self

    # END SOLUTION


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
    # BEGIN SOLUTION
    model.to(device)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=lr)
    losses = []
    for _ in range(epochs):
        model.train()
        total, count = 0.0, 0
        for images, points in loader:
            target = encode_keypoints(points.to(device))  # (B, 8)
            loss = masked_mse(model(images.to(device)), target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trainable, max_norm=1.0)
            optimizer.step()
            total += loss.item() * len(images)
            count += len(images)
        losses.append(total / count)
    model.eval()
    return losses
    # END SOLUTION


def mean_pixel_error(model, loader):
    """Mean of |predicted - true| in pixels over all coordinates of the loader that are not NaN.

    Runs in evaluation mode without gradients, on the device of the model's parameters, and leaves the model in the
    mode in which it came. Returns a float.
    """
    # TODO: predict, decode, and average over the known coordinates of all batches.
    # BEGIN SOLUTION
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for images, points in loader:
            error = (decode_keypoints(model(images.to(device))).cpu() - points).abs()  # (B, 8)
            known = ~torch.isnan(points)
            total += error[known].sum().item()
            count += known.sum().item()
    model.train(was_training)
    return total / count
    # END SOLUTION
