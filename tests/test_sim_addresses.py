"""Pod addresses: unique, within the node's network, and not reused at once."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpulab.sim.addresses import AddressPool

NETWORK = IPv4Network("100.64.7.0/24")
ROOM = 253  # without the network, the bridge and broadcast


def test_every_address_is_given_once_and_then_there_is_none() -> None:
    pool = AddressPool(NETWORK)
    given = [pool.take() for _ in range(ROOM)]
    assert len(set(given)) == ROOM
    assert {IPv4Address(address) for address in given} == set(NETWORK.hosts()) - {NETWORK[1]}
    with pytest.raises(RuntimeError, match="no free Pod address"):
        pool.take()


def test_a_freed_address_rests_until_all_others_were_used() -> None:
    """Whoever still talks to the old Pod does not reach a new one."""
    pool = AddressPool(NETWORK)
    freed = pool.take()
    pool.free(freed)
    assert freed not in [pool.take() for _ in range(ROOM - 1)]
    assert pool.take() == freed


SMALL = IPv4Network("100.64.7.0/28")  # so that its addresses are soon used up


@given(st.lists(st.one_of(st.just("take"), st.just("restart"), st.integers(0, 20)), max_size=60))
def test_no_two_pods_have_one_address_whatever_comes(steps: list[str | int]) -> None:
    """A number frees the address of one of the Pods that there are."""
    pool, held = AddressPool(SMALL), list[str]()
    for step in steps:
        if step == "take" and len(held) < 13:
            address = pool.take()
            assert address not in held
            held.append(address)
        elif step == "restart":
            pool = AddressPool(SMALL)
            for address in held:
                pool.restore(address)
        elif held and not isinstance(step, str):
            pool.free(held.pop(step % len(held)))
    assert all(IPv4Address(address) in SMALL for address in held)


@given(st.sets(st.integers(2, 14)))
def test_after_a_restart_exactly_what_no_pod_holds_is_given_out(held: set[int]) -> None:
    pool, every = AddressPool(SMALL), {str(SMALL[n]) for n in range(2, 15)}
    restored = {str(SMALL[number]) for number in held}
    for address in restored:
        pool.restore(address)
    assert {pool.take() for _ in every - restored} == every - restored


@pytest.mark.parametrize("address", ["100.64.7.254", "100.64.7.255", "10.0.0.10", "100.65.0.9"])
def test_an_odd_address_in_a_status_does_not_break_the_pool(address: str) -> None:
    pool = AddressPool(NETWORK)
    pool.restore(address)
    given = {pool.take() for _ in range(50)}
    assert len(given) == 50
    assert address not in given
