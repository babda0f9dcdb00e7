"""Chapter 07: robust accuracy under several attacks, and the TRADES loss."""

import torch
import torch.nn.functional as F

from ..methods import adversarial, attacks
from .declare import exercise


def _survivors(*rows):
    return tuple(torch.tensor([digit == "1" for digit in row]) for row in rows)


def _random_survivors(generator):
    return (torch.rand(3, 12, generator=generator) < 0.7,)


@exercise(
    "Robust accuracy under several attacks",
    cases=[
        (torch.tensor([[True, False, True, True]]),),
        (torch.tensor([[True, False, True, True], [True, True, False, True], [True, True, True, True]]),),
        (torch.stack(_survivors("11010101", "10111101", "01010100", "11100110")),),
    ],
    fresh=_random_survivors,
    idea=(
        "The attacker needs a single success per image and may choose a different attack for each. So an image survives only "
        "if it is classified correctly under all attacks, and the robust accuracy is the share of such images."
    ),
    steps=(
        (
            "First combine the attacks of each image along dim 0: is it right under all of them? That leaves one truth value "
            "per image, (n,)."
        ),
        "Do not take the accuracy of each attack first: even the lowest of these may count images that fall to another attack.",
        "Then take the share of the images for which it is true, a plain number from 0 to 1. A mean needs floats, not bools.",
    ),
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


@surviving_share.mistake(
    "You multiply the shares of the attacks, as if an image fell to each by chance. They hit the same images: combine image "
    "by image, all(dim=0)."
)
def product_of_shares(right):
    return right.float().mean(dim=1).prod().item()


@surviving_share.mistake(
    "An image survives in your function when it survives most attacks. One attack that works is enough: it must survive all."
)
def majority(right):
    return (right.float().mean(dim=0) > 0.5).float().mean().item()


@surviving_share.mistake("You look at the last attack alone. The attacker may choose any of them: an image must survive all.")
def last_attack(right):
    return right[-1].float().mean().item()


@surviving_share.mistake("You look at the first attack alone. The attacker may choose any of them: an image must survive all.")
def first_attack(right):
    return right[0].float().mean().item()


@surviving_share.mistake("Your result is in percent. A share lies between 0 and 1.")
def percent(right):
    return 100 * surviving_share(right)


@surviving_share.mistake(
    "You ask whether every image survives every attack. Ask it for each image, all(dim=0), then take the share."
)
def all_images_at_once(right):
    return float(right.all())


@surviving_share.mistake(
    "You combine the images of an attack, and take the share of attacks. Combine the attacks of an image, all(dim=0), and "
    "take the share of images."
)
def wrong_axis(right):
    return right.all(dim=1).float().mean().item()


@surviving_share.mistake(
    "You take the attack that most images survive. The attacker has the others too: an image must survive all."
)
def weakest_attack(right):
    return right.float().mean(dim=1).max().item()


@surviving_share.mistake("You divide by the number of attacks. A share of the images is wanted: divide by their number.")
def divided_by_attacks(right):
    return int(right.all(dim=0).sum()) / len(right)


@surviving_share.mistake("That is the share of images that fall to every attack. Count those that survive every one.")
def fall_to_all(right):
    return 1 - right.any(dim=0).float().mean().item()


def _random_answers(generator):
    clean, worst = 2 * torch.randn(2, 3, 4, generator=generator)
    return clean, worst, torch.randint(4, (3,), generator=generator), 2 + 4 * torch.rand(1, generator=generator).item()


LABELS = torch.tensor([0, 2])


@exercise(
    "The TRADES loss",
    cases=[
        (torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0]), 3.0),
        (torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 2.0]]), LABELS, 6.0),
        (torch.tensor([[200.0, -200.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0]), 6.0),  # float32 rounds p to 0
    ],
    fresh=_random_answers,
    gradient=("clean_logits", "worst_logits"),
    idea=(
        "TRADES keeps accuracy and robustness apart: clean images should be classified as their labels say, and attacked ones "
        "should get the same answer as the clean ones. Beta says how much this second part weighs."
    ),
    steps=(
        (
            "For the first part take the mean cross-entropy of the clean logits to the labels. F.cross_entropy takes logits, "
            "not probabilities."
        ),
        "For the second part get the log-probabilities of both answers by log_softmax over dim 1: (n, classes) each.",
        (
            "The clean answer is the one to keep to: its probabilities weight its own log-probabilities minus those of the "
            "attacked images. Exchanged, it is the reverse divergence."
        ),
        (
            "Sum over the classes and average over the images. F.kl_div does so with reduction='batchmean'; it takes the "
            "attacked images' log-probabilities first."
        ),
        (
            "Multiply only the divergence by beta and add it to the cross-entropy. Detach neither answer: the gradient must "
            "flow into both."
        ),
    ),
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


@trades_loss.mistake(
    "Your second part is the cross-entropy of the attacked images to the labels. TRADES compares them with the answer to the "
    "clean images: KL(p_clean || p_worst)."
)
def two_cross_entropies(c, w, y, beta):
    return F.cross_entropy(c, y) + beta * F.cross_entropy(w, y)


@trades_loss.mistake(
    "Your second part is the cross-entropy to the clean answer. It holds that answer's own entropy too: KL also has "
    "+ sum p log p of the clean images."
)
def cross_entropy_to_clean(c, w, y, beta):
    return F.cross_entropy(c, y) + beta * F.cross_entropy(w, c.softmax(dim=1))


@trades_loss.mistake("You divide the divergence by beta. Multiply: a larger beta asks for more robustness.")
def divided_by_beta(c, w, y, beta):
    return trades_loss(c, w, y, 1 / beta)


@trades_loss.mistake(
    "The probabilities of the attacked images stand where their logarithms belong. F.kl_div takes log-probabilities first: "
    "log_softmax."
)
def log_forgotten(c, w, y, beta):
    p = c.softmax(dim=1)
    return F.cross_entropy(c, y) + beta * (p * (p.log() - w.softmax(dim=1))).sum(dim=1).mean()


@trades_loss.mistake("You subtract the divergence, so that training makes both answers differ. Add it.")
def subtracted(c, w, y, beta):
    return trades_loss(c, w, y, -beta)


@trades_loss.mistake("The cross-entropy of the clean images is missing: without it nothing is learned from the labels.")
def divergence_alone(c, w, y, beta):
    return beta * _kl(c, w).mean()


@trades_loss.mistake("The divergence is missing: add beta times KL(p_clean || p_worst).")
def divergence_missing(c, w, y, beta):
    return F.cross_entropy(c, y)


@trades_loss.mistake("beta weights both parts in your function. It belongs to the divergence alone.")
def beta_on_both_parts(c, w, y, beta):
    return beta * trades_loss(c, w, y, 1.0)


@trades_loss.mistake("You mix the parts with 1 - beta and beta. The cross-entropy keeps its whole weight.")
def beta_as_a_share(c, w, y, beta):
    return (1 - beta) * F.cross_entropy(c, y) + beta * _kl(c, w).mean()


@trades_loss.mistake("Your cross-entropy takes probabilities. F.cross_entropy makes them itself: give it the logits.")
def cross_entropy_of_probabilities(c, w, y, beta):
    return F.cross_entropy(c.softmax(dim=1), y) + beta * _kl(c, w).mean()


@trades_loss.mistake("Your softmax runs over the images. It belongs to the classes of one image: dim=1.")
def over_the_images(c, w, y, beta):
    log_c, log_w = c.log_softmax(dim=0), w.log_softmax(dim=0)
    return F.cross_entropy(c, y) + beta * (log_c.exp() * (log_c - log_w)).sum(dim=1).mean()


@trades_loss.mistake("Both parts are sums over the images. Take their means.")
def both_summed(c, w, y, beta):
    return trades_loss(c, w, y, beta) * len(y)


@trades_loss.mistake("Your second part is the squared distance of the logits. What is asked is KL(p_clean || p_worst).")
def squared_logits(c, w, y, beta):
    return F.cross_entropy(c, y) + beta * F.mse_loss(w, c)
