"""The password of PostgreSQL as a credential: the settings name the user only."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gateway import Gateway
from peers import HOST, free_port, need, until

PASSWORD = "p@ss:w/rd%é #1"


@pytest.fixture
def postgres():
    """A cluster that asks for the password over the network."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = found[-1] if found else Path(need("initdb")).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="gatehouse-postgres-"))
    user = []
    if os.getuid() == 0:
        # It refuses to run as root.
        shutil.chown(folder, "postgres", "postgres")
        user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups", "--"]
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "password").chmod(0o644)
    port = free_port()
    words = ["--username=gatehouse", "--auth=scram-sha-256", f"--pwfile={folder}/password", "--encoding=UTF8", "--locale=C"]
    made = subprocess.run(
        [*user, programs / "initdb", *words, "--no-sync", "-D", folder / "data"], capture_output=True, text=True, cwd=folder, timeout=60,
    )
    assert made.returncode == 0, made.stderr
    words = ["-D", folder / "data", "-k", folder, "-p", str(port), "-c", f"listen_addresses={HOST}", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*user, programs / "postgres", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    ask = [programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)]
    until("PostgreSQL answers", lambda: subprocess.run(ask, timeout=10, cwd=folder).returncode == 0)
    yield port
    server.terminate()
    server.wait(timeout=30)
    shutil.rmtree(folder)


def test_the_password_of_the_database_is_a_credential(postgres, managed, tmp_path):
    # Issue: credentials
    gateway = Gateway(tmp_path / "gateway", f'[database]\nurl = "postgres://gatehouse@{HOST}:{postgres}/postgres"\n')
    store = tmp_path / "credentials"
    store.mkdir(mode=0o700)
    secret = store / "gatehouse.database_password"
    managed.variables["CREDENTIALS_DIRECTORY"] = str(store)
    secret.write_text("another\n")
    managed.start(gateway)
    assert gateway.process.wait(timeout=60) == 1
    gateway.process = None
    assert "database" in gateway.log() and "another" not in gateway.log()
    secret.write_text(PASSWORD + "\n")
    managed.start(gateway)
    managed.receiver.wait_for("READY", "1")
    gateway.run("vfdadm", "create_dir", "-dir_name", "/in")
    # Nobody sees it: not in the log, not in the settings, not among the arguments and variables of the process.
    seen = [gateway.log(), (gateway.data / "gatehouse.toml").read_text()]
    seen += [Path(f"/proc/{gateway.process.pid}/{name}").read_text() for name in ("cmdline", "environ")]
    assert not any(PASSWORD in text for text in seen)
    assert gateway.stop() == 0
    assert not (gateway.data / "gatehouse.db").exists()
