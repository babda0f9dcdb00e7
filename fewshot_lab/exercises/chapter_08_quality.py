"""Chapter 08: the collapse alarm, the Fréchet distance, precision and recall."""

import functools

import torch

from ..languages import say
from ..methods import generation_quality
from .declare import exercise

_GENERATOR = torch.Generator().manual_seed(0)  # of one larger public case each


def _random_alarm(generator):
    labels, real_labels = torch.arange(8) % 2, torch.arange(10) % 2
    return torch.rand(8, 1, 3, 3, generator=generator) / 2, labels, torch.rand(10, 1, 3, 3, generator=generator), real_labels


@exercise(
    "The collapse alarm",
    cases=[
        (
            torch.tensor([0.0, 0.5, 1.0, 1.0]).reshape(4, 1, 1, 1),
            torch.tensor([0, 0, 1, 1]),
            torch.tensor([0.0, 1.0, 0.2, 0.6, 0.9]).reshape(5, 1, 1, 1),
            torch.tensor([0, 0, 1, 1, 1]),
        ),
        _random_alarm(_GENERATOR),
    ],
    fresh=_random_alarm,
)
def collapse_alarm(generated, labels, real, real_labels):
    return generation_quality.collapse_alarm(generated, labels, real, real_labels)


def _of_each_class(statistic):
    """Turns a statistic of one class's images (generated, real) into an alarm, which takes the images of all classes."""

    @functools.wraps(statistic)
    def alarm(x, y, real, real_y):
        return torch.stack([statistic(x[y == k].double(), real[real_y == k].double()) for k in range(int(real_y.max()) + 1)])

    return alarm


def _distances(a, b):
    return torch.cdist(a.flatten(1), b.flatten(1))


@collapse_alarm.mistake(
    "Your mean counts the distance of every image to itself, which is 0, so that it depends on their number. "
    "torch.pdist gives each pair once."
)
@_of_each_class
def itself_counted(x, real):
    return _distances(x, x).mean() / _distances(real, real).mean()


@collapse_alarm.mistake(
    "You compare all images with all. A generator that knows one image of each class would pass: stay within a class."
)
def classes_together(x, y, real, real_y):
    return (generation_quality.spread(x) / generation_quality.spread(real)).expand(int(real_y.max()) + 1)


@collapse_alarm.mistake("Your ratio is upside down: generated over real, so that 0 is a collapse.")
def upside_down(*arguments):
    return 1 / collapse_alarm(*arguments)


@collapse_alarm.mistake(
    "You return the distances themselves. Divide by those of the real images: some classes vary more than others."
)
@_of_each_class
def not_relative(x, real):
    return generation_quality.spread(x)


@collapse_alarm.mistake(
    "You measure from generated to real images. How varied the generated ones are shows in the distances among them."
)
@_of_each_class
def distance_to_real(x, real):
    return _distances(x, real).mean() / generation_quality.spread(real)


@collapse_alarm.mistake("You average squared distances. Take the distances themselves.")
@_of_each_class
def squared(x, real):
    return torch.pdist(x.flatten(1)).square().mean() / torch.pdist(real.flatten(1)).square().mean()


@collapse_alarm.mistake(
    "You return one number. A single class can collapse while the mean looks fine: one number for each class."
)
def one_number(*arguments):
    return collapse_alarm(*arguments).mean()


@collapse_alarm.property("The order of the images does not matter.")
def _ignores_the_order(function, generator):
    x, y, real, real_y = _random_alarm(generator)
    order = torch.randperm(len(y), generator=generator)
    if not torch.allclose(function(x, y, real, real_y), function(x[order], y[order], real, real_y), atol=1e-5):
        return say("Your alarm changes when the images come in another order.")


def _random_features(generator):
    stretch = torch.randn(3, 3, generator=generator)
    return torch.randn(9, 3, generator=generator) @ stretch, 1 + torch.randn(7, 3, generator=generator)


@exercise(
    "The Fréchet distance",
    cases=[
        (torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]]), torch.tensor([[1.0, 1.0], [3.0, 2.0], [2.0, 0.0], [4.0, 4.0]])),
        _random_features(_GENERATOR),
    ],
    fresh=_random_features,
    tolerance=1e-3,
)
def frechet_distance(a, b):
    return generation_quality.frechet_distance(a, b)


def _parts(a, b):
    """m = |mu_a - mu_b|^2, the covariances A and B, and r, the trace of the root of their product."""
    a, b = a.double(), b.double()
    A, B = a.T.cov(), b.T.cov()
    m = (a.mean(0) - b.mean(0)).square().sum()
    r = (m + A.trace() + B.trace() - frechet_distance(a, b)) / 2
    return m, A, B, r


def _of_parts(combine):
    """Turns a combination of the four parts into a function of the features."""
    return functools.wraps(combine)(lambda a, b: float(combine(*_parts(a, b))))


@frechet_distance.mistake(
    "You take the root of each element (or use the variances alone). The root of a matrix M is the R with R R = M; "
    "its trace is the sum of the roots of M's eigenvalues."
)
@_of_parts
def elementwise_root(m, A, B, r):
    return m + A.trace() + B.trace() - 2 * (A.diag() * B.diag()).sqrt().sum()


@frechet_distance.mistake("The distance of the means must be squared, as the traces are squares too.")
@_of_parts
def mean_not_squared(m, A, B, r):
    return m.sqrt() + A.trace() + B.trace() - 2 * r


@frechet_distance.mistake(
    "You compare the means only. A collapsed generator can have the right mean: the covariances must count too."
)
@_of_parts
def means_only(m, A, B, r):
    return m


@frechet_distance.mistake("The distance of the means is missing.")
@_of_parts
def covariances_only(m, A, B, r):
    return A.trace() + B.trace() - 2 * r


@frechet_distance.mistake("The root's trace counts twice: like (a - b)^2 = a^2 + b^2 - 2ab.")
@_of_parts
def two_forgotten(m, A, B, r):
    return m + A.trace() + B.trace() - r


@frechet_distance.mistake("You subtract the trace of the product itself. Take its matrix root first.")
@_of_parts
def root_forgotten(m, A, B, r):
    return m + A.trace() + B.trace() - 2 * (A @ B).trace()


@frechet_distance.mistake("Your covariances divide by n. Divide by n - 1, as torch.cov does.")
def divided_by_n(a, b):
    m, A, B, r = _parts(a, b)
    s, t = 1 - 1 / len(a), 1 - 1 / len(b)
    return float(m + s * A.trace() + t * B.trace() - 2 * (s * t) ** 0.5 * r)


@frechet_distance.mistake("You take the root of the whole. By custom the squared distance is reported.")
def root_of_it_all(a, b):
    return max(frechet_distance(a, b), 0.0) ** 0.5


@frechet_distance.property("It is 0 from features to themselves, and the same both ways.")
def _no_distance_to_itself(function, generator):
    a, b = _random_features(generator)
    if abs(float(function(a, a))) > 1e-3:
        return say("The distance of a set of features to itself is not 0.")
    if abs(float(function(a, b)) - float(function(b, a))) > 1e-3:
        return say("The distance from a to b is not that from b to a.")


def _random_flat_features(generator):
    """Fewer features than dimensions, far from 0: eigenvalues that are 0 come out slightly negative, float32 is too coarse."""
    return 20000 + torch.randn(4, 6, generator=generator), 20000 + torch.randn(5, 6, generator=generator)


@frechet_distance.property("Rounding does no harm.", mistake="rounding")
def _survives_rounding(function, generator):
    for _ in range(4):
        a, b = _random_flat_features(generator)
        yours, right = float(function(a, b)), frechet_distance(a, b)
        if not abs(yours - right) < 1e-3:  # not >=: NaN must fail too
            return say(
                "For fewer features than dimensions, far from 0, the distance is {right:.4f}, yours {found:.4f}. Compute in "
                "float64, and clamp the eigenvalues at 0: rounding makes some of them slightly negative, and their root is "
                "NaN.",
                right=right,
                found=yours,
            )


def _random_sets(generator):
    return torch.randn(12, 2, generator=generator), 0.5 + 0.7 * torch.randn(10, 2, generator=generator), 2


@exercise(
    "Precision and recall",
    cases=[
        (torch.tensor([[0.0], [1.0], [3.0], [9.0]]), torch.tensor([[-1.0], [4.5], [20.0], [21.0], [22.0]]), 1),
        _random_sets(_GENERATOR),
    ],
    fresh=_random_sets,
)
def precision_recall(real, generated, k=3):
    return generation_quality.precision_recall(real, generated, k)


@precision_recall.mistake(
    "Precision and recall have changed places: precision counts generated features within the real manifold."
)
def swapped(*arguments):
    return precision_recall(*arguments)[::-1]


def _within(points, centres, radii):
    """The share of the points that lie in a ball around one of the centres."""
    return (torch.cdist(points, centres) <= radii).any(dim=1).double().mean().item()


def _radii(centres, k):
    """Each centre's distance to the k-th nearest, itself included."""
    return torch.cdist(centres, centres).kthvalue(k, dim=1).values


@precision_recall.mistake(
    "Your radius reaches to the (k-1)-th other point: the nearest of all is the point itself, at distance 0. Take "
    "the (k+1)-th smallest."
)
def itself_counted(real, fake, k):
    return _within(fake, real, _radii(real, k)), _within(real, fake, _radii(fake, k))


@precision_recall.mistake(
    "You draw the balls around the points that are tested. They belong around the points of the manifold."
)
def radius_of_the_other_set(real, fake, k):
    return (
        (torch.cdist(fake, real) <= _radii(fake, k + 1)[:, None]).any(dim=1).double().mean().item(),
        (torch.cdist(real, fake) <= _radii(real, k + 1)[:, None]).any(dim=1).double().mean().item(),
    )


@precision_recall.mistake("You use one radius for all balls. Each point has its own: small where points lie densely.")
def one_radius_for_all(real, fake, k):
    return _within(fake, real, _radii(real, k + 1).mean()), _within(real, fake, _radii(fake, k + 1).mean())


@precision_recall.mistake("You count the points. A share is needed: divide by their number.")
def counted(real, fake, k):
    return tuple(s * len(x) for s, x in zip(precision_recall(real, fake, k), (fake, real), strict=True))


@precision_recall.mistake(
    "Both numbers are the precision. For recall the generated features make the manifold, and the real ones are tested."
)
def precision_twice(real, fake, k):
    return (precision_recall(real, fake, k)[0],) * 2
