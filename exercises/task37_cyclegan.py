"""Task 37: the parts of a CycleGAN, which learns to redraw pictures without pairs.

There are photographs of A (horses, summer, warm light) and others of B (zebras, winter, cold light), and no picture of
A has a partner in B. Two generators learn to redraw: ``g_ab`` makes pictures of B from pictures of A, ``g_ba`` the
other way round. Two discriminators, ``d_a`` and ``d_b``, say whether a picture looks like a real one of A and of B.
What keeps a redrawn picture the same scene is the cycle: redrawn twice, it has to be itself again.

You write the data set, a padding, the two networks, the losses, a memory of drawn pictures, the decay of the learning
rate, and the step of the generators. Every part can be written by itself.

Conventions
- Images are tensors (N, C, H, W), floats; a network takes and gives images with values from -1 to 1.
- A loss is a scalar tensor of the dtype of its input. Gradients flow through it to all tensors that it was made of,
  images as well as parameters. Means are over all elements.
- Arguments keep their values. Nothing is printed, nothing is fetched from a network.
- ``reflection_pad2d`` does without PyTorch's and NumPy's own padding (``F.pad``, ``nn.ReflectionPad2d``, ``np.pad``
  and the like), which is what you write there. The networks may use ``nn.ReflectionPad2d``.
- PyTorch's other layers and losses are allowed; torchvision is not.
"""


import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset


def lambda_lr(epoch, start, total):
    """The factor of the learning rate in an epoch: constant at first, then falling to 0 in a straight line.

    It is 1.0 up to epoch ``start`` (included), 0.0 from epoch ``total`` on, and linear between the two. 0 <= start <
    total; an epoch may be any integer from 0 on. Returns a float.

    Example: with start=100 and total=200 it is 1.0 in the epochs 0 and 100, 0.99 in 101, 0.5 in 150, 0.0 in 200 and
    250.
    """
    # TODO: how much of the way from start to total is left? Never more than all of it, never less than nothing.
    raise NotImplementedError


def gan_loss(pred, is_real):
    """The least-squares loss of a discriminator's judgement: the mean of (pred - 1)² or of pred².

    pred: a tensor of any shape, such as one number for each patch. ``is_real``: whether the judged images are to be
    taken for real (target 1) or for drawn (target 0). There is no sigmoid and no factor 1/2.

    Example: pred = [3, 0] costs (4 + 1) / 2 = 2.5 as real and (9 + 0) / 2 = 4.5 as drawn.
    """
    # TODO: the mean squared distance from the target.
    raise NotImplementedError


def cycle_loss(g_ab, g_ba, real_a, real_b):
    """How far images are from themselves after they were redrawn twice: the mean absolute difference of
    g_ba(g_ab(real_a)) and real_a, plus that of g_ab(g_ba(real_b)) and real_b.

    The sum of the two, without a weight. The images of A and of B may differ in size and number.

    Example: g_ab doubles, g_ba adds 1, real_a is 3 everywhere, real_b 5. Redrawn twice A is 7 and B is 12, so the loss
    is 4 + 7 = 11.
    """
    # TODO: there and back again, for both sides.
    raise NotImplementedError


def identity_loss(g_ab, g_ba, real_a, real_b):
    """How far a generator changes what is right already: ``g_ab`` makes pictures of B, so one of B should stay as it
    is.

    The mean absolute difference of g_ab(real_b) and real_b, plus that of g_ba(real_a) and real_a; no weight.

    Example: g_ab doubles, g_ba adds 1, real_a is 3 everywhere, real_b 5: 5 + 1 = 6.
    """
    # TODO: which generator belongs to which images?
    raise NotImplementedError


def reflection_pad2d(x, padding):
    """Mirror the border of an image outwards, the outermost pixels being the mirrors, which are not repeated.

    x: (N, C, H, W) or (C, H, W), any dtype. ``padding``: one number for all sides, or (left, right, top, bottom) as a
    tuple or a list. The result has height top + H + bottom and width left + W + right, the dtype of x, and gradients
    flow back to every pixel that a value came from. A side can be mirrored once only: left and right have to be smaller
    than W, top and bottom smaller than H, and none is negative; otherwise ValueError. N and C may be 0.

    Example: [[0, 1, 2], [3, 4, 5], [6, 7, 8]] with padding (1, 1, 2, 0) becomes
        7 6 7 8 7
        4 3 4 5 4
        1 0 1 2 1
        4 3 4 5 4
        7 6 7 8 7
    """
    # TODO: which column of x stands in each column of the result? The same question for the rows.
    raise NotImplementedError


class ResidualBlock(nn.Module):
    """x plus what two convolutions make of it: (N, channels, H, W) -> the same shape.

    Reflection padding by 1, a 3x3 convolution without padding of its own, instance normalisation, ReLU; then padding,
    convolution and normalisation once more. Their result is added to x; nothing follows the sum. Both convolutions keep
    the number of channels and have biases; the normalisation is that of ``nn.InstanceNorm2d(channels)``, without
    parameters. With 8 channels it has 2 * (8 * 8 * 9 + 8) = 1,168 parameters.
    """

    def __init__(self, channels):
        super().__init__()
        # TODO: make the layers.
        raise NotImplementedError

    def forward(self, x):
        # TODO: add.
        raise NotImplementedError


class Generator(nn.Module):
    """Redraws images: (N, in_channels, H, W) -> (N, out_channels, H, W) with values from -1 to 1.

    H and W are multiples of 4, and at least 8. In order, with f = features:
    - reflection padding by 3, a 7x7 convolution to f channels;
    - two convolutions 3x3 with stride 2 and padding 1 (zeros), to 2f and to 4f channels: a quarter of H and W;
    - ``num_blocks`` times ResidualBlock(4f);
    - two transposed convolutions 3x3 with stride 2, padding 1 and output_padding 1, to 2f and to f channels;
    - reflection padding by 3, a 7x7 convolution to out_channels, Tanh.
    Instance normalisation (without parameters) and ReLU follow each convolution outside of the blocks but the last.
    All convolutions have biases. With the defaults there are 11,378,179 parameters.
    """

    def __init__(self, in_channels=3, out_channels=3, features=64, num_blocks=9):
        super().__init__()
        # TODO: make the layers.
        raise NotImplementedError

    def forward(self, x):
        # TODO: redraw.
        raise NotImplementedError


class PatchDiscriminator(nn.Module):
    """Judges images patch by patch: (N, in_channels, H, W) -> one number for each patch, (N, 1, h, w).

    Five convolutions 4x4 with padding 1 and biases, with f = features: to f, 2f and 4f channels with stride 2, to 8f
    and to 1 with stride 1. LeakyReLU with slope 0.2 follows each but the last; between them stands instance
    normalisation (without parameters), but not after the first convolution. There is no sigmoid: ``gan_loss`` takes the
    numbers as they are. Images of 64x64 give 6x6 numbers. With the defaults there are 2,764,737 parameters.
    """

    def __init__(self, in_channels=3, features=64):
        super().__init__()
        # TODO: make the layers.
        raise NotImplementedError

    def forward(self, x):
        # TODO: judge.
        raise NotImplementedError


def init_weights(net):
    """Initialise a whole network in place: convolutions start small.

    In every nn.Conv2d and nn.ConvTranspose2d within ``net``, however deep, or ``net`` itself, the weight is drawn from
    a normal distribution with mean 0 and standard deviation 0.02, and the bias, where there is one, becomes 0. All
    other parameters stay as they are, and all remain the same objects, since an optimiser may hold them already.
    """
    # TODO: go through the modules of the network.
    raise NotImplementedError


class ReplayBuffer:
    """A memory of the last drawn images, from which the discriminator gets old ones, too, so that it does not forget.

    max_size: how many images it keeps; an integer from 0 on. With 0 it keeps none and gives back what comes.
    """

    def __init__(self, max_size=50):
        # TODO: what has to be remembered?
        raise NotImplementedError

    def push_and_pop(self, images):
        """images: (N, C, H, W), N >= 1. Returns as many images, of the same shape, dtype and device, without a graph.

        They are taken one by one, in their order. While fewer than max_size images are kept, the image is kept and is
        itself the answer. When the memory is full, chance decides for each image by itself: in half of the cases the
        image is the answer, and the memory stays as it is; in the other half one of the kept images is the answer (each
        equally likely), and the new image takes its place. What is answered has left the memory, or never was in it:
        but for those with which the memory is filled, no image is answered twice.

        Chance is that of Python's ``random`` or of torch's global generator. Nobody overwrites the images afterwards,
        so they need no copying. The images that come may belong to a graph, which is not to be kept alive by the
        memory.
        """
        # TODO: for each image: keep it, pass it on, or swap it.
        raise NotImplementedError


class UnpairedImageDataset(Dataset):
    """Two folders of pictures that do not belong together: root/mode/A and root/mode/B.

    Pictures are the files directly in these folders whose names end in .png, .jpg or .jpeg, in capitals or not; all
    other files are ignored. Each folder is sorted by name, as Python sorts text. The length is that of the longer one.

    Item i, for i from 0 to length - 1, is the dict {"A": ..., "B": ...}. A is picture i modulo the number of pictures
    in A. B is drawn anew whenever the item is asked for, each picture of B equally likely, if ``unaligned``, so that no
    pairs form; otherwise it is picture i modulo the number in B. Chance is that of Python's ``random`` or of torch's
    global generator, so that seeding both gives the same items again.

    Every picture is opened when it is asked for, and becomes RGB whatever its mode (grey, palette, with transparency).
    ``transform`` is a callable that takes the PIL picture, or a list of callables, the first of which takes the picture
    and each other what the one before it gave; what comes out last is the item's A or B. With None a picture becomes a
    float32 tensor (3, 256, 256) with values from 0 to 1, resized to 256x256 whatever its shape, so that all samples
    have one size (bilinear, bicubic or the like).

    A folder that does not exist, or in which there is no picture, raises FileNotFoundError, ValueError or RuntimeError
    in the constructor. The data set goes to other processes, so it can be pickled.
    """

    def __init__(self, root, transform=None, mode="train", unaligned=True):
        # TODO: list both folders, keep the paths.
        raise NotImplementedError

    def __len__(self):
        # TODO: count.
        raise NotImplementedError

    def __getitem__(self, index):
        # TODO: choose the two paths, open the pictures, convert and transform them.
        raise NotImplementedError


def generator_step(g_ab, g_ba, d_a, d_b, optimizer, real_a, real_b, weight_cycle=10.0, weight_identity=5.0):
    """One step of both generators against both discriminators.

    The loss is gan + weight_cycle * cycle + weight_identity * identity. Here gan is gan_loss(d_b(g_ab(real_a)), True) +
    gan_loss(d_a(g_ba(real_b)), True): a drawn image wants to be taken for a real one of the side that it imitates.
    cycle and identity are ``cycle_loss`` and ``identity_loss`` of these images. ``optimizer`` holds the parameters of
    both generators; gradients that something else left in them do not count.

    The discriminators only judge: their parameters and the gradients of these stay as they are (None stays None), and
    what required gradients does so afterwards. All networks keep their mode.

    Returns a dict of floats: "loss", the sum above, and "gan", "cycle" and "identity", its parts without weights, all
    before the step is taken. Further keys do no harm.
    """
    # TODO: the three losses, then one step; the discriminators stand still meanwhile.
    raise NotImplementedError
