"""What OpenSSH's ssh may not do here: anything but the sftp subsystem."""

import socket
import subprocess

import pytest

from peers import HOST, free_port, need, until


@pytest.mark.parametrize(
    "words",
    [["-T"], ["-tt"], ["id"], ["-s", "shell"], ["-s", "netconf"], ["scp -t ."], ["internal-sftp"], ["/usr/lib/sftp-server"]],
    ids=["shell", "terminal", "exec", "subsystem", "netconf", "scp", "exec-sftp", "path"],
)
def test_nothing_but_sftp(shared, client, keys, words):
    # SFTP-15, SSH-31
    shared.partner("prying", key=keys("prying"))
    ssh = client(shared, "prying", keys("prying"))
    options = [word for word in words if word.startswith("-")]
    command = [word for word in words if not word.startswith("-")]
    done = ssh.ssh(*options, ssh.target(), *command)
    assert done.returncode != 0
    assert "uid=" not in done.stdout


def test_no_forwarding_to_the_inside(shared, client, keys):
    # SFTP-15: a direct-tcpip channel is refused
    shared.partner("tunnel", key=keys("tunnel"))
    ssh = client(shared, "tunnel", keys("tunnel"))
    with socket.socket() as inside:
        inside.bind((HOST, 0))
        inside.listen()
        inside.settimeout(2)
        target = f"{HOST}:{inside.getsockname()[1]}"
        done = ssh.ssh("-W", target, ssh.target())
        assert done.returncode != 0
        with pytest.raises(TimeoutError):
            inside.accept()


def test_no_forwarding_to_the_outside(shared, client, keys):
    # SFTP-15: tcpip-forward is refused
    shared.partner("tunnel2", key=keys("tunnel2"))
    ssh = client(shared, "tunnel2", keys("tunnel2"))
    port = free_port()
    forward = ["-o", "ExitOnForwardFailure=yes", "-N", "-R", f"{port}:{HOST}:9"]
    done = ssh.ssh(*forward, ssh.target())
    assert done.returncode != 0


def test_an_agent_is_not_asked(shared, client, keys):
    # SFTP-15
    shared.partner("agent", key=keys("agent"))
    ssh = client(shared, "agent", keys("agent"))
    done = ssh.ssh("-A", ssh.target(), "-s", "sftp")
    assert "agent" not in done.stderr.lower()


def test_a_session_of_another_profile_has_no_banner(shared):
    # NET-1, SSH-1: no network profile, so the connection closes before any octet
    port = shared.bare_listener()
    with socket.create_connection((HOST, port), timeout=10) as raw:
        raw.settimeout(10)
        assert raw.recv(100) == b""


def test_many_sessions_of_one_partner(shared, client, keys):
    # TRF-8: twenty at once, all served
    shared.partner("crowd", key=keys("crowd"))
    made = client(shared, "crowd", keys("crowd"))
    command = [*made.sftp_command("-b", "/dev/null"), made.target()]
    runs = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=made.environment())
        for _ in range(20)
    ]
    assert [run.wait(timeout=60) for run in runs] == [0] * 20
    until("all sessions are over", lambda: not shared.sessions())
    assert need("sftp")
