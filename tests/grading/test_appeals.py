"""A small class from marks to appeals and a second grading, by the commands that an instructor types."""

import csv
import sys
from pathlib import Path

import nbformat
import pytest

from fewshot_lab import cli
from fewshot_lab.grading import appeals
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.pile import JOURNAL

pytestmark = pytest.mark.slow
COUNTS = "def accuracy(logits, labels):\n    return (logits.argmax(1) == labels).sum().item()\n"


@pytest.mark.timeout(900)
def test_marks_an_appeal_and_a_second_grading_by_the_commands(sandbox, notebook, tmp_path, command, monkeypatch, capsys):
    place, out, solved = tmp_path / "in", tmp_path / "out", assignment("00").solved
    points, graded = assignment("00").points, ["--out", str(out)]

    def save(student: str, **answers: str) -> None:
        path = place / student / "00_start_here.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook("00", answers)))

    def scores() -> dict[str, float]:
        with (out / "grades.csv").open() as file:
            return {row["student"]: float(row["score"]) for row in csv.DictReader(file)}

    def refused(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["fewshot-lab", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        return " ".join(capsys.readouterr().err.split())

    def changes() -> list[tuple[str, ...]]:
        with (out / appeals.TABLE).open() as file:
            return [tuple(row[key] for key in "who kind student question old new".split()) for row in csv.DictReader(file)]

    save("ann", **solved)
    save("bob", **solved | {"accuracy": COUNTS})
    save("cem")
    command("grade", str(place), *graded, "--jobs", "1")
    assert scores() == {"ann": points, "bob": points - 1, "cem": 0}

    # An appeal counts at once, in every table and on the student's page, and a reason is needed.
    asked = ["appeal", *graded, "--student", "bob", "--question", "accuracy"]
    assert "needs a reason" in refused(*asked, "--mark", "0.5", "--why", " ")
    assert "from 0 to 1" in refused(*asked, "--mark", "2", "--why", "x")
    said = command(*asked, "--mark", "0.5", "--why", "The message was ambiguous.", "--who", "the dean")
    assert "bob, 00 accuracy: 0 -> 0.5, decided by the dean" in said
    assert scores()["bob"] == points - 0.5
    assert "The message was ambiguous." in (out / "feedback" / "bob.html").read_text()
    assert changes() == [("the dean", "appeal", "bob", "accuracy", "0", "0.5")]

    # Grading again changes nothing where nothing was changed, whoever is named; the appeal stays.
    again = ["regrade", str(place), *graded, "--jobs", "1", "--who", "me"]
    assert "Marks that changed: 0" in command(*again, "--student", "bob")
    assert scores() == {"ann": points, "bob": points - 0.5, "cem": 0}
    command("grade", "--merge", *graded)
    assert scores()["bob"] == points - 0.5

    # Who hands in again is graded again, with the same hidden cases, and an appeal about the old answer no longer counts.
    seed = (out / JOURNAL).read_text().splitlines()[0]
    save("bob", **solved)
    save("cem", interval=solved["interval"])
    said = command(*again, "--why", "Handed in again.")
    assert "bob, 00 accuracy: 0 -> 1" in said and "cem, 00 interval: 0 -> 1" in said and "Marks that changed: 2" in said
    assert "no longer counts, since the answer has changed" in said
    assert scores() == {"ann": points, "bob": points, "cem": 1}
    assert (out / JOURNAL).read_text().splitlines()[0] == seed
    assert changes()[1:] == [("me", "regrade", "bob", "accuracy", "0", "1"), ("me", "regrade", "cem", "interval", "0", "1")]

    # The journal of changed marks is only added to: who changes a line is named, with the line.
    journal = Path(out, appeals.JOURNAL)
    journal.write_text(journal.read_text().replace("the dean", "the boss"))
    assert "line 2: this line was changed, or one before it is gone" in refused("grade", "--merge", *graded)
