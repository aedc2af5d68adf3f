"""A TCP line between two programs that breaks on purpose.

Every connection through it may meet one trouble, which strikes when a number of octets has passed, both directions taken
together. Knows nothing of any protocol.
"""

import asyncio
import contextlib
import dataclasses
import random
import socket
import struct
import threading

HOST = "127.0.0.1"
# Where a line listens whose protocol opens further connections to ports that it tells: a line stands before each of these,
# under the same number.
FAR_HOST = "127.0.0.2"
DOORS, DOORS_FROM, DOORS_TO = 16, 20_000, 32_000
PIECE = 65536
# What a slow or chopped line does, and for how long at most, so that a run comes to its end.
SLOW_PIECE, SLOW_PAUSE_S = 4096, 0.03
CHOPPED_OCTETS = 6000
# How many octets another connection carries before what is late arrives, and how long that is waited for.
OVERTAKEN_OCTETS, OVERTAKEN_S = 6000, 3.0


class Cut(Exception):
    """The connection ends here."""


@dataclasses.dataclass
class Trouble:
    """What happens to a connection."""

    kind: str
    # Octets that pass before it strikes.
    at: int
    # Seconds that it lasts, where it lasts.
    length: float = 1.0
    # Which direction it strikes, where that matters: "up" is from the one who called.
    way: str = "up"
    # Whether the connection ends by a reset (the other end hears of it) or in order.
    reset: bool = True
    # A stalled line goes on, or ends.
    recovers: bool = False
    bit: int = 0
    dice: object = None


class Connection:
    """One connection through the line, with its trouble."""

    def __init__(self, line, near, far, trouble):
        self.line, self.near, self.far, self.trouble = line, near, far, trouble
        self.octets, self.struck = 0, False
        self.over = asyncio.Event()
        self.began = None
        # What was sent and has not arrived when the caller was cut off.
        self.late_octets, self.is_cut_off = bytearray(), False

    def end(self, reset):
        """Says that it is over. The sockets are closed by who carries, when nothing waits for them any more."""
        if reset and not self.over.is_set():
            for end in (self.near, self.far):
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.over.set()

    async def pieces(self, way, octets):
        """What of these octets goes on, in pieces; raises `Cut` where the connection ends."""
        trouble, first = self.trouble, self.octets
        self.octets += len(octets)
        self.line.octets += len(octets)
        if trouble is None or self.octets <= trouble.at:
            yield octets
            return
        head = max(0, trouble.at - first)
        new, self.struck = not self.struck, True
        if new:
            self.began = asyncio.get_running_loop().time()
            self.line.strikes += 1
        async for piece in getattr(self, trouble.kind)(way, octets, head, new):
            yield piece

    def age(self):
        return asyncio.get_running_loop().time() - self.began

    async def cut(self, way, octets, head, new):
        if head:
            yield octets[:head]
        raise Cut

    async def stalled(self, way, octets, head, new):
        if not new and self.age() >= self.trouble.length and self.trouble.recovers:
            yield octets
            return
        if head:
            yield octets[:head]
        await asyncio.sleep(max(0.0, self.trouble.length - self.age()))
        if not self.trouble.recovers:
            raise Cut
        yield octets[head:]

    async def half_open(self, way, octets, head, new):
        if new:
            asyncio.get_running_loop().call_later(self.trouble.length, self.end, True)
        if way != self.trouble.way:
            yield octets
        elif head:
            yield octets[:head]

    async def late(self, way, octets, head, new):
        """The caller is cut off after a while. What it sent meanwhile is still on its way, and is overtaken by its next
        connection."""
        if way == "down":
            if not self.is_cut_off:
                yield octets
            return
        if new:
            asyncio.get_running_loop().call_later(self.trouble.length, self.cut_off)
        if head:
            yield octets[:head]
        self.late_octets += octets[head:]

    def cut_off(self):
        """The caller hears that the connection is over; the other end does not."""
        self.is_cut_off = True
        with contextlib.suppress(OSError):
            self.near.shutdown(socket.SHUT_RDWR)

    async def arrive_late(self):
        """When another connection has carried something, or nobody comes, the rest goes on; then this one ends."""
        loop, mine = asyncio.get_running_loop(), self.line.octets - self.octets
        until = loop.time() + OVERTAKEN_S
        while loop.time() < until and self.line.octets - self.octets < mine + OVERTAKEN_OCTETS:
            await asyncio.sleep(0.01)
        with contextlib.suppress(OSError):
            await loop.sock_sendall(self.far, bytes(self.late_octets))
            await asyncio.sleep(0.1)

    async def slow(self, way, octets, head, new):
        for at in range(0, len(octets), SLOW_PIECE):
            if self.age() < self.trouble.length:
                await asyncio.sleep(SLOW_PAUSE_S)
            yield octets[at:at + SLOW_PIECE]

    async def chopped(self, way, octets, head, new):
        at = 0
        while at < len(octets):
            small = self.octets - self.trouble.at < CHOPPED_OCTETS
            size = self.trouble.dice.randint(1, 40 if small else 9000)
            yield octets[at:at + size]
            at += size
            await asyncio.sleep(self.trouble.dice.choice([0, 0, 0, 0.001]))

    async def flipped(self, way, octets, head, new):
        if new and head < len(octets):
            octets = bytearray(octets)
            octets[head] ^= 1 << self.trouble.bit
        yield bytes(octets)


class Doors:
    """Ports in a row that a server at `HOST` may tell its callers; at `FAR_HOST` they are taken, for its line."""

    def __init__(self):
        for first in random.sample(range(DOORS_FROM, DOORS_TO, DOORS), (DOORS_TO - DOORS_FROM) // DOORS):
            with contextlib.ExitStack() as taken:
                try:
                    # Nobody else has them, at either address.
                    for port in range(first, first + DOORS):
                        socket.create_server((HOST, port)).close()
                    self.listeners = [taken.enter_context(socket.create_server((FAR_HOST, first + n))) for n in range(DOORS)]
                except OSError:
                    continue
                taken.pop_all()
            self.first, self.last = first, first + DOORS - 1
            return
        raise OSError(f"no {DOORS} ports in a row are free from {DOORS_FROM} to {DOORS_TO}")


class Line:
    """Listens on a port of its own and carries what comes to another one; with `doors`, also what comes to these."""

    def __init__(self, carriers, target, doors=None):
        self.loop = carriers.loop
        self.troubles, self.connections, self.tasks = [], set(), set()
        # Troubles that have struck since the line was armed, and octets of all connections.
        self.strikes, self.octets = 0, 0
        self.lock = threading.Lock()
        own = socket.create_server((FAR_HOST if doors else HOST, 0), backlog=64)
        self.port = own.getsockname()[1]
        self.listeners = [(own, target)] + [(door, door.getsockname()[1]) for door in (doors.listeners if doors else [])]
        for listener, _ in self.listeners:
            listener.setblocking(False)
        asyncio.run_coroutine_threadsafe(self.start(), self.loop).result(10)

    async def start(self):
        for listener, target in self.listeners:
            self.keep(self.accept(listener, target))

    def keep(self, work):
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def arm(self, troubles):
        """The next connections meet these, one each; None: no trouble."""
        with self.lock:
            self.troubles, self.strikes = list(troubles), 0

    def is_waiting(self):
        """Whether a trouble has yet to meet its connection, or has one under way."""
        return bool(self.troubles) or any(c.trouble is not None for c in list(self.connections))

    def mend(self):
        """No more troubles; connections that have one end now, as the last thing that goes wrong."""
        with self.lock:
            self.troubles = []
        asyncio.run_coroutine_threadsafe(self.end(lambda c: c.trouble is not None), self.loop).result(10)

    def drop(self):
        """All connections end now."""
        with self.lock:
            self.troubles = []
        asyncio.run_coroutine_threadsafe(self.end(lambda c: True), self.loop).result(10)

    def cut_all(self):
        """All connections end now; the next ones still meet their troubles."""
        asyncio.run_coroutine_threadsafe(self.end(lambda c: True), self.loop).result(10)

    async def end(self, which):
        for connection in [c for c in self.connections if which(c)]:
            connection.end(True)

    async def accept(self, listener, target):
        while True:
            near, _ = await self.loop.sock_accept(listener)
            self.keep(self.carry(near, target))

    async def carry(self, near, target):
        far = socket.socket()
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self.loop.sock_connect(far, (HOST, target))
        except OSError:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            near.close()
            far.close()
            return
        with self.lock:
            trouble = self.troubles.pop(0) if self.troubles else None
        connection = Connection(self, near, far, trouble)
        self.connections.add(connection)
        ways = [self.one_way(connection, near, far, "up"), self.one_way(connection, far, near, "down")]
        tasks = [self.loop.create_task(way) for way in ways]
        ended = self.loop.create_task(connection.over.wait())
        await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        # One direction may be over while the other still carries something; a reset ends both.
        if not connection.over.is_set():
            await asyncio.wait([asyncio.gather(*tasks, return_exceptions=True), ended], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, ended):
            task.cancel()
        await asyncio.gather(*tasks, ended, return_exceptions=True)
        self.connections.discard(connection)
        near.close()
        far.close()

    async def one_way(self, connection, source, sink, way):
        try:
            while octets := await self.loop.sock_recv(source, PIECE):
                async for piece in connection.pieces(way, octets):
                    await self.loop.sock_sendall(sink, piece)
            if way == "up" and connection.late_octets:
                await connection.arrive_late()
            sink.shutdown(socket.SHUT_WR)
        except Cut:
            connection.end(connection.trouble.reset)
        except OSError:
            # Answers to one who was cut off reach nobody; what it sent may still arrive.
            if not (way == "down" and connection.is_cut_off):
                connection.end(True)


class Carriers:
    """The thread that carries the octets of all lines."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def line(self, target, doors=None):
        return Line(self, target, doors)
