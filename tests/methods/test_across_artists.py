"""Episodes across artists: who draws what, which the intervals cover, and what is refused."""

import numpy as np
import pytest
import torch

from fewshot_lab.data.emoji import ARTISTS
from fewshot_lab.data.episodes import Pool
from fewshot_lab.methods import across_artists

EMOJI = 30


def made_pool(versions: int = 2) -> Pool:
    """A pool whose pictures are their own emoji, artist and version."""
    rows = torch.cartesian_prod(torch.arange(EMOJI), torch.arange(len(ARTISTS)), torch.arange(versions))
    images = rows.to(torch.uint8)[:, :, None, None]
    labels = torch.arange(EMOJI).repeat_interleave(len(ARTISTS))
    return Pool("made", images, labels, tuple(map(str, range(EMOJI))), ("all",) * EMOJI, makers=ARTISTS)


def features(pool: Pool, *, emoji: float = 0.0, artist: float = 0.0) -> torch.Tensor:
    """Features that tell the emoji and the (emoji, artist) pair with these weights."""
    of_emoji, of_artist = pool.images[:, 0, 0, 0].long(), pool.images[:, 1, 0, 0].long()
    generator = torch.Generator().manual_seed(0)
    shared = torch.randn(EMOJI, 16, generator=generator)
    own = torch.randn(EMOJI * len(ARTISTS), 16, generator=generator)
    return torch.cat([emoji * shared[of_emoji], artist * own[of_emoji * len(ARTISTS) + of_artist]], dim=1)


def mean(pool, values, **settings) -> float:
    asked = {"way": 5, "shots": 1, "seed": 0, "episodes": 200} | settings
    return across_artists.arms({"arm": across_artists.across(pool, values, **asked)}).mean("arm")


def test_features_of_the_emoji_carry_across_artists_and_those_of_a_drawing_do_not():
    pool = made_pool()
    assert mean(pool, features(pool, emoji=1.0)) == 1.0
    assert mean(pool, features(pool, artist=1.0)) == pytest.approx(0.2, abs=0.05), "the query would be in the support set"
    assert mean(pool, features(pool, artist=1.0), moved=True) == pytest.approx(0.2, abs=0.05)
    assert mean(pool, features(pool, artist=1.0), moved=True, same=True) == 1.0


def test_more_artists_in_the_support_set_help_where_emoji_and_drawing_both_count():
    pool = made_pool()
    both = features(pool, emoji=0.6, artist=1.0)
    assert mean(pool, both, shots=3) > mean(pool, both, shots=1) + 0.05


def test_moved_queries_are_the_moved_copies():
    pool = made_pool()
    copies = pool.images[:, 2, 0, 0].float()
    lost = features(pool, emoji=1.0) * (1 - copies)[:, None]  # a moved copy shows nothing
    assert mean(pool, lost) == 1.0 and mean(pool, lost, moved=True) < 0.6


def test_arms_of_one_seed_have_the_same_episodes_and_intervals_cover_artists_and_emoji():
    pool = made_pool()
    settings = {"way": 5, "shots": 1, "seed": 3, "episodes": 100}
    values = features(pool, emoji=0.6, artist=1.0)
    first, again = (across_artists.across(pool, values, **settings) for _ in range(2))
    other = across_artists.across(pool, values, **settings | {"seed": 4})
    assert all(np.array_equal(a["test_hits"], b["test_hits"]) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0]["test_hits"], other[0]["test_hits"])
    arms = across_artists.arms({"first": first, "again": again})
    found = arms.interval("first")
    assert found.over == f"{len(ARTISTS)} artists x {EMOJI} emoji" and found.low < found.mean < found.high
    assert arms.gain("first", over="again").mean == 0


@pytest.mark.parametrize(
    "settings", [{"same": True}, {"same": True, "moved": True, "shots": 2}, {"shots": 5}, {"shots": 0}, {"moved": True}]
)
def test_a_support_set_that_holds_the_queries_and_too_many_artists_are_refused(settings):
    pool = made_pool(versions=1)
    with pytest.raises(ValueError, match="moved"):
        mean(pool, features(pool), **settings)


def test_unknown_features_and_heads_are_refused():
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    for kind, head in (("photographs", "plain"), ("pixels", "cosine")):
        with pytest.raises(ValueError, match="not '"):
            across_artists.features(kind, images, side=8, head=head)


@pytest.mark.assets
def test_emoji_of_a_draw_are_by_every_artist_and_their_copies_are_moved():
    pool = across_artists.some_emoji("validation", count=20, seed=1)
    assert pool.images.shape == (200, 3, 32, 32) and pool.versions == 2 and len(set(pool.classes)) == 20
    whole = across_artists.some_emoji("validation", seed=1, moved=False)
    place = [whole.classes.index(name) for name in pool.classes]
    drawn = whole.images.unflatten(0, (-1, len(ARTISTS)))[place].flatten(0, 1)
    assert torch.equal(pool.images[::2], drawn)
    assert (pool.images[1::2] != drawn).flatten(1).any(1).float().mean() > 0.95


@pytest.mark.assets
def test_centred_pixels_have_length_one_and_pixels_beat_chance_across_artists():
    pool = across_artists.some_emoji("validation", count=40, seed=0, moved=False)
    values = across_artists.features("pixels", pool.images, side=16, head="centred")
    assert torch.allclose(values.norm(dim=1), torch.ones(len(values)), atol=1e-5)
    assert mean(pool, values) > 0.4
