"""Clients that do not speak SSH well, or not at all: none may harm the others."""

import os
import socket
import struct
import time

import pytest

from peers import HOST, make_file, sha256, until

MEGABYTE = 1 << 20


def connect(port):
    raw = socket.create_connection((HOST, port), timeout=20)
    raw.settimeout(20)
    return raw


def still_serves(gateway, client, keys, tmp_path, login):
    """The proof that nothing is broken: a good client is served at once."""
    sent = make_file(tmp_path / f"{login}.bin", 50_000)
    client(gateway, login, keys(login)).sftp(f"put {sent} after.bin", limit=30)
    assert gateway.received(login, "after.bin")["sha256"] == sha256(sent)


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"SSH-1.5-old\r\n",
        b"SSH-2.0-x" + b"y" * 5000 + b"\r\n",
        b"A" * MEGABYTE,
        b"\0" * 100_000,
        b"SSH-2.0-x\r\n" + b"\xff" * 100_000,
        b"SSH-2.0-x\r\n" + struct.pack(">IB", 0x7FFFFFFF, 4) + b"z" * 70_000,
        b"SSH-2.0-x\r\n" + struct.pack(">IB", 12, 200) + b"z" * 1000,
    ],
    ids=["http", "tls", "ssh1", "long-banner", "letters", "zeros", "noise", "huge-packet", "bad-padding"],
)
def test_garbage(shared, client, keys, tmp_path, octets):
    # Issue: garbage instead of a banner
    shared.partner("steady", key=keys("steady"))
    with connect(shared.port("key")) as raw:
        try:
            raw.sendall(octets)
            while raw.recv(65536):
                pass
        except (ConnectionError, TimeoutError) as error:
            assert not isinstance(error, TimeoutError), "the gateway must end such a connection by itself"
    still_serves(shared, client, keys, tmp_path, "steady")


def test_half_open_connections(shared, client, keys, tmp_path):
    # Issue: half-open connections hold nothing that others need
    shared.partner("patient", key=keys("patient"))
    opened = [connect(shared.port("key")) for _ in range(5)]
    still_serves(shared, client, keys, tmp_path, "patient")
    for raw in opened:
        raw.close()


def test_a_storm_from_one_address(fresh, client, keys, tmp_path):
    # Issue: limited before the key exchange; those who are in stay in, and the door opens again
    fresh.partner("calm", key=keys("calm"))
    opened, turned_away = [], 0
    for _ in range(300):
        try:
            raw = connect(fresh.port("key"))
            raw.settimeout(0.3)
            try:
                turned_away += raw.recv(1) == b""
            except TimeoutError:
                pass
            opened.append(raw)
        except OSError:
            turned_away += 1
    assert turned_away > 0, "300 connections of one address that never log in were all let in"
    for raw in opened:
        raw.close()
    until("the door is open again", lambda: client(fresh, "calm", keys("calm")).sftp("pwd", check=False).returncode == 0)
    still_serves(fresh, client, keys, tmp_path, "calm")


def test_a_reader_that_stops(fresh, keys, tmp_path, client):
    # DESIGN 5.8: a client that asks for much and reads nothing does not fill the memory
    import paramiko

    fresh.partner("stopped", key=keys("stopped"))
    size = 64 * MEGABYTE
    sent = make_file(tmp_path / "big.bin", size)
    client(fresh, "stopped", keys("stopped")).sftp(f"put {sent} big.bin")
    before = fresh.resident_octets()
    transport = paramiko.Transport((HOST, fresh.port("key")))
    transport.connect(username="stopped", pkey=paramiko.Ed25519Key.from_private_key_file(str(keys("stopped").path)))
    channel = transport.open_session()
    channel.invoke_subsystem("sftp")
    channel.sendall(struct.pack(">IBI", 5, 1, 3))
    reply = channel.recv(4096)
    assert reply[4] == 2, "SSH_FXP_VERSION"
    name = b"big.bin"
    channel.sendall(struct.pack(">IBII", 17 + len(name), 3, 1, len(name)) + name + struct.pack(">II", 1, 0))
    answer = read_packet(channel, reply)
    length = struct.unpack(">I", answer[5:9])[0]
    handle = answer[9 : 9 + length]
    for i in range(256):
        body = struct.pack(">BII", 5, 2 + i, len(handle)) + handle + struct.pack(">QI", i * 262144, 262144)
        channel.sendall(struct.pack(">I", len(body)) + body)
    time.sleep(2)  # nothing is read: whatever the gateway wants to send, it must hold back
    assert fresh.resident_octets() - before < 32 * MEGABYTE
    transport.close()
    still_serves(fresh, client, keys, tmp_path, "stopped")


def read_packet(channel, first):
    """The next SFTP packet behind the VERSION packet, which may already be partly here."""
    length = struct.unpack(">I", first[:4])[0]
    data = first[4 + length :]
    while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
        data += channel.recv(65536)
    return data[4:]


@pytest.mark.parametrize("octets", [300, 40_000, MEGABYTE])
def test_user_names_of_any_length(shared, client, keys, tmp_path, octets):
    # Issue: 1 MiB user names
    import paramiko

    shared.partner("normal", key=keys("normal"))
    transport = paramiko.Transport((HOST, shared.port("password")))
    with pytest.raises((paramiko.SSHException, EOFError, OSError)):
        transport.connect(username="u" * octets, password="x")
    transport.close()
    still_serves(shared, client, keys, tmp_path, "normal")


def test_names_with_control_characters_do_not_reach_the_log(fresh, client, keys, tmp_path):
    # STYLE 9: text from peers is shown escaped
    fresh.partner("printer", key=keys("printer"))
    import paramiko

    transport = paramiko.Transport((HOST, fresh.port("password")))
    with pytest.raises((paramiko.SSHException, EOFError, OSError)):
        transport.connect(username="evil\x1b[31m\nFAKE LOG LINE", password="x")
    transport.close()
    still_serves(fresh, client, keys, tmp_path, "printer")
    log = fresh.log()
    assert "\x1b[31m" not in log
    assert not any(line.startswith("FAKE LOG LINE") for line in log.splitlines())
    assert os.path.exists(fresh.data)
