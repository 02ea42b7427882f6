"""avoids: forbidden shortcuts are found under every alias, and honest code is not."""

import importlib.util
import linecache
import sys
import textwrap

import pytest
import torch

from torchgrade import expect
from torchgrade.errors import AuthoringError, Mismatch
from torchgrade.isolation.worker.probes import source_names

X = torch.randn(1, 1, 5, 5)
W = torch.randn(1, 1, 3, 3)


@pytest.fixture
def learner(tmp_path, request):
    """Writes a file and returns it as a module."""

    def make(text, name=None):
        name = name or f"learner_{abs(hash(request.node.nodeid + text))}"
        file = tmp_path / f"{name}.py"
        file.write_text(textwrap.dedent(text))
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        module.__package__ = "exercises"  # as a submission's files are
        sys.modules[name] = module
        request.addfinalizer(lambda: sys.modules.pop(name, None))
        linecache.checkcache()
        spec.loader.exec_module(module)
        return module

    return make


def found(*args, **kwargs):
    with pytest.raises(Mismatch) as caught:
        expect.avoids(*args, **kwargs)
    return caught.value


HONEST = """
    import torch

    def conv2d(x, w):
        \"\"\"Unlike F.conv2d, by hand.\"\"\"
        out = x.new_zeros(1, 1, 3, 3)
        for i in range(3):
            for j in range(3):
                out[..., i, j] = (x[..., i:i + 3, j:j + 3] * w).sum((-1, -2))
        return out
"""

SHORTCUTS = [
    "import torch.nn.functional as F\ndef conv2d(x, w): return F.conv2d(x, w)",
    "import torch\ndef conv2d(x, w): return torch.conv2d(x, w)",
    "import torch\ndef conv2d(x, w): return torch.nn.functional.conv2d(x, w)",
    "from torch.nn.functional import conv2d as c\ndef conv2d(x, w): return c(x, w)",
    "from torch.nn.functional import *\n_c = conv2d\ndef conv2d(x, w): return _c(x, w)",
    "import torch.nn.functional as F\ndef conv2d(x, w): return getattr(F, 'conv2d')(x, w)",
    "import torch\nf = torch.nn.functional\ng = f.conv2d\ndef conv2d(x, w): return g(x, w)",
]


@pytest.mark.parametrize("text", SHORTCUTS, ids=range(len(SHORTCUTS)))
def test_a_shortcut_is_found_in_the_text_and_while_it_runs(learner, text):
    module = learner(text)
    mismatch = found(module.conv2d, names=("F.conv2d",), instead="loops over the kernel")
    assert mismatch.expected == "code without F.conv2d; use loops over the kernel instead"
    assert mismatch.got.startswith("F.conv2d in line ")
    assert found(module.conv2d, X, W, operators=("convolution",)).got == "convolution ran"
    assert found(module.conv2d, X, W, functions="conv2d").got == "conv2d ran"


def test_what_the_text_hides_the_operators_show(learner):
    module = learner(
        "import torch\ndef conv2d(x, w): return getattr(torch, 'con' + 'v2d')(x, w)\n"
        "def low(x, w): return torch.ops.aten.convolution(x, w, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)"
    )
    expect.avoids(module.conv2d, names="F.conv2d")
    found(module.conv2d, X, W, operators="convolution")
    found(module.low, X, W, operators="aten.convolution")


def test_honest_code_passes(learner):
    module = learner(HONEST)
    torch.testing.assert_close(module.conv2d(X, W), torch.conv2d(X, W))
    expect.avoids(
        module.conv2d, X, W, functions="conv2d", operators="convolution", names=("F.conv2d", "nn.Conv2d", "torchvision")
    )


def test_classes_and_packages(learner):
    module = learner(
        """
        from torch.nn.modules.conv import Conv2d
        from torch import nn as layers
        import numpy.linalg

        class Net(layers.Module):
            def __init__(self):
                super().__init__()
                self.a = Conv2d(1, 1, 3)

        def f(x):
            return x.max()
        """
    )
    assert found(module.Net, names="nn.Conv2d").got.startswith("nn.Conv2d in line 2 of learner_")
    linalg = found(module.Net(), names="numpy.linalg")
    assert "numpy.linalg in line 4" in linalg.got
    assert linalg.place == (module.__file__, 4, "import"), "the place to look at is that of the use"
    found(module.f, names="max")
    expect.avoids(module.f, names=("min", "nn.Conv1d", "np.fft", "torch.max"))


def test_in_place_twins_properties_and_families(learner):
    module = learner(
        """
        from torch.nn import functional as F

        def relu(x):
            return x.clone().relu_()

        def norm(x):
            return F.batch_norm(x, None, None, training=True)

        def peek(x):
            return x.data + 1
        """
    )
    found(module.relu, X, functions="relu")
    found(module.relu, X, operators="relu")
    found(module.norm, X, operators="native_batch_norm")
    found(module.peek, X, functions="data")
    expect.avoids(module.relu, X, functions="leaky_relu", operators=("elu", "native_batch_norm"))


def test_neighbouring_files_are_read(learner):
    learner("import torch\ndef conv(x, w): return torch.conv2d(x, w)", name="learner_helper")
    module = learner("from learner_helper import conv\ndef conv2d(x, w): return conv(x, w)")
    assert found(module.conv2d, names="F.conv2d").got.endswith("of learner_helper.py")


def test_the_authors_mistakes(learner):
    with pytest.raises(AuthoringError, match="forbids nothing"):
        expect.avoids(torch.relu, X)
    with pytest.raises(AuthoringError, match="own function"):
        expect.avoids(lambda x: x, X, functions="relu")


def test_source_names_need_a_text():
    with pytest.raises(OSError, match="cannot be found"):
        source_names(len)
