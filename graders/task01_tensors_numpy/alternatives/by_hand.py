"""ctypes addresses, torch.empty and copy_, a table in place of a division, baddbmm for the products."""

# It is appended to the solution, whose helpers it may use.

TABLE = torch.arange(256) / 255


def tensor_to_numpy(tensor):
    with torch.no_grad():
        return np.asarray(tensor.detach().to(device="cpu", copy=False))


def copy_to_tensor(array, dtype=None):
    contiguous = np.empty(array.shape, array.dtype.newbyteorder("="))
    contiguous[...] = array
    tensor = torch.from_numpy(contiguous)
    if dtype is None:
        return tensor
    out = torch.empty(tensor.shape, dtype=dtype)
    out.copy_(tensor)
    return out


def shares_memory(array, tensor):
    if not tensor.device.type == "cpu":
        return False
    return array.ctypes.data == tensor.untyped_storage().data_ptr() + tensor.storage_offset() * tensor.element_size()


def to_model_input(image, device="cpu"):
    levels = copy_to_tensor(image, torch.int64).to(device)
    values = TABLE.to(device)[levels]  # (H, W) or (H, W, C) float32
    if values.dim() == 2:
        values = values.unsqueeze(2)
    return values.unsqueeze(0).movedim(3, 1)


def batch_matmul(a, b):
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
    a, b = (t.expand(*lead, *t.shape[-2:]).reshape(lead.numel(), *t.shape[-2:]) for t in (a, b))
    zero = torch.zeros(a.shape[0], n, m, dtype=a.dtype, device=a.device)
    return torch.baddbmm(zero, a, b).reshape(*lead, n, m) if k else zero.reshape(*lead, n, m)
