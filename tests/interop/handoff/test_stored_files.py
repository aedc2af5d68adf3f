"""gatehouse file: stored files listed, taken out and brought in, through the running gateway and without one."""

import hashlib
import os
import subprocess

from folders import digest, pickup, visible
from peers import make_file, sha256, until


def run(gateway, *words, content=None, cwd=None, check=True):
    command = [gateway.program, *map(str, words), "--data", str(gateway.data)]
    done = subprocess.run(
        command, input=content if content is not None else b"", capture_output=True, timeout=120,
        env=gateway.environment(), cwd=cwd,
    )
    if check:
        assert done.returncode == 0, f"{words}: {done.stdout[-500:]}{done.stderr[-500:]}"
    return done


def test_out_and_in_through_the_running_gateway(fresh, client, keys, tmp_path):
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    sent = make_file(tmp_path / "sent", 5_000_000)
    client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} a.xml")
    until("it is received", lambda: fresh.received("alpha", "a.xml"))
    [row] = fresh.json("file", "list", "-site", "alpha", "-file_name", "*.xml")
    assert (row["File"], row["Octets"]) == ("a.xml", 5_000_000)
    assert fresh.json("file", "list", "-file_name", "*.txt") == []
    ident = row["Ident"]
    assert fresh.json("file", "info", str(ident))["sha256"] == sha256(sent)
    run(fresh, "file", "get", ident, cwd=tmp_path)
    assert sha256(tmp_path / "a.xml") == sha256(sent), "under its own name"
    assert digest(run(fresh, "file", "get", ident, "-").stdout) == sha256(sent)
    again = run(fresh, "file", "get", ident, tmp_path / "a.xml", check=False)
    assert again.returncode == 1 and b"-replace" in again.stderr
    run(fresh, "file", "get", ident, tmp_path / "a.xml", "-replace")
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []
    erp = tmp_path / "erp"
    pickup(fresh, "ERP", erp)
    fresh.route("alpha", "ERP")
    content = os.urandom(3_000_000)
    run(fresh, "file", "put", "-", "-file_name", "in.bin", "-org_alias", "alpha", content=content)
    until("it is routed as alpha's", lambda: visible(erp) == ["in.bin"])
    assert digest((erp / "in.bin").read_bytes()) == digest(content)
    run(fresh, "file", "put", sent, "-dest_alias", "ERP")
    until("it is sent", lambda: visible(erp) == ["in.bin", "sent"])
    audit = fresh.run("audit", "list", check=False).stdout
    assert "file get" in audit and "file put" in audit


def test_wrong_uses_have_their_exit_codes(fresh, tmp_path):
    for words, code in [
        (("file", "get", "999"), 1),
        (("file", "get"), 2),
        (("file", "put", "/nothing/here", "-dest_alias", "X"), 1),
        (("file", "put", "/etc/hostname"), 2),
        (("file", "put", "/etc/hostname", "-dest_alias", "NOBODY"), 1),
        (("file", "put", "-", "-org_alias", "NOBODY"), 2),
    ]:
        done = run(fresh, *words, cwd=tmp_path, check=False)
        assert done.returncode == code and done.stderr, f"{words}: {done}"
    assert list(tmp_path.glob("*.part")) == []


def test_without_a_running_gateway(fresh, tmp_path):
    pickup(fresh, "ERP", tmp_path / "erp")
    assert fresh.stop() == 0
    content = os.urandom(400_000)
    done = run(fresh, "file", "put", "-", "-file_name", "x", "-dest_alias", "ERP", content=content)
    ident = done.stdout.split()[-1].decode()
    assert digest(run(fresh, "file", "get", ident, "-").stdout) == digest(content)
    fresh.start()
    until("it is sent", lambda: visible(tmp_path / "erp") == ["x"])


def test_a_caller_that_dies_leaves_nothing_half(fresh, tmp_path):
    pickup(fresh, "ERP", tmp_path / "erp")
    command = [fresh.program, "file", "put", "-", "-file_name", "half", "-dest_alias", "ERP", "--data", str(fresh.data)]
    caller = subprocess.Popen(command, stdin=subprocess.PIPE, env=fresh.environment())
    caller.stdin.write(bytes(2_000_000))
    caller.stdin.flush()
    until("some of it has come", lambda: fresh.staged_octets() > 500_000)
    caller.kill()
    caller.wait()
    until("the attempt is audited as failed", lambda: "cut off" in fresh.run("audit", "list", check=False).stdout)
    assert visible(tmp_path / "erp") == [] and fresh.deliveries("half") == []


def test_memory_does_not_grow_with_the_file(fresh, tmp_path):
    pickup(fresh, "ERP", tmp_path / "erp")
    before = fresh.resident_octets()
    command = [fresh.program, "file", "put", "-", "-file_name", "big", "-dest_alias", "ERP", "--data", str(fresh.data)]
    caller = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=fresh.environment())
    whole = hashlib.sha256()
    for _ in range(200):
        piece = os.urandom(1_000_000)
        whole.update(piece)
        caller.stdin.write(piece)
    caller.stdin.close()
    ident = caller.stdout.read().split()[-1].decode()
    assert caller.wait(timeout=60) == 0
    assert fresh.json("file", "info", ident)["sha256"] == whole.hexdigest()
    grown = fresh.resident_octets() - before
    assert grown < 64_000_000, f"{grown} octets more for a file of 200,000,000"
