"""Chapter 07: robust accuracy under several attacks, the TRADES loss, three signs of masked gradients."""

import torch
import torch.nn.functional as F

from ..methods import adversarial, attacks
from .declare import exercise


def _random_survivors(generator):
    return (torch.rand(3, 12, generator=generator) < 0.7,)


@exercise(
    "Robust accuracy under several attacks",
    cases=[
        (torch.tensor([[True, False, True, True]]),),
        (torch.tensor([[True, False, True, True], [True, True, False, True], [True, True, True, True]]),),
    ],
    fresh=_random_survivors,
)
def surviving_share(right):
    return attacks.surviving_share(right)


@surviving_share.mistake(
    "You average over the attacks. The attacker tries them all and needs one that works: an image survives if it survives all."
)
def mean_of_attacks(right):
    return right.float().mean().item()


@surviving_share.mistake(
    "You take the single best attack. The attacker may choose a different one for every image: combine first, then take "
    "the share."
)
def best_single_attack(right):
    return right.float().mean(dim=1).min().item()


@surviving_share.mistake("You count images that survive at least one attack. They must survive all: all(dim=0).")
def any_instead_of_all(right):
    return right.any(dim=0).float().mean().item()


@surviving_share.mistake("That is the share of images that fall. Robust accuracy is the share that survives.")
def attack_success(right):
    return 1 - surviving_share(right)


@surviving_share.mistake("You count images. A share is wanted: divide by their number.")
def counted(right):
    return int(right.all(dim=0).sum())


def _random_answers(generator):
    clean, worst = 2 * torch.randn(2, 3, 4, generator=generator)
    return clean, worst, torch.randint(4, (3,), generator=generator), 2 + 4 * torch.rand(1, generator=generator).item()


LABELS = torch.tensor([0, 2])


@exercise(
    "The TRADES loss",
    cases=[
        (torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0]), 3.0),
        (torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 2.0]]), LABELS, 6.0),
    ],
    fresh=_random_answers,
    gradient=("clean_logits", "worst_logits"),
)
def trades_loss(clean_logits, worst_logits, labels, beta):
    return adversarial.trades_loss(clean_logits, worst_logits, labels, beta)


def _kl(p, q):
    """KL(p || q) for each row of logits."""
    return (p.softmax(dim=1) * (p.log_softmax(dim=1) - q.log_softmax(dim=1))).sum(dim=1)


@trades_loss.mistake(
    "Your divergence is KL(worst || clean). The clean answer is the one to keep to, so it weights the logarithms: "
    "KL(p_clean || p_worst). F.kl_div takes the log-probabilities of the attacked images first."
)
def swapped(c, w, y, beta):
    return F.cross_entropy(c, y) + beta * _kl(w, c).mean()


@trades_loss.mistake(
    "You average the divergence over the classes too (F.kl_div does with reduction='mean'). Sum over the classes, average "
    "over the images: reduction='batchmean'."
)
def mean_over_classes(c, w, y, beta):
    return F.cross_entropy(c, y) + beta * _kl(c, w).mean() / c.shape[1]


@trades_loss.mistake("You add up the divergences of the images. Take their mean, as the cross-entropy does.")
def summed_over_images(c, w, y, beta):
    return F.cross_entropy(c, y) + beta * _kl(c, w).sum()


@trades_loss.mistake("beta does nothing in your function. It weights the divergence.")
def no_beta(c, w, y, beta):
    return trades_loss(c, w, y, 1.0)


@trades_loss.mistake(
    "Your beta weights the cross-entropy. It belongs to the divergence: a larger beta asks for more robustness."
)
def beta_on_the_wrong_part(c, w, y, beta):
    return beta * F.cross_entropy(c, y) + _kl(c, w).mean()


@trades_loss.mistake(
    "Your cross-entropy is that of the attacked images, as in Madry's training. TRADES takes it on the clean ones."
)
def cross_entropy_of_the_worst(c, w, y, beta):
    return F.cross_entropy(w, y) + beta * _kl(c, w).mean()


@trades_loss.mistake("You take the softmax of probabilities. Once is enough: start from the logits.")
def softmax_twice(c, w, y, beta):
    return F.cross_entropy(c, y) + beta * _kl(c.softmax(dim=1), w.softmax(dim=1)).mean()


def _survivors(*rows):
    return tuple(torch.tensor([digit == "1" for digit in row]) for row in rows)


def _random_signs(generator):
    return tuple(torch.rand(12, generator=generator) < share for share in (0.3, 0.6, 0.8, 0.5))


@exercise(
    "Three signs of masked gradients",
    cases=[
        _survivors("1100", "1000", "1110", "0000"),
        _survivors("1101", "1111", "1000", "1111"),
    ],
    fresh=_random_signs,
)
def warning_signs(one_step, many_steps, transfer, unbounded):
    return attacks.warning_signs(one_step, many_steps, transfer, unbounded)


@warning_signs.mistake(
    "Your differences have the other sign. Take the accuracy under many steps minus that under the other attack."
)
def all_turned(*rights):
    transferred, single_step, unbounded = warning_signs(*rights)
    return -transferred, -single_step, unbounded


@warning_signs.mistake("You compare the shares that fall. Compare those that survive.")
def attack_success(*rights):
    return warning_signs(*(~right for right in rights))


@warning_signs.mistake("You compare the one-step attack. The white box's best is the one with many steps.")
def one_step_against_transfer(one, many, transfer, unbounded):
    return warning_signs(one, one, transfer, unbounded)[:2] + warning_signs(one, many, transfer, unbounded)[2:]


@warning_signs.mistake("The first two numbers have changed places: the transferred attack comes first, then the single step.")
def first_two_changed_places(*rights):
    transferred, single_step, unbounded = warning_signs(*rights)
    return single_step, transferred, unbounded


@warning_signs.mistake("You compare numbers of images. Shares are wanted, so that test sets of any size can be compared.")
def counted(*rights):
    return tuple(len(rights[0]) * gap for gap in warning_signs(*rights))
