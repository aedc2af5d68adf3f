"""The commands of docs/manual/care.md, run in their order as they stand there."""

import subprocess
from pathlib import Path

from peers import make_file, until

MANUAL = Path(__file__).parents[3] / "docs" / "manual" / "care.md"


def commands():
    lines = [line.strip() for line in MANUAL.read_text().splitlines() if line.startswith("    gatehouse ")]
    return [line.split("#")[0].split()[1:] for line in lines]


def test_the_commands_of_the_manual_work(fresh, client, keys, tmp_path):
    # Issue: operator chapter whose commands are run
    fresh.partner("alice", key=keys("alice"))
    client(fresh, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'a.bin', 50_000)} a.bin")
    for folder in ("backup", "safe", "credentials"):
        (tmp_path / folder).mkdir()
    for name in ("credentials/gatehouse.passphrase", "safe/words"):
        (tmp_path / name).write_text("four words in a row\n")
    restored = tmp_path / "restored"
    places = {"/backup/": f"{tmp_path}/backup/", "/safe/": f"{tmp_path}/safe/", "/var/lib/gatehouse": str(restored)}
    env = fresh.environment() | {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    seen = []
    for words in commands():
        for place, ours in places.items():
            words = [word.replace(place, ours) for word in words]
        seen.append(" ".join(words[:2]))
        if words[0] == "serve":
            # The one that is restored takes the place of the one that is lost.
            fresh.kill()
            fresh.data = restored
            fresh.start(ready=False)
            until("it answers commands", lambda: "frozen" in fresh.log())
            continue
        if words[:2] == ["backup", "escrow"]:
            (tmp_path / "safe" / "gatehouse.escrow").unlink(missing_ok=True)
        data = [] if "--data" in words else ["--data", str(fresh.data)]
        done = subprocess.run(
            [fresh.program, *words, *data], capture_output=True, text=True, timeout=60, env=env, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    assert len(seen) >= 15 and "backup verify" in seen and "master rotate" in seen
