"""Seconds and memory of every chapter, each executed by `fewshot-lab run` (`make bench ARGS=--chapters`).

As Binder runs one, which gives 2 GB: FEWSHOT_LAB_JOBS=1 python bench/chapters.py 11
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from fewshot_lab.course import chapters

SAMPLE_SECONDS = 0.25


def measured(names=()) -> list[dict]:
    """[{"id", "seconds", "memory_mb", "status"}]; memory is the most that all of a chapter's processes held together."""
    return [one_chapter(chapter.id) for chapter in chapters.choose(names)]


def one_chapter(number: str) -> dict:
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "said", "w") as said:
        command = [sys.executable, "-m", "fewshot_lab", "run", number, "--out", str(Path(folder) / "run")]
        began, most = time.perf_counter(), 0
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            most = max(most, held(process.pid))
            time.sleep(SAMPLE_SECONDS)
        taken = time.perf_counter() - began
    ended = "ok" if process.returncode == 0 else "failed"
    return {"id": number, "seconds": round(taken, 1), "memory_mb": round(most / 1e6), "status": ended}


def held(pid: int) -> int:
    """Bytes that a process and all its descendants hold, shared pages counted once (Linux: PSS; elsewhere USS)."""
    total = 0
    try:
        tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in tree:
        try:
            full = process.memory_full_info()
        except psutil.Error:
            continue  # it ended between the two lines
        total += getattr(full, "pss", full.uss)
    return total


if __name__ == "__main__":
    for argument in sys.argv[1:] or [chapter.id for chapter in chapters.chapters()]:
        print(*measured([argument]), flush=True)
