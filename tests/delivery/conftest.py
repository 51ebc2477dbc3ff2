"""A person's terminal, as the tests of the commands have it."""

from tests.console.conftest import desk, pubsub

__all__ = ["desk", "pubsub"]
