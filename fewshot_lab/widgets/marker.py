"""Changed texts and pictures for the reader to judge: does each still have its label?"""

from collections.abc import Sequence

import traitlets
from markupsafe import Markup
from torch import Tensor

from ..figures import Picture, charts, svg, texts
from ..html import side_by_side
from ..languages import later, say
from .explorer import Explorer, marks, slider
from .text import marked

NOT_MARKED = later("not marked")


class Marker(Explorer):
    """Leafs through things that were changed and keeps the reader's mark of each: `marks` is {number from 1: mark}.

    A mark leads on to the next thing that has none.
    """

    def __init__(self, count: int, what: str, kinds: Sequence[str], *, which: str, question: str) -> None:
        """what: the name of the slider, such as "text"; kinds: of marks, the first says that there is none yet."""
        self.count, self.what, self.marks = count, what, {}
        controls = {
            what: slider(what, 1, 1, count, 1, help=which, whole=True),
            "mark": marks("your mark", kinds, help=question),
        }
        super().__init__(**controls)
        self.controls[what].observe(self._turn, names="value")

    def _turn(self, change=None) -> None:
        self.controls["mark"].value = self.marks.get(self[self.what], NOT_MARKED)

    def refresh(self, change=None) -> None:
        if change is not None and change["owner"] is self.controls["mark"]:
            self.marks[self[self.what]] = self["mark"]
        super().refresh(change)

    @traitlets.observe("values")
    def _from_page(self, change) -> None:
        """A mark that was made in the page, by a button or a key, leads on; so does nothing that a program sets."""
        before, number = self.mark(self[self.what]), self[self.what]
        super()._from_page(change)
        if self[self.what] == number:
            if self.mark(number) != before:
                open_ones = [one for one in range(1, self.count + 1) if self.mark(one) == NOT_MARKED]
                self.controls[self.what].value = next((one for one in open_ones if one > number), (open_ones or [number])[0])
        else:
            self._turn()

    def dots(self) -> Markup:
        """A dot for each thing: filled once it is marked, the present one ringed."""
        dots = []
        for one in range(1, self.count + 1):
            state = "done" if self.mark(one) != NOT_MARKED else ""
            dots.append(Markup("<i class='{}'></i>").format(f"{state} now" if one == self[self.what] else state))
        about = say("{done} of {count} marked", done=self.count - self._open(), count=self.count)
        return Markup("<div class='dots' role='img' aria-label='{}'>{}</div>").format(about, Markup("").join(dots))

    def _open(self) -> int:
        return sum(self.mark(one) == NOT_MARKED for one in range(1, self.count + 1))

    def mark(self, number: int) -> str:
        """The reader's mark of the thing with this number."""
        return self.marks.get(number, NOT_MARKED)


class LabelMarker(Marker):
    """Copies of texts for the reader to judge: does the copy still have its label? `counts()` sums up."""

    MARKS = (NOT_MARKED, later("keeps its label"), later("changes its label"), later("cannot tell"))

    def __init__(self, copies: Sequence[str], classes: Sequence[str], originals: Sequence[str] = ()) -> None:
        """copies: the changed texts; classes: the name of each one's label; originals: what they were made of, to be shown."""
        self.copies, self.classes, self.originals = list(copies), list(classes), list(originals)
        which, question = later("Which of the changed texts"), later("Does it still describe something of this class?")
        super().__init__(len(copies), later("text"), self.MARKS, which=which, question=question)

    def counts(self) -> tuple[int, int]:
        """How many were marked as changed, and how many as kept or changed."""
        said = list(self.marks.values())
        return said.count(self.MARKS[2]), said.count(self.MARKS[1]) + said.count(self.MARKS[2])

    def page(self) -> Markup:
        number = self["text"]
        flipped, judged = self.counts()
        where = say("Text {number} of {count}. Its label:", number=number, count=len(self.copies))
        said = say(
            "Mark of this text: {mark}. Judged so far: {judged}, changed: {changed}.",
            mark=say(self.mark(number)),
            judged=judged,
            changed=flipped,
        )
        text = Markup("<blockquote>{}</blockquote>").format(self.copies[number - 1])
        if self.originals:
            original = self.originals[number - 1]
            pair = (marked(original, self.copies[number - 1], Markup("<del>{}</del>")),
                    marked(self.copies[number - 1], original, Markup("<ins><strong>{}</strong></ins>")))  # fmt: skip
            text = side_by_side(*(
                Markup("<figure class='narrow'><figcaption>{}</figcaption>{}</figure>").format(name, shown)
                for name, shown in zip((say("original"), say("copy")), pair, strict=True)
            ))  # fmt: skip
        shown = Markup("<p>{} <strong>{}</strong></p>{}{}<p>{}</p>")
        return shown.format(where, self.classes[number - 1], text, self.dots(), said)

    def still(self) -> Picture:
        pairs = zip(self.classes, self.copies, strict=True)
        shown = {f"{number}. {kind}": text for number, (kind, text) in enumerate(pairs, 1)}
        return texts(
            dict(list(shown.items())[:8]),
            title=say("The first eight texts that you are asked about"),
            caption=say("A still of the widget: the label that each changed text carries. Run the cell to mark them."),
        )


class PictureMarker(Marker):
    """Changed pictures for the reader to judge: still of its class, of another, or of none?"""

    MARKS = (NOT_MARKED, later("still its label"), later("another label"), later("none of the labels"))

    def __init__(self, pictures: Tensor, classes: Sequence[str]) -> None:
        """pictures: the changed ones, (N, 1, H, W); classes: the name of each one's label."""
        self.pictures, self.classes = pictures, list(classes)
        which, question = later("Which of the changed pictures"), later("What would you call it without knowing its label?")
        super().__init__(len(pictures), later("picture"), self.MARKS, which=which, question=question)

    def answered(self) -> list[str]:
        """The mark of each picture, in order."""
        return [self.mark(number) for number in range(1, self.count + 1)]

    def page(self) -> Markup:
        number = self["picture"]
        where = say("Picture {number} of {count}. Its label:", number=number, count=self.count)
        judged = self.count - self.answered().count(NOT_MARKED)
        said = say("Mark of this picture: {mark}. Judged so far: {judged}.", mark=say(self.mark(number)), judged=judged)
        drawn = svg.panel(self.pictures[number - 1], side=140, label=say("The changed picture"), title="")
        label = self.classes[number - 1]
        return Markup("<p>{} <strong>{}</strong></p>{}{}<p>{}</p>").format(where, label, drawn, self.dots(), said)

    def still(self) -> Picture:
        return charts.images(
            self.pictures,
            [f"{number}. “{label}”" for number, label in enumerate(self.classes, 1)],
            columns=8,
            title=say("The pictures that you are asked about"),
            caption=say("A still of the widget: the label that each changed picture carries. Run the cell to mark them."),
            alt=say("The changed pictures. Their labels: {labels}.", labels=", ".join(self.classes)),
        )
