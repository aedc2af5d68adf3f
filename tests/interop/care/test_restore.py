"""Last night's backup on an empty machine: the real program, real clients, a real partner."""

import os
import shutil
import subprocess

from peers import Sshd, listens, make_file, sha256, until

PASSPHRASE = "four words in a row"


def arrived(peer):
    """Digest and change time of each whole file at a partner: a second delivery would change the time."""
    files = [path for path in peer.files.rglob("*") if path.is_file() and not path.name.endswith(".part")]
    return {path.name: (sha256(path), path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def night(gateway, folder):
    """Backup and escrow, as the manual shows them."""
    secret = folder / "passphrase"
    secret.write_text(PASSPHRASE + "\n")
    gateway.run("backup", "create", str(folder / "backup"))
    gateway.run("backup", "escrow", str(folder / "escrow"), "-passphrase_from_file", str(secret))
    verified = gateway.run("backup", "verify", str(folder / "backup")).stdout
    assert "is whole" in verified
    return secret


def test_last_nights_backup_on_an_empty_machine(fresh, client, keys, tmp_path):
    # Issue: backup while the gateway runs, restore on an empty machine, nothing twice unseen; DESIGN 1.18
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    fresh.partner("carol", key=keys("carol"), settle_s=0)
    with Sshd(tmp_path / "bravo", [fresh.own_key()]) as bravo:
        fresh.remote("bravo", bravo, retry_s=1)
        fresh.route("alpha", "bravo")
        alpha = client(fresh, "alpha", keys("alpha"))
        before, after = make_file(tmp_path / "before.bin", 300_000), make_file(tmp_path / "after.bin", 2_000_000)
        kept, offered = make_file(tmp_path / "kept.bin", 500_000), make_file(tmp_path / "offered.bin", 70_000)
        alpha.sftp(f"put {before} before.bin")
        until("the first file is at the partner", lambda: "before.bin" in arrived(bravo))
        # One waits for the partner, who is away; one is at carol's disposal; one went nowhere.
        bravo.stop()
        alpha.sftp(f"put {after} after.bin")
        until("a delivery waits", lambda: fresh.reason("after.bin", "cannot connect"))
        client(fresh, "carol", keys("carol")).sftp(f"put {kept} kept.bin")
        fresh.run("peltrans", "-dest_alias", "carol", "-fc", str(offered), "-mode", "R", "-dir_name", "/carol")
        night(fresh, tmp_path)
        assert b"gatehouse-master-key" not in b"".join(p.read_bytes() for p in (tmp_path / "backup").rglob("*") if p.is_file())

        # The day after: the partner is back, the file goes out; then the machine is lost.
        bravo.start()
        until("the waiting file is at the partner", lambda: "after.bin" in arrived(bravo), limit=60)
        until("nothing is left to do", lambda: all(r["State"] == "ended" for r in fresh.deliveries("after.bin")))
        delivered = arrived(bravo)
        fresh.kill()
        shutil.rmtree(fresh.data)

        fresh.data = tmp_path / "new" / "data"
        fresh.data.parent.mkdir()
        words = [fresh.program, "restore", str(tmp_path / "backup"), "--data", str(fresh.data)]
        words += ["--escrow", str(tmp_path / "escrow"), "--passphrase_from_file", str(tmp_path / "passphrase")]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        assert "1 deliveries look at their partner" in done.stdout and "1 files at partners' disposal" in done.stdout
        assert PASSPHRASE not in done.stdout + done.stderr

        fresh.start(ready=False)
        until("it says that it is frozen", lambda: "frozen" in fresh.log())
        assert not fresh.is_ready() and not any(listens(port) for port in fresh.ports.values())
        assert fresh.deliveries("after.bin")[0]["State"] in ("to begin", "to restart"), "frozen, nothing is tried"
        assert fresh.run("audit", "verify").returncode == 0
        fresh.run("unfreeze")
        until("the gateway takes work", fresh.is_ready)
        until("the gateway listens", lambda: all(listens(port) for port in fresh.ports.values()))

        until("the delivery has looked", lambda: all(r["State"] == "ended" for r in fresh.deliveries("after.bin")), limit=60)
        assert arrived(bravo) == delivered, "nothing was sent a second time"
        assert fresh.deliveries("offered.bin")[0]["State"] == "suspended"
        fetched = tmp_path / "fetched.bin"
        client(fresh, "carol", keys("carol")).sftp(f"get kept.bin {fetched}")
        assert sha256(fetched) == sha256(kept), "what was stored before the backup is there"
        more = make_file(tmp_path / "more.bin", 100_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {more} more.bin")
        until("new files go their way", lambda: arrived(bravo).get("more.bin", [""])[0] == sha256(more), limit=60)


def test_a_wrong_passphrase_and_a_full_folder_are_refused(fresh, tmp_path):
    # STO-7
    secret = night(fresh, tmp_path)
    wrong = tmp_path / "wrong"
    wrong.write_text("another four words\n")
    words = [fresh.program, "restore", str(tmp_path / "backup"), "--escrow", str(tmp_path / "escrow")]
    target = tmp_path / "target"

    def restore(secret, data):
        more = ["--passphrase_from_file", str(secret), "--data", str(data)]
        return subprocess.run([*words, *more], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    done = restore(wrong, target)
    assert done.returncode == 1 and "does not open" in done.stderr and not target.exists()
    assert "not empty" in restore(secret, fresh.data).stderr
    assert restore(secret, target).returncode == 0
    assert (target / "master.key").read_text() == (fresh.data / "master.key").read_text()
    assert os.stat(target / "master.key").st_mode & 0o777 == 0o600
    # A secret on the line is no form that the command has.
    done = fresh.run("backup", "escrow", str(tmp_path / "other"), "-passphrase", "on the line", check=False)
    assert done.returncode == 2 and not (tmp_path / "other").exists()
