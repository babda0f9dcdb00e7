"""Chapter 05: drawing an episode, the interval over episodes."""

import math

import torch
from scipy import stats

from ..languages import later, say
from .declare import exercise


@exercise(
    "Draw an episode",
    idea=(
        "An episode stays honest by three rules: support and queries share no picture, the classes are numbered anew, and "
        "everything is drawn at random. So first draw the classes, then rows of each class, and deal these out to the two "
        "sets."
    ),
    steps=(
        (
            "Draw `way` different classes from labels.unique(); torch.randperm shuffles without repeating. Keep the order of "
            "the draw: in sorted order, label 0 would tell something."
        ),
        (
            "For each drawn class, find the rows of the data set that belong to it and shuffle them. Rows of `labels` are "
            "wanted, not places within the class."
        ),
        (
            "Give the first `shots` of the shuffled rows to the support set and the next `queries` to the queries: so no row "
            "can be in both."
        ),
        (
            "The new labels are 0 to way - 1 by the order of the draw, the same for support and queries. Each is repeated as "
            "often as its class has rows there."
        ),
        (
            "Return four tensors in the order of the docstring. Give the generator to every random draw: the same generator "
            "must give the same episode."
        ),
    ),
)
def draw_episode(labels, way, shots, queries, generator):
    classes = labels.unique()
    chosen = classes[torch.randperm(len(classes), generator=generator)[:way]]
    support, asked = [], []
    for label in chosen:
        rows = (labels == label).nonzero().squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=generator)]
        support.append(rows[:shots])
        asked.append(rows[shots : shots + queries])
    new = torch.arange(way)
    return torch.cat(support), new.repeat_interleave(shots), torch.cat(asked), new.repeat_interleave(queries)


# The rows of an episode are random, so its properties are checked and not the rows themselves.
_LABELS = torch.tensor([4, 9, 4, 7, 9, 2, 7, 4, 2, 9, 7, 2, 4, 9, 2, 7, 4, 2, 5, 5, 5, 5, 9, 7, 5, 4])
_WAY, _SHOTS, _QUERIES = 3, 2, 3


def _draws(function, generator, count=20):
    return [function(_LABELS, _WAY, _SHOTS, _QUERIES, generator) for _ in range(count)]


@draw_episode.property("It returns four tensors of the right sizes.", mistake="wrong_sizes")
def _right_sizes(function, generator):
    [episode] = _draws(function, generator, 1)
    four = isinstance(episode, tuple | list) and len(episode) == 4
    if not four or not all(isinstance(part, torch.Tensor) for part in episode):
        return say("Four tensors are needed: support rows, their labels, query rows, their labels.")
    sizes = [tuple(part.shape) for part in episode]
    needed = [(_WAY * _SHOTS,)] * 2 + [(_WAY * _QUERIES,)] * 2
    if sizes != needed and sorted(sizes) == sorted(needed):
        return "order_exchanged", say(
            "Your four tensors stand in another order. It is: support rows, their labels, query rows, their labels."
        )
    # With too few classes the sizes differ between episodes, as long as some have all of them.
    several = [sizes, *([tuple(part.shape) for part in episode] for episode in _draws(function, generator))]
    fewer = [(_SHOTS * classes, _QUERIES * classes) for classes in range(_WAY)]
    short = [(rows, asked) for (rows, *_), _, (asked, *_), _ in several if (rows, asked) in fewer]
    if short and len({(rows, asked) for (rows, *_), _, (asked, *_), _ in several}) > 1:
        return "too_few_classes", say(
            "An episode has images of only {classes} classes, not of {way}. Not every number up to the largest is a class: "
            "draw from labels.unique(), none twice.",
            classes=short[0][0] // _SHOTS,
            way=_WAY,
        )
    if sizes != needed:
        return say(
            "For {way}-way {shots}-shot with {queries} queries a class the shapes are {needed}; yours are {sizes}.",
            way=_WAY,
            shots=_SHOTS,
            queries=_QUERIES,
            needed=needed,
            sizes=sizes,
        )


_LARGEST = int(_LABELS.bincount().max())
_TWICE = later("Two labels of one episode stand for the same class: draw the classes without replacement.")


def _places_for_rows(draws):
    """Whether all rows could be places within a class, and within each class none stands twice.

    Rows of the data set cannot: an episode has more of them than the largest class.
    """
    rows = torch.stack([torch.cat([support, asked]) for support, _, asked, _ in draws])
    news = torch.stack([torch.cat([known, wanted]) for _, known, _, wanted in draws])
    if rows.min() < 0 or rows.max() >= _LARGEST:
        return False
    return all(len(set(zip(row, new, strict=True))) == len(row) for row, new in zip(rows.tolist(), news.tolist(), strict=True))


def _same_class_twice(rows, news):
    """Whether each label of the episode stands for one class, and two of them for the same."""
    if rows.min() < 0 or rows.max() >= len(_LABELS):
        return False
    pairs = set(zip(news.tolist(), _LABELS[rows.long()].tolist(), strict=True))
    new, old = zip(*pairs, strict=True)
    return len(set(new)) == len(pairs) > len(set(old))


@draw_episode.property("No image is drawn twice; support and queries share none.", mistake="support_among_queries")
def _nothing_shared(function, generator):
    draws = _draws(function, generator)
    if _places_for_rows(draws):
        return "places_in_the_class", say(
            "Your rows are all below {count}, the size of the largest class: they look like places within a class. Look up "
            "which rows of `labels` these are: (labels == c).nonzero() lists a class's rows.",
            count=_LARGEST,
        )
    for support, known, asked, wanted in draws:
        if _same_class_twice(torch.cat([support, asked]), torch.cat([known, wanted])):
            return "classes_with_replacement", say(_TWICE)
        if shared := set(support.tolist()) & set(asked.tolist()):
            return say(
                "Rows {rows} are in the support set and among the queries: the answer is given away.",
                rows=sorted(shared),
            )
        if len({*support.tolist(), *asked.tolist()}) < len(support) + len(asked):
            return "row_drawn_twice", say("A row is drawn twice in one episode. Draw without replacement (torch.randperm).")


@draw_episode.property("The labels are 0 to way - 1.", mistake="labels_not_renumbered")
def _numbered_anew(function, generator):
    for _, known, _, wanted in _draws(function, generator):
        for part in (known, wanted):
            if sorted(set(part.tolist())) != list(range(_WAY)):
                return say(
                    "The labels of an episode are 0 to {last}, yours are {yours}. Renumber the chosen classes: a model "
                    "must not recognise a class from an earlier episode by its number.",
                    last=_WAY - 1,
                    yours=sorted(set(part.tolist())),
                )


@draw_episode.property("Every label stands for one class, in support and queries alike.", mistake="labels_do_not_fit")
def _labels_fit(function, generator):
    for support, known, asked, wanted in _draws(function, generator):
        old = {}
        for row, new in zip(torch.cat([support, asked]).tolist(), torch.cat([known, wanted]).tolist(), strict=True):
            old.setdefault(new, set()).add(_LABELS[row].item())
        if any(len(classes) > 1 for classes in old.values()):
            return say(
                "One label of the episode stands for several classes: {old}. Support and queries need the same numbering.",
                old=old,
            )
        if len(set.union(*old.values())) < _WAY:
            return "classes_with_replacement", say(_TWICE)


@draw_episode.property("Every class has its share.", mistake="unbalanced")
def _balanced(function, generator):
    for _, known, _, wanted in _draws(function, generator):
        counts = (torch.bincount(known, minlength=_WAY).tolist(), torch.bincount(wanted, minlength=_WAY).tolist())
        if counts != ([_SHOTS] * _WAY, [_QUERIES] * _WAY):
            return say(
                "Every class needs {shots} support images and {queries} queries; yours have {support} and {asked}.",
                shots=_SHOTS,
                queries=_QUERIES,
                support=counts[0],
                asked=counts[1],
            )


@draw_episode.property("Classes and images differ between episodes.", mistake="always_the_same")
def _varied(function, generator):
    draws = _draws(function, generator)
    classes = {tuple(_LABELS[support].unique().tolist()) for support, *_ in draws}
    if len(classes) == 1:
        return say("Twenty episodes all have the classes {classes}. Draw the classes at random.", classes=list(*classes))
    drawn = {(_LABELS[row].item(), row) for support, *_ in draws for row in support.tolist()}
    if max(sum(label == chosen for label, _ in drawn) for chosen in _LABELS.tolist()) <= _SHOTS:
        return say("A class always has the same support images. Draw its images at random too.")


@draw_episode.property("All classes are drawn equally often, and any of them gets any label.", mistake="uneven_classes")
def _classes_are_equal(function, generator):
    # A frequent class beside three rare ones. In 200 episodes of two classes each is drawn about 100 times (deviation 7).
    labels = torch.cat([torch.full((60,), 7), torch.arange(3).repeat_interleave(3)])
    times, first = dict.fromkeys([0, 1, 2, 7], 0), 0
    for _ in range(200):
        support, known, *_ = function(labels, 2, 1, 1, generator)
        chosen = labels[support[known.argsort()].long()].tolist()
        first += chosen[0] < chosen[1]
        for label in chosen:
            times[label] += 1
    if max(times.values()) > 145 or min(times.values()) < 55:
        return say(
            "Of 200 episodes the classes are in {times}: draw classes, not images, so that a frequent one counts as one.",
            times=times,
        )
    if not 50 < first < 150:
        return "labels_in_class_order", say(
            "The chosen classes stand in the order of their numbers, so label 0 tells something. Keep the order of the draw."
        )


@draw_episode.property("torch's global generator stays as it was.", mistake="global_generator")
def _keeps_the_global_generator(function, generator):
    before = torch.get_rng_state()
    _draws(function, generator, 1)
    if not torch.equal(torch.get_rng_state(), before):
        return say("Your function moves torch's global generator: pass `generator=generator` to every draw.")


@draw_episode.property("The same generator gives the same episode.", mistake="generator_not_used")
def _repeats(function, generator):
    one, other = (_draws(function, torch.Generator().manual_seed(5), 3) for _ in range(2))
    if not all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True)):
        return say("The same generator gives another episode each time: pass `generator=generator` to every draw.")


@exercise(
    "The interval over episodes",
    cases=[(torch.tensor([0.5, 0.7, 0.9, 0.6]),), (torch.tensor([0.4, 0.8, 0.6, 0.9, 0.7]),)],
    fresh=lambda generator: (torch.rand(8, generator=generator),),
    idea=(
        "An episode's accuracy depends on which classes and pictures it drew, and the spread of the accuracies shows by how "
        "much. The mean over episodes varies less than a single one, by a factor of the square root of their number."
    ),
    steps=(
        "The first number is the mean of all accuracies.",
        (
            "Measure their spread by the standard deviation that divides by n - 1, as std in torch does. NumPy's divides by n "
            "and comes out too small."
        ),
        (
            "Divide it by the square root of the number of episodes. That is the standard error of the mean; the n - 1 is in "
            "the deviation already."
        ),
        (
            "The second number is 1.96 standard errors: half the width of the interval, neither its whole width nor an end. "
            "Return plain numbers."
        ),
    ),
)
def episode_interval(accuracies):
    mean = accuracies.mean()
    return mean.item(), (1.96 * accuracies.std() / math.sqrt(len(accuracies))).item()


@episode_interval.mistake(
    "That is how far single episodes spread. The mean of n episodes varies less: divide by the square root of n."
)
def not_divided_by_root_n(a):
    return a.mean().item(), (1.96 * a.std()).item()


@episode_interval.mistake("Divide by the square root of n, not by n.")
def divided_by_n(a):
    return a.mean().item(), (1.96 * a.std() / len(a)).item()


@episode_interval.mistake("That is the variance. Use the standard deviation, its square root.")
def variance(a):
    return a.mean().item(), (1.96 * a.var() / math.sqrt(len(a))).item()


@episode_interval.mistake(
    "p (1 - p) / n is for coin flips. An episode gives a share; measure how much it varies: accuracies.std()."
)
def coin_flips(a):
    return a.mean().item(), (1.96 * (a.mean() * (1 - a.mean()) / len(a)).sqrt()).item()


@episode_interval.mistake("That is one standard error, which holds the mean in 68 % of cases. 95 % take 1.96 of them.")
def standard_error_only(a):
    return a.mean().item(), (a.std() / math.sqrt(len(a))).item()


def _interval_with(accuracies, factor=1.96, unbiased=True, root=None):
    """`episode_interval` with one step changed."""
    root = math.sqrt(len(accuracies)) if root is None else root
    return accuracies.mean().item(), (factor * accuracies.std(unbiased=unbiased) / root).item()


@episode_interval.mistake(
    "Your standard deviation divides by n, as NumPy's does: too small for a sample. Divide by n - 1, as accuracies.std() does."
)
def population_deviation(a):
    return _interval_with(a, unbiased=False)


@episode_interval.mistake("You divide by the root of n - 1. The standard deviation has its n - 1 already: take the root of n.")
def root_of_n_minus_1(a):
    return _interval_with(a, root=math.sqrt(len(a) - 1))


@episode_interval.mistake("That is the whole width of the interval. Return the half width, as in mean ± half width.")
def whole_width(a):
    return _interval_with(a, factor=2 * 1.96)


@episode_interval.mistake("Those are the two ends of the interval. Return its mean and its half width.")
def ends_of_the_interval(a):
    mean, half = episode_interval(a)
    return mean - half, mean + half


@episode_interval.mistake("Those are the half width and the mean: return the mean first.")
def order_exchanged(a):
    return episode_interval(a)[::-1]


@episode_interval.mistake("Those are percent. The accuracies are shares, and so are their mean and half width.")
def percent(a):
    mean, half = episode_interval(a)
    return 100 * mean, 100 * half


@episode_interval.mistake("You take two standard errors, about the right number. The exact one is 1.96.")
def two_standard_errors(a):
    return _interval_with(a, factor=2.0)


@episode_interval.mistake("1.645 standard errors hold the mean in 90 % of cases. 95 % take 1.96 of them.")
def factor_of_90_percent(a):
    return _interval_with(a, factor=1.645)


@episode_interval.mistake(
    "That is Student's interval, better for few values. Of many episodes the papers give 1.96 standard errors."
)
def students_t(a):
    return _interval_with(a, factor=stats.t.ppf(0.975, len(a) - 1))


@episode_interval.mistake("That is the median, the episode in the middle. The interval is around the mean.")
def median_for_mean(a):
    return a.median().item(), episode_interval(a)[1]
