"""IPv6 and both families: real clients and servers over ::1, and what patterns and explanations say about them."""

import socket
import subprocess

import pytest

from gateway import Gateway
from peers import HOST, Key, OpenSsh, Sshd, free_port, make_file, need, sha256, until

SIX = "::1"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind((SIX, 0))
        return True
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6: nothing listens on ::1")


def answers(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(5)
        try:
            probe.connect((host, port))
            return probe.recv(4) == b"SSH-"
        except OSError:
            return False


class Client(OpenSsh):
    """An OpenSSH client that calls another address than the usual one."""

    host = HOST

    def target(self):
        return f"{self.login}@[{self.host}]" if ":" in self.host else f"{self.login}@{self.host}"


@pytest.fixture
def dual(fresh, keys):
    """A listener on all addresses of both families, and partner ALPHA, who may call from one IPv4 address only."""
    port = free_port()
    fresh.partner("alpha", key=keys("alpha"))
    fresh.run("secadm", "create_netprof", "-nprof_name", "DUAL", "-security_option", "SSH", "-dest_address", f"*/{port}",
              "-org_address", "*/*", "-sprof_name", "SFTP_KEY")
    fresh.run("listener", "add", "DUAL", "-address", "::", "-port", str(port))
    until("it listens", lambda: answers(SIX, port))
    return fresh, port


def client(folder, port, login, key, host):
    made = Client(folder, port, login, key)
    made.host = host
    return made


def test_one_listener_for_both_families(dual, keys, tmp_path):
    # NET-8; issue: IPv6 and dual stack
    gateway, port = dual
    for host in (SIX, HOST):
        name = f"from{len(host)}.bin"
        sent = make_file(tmp_path / name, 200_000)
        client(tmp_path / name[:-4], port, "alpha", keys("alpha"), host).sftp(f"put {sent} {name}")
        assert gateway.received("alpha", name)["sha256"] == sha256(sent)
    # The same port, IPv6 only.
    gateway.run("listener", "update", "DUAL", "-ipv6_only", "Y")
    until("IPv4 is refused", lambda: not answers(HOST, port))
    until("IPv6 is served", lambda: answers(SIX, port))


def test_an_ipv4_pattern_fits_a_caller_on_a_socket_of_both_families(dual, keys, tmp_path):
    # NET-8: a gate's IPv4 pattern matches a v4-mapped peer, and no IPv6 one
    gateway, port = dual
    gateway.run("peladm", "update_cgate", "-name", "G_ALPHA", "-calling_addr", "127.0.0.*:A")
    client(tmp_path / "four", port, "alpha", keys("alpha"), HOST).sftp("ls")
    assert client(tmp_path / "six", port, "alpha", keys("alpha"), SIX).sftp("ls", check=False).returncode != 0
    gateway.run("peladm", "update_cgate", "-name", "G_ALPHA", "-calling_addr", "::1:A")
    client(tmp_path / "six2", port, "alpha", keys("alpha"), SIX).sftp("ls")
    assert client(tmp_path / "four2", port, "alpha", keys("alpha"), HOST).sftp("ls", check=False).returncode != 0
    gateway.run("peladm", "update_cgate", "-name", "G_ALPHA", "-calling_addr", "::ffff:127.0.0.1:A")
    client(tmp_path / "four3", port, "alpha", keys("alpha"), HOST).sftp("ls")


def test_explain_inbound_says_the_same_as_a_connection(dual):
    gateway, port = dual
    gateway.run("peladm", "update_cgate", "-name", "G_ALPHA", "-calling_addr", "127.0.0.*:A")

    def explained(peer, local):
        return gateway.run("explain", "inbound", "-peer", peer, "-local", local, "-login", "alpha").stdout

    mapped = explained("[::ffff:127.0.0.1]:40000", f"[::ffff:127.0.0.1]:{port}")
    assert mapped == explained("127.0.0.1:40000", f"127.0.0.1:{port}") and "=> gate G_ALPHA" in mapped
    assert "=> refused" in explained("[2001:db8::7]:40000", f"[2001:db8::1]:{port}")
    assert "network profile DUAL" in explained("[fe80::7%eth0]:40000", f"[fe80::1%eth0]:{port}")
    wrong = gateway.run("explain", "inbound", "-peer", "2001:db8::7:40000", "-local", f"[::1]:{port}", check=False)
    assert wrong.returncode == 2 and "[ADDRESS]:PORT" in wrong.stderr


def test_listeners_that_take_the_same_connections_are_refused(dual):
    gateway, port = dual
    four = ["listener", "add", "FOUR", "-address", "0.0.0.0", "-port", str(port)]
    told = gateway.run(*four, check=False)
    assert told.returncode == 1 and "DUAL listens there too" in told.stderr
    gateway.run("listener", "update", "DUAL", "-ipv6_only", "Y")
    gateway.run(*four)
    until("each family has its listener", lambda: answers(HOST, port) and answers(SIX, port))


def test_delivery_to_an_ipv6_address_and_to_a_name_with_both(fresh, keys, tmp_path):
    # Issue: outgoing with both families
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    with Sshd(tmp_path / "bravo", [fresh.own_key()], extra=[f"ListenAddress {SIX}"]) as bravo:
        fresh.remote("bravo", bravo, retry_s=1)
        fresh.route("alpha", "bravo")
        for address in (f"{SIX}/{bravo.port}", f"localhost/{bravo.port}"):
            fresh.run("peladm", "update_site", "-alias", "bravo", "-dest_address", address)
            name = f"to{len(address)}.bin"
            sent = make_file(tmp_path / name, 100_000)
            OpenSsh(tmp_path / name[:-4], fresh.port("key"), "alpha", keys("alpha")).sftp(f"put {sent} {name}")
            until("it is there", lambda: (bravo.files / name).exists() and sha256(bravo.files / name) == sha256(sent))


def link_local():
    """An address of this machine that is good on one link only, with its interface."""
    shown = subprocess.run([need("ip"), "-6", "-o", "addr", "show", "scope", "link"], capture_output=True, text=True, timeout=10)
    for line in shown.stdout.splitlines():
        words = line.split()
        if "tentative" not in words:
            return words[3].split("/")[0], words[1]
    return None


def test_a_link_local_address_names_its_interface(fresh, keys, tmp_path):
    # RFC 4007 section 11
    found = link_local()
    if not found:
        pytest.skip("no interface of this machine has a link-local address")
    address, zone = found
    fresh.partner("alpha", key=keys("alpha"))
    port = free_port()
    fresh.run("secadm", "create_netprof", "-nprof_name", "LINK", "-security_option", "SSH", "-dest_address", f"fe80::/10/{port}",
              "-org_address", "*/*", "-sprof_name", "SFTP_KEY")
    fresh.run("listener", "add", "LINK", "-address", f"{address}%{zone}", "-port", str(port))
    until("it listens", lambda: f"{port}" in fresh.log() and "listening" in fresh.log())
    made = client(tmp_path / "link", port, "alpha", keys("alpha"), f"{address}%{zone}")
    made.sftp("ls")
    with Sshd(tmp_path / "bravo", [fresh.own_key()], extra=[f"ListenAddress {address}%{zone}"]) as bravo:
        fresh.remote("bravo", bravo, retry_s=1)
        fresh.run("peladm", "update_site", "-alias", "bravo", "-dest_address", f"{address}%{zone}/{bravo.port}")
        fresh.route("alpha", "bravo")
        made.sftp(f"put {make_file(tmp_path / 'a.bin', 50_000)} a.bin")
        until("it is there", lambda: (bravo.files / "a.bin").exists())
    fresh.run("listener", "update", "LINK", "-address", f"{address}%nosuchif0")
    until("it says why it cannot", lambda: "cannot listen" in fresh.log())
    refused = fresh.run("listener", "add", "ODD", "-address", "2001:db8::1%eth0", "-port", str(free_port()), check=False)
    assert refused.returncode == 1 and "no IP address" in refused.stderr
