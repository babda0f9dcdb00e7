"""Writes docs/grading_table.md: every attack and every honest form of the tests in tests/grading, with the points that it gets.

python tests/support/grading_table.py grades them all (some minutes); with words behind it, it grades those whose sentence has
one of them, and leaves the others as they stand on the page.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "grading_table.md"
sys.path.insert(0, str(ROOT / "tests" / "grading"))

import honest_forms  # noqa: E402
import test_attacks  # noqa: E402
import test_hostile_results  # noqa: E402
import test_observations  # noqa: E402
import test_one_judgement  # noqa: E402
import test_submissions  # noqa: E402

from fewshot_lab.course.build import build  # noqa: E402
from fewshot_lab.course.chapters import choose  # noqa: E402
from fewshot_lab.exercises import get_exercise  # noqa: E402
from fewshot_lab.files import write_atomically  # noqa: E402
from fewshot_lab.grading import grade as grading  # noqa: E402
from fewshot_lab.grading.assignment import assignment  # noqa: E402
from fewshot_lab.grading.sandbox import Limits, Sandbox, means  # noqa: E402
from fewshot_lab.grading.submissions import collect  # noqa: E402

ATTACK, HONEST = "attack", "honest form"
HEAD = """# What grading was tried with

Every attack and every honest form that the tests hold the grader to, with the points that each gets: an attack must get none,
a right answer all, in whatever form it is handed in. `python tests/support/grading_table.py` grades them and writes this page;
a test compares it with the tests' own lists.
"""


@dataclass(frozen=True)
class Row:
    """One attack or honest form: its sentence, the test that holds it, and what gives its points and the most there are."""

    kind: str
    sentence: str
    test: str
    points: Callable[[Sandbox], tuple[float, float]]


def rows() -> list[Row]:
    return [*_attacks(), *_honest()]


def _attacks() -> Iterator[Row]:
    for text in test_attacks.ATTACKS.values():
        yield Row(ATTACK, _sentence(text), _test(test_attacks, "an_attack_earns"), _answer("00", "accuracy", text))
    for way, text in test_observations.WAYS.items():
        sentence = f"Replays what probes saw of a right answer. {_sentence(text)}"
        yield Row(ATTACK, sentence, _test(test_observations, "what_another_answer"), _replayed(way))
    for name, text in test_observations.DEFECTS.items():
        sentence = f"Hides from the probes what only the process of `{name}` can see of its defect."
        hidden = _answer(get_exercise(name).chapter, name, text + test_observations.HIDES)
        yield Row(ATTACK, sentence, _test(test_observations, "a_defect_that_only"), hidden)
    for sentence, (chapter, name, text) in test_hostile_results.answers().items():
        yield Row(ATTACK, sentence, _test(test_hostile_results, "a_hostile_result"), _answer(chapter, name, text))
    for sentence, content in test_submissions.BROKEN.items():
        said = f"Hands in {sentence}."
        yield Row(
            ATTACK,
            said,
            _test(test_submissions, "a_malformed"),
            _file("00_start_here.ipynb", lambda _, content=content: content[0]),
        )


def _honest() -> Iterator[Row]:
    for name, form in honest_forms.FORMS.items():
        content = _file("work.ipynb", lambda nb, form=form: json.dumps(honest_forms.made(form, nb)).encode())
        yield Row(HONEST, f"A right answer {name}.", _test(test_one_judgement, "an_honest_form"), content)
    for name, (file, saved) in honest_forms.FILES.items():
        yield Row(HONEST, f"A solved notebook {name}.", _test(test_one_judgement, "a_notebook_is_graded"), _file(file, saved))


def _sentence(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def _test(module, begins: str) -> str:
    [name] = [name for name in vars(module) if name.startswith(f"test_{begins}")]
    return f"{Path(module.__file__).name}::{name}"


def notebook(answers: dict[str, str]):
    nb = build(choose(["00"])[0])
    for cell in nb.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    return nb


def _answer(chapter: str, name: str, text: str):
    """The points of one question, its other answers right."""

    def points(sandbox: Sandbox) -> tuple[float, float]:
        made = grading.Submission("a student", chapter, "answers.ipynb", assignment(chapter).solved | {name: text})
        [mark] = [mark for mark in grading.grade(made, sandbox, "a seed", 60.0).marks if mark.grade_id == name]
        return mark.score, mark.max_score

    return points


def _replayed(way: str):
    """The points of the questions of chapter 02 whose answers replay what was recorded."""

    def points(sandbox: Sandbox) -> tuple[float, float]:
        marks = test_observations.replayed(sandbox, test_observations.preambles_of(["02"]), "02", way).values()
        return sum(mark.score for mark in marks), sum(mark.max_score for mark in marks)

    return points


def _file(name: str, saved: Callable):
    """All points of a file of chapter 00, made from the solved notebook."""

    def points(sandbox: Sandbox) -> tuple[float, float]:
        with TemporaryDirectory() as folder:
            Path(folder, "ada").mkdir()
            Path(folder, "ada", name).write_bytes(saved(notebook(assignment("00").solved)))
            [submission] = collect(Path(folder))
            graded = grading.grade(submission, sandbox, "a seed", 60.0)
        return graded.score, assignment("00").points

    return points


def as_markdown(points: dict[str, str]) -> str:
    """The page, from {sentence: "0 of 1"}."""
    parts = [HEAD]
    for kind, title in ((ATTACK, "Attacks"), (HONEST, "Honest forms")):
        these = [row for row in rows() if row.kind == kind]
        parts.append(f"\n## {title} ({len(these)})\n\n| what it does | test | points |\n|---|---|---|\n")
        for row in these:
            parts.append(f"| {_cell(row.sentence)} | `{row.test}` | {points.get(row.sentence, 'not graded yet')} |\n")
    return "".join(parts)


def on_the_page() -> dict[str, str]:
    """{sentence: points} as the page has them."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    cells = [line[2:-2].split(" | ") for line in lines if line.startswith("| ") and " | `" in line]
    return {sentence.replace("\\|", "|"): points for sentence, _, points in cells}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def as_it_should(row: Row, points: str) -> bool:
    """Whether an attack got nothing and an honest form everything."""
    got, _, most = points.partition(" of ")
    return bool(most) and float(got) == (0 if row.kind == ATTACK else float(most))


def main(words: list[str]) -> None:
    given = grading.CELL_SECONDS, grading.CALL_SECONDS
    with Sandbox(means(), Limits(memory=2**30, disk=16 * 2**20, cpu_seconds=30)) as sandbox:
        for row in rows():
            if not words or any(word in row.sentence for word in words):
                # Some attacks never end.
                grading.CELL_SECONDS, grading.CALL_SECONDS = (6.0, 4.0) if row.kind == ATTACK else given
                points = "{:g} of {:g}".format(*row.points(sandbox))
                print("     " if as_it_should(row, points) else "WRONG", points, row.sentence, flush=True)
                write_atomically(PAGE, as_markdown(on_the_page() | {row.sentence: points}))
    print(PAGE)


if __name__ == "__main__":
    main(sys.argv[1:])
