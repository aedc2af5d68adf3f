"""How much 1, 2 and 4 nodes on one PostgreSQL and one machine do: small files from partner to partner, and bulk uploads.

Usage: nodes.py [--files N] [--octets N] [--nodes 1,2,4]; GATEHOUSE_PROGRAM names the release program. Prints a table.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
tests = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(tests / "interop" / "nodes"), str(tests / "interop"), str(tests / "faults")]

from cluster import Cluster  # noqa: E402
from databases import Postgres  # noqa: E402
from peers import Key, OpenSsh, Sshd, make_file, until  # noqa: E402

SESSIONS, SMALL = 8, 4096


class Durable(Postgres):
    """As in service: every commit is on the disk."""

    fsync = "on"


def ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13])


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid, *map(int, found)]


def cpu_s(pids):
    total = 0
    for pid in pids:
        for one in children(pid):
            try:
                total += ticks(one)
            except OSError:
                pass
    return total / os.sysconf("SC_CLK_TCK")


def together(works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(count, files, octets):
    with tempfile.TemporaryDirectory(prefix="gatehouse-nodes-") as folder:
        folder = Path(folder)
        folder.chmod(0o711)
        key, other = Key(folder / "key"), Key(folder / "other")
        with Cluster(folder / "cluster", database=Durable) as cluster:
            nodes = [cluster.add(f"n{number}", lease_s=30) for number in range(count)]
            first = nodes[0]
            first.partner("alpha", key=key, settle_s=0)
            first.partner("keeper", key=other)
            with Sshd(folder / "bravo", [first.own_key()]) as bravo:
                first.remote("bravo", bravo)
                first.run("peladm", "update_site", "-alias", "bravo", "-init_conn_max", "8")
                first.route("alpha", "bravo")
                for node in nodes[1:]:
                    node.listen("key")
                pids = [node.process.pid for node in nodes]
                base = cluster.database.server.pid
                small = make_file(folder / "small", SMALL)

                def send(session, login, path, times):
                    port = nodes[session % count].ports["key"]
                    client = OpenSsh(folder / f"{login}{session}", port, login, key if login == "alpha" else other)
                    client.sftp(*(f"put {path} s{session}.{n}" for n in range(times)), options=("-q",), limit=900)

                each = files // SESSIONS
                before, began = (cpu_s(pids), cpu_s([base])), time.monotonic()
                together([lambda s=s: send(s, "alpha", small, each) for s in range(SESSIONS)])
                sent = time.monotonic() - began
                wanted = each * SESSIONS
                until("all are delivered", lambda: sum(1 for _ in bravo.files.iterdir()) >= wanted, limit=900)
                wall = time.monotonic() - began
                gateway, database = cpu_s(pids) - before[0], cpu_s([base]) - before[1]
                big = make_file(folder / "big", octets)
                bulk = time.monotonic()
                together([lambda s=s: send(s, "keeper", big, 1) for s in range(4)])
                bulk = time.monotonic() - bulk
    mib = 4 * octets / (1 << 20)
    return [
        count, f"{wanted / sent:.0f}", f"{wanted / wall:.0f}", f"{1000 * gateway / wanted:.2f}",
        f"{1000 * database / wanted:.2f}", f"{mib / bulk:.0f}",
    ]


def main():
    parser = argparse.ArgumentParser(description="Throughput of several nodes on one machine.")
    parser.add_argument("--files", type=int, default=1600)
    parser.add_argument("--octets", type=int, default=128 << 20)
    parser.add_argument("--nodes", default="1,2,4")
    given = parser.parse_args()
    heads = ["nodes", "in files/s", "in to out files/s", "CPU ms/file gateways", "CPU ms/file database", "bulk up MiB/s"]
    print(" | ".join(heads), flush=True)
    for count in map(int, given.nodes.split(",")):
        print(" | ".join(map(str, measure(count, given.files, given.octets))), flush=True)


if __name__ == "__main__":
    main()
