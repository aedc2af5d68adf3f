"""Partners that are reached through proxies: by SFTP, FTP and FTPS, through SOCKS4, CONNECT and an FTP proxy (OBJ-33, FTP-22)."""

import sys
from pathlib import Path

import pytest

from peers import HOST, Sshd, make_file, sha256, until
from proxies import PASSWORD, USER, Dante, FtpProxy, Tinyproxy

sys.path.insert(0, str(Path(__file__).parents[1] / "ftp_client"))

from servers import Pyftpdlib  # noqa: E402
from test_delivery import arrived, begin  # noqa: E402


def proxy(gateway, protocol, at, *extra):
    gateway.run("peladm", "create_proxy", "-name", "OUT", "-protocol", protocol, "-dest_address", f"{HOST}/{at.port}", *extra)


def credentials(gateway, password=PASSWORD):
    secret = gateway.folder / "proxy_password"
    secret.write_text(password + "\n")
    return ["-user", USER, "-password_from_file", str(secret)]


@pytest.mark.parametrize("tls", [None, "explicit"])
@pytest.mark.parametrize("kind, protocol", [(Dante, "SOCKS4"), (Tinyproxy, "HTTPS")])
def test_ftp_through_a_proxy_of_the_network(fresh, client, keys, tmp_path, kind, protocol, tls):
    with Pyftpdlib(tmp_path / "bravo", tls=bool(tls)) as bravo, kind(tmp_path / "proxy") as between:
        proxy(fresh, protocol, between, *(credentials(fresh) if protocol == "HTTPS" else ()))
        begin(fresh, keys, bravo, tls=tls, extra=["-net_proxy", "OUT"])
        sent = make_file(tmp_path / "order.bin", 3_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})
        until("the proxy tells of both connections", lambda: between.log().count(f"{HOST}") >= 2)
        assert str(bravo.port) in between.log()


@pytest.mark.parametrize("kind, protocol", [(Dante, "SOCKS4"), (Tinyproxy, "HTTPS")])
def test_sftp_through_a_proxy(fresh, client, keys, tmp_path, kind, protocol):
    with Sshd(tmp_path / "bravo", [fresh.own_key()]) as bravo, kind(tmp_path / "proxy") as between:
        proxy(fresh, protocol, between, *(credentials(fresh) if protocol == "HTTPS" else ()))
        fresh.partner("alpha", key=keys("alpha"), settle_s=0)
        fresh.remote("bravo", bravo, retry_s=1)
        fresh.run("peladm", "update_site", "-alias", "bravo", "-net_proxy", "OUT")
        fresh.route("alpha", "bravo")
        sent = make_file(tmp_path / "order.bin", 3_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})
        assert str(bravo.port) in between.log()


def test_an_ftp_proxy_is_told_whom_we_mean(fresh, client, keys, tmp_path):
    with Pyftpdlib(tmp_path / "bravo") as bravo, FtpProxy(tmp_path / "proxy") as between:
        proxy(fresh, "FTP", between)
        begin(fresh, keys, bravo, extra=["-ft_proxy", "OUT"])
        sent = make_file(tmp_path / "order.bin", 3_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})
        assert "USER" in between.log() or str(bravo.port) in between.log(), between.log()


def test_what_goes_wrong_is_said(fresh, client, keys, tmp_path):
    with Pyftpdlib(tmp_path / "bravo") as bravo, Tinyproxy(tmp_path / "proxy") as between:
        proxy(fresh, "HTTPS", between, *credentials(fresh, "wr0ng"))
        begin(fresh, keys, bravo, extra=["-net_proxy", "OUT"])
        sent = make_file(tmp_path / "order.bin", 3000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
        until("the proxy does not take the password", lambda: fresh.reason("order.bin", "asks for user name and password"))
        assert "wr0ng" not in fresh.log()
        refused = fresh.run("peladm", "update_site", "-alias", "bravo", "-ft_proxy", "OUT", check=False)
        assert refused.returncode != 0 and "is no FTP proxy" in refused.stderr, refused.stderr
        fresh.run("peladm", "update_proxy", "-name", "OUT", *credentials(fresh))
        until("the file is at the partner", lambda: arrived(bravo) == {"order.bin": sha256(sent)})
