"""What parts of torchrl's, or of one's own in their place, may be able to do, as protocols: ask by ``isinstance``."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class ShutsDown(Protocol):
    """A collector with processes or environments to end; of torchrl."""

    def shutdown(self) -> None:
        """End them."""


@runtime_checkable
class Closes(Protocol):
    """A collector of one's own that has something to end."""

    def close(self) -> None:
        """End it."""


@runtime_checkable
class BeginsAtRandom(Protocol):
    """A collector whose first frames are of random actions."""

    init_random_frames: int | None


@runtime_checkable
class RenewsWeights(Protocol):
    """A collector that acts with a copy of the policy's weights."""

    def update_policy_weights_(self, *given: Any) -> None:
        """Take new weights."""


@runtime_checkable
class DrawsBySampler(Protocol):
    """A replay buffer with a sampler."""

    sampler: Any


@runtime_checkable
class KeepsPriorities(Protocol):
    """A replay buffer that knows the rows of a sub-batch."""

    def update_tensordict_priority(self, data: Any) -> None:
        """Draw the rows of a sub-batch by its new priorities."""


@runtime_checkable
class StepsTargets(Protocol):
    """An updater of target networks."""

    def step(self) -> Any:
        """Move the target networks."""


@runtime_checkable
class CountsSteps(Protocol):
    """An updater that counts its steps, such as ``HardUpdate``."""

    counter: int


@runtime_checkable
class HasTransform(Protocol):
    """An environment under transforms."""

    transform: Any


@runtime_checkable
class Renders(Protocol):
    """An environment that shows pictures of itself."""

    def render(self) -> Any:
        """One picture."""


@runtime_checkable
class KeepsVideos(Protocol):
    """A logger that keeps videos as files."""

    video_format: str
    video_fps: int
    experiment: Any
