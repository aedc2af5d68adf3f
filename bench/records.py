"""A million transfers in the database: what each question costs then. `cargo xtask bench records [--count N] [--only NAME]`

The real program is set up, receives and routes a file, is stopped, its database is filled (million.py), and it is started
again. Then each operation is asked many times through the administration socket, as the commands ask it; some as whole
commands; and the database's part alone, in one process, by a contract test of the room `db`. Goals: 20 ms at the 99th
percentile, 2 s for a start.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "tests/faults"), str(ROOT / "bench")]

from databases import Postgres  # noqa: E402
from gateway import Gateway  # noqa: E402
from line import Carriers  # noqa: E402
from measure import Admin, load, resident_mib, sync_rate, timed, told  # noqa: E402
from million import Bulk  # noqa: E402
from peers import HOST, Key, OpenSsh, make_file, until  # noqa: E402

GOAL_MS, START_GOAL_S = 20, 2.0
TIMES, COMMANDS = 300, 30


class Filled:
    """A gateway whose database holds many records."""

    def __init__(self, folder, count, postgres=None):
        self.folder, self.count, self.postgres = folder, count, postgres
        settings = '[log]\nlevel = "warn"\n'
        if postgres:
            postgres.sql("CREATE DATABASE records")
            self.url = f"postgres://gatehouse@{HOST}:{postgres.port}/records"
            settings += f'[database]\nurl = "{self.url}"\n'
        folder.mkdir(exist_ok=True, parents=True)
        self.gateway = Gateway(folder, settings)
        self.sample = make_file(folder / "sample.bin", 4096)
        if not postgres:
            self.url = str(self.gateway.data / "gatehouse.db")

    def prepare(self):
        """Once for a folder: what an earlier call has filled is taken as it is."""
        mark = self.folder / "filled.json"
        if mark.exists():
            kept = json.loads(mark.read_text())
            self.count, self.first = kept["count"], kept["first"]
            return
        self.set_up()
        mark.write_text(json.dumps({"count": self.count, "first": self.first}))

    def set_up(self):
        key = Key(self.folder / "user")
        self.gateway.start()
        self.gateway.partner("alpha", key=key, settle_s=0)
        self.gateway.somewhere("alpha")
        client = OpenSsh(self.folder / "client", self.gateway.port("key"), "alpha", key)
        client.sftp(f"put {self.sample} first.bin")
        until("it is routed", lambda: self.gateway.deliveries("first.bin"))
        self.gateway.stop()
        begun = time.monotonic()
        self.fill()
        print(f"  {self.count} records made in {time.monotonic() - begun:.0f} s", flush=True)

    def fill(self):
        if self.postgres:
            def run(sql):
                self.postgres.call("psql", "-qAt", "-h", HOST, "-p", str(self.postgres.port), "-U", "gatehouse", "-d", "records",
                                   "-v", "ON_ERROR_STOP=1", "-c", sql)

            bulk = Bulk(run, lambda sql: self.postgres.sql(sql, "records").strip(), True)
            sample = [bulk.one(f"SELECT {name} FROM transfer WHERE direction = 'I' ORDER BY id LIMIT 1") for name in ("why_json", "extra_json")]
            self.first = bulk.fill(self.count, *sample)
            return
        with sqlite3.connect(self.url, isolation_level=None) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA cache_size = -500000")
            connection.execute("BEGIN")
            bulk = Bulk(connection.execute, lambda sql: connection.execute(sql).fetchone()[0], False)
            sample = [bulk.one(f"SELECT {name} FROM transfer WHERE direction = 'I' ORDER BY id LIMIT 1") for name in ("why_json", "extra_json")]
            self.first = bulk.fill(self.count, *sample)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()


def questions(filled, dice):
    """The operations, each with values that change from call to call."""
    site = lambda: f"s{int(300 * dice.random() ** 3)}"  # noqa: E731 (the skew of the records)
    month, now = 30 * 24 * 3600, time.time()
    rfc = lambda at: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))  # noqa: E731
    day = lambda: now - dice.random() * month  # noqa: E731
    some = lambda: filled.first + dice.randint(1, filled.count)  # noqa: E731
    fresh = lambda: f"invoice-{dice.randint(1, filled.count // 2) * 2}.edi"  # noqa: E731
    usual = lambda: f"ORDERS{dice.randint(0, 99)}.xml"  # noqa: E731
    rare, often = ["S", "I", "C", "X", "BR", "PV", "T", "F"], ["E", "B", "ESC"]
    way = lambda: dice.choice("IO")  # noqa: E731

    def between():
        begin = day()
        return {"from": rfc(begin), "until": rfc(begin + 6 * 3600)}

    status = "peldsp status_trans"
    return {
        "list the newest": (status, lambda: {}),
        "list the next page": (status, lambda: {"below": some()}),
        "list by site": (status, lambda: {"site": site()}),
        "list by a site without any": (status, lambda: {"site": "nowhere"}),
        "list by state, often": (status, lambda: {"state": dice.choice(often)}),
        "list by state, rare": (status, lambda: {"state": dice.choice(rare)}),
        "list by direction": (status, lambda: {"direction": way()}),
        "list by mode": (status, lambda: {"mode": dice.choice("IR")}),
        "list by file, fresh name": (status, lambda: {"file_name": fresh()}),
        "list by file, usual name": (status, lambda: {"file_name": usual()}),
        "list by dates": (status, between),
        "site + state": (status, lambda: {"site": site(), "state": dice.choice(rare + often)}),
        "site + direction": (status, lambda: {"site": site(), "direction": way()}),
        "site + file": (status, lambda: {"site": site(), "file_name": usual()}),
        "site + dates": (status, lambda: {"site": site()} | between()),
        "state + direction": (status, lambda: {"state": dice.choice(rare), "direction": way()}),
        "state + dates": (status, lambda: {"state": dice.choice(rare)} | between()),
        "direction + mode": (status, lambda: {"direction": way(), "mode": dice.choice("IR")}),
        "direction + dates": (status, lambda: {"direction": way()} | between()),
        "file + state": (status, lambda: {"file_name": usual(), "state": dice.choice(rare)}),
        "file + direction": (status, lambda: {"file_name": usual(), "direction": way()}),
        "site + state + dates": (status, lambda: {"site": site(), "state": dice.choice(rare)} | between()),
        "identifiers of a state": ("peldsp select_trans", lambda: {"state": dice.choice(rare)}),
        "why": ("why", lambda: {"local_ident": some()}),
        "display": ("peldsp display_trans", lambda: {"local_ident": some()}),
        "audit list": ("audit list", lambda: {}),
        "audit list by actor": ("audit list", lambda: {"actor": f"uid:{dice.randint(0, 9)}"}),
        "audit list by name": ("audit list", lambda: {"name": str(dice.randint(1, filled.count // 5))}),
        "submit 4 KiB": ("peltrans", lambda: {"dest_alias": "nobody", "file_component": str(filled.sample)}),
    }


def start(filled):
    """Seconds until the gateway is ready, and its resident memory then."""
    begun = time.monotonic()
    filled.gateway.start(ready=False)
    while not filled.gateway.is_ready():
        time.sleep(0.005)
    return time.monotonic() - begun, resident_mib(filled.gateway.process.pid)


def measure(filled, only, rows):
    seconds, memory = start(filled)
    tell(rows, "start", {"s": seconds, "RSS MiB": memory}, seconds <= START_GOAL_S)
    dice, admin = random.Random(7), Admin(filled.gateway.data)
    for name, (operation, values) in questions(filled, dice).items():
        if only in name:
            admin.ask(operation, **values())
            spent = told(timed(lambda _: admin.ask(operation, **values()), TIMES))
            tell(rows, name, spent, spent["p99"] <= GOAL_MS)
    for words in (["peldsp", "status_trans", "-site", "s1"], ["why", str(filled.first + filled.count // 2)]):
        spent = told(timed(lambda _: filled.gateway.run(*words, "--json"), COMMANDS))
        tell(rows, f"whole command {' '.join(words[:2])}", spent, None)
    before, top, over = resident_mib(filled.gateway.process.pid), [0.0], threading.Event()

    def watch():
        while not over.wait(0.01):
            top[0] = max(top[0], resident_mib(filled.gateway.process.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    for turn in range(20):
        below = filled.first + filled.count - turn * filled.count // 25
        admin.ask("peldsp status_trans", last=10_000, below=below)
    over.set()
    watcher.join()
    tell(rows, "memory while 20 pages of 10,000 are listed", {"before MiB": before, "worst MiB": top[0]}, None)
    filled.gateway.stop()


def in_process(filled, rows):
    """What the room `db` does, without program and socket around it."""
    env = os.environ | {"GATEHOUSE_TEST_RECORDS": filled.url}
    words = ["cargo", "test", "--release", "-q", "-p", "gatehouse-db", "--test", "contract", "cost::operations", "--", "--nocapture"]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            row = json.loads(line)
            tell(rows, f"in process: {row.pop('operation')}", row, row["p99"] <= GOAL_MS)


def tell(rows, name, figures, good):
    verdict = {True: "", False: "  ABOVE THE GOAL", None: ""}[good]
    print(f"  {name:46}" + "  ".join(f"{key} {value:8.2f}" for key, value in figures.items()) + verdict, flush=True)
    rows.append({"operation": name, "good": good} | figures)


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--count", type=int, default=1_000_000)
    words.add_argument("--only", default="", help="operations with this word in their name")
    words.add_argument("--database", choices=["SQLite", "PostgreSQL"], help="this one only")
    words.add_argument("--quick", action="store_true", help="without the part that has to be built")
    words.add_argument("--folder", type=Path, help="fill this one if it is not, and leave it (SQLite)")
    words.add_argument("--fill-only", action="store_true", help="measure nothing")
    options = words.parse_args()
    scratch = options.folder or Path(tempfile.mkdtemp(prefix="gatehouse-records-", dir=os.environ.get("GATEHOUSE_BENCH_SCRATCH")))
    scratch.mkdir(exist_ok=True, parents=True)
    scratch.chmod(0o711)
    everything, postgres = {}, None
    try:
        for database in [options.database] if options.database else ["SQLite", "PostgreSQL"]:
            print(f"{database}, {options.count} transfers; {load()}, {sync_rate(scratch):.0f} disk syncs/s", flush=True)
            if database == "PostgreSQL":
                postgres = Postgres(scratch / "pg", Carriers(), durable=True)
            filled = Filled(scratch / database.lower(), options.count, postgres)
            rows = everything.setdefault(database, [])
            try:
                filled.prepare()
                if not options.fill_only:
                    measure(filled, options.only, rows)
            finally:
                filled.gateway.stop()
            if not (options.quick or options.fill_only):
                in_process(filled, rows)
            print(f"  afterwards: {load()}", flush=True)
    finally:
        if postgres:
            postgres.stop()
        if not options.folder:
            shutil.rmtree(scratch, ignore_errors=True)
    folder = ROOT / "bench-results"
    folder.mkdir(exist_ok=True)
    (folder / f"records-{time.strftime('%Y-%m-%dT%H%M%SZ', time.gmtime())}.json").write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
