"""Several environments stepped as one, with their state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import gymnasium
import numpy as np

from rlrecipe.interfaces import State
from rlrecipe.stepping.capture import METHODS, Tape, layers
from rlrecipe.stepping.capture_methods import Replay, kinds
from rlrecipe.stepping.observations import dtype_of
from rlrecipe.stepping.wrappers.abilities import GoesOn
from rlrecipe.stepping.wrappers.checked import layer_of, told


def _taped(make: Callable[[], gymnasium.Env[Any, Any]]) -> gymnasium.Env[Any, Any]:
    return Tape(make())


def _built(makes: Sequence[Callable[[], gymnasium.Env[Any, Any]]]) -> list[gymnasium.Env[Any, Any]]:
    """Every environment; where one cannot be built, those before it are closed."""
    envs: list[gymnasium.Env[Any, Any]] = []
    try:
        envs.extend(make() for make in makes)
    except BaseException:
        for env in envs:
            env.close()
        raise
    return envs


class Vector:
    """Environments stepped in turn, and a way to save them.

    An environment whose episode ends starts its next one in the same step.

    Args:
        makes: builds each environment.
        seed: of an environment's own generator, by index; every start takes as many new ones as there are.
        capture: name of the method that saves an environment, or None if none can.
        first: where these environments stand among all that are stepped together.
        total: how many those are; by default these alone.
    """

    def __init__(
        self,
        makes: Sequence[Callable[[], gymnasium.Env[Any, Any]]],
        seed: Callable[[int], int],
        capture: str | None = None,
        first: int = 0,
        total: int | None = None,
    ) -> None:
        if capture == "replay":
            makes = [partial(_taped, make) for make in makes]
        self.envs: list[gymnasium.Env[Any, Any]] = _built(makes)
        self.num_envs, self.seed, self.starts = len(makes), seed, 0
        #: Whether they were started, or put back, since they were built: before, there is no state to save.
        self.begun = False
        self.first, self.total = first, len(makes) if total is None else total
        self.single_observation_space: Any = self.envs[0].observation_space
        self.single_action_space: Any = self.envs[0].action_space
        space: Any = self.single_observation_space
        #: Shape and type of all observations together: one is copied before the next environment answers.
        self._rows, self._dtype = (self.num_envs, *space.shape), space.dtype
        self.observation_dtype = dtype_of(self.single_observation_space)
        #: Where the last step ended an episode for the reports, too: a lost life (``going_on``) does not.
        self.over = np.zeros(self.num_envs, np.bool_)
        self._goes_on = [[layer for _, layer in layers(env) if isinstance(layer, GoesOn)] for env in self.envs]
        self.captures = [METHODS[capture](env) for env in self.envs] if capture else None

    def start(self) -> np.ndarray:
        """First observations ``[N, ...]``, each environment seeded; another start has other seeds."""
        self.begun = True
        first = self.starts * self.total + self.first
        observations = np.empty(self._rows, self._dtype)
        for i, env in enumerate(self.envs):
            seed = self.seed(first + i)
            # An environment may sample its own spaces; unseeded, they draw from the system's entropy.
            env.action_space.seed(seed)
            env.observation_space.seed(seed)
            observations[i] = env.reset(seed=seed)[0]
        self.starts += 1
        return observations

    def advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """One step of every environment.

        Returns:
            Observations to act on ``[N, ...]``, rewards, terminated, truncated ``[N]``, and the true next
            observations ``[N, ...]``: where an episode ended, its last one.
        """
        # SyncVectorEnv.step gathers infos besides, which nobody reads, and fills and copies arrays of its own.
        following, final = np.empty(self._rows, self._dtype), {}
        self.over = np.zeros(self.num_envs, np.bool_)
        reward, (terminated, truncated) = np.empty(self.num_envs), np.empty((2, self.num_envs), np.bool_)
        for i, (env, one) in enumerate(zip(self.envs, action, strict=True)):
            observation, reward[i], terminated[i], truncated[i], _ = env.step(one)
            if terminated[i] or truncated[i]:
                final[i] = np.array(observation)
                self.over[i] = not any(layer.going_on for layer in self._goes_on[i])
                observation, _ = env.reset()
            following[i] = observation
        last = following
        if final:
            last = following.copy()
            for i, observation in final.items():
                last[i] = observation
        return following, reward, terminated, truncated, last

    def state_dict(self) -> State:
        """How often they were started, and each environment's state, if there is a way to save it."""
        states = None if self.captures is None or not self.begun else [capture.save() for capture in self.captures]
        return {"starts": self.starts, "states": states}

    def load_state_dict(self, state: State) -> bool:
        """Put every environment back; False if their states were not saved, so that they have to start anew."""
        self.starts = state["starts"]
        if self.captures is None or state["states"] is None:
            return False
        # A reset first: it makes what a state refers to, such as a wrapper's episode.
        self.start()
        pairs = list(zip(self.captures, state["states"], strict=True))
        # Attributes may be of another kind later in an episode: a step tells whether these serve. Replay takes some.
        changed = [kinds(own.save()) != kinds(saved) and not isinstance(own, Replay) for own, saved in pairs]
        for capture, saved in pairs:
            capture.load(saved)
        if any(changed):
            for i in np.flatnonzero(changed):
                self._try(int(i))
            self.start()
            for capture, saved in pairs:
                capture.load(saved)
        self.starts = state["starts"]
        return True

    def _try(self, i: int) -> None:
        """Take a step and start an episode in an environment that was put back.

        Raises:
            ValueError: its state is none that it can go on from.
        """
        try:
            self.envs[i].step(self.envs[i].action_space.sample())
            self.envs[i].reset()
        except Exception as error:
            raise ValueError(f"environment {i} cannot go on from its saved state: {told(error)}") from error

    @contextmanager
    def lent(
        self, dress: Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]]
    ) -> Iterator[gymnasium.Env[Any, Any]]:
        """The first environment for episodes of others, captured before and put back after.

        Args:
            dress: puts the layers around it that those episodes need, in place of the ones here.
        """
        assert self.captures is not None, "what cannot be captured cannot be lent"
        layer = layer_of(self.envs[0])
        base = None if layer is None or layer.base is None else layer.base()
        assert base is not None, "the environment is there as long as its layers are"
        saved = self.captures[0].save() if self.begun else None
        try:
            yield dress(base)
        finally:
            if saved is not None:
                self.captures[0].load(saved)

    @property
    def can_be_lent(self) -> bool:
        """Whether there is an environment that can be captured, under layers of its own."""
        layer = layer_of(self.envs[0]) if self.envs else None
        return self.captures is not None and layer is not None and layer.base is not None

    def close(self) -> None:
        """Close every environment, and let it go: an emulator that is still held when the process ends complains."""
        for env in self.envs:
            env.close()
        self.envs, self.captures, self._goes_on = [], None, []
