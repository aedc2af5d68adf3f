"""OpenSSH's sftp as a partner: files in and out, cut short, renamed, re-keyed."""

import signal
import subprocess

import pytest

from peers import cut, make_file, need, sha256, until

SIZES = [0, 1, 16 * 1024, 16 * 1024 + 1, 5_000_000]


@pytest.mark.parametrize("octets", SIZES)
def test_put_and_get_give_the_same_file(shared, client, keys, tmp_path, octets):
    # SFTP-2, TRF-20
    name = f"alpha{octets}"
    shared.partner(name, key=keys(name))
    sftp = client(shared, name, keys(name))
    sent = make_file(tmp_path / "sent.bin", octets)
    sftp.sftp(f"put {sent} file.bin", "ls -l", f"get file.bin {tmp_path}/back.bin")
    assert sha256(tmp_path / "back.bin") == sha256(sent)
    record = shared.received(name, "file.bin")
    assert record["size"] == octets
    assert record["sha256"] == sha256(sent)


def test_list_rename_and_remove(shared, client, keys, tmp_path):
    # SFTP-2, DESIGN 1.3
    shared.partner("lister", key=keys("lister"))
    sftp = client(shared, "lister", keys("lister"))
    sent = make_file(tmp_path / "a", 1000)
    listing = sftp.sftp(f"put {sent} one.txt", "rename one.txt two.txt", "ls -1").stdout
    assert "two.txt" in listing and "one.txt" not in listing.split("ls -1")[1]
    left = sftp.sftp("rm two.txt", "ls -1").stdout.split("ls -1")[1]
    assert "two.txt" not in left


def test_folders_are_made_and_removed_where_the_right_is_given(shared, client, keys):
    # SFTP-7
    shared.partner("folders", key=keys("folders"))
    sftp = client(shared, "folders", keys("folders"))
    done = sftp.sftp("mkdir sub", check=False)
    if done.returncode == 0:
        sftp.sftp("rmdir sub")
    else:
        assert "ermission denied" in done.stderr or "nsupported" in done.stderr, done.stderr


def test_a_cut_upload_is_hidden_and_resumed(fresh, client, keys, tmp_path):
    # SFTP-9, SFTP-10, TRF-9, TRF-20, DESIGN 1.1
    fresh.partner("cutter", key=keys("cutter"))
    sftp = client(fresh, "cutter", keys("cutter"))
    sent = make_file(tmp_path / "big.bin", 24_000_000)
    slow = sftp.start_sftp(f"put {sent} big.bin", options=["-l", "60000"])
    until("some of the file has come", lambda: fresh.staged_octets() > 3_000_000)
    cut(slow)
    until("the gateway noticed", lambda: not fresh.sessions())
    assert fresh.received("cutter", "big.bin", wanted=False) is None
    listing = sftp.sftp("ls -1").stdout
    assert "big.bin" not in listing.split("ls -1")[1]
    sftp.sftp(f"reput {sent} big.bin", f"get big.bin {tmp_path}/back.bin")
    assert sha256(tmp_path / "back.bin") == sha256(sent)
    assert fresh.received("cutter", "big.bin")["sha256"] == sha256(sent)


def test_an_upload_stopped_by_ctrl_c_is_not_routed(fresh, client, keys, tmp_path):
    # DESIGN 1.2: OpenSSH closes the short file in good order; the settle time gives the user the chance to go on
    fresh.partner("stopper", key=keys("stopper"), settle_s=20)
    fresh.somewhere("stopper")
    sftp = client(fresh, "stopper", keys("stopper"))
    sent = make_file(tmp_path / "big.bin", 24_000_000)
    slow = sftp.start_sftp(f"put {sent} big.bin", options=["-l", "60000"])
    until("some of the file has come", lambda: fresh.staged_octets() > 3_000_000)
    cut(slow, signal.SIGINT)
    until("the gateway noticed", lambda: not fresh.sessions())
    assert fresh.deliveries("big.bin") == []
    sftp.sftp(f"reput {sent} big.bin", limit=90)
    record = until("the whole file is there", lambda: fresh.received("stopper", "big.bin", wanted=False))
    assert record["sha256"] == sha256(sent)


def test_a_partial_name_is_routed_only_after_its_rename(fresh, client, keys, tmp_path):
    # DESIGN 1.3: *.filepart, *.part and *.tmp are not routed
    fresh.partner("winner", key=keys("winner"), settle_s=0)
    fresh.somewhere("winner")
    sftp = client(fresh, "winner", keys("winner"))
    sent = make_file(tmp_path / "a.bin", 100_000)
    sftp.sftp(f"put {sent} a.bin.filepart")
    assert fresh.deliveries("a.bin.filepart") == []
    sftp.sftp("rename a.bin.filepart a.bin")
    until("the renamed file is routed", lambda: len(fresh.deliveries("a.bin")) == 1)
    assert fresh.deliveries("a.bin.filepart") == []


def test_many_large_requests_at_once(shared, client, keys, tmp_path):
    # DESIGN 5.8: 64 requests of 256 KiB stopped the SSH library by its defaults
    shared.partner("wide", key=keys("wide"))
    sftp = client(shared, "wide", keys("wide"))
    sent = make_file(tmp_path / "sent.bin", 96 * 1024 * 1024)
    # OpenSSH's own packets end at 256 KiB, so its writes must leave room for their head.
    sftp.sftp(f"put {sent} wide.bin", options=["-R", "64", "-B", "261120"], limit=90)
    sftp.sftp(f"get wide.bin {tmp_path}/back.bin", options=["-R", "64", "-B", "262144"], limit=90)
    assert sha256(tmp_path / "back.bin") == sha256(sent)


def test_new_keys_while_a_file_moves(shared, client, keys, tmp_path):
    # SFTP-18, SSH-21: the partner asks for new keys after each megabyte
    shared.partner("rekeyer", key=keys("rekeyer"))
    sftp = client(shared, "rekeyer", keys("rekeyer"))
    sent = make_file(tmp_path / "sent.bin", 20_000_000)
    lines = [f"put {sent} rekey.bin", f"get rekey.bin {tmp_path}/back.bin"]
    sftp.sftp(*lines, options=["-o", "RekeyLimit=1M"], limit=120)
    assert sha256(tmp_path / "back.bin") == sha256(sent)


ESCAPES = ["../outside.txt", "../../etc/passwd", "/../../../etc/passwd", "sub/../../outside.txt", "..", "a/../../b"]


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leaves_the_folder(shared, client, keys, tmp_path, name):
    # SFTP-14, OBJ-21
    login = f"escaper{ESCAPES.index(name)}"
    shared.partner(login, key=keys("escaper"), key_name=f"ESC{ESCAPES.index(name)}")
    sftp = client(shared, login, keys("escaper"))
    sent = make_file(tmp_path / "a", 100)
    before = shared.files_outside()
    sftp.sftp(f'-put {sent} "{name}"', f'-mkdir "{name}"', f'-rename x "{name}"')
    got = sftp.sftp(f'get "{name}" {tmp_path}/got', check=False)
    if got.returncode == 0 and (tmp_path / "got").exists():
        assert sha256(tmp_path / "got") == sha256(sent), "only what was just stored may come back"
    assert shared.files_outside() == before


def test_scp_is_refused(shared, client, keys, tmp_path):
    # DESIGN 1.14: scp is off by default
    shared.partner("copier", key=keys("copier"))
    scp = client(shared, "copier", keys("copier"))
    sent = make_file(tmp_path / "a", 100)
    words = [need("scp"), *scp.options(), "-O", "-P", str(scp.port), str(sent), f"{scp.target()}:a"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=scp.environment())
    assert done.returncode != 0
    assert shared.received("copier", "a", wanted=False) is None


def test_scp_over_sftp_works(shared, client, keys, tmp_path):
    # SFTP-2: scp of today speaks the sftp subsystem
    shared.partner("copier2", key=keys("copier2"))
    scp = client(shared, "copier2", keys("copier2"))
    sent = make_file(tmp_path / "a", 100_000)
    words = [need("scp"), *scp.options(), "-s", "-P", str(scp.port), str(sent), f"{scp.target()}:a.bin"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=scp.environment())
    assert done.returncode == 0, done.stderr
    assert shared.received("copier2", "a.bin")["sha256"] == sha256(sent)
