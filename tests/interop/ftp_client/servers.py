"""FTP servers as partners have them, each with its own folder, port and certificate."""

import contextlib
import crypt
import os
import subprocess
import threading
from pathlib import Path

import pytest

from peers import HOST, free_port, listens, need, until

LOGIN, PASSWORD = "gateway", "open sesame"


def certificate(folder):
    """A self-signed certificate for the servers; its file has the key, too."""
    both, only = folder / "server.pem", folder / "server.cer"
    if not both.exists():
        words = ["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "30", "-subj", "/CN=partner"]
        words += ["-addext", f"subjectAltName=IP:{HOST},IP:127.0.0.2", "-keyout", "server.key", "-out", "server.cer"]
        subprocess.run([need("openssl"), *words], cwd=folder, check=True, capture_output=True, timeout=60)
        both.write_text((folder / "server.key").read_text() + only.read_text())
        both.chmod(0o600)
    return both, only


class Program:
    """A server that is a program of its own. `passive`: first and last port for data connections, where it is told them."""

    login, password = LOGIN, PASSWORD

    def __init__(self, folder, passive=None):
        if os.getuid() != 0:
            pytest.skip("FTP servers change to the user of a login: that takes the super-user")
        self.folder, self.passive = folder, passive
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.files.chmod(0o777)
        # Users of the servers must come through to it.
        for part in [folder, *folder.parents]:
            if part != Path(part.anchor) and part.stat().st_uid == os.getuid() and not part.stat().st_mode & 0o1000:
                part.chmod(part.stat().st_mode | 0o055)
        self.certificate, self.shown = certificate(folder)
        self.port, self.process, self.dir_name = free_port(), None, ""
        self.prepare()
        self.start()

    def prepare(self):
        """Its configuration."""

    def start(self):
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("the server listens", lambda: listens(self.port))

    def stop(self):
        if self.process:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=20)
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Proftpd(Program):
    """ProFTPD: TLS explicit, data connections must resume the session."""

    def prepare(self):
        users = self.folder / "users"
        users.write_text(f"{LOGIN}:{crypt.crypt(PASSWORD, crypt.METHOD_SHA512)}:65534:65534::{self.files}:/bin/sh\n")
        users.chmod(0o600)
        modules = "/usr/lib/proftpd"
        lines = [
            f"ModulePath {modules}", "LoadModule mod_tls.c", "ServerType standalone", f"DefaultAddress {HOST}",
            f"Port {self.port}", "UseIPv6 off", "User nobody", "Group nogroup", "RequireValidShell off", "UseReverseDNS off",
            "AuthOrder mod_auth_file.c", f"AuthUserFile {users}", f"ScoreboardFile {self.folder}/scores",
            f"PidFile {self.folder}/pid", "WtmpLog off", "TransferLog none", f"SystemLog {self.folder}/system.log",
            "AllowOverwrite on", "AllowStoreRestart on", "TLSEngine on", "TLSRequired on",
            f"TLSRSACertificateFile {self.certificate}", f"TLSRSACertificateKeyFile {self.certificate}",
            f"TLSLog {self.folder}/tls.log", "DelayEngine off",
        ]
        if self.passive:
            lines.append(f"PassivePorts {self.passive[0]} {self.passive[1]}")
        (self.folder / "proftpd.conf").write_text("\n".join(lines) + "\n")

    def command(self):
        return [need("proftpd"), "-n", "-c", str(self.folder / "proftpd.conf")]


class Vsftpd(Program):
    """vsftpd: anonymous, by a user of the system whose home is there; data connections must resume the session."""

    def prepare(self):
        self.files.chmod(0o755)
        drop = self.files / "in"
        drop.mkdir()
        drop.chmod(0o777)
        self.dir_name = "/in"
        (self.folder / "empty").mkdir()
        lines = [
            "listen=YES", f"listen_address={HOST}", f"listen_port={self.port}", "background=NO", "seccomp_sandbox=NO",
            "anonymous_enable=YES", "ftp_username=daemon", f"anon_root={self.files}", "write_enable=YES",
            "anon_upload_enable=YES", "anon_mkdir_write_enable=YES", "anon_other_write_enable=YES", "anon_umask=022",
            f"secure_chroot_dir={self.folder}/empty", "ssl_enable=YES", "allow_anon_ssl=YES", "force_anon_logins_ssl=YES",
            "force_anon_data_ssl=YES", "require_ssl_reuse=YES", f"rsa_cert_file={self.certificate}",
            f"rsa_private_key_file={self.certificate}", "xferlog_enable=NO",
        ]
        (self.folder / "vsftpd.conf").write_text("\n".join(lines) + "\n")
        self.login = "anonymous"

    def command(self):
        return [need("vsftpd"), str(self.folder / "vsftpd.conf")]


class PureFtpd(Program):
    """Pure-FTPd with a user of its own: TLS needed for login and data."""

    def prepare(self):
        users, found = self.folder / "users", self.folder / "users.pdb"
        # The hash that `pure-pw useradd` makes costs a second of CPU at each login, and it has no cheaper one.
        hashed = crypt.crypt(PASSWORD, crypt.METHOD_SHA512)
        users.write_text(f"{LOGIN}:{hashed}:65534:65534::{self.files}/./::::::::::::\n")
        words = ["mkdb", str(found), "-f", str(users)]
        subprocess.run([need("pure-pw"), *words], check=True, capture_output=True, timeout=30)

    def command(self):
        words = ["-S", f"{HOST},{self.port}", "-l", f"puredb:{self.folder}/users.pdb", "-Y", "3", "-2", str(self.certificate)]
        return [need("pure-ftpd"), *words, "-u", "1", "-E", "-H", "-g", str(self.folder / "pid")]


class Pyftpdlib:
    """pyftpdlib in a thread of this process: in clear, or TLS; and told to fail."""

    login, password = LOGIN, PASSWORD

    def __init__(self, folder, tls=False, port=None, full_at=None, passive=None):
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.filesystems import AbstractedFS
        from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import ThreadedFTPServer

        self.folder, self.files, self.dir_name = folder, folder / "files", ""
        self.files.mkdir(parents=True, exist_ok=True)
        self.certificate, self.shown = certificate(folder)
        authorizer = DummyAuthorizer()
        authorizer.add_user(LOGIN, PASSWORD, str(self.files), perm="elradfmwMT")
        self.state = state = {"full_at": full_at, "gone_at": None, "gone_after": None, "listed": None, "deaf_to": None, "handlers": [], "heard": []}

        class Handler(TLS_FTPHandler if tls else FTPHandler):
            def on_connect(self):
                state["handlers"].append(self)

            def pre_process_command(self, line, cmd, arg):
                state["heard"].append(line)
                if cmd == state["deaf_to"]:
                    # Carried out, and never answered: the line is gone.
                    state["deaf_to"] = None
                    self.push = lambda *_: None
                    super().pre_process_command(line, cmd, arg)
                    self.close()
                    return
                super().pre_process_command(line, cmd, arg)

        class Files(AbstractedFS):
            def open(self, filename, mode):
                return Limited(super().open(filename, mode), state)

            def format_mlsx(self, *words, **more):
                yield from super().format_mlsx(*words, **more)
                then, state["listed"] = state["listed"], None
                if then:
                    then()

        Handler.authorizer, Handler.abstracted_fs = authorizer, Files
        Handler.banner = "partner ready"
        Handler.use_sendfile = False
        if passive:
            Handler.passive_ports = range(passive[0], passive[1] + 1)
        if tls:
            Handler.certfile = str(self.certificate)
            Handler.tls_control_required = Handler.tls_data_required = True
        # A loop of its own: the library's usual one would be run by the threads of two servers at once.
        self.server = ThreadedFTPServer((HOST, port or 0), Handler, ioloop=IOLoop())
        self.port = self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"timeout": 0.1, "handle_exit": False}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.close_all()
        self.thread.join(timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class PyftpdlibTls(Pyftpdlib):
    """The same with TLS."""

    def __init__(self, folder, passive=None):
        super().__init__(folder, tls=True, passive=passive)


class Limited:
    """A file on a disk that is full after some octets, or at a server that goes away."""

    def __init__(self, file, state):
        self.file, self.state = file, state

    def write(self, data):
        if self.state["full_at"] is not None and self.file.tell() + len(data) > self.state["full_at"]:
            raise OSError(28, "No space left on device")
        if self.state["gone_at"] is not None and self.file.tell() + len(data) > self.state["gone_at"]:
            self.state["gone_at"] = None
            self.file.flush()
            for handler in self.state["handlers"]:
                with contextlib.suppress(Exception):
                    handler.socket.shutdown(2)
        return self.file.write(data)

    def read(self, octets=-1):
        after = self.state["gone_after"]
        if after is not None and self.file.tell() >= after:
            self.state["gone_after"] = None
            for handler in self.state["handlers"]:
                with contextlib.suppress(Exception):
                    handler.socket.shutdown(2)
                with contextlib.suppress(Exception):
                    handler.data_channel.socket.shutdown(2)
        return self.file.read(octets)

    def __getattr__(self, name):
        return getattr(self.file, name)
