"""Chapter 11: the pipeline's plan and rounds, what a budget buys, the leaderboard, masks and boxes, the course's records."""

import json
import math
import os
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fewshot_lab as lab
from fewshot_lab.augment import geometry
from fewshot_lab.augment.targets import ellipse_boxes, polygon_boxes, warp_boxes, warp_mask
from fewshot_lab.course.chapters import course_root
from fewshot_lab.course.kernels import kernel_environment
from fewshot_lab.course.page import page
from fewshot_lab.data import glosses, scenes
from fewshot_lab.errors import CourseError
from fewshot_lab.evidence import RULES, budget, course_records, exchange_rates, ledger, record, verdict
from fewshot_lab.evidence.course_records import RUN
from fewshot_lab.evidence.runs import Run
from fewshot_lab.exercises.chapter_11 import few_shot_method
from fewshot_lab.methods import leaderboard, pipeline, text_pipeline
from fewshot_lab.models import conv_net
from fewshot_lab.training import Arms, Estimate, paired_difference, sweep

STAGES = pipeline.STAGES
RECIPE = pipeline.Recipe(strength=0.25, epsilon=0.0375, temperature=1.0, alpha=0.5)
seeds = st.integers(0, 10**6)

# the plan of a pipeline


def test_the_stages_before_distillation_are_the_teachers_and_the_student_has_all():
    assert pipeline.rounds(()) == (None, frozenset())
    assert pipeline.rounds(("augmentation",)) == (None, {"augmentation"})
    teacher, last = pipeline.rounds(STAGES)
    assert teacher == set(STAGES[:4]) and last == set(STAGES) - {"distillation"}
    assert pipeline.rounds(STAGES[::-1]) == ({"instance generation"}, last)


@given(st.permutations(STAGES), st.integers(0, 6))
def test_every_order_of_the_same_stages_ends_with_the_same_student(order, count):
    some = tuple(order[:count])
    teacher, last = pipeline.rounds(some)
    assert last == pipeline.rounds(tuple(sorted(some)))[1]
    assert (teacher is not None) == ("distillation" in some) and (teacher or set()) <= last


@pytest.mark.parametrize(("order", "words"), [(("mixup",), "mixup"), (("augmentation", "augmentation"), "twice")])
def test_wrong_stages_are_refused(order, words):
    with pytest.raises(ValueError, match=words):
        pipeline.rounds(order)


@given(st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=3), seeds)
def test_gains_that_add_up_have_no_interaction(gains, seed):
    nothing = torch.rand(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    alone = nothing[:, None] + torch.tensor(gains, dtype=torch.float64)
    joint = nothing + sum(gains)
    assert pipeline.interaction(nothing, alone, joint).abs().max() < 1e-12
    assert torch.allclose(pipeline.interaction(nothing, alone, joint + 0.1), torch.full_like(nothing, 0.1))


# its rounds


@pytest.fixture(scope="module")
def start():
    [row] = sweep(
        pipeline.fit_start, [{"dataset": "digits", "seed": 0, "steps": 60, "strength": 0.25, "device": "cpu"}], jobs=1
    )
    return row


def fitted(**options):
    """A round trained as `measure` does, in a sweep: on one thread, so that the margins hold on every machine."""
    common = {"dataset": "digits", "shots": 2, "seed": 0, "steps": 40, "recipe": RECIPE, "device": "cpu"}
    [row] = sweep(pipeline.fit_round, [{**common, "stages": frozenset(), **options}], jobs=1)
    return row


@pytest.mark.slow
def test_equal_seeds_train_equal_networks_and_every_stage_changes_them(start):
    generated = torch.randint(0, 256, (10, 4, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))

    def answers(*stages, **options):
        found = fitted(stages=frozenset(stages), start=start["start"], generated=generated, steps=6, **options)
        with torch.no_grad():
            return found["networks"]["linear"](images)

    plain = answers()
    assert torch.equal(plain, answers())
    for stage in ("self-supervision", "augmentation", "adversarial training", "instance generation"):
        assert not torch.allclose(plain, answers(stage), atol=1e-3), stage


@pytest.mark.slow
def test_a_backbone_that_saw_no_label_is_ahead_at_the_start(start):
    rows = [
        [fitted(stages=frozenset(s), seed=seed, start=start["start"], steps=2) for seed in range(4)] for s in ((), STAGES[:1])
    ]
    plain, started = ([row["tested"]["few-shot head"]["test_accuracy"] for row in some] for some in rows)
    assert paired_difference(started, plain).mean > 0.05


def test_prototypes_answer_with_the_nearest_class_mean_of_centred_features():
    torch.manual_seed(0)
    backbone = conv_net(16, size=8)
    images = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8)
    labels = torch.arange(3).repeat(4)
    head = pipeline.Prototypical(backbone, images, labels, images).eval()
    with torch.no_grad():
        z = backbone(images.float() / 255)
        logits = head(images.float() / 255)
    z = torch.nn.functional.normalize(z - z.mean(0), dim=1)
    c = torch.stack([z[labels == k].mean(0) for k in range(3)])
    nearest = torch.cdist(z, c)
    assert torch.equal(logits.argmax(1), nearest.argmin(1))
    assert torch.allclose(logits.diff(dim=1), -pipeline.SCALE * nearest.square().diff(dim=1), atol=1e-3)


def test_a_student_sees_all_images_but_only_k_labels_of_each_class():
    task = pipeline.small_task("digits")
    rows = task.rows(2, 0)
    x, y = pipeline._training_set(task, rows, None, True)
    assert len(x) == len(task.train_labels) and (y >= 0).sum() == 20
    assert torch.equal(y[rows], task.train_labels[rows])
    generated = torch.zeros(10, 6, 1, 8, 8, dtype=torch.uint8)
    x, y = pipeline._training_set(task, rows, generated, False)
    is_generated = (x.flatten(1) == 0).all(1)
    assert is_generated.sum() == 60 and (~is_generated).sum() >= 60
    assert torch.equal(y[is_generated], torch.arange(10).repeat_interleave(6))


def test_the_worst_images_are_looked_for_around_the_teachers_class_where_no_label_is():
    """With a teacher that always says class 1, unlabelled images are led away from class 1."""
    torch.manual_seed(0)
    model, teacher = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)) for _ in range(2))
    torch.nn.init.zeros_(teacher[1].weight)
    teacher[1].bias.data = torch.tensor([0.0, 5.0, 0.0])
    seen = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    images = torch.full((4, 1, 4, 4), 0.5)
    pipeline.round_loss(teacher, 0.1)(model, images, torch.full((4,), -1)).backward()
    moved = seen[-1]
    assert 0 < (moved - images).abs().max() <= 0.1 + 1e-6
    with torch.no_grad():
        clean, worst = (model(x).log_softmax(1)[:, 1].mean() for x in (images, moved))
    assert worst < clean


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_pipelines_share_their_rounds_and_each_is_what_it_would_be_alone(start, monkeypatch):
    trained = []
    original = pipeline.sweep

    def noted(f, grid, **options):
        trained.append([one["steps"] for one in grid])
        return [row | {"seconds": float(row["steps"])} for row in original(f, grid, jobs=1)]  # as if a step took a second

    monkeypatch.setattr(pipeline, "sweep", noted)
    arms = {"nothing": (), "head": ("few-shot head",), "taught": ("few-shot head", "distillation"), "late": ("distillation",)}
    options = {"dataset": "digits", "shots": 2, "seeds": [0, 1], "recipe": RECIPE}
    options |= {"starts": [start, start], "steps": 5, "distilling_steps": 7}
    together = pipeline.measure(arms, **options)
    # Both heads come from one training of as many steps as a teacher and its student take; the students have two teachers.
    assert trained == [[12, 12, 5, 5], [7] * 4]
    for name, order in arms.items():
        alone = pipeline.measure({name: order}, **options)[name]
        assert [row["test_accuracy"] for row in alone] == [row["test_accuracy"] for row in together[name]], name
    # What was trained once for several counts in each of them, the teacher beside its student.
    assert all(row["seconds"] == 12 for name in arms for row in together[name])


# the text stages


@pytest.mark.slow
def test_a_prompt_teaches_the_head_and_a_useless_one_does_not(monkeypatch):
    """The language model is replaced by one that knows the answer, then by one that always says the same."""
    task = glosses.task()
    truth = dict(zip(task.train_texts, task.train_labels.tolist(), strict=True))
    known = truth | dict(zip(task.test_texts, task.test_labels.tolist(), strict=True))

    def features(texts, **_):
        """Noisy features whose class is in them."""
        rows = []
        for text in texts:
            generator = torch.Generator().manual_seed(len(text) * 7919 + sum(map(ord, text)))
            label = known.get(text, 0)
            rows.append(torch.nn.functional.one_hot(torch.tensor(label), 5) + 1.5 * torch.randn(5, generator=generator))
        return torch.stack(rows)

    monkeypatch.setattr("fewshot_lab.models.language.sentence_features", features)
    monkeypatch.setattr(text_pipeline, "copy_maker", lambda *a, **k: lambda text, r: text)
    options = {"shots": 1, "seeds": [0, 1, 2, 3], "unlabelled": 200, "per_class": 40}
    found, read = {}, []
    for name, says in (("knows", lambda t: known[t]), ("parrot", lambda t: 0)):

        def scores(texts, classes, says=says, **_):
            read.append(texts)
            return torch.eye(5)[[says(text) for text in texts]]

        monkeypatch.setattr(text_pipeline, "prompted_scores", scores)
        found[name] = Arms(text_pipeline.measure(**options), unit="accuracy", clusters="glosses")
    assert 600 < len(read[0]) == len(set(read[0])) < 800, "four draws of 200, and what two of them share is read once"
    asked = {name: arms.mean("prompt alone") for name, arms in found.items()}
    assert asked == {"knows": 1.0, "parrot": pytest.approx(0.2)}, "of five classes with as many test glosses each"
    assert found["knows"].gain("prompting", over="nothing").mean > 0.05
    assert found["parrot"].gain("prompting", over="nothing").mean < 0
    assert "4 seeds x 200 glosses" in found["knows"].interval("both").over


# what a budget buys


def arms():
    def arm(*means, seconds=6.0):
        values = tuple(Estimate(m, m - 0.02, m + 0.02, 5) for m in means)
        return budget.MeasuredArm((20, 50, 200), values, (seconds, 2 * seconds, 3 * seconds))

    return {"labels only": arm(0.6, 0.7, 0.9), "augmentation": arm(0.7, 0.8, 0.9, seconds=60.0)}


def test_an_arm_is_exact_where_it_was_measured_and_between_its_neighbours_elsewhere():
    arm = arms()["labels only"]
    assert arm.at(50) == (Estimate(0.7, pytest.approx(0.68), pytest.approx(0.72), 5, "accuracy"), 12.0)
    value, seconds = arm.at(100)
    assert value.mean == pytest.approx(0.8) and seconds == pytest.approx(15.0)  # halfway in log2
    for labels in (19, 201):
        with pytest.raises(ValueError, match="20 to 200"):
            arm.at(labels)


@given(st.floats(1, 200), st.floats(0.5, 120), st.sampled_from([1.0, 10.0, 100.0]))
def test_the_best_choices_are_within_the_budget_and_none_within_it_is_better(minutes, per_label, scale):
    counts, prices = range(20, 201, 10), {"per_label": per_label, "scale": scale}
    best = {one.arm: one for one in budget.best_within(arms(), counts, minutes, **prices)}
    for arm in arms():
        for labels in counts:
            other = budget.cost(arms(), arm, labels, **prices)
            if other.minutes <= minutes:
                assert best[arm].accuracy.mean >= other.accuracy.mean
    assert all(one.minutes <= minutes for one in best.values())
    means = [one.accuracy.mean for one in budget.best_within(arms(), counts, minutes, **prices)]
    assert means == sorted(means, reverse=True)


def test_every_control_of_the_budget_changes_what_is_seen_and_it_has_a_still(every_control_answers):
    every_control_answers(lab.widgets.BudgetExplorer(arms(), 10))


def test_the_budget_says_what_was_bought_what_it_cost_and_what_would_have_been_best():
    shown = lab.widgets.BudgetExplorer(arms(), 10, budget=20, per_label=12)
    shown.controls["labels"].value, shown.controls["arm"].value = 10, "augmentation"
    assert "100 labels and “augmentation” for 22.5 of 20 minutes: more than you have" in shown.told()
    shown.controls["scale"].value = "1,000 times"
    assert "The best purchase: 20 labels" not in shown.told() and "as cheap as your budget" in shown.told()


# the leaderboard


@pytest.fixture
def board_home(tmp_path, monkeypatch):
    """A cache folder of its own; the glyphs are drawn once and stay in memory."""
    leaderboard._pool()
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    return tmp_path


def test_held_out_episodes_share_no_image_and_come_in_any_order():
    [(support, labels, queries, answers)] = leaderboard.held_out(1, seed=3)
    assert support.shape == (25, 1, 28, 28) and queries.shape == (30, 1, 28, 28)
    assert torch.bincount(labels).tolist() == [5] * 5 and torch.bincount(answers).tolist() == [6] * 5
    assert not torch.equal(labels, labels.sort().values)
    assert torch.cdist(support.flatten(1), queries.flatten(1)).min() > 0


def test_a_method_is_entered_ranked_kept_and_taken_out_again(board_home):
    board = lab.enter(lambda *episode: few_shot_method(*episode), "centred")
    assert board.rank("centred") == 1 and "centred" in board.mine
    assert board.tied("pixels, prototypes") and "centred" not in board.tied("pixels, prototypes")
    again = lab.enter(lambda *episode: leaderboard.nearest_prototype(*episode), "mine")
    assert again.entries["centred"] == board.entries["centred"]
    assert again.rank("mine") == again.rank("pixels, prototypes") > 1 and "pixels, prototypes" in again.tied("mine")
    assert "centred (yours)" in str(again) and "<caption" in again._repr_html_()
    ours = lab.enter(leaderboard.nearest_prototype, "prototypes")
    assert ours.mine == {"centred", "mine"} and ours.entries["the course's prototypes"] == again.entries["mine"]
    leaderboard.withdraw("centred")
    assert "centred" not in lab.leaderboard().entries and "mine" in lab.leaderboard().entries
    with pytest.raises(CourseError, match="mine"):
        leaderboard.withdraw("centred")


def test_an_encoder_of_colour_images_classifies_grey_ones():
    def mean_colour(images):  # of a side and a number of channels that no episode has
        assert images.shape[1:] == (3, 16, 16)
        return images.mean(dim=(2, 3))

    encoder = torch.nn.Module()
    encoder.forward = mean_colour
    support, queries = torch.stack([torch.zeros(1, 28, 28), torch.ones(1, 28, 28)]), torch.full((1, 1, 28, 28), 0.9)
    method = leaderboard.prototypes_of(encoder, size=16, channels=3)
    assert method(support, torch.tensor([0, 1]), queries).tolist() == [1]


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (lambda s, y, q: q / 0 + "a", "stopped in episode 1 with TypeError"),
        (lambda s, y, q: y, r"returned a tensor \(25,\)"),
        (lambda s, y, q: torch.zeros(len(q)), "whole number"),
        (lambda s, y, q: [0] * len(q), "returned list"),
    ],
)
def test_a_method_that_fails_is_told_how_and_changes_nothing(board_home, method, words):
    with pytest.raises(CourseError, match=words):
        lab.enter(method, "broken")
    assert not (board_home / "leaderboard.json").exists()


def test_a_board_of_ones_own_neither_shows_nor_changes_that_of_the_machine(board_home, tmp_path):
    lab.enter(lambda *episode: leaderboard.nearest_prototype(*episode), "mine")
    with kernel_environment("quick", "cpu", board=tmp_path / "empty.json"):
        assert "mine" not in lab.leaderboard().entries
        assert "other" in lab.enter(lambda *episode: leaderboard.nearest_prototype(*episode), "other").mine
    assert lab.leaderboard().mine == {"mine"}


def test_names_of_built_in_entries_and_odd_ones_are_refused_and_a_damaged_file_counts_as_empty(board_home):
    for name in ("pixels, prototypes", "<b>", "x" * 41):
        with pytest.raises(CourseError, match="cannot be called"):
            lab.enter(leaderboard.nearest_prototype, name)
    with pytest.raises(TypeError, match="the function itself"):
        lab.enter(3)
    for content in ("{", "[]", '{"episodes": "others", "entries": {"old": [1]}}'):
        (board_home / "leaderboard.json").write_text(content)
        assert not lab.leaderboard().mine


def test_ranks_count_only_who_is_significantly_better():
    noise = torch.randn(100, generator=torch.Generator().manual_seed(0)).tolist()
    entries = {"top": [0.9] * 100, "a": [0.5 + 0.1 * n for n in noise], "b": [0.5 - 0.1 * n for n in noise]}
    board = leaderboard.Board(entries)
    assert [board.rank(name) for name in entries] == [1, 2, 2]
    assert board.tied("a") == ["b"] and board.tied("top") == []


# masks and boxes


def turn(degrees):
    return geometry.rotation(torch.tensor(math.radians(degrees)))


@given(seeds, st.floats(-180, 180), st.floats(-5, 5))
def test_a_moved_mask_has_no_new_class(seed, degrees, right):
    mask = torch.randint(0, 5, (9, 12), generator=torch.Generator().manual_seed(seed)) * 2
    moved = warp_mask(mask, geometry.compose(turn(degrees), geometry.translation(right, 0.0)))
    assert set(moved.unique().tolist()) <= {0, *mask.unique().tolist()} and moved.dtype == mask.dtype


@given(seeds, st.sampled_from(geometry.D4))
def test_under_d4_masks_and_boxes_move_exactly(seed, element):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.randint(0, 4, (11, 11), generator=generator)
    matrix = geometry.d4_matrix(element)
    moved = warp_mask(mask, matrix)
    assert torch.equal(moved, geometry.d4_apply(mask, element))
    tight, after = scenes.tight_boxes(mask, 3), scenes.tight_boxes(moved, 3)
    assert torch.allclose(warp_boxes(tight, matrix, 11, 11), after, atol=1e-4)


@given(seeds, st.floats(-180, 180))
def test_a_moved_box_holds_every_moved_point_of_the_box_and_stays_inside(seed, degrees):
    generator = torch.Generator().manual_seed(seed)
    low = 5 * torch.rand(2, generator=generator, dtype=torch.float64)
    box = torch.cat([low, low + 5])[None]
    matrix = turn(degrees).double()
    [[x0, y0, x1, y1]] = warp_boxes(box, matrix, 12, 12).tolist()
    assert 0 <= x0 <= x1 <= 12 and 0 <= y0 <= y1 <= 12
    points = low + 5 * torch.rand(50, 2, generator=generator, dtype=torch.float64)
    from_centre = torch.stack([points[:, 0] - 6, 6 - points[:, 1]], dim=1)
    moved = geometry.apply_to_points(matrix, from_centre)
    x, y = (moved[:, 0] + 6).clamp(0, 12), (6 - moved[:, 1]).clamp(0, 12)
    assert (x >= x0 - 1e-9).all() and (x <= x1 + 1e-9).all() and (y >= y0 - 1e-9).all() and (y <= y1 + 1e-9).all()


@pytest.mark.parametrize("angle", [0.0, 20.0, 45.0, 110.0])
def test_the_box_of_a_moved_ellipse_touches_its_points_and_lies_in_the_hull_of_the_corners(angle):
    matrix = geometry.compose(
        geometry.translation(2.0, -1.0), geometry.shearing(0.3), geometry.rotation(torch.tensor(angle).deg2rad())
    )
    box = torch.tensor([[40.0, 30.0, 60.0, 38.0]])
    turn = torch.linspace(0, 2 * torch.pi, 100_001)
    around = torch.stack([50 + 10 * turn.cos(), 34 + 4 * turn.sin()], dim=1)  # from the upper left corner, y down
    sampled = polygon_boxes(around[None], matrix, 80, 100)
    assert torch.allclose(ellipse_boxes(box, matrix, 80, 100), sampled, atol=1e-3)
    corners = warp_boxes(box, matrix, 80, 100)
    assert (sampled[:, :2] >= corners[:, :2] - 1e-3).all() and (sampled[:, 2:] <= corners[:, 2:] + 1e-3).all()


def test_a_polygon_of_outermost_points_turns_to_nearly_the_tight_box():
    one = scenes.scene(0)
    polygons = scenes.polygons(one.mask, len(one.names))
    still = polygon_boxes(polygons, torch.eye(3), *one.mask.shape)
    assert torch.equal(still, one.boxes)
    turn = geometry.rotation(torch.tensor(torch.pi / 6))
    tight = scenes.tight_boxes(warp_mask(one.mask, turn), len(one.names))
    assert (scenes.iou(polygon_boxes(polygons, turn, *one.mask.shape), tight) > 0.85).all()
    assert torch.equal(scenes.polygons(torch.zeros(4, 4, dtype=torch.long), 2), torch.zeros(2, 8, 2))


def test_masks_and_boxes_move_as_torchvision_moves_them():
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    shown = scenes.scene(0)
    height, width = shown.mask.shape
    theirs = tv.rotate(tv_tensors.Mask(shown.mask[None]), 25.0, interpolation=InterpolationMode.NEAREST)[0]
    assert (warp_mask(shown.mask, turn(25.0)) == theirs).double().mean() > 0.99
    boxes = tv_tensors.BoundingBoxes(shown.boxes, format="XYXY", canvas_size=(height, width))
    assert torch.allclose(warp_boxes(shown.boxes, turn(25.0), height, width), tv.rotate(boxes, 25.0).float(), atol=1.0)


def test_a_scene_has_a_tight_box_around_every_thing_and_overlap_is_that_of_areas():
    shown = scenes.scene(1)
    for n, (x0, y0, x1, y1) in enumerate(shown.boxes.int().tolist(), 1):
        assert (shown.mask[y0:y1, x0:x1] == n).sum() == (shown.mask == n).sum() > 0
    assert torch.allclose(scenes.iou(shown.boxes, shown.boxes), torch.ones(3))
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])
    assert scenes.iou(a, b).item() == pytest.approx(1 / 3) and scenes.iou(a, b + 5).item() == 0


# the records of the whole course


def notebook(folder, name, *bundles):
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [{"data": bundle} for bundle in bundles]}]
    (folder / name).write_text(json.dumps({"cells": cells}))


def says(claim, low, high):
    parts = {part.name: part.threshold for part in RULES.claims[claim].parts}
    return verdict(
        claim, **{name: Estimate(zero + (low + high) / 2, zero + low, zero + high, 5) for name, zero in parts.items()}
    )


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.delenv(RUN, raising=False)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for number, claims in {"02": ("C1a", "C2"), "03": ("C1b",), "11": ("C12",)}.items():
        bundles = [says(claim, 0.2, 0.3)._repr_mimebundle_() for claim in claims]
        rate = record(exchange_rate_right=Estimate(3.0, 2.0, 4.0, 6), unit="labels per label")._repr_mimebundle_()
        notebook(folder, f"{number}_name.ipynb", *bundles, rate)
    return folder


def run_of(folder, *entries):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps({"profile": "full", "chapters": list(entries)}))


def test_records_come_from_the_stored_notebooks_and_the_asking_chapter_speaks_for_itself(course):
    found = course_records(course, chapter="11", here=[says("C12", -0.2, -0.1)])
    assert [r.chapter for r in found] == ["02", "03", "11"]
    claims = ledger(found)
    assert claims.overall["C12"] == "refuted"
    assert claims.overall["C1"] == "supported" and claims.overall["C3"] == "not yet tested" and not claims.complete
    assert [(chapter, rate.mean, rate.high) for chapter, _, rate in exchange_rates(found)] == [
        ("02", 3.0, 4.0),
        ("03", 3.0, 4.0),
    ]


def test_a_claim_that_one_of_its_chapters_has_not_tested_is_not_yet_tested(course):
    found = [r for r in course_records(course, chapter="11") if r.chapter != "03"]
    assert ("C1a", "supported") in [(row.claim.id, row.outcome) for row in ledger(found).rows]
    assert ledger(found).overall["C1"] == "not yet tested"


def test_the_run_that_goes_on_counts_more_than_the_latest_and_that_more_than_the_stored(course, monkeypatch):
    sentence = {claim: RULES.claims[claim].sentence for claim in ("C1a", "C1b")}
    said = {claim: {"verdict": "refuted", "why": "latest", "sentence": text} for claim, text in sentence.items()}
    run_of(course.parent / "runs" / "latest", {"id": "02", "status": "ok", "verdicts": said}, {"id": "03", "status": "failed"})
    claims = ledger(course_records(course, chapter="11"))
    assert claims.overall["C1"] == "mixed" and "± mixed" in claims._repr_html_()
    assert claims.sources["02"] == "the latest run, full profile" and claims.sources["03"].startswith("the stored notebooks")
    inconclusive = {"C1b": {"verdict": "inconclusive", "why": "latest", "sentence": sentence["C1b"]}}
    run_of(
        course.parent / "runs" / "latest",
        {"id": "02", "status": "ok", "verdicts": said},
        {"id": "03", "status": "ok", "verdicts": inconclusive},
    )
    run = course.parent / "mine"
    run_of(run, {"id": "03", "profile": "quick", "status": "ok", "verdicts": said})
    monkeypatch.setenv(RUN, str(run))
    claims = ledger(course_records(course, chapter="11"))
    assert claims.overall["C1"] == "refuted" and claims.sources["03"] == "this run, quick profile"


def test_the_latest_run_is_found_where_links_are_not_allowed(course):
    runs = course.parent / "runs"
    run_of(runs / "mine", {"id": "02", "status": "ok", "verdicts": {}})
    (runs / "latest").write_text("mine")
    assert ledger(course_records(course, chapter="11")).sources["02"] == "the latest run, full profile"


def test_the_ledger_links_its_chapters_escapes_reasons_and_counts_verdicts(course):
    here = [replace(says("C12", 0.1, 0.2), why="<gain> = 1")]
    claims = ledger(course_records(course, chapter="11", here=here))
    shown = claims._repr_html_()
    assert "<a href='11_name.ipynb'>11</a>" in shown and "&lt;gain&gt;" in shown and "<gain>" not in shown
    assert claims.counts() == "3 supported, 1 not testable here, 10 not yet tested"


def test_the_stored_notebooks_of_the_course_have_tested_every_other_claim():
    found = course_records(course_root() / "notebooks", chapter="11", here=[says("C12", 0.1, 0.2)])
    claims = ledger(found)
    assert claims.complete and len(claims.overall) == 14
    assert all(row.why for row in claims.rows)


def test_a_damaged_notebook_is_named(course):
    (course / "02_name.ipynb").write_text("{")
    with pytest.raises(CourseError, match="02_name"):
        course_records(course, chapter="11")


def test_a_run_tells_its_notebooks_where_it_is(tmp_path, monkeypatch):
    monkeypatch.delenv(RUN, raising=False)
    with kernel_environment("quick", "cpu", tmp_path):
        assert os.environ[RUN] == str(tmp_path)
    assert RUN not in os.environ
    with kernel_environment("quick", "cpu"):
        assert RUN not in os.environ


def test_the_page_of_a_run_shows_the_ledger_once_there_is_a_verdict_on_a_claim():
    entry = {"id": "02", "title": "T", "notebook": "02_t.ipynb", "html": "02_t.html", "status": "ok", "seconds": 1.0}
    entry |= {"checks": {"passed": 0, "failed": 0, "not_attempted": 0}, "headline": [], "results": {}}
    run = {"profile": "quick", "device": "cpu", "seconds": 1.0, "started": "now", "versions": {}}
    said = {"C2": {"sentence": RULES.claims["C2"].sentence}, "warm-up": {}}
    said = {name: {"verdict": "refuted", "why": "<gain> = -1"} | more for name, more in said.items()}
    with_claim = page(Run.from_json(run | {"chapters": [entry | {"verdicts": said}]}))
    assert "<h2>The claims</h2>" in with_claim and "1 refuted, 1 not testable here, 12 not yet tested" in with_claim
    assert "&lt;gain&gt; = -1" in with_claim and "<gain>" not in with_claim
    assert "The claims" not in page(Run.from_json(run | {"chapters": [entry | {"verdicts": {"warm-up": said["warm-up"]}}]}))
