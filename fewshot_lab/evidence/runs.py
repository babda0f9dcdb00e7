"""The record of a run, results.json: the outcome of each chapter. Only this module writes and reads the format."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CourseError
from ..languages import say
from .records import CheckStatus, Result, Verdict

FILE = "results.json"  # its name in the folder of the run
IDENTITY = ("profile", "device", "parameters", "sha256")  # what a chapter's results depend on


@dataclass(frozen=True)
class ChapterRun:
    """One chapter of a run; `identity` has the keys of IDENTITY, `error` is {"cell", "message"} where it failed.

    to_repair: how many of the failed `checks` are of code that is handed out broken, and as it was handed out.
    """

    id: str
    title: str = ""
    notebook: str = ""
    html: str = ""
    status: str = "ok"
    seconds: float = 0.0
    identity: dict[str, Any] = field(default_factory=dict)
    checks: dict[CheckStatus, int] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    error: dict[str, str] | None = None
    to_repair: int = 0

    @property
    def headlines(self) -> list[Result]:
        """The results that stand for the chapter in a table."""
        return [result for result in self.results.values() if result.headline]

    def as_json(self) -> dict:
        """The chapter's entry in results.json; names and claims are keys there, so results and verdicts do not repeat them."""
        content = {
            "id": self.id,
            "title": self.title,
            "notebook": self.notebook,
            "html": self.html,
            "status": self.status,
            "seconds": self.seconds,
            **self.identity,
            "checks": {status.replace(" ", "_"): self.checks.get(status, 0) for status in CheckStatus},
            "headline": [result.name for result in self.headlines],
            "results": {name: _without(result.as_json(), "name", "headline") for name, result in self.results.items()},
            "verdicts": {claim: _without(verdict.as_json(), "claim") for claim, verdict in self.verdicts.items()},
        }
        optional = {"to_repair": self.to_repair, "error": self.error}
        return content | {name: value for name, value in optional.items() if value}

    @classmethod
    def from_json(cls, content: dict) -> "ChapterRun":
        """The inverse of `as_json`; only "id" is required."""
        checks, headlines = content.get("checks", {}), content.get("headline", [])
        results = [Result.from_json(r | {"name": n, "headline": n in headlines}) for n, r in content.get("results", {}).items()]
        verdicts = [Verdict.from_json(v | {"claim": claim}) for claim, v in content.get("verdicts", {}).items()]
        return cls(
            **{name: str(content[name]) for name in ("id", "title", "notebook", "html", "status") if name in content},
            seconds=float(content.get("seconds", 0.0)),
            identity={name: content[name] for name in IDENTITY if name in content},
            checks={status: int(checks.get(status.replace(" ", "_"), 0)) for status in CheckStatus},
            results={result.name: result for result in results},
            verdicts={verdict.claim: verdict for verdict in verdicts},
            error=content.get("error"),
            to_repair=int(content.get("to_repair", 0)),
        )


@dataclass
class Run:
    """A run of chapters: where, when and with which versions; `request` holds what was asked for, for resuming it."""

    profile: str = "unknown"
    device: str = ""
    machine: str = ""
    started: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    chapters: list[ChapterRun] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The time that all chapters took."""
        return round(sum(chapter.seconds for chapter in self.chapters), 2)

    def as_text(self) -> str:
        """The content of results.json."""
        content = {
            "profile": self.profile,
            "device": self.device,
            "machine": self.machine,
            "seconds": self.seconds,
            "started": self.started,
            "versions": self.versions,
            "request": self.request,
            "chapters": [chapter.as_json() for chapter in self.chapters],
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, content: dict) -> "Run":
        """A run from the content of results.json; only "chapters" is required."""
        named = {name: content[name] for name in ("profile", "device", "started", "versions", "request") if name in content}
        machine = content.get("machine", content.get("device", ""))
        return cls(**named, machine=machine, chapters=[ChapterRun.from_json(entry) for entry in content["chapters"]])


def read_run(path: Path) -> Run:
    """The run that a results.json records; raises CourseError when the file cannot be read or is damaged."""
    try:
        return Run.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or repr(error)
        raise CourseError(
            say(
                "{path} is not the record of a run ({reason}). Give the folder of a run, such as runs/latest, or "
                "run the course again.",
                path=path,
                reason=reason,
            )
        ) from error


def latest_in(runs: Path) -> Path:
    """The folder of the latest run, which may not exist; runs/latest is a link to it, or a file with its name."""
    latest = runs / "latest"
    return runs / latest.read_text(encoding="utf-8").strip() if latest.is_file() else latest


def _without(content: dict, *names: str) -> dict:
    return {name: value for name, value in content.items() if name not in names}
