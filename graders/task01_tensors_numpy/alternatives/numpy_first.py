"""NumPy habits: np.require, moveaxis, float division in NumPy, products by broadcasting."""

# It is appended to the solution, whose helpers it may use.


def numpy_to_tensor(array):
    if any(stride < 0 for stride in array.strides) or not array.flags.writeable:
        array = array.copy()
    if not array.dtype.isnative:
        array = array.byteswap().view(array.dtype.newbyteorder())
    return torch.from_numpy(array)


def copy_to_tensor(array, dtype=None):
    result = torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]).copy().reshape(array.shape))
    return result if dtype is None else result.to(dtype=dtype, copy=True)


def shares_memory(array, tensor):
    return tensor.device.type == "cpu" and bool(np.shares_memory(array, tensor.detach().numpy()))


def to_model_input(image, device="cpu"):
    planes = np.moveaxis(image, -1, 0) if image.ndim == 3 else image.reshape(1, *image.shape)
    return torch.from_numpy((planes.astype("float64") / 255).astype("float32")).unsqueeze(0).to(device)


def batch_matmul(a, b):
    return (a[..., None] * b[..., None, :, :]).sum(dim=-2)
