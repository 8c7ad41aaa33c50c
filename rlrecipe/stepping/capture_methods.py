"""Ways to save an environment in the middle of an episode; ``capture.py`` tries which of them serves."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import count
from typing import Any

import gymnasium
import numpy as np

from rlrecipe.interfaces import State
from rlrecipe.stepping.wrappers.abilities import GoesOn
from rlrecipe.stepping.wrappers.checked import Checked

Env = Any

#: What describes an environment and never changes in an episode.
CONSTANT = frozenset({"render_mode", "metadata", "reward_range", "_cached_spec", "_saved_kwargs"})


def layers(env: Env) -> Iterator[tuple[str, Any]]:
    """The environment's wrappers from the outside in by number, the environment itself, and its spaces by name."""
    spaces = {"action_space": env.action_space, "observation_space": env.observation_space}
    number = count()
    while True:
        # The layer that looks at answers has nothing to save.
        if not isinstance(env, Checked):
            yield str(next(number)), env
        if not isinstance(env, gymnasium.Wrapper):
            break
        env = env.env
    for name, space in spaces.items():
        # A space draws from its own generator once somebody has sampled it.
        if getattr(space, "_np_random", None) is not None:
            yield name, space


def plain(value: Any) -> bool:
    """Whether a value is numbers, text, arrays, generators, or lists and mappings of them."""
    if isinstance(value, list | tuple):
        return all(plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(item) for key, item in value.items())
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufc"
    return value is None or isinstance(value, bool | int | float | str | np.generic | np.random.Generator)


def kinds(value: Any) -> Any:
    """What can be compared of two plain values that need not be equal: names, types, shapes."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [kinds(item) for item in value]
    return (value.dtype, value.shape) if isinstance(value, np.ndarray) else type(value)


class Attributes:
    """The plain attributes of every layer: numbers, arrays, generators. Serves simple environments."""

    name = "attributes"

    def __init__(self, env: Env) -> None:
        self.env = env

    def save(self) -> State:
        """Every plain attribute, by layer."""
        return {
            name: {
                # Copied: a generator or an array in a saved state must not move with the environment.
                key: copy.deepcopy(value)
                for key, value in vars(layer).items()
                if key not in CONSTANT and plain(value)
            }
            for name, layer in layers(self.env)
        }

    def load(self, state: State) -> None:
        """Put every saved attribute back."""
        for name, layer in layers(self.env):
            for key, value in state.get(name, {}).items():
                # What holds an object now (a body, a window) is not overwritten by the None or the empty
                # list of before it existed. Not setattr: a wrapper may forbid or forward it.
                if plain(vars(layer).get(key)):
                    vars(layer)[key] = copy.deepcopy(value)


class MuJoCo(Attributes):
    """The plain attributes, and MuJoCo's own full integration state."""

    name = "mujoco"

    def save(self) -> State:
        """Attributes and the physics vector."""
        import mujoco

        inner = self.env.unwrapped
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        physics = np.empty(mujoco.mj_stateSize(inner.model, kind))
        mujoco.mj_getState(inner.model, inner.data, physics, kind)
        return {"attributes": super().save(), "physics": physics}

    def load(self, state: State) -> None:
        """Put both back and recompute what follows from them."""
        import mujoco

        inner = self.env.unwrapped
        super().load(state["attributes"])
        mujoco.mj_setState(inner.model, inner.data, state["physics"], mujoco.mjtState.mjSTATE_INTEGRATION)


class Atari(Attributes):
    """The plain attributes, and the emulator's whole state, its generator included."""

    name = "atari"

    def save(self) -> State:
        """Attributes and the emulator's state as bytes."""
        state = self.env.unwrapped.clone_state(include_rng=True)
        return {"attributes": super().save(), "emulator": np.frombuffer(state.__getstate__(), np.uint8).copy()}

    def load(self, state: State) -> None:
        """Put both back."""
        from ale_py import ALEState

        super().load(state["attributes"])
        self.env.unwrapped.restore_state(ALEState(np.asarray(state["emulator"], np.uint8).tobytes()))


class Replay:
    """The state before the episode's reset and all that was done since: loading lives the episode again."""

    name = "replay"

    def __init__(self, env: Env) -> None:
        if not isinstance(env, Tape):
            raise TypeError("replay needs an environment that was wrapped in a Tape")
        self.env = env

    def save(self) -> State:
        """What the tape holds."""
        actions = self.env.actions
        return {
            "before": self.env.before,
            "seed": self.env.seed,
            "actions": np.array(actions) if actions else None,
            "resets": list(self.env.resets),
        }

    def load(self, state: State) -> None:
        """Reset from the saved state, then take every action again."""
        self.env.between.load(state["before"])
        self.env.reset(seed=state["seed"])
        # Resetting recorded the state of this process; what was saved is the state to record.
        self.env.before = state["before"]
        actions = [] if state["actions"] is None else state["actions"]
        for i in range(len(actions) + 1):
            for _ in range(state.get("resets", ()).count(i)):
                self.env.reset()
            if i < len(actions):
                self.env.step(actions[i])


class Tape(gymnasium.Wrapper):
    """Remembers the state before the episode's reset and every action since.

    Where a reset goes on in the same game (``going_on`` of a layer says so), it is remembered like an action.
    """

    def __init__(self, env: Env) -> None:
        super().__init__(env)
        self.between = (Atari if hasattr(env.unwrapped, "ale") else Attributes)(env)
        self._may_go_on = [layer for _, layer in layers(env) if isinstance(layer, GoesOn)]
        self.before: State = {}
        self.seed: int | None = None
        self.actions: list[Any] = []
        self.resets: list[int] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begin a new record."""
        if seed is None and any(layer.going_on for layer in self._may_go_on):
            self.resets.append(len(self.actions))
        else:
            self.before, self.seed, self.actions, self.resets = self.between.save(), seed, [], []
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Record and step."""
        self.actions.append(np.copy(action))
        return self.env.step(action)


Capture = Attributes | Replay
METHODS: dict[str, type[Attributes] | type[Replay]] = {m.name: m for m in (Attributes, MuJoCo, Atari, Replay)}
