"""Memory goes through DLPack, sharing is found by writing and restoring, products are broadcast sums."""


def numpy_to_tensor(array):
    if array.flags.writeable and array.dtype.isnative and all(step >= 0 for step in array.strides):
        return torch.utils.dlpack.from_dlpack(array)
    return torch.utils.dlpack.from_dlpack(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def tensor_to_numpy(tensor):
    return tensor.numpy(force=True)


def copy_to_tensor(array, dtype=None):
    source = numpy_to_tensor(array)
    target = torch.empty(source.shape, dtype=dtype or source.dtype)
    return target.copy_(source)


def shares_memory(array, tensor):
    if tensor.device.type != "cpu":
        return False
    corner = (0,) * array.ndim
    before, seen = array[corner], tensor[corner].item()
    array[corner] = other = 1 if before == 0 else 0
    now = tensor[corner].item()
    array[corner] = before
    return now == other and seen != other


def to_model_input(image, device="cpu"):
    pixels = copy_to_tensor(image, torch.float32).to(device)
    pixels = pixels.reshape(*image.shape[:2], -1)  # (H, W, C)
    return torch.movedim(pixels, 2, 0)[None].contiguous().mul(1 / 255)


def batch_matmul(a, b):
    return torch.sum(a[..., :, :, None] * b[..., None, :, :], dim=-2)
