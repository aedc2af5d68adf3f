"""10,000 certificates in the store: what each command costs then. `cargo xtask bench certificates [--count N]`

The certificates (1 in 200 a root, 9 in 200 authorities below them, the rest end entities; ECDSA P-256) are imported one by
one through the administration socket of a running gateway, as `secadm import_cert` does it. Then each question is asked
many times, and at last chains are built while further certificates are imported. `cargo bench -p gatehouse-keys` tells what
search and judgement of a path cost alone.
"""

import argparse
import datetime
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/interop"), str(ROOT / "bench")]

from gateway import Gateway  # noqa: E402
from measure import Admin, load, resident_mib, sync_rate, timed, told  # noqa: E402

SLICE, TIMES = 500, 100


class Issuer:
    """Who signs: a name and a key."""

    def __init__(self, name, above=None):
        self.key, self.name = ec.generate_private_key(ec.SECP256R1()), name
        self.octets = certificate(name, self.key.public_key(), above or self, True)


def subject(name):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"), x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(name, public, issuer, is_authority):
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject(name))
        .issuer_name(subject(issuer.name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=700))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    )
    if is_authority:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = made.add_extension(usage, critical=True)
    return made.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def many(count):
    """Names and octets: roots, authorities, end entities."""
    roots = [Issuer(f"Root {n}") for n in range(max(1, count // 200))]
    authorities = [Issuer(f"Authority {n}", roots[n % len(roots)]) for n in range(max(1, count * 9 // 200))]
    yield from ((f"R{n}", one.octets) for n, one in enumerate(roots))
    yield from ((f"A{n}", one.octets) for n, one in enumerate(authorities))
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    for n in range(count - len(roots) - len(authorities)):
        yield f"E{n}", certificate(f"host{n}.example.com", public, authorities[n % len(authorities)], False)


def fill(admin, gateway, made):
    """Imports all; tells what one import costs in the first and in the last slice."""
    begun, slices = time.monotonic(), []
    for at in range(0, len(made), SLICE):
        part = made[at:at + SLICE]
        spent = timed(lambda n: admin.ask("secadm import_cert", {"certificate_file": part[n][1]}, certificate_name=part[n][0]), len(part))
        slices.append(spent)
    tell("import, first slice", told(slices[0]))
    tell("import, last slice", told(slices[-1]))
    seconds = time.monotonic() - begun
    tell("import of all", {"s": seconds, "each ms": seconds / len(made) * 1e3, "RSS MiB": resident_mib(gateway.process.pid)})


def questions(admin, ends):
    one = lambda n: f"E{n * 7919 % ends}"  # noqa: E731
    ask = {
        "display one": lambda n: admin.ask("secdsp display_cert", certificate_name=one(n)),
        "chain of one": lambda n: admin.ask("secbase export_cert_chain", certificate_name=one(n)),
        "select by subject": lambda n: admin.ask("secdsp select_cert", subject_name=f"*host{n * 7919 % ends}.example.com*"),
        "list all": lambda n: admin.ask("secdsp status_cert"),
        "expiring": lambda n: admin.ask("certs expiring"),
        "timeline": lambda n: admin.ask("certs timeline"),
    }
    for name, work in ask.items():
        work(0)
        tell(name, told(timed(work, 10 if name == "list all" else TIMES)))


def chains_under_load(admin, more, ends):
    """Chains, while certificates are imported one after the other."""
    over, imported = threading.Event(), [0]

    def load_it():
        for name, octets in more:
            if over.is_set():
                return
            admin.ask("secadm import_cert", {"certificate_file": octets}, certificate_name=f"L{name}")
            imported[0] += 1

    loader = threading.Thread(target=load_it, daemon=True)
    loader.start()
    spent = told(timed(lambda n: admin.ask("secbase export_cert_chain", certificate_name=f"E{n * 7919 % ends}"), 500))
    over.set()
    loader.join()
    tell("chain of one while others are imported", spent | {"imported": imported[0]})


def tell(name, figures):
    print(f"  {name:42}" + "  ".join(f"{key} {value:9.2f}" for key, value in figures.items()), flush=True)


def main():
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--count", type=int, default=10_000)
    options = words.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="gatehouse-certificates-", dir=os.environ.get("GATEHOUSE_BENCH_SCRATCH")))
    gateway = Gateway(scratch, '[log]\nlevel = "warn"\n')
    try:
        print(f"{options.count} certificates; {load()}, {sync_rate(scratch):.0f} disk syncs/s; milliseconds", flush=True)
        made = list(many(options.count))
        gateway.start()
        admin, ends = Admin(gateway.data), sum(name.startswith("E") for name, _ in made)
        fill(admin, gateway, made)
        gateway.stop()
        begun = time.monotonic()
        gateway.start()
        tell("start", {"s": time.monotonic() - begun, "RSS MiB": resident_mib(gateway.process.pid)})
        questions(admin, ends)
        chains_under_load(admin, list(many(2000)), ends)
        tell("afterwards", {"RSS MiB": resident_mib(gateway.process.pid)})
    finally:
        gateway.stop()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
