"""FTP in clear as the way in, by Python's ftplib; what arrives goes on by SFTP to OpenSSH's server.

The line that breaks is that of the control connection: data connections go to the gateway directly.
"""

import ftplib
import subprocess
import sys

from carriers.sftp import Sftp
from peers import HOST

PASSWORD = "s3cret"
PATIENCE_S = 4

# Sends a file; after a try that was not acknowledged it goes on where that ended, if something is there.
SENDER = """
import ftplib, os, sys
host, port, login, password, path, name, again, patience = sys.argv[1:]
ftp = ftplib.FTP()
ftp.connect(host, int(port), timeout=float(patience))
ftp.login(login, password)
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
    """See `carriers`."""

    name = "ftp"

    def set_up(self, gateway, server_port, server):
        gateway.port("key")
        gateway.ftp_port()
        for login in self.keys:
            gateway.ftp_partner(login, PASSWORD)

        class There:
            port, host_key, login = server_port, server.host_key, server.login

        gateway.remote("bravo", There, retry_s=1)
        gateway.route("alpha", "bravo")

    def inward(self, gateway):
        return gateway.ftp_port()

    def client(self, _folder, port, login):
        """A session that is logged in."""
        ftp = ftplib.FTP()
        ftp.connect(HOST, port, timeout=PATIENCE_S)
        ftp.login(login, PASSWORD)
        return ftp

    def upload(self, folder, port, login, name, path, again):
        words = [HOST, str(port), login, PASSWORD, str(path), name, "again" if again else "first", str(PATIENCE_S)]
        return subprocess.Popen(
            [sys.executable, "-c", SENDER, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )

    def listed(self, folder, port, login):
        with self.client(folder, port, login) as ftp:
            return {name: int(facts["size"]) for name, facts in ftp.mlsd() if facts["type"] == "file"}

    def fetch(self, folder, port, login, name, path):
        with self.client(folder, port, login) as ftp, open(path, "wb") as file:
            ftp.retrbinary(f"RETR {name}", file.write)
