"""Plain loops and dictionaries; a copy on the device meta for the sizes; the field from both ends."""

DEFAULTS = {1: (1, 0, 1), 2: (0, 1), 3: (1,), 4: ()}


def receptive_field(layers):
    todo = list(layers) if isinstance(layers, (list, tuple, nn.Sequential)) else [layers]
    flat = []
    while todo:
        head, *todo = todo
        if isinstance(head, nn.Sequential):
            todo = [head[place] for place in range(len(head))] + todo
        else:
            flat.append(head)
    table = {"size": 1, "jump": 1, "start": 0.0}
    for layer in flat:
        if isinstance(layer, tuple):
            k, s, p, d = layer + DEFAULTS[len(layer)]
        elif isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            k, s, p, d = (
                torch.Size(torch.atleast_1d(torch.tensor(getattr(layer, name, 1))).tolist())[0]
                for name in ("kernel_size", "stride", "padding", "dilation")
            )
        else:
            continue
        table = {
            "size": table["size"] + (k - 1) * d * table["jump"],
            "jump": table["jump"] * s,
            "start": table["start"] + table["jump"] * (d * (k - 1) - 2 * p) / 2,
        }
    return table["size"], table["jump"], table["start"]


def count_params(model):
    total = 0
    for parameter in set(model.parameters()):
        product = 1
        for length in parameter.shape:
            product *= length
        total += product
    return total


def count_macs(model, input_size):
    net = copy.deepcopy(model).eval().to("meta")
    found = {"total": 0}

    def after(layer, inputs, output):
        if isinstance(layer, nn.Linear):
            found["total"] += output.numel() * layer.weight.shape[1]
        else:
            found["total"] += output[0].numel() * layer.weight[0].numel()

    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(after)
    dtypes = [parameter.dtype for parameter in net.parameters()]
    net(torch.empty(1, *input_size, device="meta", dtype=dtypes[0] if dtypes else None))
    return found["total"]


def fc_vs_conv(h, w, units, k):
    full = sum(w * units for _ in range(h))
    return full, units * k * k, k * k


def linear_to_conv(linear, c, h, w):
    if linear.in_features - c * h * w:
        raise ValueError("c * h * w is not in_features")
    with_bias = linear.bias is not None
    conv = nn.Conv2d(c, linear.out_features, [h, w], 1, 0, 1, 1, with_bias)
    conv = conv.to(device=linear.weight.device, dtype=linear.weight.dtype)
    conv.weight.data = torch.stack([row.reshape(c, h, w) for row in linear.weight.data])
    if with_bias:
        conv.bias.data = linear.bias.data + 0
    return conv


def empirical_receptive_field(model):
    """Hooks in the backward pass are not needed where all weights are ones: any gradient is positive."""
    net = copy.deepcopy(model).double().eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight = nn.Parameter(torch.ones_like(layer.weight) / layer.weight[0].numel())
            layer.bias = None
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean, layer.running_var = None, None
            layer.forward = lambda x: x
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(
                lambda pool, x, y: F.lp_pool2d(
                    F.pad(x[0], list(pool.padding) * 2 if isinstance(pool.padding, tuple) else [pool.padding] * 4),
                    1,
                    pool.kernel_size,
                    pool.stride,
                    pool.ceil_mode,
                )
            )
    convs = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    side = 700
    x = torch.ones(1, convs[0].in_channels if convs else 1, side, side, dtype=torch.float64, requires_grad=True)
    y = net(x)
    y[:, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    line = (x.grad != 0).any(0).any(0).any(0).int()
    return side - int(line.argmax()) - int(line.flip(0).argmax())
