"""F.unfold and a matrix product; tables by string; a network of one layer that learns with Adam."""

from torch import nn

TEXT = {
    "simple": "1 0 -1; 1 0 -1; 1 0 -1",
    "prewitt": "1 0 -1; 1 0 -1; 1 0 -1",
    "sobel": "1 0 -1; 2 0 -2; 1 0 -1",
    "scharr": "3 0 -3; 10 0 -10; 3 0 -3",
}


def output_size(n, f, padding=0, stride=1):
    if isinstance(padding, str):
        if padding not in ("valid", "same", "full") or (padding == "same" and f % 2 == 0):
            raise ValueError(f"padding {padding} for {f}")
        padding = {"valid": 0, "same": (f - 1) // 2, "full": f - 1}[padding]
    places = range(0, n + 2 * padding - f + 1, stride)
    if len(places) == 0:
        raise ValueError("no place")
    return len(places)


def edge_kernel(name, direction):
    if name not in [*TEXT, "roberts"] or direction not in ["vertical", "horizontal"]:
        raise ValueError(f"{name} {direction}")
    if name == "roberts":
        text = "1 0; 0 -1" if direction == "vertical" else "0 1; -1 0"
        return torch.tensor([[float(number) for number in row.split()] for row in text.split(";")])
    table = torch.tensor([[float(number) for number in row.split()] for row in TEXT[name].split(";")])
    return table if direction == "vertical" else table.rot90().flip(0) * 1


def cross_correlate2d(x, k, mode="valid"):
    dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    x, k = x.to(dtype), k.to(dtype)
    pads = [(output_size(n, f, mode) + f - 1 - n) // 2 for n, f in zip(x.shape, k.shape, strict=True)]
    rows, columns = (output_size(n, f, mode) for n, f in zip(x.shape, k.shape, strict=True))
    patches = F.unfold(x[None, None], tuple(k.shape), padding=tuple(pads))[0]  # (taps, places)
    return (k.reshape(1, -1) @ patches).reshape(rows, columns)


def convolve2d(x, k, mode="valid"):
    # the picture is turned, and so is the result
    return cross_correlate2d(x.flip(0).flip(1), k, mode).flip(0).flip(1)


def gradient_magnitude(img, kernel):
    if isinstance(kernel, str):
        first, second = edge_kernel(kernel, "vertical").to(img.device), edge_kernel(kernel, "horizontal").to(img.device)
    else:
        first, second = kernel, kernel.transpose(0, 1)
    return torch.hypot(cross_correlate2d(img, first), cross_correlate2d(img, second))


def edge_mask(img, kernel, threshold=0.5):
    found = gradient_magnitude(img, kernel)
    if not found.any():
        return torch.zeros_like(found, dtype=torch.bool)
    return found > found.max() * threshold


class Learner(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, size, bias=False)

    def forward(self, x):
        return self.layer(x[None, None])[0, 0]


def learn_kernel(img, target):
    dtype = img.dtype if img.is_floating_point() else torch.float32
    size = [a - b + 1 for a, b in zip(img.shape, target.shape, strict=True)]
    net = Learner(size).to(img.device, dtype)
    low = img.min().to(dtype)
    spread = img.max().to(dtype) - low
    x, y = img.to(dtype) / spread, target.to(dtype) / spread
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2000)
    for _ in range(2000):
        optimizer.zero_grad()
        nn.MSELoss()(net(x), y).backward()
        optimizer.step()
        schedule.step()
    return net.layer.weight.detach()[0, 0]
