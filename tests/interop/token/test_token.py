"""Private keys and the master key in a PKCS#11 token: the real program, SoftHSM, OpenSSH and openssl."""

import random
import subprocess
import time

import pytest

from gateway import Gateway
from peers import SoftHsm, Sshd, make_file, need, sha256, until

MASTER = '[master_key]\ntoken_key = "pkcs11:token=gateway;object=master?module-name=hsm"\n'


@pytest.fixture
def hsm(tmp_path):
    return SoftHsm(tmp_path / "hsm")


@pytest.fixture
def gateway(hsm, tmp_path):
    """A gateway that knows the token; not started yet."""
    gateway = Gateway(tmp_path / "gateway", hsm.settings())
    gateway.variables = hsm.variables
    yield gateway
    assert gateway.stop() == 0, gateway.log()[-3000:]


@pytest.fixture
def wrapped(hsm, tmp_path):
    """A gateway whose master key a key of the token wraps; not started yet."""
    hsm.tool("--keygen", "--key-type", "AES:32", "--label", "master", "--sensitive")
    gateway = Gateway(tmp_path / "gateway", hsm.settings(MASTER))
    gateway.variables = hsm.variables
    yield gateway
    assert gateway.stop() == 0, gateway.log()[-3000:]


def key_line(gateway, name):
    """What an SSH server is told of our key."""

    class Known:
        line = gateway.json("secdsp", "display_key", name)["public_key"]

    return Known


def refused(gateway, *words):
    done = gateway.run(*words, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert SoftHsm.PIN not in done.stdout + done.stderr
    return done.stderr


def start_fails(gateway):
    """What `serve` says when it can't start."""
    process = gateway.another()
    assert process.wait(timeout=60) != 0
    return gateway.log()[-2000:]


@pytest.mark.parametrize("kind", ["ECDSA_NISTP256", "RSA", "ED25519"])
def test_a_key_in_a_token_logs_in_at_a_partner(gateway, hsm, tmp_path, kind):
    # Issue 4: private keys live in a token and are used by handle
    gateway.start()
    made = gateway.json("secadm", "create_key", "-name", "OURS", "-algorithm", kind, "-token_key", hsm.uri("ours"))
    shown = gateway.json("secdsp", "display_key", "OURS")
    assert shown["type"] == "PRIVATE" and shown["token_key"].startswith("pkcs11:token=gateway;object=ours;id=%")
    assert shown["fingerprint"] == made["facts"]["fingerprint"]
    row = next(row for row in gateway.json("secdsp", "status_token") if "object=ours" in row["token_key"])
    assert row["registered_as"] == ["OURS"] and row["fingerprint"] == shown["fingerprint"]
    with Sshd(tmp_path / "bravo", [key_line(gateway, "OURS")]) as bravo:
        gateway.remote("bravo", bravo)
        gateway.run("peladm", "update_site", "-alias", "bravo", "-local_private_key_alias", "OURS")
        for name in ("one", "two"):
            sent = make_file(tmp_path / name, 100_000)
            gateway.run("peltrans", "-dest_alias", "bravo", "-fc", str(sent))
            until(f"{name} is there", lambda name=name: (bravo.files / name).exists())
            assert sha256(bravo.files / name) == sha256(sent)
            # What a killed gateway knew of the token is not needed.
            until("the delivery is ended", gateway.idle)
            gateway.kill()
            gateway.start()
    assert hsm.PIN not in gateway.log()


def test_a_token_that_is_away_makes_deliveries_wait(gateway, hsm, tmp_path):
    gateway.start()
    gateway.run("secadm", "create_key", "-name", "OURS", "-algorithm", "ECDSA_NISTP256", "-token_key", hsm.uri("ours"))
    with Sshd(tmp_path / "bravo", [key_line(gateway, "OURS")]) as bravo:
        gateway.remote("bravo", bravo, retry_s=1)
        gateway.run("peladm", "update_site", "-alias", "bravo", "-local_private_key_alias", "OURS")
        first = make_file(tmp_path / "first", 1000)
        gateway.run("peltrans", "-dest_alias", "bravo", "-fc", str(first))
        until("it is there", lambda: (bravo.files / "first").exists())
        away = hsm.tokens.rename(hsm.folder / "away")
        hsm.tokens.mkdir()
        second = make_file(tmp_path / "second", 1000)
        gateway.run("peltrans", "-dest_alias", "bravo", "-fc", str(second))
        until("its story names the token", lambda: gateway.reason("second", "private key"))
        assert not (bravo.files / "second").exists()
        hsm.tokens.rmdir()
        away.rename(hsm.tokens)
        until("it is there", lambda: (bravo.files / "second").exists(), limit=60)


def test_certificates_and_requests_of_a_key_in_a_token(gateway, hsm, tmp_path):
    # CERT-9, CERT-27
    gateway.start()
    hsm.pair("ours", kind="rsa:2048")
    hsm.pair("other", ident="02")
    uri, openssl = hsm.uri("ours"), need("openssl")
    gateway.run("secadm", "create_cert", "-certificate_name", "OURS", "-subject_name", "C=RO, O=Example, CN=ours", "-token_key", uri)
    shown = gateway.json("secdsp", "display_cert", "OURS", "-display_cert")
    assert shown["private_key"] is True and "object=ours" in shown["token_key"]

    def call(*words):
        return subprocess.run([openssl, *words], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)

    (tmp_path / "ours.pem").write_text(shown["certificate"].strip() + "\n")
    call("verify", "-check_ss_sig", "-CAfile", "ours.pem", "ours.pem")
    gateway.run("secadm", "create_csr", "OURS", "-output", str(tmp_path / "ours.csr"))
    assert "OK" in call("req", "-in", "ours.csr", "-verify", "-noout").stderr
    call("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "900", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
    (tmp_path / "own.cnf").write_text("basicConstraints=critical,CA:FALSE\n")
    call("x509", "-req", "-in", "ours.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "365", "-extfile", "own.cnf", "-out", "reply.pem")
    gateway.run("secadm", "import_reply", "OURS", "-certificate_file", str(tmp_path / "reply.pem"))
    again = gateway.json("secdsp", "display_cert", "OURS")
    assert "CN=ca" in again["issuer"] and again["token_key"] == shown["token_key"]
    gateway.run("secadm", "create_csr", "OURS", "-output", str(tmp_path / "next.csr"))
    word = tmp_path / "word"
    word.write_text("four words in a row\n")
    away = ["secbase", "export_cert_key", "OURS", "-certificate_password_from_file", str(word), "-output", str(tmp_path / "x")]
    assert "never gives it away" in refused(gateway, *away)
    # The certificate of an authority with its key in the token; and one whose key is another.
    gateway.run("secadm", "delete_cert", "OURS")
    given = ["secadm", "import_cert", "-certificate_name", "AGAIN", "-certificate_file", str(tmp_path / "reply.pem")]
    assert "does not belong" in refused(gateway, *given, "-token_key", hsm.uri("other"))
    gateway.run(*given, "-token_key", uri)
    assert gateway.json("secdsp", "display_cert", "AGAIN")["certificate_type"] == "USER"


def test_what_is_wrong_is_said_and_nothing_is_loaded_on_demand(gateway, hsm):
    gateway.start()
    hsm.pair("elsewhere")
    gateway.run("secadm", "import_token_key", "-name", "A", "-token_key", hsm.uri("elsewhere"))
    register = ["secadm", "import_token_key", "-name", "B", "-token_key"]
    assert "is in the store as A" in refused(gateway, *register, hsm.uri("elsewhere"))
    assert "no private key" in refused(gateway, *register, hsm.uri("nobody"))
    assert "configured are [hsm]" in refused(gateway, *register, "pkcs11:token=t;object=o?module-name=x")
    path = "pkcs11:token=t;object=o?module-path=/tmp/evil.so"
    assert "libraries are named in gatehouse.toml" in refused(gateway, *register, path)
    assert "no token token=vault" in refused(gateway, *register, "pkcs11:token=vault;object=o?module-name=hsm")
    gateway.run("secadm", "create_key", "-name", "C", "-token_key", hsm.uri("mine"), "-algorithm", "ECDSA_NISTP384")
    assert "already" in refused(gateway, "secadm", "create_key", "-name", "D", "-token_key", hsm.uri("mine"))
    # As a host key it can't serve: that is said where it is looked for, and nobody gets in.
    gateway.run("secadm", "create_sshprof", "-sshprof_name", "S", "-type", "SERVER", "-private_key_alias", "C")
    gateway.run("listener", "add", "L", "-address", "127.0.0.1", "-port", "0", check=False)
    # A wrong PIN is tried once: the token counts.
    gateway.kill()
    hsm.write_pin("0000-0000")
    gateway.start()
    for _ in range(6):
        told = refused(gateway, *register, hsm.uri("elsewhere"))
        assert "PIN" in told and "0000" not in told
    hsm.write_pin(hsm.PIN)
    assert "is in the store as A" in refused(gateway, *register, hsm.uri("elsewhere"))


def test_a_module_that_is_none_stops_nothing_but_its_keys(hsm, tmp_path):
    settings = '[pkcs11.gone]\nlibrary = "/usr/lib/no/such.so"\n' + hsm.settings()
    with Gateway(tmp_path / "gateway", settings) as gateway:
        uri = "pkcs11:token=gateway;object=x?module-name=gone"
        told = refused(gateway, "secadm", "import_token_key", "-name", "A", "-token_key", uri)
        assert "/usr/lib/no/such.so" in told and "right path" in told
        assert "gone: PKCS#11 module gone" in gateway.json("secdsp", "status_token")[0]["token_key"]


def test_the_master_key_is_wrapped_by_the_token(wrapped, hsm, client, keys, tmp_path):
    # STO-7, STO-17, STO-18, STO-26
    wrapped.start()
    master = wrapped.data / "master.key"
    assert master.read_text().startswith("gatehouse-master-key 2 ") and master.stat().st_mode & 0o777 == 0o600
    wrapped.partner("alpha", key=keys("alpha"), password="open sesame")
    alpha = client(wrapped, "alpha", keys("alpha"))
    sent = {f"f{n}.bin": make_file(tmp_path / f"f{n}.bin", 400_000 if n % 2 else 2000) for n in range(10)}
    alpha.sftp(*[f"put {path} {name}" for name, path in sent.items()])
    first = master.read_text().split()[2]
    chance = random.Random(11)
    for _ in range(6):
        words = [wrapped.program, "master", "rotate", "--data", str(wrapped.data)]
        command = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=wrapped.environment())
        time.sleep(chance.uniform(0.0, 0.25))
        wrapped.kill()
        command.wait(timeout=30)
        wrapped.start()
    until("the change begun is at its end", lambda: not list(wrapped.data.glob("master.key.*")))
    done = wrapped.json("master", "rotate")
    assert done["facts"]["waiting"] == 0 and list(wrapped.data.glob("master.key*")) == [master]
    head, version, ident, uri, _ = master.read_text().split()
    assert (head, version) == ("gatehouse-master-key", "2") and "object=master" in uri
    assert ident == done["facts"]["master_key"] != first
    got = tmp_path / "got"
    got.mkdir()
    alpha.sftp(*[f"get {name} {got / name}" for name in sent])
    assert all(sha256(got / name) == sha256(path) for name, path in sent.items())
    # Without its token, or with a wrong PIN, it does not start, and says why.
    wrapped.stop()
    away = hsm.tokens.rename(hsm.folder / "away")
    hsm.tokens.mkdir()
    assert "no token token=gateway" in start_fails(wrapped)
    hsm.tokens.rmdir()
    away.rename(hsm.tokens)
    hsm.write_pin("1111-1111")
    assert "refuses the PIN" in start_fails(wrapped)
    hsm.write_pin(hsm.PIN)
    text = master.read_text()
    master.write_text(text[:-2] + ("0" if text[-2] != "0" else "1") + "\n")
    assert "does not open it" in start_fails(wrapped)
    master.write_text(text)
    wrapped.start()
    assert hsm.PIN not in wrapped.log()


def test_into_the_token_out_of_it_and_back_from_the_escrow(hsm, tmp_path):
    # STO-26, and the escrow when the token is lost
    hsm.tool("--keygen", "--key-type", "AES:32", "--label", "master", "--sensitive")
    gateway = Gateway(tmp_path / "gateway")
    gateway.variables = hsm.variables
    master, settings = gateway.data / "master.key", gateway.data / "gatehouse.toml"
    bare = settings.read_text()

    def restart(text):
        gateway.stop()
        settings.write_text(text)
        gateway.start()

    with gateway:
        assert master.read_text().startswith("gatehouse-master-key 1 ")
        restart(bare + hsm.settings(MASTER))
        assert "gatehouse master rotate" in gateway.run("check", check=False).stdout
        gateway.run("master", "rotate")
        assert master.read_text().startswith("gatehouse-master-key 2 ")
        assert "gatehouse master rotate" not in gateway.run("check", check=False).stdout
        word, escrow = tmp_path / "word", tmp_path / "escrow"
        word.write_text("four words in a row\n")
        gateway.run("backup", "escrow", str(escrow), "-passphrase_from_file", str(word))
        gateway.run("backup", "create", str(tmp_path / "backup"))
        # Out of it: the module is still needed to read, until the change is done.
        restart(bare + hsm.settings())
        gateway.run("master", "rotate")
        assert master.read_text().startswith("gatehouse-master-key 1 ")
        restart(bare)
        gateway.stop()
        # The token is lost: backup and escrow suffice.
        target = tmp_path / "restored"
        words = ["restore", str(tmp_path / "backup"), "--escrow", str(escrow), "--passphrase_from_file", str(word)]
        done = subprocess.run([gateway.program, *words, "--data", str(target)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (target / "master.key").read_text().startswith("gatehouse-master-key 1 ")
        gateway.data = target
        gateway.start(ready=False)
        until("it is frozen", lambda: "frozen" in gateway.log())
