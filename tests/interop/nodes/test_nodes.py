"""Two gateways on one PostgreSQL: what one of them had goes on at the other, once, whatever became of the first."""

import json

import pytest

from cluster import LEASE_S, Carriers, Cluster, Trouble
from peers import OpenSsh, Sshd, cut, listens, make_file, sha256, until


@pytest.fixture(scope="module")
def carriers():
    return Carriers()


@pytest.fixture
def pair(tmp_path):
    """Two nodes that share the folder of payloads, and a partner that sends."""
    with Cluster(tmp_path / "cluster") as cluster:
        a = cluster.add("a")
        yield cluster, a, cluster.add("b")


def sender(node, folder, login, key):
    return OpenSsh(folder, node.ports.get("key") or node.listen("key"), login, key)


def arrived(peer):
    return {path.name: sha256(path) for path in peer.files.rglob("*") if path.is_file() and path.suffix != ".part"}


def halfway(peer, octets):
    return any(path.stat().st_size >= octets for path in peer.files.rglob("*.part"))


def route(a, keys, tmp_path, carriers, name="bravo"):
    """Files of partner alpha go to an OpenSSH server, over a line that can stall."""
    a.partner("alpha", key=keys("alpha"), settle_s=0)
    peer = Sshd(tmp_path / name, [a.own_key()])
    line = carriers.line(peer.port)
    a.remote(name, type("Behind", (), {"port": line.port, "host_key": peer.host_key, "login": peer.login}), retry_s=1)
    a.route("alpha", name)
    return peer, line


def story(node, ident):
    return node.run("why", str(ident)).stdout


def test_a_change_made_through_one_node_is_in_force_at_the_other(pair, keys, tmp_path):
    _, a, b = pair
    a.partner("alpha", key=keys("alpha"))
    b.listen("key")
    a.partner("late", key=keys("late"))

    def comes_in(node, name):
        return sender(node, tmp_path / name, "late", keys("late")).sftp("pwd", check=False).returncode == 0

    until("the other node knows the partner", lambda: comes_in(b, "to_b"))
    b.run("peladm", "update_cgate", "-name", "G_LATE", "-state", "DISABLED")
    until("the first node knows that it is shut out", lambda: not comes_in(a, "to_a"))
    assert sender(a, tmp_path / "other", "alpha", keys("alpha")).sftp("pwd", check=False).returncode == 0
    assert [row["Name"] for row in json.loads(a.run("node", "list", "--json").stdout)] == ["a", "b"]
    # Both have written to one audit, whose chain holds.
    a.run("audit", "verify")


def under_way(pair, end, sent, keys, trouble):
    """A delivery that a line holds up in its middle: the node that is at work on it, and the other one."""
    (cluster, a, b), (peer, line) = pair, end
    line.arm([trouble])
    sender(a, sent.parent / "client", "alpha", keys("alpha")).sftp(f"put {sent} order.bin")
    until("the file is on its way", lambda: halfway(peer, trouble.at // 3))
    owner = cluster.sql("SELECT n.name FROM transfer t JOIN node n ON n.id = t.node_id WHERE t.state = 'P'")
    return (a, b) if owner == "a" else (b, a)


def test_a_node_killed_over_a_delivery_is_replaced_within_its_lease(pair, keys, tmp_path, carriers):
    # TRF-4
    a = pair[1]
    peer, line = route(a, keys, tmp_path, carriers)
    with peer:
        sent = make_file(tmp_path / "order.bin", 9_000_000)
        first, second = under_way(pair, (peer, line), sent, keys, Trouble("stalled", 3_000_000, length=600))
        first.kill()
        line.mend()
        until("the file is at the partner", lambda: arrived(peer) == {"order.bin": sha256(sent)})
        until("nothing is left to do", second.idle)
        rows = second.deliveries("order.bin")
        assert len(rows) == 1
        assert "its node was lost" in story(second, rows[0]["Ident"])
        states = {row["Name"]: row["State"] for row in json.loads(second.run("node", "list", "-all", "--json").stdout)}
        assert states[first.name] == "gone" and states[second.name] == "up"
        first.start()
        assert first.idle()


def test_a_node_that_was_paused_does_not_finish_what_another_took_over(pair, keys, tmp_path, carriers):
    a = pair[1]
    peer, line = route(a, keys, tmp_path, carriers)
    with peer:
        sent = make_file(tmp_path / "order.bin", 9_000_000)
        first, second = under_way(pair, (peer, line), sent, keys, Trouble("stalled", 3_000_000, length=600))
        first.pause()
        # The paused one's connection stays as it is; the other one's is a new one.
        until("the other one has delivered it", lambda: arrived(peer) == {"order.bin": sha256(sent)}, limit=60)
        until("nothing is left to do", second.idle)
        first.wake()
        until("the first one knows that it was lost", lambda: "lost its lease" in first.log())
        until("and is there again", lambda: "there again" in first.log())
        line.mend()
        rows = second.deliveries("order.bin")
        assert [row["State"] for row in rows] == ["ended"]
        again = make_file(tmp_path / "again.bin", 3000)
        sender(first, tmp_path / "again", "alpha", keys("alpha")).sftp(f"put {again} again.bin")
        until("it works as before", lambda: arrived(peer).get("again.bin") == sha256(again))
        until("nothing is left to do", second.idle)
        assert len(second.deliveries(None)) == 2


def test_an_upload_goes_on_at_the_other_node_where_the_folder_is_shared(pair, keys, tmp_path):
    # SFTP-9
    _, a, b = pair
    a.partner("alpha", key=keys("alpha"))
    sent = make_file(tmp_path / "big.bin", 40_000_000)
    client = sender(a, tmp_path / "client", "alpha", keys("alpha"))
    upload = client.start_sftp(f"put {sent} big.bin", options=("-l", "60000"))
    until("some of it is durable", lambda: any(row["State"] == "servicing" for row in b.transfers()) and durable(b) > 8_000_000)
    a.kill()
    cut(upload)
    until("it is interrupted", lambda: [row["State"] for row in b.transfers()] == ["interrupted"])
    sender(b, tmp_path / "client_b", "alpha", keys("alpha")).sftp(f"reput {sent} big.bin")
    assert b.received("alpha", "big.bin")["sha256"] == sha256(sent)
    rows = b.transfers("-direction", "I")
    assert len(rows) == 1 and "resumed at octet" in story(b, rows[0]["Ident"])


def durable(node):
    folder = node.folder.parent / "payloads" / "staging"
    return sum(path.stat().st_size for path in folder.iterdir()) if folder.exists() else 0


def test_an_upload_staged_elsewhere_begins_anew_and_says_so(keys, tmp_path):
    with Cluster(tmp_path / "cluster", shared=False) as cluster:
        a, b = cluster.add("a"), cluster.add("b")
        a.partner("alpha", key=keys("alpha"))
        sent = make_file(tmp_path / "big.bin", 40_000_000)
        client = sender(a, tmp_path / "client", "alpha", keys("alpha"))
        upload = client.start_sftp(f"put {sent} big.bin", options=("-l", "60000"))
        recorded = "SELECT COALESCE(MAX(done_octets), 0) FROM transfer"
        until("some of it is durable, and recorded", lambda: int(cluster.sql(recorded)) > 0)
        a.kill()
        cut(upload)
        until("it is interrupted", lambda: [row["State"] for row in b.transfers()] == ["interrupted"])
        other = sender(b, tmp_path / "client_b", "alpha", keys("alpha"))
        assert "big.bin" not in other.sftp("ls").stdout
        other.sftp(f"reput {sent} big.bin")
        assert b.received("alpha", "big.bin")["sha256"] == sha256(sent)
        old, new = b.transfers("-direction", "I")
        assert (old["State"], new["State"]) == ("deleted", "ended")
        assert "staging folder of another node" in story(b, old["Ident"])
        warned = a.run("check", check=False).stdout + b.run("check", check=False).stdout
        assert "folder" in warned


def test_an_operator_at_one_node_stops_a_delivery_of_the_other(pair, keys, tmp_path, carriers):
    # TRF-3
    a = pair[1]
    peer, line = route(a, keys, tmp_path, carriers)
    with peer:
        sent = make_file(tmp_path / "order.bin", 30_000_000)
        _, other = under_way(pair, (peer, line), sent, keys, Trouble("slow", 100_000, length=600))
        ident = other.deliveries("order.bin")[0]["Ident"]
        other.run("pelctl", "control_trans", str(ident), "-action", "S")
        assert other.deliveries("order.bin")[0]["State"] == "suspended"
        line.mend()
        other.run("pelctl", "control_trans", str(ident), "-action", "R")
        until("the file is at the partner", lambda: arrived(peer) == {"order.bin": sha256(sent)})
        until("nothing is left to do", other.idle)


def test_two_gateways_of_one_name_or_with_other_keys_are_refused(pair, tmp_path):
    cluster, a, b = pair
    for text, copied in (("node a is running on", True), ("copy its master.key", False), ("master key", None)):
        name = "a" if copied else "c"
        folder = tmp_path / f"try_{name}_{copied}"
        other = type(a)(folder, name, f'[node]\nname = "{name}"\nlease_s = {LEASE_S}\n{cluster.store}{cluster.base}')
        if copied is not False:
            key = (a.data / "master.key").read_bytes()
            (other.data / "master.key").write_bytes(key if copied else foreign_key(tmp_path))
            (other.data / "master.key").chmod(0o600)
        done = other.run("check", check=False)
        assert done.returncode == 1 and text in done.stdout + done.stderr, done


def foreign_key(tmp_path):
    """The master key of a gateway of its own."""
    from gateway import Gateway

    with Gateway(tmp_path / "stranger") as stranger:
        return (stranger.data / "master.key").read_bytes()
