"""Fills fuzz/corpus with files of other products, from GATEHOUSE_FIXTURES: each reader gets all that is of its form."""

import base64
import json
import os
import re
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----\s*([A-Za-z0-9+/=\s]+)-----END")
# Folder of the fixtures, and which targets read what is in it.
FOLDERS = {
    "der": ["key_der"],
    "ec": ["key_der", "key_pem"],
    "pem": ["key_pem", "private_key_file", "certificates_base64"],
    "pkcs8": ["key_pem", "key_der", "private_key_file"],
    "traditional": ["key_pem", "private_key_file"],
    "openssh": ["key_openssh", "key_txt", "key_rfc4716", "key_ppk"],
    "pkcs7": ["certificates_pkcs7"],
    "pkcs12": ["certificates_pkcs12"],
    "x509": ["certificates_base64", "certificate"],
}


def keep(target, number, octets):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed{number:05}").write_bytes(octets)


def der(pem):
    return [base64.b64decode(body) for body in PEM.findall(pem)]


def ftp(number):
    """Our own vectors: what is before the arrow; and sessions, each with its manners and an empty data connection before it."""
    vectors = Path(__file__).parent.parent / "crates/protocols/src/carriers/ftp/vectors"
    for name, target in (("commands", "ftp_command"), ("incoming", "ftp_reply"), ("listing", "ftp_listing")):
        for row in (vectors / f"{name}.txt").read_text().splitlines():
            if " => " in row and not row.startswith("#"):
                number += 1
                given = row.partition(" => ")[0].removeprefix("facts: ").removeprefix("line: ")
                octets = given.replace("\\n", "\r\n").encode().decode("unicode_escape").encode("latin-1")
                keep(target, number, octets + b"\r\n")
    for session in SESSIONS:
        for manners in range(8):
            number += 1
            lines = session if manners & 1 == 0 else ["USER alice", "PASS secret", *session]
            keep("ftp_session", number, bytes([manners, 4]) + b"a\r\nb" + "".join(f"{line}\r\n" for line in lines).encode())
    return number


SESSIONS = [
    ["EPSV", "STOR f", "SIZE f", "MDTM f", "EPSV", "RETR f", "DELE f"],
    ["TYPE I", "EPSV", "REST 10", "RETR a", "EPSV", "APPE a", "EPSV", "STOU f", "ABOR"],
    ["PASV", "EPSV ALL", "PORT 127,99,0,1,200,1", "EPRT |1|127.99.0.1|5000|", "LIST"],
    ["CWD ..", "EPSV", "MLSD", "EPSV", "LIST -la", "EPSV", "NLST", "MLST a", "STAT a", "PWD", "CDUP"],
    ["MKD d", "RNFR /in/a", "RNTO /in/d", "RMD d", "MFMT 20250102030405 /out/b", "HASH /out/b", "SITE HELP", "OPTS MLST size;"],
    ["AUTH TLS", "PBSZ 0", "PROT P", "FEAT", "HELP", "SYST", "MODE S", "STRU F", "ALLO 10", "REIN", "TYPE A", "CCC", "NOOP"],
]


def main():
    fixtures, number = Path(os.environ["GATEHOUSE_FIXTURES"]), 0
    for name, targets in FOLDERS.items():
        for path in sorted((fixtures / "containers" / name).rglob("*")):
            if path.is_file():
                number += 1
                for target in targets:
                    keep(target, number, path.read_bytes())
    for case in json.loads((fixtures / "path-validation/limbo.json").read_text())["testcases"]:
        number += 1
        own, stored, sent = case["peer_certificate"], case["trusted_certs"], case["untrusted_intermediates"]
        for target, texts in (("certificate", [own]), ("crl", case.get("crls") or [])):
            for text in texts:
                keep(target, number, der(text)[0])
        # As the target takes them apart: the peer's own, then one that is stored and one that was sent, by turns.
        rest = [text for pair in zip(stored, sent) for text in pair] + stored[len(sent):] + sent[len(stored):]
        keep("certificate_path", number, b"".join(der(text)[0] for text in [own, *rest]))
    number = ftp(number)
    print(f"{number} files for {len(list(CORPUS.iterdir()))} targets")


if __name__ == "__main__":
    main()
