"""What every test gets: a scratch folder, a running gateway, partners with keys."""

import pytest

from gateway import Gateway
from peers import Key, OpenSsh


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Key pairs by name; the same name gives the same pair within a module."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}

    def key(name, kind="ed25519", bits=None):
        if name not in made:
            made[name] = Key(folder / name, kind, bits)
        return made[name]

    return key


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A gateway for the tests of one module that leave it as it was."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def fresh(tmp_path):
    """A gateway for one test alone."""
    with Gateway(tmp_path / "gateway") as gateway:
        yield gateway


@pytest.fixture
def client(tmp_path):
    """Makes OpenSSH clients, each with a home of its own."""
    made = []

    def new(gateway, login, key=None, password=None, mode=None):
        made.append(None)
        mode = mode or ("key" if key else "password")
        return OpenSsh(tmp_path / f"client{len(made)}", gateway.port(mode), login, key, password)

    return new
