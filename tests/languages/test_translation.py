"""Languages: no text lacks its translation, what is shown is Chinese, records stay English, the glossary is whole."""

import ast
import dataclasses
import functools
import json
import os
import re
import shutil
import string
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from places import ROOT
from po_template import FOLDER, needed, read, update

import fewshot_lab as lab
from fewshot_lab import cli
from fewshot_lab.checking import examine
from fewshot_lab.course.chapters import chapters
from fewshot_lab.course.page import page
from fewshot_lab.data import glosses, strokes
from fewshot_lab.evidence import RULES
from fewshot_lab.evidence.ledger import ledger
from fewshot_lab.evidence.runs import read_run
from fewshot_lab.exercises import exercises
from fewshot_lab.grading.grade import Graded, Mark, MarkStatus
from fewshot_lab.grading.pages import feedback_page, marking_page, summary_page
from fewshot_lab.languages import glossary, opening, texts
from fewshot_lab.training.progress import NotebookBar

CHINESE = re.compile("[\u4e00-\u9fff]")
FAMILIES = re.compile("[\u4e00-\u9fff].*[,;?!]($|[\u4e00-\u9fff])")  # English punctuation between Chinese words
# Names, and texts that only join others: they have no Chinese words of their own.
ALIKE = {"Mixup", "SimCLR", "ε", "randaugment", "trivialaugment", "eda", "VAEs", "GANs"}
ALIKE |= {
    "{passed} of {total}",
    "{exercise} {status}, {day} {time}",
    "{title}: {word}.",
    "{name}: {what}.",
    "“{sentence}”: {found}. {told}",
    "{sign} {name}: {entity}",
    "{words}.",
    " and ",
    "{attempted} of {total}",
}


@pytest.fixture(autouse=True)
def english_before_and_after(monkeypatch):
    monkeypatch.delenv("FEWSHOT_LAB_LANGUAGE", raising=False)
    monkeypatch.setattr(texts, "_chosen", None)


@pytest.fixture
def chinese(english_before_and_after):
    lab.language("zh")


# --- Every text has its translation


@functools.cache
def entries(name: str = "zh") -> list:
    return [message for message in read(FOLDER / f"{name}.po") if message.id]


def test_every_language_is_a_file_that_names_itself():
    assert {"en": "English", "zh": "中文"}.items() <= texts.KNOWN.items()
    assert set(texts.KNOWN) - {"en"} == {path.stem for path in FOLDER.glob("*.po")}


@pytest.mark.parametrize("name", [name for name in texts.KNOWN if name != "en"])
def test_every_text_has_its_translation_and_no_entry_is_left_over(name):
    there, wanted = [(message.context, message.id) for message in entries(name)], needed()
    assert len(there) == len(set(there))
    assert wanted.keys() - set(there) == set(), f"add these to fewshot_lab/languages/{name}.po: make texts"
    assert set(there) - wanted.keys() == set(), f"no text needs these entries of fewshot_lab/languages/{name}.po: make texts"
    for message in entries(name):
        assert message.string and not message.fuzzy, message.id
        assert places(message.id) == places(message.string), message.id


def places(text: str) -> list:
    return sorted((name, form) for _, name, form, _ in string.Formatter().parse(text) if name is not None)


def test_chinese_is_chinese_down_to_its_punctuation():
    for message in entries("zh"):
        assert CHINESE.search(message.string) or message.id in ALIKE or message.context == "term", message.id
        assert not FAMILIES.search(message.string), message.string


def test_make_texts_begins_a_language_and_keeps_what_is_translated(tmp_path):
    path = tmp_path / "de.po"
    assert update(path) == (len(needed()), 0)
    begun = path.read_text(encoding="utf-8")
    assert "The course in German" in begun and '"Language: de\\n"' in begun
    path.write_text(begun.replace('msgid "Right"\nmsgstr ""', 'msgid "Right"\nmsgstr "Richtig"\n\nmsgid "Old"\nmsgstr "Alt"'))
    assert update(path) == (0, 1)
    assert path.read_text(encoding="utf-8") == begun.replace('msgid "Right"\nmsgstr ""', 'msgid "Right"\nmsgstr "Richtig"')


def test_the_course_speaks_a_language_as_soon_as_its_file_is_there(tmp_path):
    """On a copy of the room: it imports nothing but errors."""
    package = tmp_path / "fewshot_lab"
    shutil.copytree(FOLDER, package / "languages")
    shutil.copy(FOLDER.parent / "errors.py", package)
    (package / "__init__.py").touch()
    entry = 'msgctxt "term"\nmsgid "ablation"\nmsgstr "Ablation, deutsch"\n\nmsgid "Right"\nmsgstr "Richtig"\n'
    (package / "languages" / "de.po").write_text(entry)
    code = "from fewshot_lab.languages import KNOWN, glossary, language, say\n"
    code += "print(KNOWN['de'], say('Right'), language('de'), say('Right'), say('No'), glossary.glossary('ablation'))\n"
    code += "print(glossary.as_markdown())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    first, *page = done.stdout.splitlines()
    assert first.startswith("Deutsch Right de Richtig No ablation (Ablation, deutsch): Taking one part away")
    assert "| term | Deutsch | 中文 | definition | definition | 定义 | chapters |" in page


# --- What is shown is Chinese; records stay English


@pytest.mark.parametrize("task", exercises().values(), ids=lambda task: task.name)
def test_the_feedback_on_every_mistake_is_chinese_and_its_record_english(task, chinese):
    def wrong(*arguments):
        return mistake.function(*arguments)

    wrong.__name__ = task.name
    for mistake in task.mistakes:
        feedback = examine(task, wrong, torch.Generator().manual_seed(0), fresh=2)
        assert CHINESE.search(feedback.message) and all(CHINESE.search(line) for line in feedback.details), feedback
        assert feedback.mistake == mistake.name and feedback.as_check().message == mistake.hint


def answer(result):
    def rotation_matrix(theta):
        if isinstance(result, Exception):
            raise result
        return result

    return rotation_matrix


@pytest.mark.parametrize(
    "result",
    [None, [1.0], torch.eye(3), torch.zeros(2, 2), torch.zeros(2, 2).long(), torch.full((2, 2), float("nan"))]
    + [ValueError("bad"), OSError("bad"), NotImplementedError()],
    ids=str,
)
def test_other_trouble_is_said_in_chinese_and_recorded_in_english(result, chinese):
    feedback = lab.check(answer(result))
    assert CHINESE.search(feedback.message) and not CHINESE.search(
        json.dumps(feedback.as_check().as_json(), ensure_ascii=False)
    )
    lab.language("en")
    again = lab.check(answer(result))
    assert not CHINESE.search(str(again)) and again.as_check().status == feedback.status


def test_a_right_answer_is_praised_in_chinese_and_properties_are_named(chinese, capsys):
    task = exercises()["rotation_matrix"]
    feedback = lab.check(task.reference)
    assert "正确" in str(feedback) and "正确" in feedback.as_html() and all(map(CHINESE.search, feedback.details))
    lab.yours_or_ours(task.reference)
    assert capsys.readouterr().out == "使用你的 rotation_matrix。\n"


def test_a_law_that_fails_keeps_its_numbers(chinese):
    failed = (
        exercises()["rotation_matrix"]
        .properties[1]
        .fails(lambda a: torch.ones(2, 2).double(), torch.Generator().manual_seed(0))
    )
    number = re.search(r"R\(([\d.]+)\)", failed).group(1)
    assert CHINESE.search(failed) and failed.english == f"R({number}) times its transpose is not the identity."


TEXTS = ("a small dog that lives in the kitchen", "a tall tree with red leaves")
EXPLORERS = {
    "geometry": lambda: lab.widgets.GeometryExplorer("digits"),
    "policy": lambda: lab.widgets.PolicyExplorer("digits"),
    "marker": lambda: lab.widgets.LabelMarker(["a dog", "a pine"], ["animal", "plant"]),
    "picture marker": lambda: lab.widgets.PictureMarker(lab.data.load("digits").test_images[:2], "01"),
    "temperature": lambda: temperature(),
    "text": lambda: lab.widgets.TextExplorer(few_texts(), source="English glosses", operation="synonyms"),
}


def few_texts() -> glosses.TextTask:
    parts = {f"{part}_texts": TEXTS for part in ("train", "validation", "test")}
    parts |= {f"{part}_labels": torch.arange(2) for part in ("train", "validation", "test")}
    return glosses.TextTask("few", ("animal", "plant"), **parts)


def temperature():
    task = lab.data.load("digits")
    return lab.widgets.TemperatureExplorer(task, torch.randn(len(task.test_images), len(task.classes)))


def told(explorer) -> str:
    """What an explorer says: the page that Python writes, or the texts that the page fills in."""
    return explorer.html or " ".join(explorer.texts.values())


@pytest.mark.parametrize("name", EXPLORERS)
def test_an_explorer_speaks_chinese_and_its_picture_needs_no_chinese_font(name, chinese, every_control_answers, monkeypatch):
    monkeypatch.setattr("fewshot_lab.widgets.text.Thesaurus", lambda: {"small": ("little",), "tall": ("high",)})
    monkeypatch.setattr("fewshot_lab.widgets.text.recorded", lambda: ({}, {TEXTS[0]: "a little dog", TEXTS[1]: "a high tree"}))
    explorer = EXPLORERS[name]()
    controls = explorer.controls.values()
    assert all(CHINESE.search(control.description) and CHINESE.search(control.tooltip) for control in controls)
    assert CHINESE.search(told(explorer))
    values = {key: control.value for key, control in explorer.controls.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        still = explorer.still()
    assert CHINESE.search(still.caption) and CHINESE.search(still.alt)
    if name not in ("marker", "text"):  # a mark has no way back, own words have no options
        every_control_answers(explorer)
    lab.language("en")
    plain = EXPLORERS[name]()
    assert not CHINESE.search(told(plain)) and values == {key: c.value for key, c in plain.controls.items()}


def test_a_reader_of_chinese_begins_with_chinese_texts_which_are_edited_by_characters(chinese, monkeypatch):
    reviews = dataclasses.replace(few_texts(), train_texts=("质量 很好，很满意", "太差了"))
    monkeypatch.setattr("fewshot_lab.widgets.text.Thesaurus", dict)
    monkeypatch.setattr("fewshot_lab.widgets.text.reviews_zh.task", lambda longest: reviews)
    shown = lab.widgets.TextExplorer(few_texts())
    assert shown.text() == reviews.train_texts[0]
    assert sorted(shown.after("swap")) == sorted("质量很好，很满意") != list(shown.after("swap")) != list("质量很好，很满意")
    assert 0 < len(shown.after("deletion")) < len("质量很好，很满意")
    for operation in ("synonyms", "insertion", "eda", "back-translation"):
        shown.controls["operation"].value = operation
        assert shown.lacks(operation) and shown.lacks(operation) in shown.html and "role='alert'" not in shown.html
    shown.controls["own"].value = "我 love 北京 and 500G"
    shown.controls["operation"].value = "deletion"
    shown.controls["alpha"].value = 0.0
    assert not shown.lacks("swap") and shown.after("deletion") == "我 love 北京 and 500G"
    shown.controls["alpha"].value = 0.9
    assert set(shown.after("deletion").split()) <= {"我", "love", "北", "京", "北京", "and", "500G"}
    lab.language("en")
    plain = lab.widgets.TextExplorer(few_texts())
    assert plain.text() == TEXTS[0] and not plain.lacks("synonyms")


def test_a_reader_of_chinese_begins_with_characters_that_she_writes(chinese):
    known = strokes.Strokes(
        points=torch.tensor([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]]),
        pieces=torch.tensor([0, 0, 0, 0]),
        pictures=torch.zeros(2, 1, 28, 28, dtype=torch.uint8),
        starts=torch.tensor([0, 2, 4]),
        labels=torch.arange(2),
        characters=("A", "g"),
    )
    written, real = dataclasses.replace(known, characters=("一", "十")), torch.zeros(25, 1, 28, 28, dtype=torch.uint8)
    options = lab.widgets.HandExplorer(known, real, written).controls["character"].options
    assert list(options) == ["一", "十", "A", "g"]
    lab.language("en")
    assert list(lab.widgets.HandExplorer(known, real, written).controls["character"].options) == ["A", "g", "一", "十"]


def test_a_question_is_asked_in_chinese_and_its_answer_remembered(chinese, capsys):
    question = lab.predict(
        "translated", "A linear classifier gets 5 labels per class. On which features is it best?", ["SimCLR", "no"]
    )
    assert "线性分类器" in question.still_html()[0]
    question.answer.value = "no"
    lab.recall("translated", "0.9")
    assert capsys.readouterr().out == "你的预测：没有\n实测：0.9\n"


def test_verdicts_and_the_ledger_show_chinese_beside_the_english_of_the_record(chinese):
    measured = lab.mean_interval([0.1, 0.11, 0.12])
    judged = lab.verdict("C2", **{part.name: measured for part in RULES.claims["C2"].parts})
    bundle = judged._repr_mimebundle_()
    assert "成立 (supported)" in bundle["text/html"] and "支持的条件" in bundle["text/html"]
    lab.language("en")
    record = "application/vnd.fewshot-lab.verdict+json"
    assert bundle[record] == judged._repr_mimebundle_()[record] and "成立" not in str(judged)
    lab.language("zh")
    table = ledger([])
    assert "尚未检验 (not yet tested)" in table._repr_html_() and "文章的说法" in table._repr_html_()
    assert set(table.overall.values()) == {"not yet tested", "not testable here"}


def test_a_progress_bar_counts_in_chinese(chinese, monkeypatch):
    said = []
    monkeypatch.setattr(NotebookBar, "_publish", lambda self, bundle: said.append(bundle["text/plain"]))
    monkeypatch.setitem(lab.progress_bar.__globals__, "_in_kernel", lambda: True)
    assert list(lab.progress_bar(range(3), "trainings")) == [0, 1, 2]
    assert re.fullmatch(r"训练：3，用时 [\d.]+ 秒", said[-1])


def test_a_chapter_opens_with_a_box_in_chinese_and_with_its_line_alone_in_english(capsys):
    lab.setup("01")
    assert re.fullmatch(r"Chapter 01: .*\.\n", capsys.readouterr().out)
    lab.language("zh")
    lab.setup("01")
    said = capsys.readouterr().out
    assert "第 01 章" in said and "旋转与翻转" in said and "旋转矩阵" in said
    assert all(opening.opening(chapter.id).title in opening.opening(chapter.id)._repr_html_() for chapter in chapters())
    assert opening.opening("99") is None


# --- The setting


def test_the_language_is_set_by_the_environment_or_a_call_and_the_call_counts(monkeypatch):
    assert lab.language() == "en" and lab.languages.say("Right") == "Right"
    monkeypatch.setenv("FEWSHOT_LAB_LANGUAGE", "zh")
    assert lab.language() == "zh" and lab.languages.say("Right") == "正确"
    assert lab.language("en") == "en" and lab.languages.say("Right") == "Right"


def test_a_language_for_the_meantime_is_that_of_one_thread_and_ends_with_it(chinese):
    with texts.speaking("en"), ThreadPoolExecutor(1) as other:
        assert lab.language() == "en" and other.submit(lab.language).result() == "zh"
        with texts.speaking("zh"):
            assert lab.languages.say("Right") == "正确"
        assert lab.languages.say("Right") == "Right"
    assert lab.language() == "zh"
    with pytest.raises(lab.CourseError, match="The language is 'fr'"), texts.speaking("fr"):
        pass


def test_an_unknown_language_is_refused_with_those_that_are_known(monkeypatch):
    with pytest.raises(lab.CourseError, match=r"The language is 'fr'; the course speaks en \(English\), zh \(中文\)"):
        lab.language("fr")
    monkeypatch.setenv("FEWSHOT_LAB_LANGUAGE", "de")
    with pytest.raises(lab.CourseError, match="FEWSHOT_LAB_LANGUAGE is 'de'"):
        lab.languages.say("Right")


@pytest.mark.parametrize("words", ["--help", "grade --help", "assets fetch --help"])
def test_the_help_is_chinese(words):
    environment = os.environ | {"FEWSHOT_LAB_LANGUAGE": "zh", "COLUMNS": "150"}
    command = [sys.executable, "-m", "fewshot_lab", *words.split()]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True)
    wanted = {"Usage:", "Options", "Commands" if words == "--help" else "Arguments", "Show this message and exit."}
    assert all(texts.translation(word, "zh") in done.stdout and word not in done.stdout for word in wanted)
    # Beside the frames there are only names of commands and options, their types and defaults, and Chinese.
    bare = re.sub(r"fewshot-lab( [a-z]+)*|--?[\w-]+|<[^>]*>|\[[^\]]*\]|[\w./<>]+\.\w+|[A-Z_]{2,}", "", done.stdout)
    assert not re.search("[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}", bare), bare


def test_what_the_package_prints_is_said():
    """Texts that are joined, formatted or chosen in the call itself; the values of variables are said where they are made."""
    bare = []
    for path in (ROOT / "fewshot_lab").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        for call in calls:
            if getattr(call.func, "id", getattr(call.func, "attr", "")) == "print" and path.parent.name != "inside":
                bare += [(path.name, text) for argument in call.args for text in english_in(argument)]
    assert not bare


def english_in(node: ast.AST) -> list[str]:
    """The texts of two words or more in an expression, outside of calls of `say`."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
        return []
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) and re.search("[A-Za-z]{2,} [A-Za-z]{2,}", node.value) else []
    return [text for part in ast.iter_child_nodes(node) for text in english_in(part)]


def test_pages_are_chinese_and_say_so(chinese):
    record = read_run(ROOT / "docs" / "full_profile" / "results.json")
    mark = Mark("rotation_matrix", exercises()["rotation_matrix"].title, 0.0, 2.0, MarkStatus.MISSING, "", [])
    graded = [Graded("Ann", "01", "ann.ipynb", "", "graded", [mark], hours_late=5.0, penalty=1.0)]
    for shown in (page(record), feedback_page("Ann", graded), summary_page(graded, []), marking_page([])):
        assert '<html lang="zh">' in shown
        heads = [
            re.sub("<[^>]*>", "", text) for text in re.findall(r"<(?:h1|h2|h3|th|summary|title)\b.*?>(.*?)</", shown, re.S)
        ]
        # Of people, claims and chapters, and results as they are recorded.
        names = re.compile(r"Few-Shot Lab|Ann|[A-Z]\d*[a-z]?|\d\d.*|\w+: [<>=\d+-].*|")
        assert len(heads) > 1 and [text for text in heads if not CHINESE.search(text) and not names.fullmatch(text)] == []


def test_the_commands_hand_the_language_on(monkeypatch):
    monkeypatch.setenv("FEWSHOT_LAB_LANGUAGE", "en")
    monkeypatch.setattr("fewshot_lab.course.run.run", lambda *given: 0)
    monkeypatch.setattr("sys.argv", ["fewshot-lab", "run", "00", "--language", "zh"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code and cli.os.environ["FEWSHOT_LAB_LANGUAGE"] == "zh"


def test_a_text_without_translation_stays_english_and_braces_without_values_stay():
    lab.language("zh")
    said = lab.languages.say("no such text {x}")
    assert said == said.english == "no such text {x}"


# --- The glossary


def test_the_glossary_has_every_term_that_the_chapters_give_in_chinese():
    terms = glossary.terms()
    assert len(terms) >= 120 and len({term.term.lower() for term in terms}) == len(terms)
    known = {chapter.id for chapter in chapters()}
    for term in terms:
        assert all(vars(term).values()) and CHINESE.search(term.definition_in("zh")), term
        assert set(term.chapters.split()) <= known, term
    assert all(glossary.terms_of(chapter) for chapter in known)
    held = "".join(term.term_in("zh") + term.definition_in("zh") for term in terms)
    for chapter in chapters():
        given = re.findall("[(（]([\u4e00-\u9fff]{2,})", chapter.source.read_text())
        assert [word for word in given if word not in held] == []


def test_the_glossary_is_filtered_and_its_page_is_up_to_date():
    assert {"knowledge distillation", "self-distillation"} <= {term.term for term in lab.glossary("Distill").terms}
    assert "knowledge distillation" in str(lab.glossary("蒸馏")) and "<table>" in lab.glossary()._repr_html_()
    with pytest.raises(lab.CourseError, match="No term"):
        lab.glossary("quantum")
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert page == glossary.as_markdown(), "bring it up to date: fewshot-lab tables --write"
