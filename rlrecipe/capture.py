"""Saving an environment in the middle of an episode and going on from there, bit for bit.

gymnasium offers no such thing, and pickling fails in silence for some environments. Four methods
are tried in turn; each is probed on fresh environments before it is believed.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import gymnasium
import numpy as np

from rlrecipe.interfaces import State
from rlrecipe.state import Arrays, join, split

Env = Any
MakeEnv = Callable[[], Env]

#: What describes an environment and never changes in an episode.
_CONSTANT = frozenset({"render_mode", "metadata", "reward_range", "_cached_spec", "_saved_kwargs"})


def layers(env: Env) -> Iterator[tuple[str, Any]]:
    """The environment's wrappers from the outside in by number, the environment itself, and its spaces by name."""
    spaces = {"action_space": env.action_space, "observation_space": env.observation_space}
    for i in count():
        yield str(i), env
        if not isinstance(env, gymnasium.Wrapper):
            break
        env = env.env
    for name, space in spaces.items():
        # A space draws from its own generator once somebody has sampled it.
        if getattr(space, "_np_random", None) is not None:
            yield name, space


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufc"
    return value is None or isinstance(value, bool | int | float | str | np.generic | np.random.Generator)


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
                if key not in _CONSTANT and _plain(value)
            }
            for name, layer in layers(self.env)
        }

    def load(self, state: State) -> None:
        """Put every saved attribute back."""
        for name, layer in layers(self.env):
            for key, value in state.get(name, {}).items():
                # What holds an object now (a body, a window) is not overwritten by the None or the empty
                # list of before it existed. Not setattr: a wrapper may forbid or forward it.
                if _plain(vars(layer).get(key)):
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
        self.before: State = {}
        self.seed: int | None = None
        self.actions: list[Any] = []
        self.resets: list[int] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begin a new record."""
        if seed is None and any(getattr(layer, "going_on", False) for _, layer in layers(self.env)):
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


@dataclass(frozen=True)
class Choice:
    """How an environment is saved.

    Attributes:
        method: name of the method, or None if none serves.
        level: "exact"; "boundary" where only whole episodes can be repeated; "continue" where nothing can.
        reason: in words.
    """

    method: str | None
    level: str
    reason: str


def choose(make: MakeEnv, seed: int = 0) -> Choice:
    """The first method that an environment passes the probe with, or what is possible without one.

    Args:
        make: builds one environment; called a few times.
        seed: of the probe's own random actions.
    """
    failures = []
    refusals = _refusals(make)
    for name, method in METHODS.items():
        try:
            difference = refusals.get(name) or _probe(make, method, seed)
        except Exception as error:
            difference = f"{type(error).__name__}: {error}"
        if difference is None:
            return Choice(name, "exact", f"environments are captured by {name}, probed")
        failures.append(f"{name}: {difference}")
    reason = "environments cannot be captured (" + "; ".join(failures) + ")"
    if _repeats(make, seed):
        return Choice(None, "boundary", reason + ": every scheduled checkpoint starts new episodes")
    return Choice(None, "continue", reason + ", and a seed does not repeat an episode")


def renewal(make: MakeEnv, seed: int = 0) -> str | None:
    """The method that makes an environment that has lived episodes as good as a new one, or None.

    It puts back the state in which an environment was built. Probed: a used environment that was put back and a
    new one live the same episodes. Replayed actions cannot take back what an environment remembers.
    """
    name = choose(make, seed).method
    if name is None or METHODS[name] is Replay:
        return None
    try:
        used, new = make(), make()
        try:
            built = METHODS[name](used).save()
            used.action_space.seed(seed)
            actions = [used.action_space.sample() for _ in range(40)]
            used.reset(seed=seed + 1)
            _walk(used, actions)
            METHODS[name](used).load(built)
            starts = [env.reset(seed=seed)[0] for env in (used, new)]
            return name if _same(*starts) and _same(_walk(used, actions), _walk(new, actions)) else None
        finally:
            used.close()
            new.close()
    except Exception:
        return None


def _repeats(make: MakeEnv, seed: int) -> bool:
    """Whether a seeded reset leads to the same episode in another instance."""
    try:
        one, other = make(), make()
        one.action_space.seed(seed)
        actions = [one.action_space.sample() for _ in range(40)]
        starts = [env.reset(seed=seed)[0] for env in (one, other)]
        return _same(*starts) and _same(_walk(one, actions), _walk(other, actions))
    except Exception:
        return False


def _refusals(make: MakeEnv) -> dict[str, str]:
    """Why a method is not even tried, by its name."""
    env = make()
    try:
        inner, able = env.unwrapped, [getattr(layer, "captured_by", METHODS) for _, layer in layers(env)]
        refused = {} if hasattr(inner, "model") else {"mujoco": "not a MuJoCo environment"}
        if hasattr(inner, "ale"):
            refused["attributes"] = "the emulator has a state of its own"
            if inner.ale.getFloat("repeat_action_probability") > 0:
                # A probe may pass by luck: the action matters where the next one is not taken.
                refused["atari"] = "the emulator does not tell the action that it may repeat"
        else:
            refused["atari"] = "not an Atari game"
        unable = [name for name in METHODS if not all(name in methods for methods in able)]
        return {**dict.fromkeys(unable, "torchrl keeps state where it does not look"), **refused}
    finally:
        env.close()


def _probe(make: MakeEnv, method: type[Attributes] | type[Replay], seed: int) -> str | None:
    """What differs between going on and going on from a saved state, or None."""
    wrap: Callable[[Env], Env] = Tape if method is Replay else lambda env: env
    one, other = wrap(make()), wrap(make())
    actions = one.action_space
    actions.seed(seed)
    try:
        one.reset(seed=seed)
        other.reset(seed=seed + 1)
        hidden = {} if method is Replay else _hidden(one)
        _walk(one, [actions.sample() for _ in range(15)])
        arrays: Arrays = {}
        tree = split(method(one).save(), "", arrays)
        ahead = [actions.sample() for _ in range(40)]
        expected = _walk(one, ahead)
        method(other).load(join(tree, arrays))
        for i, (a, b) in enumerate(zip(expected, _walk(other, ahead), strict=True)):
            if not _same(a, b):
                return f"step {i + 1} after restoring differs"
        changed = [key for key, seen in hidden.items() if _hidden(one).get(key) != seen]
        if changed:
            # It may matter only later in an episode than this probe goes.
            return f"it keeps state where this method does not look: {', '.join(changed)}"
        return None
    finally:
        one.close()
        other.close()


#: What cannot be looked into: the methods above know how to save it, or it only draws.
_FOREIGN = ("mujoco", "pygame", "Box2D", "ale_py", "")


def _hidden(env: Env) -> dict[str, str]:
    """What can be seen of the attributes that ``Attributes`` does not save, by name."""
    return {
        f"{type(layer).__name__}.{key}": _seen(value)
        for _, layer in layers(env)
        if not isinstance(layer, gymnasium.Space)
        for key, value in vars(layer).items()
        if key not in _CONSTANT and key != "env" and not _plain(value)
    }


def _seen(value: Any, depth: int = 0) -> str:
    """A text that changes when a value does, as far as containers and plain objects can be looked into."""
    kind = type(value)
    if _plain(value):
        return repr(value.bit_generator.state if isinstance(value, np.random.Generator) else value)
    if (
        depth > 3
        or isinstance(value, gymnasium.Space)
        or str(getattr(kind, "__module__", "")).split(".")[0] in _FOREIGN
    ):
        return kind.__name__
    if isinstance(value, Mapping):
        return repr([(repr(key), _seen(item, depth + 1)) for key, item in value.items()])
    if isinstance(value, set | frozenset):
        return repr(sorted(_seen(item, depth + 1) for item in value))
    if (isinstance(value, Sequence) and not isinstance(value, str | bytes)) or isinstance(value, deque):
        return repr([_seen(item, depth + 1) for item in value])
    if isinstance(value, bytes | bytearray):
        return repr(bytes(value))
    if hasattr(value, "__dict__") and not callable(value):
        return kind.__name__ + _seen(vars(value), depth + 1)
    return kind.__name__


def _walk(env: Env, actions: list[Any]) -> list[Any]:
    seen: list[Any] = []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        first = env.reset()[0] if terminated or truncated else None
        seen.append(copy.deepcopy((observation, reward, terminated, truncated, first)))
    return seen


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f")
