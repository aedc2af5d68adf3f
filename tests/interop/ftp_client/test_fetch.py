"""Files are fetched from partners by FTP, FTPS and SFTP: each once, whatever happens between."""

import os
import random
import time

import pytest

from gateway import Gateway
from peers import Sshd, make_file, sha256, until
from servers import PASSWORD, Proftpd, Pyftpdlib, PureFtpd, Vsftpd

# The requests themselves, which are transfers, too: data folder and number.
REQUESTS = set()
KILLS = 40 if os.environ.get("GATEHOUSE_SOAK") else 6


def partner(gateway, server, **how):
    """A partner whose files are fetched: `bravo`."""
    if isinstance(server, Sshd):
        gateway.remote("bravo", server, retry_s=1)
    else:
        gateway.ftp_remote("bravo", server, PASSWORD, retry_s=1, **how)


def fetch(gateway, *more, check=True):
    """Requests files of `bravo`; gives the number of the request."""
    done = gateway.run("peltrans", "-direction", "I", "-org_alias", "bravo", *more, check=check)
    if not check:
        return done
    REQUESTS.add((str(gateway.data), int(done.stdout.split()[0])))
    return done.stdout.split()[0]


def folder(server):
    """Where a partner's server shows files to us."""
    return server.files / server.dir_name.strip("/") if getattr(server, "dir_name", "") else server.files


def put(server, name, octets):
    """A file of a partner; gives its digest."""
    path = make_file(folder(server) / name, octets)
    path.chmod(0o644)
    os.utime(path, (1_790_000_000, 1_790_000_000 + len(name)))
    return sha256(path)


def over(gateway, ident, again=False):
    """The story of a request that is ended; waits for it. `again`: its first try fails."""
    shown = lambda: gateway.run("why", ident).stdout  # noqa: E731
    if again:
        until(f"a try of request {ident} fails", lambda: "state: to restart" in shown())
        gateway.run("pelctl", "control_trans", ident, "-action", "R")
    return until(f"request {ident} is over", lambda: "state: ended" in shown() and shown(), limit=60)


def got(gateway):
    """Names of the files that came from the partner, one for each time."""
    rows = gateway.transfers("-direction", "I", "-site", "bravo", "-state", "E")
    return sorted(row["File"] for row in rows if (str(gateway.data), row["Ident"]) not in REQUESTS)


@pytest.mark.parametrize("kind", ["sshd", "proftpd", "vsftpd", "pureftpd", "pyftpdlib", "pyftpdlib in clear"])
def test_each_file_once(fresh, tmp_path, kind):
    # FTP-20, FTP-6, TRF-12: whole, with its time; a second look fetches nothing again; then they are deleted there
    made = {"proftpd": Proftpd, "vsftpd": Vsftpd, "pureftpd": PureFtpd}
    with Sshd(tmp_path / "bravo", [fresh.own_key()]) if kind == "sshd" else made.get(
        kind, lambda where: Pyftpdlib(where, tls="clear" not in kind)
    )(tmp_path / "bravo") as bravo:
        partner(fresh, bravo, **({} if "clear" in kind or kind == "sshd" else {"tls": "explicit"}))
        place = [] if kind != "sshd" else ["-dir_name", str(bravo.files)]
        sums = {name: put(bravo, name, octets) for name, octets in [("empty.csv", 0), ("a b.csv", 3000), ("large.bin", 7_000_000)]}
        put(bravo, "half.part", 100)
        (folder(bravo) / "below").mkdir()
        text = over(fresh, fetch(fresh, *place))
        assert "3 files of 7003000 octets fetched" in text and "fetched as transfer" in text, text
        for name, digest in sums.items():
            assert fresh.received("bravo", name)["sha256"] == digest
        assert "3 were received before" in over(fresh, fetch(fresh, *place, "-after_fetch", "DELETE"))
        assert got(fresh) == sorted(sums)
        assert sorted(path.name for path in folder(bravo).iterdir()) == ["below", "half.part"]
        listed = over(fresh, fetch(fresh, *place, "-type", "DIR", "-file_name", f"names.{len(kind)}"))
        assert "the list of the folder" in listed and "1 files" in listed, listed
        row = fresh.received("bravo", f"names.{len(kind)}")
        assert row["size"] >= len("below\n")
        over(fresh, fetch(fresh, *place, "-type", "DIR", "-dir_type", "LONG", "-file_name", "long"))
        assert fresh.received("bravo", "long")["size"] > row["size"]
        # It looks as before, and is another one: the first is gone.
        assert put(bravo, "a b.csv", 3000) != sums["a b.csv"]
        assert "1 files of 3000 octets fetched" in over(fresh, fetch(fresh, *place))


def test_what_is_asked_for(fresh, tmp_path):
    # FTP-20: names, filters; and what makes no sense is refused with a sentence
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        partner(fresh, bravo)
        for name, octets in [("a.csv", 10), ("b.csv", 2000), ("c.txt", 10), ("star*.csv", 5)]:
            put(bravo, name, octets)
        over(fresh, fetch(fresh, "-file_name", "star*.csv"))
        assert got(fresh) == ["star*.csv"], "a name is no pattern"
        over(fresh, fetch(fresh, "-multi_filter", "name=?.csv;size < 1000", "-after_fetch", "DELETE"))
        assert got(fresh) == ["a.csv", "star*.csv"]
        assert sorted(path.name for path in bravo.files.iterdir()) == ["b.csv", "c.txt", "star*.csv"]
        for words, sentence in [
            (["-multi_filter", "colour = red"], "is no condition"),
            (["-file_name", "in/a.csv"], "without '/'"),
            (["-permanent", "Y", "-interval", "1"], "interval"),
        ]:
            refused = fetch(fresh, *words, check=False)
            assert refused.returncode != 0 and sentence in refused.stdout + refused.stderr, (words, refused)
        missing = fetch(fresh, "-file_name", "nothing.csv", "-retry_count_max", "0")
        told = until("it is told", lambda: (text := fresh.run("why", missing).stdout) and "suspended" in text and text)
        assert "nothing.csv is not in the partner's folder" in told
        fresh.run("peladm", "update_site", "-alias", "bravo", "-init_receiver", "N")
        refused = fetch(fresh, check=False)
        assert refused.returncode != 0 and "init_receiver" in refused.stdout + refused.stderr


def test_a_request_that_stays(fresh, keys, tmp_path):
    # FTP-20, TRF-12: what comes later is fetched, too, and goes its way; a folder that is away for a while ends nothing
    with Pyftpdlib(tmp_path / "bravo") as bravo, Sshd(tmp_path / "charlie", [fresh.own_key()]) as charlie:
        partner(fresh, bravo)
        fresh.remote("charlie", charlie)
        fresh.route("bravo", "charlie")
        ident = fetch(fresh, "-permanent", "Y", "-interval", "5", "-after_fetch", "DELETE", "-dir_name", "out")
        until("a look without folder is told", lambda: "out" in fresh.run("why", ident).stdout and "cause" in fresh.run("why", ident).stdout)
        (bravo.files / "out").mkdir()
        sent = {}
        for turn in range(2):
            sent[f"t{turn}.csv"] = sha256(make_file(bravo.files / "out" / f"t{turn}.csv", 5000 + turn))
            until("it goes its way", lambda: {path.name: sha256(path) for path in charlie.files.iterdir()} == sent)
        until("they are gone there", lambda: list((bravo.files / "out").iterdir()) == [])
        fresh.run("pelctl", "control_trans", ident, "-action", "C")
        assert "cancelled" in fresh.run("why", ident).stdout
        assert got(fresh) == ["t0.csv", "t1.csv"]


def test_a_line_that_breaks_is_gone_on_with(fresh, tmp_path):
    # FTP-13, TRF-9: at the octet that is durable
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        partner(fresh, bravo)
        digest = put(bravo, "large.bin", 90_000_000)
        bravo.state["gone_after"] = 60_000_000
        text = over(fresh, fetch(fresh), again=True)
        assert fresh.received("bravo", "large.bin")["sha256"] == digest
        child = text.split("fetched as transfer ")[1].split()[0]
        story = fresh.run("why", child).stdout
        assert "interrupted" in story and "goes on at octet " in story, story
        assert int(story.split("goes on at octet ")[1].split()[0]) > 0
        assert got(fresh) == ["large.bin"]


def test_a_file_that_grows_waits(fresh, tmp_path):
    # TRF-20: nothing is received of a file that is not whole
    with Pyftpdlib(tmp_path / "bravo") as bravo:
        partner(fresh, bravo)
        path = make_file(bravo.files / "grows.bin", 1_000_000)
        bravo.state["listed"] = lambda: path.write_bytes(path.read_bytes() + b"more")
        over(fresh, fetch(fresh), again=True)
        assert "it is fetched when it is whole" in fresh.log()
        assert fresh.received("bravo", "grows.bin")["sha256"] == sha256(path)
        assert got(fresh) == ["grows.bin"]


@pytest.mark.parametrize("by", ["ftps", "sftp"])
def test_killed_at_any_moment_nothing_is_lost_or_doubled(tmp_path, by):
    # TRF-4: kill -9 of the gateway while files are fetched and deleted at the partner
    dice = random.Random(int(os.environ.get("GATEHOUSE_SEED", "1")))
    with Gateway(tmp_path / "gateway") as gateway:
        made = (lambda: Pyftpdlib(tmp_path / "bravo", tls=True)) if by == "ftps" else (
            lambda: Sshd(tmp_path / "bravo", [gateway.own_key()]))
        with made() as bravo:
            partner(gateway, bravo, **({"tls": "explicit"} if by == "ftps" else {}))
            place = ["-dir_name", str(bravo.files)] if by == "sftp" else []
            fetch(gateway, "-permanent", "Y", "-interval", "5", "-after_fetch", "DELETE", *place)
            sent = {}
            for turn in range(KILLS):
                for part in range(3):
                    name = f"t{turn}.{part}"
                    sent[name] = put(bravo, name, dice.choice([0, 900, 2_000_000, 40_000_000]))
                until("it begins", lambda: "bravo" in gateway.log())
                gateway.run("pelctl", "start_site", "bravo")
                time.sleep(dice.uniform(0.0, 0.6))  # the moment of the blow is the point of this test
                gateway.kill()
                gateway.start()
            until("all are here", lambda: got(gateway) == sorted(sent), limit=120)
            until("none is there", lambda: list(bravo.files.iterdir()) == [], limit=60)
            for name, digest in sent.items():
                assert gateway.received("bravo", name)["sha256"] == digest
            time.sleep(6)  # one more look, which must find nothing to do
            assert got(gateway) == sorted(sent)
