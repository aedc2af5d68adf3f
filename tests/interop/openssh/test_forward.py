"""The main job: a file comes from partner A by SFTP and goes out to partner B, once, whatever happens between."""

import os
import random
import time

import pytest

from gateway import Gateway
from peers import AsyncsshServer, Key, OpenSsh, Sshd, make_file, sha256, until

KILLS = 50 if os.environ.get("GATEHOUSE_SOAK") else 10


def arrived(peer):
    """Names and digests of the whole files at a partner; half files have a temporary name."""
    found = {}
    for path in peer.files.rglob("*"):
        if path.is_file() and not is_temporary(path.name):
            found[path.name] = sha256(path)
    return found


def is_temporary(name):
    return name.startswith(".") or name.endswith((".part", ".filepart", ".tmp"))


@pytest.mark.parametrize("octets", [0, 3000, 7_000_000])
def test_from_a_client_to_sshd(fresh, client, keys, tmp_path, octets):
    # TRF-12, TRF-13, SFTP-3
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    with Sshd(tmp_path / "bravo", [fresh.own_key()]) as bravo:
        fresh.remote("bravo", bravo)
        fresh.route("alpha", "bravo")
        sent = make_file(tmp_path / "order.bin", octets)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})
        until("nothing is left to do", fresh.idle)
        assert len(fresh.deliveries("order.bin")) == 1


def test_from_a_client_to_asyncssh(fresh, client, keys, tmp_path):
    # TRF-12, SFTP-3
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    with AsyncsshServer(tmp_path / "bravo", [fresh.own_key()]) as bravo:
        fresh.remote("bravo", bravo)
        fresh.route("alpha", "bravo")
        sent = make_file(tmp_path / "order.bin", 3_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})


def test_with_a_password(fresh, client, keys, tmp_path):
    # SFTP-4 as client
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    with AsyncsshServer(tmp_path / "bravo", password="open sesame") as bravo:
        fresh.remote("bravo", bravo, password="open sesame")
        fresh.route("alpha", "bravo")
        sent = make_file(tmp_path / "order.bin", 1000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})


def test_a_changed_host_key_is_refused(fresh, client, keys, tmp_path):
    # SFTP-6, SSH-18: nothing is sent to a server that shows another key
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    with Sshd(tmp_path / "bravo", [fresh.own_key()]) as bravo:
        fresh.remote("bravo", bravo)
        fresh.route("alpha", "bravo")
        bravo.stop()
        bravo.host_key = Key(tmp_path / "other_host_key")
        bravo.start()
        sent = make_file(tmp_path / "order.bin", 1000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        text = until("the refusal is told", lambda: fresh.reason("order.bin", "host key"))
        assert arrived(bravo) == {}, text
        assert "Accepted" not in (bravo.folder / "sshd.log").read_text()


def test_a_partner_that_is_away_gets_its_file_later(fresh, client, keys, tmp_path):
    # OBJ-6, TRF-4
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    with Sshd(tmp_path / "bravo", [fresh.own_key()]) as bravo:
        fresh.remote("bravo", bravo, retry_s=1)
        fresh.route("alpha", "bravo")
        bravo.stop()
        sent = make_file(tmp_path / "order.bin", 200_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("an attempt failed", lambda: fresh.reason("order.bin", "cannot connect"))
        bravo.start()
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)}, limit=60)


def test_several_files_on_one_connection(fresh, client, keys, tmp_path):
    # Issue item 6: several transfers on one connection
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    with Sshd(tmp_path / "bravo", [fresh.own_key()]) as bravo:
        fresh.remote("bravo", bravo, retry_s=1)
        fresh.route("alpha", "bravo")
        bravo.stop()
        names = [f"n{i}.bin" for i in range(20)]
        sent = {name: sha256(make_file(tmp_path / name, 2000 + i)) for i, name in enumerate(names)}
        client(fresh, "alpha", keys("alpha")).sftp(*[f"put {tmp_path / name} {name}" for name in names])
        until("all are waiting", lambda: len(fresh.deliveries("")) == len(names))
        bravo.start()
        until("all are at the partner", lambda: arrived(bravo) == sent, limit=60)
        connections = (bravo.folder / "sshd.log").read_text().count("Accepted publickey")
        assert connections <= 5, f"{connections} connections for {len(names)} files"


def stories(gateway, names):
    """What the gateway says of files that are not where they should be."""
    rows = [row for name in names for row in gateway.transfers("-file_name", name)]
    return "\n".join(gateway.run("why", str(row["Ident"])).stdout for row in rows) or f"no record of {names}"


def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path, keys):
    # TRF-4, OBJ-34, DESIGN 5.2: kill -9 in receive, route and deliver
    dice = random.Random(int(os.environ.get("GATEHOUSE_SEED", "1")))
    with Gateway(tmp_path / "gateway") as gateway, Sshd(tmp_path / "bravo", [gateway.own_key()]) as bravo:
        gateway.partner("alpha", key=keys("alpha"), settle_s=0)
        # The default policy, ASK: what has not left is not put before a person.
        gateway.remote("bravo", bravo, retry_s=1)
        gateway.route("alpha", "bravo")
        port = gateway.port("key")
        sent = {}
        for turn in range(KILLS):
            name = f"t{turn}.bin"
            path = make_file(tmp_path / name, dice.choice([900, 40_000, 2_000_000, 12_000_000]))
            sent[name] = sha256(path)
            sftp = OpenSsh(tmp_path / "client", port, "alpha", keys("alpha"))
            run = sftp.start_sftp(f"put {path} {name}")
            time.sleep(dice.uniform(0.0, 0.9))  # the moment of the blow is the point of this test
            gateway.kill()
            acknowledged = run.wait(timeout=60) == 0
            gateway.start()
            if not acknowledged:
                again = sftp.sftp(f"reput {path} {name}", check=False)
                if again.returncode != 0:
                    sftp.sftp(f"put {path} {name}")
        deadline = time.monotonic() + 60
        while not (arrived(bravo).keys() == sent.keys() and gateway.idle()) and time.monotonic() < deadline:
            time.sleep(0.1)
        wrong = [name for name, digest in sent.items() if arrived(bravo).get(name) != digest]
        assert wrong == [], stories(gateway, wrong)
        assert gateway.idle(), gateway.run("peldsp", "status_trans").stdout
        left = [path.name for path in bravo.files.rglob("*") if path.is_file() and is_temporary(path.name)]
        assert left == [], "temporary names are gone in the end"
        for name in sent:
            ended = [row for row in gateway.deliveries(name) if row["State"] == "ended"]
            assert len(ended) <= 2, f"{name}: {ended}"
