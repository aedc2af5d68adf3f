"""The commands of docs/manual/watching.md, run in their order as they stand there."""

from pathlib import Path

from peers import make_file

MANUAL = Path(__file__).parents[3] / "docs" / "manual" / "watching.md"


def commands():
    lines = [line.strip() for line in MANUAL.read_text().splitlines() if line.startswith("    gatehouse ")]
    return [line.split("#")[0].split()[1:] for line in lines]


def test_the_commands_of_the_manual_work(fresh, client, keys, tmp_path):
    # Issue: operator chapter whose commands are run
    fresh.partner("alice", key=keys("alice"))
    client(fresh, "alice", keys("alice")).sftp(f"put {make_file(tmp_path / 'order.xml', 5_000)} order.xml")
    fresh.received("alice", "order.xml")
    seen = []
    for words in commands():
        words = [word.replace("/backup/", f"{tmp_path}/") for word in words]
        fresh.run(*words)
        seen.append(" ".join(words[:2]))
    assert len(seen) >= 18 and "webhook rotate" in seen and "alarm list" in seen
