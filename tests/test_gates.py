"""What a right answer is worth: rules hold it back, values come first, and a check waits for what it builds on."""

import textwrap

import pytest
from support import checks_of, copy_of_mini, grade_here, result_of

from torchgrade.checks import Rule, check
from torchgrade.errors import AuthoringError
from torchgrade.expect.aliases import aliases
from torchgrade.model import Status

SUITE = """
    import torch
    from torchgrade.authoring import Rule, check, expect

    BY_HAND = Rule(of=("softmax", "relu", "Layer"), functions=("softmax", "relu", "grad"), names="nn.ReLU", instead="exp")
    x = torch.linspace(-2, 2, 12).reshape(3, 4)


    @check("softmax is right", points=2, category="values")
    def test_softmax(submission):
        expect.close(submission.softmax(x), torch.softmax(x, -1))


    @check("softmax is right for batches", points=1, category="values", after=test_softmax)
    def test_batches(submission):
        expect.close(submission.softmax(x[None]), torch.softmax(x[None], -1))


    @check("relu is right", points=2, category="values", after=test_softmax)
    def test_relu(submission):
        expect.close(submission.relu(x), torch.relu(x))


    @check("the layer is right", points=2, category="values", after=[test_softmax, test_relu])
    def test_layer(submission):
        expect.close(submission.Layer()(x), torch.relu(x))


    @check("relu has slopes", points=1, category="gradients", after=test_relu)
    def test_slopes(submission):
        start = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad((submission.relu(start) * x).sum(), start)  # the engine's own, in the worker
        expect.close(slope, x * (x > 0))


    @check("relu leaves x alone", points=1, category="robustness")
    def test_intact(submission):
        expect.not_mutated(submission, submission.relu, x)


    @check("nothing is PyTorch's", points=1, category="rules", gates=BY_HAND)
    def test_rule(submission):
        expect.avoids(submission.softmax, x, rule=BY_HAND)
        expect.avoids(submission.relu, x, rule=BY_HAND)
"""
HONEST = {
    "softmax": "def softmax(x):\n    e = (x - x.amax(-1, keepdim=True)).exp()\n    return e / e.sum(-1, keepdim=True)\n",
    "relu": "def relu(x):\n    return x.clamp_min(0)\n",
    "layer": "class Layer(nn.Module):\n    def forward(self, x):\n        return relu(x)\n",
}
HEAD = "import threading\nimport torch\nfrom torch import nn\nfrom torch.nn import functional as F\n"


@pytest.fixture(scope="module")
def grade(tmp_path_factory):
    """Grades texts that stand for parts of an honest file; outcomes by check."""
    root = copy_of_mini(tmp_path_factory.mktemp("gates"))
    (root / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE))

    def run(**parts):
        return grade_here(root, HEAD + "\n\n".join({**HONEST, **parts}.values()))

    return run


def statuses(outcomes):
    return {name.removeprefix("test_"): str(outcome.status) for name, outcome in outcomes.items()}


def test_an_honest_file_earns_everything(grade):
    assert set(statuses(grade()).values()) == {"passed"}


def test_a_broken_rule_holds_what_was_forwarded_and_nothing_else(grade):
    outcomes = grade(softmax="def softmax(x):\n    return F.softmax(x, -1)\n")
    assert statuses(outcomes) == {
        "softmax": "held",
        "batches": "held",
        "relu": "passed",
        "layer": "passed",
        "slopes": "passed",
        "intact": "passed",
        "rule": "failed",
    }
    assert outcomes["test_softmax"].points == 0
    assert "nothing is PyTorch's" in outcomes["test_softmax"].message
    assert outcomes["test_rule"].got == "softmax ran"


def test_what_calls_a_forwarded_function_is_held_too(grade):
    assert statuses(grade(relu="def relu(x):\n    return F.relu(x)\n"))["layer"] == "held"


@pytest.mark.parametrize(
    ("body", "got"),
    [
        ("return torch._safe_softmax(x, -1)", "softmax ran"),
        (
            "return torch._C._nn.softmax(x, -1) if hasattr(torch._C._nn, 'softmax') else torch._softmax(x, -1, False)",
            "",
        ),
        ("return torch._masked_softmax(x, torch.zeros_like(x, dtype=torch.bool), -1)", "softmax ran"),
        ("return getattr(torch, 'soft' + 'max')(x, -1)", "softmax ran"),
        ("return torch.ops.aten.softmax.int(x, -1)", "softmax ran"),
        ("return torch.sparse.softmax(x.to_sparse(), -1).to_dense()", "softmax ran"),
        (
            "if x.dim() == 3: return F.softmax(x, -1)\n    e = (x - x.amax(-1, keepdim=True)).exp()\n"
            "    return e / e.sum(-1, keepdim=True)",
            "softmax ran",  # only where the check of the rule does not look
        ),
        (
            "from torch.utils import _python_dispatch as modes\n    with modes._disable_current_modes():\n"
            "        return F.softmax(x, -1)",
            "",
        ),
        (
            "torch._C._pop_torch_function_stack() if torch._C._len_torch_function_stack() else None\n"
            "    return F.softmax(x, -1)",
            "",
        ),
    ],
)
def test_no_detour_pays(grade, body, got):
    outcomes = grade(softmax=f"def softmax(x):\n    {body}\n")
    assert outcomes["test_softmax"].points == 0, outcomes
    assert outcomes["test_rule"].points == 0
    assert got in (outcomes["test_rule"].got or "")


@pytest.mark.parametrize("body", [
    "class Late(torch.Tensor):\n        def detach(self):\n            return F.softmax(x, -1)\n"
    "    return x.as_subclass(Late)",
    "class Late(torch.Tensor):\n        @property\n        def dtype(self):\n"
    "            self.copy_(F.softmax(x, -1))\n            return torch.float32\n    return x.clone().as_subclass(Late)",
    "class Parameter(nn.Parameter):\n        def detach(self):\n            return F.softmax(x, -1)\n"
    "    late = x.clone()\n    late.__class__ = Parameter\n    return late",
    "return torch._refs.softmax(x, -1)", "return torch._decomp.decomposition_table[torch.ops.aten._softmax.default](x, -1, False)",
    "return F.scaled_dot_product_attention(x[..., :1, None] * 0 + 1, x[..., None], torch.eye(4).expand(*x.shape, 4),"
    " scale=1.0)[..., 0, :] if x.dim() == 3 else F.softmax(x, -1)",
])  # fmt: skip
def test_what_computes_late_or_in_parts_is_seen(grade, body):
    """While an answer is looked at, when what stayed behind is fetched, in PyTorch's own compositions."""
    outcomes = grade(softmax=f"def softmax(x):\n    {body}\n")
    assert statuses(outcomes)["softmax"] == "held"
    assert outcomes["test_rule"].got == "softmax ran"


@pytest.mark.parametrize(("body", "got"), [
    ("class Hidden(torch.Tensor):\n        @staticmethod\n        def __new__(cls, inner):\n"
     "            made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)\n"
     "            made.inner = inner\n            return made\n"
     "        @classmethod\n        def __torch_dispatch__(cls, func, types, args, kwargs=None):\n"
     "            return F.softmax(args[0].inner, -1)\n"
     "    with torch._C.DisableTorchFunction():\n        return torch.neg(Hidden(x))", "softmax ran"),
    ("n = x.shape[-1]\n    rows = x.reshape(-1, n)\n    q, k = torch.zeros(1, len(rows), 1, n), torch.zeros(1, len(rows), n, n)\n"
     "    q[..., 0], k[..., 0] = 1, rows\n    values = torch.eye(n).expand(1, len(rows), n, n).contiguous()\n"
     "    return F.scaled_dot_product_attention(q, k, values, scale=1.0)[0, :, 0].reshape(x.shape)", "softmax ran"),
    ("v = x.clone().requires_grad_()\n    top = v.logsumexp(-1).sum()\n"
     "    return torch.autograd.Variable._execution_engine.run_backward((top,), (torch.ones(()),), False, False, (v,),"
     " allow_unreachable=True, accumulate_grad=False)[0]", "grad ran"),
    ("top = x.clone().requires_grad_().logsumexp(-1)\n    return top.grad_fn(torch.ones_like(top)).detach()", "grad ran"),
    ("from torch.autograd import forward_ad as ad\n    slopes = []\n    with ad.dual_level():\n"
     "        for one in torch.eye(x.numel()).reshape(-1, *x.shape):\n"
     "            slopes.append(ad.unpack_dual(ad.make_dual(x, one).logsumexp(-1).sum()).tangent)\n"
     "    return torch.stack(slopes).reshape(x.shape)", "grad ran"),
])  # fmt: skip
def test_what_computes_inside_of_something_else_is_seen(grade, body, got):
    """A class of tensors whose operators are its own, a fused operator, the engine of gradients and its nodes."""
    outcomes = grade(softmax=f"def softmax(x):\n    {body}\n")
    assert statuses(outcomes)["softmax"] == "held", outcomes["test_softmax"]
    assert outcomes["test_rule"].got == got


TORCH_S = """src = "import torch\\nfrom torch.utils._python_dispatch import _disable_current_modes as off\\n" \\
          "def go(x):\\n  with off(), torch._C.DisableTorchFunction():\\n    return torch.softmax(x, -1)"
"""
FORKED = """import ctypes, _posixsubprocess, os, numpy
def answered(child, x):
    read, write = os.pipe()
    child(lambda: (os.write(write, F.relu(x).numpy().tobytes()), os._exit(0)))
    raw = numpy.frombuffer(os.read(read, 1 << 16), dtype=numpy.float32)
    os.wait()
    return torch.from_numpy(raw.copy()).reshape(x.shape)
def by_exec(run):
    ends = os.pipe()
    _posixsubprocess.fork_exec([b"/x"], [b"/x"], False, (), None, None, *[-1] * 6, *ends, False, False,
                               *([-1] if sys.version_info >= (3, 11) else []), None, None, None, -1, run,
                               *([False] if sys.version_info >= (3, 11) else []))
"""


@pytest.mark.parametrize("ways", [
    {"head": TORCH_S, "softmax": "exec(compile(src, torch.__file__, 'exec'), globals())\n    return go(x)",
     "relu": "return answered(by_exec, x)"},
    {"head": "from torchgrade.isolation.worker.tracing import quietly\n",
     "softmax": "with quietly():\n        return F.softmax(x, -1)",
     "relu": "return answered(lambda run: ctypes.pythonapi.fork() or run(), x)"},
    {"softmax": "from torch.utils._mode_utils import no_dispatch\n    with no_dispatch(), torch._C.DisableTorchFunction():"
                "\n        return F.softmax(x, -1)",
     "relu": "from torch._library.fake_class_registry import _disable_current_modes as off\n"
             "    with off(), torch._C.DisableTorchFunction():\n        return F.relu(x)"},
    {"softmax": "with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.Python)), "
                "torch._C.DisableTorchFunction():\n        return F.softmax(x, -1)",
     "relu": "return torch.ops.aten.relu.default.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), x)"},
    {"softmax": "return torch.ops.aten._softmax.default._op_dk(torch._C.DispatchKey.CPU, x, -1, False)",
     "relu": "scope = {'F': F, 'x': x}\n    exec('from torch.utils._python_dispatch import _disable_current_modes as off\\n"
             "from torch._C import DisableTorchFunction as out\\nwith off(), out():\\n    y = F.relu(x)', scope)\n"
             "    return scope['y']"},
    {"softmax": "lib = torch.library.Library(f'own_{len(OWN)}', 'DEF')\n    OWN.append(lib)\n"
                "    lib.define('go(Tensor x) -> Tensor')\n    lib.impl('go', lambda y: F.softmax(y, -1), 'CPU')\n"
                "    return getattr(torch.ops, lib.ns).go(x)\n\nOWN = []",
     "relu": "sys.setprofile(None)\n    return torch._refs.nn.functional.relu(x)"},
])  # fmt: skip
def test_what_switches_the_watch_off_in_a_worker_is_noted(tmp_path, ways):
    course = copy_of_mini(tmp_path)
    (course / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE))
    file = tmp_path / "task01_scale.py"
    parts = {name: f"def {name}(x):\n    {body}\n" for name, body in ways.items() if name != "head"}
    head = "import sys\n" + HEAD + FORKED + ways.get("head", "")
    file.write_text(head + "\n\n".join({**HONEST, **parts}.values()))
    checks = checks_of(result_of("task01", "--submission", file, cwd=course))
    assert [checks[name]["status"] for name in ("test_softmax", "test_relu", "test_rule")] == ["held", "held", "failed"]


def test_what_installed_packages_do_when_they_are_imported_is_not_the_submissions(tmp_path):
    """They load libraries by ctypes and start threads; a module that was handed in may not."""
    course = copy_of_mini(tmp_path)
    (course / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE))
    file = tmp_path / "task01_scale.py"
    late = HONEST["softmax"].replace("    e =", "    import ctypes, multiprocessing.pool, torchvision\n    e =")
    file.write_text("import torchvision, matplotlib\n" + HEAD + "\n\n".join({**HONEST, "softmax": late}.values()))
    result_of("task01", "--submission", file, cwd=course, code=0)


@pytest.mark.parametrize("line", ["pass", "try:\n        sum(range(999))\n    except:\n        pass"])
def test_a_training_below_the_definitions_that_is_ended_breaks_no_rule(tmp_path, line):
    """The engine's own means to end it are watched, too."""
    course = copy_of_mini(tmp_path)
    (course / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE))
    file = tmp_path / "task01_scale.py"
    file.write_text(HEAD + "\n\n".join(HONEST.values()) + f"\nwhile True:\n    {line}\n")
    assert "this takes longer" in str(result_of("task01", "--submission", file, cwd=course, code=0))


def test_a_torch_for_cuda_that_looks_for_devices_is_not_the_submissions(tmp_path):
    """It loads the driver's library by ctypes; so does no submission."""
    course = copy_of_mini(tmp_path)
    (course / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE))
    file = tmp_path / "task01_scale.py"
    counts = HONEST["softmax"].replace("    e =", "    torch.cuda._device_count_nvml()\n    e =")
    loads = HONEST["relu"].replace("    return", "    import ctypes\n    ctypes.CDLL(None)\n    return")
    file.write_text(HEAD + "\n\n".join({**HONEST, "softmax": counts, "relu": loads}.values()))
    checks = checks_of(result_of("task01", "--submission", file, cwd=course, code=1))
    assert [checks[name]["status"] for name in ("test_softmax", "test_relu")] == ["passed", "held"]


def test_a_name_in_the_text_holds_the_definition_that_it_stands_in(grade):
    outcomes = grade(layer="class Layer(nn.Module):\n    def forward(self, x):\n        return nn.ReLU()(x)\n")
    assert statuses(outcomes)["layer"] == "held"
    assert statuses(outcomes)["relu"] == "passed"


def test_a_name_in_a_helper_holds_what_uses_it(grade):
    helper = "def _bend(x):\n    return nn.ReLU()(x)\n\n\ndef relu(x):\n    return _bend(x)\n"
    outcomes = statuses(grade(relu=helper))
    assert [outcomes[name] for name in ("relu", "layer", "softmax")] == ["held", "held", "passed"]


def test_nothing_beside_the_values_pays_before_they_are_right(grade):
    outcomes = grade(relu="def relu(x):\n    return x\n", softmax="def softmax(x):\n    return x\n")
    assert outcomes["test_intact"].status is Status.HELD
    assert outcomes["test_intact"].message == "right, but it counts once the values of relu are right"
    assert sum(outcome.points for outcome in outcomes.values()) == 0


def test_a_check_waits_only_for_what_it_builds_on(grade):
    outcomes = grade(softmax="def softmax(x):\n    return x\n")
    assert statuses(outcomes)["batches"] == "skipped"
    assert outcomes["test_batches"].message == "waits for softmax is right"
    assert statuses(outcomes)["relu"] == "passed"
    outcomes = grade(relu="def relu(x):\n    return 2 * x\n")
    assert statuses(outcomes)["layer"] == "skipped"  # it calls relu, although the check does not
    own = "class Layer(nn.Module):\n    def forward(self, x):\n        return x.clamp_min(0)\n"
    assert statuses(grade(relu="def relu(x):\n    return 2 * x\n", layer=own))["layer"] == "passed"


RIGHT_RELU = "import torch\n\n\ndef relu(x):\n    return torch.where(x > 0, x, 0 * x)\n"
TWICE = """

    @check("the layer is right twice", points=1, category="values", after=test_layer)
    def test_twice(submission):
        expect.close(submission.Layer()(submission.Layer()(x)), torch.relu(x))
"""


@pytest.fixture
def helped(tmp_path):
    """Grades texts where the course has a relu of its own; outcomes by check."""
    root = copy_of_mini(tmp_path)
    (root / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE + TWICE))
    (root / "graders" / "task01_scale" / "substitutes.py").write_text(RIGHT_RELU)
    return lambda **parts: grade_here(root, HEAD + "\n\n".join({**HONEST, **parts}.values()))


def test_what_builds_on_a_wrong_function_is_graded_with_the_courses_own(helped):
    outcomes = helped(relu="def relu(x):\n    return 2 * x\n")
    assert [statuses(outcomes)[name] for name in ("relu", "slopes")] == ["failed", "skipped"]
    sentence = "right, with relu of the course in the place of yours"
    for name in ("test_layer", "test_twice"):  # the second one waits for a check that passed in this way
        assert (outcomes[name].status, outcomes[name].message, outcomes[name].points > 0) == ("passed", sentence, True)
    assert (outcomes["test_softmax"].status, outcomes["test_softmax"].message) == ("passed", "")


def test_what_is_wrong_beside_the_courses_own_still_waits(helped):
    twice = "class Layer(nn.Module):\n    def forward(self, x):\n        return relu(x) + 1\n"
    outcomes = helped(relu="def relu(x):\n    return 2 * x\n", layer=twice)
    assert outcomes["test_layer"].message == "waits for relu is right"
    assert statuses(outcomes)["twice"] == "skipped"
    dies = "def relu(x):\n    raise SystemExit\n"
    assert helped(relu=dies)["test_layer"].status is Status.PASSED


@pytest.mark.parametrize("body", [
    "found = [o for o in gc.get_objects() if type(o) is type(relu) and o.__name__ == 'relu' and o is not relu]\n"
    "    return next(f for f in found if f.__module__.startswith('torchgrade'))(x)",
    "return sys.modules['torchgrade_task_probes'].relu(x)",
])  # fmt: skip
def test_a_wrong_function_has_the_courses_own_nowhere_in_its_reach(tmp_path, body):
    """In a worker: what is asked before the function itself has been graded does not hold its solution."""
    course = copy_of_mini(tmp_path)
    (course / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE))
    (course / "graders" / "task01_scale" / "probes.py").write_text("LIMIT = 1\n")
    (course / "graders" / "task01_scale" / "substitutes.py").write_text(RIGHT_RELU)
    file = tmp_path / "task01_scale.py"
    relu = f"import gc, sys\n\n\ndef relu(x):\n    {body}\n"
    file.write_text(HEAD + "\n\n".join({**HONEST, "relu": relu}.values()))
    checks = checks_of(result_of("task01", "--submission", file, cwd=course))
    assert [checks[name]["status"] for name in ("test_relu", "test_layer")] == ["crashed", "passed"]


@pytest.fixture
def alone(tmp_path):
    """Grades texts where the layer has a check that waits for nothing; outcomes by check."""
    root = copy_of_mini(tmp_path)
    suite = textwrap.dedent(SUITE).replace(", after=[test_softmax, test_relu]", "")
    (root / "graders" / "task01_scale" / "checks.py").write_text(suite)
    return lambda **parts: grade_here(root, HEAD + "\n\n".join({**HONEST, **parts}.values()))


def test_what_calls_a_wrong_function_leads_to_it(alone):
    outcomes = alone(relu="def relu(x):\n    return 2 * x\n")
    wrong, layer = outcomes["test_relu"], outcomes["test_layer"]
    assert (wrong.status, layer.status) == (Status.FAILED, Status.FAILED)
    assert wrong.where.endswith("relu()")
    assert layer.where == f"{wrong.where}, which fails a check of its own"


def test_what_calls_right_functions_leads_to_itself(alone):
    twice = "class Layer(nn.Module):\n    def forward(self, x):\n        return relu(x) + 1\n"
    assert alone(layer=twice)["test_layer"].where.endswith("Layer.forward()")
    unlike = "def softmax(x):\n    return relu(x)\n"  # which fails, too, and is not called by the layer
    assert alone(layer=twice, softmax=unlike)["test_layer"].where.endswith("Layer.forward()")
    # What cannot be executed tells its line itself.
    falls = "class Layer(nn.Module):\n    def forward(self, x):\n        return relu(x).view(-1, 7)\n"
    crashed = alone(layer=falls, relu="def relu(x):\n    return 2 * x\n")["test_layer"]
    assert (crashed.status, crashed.where.endswith("forward()")) == (Status.CRASHED, True)


def test_a_right_function_is_left_in_its_place(helped):
    broken = "class Layer(nn.Module):\n    def forward(self, x):\n        return relu(x) + 1\n"
    assert helped(layer=broken)["test_layer"].status is Status.FAILED
    assert statuses(helped(softmax="def softmax(x):\n    return x\n"))["batches"] == "skipped"  # the course has none


def test_a_crash_tells_what_was_given(grade):
    crashed = grade(relu="def relu(x):\n    return x.view(-1, 7)\n")["test_relu"]
    assert (crashed.status, crashed.given) == (Status.CRASHED, "relu(float32 [3, 4])")


def test_private_forms_come_from_pytorchs_own_list():
    assert {"softmax", "_softmax", "_safe_softmax", "_masked_softmax", "_sparse_softmax"} <= aliases("softmax")
    assert "_log_softmax" not in aliases("softmax")
    assert {"native_batch_norm", "_native_batch_norm_legit"} <= aliases("batch_norm")
    assert "leaky_relu" not in aliases("relu")
    assert not any("requires_grad" in name for name in aliases("grad"))


def test_the_authors_mistakes():
    with pytest.raises(AuthoringError, match='gates belong to the category "rules"'):
        check("a title", points=1, category="values", gates=Rule(of="relu"))
    with pytest.raises(AuthoringError, match="names no definition"):
        check("a title", points=1, category="rules", gates=Rule(of=()))


def test_no_other_thread_or_process_computes_unseen(tmp_path):
    """In a worker, where nobody can switch Python's audit off again."""
    course = copy_of_mini(tmp_path)
    (course / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(SUITE))
    thread = """def softmax(x):
    answers = []
    worker = threading.Thread(target=lambda: answers.append(F.softmax(x, -1)))
    worker.start()
    worker.join()
    return answers[0]
"""
    file = tmp_path / "task01_scale.py"
    file.write_text(HEAD + "\n\n".join({**HONEST, "softmax": thread}.values()))
    checks = checks_of(result_of("task01", "--submission", file, cwd=course))
    assert [checks[name]["status"] for name in ("test_softmax", "test_relu", "test_rule")] == [
        "held",
        "passed",
        "failed",
    ]
    assert checks["test_rule"]["got"] == "a thread ran"
    switch = """def softmax(x):
    from torch.utils._python_dispatch import _disable_current_modes
    from torch._C import DisableTorchFunction
    with _disable_current_modes(), DisableTorchFunction():
        return F.softmax(x, -1)
"""
    file.write_text(HEAD + "\n\n".join({**HONEST, "softmax": switch}.values()))
    checks = checks_of(result_of("task01", "--submission", file, cwd=course))
    assert [checks[name]["status"] for name in ("test_softmax", "test_relu", "test_rule")] == [
        "held",
        "passed",
        "failed",
    ]
    assert checks["test_rule"]["got"] == "a switched-off watch ran"
