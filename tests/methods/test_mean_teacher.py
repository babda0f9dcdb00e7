"""The mean teacher: its average against a sum by hand and the library's, its loss by hand, and that no gradient reaches it."""

import torch
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fewshot_lab.augment import as_augment
from fewshot_lab.methods import mean_teacher
from fewshot_lab.models import conv_net


def test_the_average_is_the_librarys():
    torch.manual_seed(0)
    student = torch.nn.Linear(3, 2)
    library = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(0.8))
    library.update_parameters(student)  # the first call copies
    ours = [weights.detach().clone() for weights in student.parameters()]
    for _ in range(5):
        with torch.no_grad():
            for weights in student.parameters():
                weights += torch.randn_like(weights)
        library.update_parameters(student)
        ours = [mean_teacher.moving_average(a, w, 0.8) for a, w in zip(ours, student.parameters(), strict=True)]
    assert not any(mean.requires_grad for mean in ours)
    for mean, expected in zip(ours, library.module.parameters(), strict=True):
        assert torch.allclose(mean, expected, atol=1e-6)


def test_the_consistency_moves_the_student_alone():
    s, t = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_().unbind()
    s, t = s.detach().requires_grad_(), t.detach().requires_grad_()
    cost = mean_teacher.consistency(s, t)
    assert torch.allclose(cost, ((s.exp() / s.exp().sum(1, True) - t.exp() / t.exp().sum(1, True)) ** 2).sum() / 20)
    cost.backward()
    assert s.grad.abs().sum() > 0 and t.grad is None


def test_the_weight_of_the_consistency_rises_to_its_whole():
    shares = [mean_teacher.ramp_up(step, 200) for step in range(200)]
    assert shares == sorted(shares) and shares[0] < 0.01 and shares[49] < 1 and shares[50] == shares[-1] == 1


def test_the_first_steps_forget_the_random_weights_and_the_loss_is_by_hand():
    torch.manual_seed(0)
    student = conv_net(10, size=8, width=4)
    settings = {"steps": 100, "decay": 0.9, "weight": 10.0}
    teacher = mean_teacher.MeanTeacher(student, as_augment("affine", 0.5), **settings)
    images, labels = torch.rand(6, 1, 8, 8), torch.tensor([3, -1, -1, 4, 0, -1])
    views, _ = teacher.augment(images, labels, torch.Generator().manual_seed(0))
    assert views.shape == (12, 1, 8, 8) and not torch.equal(views[:6], views[6:]), "two views of each"

    teacher.step = 50  # past the ramp
    before = [weights.clone() for weights in teacher.network.parameters()]
    with torch.no_grad():
        for weights in student.parameters():
            weights += 1
    loss = teacher.loss(student.train(), views, labels)
    for old, new in zip(before, teacher.network.parameters(), strict=True):
        assert torch.allclose(new, old + 0.1, atol=1e-5), "a tenth of the way"
    with torch.no_grad():
        z_s, z_t = student(views[:6]), teacher.network(views[6:])
    known = labels >= 0
    expected = F.cross_entropy(z_s[known], labels[known]) / 2 + 10 * F.mse_loss(z_s.softmax(1), z_t.softmax(1))
    assert torch.allclose(loss, expected, atol=1e-5)
    loss.backward()
    assert all(weights.grad is None for weights in teacher.network.parameters())

    teacher.step = 1
    teacher.update()
    for mean, old, new in zip(teacher.network.parameters(), before, student.parameters(), strict=True):
        assert torch.allclose(mean, (old + 0.1 + new) / 2, atol=1e-5), "at first the mean of all states so far"


def test_a_training_ends_with_its_average():
    row = mean_teacher.fit_mean_teacher(
        "digits", shots=5, seed=0, decay=0.9, weight=10.0, policy="affine", strength=0.25, steps=60
    )
    assert row["test_accuracy"] > 0.6
    assert not any(weights.requires_grad for weights in row["student"].parameters())
