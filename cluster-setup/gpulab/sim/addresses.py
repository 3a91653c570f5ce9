"""Pod addresses: unique in the cluster, also after a restart of the simulator."""

from __future__ import annotations

import ipaddress


class AddressPool:
    """The Pod addresses of one node. The least recently freed one is given out last."""

    def __init__(self, network: ipaddress.IPv4Network) -> None:
        self._network = network
        self._taken: set[str] = set()
        self._next = 1  # .0 is the network, .1 the bridge on a real node

    def take(self) -> str:
        """Give out a free address; RuntimeError when the network is used up."""
        size = self._network.num_addresses
        for _ in range(size):
            self._next = self._next + 1 if self._next < size - 2 else 2
            address = str(self._network.network_address + self._next)
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise RuntimeError(f"no free Pod address in {self._network}")

    def restore(self, address: str) -> None:
        """Mark an address found in a Pod's status as taken."""
        self._taken.add(address)
        position = int(ipaddress.IPv4Address(address)) - int(self._network.network_address)
        if 0 < position < self._network.num_addresses:
            self._next = max(self._next, position)

    def free(self, address: str) -> None:
        self._taken.discard(address)
