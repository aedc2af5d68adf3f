"""Fixtures of the tests on a system: a service manager of our own."""

from manager import managed  # noqa: F401  (a fixture)
