"""Lie through Python objects: values that only look right."""

from hostile.attempt import Payload


def lie(name: str, attempt: str, text: str, naive: bool = True, **more: object) -> Payload:
    control = "naive" if naive else "none"
    return Payload(name, attempt, text, 1, proof="exam", control=control, **more)  # type: ignore[arg-type]


PAYLOADS = [
    lie("nan", "return NaN", "def scale(x, factor=2.0):\n    return x * float('nan')\n"),
    lie("infinity", "return infinity", "def scale(x, factor=2.0):\n    return x * float('inf')\n", naive=False),
    lie(
        "subclass",
        "return a tensor whose class says that it equals everything",
        """
class Always(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name in ("allclose", "equal", "isclose", "eq", "__eq__"):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})
def scale(x, factor=2.0):
    return torch.zeros_like(x).as_subclass(Always)
""",
    ),
    lie(
        "equal_object",
        "return an object that equals, compares and measures as you like",
        """
class Lie:
    shape, dtype, ndim = (3,), torch.float32, 1
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __sub__(self, other): return self
    __rsub__ = __sub__
    def __abs__(self): return self
    abs = max = lambda self, *a: self
    def __gt__(self, other): return False
    def __float__(self): return 0.0
    def __len__(self): return 3
    @property
    def __class__(self): return torch.Tensor
def scale(x, factor=2.0):
    return Lie()
""",
    ),
    lie(
        "half_precision",
        "return right values of another type",
        "def scale(x, factor=2.0):\n    return (x * factor).half()\n",
        naive=False,
    ),
    lie("shape", "return right values in another shape", "def scale(x, factor=2.0):\n    return (x * factor)[None]\n"),
    lie(
        "numpy",
        "return an array instead of a tensor",
        "def scale(x, factor=2.0):\n    return (x * factor).numpy()\n",
        naive=False,
    ),
    lie(
        "listed",
        "return a list instead of a tensor",
        "def scale(x, factor=2.0):\n    return (x * factor).tolist()\n",
        naive=False,
    ),
    lie(
        "tensor_by_name",
        "return an object of a class called Tensor",
        """
class Tensor:
    def __init__(self, x): self.x = x
Tensor.__module__ = "torch"
def scale(x, factor=2.0):
    return Tensor(x)
""",
        naive=False,
    ),
    lie(
        "meta",
        "return a tensor without values",
        "def scale(x, factor=2.0):\n    return x.to('meta') * factor\n",
        naive=False,
    ),
    lie(
        "sparse",
        "return a sparse tensor",
        "def scale(x, factor=2.0):\n    return torch.zeros_like(x).to_sparse()\n",
        naive=False,
    ),
    lie(
        "huge_integer",
        "return an integer of a million digits",
        "def scale(x, factor=2.0):\n    return 1 << 3000000\n",
        naive=False,
    ),
    lie(
        "expanded",
        "return one number as a tensor of 2^40",
        "def scale(x, factor=2.0):\n    return torch.zeros(1).expand(1 << 40)\n",
        naive=False,
    ),
    lie(
        "recursive",
        "return a list that holds itself",
        "def scale(x, factor=2.0):\n    a = []\n    a.append(a)\n    return a\n",
        naive=False,
    ),
    lie(
        "endless",
        "return something that never stops iterating",
        """
class Endless(list):
    def __iter__(self):
        while True:
            yield 1
    def __len__(self): return 1
def scale(x, factor=2.0):
    return Endless([1])
""",
        naive=False,
        seconds=3.0,
    ),
    lie(
        "changing",
        "change the answer after it was sent",
        """
def scale(x, factor=2.0):
    out = torch.zeros(1 << 20)
    threading.Thread(target=lambda: [out.fill_(n) for n in range(1000)], daemon=True).start()
    return out
""",
        naive=False,
    ),
    lie(
        "input_changed",
        "change the input so that the expected value follows",
        """
def scale(x, factor=2.0):
    x.zero_()
    return x
""",
    ),
    lie(
        "hostile_text",
        "raise text full of control characters, surrogates and 10 MB",
        """
class Loud(Exception):
    pass
def scale(x, factor=2.0):
    raise Loud("\\x1b[2J\\x1b]0;owned\\x07\\x00\\ud800<script>" + "x" * (10 << 20))
""",
        naive=False,
    ),
    lie(
        "hostile_names",
        "call the exception, the file and the function what you like",
        """
def scale(x, factor=2.0):
    exec(compile("def \\u202epassed(): raise type('\\x1b[31mOK' * 1000, (Exception,), {})()\\npassed = None\\n".replace(
        "passed = None", ""), "/etc/passwd\\x1b[0m", "exec"), globals())
    globals()["\\u202epassed"]()
""",
        naive=False,
    ),
    Payload(
        "module_claims",
        "a module that says it has the right parameters",
        """
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(7))
    def parameters(self, recurse=True):
        return iter([torch.nn.Parameter(torch.zeros(3))])
    def named_parameters(self, *a, **k):
        return iter([("weight", torch.nn.Parameter(torch.zeros(3)))])
    def state_dict(self, *a, **k):
        return {"weight": torch.zeros(3)}
def attack(t):
    return None
""",
        1,
        proof="structure",
        control="none",
    ),
    Payload(
        "gradient_lies",
        "return gradients of wrong shape, type and value",
        """
class Lie(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 3.0
    @staticmethod
    def backward(ctx, g): return g * float("nan")
def scale(x, factor=2.0):
    return Lie.apply(x)
""",
        1,
        proof="gradient",
        control="none",
    ),
    Payload(
        "gradient_hangs",
        "never return from backward",
        """
class Lie(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 3.0
    @staticmethod
    def backward(ctx, g):
        while True:
            pass
def scale(x, factor=2.0):
    return Lie.apply(x)
""",
        1,
        proof="gradient",
        control="none",
        seconds=1.0,
    ),
]
