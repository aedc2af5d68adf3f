"""Purge, usage, limits, change of the master key, log files: the real program and real clients."""

import os
import random
import sqlite3
import subprocess
import time

import pytest

from gateway import Gateway
from peers import make_file, sha256, until


def test_a_limit_refuses_the_upload_and_usage_tells(fresh, client, keys, tmp_path):
    # SFTP-13: refusal of new transfers only, no disconnection
    fresh.partner("alpha", key=keys("alpha"))
    fresh.run("peladm", "update_site", "-alias", "alpha", "-max_stored_files", "2", "-max_stored_size", "1")
    alpha = client(fresh, "alpha", keys("alpha"))
    small, large = make_file(tmp_path / "small.bin", 1000), make_file(tmp_path / "large.bin", 1_200_000)
    done = alpha.sftp(f"-put {large} large.bin", f"put {small} one.bin", "ls -l", options=["-v"])
    assert "Failure" in done.stdout + done.stderr and "one.bin" in done.stdout, "the session goes on"
    alpha.sftp(f"put {small} two.bin")
    third = alpha.sftp(f"put {small} three.bin", check=False)
    assert third.returncode != 0 and "Failure" in third.stdout + third.stderr
    rows = {(row["Kind"], row["Name"]): row for row in fresh.json("usage")}
    assert rows["site", "alpha"]["Files in"] == 2 and rows["site", "alpha"]["Octets in"] == 2000
    assert rows["site", "alpha"]["Files max"] == 2 and rows["site", "alpha"]["Octets max"] == 1_000_000
    assert rows["gate", "G_ALPHA"]["Files in"] == 2
    assert "Files in" in fresh.run("usage", "alpha").stdout


def test_purge_says_first_and_removes_then(fresh, client, keys, tmp_path):
    # TRF-23
    fresh.partner("alpha", key=keys("alpha"))
    fresh.partner("bravo", key=keys("bravo"))
    sent = make_file(tmp_path / "a.bin", 100_000)
    fresh.run("peltrans", "-dest_alias", "bravo", "-fc", str(sent), "-mode", "R", "-dir_name", "/bravo")
    client(fresh, "bravo", keys("bravo")).sftp(f"get a.bin {tmp_path / 'got.bin'}")
    assert sha256(tmp_path / "got.bin") == sha256(sent)
    client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} kept.bin")
    until("the fetched file is ended", lambda: fresh.deliveries("a.bin")[0]["State"] == "ended")
    assert fresh.json("purge", "--dry-run") == [], "nothing is old enough"
    would = fresh.json("purge", "-dry_run", "-days", "0")
    assert [(row["Site"], row["Transfers"]) for row in would] == [("bravo", 1)]
    assert len(fresh.deliveries("a.bin")) == 1
    assert fresh.json("purge", "-days", "0") == would
    assert fresh.deliveries("a.bin") == []
    files = [path for path in (fresh.data / "payload").rglob("*.ghp")]
    assert len(files) == 1, "the file that went nowhere is kept, the other is gone"
    assert fresh.received("alpha", "kept.bin")["size"] == 100_000
    assert "purge" in fresh.run("audit", "list").stdout and fresh.run("audit", "verify").returncode == 0


def test_metrics_show_room_and_reserve(fresh):
    # Issue: free-space reserve, in /metrics
    import urllib.request

    def shown():
        with urllib.request.urlopen(f"http://127.0.0.1:{fresh.observed}/metrics", timeout=2) as answer:
            text = answer.read().decode()
        return text if "gatehouse_store_free_octets" in text else None

    text = until("the gauges are there", shown)
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert float(values["gatehouse_store_reserve_octets"]) == 32 << 20
    assert 0 < float(values["gatehouse_store_free_octets"]) <= float(values["gatehouse_store_total_octets"])


def test_the_master_key_changes_while_files_come(fresh, client, keys, tmp_path):
    # STO-25; kill -9 at any moment
    fresh.partner("alpha", key=keys("alpha"), password="open sesame")
    sent = {f"f{n}.bin": make_file(tmp_path / f"f{n}.bin", 400_000 if n % 2 else 2000) for n in range(40)}
    alpha = client(fresh, "alpha", keys("alpha"))
    alpha.sftp(*[f"put {path} {name}" for name, path in sent.items()])
    first = (fresh.data / "master.key").read_text().split()[2]
    chance = random.Random(7)
    for _ in range(6):
        words = [fresh.program, "master", "rotate", "--data", str(fresh.data)]
        command = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=fresh.environment())
        time.sleep(chance.uniform(0.0, 0.25))
        fresh.kill()
        command.wait(timeout=30)
        fresh.start()
    until("the change begun is at its end", lambda: not list(fresh.data.glob("master.key.*")))
    done = fresh.json("master", "rotate")
    assert done["facts"]["waiting"] == 0 and list(fresh.data.glob("master.key*")) == [fresh.data / "master.key"]
    now = (fresh.data / "master.key").read_text().split()[2]
    assert now == done["facts"]["master_key"] and now != first
    fresh.stop()
    # Nothing on the disk names another key than the present one.
    raw = b"".join(path.read_bytes()[:4096] for path in (fresh.data / "payload").rglob("*.ghp"))
    assert raw.count(b"GHSEAL\x01\x00" + bytes.fromhex(now)) == raw.count(b"GHSEAL\x01\x00") == 20
    base = sqlite3.connect(fresh.data / "gatehouse.db")
    for value in ("SELECT substr(sealed, 9, 8) FROM object_secret", "SELECT substr(inline_sealed, 25, 8) FROM payload"):
        assert {row[0] for row in base.execute(value) if row[0]} == {bytes.fromhex(now)}
    base.close()
    fresh.start()
    got = tmp_path / "got"
    got.mkdir()
    client(fresh, "alpha", password="open sesame", mode="password")
    alpha.sftp(*[f"get {name} {got / name}" for name in sent])
    assert all(sha256(got / name) == sha256(path) for name, path in sent.items())


@pytest.fixture
def logging(tmp_path):
    settings = '[log]\nfile = "log/gateway.log"\nmax_mib = 1\nkeep = 2\nlevel = "info"\n'
    gateway = Gateway(tmp_path / "gateway", settings)
    (gateway.data / "log").mkdir(mode=0o700)
    with gateway:
        yield gateway


def test_log_lines_go_to_the_file_of_the_settings(logging):
    # Issue: log files with rotation
    path = logging.data / "log" / "gateway.log"
    assert "gateway is ready" in path.read_text() and "gateway is ready" not in logging.log()
    assert os.stat(path).st_mode & 0o777 == 0o600
