"""What the measurements share: percentiles, the administration socket, the disk of this moment, a process's growth."""

import json
import os
import socket
import statistics
import time
from pathlib import Path


def percentile(values, part):
    """The value that this part of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def told(seconds):
    """p50, p99 and the worst, in milliseconds."""
    return {"p50": statistics.median(seconds) * 1e3, "p99": percentile(seconds, 0.99) * 1e3, "worst": max(seconds) * 1e3}


def timed(work, count):
    """Seconds of each of many calls; each gets its number."""
    spent = []
    for turn in range(count):
        begun = time.perf_counter()
        work(turn)
        spent.append(time.perf_counter() - begun)
    return spent


class Admin:
    """Asks a running gateway what the commands ask it, without starting a program each time."""

    def __init__(self, data):
        self.path = str(Path(data) / "admin.sock")

    def ask(self, operation, files=None, **values):
        request = {"operation": operation, "input": {"values": values, "secrets": {}, "files": {name: list(octets) for name, octets in (files or {}).items()}}}
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(self.path)
            sock.sendall(json.dumps(request).encode())
            sock.shutdown(socket.SHUT_WR)
            reply = bytearray()
            while piece := sock.recv(1 << 20):
                reply += piece
        answer = json.loads(bytes(reply))
        if "done" not in answer:
            raise AssertionError(f"{operation} {values}: {answer}")
        return answer["done"]


def sync_rate(folder, seconds=1.0):
    """How often in a second this disk makes 4 KiB that are appended to a file durable (write, fdatasync)."""
    path = Path(folder) / "sync.tmp"
    done, begun = 0, time.monotonic()
    with path.open("wb", buffering=0) as file:
        while time.monotonic() - begun < seconds:
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            done += 1
    path.unlink()
    return done / (time.monotonic() - begun)


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def slope(points):
    """Growth for each unit of the first value, by least squares."""
    mean_x = statistics.fmean(x for x, _ in points)
    mean_y = statistics.fmean(y for _, y in points)
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / below if below else 0.0


def load():
    """How busy the machine is besides."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
