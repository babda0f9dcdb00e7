"""Seconds and memory of every chapter, each executed by `fewshot-lab run` (`make bench ARGS=--chapters`).

As Binder runs one, which gives 2 GB: FEWSHOT_LAB_JOBS=1 python bench/chapters.py 11
With --publish they go into docs/bench/chapters.json, from which `fewshot-lab tables --write` writes a table: of several runs of
the same notebook the shortest, since whatever else a machine does only adds.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from fewshot_lab.course import chapters
from fewshot_lab.evidence.runs import FILE, read_run
from fewshot_lab.files import write_atomically
from fewshot_lab.runtime import usable_cores

SAMPLE_SECONDS = 2.0  # to look takes time: with four looks a second chapter 02 took 145 s in place of 121
PUBLISHED = Path(__file__).parents[1] / "docs" / "bench" / "chapters.json"


def measured(names=()) -> list[dict]:
    """[{"id", "sha256", "seconds", "memory_mb", "status"}]: the notebook's; as the run's own table says, from the kernel's
    start to the last cell; and the most memory that all of a chapter's processes held together, the command itself included."""
    return [one_chapter(chapter.id) for chapter in chapters.choose(names)]


def one_chapter(number: str) -> dict:
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "said", "w") as said:
        command = [sys.executable, "-m", "fewshot_lab", "run", number, "--out", str(Path(folder) / "run")]
        most = 0
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            most = max(most, held(process.pid))
            time.sleep(SAMPLE_SECONDS)
        record = Path(folder) / "run" / FILE
        ran = read_run(record).chapters if record.exists() else []  # none when the command itself failed
    row = {"id": number, "sha256": "", "seconds": 0.0, "memory_mb": round(most / 1e6), "status": "failed"}
    for chapter in ran:
        row |= {"sha256": chapter.identity["sha256"], "seconds": round(chapter.seconds, 1), "status": chapter.status}
    return row


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


def publish(row: dict) -> None:
    """Puts a chapter's row into the published record; a changed notebook or other cores begin anew."""
    record = json.loads(PUBLISHED.read_text()) if PUBLISHED.exists() else {}
    rows = {one["id"]: one for one in record["chapters"]} if record.get("cores") == usable_cores() else {}
    before = rows.get(row["id"], {})
    row = row | {"runs": 1}
    if before.get("sha256") == row["sha256"]:
        row["runs"] += before["runs"]
        row |= {"seconds": min(row["seconds"], before["seconds"]), "memory_mb": max(row["memory_mb"], before["memory_mb"])}
    rows[row["id"]] = row
    ordered = [rows[number] for number in sorted(rows)]
    write_atomically(PUBLISHED, json.dumps({"cores": usable_cores(), "chapters": ordered}, indent=1) + "\n")


if __name__ == "__main__":
    for chapter in chapters.choose([argument for argument in sys.argv[1:] if argument != "--publish"]):
        row = one_chapter(chapter.id)
        print(row, flush=True)
        if "--publish" in sys.argv and row["status"] == "ok":
            publish(row)
