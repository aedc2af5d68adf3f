"""SFTP: OpenSSH's client and server at both ends."""

import shlex
import sys
from pathlib import Path

from peers import Key, OpenSsh, Sshd

SERVER = "/usr/lib/openssh/sftp-server"

# A client that hears nothing gives up, so that a run comes to its end.
PATIENCE = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3", "-o", "ConnectTimeout=4"]


class Sftp:
    """See `carriers`."""

    name = "sftp"
    doors, by_doors, trusting = None, (), ()

    def __init__(self, folder):
        self.keys = {login: Key(folder / login) for login in ("alpha", "keeper")}
        self.folder = folder

    def set_up(self, gateway, server_port, server):
        for login, key in self.keys.items():
            gateway.partner(login, key=key, settle_s=0)

        class There:
            port, host_key, login = server_port, server.host_key, server.login

        gateway.remote("bravo", There, retry_s=1)
        gateway.route("alpha", "bravo")

    def inward(self, gateway):
        return gateway.port("key")

    def server(self, folder, gateway):
        """While the file `shuffled` is there, the answers come in another order (its text is the seed)."""
        self.shuffled = folder / "shuffled"
        command, files = folder / "sftp", folder / "files"
        folder.mkdir()
        words = shlex.join([sys.executable, str(Path(__file__).with_name("shuffled_sftp.py")), SERVER, str(files)])
        command.write_text(
            f'#!/bin/sh\n[ -e {self.shuffled} ] && exec {words} "$(cat {self.shuffled})"\nexec {SERVER} -d {files}\n'
        )
        command.chmod(0o755)
        return Sshd(folder, [gateway.own_key()], extra=["LogLevel ERROR", f"ForceCommand {command}"])

    def shuffle(self, seed):
        """Has the partner's server answer in another order, until it is told None."""
        if seed is None:
            self.shuffled.unlink(missing_ok=True)
        else:
            self.shuffled.write_text(str(seed))

    def client(self, folder, port, login):
        client = OpenSsh(folder, port, login, self.keys[login])
        # The host key is known from the quiet beginning: a broken line must not teach another one.
        known = self.folder / f"known_hosts_{port}"
        (folder / "known_hosts").unlink(missing_ok=True)
        if not known.exists():
            client.sftp("pwd")
            known.write_bytes((folder / "known_hosts").read_bytes())
        (folder / "known_hosts").write_bytes(known.read_bytes())
        return client

    def upload(self, folder, port, login, name, path, again):
        verb = "reput" if again else "put"
        return self.client(folder, port, login).start_sftp(f"{verb} {path} {name}", options=PATIENCE)

    def listed(self, folder, port, login):
        shown = self.client(folder, port, login).sftp("ls -ln", options=PATIENCE).stdout
        rows = [line.split(maxsplit=8) for line in shown.splitlines() if line.startswith("-")]
        return {row[8].strip(): int(row[4]) for row in rows}

    def fetch(self, folder, port, login, name, path):
        self.client(folder, port, login).sftp(f"get {name} {path}", options=PATIENCE)

    @staticmethod
    def is_temporary(name):
        return name.endswith(".part")

    @staticmethod
    def ident(name):
        return name.split(".")[-2]
