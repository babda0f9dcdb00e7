"""Which symmetries leave a picture its name: on drawings whose answer is known, and on the emoji."""

import pytest
import torch

from fewshot_lab.augment.geometry import D4, d4_apply
from fewshot_lab.data import emoji
from fewshot_lab.methods import symmetries

LEFT_RIGHT, HALF_TURN = (0, True), (2, False)


def drawings():
    """A cross, which D4 leaves as it is, and a corner with its mirror image, by three artists of different contrast."""
    cross, corner = torch.zeros(3, 8, 8), torch.zeros(3, 8, 8)
    cross[:, 3:5], cross[..., 3:5] = 1, 1
    corner[:, :4, :2] = 1
    shapes = torch.stack([cross, corner, corner.flip(-1)])
    return torch.stack([0.2 + 0.5 * shapes, 0.1 * shapes, 0.9 - 0.4 * (1 - shapes)], dim=1)  # (3, artists, 3, 8, 8)


def test_a_cross_keeps_its_name_and_mirror_images_take_each_others():
    answers = symmetries.find_names(drawings())
    assert answers.upright.all()
    assert all(answers.kept(element)[0] == 1 for element in D4)
    assert answers.kept(LEFT_RIGHT).tolist() == [1, 0, 0]
    assert answers.renamed(LEFT_RIGHT) == [(1, 2), (2, 1)] and answers.renamed(D4[0]) == []


def test_a_picture_is_never_compared_with_those_of_its_own_artist():
    images = drawings()
    images[1, 0] = images[0, 0]  # the first artist drew the cross twice
    assert symmetries.nearest_names(images[:, 0], images, 0).tolist() == [0, 0, 2]
    assert symmetries.find_names(images).upright[:, 0].tolist() == [True, False, True]


def test_a_name_that_is_found_one_way_alone_makes_no_pair():
    # Most pictures of 0 become 1 in the mirror, those of 1 become 2.
    found = {element: torch.arange(3)[:, None].repeat(1, 3) for element in D4}
    found[LEFT_RIGHT] = torch.tensor([[1, 1, 2], [2, 2, 1], [2, 0, 1]])
    assert symmetries.NamesFound(found).renamed(LEFT_RIGHT) == []
    found[LEFT_RIGHT][1] = torch.tensor([0, 0, 2])
    assert symmetries.NamesFound(found).renamed(LEFT_RIGHT) == [(0, 1), (1, 0)]


def test_turns_are_undone_by_turns_the_other_way():
    answers = symmetries.find_names(torch.cat([drawings(), d4_apply(drawings()[1:2], (1, False))]))
    assert (1, 3) in answers.renamed((1, False)) and (3, 1) in answers.renamed((3, False))


def test_what_no_picture_is_named_by_counts_for_nothing():
    found = {element: torch.tensor([[0, 0], [0, 0], [2, 0]]) for element in D4}
    found[HALF_TURN] = torch.tensor([[0, 1], [1, 1], [2, 2]])
    kept = symmetries.NamesFound(found).kept(HALF_TURN)
    assert kept[0] == 0.5 and kept[1].isnan() and kept[2] == 1
    assert symmetries.by_family(kept, torch.tensor([0, 0, 4])) == [0.5, 1.0]
    assert symmetries.by_family(kept, torch.tensor([0, 1, 0])) == [0.75]


@pytest.mark.assets
def test_on_emoji_a_mirror_keeps_more_names_than_a_half_turn_and_swaps_the_moons():
    drawn, answers = emoji.pictures(), symmetries.find_names(symmetries.small_emoji())
    assert answers.kept(LEFT_RIGHT).nanmean() > answers.kept(HALF_TURN).nanmean() + 0.2
    pair = tuple(drawn.names.index(name) for name in ("waning crescent moon", "waxing crescent moon"))
    assert pair in answers.renamed(LEFT_RIGHT)
