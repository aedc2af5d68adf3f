"""Several gateways on one PostgreSQL, each a process with a data folder of its own."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

from gateway import Gateway
from peers import HOST, free_port, listens, until

sys.path.append(str(Path(__file__).parents[2] / "faults"))

from databases import Postgres  # noqa: E402
from line import Carriers, Trouble  # noqa: E402, F401

LEASE_S = 3


class Direct:
    """The database is reached without a line in between."""

    @staticmethod
    def line(port):
        return SimpleNamespace(port=port)


class Node(Gateway):
    """One of the gateways; the first one sets things up, and listeners are each node's own."""

    def __init__(self, folder, name, settings):
        super().__init__(folder, settings)
        self.name = name
        # All nodes are on one machine: a listener of all of them would be of the one that is first at its port.
        self.of_node = ["-node", name]

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def listen(self, mode):
        """A port of this node alone, with the profile that another node's port of this mode has."""
        port, name = free_port(), f"SFTP_{mode.upper()}_{self.name.upper()}"
        where = ["-security_option", "SSH", "-dest_address", f"*/{port}", "-org_address", "*/*"]
        self.run("secadm", "create_netprof", "-nprof_name", name, *where, "-sprof_name", f"SFTP_{mode.upper()}")
        words = ["-name", name, "-address", HOST, "-port", str(port), "-protocol", "SFTP", "-node", self.name]
        self.run("listener", "add", *words)
        until("the node listens", lambda: listens(port))
        self.ports[mode] = port
        return port


class Cluster:
    """The database, the folder of payloads, and the nodes."""

    def __init__(self, folder, shared=True, store="", database=Postgres):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # The server runs as a user of its own, who cannot look into the folders of the tests.
        self.place = Path(tempfile.mkdtemp(prefix="gatehouse-nodes-"))
        self.database = database(self.place / "pg", Direct)
        self.base = self.database.settings("begin")
        self.payloads = self.folder / "payloads"
        self.payloads.mkdir(mode=0o700)
        self.store = store or (f'[store]\nfolder = "{self.payloads}"\n' if shared else "")
        self.nodes = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        codes = {}
        for node in self.nodes:
            if node.process:
                node.wake()
                codes[node.name] = node.stop()
        self.database.stop()
        shutil.rmtree(self.place, ignore_errors=True)
        if kind is None:
            told = "".join(f"--- {node.name}\n{node.log()[-3000:]}" for node in self.nodes)
            assert not any(codes.values()), f"{codes}\n{told}"

    def add(self, name, lease_s=LEASE_S):
        settings = f'[node]\nname = "{name}"\nlease_s = {lease_s}\n{self.store}{self.base}'
        node = Node(self.folder / name, name, settings)
        if self.nodes:
            # What an operator does for each further node.
            shutil.copy2(self.nodes[0].data / "master.key", node.data / "master.key")
            os.chmod(node.data / "master.key", 0o600)
        node.start()
        self.nodes.append(node)
        return node

    def sql(self, text):
        return self.database.sql(text, "begin").strip()
