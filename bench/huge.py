"""One very large upload: memory must stay what it was. `cargo xtask bench huge [--gib N]`

OpenSSH's `sftp` sends a sparse file that takes no room, so that octets are read as fast as the machine gives zeros; ours are
sealed and stored, and are not sparse. So that 100 GiB fit, what was written is punched out of the staged file behind the
writer (`fallocate --punch-hole`): the file keeps its length, its blocks go back. The commit reads nothing again, its hash
is the running one, so it must succeed; a download of such a file could not, and is not tried. Resident memory is noted every
second. Stops by itself where the disk has less than 20 GiB free.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "bench")]

from gateway import Gateway  # noqa: E402
from measure import load, resident_mib, slope  # noqa: E402
from peers import Key, OpenSsh, until  # noqa: E402

GIB, MIB = 1 << 30, 1 << 20
FREE_LEAST = 20 * GIB
# What is left alone behind the writer, which may still write there, and before it the header of the file.
BEHIND, HEADER = 256 * MIB, 1 * MIB


def staged(gateway):
    files = [path for path in (gateway.data / "staging").rglob("*") if path.is_file()]
    return max(files, key=lambda path: path.stat().st_size, default=None)


def punch(path, done):
    """Gives back the blocks of what is well behind the end."""
    end = (path.stat().st_size - BEHIND) // MIB * MIB
    if end > done:
        words = ["fallocate", "--punch-hole", "--offset", str(done), "--length", str(end - done), str(path)]
        subprocess.run(words, check=True, capture_output=True)
    return max(done, end)


def watch(client, gateway, source, octets):
    """Until the client is through: a point each second, holes behind the writer."""
    began, done, points, told = time.monotonic(), HEADER, [], 0.0
    while client.poll() is None:
        time.sleep(1)
        path, at = staged(gateway), time.monotonic() - began
        if path:
            size = path.stat().st_size
            done = punch(path, done)
            points.append((size / GIB, resident_mib(gateway.process.pid)))
            if at - told >= 20:
                told = at
                blocks = path.stat().st_blocks * 512 / GIB
                print(f"  {at:5.0f} s  {size / GIB:6.1f} GiB  RSS {points[-1][1]:6.1f} MiB  blocks {blocks:.2f} GiB; {load()}", flush=True)
        if shutil.disk_usage(gateway.data).free < FREE_LEAST:
            client.kill()
            raise SystemExit("the disk has less than 20 GiB free: given up")
    seconds = time.monotonic() - began
    print(f"{octets / GIB:.0f} GiB in {seconds:.0f} s, {octets / GIB / seconds * 1024:.0f} MiB/s")
    return points


def zeros(octets):
    """SHA-256 of what was sent, in the time that it takes."""
    digest, piece = hashlib.sha256(), bytes(16 * MIB)
    for _ in range(octets // len(piece)):
        digest.update(piece)
    digest.update(bytes(octets % len(piece)))
    return digest.hexdigest()


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--gib", type=float, default=100)
    words.add_argument("--no-digest", action="store_true", help="do not compare the digest, which takes minutes to compute")
    options = words.parse_args()
    octets = int(options.gib * GIB)
    scratch = Path(tempfile.mkdtemp(prefix="gatehouse-huge-", dir=os.environ.get("GATEHOUSE_BENCH_SCRATCH")))
    try:
        key, source = Key(scratch / "user"), scratch / "source.bin"
        with source.open("wb") as file:
            file.truncate(octets)
        with Gateway(scratch / "gateway", '[log]\nlevel = "warn"\n') as gateway:
            gateway.partner("huge", key=key, settle_s=0)
            client = OpenSsh(scratch / "client", gateway.port("key"), "huge", key)
            client.sftp("pwd")
            print(f"before: RSS {resident_mib(gateway.process.pid):.1f} MiB; {load()}", flush=True)
            run = client.start_sftp(f"put {source} huge.bin", options=["-c", "aes128-gcm@openssh.com", "-q"])
            points = watch(run, gateway, source, octets)
            assert run.wait() == 0, f"the upload failed: {run.communicate()}\n{gateway.log()[-3000:]}"
            row = until("it is received", lambda: gateway.transfers("-file_name", "huge.bin"))[-1]
            assert row["Octets"] == octets, row
            later = [point for point in points if point[0] >= 1] or points
            print(f"RSS: first GiB {later[0][1]:.1f} MiB, worst {max(rss for _, rss in points):.1f} MiB, at the end "
                  f"{points[-1][1]:.1f} MiB, slope {slope(later) * 1024:+.1f} KiB for each GiB; {load()}")
            print(f"committed: {row['Octets']} octets, {row['State']}")
            if not options.no_digest:
                same = gateway.display(row["Ident"])["sha256"] == zeros(octets)
                print(f"digest: {'as sent' if same else 'NOT what was sent'}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
