"""A partner that calls us, added by one command: all of it or nothing, and never a secret shown."""

import json
import os
import signal
import subprocess
import time

import pytest

from peers import HOST, Key, OpenSsh, free_port, listens, make_file, sha256, until


@pytest.fixture
def port():
    return free_port()


def add(gateway, name, *words, check=True):
    return gateway.run("partner", "add", name, *words, check=check)


def client_of(tmp_path, port, login, key=None, password=None):
    return OpenSsh(tmp_path / f"client_{login}", port, login, key, password)


def objects(gateway):
    return gateway.run("export", "-all").stdout


def test_one_command_lets_a_partner_in(fresh, keys, port, tmp_path):
    # Issue: first partner
    done = add(fresh, "ALICE", "-key", str(keys("alice").public), "-listen", f"{HOST}:{port}")
    for text in ("+ create SITE ALICE", "+ create CGATE ALICE", "Connection sheet for ALICE", "rollback -all -point"):
        assert text in done.stdout, done.stdout
    assert "FAILED" not in done.stdout
    until("the gateway listens", lambda: listens(port))
    alice = client_of(tmp_path, port, "alice", keys("alice"))
    sent = make_file(tmp_path / "a.bin", 100_000)
    listing = alice.sftp(f"put {sent} a.part", "rename a.part a.bin", "ls -l", "pwd").stdout
    assert "a.bin" in listing and "/in" in listing
    got = fresh.received("ALICE", "a.bin")
    assert got["sha256"] == sha256(sent)
    assert alice.sftp("get a.bin back.bin", check=False).returncode != 0, "they send, and do not fetch"
    assert alice.sftp(f"put {sent} ../b.bin", check=False).returncode != 0
    shown = until("the login is noted", lambda: fresh.json("partner", "show", "ALICE")["last_login"] and
                  fresh.json("partner", "show", "ALICE"))
    assert shown["last_login"]["key"] == "ALICE_KEY" and shown["last_login"]["peer"] == HOST
    assert shown["directions"] == ["they send"] and shown["problems"] == []
    assert shown["transfers"][0]["file"] == "a.bin" and shown["usage"]["in_files"] == 1
    assert [row["Name"] for row in fresh.json("partner", "list")] == ["ALICE"]
    assert fresh.json("partner", "test", "ALICE")["ok"] is True


def test_they_fetch_what_is_put_at_their_disposal(fresh, keys, port, tmp_path):
    add(fresh, "CAROL", "-key", str(keys("carol").public), "-directions", "THEY_FETCH", "-listen", f"{HOST}:{port}")
    until("the gateway listens", lambda: listens(port))
    offered = make_file(tmp_path / "o.bin", 30_000)
    words = ["-dest_alias", "CAROL", "-mode", "R", "-dir_name", "/carol/out", "-file_component", str(offered)]
    fresh.run("peltrans", *words)
    carol = client_of(tmp_path, port, "carol", keys("carol"))
    carol.sftp("get o.bin back.bin")
    assert sha256(carol.folder / "back.bin") == sha256(offered)
    assert carol.sftp("put back.bin other.bin", check=False).returncode != 0, "they fetch, and do not send"


def test_the_sheet_tells_a_stranger_all_and_no_secret(fresh, port, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("open-sesame-77\n")
    fresh.run("peladm", "update_loc_site", "-alias", "GATEHOUSE", "-host_name", HOST, "-contact", "Ann, +1 555 0100")
    words = ["-password_from_file", str(secret), "-listen", f"{HOST}:{port}", "-directions", "THEY_SEND THEY_FETCH"]
    done = add(fresh, "CAROL", *words)
    until("the gateway listens", lambda: listens(port))
    sheet = fresh.run("partner", "export", "CAROL", "-sheet").stdout
    markdown = fresh.run("partner", "export", "CAROL", "-sheet", "-format", "MARKDOWN").stdout
    for text in ("Ann, +1 555 0100", "/in: send files, delete files, list", "/out: fetch files, delete files, list"):
        assert text in sheet and text in markdown
    # The line for known_hosts and the fingerprint are those that OpenSSH sees.
    line = next(line.split(maxsplit=3)[3] for line in sheet.splitlines() if "known_hosts" in line)
    carol = client_of(tmp_path, port, "carol", password="open-sesame-77")
    (carol.folder / "known_hosts").write_text(line + "\n")
    words = ["-o", "StrictHostKeyChecking=yes"]
    assert "in" in carol.sftp("ls", options=words).stdout
    scanned = subprocess.run(
        ["ssh-keygen", "-l", "-f", str(carol.folder / "known_hosts")], capture_output=True, text=True, check=True
    ).stdout
    assert scanned.split()[1] in sheet
    exported = fresh.run("partner", "export", "CAROL").stdout
    everything = [done.stdout, done.stderr, sheet, markdown, exported, fresh.run("audit", "list", "-last", "100").stdout]
    everything += [fresh.run("partner", "show", "CAROL").stdout, fresh.log(), fresh.run("history").stdout]
    assert all("open-sesame" not in text for text in everything)
    raw = b"".join(path.read_bytes() for path in fresh.data.glob("gatehouse.db*"))
    assert b"open-sesame" not in raw
    warned = add(fresh, "DAVE", "-password", "seen-by-all-9", "-dry_run")
    assert "seen by others" in warned.stderr and "seen-by-all" not in warned.stdout


def test_a_dry_run_changes_nothing_and_a_name_is_taken_once(fresh, keys, port):
    before = objects(fresh)
    words = ["-key", str(keys("alice").public), "-listen", f"{HOST}:{port}"]
    plan = add(fresh, "ALICE", *words, "-dry_run").stdout
    assert "+ create LISTENER SFTP" in plan and "nothing was changed" in plan
    assert objects(fresh) == before
    add(fresh, "ALICE", *words)
    after = objects(fresh)
    for name in ("ALICE", "alice"):
        again = add(fresh, name, *words, check=False)
        assert again.returncode == 1 and "exists already" in again.stderr and "partner remove" in again.stderr
    assert objects(fresh) == after
    # What is there is used: the second partner needs neither listener nor group.
    plan = add(fresh, "BOB", "-key", str(keys("bob").public)).stdout
    assert "LISTENER" not in plan and "CGATE_GROUP" not in plan and "+ create CGATE BOB" in plan


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, ["-directions"]),
        (["-directions", "THEY_SEND"], 2, ["-key FILE"]),
        (["-directions", "WE_SEND"], 2, ["-address HOST:PORT", "-our_login NAME"]),
        (["-directions", "1 3"], 2, ["-key FILE", "-address HOST:PORT", "-our_login NAME"]),
        (["-directions", "WE_FETCH"], 1, ["not in this version"]),
        (["-directions", "THEY_SING"], 2, ["THEY_SEND"]),
        (["-capture", "-to_site", "NOBODY"], 1, ["site NOBODY does not exist", "partner add NOBODY"]),
        (["-address", "a b", "-our_login", "x"], 2, ["sftp.example.com:22"]),
        (["-key_line", "hello"], 1, ["-key_line"]),
        (["-capture", "-folder", "/"], 1, ["can't be /"]),
        (["-capture", "-listen", "nowhere"], 2, ["ADDRESS:PORT"]),
    ],
)
def test_what_is_missing_or_wrong_is_told_at_once(shared, words, code, told):
    before = objects(shared)
    done = add(shared, "EVE", *words, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    for text in told:
        assert text in done.stderr, done.stderr
    assert objects(shared) == before


def test_a_private_key_is_refused(fresh, keys):
    done = add(fresh, "ALICE", "-key", str(keys("alice").path), check=False)
    assert done.returncode == 1 and "private key" in done.stderr


def test_answers_come_from_a_file(fresh, keys, port, tmp_path):
    (tmp_path / "alice.pub").write_text(keys("alice").line + "\n")
    (tmp_path / "pw").write_text("from-a-file-1\n")
    answers = tmp_path / "alice.toml"
    answers.write_text(
        f'directions = ["they_send", "we_send"]\nkey = "alice.pub"\nlisten = "{HOST}:{port}"\n'
        f'address = "{HOST}:{free_port()}"\nour_login = "gateway"\nour_password = {{ file = "pw" }}\n'
    )
    done = fresh.json("partner", "add", "ALICE", "-file", str(answers), "-no_test")
    assert done["applied"] is True and done["name"] == "ALICE"
    assert "from-a-file" not in json.dumps(done)
    site = fresh.json("peldsp", "display_site", "ALICE")
    assert site["login_ident"] == "gateway" and site["login_password"] == "***"
    answers.write_text('loginn = "x"\nour_password = "clear"\n')
    wrong = fresh.run("partner", "add", "BOB", "-file", str(answers), check=False)
    assert wrong.returncode == 2 and "did you mean login?" in wrong.stderr and "clear" not in wrong.stderr


def test_a_captured_key_is_enabled_by_a_person(fresh, keys, port, tmp_path):
    # AUTO-1
    done = add(fresh, "ALICE", "-capture", "-listen", f"{HOST}:{port}")
    assert "remote_key_import" in done.stdout and "quarantine list" in done.stdout
    until("the gateway listens", lambda: listens(port))
    alice = client_of(tmp_path, port, "alice", keys("alice"))
    assert alice.sftp("pwd", check=False).returncode != 0
    captured = until("the key is in quarantine", fresh.quarantine)[0]
    assert captured["Fingerprint"] == keys("alice").fingerprint
    fresh.run("quarantine", "enable", captured["Name"])
    alice.sftp("pwd")
    assert [key["use"] for key in fresh.json("partner", "show", "ALICE")["keys"]] == ["their login key"]


def test_removed_and_brought_back(fresh, keys, port, tmp_path):
    before = objects(fresh)
    add(fresh, "BOB", "-key", str(keys("bob").public), "-listen", f"{HOST}:{port}")
    with_bob = objects(fresh)
    add(fresh, "ALICE", "-key", str(keys("alice").public), "-to_site", "BOB")
    exported = tmp_path / "alice.toml"
    fresh.run("partner", "export", "ALICE", "-output", str(exported))
    plan = fresh.run("partner", "remove", "ALICE", "-dry_run").stdout
    assert "- delete CGATE ALICE" in plan and "- delete KEY ALICE_KEY" in plan and "nothing was changed" in plan
    fresh.run("partner", "remove", "ALICE")
    left = [line for line in objects(fresh).splitlines() if "ALICE" in line or "alice" in line]
    assert left == [], left
    # All but the table of rules, which is not a partner's own.
    tables = [[part.strip() for part in text.split("\n\n") if "rule_table" not in part] for text in (objects(fresh), with_bob)]
    assert tables[0] == tables[1]
    fresh.run("apply", str(exported))
    until("the gateway listens", lambda: listens(port))
    client_of(tmp_path, port, "alice", keys("alice")).sftp("pwd")
    fresh.run("partner", "remove", "ALICE")
    fresh.run("partner", "remove", "BOB")
    assert fresh.json("partner", "list") == []
    gone = fresh.run("partner", "remove", "BOB", check=False)
    assert gone.returncode == 1 and "does not exist" in gone.stderr
    assert "BOB" not in objects(fresh) and "bob" not in objects(fresh) and before


def test_killed_in_the_middle_it_is_all_or_nothing(fresh, tmp_path):
    # ARCHITECTURE, invariant 7: the command does it itself here, since no gateway runs
    fresh.stop()
    key = Key(tmp_path / "key")
    whole = {"SITE", "CGATE", "KEY", "VFD_DIR"}
    outcomes = set()
    started = time.monotonic()
    fresh.run("partner", "add", "P0", "-key", str(key.public), "-no_test")
    took = time.monotonic() - started
    for n in range(1, 13):
        name = f"P{n}"
        words = [fresh.program, "partner", "add", name, "-key", str(Key(tmp_path / f"key{n}").public), "-no_test"]
        process = subprocess.Popen(
            [*words, "--data", str(fresh.data)], env=fresh.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=took * n / 12)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        rows = fresh.json("history", "-last", "1000")
        made = {row["Object"].split()[0] for row in rows if name.lower() in row["Object"].lower().replace("_", " ").replace("/", " ").split()}
        assert made in (set(), whole), f"{name}: {made}"
        outcomes.add(bool(made))
    assert fresh.run("check").returncode == 0 and fresh.run("audit", "verify").returncode == 0
    fresh.start()
    assert outcomes, "every outcome is whole"
