"""Task 8: VGG.

VGG is a stack of 3×3 convolutions, interrupted by five max-pools that halve the image, and closed by three
fully connected layers. The whole family is written down in four lists; one builder turns a list into a
network. Build it, and report the size of every feature map and the number of parameters of every layer: that
of VGG-11 at 224×224 is

    conv  3 →  64    64 × 224 × 224          1,792
    pool             64 × 112 × 112
    conv  64 → 128  128 × 112 × 112         73,856
    ...
    linear 4096 → 1000         1000      4,097,000        together 132,863,336

A configuration is a list of numbers and letters: a number is a convolution with that many output channels,
"M" is a max-pool.

Conventions:

* Images are (N, channels, height, width).
* Convolutions are ``nn.Conv2d``, fully connected layers ``nn.Linear``, normalisations ``nn.BatchNorm2d``;
  ReLU and pooling may be modules or functions, the names of the attributes are yours. Every parameter is
  trained, and belongs to one network alone.
* Images need not be contiguous in memory.

Forbidden: ``torchvision``. The networks must be buildable on any device, the ``meta`` device included (a
device that has shapes but no memory), where VGG-11 costs nothing.
"""

import torch
from torch import Tensor, nn

# TODO: fill in the four configurations "vgg11", "vgg13", "vgg16" and "vgg19".
# BEGIN SOLUTION
# STUB: VGG_CONFIGS: dict[str, list] = {}
VGG_CONFIGS: dict[str, list] = {
    "vgg11": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg13": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg16": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}
# END SOLUTION


def make_layers(config: list, in_channels: int = 3, batch_norm: bool = False) -> nn.Sequential:
    """Return the convolutional part of a VGG as one ``nn.Sequential``.

    A number n in ``config`` becomes a 3×3 convolution with n output channels, a bias and a padding that keeps
    the size, then (with ``batch_norm=True``) a batch norm, then a ReLU. "M" becomes a max-pool that halves
    height and width, rounding down. Maps (N, in_channels, H, W) to (N, last number, H / 2^p, W / 2^p), where p
    is the number of "M". ``config`` is not changed.
    """
    # TODO: walk along the list, and remember the number of channels.
    # BEGIN SOLUTION
    layers: list[nn.Module] = []
    for item in config:
        if item == "M":
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(in_channels, item, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(item))
        layers.append(nn.ReLU(inplace=True))
        in_channels = item
    return nn.Sequential(*layers)
    # END SOLUTION


class VGG(nn.Module):
    """The convolutional part of `make_layers`, then a classifier of three fully connected layers.

    The classifier is c·7·7 → 4096, ReLU, dropout, 4096 → 4096, ReLU, dropout, 4096 → num_classes, where c is
    the last number in ``config``. Its input is the feature map of 7×7 (which five pools leave of 224×224, and
    two of 28×28), flattened channel by channel. Images that leave another size need not work; they do if you
    put ``nn.AdaptiveAvgPool2d(7)`` before the classifier. ``dropout`` is the probability of both dropouts,
    which act as ``nn.Dropout`` does, only in training mode; there is no other. The output is the logits,
    without softmax. ``config`` is not changed.
    """

    def __init__(
        self,
        config: list,
        num_classes: int = 1000,
        in_channels: int = 3,
        batch_norm: bool = False,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        # TODO: build the convolutional part and the classifier.
        # BEGIN SOLUTION
        self.features = make_layers(config, in_channels, batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        channels = [item for item in config if item != "M"][-1]
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, in_channels, H, W). Returns the logits, (N, num_classes)."""
        # TODO: chain the two parts.
        # BEGIN SOLUTION
        x = self.avgpool(self.features(x))  # (N, c, 7, 7)
        return self.classifier(torch.flatten(x, 1))  # (N, num_classes)
        # END SOLUTION


def vgg11(num_classes: int = 1000, **kwargs) -> VGG:
    """Return VGG-11; the keyword arguments are those of `VGG`."""
    # TODO: hand the configuration over.
    # BEGIN SOLUTION
    return VGG(VGG_CONFIGS["vgg11"], num_classes, **kwargs)
    # END SOLUTION


def layer_summary(model: nn.Module, input_size: tuple[int, ...] = (3, 224, 224)) -> list[dict]:
    """Report what each layer of ``model`` puts out, and how many parameters it holds.

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
        model.eval()  # no dropout, and no batch statistics
        with torch.no_grad():
            model(torch.zeros(2, *input_size, dtype=some.dtype, device=some.device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    return list(rows.values())
    # END SOLUTION


if __name__ == "__main__":  # python exercises/task08_vgg.py prints the table
    with torch.device("meta"):
        table = layer_summary(vgg11())
    for row in table:
        shape = "×".join(str(size) for size in row["output_shape"])
        print(f"{row['name']:<16} {row['type']:<18} {shape:>14} {row['num_params']:>12,}")
    print(f"{'together':<50} {sum(row['num_params'] for row in table):>12,}")
