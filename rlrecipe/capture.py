"""Saving an environment in the middle of an episode and going on from there, bit for bit.

gymnasium offers no such thing, and pickling fails in silence for some environments. The methods of ``env_state.py``
are tried in turn; each is probed on fresh environments before it is believed.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from rlrecipe.env_state import (
    CONSTANT,
    METHODS,
    Attributes,
    Env,
    Replay,
    Tape,
    layers,
    plain,
)
from rlrecipe.state import Arrays, join, split

MakeEnv = Callable[[], Env]

__all__ = ["METHODS", "Attributes", "Choice", "Tape", "choose", "layers", "renewal"]


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
        if key not in CONSTANT and key != "env" and not plain(value)
    }


def _seen(value: Any, depth: int = 0) -> str:
    """A text that changes when a value does, as far as containers and plain objects can be looked into."""
    kind = type(value)
    if plain(value):
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
