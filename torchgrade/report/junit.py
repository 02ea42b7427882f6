"""JUnit XML: one suite for each task, one case for each check and device."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.escape import plain, xml_text

_SKIPPED = (Status.TODO, Status.SKIPPED, Status.HELD, Status.UNAVAILABLE)
_ERRORS = (Status.BROKEN,)  # JUnit's word for a fault of the test, as opposed to a failure of what is tested


def junit_xml(result: Result) -> str:
    """The document, with its declaration. A todo, skipped or unavailable check is a skipped case."""
    root = ElementTree.Element("testsuites", _attributes(plain(result.course, lines=False), result.tasks))
    for task in result.tasks:
        suite = ElementTree.SubElement(root, "testsuite", _attributes(task.task, [task]))
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in _facts(result, task):
            ElementTree.SubElement(properties, "property", {"name": name, "value": plain(value, lines=False)})
        for check in task.checks:
            _add_case(suite, task, check)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _attributes(name: str, tasks: Sequence[TaskGrade]) -> dict[str, str]:
    checks = [check for task in tasks for check in task.checks]
    failures = [check for check in checks if check.status not in (*_SKIPPED, *_ERRORS, Status.PASSED)]
    return {
        "name": xml_text(name),
        "tests": str(len(checks)),
        "failures": str(len(failures)),
        "errors": str(sum(check.status in _ERRORS for check in checks)),
        "skipped": str(sum(check.status in _SKIPPED for check in checks)),
        "time": f"{sum(task.seconds for task in tasks):.3f}",
    }


def _facts(result: Result, task: TaskGrade) -> list[tuple[str, str]]:
    return [
        ("status", str(task.status)), ("points", f"{task.points:g}"), ("max_points", f"{task.max_points:g}"),
        ("submission", result.submission), ("submission_hash", task.submission_hash),
        ("grader_hash", task.grader_hash), ("torch", result.torch), ("engine", result.engine),
        ("isolation", task.isolation),
    ]  # fmt: skip


def _add_case(suite: ElementTree.Element, task: TaskGrade, check: Outcome) -> None:
    name = check.title if check.device == "cpu" else f"{check.title} [{check.device}]"
    case = ElementTree.SubElement(
        suite,
        "testcase",
        {"classname": f"{task.task}.{check.id}", "name": plain(name, lines=False), "time": f"{check.seconds:.3f}"},
    )
    if check.status is not Status.PASSED:
        kind = "skipped" if check.status in _SKIPPED else "error" if check.status in _ERRORS else "failure"
        message = check.message or (f"got {check.got}" if check.got else str(check.status))
        attributes = {"message": plain(message, lines=False)}
        if kind != "skipped":
            attributes["type"] = str(check.status)
        ElementTree.SubElement(case, kind, attributes).text = xml_text(_details(check))
    printed = [check.output, check.message if check.status is Status.PASSED else ""]
    if any(printed):
        ElementTree.SubElement(case, "system-out").text = xml_text("\n".join(filter(None, printed)))


def _details(check: Outcome) -> str:
    fields = [
        ("given", check.given), ("expected", check.expected), ("got", check.got), ("likely", check.likely),
        ("look at", check.where), ("hint", check.hint),
    ]  # fmt: skip
    return "\n".join(f"{label}: {text}" for label, text in fields if text)
