"""The data sets: seeded, prefix-stable, and never half used when a file is wrong."""

import gzip
import importlib.util
import io
import json
import os
import pickle
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from torchgrade.errors import Unavailable
from torchgrade.grading.datasets import load_dataset as load_dataset_of_a_suite

ROOT = Path(__file__).resolve().parent.parent


def load_dataset(name):
    spec = importlib.util.spec_from_file_location(f"dataset_{name}", ROOT / "datasets" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


NAMES = ("wardrobe", "digits", "faces", "snapshots", "housing", "opinions", "fashion_mnist", "keypoints")
wardrobe, digits, faces, snapshots, housing, opinions, fashion_mnist, keypoints = map(load_dataset, NAMES)
boxed_shapes, blood_cells = map(load_dataset, ("boxed_shapes", "blood_cells"))
coco_scenes, coco_sample = map(load_dataset, ("coco_scenes", "coco_sample"))
phrases, anki, reviews = map(load_dataset, ("phrases", "anki", "reviews"))


def write_idx(path, array, pack=False, kind=8):
    content = struct.pack(">BBBB", 0, 0, kind, array.ndim)
    content += struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if pack else content)
    return path


# generated sets


@pytest.mark.parametrize(
    "draw",
    [wardrobe.generate, digits.generate, faces.generate, faces.portraits, snapshots.generate, opinions.generate],
)
def test_same_seed_same_images_whatever_the_count(draw):
    """A prefix is the same, another seed is not."""
    images, answers = draw(37, 5)
    fewer, fewer_answers = draw(9, 5)

    assert np.array_equal(images[:9], fewer)
    assert np.array_equal(answers[:9], fewer_answers)
    assert not np.array_equal(images[:9], draw(9, 6)[0])


@pytest.mark.parametrize(
    "draw", [wardrobe.generate, digits.generate, faces.generate, snapshots.generate, opinions.generate]
)
def test_count_may_be_zero_but_not_negative(draw):
    """The empty set has its shape; a negative count is refused."""
    images, answers = draw(0)
    assert len(images) == len(answers) == 0
    with pytest.raises(ValueError, match="count is -1"):
        draw(-1)


@pytest.mark.parametrize("draw", [wardrobe.generate, digits.generate])
def test_each_class_comes_once_in_ten(draw):
    """The classes are balanced within every ten images, in an order that changes."""
    images, labels = draw(200, 1)

    assert images.shape == (200, 28, 28)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    tens = labels.reshape(20, 10)
    assert (np.sort(tens, 1) == np.arange(10)).all()
    assert len({tuple(row) for row in tens}) > 15
    assert images.std(axis=(1, 2)).min() > 5, "every image shows something"


def test_housing_is_a_table_in_order_that_lines_fit_well_but_not_wholly():
    """506 rows of 14 numbers of very different scales; the price falls; least squares explains most of it."""
    rows = [[float(word) for word in line.split()] for line in housing.generate(3).splitlines()]
    table = housing.numbers(3)

    assert np.shape(rows) == table.shape == (506, 14)
    assert np.allclose(np.array(rows)[:, [2, 5, 13]], table[:, [2, 5, 13]], atol=6e-3)
    assert housing.generate(3) != housing.generate(4)
    assert (np.diff(table[:, 13]) <= 0).all()
    assert table.std(0).min() < 0.3
    assert table.std(0).max() > 100
    x = np.column_stack([table[:, :13], np.ones(506)])
    left = table[:, 13] - x @ np.linalg.lstsq(x, table[:, 13], rcond=None)[0]
    assert 0.7 < 1 - left.var() / table[:, 13].var() < 0.95


def test_the_words_of_an_opinion_say_nothing_without_their_order():
    """A negation turns the word behind it round; how often each word stands on either side is a matter of chance."""
    texts, labels = opinions.generate(4000, 2)

    counts = {word: np.zeros(2) for word in opinions.WORDS}
    for text, label in zip(texts, labels, strict=True):
        words = text.split()
        (at,) = [n for n, word in enumerate(words) if word in opinions.GOOD + opinions.BAD]
        assert sum(word in opinions.NEGATIONS for word in words) == 1
        turned = at > 0 and words[at - 1] in opinions.NEGATIONS
        assert label == (words[at] in opinions.GOOD) ^ turned
        for word in words:
            counts[word][label] += 1
    assert labels.mean() == 0.5
    assert all(abs(against - pro) < 5 * np.sqrt(against + pro) for against, pro in counts.values())


def test_a_batch_of_snapshots_is_what_python_2_wrote():
    """It takes an encoding to read it, as the published files do; the planes come back as they were."""
    images, labels = snapshots.generate(7, 3)
    content = snapshots.cifar_batch(images, labels)

    with pytest.raises(UnicodeDecodeError):
        pickle.loads(content)
    batch = pickle.loads(content, encoding="bytes")
    assert np.array_equal(batch[b"data"].reshape(-1, 3, 32, 32), images)
    assert batch[b"labels"] == labels.tolist()
    assert set(pickle.loads(content, encoding="latin1")) == {"data", "labels", "filenames", "batch_label"}


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_a_snapshot_is_a_file_of_its_mode(mode):
    """The file has the mode that was asked for, and height and width are not swapped."""
    image = snapshots.generate(1, 5, size=24)[0][0][:, :16]
    with Image.open(io.BytesIO(snapshots.encoded(image, "PNG", mode))) as picture:
        assert picture.mode == mode
        assert picture.size == (24, 16)
        shown = np.asarray(picture.convert("RGB"))
    assert np.array_equal(shown, image.transpose(1, 2, 0)) == (mode in ("RGB", "RGBA"))


def test_annotations_of_scenes_say_what_is_on_them():
    """Prefixes are the same; areas and boxes are those of the masks; crowds are run lengths; ids have gaps."""
    scenes, fewer = coco_scenes.generate(30, 5), coco_scenes.generate(7, 5)

    assert np.array_equal(scenes.images[:7], fewer.images)
    assert (
        scenes.annotations["annotations"][: len(fewer.annotations["annotations"])] == fewer.annotations["annotations"]
    )
    numbers = {image["id"]: number for number, image in enumerate(scenes.annotations["images"])}
    found = np.zeros_like(scenes.objects)
    for annotation in scenes.annotations["annotations"]:
        shape = annotation["segmentation"]
        assert isinstance(shape, dict) == (annotation["iscrowd"] == 1)
        if isinstance(shape, dict):
            counts = np.array(shape["counts"])
            mask = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(40, 32).T
            assert coco_scenes.run_lengths(mask) == shape
        else:
            mask = coco_scenes.rasterised(shape, 32, 40)
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == coco_scenes.box(mask)
        found[numbers[annotation["image_id"]]] |= mask
    assert np.array_equal(found, scenes.objects)
    assert len({a["id"] for a in scenes.annotations["annotations"]}) == len(scenes.annotations["annotations"])
    assert 0.05 < scenes.objects.mean() < 0.4
    with pytest.raises(ValueError, match="count is -1"):
        coco_scenes.generate(-1)


def linear_accuracy(train, test):
    """A ridge classifier on pixels, trained on (images, labels)."""
    flat = [np.c_[images.reshape(len(images), -1) / 255, np.ones(len(images))] for images, _ in (train, test)]
    targets = np.eye(10)[train[1]]
    weights = np.linalg.solve(flat[0].T @ flat[0] + 30 * np.eye(785), flat[0].T @ targets)
    return (np.argmax(flat[1] @ weights, 1) == test[1]).mean()


def test_nuisances_are_more_than_a_linear_model_can_undo():
    """Without nuisances a linear model suffices; with them it stays near chance."""
    easy = [wardrobe.generate(n, seed, nuisance=0) for n, seed in ((1500, 1), (500, 2))]
    hard = [wardrobe.generate(n, seed) for n, seed in ((1500, 1), (500, 2))]

    assert linear_accuracy(*easy) > 0.9
    assert linear_accuracy(*hard) < 0.25


def test_faces_have_four_points_on_the_image():
    """Layout, units, and the face's left eye at the right of the image."""
    images, points = faces.generate(150, 3)

    assert images.shape == (150, 96, 96)
    assert images.dtype == np.uint8
    assert points.shape == (150, 8)
    assert points.dtype == np.float32
    assert points.min() > 0
    assert points.max() < 95
    assert (points[:, 0] > points[:, 2]).all(), "left eye at the right"
    assert (points[:, 7] > points[:, 1]).all(), "mouth below the eyes"
    error = np.abs(points - points.mean(0)).mean()
    assert 5 < error < 8, "predicting the mean face is no solution"


def test_face_points_lie_where_the_features_are_drawn():
    """The mouth's opening lies just above its lowest point: darker than the cheeks, on nearly every face."""
    images, points = faces.portraits(60, 4, size=96)
    x, y = np.round(points[:, 6:].T).astype(int)
    rows = np.arange(60)
    mouth = images[rows, y - 3, x].astype(float)
    chin = images[rows, np.minimum(y + 5, 95), x].astype(float)
    assert (mouth < chin - 5).mean() > 0.9


def test_generated_sets_are_fast():
    """What a suite draws takes about two seconds of a quiet core."""
    start = time.process_time()
    wardrobe.generate(4000, 1)
    faces.generate(300, 1)
    assert time.process_time() - start < 8, "four times the time of a quiet core"


# Fashion-MNIST


@pytest.mark.parametrize("pack", [False, True])
def test_read_idx(tmp_path, pack):
    """Packed or not, whatever the file is called."""
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = write_idx(tmp_path / "some-file", array, pack)
    assert np.array_equal(fashion_mnist.read_idx(path), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "two zero bytes"),
        (b"PNG\0" * 10, "two zero bytes"),
        (b"\0\0\x0d\1" + b"\0\0\0\1" + b"\0", "idx type 13"),
        (b"\0\0\x08\3" + b"\0\0\0\1", "header ends"),
        (b"\0\0\x08\1" + b"\0\0\0\5" + b"abc", "truncated"),
        (b"\0\0\x08\1" + b"\0\0\0\1" + b"abc", "too long"),
        (b"\0\0\x08\2" + b"\xff" * 8 + b"abc", "truncated"),
    ],
)
def test_read_idx_refuses(tmp_path, content, message):
    """Each wrong file has its sentence, packed or not."""
    for name, data in (("plain", content), ("packed", gzip.compress(content))):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(Unavailable, match=message):
            fashion_mnist.read_idx(path)


def test_read_idx_refuses_a_broken_archive(tmp_path):
    """A gzip file that ends early, or whose content was changed."""
    whole = gzip.compress(b"\0\0\x08\1\0\0\x03\xe8" + os.urandom(1000))
    path = tmp_path / "x.gz"
    for data in (whole[:200], whole[:300] + b"\x55" + whole[301:]):
        path.write_bytes(data)
        with pytest.raises(Unavailable, match=r"Cannot read .*x\.gz"):
            fashion_mnist.read_idx(path)
    with pytest.raises(Unavailable, match="No such file"):
        fashion_mnist.read_idx(tmp_path / "absent")


def test_fashion_mnist_absent(tmp_path, monkeypatch):
    """Nothing there: one sentence that says how to get it."""
    monkeypatch.setenv("TORCHGRADE_DATA", str(tmp_path))
    monkeypatch.setattr(fashion_mnist, "folders", lambda: [tmp_path])
    assert not fashion_mnist.verified()
    assert fashion_mnist.catalogue()["status"] == "absent"
    with pytest.raises(Unavailable, match="download=True"):
        fashion_mnist.load()


def test_fashion_mnist_is_never_half_used(tmp_path, monkeypatch):
    """One file missing, or one with other content: nothing is returned."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    monkeypatch.setenv("TORCHGRADE_DATA", str(tmp_path))
    for name, _ in list(fashion_mnist.FILES.values())[:3]:
        write_idx(raw / name, np.zeros((2, 28, 28)))
    with pytest.raises(Unavailable, match="not the published train-images"):
        fashion_mnist.load()
    (raw / "train-images-idx3-ubyte").unlink()
    with pytest.raises(Unavailable, match=r"train-images-idx3-ubyte.* is missing"):
        fashion_mnist.load()
    assert fashion_mnist.catalogue()["status"] == "damaged"


@pytest.fixture
def real_data():
    named = os.environ.get("TORCHGRADE_DATA")
    if not named:
        pytest.skip("TORCHGRADE_DATA names no folder with real data")
    return Path(named)


def test_fashion_mnist_real(real_data):
    """The real files, if this machine has them."""
    if fashion_mnist.find() is None:
        pytest.skip("Fashion-MNIST is not on this machine")
    parts = fashion_mnist.load()
    assert parts["train_images"].shape == (60000, 28, 28)
    assert np.bincount(parts["test_labels"]).tolist() == [1000] * 10


def test_fashion_mnist_in_torchvisions_folders(real_data, tmp_path, monkeypatch):
    """Unpacked files below FashionMNIST/raw are the same set."""
    if fashion_mnist.find() is None:
        pytest.skip("Fashion-MNIST is not on this machine")
    source, raw = fashion_mnist.find(), tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, _ in fashion_mnist.FILES.values():
        (raw / name).write_bytes(fashion_mnist._unpack(fashion_mnist._path(source, name)))
    monkeypatch.setenv("TORCHGRADE_DATA", str(tmp_path))
    assert fashion_mnist.find() == raw
    assert fashion_mnist.verified()


# Keypoint sets


def write_set(folder, stem="train", count=7, columns=keypoints.COLUMNS, archive=None):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (96, 96, count), np.uint8)
    points = rng.uniform(10, 80, (count, len(columns))).round(3)
    if archive == "npz":
        np.savez(folder / f"{stem}.npz", images=np.moveaxis(images, -1, 0))
    else:
        np.save(folder / f"{stem}.npy", images)
    lines = [",".join(columns)] + [",".join(map(str, row)) for row in points]
    (folder / f"{stem}.csv").write_text("\n".join(lines) + "\n")
    return images, points


@pytest.mark.parametrize("archive", [None, "npz"])
def test_keypoints_keep_the_sample_axis_last(tmp_path, archive):
    """Both ways of storing the images give (96, 96, N)."""
    images, points = write_set(tmp_path, archive=archive)
    pair = keypoints.read_pair(tmp_path, "train")
    assert np.array_equal(pair.images, images)
    assert np.allclose(pair.points, points)


def test_keypoints_missing_coordinates_and_other_column_order(tmp_path):
    """Empty cells and "nan" become NaN; the four points come out in their order."""
    order = keypoints.COLUMNS[4:] + keypoints.COLUMNS[:4]
    _, points = write_set(tmp_path, count=3, columns=order)
    table = tmp_path / "train.csv"
    lines = table.read_text().splitlines()
    cells = lines[2].split(",")
    cells[0], cells[1] = "", "nan"
    lines[2] = ",".join(cells)
    table.write_text("\n".join(lines))

    got, columns = keypoints.read_csv(table)

    assert columns == keypoints.COLUMNS
    assert np.isnan(got).sum() == 2
    assert np.isnan(got[1, 4:6]).all()
    assert np.allclose(got[0], np.r_[points[0, 4:], points[0, :4]])


def test_keypoints_hold_out_every_fifth_without_a_test_part(tmp_path):
    """A set with one labelled part is split, always the same way."""
    images, _ = write_set(tmp_path, count=11)
    train, test = keypoints.load(tmp_path)
    assert (len(train.points), len(test.points)) == (9, 2)
    assert np.array_equal(test.images, images[:, :, [4, 9]])


def test_keypoints_digest_ignores_the_packing(tmp_path):
    """npy and npz of the same faces have one digest; a changed pixel has another."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    images, _ = write_set(tmp_path / "a", count=10)
    write_set(tmp_path / "b", count=10, archive="npz")
    digests = [keypoints.digest(*keypoints.load(tmp_path / name)) for name in "ab"]
    assert digests[0] == digests[1]
    images[0, 0, 0] ^= 1
    np.save(tmp_path / "a" / "train.npy", images)
    assert keypoints.digest(*keypoints.load(tmp_path / "a")) != digests[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a_x,a_y\n", "no rows"),
        ("a_x,b_y\n1,2\n", "pairs of columns"),
        ("a_x,a_y,b_x\n1,2,3\n", "pairs of columns"),
        ("a_x,a_y\n1,2\n1\n", "line 3 has 1 cells"),
        ("a_x,a_y\n1,two\n", "line 2, a_y: 'two' is no number"),
        ("a_x,a_y\n1,inf\n", "line 2, a_y: infinite"),
    ],
)
def test_keypoints_csv_refuses(tmp_path, text, message):
    """Each wrong table has its sentence."""
    path = tmp_path / "train.csv"
    path.write_text(text)
    with pytest.raises(Unavailable, match=message):
        keypoints.read_csv(path)


def test_keypoints_images_refused(tmp_path):
    """Truncated, pickled, misnamed or impossible images."""
    path = tmp_path / "train.npy"
    np.save(path, np.zeros((96, 96, 4), np.uint8))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(Unavailable, match="Cannot read"):
        keypoints.read_images(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(Unavailable, match="allow_pickle"):
        keypoints.read_images(path)
    np.save(path, np.zeros((4, 9216)))
    with pytest.raises(Unavailable, match="not \\(height, width, N\\)"):
        keypoints.read_images(path)
    np.save(path, np.full((2, 2, 2), 300.0))
    with pytest.raises(Unavailable, match="not grey levels"):
        keypoints.read_images(path)
    np.savez(tmp_path / "train.npz", pictures=np.zeros((2, 2, 2)))
    with pytest.raises(Unavailable, match="no array named images"):
        keypoints.read_images(tmp_path / "train.npz")
    (tmp_path / "other.npz").write_bytes(b"PK\3\4 not an archive")
    with pytest.raises(Unavailable, match="Cannot read"):
        keypoints.read_images(tmp_path / "other.npz")


def test_keypoints_floats_of_whole_grey_levels_become_bytes(tmp_path):
    """An array saved as float64 is still the same images."""
    np.save(tmp_path / "x.npy", np.full((2, 3, 4), 250.0))
    images = keypoints.read_images(tmp_path / "x.npy")
    assert images.dtype == np.uint8
    assert (images == 250).all()


def test_keypoints_parts_that_do_not_fit(tmp_path, monkeypatch):
    """Counts that differ, a missing stack, parts of different sizes; then nothing at all."""
    write_set(tmp_path)
    np.save(tmp_path / "train.npy", np.zeros((96, 96, 6), np.uint8))
    with pytest.raises(Unavailable, match="6 images, but 7 rows"):
        keypoints.load(tmp_path)
    monkeypatch.setattr(keypoints, "folders", lambda: [tmp_path])
    assert keypoints.catalogue()["status"] == "damaged"
    (tmp_path / "train.npy").unlink()
    with pytest.raises(Unavailable, match="is missing"):
        keypoints.read_pair(tmp_path, "train")
    assert keypoints.catalogue()["status"] == "absent"
    with pytest.raises(Unavailable, match="No real keypoint set"):
        keypoints.load()
    write_set(tmp_path)
    write_set(tmp_path, "test", columns=("a_x", "a_y"))
    with pytest.raises(Unavailable, match="train and test differ"):
        keypoints.load(tmp_path)


def test_keypoints_real(real_data):
    """The real faces, if this machine has them."""
    folder = keypoints.find()
    if folder is None:
        pytest.skip("no real keypoint set on this machine")
    train, test = keypoints.load()
    assert train.images.shape[:2] == (96, 96)
    assert train.points.shape[1] == 8
    assert len(test.points) > 0


# Boxes


def test_boxes_lie_round_the_shapes():
    """Prefix-stable, inside of the picture, and as many annotations as boxes; no two files need look alike."""
    scenes = boxed_shapes.generate(12, 5)
    for scene, again in zip(scenes, boxed_shapes.generate(4, 5), strict=False):
        assert np.array_equal(scene.image, again.image)
        assert np.array_equal(scene.boxes, again.boxes)
    for scene, (text, content) in zip(scenes, boxed_shapes.texts(12, 5), strict=True):
        assert (scene.boxes[:, :2] < scene.boxes[:, 2:]).all()
        assert (scene.boxes >= 0).all()
        assert (scene.boxes[:, 2:] <= [scene.image.shape[1], scene.image.shape[0]]).all()
        assert text.count("<bndbox>") == len(scene.labels) == len(content["objects"])
        assert blood_cells._content(text) == content  # an XML reader of another kind
    with pytest.raises(ValueError, match="count is -1"):
        boxed_shapes.generate(-1)


def test_annotations_are_never_half_used(tmp_path, monkeypatch):
    """An unknown set is read and said to be one; a file that is damaged spoils all."""
    folder = tmp_path / "bccd-voc" / "BCCD" / "Annotations"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TORCHGRADE_DATA", str(tmp_path))
    monkeypatch.setattr(blood_cells, "folders", lambda: [folder])
    assert blood_cells.catalogue()["status"] == "absent"
    with pytest.raises(Unavailable, match="No real annotations"):
        blood_cells.texts()
    (folder / "a.xml").write_text(boxed_shapes.texts(1)[0][0], encoding="utf-8")
    assert len(blood_cells.texts()) == 1
    assert blood_cells.catalogue()["status"] == "unknown"
    assert not blood_cells.verified()
    (folder / "b.xml").write_text("<annotation>", encoding="utf-8")
    with pytest.raises(Unavailable, match="Cannot use"):
        blood_cells.texts()
    (folder / "b.xml").write_bytes(b"\xff")
    assert blood_cells.catalogue()["status"] == "damaged"


def test_blood_cells_real(real_data):
    """The real annotations, if this machine has them."""
    if blood_cells.find() is None:
        pytest.skip("no real annotations on this machine")
    found = blood_cells.texts()
    names = {entry["name"] for _, content in found for entry in content["objects"]}
    assert names == set(blood_cells.CLASSES)
    assert blood_cells.verified()


def test_coco_sample_reads_packed_run_lengths(tmp_path, monkeypatch):
    """Counts of one and of two characters, a difference below zero; what does not fill the picture is refused."""
    counts = [0, 2, 3, 100, 1, 40, 2]
    assert coco_sample.unpacked("023R3NTN1") == counts
    path = tmp_path / "panoptic_coco_detection_format.json"
    monkeypatch.setenv("TORCHGRADE_DATA", str(tmp_path))
    for width, status in ((37, "unknown"), (36, "damaged")):
        shape = {"size": [4, width], "counts": "023R3NTN1"}
        path.write_text(json.dumps({"images": [], "categories": [], "annotations": [{"id": 1, "segmentation": shape}]}))
        assert coco_sample.catalogue()["status"] == status
    assert not coco_sample.verified()
    with pytest.raises(Unavailable, match="the run lengths of annotation 1 do not fill"):
        coco_sample.load()
    path.write_text("[")
    with pytest.raises(Unavailable, match="Cannot read"):
        coco_sample.load()


def test_coco_sample_real(real_data):
    """The real file, if this machine has it: each mask is as large as its annotation says."""
    if coco_sample.find() is None:
        pytest.skip("no real COCO file on this machine")
    file = coco_sample.load()
    assert len(file["annotations"]) == 50
    for annotation in file["annotations"]:
        assert sum(annotation["segmentation"]["counts"][1::2]) == annotation["area"]


# Texts


def test_phrases_have_accents_tabs_and_chinese():
    """A line is English, a tab, the other language; Chinese has a third column. A prefix stays the same."""
    french, chinese = phrases.generate(300, 4), phrases.generate(300, 4, "cmn")
    assert all(line.count("\t") == 1 for line in french.splitlines())
    assert all(line.count("\t") == 2 for line in chinese.splitlines())
    assert set("éèâô'\t") < set(french)
    assert "猫" in chinese
    assert phrases.pairs(20, 4) == phrases.pairs(300, 4)[:20] != phrases.pairs(20, 5)
    assert [english for english, _ in phrases.pairs(50, 1)] == [english for english, _ in phrases.pairs(50, 1, "cmn")]
    with pytest.raises(ValueError, match="count is -1"):
        phrases.pairs(-1)
    with pytest.raises(ValueError, match="choose among fra, cmn"):
        phrases.pairs(1, 0, "deu")


@pytest.mark.parametrize("packed", [False, True])
def test_anki_files_are_read_from_a_text_or_a_zip(tmp_path, monkeypatch, packed):
    """Two columns and three, a blank line, and a file of another edition, which is used and not verified."""
    text = "Go.\tVa !\n\nHi.\tSalut !\tCC-BY 2.0\n"
    if packed:
        with zipfile.ZipFile(tmp_path / "fra-eng.zip", "w") as archive:
            archive.writestr("fra-eng/_about.txt", "about")
            archive.writestr("fra-eng/fra.txt", text)
    else:
        (tmp_path / "fra.txt").write_text(text, encoding="utf-8")
    monkeypatch.setattr(anki, "folders", lambda: [tmp_path])
    assert anki.load("fra") == [("Go.", "Va !"), ("Hi.", "Salut !")]
    assert not anki.verified()
    with pytest.raises(Unavailable, match="English and cmn are not on this machine"):
        anki.load("cmn")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "empty"), (b"one\ttwo\nthree\n", "line 2 has no tab"), (b"\xff\t\n", "not UTF-8")]
)
def test_damaged_pairs_are_refused(content, reason):
    """Each with its reason."""
    with pytest.raises(Unavailable, match=reason):
        anki.parse(content)


def test_other_reviews_are_refused(tmp_path, monkeypatch):
    """Only the published file is used."""
    monkeypatch.setattr(reviews, "folders", lambda: [tmp_path])
    assert reviews.catalogue()["status"] == "absent"
    (tmp_path / reviews.NAME).write_text("label,review\n1,好\n", encoding="utf-8")
    assert reviews.catalogue()["status"] == "damaged"
    with pytest.raises(Unavailable, match="not the published"):
        reviews.load()


def test_real_texts(real_data):
    """The real files, if this machine has them."""
    if not (anki.verified() and reviews.verified()):
        pytest.skip("the real texts are not on this machine")
    assert anki.load("cmn")[1] == ("Hi.", "你好。")
    assert len(anki.load("fra")) == 142787
    assert {label for label, _ in reviews.load()} == {0, 1}


def test_every_set_has_a_catalogue_entry():
    """The same keys from every module, and a status of the list."""
    modules = map(load_dataset_of_a_suite, sorted((ROOT / "datasets").glob("*.py")))
    for module in (module for module in modules if hasattr(module, "catalogue")):
        entry = module.catalogue()
        assert set(entry) == {"name", "title", "kind", "status", "detail", "where", "get"}
        assert entry["status"] in {"ready", "verified", "unknown", "absent", "damaged"}
        assert entry["kind"] in {"generated", "real"}
        assert (entry["kind"] == "real") == bool(entry["get"])
