"""From print to hand: the strokes, MNIST, Omniglot's runs from a made archive, the training by its effect, the explorer."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from fewshot_lab.augment.handwriting import draw
from fewshot_lab.data import hanzi, omniglot, strokes
from fewshot_lab.data.episodes import Pool
from fewshot_lab.errors import CourseError
from fewshot_lab.methods import from_print
from fewshot_lab.methods.prototypes import episode_accuracies


def drawing(seed):
    """A PNG of 105 x 105 with a black stroke that depends on the seed."""
    sheet = np.full((105, 105), 255, np.uint8)
    generator = np.random.default_rng(seed)
    sheet[tuple(generator.integers(20, 85, (2, 200)))] = 0
    content = io.BytesIO()
    Image.fromarray(sheet).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def archive(tmp_path):
    """all_runs.zip in the authors' layout, with three runs of which each query equals its class's drawing."""
    path = tmp_path / "all_runs.zip"
    with zipfile.ZipFile(path, "w") as file:
        for run in (1, 2, 3):
            order, lines = np.random.default_rng(run).permutation(20) + 1, []
            for label in range(1, 21):
                file.writestr(f"all_runs/run{run:02d}/training/class{label:02d}.png", drawing(100 * run + label))
                item = f"run{run:02d}/test/item{order[label - 1]:02d}.png"
                file.writestr(f"all_runs/{item}", drawing(100 * run + label))
                lines.append(f"{item} run{run:02d}/training/class{label:02d}.png")
            file.writestr(f"all_runs/run{run:02d}/class_labels.txt", "\n".join(sorted(lines)) + "\n")
    return path


def test_the_published_runs_are_read_with_their_answers(archive, tmp_path):
    images, runs = omniglot.runs(archive)
    assert images.shape == (120, 1, 28, 28) and runs.support.shape == runs.queries.shape == (3, 20, 1)
    assert torch.equal(images[runs.support], images[runs.queries])  # each query is its class's drawing
    assert episode_accuracies(images.flatten(1).float(), runs).tolist() == [1, 1, 1]
    assert not omniglot.are_published(archive)
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "unpacked")
    assert torch.equal(omniglot.runs(tmp_path / "unpacked")[0], images)


def test_an_incomplete_or_empty_archive_is_refused(archive, tmp_path):
    with pytest.raises(CourseError, match="holds no runs"):
        omniglot.runs(tmp_path / "nothing.zip")
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(tmp_path / "less.zip", "w") as less:
        for name in whole.namelist():
            if not name.endswith("run02/training/class07.png"):
                less.writestr(name, whole.read(name))
    with pytest.raises(CourseError, match="run02"):
        omniglot.runs(tmp_path / "less.zip")


def test_drawn_runs_have_one_person_for_the_labels_and_another_for_the_queries():
    pool = Pool("made", torch.zeros(800, 1, 4, 4, dtype=torch.uint8), torch.arange(40).repeat_interleave(20), ("c",) * 40, ())
    pool = Pool("made", pool.images, pool.labels, tuple(map(str, range(40))), ("A",) * 20 + ("B",) * 20)
    runs = omniglot.drawn_runs(pool, 6, seed=1)
    by, asked = runs.support[..., 0] % 20, runs.queries[..., 0] % 20
    assert (by == by[:, :1]).all() and (asked == asked[:, :1]).all() and (by != asked).all()
    assert all(len(set((row // 20).tolist())) == 1 for row in runs.classes)  # within one alphabet
    assert omniglot.of_alphabets(pool, ["B"]).labels.tolist() == pool.labels[:400].tolist()
    with pytest.raises(ValueError, match="No alphabet C"):
        omniglot.of_alphabets(pool, ["C"])


def test_strokes_hold_no_digit_and_no_computer_modern_and_repeat_short_skeletons():
    known = strokes.load()
    assert len(known.characters) > 4000 and not any(character.isdigit() for character in known.characters)
    assert not any(face.startswith("cm") for face in strokes.FACES)
    points, pieces = known.padded()
    assert points.shape[:2] == pieces.shape and points.abs().max() < 1
    first = known.points[known.starts[0] : known.starts[1]]
    assert torch.equal(points[0][: len(first)], first) and torch.equal(points[0][len(first)], first[0])
    assert known.pictures.shape == (len(known.labels), 1, 28, 28)
    assert known.labels.bincount(minlength=len(known.characters)).min() >= 1


@pytest.mark.assets
@pytest.mark.slow
def test_training_on_type_alone_recognises_real_digits_far_above_chance():
    row = from_print.fit(steps=40, seed=0, way=30, turns=False, device="cpu")
    pool = from_print.mnist_pool()
    assert len(pool.labels) == 2000
    found = from_print.score(pool, row["features"]["MNIST"], shots=1, seed=0, episodes=100)["test_accuracy"]
    assert found > 0.5  # chance is 0.2
    again = from_print.embed(from_print.encoder_of(row["weights"]), pool.images[:50])
    assert torch.allclose(again, row["features"]["MNIST"][:50], atol=1e-4)


@pytest.mark.parametrize("left_out", [{"share": 0.0}, {"bending": False}, {"pens": False}, {"turns": True}])
def test_every_change_can_be_left_out(left_out):
    row = from_print.fit(steps=2, seed=1, way=5, device="cpu", pools=("digits", "unseen typeface"), **left_out)
    assert set(row) == {"weights", "at_rest", "features"} and set(row["features"]) == {"digits", "unseen typeface"}


@pytest.mark.assets
def test_a_written_character_lies_within_its_own_picture_and_has_a_piece_for_each_stroke():
    known = hanzi.load()
    assert {"永", "人"} <= set(known.characters) and len(known.labels) == len(known.characters)
    points, pieces = known.padded()
    assert points.shape[1] <= strokes.MAX_POINTS and points.abs().max() < 1
    for name, count in (("人", 2), ("山", 3), ("木", 4), ("水", 4), ("永", 5), ("学", 8)):
        row = known.characters.index(name)
        assert pieces[row].unique().tolist() == list(range(count)), name
    ink = draw(points, torch.full((len(points),), 0.6))[:, 0] > 0.5  # as thin a pen stays inside the printed strokes
    inside = torch.nn.functional.max_pool2d((known.pictures > 60).float(), 3, 1, 1)[:, 0].bool()
    assert (ink & ~inside).sum() <= 0.02 * ink.sum()
