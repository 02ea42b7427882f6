"""Reading a class: layouts, archives, notebooks, attempts, and nothing that is silently skipped."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.intake.folder import open_class
from torchgrade.batch.intake.intake import read_class
from torchgrade.batch.intake.layouts import recognise
from torchgrade.batch.intake.naming import read_name
from torchgrade.batch.intake.roster import Identity, Roster
from torchgrade.batch.intake.roster_file import parse_roster, read_roster
from torchgrade.batch.intake.unfold import ConfinedUnfolder, Unfolder, _receive
from torchgrade.errors import UsageError
from torchgrade.handin.matching import by_name, definitions, match
from torchgrade.isolation.launch.launcher import Limits, open_launcher
from torchgrade.model import Outcome, Status

WANTED = {
    "task01_numbers": frozenset({"add", "mean"}),
    "task02_pooling": frozenset({"pool", "Net"}),
}
ONE = b"def add(a, b):\n    return a + b\n\ndef mean(x):\n    return x\n"
TWO = b"def pool(x):\n    return x\n\nclass Net:\n    pass\n"


def notebook(*cells):
    made = [{"cell_type": "code", "source": cell, "metadata": {}, "outputs": []} for cell in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def make_zip(files):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def write(root, files):
    for name, content in files.items():
        place = Path(root, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return root


def read(path, listed=(), **options):
    """(who, task, attempt) -> hand-in, the intake, and the kept bundles by hash."""
    from torchgrade.batch.gradebook.gradebook import source_hash

    kept = {}
    with open_class(Path(path)) as files:
        keep = lambda name, data: kept.update({source_hash(data): Bundle.unpack(data)})  # noqa: E731
        intake = read_class(files, WANTED, listed, keep=keep, **options)
    return {(h.student, h.task, h.attempt): h for h in intake.handins}, intake, kept


def test_a_folder_of_folders(tmp_path):
    """Files are found by stem, by number and by what they define; helpers go along; the rest is listed."""
    write(tmp_path, {
        "ann/task01_numbers.py": ONE, "ann/My Task 2 final.py": TWO, "ann/report.pdf": b"%PDF", "ann/util.py": b"x = 1",
        "bob/whatever.py": ONE, "bob/__MACOSX/._x.py": b"", "cyd/readme.txt": b"sorry",
    })  # fmt: skip
    found, intake, kept = read(tmp_path)

    read_ones = {key for key, handin in found.items() if handin.source}
    assert read_ones == {("ann", "task01_numbers", 1), ("ann", "task02_pooling", 1), ("bob", "task01_numbers", 1)}
    assert found["cyd", "task01_numbers", 1].label == "cyd/readme.txt"  # something came, and this says what
    assert {student.key for student in intake.students} == {"ann", "bob", "cyd"}
    bundle = kept[found["ann", "task01_numbers", 1].source]
    assert (bundle.main, dict(bundle.helpers)) == (ONE, {"util.py": b"x = 1"})
    assert bundle.source("task01_numbers").files == {"task01_numbers.py": ONE, "util.py": b"x = 1"}
    listed = {entry.origin: entry.reason for entry in intake.unmatched}
    assert set(listed) == {"ann/report.pdf", "ann/util.py", "bob/__MACOSX/._x.py", "cyd/readme.txt"}
    assert all(listed.values())


def test_every_file_is_a_handin_or_on_the_list(tmp_path):
    """Nothing is silently skipped: what was there equals what was used and what is listed."""
    names = ["ann/task01.py", "ann/x.txt", "ann/deep/er/task02.py", "bob.zip", "cyd_task01.py", ".DS_Store", "noise"]
    write(tmp_path, dict.fromkeys(names, ONE))
    os.symlink("/etc/passwd", tmp_path / "ann" / "task02_pooling.py")
    os.mkfifo(tmp_path / "pipe_task01.py")
    os.mkdir(tmp_path / "nul")
    os.symlink("/etc/passwd", tmp_path / "nul" / "task01.py")
    found, intake, _ = read(tmp_path)

    assert (found["nul", "task01_numbers", 1].source, "link" in found["nul", "task01_numbers", 1].reason) == (
        None,
        True,
    )
    used = {handin.label for handin in found.values()} | {entry.origin for entry in intake.unmatched}
    assert used == {*names, "ann/task02_pooling.py", "pipe_task01.py", "nul/task01.py"}
    why = {entry.origin: entry.reason for entry in intake.unmatched}
    assert "link" in why["ann/task02_pooling.py"]
    assert "pipe" in why["pipe_task01.py"]


def test_equal_work_has_an_equal_hash_whatever_the_file_is_called(tmp_path):
    write(tmp_path, {"ann_task01_v2.py": ONE, "bob_Task-01.py": ONE})
    found, _, kept = read(tmp_path)

    assert len(found) == 2
    assert len(kept) == 1


@pytest.mark.parametrize(("name", "student", "task"), [
    ("ann_task01.py", "ann", "task01_numbers"), ("ann-lee_task02_pooling.py", "ann-lee", "task02_pooling"),
    ("task01_numbers_ann.py", "ann", "task01_numbers"), ("task02-bob.ipynb", "bob", "task02_pooling"),
    ("ann.zip", "ann", None), ("张三_task01.py", "张三", "task01_numbers"), ("ann (2).py", "ann", None),
    ("cyd_TASK 2.tar.gz", "cyd", "task02_pooling"), ("dan_task123.py", "dan_task123", None),
])  # fmt: skip
def test_single_files_name_student_and_task(name, student, task):
    assert read_name(name, list(WANTED)).person == student
    assert by_name(name, list(WANTED)) == task


def test_archives_of_students_hostile_ones_included(tmp_path):
    """Each ends as rows with a sentence; a bad member costs only itself."""
    write(tmp_path, {
        "ann.zip": make_zip({"exercises/task01_numbers.py": ONE, "../evil.py": b"", "task02_pooling.py": TWO}),
        "bob.zip": b"PK\x03\x04 broken", "cyd_task02.zip": make_zip({"task02_pooling.py": bytes(40 << 20)}),
        "dan.zip": make_zip({"photo.jpg": b"x"}),
    })  # fmt: skip
    with tarfile.open(tmp_path / "eve.tar.xz", "w:xz") as archive:
        info = tarfile.TarInfo("a/task01.py")
        info.size = len(ONE)
        archive.addfile(info, io.BytesIO(ONE))
    found, intake, _ = read(tmp_path)

    assert found["ann", "task01_numbers", 1].source
    assert found["ann", "task02_pooling", 1].source
    assert found["eve", "task01_numbers", 1].source
    assert [found["bob", task, 1].source for task in WANTED] == [None, None]
    assert "damaged" in found["bob", "task01_numbers", 1].reason
    assert "200 times its size" in found["cyd", "task02_pooling", 1].reason
    assert ("cyd", "task01_numbers", 1) not in found
    assert "neither a Python file" in found["dan", "task01_numbers", 1].reason
    why = {entry.origin: entry.reason for entry in intake.unmatched}
    assert "leaves the archive" in why["ann.zip/../evil.py"]
    assert "dan.zip/photo.jpg" in why


def test_the_opener_survives_what_kills_its_child():
    """Too much memory or a broken opener costs one answer."""
    with Unfolder() as unfolder:
        assert (
            "nested too deeply" in unfolder.notebook(b'{"cells": ' + b"[" * 90_000 + b"]" * 90_000 + b"}").error or True
        )
        assert unfolder.archive(b"nonsense").error.startswith("the archive is damaged")
        assert unfolder.archive(make_zip({"a.py": ONE})).files == {"a.py": ONE}
        nested = notebook("x = " + "(" * 5000 + ")" * 5000, "def f():\n    return 1")
        assert "def f()" in unfolder.notebook(nested).files["module"].decode()


def test_a_confined_worker_opens_them_just_the_same():
    """One fresh worker each; a bomb or a liar costs one answer."""
    with open_launcher("auto") as launcher:
        limits = Limits(memory_mb=512, wall_seconds=60, file_mb=1, processes=4)
        unfolder = ConfinedUnfolder(lambda: launcher.start(limits, serve="torchgrade.isolation.worker.unpacker:serve"))
        assert unfolder.archive(make_zip({"a.py": ONE, "../x": b""})).files == {"a.py": ONE}
        assert "damaged" in unfolder.archive(b"nonsense").error
        assert "def f" in unfolder.notebook(notebook("def f():\n    return 1")).files["module"].decode()
        liar = ConfinedUnfolder(lambda: launcher.start(limits, serve="torchgrade.isolation.worker.snippet:serve"))
        assert "too much" in liar.archive(make_zip({"a.py": ONE})).error


@pytest.mark.parametrize("answer", [
    b"", b"{}", b"[]\n", b"nonsense\n", b'{"files": [["a", -1]]}\n', b'{"files": [["a", 5]]}\nabc',
    b'{"files": [["a", 99999999999]]}\n', b'{"starts": [1], "cells": []}\n', b'{"files": 3}\n', b"[" * 9999 + b"\n",
])  # fmt: skip
def test_no_answer_of_an_opener_is_believed(answer):
    with pytest.raises(EOFError):
        _receive(io.BytesIO(answer))


def test_one_archive_holds_the_class(tmp_path):
    """Zip and tar, with a folder round everything, student archives inside, GBK names."""
    inner = make_zip({"task02_pooling.py": TWO})
    files = {"hand-ins/ann/task01_numbers.py": ONE, "hand-ins/ann/task02.py": TWO, "hand-ins/bob/all.zip": inner}
    (tmp_path / "class.zip").write_bytes(make_zip(files))
    with tarfile.open(tmp_path / "class.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    for name in ("class.zip", "class.tar.gz"):
        found, intake, _ = read(tmp_path / name)
        assert set(found) == {
            ("ann", "task01_numbers", 1), ("ann", "task02_pooling", 1), ("bob", "task02_pooling", 1),
        }  # fmt: skip
        assert intake.layout == "folders"
    raw = make_zip({"AAAA_task01.py": ONE, "bob_task01.py": ONE}).replace(b"AAAA", "张三".encode("gbk"))
    (tmp_path / "gbk.zip").write_bytes(raw)
    assert {who for who, _, _ in read(tmp_path / "gbk.zip")[0]} == {"张三", "bob"}


def test_what_is_no_class(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no")
    (tmp_path / "x.txt").write_bytes(b"no")
    for name, sentence in [("x.zip", "damaged"), ("x.txt", "neither a folder"), ("y", "does not exist")]:
        with pytest.raises(UsageError, match=sentence):
            open_class(tmp_path / name)


def test_canvas(tmp_path):
    """User ids, late marks and resubmissions are understood; the newest attempt counts."""
    write(tmp_path, {
        "leeann_LATE_101_5001_task01_numbers.py": ONE, "leeann_101_5002_task02_pooling-1.py": TWO,
        "leeann_101_5002_task02_pooling.py": b"old = 1", "stonebob_102_5003_homework.zip": make_zip({"task01.py": ONE}),
    })  # fmt: skip
    listed = parse_roster('Student,ID,SIS User ID,SIS Login ID,Section\n"Lee, Ann",101,s1,ann@x.edu,A\n', "r.csv")
    found, intake, kept = read(tmp_path, listed)

    assert intake.layout == "Canvas"
    assert found["101", "task01_numbers", 1].late is True
    assert found["101", "task02_pooling", 2].late is False
    assert kept[found["101", "task02_pooling", 2].source].main == TWO
    assert [entry.reason for entry in intake.unmatched if "earlier attempt" in entry.reason]
    assert {s.key: s.listed for s in intake.students} == {"101": True, "102": False}


def test_moodle(tmp_path):
    """Both of its layouts, and two people of one name."""
    write(tmp_path, {
        "Ann Lee_77_assignsubmission_file_/task01_numbers.py": ONE,
        "Bob Stone_78_assignsubmission_file_task01_numbers.py": ONE,
        "Bob Stone_79_assignsubmission_file_task01_numbers.py": TWO, "stray.py": ONE,
    })  # fmt: skip
    listed = parse_roster("First name,Last name,ID number,Email address\nAnn,Lee,m1,ann@x.edu\n", "r.csv")
    found, intake, _ = read(tmp_path, listed)

    assert intake.layout == "Moodle"
    assert {who for who, _, _ in found} == {"m1", "Participant 78", "Participant 79"}
    assert [entry.origin for entry in intake.unmatched] == ["stray.py"]
    assert next(s for s in intake.students if s.key == "m1").ids["platform"] == "Participant 77"


METADATA = """---
submission_11:
  :submitters:
  - :name: Ann Lee
    :sid: s1
    :email: ann@x.edu
  - :name: Bob Stone
    :sid: s2
    :email: bob@x.edu
  :created_at: 2025-03-01 12:30:00.123456000 Z
  :score: 1.0
submission_12:
  :submitters:
  - {":name": Cyd, ":sid": "", ":email": cyd@x.edu}
  :created_at: '2025-03-02'
"""


def test_gradescope(tmp_path):
    """People come from the metadata, group work gives each a row, dates are known."""
    write(tmp_path / "assignment_9_export", {
        "submission_metadata.yml": METADATA.encode(), "submission_11/task01_numbers.py": ONE,
        "submission_12/task01_numbers.ipynb": notebook(ONE.decode()), "submission_13/task01.py": ONE,
        "submission_11/submission_metadata.yml": b"--- hostile",
    })  # fmt: skip
    found, intake, _ = read(tmp_path)

    assert intake.layout == "Gradescope"
    assert {who for who, _, _ in found} == {"s1", "s2", "cyd@x.edu"}
    assert found["s1", "task01_numbers", 1].submitted.startswith("2025-03-01T12:30:00")
    assert found["s1", "task01_numbers", 1].source == found["s2", "task01_numbers", 1].source
    assert {e.origin.split("/", 1)[1]: e.reason for e in intake.unmatched if e.origin.endswith("task01.py")}


def test_a_student_cannot_turn_the_class_into_gradescope(tmp_path):
    write(tmp_path, {"ann/submission_metadata.yml": METADATA.encode(), "ann/task01.py": ONE, "bob/task01.py": ONE})
    found, intake, _ = read(tmp_path)

    assert intake.layout == "folders"
    assert {who for who, _, _ in found} == {"ann", "bob"}


def test_a_pattern_of_the_instructor(tmp_path):
    write(tmp_path, {"G1/2025-01-02_ann/ex1.py": ONE, "G1/2025-01-03_ann/ex1.py": ONE + b"#", "G1/readme.md": b""})
    pattern = r"G\d/(?P<date>[\d-]+)_(?P<student>\w+)/ex(?P<task>\d+)\.py"
    found, intake, kept = read(tmp_path, pattern=pattern)

    assert set(found) == {("ann", "task01_numbers", 2)}
    assert found["ann", "task01_numbers", 2].submitted == "2025-01-03"
    assert kept[found["ann", "task01_numbers", 2].source].main.endswith(b"#")
    assert "--pattern" in {entry.origin: entry.reason for entry in intake.unmatched}["G1/readme.md"]
    for wrong, sentence in [("(", "no regular"), ("x", "needs a group"), ("(?P<student>.)(?P<foo>.)", "no others")]:
        with pytest.raises(UsageError, match=sentence):
            recognise(["a"], pattern=wrong)
    with pytest.raises(UsageError, match="which the course lacks"):
        read(tmp_path, pattern=r"G\d/(?P<date>[\d-]+)_(?P<student>\w+)/e(?P<task>x)1\.py")


def test_attempts(tmp_path):
    """`last` keeps the newest, `best` and `all` keep every readable one."""
    write(tmp_path, {"ann/task01 (1).py": b"a = 1", "ann/task01 (2).py": ONE, "ann/task01_3.zip": b"bad"})
    assert [attempt for _, _, attempt in read(tmp_path)[0]] == [2]
    for attempt in ("best", "all"):
        assert sorted(number for _, _, number in read(tmp_path, attempt=attempt)[0]) == [1, 2]


def test_notebooks_point_at_cell_and_line(tmp_path):
    """Lines of the module in any text of an outcome become cells and lines."""
    write(
        tmp_path, {"ann/work.ipynb": notebook("import os", "print(1)", "def add(a, b):\n    return 1\ndef mean(x): 0")}
    )
    found, intake, kept = read(tmp_path)
    bundle = kept[found["ann", "task01_numbers", 1].source]

    assert b"print" not in bundle.main
    assert ("ann/work.ipynb, code cell 2, line 1", "it runs something") in [
        (u.origin, u.reason) for u in intake.unmatched
    ]
    outcome = Outcome("t", "t", "values", "cpu", Status.FAILED, 0, 1, where="task01_numbers.py:3  add()")
    assert bundle.place("task01_numbers", outcome).where == "code cell 3, line 2  add()"
    assert Bundle(b"").place("task01_numbers", outcome) == outcome


def test_matching_by_content_needs_half_of_the_names_and_one_best_task():
    assert match("x.py", ONE, WANTED).task == "task01_numbers"
    assert match("x.py", b"def add(a): pass", WANTED).task == "task01_numbers"
    assert match("x.py", ONE + TWO, WANTED).task is None
    assert match("x.py", b"def other(): pass", WANTED).task is None
    assert definitions(b'"async def f(x):\\n", "class A:"\n  def g') == {"f", "A", "g"}


def test_rosters(tmp_path):
    """Headings of plain lists and platforms, other encodings, and mistakes told by line."""
    assert [s.key for s in parse_roster("id;name;email\n1;Ann;a@x\n\n2;Bob;b@x\n", "r")] == ["1", "2"]
    place = tmp_path / "r.csv"
    place.write_bytes("id,name\n1,张三\n".encode("gbk"))
    assert read_roster(place)[0].name == "张三"
    place.write_bytes("\ufeffStudent,ID\n    Points Possible,\nAnn,7\n".encode())
    assert [s.key for s in read_roster(place)] == ["7"]
    for text, sentence in [("a,b\n1,2", "heading line"), ("id,name\n1,x\n1,y", "line 3: 1 is in line 2"),
                           ("id,name\n,\n ,x\n", ""), ("name,email,x\n,,y", "line 2: neither")]:  # fmt: skip
        if sentence:
            with pytest.raises(UsageError, match=sentence):
                parse_roster(text, "r.csv")
    with pytest.raises(UsageError, match="cannot read"):
        read_roster(tmp_path / "absent.csv")


def test_people_are_found_by_id_mail_or_name_and_never_by_a_shared_name():
    listed = parse_roster("id,name,email\n1,Jörg Müller,jm@x\n2,Ann Lee,al@x\n3,Ann Lee,al2@x\n", "r")

    def key(**who):
        return Roster(listed).find([Identity(**who)])[Identity(**who)]

    for who in ({"id": "1"}, {"id": "jm"}, {"id": "mullerjorg"}, {"name": "Müller, Jörg"}):
        assert key(**who).keys == ("1",)
    assert key(email="AL2@x").keys == ("3",)
    shared = key(name="Ann Lee")
    assert shared.keys == ("Ann Lee",)
    assert "2, 3" in shared.doubt


def test_an_opener_that_exhausts_its_memory_costs_one_answer(monkeypatch):
    """The limits of the fork are real: with little memory the big archive fails, and the next one is read."""
    code = "import torchgrade.isolation.worker.unpacker as u; u.MEMORY = 48 << 20; u.main()"
    with Unfolder(code) as unfolder:
        incompressible = os.urandom(1 << 20) * 14
        assert "memory" in unfolder.archive(make_zip({"big.bin": incompressible})).error
        assert unfolder.archive(make_zip({"a.py": ONE})).files == {"a.py": ONE}
