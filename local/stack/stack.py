"""A stack for the length of a ``with`` block."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from gcp.clock import Clock, clock, write_clock
from local.stack import client
from local.stack.layout import Layout
from local.stack.options import Options
from local.stack.status import Status
from local.stack.supervisor import StartFailed
from retraining.errors import BadConfig
from retraining.settings import Settings


class Stack:
    """All servers, started and provisioned; stopped at the end of the block, or when this process dies.

    >>> with Stack(Path("/tmp/rehearsal"), Options(clock="2013-01-01T00:00:00Z*2000")) as stack:  # doctest: +SKIP
    ...     stack.env["PUBSUB_EMULATOR_HOST"]
    """

    def __init__(
        self,
        state: Path,
        options: Options | None = None,
        *,
        fresh: bool = False,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``state`` is the stack's folder, ``fresh`` forgets what it stores, ``report`` hears of each server."""
        self._layout = Layout.at(state)
        self._options, self._fresh, self._report = options or Options(), fresh, report
        self._status: Status

    def __enter__(self) -> Self:
        """Raises StartFailed; also when the folder's stack runs already."""
        if client.running(self._layout):
            raise StartFailed(f"the stack in {self._layout.root} runs already; stop it or take another folder")
        self._process = client.launch(self._layout, self._options, fresh=self._fresh, leased=True)
        try:
            self._status = client.wait_ready(self._layout, self._process, self._report)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        # Closes the lease; communicate also waits for the supervisor, which stops its servers first.
        self._process.communicate()

    @property
    def root(self) -> Path:
        """The stack's folder."""
        return self._layout.root

    @property
    def env(self) -> dict[str, str]:
        """Variables that lead Google's clients and this system's code to the stack."""
        return dict(self._status.env)

    @property
    def settings(self) -> Settings:
        """The settings that the functions run with."""
        return Settings.from_env(self._status.env)

    @property
    def addresses(self) -> dict[str, str]:
        """``host:port`` by the name of the port: storage, bigquery, pubsub, vertex, functions and others."""
        pairs = (one.partition("=") for server in self._status.servers.values() for one in server.addresses)
        return {name: address for name, _, address in pairs}

    @property
    def seconds(self) -> float:
        """How long everything took to be ready."""
        return self._status.seconds

    @property
    def status(self) -> Status:
        """What runs at this moment."""
        return Status.read(self._layout.status)

    @property
    def now(self) -> Clock:
        """The clock that every server of the stack reads."""
        return clock(self.settings.clock)

    def set_clock(self, start: datetime, speed: float) -> None:
        """From now on it is ``start`` and time runs at ``speed``. Raises BadConfig without an own clock."""
        if not self.settings.clock:
            raise BadConfig("clock: expected a stack with a clock of its own, this one uses the system's")
        write_clock(self._layout.clock, start, speed)
