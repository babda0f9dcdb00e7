"""Chapter 09's explorer: edit a template and its label words, and see what a language model answers."""

import html

import ipywidgets
import torch

from ..data.glosses import TextTask
from ..figures import Picture, charts
from ..methods import prompts
from .explorer import Explorer, choice

_CALIBRATED = ("as it is", "minus the mean of the texts shown")
_OPTIONS = {"style": {"description_width": "6.5em"}, "layout": {"width": "36em"}, "continuous_update": False}


class PromptExplorer(Explorer):
    """A few texts, the probability of each label word after the template, and the tokens that the model sees."""

    def __init__(self, tokenizer, model, task: TextTask, template: str, *, texts: int = 5) -> None:
        """texts: how many of the task's validation texts are shown, spread over the classes."""
        self.tokenizer, self.model, self.task = tokenizer, model, task
        self.rows = torch.linspace(0, len(task.validation_texts) - 1, texts).long().tolist()
        self.texts = [task.validation_texts[row] for row in self.rows]
        self.readings: dict = {}
        super().__init__(
            template=ipywidgets.Text(
                template.replace("\n", "\\n"),
                description="template",
                tooltip="{x} is where the text goes, \\n a new line; press Enter to see the answer",
                **_OPTIONS,
            ),
            words=ipywidgets.Text(
                ", ".join(task.classes),
                description="label words",
                tooltip="One word for each class, with commas between them; press Enter",
                **_OPTIONS,
            ),
            calibrated=choice("scores", _CALIBRATED, help="Subtract each word's mean score over the texts shown, or not"),
        )

    def scores(self) -> torch.Tensor:
        """log P(word | template(text)) for the texts shown: (texts, classes), calibrated when that is chosen."""
        words = [word.strip() for word in self["words"].split(",")]
        if len(words) != len(self.task.classes):
            raise ValueError(
                f"{len(self.task.classes)} label words are needed, with commas between them; here are {len(words)}."
            )
        before, joint, after = prompts.pieces(self["template"].replace("\\n", "\n"))
        if (before, joint) not in self.readings:  # an edit after {x} does not read the texts again
            self.readings = {(before, joint): prompts.read_texts(self.tokenizer, self.model, self.texts, before, joint)}
        hidden = prompts.next_word_vectors(self.tokenizer, self.model, self.readings[before, joint], after)
        ids = prompts.label_tokens(self.tokenizer, words)
        scores = prompts.next_word_log_probabilities(self.model, hidden)[:, ids]
        return scores if self["calibrated"] == _CALIBRATED[0] else prompts.mean_logit_calibration(scores, scores)

    def right(self, scores: torch.Tensor) -> torch.Tensor:
        """Whether the highest score is the text's class: booleans (texts,)."""
        return scores.argmax(dim=1) == self.task.validation_labels[self.rows]

    def page(self) -> str:
        scores = self.scores()
        heads = "".join(f"<th scope='col'>{html.escape(word.strip())}</th>" for word in self["words"].split(","))
        lines = []
        for text, share, right, row in zip(self.texts, scores.softmax(1), self.right(scores), self.rows, strict=True):
            cells = "".join(
                f"<td style='text-align:right{';font-weight:bold;text-decoration:underline' if p == share.max() else ''}'>{p:.2f}</td>"
                for p in share.tolist()
            )
            label = self.task.classes[self.task.validation_labels[row]]
            said = f"{'✓' if right else '✗'} {html.escape(label)}"
            lines.append(f"<tr><td style='text-align:left;max-width:26em'>{html.escape(text)}</td>{cells}<td>{said}</td></tr>")
        filled = self["template"].replace("\\n", "\n").replace(prompts.PLACE, self.texts[0])
        tokens = self.tokenizer.batch_decode([[t] for t in self.tokenizer(filled, add_special_tokens=False)["input_ids"]])
        shown = " ".join(
            f"<span style='border:1px solid;border-radius:3px;padding:0 2px'>{html.escape(t).replace(' ', '␣').replace(chr(10), '⏎')}</span>"
            for t in tokens
        )
        table = f"<table><tr><th scope='col'>text</th>{heads}<th scope='col'>its class</th></tr>{''.join(lines)}</table>"
        count = f"{int(self.right(scores).sum())} of {len(self.texts)} right."
        return f"{table}<p>{count} The share of each label word among the label words.</p><p>The first text's {len(tokens)} tokens: {shown}</p>"

    def still(self) -> Picture:
        scores = self.scores()
        count = f"{int(self.right(scores).sum())} of {len(self.texts)} texts are read rightly"
        names = [
            f"{t[:34]}… ({self.task.classes[self.task.validation_labels[r]]})"
            for t, r in zip(self.texts, self.rows, strict=True)
        ]
        return charts.matrix(
            scores.softmax(dim=1),
            names,
            [word.strip()[:6] for word in self["words"].split(",")],
            title=count,
            caption="A still of the explorer: the share of each label word after the template. Run the cell to edit both.",
            alt=f"{count} with the template {self['template']}.",
        )
