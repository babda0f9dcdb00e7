"""Chapter 03's explorer: an edited text with its changed words marked."""

import difflib
import random
import re
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from ..augment.back_translation import back_translated, translator
from ..augment.text import NAMES, edit_text
from ..data import reviews_zh
from ..data.glosses import TextTask
from ..data.round_trips import recorded
from ..data.synonyms import Thesaurus
from ..figures import Picture, texts
from ..languages import language, later, say
from .explorer import Explorer, choice, line, slider

OWN = ("", "a small dog that lives in the kitchen", "这家店的衣服质量很好，就是送货慢了一点")
SOURCES = (later("English glosses"), later("Chinese reviews"))
LONGEST = 40  # characters of a review
_RANGES = "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef"  # of Chinese punctuation and characters
_WIDE = re.compile(f"[{_RANGES}]")
_UNIT = re.compile(rf"[{_RANGES}]|[^\s{_RANGES}]+")
NEEDS_WORDS = ("synonyms", "insertion", "eda")  # operations that ask a dictionary, which the course has for English alone


class TextExplorer(Explorer):
    """A gloss, a Chinese review, or the learner's own words, before and after an operation; draws come from the seed.

    Chinese has no spaces: there every character counts as a word.
    """

    def __init__(self, task: TextTask, *, operation: str | None = None, alpha: float = 0.3, **start) -> None:
        self.task, self.synonyms, self.translator = task, Thesaurus(), translator()
        chinese = language() == "zh"
        operation = operation or ("swap" if chinese else "synonyms")
        super().__init__(
            start,
            source=choice("texts", SOURCES, SOURCES[chinese], help="Which training texts"),
            text=slider("text", 0, 0, 99, 1, help="Which of these texts", whole=True),
            own=line(
                "your words", help="Leave empty to see the texts", options=OWN, placeholder=later("type your own words here")
            ),
            operation=choice("operation", [*NAMES, later("back-translation")], operation, help="What is done to the words"),
            alpha=slider("strength α", alpha, 0.0, 0.9, 0.05, help="Which part of the words is edited"),
            seed=slider("draw", 0, 0, 30, 1, help="Another number, another random draw", whole=True),
        )

    def text(self) -> str:
        """The words before the edit: the learner's own, else the chosen text; neighbouring glosses are of other classes."""
        task = self.task if self["source"] == SOURCES[0] else reviews_zh.task(LONGEST)
        return self["own"].strip() or task.train_texts[self["text"] * 301 % len(task.train_texts)]

    def lacks(self, operation: str) -> str:
        """Why the operation cannot be done to this text; empty where it can."""
        if not in_chinese(self.text()):
            return ""
        if operation in NEEDS_WORDS:
            return say("This edit needs a dictionary of synonyms, and the course has none for Chinese. Swap or delete instead.")
        if operation == "back-translation":
            return say("The translators of this chapter know English and Spanish. Swap or delete instead.")
        return ""

    def after(self, operation: str) -> str:
        """The text after an operation; raises RuntimeError for own words to be translated where no translator is."""
        if operation != "back-translation":
            words = " ".join(units(self.text()))
            changed = edit_text(words, operation, self["alpha"], self.synonyms, random.Random(self["seed"])).split()
            return joined(changed, changed)
        if self.text() in recorded()[1]:
            return recorded()[1][self.text()]
        if not self.translator:
            raise RuntimeError(say("Own words can be back-translated only with Apertium installed. Clear them to see glosses."))
        return back_translated([self.text()])[0]

    def page(self) -> Markup:
        before = self.text()
        if lack := self.lacks(self["operation"]):
            told = Markup(say("Before: {text}")).format(text=before)
            return Markup("<p>{}</p><p>{}</p>").format(told, lack)
        after = self.after(self["operation"])
        left = marked(before, after, Markup("<del>{}</del>"))
        right = marked(after, before, Markup("<ins><strong>{}</strong></ins>"))
        return Markup("<p>{}</p><p>{}</p><p><small>{}</small></p>").format(
            Markup(say("Before: {text}")).format(text=left),
            Markup(say("After {name}: {text}")).format(name=say(self["operation"]), text=right),
            say("Struck out: words that are gone or have moved. Bold and underlined: words that are new."),
        )

    @property
    def stored(self) -> dict[str, list]:
        operations = self.controls["operation"].options
        return {"source": list(SOURCES), "text": list(range(6)), "operation": operations, "alpha": [0.1, 0.3, 0.6]}

    def still(self) -> Picture:
        shown = {say("before"): self.text()}
        for operation in [*NAMES, "back-translation"]:
            if not self.lacks(operation):
                shown[say(operation)] = marked(self.after(operation), self.text(), "[{}]")
        return texts(
            shown,
            title=say("One text, {count} operations at strength {alpha:.2f}", count=len(shown) - 1, alpha=self["alpha"]),
            caption=say("A still of the explorer: words in brackets are new or have moved. Run the cell to edit other texts."),
        )


def marked(text: str, other: str, pattern: str) -> str:
    """The words of a text; those that `other` does not have at the same place in the order are put into the pattern, "[{}]".

    A pattern that is Markup gives Markup, in which all words are escaped.
    """
    words, others = units(text), units(other)
    same = set()
    for block in difflib.SequenceMatcher(a=words, b=others, autojunk=False).get_matching_blocks():
        same |= set(range(block.a, block.a + block.size))
    return joined(words, [word if i in same else pattern.format(word) for i, word in enumerate(words)], type(pattern)(""))


def in_chinese(text: str) -> bool:
    """Whether there is a Chinese character or punctuation mark in the text."""
    return bool(_WIDE.search(text))


def units(text: str) -> list[str]:
    """The words of a text; each Chinese character and each of its punctuation marks is one."""
    return _UNIT.findall(text)


def joined(words: Sequence[str], shown: Sequence[str], empty: str = "") -> str:
    """What is shown of each of the words as one text of the type of `empty`: no space between two Chinese characters."""
    spaces = ["" if _WIDE.match(one) and _WIDE.match(other) else " " for one, other in pairwise(words)]
    return empty.join(part for pair in zip(["", *spaces], shown, strict=False) for part in pair)
