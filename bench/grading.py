"""Rows of `make bench` for grading, against nbgrader: seconds a submission, and what hostile submissions reach.

nbgrader is given what it is best at: chapter 00 as `fewshot-lab release` writes it for it, and for the attacks a notebook in
its own style, one answer with a visible and some hidden tests. There it runs shut in by bubblewrap, since it has no limits.
"""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from measure import row, seconds
from nbformat.v4 import new_code_cell, new_notebook

from fewshot_lab.course.build import build
from fewshot_lab.course.chapters import choose
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.release import release
from fewshot_lab.runtime import usable_cores

WITH_START, ONE_MORE, ROUNDS = 8, 3, 3  # submissions graded in one go, submissions of a round, rounds
PILE = 24  # submissions of a pile
ATTACKS = {
    path.stem: path.read_text() for path in sorted((Path(__file__).parents[1] / "tests" / "grading" / "attacks").glob("*.txt"))
}
WITNESSES = ("a witness", "m witness", "z witness")  # right answers among the attacks: nobody may cost them their points
OUR_WORKER = {
    *("forged_answer_in_advance", "wire_patched", "worker_patched", "worker_says_it_passed"),
    *("every_line_traced", "grandchild_answers", "guard_of_the_course_switched_off", "another_program"),
}  # nbgrader has none
NO_LIMITS = {
    "disk",
    "fork_bomb",
    "memory",
    "one_gigabyte_back",
    "descriptors_used_up",
    "program_left_running",
}  # would use up the machine, which is no news of nbgrader
RIGHT = "def accuracy(logits, labels):\n    return (logits.argmax(dim=1) == labels).float().mean().item()\n"
TESTS = """logits, labels = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), torch.tensor([0, 1, 1])
assert torch.allclose(torch.as_tensor(accuracy(logits, labels)), torch.tensor(2 / 3))
### BEGIN HIDDEN TESTS
generator = torch.Generator().manual_seed(1234)
for n in (1, 4, 8, 32):
    logits, labels = torch.randn(n, 3, generator=generator), torch.randint(3, (n,), generator=generator)
    expected = (logits.argmax(dim=1) == labels).float().mean()
    assert torch.allclose(torch.as_tensor(accuracy(logits, labels)), expected)
### END HIDDEN TESTS"""


def command(*words: str, course: Path, shut_in: bool = False) -> int:
    """Runs a program of this environment in a folder and returns its exit status; -1 after ten minutes."""
    places = {"HOME": "home", "TMPDIR": "tmp", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    before = []
    if shut_in:
        environment |= {name: str(course / "of the kernels" / place) for name, place in places.items()}
        for name in places:
            Path(environment[name]).mkdir(parents=True, exist_ok=True)
        before = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent", "--cap-drop", "ALL"]
        before += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", str(course), str(course)]
    run = [*before, sys.executable, "-m", *words]
    try:
        with open(course / "log.txt", "a") as log:
            return subprocess.run(run, cwd=course, env=environment, stdout=log, stderr=log, timeout=600).returncode
    except subprocess.TimeoutExpired:
        return -1


def answered(nb, answers: dict[str, str]):
    for cell in nb.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    return nb


def hand_in(course: Path, name: str, submissions: dict[str, dict[str, str]]) -> Path:
    """Writes the notebooks that students hand in: nbgrader's release with their answers; returns the folder of them all."""
    released = course / "release" / name / f"{name}.ipynb"
    for student, answers in submissions.items():
        path = course / "submitted" / student / name / f"{name}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(answered(nbformat.read(released, as_version=4), answers), path)
    return course / "submitted"


def mixed(count: int) -> dict[str, dict[str, str]]:
    """Students whose answers are both right, half right, none, by turns."""
    solved = assignment("00").solved
    kinds = [solved, {"accuracy": solved["accuracy"]}, {}]
    return {f"student {number:03d}": kinds[number % 3] for number in range(count)}


def points(course: Path, name: str) -> dict[str, float]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as gradebook:
        return {one.student.id: one.score for one in gradebook.assignment_submissions(name)}


def our_points(out: Path, question: str) -> dict[str, float]:
    with (out / "questions.csv").open() as table:
        return {one["student"]: float(one["score"]) for one in csv.DictReader(table) if one["question"] == question}


def chapter_00(folder: Path, count: int) -> tuple[Path, str, Path]:
    """nbgrader's course folder with chapter 00 and `count` submissions; the chapter's name; the folder handed in."""
    release(["00"], folder)
    course, name = folder / "nbgrader", choose(["00"])[0].name
    if command("nbgrader", "generate_assignment", name, course=course):
        raise RuntimeError(f"nbgrader generate_assignment failed:\n{(course / 'log.txt').read_text()[-2000:]}")
    return course, name, hand_in(course, name, mixed(count))


def the_same(ours: Iterable[float], theirs: Iterable[float]) -> None:
    if list(ours) != list(theirs):
        raise RuntimeError(f"The two graders differ: {list(ours)} and {list(theirs)}.")


def in_one_go() -> dict:
    """The two commands as a teacher gives them, one process each, from nothing to the grades."""
    with TemporaryDirectory() as folder:
        course, name, handed_in = chapter_00(Path(folder), WITH_START)
        out = Path(folder, "grades")

        def ours() -> float:
            words = ("fewshot_lab", "grade", str(handed_in), "--out", str(out), "--jobs", "1")
            return seconds(lambda: command(*words, course=Path(folder))) / WITH_START

        def theirs() -> float:
            return seconds(lambda: command("nbgrader", "autograde", name, course=course)) / WITH_START

        title = f"grading {WITH_START} submissions of chapter 00, start-up included, a submission"
        found = row(title, f"nbgrader {version('nbgrader')} autograde", "s", ours, theirs, rounds=1)
        totals = [sum(scores) for scores in zip(*(our_points(out, q).values() for q in ("accuracy", "interval")), strict=True)]
        the_same(totals, points(course, name).values())
        return found


def one_more() -> dict:
    """What each further submission takes when everything is loaded: our `grade`, nbgrader's `autograde`, in this process."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    from fewshot_lab.grading.grade import grade
    from fewshot_lab.grading.sandbox import Limits, Sandbox, means
    from fewshot_lab.grading.submissions import collect

    with TemporaryDirectory() as folder, Sandbox(means(), Limits()) as sandbox:
        course, name, handed_in = chapter_00(Path(folder), ONE_MORE)
        submissions = collect(handed_in)
        api = NbGraderAPI(config=Config({"CourseDirectory": {"root": str(course)}}))
        graded: dict[str, float] = {}

        def ours() -> float:
            def work() -> None:
                graded.update({one.student: grade(one, sandbox, "1").score for one in submissions})

            return seconds(work) / ONE_MORE

        def theirs() -> float:
            return seconds(lambda: [api.autograde(name, one.student) for one in submissions]) / ONE_MORE

        ours()
        title = "grading a further submission of chapter 00, without start-up"
        found = row(title, f"nbgrader {version('nbgrader')} autograde", "s", ours, theirs, rounds=ROUNDS)
        the_same(graded.values(), points(course, name).values())
        return found


def pile() -> dict:
    """How many submissions of a pile a core grades in a second: ours in a worker for each core, nbgrader's one by one."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    from fewshot_lab.grading.pile import Settings, grade_pile

    with TemporaryDirectory() as folder:
        course, name, handed_in = chapter_00(Path(folder), PILE)
        cores = usable_cores()
        grade_pile(handed_in, Path(folder, "first"), Settings(jobs=cores))  # the workers and their sandboxes stay
        graded: dict[str, float] = {}

        def ours() -> float:
            out = Path(folder, f"grades {len(os.listdir(folder))}")

            def work() -> None:
                graded.update({one.student: one.score for one in grade_pile(handed_in, out, Settings(jobs=cores))})

            return PILE / seconds(work) / cores

        api = NbGraderAPI(config=Config({"CourseDirectory": {"root": str(course)}}))
        some = sorted(os.listdir(handed_in))[:ONE_MORE]

        def theirs() -> float:
            return ONE_MORE / seconds(lambda: [api.autograde(name, student) for student in some])

        title = f"submissions a second and core in a pile of {PILE} of chapter 00, without start-up"
        found = row(title, f"nbgrader {version('nbgrader')} autograde", "a second", ours, theirs, rounds=ROUNDS)
        the_same([graded[student] for student in some], [points(course, name)[student] for student in some])
        return found


def attacks() -> dict:
    """The share of attacks that earn nothing and stop nobody; left out is what nbgrader has no part for or no limit against."""
    names = [name for name in ATTACKS if name not in OUR_WORKER | NO_LIMITS]
    with TemporaryDirectory() as folder, ThreadPoolExecutor(usable_cores()) as side_by_side:
        ours, theirs, parts = _against_us(Path(folder, "ours"), names), {}, usable_cores()  # nothing is timed here
        for found in side_by_side.map(lambda k: _against_nbgrader(Path(folder, f"theirs {k}"), names[k::parts]), range(parts)):
            theirs |= found
    shares = [1 - len(succeeded) / len(names) for succeeded in (ours, theirs)]
    return {
        "name": f"{len(names)} attacks that earn nothing and stop nobody",
        "ours": shares[0],
        "peer": shares[1],
        "peer_version": f"nbgrader {version('nbgrader')} with hidden tests",
        "unit": "share",
        "ratio": shares[0] / shares[1],
        "spread": [shares[0] / shares[1]] * 2,
        "succeed against ours": ours,
        "succeed against the peer": theirs,
        "left out": sorted(OUR_WORKER | NO_LIMITS),
    }


def _against_us(folder: Path, names: list[str]) -> dict[str, str]:
    """The attacks that succeed, with what they reach; chapter 00 is the notebook, `accuracy` the question."""
    chapter = choose(["00"])[0]
    for student in [*names, *WITNESSES]:
        path = folder / "in" / student / chapter.notebook.name
        path.parent.mkdir(parents=True)
        nbformat.write(answered(build(chapter), {"accuracy": ATTACKS.get(student, RIGHT)}), path)
    words = ("fewshot_lab", "grade", str(folder / "in"), "--out", str(folder / "out"), "--timeout", "10")
    if command(*words, course=folder):
        raise RuntimeError(f"`fewshot-lab grade` was stopped:\n{(folder / 'log.txt').read_text()[-2000:]}")
    earned = our_points(folder / "out", "accuracy")
    if any(earned[witness] != 1 for witness in WITNESSES):
        raise RuntimeError(f"A right answer lost its point: {earned}")
    return {name: "earned the point" for name in names if earned[name]}


def _against_nbgrader(course: Path, names: list[str]) -> dict[str, str]:
    """The same with nbgrader. When its process ends before its time, the submission that it was at stopped all that follow;

    then it is started again for those. Raises RuntimeError when a right answer has no point although nothing was stopped.
    """
    if not shutil.which("bwrap"):
        raise RuntimeError("bubblewrap is not installed (apt-get install bubblewrap), and nbgrader alone shuts nobody in")
    marks = {"schema_version": 3, "locked": False, "task": False}
    answer = marks | {"grade_id": "accuracy", "solution": True, "grade": False}
    check = marks | {"grade_id": "check_accuracy", "solution": False, "grade": True, "locked": True, "points": 1}
    source = RIGHT.replace("    return", "    ### BEGIN SOLUTION\n    return") + "    ### END SOLUTION"
    cells = [new_code_cell("import torch"), new_code_cell(source), new_code_cell(TESTS)]
    cells[1].metadata["nbgrader"], cells[2].metadata["nbgrader"] = answer, check
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    (course / "source" / "metrics").mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), course / "source" / "metrics" / "metrics.ipynb")
    command("nbgrader", "generate_assignment", "metrics", course=course)
    waiting = sorted([*names, *WITNESSES])
    handed_in = hand_in(course, "metrics", {name: {"accuracy": ATTACKS.get(name, RIGHT)} for name in waiting})
    stopped, graded = set(), {}
    while waiting:
        command("nbgrader", "autograde", "metrics", "--Execute.timeout=10", course=course, shut_in=True)
        graded = points(course, "metrics")
        begun = [name for name in waiting if name in graded]  # in this order
        if not begun:
            raise RuntimeError(f"nbgrader autograde failed:\n{(course / 'log.txt').read_text()[-2000:]}")
        for name in begun:
            shutil.rmtree(handed_in / name)
        waiting = waiting[len(begun) :]
        if waiting:
            stopped.add(begun[-1])
    if any(graded[witness] != 1 for witness in WITNESSES):
        raise RuntimeError(f"A right answer lost its point in nbgrader: {graded}")
    reached = {name: "stopped the grading of the others" for name in names if name in stopped}
    return reached | {name: "earned the point" for name in names if graded[name]}


ROWS = {
    "grading in one go": in_one_go,
    "grading one more": one_more,
    "grading a pile": pile,
    "grading attacks": attacks,
}
