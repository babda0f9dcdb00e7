"""Chapter 14: the labels of a made-up table, attention to the support set, class permutations, a bursty context."""

import math

import torch

from ..languages import say
from ..methods import bursty, made_up_tables
from .declare import exercise

# Exercise 1: the prior


def _random_network(generator):
    columns = torch.randn(7, 3, generator=generator)
    first, second = torch.randn(3, 4, generator=generator), torch.randn(4, 3, generator=generator)
    return columns, first, second, torch.tensor([0.0, 0.6, -0.4])


_GENERATOR = torch.Generator().manual_seed(14)
_LARGE = tuple(torch.randn(*shape, generator=_GENERATOR) for shape in ((24, 4), (4, 6), (6, 4)))
_SMALL = tuple(torch.randn(*shape, generator=_GENERATOR) for shape in ((9, 2), (2, 3), (3, 3)))


@exercise(
    "The labels of a made-up table",
    cases=[
        (torch.tensor([[1.0], [2.0], [-1.0]]), torch.tensor([[1.0]]), torch.tensor([[1.0, -1.0]]), torch.zeros(2)),
        (*_SMALL, torch.zeros(3)),
        (*_LARGE, torch.tensor([0.5, 0.0, -0.5, -math.inf])),  # the table has three classes
        (_LARGE[0], 3 * _LARGE[1], 5 * _LARGE[2] + 2, torch.tensor([1.0, 0.3, -0.3, 0.0])),
    ],
    fresh=_random_network,
    idea=(
        "A random network of two layers gives every row a score for each class, and the largest wins. Nobody "
        "labelled anything, "
        "yet the labels depend on the columns by one fixed rule: something that can be learned."
    ),
    steps=(
        "Hidden units: the columns times the first weights, then the tanh. Scores: hidden units times the second weights.",
        (
            "Standardise every class's scores over the rows (dim 0): subtract their mean, divide by their standard deviation. "
            "Else the class with the largest mean gets nearly all rows."
        ),
        "Add the offsets after that, and take the argmax over the classes (dim 1).",
    ),
)
def table_labels(columns, first, second, offsets):
    return made_up_tables.table_labels(columns, first, second, offsets)


def _labels_with(columns, first, second, offsets, *, activation=torch.tanh, dim=0, factor=1.0, choose=torch.argmax, over=1):
    """`table_labels` with one step changed."""
    scores = activation(columns @ first) @ second
    scores = (scores - scores.mean(dim=dim, keepdim=True)) / scores.std(dim=dim, keepdim=True)
    return choose(scores + factor * offsets.nan_to_num(neginf=-1e9) if factor != 1 else scores + offsets, dim=over)


@table_labels.mistake("Your network has no tanh, so its two layers are one and all borders between classes straight.")
def without_tanh(*arguments):
    return _labels_with(*arguments, activation=lambda values: values)


@table_labels.mistake("You take a ReLU for the tanh.")
def relu_(*arguments):
    return _labels_with(*arguments, activation=torch.relu)


@table_labels.mistake("You take the sigmoid for the tanh.")
def sigmoid_(*arguments):
    return _labels_with(*arguments, activation=torch.sigmoid)


@table_labels.mistake(
    "You do not standardise the scores. Subtract each class's mean over the rows and divide by its deviation, "
    "before the offsets."
)
def not_standardised(columns, first, second, offsets):
    return (torch.tanh(columns @ first) @ second + offsets).argmax(dim=1)


@table_labels.mistake("You only centre the scores. Divide by each class's standard deviation over the rows, too.")
def only_centred(columns, first, second, offsets):
    scores = torch.tanh(columns @ first) @ second
    return (scores - scores.mean(dim=0) + offsets).argmax(dim=1)


@table_labels.mistake("You divide by the deviation, but the mean over the rows stays in the scores. Subtract it first.")
def only_scaled(columns, first, second, offsets):
    scores = torch.tanh(columns @ first) @ second
    return (scores / scores.std(dim=0) + offsets).argmax(dim=1)


@table_labels.mistake("You standardise each row's scores over the classes. It is each class's over the rows: dim 0.")
def over_classes(*arguments):
    return _labels_with(*arguments, dim=1)


@table_labels.mistake(
    "Your offsets have no effect: you leave them out, or add them before you standardise, which removes them. Add them last."
)
def without_offsets(columns, first, second, offsets):
    return _labels_with(columns, first, second, torch.zeros_like(offsets))


@table_labels.mistake("That is the class with the smallest score. The largest one wins.")
def smallest(*arguments):
    return _labels_with(*arguments, choose=torch.argmin)


@table_labels.mistake(
    "You standardise all scores together. Every class has a mean and a spread of its own, over the rows: dim 0."
)
def standardised_together(columns, first, second, offsets):
    scores = torch.tanh(columns @ first) @ second
    return ((scores - scores.mean()) / scores.std() + offsets).argmax(1)


@table_labels.property("A class with the offset -inf does not exist.")
def _absent_classes(function, generator):
    columns, first, second, _ = _random_network(generator)
    labels = function(columns.double(), first.double(), second.double(), torch.tensor([0.0, -math.inf, 0.0]).double())
    if (labels == 1).any():
        return say("A row has class 1, whose offset is -inf: add the offsets to the scores last.")


@table_labels.property("Rows in another order have the same labels.")
def _order_of_rows(function, generator):
    columns, *network = (part.double() for part in _random_network(generator))
    order = torch.randperm(len(columns), generator=generator)
    if not torch.equal(function(columns[order], *network), function(columns, *network)[order]):
        return say("Shuffle the rows, and yours have other labels. A row's label depends on its own columns and on the set.")


# Exercise 2: masked attention


def _random_rows(generator):
    queries, keys, values = torch.randn(3, 5, 4, generator=generator)
    return queries, keys, values, 3


_ROWS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0], [0.5, 0.5]])


@exercise(
    "Attention to the support set",
    cases=[
        (_ROWS[:3], _ROWS[:3], torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]]), 2),
        (_ROWS, _ROWS.flip(0), _ROWS + 1, 1),
        (2 * _ROWS, _ROWS, _ROWS.flip(0), 4),  # no queries
        (torch.randn(2, 3, 6, 4, generator=_GENERATOR), *torch.randn(2, 2, 3, 6, 4, generator=_GENERATOR), 4),
    ],
    fresh=_random_rows,
    gradient=("queries", "keys", "values"),
    idea=(
        "Every row asks, but only the support rows answer: keys and values are those of the first rows. So a query sees the "
        "labelled rows and no other query, and its answer does not depend on which queries come with it."
    ),
    steps=(
        "Keep the first `support` rows of keys and values. The dots stand for tables and heads: index with [..., :support, :].",
        "Scores are queries times keys transposed (the last two dimensions), divided by the root of D.",
        "The softmax runs over the support rows, the last dimension; then multiply by their values.",
    ),
)
def support_attention(queries, keys, values, support):
    return made_up_tables.support_attention(queries, keys, values, support)


def _attention_with(queries, keys, values, scale=None, dim=-1):
    """Attention of all rows to all of `keys`, with one step changed."""
    scores = queries @ keys.transpose(-2, -1) / (keys.shape[-1] ** 0.5 if scale is None else scale)
    return scores.softmax(dim=dim) @ values


def _support_of(keys, values, support):
    return keys[..., :support, :], values[..., :support, :]


@support_attention.mistake(
    "Your rows attend to all rows, so a query sees other queries. Keep the first `support` keys and values."
)
def sees_all(queries, keys, values, support):
    return _attention_with(queries, keys, values)


@support_attention.mistake(
    "Your mask is the causal one of a language model: a row sees those before it. Here all rows see the whole support set."
)
def causal(queries, keys, values, support):
    scores = queries @ keys.transpose(-2, -1) / keys.shape[-1] ** 0.5
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -math.inf).softmax(dim=-1) @ values


@support_attention.mistake(
    "You set the hidden scores to 0, which still gets weight in the softmax. Leave those keys out, or use -inf."
)
def masked_by_zero(queries, keys, values, support):
    scores = queries @ keys.transpose(-2, -1) / keys.shape[-1] ** 0.5
    return torch.cat([scores[..., :support], 0 * scores[..., support:]], dim=-1).softmax(dim=-1) @ values


@support_attention.mistake("You mask after the softmax, so that the weights of a row no longer sum to 1. Mask the scores.")
def masked_after_the_softmax(queries, keys, values, support):
    weights = (queries @ keys.transpose(-2, -1) / keys.shape[-1] ** 0.5).softmax(dim=-1)
    return weights[..., :support] @ values[..., :support, :]


@support_attention.mistake("You do not scale. Divide the scores by the root of D.")
def unscaled(queries, keys, values, support):
    return _attention_with(queries, *_support_of(keys, values, support), scale=1.0)


@support_attention.mistake("You divide by D. It is its square root.")
def scaled_by_d(queries, keys, values, support):
    return _attention_with(queries, *_support_of(keys, values, support), scale=keys.shape[-1])


@support_attention.mistake("You divide by the root of the number of support rows. It is the root of D, the length of a key.")
def scaled_by_rows(queries, keys, values, support):
    return _attention_with(queries, *_support_of(keys, values, support), scale=support**0.5)


@support_attention.mistake(
    "Your softmax runs over the rows that ask. Over the support rows, the last dimension, the weights sum to 1."
)
def softmax_over_rows(queries, keys, values, support):
    return _attention_with(queries, *_support_of(keys, values, support), dim=-2)


@support_attention.mistake("There is no softmax: the weights of a row must be positive and sum to 1.")
def without_softmax(queries, keys, values, support):
    keys, values = _support_of(keys, values, support)
    return queries @ keys.transpose(-2, -1) / keys.shape[-1] ** 0.5 @ values


@support_attention.mistake("You give back the queries alone. Support rows attend to the support set too: return all rows.")
def queries_alone(queries, keys, values, support):
    return support_attention(queries, keys, values, support)[..., support:, :]


@support_attention.mistake("Keys and values are exchanged: compare with the keys, add up the values.")
def exchanged(queries, keys, values, support):
    return support_attention(queries, values, keys, support)


@support_attention.mistake(
    "You cut the support set out of the first dimension, the tables. Rows are the last dimension but one: [..., :support, :]."
)
def cut_from_the_tables(queries, keys, values, support):
    return support_attention(queries, keys[:support], values[:support], keys.shape[-2])


@support_attention.mistake("You take the last rows for the support set. It stands first: [..., :support, :].")
def last_rows(queries, keys, values, support):
    return support_attention(queries, keys[..., -support:, :], values[..., -support:, :], support)


@support_attention.property("A query's answer does not depend on the other queries.", mistake="sees_all")
def _queries_are_alone(function, generator):
    queries, keys, values, support = _random_rows(generator)
    queries, keys, values = queries.double(), keys.double(), values.double()
    before = function(queries, keys, values, support)
    keys, values = keys.clone(), values.clone()
    keys[support + 1], values[support + 1] = 3.0, -7.0
    if not torch.allclose(function(queries, keys, values, support)[support], before[support], atol=1e-6):
        return say("Another last query changes the answer about the first one: they must not see one another.")


@support_attention.property("Support rows in another order give the same answers.")
def _order_of_the_support(function, generator):
    queries, keys, values = torch.randn(3, 6, 4, generator=generator).double()
    order = torch.cat([torch.randperm(4, generator=generator), torch.tensor([4, 5])])
    before, after = function(queries, keys, values, 4), function(queries, keys[order], values[order], 4)
    if not torch.allclose(before[4:], after[4:], atol=1e-6):
        return say("Shuffle the support rows, and yours answers differently.")


# Exercise 3: class permutations


def _random_members(generator):
    probabilities = torch.rand(3, 4, 4, generator=generator)
    permutations = torch.stack([torch.tensor([1, 2, 3, 0]), torch.randperm(4, generator=generator), torch.tensor([2, 0, 1, 3])])
    return probabilities / probabilities.sum(dim=2, keepdim=True), permutations


@exercise(
    "The mean over class permutations",
    cases=[
        (torch.tensor([[[0.7, 0.2, 0.1]]]), torch.tensor([[0, 1, 2]])),
        (torch.tensor([[[0.7, 0.2, 0.1]]]), torch.tensor([[1, 2, 0]])),
        (
            torch.tensor([[[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], [[0.6, 0.3, 0.1], [0.2, 0.1, 0.7]]]),
            torch.tensor([[2, 0, 1], [1, 2, 0]]),
        ),
    ],
    fresh=_random_members,
    idea=(
        "A class's number means nothing, but the network's label embeddings are not alike, so its answer "
        "depends on the numbers "
        "a little. Tell every member the classes under other numbers, put its answer back into the table's, and take the mean."
    ),
    steps=(
        "For one member, the probability of class c stands in the column permutations[m, c]: indexing does all "
        "classes at once.",
        "Do so for every member; torch.gather along dim 2 or a loop over the members.",
        "Take the mean over the members, dim 0: (queries, classes).",
    ),
)
def mean_over_permutations(probabilities, permutations):
    return made_up_tables.mean_over_permutations(probabilities, permutations)


def _put_back(probabilities, permutations):
    return torch.stack([p[:, order] for p, order in zip(probabilities, permutations, strict=True)])


@mean_over_permutations.mistake(
    "You take the mean of answers in different numbers. Put each member's columns back first: class c is its "
    "permutations[m, c]."
)
def not_put_back(probabilities, permutations):
    return probabilities.mean(dim=0)


@mean_over_permutations.mistake(
    "You put the columns back the wrong way. Class c of the table is column permutations[m, c] of the member; "
    "you use the inverse."
)
def inverse(probabilities, permutations):
    return _put_back(probabilities, permutations.argsort(dim=1)).mean(dim=0)


@mean_over_permutations.mistake("You use the first member's permutation for all. Each member has its own.")
def first_permutation(probabilities, permutations):
    return probabilities[:, :, permutations[0]].mean(dim=0)


@mean_over_permutations.mistake("You return one member's answer. Take the mean of all.")
def first_member(probabilities, permutations):
    return _put_back(probabilities, permutations)[0]


@mean_over_permutations.mistake("That is the sum over the members. Divide by their number.")
def sum_(probabilities, permutations):
    return _put_back(probabilities, permutations).sum(dim=0)


@mean_over_permutations.mistake("You take the mean over the queries. It is the one over the members, dim 0.")
def over_queries(probabilities, permutations):
    return _put_back(probabilities, permutations).mean(dim=1)


@mean_over_permutations.mistake("You return every member's answer. Take their mean over dim 0.")
def all_members(probabilities, permutations):
    return _put_back(probabilities, permutations)


@mean_over_permutations.mistake("That is the class of the largest mean. Return the mean probabilities themselves.")
def classes_(probabilities, permutations):
    return mean_over_permutations(probabilities, permutations).argmax(dim=1)


@mean_over_permutations.mistake(
    "You take the median of the answers. Return their mean: only then do the probabilities still sum to 1."
)
def median_of_answers(probabilities, permutations):
    return probabilities.gather(2, permutations[:, None, :].expand_as(probabilities)).median(0).values


@mean_over_permutations.mistake(
    "You divide by the number of classes. A mean over permutations divides by how many of them there are."
)
def divided_by_classes(probabilities, permutations):
    return probabilities.gather(2, permutations[:, None, :].expand_as(probabilities)).sum(0) / probabilities.shape[2]


@mean_over_permutations.property("Members that agree in the table's numbers agree in the mean.")
def _agreement(function, generator):
    own = torch.rand(3, 5, generator=generator).double()
    permutations = torch.stack([torch.randperm(5, generator=generator) for _ in range(4)])
    told = torch.stack([own[:, order.argsort()] for order in permutations])
    if not torch.allclose(function(told, permutations), own, atol=1e-6):
        return say("Four members say the same, each in its own numbers, and your mean says something else.")


@mean_over_permutations.property("Every query's probabilities sum to 1.")
def _sum_to_one(function, generator):
    if not torch.allclose(function(*_random_members(generator)).double().sum(dim=1), torch.ones(4).double(), atol=1e-4):
        return say("The probabilities of a query do not sum to 1.")


# Exercise 4: a bursty context


@exercise(
    "A bursty context",
    idea=(
        "In a bursty sequence few letters come, and each comes back. So the query's label stands in the context, and whoever "
        "looks it up there is right, whatever the letter."
    ),
    steps=(
        "Draw pairs / copies different letters: the first ones of torch.randperm(letters).",
        "Repeat them `copies` times and shuffle, with another torch.randperm.",
        "The query is a random element of the context. Give the generator to every draw.",
    ),
)
def bursty_context(letters, pairs, copies, generator):
    return bursty.bursty_context(letters, pairs, copies, generator)


_LETTERS, _PAIRS, _COPIES = 9, 6, 2


def _contexts(function, generator, count=30):
    return [function(_LETTERS, _PAIRS, _COPIES, generator) for _ in range(count)]


@bursty_context.property("It returns a context of `pairs` letters and one query.", mistake="wrong_sizes")
def _right_sizes(function, generator):
    [drawn] = _contexts(function, generator, 1)
    if not isinstance(drawn, tuple | list) or len(drawn) != 2 or not isinstance(drawn[0], torch.Tensor):
        return say("Two results are needed: the context, a tensor, and the query.")
    sizes = tuple(drawn[0].shape), torch.as_tensor(drawn[1]).numel()
    if sizes != ((_PAIRS,), 1):
        return say(
            "For {pairs} pairs the context has the shape {shape}, and there are {n} queries.",
            pairs=_PAIRS,
            shape=sizes[0],
            n=sizes[1],
        )


@bursty_context.property("Every letter of the context stands there `copies` times.", mistake="not_bursty")
def _copies(function, generator):
    for context, _ in _contexts(function, generator):
        times = sorted(context.unique(return_counts=True)[1].tolist())
        if times != [_COPIES] * (_PAIRS // _COPIES):
            if all(many % _COPIES == 0 for many in times):
                return "with_replacement", say(
                    "A letter was drawn twice: draw the letters without replacement (torch.randperm)."
                )
            return say(
                "With copies = {copies}, the letters of a context stand there {times} times.", copies=_COPIES, times=times
            )


@bursty_context.property("The query is one of the context's letters.", mistake="query_elsewhere")
def _query_inside(function, generator):
    for context, query in _contexts(function, generator):
        if int(query) not in context.tolist():
            if int(query) < _PAIRS and all(int(q) < _PAIRS for _, q in _contexts(function, generator)):
                return "place_for_letter", say("Your query is a place in the context. Return the letter that stands there.")
            return say("The query {query} does not stand in the context {context}.", query=int(query), context=context.tolist())


@bursty_context.property("All letters are drawn, each equally often.", mistake="uneven_letters")
def _all_letters(function, generator):
    times = torch.zeros(_LETTERS)
    for context, _ in _contexts(function, generator, 180):
        if context.min() < 0 or context.max() >= _LETTERS:
            return say(
                "Letters are numbers from 0 to {last}; yours has {letters}.", last=_LETTERS - 1, letters=context.tolist()
            )
        times += context.bincount(minlength=_LETTERS)
    # 120 on average, with a deviation of about 13.
    if times.min() < 60 or times.max() > 180:
        return say("In 180 contexts the letters stand {times} times: draw all of them alike.", times=times.long().tolist())


@bursty_context.property("The order is random.", mistake="in_blocks")
def _random_order(function, generator):
    drawn = _contexts(function, generator)
    if all(torch.equal(context, context[: _PAIRS // _COPIES].repeat(_COPIES)) for context, _ in drawn):
        return "repeated_in_order", say("The second half of your contexts repeats the first: shuffle after repeating.")
    if all(torch.equal(context, context[::_COPIES].repeat_interleave(_COPIES)) for context, _ in drawn):
        return say("Equal letters always stand side by side: shuffle after repeating.")
    if all(torch.equal(context, context.sort().values) for context, _ in drawn):
        return "sorted_letters", say("Your contexts are sorted by the letters' numbers: shuffle them.")


@bursty_context.property("The query may be any of the context's letters.", mistake="fixed_query")
def _random_query(function, generator):
    drawn = _contexts(function, generator)
    for place in range(_PAIRS):
        if all(int(query) == int(context[place]) for context, query in drawn):
            return say("The query is always the letter in place {place}: draw it at random.", place=place)
    # A right answer does so in one of 10^20 checks.
    if all((context[: _PAIRS // 2] == int(query)).any() for context, query in _contexts(function, generator, 180)):
        return say("The query always stands in the first half of the context: draw its place among all.")


@bursty_context.property("torch's global generator stays as it was.", mistake="global_generator")
def _keeps_the_global_generator(function, generator):
    before = torch.get_rng_state()
    _contexts(function, generator, 1)
    if not torch.equal(torch.get_rng_state(), before):
        return say("Your function moves torch's global generator: pass `generator=generator` to every draw.")


@bursty_context.property("The same generator gives the same context.", mistake="generator_not_used")
def _repeats(function, generator):
    one, other = (_contexts(function, torch.Generator().manual_seed(5), 3) for _ in range(2))
    if not all(torch.equal(a, b) and int(q) == int(r) for (a, q), (b, r) in zip(one, other, strict=True)):
        return say("The same generator gives another context each time: pass `generator=generator` to every draw.")
