"""Chapter 09's explorer: edit a template and its label words, and see what a language model answers."""

import re

import torch
from markupsafe import Markup

from ..data.glosses import TextTask
from ..figures import Picture, new_figure, style
from ..html import table
from ..languages import later, say
from ..methods import prompts
from .explorer import Explorer, choice, line
from .text import in_chinese

_CALIBRATED = (later("as it is"), later("minus the mean of the texts shown"))


class PromptExplorer(Explorer):
    """A few texts, the probability of each label word after the template, and the tokens that the model sees."""

    def __init__(self, tokenizer, model, task: TextTask, template: str, *, texts: int = 5, **start) -> None:
        """texts: how many of the task's validation texts are shown, spread over the classes."""
        self.tokenizer, self.model, self.task = tokenizer, model, task
        self.rows = torch.linspace(0, len(task.validation_texts) - 1, texts).long().tolist()
        self.asked = [task.validation_texts[row] for row in self.rows]
        self.prefixes: dict = {}
        super().__init__(
            start,
            template=line(
                "template",
                template.replace("\n", "\\n"),
                help="{x} is where the text goes, \\n a new line; press Enter to see the answer",
            ),
            words=line(
                "label words", ", ".join(task.classes), help="One word for each class, with commas between them; press Enter"
            ),
            own=line("own text", help="A text of your own, answered below the others"),
            calibrated=choice("scores", _CALIBRATED, help="Subtract each word's mean score over the texts shown, or not"),
        )

    def scores(self) -> torch.Tensor:
        """log P(word | template(text)) for the texts shown: (texts, classes), calibrated when that is chosen."""
        words = self.label_words()
        if len(words) != len(self.task.classes):
            raise ValueError(
                say(
                    "{needed} label words are needed, with commas between them; here are {count}.",
                    needed=len(self.task.classes),
                    count=len(words),
                )
            )
        template = self["template"].replace("\\n", "\n")
        before, joint, after = prompts.split_template(template)
        if any(map(in_chinese, words)):  # no space before a word, which may be several tokens
            scores = prompts.continuation_scores(self.tokenizer, self.model, self.texts_now(), template, words, joint="")
            return self._calibrated(scores)
        key = before, joint, self["own"]
        if key not in self.prefixes:  # an edit after {x} does not encode the texts again
            self.prefixes = {key: prompts.encode_texts(self.tokenizer, self.model, self.texts_now(), before, joint)}
        [hidden] = prompts.next_token_hidden(self.tokenizer, self.model, self.prefixes[key], [after])
        ids = prompts.label_tokens(self.tokenizer, words)
        return self._calibrated(prompts.next_token_log_probabilities(self.model, hidden)[:, ids])

    def _calibrated(self, scores: torch.Tensor) -> torch.Tensor:
        return scores if self["calibrated"] == _CALIBRATED[0] else prompts.mean_logit_calibration(scores, scores)

    def label_words(self) -> list[str]:
        """The label words, which commas of any script separate."""
        return [word.strip() for word in re.split("[,，、]", self["words"])]

    def texts_now(self) -> list[str]:
        """The task's texts that are shown, and the learner's own where there is one."""
        own = self["own"].strip()
        return [*self.asked, own] if own else self.asked

    def right(self, scores: torch.Tensor) -> torch.Tensor:
        """Whether the highest score is the text's class: booleans, one for each of the task's texts."""
        return scores[: len(self.rows)].argmax(dim=1) == self.task.validation_labels[self.rows]

    def page(self) -> Markup:
        scores = self.scores()
        words = self.label_words()
        rows = []
        signs = [
            f"{'✓' if right else '✗'}\N{NO-BREAK SPACE}{self.task.classes[self.task.validation_labels[row]]}"
            for right, row in zip(self.right(scores), self.rows, strict=True)
        ]
        for text, share, sign in zip(self.texts_now(), scores.softmax(1), [*signs, say("yours")], strict=False):
            shares = [Markup("<b><u>{:.2f}</u></b>" if p == share.max() else "{:.2f}").format(p) for p in share.tolist()]
            rows.append((text, *shares, sign))
        told = say(
            "{right} of {count} right. The numbers: each word's share among the label words.",
            right=int(self.right(scores).sum()),
            count=len(self.asked),
        )
        tokens = Markup(say("The first text's tokens: {tokens}")).format(tokens=self.tokens())
        shown = table((say("text"), *words, say("its class")), rows, numbers=range(1, 1 + len(words)))
        return shown + Markup("<p>{}</p><p>{}</p>").format(told, tokens)

    def tokens(self) -> Markup:
        """The tokens of the first text in the template, each in a frame, spaces and line ends made visible."""
        filled = self["template"].replace("\\n", "\n").replace(prompts.SLOT, self.asked[0])
        ids = self.tokenizer(filled, add_special_tokens=False)["input_ids"]
        pieces = [self.tokenizer.decode([token]).replace(" ", "␣").replace("\n", "⏎") for token in ids]
        return Markup(" ").join(Markup("<span class='token'>{}</span>").format(piece) for piece in pieces)

    @property
    def stored(self) -> dict[str, list]:
        return {"calibrated": list(_CALIBRATED)}

    def still(self) -> Picture:
        scores = self.scores()[: len(self.rows)]
        shares = scores.softmax(dim=1)
        right = int(self.right(scores).sum())
        count = say("{right} of {count} texts are classified correctly", right=right, count=len(self.asked))
        words = self.label_words()
        with style():
            figure, axes = new_figure(size=(7.5, 1.2 + 0.36 * len(self.asked)))
            axes.imshow(shares.numpy(), cmap="cividis", vmin=0, vmax=1, aspect="auto")
            for row, column in ((r, c) for r in range(len(shares)) for c in range(len(words))):
                value = shares[row, column].item()
                colour = "black" if value > 0.5 else "white"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
            labels = [self.task.classes[self.task.validation_labels[row]] for row in self.rows]
            starts = [text if len(text) <= 40 else f"{text[:38]}…" for text in self.asked]
            names = [f"{start} ({label})" for start, label in zip(starts, labels, strict=True)]
            axes.set_yticks(range(len(names)), names, fontsize=8)
            axes.set_xticks(range(len(words)), words)
            axes.grid(False)
            axes.set_title(count)
        told = say(
            "{count} with the template {template} and the words {words}.",
            count=count,
            template=self["template"],
            words=self["words"],
        )
        caption = say("A still of the explorer: each label word's share. Run the cell to edit the prompt.")
        return Picture(figure, chart=True, caption=caption, alt=told)
