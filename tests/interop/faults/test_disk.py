"""A disk that is full, a database that is locked: nothing is acknowledged that is not there, and it goes on afterwards."""

import os
import resource
import signal
import sqlite3
import subprocess
import threading

import pytest

from gateway import Gateway
from peers import OpenSsh, cut, make_file, sha256, until

MEGABYTE = 1 << 20
SIZE = 96 * MEGABYTE


@pytest.fixture
def small_disk(tmp_path):
    """A gateway whose data folder takes 96 MiB: a file system of its own, or without the right to mount a file limit."""
    folder = tmp_path / "gateway"
    data = folder / "data"
    data.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "none", str(data)]
    mounted = os.getuid() == 0 and subprocess.run(words, capture_output=True).returncode == 0
    gateway = Gateway(folder)
    if not mounted:
        gateway.limits = limit_files
    try:
        with gateway:
            yield gateway
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(data)], check=True)


def limit_files():
    """No file beyond that size; the write fails, and the signal that goes with it is ignored."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, SIZE))


def test_a_full_disk_refuses_the_upload_and_nothing_else(small_disk, client, keys, tmp_path):
    # Issue: full disk during upload; DESIGN 5.2
    small_disk.partner("filler", key=keys("filler"))
    sftp = client(small_disk, "filler", keys("filler"))
    large, small = make_file(tmp_path / "large.bin", 150 * MEGABYTE), make_file(tmp_path / "small.bin", 3000)
    done = sftp.sftp(f"put {large} large.bin", check=False, limit=90)
    assert done.returncode != 0, "a file that does not fit was acknowledged"
    assert small_disk.received("filler", "large.bin", wanted=False) is None
    sftp.sftp(f"put {small} small.bin", limit=90)
    assert small_disk.received("filler", "small.bin")["sha256"] == sha256(small)
    for row in small_disk.transfers("-file_name", "large.bin"):
        small_disk.run("pelctl", "control_trans", str(row["Ident"]), "-action", "C")
    middle = make_file(tmp_path / "middle.bin", 6 * MEGABYTE)
    until("a file fits again", lambda: sftp.sftp(f"put {middle} middle.bin", check=False).returncode == 0, limit=20)
    assert small_disk.received("filler", "middle.bin")["sha256"] == sha256(middle)


def test_a_locked_database_delays_and_loses_nothing(fresh, client, keys, tmp_path):
    # Issue: locked database
    fresh.partner("waiter", key=keys("waiter"))
    sent = make_file(tmp_path / "a.bin", 200_000)
    other = sqlite3.connect(fresh.data / "gatehouse.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(3.0, other.execute, ["ROLLBACK"])
    release.start()
    sftp = client(fresh, "waiter", keys("waiter"))
    first = sftp.sftp(f"put {sent} a.bin", check=False, limit=90)
    release.join()
    other.close()
    if first.returncode != 0:
        sftp.sftp(f"put {sent} a.bin", limit=90)
    assert fresh.received("waiter", "a.bin")["sha256"] == sha256(sent)


def test_a_second_gateway_on_the_folder_is_refused(fresh):
    # Issue item 3: lock against a second instance
    words = [fresh.program, "serve", "--data", str(fresh.data)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=fresh.environment())
    assert done.returncode == 1
    assert "in use" in done.stderr + done.stdout
    assert fresh.is_ready()


def test_an_interrupted_upload_survives_the_end_of_the_gateway(tmp_path, keys):
    # TRF-4, TRF-9: killed in the middle, resumed at the last durable octet
    with Gateway(tmp_path / "gateway") as gateway:
        gateway.partner("alpha", key=keys("alpha"))
        sent = make_file(tmp_path / "big.bin", 40 * MEGABYTE)
        sftp = OpenSsh(tmp_path / "client", gateway.port("key"), "alpha", keys("alpha"))
        run = sftp.start_sftp(f"put {sent} big.bin", options=["-l", "120000"])
        until("some of the file has come", lambda: gateway.staged_octets() > 12 * MEGABYTE)
        gateway.kill()
        cut(run)
        gateway.start()
        assert gateway.received("alpha", "big.bin", wanted=False) is None
        sftp.sftp(f"reput {sent} big.bin", limit=90)
        assert gateway.received("alpha", "big.bin")["sha256"] == sha256(sent)
