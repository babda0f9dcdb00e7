"""`fewshot-lab collect`: verifies the hand-ins of a class, chooses each student's newest complete ones, says who is late."""

import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ..errors import CourseError
from ..files import sha256_of, write_atomically, writing_failed
from ..languages import english, say
from .assignment import assignment
from .gradebook import as_csv
from .late import LateRules, hours_late
from .submissions import Submission, found_in, unanswered

TABLE = "collected.csv"
HEAD = "student chapter file sha256 handed_in arrived owner hours_late answered missing state".split()


@dataclass
class Collected:
    """What came of it: the files in the pile, the rows of the table, and what a person should look at."""

    pile: Path
    files: list[Path] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


def collect_hand_ins(places: Sequence[Path], pile: Path, rules: LateRules | None = None) -> Collected:
    """Copies the hand-in files that count into a folder, unchanged, and writes collected.csv there about all of them.

    Of several by a student, the newest that is complete counts for each chapter; else the one with most answers. Files are
    never changed or removed, also those from earlier calls; a file that is there already stays as it is. What lies in a pile is
    graded by `fewshot-lab grade PILE`. Raises CourseError where a place is not there or holds no hand-in.

    Args:
        places: hand-in files, folders of them or a platform's zips.
        pile: the folder that they are copied to.
        rules: when they were due.
    """
    pile, rules = Path(pile), rules or LateRules()
    collected, found = Collected(pile), []
    for place in map(Path, places):
        for ranked in found_in(place).values():
            found += [(rank, one, place) for rank, one in ranked]
    if not any(one.within[0] for _, one, _ in found):
        listed = ", ".join(map(str, places))
        raise CourseError(
            say(
                "No file in {listed} was made by lab.hand_in(). Notebooks without a receipt need no collecting: "
                "name their folder to fewshot-lab grade.",
                listed=listed,
            )
        )
    attempts = defaultdict(list)
    for rank, one, place in found:
        attempts[one.student, one.ident, one.chapter].append((rank, one, place))
    copied: dict[Path, Path] = {}
    for (student, _, chapter), ranked in sorted(attempts.items(), key=lambda item: item[0]):
        ranked.sort(key=lambda row: row[0])
        *_, (_, best, _) = ranked
        for _, one, place in ranked:
            origin = place / one.file if one.file else place
            counts = one is best and not one.problem
            if counts and origin not in copied:
                # A plain notebook does not say whose it is: in the pile, too, its folder does.
                plain = not one.within[0] and origin.suffix != ".zip"
                copied[origin] = _copy(origin, pile / (student.replace("/", "_").lstrip(".") or "unnamed") if plain else pile)
            late = hours_late(one.handed_in, student, chapter, rules)
            state = "counts" if counts else english(one.problem) or "an older or a less complete attempt"
            collected.rows.append(_row(one, origin, late, state))
            if one.problem:
                collected.trouble.append(f"{student}: {one.path}: {one.problem}")
            elif counts and late > 0:
                late_words = say("chapter {chapter} is {late:.1f} hours late", chapter=chapter, late=late)
                collected.trouble.append(f"{student}: {late_words}")
            elif counts and not one.within[0]:
                without = say("{path} has no receipt; it was copied as it is", path=one.path)
                collected.trouble.append(f"{student}: {without}")
    collected.files = list(copied.values())
    write_atomically(pile / TABLE, as_csv(HEAD, collected.rows))
    return collected


def _row(one: Submission, origin: Path, late: float, state: str) -> list[str]:
    missing = unanswered(one) if one.chapter and not one.problem else ()
    answered = len(assignment(one.chapter).stubs) - len(missing) if one.chapter and not one.problem else 0
    try:
        about = origin.stat()
        arrived = datetime.fromtimestamp(about.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        owner = origin.owner()
    except (OSError, KeyError, NotImplementedError, AttributeError):  # KeyError: a number without a name
        arrived, owner = "", ""
    name, sha256 = one.within if one.within[0] else (one.path, one.digest)
    lateness = f"{late:.1f}" if late > 0 else ""
    origins = [name, sha256, one.handed_in, arrived, owner, lateness]
    return [one.student, one.chapter, *origins, str(answered), "; ".join(missing), state]


def _copy(origin: Path, pile: Path) -> Path:
    """Copies a file into the pile, with its time, under a name that no other content has there."""
    target = pile / origin.name
    try:
        pile.mkdir(parents=True, exist_ok=True)
        if target.exists() and sha256_of(target) != sha256_of(origin):
            target = target.with_name(f"{origin.stem}-{sha256_of(origin)[:8]}{origin.suffix}")
        if not target.exists():
            temporary = target.with_name(f".{target.name}.part")
            shutil.copy2(origin, temporary)
            os.replace(temporary, target)
    except OSError as error:
        raise writing_failed(target, error) from error
    return target
