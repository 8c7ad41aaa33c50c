"""Target networks: copies of some slots that follow them slowly (Mnih et al., 2015; Lillicrap et al., 2016)."""

from __future__ import annotations

from rlrecipe.clock import Alarm, Clock
from rlrecipe.interfaces import State, Target
from rlrecipe.lazy import torch
from rlrecipe.learning.parameters import TARGET, Parameters
from rlrecipe.learning.update import follow


class Targets:
    """One flat vector of copies; following costs one operation for each stretch of neighbouring slots.

    Args:
        parameters: what is followed.
        slots: which of it.
        target: how and when.
        clock: what durations are read on.
    """

    def __init__(self, parameters: Parameters, slots: tuple[str, ...], target: Target, clock: Clock) -> None:
        self.tau = target.tau
        self.alarm = Alarm(target.every, clock) if target.every is not None else None
        own = parameters.by_slot(parameters.views(parameters.flat))
        self.copies = Parameters({TARGET + slot: own[slot] for slot in slots}, parameters.flat.dtype, parameters.shared)
        self.params = self.copies.params
        #: Each copy and what it follows: views of both vectors, so that following needs no indexing.
        self.pairs = [
            (
                self.copies.flat[slice(*self.copies.range(TARGET + slot))],
                parameters.flat[slice(*parameters.range(slot))],
            )
            for slot in slots
        ]

    def equal(self) -> None:
        """Be what is followed."""
        with torch.no_grad():
            for copy, followed in self.pairs:
                copy.copy_(followed)

    def before_update(self) -> None:
        """Follow if a duration was crossed since the last update."""
        if self.alarm is not None and self.alarm.fires():
            self.follow()

    @property
    def after_update(self) -> bool:
        """Whether they follow after each update that took every objective: no duration says when."""
        return self.alarm is None

    def follow(self) -> None:
        """Polyak update by ``tau``."""
        follow(self.pairs, self.tau)

    def state_dict(self) -> State:
        """The copies by name, and the alarm."""
        return {"copies": self.copies.named(), "alarm": self.alarm.state_dict() if self.alarm else None}

    def load_state_dict(self, state: State) -> None:
        """Copy values in; memory stays where the losses see it."""
        self.copies.load(state["copies"])
        if self.alarm is not None and state["alarm"] is not None:
            self.alarm.load_state_dict(state["alarm"])
        elif self.alarm is not None:
            # They followed after every update until now.
            self.alarm.align()
