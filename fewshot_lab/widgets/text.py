"""Chapter 03's explorer: an edited text with its changed words marked."""

import difflib
import random

from markupsafe import Markup

from ..augment.back_translation import back_translated, translator
from ..augment.text import NAMES, edit_text
from ..data.glosses import TextTask
from ..data.round_trips import recorded
from ..data.synonyms import Thesaurus
from ..figures import Picture, texts
from ..languages import later, say
from .explorer import Explorer, choice, line, slider

OWN = ("", "a small dog that lives in the kitchen", "the person who drives a large yellow bus to the school")


class TextExplorer(Explorer):
    """A gloss, or the learner's own words, before and after an operation; draws come from the seed."""

    def __init__(self, task: TextTask, *, operation: str = "synonyms", alpha: float = 0.3, **start) -> None:
        self.task, self.synonyms, self.translator = task, Thesaurus(), translator()
        super().__init__(
            start,
            gloss=slider("gloss", 0, 0, 99, 1, help="Which training gloss", whole=True),
            own=line(
                "your words", help="Leave empty to see the gloss", options=OWN, placeholder=later("type your own words here")
            ),
            operation=choice("operation", [*NAMES, later("back-translation")], operation, help="What is done to the words"),
            alpha=slider("strength α", alpha, 0.0, 0.9, 0.05, help="Which part of the words is edited"),
            seed=slider("draw", 0, 0, 30, 1, help="Another number, another random draw", whole=True),
        )

    def text(self) -> str:
        """The words before the edit: the learner's own, else the chosen gloss; the slider's neighbours are of other classes."""
        return self["own"].strip() or self.task.train_texts[self["gloss"] * 301 % len(self.task.train_texts)]

    def after(self, operation: str) -> str:
        """The text after an operation; raises RuntimeError for own words to be translated where no translator is."""
        if operation != "back-translation":
            return edit_text(self.text(), operation, self["alpha"], self.synonyms, random.Random(self["seed"]))
        if self.text() in recorded()[1]:
            return recorded()[1][self.text()]
        if not self.translator:
            raise RuntimeError(say("Own words can be back-translated only with Apertium installed. Clear them to see glosses."))
        return back_translated([self.text()])[0]

    def page(self) -> Markup:
        before, after = self.text(), self.after(self["operation"])
        left = marked(before, after, Markup("<del>{}</del>"))
        right = marked(after, before, Markup("<ins><strong>{}</strong></ins>"))
        return Markup("<p>{}</p><p>{}</p><p><small>{}</small></p>").format(
            Markup(say("Before: {text}")).format(text=left),
            Markup(say("After {name}: {text}")).format(name=say(self["operation"]), text=right),
            say("Struck out: words that are gone or have moved. Bold and underlined: words that are new."),
        )

    @property
    def stored(self) -> dict[str, list]:
        return {"gloss": list(range(6)), "operation": self.controls["operation"].options, "alpha": [0.1, 0.3, 0.6]}

    def still(self) -> Picture:
        shown = {"before": self.text()}
        for operation in [*NAMES, "back-translation"]:
            after = self.after(operation)
            shown[operation] = marked(after, self.text(), "[{}]")
        return texts(
            shown,
            title=say("One gloss, six operations at strength {alpha:.2f}", alpha=self["alpha"]),
            caption=say("A still of the explorer: words in brackets are new or have moved. Run the cell to edit other texts."),
        )


def marked(text: str, other: str, pattern: str) -> str:
    """The words of a text; those that `other` does not have at the same place in the order are put into the pattern, "[{}]".

    A pattern that is Markup gives Markup, in which all words are escaped.
    """
    words, others = text.split(), other.split()
    same = set()
    for block in difflib.SequenceMatcher(a=words, b=others, autojunk=False).get_matching_blocks():
        same |= set(range(block.a, block.a + block.size))
    return type(pattern)(" ").join(word if i in same else pattern.format(word) for i, word in enumerate(words))
