"""Completion in the real shells, at a real terminal; manual pages in the real viewers."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from peers import need

ROWS, COLUMNS = 50, 160


class Terminal:
    """A shell at a terminal of its own: types, and looks at what appears."""

    def __init__(self, words, env):
        pid, self.line = pty.fork()
        if pid == 0:
            os.execvpe(words[0], words, env)
        self.pid, self.text = pid, ""
        import fcntl
        import struct
        import termios

        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def type(self, text):
        os.write(self.line, text.encode())

    def wait_for(self, pattern, limit=20.0):
        """Everything on the screen since the last call, when `pattern` is in it."""
        deadline = time.monotonic() + limit
        while not re.search(pattern, plain(self.text)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not appear in {plain(self.text)!r}"
            if select.select([self.line], [], [], left)[0]:
                self.text += os.read(self.line, 65536).decode(errors="replace")
        seen, self.text = plain(self.text), ""
        return seen

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.line)


def plain(text):
    """Without what moves the cursor, colours the text or rings."""
    return re.sub(r"\x07|\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78])", "", text)


def shell(name, gateway, folder):
    script = folder / "script"
    script.write_text(gateway.run("completion", name).stdout)
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    program = bin_folder / "gatehouse"
    if not program.exists():
        program.symlink_to(gateway.program)
        gateway.run("links", str(bin_folder))
    env = gateway.environment() | {
        "PATH": f"{bin_folder}:{os.environ['PATH']}", "TERM": "xterm", "GATEHOUSE_DATA": str(gateway.data), "PS1": "READY> ",
        "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder), "ZDOTDIR": str(folder),
    }
    if name == "bash":
        terminal = Terminal([need("bash"), "--norc", "--noprofile", "-i"], env)
        terminal.type(f"bind 'set bell-style none'; bind 'set page-completions off'; source {script}; echo LOAD''ED\n")
    elif name == "zsh":
        terminal = Terminal([need("zsh"), "-f", "-i"], env)
        terminal.type(f"autoload -Uz compinit && compinit -u -d {folder}/dump; source {script}; echo LOAD''ED\n")
    else:
        terminal = Terminal([need("fish"), "--private", "--no-config", "-i"], env)
        terminal.type(f"source {script}; echo LOAD''ED\n")
    terminal.wait_for("LOADED")
    return terminal


@pytest.fixture(params=["bash", "zsh", "fish"])
def terminal(request, shared, tmp_path):
    if "SHELLS" not in {row["Name"] for row in shared.json("names", "CGATE_GROUP")}:
        shared.run("peladm", "create_cgategroup", "-name", "SHELLS")
    terminal = shell(request.param, shared, tmp_path)
    yield terminal
    terminal.close()


def test_a_shell_completes_commands_parameters_values_and_names(terminal, tmp_path):
    # Issue: completion, tested in a real shell
    for typed, wanted in [
        ("gatehouse seca", r"secadm "),
        ("secadm create_ssh", r"create_sshprof "),
        ("secadm create_sshprof -sshp", r"-sshprof_name "),
        ("secadm create_sshprof -type SER", r"-type SERVER "),
        ("peldsp display_cgategroup SHE", r"display_cgategroup SHELLS "),
        ("gatehouse --data x listener dis", r"listener disable "),
    ]:
        terminal.type(f"{typed}\t")
        terminal.wait_for(wanted)
        # The line is taken back, not carried out.
        terminal.type("\x15")
    (tmp_path / "partner_key.pub").write_text("x")
    terminal.type(f"secadm import_key -file_name {tmp_path}/partner_k\t")
    terminal.wait_for(r"partner_key\.pub ")


@pytest.fixture(scope="module")
def pages(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("man")
    shared.run("man", str(folder))
    return folder


def test_manual_pages_are_in_order(pages):
    # Issue: man pages, checked by their viewers
    files = sorted(path for path in pages.rglob("*") if path.is_file())
    names = {path.name for path in files}
    assert {"gatehouse.1", "secadm.1", "peldsp.1", "gatehouse-serve.8", "gatehouse.toml.5", "gatehouse-listener.1"} <= names
    done = subprocess.run([need("mandoc"), "-T", "lint", "-W", "warning", *files], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stdout, done.stdout
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "100"}
    for path in files:
        words = [need("man"), "--warnings=w", "-E", "UTF-8", "-l", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env)
        assert done.returncode == 0 and not done.stderr, f"{path.name}: {done.stderr}"


def test_manual_pages_say_what_the_help_says(shared, pages):
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "200"}
    shown = subprocess.run([need("man"), "-l", str(pages / "man1" / "secadm.1")], capture_output=True, text=True, timeout=60, env=env)
    page = re.sub(r".\x08", "", shown.stdout)
    help_text = shared.run("secadm", "create_sshprof", "??").stdout
    for name in re.findall(r"--([a-z0-9_]+)", help_text):
        assert f"-{name}" in page, name
