"""Your own data: what reading pictures, texts and tagged sentences has in common. Nothing is written where they are."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import CourseError
from ..languages import later, say

SHARES = {"train": 0.5, "validation": 0.2, "test": 0.3}
FEWEST = 4  # different examples of a class: two to learn from, one for validation, one for the test
MOST_CLASSES = 1000
NAMED = 3  # files or classes that a sentence names before it says how many more there are


@dataclass
class LeftOut:
    """What was not read and why: {reason: what}, in the order in which it was found."""

    by_reason: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, reason: str) -> None:
        """Notes one file or line; `reason` is a text that was said."""
        self.by_reason.setdefault(reason, []).append(what)

    def __len__(self) -> int:
        return sum(map(len, self.by_reason.values()))

    def lines(self) -> list[str]:
        """A line for each reason, with the first few that it holds for."""
        return [say("Left out, {reason}: {what}", reason=r, what=some(what)) for r, what in self.by_reason.items()]


def some(names: Sequence[str], most: int = NAMED) -> str:
    """The first few names and how many more there are: "a, b, c and 7 more"."""
    listed = ", ".join(names[:most])
    return say("{listed} and {n} more", listed=listed, n=len(names) - most) if len(names) > most else listed


def readable(name: str) -> str:
    """A name as it can be printed: composed characters (NFC), and "?" for bytes that are no character."""
    return unicodedata.normalize("NFC", str(name).encode("utf-8", "replace").decode("utf-8"))


def digest(content: bytes | str) -> bytes:
    """What orders examples at random and always alike, whatever their names and the order in which they are listed."""
    return hashlib.sha256(content.encode("utf-8", "replace") if isinstance(content, str) else content).digest()


def part_by(place: bytes, test: float, validation: float) -> str:
    """The part into which a digest falls, whatever the other examples are: the two shares, and the rest for training."""
    share = int.from_bytes(place[:4]) / 2**32
    return "test" if share < test else "validation" if share < test + validation else "train"


def existing(path: str | Path, *, want: str) -> Path:
    """The path, with ~ filled in; raises CourseError where nothing is there or where it is an archive.

    want: what should be there, such as "a folder with one folder for each class".
    """
    path = Path(path).expanduser()
    if not str(path).strip() or str(path) == "." or not path.exists():
        raise CourseError(
            say(
                "There is nothing at {path!r} (looked for in {here}). Give the path of {want}.",
                path=str(path),
                here=Path.cwd(),
                want=say(want),
            )
        )
    if path.is_file() and path.suffix.lower() in {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}:
        raise CourseError(
            say(
                "{readable} is an archive. Unpack it, and give the path of {want}.",
                readable=readable(path.name),
                want=say(want),
            )
        )
    return path


def entries(folder: Path) -> list[Path]:
    """What is in a folder, without what is hidden; nothing where it is none or may not be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError:
        return []


def folders(folder: Path) -> list[Path]:
    """The folders in a folder, without hidden ones."""
    return [path for path in entries(folder) if path.is_dir()]


def chosen_classes(
    found: Collection[str], wanted: Collection[str] | None, where: str, most: int = MOST_CLASSES
) -> tuple[str, ...]:
    """The classes to use, in alphabetical order: those found, or the wanted ones; raises CourseError for impossible ones."""
    names = sorted(found if wanted is None else set(wanted))
    if missing := [name for name in names if name not in found]:
        raise CourseError(
            say(
                "{where} has no class {missing}; it has {some}.",
                where=where,
                missing=", ".join(map(repr, missing)),
                some=some(sorted(found), 10),
            )
        )
    if len(names) < 2:
        only = say("only one class, {name!r}", name=names[0]) if names else say("no class")
        raise CourseError(
            say(
                "{where} has {only}; a classification needs at least two. Add examples of another class.",
                where=where,
                only=only,
            )
        )
    if len(names) > most:
        raise CourseError(
            say(
                "{where} has {names:,} classes ({some}); at most {most:,} are taken at once. If these are no "
                "classes, give the path or the column that holds them; else choose some with classes=[...].",
                where=where,
                names=len(names),
                some=some(names),
                most=most,
            )
        )
    return tuple(names)


def check_counts(
    counts: Mapping[str, int],
    where: str,
    what: str,
    *,
    name: str = later("a class"),
    option: str = "classes",
    least: int = 2,
) -> None:
    """Raises CourseError when a class has too few examples for three parts.

    Args:
        counts: the examples of each class.
        where: the folder or file.
        what: the examples, such as "different pictures".
        name: what a class is.
        option: the argument that chooses some of them.
        least: how many classes must be left.
    """
    few = {of_class: count for of_class, count in counts.items() if count < FEWEST}
    if few:
        listed = some([say("{name} has {count}", name=of_class, count=count) for of_class, count in few.items()])
        enough = [of_class for of_class in counts if of_class not in few]
        choice = f"{option}={enough}" if len(enough) <= 12 else f"{option}=[...]"
        rest = say(", or leave out what is too small with {choice}", choice=choice) if len(enough) >= least else ""
        raise CourseError(
            say(
                "{where}: {name} needs at least {known} {what}, to learn from, to choose with and to test on, "
                "but {listed}. Add some{rest}.",
                where=where,
                name=say(name),
                known=FEWEST,
                what=say(what),
                listed=listed,
                rest=rest,
            )
        )


def parts_of(
    groups: Sequence[Hashable], classes: Sequence[Collection[str]], order: Sequence[bytes], shares: Mapping[str, float] = SHARES
) -> list[str]:
    """The part of every example, "train", "validation" or "test", with each class in each part in proportion.

    The rarest class is dealt out first, and each of its groups goes to the part that lacks most (iterative stratification;
    Sechidis, Tsoumakas & Vlahavas 2011, ECML PKDD). Nothing is drawn: `order` decides, so that the same examples always fall
    into the same parts.

    Args:
        groups: of every example; examples of one group, such as copies of a picture, fall into one part.
        classes: those of every example, none or several.
        order: of every example, what it is sorted by (`digest`).
        shares: of each part.
    """
    members: dict[Hashable, set[str]] = {}
    first: dict[Hashable, bytes] = {}
    for group, of_row, key in zip(groups, classes, order, strict=True):
        members.setdefault(group, set()).update(of_row)
        first[group] = min(first.get(group, key), key)
    # None is the class of the groups without any, such as sentences without an entity; they come last.
    groups_of: dict[str | None, list[Hashable]] = {}
    for group, names in members.items():
        for name in names or (None,):
            groups_of.setdefault(name, []).append(group)
    part_of: dict[Hashable, str] = {}
    for _, own in sorted(groups_of.items(), key=lambda item: (item[0] is None, len(item[1]), item[0])):
        have = Counter(part_of[group] for group in own if group in part_of)
        for group in sorted((group for group in own if group not in part_of), key=first.__getitem__):
            part = max(shares, key=lambda part: shares[part] * len(own) - have[part])
            part_of[group] = part
            have[part] += 1
    return [part_of[group] for group in groups]


def counted_parts(count: Mapping[str, int]) -> str:
    """How many examples are in each part, as a sentence; a part that `count` lacks has none."""
    counts = {part: count.get(part, 0) for part in SHARES}
    return say("{train} to learn from, {validation} for validation, {test} for the test.", **counts)


def counted(labels: Sequence[str]) -> str:
    """The classes with their numbers of examples, the largest first: "cat 40, dog 38 and 5 more"."""
    return some([f"{name} {count}" for name, count in Counter(labels).most_common()], 8)
