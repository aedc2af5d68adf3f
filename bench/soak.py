"""Many connections for long: nothing may grow. `cargo xtask bench soak [--minutes M] [--idle N] [--working N]`

1,000 clients are logged in and rest, 100 others work for ten minutes: list, upload, download, remove, and now and then leave and
come back. Every few seconds the gateway's resident memory, descriptors and threads and its database are looked at. After
a beginning in which buffers fill, memory, descriptors and threads must not rise; the database may by the records alone.
"""

import argparse
import asyncio
import contextlib
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "bench")]

import asyncssh  # noqa: E402

from gateway import Gateway  # noqa: E402
from measure import descriptors, load, resident_mib, slope, threads  # noqa: E402
from peers import HOST, Key  # noqa: E402

SETTINGS = '[log]\nlevel = "warn"\n'
# Part of the time that counts as the beginning.
BEGINNING = 0.25


class Clients:
    def __init__(self, gateway, key, options):
        self.port, self.key, self.options = gateway.port("key"), key, options
        self.files, self.failed, self.connected = 0, [], 0
        self.room = asyncio.Semaphore(8)

    async def connect(self):
        async with self.room:
            connection = await asyncssh.connect(
                HOST, self.port, username="soak", client_keys=[str(self.key.path)], known_hosts=None, agent_path=None,
                config=None, encryption_algs=["aes128-gcm@openssh.com"], login_timeout=120,
            )
            sftp = await connection.start_sftp_client()
        self.connected += 1
        return connection, sftp

    async def work(self, number, until):
        """What a partner's client does, at the pace of a busy one."""
        dice, turn = random.Random(number), 0
        while time.monotonic() < until:
            try:
                connection, sftp = await self.connect()
                async with connection:
                    for _ in range(20):
                        if time.monotonic() >= until:
                            return
                        await self.one(sftp, f"c{number}-{turn}.bin", dice)
                        turn += 1
                        await asyncio.sleep(dice.uniform(0.2, 1.8) * self.options.pause)
            except (OSError, asyncssh.Error) as error:
                self.failed.append(f"client {number}: {error!r}")

    async def one(self, sftp, name, dice):
        octets = os.urandom(dice.choice([100, 4096, 4096, 20_000, 300_000]))
        async with await sftp.open(name, "wb") as file:
            await file.write(octets)
        await sftp.stat(name)
        async with await sftp.open(name, "rb") as file:
            back = await file.read()
        if back != octets:
            raise AssertionError(f"{name} came back otherwise")
        await sftp.remove(name)
        self.files += 1


def look(gateway, clients):
    database = sum(path.stat().st_size for path in gateway.data.glob("gatehouse.db*"))
    pid = gateway.process.pid
    return {
        "RSS MiB": resident_mib(pid), "descriptors": descriptors(pid), "threads": threads(pid), "database MiB": database / 2**20,
        "files": clients.files,
    }


async def soak(gateway, key, options):
    clients = Clients(gateway, key, options)
    print(f"before anybody is there: {line(look(gateway, clients))}", flush=True)
    idle = await asyncio.gather(*[clients.connect() for _ in range(options.idle)])
    print(f"{options.idle} idle: {line(look(gateway, clients))}", flush=True)
    begun = time.monotonic()
    until = begun + options.minutes * 60
    working = [asyncio.create_task(clients.work(n, until)) for n in range(options.working)]
    points = []
    while time.monotonic() < until:
        await asyncio.sleep(min(5.0, max(0.1, until - time.monotonic())))
        points.append((time.monotonic() - begun, look(gateway, clients)))
        if len(points) % 6 == 1:
            print(f"  {points[-1][0]:5.0f} s  {line(points[-1][1])}; {load()}", flush=True)
    await asyncio.gather(*working)
    there = sum(1 for connection, _ in idle if not connection.is_closed())
    print(f"over: {clients.files} files up, down and removed, {clients.connected} logins, {len(clients.failed)} failures, "
          f"{there} of {options.idle} idle ones still there")
    for text in clients.failed[:5]:
        print(f"  {text}")
    report(points, options)
    for connection, _ in idle:
        connection.close()
    await asyncio.gather(*[connection.wait_closed() for connection, _ in idle])
    await asyncio.sleep(2)
    print(f"everybody gone: {line(look(gateway, clients))}")


def line(seen):
    return "  ".join(f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}" for name, value in seen.items())


def report(points, options):
    """The end beside the end of the beginning, and the slope between them."""
    later = [(at, seen) for at, seen in points if at >= options.minutes * 60 * BEGINNING] or points
    for name in points[0][1]:
        first, last = later[0][1][name], later[-1][1][name]
        rise = slope([(at / 60, seen[name]) for at, seen in later])
        print(f"  {name:14} after the beginning {first:10.1f}, at the end {last:10.1f}, slope {rise:+.3f} a minute")
    files = later[-1][1]["files"] - later[0][1]["files"]
    if files:
        grown = (later[-1][1]["database MiB"] - later[0][1]["database MiB"]) * 2**20
        print(f"  the database grew by {grown / files:.0f} octets for each file received (its record stays)")


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=10)
    words.add_argument("--idle", type=int, default=1000)
    words.add_argument("--working", type=int, default=100)
    words.add_argument("--pause", type=float, default=1.0, help="mean seconds between two files of a working client")
    options = words.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    scratch = Path(tempfile.mkdtemp(prefix="gatehouse-soak-", dir=os.environ.get("GATEHOUSE_BENCH_SCRATCH")))
    try:
        key = Key(scratch / "user")
        with Gateway(scratch / "gateway", SETTINGS) as gateway:
            gateway.partner("soak", key=key, settle_s=0)
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(soak(gateway, key, options))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
