"""Chapter 08: both losses of a GAN, the projection."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods import generation
from .declare import exercise

REAL, FAKE = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.0, 1.5])


@exercise(
    "The discriminator's loss",
    cases=[(torch.tensor([1.0]), torch.tensor([-1.0])), (REAL, FAKE)],
    fresh=lambda generator: (2 * torch.randn(4, generator=generator), 2 * torch.randn(3, generator=generator)),
    gradient=("real_scores", "fake_scores"),
    idea=(
        "The discriminator is a classifier with two classes, real and generated, so its loss is a cross-entropy: the mean over "
        "the real images plus the mean over the fakes. Written with softplus, it stays finite however sure the scores are."
    ),
    steps=(
        "A real image with the score s costs -log sigmoid(s): read off above which softplus that is. One cost per image, (n,).",
        "A fake costs -log(1 - sigmoid(s)), which is softplus with the other sign: (m,).",
        (
            "Work from the scores as they are: F.softplus has the sigmoid inside, and a sigmoid of your own rounds to 0 or 1 "
            "where a score is very sure."
        ),
        "Take the mean of each side on its own and add the two means: both sides weigh the same even where n and m differ.",
    ),
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


@discriminator_loss.mistake("You halve the loss. It is the sum of the two means: nothing divides it by 2.")
def halved(real, fake):
    return discriminator_loss(real, fake) / 2


@discriminator_loss.mistake(
    "You take the mean of the scores first and then the loss of that mean. Every image has its own loss; average those."
)
def mean_inside(real, fake):
    return F.softplus(-real.mean()) + F.softplus(fake.mean())


@discriminator_loss.mistake(
    "You add real and fake losses element by element, which fits only where their numbers do. Take each side's mean first, "
    "then add."
)
def added_before_the_mean(real, fake):
    return (F.softplus(-real) + F.softplus(fake)).mean()


@discriminator_loss.mistake("The real images are missing. A discriminator that says “fake” to everything would have no loss.")
def only_fake(real, fake):
    return F.softplus(fake).mean()


@discriminator_loss.mistake("Your discriminator wants high scores for the fakes too. Their sign is the other one: softplus(s).")
def fakes_taken_for_real(real, fake):
    return F.softplus(-real).mean() + F.softplus(-fake).mean()


@discriminator_loss.mistake(
    "Your discriminator wants low scores for the real images too. Their sign is the other one: softplus(-s)."
)
def real_taken_for_fakes(real, fake):
    return F.softplus(real).mean() + F.softplus(fake).mean()


@discriminator_loss.mistake("You subtract one side from the other. The discriminator must do well on both: add the two means.")
def subtracted(real, fake):
    return F.softplus(-real).mean() - F.softplus(fake).mean()


@discriminator_loss.mistake(
    "You use the probabilities of being wrong, without their logarithm. The cross-entropy is -log of the right probability."
)
def logarithm_forgotten(real, fake):
    return real.neg().sigmoid().mean() + fake.sigmoid().mean()


@discriminator_loss.mistake(
    "That is the difference of the mean scores, the critic's loss of a Wasserstein GAN. Here the cross-entropy is asked for: "
    "softplus."
)
def difference_of_scores(real, fake):
    return fake.mean() - real.mean()


@discriminator_loss.mistake("That is the loss of least squares. Here the cross-entropy is asked for: softplus.")
def least_squares(real, fake):
    return (real - 1).square().mean() + fake.square().mean()


def _right_when_sure(function, reference, sides):
    """`fails` of the loss at scores that are far from 0, for a function of the scores of one side or of both."""
    scores = torch.tensor([-200.0, 200.0])
    if not torch.isfinite(function(*[scores] * sides)):
        return "log_of_zero", say(
            "For scores of ±200 your loss is not finite: exp overflows, or sigmoid rounds to 0 or 1, and log(0) is infinite. "
            "F.softplus(-s) is -log sigmoid(s), computed so that this cannot happen."
        )
    for score in (60.0, 200.0):
        arguments = [torch.tensor([-score, score])] * sides
        yours, right = float(function(*arguments)), float(reference(*arguments))
        if yours < 0.99 * right:
            return "capped", say(
                "For scores of ±{score:.0f} the loss is {right:.1f}, yours {found:.1f}: it stops growing, by a clamp or by a "
                "small number inside the logarithm, and there its gradient is 0. F.softplus(-s) is -log sigmoid(s) and needs "
                "neither.",
                score=score,
                right=right,
                found=yours,
            )
        if abs(yours - right) > 0.01 * right:
            return say(
                "For scores of ±{score:.0f} the loss is {right:.1f}, yours {found:.1f}.", score=score, right=right, found=yours
            )


@discriminator_loss.property("Sure scores give a finite loss, and the right one.")
def _discriminator_loss_of_sure_scores(function, generator):
    return _right_when_sure(function, discriminator_loss, sides=2)


@exercise(
    "The generator's loss",
    cases=[(torch.tensor([-1.0]),), (FAKE,)],
    fresh=lambda generator: (2 * torch.randn(4, generator=generator),),
    gradient=("fake_scores",),
    idea=(
        "The generator wins when its images are taken for real, so each image costs -log sigmoid(s). Unlike the "
        "discriminator's own term with its sign turned, this loss pushes hardest where a fake is seen through, which is where "
        "a bad generator begins."
    ),
    steps=(
        (
            "Each fake costs what a real image with the same score costs the discriminator: you have written that half "
            "already, (n,)."
        ),
        (
            "Check the sign: the loss must fall as a score rises; towards very low scores it must keep growing and not become "
            "flat."
        ),
        "Use the scores as they are: a sigmoid of very low scores rounds to 0, and the logarithm of that is infinite.",
        "Take the mean over the images: a scalar that does not depend on the size of the batch.",
    ),
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


@generator_loss.mistake(
    "That is minus the mean score, the generator's side of the hinge loss and of Wasserstein's. Here -log sigmoid(s) is asked "
    "for."
)
def minus_mean_score(fake):
    return -fake.mean()


@generator_loss.mistake(
    "You take the mean of the scores first and then the loss of that mean. Every image has its own loss; average those."
)
def mean_inside(fake):
    return F.softplus(-fake.mean())


@generator_loss.mistake(
    "You use the probabilities of being seen through, without a logarithm: where the discriminator is sure of the fake, their "
    "gradient is nearly 0. Minimise -log sigmoid(s)."
)
def logarithm_forgotten(fake):
    return fake.neg().sigmoid().mean()


@generator_loss.mistake("That is minus the mean of the probabilities. Its logarithm is missing: -log sigmoid(s).")
def minus_probability(fake):
    return -fake.sigmoid().mean()


@generator_loss.mistake("That is the loss of least squares. Here -log sigmoid(s) is asked for.")
def least_squares(fake):
    return (fake - 1).square().mean()


@generator_loss.mistake("You halve the loss. It is the mean over the fakes, no less.")
def halved(fake):
    return generator_loss(fake) / 2


@generator_loss.mistake("That is a hinge, max(0, 1 - s). Here -log sigmoid(s) is asked for.")
def hinge(fake):
    return F.relu(1 - fake).mean()


@generator_loss.property("Sure scores give a finite loss, and the right one.")
def _generator_loss_of_sure_scores(function, generator):
    return _right_when_sure(function, generator_loss, sides=1)


@generator_loss.property("A fake that is seen through pushes harder than one that is believed.")
def _pushes_hardest_where_it_fails(function, generator):
    scores = torch.tensor([-6.0, 6.0], requires_grad=True)
    [push] = torch.autograd.grad(function(scores), scores)
    if push[0].abs() <= push[1].abs():
        return say("A fake that the discriminator sees through must push harder than one that it believes.")


PHI, V, ROWS = (
    torch.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0]]),
    torch.tensor([[1.0, 0.0], [2.0, 1.0]]),
    torch.tensor([1, 1, 0]),
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
    idea=(
        "The score asks two things: is this a good image at all, and is it a good image of its class? Both answers are dot "
        "products with the features, one with a vector that all classes share, the other with the vector of the image's own "
        "class."
    ),
    steps=(
        "The part that does not look at the class is a product of all features with v: one number per image, (n,).",
        (
            "For the other part, image i needs the row of V that its label names, not row i: for all images together that is "
            "(n, d)."
        ),
        (
            "Let each image meet its own row only: multiply element by element and add up over the features, not over the "
            "images, (n,)."
        ),
        "Add the two parts and leave the score as it is: the losses have a sigmoid inside.",
    ),
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


@projection_score.mistake("A dot product adds up the products over the features; you average them, in both parts.")
def mean_in_both_parts(phi, v, V, y):
    return projection_score(phi, v, V, y) / phi.shape[1]


@projection_score.mistake("You take columns of V. Each class has a row of it: V[labels], not V.T[labels] or V[:, labels].")
def columns_for_rows(phi, v, V, y):
    return phi @ v + (phi * V.T[y]).sum(dim=1)


@projection_score.mistake("You use the row before the class's own. Classes are counted from 0: V[labels].")
def classes_from_1(phi, v, V, y):
    return phi @ v + (phi * V[y - 1]).sum(dim=1)


@projection_score.mistake("All images get the class of the first one. Each has its own: V[labels] has a row for each image.")
def class_of_the_first(phi, v, V, y):
    return phi @ (v + V[y[0]])


@projection_score.mistake(
    "You multiply every image by the rows of all images' classes and add that up. Image i meets row i of V[labels] only: "
    "element by element, then sum(dim=1)."
)
def classes_of_all_images(phi, v, V, y):
    return phi @ v + (phi @ V[y].T).sum(dim=1)


@projection_score.mistake("You subtract the part that looks at the class. The score is the sum of the two parts.")
def subtracted(phi, v, V, y):
    return phi @ v - (phi * V[y]).sum(dim=1)


@projection_score.mistake("You multiply the two parts. The score is their sum.")
def multiplied(phi, v, V, y):
    return (phi @ v) * (phi * V[y]).sum(dim=1)


@projection_score.mistake("You end with a sigmoid. The losses have one inside and need the score as it is.")
def sigmoid_at_the_end(phi, v, V, y):
    return projection_score(phi, v, V, y).sigmoid()


@projection_score.mistake("v does not meet the features: you add up v itself. Multiply it by the features first.")
def v_without_features(phi, v, V, y):
    return v.sum() + (phi * V[y]).sum(dim=1)


@projection_score.mistake("You add up the images. Each image has its own score: sum over the features only, (n,).")
def one_score(phi, v, V, y):
    return projection_score(phi, v, V, y).sum()
