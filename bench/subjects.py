"""What is measured: an OpenSSH server, and the gateway in its forms. Each is started once and asked again and again."""

import contextlib
import os
from pathlib import Path

from gateway import Gateway
from peers import Key, OpenSsh, Sshd

CIPHER = "aes128-gcm@openssh.com"


class Subject:
    """A running server with one login."""

    def __init__(self, name, pid, port, login, key, folder):
        self.name, self.pid, self.port, self.login, self.key = name, pid, port, login, key
        self.folder, self.turn = folder, 0
        self.client = OpenSsh(folder / "client", port, login, key)
        self.is_gateway = name.startswith("gateway")

    def sftp(self, *lines, options=(), limit=600):
        return self.client.sftp(*lines, options=["-c", CIPHER, "-q", *options], limit=limit)

    def fresh_name(self):
        """A file name that was not used before, so that no server only writes over what it has."""
        self.turn += 1
        return f"file{self.turn}.bin"

    def rest(self):
        """Puts what the server wrote on disk and gives its page cache back, so that the next upload finds memory that
        the machine already has: a virtual machine pays dearly for memory that it touches for the first time."""
        for path in self.folder.rglob("*"):
            if path.is_file() and path.stat().st_size >= 1 << 20 and not path.name.startswith("gatehouse.db"):
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    # --- CPU and memory, from /proc

    def cpu_s(self):
        """Seconds of CPU so far, of the server and of its children that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = sum(int(field) for field in fields[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def processes(self):
        """The server and all that stem from it."""
        parents = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = path.read_text().rsplit(")", 1)[1].split()
                parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
        found, ahead = [], [self.pid]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            ahead += parents.get(pid, [])
        return found

    def memory_kib(self):
        """Proportional memory of all its processes."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total

    def resident_kib(self):
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


@contextlib.contextmanager
def open_subjects(names, scratch):
    """Starts the named subjects, the peer first, and stops them at the end."""
    scratch.mkdir(parents=True)
    key = Key(scratch / "user")
    with contextlib.ExitStack() as stack:
        yield [SUBJECTS[name](name, scratch / name.replace(" ", "_"), key, stack) for name in names]


def sshd(name, folder, key, stack):
    folder.mkdir()
    server = stack.enter_context(Sshd(folder, [key]))
    return Subject(name, server.process.pid, server.port, server.login, key, folder)


def gateway(settings):
    def start(name, folder, key, stack):
        server = stack.enter_context(Gateway(folder, settings))
        server.partner("bench", key=key, settle_s=0)
        return Subject(name, server.process.pid, server.port("key"), "bench", key, folder)

    return start


SUBJECTS = {
    "sshd": sshd,
    "gateway": gateway('[log]\nlevel = "warn"\n'),
    "gateway plain": gateway('[log]\nlevel = "warn"\n[store]\nseal = false\nhash = false\n'),
}
