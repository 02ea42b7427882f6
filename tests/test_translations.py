"""Catalogues: they fit today's texts, lose nothing, and a third language needs no line of code."""

import os
import re
import subprocess
import sys

import pytest
from babel.messages.catalog import Catalog
from support import MINI, ROOT, copy_of_mini

from torchgrade import i18n
from torchgrade.course import Course
from torchgrade.course_tools import translations
from torchgrade.course_tools.release import release
from torchgrade.suites import read_suite

LANGUAGE = "zh_CN"
COURSE = Course.load(ROOT)
GLOSSARY = (ROOT / "docs" / "zh-CN" / "glossary.md").read_text(encoding="utf-8")
TERMS = [row.strip("|").split("|") for row in GLOSSARY.splitlines() if row.startswith("| ") and "English" not in row]
AVOIDED = [word.strip() for row in TERMS for word in row[2].split("、") if word.strip()]
STIFF = ["您", "请注意", "进行操作", "让我们"]


@pytest.mark.parametrize("part", list(translations.parts(COURSE, LANGUAGE)), ids=lambda part: part.name)
def test_a_catalogue_fits_its_source(part):
    """A course or a task without Chinese is complete in English; what is translated is whole and loses nothing."""
    if not part.place.is_file():
        pytest.skip(f"{part.name} is not translated yet")
    found = translations.coverage(part, LANGUAGE)
    assert not found.problems
    assert found.translated == found.texts
    for message in translations.read(part.place, LANGUAGE):
        for text in message.string if isinstance(message.string, (list, tuple)) else [message.string]:
            assert not [word for word in (*AVOIDED, *STIFF) if word in (text or "")], text


def test_the_glossary_has_the_words_of_the_field():
    assert len(TERMS) >= 180
    assert all(len(row) == 4 and row[0].strip() and row[1].strip() and row[3].strip() for row in TERMS)
    assert {"padding", "stride", "broadcast", "receptive field", "overfitting"} <= {row[0].strip() for row in TERMS}


def test_what_cannot_be_right_is_told(tmp_path):
    part = translations.CatalogPart(
        "x", tmp_path / "x.po", ("{count} of 3 values of `conv2d`", "a change", "left alone")
    )
    catalog = translations.update(part, LANGUAGE)
    assert translations.coverage(part, LANGUAGE) == translations.Translated("x", 3, 0, ())
    part.place.write_text(
        part.place.read_text().replace('msgstr ""', 'msgstr "{number} 个值"', 2).replace("{number}", "", 1)
    )
    catalog = translations.read(part.place, LANGUAGE)
    catalog["{count} of 3 values of `conv2d`"].string = "{number} 个值"
    problems = list(translations.losses(part.texts[0], catalog[part.texts[0]]))
    assert [problem.split()[0] for problem in problems] == ["3", "`conv2d`", "{count}", "{number}"]


def test_a_text_that_changed_is_looked_at_again(tmp_path):
    place = tmp_path / "x.po"
    before = translations.CatalogPart("x", place, ("the mean of all values in a window", "gone"))
    translations.update(before, LANGUAGE)
    place.write_text(place.read_text().replace('a window"\nmsgstr ""', 'a window"\nmsgstr "窗口内所有值的均值"'))
    after = translations.CatalogPart("x", place, ("the mean of all values in one window", "new"))
    assert translations.coverage(after, LANGUAGE).problems[0].startswith("gone from the source")
    translations.update(after, LANGUAGE)
    found = translations.coverage(after, LANGUAGE)
    assert (found.texts, found.translated, found.problems) == (2, 0, ())
    assert "#, fuzzy" in place.read_text()


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """A language in which every text stands in brackets, for the engine and the miniature course."""
    folder = tmp_path_factory.mktemp("marked")
    root = copy_of_mini(folder)
    course = Course.load(root)

    def write(texts, target, built):
        catalog = Catalog(locale="de", charset="utf-8", fuzzy=False)
        for text in dict.fromkeys(texts):
            catalog.add(text, f"⟦{text}⟧" if isinstance(text, str) else tuple(f"⟦{form}⟧" for form in text))
        translations.compile_catalog([catalog], "de", target, built)

    engine = folder / "locale" / "de" / "LC_MESSAGES" / "torchgrade.mo"
    write(translations.engine_texts(), engine, {i18n.ENGINE: translations.engine_built()})
    tasks = (text for task in course.tasks for text in translations.task_texts(task))
    built = {task.stem: read_suite(task).built for task in course.tasks}
    write([*translations.course_texts(course), *tasks], root / "graders" / "de.mo", built)

    def run(*command):
        environment = {**os.environ, "TORCHGRADE_LOCALE_DIR": str(folder / "locale"), "NO_COLOR": "1", "COLUMNS": "200"}
        call = [sys.executable, str(ROOT / "grade.py"), "--lang", "de", *command]
        done = subprocess.run(call, cwd=root, env=environment, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode in (0, 1, 2), done.stderr
        return done.stdout + done.stderr

    run.root = root
    return run


def outside(text):
    """Words of English that stand outside of all brackets, without code, numbers and paths."""
    depth, kept = 0, []
    for char in text:
        depth += (char == "⟦") - (char == "⟧")
        if depth == 0 and char not in "⟦⟧":
            kept.append(char)
    bare = re.sub(r"\S*[\d_./()=\[\]{}-]\S*|\b[A-Z]\w*\b", " ", "".join(kept))
    return re.findall(r"[a-z]{3,}", bare)


def test_a_third_language_needs_no_line_of_code(marked):
    """What a learner reads of a task is marked, all but code and what PyTorch says."""
    wrong = (MINI / "solutions" / "task01_scale.py").read_text().replace("return x * factor", "return x + factor")
    (marked.root / "exercises" / "task01_scale.py").write_text(wrong)
    told = marked("task01")
    assert "⟦the factor is added, not multiplied⟧" in told
    assert set(outside(told)) <= {"scale", "total", "atol"}
    assert outside(marked("hint", "task01")) == []
    assert set(outside(marked("list"))) == set()
    assert set(outside(marked("task99"))) <= {"grade", "there", "task"}
    assert "⟦" in marked("--help")


def test_the_language_is_the_readers_then_the_courses_then_the_machines(monkeypatch):
    for name in ("TORCHGRADE_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert i18n.languages() == []
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert i18n.languages() == ["zh_CN", "zh"]
    monkeypatch.setenv("LANG", "C.UTF-8")
    assert i18n.languages() == []
    monkeypatch.setenv("TORCHGRADE_LANG", "en")
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert i18n.languages() == []
    i18n.read_course(MINI, "zh_CN")
    assert os.environ["TORCHGRADE_LANG"] == "en"  # the reader has chosen
    monkeypatch.delenv("TORCHGRADE_LANG")
    i18n.read_course(MINI, "de")
    assert i18n.languages() == ["de_DE", "de"]
    monkeypatch.delenv("TORCHGRADE_LANG")
    i18n.read_course(MINI)


def test_an_edition_holds_no_sentence_of_a_hidden_check(tmp_path):
    """Its compiled catalogue is cut down to what it shows."""
    if not (ROOT / "graders" / f"{LANGUAGE}.po").is_file():
        pytest.skip("the course is not translated yet")
    release(COURSE, tmp_path / "edition")
    shown = Course.load(tmp_path / "edition")
    public = {text for task in shown.tasks for text in translations.task_texts(task)} | {
        *translations.course_texts(shown)
    }
    import gettext

    with (tmp_path / "edition" / "graders" / f"{LANGUAGE}.mo").open("rb") as file:
        kept = {text: told for text, told in gettext.GNUTranslations(file)._catalog.items() if text}
    lists = {i18n.BUILT.format(part=task.stem) for task in shown.tasks}
    templates = {text for name in lists & kept.keys() for text in kept[name].split(i18n.BETWEEN)}
    assert kept.keys() - lists
    assert templates
    assert (kept.keys() - lists) | templates <= public
