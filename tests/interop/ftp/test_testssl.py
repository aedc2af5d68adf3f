"""testssl.sh on a listener for implicit FTPS with the profile as it is made: nothing above "low" is found."""

import json
import subprocess

from peers import HOST, need

# What it finds of the certificate that the tests make for themselves, which nobody revokes.
OF_THE_TEST = {"cert_revocation"}
HARMLESS = ("OK", "INFO", "LOW", "DEBUG", "WARN")
# Versions, kinds of suites, forward secrecy, defaults of the server, weaknesses by name.
PARTS = ["-p", "-s", "-f", "-S", "-U"]


def test_the_default_profile(shared, tmp_path):
    # issue 5, Proof
    port, found = shared.ftp_port("implicit"), tmp_path / "found.json"
    words = [need("testssl"), "--warnings", "batch", "--quiet", "--color", "0", "--add-ca", str(shared.certificate())]
    done = subprocess.run(
        [*words, *PARTS, "--jsonfile", str(found), f"{HOST}:{port}"], capture_output=True, text=True, timeout=600,
        stdin=subprocess.DEVNULL,
    )
    rows = json.loads(found.read_text())
    assert {"TLS1_3", "heartbleed", "cert_chain_of_trust", "PFS"} <= {row["id"] for row in rows}, done.stdout[-3000:]
    worse = [row for row in rows if row["severity"] not in HARMLESS and row["id"] not in OF_THE_TEST]
    assert worse == []
