"""Layers whose forward is wrapped, networks that are nn.Sequential, and means by einsum."""

from contextlib import ExitStack, contextmanager
from math import e, log1p


def pooled_sizes(size: int) -> list[int]:
    sides = [size := (size + extra) // 2 for extra in (0, 0, 2, 0)]
    if all(side > 0 for side in sides):
        return sides
    raise ValueError(sides)


class conv_norm(nn.Module):
    def __init__(self, i, o, k, stride=1, bias=False):
        super().__init__()
        self.c = nn.Conv2d(i, o, k, stride, k // 2, bias=bias)
        self.n = nn.BatchNorm2d(o)

    def forward(self, x):
        return self.n(self.c(x))


def conv_block(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(conv_norm(in_channels, out_channels, 3, bias=True), nn.ReLU(inplace=True))


def normalized_log_probs(logits: Tensor) -> Tensor:
    shifted = logits - logits.amax(-1, keepdim=True).detach() if logits.shape[-1] else logits
    return (
        shifted - shifted.float().exp().sum(-1, keepdim=True).log().to(logits.dtype)
        if logits.dtype != torch.float64
        else shifted - shifted.exp().sum(-1, keepdim=True).log()
    )


def softmax_loss_floor(num_classes: int = 10) -> float:
    if num_classes < 1:
        raise ValueError(num_classes)
    return log1p((num_classes - 1) / e)


class VGGBase(nn.Sequential):
    def __init__(self, num_classes: int = 10, log_probs: bool = False) -> None:
        plan = [(3, 64), "P", (64, 128), (128, 128), "P", (128, 256), (256, 256), "Q", (256, 512), (512, 512), "P"]
        poolings = {"P": 0, "Q": 1}
        super().__init__(
            *(nn.MaxPool2d(2, padding=poolings[p]) if p in poolings else conv_block(*p) for p in plan),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(2048, num_classes),
        )
        self.log_probs = log_probs

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        return normalized_log_probs(logits) if self.log_probs else logits


KINDS = ((nn.Conv2d, "in_channels", 1), (nn.BatchNorm2d, "num_features", 1), (nn.Linear, "in_features", -1))


class Found(Exception):
    def __init__(self, what):
        self.what = what


@contextmanager
def patched(name, layer, log):
    """Puts a forward that looks at its input in front of the forward of the layer."""
    attribute, axis = next((a, x) for kind, a, x in KINDS if isinstance(layer, kind))
    had, forward = "forward" in vars(layer), layer.forward

    def looking(*args, **kwargs):
        x = (*args, *kwargs.values())[0]
        if x.shape[axis] != getattr(layer, attribute):
            log.append((name, getattr(layer, attribute), x.shape[axis]))
            raise Found(log[0])
        return forward(*args, **kwargs)

    layer.forward = looking
    try:
        yield
    finally:
        if had:
            layer.forward = forward
        else:
            del layer.forward


@contextmanager
def preserved(model):
    modes = [m.training for m in model.modules()]
    buffers = [dict(m._buffers) for m in model.modules()]
    state = [(t, t._version, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]
    for m in model.modules():
        m.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for m, mode, saved in zip(model.modules(), modes, buffers):
            m.training = mode
            m._buffers.update(saved)
        for t, version, value in state:
            if t._version != version:
                with torch.no_grad():
                    t.copy_(value)


def find_mismatch(model: nn.Module, input_size: tuple[int, ...]) -> tuple[str, int, int] | None:
    like = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), torch.zeros(()))
    x = torch.full((2, *input_size), 0.5, dtype=like.dtype, device=like.device)
    log: list = []
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[like.device] if like.is_cuda else []))
        stack.enter_context(preserved(model))
        for name, layer in model.named_modules():
            if isinstance(layer, tuple(kind for kind, _, _ in KINDS)):
                stack.enter_context(patched(name, layer, log))
        try:
            model(x)
        except Exception:
            if not log:
                raise
    return log[0] if log else None


class ResidualBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, reduction: int = 1) -> None:
        super().__init__()
        if not 1 <= reduction <= out_channels:
            raise ValueError(reduction)
        m = out_channels // reduction
        self.a = conv_norm(in_channels, m, 3, stride)
        self.b = conv_norm(m, out_channels, 3)
        same = (in_channels, 1) == (out_channels, stride)
        self.p = None if same else conv_norm(in_channels, out_channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return (self.b(self.a(x).clamp(min=0)) + (self.p(x) if self.p else x)).clamp(min=0)


class CifarResNet(nn.Module):
    def __init__(self, num_classes: int = 10, reduction: int = 1) -> None:
        super().__init__()
        self.stem = conv_norm(3, 32, 3)
        widths = [32, 64, 128, 256, 512]
        self.body = nn.Sequential(
            *(
                nn.Sequential(ResidualBlock(i, o, 2, reduction), ResidualBlock(o, o, 1, reduction))
                for i, o in zip(widths, widths[1:])
            )
        )
        self.head = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.body(F.relu(self.stem(x)))
        return self.head(torch.einsum("nchw->nc", maps) / (maps.shape[2] * maps.shape[3]))
