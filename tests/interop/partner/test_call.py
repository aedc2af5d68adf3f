"""A partner that we call: tested with real servers that are what they should be, and that are not."""

import pytest

from peers import HOST, AsyncsshServer, Key, Sshd, free_port, make_file, sha256, until


@pytest.fixture
def own(fresh, tmp_path):
    """The gateway's key, as a partner would put it into authorized_keys."""
    class Own:
        line = fresh.json("secdsp", "display_key", "GATEHOUSE_SSH")["public_key"]

    return Own


def add(gateway, name, peer, *words):
    login = getattr(peer, "login", "gateway")
    return gateway.json("partner", "add", name, "-address", f"{HOST}:{peer.port}", "-our_login", login, *words)


def verdict(gateway, name):
    """Exit code, and the last step that is not good."""
    done = gateway.run("partner", "test", name, check=False)
    bad = [line for line in done.stdout.splitlines() if "FAILED" in line]
    return done.returncode, (bad[-1] if bad else ""), done.stdout


def test_a_server_is_trusted_after_its_fingerprint_was_compared(fresh, own, tmp_path, client, keys):
    # SFTP-6, issue: first partner
    with Sshd(tmp_path / "bob", [own]) as bob:
        done = add(fresh, "BOB", bob)
        test = done["tests"][0]
        assert test["ok"] is False and test["host_key"]["fingerprint"] == bob.host_key.fingerprint
        assert [row["Fingerprint"] for row in fresh.quarantine()] == [bob.host_key.fingerprint]
        other = Key(tmp_path / "other").fingerprint
        refused = fresh.run("partner", "trust", "BOB", other, check=False)
        assert refused.returncode == 1 and bob.host_key.fingerprint in refused.stderr
        assert fresh.run("partner", "trust", "BOB", "MD5:1", check=False).returncode == 2
        trusted = fresh.run("partner", "trust", "BOB", bob.host_key.fingerprint).stdout
        assert "is trusted for BOB" in trusted and "entries" in trusted
        assert fresh.quarantine() == []
        code, bad, text = verdict(fresh, "BOB")
        assert (code, bad) == (0, ""), text
        assert "SSH-2.0-OpenSSH" in text and str(bob.files) in text
        # And a file gets there.
        fresh.partner("alice", key=keys("alice"))
        fresh.route("alice", "BOB")
        sent = make_file(tmp_path / "a.bin", 70_000)
        client(fresh, "alice", keys("alice")).sftp(f"put {sent} a.bin")
        until("the file is at the partner", lambda: (bob.files / "a.bin").exists())
        assert sha256(bob.files / "a.bin") == sha256(sent)
        until("it is over", fresh.idle)
        page = fresh.json("partner", "show", "BOB")
        assert page["transfers"][0]["file"] == "a.bin" and page["routes_to"][0]["rule"] == "alice_BOB"
        sheet = fresh.run("partner", "export", "BOB", "-sheet").stdout
        assert own.line.split()[1] in sheet and bob.host_key.fingerprint in sheet


def test_a_changed_host_key_is_told_and_kept_out(fresh, own, tmp_path):
    first = Key(tmp_path / "first")
    with Sshd(tmp_path / "bob", [own], host_key=first) as bob:
        add(fresh, "BOB", bob, "-host_key", str(first.public))
        assert verdict(fresh, "BOB")[0] == 0
        bob.stop()
        bob.host_key = Key(tmp_path / "second")
        bob.start()
        code, bad, text = verdict(fresh, "BOB")
        assert code == 1 and "HOST KEY HAS CHANGED" in bad and bob.host_key.fingerprint in bad
        assert "lets us in" not in text
        # The same again, though the key waits in quarantine now.
        assert "HOST KEY HAS CHANGED" in verdict(fresh, "BOB")[1]
        fresh.run("partner", "trust", "BOB", bob.host_key.fingerprint)
        assert verdict(fresh, "BOB")[0] == 0


def test_the_step_that_fails_is_named_with_what_to_do(fresh, own, tmp_path):
    stranger = Key(tmp_path / "stranger")
    with Sshd(tmp_path / "bob", [stranger]) as bob:
        add(fresh, "BOB", bob, "-host_key", str(bob.host_key.public))
        code, bad, text = verdict(fresh, "BOB")
        assert code == 1 and "login refused" in bad and "authorized_keys" in text
    code, bad, text = verdict(fresh, "BOB")
    assert code == 1 and "cannot connect" in bad and "firewalls" in text
    password = tmp_path / "pw"
    password.write_text("wrong\n")
    with AsyncsshServer(tmp_path / "carol", password="right") as carol:
        words = ["-host_key", str(carol.host_key.public), "-our_password_from_file", str(password)]
        add(fresh, "CAROL", carol, *words)
        code, bad, text = verdict(fresh, "CAROL")
        assert code == 1 and "login refused" in bad and "-login_password" in text and "wrong\n" not in text
        password.write_text("right\n")
        fresh.run("peladm", "update_site", "-alias", "CAROL", "-login_password_from_file", str(password))
        assert verdict(fresh, "CAROL")[0] == 0
        fresh.run("peladm", "update_site", "-alias", "CAROL", "-dir_name", "/no/such/folder")
        code, bad, text = verdict(fresh, "CAROL")
        assert code == 1 and "-dir_name" in text


def test_a_machine_that_speaks_something_else(fresh):
    # The metrics port speaks HTTP.
    class Web:
        port = fresh.observed

    add(fresh, "WEB", Web, "-no_test")
    code, bad, text = verdict(fresh, "WEB")
    assert code == 1 and bad, text


def test_a_login_that_nothing_lets_in_is_found_by_the_test(fresh, keys):
    port = free_port()
    fresh.run("partner", "add", "ALICE", "-key", str(keys("alice").public), "-listen", f"{HOST}:{port}")
    fresh.run("secadm", "update_netprof", "-nprof_name", "SFTP", "-state", "D")
    code, bad, text = verdict(fresh, "ALICE")
    assert code == 1 and "no listener lets the login in" in bad and "network profile" in text
    assert fresh.json("partner", "show", "ALICE")["name"] == "ALICE"
    fresh.run("secadm", "update_netprof", "-nprof_name", "SFTP", "-state", "E")
    fresh.run("secadm", "update_key", "-name", "ALICE_KEY", "-state", "D")
    assert "ALICE_KEY is DISABLED" in fresh.run("partner", "test", "ALICE", check=False).stdout


def test_a_server_is_looked_at_before_it_is_a_partner(fresh, tmp_path):
    rsa = Key(tmp_path / "rsa", "rsa", 3072)
    with Sshd(tmp_path / "bob", [], extra=[f"HostKey {rsa.path}"]) as bob:
        seen = fresh.json("probe", "sftp", f"{HOST}:{bob.port}")
        assert seen["server"].startswith("SSH-2.0-OpenSSH") and "curve25519-sha256" in seen["offered"]["key_exchange"]
        assert {key["fingerprint"] for key in seen["host_keys"]} == {rsa.fingerprint, bob.host_key.fingerprint}
        assert {"name": "SFTP_OUT", "missing": ""} in seen["profiles"]
        # What it shows can be given to partner add as it is.
        lines = tmp_path / "keys"
        lines.write_text("".join(f"b.example {key['line']}\n" for key in seen["host_keys"]))
        add(fresh, "BOB", bob, "-host_key", str(lines), "-no_test")
        assert len(fresh.json("partner", "show", "BOB")["keys"]) == 3
    assert fresh.quarantine() == []
    assert fresh.run("probe", "sftp", f"{HOST}:{bob.port}", check=False).returncode == 1
    web = fresh.run("probe", "sftp", f"{HOST}:{fresh.observed}", check=False)
    assert web.returncode == 1 and "would do" not in web.stdout
