"""Pick-up folders: what partners send is put into a real folder for the business side, each file once."""

import os
import random
import stat
import subprocess
import time

import pytest

from folders import Consumer, digest, pickup, visible
from gateway import Gateway
from peers import OpenSsh, make_file, sha256, until

MARK = ["-done_marker", "&(file_name).done"]


def test_a_partners_file_is_put_into_a_folder(fresh, client, keys, tmp_path):
    # CON-5, TRF-20: whole, with its mark, mode and time; sha256sum agrees
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    erp = tmp_path / "erp"
    pickup(fresh, "ERP", erp, *MARK, "-file_mode", "0644", "-dir_name", "orders/&(lowercase(site))")
    fresh.route("alpha", "ERP")
    sent = make_file(tmp_path / "a.xml", 3_000_000)
    os.utime(sent, (1_700_000_000, 1_700_000_000))
    client(fresh, "alpha", keys("alpha")).sftp(f"put -p {sent} order.xml")
    mark = erp / "orders" / "alpha" / "order.xml.done"
    until("the mark is there", mark.exists)
    there = mark.with_suffix("")
    assert sha256(there) == sha256(sent)
    assert stat.S_IMODE(there.stat().st_mode) == 0o644 and int(there.stat().st_mtime) == 1_700_000_000
    subprocess.run(["sha256sum", "--strict", "-c", mark.name], cwd=mark.parent, check=True)
    until("nothing is left to do", fresh.idle)
    [row] = fresh.deliveries("order.xml")
    assert row["Site"] == "ERP" and "over FOLDER" in fresh.run("why", str(row["Ident"])).stdout


def test_names_are_made_and_numbered(fresh, client, keys, tmp_path):
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    erp = tmp_path / "erp"
    pickup(fresh, "ERP", erp, "-file_name_pattern", "&(site)_&(date).xml", "-rename_policy", "NUMBER")
    fresh.route("alpha", "ERP")
    sftp = client(fresh, "alpha", keys("alpha"))
    for number in range(3):
        sftp.sftp(f"put {make_file(tmp_path / 'x', 100 + number)} f{number}")
    until("all three are there", lambda: len(visible(erp)) == 3)
    date = visible(erp)[0][6:14]
    assert date.isdigit()
    assert visible(erp) == [f"alpha_{date}.xml", f"alpha_{date}_1.xml", f"alpha_{date}_2.xml"]


def test_a_folder_that_is_away_is_waited_for(fresh, client, keys, tmp_path):
    # CON-5: survives the absence of the business side
    fresh.partner("alpha", key=keys("alpha"), settle_s=0)
    erp = tmp_path / "erp"
    pickup(fresh, "ERP", erp)
    erp.rmdir()
    fresh.route("alpha", "ERP")
    client(fresh, "alpha", keys("alpha")).sftp(f"put {make_file(tmp_path / 'x', 900)} a")
    until("the cause is told", lambda: fresh.reason("a", "create it"))
    erp.mkdir()
    until("it arrives", lambda: visible(erp) == ["a"])


def test_a_full_disk_leaves_nothing_half(fresh, client, keys, tmp_path):
    erp = tmp_path / "erp"
    erp.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0755", "none", str(erp)]
    if os.getuid() != 0 or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("no right to mount a small disk")
    try:
        fresh.partner("alpha", key=keys("alpha"), settle_s=0)
        pickup(fresh, "ERP", erp)
        fresh.route("alpha", "ERP")
        (erp / "ballast").write_bytes(bytes(2_500_000))
        sent = make_file(tmp_path / "x", 2_000_000)
        client(fresh, "alpha", keys("alpha")).sftp(f"put {sent} a")
        until("no space is told", lambda: any("space" in fresh.run("why", str(r["Ident"])).stdout for r in fresh.deliveries("a")))
        assert visible(erp) == ["ballast"]
        (erp / "ballast").unlink()
        [row] = fresh.deliveries("a")
        fresh.run("pelctl", "control_trans", str(row["Ident"]), "-action", "R", check=False)
        until("it arrives", lambda: visible(erp) == ["a"], limit=60)
        assert sha256(erp / "a") == sha256(sent)
    finally:
        subprocess.run(["umount", "--lazy", str(erp)], check=True)


def test_killed_at_any_moment_each_file_comes_once(tmp_path, keys):
    # TRF-4, DESIGN 1.18, CON-5: the application takes files away at once, and gets each once
    dice = random.Random(int(os.environ.get("GATEHOUSE_SEED", "1")))
    erp = tmp_path / "erp"
    with Gateway(tmp_path / "gateway") as gateway:
        gateway.partner("alpha", key=keys("alpha"), settle_s=0)
        pickup(gateway, "ERP", erp, *MARK, "-init_conn_max", "3")
        gateway.route("alpha", "ERP")
        sftp = OpenSsh(tmp_path / "client", gateway.port("key"), "alpha", keys("alpha"))
        sent = {}
        with Consumer(erp) as consumer:
            for turn in range(10):
                # All are received before the first may be put: the blow falls into the putting.
                gateway.run("pelctl", "stop_site", "ERP")
                names = [f"t{turn}_{n}.bin" for n in range(30)]
                lines = []
                for name in names:
                    path = make_file(tmp_path / name, dice.choice([0, 900, 40_000, 2_000_000]))
                    sent[name] = sha256(path)
                    lines.append(f"put {path} {name}")
                sftp.sftp(*lines)
                gateway.run("pelctl", "start_site", "ERP")
                time.sleep(dice.uniform(0.0, 0.4))  # the moment of the blow is the point of this test
                gateway.kill()
                gateway.start()
            until("all were taken away", lambda: len(consumer.got) >= len(sent) and gateway.idle(), limit=90)
        assert consumer.wrong == []
        assert sorted(consumer.got) == sorted(sent.items()), "each once, none lost"
        assert [p.name for p in erp.iterdir()] == [], "nothing hidden stays"
