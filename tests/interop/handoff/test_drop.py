"""Drop folders: what the business side puts into a real folder is taken in once, whatever dies when."""

import os
import random
import subprocess
import time

import pytest

from folders import digest, drop, pickup, put, visible
from gateway import Gateway
from peers import until


def received(gateway, name):
    """Digests of the whole files of this name that came from drop folders."""
    rows = gateway.transfers("-direction", "I", "-file_name", name)
    return [gateway.display(row["Ident"])["sha256"] for row in rows if row["State"] in ("ended", "ended routing")]


def test_a_file_is_taken_in_routed_and_removed(fresh, tmp_path):
    # OBJ-31: from one application to another, through the store
    out, erp = tmp_path / "out", tmp_path / "erp"
    pickup(fresh, "ERP", erp)
    drop(fresh, "OUT", out, "-dest_alias", "ERP")
    content = os.urandom(3_000_000)
    put(out, "order.xml", content)
    until("it arrives", lambda: visible(erp) == ["order.xml"])
    assert digest((erp / "order.xml").read_bytes()) == digest(content)
    assert visible(out) == []
    [row] = fresh.transfers("-direction", "I")
    assert (row["Site"], row["State"]) == ("OUT", "ended")
    shown = fresh.display(row["Ident"])
    assert shown["sha256"] == digest(content)
    assert "over FOLDER" in fresh.run("why", str(row["Ident"])).stdout


def test_a_file_that_grows_is_not_taken(fresh, tmp_path):
    out = tmp_path / "out"
    drop(fresh, "OUT", out, "-stable_s", "2")
    whole = bytearray()
    with (out / "slow.bin").open("wb") as file:
        for _ in range(20):
            piece = os.urandom(10_000)
            whole += piece
            file.write(piece)
            file.flush()
            assert visible(out) == ["slow.bin"]
            time.sleep(0.2)  # a slow writer
    until("it is taken", lambda: received(fresh, "slow.bin"), limit=40)
    assert received(fresh, "slow.bin") == [digest(whole)], "once, and whole"


def test_marks_and_patterns(fresh, tmp_path):
    out = tmp_path / "out"
    drop(fresh, "OUT", out, "-ready", "MARKER", "-file_patterns", "*.xml", "-after", "MOVE")
    (out / "a.xml").write_bytes(b"first")
    (out / "b.txt").write_bytes(b"not ours")
    (out / "b.txt.done").touch()
    (out / "c.xml.tmp").write_bytes(b"on its way")
    until("a look was taken", lambda: (out / ".gatehouse").exists())
    assert received(fresh, "a.xml") == []
    (out / "a.xml.done").touch()
    until("it is taken", lambda: received(fresh, "a.xml") == [digest(b"first")])
    until("file and mark are gone", lambda: visible(out) == ["b.txt", "b.txt.done", "c.xml.tmp"])
    assert (out / "done" / "a.xml").read_bytes() == b"first"
    # A second file of the name: the old mark is gone, so it is waited for again.
    (out / "a.xml").write_bytes(b"second")
    (out / "a.xml.done").touch()
    until("the second is taken too", lambda: received(fresh, "a.xml") == [digest(b"first"), digest(b"second")])
    until("both are kept", lambda: visible(out / "done") == ["a.xml", "a.xml.1"])


def test_what_is_no_file_is_refused_with_a_reason(fresh, tmp_path):
    # BP: links, pipes, devices, other owners
    out = tmp_path / "out"
    secret = tmp_path / "secret"
    secret.write_bytes(b"not to be sent")
    out.mkdir()
    (out / "link").symlink_to(secret)
    os.mkfifo(out / "pipe")
    (out / ("n" * 230)).write_bytes(b"x")
    os.link(secret, out / "hard")
    if os.getuid() == 0:
        (out / "foreign").write_bytes(b"x")
        os.chown(out / "foreign", 4321, 4321)
    drop(fresh, "OUT", out)
    reasons = {"link": "symbolic link", "pipe": "a pipe", "n" * 230: "its name", "hard": "second name"}
    if os.getuid() == 0:
        reasons["foreign"] = "user 4321"
    error = out / "error"
    until("all are refused", lambda: error.exists() and len(visible(error)) >= 2 * len(reasons) - 2, limit=40)
    for name, reason in reasons.items():
        assert reason in (error / f"{name}.reason.txt").read_text(), name
        assert os.path.lexists(error / name), "kept for a person"
    assert fresh.transfers("-direction", "I") == []
    put(out, "good", b"good")
    until("a good one still goes", lambda: received(fresh, "good") == [digest(b"good")])
    assert secret.read_bytes() == b"not to be sent"


def test_folders_below_and_thousands_of_files(fresh, tmp_path):
    out = tmp_path / "out"
    drop(fresh, "OUT", out, "-subfolders", "Y", "-dir_name", "/drops", "-scan_max", "300", "-ready", "RENAME")
    names = {}
    for number in range(2000):
        folder = out / f"d{number % 7}"
        folder.mkdir(exist_ok=True)
        content = f"{number}\n".encode()
        names[f"f{number}"] = (f"/drops/d{number % 7}", digest(content))
        put(folder, f"f{number}", content)
    count = lambda: len([r for r in fresh.transfers("-direction", "I") if r["State"] in ("ended", "ended routing")])
    until("all are taken", lambda: count() == len(names), limit=90)
    rows = fresh.transfers("-direction", "I")
    assert sorted(row["File"] for row in rows) == sorted(names)
    assert all(row["Folder"] == names[row["File"]][0] for row in rows[:50] if "Folder" in row)
    left = [p for p in out.rglob("*") if p.is_file()]
    assert left == []


def test_a_full_store_loses_nothing(tmp_path):
    folder = tmp_path / "gateway"
    data = folder / "data"
    data.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=96m,mode=0700", "none", str(data)]
    if os.getuid() != 0 or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a small disk")
    out = tmp_path / "out"
    try:
        with Gateway(folder) as gateway:
            drop(gateway, "OUT", out, "-ready", "RENAME")
            content = os.urandom(40_000_000)
            (data / "ballast").write_bytes(bytes(30_000_000))
            put(out, "large.bin", content)
            until("it is told", lambda: "space" in gateway.log() or "full" in gateway.log(), limit=60)
            assert received(gateway, "large.bin") == []
            (data / "ballast").unlink()
            until("it is taken", lambda: received(gateway, "large.bin"), limit=90)
            assert received(gateway, "large.bin") == [digest(content)]
            until("and removed", lambda: [p for p in out.rglob("*") if p.is_file()] == [])
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


@pytest.mark.parametrize("ready", ["RENAME", "MARKER"])
def test_killed_at_any_moment_each_file_is_taken_once(tmp_path, ready):
    # TRF-4, OBJ-31, OBJ-34
    dice = random.Random(int(os.environ.get("GATEHOUSE_SEED", "1")))
    out = tmp_path / "out"
    with Gateway(tmp_path / "gateway") as gateway:
        drop(gateway, "OUT", out, "-ready", ready, "-after", "MOVE")
        sent = {}
        for turn in range(10):
            for number in range(40):
                name = f"t{turn}_{number}.bin"
                content = os.urandom(dice.choice([0, 900, 40_000, 2_000_000]))
                sent[name] = digest(content)
                put(out, name, content)
                if ready == "MARKER":
                    (out / f"{name}.done").touch()
            time.sleep(dice.uniform(0.0, 0.5))  # the moment of the blow is the point of this test
            gateway.kill()
            gateway.start()
        until("the folder is empty", lambda: visible(out) == [] and len(visible(out / "done")) == len(sent), limit=90)
        rows = [r for r in gateway.transfers("-direction", "I") if r["State"] in ("ended", "ended routing")]
        got = sorted((row["File"], gateway.display(row["Ident"])["sha256"]) for row in rows)
        assert got == sorted(sent.items()), "each once, none lost"
        assert sorted(p.name for p in (out / "done").iterdir()) == sorted(sent), "under their own names"
        assert [p for p in (out / ".gatehouse").rglob("*") if p.is_file()] == []
