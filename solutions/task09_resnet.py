"""Task 9: ResNet.

A residual block adds its input to what its two convolutions make of it, so that a deep network starts close
to the identity and gradients have a short way back. Build the basic block, ResNet-18 and ResNet-34, report
every layer, and make the blocks start as plain shortcuts. ResNet-18 has 11,689,512 parameters; so have many
wrong networks.

At 224×224 the feature maps are

    stem: convolution 7×7, stride 2    64 × 112 × 112        max-pool 3×3, stride 2    64 × 56 × 56
    stage 1    64 × 56 × 56        stage 2   128 × 28 × 28
    stage 3   256 × 14 × 14        stage 4   512 ×  7 ×  7
    mean over height and width   512        fully connected   num_classes

Conventions:

* Images are (N, channels, height, width), of any size from 28×28 on.
* Convolutions are ``nn.Conv2d`` without bias, each followed by its own ``nn.BatchNorm2d``; the last layer is
  ``nn.Linear``. ReLU and pooling may be modules or functions, the names of the attributes are yours.
* The output is the logits, without softmax.

Forbidden: ``torchvision``. The networks must be buildable on any device, the ``meta`` device included.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Return ``relu(branch(x) + shortcut(x))``.

    The branch is: 3×3 convolution from in_channels to out_channels with the stride, batch norm, ReLU, 3×3
    convolution from out_channels to out_channels, batch norm. Both convolutions pad by 1. The shortcut is x
    itself where stride is 1 and the numbers of channels agree. Else it is a projection: a 1×1 convolution
    with the stride, then batch norm. ``expansion`` says how many times ``out_channels`` the block's output
    has: once. The block does not change its input.
    """

    expansion = 1

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        # TODO: make the two convolutions with their norms, and the projection where the shapes differ.
        # BEGIN SOLUTION
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W). Returns (N, out_channels, H / stride, W / stride), rounded up."""
        # TODO: add the shortcut before the last ReLU.
        # BEGIN SOLUTION
        out = F.relu(self.bn1(self.conv1(x)))  # (N, out, H/s, W/s)
        out = self.bn2(self.conv2(out))  # (N, out, H/s, W/s)
        return F.relu(out + self.shortcut(x))
        # END SOLUTION


class ResNet(nn.Module):
    """A stem, four stages of blocks, the mean over height and width, and one fully connected layer.

    The stem is a 7×7 convolution to 64 channels with stride 2 and padding 3, batch norm, ReLU, and a 3×3
    max-pool with stride 2 and padding 1. Stage i holds ``layers[i]`` blocks of 64, 128, 256 and 512
    ``out_channels``. The first block of stages 2, 3 and 4 has stride 2, all other blocks have stride 1.
    ``block`` is called as ``block(in_channels, out_channels, stride)`` and puts out ``out_channels *
    block.expansion`` channels; it may be any such class, not only `BasicBlock`.
    """

    def __init__(self, block: type, layers: list[int], num_classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__()
        # TODO: build stem, stages and last layer; each block starts from the channels of the one before.
        # BEGIN SOLUTION
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks = []
        channels = 64
        for width, depth, stride in zip((64, 128, 256, 512), layers, (1, 2, 2, 2), strict=True):
            for index in range(depth):
                blocks.append(block(channels, width, stride if index == 0 else 1))
                channels = width * block.expansion
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(channels, num_classes)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W). Returns the logits, (N, num_classes)."""
        # TODO: stem, stages, mean, last layer.
        # BEGIN SOLUTION
        x = F.relu(self.bn1(self.conv1(x)))  # (N, 64, H/2, W/2)
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)  # (N, 64, H/4, W/4)
        x = self.blocks(x)  # (N, 512, H/32, W/32)
        return self.fc(x.mean((2, 3)))
        # END SOLUTION


def resnet18(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """Return ResNet-18: two blocks in every stage."""
    # TODO: name the block and the depths.
    # BEGIN SOLUTION
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, in_channels)
    # END SOLUTION


def resnet34(num_classes: int = 1000, in_channels: int = 3) -> ResNet:
    """Return ResNet-34: 3, 4, 6 and 3 blocks."""
    # TODO: name the block and the depths.
    # BEGIN SOLUTION
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, in_channels)
    # END SOLUTION


def layer_summary(model: nn.Module, input_size: tuple[int, ...] = (3, 224, 224)) -> list[dict]:
    """Report what each layer of ``model`` puts out, and how many parameters it holds (the function of task
    8).

    A layer is a module without children that the forward pass calls; a model without children is one itself.
    The list has one row for each layer, in the order of the first call; a layer that is called several times,
    or registered under several names, has one row, with the shape of its first output. A row is a dict of

        name           the qualified name, as in ``model.named_modules()``
        type           the name of its class, such as "Conv2d"
        output_shape   a tuple of ints, without the batch axis; where a layer puts out a tuple, as nn.LSTM
                       does, that of the tensor with which it begins
        num_params     how many numbers its own parameters hold, frozen ones too; buffers are not parameters.
                       Where two layers share a parameter, both rows count it

    and of more, if you like. ``model`` is any module with a single tensor as input, in any mode, on any device
    (``meta`` too) and of any floating-point dtype; in eval mode its layers draw nothing at random and leave
    their buffers alone. ``input_size`` is the shape of one input, without the batch axis. Pass more than one: a
    batch norm without running statistics needs several.

    The function leaves no trace, even if the pass raises: the mode of every module (they may differ),
    gradients, parameters, buffers, hooks and the state of the random generator are afterwards what they were
    before.
    """
    # TODO: run one forward pass that watches the layers, and put everything back.
    # BEGIN SOLUTION
    rows: dict[str, dict] = {}

    def watch(name: str):
        def record(module, inputs, output):
            while isinstance(output, (tuple, list)):
                output = output[0]
            num_params = sum(p.numel() for p in module.parameters())
            row = {
                "name": name,
                "type": type(module).__name__,
                "output_shape": tuple(output.shape[1:]),
                "num_params": num_params,
            }
            rows.setdefault(name, row)

        return record

    leaves = [(name, module) for name, module in model.named_modules() if not list(module.children())]
    modes = [(module, module.training) for module in model.modules()]
    some = next(model.parameters(), torch.empty(0))
    hooks = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        model.eval()  # no batch statistics
        with torch.no_grad():
            model(torch.zeros(2, *input_size, dtype=some.dtype, device=some.device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    return list(rows.values())
    # END SOLUTION


def zero_init_residual(model: nn.Module) -> None:
    """Make every `BasicBlock` in ``model`` (which may be a block itself) start as ``relu(shortcut(x))``.

    A block of a class derived from `BasicBlock` is one, too. The last batch norm of each branch gets the scale
    0, and the shift 0; nothing else changes. Works in place.
    """
    # TODO: find the blocks, and zero the last norm of their branch.
    # BEGIN SOLUTION
    for module in model.modules():
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
            nn.init.zeros_(module.bn2.bias)
    # END SOLUTION


if __name__ == "__main__":  # python exercises/task09_resnet.py prints the table
    with torch.device("meta"):
        table = layer_summary(resnet18())
    for row in table:
        shape = "×".join(str(size) for size in row["output_shape"])
        print(f"{row['name']:<24} {row['type']:<18} {shape:>14} {row['num_params']:>12,}")
    print(f"{'together':<58} {sum(row['num_params'] for row in table):>12,}")
