"""Which ports a stack takes."""

import socket
from pathlib import Path

import pytest

from local.stack.layout import Layout
from local.stack.ports import PortInUse, choose

NAMES = ("storage", "bigquery")


def _ports(folder: Path, said: list[str] | None = None, **pinned: int) -> dict[str, int]:
    return choose(NAMES, layout=Layout.at(folder), pinned=pinned, report=(said if said is not None else []).append)


def _taken(port: int = 0) -> socket.socket:
    door = socket.socket()
    door.bind(("127.0.0.1", port))
    door.listen()
    return door


def test_every_name_has_a_port_of_its_own(tmp_path: Path) -> None:
    assert len(set(_ports(tmp_path).values())) == len(NAMES)


def test_the_next_start_takes_the_same_ports(tmp_path: Path) -> None:
    assert _ports(tmp_path) == _ports(tmp_path)


def test_a_port_that_was_taken_meanwhile_is_replaced_and_said(tmp_path: Path) -> None:
    said: list[str] = []
    before = _ports(tmp_path)
    with _taken(before["storage"]):
        after = _ports(tmp_path, said)

    assert after["storage"] != before["storage"]
    assert after["bigquery"] == before["bigquery"]
    assert said == [f"port {before['storage']} of storage is in use; taking {after['storage']}"]


def test_a_pinned_port_is_used(tmp_path: Path) -> None:
    port = _ports(tmp_path / "other")["storage"]

    assert _ports(tmp_path, storage=port)["storage"] == port


def test_a_pinned_port_in_use_is_named(tmp_path: Path) -> None:
    with _taken() as door:
        port = door.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} of storage: expected a free port"):
            _ports(tmp_path, storage=port)


def test_a_port_for_an_unknown_server_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PortInUse, match="expected one of storage, bigquery"):
        _ports(tmp_path, postbox=1234)
