"""Every sentence a learner reads can be translated by a catalogue, without touching a suite."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from support import MINI, ROOT, checks_of, grade_py, result_of

from torchgrade import i18n
from torchgrade.batch.run import policy_of
from torchgrade.course import Course
from torchgrade.errors import TorchGradeError
from torchgrade.handin.source import explain

SENTENCES = {
    "scale multiplies every element": "scale 把每个元素相乘",
    "the factor is added, not multiplied": "加了系数，而不是乘以系数",
    "Read the docstrings once more.": "再读一遍文档字符串。",
    "Multiply and add": "乘与加",
    "expected": "期望",
    "likely": "可能",
    "points": "得分",
    "there is no task {name!r}": "没有任务 {name!r}",
    "Return ``factor`` times ``x``; the input is not changed.": "返回 ``factor`` 乘以 ``x``；不改变输入。",
}


def compiled(sentences: dict[str, str]) -> bytes:
    """A gettext catalogue in its binary form (GNU gettext manual, section 'The Format of GNU MO Files')."""
    pairs = [("", "Content-Type: text/plain; charset=UTF-8\n"), *sentences.items()]
    rows = sorted((key.encode(), value.encode()) for key, value in pairs)
    keys = b"".join(key + b"\0" for key, _ in rows)
    values = b"".join(value + b"\0" for _, value in rows)
    start = 28 + 16 * len(rows)
    tables: list[list[int]] = [[], []]
    offsets = [start, start + len(keys)]
    for row in rows:
        for side in (0, 1):
            tables[side] += [len(row[side]), offsets[side]]
            offsets[side] += len(row[side]) + 1
    head = [0x950412DE, 0, len(rows), 28, 28 + 8 * len(rows), 0, 0]
    return struct.pack(f"<{len(head) + 4 * len(rows)}I", *head, *tables[0], *tables[1]) + keys + values


def test_a_catalogue_translates_what_a_learner_reads(mini: Path, tmp_path: Path) -> None:
    folder = tmp_path / "locale" / "zh_CN" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "torchgrade.mo").write_bytes(compiled(SENTENCES))
    language = {"TORCHGRADE_LOCALE_DIR": str(tmp_path / "locale"), "LANGUAGE": "zh_CN", "PYTHONIOENCODING": "utf-8"}
    source = (MINI / "solutions" / "task01_scale.py").read_text().replace("x * factor", "x + factor")
    (mini / "exercises" / "task01_scale.py").write_text(source)
    said = grade_py("task01", cwd=mini, **language).stdout
    for english in ("scale multiplies every element", "the factor is added, not multiplied", "expected", "points"):
        assert SENTENCES[english] in said
        assert english not in said.replace("test_scale", "")
    assert SENTENCES["Read the docstrings once more."] in grade_py("hint", "task01", cwd=mini, **language).stdout
    assert SENTENCES["Multiply and add"] in grade_py("list", cwd=mini, **language).stdout
    grade_py("reset", "task01", "--yes", cwd=mini, **language)
    stub = (mini / "exercises" / "task01_scale.py").read_text()
    assert "不改变输入" in stub
    check = checks_of(result_of("task01", "--solutions", cwd=mini, **language))["test_scale"]
    assert check["title"] == SENTENCES["scale multiplies every element"]


def test_the_words_of_argparse_are_translated_too(mini):
    """Usage, headings and errors, as ``--lang`` says, whatever the locale; in English nothing changes."""
    done = grade_py("--lang", "zh_CN", "watch", "--help", cwd=mini)
    assert done.stdout.startswith("用法：grade.py watch")
    assert "位置参数：" in done.stdout
    assert "显示帮助并退出" in done.stdout
    done = grade_py("--lang", "zh_CN", "reset", cwd=mini)
    assert done.returncode == 2
    assert "grade.py reset：错误：缺少以下参数：TASK" in done.stderr
    done = grade_py("--lang", "en", "watch", "--help", cwd=mini, LANGUAGE="zh_CN")
    assert done.stdout.startswith("usage: grade.py watch")


def test_a_built_sentence_is_found_again_by_its_fixed_parts(tmp_path, monkeypatch):
    """The longest fixed part wins; what stands between is translated in turn, and hostile text stays as it is."""
    texts = {
        "{given}; the files": "{given}；文件",
        "{given}; the files of {name}": "{name} 的文件；{given}",
        "two saves": "保存两次",
        "{count} of {all} {{odd}} ones": "{all} 个中的 {count} 个 {{奇}}",
        "a file of shape {shape}, {name}": "形状为 {shape} 的文件，{name}",
        "{name}, line {number}": "{name} 第 {number} 行",
    }
    (tmp_path / "graders").mkdir()
    listed = {i18n.BUILT.format(part="task07"): i18n.BETWEEN.join(texts)}
    (tmp_path / "graders" / "zh_CN.mo").write_bytes(compiled({**texts, **listed}))
    monkeypatch.setenv("TORCHGRADE_LANG", "zh_CN")
    i18n.read_course(tmp_path)
    try:

        def told(text):
            return i18n.translate_built(text, "task07")

        assert told("two saves; the files") == "保存两次；文件"
        assert told("two saves; the files of {x} (.*)\n") == "{x} (.*)\n 的文件；保存两次"
        assert told("3 of 4 {odd} ones") == "4 个中的 3 个 {奇}"
        assert told("three saves") == "three saves"
        assert told("torch's own; but so it is") == "torch's own; but so it is"
        assert told("a file of shape (5, 7), x.gz") == "形状为 (5, 7) 的文件，x.gz", "a value closes its brackets"
        assert told("'(' was never closed (x.py, line 3)") == "'(' was never closed (x.py, line 3)"
        assert i18n.translate_built("three of 4 {odd} ones", "task08") == "three of 4 {odd} ones"
        assert told("{given}; the files" + "x" * 600).startswith("{given}"), "long ones hold values"
        monkeypatch.setenv("TORCHGRADE_LANG", "en")
        i18n.read_course(tmp_path)
        assert told("two saves; the files") == "two saves; the files"
    finally:
        i18n.read_course(ROOT)


def test_what_an_exception_or_a_worker_says_is_told_in_the_readers_language(mini: Path):
    """It stays English until it is shown, whatever process put it into words."""
    done = grade_py("--lang", "zh_CN", "batch", "nowhere", "--task", "task01", cwd=mini)
    assert done.stderr == "grade.py: nowhere 不存在\n"
    with i18n.speaking("zh_CN"):
        note = "left out: line 4; code cell 3, line 2; and 2 more: it raised NameError: name 'x' is not defined"
        assert i18n.translate_built(note) == (
            "已略过：第 4 行；代码单元格 3 第 2 行；还有 2 处：抛出了 NameError: name 'x' is not defined"
        )
        word = "a Word document cannot be graded; hand in a .py file, a notebook or a .zip of them"
        assert i18n.translate_built(word).startswith("Word 文档无法评分")
        assert i18n.translate_built("nothing to see here") == "nothing to see here"


MERGED = "=======\n 2)\n>>>>>>> main\n"


@pytest.mark.parametrize(
    "code",
    [
        *("def f(x)\n    return x", "return max(x, 0", "x = [1, 2)", "if x = 3:\n    pass", "x = = 3", "x = 'open"),
        *("def f(x):\nreturn x", "x = 1\n  y = 2", "def f(x):\n        x\n    x", "return 3", "print 3", "f(x=1, 2)"),
        *("def f(x, x): pass", "def f(x=1, y): pass", "f(x) = 3", "try:\n    x\ny", "x = 3)", "x = （3)", "break"),
        *(">>> x = 3", f"<<<<<<< HEAD\nx = 1\n{MERGED}", f"f(1,\n<<<<<<< HEAD\n 2)\n{MERGED}", 'x = """open', "x = 1y"),
    ],
)
def test_a_syntax_error_is_told_in_chinese(code: str):
    with pytest.raises(SyntaxError) as caught:
        compile(code, "a.py", "exec")
    with i18n.speaking("zh_CN"):
        told, shown, _ = i18n.translate_built(explain(caught.value, code, "a.py:{}".format)).split("\n")
    assert re.fullmatch(r"a\.py:\d+ 第 \d+ 列：.*[\u4e00-\u9fff].*", told)
    assert not re.search(r"[a-z]{3,} [a-z]{3,}", told.replace("left parenthesis", ""))  # a character's own name
    assert shown.strip() in code
    assert ("git" in told) == (MERGED in code)


def test_a_phrase_of_one_word_is_told_where_all_else_is_code():
    """And a message of PyTorch's own, which holds prose besides, stays as it is."""
    with i18n.speaking("zh_CN"):
        for text, told in (
            ("60 rows", "60 行"),
            ("40 items, batch_size=4, shuffle=True", "40 项，batch_size=4，shuffle=True"),
            ("Net(3, [4]) in float64; outputs", "float64 的 Net(3, [4])；输出"),
            ("(3,) and (1, 3)", "(3,) 和 (1, 3)"),
            ("GatedModule() of [1, 2]: seed 7", "输入为 [1, 2] 的 GatedModule()：随机种子 7"),
        ):
            assert i18n.translate_built(text) == told
        for text in ("Expected input of size 3, got 4 rows", "mat1 and mat2, 3 rows", "x float32 [2, 4], y", "rows"):
            assert i18n.translate_built(text) == text
    assert i18n.translate_built("60 rows") == "60 rows"


def test_an_entry_of_course_yaml_that_cannot_be_is_told_in_chinese_as_well(mini: Path):
    text = (mini / "course.yaml").read_text()
    for entry, told in (
        ("marks: {late: {cost: 2}}", "course.yaml：marks.late.cost 必须是 0 到 1 的数；现在是 2"),
        ("marks: {drop_lowest: 1.5}", "course.yaml：marks.drop_lowest 必须是不小于 0 的整数；现在是 1.5"),
        ("homeworks: {a: {tasks: [task77]}}", "course.yaml 的作业 a：没有任务 'task77'"),
        ('x: "', "course.yaml 不是 YAML；见第 "),
    ):
        (mini / "course.yaml").write_text(f"{text}{entry}\n")
        with i18n.speaking("zh_CN"), pytest.raises(TorchGradeError) as wrong:
            policy_of(Course.load(mini))
        with i18n.speaking("zh_CN"):
            said = i18n.translate_built(str(wrong.value))
        assert said.startswith(told)
        assert "\n" not in said


def test_no_space_stands_between_han_and_han():
    """A catalogue sets one beside a place, for what is Latin."""
    assert i18n.fitted("除 {what} 之外", what="x=0") == "除 x=0 之外"
    assert i18n.fitted("除 {what} 之外", what="正零和负零") == "除正零和负零之外"
    assert i18n.fitted("{one} 或 {other} {{}}", one="零", other="2") == "零或 2 {}"
    assert i18n.fitted("all but {what}, {more}", what="零", more="x") == "all but 零, x"
