"""Certificates of FTP clients: gates that ask for TLS, a certificate in place of the password, and what is told of it."""

import ftplib
import io
import json
import socket
import ssl
import subprocess

import pytest

from peers import HOST, need, until

PASSWORD = "s3cret"


def openssl(folder, *words):
    subprocess.run([need("openssl"), *words], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    """A folder with an authority, and clients' certificates by it."""
    folder = tmp_path_factory.mktemp("clients")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "900", "-subj", "/O=Example/CN=ca", "-keyout",
            "ca.key", "-out", "ca.pem", "-addext", "subjectKeyIdentifier=hash")
    (folder / "extensions").write_text("extendedKeyUsage=clientAuth\nauthorityKeyIdentifier=keyid\n")
    for name in ("carol", "mallory"):
        openssl(folder, "req", "-newkey", "rsa:2048", "-noenc", "-subj", f"/O=Example/CN={name}", "-keyout", f"{name}.key",
                "-out", f"{name}.csr")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "90", "-extfile", "extensions", "-out", f"{name}.pem")
    return folder


@pytest.fixture()
def gateway(fresh, identities):
    """Asks for a certificate and goes on without; trusts the authority, and knows carol's certificate."""
    fresh.ftp_port("explicit")
    fresh.run("secadm", "update_sprof", "-spn", "FTP_EXPLICIT", "-client_auth_policy", "TLS_AUT_OPTIONAL")
    fresh.run("secadm", "import_cert", "-ctfn", "CA", "-ctff", str(identities / "ca.pem"))
    fresh.run("secadm", "import_cert", "-ctfn", "CAROL", "-ctff", str(identities / "carol.pem"))
    fresh.ftp_partner("carol", PASSWORD)
    return fresh


def connect(gateway, identities, who=None):
    """Inside TLS, with the certificate of `who`."""
    context = ssl.create_default_context(cafile=str(gateway.certificate()))
    if who:
        context.load_cert_chain(identities / f"{who}.pem", identities / f"{who}.key")
    ftp = ftplib.FTP_TLS(context=context)
    ftp.connect(HOST, gateway.ftp_port("explicit"), timeout=30)
    ftp.auth()
    return ftp


def enters(gateway, identities, who=None):
    with connect(gateway, identities, who) as ftp:
        try:
            return ftp.login("carol", PASSWORD).startswith("230")
        except ftplib.error_perm as error:
            assert str(error).startswith("530"), error
            return False


def refused(gateway, event):
    """What the log tells of an event."""
    return [line for line in gateway.log().splitlines() if f'event="{event}"' in line or f"event={event} " in line]


def test_a_gate_asks_for_a_certificate_beside_the_password(gateway, identities):
    # AC-26
    assert enters(gateway, identities)
    gateway.run("peladm", "update_cgate", "-name", "G_CAROL", "-tls_client_auth", "Y", "-tls_sprof", "FTP_E*")
    assert not enters(gateway, identities)
    assert enters(gateway, identities, "carol") and enters(gateway, identities, "mallory")
    gateway.run("peladm", "update_cgate", "-name", "G_CAROL", "-tls_sprof", "OTHER*")
    assert not enters(gateway, identities, "carol")
    gateway.run("peladm", "update_cgate", "-name", "G_CAROL", "-tls_sprof", "", "-tls_sprof_user_param", "BANK")
    assert not enters(gateway, identities, "carol")
    gateway.run("secadm", "update_sprof", "-spn", "FTP_EXPLICIT", "-user_param", "BANK")
    assert enters(gateway, identities, "carol")
    # In clear it never fits.
    clear = gateway.ftp_port("clear")
    ftp = ftplib.FTP()
    ftp.connect(HOST, clear, timeout=30)
    with pytest.raises(ftplib.error_perm, match="530"):
        ftp.login("carol", PASSWORD)
    ftp.close()
    where = ["-peer", f"{HOST}:40000", "-login", "carol"]
    secure = f"{HOST}:{gateway.ftp_port('explicit')}"
    said = gateway.run("explain", "inbound", *where, "-local", f"{HOST}:{clear}").stdout
    assert "asks for TLS (tls_sprof_user_param BANK, tls_client_auth Y)" in said, said
    said = gateway.run("explain", "inbound", *where, "-local", secure).stdout
    assert "the client has shown no certificate" in said, said
    said = gateway.run("explain", "inbound", *where, "-local", secure, "-certificate", "Y").stdout
    assert "=> gate G_CAROL" in said, said


def test_a_certificate_in_place_of_the_password(gateway, identities):
    # RFC 4217 section 6, decision 0030
    gateway.run("peladm", "update_cgate", "-name", "G_CAROL", "-tls_client_auth", "Y")
    done = gateway.run("peladm", "update_cgate", "-name", "G_CAROL", "-certificate_login", "Y", check=False)
    assert done.returncode != 0 and "the gate has a password" in done.stderr + done.stdout
    gateway.run("peladm", "update_cgate", "-name", "G_CAROL", "-login_password", "", "-certificate_login", "Y")
    # Nothing names whose certificate it is.
    assert not enters(gateway, identities, "carol")
    gateway.run("peladm", "update_site", "-alias", "carol", "-remote_subject_cert_alias", "CAROL")
    with connect(gateway, identities, "carol") as ftp:
        assert ftp.sendcmd("USER carol").startswith("232")
        assert ftp.sendcmd(f"PASS {PASSWORD}").startswith("202"), "clients that send both at once"
        ftp.prot_p()
        ftp.storbinary("STOR by-certificate.bin", io.BytesIO(b"x" * 1000))
    assert gateway.received("carol", "by-certificate.bin")["size"] == 1000
    # TLS-29: the record keeps how it came
    (row,) = gateway.transfers("-file_name", "by-certificate.bin")
    assert gateway.secured(row["Ident"]) == ("FTP_EXPLICIT", "TLSv13", True, True)
    for who in ("mallory", None):
        with connect(gateway, identities, who) as ftp:
            assert ftp.sendcmd("USER carol").startswith("331")
            with pytest.raises(ftplib.error_perm, match="530"):
                ftp.sendcmd(f"PASS {PASSWORD}")
    unfit = refused(gateway, "session_unfit")
    assert any("CN=mallory" in line and "only CAROL is accepted" in line for line in unfit), unfit
    # Disabled, it opens nothing any more (TLS-44).
    gateway.run("secadm", "update_cert", "-ctfn", "CAROL", "-status", "D")
    with pytest.raises((ftplib.Error, OSError, EOFError)):
        with connect(gateway, identities, "carol") as ftp:
            assert not ftp.sendcmd("USER carol").startswith("232")
            raise EOFError
    command = [need("curl"), "--silent", "--show-error", "--cacert", str(gateway.certificate()), "--ssl-reqd"]
    gateway.run("secadm", "update_cert", "-ctfn", "CAROL", "-status", "E")
    command += ["--cert", str(identities / "carol.pem"), "--key", str(identities / "carol.key"), "--user", "carol:"]
    done = subprocess.run(
        [*command, "--upload-file", str(identities / "ca.pem"), f"ftp://{HOST}:{gateway.ftp_port('explicit')}/curl.pem"],
        capture_output=True, timeout=60, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert gateway.received("carol", "curl.pem")


def test_a_session_that_does_not_fit_its_site(gateway, identities):
    # TLS-27: event 051; TLS-28, and 055 where it fits
    profile = ["-spt", "SERVER", "-user_local_certificate", "GATEWAY", "-client_auth_policy"]
    gateway.run("secadm", "create_sprof", "-spn", "STRICT", *profile, "TLS_AUT_MANDATORY")
    gateway.run("peladm", "update_site", "-alias", "carol", "-tls_sprof_in", "STRICT")
    assert not enters(gateway, identities)
    unfit = refused(gateway, "session_unfit")
    assert any('code="051"' in line or "code=051" in line for line in unfit), unfit
    assert any("(11)" in line and "STRICT" in line for line in unfit), unfit
    assert enters(gateway, identities, "carol")
    assert any("of_site=STRICT" in line or 'of_site="STRICT"' in line for line in refused(gateway, "other_profile"))
    gateway.run("secadm", "update_sprof", "-spn", "STRICT", "-remote_user_certificate", "subject=CN=somebody*")
    assert not enters(gateway, identities, "carol")
    unfit = refused(gateway, "session_unfit")
    assert any('code="052"' in line or "code=052" in line for line in unfit), unfit


def test_a_refused_handshake_is_told_and_explained(gateway, identities):
    # issue 5: they offer X, this profile allows Y, change Z
    gateway.run("secadm", "update_sprof", "-spn", "FTP_EXPLICIT", "-tls_versions", "TLSv13")
    context = ssl.create_default_context(cafile=str(gateway.certificate()))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for _ in range(2):
        ftp = ftplib.FTP_TLS(context=context)
        ftp.connect(HOST, gateway.ftp_port("explicit"), timeout=30)
        with pytest.raises((ssl.SSLError, OSError)):
            ftp.auth()
        ftp.close()
    until("the refusal is told", lambda: len(refused(gateway, "tls_refused")) == 2)
    told = refused(gateway, "tls_refused")[0]
    assert "FTP_EXPLICIT" in told and "change tls_versions" in told, told
    said = gateway.run("explain", "tls", "FTP_EXPLICIT", "-versions", "TLSv12", check=False)
    assert said.returncode == 1, said.stdout
    assert "they offer TLSv12, profile FTP_EXPLICIT allows TLSv13; add TLSv12 to tls_versions" in said.stdout, said.stdout
    assert "explicit: after AUTH TLS" in said.stdout and "TLS_AUT_OPTIONAL" in said.stdout and "2 times" in said.stdout
    where = ["-peer", f"{HOST}:40000", "-local", f"{HOST}:{gateway.ftp_port('explicit')}"]
    facts = json.loads(gateway.run("explain", "tls", *where, "--json").stdout)
    facts = facts.get("facts", facts)
    assert facts["profile"] == "FTP_EXPLICIT" and facts["agreed"]["version"] == "TLSv13", facts
    assert facts["handshakes_refused"][0]["times"] == 2 and facts["handshakes_refused"][0]["peer"] == HOST
    assert "CA" in facts["trusts"] and facts["certificates"][0]["certificate"] == "GATEWAY"
    status = json.loads(gateway.run("status", "--json", check=False).stdout)
    assert status.get("facts", status)["handshakes_refused"] <= 2, status
    with socket.create_connection((HOST, gateway.ftp_port("explicit")), timeout=30) as stream:
        # No TLS at all behind AUTH TLS.
        assert stream.recv(100).startswith(b"220")
        stream.sendall(b"AUTH TLS\r\n")
        assert stream.recv(100).startswith(b"234")
        stream.sendall(b"USER carol\r\n" * 100)
    until("that is told, too", lambda: len(refused(gateway, "tls_refused")) == 3)
    assert "no TLS that we speak" in refused(gateway, "tls_refused")[2]
