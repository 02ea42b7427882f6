"""The folder of a job: removed however deep it is, and too deep is too much."""

import os

import pytest

from torchgrade.isolation.confine.scratch import Cleaner, make, remove


@pytest.fixture
def folder():
    made = make(None)
    yield made
    remove(made)


def nest(folder, depth):
    """Folders within folders, each with a file, the last one without rights; no path is ever longer than two names."""
    inside = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("down", dir_fd=inside)
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=inside))
        deeper = os.open("down", os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = deeper
    os.fchmod(inside, 0)
    os.close(inside)


def test_a_folder_of_any_depth_is_removed(folder):
    """Deeper than Python's stack, and than a path that the kernel takes."""
    nest(folder, 3000)
    remove(folder)
    assert not os.path.exists(folder)


def test_links_are_removed_and_not_followed(folder, tmp_path):
    (tmp_path / "kept").write_text("mine")
    os.symlink(tmp_path, os.path.join(folder, "out"))
    os.mkdir(os.path.join(folder, "inner"))
    os.symlink(tmp_path / "kept", os.path.join(folder, "inner", "file"))
    remove(folder)
    assert not os.path.exists(folder)
    assert (tmp_path / "kept").read_text() == "mine"


def test_a_job_that_nests_without_end_has_too_much(folder):
    cleaner = Cleaner(folder, None, 64)
    nest(folder, 20)
    assert not cleaner.overfull()
    remove(folder)
    os.mkdir(folder)
    nest(folder, 3000)
    assert cleaner.overfull()
