"""A machine for one test: this system's own files below a scratch layer, with namespaces of its own and, where a test asks
for it, systemd as its first process. Nothing of what happens there is left behind."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from peers import until

LAYERED = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root="$1/root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
ip link set lo up
# It is thrown away: nothing has to reach the disk.
echo force-unsafe-io > "$root/etc/dpkg/dpkg.cfg.d/unsafe"
"""

# As in a container: nothing of the kernel can be changed from inside, and nothing of this system's own units is wanted.
SYSTEMD = LAYERED + r"""
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -o remount,ro "$root/sys"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
rm -rf "$root"/etc/systemd/system/*.wants "$root/etc/fstab" "$root/usr/sbin/policy-rc.d"
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n' > "$root/etc/systemd/system/bare.target"
# systemd moves credentials to where they belong through a mount that is shared, as it is outside of containers.
mount --make-rshared "$root"
exec chroot "$root" /usr/bin/setpriv --bounding-set -sys_module,-sys_time,-sys_boot,-sys_rawio,-syslog,-mac_admin,-mknod \
    /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=bare.target --log-target=null --show-status=0
"""

IDLE = LAYERED + r"""
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sleep infinity
"""


class Machine:
    """Namespaces with a first process of their own."""

    def __init__(self, systemd):
        self.folder = Path(tempfile.mkdtemp(prefix="gatehouse-machine-", dir="/var/tmp"))
        self.systemd = systemd
        self.process = None

    def __enter__(self):
        # It ends with the tests, also if those are cut off.
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words += ["--cgroup", "--ipc", "--uts", "--net", "/bin/sh", "-c"]
        log = (self.folder.with_suffix(".log")).open("wb")
        self.process = subprocess.Popen(
            [*words, SYSTEMD if self.systemd else IDLE, "sh", str(self.folder)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        log.close()
        wanted = "systemd" if self.systemd else "sleep"
        until("the machine has its first process", lambda: self.first(wanted))
        if self.systemd:
            until("systemd answers", lambda: self.run("systemctl", "is-system-running", check=False).stdout.strip()
                  in ("running", "degraded", "starting"))
        return self

    def first(self, wanted):
        """The number of its first process, as we see it."""
        if self.process.poll() is not None:
            text = self.folder.with_suffix(".log").read_text(errors="replace")
            pytest.fail(f"the machine did not start: {text}")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in children:
            if Path(f"/proc/{pid}/comm").read_text().strip() == wanted:
                return int(pid)
        return None

    def __exit__(self, *_):
        pid = self.first("systemd" if self.systemd else "sleep")
        if pid:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_suffix(".log").unlink(missing_ok=True)

    def bring(self, path):
        """Copies a file into it; gives the path there."""
        pid = self.first("systemd" if self.systemd else "sleep")
        shutil.copy(path, f"/proc/{pid}/root/tmp/{path.name}")
        return f"/tmp/{path.name}"

    def run(self, *words, check=True, limit=120, user=None, env=(), text=None):
        """A command in it, by its super-user or another."""
        pid = self.first("systemd" if self.systemd else "sleep")
        enter = ["nsenter", "--target", str(pid), "--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup", "--root", "--wd=/"]
        who = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"] if user else []
        variables = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", *env]
        done = subprocess.run(
            [*enter, "env", "-i", *variables, *who, *words], capture_output=True, text=True, timeout=limit,
            **({"input": text} if text is not None else {"stdin": subprocess.DEVNULL}),
        )
        if check and done.returncode != 0:
            log = self.run("journalctl", "--no-pager", "-n", "30", check=False).stdout if self.systemd else ""
            pytest.fail(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}{log}")
        return done


def machine(systemd=True):
    """A machine, or the reason why there can be none here."""
    probe = ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--net", "true"]
    if os.getuid() != 0 or subprocess.run(probe, capture_output=True, timeout=30).returncode != 0:
        pytest.skip("no namespaces for this user here: the package is not installed for real")
    return Machine(systemd)
