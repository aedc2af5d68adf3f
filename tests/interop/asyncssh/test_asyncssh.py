"""asyncssh as a partner: its SFTP client, and what it tells of limits and extensions."""

import asyncio

import asyncssh
import pytest

from peers import HOST, make_file, sha256


def connected(gateway, login, key, work, **options):
    """Runs `work(connection)` on one connection."""

    async def run():
        options.setdefault("client_keys", [str(key.path)] if key else None)
        async with asyncssh.connect(
            HOST, gateway.port(options.pop("mode", "key")), username=login, known_hosts=None, agent_path=None,
            config=None, **options,
        ) as connection:
            return await work(connection)

    return asyncio.run(asyncio.wait_for(run(), timeout=90))


def test_put_get_list(shared, keys, tmp_path):
    # SFTP-2
    shared.partner("async1", key=keys("async1"))
    sent = make_file(tmp_path / "sent.bin", 9_000_000)

    async def work(connection):
        async with connection.start_sftp_client() as sftp:
            await sftp.put(str(sent), "file.bin")
            names = [entry.filename for entry in await sftp.readdir(".")]
            await sftp.get("file.bin", str(tmp_path / "back.bin"))
            stat = await sftp.stat("file.bin")
            return names, stat.size

    names, size = connected(shared, "async1", keys("async1"), work)
    assert "file.bin" in names
    assert size == 9_000_000
    assert sha256(tmp_path / "back.bin") == sha256(sent)


def test_forty_files_at_once_on_one_connection(shared, keys, tmp_path):
    # SFTP-11, SFTP-20
    shared.partner("async2", key=keys("async2"))
    sent = {f"n{i}.bin": make_file(tmp_path / f"n{i}.bin", 10_000 + i) for i in range(40)}

    async def work(connection):
        async with connection.start_sftp_client() as sftp:
            await asyncio.gather(*[sftp.put(str(path), name) for name, path in sent.items()])

    connected(shared, "async2", keys("async2"), work)
    for name, path in sent.items():
        assert shared.received("async2", name)["sha256"] == sha256(path), name


def test_extensions(shared, keys, tmp_path):
    # SFTP-16 and issue item 5: limits, statvfs, posix-rename, fsync
    shared.partner("async3", key=keys("async3"))

    async def work(connection):
        async with connection.start_sftp_client() as sftp:
            assert sftp.limits.max_read_len >= 32768
            assert sftp.limits.max_packet_len <= 1 << 20
            vfs = await sftp.statvfs(".")
            assert vfs.bsize > 0
            async with sftp.open("a.txt", "wb") as file:
                await file.write(b"one")
                await file.fsync()
            await sftp.posix_rename("a.txt", "b.txt")
            return await sftp.exists("a.txt"), await sftp.exists("b.txt")

    assert connected(shared, "async3", keys("async3"), work) == (False, True)


def test_links_are_refused(shared, keys):
    # SFTP-14
    shared.partner("async4", key=keys("async4"))

    async def work(connection):
        async with connection.start_sftp_client() as sftp:
            with pytest.raises(asyncssh.SFTPError):
                await sftp.symlink("/etc/passwd", "link")
            with pytest.raises(asyncssh.SFTPError):
                await sftp.link("/etc/passwd", "link")

    connected(shared, "async4", keys("async4"), work)


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
def test_ciphers(shared, keys, tmp_path, cipher):
    # SSH-6
    login = "async5"
    shared.partner(login, key=keys(login))
    sent = make_file(tmp_path / "sent.bin", 1_000_000)

    async def work(connection):
        async with connection.start_sftp_client() as sftp:
            await sftp.put(str(sent), f"{cipher[:6]}.bin")
        return connection.get_extra_info("send_cipher")

    assert connected(shared, login, keys(login), work, encryption_algs=[cipher]) == cipher


@pytest.mark.parametrize("weak", [{"encryption_algs": ["aes128-cbc"]}, {"kex_algs": ["diffie-hellman-group1-sha1"]}, {"mac_algs": ["hmac-md5"]}])
def test_weak_algorithms_find_no_partner(shared, keys, weak):
    # SSH-6, SSH-7, SSH-8
    shared.partner("async6", key=keys("async6"))

    async def work(connection):
        return None

    if "mac_algs" in weak:
        weak = weak | {"encryption_algs": ["aes128-ctr"]}
    with pytest.raises((asyncssh.KeyExchangeFailed, asyncssh.ConnectionLost, OSError)):
        connected(shared, "async6", keys("async6"), work, **weak)


def test_rekey_by_the_client(shared, keys, tmp_path):
    # SFTP-18, SSH-21
    shared.partner("async7", key=keys("async7"))
    sent = make_file(tmp_path / "sent.bin", 10_000_000)

    async def work(connection):
        async with connection.start_sftp_client() as sftp:
            await sftp.put(str(sent), "file.bin")
            await sftp.get("file.bin", str(tmp_path / "back.bin"))

    connected(shared, "async7", keys("async7"), work, rekey_bytes=1_000_000)
    assert sha256(tmp_path / "back.bin") == sha256(sent)
