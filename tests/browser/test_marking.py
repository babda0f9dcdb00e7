"""by_hand.html in a real browser, by keys and by mouse: marks are kept, checked and saved as the grader reads them."""

import csv

import pytest
from browser import PICTURES, new_page, violations

from fewshot_lab.grading import by_hand
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.grade import Graded, Mark
from fewshot_lab.grading.report import write_report

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]
SCRIPT = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
TEXTS = {
    "Ada Lovelace": "I would use **small rotations** (up to 15 degrees) and shifts:\n\n- no flips, since *b* becomes *d*\n- "
    "elastic warps last\n\n| policy | gain |\n|---|---|\n| rotation | 2x |\n\nI stop when the interval of the gain holds 0.",
    "Alan Turing": f"Everything at full strength. {SCRIPT} [more](javascript:alert(1))",
    "Emmy Noether": "Symmetries first: which transformations keep the label? Those, and `none` as the control.",
}


def graded(student: str) -> Graded:
    [question] = [q.grade_id for q in assignment("02").questions if q.exercise is None]
    mark = Mark(question, "augmentation plan", 0, 3, "by hand")
    return Graded(student, "02", "x", "", "graded", [mark], answers={question: TEXTS[student]})


@pytest.fixture
def out(tmp_path):
    write_report([graded(student) for student in TEXTS], tmp_path)
    return tmp_path


def scores(page) -> list[str]:
    return page.locator("input[name=score]").evaluate_all("all => all.map((it) => it.value)")


def test_answers_are_marked_by_keys_saved_and_read_back(browser, out):
    page = new_page(browser, density=1)
    problems = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((out / "by_hand.html").as_uri())
    assert page.title() == "To mark by hand" and not any(name in page.content() for name in TEXTS)
    assert page.locator(".text strong").first.inner_text() == "small rotations" and page.locator(".text table").count() == 1
    assert page.locator(".rubric").inner_text().startswith("What the course expects")
    page.keyboard.press("2")
    page.keyboard.press(".")
    page.keyboard.press("c")
    page.keyboard.type('Say "how" strong,\nj and 3 are words here.')
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("9")
    assert page.locator(".wrong").nth(1).inner_text() == "a number from 0 to 3"
    page.keyboard.press("k")
    page.keyboard.press("s")
    assert page.locator(".answer.now").get_attribute("id") == page.locator(".answer").nth(1).get_attribute("id"), (
        "a score that does not fit is not saved: the page goes there"
    )
    page.keyboard.press("0")
    page.keyboard.press("n")
    assert page.locator(".answer.now h3").inner_text().startswith("Answer 3 of 3")
    assert page.locator("#done").inner_text() == "2 of 3 marked, not saved yet"
    page.reload()
    assert scores(page) == ["2.5", "0", ""], "kept in this browser until they are saved"
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "by_hand.png")
    assert violations(page) == []
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename == "marks.csv"
    download.value.save_as(out / "marks.csv")
    assert page.locator("#done").inner_text() == "2 of 3 marked"
    rows = list(csv.DictReader((out / "marks.csv").open(encoding="utf-8-sig", newline="")))
    assert [row["score"] for row in rows] == ["2.5", "0"] and rows[0]["comment"] == 'Say "how" strong,\nj and 3 are words here.'
    everyone = [graded(student) for student in TEXTS]
    assert by_hand.take_marks(out / "marks.csv", everyone, out) == []
    write_report(everyone, out)
    marks = {row["student"]: row["score"] for row in csv.DictReader((out / "grades.csv").open())}
    order = sorted(everyone, key=lambda one: by_hand.answer_id(one, one.marks[0]))
    assert [marks[one.student] for one in order] == ["2.5", "0", "0"]
    assert not [text for text in problems if "Content Security Policy" not in text], problems
    page.close()


def test_the_page_shows_what_was_marked_before_and_fits_a_phone(browser, out):
    ids = {by_hand.answer_id(one, one.marks[0]): one.student for one in map(graded, TEXTS)}
    (out / "marks.csv").write_text("answer,score,comment\n" + "".join(f"{id},1,Good.\n" for id in ids))
    by_hand.take_marks(out / "marks.csv", [graded(student) for student in TEXTS], out)
    write_report([graded(student) for student in TEXTS], out, names=True)
    page = new_page(browser, width=390, height=800, density=1)
    page.goto((out / "by_hand.html").as_uri())
    assert scores(page) == ["1", "1", "1"] and page.locator("#done").inner_text() == "3 of 3 marked"
    assert page.locator("h3").first.inner_text().startswith(ids[page.locator(".answer").first.get_attribute("id")])
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=PICTURES / "by_hand_phone.png")
    page.close()


def test_the_summary_shows_students_by_questions(browser, out):
    page = new_page(browser, density=1)
    page.goto((out / "summary.html").as_uri())
    page.locator("summary", has_text="Students by questions").click()
    assert page.locator("td", has_text="?").first.is_visible() and violations(page) == []
    page.screenshot(path=PICTURES / "summary.png", full_page=True)
    page.close()
