"""The arms of an experiment: run with the same seeds, read by arm, point and result, compared in pairs."""

import itertools

import pytest

import fewshot_lab as lab
from fewshot_lab.evidence import exchange_rate
from fewshot_lab.training import Arms, arms, combinations, crossed_interval, mean_interval, paired_difference, sweep

KINDS = {"none": {}, "right": {"bonus": 0.1}, "wrong": {"bonus": -0.2}}
SHOTS = {"none": [1, 5, 20], "right": [1, 5], "wrong": [5]}
SEEDS = [0, 1, 2]


def fit(seed: int, shots: int = 1, bonus: float = 0.0) -> dict:
    accuracy = 0.3 + 0.02 * shots + 0.01 * (seed**2 % 7) + bonus * (1 + seed / 10)
    return {"test_accuracy": accuracy, "train_accuracy": accuracy + 0.1, "seconds": seed + 1.0, "weights": [bonus]}


@pytest.fixture(scope="module")
def students():
    return arms(fit, KINDS, seeds=SEEDS, jobs=1, unit="accuracy", shots=5)


@pytest.fixture(scope="module")
def curves():
    return arms(fit, KINDS, seeds=SEEDS, axis="shots", at=SHOTS, jobs=1)


def test_arms_are_the_rows_of_a_sweep_in_the_same_order(students, curves):
    grid = [{"shots": 5, "seed": seed, **settings} for settings in KINDS.values() for seed in SEEDS]
    assert list(itertools.chain(*students.rows.values())) == sweep(fit, grid, jobs=1)
    assert curves.rows["right"] == sweep(fit, combinations(bonus=[0.1], shots=[1, 5], seed=SEEDS), jobs=1)


def test_an_arm_is_read_by_result_point_and_seed(students, curves):
    assert students.values("right") == [fit(seed, 5, 0.1)["test_accuracy"] for seed in SEEDS]
    assert students.values("right", of="seconds") == [1.0, 2.0, 3.0]
    assert students.values("right", of=lambda row: row["train_accuracy"] - row["test_accuracy"]) == pytest.approx([0.1] * 3)
    assert curves.values("none", 20) == [fit(seed, 20)["test_accuracy"] for seed in SEEDS]
    assert students.interval("right") == mean_interval(students.values("right"), "accuracy", "3 seeds")
    assert students.mean("right") == students.interval("right").mean


def test_only_the_default_result_has_the_default_unit(students):
    assert students.interval("right").unit == students.gain("right", over="none").unit == "accuracy"
    assert students.interval("right", of="seconds").unit == ""
    assert students.gain("right", over="none", of="seconds", unit="s").unit == "s"


def test_a_gain_is_the_paired_difference_at_the_same_point_or_at_another(students, curves):
    values = curves.values
    assert students.gain("right", over="none").mean == pytest.approx(0.11)
    expected = paired_difference(values("right", 5), values("none", 5), over="3 seeds")
    assert curves.gain("right", 5, over="none") == expected
    expected = paired_difference(values("right", 1), values("none", 20), over="3 seeds")
    assert curves.gain("right", 1, over=("none", 20)) == expected


def test_an_arm_may_be_named_by_a_pair():
    tagged = arms(fit, {("tags", 1): {}, ("tags", 5): {"bonus": 0.1}}, seeds=SEEDS, jobs=1)
    assert tagged.gain(("tags", 5), over=("tags", 1)).mean == pytest.approx(0.11)


def test_curves_and_tables_are_what_the_figure_and_the_exchange_rate_take(curves):
    points, estimates = curves.curve("right")
    assert points == [1, 5] and estimates == [curves.interval("right", 1), curves.interval("right", 5)]
    table = curves.table("none")
    assert table.shape == (3, 3) and table[:, 2].tolist() == curves.values("none", 20)
    assert exchange_rate(SHOTS["none"], table, 5, curves.values("right", 5)).mean > 1
    assert curves.curve("none", of="seconds")[1][0].mean == 2.0


def test_pairs_are_made_by_seed_whatever_the_order_of_the_rows(students):
    shuffled = {"right": students.rows["right"][::-1], "none": students.rows["none"]}
    assert Arms(shuffled).gain("right", over="none").mean == pytest.approx(0.11)
    expected = students.gain("right", over="none")
    assert Arms(shuffled).gain("right", over="none").low == pytest.approx(expected.low)
    turned = arms(fit, KINDS, seeds=SEEDS[::-1], jobs=1, shots=5)
    assert turned.values("right") == students.values("right")[::-1]
    both = students | Arms({"turned": turned.rows["right"]})
    assert both.values("turned") == students.values("right"), "in the order of the first arm's seeds"


def test_two_experiments_become_one_and_a_cell_may_be_run_again(students, curves):
    more = arms(fit, {"flip": {"bonus": 0.3}}, seeds=SEEDS, jobs=1, shots=5)
    both = curves.at(5) | more
    assert list(both.rows) == ["none", "right", "wrong", "flip"]
    assert both.gain("flip", over="none").mean == pytest.approx(0.33)
    assert list((both | more).rows) == list(both.rows)
    assert list(curves.at(20).rows) == ["none"]
    with pytest.raises(ValueError, match=r"not 'shots' and None; \.at\(point\)"):
        curves | more
    with pytest.raises(ValueError, match=r"'flip' has the seeds \[7\], others have \[0, 1, 2\]"):
        both | arms(fit, {"flip": {}}, seeds=[7], jobs=1)


def test_settings_may_depend_on_the_seed_and_the_point():
    pools = {(shots, seed): shots + seed for shots in (1, 5) for seed in SEEDS}
    kinds = {"generated": lambda shots, seed: {"bonus": pools[shots, seed]}}
    made = arms(fit, kinds, seeds=SEEDS, axis="shots", at=[1, 5], jobs=1)
    assert [row["bonus"] for row in made.rows["generated"]] == [1, 2, 3, 5, 6, 7]


def test_unknown_arms_points_and_results_are_answered_with_what_there_is(students, curves):
    with pytest.raises(ValueError, match="no arm 'rigth'; there are 'none', 'right', 'wrong'"):
        students.values("rigth")
    with pytest.raises(ValueError, match=r"not measured at shots = 20; its points are \[1, 5\]"):
        curves.gain("right", 20, over="none")
    with pytest.raises(ValueError, match=r"not measured at shots = None; its points are \[1, 5\]"):
        curves.mean("right")
    with pytest.raises(ValueError, match=r"at shots = 2; there are \[1, 5, 20\]"):
        curves.at(2)
    with pytest.raises(ValueError, match="no axis, so 'right' has no point 5"):
        students.mean("right", 5)
    with pytest.raises(ValueError, match="no number 'loss' .* seconds, seed, shots, test_accuracy, train_accuracy"):
        students.mean("right", of="loss")
    with pytest.raises(ValueError, match="no number 'weights'"):
        students.mean("right", of="weights")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"axis": "shots"}, "give both"),
        ({"at": [1]}, "give both"),
        ({"axis": "shots", "at": {"none": [1]}}, "`at` names the arms"),
        ({"kinds": {"none": {"seed": 1}}}, "Arm 'none' sets seed"),
        ({"seeds": [1, 1]}, "has seed 1 twice"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_refused(settings, says):
    with pytest.raises(ValueError, match=says):
        arms(fit, **{"kinds": KINDS, "seeds": SEEDS, "jobs": 1, **settings})


def test_arms_are_offered_at_the_top_and_short_to_look_at(students):
    assert lab.arms is arms
    assert repr(students) == "Arms('none', 'right', 'wrong'; 3 seeds)"


def test_a_point_of_arms_without_an_axis_is_an_error_that_says_so():
    arms = Arms({"a": [{"seed": 0, "test_accuracy": 0.5}]})
    with pytest.raises(ValueError, match="no axis"):
        arms.at(5)


# What is drawn anew, and whether the trainings came to rest

SIZES = [2, 2, 1]
ANSWERS = {"none": [[2, 0, 0], [1, 1, 0], [2, 1, 0]], "right": [[2, 1, 1], [2, 2, 0], [2, 1, 1]]}
RESTED = {"none": [True, True, False], "right": [True, True, True]}


def answered(points: tuple = (None,)) -> Arms:
    rows = {
        arm: [
            {"seed": seed, "shots": point, "test_accuracy": sum(hits) / 5, "test_hits": hits, "test_sizes": SIZES, "loss": 0.1}
            | {"at_rest": rest and point != 5}
            for point in points
            for seed, hits, rest in zip(SEEDS, ANSWERS[arm], RESTED[arm], strict=True)
        ]
        for arm in ANSWERS
    }
    return Arms(rows, axis="shots" if points != (None,) else None)


def test_rows_with_answers_about_test_pictures_get_intervals_over_seeds_and_pictures():
    measured = answered()
    crossed = measured.interval("none")
    assert (crossed.low, crossed.high) == (
        crossed_interval(ANSWERS["none"], SIZES).low,
        crossed_interval(ANSWERS["none"], SIZES).high,
    )
    assert crossed.mean == pytest.approx(mean_interval(measured.values("none")).mean)
    assert crossed.over == "3 seeds x 3 pictures" and crossed.values == pytest.approx(measured.values("none"))
    gain = measured.gain("right", over="none")
    differences = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(ANSWERS["right"], ANSWERS["none"], strict=True)]
    assert (gain.low, gain.high) == (crossed_interval(differences, SIZES).low, crossed_interval(differences, SIZES).high)
    assert measured.interval("none", of="loss").over == "3 seeds", "other results know nothing of the pictures"
    _, [at_1, at_5] = answered((1, 5)).curve("right")
    assert at_1.over == at_5.over == "3 seeds x 3 pictures"


def test_any_result_may_have_its_numbers_by_picture_and_the_pictures_another_name():
    rows = {arm: [row | {"loss_by_picture": row["test_hits"]} for row in some] for arm, some in answered().rows.items()}
    measured = Arms(rows, clusters="classes")
    of_loss = measured.gain("right", over="none", of="loss")
    assert (of_loss.mean, of_loss.low) == (measured.gain("right", over="none").mean, measured.gain("right", over="none").low)
    assert of_loss.over == (measured | measured).interval("none").over == "3 seeds x 3 classes"
    assert arms(fit, {"none": {}}, seeds=SEEDS, jobs=1, clusters="classes", shots=1).clusters == "classes"


def test_a_result_may_be_measured_on_other_pictures_than_the_test_accuracy():
    own = {"robust": 0.5, "robust_by_picture": [1, 0], "robust_sizes": [1, 1]}
    measured = Arms({arm: [row | own for row in some] for arm, some in answered().rows.items()})
    assert measured.interval("right", of="robust").over == "3 seeds x 2 pictures"
    assert measured.interval("right").over == "3 seeds x 3 pictures"


def test_estimates_name_their_arms_and_the_share_of_trainings_that_came_to_rest():
    measured = answered()
    assert measured.at_rest("none") == pytest.approx(2 / 3) and measured.interval("right").rest == (("right", 1.0),)
    assert dict(measured.gain("right", over="none").rest) == {"right": 1.0, "none": pytest.approx(2 / 3)}
    assert dict(measured.gain("right", over="none", of="loss").rest).keys() == {"right", "none"}
    curves = answered((1, 5))
    gain = curves.gain("right", 1, over=("right", 5))
    assert dict(gain.rest) == {"right, shots = 1": 1.0, "right, shots = 5": 0.0}


def test_numbers_that_are_computed_from_arms_can_carry_their_shares_at_rest():
    curves = answered((1, 5))
    assert dict(curves.rest("right")) == {"right, shots = 1": 1.0, "right, shots = 5": 0.0}
    rest = curves.rest("none", 1) + curves.rest("right", 1)
    (baseline, sizes), (policy, _) = curves.hits("none"), curves.hits("right", 1)
    assert exchange_rate([1, 5], baseline, 1, policy, sizes, rest=rest).rest == rest
    assert paired_difference([1, 2], [0, 2], rest=rest).rest == rest


def test_rows_that_do_not_say_whether_they_came_to_rest_have_no_share(students):
    assert students.at_rest("right") is None and students.interval("right").rest == ()


def test_answers_about_other_pictures_are_not_subtracted():
    rows = {arm: [dict(row) for row in some] for arm, some in answered().rows.items()}
    rows["right"][0]["test_sizes"] = [1, 2, 2]
    with pytest.raises(ValueError, match="same pictures"):
        Arms(rows).gain("right", over="none")


def test_answers_are_read_as_the_exchange_rate_takes_them(students):
    curves = answered((1, 5))
    (baseline, sizes), (policy, _) = curves.hits("none"), curves.hits("right", 1)
    assert baseline.shape == (3, 2, 3) and policy.shape == (3, 3)
    assert exchange_rate([1, 5], baseline, 1, policy, sizes).over == "3 seeds x 3 pictures"
    with pytest.raises(ValueError, match="hits_by_picture"):
        students.hits("right")
