"""Each command of the manual is run as it stands there, page by page, in its order."""

import re
import subprocess
from pathlib import Path

import pytest

from gateway import Gateway
from pages import Page, pages
from peers import until
from scenes import SCENES, Scene

# Pages whose commands another test runs.
ELSEWHERE = {
    "configuration.md": "commands/test_configuration.py",
    "handoff.md": "handoff/test_handoff_manual.py",
    "install.md": "system/test_package.py",
    "watching.md": "watch/test_manual.py",
}


@pytest.fixture
def unstarted(tmp_path):
    """A gateway that is not started yet; the test says how it ends."""
    gateway = Gateway(tmp_path / "gateway")
    yield gateway
    if gateway.process:
        assert gateway.stop() == 0, gateway.log()[-3000:]


def serve(scene, words):
    """`gatehouse serve`: where one runs already, that of another data folder takes its place."""
    gateway = scene.gateway
    if gateway.process:
        gateway.kill()
        gateway.data = Path(words[words.index("--data") + 1])
    gateway.start(ready=False)
    until("it answers commands", lambda: (gateway.data / "admin.sock").exists())
    until("it is ready or frozen", lambda: gateway.is_ready() or "frozen" in gateway.log())


def run(scene, words):
    gateway = scene.gateway
    own = [word for word in words[1:] if not word.startswith(("--data", "-data"))] == words[1:]
    data = ["--data", str(gateway.data)] if own and words[1] not in ("links", "man", "completion") else []
    env = gateway.environment() | {"CREDENTIALS_DIRECTORY": str(scene.folder / "credentials")}
    done = subprocess.run(
        [gateway.program, *words[1:], *data], capture_output=True, text=True, timeout=60, env=env, cwd=scene.folder,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", [name for name in pages() if name not in ELSEWHERE])
def test_the_commands_of_a_page_work(name, unstarted, keys, tmp_path):
    # Issue: each command of the manual's operator chapter is run by a test
    commands = Page(name).commands()
    folder = tmp_path / "reader"
    folder.mkdir()
    scene = SCENES.get(name, Scene)(unstarted, keys, folder) if commands else None
    for command in commands:
        if command[0] == "sftp":
            target = next(at for at, word in enumerate(command) if "@" in word)
            scene.sftp(command[: target + 1], command[target + 1 :])
            continue
        words = scene.words(command)
        if words[1] == "serve":
            serve(scene, words)
        else:
            run(scene, words)


@pytest.mark.parametrize("name", pages())
def test_commands_that_a_page_mentions_exist(name, shared):
    """Each names a command that there is, and parameters that it has."""
    for words in Page(name).mentioned():
        path = []
        # What is no subcommand leaves the help as it is.
        for word in words:
            if help_of(shared, [*path, word]) == help_of(shared, path):
                break
            path.append(word)
        text = help_of(shared, path)
        assert path and text, f"{name}: `{' '.join(words)}` is no command"
        named = [word for word in words[len(path) :] if re.fullmatch(r"--?[a-z][a-z_]*", word)]
        for parameter in named:
            bare = parameter.lstrip("-")
            known = re.search(rf"(--|\b){re.escape(bare)}\b", text) or bare in ("data", "json")
            assert known, f"{name}: `{' '.join(words)}` has no parameter {parameter}"


HELP = {}


def help_of(gateway, path):
    """The help of a command; of the nearest one above it, if it is none."""
    words = tuple(path)
    if words not in HELP:
        HELP[words] = gateway.run(*words, "??", check=False).stdout
    return HELP[words]


def test_pages_that_are_run_elsewhere_are():
    for page, test in ELSEWHERE.items():
        assert page.removesuffix(".md") in (Path(__file__).parents[1] / test).read_text(), page
