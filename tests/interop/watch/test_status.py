"""`gatehouse status` and `why`: what an operator sees at three in the morning."""

import json

import pytest

from gateway import Gateway
from peers import make_file, until


def status(gateway):
    """Exit code and facts."""
    done = gateway.run("status", "--json", check=False)
    return done.returncode, json.loads(done.stdout)


def rules(facts):
    return {need["rule"] for need in facts["needs"]}


def test_a_sound_gateway_needs_nobody(fresh, client, keys, tmp_path):
    fresh.partner("alice", key=keys("alice"))
    client(fresh, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 5_000)} a.bin")
    code, facts = until("the sums are written", lambda: (s := status(fresh)) and s[1]["today"]["received_files"] and s)
    assert (code, facts["running"], facts["needs"]) == (0, True, [])
    assert facts["today"] == {
        "received_files": 1, "received_octets": 5_000, "delivered_files": 0, "delivered_octets": 0,
    }
    listener = next(one for one in facts["listeners"] if one["name"] == "SFTP_KEY")
    assert listener["address"] == f"127.0.0.1:{fresh.ports['key']}" and listener["error"] == ""
    text = fresh.run("status").stdout
    assert "running for" in text and "nothing needs a person" in text and "\x1b" not in text


def test_failures_and_their_next_step(fresh, client, keys, tmp_path):
    # Each problem has a command that helps
    fresh.partner("alice", key=keys("alice"))
    fresh.somewhere("alice")
    client(fresh, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 5_000)} a.bin")
    _, facts = until("the failure is counted", lambda: (s := status(fresh)) and s[1]["failures"] and s)
    failure = facts["failures"][0]
    assert (failure["site"], failure["cause"]) == ("nobody", "connection")
    assert facts["oldest"]["site"] == "nobody" and facts["queue"]["to_send"] == 1
    told = fresh.run("why", "nobody").stdout
    assert "gatehouse pelctl start_site nobody" in told
    assert "a.bin" in fresh.run("why", "a.bin").stdout and "alice" in fresh.run("why", "alice").stdout
    assert fresh.run("why", "no such thing", check=False).returncode == 1
    # A transfer that a person paused needs a person.
    ident = facts["oldest"]["transfer"]
    fresh.run("pelctl", "control_trans", str(ident), "-action", "S")
    code, facts = status(fresh)
    assert code == 1 and "suspended" in rules(facts)
    need = next(need for need in facts["needs"] if need["rule"] == "suspended")
    assert need["next_step"] == f"gatehouse why {ident}"
    told = fresh.run(*need["next_step"].split()[1:]).stdout
    assert f"gatehouse pelctl control_trans {ident} -action R" in told
    done = fresh.run("status", check=False)
    assert done.returncode == 1 and done.stderr == "" and need["next_step"] in done.stdout


def test_the_gateway_is_down(fresh, client, keys, tmp_path):
    fresh.partner("alice", key=keys("alice"))
    client(fresh, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 5_000)} a.bin")
    until("the sums are written", lambda: status(fresh)[1]["today"]["received_files"])
    fresh.kill()
    code, facts = status(fresh)
    assert (code, facts["running"], facts["today"]["received_files"]) == (1, False, 1)
    assert rules(facts) == {"not_running"}
    text = fresh.run("status", check=False).stdout
    assert "NOT RUNNING" in text and "gatehouse serve" in text
    (fresh.data / "master.key").rename(fresh.data / "elsewhere")
    done = fresh.run("status", check=False)
    assert done.returncode == 1 and "NOT RUNNING" in done.stderr and "master key" in done.stderr
    (fresh.data / "elsewhere").rename(fresh.data / "master.key")
    fresh.start()


def test_a_listener_that_cannot_listen_is_told(fresh, tmp_path):
    fresh.port("key")
    taken = fresh.observed
    fresh.run("listener", "add", "TAKEN", "-address", "127.0.0.1", "-port", str(taken))
    code, facts = until("it is told", lambda: (s := status(fresh)) and "listener_down" in rules(s[1]) and s)
    need = next(need for need in facts["needs"] if need["rule"] == "listener_down")
    assert code == 1 and "TAKEN" in need["cause"] and need["next_step"] == "gatehouse listener list"
    fresh.run("listener", "delete", "TAKEN")
    until("it is over", lambda: status(fresh)[0] == 0)


@pytest.mark.parametrize("words", [["status"], ["status", "--json"]])
def test_a_watch_goes_on_until_it_is_ended(shared, words):
    import subprocess

    command = [shared.program, *words, "-watch", "--data", str(shared.data)]
    env = shared.environment()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, stdin=subprocess.DEVNULL) as watch:
        seen = 0
        for line in watch.stdout:
            seen += line.startswith(("gateway ", "{"))
            if seen == 2:
                break
        assert watch.poll() is None
        watch.terminate()


def test_alarms_open_are_noted_and_close(tmp_path, client, keys):
    settings = "[alarms]\nevery_s = 1\n"
    with Gateway(tmp_path / "gateway", settings) as gateway:
        gateway.partner("alice", key=keys("alice"))
        gateway.somewhere("alice")
        client(gateway, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 5_000)} a.bin")
        ident = until("it is routed", lambda: gateway.deliveries("a.bin"))[0]["Ident"]
        gateway.run("pelctl", "control_trans", str(ident), "-action", "S")
        alarm = until("it is raised", lambda: gateway.json("alarm", "list"))[0]
        assert (alarm["rule"], alarm["subject"], alarm["until"]) == ("suspended", "nobody", None)
        assert status(gateway)[0] == 1
        gateway.run("alarm", "acknowledge", str(alarm["number"]))
        code, facts = status(gateway)
        assert code == 0 and facts["needs"][0]["acknowledged"], "a person knows of it"
        assert gateway.run("alarm", "acknowledge", str(alarm["number"]), check=False).returncode == 1
        # It stays open over a restart, and is not raised twice.
        gateway.stop()
        gateway.start()
        until("a look was taken", lambda: gateway.json("alarm", "list"))
        assert [one["number"] for one in gateway.json("alarm", "list", "-all")] == [alarm["number"]]
        gateway.run("pelctl", "control_trans", str(ident), "-action", "C")
        until("it is over", lambda: not gateway.json("alarm", "list"))
        assert gateway.json("alarm", "list", "-all")[0]["until"]
