"""Folders of the same machine: files are dropped into one, and picked up from another."""

import json
import os
import subprocess
import sys

from peers import free_port

# Puts a file once, then waits until the gateway has taken it for good: that is the acknowledgement.
SENDER = """
import glob, os, shutil, sys, time
source, drop, name, note = sys.argv[1:]
if not os.path.exists(note):
    hidden = os.path.join(drop, f".{name}.writing")
    shutil.copyfile(source, hidden)
    open(note, "w").close()
    os.rename(hidden, os.path.join(drop, name))
area = os.path.join(drop, ".gatehouse")
while os.path.exists(os.path.join(drop, name)) or glob.glob(os.path.join(glob.escape(area), f"f*.{name}")):
    time.sleep(0.02)
"""


class There:
    """The folder that files arrive in."""

    def __init__(self, folder):
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.port, self.login, self.host_key = free_port(), "bravo", None

    def stop(self):
        pass


class Folders:
    """See `carriers`."""

    name = "folders"
    doors, by_doors, trusting = None, (), ()

    def __init__(self, folder):
        self.folder = folder
        self.drops = {login: folder / f"drop_{login}" for login in ("alpha", "keeper")}

    def set_up(self, gateway, _server_port, server):
        gateway.port("key")
        retry = ["-retry_delay_min", "1", "-retry_delay_max", "1", "-retry_count_max", "500"]
        where = ["-protocol", "FOLDER", "-real_path", str(server.files)]
        gateway.run("peladm", "create_site", "-alias", "bravo", *where, *retry)
        for login, drop in self.drops.items():
            drop.mkdir()
            more = ["-dest_alias", "bravo"] if login == "alpha" else []
            words = ["-name", login, "-real_path", str(drop), "-ready", "RENAME", "-period_s", "1", *more]
            gateway.run("handoff", "create_drop", *words)

    def inward(self, gateway):
        return gateway.port("key")

    def server(self, folder, _gateway):
        return There(folder)

    def client(self, _folder, _port, _login):
        return None

    def upload(self, folder, _port, login, name, path, _again):
        words = [sys.executable, "-c", SENDER, str(path), str(self.drops[login]), name, str(folder / "put")]
        # A group of its own, which a trouble can cut with all that it started.
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def command(self, folder, *words):
        command = [os.environ["GATEHOUSE_PROGRAM"], *words, "--data", str(folder.parent / "data")]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    def listed(self, folder, _port, login):
        rows = json.loads(self.command(folder, "file", "list", "-site", login, "-last", "1000", "--json").stdout)
        return {row["File"]: row["Octets"] for row in rows}

    def fetch(self, folder, _port, login, name, path):
        rows = json.loads(self.command(folder, "file", "list", "-site", login, "-file_name", name, "--json").stdout)
        self.command(folder, "file", "get", str(rows[0]["Ident"]), str(path))

    @staticmethod
    def is_temporary(name):
        return name.startswith(".") and name.endswith(".part")

    @staticmethod
    def ident(name):
        return name.split(".")[-2]
