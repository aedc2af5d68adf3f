"""What a run plays on: a lane has the partner's server and the lines, a scene one gateway with its files."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

from databases import Postgres, Sqlite
from gateway import OVER, Gateway
from peers import cut, make_file, sha256
from watch import Watch

# How long a client goes on with one file, and a gateway with what it has, after all troubles are over.
CLIENT_S, SETTLE_S, TRY_S = 60, 45, 20
PAUSE_S = 0.05
# How `why` tells of an upload whose partner has put another one in its place before it was routed.
REPLACED = "removed or replaced by the partner"


class Lane:
    """One run after the other."""

    def __init__(self, folder, carrier, carriers, with_postgres):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.carrier = carrier(self.folder)
        self.server = None
        self.database = Postgres(self.folder / "pg", carriers) if with_postgres else Sqlite()
        try:
            self.set_up(carriers)
        except BaseException:
            self.close()
            raise

    def set_up(self, carriers):
        first = Gateway(self.folder / "begin", self.database.settings("begin"))
        first.start()
        self.server = self.carrier.server(self.folder / "bravo", first)
        self.arrivals = Watch(self.server.files)
        self.outward = carriers.line(self.server.port, getattr(self.server, "doors", None))
        self.carrier.set_up(first, self.outward.port, self.server)
        self.ports, self.own = first.ports, first.own
        self.inward = carriers.line(self.carrier.inward(first), self.carrier.doors)
        quiet = self.folder / "quiet"
        quiet.mkdir()
        self.carrier.client(quiet, self.inward.port, "alpha")
        assert first.stop() == 0, first.log()
        self.begin = first.data

    def close(self):
        if self.server:
            self.server.stop()
        self.database.stop()


class File:
    """One file on its way, and what its sender knows of it."""

    def __init__(self, name, login, path, octets):
        self.name, self.login, self.path, self.octets = name, login, path, octets
        self.digest = sha256(path)
        self.tries, self.acknowledged = 0, False


class Scene:
    """One run's gateway, from a copy of the lane's data folder."""

    def __init__(self, lane, seed, dice):
        self.lane, self.seed, self.dice = lane, seed, dice
        self.folder = lane.folder / f"run{seed}"
        self.name = f"run{seed}"
        self.findings, self.files, self.mounted = [], [], False
        self.gateway = Gateway(self.folder, lane.database.settings(self.name))
        self.gateway.ports = lane.ports
        self.limits, self.prefix = None, []
        self.others = []
        # What a trouble wants undone when the run is over.
        self.at_end = []
        self.over = threading.Event()
        # Held while the gateway is being killed and started: the checks wait for it.
        self.process = threading.RLock()

    def copy_data(self):
        for path in self.lane.begin.iterdir():
            if path.name not in ("gatehouse.toml", "lock", "admin.sock"):
                for gateway in (self.gateway, *self.others):
                    (shutil.copytree if path.is_dir() else shutil.copy2)(path, gateway.data / path.name)

    def second(self):
        """One more gateway on the same database, which it will share."""
        settings = (self.gateway.data / "gatehouse.toml").read_text().partition("[database]")[2]
        other = Gateway(self.folder / "second", "[database]" + settings)
        self.others.append(other)
        return other

    def mount(self, octets):
        """A file system of its own for the data folder, if we may."""
        words = ["mount", "-t", "tmpfs", "-o", f"size={octets},mode=0700", "none", str(self.gateway.data)]
        text = (self.gateway.data / "gatehouse.toml").read_bytes()
        self.mounted = os.getuid() == 0 and subprocess.run(words, capture_output=True).returncode == 0
        (self.gateway.data / "gatehouse.toml").write_bytes(text)
        return self.mounted

    def start(self):
        with self.process:
            self.gateway.limits = self.limits
            program = self.gateway.program
            if self.prefix:
                wrapper = self.folder / "gatehouse"
                words = " ".join(map(str, self.prefix))
                wrapper.write_text(f'#!/bin/sh\nexec {words} {program} "$@"\n')
                wrapper.chmod(0o700)
                self.gateway.program = str(wrapper)
            self.gateway.start()
            self.gateway.program = program
            for other in self.others:
                other.start()

    def kill(self):
        with self.process:
            self.gateway.kill()
            self.gateway.start()

    def make_files(self, most):
        sizes = [0, 900, 16_384, 40_000, 300_000, 2_000_000, 5_000_000]
        for number in range(self.dice.randint(1, most)):
            login = "keeper" if self.dice.random() < 0.3 else "alpha"
            octets = self.dice.choice(sizes)
            path = make_file(self.folder / f"source{number}", octets)
            self.files.append(File(f"f{number}.{self.dice.randint(0, 9999):04}", login, path, octets))

    def finding(self, kind, text):
        self.findings.append((kind, text))

    # --- the sender

    def send(self, file):
        """Tries until the file is acknowledged, as a patient partner does."""
        folder = self.folder / f"client_{file.name}"
        folder.mkdir()
        until = time.monotonic() + CLIENT_S
        while not file.acknowledged and time.monotonic() < until:
            again = file.tries % 2 == 1
            file.tries += 1
            run = self.lane.carrier.upload(folder, self.lane.inward.port, file.login, file.name, file.path, again)
            try:
                run.communicate(timeout=TRY_S)
                file.acknowledged = run.returncode == 0
            except subprocess.TimeoutExpired:
                cut(run)
            if not file.acknowledged:
                self.look_in_between(file, folder)
                time.sleep(PAUSE_S)

    def send_besides(self, file, number):
        """One more try of the same file, over another session, whatever the sender does."""
        folder = self.folder / f"besides{number}_{file.name}"
        folder.mkdir()
        file.tries += 1
        run = self.lane.carrier.upload(folder, self.lane.inward.port, file.login, file.name, file.path, False)
        try:
            run.communicate(timeout=TRY_S)
        except subprocess.TimeoutExpired:
            cut(run)

    def look_in_between(self, file, folder):
        """A file that was not acknowledged is seen whole or not at all."""
        if file.login != "keeper":
            return
        with contextlib.suppress(Exception):
            seen = self.lane.carrier.listed(folder, self.lane.inward.port, file.login).get(file.name)
            if seen not in (None, file.octets):
                self.finding("half visible", f"{file.name}: {seen} of {file.octets} octets are listed")

    # --- the end

    def settle(self):
        """Waits until nothing is left to do. An operator restarts what waits for its next try."""
        with contextlib.suppress(AssertionError):
            self.gateway.run("pelctl", "start_site", "bravo")
        until = time.monotonic() + SETTLE_S
        while True:
            rows = self.gateway.transfers()
            if rows and all(row["State"] in OVER for row in rows) or not rows:
                return rows
            if time.monotonic() > until:
                stuck = [row for row in rows if row["State"] not in OVER]
                for row in stuck:
                    kind = "parked" if row["State"] == "suspended" else "stuck"
                    self.finding(kind, self.gateway.run("why", str(row["Ident"])).stdout)
                return rows
            self.nudge(rows)
            time.sleep(PAUSE_S)

    def nudge(self, rows):
        """What waits for its next try is tried now."""
        for row in rows:
            if row["State"] == "to restart" and row["Dir"] == "O":
                self.gateway.run("pelctl", "control_trans", str(row["Ident"]), "-action", "R", check=False)
            if row["State"] == "to begin" and row["Dir"] == "O":
                self.gateway.run("pelctl", "start_site", "bravo", check=False)

    def all_sent(self):
        return all(file.acknowledged for file in self.files)

    def check(self, rows):
        """Compares what was sent, what the gateway says and what is at the partner."""
        arrivals = self.lane.arrivals.taken()
        ways = {}
        for name, before in arrivals:
            if self.lane.carrier.is_temporary(name):
                continue
            if before is None:
                self.finding("half visible", f"{name} was made at the partner under its final name")
                continue
            ways.setdefault(name, []).append(self.lane.carrier.ident(before))
        for file in self.files:
            self.check_file(file, rows, ways.get(file.name, []))
        left = [path.name for path in self.lane.server.files.iterdir() if self.lane.carrier.is_temporary(path.name)]
        if left:
            self.finding("stuck", f"left at the partner: {left}")
        if any("panicked" in gateway.log() for gateway in (self.gateway, *self.others)):
            self.finding("stuck", "the gateway panicked: see its log")

    def check_file(self, file, rows, arrived):
        mine = [row for row in rows if row["File"] == file.name]
        if any(row["State"] not in OVER for row in mine):
            return  # told already: it is stuck or parked
        received = [row for row in mine if row["Dir"] == "I" and row["State"] == "ended"]
        if not file.acknowledged:
            self.finding("stuck", f"{file.name} was not acknowledged in {file.tries} tries")
        if len(received) > file.tries:
            self.finding("double", f"{file.name}: {len(received)} uploads are whole after {file.tries} tries")
        if file.login == "keeper":
            self.check_kept(file)
            return
        there = self.lane.server.files / file.name
        if file.acknowledged and not (there.exists() and sha256(there) == file.digest):
            what = f"{there.stat().st_size} of {file.octets} octets" if there.exists() else "nothing"
            self.finding("loss", f"{file.name} was acknowledged; at the partner is {what}")
        sent = {str(row["Ident"]) for row in mine if row["Dir"] == "O" and row["State"] == "ended"}
        if len(arrived) != len(set(arrived)):
            self.finding("double", f"{file.name}: transfers {arrived} arrived")
        if set(arrived) != sent:
            self.finding("double" if set(arrived) - sent else "loss", f"{file.name}: {arrived} arrived, {sent} are recorded")
        if len(sent) != len(received):
            told = [self.gateway.run("why", str(row["Ident"])).stdout for row in received]
            # Who goes on with a file that is whole, but has not gone on its way, makes one file of both.
            own = [text for text in told if REPLACED not in text]
            if not own or len(sent) != len(own):
                text = "\n".join(told)
                self.finding("loss", f"{file.name}: {len(received)} whole uploads, {len(sent)} deliveries\n{text}")

    def check_kept(self, file):
        folder, port = self.folder / f"client_{file.name}", self.lane.inward.port
        seen = self.lane.carrier.listed(folder, port, file.login)
        if seen.get(file.name) != file.octets:
            self.finding("loss", f"{file.name} was acknowledged; {seen.get(file.name)} of {file.octets} octets are listed")
            return
        back = folder / "back"
        self.lane.carrier.fetch(folder, port, file.login, file.name, back)
        if hashlib.sha256(back.read_bytes()).hexdigest() != file.digest:
            self.finding("loss", f"{file.name} has other content than was sent")

    def arrived_now(self, name, before):
        """Called at the moment that a file gets its final name at the partner: it has to be whole."""
        file = next((f for f in self.files if f.name == name), None)
        if file is None or self.lane.carrier.is_temporary(name):
            return
        with contextlib.suppress(FileNotFoundError):
            if sha256(self.lane.server.files / name) != file.digest:
                self.finding("half visible", f"{name} got its final name at the partner before it was whole")

    def close(self, keep):
        """Ends everything. Gives whether the gateway ended in order."""
        with self.process:
            codes = [gateway.stop() for gateway in (self.gateway, *self.others)]
        code = next((code for code in codes if code), 0)
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.gateway.data)], check=True)
        for undo in self.at_end:
            undo()
        self.lane.inward.drop()
        self.lane.outward.drop()
        self.lane.database.forget(self.name)
        for path in self.lane.server.files.iterdir():
            path.unlink()
        self.lane.arrivals.taken()
        log = "".join(gateway.log() for gateway in (self.gateway, *self.others))
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        return code, log
