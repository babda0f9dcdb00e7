"""Data: glyphs are rendered the same way every time, splits are disjoint, draws are balanced and nested."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fewshot_lab import assets, data
from fewshot_lab.course import tables
from fewshot_lab.data import emoji, fashion, glosses, glyphs, sentences, wordnet
from fewshot_lab.errors import CourseError


def test_the_benchmark_has_hundreds_of_classes_each_with_enough_typefaces():
    whole = glyphs.load()
    counts = torch.bincount(whole.labels)
    assert len(whole.characters) > 600 and len(whole.labels) > 7500
    assert counts.min() >= glyphs.MIN_FACES and whole.images.shape[1:] == (1, 28, 28) and whole.images.dtype == torch.uint8
    assert set("abcxyzABCXYZ0123456789") <= set(whole.characters)


def test_no_alphabet_is_in_two_parts_and_no_class_looks_like_one_of_another_part():
    parts = {part: glyphs.load().split(part) for part in glyphs.PARTS}
    alphabets = [set(glyphs.PARTS[part]) for part in parts]
    assert sum(map(len, alphabets)) == len(set.union(*alphabets)) == len(set(glyphs.load().alphabets))
    face = glyphs.FACES.index("DejaVuSans")
    ink = {
        part: np.stack([glyphs._aligned(image[0].numpy() / np.float32(255)) for image in of_part.images[of_part.faces == face]])
        for part, of_part in parts.items()
    }
    for one, other in itertools.combinations(ink.values(), 2):
        assert (one @ other.T).max() <= glyphs.TWIN_ACROSS


def test_characters_that_go_for_a_training_character_are_in_no_test():
    # Of each pair the second is a training character, and a reader takes one for the other.
    pairs = ["ΑA", "ΡP", "υʋ", "ԼL", "ՏS", "ΘƟ", "γY", "զɋ", "ρp", "շ2", "იo", "Эꜿ"]
    trained = set(glyphs.load().split("train").characters)
    others = set(glyphs.load().split("test").characters) | set(glyphs.load().split("validation").characters)
    assert all(theirs in trained and ours not in others for ours, theirs in pairs)


@pytest.mark.parametrize("content", [b"not a cache", b"PK\x03\x04 half a cache"])
def test_rendering_again_gives_the_same_pixels_and_a_damaged_cache_is_replaced(tmp_path, monkeypatch, content):
    first = glyphs.load()
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path))
    cache = tmp_path / "glyphs" / f"{glyphs._version()}.npz"
    cache.parent.mkdir()
    cache.write_bytes(content)
    glyphs.load.cache_clear()
    again = glyphs.load()
    glyphs.load.cache_clear()
    assert torch.equal(first.images, again.images) and first.characters == again.characters
    assert len(np.load(cache)["labels"]) == len(first.labels)


@pytest.mark.parametrize("name", ["mild", "hard"])
def test_jitter_repeats_with_its_seed_and_changes_images(name):
    images = glyphs.load().images[:50]
    drawn = [glyphs.jitter(images, name, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert drawn[0].dtype == torch.uint8 and drawn[0].shape == images.shape


def test_no_family_of_typefaces_is_in_two_parts_of_the_task():
    task, whole = data.load("glyphs"), glyphs.load().of_characters(glyphs.CHARACTERS)
    families = {"DejaVu": "train", "STIX": "validation", "cm": "test"}
    for part in families.values():
        faces = {glyphs.FACES[face] for face in whole.faces[getattr(task, f"{part}_pictures")].tolist()}
        assert {families[next(family for family in families if face.startswith(family))] for face in faces} == {part}
    pictures = torch.cat([getattr(task, f"{part}_pictures").unique() for part in families.values()])
    assert pictures.sort().values.tolist() == list(range(len(whole.labels))), "every picture is in one part"


def test_labels_are_of_different_pictures_and_a_class_without_enough_says_so():
    task = data.load("glyphs")
    for seed in range(5):
        rows = task.rows(12, seed)
        assert len(task.train_pictures[rows].unique()) == len(rows) == 12 * 16
    with pytest.raises(ValueError, match="12 different training pictures of 'a', not 13"):
        task.rows(13, 0)


@settings(max_examples=20)
@given(st.sampled_from(["glyphs", "digits"]), st.integers(1, 9), st.integers(0, 10_000))
def test_a_draw_is_balanced_repeats_with_its_seed_and_is_nested(name, shots, seed):
    task = data.load(name)
    images, labels = task.draw(shots, seed)
    assert torch.bincount(labels).tolist() == [shots] * len(task.classes)
    assert torch.equal(images, task.draw(shots, seed)[0])
    larger, _ = task.draw(shots + 3, seed)
    one, more = (part.reshape(len(task.classes), -1, *images.shape[1:]) for part in (images, larger))
    assert torch.equal(one, more[:, :shots])


def test_a_capped_task_keeps_the_first_test_images_and_all_training_images():
    task = data.load("digits")
    capped = task.capped(50)
    for part in ("validation", "test"):
        assert torch.equal(getattr(capped, f"{part}_images"), getattr(task, f"{part}_images")[:50])
        assert torch.equal(getattr(capped, f"{part}_labels"), getattr(task, f"{part}_labels")[:50])
    assert torch.equal(capped.train_images, task.train_images) and capped.classes == task.classes
    assert torch.equal(task.capped().test_images, task.test_images), "600 test images are fewer than the default"


def test_settings_are_chosen_on_the_validation_part_alone():
    task = data.load("glyphs")
    choosing = task.on_validation()
    assert torch.equal(choosing.test_images, task.validation_images)
    assert torch.equal(choosing.test_labels, task.validation_labels)
    assert torch.equal(choosing.test_pictures, task.validation_pictures)
    assert torch.equal(choosing.train_images, task.train_images)


@pytest.mark.parametrize("name", ["glyphs", "digits"])
def test_halves_share_no_training_group_and_are_the_same_at_every_call(name):
    task = data.load(name)
    first, second = task.halves()
    assert not set(first.train_groups.tolist()) & set(second.train_groups.tolist())
    assert len(first.train_labels) + len(second.train_labels) == len(task.train_labels)
    assert abs(len(first.train_labels) - len(second.train_labels)) <= 1
    assert torch.equal(first.train_images, task.halves()[0].train_images)
    assert torch.equal(first.test_images, task.test_images) and torch.equal(second.test_images, task.test_images)
    assert torch.equal(second.draw(5, seed=3)[0], second.train_images[second.rows(5, seed=3)])


def test_halves_of_a_large_task_are_of_some_of_its_images():
    first, second = data.load("digits").halves(100)
    assert [len(half.train_labels) for half in (first, second)] == [50, 50]
    assert len(first.test_labels) == 100 and torch.equal(first.test_images, second.test_images)


FETCHED = {"fashion": pytest.mark.assets, "emoji": pytest.mark.assets}


@pytest.mark.parametrize("name", [pytest.param(name, marks=FETCHED.get(name, ())) for name in data.TASKS])
def test_every_data_set_in_the_registry_loads_under_its_name(name):
    task = data.load(name)
    assert task.name == name and task.train_images.dtype == torch.uint8 and task.train_images.ndim == 4
    assert set(task.train_labels.tolist()) == set(range(len(task.classes)))


def numbers(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def test_the_table_of_data_sets_counts_what_comes_with_the_libraries():
    rows = {name: numbers(contents) for name, contents, *_ in tables._WITHOUT_DOWNLOAD}
    whole, digits, made = glyphs.load(), data.load("digits"), sentences.task()
    parts = ("train", "validation", "test")
    assert rows["glyphs"] == [len(whole.characters), len(whole.labels)]
    assert rows["digits"] == [sum(len(getattr(digits, f"{part}_labels")) for part in parts), len(digits.classes)]
    assert rows["sentences"] == [sum(len(getattr(made, part)) for part in parts), (len(made.tags) - 1) // 2]


@pytest.mark.assets
def test_the_table_of_data_sets_counts_what_is_fetched():
    def stated(name: str) -> list[int]:
        return numbers(assets.ASSETS[name].contents)

    whole, clothing, folder = emoji.pictures(), data.load("fashion"), assets.fetch("wordnet")
    assert stated("emoji") == [len(whole.names), len(emoji.ARTISTS), len(set(whole.groups))]
    count = sum(len(getattr(clothing, f"{part}_labels")) for part in ("train", "validation", "test"))
    assert stated("fashion") == [count, len(clothing.classes)]
    lines = [line for kind in ("noun", "verb", "adj", "adv") for line in (folder / f"data.{kind}").open(encoding="utf-8")]
    assert stated("wordnet") == [sum(not line.startswith("  ") for line in lines)], "two spaces begin the licence"
    scored = [path for path in assets.fetch("opinions").glob("*_GroundTruth.txt")]
    assert stated("opinions") == [sum(len(path.read_bytes().splitlines()) for path in scored), len(scored)]


def test_a_data_set_is_available_when_it_needs_no_asset_or_has_it(monkeypatch):
    monkeypatch.setattr(data, "installed", lambda asset: False)
    assert data.available(first="digits") == ["digits", "glyphs"]
    monkeypatch.setattr(data, "installed", lambda asset: asset == "fashion")
    assert data.available(first="glyphs") == ["glyphs", "digits", "fashion"]


def test_digits_are_the_1797_real_ones_without_overlap():
    task = data.load("digits")
    parts = [task.train_images, task.validation_images, task.test_images]
    assert [len(images) for images in parts] == [897, 300, 600]
    seen = [{row.numpy().tobytes() for row in images} for images in parts]
    assert sum(len(one & other) for one, other in itertools.combinations(seen, 2)) <= 1
    assert task.train_images.max() == 255


@pytest.mark.assets
def test_fashion_is_fashion_mnist():
    task = data.load("fashion")
    assert task.train_images.shape == (50_000, 1, 28, 28)
    assert task.validation_images.shape == task.test_images.shape == (10_000, 1, 28, 28)
    assert torch.bincount(torch.cat([task.train_labels, task.validation_labels])).tolist() == [6000] * 10


def test_an_image_folder_holds_each_class_as_readable_pictures(tmp_path):
    from torchvision.datasets import ImageFolder

    task = data.load("digits")
    root = fashion.write_image_folder(tmp_path, task, train_per_class=4, test_per_class=2)
    for part, count in (("train", 4), ("val", 2)):
        folder = ImageFolder(root / part)
        assert folder.classes == list(task.classes) and len(folder) == 10 * count
        assert folder[0][0].size == (8, 8)
    stored = {np.asarray(picture)[..., 0].tobytes() for picture, _ in ImageFolder(root / "train")}
    assert stored <= {image.numpy().tobytes() for image in task.train_images}


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: data.load("cifar"), CourseError, "glyphs, digits, fashion"),
        (lambda: data.load("digits").draw(5000, 0), ValueError, "not 5000"),
        (lambda: glyphs.jitter(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), "wild"), ValueError, "none, mild, hard"),
        (lambda: glyphs.load().of_alphabets("KLINGON"), ValueError, "KLINGON"),
        (lambda: glyphs.load().of_characters("漢"), ValueError, "漢"),
        (lambda: glyphs.load().split("val"), ValueError, "train, test, validation"),
    ],
)
def test_bad_input_is_refused_in_words(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_an_image_folder_that_cannot_be_written_is_an_error_with_advice(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(CourseError, match="choose another folder"):
        fashion.write_image_folder(blocked / "below", data.load("digits"), train_per_class=1, test_per_class=1)


@pytest.fixture(scope="module")
def five_glosses():
    return glosses.task()


@pytest.mark.assets
def test_glosses_are_split_once_and_no_text_stands_in_two_parts(five_glosses):
    parts = [five_glosses.train_texts, five_glosses.validation_texts, five_glosses.test_texts]
    assert [len(part) for part in parts] == [1500, 100, 500]
    assert len(set().union(*parts)) == 2100
    assert five_glosses.test_labels.bincount().tolist() == [100] * 5


@pytest.mark.assets
def test_no_gloss_holds_its_own_label_word_or_an_example(five_glosses):
    for texts, labels in (
        (five_glosses.train_texts, five_glosses.train_labels),
        (five_glosses.test_texts, five_glosses.test_labels),
    ):
        for text, label in zip(texts, labels, strict=True):
            words = text.lower().replace("-", " ").split()
            name = five_glosses.classes[label]
            assert name not in words and f"{name}s" not in words and '"' not in text


@pytest.mark.assets
def test_draws_of_glosses_are_nested_balanced_and_repeat_with_the_seed():
    every = glosses.task(glosses.ALL)
    few, labels = every.draw(5, seed=3)
    assert labels.bincount().tolist() == [5] * 25
    many, many_labels = every.draw(20, seed=3)
    for label in range(25):
        of_class = [text for text, at in zip(many, many_labels, strict=True) if at == label]
        assert of_class[:5] == few[5 * label : 5 * label + 5]
    assert every.draw(5, seed=3)[0] == few != every.draw(5, seed=4)[0]
    assert len(every.draw(100, seed=0)[1]) < 25 * 100, "motive has fewer than a hundred"


def test_an_unknown_supersense_is_told():
    with pytest.raises(ValueError, match="no supersense bird"):
        glosses.task(("animal", "bird"))


@pytest.mark.assets
def test_wordnet_knows_first_senses_instances_and_irregular_forms():
    assert "domestic dog" in wordnet.first_senses("n")["dog"].words
    assert wordnet.first_senses("n")["dog"].supersense == "animal"
    assert wordnet.first_senses("n")["paris"].instance and not wordnet.first_senses("n")["city"].instance
    assert wordnet.base_forms("v")["ran"] == "run" and wordnet.base_forms("n")["geese"] == "goose"
    assert wordnet.definition('a cat; "the cat sat"; "a; b"') == "a cat"
    assert sum(1 for _ in wordnet.synsets("r")) == 3621
