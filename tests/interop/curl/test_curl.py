"""curl's own SFTP client (libssh2) as a partner."""

import subprocess

import pytest

from peers import HOST, make_file, need, sha256


def curl(client, *words, limit=60):
    command = [
        need("curl"), "--silent", "--show-error", "--insecure", "--user", f"{client.login}:{client.password or ''}",
    ]
    if client.key:
        command += ["--key", str(client.key.path), "--pubkey", str(client.key.public)]
    return subprocess.run([*command, *words], capture_output=True, timeout=limit, env=client.environment())


@pytest.fixture(scope="module", autouse=True)
def speaks_sftp():
    told = subprocess.run([need("curl"), "--version"], capture_output=True, text=True, check=True).stdout
    if " sftp" not in told:
        pytest.skip("this curl has no sftp")


def test_put_and_get_by_password(shared, client, tmp_path):
    # SFTP-2, SFTP-4
    shared.partner("curlpw", password="s3cret")
    made = client(shared, "curlpw", password="s3cret")
    sent = make_file(tmp_path / "sent.bin", 2_000_000)
    url = f"sftp://{HOST}:{made.port}/file.bin"
    done = curl(made, "--upload-file", str(sent), url)
    assert done.returncode == 0, done.stderr
    assert shared.received("curlpw", "file.bin")["sha256"] == sha256(sent)
    done = curl(made, "--output", str(tmp_path / "back.bin"), url)
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "back.bin") == sha256(sent)
    assert b"file.bin" in curl(made, f"sftp://{HOST}:{made.port}/").stdout


def test_put_by_key(shared, client, keys, tmp_path):
    # SFTP-2, KEY-1
    shared.partner("curlec", key=keys("curlec", "ecdsa", 256))
    made = client(shared, "curlec", keys("curlec"))
    sent = make_file(tmp_path / "sent.bin", 10_000)
    done = curl(made, "--upload-file", str(sent), f"sftp://{HOST}:{made.port}/file.bin")
    assert done.returncode == 0, done.stderr
    assert shared.received("curlec", "file.bin")["sha256"] == sha256(sent)


def test_signatures_with_sha1_only_where_a_profile_names_them(shared, client, keys, tmp_path):
    # SSH-6: libssh2 before 1.11 signs with SHA-1 by RSA keys; SSH_RSA is legacy, so a profile has to name it
    told = subprocess.run([need("curl"), "--version"], capture_output=True, text=True, check=True).stdout
    version = [int(part) for part in told.split("libssh2/")[1].split()[0].split(".")]
    shared.partner("curlrsa", key=keys("curlrsa", "rsa", 3072))
    sent = make_file(tmp_path / "sent.bin", 10_000)
    made = client(shared, "curlrsa", keys("curlrsa"))
    done = curl(made, "--upload-file", str(sent), f"sftp://{HOST}:{made.port}/file.bin")
    assert (done.returncode == 0) is (version >= [1, 11]), done.stderr
    made = client(shared, "curlrsa", keys("curlrsa"), mode="legacy")
    done = curl(made, "--upload-file", str(sent), f"sftp://{HOST}:{made.port}/file.bin")
    assert done.returncode == 0, done.stderr
    assert shared.received("curlrsa", "file.bin")["sha256"] == sha256(sent)


def test_resumed_upload(fresh, client, tmp_path):
    # SFTP-10: curl appends where the remote file ends
    fresh.partner("curlre", password="s3cret")
    made = client(fresh, "curlre", password="s3cret")
    sent = make_file(tmp_path / "sent.bin", 8_000_000)
    url = f"sftp://{HOST}:{made.port}/file.bin"
    cut_short = curl(made, "--limit-rate", "2M", "--max-time", "1.5", "--upload-file", str(sent), url)
    assert cut_short.returncode == 28, cut_short.stderr
    done = curl(made, "--continue-at", "-", "--upload-file", str(sent), url)
    assert done.returncode == 0, done.stderr
    assert fresh.received("curlre", "file.bin")["sha256"] == sha256(sent)


def test_wrong_password(shared, client, tmp_path):
    # SFTP-4
    shared.partner("curlno", password="s3cret")
    made = client(shared, "curlno", password="wrong")
    assert curl(made, f"sftp://{HOST}:{made.port}/").returncode == 67
