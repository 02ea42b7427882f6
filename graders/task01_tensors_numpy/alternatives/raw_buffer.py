"""Plain memory is read with torch.frombuffer; pictures are flattened to a matrix of pixels and transposed."""


def numpy_to_tensor(array):
    if array.size and array.flags.writeable and array.dtype.isnative:
        if array.flags.c_contiguous:
            return torch.frombuffer(array, dtype=torch.from_numpy(array[..., None][:0]).dtype).view(array.shape)
        if array.flags.f_contiguous:
            return numpy_to_tensor(array.T).permute(*reversed(range(array.ndim)))
        if min(array.strides) >= 0:
            return torch.from_numpy(array)
    return copy_to_tensor(array)


def tensor_to_numpy(tensor):
    with torch.no_grad():
        return tensor.to("cpu").detach().__array__()


def copy_to_tensor(array, dtype=None):
    flat = array.astype(array.dtype.newbyteorder("=")).ravel()  # astype copies, ravel may copy once more
    tensor = torch.from_numpy(np.ascontiguousarray(flat)).view(array.shape)
    return tensor.type(dtype) if dtype else tensor


def shares_memory(array, tensor):
    address, _read_only = array.__array_interface__["data"]
    return tensor.device == torch.device("cpu") and tensor.data_ptr() == address


def to_model_input(image, device="cpu"):
    height, width = image.shape[:2]
    rows = torch.tensor(np.ascontiguousarray(image).reshape(height * width, -1), device=device)  # (H * W, C)
    return rows.t().reshape(1, -1, height, width).to(torch.float32).div(255.0)


def batch_matmul(a, b):
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a3 = a.expand(*lead, *a.shape[-2:]).reshape(lead.numel(), *a.shape[-2:])
    b3 = b.expand(*lead, *b.shape[-2:]).reshape(lead.numel(), *b.shape[-2:])
    return torch.bmm(a3, b3).reshape(*lead, a.shape[-2], b.shape[-1])
