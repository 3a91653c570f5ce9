"""The device pool: nothing is ever held twice, whatever comes in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from gpulab.paths import DATA
from gpulab.sim.device_map import DeviceMap, device_map, whole
from gpulab.sim.devices import DevicePool, DevicesUnavailable
from gpulab.sim.gpus import load_models, node_gpus
from gpulab.sim.mig import cut
from gpulab.sim.nodes import GPU
from gpulab.sim.sharing import parse

GPUS = node_gpus(load_models(DATA / "gpus")["h100-80gb-sxm"], 8, seed="s", node="n")
CUT = {gpu.uuid: cut(gpu, {"3g.40gb": 1, "1g.10gb": 4}) for gpu in GPUS[:2]}
SHARED = parse(
    "sharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 3},"
    " {name: nvidia.com/mig-1g.10gb, replicas: 2}]}}"
)
OFFERS: dict[str, DeviceMap] = {
    "whole": {GPU: whole(GPUS)},
    "cut": device_map(GPUS, CUT, "mixed", parse("")),
    "cut and shared": device_map(GPUS, CUT, "mixed", SHARED),
}


def pool_of(offer: DeviceMap) -> DevicePool:
    found = DevicePool(GPUS)
    found.offer(offer)
    return found


class Pool(RuleBasedStateMachine):
    """Pods come and go, and the simulator starts anew; `held` is what their status says."""

    pods = Bundle("pods")
    offer: DeviceMap

    def __init__(self) -> None:
        super().__init__()
        self.pool = pool_of(self.offer)
        self.held: dict[str, tuple[tuple[str, str], ...]] = {}
        self.number = 0

    @rule(target=pods, count=st.integers(0, 9), data=st.data())
    def take(self, count: int, data: st.DataObject) -> str:
        self.number += 1
        uid = f"pod-{self.number}"
        resource = data.draw(st.sampled_from(sorted(self.offer)))
        taken = sum(kind == resource for each in self.held.values() for _, kind in each)
        free = len(self.offer[resource]) - taken
        if count > free:
            with pytest.raises(DevicesUnavailable) as refused:
                self.pool.take(resource, count, uid)
            assert (refused.value.asked, refused.value.free) == (count, free)
        else:
            given = self.pool.take(resource, count, uid)
            self.held[uid] = tuple((one.id, one.resource) for one in given)
            assert len(self.held[uid]) == count
        return uid

    @rule(uid=pods)
    def free(self, uid: str) -> None:
        self.pool.free(uid)
        self.held.pop(uid, None)

    @rule(plugin=st.booleans())
    def restart(self, plugin: bool) -> None:
        """Before or after the plugin has registered again."""
        self.pool = DevicePool(GPUS)
        if plugin:
            self.pool.offer(self.offer)
        for uid, devices in self.held.items():
            found = self.pool.restore(devices, uid)
            assert tuple((one.id, one.resource) for one in found) == devices
        self.pool.offer(self.offer)

    @invariant()
    def nothing_is_held_twice(self) -> None:
        given = [one for devices in self.held.values() for one, _ in devices]
        assert len(given) == len(set(given))
        assert set(given) <= {one.id for each in self.offer.values() for one in each}


for name, each in OFFERS.items():  # one machine for each kind of node
    kind = type(f"Pool of {name}", (Pool,), {"offer": each})
    kind.TestCase.settings = settings(max_examples=40, deadline=None)
    globals()[f"TestPool_{name.replace(' ', '_')}"] = kind.TestCase


def test_a_device_that_the_node_does_not_have_is_not_restored() -> None:
    """After the fleet has changed, a status may name GPUs that are gone."""
    pool = DevicePool(GPUS[:4])
    pool.offer({GPU: whole(GPUS[:4])})
    assert pool.restore([(GPUS[7].uuid, GPU)], "pod") == ()
    assert len(pool.take(GPU, 4, "other")) == 4


def test_a_sick_gpu_takes_its_slices_and_replicas_along() -> None:
    pool = pool_of(OFFERS["cut and shared"])
    pod = pool.take("nvidia.com/mig-1g.10gb", 1, "pod")
    assert pod[0].gpu == GPUS[0]
    pool.sick = {GPUS[0].uuid: 94}
    assert pool.holders([GPUS[0].uuid]) == {"pod"}
    assert pool.healthy("nvidia.com/mig-1g.10gb") == 4 * 2
    assert pool.capacity("nvidia.com/mig-1g.10gb") == 2 * 4 * 2
    assert {one.gpu for one in pool.take("nvidia.com/mig-3g.40gb", 1, "other")} == {GPUS[1]}


def test_of_shared_gpus_the_one_with_fewest_users_is_given() -> None:
    pool = pool_of(OFFERS["cut and shared"])
    given = [pool.take(GPU, 1, f"pod-{n}")[0].gpu.index for n in range(7)]
    assert given == [2, 3, 4, 5, 6, 7, 2]


def test_a_gpu_that_is_claimed_is_given_by_no_plugin_and_the_other_way_round() -> None:
    pool = pool_of(OFFERS["whole"])
    assert pool.claim("claimer", {GPUS[0].uuid})
    assert GPUS[0] not in [one.gpu for one in pool.take(GPU, 7, "pod")]
    assert not pool.claim("late", {GPUS[1].uuid})
    pool.free("pod")
    assert pool.claim("late", {GPUS[1].uuid})
    pool.free("claimer")
    assert pool.take(GPU, 1, "other")[0].gpu == GPUS[0]
