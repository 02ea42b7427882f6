"""Reading a class: layouts, archives, notebooks, attempts, and nothing that is silently skipped."""

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from handin_support import Direct, make_zip, notebook, write

import torchgrade.isolation.launch.openers as openers_module
from torchgrade.batch.bundle import Bundle
from torchgrade.batch.intake.intake import read_class
from torchgrade.batch.intake.layouts import recognise
from torchgrade.batch.intake.naming import read_name
from torchgrade.batch.intake.roster import Identity, Roster
from torchgrade.batch.intake.roster_file import parse_roster, read_roster
from torchgrade.errors import UsageError
from torchgrade.handin.files import open_files
from torchgrade.handin.matching import by_content, by_name, definitions
from torchgrade.handin.opener import COSTLY, Opener, _receive
from torchgrade.isolation.launch.launcher import open_launcher
from torchgrade.isolation.launch.openers import LIMITS, Openers

WANTED = {
    "task01_numbers": frozenset({"add", "mean"}),
    "task02_pooling": frozenset({"pool", "Net"}),
}
ONE = b"def add(a, b):\n    return a + b\n\ndef mean(x):\n    return x\n"
TWO = b"def pool(x):\n    return x\n\nclass Net:\n    pass\n"


def read(path, listed=(), **options):
    """(who, task, attempt) -> hand-in, the intake, and the kept bundles by hash."""
    from torchgrade.batch.gradebook.gradebook import source_hash

    kept = {}
    with open_files(Path(path)) as files:
        keep = lambda name, data: kept.update({source_hash(data): Bundle.unpack(data)})  # noqa: E731
        intake = read_class(files, WANTED, Direct, listed, keep=keep, **options)
    return {(h.student, h.task, h.attempt): h for h in intake.handins}, intake, kept


def test_a_folder_of_folders(tmp_path):
    """Files are found by stem, by number and by what they define; helpers go along; the rest is listed."""
    write(tmp_path, {
        "ann/task01_numbers.py": b"import util\n" + ONE, "ann/My Task 2 final.py": TWO, "ann/report.pdf": b"%PDF", "ann/util.py": b"x = 1",
        "bob/whatever.py": ONE, "bob/__MACOSX/._x.py": b"", "cyd/readme.txt": b"sorry",
    })  # fmt: skip
    found, intake, kept = read(tmp_path)

    read_ones = {key for key, handin in found.items() if handin.source}
    assert read_ones == {("ann", "task01_numbers", 1), ("ann", "task02_pooling", 1), ("bob", "task01_numbers", 1)}
    assert found["cyd", "task01_numbers", 1].label == "cyd/readme.txt"  # something came, and this says what
    assert {student.key for student in intake.students} == {"ann", "bob", "cyd"}
    bundle = kept[found["ann", "task01_numbers", 1].source]
    assert (bundle.main, dict(bundle.helpers)) == (b"import util\n" + ONE, {"util.py": b"x = 1"})
    assert bundle.source("task01_numbers").files == {"task01_numbers.py": bundle.main, "util.py": b"x = 1"}
    listed = {entry.origin: entry.reason for entry in intake.unmatched}
    assert set(listed) == {"ann/report.pdf", "ann/util.py", "bob/__MACOSX", "cyd/readme.txt"}
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
    assert "pipe" in found["pipe", "task01_numbers", 1].reason


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
    assert "a picture cannot be graded" in found["dan", "task01_numbers", 1].reason
    why = {entry.origin: entry.reason for entry in intake.unmatched}
    assert "leaves the archive" in why["ann.zip/../evil.py"]
    assert "dan.zip/photo.jpg" in why


def test_a_confined_worker_opens_them():
    """One worker for the files of a hand-in; a bomb costs itself, a liar or a dead one gets a fresh one."""
    with Openers("auto") as openers, openers() as opener:
        assert opener.open("x.zip", make_zip({"a.py": ONE, "../x": b"", "b.txt": b""})).files == {"a.py": ONE}
        assert "damaged" in opener.open("x.zip", b"nonsense").error
        assert "recursion" in opener.open("x.ipynb", b'{"cells": ' + b"[" * 90_000).error
        assert b"def f" in opener.open("x.ipynb", notebook("def f():\n    return 1")).files[""]
    with open_launcher("auto", torch=False) as launcher:
        serve = "torchgrade.isolation.worker.snippet:serve"
        with Opener(lambda: launcher.start(LIMITS, serve=serve), seconds=2.0) as liar:
            assert liar.open("x.zip", make_zip({"a.py": ONE})).error == COSTLY


@pytest.mark.parametrize("answer", [
    b"", b"{}", b"[]\n", b"nonsense\n", b'{"files": [["a", -1]]}\n', b'{"files": [["a", 5]]}\nabc',
    b'{"files": [["a", 99999999999]]}\n', b'{"refused": [1]}\n', b'{"files": 3}\n', b"[" * 9999 + b"\n",
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
            open_files(tmp_path / name)


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
    for wrong, sentence in [("(", "no regular"), ("x", "needs a group"), ("(?P<student>.)(?P<foo>.)", "no others"),
                            ("(?P<student>b)", "fits none of the 1 paths")]:  # fmt: skip
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


def test_one_person_makes_no_thousands_of_jobs(tmp_path):
    archive = make_zip({f"a{n:03}/task01.py": b"# %d\n" % n + ONE for n in range(120)})
    write(tmp_path, {"ann/hw.zip": archive, "bob/task01.py": ONE})
    handins, intake, _ = read(tmp_path, attempt="all")
    assert sorted(number for who, _, number in handins if who == "ann") == list(range(71, 121))
    left = [reason for _, who, reason in intake.unmatched if who == "ann"]
    assert left == ["an earlier attempt at task01_numbers; the last 50 are graded"] * 70


def test_notebooks_point_at_cell_and_line(tmp_path):
    """A notebook is kept as the text of its code cells, old gradebooks' modules included."""
    write(
        tmp_path, {"ann/work.ipynb": notebook("import os", "print(1)", "def add(a, b):\n    return 1\ndef mean(x): 0")}
    )
    found, _, kept = read(tmp_path)
    bundle = kept[found["ann", "task01_numbers", 1].source]

    assert bundle.main.startswith(b"# %% code cell 1\nimport os\n# %% code cell 2\nprint(1)\n# %% code cell 3\ndef add")
    old = msgpack.packb([b"import os\n\ndef add(a, b):\n    return 1\n", {}, [1, 3], [1, 4]])
    assert Bundle.unpack(old).main == b"# %% code cell 1\nimport os\n\n# %% code cell 4\ndef add(a, b):\n    return 1\n"


def test_matching_by_content_needs_half_of_the_names_and_finds_every_such_task():
    assert by_content(definitions(ONE), WANTED) == ("task01_numbers",)
    assert by_content(definitions(b"def add(a): pass"), WANTED) == ("task01_numbers",)
    assert by_content(definitions(ONE + TWO), WANTED) == tuple(WANTED)
    assert by_content(definitions(b"def other(): pass"), WANTED) == ()
    assert definitions(b'"async def f(x):\\n", "class A:"\n  def g') == {"f", "A", "g"}


def test_rosters(tmp_path):
    """Headings of plain lists and platforms, other encodings, and mistakes told by line."""
    assert [s.key for s in parse_roster("id;name;email\n1;Ann;a@x\n\n2;Bob;b@x\n", "r")] == ["1", "2"]
    place = tmp_path / "r.csv"
    for name in ("Jörg Müller", "Özil", "François", "Größe Žižek", "Ångström"):
        place.write_bytes(f"id;name\n1;{name}\n".encode("cp1252"))
        assert read_roster(place)[0].name == name
    place.write_bytes("id,name\n1,张三\n".encode("gbk"))
    assert read_roster(place)[0].name == "张三"
    place.write_bytes("\ufeffStudent,ID\n    Points Possible,\nAnn,7\n".encode())
    assert [s.key for s in read_roster(place)] == ["7"]
    for text, sentence in [("a,b\n1,2", "heading line"), ("id,name\n1,x\n1,y", "line 3: 1 is in line 2"),
                           ("id,name\n,\n", "names nobody"), ("name,email,x\n,,y", "line 2: neither")]:  # fmt: skip
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
    """The limits are real: with little memory the big archive fails, and the next one is read."""
    monkeypatch.setattr(openers_module, "LIMITS", replace(LIMITS, memory_mb=48))
    with Openers("auto") as openers, openers() as opener:
        incompressible = os.urandom(1 << 20) * 20
        assert "memory" in opener.open("x.zip", make_zip({"big.py": incompressible})).error
        assert opener.open("x.zip", make_zip({"a.py": ONE})).files == {"a.py": ONE}
