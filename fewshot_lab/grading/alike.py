"""Answers that are nearly the same, for the instructor's judgement: shared fingerprints (Schleimer, Wilkerson & Aiken 2003).

An answer is represented by the set of its runs of five tokens, in which one word replaces every name that the student chose.
Runs that were handed out or that many share (more than 10 students, and more than one in twenty) say nothing and do not count.
"""

import io
import keyword
import tokenize
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .assignment import assignment
from .grade import Graded, MarkStatus

RUN = 5  # tokens
LEAST_SHARED = 12  # runs; fewer are too short an answer to say anything
NEARLY_ALL = 0.8  # of the longer answer's runs
_LEFT_ASIDE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@dataclass(frozen=True)
class Group:
    """Students whose answers share nearly all of what is not common. `alike`: the smallest share between linked answers."""

    chapter: str
    question: str
    students: tuple[str, ...]
    alike: float
    identical: bool
    passed: bool


def alike(graded: Sequence[Graded]) -> list[Group]:
    """Groups of near-identical answers to one question, the largest first. No proof: short answers resemble each other."""
    answers = defaultdict(list)
    for one in graded:
        for mark in one.marks:
            if mark.status not in (MarkStatus.NOT_ATTEMPTED, MarkStatus.MISSING) and mark.grade_id in one.answers:
                answers[one.chapter, mark.grade_id].append((one.student, one.answers[mark.grade_id], mark.score > 0))
    groups = [group for question, handed_in in answers.items() for group in _groups(*question, handed_in)]
    return sorted(groups, key=lambda group: (-len(group.students), group.chapter, group.question, group.students))


def fingerprints(source: str) -> set[tuple[str, ...]]:
    """The runs of five tokens of a program, or of five words of a text that is no valid Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
        words, attribute = [], False
        for token in tokens:
            if token.type in _LEFT_ASIDE:
                continue
            # Renaming variables is the first thing a copier does; attributes stay, since they name the library's functions.
            own = token.type == tokenize.NAME and not keyword.iskeyword(token.string) and not attribute
            words.append("name" if own else token.string)
            attribute = token.string == "."
    except (tokenize.TokenError, SyntaxError, RecursionError, ValueError):  # ValueError: half a character, since Python 3.12
        words = source.lower().split()
    return {tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)}


def _groups(chapter: str, question: str, handed_in: list[tuple[str, str, bool]]):
    import numpy as np
    from scipy.sparse import csr_array, triu
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import CountVectorizer

    if len(handed_in) < 2:
        return
    stub = set().union(*map(fingerprints, assignment(chapter).blanks.get(question, ())))
    common = max(10, len(handed_in) // 20)
    counting = CountVectorizer(analyzer=lambda source: fingerprints(source) - stub, binary=True, max_df=common, dtype=np.int32)
    try:
        counted = counting.fit_transform([source for _, source, _ in handed_in])
    except ValueError:  # scikit-learn raises it when no run is left
        return
    sizes = np.asarray(counted.sum(axis=1)).ravel()
    # A sparse product counts the shared runs of all pairs at once; a loop over pairs would take minutes for a large course.
    shared = triu(counted @ counted.T, k=1).tocoo()
    share = shared.data / np.maximum(sizes[shared.row], sizes[shared.col])
    linked = (shared.data >= LEAST_SHARED) & (share >= NEARLY_ALL)
    rows, columns = shared.row[linked], shared.col[linked]
    # A group is a connected component: A copied from B and B from C puts all three together.
    links = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(handed_in),) * 2)
    _, label = connected_components(links, directed=False)
    for number in np.unique(label[rows]):
        members = [handed_in[i] for i in np.flatnonzero(label == number)]
        least = share[linked][label[rows] == number].min()
        students = tuple(sorted(student for student, _, _ in members))
        identical = len({source.strip() for _, source, _ in members}) == 1
        yield Group(chapter, question, students, float(least), identical, all(passed for *_, passed in members))
