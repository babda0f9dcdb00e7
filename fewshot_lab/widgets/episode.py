"""Chapter 05's explorer: choose an episode, an encoder and a distance, and see every query with its prediction."""

import functools
from collections.abc import Callable

import torch
from markupsafe import Markup
from torch import Tensor

from ..data.episodes import Pool, draw_episodes
from ..figures import charts, svg
from ..html import table
from ..languages import later, say
from ..methods.prototypes import prototype_rule
from .explorer import Explorer, choice, slider

Embedding = Callable[[Tensor], Tensor]
SHOWN = 3  # queries of a class


def _euclidean(support: Tensor, queries: Tensor) -> Tensor:
    return (-prototype_rule(support, queries)).clamp_min(0).sqrt()


def _cosine(support: Tensor, queries: Tensor) -> Tensor:
    c, f = (torch.nn.functional.normalize(part, dim=-1) for part in (support.mean(2), queries))
    return 1 - f @ c.transpose(1, 2)


DISTANCES = {later("Euclidean"): _euclidean, later("cosine"): _cosine}


class EpisodeExplorer(Explorer):
    """Support set, queries, predictions and distances of one episode.

    pools: data sets by name. embeddings: by name, functions from images uint8 (n, 1, H, W) to features (n, D), such as
    `functools.partial(outputs, encoder)`.
    """

    def __init__(
        self, pools: dict[str, Pool], embeddings: dict[str, Embedding], *, way: int = 5, shots: int = 1, **start
    ) -> None:
        self.pools, self.embeddings = pools, embeddings
        self._features = functools.lru_cache(maxsize=64)(self._compute)
        super().__init__(
            start,
            dataset=choice("data set", list(pools), help="Where the images come from"),
            method=choice("features", list(embeddings), list(embeddings)[-1], help="What the distance is measured between"),
            distance=choice("distance", list(DISTANCES), help="How far a query is from the mean of a class"),
            way=slider("N (way)", way, 2, 10, 1, help="How many classes", whole=True),
            shots=slider("K (shots)", shots, 1, 5, 1, help="How many labelled images of each class", whole=True),
            seed=slider("episode", 0, 0, 99, 1, help="Another number, another episode", whole=True),
        )

    def _episode(self):
        pool = self.pools[self["dataset"]]
        chosen = draw_episodes(pool, 1, way=self["way"], shots=self["shots"], queries=SHOWN, seed=self["seed"])
        return pool, chosen.support[0], chosen.queries[0], chosen.classes[0].tolist()

    def _compute(self, dataset: str, method: str, way: int, shots: int, seed: int) -> tuple[Tensor, Tensor]:
        pool, support, queries, _ = self._episode()
        features = self.embeddings[method](pool.images[torch.cat([support, queries], 1).flatten()])
        features = features.unflatten(0, (1, way, shots + SHOWN))
        return features[:, :, :shots], features[:, :, shots:].flatten(1, 2)

    def _distances(self) -> Tensor:
        """The distance of every query to every class: (way, SHOWN, way)."""
        support, queries = self._features(*(self[name] for name in ("dataset", "method", "way", "shots", "seed")))
        return DISTANCES[self["distance"]](support, queries)[0].unflatten(0, (-1, SHOWN))

    def page(self) -> Markup:
        pool, support, queries, classes = self._episode()
        distances = self._distances()
        nearest = distances.argmin(2)
        right = (nearest == torch.arange(self["way"])[:, None]).float().mean().item()
        rows = []
        for k, label in enumerate(classes):
            known = Markup("").join(
                svg.panel(
                    pool.images[row],
                    side=56,
                    label=say("Labelled {label}", label=pool.classes[label]),
                    title=pool.classes[label],
                )
                for row in support[k]
            )
            asked = Markup("").join(self._query(pool, row, distances[k, q], k, classes) for q, row in enumerate(queries[k]))
            rows.append((known, asked))
        heads = (say("support set"), say("queries: read as, distance"))
        summary = say("{share:.0%} of the queries are classified correctly.", share=right)
        return Markup("<p>{}</p>").format(summary) + table(heads, rows)

    def _query(self, pool: Pool, row: Tensor, distances: Tensor, k: int, classes: list[int]) -> Markup:
        nearest = int(distances.argmin())
        name = pool.classes[classes[nearest]]
        title = f"{'✓' if nearest == k else '✗'} {name} {distances[nearest]:.2f}"
        every = ", ".join(f"{pool.classes[c]} {d:.2f}" for c, d in zip(classes, distances.tolist(), strict=True))
        label = say("A query of {label}, read as {name}", label=pool.classes[classes[k]], name=name)
        picture = svg.panel(pool.images[row], side=72, label=label, title=title)
        return Markup("<span title='{}'>{}</span>").format(every, picture)

    def still(self):
        pool, support, queries, classes = self._episode()
        distances = self._distances()
        nearest = distances.argmin(2)
        pictures, labels = [], []
        for k in range(self["way"]):
            # A white picture is a gap on the white page: what is labelled must not be taken for a query.
            gap = torch.full_like(pool.images[:1], 255)
            pictures += [*pool.images[support[k]], *gap, *pool.images[queries[k]]]
            names = [pool.classes[classes[index]] for index in nearest[k].tolist()]
            symbols = ["✓" if index == k else "✗" for index in nearest[k].tolist()]
            labels += [*[f"“{pool.classes[classes[k]]}”"] * self["shots"], ""]
            labels += [f"{m} {n} {d:.2f}" for m, n, d in zip(symbols, names, distances[k].amin(1).tolist(), strict=True)]
        right = (nearest == torch.arange(self["way"])[:, None]).float().mean().item()
        return charts.images(
            torch.stack(pictures),
            labels,
            columns=self["shots"] + 1 + SHOWN,
            title=say("{method}: {right:.0%} of the queries are classified correctly", method=self["method"], right=right),
            caption=say(
                "A still of the explorer. Each row: {shots} labelled image(s), then {queries} queries with the nearest class "
                "and its distance.",
                shots=self["shots"],
                queries=SHOWN,
            ),
            alt=say(
                "An episode of {way} classes; {share:.0%} of the queries are nearest to the mean of their own class.",
                way=self["way"],
                share=right,
            ),
        )
