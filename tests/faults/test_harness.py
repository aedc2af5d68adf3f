"""The harness itself: its lines do what they say, and it finds what is wrong."""

import random
import socket
import threading
import types

import pytest

from carriers import CARRIERS
from line import FAR_HOST, HOST, Carriers, Doors, Trouble
from peers import make_file, until
from report import Report
from scene import REPLACED, File, Scene
from watch import Watch

OCTETS = bytes(random.Random(1).randbytes(200_000))


@pytest.fixture(scope="module")
def carriers():
    return Carriers()


class Echo:
    """Sends back what comes."""

    def __init__(self):
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            end, _ = self.listener.accept()
            threading.Thread(target=self.echo, args=(end,), daemon=True).start()

    def echo(self, end):
        try:
            while octets := end.recv(65536):
                end.sendall(octets)
            end.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        end.close()


def through(line, octets):
    """Sends octets through a line to an echo; gives what comes back, and how it ended."""
    end = socket.create_connection((HOST, line.port), timeout=10)
    sender = threading.Thread(target=send, args=(end, octets))
    sender.start()
    back, how = bytearray(), "closed"
    try:
        while piece := end.recv(65536):
            back += piece
    except ConnectionResetError:
        how = "reset"
    except TimeoutError:
        how = "silent"
    sender.join()
    end.close()
    return bytes(back), how


def send(end, octets):
    try:
        end.sendall(octets)
        end.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_line_without_trouble_carries_all(carriers):
    line = carriers.line(Echo().port)
    assert through(line, OCTETS) == (OCTETS, "closed")


@pytest.mark.parametrize("kind", ["slow", "chopped", "stalled"])
def test_a_line_that_is_only_slow_carries_all(carriers, kind):
    line = carriers.line(Echo().port)
    line.arm([Trouble(kind, 1000, length=0.2, recovers=True, dice=random.Random(1))])
    assert through(line, OCTETS) == (OCTETS, "closed")
    assert line.strikes == 1


@pytest.mark.parametrize("kind", ["cut", "stalled", "half_open"])
@pytest.mark.parametrize("reset", [True, False])
def test_a_line_that_breaks_ends_the_connection_and_not_the_next(carriers, kind, reset):
    line = carriers.line(Echo().port)
    line.arm([Trouble(kind, 50_000, length=0.2, reset=reset)])
    back, how = through(line, OCTETS)
    assert len(back) < len(OCTETS) and OCTETS.startswith(back)
    assert how != "silent"
    assert through(line, OCTETS) == (OCTETS, "closed")


def test_one_bit_is_flipped(carriers):
    line = carriers.line(Echo().port)
    line.arm([Trouble("flipped", 70_000, bit=3)])
    back, _ = through(line, OCTETS)
    wrong = [i for i in range(len(OCTETS)) if back[i] != OCTETS[i]]
    assert len(back) == len(OCTETS) and len(wrong) == 1
    assert back[wrong[0]] ^ OCTETS[wrong[0]] == 8


def test_what_is_late_arrives_after_the_next_connection(carriers):
    arrived = []
    sink = socket.create_server((HOST, 0))

    def take():
        while True:
            end, _ = sink.accept()
            threading.Thread(target=lambda end=end: read(end), daemon=True).start()

    def read(end):
        while octets := end.recv(65536):
            arrived.append(octets[:1])

    threading.Thread(target=take, daemon=True).start()
    line = carriers.line(sink.getsockname()[1])
    line.arm([Trouble("late", 1000, length=0.2)])
    first = socket.create_connection((HOST, line.port), timeout=10)
    first.sendall(b"a" * 1000 + b"b" * 9000)
    assert first.recv(1) == b"", "the caller is cut off"
    until("what came before arrived", lambda: b"a" in arrived)
    assert b"b" not in arrived
    second = socket.create_connection((HOST, line.port), timeout=10)
    second.sendall(b"c" * 20_000)
    until("the rest arrives", lambda: b"b" in arrived)
    assert arrived.index(b"c") < arrived.index(b"b")


def test_doors_are_broken_as_the_line_is(carriers):
    doors = Doors()
    behind = socket.create_server((HOST, doors.last))
    line = carriers.line(Echo().port, doors)
    line.arm([None, Trouble("cut", 10)])
    first = socket.create_connection((FAR_HOST, line.port), timeout=10)
    first.sendall(b"x" * 100)
    assert len(first.recv(100)) > 0
    second = socket.create_connection((FAR_HOST, doors.last), timeout=10)
    second.sendall(b"y" * 100)
    there, _ = behind.accept()
    assert there.recv(100) == b"y" * 10
    with pytest.raises(ConnectionResetError):
        second.recv(1)
    assert line.strikes == 1


def test_mending_ends_what_is_in_trouble(carriers):
    line = carriers.line(Echo().port)
    line.arm([Trouble("half_open", 10, length=1000)])
    end = socket.create_connection((HOST, line.port), timeout=10)
    end.sendall(b"x" * 100)
    until("it struck", lambda: line.strikes == 1)
    line.mend()
    with pytest.raises(ConnectionResetError):
        while end.recv(100):
            pass


# --- what it finds


@pytest.fixture
def scene(tmp_path):
    """A scene without a gateway: one acknowledged file, at the partner under its final name."""
    files = tmp_path / "files"
    files.mkdir()
    lane = types.SimpleNamespace(
        carrier=CARRIERS["sftp"], server=types.SimpleNamespace(files=files), arrivals=Watch(files),
    )
    scene = object.__new__(Scene)
    scene.others = []
    scene.lane, scene.findings = lane, []
    told = types.SimpleNamespace(stdout="why")
    scene.gateway = types.SimpleNamespace(log=lambda: "", run=lambda *_words: told)
    scene.files = [File("f", "alpha", make_file(tmp_path / "f", 5000), 5000)]
    scene.files[0].acknowledged, scene.files[0].tries = True, 1
    lane.arrivals.on_arrival = scene.arrived_now
    return scene


def rows(received=1, sent=("7",)):
    into = [{"File": "f", "Dir": "I", "State": "ended", "Ident": i} for i in range(received)]
    return into + [{"File": "f", "Dir": "O", "State": "ended", "Ident": ident} for ident in sent]


def arrive(scene, ident="7", octets=None, direct=False):
    files, content = scene.lane.server.files, scene.files[0].path.read_bytes() if octets is None else octets
    name = "f" if direct else f"f.{ident}.part"
    (files / name).write_bytes(content)
    if not direct:
        (files / name).rename(files / "f")


def found(scene, table, events):
    until("the folder was watched", lambda: len(scene.lane.arrivals.events) >= events)
    scene.check(table)
    return {kind for kind, _ in scene.findings}


def test_a_good_run_has_no_findings(scene):
    arrive(scene)
    assert found(scene, rows(), 2) == set()


def test_a_lost_file_is_found(scene):
    assert found(scene, rows(), 0) == {"loss"}


def test_other_content_is_found(scene):
    arrive(scene, octets=b"other")
    assert found(scene, rows(), 2) == {"loss", "half visible"}


def test_a_file_that_arrives_twice_is_found(scene):
    arrive(scene)
    arrive(scene)
    assert found(scene, rows(), 4) == {"double"}


def test_a_delivery_that_nobody_recorded_is_found(scene):
    arrive(scene)
    arrive(scene, ident="9")
    assert found(scene, rows(), 4) == {"double"}


def test_an_upload_without_delivery_is_found(scene):
    arrive(scene)
    scene.files[0].tries = 2
    assert found(scene, rows(received=2), 2) == {"loss"}


def test_an_upload_that_was_gone_on_with_needs_no_delivery_of_its_own(scene):
    arrive(scene)
    scene.files[0].tries = 2
    why = {"0": REPLACED, "1": "forwarded"}
    scene.gateway.run = lambda _why, ident: types.SimpleNamespace(stdout=why[ident])
    assert found(scene, rows(received=2), 2) == set()
    why["1"] = REPLACED
    scene.check(rows(received=2))
    assert {kind for kind, _ in scene.findings} == {"loss"}


def test_more_uploads_than_tries_are_found(scene):
    arrive(scene)
    arrive(scene, ident="9")
    assert "double" in found(scene, rows(received=2, sent=("7", "9")), 4)


def test_a_file_written_under_its_final_name_is_found(scene):
    arrive(scene, direct=True)
    assert "half visible" in found(scene, rows(), 1)


def test_what_is_left_at_the_partner_is_found(scene):
    arrive(scene)
    (scene.lane.server.files / "f.8.part").write_bytes(b"x")
    assert found(scene, rows(), 3) == {"stuck"}


def test_the_report_names_the_seed_and_how_to_repeat_it(tmp_path, scene):
    given = types.SimpleNamespace(carrier=("folders",), seed=5, runs=1, logs=False)
    report = Report(tmp_path / "report", given)
    scene.finding("loss", "f is gone")
    report.add(5, "killed", "twice", 1, scene, "log of the gateway", 1.0)
    assert not report.write(1)
    text = (tmp_path / "report" / "report.txt").read_text()
    assert "cargo xtask faults --runs 1 --seed 5 --carrier folders" in text and "1 runs: 0 passed, 1 failed" in text
    assert (tmp_path / "report" / "seed5.log").read_text() == "log of the gateway"
