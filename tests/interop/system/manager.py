"""What a service manager does for a service, as far as a test needs it: sockets of our own, and a receiver of states."""

import os
import socket
import subprocess

import pytest

from peers import until


class Receiver:
    """Receives what a service tells by sd_notify(3)."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.messages = []

    def close(self):
        self.socket.close()

    def all(self):
        """Every message so far, each as a dictionary."""
        while True:
            try:
                text = self.socket.recv(8192).decode()
            except BlockingIOError:
                return self.messages
            self.messages.append(dict(line.split("=", 1) for line in text.splitlines()))

    def wait_for(self, name, value=None, after=0, limit=30.0):
        """The place behind the first message from `after` on that has this variable (with this value)."""
        def look():
            for at, message in enumerate(self.all()[after:], after):
                if name in message and value in (None, message[name]):
                    return at + 1
            return 0

        return until(f"{name}={value}", look, limit)

    def count(self, name):
        return sum(name in message for message in self.all())


class Managed:
    """The environment of a service for a gateway of `gateway.py`: `gateway.manage(self)` before it starts."""

    def __init__(self, folder):
        self.receiver = Receiver(folder)
        self.variables = {"NOTIFY_SOCKET": str(self.receiver.path)}
        self.sockets = []

    def socket(self, name, host="127.0.0.1", family=socket.AF_INET):
        """Opens a listening socket that is handed over as `name`; its port."""
        opened = socket.socket(family)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, 0))
        opened.listen(128)
        self.sockets.append((name, opened))
        return opened.getsockname()[1]

    def close(self):
        self.receiver.close()
        for _, opened in self.sockets:
            opened.close()

    def start(self, gateway, extra=()):
        """Starts the gateway as a service manager does: sockets from descriptor 3 on, for this process alone."""
        numbers = [opened.fileno() for _, opened in self.sockets]
        variables = gateway.environment() | self.variables
        if numbers:
            names = ":".join(name for name, _ in self.sockets)
            variables |= {"LISTEN_FDS": str(len(numbers)), "LISTEN_FDNAMES": names}

        def hand_over():
            # Out of the way first: a number may be one of those that are wanted.
            away = [os.dup(number) for number in numbers]
            high = [os.dup2(number, 100 + at) for at, number in enumerate(away)]
            for at, number in enumerate(high):
                os.dup2(number, 3 + at, inheritable=True)
                os.close(number)

        words = [gateway.program, "serve", "--data", str(gateway.data), *extra]
        # LISTEN_PID is the number of the process itself, which only the process knows beforehand.
        script = 'LISTEN_PID=$$ exec "$@"' if numbers else 'exec "$@"'
        log = gateway.log_file.open("ab")
        gateway.process = subprocess.Popen(
            ["/bin/sh", "-c", script, "sh", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=variables, preexec_fn=hand_over, close_fds=False if numbers else True,
        )
        log.close()


@pytest.fixture
def managed(tmp_path):
    """A service manager for one gateway."""
    manager = Managed(tmp_path)
    yield manager
    manager.close()


def connection_is_closed(host, port, family=socket.AF_INET):
    """Whether a call is taken and closed at once, without an octet."""
    with socket.socket(family) as caller:
        caller.settimeout(10)
        caller.connect((host, port))
        try:
            return caller.recv(1) == b""
        except ConnectionResetError:
            return True
