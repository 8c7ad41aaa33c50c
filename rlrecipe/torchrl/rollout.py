"""Evaluating a policy of torchrl's in an environment of torchrl's, for ``LogValidationReward``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rlrecipe.interfaces import Key
from rlrecipe.lazy import torch
from rlrecipe.torchrl.objects import HasTransform

#: Frames of a rollout where nothing else is said; torchrl asks for the number.
FRAMES = 1000
REWARD: Key = ("next", "reward")


class Rollout:
    """One stretch of so many frames, over as many episodes as end in it; the same seed each time.

    Args:
        environment: any ``EnvBase``; it stays open.
        policy: a ``TensorDictModule``.
        exploration: torchrl's ``ExplorationType``, or "deterministic" or "random".
        frames: length of the stretch.
        seed: of the environment and of what the policy draws; torch's global random numbers stay as they are.
        say: tells of a recorder that failed.
    """

    def __init__(
        self, environment: Any, policy: Any, exploration: Any, frames: int, seed: int, say: Callable[[str], None]
    ) -> None:
        from torchrl.envs.utils import ExplorationType

        self.environment, self.policy, self.frames, self.seed, self.say = environment, policy, frames, seed, say
        self.exploration = ExplorationType[exploration.upper()] if isinstance(exploration, str) else exploration

    def __call__(self, keys: list[Key], suffix: str | None = None) -> tuple[dict[Key, float], float]:
        """Means of some entries over all frames, and the mean return of the stretch's episodes, the open one too."""
        from torchrl.envs.utils import set_exploration_type

        modules = [each for each in (self.policy, self.environment) if isinstance(each, torch.nn.Module)]
        with torch.random.fork_rng(devices=[]), torch.no_grad(), set_exploration_type(self.exploration), _eval(modules):
            # It seeds torch's global generator, too.
            self.environment.set_seed(self.seed)
            data = self.environment.rollout(
                self.frames, self.policy, auto_cast_to_device=True, break_when_any_done=False
            )
        self._dump(suffix)
        reward, done = data[REWARD].float(), data["next", "done"]
        # An episode that the stretch's end cuts is one as well, as in torchrl.
        episodes = int(done[..., :-1, :].sum()) + done.shape[:-2].numel()
        return {key: float(data[key].float().mean()) for key in keys}, float(reward.sum()) / episodes

    def _dump(self, suffix: str | None) -> None:
        """Let recorders among the environment's transforms write; an environment without transforms has none."""
        if not isinstance(self.environment, HasTransform):
            return
        try:
            self.environment.transform.dump(suffix=suffix)
        except Exception as error:
            self.say(f"a recorder failed: {type(error).__name__}: {error}")


@contextmanager
def _eval(modules: list[torch.nn.Module]) -> Iterator[None]:
    """Modules in evaluation mode, and then as they were."""
    before = [module.training for module in modules]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.train(training)
