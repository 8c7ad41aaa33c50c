"""An environment whose answers are looked at: what breaks gymnasium's interface is told at once, and by name."""

from __future__ import annotations

import warnings
import weakref
from typing import Any, NoReturn

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rlrecipe.errors import EnvironmentFault, EnvironmentWarning
from rlrecipe.stepping.wrappers.answers import Misfit, flag_of, observation_of, reward_of, shown, widened
from rlrecipe.stepping.wrappers.resetting import arguments_of

Env = gymnasium.Env[Any, Any]
#: Types of rewards and flags that need no second look.
#: Whole numbers of Python may be too large for a float.
NUMBERS = frozenset({float, np.float32, np.float64, np.int64})
FLAGS = frozenset({bool, np.bool_})
RESET, STEP = "observation, info", "observation, reward, terminated, truncated, info"
#: Layers that hand observations on and keep none.
PASSING = (TimeLimit, OrderEnforcing)


class Checked(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The innermost layer: what lies above may rely on the interface.

    A step of the usual types is looked at by its types, its shape and its length, and costs a fraction of a
    microsecond. Anything else is looked at again, and made what the space says where that loses nothing.

    Args:
        env: the environment itself.
        name: of the environment, for errors.

    Raises:
        EnvironmentFault: it declares no spaces.
    """

    def __init__(self, env: Env, name: str) -> None:
        super().__init__(env)
        self.name = name
        for kind in ("observation_space", "action_space"):
            if not isinstance(getattr(env, kind, None), gymnasium.Space):
                cure = f"set self.{kind} to one of gymnasium.spaces in __init__"
                raise EnvironmentFault(f"{name} has no {kind}", cure)
        self.space = env.observation_space
        #: What is only of another type than it should be, each once.
        self.hints: dict[str, None] = {}
        #: The outermost layer that the environment came with, where it is known.
        self.base: weakref.ref[Env] | None = weakref.ref(self)
        #: Whether layers above may keep what they are given, which the environment may write over.
        self.copies = False
        outer = widened(self.space)
        if outer is not self.space:
            self.observation_space = outer
        usual = isinstance(self.space, gymnasium.spaces.Box) and outer is self.space
        self._shape, self._dtype = (self.space.shape, self.space.dtype) if usual else (None, None)
        self._takes, self._stepped = arguments_of(env.unwrapped.reset), env

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """The first observation.

        Raises:
            EnvironmentFault: the environment broke the interface, or asked to exit.
        """
        arguments: dict[str, Any] = {"seed": seed, "options": options}
        try:
            answer: Any = self.env.reset(**{key: arguments[key] for key in self._takes})
        except BaseException as error:
            self._left("reset", error)
        if type(self.env) is OrderEnforcing:
            # It has seen the reset that it asks for, and would look for it at every step.
            self._stepped = self.env.env
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            self._refuse_length("reset", answer, RESET, "return observation, {}")
        observation, info = answer
        try:
            return self._observation(observation), info if type(info) is dict else self._info(info)
        except Misfit as misfit:
            self._refuse("reset", misfit)

    def _observation(self, observation: Any) -> Any:
        usual = type(observation) is np.ndarray and observation.dtype is self._dtype
        if usual and observation.shape == self._shape:
            return observation.copy() if self.copies else observation
        return observation_of(self.space, observation, self._hint)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            EnvironmentFault: the environment broke the interface, or asked to exit.
        """
        try:
            answer: Any = self._stepped.step(action)
        except BaseException as error:
            self._left("step", error)
        try:
            observation, reward, terminated, truncated, _ = answer
            # In this order, and nothing else: it is paid at every step of every environment.
            if (
                observation.shape == self._shape
                and observation.dtype is self._dtype
                and type(reward) is float
                and type(terminated) is bool
                and type(truncated) is bool
                and type(answer) is tuple
                and not self.copies
            ):
                return answer
        except (TypeError, ValueError, AttributeError):
            pass
        return self._looked_at(answer)

    def _looked_at(self, answer: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """A step's answer of less usual types."""
        if not isinstance(answer, tuple | list) or len(answer) != 5:
            self._refuse_length("step", answer, STEP, "split done into terminated and truncated")
        observation, reward, terminated, truncated, info = answer
        try:
            return (
                self._observation(observation),
                reward if type(reward) in NUMBERS else reward_of(reward),
                terminated if type(terminated) in FLAGS else flag_of("terminated", terminated),
                truncated if type(truncated) in FLAGS else flag_of("truncated", truncated),
                info if type(info) is dict else self._info(info),
            )
        except Misfit as misfit:
            self._refuse("step", misfit)

    def close(self) -> None:
        """Close the environment; one that fails to is warned of, since its results stand."""
        try:
            self.env.close()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            text = f"{self.name}: close() raised {told(error)}; what it computed stands"
            warnings.warn(text, EnvironmentWarning, stacklevel=1)

    def _info(self, info: Any) -> dict[str, Any]:
        if isinstance(info, dict):
            return info
        self._hint(f"info is {shown(info)}, but gymnasium's interface says a dict")
        return {}

    def _hint(self, text: str) -> None:
        self.hints[text] = None

    def _left(self, method: str, error: BaseException) -> NoReturn:
        """Raise what the environment raised; an exit, or the end of its data, is its own and ends no loop of ours."""
        if isinstance(error, (Exception, KeyboardInterrupt)) and not isinstance(error, StopIteration):
            if isinstance(error, Exception) and not isinstance(error, EnvironmentFault):
                error.add_note(f"raised by {method}() of {self.name}")
            raise error
        cure = "raise an exception that says what went wrong, or end the episode instead"
        raise EnvironmentFault(f"{self.name}: {method}() raised {told(error)}", cure) from error

    def _refuse_length(self, method: str, answer: Any, names: str, cure: str) -> NoReturn:
        count = names.count(",") + 1
        expected = f"gymnasium's interface has {count} values: {names}"
        older = "; an environment of the old gym's can be wrapped by shimmy (pip install shimmy)"
        self._refuse(method, Misfit(shown(answer), expected, cure + older))

    def _refuse(self, method: str, misfit: Misfit) -> NoReturn:
        raise EnvironmentFault(f"{self.name}: {method}() returned {misfit.came}, but {misfit.expected}", misfit.cure)


def checked(env: Env, name: str, *, copies: bool = False, dressed: bool = False) -> Env:
    """``env`` with its answers looked at where they leave the environment itself, below all its wrappers.

    Args:
        env: with the wrappers that it came with.
        name: for errors.
        copies: whether layers that are still to come may keep what they are given.
        dressed: whether it has layers already that it did not come with.
    """
    above, inner = [], env
    while isinstance(inner, gymnasium.Wrapper):
        above.append(inner)
        inner = inner.env
    if above and type(above[-1]) is OrderEnforcing:
        inner = above.pop()
    layer = Checked(inner, name)
    layer.copies = copies or any(type(one) not in PASSING for one in above)
    if above:
        above[-1].env = layer
        layer.base = weakref.ref(env)
    if dressed:
        layer.base = None
    return env if above else layer


def layer_of(env: Any) -> Checked | None:
    """The layer of an environment that looks at its answers, if it has one."""
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, Checked):
            return env
        env = env.env
    return None


def told(error: BaseException) -> str:
    """An exception in one line."""
    text = str(error).split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
