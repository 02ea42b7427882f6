"""PyTorch's own sample inputs for task 05, within its docstrings."""

from torchgrade.samples.like import Like

NO_BATCH = {"an image without a batch axis": lambda x, *_, **__: x.ndim == 3}
VALID = {"a padding by the name of valid": lambda *_, padding=0, **__: padding == "valid"}

SAMPLES = {
    "conv2d": Like("nn.functional.conv2d", NO_BATCH | VALID),
    "ManualConv2d": Like("nn.Conv2d", NO_BATCH),
}
