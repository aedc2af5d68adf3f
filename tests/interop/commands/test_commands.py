"""The program as an operator meets it: help, JSON, exit codes, links, secrets, the audit."""

import json
import subprocess

import pytest


def test_exit_codes(shared):
    # objects.md section 14: 0 done, 1 refused, 2 the line is wrong
    assert shared.run("check").returncode == 0
    assert shared.run("secdsp", "display_key", "NO_SUCH_KEY", check=False).returncode == 1
    assert shared.run("secdsp", "no_such_command", check=False).returncode == 2
    assert shared.run("secadm", "create_key", "-no_such_parameter", "x", check=False).returncode == 2
    assert shared.run("secadm", "create_key", "-name", "x" * 32, check=False).returncode in (1, 2)


@pytest.mark.parametrize("words", [["?"], ["secadm", "?"], ["secadm", "create_sshprof", "?"], ["secadm", "create_sshprof", "??"]])
def test_help(shared, words):
    # certificates-and-keys.md section 3
    done = shared.run(*words)
    assert len(done.stdout.splitlines()) > 3


def test_short_and_long_names_mean_the_same(shared):
    # objects.md section 14
    shared.run("secadm", "create_key", "-n", "SHORT", "-algo", "ED25519", "-cts", "a comment")
    shown = shared.json("secdsp", "display_key", "-name", "SHORT")
    assert shown["comments"] == "a comment"
    shared.run("secadm", "delete_key", "--name", "SHORT")


def test_the_program_answers_to_its_links(shared, tmp_path):
    # Issue item 4
    link = tmp_path / "secdsp"
    link.symlink_to(shared.program)
    words = [str(link), "select_key", "--json", "--data", str(shared.data)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=shared.environment())
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list)


def test_secrets_are_not_shown(fresh):
    # STO-8, SSH-27
    secret = fresh.folder / "pw"
    secret.write_text("hunter2-hunter2\n")
    words = ["-alias", "secretive", "-dest_address", "127.0.0.1/9", "-login_ident", "x"]
    fresh.run("peladm", "create_site", *words, "-login_password_from_file", str(secret))
    shown = fresh.run("peldsp", "display_site", "secretive").stdout
    assert "hunter2" not in shown and "***" in shown
    assert "hunter2" not in fresh.run("audit", "list", "-last", "100").stdout
    assert "hunter2" not in fresh.log()
    raw = b"".join(path.read_bytes() for path in fresh.data.glob("gatehouse.db*"))
    assert b"hunter2" not in raw


def test_a_change_is_audited_and_the_chain_holds(fresh):
    # AUD-1 to AUD-4, NET-17, SSH-33
    fresh.run("secadm", "create_key", "-name", "AUDITED", "-algorithm", "ED25519")
    fresh.run("secadm", "update_key", "-name", "AUDITED", "-comments", "new")
    rows = fresh.run("audit", "list", "-name", "AUDITED").stdout
    assert rows.count("AUDITED") >= 2
    fresh.run("audit", "verify")


def test_what_is_referred_to_is_not_deleted(shared):
    # OBJ-3, NET-14
    shared.port("key")
    refused = shared.run("secadm", "delete_sshprof", "-sshprof_name", "SFTP_KEY", check=False)
    assert refused.returncode == 1
    assert "SFTP_KEY" in refused.stderr


def test_explain_agrees_with_what_happens(shared, keys):
    # Issue item 8
    shared.partner("explained", key=keys("explained"))
    port = shared.port("key")
    words = ["-peer", "127.0.0.1:40000", "-local", f"127.0.0.1:{port}", "-login", "explained"]
    assert "G_EXPLAINED" in shared.run("explain", "inbound", *words).stdout
    nobody = shared.run("explain", "inbound", "-peer", "127.0.0.1:40000", "-local", "127.0.0.1:1").stdout
    assert "closed" in nobody or "no network profile" in nobody


def test_the_data_folder_is_closed(fresh):
    # BP-5, STO-7
    assert fresh.data.stat().st_mode & 0o777 == 0o700
    open_to_others = [path.name for path in fresh.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert [name for name in open_to_others if name != "gatehouse.toml"] == []
    fresh.stop()
    (fresh.data / "master.key").chmod(0o644)
    words = [fresh.program, "serve", "--data", str(fresh.data)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=fresh.environment())
    assert done.returncode != 0
    (fresh.data / "master.key").chmod(0o600)
    fresh.start()


def test_metrics_and_health(fresh):
    # Issue item 3
    import urllib.request

    def page(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{fresh.observed}{path}", timeout=5) as answer:
            return answer.read().decode()

    assert "alive" in page("/health/live")
    assert "ready" in page("/health/ready")
    assert page("/metrics") is not None
