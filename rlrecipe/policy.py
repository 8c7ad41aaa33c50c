"""Acting: from observations to actions, in numpy where the network allows it, else in torch."""

from __future__ import annotations

from collections.abc import Callable

from rlrecipe.interfaces import Distribution, Network
from rlrecipe.lazy import np, torch
from rlrecipe.parameters import Parameters


class Policy:
    """A policy network and its distribution over the parameters that training moves.

    Nothing is copied: after an update the next action already follows the new parameters.
    """

    def __init__(
        self, network: Network, distribution: Distribution, parameters: Parameters, slot: str = "policy"
    ) -> None:
        self.network, self.distribution, self.parameters = network, distribution, parameters
        # Views: what training moves is seen here without another look-up.
        self._params = parameters.params[slot]
        self._forward: Callable[[np.ndarray], np.ndarray] | None = None
        self._arrays: dict[str, np.ndarray] = {}
        if parameters.flat.device.type == "cpu" and parameters.flat.dtype == torch.float32:
            self._arrays = parameters.numpy()[slot]
            self._forward = network.numpy(self._arrays)

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

    def noise(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Random numbers for ``rows`` actions."""
        return self.distribution.noise(rng, rows)

    def to_env(self, action: np.ndarray) -> np.ndarray:
        """Stored actions as the environment takes them."""
        return self.distribution.to_env(action)

    def random(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Actions drawn evenly from the whole space, as they are stored."""
        return self.distribution.random(rng, rows)
