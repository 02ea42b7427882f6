"""The class's page in a real browser: it renders, sorts, filters, links work, and nothing runs that is not ours."""

import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from class_support import EVIL, TASKS, make_class, marks_of

from torchgrade import i18n
from torchgrade.marks import Row
from torchgrade.policy import Policy
from torchgrade.report.charts import histogram_svg
from torchgrade.report.class_report import ClassFacts, TrackPart, class_report
from torchgrade.sums import total

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,1600",
)  # fmt: skip
pytestmark = pytest.mark.bare


def page_of(size=40):
    students, rows = make_class(size)
    links = {student.key: f"students/{number}/feedback.html" for number, student in enumerate(students)}
    facts = ClassFacts(f"A course {EVIL}", "2025-01-01", {"torch": "2.13"}, links, [("task02_pooling", EVIL)], 3, 2)
    return class_report(students, rows, TASKS, marks_of(rows, Policy(passing=0.5, drop_lowest=1)), facts)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    (folder / "students" / "3").mkdir(parents=True)
    (folder / "students" / "3" / "feedback.html").write_text("<title>feedback of 3</title>")
    (folder / "report.html").write_text(page_of(), encoding="utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("chromium and chromedriver are not installed (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


@pytest.fixture
def opened(browser, page):
    browser.get(page.as_uri())
    yield browser
    errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def column(browser, table, number):
    rows = "document.querySelectorAll(`#${arguments[0]} tbody tr`)"
    script = f"return Array.from({rows}, row => row.cells[arguments[1]].innerText)"
    return browser.execute_script(script, table, number)


def visible(browser, table):
    script = (
        "return Array.from(document.querySelectorAll(`#${arguments[0]} tbody tr`)).filter(r => r.offsetHeight).length"
    )
    return browser.execute_script(script, table)


def test_it_renders_and_nothing_of_a_student_runs(opened):
    """Every section is there, and the hostile name is text."""
    assert [heading.text for heading in opened.find_elements("css selector", "h2")] == [
        "Scores", "Students", "What to teach next", "Zeros, by reason", "Checks", "What stands out", "Our own faults",
    ]  # fmt: skip
    assert len(opened.find_elements("css selector", "script")) == 1
    assert len(opened.find_elements("css selector", "#students tbody tr")) == 40
    assert any("<script>alert" in name for name in column(opened, "students", 0))
    assert opened.find_element("css selector", "svg.histogram").get_attribute("aria-label").startswith("Students by")
    assert len(opened.find_elements("css selector", "svg.histogram rect")) == 10
    assert opened.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_a_script_that_slipped_in_would_not_run(browser, page, tmp_path):
    """The policy in the page allows our script by its hash, and no other."""
    text = page.read_text(encoding="utf-8").replace("</main>", "<script>document.title = 'owned'</script></main>")
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.title != "owned"
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_columns_sort_by_mouse_and_by_keyboard(opened):
    """Up, then down; what is open stays last either way; a screen reader is told the order."""
    from selenium.webdriver.common.keys import Keys

    header = opened.find_element("css selector", "#students thead th:last-child")
    header.find_element("tag name", "button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    up = column(opened, "students", 5)
    header.find_element("tag name", "button").send_keys(Keys.ENTER)
    assert header.get_attribute("aria-sort") == "descending"
    down = column(opened, "students", 5)
    numbers = [float(text) for text in up if text != "open"]
    assert numbers == sorted(numbers)
    assert [float(text) for text in down if text != "open"] == numbers[::-1]
    assert up[-1] == down[-1] == "open"
    rates = opened.find_element("xpath", "//table[@id='checks']//th[contains(., 'pass rate')]")
    rates.find_element("tag name", "button").click()
    shown = [int(text) for text in column(opened, "checks", 4) if text]
    assert shown == sorted(shown)


def test_filters_narrow_and_say_how_much(opened):
    """By words and by status; the count is announced."""
    from selenium.webdriver.support.select import Select

    form = opened.find_element("css selector", "form[data-table=students]")
    status = form.find_element("css selector", "[role=status]")
    assert status.text == "40 of 40 shown"
    words = form.find_element("name", "words")
    words.send_keys("s0007 STUDENT")
    assert (visible(opened, "students"), status.text) == (1, "1 of 40 shown")
    words.clear()
    words.send_keys("zzz")
    assert status.text == "0 of 40 shown"
    words.clear()
    words.send_keys(" ")
    assert status.text == "40 of 40 shown"
    Select(form.find_element("name", "section")).select_by_value("b")
    assert status.text == "20 of 40 shown"
    Select(form.find_element("name", "section")).select_by_value("a")
    assert status.text == "19 of 40 shown"
    Select(form.find_element("name", "section")).select_by_value("b")
    Select(form.find_element("name", "choice")).select_by_value("broken")
    assert status.text == "1 of 40 shown"
    checks = opened.find_element("css selector", "form[data-table=checks]")
    Select(checks.find_element("name", "choice")).select_by_value("task02_pooling")
    assert visible(opened, "checks") == 3


def test_a_click_leads_to_the_feedback(opened):
    opened.find_element("xpath", "//a[@href='students/3/feedback.html']").click()
    assert opened.title == "feedback of 3"


def test_misconceptions_come_with_their_people_and_zeros_with_their_reason(opened):
    """How many, of how many, whose; a zero set by hand, or one student's own slip, is not among them."""
    first = opened.find_element("xpath", "//section//details[contains(., 'by N - 1, not by N')]")
    count, verdicts = re.match(r"(\d+)/(\d+) the mean", first.text).groups()
    first.find_element("tag name", "summary").click()
    assert len(first.find_elements("css selector", "p a")) == int(count) <= int(verdicts) < 40
    groups = {
        group.text.partition(" ")[2]: int(group.text.partition(" ")[0])
        for group in opened.find_elements("css selector", "#zeros ~ details summary")
    }
    assert groups["Nothing came"] == 1
    assert groups["Something came that cannot be read"] == 1
    unreadable = opened.find_element("xpath", "//details[summary[contains(., 'Something came')]]")
    unreadable.find_element("tag name", "summary").click()
    assert "damaged" in unreadable.find_element("tag name", "li").text


def test_keyboard_and_screen_reader(opened):
    """Every control has a name, tables have captions and scopes, the tab key reaches content in order."""
    from selenium.webdriver.common.keys import Keys

    body = opened.find_element("tag name", "body")
    body.send_keys(Keys.TAB)
    assert opened.switch_to.active_element.text == "to the content"
    reached = set()
    for _ in range(12):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        reached.add(opened.switch_to.active_element.tag_name)
    assert {"a", "input", "select"} <= reached
    for control in opened.find_elements("css selector", "input, select, button, a"):
        assert control.accessible_name.strip() or not control.is_displayed()
    for table in opened.find_elements("tag name", "table"):
        assert table.find_element("tag name", "caption").text
    assert opened.execute_script("return document.querySelectorAll('th:not([scope])').length") == 0
    regions = opened.find_elements("css selector", "[role=region]")
    assert all(region.get_attribute("tabindex") == "0" for region in regions)


def luminance(colour):
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_in_light_and_dark(opened, scheme):
    """WCAG AA, 4.5 to 1, for text, links, statuses and every colour of the heat map."""
    feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
    script = """
        const paper = getComputedStyle(document.body).backgroundColor;
        const cells = [];
        for (const level of [0,1,2,3,4,5,6,7,8,9,10]) {
          const cell = document.createElement('td'); cell.className = 'heat h' + level;
          document.querySelector('#students tbody tr').append(cell);
          const style = getComputedStyle(cell); cells.push([style.color, style.backgroundColor]);
          cell.remove();
        }
        const words = Array.from(document.querySelectorAll('p, a, .dim, .facts span'), e =>
        [getComputedStyle(e).color, paper]); return [paper, cells.concat(words)];
    """
    paper, pairs = opened.execute_script(script)
    assert (luminance(paper) < 0.2) == (scheme == "dark")
    assert min(contrast(*pair) for pair in pairs) >= 4.5
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_prints_on_pages_without_controls(opened):
    """The PDF that the browser makes has every student, and no filter."""
    from selenium.webdriver.common.print_page_options import PrintOptions

    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not opened.find_element("css selector", "form[data-table=students]").is_displayed()
    assert opened.execute_script("return getComputedStyle(document.querySelector('.scroll')).overflowY") == "visible"
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert len(opened.print_page(PrintOptions())) > 10_000
    assert opened.execute_script("return document.querySelectorAll('details:not([open])').length") == 0


def test_it_asks_for_nothing_from_outside(page):
    """No address but relative ones of our own: the file is complete."""

    class Reader(HTMLParser):
        found: tuple[str, ...] = ()

        def handle_starttag(self, tag, attrs):
            self.found += tuple(value for name, value in attrs if name in ("href", "src", "action", "data"))

    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"#[a-z-]+|students/\d+/feedback\.html|\w+\.csv|data:,", link) for link in reader.found)
    style = page.read_text(encoding="utf-8")
    assert "url(" not in style
    assert "@import" not in style


def test_a_screenshot(opened, tmp_path):
    """Kept where TORCHGRADE_SCREENSHOTS says, to be looked at."""
    folder = Path(os.environ.get("TORCHGRADE_SCREENSHOTS", tmp_path))
    for scheme in ("light", "dark"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        place = folder / f"report-{scheme}.png"
        assert opened.save_screenshot(str(place))
        assert place.stat().st_size > 30_000
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.slow
def test_five_thousand_students_open_in_three_seconds(browser, tmp_path):
    """The browser's own work, in processor time, so that a busy machine does not matter; rows come as asked for."""
    place = tmp_path / "report.html"
    place.write_text(page_of(5000), encoding="utf-8")
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.get(place.as_uri())
    status = browser.find_element("css selector", "form[data-table=students] [role=status]")
    assert status.text == "300 of 5000 shown"
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    print({entry["name"]: entry["value"] for entry in metrics if "Duration" in entry["name"]})
    assert next(entry["value"] for entry in metrics if entry["name"] == "TaskDuration") < 3
    browser.find_element("css selector", "#students thead th:last-child button").click()
    browser.find_element("css selector", "form[data-table=students] button").click()
    assert status.text == "5000 of 5000 shown"
    assert visible(browser, "students") == 5000


def test_an_empty_class_has_a_page():
    facts = ClassFacts("c", "now", {}, {})
    text = class_report([], [], [], {}, facts)
    assert "No totals yet" in text
    assert "<b>0</b> students" in text
    assert "&lt;b&gt;" in histogram_svg([1], ["<b>"])


def test_what_is_half_done_shows_its_points_and_what_is_untouched_a_word():
    students, task = make_class(8)[0][-3:], TASKS[0]
    verdicts = [("todo", 4.0), ("todo", 0.0), ("missing", 0.0)]
    found = [
        Row(who.key, task.task, *verdict, task.max_points) for who, verdict in zip(students, verdicts, strict=True)
    ]
    marks = {row.student: total([row], [task], Policy()) for row in found}
    text = class_report(students, found, [task], marks, ClassFacts("c", "now", {}, {}))
    assert re.findall(r'<td class="heat[^>]*>\s*([^<\s]+)', text)[:3] == ["4", "todo", "missing"]


def test_in_another_language_the_whole_page_is():
    """Headings, captions, filters, statuses and reasons; what is the course's own comes from its catalogue."""
    with i18n.speaking("zh_CN"):
        text = page_of(12)
    assert '<html lang="zh-CN"' in text
    for word in (
        "接下来该讲什么",
        "按原因归类的零分",
        "什么也没交",
        "区分度",
        'data-shown="显示 {count}/{all}"',
        "未提交",
    ):
        assert word in text
    shown = re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]*>", " ", text, flags=re.S)
    for word in ("Students", "Checks", "pass rate", "missing", "Nothing came", "stands out", "shown"):
        assert word not in shown, word


def test_each_track_has_a_part_of_the_page():
    """An overview with a column for each track; the tasks stand in the track's own table."""
    students, rows = make_class(12)
    tracks = [TrackPart("Firsts & more", TASKS[:1]), TrackPart("Others", TASKS[1:])]
    text = class_report(
        students, rows, TASKS, marks_of(rows, Policy()), ClassFacts("A course", "2025-01-01", {}, {}), tracks
    )
    overview = text[text.index('<table id="students">') : text.index('<section aria-labelledby="tracks">')]
    assert "Firsts &amp; more" in overview
    assert "/6<" in overview
    assert "/12<" in overview
    assert "task01" not in overview[: overview.index("</thead>")]
    parts = text[
        text.index('<section aria-labelledby="tracks">') : text.index('<section aria-labelledby="checks-title">')
    ]
    assert parts.count("<table>") == 2
    assert parts.count("<tr>") == 2 * (1 + 12)
    first, second = parts.split("</details>")[:2]
    assert "task01" in first
    assert "task02" not in first
    assert "task02" in second
    assert "task03" in second
    known = {row.student: row.points for row in rows if row.task == TASKS[0].task}
    for student in students:
        line = next(line for line in overview.splitlines() if student.key.lower() in line)
        points = known[student.key]
        assert f'data-v="{"" if points is None else f"{points:g}"}">' in line


def test_the_class_can_be_filtered_by_the_marks_of_its_cells():
    """Late, set by hand and left out: whoever has one is found by it, and a mark that nobody has is no choice."""
    students, rows = make_class(12)
    marks = marks_of(rows, Policy(drop_lowest=1))
    text = class_report(students, rows, TASKS, marks, ClassFacts("c", "now", {}, {}))
    chosen = {
        key: set(found.split())
        for key, found in re.findall(r'<tr data-text="(s\d+) [^"]*"[^>]* data-choice="([^"]*)"', text)
    }
    by_hand = {row.student for row in rows if row.override}
    assert {key for key, found in chosen.items() if "by_hand" in found} == by_hand
    assert {key for key, found in chosen.items() if "left_out" in found} == {
        key for key in chosen if marks[key].dropped
    }
    assert '<option value="late">late</option>' in text
    plain = class_report(students[3:], [row for row in rows if row.student in {s.key for s in students[3:]}], TASKS, {
        key: mark for key, mark in marks_of(rows, Policy()).items() if key in {s.key for s in students[3:]}
    }, ClassFacts("c", "now", {}, {}))  # fmt: skip
    assert 'option value="by_hand"' not in plain
    assert 'option value="left_out"' not in plain
