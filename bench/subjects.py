"""What is measured: an OpenSSH server, Pure-FTPd, and the gateway in its forms. Each is started once and asked again and again."""

import contextlib
import ftplib
import importlib.util
import os
import ssl
import subprocess
from pathlib import Path

from gateway import Gateway
from peers import HOST, Key, OpenSsh, Sshd, free_port, listens, need, until

CIPHER = "aes128-gcm@openssh.com"
SUITE = "TLS_AES_128_GCM_SHA256"
PASSWORD = "open sesame"


class Subject:
    """A running server with one login."""

    def __init__(self, name, pid, port, login, key, folder):
        self.name, self.pid, self.port, self.login, self.key = name, pid, port, login, key
        self.folder, self.turn = folder, 0
        self.client = OpenSsh(folder / "client", port, login, key)
        self.is_gateway = "gateway" in name

    def sftp(self, *lines, options=(), limit=600):
        return self.client.sftp(*lines, options=["-c", CIPHER, "-q", *options], limit=limit)

    def curl(self, *words, limit=600):
        """curl over FTPS with AUTH TLS, data protected, TLS 1.3."""
        secure = ["--insecure", "--ssl-reqd", "--tlsv1.3", "--tls13-ciphers", SUITE, "--ftp-skip-pasv-ip"]
        words = [need("curl"), "--silent", "--show-error", "--user", f"{self.login}:{PASSWORD}", *secure, *words]
        subprocess.run(words, check=True, timeout=limit, stdin=subprocess.DEVNULL)

    def url(self, name):
        return f"ftp://{HOST}:{self.port}/{name}"

    def ftps(self):
        """A session that is logged in, data to be protected."""
        trusting = ssl._create_unverified_context()
        ftp = ftplib.FTP_TLS(context=trusting)
        ftp.connect(HOST, self.port, timeout=60)
        ftp.login(self.login, PASSWORD)
        ftp.prot_p()
        return ftp

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


def ftp_gateway(settings):
    def start(name, folder, key, stack):
        server = stack.enter_context(Gateway(folder, settings))
        port = server.ftp_port("explicit")
        server.ftp_partner("bench", PASSWORD)
        return Subject(name, server.process.pid, port, "bench", key, folder)

    return start


def pure_ftpd(name, folder, key, stack):
    path = Path(__file__).resolve().parent.parent / "tests/interop/ftp_client/servers.py"
    spec = importlib.util.spec_from_file_location("servers", path)
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    server = stack.enter_context(servers.PureFtpd(folder))
    return Subject(name, server.process.pid, server.port, server.login, key, folder)


def authority(folder):
    """An authority, and certificates by it for a server and a client, all ECDSA P-256."""
    def run(*words):
        subprocess.run([need("openssl"), *words], cwd=folder, check=True, capture_output=True, timeout=60)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "30"]
    run("req", "-x509", *curve, "-subj", "/CN=Bench CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-keyout", "ca.key", "-out", "ca.pem")
    for name, use in (("server", "serverAuth"), ("client", "clientAuth")):
        (folder / f"{name}.ext").write_text(f"extendedKeyUsage={use}\nsubjectAltName=IP:{HOST}\nbasicConstraints=CA:FALSE\n")
        run("req", "-new", *curve[:-2], "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        run("pkcs12", "-export", "-in", f"{name}.pem", "-inkey", f"{name}.key", "-passout", "pass:bench", "-out", f"{name}.p12")


def nginx(name, folder, key, stack):
    """nginx that asks for a client certificate, one process, and answers 204."""
    folder.mkdir()
    authority(folder)
    port = free_port()
    (folder / "nginx.conf").write_text(f"""
        daemon off; master_process off; pid {folder}/pid; error_log {folder}/log; worker_processes 1; user root;
        events {{ worker_connections 2048; }}
        http {{ access_log off; server {{ listen {HOST}:{port} ssl; ssl_protocols TLSv1.3;
            ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
            ssl_verify_client on; ssl_client_certificate {folder}/ca.pem; keepalive_timeout 0; return 204; }} }}
    """)
    with (folder / "out").open("wb") as log:
        process = subprocess.Popen([need("nginx"), "-c", str(folder / "nginx.conf")], stdout=log, stderr=log)
    stack.callback(process.wait, 20)
    stack.callback(process.terminate)
    until("nginx listens", lambda: listens(port))
    return Subject(name, process.pid, port, "", key, folder)


def tls_gateway(name, folder, key, stack):
    """The gateway with FTP over implicit TLS, asking for a client certificate of a trusted authority."""
    server = stack.enter_context(Gateway(folder, '[log]\nlevel = "warn"\n'))
    authority(folder)
    (folder / "word").write_text("bench\n")
    server.run("secadm", "import_cert", "-ctfn", "CA", "-ctff", str(folder / "ca.pem"))
    server.run("secadm", "import_cert", "-ctfn", "SERVER", "-ctff", str(folder / "server.p12"),
               "-certificate_password_from_file", str(folder / "word"))
    port = server.ftp_port("implicit")
    server.run("secadm", "update_sprof", "-spn", "FTP_IMPLICIT", "-user_local_certificate", "SERVER",
               "-client_auth_policy", "TLS_AUT_MANDATORY")
    return Subject(name, server.process.pid, port, "", key, folder)


SUBJECTS = {
    "nginx": nginx,
    "tls gateway": tls_gateway,
    "pure-ftpd": pure_ftpd,
    "ftp gateway": ftp_gateway('[log]\nlevel = "warn"\n'),
    "ftp gateway plain": ftp_gateway('[log]\nlevel = "warn"\n[store]\nseal = false\nhash = false\n'),
    "sshd": sshd,
    "gateway": gateway('[log]\nlevel = "warn"\n'),
    "gateway plain": gateway('[log]\nlevel = "warn"\n[store]\nseal = false\nhash = false\n'),
}
