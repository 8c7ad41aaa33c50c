"""How an environment's episodes begin: with a recipe's options, whatever its reset takes."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MethodType
from typing import Any

import gymnasium

from rlrecipe.errors import UnbuildableError

Env = gymnasium.Env[Any, Any]
Reset = Callable[..., Any]


def begin_with(env: Env, options: Mapping[str, Any]) -> None:
    """Let an environment's reset take what gymnasium's does, and give the environment itself ``options`` each time.

    It is the instance's own method that changes: everything around it, torchrl's wrappers too, resets as before.

    Raises:
        UnbuildableError: there are options, and the environment's own reset takes none.
    """
    for layer in _layers(env):
        taken = arguments_of(layer.reset)
        if options and layer is env.unwrapped and "options" not in taken:
            message = f"the reset of {type(layer).__name__} takes no options"
            raise UnbuildableError(("reset_options",), message, "remove it")
        if not {"seed", "options"} <= taken:
            vars(layer)["reset"] = _lenient(layer, layer.reset, taken)
    if options:
        inner = env.unwrapped
        vars(inner)["reset"] = _given(inner.reset, options)


def _layers(env: Any) -> Iterator[Any]:
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def arguments_of(reset: Reset) -> frozenset[str]:
    """Which of gymnasium's arguments, ``seed`` and ``options``, a reset takes: older ones know no options."""
    # Asked once for a class: an evaluation may build its environments each time.
    return _asked(reset.__func__) if isinstance(reset, MethodType) else _asked.__wrapped__(reset)


@functools.lru_cache(maxsize=256)
def _asked(reset: Reset) -> frozenset[str]:
    both = frozenset({"seed", "options"})
    try:
        parameters = inspect.signature(reset).parameters
    except (TypeError, ValueError):
        return both  # native code that does not tell
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return both
    return both & parameters.keys()


def _lenient(layer: Any, reset: Reset, taken: frozenset[str]) -> Reset:
    def lenient(*, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if seed is not None and "seed" not in taken and isinstance(layer.unwrapped, gymnasium.Env):
            # Its generator, which gymnasium's own reset seeds.
            gymnasium.Env.reset(layer.unwrapped, seed=seed)
        given = {"seed": seed, "options": options}
        return reset(**{name: value for name, value in given.items() if name in taken})

    return lenient


def _given(reset: Reset, options: Mapping[str, Any]) -> Reset:
    def given(**arguments: Any) -> Any:
        # A copy each time: the environment may change it.
        merged = {**copy.deepcopy(dict(options)), **(arguments.get("options") or {})}
        return reset(**{**arguments, "options": merged})

    return given
