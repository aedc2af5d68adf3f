"""ssh-audit on the default profile: nothing it would fail."""

import json
import subprocess
import sys
from pathlib import Path

from peers import HOST


def test_the_default_profile_has_no_failure(shared):
    # SSH-5, issue: ssh-audit on the default profile shows no failure
    program = Path(sys.executable).with_name("ssh-audit")
    words = [str(program), "--json", "--timeout", "20", "--port", str(shared.port("default")), HOST]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    report = json.loads(done.stdout)
    failures = []
    for part in ("kex", "key", "enc", "mac"):
        for entry in report.get(part, []):
            failures += [f"{part} {entry['algorithm']}: {note}" for note in entry.get("notes", {}).get("fail", [])]
    assert report["kex"], "ssh-audit saw no algorithms"
    assert failures == []
    assert report.get("cves", []) == []
