"""Support bundle without secrets, and the numbers of /metrics."""

import json
import re
import tarfile
import urllib.request
from pathlib import Path

from gateway import Gateway
from peers import HOST, Key, make_file, until
from receivers import Receiver, mail_server

MANUAL = Path(__file__).parents[3] / "docs" / "manual" / "watching.md"

# Planted wherever a secret may stand; none may be found anywhere in a bundle.
SECRETS = {
    "password of a gate": "PlantedGate-7f3a",
    "password at a site": "PlantedSite-91cc",
    "login of mail": "PlantedMailLogin-5d",
    "password of mail": "PlantedMail-2b8e",
    "authorization": "Bearer PlantedToken-c0ffee",
    "header": "PlantedHeader-44",
    "path": "PlantedPath-e1f2",
    "content": "PlantedContent-0d0d",
}


def numbers(gateway):
    with urllib.request.urlopen(f"http://{HOST}:{gateway.observed}/metrics", timeout=5) as answer:
        return answer.read().decode()


def pieces(path):
    with tarfile.open(path) as archive:
        return {Path(one.name).name: archive.extractfile(one).read().decode() for one in archive}


def test_a_bundle_holds_no_secret(tmp_path, client, keys):
    (tmp_path / "mail").write_text(SECRETS["password of mail"] + "\n")
    (tmp_path / "token").write_text(SECRETS["authorization"] + "\n")
    with Receiver() as receiver, mail_server() as mail:
        settings = f'[log]\nfile = "gateway.log"\nlevel = "debug"\n[mail]\nserver = "localhost:{mail.port}"\n'
        settings += f'login = "{SECRETS["login of mail"]}"\npassword_file = "{tmp_path}/mail"\nfrom = "g@a"\nto = ["o@a"]\n'
        with Gateway(tmp_path / "g", settings) as gateway:
            gateway.port("password")
            gateway.partner("alice", key=keys("alice"), password=SECRETS["password of a gate"])

            class Peer:
                port, host_key = 9, Key(tmp_path / "peer")

            gateway.remote("globex", Peer, password=SECRETS["password at a site"])
            url = f"http://{HOST}:{receiver.port}/{SECRETS['path']}"
            more = ["-headers", f"X-Token: {SECRETS['header']}", "-authorization_from_file", str(tmp_path / "token")]
            secret = gateway.json("webhook", "add", "HOOK", "-url", url, *more)["facts"]["secret"]
            gateway.run("webhook", "test", "HOOK")
            assert receiver.posts[-1][1]["authorization"] == SECRETS["authorization"]
            gateway.run("alarm", "test", check=False)
            upload = tmp_path / "secret.txt"
            upload.write_text(SECRETS["content"] * 100)
            client(gateway, "alice", password=SECRETS["password of a gate"]).sftp(f"put {upload} secret.txt")
            gateway.received("alice", "secret.txt")
            bundle = tmp_path / "bundle.tar.gz"
            gateway.run("support", "bundle", str(bundle))
            assert bundle.stat().st_mode & 0o777 == 0o600
            found = pieces(bundle)
            assert set(found) == {
                "about.json", "settings.toml", "configuration.toml", "status.json", "check.txt", "alarms.json",
                "transfers.json", "metrics.txt", "log.txt",
            }
            private = [line for line in keys("alice").path.read_text().splitlines() if "-" not in line]
            master = (gateway.data / "master.key").read_bytes().decode("latin-1").strip()
            planted = [*SECRETS.values(), secret, secret.removeprefix("whsec_"), *private, master]
            for name, text in found.items():
                for one in planted:
                    assert one not in text, f"{name} holds {one!r}"
            assert "globex" in found["configuration.toml"] and "listening" in found["log.txt"]
            assert json.loads(found["status.json"])["running"] is True
            # No names of partners if that is asked for.
            other = tmp_path / "other.tar.gz"
            gateway.run("support", "bundle", str(other), "-anonymous", "-lines", "100000")
            for name, text in pieces(other).items():
                assert "alice" not in text.lower() and "globex" not in text.lower(), name
            assert gateway.run("support", "bundle", str(other), check=False).returncode == 1, "a new file only"
            gateway.stop()
            down = tmp_path / "down.tar.gz"
            gateway.run("support", "bundle", str(down))
            assert json.loads(pieces(down)["status.json"])["running"] is False
            gateway.start()


def test_what_is_exported_is_documented(fresh, client, keys, tmp_path):
    table = set(re.findall(r"^\| `(gatehouse_\w+)` \|", MANUAL.read_text(), re.MULTILINE))
    fresh.partner("alice", key=keys("alice"))
    fresh.somewhere("alice")
    with Receiver() as receiver:
        fresh.run("webhook", "add", "HOOK", "-url", f"http://{HOST}:{receiver.port}/", "-events", "transfer.*")
        client(fresh, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 500)} a.bin")

        def exported():
            return set(re.findall(r"^# TYPE (gatehouse_\w+) ", numbers(fresh), re.MULTILINE))

        # Nothing is delivered here, and the gauges of webhooks come with the next look.
        late = {"gatehouse_trace_requests_total", "gatehouse_delivered_octets_total", "gatehouse_webhook_events_waiting", "gatehouse_webhook_events_parked"}
        until("all are there", lambda: table - late <= exported(), limit=60)
        assert exported() <= table
        text = numbers(fresh)
        assert 'gatehouse_failures_total{cause="connection",site=""}' in text, "no name of a partner"
        assert 'gatehouse_step_seconds_count{step="route"} 1' in text and "nobody" not in text
