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
        (
            torch.tensor([[0.0, 0.0], [0.3, 0.4], [0.0, 0.8], [1.0, 0.2], [0.6, 0.2], [0.4, 1.0]]).reshape(6, 1, 2, 1),
            torch.tensor([0, 0, 0, 1, 1, 1]),
            torch.tensor([[0.0, 0.1], [0.9, 0.9], [0.6, 0.9], [0.2, 0.6], [1.0, 0.1], [0.5, 0.5]]).reshape(6, 1, 2, 1),
            torch.tensor([0, 1, 0, 1, 0, 1]),
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


@collapse_alarm.mistake("You average squared distances, as a variance does too. Take the distances themselves.")
@_of_each_class
def squared(x, real):
    return torch.pdist(x.flatten(1)).square().mean() / torch.pdist(real.flatten(1)).square().mean()


@collapse_alarm.mistake(
    "You return one number. A single class can collapse while the mean looks fine: one number for each class."
)
def one_number(*arguments):
    return collapse_alarm(*arguments).mean()


@collapse_alarm.mistake(
    "You compare the standard deviations of the pixels. The alarm is made of distances between two whole images: torch.pdist."
)
@_of_each_class
def deviation_of_pixels(x, real):
    return x.flatten(1).std(dim=0).mean() / real.flatten(1).std(dim=0).mean()


@collapse_alarm.mistake(
    "You compare the standard deviation of all numbers, within one image too. The alarm is made of distances between two whole "
    "images: torch.pdist."
)
@_of_each_class
def deviation_of_all_numbers(x, real):
    return x.std() / real.std()


@collapse_alarm.mistake("You add up the distances, so that more images look more varied. Take the mean over the pairs.")
@_of_each_class
def summed(x, real):
    return torch.pdist(x.flatten(1)).sum() / torch.pdist(real.flatten(1)).sum()


@collapse_alarm.mistake("You take the median of the distances. The mean is asked for.")
@_of_each_class
def median(x, real):
    return torch.pdist(x.flatten(1)).median() / torch.pdist(real.flatten(1)).median()


@collapse_alarm.mistake("You take the largest distance. One odd image would hide a collapse: take the mean over all pairs.")
@_of_each_class
def largest_distance(x, real):
    return torch.pdist(x.flatten(1)).max() / torch.pdist(real.flatten(1)).max()


@collapse_alarm.mistake("You take the smallest distance. Two similar images are no collapse: take the mean over all pairs.")
@_of_each_class
def smallest_distance(x, real):
    return torch.pdist(x.flatten(1)).min() / torch.pdist(real.flatten(1)).min()


@collapse_alarm.mistake("You compare each image with the next one only. All pairs count: torch.pdist.")
@_of_each_class
def neighbours_only(x, real):
    return x.diff(dim=0).flatten(1).norm(dim=1).mean() / real.diff(dim=0).flatten(1).norm(dim=1).mean()


@collapse_alarm.mistake(
    "You measure from each image to the class's mean image. What is asked are the distances between two images: torch.pdist."
)
@_of_each_class
def distance_to_the_mean(x, real):
    return (x - x.mean(0)).flatten(1).norm(dim=1).mean() / (real - real.mean(0)).flatten(1).norm(dim=1).mean()


@collapse_alarm.mistake("You divide by the distances among real images of all classes. Divide by those of the same class.")
def real_of_all_classes(x, y, real, real_y):
    return not_relative(x, y, real, real_y) / generation_quality.spread(real)


@collapse_alarm.mistake(
    "You measure generated images of all classes together. Only those of the same class count: labels == k."
)
def generated_of_all_classes(x, y, real, real_y):
    return generation_quality.spread(x) / not_relative(real, real_y, real, real_y)


@collapse_alarm.mistake(
    "You choose the generated images by the labels of the real ones. The generated ones have their own: labels == k."
)
def real_labels_for_all(x, y, real, real_y):
    return collapse_alarm(x, real_y, real, real_y)


@collapse_alarm.mistake(
    "You choose the real images by the labels of the generated ones. They have their own: real_labels == k."
)
def generated_labels_for_all(x, y, real, real_y):
    return collapse_alarm(x, y, real, y)


@collapse_alarm.mistake("You compare rows of pixels. One image is one point, with all its pixels: flatten(1).")
@_of_each_class
def rows_for_images(x, real):
    return torch.pdist(x.flatten(0, 2)).mean() / torch.pdist(real.flatten(0, 2)).mean()


@collapse_alarm.mistake(
    "You add up the differences of the pixels without their squares. The Euclidean distance is asked for: torch.pdist."
)
@_of_each_class
def differences_added(x, real):
    return torch.pdist(x.flatten(1), p=1).mean() / torch.pdist(real.flatten(1), p=1).mean()


@collapse_alarm.mistake("You subtract. A ratio is asked for: generated over real, 1 where both vary alike.")
@_of_each_class
def difference(x, real):
    return generation_quality.spread(x) - generation_quality.spread(real)


@collapse_alarm.mistake("You return 1 minus the ratio. The ratio itself is asked for, so that 0 is a collapse.")
def one_minus(*arguments):
    return 1 - collapse_alarm(*arguments)


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
        (torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 4.0]]), torch.tensor([[1.0, 3.0], [2.0, 1.0], [5.0, 2.0]])),
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


def _root(M):
    values, vectors = torch.linalg.eigh(M)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def _between(A, B):
    """tr(A + B - 2 (A B)^(1/2)) of two symmetric matrices."""
    trace = torch.linalg.eigvalsh(_root(A) @ B @ _root(A)).clamp(min=0).sqrt().sum()
    return A.trace() + B.trace() - 2 * trace


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


@frechet_distance.mistake(
    "You multiply the covariances and then take the root of each element. The root of a matrix M is the R with R R = M; its "
    "trace is the sum of the roots of M's eigenvalues."
)
@_of_parts
def root_of_each_element(m, A, B, r):
    return m + A.trace() + B.trace() - 2 * (A @ B).diag().abs().sqrt().sum()


@frechet_distance.mistake(
    "You take the root of each covariance and multiply these. That is the root of the product only where the two commute: take "
    "the root of the product."
)
@_of_parts
def roots_multiplied(m, A, B, r):
    return m + A.trace() + B.trace() - 2 * (_root(A) @ _root(B)).trace()


@frechet_distance.mistake("You add the root's trace. It is subtracted, like the 2ab in (a - b)^2.")
@_of_parts
def added(m, A, B, r):
    return m + A.trace() + B.trace() + 2 * r


@frechet_distance.mistake("The traces of the two covariances are missing: tr(A + B - 2 root).")
@_of_parts
def traces_missing(m, A, B, r):
    return m - 2 * r


@frechet_distance.mistake("The root's part is missing: without it the distance from features to themselves is not 0.")
@_of_parts
def root_missing(m, A, B, r):
    return m + A.trace() + B.trace()


@frechet_distance.mistake(
    "You average the squared differences of the means. The squared distance is their sum over the features."
)
def mean_over_features(a, b):
    m, A, B, r = _parts(a, b)
    return float(m / a.shape[1] + A.trace() + B.trace() - 2 * r)


@frechet_distance.mistake(
    "Your covariances are those between images: torch.cov takes the variables as rows. The features are the columns: a.T.cov()."
)
def images_for_features(a, b):
    m = _parts(a, b)[0]
    return float(m + _between(a.double().cov(), b.double().cov()))


def _second_moments(a, b, count):
    a, b = a.double(), b.double()
    return float((a.mean(0) - b.mean(0)).square().sum() + _between(a.T @ a / count(a), b.T @ b / count(b)))


@frechet_distance.mistake("You did not subtract the mean before multiplying. A covariance is made of deviations from the mean.")
def not_centred(a, b):
    return _second_moments(a, b, lambda x: len(x) - 1)


@frechet_distance.mistake(
    "You did not subtract the mean before multiplying, and you divide by n. A covariance is made of deviations, over n - 1."
)
def neither_centred_nor_corrected(a, b):
    return _second_moments(a, b, len)


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


@frechet_distance.property("It is 0 from features to themselves, and the same both ways.")
def _no_distance_to_itself(function, generator):
    a, b = _random_features(generator)
    if abs(float(function(a, a))) > 1e-3:
        return say("The distance of a set of features to itself is not 0.")
    if abs(float(function(a, b)) - float(function(b, a))) > 1e-3:
        return say("The distance from a to b is not that from b to a.")


def _random_sets(generator):
    k = 1 + int(torch.randint(3, (1,), generator=generator))
    return torch.randn(12, 2, generator=generator), 0.5 + 0.7 * torch.randn(10, 2, generator=generator), k


@exercise(
    "Precision and recall",
    cases=[
        (torch.tensor([[0.0], [1.0], [3.0], [9.0]]), torch.tensor([[-5.0], [-3.0], [15.0], [18.0], [21.0]]), 1),
        (torch.tensor([[4.0], [5.0], [6.0], [2.0], [12.0]]), torch.tensor([[19.0], [11.0], [9.0], [13.0], [17.0], [18.0]]), 2),
        (
            torch.tensor([[5.0, 0.0], [8.0, 0.0], [2.0, 3.0], [7.0, 0.0], [8.0, 6.0], [6.0, 4.0]]),
            torch.tensor([[0.0, 7.0], [0.0, 7.0], [1.0, 1.0], [0.0, 8.0], [3.0, 8.0]]),
            2,
        ),
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


def _two_sides(share):
    """Turns a share of points within the manifold of centres (points, centres, k) into precision and recall."""

    @functools.wraps(share)
    def sides(real, fake, k):
        return share(fake, real, k), share(real, fake, k)

    return sides


def _share(inside):
    return inside.double().mean().item()


@precision_recall.mistake(
    "Both numbers are the recall. For precision the real features make the manifold, the generated are tested."
)
def recall_twice(real, fake, k):
    return (precision_recall(real, fake, k)[1],) * 2


@precision_recall.mistake(
    "Your radius reaches to the (k+1)-th other point. The point itself counts as one distance, 0, so the k-th other point has "
    "the (k+1)-th smallest."
)
@_two_sides
def one_too_far(points, centres, k):
    return _within(points, centres, _radii(centres, k + 2))


@precision_recall.mistake(
    "A point on the edge of a ball is lost: the radius reaches to the neighbour, which belongs to it: <=."
)
@_two_sides
def edge_left_out(points, centres, k):
    return _share((torch.cdist(points, centres) < _radii(centres, k + 1)).any(dim=1))


@precision_recall.mistake("You ask for points that lie in all balls. The manifold is their union: one ball is enough.")
@_two_sides
def in_all_balls(points, centres, k):
    return _share((torch.cdist(points, centres) <= _radii(centres, k + 1)).all(dim=1))


@precision_recall.mistake("You always take the third neighbour. 3 is only the default: use k.")
@_two_sides
def k_is_always_3(points, centres, k):
    return _within(points, centres, _radii(centres, 4))


@precision_recall.mistake("You always take the nearest neighbour. The radius reaches to the k-th.")
@_two_sides
def k_is_always_1(points, centres, k):
    return _within(points, centres, _radii(centres, 2))


@precision_recall.mistake("Your radius is the mean distance to the k neighbours. It must reach to the k-th of them.")
@_two_sides
def mean_of_k_distances(points, centres, k):
    return _within(points, centres, torch.cdist(centres, centres).sort(dim=1).values[:, 1 : k + 1].mean(dim=1))


@precision_recall.mistake(
    "You look at the ball around the nearest point only. A larger ball further away may hold the point too."
)
@_two_sides
def nearest_ball_only(points, centres, k):
    distance, nearest = torch.cdist(points, centres).min(dim=1)
    return _share(distance <= _radii(centres, k + 1)[nearest])


@precision_recall.mistake("You count every ball that holds a point. Inside is inside: one ball is enough, any(dim=1).")
@_two_sides
def balls_counted(points, centres, k):
    return (torch.cdist(points, centres) <= _radii(centres, k + 1)).double().sum(dim=1).mean().item()


@precision_recall.mistake(
    "That is density: you count the balls that hold a point and divide by k. Here one ball is enough: any(dim=1)."
)
@_two_sides
def density(points, centres, k):
    return (torch.cdist(points, centres) <= _radii(centres, k + 1)).double().sum(dim=1).mean().item() / k


@precision_recall.mistake("You take the share of all pairs of a point and a ball. A point counts once, if any ball holds it.")
@_two_sides
def share_of_pairs(points, centres, k):
    return _share(torch.cdist(points, centres) <= _radii(centres, k + 1))


@precision_recall.mistake("You add up the differences without their squares. The Euclidean distance is asked for: torch.cdist.")
@_two_sides
def differences_added(points, centres, k):
    radii = torch.cdist(centres, centres, p=1).kthvalue(k + 1, dim=1).values
    return _share((torch.cdist(points, centres, p=1) <= radii).any(dim=1))


@precision_recall.mistake("You give all balls the largest radius. Each point has its own: small where points lie densely.")
@_two_sides
def largest_radius_for_all(points, centres, k):
    return _within(points, centres, _radii(centres, k + 1).max())


@precision_recall.mistake(
    "You measure each radius to the points that are tested. It reaches to the k-th nearest point of the manifold's own set."
)
@_two_sides
def radius_to_the_other_set(points, centres, k):
    return _within(points, centres, torch.cdist(centres, points).kthvalue(k, dim=1).values)


@precision_recall.mistake(
    "You count the balls that hold a point. What is asked is the share of the points that lie in a ball: the other dim of any."
)
@_two_sides
def share_of_the_balls(points, centres, k):
    return _share((torch.cdist(points, centres) <= _radii(centres, k + 1)).any(dim=0))


@precision_recall.mistake("Your recall tests real features within their own manifold. The generated ones make that manifold.")
def recall_within_the_real(real, fake, k):
    return precision_recall(real, fake, k)[0], 1.0


@precision_recall.mistake("You return percent. A share lies between 0 and 1.")
@_two_sides
def percent(points, centres, k):
    return 100 * _within(points, centres, _radii(centres, k + 1))


@precision_recall.mistake("You return the shares of the points outside. What is asked is how many lie inside.")
@_two_sides
def outside(points, centres, k):
    return 1 - _within(points, centres, _radii(centres, k + 1))
