"""PyTorch's own sample inputs for task 04, within its docstrings."""

from torchgrade.samples.like import Like

ALONG_NOTHING = {"an axis of length 0 has no sum": lambda x, dim, **_: x.ndim > 0 and x.shape[dim] == 0}
NAMES = ("relu", "leaky_relu", "prelu", "relu6", "elu", "celu", "selu", "logsigmoid", "softshrink",
         "tanhshrink", "gelu", "silu", "hardswish")  # fmt: skip

SAMPLES = {
    "sigmoid": Like("sigmoid"),
    "tanh": Like("tanh"),
    **{name: Like(f"nn.functional.{name}") for name in NAMES},
    "softmax": Like("softmax", ALONG_NOTHING),
    "log_softmax": Like("log_softmax", ALONG_NOTHING),
}
