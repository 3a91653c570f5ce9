"""How fast the GPU Operator's own containers are: at once while a lab comes up, then as real ones.

`gpulab up` finds images present and drivers built, as an administrator leaves a cluster. What a
learner takes away later comes back in the time that it takes on a real node, divided by the speed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

ALWAYS = dt.datetime.min.replace(tzinfo=dt.UTC)


@dataclass
class Pace:
    """`patient_from` is when the hurry ended: None while it lasts."""

    speed: float = 1.0
    patient_from: dt.datetime | None = ALWAYS

    def hurried(self, at: dt.datetime) -> bool:
        """Whether what happens at that moment takes no time."""
        return self.patient_from is None or at < self.patient_from

    def seconds(self, at: dt.datetime, real: float) -> float:
        """How long something takes here that takes `real` seconds on a node."""
        return 0.0 if self.hurried(at) else real / self.speed

    def settle(self) -> None:
        """End the hurry, once."""
        if self.patient_from is None:
            self.patient_from = dt.datetime.now(dt.UTC)
