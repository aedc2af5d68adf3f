"""The gateway as a service: what it tells its manager, what it takes from it."""

import os
import shutil
import signal
import socket
import subprocess

import pytest

from gateway import Gateway
from manager import connection_is_closed
from peers import OpenSsh, free_port, listens, make_file, sha256, until


@pytest.fixture
def service(tmp_path):
    """A gateway that is not started yet."""
    gateway = Gateway(tmp_path / "gateway")
    yield gateway
    if gateway.process:
        assert gateway.stop() == 0, gateway.log()[-3000:]


def test_ready_reload_stop_and_watchdog(service, managed):
    # Issue: notify, watchdog
    managed.variables["WATCHDOG_USEC"] = "600000"
    managed.start(service)
    told = managed.receiver
    at = told.wait_for("READY", "1")
    assert service.is_ready() and told.messages[at - 1]["STATUS"] == "ready: 0 listeners, 0 sessions"
    # Both tasks went round between two of these.
    until("it says that it lives, again and again", lambda: told.count("WATCHDOG") >= 4)
    assert "makes no progress" not in service.log()

    settings = service.data / "gatehouse.toml"
    before = settings.read_text()
    settings.write_text(before + '[log]\nlevel = "debug"\n')
    service.process.send_signal(signal.SIGHUP)
    at = told.wait_for("RELOADING", "1", at)
    assert int(told.messages[at - 1]["MONOTONIC_USEC"]) > 0
    at = told.wait_for("READY", "1", at)
    assert "settings read anew" in service.log()
    settings.write_text(before + "[no_such_section]\n")
    service.process.send_signal(signal.SIGHUP)
    at = told.wait_for("READY", "1", told.wait_for("RELOADING", "1", at))
    until("the wrong file is told", lambda: "the settings are not taken over" in service.log())
    assert service.is_ready(), "a wrong settings file ends nothing"
    settings.write_text(before)

    service.process.send_signal(signal.SIGTERM)
    told.wait_for("STOPPING", "1", at)
    assert service.process.wait(timeout=30) == 0
    service.process = None


def test_a_watchdog_that_is_meant_for_another_process_is_left_alone(service, managed):
    managed.variables |= {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}
    managed.start(service)
    managed.receiver.wait_for("READY", "1")
    service.port("key")
    assert managed.receiver.count("WATCHDOG") == 0


def test_sockets_that_are_handed_over(service, managed, keys, tmp_path):
    # Issue: socket activation, names matched to listener objects
    ours, loose = managed.socket("sftp_key"), managed.socket("NOBODY")
    six = managed.socket("sftp_key", "::1", socket.AF_INET6) if socket.has_ipv6 else None
    managed.start(service)
    managed.receiver.wait_for("READY", "1")
    assert connection_is_closed("127.0.0.1", ours), "no listener of that name yet"
    assert connection_is_closed("127.0.0.1", loose)

    # A listener that has a socket does not bind its own port; one that has none does.
    bound, own = service.port("password"), free_port()
    methods = ["-type", "SERVER", "-private_key_alias", "HOST", "-client_auth_methods", "PUBLIC_KEY"]
    service.run("secadm", "create_sshprof", "-sshprof_name", "SFTP_KEY", *methods)
    profile = ["-security_option", "SSH", "-org_address", "*/*", "-sprof_name", "SFTP_KEY"]
    for port in (ours, six):
        if port:
            name = f"HANDED{port}"
            service.run("secadm", "create_netprof", "-nprof_name", name, "-dest_address", f"*/{port}", *profile)
    service.run("listener", "add", "-name", "SFTP_KEY", "-address", "127.0.0.1", "-port", str(own))
    service.ports["key"] = ours
    until("the listener has the socket", lambda: "listening on the socket handed over" in service.log())
    assert not listens(own) and listens(bound)
    key = keys("alpha")
    service.partner("alpha", key=key)
    sent = make_file(tmp_path / "a.bin", 100_000)
    OpenSsh(tmp_path / "client", ours, "alpha", key).sftp(f"put {sent} a.bin")
    assert service.received("alpha", "a.bin")["sha256"] == sha256(sent)
    assert six is None or not connection_is_closed("::1", six, socket.AF_INET6), "both sockets of that name"
    assert "the socket has another port than the object says" in service.log()

    # Disabled: the system still takes the call, and it is closed at once; enabled, it is served again.
    service.run("listener", "disable", "SFTP_KEY")
    until("it turns callers away", lambda: connection_is_closed("127.0.0.1", ours))
    service.run("listener", "enable", "SFTP_KEY")
    until("it serves again", lambda: not connection_is_closed("127.0.0.1", ours))
    OpenSsh(tmp_path / "again", ours, "alpha", key).sftp("ls -l")
    assert managed.receiver.all()[-1], "it still talks to its manager"
    assert inherited(service.process.pid) == [], "programs that it starts get none of them"


def inherited(pid):
    """Sockets of a process that a program started by it would have as well."""
    open_for_others = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        flags = next(
            line.split()[1] for line in open(f"/proc/{pid}/fdinfo/{number}", encoding="utf-8") if line.startswith("flags:")
        )
        if int(number) > 2 and not int(flags, 8) & os.O_CLOEXEC and "socket" in os.readlink(f"/proc/{pid}/fd/{number}"):
            open_for_others.append(number)
    return open_for_others


def test_log_lines_for_the_journal(service, managed):
    # Issue: log to the journal; systemd.exec(5), JOURNAL_STREAM
    service.log_file.touch()
    about = service.log_file.stat()
    managed.variables["JOURNAL_STREAM"] = f"{about.st_dev}:{about.st_ino}"
    managed.start(service)
    managed.receiver.wait_for("READY", "1")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=30) == 0
    managed.variables["JOURNAL_STREAM"] = f"{about.st_dev}:1"
    lines = service.log().splitlines()
    assert all(line.startswith(("<3>", "<4>", "<6>", "<7>")) for line in lines), lines
    assert any(line.startswith("<6> INFO") and "gateway is ready" in line for line in lines), "without a time of its own"
    # Redirected by somebody in between: this is no journal.
    managed.start(service)
    managed.receiver.wait_for("READY", "1", len(managed.receiver.all()))
    assert not service.log().splitlines()[-1].startswith("<")


def test_the_master_key_may_be_a_credential(service, managed, tmp_path):
    # Issue: credentials; STO-7
    service.start()
    service.partner("alpha", password="open sesame")
    service.stop()
    store = tmp_path / "credentials"
    store.mkdir(mode=0o700)
    shutil.move(service.data / "master.key", store / "gatehouse.master")
    alone = service.run("check", check=False)
    assert alone.returncode == 1 and "gatehouse.master" in alone.stderr
    managed.variables["CREDENTIALS_DIRECTORY"] = str(store)
    managed.start(service)
    managed.receiver.wait_for("READY", "1")
    assert not (service.data / "master.key").exists()
    OpenSsh(tmp_path / "client", service.port("password"), "alpha", password="open sesame").sftp("ls")
    words = tmp_path / "words"
    words.write_text("four words in a row\n")
    service.run("backup", "escrow", str(tmp_path / "escrow"), "-passphrase_from_file", str(words))
    refused = service.run("master", "rotate", check=False)
    assert refused.returncode == 1 and "handed over" in refused.stderr
    service.stop()
    # Another key beside it is not guessed about.
    other = Gateway(tmp_path / "other")
    with other:
        pass
    shutil.copy(other.data / "master.key", service.data / "master.key")
    words = [service.program, "serve", "--data", str(service.data)]
    env = service.environment() | managed.variables
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "keep the one that the database needs" in done.stderr
    (service.data / "master.key").unlink()


def test_health_by_exit_code(service):
    # Issue: a health check for containers
    assert service.run("health", check=False).returncode == 1
    service.start()
    done = service.run("health")
    assert done.stdout == "ready\n" and service.run("health", "--live").stdout == "alive\n"
    service.stop()
    done = service.run("health", "-metrics", f"127.0.0.1:{service.observed}", check=False)
    assert done.returncode == 1 and "does not answer" in done.stderr
