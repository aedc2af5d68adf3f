"""A file comes from partner A by SFTP and goes out to partner B by FTP or FTPS, once, whatever happens between."""

import os
import random
import time

import pytest

from gateway import Gateway
from peers import HOST, OpenSsh, free_port, make_file, sha256, until
from servers import LOGIN, PASSWORD, Proftpd, Pyftpdlib, PureFtpd, Vsftpd

KILLS = 50 if os.environ.get("GATEHOUSE_SOAK") else 6


def begin(gateway, keys, server, password=PASSWORD, **how):
    gateway.partner("alpha", key=keys("alpha"), settle_s=0)
    gateway.ftp_remote("bravo", server, password, retry_s=1, **how)
    gateway.route("alpha", "bravo")


def arrived(server):
    """Names and digests of the whole files at a partner; half files have a temporary name."""
    found = [path for path in server.files.rglob("*") if path.is_file() and not path.name.endswith(".part")]
    return {path.name: sha256(path) for path in found}


@pytest.mark.parametrize("octets", [0, 3000, 7_000_000])
@pytest.mark.parametrize("kind", [Proftpd, Vsftpd, PureFtpd])
def test_to_servers_with_tls(fresh, client, keys, tmp_path, kind, octets):
    # FTP-6, FTP-7, TRF-12; vsftpd and ProFTPD want the session of the control connection on data connections
    with kind(tmp_path / "bravo") as bravo:
        begin(fresh, keys, bravo, tls="explicit")
        sent = make_file(tmp_path / "order.bin", octets)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin", f"put {sent} again.bin")
        expected = {"order.bin": sha256(sent), "again.bin": sha256(sent)}
        until("the files are at the partner", lambda: arrived(bravo) == expected)
        until("nothing is left to do", fresh.idle)
        (delivery,) = fresh.deliveries("order.bin")
        # TLS-29: the record keeps how it went; the file came by SSH
        profile, version, *proved = fresh.secured(delivery["Ident"])
        assert version.startswith("TLSv1") and proved == [False, True] and profile
        assert all(fresh.secured(row["Ident"]) is None for row in fresh.transfers("-direction", "I"))
        shown = fresh.run("partner", "test", "bravo").stdout
        assert "TLSv1" in shown and "order.bin" in shown, shown


@pytest.mark.parametrize("mode", ["BOTH", "NONE"])
@pytest.mark.parametrize("tls", [None, "explicit"])
def test_to_pyftpdlib(fresh, client, keys, tmp_path, tls, mode):
    # FTP-4: we open data connections, or the server does
    with Pyftpdlib(tmp_path / "bravo", tls=bool(tls)) as bravo:
        begin(fresh, keys, bravo, tls=tls, extra=["-ftp_passive_mode", mode])
        sent = make_file(tmp_path / "order.bin", 3_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})


def test_from_gateway_to_gateway_by_implicit_tls(fresh, client, keys, tmp_path):
    # FTP-6: both sides are ours
    with Gateway(tmp_path / "other") as other:
        class Bravo:
            port, shown, dir_name, login = other.ftp_port("implicit"), other.certificate(), "", "gateway"

        other.ftp_partner("gateway", PASSWORD)
        begin(fresh, keys, Bravo, tls="implicit")
        sent = make_file(tmp_path / "order.bin", 3_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        assert other.received("gateway", "order.bin")["sha256"] == sha256(sent)


def test_a_server_that_is_not_trusted_gets_nothing(fresh, client, keys, tmp_path):
    # TLS: no login goes to whoever answers
    with Pyftpdlib(tmp_path / "bravo", tls=True) as bravo, Pyftpdlib(tmp_path / "other", tls=True) as other:
        other.files, known = bravo.files, bravo.shown
        begin(fresh, keys, type("Other", (), {"port": other.port, "login": LOGIN, "shown": known, "dir_name": ""}), tls="explicit")
        sent = make_file(tmp_path / "order.bin", 1000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the refusal is told", lambda: fresh.reason("order.bin", "certificate"))
        assert not any(handler.authenticated for handler in other.state["handlers"])


def test_a_server_that_refuses_tls_gets_no_password(fresh, client, keys, tmp_path):
    # decision 0028
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        begin(fresh, keys, bravo, tls="explicit")
        sent = make_file(tmp_path / "order.bin", 1000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the refusal is told", lambda: fresh.reason("order.bin", "does not begin TLS"))
        assert not any(handler.authenticated for handler in bravo.state["handlers"])


def test_a_wrong_password_is_told(fresh, client, keys, tmp_path):
    # FTP-29: and it is in no log
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        begin(fresh, keys, bravo, password="wrong guess")
        sent = make_file(tmp_path / "order.bin", 1000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the refusal is told", lambda: fresh.reason("order.bin", "login refused"))
        assert "wrong guess" not in fresh.log()
        assert arrived(bravo) == {}


def test_a_full_disk_at_the_partner_passes(fresh, client, keys, tmp_path):
    # protocol-ftp.md section 5: 4yz is tried again, and what is there is gone on with
    with Pyftpdlib(tmp_path / "bravo", full_at=2_000_000) as bravo:
        begin(fresh, keys, bravo)
        sent = make_file(tmp_path / "order.bin", 9_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the failure is told", lambda: "answered STOR with 426" in fresh.log())
        bravo.state["full_at"] = None
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)}, limit=60)


def test_a_server_that_goes_away_in_the_middle(fresh, client, keys, tmp_path):
    # FTP-13, TRF-4
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        bravo.state["gone_at"] = 3_000_000
        begin(fresh, keys, bravo)
        sent = make_file(tmp_path / "order.bin", 9_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)}, limit=60)
        until("nothing is left to do", fresh.idle)
        assert [path.name for path in bravo.files.iterdir()] == ["order.bin"]


def test_an_answer_to_the_last_step_that_is_lost(fresh, client, keys, tmp_path):
    # DESIGN 1.18: the file is found under its final name, and nobody is asked
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        bravo.state["deaf_to"] = "RNTO"
        begin(fresh, keys, bravo)
        sent = make_file(tmp_path / "order.bin", 100_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("nothing is left to do", lambda: fresh.deliveries("order.bin") and fresh.idle(), limit=60)
        assert arrived(bravo) == {"order.bin": sha256(sent)}
        assert fresh.deliveries("order.bin")[0]["State"] == "ended"


def test_no_pattern_of_names_holds_a_command(fresh, keys, tmp_path):
    # FTP-24, FTP-25: what else a name may hold is refused by the client, as its own tests show
    pattern = ["-dest_address", f"{HOST}/21", "-network_security_option", "NONE", "-file_name_pattern", "a\r\nDELE order.bin"]
    refused = fresh.run("peladm", "create_site", "-alias", "bravo", "-protocol", "FTP", *pattern, check=False)
    assert refused.returncode != 0 and "control character" in refused.stdout + refused.stderr


def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path, keys):
    # TRF-4, DESIGN 5.2: kill -9 of the gateway while files go out by FTPS
    dice = random.Random(int(os.environ.get("GATEHOUSE_SEED", "1")))
    with Gateway(tmp_path / "gateway") as gateway, Pyftpdlib(tmp_path / "bravo", tls=True) as bravo:
        begin(gateway, keys, bravo, tls="explicit")
        sent = {}
        for turn in range(KILLS):
            name = f"t{turn}.bin"
            path = make_file(tmp_path / name, dice.choice([900, 2_000_000, 30_000_000]))
            sent[name] = sha256(path)
            OpenSsh(tmp_path / "client", gateway.port("key"), "alpha", keys("alpha")).sftp(f"put {path} {name}")
            time.sleep(dice.uniform(0.0, 0.5))  # the moment of the blow is the point of this test
            gateway.kill()
            gateway.start()
        until("all are at the partner", lambda: arrived(bravo) == sent and gateway.idle(), limit=90)
        assert [path.name for path in bravo.files.iterdir() if path.name.endswith(".part")] == []


def test_commands_that_the_server_wants(fresh, client, keys, tmp_path):
    # FTP-18: at the login, before and behind the file; of the site, or of one transfer
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        begin(fresh, keys, bravo, extra=["-snd_msg", "QUOTE NOOP", "-ftp_command", "SITE HELP;AE_SITE NONSENSE"])
        sent = make_file(tmp_path / "order.bin", 1000)
        put = lambda name: client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} {name}")  # noqa: E731
        put("first.bin")
        ident = str(until("it goes out", lambda: fresh.deliveries("first.bin"))[0]["Ident"])
        until("the refusal is told", lambda: "answered SITE HELP with 214" in fresh.run("why", ident).stdout)
        assert arrived(bravo) == {}, "other answers than 200 and 202 stop it"
        fresh.run("peladm", "update_site", "-alias", "bravo", "-ftp_command", "QUOTE STAT;AE_SITE NONSENSE")
        fresh.run("pelctl", "control_trans", ident, "-action", "R")
        until("the file is at the partner", lambda: arrived(bravo) == {"first.bin": sha256(sent)})
        heard = bravo.state["heard"]
        # That comes when the file has its name.
        until("the command behind the file is heard", lambda: "SITE NONSENSE" in heard)
        order = [heard.index(line) for line in ("NOOP", "STAT")] + [heard.index("SITE NONSENSE")]
        assert order == sorted(order) and heard.index("STAT") < next(n for n, line in enumerate(heard) if line.startswith("STOR"))
        words = ["peltrans", "-dest_alias", "bravo", "-file_component", str(sent), "-file_name", "second.bin"]
        ident = fresh.run(*words, "-ftp_command", "AC_QUOTE SECRET s3cret").stdout.strip()
        told = until("it is told", lambda: (text := fresh.run("why", ident).stdout) and "suspended" in text and text)
        assert "the file has arrived" in told and "s3cret" not in told + fresh.log()
        assert arrived(bravo)["second.bin"] == sha256(sent)
        refused = fresh.run(*words, "-ftp_command", "DELE order.bin", check=False)
        assert refused.returncode != 0 and "SITE text or QUOTE text" in refused.stdout + refused.stderr


def test_a_partner_is_added_with_one_command(fresh, tmp_path):
    # issue 5: partner add for FTP servers
    with Pyftpdlib(tmp_path / "bravo", tls=True) as bravo:
        secret = tmp_path / "password"
        secret.write_text(PASSWORD + "\n")
        fresh.run("secadm", "import_cert", "-ctfn", "BRAVO", "-ctff", str(bravo.shown))
        fresh.run("secadm", "create_sprof", "-spn", "OUT", "-spt", "CLIENT", "-client_auth_policy", "TLS_AUT_ANONYMOUS",
                  "-ft_sec_option", "explicit")
        words = ["partner", "add", "BRAVO", "-protocol", "FTP", "-address", f"{HOST}:{bravo.port}", "-our_login", LOGIN]
        words += ["-our_password_from_file", str(secret), "-tls_sprof_out", "OUT", "-yes"]
        done = fresh.run(*words)
        assert "it lets us in as gateway" in done.stdout, done.stdout
        refused = fresh.run("partner", "add", "CLEAR", "-protocol", "FTP", "-address", f"{HOST}:{free_port()}", "-our_login", "x",
                            "-our_password_from_file", str(secret), "-yes", check=False)
        assert refused.returncode != 0 and "tls_sprof_out" in refused.stdout + refused.stderr
