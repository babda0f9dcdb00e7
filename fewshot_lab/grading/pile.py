"""Grades a pile of submissions in parallel, with a journal from which an interrupted run resumes.

Nobody is graded twice: what the journal holds is taken from it.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from ..errors import CourseError
from ..files import locked, write_atomically, writing_failed
from ..languages import later, say
from ..runtime import process_state, usable_cores, workers
from .grade import STOPPED_THE_GRADER, Graded, Mark, grade, stopped_the_grader
from .sandbox import Limits, Sandbox, means
from .submissions import Submission, collect

JOURNAL = "journal.jsonl"
BEGUN = ".begun"  # beside it: what workers are at
SEED_LENGTH = 16
NO_SANDBOX = later(
    "Submissions are other people's programs, and this machine has no way to shut them in: neither bubblewrap (on Debian and "
    "Ubuntu: apt-get install bubblewrap) nor user namespaces work here. Grade on a Linux machine that has one of them, or in a "
    "virtual machine that you can throw away: there, --unsafe grades without a sandbox."
)


@dataclass(frozen=True)
class Settings:
    """How a pile is graded.

    Args:
        seed: decides the hidden cases, at least SEED_LENGTH characters that nobody can guess; "" draws one.
        seconds: for a submission.
        limits: what a submission may use.
        jobs: how many submissions are graded at a time, 0 for one per core.
        unsafe: grades without a sandbox where there is none.
        dask: the address of a Dask cluster's scheduler; its workers then grade, each in a sandbox on its own machine.
    """

    seed: str = ""
    seconds: float = 120.0
    limits: Limits = Limits()
    jobs: int = 0
    unsafe: bool = False
    dask: str = ""


def _silent(rows: Iterator, total: int) -> Iterator:
    return rows


def grade_pile(
    place: Path,
    out: Path,
    settings: Settings,
    chapters: Sequence[str] = (),
    resume: bool = False,
    progress=_silent,
    again: Callable[[Submission], bool] | None = None,
    students: Collection[str] = (),
) -> list[Graded]:
    """Grades submissions in parallel and returns all of them, including those graded before the run was resumed.

    Raises CourseError when there is no sandbox, when `out` holds another run, or when it cannot be written.

    Args:
        place: the folder or zip with the submissions.
        out: the folder whose journal receives each grading as soon as it is made.
        settings: seed, limits and parallelism.
        chapters: which chapters count, all by default.
        resume: continues the run in `out`.
        progress: called with the results and their number, returns them; for a progress bar.
        again: says which submissions are graded anew although nothing in them has changed.
        students: whose submissions count, everybody's by default.
    """
    # Asked before anything is read or written; with Dask each worker asks on its own machine.
    how = "" if settings.dask else _means(settings.unsafe)
    if 0 < len(settings.seed) < SEED_LENGTH:
        raise CourseError(
            say(
                "A seed of {seed} characters can be guessed, and with it the hidden cases: leave --seed out, and "
                "one is drawn and kept in {known}; or take the seed of an earlier run from there.",
                seed=len(settings.seed),
                known=JOURNAL,
            )
        )
    submissions = [s for s in collect(place) if not chapters or s.chapter in chapters]
    submissions = [s for s in submissions if not students or s.student in students]
    with locked(Path(out) / JOURNAL, say("Another grading writes to {out}; waiting for its end.", out=out)):
        journal = _Journal(Path(out) / JOURNAL, settings.seed, resume)
        done = {_key(graded): graded for graded in journal.graded}
        keys = {_key(submission): submission for submission in submissions}
        # The key covers the answers: whoever has handed in something else since is graded again.
        waiting = [one for key, one in keys.items() if key not in done or again and again(one)]
        for graded in progress(_all_graded(waiting, how, journal.seed, settings, Path(out) / BEGUN), len(waiting)):
            journal.add(graded)
            done[_key(graded)] = graded
    return [done[key] for key in keys]


def graded_before(out: Path) -> list[Graded]:
    """The gradings in the journal of `out`, the latest of each student and chapter; raises CourseError when there is none."""
    path = Path(out) / JOURNAL
    if not path.exists():
        raise CourseError(
            say("{out} holds no grading: grade submissions first (fewshot-lab grade SUBMISSIONS --out {out}).", out=out)
        )
    latest = {(one.chapter, one.student): one for one in _Journal(path, "", resume=True).graded}
    return [latest[key] for key in sorted(latest)]


def _all_graded(waiting: list[Submission], how: str, seed: str, settings: Settings, begun: Path) -> Iterator[Graded]:
    """Grades submissions in workers; one that ends its worker, and does so once more alone, has stopped the grader.

    begun: a folder in which a worker notes what it is at. Its files outlive it, and a run that was killed.
    """
    import joblib

    by_key = {_key(submission): submission for submission in waiting}
    note = None if settings.dask else begun  # a cluster's workers may be on other machines

    def graded(keys: list[str], jobs: int) -> Iterator[Graded]:
        calls = [joblib.delayed(_grade_one)(by_key[key], how, seed, settings, note) for key in keys]
        with workers(jobs, settings.dask):
            # Unordered and one at a time: a result reaches the journal when it is ready, not after a slow one before it.
            for one in joblib.Parallel(return_as="generator_unordered", batch_size=1)(calls):
                by_key.pop(_key(one), None)
                yield one

    suspects = {path.name for path in begun.glob("*")} & set(by_key)
    jobs = settings.jobs or max(1, min(usable_cores(), len(waiting)))
    while others := [key for key in by_key if key not in suspects]:
        try:
            yield from graded(others, jobs)
        except BrokenProcessPool:
            suspects |= {path.name for path in begun.glob("*")} & set(by_key)
    for key in suspects & set(by_key):
        try:
            yield from graded([key], 2)  # with one job there would be no process but this one
        except BrokenProcessPool:
            yield stopped_the_grader(by_key[key])
    shutil.rmtree(begun, ignore_errors=True)


_SANDBOXES: dict[tuple, Sandbox] = {}  # a worker's sandboxes; starting one takes seconds, so it serves all submissions


def _grade_one(submission: Submission, how: str, seed: str, settings: Settings, begun: Path | None) -> Graded:
    """Grades with this process's own sandbox, kept for the next submission; `how` is "" on another machine."""
    if begun:
        begun.mkdir(exist_ok=True)
        noted = begun / _key(submission)
        noted.write_text(str(os.getpid()), encoding="ascii")
    key = (settings.limits, os.getpid())  # the process too: a forked worker must not share its parent's sandbox
    with process_state:  # a check watches torch's global generator
        if key not in _SANDBOXES:
            _SANDBOXES[key] = Sandbox(how or _means(settings.unsafe), settings.limits, slot=os.getpid() % 1000)
        graded = grade(submission, _SANDBOXES[key], seed, settings.seconds)
    if begun:
        noted.unlink(missing_ok=True)
    return graded


def _means(unsafe: bool) -> str:
    how = means() or ("none" if unsafe else None)
    if how is None:
        raise CourseError(say(NO_SANDBOX))
    return how


def _key(one: Submission | Graded) -> str:
    """Identifies who handed in what; a submission and its grading have the same key."""
    # That it stopped the grader is no problem of what was handed in: the grading alone has it.
    problem = getattr(one, "status", "") != STOPPED_THE_GRADER and bool(one.problem)  # not its words, which have a language
    content = json.dumps([one.student, one.chapter, one.digest, sorted(one.answers.items()), problem])
    return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()


class _Journal:
    """The record of a grading run: a line of JSON with its seed, then one for each graded submission.

    A run may be killed at any moment, at worst while it writes: then the last line is incomplete. Reading skips such a line, so
    that submission is graded again.
    """

    def __init__(self, path: Path, seed: str, resume: bool):
        self.path, self.graded = path, []
        if path.exists() and not resume:
            raise CourseError(
                say(
                    "{parent} holds a run already: go on with it (--resume), or name another folder (--out).",
                    parent=path.parent,
                )
            )
        try:
            lines = self._read(seed) if path.exists() else []
        except OSError as error:
            raise writing_failed(path, error) from error
        if not lines:
            self.seed = seed or secrets.token_hex(8)
            lines = [json.dumps({"seed": self.seed})]
        # Written anew without an incomplete last line: the next one would otherwise be appended to it and be lost too.
        write_atomically(path, "".join(f"{line}\n" for line in lines))
        os.chmod(path, 0o600)  # it holds the seed, and everybody's marks

    def add(self, graded: Graded) -> None:
        line = json.dumps(graded.as_record(), ensure_ascii=True)
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                # On the disk before the next one is graded: a power cut must not lose what the bar showed as done.
                os.fsync(file.fileno())
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def _read(self, seed: str) -> list[str]:
        lines = []
        written = self.path.read_bytes().split(b"\n")
        for number, raw in enumerate(written, 1):
            try:
                line = raw.decode()
                record = json.loads(line)
            except ValueError as error:
                if number < len(written):  # every line but the last ends: this one was whole once
                    raise self._damaged(number, say("it is no JSON")) from error
                continue  # the incomplete line of a killed run, or the end of the file
            if not lines:
                if not isinstance(record, dict) or not isinstance(record.get("seed"), str):
                    raise self._damaged(number, say("it should hold the seed of the hidden cases"))
                # With another seed, students before and after the interruption would get different hidden cases.
                self.seed = record["seed"]
                if seed and seed != self.seed:
                    raise CourseError(
                        say(
                            "{parent} was begun with --seed {seed}: leave --seed out to go on.",
                            parent=self.path.parent,
                            seed=self.seed,
                        )
                    )
            else:
                try:
                    self.graded.append(_graded(record))
                except (TypeError, KeyError, AttributeError) as error:
                    words = say("another version of the course wrote it, or it was changed ({error})", error=error)
                    raise self._damaged(number, words) from error
            lines.append(line)
        return lines

    def _damaged(self, number: int, what: str) -> CourseError:
        return CourseError(
            say(
                "{path}, line {number}: {what}. Nothing was changed. Take the file from a backup, or remove this "
                "line: its submission is then graded again by --resume.",
                path=self.path,
                number=number,
                what=what,
            )
        )


def _graded(record: dict) -> Graded:
    fields = {name: value for name, value in record.items() if name not in ("score", "max_score")}
    return Graded(**{**fields, "marks": [Mark(**mark) for mark in record["marks"]]})
