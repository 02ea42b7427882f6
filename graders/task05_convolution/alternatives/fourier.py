"""A product in the frequency domain: every place is computed at stride 1, then the wanted ones are kept."""

# The Fourier transform knows no half precision on a CPU: it is taken in float32, and the sums are rounded once.


def conv2d_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    layer = nn.Conv2d(1, 1, kernel_size, stride, padding, dilation, device="meta")
    try:
        return tuple(layer(torch.empty(1, 1, *pair(size), device="meta")).shape[2:])
    except RuntimeError:
        raise ValueError("the kernel does not fit") from None


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    dtype = x.dtype
    wide = torch.promote_types(dtype, torch.float32)
    x, weight = x.to(wide), weight.to(wide)
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    span_h, span_w = dh * (weight.shape[2] - 1) + 1, dw * (weight.shape[3] - 1) + 1
    if padding == "same":
        if sh != 1 or sw != 1:
            raise ValueError("padding='same' needs stride 1")
        top, left = (span_h - 1) // 2, (span_w - 1) // 2
        x = F.pad(x, (left, span_w - 1 - left, top, span_h - 1 - top))
    else:
        ph, pw = pair(padding)
        x = F.pad(x, (pw, pw, ph, ph))
    h, w = x.shape[2:]
    if span_h > h or span_w > w:
        raise ValueError("the kernel does not fit")
    if not len(x):  # the Fourier transform takes no empty batch
        return x.new_zeros(0, len(weight), (h - span_h) // sh + 1, (w - span_w) // sw + 1, dtype=dtype)
    spread = weight.new_zeros(*weight.shape[:2], span_h, span_w)
    spread[:, :, ::dh, ::dw] = weight
    kernels = torch.fft.rfft2(spread, s=(h, w)).conj().unflatten(0, (groups, -1))  # (G, O / G, C / G, h, w / 2 + 1)
    blocks = torch.fft.rfft2(x).unflatten(1, (groups, -1))  # (N, G, C / G, h, w / 2 + 1)
    product = (blocks.unsqueeze(2) * kernels).sum(3).flatten(1, 2)  # (N, O, h, w / 2 + 1)
    y = torch.fft.irfft2(product, s=(h, w))[:, :, : h - span_h + 1 : sh, : w - span_w + 1 : sw]
    y = y if bias is None else y + bias[None, :, None, None]
    return y.to(dtype)


class ManualConv2d(nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, *settings, bias=True, **named):
        super().__init__()
        self.settings, self.named = settings[:4], named
        if len(settings) > 4:
            bias = settings[4]
        groups = settings[3] if len(settings) > 3 else named.get("groups", 1)
        layer = nn.Conv2d(in_channels, out_channels, kernel_size, groups=groups, bias=bias)
        self.weight, self.bias = layer.weight, layer.bias  # the library's first values

    def forward(self, x):
        return conv2d(x, self.weight, self.bias, *self.settings, **self.named)
