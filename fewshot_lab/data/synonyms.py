"""Synonyms from WordNet's first senses, inflected like the word that they replace; stop words have none.

A word alone does not say whether it is a noun or a verb, so the part of speech that is most frequent in WordNet's tagged texts
is taken. A synonym whose inflected form is not certain is left out: a wrong word in a text is worse than one synonym less.
"""

import functools
import re

from .wordnet import base_forms, first_senses, index

STOP_WORDS = frozenset(
    "a about above after again all also am an and any are as at be been being between both but by can could did do does "
    "doing down during each either few for from further had has have having he her here him his how i if in into is it "
    "its just like less many may more most much must my no nor not of off often on once one only or other others our out "
    "over own same she should so some such than that the their them then there these they this those through to too two "
    "under until up upon us used usually very was we were what when where which while who whom whose why will with "
    "within without would you your".split()
)
_EDGES = re.compile(r"^(\W*)(.*?)(\W*)$")


@functools.lru_cache(maxsize=50_000)
def synonyms(word: str) -> tuple[str, ...]:
    """The words that may replace a word of a text, with its punctuation; () for a stop word or one that WordNet lacks."""
    before, core, after = _EDGES.match(word).groups()
    # Capitals are left out, because they are names; so are words of one or two letters, most of which are abbreviations.
    if not core.isalpha() or not core.islower() or core in STOP_WORDS or len(core) < 3:
        return ()
    if (analysis := _analysis(core)) is None:
        return ()
    part, base, form = analysis
    inflected = (_inflected(other, part, form) for other in first_senses(part)[base].words if other != base)
    return tuple(dict.fromkeys(before + other + after for other in inflected if other and other != core))


class Thesaurus(dict):
    """A dictionary {word: synonyms} that looks a word up when it is first asked for."""

    def __missing__(self, word: str) -> tuple[str, ...]:
        self[word] = synonyms(word)
        return self[word]

    def get(self, word: str, default=()) -> tuple[str, ...]:
        # dict.get does not call __missing__
        return self[word] or default


def _analysis(word: str) -> tuple[str, str, str] | None:
    """The most frequent (part of speech, base form, form) of a word, form "", "s", "ed" or "ing"; None for an unknown word."""
    known = [
        (index(part)[base][1], -rank, (part, base, form))  # of equally frequent ones the first of n, a, v, r
        for rank, part in enumerate("navr")
        for base, form in _bases(word, part)
        if base in index(part)
    ]
    return max(known)[2] if known else None


def _bases(word: str, part: str) -> list[tuple[str, str]]:
    """The base forms that a word may have by WordNet's lists and the rules of English spelling."""
    bases = [(word, "")]
    if word in base_forms(part) and part in "nv":
        irregular = base_forms(part)[word]
        bases.append((irregular, "s" if part == "n" else "ing" if word.endswith("ing") else "ed"))
    if part in "nv" and word.endswith("s") and not word.endswith("ss"):
        bases += [(base, "s") for base in _stems(word, "s")]
    if part == "v":
        bases += [(base, form) for form in ("ed", "ing") if word.endswith(form) for base in _stems(word, form)]
    # A base form is kept when the rules lead from it to the word again ("hoping" is of "hope", not of "hop").
    return [bases[0]] + [(base, form) for base, form in bases[1:] if _regular(base, form) == word or word in base_forms(part)]


def _stems(word: str, form: str) -> list[str]:
    """What may be left of a word without its ending: carried -> carri, carrie, carry."""
    stem = word.removesuffix(form)
    stems = [stem, stem + "e"]
    if form != "ing" and word.endswith("i" + ("es" if form == "s" else form)):
        stems.append(word[: -len("ies")] + "y" if form == "s" else word[: -len("ied")] + "y")
    if form == "s" and word.endswith("es"):
        stems.append(word[:-2])
    if form != "s" and len(stem) > 2 and stem[-1] == stem[-2]:
        stems.append(stem[:-1])
    return stems


def _inflected(words: str, part: str, form: str) -> str | None:
    """A word, or words that end in a noun, in a form; None for a name and where the form is not certain."""
    if (
        not re.fullmatch(r"[a-z-]+( [a-z-]+)*", words)
        or " " in words
        and part != "n"
        or re.search(r" (of|in|to|for|and) ", words)
    ):
        return None
    if not form:
        return words
    *front, last = words.split(" ")
    known = _irregular(part).get(last, ())
    if part == "n" or form == "ed":
        if len(known) > 1:  # such as "got" and "gotten"
            return None
        last = known[0] if known else _regular(last, form)
    else:
        last = _regular(last, form)
    return " ".join([*front, last])


def _regular(base: str, form: str) -> str:
    """A base form with -s, -ed or -ing by the rules of spelling."""
    # One short vowel and one consonant: the consonant is doubled before -ed and -ing.
    short = re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprt]", base)
    if form == "s":
        if re.search(r"[^aeiou]y$", base):
            return base[:-1] + "ies"
        return base + ("es" if re.search(r"(s|x|z|ch|sh)$", base) else "s")
    if form == "ed":
        if re.search(r"[^aeiou]y$", base):
            return base[:-1] + "ied"
        return base + ("d" if base.endswith("e") else base[-1] + "ed" if short else "ed")
    if base.endswith("e") and not base.endswith(("ee", "oe", "ye")):
        return base[:-1] + "ing"
    return base + (base[-1] + "ing" if short else "ing")


@functools.cache
def _irregular(part: str) -> dict[str, tuple[str, ...]]:
    """{base form: its irregular forms}, without those in -ing."""
    forms: dict[str, list[str]] = {}
    for form, base in base_forms(part).items():
        if not form.endswith("ing"):
            forms.setdefault(base, []).append(form)
    return {base: tuple(irregular) for base, irregular in forms.items()}
