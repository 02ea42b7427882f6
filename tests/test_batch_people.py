"""Whose file is it: layouts by the whole, the class list, and two people who never become one."""

import io
from pathlib import Path

import pytest
from handin_support import Direct, make_zip, notebook, write
from hypothesis import given, settings
from hypothesis import strategies as st
from support import MINI
from test_batch_intake import ONE, TWO, WANTED

from torchgrade.batch.gradebook.gradebook import Gradebook, source_hash
from torchgrade.batch.intake.intake import Decided, read_class
from torchgrade.batch.intake.layouts import moment_text, recognise
from torchgrade.batch.intake.naming import read_name
from torchgrade.batch.intake.roster import Identity, Roster, one_student
from torchgrade.batch.intake.roster_file import parse_roster, read_roster
from torchgrade.batch.run import Submissions, take_in
from torchgrade.course import Course
from torchgrade.errors import UsageError
from torchgrade.handin import libarchive_reader
from torchgrade.handin.files import open_files
from torchgrade.handin.naming import attempt_number, is_junk, without_attempt
from torchgrade.marks import Student

STEMS = ("task01_tensors_numpy", "task03_linear_layer", "task07_pooling_norm")


@pytest.fixture(autouse=True)
def _no_libarchive(monkeypatch):
    """As on a machine without the extra ``archives``."""
    monkeypatch.setattr(libarchive_reader, "HERE", False)


def people(*paths, roster="", **options):
    """path -> the labels of its owners, and the layout; ``roster`` is the text of a class list."""
    known = Roster(parse_roster(roster, "r")).knows if roster else None
    layout = recognise(paths, tasks=STEMS, known=known, **options)
    return {path: "+".join(who.label for who in owner.owners) for path, owner in layout.owners.items()}, layout


def handed(root, roster="", **options):
    """(student, task) -> hand-in, and the intake."""
    kept = {}
    with open_files(Path(root)) as files:
        intake = read_class(files, WANTED, Direct, parse_roster(roster, "r") if roster else (),
                            keep=lambda name, data: kept.setdefault(source_hash(data), data), **options)  # fmt: skip
    return {(h.student, h.task): h for h in intake.handins}, intake


@pytest.mark.parametrize(("name", "person"), [
    ("task01_ann_lee.py", "ann_lee"), ("task01_bob_lee.py", "bob_lee"), ("Task7_final_v2.py", ""),
    ("Copy of task01_ann.ipynb", "ann"), ("ann_task-01.py", "ann"), ("bob_Task-01.py", "bob"), ("my_task07.py", ""),
    ("task07_张三_2023001.py", "张三_2023001"), ("张三task07.py", "张三"), ("task07_pooling_norm_ann.py", "ann"),
    ("task07-pooling_ann.py", "ann"), ("Lee, Ann - task01.py", "Lee, Ann"), ("ann_task01 - Copy.py", "ann"),
    ("task01 (1).py", ""), ("homework.zip", ""), ("ann_homework1.zip", "ann"), ("hw1.py", ""), ("作业7.py", ""),
    ("Bob Roe - Copy of task01.ipynb", "Bob Roe"), ("ann_Kopie von task01.py", "ann"),
    ("ann_2026-03-01_task01.py", "ann"), ("ann_task01.py.txt", "ann"), ("1234567_task01.py", "1234567"),
])  # fmt: skip
def test_words_and_numbers_of_the_task_are_no_person(name, person):
    assert read_name(name, STEMS).person == person


@pytest.mark.parametrize(("name", "number", "bare"), [
    ("task-03.py", 0, "task-03.py"), ("task-03 (1).py", 1, "task-03 (1).py"), ("task-07-1.py", 1, "task-07.py"),
    ("task07_v2_final.py", 2, "task07_v2_final.py"), ("homework-3.zip", 0, "homework-3.zip"),
    ("homework-3-1.zip", 1, "homework-3.zip"), ("ann_2026-03-01.py", 0, "ann_2026-03-01.py"),
    ("v2/task01.py", 2, "v2/task01.py"), ("util-1.py", 1, "util.py"),
])  # fmt: skip
def test_only_a_number_behind_the_name_is_an_attempt(name, number, bare):
    assert (attempt_number(name, STEMS), without_attempt(name, STEMS)) == (number, bare)


@pytest.mark.parametrize(("earlier", "last"), [
    ("v1/task01.py", "task01.py"), ("old/task01.py", "task01.py"), ("task01.py", "task01 (1).py"),
    ("task-01.py", "task-01 (1).py"), ("v1/task01.py", "v2/task01.py"), ("sent (1).zip", "sent (2).zip"),
    ("v3.py", "task01.py"),
])  # fmt: skip
def test_of_several_files_the_final_one_counts(tmp_path, earlier, last):
    """Whichever of them is older on the disk, and whatever comes first in the alphabet."""
    for name, note in ((last, b"# last"), (earlier, b"# earlier")):
        archive = name.endswith(".zip")
        write(tmp_path, {f"ann/{name}": make_zip({"task01.py": ONE + note}) if archive else ONE + note})
    found, _ = handed(tmp_path)
    assert found["ann", "task01_numbers"].label.startswith(f"ann/{last}")


@pytest.mark.parametrize("roster", ["", "id\nann\nbob\n"])
@pytest.mark.parametrize(("paths", "owners"), [
    (["ann/exercises/task01_tensors_numpy.py"], ["ann"]),
    (["ann/homework.zip"], ["ann"]),
    (["ann/task01.py"], ["ann"]),
    (["ann/my_task07.py"], ["ann"]),
    (["ann/task01/task01.py", "ann/task03/task03.py"], ["ann"]),
    (["ann/exercises/task01.py", "ann/solutions/task01.py", "ann/graders/x/stub.py"], ["ann"]),
    (["export/2024/ann/task01.py", "export/2024/bob/task01.py"], ["ann", "bob"]),
    (["export/2024/ann/task01.py"], ["ann"]),
    (["hw1/ann/task01.py", "hw1/bob/task01.py", "README.txt"], ["ann", "bob"]),
    (["hw1/ann.zip", "hw1/bob/task01.py", "hw1/README.md"], ["ann", "bob"]),
    (["hand-ins/ann/exercises/task01.py"], ["ann"]),
    (["submissions/ann_task01.py", "submissions/bob_task01.py", "notes.md"], ["ann", "bob"]),
    (["ann_task01.py", "README.txt", "index.html"], ["ann"]),
    (["task01_ann.py"], ["ann"]),
    (["ann.zip"], ["ann"]),
    (["ann_final(2).zip", "Task_07_bob_final(2).ipynb"], ["ann", "bob"]),
])  # fmt: skip
def test_folders_are_people_whatever_wraps_them(paths, owners, roster):
    """One student or several, one or two wrappers, a README beside them."""
    found, layout = people(*paths, roster=roster)
    assert sorted(set(found.values())) == owners
    assert set(layout.unmatched) == set(paths) - set(found)
    assert not layout.doubts


def test_a_list_decides_what_no_rule_can():
    """Of two unknown folders inside each other, the one on the list is the student; without a list that is a doubt."""
    for listed in ("north", "week"):
        found, layout = people("north/week/task01.py", roster=f"id\n{listed}\n")
        assert (found, layout.doubts) == ({"north/week/task01.py": listed}, ())
    found, layout = people("north/south/task01.py")
    assert found == {"north/south/task01.py": "north"}
    assert "is 'north' a student, or 'south'" in layout.doubts[0]


def test_a_list_finds_a_person_by_number_or_name_beside_each_other(tmp_path):
    """And a document whose name is a person's came, however the others look."""
    write(
        tmp_path,
        {"张三-2023001-task01.py": ONE, "2023002李四_task01.py": ONE, "王五.pdf": b"%PDF", "notes.pdf": b"%PDF"},
    )
    found, intake = handed(tmp_path, "学号,姓名\n2023001,张三\n2023002,李四\n7,王五\n", tasks=["task01_numbers"])
    assert {who for who, _ in found} == {"2023001", "2023002", "7"}
    assert found["7", "task01_numbers"].source is None
    assert [entry.origin for entry in intake.unmatched] == ["notes.pdf", "王五.pdf"]
    assert not intake.doubts


def test_folders_that_are_called_like_homeworks_are_a_doubt():
    """Three wrappers are taken away; two homeworks side by side are nobody."""
    assert set(people("export/2024/hw1/ann/task01.py", "export/2024/hw1/bob/task01.py")[0].values()) == {"ann", "bob"}
    for paths in (["week1/ann.py", "week2/ann.py"], ["hw1/task01.py"], ["task01/ann/task01.py", "task02/bob/a.py"]):
        assert "--pattern says where a path names the student" in people(*paths)[1].doubts[0]
    assert not people("1/task01.py", "2/task01.py")[1].doubts


def test_nobody_hands_in_for_others_by_names_inside_a_folder():
    """Folders called like other people, inside one's own, are one's own."""
    found, _ = people("ann/bob/task01.py", "ann/cyd/task01.py", roster="id\nann\nbob\ncyd\n")
    assert set(found.values()) == {"ann"}


@pytest.mark.parametrize("stray", [
    "x_9_assignsubmission_file_task04.py", "HW_x_attempt_2026-01-01-00-00-00_task01.py", "Lee_Ann_ann_7",
    "eve_7_submission.py",
])  # fmt: skip
def test_one_name_does_not_turn_the_layout(stray):
    """A name that fits another platform's layout decides nothing about anybody else."""
    canvas = ["doejohn_102_5003_task01.py", "leeann_101_5001_task01.py"]
    found, layout = people(*canvas, f"evil_103_5004_{stray}", stray)
    assert layout.name == "Canvas"
    assert [found[path] for path in canvas] == ["102", "101"]
    assert found[f"evil_103_5004_{stray}"] == "103"
    assert "does not fit the Canvas layout" in layout.unmatched[stray]


def test_canvas_anonymous_late_and_typed(tmp_path):
    """Anonymous names keep their person and LATE; typed text and links came, and are no file."""
    found, layout = people(
        "anon_x7Kp2_5001_task01.py", "anon_x7Kp2_5003_utils.py", "LATE_anon_Qm3fz_5002_task01.py", "README.txt"
    )
    assert layout.name == "Canvas"
    assert sorted(found.values()) == ["anon_Qm3fz", "anon_x7Kp2", "anon_x7Kp2"]
    assert layout.owners["LATE_anon_Qm3fz_5002_task01.py"].late is True
    assert layout.owners["anon_x7Kp2_5001_task01.py"].late is False
    write(
        tmp_path, {"doejohn_102_text.html": ONE, "leeann_LATE_101_5001_task01.py": ONE, "team_1_LATE_7_link.html": b""}
    )
    found, intake = handed(tmp_path)
    assert intake.layout == "Canvas"
    assert found["101", "task01_numbers"].late is True
    assert found["102", "task01_numbers"].source is None
    assert "text typed into the platform" in found["102", "task01_numbers"].reason
    assert "a link came" in found["7", "task01_numbers"].reason
    one = people("leeann_101_5001_task-07-2.py")[1].owners["leeann_101_5001_task-07-2.py"]
    assert (one.file, one.order) == ("task-07.py", 2)


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,HW1 (77)
,,,,,Manual Posting
    Points Possible,,,,,30
"Lee, Ann",101,s1,ann,A,
"Student, Test",999,,a1b2c3,A,
"""


def test_canvas_own_rows_are_no_people(tmp_path):
    """Rows above the possible points are passed over; the Test Student is there only where it handed in."""
    listed = parse_roster(CANVAS, "r")
    assert [student.key for student in listed] == ["101", "999"]
    write(tmp_path, {"leeann_101_5001_task01.py": ONE})
    assert [s.key for s in handed(tmp_path, CANVAS)[1].students] == ["101"]
    write(tmp_path, {"studenttest_999_5002_task01.py": ONE})
    assert [s.key for s in handed(tmp_path, CANVAS)[1].students] == ["101", "999"]


def test_moodle_namesakes_are_told_apart_by_their_number(tmp_path):
    """By the worksheet's Identifier; a list that has the name once gives it to neither, and says so."""
    write(tmp_path, {
        "Wei Wang_71_assignsubmission_file_/task01.py": ONE, "Wei Wang_72_assignsubmission_file_/task01.py": TWO,
    })  # fmt: skip
    sheet = "Identifier,Full name,Email address\nTeilnehmer/in71,Wei Wang,a@x\nTeilnehmer/in72,Wei Wang,b@x\n"
    found, intake = handed(tmp_path, sheet)
    assert set(found) == {("a@x", "task01_numbers"), ("b@x", "task01_numbers")}
    assert not intake.doubts
    found, intake = handed(tmp_path, "name\nWei Wang\n")
    assert {who for who, _ in found} == {"Participant 71", "Participant 72"}
    assert any("may be several people" in doubt for doubt in intake.doubts)
    found, _ = handed(tmp_path)
    assert len(found) == 2
    with pytest.raises(UsageError, match="line 3: Wei Wang is in line 2 already; a column id tells"):
        parse_roster("name\nWei Wang\nWei Wang\n", "r")


TEAMS = """First name,Last name,ID number,Email address,Groups
Ann,Lee,m1,ann@x.edu,Group A
Bob,Stone,m2,bob@x.edu,Group A
Cyd,Poe,m3,cyd@x.edu,
"""


def test_moodle_teams_and_typed_text(tmp_path):
    write(tmp_path, {
        "Group A_12_assignsubmission_file_/task01.py": ONE, "Default group_assignsubmission_file_/task01.py": ONE,
        "Cyd Poe_14_assignsubmission_onlinetext_/onlinetext.html": b"<p>x</p>",
    })  # fmt: skip
    found, intake = handed(tmp_path, TEAMS)
    assert intake.layout == "Moodle"
    assert {(who, h.source is not None) for (who, task), h in found.items() if task == "task01_numbers"} == {
        ("m1", True), ("m2", True), ("m3", True),
    }  # fmt: skip
    assert not intake.doubts
    found, _ = handed(tmp_path, TEAMS.replace("Poe,m3", "Poe,m3"), tasks=["task02_pooling"])
    assert not found  # what came answers the other task
    listed = Roster(parse_roster(TEAMS, "r"))
    copy = Identity("Participant 9", "Group A-Bob Stone", own=True, team=True)
    assert listed.find([copy])[copy].keys == ("m2",)


def test_moodle_typed_text_alone_is_unreadable(tmp_path):
    write(tmp_path, {
        "Ann Lee_11_assignsubmission_onlinetext_/onlinetext.html": b"<p>x</p>",
        "Bob Stone_12_assignsubmission_file_/task01.py": ONE,
    })  # fmt: skip
    found, _ = handed(tmp_path, TEAMS)
    assert found["m1", "task01_numbers"].source is None
    assert "text typed into the platform came" in found["m1", "task01_numbers"].reason


def test_blackboard_and_ilias(tmp_path):
    """User and moment are read from the name; the platform's own form is no hand-in."""
    write(tmp_path, {
        "HW1_bob_2_attempt_2026-03-02-00-05-00_my solution.py": ONE,
        "HW1_ann1_attempt_2026-02-27-10-00-00_task01.py": TWO, "HW1_ann1_attempt_2026-03-01-23-59-10_task01.py": ONE,
        "HW1_ann1_attempt_2026-03-01-23-59-10.txt": b"Name: Ann", "HW1_cyd_attempt_2026-03-01-10-00-00.txt": b"text",
    })  # fmt: skip
    found, intake = handed(tmp_path, "username,name\nann1,Ann\nbob_2,Bob\ncyd,Cyd\n")
    assert (intake.layout, intake.doubts) == ("Blackboard", [])
    assert found["ann1", "task01_numbers"].submitted == "2026-03-01T23:59:10"
    assert found["ann1", "task01_numbers"].attempt == 2
    assert found["bob_2", "task01_numbers"].source
    assert "typed text" in found["cyd", "task01_numbers"].reason
    assert people("Hw_1_ann_attempt_2026-03-01-10-00-00_task01.py", roster="id\nann\n")[1].name == "Blackboard"
    path = "Kurs/Lee_Ann_ann1_4711/20260301235910_task01.py"
    found, layout = people(path, "Kurs/Stone_Bob_bob2_4712/20260301235911_hw.zip")
    assert (layout.name, found[path], layout.owners[path].submitted) == ("ILIAS", "ann1", "2026-03-01T23:59:10")
    assert layout.owners[path].file == "task01.py"
    assert moment_text("20260301") == "2026-03-01"
    assert moment_text("yesterday") == "yesterday"


@pytest.mark.parametrize(("paths", "owners"), [
    (["leeann_12345_question_5_67890_task01.py", "roebob_LATE_12346_question_5_67891_task01.py"], ["12345", "12346"]),
    (["11-77 - Ann Lee - Mar 1, 2026 1159 PM - task01.py", "12-77 - Bob Roe - Mar 2, 2026 901 AM - task01 (1).py",
      "index.html"], ["11", "12"]),
    (["77-11 - Ann Lee- 1 March, 2026 259 PM/task01.py", "77-11 - Ann Lee- 2 March, 2026 259 PM/task01.py",
      "77-12 - Bob Roe- 2 March, 2026 1159 AM/task01.ipynb"], ["11", "12"]),
])  # fmt: skip
def test_people_of_a_platform_are_told_by_their_own_number(paths, owners):
    found, layout = people(*paths)
    assert layout.name in ("Canvas", "Brightspace")
    assert sorted(set(found.values())) == owners
    assert set(paths) - set(found) <= {"index.html"}


def test_brightspace_tells_when_and_sakai_whose(tmp_path):
    place = "11-77 - Ann Lee - Mar 1, 2026 259 PM - task01.py"
    owner = people(place, "12-77 - Bob Roe - Mar 2, 2026 901 AM - task01.py")[1].owners[place]
    assert (owner.file, owner.submitted) == ("task01.py", "2026-03-01T14:59:00")
    write(tmp_path, {"HW1/Lee, Ann(al7)/Submission attachment(s)/task01.py": ONE, "HW1/grades.csv": b"x",
                     "HW1/Roe, Bob(br9)/Submission attachment(s)/task01.py": ONE})  # fmt: skip
    found, intake = handed(tmp_path, "id,name\nal7,A. Lee\n5,Bob Roe\n", tasks=["task01_numbers"])
    assert {who for who, _ in found} == {"al7", "5"}
    assert not intake.doubts


def test_clones_are_people_by_their_account():
    """Folders ``assignment-account``; the list's column github leads to the person."""
    roster = "id,name,github\n1,Ann Lee,ann-lee\n2,Bob Stone,Bobby\n"
    listed = Roster(parse_roster(roster, "r"))
    for paths in (["hw-1-ann-lee/task01.py", "hw-1-bobby/task01.py"], ["hw-1-ann-lee/task01.py"],
                  ["hw-1-submissions/hw-1-ann-lee/task01.py", "hw-1-submissions/hw-1-bobby/task01.py"]):  # fmt: skip
        _, layout = people(*paths, roster=roster)
        found = listed.find(who for owner in layout.owners.values() for who in owner.owners)
        assert sorted(f.keys for f in found.values()) == [("1",), ("2",)][: len(paths)]
    found, layout = people("hw-1-ann/task01.py", "hw-1-ann/.git/HEAD", "hw-1-bob/task01.py", "hw-1-bob/.git/HEAD")
    assert layout.name == "clones"
    assert set(found.values()) == {"ann", "bob"}


def test_nobody_is_somebody_else_by_what_they_call_themselves():
    """An account that ends like another one, and a name that holds the words of the platform."""
    roster = "id,name,github\n1,Xena Young,ann\n2,Bob Stone,bob\n"
    found, _ = people("hw1-lee-ann/task01.py", "hw1-bob/task01.py", roster=roster)
    assert set(found.values()) == {"lee-ann", "bob"}
    _, layout = people("hw1-lee-ann/task01.py", "hw1-bob/task01.py", roster=roster)
    keys = Roster(parse_roster(roster, "r")).find(who for owner in layout.owners.values() for who in owner.owners)
    assert sorted(found.keys for found in keys.values()) == [("2",), ("lee-ann",)]
    mark = "_assignsubmission_file_"
    _, layout = people(f"Ann Lee_71{mark}_88{mark}/task01.py", f"Ann Lee_71{mark}/task01.py", f"Bob_72{mark}/task01.py")
    assert sorted(owner.owners[0].id for owner in layout.owners.values()) == [f"Participant {n}" for n in (71, 72, 88)]


@pytest.mark.parametrize(("folders", "accounts"), [
    (["hw1-ann", "hw1-bob-stone"], {"ann", "bob-stone"}),
    (["hw-1-ann", "hw-1-bob", "notes"], {"ann", "bob", "notes"}),
    (["task-07-ann", "task-07-bob"], {"ann", "bob"}),
    (["assignment-2-ann", "assignment-2-anna", "assignment-2-anton"], {"ann", "anna", "anton"}),
    (["lee-ann", "lee-bob"], {"lee-ann", "lee-bob"}),  # a family
    (["ann-lee", "bob-stone"], {"ann-lee", "bob-stone"}),
])  # fmt: skip
def test_clones_without_git_folders_are_told_by_the_homework_that_most_begin_with(folders, accounts):
    found, _ = people(*(f"{folder}/task01.py" for folder in folders))
    assert set(found.values()) == accounts


def test_results_of_an_earlier_batch_are_no_handins():
    """Inside or beside the hand-ins; one file of that name in a student's folder decides nothing."""
    old = ["gradebook.sqlite", "grades.csv", "report.html", "students/ann/feedback.md", "students/ann/task01.py"]
    for prefix in ("", "results/"):
        found, layout = people("ann/task01.py", "bob/task01.py", *(prefix + name for name in old))
        assert sorted(found.values()) == ["ann", "bob"]
        assert {layout.unmatched[prefix + name] for name in old} == {"it is a result of an earlier batch"}
    found, _ = people("ann/task01.py", "ann/gradebook.sqlite", "bob/task01.py")
    assert found["ann/task01.py"] == "ann"
    first = ["results/gradebook.sqlite", "results/gradebook.sqlite.lock"]  # the first batch has only begun
    assert set(people("ann/task01.py", *first)[0].values()) == {"ann"}


SIGN = st.sampled_from(["", "1", "2", "3", "ann", "bob", "a@x", "Ann", "Lee, Ann", "Ann Lee"])


@given(
    listed=st.lists(st.tuples(SIGN, SIGN, SIGN, SIGN), max_size=4),
    seen=st.lists(st.tuples(SIGN, SIGN, SIGN), max_size=5),
)
@settings(max_examples=300, deadline=None)
def test_two_people_never_share_a_row(listed, seen):
    """Whatever a list and a platform say: different ids of a platform are different students, and all have an entry."""
    students = {key or mail or name: Student(key or mail or name, key, name, mail, listed=True, ids={"sid": sid})
                for key, name, mail, sid in listed if key or mail or name}  # fmt: skip
    roster = Roster(list(students.values()))
    people = [Identity(number, name, mail, own=True) for number, name, mail in seen if number]
    found = roster.find(people)
    owners = {}
    for who in people:
        for key in found[who].keys:
            owners.setdefault(key, set()).add(who.id)
    assert all(len(ids) == 1 for ids in owners.values())
    assert {key for entry in found.values() for key in entry.keys} <= {student.key for student in roster.class_of()}


@given(
    text=st.text(),
    head=st.sampled_from(["id,name\n", "name;email;section\n", "sep=|\n", "", "学号,姓名\n", "Student,ID\n"]),
)
@settings(max_examples=200, deadline=None)
def test_no_class_list_is_a_traceback(text, head):
    """Any text is a list of distinct students, or a sentence."""
    try:
        students = parse_roster(head + text, "r.csv")
    except UsageError:
        return
    assert len({student.key for student in students}) == len(students)


NAMES = st.one_of(
    st.sampled_from(["task01.py", "x_1_assignsubmission_file_task04.py", "bobn_2_502_task01.py", "solutions", "gradebook.sqlite",
                     "submission_metadata.yml", "a_attempt_2026-01-01-00-00-00_b.py", "-1.py", "LATE_3_4_x.py", ".git"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=30),
)  # fmt: skip
FORMS = {
    "Canvas": "{who}n_{number}_50{number}_{file}",
    "Moodle": "{who} N_{number}_assignsubmission_file_/{file}",
    "Moodle, flat": "{who} N_{number}_assignsubmission_file_{file}",
    "Blackboard": "HW_{who}_attempt_2026-01-0{number}-00-00-00_{file}",
    "ILIAS": "N_{who}_{who}_{number}/{file}",
    "folders": "{who}/{file}",
    "wrapped": "hw1/{who}/{file}",
}


@pytest.mark.parametrize("form", FORMS)
@given(files=st.lists(NAMES, min_size=1, max_size=4), listed=st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_one_person_calls_files_changes_nobody_else(form, files, listed):
    """Whatever evil names its files: everybody else's files stay theirs, and no path is lost."""
    fill = FORMS[form].format
    good = {fill(who=who, number=n, file="task01.py"): who for n, who in enumerate(("ann", "bob", "cyd"), 1)}
    roster = "id,name\nann,ann n\nbob,bob n\ncyd,cyd n\nevil,evil n\n" if listed else ""
    before, _ = people(*good, roster=roster)
    evil = {fill(who="evil", number=9, file=name) for name in files}
    after, layout = people(*good, *evil, roster=roster)
    assert {path: after[path] for path in good} == before
    others = set(before.values())
    read = {path for path in evil if not is_junk(path)}
    assert not {after[path] for path in read & set(after)} & others
    assert read <= set(after) | set(layout.unmatched)


def test_names_that_fit_one_person_twice_never_break_the_book(tmp_path):
    """A folder by id and one by name: attempts of one person, said; equal names of platforms stay apart."""
    write(tmp_path, {"a1/task01.py": ONE, "Ann Lee/task01.py": ONE + b"#", "Ann Lee/task02.py": TWO})
    found, intake = handed(tmp_path, "id,name\na1,Ann Lee\n")
    assert set(found) == {("a1", "task01_numbers"), ("a1", "task02_pooling")}
    assert found["a1", "task01_numbers"].attempt == 2
    assert any("are all taken for Ann Lee" in doubt for doubt in intake.doubts)
    flat = tmp_path / "flat"
    write(flat, {"Ann Lee_77_assignsubmission_file_x_88_assignsubmission_file_task01-99.py": ONE,
                 "Bob Poe_88_assignsubmission_file_task01.py": ONE})  # fmt: skip
    found, _ = handed(flat)
    assert {who for who, _ in found} == {"Participant 77", "Participant 88"}


@pytest.mark.parametrize(("roster", "sentence"), [
    ("id\nzoe\nyan\n", "nobody of the list handed in; the names that were read are 'ann', 'bob'"),
    ("id\nann\n", "not on the list: 'bob'; add them to --roster"),
    ("id,name\n1,ann\n2,ann\n3,bob\n", "may be several people (1, 2)"),
])  # fmt: skip
def test_what_does_not_fit_is_said(tmp_path, roster, sentence):
    write(tmp_path, {"ann/task01.py": ONE, "bob/task01.py": ONE})
    assert sentence in " ".join(handed(tmp_path, roster)[1].doubts)
    assert handed(tmp_path, "id\nann\nbob\ncyd\n")[1].doubts == []


def test_a_folder_without_handins_is_refused(tmp_path):
    write(tmp_path, {"guide/a.md": b"#", "b.py": b"def f(): pass", "images/c.png": b""})
    with pytest.raises(UsageError, match="nothing is handed in here: none of the 3 files fits a task"):
        handed(tmp_path)


def test_rosters_as_people_save_them(tmp_path):
    """UTF-16, a declared separator, a title above, Chinese headings, a workbook; Excel's numbers stay ids."""
    place = tmp_path / "r.csv"
    plain = "id\tname\n0071\tAnn\n"
    for data in (plain.encode("utf-16"), b"sep=;\nid;name\n0071;Ann\n", b"Kurs 2026, Liste\n\nid,name\n0071,Ann\n",
                 "学号,姓名,邮箱,班级\n0071,Ann,a@x,2班\n".encode("gbk")):  # fmt: skip
        place.write_bytes(data)
        assert [(s.key, s.name) for s in read_roster(place)] == [("0071", "Ann")], data
    assert read_roster(place)[0].section == "2班"
    staff = "First Name,Last Name,SID,Email,Role,Sections\nAnn,Lee,1,a@x,Student,A\nProf,X,2,p@x,Instructor,A\n"
    assert [s.key for s in parse_roster(staff, "r")] == ["1"]
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["The class of 2026"], ["学号", "姓名"], [4711, "张三"], [4712.0, "李四"]):
        book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    (tmp_path / "r.xlsx").write_bytes(target.getvalue())
    assert [(s.key, s.name) for s in read_roster(tmp_path / "r.xlsx")] == [("4711", "张三"), ("4712", "李四")]
    (tmp_path / "bad.xlsx").write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(UsageError, match="not a workbook"):
        read_roster(tmp_path / "bad.xlsx")


def test_a_person_is_found_in_any_order_of_names():
    students = [Student("7", "7", "Simone, Nina"), Student("8", "8", "王伟"), Student("9", "9", "王伟")]
    assert one_student(students, "Nina Simone").key == "7"
    with pytest.raises(UsageError, match="2 students are called '王伟' in the gradebook; say which: 8, 9"):
        one_student(students, "王伟")
    assert one_student(students, "jazz", {"jazz": ["7"]}).key == "7"  # a folder's name
    with pytest.raises(UsageError, match="nobody in the gradebook is called 'Eve'"):
        one_student(students, "Eve")


def test_all_that_came_has_a_status_and_only_what_is_asked_for_is_listed(tmp_path):
    """Closed archives may hold any task; other strange files count where nothing else came."""
    write(tmp_path, {
        "ann/homework.rar": b"Rar!", "bob/task01.7z": b"7z", "cyd/task01.py": ONE, "cyd/report.pdf": b"%PDF",
        "dan/report.docx": b"PK", "eve/work.ipynb": notebook("def pool(x): 0", "class Net: 0"),
        "fay/task02_pooling.py": TWO,
    })  # fmt: skip
    found, intake = handed(tmp_path, "id\nann\nbob\ncyd\ndan\neve\nfay\nzoe\n", tasks=["task01_numbers"])
    reasons = {who: h.reason for (who, task), h in found.items() if task == "task01_numbers" and h.source is None}
    assert set(reasons) == {"ann", "bob", "dan"}
    assert all("hand in a" in reason for reason in reasons.values())
    assert {task for _, task in found} == {"task01_numbers"}
    assert not any("fay" in entry.origin for entry in intake.unmatched)


def test_a_decision_of_a_person_holds_in_the_next_reading(tmp_path):
    """A file given to somebody, a name that means somebody, a name that means nobody."""
    write(tmp_path, {"ann/task01.py": ONE, "annlee/task02.py": TWO, "noise/task01.py": ONE, "lost.txt": ONE,
                     "zed.zip": make_zip({"foo.py": ONE, "bar.py": b"x = 1"})})  # fmt: skip
    decided = Decided(
        {"annlee": "ann", "noise": "", "zed": ""},
        {"lost.txt": ("bob", "task01_numbers"), "zed.zip/bar.py": ("cyd", "task02_pooling")},
    )
    found, intake = handed(tmp_path, decided=decided)
    assert {(who, task): h.label for (who, task), h in found.items()} == {
        ("ann", "task01_numbers"): "ann/task01.py", ("ann", "task02_pooling"): "annlee/task02.py",
        ("bob", "task01_numbers"): "lost.txt", ("cyd", "task02_pooling"): "zed.zip/bar.py",
    }  # fmt: skip
    assert {s.key for s in intake.students} == {"ann", "bob", "cyd"}


@pytest.fixture
def book(tmp_path):
    with Gradebook(tmp_path / "gradebook.sqlite", writer=True) as book:
        yield book


def take(book, folder, roster=""):
    """Read the miniature course's class; returns whose decisions follow whom, and the points set by hand."""
    course = Course.load(MINI)
    _, followed = take_in(
        book, Submissions(folder, course, course.tasks, Direct, parse_roster(roster, "r") if roster else ())
    )
    return followed, {(student, task): o.points for (student, task), o in book.overrides().items()}


def test_decisions_follow_a_person_whose_folder_is_renamed_or_who_comes_on_a_list(tmp_path, book):
    """By the work where one newcomer has all of it, by the list where it knows the former name; never by a guess."""
    solution = (MINI / "solutions" / "task01_scale.py").read_bytes()
    subs = write(tmp_path / "subs", {
        "ann/task01.py": solution, "bob/task01.py": solution + b"# bob", "cyd/task01.py": solution + b"# cyd",
    })  # fmt: skip
    take(book, subs)
    for who, points in (("ann", 1.0), ("bob", 2.0), ("cyd", 3.0)):
        book.override(who, "task01_scale", points, why="w", who="prof", before=None)
    (subs / "ann").rename(subs / "ann_lee")
    followed, points = take(book, subs)
    assert followed == {"ann": "ann_lee"}
    assert points == {("ann_lee", "task01_scale"): 1.0, ("bob", "task01_scale"): 2.0, ("cyd", "task01_scale"): 3.0}
    followed, points = take(book, subs, "id,name,email\n1,Ann Lee,a@x\n2,Bob,bob@x\n3,Zoe,z@x\n")
    assert followed == {"ann_lee": "1", "bob": "2"}
    assert points == {("1", "task01_scale"): 1.0, ("2", "task01_scale"): 2.0, ("cyd", "task01_scale"): 3.0}
    (subs / "cyd").rename(subs / "north")
    write(subs, {"south/task01.py": solution + b"# cyd"})
    assert take(book, subs)[0] == {}  # two newcomers have the same work
