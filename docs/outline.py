"""Write the tables of tasks into docs/learning.md, from course.yaml and the manifests: ``python docs/outline.py``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from torchgrade.course import Course  # noqa: E402
from torchgrade.course_tools.outline import task_tables  # noqa: E402

PAGE = ROOT / "docs" / "learning.md"
MARK = "<!-- tasks: written by docs/outline.py -->\n"


def page(text: str) -> str:
    """The page with the tables of today behind its mark, which is the last thing in it."""
    return text[: text.index(MARK) + len(MARK)] + "\n" + task_tables(Course.load(ROOT))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
