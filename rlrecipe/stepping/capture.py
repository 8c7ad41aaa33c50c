"""Saving an environment in the middle of an episode and going on from there, bit for bit.

gymnasium offers no such thing, and pickling fails in silence for some environments. The methods of ``env_state.py``
are tried in turn. One environment shows what it does and is saved; another one, built when the first is closed, has to
go on from there, or the method is not believed.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np

from rlrecipe.state import Arrays, join, split
from rlrecipe.stepping.capture_methods import (
    CONSTANT,
    METHODS,
    Attributes,
    Env,
    Replay,
    Tape,
    layers,
    plain,
)
from rlrecipe.stepping.wrappers.abilities import CapturedBy
from rlrecipe.stepping.wrappers.checked import told

MakeEnv = Callable[[], Env]

__all__ = ["METHODS", "Attributes", "Capture", "Recording", "Tape", "choose", "layers", "record", "recorded", "renewal"]


@dataclass(frozen=True)
class Capture:
    """How an environment is saved.

    Attributes:
        method: name of the method, or None if none serves.
        level: "exact"; "boundary" where only whole episodes can be repeated; "continue" where nothing can.
        reason: in words.
        again: whether the method also puts back the environment that was saved, after it went on.
    """

    method: str | None
    level: str
    reason: str
    again: bool = False


@dataclass(frozen=True)
class Recording:
    """What one environment did, and how it was saved on the way.

    Attributes:
        seed: of its reset and of the actions.
        actions: all of them, in their order.
        first: observation of the reset.
        seen: what followed each action.
        saved: its state after ``BEFORE`` actions, by method.
        failures: why a method cannot serve, by its name.
        again: methods that put this environment back after it had gone on.
    """

    seed: int
    actions: list[Any]
    first: Any
    seen: list[Any]
    saved: dict[str, tuple[Any, Arrays]]
    failures: dict[str, str]
    again: frozenset[str]


#: Actions before a probe saves, and those that have to lead to the same when it goes on.
BEFORE, AHEAD = 15, 40


def record(env: Env, seed: int = 0, *, capture: bool = True) -> Recording:
    """Let a new environment take random actions, and save it on the way by every method that may serve.

    Args:
        env: used up by it, but not closed.
        seed: of its reset and of the actions.
        capture: False where nobody will ask how it can be saved.

    Raises:
        Exception: what the environment raises.
    """
    tape, failures = Tape(env), _refusals(env) if capture else dict.fromkeys(METHODS, "not tried")
    env.action_space.seed(seed)
    first = copy.deepcopy(tape.reset(seed=seed)[0])
    hidden = _hidden(env) if capture else {}
    actions = [env.action_space.sample() for _ in range(BEFORE)]
    seen, saved = _walk(tape, actions), dict[str, tuple[Any, Arrays]]()
    for name in [name for name in METHODS if name not in failures]:
        arrays: Arrays = {}
        try:
            saved[name] = split(_method(name, tape).save(), "", arrays), arrays
        except Exception as error:
            failures[name] = told(error)
    ahead = [env.action_space.sample() for _ in range(AHEAD)]
    seen += _walk(tape, ahead)
    recording = Recording(seed, actions + ahead, first, seen, saved, failures, frozenset())
    return replace(recording, again=_put_back(tape, recording, hidden)) if capture else recording


def _put_back(tape: Tape, recording: Recording, hidden: Mapping[str, str]) -> frozenset[str]:
    """The cheapest method that puts an environment back that has gone on; failures of the others are noted.

    What cannot do that cannot make another environment go on, either, but for replay, which starts an episode.
    """
    changed = [key for key, seen in hidden.items() if _hidden(tape.env).get(key) != seen]
    for name in METHODS:
        if name in recording.failures:
            continue
        difference: str | None
        if changed and METHODS[name] is not Replay:
            # It may matter only later in an episode than this probe goes.
            difference = f"it keeps state where this method does not look: {', '.join(changed)}"
        else:
            difference = _tried(tape, name, recording)
        if difference is None:
            return frozenset([name])
        if METHODS[name] is not Replay:
            recording.failures[name] = difference
    return frozenset()


def recorded(make: MakeEnv, seed: int = 0) -> Recording:
    """What an environment does that is built for it, and closed."""
    env = make()
    try:
        return record(env, seed)
    finally:
        env.close()


def choose(make: MakeEnv, seed: int = 0, recording: Recording | None = None) -> Capture:
    """The first method that an environment passes the probe with, or what is possible without one.

    One environment is alive at a time. Most are built twice, or once where there is a recording.

    Args:
        make: builds one environment.
        seed: of the probe's own random actions.
        recording: of an environment that ``make`` built, where there is one.
    """
    recording = recorded(make, seed) if recording is None else recording
    failures = dict(recording.failures)
    for name in METHODS:
        if name in failures:
            continue
        try:
            env = make()
        except Exception as error:
            return Capture(
                None, "continue", f"no second environment could be built to try how one is saved: {told(error)}"
            )
        try:
            tape = Tape(env)
            tape.reset(seed=recording.seed + 1)
            difference = _tried(tape, name, recording)
        except Exception as error:
            difference = told(error)
        finally:
            env.close()
        if difference is None:
            reason = f"environments are captured by {name}, probed"
            return Capture(name, "exact", reason, again=name in recording.again)
        failures[name] = difference
    listed = "; ".join(f"{name}: {failures[name]}" for name in METHODS)
    reason = f"environments cannot be captured ({listed})"
    if _repeats(make, recording):
        return Capture(None, "boundary", reason + ": every scheduled checkpoint starts new episodes")
    return Capture(None, "continue", reason + ", and a seed does not repeat an episode")


def renewal(make: MakeEnv, seed: int = 0) -> str | None:
    """The method that makes an environment that has lived episodes as good as a new one, or None.

    It puts back the state in which an environment was built. Probed: an environment lives the same episodes when it
    is new and when it was put back. Replayed actions cannot take back what an environment remembers.
    """
    try:
        recording = recorded(make, seed)
        names = [name for name in METHODS if name not in recording.failures and METHODS[name] is not Replay]
        return next((name for name in names if _renews(make, name, recording)), None)
    except Exception:
        return None


def _renews(make: MakeEnv, name: str, recording: Recording) -> bool:
    env = make()
    try:
        tape = Tape(env)
        built = _method(name, tape).save()
        tape.reset(seed=recording.seed + 1)
        _walk(tape, recording.actions)
        _method(name, tape).load(built)
        return _repeated(tape, recording)
    finally:
        env.close()


def _repeats(make: MakeEnv, recording: Recording) -> bool:
    """Whether a seeded reset leads to the same episode in another instance."""
    try:
        env = make()
        try:
            return _repeated(env, recording)
        finally:
            env.close()
    except Exception:
        return False


def _repeated(env: Env, recording: Recording) -> bool:
    first = env.reset(seed=recording.seed)[0]
    return _same(first, recording.first) and _same(_walk(env, recording.actions), recording.seen)


def _method(name: str, tape: Tape) -> Attributes | Replay:
    method = METHODS[name]
    return method(tape if method is Replay else tape.env)


def _tried(tape: Tape, name: str, recording: Recording) -> str | None:
    """What differs from the recording after a state of it was loaded, or None."""
    try:
        _method(name, tape).load(join(*recording.saved[name]))
        walked = _walk(tape, recording.actions[BEFORE:])
    except Exception as error:
        return told(error)
    for i, (a, b) in enumerate(zip(recording.seen[BEFORE:], walked, strict=True)):
        if not _same(a, b):
            return f"step {i + 1} after restoring differs"
    return None


def _refusals(env: Env) -> dict[str, str]:
    """Why a method is not even tried, by its name."""
    inner, able = env.unwrapped, [layer.captured_by for _, layer in layers(env) if isinstance(layer, CapturedBy)]
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
    # Some classes of extensions, such as Box2D's, say no module.
    foreign = str(getattr(kind, "__module__", "")).split(".")[0] in _FOREIGN
    if depth > 3 or isinstance(value, gymnasium.Space) or foreign:
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
