"""Text augmentation: edits keep what they should, synonyms keep their form, round trips are recorded, the network learns."""

import random
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import fewshot_lab as lab
from fewshot_lab.augment import back_translation
from fewshot_lab.augment.text import (
    EDA,
    EDITS,
    NAMES,
    OPERATIONS,
    augmented_set,
    edit_text,
    random_deletion,
    random_insertion,
    random_swap,
    synonym_replacement,
)
from fewshot_lab.data import glosses, round_trips
from fewshot_lab.data.synonyms import STOP_WORDS, Thesaurus, synonyms
from fewshot_lab.errors import CourseError
from fewshot_lab.methods import text_augmentation as methods
from fewshot_lab.models.text import TextNet, encode_words, vocabulary

WORDS = st.lists(st.sampled_from("a the big small dog cat sees".split()), min_size=1, max_size=12)
SMALL = {"big": ("large",), "small": ("little", "tiny"), "dog": ("hound",)}


@given(WORDS, st.randoms(use_true_random=False))
def test_swapping_keeps_every_word_and_swapping_back_gives_the_text(words, generator):
    pairs = [(generator.randrange(len(words)), generator.randrange(len(words))) for _ in range(4)]
    swapped = random_swap(words, pairs)
    assert Counter(swapped) == Counter(words) and random_swap(swapped, pairs[::-1]) == words


@given(WORDS, st.floats(0, 1), st.randoms(use_true_random=False))
def test_deletion_leaves_a_part_in_order_and_never_nothing(words, share, generator):
    draws = [generator.random() for _ in words]
    kept, rest = random_deletion(words, draws, share), iter(words)
    assert kept and all(word in rest for word in kept)
    assert random_deletion(words, draws, 0.0) == words


@given(WORDS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_number_asked_for_is_replaced_or_all_that_have_a_synonym(words, count, generator):
    one = {"big": "large", "small": "little"}
    after = synonym_replacement(words, one, [generator.random() for _ in words], count)
    differ = [(a, b) for a, b in zip(words, after, strict=True) if a != b]
    assert len(differ) == min(count, sum(word in one for word in words)) and all(one[a] == b for a, b in differ)


@given(WORDS)
def test_insertion_adds_and_keeps_the_order_of_the_others(words):
    after = random_insertion(words, [(0, "NEW"), (len(words) + 1, "NEW")])
    assert after == ["NEW", *words, "NEW"]


@given(WORDS, st.sampled_from(NAMES), st.floats(0.05, 0.9), st.integers(0, 99))
def test_equal_draws_give_equal_texts_and_strength_zero_changes_nothing(words, operation, alpha, seed):
    text = " ".join(words)
    first, second = (edit_text(text, operation, alpha, SMALL, random.Random(seed)) for _ in range(2))
    assert first == second and first
    assert edit_text(text, operation, 0.0, SMALL, random.Random(seed)) == text


def test_an_article_fits_its_new_word_and_unknown_operations_are_refused():
    assert edit_text("a dog", "synonyms", 0.5, {"dog": ("animal",)}, random.Random(0)) == "an animal"
    with pytest.raises(ValueError, match="synonyms, insertion"):
        edit_text("a dog", "rotation", 0.1, {}, random.Random(0))


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_a_learners_edit_takes_the_place_of_the_one_that_an_operation_is_declared_for(operation):
    edits = EDITS | {operation.edit.__name__: lambda *_: ["mine"]}
    assert edit_text("the big dog", operation.name, 0.5, SMALL, random.Random(0), edits) == "mine"


def test_eda_draws_each_of_its_four_edits():
    edits = {OPERATIONS[name].edit.__name__: lambda *_, name=name: [name] for name in EDA}
    drawn = {edit_text("the big dog", "eda", 0.5, {}, random.Random(seed), edits) for seed in range(40)}
    assert drawn == set(EDA)


@given(st.lists(st.sampled_from(["a dog", "a cat", "a big tree"]), min_size=1, max_size=5), st.integers(0, 4))
def test_copies_carry_the_label_of_their_text_and_nothing_is_there_twice(texts, copies):
    labels = list(range(len(texts)))
    more, more_labels = augmented_set(texts, labels, lambda text, r: f"{text} {r % 2}", copies)
    assert more[: len(texts)] == texts and more_labels[: len(texts)] == labels
    assert all(text.startswith(texts[label]) for text, label in zip(more, more_labels, strict=True))
    assert len(set(zip(more, more_labels, strict=True))) == len(more) == len(texts) * (1 + min(copies, 2))


@pytest.mark.assets
@pytest.mark.parametrize(
    ("word", "expected"),
    [("dogs", "domestic dogs"), ("(large,", "(big,"), ("carried", "transported"), ("eaten", None)],
)
def test_a_synonym_has_the_form_and_the_punctuation_of_its_word(word, expected):
    assert expected in synonyms(word) if expected else all(" " not in other for other in synonyms(word))


@pytest.mark.assets
def test_stop_words_names_and_unknown_words_have_no_synonym():
    assert not any(synonyms(word) for word in [*STOP_WORDS, "Paris", "xyzzyx", "12", "--"])
    table = Thesaurus()
    assert table.get("of") == () and "little" in table["small"]


@pytest.mark.assets
def test_most_glosses_have_a_synonym_and_no_synonym_is_the_word_itself():
    texts, table = glosses.task().train_texts[:300], Thesaurus()
    assert sum(any(table[word] for word in text.split()) for text in texts) > 250
    assert not any(word in table[word] for text in texts for word in text.split())


@pytest.mark.assets
def test_the_record_is_small_and_holds_a_clean_round_trip_for_every_training_gloss():
    name, known = round_trips.recorded()
    assert name.startswith("Apertium 3") and round_trips.RECORDED.stat().st_size < 400_000
    assert set(known) == set(glosses.task(glosses.ALL).train_texts)
    assert sum("*" in trip for trip in known.values()) < 5 and all(trip.strip() for trip in known.values())
    assert 0.05 < sum(text == trip for text, trip in known.items()) / len(known) < 0.4


@pytest.mark.assets
def test_without_a_translator_glosses_come_from_the_record_and_other_texts_are_refused(monkeypatch):
    monkeypatch.setattr(round_trips, "translator", lambda: None)
    text = glosses.task().train_texts[0]
    assert round_trips.round_trips([text]) == {text: round_trips.recorded()[1][text]}
    with pytest.raises(CourseError, match="apt-get install apertium-eng-spa"):
        round_trips.round_trips(["a text that nobody recorded"])


def test_marks_of_the_translator_are_cleaned_away():
    assert back_translation.clean("A  small *terriers with @claws", "a small dog") == "a small terriers with claws"
    assert back_translation.clean("", "a dog") == "a dog" and back_translation.clean("Paris", "Paris") == "Paris"


needs_translator = pytest.mark.skipif(
    not back_translation.translator(), reason="Apertium is not installed: apt-get install apertium-eng-spa"
)


@pytest.mark.assets
@needs_translator
def test_live_and_recorded_round_trips_agree_and_lines_stay_apart():
    name, known = round_trips.recorded()
    if back_translation.translator() != name:
        pytest.skip(f"the record is by {name}, here is {back_translation.translator()}")
    some = sorted(known)[::20]
    live = back_translation.back_translated(some)
    assert len(live) == len(some)
    assert sum(known[text] == trip for text, trip in zip(some, live, strict=True)) >= 0.95 * len(some)


@needs_translator
def test_odd_lines_give_one_line_each():
    odd = ["a dog", "two\nlines", "1/16 ounce", "a [b] {c} ^d$ <e>", "(law) a trivial sum (usually $1.00)"]
    assert len(back_translation.translate(odd, "eng-spa")) == len(odd)
    assert back_translation.translate([], "eng-spa") == []


def test_padding_and_unknown_words_are_what_they_should_be():
    words = vocabulary(["a small dog", "the dog"])
    rows = encode_words(["A small, dog", "a strange dog"], words, length=4)
    assert rows.tolist() == [[words["a"], words["small"], words["dog"], 0], [words["a"], 1, words["dog"], 0]]


def test_the_text_network_in_float64_finds_the_maximum_over_all_windows():
    torch.manual_seed(0)
    model = TextNet(5, 3, width=4).double().eval()
    numbers = torch.tensor([[2, 3, 4, 0], [6, 2, 2, 3]])
    found = []
    for n, layer in enumerate(model.filters, 1):
        x = model.embedding(numbers)
        kernel = layer.weight.reshape(4, n, 4).permute(0, 2, 1)  # (out, in, n)
        found.append(torch.nn.functional.conv1d(x.transpose(1, 2), kernel, layer.bias).relu().amax(2))
    assert torch.allclose(model(numbers), model.out(torch.cat(found, 1)), atol=1e-12)


@pytest.mark.slow
def test_a_network_from_scratch_learns_more_from_more_labels():
    task = glosses.task()
    accuracy = {}
    for shots in (2, 100):
        texts, labels = task.draw(shots, 0)
        accuracy[shots] = methods.fit_from_scratch("five", texts=texts, labels=labels.tolist(), seed=0)["test_accuracy"]
    assert accuracy[100] > accuracy[2] + 0.15 and accuracy[100] > 0.45
    again = methods.fit_from_scratch("five", texts=texts, labels=labels.tolist(), seed=0)
    assert again["test_accuracy"] == accuracy[100] == again["test_hits"].mean() and again["at_rest"] in (True, False)
    assert len(again["test_hits"]) == len(again["test_sizes"]) == len(task.test_labels) and 0 < again["validation_accuracy"] < 1


def test_a_head_weighs_copies_so_that_doubling_every_gloss_changes_nothing():
    z, labels = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3
    once = methods.linear_head(z, labels, 12)(z)
    twice = methods.linear_head(torch.cat([z, z]), torch.cat([labels, labels]), 12)(z)
    assert torch.allclose(once, twice, atol=1e-2)


def test_in_a_balanced_head_copies_of_one_class_do_not_make_it_more_frequent():
    z = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    labels, copied = torch.arange(12) % 3, torch.arange(12) % 3 == 0
    more, more_labels = torch.cat([z, z[copied], z[copied]]), torch.cat([labels, labels[copied], labels[copied]])
    once = methods.linear_head(z, labels, 12)(z)
    balanced, frequent = (methods.linear_head(more, more_labels, 12, balanced=flag)(z) for flag in (True, False))
    assert torch.allclose(once, balanced, atol=1e-2) and not torch.allclose(once, frequent, atol=0.1)


def test_weights_of_classes_make_up_for_their_numbers_and_leave_the_sum_as_it_was():
    labels = torch.tensor([0, 0, 0, 1, 3, 3])
    weights = methods.class_weights(labels, 4)
    assert [float(weights[labels][labels == k].sum()) for k in range(4)] == pytest.approx([2, 2, 0, 2])
    assert torch.equal(methods.class_weights(torch.arange(3), 3), torch.ones(3))


def test_flips_are_counted_among_the_glosses_that_were_classified_correctly():
    labels = torch.tensor([0, 0, 1, 1])
    share, low, high = methods.flip_rate(torch.tensor([0, 0, 1, 0]), torch.tensor([0, 1, 1, 0]), labels)
    assert share == pytest.approx(1 / 3) and 0 < low < share < high < 1
    assert methods.flip_rate(1 - labels, labels, labels)[0] != methods.flip_rate(1 - labels, labels, labels)[0]  # NaN


def test_copies_depend_on_text_and_number_alone():
    change = methods.copy_maker("eda", synonyms=SMALL, round_trips={})
    text = "the big dog sees the small cat"
    assert change(text, 1) == change(text, 1) and len({change(text, r) for r in range(20)}) > 5
    assert methods.copy_maker("none", synonyms={}, round_trips={})(text, 3) == text


@pytest.mark.assets
def test_the_text_explorer_answers_and_marks_changed_words_in_words(every_control_answers):
    shown = lab.widgets.TextExplorer(glosses.task())
    every_control_answers(shown)
    assert "<ins><strong>" in shown.html and "<del>" in shown.html
    shown.controls["own"].value = "<b> dog"
    assert "<b> dog" not in shown.html


@pytest.mark.assets
def test_own_words_are_back_translated_only_where_a_translator_is(monkeypatch):
    monkeypatch.setattr("fewshot_lab.widgets.text.translator", lambda: None)
    shown = lab.widgets.TextExplorer(glosses.task(), operation="back-translation")
    assert "role='alert'" not in shown.html
    shown.controls["own"].value = "a small dog"
    assert "Clear them to see glosses" in shown.html


def test_the_readers_marks_are_kept_while_leafing_and_summed_up(every_control_answers):
    shown = lab.widgets.LabelMarker(["a dog", "a cat", "a tree"], ["animal", "animal", "plant"])
    every_control_answers(shown)
    assert shown.counts() == (0, 0)
    shown.controls["mark"].value = "changes its label"
    shown.controls["text"].value = 2
    assert shown.controls["mark"].value == "not marked"
    shown.controls["mark"].value = "keeps its label"
    shown.controls["text"].value = 1
    assert shown.controls["mark"].value == "changes its label" and shown.counts() == (1, 2)


@settings(max_examples=30)
@given(WORDS, WORDS)
def test_the_words_outside_of_the_marks_are_common_to_both_texts(first, second):
    from fewshot_lab.widgets.text import marked

    plain = [word for word in marked(" ".join(first), " ".join(second), "[{}]").split() if not word.startswith("[")]
    assert not Counter(plain) - Counter(second)


def test_a_head_learns_shares_as_it_learns_labels_and_doubt_draws_it_to_the_middle():
    z = F.normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = (z[:, 0] > 0).long()
    hard = methods.linear_head(z, labels, 40)(z)
    certain = F.one_hot(labels, 2).float()
    torch.testing.assert_close(methods.linear_head(z, certain, 40)(z), hard, atol=0.05, rtol=0.05)
    doubtful = methods.linear_head(z, 0.6 * certain + 0.4 * (1 - certain), 40)(z)
    assert (doubtful.argmax(1) == labels).float().mean() > 0.9
    # The best answer to shares of 0.6 and 0.4 is 0.6, not certainty.
    assert doubtful.exp().amax(1).mean() < 0.7 < hard.exp().amax(1).mean()
