"""What `probe tls` tells of OpenSSL's server: versions, suites, certificates, and which of our profiles would do."""

import subprocess
from contextlib import contextmanager

import pytest

from peers import HOST, free_port, listens, until

EXTENSIONS = """
subjectAltName = DNS:localhost,IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
extendedKeyUsage = serverAuth
"""


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A folder with an authority and a server's certificate by it."""
    folder = tmp_path_factory.mktemp("authority")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "900", "-subj", "/O=Example/CN=ca", "-keyout",
            "ca.key", "-out", "ca.pem")
    openssl(folder, "req", "-newkey", "rsa:2048", "-noenc", "-subj", "/O=Example/CN=server", "-keyout", "server.key", "-out",
            "server.csr")
    (folder / "extensions").write_text(EXTENSIONS)
    openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "90",
            "-extfile", "extensions", "-out", "server.pem")
    return folder


@contextmanager
def server(folder, *more):
    """A server on a port of its own."""
    port = free_port()
    words = ["openssl", "s_server", "-accept", f"{HOST}:{port}", "-cert", "server.pem", "-key", "server.key", "-quiet", *more]
    process = subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("the server listens", lambda: listens(port))
        yield f"{HOST}:{port}"
    finally:
        process.kill()
        process.wait()


def probe(gateway, at):
    """What it says to people, and whether a profile would do."""
    done = gateway.run("probe", "tls", at, check=False)
    return done.stdout, done.returncode


def test_a_server_is_trusted_when_its_authority_is(fresh, authority):
    fresh.run("secadm", "create_sprof", "-spn", "OUT", "-spt", "CLIENT")
    with server(authority) as at:
        said, code = probe(fresh, at)
        assert code != 0 and "OUT would not: " in said and "is not known: import and enable it" in said, said
        fresh.run("secadm", "import_cert", "-ctfn", "PARTNER_CA", "-ctff", str(authority / "ca.pem"))
        seen = fresh.json("probe", "tls", at)
    assert seen["versions"] == ["TLSv13", "TLSv12"]
    names = [suite["name"] for suite in seen["suites"]]
    assert "TLS_AES_256_GCM_SHA384" in names and "ECDHE_RSA_WITH_AES_256_GCM_SHA384" in names
    assert not any("ECDSA" in name for name in names), "its key is RSA"
    assert seen["certificates"][0]["subject"] == "O=Example, CN=server"
    assert seen["asks_for_certificate_of"] is None
    [profile] = seen["profiles"]
    assert profile["name"] == "OUT" and profile["fits"] and "PARTNER_CA" in profile["text"]


def test_one_version_and_one_suite(fresh, authority):
    with server(authority, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-Verify", "1", "-CAfile", "ca.pem") as at:
        said, code = probe(fresh, at)
    assert code != 0, "there is no profile"
    assert "speaks TLSv12\n" in said and said.count("  suite ") == 1
    assert "ECDHE_RSA_WITH_AES_128_GCM_SHA256" in said


def test_nobody_is_there_or_nobody_who_speaks_tls(fresh):
    done = fresh.run("probe", "tls", f"{HOST}:{free_port()}", check=False)
    assert done.returncode != 0 and "refused" in (done.stdout + done.stderr).lower()
    done = fresh.run("probe", "tls", f"{HOST}:{fresh.observed}", check=False)
    assert done.returncode != 0 and "speaks no TLS" in done.stdout
