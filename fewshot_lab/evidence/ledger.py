"""The claims ledger: what the course set out to test and what each run found."""

import html
import json
from dataclasses import dataclass
from pathlib import Path

from ..runtime import CourseError

UNTESTED = "not yet tested"


@dataclass(frozen=True)
class Claim:
    """A claim in the course's words and the chapters that test it."""

    text: str
    chapters: tuple[str, ...]


CLAIMS = {
    "C1": Claim("Augmentation helps generalisation, but little on some data, and never replaces labels.", ("02", "03")),
    "C2": Claim("Augmentation has a price in time and compute.", ("02",)),
    "C3": Claim("Beyond some strength augmentation harms, and the harm is overfitting.", ("02",)),
    "C4": Claim("A handful of labels misses the distribution: results vary much between draws.", ("05",)),
    "C5": Claim("With few labels, larger models overfit more.", ("05",)),
    "C6": Claim("Augmentation and self-supervision together do better than either alone.", ("04",)),
    "C7": Claim("Distillation and adversarial training add to few-shot accuracy.", ("06", "07")),
    "C8": Claim("Generated instances supply the diversity that augmentation lacks.", ("08",)),
    "C9": Claim("A large pretrained teacher lifts a small student that has few labels.", ("06",)),
    "C10": Claim("Adversarial training makes a model both more robust and more accurate.", ("07",)),
    "C11": Claim("Prompts solve new tasks with little data, and searched triggers beat fixed templates.", ("09",)),
    "C12": Claim("The stages of the pipeline add up when applied in the stated order.", ("11",)),
    "C13": Claim("Augmentation with distillation brings a residual network to the quoted accuracy.", ("02", "06")),
    "C14": Claim("A fine-tuned BERT tags named entities at the quoted F1.", ("10",)),
}


@dataclass(frozen=True)
class Ledger:
    """Rows (claim, chapter, verdict, why), one for each chapter that tests a claim; shown as a table."""

    rows: tuple[tuple[str, str, str, str], ...]

    def __str__(self) -> str:
        lines = []
        for claim, chapter, result, why in self.rows:
            lines.append(
                f"{claim:<4} chapter {chapter}  {result:<14}  {CLAIMS[claim].text}{f' ({why})' if why else ''}"
            )
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .verdicts import SYMBOLS, mark

        heads = "".join(f"<th scope='col'>{head}</th>" for head in ("claim", "statement", "chapter", "verdict", "why"))
        rows = []
        for claim, chapter, result, why in self.rows:
            shown = mark(result) if result in SYMBOLS else result
            cells = (claim, CLAIMS[claim].text, chapter, shown, why)
            rows.append("".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in cells))
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def ledger(results_json_path: str | Path) -> Ledger:
    """All claims with the verdicts in a run's results.json; "not yet tested" where a chapter's verdict is missing.

    Raises CourseError when the file is there but is not a run's results.
    """
    path, found = Path(results_json_path), {}
    if path.exists():
        try:
            for chapter in json.loads(path.read_text(encoding="utf-8"))["chapters"]:
                for claim, said in chapter.get("verdicts", {}).items():
                    found[claim, str(chapter["id"])] = (str(said["verdict"]), str(said["why"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CourseError(f"{path} is not the results file of a run ({error!r}). Run the course again.") from error
    rows = []
    for name, claim in CLAIMS.items():
        others = sorted(chapter for tested, chapter in found if tested == name and chapter not in claim.chapters)
        for chapter in (*claim.chapters, *others):
            rows.append((name, chapter, *found.get((name, chapter), (UNTESTED, ""))))
    return Ledger(tuple(rows))
