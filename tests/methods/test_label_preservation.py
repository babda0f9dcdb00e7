"""Label or reader: partners by the pictures, readers with and without turns, and the answer "none of these"."""

import functools

import numpy as np
import pytest
import torch

import fewshot_lab as lab
from fewshot_lab.exercises import get_exercise
from fewshot_lab.methods import label_preservation as preservation

label_kept = get_exercise("label_kept")


@functools.cache
def reader(degrees: float) -> dict:
    return {"seed": 0} | preservation.fit_reader("digits", degrees=degrees, seed=0, steps=150, device="cpu")


def digits():
    return lab.data.load("digits").capped(preservation.MOST_TEST)


def partners_of(name: str, change: str) -> set[str]:
    pictures, labels = preservation.training_pictures(name)
    classes = lab.data.load(name).classes
    there, back = (
        preservation.nearest_classes(pictures, labels, preservation.SYMMETRIES[one], len(classes))
        for one in (change, preservation.UNDONE_BY[change])
    )
    assert torch.allclose(there.sum(1), torch.ones(len(classes)))
    return {classes[one] + classes[other] for one, other in preservation.partners(there, back).items()}


@pytest.mark.parametrize(
    ("name", "change", "pairs"),
    [
        ("glyphs", "half turn", "bq qb dp pd nu un 69 96"),
        ("glyphs", "left-right flip", "bd db pq qp"),
        ("glyphs", "top-bottom flip", "bp pb dq qd nu un"),
        ("glyphs", "quarter turn", ""),
        ("glyphs", "turn by 270°", ""),
        ("glyphs", "diagonal flip", ""),
        ("glyphs", "other diagonal", ""),
        ("digits", "half turn", ""),  # a handwritten 6 is no 9 upside down
    ],
)
def test_the_pictures_say_which_class_a_change_makes_of_another(name, change, pairs):
    assert partners_of(name, change) == set(pairs.split())


def test_nine_of_ten_unchanged_digits_are_found_to_be_of_their_class():
    pictures, labels = preservation.training_pictures("digits")
    shares = preservation.nearest_classes(pictures, labels, lambda images: images, 10)
    assert 0.85 < shares.diagonal().min() and shares.diagonal().max() < 0.95 and preservation.partners(shares) == {}


def test_partners_are_partners_both_ways():
    one_sided = torch.tensor([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0]])
    assert preservation.partners(one_sided) == {0: 1, 1: 0}
    assert preservation.partners(torch.tensor([[0.1, 0.9, 0.0], [0.4, 0.6, 0.0]])) == {}


def test_a_change_that_does_not_undo_itself_leads_back_by_another():
    there = torch.tensor([[0.1, 0.9, 0.0, 0.0], [0.0, 0.1, 0.9, 0.0], [0.0, 0.0, 1.0, 0.0]])
    back = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.9, 0.1, 0.0, 0.0], [0.0, 0.4, 0.6, 0.0]])
    assert preservation.partners(there) == {} and preservation.partners(there, back) == {0: 1}


def test_all_elements_of_d4_but_the_identity_are_tried_and_what_undoes_one_leads_back():
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    changed = {tuple(change(image).flatten().tolist()) for change in preservation.SYMMETRIES.values()}
    assert len(changed) == 7 and tuple(image.flatten().tolist()) not in changed
    for change, back in preservation.UNDONE_BY.items():
        assert torch.equal(preservation.SYMMETRIES[back](preservation.SYMMETRIES[change](image)), image)


def test_a_picture_moved_by_a_pixel_is_as_near_as_it_was():
    pictures = preservation.training_pictures("glyphs")[0][:20]
    assert preservation._distances(pictures.roll(1, dims=-1), pictures).diagonal().max() < 1e-2


@pytest.mark.slow
def test_a_reader_that_has_seen_turns_classifies_turned_digits_that_another_one_does_not():
    rows = {"none": [reader(0)], "turns": [reader(45)]}
    correct = preservation.correct_by_turn(rows, digits(), label_kept)
    assert correct.mean("none", 0) > 0.9 and correct.mean("turns", 0) > 0.9
    assert correct.mean("turns", 30) > correct.mean("none", 30) + 0.2


def test_correct_answers_are_counted_by_class_and_for_the_classes_asked_for():
    task = digits()
    of_zero = {0: task.test_labels.repeat(2), 15: torch.zeros(2 * len(task.test_labels), dtype=torch.long)}
    rows = [{"seed": seed, "at_rest": seed == 0, "answers": of_zero} for seed in (0, 1)]
    correct = preservation.correct_by_turn({"reader": rows}, task, label_kept)
    hits, sizes = correct.hits("reader", 15)
    counts = 2 * torch.bincount(task.test_labels).numpy()
    assert np.array_equal(sizes, counts) and hits[0, 0] == counts[0] and not hits[:, 1:].any()
    assert correct.mean("reader", 0) == 1 and correct.at_rest("reader", 0) == 0.5
    assert correct.interval("reader", 15).over == "2 seeds x 10 classes"
    assert preservation.correct_by_turn({"reader": rows}, task, label_kept, [0, 1]).hits("reader", 15)[0].shape == (2, 2)
    pair, _ = preservation.correct_by_turn({"reader": rows}, task, label_kept, [[0, 1], 2]).hits("reader", 15)
    assert pair.shape == (2, 2) and pair[0].tolist() == [counts[0], 0]


@pytest.mark.slow
def test_a_reader_declines_by_a_threshold_that_accepts_the_validation_images():
    task = digits()
    _, stands = preservation.classify_or_decline(reader(0)["model"], task, task.validation_images, device="cpu")
    assert stands.float().mean().item() == pytest.approx(0.95, abs=0.01)
    noise = torch.randint(256, (300, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert preservation.classify_or_decline(reader(0)["model"], task, noise, device="cpu")[1].float().mean() < 0.8


@pytest.mark.slow
def test_the_answers_are_shares_of_one_and_declining_spares_wrong_ones():
    half_turn = preservation.TRANSFORMATIONS["half turn"]
    found = preservation.outcomes([reader(0)], digits(), half_turn, partners={6: 9, 9: 6}, device="cpu")
    share = {name: found.mean("reader", of=name) for name in ("own", "partner", "another", "none", "forced", "spared")}
    assert share["own"] + share["partner"] + share["another"] + share["none"] == pytest.approx(1)
    assert share["forced"] == pytest.approx(share["partner"] + share["another"] + share["spared"]) and share["spared"] > 0.05
    assert 0 < share["partner"] < 0.2  # two classes of ten
