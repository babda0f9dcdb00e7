"""The chapters: built from their sources, executed cell by cell, with other parameters, solved, and twice with one outcome."""

import ast
import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from places import OMNIGLOT, ROOT, WNUT17
from pretended import is_here

from fewshot_lab.course import build
from fewshot_lab.course.chapters import chapters
from fewshot_lab.course.kernels import QUIET
from fewshot_lab.course.run import run
from fewshot_lab.evidence import RULES, CheckStatus, Records, recorded
from fewshot_lab.evidence.runs import read_run

CHAPTERS = {chapter.id: chapter for chapter in chapters()}
DIGITS = {"DATASET": "digits"}
# How often a rule says that the quick profile draws anew: "5 seeds", or "10 seeds (quick: 4)".
DRAWN = re.compile(r"(\d+) (?:draws|seeds|trainings|encoders|processes|networks)(?: \(quick: (\d+))?")
OTHER_PARAMETERS = {
    "00": {"DATASET": "glyphs"},
    "01": DIGITS,
    "02": DIGITS,
    "03": {"CLASSES": "all"},
    "04": DIGITS,
    "05": {"JITTER": "mild"} | ({"OMNIGLOT": str(OMNIGLOT)} if OMNIGLOT else {}),
    "06": DIGITS,
    "07": DIGITS,
    "08": {"DATASET": "glyphs"},
    "09": {"CLASSES": "animal plant food time substance"},
    "10": {},
    "11": {"DATASET": "glyphs"},
    "12": {"OMNIGLOT": str(OMNIGLOT)} if OMNIGLOT else {},
    "13": {},
    "14": {},
    "15": {},
}
LONG = {"10": {"CORPUS": str(WNUT17)} if WNUT17 else {}}  # minutes more: in the quick profile only
# Chapter 15's rows and parts. Row 9 needs Omniglot's own runs.
LITERATURE = {
    **{1: ("worth",), 2: ("worth",), 3: ("digits", "fashion"), 4: ("glosses", "opinions"), 5: ("k1", "k4"), 6: ("worth",)},
    **{7: ("lost",), 8: ("gain",), 10: ("on_the_test", "on_validation"), 11: ("logistic", "trees"), 12: ("flattery",)},
}
RECORDED = {
    "00": {"nearest_neighbour_k5"},
    "01": {"label_kept_hflip", "label_kept_rot180", "emoji_kept_hflip", "emoji_kept_rot180"},
    "02": {
        *("accuracy_none_k5", "accuracy_right_k5", "accuracy_wrong_k5"),
        *("exchange_rate_right", "exchange_rate_wrong", "step_time_with_policy_over_without"),
        *("exchange_rate_ood", "exchange_rate_ood_fashion", "exchange_rate_ood_noise", "exchange_rate_ood_noise_fashion"),
        *("gain_ema_none", "gain_ema_right", "gain_views_none", "gain_alternating_flip"),
        *("accuracy_emoji_none_k5", "gain_emoji_right", "gain_emoji_mirror", "gain_emoji_colour_jitter"),
    },
    "03": {
        *("frozen_k5_none", "frozen_k5_synonyms", "frozen_k5_backtranslation", "exchange_rate_frozen_synonyms"),
        *("human_ceiling", "opinions_head_k16", "opinions_synonyms_k4", "opinions_shares_k16"),
        *("written_k5", "exchange_rate_written", "label_errors_as_written", "label_errors_kept", "written_near_copies"),
    },
    "04": {
        *(f"probe_{features}_k{shots}" for features in ("simclr", "random") for shots in (1, 5, 10)),
        *("fixmatch_k5", "fixmatch_gain_glyphs_k5", "fixmatch_gain_digits_k5"),
        *("effective_dimension_simsiam", "effective_dimension_collapsed", "simsiam_k5"),
        *(f"label_{how}_{name}_k1" for how in ("random", "uncertain", "typical") for name in ("glyphs", "digits")),
    },
    "05": {
        *("prototypes_5way_1shot", "prototypes_5way_5shot", "prototypes_20way_1shot", "pixels_5way_1shot"),
        *("emoji_pixels_5way_1shot", "emoji_lite0_5way_1shot"),
        *("meta_sgd_from_classifier_5way_1shot", *(["omniglot_error_20way_1shot"] if OMNIGLOT else [])),
    },
    "06": {
        *("student_augmented_k5_digits", "student_self_trained_k5_digits", "student_distilled_k5_informed", "teacher"),
        *("born_again_digits", "mean_teacher_k5_digits"),
    },
    "07": {
        *(f"{model}_model_{measured}" for model in ("clean", "robust") for measured in ("clean", "pgd")),
        "ensemble_minus_pgd20",
    },
    "08": {
        *("generated_intended_class", "real_k5", "real_k5_augmented", "real_k5_generated"),
        *("flow_recognised", "gan_recognised", "exchange_rate_flow_k5", "exchange_rate_gan_k5"),
    },
    "09": {
        *("zero_shot", "zero_shot_calibrated", "linear_probe_k4", "in_context_k4", "soft_prompt_k4", "trigger_k4"),
        *("prompt_worth_k1", "full_k4", "lora_k4", "lora_share", "setfit_k4"),
        *("opinions_prompt", *(f"opinions_head_minilm_k{k}" for k in (1, 4, 16)), "chinese_prompt", "chinese_head_k4"),
    },
    "10": {
        *("entity_f1", "token_accuracy", *(f"{m}_n{n}" for m in ("none", "tokens", "mentions") for n in (10, 50))),
        *("daily_entity_f1", "daily_token_accuracy", "daily_all_o_accuracy"),
    },
    "11": {
        *("pipeline_nothing_k5", "pipeline_all_k5", "pipeline_interaction_k5", "pipeline_seconds"),
        *("texts_all_k2", "exchange_rate_pipeline"),
        *(f"pipeline_emoji_{arm}_k5" for arm in ("nothing", "three", "all")),
    },
    "12": {
        *("mnist_5way_1shot", "mnist_5way_1shot_print", "mnist_5way_1shot_longer", "exchange_rate_hand"),
        *(f"gap_closed_{change}" for change in ("all", "skeletons", "bending", "pens", "turns")),
        *(["omniglot_within_alphabet_error"] if OMNIGLOT else []),
    },
    "13": {
        *("zero_shot_5", "zero_shot_20", "name_worth_labels", "name_worth_pictures", "name_beside_a_picture"),
        *("adapter_minus_probe", "adapter_minus_probe_test", "letters_by_name_5"),
    },
    "14": {
        *("tables_auc", "logistic_auc", "in_context_step", "in_context_unseen"),
        *("exchange_rate_over_logistic_k1", "exchange_rate_over_trees_k5"),
    },
    "15": {f"l{row}_{part}" for row, parts in LITERATURE.items() for part in parts},
}
QUICKLY_RUN = {"00", "06"}  # in both versions, even in smoke runs
NOT_PRETENDED = {"09"}
TIMED = {
    "step_time_with_policy_over_without",
    "C2",
    "cached_epoch_speedup",
    "pipeline_seconds",
}  # the clock's figures, which no seed repeats
SHOWN = {"record", "verdict", "check"}  # calls whose value is a record
FIXED = {"human_ceiling", "daily_all_o_accuracy"}  # what people said or wrote, which no seed changes
FIXED |= RECORDED["15"] - {"l12_flattery"}  # what other chapters recorded

THIRDS = 3  # one third of the chapters runs in the quick profile with each commit, all do with --thorough


@functools.cache
def third() -> int:
    """Which third it is: the commit decides, so that a run can be repeated and three commits see about all."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return int(head.stdout, 16) % THIRDS if head.returncode == 0 else 0


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
def test_a_stored_verdict_draws_as_often_as_its_rule_says(chapter):
    """The rules stand before a run; a chapter that is shortened later must not leave them behind."""
    for claim, verdict in recorded(nbformat.read(chapter.notebook, 4).cells).verdicts.items():
        rule = RULES.claims[claim]
        said = DRAWN.findall(rule.quick) or DRAWN.findall(rule.budget)  # none where it points to another claim
        measured = {part.estimate.over for part in verdict.parts if part.estimate and part.estimate.over}
        if said and measured:
            assert {over.split()[0] for over in measured} & {number for pair in said for number in pair}, (claim, measured)


@each_chapter
def test_code_cells_are_short_and_every_figure_has_a_title_and_a_caption(chapter):
    for cell in build.build(chapter).cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.split("\n") if line.strip()]
            shown_at_once = "nbgrader" not in cell.metadata and "jupyter" not in cell.metadata
            assert len(lines) <= (25 if shown_at_once else 30), f"a cell of {len(lines)} lines: {lines[0]}"
            for figure in cell.source.split("lab.figures.")[1:]:
                assert "caption=" in figure and "title=" in figure, lines[0]


@each_chapter
def test_what_a_cell_records_is_shown_for_it_is_its_last_line(chapter):
    """Jupyter shows a cell's last value alone, and what is not shown is not in the notebook's records."""
    for cell in build.build(chapter).cells:
        for line in ast.parse(cell.source).body[:-1] if cell.cell_type == "code" else ():
            called = line.value.func if isinstance(line, ast.Expr) and isinstance(line.value, ast.Call) else None
            assert not (isinstance(called, ast.Attribute) and called.attr in SHOWN), cell.source


@each_chapter
@pytest.mark.parametrize("solved", [False, True], ids=["learner", "solved"])
def test_code_is_as_wide_as_jupyterlab_shows_beside_its_side_bar(chapter, solved):
    cells = [cell for cell in build.build(chapter, solved).cells if cell.cell_type == "code"]
    assert not [line for cell in cells for line in cell.source.split("\n") if len(line) > 100]


@each_chapter
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_cell_runs_and_deterministic_cells_print_what_is_stored(chapter, profile, tmp_path):
    notebook = chapter.notebook
    if profile == "smoke" and list(CHAPTERS).index(chapter.id) % THIRDS != third():
        nb = nbformat.read(notebook, as_version=4)
        [parameters] = [cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", [])]
        parameters.source = parameters.source.replace('PROFILE = "quick"', 'PROFILE = "smoke"')
        assert "smoke" in parameters.source
        notebook = tmp_path / notebook.name
        nbformat.write(nb, notebook)
    options = ["--nbval-lax", "--nbval-cell-timeout=600", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "timeout=900"]
    command = [sys.executable, "-m", "pytest", *options, str(notebook)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


@pytest.mark.parametrize("chapter", ["00", "01"])
def test_the_chapters_without_training_have_cells_whose_output_is_compared(chapter):
    assert any("nbval-check-output" in cell.metadata.get("tags", []) for cell in build.build(CHAPTERS[chapter]).cells)


@each_chapter
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_solved_version_passes_every_check_and_follows_data_set_and_seed(chapter, solved, profile):
    # The next two tests need one run on the CPU and one on a GPU; whichever of them is made for this chapter serves here, too.
    found = solved(chapter, "cpu" if profile == "quick" or chapter.id in QUICKLY_RUN | NOT_PRETENDED else "cuda")
    assert {check.status for check in found.checks.values()} == {CheckStatus.PASSED}
    assert found.results.keys() >= RECORDED[chapter.id] and any(result.headline for result in found.results.values())
    known = RULES.claims.keys() | RULES.article.keys()
    assert all(claim in known or claim.islower() or claim.startswith("exploring ") for claim in found.verdicts)
    if profile == "quick":  # as the stored results
        stored = recorded(nbformat.read(chapter.notebook, as_version=4).cells).results
        for name in (found.results.keys() & stored.keys()) - FIXED:
            assert found.results[name].as_json() != stored[name].as_json(), f"{name} does not depend on data set and seed"


@each_chapter
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_learner_and_solved_versions_give_the_same_figures(chapter, tmp_path, solved, profile):
    """Two runs with one seed must agree, so a solved chapter must find what an unanswered one found."""
    if chapter.id not in QUICKLY_RUN and profile == "smoke":
        pytest.skip("long chapters are run in both versions with --thorough only")
    parameters = other_parameters(chapter, profile).items()
    assert run([chapter.id], parameters, profile, out=tmp_path / "learner", device="cpu") == 0
    learner = read_run(tmp_path / "learner" / "results.json").chapters[0]
    assert learner.identity["parameters"]["SEED"] == 1 and learner.identity["profile"] == profile
    for name in learner.results.keys() - TIMED:
        assert solved(chapter, "cpu").results[name].as_json() == learner.results[name].as_json()
    assert {c: v.verdict for c, v in solved(chapter, "cpu").verdicts.items() if c not in TIMED} == {
        c: v.verdict for c, v in learner.verdicts.items() if c not in TIMED
    }


@each_chapter
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_chapter_runs_on_a_gpu_be_it_a_pretended_one(chapter, solved, profile):
    if chapter.id in NOT_PRETENDED and profile == "smoke":
        pytest.skip("a language model on a pretended GPU takes a minute: with --thorough only")
    on_gpu = solved(chapter, "cuda")
    counts = on_gpu.check_counts()
    assert counts[CheckStatus.PASSED] and not counts[CheckStatus.FAILED] and on_gpu.results.keys() >= RECORDED[chapter.id]


@pytest.fixture(scope="session")
def profile(pytestconfig) -> str:
    """A chapter runs once in the quick profile, compared with what is stored; its other runs are smoke tests."""
    return "quick" if pytestconfig.getoption("--thorough") else "smoke"


@pytest.fixture(scope="session")
def solved(profile, tmp_path_factory):
    """Gives the records of a chapter's solved version on a device, on which it is executed once."""

    def on(chapter, device: str) -> Records:
        with pytest.MonkeyPatch.context() as environment:
            paths = os.pathsep.join(filter(None, [str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH")]))
            environment.setenv("PYTHONPATH", paths)
            return executed(chapter, tmp_path_factory.mktemp(chapter.id), profile, device)

    return functools.cache(on)


def other_parameters(chapter, profile: str) -> dict[str, str]:
    long = LONG.get(chapter.id, {}) if profile == "quick" else {}
    return {"SEED": "1", **OTHER_PARAMETERS[chapter.id], **long}


def executed(chapter, folder: Path, profile: str, device: str) -> Records:
    """The records of the chapter's solved version, executed with another data set and seed."""
    [notebook] = build.write_solved(folder, [chapter.id])
    if not is_here(device):
        pretend = nbformat.v4.new_code_cell(f"import pretended\ngpu = pretended.pretend({device!r})\ngpu.__enter__()")
        nb = nbformat.read(notebook, as_version=4)
        nb.cells.insert(0, pretend)
        nbformat.write(nb, notebook)
    parameters = {"PROFILE": profile, "DEVICE": device, **other_parameters(chapter, profile), "SEED": 1}
    options = {"progress_bar": False, "extra_arguments": QUIET, "cwd": chapter.notebook.parent}
    return recorded(papermill.execute_notebook(str(notebook), None, parameters, **options).cells)
