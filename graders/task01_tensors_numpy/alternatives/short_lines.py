"""One-liners: asarray's flags, numpy(force=True), clone, untyped storages, einops-like permutes, matmul as a method."""

# It is appended to the solution, whose helpers it may use.


def numpy_to_tensor(array):
    plain = array.dtype.isnative and array.flags.writeable and all(s >= 0 for s in array.strides)
    return (
        torch.as_tensor(array) if plain else torch.as_tensor(np.array(array, array.dtype.newbyteorder("="), order="C"))
    )


def tensor_to_numpy(tensor):
    return tensor.numpy(force=True)


def copy_to_tensor(array, dtype=None):
    return numpy_to_tensor(array).clone().to(dtype or numpy_to_tensor(array[:0] if array.ndim else array).dtype)


def shares_memory(array, tensor):
    return (
        tensor.is_cpu and tensor.detach().numpy().__array_interface__["data"][0] == array.__array_interface__["data"][0]
    )


def to_model_input(image, device="cpu"):
    return copy_to_tensor(np.atleast_3d(image)).permute(2, 0, 1)[None].to(device, torch.float32).div_(255)


def batch_matmul(a, b):
    return a.matmul(b)
