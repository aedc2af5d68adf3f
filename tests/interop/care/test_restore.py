"""Last night's backup on an empty machine: the real program, real clients, a real partner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

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


EMPTY_MACHINE = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir -p usr proc dev opt/backup tmp root
mount --bind /usr usr && mount -o remount,bind,ro usr
for name in bin sbin lib lib64; do ln -s "usr/$name" "$name"; done
mount -t proc proc proc
mount --rbind /dev dev
cp "$2" opt/gatehouse
cp "$3" opt/restore-drill
cp -r "$4/." opt/backup
ip link set lo up
exec chroot . /usr/bin/env -i PATH=/usr/bin:/bin GATEHOUSE=/opt/gatehouse \
    /opt/restore-drill /opt/backup/backup /tmp/restored --escrow /opt/backup/escrow --passphrase_from_file /opt/backup/passphrase
"""


def play_drill(program, night_folder, root):
    """The drill, as an operator runs it, where there is nothing but the program, the backup and the escrow."""
    root.mkdir()
    script = Path(__file__).parents[3] / "packaging" / "restore-drill"
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "/bin/sh", "-c", EMPTY_MACHINE, "sh"]
    return subprocess.run(
        [*words, str(root), program, str(script), str(night_folder)], capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )


def test_the_drill_plays_last_nights_backup_on_an_empty_machine(fresh, client, keys, tmp_path):
    # Issue: restore of last night's backup on an empty machine, played by a script
    if os.getuid() != 0 or subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces for this user here: there can be no empty machine")
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    sent = [make_file(tmp_path / f"f{n}.bin", size) for n, size in enumerate((1000, 300_000))]
    client(fresh, "alpha", keys("alpha")).sftp(*[f"put {path}" for path in sent])
    night_folder = tmp_path / "night"
    night_folder.mkdir()
    night(fresh, night_folder)
    done = play_drill(fresh.program, night_folder, tmp_path / "root1")
    assert done.returncode == 0, done.stdout + done.stderr
    for told in ("is whole", "2 stored files are whole: 301000 octets", "audit is whole", "is good"):
        assert told in done.stdout, done.stdout
    assert PASSPHRASE not in done.stdout + done.stderr

    # What is wrong is found: an octet of a payload, the key of another installation.
    payload = next((night_folder / "backup" / "payload").rglob("*.ghp"))
    whole = payload.read_bytes()
    payload.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    done = play_drill(fresh.program, night_folder, tmp_path / "root2")
    assert done.returncode != 0 and "FAILED" in done.stderr and payload.name in done.stdout + done.stderr
    payload.write_bytes(whole)
    (night_folder / "passphrase").write_text("another four words\n")
    done = play_drill(fresh.program, night_folder, tmp_path / "root3")
    assert done.returncode != 0 and "does not open" in done.stdout + done.stderr


def test_a_stored_file_that_is_damaged_is_told(fresh, client, keys, tmp_path):
    # STO-16
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    client(fresh, "alpha", keys("alpha")).sftp(f"put {make_file(tmp_path / 'a.bin', 200_000)}")
    assert "1 stored files are whole" in fresh.run("store", "verify").stdout
    payload = next((fresh.data / "payload").rglob("*.ghp"))
    whole = payload.read_bytes()
    payload.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    done = fresh.run("store", "verify", check=False)
    assert done.returncode == 1 and "1 of 1 stored files are damaged" in done.stderr
