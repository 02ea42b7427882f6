"""Checks for task 20: folders and files as data sets, splits, batches, and what a loader calls."""

import io

import numpy as np
import torch
from PIL import Image

from torchgrade.authoring import Rule, any_seed, check, expect

# Splits

SPLITS = (
    (10, (0.8, 0.1, 0.1)),
    (7, (0.5, 0.5)),
    (101, (0.5, 0.25, 0.25)),
    (23, (1.0,)),
    (3, (0.6, 0.4)),
    (0, (0.9, 0.1)),
)


def parts_of(submission, n, fractions, seed):
    """The parts as lists of Python integers."""
    return expect.record(submission.split_indices(n, fractions, seed), [[int]], given=split_text(n, fractions, seed))


def split_text(n, fractions, seed):
    return f"split_indices({n}, {fractions}, seed={seed})"


@check("split_indices puts every number into exactly one part", points=1, category="values")
def test_split_values(submission):
    for n, fractions in SPLITS:
        parts = parts_of(submission, n, fractions, 3)
        dealt = [index for part in parts for index in part]
        given = f"{split_text(n, fractions, 3)}, all parts together, sorted"
        likely = {"the numbers start at 1": list(range(1, n + 1))} if n else {}
        expect.equal(sorted(dealt), list(range(n)), likely=likely, given=given)


@check("the parts have the sizes that the fractions ask for", points=0.5, category="shapes", hidden=True)
def test_split_sizes(submission):
    for n, fractions in (*SPLITS, (109, (0.8, 0.1, 0.1)), (1000, [0.29, 0.71])):
        parts = parts_of(submission, n, fractions, 8)
        expect.equal(
            len(parts), len(fractions), because="one part for each fraction", given=split_text(n, fractions, 8)
        )
        for part, fraction in zip(parts, fractions, strict=True):
            given = f"{split_text(n, fractions, 8)}, the part of {fraction}"
            least, most = n * fraction - 1, n * fraction + 1
            expect.between(len(part), least - 1e-6, most + 1e-6, unit="numbers", given=given)


@check("one seed gives one split, in random order; another seed another", points=1, category="values")
def test_split_seed(submission):
    n, fractions = 60, (0.5, 0.5)
    for seed in (0, 1):
        first, other = (parts_of(submission, n, fractions, seed + more) for more in (0, 1))
        given = f"the same call twice, with seed={seed}, and a call with seed={seed + 1} between them"
        expect.equal(parts_of(submission, n, fractions, seed), first, given=given)
        given = "whether the first part holds just the first numbers"
        expect.equal(sorted(first[0]) == list(range(30)), False, because="it is dealt at random", given=given)
        given = f"whether seed={seed} and seed={seed + 1} give the same first part"
        expect.equal(sorted(first[0]) == sorted(other[0]), False, because="another seed, another split", given=given)


@check("split_indices leaves the global random states alone", points=0.5, category="robustness", hidden=True)
def test_split_states(submission):
    changed = submission.probes.states_changed(submission.split_indices, 20, (0.5, 0.5), 4)
    given = "the libraries whose global generator is in another state after split_indices(20, (0.5, 0.5), 4)"
    likely = {"torch's global generator is seeded": ["torch"], "NumPy's global generator is seeded": ["numpy"]}
    likely["Python's global generator is seeded"] = ["random"]
    expect.equal(changed, [], likely=likely, given=given)


# Files


def scenes(dataset, count, height=32, width=32):
    """Images uint8 (count, 3, height, width)."""
    size = max(height, width)
    return dataset("snapshots").generate(count, any_seed(), size)[0][:, :, :height, :width]


@check("load_cifar_batch gives images (N, 3, 32, 32) of uint8", points=1.5, category="values")
def test_cifar_images(submission, dataset):
    for count in (6, 1):
        images, labels = dataset("snapshots").generate(count, any_seed())
        path = submission.probes.write_tree({"data_batch_1": dataset("snapshots").cifar_batch(images, labels)})
        got = submission.load_cifar_batch(f"{path}/data_batch_1")[0]
        flat = images.reshape(count, -1)
        expect.close(
            np.asarray(got),
            images,
            likely={
                "the channel is taken for the last axis of a row: red comes first, whole": flat.reshape(
                    count, 32, 32, 3
                ).transpose(0, 3, 1, 2),
                "the channels come last; here they are the second axis": images.transpose(0, 2, 3, 1),
                "rows and columns are swapped": images.transpose(0, 1, 3, 2),
                "the rows are not brought into shape": flat,
            },
            given=f"a file of {count} pictures",
        )


@check("load_cifar_batch gives the labels, one for each picture", points=0.5, category="values")
def test_cifar_labels(submission, dataset):
    for count in (12, 1):
        images, labels = dataset("snapshots").generate(count, any_seed())
        labels[-1] = 9
        path = submission.probes.write_tree({"test_batch": dataset("snapshots").cifar_batch(images, labels)})
        got = submission.load_cifar_batch(f"{path}/test_batch")[1]
        found = [int(label) for label in expect.record(np.asarray(got).tolist(), [int])]
        expect.equal(found, labels.tolist(), given=f"the labels of a file of {count} pictures")
    got = submission.probes.with_paths(submission.load_cifar_batch, f"{path}/test_batch")[1]
    expect.equal(np.asarray(got).tolist(), labels.tolist(), given="the labels of a file whose path is a pathlib.Path")


def exported(submission, dataset, count, height, width, names, as_tensor, known=False, listed=False):
    """Images, labels, and what the files hold: [folder, ending, kind, colours] of each. ``known``: the folders exist
    before; ``listed``: the labels are a list, the folder is a Path."""
    images = scenes(dataset, count, height, width)
    labels = np.repeat(np.arange(count)[::-1] % len(names), 2)[::2]
    folder = submission.probes.fresh_path("new", "out")
    if known:
        submission.probes.make_folders(folder, names)
    given = (torch.from_numpy(images), torch.from_numpy(labels)) if as_tensor else (images, labels)
    if listed:
        submission.probes.with_paths(submission.export_to_folders, images, labels.tolist(), names, folder)
    else:
        expect.not_mutated(submission, submission.export_to_folders, *given, names, folder)
    return images, labels, submission.probes.read_tree(folder)


@check("export_to_folders writes PNG files with the colours of the arrays", points=1.5, category="values")
def test_export_colours(submission, dataset):
    for count, height, width in ((1, 32, 32), (1, 18, 30)):
        images, _, files = exported(submission, dataset, count, height, width, ["only"], as_tensor=False)
        given = f"one picture, {height} high and {width} wide, read back"
        expect.equal(len(files), 1, because="one file for each picture", given=given)
        _, _, kind, pixels = files[0]
        expect.equal(kind, "PNG", because="JPEG would change the colours", given=given)
        truth = images[0].transpose(1, 2, 0)
        likely = {
            "red and blue are swapped": truth[..., ::-1],
            "the axes were not moved: an array in another order": images[0].reshape(height, width, 3),
        }
        if height == width:
            likely["rows and columns are swapped"] = truth.transpose(1, 0, 2)
        expect.close(pixels, truth, likely=likely, given=given)


@check("export_to_folders sorts the files into the folders of their classes", points=1, category="values", hidden=True)
def test_export_folders(submission, dataset):
    for as_tensor, count, listed in ((True, 7, False), (False, 41, False), (False, 4, True)):
        names = ["st. bernard", "zero", "cold"] if listed else ["warm box", "cold", "third"]
        known = not as_tensor and not listed
        images, labels, files = exported(submission, dataset, count, 8, 8, names, as_tensor, known, listed)
        where = "out_dir and its folders exist, and are empty" if known else "out_dir does not exist yet"
        how = "an array with a list of labels, out_dir is a pathlib.Path" if listed else "arrays"
        given = f"{count} pictures as {'tensors' if as_tensor else how}, {where}"
        tens = {(int(label), number % 10) for number, label in enumerate(labels)}
        likely = {"a name is used again after ten pictures": len(tens)} if count > 10 else {}
        likely["a name is used again within a class"] = len(names)
        expect.equal(len(files), count, because="one file each", likely=likely, given=given)
        expect.equal([file[1] for file in files], ["png"] * count, because="one PNG file each", given=given)
        wanted = sorted([names[label], image.tobytes()] for image, label in zip(images, labels, strict=True))
        found = sorted([file[0], np.ascontiguousarray(file[3].transpose(2, 0, 1)).tobytes()] for file in files)
        given += "; the folder of each file, sorted"
        expect.equal([name for name, _ in found], [name for name, _ in wanted], given=given)
        right = sum(one == other for one, other in zip(found, wanted, strict=True))
        expect.equal(right, count, because="pictures that lie in the folder of their class", given=given)


# Three data sets

MODES = ("RGB", "L", "P", "RGBA", "LA", "1")


def tree(dataset, names):
    """{path: bytes of a picture}, in the order of ``names``; the ending says which kind of file it is."""
    kinds = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "bmp": "BMP"}
    images = scenes(dataset, len(names), 12, 16)
    endings = [name.rpartition(".")[2].lower() for name in names]
    pairs = zip(names, images, endings, strict=True)
    return {name: dataset("snapshots").encoded(image, kinds[ending]) for name, image, ending in pairs}


def expect_labels(data, submission, labels, given, likely):
    expect.equal(len(data), len(labels), because="the number of pictures", given=given, likely=likely.pop("length", {}))
    found = submission.probes.labels_of(data)
    if found != labels and sorted(map(str, found)) == sorted(map(str, labels)):
        likely["the labels fit, their order does not: sort the items by path"] = found
    expect.equal(found, labels, given=f"{given}; the labels in order", likely=likely)


def expect_files(submission, dataset, kind, good, labels, junk, slips):
    """Of pictures and other files just the pictures count, and no picture at all is refused."""
    files = tree(dataset, good)
    files.update({name: dataset("snapshots").encoded(scenes(dataset, 1)[0]) for name in junk if name.endswith(".png")})
    files.update({name: b"no picture" for name in junk if not name.endswith(".png")})
    data = kind(submission.probes.write_tree(files, ".cache/set"))
    given = f"the files {', '.join(files)} in the folder .cache/set, which is the root"
    expect.equal(len(data), len(good), because="the number of pictures", likely=slips, given=given)
    expect.equal(submission.probes.labels_of(data), labels, given=f"{given}; the labels in order")
    root, forms = submission.probes.write_tree(files, "some/set"), {"Path": "a pathlib.Path", "slash": "a text + '/'"}
    for form, what in forms.items():
        data = submission.probes.made_of(kind, root, form)
        given = f"the files {', '.join(files)}; the root is {what}; the labels in order"
        expect.equal(submission.probes.labels_of(data), labels, given=given)
    empty = submission.probes.write_tree({junk[0]: b"no picture"})
    errors = ("FileNotFoundError", "ValueError", "RuntimeError")
    expect.raises(errors, kind, empty, given="a folder without a single picture")


def expect_pictures(submission, dataset, kind, names):
    """Each item shows its file, in RGB; ``names`` in the order of the items."""
    images = scenes(dataset, len(names), 12, 16)
    encoded = dataset("snapshots").encoded
    modes = [MODES[place % len(MODES)] for place in range(len(names))]
    content = {name: encoded(image, "PNG", mode) for name, image, mode in zip(names, images, modes, strict=True)}
    truths = [np.asarray(Image.open(io.BytesIO(content[name])).convert("RGB")) for name in names]
    shuffled = sorted(names, key=lambda name: name[::-1])
    data = kind(submission.probes.write_tree({name: content[name] for name in shuffled}))
    found = submission.probes.items(data, len(names))
    for place, (name, mode, truth, (shown, pixels, label)) in enumerate(zip(names, modes, truths, found, strict=True)):
        given = f"item {place}, the file {name} of mode {mode}"
        likely = {} if mode == "RGB" else {"the picture is not converted to RGB": f"picture of mode {mode}"}
        expect.equal(shown, "picture of mode RGB", likely=likely, given=given)
        expect.record(label, int, given=f"{given}; the label")
        pixels = np.asarray(pixels)
        others = [other for other in truths if other is not truth]
        elsewhere = next((other for other in others if np.array_equal(other, pixels)), others[0])
        expect.close(pixels, truth, likely={"this is the picture of another file": elsewhere}, given=given)
    given = f"the files {', '.join(names)}; whether every label is an int of Python"
    expect.equal(submission.probes.plain_labels(data), True, because="no number of NumPy's", given=given)
    wanted = [truth.reshape(-1, 3).max(0).tolist() for truth in truths]
    transforms = (
        (submission.probes.brightest, wanted, "the largest red, green and blue"),
        (submission.probes.size, [[16, 12]] * len(names), "width and height"),
    )
    for transform, wanted, what in transforms:
        data = kind(submission.probes.write_tree(content), transform=transform)
        got = [item[0] for item in submission.probes.transformed(data, len(names))]
        expect.equal(got, wanted, given=f"the transformed pictures; transform gives {what}")
    data = kind(submission.probes.write_tree(content), transform=submission.probes.darkened)
    wanted = [(truth // 2).reshape(-1, 3).max(0).tolist() for truth in truths]
    for again in ("", ", asked for again"):
        got = [item[0] for item in submission.probes.transformed(data, len(names))]
        given = f"the transformed pictures{again}; transform makes a picture half as bright, in place"
        expect.equal(got, wanted, given=given)


def same_picture(got, files):
    """The colours of the file that shows ``got``, else of the first file."""
    shown = [np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for content in files.values()]
    return next((pixels for pixels in shown if np.array_equal(pixels, got)), shown[0])


def expect_lazy(submission, dataset, kind, names):
    """Files are opened when an item is asked for, closed again, and by other processes as well."""
    files = tree(dataset, names)
    root = submission.probes.write_tree(files)
    data = kind(root)
    later = tree(dataset, names)
    submission.probes.overwrite(root, later)
    got = np.asarray(submission.probes.items(data, 1)[0][1])
    likely = {"the picture was opened by the constructor, not when it was asked for": same_picture(got, files)}
    given = "files that are replaced after the data set was made; the first item"
    expect.close(got, same_picture(got, later), likely=likely, given=given)
    empty = submission.probes.write_tree(dict.fromkeys(names, b""))
    data = kind(empty)
    submission.probes.overwrite(empty, later)
    got = np.asarray(submission.probes.items(data, 1)[0][1])
    given = "files that are still empty when the data set is made; the first item"
    expect.close(got, same_picture(got, later), given=given)
    more = {f"{names[-1].removesuffix('.png')}.{number}.png": files[names[-1]] for number in range(300)}
    root = submission.probes.write_tree({**files, **more})
    many = kind(root)
    submission.probes.labels_of(many)
    submission.probes.overwrite(root, {**later, **dict.fromkeys(more, later[names[-1]])})
    got = np.asarray(submission.probes.items(many, 1)[0][1])
    kept = "every picture that was read is kept: a million of them would not fit into memory"
    given = "files that are replaced after more than 300 items were read; the first item"
    expect.close(got, same_picture(got, later), likely={kept: same_picture(got, files)}, given=given)
    given = "how many more files are open while 8 items are kept"
    likely = {"no picture is closed": 8}
    expect.equal(submission.probes.still_open(data, 8), 0, because="each is closed again", given=given, likely=likely)
    count = len(names)
    here = [label for _shown, _pixels, label in submission.probes.items(data, count)]
    there = submission.probes.loaded_by_two(submission.probes.pickled(data))
    given = "the labels by way of a loader with two processes, of a data set that was pickled"
    expect.equal([label for _shown, _pixels, label in there], here, given=given)


FILES_FIRST = "the files of a folder come before those of the folders in it: sort by the whole path"
NOTES = ("1/100.png", "1/a.png", "1/b.png", "100/1.png", "100/c.png")


@check("RMBDataset labels each note by the folder that it lies in", points=1, category="values")
def test_rmb_labels(submission, dataset):
    root = submission.probes.write_tree(tree(dataset, sorted(NOTES, key=lambda name: name[::-1])), "100/notes 1")
    likely = {
        "length": {"the folders are counted, not the pictures": 2},
        "every path with 100 in it counts as 100, the root's, too": [1] * 5,
        "a name of a file with 100 in it counts as 100": [1, 0, 0, 1, 1],
        "the labels are swapped": [1, 1, 1, 0, 0],
        "the labels are the names of the folders, as texts": ["1", "1", "1", "100", "100"],
    }
    expect_labels(submission.RMBDataset(root), submission, [0, 0, 0, 1, 1], f"the files {', '.join(NOTES)}", likely)


@check("RMBDataset counts every picture below, and nothing else", points=0.5, category="robustness", hidden=True)
def test_rmb_files(submission, dataset):
    good = ("1/a.png", "1/b.JPG", "1/old/c.jpeg", "100/d.BMP", "100/old/1/e.png")
    junk = ("1/notes.txt", "100/.f.png", "100/g.db", "1/.trash/h.png", "100/old/.i/j/k.png", "1/old/my_png")
    slips = {
        "hidden files or folders are counted": 8,
        "every file is counted": 11,
        "folders further below are missed": 3,
    }
    expect_files(submission, dataset, submission.RMBDataset, good, [0, 0, 0, 1, 1], junk, slips)
    names = ["1/a.png", "1/aa/z.png", "1/b.png", "100/c.png"]
    files = tree(dataset, names)
    data = submission.RMBDataset(submission.probes.write_tree(files))
    shown = {np.asarray(Image.open(io.BytesIO(content))).tobytes(): name for name, content in files.items()}
    found = [
        shown.get(np.asarray(pixels).tobytes(), "another picture")
        for _, pixels, _ in submission.probes.items(data, len(names))
    ]
    likely = {FILES_FIRST: [names[0], names[2], names[1], names[3]]}
    expect.equal(found, names, given=f"the files {', '.join(names)}; the file of each item", likely=likely)


@check("RMBDataset gives pictures in RGB, in the order of their paths", points=1, category="values")
def test_rmb_pictures(submission, dataset):
    expect_pictures(submission, dataset, submission.RMBDataset, [*NOTES, "100/d.png"])


@check("RMBDataset opens a picture when it is asked for", points=1, category="efficiency")
def test_rmb_lazy(submission, dataset):
    expect_lazy(submission, dataset, submission.RMBDataset, NOTES)


PETS = ("cat.0.png", "cat.10.png", "cat.2.png", "dog.1.png", "dog.12.png")


@check("DogCatDataset reads the labels from the names", points=1, category="values")
def test_pet_labels(submission, dataset):
    root = submission.probes.write_tree(tree(dataset, sorted(PETS, key=lambda name: name[::-1])), "dog/my cats")
    likely = {
        "length": {},
        "the labels are swapped: a cat is 0, a dog 1": [1, 1, 1, 0, 0],
        "a path with dog in it counts as dog, the folder's, too": [1] * 5,
        "the number in the name is taken for the label": [0, 10, 2, 1, 12],
        "the labels are texts": ["cat", "cat", "cat", "dog", "dog"],
    }
    given = f"the files {', '.join(PETS)} in a folder dog/my cats"
    expect_labels(submission.DogCatDataset(root), submission, [0, 0, 0, 1, 1], given, likely)


@check("DogCatDataset counts every picture, and nothing else", points=0.5, category="robustness", hidden=True)
def test_pet_files(submission, dataset):
    good = ("cat.1.png", "cat.3.JPG", "cat.4.jpeg", "cat.9.dog.png", "dog.2.bmp", "dog.2.cat.png", "dog.5.Png")
    junk = ("notes.txt", ".cat.7.png", "dog.6.txt", ".dog.8.png", "cat.9.my_jpg")
    slips = {"hidden files are counted": 9, "every file is counted": 12, "capitals at the end of a name are missed": 5}
    expect_files(submission, dataset, submission.DogCatDataset, good, [0, 0, 0, 0, 1, 1, 1], junk, slips)


@check("DogCatDataset gives pictures in RGB, in the order of their names", points=1, category="values")
def test_pet_pictures(submission, dataset):
    expect_pictures(submission, dataset, submission.DogCatDataset, [*PETS, "dog.2.png"])


@check("DogCatDataset opens a picture when it is asked for", points=1, category="efficiency", hidden=True)
def test_pet_lazy(submission, dataset):
    expect_lazy(submission, dataset, submission.DogCatDataset, PETS)


CLASSES = ("10/a.png", "10/b.png", "9/a.png", "eel/c.png", "eel/d.png")


@check("ImageFolderDataset labels by the sorted names of the folders", points=1, category="values")
def test_folder_labels(submission, dataset):
    scrambled = sorted(CLASSES, key=lambda name: (-ord(name[1]), name))
    data = submission.ImageFolderDataset(submission.probes.write_tree(tree(dataset, scrambled)))
    given = f"the files {', '.join(CLASSES)}"
    names = ["10", "9", "eel"]
    likely = {"the names are sorted as numbers, not as texts": ["9", "10", "eel"]}
    expect.equal(list(expect.record(data.classes, [str])), names, likely=likely, given=f"{given}; classes")
    places = expect.record(data.class_to_idx, dict.fromkeys(names, int), given=f"{given}; class_to_idx")
    expect.equal(places, {"10": 0, "9": 1, "eel": 2}, given=f"{given}; class_to_idx")
    likely = {
        "length": {"the folders are counted, not the pictures": 3},
        "the labels are the names of the classes, as texts": ["10", "10", "9", "eel", "eel"],
        "the labels start at 1": [1, 1, 2, 3, 3],
    }
    expect_labels(data, submission, [0, 0, 1, 2, 2], given, likely)


@check("ImageFolderDataset takes the folder right above as the class", points=1, category="values")
def test_folder_nested(submission, dataset):
    names = ("test/cat/a.png", "train/ant/b.png", "train/cat/c.png", "train/cat/wild/d.png", "train/cat/x.png")
    others = ("cat/a.png", "zoo/b.png")
    other = submission.ImageFolderDataset(submission.probes.write_tree(tree(dataset, others)))
    data = submission.ImageFolderDataset(submission.probes.write_tree(tree(dataset, names)))
    given = f"the files {', '.join(names)}"
    likely = {
        "the folder right below the root is taken for the class": ["test", "train"],
        "folders that only hold folders are taken for classes": ["ant", "cat", "test", "train", "wild"],
    }
    expect.equal(list(expect.record(data.classes, [str])), ["ant", "cat", "wild"], given=given, likely=likely)
    likely = {
        "the first folder decides": [0, 1, 1, 1, 1],
        FILES_FIRST: [1, 0, 1, 1, 2],
    }
    expect_labels(data, submission, [1, 0, 1, 2, 1], given, likely)
    truth = {id(data): ["ant", "cat", "wild"], id(other): ["cat", "zoo"]}
    for one, files in ((data, names), (other, others)):
        given = f"two data sets, one of the files {', '.join(files)}; its class_to_idx"
        places = expect.record(one.class_to_idx, dict.fromkeys(truth[id(one)], int), given=given)
        expect.equal(places, {name: place for place, name in enumerate(truth[id(one)])}, given=given)


@check("ImageFolderDataset counts every picture, and nothing else", points=0.5, category="robustness", hidden=True)
def test_folder_files(submission, dataset):
    good = ("a/b.JPG", "a/c.png", "b/d.bmp", "b/e.JPEG", "d/f.png")
    junk = ("c/notes.txt", "b/.g.png", "a/h.db", ".i/j.png", "b/.k/l/m.png", "e/my_png")
    slips = {"hidden files or folders are counted": 8, "every file is counted": 11}
    slips["capitals at the end of a name are missed"] = 3
    expect_files(submission, dataset, submission.ImageFolderDataset, good, [0, 0, 1, 1, 2], junk, slips)


@check("ImageFolderDataset gives pictures in RGB, in the order of their paths", points=1, category="values")
def test_folder_pictures(submission, dataset):
    expect_pictures(submission, dataset, submission.ImageFolderDataset, [*CLASSES, "eel/e.png"])


@check("ImageFolderDataset opens a picture when it is asked for", points=1, category="efficiency", hidden=True)
def test_folder_lazy(submission, dataset):
    expect_lazy(submission, dataset, submission.ImageFolderDataset, CLASSES)


# Batches


def padded_truth(sequences, dtype):
    """A slow loop: each value of each sequence at its place."""
    longest = max(len(sequence) for sequence in sequences)
    truth = torch.zeros(len(sequences), longest, *sequences[0].shape[1:], dtype=dtype)
    for row, sequence in enumerate(sequences):
        for place, value in enumerate(sequence):
            truth[row, place] = value
    return truth


def sequences_of(lengths, rest=(), dtype=torch.float32):
    """Random sequences, every second value of longer ones."""
    return [(torch.rand(2 * length, *rest) * 50 + 1).to(dtype)[::2] for length in lengths]


def collated(submission, sequences, labels, given):
    batch = [(sequence, label) for sequence, label in zip(sequences, labels, strict=True)]
    found = expect.not_mutated(submission, submission.collate_pad, batch, given=given)
    return expect.record(found, (None,), given=given)


@check("collate_pad puts each sequence at the front of its row", points=1.5, category="values")
def test_pad_values(submission):
    for lengths, rest in (((3, 1), ()), ((2, 5, 1), (3,)), ((4, 4), (2, 3)), ((6,), ())):
        sequences = sequences_of(lengths, rest)
        given = f"sequences of the shapes {', '.join(str(list(s.shape)) for s in sequences)}"
        padded, _, _ = collated(submission, sequences, range(len(lengths)), given)
        truth = padded_truth(sequences, torch.float32)
        likely = {}
        if len(set(lengths)) > 1:
            ends = torch.zeros_like(truth)
            for row, sequence in zip(ends, sequences, strict=True):
                row[len(row) - len(sequence) :] = sequence
            likely["the zeros stand before the sequences, not behind them"] = ends
            shortest = truth[:, : min(lengths)]
            likely["the sequences are cut to the shortest"] = shortest
        if len(lengths) > 1 and not rest:
            likely["the batch is the second axis, not the first"] = truth.transpose(0, 1)
        expect.close(padded, truth, likely=likely, given=given)


@check("collate_pad gives lengths and labels in int64", points=1, category="values")
def test_pad_lengths(submission):
    for lengths, labels in (((3, 1, 4), [7, 0, 2]), ((2,), [1])):
        given = f"sequences of the lengths {list(lengths)} with the labels {labels}"
        _, counts, found = collated(submission, sequences_of(lengths), labels, given)
        likely = {"lengths and labels are swapped": torch.tensor(labels)}
        expect.close(counts, torch.tensor(lengths), given=f"{given}; the lengths", likely=likely)
        expect.close(found, torch.tensor(labels), given=f"{given}; the labels", trivial="a label may be 1")
    sequences = [torch.tensor([4, 0, 0]), torch.tensor([0, 7]), torch.tensor([0])]
    given = "the sequences [4, 0, 0], [0, 7] and [0]; the lengths"
    counts = collated(submission, sequences, [1, 0, 2], given)[1]
    likely = {"zeros within a sequence are not counted": torch.tensor([1, 1, 0])}
    expect.close(counts, torch.tensor([3, 2, 1]), given=given, likely=likely)


@check("collate_pad keeps the dtype and takes sequences of length 0", points=0.5, category="robustness", hidden=True)
def test_pad_kinds(submission):
    for dtype in (torch.int64, torch.float64, torch.uint8, torch.bool):
        sequences = sequences_of((2, 0, 3), (), dtype)
        given = f"sequences of {str(dtype).removeprefix('torch.')} of the lengths 2, 0 and 3"
        padded, lengths, _ = collated(submission, sequences, [0, 1, 2], given)
        expect.close(padded, padded_truth(sequences, dtype), given=given)
        expect.close(lengths, torch.tensor([2, 0, 3]), given=given)
    for count, rest in ((1, ()), (2, (3,))):
        sequences = sequences_of([0] * count, rest)
        given = f"sequences of the shapes {', '.join(str(list(s.shape)) for s in sequences)}"
        padded, _, _ = collated(submission, sequences, range(count), given)
        expect.shape(padded, (count, 0, *rest), given=given)
    sequences = sequences_of((4, 2, 3, 1, 5))
    batches = submission.probes.sequences_by_two(sequences, submission.collate_pad)
    for number, (padded, _, labels) in enumerate(batches):
        given = f"batch {number} of a DataLoader with two processes and collate_fn=collate_pad"
        pair = sequences[2 * number : 2 * number + 2]
        expect.close(padded, padded_truth(pair, torch.float32), given=given)
        expect.close(labels, torch.arange(2 * number, 2 * number + len(pair)), given=given, trivial="places in the set")


LOADER = Rule(of=("MiniLoader",), names=("torch.utils.data.DataLoader",), instead="dataset[i] and collate_fn")


def cut(order, size):
    return [order[start : start + size] for start in range(0, len(order), size)]


def order_of(epoch):
    return [label for batch in epoch for label in batch]


@check("MiniLoader gives the items in order, batch by batch", points=1, category="values")
def test_loader_values(submission):
    for count, size in ((10, 4), (6, 3), (5, None), (3, 8), (0, 2)):
        settings = {} if size is None else {"batch_size": size}
        data = submission.probes.numbered(count)
        loader = submission.MiniLoader(data, **settings)
        given = f"{count} items, {'batch_size left out' if size is None else f'batch_size={size}'}"
        wanted = cut(list(range(count)), size or 1)
        likely = {}
        if count == 10:
            likely["the last, smaller batch is left out"] = [wanted[:-1]] * 2
            likely["the second pass is empty"] = [wanted, []]
        expect.equal(submission.probes.passes(loader, 2), [wanted] * 2, given=f"{given}; two passes", likely=likely)
        for (pairs, labels), numbers in zip(submission.probes.whole_batches(loader), wanted, strict=True):
            truth = torch.tensor(numbers)
            expect.close(pairs, torch.stack([truth, truth + 0.5], 1), given=given)
            expect.close(labels, truth, given=given, trivial="the places in the set")


@check("len(MiniLoader) is its number of batches, also with drop_last", points=1, category="values")
def test_loader_length(submission):
    for count, size, drop in ((10, 4, False), (10, 4, True), (8, 4, True), (8, 4, False), (3, 4, True), (0, 4, False)):
        data = submission.probes.numbered(count)
        loader = submission.MiniLoader(data, batch_size=size, drop_last=drop)
        given = f"{count} items, batch_size={size}, drop_last={drop}"
        batches = count // size if drop else -(-count // size)
        likely = {"the items are counted, not the batches": count} if count != batches else {}
        if count == 10:
            likely["drop_last is ignored" if drop else "it is rounded down"] = 3 if drop else 2
        elif count == 8 and not drop:
            likely["one batch too many where the number of items can be divided"] = 3
        expect.equal(len(loader), batches, given=given, likely=likely)
        epoch = submission.probes.passes(loader, 1)[0]
        expect.equal(epoch, cut(list(range(count)), size)[:batches], given=given)


@check("with shuffle every pass has each item once, in a new order", points=1.5, category="values")
def test_loader_shuffle(submission):
    for size, settings in ((8, {}), (7, {}), (7, {"drop_last": True, "seed": 3})):
        loader = submission.MiniLoader(submission.probes.numbered(40), batch_size=size, shuffle=True, **settings)
        given = f"40 items, batch_size={size}, shuffle=True{''.join(f', {k}={v}' for k, v in settings.items())}"
        sizes = [size] * (40 // size) + ([40 % size] if 40 % size and not settings else [])
        epochs = submission.probes.passes(loader, 3)
        for number, epoch in enumerate(epochs, start=1):
            where = f"{given}; pass {number}"
            expect.equal([len(batch) for batch in epoch], sizes, given=f"{where}, the sizes of the batches")
            seen = sorted(set(order_of(epoch)))
            expect.equal(
                len(seen), sum(sizes), because="each item once", given=f"{where}, the number of different items"
            )
            expect.true(set(seen) <= set(range(40)), "items 0 to 39", f"items {seen[0]} to {seen[-1]}", given=where)
        orders = [order_of(epoch) for epoch in epochs]
        runs = [batch for batch in epochs[0] if sorted(batch) == list(range(min(batch), min(batch) + len(batch)))]
        found = "every batch with the neighbours of the data set"
        wanted = "items that are shuffled before they are cut into batches"
        expect.true(len(runs) < len(sizes), wanted, found, given=given)
        same = orders[0] == orders[1] or orders[1] == orders[2]
        expect.equal(same, False, because="a new order each", given=f"{given}; whether two passes have the same order")
    pairs, labels = submission.probes.whole_batches(loader)[0]
    given = "the inputs of a shuffled batch, which are their labels"
    expect.shape(pairs, (7, 2), given=given)
    expect.close(pairs[:, 0].long(), labels, given=given)


@check("one seed gives one series of orders", points=1, category="values", hidden=True)
def test_loader_seed(submission):
    def series(draws=1, **settings):
        loader = submission.MiniLoader(submission.probes.numbered(30), batch_size=4, shuffle=True, **settings)
        return [order_of(epoch) for epoch in submission.probes.passes(loader, 3, draws)]

    for seed in (5, 0):
        first = series(seed=seed)
        given = f"the orders of three passes of another loader with seed={seed}, others draw random numbers in between"
        expect.equal(series(draws=2, seed=seed), first, given=given)
        given = f"whether the passes of a loader with seed={seed} have the same order"
        expect.equal(first[0] == first[1], False, because="the orders within a series differ", given=given)
        given = f"whether seed={seed} and seed={seed + 1} give the same order"
        expect.equal(series(seed=seed + 1)[0] == first[0], False, given=given)
    expect.equal(series()[0] == series()[0], False, given="whether two loaders without a seed have the same order")
    given = "the orders of three passes of another loader with seed=5, drop_last=True"
    expect.equal(series(seed=5, drop_last=True), series(seed=5, drop_last=True), given=given)

    def piles(**settings):
        data, pile = submission.probes.numbered(30), submission.probes.pile
        return submission.probes.listed(submission.MiniLoader(data, 4, collate_fn=pile, **settings))

    given = "a pass of another loader with seed=5 and a collate_fn: how many items, and the sum of their labels"
    first = piles(seed=5, shuffle=True)
    expect.equal(piles(seed=5, shuffle=True), first, given=given)
    given = "whether a pass with shuffle=True and a collate_fn goes through the items in order"
    expect.equal(first == piles(), False, given=given)


@check("MiniLoader takes the order of a sampler, anew for each pass", points=1, category="values")
def test_loader_sampler(submission):
    for sampler, drop in (([4, 0, 4, 2, 1], False), ([8, 7, 6, 5, 4, 3, 2], True)):
        data = submission.probes.numbered(9)
        loader = submission.MiniLoader(data, batch_size=2, sampler=sampler, drop_last=drop)
        given = f"9 items, batch_size=2, sampler={sampler}, drop_last={drop}"
        wanted = cut(list(sampler), 2)[: len(sampler) // 2 if drop else None]
        likely = {"the sampler is ignored": [cut(list(range(9)), 2)[: 4 if drop else None]] * 2}
        expect.equal(submission.probes.passes(loader, 2), [wanted] * 2, given=given, likely=likely)
        expect.equal(len(loader), len(wanted), given=f"{given}; its length")
    loader = submission.MiniLoader(data, batch_size=2, sampler=[])
    likely = {"an empty sampler is taken for none": [cut(list(range(9)), 2)]}
    given = "9 items, sampler=[], which asks for none of them"
    expect.equal(submission.probes.passes(loader, 1), [[]], given=given, likely=likely)
    loader = submission.MiniLoader(data, batch_size=2, sampler=submission.probes.turning([5, 3, 8]))
    given = "9 items, batch_size=2, a sampler that gives 5, 3, 8 and the next time 8, 3, 5; two passes"
    likely = {"the sampler is gone through once, not for each pass": [[[5, 3], [8]]] * 2}
    expect.equal(submission.probes.passes(loader, 2), [[[5, 3], [8]], [[8, 3], [5]]], given=given, likely=likely)
    for sampler in ([0, 1], []):
        given = f"shuffle=True and sampler={sampler}"
        expect.raises("ValueError", submission.MiniLoader, data, 2, shuffle=True, sampler=sampler, given=given)


@check("MiniLoader gives what collate_fn makes of a list of items", points=0.5, category="values", hidden=True)
def test_loader_collate(submission):
    cases = (
        ({}, [[3, 3], [3, 12], [1, 6]]),
        ({"drop_last": True}, [[3, 3], [3, 12]]),
        ({"sampler": [6, 5, 4, 3], "seed": 1}, [[3, 15], [1, 3]]),
    )
    for settings, wanted in cases:
        data, pile = submission.probes.numbered(7), submission.probes.pile
        loader = submission.MiniLoader(data, batch_size=3, collate_fn=pile, **settings)
        given = f"7 items in batches of 3, {settings}; collate_fn gives the number of items and the sum of their labels"
        expect.equal(submission.probes.listed(loader), wanted, given=given)
    loader = submission.MiniLoader(data, 3, shuffle=True, seed=2, collate_fn=submission.probes.how_many)
    given = "7 items in batches of 3, shuffle=True, seed=2; collate_fn gives the number of items"
    expect.equal(submission.probes.listed(loader), [3, 3, 1], given=given)


@check("MiniLoader fetches an item when its batch is asked for", points=0.5, category="efficiency", hidden=True)
def test_loader_lazy(submission):
    data = submission.probes.numbered(20)
    loader = submission.MiniLoader(data, batch_size=4)
    given = "the items that were asked for when the first batch of 4 is there"
    likely = {"all items are fetched at once": list(range(20))}
    asked = submission.probes.asked_after_first_batch(loader, data)
    expect.equal(sorted(asked), [0, 1, 2, 3], given=given, likely=likely)
    given = "two passes at the same time, in turn"
    batches = cut(list(range(20)), 4)
    likely = {"both passes share one place": [order_of(batches[::2]), order_of(batches[1::2])]}
    expect.equal(submission.probes.two_passes_at_once(loader), [list(range(20))] * 2, given=given, likely=likely)
    loader = submission.MiniLoader(data, batch_size=4, shuffle=True)
    if sorted(order_of(submission.probes.passes(loader, 1)[0])) == list(range(20)):  # else another check tells
        given = "shuffle=True, two passes at the same time, in turn; whether each gives every item once"
        likely = {"a new pass changes the order of one that is not over": False}
        for ahead in (0, 1):  # batches of the first pass before the second begins
            found = [sorted(labels) for labels in submission.probes.two_passes_at_once(loader, ahead)]
            expect.equal(found == [list(range(20))] * 2, True, given=given, likely=likely)


@check("MiniLoader works without PyTorch's DataLoader", points=1, category="rules", gates=LOADER)
def test_loader_rule(submission):
    expect.avoids(submission.MiniLoader, submission.probes.numbered(4), rule=LOADER)
    called = submission.probes.of_dataloader(submission.MiniLoader, 4)
    expect.equal(called, [], because="no code of torch.utils.data.DataLoader", given="what runs in a pass over 4 items")


# What a loader calls

CHAIN = (
    "DataLoader.__iter__",
    "DataLoader._get_iterator",
    "_SingleProcessDataLoaderIter.__init__",
    "_BaseDataLoaderIter.__next__",
    "_SingleProcessDataLoaderIter._next_data",
    "_BaseDataLoaderIter._next_index",
    "BatchSampler.__iter__",
    "SequentialSampler.__iter__",
    "_MapDatasetFetcher.fetch",
    "Word.__getitem__",
    "default_collate",
)


def first_missing(names, chain):
    """The first name of ``chain`` that does not follow the ones before it in ``names``, or None."""
    rest = iter(names)
    return next((name for name in chain if name not in rest), None)


@check("trace_loader_calls lists what a DataLoader calls, in order", points=1.5, category="values")
def test_trace_values(submission):
    loader = submission.probes.loader_of("Word", batch_size=4)
    names = expect.record(submission.probes.names_traced(submission.trace_loader_calls, loader), [str])
    wanted = "these names, in this order, among others: " + ", ".join(CHAIN)
    missing = first_missing(names, CHAIN)
    there = "" if missing not in names else ", which stands at another place"
    likely = {
        "names without their classes": "__iter__" in names,
        "the names are listed backwards": first_missing(names[::-1], CHAIN) is None,
        "each name is listed once, where it may be called again": len(set(names)) == len(names),
        "only the call of iter is traced: the first batch is made by next": "_BaseDataLoaderIter.__next__" not in names,
    }
    found = f"{len(names)} names, the first that is missing is {missing}{there}"
    given = "a DataLoader of 10 items, batch_size=4"
    expect.true(missing is None, wanted, found, likely=likely, given=given)
    count = names.count("Word.__getitem__")
    likely = {
        "it goes on behind the first batch": 10,
        "each name is listed once": 1,
    }
    expect.equal(count, 4, because="the calls of Word.__getitem__ until the first batch", given=given, likely=likely)


@check("trace_loader_calls follows any loader", points=1, category="values", hidden=True)
def test_trace_others(submission):
    names = expect.record(
        submission.probes.names_traced(submission.trace_loader_calls, submission.probes.loader_of_words(3)), [str]
    )
    given = "a DataLoader with batch_size=3 and a collate_fn together()"
    counts = {name: names.count(name) for name in ("Word.__getitem__", "together", "default_collate")}
    expect.equal(counts, {"Word.__getitem__": 3, "together": 1, "default_collate": 0}, given=given)
    names = expect.record(
        submission.probes.names_traced(submission.trace_loader_calls, submission.probes.counting()), [str]
    )
    own = [name for name in names if name.startswith(("Counting", "Steps"))]
    wanted = ["Counting.__iter__", "Steps.__next__", "Steps.step", "Steps.step"]
    expect.equal(own, wanted, given="a loader that is none of PyTorch's")


@check("nothing is traced any more afterwards, whatever happened", points=0.5, category="robustness", hidden=True)
def test_trace_ends(submission):
    for kind, error in (("Word", ""), ("Broken", "KeyError"), ("Stopped", "KeyboardInterrupt"), ("", "KeyError")):
        loader = submission.probes.loader_of(kind, batch_size=2) if kind else submission.probes.refusing()
        left, raised = submission.probes.tracing_left(submission.trace_loader_calls, loader)
        given = f"a loader whose data set raises {error}" if error else "a loader of 10 items"
        given = given if kind else f"a loader whose __iter__ raises {error}"
        expect.equal(left, [], given=f"{given}; what still traces", likely={"the tracing is never ended": ["profile"]})
        expect.equal(raised, error, given=f"{given}; the error that is passed on")
