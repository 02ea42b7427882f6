"""What pyproject.toml cannot say: the learner's edition of the course travels in the wheel, as torchgrade/edition/."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).parent
PLACE = Path("torchgrade", "edition")


def pack(target: Path) -> None:
    """Write the edition below ``target``: made of the course that lies here, or as the source archive carries it."""
    folder = target / PLACE
    shutil.rmtree(folder, ignore_errors=True)
    if (HERE / "course.yaml").is_file():
        from torchgrade.course import Course
        from torchgrade.course_tools.release import release

        release(Course.load(HERE), folder, engine=False)
    else:
        shutil.copytree(HERE / PLACE, folder)


def compile_catalogues() -> None:
    """The engine's, and those of the course where it lies here."""
    from torchgrade.course import Course
    from torchgrade.course_tools import translations

    translations.compile_engine()
    if (HERE / "course.yaml").is_file():
        translations.compile_course(Course.load(HERE))


class BuildWithCourse(build_py):
    def run(self) -> None:
        sys.path.insert(0, str(HERE))
        compile_catalogues()
        super().run()
        if not self.editable_mode:
            pack(Path(self.build_lib))


class ArchiveWithCourse(sdist):
    """Without solutions and hidden checks, as the wheel."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        sys.path.insert(0, str(HERE))
        super().make_release_tree(base_dir, files)
        pack(Path(base_dir))


setup(cmdclass={"build_py": BuildWithCourse, "sdist": ArchiveWithCourse})
