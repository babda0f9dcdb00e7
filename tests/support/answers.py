"""Judges a file of answers, each in a process of its own: JSON lines with chapter, exercise, right, label, preamble and code.

python tests/support/answers.py FILE [CHAPTER or EXERCISE ...] [--repeat N] prints those that are judged otherwise than the
file says, and the shares.
"""

import argparse
import collections
import json
import linecache
import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from fewshot_lab.checking import check
from fewshot_lab.exercises import exercises

SECONDS = 60  # an endless answer must end long before
_BEFORE = """import math, random
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F
import fewshot_lab as lab
"""


@dataclass(frozen=True)
class Judged:
    """How the check judged an answer. `status` is "error" where the answer's own cell stopped, and "endless" after SECONDS."""

    answer: dict
    status: str
    mistake: str | None
    text: str
    seconds: float

    @property
    def key(self) -> tuple[str, str, str]:
        return self.answer["chapter"], self.answer["exercise"], self.answer["label"]

    @property
    def agrees(self) -> bool:
        """Whether right answers pass and wrong ones do not."""
        return (self.status == "passed") == self.answer["right"]


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def judge(answer: dict) -> Judged:
    """Runs an answer's cell and its exercise's check in a child of this process."""
    began = time.monotonic()
    reads, writes = os.pipe()
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        os.close(reads)
        try:
            words = json.dumps(_checked(answer))
        except BaseException as error:
            words = json.dumps({"status": "error", "mistake": None, "text": f"{type(error).__name__}: {error}"})
        os.write(writes, words.encode()[:60_000])
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        ready = select.select([pipe], [], [], SECONDS)[0]
        said = pipe.read() if ready else b'{"status": "endless", "mistake": null, "text": ""}'
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = json.loads(said or b'{"status": "error", "mistake": null, "text": "the process died"}')
    return Judged(answer, found["status"], found["mistake"], found["text"], time.monotonic() - began)


def _checked(answer: dict) -> dict:
    cells = {"<ipython-input-0-before>": _BEFORE + answer["preamble"], "<ipython-input-1-answer>": answer["code"]}
    names: dict = {"__name__": "__main__"}
    for name, source in cells.items():
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), names)
    feedback = check(names[answer["exercise"]])
    return {"status": str(feedback.status), "mistake": feedback.mistake, "text": str(feedback)}


def prepare() -> None:
    """What a child needs is loaded before it forks; one thread, since threads do not survive a fork."""
    torch.set_num_threads(1)
    exercises()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("only", nargs="*")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="print every answer with what the check says of it")
    options = parser.parse_args()
    prepare()
    rows = [r for r in read(options.file) if not options.only or {r["chapter"], r["exercise"]} & set(options.only)]
    count = collections.Counter()
    slowest = 0.0
    for row in rows:
        several = [judge(row) for _ in range(options.repeat)]
        first = next((one for one in several if not one.agrees), several[0])
        agreed = sum(one.agrees for one in several)
        slowest = max(slowest, *(one.seconds for one in several))
        count["right" if row["right"] else "wrong"] += 1
        count["right accepted" if row["right"] else "wrong refused"] += agreed == len(several)
        count["named"] += not row["right"] and first.mistake is not None
        if agreed < len(several) or options.all:
            mark = "ok" if agreed == len(several) else f"{len(several) - agreed}/{len(several)}"
            kind = "right" if row["right"] else "wrong"
            print(f"--- {mark} {kind} {' | '.join(first.key)}  [{first.mistake}] {first.seconds:.1f} s")
            print("    " + first.text.replace("\n", "\n    "))
    print(dict(count), f"slowest {slowest:.1f} s")


if __name__ == "__main__":
    main()
