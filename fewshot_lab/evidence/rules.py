"""The rules of evidence, read from rules.toml: claims, their parts, thresholds and seeds as they stood before a run."""

import hashlib
import json
import re
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..training.metrics import Estimate

FILE = Path(__file__).with_name("rules.toml")
RELATIONS = (">", "<")
_RESERVED = {"claim", "text", "evidence", "exploring", "missing"}  # arguments of `verdict`, beside which the parts are keywords


@dataclass(frozen=True)
class Threshold:
    """A smallest effect of interest, or another limit, with the reason for it; `ratio`: it multiplies instead of adding."""

    value: float
    unit: str
    reason: str
    ratio: bool = False


@dataclass(frozen=True)
class Profile:
    """The first seed of a profile's runs, and why."""

    first_seed: int
    reason: str


@dataclass(frozen=True)
class PartRule:
    """One part of the case for a claim: what must lie above (">") or below ("<") a threshold, by more than the margin.

    Args:
        name: the keyword by which a chapter gives its estimate to `verdict`.
        statement: what the estimate is of, in words.
        relation: ">" or "<".
        threshold: a number in the estimate's unit.
        margin: the name of one of the file's thresholds, or "" for none.
        arms: whose trainings are compared.
    """

    name: str
    statement: str
    relation: str
    threshold: float
    margin: str = ""
    arms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """A claim as it is tested: one sentence, which ledger, verdict and docs share, and the parts that decide it.

    Args:
        id: an article's claim with an optional letter ("C1a"), or a lower-case name ("warm-up") for a chapter's own question.
        sentence: what is claimed.
        chapter: the number of the one chapter that tests it.
        article: the article's claim to which it belongs, or "".
        testable: False where the course cannot test it.
        reason: why not.
        short: True where short trainings are the subject, so that they need not come to rest.
        budget: steps, labels and seeds, in words.
        quick: in what the quick profile falls short of that budget, since it was shortened after a run of the full profile.
        parts: none where it cannot be tested.
    """

    id: str
    sentence: str
    chapter: str
    article: str = ""
    testable: bool = True
    reason: str = ""
    short: bool = False
    budget: str = ""
    quick: str = ""
    parts: tuple[PartRule, ...] = ()


@dataclass(frozen=True)
class Paper:
    """A row of the literature's ledger: what a paper reports, and which claim asks it of the course's own records.

    Args:
        claim: the claim that tests it; its parts are the row's.
        paper: authors, year and venue.
        says: what it reports, in our words.
        reported: its number, or that it was not looked up.
        where: page or table of that number, as far as it was looked up.
        differs: why ours may differ, in a sentence.
        records: {part: record}, "03 name" for a result of chapter 03 or "09 claim.part" for a part of one of its verdicts. A
            part without one is measured by the chapter of the ledger.
        without: why there may be no such record although the chapter ran.
    """

    claim: str
    paper: str
    says: str
    reported: str
    where: str
    differs: str
    records: dict = field(default_factory=dict)
    without: str = ""


@dataclass(frozen=True)
class Rules:
    """The content of rules.toml: `article` holds {"C1": the article's claim}, the others are by name too."""

    thresholds: dict[str, Threshold]
    profiles: dict[str, Profile]
    article: dict[str, str]
    claims: dict[str, Claim]
    content: dict[str, Any]
    literature: dict[str, Paper] = field(default_factory=dict)

    def hash(self, claim: str = "", profile: str = "quick") -> str:
        """The first 12 hex digits of the sha256 of the rules' content, or of what it says of one claim.

        A claim's hash covers its sentence, budget and parts, their margins, and the limits and seeds that all claims share, so
        that a new claim makes no verdict on another look old. What is said of the quick profile alone does not make a verdict
        of the full profile look old either. Raises KeyError when the file does not know the claim.
        """
        content = self.content if not claim else self._about(claim, profile)
        # Canonical JSON: neither comments, spaces nor the order of the sections count.
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def _about(self, claim: str, profile: str) -> dict[str, Any]:
        used = {part.margin for part in self.claims[claim].parts} - {""} | {"share_at_rest", "alpha"}
        thresholds = {name: asdict(self.thresholds[name]) for name in used}
        profiles = {name: asdict(profile) for name, profile in self.profiles.items()}
        about = asdict(self.claims[claim])
        if profile == "full" or not about["quick"]:
            del about["quick"]
        return {"claim": about, "thresholds": thresholds, "profiles": profiles}

    def of_chapter(self, chapter: str) -> list[Claim]:
        """The claims that a chapter tests."""
        return [claim for claim in self.claims.values() if claim.chapter == chapter]

    def of_article(self, name: str) -> list[Claim]:
        """The sentences that are tested of one of the article's claims."""
        return [claim for claim in self.claims.values() if claim.article == name]


def read_rules(path: Path = FILE) -> Rules:
    """The rules in a file; raises ValueError that names the entry which is missing or wrong."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is no TOML: {error}") from error
    thresholds = {name: _made(Threshold, entry, f"thresholds.{name}") for name, entry in content.get("thresholds", {}).items()}
    profiles = {name: _made(Profile, entry, f"profiles.{name}") for name, entry in content.get("profiles", {}).items()}
    for section, names, needed in (
        ("thresholds", thresholds, ("share_at_rest", "alpha")),
        ("profiles", profiles, ("quick", "full")),
    ):
        if missing := set(needed) - names.keys():
            raise ValueError(f"rules.toml: {section} lacks {', '.join(sorted(missing))}.")
    article = {name: str(entry.get("claim", "")) for name, entry in content.get("article", {}).items()}
    claims = {name: _claim(name, entry, thresholds, article) for name, entry in content.get("claims", {}).items()}
    if untested := article.keys() - {claim.article for claim in claims.values()}:
        raise ValueError(f"rules.toml: no claim belongs to {', '.join(sorted(untested))} of the article.")
    literature = {name: _made(Paper, entry, f"literature.{name}") for name, entry in content.get("literature", {}).items()}
    for name, paper in literature.items():
        parts = {part.name for part in claims[paper.claim].parts} if paper.claim in claims else set()
        if not parts or paper.records.keys() - parts:
            raise ValueError(f"rules.toml: literature.{name} needs a claim with parts, and records of these parts only.")
    return Rules(thresholds, profiles, article, claims, content, literature)


def _claim(name: str, entry: dict, thresholds: dict, article: dict) -> Claim:
    place = f"claims.{name}"
    parts = [_made(PartRule, _tidy(part), f"{place}.parts[{i}]") for i, part in enumerate(entry.get("parts", []))]
    claim = _made(Claim, {"id": name} | entry | {"parts": tuple(parts)}, place)
    belongs = re.fullmatch(r"(C\d+)[a-z]?", name)
    if not belongs and not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ValueError(f"rules.toml: {place} is neither an article's claim such as C1a nor a name such as warm-up.")
    if claim.article != (belongs.group(1) if belongs else "") or claim.article and claim.article not in article:
        raise ValueError(f"rules.toml: {place}.article is {claim.article!r}, which does not fit the name or is no claim.")
    if not re.fullmatch(r"\d\d", claim.chapter):
        raise ValueError(f"rules.toml: {place}.chapter is {claim.chapter!r}; two digits are needed.")
    if claim.testable == bool(claim.reason) or claim.testable != bool(parts):
        raise ValueError(f"rules.toml: {place} needs parts if it is testable, else a reason, and never both.")
    for part in parts:
        _check(part, f"{place}, part {part.name!r}", thresholds)
    if len({part.name for part in parts}) < len(parts):
        raise ValueError(f"rules.toml: {place} names two parts alike.")
    return claim


def _check(part: PartRule, place: str, thresholds: dict) -> None:
    if not part.name.isidentifier() or part.name in _RESERVED:
        raise ValueError(f"rules.toml: {place}: a name is a Python identifier and none of {', '.join(sorted(_RESERVED))}.")
    if part.relation not in RELATIONS:
        raise ValueError(f"rules.toml: {place}: relation is {part.relation!r}; it must be '>' or '<'.")
    if part.margin and part.margin not in thresholds:
        raise ValueError(f"rules.toml: {place}: margin {part.margin!r} is no threshold; there are {', '.join(thresholds)}.")


def _tidy(part: dict) -> dict:
    """A part as TOML has it, with its margin 0 as "" and its arms as a tuple."""
    return part | {"margin": part.get("margin") or "", "arms": tuple(part.get("arms", ()))}


def _made(kind: type, entry: dict, place: str):
    """The dataclass with these fields; raises ValueError for one that is missing, unknown or of the wrong type."""
    types = {name: field.type for name, field in kind.__dataclass_fields__.items()}
    if unknown := entry.keys() - types.keys():
        raise ValueError(f"rules.toml: {place} has no field {', '.join(sorted(unknown))}; there are {', '.join(types)}.")
    for name, value in entry.items():
        wanted = (int, float) if types[name] is float else types[name] if isinstance(types[name], type) else tuple
        # In Python, True is a number too.
        if not isinstance(value, wanted) or isinstance(value, bool) and types[name] is not bool:
            raise ValueError(f"rules.toml: {place}.{name} is {value!r}, which is no {getattr(wanted, '__name__', 'number')}.")
    try:
        return kind(**entry)
    except TypeError as error:
        raise ValueError(f"rules.toml: {place}: {error}") from error


RULES = read_rules()


def still_learning(estimate: Estimate) -> list[tuple[str, float]]:
    """The arms of an estimate of whose trainings too few had come to rest, with the shares that had."""
    return [(arm, share) for arm, share in getattr(estimate, "rest", ()) if share < RULES.thresholds["share_at_rest"].value]
