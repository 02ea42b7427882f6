"""Task 31: LeNet-5 and a small residual net for images of 28×28.

Two networks that read digits, 17 years apart. LeNet-5 (1998) has two convolutions and 61,706 parameters. The small
residual net has blocks with a short way around them, as ResNet has them, and 77,754 parameters in its smallest form.
Both are short enough to be counted by hand, down to the last parameter. Around them stand two functions that decide
whether a trained network is of any use: the one that prepares its images, and the one that asks it for answers. An
image that is scaled for training and not for the test, or a network that is tested in training mode, spoils a good
network without any error.

LeNet-5 for images of 32×32:                      The residual net, num_blocks = [1, 1, 1]:

    image                    1 × 32 × 32              image                         1 × 28 × 28
    convolution 5×5          6 × 28 × 28   156        stem: convolution 3×3        16 × 28 × 28     176
    pooling 2×2              6 × 14 × 14              stage 1, stride 1            16 × 28 × 28   4,672
    convolution 5×5         16 × 10 × 10 2,416        stage 2, stride 2            32 × 14 × 14  14,528
    pooling 2×2             16 ×  5 ×  5              stage 3, stride 2            64 ×  7 ×  7  57,728
    fully connected         120         48,120        mean over height and width   64
    fully connected          84         10,164        fully connected              10               650
    fully connected          10            850

Conventions:

* Images are (N, channels, height, width) for a network; the output is the logits (N, num_classes): no softmax, nothing
  else behind the last layer.
* Layers are those of torch.nn with their default settings where nothing else is said; the names of the attributes are
  yours, and what has no parameters may be a function. Nothing is drawn at random in a pass: there is no dropout. The
  weights start with values at which gradients reach every parameter, as those of PyTorch do; zeros do not.
* What is given is not changed.

Forbidden: ``torchvision`` and other libraries that have the networks or the transforms ready-made.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def prepare_images(images) -> Tensor:
    """Make grey images ready for a network: one float for each grey level, level / 255.

    The grey levels [[0, 51], [102, 255]] become [[[[0, 0.2], [0.4, 1]]]]. The same formula serves every image, dark
    ones too, training and test: nothing is computed from the images that are given, and nothing is standardised.

    images: tensor of uint8, or a NumPy array of which torch makes one, of shape (N, H, W), (N, 1, H, W), or (H, W) for
    one image; N may be 0.
    Returns: (N, 1, H, W), float32, values 0 to 1; on the device of the tensor. A single image has N = 1.
    Raises TypeError when the images are not uint8: floats may be scaled already, and scaled twice they are black.
    Raises ValueError for any other shape, such as (N, 3, H, W).
    """
    # TODO: check dtype and shape, give the images an axis of channels, and scale.
    raise NotImplementedError


def flat_features(input_size: int) -> int:
    """Return how many numbers LeNet-5 has left of an image of input_size × input_size when its maps are flattened.

    Each convolution takes 4 off the size, since it is 5×5 and does not pad. Each pooling halves the size and drops a
    row and a column that is left over. There are 16 maps at the end. For 32 it goes 28, 14, 10, 5, and 16·5·5 = 400;
    for 28 it is 256.

    Raises ValueError when no pixel is left: for input_size below 16.
    """
    # TODO: follow the size through two convolutions and two poolings.
    raise NotImplementedError


class LeNet5(nn.Module):
    """Convolution, pooling, convolution, pooling, and three fully connected layers.

    The convolutions are 5×5, to 6 and to 16 channels, with stride 1 and without padding; the poolings are 2×2 with
    stride 2. Then the maps are flattened, channel by channel, and the fully connected layers lead to 120, 84 and
    num_classes numbers. Every one of the five layers has a bias. (In the paper the layer of 120 is a convolution over
    whole maps, which computes the same. Here it is an nn.Linear.)

    You choose three things: the non-linearity, ReLU or tanh, the same behind each layer but the last; the pooling, mean
    or largest value, both times the same; and whether the non-linearity of a convolution comes before its pooling or
    behind it. At input_size=28, and only there, the first convolution may also pad by 2, as if the image were one of
    32×32.

    The images are square, of input_size. With images of which another number of values is left at the flattening the
    call raises an error; all other sizes are free. Raises ValueError when input_size is below 16.

    in_channels=1, input_size=32: 61,706 parameters. With input_size=28: 44,426 (61,706 where the first convolution
    pads). With in_channels=3, input_size=32: 62,006.
    """

    def __init__(self, in_channels: int = 1, input_size: int = 32, num_classes: int = 10) -> None:
        super().__init__()
        # TODO: make two convolutions and three fully connected layers; flat_features says how many numbers meet them.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, input_size, input_size). Returns the logits, (N, num_classes)."""
        # TODO: the batch stays the batch when the maps are flattened.
        raise NotImplementedError


def shortcut_option_a(x: Tensor, out_channels: int, stride: int) -> Tensor:
    """Make x fit to what a block puts out, without any parameter: leave pixels out, and add channels of zeros.

    A block with a stride has smaller maps and more channels than its input, so its input cannot be added as it is. The
    authors of ResNet tried several remedies; option A takes the pixels at 0, stride, 2·stride, ... of both axes, and
    appends channels of zeros behind those of x until there are out_channels. Of the map of 4×4 that counts from 0 to 15
    stride 2 leaves [[0, 2], [8, 10]].

    x: (N, C, H, W), floating point. Returns: (N, out_channels, H / stride, W / stride), rounded up; dtype and device
    of x. Gradients reach the pixels that were taken.
    Raises ValueError when out_channels is less than C: channels would get lost.
    """
    # TODO: slices take pixels; zeros of which shape, dtype and device are missing?
    raise NotImplementedError


class BasicBlock(nn.Module):
    """Return ``relu(branch(x) + shortcut(x))``, the block of task 9.

    The branch is: 3×3 convolution from in_channels to out_channels with the stride, batch norm, ReLU, 3×3 convolution
    from out_channels to out_channels, batch norm. Both convolutions pad by 1. The shortcut is x itself where stride is
    1 and the numbers of channels agree. Else it is a projection, which is learnt: a 1×1 convolution with the stride and
    without padding, then batch norm. No convolution has a bias: the batch norm behind it would take it away again.

    With all parameters zero the branch is zero, and a block without projection computes relu(x).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        # TODO: make the two convolutions with their norms, and the projection where the shapes differ.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W). Returns (N, out_channels, H / stride, W / stride), rounded up."""
        # TODO: add the shortcut before the last ReLU.
        raise NotImplementedError


class MnistResNet(nn.Module):
    """A stem, three stages of blocks, the mean over height and width, and one fully connected layer.

    The stem is a 3×3 convolution from 1 to 16 channels that pads by 1, then batch norm and ReLU; it has no pooling.
    Stage i holds num_blocks[i] blocks that put out 16, 32 and 64 channels. The first block of stages 2 and 3 has stride
    2, all other blocks have stride 1. ``block`` is called as ``block(in_channels, out_channels, stride)``, with
    arguments by their place; it may be any such class or function, not only `BasicBlock`. The stem's convolution has no
    bias; if you leave it one, that counts as right, too.

    num_blocks is a list or tuple of three numbers, each at least 1, which is not changed. Raises ValueError when there
    are not three. The images may have any size from 4×4 on, and need not be square. Of BasicBlocks, [1, 1, 1], and
    trained for six epochs on 1,000 digits of 14×14 it reads nearly all of those that it has not seen.

    MnistResNet(BasicBlock, [1, 1, 1]) has 77,754 parameters, or 77,770 with a bias in the stem; for [2, 2, 2] they are
    174,970, or 174,986.
    """

    def __init__(self, block, num_blocks: list[int], num_classes: int = 10) -> None:
        super().__init__()
        # TODO: build stem, stages and last layer; each block starts from the channels of the one before.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 1, H, W). Returns the logits, (N, num_classes)."""
        # TODO: stem, stages, mean, last layer.
        raise NotImplementedError


def classify(model: nn.Module, images, batch_size: int = 100) -> Tensor:
    """Return the class that a trained network gives to each image: the place of its largest logit.

    The images are prepared as they were for training, by `prepare_images`. The network runs in evaluation mode and
    without recording gradients, on batch_size images at a time (the last batch may be smaller). Afterwards it is in the
    mode in which it came, and gradients are recorded as before; its parameters and buffers stay as they are.

    model: any network for images (N, 1, H, W) that has parameters, on any device. images: uint8, as for
    `prepare_images`; N may be 0. Returns: (N,), int64, on the CPU, in the order of the images.
    """
    # TODO: remember the mode, ask batch by batch on the device of the parameters, and give the mode back.
    raise NotImplementedError


if __name__ == "__main__":  # python exercises/task31_small_networks.py counts the parameters
    for name, net in {
        "LeNet5()": LeNet5(),
        "MnistResNet(BasicBlock, [1, 1, 1])": MnistResNet(BasicBlock, [1, 1, 1]),
    }.items():
        print(f"{name:<36} {sum(p.numel() for p in net.parameters()):>8,}")
