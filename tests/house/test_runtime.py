"""What a notebook's set-up chooses: the profile and the values that depend on it."""

import pytest

import fewshot_lab as lab
from fewshot_lab import runtime


@pytest.fixture(autouse=True)
def _setting_restored(monkeypatch):
    monkeypatch.setattr(runtime, "_current", runtime.Setting())


@pytest.mark.parametrize(("profile", "value"), [("quick", 6), ("full", 20), ("smoke", 2)])
def test_each_profile_takes_its_own_value_and_smoke_the_smallest(profile, value):
    lab.setup("02", profile=profile, device="cpu")
    assert lab.quick_or_full(6, 20) == value


def test_a_value_for_quick_alone_holds_in_the_full_profile_too():
    lab.setup("02", profile="full", device="cpu")
    assert lab.quick_or_full(40, smoke=20) == 40


def test_the_smoke_profile_takes_its_own_value_or_cuts_whole_numbers_also_in_a_tuple():
    lab.setup("02", profile="smoke", device="cpu")
    assert lab.quick_or_full(15, 100, smoke=5) == 5 and lab.quick_or_full(15, 100, smoke=0) == 0
    assert lab.quick_or_full((400, (1, 4e-4)), (3000, (20, 2e-4))) == (2, (1, 4e-4))
    assert lab.quick_or_full([1, 4, 16], [1, 2, 4, 8, 16]) == [1, 4, 16]


def test_the_full_profiles_seeds_are_none_that_anything_was_tuned_on():
    lab.setup("02", profile="quick", seed=3, device="cpu")
    assert lab.seeds(5, 20) == [3, 4, 5, 6, 7]
    lab.setup("02", profile="full", seed=3, device="cpu")
    assert lab.seeds(5, 20) == list(range(1003, 1023)) and lab.seeds(2) == [1003, 1004]
    lab.setup("02", profile="smoke", device="cpu")
    assert lab.seeds(5, 20) == [0, 1] and lab.seeds(5, 20, smoke=1) == [0]


def test_an_unknown_profile_is_named_with_those_there_are():
    with pytest.raises(lab.CourseError, match="PROFILE is 'fast'; choose one of quick, full, smoke"):
        lab.setup("02", profile="fast", device="cpu")
