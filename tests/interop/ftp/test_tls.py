"""FTPS: ftplib, curl and lftp, implicit and explicit, with and without resumed sessions on data connections."""

import ftplib
import hashlib
import io
import socket
import ssl
import subprocess

import pytest

from peers import HOST, make_file, need, sha256, until

PASSWORD = "s3cret"


class Resuming(ftplib.FTP_TLS):
    """Offers the session of the control connection on data connections."""

    def ntransfercmd(self, cmd, rest=None):
        stream, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            stream = self.context.wrap_socket(stream, server_hostname=self.host, session=self.sock.session)
        return stream, size


class Implicit(ftplib.FTP_TLS):
    """TLS from the first octet."""

    _sock = None

    @property
    def sock(self):
        return self._sock

    @sock.setter
    def sock(self, value):
        if value is not None and not isinstance(value, ssl.SSLSocket):
            value = self.context.wrap_socket(value, server_hostname=HOST)
        self._sock = value


def context(gateway, version=None):
    made = ssl.create_default_context(cafile=str(gateway.certificate()))
    if version:
        made.maximum_version = version
    return made


def connect(gateway, mode, login, kind=ftplib.FTP_TLS, version=None, protect=True):
    port = gateway.ftp_port(mode)
    gateway.ftp_partner(login, PASSWORD)
    ftp = kind(context=context(gateway, version))
    ftp.connect(HOST, port, timeout=30)
    ftp.login(login, PASSWORD)
    if protect:
        ftp.prot_p()
    return ftp


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("mode, kind", [("explicit", ftplib.FTP_TLS), ("explicit", Resuming), ("implicit", Implicit)])
def test_ftplib(shared, mode, kind, version):
    # FTP-6, FTP-7, NET-20
    data = bytes(range(256)) * 4000
    name = f"{mode}-{kind.__name__}-{version.name}.bin"
    with connect(shared, mode, "tlsa", kind, version) as ftp:
        assert ftp.storbinary(f"STOR {name}", io.BytesIO(data)).startswith("226")
        got = io.BytesIO()
        ftp.retrbinary(f"RETR {name}", got.write)
        assert got.getvalue() == data
        assert name in ftp.nlst()
    assert shared.received("tlsa", name)["sha256"] == hashlib.sha256(data).hexdigest()


def test_policies(shared):
    # FTP-6, FTP-7, TLS-23, NET-15: the first octets are clear, and what may stay so is the profile's to say
    port = shared.ftp_port("explicit")
    shared.ftp_partner("tlsb", PASSWORD)
    ftp = ftplib.FTP()
    ftp.connect(HOST, port, timeout=30)
    with pytest.raises(ftplib.error_perm, match="530"):
        ftp.login("tlsb", PASSWORD)
    ftp.close()
    with connect(shared, "explicit", "tlsb", protect=False) as ftp:
        with pytest.raises(ftplib.error_perm, match="521"):
            ftp.storbinary("STOR clear.bin", io.BytesIO(b"x"))
        ftp.sendcmd("PBSZ 0")
        for line, code in (("PROT C", "534"), ("PROT S", "536"), ("PROT E", "536"), ("CCC", "534"), ("AUTH TLS", "503")):
            with pytest.raises(ftplib.error_perm, match=code):
                ftp.sendcmd(line)
    port = shared.ftp_port("optional")
    ftp = ftplib.FTP()
    ftp.connect(HOST, port, timeout=30)
    ftp.login("tlsb", PASSWORD)
    ftp.storbinary("STOR optional.bin", io.BytesIO(b"x"))
    ftp.quit()
    assert shared.received("tlsb", "optional.bin")["size"] == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_data_has_to_resume_where_the_profile_says_so(shared, version):
    # TLS-22
    with connect(shared, "reuse", "tlsc", ftplib.FTP_TLS, version) as ftp:
        with pytest.raises((ftplib.error_perm, OSError, EOFError)):
            ftp.storbinary("STOR new.bin", io.BytesIO(b"x" * 100_000))
            raise AssertionError("a session of its own was taken")
        ftp.close()
    with connect(shared, "reuse", "tlsc", Resuming, version) as ftp:
        for n in range(8):
            assert ftp.storbinary(f"STOR resumed-{version.name}-{n}.bin", io.BytesIO(b"x")).startswith("226")
    assert shared.received("tlsc", "new.bin", wanted=False) is None


def test_a_changed_profile_is_for_those_who_come_then(fresh):
    # TLS-34
    old = connect(fresh, "explicit", "tlsg", version=ssl.TLSVersion.TLSv1_2)
    fresh.run("secadm", "update_sprof", "-spn", "FTP_EXPLICIT", "-tls_versions", "TLSv13")
    with pytest.raises((ssl.SSLError, OSError, EOFError)):
        connect(fresh, "explicit", "tlsg", version=ssl.TLSVersion.TLSv1_2)
    with connect(fresh, "explicit", "tlsg") as new:
        assert new.sock.version() == "TLSv1.3"
        new.storbinary("STOR new.bin", io.BytesIO(b"x"))
    with old:
        assert old.sock.version() == "TLSv1.2"
        assert old.storbinary("STOR old.bin", io.BytesIO(b"xx")).startswith("226"), "a session that stands goes on"
    assert fresh.received("tlsg", "old.bin")["size"] == 2


def test_who_has_had_its_share_waits(fresh):
    # FTP-14: one file a minute is ten in the window of ten minutes
    connect(fresh, "explicit", "tlsq").close()
    fresh.run("peladm", "update_site", "-alias", "tlsq", "-max_upload_requests_rate", "1")
    with connect(fresh, "explicit", "tlsq") as ftp:
        for n in range(10):
            ftp.storbinary(f"STOR {n}.bin", io.BytesIO(b"x"))
        with pytest.raises(ftplib.error_temp, match="450 Quota"):
            ftp.storbinary("STOR more.bin", io.BytesIO(b"x"))
        got = io.BytesIO()
        ftp.retrbinary("RETR 3.bin", got.write)
        assert got.getvalue() == b"x", "fetching has a quota of its own"
    assert any("max_upload_requests_rate" in line for line in fresh.log().splitlines()), "the log says which quota it was"
    assert fresh.received("tlsq", "more.bin", wanted=False) is None


def test_an_end_that_is_not_announced_is_no_end(shared):
    # spec 3.3: TLS without close_notify
    ftp = connect(shared, "explicit", "tlsd")
    ftp.voidcmd("TYPE I")
    stream = ftp.transfercmd("STOR cut.bin")
    stream.sendall(b"a" * 2_000_000)
    until("something has arrived", lambda: shared.staged_octets() > 500_000)
    raw = socket.socket(fileno=stream.detach())
    raw.shutdown(socket.SHUT_WR)
    with pytest.raises(ftplib.error_temp, match="426"):
        ftp.voidresp()
    raw.close()
    assert shared.received("tlsd", "cut.bin", wanted=False) is None
    ftp.voidcmd("NOOP")
    ftp.close()


def test_what_stands_in_clear_behind_auth_is_not_carried_out(shared):
    # CVE-2011-0411
    port = shared.ftp_port("explicit")
    shared.ftp_partner("tlse", PASSWORD)
    with socket.create_connection((HOST, port), timeout=30) as stream:
        assert stream.recv(100).startswith(b"220")
        stream.sendall(b"AUTH TLS\r\nNOOP\r\n")
        came = b""
        while piece := stream.recv(4096):
            came += piece
        assert came.startswith(b"421") and b"234" not in came


def curl(gateway, login, *words):
    command = [need("curl"), "--silent", "--show-error", "--cacert", str(gateway.certificate())]
    return subprocess.run(
        [*command, "--user", f"{login}:{PASSWORD}", *words], capture_output=True, timeout=60, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("mode", ["explicit", "implicit", "reuse"])
def test_curl(shared, mode, tmp_path):
    port = shared.ftp_port(mode)
    shared.ftp_partner("tlsf", PASSWORD)
    sent = make_file(tmp_path / "sent.bin", 2_000_000)
    url = f"ftps://{HOST}:{port}/{mode}.bin" if mode == "implicit" else f"ftp://{HOST}:{port}/{mode}.bin"
    done = curl(shared, "tlsf", "--ssl-reqd", "--upload-file", str(sent), url)
    assert done.returncode == 0, done.stderr
    assert shared.received("tlsf", f"{mode}.bin")["sha256"] == sha256(sent)
    done = curl(shared, "tlsf", "--ssl-reqd", "--output", str(tmp_path / "back.bin"), url)
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "back.bin") == sha256(sent)


@pytest.mark.parametrize("mode", ["explicit", "implicit"])
def test_lftp(shared, mode, tmp_path):
    port = shared.ftp_port(mode)
    shared.ftp_partner("tlsg", PASSWORD)
    sent = make_file(tmp_path / "sent.bin", 2_000_000)
    scheme = "ftps" if mode == "implicit" else "ftp"
    lines = [
        "set net:max-retries 1", "set net:timeout 20", "set cmd:fail-exit yes", "set ftp:ssl-force yes",
        "set ftp:ssl-protect-data yes", f"set ssl:ca-file {shared.certificate()}",
        f"open -u tlsg,{PASSWORD} -p {port} {scheme}://localhost", f"put {sent} -o {mode}.bin",
        f"get {mode}.bin -o {tmp_path}/back.bin", "cls -1",
    ]
    done = subprocess.run(
        [need("lftp"), "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=90,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert f"{mode}.bin" in done.stdout
    assert sha256(tmp_path / "back.bin") == sha256(sent)
    assert shared.received("tlsg", f"{mode}.bin")["sha256"] == sha256(sent)
