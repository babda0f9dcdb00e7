"""Distillation: the loss by its laws and against references, caches and replayed views, students by effect."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import fewshot_lab as lab
from fewshot_lab.methods import distillation, pretrained_teachers
from fewshot_lab.methods.dark_knowledge import (
    errors_by_picture,
    share_of_errors,
    shuffled_wrong_classes,
    uniform_wrong_classes,
)
from fewshot_lab.methods.distillation import (
    cached_logits,
    cached_loss,
    distillation_gradient,
    distillation_loss,
    fidelity,
    fit_student,
    fit_teacher,
    mixed_loss,
    packed,
    replayed_copies,
    replaying,
    smoothed_cross_entropy,
    softened,
)
from fewshot_lab.models import conv_net
from fewshot_lab.training import mean_interval, outputs, paired_difference, sweep, train

seeds, temperatures = st.integers(0, 10**6), st.floats(0.5, 20)


def logits(seed, rows=2, images=5, classes=7, scale=3.0):
    """`rows` float64 tensors (images, classes) of random logits."""
    return scale * torch.randn(rows, images, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# the loss


@given(seeds, temperatures)
def test_softened_answers_sum_to_one_keep_their_order_and_flatten_with_the_temperature(seed, temperature):
    [z] = logits(seed, rows=1)
    p, flatter = softened(z, temperature), softened(z, 2 * temperature)
    assert torch.allclose(p.sum(dim=1), torch.ones(5, dtype=torch.float64))
    assert torch.equal(p.argsort(dim=1), z.argsort(dim=1))
    assert (-(flatter * flatter.log()).sum(1) >= -(p * p.log()).sum(1)).all()


@given(seeds, temperatures)
def test_the_loss_is_t_squared_times_a_divergence(seed, temperature):
    student, teacher = logits(seed)
    loss = distillation_loss(student, teacher, temperature)
    reference = F.kl_div(softened(student, temperature).log(), softened(teacher, temperature), reduction="batchmean")
    assert loss >= 0 and torch.allclose(loss, temperature**2 * reference)
    assert distillation_loss(teacher + 5, teacher, temperature).abs() < 1e-9


@given(seeds, temperatures)
def test_its_gradient_is_the_formula_and_that_of_the_cross_entropy_to_the_teacher(seed, temperature):
    student, teacher = logits(seed)
    student.requires_grad_()
    [gradient] = torch.autograd.grad(distillation_loss(student, teacher, temperature), student)
    crossed = F.cross_entropy(student / temperature, softened(teacher, temperature)) * temperature**2
    assert torch.allclose(gradient, torch.autograd.grad(crossed, student)[0])
    assert torch.allclose(gradient, distillation_gradient(student, teacher, temperature))


def test_t_squared_keeps_the_gradients_size_and_its_limit_matches_logits():
    student, teacher = logits(0, images=50)
    sizes = {T: distillation_gradient(student, teacher, T).abs().sum() for T in (20.0, 200.0)}
    assert 0.8 < sizes[20.0] / sizes[200.0] < 1.25
    apart = student - teacher
    centred = (apart - apart.mean(dim=1, keepdim=True)) / apart.numel()
    assert torch.allclose(distillation_gradient(student, teacher, 1e6), centred, atol=1e-6)


@given(seeds, temperatures, st.floats(0, 1))
def test_mixed_targets_are_the_two_losses_image_by_image(seed, temperature, alpha):
    student, teacher = logits(seed)
    labels = torch.tensor([3, -1, 0, -1, 6])
    each = [
        alpha * distillation_loss(s[None], t[None], temperature) + (1 - alpha) * (F.cross_entropy(s, y) if y >= 0 else 0)
        for s, t, y in zip(student, teacher, labels, strict=True)
    ]
    assert torch.allclose(mixed_loss(student, teacher, labels, temperature, alpha), torch.stack(each).mean())


def test_a_batch_without_any_label_has_a_finite_loss_and_gradient():
    student, teacher = logits(1)
    student.requires_grad_()
    mixed_loss(student, teacher, torch.full((5,), -1), 4.0, 0.5).backward()
    assert student.grad.isfinite().all()


def test_fidelity_is_perfect_to_oneself_and_does_not_look_at_shifts():
    student, teacher = logits(2)
    assert fidelity(teacher + 3, teacher) == (1.0, pytest.approx(0.0, abs=1e-9))
    agreement, divergence = fidelity(student, teacher)
    assert agreement == (student.argmax(1) == teacher.argmax(1)).double().mean().item() and divergence > 0


@given(seeds)
def test_shuffled_answers_keep_the_first_class_and_every_value(seed):
    [z] = logits(seed, rows=1)
    mixed_up = shuffled_wrong_classes(z, torch.Generator().manual_seed(seed))
    assert torch.equal(mixed_up.argmax(1), z.argmax(1)) and torch.equal(mixed_up.max(1).values, z.max(1).values)
    assert torch.equal(mixed_up.sort(dim=1).values, z.sort(dim=1).values)
    assert not torch.equal(mixed_up, z)


@given(seeds, temperatures)
def test_level_answers_keep_the_first_class_and_its_confidence_and_say_nothing_of_the_others(seed, temperature):
    [z] = logits(seed, rows=1)
    p, level = softened(z, temperature), softened(uniform_wrong_classes(z, temperature), temperature)
    assert torch.equal(level.argmax(1), p.argmax(1)) and torch.allclose(level.max(1).values, p.max(1).values)
    others = level.scatter(1, level.argmax(1, keepdim=True), -1.0)
    assert torch.allclose(others.max(1).values, (1 - p.max(1).values) / 6)


def test_a_certain_teachers_level_answers_have_a_finite_loss():
    certain = torch.tensor([[200.0, 0.0, 0.0]])
    assert distillation_loss(torch.zeros(1, 3), uniform_wrong_classes(certain, 1.0), 1.0).isfinite()


def test_a_copied_error_is_the_teachers_wrong_class_and_no_other_one():
    labels, teacher = torch.tensor([0, 0, 0, 0, 1]), F.one_hot(torch.tensor([1, 1, 2, 0, 1]), 3)
    student = F.one_hot(torch.tensor([1, 2, 0, 2, 0]), 3)  # copies one of three errors, makes another, corrects the third
    found = errors_by_picture(student, teacher, labels, torch.tensor([7, 7, 3, 3, 3]))
    counts = {"errors": [1, 2], "copied": [0, 1], "corrected": [1, 0]}  # of the pictures 3 and 7
    assert {name: numbers.tolist() for name, numbers in found.items()} == counts


def test_a_share_of_errors_is_that_of_all_seeds_and_wider_when_few_pictures_hold_them():
    errors, copied = torch.ones(4, 40), torch.zeros(4, 40)
    copied[:, ::2] = 1
    copied[0, 1] = 1
    share = share_of_errors(copied, errors, rest=(("teacher", 0.5),))
    assert share.mean == pytest.approx(81 / 160) and share.rest == (("teacher", 0.5),) and "40 pictures" in share.over
    few = share_of_errors(copied[:, :8], errors[:, :8])
    assert few.high - few.low > share.high - share.low


def test_a_share_of_errors_lies_within_0_and_1_a_difference_may_not_and_without_errors_there_is_none():
    errors, copied = torch.ones(3, 20), torch.zeros(3, 20)
    copied[0, 0] = 1
    assert share_of_errors(copied, errors).low == 0.0 and share_of_errors(errors - copied, errors).high == 1.0
    assert share_of_errors(copied, errors, less=0 * copied).low < 0  # and a positive difference may be none at all
    with pytest.raises(ValueError, match="No teacher misclassifies"):
        share_of_errors(copied, torch.zeros(3, 20))


def test_smoothed_labels_give_every_class_its_share():
    z, y = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), torch.tensor([0, 2])
    targets = 0.9 * F.one_hot(y, 3) + 0.1 / 3
    loss = smoothed_cross_entropy(0.1)(torch.nn.Identity(), z, y)
    assert torch.allclose(loss, -(targets * z.log_softmax(1)).sum(1).mean())


# caches and replayed views


def test_a_copy_can_be_drawn_again_alone_and_copies_differ():
    def speckle(images, generator):
        return images + torch.rand(images.shape, generator=generator)

    images, before = torch.zeros(3, 1, 4, 4), torch.get_rng_state()
    copies = replayed_copies(images, speckle, 4, seed=10)
    assert torch.equal(copies[3], replayed_copies(images, speckle, 1, seed=13)[0])
    assert len({tuple(copy.flatten().tolist()) for copy in copies}) == 4
    assert torch.equal(torch.get_rng_state(), before)


def test_every_view_comes_with_its_own_answer():
    views = torch.arange(12, dtype=torch.uint8).reshape(3, 4, 1, 1, 1)
    targets = views.flatten(2).float()
    rows, generator = torch.tensor([0, 2, 3]), torch.Generator().manual_seed(0)
    shown, answers = replaying(views, targets)(torch.zeros(3, 1, 1, 1), rows, generator)
    assert torch.allclose(shown.flatten() * 255, answers.flatten())
    assert [int(a) % 4 for a in answers.flatten()] == [0, 2, 3]


@pytest.fixture(scope="module")
def teacher():
    return fit_teacher("digits", width=32, steps=150, device="cpu")


@pytest.mark.slow
def test_cached_logits_are_the_teachers_answers_to_the_replayed_views(teacher):
    plain = cached_logits(teacher["teacher"], "digits")
    images = lab.data.load("digits").halves()[1].train_images
    assert torch.allclose(plain[0], outputs(teacher["teacher"], images), atol=1e-5)
    views = cached_logits(teacher["teacher"], "digits", policy="affine", strength=0.25, copies=3)
    assert views.shape == (3, *plain.shape[1:])
    assert not torch.allclose(views[0], views[1], atol=1e-2)


@pytest.mark.slow
def test_a_cached_and_an_online_teacher_train_the_same_student(teacher):
    plain = cached_logits(teacher["teacher"], "digits")
    options = {"shots": 2, "seed": 0, "images": "all", "steps": 12, "device": "cpu"}
    cached, online = (fit_student("digits", teacher=asked, **options) for asked in (plain, teacher["teacher"]))
    assert torch.allclose(cached["test_logits"], online["test_logits"], atol=1e-3)


# students


def test_a_teacher_that_knows_the_same_labels_learns_from_its_students_labels_alone(monkeypatch):
    learned = []

    def no_training(model, images, labels, **options):
        learned.append((images, labels))
        return lab.training.History([0.0] * 5)

    monkeypatch.setattr(distillation, "train", no_training)
    own, students = lab.data.load("digits").halves()
    fit_teacher("digits", width=4, shots=3, seed=7)
    fit_teacher("digits", width=4, seed=7)
    (few, few_labels), (many, _) = learned
    assert torch.equal(few, students.draw(3, 7)[0]) and torch.equal(few_labels, students.draw(3, 7)[1])
    assert torch.equal(many, own.train_images)


@pytest.mark.slow
def test_a_teacher_with_unlabelled_images_lifts_a_student_with_few_labels(teacher):
    assert teacher["test_accuracy"] > 0.95
    plain = cached_logits(teacher["teacher"], "digits")
    common = {"dataset": "digits", "shots": 2, "steps": 80, "device": "cpu"}
    kinds = ({}, {"images": "all", "teacher": plain})
    rows = sweep(fit_student, [common | {"seed": seed} | kind for kind in kinds for seed in range(3)], jobs=1)
    hard, distilled = ([row["test_accuracy"] for row in part] for part in (rows[:3], rows[3:]))
    assert paired_difference(distilled, hard).low > 0.05
    assert mean_interval([fidelity(row["test_logits"], teacher["test_logits"])[0] for row in rows[3:]]).mean > 0.9


@pytest.mark.slow
def test_soft_answers_of_a_teacher_that_confuses_two_classes_are_learned():
    """A teacher that gives class 0 and 1 the same logit makes a student that does too; hard answers do not."""
    _, task = lab.data.load("digits").halves()
    images, labels = task.train_images, task.train_labels
    answers = 4.0 * F.one_hot(labels, 10).float()
    answers[labels < 2, :2] = 4.0
    student = conv_net(10, size=8, width=8)
    targets = packed(answers, torch.full_like(labels, -1))
    train(student, images, targets, steps=150, learning_rate=5e-3, loss=cached_loss(2.0, 1.0), device="cpu")
    p = outputs(student, images[labels < 2]).softmax(1)
    assert (p[:, 0] - p[:, 1]).abs().mean() < 0.3 and p[:, 2:].sum(1).mean() < 0.3


@pytest.mark.slow
def test_equal_seeds_train_equal_students(teacher):
    views = cached_logits(teacher["teacher"], "digits", policy="affine", strength=0.25, copies=2)
    options = {"shots": 2, "teacher": views, "policy": "affine", "strength": 0.25, "steps": 6, "device": "cpu"}
    first, again, other = (fit_student("digits", seed=seed, **options)["test_logits"] for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


# pretrained teachers


def test_a_heads_answers_depend_on_the_labels_of_its_rows_alone():
    features = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    labels, rows = torch.arange(30) % 3, torch.arange(12)
    answers = pretrained_teachers.head_logits(features, rows, labels, C=10.0)
    others = torch.cat([labels[:12], labels[12:].flip(0)])
    assert answers.shape == (30, 3) and torch.equal(answers, pretrained_teachers.head_logits(features, rows, others, C=10.0))
    assert not torch.allclose(answers, pretrained_teachers.head_logits(features, rows, labels, C=0.1))


@pytest.mark.assets
@pytest.mark.slow
def test_a_text_students_labels_are_k_of_each_class_and_a_teacher_that_knows_all_lifts_it():
    texts, labels = pretrained_teachers.text_pool()
    assert len(set(texts)) == len(labels) == pretrained_teachers.TEXTS
    rows = pretrained_teachers.text_rows(3, 0)
    assert torch.bincount(labels[rows]).tolist() == [3] * 5
    assert set(rows.tolist()) <= set(pretrained_teachers.text_rows(5, 0).tolist())
    options = {"shots": 3, "seed": 0, "steps": 60, "device": "cpu"}
    alone, taught = (
        pretrained_teachers.fit_text_student(teacher=teacher, **options) for teacher in (None, 8.0 * F.one_hot(labels, 5))
    )
    assert taught["test_accuracy"] > alone["test_accuracy"] + 0.1
    assert taught["pool_logits"].shape == (len(texts), 5)


# the explorer


def explorer():
    task = lab.data.load("digits").halves()[1]
    answers = 3 * torch.randn(len(task.test_labels), 10, generator=torch.Generator().manual_seed(0))
    return lab.widgets.TemperatureExplorer(task, answers)


def test_every_control_of_the_explorer_changes_what_is_seen_and_it_has_a_still(every_control_answers):
    every_control_answers(explorer())


def test_the_explorer_gives_the_page_the_chosen_logits_and_says_their_entropy():
    shown = explorer()
    shown.controls["order"].value, shown.controls["image"].value = "as they come", 7
    shown.controls["temperature"].value = 2.0
    p = softened(shown.logits[7][None], 2.0)[0]
    assert shown.data["entries"]["as they come|7"]["logits"] == pytest.approx(shown.logits[7].tolist(), abs=1e-4)
    assert f"Entropy {-(p * p.log2()).sum():.2f} of at most 3.32 bits" in shown.numbers()


def test_the_explorer_begins_with_the_image_of_which_the_teacher_is_surest():
    shown = explorer()
    confidence = shown.logits.softmax(1).max(1).values
    assert confidence[shown.row()] == confidence.max()
    shown.controls["order"].value = "least sure first"
    assert confidence[shown.row()] == confidence.min()


def test_the_explorer_refuses_logits_of_other_images():
    with pytest.raises(ValueError, match="must be .test images, classes. = .600, 10."):
        lab.widgets.TemperatureExplorer(lab.data.load("digits").halves()[1], torch.zeros(3, 10))
