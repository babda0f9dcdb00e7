"""Your own data: pictures, tables and exports are read, or refused with a sentence that says what to do; nothing is changed."""

import csv
import json
import os
import zipfile
import zlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import fewshot_lab as lab
from fewshot_lab.data import load
from fewshot_lab.data.clue import read_entities
from fewshot_lab.data.conll import Sentence, from_bio, spans, to_text
from fewshot_lab.data.own import parts_of
from fewshot_lab.data.own_images import my_images, read_images, read_picture, same_pictures
from fewshot_lab.data.own_sentences import holds_tags, read_sentences
from fewshot_lab.data.own_tables import columns_of, read_table
from fewshot_lab.data.own_texts import read_texts
from fewshot_lab.errors import CourseError


def noise(seed: int, side: int = 40) -> Image.Image:
    """A picture in colour that is like no other."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def write_pictures(folder, counts: dict[str, int], seed: int = 0):
    """A folder of class folders with different PNG files."""
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            seed += 1
            noise(seed).save(folder / name / f"{number}.png")
    return folder


def snapshot(folder) -> dict:
    return {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def test_a_folder_of_classes_becomes_the_task_that_chapters_take(tmp_path, capsys):
    folder = write_pictures(tmp_path / "pets", {"cat": 10, "狗": 12, "ᐃᓄᒃ": 10})
    before = snapshot(folder)
    task = lab.my_images(folder, size=32)
    assert type(task) is type(load("digits")) and task.classes == ("cat", "ᐃᓄᒃ", "狗")
    assert task.train_images.shape[1:] == (3, 32, 32) and task.train_images.dtype == torch.uint8
    sizes = [len(getattr(task, f"{part}_labels")) for part in ("train", "validation", "test")]
    assert sum(sizes) == 32 and sizes[0] > sizes[2] > sizes[1] > 0
    for part in ("train", "validation", "test"):
        assert set(getattr(task, f"{part}_labels").tolist()) == {0, 1, 2}
    assert task.draw(2, seed=0)[0].shape == (6, 3, 32, 32)
    assert "32 pictures of 3 classes" in capsys.readouterr().out
    assert snapshot(folder) == before


def test_the_parts_do_not_depend_on_names_or_order_and_copies_stay_together(tmp_path):
    folder = write_pictures(tmp_path / "a", {"x": 20, "y": 20})
    noise(1, side=40).save(folder / "x" / "copy.bmp")
    noise(1, side=80).save(folder / "x" / "larger.jpg", quality=95)
    first = read_images(folder)
    for number, path in enumerate(sorted((folder / "y").iterdir(), reverse=True)):
        path.rename(path.with_name(f"renamed {number}.png"))
    again = read_images(folder)

    def by_pixels(pictures):
        return {image.numpy().tobytes(): part for image, part in zip(pictures.images, pictures.parts, strict=True)}

    assert by_pixels(first) == by_pixels(again)
    copies = [row for row, file in enumerate(first.files) if file in ("x/0.png", "x/copy.bmp", "x/larger.jpg")]
    assert len({first.parts[row] for row in copies}) == len({int(first.pictures[row]) for row in copies}) == 1
    assert len(first.pictures.unique()) == 40 and "2 pictures are copies" in first.report()


def test_different_digits_are_not_taken_for_copies():
    images, labels = load("digits").train_images[:600], load("digits").train_labels[:600]
    assert len(same_pictures(images, labels).unique()) == 600


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_pictures_of_every_mode_are_read_alike(tmp_path, mode):
    folder = write_pictures(tmp_path / "p", {"a": 4, "b": 5})
    grey = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (40, 1))
    grey[:20] = 255 - grey[:20]
    image = Image.fromarray(grey)
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16) * 257).convert(mode)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    else:
        image = image.convert(mode)
    image.save(folder / "a" / "special.tiff")
    pictures = read_images(folder, size=40)
    read = pictures.images[pictures.files.index("a/special.tiff")].float().mean(0)
    largest = 128 if mode == "1" else 4
    assert (read - torch.from_numpy(grey).float()).abs().mean() < largest, read
    assert not len(pictures.left_out)


def test_rotation_transparency_animation_and_sizes(tmp_path):
    folder = write_pictures(tmp_path / "p", {"a": 4, "b": 4})
    upright = np.zeros((60, 30, 3), dtype=np.uint8)
    upright[:30] = 255, 0, 0  # red above
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees
    Image.fromarray(np.rot90(upright)).save(folder / "a" / "exif.png", exif=exif)
    clear = np.zeros((20, 20, 4), dtype=np.uint8)
    clear[5:15, 5:15] = 0, 0, 255, 255
    Image.fromarray(clear).save(folder / "a" / "clear.webp", lossless=True)
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("green", "yellow")]
    frames[0].save(folder / "b" / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("L", (3000, 2)).save(folder / "b" / "thin.png")
    images = dict(zip((found := read_images(folder, size=20)).files, found.images, strict=True))
    assert images["a/exif.png"][0, 2, 10] > 200 and images["a/exif.png"][0, 17, 10] < 50
    assert images["a/clear.webp"][:, 0, 0].tolist() == [255] * 3 and images["a/clear.webp"][:, 10, 10].tolist() == [0, 0, 255]
    assert images["b/moving.gif"][:, 10, 10].tolist() == [0, 128, 0]
    assert "b/thin.png" in images and not len(found.left_out)


def test_what_cannot_be_read_is_left_out_and_named(tmp_path):
    folder = write_pictures(tmp_path / "p", {"a": 6, "b": 6})
    (folder / "a" / "notes.txt").write_text("no picture")
    whole = (folder / "a" / "0.png").read_bytes()
    (folder / "a" / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "a" / ".hidden.png").write_bytes(whole)
    (folder / "a" / "loop").symlink_to(folder / "a")
    (folder / "a" / "gone.png").symlink_to(folder / "nowhere.png")
    # The same picture, but its head says 30,000 x 30,000 pixels.
    head = b"IHDR" + (30_000).to_bytes(4) * 2 + whole[24:29]
    (folder / "b" / "bomb.png").write_bytes(whole[:12] + head + zlib.crc32(head).to_bytes(4) + whole[33:])
    noise(500).save(folder / "a" / "both.png")
    noise(500).save(folder / "b" / "both too.png")
    before = snapshot(folder)
    found = read_images(folder)
    report = found.report()
    for words in ("a/notes.txt", "a/half.png", "a/loop", "a/gone.png", "b/bomb.png", "a/both.png", "b/both too.png"):
        assert words in report, report
    assert len(found.left_out) == 7 and len(found.labels) == 12 and "hidden" not in report
    assert snapshot(folder) == before


def test_a_file_name_that_is_no_character_can_be_reported(tmp_path):
    folder = write_pictures(tmp_path / "p", {"a": 4, "b": 4})
    try:
        with open(os.fsencode(folder / "a") + b"/\xff\xfe.txt", "w") as file:
            file.write("no picture")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 alone")
    assert "??.txt" in read_images(folder).report().encode("utf-8").decode()


def test_folders_for_training_and_test_are_kept_and_leaks_between_them_left_out(tmp_path):
    write_pictures(tmp_path / "p" / "train", {"a": 8, "b": 8})
    write_pictures(tmp_path / "p" / "val", {"a": 4, "b": 4}, seed=100)
    noise(1).save(tmp_path / "p" / "val" / "a" / "leak.png")
    found = read_images(tmp_path / "p")
    assert found.left_out.by_reason and list(found.left_out.by_reason.values()) == [["train/a/0.png"]]
    assert {file for file, part in zip(found.files, found.parts, strict=True) if part == "test"} == {
        f"val/{name}"
        for name in ("a/0.png", "a/1.png", "a/2.png", "a/3.png", "a/leak.png", "b/0.png", "b/1.png", "b/2.png", "b/3.png")
    }
    assert Counter(found.parts)["validation"] >= 2


def test_a_folder_and_a_table(tmp_path):
    for number in range(12):
        noise(number).save(tmp_path / f"{number}.png")
    rows = "".join(f"{number}.png;{'猫' if number % 2 else 'dog'}\n" for number in range(12))
    (tmp_path / "labels.csv").write_text("id_code;diagnosis\n" + rows + "missing.png;dog\n", encoding="utf-8")
    task_of = [read_images(tmp_path), read_images(tmp_path, tmp_path / "labels.csv"), read_images(tmp_path, "labels.csv")]
    for found in task_of:
        assert found.classes == ("dog", "猫") and len(found.labels) == 12 and "missing.png" in found.report()
    assert found.labels[found.files.index("3.png")] == 1


def test_bad_folders_get_a_sentence_that_says_what_to_do(tmp_path):
    def says(*path, **options) -> str:
        with pytest.raises(CourseError) as caught:
            my_images(*path, **options)
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    write_pictures(tmp_path / "one", {"cat": 5})
    write_pictures(tmp_path / "few", {"cat": 5, "dog": 5, "owl": 1})
    write_pictures(tmp_path / "same", {"cat": 5, "dog": 2})
    for number in range(1, 5):
        noise(77).save(tmp_path / "same" / "dog" / f"{number}.png")
    (tmp_path / "many").mkdir()
    for number in range(1001):
        (tmp_path / "many" / f"class {number}").mkdir()
        (tmp_path / "many" / f"class {number}" / "1.png").touch()
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        archive.writestr("cat/1.png", b"")
    assert "nothing at" in says(tmp_path / "nowhere") and "Give the path" in says(tmp_path / "nowhere")
    assert "nothing at" in says("")
    assert "archive. Unpack it" in says(tmp_path / "pets.zip")
    assert "is a file" in says(tmp_path / "one" / "cat" / "0.png")
    assert "into a folder with the name of the class" in says(tmp_path / "empty")
    assert "into a folder with the name of the class" in says(tmp_path / "one" / "cat")
    assert "only one class, 'cat'" in says(tmp_path / "one")
    assert "owl has 1" in says(tmp_path / "few") and "classes=['cat', 'dog']" in says(tmp_path / "few")
    assert "dog has 2" in says(tmp_path / "same")
    assert "1,001 classes" in says(tmp_path / "many") and "classes=[...]" in says(tmp_path / "many")
    assert "has no class 'bird'" in says(tmp_path / "few", classes=["cat", "bird"])
    assert len(read_images(tmp_path / "few", classes=["cat", "dog"]).labels) == 10


def test_more_pictures_than_wanted_are_drawn_alike_each_time(tmp_path):
    folder = write_pictures(tmp_path / "p", {"a": 20, "b": 6})
    first, again = read_images(folder, most_per_class=8), read_images(folder, most_per_class=8)
    assert first.files == again.files and len(first.files) == 14 and len(first.left_out) == 12
    assert len(read_images(write_pictures(tmp_path / "q", {"a": 30, "b": 28}), most=50).files) == 50
    assert len(read_images(tmp_path / "q", most=10).files) == 40  # never fewer than 20 of each


@pytest.mark.parametrize("colour", [True, False])
def test_one_picture_is_read_as_those_of_a_folder(tmp_path, colour):
    folder = write_pictures(tmp_path / "p", {"a": 4, "b": 4})
    found = read_images(folder, size=32, colour=colour)
    alone = read_picture(folder / "a" / "2.png", size=32, colour=colour)
    assert torch.equal(alone, found.images[found.files.index("a/2.png")])
    (tmp_path / "no.png").touch()
    with pytest.raises(CourseError, match="no.png: .*Give a picture that can be opened"):
        read_picture(tmp_path / "no.png", size=32, colour=colour)


def test_every_class_is_in_every_part_and_groups_are_whole():
    generator = np.random.default_rng(0)
    groups = generator.integers(0, 60, 200).tolist()
    of_group = {g: {str(generator.integers(0, 5))} for g in set(groups)}
    classes, order = [of_group[g] for g in groups], [bytes([k]) for k in generator.integers(0, 256, 200)]
    parts = parts_of(groups, classes, order)
    assert len({(g, part) for g, part in zip(groups, parts, strict=True)}) == len(set(groups))
    assert len({(next(iter(c)), part) for c, part in zip(classes, parts, strict=True)}) == 15
    assert parts == parts_of(groups, classes, order)


REVIEWS = [(f"a {word} film, number {n}", label) for n in range(8) for word, label in (("fine", "good"), ("dull", "bad"))]


def _table(separator: str, head: str, quote: str = '"') -> str:
    return head + "".join(f"{quote}{text}{quote}{separator}{label}\n" for text, label in REVIEWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", _table(",", "text,label\n")),
        ("a.csv", _table(";", "Kommentar;Urteil\n")),
        ("a.csv", _table(",", "")),
        ("a.tsv", _table("\t", "review\tstars\n")),
        ("a.jsonl", "".join(json.dumps({"id": n, "text": t, "label": y}) + "\n" for n, (t, y) in enumerate(REVIEWS))),
        ("a.json", json.dumps([{"content": t, "sentiment": y} for t, y in REVIEWS])),
        ("a.json", json.dumps({"version": 1, "data": [{"text": t, "labels": [y]} for t, y in REVIEWS]})),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_many_kinds_hold_the_same_texts(tmp_path, name, content, encoding):
    path = tmp_path / name
    path.write_text(content, encoding=encoding)
    found = read_texts(path)
    assert sorted(zip(found.texts, found.labels, strict=True)) == sorted(REVIEWS)
    task = found.task()
    assert task.classes == ("bad", "good") and "column" in found.report()
    texts, labels = task.draw(2, seed=0)
    assert len(texts) == 4 and labels.tolist() == [0, 0, 1, 1]


def test_texts_in_folders_and_repeats_and_contradictions(tmp_path):
    for number, (text, label) in enumerate(
        [*REVIEWS, (" A FINE film,  number 3", "good"), ("a dull film, number 5", "good"), ("", "bad")]
    ):
        (tmp_path / "r" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "r" / label / f"{number}.txt").write_text(text)
    found = read_texts(tmp_path / "r")
    assert len(found.texts) == 15 and len(found.left_out) == 4
    assert set(map(len, found.left_out.by_reason.values())) == {1, 2}


def test_a_folder_that_may_not_be_read_gets_a_sentence_like_an_empty_one(tmp_path, monkeypatch):
    def refused(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refused)
    with pytest.raises(CourseError, match="holds no .txt file in a folder of its own"):
        read_texts(tmp_path)


def test_bad_tables_get_a_sentence_that_says_what_to_do(tmp_path):
    def says(name: str, content: str | bytes, **options) -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(CourseError) as caught:
            read_texts(path, **options)
        return str(caught.value)

    assert "empty" in says("a.csv", "\n")
    assert "a.csv is empty" in says("a.csv", ",,,\n,,,\n")
    assert "one column" in says("a.csv", "text\nhello\n")
    assert "not UTF-8" in says("a.csv", "text,label\n好,1\n".encode("gb18030")) and "gb18030" in says(
        "a.csv", b"\xff\x00\xfa,1\n"
    )
    assert "Save the table as CSV" in says("a.xlsx", b"PK\x03\x04...")
    assert "line 2" in says("a.jsonl", '{"text": "a", "label": 1}\n{"text": \n')
    assert "no column 'wrong'" in says("a.csv", _table(",", "text,label\n"), text="wrong")
    assert "only one class" in says("a.csv", "text,label\n" + "".join(f"t{n},a\n" for n in range(9)))
    assert "good has 1" in says("a.csv", "text,label\nu,good\n" + "".join(f"t{n},{'ab'[n % 2]}\n" for n in range(9)))
    assert "2,000 classes" in says("a.csv", "text,label\n" + "".join(f"t{n},c{n}\n" for n in range(2000)))
    limit = csv.field_size_limit()
    assert "long" not in says("a.csv", f"text,label\n{'x' * 200_000},a\n") and csv.field_size_limit() == limit


def test_columns_are_guessed_by_name_then_by_content():
    heads, rows = ["id", "what", "said"], [(n, [str(n), "ab"[n % 2], f"a long text {n}"]) for n in range(20)]
    assert columns_of(heads, rows, ("text", None, None), "t") == (2, 1)
    assert columns_of(["label", "text", "x"], rows, ("text", None, None), "t") == (1, 0)
    assert columns_of(heads, rows, ("text", "what", "id"), "t") == (1, 0)


def test_a_quoted_cell_may_hold_separators_and_line_ends(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"one, two\nthree ""four""",a\nfive,b\n')
    assert [row for _, row in read_table(path)[1]] == [['one, two\nthree "four"', "a"], ["five", "b"]]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_ends_at_a_line_end_alone(tmp_path, mark, end):
    path = tmp_path / "a.csv"
    path.write_bytes(f"text,label{end}one{mark}two,a{end}three,b{end}".encode())
    assert read_table(path)[1] == [(2, [f"one{mark}two", "a"]), (3, ["three", "b"])]


SENTENCES = [
    Sentence(("Ada", "Lovelace", "met", town, "Town", str(n), "."), ("B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O", "O"))
    for n, town in enumerate(["Oslo", "Rome", "Bern", "Lima"] * 3)
]


def _pairs(sentences):
    return sorted((" ".join(s.words), s.tags) for s in sentences)


@pytest.mark.parametrize("scheme", ["BIO", "IOB1", "BIOES"])
def test_columns_in_every_scheme_hold_the_same_entities(tmp_path, scheme):
    path = tmp_path / "own.conll"
    path.write_text(to_text(SENTENCES, scheme, columns=3))
    found = read_sentences(path)
    assert _pairs(found.sentences) == _pairs(SENTENCES)
    task = found.task()
    assert task.types == ("LOC", "PER") and len(task.train) > len(task.test) and task.validation
    assert from_bio(task.train[0].tags, "BIO") == task.train[0].tags


def _character_spans(sentence):
    text = " ".join(sentence.words)
    places = [sum(len(w) + 1 for w in sentence.words[:k]) for k in range(len(sentence.words))]
    ends = [start + len(word) for start, word in zip(places, sentence.words, strict=True)]
    return text, [(places[a], ends[b - 1], kind) for kind, a, b in spans(sentence.tags)]


def _exports(kind: str) -> str:
    rows = [_character_spans(s) for s in SENTENCES]
    if kind == "doccano":
        return "".join(json.dumps({"id": 1, "text": t, "label": e}) + "\n" for t, e in rows)
    if kind == "doccano entities":
        named = [[{"label": k, "start_offset": a, "end_offset": b} for a, b, k in e] for _, e in rows]
        return "".join(json.dumps({"text": t, "entities": e}) + "\n" for (t, _), e in zip(rows, named, strict=True))
    if kind == "label studio":
        values = [[{"type": "labels", "value": {"start": a, "end": b, "labels": [k]}} for a, b, k in e] for _, e in rows]
        return json.dumps(
            [{"data": {"text": t}, "annotations": [{"result": v}]} for (t, _), v in zip(rows, values, strict=True)]
        )
    if kind == "spacy":
        return json.dumps([[t, {"entities": e}] for t, e in rows])
    if kind == "prodigy":
        named = [[{"start": a, "end": b, "label": k} for a, b, k in e] for _, e in rows]
        return "".join(json.dumps({"text": t, "spans": e}) + "\n" for (t, _), e in zip(rows, named, strict=True))
    if kind == "cluener":
        nested = [{k: {t[a:b]: [[a, b - 1]]} for a, b, k in e} for t, e in rows]
        return "".join(json.dumps({"text": t, "label": n}) + "\n" for (t, _), n in zip(rows, nested, strict=True))
    return "".join(json.dumps({"tokens": s.words, "ner_tags": s.tags}) + "\n" for s in SENTENCES)


@pytest.mark.parametrize("kind", ["doccano", "doccano entities", "label studio", "spacy", "prodigy", "cluener", "tokens"])
def test_exports_of_annotation_tools_hold_the_same_entities(tmp_path, kind):
    path = tmp_path / "own.json"
    path.write_text(_exports(kind))
    found = read_sentences(path)
    assert _pairs(found.sentences) == _pairs(SENTENCES) and not len(found.left_out)


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ({"LOC": [[0, 3]]}, "'LOC' has no texts"),
        ({"LOC": {"Oslo": [["0", "3"]]}}, "'Oslo' needs the numbers"),
        ({"LOC": {"Oslo": [0, 3]}}, "'Oslo' needs the numbers"),
        ({"LOC": {"Oslo": None}}, "'Oslo' needs the numbers"),
        ({"LOC": {"Oslo": [[0, 4]]}}, "characters 0 to 4 are 'Oslo ', not 'Oslo'"),
        ({"LOC": {"Oslo": [[-7, -4]]}}, "characters -7 to -4 of 'Oslo' are not in the text"),
    ],
)
@pytest.mark.parametrize("read", [read_sentences, read_entities])
def test_entities_that_are_not_where_cluener_has_them_are_told_with_their_line(tmp_path, label, says, read):
    path = tmp_path / "own.json"
    rows = [{"text": "Rome", "label": {"LOC": {"Rome": [[0, 3]]}}}, {"text": "Oslo is", "label": label}]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(CourseError, match=f"own.json, line 2: .*{says}"):
        read(path)
    path.write_text(json.dumps(rows[1:]))
    assert holds_tags(path)


@pytest.mark.parametrize("read", [read_sentences, read_entities])
def test_json_that_is_nested_too_deep_is_told_with_its_line(tmp_path, read):
    path = tmp_path / "own.json"
    path.write_text('{"text": "a", "label": {}}\n' + "[" * 100_000 + "\n")
    with pytest.raises(CourseError, match="line 2: this is no JSON"):
        read(path)


def test_a_token_that_columns_have_between_documents_is_a_word_in_json(tmp_path):
    rows = [(["-DOCSTART-"], ["O"]), (["-DOCSTART-", "Ada", "met", "Bo"], ["O", "B-PER", "O", "B-PER"])]
    rows += [(["Bo", "-DOCSTART-", "Ada"], ["S-PER", "O", "S-PER"]), (["Cy"], ["I-PER"]), (["Di", "Di"], ["B-PER", "O "])]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"tokens": words, "ner_tags": tags}) + "\n" for words, tags in rows))
    read = read_sentences(path).sentences
    assert [list(s.words) for s in read] == [words for words, _ in rows]
    assert [spans(s.tags) for s in read] == [
        [], [("PER", 1, 2), ("PER", 3, 4)], [("PER", 0, 1), ("PER", 2, 3)], [("PER", 0, 1)], [("PER", 0, 1)]
    ]  # fmt: skip
    path.write_text(json.dumps({"tokens": ["Ada", "met"], "ner_tags": ["B-PER", "PER O"]}) + "\n")
    with pytest.raises(CourseError, match="own.jsonl, 1, line 2: 'PER O' is no tag"):
        read_sentences(path)


def test_spans_that_do_not_fit_are_told_and_texts_stay_in_one_part(tmp_path):
    text = "Ada lives in Oslo. She likes Rome.\n李明在北京工作。他去上海。"
    marks = [[0, 3, "PER"], [13, 16, "LOC"], [14, 17, "X"], [29, 34, "LOC"], [900, 903, "PER"]]
    marks += [
        [text.index(name), text.index(name) + 2, kind] for name, kind in (("李明", "PER"), ("北京", "LOC"), ("上海", "LOC"))
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps({"text": text.replace("lives", f"live{n}"), "label": marks}) + "\n" for n in "abcdef"))
    found = read_sentences(path)
    assert len(found.sentences) == 24 and found.report().count("Left out") == 3
    first = [s for s in found.sentences if s.words[0] == "Ada"][0]
    assert [(kind, first.words[a:b]) for kind, a, b in spans(first.tags)][0] == ("PER", ("Ada",))
    chinese = next(s for s in found.sentences if s.words[0] == "李")
    assert spans(chinese.tags) == [("PER", 0, 2), ("LOC", 3, 5)]
    assert len({(s.group, part) for s, part in zip(found.sentences, found.parts, strict=True)}) == len(
        {s.group for s in found.sentences}
    )


def test_as_few_sentences_as_are_taken_fill_every_part(tmp_path):
    path = tmp_path / "own.conll"
    path.write_text(to_text(SENTENCES[:3]))
    with pytest.raises(CourseError, match="needs at least 4 different texts"):
        read_sentences(path)
    path.write_text(to_text(SENTENCES[:4]))
    found = read_sentences(path)
    assert Counter(found.parts) == {"train": 2, "validation": 1, "test": 1}
    assert "2 to learn from, 1 for validation, 1 for the test." in found.report()


def test_a_part_without_examples_is_reported_as_none(tmp_path):
    path = tmp_path / "own.conll"
    path.write_text(to_text(SENTENCES))
    report = replace(read_sentences(path), parts=("train",) * len(SENTENCES)).report()
    assert f"{len(SENTENCES)} to learn from, 0 for validation, 0 for the test." in report


def test_bad_sentences_get_a_sentence_that_says_what_to_do(tmp_path):
    def says(content: str, **options) -> str:
        path = tmp_path / "own.txt"
        path.write_text(content)
        with pytest.raises(CourseError) as caught:
            read_sentences(path, **options)
        return str(caught.value)

    assert "empty" in says("")
    assert "line 2" in says("Oslo B-LOC\nis\n")
    assert "holds no entity" in says("a O\n\nb O\n")
    rare = says("Oslo B-LOC\n\nAda B-PER\n\nBo B-PER\n\nCy B-PER\n\nDi B-PER\n")
    assert "LOC has 1" in rare and "types=['PER']" in rare and "types=" not in says("Oslo B-LOC\n")
    assert "no entity of type Z" in says("Oslo B-LOC\n", types=["Z"])
    assert '"text" and spans' in says('{"words": 3}\n')
