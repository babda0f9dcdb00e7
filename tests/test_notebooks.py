"""The chapters: built from their sources, executed cell by cell, with other parameters, solved, and twice with one outcome."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from fewshot_lab.course import build
from fewshot_lab.course.chapters import chapters
from fewshot_lab.course.kernels import QUIET
from fewshot_lab.course.outputs import records
from fewshot_lab.course.run import run
from fewshot_lab.evidence import CLAIMS

ROOT = Path(__file__).parents[1]
CHAPTERS = {chapter.id: chapter for chapter in chapters()}
OTHER_PARAMETERS = {"00": {"DATASET": "glyphs"}, "01": {"DATASET": "digits"}, "02": {"DATASET": "digits"}}
RECORDED = {
    "00": {"nearest_neighbour_k5"},
    "01": {"label_kept_hflip", "label_kept_rot180"},
    "02": {
        *("accuracy_none_k5", "accuracy_right_k5", "accuracy_wrong_k5"),
        *("exchange_rate_right", "exchange_rate_wrong", "images_per_second"),
    },
}
TIMED = {"images_per_second"}  # the clock's figures, which no seed repeats

each_chapter = pytest.mark.parametrize(
    "chapter", [pytest.param(chapter, marks=pytest.mark.xdist_group(id), id=id) for id, chapter in CHAPTERS.items()]
)


@each_chapter
def test_the_built_notebook_equals_its_source(chapter):
    assert build.differences(chapter) == []


@each_chapter
def test_the_built_notebook_holds_its_outputs_and_stays_small(chapter):
    cells = json.loads(chapter.notebook.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code), "not executed: fewshot-lab build"
    assert not any(output["output_type"] == "error" for cell in code for output in cell["outputs"])
    assert chapter.notebook.stat().st_size <= 1_500_000


@each_chapter
def test_code_cells_are_short_and_every_figure_has_a_caption_and_alternative_text(chapter):
    for cell in build.build(chapter).cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.split("\n") if line.strip()]
            assert len(lines) <= 30, f"a cell of {len(lines)} lines: {lines[0]}"
            for figure in cell.source.split("lab.figures.")[1:]:
                assert "caption=" in figure and "alt=" in figure and "title=" in figure, lines[0]


@each_chapter
@pytest.mark.timeout(900)
def test_every_cell_runs_and_deterministic_cells_print_what_is_stored(chapter):
    options = ["--nbval-lax", "--nbval-cell-timeout=600", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "timeout=900"]
    command = [sys.executable, "-m", "pytest", *options, str(chapter.notebook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]
    assert any("nbval-check-output" in cell.metadata.get("tags", []) for cell in build.build(chapter).cells) or (
        chapter.id not in ("00", "01")
    )


@each_chapter
@pytest.mark.timeout(900)
def test_two_runs_with_one_seed_give_the_same_figures_and_verdicts(chapter, tmp_path):
    found = []
    for name in ("first", "second"):
        assert run([chapter.id], out=tmp_path / name, profile="quick", device="cpu") == 0
        entry = json.loads((tmp_path / name / "results.json").read_text())["chapters"][0]
        results = {key: value for key, value in entry["results"].items() if key not in TIMED}
        verdicts = {claim: verdict["verdict"] for claim, verdict in entry["verdicts"].items()}
        found.append((results, verdicts, entry["checks"]))
        assert entry["results"].keys() >= RECORDED[chapter.id] and entry["headline"]
        assert all(claim in CLAIMS or claim.islower() for claim in verdicts)
    assert found[0] == found[1]


@each_chapter
@pytest.mark.timeout(900)
def test_the_solved_version_passes_its_checks_with_another_data_set_and_seed(chapter, tmp_path):
    [solved] = build.write_solved(tmp_path, [chapter.id])
    executed = papermill.execute_notebook(
        str(solved),
        None,
        parameters={"SEED": 1, "DEVICE": "cpu", **OTHER_PARAMETERS[chapter.id]},
        progress_bar=False,
        extra_arguments=QUIET,
        cwd=chapter.notebook.parent,
    )
    found = records(executed)
    assert found["checks"]["passed"] and not found["checks"]["failed"] and not found["checks"]["not_attempted"]
    assert found["results"].keys() >= RECORDED[chapter.id]
    stored = records(nbformat.read(chapter.notebook, as_version=4))
    for name in found["results"].keys() & stored["results"].keys():
        assert found["results"][name] != stored["results"][name], f"{name} does not depend on data set and seed"
