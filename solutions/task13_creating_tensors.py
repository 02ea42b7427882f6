"""Task 13: creating tensors, drawing at random, and where it all happens.

Every program begins with tensors that somebody has to make: a row of numbers, a grid, noise. torch has many
constructors, and they differ in small things that cost hours: is the end included, does an integer stay one, do
two seeds meet, is the memory really set? Nine functions to write, none of them longer than a few lines.

Conventions:

* Numbers in, numbers out: what is made from Python numbers alone lies on the CPU and is float32, but for
  ``arange_like_python`` of integers. What is made from tensors keeps their dtype and their device.
* A ``size`` is a tuple of lengths. ``(2, 3)`` is two rows of three, ``()`` a single number, and a length may be 0.
* A ``generator`` is a ``torch.Generator`` or None. If one is given, all chance comes from it: two generators in
  the same state give the same numbers, a generator that has been used goes on, and torch's global state stays as
  it was. None stands for the global state, which ``torch.manual_seed`` sets.
* No argument is changed, but for the state of a generator.
* "Raises an error" means ValueError, RuntimeError, TypeError or IndexError.

Forbidden: memory that nobody has set. ``torch.Tensor(2, 3)`` and ``torch.empty(2, 3)`` hold what was there before,
often zeros, until one day they are not. Fill them, or take another constructor. And no Python loop over random
numbers: how many PyTorch calls ``uniform`` and ``normal_four_modes`` need may not depend on how many they draw.
Everything else that torch offers is allowed.
"""

import numpy as np
import torch
from torch import Tensor


def rank_name(t: Tensor) -> str:
    """Name a tensor by its number of axes.

    Returns "scalar" for none, "vector" for one, "matrix" for two and "tensor" for more, however long the axes are:
    shape (1, 1) is a matrix, shape (0,) a vector.
    """
    # TODO: count the axes, not the numbers.
    # BEGIN SOLUTION
    return {0: "scalar", 1: "vector", 2: "matrix"}.get(t.ndim, "tensor")
    # END SOLUTION


def environment_report() -> dict:
    """Report what a colleague asks first when a result differs. Returns a dict with these keys:

    "torch": the version of torch, such as "2.13.0+cpu"
    "cuda_available": True where torch can use a CUDA device now
    "cuda_version": the CUDA version that torch was built with, such as "12.8"; None for a build without CUDA
    "device_count": how many CUDA devices torch can use
    "accelerator": the kind that ``torch.accelerator.current_accelerator()`` names, such as "cuda", as text; else None

    All is asked when the function is called, and comes as a plain bool, int, str or None. Old notes read
    ``torch.cuda_version``, which does not exist.
    """
    # TODO: look for each fact in torch, torch.version, torch.cuda and torch.accelerator.
    # BEGIN SOLUTION
    accelerator = torch.accelerator.current_accelerator()
    return {
        "torch": str(torch.__version__),
        "cuda_available": torch.cuda.is_available(),
        "cuda_version": torch.version.cuda,
        "device_count": torch.cuda.device_count(),
        "accelerator": None if accelerator is None else accelerator.type,
    }
    # END SOLUTION


def memory_address(obj: Tensor | np.ndarray) -> int:
    """Tell where in memory the first number of a tensor or of an array lies.

    obj: a tensor on the CPU or a NumPy array, not empty, in any layout, with or without ``requires_grad``.
    Returns the address in bytes as a Python int.

    A view has no memory of its own: x and x.T start at the same address, and x[1] of a float32 tensor (2, 3) starts 12
    bytes after x. So do a tensor and the array that ``.numpy()`` makes of it, for they share their memory. ``id``
    tells something else: where Python keeps the object that stands for the numbers.
    """
    # TODO: tensors and arrays each have their own way to tell.
    # BEGIN SOLUTION
    return obj.data_ptr() if isinstance(obj, Tensor) else obj.ctypes.data
    # END SOLUTION


def arange_like_python(start: float, end: float, step: float = 1) -> Tensor:
    """Count as Python's ``range`` does: start, start + step, start + 2 step, ... as long as end is not reached.

    Returns a tensor (n,), int64 where all three numbers are integers, float32 otherwise. The end itself never belongs
    to it: 0, 10, 3 gives [0, 3, 6, 9] and 0, 9, 3 gives [0, 3, 6]. A negative step counts down: 10, 0, -4 gives
    [10, 6, 2]. Where the step leads away from the end, or start is the end, the result is empty, as it is in Python;
    ``torch.arange`` raises an error there. A step of 0 raises an error.

    Floats may be steps, too: 0, 1, 0.25 gives [0, 0.25, 0.5, 0.75]. Steps such as 0.1, which floats do not hold
    exactly, are not graded.
    """
    # TODO: torch.arange does nearly all of it.
    # BEGIN SOLUTION
    if (end - start) * step < 0:  # the step leads away from the end
        return torch.arange(start, end, -step)[:0]  # none, in the dtype that they would have
    return torch.arange(start, end, step)
    # END SOLUTION


def linspace(start: float, end: float, steps: int) -> Tensor:
    """Divide the way from start to end evenly.

    steps: how many numbers there are, start and end among them.
    Returns a float32 tensor (steps,): 2, 10, 4 gives [2, 4.6667, 7.3333, 10]. One step gives [start], none an empty
    tensor, and a negative number of steps raises an error. The end may be smaller than the start.
    """
    # TODO: mind that n numbers have n - 1 gaps between them.
    # BEGIN SOLUTION
    return torch.linspace(start, end, steps)
    # END SOLUTION


def coo_to_dense(indices: Tensor, values: Tensor, size: tuple[int, ...]) -> Tensor:
    """Write out a sparse tensor in coordinate (COO) form.

    indices: (ndim, n) int64, one column for each entry: its place along each of the ndim >= 1 axes.
    values: (n,) of any dtype of integers or floating numbers.
    size: the shape of the result; every place lies within it.
    Returns an ordinary tensor of that shape, with the dtype and device of ``values``: 0 where no entry is, and where
    several entries have the same place, their sum.

    So indices [[0, 1, 1], [2, 0, 0]] with values [5, 3, 4] and size (2, 3) give [[0, 0, 5], [7, 0, 0]].
    """
    # TODO: torch has a constructor for this form, and a method that writes it out.
    # BEGIN SOLUTION
    return torch.sparse_coo_tensor(indices, values, size).to_dense()
    # END SOLUTION


def uniform(low: float, high: float, size: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
    """Draw numbers that are equally likely everywhere between low and high.

    low, high: integers or floats, low <= high. low itself can be drawn; high cannot, but for rounding.
    Returns a float32 tensor of that size, on the device of the generator.
    """
    # TODO: torch.rand draws between 0 and 1; stretch and move it.
    # BEGIN SOLUTION
    device = "cpu" if generator is None else generator.device
    return low + (high - low) * torch.rand(size, generator=generator, device=device)
    # END SOLUTION


def normal_four_modes(
    mean_t: Tensor,
    std_t: Tensor,
    mean: float,
    std: float,
    size: tuple[int, ...],
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw from normal distributions whose mean and standard deviation are each a tensor or a number.

    mean_t, std_t: of one floating dtype (also float64 and half precision), on one device; their shapes broadcast.
    mean, std: numbers, integers or floats.
    Returns four tensors, in this order:
        0. mean_t with std_t: one number for each pair, in the shape to which the two broadcast; (2, 1) and (3,)
           give (2, 3)
        1. mean with std_t: in the shape of std_t
        2. mean_t with std: in the shape of mean_t
        3. mean with std, as many as ``size`` says: float32, on the device of the generator
    The first three have the dtype and the device of the tensors.

    All numbers are drawn independently of each other, also the four tensors, and also where a mean or a deviation is
    broadcast. std is a standard deviation, not a variance; where it is 0 the mean comes back. A negative deviation, in
    std_t or as std, raises an error, and so do shapes that do not broadcast, such as (2, 3) with (6,).
    If mean_t holds integers, an error is right, and so are numbers drawn in float32; never round them to integers.
    """
    # TODO: torch.normal knows all four modes. (Or stretch and move what torch.randn draws.)
    # BEGIN SOLUTION
    device = "cpu" if generator is None else generator.device
    return (
        torch.normal(mean_t, std_t, generator=generator),
        torch.normal(mean, std_t, generator=generator),
        torch.normal(mean_t, std, generator=generator),
        torch.normal(mean, std, size, generator=generator, device=device),
    )
    # END SOLUTION


def seeded_sample(seed: int) -> Tensor:
    """Draw two numbers that are the same for the same seed, without a trace in the rest of the program.

    The recipe, all of it from one generator that starts with ``seed``: first two means by ``rand``, then two standard
    deviations by ``rand``, then one number by ``normal`` for each of the two pairs.
    Returns a float32 tensor (2,); seed 1 gives [0.7825, 0.7358]. What was drawn before does not matter, and torch's
    global state is afterwards what it was: a function that calls ``torch.manual_seed`` makes all of its callers repeat
    themselves.
    """
    # TODO: make a generator, seed it, and hand it to each of the three draws.
    # BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    mean = torch.rand(2, generator=generator)
    std = torch.rand(2, generator=generator)
    return torch.normal(mean, std, generator=generator)
    # END SOLUTION
