"""Task 33: MobileNet v1 and Inception.

A convolution looks at a window and mixes channels, both at once, and pays for both at once. Two families of networks
take that apart. MobileNet does one after the other: a convolution for each channel by itself, then one of 1×1 that
mixes; of 18,432 weights for 32 → 64 channels 2,336 are left. Inception does several side by side: windows of 1, 3 and
5 pixels and a pooling look at the same maps, narrow layers of 1×1 make it cheap, and the results are put one behind
the other. You build both, and two later parts of the MobileNet family, and count every parameter.

MobileNetV1Small at 32×32:                             InceptionSmall at 32×32, stem_padding=1:

    conv 3×3, 3 → 32         32 × 32 × 32      960         conv 7×7, stride 2, 3 → 64    64 × 14 × 14    9,600
    block 32 → 32            32 × 32 × 32    1,440         conv 3×3, stride 2 → 128     128 ×  7 ×  7   74,112
    block 32 → 64, /2        64 × 16 × 16    2,528         Inception, 4 × 64            256 ×  7 ×  7  121,696
    block 64 → 64            64 × 16 × 16    4,928         pooling, stride 2            256 ×  4 ×  4
    block 64 → 128, /2      128 ×  8 ×  8    9,152         Inception, 4 × 96            384 ×  4 ×  4  367,936
    block 128 → 128         128 ×  8 ×  8   18,048         pooling, stride 2            384 ×  2 ×  2
    block 128 → 256, /2     256 ×  4 ×  4   34,688         mean over height, width      384
    block 256 → 256         256 ×  4 ×  4   68,864         fully connected               10               3,850
    block 256 → 512, /2     512 ×  2 ×  2  134,912                                          together    577,194
    mean over height, width 512
    fully connected          10              5,130
                               together    280,650

Conventions:

* Maps are (N, channels, height, width), and need not be square or contiguous in memory.
* Layers are those of torch.nn (``nn.Conv2d``, ``nn.BatchNorm2d``, ``nn.Linear``) with their default settings where
  nothing else is said; the names of the attributes are yours, and what has no parameters may be a function. Nothing is
  drawn at random in a pass: there is no dropout. Every parameter is trained, and belongs to one network alone.
* The networks can be built on any device, the ``meta`` device included, which has shapes but no memory.
* What is given is not changed. A call leaves PyTorch's settings as they were: whether gradients are recorded, and the
  default dtype.

Forbidden: ``torchvision`` and other libraries that have such networks ready-made; in `h_swish` also PyTorch's
hardswish, which would leave nothing to write.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def h_swish(x: Tensor) -> Tensor:
    """Return x · min(max(x + 3, 0), 6) / 6, element by element: the activation of MobileNet v3.

    It is 0 up to -3, x itself from 3 on, and a parabola between them: -1/3 at -1, 0 at 0, 2/3 at 1. NaN stays NaN.

    x: floating point, float16 too, of any shape; whatever is not NaN has a finite 6 · x. Returns: the same shape, dtype
    and device.
    """
    # TODO: PyTorch has a function for min(max(x, 0), 6).
    # BEGIN SOLUTION
    return x * F.relu6(x + 3) / 6
    # END SOLUTION


def deconv_output_size(
    n: int, kernel_size: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Return how many pixels a transposed convolution makes of n, along one axis.

    It is a convolution run backwards: n pixels are laid down ``stride`` apart, each grows to the reach of the kernel,
    dilation · (kernel_size - 1) + 1, then ``padding`` is cut off on both sides and ``output_padding`` added on one.
    deconv_output_size(4, 3) is 6, deconv_output_size(4, 3, 2) is 9, and deconv_output_size(7, 3, 2, 1, 1) is 14: the
    layer that undoes a halving.

    Raises ValueError when no pixel is left, and when output_padding is as large as both stride and dilation or larger,
    as ``nn.ConvTranspose2d`` does.
    """
    # TODO: how far apart are the first and the last pixel when they are laid down?
    # BEGIN SOLUTION
    if output_padding >= max(stride, dilation):
        raise ValueError("output_padding is smaller than stride or dilation")
    size = (n - 1) * stride + dilation * (kernel_size - 1) + 1 - 2 * padding + output_padding
    if size < 1:
        raise ValueError("no pixel is left")
    return size
    # END SOLUTION


def conv_bn_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Module:
    """Return a new module: convolution, batch norm, ReLU, in this order.

    The kernel is square, its size odd; the convolution has a bias, and pads by kernel_size // 2, so that stride 1 keeps
    the size, whatever the kernel. conv_bn_relu(128, 64, 1) has 8,384 parameters, conv_bn_relu(128, 64, 3) has 73,920.

    The module maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride), rounded up.
    """
    # TODO: three layers in a row.
    # BEGIN SOLUTION
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
    # END SOLUTION


def depthwise_separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Return a new module: the block of MobileNet v1.

    A 3×3 convolution with the stride and padding 1, from in_channels to in_channels, in which each channel is a group
    of its own (depthwise), batch norm, ReLU; then a 1×1 convolution to out_channels (pointwise), batch norm, ReLU. The
    convolutions have no bias. Channels meet in the second one only.

    depthwise_separable(32, 64) has 32·9 + 32·64 = 2,336 weights in its convolutions, and 2,528 parameters with the
    batch norms. The module maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride), rounded up.
    """
    # TODO: six layers in a row; which argument of nn.Conv2d keeps channels apart?
    # BEGIN SOLUTION
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.ReLU(),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )
    # END SOLUTION


class MobileNetV1Small(nn.Module):
    """A convolution, eight blocks of `depthwise_separable`, the mean over height and width, one fully connected layer.

    The convolution is 3×3 from 3 to 32 channels, with stride 1, padding 1 and a bias; then batch norm and ReLU
    (`conv_bn_relu`). The blocks lead to 32, 64, 64, 128, 128, 256, 256 and 512 channels, with strides 1, 2, 1, 2, 1, 2,
    1, 2. The mean takes what is left of height and width, so that images of any size have one row of logits each.

    MobileNetV1Small() has 280,650 parameters. The output is the logits.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        # TODO: the first convolution, eight blocks, the last layer.
        # BEGIN SOLUTION
        layers, channels = [conv_bn_relu(3, 32, 3)], 32
        for index, width in enumerate((32, 64, 64, 128, 128, 256, 256, 512)):
            layers.append(depthwise_separable(channels, width, 1 + index % 2))
            channels = width
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, num_classes)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W), both sides at least 16. Returns the logits, (N, num_classes)."""
        # TODO: the batch stays the batch, whatever the size of the images.
        # BEGIN SOLUTION
        x = self.features(x)  # (N, 512, H/16, W/16)
        return self.fc(x.mean((2, 3)))
        # END SOLUTION


class SqueezeExcite(nn.Module):
    """Weigh each channel by a number between 0 and 1 that the whole image decides.

    Squeeze: the mean of every channel over height and width. Excite: a fully connected layer from channels to m =
    channels // reduction numbers, ReLU, a fully connected layer back to channels numbers, sigmoid. Each channel of the
    input is multiplied by its number. Both layers have a bias; they are nn.Linear, or convolutions of 1×1, which
    compute the same.

    SqueezeExcite(8) has 8·2 + 2 + 2·8 + 8 = 42 parameters; with all of them zero it halves its input.
    Raises ValueError when reduction is below 1, or so large that no number is left in the middle.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        # TODO: two layers, down and up.
        # BEGIN SOLUTION
        if not 1 <= reduction <= channels:
            raise ValueError("reduction leaves between 1 and channels numbers in the middle")
        self.down = nn.Linear(channels, channels // reduction)
        self.up = nn.Linear(channels // reduction, channels)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, channels, H, W). Returns the same shape."""
        # TODO: mean, two layers, sigmoid; then each channel times its number.
        # BEGIN SOLUTION
        gates = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))  # (N, channels)
        return x * gates[:, :, None, None]
        # END SOLUTION


class InvertedResidual(nn.Module):
    """The block of MobileNet v2: wide in its middle, narrow at its ends, and without a ReLU where it ends.

    With m = in_channels · expand_ratio: 1×1 convolution from in_channels to m, batch norm, ReLU6; depthwise 3×3
    convolution from m to m with the stride and padding 1, batch norm, ReLU6; with use_se=True `SqueezeExcite` of m
    channels with its default reduction; 1×1 convolution from m to out_channels, batch norm. ReLU6 is min(max(x, 0),
    6). The first convolution stands there for expand_ratio=1, too. No convolution has a bias, apart from those that
    SqueezeExcite may be made of.

    Where stride is 1 and in_channels equals out_channels, the input is added to that. Nothing follows, neither here nor
    there: in so few channels a ReLU would throw too much away, so the output has negative values.

    InvertedResidual(4, 4) has 512 parameters, with use_se=True 830.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, expand_ratio: int = 6, use_se: bool = False
    ) -> None:
        super().__init__()
        # TODO: three convolutions with their norms; when may the input be added?
        # BEGIN SOLUTION
        middle = in_channels * expand_ratio
        self.branch = nn.Sequential(
            nn.Conv2d(in_channels, middle, 1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU6(),
            nn.Conv2d(middle, middle, 3, stride, padding=1, groups=middle, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU6(),
            SqueezeExcite(middle) if use_se else nn.Identity(),
            nn.Conv2d(middle, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.adds = stride == 1 and in_channels == out_channels
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W). Returns (N, out_channels, H / stride, W / stride), rounded up."""
        # TODO: the branch, and x where it fits.
        # BEGIN SOLUTION
        return x + self.branch(x) if self.adds else self.branch(x)
        # END SOLUTION


class Inception(nn.Module):
    """Four branches side by side on the same maps, put one behind the other along the channels, in this order.

    1. `conv_bn_relu` of 1×1 to out_channels[0].
    2. `conv_bn_relu` of 1×1 to reduce_channels[0], then of 3×3 to out_channels[1].
    3. `conv_bn_relu` of 1×1 to reduce_channels[1], then of 5×5 to out_channels[2].
    4. The largest of 3×3 with stride 1 and padding 1, then `conv_bn_relu` of 3×3 to out_channels[3].

    All branches keep height and width. (In the paper the last convolution is 1×1, which is much cheaper: 8,384
    parameters for 128 → 64 channels, not 73,920. This network was published with 3×3, and so is ours.)

    Inception(128, [64, 64, 64, 64], [16, 16]) has 121,696 parameters, Inception(256, [96, 96, 96, 96], [32, 32])
    367,936. The two lists may be tuples, and are not changed. Raises ValueError when there are not four numbers in
    out_channels, or not two in reduce_channels.
    """

    def __init__(self, in_channels: int, out_channels: list[int], reduce_channels: list[int]) -> None:
        super().__init__()
        # TODO: four branches.
        # BEGIN SOLUTION
        if len(out_channels) != 4 or len(reduce_channels) != 2:
            raise ValueError("four branches, two of which are reduced")
        one, three, five, pooled = out_channels
        narrow_three, narrow_five = reduce_channels
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(in_channels, one, 1),
                nn.Sequential(conv_bn_relu(in_channels, narrow_three, 1), conv_bn_relu(narrow_three, three, 3)),
                nn.Sequential(conv_bn_relu(in_channels, narrow_five, 1), conv_bn_relu(narrow_five, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), conv_bn_relu(in_channels, pooled, 3)),
            ]
        )
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W). Returns (N, sum of out_channels, H, W)."""
        # TODO: all branches of the same x, along the channels.
        # BEGIN SOLUTION
        return torch.cat([branch(x) for branch in self.branches], dim=1)
        # END SOLUTION


class InceptionSmall(nn.Module):
    """Two convolutions, two modules of `Inception` with a pooling behind each, the mean, one fully connected layer.

    The stem is a 7×7 convolution from 3 to 64 channels with stride 2, a bias and padding stem_padding, batch norm,
    ReLU. Then `conv_bn_relu` of 3×3 from 64 to 128 channels with stride 2. Then Inception(128, [64, 64, 64, 64],
    [16, 16]), the largest of 3×3 with stride 2 and padding 1, Inception(256, [96, 96, 96, 96], [32, 32]), the same
    pooling again, the mean over height and width, and an nn.Linear from 384 to num_classes. The output is the logits.

    stem_padding=1 is what the network was published with: an image of 28×28 becomes 12, 6, 3, 2. A stem that loses
    nothing at the border has stem_padding=3: 14, 7, 4, 2. Either way there are 577,194 parameters.
    """

    def __init__(self, num_classes: int = 10, stem_padding: int = 1) -> None:
        super().__init__()
        # TODO: stem, convolution, two modules with their poolings, last layer.
        # BEGIN SOLUTION
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 7, stride=2, padding=stem_padding),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            conv_bn_relu(64, 128, 3, stride=2),
            Inception(128, [64] * 4, [16, 16]),
            nn.MaxPool2d(3, stride=2, padding=1),
            Inception(256, [96] * 4, [32, 32]),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.fc = nn.Linear(384, num_classes)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, 3, H, W), both sides at least 28. Returns the logits, (N, num_classes)."""
        # TODO: the maps, their mean, the last layer.
        # BEGIN SOLUTION
        x = self.features(x)  # (N, 384, 2, 2) for 28 and 32
        return self.fc(x.mean((2, 3)))
        # END SOLUTION


if __name__ == "__main__":  # python exercises/task33_mobilenet_inception.py counts the parameters
    with torch.device("meta"):
        nets = {"MobileNetV1Small()": MobileNetV1Small(), "InceptionSmall()": InceptionSmall()}
    for name, net in nets.items():
        print(f"{name:<20} {sum(p.numel() for p in net.parameters()):>8,}")
