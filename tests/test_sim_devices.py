"""The device pool: no GPU is ever held twice, whatever comes in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from gpulab.paths import DATA
from gpulab.sim.devices import DevicePool, DevicesUnavailable
from gpulab.sim.gpus import load_models, node_gpus

GPUS = node_gpus(load_models(DATA / "gpus")["h100-80gb-sxm"], 8, seed="s", node="n")
UUIDS = {gpu.uuid for gpu in GPUS}


class Pool(RuleBasedStateMachine):
    """Pods come and go, and the simulator starts anew; `held` is what their status says."""

    pods = Bundle("pods")

    def __init__(self) -> None:
        super().__init__()
        self.pool = DevicePool(GPUS)
        self.held: dict[str, tuple[str, ...]] = {}
        self.number = 0

    @rule(target=pods, count=st.integers(0, 9))
    def take(self, count: int) -> str:
        self.number += 1
        uid = f"pod-{self.number}"
        free = 8 - sum(len(uuids) for uuids in self.held.values())
        if count > free:
            with pytest.raises(DevicesUnavailable) as refused:
                self.pool.take(count, uid)
            assert (refused.value.asked, refused.value.free) == (count, free)
        else:
            self.held[uid] = tuple(gpu.uuid for gpu in self.pool.take(count, uid))
            assert len(self.held[uid]) == count
        return uid

    @rule(uid=pods)
    def free(self, uid: str) -> None:
        self.pool.free(uid)
        self.held.pop(uid, None)

    @rule()
    def restart(self) -> None:
        self.pool = DevicePool(GPUS)
        for uid, uuids in self.held.items():
            assert tuple(gpu.uuid for gpu in self.pool.restore(uuids, uid)) == uuids

    @invariant()
    def nothing_is_held_twice(self) -> None:
        given = [uuid for uuids in self.held.values() for uuid in uuids]
        assert len(given) == len(set(given))
        assert set(given) <= UUIDS


TestPool = Pool.TestCase


def test_a_device_that_the_node_does_not_have_is_not_restored() -> None:
    """After the fleet has changed, a status may name GPUs that are gone."""
    pool = DevicePool(GPUS[:4])
    assert pool.restore([GPUS[7].uuid], "pod") == ()
    assert len(pool.take(4, "other")) == 4
