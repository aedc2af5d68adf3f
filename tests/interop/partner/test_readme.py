"""The First steps of the README, played as they stand there, with a real client and a real server."""

import re
import shutil
import subprocess
from pathlib import Path

import pexpect

from gateway import Gateway
from peers import HOST, Key, Sshd, free_port, listens, need, sha256, until

README = Path(__file__).parents[3] / "README.md"


def steps():
    text = README.read_text().split("## First steps")[1].split("\n## ")[0]
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


class Shell:
    """A shell at a terminal."""

    def __init__(self, home, env):
        self.child = pexpect.spawn("/bin/sh", cwd=str(home), env=env, encoding="utf-8", timeout=40, echo=False)
        self.child.delaybeforesend = None
        self.child.sendline("PS1='done$ '")
        self.child.expect_exact("done$ ")

    def run(self, line, *talk):
        """Types a line and waits for the prompt, answering what is asked; gives what was seen."""
        self.child.sendline(line)
        seen = ""
        for prompt, answer in talk:
            self.child.expect_exact(prompt)
            seen += self.child.before + self.child.after
            self.child.sendline(answer)
        self.child.expect_exact("done$ ")
        return seen + self.child.before


def test_the_first_steps_are_played_word_by_word(tmp_path):
    # Issue, proof: the five-minute start
    lines = steps()
    assert lines[:2] == ["cargo build --release", "alias gatehouse=$PWD/target/release/gatehouse"]
    gateway = Gateway(tmp_path / "gateway")
    home, port = gateway.folder, free_port()
    (home / ".ssh").mkdir(mode=0o700)
    Key(home / ".ssh" / "id_ed25519")
    shutil.copy(README, home / "README.md")
    client_config = home / "ssh_config"
    client_config.write_text(f"StrictHostKeyChecking ask\nUserKnownHostsFile {home}/.ssh/known_hosts\n")
    programs = home / "programs"
    programs.mkdir()
    (programs / "gatehouse").symlink_to(gateway.program)
    # OpenSSH takes its home from the accounts, not from the environment: it is told by options.
    options = f"-F {client_config} -i {home}/.ssh/id_ed25519"
    (programs / "sftp").write_text(f'#!/bin/sh\nexec {need("sftp")} {options} "$@"\n')
    (programs / "sftp").chmod(0o700)
    env = gateway.environment() | {"GATEHOUSE_DATA": str(gateway.data), "TERM": "dumb"}
    env["PATH"] = f"{programs}:{env['PATH']}"

    with gateway:
        own = type("Own", (), {"line": gateway.json("secdsp", "display_key", "GATEHOUSE_SSH")["public_key"]})
        with Sshd(tmp_path / "bob", [own]) as bob:
            shell = Shell(home, env)
            typed = 0
            for line in lines[lines.index("gatehouse serve") + 1:]:
                if line.startswith("sftp>"):
                    continue
                line = line.replace("2222", str(port))
                line = line.replace("sftp.bob.example", f"{HOST}:{bob.port}").replace("gateway ", f"{bob.login} ")
                typed += 1
                if line.startswith("sftp "):
                    until("the gateway listens", lambda: listens(port))
                    fingerprint = re.search(r"Our host key +\S+ (SHA256:\S+)", seen).group(1)
                    put = [word for word in lines if word.startswith("sftp>")]
                    talk = [("fingerprint])?", "yes")] + [("sftp> ", word[6:]) for word in put] + [("sftp> ", "quit")]
                    seen = shell.run(line, *talk)
                    assert fingerprint in seen
                    sent = gateway.received("ALICE", "README.md")
                    assert sent["sha256"] == sha256(home / "README.md")
                elif "partner add ALICE" in line:
                    seen = shell.run(line, ("[Y/n]", "y"))
                    assert "Connection sheet for ALICE" in seen and "FAILED" not in seen
                elif "partner add BOB" in line:
                    seen = shell.run(line, ("[Y/n]", ""), ("[y/N]", "y"))
                    assert "is trusted for BOB" in seen and "FAILED" not in seen.split("is trusted")[1]
                else:
                    seen = shell.run(line)
                    assert "FAILED" not in seen and "refused" not in seen.replace("0 logins and 0 TLS handshakes refused", ""), seen
            assert typed == 8, "the first steps are few"
            # What ALICE sends now goes to BOB.
            words = [str(programs / "sftp"), "-b", "-", "-P", str(port), f"alice@{HOST}"]
            subprocess.run(words, input="put README.md second.md\n", text=True, check=True, env=env, cwd=home, timeout=60)
            until("the file is at BOB's server", lambda: (bob.files / "second.md").exists())
            assert sha256(bob.files / "second.md") == sha256(home / "README.md")
            shell.child.close(force=True)
