"""The gateway and its peers side by side, in one run on one machine; what counts is the ratio.

Run by `cargo xtask bench [--quick] [NAME ...]`. Absolute figures wander with the machine and its neighbours, so each
figure of ours stands beside the peer's of the same minute. Rows go to bench-results/ as JSON lines.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "bench")]

import jobs  # noqa: E402
from subjects import open_subjects  # noqa: E402


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("names", nargs="*", help=f"of {', '.join(jobs.JOBS)}; all where none is given")
    words.add_argument("--quick", action="store_true", help="smaller files, one repetition: to see that it runs")
    words.add_argument("--repeat", type=int, help="repetitions of each measurement")
    options = words.parse_args()
    unknown = [name for name in options.names if name not in jobs.JOBS]
    if unknown:
        words.error(f"no such job: {' '.join(unknown)}")
    scale = jobs.Scale.quick() if options.quick else jobs.Scale.whole()
    if options.repeat:
        scale.repeat = options.repeat
    scratch = Path(tempfile.mkdtemp(prefix="gatehouse-bench-"))
    memory = Path(tempfile.mkdtemp(prefix="gatehouse-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    rows = []
    try:
        for name in options.names or jobs.JOBS:
            rows += measure(name, scale, scratch, memory)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(memory, ignore_errors=True)
    print()
    print("\n".join(table(rows)))
    print(f"\nrows: {save(rows)}")


def measure(name, scale, scratch, memory):
    """All repetitions of one job: each round asks every subject once, so that all meet the same moment."""
    job, found = jobs.JOBS[name], {}
    with open_subjects(job.subjects, scratch / name) as subjects:
        for turn in range(scale.repeat + job.warm_up):
            for subject in subjects:
                figures = job.work(subject, scale, memory)
                if turn < job.warm_up:
                    continue
                for figure, value in figures.items():
                    found.setdefault((subject.name, figure), []).append(value)
                print(f"{name:9} {subject.name:22} " + "  ".join(f"{k} {v:.3g}" for k, v in figures.items()), flush=True)
    rows = [
        {"job": name, "subject": subject, "figure": figure, "value": job.fold(values), "values": values}
        for (subject, figure), values in found.items()
    ]
    peer = {row["figure"]: row["value"] for row in rows if row["subject"] == job.subjects[0]}
    for row in rows:
        beside = peer.get(row["figure"])
        row["ratio"] = row["value"] / beside if beside else None
        row["goal"] = job.goals.get((row["subject"], row["figure"]))
    return rows


def table(rows):
    """Lines of a table: one row for each figure, our value beside the peer's."""
    yield f"{'job':9} {'subject':22} {'figure':28} {'value':>10} {'ratio':>7}  goal"
    for row in rows:
        ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else "-"
        goal, verdict = row["goal"], ""
        if goal:
            kind, limit = goal
            reached = row[kind] is not None and row[kind] <= limit
            verdict = f"{kind} <= {limit:g} {'yes' if reached else 'NO'}"
        yield f"{row['job']:9} {row['subject']:22} {row['figure']:28} {row['value']:>10.4g} {ratio:>7}  {verdict}"


def save(rows):
    folder = ROOT / "bench-results"
    folder.mkdir(exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    path = folder / f"{at}.jsonl"
    about = {"at": at, "cores": os.cpu_count(), "kernel": platform.release(), "machine": platform.machine()}
    path.write_text("".join(json.dumps(row | about) + "\n" for row in rows))
    return path.relative_to(ROOT)


if __name__ == "__main__":
    main()
