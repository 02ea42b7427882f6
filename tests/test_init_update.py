"""``init`` and ``update``, and the wheel in an environment that has nothing of this checkout."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from support import ROOT

from torchgrade.cli import main
from torchgrade.commands.edition import bring, project_files
from torchgrade.course import Course
from torchgrade.course_tools.release import release

pytestmark = pytest.mark.timeout(300)
TASK = "exercises/task03_linear_layer.py"


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release") / "edition"
    release(Course.load(ROOT), folder, engine=False)
    return folder


def started(edition, folder):
    assert main(["init", str(folder), "--from", str(edition), "-q"]) == 0
    return folder


def test_a_course_is_made_of_a_folder_or_a_zip_and_of_nothing_else(edition, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TORCHGRADE_COURSE", raising=False)
    started(edition, tmp_path / "one")
    assert "next: cd" in capsys.readouterr().out
    assert (tmp_path / "one" / TASK).read_bytes() == (edition / TASK).read_bytes()
    assert not (tmp_path / "one" / "solutions").exists()
    archive = shutil.make_archive(str(tmp_path / "course"), "zip", edition.parent, edition.name)
    started(archive, tmp_path / "two")
    assert Course.load(tmp_path / "two").for_learners
    (tmp_path / "text.zip").write_text("no archive")
    for source, words in [
        (tmp_path / "text.zip", "cannot be opened as a zip file"),
        (tmp_path, "holds no course.yaml"),
        (ROOT, "is no learner's edition"),
    ]:
        assert main(["init", str(tmp_path / "three"), "--from", str(source)]) == 2
        assert words in capsys.readouterr().err
    assert main(["init", str(tmp_path / "one")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([]) == 2
    assert "make one with `init DIR`" in capsys.readouterr().err


def test_an_update_leaves_alone_what_a_learner_wrote(edition, tmp_path):
    course = started(edition, tmp_path / "course")
    newer = tmp_path / "newer"
    shutil.copytree(edition, newer)
    work = (course / TASK).read_text() + "# my work\n"
    (course / TASK).write_text(work)
    for name, text in [(TASK, "# a newer stub\n"), ("grade.py", "# newer\n"), ("docs/new.md", "new\n")]:
        (newer / name).write_text(text)
    (newer / "docs" / "datasets.md").unlink()
    (course / "notes.txt").write_text("mine")
    (course / "LICENSE").unlink()

    changes = bring(course, newer)
    assert set(changes.written) == {"grade.py", "docs/new.md", "LICENSE"}
    assert changes.beside == (TASK,)
    assert changes.removed == ("docs/datasets.md",)
    assert (course / TASK).read_text() == work
    assert (course / f"{TASK}.new").read_text() == "# a newer stub\n"
    assert (course / "notes.txt").read_text() == "mine"
    again = bring(course, newer)
    assert (again.written, again.beside, again.removed) == ((), (), ())


def test_an_update_that_knows_nothing_replaces_nothing(edition, tmp_path):
    course = started(edition, tmp_path / "course")
    shutil.rmtree(course / ".torchgrade")
    (course / TASK).write_text("# mine\n")
    changes = bring(course, edition)
    assert (changes.beside, changes.written) == ((TASK,), ())
    assert (course / TASK).read_text() == "# mine\n"


def test_the_project_of_a_course_fetches_no_cuda_by_itself(edition, tmp_path):
    folder = tmp_path / "My Course 1"
    shutil.copytree(edition, folder)
    small, large = project_files(folder, cpu=True), project_files(folder, cpu=False)
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    project = tomllib.loads(small["pyproject.toml"])
    (index,) = project["tool"]["uv"]["index"]
    assert index["explicit"]
    assert {entry["index"] for source in project["tool"]["uv"]["sources"].values() for entry in source} == {
        index["name"]
    }
    assert project["project"]["name"] == "my-course-1"
    torch = yaml.safe_load((ROOT / "constraints.txt").read_text().splitlines()[1].replace("==", ": "))["torch"]
    assert f'torch=={torch}+cpu; sys_platform == "linux"' in small["requirements.txt"].splitlines()
    assert "uv" not in tomllib.loads(large["pyproject.toml"]).get("tool", {})
    assert "+cpu" not in large["requirements.txt"]


def test_a_wheel_holds_the_course_and_grades_where_no_checkout_is(tmp_path):
    """Built from the source archive, installed in an environment of its own; torch and the like are borrowed."""
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", ".*_cache", "*.egg-info", ".torchgrade")
    shutil.copytree(ROOT, source, ignore=ignored)

    def run(*command, cwd=tmp_path):
        done = subprocess.run(
            list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    run(sys.executable, "setup.py", "-q", "sdist", "--dist-dir", tmp_path, cwd=source)
    (archive,) = tmp_path.glob("torchgrade-*.tar.gz")
    shutil.rmtree(source)
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not [*unpacked.rglob("solutions"), *unpacked.rglob("mutants.yaml"), *unpacked.rglob("alternatives")]
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, unpacked)
    (wheel,) = tmp_path.glob("torchgrade-*.whl")

    venv.create(tmp_path / "env", with_pip=True)
    bin = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin")
    run(bin / "python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    here = next(path for path in sys.path if path.endswith("site-packages"))
    (packages,) = (tmp_path / "env").rglob("site-packages")
    (packages / "borrowed.pth").write_text(here + "\n")
    assert Path(run(bin / "python", "-c", "import torchgrade; print(torchgrade.__file__)").strip()).is_relative_to(
        packages
    )

    count = len(Course.load(ROOT).tasks)
    assert f"{count} tasks in my-course" in run(bin / "torchgrade", "init", "my-course", "-q")
    course = tmp_path / "my-course"
    assert (course / ".vscode" / "tasks.json").is_file()
    shutil.copy(ROOT / "solutions" / Path(TASK).name, course / TASK)
    assert "everything asked for passed." in run(bin / "python", "grade.py", "task03", cwd=course)
    assert "; gone: 0; " in run(bin / "torchgrade", "update", cwd=course)
