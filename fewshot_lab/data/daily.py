"""The People's Daily of January 1998, segmented and tagged by hand at Peking University (Yu et al. 2002), as BIO sentences.

Three of its tags are names: nr of a person, ns of a place, nt of an organisation. What becomes an entity:

* Surname and given name are two words there (江/nr 泽民/nr) and one entity here. Of neighbouring nr words, from left to right,
  a surname of one character or one of SURNAMES is joined with the next word if that has at most two characters or describes
  one that the typesetters lacked, "钟（昆音）". One, one and two characters alone are one person: 陈/nr 方/nr 安生/nr.
* Neighbouring places or organisations stay the entities that the corpus writes: 安徽省/ns 合肥市/ns.
* An organisation is what is one nt word. Those of several words stand in brackets in the published corpus, which the asset's
  copy has lost: the names in 中央/n 人民/n 广播/vn 电台/n and 中国/ns 共产党/n are none here, and one place.

The tokens are characters. Words would tell a tagger where names begin and end, by the hand of the people who marked the names.
"""

import functools
import random
import re
import sys
from collections.abc import Iterator
from itertools import groupby

from ..assets import fetch
from .conll import Sentence, Span, TaggingTask, bio

TYPES = {"nr": "PER", "ns": "LOC", "nt": "ORG"}
SURNAMES = frozenset("欧阳 诸葛 司马 上官 司徒 南宫 令狐 夏侯 皇甫 东方 尉迟 公孙 慕容 宇文 长孙 端木".split())
ENDS = {"train": 0.7, "validation": 0.85, "test": 1.0}  # of the lines, in their order: the month's first weeks are for training
SIZES = {"train": 10_000, "validation": 1_000, "test": 2_000}  # sentences, at least: more than a chapter needs, read in seconds
LONGEST = 126  # characters: with <s> and </s> they fill the 128 pieces that a tagger reads

_TAG = re.compile(r"/([A-Za-z]+) *")
_SENTENCE = re.compile(r".+?[。！？]/w(?: +[。！？”’）』」》]/w)*(?= |$)|.+$")
_NUMBER = re.compile(r"[\d〇零一二三四五六七八九十百千万]+")


def lines() -> list[str]:
    """The corpus as it is written, "word/tag  word/tag ...": a headline or a paragraph a line. Fetches the asset "daily"."""
    text = (fetch("daily") / "199801.txt").read_text(encoding="utf-8")
    return [stripped for line in text.split("\n") if (stripped := line.strip())]


@functools.cache
def task() -> TaggingTask:
    """Sentences of up to LONGEST characters with their BIO tags (PER, LOC, ORG); a sentence's group is its article.

    Training, validation and test are drawn from the month's beginning, its middle and its end, cut between articles. Of
    sentences that differ in nothing but numbers the first is kept. Whole articles are drawn, in a random order, until
    a part has its size, so that its first sentences are of several days.
    """
    parts: dict[str, list[list[str]]] = {part: [] for part in ENDS}
    seen: set[str] = set()
    all_lines, done = lines(), 0
    for article in _articles(all_lines):
        part = next(part for part, end in ENDS.items() if done < end * len(all_lines))
        done += len(article)
        parts[part].append(
            [s for line in article for s in map(str.strip, _SENTENCE.findall(line)) if _is_new(_TAG.sub("", s), seen)]
        )
    return TaggingTask("People's Daily", **{part: _drawn(part, articles) for part, articles in parts.items()})


def entities(sentence: str) -> list[Span]:
    """The names in a sentence as it is written in the corpus: (type, first character, behind the last character)."""
    words = [word.rpartition("/") for word in sentence.split()]
    spans, end = [], 0
    for tag, group in groupby(words, key=lambda word: word[2]):
        names = [word for word, _, _ in group]
        for name in _joined(names) if tag == "nr" else names:
            if tag in TYPES:
                spans.append((TYPES[tag], end, end + len(name)))
            end += len(name)
    return spans


def _joined(names: list[str]) -> Iterator[str]:
    """Neighbouring nr words as the names of persons."""
    if [len(name) for name in names] == [1, 1, 2]:  # a married woman's two surnames
        names = ["".join(names[:2]), names[2]]
        yield "".join(names)
        return
    index = 0
    while index < len(names):
        surname, given = names[index], names[index + 1] if index + 1 < len(names) else ""
        follows = 0 < len(given) <= 2 or "（" in given or "〈" in given
        joined = (len(surname) == 1 or surname in SURNAMES) and follows
        yield surname + given if joined else surname
        index += 1 + joined


def _articles(all_lines: list[str]) -> Iterator[list[str]]:
    """The lines of one article after the other: a headline, short and without a full stop, begins one after a line of text."""
    article, was_headline = [], False
    for line in all_lines:
        text = _TAG.sub("", line)
        headline = text[-1] not in "。！？…：；”’）』」》" and len(text) <= 40
        if headline and not was_headline and article:
            yield article
            article = []
        article.append(line)
        was_headline = headline
    yield article


def _is_new(text: str, seen: set[str]) -> bool:
    """Whether a text is short enough and was not seen before, whatever its numbers; adds it to those seen."""
    key = _NUMBER.sub("0", text)
    if len(text) > LONGEST or key in seen:
        return False
    seen.add(key)
    return True


def _drawn(part: str, articles: list[list[str]]) -> tuple[Sentence, ...]:
    sentences: list[Sentence] = []
    for group in random.Random(f"few-shot lab {part}").sample(range(len(articles)), len(articles)):
        sentences += [_tagged(sentence, group) for sentence in articles[group]]
        if len(sentences) >= SIZES[part]:
            break
    return tuple(sentences)


def _tagged(sentence: str, group: int) -> Sentence:
    # Interned: of half a million characters few thousand differ.
    characters = tuple(map(sys.intern, _TAG.sub("", sentence)))
    return Sentence(characters, bio(entities(sentence), len(characters)), group)
