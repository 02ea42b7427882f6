"""YAML as the files of a course hold it."""

from __future__ import annotations

from typing import Any

import yaml

from torchgrade.errors import CourseError

# libyaml, ten times as fast, where PyYAML was built with it.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str, name: str) -> Any:
    """What the text holds; CourseError says in one line that ``name`` is no YAML, with the place of it."""
    try:
        return yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        why, mark = getattr(error, "problem", None) or error, getattr(error, "problem_mark", None)
        told = " ".join(str(why).split())
        if mark is None:
            raise CourseError(f"{name} is not YAML: {told}") from None
        line, column = mark.line + 1, mark.column + 1
        raise CourseError(f"{name} is not YAML; see line {line}, column {column}: {told}") from None
