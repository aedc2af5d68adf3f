"""How the data folder beside this file was made, by the program of commit 4bbf0ad, the first release line.

    GATEHOUSE_PROGRAM=.../gatehouse PYTHONPATH=.../tests/interop python make.py SCRATCH

with the program and `tests/interop` of that commit. It is not run again: the point of these files is that they are old.
"""

import base64
import hashlib
import shutil
import sqlite3
import sys
from pathlib import Path

from gateway import Gateway
from peers import Key, OpenSsh, until

HERE = Path(__file__).parent


def contents():
    """Files that are sent: one that is stored within the database, one in a file of its own, one at disposal."""
    return {
        "small.txt": b"".join(b"line %d of a small file\n" % n for n in range(40)),
        "large.bin": b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(700)),
        "offer.txt": b"for carol\n" * 30,
    }


class Nobody:
    """A partner who is never there."""

    port = 1


def play(gateway, work):
    key = Key(work / "alpha")
    gateway.partner("alpha", key=key, password="open sesame", settle_s=0)
    gateway.partner("carol", password="carols word", settle_s=0)
    Nobody.host_key = Key(work / "nobody")
    gateway.remote("bravo", Nobody, password="bravos word")
    gateway.route("alpha", "bravo")
    for name, content in contents().items():
        (work / name).write_bytes(content)
    alpha = OpenSsh(work / "a", gateway.port("key"), "alpha", key)
    alpha.sftp(f"put {work / 'small.txt'}", f"put {work / 'large.bin'}")
    gateway.run("peltrans", "-dest_alias", "carol", "-fc", str(work / "offer.txt"), "-mode", "R", "-dir_name", "/carol")
    carol = OpenSsh(work / "c", gateway.port("password"), "carol", password="carols word")
    carol.sftp(f"put {work / 'small.txt'} kept.txt")
    until("bravo was tried", lambda: gateway.reason("large.bin", "connect"))
    print(gateway.json("secdsp", "display_key", "HOST")["fingerprint"])


def write(data, work):
    base = sqlite3.connect(data / "gatehouse.db")
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (HERE / "gatehouse.sql").write_text("\n".join(base.iterdump()) + "\n")
    base.close()
    kept = [path for path in sorted(data.rglob("*")) if path.name == "master.key" or path.suffix == ".ghp"]
    lines = [f"{path.relative_to(data)} {base64.b64encode(path.read_bytes()).decode()}\n" for path in kept]
    lines.append(f"../alpha {base64.b64encode((work / 'alpha').read_bytes()).decode()}\n")
    (HERE / "files.txt").write_text("".join(lines))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with Gateway(folder / "gateway") as played:
        play(played, folder)
    write(played.data, folder)
