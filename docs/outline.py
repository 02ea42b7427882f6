"""Write the tables of tasks into the pages for learners, from course.yaml and the manifests."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from torchgrade.course import Course  # noqa: E402
from torchgrade.course_tools.outline import task_tables  # noqa: E402
from torchgrade.course_tools.translations import compile_course, compile_engine  # noqa: E402
from torchgrade.i18n import LANGUAGE, read_course  # noqa: E402

PAGES = {"en": ROOT / "docs" / "learning.md", "zh_CN": ROOT / "docs" / "zh-CN" / "learning.md"}
MARK = "<!-- tasks: written by docs/outline.py -->\n"


def main() -> None:
    """The tables of today stand behind the mark, which is the last thing in each page."""
    course = Course.load(ROOT)
    compile_engine()
    compile_course(course)
    for language, page in PAGES.items():
        os.environ[LANGUAGE] = language
        read_course(ROOT)
        text = page.read_text(encoding="utf-8")
        page.write_text(text[: text.index(MARK) + len(MARK)] + "\n" + task_tables(course), encoding="utf-8")


if __name__ == "__main__":
    main()
