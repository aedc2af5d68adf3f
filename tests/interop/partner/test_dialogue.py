"""Adding a partner at a terminal: what a person sees, answers, and answers wrongly."""

import pytest

from partner.terminal import Terminal
from peers import HOST, OpenSsh, Sshd, free_port, listens, until


def nothing_added(gateway):
    return gateway.json("partner", "list") == [] and gateway.json("listener", "list") == []


def test_a_person_is_asked_for_all_that_is_needed(fresh, keys, tmp_path):
    # Issue: first partner
    port = free_port()
    with Terminal(fresh, "partner", "add", "ALICE", "-listen", f"{HOST}:{port}") as seen:
        asked = seen.answer("Numbers [1]:")
        assert "1  they call us and send files" in asked
        seen.answer("Login name that they use [alice]:")
        seen.answer("Key:", str(keys("alice").public))
        seen.answer("Site that gets what they send")
        plan = seen.answer("Add ALICE? [Y/n]", "y")
        assert "+ create CGATE ALICE" in plan and "+ create LISTENER SFTP" in plan
        assert seen.end() == 0, seen.seen
    assert "FAILED" not in seen.seen and "Connection sheet for ALICE" in seen.seen
    assert "next: " in seen.seen and "rollback" in seen.seen.splitlines()[-1]
    until("the gateway listens", lambda: listens(port))
    OpenSsh(tmp_path / "client", port, "alice", keys("alice")).sftp("pwd")


def test_wrong_answers_are_asked_again(fresh, keys, tmp_path):
    with Terminal(fresh, "partner", "add", "BOB") as seen:
        seen.answer("Numbers [1]:", "7")
        assert "THEY_SEND" in seen.answer("Numbers [1]:", "4")
        assert "not in this version" in seen.answer("Numbers [1]:", "1 3")
        seen.answer("Login name that they use [bob]:", "bo b")
        assert "blanks" in seen.answer("Login name that they use [bob]:", "b*")
        assert "not a pattern" in seen.answer("Login name that they use [bob]:", "bob")
        seen.answer("Key:", "/no/such/file.pub")
        assert "No such file" in seen.answer("Key:", str(keys("bob").path))
        assert "private key" in seen.answer("Key:", "ssh-ed25519 AAAAnonsense")
        seen.answer("Key:", keys("bob").line)
        seen.answer("Site that gets what they send")
        seen.answer("Their server, as host or host:port:", "")
        assert "an answer is needed" in seen.answer("Their server, as host or host:port:", "b example")
        assert "sftp.example.com:22" in seen.answer("Their server, as host or host:port:", f"{HOST}:{free_port()}")
        seen.answer("Login name that they gave us:", "gateway")
        seen.answer("Password that they gave us", "hidden-word-5")
        seen.answer("Folder at their server")
        seen.answer("Site whose files go to them")
        seen.answer("Add BOB? [Y/n]", "what")
        seen.answer("Add BOB? [Y/n]", "n")
        assert seen.end() == 1
    assert "nothing was changed" in seen.seen and "hidden-word" not in seen.seen
    assert nothing_added(fresh)


def test_no_more_answers_change_nothing(fresh):
    with Terminal(fresh, "partner", "add", "BOB") as seen:
        seen.expect("Numbers [1]:")
        seen.hang_up()
        assert seen.end() == 1
    assert nothing_added(fresh)


def test_a_name_that_is_taken_is_told_before_any_question(fresh, keys):
    fresh.run("partner", "add", "ALICE", "-key", str(keys("alice").public), "-listen", f"{HOST}:{free_port()}")
    with Terminal(fresh, "partner", "add", "ALICE") as seen:
        assert seen.end() == 1
    assert "exists already" in seen.seen and "Numbers" not in seen.seen


@pytest.mark.parametrize("trusted", [True, False])
def test_the_host_key_is_put_to_the_person(fresh, tmp_path, trusted):
    # SFTP-6
    class Own:
        line = fresh.json("secdsp", "display_key", "GATEHOUSE_SSH")["public_key"]

    with Sshd(tmp_path / "bob", [Own]) as bob:
        words = ["-address", f"{HOST}:{bob.port}", "-our_login", bob.login]
        with Terminal(fresh, "partner", "add", "BOB", *words) as seen:
            seen.answer("Add BOB? [Y/n]")
            question = seen.answer("[y/N]", "y" if trusted else "")
            assert bob.host_key.fingerprint in question
            assert seen.end() == 0, seen.seen
        if trusted:
            assert "is trusted for BOB" in seen.seen and fresh.run("partner", "test", "BOB").returncode == 0
        else:
            assert "stays in quarantine" in seen.seen and fresh.run("partner", "test", "BOB", check=False).returncode == 1


def test_removal_asks(fresh, keys):
    fresh.run("partner", "add", "ALICE", "-key", str(keys("alice").public), "-listen", f"{HOST}:{free_port()}")
    with Terminal(fresh, "partner", "remove", "ALICE") as seen:
        assert "- delete CGATE ALICE" in seen.answer("Remove all this? [Y/n]", "n")
        assert seen.end() == 1
    assert len(fresh.json("partner", "list")) == 1
    with Terminal(fresh, "partner", "remove", "ALICE") as seen:
        seen.answer("Remove all this? [Y/n]")
        assert seen.end() == 0
    assert fresh.json("partner", "list") == []


def test_the_first_start_says_what_is_next(tmp_path):
    from gateway import Gateway

    gateway = Gateway(tmp_path / "gateway")
    with Terminal(gateway, "serve") as seen:
        hint = seen.expect("nothing that is stored can be read")
        assert "gatehouse partner add NAME" in hint and f"export GATEHOUSE_DATA={gateway.data}" in hint
        seen.child.sendintr()
        assert seen.end() == 0
