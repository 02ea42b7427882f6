"""Fields from the last layer back to the picture; PyTorch's own counter of operations; layers rebuilt one by one."""

from torch.utils.flop_counter import FlopCounterMode


def as_tuples(layers):
    if isinstance(layers, tuple):
        return [layers + (1, 0, 1)[len(layers) - 1 :]]
    if isinstance(layers, (list, nn.Sequential)):
        return [one for layer in layers for one in as_tuples(layer)]
    if isinstance(layers, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
        values = [layers.kernel_size, layers.stride, layers.padding, getattr(layers, "dilation", 1)]
        return [tuple(max(value) if isinstance(value, tuple) else value for value in values)]
    return []


def receptive_field(layers):
    first = last = 0
    jump = 1
    for k, s, p, d in reversed(as_tuples(layers)):
        first, last = first * s - p, last * s - p + d * (k - 1)
        jump *= s
    return last - first + 1, jump, (first + last) / 2


def count_params(model):
    unique = {id(parameter): parameter.nelement() for parameter in model.parameters()}
    return sum(unique.values())


def count_macs(model, input_size):
    net = copy.deepcopy(model).eval()
    like = next(iter(net.parameters()), torch.zeros(()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(like.new_zeros((1, *input_size)))
    counted = [name for name, layer in net.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    whole = type(net).__name__  # a layer's name begins with the class of the network
    flops = counter.get_flop_counts()
    return sum(sum(flops.get(f"{whole}.{name}" if name else whole, {}).values()) for name in counted) // 2


def conv_cost(kind, cin, cout, k, h, w, groups=1):
    layers = {
        "standard": [(cin, cout, k, 1)],
        "grouped": [(cin, cout, k, groups)],
        "depthwise_separable": [(cin, cin, k, cin), (cin, cout, 1, 1)],
    }
    if kind not in layers:
        raise ValueError(kind)
    macs = weights = 0
    for inputs, outputs, size, parts in layers[kind]:
        layer = nn.Conv2d(inputs, outputs, size, groups=parts, bias=False, device="meta")  # refuses uneven groups
        weights += count_params(layer)
        macs += layer.weight.numel() * h * w
    return weights, macs


def fc_vs_conv(h, w, units, k):
    shared = k**2
    return h * units * w, shared * units, shared


def linear_to_conv(linear, c, h, w):
    if linear.in_features != c * h * w:
        raise ValueError("sizes")
    conv = nn.Conv2d(c, linear.out_features, (h, w), bias=linear.bias is not None)
    conv.weight = nn.Parameter(linear.weight.detach().clone().unflatten(1, (c, h, w)))
    if linear.bias is not None:
        conv.bias = nn.Parameter(linear.bias.detach().clone())
    return conv


def positive(layer):
    """The same window, made of positive weights; what has no window changes nothing."""
    if isinstance(layer, nn.Sequential):
        return nn.Sequential(*(positive(one) for one in layer))
    if isinstance(layer, nn.Conv2d):
        twin = nn.Conv2d(1, 1, layer.kernel_size, layer.stride, layer.padding, layer.dilation, bias=False)
        nn.init.ones_(twin.weight)
        return twin.double()
    if isinstance(layer, nn.MaxPool2d):
        return nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
    if isinstance(layer, (nn.BatchNorm2d, nn.ReLU, nn.Dropout)):
        return nn.Identity()
    return copy.deepcopy(layer)


def empirical_receptive_field(model):
    net = positive(model)
    picture = torch.rand(1, 1, 600, 600).double() + 1
    picture.requires_grad_()
    out = net(picture / 10)
    out[..., out.shape[-2] // 2, out.shape[-1] // 2].sum().backward()
    rows = picture.grad[0, 0].any(1)
    return int(rows.nonzero().max() - rows.nonzero().min()) + 1
