"""The measurements: what is done, in which unit it is told, and what we want to reach."""

import asyncio
import dataclasses
import os
import socket
import ssl
import statistics
import threading
import time
from pathlib import Path

import asyncssh

from measure import sync_rate
from peers import HOST, make_file, sha256, until

GIB = 1 << 30
WARMING_SESSIONS = 100


@dataclasses.dataclass
class Scale:
    """How much is done."""

    octets: int
    files: int
    sessions: int
    repeat: int

    @classmethod
    def whole(cls):
        return cls(octets=GIB, files=2000, sessions=100, repeat=3)

    @classmethod
    def quick(cls):
        return cls(octets=GIB // 8, files=200, sessions=20, repeat=1)


@dataclasses.dataclass
class Job:
    """One measurement. The first subject is the peer that the others are compared with."""

    work: object
    subjects: list
    goals: dict
    warm_up: int = 1
    # How repetitions are folded. What a process has taken it keeps, so memory counts by the worst round.
    fold: object = statistics.median


class Spent:
    """CPU seconds of a server and wall seconds of a piece of work."""

    def __init__(self, subject):
        self.subject = subject

    def __enter__(self):
        settle(self.subject)
        self.cpu, self.wall = self.subject.cpu_s(), time.monotonic()
        return self

    def __exit__(self, *_):
        self.wall = time.monotonic() - self.wall
        settle(self.subject)
        self.cpu = self.subject.cpu_s() - self.cpu


def settle(subject):
    """Waits until the server rests: sessions of a peer count only when their processes have ended."""
    if not subject.is_gateway:
        until("all sessions ended", lambda: len(subject.processes()) == 1)
        return
    before = None
    while before != (now := subject.cpu_s()):
        before = now
        time.sleep(0.3)


def source(memory, octets):
    """The file to send: made once, in memory."""
    path = memory / f"source{octets}"
    return path if path.exists() else make_file(path, octets)


def bulk(subject, scale, memory):
    """One large file up and down with OpenSSH's client, aes128-gcm."""
    sent, back, name = source(memory, scale.octets), memory / "back", subject.fresh_name()
    with Spent(subject) as up:
        subject.sftp(f"put {sent} {name}")
    with Spent(subject) as down:
        subject.sftp(f"get {name} {back}")
    subject.rest()
    assert sha256(back) == sha256(sent)
    back.unlink()
    return both_ways(up, down, scale)


def ftps(subject, scale, memory):
    """One large file up and down over FTPS with curl, TLS 1.3, AES-128-GCM."""
    sent, back, name = source(memory, scale.octets), memory / "back", subject.fresh_name()
    with Spent(subject) as up:
        subject.curl("--upload-file", str(sent), subject.url(name))
    with Spent(subject) as down:
        subject.curl("--output", str(back), subject.url(name))
    subject.rest()
    assert sha256(back) == sha256(sent)
    back.unlink()
    return both_ways(up, down, scale)


def both_ways(up, down, scale):
    per = GIB / scale.octets
    return {
        "up cpu_s/GiB": up.cpu * per, "down cpu_s/GiB": down.cpu * per,
        "up wall_s/GiB": up.wall * per, "down wall_s/GiB": down.wall * per,
    }


def ftps_idle(subject, scale, memory):
    """Memory of sessions over FTPS that are logged in, have listed once, and rest."""

    def hold(count):
        held = [subject.ftps() for _ in range(count)]
        for ftp in held:
            ftp.nlst()
        return held, subject.memory_kib()

    # Hashing passwords takes memory that the process keeps for the next one, however many sessions there are.
    first, before = hold(WARMING_SESSIONS)
    held, after = hold(scale.sessions * 5 // 2)
    for ftp in first + held:
        ftp.close()
    return {"KiB/session": (after - before) / len(held)}


def small(subject, scale, memory):
    """Many files of 4 KiB, one after the other: each is recorded and durable at ours, neither at the peer's."""
    folder = memory / f"small{scale.files}"
    if not folder.exists():
        folder.mkdir()
        for i in range(scale.files):
            make_file(folder / f"f{i:05}.bin", 4096)
    syncs = sync_rate(".", 0.5)
    with Spent(subject) as up:
        subject.sftp(f"mput {folder}/*")
    return {
        "cpu_ms/file": up.cpu * 1000 / scale.files, "wall_ms/file": up.wall * 1000 / scale.files,
        "files/s": scale.files / up.wall, "disk syncs/s": syncs,
    }


def idle(subject, scale, memory):
    """Memory of sessions that are logged in, with the sftp channel open, and rest."""

    async def hold():
        async def one():
            connection = await asyncssh.connect(
                HOST, subject.port, username=subject.login, client_keys=[str(subject.key.path)], known_hosts=None,
                agent_path=None, config=None,
            )
            return connection, await connection.start_sftp_client()

        before = subject.memory_kib()
        held = []
        for start in range(0, scale.sessions, 5):
            held += await asyncio.gather(*[one() for _ in range(min(5, scale.sessions - start))])
        await asyncio.sleep(1)
        after = subject.memory_kib()
        for connection, _ in held:
            connection.close()
        for connection, _ in held:
            await connection.wait_closed()
        return (after - before) / scale.sessions

    return {"KiB/session": asyncio.run(hold())}


def growth(subject, scale, memory):
    """How far resident memory rises while one client moves a large file up and down."""
    sent, back = source(memory, scale.octets), memory / "back"
    return rise(subject, lambda: subject.sftp(f"put {sent} bulk.bin", f"get bulk.bin {back}"), back)


def ftps_growth(subject, scale, memory):
    """The same over FTPS."""
    sent, back, name = source(memory, scale.octets), memory / "back", subject.fresh_name()
    for _ in range(8):
        # Hashing passwords takes memory once for each thread, which the process keeps.
        subject.curl("--list-only", subject.url(""))

    def both():
        subject.curl("--upload-file", str(sent), subject.url(name))
        subject.curl("--output", str(back), subject.url(name))

    return rise(subject, both, back)


def rise(subject, work, back):
    """How far resident memory rises meanwhile."""
    before, top, done = subject.resident_kib(), [0], threading.Event()

    def watch():
        while not done.wait(0.02):
            top[0] = max(top[0], subject.resident_kib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    back.unlink()
    return {"RSS growth MiB": max(0, top[0] - before) / 1024}


def connect(subject, scale, memory):
    """Connect, log in by key, look at the folder, leave: one after the other."""
    cycles = scale.sessions // 2
    with Spent(subject) as spent:
        for _ in range(cycles):
            subject.sftp("pwd")
    return {"cpu_ms/cycle": spent.cpu * 1000 / cycles, "wall_ms/cycle": spent.wall * 1000 / cycles}


def handshake(subject, scale, memory):
    """Full TLS 1.3 handshakes with client certificates, one after the other, to the first octet that the server says."""
    count = scale.sessions * 20
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(subject.folder / "ca.pem")
    trusting.load_cert_chain(subject.folder / "client.pem", subject.folder / "client.key")
    trusting.check_hostname, trusting.minimum_version = False, ssl.TLSVersion.TLSv1_3

    def one(turn):
        # From many addresses: the gateway lets one open 500 connections at once without a login, then 200 a second.
        source = (f"127.0.{subject.turn % 200 + 1}.{turn // 250 + 1}", 0)
        with socket.create_connection((HOST, subject.port), source_address=source) as line, trusting.wrap_socket(line) as secured:
            if not subject.is_gateway:
                secured.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert secured.recv(100), "the handshake was refused"

    with Spent(subject) as spent:
        for turn in range(count):
            one(turn)
    subject.turn += 1
    return {"cpu_us/handshake": spent.cpu * 1e6 / count, "wall_us/handshake": spent.wall * 1e6 / count}


ALL = ["sshd", "gateway", "gateway plain"]
FTPS = ["pure-ftpd", "ftp gateway", "ftp gateway plain"]
JOBS = {
    "bulk": Job(
        bulk, ALL,
        {
            ("gateway plain", "up cpu_s/GiB"): ("ratio", 0.6), ("gateway plain", "down cpu_s/GiB"): ("ratio", 0.6),
            ("gateway", "up cpu_s/GiB"): ("ratio", 1.0), ("gateway", "down cpu_s/GiB"): ("ratio", 1.0),
        },
    ),
    "small": Job(small, ALL, {}),
    "idle": Job(idle, ["sshd", "gateway"], {("gateway", "KiB/session"): ("value", 250)}, warm_up=0, fold=max),
    "growth": Job(growth, ["gateway", "gateway plain"], {
        ("gateway", "RSS growth MiB"): ("value", 32), ("gateway plain", "RSS growth MiB"): ("value", 32),
    }, warm_up=0, fold=max),
    "ftps": Job(ftps, FTPS, {
        ("ftp gateway plain", "up cpu_s/GiB"): ("ratio", 0.85), ("ftp gateway plain", "down cpu_s/GiB"): ("ratio", 0.95),
    }),
    "ftps-idle": Job(ftps_idle, ["ftp gateway"], {("ftp gateway", "KiB/session"): ("value", 60)}, warm_up=0, fold=max),
    "ftps-growth": Job(ftps_growth, FTPS[1:], {
        ("ftp gateway", "RSS growth MiB"): ("value", 32), ("ftp gateway plain", "RSS growth MiB"): ("value", 32),
    }, warm_up=0, fold=max),
    "handshake": Job(handshake, ["nginx", "tls gateway"], {("tls gateway", "cpu_us/handshake"): ("ratio", 0.5)}),
    "connect": Job(connect, ["sshd", "gateway"], {("gateway", "cpu_ms/cycle"): ("ratio", 0.2)}),
}
