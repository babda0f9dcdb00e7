"""Chapter 08: both losses of a GAN, the projection, the collapse alarm, the Fréchet distance, precision and recall."""

import torch
import torch.nn.functional as F

from ..languages import say
from ..methods.generation import discriminator_loss, generator_loss, projection_score
from ..methods.generation_quality import collapse_alarm, frechet_distance, precision_recall, spread
from .declare import Exercise, Mistake, Property

REAL, FAKE = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 0.0, 1.5])


def _finite_when_sure(sides):
    """A law for losses that take `sides` tensors of scores."""

    def fails(function, generator):
        if not torch.isfinite(function(*[torch.tensor([-200.0, 200.0])] * sides)):
            return say(
                "For scores of ±200 your loss is not finite: sigmoid rounds to 0 or 1, and log(0) is infinite. F.softplus(-s) "
                "is -log sigmoid(s), computed so that this cannot happen."
            )

    return fails


def _pushes_hardest_when_found_out(function, generator):
    scores = torch.tensor([-6.0, 6.0], requires_grad=True)
    [push] = torch.autograd.grad(function(scores), scores)
    if push[0].abs() <= push[1].abs():
        return say("A fake that the discriminator sees through must push harder than one that it believes.")


def _random_alarm(generator):
    labels, real_labels = torch.arange(8) % 2, torch.arange(10) % 2
    return torch.rand(8, 1, 3, 3, generator=generator) / 2, labels, torch.rand(10, 1, 3, 3, generator=generator), real_labels


def _per_class(statistic):
    """A function of the alarm's arguments from one of a class's (generated, real)."""

    def alarm(x, y, real, real_y):
        return torch.stack([statistic(x[y == k].double(), real[real_y == k].double()) for k in range(int(real_y.max()) + 1)])

    return alarm


def _distances(a, b):
    return torch.cdist(a.flatten(1), b.flatten(1))


def _does_not_ask_for_order(function, generator):
    x, y, real, real_y = _random_alarm(generator)
    order = torch.randperm(len(y), generator=generator)
    if not torch.allclose(function(x, y, real, real_y), function(x[order], y[order], real, real_y), atol=1e-5):
        return say("Your alarm changes when the images come in another order.")


def _parts(a, b):
    """|mu_a - mu_b|^2, both covariances, and the trace of the root of their product."""
    a, b = a.double(), b.double()
    A, B = a.T.cov(), b.T.cov()
    apart = (a.mean(0) - b.mean(0)).square().sum()
    root = (apart + A.trace() + B.trace() - frechet_distance(a, b)) / 2
    return apart, A, B, root


def _of_parts(combine):
    return lambda a, b: float(combine(*_parts(a, b)))


def _with_n(a, b):
    """The distance with covariances that divide by n."""
    apart, A, B, root = _parts(a, b)
    s, t = 1 - 1 / len(a), 1 - 1 / len(b)
    return float(apart + s * A.trace() + t * B.trace() - 2 * (s * t) ** 0.5 * root)


def _random_features(generator):
    stretch = torch.randn(3, 3, generator=generator)
    return torch.randn(9, 3, generator=generator) @ stretch, 1 + torch.randn(7, 3, generator=generator)


def _random_flat_features(generator):
    """Fewer features than dimensions, far from 0: eigenvalues that are 0 come out slightly negative, float32 is too coarse."""
    return 20000 + torch.randn(4, 6, generator=generator), 20000 + torch.randn(5, 6, generator=generator)


def _survives_rounding(function, generator):
    for _ in range(4):
        a, b = _random_flat_features(generator)
        found, right = float(function(a, b)), frechet_distance(a, b)
        if not abs(found - right) < 1e-3:
            return say(
                "For fewer features than dimensions, far from 0, the distance is {right:.4f}, yours {found:.4f}. Compute in "
                "float64, and clamp the eigenvalues at 0: rounding makes some of them slightly negative, and their root is "
                "NaN.",
                right=right,
                found=found,
            )


def _no_distance_to_itself(function, generator):
    a, b = _random_features(generator)
    if abs(float(function(a, a))) > 1e-3:
        return say("The distance of a set of features to itself is not 0.")
    if abs(float(function(a, b)) - float(function(b, a))) > 1e-3:
        return say("The distance from a to b is not that from b to a.")


def _within(points, centres, radii):
    return (torch.cdist(points, centres) <= radii).any(dim=1).double().mean().item()


def _radii(centres, k):
    return torch.cdist(centres, centres).kthvalue(k, dim=1).values


def _random_sets(generator):
    return torch.randn(12, 2, generator=generator), 0.5 + 0.7 * torch.randn(10, 2, generator=generator), 2


_drawn = torch.Generator().manual_seed(0)
FEATURES = (torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]]), torch.tensor([[1.0, 1.0], [3.0, 2.0], [2.0, 0.0], [4.0, 4.0]]))
PHI, V, ROWS = (
    torch.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0]]),
    torch.tensor([[1.0, 0.0], [2.0, 1.0]]),
    torch.tensor([1, 0, 1]),
)

EXERCISES = [
    Exercise(
        "discriminator_loss",
        "08",
        "The discriminator's loss",
        discriminator_loss,
        cases=((torch.tensor([1.0]), torch.tensor([-1.0])), (REAL, FAKE)),
        fresh=lambda generator: (2 * torch.randn(4, generator=generator), 2 * torch.randn(3, generator=generator)),
        mistakes=(
            Mistake(
                "sides_swapped",
                lambda real, fake: discriminator_loss(-real, -fake),
                "Your discriminator wants low scores for real images and high ones for fakes. Turn the signs: softplus(-real), "
                "softplus(fake).",
            ),
            Mistake(
                "sigmoid_twice",
                lambda real, fake: discriminator_loss(real.sigmoid(), fake.sigmoid()),
                "You take a sigmoid first and then a loss that has one inside (softplus, or a cross-entropy with logits). Give "
                "it the scores as they are.",
            ),
            Mistake(
                "summed",
                lambda real, fake: F.softplus(-real).sum() + F.softplus(fake).sum(),
                "You add up the images. Take the mean of the real ones and the mean of the fakes.",
            ),
            Mistake(
                "one_mean_of_all",
                lambda real, fake: torch.cat([F.softplus(-real), F.softplus(fake)]).mean(),
                "You take one mean over all images. The loss is the sum of two means, so that both sides weigh the same "
                "whatever their numbers.",
            ),
            Mistake(
                "only_real",
                lambda real, fake: F.softplus(-real).mean(),
                "The fakes are missing. A discriminator that says “real” to everything would have no loss.",
            ),
            Mistake(
                "maximised",
                lambda real, fake: -discriminator_loss(real, fake),
                "That is the value that the discriminator wants large. The optimiser makes a loss small: turn the sign.",
            ),
            Mistake(
                "hinge",
                lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
                "That is the hinge loss, which works too. Here the cross-entropy is asked for: softplus.",
            ),
        ),
        properties=(Property("Sure scores give a finite loss.", _finite_when_sure(2), "log_of_zero"),),
    ),
    Exercise(
        "generator_loss",
        "08",
        "The generator's loss",
        generator_loss,
        cases=((torch.tensor([-1.0]),), (FAKE,)),
        fresh=lambda generator: (2 * torch.randn(4, generator=generator),),
        mistakes=(
            Mistake(
                "saturating",
                lambda fake: -F.softplus(fake).mean(),
                "That is log(1 - sigmoid(s)), the saturating loss: where the discriminator is sure of the fake its gradient is "
                "nearly 0, and nothing is learned. Minimise -log sigmoid(s).",
            ),
            Mistake(
                "plays_for_the_discriminator",
                lambda fake: F.softplus(fake).mean(),
                "Your generator wants low scores: it helps the discriminator. It wins when its images are taken for real: -s.",
            ),
            Mistake(
                "maximised",
                lambda fake: -F.softplus(-fake).mean(),
                "That is log sigmoid(s), which the generator wants large. An optimiser makes its loss small: turn the sign.",
            ),
            Mistake(
                "sigmoid_twice",
                lambda fake: F.softplus(-fake.sigmoid()).mean(),
                "You take a sigmoid first and then softplus, which has one inside. Give it the scores as they are.",
            ),
            Mistake(
                "summed",
                lambda fake: F.softplus(-fake).sum(),
                "You add up the images. Take their mean, so that the loss does not depend on the size of the batch.",
            ),
            Mistake(
                "hinge",
                lambda fake: -fake.mean(),
                "That is the generator's side of the hinge loss. Here -log sigmoid(s) is asked for.",
            ),
        ),
        properties=(
            Property("Sure scores give a finite loss.", _finite_when_sure(1), "log_of_zero"),
            Property("A fake that is seen through pushes harder than one that is believed.", _pushes_hardest_when_found_out),
        ),
    ),
    Exercise(
        "projection_score",
        "08",
        "The projection",
        projection_score,
        cases=((PHI[:1], torch.tensor([1.0, 1.0]), V, ROWS[:1]), (PHI, torch.tensor([1.0, -1.0]), V, ROWS)),
        fresh=lambda generator: (
            torch.randn(6, 4, generator=generator),
            torch.randn(4, generator=generator),
            torch.randn(3, 4, generator=generator),
            torch.randint(3, (6,), generator=generator),
        ),
        mistakes=(
            Mistake(
                "class_ignored",
                lambda phi, v, V, y: phi @ v,
                "The class plays no part: any good image of any class would do. Add V_y . phi(x).",
            ),
            Mistake(
                "only_the_class",
                lambda phi, v, V, y: (phi * V[y]).sum(dim=1),
                "The part that does not look at the class, v . phi(x), is missing.",
            ),
            Mistake(
                "all_classes",
                lambda phi, v, V, y: phi @ v + (phi @ V.T).sum(dim=1),
                "You add the scores of all classes. Only the row of the image's own class counts: V[labels].",
            ),
            Mistake(
                "rows_of_places",
                lambda phi, v, V, y: phi @ v + (phi * V[torch.arange(len(y)) % len(V)]).sum(dim=1),
                "Image i gets row i of V. It must get the row of its class: V[labels].",
            ),
            Mistake(
                "mean_over_features",
                lambda phi, v, V, y: phi @ v + (phi * V[y]).mean(dim=1),
                "A dot product adds up the products over the features; you average them.",
            ),
            Mistake(
                "one_score_for_each_class",
                lambda phi, v, V, y: (phi @ v)[:, None] + phi @ V.T,
                "You return a score for every class, (n, classes). Pick the one of the image's class: (n,).",
            ),
            Mistake(
                "features_forgotten",
                lambda phi, v, V, y: phi @ v + V[y].sum(dim=1),
                "You add up V_y itself, which knows nothing of the image. Multiply it by the features first.",
            ),
        ),
    ),
    Exercise(
        "collapse_alarm",
        "08",
        "The collapse alarm",
        collapse_alarm,
        cases=(
            (
                torch.tensor([0.0, 0.5, 1.0, 1.0]).reshape(4, 1, 1, 1),
                torch.tensor([0, 0, 1, 1]),
                torch.tensor([0.0, 1.0, 0.2, 0.6, 0.9]).reshape(5, 1, 1, 1),
                torch.tensor([0, 0, 1, 1, 1]),
            ),
            _random_alarm(_drawn),
        ),
        fresh=_random_alarm,
        mistakes=(
            Mistake(
                "itself_counted",
                _per_class(lambda x, real: _distances(x, x).mean() / _distances(real, real).mean()),
                "Your mean counts the distance of every image to itself, which is 0, so that it depends on their number. "
                "torch.pdist gives each pair once.",
            ),
            Mistake(
                "classes_together",
                lambda x, y, real, real_y: (spread(x) / spread(real)).expand(int(real_y.max()) + 1),
                "You compare all images with all. A generator that knows one image of each class "
                "would pass: stay within a class.",
            ),
            Mistake(
                "upside_down",
                lambda *arguments: 1 / collapse_alarm(*arguments),
                "Your ratio is upside down: generated over real, so that 0 is a collapse.",
            ),
            Mistake(
                "not_relative",
                _per_class(lambda x, real: spread(x)),
                "You return the distances themselves. Divide by those of the real images: some classes vary more than others.",
            ),
            Mistake(
                "distance_to_real",
                _per_class(lambda x, real: _distances(x, real).mean() / spread(real)),
                "You measure from generated to real images. How varied the generated ones are "
                "shows in the distances among them.",
            ),
            Mistake(
                "squared",
                _per_class(
                    lambda x, real: torch.pdist(x.flatten(1)).square().mean() / torch.pdist(real.flatten(1)).square().mean()
                ),
                "You average squared distances. Take the distances themselves.",
            ),
            Mistake(
                "one_number",
                lambda *arguments: collapse_alarm(*arguments).mean(),
                "You return one number. A single class can collapse while the mean looks well: one number for each class.",
            ),
        ),
        properties=(Property("The order of the images does not matter.", _does_not_ask_for_order),),
    ),
    Exercise(
        "frechet_distance",
        "08",
        "The Fréchet distance",
        frechet_distance,
        cases=(FEATURES, _random_features(_drawn)),
        fresh=_random_features,
        mistakes=(
            Mistake(
                "elementwise_root",
                _of_parts(lambda m, A, B, r: m + A.trace() + B.trace() - 2 * (A.diag() * B.diag()).sqrt().sum()),
                "You take the root of each element (or use the variances alone). The root of a matrix M is the R with R R = M; "
                "its trace is the sum of the roots of M's eigenvalues.",
            ),
            Mistake(
                "mean_not_squared",
                _of_parts(lambda m, A, B, r: m.sqrt() + A.trace() + B.trace() - 2 * r),
                "The distance of the means is to be squared, as the traces are squares too.",
            ),
            Mistake(
                "means_only",
                _of_parts(lambda m, A, B, r: m),
                "You compare the means only. A collapsed generator can have the right mean: the covariances belong to it.",
            ),
            Mistake(
                "covariances_only",
                _of_parts(lambda m, A, B, r: A.trace() + B.trace() - 2 * r),
                "The distance of the means is missing.",
            ),
            Mistake(
                "two_forgotten",
                _of_parts(lambda m, A, B, r: m + A.trace() + B.trace() - r),
                "The root's trace counts twice: like (a - b)^2 = a^2 + b^2 - 2ab.",
            ),
            Mistake(
                "root_forgotten",
                _of_parts(lambda m, A, B, r: m + A.trace() + B.trace() - 2 * (A @ B).trace()),
                "You subtract the trace of the product itself. Take its matrix root first.",
            ),
            Mistake(
                "divided_by_n",
                _with_n,
                "Your covariances divide by n. Divide by n - 1, as torch.cov does.",
            ),
            Mistake(
                "root_of_it_all",
                lambda a, b: max(frechet_distance(a, b), 0.0) ** 0.5,
                "You take the root of the whole. By custom the squared distance is reported.",
            ),
        ),
        properties=(
            Property("It is 0 from features to themselves, and the same both ways.", _no_distance_to_itself),
            Property("Rounding does no harm.", _survives_rounding, "rounding"),
        ),
        tolerance=1e-3,
    ),
    Exercise(
        "precision_recall",
        "08",
        "Precision and recall",
        precision_recall,
        cases=(
            (torch.tensor([[0.0], [1.0], [3.0], [9.0]]), torch.tensor([[-1.0], [4.5], [20.0], [21.0], [22.0]]), 1),
            _random_sets(_drawn),
        ),
        fresh=_random_sets,
        mistakes=(
            Mistake(
                "swapped",
                lambda *arguments: precision_recall(*arguments)[::-1],
                "Precision and recall have changed places: precision counts generated features within the real manifold.",
            ),
            Mistake(
                "itself_counted",
                lambda real, fake, k: (_within(fake, real, _radii(real, k)), _within(real, fake, _radii(fake, k))),
                "Your radius reaches to the (k-1)-th other point: the nearest of all is the point itself, at distance 0. Take "
                "the (k+1)-th smallest.",
            ),
            Mistake(
                "radius_of_the_other_set",
                lambda real, fake, k: (
                    (torch.cdist(fake, real) <= _radii(fake, k + 1)[:, None]).any(dim=1).double().mean().item(),
                    (torch.cdist(real, fake) <= _radii(real, k + 1)[:, None]).any(dim=1).double().mean().item(),
                ),
                "You draw the balls around the points that are tested. They belong around the points of the manifold.",
            ),
            Mistake(
                "one_radius_for_all",
                lambda real, fake, k: (
                    _within(fake, real, _radii(real, k + 1).mean()),
                    _within(real, fake, _radii(fake, k + 1).mean()),
                ),
                "You use one radius for all balls. Each point has its own: small where points lie densely.",
            ),
            Mistake(
                "counted",
                lambda real, fake, k: tuple(
                    s * len(x) for s, x in zip(precision_recall(real, fake, k), (fake, real), strict=True)
                ),
                "You count the points. A share is needed: divide by their number.",
            ),
            Mistake(
                "precision_twice",
                lambda real, fake, k: (precision_recall(real, fake, k)[0],) * 2,
                "Both numbers are the precision. For recall the generated features make the manifold, and "
                "the real ones are tested.",
            ),
        ),
    ),
]
