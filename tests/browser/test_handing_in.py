"""Handing in from the page of chapters, in a real JupyterLab and browser: what is missing is told, one file comes of it."""

import json
import re
import zipfile

import pytest
from browser import PICTURES, new_page, opened, served, violations

from fewshot_lab.grading.submissions import collect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
RIGHT = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).float().mean().item()\n"


@pytest.mark.parametrize("into_the_class_folder", [False, True])
def test_a_learner_hands_in_from_the_page_of_chapters(tmp_path, monkeypatch, into_the_class_folder):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    for name in ("FEWSHOT_LAB_HAND_IN", "FEWSHOT_LAB_NAME", "JUPYTERHUB_USER"):
        monkeypatch.delenv(name, raising=False)
    if into_the_class_folder:
        (tmp_path / "class").mkdir()
        monkeypatch.setenv("FEWSHOT_LAB_HAND_IN", str(tmp_path / "class"))
    with served(tmp_path / "lab") as lab, opened() as browser:
        page = new_page(browser, density=1)
        page.set_default_timeout(240_000)  # a process of its own loads the grader
        page.goto(f"{lab.address}/fewshot-lab?token={lab.token}")
        page.get_by_role("link", name="Hand in").click()
        # The browser leaves the page that asks for patience as soon as the next one is there: read as the server sends it.
        waiting = page.request.get(f"{lab.address}/fewshot-lab/hand-in").text()
        assert re.search(r"<p role=.?status.?>Looking through your notebooks", waiting)
        assert "No answer is saved yet" in page.locator("[role=alert]").inner_text()
        copy = lab.course / "work" / "00_start_here.ipynb"
        nb = json.loads(copy.read_text())
        [cell] = [cell for cell in nb["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == "accuracy"]
        cell["source"] = RIGHT
        copy.write_text(json.dumps(nb))
        page.reload()
        said = page.locator("pre").inner_text()
        assert "1 of 3" in said and "Missing:" in said and "interval" in said
        assert violations(page) == []
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / "hand_in.png")
        page.get_by_label("Your name").fill("--Ada <b>Lovelace</b>")
        page.get_by_role("button", name="Hand in now").click()
        done = page.locator("pre[role=status]").inner_text()
        assert "--Ada <b>Lovelace</b>" in done and "sha256" in done
        page.screenshot(path=PICTURES / "handed_in.png")
        if into_the_class_folder:
            [file] = (tmp_path / "class").iterdir()
        else:
            with page.expect_download() as download:
                page.get_by_role("link", name="Download the file").click()
            file = tmp_path / download.value.suggested_filename
            download.value.save_as(file)
            assert file.name.startswith("--Ada_b_Lovelace_b-00-") or file.name.startswith("Ada")
        assert zipfile.is_zipfile(file)
        [found] = collect(file)
        assert found.student == "--Ada <b>Lovelace</b>" and found.answers["accuracy"] == RIGHT
        page.goto(f"{lab.address}/fewshot-lab/hand-in?lang=zh")
        assert page.locator("input[name=name]").input_value() == "--Ada <b>Lovelace</b>", "the name is known the next time"
        assert page.locator("button").inner_text() == "现在提交"
        page.close()
