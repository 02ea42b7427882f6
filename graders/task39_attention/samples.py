"""PyTorch's own sample inputs for task 39, within its docstrings."""

from torchgrade.samples.like import Like


def masked(q, k, v, attn_mask=None, **_):
    return (q, k, v, attn_mask), {}


SAMPLES = {
    "scaled_dot_product_attention": Like(
        "nn.functional.scaled_dot_product_attention",
        {
            "dropout": lambda *_, dropout_p=0.0, **__: dropout_p > 0,
            "a causal mask by a flag": lambda *_, is_causal=False, **__: is_causal,
            "a mask of numbers": lambda *_, attn_mask=None, **__: (
                attn_mask is not None and attn_mask.is_floating_point()
            ),
            "fewer heads of keys": lambda q, k, v, **_: k.shape[:-2] != q.shape[:-2],
            "a scale by hand": lambda *_, scale=None, **__: scale is not None,
        },
        masked,
    ),
}
