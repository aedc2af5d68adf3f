"""Durable small files: how many in a second, beside what the disk can do. `cargo xtask bench durable [--files N]`

Files of 4 KiB go up over 32 connections of OpenSSH's `sftp`, each of which sends its next file when the one before is
acknowledged: 32 are in flight. Each is recorded and on the disk before it is acknowledged. Beside it, in the same folder and
by turns: how often the disk makes 4 KiB durable, one after the other. Goal: four times as often. Then the same clients send to
OpenSSH's server, which syncs nothing: no server can do much more on that machine. Logging in is not counted.

`--sync_ms N`: each sync of the gateway takes N ms longer (strace), as on a slower disk: shows how many files share one.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "bench")]

from gateway import Gateway  # noqa: E402
from measure import load, sync_rate  # noqa: E402
from peers import Key, OpenSsh, Sshd, make_file, until  # noqa: E402

GOAL = 4.0
OCTETS = 4096


class Ours:
    """The gateway: each file is recorded and on the disk before it is acknowledged."""

    def __init__(self, gateway, key, sync_ms):
        self.sync_ms = sync_ms
        self.name, self.folder, self.login, self.key = "gateway", gateway.folder, "bench", key
        self.port, self.pid = gateway.port("key"), gateway.process.pid


class Peer:
    """OpenSSH's server, which syncs nothing: what the machine does with such clients at all."""

    def __init__(self, folder, key):
        self.name, self.folder, self.key, self.pid = "sshd", folder, key, None
        self.sync_ms = 0
        self.server = Sshd(folder / "peer", [key])
        self.port, self.login = self.server.port, self.server.login


class SlowSync(Gateway):
    """A gateway whose syncs take longer."""

    def __init__(self, folder, settings, sync_ms):
        super().__init__(folder, settings)
        slow = f"-e trace=fdatasync,fsync -e inject=fdatasync,fsync:delay_exit={sync_ms * 1000}"
        wrapper = self.folder / "slow"
        wrapper.write_text(f'#!/bin/sh\nexec strace -D -f --seccomp-bpf -qq -o /dev/null {slow} {self.program} "$@"\n')
        wrapper.chmod(0o700)
        self.program = str(wrapper)


def clients(server, options, turn):
    """Clients that are logged in and wait for the file `go`, each with its files to send."""
    each, go = options.files // options.flight, server.folder / f"go{turn}"
    source, running, ready = server.folder / "source.bin", [], []
    for n in range(options.flight):
        client = OpenSsh(server.folder / f"{server.name}{n}", server.port, server.login, server.key)
        ready.append(client.folder / f"ready{turn}")
        lines = ["pwd", f"!touch {ready[-1]}; while [ ! -e {go} ]; do sleep 0.02; done"]
        lines += [f"put {source} r{turn}c{n}-{i}.bin" for i in range(each)]
        running.append(client.start_sftp(*lines, options=["-c", "aes128-gcm@openssh.com", "-q"]))
    until("all are logged in", lambda: all(path.exists() for path in ready))
    return running, go, each * options.flight


def rounds(server, options):
    ratios = []
    make_file(server.folder / "source.bin", OCTETS)
    print(f"{server.name}: {options.flight} in flight, files of {OCTETS} octets; {load()}")
    for turn in range(-1, options.rounds):
        running, go, files = clients(server, options, turn)
        before = sync_rate(server.folder)
        cpu, begun = cpu_s(server.pid), time.monotonic()
        go.touch()
        for client in running:
            said = client.communicate()[0]
            if client.returncode != 0:
                raise AssertionError(said.decode(errors="replace"))
        seconds = time.monotonic() - begun
        cpu = cpu_s(server.pid) - cpu
        disk = statistics.fmean([before, sync_rate(server.folder)])
        disk = 1 / (1 / disk + server.sync_ms / 1000)
        rate = files / seconds
        if turn >= 0:
            ratios.append(rate / disk)
        spent = f", {cpu * 1000 / files:.2f} ms CPU a file" if server.pid else ""
        print(f"  {'warm-up' if turn < 0 else f'round {turn + 1}':8}{rate:7.0f} files/s, disk {disk:6.0f} syncs/s, ratio "
              f"{rate / disk:5.2f}{spent}; {load()}", flush=True)
    return statistics.median(ratios)


def cpu_s(pid):
    if pid is None:
        return 0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--files", type=int, default=6400, help="of one round")
    words.add_argument("--flight", type=int, default=32)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--sync_ms", type=int, default=0, help="each sync of the gateway takes so much longer")
    options = words.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gatehouse-durable-", dir=os.environ.get("GATEHOUSE_BENCH_SCRATCH")))
    try:
        key = Key(scratch / "user")
        quiet = '[log]\nlevel = "warn"\n'
        folder, slow = scratch / "gateway", options.sync_ms
        with SlowSync(folder, quiet, slow) if slow else Gateway(folder, quiet) as gateway:
            gateway.partner("bench", key=key, settle_s=0)
            ratio = rounds(Ours(gateway, key, slow), options)
        peer = Peer(scratch, key)
        with peer.server:
            most = rounds(peer, options)
        print(f"median ratio {ratio:.2f}, goal {GOAL:g}: {'reached' if ratio >= GOAL else 'NOT reached'}; "
              f"a server that syncs nothing: {most:.2f}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
