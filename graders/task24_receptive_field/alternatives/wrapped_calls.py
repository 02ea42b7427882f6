"""Recursion over the layers; multiply-adds by hooks before the call; the field by the mean over random pictures."""


def windows(layers):
    if isinstance(layers, nn.Module) and not isinstance(layers, nn.Sequential):
        layers = [layers]
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from windows(layer)
        elif isinstance(layer, tuple):
            k, *rest = layer
            s = rest[0] if len(rest) > 0 else 1
            p = rest[1] if len(rest) > 1 else 0
            d = rest[2] if len(rest) > 2 else 1
            yield k, s, p, d
        elif isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            one = lambda value: value if isinstance(value, int) else value[0]  # noqa: E731
            dilation = 1 if isinstance(layer, nn.AvgPool2d) else one(layer.dilation)
            yield one(layer.kernel_size), one(layer.stride), one(layer.padding), dilation


def receptive_field(layers):
    size, jump, start = 1, 1, 0
    for k, s, p, d in windows(layers):
        effective = d * (k - 1) + 1
        start = start + ((effective - 1) / 2 - p) * jump
        size = size + (effective - 1) * jump
        jump = jump * s
    return size, jump, start


def count_params(model):
    seen, total = set(), 0
    for layer in model.modules():
        for parameter in layer.parameters(recurse=False):
            if parameter not in seen:
                seen.add(parameter)
                total += parameter.numel()
    return total


def count_macs(model, input_size):
    counts = []

    def before(layer, inputs):
        x = inputs[0]
        if isinstance(layer, nn.Linear):
            counts.append(x.numel() // x.shape[-1] * layer.in_features * layer.out_features)
        elif isinstance(layer, nn.Conv2d):
            places = 1
            for n, k, s, p, d in zip(
                x.shape[-2:], layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True
            ):
                places *= (n + 2 * p - d * (k - 1) - 1) // s + 1
            kh, kw = layer.kernel_size
            counts.append(places * layer.out_channels * (layer.in_channels // layer.groups) * kh * kw)

    net = copy.deepcopy(model).eval()
    for layer in net.modules():
        layer.register_forward_pre_hook(before)
    parameters = list(net.parameters())
    where = {"dtype": parameters[0].dtype, "device": parameters[0].device} if parameters else {}
    with torch.inference_mode():
        net(torch.ones(input_size, **where)[None])
    return sum(counts)


def conv_cost(kind, cin, cout, k, h, w, groups=1):
    if kind not in ("standard", "grouped", "depthwise_separable"):
        raise ValueError(f"unknown kind {kind}")
    if kind == "depthwise_separable":
        depth = conv_cost("grouped", cin, cin, k, h, w, groups=cin)
        point = conv_cost("standard", cin, cout, 1, h, w)
        return depth[0] + point[0], depth[1] + point[1]
    g = groups if kind == "grouped" else 1
    if cin % g != 0 or cout % g != 0:
        raise ValueError("groups")
    per_filter = (cin // g) * k**2
    return cout * per_filter, cout * per_filter * h * w


def linear_to_conv(linear, c, h, w):
    out, width = linear.weight.shape
    if width != c * h * w:
        raise ValueError(f"{width}")
    conv = nn.Conv2d(c, out, kernel_size=(h, w), bias=linear.bias is not None).to(linear.weight)
    state = {
        name: value.view(out, c, h, w) if name == "weight" else value for name, value in linear.state_dict().items()
    }
    if linear.weight.device.type == "meta":
        return conv
    conv.load_state_dict(state)
    return conv


def empirical_receptive_field(model):
    net = copy.deepcopy(model).to(torch.float64)
    net.eval()
    channels = None
    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            channels = channels or part.in_channels
            part.weight.data = torch.rand_like(part.weight.data) + 0.1
            part.weight.data /= part.weight.data.sum((1, 2, 3), keepdim=True)
            if part.bias is not None:
                part.bias.data.zero_()
        if isinstance(part, nn.BatchNorm2d):
            if part.affine:
                part.weight.data.fill_(1.0)
                part.bias.data.fill_(0.0)
            part.running_mean.zero_()
            part.running_var.fill_(1.0)
        if isinstance(part, nn.MaxPool2d):
            part.forward = lambda x, p=part: F.avg_pool2d(x, p.kernel_size, p.stride, p.padding)
    x = torch.full((1, channels or 1, 512, 512), 0.5, dtype=torch.float64).requires_grad_()
    y = net(x).sum(1)[0]
    centre = y[y.size(0) // 2, y.size(1) // 2]
    grad = torch.autograd.grad(centre, x)[0].abs().amax((0, 1, 2))
    hit = [place for place, value in enumerate(grad.tolist()) if value > 0]
    return hit[-1] - hit[0] + 1
