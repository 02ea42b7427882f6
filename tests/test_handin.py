"""One hand-in: whatever its form, the same file answers a task for a learner who tries it and for the class."""

import os
import time
import zipfile
from pathlib import Path

import pytest
from handin_support import Direct, make_tar, make_zip, notebook, write
from support import MINI, grade_py

from torchgrade.course import Course
from torchgrade.errors import CourseError, SubmissionError
from torchgrade.handin import libarchive_reader
from torchgrade.handin.limits import DEPTH, FILE, MODULE
from torchgrade.handin.reading import Given, in_order, instead, read_handin
from torchgrade.submission import read_exercises, read_submission, wanted_names

ONE = (MINI / "solutions" / "task01_scale.py").read_bytes()
TWO = (MINI / "solutions" / "task02_train.py").read_bytes()
STUB = (MINI / "exercises" / "task01_scale.py").read_bytes()
COURSE = Course.load(MINI)
FIRST, SECOND = (task.stem for task in COURSE.tasks)


@pytest.fixture(autouse=True)
def _no_libarchive(monkeypatch):
    """As on a machine without the extra ``archives``."""
    monkeypatch.setattr(libarchive_reader, "HERE", False)


def read(files, ignore=(), order=None):
    """The path of the file that answers each task, and why the others do not. Later files are newer."""
    given = [
        Given(name, name, lambda data=data: data, number, (order or {}).get(name, ("", 0)))
        for number, (name, data) in enumerate(files.items())
    ]
    reading = read_handin(given, wanted_names(COURSE.tasks), Direct(), ignore)
    found = {task: in_order(reading.answers, task) for task in (FIRST, SECOND)}
    return {task: answers[-1].path for task, answers in found.items() if answers}, dict(reading.aside), reading


def submitted(path, tasks=COURSE.tasks):
    return read_submission(Path(path), COURSE, tasks, Direct())


BIG = notebook(ONE.decode()).replace(b'"outputs": []', b'"outputs": ["' + b"x" * (3 << 20) + b'"]')
COURSE_FILES = {
    "course.yaml": b"", "exercises/task01_scale.py": ONE, "exercises/task02_train.py": TWO,
    "graders/task01_scale/stub.py": STUB, "graders/task01_scale/checks.py": b"def scale(): 0\ndef total(): 0\n",
    "solutions/task01_scale.py": STUB, "torchgrade/helper.py": b"", "tests/mini/exercises/task01_scale.py": STUB,
}  # fmt: skip


@pytest.mark.parametrize(("name", "data"), [
    ("hw.zip", make_zip({"task01_scale.py": ONE})), ("hw.zip", make_zip({"hw/Task 01.py": ONE})),
    ("hw.tar.xz", make_tar({"ann/task01.py": ONE})), ("hw.tgz", make_tar({"x.ipynb": BIG}, "w:gz")),
    ("hw.zip", make_zip({"inner.zip": make_zip({"task-01.py": ONE})})), ("hw.zip", make_zip({"task01/main.py": ONE})),
    ("TASK01.PY", ONE), ("Task 1 - final.py", ONE), ("作业 01.py", ONE), ("任务1.py", STUB), ("homework1.py", ONE),
    ("task02_task01.py", ONE), ("task01(1).py", ONE), ("task01.py.txt", ONE), ("work.ipynb.json", notebook(ONE.decode())),
    ("hw5.ipynb", BIG), ("work.ipynb.txt", notebook(ONE.decode())), ("exported.py", notebook(ONE.decode())),
    ("whole.zip", make_zip(COURSE_FILES)), ("clone.zip", make_zip({f"r-main/{k}": v for k, v in COURSE_FILES.items()})),
    ("utf16.py", ONE.decode().encode("utf-16")), ("crlf.py", ONE.replace(b"\n", b"\r")),
])  # fmt: skip
def test_a_learner_can_try_the_very_file_that_is_handed_in(tmp_path, name, data):
    """No task is named: name or content tells it."""
    (tmp_path / name).write_bytes(data)
    alone = submitted(tmp_path / name)
    write(tmp_path / "folder", {name: data})

    assert FIRST in alone.sources
    assert submitted(tmp_path / "folder").sources[FIRST].hash == alone.sources[FIRST].hash
    assert len(alone.sources[FIRST].files[alone.sources[FIRST].main]) < 10_000
    as_class = read({f"ann/{name}": data})[0]
    assert as_class[FIRST].endswith(alone.sources[FIRST].main.rpartition("/")[2])


def test_the_real_command_grades_a_hand_in_as_it_is(tmp_path, mini):
    """Opened in a confined process, graded, and what was left out is told in one line."""
    cells = ("%matplotlib inline\nimport torch", "data = open('data.csv')", ONE.decode(), "print(scale(1))")
    with zipfile.ZipFile(tmp_path / "hw.zip", "w") as archive:
        archive.writestr("ann/work.ipynb", notebook(*cells))
    done = grade_py("--submission", tmp_path / "hw.zip", cwd=mini)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything asked for passed" in done.stdout
    assert "left out: code cell 2, line 1: it raised FileNotFoundError" in done.stdout


@pytest.mark.parametrize(("files", "counts"), [
    ({"task01.py": ONE, "v1/task01.py": STUB}, "task01.py"),
    ({"v2/task01.py": ONE, "v1/task01.py": STUB}, "v2/task01.py"),
    ({"task-01.py": STUB, "task-01 (1).py": ONE}, "task-01 (1).py"),
    ({"task01 (1).py": ONE, "task01.py": STUB}, "task01 (1).py"),
    ({"task01.py": ONE, "zz_other.py": STUB}, "task01.py"),
    ({"task01.py": ONE, "task01 - Kopie.py": STUB, "backup/task01.py": STUB}, "task01.py"),
    ({"backup/task01.py": ONE}, "backup/task01.py"),
    ({"solutions/task01.py": ONE}, "solutions/task01.py"),
    (COURSE_FILES, "exercises/task01_scale.py"),
    ({"task01.py": STUB, **COURSE_FILES}, "exercises/task01_scale.py"),
    ({f"repo/{name}": data for name, data in COURSE_FILES.items()}, "repo/exercises/task01_scale.py"),
    ({"hw.zip": make_zip(COURSE_FILES)}, "hw.zip/exercises/task01_scale.py"),
    ({"env/task01.py": STUB, "task01.py": ONE, ".venv/x/task01.py": STUB}, "task01.py"),
    ({"e/pyvenv.cfg": b"", "e/lib/task01_scale.py": STUB, "a/b/c/task01.py": ONE}, "a/b/c/task01.py"),
    ({"out/gradebook.sqlite": b"", "out/task01.py": STUB, "a/b/task01.py": ONE}, "a/b/task01.py"),
])  # fmt: skip
def test_the_file_that_counts(files, counts):
    """Name before content, exercises of a course before all, then the shallowest, then the newest; never path order."""
    assert read(files)[0][FIRST] == counts
    assert read(dict(reversed(files.items())))[0][FIRST] == counts


@pytest.mark.parametrize(("files", "counts"), [
    ({"task01_2026-03-15.py": STUB, "task01_2026-03-01.py": ONE}, "task01_2026-03-01.py"),
    ({"a/task01.py": STUB, "b/task01.py": ONE}, "b/task01.py"),
    ({"b/task01.py": STUB, "a/task01.py": ONE}, "a/task01.py"),
])  # fmt: skip
def test_of_equal_files_the_newest_counts(files, counts):
    """A date in a name is no attempt."""
    assert read(files)[0][FIRST] == counts
    assert read(dict(reversed(files.items())))[0][FIRST] != counts


def test_what_a_platform_says_of_date_and_attempt_comes_first():
    files = {"task01.py": ONE, "a/old.py": STUB}
    order = {"task01.py": ("2026-03-01", 1), "a/old.py": ("2026-03-02", 0)}

    assert read(files, order=order)[0][FIRST] == "a/old.py"


def test_one_notebook_answers_every_task_it_defines():
    found, _, reading = read({"hw.ipynb": notebook(ONE.decode(), TWO.decode())})

    assert found == {FIRST: "hw.ipynb", SECOND: "hw.ipynb"}
    assert all(answer.code.startswith(b"# %% code cell 1") for answer in reading.answers)


def test_a_file_for_one_of_two_tasks_that_ask_for_the_same_is_none_for_the_other():
    """A second hand-in, of one task alone, leaves the other's as it is; without a name both are meant."""
    wanted = {"task01_line": frozenset({"fit"}), "task02_curve": frozenset({"fit"})}

    def answered(name):
        given = Given(name, name, lambda: b"def fit(): ...")
        return [answer.task for answer in read_handin([given], wanted, Direct()).answers]

    assert answered("task02.py") == ["task02_curve"]
    assert answered("work.py") == ["task01_line", "task02_curve"]


def test_the_course_adds_what_is_no_hand_in(mini):
    found, aside, _ = read({"drafts/task01.py": ONE, "x_old.py": ONE, "task02.py": TWO}, ["drafts/*", "*_old.py"])

    assert found == {SECOND: "task02.py"}
    assert aside["drafts/task01.py"] == aside["x_old.py"] == "the course's list `ignore` names it"
    text = (mini / "course.yaml").read_text()
    (mini / "course.yaml").write_text(f"{text}ignore: [drafts]\n")
    assert Course.load(mini).ignore == ("drafts",)
    (mini / "course.yaml").write_text(f"{text}ignore: drafts\n")
    with pytest.raises(CourseError, match="ignore is a list"):
        _ = Course.load(mini).ignore


def test_the_nearest_helper_goes_along_whatever_else_is_there():
    """Modules that the task mentions, and those that they mention; a virtual environment uses nothing up."""
    packages = {f"env/lib/python3.11/site-packages/pkg/m{n:02}.py": b"" for n in range(60)}
    others = {f"zoo/m{n:02}.py": b"" for n in range(60)}
    mentions = b"".join(b"import m%02d\n" % n for n in range(60))
    files = {
        **packages, **others, "src/task01.py": b"from utils import f\nimport pkg.deep\nfrom task02 import x\n" + ONE,
        "utils.py": b"far = 1", "src/utils.py": b"import more\n", "src/pkg/deep.py": b"deep = 1", "more.py": mentions,
        "src/unused.py": b"", "src/task02.py": b"x = 1\n",
    }  # fmt: skip
    _, aside, reading = read(files)
    [answer] = in_order(reading.answers, FIRST)

    assert {"utils.py", "pkg/deep.py", "more.py", "task02.py"} <= answer.helpers.keys()
    assert answer.helpers["utils.py"] == b"import more\n"
    assert "unused.py" not in answer.helpers
    assert len(answer.helpers) == 40
    assert aside["src/utils.py"] == "it goes along as a module"


@pytest.mark.parametrize(("name", "data", "why"), [
    ("homework.rar", b"Rar!", "an archive of the kind .rar cannot be opened; hand in a .zip"),
    ("task01.7z", b"7z", "an archive of the kind .7z cannot be opened"), ("task01.pdf", b"%PDF", "a PDF cannot be graded"),
    ("homework.docx", b"PK", "a Word document cannot be graded"), ("task01.html", b"<", "a web page cannot be graded"),
    ("hw.zip", b"Rar!\x1a\x07\x00", "a RAR archive, whatever its name says"), ("hw.zip", b"PK\x03\x04", "damaged"),
    ("hw.zip", make_zip({}), "the archive is empty"), ("task01.py", b"#" * (MODULE + 1), "larger than 1 MB"),
    ("task01.ipynb", b"{", "damaged"), ("task01.ipynb", b"no", "no JSON document"),
    ("hw.zip", make_zip({"a.zip": make_zip({"b.zip": make_zip({"task01.py": ONE})})}), "too deep"),
    ("hw.zip", make_zip({"task01.py": b"#" * (MODULE + 1)}), "larger than 1 MB"),
    ("notes.xyz", b"?", "a file of another kind cannot be graded"), ("strange.py", b"x = 1", "neither its name"),
])  # fmt: skip
def test_what_cannot_be_read_has_its_reason(tmp_path, name, data, why):
    """For the learner who tries it, and as the value that a class's row carries."""
    _, _, reading = read({name: data})
    answers = in_order(reading.answers, FIRST)
    told = answers[-1].reason if answers else instead(reading.strange, bool(reading.answers))
    (tmp_path / name).write_bytes(data)

    assert why in told
    if name != "strange.py":
        with pytest.raises(SubmissionError, match=f"(?s)holds nothing that can be graded.*{why[:12]}"):
            submitted(tmp_path / name)


def test_an_encrypted_archive_has_its_reason():
    data = bytearray(make_zip({"task01.py": ONE}))
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    _, _, reading = read({"hw.zip": bytes(data)})

    assert in_order(reading.answers, FIRST)[-1].reason == "it is encrypted"


def test_a_closed_archive_beside_an_answer_may_hold_the_others_and_a_report_does_not():
    _, _, reading = read({"task01.py": ONE, "rest.rar": b"", "report.pdf": b""})

    assert instead(reading.strange, True) == "an archive of the kind .rar cannot be opened; hand in a .zip"
    assert instead([("report.pdf", "no")], True) == ""
    assert instead([("report.pdf", "no")], False) == "no"


def test_what_a_learner_is_told_who_names_the_wrong_thing(tmp_path):
    write(tmp_path, {"strange.py": b"x = 1", "folder/task02.py": TWO, "empty/readme.md": b"", "task01.py": ONE})
    for name, tasks, sentence in [
        ("strange.py", COURSE.tasks, "cannot tell which task .* name the task before --submission"),
        ("folder", COURSE.tasks[:1], "answers task02_train, not task01_scale"),
        ("empty", COURSE.tasks, "holds nothing that can be graded: a text cannot be graded"),
        ("absent", COURSE.tasks, "does not exist"),
    ]:
        with pytest.raises(SubmissionError, match=sentence):
            submitted(tmp_path / name, tasks)
    assert submitted(tmp_path / "strange.py", COURSE.tasks[:1]).sources[FIRST].main.endswith("strange.py")


def test_an_archive_may_lack_a_task_and_hold_another_that_cannot_be_read(tmp_path):
    (tmp_path / "hw.zip").write_bytes(make_zip({"task01.py": ONE, "task02.docx": b""}))
    found = submitted(tmp_path / "hw.zip")

    assert set(found.sources) == {FIRST}
    assert found.reasons[SECOND].endswith("hw.zip/task02.docx: a Word document cannot be graded; "
                                          "hand in a .py file, a notebook or a .zip of them")  # fmt: skip


def test_the_exercises_of_a_course_are_graded_by_their_own_names(tmp_path):
    """Copies beside them count for nothing; modules and earlier tasks go along where they are mentioned."""
    write(tmp_path, {
        "task01_scale.py": ONE, "task01_scale (1).py": STUB, "task02_train.py": b"from task01_scale import scale\n" + TWO,
        "utils.py": b"", ".ipynb_checkpoints/task01_scale.py": STUB,
    })  # fmt: skip
    found = read_exercises(tmp_path, COURSE.tasks)

    assert [Path(name).name for name in found.sources[FIRST].files] == ["task01_scale.py"]
    assert {Path(name).name for name in found.sources[SECOND].files} == {"task02_train.py", "task01_scale.py"}


def test_folders_of_any_depth_and_files_of_any_size_end_in_a_sentence(tmp_path):
    """A tree deeper than a path may be long, a file larger than is read."""
    (tmp_path / "task01.py").write_bytes(ONE)
    with open(tmp_path / "big.zip", "wb") as target:
        target.truncate(FILE + 1)
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    started = time.process_time()
    found = submitted(tmp_path)

    assert set(found.sources) == {FIRST}
    assert "larger than 32 MB" in found.reasons[SECOND]
    assert time.process_time() - started < 5
    assert DEPTH < 60


def test_many_attempts_and_many_modules_take_linear_time():
    """An archive of some 100 KB would keep the command busy for hours: each attempt looked for modules in all files."""
    attempts = {f"a{n}/task01.py": b"import other\n" + ONE for n in range(2000)}
    modules = {f"m{n}/other.py": b"x = 1\n" for n in range(2000)}
    words = {f"big{n}.py": b"word%d " % n * 60_000 for n in range(8)}
    named = {f"task02 ({n}).py": b"import " + b", ".join(name[:-3].encode() for name in words) for n in range(200)}
    started = time.process_time()
    found, _, reading = read({**attempts, **modules, **words, **named})

    assert time.process_time() - started < 5  # 50 s before
    assert len(reading.answers) == 2200
    [answer] = [answer for answer in reading.answers if answer.path == found[SECOND]]
    assert answer.helpers.keys() == words.keys()
