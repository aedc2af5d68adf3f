"""The container image and the compose example, as far as they can be tried without a container engine: their rules, and the
program run the way the image would run it, in a root of its own."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from peers import until

OCI = Path(__file__).parents[3] / "packaging" / "oci"

IMAGE = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
root=$1 program=$2
shift 2
mkdir -p "$root/usr" "$root/proc" "$root/dev" "$root/etc" "$root/run/secrets" "$root/var/lib/gatehouse" "$root/usr/local"
# The base system, read-only; what the image adds lies over it.
mkdir "$root/added" && mount -t tmpfs tmpfs "$root/added" && mkdir "$root/added/upper" "$root/added/work"
mount -t overlay overlay -o "lowerdir=/usr,upperdir=$root/added/upper,workdir=$root/added/work" "$root/usr"
mkdir -p "$root/usr/local/bin"
install -m 0755 "$program" "$root/usr/local/bin/gatehouse"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
mount -t proc proc "$root/proc"
# As the image is built: the links are made where they lie first, and must be right where they lie last.
mkdir "$root/image" && install -m 0755 "$program" "$root/image/gatehouse"
chroot "$root" /image/gatehouse links /image && rm "$root/image/gatehouse" && mv "$root"/image/* "$root/usr/local/bin/"
mount --rbind /dev "$root/dev"
# The volume is the one place that can be written to.
mount -t tmpfs -o mode=700,uid=10001,gid=10001 tmpfs "$root/var/lib/gatehouse"
mount -o remount,ro "$root/usr"
mount -o remount,ro "$root/added"
mount -o remount,ro "$root"
ip link set lo up
exec chroot "$root" /usr/bin/setpriv --reuid 10001 --regid 10001 --clear-groups --bounding-set=-all --no-new-privs \
    /usr/bin/env -i "$@"
"""


def instructions():
    """The instructions of each stage."""
    text = (OCI / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    stages = []
    for name, rest in lines:
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, rest.strip()))
    return stages


def last(stage, name):
    return [rest for instruction, rest in stage if instruction == name][-1]


def test_the_image_keeps_to_its_rules():
    # Issue: OCI image file
    build, final = instructions()
    for stage in (build, final):
        names = [name for name, _ in stage]
        assert "ADD" not in names, "COPY has no surprises"
        base = stage[0][1].split()[0]
        assert "/" in base and ":" in base and not base.endswith(":latest"), f"{base}: a full name and a version"
    user = last(final, "USER")
    assert all(part.isdigit() and int(part) > 0 for part in user.split(":")), "a number that is not root"
    assert final.index(("USER", user)) < next(at for at, (name, _) in enumerate(final) if name == "ENTRYPOINT")
    assert "--locked" in last(build, "RUN")
    words = " ".join(rest.lower() for _, rest in final)
    assert not any(word in words for word in ("password=", "secret=", "token=", "private_key"))
    assert json.loads(last(final, "VOLUME")) == ["/var/lib/gatehouse"]
    for name in ("ENTRYPOINT", "CMD"):
        json.loads(last(final, name))
    assert not [rest for name, rest in final if name == "RUN"], "the final stage runs nothing"
    ignored = (OCI / "Containerfile.dockerignore").read_text().split()
    assert ".git" in ignored and "target" in ignored


def test_the_compose_example_has_no_secret_and_no_open_door():
    # Issue: compose example with PostgreSQL, secrets as files, no default passwords
    compose = yaml.safe_load((OCI / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"gatehouse", "database"}
    text = (OCI / "compose.yaml").read_text()
    assert "POSTGRES_PASSWORD_FILE" in services["database"]["environment"]
    assert not any(name in services["database"]["environment"] for name in ("POSTGRES_PASSWORD", "POSTGRES_HOST_AUTH_METHOD"))
    assert "trust" not in text
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not service.get("privileged") and service.get("network_mode") is None, name
    assert services["gatehouse"]["cap_drop"] == ["ALL"]
    assert "ports" not in services["database"] and services["database"]["networks"] == ["inside"]
    assert compose["networks"]["inside"]["internal"] is True
    for secret in compose["secrets"].values():
        assert set(secret) == {"file"}, "a file, never a value"
    settings = compose["configs"]["settings"]["content"]
    assert 'url = "postgres://gatehouse@database/gatehouse"' in settings, "the address has no password"
    assert services["gatehouse"]["secrets"][0]["target"] == "gatehouse.database_password"
    # All that is named is there.
    for service in services.values():
        for volume in service["volumes"]:
            assert volume.split(":")[0] in compose["volumes"]


@pytest.fixture
def container(tmp_path):
    """The image's program, user, environment and arguments, on a root that can't be written to."""
    probe = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "true"], capture_output=True, timeout=30)
    if os.getuid() != 0 or probe.returncode:
        pytest.skip("no namespaces for this user here: the image is not run")
    final = instructions()[-1]
    env = dict(word.split("=", 1) for rest in [last(final, "ENV")] for word in shlex.split(rest))
    command = json.loads(last(final, "ENTRYPOINT")) + json.loads(last(final, "CMD"))
    root = tmp_path / "root"
    root.mkdir()
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "/bin/sh", "-c", IMAGE, "sh", str(root)]
    variables = [f"{name}={value}" for name, value in env.items()] + ["PATH=/usr/local/bin:/usr/bin:/bin"]
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*words, os.environ["GATEHOUSE_PROGRAM"], *variables, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )

    def first():
        return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()

    def inside(*words):
        enter = ["nsenter", "--target", first()[0], "--mount", "--pid", "--net", "--root", "--wd=/", "setpriv", "--reuid", "10001"]
        return subprocess.run(
            [*enter, "--regid", "10001", "--clear-groups", "env", "-i", *variables, *words], capture_output=True, text=True,
            timeout=60, stdin=subprocess.DEVNULL,
        )

    yield inside, process, log
    # The first process of the namespace takes all others along. It outlives its parent: who changes its user forgets that it
    # was to end with it.
    for pid in first() if process.poll() is None else ():
        os.kill(int(pid), signal.SIGKILL)
    process.kill()
    process.wait(timeout=30)


def test_the_image_runs_without_root_on_a_read_only_system(container):
    inside, process, log = container
    health = last(instructions()[-1], "HEALTHCHECK").split("CMD", 1)[1].strip()
    until("the health check is good", lambda: process.poll() is not None or (
        '"gateway is ready"' in log.read_text() and inside(*json.loads(health)).returncode == 0
    ))
    assert process.poll() is None, log.read_text()
    for words in (
        ("secadm", "create_netprof", "-nprof_name", "SFTP", "-security_option", "SSH", "-dest_address", "*/2222", "-sprof_name",
         "SFTP_IN"),
        ("gatehouse", "listener", "add", "SFTP", "-address", "::", "-port", "2222"),
        ("gatehouse", "check"),
    ):
        done = inside(*words)
        assert done.returncode == 0, done.stderr
    until("it serves", lambda: inside("bash", "-c", "read -t 5 line < /dev/tcp/127.0.0.1/2222; echo $line").stdout.startswith("SSH-"))
    assert inside("touch", "/usr/local/bin/x").returncode != 0 and inside("touch", "/x").returncode != 0
    assert all(json.loads(line)["level"] for line in log.read_text().splitlines())
