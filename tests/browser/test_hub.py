"""A class on a real hub: two learners and an instructor, accounts of their own, a real browser, from log-in to marks.

Pictures of what was seen are left in runs/browser/. Where the accounts or the hub cannot be had the test says what is missing.
"""

import csv
import io
import json
import re
import sys
import time
from collections.abc import Callable

import pytest
from browser import new_page, opened, picture
from hub import Hub, Opened, missing, served

from fewshot_lab.course.chapters import choose

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.assets,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(900),
]

[CHAPTER] = choose(["00"])
HEAD = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels)"
ANSWERS = {"ada": f"{HEAD}.float().mean()", "ben": f"{HEAD}.sum().item()"}
SAID = {"ada": "Right", "ben": "Not yet"}
SHARED = "/srv/fewshot-lab"
ASSET = "from fewshot_lab.assets import fetch\nprint(fetch('fashion'))"
HAND_IN = "print(lab.hand_in())"
UPDATED = "A sentence that came later."


@pytest.fixture(scope="module")
def hub():
    if reason := missing():
        pytest.skip(reason)
    with served({"ada": "learners", "ben": "learners", "grace": "graders"}) as hub:
        tried = hub.run("ada", sys.executable, "-c", "import fewshot_lab")
        if tried.returncode:
            pytest.skip(f"another account cannot read the course here: {tried.stderr.strip()[-300:]}")
        yield hub


def test_two_learners_answer_and_hand_in_and_get_marks_and_neither_reads_the_others_work(hub):
    with opened() as browser:
        pages = {name: new_page(browser, density=1) for name in (*ANSWERS, "grace")}
        for name, page in pages.items():  # the servers start at the same time
            log_in(page, hub, name)
        for name in ANSWERS:
            answer_and_hand_in(pages[name], hub, name)
        marks = graded(hub, pages["grace"])
        assert {name: float(marks[name]["accuracy"]["score"]) for name in ANSWERS} == {"ada": 1, "ben": 0}
        for name, other in (("ada", "ben"), ("ben", "ada")):
            nothing_of_the_others_is_read(hub, name, other)
        a_newer_text_keeps_the_answer(hub, pages["ada"], "ada")


def log_in(page, hub: Hub, name: str) -> None:
    page.goto(hub.address)
    page.locator("#username_input").fill(name)
    page.locator("#password_input").fill(hub.passwords[name])
    if name == "ada":
        picture(page, "hub_log_in")
    page.locator("#login_submit").click()


def answer_and_hand_in(page, hub: Hub, name: str) -> None:
    """From the page of chapters, which is the first that a learner sees, to the receipt."""
    page.wait_for_url(f"**/user/{name}/fewshot-lab**")
    picture(page, f"hub_{name}_chapters")
    with page.expect_popup() as popup:
        page.locator("#next-link").click()
    opens, work = popup.value, f"work/{CHAPTER.notebook.name}"
    opens.wait_for_url(f"**/user/{name}/notebooks/{work}**")
    opens.goto(f"{hub.address}/user/{name}/lab/tree/{work}")  # the same file in JupyterLab, which tells when it is saved
    chapter = Opened(opens)
    for beginning in ('PROFILE = "quick"', 'lab.setup("00"'):  # as after each start of a kernel
        chapter.run(chapter.cell(beginning))
    answer, check = chapter.cell("The share of rows whose largest logit"), chapter.cell("lab.check(accuracy)", 1)
    chapter.write(answer, ANSWERS[name])
    chapter.run(check)
    assert SAID[name] in check.inner_text()
    picture(chapter.page, f"hub_{name}_checked")
    chapter.page.keyboard.press("Control+s")
    chapter.page.locator(".lm-TabBar-tab.jp-mod-current.jp-mod-dirty").wait_for(state="detached")
    assert f"{SHARED}/cache/assets/fashion" in chapter.write_below(ASSET)
    said = chapter.write_below(HAND_IN)
    assert re.search(rf"{name}-00-\S+\.zip", said), said
    assert chapter.errors() == []
    picture(chapter.page, f"hub_{name}_handed_in")
    chapter.page.keyboard.press("Control+s")
    chapter.page.locator(".lm-TabBar-tab.jp-mod-current.jp-mod-dirty").wait_for(state="detached")
    chapter.page.close()


def graded(hub: Hub, page) -> dict[str, dict[str, dict[str, str]]]:
    """What the instructor's grading gives, typed on the hub without root's rights: {student: {question: row of the table}}."""
    grades = hub.srv / "home" / "grace" / "fewshot-lab" / "grades"
    type_into_terminal(
        page, hub, "grace", f"fewshot-lab grade {SHARED}/hand-in --out fewshot-lab/grades", (grades / "summary.html").exists
    )
    picture(page, "hub_grace_graded")
    marks: dict = {}
    for row in csv.DictReader(io.StringIO((grades / "questions.csv").read_text("utf-8-sig"))):
        marks.setdefault(row["student"], {})[row["question"]] = row
    assert {path.name for path in (hub.srv / "fewshot-lab" / "hand-in").iterdir()} == set(ANSWERS)
    assert set(marks) == set(ANSWERS) == {path.stem for path in grades.glob("feedback/*.html")}
    page.goto(hub.address + "/user/grace/files/grades/summary.html")
    picture(page, "hub_grace_summary")
    return marks


def type_into_terminal(page, hub: Hub, name: str, command: str, done: Callable[[], bool]) -> None:
    """Types a command into a terminal of the user's JupyterLab, and waits until it has done its work."""
    page.goto(f"{hub.address}/user/{name}/lab?reset")
    page.locator(".jp-LauncherCard", has_text="Terminal").click()
    page.locator(".jp-Terminal-body .xterm-screen").click()
    page.wait_for_timeout(1000)  # until the shell's prompt is there
    page.keyboard.type(command + "\n")
    end = time.monotonic() + 300
    while not done():
        if time.monotonic() > end:
            picture(page, "hub_terminal")
            raise AssertionError(f"`{command}` does not end: see runs/browser/hub_terminal.png")
        page.wait_for_timeout(200)


def nothing_of_the_others_is_read(hub: Hub, name: str, other: str) -> None:
    [handed_in] = (hub.srv / "fewshot-lab" / "hand-in" / other).iterdir()
    copy = f"/srv/home/{other}/fewshot-lab/work/{CHAPTER.notebook.name}"
    refused = {
        "lists who handed in": ["ls", f"{SHARED}/hand-in"],
        "lists a hand-in": ["ls", f"{SHARED}/hand-in/{other}"],
        "reads a hand-in whose name is known": ["cat", f"{SHARED}/hand-in/{other}/{handed_in.name}"],
        "hands in for somebody else": ["touch", f"{SHARED}/hand-in/{other}/{other}-00-2030-01-01T000000Z.zip"],
        "makes a folder of somebody else's": ["mkdir", f"{SHARED}/hand-in/eve"],
        "reads a copy": ["cat", copy],
        "lists a home": ["ls", f"/srv/home/{other}"],
        "reads the marks": ["cat", "/srv/home/grace/fewshot-lab/grades/grades.csv"],
        "changes the course": ["touch", f"{SHARED}/course/notebooks/{CHAPTER.notebook.name}"],
        "changes the cache": ["touch", f"{SHARED}/cache/x"],
        "reads the hub's database": ["cat", f"{SHARED}/hub/jupyterhub.sqlite"],
    }
    assert [what for what, words in refused.items() if hub.run(name, *words).returncode == 0] == []
    mine = [f"{SHARED}/hand-in/{name}", f"/srv/home/{name}/fewshot-lab/work/{CHAPTER.notebook.name}"]
    assert hub.run(name, "ls", *mine).returncode == 0
    assert hub.run("grace", "cat", f"{SHARED}/hand-in/{other}/{handed_in.name}", text=False).returncode == 0
    assert hub.run("grace", "touch", f"{SHARED}/hand-in/{other}/x").returncode != 0
    assert hub.run("grace", "cat", copy).returncode != 0


def a_newer_text_keeps_the_answer(hub: Hub, page, name: str) -> None:
    """The course is updated in one place; the learner is told, and takes the new text when it suits."""
    shared = hub.srv / "fewshot-lab" / "course" / "notebooks" / CHAPTER.notebook.name
    nb = json.loads(shared.read_text())
    nb["cells"][0]["source"] = "".join(nb["cells"][0]["source"]) + f"\n\n{UPDATED}"
    shared.write_text(json.dumps(nb))
    own = hub.srv / "home" / name / "fewshot-lab" / "work" / CHAPTER.notebook.name
    page.reload()
    page.get_by_text("The course has a newer text of: 00").wait_for()
    picture(page, "hub_newer_text")
    assert UPDATED not in own.read_text()

    type_into_terminal(page, hub, name, "fewshot-lab update 00", lambda: UPDATED in own.read_text())
    picture(page, "hub_updated")
    text = own.read_text()
    assert json.dumps(ANSWERS[name].splitlines()[1])[1:-1] in text
    assert list(own.parent.glob(f"before/*/{own.name}"))
