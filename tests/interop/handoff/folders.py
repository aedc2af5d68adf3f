"""Drop and pick-up folders of a gateway under test, and the business side that uses them."""

import hashlib
import threading
import time


def digest(content):
    return hashlib.sha256(content).hexdigest()


def visible(folder):
    """Names that a program which looks for files sees."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def pickup(gateway, name, folder, *more):
    """A site that is a real folder."""
    folder.mkdir(parents=True, exist_ok=True)
    retry = ["-retry_delay_min", "1", "-retry_delay_max", "1", "-retry_count_max", "500"]
    gateway.run("peladm", "create_site", "-alias", name, "-protocol", "FOLDER", "-real_path", str(folder), *retry, *more)


def drop(gateway, name, folder, *more):
    """A folder that the gateway takes files from."""
    folder.mkdir(parents=True, exist_ok=True)
    quick = ["-period_s", "1"] + ([] if "-ready" in more or "-stable_s" in more else ["-stable_s", "0"])
    gateway.run("handoff", "create_drop", "-name", name, "-real_path", str(folder), *quick, *more)


def put(folder, name, content):
    """As a careful program does it: written under a hidden name, then renamed."""
    hidden = folder / f".{name}.writing"
    hidden.write_bytes(content)
    hidden.rename(folder / name)


class Consumer(threading.Thread):
    """A business application: takes each file away as soon as its mark is there, and notes what it got."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.got, self.wrong, self.over = folder, [], [], threading.Event()

    def run(self):
        while not self.over.is_set():
            for mark in sorted(self.folder.glob("*.done")):
                self.take(mark)
            time.sleep(0.001)  # the pace of the application

    def take(self, mark):
        path = mark.with_suffix("")
        try:
            content, line = path.read_bytes(), mark.read_text()
        except FileNotFoundError:
            self.wrong.append(f"mark without file: {mark.name}")
            mark.unlink()
            return
        if line != f"{digest(content)}  {path.name}\n":
            self.wrong.append(f"{path.name}: {line!r}")
        self.got.append((path.name, digest(content)))
        path.unlink()
        mark.unlink()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
