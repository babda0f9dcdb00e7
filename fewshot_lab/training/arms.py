"""The arms of an experiment: the same training in several variants, each with the same seeds, read and compared in pairs."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from numbers import Real

import numpy as np

from ..languages import later
from .metrics import Estimate, crossed_interval, mean_interval, paired_difference
from .sweep import sweep

Result = str | Callable[[dict], float]


class Arms:
    """The rows of an experiment's arms, and how to read them; `arms` runs an experiment and returns one.

    Below, `arm` is an arm's name, `point` its position on the axis (left out where there is no axis), and `of` the result to
    read: its name, or a function that computes a number from a row. It is `result` unless given.

    Rows that have "test_hits" and "test_sizes" beside "test_accuracy" (`hits_by_picture`) get intervals over seeds and test
    pictures, or whatever `clusters` calls the columns; so does another result R with "R_by_picture" in their place, and
    "R_sizes" where it was measured on other pictures. The others' intervals are over seeds alone. Rows that have "at_rest" tell
    their estimates which share of the trainings came to rest.

    Args:
        rows: {arm: rows}, each row a dict with "seed", the axis where there is one, and results. All arms have the same seeds.
        axis: the setting that varies within an arm, such as "shots"; None where nothing does.
        result: the result that is read unless another is asked for.
        unit: the unit of `result`, passed on to its estimates.
        clusters: what the columns of "test_hits" are, in the plural.
        repeats: what the rows of an arm are, in the plural, where the numbers under "seed" are no seeds.

    Raises ValueError when a seed is missing or repeated, and for an arm, a point or a result that was not measured.
    """

    def __init__(
        self,
        rows: Mapping[Hashable, Sequence[dict]],
        *,
        axis: str | None = None,
        result: Result = "test_accuracy",
        unit: str = "",
        clusters: str = "pictures",
        repeats: str = "seeds",
    ):
        self.rows = {arm: list(some) for arm, some in rows.items()}
        self.axis, self.result, self.unit, self.clusters, self.repeats = axis, result, unit, clusters, repeats
        # Rows are kept by arm, point and seed, so that nothing depends on the order in which they were measured.
        self.seeds: list = []
        self._row_of: dict[Hashable, dict[Hashable, dict]] = {}  # {arm: {point: {seed: row}}}
        for arm, some in self.rows.items():
            self._row_of[arm] = by_point = {}
            for row in some:
                by_seed = by_point.setdefault(row[axis] if axis else None, {})
                if row["seed"] in by_seed:
                    raise ValueError(f"Arm {arm!r} has seed {row['seed']} twice: each seed is run once.")
                by_seed[row["seed"]] = row
            for by_seed in by_point.values():
                self.seeds = self.seeds or list(by_seed)
                # Pairs are made by seed. With other seeds in one arm a "paired" difference would compare other labels.
                if set(by_seed) != set(self.seeds):
                    raise ValueError(
                        f"Arm {arm!r} has the seeds {list(by_seed)}, others have {self.seeds}: all arms need the same."
                    )

    def __repr__(self) -> str:
        axis = f" by {self.axis}" if self.axis else ""
        return f"Arms({', '.join(map(repr, self.rows))}{axis}; {len(self.seeds)} seeds)"

    def __or__(self, other: "Arms") -> "Arms":
        """Both experiments' arms in one; as with dicts, the right one's rows replace those of an arm of the same name."""
        if not isinstance(other, Arms):
            return NotImplemented
        if self.axis != other.axis:
            raise ValueError(
                f"Arms on one axis are needed, not {self.axis!r} and {other.axis!r}; .at(point) leaves the axis out."
            )
        return Arms(self.rows | other.rows, axis=self.axis, **self._reading())

    def at(self, point: Hashable) -> "Arms":
        """The arms that were measured at a point, as an experiment without an axis."""
        if self.axis is None:
            raise ValueError("These arms have no axis, and so no points on it.")
        there = {arm: list(by_point[point].values()) for arm, by_point in self._row_of.items() if point in by_point}
        if not there:
            raise ValueError(f"No arm was measured at {self.axis} = {point!r}; there are {self._points()}.")
        return Arms(there, **self._reading())

    def values(self, arm: Hashable, point: Hashable = None, of: Result | None = None) -> list[float]:
        """One number per seed, in the order of `seeds`."""
        return [_number(row, self.result if of is None else of) for row in self._rows(arm, point)]

    def interval(self, arm: Hashable, point: Hashable = None, of: Result | None = None, unit: str | None = None) -> Estimate:
        """The mean over the seeds, and over the test pictures where rows have their answers, with its 95 % interval."""
        values, unit, rest = self.values(arm, point, of), self._unit(of, unit), self._rest((arm, point))
        hits = self._hits(of, (arm, point))
        anew = self._over(hits)
        return crossed_interval(*hits, unit, anew, rest) if hits else mean_interval(values, unit, anew, rest)

    def at_rest(self, arm: Hashable, point: Hashable = None) -> float | None:
        """The share (0..1) of an arm's trainings that came to rest; None where the rows do not say."""
        rows = self._rows(arm, point)
        known = all(row.get("at_rest") is not None for row in rows)
        return sum(bool(row["at_rest"]) for row in rows) / len(rows) if known else None

    def rest(self, arm: Hashable, point: Hashable = None) -> tuple[tuple[str, float], ...]:
        """What an estimate that is computed from an arm's numbers says about rest; without a point on an axis, of all points.

        lab.exchange_rate(shots, baseline, 5, policy, sizes, rest=curves.rest("none") + curves.rest("right", 5))
        """
        points = self._points(arm) if self.axis and point is None else [point]
        return self._rest(*((arm, at) for at in points))

    def mean(self, arm: Hashable, point: Hashable = None, of: Result | None = None) -> float:
        """The mean over the seeds."""
        return self.interval(arm, point, of).mean

    def gain(
        self,
        arm: Hashable,
        point: Hashable = None,
        *,
        over: Hashable,
        of: Result | None = None,
        unit: str | None = None,
    ) -> Estimate:
        """What an arm has over another, seed by seed: the mean of the paired differences with its 95 % interval.

        As in `interval`, test pictures are drawn anew too where rows have the answers; both arms are paired by picture then.
        `over` is the other arm, at the same point, or the pair (arm, point).
        """
        # A pair may also be the name of an arm, such as ("mention", 50); names go first.
        elsewhere = self.axis and over not in self.rows and isinstance(over, tuple) and len(over) == 2
        other = over if elsewhere else (over, point)
        first, second, unit = self.values(arm, point, of), self.values(*other, of), self._unit(of, unit)
        hits, rest = self._hits(of, (arm, point), other), self._rest((arm, point), other)
        anew = self._over(hits)
        return crossed_interval(*hits, unit, anew, rest) if hits else paired_difference(first, second, unit, anew, rest)

    def curve(self, arm: Hashable, of: Result | None = None) -> tuple[list, list[Estimate]]:
        """An arm's points and the estimate at each, as `lab.figures.curves` draws them."""
        points = self._points(arm)
        return points, [self.interval(arm, point, of) for point in points]

    def table(self, arm: Hashable, of: Result | None = None) -> np.ndarray:
        """An arm's numbers (seeds, points), as `lab.exchange_rate` takes its baseline."""
        return np.array([self.values(arm, point, of) for point in self._points(arm)]).T

    def hits(self, arm: Hashable, point: Hashable = None) -> tuple[np.ndarray, np.ndarray]:
        """The correct answers about each test picture (seeds, pictures) and the pictures' sizes (pictures,).

        Without a point on an axis: of all points, (seeds, points, pictures), as `lab.exchange_rate` takes its baseline.
        """
        points = self._points(arm) if self.axis and point is None else [point]
        found = [self._hits("test_accuracy", (arm, at)) for at in points]
        if None in found:
            raise ValueError(f"The rows of arm {arm!r} have no test_hits and test_sizes: merge hits_by_picture(...) into them.")
        answers = np.stack([hits for hits, _ in found], axis=1)
        return (answers if self.axis and point is None else answers[:, 0]), found[0][1]

    def _hits(self, of: Result | None, first: tuple, second: tuple | None = None) -> tuple[np.ndarray, np.ndarray] | None:
        """(hits (seeds, pictures), sizes) of an (arm, point), less those of a second one; None where rows do not have them."""
        result = self.result if of is None else of
        key = "test_hits" if result == "test_accuracy" else f"{result}_by_picture"
        sides = [self._rows(*side) for side in (first, second) if side is not None]
        own = f"{result}_sizes" if f"{result}_sizes" in sides[0][0] else "test_sizes"
        if not all(key in row and own in row for rows in sides for row in rows):
            return None
        sizes = np.asarray(sides[0][0][own])
        if not all(np.array_equal(row[own], sizes) for rows in sides for row in rows):
            raise ValueError(f"Not all of these trainings were tested on the same pictures ({own} differ).")
        hits = [np.array([row[key] for row in rows]) for rows in sides]
        return (hits[0] - hits[1] if second else hits[0]), sizes

    def _rest(self, *sides: tuple) -> tuple[tuple[str, float], ...]:
        shares = {self._name(*side): self.at_rest(*side) for side in sides}
        return tuple((name, share) for name, share in shares.items() if share is not None)

    def _name(self, arm: Hashable, point: Hashable) -> str:
        return f"{arm}, {self.axis} = {point}" if self.axis else str(arm)

    def _over(self, hits: tuple | None = None) -> str:
        seeds = f"{len(self.seeds)} {self.repeats if len(self.seeds) > 1 else self.repeats.removesuffix('s')}"
        return f"{seeds} x {len(hits[1])} {self.clusters}" if hits else seeds

    def _reading(self) -> dict:
        return {"result": self.result, "unit": self.unit, "clusters": self.clusters, "repeats": self.repeats}

    def _points(self, arm: Hashable = None) -> list:
        some = self._row_of.values() if arm is None else [self._arm(arm)]
        return list(dict.fromkeys(point for by_point in some for point in by_point))

    def _arm(self, arm: Hashable) -> dict[Hashable, dict]:
        if arm not in self._row_of:
            raise ValueError(f"There is no arm {arm!r}; there are {', '.join(map(repr, self.rows))}.")
        return self._row_of[arm]

    def _rows(self, arm: Hashable, point: Hashable) -> list[dict]:
        by_point = self._arm(arm)
        if point not in by_point:
            if self.axis is None:
                raise ValueError(f"These arms have no axis, so {arm!r} has no point {point!r}; a result is named by of=...")
            raise ValueError(f"Arm {arm!r} was not measured at {self.axis} = {point!r}; its points are {self._points(arm)}.")
        return [by_point[point][seed] for seed in self.seeds]

    def _unit(self, of: Result | None, unit: str | None) -> str:
        if unit is not None:
            return unit
        return self.unit if of is None or of == self.result else ""


def arms(
    function: Callable[..., dict],
    kinds: Mapping[Hashable, Mapping | Callable[..., Mapping]],
    *,
    seeds: Sequence[int],
    axis: str | None = None,
    at: Sequence | Mapping[Hashable, Sequence] | None = None,
    result: Result = "test_accuracy",
    unit: str = "",
    clusters: str = "pictures",
    jobs: int | None = None,
    description: str = later("trainings"),
    **common,
) -> Arms:
    """Runs every arm of an experiment with every seed, on all cores, and returns their rows to read and compare.

        KINDS = {"hard labels": {}, "distilled": {"teacher": logits}}
        students = lab.arms(distillation.fit_student, KINDS, seeds=[0, 1, 2], dataset="digits", steps=100)
        students.mean("distilled"), students.gain("distilled", over="hard labels")

        curves = lab.arms(fit_few_shot, POLICIES, seeds=SEEDS, axis="shots", at=[1, 5, 20], dataset="digits")
        curves.values("right", 5), curves.gain("right", 1, over=("none", 20)), curves.curve("right")

    Seeds are common to all arms: with an equal seed two arms see the same labels and first weights, so that their difference
    is due to what is particular to them. `sweep` says how the runs are shared out, and what it raises.

    Args:
        function: called as function(seed=..., **settings); returns a dict of results.
        kinds: {arm: the settings particular to it}, or a function of seed and point that returns them.
        seeds: each once.
        axis: the setting that varies within an arm, such as "shots".
        at: the points on the axis, for all arms or as {arm: points}.
        result: the result to read unless another is asked for; a name or a function of a row.
        unit: its unit.
        clusters: what its test consists of, in the plural, as in `Arms`.
        jobs: worker processes, as in `sweep`.
        description: what the progress bar counts.
        common: the settings that all arms share.

    Raises ValueError for an axis without points, points without an axis, and settings of an arm that are the seed or the axis.
    """
    if (axis is None) != (at is None):
        raise ValueError('An axis needs its points and points their axis: give both, as in axis="shots", at=[1, 5, 20].')
    if isinstance(at, Mapping) and set(at) != set(kinds):
        raise ValueError(f"`at` names the arms {list(at)}, but there are {list(kinds)}.")
    grid, owners = [], []
    for arm, settings in kinds.items():
        for point in (at[arm] if isinstance(at, Mapping) else at) if axis else [None]:
            for seed in seeds:
                varied = {"seed": seed} | ({axis: point} if axis else {})
                own = settings(**varied) if callable(settings) else settings
                if taken := set(own) & set(varied):
                    raise ValueError(f"Arm {arm!r} sets {', '.join(sorted(taken))}, which `arms` sets for all arms alike.")
                grid.append({**common, **varied, **own})
                owners.append(arm)
    # One sweep for all arms: the workers stay busy until the last run of the last arm.
    rows = {arm: [] for arm in kinds}
    for arm, row in zip(owners, sweep(function, grid, jobs=jobs, description=description), strict=True):
        rows[arm].append(row)
    return Arms(rows, axis=axis, result=result, unit=unit, clusters=clusters)


def _number(row: dict, of: Result) -> float:
    if callable(of):
        return float(of(row))
    if not isinstance(row.get(of), Real):
        numbers = sorted(str(name) for name, value in row.items() if isinstance(value, Real) and not isinstance(value, bool))
        raise ValueError(f"There is no number {of!r} in the rows; the numbers there are {', '.join(numbers)}.")
    return float(row[of])
