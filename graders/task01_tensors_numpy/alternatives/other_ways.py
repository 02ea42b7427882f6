"""DLPack, ctypes-like addresses, products summed."""


class _Array:
    def __init__(self, array):
        self.array = array

    @property
    def shareable(self):
        a = self.array
        return a.flags.writeable and a.dtype == a.dtype.newbyteorder("=") and all(s >= 0 for s in a.strides)

    def copied(self):
        a = self.array
        fresh = np.zeros(a.shape, a.dtype.newbyteorder("="))
        np.copyto(fresh, a)
        return fresh


def numpy_to_tensor(array):
    it = _Array(array)
    return (
        torch.utils.dlpack.from_dlpack(array)
        if it.shareable and array.dtype != bool
        else torch.from_numpy(array if it.shareable else it.copied())
    )


def tensor_to_numpy(tensor):
    with torch.no_grad():
        flat = tensor.data if tensor.is_cpu else tensor.data.clone().cpu()
    return flat.numpy(force=True)


def copy_to_tensor(array, dtype=None):
    source = torch.asarray(_Array(array).copied())
    target = torch.empty(array.shape, dtype=dtype or source.dtype)
    target.copy_(source)
    return target


def shares_memory(array, tensor):
    if tensor.device != torch.device("cpu"):
        return False
    return bool(array.ctypes.data == tensor.data_ptr())


def to_model_input(image, device="cpu"):
    h, w, *c = image.shape
    batch = np.empty((1, *(c or [1]), h, w), np.float32)
    batch[0] = np.moveaxis(image.reshape(h, w, *(c or [1])), -1, 0)
    batch /= 255
    return torch.asarray(batch).to(device=device)


def batch_matmul(a, b):
    return (a[..., :, :, None] * b[..., None, :, :]).sum(-2)
