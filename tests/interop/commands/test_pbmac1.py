"""A PKCS#12 file whose check value is PBMAC1 (RFC 9579), as newer programs make them: openssl's file, and a check value of ours."""

import hashlib
import hmac
import subprocess

from peers import need

PASSWORD = "a long password"


def der(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + length + body


def content(octets):
    """What the first element of some DER holds, and what comes behind it."""
    size, at = octets[1], 2
    if size & 0x80:
        at = 2 + (size & 0x7F)
        size = int.from_bytes(octets[2:at], "big")
    return octets[at:at + size], octets[at + size:]


def pbmac1(authenticated, salt, steps):
    """MacData over the authenticated content."""
    sha256 = der(0x30, der(0x06, bytes.fromhex("2a864886f70d0209")), der(0x05))
    number = lambda n: der(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))  # noqa: E731
    derivation = der(0x30, der(0x06, bytes.fromhex("2a864886f70d01050c")), der(0x30, der(0x04, salt), number(steps), number(32), sha256))
    method = der(0x30, der(0x06, bytes.fromhex("2a864886f70d01050e")), der(0x30, derivation, sha256))
    key = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, steps, 32)
    digest = hmac.new(key, authenticated, "sha256").digest()
    return der(0x30, der(0x30, method, der(0x04, digest)), der(0x04, b"not used"), der(0x02, b"\1"))


def test_a_file_with_pbmac1_is_read_with_its_password_only(fresh, tmp_path):
    # CERT: PKCS#12 new, RFC 9579
    run = lambda *words: subprocess.run([need("openssl"), *words], check=True, capture_output=True, cwd=tmp_path)  # noqa: E731
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key", "-out", "cert", "-subj", "/CN=mac")
    run("pkcs12", "-export", "-in", "cert", "-inkey", "key", "-nomac", "-passout", f"pass:{PASSWORD}", "-out", "bare.p12")
    version_and_safe, _ = content((tmp_path / "bare.p12").read_bytes())
    _, safe = content(version_and_safe)
    info, _ = content(safe)
    _, explicit = content(info)
    octets, _ = content(content(explicit)[0])
    sealed = pbmac1(octets, b"salt of the test", 2048)
    (tmp_path / "whole.p12").write_bytes(der(0x30, version_and_safe, sealed))
    (tmp_path / "changed.p12").write_bytes(der(0x30, version_and_safe, pbmac1(octets + b"x", b"salt of the test", 2048)))
    for name, text in (("right", PASSWORD), ("wrong", "another password")):
        (tmp_path / name).write_text(text + "\n")
    take = lambda file, password: fresh.run(  # noqa: E731
        "secadm", "import_cert", "-ctfn", "MAC", "-ctff", str(tmp_path / file), "-certificate_password_from_file", str(tmp_path / password), check=False
    )
    for file, password in (("whole.p12", "wrong"), ("changed.p12", "right")):
        refused = take(file, password)
        assert refused.returncode == 1 and "password" in refused.stderr, refused
    done = take("whole.p12", "right")
    assert done.returncode == 0, done.stderr
    assert "CN=mac" in fresh.run("secdsp", "display_cert", "MAC").stdout
