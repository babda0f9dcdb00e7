"""Emoji: drawn as the files say, what looks alike kept together, emoji and artists kept apart."""

import itertools
import json

import numpy as np
import pytest
import torch

from fewshot_lab import assets, data
from fewshot_lab.data import emoji
from fewshot_lab.data.episodes import Pool, draw_episodes, draw_tasks

RED, GREEN = '<path fill="#f00" d="M0 0h{0}v{0}H0z"/>', '<path fill="#0f0" d="M0 0h{0}v{0}H0z"/>'


@pytest.fixture
def folder(tmp_path):
    """An asset of four emoji, of which one artist lacks the last, and one has drawn the second like the first."""
    for number, artist in enumerate(emoji.ARTISTS):
        side = 4 * (number + 1)
        bodies = {
            "big-square": RED.format(side),
            "dot": GREEN.format(side / 2),
            "twin": GREEN.format(side),
            "zebra": RED.format(1),
        }
        if artist == "openmoji":
            bodies["twin"] = bodies["big-square"]
        if artist == "emojione":
            del bodies["zebra"]
        icons = {"width": side, "height": side, "icons": {name: {"body": body} for name, body in bodies.items()}}
        (tmp_path / artist).mkdir()
        (tmp_path / artist / "icons.json").write_text(json.dumps(icons))
    categories = {"Shapes": ["big-square", "twin", "zebra"], "Spots": ["dot"]}
    (tmp_path / "noto" / "metadata.json").write_text(json.dumps({"categories": categories}))
    return tmp_path


@pytest.fixture
def of_our_own(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOT_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(emoji, "fetch", lambda name: folder)
    emoji.pictures.cache_clear()
    yield tmp_path / "home" / "emoji"
    emoji.pictures.cache_clear()


def test_what_all_artists_have_is_drawn_on_white_in_each_set_s_own_size(folder):
    drawn = emoji._draw(folder)
    assert drawn["names"].tolist() == ["big square", "dot"], "zebra lacks an artist, twin is big-square for one of them"
    assert drawn["groups"].tolist() == ["Shapes", "Spots"]
    assert drawn["images"].shape == (2, 5, 96, 96, 3) and drawn["images"].dtype == np.uint8
    square, dot = drawn["images"]
    assert (square == (255, 0, 0)).all(), "whatever the set's unit, it fills the picture"
    assert (dot[:, :47, :47] == (0, 255, 0)).all() and (dot[:, 49:] == 255).all() and (dot[:, :, 49:] == 255).all()


def test_pictures_are_drawn_once_and_a_damaged_cache_again(of_our_own, monkeypatch):
    calls = []
    draw = emoji._draw
    monkeypatch.setattr(emoji, "_draw", lambda folder: calls.append(folder) or draw(folder))
    first = emoji.pictures()
    assert first.images.shape == (2, 5, 3, 96, 96) and first.images[0, 0, :, 0, 0].tolist() == [255, 0, 0]
    emoji.pictures.cache_clear()
    assert torch.equal(emoji.pictures().images, first.images) and len(calls) == 1
    [stored] = of_our_own.glob("*.npz")
    stored.write_bytes(stored.read_bytes()[:-100])
    emoji.pictures.cache_clear()
    assert torch.equal(emoji.pictures().images, first.images) and len(calls) == 2


def test_an_interrupted_drawing_leaves_nothing_behind(of_our_own, monkeypatch):
    def stop(icons, name):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(emoji, "_drawn", stop)
        with pytest.raises(KeyboardInterrupt):
            emoji.pictures()
    assert [path.suffix for path in of_our_own.iterdir()] == [".lock"]
    assert emoji.pictures().names == ("big square", "dot")


def test_emoji_of_one_shape_in_two_colours_or_nearly_the_same_are_one_family():
    pictures = torch.full((4, 5, 3, 96, 96), 255, dtype=torch.uint8)
    pictures[0, ..., 20:70, 20:70] = 0
    pictures[0, :, 0, 20:70, 20:70] = 200  # red
    pictures[1, ..., 20:70, 20:70] = 0
    pictures[1, :, 2, 20:70, 20:70] = 200  # the same in blue
    pictures[2, ..., 21:71, 20:70] = pictures[0, ..., 20:70, 20:70]  # moved by a pixel
    pictures[3, ..., 60:90, 10:90] = pictures[0, 0, :, 30, 30][:, None, None]  # another shape
    first, blue, moved, other = emoji.families(pictures).tolist()
    assert first == blue == moved != other
    two_of_five = pictures.clone()
    two_of_five[1, 2:] = pictures[3, 2:]
    two_of_five[2] = pictures[3]
    assert emoji.families(two_of_five)[0] != emoji.families(two_of_five)[1], "most artists draw them apart"


def made_pool(classes: int = 12, makers: int = 5) -> Pool:
    images = torch.arange(classes * makers, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4)
    labels = torch.arange(classes).repeat_interleave(makers)
    return Pool("made", images, labels, *[tuple(map(str, range(classes)))] * 2, makers=tuple("abcdefgh"[:makers]))


@pytest.mark.parametrize("shots", [1, 2, 3])
def test_an_episode_s_support_set_is_by_the_same_artists_for_all_classes_and_the_queries_by_others(shots):
    episodes = draw_episodes(made_pool(), 200, way=4, shots=shots, queries=5 - shots, seed=0)
    support, queries = episodes.support % 5, episodes.queries % 5  # the artist of each row
    assert (support == support[:, :1]).all() and (queries == queries[:, :1]).all()
    assert (torch.cat([support, queries], dim=2).sort(dim=2).values == torch.arange(5)).all()
    assert torch.equal(episodes.support // 5, episodes.classes[..., None].expand_as(episodes.support))
    assert len(support[:, 0, 0].unique()) == 5, "each artist supports some episodes"


def test_tasks_too_are_supported_by_the_same_artists_for_all_classes():
    for task in draw_tasks(made_pool(), 6, way=3, shots=2, seed=0, query_pictures=2, min_pictures=5):
        support, queries = task.support % 5, task.queries % 5
        assert (support == support[:, :1]).all() and (queries == queries[:1, :1]).all()
        assert not any(set(s.flatten().tolist()) & set(q.flatten().tolist()) for s, q in zip(support, queries, strict=True))


def test_unknown_parts_artists_and_sizes_are_refused(of_our_own):
    for call, message in (
        (lambda: emoji.pool("exam"), "train, validation, test, not 'exam'"),
        (lambda: emoji.pool("train", artists=("noto", "picasso")), "No artist picasso"),
        (lambda: emoji._resized(torch.zeros(1, 3, 96, 96, dtype=torch.uint8), 200), "1 to 96, not 200"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.assets
def test_the_emoji_are_those_that_five_artists_have_and_alike_ones_are_in_one_part():
    all_of_them = emoji.pictures()
    assert all_of_them.images.shape == (1033, 5, 3, 96, 96) and len(set(all_of_them.names)) == 1033
    assert len(set(all_of_them.groups)) == 8
    assert not [name for name in all_of_them.names if "skin tone" in name or name.startswith("flag of")]
    rows = {part: set(all_of_them.rows(part).tolist()) for part in emoji.PARTS}
    assert sum(map(len, rows.values())) == len(set.union(*rows.values())) == 1033
    for part, share in emoji.PARTS.items():
        assert len(rows[part]) / 1033 == pytest.approx(share, abs=0.01)
    families = [{all_of_them.families[row].item() for row in of_part} for of_part in rows.values()]
    assert not any(one & other for one, other in itertools.combinations(families, 2))
    family_of = dict(zip(all_of_them.names, all_of_them.families.tolist(), strict=True))
    assert len({family_of[name] for name in family_of if "oclock" in name or "thirty" in name}) == 1, "24 clock faces"
    for alike in (
        "blue book, green book",
        "red heart, purple heart",
        "red apple, green apple",
        "star of david, dotted six pointed star",
    ):
        assert len({family_of[name] for name in alike.split(", ")}) == 1, alike
    assert family_of["dog face"] != family_of["cat face"]


@pytest.mark.assets
def test_neither_an_emoji_nor_an_artist_is_in_two_parts_of_the_task():
    task, whole = data.load("emoji"), emoji.pictures()
    seen = [set(getattr(task, f"{part}_pictures").tolist()) for part in emoji.PARTS]
    assert not any(one & other for one, other in itertools.combinations(seen, 2))
    artists = list(emoji.ARTISTS_OF.values())
    assert sorted(itertools.chain(*artists)) == sorted(emoji.ARTISTS)
    small = emoji._resized(whole.images[task.test_pictures[7], 4][None], 32)[0]
    assert torch.equal(task.test_images[7], small), "the last artist tests"
    assert task.classes[task.test_labels[7]] == whole.groups[task.test_pictures[7]]
    rows = task.rows(20, seed=1)
    assert len(task.train_pictures[rows].unique()) == len(rows) == 160, "K labels are K different emoji"


@pytest.mark.assets
def test_episodes_across_artists_of_each_part_are_of_emoji_of_that_part():
    whole = emoji.pictures()
    names = [set(emoji.pool(part).classes) for part in emoji.PARTS]
    assert not any(one & other for one, other in itertools.combinations(names, 2))
    pool = emoji.pool("test", size=96, artists=("emojione", "noto"))
    row = whole.names.index(pool.classes[3])
    assert torch.equal(pool.images[6:8], whole.images[row][[4, 0]]) and pool.groups[3] == whole.groups[row]
    assert pool.versions == 1 and pool.makers == ("emojione", "noto")


@pytest.mark.assets
def test_the_chinese_names_are_those_of_the_same_emoji():
    known, whole = emoji.chinese_names(), emoji.pictures()
    assert set(known) <= set(whole.names) and len(known) >= len(whole.names) - 1
    assert [known[name] for name in ("snail", "banana", "fire engine")] == ["蜗牛", "香蕉", "消防车"]
    assert len(set(known.values())) > 0.99 * len(known)


def test_the_asset_names_each_artist_s_files_and_licence():
    asset = assets.ASSETS["emoji"]
    assert {path.split("/")[0] for path in asset.files} == set(emoji.ARTISTS)
    assert all(artist in asset.licence for artist in emoji.ARTISTS)
    upstream, npm = asset.sources
    assert all(url.endswith(f"/npm/{npm.members[path]}") for path, url in upstream.urls.items())
