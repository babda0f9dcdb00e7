"""The charts on the summary page."""

from collections.abc import Sequence

from ..figures import Picture, new_figure, style
from ..figures.style import BLUE, GREEN, VERMILION
from ..languages import say
from .grade import Graded


def question_chart(graded: Sequence[Graded], rows: Sequence[dict]) -> Picture:
    """A chapter's scores as a histogram, and the share of the points that each question got, with its discrimination."""
    scores, most = [one.score for one in graded], max(one.max_score for one in graded)
    with style():
        figure, (left, right) = new_figure(1, 2, size=(9, max(2.2, 0.8 + 0.36 * len(rows))), width_ratios=(2, 3))
        # From -0.5 to most + 0.5, so that up to 11 points each bar is centred on a whole number.
        bins = min(12, int(most) + 1)
        left.hist(scores, bins=bins, range=(-0.5, most + 0.5), color=BLUE, rwidth=0.9)
        left.set(title=say("Scores"), xlabel=say("points of {most:g}", most=most), ylabel=say("notebooks"))
        left.yaxis.get_major_locator().set_params(integer=True)
        for y, row in enumerate(rows):
            right.barh(y, row["difficulty"], color=BLUE, height=0.6)
            discrimination = "" if row["discrimination"] is None else f"{row['discrimination']:+.2f}"
            right.annotate(discrimination, (1.02, y), va="center", fontsize=8, annotation_clip=False)
        right.annotate(say("discrimination"), (1.02, -0.9), va="center", fontsize=8, annotation_clip=False)
        right.set_yticks(range(len(rows)), [say(row["title"]) for row in rows])
        right.set(title=say("Questions"), xlabel=say("share of the points reached"))
        right.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
    shares = "; ".join(f"{say(row['title'])} {row['difficulty']:.0%}" for row in rows)
    caption = say(
        "Left: how many notebooks have how many points. Right: a bar near 1 is an easy question; a discrimination near 0 "
        "or below it is a question that strong students miss as often as weak ones: look at it."
    )
    return Picture(figure, chart=True, caption=caption, alt=say("Share of the points by question: {shares}", shares=shares))


def mistakes_chart(named: Sequence[tuple[tuple[str, str, str], int]]) -> Picture:
    """The most frequent known mistakes as bars; named: ((chapter, question, mistake), count), the most frequent first."""
    with style():
        figure, axes = new_figure(size=(8, 0.9 + 0.32 * len(named)))
        counts = [count for _, count in named]
        axes.barh(range(len(named)), counts, color=VERMILION, height=0.6)
        labels = [f"{chapter} {question}: {mistake.replace('_', ' ')}" for (chapter, question, mistake), _ in named]
        axes.set_yticks(range(len(named)), labels)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel=say("answers"), ylim=(len(named) - 0.4, -0.6), title=say("What went wrong, and how often"))
    listed = "; ".join(f"{label} {count}" for label, count in zip(labels, counts, strict=True))
    caption = say("Mistakes that the checks know by name: what to come back to in class.")
    return Picture(figure, chart=True, caption=caption, alt=listed)


def resources_chart(graded: Sequence[Graded]) -> Picture:
    """How long the notebooks took to grade, and how much memory they used."""
    seconds, memory = [one.seconds for one in graded], [one.memory / 2**20 for one in graded]
    with style():
        figure, (left, right) = new_figure(1, 2, size=(9, 2.4))
        for axes, values, x in ((left, seconds, say("seconds a notebook")), (right, memory, say("memory, MiB"))):
            axes.hist(values, bins=20, color=GREEN)
            axes.set(xlabel=x, ylabel=say("notebooks"))
            axes.yaxis.get_major_locator().set_params(integer=True)
    most = {"least": min(seconds), "most": max(seconds), "memory": max(memory)}
    ranges = say("From {least:.2f} to {most:.2f} s and up to {memory:.0f} MiB.", **most)
    caption = say("{ranges} Memory counts what is shared with the grader's template too.", ranges=ranges)
    return Picture(figure, chart=True, caption=caption, alt=ranges)
