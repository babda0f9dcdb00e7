"""Judges a file of answers, each in a process of its own: JSON lines with chapter, exercise, right, label, code and a preamble.

python tests/support/answers.py FILE [CHAPTER or EXERCISE ...] [--repeat N] [--all] prints those that are judged otherwise than
the file says, and a table of exercises. --repeat N checks a wrong answer N times, or for REPEATED_SECONDS, unless no chance
decides about it.
"""

import argparse
import collections
import dataclasses
import json
import linecache
import os
import random
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fewshot_lab.checking import check
from fewshot_lab.checking.checks import examine
from fewshot_lab.exercises import exercises

SECONDS = 60  # an endless answer must end long before
REPEATED_SECONDS = 40  # of a processor, after which an answer is not checked once more
_BEFORE = """import math, random
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import fewshot_lab as lab
"""


@dataclass(frozen=True)
class Judged:
    """How the check judged an answer.

    Args:
        answer: the line of the file.
        status: of the first check that did not agree with the file, else of the first; "error" where the answer's own cell
            stopped, and "endless" after SECONDS.
        mistake, text: of that check.
        seconds: of a processor, for the first check with the answer's cell: on a busy machine a clock tells nothing.
        checks: how often it was checked.
        passed: how often it passed.
    """

    answer: dict
    status: str
    mistake: str | None
    text: str
    seconds: float
    checks: int
    passed: int

    @property
    def key(self) -> tuple[str, str, str]:
        return self.answer["chapter"], self.answer["exercise"], self.answer["label"]

    @property
    def agrees(self) -> bool:
        """Whether right answers pass and wrong ones do not."""
        return self.passed == (self.checks if self.answer["right"] else 0)


def read(path: Path) -> list[dict]:
    """The answers of a file, or of all files of a folder."""
    if path.is_dir():
        return [answer for file in sorted(path.glob("*.jsonl")) for answer in read(file)]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def judge(answer: dict, repeat: int = 1) -> Judged:
    """Runs an answer's cell and its exercise's check in a child of this process.

    A wrong answer is checked `repeat` times, or once where it is refused without any random number: then it always is.
    """
    began = time.monotonic()
    reads, writes = os.pipe()
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        os.close(reads)
        try:
            found = _checked(answer, repeat)
        except BaseException as error:
            found = {"status": "error", "mistake": None, "text": f"{type(error).__name__}: {error}"}
        os.write(writes, json.dumps(found | {"text": found["text"][:20_000]}).encode()[:60_000])
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        ready = select.select([pipe], [], [], SECONDS if repeat == 1 else 20 * REPEATED_SECONDS)[0]
        said = pipe.read() if ready else b'{"status": "endless", "mistake": null, "text": ""}'
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = json.loads(said or b'{"status": "error", "mistake": null, "text": "the process died"}')
    return Judged(**({"answer": answer, "seconds": time.monotonic() - began, "checks": 1, "passed": 0} | found))


def _checked(answer: dict, repeat: int) -> dict:
    began = time.process_time()
    cells = {"<ipython-input-0-before>": _BEFORE + answer.get("preamble", ""), "<ipython-input-1-answer>": answer["code"]}
    names: dict = {"__name__": "__main__"}
    for name, source in cells.items():
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), names)
    function = names[answer["exercise"]]
    several = [check(function)]
    seconds = time.process_time() - began
    if repeat > 1 and not answer["right"] and not _always_refused(function):
        while len(several) < repeat and time.process_time() - began < REPEATED_SECONDS:
            several.append(check(function))
    told = next((one for one in several if (one.status == "passed") != answer["right"]), several[0])
    passed = sum(one.status == "passed" for one in several)
    found = {"status": str(told.status), "mistake": told.mistake, "text": str(told)}
    return found | {"seconds": seconds, "checks": len(several), "passed": passed}


def _always_refused(function) -> bool:
    """Whether a fixed case or a law refuses the function while no random number is drawn, so that every check must do so."""
    task = exercises()[function.__name__]
    plain = dataclasses.replace(task, fresh=None, gradient=(), properties=[], mistakes=[])
    for properties in ([], *([prop] for prop in task.properties)):
        generator = torch.Generator().manual_seed(0)
        before = _chance(generator)
        failed = examine(dataclasses.replace(plain, properties=properties), function, generator).status == "failed"
        if failed and _chance(generator) == before:
            return True
    return False


def _chance(generator: torch.Generator) -> tuple:
    """The states of all generators, which change when a number is drawn."""
    states = [generator.get_state(), torch.get_rng_state()]
    return *(state.numpy().tobytes() for state in states), random.getstate(), str(np.random.get_state(legacy=False))


def prepare() -> None:
    """What a child needs is loaded before it forks; one thread, since threads do not survive a fork."""
    from transformers import AutoModelForTokenClassification  # noqa: F401, seconds on a busy machine

    torch.set_num_threads(1)
    exercises()


def table(found: list[Judged]) -> str:
    """A line for each exercise, then for each chapter and for all: what became of the wrong and of the right answers.

    drawn: wrong answers about which chance decides. worst: the largest share of its checks that one of them passed.
    """
    groups = collections.defaultdict(list)
    for group in (lambda one: one.key[:2], lambda one: (one.key[0], "all"), lambda one: ("all", "")):
        for one in found:
            groups[group(one)].append(one)
    lines = [f"{'':30} wrong refused named right accepted drawn worst seconds"]
    for group, those in groups.items():
        wrong, right = ([one for one in those if one.answer["right"] == kind] for kind in (False, True))
        counts = [len(wrong), sum(one.agrees for one in wrong), sum(one.mistake is not None for one in wrong)]
        counts += [len(right), sum(one.agrees for one in right), sum(one.checks > 1 for one in wrong)]
        worst = max((one.passed / one.checks for one in wrong), default=0.0)
        widths = zip(counts, (6, 8, 6, 6, 9, 6), strict=True)
        numbers = "".join(f"{count:{width}}" for count, width in widths)
        lines.append(f"{' '.join(group):29}{numbers} {worst:5.3f} {max(one.seconds for one in those):7.1f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, help="or a folder of files")
    parser.add_argument("only", nargs="*", help="chapters or exercises")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="print every answer with what the check says of it")
    options = parser.parse_args()
    prepare()
    found = []
    for answer in read(options.file):
        if (
            answer["exercise"] not in exercises()
            or options.only
            and not {answer["chapter"], answer["exercise"]} & {*options.only}
        ):
            continue  # exercises are replaced at times
        found.append(one := judge(answer, options.repeat))
        if not one.agrees or options.all:
            mark = "ok" if one.agrees else f"passed {one.passed} of {one.checks}"
            kind = "right" if answer["right"] else "wrong"
            print(f"--- {mark} {kind} {' | '.join(one.key)}  [{one.mistake}] {one.seconds:.1f} s")
            print("    " + one.text.replace("\n", "\n    "), flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
