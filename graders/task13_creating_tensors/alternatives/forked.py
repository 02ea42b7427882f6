"""Loops over entries, noise drawn into zeros, and a forked global state for the sample."""


def rank_name(t):
    axes = 0
    for _ in t.shape:
        axes += 1
    if axes == 0:
        return "scalar"
    elif axes == 1:
        return "vector"
    elif axes == 2:
        return "matrix"
    return "tensor"


def environment_report():
    report = {}
    report["torch"] = "" + str(torch.__version__)
    report["cuda_available"] = torch.cuda.is_available()
    report["cuda_version"] = torch.version.cuda
    report["device_count"] = torch.cuda.device_count()
    report["accelerator"] = None
    acc = torch.accelerator.current_accelerator()
    if acc is not None:
        report["accelerator"] = acc.type
    return report


def memory_address(obj):
    if torch.is_tensor(obj):
        return obj.untyped_storage().data_ptr() + obj.storage_offset() * obj.element_size()
    return obj.__array_interface__["data"][0]


def arange_like_python(start, end, step=1):
    if isinstance(start, int) and isinstance(end, int) and isinstance(step, int):
        return torch.tensor(list(range(start, end, step)), dtype=torch.int64)
    if step == 0:
        raise ValueError("no step")
    numbers = []
    i = 0
    while (start + i * step < end) if step > 0 else (start + i * step > end):
        numbers.append(float(start + i * step))
        i += 1
    return torch.tensor(numbers, dtype=torch.float32)


def linspace(start, end, steps):
    if steps < 0:
        raise ValueError("negative number of steps")
    numbers = []
    for i in range(steps):
        if i == 0:
            numbers.append(float(start))
        elif i == steps - 1:
            numbers.append(float(end))
        else:
            numbers.append(start + (end - start) * i / (steps - 1))
    return torch.tensor(numbers, dtype=torch.float32)


def coo_to_dense(indices, values, size):
    dense = torch.zeros(size, dtype=values.dtype, device=values.device)
    for column in range(indices.shape[1]):
        place = tuple(indices[:, column].tolist())
        dense[place] += values[column]
    return dense


def uniform(low, high, size, generator=None):
    if generator is None:
        u = torch.rand(size, dtype=torch.float32)
    else:
        u = torch.rand(size, generator=generator, device=generator.device, dtype=torch.float32)
    u.mul_(high - low)
    u.add_(low)
    return u


def normal_four_modes(mean_t, std_t, mean, std, size, generator=None):
    if not mean_t.is_floating_point():
        mean_t = mean_t.float()
        std_t = std_t.float()
    if std < 0:
        raise ValueError("std")
    if (std_t < 0).sum() > 0:
        raise ValueError("std_t")
    m, s = torch.broadcast_tensors(mean_t, std_t)

    def noise(shape, dtype, device):
        z = torch.zeros(shape, dtype=dtype, device=device)
        z.normal_(generator=generator)
        return z

    a = noise(m.shape, m.dtype, m.device)
    a *= s
    a += m
    b = noise(std_t.shape, std_t.dtype, std_t.device)
    b *= std_t
    b += mean
    c = noise(mean_t.shape, mean_t.dtype, mean_t.device)
    c *= std
    c += mean_t
    d = noise(size, torch.float32, torch.device("cpu") if generator is None else generator.device)
    d *= std
    d += mean
    return a, b, c, d


def seeded_sample(seed):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        means = torch.rand(2, dtype=torch.float32)
        stds = torch.rand(2, dtype=torch.float32)
        return means + stds * torch.randn(2, dtype=torch.float32)
