"""Times as people in other zones read and write them; programs get UTC."""

import json
import re
import subprocess
from datetime import datetime, timedelta, timezone

import pytest

BERLIN, UTC = "Europe/Berlin", "UTC"


@pytest.fixture(scope="module")
def waiting(shared, tmp_path_factory):
    """A transfer that begins at a time said in another zone than the gateway's."""
    shared.partner("alpha", password="open sesame")
    path = tmp_path_factory.mktemp("times") / "a.txt"
    path.write_text("later\n")
    words = ["peltrans", "-dest_alias", "alpha", "-fc", str(path), "-mode", "R", "-dir_name", "/alpha"]
    done = call(shared, BERLIN, *words, "-date_to_begin", "2099-07-01T12:00", "-date_to_end", "2099-12-01T12:00[America/New_York]")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def call(gateway, zone, *words):
    command = [gateway.program, *words, "--data", str(gateway.data)]
    env = gateway.environment() | {"TZ": zone}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, stdin=subprocess.DEVNULL)


def test_times_are_read_in_the_zone_of_the_caller_and_stored_in_utc(shared, waiting):
    # Issue: input with zone or offset, daylight saving
    shown = json.loads(call(shared, BERLIN, "peldsp", "display_trans", waiting, "--json").stdout)
    assert shown["x_date_to_begin"] == "2099-07-01T10:00:00.000000Z", "summer time there"
    assert shown["x_date_to_end"] == "2099-12-01T17:00:00.000000Z", "winter time of the zone that was named"
    assert json.loads(call(shared, UTC, "peldsp", "display_trans", waiting, "--json").stdout) == shown


def test_people_see_their_own_zone_or_utc(shared, waiting):
    local = call(shared, BERLIN, "peldsp", "display_trans", waiting).stdout
    assert "x_date_to_begin='2099-07-01T12:00:00.000000+02:00'" in local
    assert "x_date_to_end='2099-12-01T18:00:00.000000+01:00'" in local
    utc = call(shared, BERLIN, "peldsp", "display_trans", waiting, "-utc").stdout
    assert "x_date_to_begin='2099-07-01T10:00:00.000000Z'" in utc and utc == call(shared, UTC, "peldsp", "display_trans", waiting).stdout
    for words in (["peldsp", "status_trans"], ["why", waiting], ["history"]):
        text = call(shared, "Asia/Kolkata", *words).stdout
        assert "+05:30" in text and not re.search(r"\d\.\d{6}Z", text), text
    # What was recorded stays as it was recorded.
    audit = call(shared, "Asia/Kolkata", "audit", "list").stdout
    assert "+05:30" in audit and '"date_to_begin":"2099-07-01T10:00:00.000000Z"' in audit


def test_selections_mean_the_same_moment_everywhere(shared, waiting):
    row = next(row for row in shared.transfers() if str(row["Ident"]) == waiting)
    made = datetime.fromisoformat(row["Created"])
    for zone, offset in (("Asia/Kolkata", 5.5), (UTC, 0)):
        before = (made - timedelta(minutes=5)).astimezone(timezone(timedelta(hours=offset))).strftime("%Y-%m-%dT%H:%M:%S")
        after = (made + timedelta(minutes=5)).astimezone(timezone(timedelta(hours=offset))).strftime("%Y-%m-%dT%H:%M:%S")
        found = call(shared, zone, "peldsp", "select_trans", "-from", before, "-until", after).stdout
        assert waiting in found.split()
        assert waiting not in call(shared, zone, "peldsp", "select_trans", "-from", after).stdout.split()


@pytest.mark.parametrize("text", ["2026-03-29T02:30", "2026-10-25T02:30", "yesterday", "2026-13-01T00:00"])
def test_a_time_that_is_none_or_twice_is_refused(shared, text):
    # Daylight saving edges of Berlin: an hour that does not exist, and one that comes twice
    done = call(shared, BERLIN, "peldsp", "status_trans", "-from", text)
    assert done.returncode == 2 and "-from" in done.stderr
    assert call(shared, BERLIN, "peldsp", "status_trans", "-from", "2026-10-25T02:30:00+02:00").returncode == 0
