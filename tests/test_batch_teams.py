"""Teams: one hand-in and one grading, a mark for each member, from whatever tells who works together."""

import csv
import io
from dataclasses import replace

import pytest
from handin_support import write
from support import MINI, copy_of_mini, grade_py
from test_batch_intake import ONE, TWO
from test_batch_people import handed, people

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.intake.roster_file import parse_roster, read_teams
from torchgrade.errors import UsageError
from torchgrade.marks import Student

ROSTER = "id,name,team\nann,Ann Lee,A\nbob,Bob Stone,A\ncyd,Cyd Poe,B\ndan,Dan Ray,\n"


def works(root, roster, task="task01_numbers", **options):
    """student -> (the file that counts, its content's hash), and the intake."""
    found, intake = handed(root, roster, **options)
    return {who: (h.label, h.source) for (who, name), h in found.items() if name == task}, intake


def test_what_one_member_handed_in_is_everybodys(tmp_path):
    """Under a member's name or the team's; whoever has no team hands in alone."""
    write(tmp_path, {"bob/task01.py": ONE, "dan/task01.py": ONE + b"#", "B/task01.py": ONE + b"# B"})
    found, intake = works(tmp_path, ROSTER)
    assert {who: label for who, (label, _) in found.items()} == {
        "ann": "bob/task01.py", "bob": "bob/task01.py", "cyd": "B/task01.py", "dan": "dan/task01.py",
    }  # fmt: skip
    assert found["ann"][1] == found["bob"][1]
    assert intake.doubts == []


def test_members_may_divide_the_tasks(tmp_path):
    write(tmp_path, {"ann/task01.py": ONE, "bob/task02.py": TWO})
    found, intake = handed(tmp_path, ROSTER)
    assert set(found) == {(who, task) for who in ("ann", "bob") for task in ("task01_numbers", "task02_pooling")}
    assert intake.doubts == []


def test_different_work_of_two_members_is_a_doubt_and_equal_work_is_none(tmp_path):
    write(tmp_path, {"ann/task01.py": ONE, "bob/task01.py": ONE})
    assert works(tmp_path, ROSTER)[1].doubts == []
    write(tmp_path, {"bob/task01.py": ONE + b"# other"})
    found, intake = works(tmp_path, ROSTER)
    [doubt] = intake.doubts
    assert "members of the team 'A' handed in different work for task01_numbers" in doubt
    assert found["ann"] == found["bob"]
    assert f"'{found['ann'][0]}' counts" in doubt
    left = {entry.origin for entry in intake.unmatched}
    assert left == {"ann/task01.py", "bob/task01.py"} - {found["ann"][0]}  # nothing is lost


def test_one_hand_in_of_two_teams_counts_for_those_who_are_named_with_it(tmp_path):
    """Gradescope names Ann and Cyd; the list has them in two teams."""
    people = "".join(
        f"  - :name: {name}\n    :sid: {sid}\n    :email: ''\n" for name, sid in (("Ann", "ann"), ("C", "cyd"))
    )
    write(tmp_path, {
        "submission_metadata.yml": f"submission_1:\n  :submitters:\n{people}".encode(), "submission_1/task01.py": ONE,
    })  # fmt: skip
    found, intake = works(tmp_path, ROSTER)
    assert set(found) == {"ann", "cyd"}
    assert "is one hand-in of members of several teams, 'ann of A', 'cyd of B'" in intake.doubts[0]
    found, intake = works(tmp_path, ROSTER.replace("cyd,Cyd Poe,B", "cyd,Cyd Poe,A"))
    assert set(found) == {"ann", "bob", "cyd"}
    assert intake.doubts == []


def test_ilias_puts_members_into_the_folder_of_their_team(tmp_path):
    """Who uploaded has a folder there; the list may call the team by its number and name the others."""
    place = "Blatt 1/Abgaben/Team 4711"
    write(tmp_path, {
        f"{place}/Lee_Ann_ann_11/20260301235910_task01.py": ONE, f"{place}/Stone_Bob_bob_12/20260302000000_task01.py": TWO,
        "Blatt 1/Abgaben/Team 4712/Ray_Dan_dan_14/20260301120000_task01.py": ONE + b"#",
    })  # fmt: skip
    for roster, members in (("id\nann\nbob\ndan\n", {"ann", "bob", "dan"}),
                            ("id,team\nann,\nbob,4711\neve,4711\ndan,Team 4712\n", {"ann", "bob", "eve", "dan"})):  # fmt: skip
        found, intake = works(tmp_path, roster)
        assert intake.layout == "ILIAS"
        assert set(found) == members
        assert "Stone_Bob_bob_12/20260302000000_task01.py" in found["ann"][0]
        assert intake.doubts == []
    assert people("Team 1/Lee_Ann_ann_11/a.py", "Team 1/notes.txt", "Team 2/x.py")[1].name != "ILIAS"


def test_platform_groups_name_their_members_and_do_not_share_other_work(tmp_path):
    """Moodle's groups may be sections of forty: only a hand-in under the group's name is everybody's."""
    roster = 'Full name,ID number,Email address,Groups\nAnn Lee,m1,a@x,Group A\nBob Stone,m2,b@x,"Group A, Lab 2"\n'
    write(tmp_path, {"Group A_12_assignsubmission_file_/task01.py": ONE})
    assert set(works(tmp_path, roster)[0]) == {"m1", "m2"}
    other = write(tmp_path / "other", {"Ann Lee_12_assignsubmission_file_/task01.py": ONE})
    assert set(works(other, roster)[0]) == {"m1"}
    team = parse_roster(roster.replace("Groups", "Team").replace('"Group A, Lab 2"', "Group A"), "r")
    assert [student.team for student in team] == ["Group A", "Group A"]


def test_a_file_of_teams_is_read_onto_the_class_list(tmp_path):
    listed = [Student(key, key, name, f"{key}@x", listed=True) for key, name in
              (("ann", "Ann Lee"), ("bob", "Bob Stone"), ("cyd", "Cyd Poe"))]  # fmt: skip
    place = tmp_path / "teams.csv"
    place.write_text("team,student\nA,Lee Ann\nA,bob\n")
    assert read_teams(place, listed) == [replace(listed[0], team="A"), replace(listed[1], team="A"), listed[2]]
    place.write_text("Group;Email\nA;ann@x\nA;bob@x\n")
    assert [student.team for student in read_teams(place, listed)] == ["A", "A", ""]
    place.write_text("team,id\nA,ann\nA,bob\n")
    assert [(student.key, student.team, student.listed) for student in read_teams(place, [])] == [
        ("ann", "A", True), ("bob", "A", True),
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), [
    ("team,id\nA,ann\nB,ann\n", "line 3: ann is in the team 'B', and in 'A' by line 2; one team for a person"),
    ("team,id\nA,ann\nB,Ann Lee\n", "ann is in the teams 'A' and 'B'; one team for a person"),
    ("team,id\nA; B,ann\n", "line 2: ann is in several teams (A; B); one team for a person"),
    ("team,id\nA,zed\n", "'zed' of the team 'A' is not on the list"),
    ("team,name\nA,Wei Wang\n", "'Wei Wang' of the team 'A' may be several people (w1, w2)"),
    ("id\nann\n", "needs a column team"),
])  # fmt: skip
def test_teams_that_cannot_be_are_a_sentence(tmp_path, text, sentence):
    listed = parse_roster("id,name\nann,Ann Lee\nw1,Wei Wang\nw2,Wei Wang\n", "r")
    (tmp_path / "teams.csv").write_text(text)
    with pytest.raises(UsageError) as raised:
        read_teams(tmp_path / "teams.csv", listed)
    assert sentence in str(raised.value)


@pytest.mark.timeout(900)
def test_a_team_is_graded_once_and_each_member_has_a_mark(tmp_path):
    """By the real command: one grading, three marks, points for the team and for one member; teams stay known."""
    course, out = copy_of_mini(tmp_path), tmp_path / "out"
    solution = (MINI / "solutions" / "task01_scale.py").read_bytes()
    write(tmp_path / "subs", {"ann/task01.py": solution, "cyd/task01.py": solution.replace(b"x * f", b"x + f")})
    (tmp_path / "roster.csv").write_text("id,name\nann,Ann Lee\nbob,Bob Stone\ncyd,Cyd Poe\n")
    (tmp_path / "teams.csv").write_text("team,student\nA,ann\nA,bob\n")

    def run(*arguments):
        done = grade_py(*arguments, "--out", out, cwd=course, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def marks():
        text = (out / "grades.csv").read_text(encoding="utf-8-sig")
        return {line["id"]: (line["team"], line["task01_scale"]) for line in csv.DictReader(io.StringIO(text))}

    options = ("--task", "task01", "--isolation", "standard", "--timeout-scale", "4")
    text = run(
        "batch", tmp_path / "subs", "--roster", tmp_path / "roster.csv", "--teams", tmp_path / "teams.csv", *options
    )
    assert "teams: 1; what one member handed in is everybody's" in text
    assert "2 graded now" in text
    wrong = marks()["cyd"][1]
    assert marks() == {"ann": ("A", "8"), "bob": ("A", "8"), "cyd": ("", wrong)}
    assert "**Bob Stone**, team A" in (out / "students" / "bob" / "feedback.md").read_text()
    run("override", "A", "task01", "6", "--why", "w")
    run("override", "bob", "task01", "3", "--why", "w")
    assert marks() == {"ann": ("A", "6"), "bob": ("A", "3"), "cyd": ("", wrong)}
    assert "0 graded now" in run("batch", tmp_path / "subs", *options)
    assert marks() == {"ann": ("A", "6"), "bob": ("A", "3"), "cyd": ("", wrong)}
    with Gradebook(out / "gradebook.sqlite") as book:
        assert book.db.execute("SELECT count(*) FROM gradings").fetchone() == (2,)
