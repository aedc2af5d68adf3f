"""An upgrade from the first issue's database: the data folder that the program of the first release line left behind is taken
over by the present program, with all objects, transfers, payloads, keys and secrets (care/first/make.py)."""

import base64
import hashlib
import importlib.util
import sqlite3
from pathlib import Path

import pytest

from gateway import Gateway
from peers import HOST, AsyncsshServer, OpenSsh, free_port, listens, make_file, sha256, until

FIRST = Path(__file__).parent / "first"
HOST_KEY = "SHA256:ukOx1gEuHTU2KXDB9hfDNn0ezopxHCKHzXcIZz6vGlw"


def first_contents():
    spec = importlib.util.spec_from_file_location("first_make", FIRST / "make.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made.contents()


class KeyFile:
    """A private key that is there already."""

    def __init__(self, path):
        self.path = path


@pytest.fixture
def old(tmp_path):
    """A gateway on the folder that the first program left behind; not started. Nothing of it is too old to be kept."""
    gateway = Gateway(tmp_path / "gateway", "[retention]\ndays = 0\n")
    base = sqlite3.connect(gateway.data / "gatehouse.db")
    base.executescript((FIRST / "gatehouse.sql").read_text())
    base.close()
    for line in (FIRST / "files.txt").read_text().splitlines():
        name, octets = line.split()
        path = gateway.data / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(octets))
        path.chmod(0o600)
    (gateway.data / "payload").chmod(0o700)
    yield gateway
    if gateway.process:
        assert gateway.stop() == 0, gateway.log()[-3000:]


def move(gateway, mode, name):
    """The ports of the old installation are of another machine: the operator gives new ones."""
    port = free_port()
    gateway.run("secadm", "update_netprof", "-nprof_name", name, "-dest_address", f"*/{port}")
    gateway.run("listener", "update", name, "-port", str(port))
    gateway.ports[mode] = port
    until("the gateway listens", lambda: listens(port))


def test_the_present_program_takes_over_what_the_first_one_left(old, tmp_path):
    # Issue: an upgrade from the first issue's database
    sent = {name: hashlib.sha256(content).hexdigest() for name, content in first_contents().items()}
    old.start()
    assert old.run("audit", "verify").returncode == 0
    assert "none of them an error" in old.run("check").stdout
    copies = list(old.data.glob("gatehouse.db.schema-*"))
    assert len(copies) == 1, "a copy of the database of before"
    # Objects, with their history.
    assert old.json("secdsp", "display_key", "HOST")["fingerprint"] == HOST_KEY
    assert {row["Name"] for row in old.json("names", "SITE")} >= {"alpha", "bravo", "carol"}
    assert old.json("history", "CGATE", "G_ALPHA")
    # Transfers, each with its state and its story.
    rows = {(row["Dir"], row["File"]): row for row in old.transfers()}
    assert {key: row["State"] for key, row in rows.items() if key[0] == "I"} == {
        ("I", "small.txt"): "ended", ("I", "large.bin"): "ended", ("I", "kept.txt"): "ended",
    }
    for row in rows.values():
        assert row["File"] in old.run("why", str(row["Ident"])).stdout
    assert old.display(rows["I", "large.bin"]["Ident"])["sha256"] == sent["large.bin"]
    usage = {(row["Kind"], row["Name"]): row for row in old.json("usage")}
    assert usage["site", "alpha"]["Files in"] == 2 and usage["site", "carol"]["Files in"] == 1

    # Keys, passwords and payloads: partners log in as they did, and find their files.
    for mode in ("key", "password"):
        move(old, mode, f"SFTP_{mode.upper()}")
    alpha = OpenSsh(tmp_path / "a", old.port("key"), "alpha", KeyFile(old.folder / "alpha"))
    got = tmp_path / "got"
    got.mkdir()
    alpha.sftp("ls")
    carol = OpenSsh(tmp_path / "c", old.port("password"), "carol", password="carols word")
    carol.sftp(f"get kept.txt {got}/kept.txt", f"get offer.txt {got}/offer.txt")
    digests = {path.name: sha256(path) for path in got.iterdir()}
    assert digests == {"kept.txt": sent["small.txt"], "offer.txt": sent["offer.txt"]}
    octets = sum(len(content) for content in first_contents().values()) + len(first_contents()["small.txt"])
    assert f"4 stored files are whole: {octets} octets" in old.run("store", "verify").stdout

    # What waited for a partner goes out, with the sealed password; new files go the same way.
    with AsyncsshServer(tmp_path / "bravo", password="bravos word") as bravo:
        old.run("secadm", "import_key", "-name", "BRAVO_NOW", "-file_name", str(bravo.host_key.public))
        address = ["-dest_address", f"{HOST}/{bravo.port}", "-remote_public_key_alias", "BRAVO_NOW"]
        old.run("peladm", "update_site", "-alias", "bravo", *address)
        old.run("pelctl", "start_site", "bravo")
        new = make_file(tmp_path / "new.bin", 150_000)
        alpha.sftp(f"put {new} new.bin")
        wanted = {name: sent[name] for name in ("small.txt", "large.bin")} | {"new.bin": sha256(new)}

        def arrived():
            whole = [path for path in bravo.files.rglob("*") if path.is_file() and not path.name.endswith(".part")]
            return {path.name: sha256(path) for path in whole} == wanted

        until("all that waited is there, and the new one", arrived, limit=60)
    assert old.stop() == 0
    old.start()
    assert list(old.data.glob("gatehouse.db.schema-*")) == copies, "the second start changes nothing"


def test_the_way_back_is_the_copy(old):
    # docs/manual/care.md, "Upgrade"
    old.start()
    old.stop()
    (copy,) = old.data.glob("gatehouse.db.schema-*")
    base = sqlite3.connect(copy)
    assert [row[0] for row in base.execute("SELECT version FROM migration")] == [1]
    assert base.execute("SELECT count(*) FROM transfer").fetchone()[0] == 6
    base.close()
