"""Who gets in, by which proof, and what happens to a key that nobody knows."""

import pytest

from peers import until


def gets_in(client):
    done = client.sftp("pwd", check=False)
    assert done.returncode == 0 or "denied" in done.stderr.lower() or "closed" in done.stderr.lower(), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(
    ("mode", "with_key", "with_password", "expected"),
    [
        ("key", True, False, True),
        ("key", False, True, False),
        ("password", False, True, True),
        ("password", True, False, False),
        ("either", True, False, True),
        ("either", False, True, True),
        ("both", True, False, False),
        ("both", False, True, False),
        ("both", True, True, True),
    ],
)
def test_methods(shared, client, keys, mode, with_key, with_password, expected):
    # SSH-11, SFTP-4: each mode accepts and refuses exactly its combinations
    login = f"m{mode}"
    shared.partner(login, key=keys(login), password="correct horse")
    made = client(
        shared, login, keys(login) if with_key else None, "correct horse" if with_password else None, mode=mode
    )
    assert gets_in(made) is expected


def test_wrong_password_unknown_user_and_strange_key(shared, client, keys):
    # SFTP-4, SFTP-22
    shared.partner("careful", key=keys("careful"), password="right")
    assert not gets_in(client(shared, "careful", password="wrong"))
    assert not gets_in(client(shared, "nobody", password="right"))
    assert not gets_in(client(shared, "careful", keys("strange")))
    assert gets_in(client(shared, "careful", keys("careful")))


def test_the_key_of_one_partner_does_not_open_another(shared, client, keys):
    # SFTP-4, OBJ-12, DESIGN 5.6
    shared.partner("one", key=keys("one"))
    shared.partner("two", key=keys("two"))
    assert not gets_in(client(shared, "two", keys("one")))
    assert gets_in(client(shared, "two", keys("two")))


@pytest.mark.parametrize(("kind", "bits"), [("rsa", 3072), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521)])
def test_kinds_of_keys(shared, client, keys, kind, bits):
    # KEY-1
    login = f"{kind}{bits}"
    shared.partner(login, key=keys(login, kind, bits))
    assert gets_in(client(shared, login, keys(login)))


def captured_key(gateway):
    """The one key in quarantine. It is stored when its connection has ended, so the client may be a little faster."""
    rows = until("the key is in quarantine", gateway.quarantine)
    assert len(rows) == 1
    return rows[0]


def test_an_unknown_key_waits_for_a_person(fresh, client, keys):
    # AUTO-1, AUTO-2, AUTO-3, AUTO-7, SFTP-5, SSH-17
    fresh.partner("newcomer", key=None)
    first = client(fresh, "newcomer", keys("newcomer"), mode="capture")
    assert not gets_in(first)
    key = captured_key(fresh)
    assert key["Fingerprint"] == keys("newcomer").fingerprint
    assert key["State"] == "TO_CHECK"
    assert "DISABLED (to check)" in fresh.run("quarantine", "list").stdout
    assert not gets_in(first), "a second contact changes nothing"
    until("the second contact is over", lambda: not fresh.sessions())
    assert len(fresh.quarantine()) == 1
    fresh.run("quarantine", "enable", key["Name"])
    assert gets_in(first), "enabled: in without a restart"


def test_an_enabled_capture_opens_its_own_login_only(fresh, client, keys):
    # DESIGN 1.5: the key is bound to the login that it came with
    fresh.partner("bound", key=None)
    fresh.partner("other", key=None)
    assert not gets_in(client(fresh, "bound", keys("bound"), mode="capture"))
    fresh.run("quarantine", "enable", captured_key(fresh)["Name"])
    assert gets_in(client(fresh, "bound", keys("bound"), mode="capture"))
    assert not gets_in(client(fresh, "other", keys("bound"), mode="capture"))


def test_a_rejected_key_stays_out(fresh, client, keys):
    # AUTO-2, AUTO-3
    fresh.partner("rejected", key=None)
    made = client(fresh, "rejected", keys("rejected"), mode="capture")
    assert not gets_in(made)
    fresh.run("quarantine", "reject", captured_key(fresh)["Name"])
    assert not gets_in(made)


def test_without_auto_import_nothing_is_kept(shared, client, keys):
    # AUTO-4
    shared.partner("strict", key=None)
    assert not gets_in(client(shared, "strict", keys("strict"), mode="key"))
    assert shared.quarantine() == []


def test_a_disabled_key_is_refused_at_the_next_login(fresh, client, keys):
    # DESIGN 5.9, NET-11
    fresh.partner("leaver", key=keys("leaver"))
    made = client(fresh, "leaver", keys("leaver"))
    assert gets_in(made)
    fresh.run("secadm", "update_key", "-name", fresh.key_name("leaver"), "-state", "D")
    assert not gets_in(made)
    fresh.run("secadm", "update_key", "-name", fresh.key_name("leaver"), "-state", "E")
    assert gets_in(made)


def test_commands_work_while_the_gateway_is_down(fresh, client, keys):
    # DESIGN 2.7
    fresh.stop()
    fresh.partner("early", key=keys("early"))
    fresh.start()
    assert gets_in(client(fresh, "early", keys("early")))
