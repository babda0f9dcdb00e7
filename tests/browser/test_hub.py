"""A class on a real hub: two learners and an instructor, accounts of their own, a real browser, from log-in to marks."""

import csv
import json
import sys

import pytest
from browser import new_page, opened, picture
from hub import Opened, missing, served

import fewshot_lab as lab
from fewshot_lab.course.chapters import choose

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.assets,
    pytest.mark.xdist_group("browser"),
    pytest.mark.timeout(300),
]

[CHAPTER] = choose(["00"])
HEAD = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels)"
RIGHT, WRONG = f"{HEAD}.float().mean()", f"{HEAD}.sum().item()"
FOLDER = "/srv/fewshot-lab"


@pytest.fixture(scope="module")
def hub():
    if reason := missing():
        pytest.skip(reason)
    with served({"ada": "learners", "ben": "learners", "grace": "graders"}) as hub:
        reached = hub.run("ada", sys.executable, "-c", "import fewshot_lab")
        if reached.returncode:
            pytest.skip(f"another account cannot read the course here: {reached.stderr.strip()[-300:]}")
        yield hub


def test_two_learners_answer_and_hand_in_on_a_hub_and_get_their_marks_and_neither_reads_what_is_the_others(hub, tmp_path):
    with opened() as browser:
        pages = {name: new_page(browser.new_context(), density=1) for name in ("ada", "ben")}
        for name, page in pages.items():  # both servers start at once
            log_in(page, hub, name)
        answers = {"ada": RIGHT, "ben": WRONG}
        notebooks = {}
        for name, page in pages.items():
            notebooks[name] = chapter = open_chapter(page, name)
            chapter.run(chapter.cell('lab.setup("00"'))
            answer, check = chapter.cell("The share of rows whose largest logit"), chapter.cell("lab.check(accuracy)", 1)
            chapter.write(answer, answers[name])
            chapter.run(check)
            assert ("Right" if name == "ada" else "Not yet") in check.inner_text()
            picture(chapter.page, f"hub_{name}_checked")
