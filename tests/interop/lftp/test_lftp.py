"""lftp as a partner: single files and mirrors, with several connections."""

import subprocess

from peers import HOST, make_file, need, sha256


def lftp(client, *commands, limit=90):
    """Runs lftp with our key through its own ssh command."""
    import shlex

    connect = " ".join(shlex.quote(word) for word in [need("ssh"), "-a", "-x", *client.options()])
    lines = [
        f"set sftp:connect-program {shlex.quote(connect)}", "set net:max-retries 1", "set net:timeout 20",
        "set cmd:fail-exit yes", "set xfer:use-temp-file no",
        f"open -u {client.login},x -p {client.port} sftp://{HOST}", *commands,
    ]
    env = client.environment() | {"LFTP_HOME": str(client.folder)}
    done = subprocess.run(
        [need("lftp"), "--norc", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=limit, env=env,
        cwd=client.folder, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_put_list_get(shared, client, keys, tmp_path):
    # SFTP-2
    shared.partner("lftpa", key=keys("lftpa"))
    made = client(shared, "lftpa", keys("lftpa"))
    sent = make_file(tmp_path / "sent.bin", 3_000_000)
    listing = lftp(made, f"put {sent} -o file.bin", "cls -1", f"get file.bin -o {tmp_path}/back.bin")
    assert "file.bin" in listing
    assert sha256(tmp_path / "back.bin") == sha256(sent)
    assert shared.received("lftpa", "file.bin")["sha256"] == sha256(sent)


def test_put_by_a_temporary_name(shared, client, keys, tmp_path):
    # DESIGN 1.3: lftp writes .in.NAME. and renames
    shared.partner("lftpb", key=keys("lftpb"))
    made = client(shared, "lftpb", keys("lftpb"))
    sent = make_file(tmp_path / "sent.bin", 500_000)
    lftp(made, "set xfer:use-temp-file yes", 'set xfer:temp-file-name "*.part"', f"put {sent} -o named.bin")
    assert shared.received("lftpb", "named.bin")["sha256"] == sha256(sent)


def test_mirror_up_with_four_connections(shared, client, keys, tmp_path):
    # SFTP-2, TRF-8
    shared.partner("lftpc", key=keys("lftpc"))
    made = client(shared, "lftpc", keys("lftpc"))
    folder = tmp_path / "many"
    folder.mkdir()
    sent = {f"f{i:02}.bin": sha256(make_file(folder / f"f{i:02}.bin", 1000 * i)) for i in range(30)}
    lftp(made, f"mirror -R -P 4 --no-perms {folder} .")
    got = {name: shared.received("lftpc", name)["sha256"] for name in sent}
    assert got == sent
