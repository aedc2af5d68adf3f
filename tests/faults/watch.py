"""Sees each file that gets its final name in a folder, and under which name it came (inotify)."""

import ctypes
import os
import struct
import threading
from pathlib import Path

from peers import until

# A file of this name is made to see that everything before it has been seen.
MARK = ".seen-"
CREATE, MOVED_FROM, MOVED_TO = 0x100, 0x40, 0x80
EVENT = struct.Struct("iIII")


class Watch:
    """Arrivals in a folder: (final name, name before or None)."""

    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.handle = libc.inotify_init1(os.O_CLOEXEC)
        added = libc.inotify_add_watch(self.handle, os.fsencode(folder), CREATE | MOVED_FROM | MOVED_TO)
        if self.handle < 0 or added < 0:
            raise OSError(ctypes.get_errno(), "inotify: raise fs.inotify.max_user_instances")
        self.events, self.lock, self.moving = [], threading.Lock(), {}
        self.folder, self.marks, self.marks_made = Path(folder), set(), 0
        self.on_arrival = lambda name, before: None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            octets = os.read(self.handle, 65536)
            at = 0
            while at < len(octets):
                _, mask, cookie, length = EVENT.unpack_from(octets, at)
                name = octets[at + EVENT.size:at + EVENT.size + length].rstrip(b"\0").decode(errors="replace")
                at += EVENT.size + length
                self.take(mask, cookie, name)

    def take(self, mask, cookie, name):
        if mask & MOVED_FROM:
            self.moving[cookie] = name
        elif mask & (MOVED_TO | CREATE):
            before = self.moving.pop(cookie, None) if mask & MOVED_TO else None
            if name.startswith(MARK):
                self.marks.add(name)
                return
            with self.lock:
                self.events.append((name, before))
            self.on_arrival(name, before)

    def taken(self):
        """Everything since the last call, also what a busy machine has not read yet."""
        self.marks_made += 1
        mark = self.folder / f"{MARK}{self.marks_made}"
        mark.touch()
        until("what arrived was seen", lambda: mark.name in self.marks)
        mark.unlink()
        with self.lock:
            events, self.events = self.events, []
        return events
