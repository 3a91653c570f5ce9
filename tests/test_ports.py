"""Ports: free when they are chosen, and a clear word when a kept one was taken meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from autograders.errors import InputError
from gpulab.ports import LOOPBACK, RANGE, check_free, free_ports, is_free

NAMES = [f"component-{number}" for number in range(20)]


@pytest.fixture
def held() -> Iterator[int]:
    """Hold a port as another program would."""
    with socket.create_server((LOOPBACK, free_ports(["held"])["held"])) as server:
        yield server.getsockname()[1]


def test_every_name_gets_a_free_port_of_its_own() -> None:
    chosen = free_ports(NAMES)
    assert list(chosen) == NAMES
    assert len(set(chosen.values())) == len(NAMES)
    assert all(is_free(port) and port in RANGE for port in chosen.values())


def test_two_labs_made_at_once_differ() -> None:
    assert not set(free_ports(NAMES).values()) & set(free_ports(NAMES).values())


def test_a_taken_port_is_not_chosen(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpulab.ports.RANGE", range(held, held + 1))
    with pytest.raises(InputError, match="no loopback port"):
        free_ports(["one"])


def test_a_port_that_somebody_listens_on_is_not_free(held: int) -> None:
    assert not is_free(held)


def test_a_port_is_free_again_although_a_connection_of_its_server_lingers() -> None:
    port = free_ports(["server"])["server"]
    address = (LOOPBACK, port)
    with socket.create_server(address) as server, socket.create_connection(address) as client:
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps the connection for a minute
        client.recv(1)
    assert is_free(port)


def test_a_lab_hears_which_port_of_which_component_is_taken(held: int) -> None:
    free = free_ports(["etcd"])["etcd"]
    with pytest.raises(InputError) as refused:
        check_free({"etcd": free, "kube-apiserver": held}, "demo")
    assert all(word in refused.value.what for word in (str(held), "kube-apiserver", "demo"))
    assert "--name demo" in refused.value.do
    check_free({"etcd": free}, "demo")
