"""An environment that observes a mapping of parts: an image of bytes, a choice, a vector."""

from __future__ import annotations

from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces

from rlrecipe.envs.base import EnvOptions
from rlrecipe.recipe.options import option
from rlrecipe.recipe.registry import register


def image(size: int) -> spaces.Box:
    return spaces.Box(0, 255, (size, size, 3), np.uint8)


IMAGE = image(12)
PARTS = spaces.Dict({"image": IMAGE, "direction": spaces.Discrete(4), "speed": spaces.Box(-1.0, 1.0, (2,), np.float32)})


class PartsOptions(EnvOptions):
    """Choose what the direction says; a wrong choice ends the episode."""

    observes: Literal["parts", "image", "words"] = option(
        "parts", "Everything, the image alone, or what cannot be read."
    )
    size: int = option(12, "Side of the image, where it is alone.")
    actions: Literal["discrete", "continuous"] = option("discrete", "Kind of actions.")


class Parts(gymnasium.Env[Any, Any]):
    """The image is bright where the direction points; 20 steps at most."""

    def __init__(self, observes: str, actions: str, size: int = 12) -> None:
        self.observes, self.direction, self.steps, self.size = observes, 0, 0, size
        words = spaces.Dict({"words": spaces.Text(5)})
        seen: dict[str, Any] = {"parts": PARTS, "image": image(size), "words": words}
        self.observation_space = seen[observes]
        box = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = spaces.Discrete(4) if actions == "discrete" else box

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        chosen = action if isinstance(self.action_space, spaces.Discrete) else round(1.5 * (float(action[0]) + 1))
        right = int(chosen) == self.direction
        return self._observe(), float(right), not right and self.steps > 3, self.steps >= 20, {}

    def _observe(self) -> Any:
        if self.observes == "words":
            return {"words": "north"}
        self.direction = int(self.np_random.integers(4))
        size = self.size if self.observes == "image" else 12
        image, stripe = np.zeros((size, size, 3), np.uint8), size // 4
        image[stripe * self.direction : stripe * (self.direction + 1)] = 200
        speed = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return image if self.observes == "image" else {"image": image, "direction": self.direction, "speed": speed}


@register("env", "parts")
def make_parts(options: PartsOptions, render_mode: str | None) -> gymnasium.Env[Any, Any]:
    return Parts(options.observes, options.actions, options.size)
