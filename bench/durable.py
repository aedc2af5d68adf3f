"""Durable small files: how many in a second, beside what the disk can do. `cargo xtask bench durable [--files N]`

Files of 4 KiB go up over 32 connections, each of which sends its next file when the one before is acknowledged: 32 are in
flight. Each is recorded and on the disk before it is acknowledged. Beside it, in the same folder and by turns: how often the
disk makes 4 KiB durable, one after the other. Goal: four times as often.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "bench")]

import asyncssh  # noqa: E402

from gateway import Gateway  # noqa: E402
from measure import load, sync_rate  # noqa: E402
from peers import HOST, Key  # noqa: E402

GOAL = 4.0
OCTETS = os.urandom(4096)


async def connect(port, key):
    connection = await asyncssh.connect(
        HOST, port, username="bench", client_keys=[str(key.path)], known_hosts=None, agent_path=None, config=None,
        encryption_algs=["aes128-gcm@openssh.com"],
    )
    return connection, await connection.start_sftp_client()


async def send(sftp, prefix, files):
    """One file after the other, each with three requests: open, write, close."""
    for n in range(files):
        async with await sftp.open(f"{prefix}-{n}.bin", "wb") as file:
            await file.write(OCTETS)


async def rounds(gateway, key, options):
    port, ratios = gateway.port("key"), []
    print(f"{options.flight} in flight, files of {len(OCTETS)} octets; {load()}")
    held = []
    for _ in range(options.flight):
        held.append(await connect(port, key))
    try:
        await asyncio.gather(*[send(sftp, f"warm{n}", 5) for n, (_, sftp) in enumerate(held)])
        for turn in range(options.rounds):
            before = sync_rate(gateway.folder)
            cpu, begun = cpu_s(gateway.process.pid), time.monotonic()
            each = options.files // options.flight
            await asyncio.gather(*[send(sftp, f"r{turn}c{n}", each) for n, (_, sftp) in enumerate(held)])
            rate = each * options.flight / (time.monotonic() - begun)
            cpu = cpu_s(gateway.process.pid) - cpu
            disk = statistics.fmean([before, sync_rate(gateway.folder)])
            ratios.append(rate / disk)
            print(f"  {rate:7.0f} files/s, disk {disk:6.0f} syncs/s, ratio {rate / disk:5.2f}, "
                  f"{cpu * 1000 / (each * options.flight):.2f} ms CPU a file; {load()}", flush=True)
    finally:
        for connection, _ in held:
            connection.close()
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.2f}, goal {GOAL:g}: {'reached' if ratio >= GOAL else 'NOT reached'}")


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--files", type=int, default=6400, help="of one round")
    words.add_argument("--flight", type=int, default=32)
    words.add_argument("--rounds", type=int, default=5)
    options = words.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gatehouse-durable-", dir=os.environ.get("GATEHOUSE_BENCH_SCRATCH")))
    try:
        key = Key(scratch / "user")
        with Gateway(scratch / "gateway", '[log]\nlevel = "warn"\n') as gateway:
            gateway.partner("bench", key=key, settle_s=0)
            asyncio.run(rounds(gateway, key, options))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
