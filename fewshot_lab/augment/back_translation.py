"""Back-translation: into another language and back (Sennrich, Haddow & Birch 2016, ACL), here by Apertium, English and Spanish.

Apertium (Forcada et al. 2011, Machine Translation) translates by rules and dictionaries. One call translates all texts in one
direction: starting the programs takes longer than hundreds of sentences.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence

FORTH, BACK = "eng-spa", "spa-eng"
FULL_STOP = " ."


def translator() -> str | None:
    """The translator's name and version, such as "Apertium 3.8.3"; None when it is not installed or lacks the two languages."""
    if not (program := shutil.which("apertium")):
        return None
    pairs = subprocess.run([program, "-l"], capture_output=True, text=True).stdout.split()
    version = subprocess.run([program, "-V"], capture_output=True, text=True).stdout.split("\n")[0].strip()
    return version if FORTH in pairs and BACK in pairs else None


def translate(texts: Sequence[str], direction: str) -> list[str]:
    """The translations of texts, in their order; words that the dictionary lacks stay as they are.

    direction: FORTH or BACK. Raises RuntimeError when the translator fails or does not return one line for each text.
    """
    if not texts:
        return []
    # A full stop ends every line and is removed again: it keeps the words of one text from changing the translation of the
    # next (in one text of fifty they still do).
    lines = "".join(" ".join(text.split()) + FULL_STOP + "\n" for text in texts)
    command = ["apertium", "-u", "-f", "line", direction]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, encoding="utf-8")
    translated = done.stdout.removesuffix("\n").split("\n")
    if done.returncode or len(translated) != len(texts):
        raise RuntimeError(f"Apertium gave {len(translated)} lines for {len(texts)} texts. {done.stderr.strip()}")
    return [line.rstrip().removesuffix(".").rstrip() for line in translated]


def back_translated(texts: Sequence[str]) -> list[str]:
    """Each text translated to Spanish and back, and cleaned by `clean`; needs Apertium (`translator`)."""
    returned = translate(translate(texts, FORTH), BACK)
    return [clean(back, text) for back, text in zip(returned, texts, strict=True)]


def clean(back: str, text: str) -> str:
    """A round trip without Apertium's signs (* unknown word, @ and # not translated), capitalised as the text is.

    An empty round trip gives the text itself.
    """
    back = " ".join(re.sub(r"(?<!\S)[*@#](?=\w)", "", back).split())
    if back and text and not text[0].isupper():
        back = back[0].lower() + back[1:]
    return back or text
