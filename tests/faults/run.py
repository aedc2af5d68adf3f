"""The fault harness: many runs, each with one trouble, on the real program with real partners. See README.md.

Usage: run.py [--runs N] [--seed S] [--lanes L] [--carrier NAMES] [--report FOLDER] [--only WORD]
"""

import argparse
import os
import queue
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "interop")]
sys.dont_write_bytecode = True

from carriers import BY_TURNS, CARRIERS  # noqa: E402
from databases import programs  # noqa: E402
from line import Carriers  # noqa: E402
from report import Report  # noqa: E402
from scene import Lane, Scene  # noqa: E402
from troubles import TROUBLES  # noqa: E402

FILES_MAX = 4


def play(lane, seed, kind):
    """One run; gives its findings and the gateway's log."""
    dice = random.Random(seed)
    scene = Scene(lane, seed, dice)
    code, log, told, strikes = None, "", "", 0
    try:
        trouble = TROUBLES[kind](scene)
        scene.make_files(FILES_MAX)
        trouble.prepare()
        scene.copy_data()
        lane.arrivals.on_arrival = scene.arrived_now
        scene.start()
        told = trouble.describe()
        senders = [threading.Thread(target=scene.send, args=(file,)) for file in scene.files]
        for sender in senders:
            sender.start()
        trouble.play()
        for sender in senders:
            sender.join(3)
        lane.inward.mend()
        lane.outward.mend()
        strikes = trouble.strikes()
        for sender in senders:
            sender.join()
        scene.check(scene.settle())
    except BaseException:  # noqa: B902 (pytest's failures are no Exceptions)
        scene.finding("stuck", f"the run broke off:\n{traceback.format_exc()}")
    finally:
        try:
            code, log = scene.close(keep=bool(scene.findings))
        except BaseException:  # noqa: B902
            scene.finding("stuck", f"the run could not be ended:\n{traceback.format_exc()}")
    if code not in (0, None):
        scene.finding("stuck", f"the gateway ended with {code}")
    return scene, told, strikes, log


def kind_of(seed, kinds):
    """The same seed always has the same trouble."""
    return kinds[seed % len(kinds)]


def carrier_of(seed, kinds, names):
    """And the same carrier: each has all troubles before it is the next one's turn."""
    return names[seed // len(kinds) % len(names)]


def work(folder, carriers, place, waiting, report):
    """Plays what waits at a place (carrier, with PostgreSQL or not) until nothing is left."""
    if waiting.empty():
        return
    carrier, with_postgres = place
    lane = Lane(folder, CARRIERS[carrier], carriers, with_postgres)
    try:
        while True:
            try:
                seed, kind = waiting.get_nowait()
            except queue.Empty:
                return
            began = time.monotonic()
            scene, told, strikes, log = play(lane, seed, kind)
            report.add(seed, kind, told, strikes, scene, log, time.monotonic() - began)
    finally:
        lane.close()


def play_all(folder, carriers, queues, first, report):
    """One place after the other; lanes begin at different ones."""
    places = list(queues)
    for place in places[first:] + places[:first]:
        name = f"{folder.name}{place[0]}{'p' if place[1] else 's'}"
        try:
            work(folder.with_name(name), carriers, place, queues[place], report)
        except BaseException:  # noqa: B902
            report.broken(traceback.format_exc())


def names_of(text):
    """Names of carriers, with commas between."""
    names = text.split(",")
    if unknown := [name for name in names if name not in CARRIERS]:
        raise argparse.ArgumentTypeError(f"no such carrier: {', '.join(unknown)}; there are {', '.join(CARRIERS)}")
    return tuple(names)


def main():
    parser = argparse.ArgumentParser(description="Runs the fault harness.")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=max(2, (os.cpu_count() or 2) * 2))
    parser.add_argument("--carrier", type=names_of, default=BY_TURNS, help=f"by turns, of {', '.join(CARRIERS)}")
    parser.add_argument("--report", type=Path, default=Path("target/faults"))
    parser.add_argument("--only", default="", help="only troubles with this word in their name")
    parser.add_argument("--logs", action="store_true", help="keep the gateway's log of each run, not only of failures")
    given = parser.parse_args()
    if not os.environ.get("GATEHOUSE_PROGRAM"):
        parser.error("GATEHOUSE_PROGRAM names no program: run cargo xtask faults")
    if not programs():
        parser.error("PostgreSQL is not installed: run cargo xtask setup")
    every = list(TROUBLES)
    plan = [(seed, kind_of(seed, every)) for seed in range(given.seed, given.seed + given.runs)]
    plan = [(seed, kind) for seed, kind in plan if given.only in kind]
    queues = {(name, base): queue.SimpleQueue() for name in dict.fromkeys(given.carrier) for base in (False, True)}
    for seed, kind in plan:
        queues[carrier_of(seed, every, given.carrier), TROUBLES[kind].postgres].put((seed, kind))
    report = Report(given.report, given)
    carriers = Carriers()
    folder = Path(tempfile.mkdtemp(prefix="gatehouse-faults-"))
    # PostgreSQL runs as another user, in a folder of its own below.
    folder.chmod(0o711)
    lanes = []
    for number in range(given.lanes):
        words = (folder / f"lane{number}", carriers, queues, number % len(queues), report)
        lanes.append(threading.Thread(target=play_all, args=words))
        lanes[-1].start()
    for thread in lanes:
        thread.join()
    good = report.write(len(plan))
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"what failed is kept in {folder}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
