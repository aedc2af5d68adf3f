"""The database of a run: SQLite in its data folder, or a PostgreSQL of the lane, reached over a line that can break."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

from peers import HOST, free_port, until

TABLES = "transfer, transfer_step, payload, meta"


class Sqlite:
    """Everything is in the data folder; another program can hold the file."""

    name = "SQLite"

    def settings(self, run):
        return ""

    def locked(self, data, seconds):
        other = sqlite3.connect(data / "gatehouse.db", isolation_level=None, timeout=10)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.execute("ROLLBACK")
        other.close()

    def forget(self, run):
        pass

    def stop(self):
        pass


def programs():
    """Where PostgreSQL's programs are; none if it is not installed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = shutil.which("initdb")
    if not folders and found:
        folders = [Path(found).resolve().parent]
    return folders[-1] if folders else None


class Postgres:
    """A cluster of the lane's own. Each run gets a copy of the database that the commands made."""

    name = "PostgreSQL"
    # A server that dies by a signal loses nothing of what it wrote: only a power cut would.
    fsync = "off"

    def __init__(self, folder, carriers, durable=False):
        self.folder, self.bin = Path(folder), programs()
        # The harness does not cut the machine's power, so it need not wait for the disk; a measurement must.
        self.fsync = "on" if durable else "off"
        self.folder.mkdir(parents=True)
        self.user = []
        if os.getuid() == 0:
            # It refuses to run as root.
            shutil.chown(self.folder, "postgres", "postgres")
            self.folder.parent.chmod(0o711)
            self.user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]
        self.port = free_port()
        self.call("initdb", "--username=gatehouse", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
                  "-D", self.folder / "data")
        self.server = None
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        self.line = carriers.line(self.port)

    def call(self, program, *words):
        command = [*self.user, self.bin / program, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.folder, timeout=600).stdout

    def start(self):
        log = (self.folder / "log").open("ab")
        words = ["-D", self.folder / "data", "-k", self.folder, "-p", str(self.port), "-c", f"listen_addresses={HOST}",
                 "-c", f"fsync={self.fsync}", "-c", "max_connections=100"]
        self.server = subprocess.Popen(
            [*self.user, self.bin / "postgres", *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        ready = [self.bin / "pg_isready", "-q", "-h", HOST, "-p", str(self.port)]
        until("PostgreSQL is ready", lambda: subprocess.run(ready).returncode == 0)

    def sql(self, text, base="postgres"):
        return self.call("psql", "-qAt", "-h", HOST, "-p", str(self.port), "-U", "gatehouse", "-d", base, "-c", text)

    def settings(self, run):
        """The first one is what the commands make; later ones are copies."""
        self.sql(f"CREATE DATABASE {run}" + (" TEMPLATE begin" if run != "begin" else ""))
        return f'[database]\nurl = "postgres://gatehouse@{HOST}:{self.line.port}/{run}"\n'

    def locked(self, run, seconds):
        """Where a transaction has taken the tables the other way round, one of the two gives way; if we do, once more."""
        def held():
            try:
                self.sql(f"BEGIN; LOCK TABLE {TABLES} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT", run)
            except subprocess.CalledProcessError as error:
                if "deadlock detected" not in error.stderr:
                    raise
                return False
            return True

        until("the tables were locked", held)

    def gone(self, seconds):
        """Dies as by a power cut, and comes back."""
        self.call("pg_ctl", "stop", "-m", "immediate", "-w", "-D", self.folder / "data")
        self.server.wait()
        time.sleep(seconds)
        self.start()

    def hang_up(self, run):
        self.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{run}'")

    def forget(self, run):
        self.sql(f"DROP DATABASE IF EXISTS {run} WITH (FORCE)")

    def stop(self):
        if self.server:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait()
            self.server = None
