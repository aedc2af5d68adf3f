"""The commands of docs/manual/handoff.md, run in their order as they stand there."""

import shlex
import subprocess
from pathlib import Path

from folders import put, visible
from peers import make_file, until

MANUAL = Path(__file__).parents[3] / "docs" / "manual" / "handoff.md"


def commands():
    lines = [line.strip() for line in MANUAL.read_text().splitlines() if line.startswith("    gatehouse ")]
    return [shlex.split(line.split(" #")[0])[1:] for line in lines]


def test_the_commands_of_the_manual_work(fresh, client, keys, tmp_path):
    # Issue: each command of the manual is run by a test
    fresh.partner("alice", key=keys("alice"), settle_s=0)
    for folder in ("srv/erp/in", "srv/erp/out", "here"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "here" / "order.xml").write_text("<order/>\n")
    seen = []
    for words in commands():
        words = [word.replace("/srv/erp", f"{tmp_path}/srv/erp") for word in words]
        seen.append(" ".join(words[:2]))
        done = subprocess.run(
            [fresh.program, *words, "--data", str(fresh.data)], capture_output=True, text=True, timeout=60,
            env=fresh.environment(), stdin=subprocess.DEVNULL, cwd=tmp_path / "here",
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    assert {"handoff create_drop", "file get", "file put", "peladm create_site"} <= set(seen)
    # And what they set up works.
    out, into = tmp_path / "srv/erp/out", tmp_path / "srv/erp/in"
    (out / "answer.xml").write_text("<answer/>\n")
    (out / "answer.xml.ok").touch()
    until("dropped and picked up", lambda: "answer.xml.done" in visible(into))
    assert (into / "answer.xml").read_text() == "<answer/>\n"
    client(fresh, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'p', 900)} partner.xml")
    until("sent and picked up", lambda: "partner.xml.done" in visible(into))
