"""Back-translation: into another language and back (Sennrich, Haddow & Birch 2016, ACL), here by Apertium, English and Spanish.

Apertium (Forcada et al. 2011, Machine Translation) translates by rules and dictionaries. One call serves all texts of a
direction: starting the programs takes longer than hundreds of sentences.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence

THERE, BACK = "eng-spa", "spa-eng"
STOP = " ."


def translator() -> str | None:
    """The translator's name and version, such as "Apertium 3.8.3"; None when it is not here or lacks the two languages."""
    if not (program := shutil.which("apertium")):
        return None
    pairs = subprocess.run([program, "-l"], capture_output=True, text=True).stdout.split()
    version = subprocess.run([program, "-V"], capture_output=True, text=True).stdout.split("\n")[0].strip()
    return version if THERE in pairs and BACK in pairs else None


def translate(texts: Sequence[str], direction: str) -> list[str]:
    """The translations of texts (one line each), in their order; words that the dictionary lacks stay as they are.

    A full stop ends every line and is taken away again: it keeps the words of one text from changing how the next is read
    (in one text of fifty they still do). Raises RuntimeError when the translator fails or does not give one line for each text.
    """
    if not texts:
        return []
    lines = "".join(" ".join(text.split()) + STOP + "\n" for text in texts)
    command = ["apertium", "-u", "-f", "line", direction]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8")
    found = done.stdout.removesuffix("\n").split("\n")
    if done.returncode or len(found) != len(texts):
        raise RuntimeError(f"Apertium gave {len(found)} lines for {len(texts)} texts. {done.stderr.strip()}")
    return [line.rstrip().removesuffix(".").rstrip() for line in found]


def back_translated(texts: Sequence[str]) -> list[str]:
    """Each text into Spanish and back, cleaned by `clean`; needs `translator()`."""
    returned = translate(translate(texts, THERE), BACK)
    return [clean(back, text) for back, text in zip(returned, texts, strict=True)]


def clean(back: str, text: str) -> str:
    """A round trip without the translator's marks (* unknown, @ and # unfinished), beginning in the text's case."""
    back = " ".join(re.sub(r"(?<!\S)[*@#](?=\w)", "", back).split())
    if back and text and not text[0].isupper():
        back = back[0].lower() + back[1:]
    return back or text
