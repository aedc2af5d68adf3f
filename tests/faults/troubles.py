"""Everything that goes wrong, by name. A trouble is prepared before the gateway starts and then plays while files move;
when it returns, it is over."""

import os
import resource
import signal
import subprocess
import threading
import time

from line import Trouble
from peers import until

MIB = 1 << 20
# The gateway keeps so much of a disk free (`free_octets_min`).
RESERVE = 32 * MIB
# How long a file may take to go out over a bad line, before the line is mended.
OUTWARD_S = 6
LINES = ["cut", "closed", "stalled", "half_open", "slow", "chopped", "flipped", "late"]


class Quiet:
    """Nothing goes wrong: the harness itself is right."""

    postgres = False

    def __init__(self, scene):
        self.scene, self.dice = scene, scene.dice

    def prepare(self):
        pass

    def play(self):
        pass

    def describe(self):
        return ""

    def strikes(self):
        """How often it struck."""
        return 0 if type(self) is Quiet else 1


class OnLine(Quiet):
    """A connection of a partner has a trouble of its own."""

    side, kind = "in", "cut"

    def prepare(self):
        # Handshake and login take about 5,000 octets; most troubles shall come later, some before.
        sizes = sum(file.octets for file in self.scene.files)
        self.plans = [self.trouble(sizes) for _ in range(self.dice.choice([1, 1, 2, 3]))]
        carrier = self.scene.lane.carrier
        if self.kind == "flipped" and self.side in carrier.trusting:
            self.plans = []
        # Where a session has several connections, any of them may be the first that it strikes.
        spared = self.dice.randint(0, 3) if self.side in carrier.by_doors else 0
        self.line().arm([None] * spared + self.plans)

    def trouble(self, sizes):
        # A control connection of FTP carries less than others.
        first = 600 if self.side in self.scene.lane.carrier.by_doors else 6000
        within = [self.dice.uniform(1, first), self.dice.uniform(2500, 9000), self.dice.uniform(1, sizes + 9000)]
        at = int(self.dice.choice(within))
        kind = "cut" if self.kind == "closed" else self.kind
        return Trouble(
            kind, at, length=self.dice.uniform(0.3, 2.0), way=self.dice.choice(["up", "down"]), reset=self.kind != "closed",
            recovers=self.dice.random() < 0.5, bit=self.dice.randint(0, 7), dice=self.dice,
        )

    def play(self):
        """Files go out on their own time: the line stays as it is until each trouble has had its connection, or nothing is
        left that would call. An operator restarts what waits."""
        if self.side == "in":
            return
        until = time.monotonic() + OUTWARD_S
        while time.monotonic() < until and self.line().is_waiting():
            rows = [row for row in self.scene.gateway.transfers() if row["Dir"] == "O"]
            if self.scene.all_sent() and all(row["State"] == "ended" for row in rows):
                return
            self.scene.nudge(rows)
            time.sleep(0.1)

    def line(self):
        return self.scene.lane.inward if self.side == "in" else self.scene.lane.outward

    def strikes(self):
        return self.line().strikes

    def describe(self):
        return ", ".join(f"{plan.kind} at octet {plan.at} {plan.way} {plan.length:.1f} s" for plan in self.plans)


class Killed(Quiet):
    """kill -9, once or twice."""

    def play(self):
        for _ in range(self.dice.choice([1, 1, 2])):
            time.sleep(self.dice.uniform(0.0, 0.6))
            self.scene.kill()


class KilledOnBrokenLines(Killed):
    """kill -9 while the partners' connections break, too."""

    def prepare(self):
        for line in (self.scene.lane.inward, self.scene.lane.outward):
            plans = [Trouble("cut", int(self.dice.uniform(1, 50_000)), reset=self.dice.random() < 0.5) for _ in range(2)]
            line.arm(plans)


class FullDisk(Quiet):
    """The data folder's disk has hardly room, then has again. Where we may not mount: no file may grow."""

    def prepare(self):
        if not self.scene.mount(RESERVE + 24 * MIB):
            self.scene.limits = self.limit

    def fill(self, filler, left):
        """Leaves so much; fails where the gateway takes some of it meanwhile."""
        disk = subprocess.run(["df", "--output=avail", "-B1", filler.parent], capture_output=True, text=True, check=True)
        size = max(1, int(disk.stdout.split()[1]) - left)
        return subprocess.run(["fallocate", "-l", str(size), str(filler)], capture_output=True).returncode == 0

    def limit(self):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, resource.RLIM_INFINITY))

    def play(self):
        filler = self.scene.gateway.data / "filler"
        if self.scene.mounted:
            # Down to the reserve, or far into it, so that the database has no room either.
            left = self.dice.choice([RESERVE + self.dice.randint(0, 2 * MIB), self.dice.randint(0, MIB)])
            until("the disk is full", lambda: self.fill(filler, left))
        time.sleep(self.dice.uniform(0.4, 1.5))
        if self.scene.mounted:
            filler.unlink()
        else:
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(self.scene.gateway.process.pid, resource.RLIMIT_FSIZE, unlimited)


class ReadOnly(Quiet):
    """The folders of payloads cannot be written for a while."""

    def prepare(self):
        # Root writes everywhere unless it has lost the right to.
        drop = "-dac_override,-dac_read_search"
        if os.getuid() == 0:
            self.scene.prefix = ["setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}"]

    def play(self):
        folders = [self.scene.gateway.data / name for name in ("payload", "staging")]
        inside = [path for folder in folders for path in folder.rglob("*") if path.is_dir()]
        for folder in (*folders, *inside):
            folder.chmod(0o500)
        time.sleep(self.dice.uniform(0.3, 1.5))
        for folder in (*folders, *inside):
            folder.chmod(0o700)


class Locked(Quiet):
    """Another program holds the database."""

    def play(self):
        time.sleep(self.dice.uniform(0.0, 0.3))
        self.scene.lane.database.locked(self.scene.gateway.data, self.dice.choice([0.3, 1.0, 6.5]))


class SecondGateway(Quiet):
    """A second gateway on the same folder is refused, and the first goes on."""

    def play(self):
        gateway = self.scene.gateway
        for _ in range(2):
            words = [gateway.program, "serve", "--data", str(gateway.data)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=30, env=gateway.environment())
            if done.returncode != 1 or "in use" not in done.stdout + done.stderr:
                self.scene.finding("stuck", f"a second gateway was not refused: {done.returncode} {done.stderr}")


class SecondAtDeath(Quiet):
    """The gateway is killed at the moment when two others start on its folder: at most one of them works there."""

    def play(self):
        scene, gateway = self.scene, self.scene.gateway
        time.sleep(self.dice.uniform(0.0, 0.4))
        with scene.process:
            moments = sorted((self.dice.uniform(0.0, 0.05), what) for what in ("kill", "start", "start"))
            others, began = [], time.monotonic()
            for at, what in moments:
                time.sleep(max(0.0, began + at - time.monotonic()))
                if what == "kill":
                    gateway.kill()
                else:
                    others.append(gateway.another())
            self.choose(others)

    def choose(self, others):
        """The one that lives is the run's gateway from now on; if both were too early, a person starts it again."""
        gateway = self.scene.gateway
        until = time.monotonic() + 30
        while sum(other.poll() is None for other in others) > 1 and time.monotonic() < until:
            time.sleep(0.02)
        living = [other for other in others if other.poll() is None]
        ended = [other.returncode for other in others if other.poll() is not None]
        if any(code != 1 for code in ended):
            self.scene.finding("stuck", f"a gateway that was not alone ended with {ended}")
        if len(living) > 1:
            self.scene.finding("double", "two gateways work on one data folder")
            living.pop().kill()
        if living:
            gateway.adopt(living[0])
        else:
            gateway.start()


class TwoSenders(Quiet):
    """An impatient partner sends the same file over several sessions at once: OPEN of one meets CLOSE of another."""

    def play(self):
        threads = []
        for number in range(2):
            for file in self.scene.files:
                time.sleep(self.dice.uniform(0.0, 0.1))
                threads.append(threading.Thread(target=self.scene.send_besides, args=(file, number)))
                threads[-1].start()
        for thread in threads:
            thread.join()


class AnswersShuffled(Quiet):
    """The partner's server answers pipelined requests in another order."""

    def prepare(self):
        carrier = self.scene.lane.carrier
        self.scene.at_end.append(lambda: carrier.shuffle(None))
        carrier.shuffle(self.dice.randint(0, 1 << 30))


class DatabaseLine(Quiet):
    """The line to PostgreSQL is slow, stalls or breaks."""

    postgres = True

    def play(self):
        database = self.scene.lane.database
        for _ in range(self.dice.randint(1, 3)):
            time.sleep(self.dice.uniform(0.0, 0.3))
            kind = self.dice.choice(["cut", "cut", "stalled", "slow"])
            at = int(self.dice.uniform(1, 20_000))
            length = self.dice.uniform(0.3, 1.0)
            database.line.arm([Trouble(kind, at, length=length, recovers=True) for _ in range(6)])
            # Connections that stand are replaced by ones that have the trouble.
            database.line.cut_all()
        time.sleep(self.dice.uniform(0.3, 1.0))
        database.line.mend()


class DatabaseGone(Quiet):
    """PostgreSQL dies and comes back."""

    postgres = True

    def play(self):
        time.sleep(self.dice.uniform(0.0, 0.4))
        self.scene.lane.database.gone(self.dice.uniform(0.2, 1.5))


class DatabaseHangsUp(Quiet):
    """PostgreSQL ends all our connections, several times."""

    postgres = True

    def play(self):
        for _ in range(self.dice.randint(2, 6)):
            time.sleep(self.dice.uniform(0.0, 0.15))
            self.scene.lane.database.hang_up(self.scene.name)


class DatabaseLocked(Quiet):
    """Somebody holds the tables of PostgreSQL."""

    postgres = True

    def play(self):
        time.sleep(self.dice.uniform(0.0, 0.3))
        self.scene.lane.database.locked(self.scene.name, self.dice.choice([0.3, 1.5, 7.0]))


class KilledOnPostgres(Killed):
    """kill -9 with PostgreSQL as database."""

    postgres = True


class TwoSendersOnPostgres(TwoSenders):
    """The same with PostgreSQL as database."""

    postgres = True


class TwoNodes(Quiet):
    """Two gateways share database and files. One of them, by dice, dies in the middle, and comes back later."""

    postgres = True
    LEASE_S = 2

    def prepare(self):
        shared = self.scene.folder / "shared"
        shared.mkdir(mode=0o700)
        self.other = self.scene.second()
        for name, gateway in (("a", self.scene.gateway), ("b", self.other)):
            settings = gateway.data / "gatehouse.toml"
            node = f'[node]\nname = "{name}"\nlease_s = {self.LEASE_S}\n[store]\nfolder = "{shared}"\n'
            settings.write_text(settings.read_text() + node)

    def play(self):
        time.sleep(self.dice.uniform(0.0, 0.8))
        victim = self.dice.choice([self.scene.gateway, self.other])
        with self.scene.process:
            self.strike(victim)

    def strike(self, victim):
        victim.kill()
        # Sooner than the other one notices, or later.
        time.sleep(self.dice.choice([0.3, self.LEASE_S + 1.5]))
        victim.start()


class NodePaused(TwoNodes):
    """One of two gateways stands still for longer than its lease, and then goes on as if nothing had been."""

    def strike(self, victim):
        victim.process.send_signal(signal.SIGSTOP)
        time.sleep(self.LEASE_S + self.dice.uniform(0.5, 2.0))
        victim.process.send_signal(signal.SIGCONT)


def on_line(side, kind):
    return type(f"{side}_{kind}", (OnLine,), {"side": side, "kind": kind, "__doc__": f"{kind} on the {side}ward line"})


TROUBLES = {
    "quiet": Quiet,
    **{f"{side} line {kind.replace('_', ' ')}": on_line(side, kind) for kind in LINES for side in ("in", "out")},
    "killed": Killed,
    "killed again": Killed,
    "killed on broken lines": KilledOnBrokenLines,
    "disk full": FullDisk,
    "folder read-only": ReadOnly,
    "database locked": Locked,
    "second gateway": SecondGateway,
    "second gateway at its death": SecondAtDeath,
    "two senders": TwoSenders,
    "answers shuffled": AnswersShuffled,
    "PostgreSQL's line": DatabaseLine,
    "PostgreSQL gone": DatabaseGone,
    "PostgreSQL hangs up": DatabaseHangsUp,
    "PostgreSQL locked": DatabaseLocked,
    "killed on PostgreSQL": KilledOnPostgres,
    "node of two killed on PostgreSQL": TwoNodes,
    "node of two paused on PostgreSQL": NodePaused,
    "two senders on PostgreSQL": TwoSendersOnPostgres,
}
