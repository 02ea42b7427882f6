"""Task 24: what one number sees, and what it costs.

Before you train a network you can tell on paper how large a part of the picture one of its outputs sees (its
*receptive field*), how many numbers it learns, and how many multiply-adds one picture takes. Here you write these
counts, measure one of them, and turn a linear layer into a convolution.

A worked example: a 3 x 3 convolution, a 2 x 2 pool with stride 2, another 3 x 3 convolution, no padding. Go
through the layers and keep three numbers. The *size* is how many pixels of the input lie under one unit; a layer
adds (kernel - 1) * dilation * jump. The *jump* is how many pixels two neighbouring units are apart; a layer multiplies
it by its stride. The *start* is where the middle of the very first unit's field lies, counted from 0 at the first
pixel; a layer adds ((kernel - 1) * dilation / 2 - padding) * jump. Size and start use the jump before this layer.

                     size               jump    start
    the picture      1                  1       0
    3 x 3            1 + 2 * 1 = 3      1       0 + 1 * 1 = 1
    2 x 2, stride 2  3 + 1 * 1 = 4      2       1 + 0.5 * 1 = 1.5
    3 x 3            4 + 2 * 2 = 8      2       1.5 + 1 * 2 = 3.5

So one unit at the end sees 8 pixels, 0 to 7, and their middle is 3.5.

Conventions:

- All kernels, strides, paddings and dilations are the same for rows and columns. A module may keep such a setting
  as a number or as a pair of equal numbers; a word, as in padding="same", does not occur.
- A class that is derived from a layer's is such a layer, too.
- A multiply-add (MAC) is one product and one sum, and counts once. Papers that count operations (FLOPs) get twice
  as many: say which one you mean. Adding a bias, normalising, pooling and activations take no multiply-adds here.
- A layer that stands in two places of a network has one set of parameters, and works twice.
- Counts are Python ints.
- A network that is looked at is left as it was: parameters, gradients, buffers, hooks, and the mode of each
  part (training or evaluation). In evaluation mode no part of it changes a buffer.
"""


import torch
from torch import nn
from torch.nn import functional as F


def receptive_field(layers) -> tuple[int, int, float]:
    """Return (size, jump, start) of the units after these layers, by the rules of the worked example.

    ``layers`` is a list. An entry is a tuple (kernel,), (kernel, stride), (kernel, stride, padding) or (kernel, stride,
    padding, dilation); what is left out is stride 1, padding 0, dilation 1. Or it is a module: nn.Conv2d, nn.MaxPool2d
    and nn.AvgPool2d count with their settings, an nn.Sequential stands for what it holds, in order, and every other
    module (activation, norm, dropout, Flatten, Linear, ...) is passed over. In place of a list there may also be one
    module, such as an nn.Sequential. Without layers the result is (1, 1, 0.0).

    Two 3 x 3 see 5 pixels, three see 7, as one 7 x 7 does. A 3 x 3 with dilation 6 sees 13, with dilation 24: 49.
    """
    # TODO: bring every layer to (kernel, stride, padding, dilation), then go through them with three numbers.
    raise NotImplementedError


def count_params(model: nn.Module) -> int:
    """Return how many numbers a network has as parameters.

    Those that are frozen (requires_grad=False) count too: they are stored like the others. Buffers, such as the running
    mean of a batch norm, do not. A parameter that two layers share counts once.

    nn.Conv2d(3, 2, 3) has 2 filters of 3 * 3 * 3 weights and a bias each: 56, whatever the size of the picture.
    """
    # TODO: add up the sizes of all parameters.
    raise NotImplementedError


def count_macs(model: nn.Module, input_size) -> int:
    """Return how many multiply-adds one sample takes in the nn.Conv2d and nn.Linear layers of a network.

    ``input_size`` is the size of one sample, without the axis of the batch, as in (1, 28, 28). A convolution takes one
    multiply-add for each weight of a filter at each place of its *output*, for every filter; groups make the filters
    smaller. A linear layer takes in_features * out_features for each vector that it is given: one for a sample that
    is flat, L for a sample (L, in_features), H * W for (H, W, in_features). A layer that works twice counts twice, and
    one that is not called does not count. Other layers (norms, pools, activations, transposed convolutions and the
    like) count nothing.

    nn.Conv2d(1, 32, 5, padding=2) on (1, 28, 28): 25 weights * 32 filters * 28 * 28 places = 627,200.

    The layers are those that run when the network is called; they may lie within each other as deep as
    they like. All parameters lie on one device, in one floating dtype; the sample has to, as well. A network without
    parameters takes 0.
    """
    # TODO: let a forward hook on each layer look at its output while one sample of zeros runs through.
    raise NotImplementedError


def conv_cost(kind, cin, cout, k, h, w, groups=1) -> tuple[int, int]:
    """Return (weights, multiply-adds) of a k x k convolution from ``cin`` to ``cout`` channels, without biases.

    ``h`` x ``w`` is the size of its output. ``kind`` is

    - "standard": every filter sees all input channels;
    - "grouped": the channels are cut into ``groups`` equal blocks, and a filter sees one block of the input;
    - "depthwise_separable": one k x k filter for each input channel by itself, then a standard 1 x 1 convolution
      from cin to cout channels. Both have an output of h x w.

    The other two kinds ignore ``groups``. From 32 to 64 channels with k = 3, "standard" has 18,432 weights,
    "grouped" in 4 groups 4,608, and "depthwise_separable" 288 + 2,048 = 2,336: 7.89 times less than "standard".

    Raises ValueError for another kind, and for "grouped" when groups does not divide cin and cout.
    """
    # TODO: count the weights of the kind; each takes part at every place of the output.
    raise NotImplementedError


def fc_vs_conv(h, w, units, k) -> tuple[int, int, int]:
    """Return how many weights it takes to connect a grey picture of ``h`` x ``w`` pixels with ``units`` units.

    Three counts, without biases: (full, local, shared). Full: every unit is connected with every pixel. Local: every
    unit has k x k weights of its own, for the pixels of its place. Shared: all units use the same k x k weights, each
    at its own place, which is a convolution with one filter.

    200 x 200 pixels, 10,000 units, 4 x 4: (400000000, 160000, 16).
    """
    # TODO: three products.
    raise NotImplementedError


def linear_to_conv(linear: nn.Linear, c, h, w) -> nn.Conv2d:
    """Return the convolution that computes what a linear layer computes of a flattened map (C, H, W).

    On maps of (N, c, h, w) the result, an nn.Conv2d with a kernel of h x w, gives (N, out_features, 1, 1): the numbers
    that linear(x.flatten(1)) gives. On a larger map it gives them for every place of the window h x w at once, in one
    pass. flatten takes the channels one after the other, and in each the rows one after the other.

    The convolution has parameters of its own, with the same values, in the same dtype and on the same device; changing
    one of the two layers later does not change the other. It has a bias when ``linear`` has one. Its parameters require
    gradients; ``linear`` is left as it was.

    Raises ValueError when c * h * w is not in_features.
    """
    # TODO: make the layer, then copy the values in another shape.
    raise NotImplementedError


def empirical_receptive_field(model: nn.Module) -> int:
    """Measure how many pixels one unit sees, on one axis: from the first to the last pixel with a gradient.

    Take the unit in the middle of the output, and ask autograd by which pixels it changes. The model's own weights
    are no help: a weight of 0, or a ReLU that is dead, hides pixels that the unit could see. So measure on a copy of
    the model which has positive weights, no biases, and norms that change nothing. A maximum passes its gradient to one
    pixel only; a mean over the same window sees the same pixels, and passes it to all.

    ``model`` is an nn.Sequential, perhaps with others in it, of nn.Conv2d, nn.MaxPool2d (dilation 1), nn.AvgPool2d,
    nn.BatchNorm2d, nn.ReLU, nn.Dropout, and windows that receptive_field passes over, such as nn.LPPool2d(2, 3, 2) with
    a kernel of 3 and stride 2: so measure, and do not calculate. The input has as many channels as the first
    convolution takes, or one without a convolution. The unit in the middle means all its channels together.
    Choose a picture so large that the field does not reach its border: up to 250 pixels, of up to 20 convolutions, are
    asked for.

    conv 3 x 3, pool 2 x 2, conv 3 x 3 give 8.
    """
    # TODO: copy, make it positive, run it on a large picture, and look where the gradient of one unit is not 0.
    raise NotImplementedError
