"""A beginner's file: try and except, asarray and array, loops over leading axes, permute before the batch axis."""

# It is appended to the solution, whose helpers it may use.


def numpy_to_tensor(array):
    if not array.flags["WRITEABLE"]:
        array = np.array(array)
    if array.dtype.byteorder not in ("=", "|") and not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("native"))
    try:
        return torch.from_numpy(array)
    except ValueError:
        return torch.from_numpy(array.copy())


def tensor_to_numpy(tensor):
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.device.type != "cpu":
        tensor = tensor.to("cpu")
    return tensor.numpy()


def copy_to_tensor(array, dtype=None):
    tensor = torch.tensor(np.array(array, dtype=array.dtype.newbyteorder("=")))
    if dtype is not None:
        tensor = tensor.type(dtype)
    return tensor.clone()


def shares_memory(array, tensor):
    if tensor.device != torch.device("cpu"):
        return False
    return bool(np.may_share_memory(array, tensor.detach().numpy()))


def to_model_input(image, device="cpu"):
    if len(image.shape) == 2:
        image = np.expand_dims(image, axis=-1)
    image = image.transpose(2, 0, 1)
    image = np.expand_dims(image, 0)
    tensor = torch.tensor(np.ascontiguousarray(image), dtype=torch.float32)
    tensor /= 255.0
    return tensor.to(device)


def batch_matmul(a, b):
    if a.dim() == 2 and b.dim() == 2:
        return torch.mm(a, b)
    shape = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a = a.expand(shape + a.shape[-2:]).flatten(0, -3)
    b = b.expand(shape + b.shape[-2:]).flatten(0, -3)
    parts = [torch.mm(x, y) for x, y in zip(a, b)]
    if not parts:
        return a.new_zeros(shape + (a.shape[-2], b.shape[-1]))
    return torch.stack(parts).reshape(shape + (a.shape[-2], b.shape[-1]))
