"""Payloads in an S3-compatible store: the same octets, in parts, and no upload left unfinished whatever dies."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from cluster import Cluster
from gateway import Gateway
from peers import HOST, OpenSsh, cut, free_port, listens, make_file, sha256, until

BUCKET, KEY, SECRET = "gatehouse", "AKIDEXAMPLE", "wJalrXUtnFEMI"
PART = 128 * 65_564


class Store:
    """moto's server: S3 in a process of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.process = free_port(), None
        self.address = f"http://{HOST}:{self.port}"
        self.start()
        self.client = boto3.client(
            "s3", endpoint_url=self.address, region_name="us-east-1", aws_access_key_id=KEY, aws_secret_access_key=SECRET,
        )
        self.client.create_bucket(Bucket=BUCKET)
        self.right = self.folder / "right"
        self.right.write_text(f"access_key_id = {KEY}\nsecret_access_key = {SECRET}\n")

    def start(self):
        log = (self.folder / "moto.log").open("ab")
        words = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("the store answers", lambda: listens(self.port))

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)

    def settings(self):
        lines = ['kind = "s3"', f'bucket = "{BUCKET}"', f'endpoint = "{self.address}"', 'prefix = "prod"', "allow_http = true"]
        return "[store]\n" + "\n".join([*lines, f'credentials_file = "{self.right}"']) + "\n"

    def objects(self):
        return self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])

    def unfinished(self):
        return self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    yield made
    made.stop()


def sender(gateway, folder, key, login="alpha"):
    return OpenSsh(folder, gateway.ports.get("key") or gateway.listen("key"), login, key)


@pytest.mark.parametrize("octets", [3000, 200_000, PART - 5000, 30_000_000])
def test_files_go_in_and_come_back(store, keys, tmp_path, octets):
    # STO-15, STO-22
    with Gateway(tmp_path / "gateway", store.settings()) as gateway:
        gateway.partner("alpha", key=keys("alpha"))
        sent = make_file(tmp_path / "a.bin", octets)
        client = sender(gateway, tmp_path / "client", keys("alpha"))
        client.sftp(f"put {sent} a.bin", "get a.bin back.bin")
        assert sha256(client.folder / "back.bin") == sha256(sent)
        found = store.objects()
        assert len(found) == (0 if octets <= 16_384 else 1)
        for one in found:
            assert one["Key"].startswith("prod/payload/") and one["Size"] > octets
            content = store.client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
            assert content[:4] == b"GHP1" and sent.read_bytes()[:64] not in content
        assert store.unfinished() == [] and gateway.staged_octets() < 100
        assert SECRET not in gateway.log() and SECRET not in gateway.run("check", check=False).stdout
        client.sftp("rm a.bin")


def test_a_killed_gateway_leaves_no_unfinished_upload(store, keys, tmp_path):
    gateway = Gateway(tmp_path / "gateway", store.settings())
    with gateway:
        gateway.partner("alpha", key=keys("alpha"))
        sent = make_file(tmp_path / "big.bin", 60_000_000)
        client = sender(gateway, tmp_path / "client", keys("alpha"))
        upload = client.start_sftp(f"put {sent} big.bin")
        until("parts are on their way", store.unfinished)
        gateway.kill()
        cut(upload)
        assert store.unfinished(), "it was killed in the middle"
        gateway.start()
        # The start gives it up; however busy the machine is, this comes.
        until("nothing is unfinished", lambda: store.unfinished() == [])
        client.sftp(f"put {sent} big.bin", "get big.bin back.bin")
        assert sha256(client.folder / "back.bin") == sha256(sent)
        assert len(store.objects()) == 1
        assert store.unfinished() == []


def test_an_upload_that_was_begun_but_not_written_down_is_found(store, keys, tmp_path):
    """As if the gateway had died between the store's answer and the database."""
    gateway = Gateway(tmp_path / "gateway", store.settings())
    with gateway:
        gateway.partner("alpha", key=keys("alpha"))
    uuid = os.urandom(16).hex()
    key = f"prod/payload/{uuid[:2]}/{uuid}.ghp"
    store.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    sql = "INSERT INTO store_upload (file_uuid, node_id, at) VALUES (?, 'gone', 0)"
    import sqlite3

    with contextlib.closing(sqlite3.connect(gateway.data / "gatehouse.db")) as base:
        base.execute(sql, (uuid,))
        base.commit()
    # Nobody wrote this one down: it goes by its age, and this store dates all of them to 2010.
    store.client.create_multipart_upload(Bucket=BUCKET, Key=f"prod/payload/ff/{'f' * 32}.ghp")
    with gateway:
        until("both are given up", lambda: store.unfinished() == [])


def test_a_store_that_is_away_acknowledges_nothing(store, keys, tmp_path):
    with Gateway(tmp_path / "gateway", store.settings()) as gateway:
        gateway.partner("alpha", key=keys("alpha"))
        sent = make_file(tmp_path / "a.bin", 3_000_000)
        client = sender(gateway, tmp_path / "client", keys("alpha"))
        store.stop()
        assert client.sftp(f"put {sent} a.bin", check=False, limit=150).returncode != 0
        assert gateway.received("alpha", "a.bin", wanted=False) is None
        store.start()
        store.client.create_bucket(Bucket=BUCKET)
        client.sftp(f"reput {sent} a.bin", "get a.bin back.bin")
        assert sha256(client.folder / "back.bin") == sha256(sent)


def test_two_nodes_share_the_store(store, keys, tmp_path):
    with Cluster(tmp_path / "cluster", store=store.settings()) as cluster:
        a, b = cluster.add("a"), cluster.add("b")
        a.partner("alpha", key=keys("alpha"))
        sent = make_file(tmp_path / "a.bin", 20_000_000)
        sender(a, tmp_path / "client_a", keys("alpha")).sftp(f"put {sent} a.bin")
        other = sender(b, tmp_path / "client_b", keys("alpha"))
        other.sftp("get a.bin back.bin")
        assert sha256(other.folder / "back.bin") == sha256(sent)
        big = make_file(tmp_path / "big.bin", 60_000_000)
        upload = sender(a, tmp_path / "client_c", keys("alpha")).start_sftp(f"put {big} big.bin")
        until("parts are on their way", store.unfinished)
        a.kill()
        cut(upload)
        until("the other node gives it up", lambda: store.unfinished() == [])
        other.sftp(f"put {big} big.bin")
        assert b.received("alpha", "big.bin")["sha256"] == sha256(big)


def test_credentials_and_addresses_are_checked(store, tmp_path):
    # STO-8
    for text, told in [
        (store.settings().replace(f'credentials_file = "{store.right}"', ""), "credentials"),
        (store.settings().replace("allow_http = true", ""), "TLS"),
        (store.settings().replace('kind = "s3"', 'kind = "s4"'), "give local or s3"),
    ]:
        gateway = Gateway(tmp_path / f"try_{told.split()[0]}", text)
        done = subprocess.run(
            [gateway.program, "serve", "--data", str(gateway.data)], capture_output=True, text=True, timeout=60,
            env=gateway.environment(),
        )
        assert done.returncode == 1 and told in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr
