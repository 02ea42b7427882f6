"""Task 23: colours, and the classical processing of images.

Long before networks learned their filters, people made them by hand: to make a picture grey, to spread its contrast,
to take its noise away and keep its edges. All of it is arithmetic on a table of numbers, and most of it looks at a
small *window* around each pixel. Data sets are still prepared with these functions.

A worked example: one bad pixel (29) in a bright place. Its window of 3 x 3:

    145 149 150        the mean of the nine numbers      1212 / 9 = 134.67
    148  29 147        the median, the fifth in order         29 145 147 147 [148] 148 149 149 150
    147 149 148        weights 1 2 1                          1892 / 16 = 118.25, since the middle counts most
                               2 4 2  by 16
                               1 2 1

The mean smears the bad pixel over its neighbours, the median throws it away.

Conventions:

- A picture is (H, W) when it is grey and (3, H, W) when it has colours: red, green, blue, one plane after the other.
  It has one pixel at least.
- Its numbers run from 0 to 255, dark to bright, and are uint8 or float32. Its order in memory may be any. dilate,
  erode, open_ and close_ take any float32 numbers, as in a difference of two pictures.
- Bytes wrap round: 200 + 100 is 44 in uint8. Convert before you calculate. Where a uint8 result is asked for, numbers
  are rounded to the nearest whole number and those below 0 or above 255 are set to 0 or 255 (clamped). A number
  that lies in the middle between two whole ones may go either way.
- Windows have an odd size, so that they have a middle. Filters work on each plane by itself.
- What lies beyond the border, for box_filter, median_filter, bilateral_filter and unsharp: the pixel of
  the border that is nearest is repeated. With zeros there the border would turn dark.
- Results are on the device of the picture. No argument is ever changed.
- The number of PyTorch calls must not depend on the size of the picture: a loop over the places of a window is fine, a
  loop over pixels is not.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# BEGIN SOLUTION


def as_bytes(numbers: Tensor) -> Tensor:
    return numbers.round().clamp(0, 255).to(torch.uint8)


def as_float(img: Tensor) -> Tensor:
    return img if img.is_floating_point() else img.float()


def near_windows(img: Tensor, size: int) -> Tensor:
    """(..., H, W) -> (..., H, W, size * size), where the border is repeated."""
    if size % 2 == 0:
        raise ValueError(f"a window of {size} x {size} has no middle")
    height, width = img.shape[-2:]
    offsets = torch.arange(size, device=img.device) - size // 2
    rows = (torch.arange(height, device=img.device)[:, None] + offsets).clamp(0, height - 1)  # (H, size)
    columns = (torch.arange(width, device=img.device)[:, None] + offsets).clamp(0, width - 1)  # (W, size)
    return img[..., rows[:, None, :, None], columns[None, :, None, :]].flatten(-2)


def neighbours(img: Tensor, element, beyond) -> Tensor:
    """(..., H, W) -> (taps, ..., H, W): for each place that is set in the element, what lies there."""
    if isinstance(element, int):
        element = torch.ones(element, element)
    height, width = element.shape
    if height % 2 == 0 or width % 2 == 0:
        raise ValueError(f"an element of {height} x {width} has no middle")
    margins = (width // 2, width // 2, height // 2, height // 2)
    padded = F.pad(img, margins, value=beyond)
    rows, columns = img.shape[-2:]
    return torch.stack([padded[..., a : a + rows, b : b + columns] for a, b in element.nonzero().tolist()])


# END SOLUTION


def rgb_to_gray(img: Tensor, method="float") -> Tensor:
    """Make a picture with colours grey: (3, H, W) -> (H, W).

    The eye sees green best and blue worst, so their weights differ. ``method`` is one of

    - "float": 0.3 R + 0.59 G + 0.11 B. The result is float32;
    - "integer": (30 R + 59 G + 11 B) / 100 in whole numbers, rounded down, for uint8 pictures. The result has
      an integer dtype, whichever you like;
    - "shift": (77 R + 151 G + 28 B) / 256 in the same way: dividing by 256 is a shift by 8 bits, >> 8. (A formula that
      is often copied has 28 for red and 77 for blue. That is a slip: it makes red dark.)
    - "mean": (R + G + B) / 3. The result is float32;
    - "green": the plane of green as it is, in the dtype of the picture (a view or a copy).

    The colour (200, 100, 50) becomes 124.5, 124, 124, 116.67 and 100. Full red, (255, 0, 0), becomes 76.5, 76, 76, 85
    and 0.

    Raises ValueError for any other method.
    """
    # TODO: split the planes, and calculate in a dtype that holds the sums.
    # BEGIN SOLUTION
    if method == "green":
        return img[1]
    if method in ("float", "mean"):
        weights = (0.3, 0.59, 0.11) if method == "float" else (1 / 3, 1 / 3, 1 / 3)
        red, green, blue = as_float(img)
        return weights[0] * red + weights[1] * green + weights[2] * blue
    if method not in ("integer", "shift"):
        raise ValueError(f"there is no method {method!r}")
    red, green, blue = img.long()
    if method == "integer":
        return (30 * red + 59 * green + 11 * blue) // 100
    return (77 * red + 151 * green + 28 * blue) >> 8
    # END SOLUTION


def adjust_contrast(img: Tensor, factor) -> Tensor:
    """Move every number away from the mean, or towards it: mean + factor * (number - mean).

    The mean is one number: that of the grey picture, which is rgb_to_gray(img, "float") for (3, H, W) and the picture
    itself for (H, W). A factor of 0 leaves an even grey of that brightness, 1 changes nothing, 2 doubles
    all contrasts, a negative one makes a negative.

    The result has the size and the dtype of the picture: uint8 is rounded and clamped, float32 is not.

    The grey picture [[100, 200]] has the mean 150; a factor of 1.5 gives [[75, 225]], a factor of 4 gives [[0, 255]] in
    uint8 and [[-50, 350]] in float32.
    """
    # TODO: one mean, one line, then back to the dtype.
    # BEGIN SOLUTION
    numbers = as_float(img)
    mean = (rgb_to_gray(numbers, "float") if img.ndim == 3 else numbers).mean()
    spread = mean + factor * (numbers - mean)
    return spread if img.is_floating_point() else as_bytes(spread)
    # END SOLUTION


def rgb_to_hsv(img: Tensor) -> Tensor:
    """Turn red, green, blue into hue, saturation, value: (3, H, W) -> (3, H, W), float32.

    With M the largest and m the smallest of the three numbers of a pixel:

    - value: M / 255 * 100, from 0 (black) to 100;
    - saturation: (M - m) / M * 100, from 0 (grey) to 100. Black has 0;
    - hue, an angle from 0 up to 360, where red is 0, green 120 and blue 240:
          60 * (0 + (G - B) / (M - m))   where red is the largest
          60 * (2 + (B - R) / (M - m))   where green is the largest
          60 * (4 + (R - G) / (M - m))   where blue is the largest
      and 360 is added to what is negative (just below 0 that may round to 360). Grey (M = m) has 0.

    (200, 100, 50) has the hue 60 * 50 / 150 = 20, the saturation 75 and the value 78.43. (255, 0, 51) has the hue
    60 * -51 / 255 = -12, which is 348.
    """
    # TODO: M and m along the planes, then three formulas and torch.where; mind the divisions by 0.
    # BEGIN SOLUTION
    red, green, blue = numbers = as_float(img)
    most, least = numbers.amax(0), numbers.amin(0)
    spread = most - least
    divisor = torch.where(spread == 0, 1, spread)  # grey has 0 above it
    hue = torch.where(
        most == red,
        (green - blue) / divisor,
        torch.where(most == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    saturation = spread / torch.where(most == 0, 1, most)
    hue = torch.where(spread == 0, 0, 60 * hue % 360)
    return torch.stack([hue, 100 * saturation, most / 255 * 100])
    # END SOLUTION


def hsv_to_rgb(hsv: Tensor) -> Tensor:
    """The way back: (3, H, W) with hue 0...360, saturation and value 0...100 -> red, green, blue 0...255, float32.

    Hues of 0 and 360 are both red. The numbers are not rounded. With V = value / 100 * 255 and C = V * saturation / 100
    the largest of the three is V and the smallest V - C. The hue says which they are, and where between them the
    third one lies. One formula for all: with k = (n + hue / 60) mod 6 a plane is

        V - C * max(0, min(k, 4 - k, 1))    where n is 5 for red, 3 for green, 1 for blue.

    (20, 75, 78.431) is (200, 100, 50).
    """
    # TODO: V and C, then the formula for each plane.
    # BEGIN SOLUTION
    hue, saturation, value = hsv
    most = value / 100 * 255
    spread = most * saturation / 100
    turns = torch.stack([(n + hue / 60) % 6 for n in (5, 3, 1)])
    return most - spread * torch.minimum(turns, 4 - turns).clamp(0, 1)
    # END SOLUTION


def equalize_hist(gray: Tensor, levels=256) -> Tensor:
    """Spread the levels of a grey picture, so that each is about as frequent: (H, W) -> (H, W), both uint8.

    The numbers of the picture are whole, from 0 to levels - 1. Level g becomes

        (levels - 1) * (number of pixels that have level g or less) / (number of all pixels), rounded.

    A picture with 8 levels, of which 790, 1023, 850, 656, 329, 245, 122 and 81 pixels have level 0, 1, ... 7: 4096
    pixels in all. Level 0 becomes 7 * 790 / 4096 = 1.35, so 1, and level 1 becomes 7 * 1813 / 4096 = 3.10, so 3. In all
    the levels 0 to 7 become 1, 3, 5, 6, 6, 7, 7, 7.

    A picture of one level stays a picture of one level; which one, is up to you.
    """
    # TODO: count the levels, add them up from the left, and look up every pixel in the table.
    # BEGIN SOLUTION
    counts = torch.bincount(gray.flatten().long(), minlength=levels)
    table = as_bytes((levels - 1) * counts.cumsum(0) / gray.numel())
    return table[gray.long()]
    # END SOLUTION


def equalize_luma(rgb: Tensor) -> Tensor:
    """Equalise the brightness of a picture and leave its colours: (3, H, W) -> (3, H, W), both uint8.

    Equalising red, green and blue each by itself would shift the colours. So take the brightness of each pixel, called
    luma: 0.299 R + 0.587 G + 0.114 B, rounded. Equalise this picture with 256 levels. What a pixel's luma has gained or
    lost is added to its red, green and blue alike, and the sums are clamped. (Televisions do that by YUV or YCbCr.)
    Numbers may differ by 1 from that, for rounding has several places here.

    Two pixels, (200, 100, 50) and (90, 90, 90), have the luma 124 and 90. Equalised they are 255 and 128, so they gain
    131 and 38: (255, 231, 181) and (128, 128, 128).
    """
    # TODO: luma, equalize_hist, one difference for all three planes.
    # BEGIN SOLUTION
    red, green, blue = rgb.float()
    luma = as_bytes(0.299 * red + 0.587 * green + 0.114 * blue)
    return as_bytes(rgb.float() + equalize_hist(luma).float() - luma.float())
    # END SOLUTION


def box_filter(img: Tensor, size=3) -> Tensor:
    """The mean of each window of size x size, in float32: (H, W) or (3, H, W), as it was.

    In the worked example the pixel in the middle becomes 134.67. A row [0, 0, 9] becomes [0, 3, 6], for beyond the 9
    there are more of its kind.

    Raises ValueError for an even size.
    """
    # TODO: bring all windows together, then one mean.
    # BEGIN SOLUTION
    return near_windows(as_float(img), size).mean(-1)
    # END SOLUTION


def gaussian_kernel(size, sigma) -> Tensor:
    """Return the weights of a Gaussian filter, (size, size), float32, which add up to 1.

    The weight at a distance of dy rows and dx columns from the middle is exp(-(dx^2 + dy^2) / (2 sigma^2)), and all are
    divided by their sum. So the place next to the middle counts half as much as the middle if sigma is 0.8493:
    gaussian_kernel(3, 0.8493) is the table of the worked example.

    Raises ValueError for an even size.
    """
    # TODO: the distances to the middle, exp, and a division.
    # BEGIN SOLUTION
    if size % 2 == 0:
        raise ValueError(f"a window of {size} x {size} has no middle")
    squares = (torch.arange(size) - size // 2) ** 2
    weights = torch.exp(-(squares[:, None] + squares) / (2 * sigma**2))
    return weights / weights.sum()
    # END SOLUTION


def unsharp(img: Tensor, size=3, sigma=1.0, amount=1.0) -> Tensor:
    """Sharpen: add what a Gaussian filter takes away, number + amount * (number - blurred number).

    The blurred picture comes from the weights gaussian_kernel(size, sigma). An amount of 0 changes nothing.
    The result has the size and the dtype of the picture: uint8 is rounded and clamped, float32 is not.

    The bad pixel of the worked example with sigma 0.8493: 29 + (29 - 118.25) = -60.25, so 0 in uint8.

    Raises ValueError for an even size.
    """
    # TODO: blur, then one line, then back to the dtype.
    # BEGIN SOLUTION
    numbers = as_float(img)
    blurred = near_windows(numbers, size) @ gaussian_kernel(size, sigma).flatten().to(img.device)
    sharp = numbers + amount * (numbers - blurred)
    return sharp if img.is_floating_point() else as_bytes(sharp)
    # END SOLUTION


def median_filter(img: Tensor, size=3) -> Tensor:
    """The number in the middle of each window, once it is sorted. Size and dtype are those of the picture.

    In the worked example the pixel in the middle becomes 148. A row [0, 9, 0, 0] becomes [0, 0, 0, 0].

    Raises ValueError for an even size: there would be two numbers in the middle.
    """
    # TODO: bring all windows together, and take the middle of each.
    # BEGIN SOLUTION
    return near_windows(img, size).median(-1).values
    # END SOLUTION


def bilateral_filter(img: Tensor, size, sigma_space, sigma_color) -> Tensor:
    """A mean that keeps edges, in float32: neighbours count less where they are far away or of another brightness.

    A neighbour q of the pixel p has the weight

        exp(-(dx^2 + dy^2) / (2 sigma_space^2)) * exp(-(number of p - number of q)^2 / (2 sigma_color^2))

    with dx columns and dy rows between them. The result is the sum of weight * number of q over the window of
    size x size, divided by the sum of the weights.

    The row [0, 0, 100] with size 3 (three rows that are alike), a large sigma_space and sigma_color 10: at the second
    pixel the 100 has the weight exp(-50), so it stays 0. With sigma_color 1000 it becomes 33.2, nearly the mean.

    Raises ValueError for an even size.
    """
    # TODO: all windows, two weights for each neighbour, a weighted mean.
    # BEGIN SOLUTION
    numbers = as_float(img)
    windows = near_windows(numbers, size)
    squares = (torch.arange(size, device=img.device) - size // 2) ** 2
    far = (squares[:, None] + squares).flatten() / (2 * sigma_space**2)
    other = (windows - numbers[..., None]) ** 2 / (2 * sigma_color**2)
    weights = torch.exp(-far - other)
    return (weights * windows).sum(-1) / weights.sum(-1)
    # END SOLUTION


def dilate(img: Tensor, element=3) -> Tensor:
    """Let bright places grow: each pixel becomes the largest number under the element. Size and dtype stay.

    ``element`` says which neighbours count. It is an odd number n, for all n x n of them, or a table, a tensor (h, w)
    with an odd number of rows and columns, of booleans or of 0 and 1, in which the middle is set.

    Under erode the middle of the table lies on the pixel, and where the table is set, the neighbour counts. dilate
    turns the table by 180 degrees first. So one bright pixel grows into the table as it is: a 1 on black, dilated
    with [[0, 1, 1]], becomes a 1 with another one on its right.

    What lies beyond the border never counts, not even where all numbers are negative, or above 255.

    Raises ValueError for an even number, and for a table with an even number of rows or columns.
    """
    # TODO: one shifted picture for each place that is set; what lies beyond must not win.
    # BEGIN SOLUTION
    if isinstance(element, Tensor):
        element = element.flip(0, 1)
    lowest = -float("inf") if img.is_floating_point() else 0
    return neighbours(img, element, lowest).amax(0)
    # END SOLUTION


def erode(img: Tensor, element=3) -> Tensor:
    """Let bright places shrink: each pixel becomes the smallest number under the element. Size and dtype stay.

    The element and the border are those of dilate; the table is not turned. A black picture with [1, 1] in one row,
    eroded with [[0, 1, 1]], keeps the left one of the two: the right one has a dark neighbour on its right.

    Raises ValueError where dilate does.
    """
    # TODO: as dilate.
    # BEGIN SOLUTION
    highest = float("inf") if img.is_floating_point() else 255
    return neighbours(img, element, highest).amin(0)
    # END SOLUTION


def open_(img: Tensor, element=3) -> Tensor:
    """Opening: erode, then dilate. Bright specks that the element does not fit into vanish, the rest stays.

    To open once more changes nothing. (open is a name of Python's own, hence the underscore.)
    """
    # TODO: one line.
    # BEGIN SOLUTION
    return dilate(erode(img, element), element)
    # END SOLUTION


def close_(img: Tensor, element=3) -> Tensor:
    """Closing: dilate, then erode. Dark specks that the element does not fit into vanish, the rest stays.

    To close once more changes nothing.
    """
    # TODO: one line.
    # BEGIN SOLUTION
    return erode(dilate(img, element), element)
    # END SOLUTION
