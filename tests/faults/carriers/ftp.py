"""FTP and FTPS as the way in, by Python's ftplib, then on by SFTP to OpenSSH's server; and SFTP in, then on by FTPS to
ProFTPD. Control and data connections go through the line."""

import ftplib
import importlib.util
import os
import ssl
import subprocess
import sys
from pathlib import Path

import peers
from carriers.sftp import Sftp
from line import FAR_HOST, Doors

PASSWORD = "s3cret"
PATIENCE_S = 4
MODULE = Path(__file__).parents[2] / "interop/ftp_client/servers.py"

# Sends a file; after a try that was not acknowledged it goes on where that ended, if something is there.
SENDER = """
import ftplib, ssl, sys
host, port, login, password, path, name, again, patience, secure = sys.argv[1:]
if secure == "tls":
    trusting = ssl._create_unverified_context()
    ftp = ftplib.FTP_TLS(context=trusting)
else:
    ftp = ftplib.FTP()
ftp.connect(host, int(port), timeout=float(patience))
ftp.login(login, password)
if secure == "tls":
    ftp.prot_p()
ftp.voidcmd("TYPE I")
at = None
if again == "again":
    try:
        at = ftp.size(name) or None
    except ftplib.error_perm:
        pass
with open(path, "rb") as file:
    file.seek(at or 0)
    sys.exit(0 if ftp.storbinary(f"STOR {name}", file, rest=at).startswith("226") else 1)
"""


class Ftp(Sftp):
    """In clear. See `carriers`."""

    name, mode, secure = "ftp", "clear", "clear"
    by_doors, trusting = ("in",), ("in",)

    def set_up(self, gateway, server_port, server):
        self.doors = Doors()
        gateway.port("key")
        gateway.ftp_port(self.mode, ["-passive_ports", f"{self.doors.first}:{self.doors.last}"])
        for login in self.keys:
            gateway.ftp_partner(login, PASSWORD)

        class There:
            port, host_key, login = server_port, server.host_key, server.login

        gateway.remote("bravo", There, retry_s=1)
        gateway.route("alpha", "bravo")

    def inward(self, gateway):
        return gateway.ftp_port(self.mode)

    def client(self, _folder, port, login):
        """A session that is logged in."""
        ftp = ftplib.FTP_TLS(context=ssl._create_unverified_context()) if self.secure == "tls" else ftplib.FTP()
        ftp.connect(FAR_HOST, port, timeout=PATIENCE_S)
        ftp.login(login, PASSWORD)
        if self.secure == "tls":
            ftp.prot_p()
        return ftp

    def upload(self, folder, port, login, name, path, again):
        words = [FAR_HOST, str(port), login, PASSWORD, str(path), name, "again" if again else "first", str(PATIENCE_S)]
        # A group of its own, which a trouble can cut with all that it started.
        return subprocess.Popen(
            [sys.executable, "-c", SENDER, *words, self.secure], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )

    def listed(self, folder, port, login):
        with self.client(folder, port, login) as ftp:
            return {name: int(facts["size"]) for name, facts in ftp.mlsd() if facts["type"] == "file"}

    def fetch(self, folder, port, login, name, path):
        with self.client(folder, port, login) as ftp, open(path, "wb") as file:
            ftp.retrbinary(f"RETR {name}", file.write)


class Ftps(Ftp):
    """With TLS from AUTH on. See `carriers`."""

    name, mode, secure = "ftps", "explicit", "tls"
    trusting = ()


def servers():
    """The FTP servers of the tests of our client."""
    spec = importlib.util.spec_from_file_location("servers", MODULE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class SftpFtps(Sftp):
    """SFTP in, FTPS out. See `carriers`."""

    name = "sftp-ftps"
    by_doors = ("out",)

    def set_up(self, gateway, server_port, server):
        for login, key in self.keys.items():
            gateway.partner(login, key=key, settle_s=0)

        class There:
            host, port, login, shown, dir_name = FAR_HOST, server_port, server.login, server.shown, server.dir_name

        gateway.ftp_remote("bravo", There, password=server.password, tls="explicit", retry_s=1)
        gateway.route("alpha", "bravo")

    def server(self, folder, _gateway):
        """ProFTPD, or pyftpdlib where we may not start that."""
        doors, known = Doors(), servers()
        kind = known.Proftpd if os.getuid() == 0 else known.PyftpdlibTls
        server = kind(folder, passive=(doors.first, doors.last))
        server.doors = doors
        return server

    def shuffle(self, seed):
        """FTP has no answers that could overtake each other."""
