"""One-liners, einsum, asarray."""


def _native(a):
    return a.astype(a.dtype.newbyteorder("="), order="C")


def numpy_to_tensor(array):
    ok = array.flags.writeable and array.dtype.isnative and min(array.strides, default=0) >= 0
    return torch.as_tensor(array if ok else _native(array))


def tensor_to_numpy(tensor):
    return np.asarray(tensor.detach().to("cpu"))


def copy_to_tensor(array, dtype=None):
    return torch.tensor(_native(array), dtype=dtype)


def shares_memory(array, tensor):
    return tensor.is_cpu and np.shares_memory(array, tensor.detach().numpy())


def to_model_input(image, device="cpu"):
    x = torch.tensor(np.atleast_3d(image).copy(), device=device)
    return torch.einsum("hwc->chw", x.float().div(255)).unsqueeze(0)


def batch_matmul(a, b):
    return torch.einsum("...nk,...km->...nm", a, b)
