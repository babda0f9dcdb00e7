"""Chapter 05: drawing an episode, the interval over episodes."""

import math

import torch

from ..languages import say
from .declare import exercise


@exercise("Draw an episode")
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
    if sizes != needed:
        return say(
            "For {way}-way {shots}-shot with {queries} queries a class the shapes are {needed}; yours are {sizes}.",
            way=_WAY,
            shots=_SHOTS,
            queries=_QUERIES,
            needed=needed,
            sizes=sizes,
        )


@draw_episode.property("No image is drawn twice; support and queries share none.", mistake="support_among_queries")
def _nothing_shared(function, generator):
    for support, _, asked, _ in _draws(function, generator):
        if shared := set(support.tolist()) & set(asked.tolist()):
            return say(
                "Rows {rows} are in the support set and among the queries: the answer is given away.",
                rows=sorted(shared),
            )
        if len({*support.tolist(), *asked.tolist()}) < len(support) + len(asked):
            return say("A row is drawn twice in one episode. Draw without replacement (torch.randperm).")


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
            return say("Two labels of one episode stand for the same class: draw the classes without replacement.")


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
        return say(
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
    cases=[(torch.tensor([0.4, 0.8]),), (torch.tensor([0.5, 0.7, 0.9, 0.6]),)],
    fresh=lambda generator: (torch.rand(8, generator=generator),),
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
