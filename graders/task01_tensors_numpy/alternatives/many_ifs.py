"""A beginner: many ifs, a loop over the batches."""


def numpy_to_tensor(array):
    can_share = True
    for stride in array.strides:
        if stride < 0:
            can_share = False
    if array.dtype.byteorder not in ("=", "|"):
        can_share = False
    if not array.flags["WRITEABLE"]:
        can_share = False
    if can_share:
        tensor = torch.from_numpy(array)
    else:
        new_array = np.empty(array.shape, dtype=array.dtype.newbyteorder("="))
        new_array[...] = array
        tensor = torch.from_numpy(new_array)
    return tensor


def tensor_to_numpy(tensor):
    if tensor.requires_grad:
        tensor = tensor.detach()
    if tensor.device != torch.device("cpu"):
        tensor = tensor.to("cpu")
    array = tensor.numpy()
    return array


def copy_to_tensor(array, dtype=None):
    new_array = np.empty(array.shape, dtype=array.dtype.newbyteorder("="))
    new_array[...] = array
    tensor = torch.from_numpy(new_array)
    if dtype is not None:
        tensor = tensor.to(dtype)
    return tensor


def shares_memory(array, tensor):
    if tensor.is_cpu:
        other = tensor.detach().numpy()
        return bool(np.may_share_memory(array, other))
    else:
        return False


def to_model_input(image, device="cpu"):
    if len(image.shape) == 2:
        height, width = image.shape
        image = image.reshape(height, width, 1)
    height, width, channels = image.shape
    values = image.astype(np.float32) / np.float32(255)
    values = values.transpose(2, 0, 1)
    values = values.reshape(1, channels, height, width)
    values = np.ascontiguousarray(values)
    return torch.from_numpy(values).to(device)


def batch_matmul(a, b):
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
    a = a.expand(*lead, n, k).reshape(int(np.prod(lead)), n, k)
    b = b.expand(*lead, k, m).reshape(int(np.prod(lead)), k, m)
    if len(a) == 0:
        return torch.bmm(a, b).reshape(*lead, n, m)
    products = []
    for i in range(len(a)):
        products.append(a[i] @ b[i])
    return torch.stack(products).reshape(*lead, n, m)
