"""NumPy does the work: copies by np.array, axes moved by np.transpose, np.shares_memory, an einsum."""


def numpy_to_tensor(array):
    if not array.flags.writeable:
        return copy_to_tensor(array)
    try:
        return torch.as_tensor(array)
    except (TypeError, ValueError):  # a foreign byte order, negative strides
        return copy_to_tensor(array)


def tensor_to_numpy(tensor):
    return np.asarray(tensor.cpu().data)


def copy_to_tensor(array, dtype=None):
    native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return torch.tensor(native, dtype=dtype)


def shares_memory(array, tensor):
    return tensor.is_cpu and np.shares_memory(tensor.numpy(), array)


def to_model_input(image, device="cpu"):
    planes = image[None] if image.ndim == 2 else np.transpose(image, (2, 0, 1))
    scaled = planes.astype(np.float32) / np.float32(255)
    return torch.tensor(scaled.copy(), device=device)[None]


def batch_matmul(a, b):
    return torch.einsum("...nk,...km->...nm", a, b)
