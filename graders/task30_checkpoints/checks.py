"""Checks for task 30: save, load, resume, infer.

Files are written and opened beside the submission, never here. A checkpoint is judged by what comes back from it: what
a part does next after it was loaded is compared with what the part that was saved does next.
"""

import numpy as np
import torch

from torchgrade.authoring import LEFT_OUT, RECORDING, check, expect, grid

DOUBLE = torch.float64


# --- names -----------------------------------------------------------------------------------------------

PLAIN = ["module.0.weight", "module.0.bias", "module.9.weight"]
LISTS = [
    PLAIN,
    ["module.module.b", "module.a"],
    ["submodule.c", "a.module.d", "e"],
    ["module.model.mode.weight", "module.bias"],
    ["0.weight", "module.0.bias"],
    [],
    ["_orig_mod.a", "module.a"],
    ["modules.a", "module", "moduleXa"],
]


def without(cut):
    """[names of the result, numbers, the same objects, names of the given dict]"""

    def oracle(names, prefix="module."):
        found = {cut(name, prefix): float(number) for number, name in enumerate(names)}
        return [list(found), list(found.values()), len(found) == len(names), names]

    return oracle


def once(name, prefix):
    return name[len(prefix) :] if name.startswith(prefix) else name


@check("strip_prefix takes the prefix away once, at the beginning", points=1.5, category="values")
def test_prefix(submission):
    expect.agrees(
        submission.probes.stripped, without(once), grid(names=LISTS, prefix=[LEFT_OUT, "module.", "_orig_mod.", "e"]),
        bound=(submission.strip_prefix,), name="strip_prefix",
        likely={
            "the prefix is taken out wherever it stands": without(lambda name, prefix: name.replace(prefix, "")),
            "lstrip takes away any of its letters, not the prefix": without(lambda name, prefix: name.lstrip(prefix)),
            "as many letters are cut off all names, also of those without the prefix": without(
                lambda name, prefix: name[len(prefix) :]
            ),
            "only the first place is replaced, but it need not be the beginning": without(
                lambda name, prefix: name.replace(prefix, "", 1)
            ),
        },
    )  # fmt: skip


# --- matching --------------------------------------------------------------------------------------------

SHAPES = {"0.weight": (3, 2), "0.bias": (3,), "1.weight": (3,), "1.bias": (3,), "1.running_mean": (3,),
          "1.running_var": (3,), "1.num_batches_tracked": ()}  # fmt: skip


def state_of(shapes, dtype=torch.float32):
    """Whole numbers from 2 on, so that a copy in any dtype is exact; nothing of it is 1, which the model holds."""
    made = {}
    for name, shape in shapes.items():
        kind = torch.int64 if name.endswith("tracked") else dtype
        made[name] = torch.randint(2, 50, shape).to(kind)
    return made


def expect_matched(submission, shapes, given, likely=None, dtype=torch.float32, told=()):
    state = state_of(shapes, dtype)
    found = submission.probes.matched(submission.load_matching, state)
    fits = [name for name in SHAPES if shapes.get(name) == SHAPES[name]]
    lists = {"missing": sorted(set(SHAPES) - set(fits)), "unexpected": sorted(set(shapes) - set(fits))}
    got = {name: expect.record(found[name], [str]) for name in lists}
    expect.equal(got, lists, given=given, likely=likely or {})
    holds = {name: state[name].double() if name in fits else torch.ones(SHAPES[name], dtype=DOUBLE) for name in SHAPES}
    ones = {name: torch.ones(SHAPES[name], dtype=DOUBLE) for name in told}
    expect.close(found["holds"], holds, given=f"{given}; what the model holds, which was 1 everywhere",
                 trivial="what does not fit stays 1",
                 likely={"only parameters are copied, not buffers": {**holds, **ones},
                         "what is frozen gets no value": {**holds, "1.weight": torch.ones(3, dtype=DOUBLE)},
                         } if told else {})  # fmt: skip
    return found


def but(*names, **shapes):
    """The shapes of the model without some names, and with others."""
    kept = {name: shape for name, shape in SHAPES.items() if name not in names}
    return {**kept, **{name.replace("_at_", "."): shape for name, shape in shapes.items()}}


MODEL = "Sequential(Linear(2, 3), BatchNorm1d(3)), its 1.weight frozen,"


@check("load_matching copies what fits and lists what does not", points=1.5, category="values")
def test_matching(submission):
    buffers = [name for name in SHAPES if "running" in name or "batches" in name]
    expect_matched(submission, SHAPES, f"{MODEL} and a state that fits", told=buffers)
    likely = {
        "missing and unexpected are swapped": {"missing": ["9.weight"], "unexpected": ["0.bias", "1.running_mean"]},
    }
    shapes = {**but("0.bias", "1.running_mean"), "9.weight": (4, 3)}
    given = f"{MODEL} and a state without 0.bias and 1.running_mean, with 9.weight"
    expect_matched(submission, shapes, given, likely)
    alone = "1.num_batches_tracked"
    expect_matched(submission, {alone: ()}, f"{MODEL} and a state of {alone} alone")


@check("load_matching takes no tensor of another shape", points=1, category="values", after=test_matching)
def test_shapes(submission):
    both = ["0.weight"]
    given = f"{MODEL} and a state whose 0.weight is (2, 3), not (3, 2)"
    expect_matched(submission, {**SHAPES, "0.weight": (2, 3)}, given, {
        "a name with another shape is in missing alone": {"missing": both, "unexpected": []},
        "a name with another shape is in unexpected alone": {"missing": [], "unexpected": both},
        "a name with another shape is in no list": {"missing": [], "unexpected": []},
    })  # fmt: skip
    for shape in ((1,), (), (1, 3), (4,)):
        given = f"{MODEL} and a state whose 1.weight is {shape}, not (3,)"
        expect_matched(submission, {**SHAPES, "1.weight": shape}, given)
    alone = "1.num_batches_tracked"
    given = f"{MODEL} and a state whose {alone} is (1,), not ()"
    expect_matched(submission, {**SHAPES, alone: (1,)}, given)


@check("load_matching copies into the model's own tensors", points=0.5, category="robustness", after=test_matching,
       hidden=True)  # fmt: skip
def test_matching_copies(submission):
    for dtype in (torch.float32, torch.float64, torch.float16):
        given = f"{MODEL} in float32 and a state in {str(dtype).removeprefix('torch.')}"
        found = expect_matched(submission, SHAPES, given, dtype=dtype)
        facts = {name: found[name] for name in ("kept", "shared", "unchanged", "frozen")}
        expect.equal(facts["kept"], True, because="an optimiser knows the parameters as objects",
                     given=f"{given}; whether parameters and buffers are the same objects")  # fmt: skip
        expect.equal(facts["shared"], [], because="values are copied",
                     given=f"{given}; what changes with the state afterwards")  # fmt: skip
        expect.equal(facts["unchanged"], True, given=f"{given}; whether the state is as it was")
        expect.equal(facts["frozen"], ["1.weight"], given=f"{given}; the parameters that are frozen afterwards")
    expect.equal(submission.probes.matched_tied(submission.load_matching), {"missing": [], "unexpected": []},
                 because="a state has both names", trivial="all of it fits",
                 given="a network with one weight under two names and a buffer that is not persistent, and the state "
                 "of another")  # fmt: skip


# --- what a checkpoint brings back -----------------------------------------------------------------------


@check("a checkpoint brings back the weights and the buffers", points=1.5, category="values")
def test_model(submission):
    for options in ({}, {"scheduler": None, "epoch": 3, "rng": None}):
        before, after, loaded = submission.probes.models(
            submission.save_checkpoint, submission.load_checkpoint, options
        )
        given = "a network with batch norm, saved, changed, and loaded into another"
        expect.close(loaded, before, rtol=0, atol=0, given=given)
        expect.close(after, before, rtol=0, atol=0, given="the network itself after it was saved")


@check("a checkpoint brings back the number of finished epochs", points=0.5, category="values")
def test_epoch(submission):
    for epoch in (3, 0, 17):
        found = submission.probes.epochs(submission.load_checkpoint, submission.save_checkpoint, epoch)
        expect.equal(found, epoch, given=f"what load_checkpoint returns for a file that was saved with epoch={epoch}",
                     likely={"one epoch too many: epoch is the number of finished ones": epoch + 1,
                             "one epoch too few": epoch - 1})  # fmt: skip


@check("a checkpoint brings back the state of the optimiser", points=1.5, category="values")
def test_optimizer(submission):
    for kind, steps, other in (("SGD", 3, {"momentum": 0.5}), ("Adam", 2, {"betas": [0.5, 0.9]})):
        changes = {"lr": 0.03, **other}
        wanted, found = submission.probes.optimizers(
            submission.load_checkpoint, submission.save_checkpoint, kind, steps, changes
        )
        told = " and ".join(f"{name} = {value}" for name, value in changes.items())
        given = f"the next step of {kind} after {steps} steps and a change to {told}, by a fresh one that was loaded"
        if kind == "SGD":
            generator = torch.Generator().manual_seed(99)
            sizes = [(4, 3), (4,), (4,), (4,), (2, 4), (2,)]
            slopes = torch.cat([torch.randn(s, generator=generator, dtype=DOUBLE).reshape(-1) for s in sizes])
            likely = {"the optimiser has forgotten its momentum and its lr: its state is not loaded": -0.1 * slopes,
                      "lr is loaded, but not the momentum": -0.03 * slopes}  # fmt: skip
        else:
            likely = {}
        expect.close(found, wanted, rtol=1e-9, atol=1e-12, given=given, likely=likely)


def waves(first):
    return [0.1 / (1 + epoch % 5) for epoch in range(first, first + 6)]


@check("a checkpoint brings back the state of the scheduler", points=1, category="values")
def test_scheduler(submission):
    for epochs in (3, 7):
        wanted, found = submission.probes.schedulers(submission.load_checkpoint, submission.save_checkpoint, epochs)
        given = f"the next rates of a LambdaLR after {epochs} epochs, and of a fresh one that was loaded"
        expect.close(found, wanted, rtol=1e-9, atol=0, given=given, likely={
            "the schedule starts again: the scheduler's state is not loaded": waves(1),
            "the scheduler is one epoch ahead": waves(epochs + 2),
            "the scheduler is one epoch behind": waves(epochs),
        })  # fmt: skip
    wanted, found = submission.probes.patient(submission.load_checkpoint, submission.save_checkpoint, 4)
    given = "ReduceLROnPlateau(patience=5) after 4 equal losses; whether the rate is lowered after each of 8 more"
    expect.equal(found, wanted, given=given)


def same_draws(submission, name, likely, device):
    both = submission.load_checkpoint, submission.save_checkpoint
    for seed in (3, 8):
        wanted, found = submission.probes.generators(*both, seed, str(device))
        given = f"the next numbers of {name} after the save, and after the load"
        expect.close(found[name], wanted[name], rtol=0, atol=0, given=given, likely=likely(seed))


@check("a checkpoint brings back the random states of torch and random", points=1, category="values", devices="all")
def test_random(submission, device):
    def after(seed):
        other = torch.Generator().manual_seed(seed + 2)
        return {"PyTorch's global state is not brought back": torch.rand(4, generator=other).tolist()}

    same_draws(submission, "torch", after, device)
    same_draws(submission, "random", lambda seed: {}, device)


@check("a checkpoint brings back the state of rng", points=0.5, category="values", devices="all")
def test_rng(submission, device):
    def after(seed):
        return {"rng is not brought back": torch.rand(4, generator=torch.Generator().manual_seed(seed + 1)).tolist()}

    same_draws(submission, "rng", after, device)


@check("an interrupted training goes on bit by bit", points=2, category="values",
       after=[test_model, test_optimizer, test_scheduler, test_random, test_rng, test_epoch])  # fmt: skip
def test_resume(submission):
    for stop in (3, 1):
        wanted, found = submission.probes.runs(submission.load_checkpoint, submission.save_checkpoint, 6, stop)
        given = f"6 epochs in one go, and with an interruption after {stop}: all parameters and buffers"
        expect.close(found, wanted, rtol=0, atol=0, given=given)


@check("the file opens with weights_only=True", points=0.5, category="robustness", after=test_model)
def test_opens(submission):
    for epochs in (0, 2):
        error = submission.probes.opens(submission.save_checkpoint, epochs)
        expect.equal(error, "", because="only plain data is in it", trivial="there should be no error",
                     given="the error of torch.load(path, weights_only=True)")  # fmt: skip


@check("load_checkpoint runs no code that a file brings along", points=1, category="robustness", after=test_model,
       hidden=True)  # fmt: skip
def test_harm(submission):
    found = submission.probes.harmed(submission.load_checkpoint, submission.save_checkpoint)
    given = "a file that holds code besides the states"
    expect.equal(found["its code ran"], False, because="it is opened with weights_only=True",
                 given=f"{given}; whether the code ran")  # fmt: skip
    wanted = {"an error": True, "its code ran": False, "the model is another": False}
    expect.equal(found, wanted, given=given)


@check("a save that fails leaves the earlier file, and nothing else", points=1.5, category="robustness",
       after=test_model)  # fmt: skip
def test_atomic(submission):
    found = submission.probes.failed_save(submission.save_checkpoint, submission.load_checkpoint)
    given = "a second save to the same path, of an optimiser that cannot be pickled"
    expect.equal(found["raised"], True, because="the error is passed on", given=f"{given}; whether it raises")
    expect.equal(found["whole"], True, because="it is put in place when it is finished",
                 given=f"{given}; whether the file of the first save is as it was")  # fmt: skip
    expect.equal(found["files"], ["checkpoint.pt"], given=f"{given}; the files in the folder")


@check("a new file takes the place of the old one in one step", points=0.5, category="robustness",
       after=[test_model, test_epoch], hidden=True)  # fmt: skip
def test_replace(submission):
    for name in ("checkpoint.pt", "checkpoint.tmp"):
        found = submission.probes.second_save(submission.save_checkpoint, submission.load_checkpoint, name)
        given = f"two saves to the same path, a pathlib.Path to {name}"
        expect.equal(found["old"], True, because="the old file is replaced, not overwritten",
                     given=f"{given}; whether who has opened the first file goes on reading it")  # fmt: skip
        expect.equal(found["epoch"], 5, given=f"{given}; the epoch that is found then, of 4 and 5")
        expect.equal(found["files"], [name], given=f"{given}; the files in the folder")
        expect.equal(found["from another folder"], False, because="another folder may be on another disk",
                     given=f"{given}; whether the new file is written in another folder first")  # fmt: skip


@check("saving and loading leave modes and random states alone", points=0.5, category="robustness", after=test_model,
       hidden=True)  # fmt: skip
def test_leaves(submission):
    changed = submission.probes.left_by_saving(submission.save_checkpoint)
    expect.equal(changed, [], given="what save_checkpoint changes")
    before, after = submission.probes.modes_after_loading(submission.load_checkpoint, submission.save_checkpoint)
    expect.equal(after, before, given="the modes of a network and its modules, with a frozen norm, after loading")


@check("a file of a GPU opens on a computer without one", points=0.5, category="devices", after=test_model)
def test_gpu(submission):
    ways = ["left out", "a device", "a function"]
    found = submission.probes.of_a_gpu(submission.load_checkpoint, submission.save_checkpoint, ways)
    for way, (saved, loaded, asked) in zip(ways, found, strict=True):
        given = f'a file whose tensors are marked "cuda:0", map_location is {way}'
        expect.close(loaded, saved, rtol=0, atol=0, given=given)
        expect.equal(asked, way == "a function", because="it is passed on to torch.load",
                     given=f"{given}; whether that function is asked about cuda:0")  # fmt: skip


@check("load_checkpoint refuses a network that is built differently", points=0.5, category="robustness",
       after=test_model, hidden=True)  # fmt: skip
def test_other_network(submission):
    both = (submission.load_checkpoint, submission.save_checkpoint)
    kinds = {
        "wider": "a network whose first layer has 5 outputs, not 4",
        "longer": "a network with a layer more than the file",
        "shorter": "a network with a layer fewer than the file",
    }
    for kind, given in kinds.items():
        expect.raises("RuntimeError", submission.probes.other_network, *both, kind, given=given)


# --- batches ---------------------------------------------------------------------------------------------


def batches(submission, n, size, epoch, seed, **options):
    given = f"epoch_batches({n}, {size}, {epoch}, {seed}{''.join(f', {k}={v}' for k, v in options.items())})"
    return expect.record(submission.epoch_batches(n, size, epoch, seed, **options), [[int]], given=given), given


@check("epoch_batches deals out every index once, in batches", points=1, category="values")
def test_batches(submission):
    for n, size in ((10, 4), (12, 3), (30, 7), (5, 8), (1, 1), (0, 3)):
        found, given = batches(submission, n, size, 0, 7)
        sizes = [size] * (n // size) + ([n % size] if n % size else [])
        likely = {"the last, smaller batch is left out": sizes[:-1]} if n % size and n > size else {}
        expect.equal([len(batch) for batch in found], sizes, given=f"the sizes of {given}", likely=likely,
                     trivial="there may be one batch of one")  # fmt: skip
        everything = sorted(index for batch in found for index in batch)
        expect.equal(everything, list(range(n)), given=f"all indices of {given}, sorted", trivial="0 alone is an index")
        if n == 30:
            dealt = [index for batch in found for index in batch]
            expect.equal(dealt == list(range(n)), False, because="they are shuffled",
                         given=f"whether {given} are in order")  # fmt: skip
            runs = [batch for batch in found if sorted(batch) == list(range(min(batch), min(batch) + len(batch)))]
            expect.true(len(runs) < 3, expected="indices that are shuffled before they are cut into batches",
                        got="batches of neighbours", given=given)  # fmt: skip


@check("epoch_batches with start gives the rest of the same epoch", points=1.5, category="values", after=test_batches)
def test_batches_rest(submission):
    for n, size, epoch, seed in ((23, 4, 2, 5), (12, 3, 0, 1), (9, 2, 7, 0)):
        whole, _ = batches(submission, n, size, epoch, seed)
        for start in (0, 1, 3, len(whole) - 1, len(whole), len(whole) + 2):
            found, given = batches(submission, n, size, epoch, seed, start=start)
            likely = (
                {"start counts samples here, not batches": [whole[0][start:], *whole[1:]]} if 0 < start < size else {}
            )
            if 0 < start < len(whole):
                likely["all batches are given again"] = whole
            expect.equal(found, whole[start:], given=given, likely=likely, trivial="nothing may be left")


@check("every epoch and every seed has an order of its own", points=1, category="values", after=test_batches)
def test_batches_seed(submission):
    def order(epoch, seed):
        return [index for batch in batches(submission, 40, 8, epoch, seed)[0] for index in batch]

    expect.equal(order(1, 3), order(1, 3), given="epoch 1 of seed 3, asked twice", trivial="these are indices")
    pairs = [((0, 3), (1, 3)), ((1, 3), (1, 4)), ((0, 0), (1, 0)), ((2, 1), (1, 2)), ((0, 5), (5, 0)), ((1, 9), (2, 8)),
             ((11, 1), (1, 11)), ((10, 0), (0, 1)), ((100, 0), (0, 1)), ((1000, 2), (0, 3))]  # fmt: skip
    for (epoch, seed), (other, another) in pairs:
        same = order(epoch, seed) == order(other, another)
        likely = {"the seed is the sum of both numbers": same and epoch + seed == other + another,
                  "epoch does not matter": same and seed == another,
                  "seed does not matter": same and epoch == other}  # fmt: skip
        expect.true(not same, expected="two orders", got="the same order twice", likely=likely,
                    given=f"epoch {epoch} of seed {seed}, and epoch {other} of seed {another}")  # fmt: skip


@check("epoch_batches lives without the global random states", points=0.5, category="robustness", after=test_batches,
       hidden=True)  # fmt: skip
def test_batches_states(submission):
    changed = submission.probes.states_changed(submission.epoch_batches, 20, 4, 1, 2)
    likely = {"torch's global generator is seeded or used": ["torch"], "that of random is seeded or used": ["random"],
              "that of NumPy is seeded or used": ["numpy"]}  # fmt: skip
    expect.equal(changed, [], given="whose global generator is another after epoch_batches", likely=likely)
    first, second = submission.probes.reseeded(submission.epoch_batches, 20, 4, 1, 2)
    expect.equal(second, first, given="epoch_batches(20, 4, 1, 2) after two seeds of all global generators")
    first, second = submission.probes.another_hash(submission.epoch_batches, 20, 4, 1, 2)
    expect.equal(second == first, True, because="each process hashes texts otherwise, and hash() is no seed",
                 given="whether epoch_batches(20, 4, 1, 2) is the same in another process")  # fmt: skip


# --- prediction ------------------------------------------------------------------------------------------


def coloured(channel, height=6, width=5):
    """A picture uint8 (height, width, 3) of noise in which one colour is the brightest."""
    pixels = torch.randint(0, 100, (height, width, 3))
    pixels[..., channel] += 100
    return pixels.to(torch.uint8).numpy()


def near(channel, lowest, highest):
    """A picture of one brightness, but for a little more of one colour."""
    pixels = torch.full((6, 5, 3), lowest)
    pixels[..., channel] = highest
    return pixels.to(torch.uint8).numpy()


def asked(submission, pixels, mode="RGB", device="cpu"):
    return submission.probes.predicted(submission.Predictor, pixels, mode, str(device))


NAMES = ["a red thing", "a green thing", "a blue thing"]


@check("Predictor answers with the name of the class", points=1, category="values", devices="all")
def test_answer(submission, device):
    for channel in (2, 0, 1):
        found = asked(submission, coloured(channel), device=device)
        expect.equal(found["answer"], NAMES[channel], given=f"a picture in which {NAMES[channel]} is to be seen",
                     likely={"this is the number of the class, not its name": channel})  # fmt: skip
    for channel, lowest, highest, logits in ((1, 230, 250, "40.2 and 48.0"), (2, 5, 25, "-48.0 and -40.2")):
        found = asked(submission, near(channel, lowest, highest), device=device)
        expect.equal(found["answer"], NAMES[channel], because="the largest logit counts as it is",
                     given=f"a picture of {NAMES[channel]} with logits of {logits}")  # fmt: skip


@check("Predictor gives the network one batch of one, transformed once", points=1.5, category="values",
       after=test_answer)  # fmt: skip
def test_input(submission):
    for height, width in ((6, 5), (3, 8)):
        found = asked(submission, coloured(1, height, width))
        wanted = found["wanted"]
        given = f"a picture {height} high and {width} wide; what the network is given"
        expect.equal(len(found["seen"]), 1, because="one pass", given=f"{given}, how often")
        expect.close(found["seen"][0], wanted, given=given, likely={
            "it is divided by 255 after the transform": wanted / 255,
            "it is normalised a second time, by mean 0.5 and deviation 0.5": (wanted - 0.5) / 0.5,
            "the colours are exchanged": wanted.flip(1),
        })  # fmt: skip


@check("Predictor predicts in evaluation mode and records nothing", points=1, category="values", after=test_answer)
def test_mode(submission):
    given = "the modes of the network and its modules while it predicts; True is training"
    for training in (True, False):
        found = submission.probes.predicted(submission.Predictor, coloured(0), "RGB", training=training)
        expect.equal(set(found["modes"]), {False}, because="dropout and norms rest",
                     given=given if training else f"{given}; before, the dropout alone was training",
                     likely={"the network predicts in training mode": {True},
                             "some modules are in training mode": {True, False}})  # fmt: skip
        expect.equal(set(found["recording"]), {False}, because="gradients cost memory",
                     given="whether gradients are recorded meanwhile")  # fmt: skip


FAILURES = {
    "": "",
    "network": ", which raises RuntimeError",
    "transform": ", and a transform that raises RuntimeError",
}


@check("Predictor gives every module its mode back", points=1, category="robustness", after=test_mode, hidden=True)
def test_modes_left(submission):
    for training in (True, False):
        for fails, told in FAILURES.items():
            found = submission.probes.modes_left(submission.Predictor, coloured(0), training, fails)
            mode = "training" if training else "evaluation"
            given = f"a network in {mode} mode with a norm that is not{told}"
            before = found["before"]
            expect.equal(found["after"], before, given=f"{given}; the modes of its modules after the call",
                         likely={"everything is left in evaluation mode": [False] * len(before),
                                 **({"the mode of the whole is given to all": [True] * len(before)}
                                    if training else {})})  # fmt: skip
            expect.equal(found["recording"], [False, True], given=f"{given}; whether gradients are recorded after a "
                         "call, where they were not before, and where they were")  # fmt: skip
            error = "no memory left" if fails else ""
            expect.equal(
                found["raised"], error, given=f"{given}; the error that is passed on", trivial="there may be none"
            )


@check("Predictor takes pictures of every mode", points=0.5, category="robustness", after=test_input, hidden=True)
def test_pictures(submission):
    for mode in ("L", "RGBA", "P", "LA", "1", "CMYK"):
        found = asked(submission, coloured(0), mode)
        given = f"a picture of mode {mode}; what the network is given"
        expect.equal(len(found["seen"]), 1, because="one pass", given=f"{given}, how often")
        expect.close(found["seen"][0], found["wanted"], given=given)


@check("two predictors keep apart, and look at the network anew", points=0.5, category="robustness", after=test_answer,
       hidden=True)  # fmt: skip
def test_two(submission):
    found = submission.probes.two_answers(submission.Predictor, coloured(2), coloured(1))
    wanted = ["a blue thing", "three", "a green thing", "two"]
    expect.equal(found[:4], wanted, given="two predictors with different names, asked in turn")
    expect.equal(found[4] != "a blue thing", True, because="the network was trained on",
                 given="whether the answer is another when the network has changed")  # fmt: skip


# --- pictures for OpenCV ---------------------------------------------------------------------------------


def grey_levels(shape, dtype, generator):
    """whole grey levels, divided by 255"""
    return torch.randint(0, 256, tuple(shape), generator=generator).to(torch.float64) / 255


def fine(shape, dtype, generator):
    """0.45 of a grey level beside whole ones"""
    levels = torch.randint(0, 256, tuple(shape), generator=generator).to(torch.float64)
    return (levels + torch.where(torch.rand(tuple(shape), generator=generator) < 0.5, 0.45, -0.45)) / 255


def outside(shape, dtype, generator):
    """from -1 to 2"""
    levels = torch.randint(-255, 511, tuple(shape), generator=generator).to(torch.float64)
    return (levels + 0.3) / 255


def levels(x):
    return [min(max(round(value * 255), 0), 255) for value in x.double().flatten().tolist()]


def to_bgr(x, order=(2, 1, 0), whole=levels):
    """Pixel by pixel; and what else holds."""
    values = np.array(whole(x), dtype=np.uint8).reshape(tuple(x.shape))
    channels, height, width = values.shape
    picture = np.zeros((height, width, 3), np.uint8)
    for place, channel in enumerate(order):
        picture[:, :, place] = values[channel if channels == 3 else 0]
    return {"array": picture, "contiguous": True, "memory of its own": True, "tensor as it was": True}


COLOURS = grid(
    shape=[(3, 4, 5), (3, 1, 1), (3, 6, 2)], values=[grey_levels, fine], dtype=[torch.float32, DOUBLE],
    layout=["contiguous", "transposed", "gaps", "offset"], grad=RECORDING,
)  # fmt: skip


def bgr_agrees(submission, cases, **options):
    expect.agrees(submission.probes.converted, to_bgr, cases, bound=(submission.to_uint8_hwc_bgr,),
                  name="to_uint8_hwc_bgr", **options)  # fmt: skip


@check("to_uint8_hwc_bgr puts blue first and the channels last", points=1.5, category="values", devices="all")
def test_bgr(submission, device):
    def channels_first(x):
        return to_bgr(x) | {"array": np.ascontiguousarray(to_bgr(x)["array"].transpose(2, 0, 1))}

    def strided(x):
        return to_bgr(x) | {"contiguous": x[0].numel() == 1}

    def strided_as_it_came(x):
        return to_bgr(x) | {"contiguous": x.stride(1) >= x.stride(2) or x[0].numel() == 1}

    bgr_agrees(submission, COLOURS, device=device, likely={
        "red is still first": lambda x: to_bgr(x, order=(0, 1, 2)),
        "the colours are moved on, [1, 2, 0], not exchanged": lambda x: to_bgr(x, order=(1, 2, 0)),
        "the channels are still the first axis": channels_first,
        "rows and columns are swapped": lambda x: to_bgr(x.transpose(1, 2)),
        "the values are cut off, not rounded": lambda x: to_bgr(
            x, whole=lambda x: [int(value * 255 + 1e-6) for value in x.double().flatten().tolist()]
        ),
        "the array is not contiguous": strided,
        "the array is only contiguous where the tensor was": strided_as_it_came,
    })  # fmt: skip


@check("to_uint8_hwc_bgr cuts off what lies outside of 0 to 1", points=0.5, category="robustness", after=test_bgr)
def test_clamp(submission):
    def wrapped(x):
        return to_bgr(x, whole=lambda x: [round(value * 255) % 256 for value in x.double().flatten().tolist()])

    bgr_agrees(submission, grid(shape=[(3, 4, 5), (3, 2, 2)], values=[outside]),
               likely={"uint8 begins again at 0 behind 255": wrapped})  # fmt: skip


def bgr_unscaled(submission, shape, told=True, brightest=255):
    def as_it_is(x):
        return x.flatten().tolist()

    def scaled(x):
        return [255 * value % 256 for value in x.flatten().tolist()]

    x = torch.randint(0, brightest + 1, shape, dtype=torch.uint8)
    truth, wrong = (to_bgr(x, whole=whole) for whole in (as_it_is, scaled))
    found = submission.probes.converted(submission.to_uint8_hwc_bgr, x)
    given = f"a tensor uint8 {list(shape)}"
    given = f"{given} of zeros and ones" if brightest == 1 else given
    likely = {"uint8 values are multiplied by 255": wrong["array"]} if told else {}
    expect.close(found["array"], truth["array"], given=given, likely=likely)
    expect.equal(found["contiguous"], True, given=f"{given}; whether the array is contiguous")
    expect.equal(found["memory of its own"], True, given=f"{given}; whether the array has its own memory")
    expect.equal(found["tensor as it was"], True, given=f"{given}; whether the tensor is as it was")


@check("to_uint8_hwc_bgr does not scale uint8 values", points=0.5, category="robustness", after=test_bgr)
def test_whole(submission):
    for shape in ((3, 4, 5), (3, 2, 1)):
        bgr_unscaled(submission, shape)
    bgr_unscaled(submission, (3, 4, 5), brightest=1)


@check("to_uint8_hwc_bgr repeats grey pictures", points=0.5, category="robustness", after=[test_clamp, test_whole],
       hidden=True)  # fmt: skip
def test_grey(submission):
    bgr_agrees(submission, grid(shape=[(1, 4, 5), (1, 1, 3)], values=[grey_levels, outside]))
    bgr_unscaled(submission, (1, 3, 2), told=False)


@check("to_uint8_hwc_bgr takes half precision", points=0.5, category="robustness", after=test_bgr, hidden=True)
def test_half(submission):
    bgr_agrees(submission, grid(shape=[(3, 4, 5), (3, 2, 2)], values=[grey_levels], dtype=[torch.float16]))
