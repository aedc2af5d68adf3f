"""Configuration as code through the real program: the manual's chapter as it stands, both with the gateway running and down."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from peers import free_port, listens, until

CHAPTER = Path(__file__).parents[3] / "docs" / "manual" / "configuration.md"


def blocks():
    """The fenced blocks of the chapter: language and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", CHAPTER.read_text(), flags=re.MULTILINE | re.DOTALL)


def shell(gateway, folder, script):
    """Runs a block as a person would, line by line until one fails."""
    places = {"GATEHOUSE_DATA": str(gateway.data), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    # A line with `!` must fail. The shell takes it for a test, so that -e lets it pass either way.
    lines = [f"if {line[2:]}; then exit 99; fi" if line.startswith("! ") else line for line in script.splitlines()]
    return subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, timeout=120,
        env={**gateway.environment(), **places}, stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
def test_the_chapter_of_the_manual(fresh, tmp_path, running):
    # Each command works as it stands, and what the chapter shows is what comes.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gatehouse").symlink_to(fresh.program)
    if not running:
        fresh.stop()
    told, seen, scripts = "", 0, []
    for language, text in blocks():
        if language == "toml":
            path = tmp_path / text.splitlines()[0].removeprefix("# ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif language == "sh":
            # Variables of earlier blocks are known in later ones.
            keep = [line for script in scripts for line in script.splitlines() if re.match(r"\w+=", line)]
            done = shell(fresh, tmp_path, "\n".join(keep if "$point" in text and "point=" not in text else []) + "\n" + text)
            assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
            told, seen = done.stdout + done.stderr, seen + 1
            scripts.append(text)
        elif language == "text":
            lines = [line.rstrip() for line in told.splitlines()]
            missing = [line for line in text.splitlines() if not any(got.endswith(line) for got in lines)]
            assert missing == [], told
    assert seen >= 9
    assert "battery" not in fresh.log()
    if not running:
        fresh.start()


def test_an_export_makes_the_same_gateway_elsewhere(fresh, tmp_path, keys, client):
    # OBJ-32: partners log in on a second gateway that has nothing but the text and the named secrets.
    from gateway import Gateway

    fresh.partner("alice", key=keys("alice"))
    fresh.partner("carol", password="correct horse battery")
    listener = fresh.json("listener", "list")
    text = fresh.run("export", "-all").stdout
    assert "correct horse" not in text and "PRIVATE KEY" not in text
    # The new place has other ports and keys of its own; the password is named.
    text = text.replace("login_password = { set = true }", 'login_password = { env = "CAROL" }')
    text = re.sub(r'public_key = .*\nprivate_key = \{ set = true \}\n', 'private_key = { file = "host" }\n', text)
    port = free_port()
    for row in listener:
        text = text.replace(f"port = {row['port']}", f"port = {port}").replace(f"*/{row['port']}", f"*/{port}")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    (tmp_path / "all.toml").write_text(text)
    with Gateway(tmp_path / "second") as second:
        words = [second.program, "apply", str(tmp_path / "all.toml"), "-prune", "--json", "--data", str(second.data)]
        refused = subprocess.run(words, capture_output=True, text=True, timeout=60, env=second.environment())
        assert refused.returncode == 2 and "environment variable CAROL is not set" in refused.stderr, refused.stderr
        environment = {**second.environment(), "CAROL": "correct horse battery"}
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stderr
        until("the listener that came with the text listens", lambda: listens(port))
        second.ports["key"] = second.ports["password"] = port
        assert client(second, "alice", key=keys("alice")).sftp("pwd").returncode == 0
        again = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
        assert json.loads(again.stdout)["changes"] == []
        assert "correct horse" not in second.run("audit", "list", "-last", "1000").stdout
        second.run("audit", "verify")


def test_a_change_by_file_is_in_force_for_the_next_connection(fresh, tmp_path, keys, client):
    # A swap of the snapshot, as by any command; undone by the command that apply prints.
    fresh.partner("dave", key=keys("dave"))
    assert client(fresh, "dave", key=keys("dave")).sftp("pwd").returncode == 0
    text = fresh.run("export", "CGATE", "G_DAVE").stdout
    file = tmp_path / "gate.toml"
    file.write_text(text.replace("[cgate.G_DAVE]", '[cgate.G_DAVE]\nstate = "DISABLED"'))
    plan = fresh.run("diff", "-file", str(file)).stdout
    assert "state: ENABLED (default) → \"DISABLED\"" in plan
    done = fresh.run("apply", str(file)).stdout
    assert client(fresh, "dave", key=keys("dave")).sftp("pwd", check=False).returncode != 0
    undo = re.search(r"`gatehouse (rollback .*)` undoes it", done).group(1)
    fresh.run(*undo.split())
    assert client(fresh, "dave", key=keys("dave")).sftp("pwd").returncode == 0
    rows = fresh.json("audit", "list", "-name", "G_DAVE")
    assert [row["Result"] for row in rows][-2:] == ["Attempt", "Success"]


def test_the_documented_text_form(fresh, tmp_path):
    # OBJ-32, STO-8, STO-10: out with a key, changed as text, in again; the file is closed to others
    password = tmp_path / "pw"
    password.write_text("hunter2-hunter2\n")
    words = ["-alias", "B", "-dest_address", "127.0.0.1/9", "-login_ident", "x"]
    fresh.run("peladm", "create_site", *words, "-login_password_from_file", str(password))
    key, file = tmp_path / "export.key", tmp_path / "sites.txt"
    key.write_text("0123456789abcdef" * 4 + "\n")
    assert fresh.run("pelbase", "export_site", "-output", str(file), check=False).returncode == 2
    fresh.run("pelbase", "export_site", "-ekf", str(key), "-n", "B", "-f", str(file))
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text()
    assert "s_alias='B'" in text and "hunter2" not in text
    fresh.run("secbase", "export_netprof", "-f", str(file), "-ap")
    assert file.read_text().startswith(text)
    file.write_text(text.replace("s_login_ident='x'", "s_login_ident='y'"))
    other = tmp_path / "other.key"
    other.write_bytes(b"k" * 32)
    wrong = fresh.run("pelbase", "import", "-if", str(file), "-ekf", str(other), check=False)
    assert wrong.returncode == 1 and "login_password" in wrong.stderr
    plan = fresh.run("pelbase", "import", "-if", str(file), "-ekf", str(key)).stdout
    assert 'login_ident: "x" → "y"' in plan and "login_password" not in plan
    assert fresh.json("peldsp", "display_site", "B")["login_ident"] == "y"
    assert "hunter2" not in fresh.log()


def test_a_credential_of_the_service(tmp_path):
    # A secret that only the gateway has (systemd's LoadCredential=) need not pass through the command.
    from gateway import Gateway

    class Service(Gateway):
        def environment(self):
            return {**super().environment(), "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}

    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "bob").write_text("hunter2-hunter2\n")
    file = tmp_path / "bob.toml"
    file.write_text('[site.BOB]\ndest_address = "b/22"\nlogin_ident = "u"\nlogin_password = { credential = "bob" }\n')
    with Service(tmp_path / "gateway") as service:
        words = [service.program, "apply", str(file), "--json", "--data", str(service.data)]
        environment = {**service.environment()}
        del environment["CREDENTIALS_DIRECTORY"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
        assert done.returncode == 0, done.stderr
        assert service.json("peldsp", "display_site", "BOB")["login_password"] == "***"
        again = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
        assert json.loads(again.stdout)["changes"] == []
