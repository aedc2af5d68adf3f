"""Webhooks: signed CloudEvents from a durable outbox, to receivers that check them on their own."""

import pytest

from peers import HOST, free_port, make_file, until
from receivers import Receiver, certificate, verified


def add(gateway, url, *more, name="HOOK", events="transfer.*"):
    """Adds a webhook; gives its secret."""
    shown = gateway.json("webhook", "add", name, "-url", url, "-events", events, *more)
    return shown["facts"]["secret"]


def put(gateway, client, keys, tmp_path, name="a.bin"):
    gateway.partner("alice", key=keys("alice"))
    client(gateway, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / name, 5_000)} {name}")
    gateway.received("alice", name)


def stand(gateway, name="HOOK"):
    return next(row for row in gateway.json("webhook", "list") if row["name"] == name)


def test_changes_of_a_transfer_arrive_in_order_and_signed(fresh, client, keys, tmp_path):
    # CON-1, CON-3
    with Receiver() as receiver:
        secret = add(fresh, f"http://{HOST}:{receiver.port}/hook?a=b")
        put(fresh, client, keys, tmp_path)
        until("the end is told", lambda: "gatehouse.transfer.not_routed" in receiver.types())
        events = [event for event in receiver.events() if event["subject"] == receiver.events()[0]["subject"]]
        assert [event["data"]["state"] for event in events][-2:] == ["ended", "ended"]
        first = events[0]
        assert first["specversion"] == "1.0" and first["datacontenttype"] == "application/json"
        assert first["data"]["file_name"] == "a.bin" and first["data"]["site"] == "alice"
        assert len({event["id"] for event in receiver.events()}) == len(receiver.events())
        for status, headers, body in receiver.posts:
            assert status == 200 and verified(secret, headers, body)
            assert not verified("whsec_" + "A" * 43 + "=", headers, body)
            assert headers["content-type"].startswith("application/cloudevents+json")
        until("nothing waits", lambda: stand(fresh)["waiting"] == 0)
        assert secret not in fresh.log() and secret not in fresh.run("export", "--all").stdout
        assert secret not in fresh.run("audit", "list", "-last", "1000").stdout


def test_a_rotated_secret_signs_beside_the_old_one(fresh):
    with Receiver() as receiver:
        old = add(fresh, f"http://{HOST}:{receiver.port}/")
        new = fresh.json("webhook", "rotate", "HOOK")["facts"]["secret"]
        fresh.run("webhook", "test", "HOOK")
        _, headers, body = receiver.posts[-1]
        assert old != new and verified(old, headers, body) and verified(new, headers, body)
        fresh.run("webhook", "rotate", "HOOK", "-end")
        fresh.run("webhook", "test", "HOOK")
        _, headers, body = receiver.posts[-1]
        assert verified(new, headers, body) and not verified(old, headers, body)


def test_events_wait_while_the_receiver_is_away(fresh, client, keys, tmp_path):
    # CON-2: a collector that is down delays no transfer, and learns everything later, over a kill -9 too
    port = free_port()
    add(fresh, f"http://{HOST}:{port}/", events="transfer.ended")
    for name in ("a.bin", "b.bin", "c.bin"):
        put(fresh, client, keys, tmp_path, name)
    until("three wait", lambda: stand(fresh)["waiting"] == 3)
    fresh.kill()
    fresh.start()
    with Receiver(port) as receiver:
        fresh.run("webhook", "again", "HOOK")
        until("all arrive", lambda: len(receiver.events()) >= 3)
        names = [event["data"]["file_name"] for event in receiver.events()]
        assert names == ["a.bin", "b.bin", "c.bin"], "in order"
        until("nothing waits", lambda: stand(fresh)["waiting"] == 0)


def test_what_is_refused_is_parked_with_an_alarm(fresh, client, keys, tmp_path):
    with Receiver() as receiver:
        receiver.status = 422
        add(fresh, f"http://{HOST}:{receiver.port}/", events="transfer.ended")
        put(fresh, client, keys, tmp_path)
        until("it is given up", lambda: stand(fresh)["parked"] == 1)
        assert len(receiver.posts) == 1, "what the receiver does not want is not tried again"
        done = fresh.run("status", check=False)
        assert done.returncode == 1 and "gatehouse webhook again HOOK" in done.stdout
        assert "422" in fresh.json("webhook", "waiting", "HOOK")[0]["last answer"]
        receiver.status = 200
        fresh.run("webhook", "again", "HOOK")
        until("it is taken", lambda: stand(fresh)["parked"] == 0 and len(receiver.events()) == 1)


def test_failures_are_tried_again_and_end(fresh, client, keys, tmp_path):
    with Receiver() as receiver:
        receiver.status = 503
        add(fresh, f"http://{HOST}:{receiver.port}/", "-tries_max", "2", events="transfer.ended")
        put(fresh, client, keys, tmp_path)
        until("it is given up", lambda: stand(fresh)["parked"] == 1)
        ids = [headers["webhook-id"] for _, headers, _ in receiver.posts]
        assert len(ids) == 2 and len(set(ids)) == 1, "the same event has the same id"


def test_redirects_are_not_followed(fresh):
    with Receiver() as inner, Receiver() as receiver:
        receiver.status, receiver.headers = 302, {"location": f"http://{HOST}:{inner.port}/"}
        add(fresh, f"http://{HOST}:{receiver.port}/")
        done = fresh.run("webhook", "test", "HOOK", check=False)
        assert done.returncode == 1 and "302" in done.stderr and not inner.posts


def test_tls_is_verified(fresh, tmp_path):
    good, other = certificate(tmp_path), certificate(tmp_path, "other.example")
    with Receiver(tls=good) as receiver, Receiver(tls=other) as stranger:
        url = f"https://localhost:{receiver.port}/"
        add(fresh, url, "-ca_file", str(good[1]))
        assert "200" in fresh.run("webhook", "test", "HOOK").stdout
        fresh.run("webhook", "update", "HOOK", "-ca_file", str(other[1]))
        done = fresh.run("webhook", "test", "HOOK", check=False)
        assert done.returncode == 1 and "certificate" in done.stderr, "another authority"
        fresh.run("webhook", "update", "HOOK", "-url", f"https://localhost:{stranger.port}/")
        done = fresh.run("webhook", "test", "HOOK", check=False)
        assert done.returncode == 1 and "certificate" in done.stderr, "another name"
        fresh.run("webhook", "update", "HOOK", "-ca_file", "", "-url", url)
        assert fresh.run("webhook", "test", "HOOK", check=False).returncode == 1, "the system does not know it"
        assert not stranger.posts and len(receiver.posts) == 1


@pytest.mark.parametrize(
    ("url", "more", "word"),
    [
        ("http://hooks.example.org/", [], "TLS"),
        ("https://user:pass@example.org/", [], "user name"),
        ("ftp://example.org/", [], "https://"),
        ("https://example.org/", ["-events", "nothing.*"], "names no event"),
        ("https://example.org/", ["-headers", "Host: x"], "set by the gateway"),
    ],
)
def test_a_wrong_webhook_is_refused(shared, url, more, word):
    done = shared.run("webhook", "add", "WRONG", "-url", url, *more, check=False)
    assert done.returncode == 1 and word in done.stderr


def test_private_networks_are_refused(fresh):
    # SSRF: an address of a private network, and of the metadata service of clouds
    for name, host in (("A", "10.255.255.1"), ("B", "169.254.169.254"), ("C", "[::ffff:10.0.0.1]")):
        add(fresh, f"https://{host}/", name=name)
        done = fresh.run("webhook", "test", name, check=False)
        assert done.returncode == 1 and "private network" in done.stderr, done.stderr


def test_a_slow_receiver_delays_no_transfer(fresh, client, keys, tmp_path):
    # CON-2
    import threading

    gate = threading.Event()
    with Receiver() as receiver:
        receiver.status = lambda _: gate.wait(60) and 200
        add(fresh, f"http://{HOST}:{receiver.port}/", "-timeout_s", "60", events="transfer.ended")
        for n in range(5):
            put(fresh, client, keys, tmp_path, f"{n}.bin")
        assert stand(fresh)["waiting"] == 5 and not receiver.posts
        gate.set()
        until("all arrive", lambda: len(receiver.events()) == 5)


def test_logins_and_changes_are_told(fresh, client, keys, tmp_path):
    with Receiver() as receiver:
        add(fresh, f"http://{HOST}:{receiver.port}/", events="login.* config.*")
        put(fresh, client, keys, tmp_path)
        fresh.partner("bob", password="the right one")
        assert client(fresh, "bob", password="a wrong one").sftp("ls", check=False).returncode != 0
        wanted = {"gatehouse.config.changed", "gatehouse.login.accepted", "gatehouse.login.refused"}
        until("they are told", lambda: wanted <= set(receiver.types()))
