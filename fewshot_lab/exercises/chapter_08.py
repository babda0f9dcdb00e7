"""Chapter 08: both losses of a GAN, the projection."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import generation
from .declare import exercise

REAL, FAKE = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.0, 1.5])


@exercise(
    "The discriminator's loss",
    cases=[(torch.tensor([1.0]), torch.tensor([-1.0])), (REAL, FAKE), (torch.tensor([-60.0]), torch.tensor([90.0, 1.0]))],
    fresh=lambda generator: (2 * torch.randn(4, generator=generator), 2 * torch.randn(3, generator=generator)),
    gradient=("real_scores", "fake_scores"),
)
def discriminator_loss(real_scores, fake_scores):
    return generation.discriminator_loss(real_scores, fake_scores)


@discriminator_loss.mistake(
    "Your discriminator wants low scores for real images and high ones for fakes. Turn the signs: softplus(-real), "
    "softplus(fake)."
)
def sides_swapped(real, fake):
    return discriminator_loss(-real, -fake)


@discriminator_loss.mistake(
    "You take a sigmoid first and then a loss that has one inside (softplus, or a cross-entropy with logits). Give "
    "it the scores as they are."
)
def sigmoid_twice(real, fake):
    return discriminator_loss(real.sigmoid(), fake.sigmoid())


@discriminator_loss.mistake("You add up the images. Take the mean of the real ones and the mean of the fakes.")
def summed(real, fake):
    return F.softplus(-real).sum() + F.softplus(fake).sum()


@discriminator_loss.mistake(
    "You take one mean over all images. The loss is the sum of two means, so that both sides weigh the same whatever their "
    "sizes."
)
def one_mean_of_all(real, fake):
    return torch.cat([F.softplus(-real), F.softplus(fake)]).mean()


@discriminator_loss.mistake("The fakes are missing. A discriminator that says “real” to everything would have no loss.")
def only_real(real, fake):
    return F.softplus(-real).mean()


@discriminator_loss.mistake(
    "That is the value that the discriminator wants large. The optimiser makes a loss small: turn the sign."
)
def maximised(real, fake):
    return -discriminator_loss(real, fake)


@discriminator_loss.mistake("That is the hinge loss, which works too. Here the cross-entropy is asked for: softplus.")
def hinge(real, fake):
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _finite_when_sure(function, sides):
    """`fails` of the finite loss, for a function of the scores of one side or of both."""
    scores = torch.tensor([-200.0, 200.0])
    if not torch.isfinite(function(*[scores] * sides)):
        return say(
            "For scores of ±200 your loss is not finite: sigmoid rounds to 0 or 1, and log(0) is infinite. F.softplus(-s) "
            "is -log sigmoid(s), computed so that this cannot happen."
        )


@discriminator_loss.property("Sure scores give a finite loss.", mistake="log_of_zero")
def _discriminator_loss_is_finite(function, generator):
    return _finite_when_sure(function, sides=2)


@exercise(
    "The generator's loss",
    cases=[(torch.tensor([-1.0]),), (FAKE,)],
    fresh=lambda generator: (2 * torch.randn(4, generator=generator),),
    gradient=("fake_scores",),
)
def generator_loss(fake_scores):
    return generation.generator_loss(fake_scores)


@generator_loss.mistake(
    "That is log(1 - sigmoid(s)), the saturating loss: where the discriminator is sure of the fake its gradient is "
    "nearly 0, and nothing is learned. Minimise -log sigmoid(s)."
)
def saturating(fake):
    return -F.softplus(fake).mean()


@generator_loss.mistake(
    "Your generator wants low scores: it helps the discriminator. It wins when its images are taken for real: -s."
)
def plays_for_the_discriminator(fake):
    return F.softplus(fake).mean()


@generator_loss.mistake(
    "That is log sigmoid(s), which the generator wants large. An optimiser makes its loss small: turn the sign."
)
def maximised(fake):
    return -F.softplus(-fake).mean()


@generator_loss.mistake("You take a sigmoid first and then softplus, which has one inside. Give it the scores as they are.")
def sigmoid_twice(fake):
    return F.softplus(-fake.sigmoid()).mean()


@generator_loss.mistake("You add up the images. Take their mean, so that the loss does not depend on the size of the batch.")
def summed(fake):
    return F.softplus(-fake).sum()


@generator_loss.mistake("That is the generator's side of the hinge loss. Here -log sigmoid(s) is asked for.")
def hinge(fake):
    return -fake.mean()


@generator_loss.property("Sure scores give a finite loss.", mistake="log_of_zero")
def _generator_loss_is_finite(function, generator):
    return _finite_when_sure(function, sides=1)


@generator_loss.property("A fake that is seen through pushes harder than one that is believed.")
def _pushes_hardest_where_it_fails(function, generator):
    scores = torch.tensor([-6.0, 6.0], requires_grad=True)
    [push] = torch.autograd.grad(function(scores), scores)
    if push[0].abs() <= push[1].abs():
        return say("A fake that the discriminator sees through must push harder than one that it believes.")


PHI, V, ROWS = (
    torch.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0]]),
    torch.tensor([[1.0, 0.0], [2.0, 1.0]]),
    torch.tensor([1, 0, 1]),
)


@exercise(
    "The projection",
    cases=[(PHI[:1], torch.tensor([1.0, 1.0]), V, ROWS[:1]), (PHI, torch.tensor([1.0, -1.0]), V, ROWS)],
    fresh=lambda generator: (
        torch.randn(6, 4, generator=generator),
        torch.randn(4, generator=generator),
        torch.randn(3, 4, generator=generator),
        torch.randint(3, (6,), generator=generator),
    ),
    gradient=("features", "v", "V"),
)
def projection_score(features, v, V, labels):
    return generation.projection_score(features, v, V, labels)


@projection_score.mistake("The class plays no part: any good image of any class would do. Add V_y . phi(x).")
def class_ignored(phi, v, V, y):
    return phi @ v


@projection_score.mistake("The part that does not look at the class, v . phi(x), is missing.")
def only_the_class(phi, v, V, y):
    return (phi * V[y]).sum(dim=1)


@projection_score.mistake("You add the scores of all classes. Only the row of the image's own class counts: V[labels].")
def all_classes(phi, v, V, y):
    return phi @ v + (phi @ V.T).sum(dim=1)


@projection_score.mistake("Image i gets row i of V. It must get the row of its class: V[labels].")
def rows_of_places(phi, v, V, y):
    return phi @ v + (phi * V[torch.arange(len(y)) % len(V)]).sum(dim=1)


@projection_score.mistake("A dot product adds up the products over the features; you average them.")
def mean_over_features(phi, v, V, y):
    return phi @ v + (phi * V[y]).mean(dim=1)


@projection_score.mistake("You return a score for every class, (n, classes). Pick the one of the image's class: (n,).")
def one_score_for_each_class(phi, v, V, y):
    return (phi @ v)[:, None] + phi @ V.T


@projection_score.mistake("You add up V_y itself, which knows nothing of the image. Multiply it by the features first.")
def features_forgotten(phi, v, V, y):
    return phi @ v + V[y].sum(dim=1)
