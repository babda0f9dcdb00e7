"""Your own data measured: answers follow from the numbers, too little gets no guess, and the page tells what was found."""

import functools
import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import fewshot_lab as lab
from fewshot_lab import cli, own
from fewshot_lab.data import ImageTask, load
from fewshot_lab.data.conll import Sentence, TaggingTask, to_text
from fewshot_lab.errors import CourseError
from fewshot_lab.languages import speaking
from fewshot_lab.methods.name_lookup import lookup
from fewshot_lab.own import chapters, features, measures, tagged, try_data, trying, worth
from fewshot_lab.training import Arms


def blobs(per_class: int = 60, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (N, 8) of classes that are far apart, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat(per_class)
    return torch.randn(len(labels), 8, generator=generator) + 6 * torch.eye(8)[labels], labels


def curve(errors: dict[int, float], pictures: int = 400) -> Arms:
    """An arm "a" of three seeds whose errors at K labels are these, up to the rounding to whole pictures."""
    rows = []
    for k, error in errors.items():
        for seed in range(3):
            hits = (np.arange(pictures) >= round(error * pictures) + seed - 1).astype(int)
            rows.append(
                {"seed": seed, "shots": k, "test_accuracy": hits.mean(), "test_hits": hits, "test_sizes": np.ones(pictures)}
            )
    return Arms({"a": rows}, axis="shots")


def test_a_power_law_is_carried_on_only_where_it_foretold_the_last_point():
    lawful = measures.growth(curve({k: 0.5 * k**-0.5 for k in (1, 2, 4, 8)}), "a")
    assert lawful.predicted == pytest.approx(1 - 0.5 * 16**-0.5, abs=0.01) and (lawful.before, lawful.after) == (4, 8)
    assert measures.growth(curve({1: 0.5, 2: 0.35, 4: 0.25, 8: 0.25}), "a").predicted is None  # it has stopped falling
    assert measures.growth(curve({1: 0.5, 2: 0.35}), "a").predicted is None


def test_labels_that_were_made_wrong_are_found_and_others_are_not():
    z, labels = blobs()
    wrong = torch.tensor([3, 50, 100])
    changed = labels.clone()
    changed[wrong] = (labels[wrong] + 1) % 3
    found = measures.suspects(measures.out_of_fold(z, changed, torch.arange(len(z)), 3), changed)
    assert set(found.tolist()) <= set(wrong.tolist()) and len(found) >= 2  # the rule asks for more than the average confidence
    recall, listed = measures.planted_found(z, labels, torch.arange(len(z)), 3)
    assert recall.n == 9 and recall.mean > 0.5 and listed == round(9 * recall.mean)


def test_copies_of_a_picture_do_not_judge_each_other():
    # Labels that the features do not tell, and so many features that each picture can be remembered.
    generator = torch.Generator().manual_seed(1)
    z, labels = torch.randn(40, 100, generator=generator), torch.randint(0, 2, (40,), generator=generator)
    z, labels, pictures = z.repeat(2, 1), labels.repeat(2), torch.arange(40).repeat(2)
    right = measures.out_of_fold(z, labels, pictures, 2).argmax(1) == labels
    leaking = measures.out_of_fold(z, labels, torch.arange(80), 2).argmax(1) == labels
    assert right.float().mean() < 0.75 < leaking.float().mean()


def test_trust_is_that_of_the_test_and_copies_count_once():
    probabilities = torch.tensor([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.3, 0.7]])
    trust = measures.reliability(probabilities, torch.tensor([0, 0, 1, 0]), torch.tensor([0, 0, 1, 2]))
    assert (trust.accuracy.mean, trust.accuracy.n) == (pytest.approx(2 / 3), 3)
    assert (trust.sure.mean, trust.sure.n, trust.share) == (1, 1, pytest.approx(1 / 3))
    assert "0.90" in str(trust) and "33%" in str(trust)


def test_a_policy_that_reaches_what_twice_the_labels_reach_is_worth_two():
    none = curve({1: 0.6, 2: 0.5, 4: 0.4, 8: 0.3}).rows["a"]
    better = curve({2: 0.4}).rows["a"]
    curves = Arms({"none": none, "p": better}, axis="shots")
    found = worth.Worth("p", 2, worth.rate_of(curves, "p", 2), {}, curves)
    assert found.rate.mean == pytest.approx(2, abs=0.05) and "one label is worth" in str(found)
    same = Arms({"none": none, "p": curve({2: 0.5}).rows["a"]}, axis="shots")
    assert "Too few to tell" in str(worth.Worth("p", 2, worth.rate_of(same, "p", 2), {}, same))


def smaller(task: ImageTask, shots: int, tested: int) -> ImageTask:
    """A smaller task: at most `shots` pictures of each class to learn from, and `tested` images in the other parts."""
    rows = torch.cat([(task.train_labels == label).nonzero()[:shots, 0] for label in range(len(task.classes))])
    small = {f"train_{what}": getattr(task, f"train_{what}")[rows] for what in ("images", "labels", "pictures", "groups")}
    return replace(task.capped(tested), **small)


@pytest.mark.slow
def test_policies_are_chosen_on_validation_and_told_from_the_test():
    task = smaller(load("digits"), 8, 60)
    task = replace(task, test_labels=(task.test_labels + 1) % 10)  # nobody can be right on this test
    policies = {"affine": ("affine", 0.3), "d4": ("d4", 1.0)}
    found = worth.of_policies(task, policies, seeds=[0, 1, 2], steps=40)
    best = max(found.validation, key=lambda name: found.validation[name].mean)
    assert found.chosen == best and found.validation[best].mean > 0.5
    hits, _ = found.curves.hits(best, found.shots)
    assert hits.shape == (3, 60) and hits.mean() < 0.3


def write_digits(folder, per_class: int = 12, classes: int = 3):
    task = load("digits")
    for label, name in enumerate(task.classes[:classes]):
        (folder / name).mkdir(parents=True)
        for row in (task.train_labels == label).nonzero()[:per_class, 0].tolist():
            Image.fromarray(task.train_images[row, 0].numpy()).save(folder / name / f"{row}.png")
    return folder


@pytest.fixture
def without_models(monkeypatch):
    """No pretrained model can be had."""

    def missing(*args):
        raise CourseError("there is no network")

    monkeypatch.setattr(features, "lite0", missing)
    monkeypatch.setattr(features, "minilm", missing)


@pytest.mark.slow
def test_pictures_are_tried_and_the_page_tells_it(tmp_path, without_models, monkeypatch):
    folder = write_digits(tmp_path / "<digits>", per_class=24)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    swapped = next((folder / "0").iterdir())
    swapped.rename(folder / "1" / "wrong.png")
    monkeypatch.setattr(worth, "of_policies", functools.partial(worth.of_policies, steps=8))
    tried = try_data(folder, out=tmp_path / "page", classify=[str(folder / "1" / "wrong.png")])
    page = tried.page.read_text()
    assert "&lt;digits&gt;" in page and "<digits>" not in page and "1/wrong.png" in page
    assert "Without EfficientNet-Lite0: there is no network" in str(tried) and "wrong.png: 0" in str(tried)
    assert sum(path in before for path in folder.rglob("*")) == len(before) - 1


def test_few_pictures_get_no_guess(tmp_path, without_models, monkeypatch):
    monkeypatch.setattr(worth, "of_policies", None)  # is not asked
    tried = try_data(write_digits(tmp_path / "d", per_class=8), out="")
    assert str(tried).count("Too few to tell: 6 test examples") >= 3 and tried.page is None


def write_texts(path, per_class: int = 40):
    generator = random.Random(0)
    words = {"good": "fine lovely great superb".split(), "bad": "dull awful boring poor".split()}
    rows = [
        (f"a {generator.choice(words[y])} {generator.choice(words[y])} film {n}", y) for n in range(per_class) for y in words
    ]
    rows[7] = (rows[7][0], "good")  # which is about a bad film
    path.write_text("text,label\n" + "".join(f"{t},{y}\n" for t, y in rows))
    return path


@pytest.mark.slow
def test_texts_are_tried_from_the_command_line_in_another_language(tmp_path, without_models, monkeypatch, capsys):
    path = write_texts(tmp_path / "films.csv")
    monkeypatch.setattr(
        "sys.argv", ["fewshot-lab", "try", str(path), "--out", str(tmp_path / "page"), "--classify", "a lovely film"]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().out
    assert not ended.value.code and "a lovely film: good" in said and "Without MiniLM" in said and "index.html" in said
    assert "bag of words, chosen on validation" in said and (tmp_path / "page" / "index.html").exists()
    with speaking("zh"):
        assert "词袋" in try_data(path, out="").as_page()


def test_a_wrong_label_among_texts_is_listed_first(tmp_path, without_models):
    tried = try_data(write_texts(tmp_path / "films.csv"), out="")
    [section] = [one for one in tried.sections if "mislabelled" in one.question]
    assert "film 3" in section.as_html() and section.answer.startswith("1 of 80")


def test_tagged_sentences_are_tried(tmp_path, monkeypatch):
    towns = ["Oslo", "Rome", "Bern", "Lima", "Kyiv"]
    some = [Sentence(("I", "saw", towns[n % 5], str(n)), ("O", "O", "B-LOC", "O")) for n in range(130)]
    (tmp_path / "a.conll").write_text(to_text(some))

    def tagger(task, *, count, **settings):
        return {"predicted": [lookup(task.draw(count, 0), s.words) for s in task.test]}

    monkeypatch.setattr(tagged, "fit_tagger", tagger)
    said = str(try_data(tmp_path / "a.conll", out="", classify=["Is Bern old?"]))
    assert "Entity F1 1.000" in said and "0 of 26 test sentences" in said and "From 50 to 78" in said
    assert said.endswith("Bern (LOC)")
    (tmp_path / "b.conll").write_text(to_text(some[:20]))
    assert "Too few to tell: 4 test sentences" in str(try_data(tmp_path / "b.conll", out=""))


def test_more_sentences_than_the_largest_count_still_make_a_curve(monkeypatch):
    some = [Sentence(("I", "saw", "Oslo", str(n)), ("O", "O", "B-LOC", "O")) for n in range(560)]
    trained = []

    def tagger(task, *, count, **settings):
        trained.append(count)
        return {"predicted": [s.tags for s in task.test]}

    monkeypatch.setattr(tagged, "fit_tagger", tagger)
    said = [section.answer for section in tagged.sections_of(TaggingTask("t", tuple(some[:530]), tuple(some[530:])))]
    assert {200, 500} == set(trained) and any("From 200 to 500" in answer for answer in said)


def test_sentences_that_cannot_be_used_as_they_are_count_as_sentences_and_tables_are_not_read(tmp_path):
    rows = [{"text": f"Oslo {n}", "label": [[0, 4, "LOC"]]} for n in range(4)]
    rows.append({"text": "Ada 奥斯陆", "label": [[0, 3, "RARE"]]})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "rare.jsonl").write_text(lines, encoding="utf-8")
    (tmp_path / "chinese.jsonl").write_text(lines, encoding="gb18030")
    (tmp_path / "texts.jsonl").write_text('{"text": "Oslo", "label": ["town"]}\n' * 3)
    assert trying.kind_of(tmp_path / "rare.jsonl") == "sentences"
    assert trying.kind_of(tmp_path / "chinese.jsonl", "gb18030") == "sentences"
    assert trying.kind_of(tmp_path / "texts.jsonl") == "texts"
    assert trying.kind_of(tmp_path / "not there.csv") == "texts"
    with pytest.raises(CourseError, match="a type of entity needs at least"):
        try_data(tmp_path / "chinese.jsonl", out="", encoding="gb18030")


def test_pictures_and_table_are_drawn_from_like_class_folders(tmp_path, without_models, monkeypatch):
    folder = write_digits(tmp_path / "d", per_class=40)
    (tmp_path / "t").mkdir()
    rows = ["file,label"]
    for file in sorted(folder.rglob("*.png")):
        file.rename(tmp_path / "t" / f"{file.parent.name} {file.name}")
        rows.append(f"{file.parent.name} {file.name},{file.parent.name}")
    (tmp_path / "t" / "labels.csv").write_text("\n".join(rows))
    monkeypatch.setattr(trying, "MOST", 66)
    monkeypatch.setattr(worth, "of_policies", lambda *some, **options: None)
    assert "66 pictures of 3 classes (0 22, 1 22, 2 22)" in try_data(tmp_path / "t", out="").report


def test_too_many_classes_and_mistyped_paths_are_told_before_anything_is_measured(tmp_path, without_models, monkeypatch):
    folder = write_digits(tmp_path / "d")
    monkeypatch.setattr(trying, "_common", None)  # is not asked
    with pytest.raises(CourseError, match="nothing at .*picture.png"):
        try_data(folder, out="", classify=[str(folder / "picture.png")])
    for number in range(101):
        (tmp_path / "many" / str(number)).mkdir(parents=True)
        (tmp_path / "many" / str(number) / "1.png").touch()
    with pytest.raises(CourseError, match="has 101 classes .*at most 100 are taken"):
        try_data(tmp_path / "many", out="")


def test_copies_of_one_picture_are_no_class_from_which_anything_is_learned():
    z, labels = blobs(per_class=20, classes=2)
    pictures = torch.where(labels == 0, 0, torch.arange(len(labels)) + 1)
    recall, listed = measures.planted_found(z, labels, pictures, 2)
    assert (recall.n, listed) == (0, 0)


def test_a_folder_of_sentences_takes_no_options_of_a_file(tmp_path, monkeypatch):
    some = [Sentence(("I", "saw", "Oslo", str(n)), ("O", "O", "B-LOC", "O")) for n in range(30)]
    for name in ("train.conll", "test.conll"):
        (tmp_path / name).write_text(to_text(some))
    monkeypatch.setattr(tagged, "fit_tagger", lambda task, **settings: {"predicted": [s.tags for s in task.test]})
    assert "30 to learn from" in try_data(tmp_path, out="").report
    for read in (lab.my_sentences, try_data):
        with pytest.raises(CourseError, match="encoding .* one file"):
            read(tmp_path, encoding="gb18030")


def test_what_a_path_holds_is_seen(tmp_path):
    (tmp_path / "texts" / "a").mkdir(parents=True)
    (tmp_path / "texts" / "a" / "1.txt").write_text("x")
    (tmp_path / "spans.jsonl").write_text(json.dumps({"text": "Oslo", "label": [[0, 4, "LOC"]]}) * 1 + "\n")
    (tmp_path / "spans.jsonl").write_text((tmp_path / "spans.jsonl").read_text() * 3)
    kinds = [
        trying.kind_of(path) for path in (tmp_path / "texts", write_texts(tmp_path / "t.csv"), write_digits(tmp_path / "d"))
    ]
    assert kinds == ["texts", "texts", "images"]
    (tmp_path / "s.jsonl").write_text(
        "".join(json.dumps({"text": f"Oslo {n}", "label": [[0, 4, "LOC"]]}) + "\n" for n in range(4))
    )
    assert trying.kind_of(tmp_path / "s.jsonl") == "sentences"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "d/page"}, "into your data"),
        ({"text": "x"}, "images take no text"),
        ({"kind": "sounds"}, "choose one of"),
        ({}, "needs"),
    ],
)
def test_what_cannot_be_tried_says_what_to_do(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    folder = write_digits(tmp_path / "d", per_class=2) if not options else write_digits(tmp_path / "d")
    with pytest.raises(CourseError, match=words):
        try_data(folder, **({"out": ""} | options))
    assert not (tmp_path / "runs").exists()


def test_the_shots_of_a_curve_end_with_what_the_smallest_class_has():
    labels = torch.tensor([0] * 30 + [1] * 9)
    pictures = torch.cat([torch.arange(30), torch.arange(30, 39)])
    images = torch.zeros(39, 1, 8, 8, dtype=torch.uint8)
    task = ImageTask("t", ("a", "b"), images, labels, images, labels, images, labels, train_pictures=pictures)
    assert measures.shots_for(task) == [1, 2, 5, 9] and measures.shots_for(task, most=2) == [5, 9]


@pytest.mark.parametrize(
    "ask", [own.turns, own.policy, own.which_features, own.from_few, own.temperature, own.robustness, own.generated]
)
def test_a_chapter_answers_about_pictures_and_says_when_they_are_too_few(ask, tmp_path, without_models, recwarn):
    section = ask(own.images())
    assert section.question.endswith("?") and "digits" not in section.answer and any(c.isdigit() for c in section.answer)
    assert not [w for w in recwarn if "converge" in str(w.message)]
    few = own.images(write_digits(tmp_path / "d", per_class=8))
    assert "Too few to tell" in ask(few).answer


def test_the_curves_say_of_how_many_draws_they_are(tmp_path, without_models, monkeypatch):
    monkeypatch.setattr(worth, "of_policies", lambda *some, **options: None)
    assert "Linear probes on 3 draws" in own.which_features(own.images()).shown[0].caption
    features, *_ = try_data(write_digits(tmp_path / "d"), out="").sections
    assert "Linear probes on 5 draws" in features.shown[0].caption


def test_a_flip_keeps_the_class_of_pictures_that_are_their_own_mirror_images(without_models):
    task = own.images().with_images(lambda images: ((images.int() + images.flip(-1).int()) // 2).byte())
    section = own.turns(task)
    assert "1.000" in section.answer and "after flip, the most" in section.answer


def test_the_example_is_read_like_a_folder_of_ones_own(capsys):
    task = own.images()
    assert "200 pictures of 10 classes" in capsys.readouterr().out and len(task.classes) == 10
    assert "of 60 test examples" in own.whole().answer


def test_a_folder_with_the_name_of_an_example_is_no_example(tmp_path, without_models, monkeypatch):
    monkeypatch.setattr(chapters, "installed", lambda name: True)
    embedded = []
    monkeypatch.setattr(features, "lite0", lambda images: embedded.append("pictures") or features.pixels(images))
    monkeypatch.setattr(features, "minilm", lambda texts: embedded.append("texts") or torch.ones(len(texts), 2))
    own.temperature(own.images()), own.edits(own.texts())
    assert embedded == []
    own.temperature(own.images(write_digits(tmp_path / "digits")))
    own.edits(own.texts(write_texts(tmp_path / "glosses.csv")))
    assert set(embedded) == {"pictures", "texts"}


def test_edits_that_change_labels_are_told_from_edits_that_do_not(tmp_path, without_models, monkeypatch):
    monkeypatch.setattr(worth, "EDITS", ("swap",))
    task = own.texts(write_texts(tmp_path / "films.csv"))
    assert "for 0%" in own.edits(task).answer  # a bag of words does not see the order
    monkeypatch.setattr(chapters, "edit_text", lambda text, *rest: "awful")
    assert "for 0%" not in own.edits(task).answer
