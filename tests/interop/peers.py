"""The other ends: keys, files, real clients and servers, each in its own folder and on its own port."""

import asyncio
import contextlib
import hashlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

HOST = "127.0.0.1"


def need(program):
    """The path of a peer's program. A missing one fails in CI, and skips the test elsewhere."""
    unpacked = os.environ.get("GATEHOUSE_PEERS", "/nonexistent")
    places = os.environ.get("PATH", "") + f":/usr/sbin:/sbin:{unpacked}/usr/sbin:{unpacked}/usr/bin"
    found = shutil.which(program, path=places)
    if found:
        return found
    if os.environ.get("CI", "") not in ("", "0", "false"):
        pytest.fail(f"{program} is not installed: run cargo xtask setup")
    return pytest.skip(f"{program} is not installed")


def ports():
    """The ports of this process, one after the other: below those that the system gives to callers, and apart from those of
    a worker that runs other tests at the same time."""
    worker = "".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or "0"
    first, count = 18_000 + int(worker) % 3 * 4500, 4500
    return (first + n % count for n in itertools.count(os.getpid() * 37))


PORTS, PORTS_LOCK = ports(), threading.Lock()


def free_port():
    """A port that nobody listens on now, for peers that cannot choose one by themselves."""
    with PORTS_LOCK:
        for port in PORTS:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise AssertionError("there is always one more port")


def until(what, ask, limit=30.0):
    """Asks again until the answer is true, and gives it back; fails with `what` after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"waited {limit:.0f} s in vain: {what}; last answer: {answer!r}")
        time.sleep(0.02)


def sha256(path):
    """SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_file(path, octets):
    """A file that nothing can compress or guess; returns its path."""
    path = Path(path)
    with path.open("wb") as file:
        left = octets
        while left > 0:
            piece = os.urandom(min(left, 1 << 20))
            file.write(piece)
            left -= len(piece)
    return path


class Key:
    """A key pair in OpenSSH files, made by ssh-keygen."""

    def __init__(self, path, kind="ed25519", bits=None):
        self.path = Path(path)
        command = [need("ssh-keygen"), "-q", "-t", kind, "-N", "", "-C", self.path.name, "-f", str(self.path)]
        subprocess.run(command + (["-b", str(bits)] if bits else []), check=True, stdin=subprocess.DEVNULL)
        self.public = Path(f"{path}.pub")

    @property
    def line(self):
        return self.public.read_text().strip()

    @property
    def fingerprint(self):
        """As OpenSSH prints it: SHA256:..."""
        command = [need("ssh-keygen"), "-l", "-f", str(self.public)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


class OpenSsh:
    """The OpenSSH clients, with a home of their own."""

    def __init__(self, folder, port, login, key=None, password=None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self.login, self.key, self.password = port, login, key, password

    def environment(self):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        if self.password is not None:
            asker = self.folder / "askpass"
            asker.write_text('#!/bin/sh\nprintf "%s\\n" "$GATEHOUSE_TEST_PASSWORD"\n')
            asker.chmod(0o700)
            env |= {"SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
            env["GATEHOUSE_TEST_PASSWORD"] = self.password
        return env

    def options(self):
        known = self.folder / "known_hosts"
        words = ["-F", "none", "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none"]
        words += ["-o", "StrictHostKeyChecking=accept-new", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=20"]
        words += ["-o", "NumberOfPasswordPrompts=1", "-o", "UpdateHostKeys=no"]
        words += ["-o", "IdentityAgent=none"]
        words += ["-i", str(self.key.path)] if self.key else ["-o", "IdentityFile=none"]
        if self.password is None:
            words += ["-o", "BatchMode=yes"]
        return words

    def sftp_command(self, *options):
        return [need("sftp"), *self.options(), "-P", str(self.port), *options]

    def target(self):
        return f"{self.login}@{HOST}"

    def sftp(self, *lines, options=(), limit=60, check=True):
        """Runs a batch. With a password sftp's own -b is no help (it forbids to ask), so commands come by stdin."""
        words = self.sftp_command(*options)
        batch = "".join(line + "\n" for line in lines)
        if self.password is None:
            words += ["-b", "-"]
        done = subprocess.run(
            [*words, self.target()], input=batch, capture_output=True, text=True, timeout=limit,
            env=self.environment(), cwd=self.folder, errors="replace",
        )
        if check:
            assert done.returncode == 0, f"sftp {lines}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start_sftp(self, *lines, options=()):
        """Starts a batch and gives the process, to be cut short."""
        batch = self.folder / "batch"
        batch.write_text("".join(line + "\n" for line in lines))
        words = [*self.sftp_command(*options), "-b", str(batch), self.target()]
        return subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=self.environment(), cwd=self.folder, start_new_session=True,
        )

    def ssh(self, *words, limit=30):
        command = [need("ssh"), *self.options(), "-p", str(self.port), *words]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit,
            env=self.environment(), cwd=self.folder,
        )


def cut(process, by=signal.SIGKILL):
    """Ends a client and the ssh that it started, at once. One that has ended already is left alone: its number may be
    another's by now."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, by)
    return process.communicate(timeout=30)[0]


class SoftHsm:
    """A library of PKCS#11 with a token called gateway, whose keys lie in a folder."""

    PIN = "2718-2818"
    PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so")

    def __init__(self, folder):
        need("softhsm2-util"), need("pkcs11-tool")
        self.folder = Path(folder)
        self.tokens, self.pin_file = self.folder / "tokens", self.folder / "pin"
        self.tokens.mkdir(parents=True)
        self.library = next(place for place in self.PLACES if Path(place).exists())
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.variables = {"SOFTHSM2_CONF": str(conf)}
        self.write_pin(self.PIN)
        self.call("softhsm2-util", "--init-token", "--free", "--label", "gateway", "--so-pin", "31415926", "--pin", self.PIN)

    def write_pin(self, pin):
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(pin + "\n")

    def call(self, program, *words):
        env = os.environ | self.variables
        return subprocess.run([need(program), *words], check=True, capture_output=True, text=True, env=env, timeout=60).stdout

    def tool(self, *words):
        return self.call("pkcs11-tool", "--module", self.library, "--token-label", "gateway", "--login", "--pin", self.PIN, *words)

    def pair(self, label, kind="EC:prime256v1", ident="01"):
        self.tool("--keypairgen", "--key-type", kind, "--label", label, "--id", ident, "--usage-sign")

    def settings(self, more=""):
        return f'[pkcs11.hsm]\nlibrary = "{self.library}"\npin_file = "{self.pin_file}"\n{more}'

    @staticmethod
    def uri(label):
        return f"pkcs11:token=gateway;object={label}?module-name=hsm"


class Sshd:
    """An OpenSSH server as a partner: its own key, config and folder, run by whoever runs the tests."""

    def __init__(self, folder, authorized, host_key=None, extra=()):
        self.folder = Path(folder)
        self.files = self.folder / "files"
        self.files.mkdir(parents=True)
        self.host_key = host_key or Key(self.folder / "host_key")
        self.authorized, self.extra = authorized, extra
        self.port = free_port()
        self.login = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
        self.process = None
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.start()

    def start(self):
        keys = self.folder / "authorized_keys"
        keys.write_text("".join(key.line + "\n" for key in self.authorized))
        config = self.folder / "sshd_config"
        lines = [
            f"Port {self.port}", f"ListenAddress {HOST}", f"HostKey {self.host_key.path}", f"AuthorizedKeysFile {keys}",
            "StrictModes no", "UsePAM no", "PidFile none", "PasswordAuthentication no", "PermitRootLogin yes",
            "UseDNS no", "MaxStartups 100", f"Subsystem sftp internal-sftp -d {self.files}", *self.extra,
        ]
        config.write_text("\n".join(lines) + "\n")
        log = (self.folder / "sshd.log").open("ab")
        words = [need("sshd"), "-D", "-e", "-f", str(config)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("sshd listens", lambda: listens(self.port))

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


class AsyncsshServer:
    """asyncssh's SFTP server as a partner, in a thread of this process."""

    def __init__(self, folder, authorized=(), password=None):
        import asyncssh

        self.asyncssh = asyncssh
        self.folder = Path(folder)
        self.files = self.folder / "files"
        self.files.mkdir(parents=True)
        self.host_key = Key(self.folder / "host_key")
        self.keys = self.folder / "authorized_keys"
        self.keys.write_text("".join(key.line + "\n" for key in [*authorized, self.host_key]))
        self.password = password
        self.loop = asyncio.new_event_loop()
        self.port, self.server = None, None
        self.started = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        assert self.started.wait(30), "asyncssh did not start"

    def serve(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.open())
        self.started.set()
        self.loop.run_forever()

    async def open(self):
        asyncssh, files, password = self.asyncssh, self.files, self.password

        class Server(asyncssh.SSHServer):
            def password_auth_supported(self):
                return password is not None

            def validate_password(self, username, word):
                return word == password

        def factory(chan):
            return asyncssh.SFTPServer(chan, chroot=str(files).encode())

        self.server = await asyncssh.create_server(
            Server, HOST, 0, server_host_keys=[str(self.host_key.path)], authorized_client_keys=str(self.keys),
            sftp_factory=factory,
        )
        self.port = self.server.sockets[0].getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        async def close():
            self.server.close()
            await self.server.wait_closed()

        with contextlib.suppress(Exception):
            asyncio.run_coroutine_threadsafe(close(), self.loop).result(timeout=10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(timeout=10)
