"""Checks for task 43: programs that are exported, compared, written and listed, and a handler that serves one.

Everything that reads a file of an exported program runs beside the submission: reading unpickles.
"""

import math

import torch

from torchgrade.authoring import Rule, check, expect, normal

ANY_ERROR = "Exception"
DOUBLE = torch.float64


def telling(truth, likely):
    """The mistakes that show here, and do not look like one before them."""
    kept = {}
    for sentence, value in likely.items():
        if not any(same(value, other) for other in (truth, *kept.values())):
            kept[sentence] = value
    return kept


def same(one, other):
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


# The gate


def gated(x):
    return 2 * x if x.sum() > 0 else x - 1


@check("GatedModule doubles or takes 1 off, by the sum of all elements", points=1.5, category="values")
def test_gate(submission):
    gate = submission.GatedModule()
    cases = (
        ([1.0, 2.0], "the sum is 3"),
        ([-3.0, 1.0], "the sum is -2"),
        ([1.0, -1.0], "the sum is 0"),
        ([[5.0, 1.0], [-4.0, 2.0]], "the sum of all is 4, that of the second row -2"),
        ([[5.0, 1.0], [-4.0, -5.0]], "the sum of all is -3, that of the first row 6"),
        ([[-2.0, 5.0], [-2.5, 0.25]], "the sum of all is 0.75, the first element -2"),
        (-4.0, "a number without axes"),
        ([[3.0]], "one row and one column"),
    )
    for values, given in cases:
        x = torch.tensor(values)
        rows = torch.where(x.sum(-1, keepdim=True) > 0, 2 * x, x - 1) if x.dim() == 2 else gated(x)
        likely = {
            "0 is taken for a sum above 0": 2 * x if x.sum() >= 0 else x - 1,
            "the two ways are swapped": x - 1 if x.sum() > 0 else 2 * x,
            "each element has a gate of its own": torch.where(x > 0, 2 * x, x - 1),
            "each row has a gate of its own": rows,
        }
        truth = gated(x)
        likely = telling(truth, likely)
        given = f"GatedModule() of {values}: {given}"
        expect.close(expect.not_mutated(submission, gate, x, given=given), truth, likely=likely, given=given)
    x = torch.tensor([[1.0, -4.0], [5.0, 0.5], [3.0, -1.0]]).T
    expect.close(gate(x), gated(x), given="GatedModule() of a transposed tensor")
    x = torch.ones(0, 2)
    expect.close(gate(x), x, given="GatedModule() of no rows", trivial="nothing stays nothing")
    for values in ([1e-12, 2.0, -2.0], [-1e-12, 2.0, -2.0]):
        x = torch.tensor(values, dtype=DOUBLE)
        expect.close(gate(x), gated(x), rtol=0, atol=0, given=f"GatedModule() of {values} in float64")
    x = torch.tensor([[3, -1], [-4, 1]])
    expect.close(gate(x), gated(x), given=f"GatedModule() of {x.tolist()}, whole numbers")


@check("GatedModule keeps both ways open when it is exported", points=1.5, category="values", after=test_gate)
def test_gate_exported(submission):
    program = submission.probes.exported(submission.GatedModule(), torch.tensor([[3.0, 1.0], [2.0, 0.5]]))
    for values in ([[4.0, -1.0]], [[-3.0, 1.0], [0.5, -4.0]], [[-7.0, 1.0]]):
        x = torch.tensor(values)
        given = f"the program of GatedModule(), exported with a positive sum, of {values}"
        likely = {} if x.sum() > 0 else {"the program knows the way of its example only": 2 * x}
        expect.close(submission.probes.run(program, x), gated(x), likely=likely, given=given)
    ran = submission.probes.operators_of(program)
    expect.true(
        "cond" in ran,
        expected="a program that calls cond",
        got=f"a program that calls {', '.join(ran)}",
        likely={"torch.where computes both ways, and then chooses": "aten.where.self" in ran},
    )


# The export


@check("export_model gives a program that does what the module does", points=1.5, category="values")
def test_export(submission):
    net, x = submission.probes.module("Small").eval(), normal(3, 4, dtype=torch.float32)
    for example, given in ((x, "a tensor"), ((x,), "a tuple of one tensor")):
        program = submission.export_model(net, example)
        expect.equal(
            submission.probes.kind_of(program), "ExportedProgram", given="the type of what export_model returns"
        )
        given = f"a module of Linear, BatchNorm1d, Dropout and Sigmoid, the example is {given} with 3 rows"
        y = normal(3, 4, dtype=torch.float32)
        expect.close(submission.probes.run(program, y), submission.probes.plain(net, y), given=given)


@check("the program takes any number of rows", points=1.5, category="values", after=test_export)
def test_export_rows(submission):
    for kind, shape, rows in (("Small", (4,), 3), ("Flat", (2, 3), 2), ("Gate", (2,), 4)):
        net = submission.probes.module(kind).eval()
        program = submission.export_model(net, normal(*shape, rows, dtype=torch.float32).movedim(-1, 0))
        for count in (rows, 1, 2, 5, 100_003):
            x = normal(count, *shape, dtype=torch.float32)
            given = f"module {kind}, exported with {rows} rows, run with {count}"
            expect.close(submission.probes.run(program, x), submission.probes.plain(net, x), given=given)
        wider = normal(rows, *shape[:-1], shape[-1] + 1, dtype=torch.float32)
        given = f"module {kind}, exported with {shape[-1]} columns, run with {shape[-1] + 1}"
        expect.raises(ANY_ERROR, submission.probes.run, program, wider, given=given)


@check("with dynamic_batch=False the rows are those of the example", points=0.5, category="values", after=test_export,
       hidden=True)  # fmt: skip
def test_export_fixed(submission):
    net = submission.probes.module("Small").eval()
    for rows in (3, 1):
        x = normal(rows, 4, dtype=torch.float32)
        for program in (submission.export_model(net, x, False), submission.export_model(net, x, dynamic_batch=False)):
            expect.close(submission.probes.run(program, x), submission.probes.plain(net, x), given=f"{rows} rows")
            given = f"dynamic_batch=False, exported with {rows} rows, run with 5"
            expect.raises(ANY_ERROR, submission.probes.run, program, normal(5, 4, dtype=torch.float32), given=given)
    inputs = normal(3, 4, dtype=torch.float32), normal(3, 2, dtype=torch.float32)
    for kind, example in (("Two", inputs), ("Small", inputs[:1])):
        net = submission.probes.module(kind)  # in training mode
        before = submission.probes.modes(net)
        program = submission.export_model(net, example, dynamic_batch=False)
        given = f"dynamic_batch=False, a module {kind} in training mode, a tuple of {len(example)}"
        expect.close(submission.probes.run(program, *example), submission.probes.plain(net, *example), given=given)
        expect.equal(submission.probes.modes(net), before, trivial="each part has its own mode back",
                     given=f"{given}; whether each of its parts is in training mode afterwards")  # fmt: skip


MODES = {
    "all": "in training mode",
    "not the norm": "in training mode whose batch normalisation is in evaluation mode",
    "dropout": "in evaluation mode whose dropout is in training mode",
}


@check("a module is exported in evaluation mode, whatever its mode", points=1.5, category="values", after=test_export)
def test_export_modes(submission):
    for parts, words in MODES.items():
        net = submission.probes.mixed(submission.probes.module("Small"), parts)
        before = submission.probes.modes(net)
        given = f"a module {words}"
        program = submission.export_model(net, normal(6, 4, dtype=torch.float32))
        after = submission.probes.modes(net)
        x = normal(6, 4, dtype=torch.float32)
        first, second = submission.probes.run(program, x), submission.probes.run(program, x)
        likely = {"training mode is in the program: dropout draws": not torch.equal(first, second)}
        expect.true(torch.equal(first, second), expected="the same output twice", got="two outputs", likely=likely,
                    given=given)  # fmt: skip
        expect.close(first, submission.probes.plain(net, x), given=given)
        given += "; whether each of its parts is in training mode afterwards"
        likely = {
            "the module stays in evaluation mode": [False] * 6,
            "training mode is given to all parts, also to those that were not in it": [True] * 6,
        }
        expect.equal(after, before, likely=telling(before, likely), given=given,
                     trivial="each part has its own mode back")  # fmt: skip


@check("modules with several inputs share their number of rows", points=1, category="values", after=test_export,
       hidden=True)  # fmt: skip
def test_export_inputs(submission):
    for kind, columns in (("Two", (4, 2)), ("Named", (2, 2, 2))):
        net = submission.probes.module(kind).eval()
        program = submission.export_model(net, tuple(normal(3, n, dtype=torch.float32) for n in columns))
        for count in (3, 1, 2, 7):
            inputs = [normal(count, n, dtype=torch.float32) for n in columns]
            given = f"{len(columns)} inputs, exported with 3 rows, run with {count}"
            expect.close(submission.probes.run(program, *inputs), submission.probes.plain(net, *inputs), given=given)
    net = submission.probes.module("Small", DOUBLE).eval()
    program = submission.export_model(net, normal(2, 4))
    x = normal(4, 4)
    expect.close(submission.probes.run(program, x), submission.probes.plain(net, x), given="a module in float64")


@check("no program is made that takes one row only", points=0.5, category="robustness", after=test_export_rows,
       hidden=True)  # fmt: skip
def test_export_one_row(submission):
    for kind, shapes in (("Small", [(4,)]), ("Two", [(4,), (2,)])):
        net = submission.probes.module(kind).eval()
        inputs = [normal(1, *shape, dtype=torch.float32) for shape in shapes]
        program = submission.probes.one_row(submission.export_model, net, *inputs)
        if submission.probes.absent(program):
            continue
        for count in (1, 2, 5):
            inputs = [normal(count, *shape, dtype=torch.float32) for shape in shapes]
            given = f"module {kind}, exported with one row, run with {count}"
            expect.close(submission.probes.run(program, *inputs), submission.probes.plain(net, *inputs), given=given)


@check("what cannot be exported raises, and the module is as it was", points=0.5, category="robustness",
       after=test_export_modes)  # fmt: skip
def test_export_refuses(submission):
    for kept, dynamic in ((True, True), (False, True), (False, False)):
        net = submission.probes.forked(kept)
        before = submission.probes.modes(net)
        given = "a module that asks, if x.sum() > 0"
        given += "" if kept else ", in training mode but for one part"
        given += "" if dynamic else ", dynamic_batch=False"
        found = submission.probes.refusal(submission.export_model, net, normal(3, 4, dtype=torch.float32), dynamic)
        expect.equal(found, "an error of torch", because="that of torch.export is raised", given=given)
        given += "; whether each part is in training mode after the error"
        expect.equal(submission.probes.modes(net), before, given=given, trivial="each part has its own mode back",
                     likely={"the module stays in evaluation mode": [False] * len(before)})  # fmt: skip


def expect_recording(submission, function, arguments, after):
    """Gradients are recorded afterwards as they were before, also where the function raises."""
    found = submission.probes.recording_after(function, *arguments)
    expect.equal(found, [True, False], because="as before", trivial="as before",
                 given=f"whether gradients are recorded after {after}, where they were and where not")  # fmt: skip


def expect_silent(submission, function, *arguments, name):
    expect.equal(submission.probes.printed(function, *arguments), "", given=f"what {name} prints",
                 trivial="nothing is printed")  # fmt: skip


@check("export_model changes neither the module nor the example", points=0.5, category="robustness", after=test_export,
       hidden=True)  # fmt: skip
def test_export_keeps(submission):
    net = submission.probes.module("Small").train()
    before, x = submission.probes.weights(net), normal(2, 4, dtype=torch.float32)
    needs = submission.probes.needs(net)
    kept = x.clone()
    expect_silent(submission, submission.export_model, net, x, name="export_model")
    expect_recording(submission, submission.export_model, (net, x), "export_model")
    expect_recording(
        submission, submission.export_model, (submission.probes.forked(True), x), "an error of export_model"
    )
    expect.close(submission.probes.weights(net), before, rtol=0, atol=0, given="parameters and buffers of the module",
                 trivial="they stay")  # fmt: skip
    expect.equal(submission.probes.needs(net), needs, given="whether its parameters require gradients",
                 trivial="they do still")  # fmt: skip
    expect.close(x, kept, given="the example", trivial="it stays")


NAMES = (
    "GatedModule",
    "export_model",
    "largest_difference",
    "save_exported",
    "load_exported",
    "graph_to_dict",
    "Handler",
)
NO_SCRIPT = Rule(of=NAMES, names=("torch.jit",), instead="torch.export")


@check("torch.jit is not used", points=0.5, category="rules", gates=NO_SCRIPT)
def test_rule(submission):
    for own in (submission.GatedModule, submission.export_model, submission.Handler):
        expect.avoids(own, rule=NO_SCRIPT)


# The comparison


def pair(submission, mine, theirs, dtype=torch.float32):
    """A module factor * x + shift, and the program of another one."""
    net = submission.probes.module("Scaled", *mine)
    return net, submission.probes.exported(submission.probes.module("Scaled", *theirs), torch.ones(2, 1, dtype=dtype))


@check("largest_difference is the largest over all batches", points=1.5, category="values")
def test_difference(submission):
    cases = (
        ((2.0, 0.0), (1.0, 1.0), [[[1.0]], [[5.0], [-2.0]]]),
        ((2.0, 0.0), (1.0, 1.0), [[[5.0], [-2.0]], [[1.0]], [[0.0], [0.0]]]),
        ((1.0, 0.0), (2.0, 0.0), [[[1.5], [-0.5]], [[0.25]]]),
        ((1.0, 0.0), (1.0, 4.5), [[[2.0]]]),
        ((-1.0, 0.0), (1.0, 0.0), [[[2.0], [3.0], [1.0]], [[1.0], [0.5]]]),
        ((2.0, 1.0), (2.0, 1.0), [[[2.0]], [[3.0], [1.0]]]),
    )
    for mine, theirs, values in cases:
        net, program = pair(submission, mine, theirs)
        batches = [torch.tensor(rows) for rows in values]
        found = submission.largest_difference(net, program, batches)
        apart = [((mine[0] - theirs[0]) * x + mine[1] - theirs[1]) for x in batches]
        truth = max(float(d.abs().max()) for d in apart)
        likely = {
            "this is the difference of the last batch": float(apart[-1].abs().max()),
            "this is the difference of the first batch": float(apart[0].abs().max()),
            "the differences have signs": max(float(d.max()) for d in apart),
            "the mean is taken, not the largest": max(float(d.abs().mean()) for d in apart),
            "the batches are added up": sum(float(d.abs().max()) for d in apart),
        }
        likely = {sentence: value for sentence, value in likely.items() if abs(value - truth) > 1e-3}
        given = f"a module {mine[0]} x + {mine[1]}, a program {theirs[0]} x + {theirs[1]}, the batches {values}"
        expect.close(expect.record(found, float, given=given), truth, likely=likely, given=given,
                     trivial=None if truth else "they are equal")  # fmt: skip


@check("largest_difference runs in evaluation mode, with several inputs", points=1, category="values",
       after=test_difference, hidden=True)  # fmt: skip
def test_difference_modes(submission):
    net = submission.probes.mixed(submission.probes.module("Small"), "all")
    program = submission.probes.exported(submission.probes.module("Small"), normal(2, 4, dtype=torch.float32))
    batches = [normal(3, 4, dtype=torch.float32), normal(4, 5, dtype=torch.float32).T]
    outputs = [(submission.probes.plain(net, x), submission.probes.run(program, x)) for x in batches]
    truth = max(float((one - other).abs().max()) for one, other in outputs)
    before = submission.probes.modes(net)
    given = "a module in training mode, and the program of another one"
    state, kept = submission.probes.weights(net), [x.clone() for x in batches]
    held = [submission.hold(x) for x in batches]
    expect.close(submission.largest_difference(net, program, held), truth, given=given)
    expect.close(submission.probes.weights(net), state, rtol=0, atol=0, given=f"{given}; parameters and buffers",
                 trivial="they stay")  # fmt: skip
    expect.close(held, kept, rtol=0, atol=0, given=f"{given}; the batches afterwards", trivial="they stay")
    after = submission.probes.modes(net)
    likely = {"the module stays in evaluation mode": [False] * 6}
    given += "; the modes of all parts afterwards"
    expect.equal(after, before, given=given, likely=likely, trivial="they are given back")
    net = submission.probes.mixed(submission.probes.module("Small"))
    before = submission.probes.modes(net)
    given = "a batch of five columns, for which the module raises an error"
    expect.raises(ANY_ERROR, submission.largest_difference, net, program, [torch.ones(3, 5)], given=given)
    after = submission.probes.modes(net)
    expect.equal(after, before, given=f"{given}; the modes of all parts afterwards", trivial="they are given back")
    net = submission.probes.module("Sums")
    program = submission.probes.exported(submission.probes.module("Sums"), *normal(2, 3, 2))
    x, y = normal(2, 4, 2)
    given = "a module that is x + y in training mode and x - y in evaluation mode, and its own program"
    net.train()
    expect.close(submission.largest_difference(net, program, [(x, y), (y, x)]), 0.0, given=given, trivial="they agree")
    net.eval()
    submission.probes.part_of(net).train()
    given = "the same in evaluation mode, with a part that is in training mode and adds"
    expect.close(submission.largest_difference(net, program, [(x, y), (y, x)]), 0.0, given=given, trivial="they agree")
    expect.equal(submission.probes.modes(net), [False, True], given=f"{given}; the modes of all parts afterwards",
                 trivial="they are given back")  # fmt: skip
    net, program = pair(submission, (1.0, 1e-9), (1.0, 0.0), DOUBLE)
    found = submission.largest_difference(net, program, [torch.ones(2, 1, dtype=DOUBLE)])
    expect.close(found, 1e-9, rtol=1e-3, atol=0, given="a module x + 1e-09 in float64 and a program x, a batch of ones")


@check("largest_difference hides no NaN, and is 0.0 without a batch", points=0.5, category="robustness",
       after=test_difference, hidden=True)  # fmt: skip
def test_difference_nan(submission):
    net, program = pair(submission, (1.0, 0.0), (1.0, 0.5))
    for values in ([[[7.0]]], [[[7.0], [1.0]], [[2.0]]], [[[1.0]], [[7.0], [2.0]]], [[[1.0], [2.0]], [[7.0]], [[3.0]]]):
        found = submission.largest_difference(net, program, [torch.tensor(rows) for rows in values])
        expect.true(
            not math.isfinite(found),
            expected="NaN or infinity",
            got=str(found),
            likely={"a NaN is lost: no comparison with it is true": found in (0.0, 0.5)},
            given=f"a module and a program that make NaN of 7, the batches {values}",
        )
    for mine, theirs, which in (((1.0, 0.0), (math.nan, 0.0), "program"), ((math.nan, 0.0), (1.0, 0.0), "module")):
        found = submission.largest_difference(*pair(submission, mine, theirs), [torch.ones(2, 1)])
        expect.true(
            not math.isfinite(found), expected="NaN or infinity", got=str(found), given=f"NaN from the {which} alone"
        )
    net, program = pair(submission, (1.0, 0.0), (1.0, 0.5))
    found = submission.probes.recordings(submission.largest_difference, net, program, [torch.ones(2, 1)])
    expect.equal(found, [False], trivial="nothing is recorded meanwhile",
                 given="whether gradients are recorded in the calls of the module and of the program")  # fmt: skip
    batches = [torch.ones(2, 1)]
    expect_silent(submission, submission.largest_difference, net, program, batches, name="largest_difference")
    for batch, after in ((torch.ones(2, 1), "largest_difference"), (torch.ones(2, 5), "an error of the program")):
        expect_recording(submission, submission.largest_difference, (net, program, [batch]), after)
    given = "no batch at all"
    nothing = expect.record(submission.largest_difference(net, program, []), float, given=given)
    expect.equal(nothing, 0.0, given=given, trivial="there is nothing to compare")


# Files


@check("save_exported writes what torch.export.load reads", points=1, category="values")
def test_save(submission):
    net, path = submission.probes.module("Small"), submission.probes.new_path()
    program = submission.probes.exported(net, normal(2, 4, dtype=torch.float32))
    submission.save_exported(program, path)
    expect.equal(submission.probes.exists(path), True, given="whether the file is where path says")
    x = normal(5, 4, dtype=torch.float32)
    truth = submission.probes.plain(net, x)
    found = submission.probes.read(path)
    expect.close(submission.probes.run(found, x), truth, given="the program in the file")
    expect.equal(submission.probes.operators_of(found), submission.probes.operators_of(program),
                 given="what the program in the file calls")  # fmt: skip


@check("load_exported reads what torch.export.save wrote", points=1, category="values")
def test_load(submission):
    for kind, shape in (("Small", (4,)), ("Gate", (2,))):
        net = submission.probes.module(kind)
        path = submission.probes.written(submission.probes.exported(net, normal(2, *shape, dtype=torch.float32)))
        program = submission.load_exported(path)
        expect.equal(
            submission.probes.kind_of(program), "ExportedProgram", given="the type of what load_exported returns"
        )
        for sign in (1, -1):
            x = sign * normal(5, *shape, dtype=torch.float32).abs()
            given = f"the program of a module {kind} in a file, run with 5 rows"
            expect.close(submission.probes.run(program, x), submission.probes.plain(net, x), given=given)
        truth = submission.probes.operators_of(submission.probes.read(path))
        given = f"what the program of a module {kind} in a file calls"
        expect.equal(submission.probes.operators_of(program), truth, given=given)


@check("a file is replaced, and knows no more of the module", points=0.5, category="robustness",
       after=[test_save, test_load], hidden=True)  # fmt: skip
def test_files(submission):
    nets = [submission.probes.module("Small") for _ in range(2)]
    x, paths = normal(3, 4, dtype=torch.float32), [submission.probes.new_path()]
    truths = [submission.probes.plain(net, x) for net in nets]
    for net, truth in zip(nets, truths, strict=True):
        submission.save_exported(submission.probes.exported(net, x), paths[0])
        submission.probes.spoil(net)
        found = submission.probes.run(submission.load_exported(paths[0]), x)
        given = "the program in a file after the parameters of the module were changed"
        expect.close(found, truth, given=given if net is nets[0] else f"{given}; another program had been in the file")
    program = submission.probes.exported(nets[0], x)
    expect_silent(submission, submission.save_exported, program, paths[0], name="save_exported")
    expect_silent(submission, submission.load_exported, paths[0], name="load_exported")
    other = submission.probes.written(program)
    truth = submission.probes.plain(nets[0], x)
    given = "a second file, read after the first one"
    expect.close(submission.probes.run(submission.load_exported(other), x), truth, given=given)


# The graph


def nodes_in(value):
    if isinstance(value, dict):
        return [value["node"]]
    return [name for part in value for name in nodes_in(part)] if isinstance(value, list) else []


def described(graph):
    """What graph_to_dict says of the nodes that the probe ``dump`` tells."""
    nodes = graph["nodes"]
    placeholders = [name for kind, name, *_ in nodes if kind == "placeholder"]
    calls = []
    for kind, name, text, plain_name, arguments in nodes:
        if kind in ("call_function", "get_attr"):
            operator = kind if kind == "get_attr" else text if text.startswith("aten.") else plain_name
            calls.append({"op": operator, "inputs": nodes_in(arguments), "outputs": [name]})
    return {
        "inputs": [name for name in placeholders if name in graph["inputs"]],
        "parameters": [name for name in placeholders if name not in graph["inputs"]],
        "nodes": calls,
        "outputs": nodes_in(nodes[-1][-1]),
    }


GRAPH = {
    "inputs": [str],
    "parameters": [str],
    "nodes": [{"op": str, "inputs": [str], "outputs": [str]}],
    "outputs": [str],
}


def listed(submission, kind, *shapes, named=""):
    """What graph_to_dict says of the program of a module, the truth, and words for it."""
    net = submission.probes.module(kind)
    program = submission.probes.exported(net, *(normal(2, *shape, dtype=torch.float32) for shape in shapes))
    given = f"the program of {named or f'a module {kind}'}"
    found = submission.graph_to_dict(program)
    return expect.record(found, GRAPH, given=given), described(submission.probes.dump(program)), given


SMALL = "a module of Linear, BatchNorm1d, Dropout and Sigmoid"


@check("graph_to_dict tells inputs from parameters and buffers", points=1, category="values")
def test_graph_inputs(submission):
    for kind, shapes, named in (
        ("Small", [(4,)], SMALL),
        ("Two", [(4,), (2,)], ""),
        ("Kept", [(1,), (4,)], ""),
        ("Named", [(2,), (2,), (2,)], ""),
        ("First", [(2,), (3,)], ""),
    ):
        found, truth, given = listed(submission, kind, *shapes, named=named)
        both = {"parameters and buffers are no inputs": truth["parameters"] + truth["inputs"]}
        expect.equal(found["inputs"], truth["inputs"], given=f"{given}; inputs",
                     likely=both if truth["parameters"] else None)  # fmt: skip
        buffers = [name for name in truth["parameters"] if not name.startswith("b_")]
        likely = {"buffers are missing": buffers} if buffers != truth["parameters"] else {}
        expect.equal(found["parameters"], truth["parameters"], given=f"{given}; parameters", likely=likely)
        expect.equal(found["outputs"], truth["outputs"], given=f"{given}; outputs",
                     likely={"output is the name of the last node, not of what it returns": ["output"]})  # fmt: skip


def without(nodes, names):
    return [{**node, "inputs": [name for name in node["inputs"] if name not in names]} for node in nodes]


@check("graph_to_dict lists the nodes in order, with what they take", points=1.5, category="values")
def test_graph_nodes(submission):
    found, truth, given = listed(submission, "Small", (4,), named=SMALL)
    nodes = truth["nodes"]
    likely = {
        "parameters and buffers are missing among the inputs of nodes": without(nodes, truth["parameters"]),
        "the nodes are in reverse order": nodes[::-1],
        "the op is the name of the node, not what it calls": [{**node, "op": node["outputs"][0]} for node in nodes],
        "the op is the name of the function alone": [{**n, "op": n["op"].split(".", 1)[1]} for n in nodes],
    }
    expect.equal(found["nodes"], nodes, given=f"{given}; nodes", likely=likely)


@check("nodes inside of lists and keywords, and used twice, are listed", points=1, category="values",
       after=test_graph_nodes, hidden=True)  # fmt: skip
def test_graph_twice(submission):
    for kind, shapes in (("Two", [(4,), (2,)]), ("Kept", [(1,), (4,)]), ("Flat", [(2, 3)]), ("Sorted", [(4,)]),
                         ("Sizes", [(4,)])):  # fmt: skip
        found, truth, given = listed(submission, kind, *shapes)
        once = [{**node, "inputs": list(dict.fromkeys(node["inputs"]))} for node in truth["nodes"]]
        likely = {"a node that is used twice is listed once": once} if once != truth["nodes"] else {}
        expect.equal(found["nodes"], truth["nodes"], given=f"{given}; nodes", likely=likely)


@check("the branches of torch.cond are nodes that get an attribute", points=0.5, category="values",
       after=test_graph_nodes, hidden=True)  # fmt: skip
def test_graph_cond(submission):
    found, truth, given = listed(submission, "Gate", (2,))
    calls = [node for node in truth["nodes"] if node["op"] != "get_attr"]
    expect.equal(found["nodes"], truth["nodes"], given=f"{given}; nodes",
                 likely={"the nodes that get an attribute are missing": calls})  # fmt: skip


@check("graph_to_dict holds nothing that JSON cannot", points=0.5, category="robustness", after=test_graph_nodes)
def test_graph_json(submission, pictures):
    for kind, shapes in (("Small", [(4,)]), ("Two", [(4,), (2,)]), ("Gate", [(2,)])):
        net = submission.probes.module(kind)
        program = submission.probes.exported(net, *(normal(2, *shape, dtype=torch.float32) for shape in shapes))
        before = submission.probes.dump(program)
        found, truth = submission.graph_to_dict(program), described(before)
        given = f"graph_to_dict of the program of a module {kind}, written and read by json"
        expect.equal(submission.probes.dump(program), before, given=f"{given}; the graph afterwards",
                     trivial="it stays")  # fmt: skip
        expect_silent(submission, submission.graph_to_dict, program, name="graph_to_dict")
        back = submission.probes.as_json(found)
        expect.equal(expect.record(back, GRAPH, given=given), truth, given=given)
        rows = [[node["op"], ", ".join(node["inputs"]), ", ".join(node["outputs"])] for node in back["nodes"]]
        pictures.table(f"graph_of_{kind}", ["op", "inputs", "outputs"], rows)


# Serving


@check("preprocess makes a tensor of a request", points=0.5, category="values")
def test_preprocess(submission):
    cases = (
        ((3,), [1, 2.5, -3], {}),
        ((2, 3), [[1, 2, 7], [3, 4.25, -1]], {}),
        ((1, 2, 3), [[[0, 1, 2], [3, 4, 5]]], {}),
        ((), 4, {}),
    )
    expect_samples(submission, cases)


@check("the samples have the dtype and the device that were asked for", points=0.5, category="values",
       after=test_preprocess, hidden=True)  # fmt: skip
def test_preprocess_dtype(submission):
    cases = (
        ((1, 2), [[0.1, 3]], {"dtype": DOUBLE}),
        ((1,), [0.1], {"dtype": torch.float16, "labels": ["no", "yes"]}),
        ((2,), [1e300, -1e300], {"dtype": DOUBLE}),
        ((2, 1), [[3], [-70000]], {"dtype": torch.int64}),
    )
    expect_samples(submission, cases)
    for dtype, settings in (("float32", {}), ("float64", {"dtype": DOUBLE, "labels": WORDS[:2]})):
        settings = {"device": "meta", **settings}
        handler = submission.probes.handler(submission.Handler, submission.probes.scores(2), (3,), **settings)
        found = submission.probes.placed(handler.preprocess, request(1.0, 2.0, 3.0))
        if found:  # on this device nobody can tell whether a number is finite
            expect.equal(found, [dtype, "meta"], likely={"the device of initialize is not used": [dtype, "cpu"]},
                         given=f'device="meta", whose tensors hold no numbers; the sample in {dtype}')  # fmt: skip


def expect_samples(submission, cases):
    """``preprocess`` makes the samples of the cases: shape, data, settings."""
    for shape, data, settings in cases:
        handler = submission.probes.handler(submission.Handler, submission.probes.scores(2), shape, **settings)
        request = {"data": data, "id": "a further key"}
        dtype = settings.get("dtype", torch.float32)
        given = f"shape={shape}, dtype={str(dtype).removeprefix('torch.')}, the request {{'data': {data}}}"
        found, same = submission.probes.kept(handler.preprocess, request)
        expect.close(found, torch.tensor(data, dtype=dtype), rtol=0, atol=0, given=given)
        expect.equal(same, True, given=f"{given}; whether the request is the same afterwards", trivial="it stays")


BAD_REQUESTS = (
    ("no dict", 3),
    ("a list", [1.0, 2.0, 3.0]),
    ("None", None),
    ("an empty dict", {}),
    ("another key", {"values": [1.0, 2.0, 3.0]}),
    ("two numbers for three", {"data": [1.0, 2.0]}),
    ("four numbers for three", {"data": [1.0, 2.0, 3.0, 4.0]}),
    ("no numbers", {"data": []}),
    ("one number for three", {"data": 1.0}),
    ("one number in a list, which would broadcast", {"data": [1.0]}),
    ("three numbers in one row", {"data": [[1.0, 2.0, 3.0]]}),
    ("three numbers in three rows", {"data": [[1.0], [2.0], [3.0]]}),
    ("ragged lists", {"data": [[1.0, 2.0], [3.0]]}),
    ("a list among numbers", {"data": [1.0, [2.0], 3.0]}),
    ("None for the numbers", {"data": None}),
    ("a word for the numbers", {"data": "cat"}),
    ("numbers that are words", {"data": ["1", "2", "3"]}),
    ("a dict for the numbers", {"data": {"0": 1.0, "1": 2.0, "2": 3.0}}),
)
BAD_TABLES = (
    ("three rows of two numbers", {"data": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}),
    ("six numbers", {"data": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}),
    ("a list around the rows", {"data": [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]}),
    ("a row, which would broadcast", {"data": [[1.0, 2.0, 3.0]]}),
    ("a second row that is shorter", {"data": [[1.0, 2.0, 3.0], [4.0, 5.0]]}),
    ("a second row that is None", {"data": [[1.0, 2.0, 3.0], None]}),
)
BAD_NUMBERS = (
    ("one number in a list", {"data": [1.0]}),
    ("no numbers", {"data": []}),
    ("None for the numbers", {"data": None}),
)
ODD_NUMBERS = (
    "None",
    "a word",
    "a number as a word",
    "a dict",
    "infinity",
    "minus infinity",
    "NaN",
    "1e39",
    "-1e39",
    "10 ** 400",
)


def expect_refused(submission, handler, names, requests, shape=(3,), dtype=torch.float32):
    found = submission.probes.refusals(handler.preprocess, requests)
    setting = f"shape={shape}" + ("" if dtype == torch.float32 else f", dtype={str(dtype).removeprefix('torch.')}")
    for name, what in zip(names, found, strict=True):
        expect.equal(what, "ValueError", given=f"{setting} and a request with {name}", trivial="each is refused",
                     likely={"it is taken as it is": f"returns {list(shape)}"})  # fmt: skip


@check("preprocess raises ValueError for what is no sample", points=1, category="robustness", after=test_preprocess)
def test_preprocess_refuses(submission):
    handler = submission.probes.handler(submission.Handler, submission.probes.scores(2), (3,))
    expect_refused(submission, handler, *map(list, zip(*BAD_REQUESTS, strict=True)))
    table = submission.probes.handler(submission.Handler, submission.probes.scores(2), (2, 3))
    expect_refused(submission, table, *map(list, zip(*BAD_TABLES, strict=True)), (2, 3))
    number = submission.probes.handler(submission.Handler, submission.probes.scores(2), ())
    expect_refused(submission, number, *map(list, zip(*BAD_NUMBERS, strict=True)), ())


@check("preprocess raises ValueError for odd numbers among the data", points=0.5, category="robustness",
       after=test_preprocess, hidden=True)  # fmt: skip
def test_preprocess_numbers(submission):
    handler = submission.probes.handler(submission.Handler, submission.probes.scores(2), (3,))
    expect_refused(submission, handler, ODD_NUMBERS, submission.probes.odd_requests(list(ODD_NUMBERS)))
    for dtype in (DOUBLE, torch.int64):
        names = [name for name in ODD_NUMBERS if not name.endswith("1e39")]  # a float64 can hold it
        other = submission.probes.handler(submission.Handler, submission.probes.scores(2), (3,), dtype=dtype)
        expect_refused(submission, other, names, submission.probes.odd_requests(names), dtype=dtype)
    half = submission.probes.handler(
        submission.Handler, submission.probes.scores(2), (3,), dtype=torch.float16, device="cpu", labels=WORDS[:2]
    )
    given = "shape=(3,), dtype=float16, and a request with 70000, which is infinite there"
    expect.raises("ValueError", half.preprocess, {"data": [1.0, 70000.0, 2.0]}, given=given)


@check("inference calls the model as it is, without a graph", points=1.5, category="values")
def test_inference(submission):
    model = submission.probes.scores(2)
    handler = submission.probes.handler(submission.Handler, model, (3,))
    batch = normal(3, 4, dtype=torch.float32).T
    given = "a model that multiplies by a parameter, which is 2, and four samples"
    logits = expect.not_mutated(submission, handler.inference, batch, given=given)
    expect.close(logits, 2 * batch[:, :2], given=given)
    expect.equal(submission.probes.graph_of(logits), False, because="nothing is to be recorded",
                 given=f"{given}; whether the logits belong to a graph")  # fmt: skip
    calls = submission.probes.calls_of(model)
    expect.equal(
        calls,
        [[[4, 3], "float32", False]],
        given="shape and dtype of each batch that the model got, whether gradients were recorded, and mode changes",
        likely={
            "gradients are recorded in the model, and cut off later": [[[4, 3], "float32", True]],
            "the model is called as it is: eval() is not for a handler": ["eval()", [[4, 3], "float32", False]],
        },
    )
    wide = submission.probes.handler(submission.Handler, submission.probes.scores(2), (3,), dtype=DOUBLE)
    batch = normal(1, 3)
    expect.close(wide.inference(batch), 2 * batch[:, :2], given="one sample in float64")
    expect_recording(submission, wide.inference, (batch,), "inference")
    broken = submission.probes.handler(submission.Handler, submission.probes.scores(2, "RuntimeError"), (3,))
    expect_recording(submission, broken.inference, (batch,), "an error of the model")
    net = submission.probes.module("Small")
    program = submission.probes.exported(net, normal(2, 4, dtype=torch.float32))
    served = submission.probes.handler(submission.Handler, program.module(), (4,))
    x = normal(3, 4, dtype=torch.float32)
    expect.close(served.inference(x), submission.probes.plain(net, x), given="an exported program as the model")


LOGITS = torch.tensor([[0.0, math.log(3), -40.0], [5.0, 1.0, 2.0], [-1.0, -2.0, 0.5], [800.0, 0.0, 796.0]])
WORDS = ["cat", "dog", "a bird"]


def answers_to(logits, labels):
    shares, classes = logits.double().softmax(1).max(1)
    return [
        ["label", str(labels[k] if labels else k), "str" if labels else "int", float(p), "float"]
        for k, p in zip(classes.tolist(), shares, strict=True)
    ]


def expect_answers(submission, answers, truth, given, likely=None):
    found = submission.probes.shown(answers)
    expect.equal(len(found), len(truth), because="one answer for each", given=given)
    expect.equal(
        [row[1] for row in found], [row[1] for row in truth], given=f"{given}; the labels", likely=likely or {}
    )
    expect.equal([row[2] for row in found], [row[2] for row in truth], given=f"{given}; the types of the labels",
                 trivial="names are str, numbers int")  # fmt: skip
    return found


@check("postprocess names the largest logit and its probability", points=1.5, category="values")
def test_postprocess(submission):
    for labels in (WORDS, None):
        settings = {"labels": labels} if labels else {}
        handler = submission.probes.handler(submission.Handler, submission.probes.scores(3), (3,), **settings)
        given = f"four rows of logits for three classes, labels={labels}"
        truth = answers_to(LOGITS, labels)
        smallest = [str(labels[k] if labels else k) for k in LOGITS.argmin(1).tolist()]
        likely = {"the smallest logit is taken": smallest}
        if labels:
            likely["the number of the class is given, not its name"] = [row[1] for row in answers_to(LOGITS, None)]
        found = expect_answers(submission, handler.postprocess(LOGITS.T.contiguous().T), truth, given, likely)
        sigmoids = [float(row.max().sigmoid()) for row in LOGITS]
        expect.close(
            [row[3] for row in found],
            [row[3] for row in truth],
            rtol=2e-4,  # of 800 a float32 knows no more
            atol=1e-6,
            given=f"{given}; the probabilities",
            likely={
                "this is the logit, not the probability": [float(row.max()) for row in LOGITS],
                "this is the sigmoid of the logit": sigmoids,
            },
        )


@check("answers hold Python's own types, for any dtype and number of rows", points=0.5, category="robustness",
       after=test_postprocess, hidden=True)  # fmt: skip
def test_postprocess_types(submission):
    for labels in (WORDS, None):
        settings = {"labels": labels} if labels else {}
        handler = submission.probes.handler(submission.Handler, submission.probes.scores(3), (3,), **settings)
        for dtype in (torch.float32, DOUBLE, torch.float16):
            for rows in (LOGITS, LOGITS[:1], LOGITS[:0]):
                given = f"{len(rows)} rows of {str(dtype).removeprefix('torch.')}, labels={labels}"
                answers = expect.not_mutated(submission, handler.postprocess, rows.to(dtype), given=given)
                found = expect_answers(submission, answers, answers_to(rows.to(dtype), labels), given)
                kinds = ["float"] * len(rows)
                expect.equal([row[4] for row in found], kinds, given=f"{given}; the types of the probabilities",
                             trivial="a float each")  # fmt: skip
                back = submission.probes.as_json(answers)
                expect.true(isinstance(back, list), expected="answers that json can write", got=str(back), given=given)
                shares = [row[3] for row in answers_to(rows.to(dtype), labels)]
                expect.close(
                    [row[3] for row in found], shares, rtol=1e-2, atol=1e-3, given=f"{given}; the probabilities"
                )
    one = submission.probes.handler(submission.Handler, submission.probes.scores(1), (3,), labels=["all"])
    for rows in (LOGITS[:, :1], LOGITS[:1, :1]):
        given = f"logits {list(rows.shape)}, the only label"
        found = expect_answers(submission, one.postprocess(rows), answers_to(rows, ["all"]), given)
        expect.close(
            [row[3] for row in found], [1.0] * len(rows), given=f"{given}; the probabilities", trivial="certain"
        )


def request(*numbers):
    return {"data": list(numbers)}


@check("handle answers every request, in order", points=1, category="values",
       after=[test_preprocess, test_inference, test_postprocess])  # fmt: skip
def test_handle_order(submission):
    for labels in (WORDS, None):
        model = submission.probes.scores(3)
        settings = {"labels": labels} if labels else {}
        handler = submission.probes.handler(submission.Handler, model, (3,), **settings)
        rows = LOGITS[[0, 1, 2, 1, 1]]
        requests = [request(*row) for row in rows.tolist()]
        given = f"five good requests, three of them equal, labels={labels}, a model that doubles"
        truth = answers_to(2 * rows, labels)
        reverse = [row[1] for row in truth[::-1]]
        found = expect_answers(submission, handler.handle(requests), truth, given,
                               {"the answers are in reverse order": reverse})  # fmt: skip
        shares = [row[3] for row in truth]
        expect.close([row[3] for row in found], shares, rtol=1e-5, atol=1e-6, given=f"{given}; the probabilities")


@check("a bad request gets an error and harms no other", points=1.5, category="values", after=test_handle_order)
def test_handle_bad(submission):
    handler = submission.probes.handler(submission.Handler, submission.probes.scores(3), (3,), labels=WORDS)
    good = [request(*row) for row in LOGITS.tolist()]
    several, equal = [request(1.0), {"values": []}, 5, request(1.0, float("nan"), 2.0)], [request(1.0)] * 3
    patterns = {"gbgg": several, "bg": several, "gb": several, "bbgbgb": several, "gbbbg": several, "bgbb": equal}
    for pattern, bad in patterns.items():
        rows, wrong, requests, truth = iter(range(4)), iter(bad), [], []
        for letter in pattern:
            number = next(rows) if letter == "g" else None
            requests.append(next(wrong) if number is None else good[number])
            truth.append("an error" if number is None else answers_to(2 * LOGITS[number : number + 1], WORDS)[0][1])
        given = f"good (g) and bad (b) requests in the order {pattern}" + (", all bad ones equal" * (bad is equal))
        found = submission.probes.shown(handler.handle(requests))
        goods = [text for text in truth if text != "an error"]
        expect.equal(
            ["an error" if row[0] == "error" else row[1] for row in found],
            truth,
            given=f"{given}; what each gets",
            likely={
                "bad requests get no answer": goods,
                "the answers of the good ones come first": sorted(truth, key=lambda text: text == "an error"),
                "one bad request spoils all": ["an error"] * len(truth),
            }
            if pattern == "gbgg"
            else {},
        )
        errors = [row[1:] for row in found if row[0] == "error"]
        texts = submission.probes.texts(handler.preprocess, [one for one in requests if one not in good])
        expect.equal(errors, [[text, ["error"]] for text in texts],
                     given=f"{given}; the text of each error, and the keys of the answer")  # fmt: skip


@check("good requests go through the model in one call", points=1, category="efficiency", after=test_handle_order)
def test_handle_once(submission):
    for shape, dtype, count in (((3,), torch.float32, 70), ((2, 2), DOUBLE, 1)):
        model = submission.probes.scores(3)
        handler = submission.probes.handler(submission.Handler, model, shape, dtype=dtype)
        size = math.prod(shape)
        good = [{"data": torch.full(shape, float(number)).tolist()} for number in range(count)]
        handler.handle([*good, {"data": [1.0] * (size + 1)}])
        name = str(dtype).removeprefix("torch.")
        given = f"{count} good requests of shape {shape} and a bad one; shape, dtype and recording of each call"
        likely = {"each request is a call of its own": [[[1, *shape], name, False]] * count} if count > 1 else {}
        expect.equal(submission.probes.calls_of(model), [[[count, *shape], name, False]], given=given, likely=likely)
        sizes, answers = submission.probes.noting(handler, [*good, 5])
        given = f"{count} good requests and a bad one; the batches that the handler's method inference got"
        expect.equal((sizes, answers), ([count], count + 1), because="one call of inference, and all are answered",
                     given=f"{given}, and the number of answers")  # fmt: skip
    for requests, given in (([], "no requests"), ([5, {"data": []}], "two bad requests")):
        model = submission.probes.scores(3)
        handler = submission.probes.handler(submission.Handler, model, (3,))
        answers = handler.handle(requests)
        expect.equal(len(answers), len(requests), because="one answer for each", given=given)
        expect.equal(submission.probes.calls_of(model), [], because="there is nothing to call it for",
                     given=f"{given}; the calls of the model", trivial="there is nothing to compute")  # fmt: skip


@check("an error of the model is raised, and handlers share nothing", points=0.5, category="robustness",
       after=test_handle_bad, hidden=True)  # fmt: skip
def test_handle_model(submission):
    for error in ("ValueError", "RuntimeError"):
        handler = submission.probes.handler(submission.Handler, submission.probes.scores(3, error), (3,))
        given = f"two good requests and a model that raises {error}"
        expect.raises(error, handler.handle, [request(1.0, 2.0, 3.0)] * 2, given=given)
    one = submission.probes.handler(submission.Handler, submission.probes.scores(3), (3,), labels=WORDS, dtype=DOUBLE)
    submission.probes.handler(submission.Handler, submission.probes.scores(2), (2,), labels=["no", "yes"])
    requests = [request(0.0, 1.0, -2.0), request(1.0, 2.0)]
    for _ in range(2):
        answers, same = submission.probes.kept(one.handle, requests)
        expect.equal(same, True, given="whether the requests are the same afterwards", trivial="they stay")
        found = submission.probes.shown(answers)
        labels = ["an error" if row[0] == "error" else row[1] for row in found]
        expect.equal(labels, ["dog", "an error"], given="a handler, after another one was made; asked twice")
    expect_silent(submission, one.handle, requests, name="handle")
