"""The Debian package and the unit, for real: built, installed, run under systemd, upgraded, removed (docs/manual/install.md).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from machine import machine
from manual.pages import Page
from peers import need, until

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "packaging" / "systemd" / "gatehouse.service"
DATA = "/var/lib/gatehouse"
KEY = "/tmp/alice_key"
# What `systemd-analyze security` may say at most; 10 is the worst.
EXPOSURE_MAX = 2.0


def build(folder, version):
    words = [os.environ["GATEHOUSE_XTASK"], "deb", "--program", os.environ["GATEHOUSE_PROGRAM"], "--output", str(folder)]
    done = subprocess.run([*words, "--version", version, "--fast"], capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob(f"gatehouse_{version}_*.deb"))


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The package, and one of the next version."""
    if "GATEHOUSE_XTASK" not in os.environ:
        pytest.fail("GATEHOUSE_XTASK names no program: run this by cargo xtask interop")
    return [build(tmp_path_factory.mktemp("deb"), version) for version in ("0.1.0", "0.1.1")]


def test_the_unit_is_sound_and_tight(tmp_path):
    # Issue: hardening
    probe = tmp_path / "gatehouse.service"
    probe.write_text(UNIT.read_text().replace("/usr/bin/gatehouse", "/bin/true"))
    done = subprocess.run([need("systemd-analyze"), "verify", "--man=no", str(probe)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--json=short", str(probe)]
    rows = json.loads(subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout)
    open_rights = {row["json_field"] for row in rows if row["set"] is False and row["exposure"]}
    assert "MemoryDenyWriteExecute" not in open_rights
    told = subprocess.run([*words[:4], str(probe)], capture_output=True, text=True, timeout=60, check=True).stdout
    exposure = float(next(line for line in told.splitlines() if "Overall exposure" in line).split(":")[1].split()[0])
    assert exposure <= EXPOSURE_MAX, told


@pytest.mark.timeout(900)  # it takes its time on a busy machine
def test_lintian_finds_nothing(packages):
    # Issue: lintian clean
    words = [need("lintian"), "--fail-on", "error,warning", "--no-cfg", "--allow-root", str(packages[0])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_in_the_package(packages):
    listed = subprocess.run(["dpkg-deb", "--contents", str(packages[0])], capture_output=True, text=True, timeout=60, check=True)
    lines = [line.split(None, 5) for line in listed.stdout.splitlines()]
    names = {line[5].removeprefix(".").split(" -> ")[0]: line for line in lines}
    for name in (
        "/usr/bin/gatehouse", "/usr/bin/secadm", "/usr/share/man/man1/secadm.1.gz", "/usr/share/man/man8/gatehouse-serve.8.gz",
        "/usr/share/man/man5/gatehouse.toml.5.gz", "/usr/share/zsh/vendor-completions/_gatehouse",
        "/usr/share/bash-completion/completions/peladm", "/etc/gatehouse/gatehouse.toml",
        "/lib/systemd/system/gatehouse.service", "/usr/lib/sysusers.d/gatehouse.conf", "/usr/share/doc/gatehouse/copyright",
    ):
        assert name in names, name
    assert {line[1] for line in lines} == {"root/root"}
    assert not any("w" in line[0][4:] for line in lines if not line[0].startswith("l")), "nobody else may write"
    fields = subprocess.run(["dpkg-deb", "--field", str(packages[0]), "Depends"], capture_output=True, text=True, check=True)
    assert "libc6 (>= " in fields.stdout and "systemd" in fields.stdout


def active(system):
    return system.run("systemctl", "is-active", "gatehouse", check=False).stdout.strip()


def status_text(system):
    return system.run("systemctl", "show", "-p", "StatusText", "--value", "gatehouse").stdout.strip()


def main_pid(system):
    return int(system.run("systemctl", "show", "-p", "MainPID", "--value", "gatehouse").stdout)


@pytest.mark.timeout(600)  # three installations, and a watchdog that has to run out
def test_installed_started_upgraded_removed_purged(packages):
    # Issue: package and unit; every command of docs/manual/install.md about the package
    with machine() as system:
        system.run("dpkg", "--install", system.bring(packages[0]))
        until("systemd says it is active", lambda: active(system) == "active")
        assert status_text(system) == "ready: 0 listeners, 0 sessions"
        assert system.run("stat", "-c", "%U:%G %a", DATA).stdout.strip() == "gatehouse:gatehouse 700"
        assert system.run("systemctl", "is-enabled", "gatehouse").stdout.strip() == "enabled"
        # Closed by default: nothing but the loopback port of health and metrics.
        ports = system.run("ss", "-Hltn").stdout.split()
        assert [word for word in ports if ":" in word and not word.endswith(":*")] == ["127.0.0.1:9464"]
        # Commands of the super-user reach it, with no option, and leave nothing of theirs in the folder.
        for words in Page("install.md").commands()[:2]:
            system.run(*words)
        assert system.run("gatehouse", "health").stdout == "ready\n"
        add_partner(system)
        # Ports below 1024, by the one capability it has.
        until("port 22 is served", lambda: ":22" in system.run("ss", "-Hltn").stdout)
        put(system, "before.txt")
        assert system.run("find", DATA, "!", "-user", "gatehouse").stdout == ""

        reload(system)
        watchdog(system)
        credential(system)

        # An upgrade keeps the data, the settings that were changed, and runs the new program.
        system.run("sh", "-c", "echo '# ours' >> /etc/gatehouse/gatehouse.toml")
        before = main_pid(system)
        system.run("dpkg", "--install", "--force-confold", system.bring(packages[1]))
        until("the new one is active", lambda: active(system) == "active" and main_pid(system) not in (0, before))
        assert "# ours" in system.run("cat", "/etc/gatehouse/gatehouse.toml").stdout
        put(system, "after.txt")
        listed = system.run("gatehouse", "peldsp", "status_trans").stdout
        assert "before.txt" in listed and "after.txt" in listed
        # Twice the same does no harm.
        system.run("dpkg", "--install", "--force-confold", system.bring(packages[1]))
        until("it is active again", lambda: active(system) == "active")

        system.run("dpkg", "--remove", "gatehouse")
        assert active(system) != "active" and system.run("test", "-e", "/usr/bin/secadm", check=False).returncode == 1
        assert system.run("test", "-f", f"{DATA}/gatehouse.db").returncode == 0
        kept = system.run("dpkg", "--purge", "gatehouse")
        assert "is kept" in kept.stderr and system.run("test", "-f", f"{DATA}/gatehouse.db").returncode == 0
        assert system.run("test", "-e", "/etc/gatehouse", check=False).returncode == 1
        # It comes back to its data.
        system.run("dpkg", "--install", system.bring(packages[1]))
        until("it is active once more", lambda: active(system) == "active")
        assert "before.txt" in system.run("gatehouse", "peldsp", "status_trans").stdout
        system.run("dpkg", "--purge", "gatehouse", env=["GATEHOUSE_PURGE_DATA=yes"])
        assert system.run("test", "-e", DATA, check=False).returncode == 1


def add_partner(system):
    system.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", KEY)
    for words in (
        "secadm create_netprof -nprof_name SFTP -security_option SSH -dest_address */22 -sprof_name SFTP_IN",
        "gatehouse listener add SFTP -address :: -port 22",
        f"secadm import_key -name ALICE_KEY -file_name {KEY}.pub",
        "vfdadm create_dir -dir_name /alice",
        "peladm create_site -alias alice -check_login_ident alice",
        "peladm create_cgategroup -name PARTNERS",
        "peladm create_cgate -name ALICE -cgategroup PARTNERS -login_user alice -home_dir /alice -root_dir /alice"
        " -vfd_right /alice:*:RWD:LCR:Y -remote_public_key_alias ALICE_KEY",
    ):
        system.run(*words.split())


def sftp(system, host, lines):
    words = ["sftp", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
    system.run(*words, "-i", KEY, "-b", "-", f"alice@[{host}]", text=lines)


def put(system, name):
    system.run("sh", "-c", f"echo a line > /tmp/{name}")
    sftp(system, "localhost", f"put /tmp/{name}\n")


def reload(system):
    """`systemctl reload` waits until the gateway says that it is ready again."""
    system.run("sh", "-c", "printf '[log]\\nlevel = \"debug\"\\n' > /etc/gatehouse/gatehouse.toml")
    before = main_pid(system)
    system.run("systemctl", "reload", "gatehouse")
    assert active(system) == "active" and main_pid(system) == before


def watchdog(system):
    """A process that stands still is ended and started anew."""
    folder = "/etc/systemd/system/gatehouse.service.d"
    system.run("mkdir", "-p", folder)
    # Started again at once: nobody waits here.
    system.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=2s\\nRestartSec=0\\n' > {folder}/soon.conf")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "restart", "gatehouse")
    before = main_pid(system)
    system.run("kill", "-STOP", str(before))
    until("systemd has started it anew", lambda: active(system) == "active" and main_pid(system) not in (0, before), limit=60)
    assert system.run("systemctl", "show", "-p", "NRestarts", "--value", "gatehouse").stdout.strip() == "1"
    system.run("rm", f"{folder}/soon.conf")
    system.run("systemctl", "daemon-reload")


def credential(system):
    """The master key moves from the data folder into a sealed credential, by the commands of the manual."""
    told = [line for line in Page("install.md").lines() if line.startswith(("systemctl st", "install -d -m 0700 /etc", "systemd-creds"))]
    assert len(told) == 4, told
    for line in told:
        system.run("sh", "-c", line)
    system.run("rm", f"{DATA}/master.key")
    system.run("systemctl", "restart", "gatehouse")
    put(system, "credential.txt")
    assert system.run("test", "-e", f"{DATA}/master.key", check=False).returncode == 1
    assert "handed over" in system.run("gatehouse", "master", "rotate", check=False).stderr


def test_sockets_of_systemd(packages):
    # Issue: socket activation, by the example of the package
    with machine() as system:
        system.run("dpkg", "--install", system.bring(packages[0]))
        until("systemd says it is active", lambda: active(system) == "active")
        system.run("systemctl", "stop", "gatehouse")
        system.run("cp", "/usr/share/doc/gatehouse/examples/gatehouse.socket", "/etc/systemd/system/")
        system.run("systemctl", "daemon-reload")
        system.run("systemctl", "start", "gatehouse.socket")
        system.run("systemctl", "start", "gatehouse")
        add_partner(system)
        for host in ("127.0.0.1", "::1"):
            sftp(system, host, "ls\n")
        # A restart keeps the ports open: a call that comes meanwhile waits.
        system.run("systemctl", "restart", "gatehouse")
        put(system, "a.txt")
