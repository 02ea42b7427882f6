"""Task 32: VGG-like and ResNet for CIFAR, and a block that is repaired.

Published networks are made for photographs of 224×224. For the small pictures of CIFAR, 32×32, people cut them down,
and that is where mistakes come in that no paper warns of: a map that becomes too small for the next layer, a loss that
normalises what is normalised already, a "slimmer" block that is changed in one place out of three. Here are two such
networks, and the three mistakes:

* The VGG-like network was cut for 28×28. Its third pooling pads, or else 28 → 14 → 7 → 3 → 1 leaves less than the last
  layer wants; `pooled_sizes` follows the sizes.
* It was trained with log-probabilities in place of logits. Whether that is a mistake is what `normalized_log_probs`
  shows (it is none) and `softmax_loss_floor` (with probabilities it is).
* In the residual network somebody made the first convolution of a block four times narrower and forgot the rest:
  `BrokenBlock`. You write what finds the layer, `find_mismatch`, and the block as it was meant, `ResidualBlock`.

The networks at 32×32, with the number of parameters of each part:

    VGGBase                                         CifarResNet
    conv 3 → 64                64 × 32 × 32         stem, conv 3 → 32          32 × 32 × 32         928
    pooling                    64 × 16 × 16         stage 1, 2 blocks          64 × 16 × 16     131,712
    conv 64 → 128 → 128       128 × 16 × 16         stage 2, 2 blocks         128 ×  8 ×  8     525,568
    pooling                   128 ×  8 ×  8         stage 3, 2 blocks         256 ×  4 ×  4   2,099,712
    conv 128 → 256 → 256      256 ×  8 ×  8         stage 4, 2 blocks         512 ×  2 ×  2   8,393,728
    pooling that pads         256 ×  5 ×  5         mean over height, width   512
    conv 256 → 512 → 512      512 ×  5 ×  5         fully connected            10             5,130
    pooling                   512 ×  2 ×  2                                       together 11,156,778
    fully connected  2048 → 10                      together 4,672,650

Conventions:

* Images are (N, 3, height, width), and need not be square or contiguous in memory.
* Layers are those of torch.nn (``nn.Conv2d``, ``nn.BatchNorm2d``, ``nn.Linear``) with their default settings where
  nothing else is said; the names of the attributes are yours, and what has no parameters may be a function. Nothing is
  drawn at random in a pass: there is no dropout. Every parameter is trained, and belongs to one network alone.
* The networks can be built on any device, the ``meta`` device included, which has shapes but no memory.
* What is given is not changed.

Forbidden: ``torchvision`` and other libraries that have such networks ready-made.
"""


import torch
from torch import Tensor, nn
from torch.nn import functional as F


def pooled_sizes(size: int) -> list[int]:
    """Return the side of a square image of size × size behind each of the four poolings of `VGGBase`.

    Every pooling takes the largest of 2×2 pixels with stride 2, and leaves out a row and a column that is left over.
    The third one pads by 1 on every side first, so that it makes 4 of 7, and 5 of 8. The convolutions keep the size.

    pooled_sizes(28) is [14, 7, 4, 2], pooled_sizes(32) is [16, 8, 5, 2], pooled_sizes(64) is [32, 16, 9, 4].
    Raises ValueError where a pooling leaves no pixel: for sizes from 0 to 7.
    """
    # TODO: one step for each pooling; the third differs.
    raise NotImplementedError


def conv_block(in_channels: int, out_channels: int) -> nn.Module:
    """Return a new module: 3×3 convolution that keeps the size, batch norm, ReLU, in this order.

    The convolution has a bias. (The batch norm takes it away again; the authors of the network kept it, and so do we.)
    conv_block(3, 64) has 3·64·9 + 64 parameters in its convolution and 64 + 64 in its batch norm: 1,920.

    The module maps (N, in_channels, H, W) to (N, out_channels, H, W).
    """
    # TODO: three layers in a row.
    raise NotImplementedError


def normalized_log_probs(logits: Tensor) -> Tensor:
    """Return the logarithms of the probabilities that ``logits`` stand for: log softmax, over the last axis.

    They are logits, too, of the same probabilities: x - log Σ exp(x), all moved by one number so that the probabilities
    add up to 1. So what is normalised stays as it is when it is normalised again, and the cross-entropy, which
    normalises by itself, has the same value and the same gradient with them as with the logits. That is why a network
    that ends in log-probabilities is trained as well by ``F.cross_entropy`` as one that ends in logits.

    Of [0, log 3] it makes [-log 4, log 3 - log 4] = [-1.3863, -0.2877]. Logits of ±1000 are no trouble: [1000, 0]
    becomes [0, -1000].

    logits: (..., classes), floating point, float16 too; any number of axes from 1 on, and the others may be of length
    0. Returns: the same shape, dtype and device. PyTorch's own functions are allowed.
    """
    # TODO: the last axis, whatever the number of axes.
    raise NotImplementedError


def softmax_loss_floor(num_classes: int = 10) -> float:
    """Return the smallest cross-entropy that a network can reach which ends in probabilities in place of logits.

    ``F.cross_entropy`` takes what it gets for logits and applies its own softmax. The best that probabilities can say
    is 1 for the right class and 0 for the others, and as logits these are far from sure: for two classes softmax makes
    e / (e + 1) = 0.7311 of it, and the loss is -log 0.7311 = 0.3133. For ten classes it is 1.4612, for one class 0.
    A loss that stops falling at 1.46 is how you notice a softmax too many.

    Raises ValueError for num_classes below 1.
    """
    # TODO: the cross-entropy of the logits 1, 0, ..., 0 for the first class.
    raise NotImplementedError


class VGGBase(nn.Module):
    """Seven convolutions in four groups, a pooling behind each, and one fully connected layer.

    Each convolution is one of `conv_block`: convolution with bias, batch norm, ReLU. The groups are 64; 128, 128; 256,
    256; 512, 512. The poolings are those of `pooled_sizes`: the largest of 2×2 with stride 2, the third with padding 1.
    The last maps, 512 × 2 × 2 for images of 28×28 and of 32×32, are flattened channel by channel, and one nn.Linear
    leads from 2048 to num_classes.

    Larger images are taken, too: there the last maps are brought to 2×2 by adaptive pooling, by its mean or by its
    largest value, as you like (``nn.AdaptiveAvgPool2d(2)`` leaves 2×2 as it is, so it may always stand there).

    With log_probs=False the output is the logits: no softmax, no log-softmax. With log_probs=True it is
    `normalized_log_probs` of the logits. Both networks have the same 4,672,650 parameters.
    """

    def __init__(self, num_classes: int = 10, log_probs: bool = False) -> None:
        super().__init__()
        # TODO: seven blocks, four poolings, one fully connected layer.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W), both sides at least 28. Returns (N, num_classes)."""
        # TODO: the batch stays the batch when the maps are flattened.
        raise NotImplementedError


class BrokenBlock(nn.Module):
    """A residual block that somebody wanted to make slimmer. It is built without an error, and cannot run.

    It is here to be looked at, and to be handed to `find_mismatch`; leave it as it is.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels // 4, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + x)


def find_mismatch(model: nn.Module, input_size: tuple[int, ...]) -> tuple[str, int, int] | None:
    """Return the first layer of ``model`` that gets another number of channels than it was built for.

    find_mismatch(BrokenBlock(64, 64), (64, 8, 8)) is ("bn1", 64, 16): the qualified name, as in
    ``model.named_modules()``, how many channels the layer was built for, and how many it gets. None when every layer
    fits. "First" is in the order in which the pass calls them; a layer may be called several times.

    Looked at are nn.Conv2d (``in_channels``), nn.BatchNorm2d (``num_features``) and nn.Linear (``in_features``), and
    classes made from them, at any depth; channels are axis 1 of what a layer gets, for nn.Linear its last axis. The
    model may be such a layer itself, whose name is "".

    model: any module with a single tensor as input, in any mode, on any device (``meta`` too), of any floating-point
    dtype, and not changed; in eval mode its layers draw nothing at random and leave their buffers alone. input_size:
    the shape of one input, without the batch axis; pass two of them. An error of the pass that has another cause is
    not caught.

    The function leaves no trace, even if the pass raises: the mode of every module (they may differ), gradients,
    parameters, buffers and hooks are afterwards what they were before, and it does not draw at random.
    """
    # TODO: a pre-hook sees what a layer gets before the layer complains; put everything back.
    raise NotImplementedError


class ResidualBlock(nn.Module):
    """Return ``relu(branch(x) + shortcut(x))``; with ``reduction`` the branch is narrow in its middle.

    The branch is: 3×3 convolution from in_channels to m channels with the stride, batch norm, ReLU, 3×3 convolution
    from m to out_channels, batch norm, where m = out_channels // reduction (rounded down: 6 // 4 = 1). Both
    convolutions pad by 1. reduction=1 is the usual block, reduction=4 the one that `BrokenBlock` wanted to be.

    The shortcut is x itself where stride is 1 and the numbers of channels agree. Else it is a projection: a 1×1
    convolution with the stride and without padding, then batch norm; reduction does not touch it. No convolution has a
    bias.

    ResidualBlock(64, 64) has 73,984 parameters, ResidualBlock(64, 64, reduction=4) has 18,592.
    Raises ValueError when reduction is below 1, or so large that no channel is left in the middle.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, reduction: int = 1) -> None:
        super().__init__()
        # TODO: make the two convolutions with their norms, and the projection where the shapes differ.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W). Returns (N, out_channels, H / stride, W / stride), rounded up."""
        # TODO: add the shortcut before the last ReLU.
        raise NotImplementedError


class CifarResNet(nn.Module):
    """A stem, four stages of two `ResidualBlock`, the mean over height and width, and one fully connected layer.

    The stem is a 3×3 convolution from 3 to 32 channels that pads by 1, without a bias, then batch norm and ReLU; it has
    no pooling. The stages put out 64, 128, 256 and 512 channels. The first block of every stage has stride 2, that of
    the first stage, too; the second block has stride 1. Every block has the given reduction. The mean takes what is
    left of height and width, 2×2 for images of 28×28 and 32×32; the last layer is an nn.Linear with a bias. The output
    is the logits.

    CifarResNet() has 11,156,778 parameters, CifarResNet(reduction=4) has 2,928,618.
    """

    def __init__(self, num_classes: int = 10, reduction: int = 1) -> None:
        super().__init__()
        # TODO: build stem, stages and last layer; each block starts from the channels of the one before.
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W), both sides at least 16. Returns the logits, (N, num_classes)."""
        # TODO: stem, stages, mean, last layer.
        raise NotImplementedError


if __name__ == "__main__":  # python exercises/task32_cifar_networks.py counts the parameters
    with torch.device("meta"):
        nets = {"VGGBase()": VGGBase(), "CifarResNet()": CifarResNet(), "reduced": CifarResNet(reduction=4)}
    for name, net in nets.items():
        print(f"{name:<16} {sum(p.numel() for p in net.parameters()):>12,}")
    print("the broken block:", find_mismatch(BrokenBlock(64, 64), (64, 8, 8)))
