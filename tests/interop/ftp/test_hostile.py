"""Peers of FTPS that say nothing, half of something, or far too much."""

import concurrent.futures
import contextlib
import datetime
import ftplib
import io
import socket
import ssl
import struct

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from peers import HOST, until
from test_tls import PASSWORD, Implicit, Resuming, connect, context

# A record of TLS: handshake, 512 octets to come; and the first of them, a ClientHello of 508.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)


def read_to_end(stream):
    """What still comes; a reset is an end as well."""
    came = b""
    with contextlib.suppress(OSError):
        while piece := stream.recv(4096):
            came += piece
    return came


def serves(gateway, login):
    """A partner who behaves is served."""
    with connect(gateway, "hasty", login, Implicit) as ftp:
        assert ftp.storbinary("STOR after.txt", io.BytesIO(b"fine")).startswith("226")


@pytest.mark.parametrize("octets", [b"", HELLO[:3], HELLO], ids=["nothing", "half a head", "half a hello"])
def test_a_handshake_that_stands_still_is_ended(shared, octets):
    # TLS, handshake_timeout_s: before the greeting there is no other bound
    with socket.create_connection((HOST, shared.ftp_port("hasty")), timeout=60) as stream:
        stream.sendall(octets)
        assert b"220" not in read_to_end(stream)
    until("it is told", lambda: "handshake_timeout_s" in shared.log())
    serves(shared, "still")


def test_a_handshake_that_drips_is_ended(shared):
    # The bound is for all of the handshake, not for each octet
    with socket.create_connection((HOST, shared.ftp_port("hasty")), timeout=60) as stream:
        stream.sendall(HELLO)
        stream.settimeout(0.05)

        def ended():
            try:
                stream.sendall(b"\0")
                return stream.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        until("it is ended", ended)
    serves(shared, "drips")


def test_a_data_connection_without_its_handshake_is_ended(shared):
    # RFC 4217 section 10; decision 0027: nothing was opened, so nothing is left
    with connect(shared, "hasty", "muted", Implicit) as ftp:
        stream, _ = ftplib.FTP.ntransfercmd(ftp, "STOR never.bin")
        stream.settimeout(60)
        read_to_end(stream)
        with pytest.raises(ftplib.error_perm, match="522"):
            ftp.voidresp()
        stream.close()
        assert ftp.voidcmd("NOOP").startswith("200")
    assert shared.received("muted", "never.bin", wanted=False) is None


def detached(stream):
    """The connection below TLS."""
    return socket.socket(fileno=stream.detach())


@pytest.mark.parametrize("record", [
    struct.pack(">BHH", 23, 0x0303, 16_000) + bytes(5000),
    struct.pack(">BHH", 23, 0x0303, 65_000) + bytes(65_000),
    struct.pack(">BHH", 23, 0x0303, 100) + bytes(100),
    struct.pack(">BH", 23, 0x0303),
], ids=["half a record", "too long a record", "a record that nobody sealed", "half a head"])
def test_a_broken_record_is_no_end_of_a_file(shared, record):
    # spec 3.3
    ftp = connect(shared, "hasty", "broken", Implicit)
    ftp.voidcmd("TYPE I")
    stream = ftp.transfercmd("STOR broken.bin")
    stream.sendall(b"a" * 1_000_000)
    raw = detached(stream)
    with contextlib.suppress(OSError):
        raw.sendall(record)
        raw.shutdown(socket.SHUT_WR)
    with pytest.raises(ftplib.error_temp, match="426"):
        ftp.voidresp()
    raw.close()
    assert shared.received("broken", "broken.bin", wanted=False) is None
    assert ftp.voidcmd("NOOP").startswith("200")
    # The same on the control connection ends the session.
    control = detached(ftp.sock)
    control.settimeout(60)
    with contextlib.suppress(OSError):
        control.sendall(record)
        control.shutdown(socket.SHUT_WR)
    read_to_end(control)
    control.close()
    serves(shared, "broken")


def chain(folder, octets):
    """A client's certificate with a key, and behind it authorities of about so many octets together."""
    now, key = datetime.datetime.now(datetime.timezone.utc), ec.generate_private_key(ec.SECP256R1())
    made, size, above = [], 0, "level 0"
    while size < octets:
        name = f"level {len(made) + 1}"
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, above)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .public_key(key.public_key()).serial_number(len(made) + 1)
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("x" * 60 + f".n{n}.example") for n in range(20)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        made.append(certificate.public_bytes(serialization.Encoding.PEM))
        size += len(certificate.public_bytes(serialization.Encoding.DER))
        above = name
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / f"chain{octets}.pem"
    path.write_bytes(secret + b"".join(made))
    return path


@pytest.mark.parametrize("octets", [58_000, 64_000, 95_000])
def test_a_huge_chain_is_refused(shared, tmp_path, octets):
    # certificates-and-keys.md: whatever is sent, who is not trusted is refused, and costs little
    made = context(shared)
    made.load_cert_chain(chain(tmp_path, octets))
    before = shared.resident_octets()
    for _ in range(20):
        with pytest.raises((OSError, EOFError)):
            with socket.create_connection((HOST, shared.ftp_port("hasty")), timeout=60) as stream:
                with made.wrap_socket(stream, server_hostname=HOST) as secure:
                    assert not secure.recv(100).startswith(b"220"), "it was let in"
                    raise EOFError
    assert shared.resident_octets() < before + (64 << 20)
    serves(shared, "huge")


def test_a_hundred_uploads_at_once_over_tls(shared):
    # issue 5, Proof: each data connection goes on from its control connection
    data = [bytes([n]) * (2000 * n) for n in range(100)]
    shared.ftp_port("reuse")
    shared.ftp_partner("hundred", PASSWORD)

    def upload(n):
        with connect(shared, "reuse", "hundred", Resuming) as ftp:
            return ftp.storbinary(f"STOR many-{n:03}.bin", io.BytesIO(data[n]))

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(upload, range(100)))
    assert all(answer.startswith("226") for answer in answers)
    rows = {row["File"]: row for row in shared.transfers("-direction", "I") if row["Site"] == "hundred"}
    assert len(rows) == 100
    for n in (0, 1, 50, 99):
        assert shared.received("hundred", f"many-{n:03}.bin")["size"] == len(data[n])
