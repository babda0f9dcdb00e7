"""How cost grows: over workers, images, episodes, submissions and students, and what a course of 10,000 learners would take.

Every curve is measured several times, sizes by turns, and a line is fitted: seconds = start + slope n, the slope with its 95 %
interval (Student's, from the residuals).
"""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import nbformat
import scipy.stats
import torch
from grading import answered
from measure import one_thread, seconds
from training import small_training

from fewshot_lab.course.build import build
from fewshot_lab.course.chapters import chapters
from fewshot_lab.data.episodes import draw_episodes, glyph_pool
from fewshot_lab.grading.assignment import assignment
from fewshot_lab.grading.pile import Settings, grade_pile
from fewshot_lab.grading.report import write_report
from fewshot_lab.methods.prototypes import episode_accuracies
from fewshot_lab.models import conv_net
from fewshot_lab.runtime import usable_cores
from fewshot_lab.training import combinations, sweep, train

REPEATS, LEARNERS = 3, 10_000
CORES = (2, 16, 64)


def curve(name: str, unit: str, sizes: Sequence[int], measure: Callable[[int], float], repeats: int = REPEATS) -> dict:
    """Seconds at every size, after one call at the smallest to warm up, and the fitted line."""
    measure(sizes[0])
    points = [(n, measure(n)) for _ in range(repeats) for n in sizes]
    line = scipy.stats.linregress(*zip(*points, strict=True))
    half = scipy.stats.t.ppf(0.975, len(points) - 2) * line.stderr
    fit = {"start": line.intercept, "slope": line.slope, "low": line.slope - half, "high": line.slope + half}
    return {"name": name, "unit": unit, "points": points, **fit}


def over_workers(name: str, measure: Callable[[int], float]) -> dict:
    """The same work with one worker and with two, by turns; speedup: the median of the rounds' ratios, with their range."""
    for jobs in (1, 2):
        measure(jobs)
    rounds = [(measure(1), measure(2)) for _ in range(REPEATS)]
    ratios = [one / two for one, two in rounds]
    points = [(jobs, taken) for both in rounds for jobs, taken in zip((1, 2), both, strict=True)]
    return {"name": name, "points": points, "speedup": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}


def images(n: int) -> float:
    """A pass over n images of 28x28 pixels, batch 32."""
    generator = torch.Generator().manual_seed(0)
    shown = torch.randint(256, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(16, (n,), generator=generator)
    return seconds(lambda: train(conv_net(16), shown, labels, steps=n // 32, batch_size=32, device="cpu"))


def episodes(n: int) -> float:
    """n episodes, 5-way 1-shot with 5 queries a class, drawn and judged from known features."""
    pool = glyph_pool("test", jitter="mild")
    features = torch.randn(len(pool.images), 64, generator=torch.Generator().manual_seed(0))

    def judge() -> None:
        episode_accuracies(features, draw_episodes(pool, n, way=5, shots=1, queries=5, seed=0))

    return seconds(judge)


class Course:
    """Solved notebooks of all chapters that are graded, handed in by turns: student 0 the first chapter, and so on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs, self.graded, self.bytes = folder, 0, [], 0
        self.notebooks = {}
        for chapter in chapters():
            if solved := assignment(chapter.id).solved:
                self.notebooks[chapter.notebook.name] = nbformat.writes(answered(build(chapter), solved))

    def grade(self, count: int, jobs: int) -> float:
        """Seconds to grade `count` submissions with so many workers; every one must get full marks."""
        self.runs += 1
        place, out = self.folder / f"in {self.runs}", self.folder / f"out {self.runs}"
        names = list(self.notebooks)
        for number in range(count):
            name = names[number % len(names)]
            (place / f"student {number:03d}").mkdir(parents=True)
            (place / f"student {number:03d}" / name).write_text(self.notebooks[name])
        taken = seconds(lambda: setattr(self, "graded", grade_pile(place, out, Settings(seed="1", jobs=jobs))))
        failed = [one.chapter for one in self.graded if any(m.score < m.max_score for m in one.marks if m.status != "by hand")]
        if failed:
            raise RuntimeError(f"Solved notebooks without full marks: chapters {', '.join(sorted(set(failed)))}.")
        self.bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / count
        return taken

    def report(self, students: int) -> float:
        """Seconds to write tables, pages and the search for equal answers of so many students, each with every chapter."""
        one_of_each = {one.chapter: one for one in self.graded}.values()
        many = [replace(one, student=f"student {i:05d}") for i in range(students) for one in one_of_each]
        self.runs += 1
        out = self.folder / f"report {self.runs}"
        taken = seconds(lambda: write_report(many, out))
        self.page_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / students
        return taken


def projection(course: Course, grading: dict, reporting: dict, jobs: int) -> dict:
    """What a course of LEARNERS takes, from the slopes: figures, and the assumptions under which they hold."""
    submissions = LEARNERS * len(course.notebooks)
    core_seconds = {end: grading[end] * jobs for end in ("slope", "low", "high")}
    hours = {cores: [submissions * core_seconds[end] / cores / 3600 for end in ("slope", "low", "high")] for cores in CORES}
    return {
        "learners": LEARNERS,
        "submissions": submissions,
        "core_seconds_a_submission": [core_seconds[end] for end in ("slope", "low", "high")],
        "hours_by_cores": {str(cores): value for cores, value in hours.items()},
        "report_hours": LEARNERS * reporting["slope"] / 3600,
        "disk_gb": (submissions * course.bytes + LEARNERS * course.page_bytes) / 1e9,
        "assumptions": [
            f"each of {LEARNERS:,} learners hands in each of {len(course.notebooks)} graded chapters once",
            "submissions are right: one that loops for ever costs its whole time limit (120 s by default) on one core",
            f"a submission costs what it costs here, {core_seconds['slope']:.2f} s of one core with {jobs} workers on "
            f"{usable_cores()} cores, and cores are as fast as these",
            f"{CORES[-1]} cores share nothing that {jobs} do not: no measurement here says so",
            "reports are written by one process, and their time grows as up to the measured number of students",
            "learners execute the chapters on machines of their own",
        ],
    }


def measured() -> dict:
    """{"curves", "workers", "projection"}; about three minutes on two cores."""
    jobs = min(2, usable_cores())
    grid = combinations(seed=range(8))
    curves = [
        one_thread(lambda: curve("a pass over n images, one thread", "image", (1024, 2048, 4096, 8192), images)),
        one_thread(lambda: curve("n test episodes, one thread", "episode", (500, 1000, 2000, 4000), episodes)),
    ]
    workers = [over_workers("sweep of eight trainings", lambda n: seconds(lambda: sweep(small_training, grid, jobs=n)))]
    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder))
        grading = curve("submissions graded, two workers", "submission", (8, 16, 32, 64), lambda n: course.grade(n, jobs), 1)
        reporting = curve("pages and tables of a grading", "student", (20, 40, 80, 160), course.report)
        workers.append(over_workers("eight submissions graded", lambda n: course.grade(8, n)))
        projected = projection(course, grading, reporting, jobs)
    return {"curves": [*curves, grading, reporting], "workers": workers, "projection": projected}
