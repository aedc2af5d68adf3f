"""Proxies as companies have them, each a program of its own with its log."""

import contextlib
import subprocess

from peers import HOST, free_port, listens, need, until

USER, PASSWORD = "gate", "wayout"


class Proxy:
    """A proxy that runs from a configuration file."""

    program, options = "", []

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.port = folder, free_port()
        self.settings = folder / "proxy.conf"
        self.settings.write_text("\n".join(self.lines()) + "\n")
        with (folder / "proxy.log").open("wb") as log:
            words = [need(self.program), *self.options, str(self.settings)]
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("the proxy listens", lambda: listens(self.port))

    def log(self):
        return (self.folder / "proxy.log").read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)
        self.process.kill()
        self.process.wait()


class Tinyproxy(Proxy):
    """CONNECT of HTTP, with user and password."""

    program, options = "tinyproxy", ["-d", "-c"]

    def lines(self):
        return [
            f"Port {self.port}", f"Listen {HOST}", "Timeout 120", "MaxClients 50", f"Allow {HOST}", "LogLevel Connect",
            f"BasicAuth {USER} {PASSWORD}",
        ]


class Dante(Proxy):
    """SOCKS version 4."""

    program, options = "danted", ["-f"]

    def lines(self):
        return [
            "logoutput: stdout", f"internal: {HOST} port = {self.port}", f"external: {HOST}", "clientmethod: none",
            "socksmethod: none", "client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }",
            "socks pass {", "from: 127.0.0.0/8 to: 0.0.0.0/0", "protocol: tcp", "log: connect", "}",
        ]


class FtpProxy(Proxy):
    """The FTP proxy of the Proxy-Suite: USER name@host."""

    program, options = "ftp-proxy", ["-d", "-n", "-f"]

    def lines(self):
        return [
            "[-Global-]", "ServerType standalone", f"Listen {HOST}", f"Port {self.port}", "AllowMagicUser yes",
            f"LogDestination {self.folder}/proxy.log", "LogLevel INF", f"PidFile {self.folder}/pid", f"DestinationAddress {HOST}",
        ]
