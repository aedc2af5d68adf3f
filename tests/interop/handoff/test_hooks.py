"""Hooks: programs that are asked before, and told after something happens, each at least once."""

import os
import random
import time

import pytest

from folders import drop, put
from gateway import Gateway
from peers import OpenSsh, make_file, until


def hook(gateway, name, folder, script, *more, events="RECEIVED", check=True):
    """A hook whose program is this shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    program = folder / f"{name}.sh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    words = ["-name", name, "-events", events, "-program", str(program), *more]
    return gateway.run("handoff", "create_hook", *words, check=check)


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def test_a_program_is_told_what_happened(fresh, client, keys, tmp_path):
    # CON-13, CON-20
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    out = tmp_path / "told"
    script = f'echo "$GATEHOUSE_EVENT|$x_site|$x_file_name|$x_file_size|$1" >> {out}; env > {out}.env; echo "done with $2"'
    hook(fresh, "TOLD", tmp_path / "bin", script, "-arguments", "&(site) &(file_name)")
    sent = make_file(tmp_path / "x", 900)
    client(fresh, "alpha", keys("alpha")).sftp(f'put {sent} "a b;$(id).xml"')
    until("it was told", lambda: lines(out))
    assert lines(out) == ["RECEIVED|alpha|a b;$(id).xml|900|alpha"]
    [row] = fresh.transfers("-direction", "I")
    story = until("the story tells it", lambda: (lambda t: t if "exit code 0" in t else None)(fresh.run("why", str(row["Ident"])).stdout))
    assert "hook TOLD of RECEIVED" in story and "done with a b;$(id).xml" in story
    names = {line.split("=")[0] for line in lines(tmp_path / "told.env")}
    assert not {n for n in names if "GATEHOUSE_DATA" in n or n in ("USER", "RUST_BACKTRACE")}, names


def test_one_that_fails_is_tried_again_and_given_up(fresh, tmp_path):
    # CON-9, CON-10
    count = tmp_path / "count"
    hook(fresh, "BAD", tmp_path / "bin", f"echo $GATEHOUSE_RUN $GATEHOUSE_ATTEMPT >> {count}; echo no use; exit 7", "-retry_count_max", "0")
    drop(fresh, "OUT", tmp_path / "out")
    put(tmp_path / "out", "a", b"x")
    until("it was told", lambda: lines(count))
    [row] = until("it is received", lambda: fresh.transfers("-direction", "I"))
    story = until("it is given up", lambda: (lambda t: t if "given up" in t else None)(fresh.run("why", str(row["Ident"])).stdout))
    assert "exit code 7" in story and "no use" in story
    assert len(lines(count)) == 1 and fresh.is_ready()


def test_one_that_hangs_floods_and_forks_is_ended(fresh, tmp_path):
    # CON-9, CON-14: time limit, output bound, process group
    pids = tmp_path / "pids"
    script = f"echo $$ >> {pids}; sleep 1000 & echo $! >> {pids}; yes flood"
    hook(fresh, "WILD", tmp_path / "bin", script, "-time_limit_s", "1", "-retry_count_max", "0")
    drop(fresh, "OUT", tmp_path / "out")
    put(tmp_path / "out", "a", b"x")
    [row] = until("it is received", lambda: fresh.transfers("-direction", "I"))
    story = until("it is ended", lambda: (lambda t: t if "end of its time" in t else None)(fresh.run("why", str(row["Ident"])).stdout), limit=40)
    assert len(story) < 10_000

    def gone(pid):
        status = f"/proc/{pid}/status"
        return not os.path.exists(status) or "State:\tZ" in open(status).read()

    until("all of it is gone", lambda: all(gone(pid) for pid in lines(pids)))
    assert len(lines(pids)) == 2


def test_an_upload_is_refused_by_a_program(fresh, client, keys, tmp_path):
    # TRF-24, CON-12: the partner gets the protocol's refusal, the log the reason
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    hook(fresh, "CHECK", tmp_path / "bin", 'case "$x_file_name" in *.exe) echo "no programs"; exit 1;; esac', events="UPLOAD")
    sftp = client(fresh, "alpha", keys("alpha"))
    sent = make_file(tmp_path / "x", 900)
    refused = sftp.sftp(f"put {sent} virus.exe", check=False)
    assert refused.returncode != 0 and "ermission denied" in refused.stdout + refused.stderr
    sftp.sftp(f"put {sent} good.xml")
    until("the good one is received", lambda: fresh.received("alpha", "good.xml"))
    assert fresh.transfers("-file_name", "virus.exe") == [] and "no programs" in fresh.log()


@pytest.mark.parametrize("policy, passes", [("CLOSED", False), ("OPEN", True)])
def test_a_login_is_asked_and_failures_count_as_said(fresh, client, keys, tmp_path, policy, passes):
    # CON-9, CON-12: a crash is no answer
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    hook(fresh, "DOOR", tmp_path / "bin", "kill -9 $$", "-failure_policy", policy, events="LOGIN")
    done = client(fresh, "alpha", keys("alpha")).sftp("pwd", check=False)
    assert (done.returncode == 0) == passes
    assert "killed by signal 9" in fresh.log()


def test_programs_of_others_are_refused(fresh, tmp_path):
    # LESSONS: no folder whose content is executed
    out = tmp_path / "out"
    drop(fresh, "OUT", out)
    for folder, words in [(out, "drop folder"), (fresh.data / "bin", "own folder")]:
        done = hook(fresh, "EVIL", folder, "true", check=False)
        assert done.returncode == 1 and words in done.stderr, done
    (tmp_path / "open").mkdir()
    program = tmp_path / "open" / "x.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777)
    words = ["-name", "EVIL", "-events", "RECEIVED", "-program", str(program)]
    done = fresh.run("handoff", "create_hook", *words, check=False)
    assert done.returncode == 1 and "written by others" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="needs the right to change the user")
def test_a_program_runs_as_another_user(fresh, tmp_path):
    out = tmp_path / "who"
    out.mkdir()
    os.chown(out, 4321, 4322)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder.stat().st_uid == 0 and folder != folder.parent and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    hook(fresh, "WHO", tmp_path / "bin", f"id -u > {out}/u; id -g > {out}/g; id -G > {out}/all", "-run_as", "4321:4322")
    drop(fresh, "OUT", tmp_path / "out")
    put(tmp_path / "out", "a", b"x")
    until("it ran", lambda: lines(out / "all"))
    assert [lines(out / n) for n in ("u", "g", "all")] == [["4321"], ["4322"], ["4322"]]


def test_killed_at_any_moment_each_event_is_told(tmp_path):
    # At least once, under one number
    dice = random.Random(int(os.environ.get("GATEHOUSE_SEED", "1")))
    told, out = tmp_path / "told", tmp_path / "out"
    with Gateway(tmp_path / "gateway") as gateway:
        hook(gateway, "TOLD", tmp_path / "bin", f'echo "$GATEHOUSE_RUN $x_file_name" >> {told}', "-parallel_max", "4")
        drop(gateway, "OUT", out, "-ready", "RENAME")
        names = set()
        for turn in range(8):
            for number in range(20):
                names.add(f"t{turn}_{number}")
                put(out, f"t{turn}_{number}", b"x")
            time.sleep(dice.uniform(0.0, 0.5))  # the moment of the blow is the point of this test
            gateway.kill()
            gateway.start()
        until("all are told", lambda: {line.split()[1] for line in lines(told)} == names, limit=90)
        numbers = {}
        for line in lines(told):
            number, name = line.split()
            assert numbers.setdefault(name, number) == number, f"{name} was told under two numbers"
