"""Which loopback ports a stack uses: the same as last time where they are free, so that addresses stay known.

Ports are chosen before any server starts, because the servers must know each other's. They lie below the range from
which the system takes ports for outgoing connections, so that a connection cannot take one between choice and use.
"""

import hashlib
import socket
from collections.abc import Callable, Mapping, Sequence

from local.stack.layout import Layout, read_json, write_json

HOST = "127.0.0.1"
FIRST, LAST = 20_000, 31_999


class PortInUse(Exception):
    """A port that was asked for is not free."""


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        # Like the servers: a port that only waits for the last packets of an ended connection is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(
    names: Sequence[str],
    *,
    layout: Layout,
    pinned: Mapping[str, int],
    report: Callable[[str], None],
) -> dict[str, int]:
    """A free port for each of ``names``, remembered in the layout for the next start.

    Raises PortInUse for a ``pinned`` port that is taken, and names the unknown one for a name that does not exist.
    """
    if unknown := sorted(set(pinned) - set(names)):
        raise PortInUse(f"port of {unknown[0]!r}: expected one of {', '.join(names)}")
    remembered = read_json(layout.ports) or {}
    chosen: dict[str, int] = {}
    for name in names:
        if name in pinned:
            if not is_free(pinned[name]) or pinned[name] in chosen.values():
                raise PortInUse(f"port {pinned[name]} of {name}: expected a free port on {HOST}, it is in use")
            chosen[name] = pinned[name]
            continue
        port = int(remembered.get(name, 0))
        if port and is_free(port) and port not in chosen.values():
            chosen[name] = port
            continue
        chosen[name] = _next_free(layout, name, {*chosen.values(), *pinned.values()})
        if port:
            report(f"port {port} of {name} is in use; taking {chosen[name]}")
    write_json(layout.ports, chosen)
    return chosen


def _next_free(layout: Layout, name: str, taken: set[int]) -> int:
    # Stacks in different folders begin at different places, so that two that start at once rarely meet.
    digest = hashlib.sha256(f"{layout.root} {name}".encode()).digest()
    start, size = int.from_bytes(digest[:4]), LAST - FIRST + 1
    for step in range(size):
        port = FIRST + (start + step) % size
        if port not in taken and is_free(port):
            return port
    raise PortInUse(f"no free port between {FIRST} and {LAST} on {HOST}")
