"""A learner's progress: what is noted and when, what two kernels and a damaged file do to it, and the page that shows it."""

import contextlib
import http.cookiejar
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from html import escape
from pathlib import Path

import nbformat
import pytest
from places import ROOT

from fewshot_lab import CourseError, attempts, cli
from fewshot_lab.course import chapters, kernels, landing, progress
from fewshot_lab.evidence import RULES
from fewshot_lab.exercises import exercises
from fewshot_lab.languages import say, speaking

CHAPTER = (
    "# %% [markdown]\n# # 0{n} · Number {n}\n#\n# **Time:** {n}0 minutes.\n\n"
    '# %% exercise="{a}"\ndef {a}(): ...\n\n# %% exercise="{b}"\ndef {b}(): ...\n'
)


@pytest.fixture(autouse=True)
def noting(monkeypatch):
    monkeypatch.delenv("FEWSHOT_LAB_PROGRESS")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home of the course, with a person at the keyboard."""
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(attempts, "run_by_a_person", lambda: True)
    return tmp_path / "home"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two chapters with two exercises each: a and b, c and d."""
    source = tmp_path / "my course" / "notebooks" / "source"
    source.mkdir(parents=True)
    (source / "01_one.py").write_text(
        "# ---\n# jupyter:\n#   question: Is <it> so?\n# ---\n\n" + CHAPTER.format(n=1, a="a", b="b")
    )
    (source / "02_two.py").write_text(CHAPTER.format(n=2, a="c", b="d"))
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path / "my course"))
    return tmp_path / "my course"


# What is kept


def test_what_passed_once_stays_passed_and_the_last_try_is_known_too(home):
    for status in ("not attempted", "failed", "passed", "failed"):
        attempts.note("a", status)
    attempt = attempts.noted()["a"]
    assert (attempt.last, attempt.tries) == ("failed", 4)
    assert attempt.passed and attempt.passed <= attempt.tried
    attempts.note("b", "failed")
    assert attempts.noted()["b"].passed is None and attempts.noted()["a"] == attempt


def test_forgetting_is_of_the_named_only_and_can_be_taken_back_without_losing_what_came_after(home):
    for name in ("a", "b"):
        attempts.note(name, "passed")
    before = attempts.noted()
    assert attempts.forget(["a", "unheard of"]) == 1
    assert set(attempts.noted()) == {"b"}
    assert attempts.forget(["unheard of"]) == 0  # nothing was forgotten: what was before can still be taken back
    attempts.note("a", "failed")
    assert attempts.remember() == 1 and attempts.remember() == 0
    after = attempts.noted()
    assert after["b"] == before["b"]
    assert (after["a"].last, after["a"].tries, after["a"].passed) == ("failed", 2, before["a"].passed)


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"exercises": {"a": 1}, "forgotten": {}}', '{"exercises": {"a": {"last": 1, "tried": "x"}}, "forgotten": {}}'],
)
def test_a_damaged_file_is_moved_aside_with_a_message_and_noting_goes_on(home, capsys, content):
    home.mkdir()
    attempts.file().write_text(content)
    attempts.note("b", "passed")
    assert set(attempts.noted()) == {"b"}
    (aside,) = home.glob("progress.damaged-*.json")
    assert aside.read_text() == content and aside.name in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_a_line_and_no_crash(home, capsys):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file where a folder is needed")
    attempts.note("a", "passed")
    assert "Your progress was not noted. Cannot write" in capsys.readouterr().err


def test_two_processes_at_once_lose_nothing(home):
    note = "import sys; from fewshot_lab import attempts; attempts.run_by_a_person = lambda: True\n"
    note += "for i in range(15): attempts.note('both', 'failed'); attempts.note(sys.argv[1] + str(i), 'passed')"
    both = [subprocess.Popen([sys.executable, "-c", note, name], cwd=ROOT) for name in "xy"]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    kept = attempts.noted()
    assert len(kept) == 31 and kept["both"].tries == 30


# When something is noted


@pytest.mark.slow
def test_a_check_is_noted_when_a_front_end_names_the_cell_and_never_in_executed_notebooks(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    from nbclient import NotebookClient
    from nbclient.util import run_sync

    check = "import fewshot_lab as lab\ndef accuracy(logits, labels):\n    return 0.5\nlab.check(accuracy)"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(check)])
    client = NotebookClient(nb, kernel_name="python3")
    with client.setup_kernel():
        client.execute_cell(nb.cells[0], 0)  # what papermill, nbval, nbgrader and `fewshot-lab run` do
        assert "Not yet" in str(nb.cells[0].outputs) and attempts.noted() == {}
        request = client.kc.session.msg("execute_request", {"code": check, "silent": False}, metadata={"cellId": "x"})
        client.kc.shell_channel.send(request)  # what JupyterLab does
        while run_sync(client.kc.get_shell_msg)(timeout=60)["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            pass
    assert {name: attempt.last for name, attempt in attempts.noted().items()} == {"accuracy": "failed"}


def test_the_kernels_of_a_run_are_told_to_note_nothing(monkeypatch):
    cell = type("Shell", (), {"get_parent": lambda self: {"metadata": {"cellId": "x"}}})
    monkeypatch.setattr("IPython.get_ipython", cell)
    assert attempts.run_by_a_person()
    with kernels.kernel_environment("quick", "cpu"):
        assert not attempts.run_by_a_person()
    assert attempts.run_by_a_person()


def test_outside_of_a_notebook_nothing_is_noted(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    attempts.note("a", "passed")
    assert list(tmp_path.iterdir()) == []


# What the course says of itself


def test_the_chapters_sources_name_every_exercise_claim_and_the_time(monkeypatch):
    monkeypatch.delenv("FEWSHOT_LAB_COURSE", raising=False)
    for chapter in chapters.chapters():
        assert set(chapter.exercises) == {name for name, task in exercises().items() if task.chapter == chapter.id}
        assert chapter.minutes and chapter.question.endswith("?")
        time_line = re.search(r"^# \*\*Time:\*\*.*?(?=^#?$)", chapter.source.read_text(), re.M | re.S).group()
        claims = {claim.article for claim in RULES.of_chapter(chapter.id)} - {""}
        assert set(re.findall(r"\bC\d+", time_line)) == claims


# What comes next, and the command


def test_the_next_chapter_is_the_one_tried_last_then_the_first_open_one_after_it(home, course):
    def next_one() -> str:
        found = progress.following(progress.progress())
        return f"{found.chapter.id} {found.state} {found.open[0]}" if found else "none"

    said = [next_one()]
    for name, status in (("c", "failed"), ("c", "passed"), ("d", "passed"), ("b", "passed"), ("a", "passed")):
        attempts.note(name, status)
        time.sleep(0.002)  # so that the last one is later
        said.append(next_one())
    assert said == ["01 Start a", "02 Go on c", "02 Go on d", "01 Start a", "01 Go on a", "none"]
    assert [one.state for one in progress.progress()] == ["Done", "Done"]


def test_the_command_shows_forgets_after_asking_and_takes_it_back(home, course, monkeypatch, capsys):
    def command(*words: str, typed: str = "") -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["fewshot-lab", "progress", *words])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, "".join(capsys.readouterr())

    for name in ("a", "c"):
        attempts.note(name, "passed")
    assert "1 of 2" in command()[1] and "2 of 4 checks passed" in command()[1]
    shown = command("02")[1]
    assert "02 Number 2" in shown and "01 Number 1" not in shown and "2 of 4 checks passed" in shown
    assert command("02", "--undo")[0] == 1
    for typed in ("", "\n", "n\n"):
        said = command("--reset", "1", typed=typed)[1]
        assert "Forget your attempts in 01 Number 1?" in said and "Nothing was forgotten" in said and len(attempts.noted()) == 2
    assert "1 exercise(s) forgotten" in command("--reset", "1", typed="y\n")[1] and set(attempts.noted()) == {"c"}
    assert "1 exercise(s) remembered" in command("--undo")[1] and len(attempts.noted()) == 2
    assert "2 exercise(s) forgotten" in command("--reset", "--yes")[1] and attempts.noted() == {}
    assert command("--reset", "9")[0] == 1 and command("9")[0] == 1 and command("--reset", "--undo")[0] == 1


# The page


def test_the_page_escapes_what_chapters_say_and_links_respect_the_base_url_and_the_servers_folder(home, course):
    def shown(base: str, root: Path) -> str:
        return landing.landing(progress.progress(), base, str(root))

    page = shown("/user/ann/", course)
    assert "Is &lt;it&gt; so?" in page and "<it>" not in page and "10 min" in page
    assert 'href="/user/ann/notebooks/notebooks/01_one.ipynb"' in page and '"/user/ann/fewshot-lab/progress?lang=en"' in page
    assert 'href="/notebooks/my%20course/notebooks/02_two.ipynb"' in shown("/", course.parent)
    assert "01_one.ipynb" not in shown("/", home)  # a server that does not serve the course cannot open it
    assert set(re.findall(r' id="([\w-]+)"', page)) >= set(landing.live(progress.progress(), "/", str(course)))


def test_page_and_command_speak_chinese_and_what_a_kernel_notes_stays_english(home, monkeypatch, capsys):
    monkeypatch.delenv("FEWSHOT_LAB_COURSE", raising=False)
    attempts.note("accuracy", "failed")
    with speaking("zh"):
        page = landing.landing(progress.progress(), "/", str(ROOT))
        tried = landing.live(progress.progress(), "/", str(ROOT))["words-00"]["title"]
        progress.print_progress()
        for chapter in chapters.chapters():
            assert re.search("[\u4e00-\u9fff]", progress.title(chapter)) and progress.title(chapter) in page
            assert escape(say(chapter.question)) in page and chapter.question not in page
    words = re.sub("<[^>]*>", " ", page.split("<body>")[1].split("<script")[0])
    assert not set(re.findall("[A-Za-z]{3,}", words)) & {"Chapter", "Open", "Start", "passed", "checks", "min", "next"}
    said = capsys.readouterr().out
    assert re.fullmatch(r"accuracy 未通过，\d+月\d+日 \d\d:\d\d", tried)
    assert "项检查已通过 0 项" in said and "下一步" in said and "passed" not in said
    assert attempts.noted()["accuracy"].last == "failed"


def test_binder_enables_the_page(tmp_path):
    (code,) = re.findall(r'^python -c "(.*toggle_server_extension.*)"$', (ROOT / "binder" / "postBuild").read_text(), re.M)
    code = code.replace("True)", "True, user=True)")
    own = os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=own, cwd=ROOT, check=True)
    (written,) = (tmp_path / "jupyter_server_config.d").glob("*.json")
    enabled = json.loads(written.read_text())["ServerApp"]["jpserver_extensions"]
    assert [{"module": name} for name, on in enabled.items() if on] == landing._jupyter_server_extension_points()


@pytest.fixture
def served(home, course, tmp_path):
    """Asks the JupyterLab that `fewshot-lab lab` starts, below a base URL: ask(path, token, cookies) gives (status, text)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["lab", "--no-browser", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root"]
    words += ["--IdentityProvider.token=secret", "--ServerApp.base_url=/user/ann/"]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    log = tmp_path / "log"

    def ask(path: str, token: str = "secret", cookies: http.cookiejar.CookieJar | None = None) -> tuple[int, str]:
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/user/ann/{path}", headers={"Authorization": f"token {token}"}
        )
        try:
            with browser.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    with open(log, "w") as file:
        lab = subprocess.Popen([sys.executable, "-m", "fewshot_lab", *words], stdout=file, stderr=file, env=os.environ | own)
    try:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            assert lab.poll() is None, log.read_text()
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                ask("api")
                break
            time.sleep(0.1)
        assert f":{port}/user/ann/fewshot-lab" in log.read_text(), "the page is what the browser opens first"
        yield ask
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait(timeout=20)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_the_served_page_shows_progress_as_it_is_now_to_whoever_has_the_token(served):
    status, page = served("fewshot-lab")
    assert status == 200 and "0 of 4 checks passed" in page and 'href="/user/ann/notebooks/notebooks/01_one.ipynb"' in page
    attempts.note("c", "passed")
    news = json.loads(served("fewshot-lab/progress")[1])
    assert news["all-words"]["text"] == "1 of 4 checks passed" and news["bar-02"] == {"value": "1", "max": "2"}
    assert news["go-02"] == {
        "text": "Go on",
        "href": "/user/ann/notebooks/notebooks/02_two.ipynb",
        "target": "fewshot-lab-02",
    }
    assert 'value="1" max="2"' in served("fewshot-lab/")[1]
    claims = served("fewshot-lab/claims")[1]
    assert "<div class='forest'>" in claims and RULES.claims["C3a"].sentence in claims
    assert served("lab/tree/notebooks")[0] == served("notebooks/notebooks/01_one.ipynb")[0] == 200
    cookies = http.cookiejar.CookieJar()
    assert '<html lang="en"' in served("fewshot-lab?lang=fr", cookies=cookies)[1]
    for path in ("fewshot-lab?lang=zh", "fewshot-lab", "fewshot-lab/?lang=fr"):  # what was chosen once stays chosen
        page = served(path, cookies=cookies)[1]
        assert '<html lang="zh"' in page and "4 项检查已通过 1 项" in page and 'progress?lang=zh"' in page
    assert "继续" in json.loads(served("fewshot-lab/progress?lang=zh")[1])["go-02"]["text"]
    assert "全部论断" in served("fewshot-lab/claims", cookies=cookies)[1]
    assert '<html lang="en"' in served("fewshot-lab?lang=en", cookies=cookies)[1]
    assert '<html lang="en"' in served("fewshot-lab")[1]  # for others it is what the server speaks
    status, page = served("fewshot-lab", token="wrong")
    assert "checks passed" not in page and served("fewshot-lab/progress", token="wrong")[0] == 403


def test_a_course_that_cannot_be_read_is_an_error_that_says_what_to_do(home, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_COURSE", str(tmp_path / "nowhere"))
    with pytest.raises(CourseError, match="no folder notebooks/"):
        progress.progress()
