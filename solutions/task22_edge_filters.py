"""Task 22: edge filters, and the arithmetic of a sliding window.

Slide a small table of numbers, a *filter* or *kernel*, over a grey picture. At each place multiply what
lies under it number by number, and add up. Where the picture is even, the taps of an edge filter cancel
each other; where bright turns to dark, they do not. Networks learn such filters by themselves: so will
you, at the end.

A picture of 6 x 6 pixels, bright on its left side (10) and dark on its right (0), under the plain filter
for vertical edges:

    10 10 10  0  0  0                          0 30 30  0
    10 10 10  0  0  0         1  0 -1          0 30 30  0
    10 10 10  0  0  0    *    1  0 -1    =     0 30 30  0
    10 10 10  0  0  0         1  0 -1          0 30 30  0
    10 10 10  0  0  0
    10 10 10  0  0  0

Each 30 is 3 rows times 10 * 1. Sobel's filter finds 40 there, Scharr's 160, the filter for horizontal edges
0. Turned round by 180 degrees the filter finds -30: from dark to bright is negative, and it has to stay so.

Conventions:

- A picture is (H, W): rows, columns. Its numbers may be float32, float64, or whole numbers of any dtype such
  as uint8; its order in memory may be any. A kernel is (KH, KW), not always square.
- A result has the dtype of the picture where that is floating, and is float32 where it is not. A kernel of
  another dtype is converted to that. Results are on the device of the picture.
- What lies beyond the border is 0. Three modes say how far the kernel goes, on each axis with n pixels
  and f taps:

      "valid"   only where it lies in the picture as a whole      n - f + 1 places
      "same"    with its middle on every pixel, so f is odd       n places
      "full"    wherever it touches the picture                   n + f - 1 places

- Gradients flow through cross_correlate2d, convolve2d and gradient_magnitude, to picture and kernel. No
  argument is ever changed.

Forbidden in cross_correlate2d and convolve2d: PyTorch's convolutions (F.conv2d, nn.Conv2d, their 1-D, 3-D and
transposed relatives), since they are what you build here. pad, unfold, slices, einsum, fft, ... are yours.
The number of PyTorch calls must not depend on the size of the picture: a loop over the taps of the kernel is
fine, a loop over pixels is not. All other functions may use what they like, F.conv2d too, except where
they say otherwise.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def output_size(n, f, padding=0, stride=1) -> int:
    """Return at how many places a kernel of ``f`` taps fits on an axis of ``n`` pixels, as a Python int.

    ``padding`` adds so many zeros at *each* end, or is one of the words "valid" (none), "same" and "full" (as
    many as the conventions ask for). The kernel starts at the first number and moves on by ``stride`` as
    long as it fits as a whole; a rest that is too short for one more step is left out.

    6 pixels, 3 taps: 4 places. With stride 2: 2 places, and the last pixel is left out. With "same" and
    stride 1: 6, with stride 2: 3. With "full" and stride 1: 8.

    Raises ValueError when the kernel is longer than the padded axis, for "same" with an even f (zeros that
    are the same at both ends would give n - 1 or n + 1 places), and for any other word.
    """
    # TODO: turn a word into a number of zeros, then count the places.
    # BEGIN SOLUTION
    if padding == "same" and f % 2 == 0:
        raise ValueError(f'padding="same" needs an odd number of taps, not {f}')
    zeros = {"valid": 0, "same": (f - 1) // 2, "full": f - 1}.get(padding, padding)
    if isinstance(zeros, str):
        raise ValueError(f'padding is a number, "valid", "same" or "full", not {padding!r}')
    room = n + 2 * zeros - f  # how far the kernel can travel
    if room < 0:
        raise ValueError(f"{f} taps do not fit on {n + 2 * zeros} pixels")
    return room // stride + 1
    # END SOLUTION


def sizes_through(n, layers) -> list:
    """Return the sizes of an axis on its way through a stack of layers: ``n``, then one size after each layer.

    ``layers`` is a list of tuples (f, padding, stride), as output_size takes them. A network on pictures of
    39 x 39: ``sizes_through(39, [(3, 0, 1), (5, 0, 2), (5, 0, 2)])`` is [39, 37, 17, 7]. Without layers it is [n].

    Raises ValueError where output_size does.
    """
    # TODO: start with [n], and let each layer add what it makes of the last size.
    # BEGIN SOLUTION
    sizes = [n]
    for f, padding, stride in layers:
        sizes.append(output_size(sizes[-1], f, padding, stride))
    return sizes
    # END SOLUTION


def edge_kernel(name, direction) -> Tensor:
    """Return a filter for edges, a new float32 tensor at every call.

    ``direction`` "vertical" finds edges that run from top to bottom. ``name`` is one of

        "simple"      "prewitt"     "sobel"       "scharr"      "roberts"
        1  0 -1       1  0 -1       1  0 -1        3  0  -3      1  0
        1  0 -1       1  0 -1       2  0 -2       10  0 -10      0 -1
        1  0 -1       1  0 -1       1  0 -1        3  0  -3

    ("simple" and "prewitt" are two names for one filter). ``direction`` "horizontal" finds edges that run from left
    to right: the same table with rows and columns swapped, so that what is positive stands on top. Only that of
    Roberts is another one, since its table would stay as it is:

        0  1
       -1  0

    The taps of every edge filter add up to 0. Any other name or direction raises ValueError.
    """
    # TODO: write down the tables.
    # BEGIN SOLUTION
    middles = {"simple": (1, 1), "prewitt": (1, 1), "sobel": (1, 2), "scharr": (3, 10)}
    if direction not in ("vertical", "horizontal"):
        raise ValueError(f'direction is "vertical" or "horizontal", not {direction!r}')
    upright = direction == "vertical"
    if name == "roberts":
        return torch.tensor([[1.0, 0.0], [0.0, -1.0]] if upright else [[0.0, 1.0], [-1.0, 0.0]])
    if name not in middles:
        raise ValueError(f"no edge filter is called {name!r}")
    outer, middle = middles[name]
    kernel = torch.tensor([[float(side), 0.0, -float(side)] for side in (outer, middle, outer)])
    return kernel if upright else kernel.T.contiguous()
    # END SOLUTION


def cross_correlate2d(x: Tensor, k: Tensor, mode="valid") -> Tensor:
    """Lay the kernel over the picture as it is, neither flipped nor turned: at each place, the sum of the products.

    x: (H, W), k: (KH, KW). In mode "valid" entry (i, j) of the result is the sum over all a and b of
    k[a, b] * x[i + a, j + b]. Libraries call this convolution.

    Raises ValueError for any other mode, for "same" when KH or KW is even, and for "valid" when the kernel has
    more rows or more columns than the picture.
    """
    # TODO: pad the picture as the mode asks, then multiply each tap with the part of the picture that it meets.
    # BEGIN SOLUTION
    x = x if x.is_floating_point() else x.float()
    k = k.to(x.dtype)
    kh, kw = k.shape
    if mode == "same" and not (kh % 2 and kw % 2):
        raise ValueError(f'mode "same" needs odd kernels, not {kh} x {kw}')
    margins = {"valid": (0, 0), "same": (kh // 2, kw // 2), "full": (kh - 1, kw - 1)}
    if mode not in margins:
        raise ValueError(f'mode is "valid", "same" or "full", not {mode!r}')
    rows, columns = margins[mode]
    x = F.pad(x, (columns, columns, rows, rows))
    if kh > x.shape[0] or kw > x.shape[1]:
        raise ValueError(f"a kernel of {kh} x {kw} does not fit into {x.shape[0]} x {x.shape[1]} pixels")
    windows = x.unfold(0, kh, 1).unfold(1, kw, 1)  # (OH, OW, KH, KW)
    return torch.einsum("ijab,ab->ij", windows, k)
    # END SOLUTION


def convolve2d(x: Tensor, k: Tensor, mode="valid") -> Tensor:
    """The convolution of mathematics: as cross_correlate2d, with the kernel turned by 180 degrees first.

    One bright pixel becomes the kernel itself, not its mirror image: a picture with a single 1, in mode "full" or
    "same", returns the table k around it. Kernels that are the same when they are turned give the same in both.

    Raises ValueError where cross_correlate2d does.
    """
    # TODO: one line.
    # BEGIN SOLUTION
    return cross_correlate2d(x, k.flip(0, 1), mode)
    # END SOLUTION


def gradient_magnitude(img: Tensor, kernel) -> Tensor:
    """How strong the edge at each place is, whatever its direction: the root of gx^2 + gy^2.

    gx is the cross-correlation of the picture with a filter for vertical edges, gy that with one for horizontal
    edges, both in mode "valid": zeros beyond the border would look like an edge all around. ``kernel`` is a name as
    in edge_kernel, or a square tensor (K, K): the filter for vertical edges, whose transpose is the other one.

    A picture of 4 x 4 with a bright corner, 10 in its two by two pixels at the top left and 0 elsewhere, gives
    with "roberts" at place (1, 1): gx = 10, gy = 0, so 10; and at (0, 1), where bright meets dark on the right:
    gx = 10, gy = -10, so 14.142.

    Every tensor is made on the device of the picture. Where the magnitude is 0 the gradient is not graded.
    """
    # TODO: two responses (F.conv2d is allowed here), one root.
    # BEGIN SOLUTION
    img = img if img.is_floating_point() else img.float()
    if isinstance(kernel, str):
        pair = [edge_kernel(kernel, direction) for direction in ("vertical", "horizontal")]
    else:
        pair = [kernel, kernel.T]
    filters = torch.stack(pair).to(img.device, img.dtype)
    gx, gy = F.conv2d(img[None], filters[:, None])  # (1, H, W) -> (2, OH, OW)
    return torch.sqrt(gx**2 + gy**2)
    # END SOLUTION


def edge_mask(img: Tensor, kernel, threshold=0.5) -> Tensor:
    """Where the edges are: a tensor of booleans, True where the gradient magnitude is larger than ``threshold`` times
    the largest gradient magnitude of this picture.

    ``img`` and ``kernel`` are those of gradient_magnitude, and the mask has the size of its result. A picture
    that is one whole number everywhere has no edges, so its mask is False all over, for every threshold from 0
    to 1. (Of fractions such as 0.1 rounding leaves traces, which are not graded.)
    """
    # TODO: compare each magnitude with the largest one.
    # BEGIN SOLUTION
    magnitude = gradient_magnitude(img, kernel)
    return magnitude > threshold * magnitude.max()
    # END SOLUTION


def learn_kernel(img: Tensor, target: Tensor) -> Tensor:
    """Find, by gradient descent, the kernel whose cross-correlation with ``img`` in mode "valid" is ``target``.

    img: (H, W), target: (OH, OW); the two sizes tell that of the kernel, which need not be square. Returns the
    kernel, in the dtype of a result as above and cut off from the graph: it requires no gradient. Every tap is
    within 0.01 of the true one. The true taps are between -10 and 10.

    The picture is noise of some hundred pixels, all different, so that there is one answer only. Its numbers may
    run from 0 to 1, from 0 to 255, or around 0: a learning rate that fits the one is far too large or far too
    small for another, unless you bring picture and target to one scale, or take an optimiser that does not mind.

    Forbidden: solving the equations at once (torch.linalg.lstsq, solve, inv, pinv, ...): no network can be
    trained that way. Some hundred to some thousand steps are enough, and take a second or two.
    """
    # TODO: start with zeros, predict, measure the squared error, take a step against its gradient.
    # BEGIN SOLUTION
    img = img.detach() if img.is_floating_point() else img.float()
    target = target.detach().to(img.dtype)
    shape = [whole - part + 1 for whole, part in zip(img.shape, target.shape, strict=True)]
    windows = img.unfold(0, shape[0], 1).unfold(1, shape[1], 1).flatten(2).flatten(0, 1)  # (places, taps)
    windows = windows - windows.mean(0)  # without their means the taps hardly depend on each other
    errors_at_0 = target.flatten() - target.mean()
    rate = 1 / windows.square().sum(1).mean()  # below the limit of stability, whatever the scale
    kernel = torch.zeros(windows.shape[1], dtype=img.dtype, device=img.device, requires_grad=True)
    for _ in range(300):
        loss = (windows @ kernel - errors_at_0).square().mean() / 2
        (gradient,) = torch.autograd.grad(loss, kernel)
        with torch.no_grad():
            kernel -= rate * gradient
    return kernel.detach().reshape(shape)
    # END SOLUTION
