"""The gateway under test: the real program with a scratch data folder, set up by its own commands.

Whatever the tests need of the gateway's commands stands in this file alone.
"""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from peers import HOST, Key, free_port, listens, until

# How the modes of the tests look as SERVER profiles: methods, and further fields.
MODES = {
    "default": [],
    "key": ["-client_auth_methods", "PUBLIC_KEY"],
    "password": ["-client_auth_methods", "PASSWORD"],
    "either": ["-client_auth_methods", "PASSWORD PUBLIC_KEY"],
    "both": ["-client_auth_methods", "PASSWORD PUBLIC_KEY", "-perform_all_auth_method", "Y"],
    "capture": ["-client_auth_methods", "PUBLIC_KEY", "-remote_key_import", "Y"],
    "legacy": ["-client_auth_methods", "PUBLIC_KEY", "-public_key_algos", "ED25519 RSA_SHA2_512 RSA_SHA2_256 SSH_RSA"],
}

# How TLS of FTP begins, as fields of SERVER profiles.
TLS_STARTS = {
    "implicit": ["-client_auth_policy", "TLS_AUT_ANONYMOUS"],
    "explicit": ["-client_auth_policy", "TLS_AUT_ANONYMOUS", "-ft_sec_option", "explicit"],
    "optional": [
        "-client_auth_policy", "TLS_AUT_ANONYMOUS", "-ft_sec_option", "explicit", "-ft_session_policy", "optional",
        "-ft_data_policy", "optional",
    ],
    "reuse": ["-client_auth_policy", "TLS_AUT_ANONYMOUS", "-ft_sec_option", "explicit", "-ft_data_reuse", "Y"],
    "hasty": ["-client_auth_policy", "TLS_AUT_OPTIONAL", "-handshake_timeout_s", "2"],
}

ENDED = ("ended", "ended routing")
OVER = ("ended", "cancelled", "acknowledged", "deleted")


class Gateway:
    """A gateway process and the commands that set it up."""

    def __init__(self, folder, settings=""):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.program = os.environ.get("GATEHOUSE_PROGRAM") or pytest.fail("GATEHOUSE_PROGRAM names no program")
        self.observed = free_port()
        text = f'[metrics]\naddress = "{HOST}:{self.observed}"\n[shutdown]\ndrain_s = 3\n{settings}'
        (self.data / "gatehouse.toml").write_text(text)
        self.process, self.log_file = None, self.folder / "gateway.log"
        self.ports, self.partners, self.own = {}, {}, None
        self.limits, self.variables, self.of_node = None, {}, []

    # --- the process

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        code = self.stop()
        if kind is None:
            assert code == 0, f"the gateway ended with {code}:\n{self.log()[-3000:]}"

    def start(self, ready=True):
        with self.log_file.open("ab") as log:
            words = [self.program, "serve", "--data", str(self.data)]
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(), preexec_fn=self.limits
            )
        if not ready:
            until("the gateway lives", self.is_alive)
            return
        self.until_ready()

    def until_ready(self):
        until("the gateway is ready", self.is_ready)
        for port in self.ports.values():
            until("the gateway listens", lambda port=port: listens(port))

    def another(self):
        """One more gateway process on this data folder, for better or worse."""
        with self.log_file.open("ab") as log:
            words = [self.program, "serve", "--data", str(self.data)]
            return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment())

    def adopt(self, process):
        """That process is the gateway from now on; waits until it is ready."""
        self.process = process
        self.until_ready()

    def is_alive(self):
        return self.answers("live")

    def is_ready(self):
        return self.answers("ready")

    def answers(self, question):
        if self.process.poll() is not None:
            pytest.fail(f"the gateway ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.observed}/health/{question}", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "no end: it was killed"
        self.process = None
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "RUST_BACKTRACE": "1"} | self.variables

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def resident_octets(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def sessions(self):
        """Open connections at the ports that partners call."""
        ports = {f"{port:04X}" for port in self.ports.values()}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].split(":")[1] in ports and row[3] in ("01", "08") for row in rows)

    def staged_octets(self):
        """Octets of uploads under way, as far as they are on disk."""
        folder = self.data / "staging"
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0

    def files_outside(self):
        """What lies beside and directly in the data folder: no upload may ever add to that."""
        kept = ("password_", "gatehouse.db")
        names = [*self.folder.iterdir(), *self.data.iterdir()]
        return sorted(str(path) for path in names if not path.name.startswith(kept))

    # --- commands

    def run(self, *words, check=True):
        command = [self.program, *words, "--data", str(self.data)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=self.environment(), stdin=subprocess.DEVNULL,
        )
        if check:
            assert done.returncode == 0, f"gatehouse {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *words):
        return json.loads(self.run(*words, "--json").stdout)

    # --- what is set up

    def port(self, mode):
        """The port of a listener whose SERVER profile takes logins in this mode; made at first use."""
        if mode not in self.ports:
            if not self.ports:
                self.run("secadm", "create_key", "-name", "HOST", "-algorithm", "ED25519")
                self.run("peladm", "create_cgategroup", "-name", "PARTNERS", "-protocol", "SFTP")
            port, name = free_port(), f"SFTP_{mode.upper()}"
            profile = ["-sshprof_name", name, "-type", "SERVER", "-private_key_alias", "HOST", *MODES[mode]]
            self.run("secadm", "create_sshprof", *profile)
            where = ["-security_option", "SSH", "-dest_address", f"*/{port}", "-org_address", "*/*"]
            self.run("secadm", "create_netprof", "-nprof_name", name, *where, "-sprof_name", name)
            words = ["-name", name, "-address", HOST, "-port", str(port), "-protocol", "SFTP"]
            self.run("listener", "add", *words, *self.of_node)
            self.ports[mode] = port
            if self.process:
                until("the gateway listens", lambda: listens(port))
        return self.ports[mode]

    def ftp_port(self, mode="clear", extra=()):
        """The port of a listener for FTP: in clear, or with TLS by a profile of the given start; made at first use."""
        name = f"FTP_{mode.upper()}"
        if name not in self.ports:
            if not any(known.startswith("FTP_") for known in self.ports):
                self.run("peladm", "create_cgategroup", "-name", "FTP_PARTNERS", "-protocol", "FTP")
            port = free_port()
            where = ["-nprof_name", name, "-dest_address", f"*/{port}"]
            if mode == "clear":
                self.run("secadm", "create_netprof", *where, "-security_option", "NONE")
            else:
                self.certificate()
                profile = ["-spn", name, "-spt", "SERVER", "-user_local_certificate", "GATEWAY", *TLS_STARTS[mode]]
                self.run("secadm", "create_sprof", *profile)
                self.run("secadm", "create_netprof", *where, "-security_option", "TLS", "-sprof_name", name)
            self.run("listener", "add", name, "-address", HOST, "-port", str(port), "-protocol", "FTP", *extra)
            self.ports[name] = port
            if self.process:
                until("the gateway listens", lambda: listens(port))
        return self.ports[name]

    def certificate(self):
        """A file with the certificate that the gateway shows in TLS; made at first use."""
        file = self.folder / "gateway.pem"
        if not file.exists():
            self.run("secadm", "create_cert", "-ctfn", "GATEWAY", "-csn", "CN=localhost", "-csa", f"DNS:localhost IP:{HOST}")
            self.run("secbase", "export_cert", "-ctfn", "GATEWAY", "-output", str(file))
        return file

    def ftp_partner(self, login, password, settle_s=0):
        """A site, a gate and a folder for a login by FTP. Once for each login."""
        if login in self.partners:
            return
        folder, upper = f"/{login}", login.upper()
        secret = self.folder / f"password_{login}"
        secret.write_text(password + "\n")
        self.run("vfdadm", "create_dir", "-dir_name", folder)
        self.run("peladm", "create_site", "-alias", login, "-protocol", "FTP", "-check_login_ident", login)
        gate = ["-name", f"G_{upper}", "-cgategroup", "FTP_PARTNERS", "-login_user", login, "-home_dir", folder]
        gate += ["-root_dir", folder, "-vfd_right", f"{folder}:*:RWD:LCR:Y", "-settle_s", str(settle_s)]
        self.run("peladm", "create_cgate", *gate, "-login_password_from_file", str(secret))
        self.partners[login] = None

    def bare_listener(self):
        """The port of a listener that no network profile fits."""
        port = free_port()
        self.run("listener", "add", "-name", "BARE", "-address", HOST, "-port", str(port), "-protocol", "SFTP")
        until("the gateway listens", lambda: listens(port))
        return port

    def partner(self, login, key=None, password=None, settle_s=0, key_name=None):
        """A site, a gate and a folder for a login; its key or password, or neither. Once for each login."""
        if login in self.partners:
            return
        self.port("key")
        folder, upper = f"/{login}", login.upper()
        self.run("vfdadm", "create_dir", "-dir_name", folder)
        self.run("peladm", "create_site", "-alias", login, "-protocol", "SFTP", "-check_login_ident", login)
        gate = ["-name", f"G_{upper}", "-cgategroup", "PARTNERS", "-login_user", login, "-home_dir", folder]
        gate += ["-root_dir", folder, "-vfd_right", f"{folder}:*:RWD:LCR:Y", "-settle_s", str(settle_s)]
        if key:
            key_name = key_name or f"K_{upper}"
            self.run("secadm", "import_key", "-name", key_name, "-file_name", str(key.public), "-force")
            gate += ["-remote_public_key_alias", key_name]
        if password:
            secret = self.folder / f"password_{login}"
            secret.write_text(password + "\n")
            gate += ["-login_password_from_file", str(secret)]
        self.run("peladm", "create_cgate", *gate)
        self.partners[login] = key_name

    def key_name(self, login):
        return self.partners[login]

    def own_key(self):
        """The key that the gateway logs in with at partners."""
        if self.own is None:
            self.own = Key(self.folder / "own")
            words = ["-name", "OWN", "-file_name", str(self.own.path)]
            self.run("secadm", "import_key", *words)
        return self.own

    def remote(self, name, peer, password=None, retry_s=None, verify=None):
        """A partner that the gateway calls: its address, its host key, our login."""
        host_key = f"{name.upper()}_HOST"
        words = ["-name", host_key, "-file_name", str(peer.host_key.public), "-force"]
        self.run("secadm", "import_key", *words)
        login = getattr(peer, "login", name)
        site = ["-alias", name, "-protocol", "SFTP", "-dest_address", f"{HOST}/{peer.port}", "-login_ident", login]
        site += ["-remote_public_key_alias", host_key]
        if password:
            secret = self.folder / f"password_{name}"
            secret.write_text(password + "\n")
            site += ["-login_password_from_file", str(secret)]
        else:
            self.own_key()
            site += ["-local_private_key_alias", "OWN"]
        if retry_s:
            site += ["-retry_delay_min", str(retry_s), "-retry_delay_max", str(retry_s), "-retry_count_max", "500"]
        if verify:
            site += ["-verify_policy", verify]
        self.run("peladm", "create_site", *site)

    def ftp_remote(self, name, peer, password, tls=None, retry_s=None, extra=()):
        """A partner that the gateway calls by FTP: in clear, or with TLS that begins so."""
        upper, secret = name.upper(), self.folder / f"password_{name}"
        secret.write_text(password + "\n")
        site = ["-alias", name, "-protocol", "FTP", "-dest_address", f"{getattr(peer, 'host', HOST)}/{peer.port}"]
        site += ["-login_ident", peer.login, "-login_password_from_file", str(secret)]
        site += ["-dir_name", peer.dir_name] if peer.dir_name else []
        if retry_s:
            site += ["-retry_delay_min", str(retry_s), "-retry_delay_max", str(retry_s), "-retry_count_max", "500"]
        if tls:
            self.run("secadm", "import_cert", "-ctfn", upper, "-ctff", str(peer.shown))
            profile = ["-spn", "OUT", "-spt", "CLIENT", "-client_auth_policy", "TLS_AUT_ANONYMOUS", "-ft_sec_option", tls]
            self.run("secadm", "create_sprof", *profile)
            site += ["-network_security_option", "TLS", "-tls_sprof_out", "OUT"]
        else:
            site += ["-network_security_option", "NONE"]
        self.run("peladm", "create_site", *site, *extra)

    def route(self, source, target):
        """Files that one partner sends go to another."""
        self.run("route", "add", f"{source}_{target}", "-from_site", source, "-to", target)

    def somewhere(self, login):
        """A route to a partner that is never there, so that what is routed stays to be seen."""
        class Nobody:
            port = free_port()
            host_key = Key(self.folder / "nobody")

        self.remote("nobody", Nobody)
        self.route(login, "nobody")

    def quarantine(self):
        return self.json("quarantine", "list")

    # --- what happened

    def transfers(self, *criteria):
        """Rows of all transfers, the oldest first."""
        return self.json("peldsp", "status_trans", "-last", "10000", *criteria)[::-1]

    def received(self, login, file_name, wanted=True):
        """Size and digest of a whole file from a partner: waits for it if `wanted`, else says what is there now."""
        def look():
            rows = self.transfers("-direction", "I", "-file_name", file_name)
            rows = [row for row in rows if row["Site"] == login and row["State"] in ENDED]
            return self.display(rows[-1]["Ident"]) if rows else None

        return until(f"{file_name} of {login} is there", look) if wanted else look()

    def display(self, ident):
        shown = self.json("peldsp", "display_trans", str(ident))
        return {
            "size": shown["x_file_size"], "sha256": shown["x_sha256"], "state": shown["x_full_state"],
            "durable": shown["x_x_bytes"],
        }

    def secured(self, ident):
        """How the connection of a transfer was secured: profile, version, and who has shown a certificate; none in clear."""
        shown = self.json("peldsp", "display_trans", str(ident))
        names = ("x_tls_profile", "x_tls_version", "x_tls_client_auth", "x_tls_server_auth")
        assert bool(shown["x_tls_suite"]) == bool(shown["x_tls_profile"])
        return tuple(shown[name] for name in names) if shown["x_tls_profile"] else None

    def deliveries(self, file_name):
        """Rows of files that go out, of one name or all."""
        name = ["-file_name", file_name] if file_name else []
        return self.transfers("-direction", "O", *name)

    def reason(self, file_name, word):
        """The story of a delivery that failed so far, if that holds `word`."""
        for row in self.deliveries(file_name):
            text = self.run("why", str(row["Ident"])).stdout
            if "in a row" in text and word in text:
                return text
        return None

    def idle(self):
        """Nothing waits and nothing runs."""
        return all(row["State"] in OVER for row in self.transfers())
