"""What `probe ftp` tells of servers that partners have, without a login."""

import json

import pytest

from peers import HOST, free_port
from servers import Proftpd, Pyftpdlib, PureFtpd, Vsftpd


def probe(gateway, port):
    """What it says to people, and whether a profile would do."""
    done = gateway.run("probe", "ftp", f"{HOST}:{port}", check=False)
    return done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize("kind", [Proftpd, Vsftpd, PureFtpd])
def test_servers_with_tls(fresh, tmp_path, kind):
    profile = ["-spt", "CLIENT", "-client_auth_policy", "TLS_AUT_ANONYMOUS", "-ft_sec_option"]
    fresh.run("secadm", "create_sprof", "-spn", "OUT", *profile, "explicit")
    fresh.run("secadm", "create_sprof", "-spn", "AT_ONCE", *profile, "implicit")
    with kind(tmp_path / "bravo") as bravo:
        said, code = probe(fresh, bravo.port)
        assert code != 0 and "OUT would not: " in said, said
        fresh.run("secadm", "import_cert", "-ctfn", "BRAVO", "-ctff", str(bravo.shown))
        said, code = probe(fresh, bravo.port)
        assert code == 0 and "OUT would do: " in said and "CN=partner" in said, said
        assert "AT_ONCE would not: the server waits to be asked for TLS" in said, said
        assert "AUTH TLS is answered with 234" in said and "TLSv12" in said, said
        facts = json.loads(fresh.run("probe", "ftp", f"{HOST}:{bravo.port}", "--json").stdout)
        facts = facts.get("facts", facts)
        assert facts["tls_begins"] == "explicit" and facts["greeting"] and facts["suites"], facts
        assert any(feature.startswith("AUTH TLS") for feature in facts["features"]), facts


def test_a_server_in_clear(fresh, tmp_path):
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        said, code = probe(fresh, bravo.port)
        assert code != 0 and "partner ready" in said and "would travel in clear" in said, said
        assert not any(handler.username for handler in bravo.state["handlers"]), "no login is sent"


def test_implicit_tls_and_nobody(fresh, tmp_path):
    # Both sides are ours.
    port = fresh.ftp_port("implicit")
    fresh.run("secadm", "create_sprof", "-spn", "AT_ONCE", "-spt", "CLIENT", "-client_auth_policy", "TLS_AUT_ANONYMOUS")
    said, code = probe(fresh, port)
    assert code == 0 and "begins with TLS (implicit)" in said and "AT_ONCE would do" in said, said
    said, code = probe(fresh, free_port())
    assert code != 0 and "cannot connect" in said, said
