"""Grades one submission: its answers run in a child process of the sandbox; their results are compared out here."""

import ast
import contextlib
import hashlib
import resource
import signal
import threading
import time
from dataclasses import asdict, dataclass, field
from enum import StrEnum

import torch

from ..checking import examine
from ..course.build import STUB
from ..exercises import Exercise
from ..languages import later, say
from .assignment import Assignment, Question, assignment, helpers_of
from .inside.confine import address_space
from .own_cells import needed, parsed
from .remote import CALL_SECONDS, OwnImplementation, RemoteFunction
from .sandbox import Ended, Sandbox
from .submissions import Submission

FRESH_CASES = 12
CELL_SECONDS = 20.0
COMPARING = 2 * 2**30  # bytes of memory that comparing an answer's results may take out here
LONGEST_TEXT, MOST_DETAILS = 2000, 40  # characters of a text in a mark, and how many texts
STOPPED_THE_GRADER = "stopped the grader"  # the status of what ended the grader's own process twice
SHARE = 4  # one cell or one question may use at most a quarter of a submission's time
_ENDED = {
    "timeout": later("It did not come to an end in time, and was stopped."),
    "ended": later("It ended the process that it ran in (out of memory, out of time, a call like sys.exit, or a crash)."),
    "nonsense": later("What came out of its process could not be read."),
}


class MarkStatus(StrEnum):
    """The outcome of one question; the first three are those of a check in the notebook."""

    PASSED = later("passed")
    FAILED = later("failed")
    NOT_ATTEMPTED = later("not attempted")
    MISSING = later("missing")
    STOPPED = later("stopped")  # it took too long or ended its process
    OWN_CODE = later("own code")  # it calls the course's own solution
    BY_HAND = later("by hand")  # waits for the instructor
    MARKED = later("marked")  # by the instructor


@dataclass
class Mark:
    """One question's outcome."""

    grade_id: str
    title: str
    score: float
    max_score: float
    status: MarkStatus
    message: str = ""
    details: list[str] = field(default_factory=list)
    mistake: str | None = None
    seconds: float = 0.0


@dataclass
class Graded:
    """A graded submission. `status`: "graded", or "unreadable" or "stopped the grader" with the reason in `problem`."""

    student: str
    chapter: str
    path: str
    ident: str
    status: str
    marks: list[Mark]
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    memory: int = 0
    output: str = ""
    digest: str = ""
    handed_in: str = ""  # by the receipt, ISO format in UTC; "" where there is none
    hours_late: float = 0.0
    penalty: float = 0.0  # points taken off for being late

    @property
    def score(self) -> float:
        return max(0.0, sum(mark.score for mark in self.marks) - self.penalty)

    @property
    def max_score(self) -> float:
        return sum(mark.max_score for mark in self.marks)

    def as_record(self) -> dict:
        return asdict(self) | {"score": self.score, "max_score": self.max_score}


def grade(submission: Submission, sandbox: Sandbox, seed: str, seconds: float = 120.0) -> Graded:
    """Grades a submission; whatever the submission does, it raises nothing.

    Args:
        submission: the answers of one student to one chapter.
        sandbox: the sandbox that runs them.
        seed: decides the hidden cases, the same ones for every student.
        seconds: about how long the whole submission may take.
    """
    started = time.monotonic()
    if submission.problem or not submission.chapter:
        # A file that cannot be read still gets a row with 0 of the chapter's points, where its name gives the chapter.
        questions = assignment(submission.chapter).questions if submission.chapter else ()
        marks = [_mark(question, MarkStatus.MISSING, say("The notebook could not be read.")) for question in questions]
        return _graded(submission, "unreadable", marks, started, problem=submission.problem)
    run = _Run(assignment(submission.chapter), submission, sandbox, seed, started, seconds)
    run.examine_all()
    marks = [run.marks[question.grade_id] for question in run.task.questions]
    return _graded(submission, "graded", marks, started, memory=run.memory, output=run.output)


def stopped_the_grader(submission: Submission) -> Graded:
    """What a submission gets that ended the grader's own process twice: a row of its own, for a person to look at."""
    words = say("Grading it ended the grader's own process twice, the second time alone: look at it by hand.")
    questions = assignment(submission.chapter).questions if submission.chapter else ()
    marks = [_mark(question, MarkStatus.STOPPED, words) for question in questions]
    return _graded(submission, STOPPED_THE_GRADER, marks, time.monotonic(), problem=words)


def _graded(submission: Submission, status: str, marks: list[Mark], started: float, **more) -> Graded:
    seconds = round(time.monotonic() - started, 4)
    origin = (submission.student, submission.chapter, submission.path, submission.ident)
    more |= {"notes": list(submission.notes), "answers": submission.answers, "digest": submission.digest}
    more |= {"handed_in": submission.handed_in}
    return Graded(*origin, status, marks, seconds=seconds, **more)


class _Run:
    """Grades one submission in as many child processes as it takes.

    One child runs the cells in the notebook's order, and each question is examined where its check stands: after what is above
    it and before what is below, which may use its names for something else. An answer may end the child at any moment: it gets
    no marks, joins `left_out`, and the questions without a mark go to a new child without that answer.
    A question is settled once it has an entry in `marks`.
    """

    def __init__(self, task: Assignment, submission: Submission, sandbox: Sandbox, seed: str, started: float, seconds: float):
        self.task, self.sandbox, self.seed = task, sandbox, seed
        self.deadline, self.share = started + seconds, seconds / SHARE
        self.child, self.lost = None, 0.0  # what children that have ended waited for a core is given back
        self.answers = {grade_id: text for grade_id, text in submission.answers.items() if grade_id in task.stubs}
        self.below = submission.below
        self.own = {name: needed(cells, self.answers.get(name, "")) for name, cells in submission.own.items()}
        self.marks: dict[str, Mark] = {}
        self.left_out: set[str] = set()
        self.memory, self.output = 0, ""
        # These questions need no child: there is nothing to run, or nothing that a machine can judge.
        for question in task.questions:
            if question.grade_id not in self.answers:
                words = say("The answer's cell is not in the notebook.")
                self.marks[question.grade_id] = _mark(question, MarkStatus.MISSING, words)
            elif _untouched(task, question, self.answers):
                words = say("The answer's cell is as it was handed out.")
                self.marks[question.grade_id] = _mark(question, MarkStatus.NOT_ATTEMPTED, words)
            elif question.exercise is None:
                words = say("To be marked by the instructor.")
                self.marks[question.grade_id] = _mark(question, MarkStatus.BY_HAND, words)

    def examine_all(self) -> None:
        """Settles every question: first in the notebook's order, then the failed ones again, as kindly as can be."""
        settled = set(self.marks)
        # Ends because every pass settles a question or leaves out one more answer (`_settle`).
        while waiting := [q for q in self.task.questions if q.grade_id not in self.marks]:
            self._one_child(waiting, {})
        # An answer may be correct and fail only because it calls one that is wrong, blank or below it, or be stopped only
        # because of another. So it gets a second chance beside correct helpers, after all of them and without the rest, and
        # with the copies that stand below its check. Only a pass counts: nobody can lose marks by it.
        for question in self.task.questions:
            name = question.grade_id
            before = self.marks[name]
            if name in settled or before.status in (MarkStatus.PASSED, MarkStatus.OWN_CODE):
                continue
            helpers = helpers_of(self.task, self.answers[name]) - {name}
            solved = {other: self.task.solved[other] for other in helpers if self.marks[other].status != MarkStatus.PASSED}
            texts = [self.answers[name]] if helpers or before.status == MarkStatus.STOPPED else []
            texts += [self.below[name]] if name in self.below else []
            for text in texts:
                if self.marks[name].status == MarkStatus.PASSED or self._now() >= self.deadline:
                    break
                del self.marks[name]
                self.left_out.discard(name)  # it may have ended a child only because of the others
                self._one_child([question], solved | {name: text}, only=helpers | {name})
                after = self.marks.get(name, before)  # it has no mark when a helper ended the child
                self.marks[name] = after if after.status == MarkStatus.PASSED else before

    def _one_child(self, questions: list[Question], replaced: dict[str, str], only: set[str] | None = None) -> None:
        """Runs the notebook's cells in a new child and examines these questions until the child ends.

        Args:
            questions: what to examine; a call settles one of them, or leaves the answer that ended the child out of the next.
            replaced: {grade_id: source} that runs instead of the student's answer.
            only: the answers that run at all, all of them by default; where they are given, questions are examined at the end.
        """
        child, running = self.sandbox.child(), None  # running: the answer to blame if the child ends now
        self.child, waiting = child, {question.grade_id: question for question in questions}
        try:
            problems = {}
            for grade_id, source in self.task.pieces:
                running = grade_id
                left_out = grade_id in self.left_out or only is not None and grade_id not in only
                if grade_id and left_out and grade_id not in replaced:
                    continue
                if grade_id and self.own.get(grade_id):
                    child.ask({"cell": self.own[grade_id]}, self._seconds(min(CELL_SECONDS, self.share)))
                source = replaced.get(grade_id, self.answers.get(grade_id, "")) if grade_id else source
                ran = child.ask({"cell": source}, self._seconds(min(CELL_SECONDS, self.share)))
                # A cell of the release that fails is no student's fault, and an answer may not need what it defines.
                if ran["status"] != "ran" and grade_id:
                    what = {"kind": str(ran.get("kind"))[:80], "words": str(ran.get("words"))[:500]}
                    problems[grade_id] = say("Its cell stops with {kind}: {words}", **what)
                if grade_id in waiting and only is None:
                    self.marks[grade_id] = self._examined(waiting.pop(grade_id), child, source, problems.get(grade_id))
            for running, question in waiting.items():
                source = replaced.get(running, self.answers.get(running, ""))
                self.marks[running] = self._examined(question, child, source, problems.get(running))
        except Ended as ended:
            self._settle(running, questions, ended.why)
        finally:
            self.lost, self.child = self.lost + child.lost(), None
            report = child.close()  # also after Ended: it frees the process and brings what the cells printed
            self.memory = max(self.memory, int(report.get("memory") or 0))
            self.output = self.output or str(report.get("output", ""))

    def _examined(self, question: Question, child, source: str, problem: str | None) -> Mark:
        started = time.monotonic()
        most = child.clock() + self._seconds(self.share)
        answer = RemoteFunction(child, question.exercise.name, CALL_SECONDS, most)
        try:
            hidden = _hidden(self.seed, question.exercise.name)
            with _bounded(self.share, COMPARING):
                feedback = examine(question.exercise, answer, hidden, FRESH_CASES, hidden=True)
        except OwnImplementation as error:
            words = say("The answer uses the course's own code ({error}). Write it yourself.", error=error)
            return _mark(question, MarkStatus.OWN_CODE, words)
        except (Ended, NotImplementedError):
            raise
        except Exception as error:  # whatever a hostile result does to a comparison
            words = say("What the function returns could not be compared ({kind}).", kind=type(error).__name__)
            return _mark(question, MarkStatus.FAILED, words)
        mark = _mark(question, MarkStatus(feedback.status), feedback.message, feedback.details, feedback.mistake)
        if mark.status == MarkStatus.PASSED and (claims := _unseen(question.exercise, self.own.get(mark.grade_id, ""), source)):
            mark.score, mark.status = 0.0, MarkStatus.BY_HAND
            mark.message = say(
                "All results are right. What only the answer's own process can tell does not show in its source, so a person "
                "looks at it: {claims}",
                claims=" ".join(map(say, claims)),
            )
        # A cell may stop after it has defined the function, at a line of the learner's own. Where the function is not there, or
        # is wrong, the cell's error tells more than what came of it.
        if problem and mark.status != MarkStatus.PASSED:
            mark.status, mark.details = MarkStatus.FAILED, [problem, *mark.details]
            if feedback.mistake is None:
                mark.message, mark.details[0] = problem, mark.message
        mark.seconds = round(time.monotonic() - started, 4)
        return mark

    def _settle(self, running: str | None, questions: list[Question], why: str) -> None:
        """Gives the answer that was running when the child ended no marks, and leaves it out of the next child."""
        by_id = {question.grade_id: question for question in self.task.questions}
        over = self._now() >= self.deadline
        # Out of time, or ended while the release's own code ran: a new child would end in the same way, so all are settled.
        for grade_id in [q.grade_id for q in questions] if over or running is None else [running]:
            # An answer that has its mark may still end a later child when its cell runs there; only a pass stays.
            if grade_id not in self.marks or grade_id == running and self.marks[grade_id].status != MarkStatus.PASSED:
                words = say("The submission's time was over.") if over and grade_id != running else say(_ENDED[why])
                self.marks[grade_id] = _mark(by_id[grade_id], MarkStatus.STOPPED, words)
        if running:
            self.left_out.add(running)

    def _seconds(self, most: float) -> float:
        return max(min(most, self.deadline - self._now()), 0.01)

    def _now(self) -> float:
        """The time, as if nobody had waited for a core."""
        return time.monotonic() - self.lost - (self.child.lost() if self.child else 0.0)


def _unseen(exercise: Exercise, *sources: str) -> list[str]:
    """The statements of the properties that an answer could claim of itself, and which its source does not show."""
    tree = ast.Module([node for source in sources for node in parsed(source)], [])
    return [prop.statement for prop in exercise.properties if prop.shown and not prop.shown(tree)]


@contextlib.contextmanager
def _bounded(seconds: float, memory: int):
    """Limits what a comparison takes in this process: a result that is small may make a law multiply it to gigabytes.

    More memory raises the error of whoever asked for it; more seconds of this process's own time raise Ended.
    """
    if threading.current_thread() is not threading.main_thread():  # a thread of a Dask worker: signals are not its own
        yield
        return

    def stop(*_):
        raise Ended("timeout")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = address_space() + memory
    before = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


def _untouched(task: Assignment, question: Question, answers: dict[str, str]) -> bool:
    """Whether a cell is as blank as it was handed out. A listing left unrepaired is an answer, though a wrong one."""
    answer = answers[question.grade_id]
    return task.is_blank(question.grade_id, answer) and (
        question.exercise is None or any(text.partition("\n")[0] in answer for text in STUB.values())
    )


def _mark(question: Question, status: MarkStatus, message: str, details=(), mistake=None) -> Mark:
    score = question.points if status == MarkStatus.PASSED else 0.0
    # What an answer returned is quoted in these texts, and it may be megabytes long.
    message, details = message[:LONGEST_TEXT], [text[:LONGEST_TEXT] for text in list(details)[:MOST_DETAILS]]
    return Mark(question.grade_id, question.title, score, question.points, status, message, details, mistake)


def _hidden(seed: str, name: str) -> torch.Generator:
    """The generator of a question's hidden cases: the same for every student; without the seed nobody can guess it."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big"))
