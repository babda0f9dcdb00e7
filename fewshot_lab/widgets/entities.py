"""Chapter 10's explorer: sentences with true and predicted entities, and what kind of error each prediction is."""

from collections.abc import Sequence

from markupsafe import Markup

from ..data.conll import Sentence, Span, spans
from ..figures import Picture, new_figure, style
from ..figures.style import COLOURS
from ..languages import later, say
from ..methods.entity_scores import ERROR_KINDS, count_errors, entity_f1, find_errors, token_accuracy
from .explorer import Explorer, choice, slider
from .text import in_chinese

_SHOWN = (later("any error"), *ERROR_KINDS, later("no error"), later("all sentences"))
_FARTHEST = 99
_SIGNS = {
    later("boundary"): "↔",
    later("type"): "≠",
    later("boundary and type"): "↔≠",
    later("missed"): "–",
    later("invented"): "+",
}


class EntityExplorer(Explorer):
    """Test sentences with their true and predicted entities, to browse by the kind of error."""

    def __init__(self, sentences: Sequence[Sentence], taggers: dict[str, Sequence[Sequence[str]]], **start) -> None:
        """taggers: the predicted tags of every sentence, by the tagger's name."""
        for name, predicted in taggers.items():
            if [len(tags) for tags in predicted] != [len(s.words) for s in sentences]:
                raise ValueError(f"“{name}” must give one tag for each word of each of the {len(sentences)} sentences.")
        self.sentences, self.taggers = list(sentences), taggers
        # Chinese has no spaces: every character is a word.
        self.between = "" if any(in_chinese(word) for s in self.sentences for word in s.words) else " "
        self.gold = [s.tags for s in sentences]
        self.types = sorted({kind for tags in self.gold for kind, *_ in spans(tags)})
        self.wrong = {
            name: [find_errors(*pair) for pair in zip(self.gold, given, strict=True)] for name, given in taggers.items()
        }
        self.told = {name: self._told(name) for name in taggers}
        names = list(taggers)
        super().__init__(
            start,
            tagger=choice("tagger", names, names[-1], help="Whose predictions"),
            kind=choice("show", _SHOWN, help="Sentences with which kind of error"),
            sentence=slider("sentence", 0, 0, _FARTHEST, 1, help="Leaf through these sentences", whole=True),
        )

    def refresh(self, change=None) -> None:
        """Sets the slider's end to the last of the chosen sentences."""
        sentence = self.controls["sentence"]
        sentence.max = min(_FARTHEST, max(0, len(self.rows()) - 1))
        sentence.value = min(sentence.value, sentence.max)
        super().refresh(change)

    def rows(self) -> list[int]:
        """The rows of the sentences with the chosen kind of error."""
        kind, errors = self["kind"], self.wrong[self["tagger"]]
        if kind == "all sentences":
            return list(range(len(errors)))
        if kind == "no error":
            return [row for row, wrong in enumerate(errors) if not wrong]
        return [row for row, wrong in enumerate(errors) if any(kind in ("any error", one) for one, *_ in wrong)]

    def page(self) -> Markup:
        rows, told = self.rows(), self.told[self["tagger"]]
        if not rows:
            return Markup("<p>{}</p><p>{}</p>").format(told, say("No sentence has this kind of error."))
        position = min(self["sentence"], len(rows) - 1)
        row = rows[position]
        lines = Markup("").join(
            Markup("<p class='tagged'><strong>{}</strong>{}</p>").format(name, self._line(row, tags))
            for name, tags in ((say("true"), self.gold[row]), (say("predicted"), self.taggers[self["tagger"]][row]))
        )
        listed = [Markup("<li>{}</li>").format(self._error(row, *wrong)) for wrong in self.wrong[self["tagger"]][row]]
        below = Markup("<ul>{}</ul>").format(Markup("").join(listed))
        if not listed:
            below = Markup("<p>{}</p>").format(say("✓ Every entity is right."))
        where = say("Sentence {place} of {count} with “{kind}”:", place=position + 1, count=len(rows), kind=say(self["kind"]))
        return Markup("<p>{}</p><p>{}</p>{}{}").format(told, where, lines, below)

    @property
    def stored(self) -> dict[str, list]:
        return {"tagger": list(self.taggers), "kind": list(_SHOWN), "sentence": list(range(6))}

    def still(self) -> Picture:
        rows = self.rows() or [0]
        row = next((one for one in rows if len(self._places(one)) <= 70), rows[0])  # as many fit into the width
        tags = self.taggers[self["tagger"]][row]
        with style():
            figure, axes = new_figure(size=(8.5, 1.7))
            width = max((right for _, right in self._places(row)), default=0) + 2
            axes.set(xlim=(-11, max(60, width)), ylim=(-0.7, 1.6))
            axes.axis("off")
            for height, (name, shown) in enumerate((("predicted", tags), ("true", self.gold[row]))):
                axes.text(-11, height, say(name), fontweight="bold", va="center", fontsize=9)
                self._drawn(axes, row, shown, height)
            axes.set_title(
                "; ".join(self._error(row, *wrong) for wrong in self.wrong[self["tagger"]][row])[:110]
                or "Every entity is right"
            )
        sentence = self.between.join(self.sentences[row].words)
        errors = "; ".join(self._error(row, *wrong) for wrong in self.wrong[self["tagger"]][row])
        errors = errors or say("every entity is right")
        told = self.told[self["tagger"]]
        return Picture(
            figure,
            chart=True,
            caption=say("A still of the explorer. {told} Run the cell to leaf through.", told=told),
            alt=say("“{sentence}”: {found}. {told}", sentence=sentence, found=errors, told=told),
        )

    def _told(self, name: str) -> str:
        given = self.taggers[name]
        counted = ", ".join(f"{count} {say(kind)}" for kind, count in count_errors(self.gold, given).items())
        return say(
            "{name}: entity F1 {f1:.3f}, token accuracy {accuracy:.3f}; errors: {counted}.",
            name=say(name),
            f1=entity_f1(self.gold, given),
            accuracy=token_accuracy(self.gold, given),
            counted=counted,
        )

    def _colour(self, kind: str) -> str:
        return COLOURS[self.types.index(kind) % len(COLOURS)] if kind in self.types else "#777777"

    def _line(self, row: int, tags: Sequence[str]) -> Markup:
        """The sentence as HTML: an entity in a frame of its type's colour, with the type's name."""
        words, parts, done = self.sentences[row].words, [], 0
        for kind, start, end in spans(tags):
            parts += words[done:start]
            framed = Markup("<span class='framed' style='border-color:{}'>{} <small><b>{}</b></small></span>")
            parts.append(framed.format(self._colour(kind), self.between.join(words[start:end]), kind))
            done = end
        return Markup(self.between).join([*parts, *words[done:]])  # which escapes the words

    def _drawn(self, axes, row: int, tags: Sequence[str], height: int) -> None:
        places = self._places(row)
        for word, (left, _) in zip(self.sentences[row].words, places, strict=True):
            axes.text(left, height, word, family="monospace" if self.between else None, fontsize=8, va="center")
        for kind, start, end in spans(tags):
            left, right = places[start][0] - 0.5, places[end - 1][1] + 0.5
            axes.plot([left, right], [height - 0.28] * 2, color=self._colour(kind), linewidth=3, solid_capstyle="butt")
            axes.text(left, height - 0.5, kind, fontsize=7, color="#333333", va="center")

    def _places(self, row: int) -> list[tuple[float, float]]:
        """Where each word begins and ends in the figure, in letters; a Chinese character is as wide as two."""
        places, at = [], 0.0
        for word in self.sentences[row].words:
            wide = len(word) if self.between else 2 * len(word)
            places.append((at, at + wide))
            at += wide + 2 * bool(self.between)
        return places

    def _error(self, row: int, kind: str, truth: Span | None, answer: Span | None) -> str:
        """An error in words: its sign and kind, the true and the predicted entity."""

        def described(span: Span) -> str:
            return f"{self.between.join(self.sentences[row].words[span[1] : span[2]])} ({span[0]})"

        both = [described(span) for span in (truth, answer) if span]
        sign, name = _SIGNS[kind], say(kind)
        if len(both) == 1:
            return say("{sign} {name}: {entity}", sign=sign, name=name, entity=both[0])
        return say("{sign} {name}: {truth} read as {answer}", sign=sign, name=name, truth=both[0], answer=both[1])
