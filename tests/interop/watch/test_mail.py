"""Alarms by mail, to a real mail server."""

import email
import email.policy

from gateway import Gateway
from peers import make_file, until
from receivers import certificate, mail_server


def settings(server, tls, *more):
    lines = ["[alarms]", "every_s = 1", "[mail]", f'server = "{server}"', f'tls = "{tls}"']
    lines += ['from = "gatehouse@example.org"', 'to = ["ops@example.org", "night@example.org"]', "gather_s = 2", *more]
    return "\n".join(lines) + "\n"


def read(text):
    return email.message_from_string(text, policy=email.policy.default)


def test_a_storm_makes_one_letter(tmp_path, client, keys):
    with mail_server() as mail, Gateway(tmp_path / "g", settings(f"127.0.0.1:{mail.port}", "none")) as gateway:
        gateway.partner("alice", key=keys("alice"))
        # Addresses that are kept for documentation (RFC 5737): nobody can listen there.
        for last in range(4):
            gateway.run("listener", "add", f"L{last}", "-address", f"203.0.113.{last + 1}", "-port", "2222")
        until("a letter is there", lambda: mail.letters)
        until("all are mailed", lambda: len([a for a in gateway.json("alarm", "list") if a["rule"] == "listener_down"]) == 4)
        assert len(mail.letters) == 1
        sender, recipients, text, _ = mail.letters[0]
        letter = read(text)
        assert (sender, recipients) == ("gatehouse@example.org", ["ops@example.org", "night@example.org"])
        assert "4 open" in letter["subject"] and letter["auto-submitted"] == "auto-generated"
        body = letter.get_content()
        for word in ("cause:", "effect:", "next:", "gatehouse listener list", "L0", "L3"):
            assert word in body, body


def test_letters_go_by_starttls_with_a_login(tmp_path):
    tls, login = certificate(tmp_path), ("gate", "a secret phrase")
    (tmp_path / "password").write_text(login[1] + "\n")
    more = [f'ca_file = "{tls[1]}"', 'login = "gate"', f'password_file = "{tmp_path}/password"']
    with mail_server(tls, login=login) as mail:
        with Gateway(tmp_path / "g", settings(f"localhost:{mail.port}", "starttls", *more)) as gateway:
            assert "took a letter" in gateway.run("alarm", "test").stdout
            assert mail.letters[0][3], "with TLS"
            (tmp_path / "password").write_text("wrong\n")
            done = gateway.run("alarm", "test", check=False)
            assert done.returncode == 1 and "refuses the login" in done.stderr
            assert login[1] not in gateway.log()


def test_letters_go_by_tls_from_the_start(tmp_path):
    tls = certificate(tmp_path)
    with mail_server(tls, implicit=True) as mail:
        more = [f'ca_file = "{tls[1]}"']
        with Gateway(tmp_path / "g", settings(f"localhost:{mail.port}", "implicit", *more)) as gateway:
            gateway.run("alarm", "test")
            assert len(mail.letters) == 1
        with Gateway(tmp_path / "h", settings(f"localhost:{mail.port}", "implicit")) as gateway:
            done = gateway.run("alarm", "test", check=False)
            assert done.returncode == 1 and "certificate" in done.stderr, "the system does not know it"


def test_a_server_without_tls_gets_nothing(tmp_path):
    with mail_server() as mail, Gateway(tmp_path / "g", settings(f"localhost:{mail.port}", "starttls")) as gateway:
        done = gateway.run("alarm", "test", check=False)
        assert done.returncode == 1 and "does not offer STARTTLS" in done.stderr
        assert not mail.letters


def test_letters_wait_while_the_server_refuses(tmp_path, client, keys):
    more = ["pause_s = 1"]
    with mail_server() as mail, Gateway(tmp_path / "g", settings(f"127.0.0.1:{mail.port}", "none", *more)) as gateway:
        mail.refuse = True
        gateway.partner("alice", key=keys("alice"))
        gateway.somewhere("alice")
        client(gateway, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 500)} a.bin")
        ident = until("it is routed", lambda: gateway.deliveries("a.bin"))[0]["Ident"]
        gateway.run("pelctl", "control_trans", str(ident), "-action", "S")
        until("it is tried", lambda: "could not be mailed" in gateway.log())
        mail.refuse = False
        until("it is mailed", lambda: mail.letters, limit=90)
        assert "suspended" in read(mail.letters[0][2]).get_content()
