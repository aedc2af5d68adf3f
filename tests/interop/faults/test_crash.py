"""A gateway that crashes with secrets in its memory leaves none of them behind (STO-8): no core file, whatever the limit."""

import os
import resource
import signal
import subprocess

import pytest

from gateway import Gateway

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
PASSWORD = "a-password-that-nobody-must-find"


def run_in(folder, words, **more):
    """Starts a program whose core file would be written, and into that folder."""
    folder.mkdir(exist_ok=True)
    limit = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    return subprocess.Popen(words, cwd=folder, preexec_fn=limit, stdin=subprocess.DEVNULL, **more)


def crash(process, how):
    """Ends that process as a fault would. True if the system made a core file of it."""
    process.send_signal(how)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -how
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == how, status
    return os.WCOREDUMP(status)


def raise_limit(process):
    """As root the limit can be taken away from outside. Our second bar must then do."""
    try:
        resource.prlimit(process.pid, resource.RLIMIT_CORE, UNLIMITED)
    except PermissionError:
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGABRT, signal.SIGILL], ids=["abort", "illegal instruction"])
def test_a_crash_leaves_no_core_file_with_secrets(tmp_path, how):
    gateway = Gateway(tmp_path / "gateway")
    words = [gateway.program, "serve", "--data", str(gateway.data)]
    place = tmp_path / "place"
    with gateway.log_file.open("ab") as log:
        gateway.adopt(run_in(place, words, stdout=log, stderr=log, env=gateway.environment()))
    key = gateway.own_key()
    gateway.partner("alice", password=PASSWORD)
    limits = open(f"/proc/{gateway.process.pid}/limits", encoding="ascii").read()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    raised = raise_limit(gateway.process)
    dumped = crash(gateway.process, how)
    gateway.process = None
    assert not dumped
    assert list(place.iterdir()) == []
    # The same fault of another program, under the same limit: there the system makes one, where it does at all.
    other = run_in(tmp_path / "other", ["sleep", "60"])
    if raised:
        assert raise_limit(other)
    assert crash(other, how) or not core_files_are_made(), "the system makes core files, but none of that"
    # Nor is any of it in clear in what stays: data and log. The lines of an Ed25519 file behind the first hold the private part.
    private = key.path.read_text().splitlines()[2:-1]
    left = [file.read_bytes() for file in [gateway.log_file, *gateway.data.rglob("*")] if file.is_file()]
    for secret in [PASSWORD, *private]:
        assert left and not any(secret.encode() in octets for octets in left)
    # It starts again, with what it had.
    gateway.start()
    assert "OWN" in gateway.run("secdsp", "display_key", "OWN").stdout
    assert gateway.stop() == 0


def core_files_are_made():
    """False where the hard limit is 0, or the system names no place for them."""
    pattern = open("/proc/sys/kernel/core_pattern", encoding="ascii").read().strip()
    return bool(pattern) and not pattern.startswith("|") and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0
