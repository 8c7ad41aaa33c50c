"""Acting: from observations to actions, in numpy where the network allows it, else in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlrecipe.interfaces import Distribution, Network
from rlrecipe.interfaces.abilities import HasFront
from rlrecipe.lazy import np, torch
from rlrecipe.learning.parameters import Parameters
from rlrecipe.stepping.packing import Packing


class Policy:
    """A policy network and its distribution over the parameters that training moves.

    Nothing is copied: after an update the next action already follows the new parameters.

    Attributes:
        packing: how batches keep the rows that it has read as bytes, or None where they keep them as they are.
    """

    def __init__(
        self,
        network: Network,
        distribution: Distribution,
        parameters: Parameters,
        slot: str = "policy",
        packing: Packing | None = None,
    ) -> None:
        self.packing = packing
        self.network, self.distribution, self.parameters, self.slot = network, distribution, parameters, slot
        #: What feeds a network that remembers, or None.
        self.front: Any = network.front if isinstance(network, HasFront) and network.front.carry else None
        self._forward: Callable[[np.ndarray], np.ndarray] | None = None
        self._arrays: dict[str, np.ndarray] = {}
        if isinstance(parameters.flat, np.ndarray):
            self._arrays = parameters.numpy()[slot]
            self._forward = network.numpy(self._arrays)
            if self._forward is not None:
                return
            self.parameters = parameters = parameters.over(torch.from_numpy(parameters.flat))
        # Views: what training moves is seen here without another look-up.
        self._params = parameters.params[slot]
        if parameters.flat.device.type == "cpu" and parameters.flat.dtype == torch.float32:
            self._arrays = parameters.numpy()[slot]
            self._forward = network.numpy(self._arrays)

    def __reduce__(self) -> tuple[type[Policy], tuple[Network, Distribution, Parameters, str, Packing | None]]:
        # Views and closures over the parameters are made anew.
        return type(self), (self.network, self.distribution, self.parameters, self.slot, self.packing)

    def over(self, flat: np.ndarray) -> Policy:
        """The same policy over a vector in numpy; where the network allows it, without torch ever being loaded."""
        vector: Any = flat
        return type(self)(self.network, self.distribution, self.parameters.over(vector), self.slot, self.packing)

    def act(self, observation: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        """Actions ``[N, ...]`` as they are stored; without noise the most probable ones."""
        if self._forward is None:
            return self._act_in_torch(observation, noise)
        outputs = self._forward(observation.reshape(len(observation), -1))
        if noise is None:
            action: np.ndarray = self.distribution.mode(outputs)
        else:
            action = self.distribution.sample(self._arrays, outputs, noise)
        return action

    def _act_in_torch(self, observation: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        flat = self.parameters.flat
        with torch.no_grad():
            x = torch.from_numpy(observation).to(flat).reshape(len(observation), -1)
            outputs = self.network(self._params, x)
            if noise is None:
                action = self.distribution.mode(outputs)
            else:
                action = self.distribution.sample(self._params, outputs, torch.from_numpy(noise).to(flat))
        array: np.ndarray = action.cpu().numpy()
        return array

    # -- a memory, of policies that have one: a row is [observation, what is remembered, whether an episode starts]

    def keep_bytes(self) -> None:
        """Let batches keep pictures beside other entries as bytes; networks read them."""
        self.packing = self.network.front.packing if isinstance(self.network, HasFront) else None

    def shape(self, observation: tuple[int, ...]) -> tuple[int, ...]:
        """Of what the policy reads for an observation of a shape."""
        return observation if self.front is None else (self.front.width,)

    def begin(self, observation: np.ndarray) -> np.ndarray:
        """Rows for first observations ``[N, ...]`` of episodes: nothing is remembered."""
        if self.front is None:
            return observation
        return _row(observation, self.nothing(len(observation)), np.ones(len(observation), bool))

    def nothing(self, rows: int) -> np.ndarray:
        """What is remembered where an episode starts, ``[rows, carry]``."""
        return np.zeros((rows, self.front.carry), np.float32)

    def go_on(self, observation: np.ndarray, carry: np.ndarray) -> np.ndarray:
        """Rows for observations ``[N, ...]`` with what is remembered ``[N, carry]``."""
        return _row(observation, carry, np.zeros(len(observation), bool))

    def recall(
        self, row: np.ndarray, following: np.ndarray, final: np.ndarray, done: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows for the observations after ``row``: those to act on, and the true next ones, final ones included."""
        if self.front is None:
            return following, final
        carry = self.remember(row)
        return _row(following, np.where(done[:, None], 0.0, carry), done), self.go_on(final, carry)

    def remember(self, row: np.ndarray) -> np.ndarray:
        """What is remembered after rows, ``[N, carry]``."""
        with torch.no_grad():
            carry = self.front.remember(self._params, torch.from_numpy(row).to(self.parameters.flat))
        array: np.ndarray = carry.cpu().numpy()
        return array

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Random numbers for ``rows`` actions."""
        return self.distribution.noise(rng, rows)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Stored actions as the environment takes them."""
        return self.distribution.to_env(action)

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Actions drawn evenly from the whole space, as they are stored."""
        return self.distribution.random(rng, rows)


def _row(observation: np.ndarray, carry: np.ndarray, first: np.ndarray) -> np.ndarray:
    flat = np.asarray(observation, np.float32).reshape(len(observation), -1)
    return np.concatenate([flat, carry, first[:, None]], 1, dtype=np.float32)
