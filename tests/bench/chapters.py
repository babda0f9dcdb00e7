"""Seconds and memory of every chapter, each executed in a process of its own (`make bench ARGS=--chapters`)."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fewshot_lab.course import chapters


def measured() -> list[dict]:
    """[{"id", "seconds", "memory_mb", "status"}]; memory is the most that the largest of a chapter's processes held."""
    return [one_chapter(chapter.id) for chapter in chapters.chapters()]


def one_chapter(number: str) -> dict:
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "said", "w") as said:
        command = [sys.executable, "-m", "fewshot_lab", "run", number, "--out", str(Path(folder) / "run")]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - began
    ended = "ok" if os.waitstatus_to_exitcode(status) == 0 else "failed"
    unit = 1e6 if sys.platform == "darwin" else 1e3  # ru_maxrss is in bytes there and in kilobytes elsewhere
    return {"id": number, "seconds": round(taken, 1), "memory_mb": round(usage.ru_maxrss / unit), "status": ended}
